"""Bayesian random-effects models by numerical integration, with reproducible results.

Given tau the normal-normal model is normal, so that the posterior of the mean and of a new setting are
mixtures of normal distributions over the posterior of tau, which one-dimensional quadrature gives to
rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, ndtr

from cellclaims.errors import PoolingError
from cellclaims.meta.binomial_fit import (
    BLOCK_POINTS,
    Derivatives,
    check_counts,
    levels,
    likelihood,
    log_coefficients,
    logit_of,
    series_weights,
)
from cellclaims.meta.effect_sizes import EffectSizes, measure_in_words
from cellclaims.meta.fit import read_effects, with_undefined
from cellclaims.meta.flags import Flag, in_words
from cellclaims.meta.inputs import check_share
from cellclaims.meta.result import Result, written

# Distributions that an exact integration leaves behind: of tau, of a mean, of a new setting.
#
# Every distribution has a batch shape B (``()`` for one fit). A method that is given values of shape X
# answers with shape ``B + X``: one number for one fit and one value.


#: Newton steps inside a shrinking bracket: each at least halves it, so that this many reach rounding from
#: any start.
QUANTILE_STEPS = 100


class Distribution:
    """Base class of distributions: mean, sd, density, cdf, tail probability, quantiles, central interval.

    A subclass has ``mean`` and ``sd`` (batch shape), ``support`` (two arrays of batch shape that enclose all
    but a negligible part) and ``evaluate(values)``: density and cdf, element by element, for values of
    shape B + X.
    """

    mean: NDArray
    sd: NDArray
    support: tuple[NDArray, NDArray]

    def evaluate(self, values: NDArray) -> tuple[NDArray, NDArray]:
        """Density and cdf at values of shape B + X."""
        raise TypeError(f"{type(self).__name__} does not say how it is evaluated")

    def _spread(self, values: ArrayLike) -> NDArray:
        values = np.asarray(values, float)
        return np.broadcast_to(values, np.shape(self.mean) + values.shape)

    def density(self, values: ArrayLike) -> NDArray:
        """Density at ``values`` (shape X), shape B + X."""
        return self.evaluate(self._spread(values))[0][()]

    def cdf(self, values: ArrayLike) -> NDArray:
        """Probability of being at most ``values`` (shape X), shape B + X."""
        return self.evaluate(self._spread(values))[1][()]

    def ge(self, values: ArrayLike) -> NDArray:
        """Probability of being at least ``values`` (shape X), shape B + X."""
        return 1.0 - self.cdf(values)

    def interval(self, level: float = 0.95) -> NDArray:
        """Central interval, shape B + (2,)."""
        return self.quantile([(1 - level) / 2, (1 + level) / 2])

    def quantile(self, probability: ArrayLike) -> NDArray:
        """Return the quantiles of ``probability`` (shape X), shape B + X.

        Raises
        ------
        PoolingError
            If a probability is not strictly between 0 and 1.
        """
        wanted = self._spread(probability)
        if not np.all((wanted > 0) & (wanted < 1)):
            raise PoolingError(f"expected probabilities between 0 and 1, found {probability!r}")
        extra = (...,) + (None,) * (wanted.ndim - np.ndim(self.mean))
        low, high = (np.broadcast_to(np.asarray(end)[extra], wanted.shape).copy() for end in self.support)
        return _solve(self.evaluate, wanted, low, high, np.asarray(self.mean)[extra], np.asarray(self.sd)[extra])[()]


def _solve(evaluate: Callable, wanted: NDArray, low: NDArray, high: NDArray, mean: NDArray, sd: NDArray) -> NDArray:
    """Root of ``cdf - wanted`` by Newton steps that stay inside the bracket."""
    value = np.clip(np.broadcast_to(mean, wanted.shape), low, high)
    for _ in range(QUANTILE_STEPS):
        density, cdf = evaluate(value)
        low, high = np.where(cdf <= wanted, value, low), np.where(cdf > wanted, value, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = value - (cdf - wanted) / density
        following = np.where((newton > low) & (newton < high), newton, 0.5 * (low + high))
        done = np.all(np.abs(following - value) <= 1e-13 * (np.abs(value) + sd))
        value = following
        if done:
            break
    return value


@dataclass(frozen=True, eq=False)
class NormalMixture(Distribution):
    """A weighted sum of normal distributions; arrays of shape B + (j,), weights summing to 1 along the last axis."""

    means: NDArray
    sds: NDArray
    weights: NDArray

    @cached_property
    def mean(self) -> NDArray:
        """Mean of the mixture."""
        return (self.weights * self.means).sum(-1)[()]

    @cached_property
    def sd(self) -> NDArray:
        """Standard deviation of the mixture, from centred means."""
        centred = self.means - np.asarray(self.mean)[..., None]
        return np.sqrt((self.weights * (self.sds**2 + centred**2)).sum(-1))[()]

    @cached_property
    def support(self) -> tuple[NDArray, NDArray]:
        """Ten standard deviations beyond every component that counts."""
        reach = 10.0 * np.where(self.weights > 1e-18, self.sds, 0.0)
        return (self.means - reach).min(-1), (self.means + reach).max(-1)

    def evaluate(self, values: NDArray) -> tuple[NDArray, NDArray]:
        """Density and cdf at values of shape B + X, one component after the other to spare memory."""
        density, cdf = np.zeros(values.shape), np.zeros(values.shape)
        extra = (...,) + (None,) * (values.ndim - self.means.ndim + 1)
        for j in range(self.means.shape[-1]):
            m, s, w = (part[..., j][extra] for part in (self.means, self.sds, self.weights))
            z = (values - m) / s
            density += w / s * np.exp(-0.5 * z * z)
            cdf += w * ndtr(z)
        return density / np.sqrt(2 * np.pi), cdf


@dataclass(frozen=True, eq=False)
class PanelDistribution(Distribution):
    """A smooth distribution known at Gauss-Legendre points of panels in ``x = asinh((value - centre) /
    unit)``.

    Within ``unit`` of the centre x is linear in the value, farther out logarithmic, so that one grid represents a sharp
    peak and a long tail. Density and cdf come from each panel's Legendre series, so that nothing is
    interpolated by lines.

    Attributes
    ----------
    centre, unit : ndarray, shape B
        Of the scale x; the centre of a distribution of tau is 0.
    edges : ndarray, shape B + (p + 1,)
        Panel edges in x, equally spaced.
    masses : ndarray, shape B + (p, q)
        Probability that belongs to each point; sums to 1.
    """

    centre: NDArray
    unit: NDArray
    edges: NDArray
    masses: NDArray

    @cached_property
    def points(self) -> NDArray:
        """The values at the quadrature points, shape B + (p, q)."""
        return to_value(panel_points(self.edges, self.masses.shape[-1]), self.centre, self.unit)

    @cached_property
    def mean(self) -> NDArray:
        """Mean."""
        return (self.masses * self.points).sum((-2, -1))[()]

    @cached_property
    def sd(self) -> NDArray:
        """Standard deviation, from centred points."""
        centred = self.points - np.asarray(self.mean)[..., None, None]
        return np.sqrt((self.masses * centred**2).sum((-2, -1)))[()]

    @property
    def support(self) -> tuple[NDArray, NDArray]:
        """Where the panels begin and end."""
        ends = to_value(self.edges[..., None, [0, -1]], self.centre, self.unit)
        return ends[..., 0, 0], ends[..., 0, 1]

    @cached_property
    def _series(self) -> tuple[NDArray, NDArray]:
        """Legendre coefficients of the density on each panel, and the probability below each panel."""
        nodes, _ = gauss_legendre(self.masses.shape[-1])
        transform = legendre.legvander(nodes, nodes.size - 1) * (np.arange(nodes.size) + 0.5)
        below = np.cumsum(self.masses.sum(-1), axis=-1)
        return self.masses @ transform, np.concatenate([np.zeros_like(below[..., :1]), below[..., :-1]], axis=-1)

    def evaluate(self, values: NDArray) -> tuple[NDArray, NDArray]:
        """Density and cdf at values of shape B + X: the panel's Legendre series and its integral."""
        coefficients, below = self._series
        batch, panels = self.edges.shape[:-1], self.edges.shape[-1] - 1
        extra = (...,) + (None,) * (values.ndim - len(batch))
        offset, unit = values - np.asarray(self.centre)[extra], np.asarray(self.unit)[extra]
        first, last = self.edges[..., 0][extra], self.edges[..., -1][extra]
        place = (np.arcsinh(offset / unit) - first) / (last - first) * panels
        which = np.clip(place.astype(int), 0, panels - 1)
        rows = (row[extra] for row in np.ogrid[tuple(slice(size) for size in batch)])
        index = (*rows, which)
        z = np.clip(2 * (place - which) - 1, -1.0, 1.0)
        density, part = legendre_series(coefficients[index], z)
        slope = 2 * panels / (last - first) / np.hypot(offset, unit)
        inside = (place >= 0) & (place <= panels)
        return np.where(inside, density * slope, 0.0), np.clip(below[index] + part, 0.0, 1.0)


