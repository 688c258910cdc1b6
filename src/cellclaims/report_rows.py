"""Which rows of one report answer a question, and which reports may stand side by side: pure, and quick enough for
thousands of questions.

A *row* is one count of one arm; a report may print many. The table-wide rules (population, month, what is derived)
stand in :mod:`cellclaims.selection`; here stands what depends on the rows beside a row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

#: Order of the most favourable report of a cohort; a count without a stated time stands before a fixed month.
FAVOURABLE = ("ever", "last_follow_up", "not_stated", "at_month")


class Row(NamedTuple):
    """What the choice among the rows of a report depends on; ``place`` is the row's label in its table."""

    place: Any
    arm_id: str
    part_of: str
    timing: str
    months: float
    events: float
    n: float
    source_rank: float
    line: int


def by_report(rows: pd.DataFrame) -> dict[str, list[Row]]:
    """The rows of each report, in the order of the table."""
    columns = [rows[name] for name in Row._fields[1:]]
    reports: dict[str, list[Row]] = {}
    for study_id, *cells in zip(rows.study_id, rows.index, *columns, strict=True):
        reports.setdefault(study_id, []).append(Row(*cells))
    return reports


def in_a_whole(arms: Sequence[Any], part_of: Sequence[Any]) -> list[bool]:
    """Whether each arm is part of another one that is counted.

    >>> in_a_whole(["all", "young"], ["", "all"])
    [False, True]
    """
    whole = set(arms)
    return [whole_of in whole for whole_of in part_of]


def preference(row: Row, estimand: str, month: float) -> tuple[float, ...]:
    """Sorts the row that answers best to the front.

    At a month the nearest one, of the fullest source. Where success at any time counts (ever, the most favourable
    report), the order of FAVOURABLE, then the later month, then the higher share.
    """
    at = 0.0 if math.isnan(row.months) else row.months
    if estimand == "at_month":
        return (abs(at - month), row.source_rank, row.line)
    if estimand == "last_follow_up":
        return (row.source_rank, -at, row.line)
    rate = -row.events / row.n
    return (rate, row.line) if estimand == "ever" else (FAVOURABLE.index(row.timing), -at, rate, row.line)


def best_of_arms(rows: Sequence[Row], estimand: str, month: float) -> list[Row]:
    """One row an arm, the one that answers best, in the order given."""
    best: dict[str, Row] = {}
    for row in sorted(rows, key=lambda r: preference(r, estimand, month)):
        best.setdefault(row.arm_id, row)
    chosen = {row.place for row in best.values()}
    return [row for row in rows if row.place in chosen]


def counted_alike(rows: Sequence[Row], estimand: str, month: float) -> list[Row]:
    """The rows of a report's arms that are counted as the best one is: at the same time, in the same way."""
    best = min(rows, key=lambda r: preference(r, estimand, month))
    same = best.timing == "ever"
    return [
        r
        for r in rows
        if r.timing == best.timing and (same or r.months == best.months or math.isnan(r.months + best.months))
    ]


def answer(rows: Sequence[Row], estimand: str, month: float) -> tuple[list[Row], dict[Any, str]]:
    """The rows of one report that are counted together, and the reason of every other one by its place.

    An arm and its part are never both counted; one row stands for an arm; arms count together where they are
    counted alike.
    """
    reasons: dict[Any, str] = {}
    parts = in_a_whole([r.arm_id for r in rows], [r.part_of for r in rows])
    wholes = [r for r, part in zip(rows, parts, strict=True) if not part]
    reasons |= {r.place: f"part of arm {r.part_of}, which is counted" for r, p in zip(rows, parts, strict=True) if p}
    best = best_of_arms(wholes, estimand, month)
    reasons |= dict.fromkeys(_others(wholes, best), "another row of the same arm answers better")
    alike = counted_alike(best, estimand, month) if len(best) > 1 else best
    words = "another arm of the report is counted in a way that answers better"
    return alike, reasons | dict.fromkeys(_others(best, alike), words)


def _others(rows: Sequence[Row], chosen: Sequence[Row]) -> list[Any]:
    places = {row.place for row in chosen}
    return [row.place for row in rows if row.place not in places]


def fullness(timing: str, n: float, source_rank: float, year: float, study_id: str) -> tuple[Any, ...]:
    """Sorts the report that speaks for its cohort to the front: most patients, the fullest source, the later year.

    ``timing`` is empty unless the most favourable report is asked for; then its order comes first.
    """
    early = FAVOURABLE.index(timing) if timing else 0
    return (early, -n, source_rank, 0.0 if math.isnan(year) else -year, study_id)


def sharing(cohorts: Sequence[frozenset[str]]) -> NDArray[np.bool_]:
    """Whether two reports share a cohort, shape (m, m)."""
    return np.array([[bool(one & other) for other in cohorts] for one in cohorts], dtype=bool).reshape(
        len(cohorts), len(cohorts)
    )


def one_a_cohort(keep: NDArray[np.bool_], shares: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of overlapping reports the first one stays, for many choices of reports at once.

    Parameters
    ----------
    keep : ndarray of bool, shape (s, m)
        Which reports each choice has; the report that speaks for its cohort stands before the others.
    shares : ndarray of bool, shape (m, m)
        Which reports share patients (:func:`sharing`).

    Returns
    -------
    ndarray of bool, shape (s, m)
        The reports that are counted. One that is not counted takes no cohort from another.

    Examples
    --------
    A shares with B and B with C: with A, B leaves and C stays.

    >>> chain = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)
    >>> one_a_cohort(np.array([[1, 1, 1], [0, 1, 1]], dtype=bool), chain).astype(int).tolist()
    [[1, 0, 1], [0, 1, 0]]
    """
    counted = keep.copy()
    for report in range(1, keep.shape[1]):
        taken = counted[:, :report][:, shares[report, :report]].any(axis=1)
        counted[:, report] &= ~taken
    return counted
