"""Record what a person decided in a list: in ``screening.csv`` and ``searches.csv``, all rows or none.

Title, year and sources are those of the kept answers, never those of the sheet: a sheet goes through a person's hands
and a spreadsheet. Decisions that the table has already are left as they are, so that recording a list twice changes
nothing. A decision is never changed here: reviewers who differ agree in a row with ``final`` yes.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd

from cellclaims import protocol
from cellclaims.errors import ProposalError, SourceError
from cellclaims.evidence import Evidence, load
from cellclaims.evidence.screened import (
    DECISION_OF,
    conflicts_in_words,
    counts,
    identifiers,
    listed_reasons,
    screened,
)
from cellclaims.files import csv_text, guard
from cellclaims.harvest.accept import faults_with, write_all
from cellclaims.harvest.commands import progress
from cellclaims.harvest.held import Cells, Held, one_line, read_held, read_sheet
from cellclaims.harvest.proposals import write_proposals
from cellclaims.registries.store import Store, dated, registry_of
from cellclaims.screening.records import Record, records
from cellclaims.screening.worklist import TO_FILL, WORK_COLUMNS, Sorted, sort_records, worklist

DECISIONS = ("include", "exclude", "unsure")
DECISION_WORDS = ", ".join(DECISIONS)
#: Columns that a list needs.
NEEDED = (*TO_FILL, "identifier", "title", "snapshot")
WHAT = "a list of records to decide on (cellclaims screen --into)"


@dataclass(frozen=True)
class Taken:
    """What came of a list.

    Attributes
    ----------
    added : dict of str to int
        Decision -> rows that were added.
    already : int
        Decisions that the table had.
    completed : int
        Included records to which their report was added.
    undecided : int
        Rows of the list without a decision.
    """

    added: dict[str, int]
    already: int
    completed: int
    undecided: int


def take_over(
    path: Path, folder: Path, registry: Path | None = None, *, dry_run: bool = False, today: date | None = None
) -> Taken:
    """Record the decisions of a list, all or none.

    Parameters
    ----------
    path : Path
        What ``cellclaims screen --into`` wrote, with a person's decisions.
    folder : Path
        The evidence.
    registry : Path, optional
        Folder of the store; ``registry`` in the folder of the evidence by default.
    dry_run : bool
        Check everything and write nothing.
    today : date, optional
        Day of the decisions; today in UTC by default.

    Raises
    ------
    ProposalError
        With every row that cannot be recorded, or every fault that the check would find; nothing is written then.
    DataError, SourceError
        If the tables, the store or a snapshot cannot be used.
    """
    rows = [row | {name: one_line(cell) for name, cell in row.items()} for row in read_sheet(path, NEEDED, WHAT)]
    held, evidence, store = read_held(folder), load(folder), Store(registry or registry_of(folder))
    refuse_older_store(evidence, store)
    reasons = listed_reasons(protocol.load(folder).content)
    day = (today or datetime.now(UTC).date()).isoformat()
    decided = [row for row in rows if any(row[name] for name in ("decision", "reason", "study_id", "final"))]
    known = Snapshots(store)
    faults, new, already, completed = [], [], 0, 0
    old = held.rows["screening"]
    for row in decided:
        origin = f"{path.name} row {row['row']}"
        problems = [f"{origin}, column {column}: {words}" for column, words in row_faults(row, held, reasons, known)]
        faults += problems
        if problems:
            continue
        made = decision(row, known.record(row["snapshot"], row["identifier"]), [*old, *new], day)
        same = [one for one in [*old, *new] if _key(one) == _key(made)]
        if not same:
            new.append(made)
        elif any(_said(one) == _said(made) for one in same):
            already += 1
        elif _said(same[0]) == (*_said(made)[:2], ""):  # the report that an included record became
            same[0]["study_id"] = made["study_id"]
            completed += 1
        else:
            faults.append(f"{origin}, column decision: {differing(same[0], made)}")
    if faults:
        raise ProposalError("\n".join([f"nothing of {path} was recorded:", *(f"  {fault}" for fault in faults)]))
    if new or completed:
        _write(held, evidence, store, [*old, *new], dry_run=dry_run)
    named = [one["decision"] for one in new]
    added = {name: named.count(name) for name in DECISIONS if name in named}
    return Taken(added, already, completed, len(rows) - len(decided))


class Snapshots:
    """The records of the snapshots that a list names, read once each."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[str, dict[str, Record]] = {}

    def record(self, name: str, identifier: str) -> Record | None:
        """The record of that identifier; None if the snapshot has none.

        Raises
        ------
        SourceError
            If the store has no such snapshot, or it is damaged.
        """
        if name not in self._read:
            if not name:
                raise SourceError("expected the name of a snapshot, found nothing")
            found = records(self.store, self.store.snapshot(name), [])
            self._read[name] = {key: one for one in found for key in one.ids}
        return self._read[name].get(identifier)


