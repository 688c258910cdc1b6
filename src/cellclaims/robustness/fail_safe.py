"""How many studies without effect would have to lie in drawers before a pooled effect is lost."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from cellclaims.errors import PoolingError
from cellclaims.meta import Fit, fit
from cellclaims.robustness.cautions import Caution, stated

KINDS = ("Rosenthal", "Orwin", "Rosenberg")
#: A number of studies this close to a whole one is that whole one: rounding must not add a study.
WHOLE = 1.5e-8


@dataclass(frozen=True, eq=False)
class FailSafeN:
    """A fail-safe number; arrays have the batch's shape.

    Attributes
    ----------
    fsnum : float or ndarray
        Studies of no effect that would be needed, a whole number; infinite for a target of zero.
    p : float or ndarray
        P value of the pooled effect as it is, that of the kind's own test; NaN for Orwin, which has none.
    beta : float or ndarray
        The mean effect as it is; NaN for Rosenthal, who pools P values.
    target : float or ndarray
        What the mean is to fall to; NaN but for Orwin.
    kind : str
    alpha : float
    k : int or ndarray of int
    flags : tuple of str, or ndarray of int
        Always that such a number is not advised as evidence.
    """

    fsnum: np.ndarray
    p: np.ndarray
    beta: np.ndarray
    target: np.ndarray
    kind: str
    alpha: float
    k: np.ndarray
    flags: tuple[str, ...] | np.ndarray


def fail_safe_n(
    yi: ArrayLike,
    vi: ArrayLike,
    *,
    keep: ArrayLike | None = None,
    kind: str = "Rosenthal",
    alpha: float = 0.05,
    target: float | None = None,
    weighted: bool = False,
) -> FailSafeN:
    r"""Fail-safe number of studies, for one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances.
    keep : array-like of bool, shape (..., k), optional
        Which studies count.
    kind : {"Rosenthal", "Orwin", "Rosenberg"}
        What is to be lost: the significance of the combined z value (one-sided), half of the mean effect, or the
        significance of the equal-effects mean (two-sided).
    alpha : float
        Level of significance, for Rosenthal and Rosenberg.
    target : float, optional
        For Orwin: what the mean is to fall to, with the sign of the mean; half of the mean if not given.
    weighted : bool
        For Orwin: whether the mean is weighted by the inverse variances.

    Returns
    -------
    FailSafeN

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`, and for an unknown kind.

    Notes
    -----
    .. math:: N_{Rosenthal} = \frac{(\sum z_i)^2}{z_\alpha^2} - k, \quad
              N_{Orwin} = k \frac{\bar y - y_t}{y_t}, \quad
              N_{Rosenberg} = k \left(\frac{(\sum w_i y_i)^2}{z_{\alpha/2}^2 \sum w_i} - 1\right)

    each rounded up, and at least zero (Rosenthal 1979, https://doi.org/10.1037/0033-2909.86.3.638; Orwin 1983,
    https://doi.org/10.3102/10769986008002157; Rosenberg 2005, https://doi.org/10.1111/j.0014-3820.2005.tb01004.x).

    Examples
    --------
    Four studies with z = 2 each: (8/1.645)^2 - 4 = 19.66.

    >>> float(fail_safe_n([2.0, 2.0, 2.0, 2.0], [1.0, 1.0, 1.0, 1.0]).fsnum)
    20.0
    """
    if kind not in KINDS:
        raise PoolingError(f"kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    if not 0.0 < alpha < 0.5:
        raise PoolingError(f"alpha: expected a number between 0 and 0.5, found {alpha!r}")
    pooled = fit(yi, vi, keep=keep, method="EE", test="z")
    none = np.full(pooled.shape, np.nan)[()]
    if kind == "Rosenthal":
        number, p, beta, aim = *_rosenthal(pooled, alpha), none, none
    elif kind == "Rosenberg":
        number, p, beta, aim = *_rosenberg(pooled, alpha), pooled.beta, none
    else:
        number, beta, aim = _orwin(pooled, target, weighted)
        p = none
    flags = stated({Caution.COUNTED_FILES: np.bool_(True), Caution.TOO_FEW: np.equal(pooled.k, 0)}, pooled.shape)
    number = np.where(np.greater(pooled.k, 0), _whole(number), np.nan)[()]
    return FailSafeN(number, p, beta, aim, kind, alpha, pooled.k, flags)


def _rosenthal(pooled: Fit, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Number, and one-sided P value of the z values put together by Stouffer's rule."""
    effects, k = pooled.effects, np.asarray(pooled.k, dtype=float)
    kept = True if effects.keep is None else effects.keep
    with np.errstate(invalid="ignore", divide="ignore"):  # studies that do not count
        z = np.where(kept, effects.yi / np.sqrt(effects.vi), 0.0).sum(axis=-1)
        combined = np.abs(z) / np.sqrt(k)
    return (z / ndtri(alpha)) ** 2 - k, ndtr(-combined)


def _rosenberg(pooled: Fit, alpha: float) -> tuple[np.ndarray, np.ndarray]:
    """Number, and two-sided P value of the equal-effects mean; ``(sum wy)^2 / sum w`` is its z value squared."""
    return pooled.k * ((pooled.stat / ndtri(alpha / 2.0)) ** 2 - 1.0), pooled.p


def _orwin(pooled: Fit, target: float | None, weighted: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Number, mean and target."""
    mean = pooled.beta
    if not weighted:
        effects = pooled.effects
        mean = fit(effects.yi, np.ones_like(effects.vi), keep=effects.keep, method="EE", test="z").beta
    aim = mean / 2.0 if target is None else np.copysign(target, mean)
    gap = np.abs(mean) - np.abs(aim)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(aim == 0.0, np.inf, pooled.k * gap / np.abs(aim)), mean, aim[()]


def _whole(number: np.ndarray) -> np.ndarray:
    """Rounded up to a whole number of studies, at least none."""
    number = np.maximum(number, 0.0)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        whole = np.abs(number - np.round(number)) < WHOLE
    return np.where(whole, np.round(number), np.ceil(number))[()]