def legendre_series(coefficients: NDArray, z: NDArray) -> tuple[NDArray, NDArray]:
    """Value of a Legendre series at ``z`` and its integral from -1, by ``(2 n + 1) P_n = (P_{n+1} -
    P_{n-1})'``.

    ``coefficients`` of shape (..., m) belong to the elements of ``z`` of shape (...).
    """
    count = coefficients.shape[-1]
    # legvander makes a number a vector: the shape is given back.
    polynomials = legendre.legvander(z, count).reshape((*np.shape(z), count + 1))
    before = np.concatenate([-np.ones_like(polynomials[..., :1]), polynomials[..., :-2]], axis=-1)
    antiderivative = (polynomials[..., 1:] - before) / (2 * np.arange(count) + 1)
    return (coefficients * polynomials[..., :-1]).sum(-1), (coefficients * antiderivative).sum(-1)


def to_value(x: NDArray, centre: NDArray, unit: NDArray) -> NDArray:
    """From the panel scale back to values; ``x`` has two axes more than ``centre`` and ``unit``."""
    return np.asarray(centre)[..., None, None] + np.asarray(unit)[..., None, None] * np.sinh(x)


def equal_panels(first: NDArray, last: NDArray, count: int) -> NDArray:
    """``count`` panels of one length between two ends, edges of shape (..., count + 1)."""
    return np.asarray(first)[..., None] + (np.asarray(last) - first)[..., None] * np.linspace(0.0, 1.0, count + 1)


