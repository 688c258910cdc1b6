"""Take over what a person accepted: into the tables with a source, a place and who decided, or not at all.

A row is taken over if its ``decision`` is ``accept`` and a reviewer is named. It must belong to a report and an arm
that the tables hold, say what was harvested, and contradict nothing that stands there. What stands there already is
left as it is, so that accepting twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path

from cellclaims.errors import ProposalError
from cellclaims.harvest import accept_figures, accept_identifiers
from cellclaims.harvest.held import Cells, read_held
from cellclaims.harvest.plan import Plan, try_out, write_all
from cellclaims.harvest.sheet import one_line, read_sheet, refuse_header

DECISIONS = ("", "accept", "reject")
#: Kind of file -> the columns by which it is known and what takes a row of it over.
KINDS = {
    "as_read": (accept_figures.NEEDED, accept_figures.take),
    "score": (accept_identifiers.NEEDED, accept_identifiers.take),
}


@dataclass(frozen=True)
class Outcome:
    """What came of a file of proposals.

    Attributes
    ----------
    added : dict of str to int
        Table -> rows that were added; ``studies`` counts identifiers that were filled in.
    already : int
        Accepted proposals that the tables hold already.
    rejected, undecided : int
        Proposals that were not taken over.
    lines : tuple of str
        What was, or would be, written: file and line of each.
    """

    added: dict[str, int]
    already: int
    rejected: int
    undecided: int
    lines: tuple[str, ...]


def accept(path: Path, folder: Path, *, dry_run: bool = False, today: date | None = None) -> Outcome:
    """Take over the accepted rows of a file of proposals, all or none.

    Parameters
    ----------
    path : Path
        What ``cellclaims propose`` or ``cellclaims resolve`` wrote, with a person's decisions.
    folder : Path
        The evidence.
    dry_run : bool
        Check everything and write nothing.
    today : date, optional
        Day of the acceptance; today in UTC by default.

    Raises
    ------
    ProposalError
        With every row that cannot be taken over, or every fault that the check would find; nothing is written then.
    DataError
        If the tables have a fault before anything is added.
    """
    rows, take = decided(path)
    accepted = [row for row in rows if row["decision"] == "accept"]
    plan = Plan(read_held(folder))
    day = (today or datetime.now(UTC).date()).isoformat()
    faults = [fault for row in accepted for fault in reviewer_faults(path, row)]
    already = 0
    for row in accepted:
        try:
            already += not take(plan, row, f"{path.name} row {row['row']}", day)
        except ProposalError as fault:
            faults.append(str(fault))
    if faults:
        raise ProposalError("\n".join([f"nothing of {path} was accepted:", *(f"  {fault}" for fault in faults)]))
    written = settle(plan, dry_run=dry_run)
    count = [row["decision"] for row in rows].count
    return Outcome(added(plan), already, count("reject"), count(""), written)


def settle(plan: Plan, *, dry_run: bool) -> tuple[str, ...]:
    """Try the plan and, unless it is a dry run, write it; what was written, in words."""
    if plan.empty:
        return ()
    contents = plan.contents()
    try_out(plan, contents)
    if not dry_run:
        write_all(contents)
    return tuple(f"{file} row {line}: {origin}" for (file, line), origin in sorted(plan.origins.items()))


def added(plan: Plan) -> dict[str, int]:
    """Rows and identifiers of a plan by table; tables without any are left out."""
    counts = {name: len(rows) for name, rows in plan.rows.items()} | {"studies": len(plan.filled)}
    return {name: number for name, number in counts.items() if number}


def decided(path: Path) -> tuple[list[Cells], Callable[[Plan, Cells, str, str], bool]]:
    """The rows of a file with their decisions in lower case, and what takes one of them over."""
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
    """A decision without a name is nobody's."""
    if not row["reviewer"]:
        yield f"{path.name} row {row['row']}, column reviewer: expected the name of who accepts, found nothing"


def in_words(outcome: Outcome, *, dry_run: bool) -> str:
    """What came of a file of proposals, for a person.

    Examples
    --------
    >>> print(in_words(Outcome({"binary": 2, "sources": 1}, 1, 0, 3, ()), dry_run=False))
    accepted: 2 rows of binary.csv, 1 row of sources.csv; 1 held already, 0 rejected, 3 undecided
    """
    words = [
        f"{number} {'identifier' if name == 'studies' else 'row'}{'' if number == 1 else 's'} of {name}.csv"
        for name, number in outcome.added.items()
    ]
    start = "would be accepted" if dry_run else "accepted"
    rest = f"{outcome.already} held already, {outcome.rejected} rejected, {outcome.undecided} undecided"
    return "\n".join([f"{start}: {', '.join(words) or 'nothing new'}; {rest}", *outcome.lines])
