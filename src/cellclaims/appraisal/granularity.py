"""Can these printed numbers be a mean and a standard deviation of so many values? GRIM, GRIMMER and DEBIT.

Values that every patient can only have in steps (whole numbers, tenths) make sums in the same steps, so that a mean of
few patients can take few values. The *step* is a fact about how single values are given and never follows from the
printed mean: whoever calls says where it comes from. Numbers come as text, because a trailing zero is a printed digit.
All arithmetic is exact (fractions); a half may have been rounded either way.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import ceil, floor

import numpy as np
import pandas as pd

from cellclaims.appraisal.check import (
    ARITHMETIC,
    CONSISTENT,
    INCONSISTENT,
    NOT_APPLICABLE,
    PLAUSIBILITY,
    Check,
    CheckResult,
    printed_text,
)
from cellclaims.evidence import Evidence
from cellclaims.evidence.rules_figures import RELATIVE

#: A step as text ("0.1") or as an exact fraction.
Step = str | int | Fraction


def unit_of(printed: str) -> Fraction:
    """One unit in the last printed digit.

    >>> unit_of("7.30"), unit_of("45")
    (Fraction(1, 100), Fraction(1, 1))
    """
    return Fraction(1, 10 ** len(printed.partition(".")[2]))


def rounded_from(printed: str) -> tuple[Fraction, Fraction]:
    """Lowest and highest number that is rounded to what is printed.

    >>> [float(x) for x in rounded_from("-1.3")]
    [-1.35, -1.25]
    """
    value, half = Fraction(printed), unit_of(printed) / 2
    return value - half, value + half


def grim(mean: str, n: int, step: Step = 1) -> bool:
    """Whether a mean of ``n`` values, each a multiple of ``step``, can be printed like this.

    Parameters
    ----------
    mean : str
        As printed, with its digits.
    n : int
        Number of values.
    step : str, int or Fraction
        What single values are multiples of, in the unit of the mean.

    Returns
    -------
    bool

    Notes
    -----
    Some whole number s has s * step / n within half a unit of the last digit. Brown and Heathers 2017,
    https://doi.org/10.1177/1948550616673876.

    Examples
    --------
    >>> grim("5.19", 28), grim("5.18", 28)
    (False, True)
    """
    return bool(list(_sums(*rounded_from(mean), n, Fraction(step))))


def grim_when_cut(mean: str, n: int, step: Step = 1) -> bool:
    """The same for a mean whose further digits were cut off instead of rounded.

    >>> grim("3.66", 3), grim_when_cut("3.66", 3)
    (False, True)
    """
    value, unit = Fraction(mean), unit_of(mean)
    low, high = (value, value + unit) if value >= 0 else (value - unit, value)
    sums = (s * Fraction(step) / n for s in _sums(low, high, n, Fraction(step)))
    return any(x != (high if value >= 0 else low) for x in sums)


def grim_can_fail(mean: str, n: int, step: Step = 1) -> bool:
    """Whether any mean of that many digits is impossible for ``n``; if none is, the test says nothing.

    Possible means stand ``step / n`` apart: they leave a gap only where that is more than a unit of the last digit.

    >>> grim_can_fail("7.52", 45, "0.1"), grim_can_fail("6.77", 7, "0.1"), grim_can_fail("6.8", 7, "0.1")
    (False, True, False)
    """
    return Fraction(step) / n > unit_of(mean)


def possible_means(mean: str, n: int, step: Step = 1) -> tuple[Fraction, Fraction]:
    """The possible means next to a printed one, below and above (the same twice where it is one).

    >>> [float(x) for x in possible_means("3.4", 5, 1)]
    [3.4, 3.4]
    """
    step = Fraction(step)
    sums = Fraction(mean) * n / step
    return floor(sums) * step / n, ceil(sums) * step / n


def grimmer(mean: str, sd: str, n: int, step: Step = 1, *, is_se: bool = False) -> bool:
    """Whether a mean and a standard deviation of ``n`` values in steps can be printed like this.

    Parameters
    ----------
    mean, sd : str
        As printed, with their digits; the standard deviation has n - 1 below it.
    n : int
        Number of values, 2 or more.
    step : str, int or Fraction
        What single values are multiples of.
    is_se : bool
        ``sd`` is a standard error of the mean.

    Returns
    -------
    bool

    Notes
    -----
    In steps, the sum of squares q is a whole number, and even exactly where the sum s is: q - s^2/n = (n - 1) SD^2 must
    hold for a whole q of that kind within the rounding of the SD. Anaya 2016,
    https://doi.org/10.7287/peerj.preprints.2400v1; with the parity by Allard 2018,
    https://aurelienallard.netlify.app/post/anaytic-grimmer-possibility-standard-deviations/.

    Examples
    --------
    >>> grimmer("7.3", "2.51", 12), grimmer("3.5", "0.71", 2)
    (False, True)
    """
    step = Fraction(step)
    low, high = _sums_of_squares(sd, n, step, is_se)
    for s in _sums(*rounded_from(mean), n, step):
        floor_, ceiling = ceil(low + Fraction(s * s, n)), floor(high + Fraction(s * s, n))
        if any((q - s) % 2 == 0 for q in range(floor_, min(ceiling, floor_ + 1) + 1)):
            return True
    return False


def grimmer_can_fail(sd: str, n: int, step: Step = 1, *, is_se: bool = False) -> bool:
    """Whether some standard deviation near this one is impossible: not where the sums of squares span two or more.

    >>> grimmer_can_fail("0.79", 7, "0.1"), grimmer_can_fail("0.5", 6, "0.1"), grimmer_can_fail("2.51", 12)
    (False, False, True)
    """
    low, high = _sums_of_squares(sd, n, Fraction(step), is_se)
    return high - low < 2


def debit(mean: str, sd: str, n: int) -> bool:
    """Whether a share and a standard deviation of ``n`` yes-or-no values can be printed like this.

    For k of n the variance is k (n - k) / (n (n - 1)), so the share gives the SD. Heathers and Brown 2019,
    https://doi.org/10.17605/OSF.IO/5VB3U; here over all whole k that print as the share.

    >>> debit("0.35", "0.18", 20), debit("0.35", "0.49", 20)
    (False, True)
    """
    low, high = (max(x, Fraction(0)) ** 2 for x in rounded_from(sd))
    shares = _sums(*rounded_from(mean), n, Fraction(1))
    return any(low <= Fraction(k * (n - k), n * (n - 1)) <= high for k in shares if 0 <= k <= n)


def _sums(low: Fraction, high: Fraction, n: int, step: Fraction) -> Iterator[int]:
    """Whole numbers of steps that n values with a mean between the limits can add up to."""
    return iter(range(ceil(low * n / step), floor(high * n / step) + 1))


def _sums_of_squares(sd: str, n: int, step: Fraction, is_se: bool) -> tuple[Fraction, Fraction]:
    """(n - 1) SD^2 in squared steps at both ends of what is rounded to the printed spread."""
    low, high = rounded_from(sd)
    factor = (n - 1) * (n if is_se else 1) / step**2
    return max(low, Fraction(0)) ** 2 * factor, high**2 * factor


# GRIM, GRIMMER and DEBIT on the rows, where it is known in which steps single values are given.
#
# HbA1c in per cent is taken to be given to 0.1 for each patient, as laboratories mostly report it; in mmol/mol and
# for glucose in mg/dL to whole numbers. These steps are assumptions (one report prints a single patient's HbA1c to
# 0.01), so that a failure is no proof: it says that the number of patients, the rounding or the step is not what it
# seems. A mean of HbA1c printed to 0.1 can never fail, one printed to 0.01 only below ten patients. Insulin doses are
# averaged over days, glucose in mmol/L is often converted, and C-peptide is read from assays of unknown resolution:
# no step is known.


#: Outcome and unit -> the step in which single values are given.
STEPS = {("hba1c", "%"): "0.1", ("hba1c", "mmol/mol"): "1", ("fpg", "mg/dL"): "1"}
#: A row with its printed centre and spread -> what a test says of it.
Tested = Callable[[pd.Series, str, str], tuple[str, str, str]]


def _rows(tested: Tested) -> Callable[[Evidence], Iterator[CheckResult]]:
    def judge(evidence: Evidence) -> Iterator[CheckResult]:
        centres = printed_text(evidence, "continuous", "center")
        spreads = printed_text(evidence, "continuous", "dispersion_low")
        for row in evidence.continuous.itertuples():
            centre, spread = centres[row.Index], spreads.get(row.Index, "")
            result, expected, reason = tested(row, centre, spread)
            yield CheckResult("continuous", row.Index, result, _words(row, centre, spread), expected, reason)

    return judge


def _words(row: pd.Series, centre: str, spread: str) -> str:
    beside = f" ± {spread}" if row.dispersion_type in ("sd", "se") else ""
    return f"{centre}{beside} {row.unit}, n = {row.n:g}".replace("n = nan", "n not printed")


def _grim(row: pd.Series, centre: str, _: str) -> tuple[str, str, str]:
    if why := _no_mean_in_steps(row):
        return NOT_APPLICABLE, "", why
    n, step = int(row.n), STEPS[row.outcome, row.unit]
    if not grim_can_fail(centre, n, step):
        return (
            NOT_APPLICABLE,
            "",
            f"cannot fail: means of {n} values in steps of {step} come closer than the printed digits",
        )
    assumed = f"if single values are given in steps of {step}"
    if grim(centre, n, step):
        return CONSISTENT, "", assumed
    below, above = (f"{float(x):.{len(centre.partition('.')[2]) + 1}f}" for x in
                    possible_means(centre, n, step))  # fmt: skip
    cut = "; it fits if digits were cut off and not rounded" if grim_when_cut(centre, n, step) else ""
    return INCONSISTENT, f"{below} or {above} (a mean of {n} values)", assumed + cut


def _grimmer(row: pd.Series, centre: str, spread: str) -> tuple[str, str, str]:
    if why := _no_mean_in_steps(row):
        return NOT_APPLICABLE, "", why
    if row.dispersion_type not in ("sd", "se"):
        return NOT_APPLICABLE, "", "no standard deviation is printed"
    n, step, is_se = int(row.n), STEPS[row.outcome, row.unit], row.dispersion_type == "se"
    if not grim(centre, n, step):
        return NOT_APPLICABLE, "", "the mean itself does not fit"
    if not grimmer_can_fail(spread, n, step, is_se=is_se):
        return NOT_APPLICABLE, "", "cannot fail: every standard deviation to the printed digits is possible"
    fits = grimmer(centre, spread, n, step, is_se=is_se)
    assumed = f"if single values are given in steps of {step}"
    return (CONSISTENT, "", assumed) if fits else (INCONSISTENT, f"a spread that {n} such values can have", assumed)


def _debit(row: pd.Series, centre: str, spread: str) -> tuple[str, str, str]:
    if row.unit != "proportion":
        return NOT_APPLICABLE, "", "measured, not counted"
    if row.dispersion_type != "sd" or np.isnan(row.n):
        return NOT_APPLICABLE, "", "no standard deviation with its number of patients is printed"
    fits = debit(centre, spread, int(row.n))
    return (CONSISTENT, "", "") if fits else (INCONSISTENT, "the standard deviation that this share has", "")


def _no_mean_in_steps(row: pd.Series) -> str:
    """Why a row is no mean of values in known steps; empty where it is."""
    if row.center_type != "mean":
        return "a median is one of the values or lies between two of them, whatever the number of patients"
    if row.unit in RELATIVE:
        return "a relative change has no step"
    if (row.outcome, row.unit) not in STEPS:
        return f"no step is known in which single values are given in {row.unit or 'no unit'}"
    if np.isnan(row.n):
        return "no number of patients is printed"
    return "" if row.n > 1 else "one patient: the value is no mean"


CHECKS = (
    Check("GRIM: mean against n", PLAUSIBILITY, "some whole number of steps, divided by n, prints as the mean",
          "https://doi.org/10.1177/1948550616673876", _rows(_grim)),
    Check("GRIMMER: spread against n", PLAUSIBILITY, "some whole sum of squares of the right parity gives the standard "
          "deviation", "https://doi.org/10.7287/peerj.preprints.2400v1", _rows(_grimmer)),
    Check("DEBIT: yes or no with a spread", ARITHMETIC, "variance of a share: k (n - k) / (n (n - 1))",
          "https://doi.org/10.17605/OSF.IO/5VB3U", _rows(_debit)),
)  # fmt: skip
