"""From a distribution of true proportions to what a series of patients will show, as a short weighted sum.

``P(Bin(n, p) >= m)`` is the probability that a Beta(m, n - m + 1) variable is at most p. Averaged over any
distribution of p it is therefore the average, over that Beta distribution, of the chance that the true
proportion is at least as large.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv, ndtr

from cellclaims.errors import PoolingError

#: Trapezoid on the normal scale of the Beta distribution: what lies beyond the reach weighs 1e-16.
STEP, REACH = 0.1, 8.3


def smallest_count(c: float, n: int) -> int:
    """Fewest events of ``n`` that are a proportion of at least ``c``; 7 of 10 counts as 0.7 whatever the
    rounding.

    Examples
    --------
    >>> smallest_count(0.93, 508), smallest_count(0.7, 10)
    (473, 7)
    """
    return math.ceil(c * n - 1e-9 * n)


def series_weights(c: float, n: int) -> tuple[NDArray, NDArray]:
    """Logits and weights such that ``P(series of n shows >= c)`` is the weighted sum of ``P(logit p >=
    logit)``.

    Parameters
    ----------
    c : float
        Proportion of the series, strictly between 0 and 1.
    n : int
        Patients in the series.

    Raises
    ------
    PoolingError
        If ``c`` is no proportion or ``n`` no number of patients.

    Examples
    --------
    >>> logits, weights = series_weights(0.5, 3)
    >>> known = (logits <= 0.0) @ weights  # p = 1/2 for sure: P(Bin(3, 1/2) >= 2) = 1/2
    >>> round(float(known), 6)
    0.5
    """
    if not 0 < c < 1 or n < 1 or n != int(n):
        raise PoolingError(f"expected a proportion between 0 and 1 and a whole number of patients, found {c!r}, {n!r}")
    m = smallest_count(c, int(n))
    half = np.arange(STEP / 2, REACH, STEP)
    # Each half of the scale from its own small tail: 1 - p keeps its digits where p is near 1.
    low, high = betaincinv(m, n - m + 1, ndtr(-half)), betaincinv(n - m + 1, m, ndtr(-half))
    logits = np.concatenate([np.log(low) - np.log1p(-low), np.log1p(-high) - np.log(high)])
    weights = np.exp(-0.5 * np.concatenate([half, half]) ** 2)
    return logits, weights / weights.sum()
