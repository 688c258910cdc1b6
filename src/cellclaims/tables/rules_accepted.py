"""Rules on ``accepted.csv``: what a person accepted stands where the acceptance says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cellclaims.tables.faults import Finding, repeated

if TYPE_CHECKING:
    from cellclaims.tables.read import Evidence

#: Tables whose rows are accepted, and the columns that an acceptance of such a row fills.
FILLED = {
    "continuous": ("arm_id", "source_id", "registration"),
    "binary": ("arm_id", "source_id", "registration"),
    "studies": ("column", "value"),
}
OF_A_KIND = ("arm_id", "source_id", "registration", "column", "value")


def locator(snapshot: str, pointer: str) -> str:
    """Where in its source an accepted figure stands: the snapshot of the registries, and the place in the answer.

    Examples
    --------
    >>> locator("20261120T101500Z", "/studies/0/resultsSection")
    'snapshot 20261120T101500Z, /studies/0/resultsSection'
    >>> locator("", "/resultsSection")
    'record, /resultsSection'
    """
    return f"snapshot {snapshot}, {pointer}" if snapshot else f"record, {pointer}"


def acceptance_fits_table(evidence: Evidence) -> Iterator[Finding]:
    """An accepted figure names its arm, source and record; an accepted identifier its column and value."""
    rows = evidence.accepted
    for column in OF_A_KIND:
        wanted = rows.table.map(lambda table, column=column: column in FILLED[table]).astype(bool)
        for line in rows.index[wanted != (rows[column] != "")]:
            expected = f"{'a value' if wanted[line] else 'nothing'}, as the table is {rows.table[line]}"
            yield Finding("accepted", line, column, expected, rows[column][line] or "nothing")


def accepted_figure_stands(evidence: Evidence) -> Iterator[Finding]:
    """An accepted figure is a row of its table, with the source and the place that the acceptance names."""
    rows = evidence.accepted
    for line, row in rows[rows.table != "studies"].iterrows():
        table, place = getattr(evidence, row.table), locator(row.snapshot, row.pointer)
        key = (row.study_id, row.arm_id, row.source_id, place)
        if key not in set(zip(table.study_id, table.arm_id, table.source_id, table.locator, strict=True)):
            expected = f"a row of {row.table} of arm {row.arm_id} from {row.source_id} at this place"
            yield Finding("accepted", line, "pointer", expected, f"none at {place!r}")


def accepted_identifier_stands(evidence: Evidence) -> Iterator[Finding]:
    """An accepted identifier is the one that its report has."""
    rows, studies = evidence.accepted, evidence.studies.set_index("study_id")
    for line, row in rows[(rows.table == "studies") & (rows.column != "")].iterrows():
        if row.value != (held := studies.at[row.study_id, row.column]):
            expected = f"the {row.column} of {row.study_id}, {held or 'nothing'}"
            yield Finding("accepted", line, "value", expected, row.value)


def accepted_once(evidence: Evidence) -> Iterator[Finding]:
    """The same place of the same answer is accepted once for an arm, or for an identifier."""
    yield from repeated("accepted", evidence.accepted, ["table", "study_id", "arm_id", "column", "sha256", "pointer"])


RULES = (acceptance_fits_table, accepted_figure_stands, accepted_identifier_stands, accepted_once)
