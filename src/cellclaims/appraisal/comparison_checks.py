"""Checks of one row against another: arms at baseline, an interval against its P value, two sources, two reports."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri, stdtr

from cellclaims.appraisal.check import (
    ARITHMETIC,
    CONSISTENT,
    INCONSISTENT,
    NOT_APPLICABLE,
    PLAUSIBILITY,
    Check,
    Result,
    count_words,
    first_reason,
)
from cellclaims.dispersion import MeanSD, mean_and_sd
from cellclaims.errors import DataError
from cellclaims.tables import Evidence
from cellclaims.tables.rules_counts import arm_sizes, rounding_limits
from cellclaims.tables.rules_measures import RATIOS, half_unit

#: Randomised arms that differ more at baseline than chance does once in twenty comparisons are shown.
ALPHA = 0.05
#: Significant digits from which the same figure in two reports is worth a look.
DIGITS = 3
Z975 = float(ndtri(0.975))


def _baseline(evidence: Evidence) -> Iterator[Result]:
    """Each arm's baseline against the arm that its trial compares with; other levels at baseline have no partner."""
    randomised = set(evidence.studies.study_id[evidence.studies.randomised == "yes"])
    levels = evidence.continuous[(evidence.continuous.kind == "level") & (evidence.continuous.months == 0)]
    for (study, _outcome, _unit), rows in levels.groupby(["study_id", "outcome", "unit"], sort=False):
        arms = evidence.arms[evidence.arms.study_id == study].set_index("arm_id")
        against = _partner(rows, arms)
        for row in rows.itertuples():
            if study not in randomised:
                yield Result("continuous", row.Index, NOT_APPLICABLE, reason="not randomised")
            elif against is None or row.Index == against.Index:
                yield Result(
                    "continuous", row.Index, NOT_APPLICABLE, reason="no other arm at baseline, or itself that arm"
                )
            else:
                yield _difference_at_baseline(row, against)


def _partner(rows: pd.DataFrame, arms: pd.DataFrame) -> pd.Series | None:
    """The control arm's row, else the first arm's; None for an arm alone."""
    if rows.arm_id.nunique() < 2:
        return None
    controls = rows[rows.arm_id.map(arms.role) == "control"]
    return next((controls if len(controls) else rows).itertuples())


def _difference_at_baseline(row: pd.Series, other: pd.Series) -> Result:
    words = " against ".join(f"{r.center:g}, n = {r.n:g}" for r in (row, other)).replace("nan", "–")
    try:
        p = welch_p(*(_mean_sd(r) for r in (row, other)))
    except DataError as fault:
        return Result("continuous", row.Index, NOT_APPLICABLE, words, reason=str(fault))
    if np.isnan(p):
        return Result("continuous", row.Index, NOT_APPLICABLE, words, reason="no spread or no number of patients")
    said = f"P = {p:.2g} if only chance divided the arms"
    if p >= ALPHA:
        return Result("continuous", row.Index, CONSISTENT, words, reason=said)
    return Result("continuous", row.Index, INCONSISTENT, words, f"a difference that chance gives (P ≥ {ALPHA:g})", said)


def _mean_sd(row: pd.Series) -> MeanSD:
    return mean_and_sd(row.center_type, row.center, row.dispersion_type, row.dispersion_low, row.dispersion_high, row.n)


def welch_p(one: MeanSD, two: MeanSD) -> float:
    """Two-sided P value for two means with their own variances (Welch 1947, https://doi.org/10.1093/biomet/34.1-2.28).

    >>> round(welch_p(MeanSD(10, 96.0, 34.0), MeanSD(5, 48.0, 26.0)), 3)
    0.012
    """
    parts = np.array([one.sd**2 / one.n, two.sd**2 / two.n])
    df = parts.sum() ** 2 / (parts**2 / np.array([one.n - 1, two.n - 1])).sum()
    return float(2 * stdtr(df, -abs(one.mean - two.mean) / np.sqrt(parts.sum())))


def _p_of_interval(evidence: Evidence) -> Iterator[Result]:
    """The printed P value lies where estimate and limits put it, over all that they may be rounded from."""
    rows = evidence.contrasts
    reasons = {
        "no estimate with an interval is printed": rows.estimate.isna() | rows.ci_low.isna(),
        "no plain P value is printed": rows.p_value.isna(),
    }
    for row, why in zip(rows.itertuples(), first_reason(rows, reasons), strict=True):
        words = f"{row.estimate:g} ({row.ci_low:g} to {row.ci_high:g}), P = {row.p_value:g}".replace("nan", "–")
        if why:
            yield Result("contrasts", row.Index, NOT_APPLICABLE, words, reason=why)
            continue
        low, high = p_from_interval(row.estimate, row.ci_low, row.ci_high, row.measure in RATIOS)
        slack = half_unit(row.p_value)
        fits = low - slack <= row.p_value <= high + slack
        yield Result("contrasts", row.Index, CONSISTENT if fits else INCONSISTENT, words,
                     "" if fits else f"P = {low:.2g} to {high:.2g}")  # fmt: skip


def p_from_interval(estimate: float, low: float, high: float, ratio: bool) -> tuple[float, float]:
    """Smallest and largest P value that estimate and 95 % limits give, each moved within its rounding.

    z = estimate / SE with SE = (high - low) / (2 z975), on the log scale for a ratio: Altman and Bland 2011,
    https://doi.org/10.1136/bmj.d2304.

    >>> [round(p, 4) for p in p_from_interval(0.39, 0.21, 0.71, ratio=True)]
    [0.0016, 0.0036]
    """
    ends = [np.array([x - half_unit(x), x + half_unit(x)]) for x in (estimate, low, high)]
    if ratio:
        ends = [np.log(x) for x in ends]
    centre, lower, upper = np.meshgrid(*ends)
    p = 2 * ndtr(-np.abs(centre) * 2 * Z975 / (upper - lower))
    return float(p.min()), float(p.max())