@cache
def gauss_legendre(count: int) -> tuple[NDArray, NDArray]:
    """Nodes and weights of the rule on -1 to 1, computed once for each count; not to be changed."""
    nodes, weights = legendre.leggauss(count)
    for part in (nodes, weights):
        part.setflags(write=False)
    return nodes, weights


def panel_points(edges: NDArray, count: int) -> NDArray:
    """Gauss-Legendre points of every panel, shape (..., p, count) for edges of shape (..., p + 1)."""
    nodes, _ = gauss_legendre(count)
    return edges[..., :-1, None] + np.diff(edges)[..., None] / 2 * (1 + nodes)


def panel_weights(edges: NDArray, count: int) -> NDArray:
    """Gauss-Legendre weights that belong to :func:`panel_points`."""
    _, weights = gauss_legendre(count)
    return np.diff(edges)[..., None] / 2 * weights


# The prior and the posterior of a random-effects model, and the integration over tau that both models share.


#: What lies below exp(-32) of the peak weighs less than 1e-12 of the whole.
NEGLIGIBLE = 32.0
#: The range that counts is found on a grid, and found again on a grid of that range.
ZOOMS, GRID = 2, 96


@dataclass(frozen=True)
class Prior:
    r"""Prior: tau half-normal, the mean flat or normal.

    Attributes
    ----------
    tau_scale : float
        Scale of the half-normal prior of tau, in the unit of the effects: 0.5 for HbA1c in percentage
        points, 1.0 on the logit (Röver and others 2021, https://doi.org/10.1002/jrsm.1475). Its median is
        0.67 scales.
    mean, mean_sd : float
        Normal prior of the mean; the default ``mean_sd`` is infinite: flat.
    """

    tau_scale: float
    mean: float = 0.0
    mean_sd: float = np.inf

    def __post_init__(self) -> None:
        """Refuse what is no prior."""
        if not (0 < self.tau_scale < np.inf and self.mean_sd > 0 and np.isfinite(self.mean)):
            raise PoolingError(f"expected 0 < tau_scale < inf, a finite mean and mean_sd > 0, found {self}")

    def log_tau(self, tau: NDArray) -> NDArray:
        """Logarithm of the half-normal density at ``tau``, element by element."""
        return 0.5 * np.log(2 / np.pi) - np.log(self.tau_scale) - 0.5 * (tau / self.tau_scale) ** 2

    def log_mean(self, mu: NDArray) -> NDArray:
        """Logarithm of the mean's prior density up to a constant; 0 when flat."""
        return -0.5 * ((mu - self.mean) / self.mean_sd) ** 2


