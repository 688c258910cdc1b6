"""An interval for the mean that gives small studies no more than their equal-effects weight."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import gammainc, ndtri

from cellclaims.meta import Fit, fit
from cellclaims.robustness.cautions import Caution, refuse_too_few, stated

FEWEST = 2
#: The normal density is below 1e-17 of its peak beyond.
FARTHEST = 9.0
#: Panels of the integral, as shares of its length: the integrand rises within a stretch of about ``k^-1/2``.
PANELS = np.array([0.0, *(4.0 ** -np.arange(6.0, -1.0, -1.0))])
#: Gauss-Legendre nodes in each panel.
NODES, SHARES = np.polynomial.legendre.leggauss(24)
#: What stands for zero where a mean or a variance has to be positive, relative to its scale.
NEGLIGIBLE = 1e-12
#: Halvings of the bracket of the quantile: down to neighbouring doubles.
HALVINGS = 60


@dataclass(frozen=True, eq=False)
class HenmiCopas:
    """The equal-effects mean with an interval that allows for heterogeneity; arrays have the batch's shape.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub : float or ndarray
        Mean by inverse variances, its standard error under the random-effects model, and confidence limits.
    tau2 : float or ndarray
        Between-study variance by DerSimonian and Laird.
    k : int or ndarray of int
    level : float
    flags : tuple of str, or ndarray of int
    """

    beta: np.ndarray
    se: np.ndarray
    ci_lb: np.ndarray
    ci_ub: np.ndarray
    tau2: np.ndarray
    k: np.ndarray
    level: float
    flags: tuple[str, ...] | np.ndarray


def hc(yi: ArrayLike, vi: ArrayLike, *, keep: ArrayLike | None = None, level: float = 0.95) -> HenmiCopas:
    r"""Interval of Henmi and Copas, for one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances.
    keep : array-like of bool, shape (..., k), optional
        Which studies count.
    level : float

    Returns
    -------
    HenmiCopas

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`, and for fewer than 2 studies.

    Notes
    -----
    Random-effects weights give small studies a large share, and with it their bias. Here the weights are those of the
    equal-effects model, and only the variance is that of the random-effects model:

    .. math:: \hat\mu = \frac{\sum w_i y_i}{\sum w_i}, \quad
              \mathrm{se}^2 = \frac{1 + \hat\tau^2 W_2}{W_1}, \quad W_1 = \sum w_i, \; W_j = \frac{\sum w_i^j}{W_1}

    with limits from the joint distribution of the mean and Cochran's Q, whose conditional distribution is approximated
    by a gamma (Henmi and Copas 2010, https://doi.org/10.1002/sim.4029). The integral is taken by quadrature to about
    twelve digits.

    Examples
    --------
    >>> found = hc([0.2, 0.5, 0.9, 0.4], [0.04, 0.05, 0.06, 0.05])
    >>> round(float(found.beta), 4), round(float(found.ci_lb), 4), round(float(found.ci_ub), 4)
    (0.4653, 0.1482, 0.7824)
    """
    fixed = fit(yi, vi, keep=keep, method="EE", test="z", level=level)
    refuse_too_few(fixed.k, FEWEST, "interval of Henmi and Copas")
    random = fit(yi, vi, keep=keep, method="DL", test="z", level=level)
    enough = np.greater_equal(fixed.k, FEWEST)
    tau2 = np.where(enough, random.tau2, 0.0)
    moments = _Moments.of(fixed, tau2)
    se = np.sqrt(moments.inflation / moments.w1)
    half = se * np.sqrt(moments.inflation) * _quantile(moments, level)
    numbers = (np.where(enough, a, np.nan)[()] for a in (fixed.beta, se, fixed.beta - half, fixed.beta + half, tau2))
    return HenmiCopas(*numbers, fixed.k, level, stated({Caution.TOO_FEW: ~enough}, fixed.shape))


class _Moments(NamedTuple):
    """Sums of powers of the weights, and what they are needed for; of the batch's shape.

    ``inflation`` is the variance of the mean relative to the equal-effects model, ``1 + tau2 W2``.
    """

    w1: np.ndarray
    w2: np.ndarray
    w3: np.ndarray
    w4: np.ndarray
    tau2: np.ndarray
    df: np.ndarray
    inflation: np.ndarray

    @classmethod
    def of(cls, fixed: Fit, tau2: np.ndarray) -> _Moments:
        effects = fixed.effects
        w = 1.0 / np.where(True if effects.keep is None else effects.keep, effects.vi, np.inf)
        w = np.where(w.any(axis=-1, keepdims=True), w, 1.0)  # nothing kept: any number will do, none is shown
        w1 = np.broadcast_to(w.sum(axis=-1), fixed.shape)
        w2, w3, w4 = ((w**power).sum(axis=-1) / w1 for power in (2, 3, 4))
        return cls(w1, w2, w3, w4, tau2, np.maximum(fixed.k - 1.0, 1.0), 1.0 + tau2 * w2)

    def gamma_of_q(self, r: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and variance of Q given the standardised mean ``r``, shape (..., nodes)."""
        w1, w2, w3, w4, tau2, df, inflation = (np.asarray(a)[..., None] for a in self)
        third, fourth = w3 - w2**2, w4 - 2.0 * w2 * w3 + w2**3
        beyond = (r**2 - 1.0) / inflation
        mean = df + tau2 * (w1 - w2) + tau2**2 * beyond * third
        variance = 2.0 * df + 4.0 * tau2 * (w1 - w2) + 2.0 * tau2**2 * (w1 * w2 - 2.0 * w3 + w2**2)
        variance = variance + 4.0 * tau2**2 * beyond * (third + tau2 * fourth)
        return mean, variance + 2.0 * tau2**4 * (1.0 - 2.0 * r**2) / inflation**2 * third**2

    def q_allowed(self, ratio: np.ndarray) -> np.ndarray:
        """The Q up to which a mean ``ratio`` times the half-width lies outside of the interval."""
        return np.asarray(self.w1 / self.w2 - 1.0)[..., None] * (ratio**2 - 1.0) + np.asarray(self.df)[..., None]


def _quantile(moments: _Moments, level: float) -> np.ndarray:
    """Half-width, in standard deviations of the mean, that leaves half of ``1 - level`` outside on each side."""
    tail = (1.0 - level) / 2.0
    low, high = np.zeros(np.shape(moments.w1)), np.full(np.shape(moments.w1), -ndtri(tail))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        wide = _outside(moments, middle) <= tail
        low, high = np.where(wide, low, middle), np.where(wide, middle, high)
    return high


def _outside(moments: _Moments, t: np.ndarray) -> np.ndarray:
    """Probability that the mean lies above an interval of half-width ``t``."""
    edges = t[..., None] + FARTHEST * PANELS
    middle, half = (edges[..., 1:] + edges[..., :-1]) / 2.0, (edges[..., 1:] - edges[..., :-1]) / 2.0
    r = (middle[..., None] + half[..., None] * NODES).reshape(*t.shape, -1)
    share = (half[..., None] * SHARES).reshape(*t.shape, -1)
    mean, variance = moments.gamma_of_q(r)
    # Where the approximation gives out, with a mean or variance below zero, Q is about zero, or has no spread.
    mean = np.maximum(mean, NEGLIGIBLE * np.asarray(moments.df)[..., None])
    variance = np.maximum(variance, NEGLIGIBLE * mean**2)
    below = gammainc(mean**2 / variance, moments.q_allowed(r / t[..., None]) * mean / variance)
    density = np.exp(-0.5 * r**2) / np.sqrt(2.0 * np.pi)
    return (below * density * share).sum(axis=-1)
