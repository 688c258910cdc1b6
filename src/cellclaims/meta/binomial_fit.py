"""The marginal likelihood of the binomial-normal model and its maximum, for a batch of data sets at once.

A *report* gives ``x`` events of ``n``; its logit is ``eta = mu + tau * u`` with ``u`` standard normal. A
*row* is one data set of ``k`` reports; every function takes rows of shape (r, k). A report that does not
count has ``n = x = 0``: its likelihood is then exactly 1, so no branch is needed for it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, betaincinv, expit, gammaln, logit, ndtr, ndtri, stdtr, xlog1py, xlogy

from cellclaims.errors import PoolingError
from cellclaims.meta.batch import side_by_side
from cellclaims.meta.flags import BinomialFlag
from cellclaims.meta.inputs import Labels, as_bool, numbers, per_study
from cellclaims.meta.modes import Derivatives, Mode, grid_from_zero, highest_mode
from cellclaims.meta.quantiles import normal_two_sided, t_two_sided
from cellclaims.meta.result import CountEstimate

Array = NDArray[np.float64]

#: At tau = 10, two thirds of the settings are below 1% or above 99%, more than in any review.
TAU_BOUND = 10.0
#: A report whose posterior is wide on the logit (all or nothing, tau large) needs more points, about this many times
#: its squared width: measured on random reports, the log-likelihood is then right to 1e-9, in conflicts of mu and x
#: to 1e-6.
POINTS_PER_WIDTH2, MORE_NODES = 30.0, (40, 100, 200)
#: Sufficient to find the maxima of the likelihood, which are refined with the given number of nodes.
SEARCH_NODES = (7, 21)
#: The least tau of the grid, in standard errors of the largest report at a proportion of one half.
LEAST_TAU = 0.3
#: Rows are worked through in blocks of this many points, so that the arrays stay in the processor's cache.
BLOCK_POINTS = 60_000
#: Far above what any data set needed; it only keeps a loop finite.
MODE_STEPS = 60
#: The points of a quadrature need not be centred closer than this, relative to the logit.
CENTRED = 1e-7


class Maximum(NamedTuple):
    """Maximum of the likelihood, its gain over tau = 0, the variance of mu; each of shape (r,).

    ``several`` marks data sets with more than one mode.
    """

    mu: Array
    tau: Array
    gain: Array
    variance: Array
    several: NDArray[np.bool_]


def log_coefficients(x: Array, n: Array) -> Array:
    """Sum over reports of the logarithms of the binomial coefficients, shape (r,)."""
    return (gammaln(n + 1) - gammaln(x + 1) - gammaln(n - x + 1)).sum(-1)


def log_binomial(x: Array, n: Array) -> Array:
    """Logarithm of ``p^x (1 - p)^(n - x)`` at ``p = x / n``, element by element; 0 for ``n = 0``."""
    p = x / np.maximum(n, 1)
    return xlogy(x, p) + xlog1py(n - x, -p)


@cache
def gauss_hermite(nodes: int) -> tuple[Array, Array]:
    """Points of the Gauss-Hermite rule, and the logarithms of its weights without their factor ``exp(-z^2)``.

    Examples
    --------
    >>> points, log_weights = gauss_hermite(3)
    >>> round(float(np.exp(log_weights - points**2).sum() ** 2), 12) == round(np.pi, 12)
    True
    """
    points, weights = np.polynomial.hermite.hermgauss(nodes)
    return points, np.log(weights) + points**2


def softplus_and_expit(eta: Array) -> tuple[Array, Array]:
    """``log(1 + exp(eta))`` and ``1 / (1 + exp(-eta))`` from one exponential, without overflow."""
    small = np.exp(-np.abs(eta))
    inverse = 1.0 / (1.0 + small)
    return np.maximum(eta, 0.0) + np.log1p(small), np.where(eta >= 0, inverse, small * inverse)


def posterior_modes(x: Array, n: Array, mu: Array, tau: Array) -> Array:
    """Most probable logit of each report given ``mu`` of shape (r, k) and ``tau`` of shape (r,), shape (r, k).

    Solves ``eta - mu - tau^2 (x - n expit(eta)) = 0``. The left side is convex below 0 and concave above,
    so that Newton steps from 0 approach the root from one side and never overshoot.
    """
    slope = (tau * tau)[:, None]
    eta = np.zeros_like(x)
    for _ in range(MODE_STEPS):
        p = 1.0 / (1.0 + np.exp(-np.clip(eta, -700.0, 700.0)))
        step = (eta - mu - slope * (x - n * p)) / (1.0 + slope * n * p * (1.0 - p))
        eta = eta - step
        if np.all(np.abs(step) <= CENTRED * (1.0 + np.abs(eta))):
            break
    return eta


def likelihood(
    x: Array, n: Array, mu: Array, tau: Array, nodes: tuple[int, ...], offset: Array | float = 0.0
) -> Derivatives:
    r"""Marginal log-likelihood and derivatives by adaptive Gauss-Hermite quadrature.

    .. math::
       \ell = \sum_i \log \int \mathrm{e}^{x_i\eta - n_i\log(1+\mathrm{e}^\eta)} \varphi(u)\,du, \quad
       \eta=\mu+\tau u

    Points are centred at each report's posterior mode and scaled by its curvature (Liu and Pierce 1994,
    https://doi.org/10.1093/biomet/81.3.624). The derivatives are posterior moments of the residual
    ``x - n p`` (Louis 1982, https://doi.org/10.1111/j.2517-6161.1982.tb01203.x).

    Parameters
    ----------
    x, n : ndarray, shape (r, k)
        Events and patients.
    mu, tau : ndarray, shape (r,)
        Mean logit and its standard deviation between reports.
    nodes : tuple of int, ascending
        Quadrature points a report; each row takes the first number that is enough for it, or the last.
    offset : ndarray, shape (r, k), or 0
        Known part of each report's logit.
    """
    centre = np.broadcast_to(mu[:, None] + offset, x.shape)
    mode = posterior_modes(x, n, centre, tau)
    _, p = softplus_and_expit(mode)
    spread = 1.0 / np.sqrt(1.0 + (tau * tau)[:, None] * n * p * (1.0 - p))
    width = tau * np.where(n > 0, spread, 0.0).max(-1)
    needed = np.minimum(np.searchsorted(nodes, POINTS_PER_WIDTH2 * width * width), len(nodes) - 1)
    rows = x, n, centre, tau, tau[:, None] * (x - n * p), spread
    if np.all(needed == needed[0]):
        return _integrate(*rows, nodes[needed[0]])
    result = Derivatives(*np.empty((len(Derivatives._fields), len(x))))
    for i in np.unique(needed):
        here = needed == i
        for target, part in zip(result, _integrate(*(row[here] for row in rows), nodes[i]), strict=True):
            target[here] = part
    return result


def _integrate(x: Array, n: Array, mu: Array, tau: Array, mode: Array, spread: Array, nodes: int) -> Derivatives:
    """Return the quadrature itself: points at ``mode + sqrt(2) spread z`` in units of the standard normal."""
    points, log_weights = gauss_hermite(nodes)
    step = np.sqrt(2.0) * spread
    u = mode[..., None] + step[..., None] * points
    eta = mu[..., None] + tau[:, None, None] * u
    softplus, p = softplus_and_expit(eta)
    height = x[..., None] * eta
    height -= n[..., None] * softplus
    u *= u
    u *= 0.5
    height -= u
    height += log_weights
    top = height.max(-1, keepdims=True)
    height -= top
    mass = np.exp(height, out=height)
    total = mass.sum(-1)
    value = (top[..., 0] + np.log(total * spread) - 0.5 * np.log(np.pi)).sum(-1)
    expected = n[..., None] * p
    residual = x[..., None] - expected
    np.subtract(1.0, p, out=p)
    expected *= p
    return _moments(value, mass, total, residual, expected, mode, step, points)


def _moments(
    value: Array,
    mass: Array,
    total: Array,
    residual: Array,
    information: Array,
    mode: Array,
    step: Array,
    points: Array,
) -> Derivatives:
    """Derivatives from the posterior masses of the nodes: E[r], E[ru], and Louis's second derivatives.

    With q = r^2 - i the last are E[q], E[qu], E[qu^2] less squares of the first. Moments are computed in the points z
    by one product with their powers, and transformed to u = mode + step z.
    """
    powers = np.stack([np.ones_like(points), points, points * points], axis=1)
    square = residual * residual
    square -= information
    residual *= mass
    square *= mass
    r = residual @ powers[:, :2]
    q = square @ powers
    r /= total[..., None]
    q /= total[..., None]
    by_mu, by_tau = r[..., 0], mode * r[..., 0] + step * r[..., 1]
    mu_mu = q[..., 0] - by_mu * by_mu
    q_u = mode * q[..., 0] + step * q[..., 1]
    mu_tau = q_u - by_mu * by_tau
    tau_tau = mode * (q_u + step * q[..., 1]) + step * step * q[..., 2] - by_tau * by_tau
    return Derivatives(value, by_mu.sum(-1), by_tau.sum(-1), mu_mu.sum(-1), mu_tau.sum(-1), tau_tau.sum(-1))


def common_logit(x: Array, n: Array) -> Array:
    """Logit of the common proportion, shape (r,)."""
    events, patients = x.sum(-1), n.sum(-1)
    with np.errstate(divide="ignore"):
        return np.log(events) - np.log(patients - events)


def smallest_tau(n: Array) -> float:
    """Return the first point of a grid of tau away from zero; no report can distinguish less from zero."""
    return float(min(LEAST_TAU * 2.0 / np.sqrt(n.max()), 0.1 * TAU_BOUND))


#: Points of the mean in a table of reports: so far apart, this much more for each unit of tau, and so far beyond all
#: reports' own logits.
MEAN_STEP, MEAN_STEP_A_TAU, MEAN_BEYOND = 0.25, 0.3, 1.5
#: A table is worth its making where each different report is met more often than this.
SHARED = 10
#: Numbers of a table that are summed at once.
TABLE_NUMBERS = 500_000


def ridges(x: Array, n: Array, grid: Array) -> tuple[Array, Array]:
    """Return the best mean at each point of a grid of tau and its log-likelihood, each of shape (g, r).

    Data sets of a batch mostly share their reports, as resamples and choices of one set of reports do. So the
    likelihood of each different report is tabulated over the mean, and a data set is a sum of rows of the table.
    Between two points of the mean it is the cubic through both values and slopes.
    """
    events, patients, place = _different(x, n)
    means, heights = np.empty((len(grid), len(x))), np.empty((len(grid), len(x)))
    means[0] = common_logit(x, n)
    heights[0] = log_binomial(x.sum(-1), n.sum(-1))
    own = np.log((events + 0.5) / (patients - events + 0.5))[patients > 0]
    for i, tau in enumerate(grid[1:], start=1):
        beyond = MEAN_BEYOND + 2.0 * tau
        low, high = own.min() - beyond, own.max() + beyond
        points = np.linspace(low, high, 2 + int((high - low) / (MEAN_STEP + MEAN_STEP_A_TAU * tau)))
        table = _table(events, patients, points, tau)
        size = max(1, TABLE_NUMBERS // (x.shape[1] * points.size))
        for start in range(0, len(x), size):
            rows = slice(start, start + size)
            value, slope = (part[place[rows]].sum(1) for part in table)
            means[i, rows], heights[i, rows] = _top_of_cubics(points, value, slope)
    return means, heights


def _different(x: Array, n: Array) -> tuple[Array, Array, NDArray[np.intp]]:
    """Events and patients of the different reports, and which of them each report is."""
    base = n.max() + 1.0
    pairs, place = np.unique((x + base * n).ravel(), return_inverse=True)
    patients, events = np.divmod(pairs, base)
    return events, patients, place.reshape(x.shape)


def _table(events: Array, patients: Array, points: Array, tau: float) -> tuple[Array, Array]:
    """Log-likelihood of each report at each mean, and its slope by the mean, each of shape (reports, points)."""
    size = max(1, BLOCK_POINTS // (points.size * SEARCH_NODES[0]))
    parts = []
    for start in range(0, events.size, size):
        x, n = (np.repeat(part[start : start + size], points.size)[:, None] for part in (events, patients))
        mu = np.tile(points, len(x) // points.size)
        here = likelihood(x, n, mu, np.full(mu.size, tau), SEARCH_NODES)
        parts.append((here.value.reshape(-1, points.size), here.by_mu.reshape(-1, points.size)))
    value, slope = (np.concatenate(part) for part in zip(*parts, strict=True))
    return value, slope


def _top_of_cubics(points: Array, value: Array, slope: Array) -> tuple[Array, Array]:
    """Return the maximum of a concave function and its position, from values and slopes at equally spaced points."""
    rows, step = np.arange(len(value)), points[1] - points[0]
    left = np.clip((slope > 0.0).sum(-1) - 1, 0, points.size - 2)  # the slope of a concave function falls
    (a, b), (p, q) = ((part[rows, left], part[rows, left + 1]) for part in (value, slope * step))
    # The cubic a + p t + c t^2 + d t^3 on 0 <= t <= 1.
    c, d = 3.0 * (b - a) - 2.0 * p - q, 2.0 * (a - b) + p + q
    with np.errstate(divide="ignore", invalid="ignore"):
        t = p / (-c + np.sqrt(np.maximum(c * c - 3.0 * d * p, 0.0)))
    t = np.clip(np.nan_to_num(t), 0.0, 1.0)
    return points[left] + step * t, a + t * (p + t * (c + t * d))


def mean_variance(found: Mode, bound: float) -> Array:
    """Variance of mu from the observed information of (mu, tau), at tau = 0 of mu alone.

    At the bound of tau the top is not reached and its curvature says nothing; then tau counts as known.
    """
    here, inside = found.here, (found.tau > 0.0) & (found.tau < bound)
    by_tau_tau = np.where(inside & (here.by_tau_tau < 0.0), here.by_tau_tau, -np.inf)
    with np.errstate(divide="ignore", invalid="ignore"):
        return 1.0 / (-here.by_mu_mu + here.by_mu_tau**2 / by_tau_tau)


def levels(nodes: int) -> tuple[int, ...]:
    """Return the given number of nodes, and larger ones for rows that need them.

    >>> levels(21), levels(101)
    ((21, 40, 100, 200), (101, 200))
    """
    return (nodes, *(more for more in MORE_NODES if more > nodes))


def maximise(x: Array, n: Array, nodes: tuple[int, ...]) -> Maximum:
    """Maximum likelihood of every row, shapes (r, k); each needs events, and patients without one."""
    grid = grid_from_zero(smallest_tau(n), TAU_BOUND)
    shared = _different(x, n)[0].size * SHARED < x.size
    mean, height = ridges(x, n, grid) if shared else (common_logit(x, n)[None], None)
    size = max(1, BLOCK_POINTS // (x.shape[1] * nodes[0]))

    def highest(start: int) -> Maximum:
        block = slice(start, start + size)
        some, of = x[block], n[block]
        found = highest_mode(
            lambda rows, mu, tau: likelihood(some[rows], of[rows], mu, tau, nodes),
            mean[0, block],
            grid,
            rough=lambda rows, mu, tau: likelihood(some[rows], of[rows], mu, tau, SEARCH_NODES),
            along=(mean[:, block], height[:, block]) if shared else None,
        )
        gain = found.here.value - found.common
        return Maximum(found.mu, found.tau, gain, mean_variance(found, TAU_BOUND), found.several)

    blocks = side_by_side(highest, range(0, len(x), size))
    return Maximum(*(np.concatenate(parts) for parts in zip(*blocks, strict=True)))


# Profile-likelihood limits of the mean logit in the binomial-normal model.


#: A limit farther than this from the estimate, in logits, is a likelihood that does not fall: it is
#: reported as infinite.
REACH = 60.0
ROOT_STEPS, TOLERANCE = 80, 1e-9


def profile_limits(
    x: NDArray, n: NDArray, beta: NDArray, tau2: NDArray, level: float, nodes: tuple[int, ...]
) -> tuple[NDArray, NDArray]:
    r"""Both ends of ``{mu : 2 (max l - max_t l(mu, t)) <= chi2_1(level)}`` for rows of shape (r, k).

    Without any event, or with events only, or with one report, ``tau2`` is fixed at 0, because the data do not limit
    it; the limit of the first two has a closed form on the total count. Infinite ``tau2``: infinite limits. Rows
    without reports give NaN.
    """
    events, patients = x.sum(-1), n.sum(-1)
    drop = 0.5 * ndtri(0.5 + level / 2) ** 2
    lower, upper = np.full(beta.shape, np.nan), np.full(beta.shape, np.nan)
    none, only = (events == 0) & (patients > 0), (events == patients) & (patients > 0)
    far = np.log(np.expm1(drop / np.where(patients > 0, patients, np.nan)))
    lower[none], upper[none] = -np.inf, far[none]
    lower[only], upper[only] = -far[only], np.inf
    endless = np.isinf(tau2)
    lower[endless], upper[endless] = -np.inf, np.inf
    mixed = np.flatnonzero((events > 0) & (events < patients) & ~endless)
    size = max(1, BLOCK_POINTS // (x.shape[1] * nodes[0]))
    for start in range(0, mixed.size, size):
        rows = mixed[start : start + size]
        data = x[rows], n[rows], nodes
        target = likelihood(*data[:2], beta[rows], np.sqrt(tau2[rows]), nodes).value - drop
        lower[rows] = _limit(data, beta[rows], np.sqrt(tau2[rows]), target, -1.0)
        upper[rows] = _limit(data, beta[rows], np.sqrt(tau2[rows]), target, 1.0)
    return lower, upper


def _over_tau(
    data: tuple[NDArray, NDArray, tuple[int, ...]], mu: NDArray, tau: NDArray
) -> tuple[NDArray, NDArray, NDArray]:
    """Largest log-likelihood over tau at fixed ``mu``, its slope by mu, and the tau where it is."""
    x, n, nodes = data
    softplus, p = softplus_and_expit(mu)
    events, patients = x.sum(-1), n.sum(-1)
    value, slope, tau = events * mu - patients * softplus, events - patients * p, tau.copy()
    # With one report, or one patient in each, a larger tau is a smaller mean in disguise: only tau = 0 says
    # anything.
    rows = np.flatnonzero(((n > 0).sum(-1) > 1) & (n.max(-1) > 1))
    if rows.size:
        some, of, grid = x[rows], n[rows], grid_from_zero(smallest_tau(n), TAU_BOUND)
        found = highest_mode(
            lambda i, m, t: likelihood(some[i], of[i], m, t, nodes),
            mu[rows],
            grid,
            rough=lambda i, m, t: likelihood(some[i], of[i], m, t, SEARCH_NODES),
            free_mu=False,
        )
        value[rows], slope[rows], tau[rows] = found.here.value, found.here.by_mu, found.tau
    return value, slope, tau


def _limit(
    data: tuple[NDArray, NDArray, tuple[int, ...]], beta: NDArray, tau: NDArray, target: NDArray, side: float
) -> NDArray:
    """Root of the profile likelihood on one side: bracket by doubling, then Newton steps kept inside it."""
    inside, outside = beta.copy(), np.full_like(beta, np.nan)
    limit = np.full_like(beta, side * np.inf)
    step, tau = 0.25, tau.copy()
    rows, mu = np.arange(beta.size), beta + side * 0.5
    for _ in range(ROOT_STEPS):
        part = data[0][rows], data[1][rows], data[2]
        start = np.maximum(tau[rows], 0.5 * np.abs(mu - beta[rows]))
        value, slope, tau[rows] = _over_tau(part, mu, start)
        gap = value - target[rows]
        inside[rows], outside[rows] = (
            np.where(gap >= 0, mu, inside[rows]),
            np.where(gap < 0, mu, outside[rows]),
        )
        a, b = inside[rows], outside[rows]
        step *= 2.0
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = mu - gap / slope
        between = (newton - a) * (newton - b) < 0
        following = np.where(np.isnan(b), mu + side * np.minimum(step, 4.0), np.where(between, newton, 0.5 * (a + b)))
        done = ~np.isnan(b) & ((np.abs(following - mu) < TOLERANCE) | (np.abs(a - b) < TOLERANCE))
        limit[rows[done]] = following[done]
        going = ~done & (np.abs(following - beta[rows]) < REACH)
        rows, mu = rows[going], following[going]
        if rows.size == 0:
            break
    return limit


# Results of a binomial-normal fit: numbers, flags, and values computed on first access.


#: Trapezoid over the standard normal: step and reach leave an error below 1e-14 for any tau under 10.
NORMAL_STEP, NORMAL_REACH = 0.05, 9.0


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class BinomialFit(CountEstimate):
    """A fitted binomial-normal model; arrays of the batch's shape, plain numbers for a single fit, nothing rounded.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub, tau2, pi_lb, pi_ub : float or ndarray
        On the logit: the median setting with its limits, the variance between settings, the prediction interval.
    Q, Q_p : float or ndarray
        Likelihood-ratio statistic of one proportion for each report against a common one, with ``k - 1`` degrees of
        freedom; ``Q_wald`` is the same by inverse variances.
    lrt, lrt_p : float or ndarray
        Likelihood-ratio statistic of ``tau2 = 0``; its P value from the half-and-half mixture of 0 and chi-squared with
        1 degree of freedom.
    I2, H2 : float or ndarray
        From ``tau2`` and the typical variance of an empirical logit; I2 in percent.
    loglik, loglik_common : float or ndarray
        Of the model, and of one common proportion.
    events, n : float or ndarray
        Totals.
    counts : tuple of ndarray
        Events and patients of the reports, shape (r, k).
    nodes : int
        Quadrature points.
    slab : tuple of str, or None
        Labels of the reports.
    df, level, test, model, method, k, flags
        As in every result; flags are :class:`~cellclaims.meta.flags.BinomialFlag`.

    ``median``, ``mean`` and the profile limits are computed on first access.
    """

    FLAGS = BinomialFlag

    loglik_common: NDArray | float
    events: NDArray | float
    n: NDArray | float
    counts: tuple[NDArray, NDArray]
    nodes: int
    slab: Labels = None
    model: str = "binomial_normal"

    @cached_property
    def stat(self) -> NDArray | float:
        """``beta / se``: of one half in the median setting."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return plain(np.divide(self.beta, self.se))

    @cached_property
    def p(self) -> NDArray | float:
        """Two-sided P value of ``stat``."""
        if self.test == "z":
            return plain(np.asarray(normal_two_sided(self.stat)))
        return plain(np.asarray(t_two_sided(self.stat, self.df)))

    @property
    def median(self) -> NDArray | float:
        """Proportion in the median setting, ``expit(beta)``."""
        return plain(expit(np.asarray(self.beta)))

    @property
    def median_ci(self) -> tuple[NDArray | float, NDArray | float]:
        """Confidence limits of the proportion in the median setting."""
        return plain(expit(np.asarray(self.ci_lb))), plain(expit(np.asarray(self.ci_ub)))

    @cached_property
    def mean(self) -> NDArray | float:
        """Mean proportion over settings, ``E[expit(beta + tau Z)]`` with Z standard normal."""
        return mean_over_settings(self.beta, self._spread)

    @cached_property
    def mean_ci(self) -> tuple[NDArray | float, NDArray | float]:
        """Confidence limits of beta transformed to the mean over settings, with tau2 fixed at its estimate."""
        return mean_over_settings(self.ci_lb, self._spread), mean_over_settings(self.ci_ub, self._spread)

    @property
    def _spread(self) -> NDArray:
        """tau2, zero for a single report, whose heterogeneity is unknown."""
        return np.where(np.asarray(self.k) == 1, 0.0, self.tau2)

    @cached_property
    def profile(self) -> tuple[NDArray | float, NDArray | float]:
        """Profile-likelihood limits of beta (logit); infinite where the likelihood never falls far enough."""
        limits = profile_limits(
            *self.counts, np.ravel(self.beta), np.ravel(self._spread), self.level, levels(self.nodes)
        )
        return tuple(plain(limit.reshape(np.shape(self.beta))) for limit in limits)

    @property
    def profile_lb(self) -> NDArray | float:
        """Lower profile-likelihood limit of beta."""
        return self.profile[0]

    @property
    def profile_ub(self) -> NDArray | float:
        """Upper profile-likelihood limit of beta."""
        return self.profile[1]

    def p_mean_reaches(self, value: float) -> NDArray | float:
        r"""Return the probability that the proportion of the median setting is at least ``value``.

        .. math:: P = T_{k-1}\left(\frac{\hat\beta - \mathrm{logit}\,value}{\mathrm{SE}}\right)

        the upper tail of the confidence distribution whose central part is the interval of the fit; normal for the test
        z. With one report, or without events, or with events only, it is the tail of Beta(x + 1/2, n - x + 1/2) on the
        total count.

        Parameters
        ----------
        value : float
            A proportion strictly between 0 and 1.

        Returns
        -------
        float or ndarray

        Raises
        ------
        PoolingError
            If ``value`` is no such proportion.
        """
        target = logit_of(value)
        beta, se, k = (np.asarray(part) for part in (self.beta, self.se, self.k))
        events, n = np.asarray(self.events), np.asarray(self.n)
        pooled = (k >= 2) & (events > 0) & (events < n)
        with np.errstate(invalid="ignore"):
            z = (beta - target) / se
            by_fit = ndtr(z) if self.test == "z" else stdtr(np.maximum(k - 1, 1), z)
        alone = np.where(k > 0, betaincc(events + 0.5, n - events + 0.5, value), np.nan)
        return plain(np.where(pooled, by_fit, alone))

    def p_new_setting_reaches(self, value: float) -> NDArray | float:
        r"""Return the probability that the true proportion in a new setting is at least ``value``.

        .. math:: P = T_{k-2}\left(\frac{\hat\beta - \mathrm{logit}\,value}{\sqrt{\mathrm{SE}^2 + \hat\tau^2}}\right)

        the distribution whose central part is the prediction interval (Higgins, Thompson and Spiegelhalter 2009,
        https://doi.org/10.1111/j.1467-985X.2008.00552.x). NaN where the fit has the flag ``NO_PREDICTION``.

        Parameters
        ----------
        value : float
            A proportion strictly between 0 and 1.

        Returns
        -------
        float or ndarray

        Raises
        ------
        PoolingError
            If ``value`` is no such proportion.
        """
        target = logit_of(value)
        beta, scale, df = self._predictive()
        return plain(np.where(df > 0, stdtr(np.maximum(df, 1), (beta - target) / scale), np.nan))

    def p_series_reaches(self, value: float, n: int) -> NDArray | float:
        r"""Return the probability of a proportion of at least ``value`` in ``n`` patients of a new setting.

        .. math:: P = \int P(\mathrm{Bin}(n, p) \ge \lceil value\, n \rceil)\,dF(p)

        with F the predictive distribution of :meth:`p_new_setting_reaches`. NaN where the fit has the flag
        ``NO_PREDICTION``.

        Parameters
        ----------
        value : float
            A proportion strictly between 0 and 1.
        n : int
            Patients in the series.

        Returns
        -------
        float or ndarray

        Raises
        ------
        PoolingError
            If ``value`` is no such proportion, or ``n`` no number of patients.
        """
        logits, weights = series_weights(value, n)
        beta, scale, df = (part[..., None] for part in self._predictive())
        reached = stdtr(np.maximum(df, 1), (beta - logits) / scale) @ weights
        return plain(np.where(df[..., 0] > 0, reached, np.nan))

    def _predictive(self) -> tuple[NDArray, NDArray, NDArray]:
        """Location, scale and degrees of freedom of the logit in a new setting; df 0 where not known."""
        known = np.isfinite(np.asarray(self.pi_lb))
        beta = np.where(known, self.beta, 0.0)
        scale = np.where(known, np.sqrt(np.asarray(self.se) ** 2 + np.asarray(self.tau2)), 1.0)
        return beta, scale, np.where(known, np.asarray(self.k) - 2, 0)

    def _title(self) -> str:
        """Return the model."""
        return f"Binomial-normal model of a proportion (k = {self.k}; {self.method})"

    def _scale(self) -> str:
        """Return what the estimate is."""
        return "logit of the proportion"

    def _lines(self) -> list[str]:
        low, high = self.median_ci
        shown = f"Proportion in the median setting: {self.median:.4f} ({low:.4f} to {high:.4f})"
        return [shown, f"Events: {self.events:g} of {self.n:g}", *super()._lines()]


def logit_of(value: float) -> float:
    """Return the logit of a claimed proportion, which must be strictly between 0 and 1."""
    if isinstance(value, str) or not 0 < value < 1:
        raise PoolingError(
            f"expected a claimed proportion between 0 and 1, found {value!r} (a percentage needs dividing by 100)"
        )
    return float(logit(value))


def plain(value: NDArray) -> NDArray | float:
    """Return the array, or its only element when it has no dimension."""
    return value.item() if value.ndim == 0 else value


def mean_over_settings(beta: ArrayLike, tau2: ArrayLike) -> NDArray | float:
    """Mean of ``expit(beta + tau Z)`` over the standard normal Z, by the trapezoid rule.

    Exact to rounding for tau below 10; NaN where ``beta`` is NaN or ``tau2`` infinite.

    Examples
    --------
    >>> mean_over_settings(-1.0, 0.0) == float(expit(-1.0))
    True
    >>> round(mean_over_settings(-1.0, 1.0), 4)
    0.3033
    """
    beta, tau2 = np.broadcast_arrays(np.asarray(beta, float), np.asarray(tau2, float))
    tau = np.sqrt(np.where(np.isfinite(tau2), tau2, np.nan))
    total, weight_sum = np.zeros(beta.shape), 0.0
    # A loop over the points keeps the memory at one array of the batch, whatever its size.
    for z in np.arange(-NORMAL_REACH, NORMAL_REACH + NORMAL_STEP / 2, NORMAL_STEP):
        weight = np.exp(-0.5 * z * z)
        total += weight * expit(beta + tau * z)
        weight_sum += weight
    return plain(np.where(tau == 0, expit(beta), total / weight_sum))


# Counts of events among patients: what is refused, the common proportion, and the exact limits of a single one.


def check_counts(
    events: ArrayLike, n: ArrayLike, keep: ArrayLike | None = None, slab: ArrayLike | None = None
) -> tuple[NDArray, NDArray, NDArray, Labels]:
    """Counts as floats of one shape, zero where a report does not count, the mask, and the reports' labels.

    Raises
    ------
    PoolingError
        Names the first invalid count and its position.
    """
    given, labels = per_study({"events": events, "n": n, "keep": keep}, slab)
    x, size = numbers(given["events"], "events", labels), numbers(given["n"], "n", labels)
    try:
        x, size, kept = np.broadcast_arrays(x, size, True if keep is None else as_bool(given["keep"]))
    except ValueError:
        raise PoolingError(
            f"expected shapes that fit together, found {x.shape}, {size.shape}, {np.shape(keep)}"
        ) from None
    if x.ndim == 0 or x.shape[-1] == 0:
        raise PoolingError(f"expected at least one report on the last axis, found shape {x.shape}")
    with np.errstate(invalid="ignore"):
        fine = (x >= 0) & (x <= size) & (size >= 1) & (x == np.round(x)) & (size == np.round(size)) & np.isfinite(size)
    if not np.all(fine | ~kept):
        where = tuple(int(i) for i in np.argwhere(~fine & kept)[0])
        name = "" if labels is None else f" ({labels[where[-1]]})"
        found = f"{x[where]} of {size[where]} at {where}{name}"
        raise PoolingError(f"events, n: expected whole 0 <= events <= n and n >= 1, found {found}")
    if labels is not None and len(labels) != x.shape[-1]:
        raise PoolingError(f"slab: expected one label a report, {x.shape[-1]}, found {len(labels)}")
    return np.where(kept, x, 0.0), np.where(kept, size, 0.0), kept, labels


def clopper_pearson(events: NDArray, n: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Exact limits of a single proportion (Clopper and Pearson 1934,
    https://doi.org/10.1093/biomet/26.4.404).

    Examples
    --------
    >>> lower, upper = clopper_pearson(np.array(1), np.array(16), 0.95)
    >>> round(float(lower), 4), round(float(upper), 4)
    (0.0016, 0.3023)
    """
    tail = (1 - level) / 2
    lower = np.where(events > 0, betaincinv(np.maximum(events, 1), n - events + 1, tail), 0.0)
    upper = np.where(events < n, betaincinv(events + 1, np.maximum(n - events, 1), 1 - tail), 1.0)
    return np.where(n > 0, lower, np.nan), np.where(n > 0, upper, np.nan)


def wilson(events: NDArray, n: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Score limits of a single proportion (Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953).

    Parameters
    ----------
    events, n : ndarray
        Events and patients.
    level : float

    Returns
    -------
    lower, upper : ndarray

    Examples
    --------
    >>> lower, upper = wilson(np.array(1.0), np.array(16.0), 0.95)
    >>> round(float(lower), 4), round(float(upper), 4)
    (0.0111, 0.2833)
    """
    z = ndtri(0.5 + level / 2)
    middle, reach = events + z**2 / 2, z * np.sqrt(events * (n - events) / n + z**2 / 4)
    return (middle - reach) / (n + z**2), (middle + reach) / (n + z**2)


def newcombe(a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Limits of a difference of two proportions that stay between -1 and 1.

    Method 10: the score limits of both proportions combined (Newcombe 1998,
    https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I).

    Parameters
    ----------
    a, n1, c, n2 : ndarray
        Events and patients of the first and of the second group.
    level : float

    Returns
    -------
    lower, upper : ndarray

    Examples
    --------
    >>> lower, upper = newcombe(*(np.array(x, float) for x in (9, 45, 2, 44)), 0.95)
    >>> round(float(lower), 4), round(float(upper), 4)
    (0.0149, 0.2966)
    """
    p1, p2 = a / n1, c / n2
    (low1, high1), (low2, high2) = wilson(a, n1, level), wilson(c, n2, level)
    return p1 - p2 - np.hypot(p1 - low1, high2 - p2), p1 - p2 + np.hypot(high1 - p1, p2 - low2)


class Common(NamedTuple):
    """Summaries of the counts of ``(r, k)`` reports before heterogeneity is fitted; each of shape ``(r,)``.

    ``beta`` and ``se`` are those of the logit of the common proportion. ``solve`` marks the rows whose heterogeneity
    can be fitted, ``endless`` those whose likelihood rises for ever in it, as each report is all or nothing, and
    ``full`` counts the reports in which everybody has the event.
    """

    beta: NDArray
    se: NDArray
    solve: NDArray
    endless: NDArray
    full: NDArray


def common(x: NDArray, n: NDArray, k: NDArray) -> Common:
    """Summarise counts of shape ``(r, k)`` as one proportion, and say what else can be fitted."""
    events, patients = x.sum(-1), n.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.log(events) - np.log(patients - events)
        se = np.sqrt(1.0 / events + 1.0 / (patients - events))
    spread = (events > 0) & (events < patients) & (k >= 2) & (n.max(-1) > 1)
    endless = spread & np.all((x == 0) | (x == n), axis=-1)
    return Common(beta, se, spread & ~endless, endless, ((x == n) & (n > 0)).sum(-1))


# From a distribution of true proportions to what a series of patients will show, as a short weighted sum.
#
# ``P(Bin(n, p) >= m)`` is the probability that a Beta(m, n - m + 1) variable is at most p. Averaged over any
# distribution of p it is therefore the average, over that Beta distribution, of the chance that the true
# proportion is at least as large.


#: Trapezoid on the normal scale of the Beta distribution: what lies beyond the reach weighs 1e-16.
SERIES_STEP, SERIES_REACH = 0.1, 8.3


def smallest_count(c: float, n: int) -> int:
    """Return the fewest events of ``n`` with a proportion of at least ``c``; 7 of 10 counts as 0.7 despite
    rounding.

    Examples
    --------
    >>> smallest_count(0.93, 508), smallest_count(0.7, 10)
    (473, 7)
    """
    return math.ceil(c * n - 1e-9 * n)


def series_weights(c: float, n: int) -> tuple[NDArray, NDArray]:
    """Logits and weights such that ``P(series of n has >= c)`` is the weighted sum of ``P(logit p >=
    logit)``.

    Parameters
    ----------
    c : float
        Proportion of the series, strictly between 0 and 1.
    n : int
        Patients in the series.

    Raises
    ------
    PoolingError
        If ``c`` is no proportion or ``n`` no number of patients.

    Examples
    --------
    >>> logits, weights = series_weights(0.5, 3)
    >>> known = (logits <= 0.0) @ weights  # p = 1/2 for sure: P(Bin(3, 1/2) >= 2) = 1/2
    >>> round(float(known), 6)
    0.5
    """
    if not 0 < c < 1 or n < 1 or n != int(n):
        raise PoolingError(f"expected a proportion between 0 and 1 and a whole number of patients, found {c!r}, {n!r}")
    m = smallest_count(c, int(n))
    half = np.arange(SERIES_STEP / 2, SERIES_REACH, SERIES_STEP)
    # Each half of the scale from its own small tail: 1 - p keeps its digits where p is near 1.
    low, high = betaincinv(m, n - m + 1, ndtr(-half)), betaincinv(n - m + 1, m, ndtr(-half))
    logits = np.concatenate([np.log(low) - np.log1p(-low), np.log1p(-high) - np.log(high)])
    weights = np.exp(-0.5 * np.concatenate([half, half]) ** 2)
    return logits, weights / weights.sum()
