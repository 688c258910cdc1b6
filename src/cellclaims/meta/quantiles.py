"""Quantiles and tails of the normal, t and chi-squared distributions, from ``scipy.special`` alone.

``scipy.stats`` would serve as well and costs more than a second at import. All functions broadcast.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, chdtri, fdtrc, ndtr, ndtri, stdtr, stdtrit


@lru_cache(maxsize=64)
def normal_quantile(level: float) -> float:
    """Return the half-width of the central ``level`` interval of a standard normal, in standard errors.

    >>> round(normal_quantile(0.95), 6)
    1.959964
    """
    return float(-ndtri((1.0 - level) / 2.0))


def t_quantile(level: float, df: ArrayLike) -> np.ndarray:
    """Return the half-width of the central ``level`` interval of a t distribution; NaN where ``df < 1``.

    >>> round(float(t_quantile(0.95, 1)), 4)
    12.7062
    """
    df = np.asarray(df, dtype=float)
    if df.size == 1:
        half = np.float64(_t_half_width(level, df.item()))
        return half if df.ndim == 0 else half.reshape(df.shape)
    values, place = np.unique(df, return_inverse=True)  # a batch has few different df: look them up
    return np.array([_t_half_width(level, value) for value in values])[place].reshape(df.shape)


@lru_cache(maxsize=4096)
def _t_half_width(level: float, df: float) -> float:
    return float(-stdtrit(df, (1.0 - level) / 2.0)) if df >= 1.0 else np.nan


def normal_two_sided(z: ArrayLike) -> np.ndarray:
    """P(|Z| >= |z|) for a standard normal Z."""
    return 2.0 * ndtr(-np.abs(z))


def t_two_sided(t: ArrayLike, df: ArrayLike) -> np.ndarray:
    """P(|T| >= |t|) for T with ``df`` degrees of freedom, infinite for a standard normal; NaN where ``df < 1``."""
    return np.where(np.greater_equal(df, 1.0), 2.0 * stdtr(df, -np.abs(t)), np.nan)[()]


def chi2_upper(q: ArrayLike, df: ArrayLike) -> np.ndarray:
    """P(X >= q) for X chi-squared with ``df`` degrees of freedom; 1 where ``df`` is 0 (all mass at zero)."""
    return np.where(np.greater(df, 0.0), chdtrc(df, q), 1.0)[()]


def f_upper(f: ArrayLike, numerator: ArrayLike, denominator: ArrayLike) -> np.ndarray:
    """P(X >= f) for X with the F distribution; NaN where a number of degrees of freedom is below 1."""
    denominator = np.asarray(denominator, dtype=float)
    return np.where(denominator >= 1.0, fdtrc(numerator, np.maximum(denominator, 1.0), f), np.nan)[()]


def chi2_quantile(probability: float, df: ArrayLike) -> np.ndarray:
    """Return the ``probability`` quantile of chi-squared with ``df`` degrees of freedom.

    >>> round(float(chi2_quantile(0.975, 12)), 4)
    23.3367
    """
    return chdtri(df, 1.0 - probability)
