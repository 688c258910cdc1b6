"""The marginal likelihood of the binomial-normal model and its maximum, for a batch of data sets at once.

A *report* gives ``x`` events of ``n``; its logit is ``eta = mu + tau * u`` with ``u`` standard normal. A
*row* is one data set of ``k`` reports; every function takes rows of shape (r, k). A report that does not
count has ``n = x = 0``: its likelihood is then exactly 1, so no branch is needed for it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln, xlog1py, xlogy

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
