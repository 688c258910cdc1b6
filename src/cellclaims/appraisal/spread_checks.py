"""Checks of a spread by its size: a standard error taken for a standard deviation, a median on its own limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from cellclaims import meta, units
from cellclaims.appraisal.check import CONSISTENT, INCONSISTENT, NOT_APPLICABLE, PLAUSIBILITY, Check, Result
from cellclaims.dispersion import sd_from_se
from cellclaims.errors import DataError
from cellclaims.tables import Evidence

#: A spread is held against those of other reports only where at least so many of them print one.
FEWEST = 10
#: Level of the interval that a spread must leave to be remarkable: one in a hundred does by chance.
LEVEL = 0.99


@dataclass(frozen=True)
class Usual:
    """Where the standard deviation of an outcome lies in other reports: on the log scale, mean and variances."""

    mean: float
    var_mean: float
    tau2: float
    k: int

    def limits(self, n: float) -> tuple[float, float]:
        """Prediction limits for a standard deviation of ``n`` patients, on its own scale (t with k - 2 df)."""
        reach = stdtrit(self.k - 2, 0.5 + LEVEL / 2) * np.sqrt(self.var_mean + self.tau2 + 0.5 / (n - 1))
        return float(np.exp(self.mean - reach)), float(np.exp(self.mean + reach))


def usual_spread(evidence: Evidence, outcome: str, unit: str, without: str) -> Usual | None:
    """Standard deviations that other reports print for an outcome, pooled on the log scale; None for too few.

    ln SD + 1 / (2 (n - 1)) with variance 1 / (2 (n - 1)): Nakagawa and others 2015,
    https://doi.org/10.1111/2041-210X.12309.

    Parameters
    ----------
    evidence : Evidence
    outcome, unit : str
        Spreads in other units are converted where the outcome allows it.
    without : str
        The report that is held against the others.
    """
    rows = evidence.continuous
    rows = rows[(rows.outcome == outcome) & (rows.kind == "level") & (rows.dispersion_type == "sd")]
    rows = rows[(rows.n > 1) & (rows.dispersion_low > 0) & (rows.study_id != without)]
    sds = np.array([_in_unit(row, unit) for row in rows.itertuples()])
    known = ~np.isnan(sds)
    if rows.study_id[known].nunique() < FEWEST:
        return None
    sds, n = sds[known], rows.n.to_numpy()[known]
    fit = meta.fit(np.log(sds) + 0.5 / (n - 1), 0.5 / (n - 1))
    return Usual(float(fit.beta), float(fit.se) ** 2, float(fit.tau2), len(sds))


def _in_unit(row: pd.Series, unit: str) -> float:
    try:
        return units.convert(row.dispersion_low, row.unit, unit, row.outcome, change=True)
    except DataError:
        return np.nan


def _label_by_size(evidence: Evidence) -> Iterator[Result]:
    usual: dict[tuple[str, str, str], Usual | None] = {}
    for row in evidence.continuous.itertuples():
        key = (row.outcome, row.unit, row.study_id)
        why = _no_spread(row)
        if not why and key not in usual:
            usual[key] = usual_spread(evidence, *key)
        if not why and usual[key] is None:
            why = f"fewer than {FEWEST} other reports print a standard deviation that it can be held against"
        words = f"{row.dispersion_type.upper()} {row.dispersion_low:g}, n = {row.n:g}".replace("nan", "–")
        if why:
            yield Result(
                "continuous", row.Index, NOT_APPLICABLE, "" if row.dispersion_type == "none" else words, reason=why
            )
        else:
            yield Result("continuous", row.Index, *_by_size(row, usual[key], words))


def _no_spread(row: pd.Series) -> str:
    if row.dispersion_type not in ("sd", "se"):
        return "no standard deviation or standard error is printed"
    if row.kind != "level":
        return "the spread of a change: other reports print hardly any"
    return "" if row.n > 1 else "no number of patients is printed"


def _by_size(row: pd.Series, usual: Usual, words: str) -> tuple[str, str, str, str]:
    """Verdict, printed, expected and reason for a spread whose label is held against its size."""
    low, high = usual.limits(row.n)
    as_sd, as_se = row.dispersion_low, sd_from_se(row.dispersion_low, row.n)
    is_sd = row.dispersion_type == "sd"
    sd, other, turned = (as_sd, as_se, "error") if is_sd else (as_se, as_sd, "deviation")
    if low <= sd <= high:
        read = "" if is_sd else f"read as a standard error it gives a standard deviation of {sd:.2g}"
        unlike = "; as a standard deviation it would be too small" if as_sd < low else ""
        return CONSISTENT, words, "", read + unlike
    expected = f"a standard deviation of {low:.2g} to {high:.2g} {row.unit}, as in {usual.k} arms of other reports"
    size = f"a standard deviation of {sd:.2g} is {'small' if sd < low else 'large'}"
    fits = f"; were it a standard {turned}, {other:.2g} would fit" if low <= other <= high else "; no label fits"
    return INCONSISTENT, words, expected, size + fits


def _median_inside(evidence: Evidence) -> Iterator[Result]:
    for row in evidence.continuous.itertuples():
        limits = f"{row.center:g} ({row.dispersion_low:g} to {row.dispersion_high:g})"
        on_limit = row.center in (row.dispersion_low, row.dispersion_high)
        if row.center_type != "median" or np.isnan(row.dispersion_high):
            yield Result("continuous", row.Index, NOT_APPLICABLE, reason="no median with limits is printed")
        elif on_limit and row.center == 0:
            yield Result(
                "continuous", row.Index, NOT_APPLICABLE, limits, reason="half of the patients and more at zero"
            )
        elif on_limit:
            why = "possible only if a quarter of the patients share that value"
            yield Result("continuous", row.Index, INCONSISTENT, limits, "a median between its limits", why)
        else:
            yield Result("continuous", row.Index, CONSISTENT, limits)


CHECKS = (
    Check("standard error taken for standard deviation", PLAUSIBILITY, "SD = SE √n; 99 % prediction interval of ln SD "
          "over the arms of other reports", "https://doi.org/10.1111/2041-210X.12309", _label_by_size,
          ("dispersion_unlabelled", "dispersion_inconsistent")),
    Check("median between its quartiles", PLAUSIBILITY, "low < median < high", "", _median_inside,
          ("impossible_interval",)),
)  # fmt: skip
