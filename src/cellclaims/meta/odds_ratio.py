"""Odds ratios pooled from counts: mixed-effects logistic models of two groups, without a variance for each study.

Study i has ``a`` of ``n1`` events in the first group and ``c`` of ``n2`` in the second; its log odds ratio is drawn
from N(beta, tau2). The models differ in what they make of the study's own level (Stijnen, Hamza and Özdemir 2010,
https://doi.org/10.1002/sim.4040; Jackson and others 2018, https://doi.org/10.1002/sim.7588):

UM.FS   a fixed level for each study; groups at plus and minus half the log odds ratio
UM.RS   levels drawn from a normal distribution with variance sigma2
CM.AL   levels conditioned away, approximately: a of a + c events, with the groups' sizes as offset; for rare events

A study without events, or with nothing but events, in both groups says nothing of an odds ratio and has weight zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellclaims.errors import PoolingError
from cellclaims.meta.binomial_fit import (
    CENTRED,
    LEAST_TAU,
    POINTS_PER_WIDTH2,
    SEARCH_NODES,
    TAU_BOUND,
    gauss_hermite,
    levels,
    likelihood,
    log_binomial,
    log_coefficients,
    mean_variance,
    softplus_and_expit,
)
from cellclaims.meta.effect_sizes import complete_table, escalc, read_columns
from cellclaims.meta.flags import SEVERAL_MODES_IN_WORDS
from cellclaims.meta.inputs import check_share, one_of
from cellclaims.meta.modes import (
    RIDGE_GAIN,
    RIDGE_STEPS,
    Derivatives,
    Evaluate,
    grid_from_zero,
    highest_mode,
    tops,
)
from cellclaims.meta.quantiles import chi2_upper, normal_quantile, normal_two_sided, t_quantile, t_two_sided
from cellclaims.meta.result import CountEstimate

# Marginal likelihoods of two groups a study: levels fixed and profiled out, or random and integrated out.


#: Steps are cut to one logit, over which a logistic curvature changes by less than a factor e: such steps cannot cycle.
LONGEST_STEP, MODE_STEPS, LEVEL_STEPS = 1.0, 200, 60
#: A curvature closer to zero than this is rounding: far out, where every patient of a group has the event or none.
FLAT = 1e-12
#: Finite differences of the random-levels likelihood: the error is about the fourth power of the step.
DIFFERENCE = 5e-3
#: And of its slope.
SLOPE_STEP = 1e-5
#: Factor of the grid of two standard deviations, where one model has a grid of both.
WIDE = 1.7
#: Maxima whose parameters differ by less than this are one.
APART = 1e-2
#: A smaller standard deviation counts as zero: its square is negligible compared with any sampling variance.
SMALLEST = 1e-4


@dataclass(frozen=True)
class FixedLevels:
    """The UM.FS likelihood of one data set as a function of (beta, tau), each study's level at its best.

    Called with ``(rows, mu, tau)`` of shape (r,) it gives the profile likelihood and its derivatives; ``rows`` is that
    of the one data set each time.
    """

    a: NDArray
    n1: NDArray
    c: NDArray
    n2: NDArray
    nodes: tuple[int, ...]

    def __call__(self, rows: NDArray, mu: NDArray, tau: NDArray) -> Derivatives:
        """Profile likelihood at each (mu, tau)."""
        events, patients = self.a + self.c, self.n1 + self.n2
        levels = np.tile(np.log((events + 0.5) / (patients - events + 0.5)), (mu.size, 1))
        value, score, hessian = np.empty(levels.shape), np.empty((3, *levels.shape)), np.empty((3, 3, *levels.shape))
        moving = np.arange(mu.size)
        for _ in range(LEVEL_STEPS):
            found = self._studies(levels[moving], mu[moving], tau[moving])
            value[moving], score[:, moving], hessian[:, :, moving] = found
            step = -found[1][2] / np.minimum(found[2][2, 2], -FLAT)
            going = np.any(np.abs(step) >= 1e-9 * (1 + np.abs(levels[moving])), axis=-1)
            moving, step = moving[going], step[going]
            if moving.size == 0:
                break
            levels[moving] += np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        # What the levels' freedom takes from the information (Schur complement of a diagonal block).
        pair = hessian[:2, :2] - hessian[:2, None, 2] * hessian[None, :2, 2] / np.minimum(hessian[2, 2], -FLAT)
        h = pair.sum(-1)
        return Derivatives(value.sum(-1), score[0].sum(-1), score[1].sum(-1), h[0, 0], h[0, 1], h[1, 1])

    def _studies(self, levels: NDArray, mu: NDArray, tau: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """Return each study's log-likelihood (r, k), score (3, r, k) and Hessian (3, 3, r, k) by (beta, tau, level)."""
        mu, tau = mu[:, None], tau[:, None]
        mode = _mode(self.a, self.n1, self.c, self.n2, levels, mu, tau)
        _, p1 = softplus_and_expit(levels + (mu + tau * mode) / 2)
        _, p2 = softplus_and_expit(levels - (mu + tau * mode) / 2)
        curvature = tau**2 / 4 * (self.n1 * p1 * (1 - p1) + self.n2 * p2 * (1 - p2))
        spread = 1 / np.sqrt(1 + curvature)
        needed = np.searchsorted(self.nodes, POINTS_PER_WIDTH2 * (tau * spread).max(-1) ** 2)
        needed = np.minimum(needed, len(self.nodes) - 1)
        value, score, hessian = np.empty(mode.shape), np.empty((3, *mode.shape)), np.empty((3, 3, *mode.shape))
        for i in np.unique(needed):
            here = needed == i
            parts = (part[here] for part in (levels, mu, tau, mode, spread))
            value[here], score[:, here], hessian[:, :, here] = self._integrate(*parts, self.nodes[i])
        return value, score, hessian

    def _integrate(
        self, levels: NDArray, mu: NDArray, tau: NDArray, mode: NDArray, spread: NDArray, nodes: int
    ) -> tuple[NDArray, NDArray, NDArray]:
        z, log_w = gauss_hermite(nodes)
        u = mode[..., None] + np.sqrt(2) * spread[..., None] * z
        half, level = (mu[..., None] + tau[..., None] * u) / 2, levels[..., None]
        soft1, p1 = softplus_and_expit(level + half)
        soft2, p2 = softplus_and_expit(level - half)
        a, n1, c, n2 = (part[:, None] for part in (self.a, self.n1, self.c, self.n2))
        height = a * (level + half) - n1 * soft1 + c * (level - half) - n2 * soft2 - 0.5 * u * u + log_w
        top = height.max(-1, keepdims=True)
        mass = np.exp(height - top)
        total = mass.sum(-1, keepdims=True)
        value = (top + np.log(total))[..., 0] + np.log(spread) - 0.5 * np.log(np.pi)
        r1, r2, i1, i2 = a - n1 * p1, c - n2 * p2, n1 * p1 * (1 - p1), n2 * p2 * (1 - p2)
        weight = mass / total
        # By (beta, tau, level) the two logits move by (1/2, u/2, 1) and (-1/2, -u/2, 1).
        score = np.stack([(r1 - r2) / 2, u * (r1 - r2) / 2, r1 + r2])
        mean = (weight * score).sum(-1)
        both, apart = (i1 + i2) / 4, (i1 - i2) / 2
        information = (both, both * u, both * u * u, apart, apart * u, i1 + i2)
        pairs = ((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))
        hessian = np.empty((3, 3, *mode.shape))
        for (i, j), lost in zip(pairs, information, strict=True):
            hessian[i, j] = hessian[j, i] = (weight * (score[i] * score[j] - lost)).sum(-1) - mean[i] * mean[j]
        return value, mean, hessian


