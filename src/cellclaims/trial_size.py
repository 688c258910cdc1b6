"""How large a trial has to be: participants an arm for a difference, power by size, and size by precision.

By ``statsmodels.stats.power`` and ``statsmodels.stats.proportion``, which are imported where they are used (1 s).
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
import pandas as pd

from cellclaims.errors import PoolingError

#: The largest number of participants that is looked at for precision.
LARGEST = 100_000


@lru_cache
def arm_of_means(effect: float, power: float, alpha: float) -> float:
    """Participants an arm of a trial of two equal arms that finds a standardised difference, two-sided t test.

    Parameters
    ----------
    effect : float
        Difference divided by the SD.
    power, alpha : float
        Between 0 and 1.

    Returns
    -------
    float
        Not rounded.

    Examples
    --------
    >>> round(arm_of_means(0.5, 0.8, 0.05), 2)
    63.77
    """
    from statsmodels.stats.power import tt_ind_solve_power

    return float(tt_ind_solve_power(effect, power=power, alpha=alpha))


@lru_cache
def arm_of_proportions(one: float, other: float, power: float, alpha: float) -> float:
    """Participants an arm of a trial of two equal arms that finds a difference of two proportions.

    Normal approximation on the arcsine scale, two-sided.

    Parameters
    ----------
    one, other : float
        Proportions between 0 and 1.
    power, alpha : float
        Between 0 and 1.

    Returns
    -------
    float
        Not rounded.

    Raises
    ------
    PoolingError
        For equal proportions, or one outside 0 to 1.

    Examples
    --------
    >>> round(arm_of_proportions(0.6, 0.3, 0.8, 0.05), 1)
    41.8
    """
    from statsmodels.stats.power import zt_ind_solve_power

    return float(zt_ind_solve_power(_arcsine(one, other), power=power, alpha=alpha))


def _arcsine(one: float, other: float) -> float:
    """The difference of two proportions on the arcsine scale (Cohen's h), without its sign."""
    from statsmodels.stats.proportion import proportion_effectsize

    if not (0 <= one <= 1 and 0 <= other <= 1 and one != other):
        raise PoolingError(f"expected two different proportions between 0 and 1, found {one!r} and {other!r}")
    return abs(float(proportion_effectsize(one, other)))


def power_curve(one: float, other: float, sizes: Iterable[float], alpha: float = 0.05) -> pd.DataFrame:
    """Power of trials of two equal arms to find a difference of two proportions, by size.

    Parameters
    ----------
    one, other : float
        Proportions between 0 and 1.
    sizes : iterable of float
        Participants an arm.
    alpha : float
        Two-sided level.

    Returns
    -------
    DataFrame
        ``arm`` (participants an arm) and ``power`` (0 to 1).

    Raises
    ------
    PoolingError
        For equal proportions, or one outside 0 to 1.
    """
    from statsmodels.stats.power import normal_power

    arms = np.array(list(sizes), float)
    return pd.DataFrame({"arm": arms, "power": normal_power(_arcsine(one, other), arms / 2, alpha)})


def size_for_precision(proportion: float, half_width: float, level: float = 0.95) -> int:
    """Participants of a single arm whose interval of a proportion is no wider than asked for.

    Wilson interval at the expected number of events.

    Parameters
    ----------
    proportion : float
        Expected, between 0 and 1.
    half_width : float
        Half of the width of the interval, between 0 and 0.5.
    level : float

    Returns
    -------
    int

    Examples
    --------
    >>> size_for_precision(0.6, 0.1)
    89
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = 1, LARGEST
    while low < high:
        n = (low + high) // 2
        lower, upper = proportion_confint(proportion * n, n, alpha=1 - level, method="wilson")
        low, high = (low, n) if upper - lower <= 2 * half_width else (n + 1, high)
    return low


def trial_sizes(
    comparisons: Iterable[tuple[str, float, float]], powers: Iterable[float] = (0.8, 0.9), alpha: float = 0.05
) -> pd.DataFrame:
    """Participants of both arms together for each comparison and power, rounded up to whole participants an arm.

    Parameters
    ----------
    comparisons : iterable of (str, float, float)
        In words, and the two proportions between 0 and 1.
    powers : iterable of float
    alpha : float

    Returns
    -------
    DataFrame
        ``comparison``, ``one``, ``other``, ``power``, ``arm`` and ``both``.
    """
    lines = [
        {"comparison": words, "one": one, "other": other, "power": power,
         "arm": math.ceil(arm_of_proportions(one, other, power, alpha))}
        for words, one, other in comparisons
        for power in powers
    ]  # fmt: skip
    table = pd.DataFrame(lines, columns=["comparison", "one", "other", "power", "arm"])
    return table.assign(both=2 * table.arm)
