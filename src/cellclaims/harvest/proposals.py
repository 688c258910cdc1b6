"""Proposals: harvested rows compared with ``data/published``, in a file for a reviewer's decisions.

A *proposal* is a harvested row with its grade, a suggested report and arm, and the answer that it was read from. It
is not evidence: ``cellclaims accept`` adds the rows that a named reviewer has accepted. An existing file of proposals
is never overwritten, with or without decisions.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cellclaims.errors import DataError, ProposalError
from cellclaims.evidence.schema import cell_faults
from cellclaims.files import unguard, write_atomically
from cellclaims.harvest.held import Cells, Held, alike, arm_of, grade, one_line, report_of, sheet_bytes
from cellclaims.harvest.measurements import COLUMNS
from cellclaims.harvest.reading import NO_PYARROW
from cellclaims.harvest.study import posted
from cellclaims.units import tidy

if TYPE_CHECKING:
    from cellclaims.registries.records import Trial
    from cellclaims.registries.store import Snapshot, Store


#: What the person fills in.
PERSON = ("decision", "reviewer", "reason")
#: Result of the comparison, trial and arm; the reviewer fills or corrects study_id and arm_id.
JUDGED = "grade differences held table registration arm_title study_id study_why arm_id arm_why".split()
#: The columns of continuous.csv and binary.csv that a record can fill, once each.
VALUES = (
    "outcome definition_id definition timing months time_origin kind unit unit_printed n events percent "
    "percent_printed center_type center dispersion_type dispersion_low dispersion_high status note place"
).split()
#: The answer of the registry; ``as_read`` has the harvested values as JSON, to detect changed cells.
PROVENANCE = "source page snapshot address time sha256 pointer as_read".split()
PROPOSAL_COLUMNS = (*PERSON, *JUDGED, *VALUES, *PROVENANCE)
GRADES = ("new", "differs", "same")


@dataclass(frozen=True)
class ProposalOrigin:
    """The answer that a record was read from.

    Attributes
    ----------
    source, page : str
        Source name as in ``cellclaims.registries``, and the registry's page of the record for a reader.
    snapshot, address, time, sha256 : str
        Snapshot name (empty outside a store); of the answer: address, ISO 8601 time in UTC, SHA-256 of its bytes.
    pointer : str
        JSON pointer of the record within the answer; empty where the answer is the record.
    """

    source: str
    page: str
    snapshot: str
    address: str
    time: str
    sha256: str
    pointer: str


@dataclass(frozen=True)
class Found:
    """A harvested row (``cellclaims.harvest.Row``) with the answer that it was read from."""

    registration: str
    table: str
    pointer: str
    arm_title: str
    values: Mapping[str, str]
    provenance: ProposalOrigin


def proposals(found: Iterable[Found], held: Held) -> list[Cells]:
    """Return one proposal per harvested row: known trials first, then by number, in the order of the record.

    Returns
    -------
    list of dict
        Every column of :data:`COLUMNS` as text.
    """
    by_record: dict[str, list[Found]] = {}
    for one in found:
        by_record.setdefault(one.registration, []).append(one)
    ordered = sorted(by_record, key=lambda number: (not held.reports(number), number))
    return [row for number in ordered for row in of_record(by_record[number], held)]


def of_record(found: list[Found], held: Held) -> Iterator[Cells]:
    """Yield the proposals of one registration."""
    report = report_of(held, found[0].registration)
    titles = {one.arm_title for one in found}
    for one in found:
        arm = arm_of(held, report.name, one.arm_title, titles)
        whose = {"study_id": report.name, "study_why": report.reason, "arm_id": arm.name, "arm_why": arm.reason}
        yield proposal(one, held, whose)


def proposal(found: Found, held: Held, whose: Cells) -> Cells:
    """Return one proposal, compared with the rows of the suggested arm."""
    read = read_values(found.values)
    answer = found.provenance
    return {
        **dict.fromkeys(PERSON, ""),
        **judged(found, read, held, whose),
        "table": found.table,
        "registration": found.registration,
        "arm_title": one_line(found.arm_title),
        **whose,
        **{name: read[name] for name in VALUES},
        **{name: getattr(answer, name) for name in ("source", "page", "snapshot", "address", "time", "sha256")},
        "pointer": answer.pointer + found.pointer,
        "as_read": as_read(read),
    }


def read_values(values: Mapping[str, str]) -> Cells:
    """Return the values of a harvested row under the names :data:`VALUES`."""
    shown = with_known_unit({name: one_line(text) for name, text in values.items()})
    return dict.fromkeys(VALUES, "") | shown | {"place": shown.get("locator", "")}


def with_known_unit(values: Cells) -> Cells:
    """Return the values with the unit in the spelling of the tables; any other is quoted in the note.

    Examples
    --------
    >>> with_known_unit({"unit": "U/day", "unit_printed": "units", "note": "day 28"})
    {'unit': 'U/day', 'unit_printed': 'U/day', 'note': "day 28; unit as posted: 'units'"}
    """
    unit, printed = values.get("unit", ""), values.get("unit_printed", "")
    try:
        if tidy(printed) == unit:
            return values
    except DataError:
        pass  # a spelling that nobody has added to units.py: how it was read is said on the row
    note = "; ".join(filter(None, (values.get("note", ""), f"unit as posted: {printed!r}")))
    return values | {"unit_printed": unit, "note": note}


def judged(found: Found, read: Cells, held: Held, whose: Cells) -> Cells:
    """Return grade, differences and the existing rows in words."""
    table = found.table
    if faults := value_faults(held, table, read):
        return {"grade": "new", "differences": f"cannot be entered as it is: {'; '.join(faults)}", "held": ""}
    if not whose["arm_id"]:
        reports = {whose["study_id"]} - {""} or {row["study_id"] for row in held.reports(found.registration)}
        return without_arm(table, read, held, reports)
    result = grade(table, read, held.of_arm(table, whose["study_id"], whose["arm_id"]))
    return {
        "grade": result.name,
        "differences": "; ".join(map(str, result.differences)),
        "held": places(table, result.held),
    }


def without_arm(table: str, read: Cells, held: Held, reports: set[str]) -> Cells:
    """Return a grade "new" with the possible rows, which are compared once an arm is given."""
    likes = [row for row in held.rows[table] if row["study_id"] in reports and alike(table, read, row)]
    words = "the arm is open: compared with these rows when it is accepted" if likes else ""
    return {"grade": "new", "differences": words, "held": places(table, likes)}


def places(table: str, rows: Iterable[Cells]) -> str:
    """Return the positions of rows."""
    return "; ".join(f"published/{table}.csv row {row['line']} from {row['source_id']}" for row in rows)


def value_faults(held: Held, table: str, values: Cells) -> list[str]:
    """Return the faults of the values of a row by the schema, without columns that the reviewer fills."""
    declared = held.schema.tables[table]
    faults = (
        fault
        for column in declared.columns
        if column.name in VALUES
        for fault in cell_faults(declared, column, [values[column.name]])
    )
    return [f"{fault.column}: expected {fault.expected}, found {fault.found}" for fault in faults]


def as_read(values: Cells) -> str:
    """Return the non-empty harvested values as JSON; ``pointer`` gives their position in the record."""
    return json.dumps({name: values[name] for name in VALUES if values[name] and name != "place"}, ensure_ascii=False)


def write_proposals(path: Path, rows: list[Cells], columns: Iterable[str] = PROPOSAL_COLUMNS) -> None:
    """Write a file of proposals; an existing file with another content is kept.

    Raises
    ------
    ProposalError
        If another file exists, because it may contain decisions.
    """
    content = sheet_bytes(tuple(columns), rows)
    if path.exists() and path.read_bytes() != content:
        raise ProposalError(f"{path}: expected no file, found one that may contain decisions: use another name")
    write_atomically(path, content)


def summary(rows: list[Cells]) -> str:
    """Return how many proposals there are of each grade, in words.

    Examples
    --------
    >>> summary([{"grade": "new", "study_id": "", "arm_id": ""}, {"grade": "same", "study_id": "a", "arm_id": "b"}])
    '2 proposals: 1 new, 0 differs, 1 same; 1 to be given a report or an arm'
    """
    count = Counter(row["grade"] for row in rows)
    open_ones = sum(not (row["study_id"] and row["arm_id"]) for row in rows)
    grades = ", ".join(f"{count[name]} {name}" for name in GRADES)
    return f"{len(rows)} proposal{'' if len(rows) == 1 else 's'}: {grades}; {open_ones} to be given a report or an arm"


# Where proposals start: the rows of every record in a snapshot, or those of a file that a harvest wrote.
# Every row names the answer that it was read from. Of a file without the answers, a row gets the one of the
# snapshot
# whose record says the same; a row without an answer can be looked at, but not accepted.


#: Required columns of a file of harvested rows, and optional columns of the answer.
NEEDED = ("registration", "table", "pointer", "arm_title")
ANSWER = ("source", "page", "snapshot", "address", "time", "sha256", "record_pointer")
#: A reader's page of a record.
PAGE = "https://clinicaltrials.gov/study/{}"
#: Called after each record, for a line that counts.
Told = Callable[[int], None]


def from_registry(
    store: Store, snapshot: Snapshot, unread: list[str], told: Told = lambda rows: None
) -> Iterator[Found]:
    """Yield the rows of every record with posted results in a snapshot.

    Parameters
    ----------
    store, snapshot : Store, Snapshot
        What was pulled.
    unread : list of str
        Called with a sentence for every answer, record or measurement that cannot be read.
    told : callable
        Called with the number of rows of each record.
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