def _mode(a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, level: NDArray, mu: NDArray, tau: NDArray) -> NDArray:
    """Most probable random effect of each study, shape (r, k), by Newton steps never longer than one logit."""
    u = np.zeros_like(level)
    for _ in range(MODE_STEPS):
        _, p1 = softplus_and_expit(level + (mu + tau * u) / 2)
        _, p2 = softplus_and_expit(level - (mu + tau * u) / 2)
        gradient = tau / 2 * (a - n1 * p1 - c + n2 * p2) - u
        curvature = 1 + tau**2 / 4 * (n1 * p1 * (1 - p1) + n2 * p2 * (1 - p2))
        step = gradient / curvature
        step = step / np.maximum(1.0, tau * np.abs(step) / LONGEST_STEP)
        u = u + step
        if np.all(np.abs(step) < CENTRED):
            break
    return u


def random_levels(a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, theta: NDArray, nodes: int) -> NDArray:
    """UM.RS log-likelihood at (mean level, beta, sd of levels, tau), by a product rule at the joint mode.

    ``theta`` of shape (..., 4) gives one number for each set of parameters, shape (...).
    """
    theta = np.asarray(theta, float)
    value, _ = _random_levels(a, n1, c, n2, theta.reshape(-1, 4), nodes)
    return value.reshape(theta.shape[:-1])[()]


