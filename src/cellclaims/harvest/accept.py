"""Adding accepted rows to the tables, with source, position and reviewer, all or none.

A row is added if its ``decision`` is ``accept`` and a reviewer is named. Its report and arm must be in the tables, its
values must be those harvested, and it must not contradict existing rows. Existing rows are kept, so accepting twice
changes nothing.
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path

from cellclaims.errors import Fault, ProposalError, SourceError
from cellclaims.evidence import check
from cellclaims.evidence.rules_reports import locator
from cellclaims.evidence.schema import FILE
from cellclaims.files import is_number, runs, write_atomically
from cellclaims.harvest.held import (
    Cells,
    Grade,
    Held,
    grade,
    one_line,
    read_held,
    read_sheet,
    refuse_header,
    registrations,
    with_cell,
    with_rows,
)
from cellclaims.harvest.proposals import PAGE, PROPOSAL_COLUMNS, VALUES, read_values, value_faults
from cellclaims.harvest.study import posted
from cellclaims.protocol import FILE as PROTOCOL
from cellclaims.registries.answers import json_of
from cellclaims.registries.records import Paper, studies_in
from cellclaims.registries.records import crossref as papers_of_crossref
from cellclaims.registries.records import europepmc as papers_of_europepmc
from cellclaims.registries.store import Answer, Store, registry_of

# Planning an acceptance: the new content of all tables, checked in a copy, written completely or not at all.
#
# Nothing is written before the copy with the new content passes every rule of ``cellclaims check``.


#: The order of writing: sources before rows, acceptances last. A process killed between two files
#: leaves tables without a fault, and accepting again adds the rest.
ORDER = ("sources", "continuous", "binary", "studies", "accepted")


@dataclass
class Plan:
    """Rows to add, by table, and cells of ``studies.csv`` to fill; ``origins`` names the proposal of each new line.

    ``held`` receives every planned row, so that the next proposal is compared with it, too.
    """

    held: Held
    rows: dict[str, list[Cells]] = field(default_factory=lambda: {name: [] for name in ORDER})
    filled: list[tuple[Cells, str, str]] = field(default_factory=list)
    origins: dict[tuple[str, int], str] = field(default_factory=dict)

    def add(self, table: str, cells: Cells, origin: str) -> None:
        """Plan a row; missing columns are empty.

        Raises
        ------
        ProposalError
            If a spreadsheet would run a cell as a formula: the tables are opened in one, too.
        """
        for column, cell in cells.items():
            if runs(cell):
                raise ProposalError(f"{origin}, column {column}: expected words, found the formula {cell[:80]!r}")
        line = len(self.held.rows[table]) + 2
        row = dict.fromkeys(self.held.schema.tables[table].names, "") | cells
        self.rows[table].append(row)
        self.held.rows[table].append(row | {"line": str(line)})
        self.origins[self.held.schema.tables[table].path, line] = origin

    def fill(self, study: Cells, column: str, value: str, origin: str) -> None:
        """Plan to fill an empty cell of a report."""
        self.filled.append((study, column, value))
        study[column] = value
        self.origins[self.held.schema.tables["studies"].path, int(study["line"])] = origin

    @property
    def empty(self) -> bool:
        """Return whether there is nothing to write."""
        return not self.filled and not any(self.rows.values())

    def contents(self) -> dict[Path, tuple[bytes, bytes]]:
        """Return path -> bytes before and after, for each table that changes, in the order of writing."""
        found = {}
        for name in ORDER:
            path = self.held.folder / self.held.schema.tables[name].path
            before = path.read_bytes()
            names = self.held.schema.tables[name].names
            after = self.with_filled(before) if name == "studies" else before
            after = with_rows(after, [[row[column] for column in names] for row in self.rows[name]])
            if after != before:
                found[path] = (before, after)
        return found

    def with_filled(self, content: bytes) -> bytes:
        """Return ``studies.csv`` with the planned cells."""
        names = self.held.schema.tables["studies"].names
        for study, column, value in self.filled:
            content = with_cell(content, int(study["line"]), names.index(column), value)
        return content


@contextmanager
def tried(held: Held, contents: dict[Path, tuple[bytes, bytes]]) -> Iterator[Path]:
    """A copy of the data folder with the new content, in a folder that is gone afterwards.

    Parameters
    ----------
    held : Held
        The tables as they are.
    contents : dict
        Path of a table -> its bytes before and after.
    """
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch)
        names = [FILE, PROTOCOL, *(table.path for table in held.schema.tables.values())]
        for name in (name for name in names if (held.folder / name).exists()):
            source, target = held.folder / name, copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(contents[source][1] if source in contents else source.read_bytes())
        yield copy


def faults_with(held: Held, contents: dict[Path, tuple[bytes, bytes]]) -> list[Fault]:
    """Run the whole check on a copy of the data folder with new content; the faults that no anomaly explains."""
    with tried(held, contents) as copy:
        return [fault for fault in check.faults(copy) if not fault.anomaly_id]


def try_out(plan: Plan, contents: dict[Path, tuple[bytes, bytes]]) -> None:
    """Run the whole check on a copy of the tables with the new content.

    Raises
    ------
    ProposalError
        With every fault that the check finds and no anomaly explains; a fault in a new line names its proposal.
    """
    faults = faults_with(plan.held, contents)
    if faults:
        raise ProposalError(
            "\n".join(["nothing was written, `cellclaims check` would find:", *faults_in_words(plan, faults)])
        )


def faults_in_words(plan: Plan, faults: list[Fault]) -> list[str]:
    """Return the faults of the check, each with the proposal that causes it."""
    origins = (plan.origins.get((fault.file, fault.row or 0), "") for fault in faults)
    return [f"  {origin}: {fault}" if origin else f"  {fault}" for fault, origin in zip(faults, origins, strict=True)]


def write_all(contents: dict[Path, tuple[bytes, bytes]]) -> None:
    """Write all files or none; if one cannot be written, the earlier ones are restored.

    Raises
    ------
    ProposalError
        If a file was changed since it was read, or cannot be written.
    """
    for path, (before, _) in contents.items():
        if path.read_bytes() != before:
            raise ProposalError(f"{path}: expected the table as it was read, found it changed meanwhile: try again")
    written: list[Path] = []
    try:
        for path, (_, after) in contents.items():
            write_atomically(path, after)
            written.append(path)
    except OSError as error:
        for path in written:
            write_atomically(path, contents[path][0])
        raise ProposalError(f"{error.filename or path}: nothing was accepted: {error.strerror or error}") from None


# Whether what was accepted is what the kept answer says: its bytes, the place in it, the arm, and every value.
#
# A file of proposals goes through a person's hands and a spreadsheet; the answer does not. It is opened again, read
# again by the program, and compared with the file before anything is planned.


@dataclass(frozen=True)
class KeptFigure:
    """A result in the stored answer: trial, arm and values (:data:`VALUES`)."""

    table: str
    registration: str
    arm_title: str
    page: str
    values: Cells


class KeptAnswers:
    """The answers of a store, each opened, checked against its checksum and read once.

    Parameters
    ----------
    store : Store
        The folder of the answers.
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        self._figures: dict[str, tuple[dict[str, KeptFigure], dict[str, str]]] = {}
        self._papers: dict[str, dict[str, Paper]] = {}

    def figure(self, row: Cells, origin: str) -> KeptFigure:
        """Return the result at the position named in a row.

        Raises
        ------
        ProposalError
            If the store has no such answer, it was changed, no snapshot lists it so, or nothing is read there.
        """
        sha256, pointer = row["sha256"], row["pointer"]
        if sha256 not in self._figures:
            self._figures[sha256] = self._read(sha256, origin)
        self._listed(row, origin)
        figures, refused = self._figures[sha256]
        if pointer not in figures:
            above = (why for place, why in refused.items() if f"{pointer}/".startswith(f"{place}/"))
            why = next((f"none: {why}" for why in above), "nothing")
            place = f"{pointer or 'a place'} of the kept answer {sha256[:8]}"
            raise ProposalError(f"{origin}, column pointer: expected a figure that is read at {place}, found {why}")
        return figures[pointer]

    def paper(self, row: Cells, origin: str) -> Paper:
        """Return the publication at the position named in a row; raises ProposalError, as :meth:`figure` does."""
        sha256 = row["sha256"]
        if sha256 not in self._papers:
            content = self._content(sha256, origin)
            answer = Answer("", "", row["address"], {}, row["time"], 200, sha256, len(content))
            self._papers[sha256] = {}
            for reader in (papers_of_crossref, papers_of_europepmc):
                with suppress(ValueError, RecursionError):
                    found = (one for one in reader(answer, content) if isinstance(one, Paper))
                    self._papers[sha256] |= {one.pointer: one for one in found}
        if row["pointer"] not in self._papers[sha256]:
            place = f"{row['pointer'] or 'a place'} of the kept answer {sha256[:8]}"
            raise ProposalError(f"{origin}, column pointer: expected a publication at {place}, found nothing")
        return self._papers[sha256][row["pointer"]]

    def _content(self, sha256: str, origin: str) -> bytes:
        try:
            return self.store.content(sha256)
        except SourceError as fault:
            raise ProposalError(f"{origin}, column sha256: {fault}") from None

    def _read(self, sha256: str, origin: str) -> tuple[dict[str, KeptFigure], dict[str, str]]:
        """Return the results of an answer by position, and the reasons of refusals."""
        figures, refused = {}, {}
        try:
            for place, study in studies_in(json_of(self._content(sha256, origin))):
                found = posted(study)
                for row in found.rows:
                    read = read_values(row.values)
                    page = PAGE.format(row.registration)
                    kept = KeptFigure(row.table, row.registration, one_line(row.arm_title), page, read)
                    figures[place + row.pointer] = kept
                refused |= {place + one.pointer: one.reason for one in found.refused}
        except (ValueError, RecursionError) as fault:
            raise ProposalError(
                f"{origin}, column sha256: expected studies in the kept answer, found {fault}"
            ) from None
        return figures, refused

    def _listed(self, row: Cells, origin: str) -> None:
        """Raise an error if the snapshot of a row does not list its answer with that address and time."""
        try:
            answers = self.store.snapshot(row["snapshot"]).answers if row["snapshot"] else ()
        except SourceError as fault:
            raise ProposalError(f"{origin}, column snapshot: {fault}") from None
        mine = [one for one in answers if one.sha256 == row["sha256"]]
        if not mine:
            found = row["snapshot"] or "nothing"
            raise ProposalError(
                f"{origin}, column snapshot: expected one that lists the answer {row['sha256'][:8]}, found {found}"
            )
        for name in ("source", "address", "time"):
            known = dict.fromkeys(getattr(one, name) for one in mine)
            if row[name] not in known:
                expected = " or ".join(known)
                raise ProposalError(f"{origin}, column {name}: expected {expected}, found {row[name] or 'nothing'}")


