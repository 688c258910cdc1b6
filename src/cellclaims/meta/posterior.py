"""Distributions that an exact integration leaves behind: of tau, of a mean, of a new setting.

Every distribution has a batch shape B (``()`` for one fit). A method that is given values of shape X
answers with shape ``B + X``: one number for one fit and one value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtr

from cellclaims.errors import PoolingError

#: Newton steps inside a shrinking bracket: each at least halves it, so that this many reach rounding from
#: any start.
QUANTILE_STEPS = 100


class Distribution:
    """What all of them answer: mean, sd, density, cdf, tail probability, quantiles, central interval.

    A child gives ``mean`` and ``sd`` (batch shape), ``support`` (two arrays of batch shape that hold all
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
        """Values below which ``probability`` (shape X) lies, shape B + X.

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

    Within ``unit`` of the centre x is linear in the value, farther out logarithmic: one grid holds a sharp
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
        nodes, _ = legendre.leggauss(self.masses.shape[-1])
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


def panel_points(edges: NDArray, count: int) -> NDArray:
    """Gauss-Legendre points of every panel, shape (..., p, count) for edges of shape (..., p + 1)."""
    nodes, _ = legendre.leggauss(count)
    return edges[..., :-1, None] + np.diff(edges)[..., None] / 2 * (1 + nodes)


def panel_weights(edges: NDArray, count: int) -> NDArray:
    """Gauss-Legendre weights that belong to :func:`panel_points`."""
    _, weights = legendre.leggauss(count)
    return np.diff(edges)[..., None] / 2 * weights
