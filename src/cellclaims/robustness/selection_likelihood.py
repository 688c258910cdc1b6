"""The likelihood of effects that were selected by their P values.

An effect is normal about the mean with its own variance and the between-study variance; what is seen are effects drawn
with a *weight* that depends on the P value. The density of a seen effect is that of an effect times its weight, over
the mean weight ``A`` of all effects that the study could have had.

``A`` is an integral over the study's z value. The line is cut into *pieces* whose weight is one number: stretches of a
step function and the ends beyond :data:`FARTHEST`, with the normal probability between their ends; and Gauss-Legendre
nodes between, with the normal density. The pieces are the same for all studies, since a P value is a function of z.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtr, ndtri

from cellclaims.robustness.selection_weights import Steps, WeightFunction

#: Beyond this z no P value differs from 0 or 1 in double precision.
FARTHEST = 8.5
#: Gauss-Legendre nodes of one panel.
NODES, SHARES = np.polynomial.legendre.leggauss(32)


def p_value(z: np.ndarray, two_sided: bool) -> np.ndarray:
    """P value of a z value: two-sided, or that of larger ones."""
    return 2.0 * ndtr(-np.abs(z)) if two_sided else ndtr(-z)


@dataclass(frozen=True, eq=False)
class Pieces:
    """Pieces of the line of z values: stretches from ``low`` to ``high``, and nodes ``z`` with their ``share``.

    ``p``: the P value whose weight each piece has, stretches first.
    """

    low: np.ndarray
    high: np.ndarray
    z: np.ndarray
    share: np.ndarray
    p: np.ndarray

    @classmethod
    def of(cls, family: WeightFunction, two_sided: bool) -> Pieces:
        """The pieces that a family needs."""
        if isinstance(family, Steps):
            return cls._of_steps(family.edges, two_sided)
        far, edges = _edges(family.smallest_p, two_sided)
        middle, half = (edges[1:] + edges[:-1]) / 2.0, (edges[1:] - edges[:-1]) / 2.0
        z, share = (middle[:, None] + half[:, None] * NODES).ravel(), (half[:, None] * SHARES).ravel()
        ends = np.array([far, far if two_sided else -far])
        p = within(p_value(np.concatenate([ends, z]), two_sided), family.smallest_p)
        return cls(np.array([far, -np.inf]), np.array([np.inf, -far]), z, share, p)

    @classmethod
    def _of_steps(cls, edges: np.ndarray, two_sided: bool) -> Pieces:
        none = np.empty(0)
        down = np.concatenate([[np.inf], -ndtri(edges / (2.0 if two_sided else 1.0))])
        low, high = down[1:], down[:-1]
        if not two_sided:
            return cls(low, high, none, none, edges)
        return cls(np.concatenate([low, -high]), np.concatenate([high, -low]), none, none, np.tile(edges, 2))

    def masses(self, mean: float, error: np.ndarray, spread: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Probability of each piece for each study, and its derivatives by ``mean`` and ``spread``; shape (k, pieces).

        ``error`` is what z is measured in, ``spread`` the standard deviation of an effect about the mean.
        """
        error, spread = error[:, None], spread[:, None]
        bottom, top = ((end * error - mean) / spread for end in (self.low, self.high))
        flip = bottom > 0.0  # differences of small tails, not of numbers near one
        between = np.where(flip, ndtr(-bottom) - ndtr(-top), ndtr(top) - ndtr(bottom))
        fall = _density(bottom) - _density(top)
        turn = _density(bottom) * _finite(bottom) - _density(top) * _finite(top)
        x = (self.z * error - mean) / spread
        at = self.share * error / spread * _density(x)
        mass = np.concatenate([between, at], axis=1)
        by_mean = np.concatenate([fall, at * x], axis=1) / spread
        by_spread = np.concatenate([turn, at * (x * x - 1.0)], axis=1) / spread
        return mass, by_mean, by_spread


def _edges(smallest_p: float, two_sided: bool) -> tuple[float, np.ndarray]:
    """Where the nodes end, and the edges of their panels.

    A two-sided P value is one at z = 0, where a power of ``1 - p`` is a power of z: panels shrink towards it.
    """
    if smallest_p == 0.0:
        return FARTHEST, np.linspace(-FARTHEST, FARTHEST, 5)
    far = -float(ndtri(smallest_p / (2.0 if two_sided else 1.0)))
    if not two_sided:
        return far, np.linspace(-far, far, 5)
    near = -float(ndtri((1.0 - smallest_p) / 2.0))
    outward = np.concatenate([[0.0], np.geomspace(near, far, 7)])
    return far, np.concatenate([-outward[:0:-1], outward])


def within(p: np.ndarray, smallest: float) -> np.ndarray:
    """P values held away from 0 and 1."""
    return np.clip(p, smallest, 1.0 - smallest)


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)


def _row_sums(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted sum of each row; not by a matrix product, whose threads wait for each other on a busy machine."""
    return np.einsum("kp,p->k", rows, weight)


def _finite(x: np.ndarray) -> np.ndarray:
    """Zero in place of infinity: it stands beside a density of zero."""
    return np.where(np.isfinite(x), x, 0.0)


@dataclass(frozen=True, eq=False)
class SelectionLikelihood:
    """Log-likelihood of the mean, the between-study variance and the parameters of selection.

    ``y``, ``v``: effects, turned so that large ones are favoured, and variances, shape (k,). ``p``: their P values.
    Parameters are ``(mean, tau2, *delta)`` throughout.
    """

    y: np.ndarray
    v: np.ndarray
    p: np.ndarray
    family: WeightFunction
    pieces: Pieces

    @classmethod
    def of(cls, y: np.ndarray, v: np.ndarray, family: WeightFunction, two_sided: bool) -> SelectionLikelihood:
        """For one data set."""
        p = within(p_value(y / np.sqrt(v), two_sided), family.smallest_p)
        return cls(y, v, p, family, Pieces.of(family, two_sided))

    def value_and_scores(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """The log-likelihood, and each study's part of its derivatives, shape (k, parameters)."""
        mean, tau2, delta = parameters[0], parameters[1], parameters[2:]
        spread = np.sqrt(self.v + tau2)
        residual = (self.y - mean) / spread
        log_seen, log_weight = (self.family.log_weight(p, delta) for p in (self.p, self.pieces.p))
        highest = log_weight.max()
        weight = np.exp(log_weight - highest)
        mass, by_mean, by_spread = self.pieces.masses(mean, np.sqrt(self.v), spread)
        average = np.maximum(_row_sums(mass, weight), np.finfo(float).tiny)
        value = np.sum(log_seen - highest - 0.5 * residual**2 - np.log(spread) - np.log(average))
        scores = np.empty((len(self.y), len(parameters)))
        scores[:, 0] = residual / spread - _row_sums(by_mean, weight) / average
        scores[:, 1] = ((residual**2 - 1.0) / spread - _row_sums(by_spread, weight) / average) / (2.0 * spread)
        seen, expected = (self.family.slope(p, delta) for p in (self.p, self.pieces.p))
        scores[:, 2:] = seen - np.einsum("kp,pd->kd", mass, weight[:, None] * expected) / average[:, None]
        return value - 0.5 * len(self.y) * np.log(2.0 * np.pi), scores

    def value_and_slope(self, parameters: np.ndarray) -> tuple[float, np.ndarray]:
        """The log-likelihood and its derivatives."""
        value, scores = self.value_and_scores(parameters)
        return value, scores.sum(axis=0)
