"""One accepted identifier of a report: it fills empty cells of ``studies.csv`` and never changes a filled one."""

from __future__ import annotations

from cellclaims.errors import ProposalError
from cellclaims.harvest.accept_figures import next_id
from cellclaims.harvest.held import Cells
from cellclaims.harvest.plan import Plan

#: The identifiers that a candidate can bring.
IDENTIFIERS = ("doi", "pmid", "pmcid")
NEEDED = (
    *("decision", "reviewer", "reason", "study_id", "score"),
    *IDENTIFIERS,
    *("snapshot", "address", "time", "sha256", "pointer"),
)


def take(plan: Plan, row: Cells, origin: str, day: str) -> bool:
    """Plan the identifiers of one accepted candidate; False where the report has them all.

    Raises
    ------
    ProposalError
        If there is no such report, the candidate has no identifier, or the report has another one.
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
    empty = {name: value for name, value in found.items() if not study[name]}
    for name, value in empty.items():
        plan.fill(study, name, value, origin)
        plan.add("accepted", acceptance(plan, row, name, value, day), origin)
    return bool(empty)


def refuse_other(study: Cells, name: str, value: str, origin: str) -> None:
    """Refuse an identifier where the report has another one."""
    if study[name] and study[name].lower() != value.lower():
        expected = f"{study[name]}, the {name} of {study['study_id']} in published/studies.csv row {study['line']}"
        never = "a filled identifier is never changed"
        raise ProposalError(f"{origin}, column {name}: expected {expected}, found {value}: {never}")


def acceptance(plan: Plan, row: Cells, name: str, value: str, day: str) -> Cells:
    """The row of ``accepted.csv`` for one identifier."""
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
