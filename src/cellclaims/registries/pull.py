"""One pull: request everything in the protocol from all sources, and save the answers as a snapshot when complete.

A snapshot always covers all sources. Those that are not asked (``only``, a folder without them, ICTRP) are copied from
the last snapshot with their own times.
"""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cellclaims import protocol
from cellclaims.errors import RefusedAnswer, SourceError
from cellclaims.protocol import Protocol
from cellclaims.registries import SOURCES
from cellclaims.registries.answers import by_kind
from cellclaims.registries.client import SERVICES, Client, Settings, from_environment, shown
from cellclaims.registries.folder import Replayed, replay
from cellclaims.registries.services import NCT, PULLS, Asking, Wanted, is_pubmed_number
from cellclaims.registries.store import Answer, Journal, Snapshot, Store, free_name


@dataclass
class Pulled:
    """Result of a pull.

    Attributes
    ----------
    snapshot : Snapshot or None
        The new snapshot; None if a source failed and the last one remains in force.
    asked : tuple of str
        The sources asked or read from files.
    failed : dict of str
        Source -> reason for its failure.
    refused : dict of str
        File in a folder -> reason for rejecting it.
    resumed : int
        Number of answers from the journal of an interrupted pull.
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
    """Ask the sources and save a snapshot.

    Parameters
    ----------
    store : Store
        Store for the answers.
    wanted : mapping of Wanted
        Source -> requests (:func:`cellclaims.registries.pull.wanted`).
    client : Client
        Client for the requests.
    only : iterable of str
        Ask only these; the others are copied from the last snapshot.
    told : callable
        Called with a line after each answer.

    Returns
    -------
    Pulled
        Without a snapshot if a source failed; the journal is kept, and the next pull continues.

    Raises
    ------
    SourceError
        If a source is unknown or another pull is running.
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
    """Return the sources to ask, in their order; raises SourceError for one that cannot be asked."""
    only = tuple(only)
    if unknown := [source for source in only if source not in SERVICES]:
        hint = " (import an export with --from)" if "ictrp" in unknown else ""
        raise SourceError(f"expected one of {', '.join(SERVICES)}, found {', '.join(unknown)}{hint}")
    return tuple(source for source in SERVICES if not only or source in only)


def _fault(asking: Asking, wanted: Wanted) -> str:
    """Ask one source; return the reason of a failure, or "". The other sources are asked in any case.

    After a refusal, its answers are requested again next time, because of expired page tokens or circular pages.
    """
    try:
        PULLS[asking.source](asking, wanted)
    except SourceError as fault:
        if isinstance(fault, RefusedAnswer):
            asking.journal.forget(asking.source)
        return str(fault)
    return ""


def pull_folder(store: Store, folder: Path) -> Pulled:
    """Save answers from files as a snapshot.

    Raises
    ------
    SourceError
        If the folder contains no answer.
    OSError
        If the store cannot be written.
    """
    started = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    store.tidy()
    done: Replayed = replay(folder, store)
    asked = tuple(source for source in SOURCES if any(answer.source == source for answer in done.answers))
    snapshot = _snapshot(store, started, "folder", asked, done.answers, done.warnings)
    store.add(snapshot)
    return Pulled(snapshot, asked, refused=done.refused)


def _snapshot(
    store: Store, started: str, origin: str, asked: tuple[str, ...], answers: list[Answer], warnings: list[str]
) -> Snapshot:
    """Return a snapshot of the new answers, with the other sources from the last snapshot."""
    last = store.snapshot() if store.names() else Snapshot("", "", "", "", ())
    kept = [answer for answer in last.answers if answer.source not in asked]
    odd = [warning for warning in last.warnings if warning.partition(":")[0] not in asked]
    everything = sorted([*answers, *kept], key=lambda answer: SOURCES.index(answer.source))
    ended = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return Snapshot(free_name(store, started), started, ended, origin, tuple(everything), (*warnings, *odd))


# Requests of a pull: the queries of the protocol, and the numbers of the reports in the evidence.


DOI = re.compile(r"10\.\d{4,9}/\S+")
#: Columns of ``studies.csv`` with numbers to request.
NUMBERED = ("registry_id", "doi", "pmid")


def wanted(rules: Protocol, data: Path) -> dict[str, Wanted]:
    """Return the requests for each source.

    Parameters
    ----------
    rules : Protocol
        Its section ``pull`` contains the queries.
    data : Path
        The folder of the evidence; ``published/studies.csv`` contains DOIs, PubMed numbers and registrations.

    Raises
    ------
    ProtocolError
        If the section is invalid.
    SourceError
        If the table cannot be read.
    """
    numbers = known_numbers(data / "published" / "studies.csv")
    return {source: Wanted(rules.queries(source), *numbers) for source in SERVICES}