def refuse_other_record(kept: KeptAnswers, row: Cells, origin: str) -> None:
    """Raise an error if the stored answer differs: another table, trial, arm, page or value.

    Raises
    ------
    ProposalError
        With the first column that differs, what the answer has and what the file says.
    """
    figure = kept.figure(row, origin)
    for name in ("table", "registration", "arm_title", "page"):
        if row[name] != getattr(figure, name):
            raise ProposalError(_not_kept(origin, name, getattr(figure, name), row[name]))
    read = json.loads(row["as_read"])
    for name in VALUES:
        if name not in NOT_A_COLUMN and str(read.get(name, "")) != figure.values[name]:
            raise ProposalError(_not_kept(origin, f"as_read, {name}", figure.values[name], str(read.get(name, ""))))


def _not_kept(origin: str, column: str, kept: str, found: str) -> str:
    return (
        f"{origin}, column {column}: expected {kept or 'nothing'} as the kept answer has it, found "
        f"{found[:200] or 'nothing'}: nothing but the record's own figures is accepted here"
    )


# One accepted result: refused with the reason, recognised as existing, or planned with its source.


#: Columns required in a file of proposals.
NOT_NEEDED = ("grade", "differences", "held", "study_why", "arm_why", "place")
FIGURE_COLUMNS = tuple(name for name in PROPOSAL_COLUMNS if name not in NOT_NEEDED)
TABLES = ("continuous", "binary")
#: The figures are the record's and never changed on the way; what describes them is the person's to correct.
FIGURES = (
    "unit unit_printed n events percent percent_printed center_type center dispersion_type dispersion_low "
    "dispersion_high"
).split()
#: What is no column of a table.
NOT_A_COLUMN = ("place",)
GUIDE = "docs/add_a_study.md"


