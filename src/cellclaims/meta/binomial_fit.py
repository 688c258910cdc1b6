"""The marginal likelihood of the binomial-normal model and its maximum, for a batch of data sets at once.

A *report* gives ``x`` events of ``n``; its logit is ``eta = mu + tau * u`` with ``u`` standard normal. A
*row* is one data set of ``k`` reports; every function takes rows of shape (r, k). A report that does not
count has ``n = x = 0``: its likelihood is then exactly 1, so no branch is needed for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntFlag
from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv, expit, gammaln, ndtr, ndtri, xlog1py, xlogy

from cellclaims.errors import PoolingError

Array = NDArray[np.float64]

#: At tau = 10 two settings in three stand below 1 % or above 99 %: no proportion of a review comes near it.
TAU_BOUND = 10.0
#: A report whose posterior is wide on the logit (all or nothing, tau large) needs more points, about this many times
#: its squared width: measured on random reports, the log-likelihood is then right to 1e-9, in conflicts of mu and x
#: to 1e-6.
POINTS_PER_WIDTH2, MORE_NODES = 30.0, (40, 100, 200)
#: Enough to find the right hill of the likelihood; the climb is done with the number of nodes asked for.
SEARCH_NODES = (5, 15)
SEARCH_GRID = (0.1, 0.3, 0.7, 1.5, 3.0, 6.0)
#: Rows are worked through in blocks of this many points, so that the arrays stay in the processor's cache.
BLOCK_POINTS = 60_000
#: A step shorter than this cannot move the tenth digit of a logit.
STEP_TOLERANCE = 1e-10
#: Both are far above what any data set was seen to need; they only keep a loop finite.
MODE_STEPS, CLIMB_STEPS = 60, 100


class Derivatives(NamedTuple):
    """Log-likelihood without binomial coefficients, and its derivatives by (mu, tau); each of shape (r,)."""

    value: Array
    by_mu: Array
    by_tau: Array
    by_mu_mu: Array
    by_mu_tau: Array
    by_tau_tau: Array


class Maximum(NamedTuple):
    """Where the likelihood is largest, its gain over tau = 0, the variance of mu; each of shape (r,)."""

    mu: Array
    tau: Array
    gain: Array
    variance: Array


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
        if np.all(np.abs(step) <= 1e-13 * (1.0 + np.abs(eta))):
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
    """The quadrature itself: points at ``mode + sqrt(2) spread z`` in units of the standard normal."""
    points, log_weights = gauss_hermite(nodes)
    u = mode[..., None] + (np.sqrt(2.0) * spread)[..., None] * points
    eta = mu[..., None] + tau[:, None, None] * u
    softplus, p = softplus_and_expit(eta)
    height = x[..., None] * eta - n[..., None] * softplus - 0.5 * u * u + log_weights
    top = height.max(-1, keepdims=True)
    mass = np.exp(height - top)
    total = mass.sum(-1)
    value = (top[..., 0] + np.log(total * spread) - 0.5 * np.log(np.pi)).sum(-1)
    expected = n[..., None] * p
    return _moments(value, mass / total[..., None], u, x[..., None] - expected, expected * (1.0 - p))


def _moments(value: Array, weight: Array, u: Array, residual: Array, information: Array) -> Derivatives:
    """Derivatives from the posterior weights of the nodes: E[r], E[ru], and Louis's second derivatives."""
    wr, wi = weight * residual, weight * information
    wru, wiu = wr * u, wi * u
    by_mu, by_tau = wr.sum(-1), wru.sum(-1)
    mu_mu = (wr * residual - wi).sum(-1) - by_mu * by_mu
    mu_tau = (wru * residual - wiu).sum(-1) - by_mu * by_tau
    tau_tau = ((wru * residual - wiu) * u).sum(-1) - by_tau * by_tau
    return Derivatives(value, by_mu.sum(-1), by_tau.sum(-1), mu_mu.sum(-1), mu_tau.sum(-1), tau_tau.sum(-1))


def common_proportion(x: Array, n: Array) -> tuple[Array, Array, Array]:
    """Logit, log-likelihood and score by tau^2 of the model without heterogeneity; each of shape (r,).

    The score is half of ``sum (x - n p)^2 - n p (1 - p)``: positive means that some heterogeneity fits
    better.
    """
    events, patients = x.sum(-1), n.sum(-1)
    p = events / patients
    value = log_binomial(events, patients)
    score = 0.5 * ((x - n * p[:, None]) ** 2 - n * (p * (1.0 - p))[:, None]).sum(-1)
    with np.errstate(divide="ignore"):
        return np.log(events) - np.log(patients - events), value, score


