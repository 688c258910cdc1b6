"""Profile-likelihood limits of the mean logit in the binomial-normal model."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from cellclaims.meta.binomial_likelihood import BLOCK_POINTS, climb, likelihood, softplus_and_expit

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