def take_figure(plan: Plan, kept: KeptAnswers, row: Cells, origin: str, day: str) -> bool:
    """Plan one accepted result; return False if it is in the tables already.

    Raises
    ------
    ProposalError
        If the report, the arm or the answer is missing, the stored answer differs, a value was changed,
        or the tables contain another value.
    """
    values = values_of(row, origin)
    refuse_place(plan.held, row, origin)
    refuse_changes(row, values, origin)
    refuse_other_record(kept, row, origin)
    if faults := value_faults(plan.held, row["table"], values):
        raise ProposalError(f"{origin}: column {faults[0]}")
    if is_accepted(plan.held, row, origin):
        return False
    result = grade(row["table"], values, plan.held.of_arm(row["table"], row["study_id"], row["arm_id"]))
    if result.name == "differs":
        raise ProposalError(f"{origin}: {conflict(plan.held, row, result)}")
    if result.name == "same":
        return vouched(plan, row, result, origin, day)
    enter(plan, row, values, origin, day)
    return True


def values_of(row: Cells, origin: str) -> Cells:
    """Return the values of a row; a number changed by a spreadsheet (0.50 to 0.5) gets the digits of the record.

    Raises
    ------
    ProposalError
        If ``as_read`` is not what ``cellclaims propose`` wrote.
    """
    try:
        read = json.loads(row["as_read"])
        printed = {name: str(read.get(name, "")) for name in VALUES}
    except (ValueError, AttributeError, RecursionError):
        found = repr(row["as_read"][:80])
        raise ProposalError(f"{origin}, column as_read: expected what was proposed, found {found}") from None
    cells = {name: row.get(name, "").strip() for name in VALUES}
    return {name: printed[name] if same_text(cells[name], printed[name]) else cells[name] for name in VALUES}


