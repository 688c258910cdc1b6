"""Effect sizes of means, of changes within one group, of correlations and of reliabilities. Each gives (yi, vi)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

Pair = tuple[NDArray, NDArray]
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

    The variance carries the squared small-sample factor once more, as in metafor.
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
    """A raw mean."""
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

    The variance carries the squared small-sample factor once more, as in metafor.
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
    """A raw correlation."""
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
    """A raw coefficient alpha (Bonett 2010, https://doi.org/10.1037/a0020142)."""
    return a, 2 * items * (1 - a) ** 2 / ((items - 1) * (n - 2))


def alpha_hakstian_whalen(a, items, n) -> Pair:
    """Cube-root transformed alpha (Hakstian and Whalen 1976, https://doi.org/10.1007/BF02291840)."""
    v = 18 * items * (n - 1) * (1 - a) ** (2 / 3) / ((items - 1) * (9 * n - 11) ** 2)
    return 1 - (1 - a) ** (1 / 3), v


def alpha_bonett(a, items, n) -> Pair:
    """Log-transformed alpha (Bonett 2002, https://doi.org/10.3102/10769986027004335)."""
    return -np.log(1 - a), 2 * items / ((items - 1) * (n - 2))
