"""The posterior of the binomial-normal model for thousands of reviews at once, on one grid of mean and tau.

:func:`cellclaims.meta.bayes_binomial` integrates one review to rounding. A simulation needs many reviews to a
thousandth: the likelihood of x events of n depends on the grid alone, so that it is tabulated once for each (x, n)
and a review is a sum of rows of the table.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy.special import ndtr

from cellclaims.meta.bayes import Prior

#: Cells over the mean: equal in asinh of the distance from the centre, narrow near it and reaching +-14.
CELLS, NARROW, REACH = 140, 0.25, 4.7
#: Points over tau, and the largest tau in prior scales: beyond it a half-normal has 1e-9.
POINTS, LARGEST = 24, 6.0
#: Points over the standard normal of a report's own logit.
OWN, OWN_REACH = 161, 7.0


@dataclass(frozen=True, eq=False)
class GridPosterior:
    """Posterior of (mean, tau) of each review.

    Attributes
    ----------
    edges, mean : ndarray, shape (c + 1,) and (c,)
        Cells over the mean and their middles.
    tau : ndarray, shape (t,)
    mass : ndarray, shape (s, c, t)
        Sums to 1 for each review.
    """

    edges: NDArray
    mean: NDArray
    tau: NDArray
    mass: NDArray

    @classmethod
    def of(cls, events: NDArray, n: NDArray, centre: float, prior: Prior | None = None) -> GridPosterior:
        """Posterior under a flat mean and the half-normal prior of tau, for events and n of shape (s, k)."""
        prior = prior or Prior(1.0)
        grid = _grid(centre, prior.tau_scale)
        rows, inverse = np.unique(np.stack([events.ravel(), n.ravel()], 1), axis=0, return_inverse=True)
        table = np.stack([_log_likelihood(x, size, centre, prior.tau_scale) for x, size in rows])
        log = sum((table[row] for row in inverse.reshape(events.shape).T), start=grid.log_weight)
        mass = np.exp(log - log.max(axis=(1, 2), keepdims=True))
        return cls(grid.edges, grid.mean, grid.tau, mass / mass.sum(axis=(1, 2), keepdims=True))

    def mean_cdf(self, values: NDArray) -> NDArray:
        """Probability that the mean is at most ``values``, one a review."""
        below = np.cumsum(self.mass.sum(axis=2), axis=1)
        below = np.concatenate([np.zeros((len(below), 1)), below], axis=1)
        return np.array([np.interp(v, self.edges, b) for v, b in zip(values, below, strict=True)])

    def new_cdf(self, values: NDArray) -> NDArray:
        """Probability that a new clinic's logit is at most ``values``, one a review."""
        z = (values[:, None, None] - self.mean[:, None]) / self.tau
        return (self.mass * ndtr(z)).sum(axis=(1, 2))


@dataclass(frozen=True, eq=False)
class _Grid:
    edges: NDArray
    mean: NDArray
    tau: NDArray
    log_weight: NDArray


@functools.lru_cache(maxsize=4)
def _grid(centre: float, scale: float) -> _Grid:
    """Cells and points with the logarithm of prior times width."""
    edges = centre + NARROW * np.sinh(np.linspace(-REACH, REACH, CELLS + 1))
    mean = (edges[1:] + edges[:-1]) / 2
    nodes, weights = legendre.leggauss(POINTS)
    # Equal panels in the root of tau: the likelihood is smooth in tau, and most of the doubt lies near zero.
    root, half = np.sqrt(LARGEST * scale) * (1 + nodes) / 2, np.sqrt(LARGEST * scale) / 2
    tau = root**2
    width = np.log(np.diff(edges))[:, None] + np.log(weights * half * 2 * root)
    return _Grid(edges, mean, tau, width + Prior(scale).log_tau(tau))


@functools.lru_cache(maxsize=4096)
def _log_likelihood(x: float, n: float, centre: float, scale: float) -> NDArray:
    """Logarithm of the marginal likelihood of x events of n at every point of the grid, up to a constant."""
    grid = _grid(centre, scale)
    u = np.linspace(-OWN_REACH, OWN_REACH, OWN)
    weight = np.exp(-0.5 * u * u)
    eta = grid.mean[:, None, None] + grid.tau[None, :, None] * u
    own = x * eta - n * np.logaddexp(0.0, eta)
    top = own.max(axis=-1)
    return top + np.log((np.exp(own - top[..., None]) * (weight / weight.sum())).sum(axis=-1))