def same_text(cell: str, printed: str) -> bool:
    """Return whether a cell equals the harvested value, as text or as a number."""
    if is_number(cell) and is_number(printed):
        return float(cell) == float(printed)
    return cell == printed


def refuse_place(held: Held, row: Cells, origin: str) -> None:
    """Raise an error if table, report or arm is missing: reports and arms are added manually."""
    study, arm, number = row["study_id"], row["arm_id"], row["registration"]
    if row["table"] not in TABLES:
        raise ProposalError(f"{origin}, column table: expected continuous or binary, found {row['table']!r}")
    if not held.has("studies", "study_id", study):
        raise ProposalError(
            f"{origin}, column study_id: expected a report of published/studies.csv, found {study or 'nothing'}: "
            f"add its row first ({GUIDE}, steps 1 to 3)"
        )
    report = next(one for one in held.rows["studies"] if one["study_id"] == study)
    if number not in registrations(report["registry_id"]):
        raise ProposalError(
            f"{origin}, column study_id: expected a report that names {number}, found {study} with registry_id "
            f"{report['registry_id'] or 'empty'}: add the number to published/studies.csv row {report['line']} first"
        )
    if arm not in (known := [one["arm_id"] for one in held.arms(study)]):
        raise ProposalError(
            f"{origin}, column arm_id: expected an arm of {study} ({', '.join(known) or 'none yet'}), found "
            f"{arm or 'nothing'}: add its row to published/arms.csv first ({GUIDE}, step 2), or name one of these"
        )


def refuse_changes(row: Cells, values: Cells, origin: str) -> None:
    """Raise an error for a value that differs from the record, or a corrected label without a reason."""
    read = json.loads(row["as_read"])
    changed = [name for name in VALUES if name not in NOT_A_COLUMN and values[name] != str(read.get(name, ""))]
    for name in changed:
        was, found = read.get(name) or "nothing", values[name] or "nothing"
        if name in FIGURES:
            never = "values are not corrected here; a questionable one gets a row in anomalies.csv"
            raise ProposalError(f"{origin}, column {name}: expected {was} as in the record, found {found}: {never}")
        if not row["reason"].strip():
            why = f"expected why {name} was changed from {was} to {found}, found nothing"
            raise ProposalError(f"{origin}, column reason: {why}")


