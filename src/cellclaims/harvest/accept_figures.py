"""One accepted figure: refused with what is missing, found to stand already, or planned with where it came from."""

from __future__ import annotations

import json
import re

from cellclaims.errors import ProposalError
from cellclaims.harvest.compare import Grade, grade
from cellclaims.harvest.held import Cells, Held, registrations
from cellclaims.harvest.plan import Plan
from cellclaims.harvest.proposals import COLUMNS, VALUES, value_faults
from cellclaims.harvest.sheet import is_number
from cellclaims.tables.rules_accepted import locator

#: What a file of proposals must hold to be taken over.
NOT_NEEDED = ("grade", "differences", "held", "study_why", "arm_why", "place")
NEEDED = tuple(name for name in COLUMNS if name not in NOT_NEEDED)
TABLES = ("continuous", "binary")
#: The figures are the record's and never changed on the way; what describes them is the person's to correct.
FIGURES = (
    "unit unit_printed n events percent percent_printed center_type center dispersion_type dispersion_low "
    "dispersion_high"
).split()
#: What is no column of a table.
NOT_A_COLUMN = ("place",)
GUIDE = "docs/add_a_study.md"


def take(plan: Plan, row: Cells, origin: str, day: str) -> bool:
    """Plan one accepted figure; False where the tables hold it already.

    Raises
    ------
    ProposalError
        If the report, the arm or the answer is missing, a figure was changed, or the tables hold another figure.
    """
    values = values_of(row, origin)
    refuse_place(plan.held, row, origin)
    refuse_changes(row, values, origin)
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
    """The values of a row; a figure that a spreadsheet respelt (0.50 as 0.5) with the digits of the record.

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
    """Whether a cell says what was harvested: the same text, or the same number."""
    if is_number(cell) and is_number(printed):
        return float(cell) == float(printed)
    return cell == printed


def refuse_place(held: Held, row: Cells, origin: str) -> None:
    """Refuse a row whose table, report or arm is not there: reports and arms are entered by a person."""
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
    """Refuse a figure that is not the record's, and a correction of what describes it without a reason."""
    read = json.loads(row["as_read"])
    changed = [name for name in VALUES if name not in NOT_A_COLUMN and values[name] != str(read.get(name, ""))]
    for name in changed:
        was, found = read.get(name) or "nothing", values[name] or "nothing"
        if name in FIGURES:
            never = "a figure is never corrected here, a doubted one is a row of anomalies.csv"
            raise ProposalError(f"{origin}, column {name}: expected {was} as the record has it, found {found}: {never}")
        if not row["reason"].strip():
            why = f"expected why {name} was changed from {was} to {found}, found nothing"
            raise ProposalError(f"{origin}, column reason: {why}")


def is_accepted(held: Held, row: Cells, origin: str) -> bool:
    """Whether this place of this answer was accepted before.

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
    """Why a differing figure is not written, and what becomes of it instead."""
    places = ", ".join(f"published/{row['table']}.csv row {one['line']} from {one['source_id']}" for one in result.held)
    differences = "; ".join(map(str, result.differences))
    if all(one.held == "" for one in result.differences) or of_registry(held, row, result):
        instead = "it becomes a second source: add it by hand with a source of its own (docs/proposals.md)"
    else:
        instead = (
            "it becomes an anomaly of the kind registry_differs_from_paper, which quotes both figures, in "
            f"published/anomalies.csv for {row['study_id']}, with its handling in handling.csv (data/README.md)"
        )
    return f"expected a figure that nothing contradicts, found another at {places} ({differences}): {instead}"


def of_registry(held: Held, row: Cells, result: Grade) -> bool:
    """Whether every held row was read from a registry, too: an earlier state of the record, not a paper."""
    kinds = {source["source_id"]: source["kind"] for source in held.rows["sources"]}
    return all(kinds.get(one["source_id"]) == "registry" for one in result.held)


def vouched(plan: Plan, row: Cells, result: Grade, origin: str, day: str) -> bool:
    """Add who accepted a figure that stands, where an acceptance was cut off before that; else nothing."""
    place = locator(row["snapshot"], row["pointer"])
    if any((one["source_id"], one["locator"]) == (source_id(row), place) for one in result.held):
        plan.add("accepted", acceptance(plan.held, row, day), origin)
        return True
    return False


def enter(plan: Plan, row: Cells, values: Cells, origin: str, day: str) -> None:
    """Plan the figure, its source unless it is there, and who accepted it."""
    names = plan.held.schema.tables[row["table"]].names
    if not plan.held.has("sources", "source_id", source_id(row)):
        plan.add("sources", source(row), origin)
    whose = {
        "study_id": row["study_id"],
        "arm_id": row["arm_id"],
        "source_id": source_id(row),
        "locator": locator(row["snapshot"], row["pointer"]),
    }
    plan.add(row["table"], {name: values[name] for name in VALUES if name in names} | whose, origin)
    plan.add("accepted", acceptance(plan.held, row, day), origin)


def source_id(row: Cells) -> str:
    """The source of a figure: report, registration, and the answer by the start of its checksum.

    Examples
    --------
    >>> source_id({"study_id": "zang2022", "registration": "NCT02302599", "sha256": "1f3a9c2e" + 56 * "0"})
    'zang2022_nct02302599_1f3a9c2e'
    """
    number = re.sub(r"[^a-z0-9]+", "_", row["registration"].lower())
    return f"{row['study_id']}_{number}_{row['sha256'][:8]}"


def source(row: Cells) -> Cells:
    """The row of ``sources.csv`` for the record."""
    state = f"snapshot {row['snapshot']}" if row["snapshot"] else f"record as of {row['time'][:10]}"
    return {
        "source_id": source_id(row),
        "study_id": row["study_id"],
        "kind": "registry",
        "url": row["page"],
        "title": f"{row['registration']} posted results, {state}",
        "accessed": row["time"][:10],
        "text_seen": "posted results, read by the program",
    }


def acceptance(held: Held, row: Cells, day: str) -> Cells:
    """The row of ``accepted.csv`` for a figure."""
    same = "table study_id arm_id registration snapshot address time sha256 pointer reviewer".split()
    return {
        "acceptance_id": next_id(held),
        **{name: row[name] for name in same},
        "source_id": source_id(row),
        "reason": row["reason"].strip(),
        "accepted": day,
    }


def next_id(held: Held) -> str:
    """A short name that no acceptance has."""
    last = max((int(one["acceptance_id"][1:]) for one in held.rows["accepted"]), default=0)
    return f"h{last + 1:03d}"