@dataclass(frozen=True, eq=False, repr=False)
class BayesFit(Result):
    """A posterior; for counts everything is on the logit.

    Attributes
    ----------
    mu, tau, theta_new : Distribution
        The mean, the standard deviation between settings, the true value of a new setting.
    beta, se, ci_lb, ci_ub : float or ndarray
        Mean, standard deviation and central interval of ``mu``.
    pi_lb, pi_ub : float or ndarray
        Central interval of ``theta_new``.
    tau2 : float or ndarray
        Square of the posterior median of tau.
    prior : Prior
    k : int or ndarray of int
    level : float
    flags : tuple of str, or ndarray of int
    log_evidence : float or ndarray
        Logarithm of the normalising constant.
    model, method : str
    measure : str or None
        What the effects are.
    """

    mu: Distribution
    tau: PanelDistribution
    theta_new: Distribution
    prior: Prior
    k: NDArray
    level: float
    flags: tuple[str, ...] | NDArray
    log_evidence: NDArray
    model: str
    method: str = "exact"
    measure: str | None = None

    def _title(self) -> str:
        """Return the model and its prior."""
        what = "proportion" if self.model == "bayes_binomial_normal" else "mean effect"
        count = f"k = {self.k}; " if np.ndim(self.k) == 0 else ""
        return f"Bayesian random-effects model of a {what} ({count}tau half-normal, scale {self.prior.tau_scale:g})"

    def _scale(self) -> str:
        """Return what the estimate is."""
        if self.model == "bayes_binomial_normal":
            return "logit of the proportion"
        return measure_in_words(self.measure) if self.measure else "mean effect"

    def _heterogeneity(self) -> list[str]:
        low, high = self.tau.interval(self.level)
        median = written(self.tau.quantile(0.5))
        return [f"tau: posterior median {median} ({100 * self.level:g}% interval {written(low)} to {written(high)})"]

    @property
    def beta(self) -> NDArray:
        """Posterior mean of mu."""
        return self.mu.mean

    @property
    def se(self) -> NDArray:
        """Posterior standard deviation of mu."""
        return self.mu.sd

    @cached_property
    def _limits(self) -> tuple[NDArray, NDArray]:
        return self.mu.interval(self.level), self.theta_new.interval(self.level)

    @property
    def ci_lb(self) -> NDArray:
        """Lower end of the central interval of mu."""
        return self._limits[0][..., 0]

    @property
    def ci_ub(self) -> NDArray:
        """Upper end of the central interval of mu."""
        return self._limits[0][..., 1]

    @property
    def pi_lb(self) -> NDArray:
        """Lower end of the central interval of a new setting."""
        return self._limits[1][..., 0]

    @property
    def pi_ub(self) -> NDArray:
        """Upper end of the central interval of a new setting."""
        return self._limits[1][..., 1]

    @cached_property
    def tau2(self) -> NDArray:
        """Square of the posterior median of tau."""
        return self.tau.quantile(0.5) ** 2

    def p_mean_reaches(self, value: float) -> NDArray:
        """Return the posterior probability that the mean (for counts: the median proportion) is at least ``value``.

        Parameters
        ----------
        value : float
            On the scale of the effects; for counts a proportion strictly between 0 and 1.

        Returns
        -------
        float or ndarray

        Raises
        ------
        PoolingError
            For counts, if ``value`` is no such proportion.
        """
        return self.mu.ge(self._on_scale(value))

    def p_new_setting_reaches(self, value: float) -> NDArray:
        """Return the posterior probability that the true value of a new setting is at least ``value``.

        Parameters
        ----------
        value : float
            As in :meth:`p_mean_reaches`.

        Returns
        -------
        float or ndarray

        Raises
        ------
        PoolingError
            As :meth:`p_mean_reaches`.
        """
        return self.theta_new.ge(self._on_scale(value))

    def p_series_reaches(self, value: float, n: float) -> NDArray:
        """Return the posterior probability that a new study in a new setting finds at least ``value``.

        Parameters
        ----------
        value : float
            As in :meth:`p_mean_reaches`.
        n : float
            For counts the patients of the new study; for effects its sampling variance.

        Returns
        -------
        float or ndarray

        Raises
        ------
        PoolingError
            As :meth:`p_mean_reaches`; if ``n`` is no number of patients, or no variance.
        """
        if self.model == "bayes_binomial_normal":
            logits, weights = series_weights(value, n)
            return self.theta_new.ge(logits) @ weights
        if not 0.0 <= n < np.inf:
            raise PoolingError(f"n: expected the sampling variance of the new study, zero or more, found {n!r}")
        shown = NormalMixture(self.theta_new.means, np.hypot(self.theta_new.sds, np.sqrt(n)), self.theta_new.weights)
        return shown.ge(float(value))

    def _on_scale(self, value: float) -> float:
        return logit_of(value) if self.model == "bayes_binomial_normal" else float(value)

    def _lines(self) -> list[str]:
        lines = super()._lines()
        if self.model != "bayes_binomial_normal":
            return lines
        beta, low, high = (float(expit(part)) for part in (self.beta, self.ci_lb, self.ci_ub))
        return [f"Proportion in the median setting: {beta:.4f} ({low:.4f} to {high:.4f})", *lines]


def count_flags(k: NDArray) -> tuple[str, ...] | NDArray:
    """Return flags that depend on the number of studies: words for one fit, sums for a batch."""
    flags = np.where(k == 0, Flag.NOTHING_KEPT, np.where(k == 1, Flag.SINGLE, np.where(k <= 4, Flag.FEW, 0)))
    return in_words(int(flags), Flag) if flags.ndim == 0 else flags


def tau_edges(log_density: Callable[[NDArray], NDArray], unit: NDArray, upper: NDArray, panels: int) -> NDArray:
    """Panels over the range of tau that counts, in ``asinh(tau / unit)``, shape (r, panels + 1).

    Parameters
    ----------
    log_density : callable
        Logarithm of the density for tau of shape (r, g), up to a constant; a rough one will do.
    unit, upper : ndarray, shape (r,)
        Scale below which tau is treated as linear; a tau beyond which nothing counts.
    panels : int
    """
    first, last = np.zeros_like(unit), np.arcsinh(upper / unit)
    rows = np.arange(unit.size)
    for _ in range(ZOOMS):
        grid = first[:, None] + (last - first)[:, None] * np.linspace(0, 1, GRID)
        height = log_density(unit[:, None] * np.sinh(grid)) + np.log(np.cosh(grid))
        counts = height > height.max(-1, keepdims=True) - NEGLIGIBLE
        begin, end = counts.argmax(-1), GRID - 1 - counts[:, ::-1].argmax(-1)
        first, last = grid[rows, np.maximum(begin - 1, 0)], grid[rows, np.minimum(end + 1, GRID - 1)]
    return equal_panels(first, last, panels)


