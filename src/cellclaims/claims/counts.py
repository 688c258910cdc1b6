"""Arithmetic of advertised counts: what two states of one figure mean for the patients added between them."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import gammaln, xlog1py, xlogy


def p_prints_again(share: float, earlier: int, later: int, rounding: float) -> float:
    """Probability that a share prints as before when a series has grown, if the true rate is that share.

    Given that the earlier state printed ``share``, summed over all counts of the earlier state and of the patients
    added since.

    Parameters
    ----------
    share : float
        Printed share, which is also taken as the true rate; 0 to 1, a multiple of the rounding step.
    earlier, later : int
        Patients in the earlier state and in the later one, which holds the earlier ones too.
    rounding : float
        Step of the printed percentage (1 for whole per cent); halves are rounded up.

    Returns
    -------
    float
        Exact but for the rounding of the machine.

    Examples
    --------
    >>> round(p_prints_again(0.6, 265, 508, 1), 2), round(p_prints_again(0.6, 265, 508, 5), 2)
    (0.26, 0.86)
    """
    first, added = np.arange(earlier + 1), np.arange(later - earlier + 1)
    wanted = _printed(np.array(share), rounding)
    before = _printed(first / earlier, rounding) == wanted
    after = _printed((first[before][:, None] + added) / later, rounding) == wanted
    p_first = np.exp(_log_binomial(first, earlier, share))[before]
    p_added = np.exp(_log_binomial(added, later - earlier, share))
    return float((p_first[:, None] * p_added * after).sum() / p_first.sum())


def added_share(share_before: float, before: int, share_after: float, after: int) -> float:
    """Share among the added patients that turns one printed state into the other, if both were exact.

    >>> round(added_share(0.92, 265, 0.93, 508), 4)
    0.9409
    """
    return (share_after * after - share_before * before) / (after - before)


def _printed(share: np.ndarray, rounding: float) -> np.ndarray:
    """Multiples of the rounding step; the small shift keeps exact halves from falling by machine error."""
    return np.floor(100 * share / rounding + 0.5 + 1e-9).astype(int)


def _log_binomial(x: np.ndarray, n: int, p: float) -> np.ndarray:
    coefficient = math.lgamma(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)
    return coefficient + xlogy(x, p) + xlog1py(n - x, -p)