def _random_levels(
    a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, theta: NDArray, nodes: int, slopes: bool = False
) -> tuple[NDArray, tuple[NDArray, NDArray] | None]:
    """Log-likelihood (g,), and its score (g, 2) and Hessian (g, 2, 2) by (mean level, beta) on request."""
    v, u, factor = _joint_mode(a, n1, c, n2, theta)
    z, log_one = gauss_hermite(nodes)
    first, second = (part.ravel() for part in np.meshgrid(z, z, indexing="ij"))
    log_w = np.add.outer(log_one, log_one).ravel()
    # factor is the inverse root of the curvature: independent standard normal axes at the mode.
    at_v = v[..., None] + np.sqrt(2) * (factor[0][..., None] * first)
    at_u = u[..., None] + np.sqrt(2) * (factor[1][..., None] * first + factor[2][..., None] * second)
    level, beta, sigma, tau = (part[:, None, None] for part in theta.T)
    middle, half = level + sigma * at_v, (beta + tau * at_u) / 2
    (soft1, p1), (soft2, p2) = softplus_and_expit(middle + half), softplus_and_expit(middle - half)
    a, n1, c, n2 = (part[:, None] for part in (a, n1, c, n2))
    height = a * (middle + half) - n1 * soft1 + c * (middle - half) - n2 * soft2 - 0.5 * (at_v**2 + at_u**2) + log_w
    top = height.max(-1, keepdims=True)
    mass = np.exp(height - top)
    total = mass.sum(-1)
    value = (top[..., 0] + np.log(total) + np.log(factor[0] * factor[2]) - np.log(np.pi)).sum(-1)
    if not slopes:
        return value, None
    weight = mass / total[..., None]
    r1, r2, i1, i2 = a - n1 * p1, c - n2 * p2, n1 * p1 * (1 - p1), n2 * p2 * (1 - p2)
    by = (r1 + r2, (r1 - r2) / 2)
    lost = ((i1 + i2, (i1 - i2) / 2), ((i1 - i2) / 2, (i1 + i2) / 4))
    mean = [(weight * part).sum(-1) for part in by]
    hessian = [
        [((weight * (by[i] * by[j] - lost[i][j])).sum(-1) - mean[i] * mean[j]).sum(-1) for j in (0, 1)] for i in (0, 1)
    ]
    return value, (np.stack([part.sum(-1) for part in mean], axis=-1), np.moveaxis(np.array(hessian), 2, 0))


def _joint_mode(
    a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, theta: NDArray
) -> tuple[NDArray, NDArray, tuple[NDArray, NDArray, NDArray]]:
    """Most probable pair of random effects of each study, shape (g, k), and the curvature's inverse root, lower."""
    level, beta, sigma, tau = (part[:, None] for part in theta.T)
    v, u = np.zeros((len(theta), a.size)), np.zeros((len(theta), a.size))
    for _ in range(MODE_STEPS):
        _, p1 = softplus_and_expit(level + sigma * v + (beta + tau * u) / 2)
        _, p2 = softplus_and_expit(level + sigma * v - (beta + tau * u) / 2)
        r1, r2, i1, i2 = a - n1 * p1, c - n2 * p2, n1 * p1 * (1 - p1), n2 * p2 * (1 - p2)
        by_v, by_u = sigma * (r1 + r2) - v, tau / 2 * (r1 - r2) - u
        vv, uu, vu = 1 + sigma**2 * (i1 + i2), 1 + tau**2 / 4 * (i1 + i2), sigma * tau / 2 * (i1 - i2)
        determinant = vv * uu - vu**2
        d_v, d_u = (uu * by_v - vu * by_u) / determinant, (vv * by_u - vu * by_v) / determinant
        long = np.abs(sigma * d_v) + np.abs(tau * d_u) / 2
        shorter = 1 / np.maximum(1.0, long / LONGEST_STEP)
        v, u = v + shorter * d_v, u + shorter * d_u
        if np.all(np.abs(d_v) + np.abs(d_u) < 1e-11):
            break
    # The inverse curvature [[uu, -vu], [-vu, vv]] / determinant, as a lower triangle times its transpose.
    root = np.sqrt(uu / determinant)
    return v, u, (root, -vu / determinant / root, 1 / np.sqrt(uu))