def normalise_tau(unit: NDArray, edges: NDArray, log_density: NDArray) -> tuple[PanelDistribution, NDArray]:
    """Return a distribution from the logarithm of its density at the panels' points, shape (r, p, q).

    Also the logarithm of the normalising constant, shape (r,).
    """
    x = panel_points(edges, log_density.shape[-1])
    height = log_density + np.log(unit[:, None, None] * np.cosh(x))
    peak = height.max((-2, -1))
    mass = panel_weights(edges, log_density.shape[-1]) * np.exp(height - peak[:, None, None])
    total = mass.sum((-2, -1))
    return PanelDistribution(np.zeros_like(unit), unit, edges, mass / total[:, None, None]), peak + np.log(total)


def tau_points(unit: NDArray, edges: NDArray, count: int) -> NDArray:
    """tau at ``count`` Gauss-Legendre points of every panel, shape (r, p, count)."""
    return to_value(panel_points(edges, count), np.zeros_like(unit), unit)


# The binomial-normal model with a prior on tau, by integration over the mean inside an integration over tau.


#: Half-normal scale on the logit; 0.5 and 2.0 are used in sensitivity analyses.
LOGIT_PRIOR = Prior(tau_scale=1.0)
#: Quadrature points a report, points over the mean, panels and points over tau, the same for the results.
NODES, MEAN_POINTS, COUNT_PANELS, RESULT_PANELS = 61, 60, (8, 14), (40, 14)
#: Newton steps to a mode of a concave function, and to the ends of the range that counts.
MODE_STEPS, END_STEPS = 40, 8
#: Below this ratio of tau to the sd of the mean, a new setting is the mean blurred a little (Gauss-Hermite
#: over the blur); above it, a normal distribution about each point of the mean. Both are exact to 1e-11
#: where they are used.
NARROW, BLUR_POINTS = 0.5, 32
#: A logit that is known through one study of one participant, spread by tau, has more information than this.
LEAST_INFORMATION = 1e-2


class MeanGivenTau(NamedTuple):
    """Return the mean given each tau of shape (t,), on one panel per tau in ``y = asinh((mean - mode) / sd)``.

    ``mode``, ``sd`` (from the curvature there), ``low`` and ``high`` (ends in y) and ``log_total`` (log of the
    integral over the mean) have shape (t,); ``points`` (means) and their ``masses`` have shape (t, m).
    """

    mode: NDArray
    sd: NDArray
    low: NDArray
    high: NDArray
    points: NDArray
    masses: NDArray
    log_total: NDArray


def bayes_binomial(
    events: ArrayLike,
    n: ArrayLike,
    prior: Prior = LOGIT_PRIOR,
    *,
    slab: ArrayLike | None = None,
    level: float = 0.95,
    panels: tuple[int, int] = COUNT_PANELS,
    mean_points: int = MEAN_POINTS,
) -> BayesFit:
    r"""Compute the posterior of the binomial-normal model of one proportion by numerical integration, on the logit.

    .. math::
       x_i \sim \mathrm{Bin}(n_i, p_i), \quad \mathrm{logit}\,p_i \sim N(\mu, \tau^2), \quad \tau \sim
       \mathrm{HN}(s), \quad p(\mu) \propto 1

    Parameters
    ----------
    events, n : array-like of whole numbers, shape (k,)
        Events and patients of each report.
    prior : Prior
        Half-normal scale of tau on the logit, and the mean's prior (flat by default).
    slab : array-like of str, shape (k,), optional
        Labels of the reports, for messages.
    level : float
        Of the central intervals.
    panels : (int, int)
        Panels over tau and points a panel.
    mean_points : int
        Points over the mean for each tau.

    Returns
    -------
    BayesFit
        With ``p_mean_reaches``, ``p_new_setting_reaches`` and ``p_series_reaches`` for a claimed proportion.

    Raises
    ------
    PoolingError
        Counts that are refused; or no event at all, or events only, under a flat prior: there is no
        posterior then.

    Examples
    --------
    >>> fit = bayes_binomial([3, 4, 18, 3, 3], [10, 15, 56, 6, 24])
    >>> [round(float(v), 3) for v in (fit.beta, fit.se, fit.p_mean_reaches(0.5))]
    [-0.986, 0.37, 0.009]
    """
    level = check_share(level, "level")
    x, size, _, _ = check_counts(events, n, None, slab)
    if x.ndim != 1:
        raise PoolingError(f"expected one data set of shape (k,), found shape {x.shape}")
    if np.isinf(prior.mean_sd) and x.sum() in (0.0, size.sum()):
        raise PoolingError(
            f"a flat prior of the mean has no posterior with {x.sum():g} events of {size.sum():g}: give it a mean_sd"
        )
    tau, evidence, given = _over_tau(x, size, prior, panels, mean_points)
    mu, theta = _new_setting(tau, given, blur=False), _new_setting(tau, given, blur=True)
    k = np.asarray(x.size)
    return BayesFit(mu, tau, theta, prior, k[()], level, count_flags(k), evidence, "bayes_binomial_normal")