def _ratio_symmetric(evidence: Evidence) -> Iterator[Result]:
    for table in ("contrasts", "pooled_elsewhere"):
        for row in getattr(evidence, table).itertuples():
            words = f"{row.estimate:g} ({row.ci_low:g} to {row.ci_high:g})".replace("nan", "–")
            numbers = np.array([row.estimate, row.ci_low, row.ci_high])
            if row.measure not in RATIOS or not (numbers > 0).all():
                yield Result(table, row.Index, NOT_APPLICABLE, words, reason="no ratio with its interval is printed")
            else:
                off, slack = _off_centre(*numbers)
                expected = (
                    "" if off <= slack else f"{np.sqrt(row.ci_low * row.ci_high):.3g}, the middle of the log limits"
                )
                yield Result(table, row.Index, INCONSISTENT if expected else CONSISTENT, words, expected)


def _off_centre(estimate: float, low: float, high: float) -> tuple[float, float]:
    """How far a ratio is from the middle of its limits on the log scale, and how far rounding and a tenth allow."""
    values = np.array([estimate, low, high])
    errors = np.array([half_unit(x) for x in values]) / values  # d ln x = dx / x
    logs = np.log(values)
    return abs(logs[1] + logs[2] - 2 * logs[0]), 2 * errors[0] + errors[1:].sum() + 0.1 * (logs[2] - logs[1])


def _whole_arm(evidence: Evidence) -> Iterator[Result]:
    """The patients behind a count are those of the arm; where only a percentage is printed, what it implies."""
    sizes = arm_sizes(evidence)
    for row in evidence.binary.itertuples():
        size, (fewest, most) = sizes.get((row.study_id, row.arm_id), np.nan), denominator(row)
        words = count_words(row)
        if np.isnan(size) or np.isnan(fewest):
            why = "no number of patients is printed, and none follows" if np.isnan(fewest) else "no size of the arm"
            yield Result("binary", row.Index, NOT_APPLICABLE, words, reason=why)
        elif most < size:
            meant = "" if row.n == row.n else f"the percentage means {fewest:.3g} to {most:.3g}; "
            why = f"{meant}patients lost, left out or of a subgroup are not in the count"
            yield Result("binary", row.Index, INCONSISTENT, words, f"all {size:g} patients of the arm", why)
        else:
            yield Result("binary", row.Index, CONSISTENT, words)


def denominator(row: pd.Series) -> tuple[float, float]:
    """Fewest and most patients that a count stands on: n, else what events and the rounded percentage give."""
    if row.n == row.n:
        return row.n, row.n
    if not (row.percent_printed and row.events > 0):
        return np.nan, np.nan
    low, high = rounding_limits(row.percent_printed)
    return 100 * row.events / high, 100 * row.events / low if low > 0 else np.inf


def _same_figure(evidence: Evidence) -> Iterator[Result]:
    """In a text on several reports, the same figure of three digits or more under two of them may be a slip."""
    rows = evidence.continuous
    several = rows.source_id.map(rows.groupby("source_id").study_id.nunique()) > 1
    key = ["source_id", "outcome", "unit", "kind", "center"]
    twice = rows.groupby(key).study_id.transform("nunique") > 1
    for row, many, again in zip(rows.itertuples(), several, twice, strict=True):
        digits = len(f"{abs(row.center):g}".replace(".", "").strip("0"))
        if not many or digits < DIGITS:
            why = "one report in its source" if not many else f"fewer than {DIGITS} digits: agreement is no surprise"
            yield Result("continuous", row.Index, NOT_APPLICABLE, f"{row.center:g}", reason=why)
        elif again:
            same = "a figure of its own: another report has the same one in this source"
            yield Result("continuous", row.Index, INCONSISTENT, f"{row.center:g} {row.unit}", same)
        else:
            yield Result("continuous", row.Index, CONSISTENT, f"{row.center:g} {row.unit}")


CHECKS = (
    Check("arms alike at baseline", PLAUSIBILITY, "t test with unequal variances between randomised "
          "arms, two-sided; one comparison in twenty fails by chance", "https://doi.org/10.1111/anae.13938", _baseline,
          ("baseline_imbalance",)),
    Check("P value against interval", ARITHMETIC, "z = estimate / SE, SE from the 95 % limits, over all roundings",
          "https://doi.org/10.1136/bmj.d2304", _p_of_interval),
    Check("interval of a ratio symmetric", PLAUSIBILITY, "estimate = √(low × high), within rounding and a "
          "tenth of the width",
          "https://doi.org/10.1136/bmj.d2304", _ratio_symmetric),
    Check("everybody in the denominator", PLAUSIBILITY, "n, or 100 events / percentage, is the number of "
          "patients of the arm", "https://doi.org/10.1136/bmj.l4898", _whole_arm,
          ("percent_fits_other_n", "denominator_conflict", "denominator_ambiguous", "conditional_denominator")),
    Check("a figure of its own", PLAUSIBILITY, "the same figure of three digits under two reports of one text", "",
          _same_figure, ("possible_copying_error",)),
)  # fmt: skip