def fit_random_levels(a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, method: str, nodes: int) -> dict[str, float]:
    """Fit UM.RS: scan both standard deviations and refine every maximum; each of the two may be zero."""
    data = (a, n1, c, n2)
    common = _highest(data, nodes, with_tau=False)[0]
    found = _highest(data, nodes, with_tau=True) if method == "ML" else [common]
    best = found[0] if found[0][1] > common[1] + 1e-9 * (1 + abs(common[1])) else common
    theta, value, free = best
    information = -_hessian(lambda t: random_levels(*data, t, nodes), theta, free)
    variance = np.linalg.inv(information)[free.index(1), free.index(1)]
    return {
        "beta": float(theta[1]),
        "se": float(np.sqrt(variance)),
        "tau2": float(theta[3] ** 2),
        "sigma2": float(theta[2] ** 2),
        "loglik": value,
        "lrt": 2 * (value - common[1]),
        "several": len(found) > 1,
    }


def _highest(data: tuple[NDArray, ...], nodes: int, with_tau: bool) -> list[tuple[NDArray, float, list[int]]]:
    """The local maxima, the highest first: parameters, log-likelihood, and which parameters are not at an edge."""
    grid = grid_from_zero(min(LEAST_TAU * 2.0 / np.sqrt(np.max(data[1] + data[3])), 0.1 * TAU_BOUND), TAU_BOUND, WIDE)
    taus = grid if with_tau else np.zeros(1)
    spread = np.stack(np.meshgrid(grid, taus, indexing="ij"), axis=-1)
    theta, height = _ridge(data, spread.reshape(-1, 2))
    starts = theta[tops(height.reshape(spread.shape[:2]), 2).ravel()]
    found: list[tuple[NDArray, float, list[int]]] = []
    for start in sorted((_climbed(data, nodes, start, with_tau) for start in starts), key=lambda f: -f[1]):
        if all(np.abs(start[0] - other[0]).max() > APART for other in found):
            found.append(start)
    return found


def _ridge(data: tuple[NDArray, ...], spread: NDArray) -> tuple[NDArray, NDArray]:
    """Parameters (g, 4) with the best mean level and odds ratio for each pair of standard deviations, and heights."""
    a, n1, c, n2 = data
    logit1, logit2 = (np.log((x.sum() + 0.5) / (n.sum() - x.sum() + 0.5)) for x, n in ((a, n1), (c, n2)))
    start = np.tile([(logit1 + logit2) / 2, logit1 - logit2], (len(spread), 1))
    theta, height, moving = np.concatenate([start, spread], axis=1), np.empty(len(spread)), np.arange(len(spread))
    for _ in range(RIDGE_STEPS):
        value, (score, hessian) = _random_levels(*data, theta[moving], SEARCH_NODES[0], slopes=True)
        step = np.clip(np.linalg.solve(-hessian, score[..., None])[..., 0], -LONGEST_STEP, LONGEST_STEP)
        gain = 0.5 * (step * score).sum(-1)
        theta[moving, :2] += step
        height[moving] = value + gain
        moving = moving[gain > RIDGE_GAIN]
        if moving.size == 0:
            break
    return theta, height


def _climbed(data: tuple[NDArray, ...], nodes: int, start: NDArray, with_tau: bool) -> tuple[NDArray, float, list[int]]:
    """Return the local maximum from a start; a standard deviation that ends below :data:`SMALLEST` is set to zero."""
    from scipy.optimize import minimize  # late: the other models do without it

    free = [0, 1, 2, 3] if with_tau else [0, 1, 2]
    steps = np.eye(4)[free] * SLOPE_STEP

    def loss(values: NDArray) -> tuple[float, NDArray]:
        theta = np.zeros(4)
        theta[free] = values
        found = -random_levels(*data, np.concatenate([theta[None], theta + steps, theta - steps]), nodes)
        count = len(free)
        return float(found[0]), (found[1 : count + 1] - found[count + 1 :]) / (2 * SLOPE_STEP)

    # Where zero is no maximum it is a saddle, from which no slope leads away.
    begin = np.where((start == 0) & (np.arange(4) >= 2), 1e-2, start)
    found = minimize(loss, begin[free], jac=True, method="BFGS", options={"gtol": 1e-7})
    theta = np.zeros(4)
    theta[free] = found.x
    theta[2:] = np.where(np.abs(theta[2:]) < SMALLEST, 0.0, np.abs(theta[2:]))
    return theta, -float(found.fun), [i for i in free if i < 2 or theta[i] > 0]