def _over_tau(
    x: NDArray, n: NDArray, prior: Prior, panels: tuple[int, int], points: int
) -> tuple[PanelDistribution, NDArray, MeanGivenTau]:
    """Posterior of tau, log evidence, and the mean given tau at its points."""

    def rough(tau: NDArray) -> NDArray:
        mode, here = _mode(x, n, tau.ravel(), prior, levels(9))
        laplace = here.value + prior.log_mean(mode) - 0.5 * np.log(_curvature(here, tau.ravel(), prior))
        return laplace.reshape(tau.shape) + prior.log_tau(tau)

    empirical = np.log((x + 0.5) / (n - x + 0.5))
    unit = np.array([np.sqrt(np.min(1.0 / (x + 0.5) + 1.0 / (n - x + 0.5)))])
    upper = np.sqrt(90.0 * prior.tau_scale**2 + (1.5 * np.ptp(empirical)) ** 2) * np.ones(1)
    edges = tau_edges(rough, unit, upper, panels[0])
    at = tau_points(unit, edges, panels[1])
    given = given_tau(x, n, at.ravel(), prior, points)
    batch, evidence = normalise_tau(unit, edges, given.log_total.reshape(at.shape) + prior.log_tau(at))
    tau = PanelDistribution(*(part[0] for part in (batch.centre, batch.unit, batch.edges, batch.masses)))
    return tau, evidence[0] + log_coefficients(x, n), given