def climb(
    evaluate: Callable[[Array, Array, Array], Derivatives],
    mu: Array,
    tau: Array,
    *,
    free_mu: bool = True,
    bound: float = TAU_BOUND,
) -> tuple[Array, Array, Derivatives]:
    """Maximise over (mu, tau), or over tau alone, from a start: Newton steps damped until the likelihood rises.

    ``evaluate(rows, mu, tau)`` gives the log-likelihood of the rows numbered ``rows``; it must be even in ``tau``,
    which is reflected at 0 and kept under ``bound``. A row stops when its step is below :data:`STEP_TOLERANCE`; only
    rows still moving are computed.
    """
    mu, tau = mu.copy(), tau.copy()
    rows, damping = np.arange(mu.size), np.zeros_like(mu)
    here = Derivatives(*(np.array(part) for part in evaluate(rows, mu, tau)))
    for _ in range(CLIMB_STEPS):
        d_mu, d_tau = _damped_step(Derivatives(*(part[rows] for part in here)), damping[rows], free_mu)
        new_mu, new_tau = mu[rows] + d_mu, np.minimum(np.abs(tau[rows] + d_tau), bound)
        size = np.maximum(np.abs(d_mu), np.abs(new_tau - tau[rows]))
        there = evaluate(rows, new_mu, new_tau)
        # Close to the top rounding decides which value is larger; there the pure Newton step is right without asking.
        good = (there.value >= here.value[rows]) | ((size < 1e-4) & (damping[rows] == 0))
        kept = rows[good]
        mu[kept], tau[kept] = new_mu[good], new_tau[good]
        for old, new in zip(here, there, strict=True):
            old[kept] = new[good]
        softer = np.where(damping[rows] > 1e-3, damping[rows] / 10, 0.0)
        damping[rows] = np.where(good, softer, 10 * damping[rows] + 1e-2)
        rows = rows[size >= STEP_TOLERANCE]
        if rows.size == 0:
            break
    return mu, tau, here


def _damped_step(at: Derivatives, damping: Array, free_mu: bool) -> tuple[Array, Array]:
    """Newton step on a surface made concave where it is not, shortened by ``damping``."""
    # |h_tt| keeps the direction uphill where the likelihood is convex in tau; the cross term is cut to stay
    # concave.
    a = -at.by_mu_mu * (1.0 + damping) + 1e-300
    c = np.abs(at.by_tau_tau) * (1.0 + damping) + 1e-12
    b = np.where(at.by_mu_tau**2 < 0.98 * a * c, -at.by_mu_tau, 0.0) if free_mu else np.zeros_like(a)
    determinant = a * c - b * b
    d_tau = (a * at.by_tau - b * at.by_mu) / determinant
    d_mu = (c * at.by_mu - b * at.by_tau) / determinant if free_mu else np.zeros_like(a)
    return np.clip(d_mu, -4.0, 4.0), np.clip(d_tau, -2.0, 2.0)


def _best_start(x: Array, n: Array, mu: Array) -> tuple[Array, Array, Array]:
    """Best (mu, tau > 0) of a coarse grid and its log-likelihood: there may be more than one hill."""
    best = (mu, np.full_like(mu, SEARCH_GRID[0]), np.full_like(mu, -np.inf))
    for tau in SEARCH_GRID:
        at_tau = np.full_like(mu, tau)
        here = likelihood(x, n, mu, at_tau, SEARCH_NODES)
        mu = mu + np.clip(-here.by_mu / here.by_mu_mu, -2.0, 2.0)
        better = here.value > best[2]
        best = tuple(np.where(better, new, old) for new, old in zip((mu, at_tau, here.value), best, strict=True))
    return best


def _maximise_block(x: Array, n: Array, nodes: tuple[int, ...]) -> Maximum:
    """The maximum for rows that fit one block; each needs events, and patients without one."""
    mu0, value0, score0 = common_proportion(x, n)
    p = x.sum(-1) / n.sum(-1)
    found = Maximum(mu0.copy(), np.zeros_like(mu0), np.zeros_like(mu0), 1.0 / (n.sum(-1) * p * (1.0 - p)))
    mu, tau, value = _best_start(x, n, mu0)
    # 0.1 of slack: the coarse quadrature of the search may be off by that much, and a needless climb does
    # no harm.
    rows = np.flatnonzero((score0 > 0) | (value > value0 - 0.1))
    if rows.size == 0:
        return found
    x, n = x[rows], n[rows]
    mu, tau, here = climb(lambda i, m, t: likelihood(x[i], n[i], m, t, nodes), mu[rows], tau[rows])
    # Below this gain the two models are the same to rounding, and then the simpler one is reported.
    better = here.value > value0[rows] + 1e-12 * (1.0 + np.abs(value0[rows]))
    # At the bound of tau the top is not reached and its curvature says nothing; then tau counts as known.
    by_tau_tau = np.where((tau < TAU_BOUND) & (here.by_tau_tau < 0), here.by_tau_tau, -np.inf)
    variance = 1.0 / (-here.by_mu_mu + here.by_mu_tau**2 / by_tau_tau)
    for target, new in zip(found, (mu, tau, here.value - value0[rows], variance), strict=True):
        target[rows[better]] = new[better]
    return found


