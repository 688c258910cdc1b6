"""Marginal likelihoods of two groups a study: levels fixed and profiled out, or random and integrated out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from cellclaims.meta.binomial_likelihood import POINTS_PER_WIDTH2, Derivatives, gauss_hermite, softplus_and_expit

#: Steps are cut to one logit, over which a logistic curvature changes by less than a factor e: such steps cannot cycle.
LONGEST_STEP, MODE_STEPS, LEVEL_STEPS = 1.0, 200, 60
#: Finite differences of the random-levels likelihood: the error is about the fourth power of the step.
DIFFERENCE = 5e-3
#: Below this a standard deviation is zero: its square is lost beside any sampling variance.
SMALLEST = 1e-4


@dataclass
class FixedLevels:
    """The UM.FS likelihood of one data set as a function of (beta, tau), each study's level at its best.

    Called with ``(rows, mu, tau)`` of shape (r,) it gives the profile likelihood and its derivatives; the levels
    found last are the next start.
    """

    a: NDArray
    n1: NDArray
    c: NDArray
    n2: NDArray
    nodes: tuple[int, ...]
    levels: NDArray = field(init=False)

    def __post_init__(self) -> None:
        """Start from the pooled logit of each study."""
        events, patients = self.a + self.c, self.n1 + self.n2
        self.levels = np.log((events + 0.5) / (patients - events + 0.5))

    def __call__(self, rows: NDArray, mu: NDArray, tau: NDArray) -> Derivatives:
        """Profile likelihood at each (mu, tau)."""
        parts = [self._at(float(m), float(t)) for m, t in zip(mu, tau, strict=True)]
        return Derivatives(*(np.array(column) for column in zip(*parts, strict=True)))

    def _at(self, mu: float, tau: float) -> tuple[float, ...]:
        for _ in range(LEVEL_STEPS):
            value, score, hessian = self._studies(mu, tau)
            step = -score[2] / hessian[2, 2]
            if np.all(np.abs(step) < 1e-11 * (1 + np.abs(self.levels))):
                break
            self.levels = self.levels + np.clip(step, -LONGEST_STEP, LONGEST_STEP)
        # What the levels' freedom takes from the information (Schur complement of a diagonal block).
        pair = hessian[:2, :2] - hessian[:2, None, 2] * hessian[None, :2, 2] / hessian[2, 2]
        h = pair.sum(-1)
        return value.sum(), score[0].sum(), score[1].sum(), h[0, 0], h[0, 1], h[1, 1]

    def _studies(self, mu: float, tau: float) -> tuple[NDArray, NDArray, NDArray]:
        """Each study's log-likelihood, score (3, k) and Hessian (3, 3, k) by (beta, tau, level)."""
        mode = _mode(self.a, self.n1, self.c, self.n2, self.levels, mu, tau)
        _, p1 = softplus_and_expit(self.levels + (mu + tau * mode) / 2)
        _, p2 = softplus_and_expit(self.levels - (mu + tau * mode) / 2)
        curvature = tau**2 / 4 * (self.n1 * p1 * (1 - p1) + self.n2 * p2 * (1 - p2))
        spread = 1 / np.sqrt(1 + curvature)
        needed = np.searchsorted(self.nodes, POINTS_PER_WIDTH2 * (tau * spread.max()) ** 2)
        z, log_w = gauss_hermite(self.nodes[min(int(needed), len(self.nodes) - 1)])
        u = mode[:, None] + np.sqrt(2) * spread[:, None] * z
        half, level = (mu + tau * u) / 2, self.levels[:, None]
        soft1, p1 = softplus_and_expit(level + half)
        soft2, p2 = softplus_and_expit(level - half)
        a, n1, c, n2 = (part[:, None] for part in (self.a, self.n1, self.c, self.n2))
        height = a * (level + half) - n1 * soft1 + c * (level - half) - n2 * soft2 - 0.5 * u * u + log_w
        top = height.max(-1, keepdims=True)
        mass = np.exp(height - top)
        total = mass.sum(-1, keepdims=True)
        value = (top + np.log(total))[:, 0] + np.log(spread) - 0.5 * np.log(np.pi)
        r1, r2, i1, i2 = a - n1 * p1, c - n2 * p2, n1 * p1 * (1 - p1), n2 * p2 * (1 - p2)
        one = np.ones_like(u)
        score = np.stack([(r1 - r2) / 2, u * (r1 - r2) / 2, r1 + r2])
        first, second = np.stack([one / 2, u / 2, one]), np.stack([-one / 2, -u / 2, one])
        weight = mass / total
        mean = (weight * score).sum(-1)
        outer = score[:, None] * score[None] - i1 * first[:, None] * first[None] - i2 * second[:, None] * second[None]
        return value, mean, (weight * outer).sum(-1) - mean[:, None] * mean[None]


def _mode(a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, level: NDArray, mu: float, tau: float) -> NDArray:
    """Most probable random effect of each study, by Newton steps that are never longer than one logit."""
    u = np.zeros_like(a)
    for _ in range(MODE_STEPS):
        _, p1 = softplus_and_expit(level + (mu + tau * u) / 2)
        _, p2 = softplus_and_expit(level - (mu + tau * u) / 2)
        gradient = tau / 2 * (a - n1 * p1 - c + n2 * p2) - u
        curvature = 1 + tau**2 / 4 * (n1 * p1 * (1 - p1) + n2 * p2 * (1 - p2))
        step = gradient / curvature
        step = step / np.maximum(1.0, tau * np.abs(step) / LONGEST_STEP)
        u = u + step
        if np.all(np.abs(step) < 1e-12):
            break
    return u