def row_faults(
    row: Cells, held: Held, reasons: Mapping[str, Mapping[str, str]], known: Snapshots
) -> Iterator[tuple[str, str]]:
    """What is wrong with one decided row: the column, and what was expected and found.

    Parameters
    ----------
    row : dict
        A row of the list.
    held : Held
        The tables of the evidence.
    reasons : mapping
        The protocol's reasons by name, each with its stage.
    known : Snapshots
        The records that the list may name.
    """
    row["decision"], row["final"] = row["decision"].lower(), row["final"].lower() or "no"
    made, reason, study = row["decision"], row["reason"], row["study_id"]
    if made not in DECISIONS:
        yield "decision", f"expected {', '.join(DECISIONS)} or an empty row, found {made or 'nothing'}"
    if not row["reviewer"]:
        yield "reviewer", "expected the name of who decides, found nothing"
    if row["final"] not in ("yes", "no"):
        yield "final", f"expected yes, no or nothing, found {row['final']}"
    if reason and reason not in reasons:
        yield "reason", f"expected one of {', '.join(reasons)} (screening.reasons in protocol.yml), found {reason}"
    elif reason and made in DECISIONS and (stage := reasons[reason]["stage"]) and DECISION_OF[stage] != made:
        yield "decision", f"expected {DECISION_OF[stage]}, as the reason is {reason}, found {made}"
    elif made == "exclude" and not reason:
        yield "reason", f"expected a reason to exclude ({', '.join(reasons)}), found nothing"
    if study and made != "include":
        yield "study_id", f"expected nothing, as the decision is {made or 'empty'}, found {study}"
    elif study and not held.has("studies", "study_id", study):
        yield "study_id", f"expected a report of published/studies.csv or nothing, found {study}"
    try:
        record = known.record(row["snapshot"], row["identifier"])
    except SourceError as fault:
        yield "snapshot", str(fault)
        return
    if record is None:
        found = row["identifier"] or "nothing"
        yield "identifier", f"expected a record of snapshot {row['snapshot']}, found {found}"
    elif row["title"] != record.title:
        yield "title", f"expected {record.title!r} as the kept answer has it, found {row['title'][:200]!r}"


def decision(row: Cells, record: Record, earlier: Iterable[Cells], day: str) -> Cells:
    """A row of ``screening.csv``; a record that is there under one of its identifiers keeps that name."""
    of_it = (one for one in earlier if not identifiers(one["identifier"], one["also"]).isdisjoint(record.ids))
    identifier = next((one["identifier"] for one in of_it), record.identifier)
    return {
        "identifier": identifier,
        "also": "; ".join(one for one in record.ids if one != identifier),
        "source": record.source,
        "title": guard(record.title),
        "year": record.year,
        "decision": row["decision"],
        "reason": row["reason"],
        "reviewer": guard(row["reviewer"]),
        "final": row["final"],
        "decided": day,
        "study_id": row["study_id"],
        "snapshot": row["snapshot"],
    }


def _key(row: Cells) -> tuple[str, ...]:
    return row["identifier"], row["reviewer"], row["final"]


def _said(row: Cells) -> tuple[str, ...]:
    return row["decision"], row["reason"], row["study_id"]


def differing(old: Cells, new: Cells) -> str:
    """Why another decision of the same person on the same record is not recorded."""
    was, found = (" ".join(filter(None, _said(one))) for one in (old, new))
    where = f"screening.csv row {old['line']}" if "line" in old else "an earlier row of the list"
    instead = "a decision is changed in screening.csv, or agreed on in a row with final yes"
    return f"expected {was} of {old['reviewer']} on {old['identifier']}, as in {where}, found {found}: {instead}"


def refuse_older_store(evidence: Evidence, store: Store) -> None:
    """Refuse a store that lacks a snapshot that is newer than its own: the counts of the searches would be wrong.

    Raises
    ------
    ProposalError, SourceError
        If that is so; if the store has no snapshot at all.
    """
    last, screened_last = store.snapshot().name, max(evidence.searches.snapshot, default="")
    if screened_last > last:
        raise ProposalError(
            f"{store.folder}: expected snapshot {screened_last}, which screening/searches.csv counts, or a later one, "
            f"found {last} as the last: hand the store on (`cellclaims pull --from THEIR_FOLDER`), or pull anew"
        )