def is_accepted(held: Held, row: Cells, origin: str) -> bool:
    """Return whether this position of this answer was accepted before.

    Raises
    ------
    ProposalError
        If it was accepted for another arm: one figure belongs to one.
    """
    answer = ("table", "sha256", "pointer")
    for one in held.rows["accepted"]:
        if all(one[name] == row[name] for name in answer):
            if (one["study_id"], one["arm_id"]) != (row["study_id"], row["arm_id"]):
                was = f"{one['arm_id']} of {one['study_id']}, as accepted in {one['acceptance_id']}"
                raise ProposalError(
                    f"{origin}, column arm_id: expected {was}, found {row['arm_id']} of {row['study_id']}"
                )
            return True
    return False


def conflict(held: Held, row: Cells, result: Grade) -> str:
    """Return why a differing value is not added, and what to do instead."""
    places = ", ".join(f"published/{row['table']}.csv row {one['line']} from {one['source_id']}" for one in result.held)
    differences = "; ".join(map(str, result.differences))
    if all(one.held == "" for one in result.differences) or of_registry(held, row, result):
        instead = "it becomes a second source: add it manually with its own source (docs/proposals.md)"
    else:
        instead = (
            "it becomes an anomaly of the kind registry_differs_from_paper, which quotes both figures, in "
            f"published/anomalies.csv for {row['study_id']}, with its handling in handling.csv (data/README.md)"
        )
    return f"expected a figure that nothing contradicts, found another at {places} ({differences}): {instead}"


def of_registry(held: Held, row: Cells, result: Grade) -> bool:
    """Return whether all existing rows come from a registry, too: an earlier version of the record, not a paper."""
    kinds = {source["source_id"]: source["kind"] for source in held.rows["sources"]}
    return all(kinds.get(one["source_id"]) == "registry" for one in result.held)


def vouched(plan: Plan, row: Cells, result: Grade, origin: str, day: str) -> bool:
    """Add a missing acceptance of an existing row, after an interrupted command."""
    place = locator(row["snapshot"], row["pointer"])
    if any((one["source_id"], one["locator"]) == (source_id(row), place) for one in result.held):
        plan.add("accepted", figure_acceptance(plan.held, row, day), origin)
        return True
    return False


def enter(plan: Plan, row: Cells, values: Cells, origin: str, day: str) -> None:
    """Plan the row, its source if it is missing, and the acceptance."""
    names = plan.held.schema.tables[row["table"]].names
    if not plan.held.has("sources", "source_id", source_id(row)):
        plan.add("sources", source(row), origin)
    whose = {
        "study_id": row["study_id"],
        "arm_id": row["arm_id"],
        "source_id": source_id(row),
        "locator": locator(row["snapshot"], row["pointer"]),
    }
    whose["read_twice"] = "no"
    plan.add(row["table"], {name: values[name] for name in VALUES if name in names} | whose, origin)
    plan.add("accepted", figure_acceptance(plan.held, row, day), origin)


def source_id(row: Cells) -> str:
    """Return the name of the source: report, registration, and the start of the answer's checksum.

    Examples
    --------
    >>> source_id({"study_id": "zang2022", "registration": "NCT02302599", "sha256": "1f3a9c2e" + 56 * "0"})
    'zang2022_nct02302599_1f3a9c2e'
    """
    number = re.sub(r"[^a-z0-9]+", "_", row["registration"].lower())
    return f"{row['study_id']}_{number}_{row['sha256'][:8]}"


def source(row: Cells) -> Cells:
    """Return the row of ``sources.csv`` for the record."""
    state = f"snapshot {row['snapshot']}" if row["snapshot"] else f"record as of {row['time'][:10]}"
    return {
        "source_id": source_id(row),
        "study_id": row["study_id"],
        "kind": "registry",
        "url": row["page"],
        "read_at": row["page"],
        "title": f"{row['registration']} posted results, {state}",
        "accessed": row["time"][:10],
        "text_seen": "posted results, read by the program",
    }


