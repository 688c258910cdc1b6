"""GRADE domains that are computed from a pool: imprecision, inconsistency and small-study effects.

Each gives how many levels it takes away (0 or less) and why, by the rules of ``protocol.yml``, section ``certainty``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from typing import Protocol as Shape

import numpy as np
import pandas as pd
from scipy.special import ndtri

from cellclaims import robustness
from cellclaims.protocol import Protocol

#: Measures that compare arms; every other is a result within the arms that got cells.
COMPARES = ("MD", "RD")
#: How the reason of a domain ends that could not be looked at.
NOT_ASSESSED = "not assessed"
#: A step down (0 or less) and its reason.
Rated = tuple[int, str]


class Pooled(Shape):
    """What certainty needs to know of a pool (:class:`cellclaims.pools.Pool` has it)."""

    k: int
    rows: pd.DataFrame
    fit: Any
    measure: str
    scale: str
    question: Any

    def back(self, value: float) -> float:
        """A value of the analysis scale on the scale that readers know."""


def imprecision(pool: Pooled, protocol: Protocol) -> Rated:
    """Few reports, and an interval that holds more than one answer; the larger step is taken.

    The target is the smallest change that matters where there is one (HbA1c), as in Core GRADE 2
    (https://doi.org/10.1136/bmj-2024-081904), else the width of the interval. Two levels where the interval crosses two
    thresholds (GRADE guidance 34: minimally contextualised).
    """
    rules = protocol["certainty"]["imprecision"]
    few = pool.k <= protocol["models"]["few_reports"]
    by_number = (rules["few_reports"], _count(pool.k)) if few else (0, "")
    by_interval = _by_interval(pool, protocol) if pool.fit is not None else (0, "")
    words = "; ".join(w for w in (by_number[1], by_interval[1]) if w)
    return min(by_number[0], by_interval[0]), words


def _by_interval(pool: Pooled, protocol: Protocol) -> Rated:
    low, high = shown_limits(pool)
    if np.isnan(low) or np.isnan(high):
        return protocol["certainty"]["imprecision"]["very_wide"], "no interval can be given"
    if in_points(pool) and pool.question.outcome == "hba1c":
        return _against_what_matters(pool, low, high, protocol)
    step, words = _by_width(pool, high - low, protocol["certainty"])
    if pool.measure in COMPARES and low < 0 < high:
        return min(step, protocol["certainty"]["imprecision"]["wide"]), f"{words}; it holds no difference"
    return step, words


def in_points(pool: Pooled) -> bool:
    """Whether the pool is of measured values (for HbA1c percentage points) and not of shares of patients."""
    return pool.measure in ("MD", "MC")


def shown_limits(pool: Pooled) -> tuple[float, float]:
    """The 95 % limits in percentage points of HbA1c, or in per cent of patients."""
    low, high = (pool.back(float(limit)) for limit in (pool.fit.ci_lb, pool.fit.ci_ub))
    return (low, high) if in_points(pool) else (100 * low, 100 * high)


def _against_what_matters(pool: Pooled, low: float, high: float, protocol: Protocol) -> Rated:
    rules, least = protocol["certainty"]["imprecision"], float(protocol["thresholds"]["hba1c_matters"]["value"])
    interval = f"the 95 % interval, {low:.2f} to {high:.2f},"
    held = [edge for edge in (-least, least) if low < edge < high]
    if len(held) == 2:
        return rules["very_wide"], f"{interval} holds a fall and a rise of {least:g} points, the smallest that matter"
    if held:
        return rules["wide"], f"{interval} holds {held[0]:g} points, the smallest change that matters"
    needed = optimal_size(pool, least, protocol["certainty"]["power"])
    patients = float(pool.rows.n.sum() + pool.rows.n_control.fillna(0).sum())
    if patients < needed:
        return rules["wide"], f"{patients:.0f} patients, {needed:.0f} needed to find {least:g} points in one trial"
    return 0, f"{interval} lies on one side of the smallest change that matters"


def optimal_size(pool: Pooled, least: float, power: float) -> float:
    """Patients of one trial of two equal arms that finds a difference of ``least`` with that power, two-sided 5 %.

    n an arm = 2 (z_0.975 + z_power)^2 SD^2 / least^2, the SD as the reports' variances imply it; 0 for a change within
    an arm. Guyatt and others 2011 (GRADE 6), https://doi.org/10.1016/j.jclinepi.2011.01.012.
    """
    if pool.measure != "MD":
        return 0.0
    n, control = (pool.rows[c].to_numpy(float) for c in ("n", "n_control"))
    per_patient = pool.rows.vi.to_numpy(float) * n * control / (n + control)
    sd2 = np.average(per_patient, weights=n + control)
    return float(4 * (ndtri(0.975) + ndtri(power)) ** 2 * sd2 / least**2)


def _by_width(pool: Pooled, width: float, rules: Mapping[str, Any]) -> Rated:
    """Wider than the limit, or than twice the limit; patients in 100 for shares."""
    unit, said = ("percentage points",) * 2 if in_points(pool) else ("percent", "patients in 100")
    limit = rules["wide"][unit]
    words = f"the 95 % interval spans {width:.3g} {said}, limit {limit:g}"
    step = "very_wide" if width > 2 * limit else "wide" if width > limit else ""
    return rules["imprecision"][step] if step else 0, words


def inconsistency(pool: Pooled, rules: Mapping[str, Any]) -> Rated:
    """I² above the limit, or two reports of a difference whose intervals lie on opposite sides of none."""
    if pool.fit is None or pool.k < 2:
        return 0, f"one report or none: {NOT_ASSESSED}"
    step, limit, i2 = rules["inconsistency"]["step"], rules["inconsistency"]["I2"], float(pool.fit.I2)
    if in_points(pool) or pool.measure in COMPARES:
        below, above = (pool.rows.ci_ub < 0).any(), (pool.rows.ci_lb > 0).any()
        if below and above:
            return step, "intervals of the reports lie on opposite sides of no difference"
    if np.isnan(i2):
        return 0, f"I² cannot be given: {NOT_ASSESSED}"
    return (step if i2 > limit else 0), f"I² {i2:.0f} %, limit {limit:g} %"


def small_study(pool: Pooled, rules: Mapping[str, Any]) -> Rated:
    """Do small reports show other results? Regression on size, from ten reports on.

    Differences and changes: on the standard error (Egger and others 1997, https://doi.org/10.1136/bmj.315.7109.629).
    Shares: logits on 1 / n, because the standard error of a logit follows from the share itself (Hunter and others
    2014, https://doi.org/10.1016/j.jclinepi.2014.03.003). At least ten: Sterne and others 2011,
    https://doi.org/10.1136/bmj.d4002.
    """
    fewest, limit = rules["small_study"]["fewest"], rules["small_study"]["p"]
    if pool.k < fewest:
        return 0, f"{_count(pool.k)}, fewer than {fewest}: {NOT_ASSESSED}"
    p = float(regression_on_size(pool).p)
    by = "standard error" if in_points(pool) else "1 / n"
    words = f"regression on {by}: P = {p:.2g}, limit {limit:g}"
    return (rules["small_study"]["step"] if p < limit else 0), words


def regression_on_size(pool: Pooled) -> Any:
    """The regression test that fits the measure of a pool (:class:`cellclaims.robustness.RegressionTest`)."""
    rows = pool.rows
    if in_points(pool):
        return robustness.egger(rows.yi.to_numpy(float), rows.vi.to_numpy(float))
    n = rows.n.to_numpy(float) + rows.n_control.fillna(0).to_numpy(float)
    if pool.measure == "RD":
        return robustness.egger(rows.yi.to_numpy(float), rows.vi.to_numpy(float), ni=n, predictor="ninv")
    x = rows.events.to_numpy(float) + 0.5  # half a patient each way, so that nobody and everybody have a logit
    left = n + 1 - x
    return robustness.egger(np.log(x / left), 1 / x + 1 / left, ni=n, model="rma", predictor="ninv")


def _count(k: int) -> str:
    return f"{k} report{'s' * (k != 1)}"
