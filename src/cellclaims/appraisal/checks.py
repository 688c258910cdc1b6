"""Checks of one row against another: arms at baseline, an interval against its P value, two sources, two reports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from cellclaims import meta, units
from cellclaims.appraisal.check import (
    ARITHMETIC,
    CONSISTENT,
    INCONSISTENT,
    NOT_APPLICABLE,
    PLAUSIBILITY,
    Check,
    CheckResult,
    by_rules,
    count_words,
    first_reason,
)
from cellclaims.dispersion import MeanSD, mean_and_sd, sd_from_se
from cellclaims.errors import DataError
from cellclaims.evidence import Evidence, rules
from cellclaims.evidence.rules_figures import (
    INTERVALS,
    RATIOS,
    arm_sizes,
    change_agrees_with_levels,
    change_has_sign_of_levels,
    count_agrees_with_median,
    curve_never_rises,
    definition_fits_outcome,
    events_at_most_n,
    half_unit,
    interval_is_symmetric,
    limits_around_estimate,
    median_without_sd,
    n_at_most_arm,
    percent_agrees_with_count,
    percent_can_be_a_count,
    rounding_limits,
    spread_around_centre,
)
from cellclaims.evidence.schema import Finding

#: Randomised arms that differ more at baseline than chance does once in twenty comparisons are shown.
ALPHA = 0.05
#: Significant digits from which the same figure in two reports is worth a look.
DIGITS = 3
Z975 = float(ndtri(0.975))


def _baseline(evidence: Evidence) -> Iterator[CheckResult]:
    """Each arm's baseline against the arm that its trial compares with; other levels at baseline have no partner."""
    randomised = set(evidence.studies.study_id[evidence.studies.randomised == "yes"])
    levels = evidence.continuous[(evidence.continuous.kind == "level") & (evidence.continuous.months == 0)]
    for (study, _outcome, _unit), rows in levels.groupby(["study_id", "outcome", "unit"], sort=False):
        arms = evidence.arms[evidence.arms.study_id == study].set_index("arm_id")
        against = _partner(rows, arms)
        for row in rows.itertuples():
            if study not in randomised:
                yield CheckResult("continuous", row.Index, NOT_APPLICABLE, reason="not randomised")
            elif against is None or row.Index == against.Index:
                yield CheckResult(
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


def _difference_at_baseline(row: pd.Series, other: pd.Series) -> CheckResult:
    words = " against ".join(f"{r.center:g}, n = {r.n:g}" for r in (row, other)).replace("nan", "–")
    try:
        p = welch_p(*(_mean_sd(r) for r in (row, other)))
    except DataError as fault:
        return CheckResult("continuous", row.Index, NOT_APPLICABLE, words, reason=str(fault))
    if np.isnan(p):
        return CheckResult("continuous", row.Index, NOT_APPLICABLE, words, reason="no spread or no number of patients")
    said = f"P = {p:.2g} if only chance divided the arms"
    if p >= ALPHA:
        return CheckResult("continuous", row.Index, CONSISTENT, words, reason=said)
    return CheckResult(
        "continuous", row.Index, INCONSISTENT, words, f"a difference that chance gives (P ≥ {ALPHA:g})", said
    )


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


def _p_of_interval(evidence: Evidence) -> Iterator[CheckResult]:
    """The printed P value lies where estimate and limits put it, over all that they may be rounded from."""
    rows = evidence.contrasts
    reasons = {
        "no estimate with an interval is printed": rows.estimate.isna() | rows.ci_low.isna(),
        "no plain P value is printed": rows.p_value.isna(),
    }
    for row, why in zip(rows.itertuples(), first_reason(rows, reasons), strict=True):
        words = f"{row.estimate:g} ({row.ci_low:g} to {row.ci_high:g}), P = {row.p_value:g}".replace("nan", "–")
        if why:
            yield CheckResult("contrasts", row.Index, NOT_APPLICABLE, words, reason=why)
            continue
        low, high = p_from_interval(row.estimate, row.ci_low, row.ci_high, row.measure in RATIOS)
        slack = half_unit(row.p_value)
        fits = low - slack <= row.p_value <= high + slack
        yield CheckResult("contrasts", row.Index, CONSISTENT if fits else INCONSISTENT, words,
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


def _ratio_symmetric(evidence: Evidence) -> Iterator[CheckResult]:
    for table in ("contrasts", "pooled_elsewhere"):
        for row in getattr(evidence, table).itertuples():
            words = f"{row.estimate:g} ({row.ci_low:g} to {row.ci_high:g})".replace("nan", "–")
            numbers = np.array([row.estimate, row.ci_low, row.ci_high])
            if row.measure not in RATIOS or not (numbers > 0).all():
                yield CheckResult(
                    table, row.Index, NOT_APPLICABLE, words, reason="no ratio with its interval is printed"
                )
            else:
                off, slack = _off_centre(*numbers)
                expected = (
                    "" if off <= slack else f"{np.sqrt(row.ci_low * row.ci_high):.3g}, the middle of the log limits"
                )
                yield CheckResult(table, row.Index, INCONSISTENT if expected else CONSISTENT, words, expected)


def _off_centre(estimate: float, low: float, high: float) -> tuple[float, float]:
    """How far a ratio is from the middle of its limits on the log scale, and how far rounding and a tenth allow."""
    values = np.array([estimate, low, high])
    errors = np.array([half_unit(x) for x in values]) / values  # d ln x = dx / x
    logs = np.log(values)
    return abs(logs[1] + logs[2] - 2 * logs[0]), 2 * errors[0] + errors[1:].sum() + 0.1 * (logs[2] - logs[1])


def _whole_arm(evidence: Evidence) -> Iterator[CheckResult]:
    """The patients behind a count are those of the arm; where only a percentage is printed, what it implies."""
    sizes = arm_sizes(evidence)
    for row in evidence.binary.itertuples():
        size, (fewest, most) = sizes.get((row.study_id, row.arm_id), np.nan), denominator(row)
        words = count_words(row)
        if np.isnan(size) or np.isnan(fewest):
            why = "no number of patients is printed, and none follows" if np.isnan(fewest) else "no size of the arm"
            yield CheckResult("binary", row.Index, NOT_APPLICABLE, words, reason=why)
        elif most < size:
            meant = "" if row.n == row.n else f"the percentage means {fewest:.3g} to {most:.3g}; "
            why = f"{meant}patients lost, left out or of a subgroup are not in the count"
            yield CheckResult("binary", row.Index, INCONSISTENT, words, f"all {size:g} patients of the arm", why)
        else:
            yield CheckResult("binary", row.Index, CONSISTENT, words)


def denominator(row: pd.Series) -> tuple[float, float]:
    """Fewest and most patients that a count stands on: n, else what events and the rounded percentage give."""
    if row.n == row.n:
        return row.n, row.n
    if not (row.percent_printed and row.events > 0):
        return np.nan, np.nan
    low, high = rounding_limits(row.percent_printed)
    return 100 * row.events / high, 100 * row.events / low if low > 0 else np.inf


def _same_figure(evidence: Evidence) -> Iterator[CheckResult]:
    """In a text on several reports, the same figure of three digits or more under two of them may be a slip."""
    rows = evidence.continuous
    several = rows.source_id.map(rows.groupby("source_id").study_id.nunique()) > 1
    key = ["source_id", "outcome", "unit", "kind", "center"]
    twice = rows.groupby(key).study_id.transform("nunique") > 1
    for row, many, again in zip(rows.itertuples(), several, twice, strict=True):
        digits = len(f"{abs(row.center):g}".replace(".", "").strip("0"))
        if not many or digits < DIGITS:
            why = "one report in its source" if not many else f"fewer than {DIGITS} digits: agreement is no surprise"
            yield CheckResult("continuous", row.Index, NOT_APPLICABLE, f"{row.center:g}", reason=why)
        elif again:
            same = "a figure of its own: another report has the same one in this source"
            yield CheckResult("continuous", row.Index, INCONSISTENT, f"{row.center:g} {row.unit}", same)
        else:
            yield CheckResult("continuous", row.Index, CONSISTENT, f"{row.center:g} {row.unit}")


COMPARISON_CHECKS = (
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


# Checks of one row by itself: counts against percentages, centres and limits, changes against levels.
#
# They are the rules that guard ``data/`` (:mod:`cellclaims.evidence.rules`), which say of every row whether they apply
# and what they find; ``load`` uses the faults only.


GRIM = "https://doi.org/10.1177/1948550616673876"
HANDBOOK_6 = "https://training.cochrane.org/handbook/current/chapter-06"


def _cut_off(evidence: Evidence, finding: Finding) -> str:
    """Whether the printed percentage is the share with its further digits cut off."""
    row, unit = evidence.binary.loc[finding.line], 2 * (rounding_limits(finding.found)[1] - float(finding.found))
    cut = np.floor(100 * row.events / row.n / unit) * unit
    return "it fits if digits were cut off and not rounded" if abs(cut - float(finding.found)) < unit / 2 else ""


def _counted(table: str, row: Any) -> str:
    return count_words(row)


def _patients(table: str, row: Any) -> str:
    n = row.n_at_risk if table == "survival" else row.n
    return f"{row.events:g} of {n:g}".replace("nan", "–") if table == "binary" else f"n = {n:g}".replace("nan", "–")


def _curve_point(table: str, row: Any) -> str:
    return f"{row.percent:g} %"


def _centre(table: str, row: Any) -> str:
    limits = f"{row.center:g} ({row.dispersion_low:g} to {row.dispersion_high:g})"
    return f"{row.center:g}" if np.isnan(row.dispersion_high) else limits


def _centre_with_spread(table: str, row: Any) -> str:
    return f"{row.center_type} with {row.dispersion_type}"


def _value(table: str, row: Any) -> str:
    return f"{row.center:g}"


def _interval(table: str, row: Any) -> str:
    return f"{getattr(row, INTERVALS[table]):g} ({row.ci_low:g} to {row.ci_high:g})".replace("nan", "–")


def _definition(table: str, row: Any) -> str:
    return f"{row.definition_id} under {row.outcome}"


def _of(name: str, kind: str, formula: str, source: str, words, *used, **more) -> Check:
    """A check made of rules; what may explain a finding is what the rules themselves say."""
    kinds = dict.fromkeys(k for rule in used for k in rules.EXPLAINED_BY.get(rule.__name__, ()))
    return Check(name, kind, formula, source, by_rules(used, words, **more), tuple(kinds), used)


COUNT_CHECKS = (
    _of("percentage against count", ARITHMETIC, "100 events / n, rounded to the printed digits; without a count, some "
        "whole number of n", GRIM, _counted, percent_agrees_with_count, percent_can_be_a_count,
        explain=_cut_off),
    _of("patients within their group", ARITHMETIC, "events ≤ n ≤ patients of the arm", "", _patients,
        events_at_most_n, n_at_most_arm),
    _of("curve never rises", ARITHMETIC, "a share still free of the event cannot grow", "", _curve_point,
        curve_never_rises),
    _of("centre within its limits", ARITHMETIC, "low ≤ centre ≤ high", "", _centre, spread_around_centre),
    _of("median with a spread of its own", ARITHMETIC, "a median has no standard deviation or standard error",
        HANDBOOK_6, _centre_with_spread, median_without_sd),
    _of("change against levels", ARITHMETIC, "mean after minus mean before, within the rounding of all three; its sign "
        "where the numbers of patients differ", HANDBOOK_6, _value,
        change_agrees_with_levels, change_has_sign_of_levels),
    _of("limits around the estimate", ARITHMETIC, "lower limit ≤ estimate ≤ upper limit", "", _interval,
        limits_around_estimate),
    _of("interval symmetric", PLAUSIBILITY, "both limits equally far from the estimate, within rounding and a tenth of "
        "the width", HANDBOOK_6, _interval, interval_is_symmetric),
    _of("count against median", ARITHMETIC, "of n values at most half are below a threshold that the median reaches, "
        "at least half where it is below", "", _counted, count_agrees_with_median),
    _of("definition fits the outcome", PLAUSIBILITY, "a row that names one outcome defines that one", "", _definition,
        definition_fits_outcome),
)  # fmt: skip


# Checks of a spread by its size: a standard error taken for a standard deviation, a median on its own limit.


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


def _label_by_size(evidence: Evidence) -> Iterator[CheckResult]:
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
            yield CheckResult(
                "continuous", row.Index, NOT_APPLICABLE, "" if row.dispersion_type == "none" else words, reason=why
            )
        else:
            yield CheckResult("continuous", row.Index, *_by_size(row, usual[key], words))


def _no_spread(row: pd.Series) -> str:
    if row.dispersion_type not in ("sd", "se"):
        return "no standard deviation or standard error is printed"
    if row.kind != "level":
        return "the spread of a change: other reports print hardly any"
    return "" if row.n > 1 else "no number of patients is printed"


def _by_size(row: pd.Series, usual: Usual, words: str) -> tuple[str, str, str, str]:
    """Result, printed, expected and reason for a spread whose label is held against its size."""
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


def _median_inside(evidence: Evidence) -> Iterator[CheckResult]:
    for row in evidence.continuous.itertuples():
        limits = f"{row.center:g} ({row.dispersion_low:g} to {row.dispersion_high:g})"
        on_limit = row.center in (row.dispersion_low, row.dispersion_high)
        if row.center_type != "median" or np.isnan(row.dispersion_high):
            yield CheckResult("continuous", row.Index, NOT_APPLICABLE, reason="no median with limits is printed")
        elif on_limit and row.center == 0:
            yield CheckResult(
                "continuous", row.Index, NOT_APPLICABLE, limits, reason="half of the patients and more at zero"
            )
        elif on_limit:
            why = "possible only if a quarter of the patients share that value"
            yield CheckResult("continuous", row.Index, INCONSISTENT, limits, "a median between its limits", why)
        else:
            yield CheckResult("continuous", row.Index, CONSISTENT, limits)


SPREAD_CHECKS = (
    Check("standard error taken for standard deviation", PLAUSIBILITY, "SD = SE √n; 99 % prediction interval of ln SD "
          "over the arms of other reports", "https://doi.org/10.1111/2041-210X.12309", _label_by_size,
          ("dispersion_unlabelled", "dispersion_inconsistent")),
    Check("median between its quartiles", PLAUSIBILITY, "low < median < high", "", _median_inside,
          ("impossible_interval",)),
)  # fmt: skip
