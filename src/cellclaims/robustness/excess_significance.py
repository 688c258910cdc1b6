"""Are there more significant studies than their power allows?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, ndtr, ndtri

from cellclaims.errors import PoolingError
from cellclaims.meta import Fit, fit
from cellclaims.robustness.cautions import FEWEST_ADVISED, Caution, stated

TESTS = ("exact", "chi2", "binomial")
ALTERNATIVES = ("two-sided", "greater", "less")
#: Halvings of a bracket until it holds one double.
HALVINGS = 100
#: The limit is searched for up to this many largest standard errors from the null: every study is significant there.
FARTHEST = 60.0


@dataclass(frozen=True, eq=False)
class ExcessSignificance:
    """Observed and expected significant studies; arrays have the batch's shape.

    Attributes
    ----------
    O, E : float or ndarray
        Significant studies observed, and expected from the power of each.
    ratio : float or ndarray
        ``O / E``.
    p : float or ndarray
        One-sided P value: of at least as many as observed.
    theta : float or ndarray
        The true effect that the power was computed at.
    theta_lim : float or ndarray
        The true effect nearest to the null at which the test would no longer reject at ``tes_alpha``; NaN with a flag
        where it does not reject at the null itself.
    power : ndarray, shape (..., k)
        Power of each study; NaN where it does not count.
    significant : ndarray of bool, shape (..., k)
    test : str
    k : int or ndarray of int
    flags : tuple of str, or ndarray of int
    """

    O: np.ndarray  # noqa: E741
    E: np.ndarray
    ratio: np.ndarray
    p: np.ndarray
    theta: np.ndarray
    theta_lim: np.ndarray
    power: np.ndarray
    significant: np.ndarray
    test: str
    k: np.ndarray
    flags: tuple[str, ...] | np.ndarray


def tes(
    yi: ArrayLike,
    vi: ArrayLike,
    *,
    keep: ArrayLike | None = None,
    method: str = "EE",
    theta: ArrayLike | None = None,
    null: float = 0.0,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    test: str = "exact",
    tes_alpha: float = 0.1,
) -> ExcessSignificance:
    r"""Test of excess significance, for one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances.
    keep : array-like of bool, shape (..., k), optional
        Which studies count.
    method : str
        How the true effect is pooled. With a between-study variance the power of each study is its average over true
        effects.
    theta : float or array-like of the batch's shape, optional
        The true effect, in place of the pooled one.
    null : float
        The effect that the studies test against.
    alternative : {"two-sided", "greater", "less"}
        Alternative of the studies' own tests.
    alpha : float
        Level of the studies' own tests.
    test : {"exact", "chi2", "binomial"}
        ``exact``: distribution of a sum of independent successes of different probability. ``chi2``, ``binomial``:
        each study's power replaced by the mean power.
    tes_alpha : float
        Level for the limit of the true effect.

    Returns
    -------
    ExcessSignificance

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`, and for an unknown test or alternative.

    Notes
    -----
    .. math:: E = \sum_i P\left(|z_i| \ge z_{\alpha/2}\right), \quad z_i s_i \sim N(\theta, s_i^2 + \tau^2)

    (Ioannidis and Trikalinos 2007, https://doi.org/10.1177/1740774507079441; Francis 2013 for the exact test,
    https://doi.org/10.1016/j.jmp.2013.02.003). The average of the power over true effects is a normal tail, not an
    integral to be approximated.

    Examples
    --------
    Four significant studies of half power: 1 in 16.

    >>> found = tes([2.0, 2.0, 2.0, 2.0], [1.0] * 4, theta=1.959964, alternative="greater", alpha=0.025)
    >>> int(found.O), round(float(found.E), 4), round(float(found.p), 4)
    (4, 2.0, 0.0625)
    """
    for value, names, what in ((test, TESTS, "test"), (alternative, ALTERNATIVES, "alternative")):
        if value not in names:
            raise PoolingError(f"{what}: expected one of {', '.join(names)}, found {value!r}")
    for value, what in ((alpha, "alpha"), (tes_alpha, "tes_alpha")):
        if not 0.0 < value < 1.0:
            raise PoolingError(f"{what}: expected a number between 0 and 1, found {value!r}")
    pooled = fit(yi, vi, keep=keep, method=method, test="z")
    studies = _Studies.of(pooled, null, alternative, alpha)
    centre = np.broadcast_to(pooled.beta if theta is None else np.asarray(theta, dtype=float), pooled.shape)
    observed, power = studies.significant.sum(axis=-1), studies.power(centre)
    p = _at_least(observed, power, studies.k, test)
    limit = _limit(studies, observed, centre, test, tes_alpha)
    cautions = {
        Caution.TOO_FEW: np.equal(pooled.k, 0),
        Caution.FEW_STUDIES: np.less(pooled.k, FEWEST_ADVISED),
        Caution.NO_LIMIT: np.isnan(limit) & np.greater(pooled.k, 0),
    }
    expected = power.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        numbers = (observed, expected, observed / expected, p, centre[()], limit)
    shown = np.where(studies.kept, power, np.nan)
    return ExcessSignificance(*numbers, shown, studies.significant, test, pooled.k, stated(cautions, pooled.shape))


@dataclass(frozen=True, eq=False)
class _Studies:
    """What decides whether each study is significant; arrays of shape (..., k).

    ``z``: its deviation from the null in standard errors. ``error``: its standard error. ``spread``: the standard
    deviation of its estimate about the mean true effect. ``critical``: bounds of its test, (lower, upper).
    """

    z: np.ndarray
    error: np.ndarray
    spread: np.ndarray
    kept: np.ndarray
    null: float
    critical: tuple[float, float]

    @classmethod
    def of(cls, pooled: Fit, null: float, alternative: str, alpha: float) -> _Studies:
        effects = pooled.effects
        kept = np.broadcast_to(True if effects.keep is None else effects.keep, (*pooled.shape, effects.k))
        y, v = (np.where(kept, a, 1.0) for a in (effects.yi, effects.vi))
        tau2 = np.nan_to_num(np.asarray(pooled.tau2))[..., None]  # NaN for a single study: its own error alone
        bound = float(-ndtri(alpha / 2.0 if alternative == "two-sided" else alpha))
        lower, upper = (-np.inf if alternative == "greater" else -bound), (np.inf if alternative == "less" else bound)
        return cls((y - null) / np.sqrt(v), np.sqrt(v), np.sqrt(v + tau2), kept, null, (lower, upper))

    @property
    def k(self) -> np.ndarray:
        """Studies that count."""
        return self.kept.sum(axis=-1)

    @property
    def significant(self) -> np.ndarray:
        """Whether each study's test rejects."""
        return self.kept & ((self.z >= self.critical[1]) | (self.z <= self.critical[0]))

    def power(self, theta: np.ndarray) -> np.ndarray:
        """Probability that each study's test rejects; zero where it does not count."""
        shift = np.asarray(theta)[..., None] - self.null
        lower, upper = (bound * self.error for bound in self.critical)
        chance = ndtr((shift - upper) / self.spread) + ndtr((lower - shift) / self.spread)
        return np.where(self.kept, chance, 0.0)


def _at_least(observed: np.ndarray, power: np.ndarray, k: np.ndarray, test: str) -> np.ndarray:
    """P value of at least as many successes as observed; NaN where no study counts."""
    with np.errstate(divide="ignore", invalid="ignore"):
        p = _RULES[test](observed, power, k)
    return np.where(k > 0, np.clip(p, 0.0, 1.0), np.nan)[()]


def _exact(observed: np.ndarray, power: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Distribution of the number of successes, one study after the other: only sums of positive numbers."""
    chance = np.zeros((*power.shape[:-1], power.shape[-1] + 1))
    chance[..., 0] = 1.0
    for study in np.moveaxis(power, -1, 0):
        more = chance[..., :-1] * study[..., None]
        chance *= 1.0 - study[..., None]
        chance[..., 1:] += more
    return np.where(np.arange(chance.shape[-1]) >= np.asarray(observed)[..., None], chance, 0.0).sum(axis=-1)


def _chi2(observed: np.ndarray, power: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Normal approximation with the mean power, without a continuity correction."""
    expected = power.sum(axis=-1)
    return ndtr((expected - observed) / np.sqrt(expected * (1.0 - expected / k)))


def _binomial(observed: np.ndarray, power: np.ndarray, k: np.ndarray) -> np.ndarray:
    """Binomial tail with the mean power."""
    return np.where(observed > 0, betainc(np.maximum(observed, 1), k - observed + 1, power.sum(axis=-1) / k), 1.0)


_RULES = {"exact": _exact, "chi2": _chi2, "binomial": _binomial}


def _away(studies: _Studies, centre: np.ndarray) -> np.ndarray:
    """The direction from the null in which power grows; for two-sided tests the direction of the effect."""
    lower, upper = studies.critical
    if np.isinf(lower):
        return np.ones(np.shape(centre))
    return -np.ones(np.shape(centre)) if np.isinf(upper) else np.where(centre >= studies.null, 1.0, -1.0)


def _limit(studies: _Studies, observed: np.ndarray, centre: np.ndarray, test: str, tes_alpha: float) -> np.ndarray:
    """The true effect nearest to the null with a P value of ``tes_alpha``, by halving a bracket."""
    away = _away(studies, centre)
    far = FARTHEST * np.where(studies.kept, studies.spread, 0.0).max(axis=-1)

    def rejects(distance: np.ndarray) -> np.ndarray:
        return _at_least(observed, studies.power(studies.null + away * distance), studies.k, test) < tes_alpha

    low, high = np.zeros_like(far), far
    open_ = rejects(low) & ~rejects(high)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        inside = rejects(middle)
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.where(open_, studies.null + away * high, np.nan)[()]
