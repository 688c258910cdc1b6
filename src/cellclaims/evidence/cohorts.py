"""Overlap of patients between reports, from ``cohorts.csv``.

A *cohort* is a set of patients. A report, or one of its arms, covers it wholly, in part or probably; in each
case, two reports that cover it are not independent.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cellclaims.evidence.schema import Evidence

Report = tuple[str, str]  # study_id and arm_id; arms joined by "+", "" for the whole report


def cohorts_of(evidence: Evidence, report: Report) -> frozenset[str]:
    """Return the cohorts of a report, or of some of its arms.

    A row of ``cohorts.csv`` without an arm applies to every arm; one with an arm also applies to the parts of that arm
    and to the arm that it is part of. Without arms, all rows of the report count.

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
    """Return these arms of a report, the arms they are part of, and all their parts."""
    rows = evidence.arms[evidence.arms.study_id == study]
    own = set(arms)
    wholes = set(rows.part_of[rows.arm_id.isin(own)]) - {""}
    return own | wholes | set(rows.arm_id[rows.part_of.isin(own)])