def known_numbers(path: Path) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return NCT numbers, DOIs and PubMed numbers of the reports, each once; raises SourceError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [[(row[name] or "").strip() for name in NUMBERED] for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as fault:
        raise SourceError(f"{path}: expected the columns {', '.join(NUMBERED)}, found {fault!r}") from None
    registrations = sorted({number for text, _, _ in rows for number in NCT.findall(text)})
    dois = sorted({doi for _, doi, _ in rows if DOI.fullmatch(doi)})
    return tuple(registrations), tuple(dois), tuple(sorted({pmid for _, _, pmid in rows if is_pubmed_number(pmid)}))


# The ``pull`` command: its output and exit status.


#: Exit statuses: a new snapshot is in force (or the last one is intact); a source failed and the last remains.
DONE, FAILED = 0, 1


@dataclass(frozen=True)
class Order:
    """Arguments of the command."""

    into: Path
    data: Path
    only: tuple[str, ...] = ()
    folder: Path | None = None
    offline: bool = False
    as_json: bool = False


def run(order: Order, settings: Settings | None = None) -> int:
    """Pull, report the result, and return the exit status.

    Raises
    ------
    SourceError
        If the pull could not start, or the store cannot be written.
    """
    store = Store(order.into)
    if order.offline and order.folder is None:
        return _offline(store, order)
    done = ordered(order, settings)
    say(done, store, order)
    return FAILED if done.failed else DONE


def ordered(order: Order, settings: Settings | None = None) -> Pulled:
    """Replay the folder of an order, or ask the sources over the network.

    Raises
    ------
    SourceError
        If nothing could be started, or the store cannot be written.
    """
    store = Store(order.into)
    try:
        return pull_folder(store, order.folder) if order.folder else _from_network(store, order, settings)
    except OSError as fault:
        stays = f"the last complete snapshot is {store.names()[-1]}" if store.names() else "there is no snapshot yet"
        raise SourceError(f"{order.into}: expected a store that can be written, found {fault}; {stays}") from None


def _from_network(store: Store, order: Order, settings: Settings | None) -> Pulled:
    asked_sources(order.only)
    questions = wanted(protocol.load(order.data), order.data)
    settings = settings or from_environment()
    if not settings.contact:
        print("cellclaims: no contact is sent: set CELLCLAIMS_CONTACT to an e-mail address", file=sys.stderr)
    settings = replace(settings, cache=settings.cache or order.into / "cache" / "answers.sqlite")
    with Client(settings) as client, _progress() as told:
        return pull(store, questions, client, order.only, told)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show a line that counts answers in a terminal."""
    from tqdm import tqdm

    with tqdm(unit=" answers", disable=not sys.stderr.isatty(), leave=False) as bar:

        def told(line: str) -> None:
            bar.set_description_str(line.partition(":")[0], refresh=False)
            bar.update()

        yield told


def _offline(store: Store, order: Order) -> int:
    """Check the last snapshot, without the network."""
    snapshot = store.snapshot()
    for answer in snapshot.answers:
        store.body(answer)
    say(Pulled(snapshot, order.only or SOURCES), store, order)
    return DONE


def say(done: Pulled, store: Store, order: Order) -> None:
    """Print the result as lines, or as one JSON object."""
    if order.as_json:
        print(json.dumps(as_json(done, store)))
        return
    if done.snapshot:
        print("\n".join(lines(done.snapshot)))
    for name, why in done.refused.items():
        print(f"not read: {shown(name)}: {why}")
    if done.failed:
        for source, why in done.failed.items():
            print(f"{source}: {why}", file=sys.stderr)
        names = store.names()
        stays = f"the last complete snapshot, {names[-1]}, remains in force" if names else "there is no snapshot yet"
        print(f"{stays}; the next pull continues from there", file=sys.stderr)


def lines(snapshot: Snapshot) -> list[str]:
    """Yield a summary of a snapshot: date, each source with answers, bytes and dates, warnings by kind."""
    head = [f"snapshot {snapshot.name} ({snapshot.origin}), complete since {snapshot.ended[:10]}"]
    for source in SOURCES:
        answers = snapshot.of(source)
        if answers:
            days = sorted({answer.time[:10] for answer in answers})
            span = days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"
            count = f"{len(answers):,} {'answer' if len(answers) == 1 else 'answers'}"
            head.append(f"  {source:<10} {count:>15}  {sum(one.bytes for one in answers):>13,} bytes  of {span}")
        else:
            head.append(f"  {source:<10} {'no answer':>15}")
    return head + [f"  warning    {count:>7,} x  {kind}" for kind, count in by_kind(snapshot.warnings).items()]


def as_json(done: Pulled, store: Store) -> dict[str, Any]:
    """Return the result of a pull for JSON."""
    snapshot = done.snapshot
    sources = {
        source: {"answers": len(answers), "bytes": sum(one.bytes for one in answers)}
        for source in SOURCES
        if snapshot and (answers := snapshot.of(source))
    }
    return {
        "snapshot": snapshot.name if snapshot else None,
        "origin": snapshot.origin if snapshot else None,
        "ended": snapshot.ended if snapshot else None,
        "last_complete": (store.names() or [None])[-1],
        "resumed": done.resumed,
        "sources": sources,
        "warnings": by_kind(snapshot.warnings) if snapshot else {},
        "failed": done.failed,
        "not_taken": done.refused,
    }