def _hessian(function: Callable[[NDArray], NDArray], theta: NDArray, free: list[int]) -> NDArray:
    """Fourth-order finite differences of a smooth function by its free parameters."""
    steps = np.eye(theta.size)[free] * DIFFERENCE
    multiples = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])

    def second(direction: NDArray) -> float:
        f = function(theta + multiples[:, None] * direction)
        return (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * DIFFERENCE**2)

    own = [second(step) for step in steps]
    hessian = np.diag(own)
    for i in range(len(free)):
        for j in range(i):
            hessian[i, j] = hessian[j, i] = (second(steps[i] + steps[j]) - own[i] - own[j]) / 2
    return hessian


MODELS = ("UM.FS", "UM.RS", "CM.AL")
FEW = 4


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class OddsRatioFit(CountEstimate):
    """A pooled log odds ratio ``beta`` with its standard error, limits, heterogeneity and prediction interval.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub, stat, p : float
        The log odds ratio with its test.
    tau2, pi_lb, pi_ub : float
        Variance of the log odds ratio between studies, and prediction interval.
    sigma2 : float
        Variance of the studies' levels in UM.RS; NaN for other models.
    Q, Q_p, Q_wald : float
        Likelihood-ratio statistic of one odds ratio for each study against a common one, and that of inverse variances;
        NaN for UM.RS, whose saturated model is random itself.
    I2, H2 : float
        By the typical variance of a log odds ratio.
    k, k_all : int
        Studies with weight, and all.
    """

    stat: float
    p: float
    sigma2: float
    k_all: int

    def _title(self) -> str:
        """Return the model."""
        return f"Mixed-effects logistic model {self.model} of an odds ratio (k = {self.k}; {self.method})"

    def _scale(self) -> str:
        """Return what the estimate is."""
        return "log odds ratio"


def glmm_odds_ratio(
    ai: ArrayLike,
    n1i: ArrayLike,
    ci: ArrayLike,
    n2i: ArrayLike,
    *,
    slab: ArrayLike | None = None,
    model: str = "UM.FS",
    method: str = "ML",
    level: float = 0.95,
    test: str = "t",
    nodes: int = 21,
) -> OddsRatioFit:
    """Pool odds ratios of two groups by maximum likelihood on the counts.

    Parameters
    ----------
    ai, n1i, ci, n2i : array-like of whole numbers, shape (k,)
        Events and patients of the first and of the second group.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
    model : {"UM.FS", "UM.RS", "CM.AL"}
    method : {"ML", "EE"}
        EE fixes tau2 at 0.
    level : float
    test : {"t", "z"}
        t with k - 1 degrees of freedom, or normal.
    nodes : int
        Quadrature points a study and random effect; 1 is Laplace's approximation (for UM.RS only).

    Returns
    -------
    OddsRatioFit

    Raises
    ------
    PoolingError
        An unknown model, method or test; counts that cannot be; no study that says anything.

    Examples
    --------
    >>> fit = glmm_odds_ratio([4, 6, 3], [123, 306, 231], [11, 29, 11], [139, 303, 220])
    >>> round(fit.beta, 3), round(fit.se, 3), fit.tau2
    (-1.419, 0.316, 0.0)
    """
    model, method = one_of(model, MODELS, "model"), one_of(method, ("ML", "EE"), "method")
    test, level = one_of(test, ("t", "z"), "test"), check_share(level, "level")
    columns = read_columns({"ai": ai, "n1i": n1i, "ci": ci, "n2i": n2i}, slab)
    cells = np.stack(np.broadcast_arrays(*(np.atleast_1d(cell) for cell in complete_table(columns))))
    if cells.ndim != 2 or np.any(cells != np.round(cells)):
        raise PoolingError(f"expected whole counts of shape (k,), found shape {cells.shape[1:]}")
    says = (cells[0] + cells[2] > 0) & (cells[1] + cells[3] > 0)
    a, b, c, d = cells[:, says]
    if not says.any():
        raise PoolingError("expected a study with events and non-events, found none")
    if not _separated(a, b, c, d, model):
        estimate = _fit(a, b, c, d, model, method, nodes)
    else:
        estimate = dict.fromkeys(("se", "sigma2", "tau2", "loglik", "lrt"), np.nan) | {"several": False}
        estimate["beta"] = -np.inf if np.all((a == 0) | (d == 0)) else np.inf
    estimate["loglik"] += _coefficients((a, b, c, d), model)
    return _assemble(estimate, (a, b, c, d), says.size, model, method, level, test)


