"""The binomial-normal model with a prior on tau, by integration over the mean inside an integration over tau."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray

from cellclaims.errors import PoolingError
from cellclaims.meta.bayes_result import NEGLIGIBLE, BayesFit, Prior, count_flags, normalise_tau, tau_edges, tau_points
from cellclaims.meta.binomial_likelihood import BLOCK_POINTS, Derivatives, levels, likelihood, log_coefficients
from cellclaims.meta.counts import check_counts
from cellclaims.meta.posterior import (
    PanelDistribution,
    equal_panels,
    panel_points,
    panel_weights,
    to_value,
)

#: Half-normal scale on the logit; 0.5 and 2.0 stand beside it as sensitivity.
LOGIT_PRIOR = Prior(tau_scale=1.0)
#: Quadrature points a report, points over the mean, panels and points over tau, the same for the results.
NODES, MEAN_POINTS, PANELS, RESULT_PANELS = 61, 60, (8, 14), (40, 14)
#: Newton steps to a mode of a concave function, and to the ends of the range that counts.
MODE_STEPS, END_STEPS = 40, 8
#: Below this ratio of tau to the sd of the mean, a new setting is the mean blurred a little (Gauss-Hermite
#: over the blur); above it, a normal distribution about each point of the mean. Both are exact to 1e-11
#: where they are used.
NARROW, BLUR_POINTS = 0.5, 32


class MeanGivenTau(NamedTuple):
    """The mean given each tau of shape (t,), on one panel a tau in ``y = asinh((mean - mode) / sd)``.

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
    level: float = 0.95,
    panels: tuple[int, int] = PANELS,
    mean_points: int = MEAN_POINTS,
) -> BayesFit:
    r"""Posterior of the binomial-normal model of one proportion by exact integration, on the logit.

    .. math::
       x_i \sim \mathrm{Bin}(n_i, p_i), \quad \mathrm{logit}\,p_i \sim N(\mu, \tau^2), \quad \tau \sim
       \mathrm{HN}(s), \quad p(\mu) \propto 1

    Parameters
    ----------
    events, n : array-like of whole numbers, shape (k,)
        Events and patients of each report.
    prior : Prior
        Half-normal scale of tau on the logit, and the mean's prior (flat by default).
    level : float
        Of the central intervals.
    panels : (int, int)
        Panels over tau and points a panel.
    mean_points : int
        Points over the mean for each tau.

    Returns
    -------
    BayesFit
        With ``p_mean_ge``, ``p_new_setting_ge`` and ``p_series_ge`` for a claimed proportion.

    Raises
    ------
    PoolingError
        Counts that are refused; or no event at all, or events only, under a flat prior: there is no
        posterior then.

    Examples
    --------
    >>> fit = bayes_binomial([3, 4, 18, 3, 3], [10, 15, 56, 6, 24])
    >>> [round(float(v), 3) for v in (fit.beta, fit.se, fit.p_mean_ge(0.5))]
    [-0.986, 0.37, 0.009]
    """
    x, size, _ = check_counts(events, n)
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
        laplace = here.value + prior.log_mean(mode) - 0.5 * np.log(prior.mean_sd**-2 - here.by_mu_mu)
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
    """The likelihood of one data set at many (mu, tau), in blocks."""
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
        step = (here.by_mu - known * (mu - prior.mean)) / (known - here.by_mu_mu)
        if np.all(np.abs(step) < 1e-6):
            break
        mu = mu + np.clip(step, -2.0, 2.0)
    return mu, here


def given_tau(x: NDArray, n: NDArray, tau: NDArray, prior: Prior, points: int) -> MeanGivenTau:
    """Integrate over the mean for each tau of shape (t,): Gauss-Legendre over the range that counts."""
    nodes = levels(NODES)
    mode, here = _mode(x, n, tau, prior, nodes)
    top = here.value + prior.log_mean(mode)
    sd = 1.0 / np.sqrt(prior.mean_sd**-2 - here.by_mu_mu)
    low, high = (_end(x, n, tau, prior, mode, top, side * sd) for side in (-1.0, 1.0))
    low, high = (np.arcsinh((end - mode) / sd) for end in (low, high))
    z, weights = legendre.leggauss(points)
    half = (high - low)[:, None] / 2
    y = low[:, None] + half * (1 + z)
    mu = mode[:, None] + sd[:, None] * np.sinh(y)
    value = _rows(x, n, mu.ravel(), np.repeat(tau, points), nodes).value.reshape(mu.shape) + prior.log_mean(mu)
    mass = np.exp(value - top[:, None]) * weights * half * sd[:, None] * np.cosh(y)
    total = mass.sum(-1)
    return MeanGivenTau(mode, sd, low, high, mu, mass / total[:, None], top + np.log(total))


def _end(x: NDArray, n: NDArray, tau: NDArray, prior: Prior, mode: NDArray, top: NDArray, sd: NDArray) -> NDArray:
    """Where the density of the mean has fallen by exp(-NEGLIGIBLE) on one side (the sign of ``sd``)."""
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
    """Distribution of the mean, or of a new setting (the mean blurred by tau), on panels of its own."""
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
    nodes, _ = legendre.leggauss(given.points.shape[1])
    transform = legendre.legvander(nodes, nodes.size - 1) * (np.arange(nodes.size) + 0.5)
    series = given.masses @ transform
    density = np.zeros(values.shape)
    for j in np.flatnonzero(weight > 1e-16):
        if scale[j] >= NARROW * sd[j]:
            kernel = np.exp(-0.5 * ((values[:, None] - given.points[j]) / scale[j]) ** 2)
            density += weight[j] / (scale[j] * np.sqrt(2 * np.pi)) * (kernel @ given.masses[j])
            continue
        offset = (values[:, None] - scale[j] * z - given.mode[j]) / given.sd[j]
        half = (given.high[j] - given.low[j]) / 2
        place = (np.arcsinh(offset) - given.low[j]) / half - 1
        inside = np.abs(place) <= 1
        part = legendre.legval(np.clip(place, -1, 1), series[j]) / (half * given.sd[j] * np.hypot(1.0, offset))
        density += weight[j] * (np.where(inside, part, 0.0) @ blur)
    return density
