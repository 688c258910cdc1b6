"""Tests of publication bias: excess significance, fail-safe numbers, Henmi and Copas, S-value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import betainc, gammainc, ndtr, ndtri

from cellclaims.errors import PoolingError
from cellclaims.meta.effect_sizes import EffectSizes
from cellclaims.meta.fit import Fit, fit, fit_of_mean
from cellclaims.meta.flags import FEWEST_ADVISED, Caution, refuse_too_few, stated
from cellclaims.meta.inputs import check_share, one_of

TESTS = ("exact", "chi2", "binomial")
ALTERNATIVES = ("two-sided", "greater", "less")
#: Number of bisections of a bracket.
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
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    method: str | None = None,
    theta: ArrayLike | None = None,
    null: float = 0.0,
    alternative: str = "two-sided",
    alpha: float = 0.05,
    test: str = "exact",
    tes_alpha: float = 0.1,
) -> ExcessSignificance:
    r"""Test for excess significance, for one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances; or ``yi`` alone: a fit of a single mean, or effect sizes.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
    keep : array-like of bool, shape (..., k), optional
        Which studies count.
    method : str
        How the true effect is pooled: that of the fit, or EE. With a between-study variance the power of each study is
        its average over true effects.
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
    test, alternative = one_of(test, TESTS, "test"), one_of(alternative, ALTERNATIVES, "alternative")
    alpha, tes_alpha = check_share(alpha, "alpha"), check_share(tes_alpha, "tes_alpha")
    method = method or (None if isinstance(yi, Fit) else "EE")
    pooled = fit_of_mean("tes", yi, vi, slab=slab, keep=keep, method=method, test="z")
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
    """Values that determine whether each study is significant; arrays of shape (..., k).

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
    """Return the direction from the null in which power grows; for two-sided tests the direction of the effect."""
    lower, upper = studies.critical
    if np.isinf(lower):
        return np.ones(np.shape(centre))
    return -np.ones(np.shape(centre)) if np.isinf(upper) else np.where(centre >= studies.null, 1.0, -1.0)


def _limit(studies: _Studies, observed: np.ndarray, centre: np.ndarray, test: str, tes_alpha: float) -> np.ndarray:
    """Return the true effect nearest to the null with a P value of ``tes_alpha``, by halving a bracket."""
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


# How many studies without effect would have to lie in drawers before a pooled effect is lost.


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
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    kind: str = "Rosenthal",
    alpha: float = 0.05,
    target: float | None = None,
    weighted: bool = False,
) -> FailSafeN:
    r"""Compute the fail-safe number of studies, for one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances; or ``yi`` alone: a fit of a single mean, or effect sizes.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
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
    kind, alpha = one_of(kind, KINDS, "kind"), check_share(alpha, "alpha", 0.5)
    pooled = fit_of_mean("fail_safe_n", yi, vi, slab=slab, keep=keep, method="EE", test="z")
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


# An interval for the mean that gives small studies no more than their equal-effects weight.


FEWEST = 2
#: The normal density is below 1e-17 of its peak beyond.
QUANTILE_FARTHEST = 9.0
#: Panels of the integral, as proportions of its length; the integrand increases over a length of about ``k^-1/2``.
PANELS = np.array([0.0, *(4.0 ** -np.arange(6.0, -1.0, -1.0))])
#: Gauss-Legendre nodes in each panel.
NODES, SHARES = np.polynomial.legendre.leggauss(24)
#: Smallest positive mean or variance, relative to its scale.
NEGLIGIBLE = 1e-12
#: Halvings of the bracket of the quantile: down to neighbouring doubles.
QUANTILE_HALVINGS = 60


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