def levels(nodes: int) -> tuple[int, ...]:
    """The number asked for, and the larger ones for rows that need them.

    >>> levels(21), levels(101)
    ((21, 40, 100, 200), (101, 200))
    """
    return (nodes, *(more for more in MORE_NODES if more > nodes))


def maximise(x: Array, n: Array, nodes: tuple[int, ...]) -> Maximum:
    """Maximum likelihood of every row, shapes (r, k).

    ``variance`` is that of mu from the observed information of (mu, tau), at tau = 0 of mu alone.
    """
    rows = max(1, BLOCK_POINTS // (x.shape[1] * nodes[0]))
    blocks = [_maximise_block(x[i : i + rows], n[i : i + rows], nodes) for i in range(0, len(x), rows)]
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

    Without any event, or with events only, or with one report, ``tau2`` is held at 0, because nothing in
    the data limits it; the limit of the first two has a closed form on the total count. Infinite ``tau2``:
    infinite limits. Rows without reports give NaN.
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
    value, slope, tau = events * mu - patients * softplus, events - patients * p, np.maximum(tau, 0.1)
    # With one report, or one patient in each, a larger tau is a smaller mean in disguise: only tau = 0 says
    # anything.
    rows = np.flatnonzero(((n > 0).sum(-1) > 1) & (n.max(-1) > 1))
    if rows.size:
        some, of = x[rows], n[rows]
        _, tau[rows], here = climb(
            lambda i, m, t: likelihood(some[i], of[i], m, t, nodes), mu[rows], tau[rows], free_mu=False
        )
        better = here.value > value[rows]
        value[rows], slope[rows] = (
            np.where(better, new, old[rows]) for new, old in ((here.value, value), (here.by_mu, slope))
        )
        tau[rows] = np.where(better, tau[rows], 0.0)
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


# What a binomial-normal fit gives: its numbers, its flags, and what is computed from it only when asked for.


#: Trapezoid over the standard normal: step and reach leave an error below 1e-14 for any tau under 10.
NORMAL_STEP, NORMAL_REACH = 0.05, 9.0


class BinomialFlag(IntFlag):
    """What a reader of a fit must know beside its numbers; a batch holds the sum of those that apply."""

    NOTHING_KEPT = 1
    SINGLE = 2
    FEW = 4
    NO_PREDICTION = 8
    NO_EVENTS = 16
    ALL_EVENTS = 32
    TAU2_ZERO = 64
    TAU2_NOT_IDENTIFIED = 128
    TAU2_UNBOUNDED = 256
    TAU2_AT_BOUND = 512


#: A flag in words.
IN_WORDS = {
    BinomialFlag.NOTHING_KEPT: "no report kept: nothing to pool",
    BinomialFlag.SINGLE: "single report: shown, not pooled, with Clopper-Pearson limits",
    BinomialFlag.FEW: "few reports: k = 2 to 4",
    BinomialFlag.NO_PREDICTION: "no prediction interval: fewer than 3 reports, or a spread that cannot be estimated",
    BinomialFlag.NO_EVENTS: "no event in any report: the limits are one-sided, from the total count",
    BinomialFlag.ALL_EVENTS: "events only: the limits are one-sided, from the total count",
    BinomialFlag.TAU2_ZERO: "no spread between settings, the boundary: one common proportion",
    BinomialFlag.TAU2_NOT_IDENTIFIED: "one patient a report: tau2 cannot show itself and is given as zero",
    BinomialFlag.TAU2_UNBOUNDED: "each report is all or nothing: the likelihood rises without end in the spread",
    BinomialFlag.TAU2_AT_BOUND: f"the likelihood still rises at tau = {TAU_BOUND:g}, the largest that is tried",
}


def in_words(flags: int) -> tuple[str, ...]:
    """The flags of one fit in words, in a fixed order.

    >>> in_words(BinomialFlag.FEW)
    ('few reports: k = 2 to 4',)
    """
    return tuple(words for flag, words in IN_WORDS.items() if flags & flag)


@dataclass(frozen=True, eq=False)
class BinomialFit:
    """A fitted binomial-normal model: arrays of the batch's shape, plain numbers for a single fit; nothing
    rounded.

    On the logit scale: ``beta`` (median setting), ``se``, ``ci_lb``, ``ci_ub``, ``tau2``, ``pi_lb``,
    ``pi_ub``. ``Q`` is the likelihood-ratio statistic of one proportion for each report against a common
    one (``k - 1`` degrees of freedom, ``Q_p``), ``Q_wald`` the same by inverse variances; ``lrt`` that of
    ``tau2 = 0`` with ``lrt_p`` from the half-and-half mixture of 0 and chi-squared with 1 degree of
    freedom. ``I2`` (percent) and ``H2`` from ``tau2`` and the typical variance of an empirical logit.
    ``df`` is that of ``test``; ``flags`` a tuple of names of :data:`FLAGS` (for a batch an object array of
    tuples). ``median``, ``mean`` and the profile limits are computed when asked for.
    """

    beta: NDArray | float
    se: NDArray | float
    ci_lb: NDArray | float
    ci_ub: NDArray | float
    tau2: NDArray | float
    pi_lb: NDArray | float
    pi_ub: NDArray | float
    I2: NDArray | float
    H2: NDArray | float
    Q: NDArray | float
    Q_p: NDArray | float
    Q_wald: NDArray | float
    lrt: NDArray | float
    lrt_p: NDArray | float
    loglik: NDArray | float
    loglik_common: NDArray | float
    k: NDArray | int
    df: NDArray | int
    events: NDArray | float
    n: NDArray | float
    flags: tuple[str, ...] | NDArray
    counts: tuple[NDArray, NDArray] = field(repr=False)
    level: float
    test: str
    nodes: int
    model: str = "binomial_normal"
    method: str = "ML"

    @property
    def tau(self) -> NDArray | float:
        """Standard deviation of the logit between settings."""
        return np.sqrt(self.tau2)

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
        return mean_over_settings(self.beta, self.tau2)

    @cached_property
    def mean_ci(self) -> tuple[NDArray | float, NDArray | float]:
        """The confidence limits of beta carried to the mean over settings, tau2 held at its estimate."""
        return mean_over_settings(self.ci_lb, self.tau2), mean_over_settings(self.ci_ub, self.tau2)

    @cached_property
    def profile(self) -> tuple[NDArray | float, NDArray | float]:
        """Profile-likelihood limits of beta (logit); infinite where the likelihood never falls far enough."""
        limits = profile_limits(*self.counts, np.ravel(self.beta), np.ravel(self.tau2), self.level, levels(self.nodes))
        return tuple(plain(limit.reshape(np.shape(self.beta))) for limit in limits)

    @property
    def profile_lb(self) -> NDArray | float:
        """Lower profile-likelihood limit of beta."""
        return self.profile[0]

    @property
    def profile_ub(self) -> NDArray | float:
        """Upper profile-likelihood limit of beta."""
        return self.profile[1]

    def flag_names(self) -> tuple[str, ...] | NDArray:
        """The flags in words: a tuple for one fit, an object array of tuples for a batch."""
        if isinstance(self.flags, tuple):
            return self.flags
        words = np.empty(self.flags.shape, dtype=object)
        for place in np.ndindex(self.flags.shape):
            words[place] = in_words(int(self.flags[place]))
        return words

    def flagged(self, flag: BinomialFlag) -> NDArray | bool:
        """Whether ``flag`` applies, of the batch's shape."""
        if isinstance(self.flags, tuple):
            return IN_WORDS[flag] in self.flags
        return (self.flags & flag) > 0


def plain(value: NDArray) -> NDArray | float:
    """The array, or its only element when it has no dimension."""
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


def check_counts(events: ArrayLike, n: ArrayLike, keep: ArrayLike | None = None) -> tuple[NDArray, NDArray, NDArray]:
    """Counts as floats of one shape, zero where a report does not count, and the mask; refuses what is no
    count.

    Raises
    ------
    PoolingError
        Names the first count that is refused and where it stands.
    """
    x, size = np.asarray(events, float), np.asarray(n, float)
    try:
        x, size, kept = np.broadcast_arrays(x, size, True if keep is None else np.asarray(keep, bool))
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
        raise PoolingError(f"expected whole 0 <= events <= n and n >= 1, found {x[where]} of {size[where]} at {where}")
    return np.where(kept, x, 0.0), np.where(kept, size, 0.0), kept


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


class Common(NamedTuple):
    """What the counts of ``(r, k)`` reports say before any heterogeneity is fitted; each of shape ``(r,)``.

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
    """Counts of shape ``(r, k)`` as one proportion, and what more can be fitted to them."""
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
    """Fewest events of ``n`` that are a proportion of at least ``c``; 7 of 10 counts as 0.7 whatever the
    rounding.

    Examples
    --------
    >>> smallest_count(0.93, 508), smallest_count(0.7, 10)
    (473, 7)
    """
    return math.ceil(c * n - 1e-9 * n)


def series_weights(c: float, n: int) -> tuple[NDArray, NDArray]:
    """Logits and weights such that ``P(series of n shows >= c)`` is the weighted sum of ``P(logit p >=
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