def random_levels(a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, theta: NDArray, nodes: int) -> float:
    """UM.RS log-likelihood at (mean level, beta, sd of levels, tau), by a product rule at the joint mode."""
    v, u, factor = _joint_mode(a, n1, c, n2, theta)
    z, log_one = gauss_hermite(nodes)
    first, second = (part.ravel() for part in np.meshgrid(z, z, indexing="ij"))
    log_w = np.add.outer(log_one, log_one).ravel()
    # factor is the inverse root of the curvature: independent standard normal axes at the mode.
    at_v = v[:, None] + np.sqrt(2) * (factor[0][:, None] * first)
    at_u = u[:, None] + np.sqrt(2) * (factor[1][:, None] * first + factor[2][:, None] * second)
    height = _height(a, n1, c, n2, theta, at_v, at_u) + log_w
    top = height.max(-1)
    integral = np.log(np.exp(height - top[:, None]).sum(-1)) + np.log(factor[0] * factor[2]) - np.log(np.pi)
    return float((top + integral).sum())


def _height(a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, theta: NDArray, v: NDArray, u: NDArray) -> NDArray:
    """Logarithm of the integrand for random effects of shape (k, m)."""
    level, beta, sigma, tau = theta
    e1, e2 = level + sigma * v + (beta + tau * u) / 2, level + sigma * v - (beta + tau * u) / 2
    (soft1, _), (soft2, _) = softplus_and_expit(e1), softplus_and_expit(e2)
    a, n1, c, n2 = (part[:, None] for part in (a, n1, c, n2))
    return a * e1 - n1 * soft1 + c * e2 - n2 * soft2 - 0.5 * (v * v + u * u)


def _joint_mode(
    a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, theta: NDArray
) -> tuple[NDArray, NDArray, tuple[NDArray, NDArray, NDArray]]:
    """Most probable pair of random effects of each study, and the lower triangle of the curvature's inverse root."""
    level, beta, sigma, tau = theta
    v, u = np.zeros_like(a), np.zeros_like(a)
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
    """UM.RS by a general optimiser: the two standard deviations may each be zero."""
    best = _search(a, n1, c, n2, nodes, free=(0, 1, 2))
    common = best[1]
    if method == "ML":
        found = _search(a, n1, c, n2, nodes, free=(0, 1, 2, 3))
        if found[1] > common + 1e-9 * (1 + abs(common)):
            best = found
    theta, value, free = best
    information = -_hessian(lambda t: random_levels(a, n1, c, n2, t, nodes), theta, free)
    variance = np.linalg.inv(information)[free.index(1), free.index(1)]
    return {
        "beta": float(theta[1]),
        "se": float(np.sqrt(variance)),
        "tau2": float(theta[3] ** 2),
        "sigma2": float(theta[2] ** 2),
        "loglik": value,
        "lrt": 2 * (value - common),
    }


def _search(
    a: NDArray, n1: NDArray, c: NDArray, n2: NDArray, nodes: int, free: tuple[int, ...]
) -> tuple[NDArray, float, list[int]]:
    """Maximum over the free parameters; a standard deviation that ends below :data:`SMALLEST` is set to zero."""
    from scipy.optimize import minimize  # late: the other models do without it

    logit1, logit2 = (np.log((x.sum() + 0.5) / (n.sum() - x.sum() + 0.5)) for x, n in ((a, n1), (c, n2)))
    free = list(free)

    def loss(values: NDArray) -> float:
        theta = np.zeros(4)
        theta[free] = values
        return -random_levels(a, n1, c, n2, theta, nodes)

    best, top = None, -np.inf
    for spread in (0.3, 1.0):
        start = np.array([(logit1 + logit2) / 2, logit1 - logit2, spread, spread])[free]
        found = minimize(loss, start, method="BFGS", jac="3-point", options={"gtol": 1e-7})
        if -found.fun > top:
            best, top = found.x, float(-found.fun)
    theta = np.zeros(4)
    theta[free] = best
    theta[2:] = np.where(np.abs(theta[2:]) < SMALLEST, 0.0, np.abs(theta[2:]))
    return theta, top, [i for i in free if i < 2 or theta[i] > 0]


def _hessian(function: Callable[[NDArray], float], theta: NDArray, free: list[int]) -> NDArray:
    """Fourth-order finite differences of a smooth function by its free parameters."""
    steps = np.eye(theta.size)[free] * DIFFERENCE

    def second(direction: NDArray) -> float:
        f = [function(theta + m * direction) for m in (-2, -1, 0, 1, 2)]
        return (-f[0] + 16 * f[1] - 30 * f[2] + 16 * f[3] - f[4]) / (12 * DIFFERENCE**2)

    own = [second(step) for step in steps]
    hessian = np.diag(own)
    for i in range(len(free)):
        for j in range(i):
            hessian[i, j] = hessian[j, i] = (second(steps[i] + steps[j]) - own[i] - own[j]) / 2
    return hessian
