"""Effect sizes and their sampling variances from the columns of a study, by the measure names of the field."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln, ndtr, ndtri

from cellclaims.errors import PoolingError
from cellclaims.meta.inputs import Labels, numbers, one_of, per_study, refuse_where

if TYPE_CHECKING:
    import pandas as pd

# Effect sizes of counts: two groups, one group, rates. Each function takes cells and gives (yi, vi).


Pair = tuple[NDArray, NDArray]
#: A standardised mean difference is a log odds ratio times this: logistic (Hasselblad and Hedges 1995,
#: https://doi.org/10.1037/0033-2909.117.1.167), or normal by Cox's rule 1/1.65.
LOGISTIC, COX = np.sqrt(3.0) / np.pi, 1.0 / 1.65
#: Gauss-Legendre points of the bivariate normal integral, Newton steps for the tetrachoric correlation, and its limit.
BIVARIATE_POINTS, TETRACHORIC_STEPS, LARGEST_R = 60, 60, 1.0 - 1e-9


def log_odds_ratio(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Log odds ratio and its large-sample variance (Woolf 1955, https://doi.org/10.1111/j.1469-1809.1955.tb01348.x)."""
    return np.log(a * d / (b * c)), 1 / a + 1 / b + 1 / c + 1 / d


def log_risk_ratio(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Log ratio of two proportions."""
    n1, n2 = a + b, c + d
    return np.log(a / n1) - np.log(c / n2), 1 / a - 1 / n1 + 1 / c - 1 / n2


def risk_difference(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Difference of two proportions."""
    n1, n2 = a + b, c + d
    return a / n1 - c / n2, a * b / n1**3 + c * d / n2**3


def arcsine_difference(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Difference of arcsine-root proportions (Rücker and others 2009, https://doi.org/10.1002/sim.3511)."""
    n1, n2 = a + b, c + d
    return np.arcsin(np.sqrt(a / n1)) - np.arcsin(np.sqrt(c / n2)), 1 / (4 * n1) + 1 / (4 * n2)


def peto_log_odds_ratio(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Observed less expected events over the hypergeometric variance (Yusuf and others 1985)."""
    expected, variance = hypergeometric(a, b, c, d)
    return (a - expected) / variance, 1 / variance


def hypergeometric(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Mean and variance of ``a`` when all margins are fixed and the groups do not differ."""
    n1, n2, events, others = a + b, c + d, a + c, b + d
    n = n1 + n2
    return events * n1 / n, events * others * (n1 / n) * (n2 / n) / (n - 1)


def phi_coefficient(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Correlation of two dichotomies; variance for one multinomial sample."""
    n = a + b + c + d
    rows, others = (a + b) / n, (c + d) / n
    events, rest = (a + c) / n, (b + d) / n
    phi = (a * d - b * c) / (n * n * np.sqrt(rows * others * events * rest))
    row_skew, column_skew = rows - others, events - rest
    product = rows * others * events * rest
    squares = row_skew**2 / (rows * others) + column_skew**2 / (events * rest)
    cross = phi * (1 + phi**2 / 2) * row_skew * column_skew / np.sqrt(product)
    return phi, (1 - phi**2 + cross - 0.75 * phi**2 * squares) / n


def yule_q(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Yule's Q (Yule 1900, https://doi.org/10.1098/rsta.1900.0019)."""
    q = (a * d - b * c) / (a * d + b * c)
    return q, (1 - q**2) ** 2 / 4 * log_odds_ratio(a, b, c, d)[1]


def yule_y(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Yule's Y, with square roots of the two products."""
    first, second = np.sqrt(a * d), np.sqrt(b * c)
    y = (first - second) / (first + second)
    return y, (1 - y**2) ** 2 / 16 * log_odds_ratio(a, b, c, d)[1]


def logistic_smd(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Standardised mean difference behind an odds ratio, logistic."""
    y, v = log_odds_ratio(a, b, c, d)
    return LOGISTIC * y, LOGISTIC**2 * v


def cox_smd(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Standardised mean difference behind an odds ratio, normal."""
    y, v = log_odds_ratio(a, b, c, d)
    return COX * y, COX**2 * v


def probit_difference(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Difference of normal quantiles of two proportions."""
    n1, n2 = a + b, c + d
    p1, p2 = a / n1, c / n2
    z1, z2 = ndtri(p1), ndtri(p2)
    v = 2 * np.pi * (p1 * (1 - p1) * np.exp(z1**2) / n1 + p2 * (1 - p2) * np.exp(z2**2) / n2)
    return z1 - z2, v


def tetrachoric(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> Pair:
    """Correlation of two normal variables cut at the margins (Pearson 1900); not defined with an empty cell.

    The margins are fitted exactly, so that the correlation solves one equation; its variance follows from how the
    solution moves with each cell of the multinomial.
    """
    n = a + b + c + d
    h, k = ndtri((a + b) / n), ndtri((a + c) / n)
    wanted, r = a / n, np.sin(np.pi / 2 * yule_y(a, b, c, d)[0])
    low, high = np.full_like(r, -LARGEST_R), np.full_like(r, LARGEST_R)
    for _ in range(TETRACHORIC_STEPS):
        gap = bivariate_normal(h, k, r) - wanted
        low, high = np.where(gap < 0, r, low), np.where(gap >= 0, r, high)
        step = r - gap / _bivariate_density(h, k, r)
        r = np.where((step > low) & (step < high), step, 0.5 * (low + high))
    root = np.sqrt(1 - r * r)
    by_row, by_column = ndtr((k - r * h) / root), ndtr((h - r * k) / root)
    pull = (1 - by_row - by_column, -by_row, -by_column)
    shares = (a / n, b / n, c / n)
    mean = sum(p * g for p, g in zip(shares, pull, strict=True))
    spread = sum(p * g * g for p, g in zip(shares, pull, strict=True)) - mean**2
    empty = (a == 0) | (b == 0) | (c == 0) | (d == 0)
    return np.where(empty, np.nan, r), spread / (n * _bivariate_density(h, k, r) ** 2)


def _bivariate_density(h: NDArray, k: NDArray, r: NDArray) -> NDArray:
    rest = 1 - r * r
    return np.exp(-(h * h - 2 * r * h * k + k * k) / (2 * rest)) / (2 * np.pi * np.sqrt(rest))


def bivariate_normal(h: NDArray, k: NDArray, r: NDArray) -> NDArray:
    """P(X <= h, Y <= k) of two standard normal variables of correlation r, by Plackett's integral over asin(r).

    Examples
    --------
    >>> round(float(bivariate_normal(np.array(0.0), np.array(0.0), np.array(0.5))), 12)
    0.333333333333
    """
    points, weights = np.polynomial.legendre.leggauss(BIVARIATE_POINTS)
    angle = np.arcsin(r)[..., None] * (1 + points) / 2
    s = np.sin(angle)
    h, k = np.broadcast_arrays(h, k)
    exponent = -(h[..., None] ** 2 - 2 * s * (h * k)[..., None] + k[..., None] ** 2) / (2 * np.cos(angle) ** 2)
    return ndtr(h) * ndtr(k) + np.arcsin(r) / (4 * np.pi) * (np.exp(exponent) @ weights)


def log_rate_ratio(x1: NDArray, t1: NDArray, x2: NDArray, t2: NDArray) -> Pair:
    """Log ratio of two rates."""
    return np.log(x1 / t1) - np.log(x2 / t2), 1 / x1 + 1 / x2


def rate_difference(x1: NDArray, t1: NDArray, x2: NDArray, t2: NDArray) -> Pair:
    """Difference of two rates."""
    return x1 / t1 - x2 / t2, x1 / t1**2 + x2 / t2**2


def root_rate_difference(x1: NDArray, t1: NDArray, x2: NDArray, t2: NDArray) -> Pair:
    """Difference of root-transformed rates."""
    return np.sqrt(x1 / t1) - np.sqrt(x2 / t2), 1 / (4 * t1) + 1 / (4 * t2)


def proportion(x: NDArray, others: NDArray) -> Pair:
    """Return a raw proportion."""
    n = x + others
    return x / n, x * others / n**3


def log_proportion(x: NDArray, others: NDArray) -> Pair:
    """Log of a proportion."""
    return np.log(x / (x + others)), 1 / x - 1 / (x + others)


def logit_proportion(x: NDArray, others: NDArray) -> Pair:
    """Logit of a proportion."""
    return np.log(x / others), 1 / x + 1 / others


def arcsine_proportion(x: NDArray, others: NDArray) -> Pair:
    """Arcsine of the root of a proportion."""
    n = x + others
    return np.arcsin(np.sqrt(x / n)), 1 / (4 * n)


def double_arcsine_proportion(x: NDArray, others: NDArray) -> Pair:
    """Freeman and Tukey's double arcsine, halved (1950, https://doi.org/10.1214/aoms/1177729756).

    Provided to reproduce published numbers: its back-transformation needs a single n for studies of different sizes.
    """
    n = x + others
    return (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1)))) / 2, 1 / (4 * n + 2)


def rate(x: NDArray, t: NDArray) -> Pair:
    """Return a raw rate."""
    return x / t, x / t**2


def log_rate(x: NDArray, t: NDArray) -> Pair:
    """Log of a rate."""
    return np.log(x / t), 1 / x


def root_rate(x: NDArray, t: NDArray) -> Pair:
    """Root of a rate."""
    return np.sqrt(x / t), 1 / (4 * t)


def double_root_rate(x: NDArray, t: NDArray) -> Pair:
    """Freeman and Tukey's transformation of a rate."""
    return (np.sqrt(x / t) + np.sqrt((x + 1) / t)) / 2, 1 / (4 * t)


# Effect sizes of means, of changes within one group, of correlations and of reliabilities. Each gives (yi, vi).


#: Double-exponential quadrature: at this reach the end is 1e-16 away, at this step the rule is right to rounding.
DOUBLE_REACH, DOUBLE_STEP = 3.2, 0.03


def small_sample_factor(df: NDArray) -> NDArray:
    r"""Hedges' exact correction :math:`J(m) = \Gamma(m/2) / (\sqrt{m/2}\,\Gamma((m-1)/2))`.

    Hedges 1981, https://doi.org/10.3102/10769986006002107, eq. 6e.

    Examples
    --------
    >>> round(float(small_sample_factor(np.array(10.0))), 6)
    0.922746
    """
    with np.errstate(invalid="ignore"):
        factor = np.exp(gammaln(df / 2) - 0.5 * np.log(df / 2) - gammaln((df - 1) / 2))
    return np.where(df > 1, factor, np.nan)


def _pooled(n1: NDArray, sd1: NDArray, n2: NDArray, sd2: NDArray) -> NDArray:
    return np.sqrt(((n1 - 1) * sd1**2 + (n2 - 1) * sd2**2) / (n1 + n2 - 2))


def mean_difference(m1, sd1, n1, m2, sd2, n2, vtype: str = "LS") -> Pair:
    """Difference of means; LS: a variance in each group, HO: one variance."""
    if vtype == "HO":
        return m1 - m2, _pooled(n1, sd1, n2, sd2) ** 2 * (1 / n1 + 1 / n2)
    return m1 - m2, sd1**2 / n1 + sd2**2 / n2


def standardised_difference(m1, sd1, n1, m2, sd2, n2, vtype: str = "LS") -> Pair:
    r"""Hedges' g by the pooled SD; variance LS, LS2, UB (unbiased) or AV (from the average g).

    LS: :math:`1/n_1 + 1/n_2 + g^2 / (2 (n_1 + n_2))` (Hedges 1982, https://doi.org/10.1037/0033-2909.92.2.490).
    """
    df = n1 + n2 - 2
    j = small_sample_factor(df)
    d = (m1 - m2) / _pooled(n1, sd1, n2, sd2)
    g, inverse, total = j * d, 1 / n1 + 1 / n2, n1 + n2
    if vtype == "LS2":
        return g, j**2 * (inverse + d**2 / (2 * total))
    if vtype == "UB":
        return g, inverse + (1 - (df - 2) / (df * j**2)) * g**2
    squared = (np.sum(total * g) / np.sum(total)) ** 2 if vtype == "AV" else g**2
    return g, inverse + squared / (2 * total)


def heteroscedastic_difference(m1, sd1, n1, m2, sd2, n2) -> Pair:
    """Difference over the root of the mean of both variances (Bonett 2009, https://doi.org/10.1037/a0014699, eq. 5).

    The variance includes the squared small-sample factor once more, as in metafor.
    """
    square = (sd1**2 + sd2**2) / 2
    j = small_sample_factor(n1 + n2 - 2)
    g = j * (m1 - m2) / np.sqrt(square)
    fourth = sd1**4 / (n1 - 1) + sd2**4 / (n2 - 1)
    return g, j**2 * (g**2 * fourth / (8 * square**2) + (sd1**2 / (n1 - 1) + sd2**2 / (n2 - 1)) / square)


def control_standardised_difference(m1, sd1, n1, m2, sd2, n2) -> Pair:
    """Difference over the control group's SD (Glass's delta), one variance."""
    g = small_sample_factor(n2 - 1) * (m1 - m2) / sd2
    return g, 1 / n1 + 1 / n2 + g**2 / (2 * n2)


def control_heteroscedastic_difference(m1, sd1, n1, m2, sd2, n2) -> Pair:
    """Difference over the control group's SD, a variance in each group."""
    g = small_sample_factor(n2 - 1) * (m1 - m2) / sd2
    return g, sd1**2 / sd2**2 / n1 + 1 / n2 + g**2 / (2 * n2)


def log_ratio_of_means(m1, sd1, n1, m2, sd2, n2, vtype: str = "LS") -> Pair:
    """Log ratio of means (Hedges and others 1999); LS, HO (one SD), AV (average coefficient of variation), AVHO."""
    y, cv1, cv2 = np.log(m1 / m2), sd1 / m1, sd2 / m2
    if vtype == "HO":
        sd = _pooled(n1, sd1, n2, sd2)
        cv1, cv2 = sd / m1, sd / m2
    elif vtype == "AV":
        cv1, cv2 = np.sum(n1 * cv1) / np.sum(n1), np.sum(n2 * cv2) / np.sum(n2)
    elif vtype == "AVHO":
        cv1 = cv2 = np.sum(n1 * cv1 + n2 * cv2) / np.sum(n1 + n2)
    return y, cv1**2 / n1 + cv2**2 / n2


def log_ratio_of_variation(m1, sd1, n1, m2, sd2, n2) -> Pair:
    """Log ratio of coefficients of variation (Nakagawa and others 2015, https://doi.org/10.1111/2041-210X.12309).

    Defined for positive means only.
    """
    y, v = log_ratio_of_sds(m1, sd1, n1, m2, sd2, n2)
    return y - np.log(m1) + np.log(m2), v + sd1**2 / (n1 * m1**2) + sd2**2 / (n2 * m2**2)


def log_ratio_of_sds(m1, sd1, n1, m2, sd2, n2) -> Pair:
    """Log ratio of standard deviations."""
    first, second = 1 / (2 * (n1 - 1)), 1 / (2 * (n2 - 1))
    return np.log(sd1 / sd2) + first - second, first + second


def _cohen_d(m1, sd1, n1, m2, sd2, n2) -> Pair:
    d = (m1 - m2) / _pooled(n1, sd1, n2, sd2)
    return d, 1 / n1 + 1 / n2 + d**2 / (2 * (n1 + n2))


def point_biserial(m1, sd1, n1, m2, sd2, n2) -> Pair:
    """Correlation of group and value behind a difference of means."""
    d, v = _cohen_d(m1, sd1, n1, m2, sd2, n2)
    h = (n1 + n2 - 2) * (1 / n1 + 1 / n2)
    return d / np.sqrt(d**2 + h), h**2 / (d**2 + h) ** 3 * v


def logistic_odds_ratio(m1, sd1, n1, m2, sd2, n2) -> Pair:
    """Log odds ratio behind a standardised difference, logistic."""
    d, v = _cohen_d(m1, sd1, n1, m2, sd2, n2)
    return np.pi / np.sqrt(3) * d, np.pi**2 / 3 * v


def cox_odds_ratio(m1, sd1, n1, m2, sd2, n2) -> Pair:
    """Log odds ratio behind a standardised difference, by Cox's 1.65."""
    d, v = _cohen_d(m1, sd1, n1, m2, sd2, n2)
    return 1.65 * d, 1.65**2 * v


def mean(m, sd, n) -> Pair:
    """Return a raw mean."""
    return m, sd**2 / n


def log_mean(m, sd, n) -> Pair:
    """Log of a mean."""
    return np.log(m), sd**2 / (n * m**2)


def _change_variance(sd1, sd2, r) -> NDArray:
    return sd1**2 + sd2**2 - 2 * r * sd1 * sd2


def mean_change(m1, sd1, m2, sd2, n, r) -> Pair:
    """Mean change within one group; ``r`` is the correlation of both times."""
    return m1 - m2, _change_variance(sd1, sd2, r) / n


def standardised_by_change(m1, sd1, m2, sd2, n, r) -> Pair:
    """Mean change over the SD of the change (Gibbons and others 1993)."""
    g = small_sample_factor(n - 1) * (m1 - m2) / np.sqrt(_change_variance(sd1, sd2, r))
    return g, 1 / n + g**2 / (2 * n)


def standardised_by_raw(m1, sd1, m2, sd2, n, r) -> Pair:
    """Mean change over the first SD (Becker 1988, https://doi.org/10.1111/j.2044-8317.1988.tb00901.x)."""
    g = small_sample_factor(n - 1) * (m1 - m2) / sd1
    return g, 2 * (1 - r) / n + g**2 / (2 * n)


def standardised_by_raw_heteroscedastic(m1, sd1, m2, sd2, n, r) -> Pair:
    """Mean change over the first SD, a variance at each time (Bonett 2008, https://doi.org/10.1037/1082-989X.13.2.99).

    The variance includes the squared small-sample factor once more, as in metafor.
    """
    j = small_sample_factor(n - 1)
    g = j * (m1 - m2) / sd1
    return g, j**2 * (_change_variance(sd1, sd2, r) / sd1**2 + g**2 / 2) / (n - 1)


def log_ratio_of_change(m1, sd1, m2, sd2, n, r) -> Pair:
    """Log ratio of both means of one group (Lajeunesse 2011, https://doi.org/10.1890/11-0423.1)."""
    return np.log(m1 / m2), _change_variance(sd1 / m1, sd2 / m2, r) / n


def log_variation_of_change(m1, sd1, m2, sd2, n, r) -> Pair:
    """Log ratio of both coefficients of variation of one group."""
    y, v = log_sds_of_change(m1, sd1, m2, sd2, n, r)
    return y - np.log(m1 / m2), v + log_ratio_of_change(m1, sd1, m2, sd2, n, r)[1]


def log_sds_of_change(m1, sd1, m2, sd2, n, r) -> Pair:
    """Log ratio of both standard deviations of one group."""
    return np.log(sd1 / sd2), (1 - r**2) / (n - 1)


def correlation(r, n) -> Pair:
    """Return a raw correlation."""
    return r, (1 - r**2) ** 2 / (n - 1)


def unbiased_correlation(r, n) -> Pair:
    """Olkin and Pratt's unbiased correlation (1958, https://doi.org/10.1214/aoms/1177706717)."""
    y = r * _olkin_pratt(r, (n - 2) / 2)
    return y, (1 - y**2) ** 2 / (n - 1)


def _olkin_pratt(r: NDArray, c: NDArray) -> NDArray:
    r"""Gauss's 2F1(1/2, 1/2; c; 1 - r^2), which library routines lose near r = 0, by Euler's integral.

    With t = sin^2(phi) it is :math:`2 \int_0^{\pi/2} \cos^{2c-2}\varphi\,(\cos^2\varphi + r^2 \sin^2\varphi)^{-1/2}
    d\varphi / B(1/2, c - 1/2)`; double-exponential points follow whatever happens close to the end.
    """
    x = np.arange(-DOUBLE_REACH, DOUBLE_REACH + DOUBLE_STEP / 2, DOUBLE_STEP)
    # pi/2 - phi, from its own small value: the cosine of an angle near pi/2 keeps its digits.
    rest = np.pi / 2 / (1 + np.exp(np.pi * np.sinh(x)))
    weight = rest * (1 - rest * 2 / np.pi) * np.pi * np.cosh(x) * DOUBLE_STEP
    cosine, sine = np.sin(rest), np.cos(rest)
    r, c = (part[..., None] for part in np.broadcast_arrays(r, c))
    integral = (weight * cosine ** (2 * c - 2) / np.hypot(cosine, r * sine)).sum(-1)
    c = c[..., 0]
    return np.where(c > 1, 2 * integral * np.exp(gammaln(c) - gammaln(0.5) - gammaln(c - 0.5)), np.nan)


def fisher_z(r, n) -> Pair:
    """Fisher's z of a correlation."""
    return np.arctanh(r), 1 / (n - 3)


def alpha(a, items, n) -> Pair:
    """Return a raw coefficient alpha (Bonett 2010, https://doi.org/10.1037/a0020142)."""
    return a, 2 * items * (1 - a) ** 2 / ((items - 1) * (n - 2))


def alpha_hakstian_whalen(a, items, n) -> Pair:
    """Cube-root transformed alpha (Hakstian and Whalen 1976, https://doi.org/10.1007/BF02291840)."""
    v = 18 * items * (n - 1) * (1 - a) ** (2 / 3) / ((items - 1) * (9 * n - 11) ** 2)
    return 1 - (1 - a) ** (1 / 3), v


def alpha_bonett(a, items, n) -> Pair:
    """Log-transformed alpha (Bonett 2002, https://doi.org/10.3102/10769986027004335)."""
    return -np.log(1 - a), 2 * items / ((items - 1) * (n - 2))


# Columns of an effect size: what each measure needs, what is refused, and half an event added to empty cells.
#
# Column names are those of the field (metafor): two groups ``ai, bi, ci, di, n1i, n2i`` (events and others), rates
# ``x1i, t1i``, means ``m1i, sd1i``, one group ``xi, ni``, a correlation ``ri``.


TO = ("all", "only0", "if0all", "none")
COUNTS = {"ai", "bi", "ci", "di", "x1i", "x2i", "xi"}
SIZES = {"n1i", "n2i", "ni"}
#: Columns that contradict each other unless the first two add up to the third.
SUMS = (("ai", "bi", "n1i"), ("ci", "di", "n2i"), ("xi", "mi", "ni"))
POSITIVE = {"sd1i", "sd2i", "sdi", "t1i", "t2i", "ti"}


def read_columns(columns: dict[str, ArrayLike], slab: ArrayLike | None = None) -> dict[str, NDArray]:
    """Columns as float arrays of one shape.

    Raises
    ------
    PoolingError
        If a column is not numeric, has a missing value, another shape, or an impossible value (a negative count, a
        size below 1, a standard deviation or a time that is not positive); names the column and the study.
    """
    given, labels = per_study(columns, slab)
    return _checked(given, labels)


def _checked(columns: dict[str, ArrayLike], slab: Labels) -> dict[str, NDArray]:
    """Return aligned columns as float arrays of one shape, after checking their values."""
    arrays = {name: numbers(values, name, slab) for name, values in columns.items()}
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        shapes = {name: a.shape for name, a in arrays.items()}
        raise PoolingError(f"expected columns of one length, found {shapes}") from None
    for name, a in arrays.items():
        refuse_where(~np.isfinite(a), a, name, "a number", slab)
        if name in COUNTS:
            refuse_where(a < 0, a, name, "a count, zero or more", slab)
        if name in SIZES:
            refuse_where(a < 1, a, name, "a size of at least 1", slab)
        if name in POSITIVE:
            refuse_where(a <= 0, a, name, "a value above zero", slab)
        if name == "ri":
            refuse_where(np.abs(a) > 1, a, name, "a correlation from -1 to 1", slab)
    arrays = {name: np.broadcast_to(a, shape) for name, a in arrays.items()}
    for events, others, size in SUMS:
        if {events, others, size} <= set(arrays):
            added = arrays[events] + arrays[others]
            refuse_where(
                added != arrays[size], arrays[size], size, f"{events} + {others}, as all three are given", slab
            )
    return arrays


def complete_table(columns: dict[str, NDArray]) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """Return the four cells of two groups, from ``ai, bi, ci, di`` or ``ai, n1i, ci, n2i``."""
    a, c = columns["ai"], columns["ci"]
    b = columns["bi"] if "bi" in columns else columns["n1i"] - a
    d = columns["di"] if "di" in columns else columns["n2i"] - c
    refuse_where(b < 0, a, "ai", "no more events than n1i")
    refuse_where(d < 0, c, "ci", "no more events than n2i")
    refuse_where((a + b == 0) | (c + d == 0), a + b, "n1i, n2i", "two groups with patients")
    return a, b, c, d


def complete_group(columns: dict[str, NDArray]) -> tuple[NDArray, NDArray]:
    """Events and others of one group, from ``xi, mi`` or ``xi, ni``."""
    x = columns["xi"]
    others = columns["mi"] if "mi" in columns else columns["ni"] - x
    refuse_where(others < 0, x, "xi", "no more events than ni")
    return x, others


def fill_empty(cells: tuple[NDArray, ...], add: float, to: str) -> tuple[NDArray, ...]:
    """Add ``add`` to every cell of a study: of all, of those with an empty cell, of all if any has one, or of none.

    Examples
    --------
    >>> a, b = fill_empty((np.array([0.0, 3.0]), np.array([5.0, 2.0])), 0.5, "only0")
    >>> a.tolist(), b.tolist()
    ([0.5, 3.0], [5.5, 2.0])
    """
    to = one_of(to, TO, "to")
    if not 0 <= add < np.inf:
        raise PoolingError(f"add: expected a number of at least 0, found {add!r}")
    empty = np.any(np.stack(cells) == 0, axis=0)
    chosen = {"all": True, "only0": empty, "if0all": empty.any(axis=-1, keepdims=empty.ndim > 0), "none": False}[to]
    return tuple(cell + add * np.asarray(chosen) for cell in cells)


@dataclass(frozen=True, eq=False)
class EffectSizes:
    """Effects and sampling variances; both are NaN where the measure is not defined for a study.

    ``yi, vi = escalc(...)`` takes it apart; :func:`cellclaims.meta.fit` takes it whole.

    Attributes
    ----------
    yi, vi : ndarray
    slab : tuple of str, or None
        Labels of the studies.
    measure : str or None
    ni : ndarray or None
        Patients behind each effect, where the columns say.
    """

    yi: NDArray
    vi: NDArray
    slab: Labels = None
    measure: str | None = None
    ni: NDArray | None = None

    def __iter__(self) -> Iterator[NDArray]:
        """Effects, then variances."""
        return iter((self.yi, self.vi))

    @property
    def defined(self) -> NDArray:
        """Which studies have an effect; passed as ``keep``, studies without one are listed with weight 0."""
        return np.isfinite(self.yi)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per study: label, effect, variance.

        Returns
        -------
        pandas.DataFrame
        """
        import pandas as pd  # late: computing needs none of it

        yi, vi = np.atleast_1d(self.yi), np.atleast_1d(self.vi)
        slab = self.slab or [str(i + 1) for i in range(yi.shape[-1])]
        return pd.DataFrame({"slab": slab, "yi": yi, "vi": vi})

    def __repr__(self) -> str:
        """Return the table."""
        return (
            f"{measure_in_words(self.measure)}\n{self.to_frame()}"
            if np.ndim(self.yi) <= 1
            else repr((self.yi, self.vi))
        )


@dataclass(frozen=True)
class Measure:
    """Definition of a measure: shape of its columns, function, continuity correction, variance types."""

    columns: str
    function: Callable[..., tuple[NDArray, NDArray]]
    add: float = 0.5
    vtypes: tuple[str, ...] = ()


#: Alternative sets of columns for each shape; the first is named when columns are missing.
COLUMNS = {
    "table": (("ai", "n1i", "ci", "n2i"), ("ai", "bi", "ci", "di")),
    "rates": (("x1i", "t1i", "x2i", "t2i"),),
    "means": (("m1i", "sd1i", "n1i", "m2i", "sd2i", "n2i"),),
    "change": (("m1i", "sd1i", "m2i", "sd2i", "ni", "ri"),),
    "group": (("xi", "ni"), ("xi", "mi")),
    "rate": (("xi", "ti"),),
    "mean": (("mi", "sdi", "ni"),),
    "correlation": (("ri", "ni"),),
    "alpha": (("ai", "mi", "ni"),),
}

#: Measures by metafor's names.
MEASURES = {
    "OR": Measure("table", log_odds_ratio),
    "RR": Measure("table", log_risk_ratio),
    "RD": Measure("table", risk_difference),
    "AS": Measure("table", arcsine_difference, add=0.0),
    "PETO": Measure("table", peto_log_odds_ratio),
    "PHI": Measure("table", phi_coefficient, add=0.0),
    "YUQ": Measure("table", yule_q),
    "YUY": Measure("table", yule_y),
    "RTET": Measure("table", tetrachoric, add=0.0),
    "OR2DL": Measure("table", logistic_smd),
    "OR2DN": Measure("table", cox_smd),
    "PBIT": Measure("table", probit_difference),
    "IRR": Measure("rates", log_rate_ratio),
    "IRD": Measure("rates", rate_difference),
    "IRSD": Measure("rates", root_rate_difference, add=0.0),
    "MD": Measure("means", mean_difference, vtypes=("LS", "HO")),
    "SMD": Measure("means", standardised_difference, vtypes=("LS", "LS2", "UB", "AV")),
    "SMDH": Measure("means", heteroscedastic_difference),
    "SMD1": Measure("means", control_standardised_difference),
    "SMD1H": Measure("means", control_heteroscedastic_difference),
    "ROM": Measure("means", log_ratio_of_means, vtypes=("LS", "HO", "AV", "AVHO")),
    "CVR": Measure("means", log_ratio_of_variation),
    "VR": Measure("means", log_ratio_of_sds),
    "RPB": Measure("means", point_biserial),
    "D2ORL": Measure("means", logistic_odds_ratio),
    "D2ORN": Measure("means", cox_odds_ratio),
    "MC": Measure("change", mean_change),
    "SMCC": Measure("change", standardised_by_change),
    "SMCR": Measure("change", standardised_by_raw),
    "SMCRH": Measure("change", standardised_by_raw_heteroscedastic),
    "ROMC": Measure("change", log_ratio_of_change),
    "CVRC": Measure("change", log_variation_of_change),
    "VRC": Measure("change", log_sds_of_change),
    "PR": Measure("group", proportion),
    "PLN": Measure("group", log_proportion),
    "PLO": Measure("group", logit_proportion),
    "PAS": Measure("group", arcsine_proportion, add=0.0),
    "PFT": Measure("group", double_arcsine_proportion, add=0.0),
    "IR": Measure("rate", rate),
    "IRLN": Measure("rate", log_rate),
    "IRS": Measure("rate", root_rate, add=0.0),
    "IRFT": Measure("rate", double_root_rate, add=0.0),
    "MN": Measure("mean", mean),
    "MNLN": Measure("mean", log_mean),
    "COR": Measure("correlation", correlation),
    "UCOR": Measure("correlation", unbiased_correlation),
    "ZCOR": Measure("correlation", fisher_z),
    "ARAW": Measure("alpha", alpha),
    "AHW": Measure("alpha", alpha_hakstian_whalen),
    "ABT": Measure("alpha", alpha_bonett),
}


#: What a measure is, for axes and summaries; others go by their names.
IN_WORDS = {
    "OR": "log odds ratio",
    "PETO": "log odds ratio (Peto)",
    "RR": "log risk ratio",
    "RD": "risk difference",
    "IRR": "log rate ratio",
    "IRD": "rate difference",
    "MD": "mean difference",
    "SMD": "standardised mean difference",
    "SMDH": "standardised mean difference",
    "ROM": "log ratio of means",
    "MC": "mean change",
    "SMCC": "standardised mean change",
    "SMCR": "standardised mean change",
    "SMCRH": "standardised mean change",
    "PR": "proportion",
    "PLN": "log proportion",
    "PLO": "logit of the proportion",
    "PAS": "arcsine of the proportion",
    "PFT": "double arcsine of the proportion",
    "IR": "rate",
    "IRLN": "log rate",
    "MN": "mean",
    "MNLN": "log mean",
    "COR": "correlation",
    "UCOR": "correlation",
    "ZCOR": "Fisher's z of the correlation",
}


def measure_in_words(measure: str | None) -> str:
    """Return the definition of a measure.

    Examples
    --------
    >>> measure_in_words("OR"), measure_in_words("VR"), measure_in_words(None)
    ('log odds ratio', 'VR', 'effect')
    """
    return "effect" if measure is None else IN_WORDS.get(measure, measure)


def columns_of(measure: str) -> tuple[tuple[str, ...], ...]:
    """Return the sets of columns from which a measure can be computed.

    Examples
    --------
    >>> columns_of("PLO")
    (('xi', 'ni'), ('xi', 'mi'))
    """
    return COLUMNS[MEASURES[one_of(measure, MEASURES, "measure")].columns]


def escalc(
    measure: str,
    *,
    slab: ArrayLike | None = None,
    add: float | None = None,
    to: str = "only0",
    drop00: bool = False,
    vtype: str = "LS",
    **columns: ArrayLike,
) -> EffectSizes:
    """Compute effects ``yi`` and sampling variances ``vi`` of a measure.

    Parameters
    ----------
    measure : str
        A key of :data:`MEASURES`; its shape in :data:`COLUMNS` says which columns it takes.
    add : float, optional
        What a study with an empty cell gets in every cell; None: half an event where the measure needs one, else
        nothing.
    to : {"only0", "all", "if0all", "none"}
        Which studies get it: those with an empty cell, all, all if any has one, none.
    drop00 : bool
        Two groups: leave a study undefined that has no event, or nothing but events, in both groups.
    vtype : str
        Variance type, for measures that have several.
    slab : array-like of str, shape (k,), optional
        Labels of the studies; the labels of the columns if not given.
    **columns : array-like of float
        Columns by name, all of one shape.

    Returns
    -------
    EffectSizes
        ``yi`` and ``vi`` in the shape of the columns, NaN where the measure is not defined (``EffectSizes.defined``).

    Raises
    ------
    PoolingError
        A measure, option or column that is not known, a missing column, a value that cannot be.

    Examples
    --------
    >>> yi, vi = escalc("RR", ai=[4, 6], n1i=[123, 306], ci=[11, 29], n2i=[139, 303])
    >>> yi.round(4).tolist(), vi.round(4).tolist()
    ([-0.8893, -1.5854], [0.3256, 0.1946])
    """
    measure = one_of(measure, MEASURES, "measure")
    how = MEASURES[measure]
    vtype = vtype.upper() if isinstance(vtype, str) else vtype
    if vtype != "LS" and vtype not in how.vtypes:
        raise PoolingError(f"vtype of {measure}: expected one of {how.vtypes or ('LS',)}, found {vtype!r}")
    given, labels = per_study(_select(measure, how, columns), slab)
    values = _checked(given, labels)
    if how.columns == "alpha":
        refuse_where(values["ai"] > 1, values["ai"], "ai", "a reliability of at most 1", labels)
    arguments, undefined = _arguments(how, values, how.add if add is None else add, to, drop00)
    options = {"vtype": vtype} if how.vtypes else {}
    with np.errstate(divide="ignore", invalid="ignore"):
        yi, vi = (np.asarray(part, float) for part in how.function(*arguments, **options))
    undefined = undefined | ~np.isfinite(yi) | ~np.isfinite(vi)
    yi, vi = (np.where(undefined, np.nan, part) for part in (yi, vi))
    if labels is not None and len(labels) != np.shape(yi)[-1]:
        raise PoolingError(f"slab: expected one label a study, {np.shape(yi)[-1]}, found {len(labels)}")
    return EffectSizes(yi, vi, labels, measure, _patients(how, values))


def _patients(how: Measure, values: dict[str, NDArray]) -> NDArray | None:
    """Return the number of patients of each effect."""
    if how.columns == "table":
        return sum(complete_table(values))
    if how.columns == "group":
        return sum(complete_group(values))
    if how.columns == "means":
        return values["n1i"] + values["n2i"]
    return values.get("ni")


def _select(measure: str, how: Measure, columns: dict[str, ArrayLike]) -> dict[str, ArrayLike]:
    """Return the columns of the measure in order; raise an error for missing and unknown ones."""
    choices = COLUMNS[how.columns]
    known = set().union(*choices)
    if set(columns) - known:
        extra = ", ".join(sorted(set(columns) - known))
        raise PoolingError(f"{measure}: expected columns {' or '.join(map(str, choices))}, found also {extra}")
    for choice in choices:
        if set(choice) <= set(columns):
            return {name: columns[name] for name in (*choice, *(n for n in columns if n not in choice))}
    raise PoolingError(f"{measure}: expected columns {' or '.join(map(str, choices))}, found {sorted(columns)}")


def _arguments(
    how: Measure, values: dict[str, NDArray], add: float, to: str, drop00: bool
) -> tuple[tuple[NDArray, ...], NDArray]:
    """Return the arguments of the measure's function, and which studies are undefined by ``drop00``."""
    shape = next(iter(values.values())).shape
    undefined = np.zeros(shape, bool)
    if how.columns == "table":
        a, b, c, d = complete_table(values)
        undefined = drop00 & (((a == 0) & (c == 0)) | ((b == 0) & (d == 0)))
        return fill_empty((a, b, c, d), add, to), undefined
    if how.columns == "rates":
        x1, x2 = fill_empty((values["x1i"], values["x2i"]), add, to)
        undefined = drop00 & (values["x1i"] == 0) & (values["x2i"] == 0)
        return (x1, values["t1i"], x2, values["t2i"]), undefined
    if how.columns == "group":
        return fill_empty(complete_group(values), add, to), undefined
    if how.columns == "rate":
        return (*fill_empty((values["xi"],), add, to), values["ti"]), undefined
    return tuple(values[name] for name in COLUMNS[how.columns][0]), undefined
