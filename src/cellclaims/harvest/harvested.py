"""Where proposals start: the rows of every record in a snapshot, or those of a file that a harvest wrote.

Every row carries the answer that it was read from. Of a file without the answers, a row gets the one of the snapshot
whose record says the same; a row without an answer can be looked at, but not accepted.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from cellclaims.errors import ProposalError
from cellclaims.harvest.posted import posted
from cellclaims.harvest.proposals import Found, Provenance
from cellclaims.harvest.rows import COLUMNS
from cellclaims.harvest.sheet import unguard

if TYPE_CHECKING:
    from cellclaims.registries.records import Trial
    from cellclaims.registries.store import Snapshot, Store

#: What a file of harvested rows must hold, and what it may hold of the answer.
NEEDED = ("registration", "table", "pointer", "arm_title")
ANSWER = ("source", "page", "snapshot", "address", "time", "sha256", "record_pointer")
#: A reader's page of a record.
PAGE = "https://clinicaltrials.gov/study/{}"
#: Takes what one record gave: told after each, for a line that counts.
Told = Callable[[int], None]


def from_registry(
    store: Store, snapshot: Snapshot, unread: list[str], told: Told = lambda rows: None
) -> Iterator[Found]:
    """The rows of every record with posted results in a snapshot.

    Parameters
    ----------
    store, snapshot : Store, Snapshot
        What was pulled.
    unread : list of str
        Takes a sentence for every answer, record or measurement that cannot be read.
    told : callable
        Is given the number of rows of each record.
    """
    from cellclaims.registries.records import trials

    for trial in trials(store, snapshot, unread):
        if trial.source == "ctgov" and "resultsSection" in trial.record:
            harvest = posted(dict(trial.record))
            answer = provenance(trial, snapshot)
            unread += [f"{trial.number}: {one.title}: {one.reason}" for one in harvest.refused]
            told(len(harvest.rows))
            for row in harvest.rows:
                yield Found(row.registration, row.table, row.pointer, row.arm_title, row.values, answer)


def provenance(trial: Trial, snapshot: Snapshot) -> Provenance:
    """The answer that a trial's record stands in."""
    answer = trial.answer
    page = PAGE.format(trial.number)
    return Provenance(
        trial.source, page, snapshot.name, answer.address, answer.time, answer.sha256, trial.pointer.rstrip("/")
    )


def from_file(path: Path) -> Iterator[Found]:
    """The rows of a Parquet or CSV file; without the columns of an answer, its fields are empty.

    Raises
    ------
    ProposalError
        If the file cannot be read or lacks a column; names it.
    """
    for number, cells in enumerate(table_rows(path), start=2):
        if missing := [name for name in NEEDED if name not in cells]:
            raise ProposalError(f"{path}: expected the columns {', '.join(NEEDED)}, found none named {missing[0]}")
        if cells["table"] not in COLUMNS:
            table = cells["table"]
            raise ProposalError(f"{path}: row {number}, column table: expected continuous or binary, found {table!r}")
        values = {name: cells.get(name, "") for name in COLUMNS[cells["table"]]}
        answer = Provenance(*(cells.get(name, "") for name in ANSWER))
        yield Found(*(cells[name] for name in NEEDED[:4]), values, answer)


def table_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a Parquet or CSV file as text by column."""
    try:
        if path.suffix == ".parquet":
            yield from parquet_rows(path)
            return
        text = path.read_bytes().decode("utf-8-sig")
        for cells in csv.DictReader(io.StringIO(text, newline=""), strict=True):
            yield {name: unguard(cell or "") for name, cell in cells.items() if name}
    except (OSError, ValueError, csv.Error) as error:
        raise ProposalError(f"{path}: expected harvested rows as Parquet or CSV, found {error}") from None


def parquet_rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a Parquet file, a portion at a time."""
    import pyarrow.parquet

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for cells in batch.to_pylist():
                yield {name: "" if cell is None else str(cell) for name, cell in cells.items()}


def with_answers(rows: Iterable[Found], known: Iterable[Found]) -> Iterator[Found]:
    """Rows of a file, those without an answer with the one of the same row of a snapshot."""
    places = {(one.registration, one.table, one.pointer): one for one in known}
    for row in rows:
        same = places.get((row.registration, row.table, row.pointer))
        yield same if not row.provenance.sha256 and same and same.values == row.values else row