def _rows(x: NDArray, n: NDArray, mu: NDArray, tau: NDArray, nodes: tuple[int, ...]) -> Derivatives:
    """Return the likelihood of one data set at many (mu, tau), in blocks."""
    size = max(1, BLOCK_POINTS // (x.size * nodes[0]))
    blocks = [
        likelihood(np.tile(x, (part.size, 1)), np.tile(n, (part.size, 1)), part, tau[i : i + size], nodes)
        for i in range(0, mu.size, size)
        for part in [mu[i : i + size]]
    ]
    return Derivatives(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


def _mode(x: NDArray, n: NDArray, tau: NDArray, prior: Prior, nodes: tuple[int, ...]) -> tuple[NDArray, Derivatives]:
    """Most probable mean for each tau: the logarithm is concave in the mean, steps are kept short of overshooting."""
    known = prior.mean_sd**-2
    mu = np.full(tau.shape, np.log((x.sum() + 0.5) / (n.sum() - x.sum() + 0.5)))
    for _ in range(MODE_STEPS):
        here = _rows(x, n, mu, tau, nodes)
        step = (here.by_mu - known * (mu - prior.mean)) / _curvature(here, tau, prior)
        if np.all(np.abs(step) < 1e-6):
            break
        mu = mu + np.clip(step, -2.0, 2.0)
    return mu, here


def _curvature(here: Derivatives, tau: NDArray, prior: Prior) -> NDArray:
    """Information on the mean given tau; a bound where rounding leaves none, far out, where tau weighs nothing."""
    return np.maximum(prior.mean_sd**-2 - here.by_mu_mu, LEAST_INFORMATION / (1.0 + tau * tau))


def given_tau(x: NDArray, n: NDArray, tau: NDArray, prior: Prior, points: int) -> MeanGivenTau:
    """Integrate over the mean for each tau of shape (t,): Gauss-Legendre over the range that counts."""
    nodes = levels(NODES)
    mode, here = _mode(x, n, tau, prior, nodes)
    top = here.value + prior.log_mean(mode)
    sd = 1.0 / np.sqrt(_curvature(here, tau, prior))
    low, high = (_end(x, n, tau, prior, mode, top, side * sd) for side in (-1.0, 1.0))
    low, high = (np.arcsinh((end - mode) / sd) for end in (low, high))
    z, weights = gauss_legendre(points)
    half = (high - low)[:, None] / 2
    y = low[:, None] + half * (1 + z)
    mu = mode[:, None] + sd[:, None] * np.sinh(y)
    value = _rows(x, n, mu.ravel(), np.repeat(tau, points), nodes).value.reshape(mu.shape) + prior.log_mean(mu)
    mass = np.exp(value - top[:, None]) * weights * half * sd[:, None] * np.cosh(y)
    total = mass.sum(-1)
    return MeanGivenTau(mode, sd, low, high, mu, mass / total[:, None], top + np.log(total))


def _end(x: NDArray, n: NDArray, tau: NDArray, prior: Prior, mode: NDArray, top: NDArray, sd: NDArray) -> NDArray:
    """Return where the density of the mean has fallen by exp(-NEGLIGIBLE) on one side (the sign of ``sd``)."""
    mu, known = mode + np.sqrt(2 * NEGLIGIBLE) * sd, prior.mean_sd**-2
    for _ in range(END_STEPS):
        here = _rows(x, n, mu, tau, levels(9))
        fallen = top - here.value - prior.log_mean(mu)
        if np.all(np.abs(fallen - NEGLIGIBLE) < 1.0):
            break
        slope = np.abs(here.by_mu - known * (mu - prior.mean))
        # Concave: steps from outside never overshoot, those from inside are capped to stay reasonable.
        mu = mu + np.sign(sd) * np.clip((NEGLIGIBLE - fallen) / slope, -0.5 * np.abs(mu - mode), 10.0 * np.abs(sd))
    return mu


def _new_setting(tau: PanelDistribution, given: MeanGivenTau, *, blur: bool) -> PanelDistribution:
    """Distribution of the mean, or of a new setting (the mean plus tau), on its own panels."""
    weight, scale = tau.masses.ravel(), tau.points.ravel() * blur
    first = (given.masses * given.points).sum(-1)
    variance = (given.masses * (given.points - first[:, None]) ** 2).sum(-1)
    centre = weight @ first
    unit = np.sqrt(weight @ (variance + scale**2 + (first - centre) ** 2))
    counts = weight > 1e-16
    low = (given.mode + given.sd * np.sinh(given.low) - 8.3 * scale)[counts].min()
    high = (given.mode + given.sd * np.sinh(given.high) + 8.3 * scale)[counts].max()
    edges = equal_panels(*(np.arcsinh((end - centre) / unit) for end in (low, high)), RESULT_PANELS[0])
    x = panel_points(edges, RESULT_PANELS[1])
    density = _density(to_value(x, centre, unit).ravel(), given, weight, scale, np.sqrt(variance)).reshape(x.shape)
    masses = panel_weights(edges, RESULT_PANELS[1]) * density * unit * np.cosh(x)
    return PanelDistribution(centre, unit, edges, masses / masses.sum())


def _density(values: NDArray, given: MeanGivenTau, weight: NDArray, scale: NDArray, sd: NDArray) -> NDArray:
    """Density of mean + scale * standard normal at ``values``, averaged over tau with ``weight``."""
    z, blur = np.polynomial.hermite_e.hermegauss(BLUR_POINTS)
    blur = blur / blur.sum()
    nodes, _ = gauss_legendre(given.points.shape[1])
    transform = legendre.legvander(nodes, nodes.size - 1) * (np.arange(nodes.size) + 0.5)
    series = given.masses @ transform
    density = np.zeros(values.shape)
    for j in np.flatnonzero(weight > 1e-16):
        if scale[j] >= NARROW * sd[j]:
            kernel = np.exp(-0.5 * ((values[:, None] - given.points[j]) / scale[j]) ** 2)
            density += weight[j] / (scale[j] * np.sqrt(2 * np.pi)) * (kernel @ given.masses[j])
            continue
        spread, share = (z, blur) if scale[j] > 0 else (z[:1] * 0, blur[:1] * 0 + 1)  # nothing to blur: one point
        offset = (values[:, None] - scale[j] * spread - given.mode[j]) / given.sd[j]
        half = (given.high[j] - given.low[j]) / 2
        place = (np.arcsinh(offset) - given.low[j]) / half - 1
        inside = np.abs(place) <= 1
        part = legendre.legval(np.clip(place, -1, 1), series[j]) / (half * given.sd[j] * np.hypot(1.0, offset))
        density += weight[j] * (np.where(inside, part, 0.0) @ share)
    return density


__all__ = ["BayesFit", "Prior", "bayes", "bayes_binomial"]

#: Half-normal scale for differences of HbA1c in percentage points.
HBA1C_PRIOR = Prior(tau_scale=0.5)
#: Panels over tau and points a panel: with twice as many of both nothing moves by 1e-10.
PANELS = (8, 12)
#: Numbers in memory at once, studies times points times fits.
BLOCK = 2_000_000


def bayes(
    yi: ArrayLike | EffectSizes,
    vi: ArrayLike | None = None,
    prior: Prior = HBA1C_PRIOR,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    level: float = 0.95,
    panels: tuple[int, int] = PANELS,
) -> BayesFit:
    r"""Compute the posterior of the normal-normal random-effects model by numerical integration.

    .. math::
       y_i \mid \theta_i \sim N(\theta_i, v_i), \quad \theta_i \sim N(\mu, \tau^2), \quad \tau \sim
       \mathrm{HN}(s), \quad p(\mu) \propto 1

    With :math:`w_i = 1/(v_i + \tau^2)` and a flat mean, mu given tau is :math:`N(\hat\mu_\tau, 1/\sum w)` and
    :math:`p(\tau \mid y) \propto p(\tau) \prod w_i^{1/2} (\sum w)^{-1/2} \exp(-Q_\tau / 2)` (Röver 2020,
    https://doi.org/10.18637/jss.v093.i06, eqs. 6 to 11).

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and their sampling variances, or ``yi`` alone: effect sizes of :func:`cellclaims.meta.escalc`.
    prior : Prior
        Half-normal scale of tau in the unit of the effects, and the mean's prior; the default suits
        percentage points of HbA1c.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
    keep : array-like of bool, shape (..., k), optional
        Which studies count; at least one in every fit.
    level : float
        Of the central intervals.
    panels : (int, int)
        Panels over tau and points a panel.

    Returns
    -------
    BayesFit

    Raises
    ------
    PoolingError
        What :func:`cellclaims.meta.fit` refuses, and a fit that keeps no study.

    Examples
    --------
    >>> fit = bayes([-0.4, -0.1, -0.6], [0.04, 0.05, 0.06])
    >>> [round(float(v), 3) for v in (fit.beta, fit.se, fit.theta_new.ge(0.0))]
    [-0.361, 0.233, 0.122]
    """
    level = check_share(level, "level")
    effects, _, undefined = read_effects(yi, vi, slab=slab, keep=keep)
    shape = (*effects.shape, effects.k)
    kept = np.broadcast_to(True if effects.keep is None else effects.keep, shape).reshape(-1, effects.k)
    if not kept.any(-1).all():
        raise PoolingError("expected at least one study in every fit, found a fit that keeps none")
    y, v = (np.broadcast_to(part, shape).reshape(-1, effects.k) for part in (effects.yi, effects.vi))
    y, v = np.where(kept, y, 0.0), np.where(kept, v, np.inf)
    size = max(1, BLOCK // (effects.k * panels[0] * panels[1]))
    blocks = [_posterior(y[i : i + size], v[i : i + size], prior, panels) for i in range(0, len(y), size)]
    k = kept.sum(-1).reshape(effects.shape)
    posterior = _assemble(blocks, effects.shape, k, prior, level, effects.measure)
    return with_undefined(posterior) if undefined else posterior


def _conditional(y: NDArray, v: NDArray, tau: NDArray, prior: Prior) -> tuple[NDArray, NDArray, NDArray]:
    """Mean and variance of mu given tau, and the log-likelihood of tau; y, v of shape (r, k), tau of shape (r, g)."""
    w = 1.0 / (v[:, None, :] + (tau * tau)[..., None])
    known = prior.mean_sd**-2
    total = w.sum(-1) + known
    # Distances from the prior's mean, or from a typical effect when it is flat: small numbers cancel nothing.
    origin = (y.sum(-1) / np.isfinite(v).sum(-1))[:, None] if known == 0 else np.full((len(y), 1), prior.mean)
    d = y - origin
    shift = (w * d[:, None, :]).sum(-1) / total
    q = (w * (d[:, None, :] - shift[..., None]) ** 2).sum(-1) + known * shift * shift
    with np.errstate(divide="ignore"):
        log_w = np.where(np.isfinite(v)[:, None, :], np.log(w), 0.0).sum(-1)
    return origin + shift, 1.0 / total, 0.5 * (log_w - np.log(total) - q)


def _posterior(
    y: NDArray, v: NDArray, prior: Prior, panels: tuple[int, int]
) -> tuple[PanelDistribution, NormalMixture, NormalMixture, NDArray]:
    """tau, mu, theta_new and the log evidence for rows of shape (r, k)."""

    def log_density(tau: NDArray) -> NDArray:
        return _conditional(y, v, tau, prior)[2] + prior.log_tau(tau)

    known = np.isfinite(v)
    spread = np.where(known, y, -np.inf).max(-1) - np.where(known, y, np.inf).min(-1)
    upper = np.sqrt(90.0 * prior.tau_scale**2 + (1.5 * spread) ** 2)
    unit = np.sqrt(v.min(-1))
    edges = tau_edges(log_density, unit, upper, panels[0])
    points = tau_points(unit, edges, panels[1])
    shape, points = points.shape, points.reshape(len(y), -1)
    mean, variance, loglik = _conditional(y, v, points, prior)
    tau, evidence = normalise_tau(unit, edges, (loglik + prior.log_tau(points)).reshape(shape))
    weights = tau.masses.reshape(len(y), -1)
    mu = NormalMixture(mean, np.sqrt(variance), weights)
    return tau, mu, NormalMixture(mean, np.sqrt(variance + points**2), weights), evidence


def _assemble(
    blocks: list, shape: tuple[int, ...], k: NDArray, prior: Prior, level: float, measure: str | None
) -> BayesFit:
    """Join the blocks and give every array the batch's shape."""

    def join(parts: list[NDArray]) -> NDArray:
        whole = np.concatenate(parts)
        return whole.reshape((*shape, *whole.shape[1:]))

    tau, mu, theta = (
        type(parts[0])(*(join([getattr(part, name) for part in parts]) for name in parts[0].__dataclass_fields__))
        for parts in list(zip(*blocks, strict=True))[:3]
    )
    evidence = join([block[3] for block in blocks])[()]
    return BayesFit(mu, tau, theta, prior, k[()], level, count_flags(k), evidence, "bayes_normal", measure=measure)
