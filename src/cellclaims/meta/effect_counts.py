"""Effect sizes of counts: two groups, one group, rates. Each function takes cells and gives (yi, vi)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

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
    """A raw proportion."""
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

    Kept to reproduce printed numbers: its back-transformation needs one n for studies that have many.
    """
    n = x + others
    return (np.arcsin(np.sqrt(x / (n + 1))) + np.arcsin(np.sqrt((x + 1) / (n + 1)))) / 2, 1 / (4 * n + 2)


def rate(x: NDArray, t: NDArray) -> Pair:
    """A raw rate."""
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
