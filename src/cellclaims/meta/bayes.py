"""Random-effects pooling with a prior on tau, integrated and not sampled: the same numbers from run to run.

Given tau the normal-normal model is normal, so that the posterior of the mean and of a new setting are
mixtures of normal distributions over the posterior of tau, which one-dimensional quadrature gives to
rounding.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellclaims.errors import PoolingError
from cellclaims.meta.bayes_counts import bayes_binomial
from cellclaims.meta.bayes_result import BayesFit, Prior, count_flags, normalise_tau, tau_edges, tau_points
from cellclaims.meta.inputs import check_effects
from cellclaims.meta.posterior import NormalMixture, PanelDistribution

__all__ = ["BayesFit", "Prior", "bayes", "bayes_binomial"]

#: Half-normal scale for differences of HbA1c in percentage points.
HBA1C_PRIOR = Prior(tau_scale=0.5)
#: Panels over tau and points a panel: with twice as many of both nothing moves by 1e-10.
PANELS = (8, 12)
#: Numbers held at once, studies times points times fits.
BLOCK = 2_000_000


def bayes(
    yi: ArrayLike,
    vi: ArrayLike,
    prior: Prior = HBA1C_PRIOR,
    *,
    keep: ArrayLike | None = None,
    level: float = 0.95,
    panels: tuple[int, int] = PANELS,
) -> BayesFit:
    r"""Posterior of the normal-normal random-effects model by exact integration.

    .. math::
       y_i \mid \theta_i \sim N(\theta_i, v_i), \quad \theta_i \sim N(\mu, \tau^2), \quad \tau \sim
       \mathrm{HN}(s), \quad p(\mu) \propto 1

    With :math:`w_i = 1/(v_i + \tau^2)` and a flat mean, mu given tau is :math:`N(\hat\mu_\tau, 1/\sum w)` and
    :math:`p(\tau \mid y) \propto p(\tau) \prod w_i^{1/2} (\sum w)^{-1/2} \exp(-Q_\tau / 2)` (Röver 2020,
    https://doi.org/10.18637/jss.v093.i06, eqs. 6 to 11).

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and their sampling variances.
    prior : Prior
        Half-normal scale of tau in the unit of the effects, and the mean's prior; the default suits
        percentage points of HbA1c.
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
        What :func:`cellclaims.meta.inputs.check_effects` refuses, and a fit that keeps no study.

    Examples
    --------
    >>> fit = bayes([-0.4, -0.1, -0.6], [0.04, 0.05, 0.06])
    >>> [round(float(v), 3) for v in (fit.beta, fit.se, fit.theta_new.ge(0.0))]
    [-0.361, 0.233, 0.122]
    """
    effects = check_effects(yi, vi, keep)
    shape = (*effects.shape, effects.k)
    kept = np.broadcast_to(True if effects.keep is None else effects.keep, shape).reshape(-1, effects.k)
    if not kept.any(-1).all():
        raise PoolingError("expected at least one study in every fit, found a fit that keeps none")
    y, v = (np.broadcast_to(part, shape).reshape(-1, effects.k) for part in (effects.yi, effects.vi))
    y, v = np.where(kept, y, 0.0), np.where(kept, v, np.inf)
    size = max(1, BLOCK // (effects.k * panels[0] * panels[1]))
    blocks = [_posterior(y[i : i + size], v[i : i + size], prior, panels) for i in range(0, len(y), size)]
    k = kept.sum(-1).reshape(effects.shape)
    return _assemble(blocks, effects.shape, k, prior, level)


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


def _assemble(blocks: list, shape: tuple[int, ...], k: NDArray, prior: Prior, level: float) -> BayesFit:
    """Join the blocks and give every array the batch's shape."""

    def join(parts: list[NDArray]) -> NDArray:
        whole = np.concatenate(parts)
        return whole.reshape((*shape, *whole.shape[1:]))

    tau, mu, theta = (
        type(parts[0])(*(join([getattr(part, name) for part in parts]) for name in parts[0].__dataclass_fields__))
        for parts in list(zip(*blocks, strict=True))[:3]
    )
    evidence = join([block[3] for block in blocks])[()]
    return BayesFit(mu, tau, theta, prior, k[()], level, count_flags(k), evidence, "bayes_normal")