def _write(held: Held, evidence: Evidence, store: Store, rows: list[Cells], *, dry_run: bool) -> None:
    """Write the decisions and the counts of every snapshot that they name, after the whole check of a copy.

    Raises
    ------
    ProposalError
        With every fault that the check finds.
    """
    ordered = sorted(rows, key=_key)
    contents = dict([_content(held, "screening", ordered)])
    with_decisions = _evidence_with(evidence, held, ordered)
    names = sorted({store.snapshot().name, *(row["snapshot"] for row in rows)} & {*store.names()})
    counted = [one for name in names for one in sort_records(with_decisions, store, store.snapshot(name)).counts()]
    columns = held.schema.tables["searches"].names
    made = [dict(zip(columns, map(str, astuple(one)), strict=True)) for one in counted]
    kept = [row for row in held.rows["searches"] if row["snapshot"] not in names]
    contents |= dict([_content(held, "searches", sorted([*kept, *made], key=lambda row: row["snapshot"]))])
    contents = {path: both for path, both in contents.items() if both[0] != both[1]}
    if faults := faults_with(held, contents):
        raise ProposalError(
            "\n".join(["nothing was written, `cellclaims check` would find:", *(f"  {fault}" for fault in faults)])
        )
    if not dry_run:
        write_all(contents)


def _content(held: Held, table: str, rows: list[Cells]) -> tuple[Path, tuple[bytes, bytes]]:
    """A table's path with its bytes before and after."""
    declared = held.schema.tables[table]
    path = held.folder / declared.path
    text = csv_text([declared.names, *([row[name] for name in declared.names] for row in rows)], guarded=False)
    return path, (path.read_bytes(), text.encode())


def _evidence_with(evidence: Evidence, held: Held, rows: list[Cells]) -> Evidence:
    """The evidence with these decisions instead."""
    names = held.schema.tables["screening"].names
    frame = pd.DataFrame([[row[name] for name in names] for row in rows], columns=names)
    return replace(evidence, screening=frame)


# The command.


def write_list(into: Path, data: Path, registry: Path, snapshot: str = "", reviewer: str = "") -> str:
    """Write the list of records to decide on; a summary in words.

    Parameters
    ----------
    into : Path
        The file to write; an existing file is never overwritten.
    data, registry : Path
        Folders of the evidence and of the store.
    snapshot : str
        Name of the snapshot; the last by default.
    reviewer : str
        The list is for this second reviewer, too (:func:`cellclaims.screening.worklist.worklist`).

    Raises
    ------
    ProposalError, SourceError, DataError
        If a file, a snapshot or a table cannot be used; nothing is written then.
    """
    evidence, store = load(data), Store(registry)
    found = _sorted(evidence, store, snapshot)
    rows = worklist(evidence, found, reviewer)
    write_proposals(into, rows, WORK_COLUMNS)
    posted = sum("results posted" in row["marks"] for row in rows)
    lines = [
        f"{into}: {len(rows)} records to decide on, {posted} of them with posted results, of {dated(found.snapshot)}",
        f"not listed: {len(found.known)} that the review uses, {len(found.everything) - len(found.known) - len(rows)} "
        "decided",
    ]
    if found.refused:
        lines.append(f"{len(found.refused)} answers or records could not be read, the first: {found.refused[0]}")
    reasons = listed_reasons(protocol.load(data).content)
    lines += [
        *(f"  {name}: {one['words']} ({DECISION_OF[one['stage']]})" for name, one in reasons.items()),
        f"fill in decision ({DECISION_WORDS}), reason (one of these) and reviewer: cellclaims screen --accept {into}",
    ]
    return "\n".join(lines)


def _sorted(evidence: Evidence, store: Store, snapshot: str) -> Sorted:
    with progress("records") as told:
        return sort_records(evidence, store, store.snapshot(snapshot), told)


def take_over_in_words(path: Path, data: Path, registry: Path | None = None, *, dry_run: bool = False) -> str:
    """Record the decisions of a list; what was written, in words. Errors are those of :func:`take_over`."""
    if sys.stderr.isatty():
        print("reading the snapshot and checking the tables with the decisions ...", file=sys.stderr)
    taken = take_over(path, data, registry, dry_run=dry_run)
    parts = [f"{count} {name}" for name, count in taken.added.items()]
    words = ", ".join([*parts, *([f"the report of {taken.completed} included before"] if taken.completed else [])])
    start = "would be recorded" if dry_run else "recorded"
    first = f"{start}: {words or 'nothing new'}; {taken.already} recorded before, {taken.undecided} undecided"
    return "\n".join(filter(None, [first, "" if dry_run else conflicts_in_words(load(data))]))


def state_in_words(data: Path) -> str:
    """How far screening is, and the conflicts that wait for an agreement."""
    evidence = load(data)
    counted = counts(evidence)
    if counted is None:
        return "no search was screened yet: cellclaims screen --into FILE.csv lists the records of the last snapshot"
    decisions = [one.decision for one in screened(evidence)]
    named = ", ".join(f"{decisions.count(name)} {name}" for name in (*DECISIONS, "conflict") if name in decisions)
    last = max(evidence.searches.snapshot)
    first = (
        f"snapshot {last}: {counted.records} records, {counted.merged} of them given by a second source, "
        f"{counted.known} of reports that the review uses, {counted.waiting} without a decision"
    )
    return "\n".join(filter(None, [first, f"decided: {named}", conflicts_in_words(evidence)]))