def _separated(a: NDArray, b: NDArray, c: NDArray, d: NDArray, model: str) -> bool:
    """Return whether the likelihood increases without limit in the odds ratio.

    This happens if one group has no events, or events only, in all informative studies; with a fixed level for
    each study also if each has an empty cell on the same diagonal.
    """
    if model == "UM.FS":
        return bool(np.all((a == 0) | (d == 0)) or np.all((b == 0) | (c == 0)))
    return 0.0 in (a.sum(), b.sum(), c.sum(), d.sum())


def _fit(a: NDArray, b: NDArray, c: NDArray, d: NDArray, model: str, method: str, nodes: int) -> dict[str, float]:
    """Estimates of one model."""
    if model == "UM.RS":
        return fit_random_levels(a, a + b, c, c + d, method, nodes)
    if model == "UM.FS":
        start = np.log((a.sum() + 0.5) / (c.sum() + 0.5)) - np.log((a + b).sum() / (c + d).sum())
        data = (a, a + b, c, c + d)
        return _over_tau(
            FixedLevels(*data, levels(nodes)), FixedLevels(*data, SEARCH_NODES), start, np.max(a + b + c + d), method
        )
    offset = np.log((a + b) / (c + d))

    def conditional(points: tuple[int, ...]) -> Evaluate:
        def evaluate(rows: NDArray, mu: NDArray, tau: NDArray) -> Derivatives:
            size = (mu.size, 1)
            return likelihood(np.tile(a, size), np.tile(a + c, size), mu, tau, points, np.tile(offset, size))

        return evaluate

    start = np.log((a.sum() + 0.5) / (c.sum() + 0.5))
    return _over_tau(conditional(levels(nodes)), conditional(SEARCH_NODES), start, np.max(a + c), method)


def _over_tau(evaluate: Evaluate, rough: Evaluate, start: float, largest: float, method: str) -> dict[str, float]:
    """Maximum over (beta, tau) of one data set; ``largest`` is the count of its most precise study."""
    smallest = min(LEAST_TAU * 2.0 / np.sqrt(largest), 0.1 * TAU_BOUND)
    grid = grid_from_zero(smallest, TAU_BOUND) if method == "ML" else np.zeros(1)
    found = highest_mode(evaluate, np.array([start]), grid, rough=rough)
    value, common = float(found.here.value[0]), float(found.common[0])
    return {
        "beta": float(found.mu[0]),
        "se": float(np.sqrt(mean_variance(found, TAU_BOUND)[0])),
        "tau2": float(found.tau[0] ** 2),
        "sigma2": np.nan,
        "loglik": value,
        "lrt": 2 * (value - common),
        "several": bool(found.several[0]),
    }


def _coefficients(cells: tuple[NDArray, ...], model: str) -> float:
    """Logarithms of the binomial coefficients of the counts that the model takes as random."""
    a, b, c, d = (cell[None] for cell in cells)
    if model == "CM.AL":
        return float(log_coefficients(a, a + c)[0])
    return float((log_coefficients(a, a + b) + log_coefficients(c, c + d))[0])


def _saturated(cells: tuple[NDArray, ...], model: str) -> float:
    """Return the log-likelihood with a separate odds ratio for each study; NaN if the model has none."""
    a, b, c, d = cells
    if model == "UM.RS":
        return np.nan
    best = log_binomial(a, a + c) if model == "CM.AL" else log_binomial(a, a + b) + log_binomial(c, c + d)
    return float(best.sum()) + _coefficients(cells, model)


