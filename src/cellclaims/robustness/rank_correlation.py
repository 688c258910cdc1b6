"""Rank correlation of effects and variances: a test of funnel asymmetry without a straight line."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr

from cellclaims.meta.effect_sizes import EffectSizes
from cellclaims.meta.fit import Fit, fit_of_mean
from cellclaims.meta.flags import FEWEST_ADVISED, Caution, refuse_too_few, stated

#: Two studies always agree or disagree altogether.
FEWEST = 3
#: Up to this many studies without ties the P value is exact: counting takes k^3 steps, once for each k.
EXACT_UP_TO = 300


@dataclass(frozen=True, eq=False)
class RankTest:
    """Kendall's rank correlation of standardised deviations and variances; arrays have the batch's shape.

    Attributes
    ----------
    tau : float or ndarray
        Kendall's tau-b: positive where less precise studies show larger effects.
    p : float or ndarray
        Two-sided P value.
    exact : bool or ndarray of bool
        Whether ``p`` is exact: no ties, and not more than 300 studies.
    k : int or ndarray of int
    flags : tuple of str, or ndarray of int
    """

    tau: np.ndarray
    p: np.ndarray
    exact: np.ndarray
    k: np.ndarray
    flags: tuple[str, ...] | np.ndarray


def rank_test(
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
) -> RankTest:
    r"""Test funnel asymmetry by rank correlation, for one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances; or ``yi`` alone: a fit of a single mean, or effect sizes.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
    keep : array-like of bool, shape (..., k), optional
        Which studies count.

    Returns
    -------
    RankTest

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`, and for fewer than 3 studies.

    Notes
    -----
    Kendall's tau of :math:`v_i` and the deviations from the equal-effects mean

    .. math:: y_i^* = \frac{y_i - \hat\mu}{\sqrt{v_i - 1 / \sum_j w_j}}, \quad w_i = 1 / v_i

    (Begg and Mazumdar 1994, https://doi.org/10.2307/2533446). Without ties the P value counts permutations; with ties
    it is a normal approximation with the variance of tied ranks (Kendall 1970, Rank Correlation Methods, ch. 4),
    without a continuity correction. Below 10 studies the test is not advised: a flag says so.

    Examples
    --------
    Effects that grow with the variance, all of them: 2 of 4! orders are as extreme.

    >>> found = rank_test([0.1, 0.2, 0.4, 0.8], [0.01, 0.02, 0.03, 0.04])
    >>> float(found.tau), round(float(found.p), 6), bool(found.exact)
    (1.0, 0.083333, True)
    """
    pooled = fit_of_mean("rank_test", yi, vi, slab=slab, keep=keep, method="EE", test="z")
    refuse_too_few(pooled.k, FEWEST, "rank test")
    effects = pooled.effects
    kept = np.broadcast_to(True if effects.keep is None else effects.keep, (*pooled.shape, effects.k))
    y, v = (np.where(kept, a, 1.0) for a in (effects.yi, effects.vi))
    beta, own = (np.asarray(a)[..., None] for a in (pooled.beta, pooled.se**2))
    with np.errstate(invalid="ignore", divide="ignore"):  # studies that do not count: left out of every pair
        deviation = (y - beta) / np.sqrt(v - own)
    return _kendall(_Pairs.of(deviation, kept), _Pairs.of(v, kept), pooled.k)


@dataclass(frozen=True, eq=False)
class _Pairs:
    """Comparisons of all pairs of studies by one number.

    ``order``: -1, 0 or 1, shape (..., k, k), zero where one of the two does not count. ``group``: how many studies have
    the same number as each, itself included, shape (..., k); 1 where it does not count.
    """

    order: np.ndarray
    group: np.ndarray

    @classmethod
    def of(cls, x: np.ndarray, kept: np.ndarray) -> _Pairs:
        both = kept[..., :, None] & kept[..., None, :]
        order = np.where(both, np.sign(x[..., :, None] - x[..., None, :]), 0.0)
        equal = both & (order == 0.0)
        return cls(order, np.maximum(equal.sum(axis=-1), 1))

    @property
    def untied(self) -> np.ndarray:
        """Pairs that differ, each counted twice."""
        return np.abs(self.order).sum(axis=(-2, -1))

    def sum_over_groups(self, *offsets: float) -> np.ndarray:
        """Sum over groups of equal numbers of ``t`` times the product of ``t + offset``: one term per study."""
        return np.prod([self.group + offset for offset in offsets], axis=0).sum(axis=-1)


def _kendall(x: _Pairs, y: _Pairs, n: np.ndarray) -> RankTest:
    score = (x.order * y.order).sum(axis=(-2, -1)) / 2.0
    most = np.sqrt(x.untied * y.untied) / 2.0
    ranked = (most > 0.0) & np.greater_equal(n, FEWEST)
    tau = np.divide(score, most, out=np.full(np.shape(score), np.nan), where=ranked)
    exact = ranked & (x.sum_over_groups(-1) + y.sum_over_groups(-1) == 0) & np.less_equal(n, EXACT_UP_TO)
    p = np.where(ranked, _normal_p(score, x, y, np.maximum(n, FEWEST)), np.nan)
    for place in zip(*np.nonzero(np.atleast_1d(exact)), strict=True):
        np.atleast_1d(p)[place] = _exact_p(int(np.atleast_1d(n)[place]), float(np.atleast_1d(score)[place]))
    cautions = {
        Caution.TOO_FEW: np.less(n, FEWEST),
        Caution.FEW_STUDIES: np.less(n, FEWEST_ADVISED),
        Caution.NO_RANKING: ~ranked & np.greater_equal(n, FEWEST),
        Caution.TIES: ranked & ~exact,
    }
    return RankTest(tau[()], p[()], exact[()], n, stated(cautions, np.shape(n)))


def _normal_p(score: np.ndarray, x: _Pairs, y: _Pairs, n: np.ndarray) -> np.ndarray:
    """Two-sided P value of the score by its variance under ties."""
    n = np.asarray(n, dtype=float)
    single = n * (n - 1) * (2 * n + 5) - x.sum_over_groups(-1, 2.5) * 2 - y.sum_over_groups(-1, 2.5) * 2
    pairs = x.sum_over_groups(-1) * y.sum_over_groups(-1) / (2 * n * (n - 1))
    triples = x.sum_over_groups(-1, -2) * y.sum_over_groups(-1, -2) / (9 * n * (n - 1) * (n - 2))
    variance = single / 18 + pairs + triples
    return 2.0 * ndtr(-np.abs(score) / np.sqrt(np.maximum(variance, np.finfo(float).tiny)))


def _exact_p(n: int, score: float) -> float:
    """Return the two-sided P value: twice the proportion of permutations at least as extreme."""
    discordant = round((n * (n - 1) / 2 - abs(score)) / 2)
    return min(1.0, 2.0 * float(_inversions(n)[: discordant + 1].sum()))


@cache
def _inversions(n: int) -> np.ndarray:
    """Return the proportions of permutations of ``n`` with 0, 1, 2, ... inversions, up to half of the maximum.

    The n-th element makes 0 to n - 1 new inversions, each as likely. Only sums of positive numbers: small shares keep
    all their digits.
    """
    share = np.ones(1)
    for element in range(2, n + 1):
        share = np.convolve(share, np.full(element, 1.0 / element))[: n * (n - 1) // 4 + 1]
    return share