def figure_acceptance(held: Held, row: Cells, day: str) -> Cells:
    """Return the row of ``accepted.csv`` for a figure."""
    same = "table study_id arm_id registration snapshot address time sha256 pointer reviewer".split()
    return {
        "acceptance_id": next_id(held),
        **{name: row[name] for name in same},
        "source_id": source_id(row),
        "reason": row["reason"].strip(),
        "accepted": day,
    }


def next_id(held: Held) -> str:
    """Return a new short name for an acceptance."""
    last = max((int(one["acceptance_id"][1:]) for one in held.rows["accepted"]), default=0)
    return f"h{last + 1:03d}"


# One accepted identifier of a report: it fills empty cells of ``studies.csv`` and never changes a filled one.


#: The identifiers that a candidate can bring.
IDENTIFIERS = ("doi", "pmid", "pmcid")
IDENTIFIER_COLUMNS = (
    *("decision", "reviewer", "reason", "study_id", "score"),
    *IDENTIFIERS,
    *("snapshot", "address", "time", "sha256", "pointer"),
)


def take_identifier(plan: Plan, kept: KeptAnswers, row: Cells, origin: str, day: str) -> bool:
    """Plan the identifiers of one accepted candidate; return False if the report has all of them.

    Raises
    ------
    ProposalError
        If there is no such report, the candidate has no identifier, the kept answer says another one, or the report
        has another one.
    """
    study = next((one for one in plan.held.rows["studies"] if one["study_id"] == row["study_id"]), None)
    if study is None:
        found = row["study_id"] or "nothing"
        raise ProposalError(f"{origin}, column study_id: expected a report of published/studies.csv, found {found}")
    found = {name: row[name].strip() for name in IDENTIFIERS if row[name].strip()}
    if not found:
        raise ProposalError(f"{origin}: expected a DOI, PubMed or PubMed Central number, found none")
    for name, value in found.items():
        refuse_other(study, name, value, origin)
    paper = kept.paper(row, origin)
    for name, value in found.items():
        if value.lower() != getattr(paper, name).lower():
            raise ProposalError(_not_kept(origin, name, getattr(paper, name), value))
    empty = {name: value for name, value in found.items() if not study[name]}
    for name, value in empty.items():
        plan.fill(study, name, value, origin)
        plan.add("accepted", identifier_acceptance(plan, row, name, value, day), origin)
    return bool(empty)


def refuse_other(study: Cells, name: str, value: str, origin: str) -> None:
    """Raise an error if the report has another identifier."""
    if study[name] and study[name].lower() != value.lower():
        expected = f"{study[name]}, the {name} of {study['study_id']} in published/studies.csv row {study['line']}"
        never = "a filled identifier is never changed"
        raise ProposalError(f"{origin}, column {name}: expected {expected}, found {value}: {never}")


def identifier_acceptance(plan: Plan, row: Cells, name: str, value: str, day: str) -> Cells:
    """Return the row of ``accepted.csv`` for one identifier."""
    same = "study_id snapshot address time sha256 pointer reviewer".split()
    return {
        "acceptance_id": next_id(plan.held),
        "table": "studies",
        "column": name,
        "value": value,
        **{name: row[name] for name in same},
        "reason": row["reason"].strip(),
        "accepted": day,
    }


DECISIONS = ("", "accept", "reject")
#: Kind of file -> the columns by which it is known and what takes a row of it over.
KINDS = {
    "as_read": (FIGURE_COLUMNS, take_figure),
    "score": (IDENTIFIER_COLUMNS, take_identifier),
}


@dataclass(frozen=True)
class Acceptance:
    """Result of a file of proposals.

    Attributes
    ----------
    added : dict of str to int
        Table -> rows that were added; ``studies`` counts identifiers that were filled in.
    already : int
        Accepted proposals that are in the tables already.
    rejected, undecided : int
        Proposals that were not added.
    lines : tuple of str
        What was, or would be, written: file and line of each.
    """

    added: dict[str, int]
    already: int
    rejected: int
    undecided: int
    lines: tuple[str, ...]