def provenance(trial: Trial, snapshot: Snapshot) -> ProposalOrigin:
    """Return the answer with the record of a trial."""
    answer = trial.answer
    page = PAGE.format(trial.number)
    return ProposalOrigin(
        trial.source, page, snapshot.name, answer.address, answer.time, answer.sha256, trial.pointer.rstrip("/")
    )


def from_file(path: Path) -> Iterator[Found]:
    """Yield the rows of a CSV or Parquet file; without the columns of an answer, its fields are empty.

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
        answer = ProposalOrigin(*(cells.get(name, "") for name in ANSWER))
        yield Found(*(cells[name] for name in NEEDED[:4]), values, answer)


def table_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV or Parquet file as text by column."""
    try:
        if path.suffix == ".parquet":
            yield from parquet_rows(path)
            return
        text = path.read_bytes().decode("utf-8-sig")
        for cells in csv.DictReader(io.StringIO(text, newline=""), strict=True):
            yield {name: unguard(cell or "") for name, cell in cells.items() if name}
    except (OSError, ValueError, csv.Error) as error:
        raise ProposalError(f"{path}: expected harvested rows as CSV or Parquet, found {error}") from None


def parquet_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a Parquet file in portions."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise ProposalError(f"{path}: {NO_PYARROW}") from None

    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches():
            for cells in batch.to_pylist():
                yield {name: "" if cell is None else str(cell) for name, cell in cells.items()}


def with_answers(rows: Iterable[Found], known: Iterable[Found]) -> Iterator[Found]:
    """Yield the rows of a file; rows without an answer get that of the same row of a snapshot."""
    places = {(one.registration, one.table, one.pointer): one for one in known}
    for row in rows:
        same = places.get((row.registration, row.table, row.pointer))
        yield same if not row.provenance.sha256 and same and same.values == row.values else row
