"""One pull: every source is asked for what the protocol wants, and the answers become a snapshot when all are there.

A snapshot always speaks of all sources. Those that a pull does not ask (``only``, a folder without them, ICTRP, which
cannot be asked) are taken over from the last snapshot with their own times.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cellclaims.errors import RefusedAnswer, SourceError
from cellclaims.sources import SOURCES, crossref, ctgov, europepmc, pubmed
from cellclaims.sources.asking import Asking, Wanted
from cellclaims.sources.client import Client
from cellclaims.sources.folder import Replayed, replay
from cellclaims.sources.journal import Journal, free_name
from cellclaims.sources.services import SERVICES
from cellclaims.sources.store import Answer, Snapshot, Store

PULLS: Mapping[str, Callable[[Asking, Wanted], None]] = {
    "ctgov": ctgov.pull,
    "europepmc": europepmc.pull,
    "pubmed": pubmed.pull,
    "crossref": crossref.pull,
}


@dataclass
class Pulled:
    """What became of a pull.

    Attributes
    ----------
    snapshot : Snapshot or None
        The new snapshot; None if a source failed: the last one stays in force.
    asked : tuple of str
        The sources that were asked or replayed.
    failed : dict of str
        Source -> why it failed.
    refused : dict of str
        File of a replayed folder -> why it is no answer.
    resumed : int
        How many answers came from the journal of a pull that was cut off.
    """

    snapshot: Snapshot | None
    asked: tuple[str, ...]
    failed: dict[str, str] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)
    resumed: int = 0


def pull(
    store: Store,
    wanted: Mapping[str, Wanted],
    client: Client,
    only: Iterable[str] = (),
    told: Callable[[str], None] = lambda line: None,
) -> Pulled:
    """Ask the sources and put a snapshot into force.

    Parameters
    ----------
    store : Store
        Where the answers go.
    wanted : mapping of Wanted
        Source -> what it is asked for (:func:`cellclaims.sources.wanted.wanted`).
    client : Client
        Through which they are asked.
    only : iterable of str
        Ask these alone; all others are taken over from the last snapshot.
    told : callable
        Called with a line after each answer.

    Returns
    -------
    Pulled
        Without a snapshot if a source failed; its journal stays, and the next pull goes on from there.

    Raises
    ------
    SourceError
        If a source is unknown or another pull is at work.
    OSError
        If the store cannot be written.
    """
    asked = asked_sources(only)
    with Journal(store) as journal:
        askings = [Asking(source, client, journal, told) for source in asked]
        failed = {one.source: fault for one in askings if (fault := _fault(one, wanted.get(one.source, Wanted())))}
        if failed:
            return Pulled(None, asked, failed, resumed=journal.resumed)
        answers = [answer for one in askings for answer in one.answers]
        warnings = [warning for one in askings for warning in one.warnings]
        snapshot = _snapshot(store, journal.started, "pull", asked, answers, warnings)
        store.add(snapshot)
        journal.finish()
        return Pulled(snapshot, asked, resumed=journal.resumed)


def asked_sources(only: Iterable[str]) -> tuple[str, ...]:
    """The sources to ask, in their order; raises SourceError for one that cannot be asked."""
    only = tuple(only)
    if unknown := [source for source in only if source not in SERVICES]:
        hint = " (import an export with --from)" if "ictrp" in unknown else ""
        raise SourceError(f"expected one of {', '.join(SERVICES)}, found {', '.join(unknown)}{hint}")
    return tuple(source for source in SERVICES if not only or source in only)


def _fault(asking: Asking, wanted: Wanted) -> str:
    """Ask one source; why it failed, "" if it did not. The other sources are asked in any case.

    After a refusal its answers are asked for again next time: a page token may have grown old, pages run in a circle.
    """
    try:
        PULLS[asking.source](asking, wanted)
    except SourceError as fault:
        if isinstance(fault, RefusedAnswer):
            asking.journal.forget(asking.source)
        return str(fault)
    return ""


def pull_folder(store: Store, folder: Path) -> Pulled:
    """Replay recorded answers into a snapshot.

    Raises
    ------
    SourceError
        If nothing in the folder is an answer.
    OSError
        If the store cannot be written.
    """
    started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    done: Replayed = replay(folder, store)
    asked = tuple(source for source in SOURCES if any(answer.source == source for answer in done.answers))
    snapshot = _snapshot(store, started, "folder", asked, done.answers, done.warnings)
    store.add(snapshot)
    return Pulled(snapshot, asked, refused=done.refused)


def _snapshot(
    store: Store, started: str, origin: str, asked: tuple[str, ...], answers: list[Answer], warnings: list[str]
) -> Snapshot:
    """A snapshot of what was asked, and of the other sources as the last snapshot has them."""
    last = store.snapshot() if store.names() else Snapshot("", "", "", "", ())
    kept = [answer for answer in last.answers if answer.source not in asked]
    odd = [warning for warning in last.warnings if warning.partition(":")[0] not in asked]
    everything = sorted([*answers, *kept], key=lambda answer: SOURCES.index(answer.source))
    ended = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Snapshot(free_name(store, started), started, ended, origin, tuple(everything), (*warnings, *odd))