def _heterogeneity(cells: tuple[NDArray, ...], model: str, common: float, tau2: float) -> dict[str, float]:
    """Q by likelihood ratio and by inverse variances, I2 and H2 by the typical variance."""
    a, b, c, d = cells
    k = a.size
    if k == 1:  # one study says nothing of a spread
        return dict.fromkeys(("Q", "Q_p", "Q_wald", "I2", "H2"), np.nan)
    v = 1 / escalc("OR", ai=a, bi=b, ci=c, di=d).vi
    typical = (k - 1) * v.sum() / (v.sum() ** 2 - (v * v).sum())
    q = max(2 * (_saturated(cells, model) - common), 0.0) if model != "UM.RS" else np.nan
    h2 = 1 + tau2 / typical
    return {
        "Q": q,
        "Q_p": float(chi2_upper(q, k - 1)) if np.isfinite(q) else np.nan,
        "Q_wald": _wald(cells, model),
        "I2": float(100 * (1 - 1 / h2)),
        "H2": float(h2),
    }


def _wald(cells: tuple[NDArray, ...], model: str) -> float:
    """Weighted squares of the studies' own estimates; those without a finite one are omitted."""
    a, b, c, d = cells
    if model == "UM.RS":
        return np.nan
    parts = (a, c) if model == "CM.AL" else (a, b, c, d)
    finite = np.all(np.stack(parts) > 0, axis=0)
    w = 1 / sum(1 / part[finite] for part in parts)
    y = np.log(a[finite] / c[finite])
    y = y - np.log((a + b) / (c + d))[finite] if model == "CM.AL" else y - np.log(b[finite] / d[finite])
    return float((w * (y - w @ y / w.sum()) ** 2).sum()) if w.size else np.nan


def _assemble(
    estimate: dict[str, float], cells: tuple[NDArray, ...], k_all: int, model: str, method: str, level: float, test: str
) -> OddsRatioFit:
    """Limits, tests and flags."""
    k, beta, se, tau2, lrt = cells[0].size, *(estimate[name] for name in ("beta", "se", "tau2", "lrt"))
    normal = test == "z" or k == 1  # a single study is shown with its own interval
    df = np.inf if normal else float(k - 1)
    stat = beta / se
    half = (normal_quantile(level) if normal else float(t_quantile(level, k - 1))) * se
    width = float(t_quantile(level, k - 2)) * np.sqrt(se**2 + tau2) if method == "ML" else np.nan
    return OddsRatioFit(
        beta=beta,
        se=se,
        ci_lb=beta - half,
        ci_ub=beta + half,
        stat=stat,
        p=float(normal_two_sided(stat) if normal else t_two_sided(stat, k - 1)),
        tau2=tau2 if k > 1 else np.nan,
        sigma2=estimate["sigma2"],
        pi_lb=beta - width,
        pi_ub=beta + width,
        **_heterogeneity(cells, model, estimate["loglik"] - lrt / 2, tau2),
        lrt=lrt if k > 1 else np.nan,
        lrt_p=np.nan if k == 1 else 0.5 * float(chi2_upper(lrt, 1)) if lrt > 0 else 1.0,
        loglik=estimate["loglik"],
        k=k,
        k_all=k_all,
        df=df,
        flags=_flags(estimate, k, k_all, method, np.isfinite(width)),
        model=model,
        method=method,
        test=test,
        level=level,
    )


def _flags(estimate: dict[str, float], k: int, k_all: int, method: str, predicts: bool) -> tuple[str, ...]:
    """Return the flags of the result."""
    tau2 = estimate["tau2"]
    flags = {
        "single study: shown, not pooled": k == 1,
        "few studies: k = 2 to 4": 2 <= k <= FEW,
        "studies without information, such as those without events, have weight zero": k < k_all,
        "a group without events, or with events only, in every study: no finite estimate": np.isnan(tau2),
        "tau2 estimated as zero, the boundary": method == "ML" and tau2 == 0 and k > 1,
        f"the likelihood still rises at tau = {TAU_BOUND:g}, the largest that is tried": tau2 >= TAU_BOUND**2,
        SEVERAL_MODES_IN_WORDS: estimate["several"],
        "no prediction interval: fewer than 3 studies, or no tau2": not predicts,
    }
    return tuple(words for words, holds in flags.items() if holds)