def accept(
    path: Path, folder: Path, registry: Path | None = None, *, dry_run: bool = False, today: date | None = None
) -> Acceptance:
    """Add the accepted rows of a file of proposals to the tables, all or none.

    The answers that the rows name are opened: what is not the record's is refused.

    Parameters
    ----------
    path : Path
        What ``cellclaims propose`` or ``cellclaims resolve`` wrote, with a person's decisions.
    folder : Path
        The evidence.
    registry : Path, optional
        Folder of the store with the answers; ``registry`` in the folder of the evidence by default.
    dry_run : bool
        Check everything and write nothing.
    today : date, optional
        Day of the acceptance; today in UTC by default.

    Raises
    ------
    ProposalError
        With all rows that cannot be added, or all faults found by the check; nothing is written then.
    DataError
        If the tables have a fault before anything is added.
    """
    rows, take = decided(path)
    accepted = [row for row in rows if row["decision"] == "accept"]
    plan, kept = Plan(read_held(folder)), KeptAnswers(Store(registry or registry_of(folder)))
    day = (today or datetime.now(UTC).date()).isoformat()
    faults = [fault for row in accepted for fault in reviewer_faults(path, row)]
    already = 0
    for row in accepted:
        try:
            already += not take(plan, kept, row, f"{path.name} row {row['row']}", day)
        except ProposalError as fault:
            faults.append(str(fault))
    if faults:
        raise ProposalError("\n".join([f"nothing of {path} was accepted:", *(f"  {fault}" for fault in faults)]))
    written = settle(plan, dry_run=dry_run)
    count = [row["decision"] for row in rows].count
    return Acceptance(added(plan), already, count("reject"), count(""), written)


def settle(plan: Plan, *, dry_run: bool) -> tuple[str, ...]:
    """Check the plan and, unless it is a dry run, write it; return a summary."""
    if plan.empty:
        return ()
    contents = plan.contents()
    try_out(plan, contents)
    if not dry_run:
        write_all(contents)
    return tuple(f"{file} row {line}: {origin}" for (file, line), origin in sorted(plan.origins.items()))


def added(plan: Plan) -> dict[str, int]:
    """Return rows and identifiers of a plan by table, without empty ones."""
    counts = {name: len(rows) for name, rows in plan.rows.items()} | {"studies": len(plan.filled)}
    return {name: number for name, number in counts.items() if number}


def decided(path: Path) -> tuple[list[Cells], Callable[[Plan, KeptAnswers, Cells, str, str], bool]]:
    """Return the rows of a file with decisions in lower case, and the function that plans one of them."""
    rows = read_sheet(path, ("decision", "reviewer", "reason"))
    kind = next((kind for kind in KINDS if rows and kind in rows[0]), "as_read")
    needed, take = KINDS[kind]
    if rows:
        refuse_header(path, list(rows[0]), list(needed))
    for row in rows:
        row.update({name: one_line(cell) for name, cell in row.items() if name != "as_read"})
        row["decision"] = row["decision"].lower()
        if (decision := row["decision"]) not in DECISIONS:
            place = f"{path}: row {row['row']}, column decision"
            raise ProposalError(f"{place}: expected accept, reject or nothing, found {decision!r}")
    return rows, take


def reviewer_faults(path: Path, row: Cells) -> Iterable[str]:
    """Yield a fault for a decision without a reviewer."""
    if not row["reviewer"]:
        yield f"{path.name} row {row['row']}, column reviewer: expected the name of the reviewer, found nothing"


def in_words(outcome: Acceptance, *, dry_run: bool) -> str:
    """Return the result of a file of proposals in words.

    Examples
    --------
    >>> print(in_words(Acceptance({"binary": 2, "sources": 1}, 1, 0, 3, ()), dry_run=False))
    accepted: 2 rows of binary.csv, 1 row of sources.csv; 1 in the tables already, 0 rejected, 3 undecided
    """
    words = [
        f"{number} {'identifier' if name == 'studies' else 'row'}{'' if number == 1 else 's'} of {name}.csv"
        for name, number in outcome.added.items()
    ]
    start = "would be accepted" if dry_run else "accepted"
    rest = f"{outcome.already} in the tables already, {outcome.rejected} rejected, {outcome.undecided} undecided"
    return "\n".join([f"{start}: {', '.join(words) or 'nothing new'}; {rest}", *outcome.lines])
