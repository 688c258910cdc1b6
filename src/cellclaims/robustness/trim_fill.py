"""Trim and fill: number of studies missing from a symmetric funnel, and the pooled effect with them added.

Studies are trimmed from one side until the number ``k0`` that the ranks of the deviations call missing no longer
changes; their mirror images are put in on the other side. Trimming and filling are choices of studies: each step is one
batch of fits that differ in which studies count.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.effect_sizes import EffectSizes
from cellclaims.meta.fit import Fit, fit, fit_of_mean
from cellclaims.meta.flags import FEWEST_ADVISED, SUBSTANTIAL_I2, Caution, Flag, refuse_too_few, stated
from cellclaims.meta.inputs import one_of

ESTIMATORS = ("L0", "R0", "Q0")
SIDES = ("left", "right")
#: Deviations that differ by less than this proportion of the largest are equal, and smaller ones are zero; otherwise
#: rounding errors would make a symmetric funnel asymmetric.
TIED = 1e-10
#: With two studies one is always as far from their mean as the other.
FEWEST = 3


@dataclass(frozen=True, eq=False)
class TrimAndFill:
    """Pooled effect with the missing studies added; arrays have the batch's shape.

    Attributes
    ----------
    k0 : int or ndarray of int
        Studies put in.
    se_k0 : float or ndarray
        Standard error of the estimated number; NaN with a flag where its variance formula gives less than zero.
    p_k0 : float or ndarray
        P value of there being none missing; only R0 has one, NaN for the others.
    side : str or ndarray of str
        Where they were put in: ``left`` (smaller effects) or ``right``.
    estimator : str
    fit : Fit
        With the studies put in.
    original : Fit
        Without them.
    yi_filled, vi_filled : ndarray
        The studies put in: shape (k0,) for one data set; for a batch shape (..., k), NaN where there is none.
    flags : tuple of str, or ndarray of int
    """

    k0: np.ndarray
    se_k0: np.ndarray
    p_k0: np.ndarray
    side: str | np.ndarray
    estimator: str
    fit: Fit
    original: Fit
    yi_filled: np.ndarray
    vi_filled: np.ndarray
    flags: tuple[str, ...] | np.ndarray

    @property
    def beta(self) -> np.ndarray:
        """Pooled effect with the studies put in."""
        return self.fit.beta

    @property
    def se(self) -> np.ndarray:
        """Its standard error."""
        return self.fit.se

    @property
    def ci_lb(self) -> np.ndarray:
        """Lower confidence limit with the studies put in."""
        return self.fit.ci_lb

    @property
    def ci_ub(self) -> np.ndarray:
        """Upper confidence limit with the studies put in."""
        return self.fit.ci_ub

    @property
    def tau2(self) -> np.ndarray:
        """Between-study variance with the studies put in."""
        return self.fit.tau2


def trim_and_fill(
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    estimator: str = "L0",
    side: str | None = None,
    method: str | None = None,
    test: str | None = None,
    level: float | None = None,
) -> TrimAndFill:
    r"""Apply trim and fill to one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances; or ``yi`` alone: a fit of a single mean, or effect sizes.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
    keep : array-like of bool, shape (..., k), optional
        Which studies count.
    estimator : {"L0", "R0", "Q0"}
        How the number of missing studies is estimated.
    side : {"left", "right"}, optional
        Where studies are missing. If not given, the side on which small studies are rarer: left of the mean where the
        effects rise with their standard errors (slope of the meta-regression by ``method``), else right.
    method, test, level
        As in :func:`cellclaims.meta.fit`; ``method`` is used for every trimmed fit as well.

    Returns
    -------
    TrimAndFill

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`; for fewer than 3 studies, an unknown estimator or side; for one data set if Q0
        is the root of a negative number (in a batch a flag says so).

    Notes
    -----
    With ranks :math:`r_i` of the absolute deviations from the trimmed mean (equal ones share their mean rank),
    :math:`T = \sum_{y_i > \hat\mu} r_i` and :math:`\gamma` the number of largest deviations that are all positive,

    .. math:: R_0 = \gamma - 1, \quad L_0 = \frac{4 T - k (k + 1)}{2 k - 1}, \quad
              Q_0 = k - \tfrac12 - \sqrt{2 k^2 - 4 T + \tfrac14},

    rounded, and at least zero (Duval and Tweedie 2000, https://doi.org/10.1080/01621459.2000.10473905 and
    https://doi.org/10.1111/j.0006-341X.2000.00455.x, for studies missing on the left). The step from one number to the
    next can go round in a circle; the largest number of the circle is then taken, and a flag says so.

    A way to see how much the pooled effect hangs on symmetry, not a corrected effect: real differences between studies
    look like missing ones.

    Examples
    --------
    Large effects without partners on the other side.

    >>> filled = trim_and_fill([0.1, 0.2, 0.3, 0.9, 1.2, 1.5], [0.01, 0.02, 0.03, 0.2, 0.3, 0.4], method="EE")
    >>> int(filled.k0), filled.side, filled.yi_filled.round(2)
    (3, 'left', array([-0.57, -0.87, -1.17]))
    """
    estimator, side = one_of(estimator, ESTIMATORS, "estimator"), None if side is None else one_of(side, SIDES, "side")
    original = fit_of_mean("trim_and_fill", yi, vi, slab=slab, keep=keep, method=method, test=test, level=level)
    refuse_too_few(original.k, FEWEST, "trim and fill")
    funnel = _Funnel.of(original, side)
    k0, ranks, alternates = _missing(funnel, estimator)
    if original.shape == () and ranks.no_root[0]:
        raise PoolingError("estimator Q0: the root of a negative number here; expected L0 or R0")
    return _fill(original, funnel, estimator, k0, ranks, alternates)


@dataclass(frozen=True, eq=False)
class _Funnel:
    """A batch of data sets, reflected so that studies are missing on the left, and sorted by their effects.

    ``y`` and ``v`` have shape (b, k), studies that count first; ``n`` of them. ``right``: whether the set was
    reflected. ``unknown``: whether its side could not be determined.
    """

    y: np.ndarray
    v: np.ndarray
    n: np.ndarray
    right: np.ndarray
    unknown: np.ndarray
    method: str

    @classmethod
    def of(cls, original: Fit, side: str | None) -> _Funnel:
        effects, width = original.effects, max(1, int(np.prod(original.shape)))
        given = (effects.yi, effects.vi, True if effects.keep is None else effects.keep)
        y, v, kept = (np.broadcast_to(a, (*original.shape, effects.k)).reshape(width, -1) for a in given)
        if side is None:
            right, unknown = _side_told(y, v, kept, original)
        else:
            right, unknown = np.full(width, side == "right"), np.zeros(width, dtype=bool)
        turned = np.where(right[:, None], -y, y)
        order = np.argsort(np.where(kept, turned, np.inf), axis=1, kind="stable")
        y, v = (np.take_along_axis(a, order, axis=1) for a in (turned, v))
        return cls(y, v, kept.sum(axis=1), right, unknown, original.method)

    @property
    def counts(self) -> np.ndarray:
        """Which positions have a study that counts, shape (b, k)."""
        return self.first(self.n)

    def first(self, number: np.ndarray) -> np.ndarray:
        """Return the given number of studies of smallest effect, as a choice of studies, shape (b, k)."""
        return np.arange(self.y.shape[1]) < number[:, None]

    def trimmed_mean(self, k0: np.ndarray) -> np.ndarray:
        """Pooled effect without the ``k0`` largest effects, shape (b,)."""
        return fit(self.y, self.v, keep=self.first(self.n - k0), method=self.method, test="z").beta


def _side_told(y: np.ndarray, v: np.ndarray, kept: np.ndarray, original: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Return whether studies are missing on the right, and where this is unknown: equal effects or equal errors."""
    sei = np.sqrt(np.where(kept, v, 1.0))
    line = fit(y, v, keep=kept, mods=sei[..., None], method=original.method, test="z")
    unknown = line.flagged(Flag.DEPENDENT) | (np.reshape(original.Q, -1) == 0.0)
    return (line.beta[:, 1] < 0.0) & ~unknown, unknown


class _Ranks(NamedTuple):
    """Statistics of the ranks of deviations from a trimmed mean; each of shape (b,)."""

    mean: np.ndarray
    number: np.ndarray
    se: np.ndarray
    no_root: np.ndarray


def _read_ranks(funnel: _Funnel, estimator: str, k0: np.ndarray) -> _Ranks:
    """Return the number of missing studies by the ranks about the mean without the ``k0`` largest effects."""
    mean = funnel.trimmed_mean(k0)
    deviation = np.where(funnel.counts, funnel.y - mean[:, None], np.inf)
    size = np.where(funnel.counts, np.abs(deviation), 0.0)
    equal = TIED * size.max(axis=1, keepdims=True)
    above = funnel.counts & (deviation > equal)
    if estimator == "R0":
        farthest_below = np.where(above, 0.0, size).max(axis=1, keepdims=True)
        raw = (above & (size > farthest_below + equal)).sum(axis=1) - 1.0
        return _Ranks(mean, raw, np.sqrt(2.0 * np.maximum(raw, 0.0) + 2.0), np.zeros(len(raw), dtype=bool))
    rank = _mean_ranks(np.abs(deviation), equal)
    return _by_rank_sum(estimator, funnel.n.astype(float), np.where(above, rank, 0.0).sum(axis=1), mean)


def _mean_ranks(size: np.ndarray, equal: np.ndarray) -> np.ndarray:
    """Return ranks along the last axis; values that differ by at most ``equal`` have their mean rank."""
    order = np.argsort(size, axis=1, kind="stable")
    with np.errstate(invalid="ignore"):  # infinity less infinity: places that do not count
        apart = np.diff(np.take_along_axis(size, order, axis=1), axis=1) > equal
    edge = np.ones_like(apart[:, :1])
    place = np.arange(size.shape[1])
    first = np.maximum.accumulate(np.where(np.concatenate([edge, apart], axis=1), place, 0), axis=1)
    ends = np.where(np.concatenate([apart, edge], axis=1), place, place[-1])
    last = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    rank = np.empty(size.shape)
    np.put_along_axis(rank, order, (first + last) / 2.0 + 1.0, axis=1)
    return rank


def _by_rank_sum(estimator: str, k: np.ndarray, total: np.ndarray, mean: np.ndarray) -> _Ranks:
    under = 2.0 * k**2 - 4.0 * total + 0.25
    no_root = (under < 0.0) & (estimator == "Q0")
    raw = (4.0 * total - k * (k + 1)) / (2 * k - 1) if estimator == "L0" else k - 0.5 - np.sqrt(np.maximum(under, 0.0))
    shift = 10 * raw**3 + 27 * raw**2 + 17 * raw - 18 * k * raw**2 - 18 * k * raw + 6 * k**2 * raw
    with np.errstate(divide="ignore", invalid="ignore"):  # no variance for a number that trimming cannot make
        spread = np.sqrt((k * (k + 1) * (2 * k + 1) + shift) / 24.0)
        divisor = k - 0.5 if estimator == "L0" else np.sqrt((k - 0.5) ** 2 - raw * (2 * k - raw - 1))
        se = 2.0 * spread / divisor
    return _Ranks(mean, raw, np.where(np.isfinite(se), se, np.nan), no_root)


def _missing(funnel: _Funnel, estimator: str) -> tuple[np.ndarray, _Ranks, np.ndarray]:
    """Return the number of missing studies, the statistics of the ranks, and where the number alternates."""
    k0 = np.zeros(len(funnel.n), dtype=int)
    longest = int(funnel.n.max(initial=0)) + 1  # a circle is entered after as many steps as there are numbers
    for _ in range(longest):
        ranks = _read_ranks(funnel, estimator, k0)
        following = np.where(ranks.no_root, k0, _rounded(ranks, funnel.n))
        settled = following == k0
        if settled.all():
            return k0, ranks, ~settled
        k0 = following
    largest = k0
    for _ in range(longest):
        k0 = _rounded(_read_ranks(funnel, estimator, k0), funnel.n)
        largest = np.maximum(largest, k0)
    return largest, _read_ranks(funnel, estimator, largest), ~settled


def _rounded(ranks: _Ranks, n: np.ndarray) -> np.ndarray:
    """Return the whole number of studies to trim: at least none, and at most all but one."""
    usable = np.where(n < FEWEST, 0.0, ranks.number)
    return np.clip(np.round(usable), 0, np.maximum(n - 1, 0)).astype(int)


def _fill(
    original: Fit, funnel: _Funnel, estimator: str, k0: np.ndarray, ranks: _Ranks, alternates: np.ndarray
) -> TrimAndFill:
    """Add the mirror images of the trimmed studies and pool again."""
    shape = original.shape
    filled = funnel.counts & ~funnel.first(funnel.n - k0)
    turn = np.where(funnel.right, -1.0, 1.0)[:, None]
    images = 2.0 * ranks.mean[:, None] - funnel.y
    y, v = np.concatenate([funnel.y, images], axis=1) * turn, np.concatenate([funnel.v, funnel.v], axis=1)
    keep = np.concatenate([funnel.counts, filled], axis=1) & ~ranks.no_root[:, None]
    both = _pool(y, v, keep, original)
    few = funnel.n < FEWEST
    cautions = {
        Caution.TOO_FEW: few,
        Caution.FEW_STUDIES: funnel.n < FEWEST_ADVISED,
        Caution.HETEROGENEOUS: np.reshape(original.I2, -1) > SUBSTANTIAL_I2,
        Caution.SIDE_UNKNOWN: funnel.unknown,
        Caution.ALTERNATES: alternates,
        Caution.NO_ROOT: ranks.no_root,
        Caution.NO_ERROR: np.isnan(ranks.se) & ~few,
    }
    se = np.where(ranks.no_root | few, np.nan, ranks.se)
    p = np.where(few, np.nan, 0.5 ** (k0 + 1.0)) if estimator == "R0" else np.full(len(k0), np.nan)
    side = np.where(funnel.right, "right", "left").reshape(shape)
    flags = stated({caution: holds.reshape(shape) for caution, holds in cautions.items()}, shape)
    numbers = (a.reshape(shape)[()] for a in (np.where(ranks.no_root, 0, k0), se, p))
    put_in = (a[:, funnel.y.shape[1] :] for a in (y, v))
    images_only = (_put_in(a, filled, shape) for a in put_in)
    return TrimAndFill(*numbers, side if shape else str(side), estimator, both, original, *images_only, flags)


def _pool(y: np.ndarray, v: np.ndarray, keep: np.ndarray, original: Fit) -> Fit:
    """Pool with the settings of the original; one data set has only the studies that count."""
    choices = {"method": original.method, "test": original.test, "level": original.level}
    if original.shape == ():
        return fit(y[keep], v[keep], **choices)
    y, v, keep = (a.reshape(*original.shape, -1) for a in (y, v, keep))
    return fit(y, v, keep=keep, **choices)


def _put_in(values: np.ndarray, filled: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Return the images for one data set, with NaN elsewhere for a batch."""
    return values[filled] if shape == () else np.where(filled, values, np.nan).reshape(*shape, -1)
