"""Conversion of reported dispersion to the mean and SD that a pool needs.

A *dispersion* is a reported pair (low, high) with its type: ``sd`` and ``se`` use low only; an interval, an
interquartile range and a range use both. Every function is one formula with its source.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from scipy.special import ndtri, stdtrit

from cellclaims.errors import DataError


@dataclass(frozen=True)
class MeanSD:
    """Size, mean and SD of a group, and how they were obtained (empty: as reported)."""

    n: float
    mean: float
    sd: float
    how: str = ""


def sd_from_se(se: float, n: float) -> float:
    """Return the SD of individuals from the SE of their mean: ``se * sqrt(n)`` (Cochrane Handbook, section 6.5.2.2).

    >>> sd_from_se(0.5, 16)
    2.0
    """
    return se * math.sqrt(n)


def sd_from_interval(low: float, high: float, n: float, level: float = 0.95) -> float:
    """Return the SD from a confidence interval of a mean, by t with n - 1 df (Handbook, section 6.5.2.2).

    >>> round(sd_from_interval(-1.0, 1.0, 25), 4)
    2.4226
    """
    quantile = stdtrit(n - 1, 0.5 + level / 2)
    return float(math.sqrt(n) * (high - low) / (2 * quantile))


def sd_from_iqr(q1: float, q3: float, n: float) -> float:
    """Return the SD from the quartiles of n values (Wan 2014, equation 16, doi:10.1186/1471-2288-14-135).

    >>> round(sd_from_iqr(6.4, 7.2, 11), 4)
    0.6786
    """
    return float((q3 - q1) / (2 * ndtri((0.75 * n - 0.125) / (n + 0.25))))


def sd_from_range(minimum: float, maximum: float, n: float) -> float:
    """Return the SD from the range of n values (Wan 2014, equation 9, doi:10.1186/1471-2288-14-135).

    >>> round(sd_from_range(5.9, 9.0, 17), 4)
    0.8629
    """
    return float((maximum - minimum) / (2 * ndtri((n - 0.375) / (n + 0.25))))


def mean_from_quartiles(q1: float, median: float, q3: float, n: float) -> float:
    """Return the mean from median and quartiles (Luo 2018, equation 15, doi:10.1177/0962280216669183).

    >>> round(mean_from_quartiles(6.4, 6.9, 7.2, 11), 4)
    6.8265
    """
    weight = 0.7 + 0.39 / n
    return weight * (q1 + q3) / 2 + (1 - weight) * median


def mean_from_range(minimum: float, median: float, maximum: float, n: float) -> float:
    """Return the mean from median and range (Luo 2018, equation 7, doi:10.1177/0962280216669183).

    >>> round(mean_from_range(5.9, 7.1, 9.0, 17), 4)
    7.2132
    """
    weight = 4 / (4 + n**0.75)
    return weight * (minimum + maximum) / 2 + (1 - weight) * median


def se_from_p(difference: float, p: float, df: float) -> float:
    """Return the SE of a difference from its two-sided P value, by t with df (Handbook, section 6.5.2.3).

    >>> round(se_from_p(-0.68, 0.0081, 89), 4)
    0.251
    """
    return float(abs(difference) / -stdtrit(df, p / 2))  # the lower tail is accurate for small P values


def is_skewed(kind: str, low: float, median: float, high: float, n: float) -> bool:
    """Whether quartiles or a range around a median are too lopsided for a normal distribution, at the 5% level.

    Shi and others 2023 (https://doi.org/10.1177/09622802231172043): the distance of the median from the middle, as a
    share of the width, against 2.65 / sqrt(n) - 6 / n² (quartiles) or 1.01 / log(n + 9) + 2.43 / (n + 1) (range).

    Parameters
    ----------
    kind : {"iqr", "range"}
        Any other dispersion is never skewed.
    low, median, high : float
    n : float
        Participants.

    Examples
    --------
    >>> is_skewed("iqr", 6.6, 7.1, 7.5, 11), is_skewed("iqr", 0.0, 1.0, 30.0, 40)
    (False, True)
    """
    limits = {"iqr": lambda: 2.65 / math.sqrt(n) - 6 / n**2, "range": lambda: 1.01 / math.log(n + 9) + 2.43 / (n + 1)}
    if kind not in limits or not high > low:
        return False
    return abs(low + high - 2 * median) / (high - low) > limits[kind]()


def sd_of_change(sd_before: float, sd_after: float, correlation: float) -> float:
    """Return the SD of individual changes from the SDs before and after (Handbook, section 6.5.2.8).

    >>> round(sd_of_change(1.27, 1.07, 0.5), 4)
    1.1828
    """
    return math.sqrt(sd_before**2 + sd_after**2 - 2 * correlation * sd_before * sd_after)


def combine_groups(groups: list[MeanSD]) -> MeanSD:
    """Combine groups without overlap to one with exact n, mean and SD (Handbook, table 6.5.a).

    >>> combine_groups([MeanSD(2, 1.0, 0.0), MeanSD(2, 3.0, 0.0)])
    MeanSD(n=4, mean=2.0, sd=1.1547005383792515, how='2 arms combined')
    """
    if len(groups) == 1:
        return groups[0]
    n = sum(g.n for g in groups)
    mean = sum(g.n * g.mean for g in groups) / n
    squares = sum((g.n - 1) * g.sd**2 + g.n * (g.mean - mean) ** 2 for g in groups)
    how = "; ".join(dict.fromkeys([g.how for g in groups if g.how] + [f"{len(groups)} arms combined"]))
    return MeanSD(n, mean, math.sqrt(squares / (n - 1)), how)


def mean_and_sd(center_type: str, center: float, kind: str, low: float, high: float, n: float) -> MeanSD:
    """Return mean and SD of a reported row: centre (mean or median) with its dispersion.

    Parameters
    ----------
    center_type : {"mean", "median"}
    center, low, high : float
        In the unit of the outcome; ``high`` is NaN for ``sd`` and ``se``.
    kind : {"sd", "se", "ci95", "iqr", "range"}
    n : float
        Number of patients, above 1.

    Raises
    ------
    DataError
        If centre and dispersion do not determine a mean and an SD (none reported, or a median with an SD).
    """
    if not n > 1:
        raise DataError(f"a mean and SD need more than one patient, found n = {n:g}")
    convert = CONVERSIONS.get((center_type, kind))
    if convert is None:
        raise DataError(f"no mean and SD from a {center_type} with dispersion {kind or 'empty'}")
    return convert(center, low, high, n)


def _printed(mean: float, sd: float, _: float, n: float) -> MeanSD:
    return MeanSD(n, mean, sd)


def _by_se(mean: float, se: float, _: float, n: float) -> MeanSD:
    return MeanSD(n, mean, sd_from_se(se, n), "SD from SE")


def _by_interval(mean: float, low: float, high: float, n: float) -> MeanSD:
    return MeanSD(n, mean, sd_from_interval(low, high, n), "SD from confidence interval")


def _mean_iqr(mean: float, q1: float, q3: float, n: float) -> MeanSD:
    return MeanSD(n, mean, sd_from_iqr(q1, q3, n), "SD from quartiles (Wan 2014)")


def _mean_range(mean: float, low: float, high: float, n: float) -> MeanSD:
    return MeanSD(n, mean, sd_from_range(low, high, n), "SD from range (Wan 2014)")


def _median_iqr(median: float, q1: float, q3: float, n: float) -> MeanSD:
    how = "mean and SD from median and quartiles (Luo 2018, Wan 2014)"
    return MeanSD(n, mean_from_quartiles(q1, median, q3, n), sd_from_iqr(q1, q3, n), how)


def _median_range(median: float, low: float, high: float, n: float) -> MeanSD:
    how = "mean and SD from median and range (Luo 2018, Wan 2014)"
    return MeanSD(n, mean_from_range(low, median, high, n), sd_from_range(low, high, n), how)


#: (centre, dispersion) -> formula for mean and SD; other pairs determine neither.
CONVERSIONS = {
    ("mean", "sd"): _printed,
    ("mean", "se"): _by_se,
    ("mean", "ci95"): _by_interval,
    ("mean", "iqr"): _mean_iqr,
    ("mean", "range"): _mean_range,
    ("median", "iqr"): _median_iqr,
    ("median", "range"): _median_range,
}
