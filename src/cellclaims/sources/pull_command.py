"""The ``pull`` command: what it prints, and its exit status."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cellclaims import protocol
from cellclaims.errors import SourceError
from cellclaims.sources import SOURCES
from cellclaims.sources.addresses import shown
from cellclaims.sources.client import Client
from cellclaims.sources.oddities import by_kind
from cellclaims.sources.pulling import Pulled, asked_sources, pull, pull_folder
from cellclaims.sources.settings import Settings, from_environment
from cellclaims.sources.store import Snapshot, Store
from cellclaims.sources.wanted import wanted

#: Exit statuses: a new snapshot is in force (or the last one is whole); a source failed and the last stays in force.
DONE, FAILED = 0, 1


@dataclass(frozen=True)
class Order:
    """What the command was asked for."""

    into: Path
    data: Path
    only: tuple[str, ...] = ()
    folder: Path | None = None
    offline: bool = False
    as_json: bool = False


def run(order: Order, settings: Settings | None = None) -> int:
    """Pull, say what came, and return the exit status.

    Raises
    ------
    SourceError
        If nothing could be started, or the store cannot be written.
    """
    store = Store(order.into)
    if order.offline and order.folder is None:
        return _offline(store, order)
    try:
        done = pull_folder(store, order.folder) if order.folder else _from_network(store, order, settings)
    except OSError as fault:
        stays = f"the last complete snapshot is {store.names()[-1]}" if store.names() else "there is no snapshot yet"
        raise SourceError(f"{order.into}: expected a store that can be written, found {fault}; {stays}") from None
    say(done, store, order)
    return FAILED if done.failed else DONE


def _from_network(store: Store, order: Order, settings: Settings | None) -> Pulled:
    asked_sources(order.only)
    questions = wanted(protocol.load(order.data), order.data)
    settings = settings or from_environment()
    if not settings.contact:
        print("cellclaims: no contact is sent: set CELLCLAIMS_CONTACT to an e-mail address", file=sys.stderr)
    settings = replace(settings, cache=settings.cache or order.into / "cache.sqlite")
    with Client(settings) as client, _progress() as told:
        return pull(store, questions, client, order.only, told)


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """One line that counts answers on a terminal; nothing elsewhere."""
    from tqdm import tqdm

    with tqdm(unit=" answers", disable=not sys.stderr.isatty(), leave=False) as bar:

        def told(line: str) -> None:
            bar.set_description_str(line.partition(":")[0], refresh=False)
            bar.update()

        yield told


def _offline(store: Store, order: Order) -> int:
    """Look the last snapshot through, without a socket."""
    snapshot = store.snapshot()
    for answer in snapshot.answers:
        store.body(answer)
    say(Pulled(snapshot, order.only or SOURCES), store, order)
    return DONE


def say(done: Pulled, store: Store, order: Order) -> None:
    """Print what came: as lines, or as one JSON object."""
    if order.as_json:
        print(json.dumps(as_json(done, store), ensure_ascii=False))
        return
    if done.snapshot:
        print("\n".join(lines(done.snapshot)))
    for name, why in done.refused.items():
        print(f"not taken: {shown(name)}: {why}")
    if done.failed:
        for source, why in done.failed.items():
            print(f"{source}: {why}", file=sys.stderr)
        names = store.names()
        stays = f"the last complete snapshot, {names[-1]}, stays in force" if names else "there is no snapshot yet"
        print(f"{stays}; the next pull goes on where this one stopped", file=sys.stderr)


def lines(snapshot: Snapshot) -> list[str]:
    """A snapshot in words: its day, each source with answers, bytes and the day of its answers, warnings by kind."""
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
    """What became of a pull, for machines."""
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