def hc(
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    level: float | None = None,
) -> HenmiCopas:
    r"""Compute the interval of Henmi and Copas, for one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances; or ``yi`` alone: a fit of a single mean, or effect sizes.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
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
    given = {"slab": slab, "keep": keep, "test": "z", "level": level}
    fixed = fit_of_mean("hc", yi, vi, method="EE", **given)
    refuse_too_few(fixed.k, FEWEST, "interval of Henmi and Copas")
    random, level = fit_of_mean("hc", yi, vi, method="DL", **given), fixed.level
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
        """Return the Q up to which a mean ``ratio`` times the half-width lies outside of the interval."""
        return np.asarray(self.w1 / self.w2 - 1.0)[..., None] * (ratio**2 - 1.0) + np.asarray(self.df)[..., None]


def _quantile(moments: _Moments, level: float) -> np.ndarray:
    """Half-width, in standard deviations of the mean, that leaves half of ``1 - level`` outside on each side."""
    tail = (1.0 - level) / 2.0
    low, high = np.zeros(np.shape(moments.w1)), np.full(np.shape(moments.w1), -ndtri(tail))
    for _ in range(QUANTILE_HALVINGS):
        middle = 0.5 * (low + high)
        wide = _outside(moments, middle) <= tail
        low, high = np.where(wide, low, middle), np.where(wide, middle, high)
    return high


def _outside(moments: _Moments, t: np.ndarray) -> np.ndarray:
    """Probability that the mean lies above an interval of half-width ``t``."""
    edges = t[..., None] + QUANTILE_FARTHEST * PANELS
    middle, half = (edges[..., 1:] + edges[..., :-1]) / 2.0, (edges[..., 1:] - edges[..., :-1]) / 2.0
    r = (middle[..., None] + half[..., None] * NODES).reshape(*t.shape, -1)
    share = (half[..., None] * SHARES).reshape(*t.shape, -1)
    mean, variance = moments.gamma_of_q(r)
    # Where the approximation fails, with a mean or variance below zero, Q is about zero, or constant.
    mean = np.maximum(mean, NEGLIGIBLE * np.asarray(moments.df)[..., None])
    variance = np.maximum(variance, NEGLIGIBLE * mean**2)
    below = gammainc(mean**2 / variance, moments.q_allowed(r / t[..., None]) * mean / variance)
    density = np.exp(-0.5 * r**2) / np.sqrt(2.0 * np.pi)
    return (below * density * share).sum(axis=-1)


# How strongly significant results would have to be favoured for a pooled effect to be explained by it.
#
# An *affirmative* study is significant and on the favoured side; all others are *nonaffirmative*. If affirmative
# studies
# are ``eta`` times as likely to be published, each nonaffirmative one represents ``eta`` of its kind: this weight
# undoes
# the selection. The *S-value* is the ``eta`` that brings the pooled effect, or its interval, down to ``q``. The
# *worst
# case* is an ``eta`` without end: only nonaffirmative studies are left.


FAVOURED = ("greater", "less")
#: Weights of affirmative studies tried at once, and number of refinements of the interval with the answer.
TRIED, CUTS = 200, 8
#: A weight that is negligible in a sum; the engine needs weights above zero.
NO_SHARE = 1e-30


@dataclass(frozen=True, eq=False)
class SValue:
    """How much selection would explain a pooled effect, for one data set.

    Attributes
    ----------
    s_value, s_value_ci : float
        How many times as likely to be seen affirmative studies would have to be for the pooled effect, or its
        confidence limit nearest to ``q``, to be ``q``. Infinite with a flag where no selection of this kind is enough;
        1 with a flag where the interval includes ``q`` without any.
    worst_case : Fit or None
        Pooled effect of the nonaffirmative studies, with tau2 from all; None with a flag if there are none.
    fit : Fit
        All studies, without selection.
    affirmative : ndarray of bool, shape (k,)
    q : float
    favoured : str
    flags : tuple of str
    """

    s_value: float
    s_value_ci: float
    worst_case: Fit | None
    fit: Fit
    affirmative: np.ndarray
    q: float
    favoured: str
    flags: tuple[str, ...]


def s_value(
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    q: float = 0.0,
    keep: ArrayLike | None = None,
    favoured: str | None = None,
    alpha: float = 0.05,
    method: str | None = None,
    test: str | None = None,
    level: float | None = None,
) -> SValue:
    r"""Compute the S-value: the selection that would explain a pooled effect.

    Parameters
    ----------
    yi, vi : array-like of float, shape (k,)
        Effects and sampling variances; or ``yi`` alone: a fit of a single mean, or effect sizes.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
    q : float
        The effect that would be left: zero, a smallest change that matters, an advertised figure.
    keep : array-like of bool, shape (k,), optional
        Which studies count.
    favoured : {"greater", "less"}, optional
        On which side significant effects are favoured; that of the pooled effect from ``q`` if not given.
    alpha : float
        Two-sided level at which a study is significant.
    method, test, level
        As in :func:`cellclaims.meta.fit`, or those of the fit; ``EE`` with ``z`` is the authors' fixed-effects model.

    Returns
    -------
    SValue

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`; for a batch, fewer than 2 studies, or a ``q`` that the pooled effect has not
        reached on the favoured side.

    Notes
    -----
    With :math:`w_i = 1 / (v_i + \hat\tau^2)` and sums over affirmative (A) and nonaffirmative (N) studies

    .. math:: \hat\mu_\eta = \frac{\sum_A w_i y_i + \eta \sum_N w_i y_i}{\sum_A w_i + \eta \sum_N w_i}, \quad
              S = \frac{\sum_A w_i (y_i - q)}{\sum_N w_i (q - y_i)}

    (Mathur and VanderWeele 2020, https://doi.org/10.1111/rssc.12440, for selection on significance and direction
    alone, the same for all studies). Their random-effects intervals are cluster-robust; here the variance is that of
    the model for the given weights, under the chosen test.

    Examples
    --------
    One affirmative study of 2, one nonaffirmative of -0.5, equal weights: four times as likely.

    >>> found = s_value([2.0, -0.5], [0.25, 0.25], method="EE", test="z")
    >>> round(found.s_value, 6), found.affirmative.tolist()
    (4.0, [True, False])
    """
    favoured, alpha = None if favoured is None else one_of(favoured, FAVOURED, "favoured"), check_share(alpha, "alpha")
    pooled = fit_of_mean("s_value", yi, vi, slab=slab, keep=keep, method=method, test=test, level=level)
    if pooled.shape != ():
        raise PoolingError(f"s_value: expected one data set, found a batch of shape {pooled.shape}")
    refuse_too_few(pooled.k, FEWEST, "s_value")
    favoured = favoured or ("greater" if pooled.beta > q else "less")
    sign = 1.0 if favoured == "greater" else -1.0
    if sign * (pooled.beta - q) <= 0.0:
        raise PoolingError(
            f"q: expected short of the pooled effect {pooled.beta:g} on the side {favoured}, found {q:g}"
        )
    selection = _Selection.of(pooled, sign, q, alpha)
    return _explain(selection, pooled, favoured)


@dataclass(frozen=True, eq=False)
class _Selection:
    """One data set, split in affirmative and nonaffirmative studies; ``sign`` makes the favoured side positive."""

    pooled: Fit
    sign: float
    q: float
    kept: np.ndarray
    affirmative: np.ndarray

    @classmethod
    def of(cls, pooled: Fit, sign: float, q: float, alpha: float) -> _Selection:
        effects = pooled.effects
        kept = np.full(effects.k, True) if effects.keep is None else effects.keep
        with np.errstate(invalid="ignore", divide="ignore"):  # studies that do not count
            z = sign * effects.yi / np.sqrt(effects.vi)
        return cls(pooled, sign, q, kept, kept & (z > -ndtri(alpha / 2.0)))

    @property
    def base(self) -> np.ndarray:
        """Weights without selection, shape (k,); zero where a study does not count."""
        return self.pooled.weights / 100.0

    def corrected(self, share: np.ndarray) -> Fit:
        """Pool with the weights of affirmative studies multiplied by ``share``: a batch of its shape."""
        share = np.maximum(share, NO_SHARE)
        weights = self.base * np.where(self.affirmative, np.asarray(share)[..., None], 1.0)
        p = self.pooled
        choices = {"keep": p.effects.keep, "method": p.method, "test": p.test, "level": p.level}
        return fit(p.effects.yi, p.effects.vi, weights=weights, **choices)

    def reach(self, fitted: Fit) -> np.ndarray:
        """Return the distance of the interval from ``q``, on the favoured side."""
        return self.sign * ((fitted.ci_lb if self.sign > 0 else fitted.ci_ub) - self.q)

    def of_estimate(self) -> float:
        """S-value of the pooled effect: weighted sums beyond q and short of it."""
        beyond = np.where(self.kept, self.sign * (self.pooled.effects.yi - self.q), 0.0) * self.base
        lost = -beyond[~self.affirmative].sum()
        return float(beyond[self.affirmative].sum() / lost) if lost > 0.0 else np.inf

    def of_interval(self) -> float:
        """Return the S-value of the interval: the largest weight at which it includes q."""
        high, low = 1.0, 0.0
        for _ in range(CUTS):
            tried = np.linspace(high, low, TRIED)
            holds = self.reach(self.corrected(tried)) <= 0.0
            if holds[0] or not holds.any():
                return 1.0 if holds[0] else np.inf
            first = int(np.argmax(holds))
            high, low = tried[first - 1], tried[first]
        return 1.0 / low if low > 0.0 else np.inf


def _explain(selection: _Selection, pooled: Fit, favoured: str) -> SValue:
    some = selection.affirmative.any()
    others = (selection.kept & ~selection.affirmative).any()
    held = bool(selection.reach(pooled) <= 0.0)
    estimate = selection.of_estimate() if some and others else np.inf
    interval = 1.0 if held else selection.of_interval() if some and others else np.inf
    cautions = {
        Caution.NO_AFFIRMATIVE: not some,
        Caution.NO_NONAFFIRMATIVE: not others,
        Caution.NOT_EXPLAINED: some and others and np.isinf(estimate),
        Caution.INTERVAL_HOLDS: held,
        Caution.INTERVAL_NOT_EXPLAINED: some and others and np.isinf(interval),
    }
    worst = selection.corrected(0.0) if others else None
    flags = stated({caution: np.bool_(holds) for caution, holds in cautions.items()}, ())
    return SValue(estimate, interval, worst, pooled, selection.affirmative, selection.q, favoured, flags)
