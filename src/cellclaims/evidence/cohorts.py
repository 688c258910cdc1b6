"""Who shares patients with whom: ``cohorts.csv`` read as a question about two reports.

A *cohort* is a set of patients. A report, or one of its arms, covers it wholly, in part or probably; any of the three
is enough for two reports not to be independent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellclaims.evidence.schema import Evidence

Report = tuple[str, str]  # study_id and arm_id; several arms joined by "+", "" for the whole report


def cohorts_of(evidence: Evidence, report: Report) -> frozenset[str]:
    """The cohorts that a report, or some of its arms, draw on.

    A row of ``cohorts.csv`` without an arm holds for every arm; one with an arm also holds for the parts of that arm
    and for the arm that it is part of. Without arms every row of the report counts.

    Examples
    --------
    >>> from cellclaims.evidence import load
    >>> sorted(cohorts_of(load("data"), ("gangemi2008", "")))
    ['uic', 'uic_phase12']
    """
    study, arms = report
    rows = evidence.cohorts[evidence.cohorts.study_id == study]
    if arms:
        rows = rows[rows.arm_id.isin({"", *kin(evidence, study, arms.split("+"))})]
    return frozenset(rows.cohort_id)


def kin(evidence: Evidence, study: str, arms: Iterable[str]) -> set[str]:
    """These arms of a report, the arms they are part of, and the parts of all of them that they hold."""
    rows = evidence.arms[evidence.arms.study_id == study]
    own = set(arms)
    wholes = set(rows.part_of[rows.arm_id.isin(own)]) - {""}
    return own | wholes | set(rows.arm_id[rows.part_of.isin(own)])
