"""The ``propose``, ``accept`` and ``resolve`` commands: what they print, with progress on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cellclaims.errors import SourceError
from cellclaims.harvest import accept as accepting
from cellclaims.harvest import resolve
from cellclaims.harvest.held import read_held
from cellclaims.harvest.proposals import (
    Found,
    from_file,
    from_registry,
    proposals,
    summary,
    with_answers,
    write_proposals,
)
from cellclaims.harvest.resolve import Lookups
from cellclaims.registries.client import Client, Settings, from_environment
from cellclaims.registries.store import Store


@contextmanager
def progress(unit: str, total: int | None = None) -> Iterator[Callable[[object], None]]:
    """One line that counts on a terminal; nothing elsewhere."""
    from tqdm import tqdm

    with tqdm(total=total, unit=f" {unit}", disable=not sys.stderr.isatty(), leave=False) as bar:

        def told(what: object) -> None:
            bar.set_postfix_str(str(what), refresh=False)
            bar.update()

        yield told


def propose(into: Path, data: Path, registry: Path, harvest: Path | None = None, snapshot: str = "") -> str:
    """Write a file of proposals; what it holds, in words.

    Parameters
    ----------
    into : Path
        The file to write; one that stands there is never written over.
    data : Path
        The evidence that the rows are set beside.
    registry : Path
        Folder of the store.
    harvest : Path, optional
        A file of harvested rows, as Parquet or CSV, instead of the records of a snapshot.
    snapshot : str
        Name of the snapshot; the last by default.

    Raises
    ------
    ProposalError, SourceError, DataError
        If a file, a snapshot or a table cannot be used; nothing is written then.
    """
    held = read_held(data)
    unread: list[str] = []
    with progress("records") as told:
        rows = proposals(rows_of(harvest, Store(registry), snapshot, unread, told), held)
    write_proposals(into, rows)
    without = sum(not row["sha256"] for row in rows)
    lines = [f"{into}: {summary(rows)}"]
    if without:
        lines.append(
            f"{without} of them {'has' if without == 1 else 'have'} no answer of a snapshot and cannot be accepted"
        )
    if unread:
        lines.append(f"{len(unread)} other places could not be read: `cellclaims harvest` lists each with the reason")
    lines.append(f"fill in decision and reviewer, then: cellclaims accept {into}")
    return "\n".join(lines)


def rows_of(
    harvest: Path | None, store: Store, name: str, unread: list[str], told: Callable[[object], None]
) -> Iterator[Found]:
    """The rows of a file with the answers of a snapshot, or of the snapshot itself; ``unread`` takes what was not."""
    if harvest is None:
        yield from from_registry(store, store.snapshot(name), unread, told)
        return
    rows = list(from_file(harvest))
    if all(row.provenance.sha256 for row in rows) or not (name or store.names()):
        yield from rows
        return
    yield from with_answers(rows, from_registry(store, store.snapshot(name), unread, told))


def accept(path: Path, data: Path, registry: Path | None = None, *, dry_run: bool = False) -> str:
    """Take over the accepted rows of a file; what was written, in words.

    Raises
    ------
    ProposalError
        With everything that stands in the way; nothing is written then.
    """
    if sys.stderr.isatty():
        print("checking the tables with the accepted rows ...", file=sys.stderr)
    return accepting.in_words(accepting.accept(path, data, registry, dry_run=dry_run), dry_run=dry_run)


def find(into: Path, data: Path, registry: Path, *, offline: bool = False, settings: Settings | None = None) -> str:
    """Write a file of candidates for the reports without an identifier; what it holds, in words.

    Raises
    ------
    ProposalError
        If another file stands there.
    SourceError
        If a source gives no answer; what came before is kept, and asked again it goes on from there.
    """
    held = read_held(data)
    try:
        with (
            Client(settings or from_environment()) as client,
            progress("reports", len(resolve.unresolved(held))) as told,
        ):
            found = resolve.resolve(held, Lookups(Store(registry), None if offline else client), told)
    except SourceError as fault:
        raise SourceError(f"{fault}; what was answered is kept: ask again later, or use --offline") from None
    write_proposals(into, found.rows, resolve.COLUMNS)
    return f"{into}: {resolve.summary(found, len(held.rows['studies']))}"
