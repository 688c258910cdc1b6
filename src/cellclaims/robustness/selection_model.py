"""Selection models: the mean effect of all studies if the probability of publication depends on the P value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from cellclaims.errors import PoolingError
from cellclaims.meta.effect_sizes import EffectSizes
from cellclaims.meta.fit import Fit, fit_of_mean
from cellclaims.meta.flags import FEWEST_ADVISED, Caution, stated
from cellclaims.meta.inputs import one_of
from cellclaims.meta.modes import grid_from_zero, tops
from cellclaims.meta.quantiles import chi2_upper

# How likely a study of P value ``p`` is to be seen, relative to others: the families of weight functions.
#
# A family gives the logarithm of the weight and its derivatives by the *parameters*, the free numbers ``delta`` of
# the weight function.


class WeightFunction(Protocol):
    """Interface of a family of weight functions.

    Attributes
    ----------
    null : ndarray, shape (d,)
        Parameters of no selection.
    lower, upper : ndarray, shape (d,)
        Range of the parameters.
    starts : tuple of ndarray, each of shape (d,)
        Where to start the search for the best parameters.
    logarithmic : bool
        Whether the search is best done in ``log(delta)``.
    smallest_p : float
        P values closer to 0 or 1 have the weight of this one.
    """

    null: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    starts: tuple[np.ndarray, ...]
    logarithmic: bool
    smallest_p: float

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Logarithm of the weight of each P value, of the shape of ``p``."""

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Its derivative by each parameter, one more axis of length d."""


@dataclass(frozen=True, eq=False)
class Steps:
    """One weight per interval of P values; the first, with the smallest P values, has weight one.

    ``edges``: the upper end of each stretch, the last one 1.
    """

    edges: np.ndarray
    logarithmic = True
    smallest_p = 0.0

    @property
    def count(self) -> int:
        """Free weights."""
        return len(self.edges) - 1

    @property
    def null(self) -> np.ndarray:
        """All as likely."""
        return np.ones(self.count)

    @property
    def lower(self) -> np.ndarray:
        """Never seen at all: no study could be in that stretch."""
        return np.full(self.count, 1e-8)

    @property
    def upper(self) -> np.ndarray:
        """Upper limit, stronger than any selection that such data can show."""
        return np.full(self.count, 1e8)

    @property
    def starts(self) -> tuple[np.ndarray, ...]:
        """None, and in either direction."""
        return tuple(base ** np.arange(1.0, self.count + 1.0) for base in (1.0, 0.3, 4.0))

    def stretch(self, p: np.ndarray) -> np.ndarray:
        """Return the number of the stretch of each P value."""
        return np.minimum(np.searchsorted(self.edges, p, side="left"), self.count)

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``log delta`` of the stretch."""
        return np.concatenate([[0.0], np.log(delta)])[self.stretch(p)]

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``1/delta`` in its own stretch."""
        return (self.stretch(p)[..., None] == np.arange(1, self.count + 1)) / delta


@dataclass(frozen=True, eq=False)
class Beta:
    """``p^(a-1) (1-p)^(b-1)``: falls or rises at either end (Citkowicz and Vevea 2017)."""

    null = np.ones(2)
    lower = np.full(2, 1e-5)
    upper = np.full(2, 100.0)
    starts = (np.ones(2), np.array([0.5, 1.0]), np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    logarithmic = True
    smallest_p = 1e-5

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``(a-1) log p + (b-1) log(1-p)``."""
        return (delta[0] - 1.0) * np.log(p) + (delta[1] - 1.0) * np.log1p(-p)

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``log p`` and ``log(1-p)``."""
        return np.stack([np.log(p), np.log1p(-p)], axis=-1)


@dataclass(frozen=True, eq=False)
class Falling:
    """Families that fall from one at ``p = 0``, the faster the larger their one parameter (Preston and others 2004)."""

    null = np.zeros(1)
    lower = np.zeros(1)
    upper = np.full(1, 100.0)
    starts = (np.array([0.01]), np.array([1.0]), np.array([10.0]))
    logarithmic = False
    smallest_p = 0.0


class HalfNormal(Falling):
    """``exp(-delta p^2)``."""

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-delta p^2``."""
        return -delta[0] * p**2

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-p^2``."""
        return -(p**2)[..., None]


class NegativeExponential(Falling):
    """``exp(-delta p)``."""

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-delta p``."""
        return -delta[0] * p

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-p``."""
        return -p[..., None]


class Logistic(Falling):
    """``2 exp(-delta p) / (1 + exp(-delta p))``."""

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``log 2 - log(1 + exp(delta p))``."""
        return np.log(2.0) - np.logaddexp(0.0, delta[0] * p)

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-p / (1 + exp(-delta p))``."""
        return (-p / (1.0 + np.exp(-delta[0] * p)))[..., None]


class Power(Falling):
    """``(1 - p)^delta``."""

    smallest_p = 1e-5

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``delta log(1-p)``."""
        return delta[0] * np.log1p(-p)

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``log(1-p)``."""
        return np.log1p(-p)[..., None]


#: Families by metafor's names; ``stepfun`` needs its steps.
FAMILIES = {
    "stepfun": Steps,
    "beta": Beta,
    "halfnorm": HalfNormal,
    "negexp": NegativeExponential,
    "logistic": Logistic,
    "power": Power,
}


# The likelihood of effects that were selected by their P values.
# An effect is normal about the mean with its own variance and the between-study variance; published are effects
# drawn with a *weight* that depends on the P value. The density of a published effect is that of an effect times its
# weight, over the mean weight ``A`` of all effects that the study could have had.
#
# ``A`` is an integral over the study's z value. The line is cut into *pieces* whose weight is one number: stretches
# of a step function and the ends beyond :data:`FARTHEST`, with the normal probability between their ends; and Gauss-
# Legendre nodes between, with the normal density. The pieces are the same for all studies, since a P value is a
# function of z.


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
        """Return the pieces that a family needs."""
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
    """Return where the nodes end, and the edges of their panels.

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
    """Return P values limited to between 0 and 1, exclusively."""
    return np.clip(p, smallest, 1.0 - smallest)


def _density(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)


def _row_sums(rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weighted sum of each row; not by a matrix product, whose threads wait for each other on a busy machine."""
    return np.einsum("kp,p->k", rows, weight)


def _finite(x: np.ndarray) -> np.ndarray:
    """Return zero instead of infinity, which is multiplied by a density of zero."""
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
        """Return the log-likelihood, and each study's part of its derivatives, shape (k, parameters)."""
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
        """Return the log-likelihood and its derivatives."""
        value, scores = self.value_and_scores(parameters)
        return value, scores.sum(axis=0)


# The tops of a selection likelihood: scan the between-study variance, climb every top of the scan, Newton steps at the
# end.
#
# The search runs in coordinates in which steps of about one are alike everywhere: the mean in median standard errors,
# ``log(tau2 + smallest variance)``, and the logarithm of weights. First steps take the curvature from the scores of the
# single studies, which is never negative and costs nothing; later ones take the curvature itself.
#
# At a given between-study variance mean and weights can themselves have several tops. So the scan follows a *chain* of
# tops for each start of the weights, once upwards from zero and once downwards, until chains meet.


#: Parameters -> log-likelihood and its derivatives.
ValueAndSlope = Callable[[np.ndarray], tuple[float, np.ndarray]]
#: The grid of between-study standard deviations: from this much of the smallest sampling error, by this factor, to so
#: many ranges of the effects.
LEAST_SD, SD_FACTOR, MOST_RANGES = 0.3, 2.0, 3.0
#: How far from all effects the mean may lie, in units of their range and largest standard error.
MEAN_BEYOND = 10.0
#: A coordinate this close to its edge is on it.
AT_EDGE = 1e-9
#: Log-likelihoods this close are of one hill.
SAME_HEIGHT = 1e-4
#: Two chains this close have met.
MET = 0.05
#: Points this close after the first steps have the same hill before them.
NEXT_TO = 0.3
#: The first steps, by the scores of the studies; Newton's steps; and how often a step is halved that leads down.
ROUGH_STEPS, MOST_STEPS, HALVINGS = 15, 80, 40
#: No coordinate moves farther than this in one step.
LONGEST = 2.0
#: Smallest curvature of a direction, as a proportion of the largest.
LEAST_CURVED = 1e-8
#: The first steps end when they move no coordinate by more than this.
NEAR = 5e-3
#: A Newton step this small leaves an error of about its square.
ARRIVED = 1e-8
#: Step of the differences of the slope: errors of slope over step and of step squared are alike.
DIFFERENCE = 3e-6


@dataclass(frozen=True, eq=False)
class Summit:
    """A local maximum of the likelihood.

    ``parameters``: mean, tau2 and the parameters of selection; ``value``: its log-likelihood; ``held``: which of them
    are at a limit or fixed; ``covariance``: of all of them, zero for fixed ones, NaN where the likelihood is flat.
    """

    parameters: np.ndarray
    value: float
    held: np.ndarray
    covariance: np.ndarray


def climb(likelihood: SelectionLikelihood, held: Summit | None = None) -> list[Summit]:
    """Return the local maxima of the likelihood, the highest first, for effects with a median variance of about one.

    The between-study variance is fixed at zero, unless a maximum found that way is given as the start: the result
    is then at least as high.
    """
    room = _room(likelihood)
    if held is None:
        scale = _Scale(likelihood, (0.0, 0.0), room)
        starts = _starts(likelihood, scale, 0.0)
    else:
        scale = _Scale(likelihood, (0.0, room**2), room)
        starts = [*_scan(likelihood, room), scale.inward(held.parameters)]
    slopes = _apart([_approach(scale, start) for start in starts])
    return _distinct([_summit(scale, _refine(scale, point)) for point in slopes])


def _room(likelihood: SelectionLikelihood) -> float:
    """Return how far beyond the effects the mean may lie."""
    return float(MEAN_BEYOND * (np.ptp(likelihood.y) + np.sqrt(likelihood.v.max())))


def _scan(likelihood: SelectionLikelihood, room: float) -> list[np.ndarray]:
    """Return maxima along a grid of the between-study variance, with all other parameters optimised, as starts."""
    sampling = np.sqrt(likelihood.v)
    most = MOST_RANGES * (np.ptp(likelihood.y) + sampling.max())
    grid = grid_from_zero(LEAST_SD * sampling.min(), most, SD_FACTOR) ** 2
    scales = [_Scale(likelihood, (tau2, tau2), room) for tau2 in grid]
    upwards = _chains(scales, _starts(likelihood, scales[0], grid[0]))
    downwards = _chains(scales[::-1], _starts(likelihood, scales[-1], grid[-1]))
    return _apart([point for chain in (*upwards, *downwards) for point in _tops_of(chain)])


@dataclass
class _Chain:
    """Maxima at successive points of the grid, each found from the last; ``open`` until it meets another chain."""

    points: list[np.ndarray]
    heights: list[float]
    open: bool = True


def _chains(scales: list[_Scale], starts: list[np.ndarray]) -> list[_Chain]:
    """Follow the maxima reached from the starts, from the first point of the grid to the last."""
    chains = [_Chain([point], [height]) for point, height in (_best(scales[0], start) for start in starts)]
    _close_doubles(chains)
    for scale in scales[1:]:
        for chain in chains:
            if chain.open:
                last = chain.points[-1]
                point, height = _best(scale, np.concatenate([last[:1], scale.lower[1:2], last[2:]]))
                chain.points.append(point)
                chain.heights.append(height)
        _close_doubles(chains)
    return chains


def _close_doubles(chains: list[_Chain]) -> None:
    """End all but the first of the chains that have reached the same point."""
    going: list[_Chain] = []
    for chain in chains:
        if chain.open:
            chain.open = all(np.abs(chain.points[-1] - other.points[-1]).max() > MET for other in going)
            if chain.open:
                going.append(chain)


def _tops_of(chain: _Chain) -> list[np.ndarray]:
    """Return the points of a chain higher than their neighbours, without the end of a chain that met another."""
    found = tops(np.array(chain.heights))
    if not chain.open:
        found[-1] = False
    return [chain.points[i] for i in np.flatnonzero(found)]


def _best(scale: _Scale, start: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the point reached by the first steps from a start, and its log-likelihood."""
    point = _approach(scale, start)
    return point, scale.value_and_slope(point)[0]


def _apart(points: list[np.ndarray]) -> list[np.ndarray]:
    """One of those that several starts led next to each other."""
    kept: list[np.ndarray] = []
    for point in points:
        if all(np.abs(point - other).max() > NEXT_TO for other in kept):
            kept.append(point)
    return kept


def _distinct(found: list[Summit]) -> list[Summit]:
    """Return the highest maximum and the other distinct ones, without unfinished searches."""
    tops: list[Summit] = []
    for summit in sorted(found, key=lambda summit: -summit.value):
        apart = all(abs(summit.value - other.value) > SAME_HEIGHT for other in tops)
        if not tops or (apart and not np.isnan(summit.covariance).any()):
            tops.append(summit)
    return tops


class _Scale:
    """Coordinates of the search, and their limits."""

    def __init__(self, likelihood: SelectionLikelihood, tau2: tuple[float, float], room: float) -> None:
        self.likelihood, self.family = likelihood, likelihood.family
        y, self.least = likelihood.y, likelihood.v.min()
        self.lower = self.inward(np.concatenate([[y.min() - room, tau2[0]], self.family.lower]))
        self.upper = self.inward(np.concatenate([[y.max() + room, tau2[1]], self.family.upper]))

    def outward(self, point: np.ndarray) -> np.ndarray:
        """Parameters at a point of the search."""
        tau2 = max(np.exp(point[1]) - self.least, 0.0) if point[1] > np.log(self.least) else 0.0
        delta = np.exp(point[2:]) if self.family.logarithmic else point[2:]
        return np.concatenate([[point[0], tau2], delta])

    def inward(self, parameters: np.ndarray) -> np.ndarray:
        """Return the point of the search at given parameters."""
        delta = np.log(parameters[2:]) if self.family.logarithmic else parameters[2:]
        return np.concatenate([[parameters[0], np.log(parameters[1] + self.least)], delta])

    def value_and_scores(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood and the scores of the studies by the coordinates of the search."""
        parameters = self.outward(point)
        value, scores = self.likelihood.value_and_scores(parameters)
        stretch = np.ones(len(point))
        stretch[1] = parameters[1] + self.least
        if self.family.logarithmic:
            stretch[2:] = parameters[2:]
        return value, scores * stretch

    def value_and_slope(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood and its slope by the coordinates of the search."""
        value, scores = self.value_and_scores(point)
        return value, scores.sum(axis=0)

    def held(self, point: np.ndarray, slope: np.ndarray) -> np.ndarray:
        """Return which coordinates are at a limit beyond which the likelihood increases, or are fixed."""
        low, high = point <= self.lower + AT_EDGE, point >= self.upper - AT_EDGE
        return (low & (slope <= 0.0)) | (high & (slope >= 0.0)) | (low & high)


def _starts(likelihood: SelectionLikelihood, scale: _Scale, tau2: float) -> list[np.ndarray]:
    """Return starts with each strength of selection at a between-study variance, from the mean without selection."""
    mean = np.average(likelihood.y, weights=1.0 / (likelihood.v + tau2))
    return [scale.inward(np.concatenate([[mean, tau2], delta])) for delta in likelihood.family.starts]


def _approach(scale: _Scale, point: np.ndarray) -> np.ndarray:
    """Maximise from a start, by steps with the curvature of the studies' scores."""
    here = scale.value_and_scores(point)
    for _ in range(ROUGH_STEPS):
        slope = here[1].sum(axis=0)
        step = _uphill(np.einsum("ki,kj->ij", here[1], here[1]), slope, ~scale.held(point, slope))
        moved, here = _higher(scale, point, _shortened(step, point), here, NEAR)
        if np.abs(moved - point).max() <= NEAR:
            return moved
        point = moved
    return point


def _refine(scale: _Scale, point: np.ndarray) -> np.ndarray:
    """To the top, by Newton's steps."""
    for _ in range(MOST_STEPS):
        value, slope = scale.value_and_slope(point)
        step = _uphill(_information(scale.value_and_slope, point), slope, ~scale.held(point, slope))
        moved, _ = _higher(scale, point, _shortened(step, point), (value, np.empty(0)), ARRIVED)
        if np.abs(moved - point).max() <= ARRIVED:
            return moved
        point = moved
    return point


def _uphill(curvature: np.ndarray, slope: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Newton's step along the free coordinates, away from valleys and saddles."""
    step = np.zeros(len(slope))
    if not free.any():
        return step
    curved, directions = np.linalg.eigh(curvature[np.ix_(free, free)])
    size = np.abs(curved)
    size = np.maximum(size, max(LEAST_CURVED * size.max(), np.finfo(float).tiny))
    step[free] = directions @ ((directions.T @ slope[free]) / size)
    return step


def _shortened(step: np.ndarray, point: np.ndarray) -> np.ndarray:
    """Return the step, at most :data:`LONGEST`, with the mean in units of the SD of the effects."""
    unit = np.ones(len(step))
    unit[0] = max(1.0, np.exp(0.5 * point[1]))
    return step / max(1.0, np.max(np.abs(step) / unit) / LONGEST)


def _higher(
    scale: _Scale, point: np.ndarray, step: np.ndarray, here: tuple[float, np.ndarray], least: float
) -> tuple[np.ndarray, tuple[float, np.ndarray]]:
    """The end of the step, halved until it is not lower than its start (``here``), with the likelihood and scores."""
    for _ in range(HALVINGS):
        moved = np.clip(point + step, scale.lower, scale.upper)
        there = scale.value_and_scores(moved)
        if there[0] >= here[0]:
            return moved, there
        step = step / 2.0
        if np.abs(step).max() < 0.1 * least:
            break
    return point, here


def _summit(scale: _Scale, point: np.ndarray) -> Summit:
    """Return the details of a maximum, with the covariance of the parameters themselves."""
    value, slope = scale.value_and_slope(point)
    held, parameters = scale.held(point, slope), scale.outward(point)
    covariance = _covariance(scale.likelihood, parameters, held)
    return Summit(parameters, value, held, covariance)


def _covariance(likelihood: SelectionLikelihood, parameters: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Inverse of the information of the free parameters; NaN where that is not positive definite."""
    covariance = np.zeros((len(parameters), len(parameters)))
    free = np.ix_(~held, ~held)
    narrow = likelihood.v.min() + parameters[1]
    sizes = np.concatenate([[np.sqrt(narrow), narrow], np.maximum(np.abs(parameters[2:]), 1e-3)])
    information = _information(likelihood.value_and_slope, parameters, sizes)[free]
    try:
        np.linalg.cholesky(information)
        covariance[free] = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        covariance[free] = np.nan
    return covariance


def _information(slope_at: ValueAndSlope, point: np.ndarray, sizes: np.ndarray | float = 1.0) -> np.ndarray:
    """Minus the second derivatives, by central differences of the first with steps relative to ``sizes``."""
    steps = DIFFERENCE * np.broadcast_to(sizes, point.shape)
    rows = []
    for place, step in enumerate(steps):
        shift = np.zeros(len(point))
        shift[place] = step
        rows.append((slope_at(point - shift)[1] - slope_at(point + shift)[1]) / (2.0 * step))
    rows = np.array(rows)
    return 0.5 * (rows + rows.T)


ALTERNATIVES = ("greater", "less", "two-sided")
METHODS = ("ML", "EE", "FE")
#: A stretch of P values with fewer studies gives its weight next to no support.
FEWEST_PER_STEP = 3


class Top(NamedTuple):
    """A local maximum of the likelihood."""

    beta: float
    tau2: float
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class SelectionModel:
    """A selection model of one data set.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub, stat, p : float
        Mean effect of all studies, seen or not, with its standard error, Wald limits, z value and P value.
    tau2, se_tau2 : float
        Between-study variance and its standard error; both zero for EE.
    delta, se_delta : ndarray
        Parameters of the weight function with their standard errors. Steps: the weight of each interval of P values,
        where the first is 1 by definition, without an error. A parameter at its limit (tau2 = 0) has NaN for its
        error, and a flag.
    log_likelihood : float
    LRT, LRT_p : float
        Likelihood ratio test of no selection, and its P value: chi-squared with ``LRT_df`` degrees of freedom.
    LRT_df : int
    LRT_tau2, LRT_tau2_p : float
        The same of no heterogeneity, with one degree of freedom; NaN for EE.
    tops : tuple of Top
        All tops of the likelihood that were found, the highest first, which is the estimate.
    unselected : Fit
        The model without selection.
    kind, alternative, method : str
    steps : tuple of float
        Upper ends of the stretches of P values, the last one 1; empty for other kinds.
    k : int
    flags : tuple of str
    """

    beta: float
    se: float
    ci_lb: float
    ci_ub: float
    stat: float
    p: float
    tau2: float
    se_tau2: float
    delta: np.ndarray
    se_delta: np.ndarray
    log_likelihood: float
    LRT: float
    LRT_df: int
    LRT_p: float
    LRT_tau2: float
    LRT_tau2_p: float
    tops: tuple[Top, ...]
    unselected: Fit
    kind: str
    alternative: str
    method: str
    steps: tuple[float, ...]
    k: int
    flags: tuple[str, ...]


def selection_model(
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    kind: str = "stepfun",
    steps: Sequence[float] = (0.025,),
    alternative: str = "greater",
    method: str = "ML",
    level: float | None = None,
) -> SelectionModel:
    r"""Fit a selection model to one data set by maximum likelihood.

    Parameters
    ----------
    yi, vi : array-like of float, shape (k,)
        Effects and sampling variances; or ``yi`` alone: a fit of a single mean, or effect sizes.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
    keep : array-like of bool, shape (k,), optional
        Which studies count.
    kind : {"stepfun", "beta", "halfnorm", "negexp", "logistic", "power"}
        The weight :math:`w(p)` of a P value: a step function (Vevea and Hedges 1995,
        https://doi.org/10.1007/BF02294384), a beta density (Citkowicz and Vevea 2017,
        https://doi.org/10.1037/met0000119), or a curve that falls from one (Preston, Ashby and Smyth 2004,
        https://doi.org/10.1111/j.1365-2753.2003.00457.x).
    steps : sequence of float
        For ``stepfun``: where the weight changes, between 0 and 1.
    alternative : {"greater", "less", "two-sided"}
        Which effects have small P values: large ones, small ones (negative), or both.
    method : {"ML", "EE"}
        With or without a between-study variance.
    level : float

    Returns
    -------
    SelectionModel

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`; for a batch; for an unknown kind, alternative or method; for fewer studies than
        parameters; for an interval of P values without any study, whose weight cannot be estimated.

    Notes
    -----
    .. math:: f(y_i) = \frac{w(p_i) \, \phi(y_i; \mu, v_i + \tau^2)}{\int w(p(y)) \, \phi(y; \mu, v_i + \tau^2) \, dy}

    The likelihood can have several maxima and limits (tau2 = 0, no selection): it is maximised from several starts, and
    parameters at a limit are fixed there for the standard errors. The integral is exact for steps and a quadrature to
    about twelve digits otherwise.

    A selection model has strong assumptions and needs many studies; below 10 a flag advises against it.

    Examples
    --------
    >>> yi = [0.5, 0.45, 0.6, 0.3, 0.8, 0.4, 0.1, -0.1, 0.2, 0.35]
    >>> vi = [0.04, 0.03, 0.05, 0.02, 0.1, 0.03, 0.02, 0.08, 0.05, 0.06]
    >>> model = selection_model(yi, vi)
    >>> round(model.beta, 3), model.delta.round(3).tolist(), model.LRT_df
    (0.169, [1.0, 0.1], 1)
    """
    kind, method = one_of(kind, FAMILIES, "kind"), one_of(method, METHODS, "method")
    alternative = one_of(alternative, ALTERNATIVES, "alternative")
    unselected = fit_of_mean("selection_model", yi, vi, slab=slab, keep=keep, method=method, test="z", level=level)
    if unselected.shape != ():
        raise PoolingError(f"selection model: expected one data set, found a batch of shape {unselected.shape}")
    y, v = _kept(unselected)
    family = _family(kind, steps)
    _check_studies(y, v, family, alternative, 1 + len(family.null) + unselected.has_tau2)
    unit, turn = float(np.sqrt(np.median(v))), -1.0 if alternative == "less" else 1.0
    likelihood = SelectionLikelihood.of(turn * y / unit, v / unit**2, family, alternative == "two-sided")
    homogeneous = climb(likelihood)
    tops = climb(likelihood, held=homogeneous[0]) if unselected.has_tau2 else homogeneous
    return SelectionModel(
        **_estimates(tops[0], unselected, turn, unit, family),
        **_ratio_tests(tops[0], homogeneous[0], unselected, family, unit),
        tops=tuple(Top(*_in_units(top, turn, unit), top.value - len(y) * np.log(unit)) for top in tops),
        unselected=unselected,
        kind=kind,
        alternative=alternative,
        method=method,
        steps=tuple(family.edges.tolist()) if isinstance(family, Steps) else (),
        k=len(y),
        flags=_flags(tops, unselected, likelihood),
    )


def _kept(unselected: Fit) -> tuple[np.ndarray, np.ndarray]:
    effects = unselected.effects
    keep = slice(None) if effects.keep is None else effects.keep
    return effects.yi[keep], effects.vi[keep]


def _family(kind: str, steps: Sequence[float]) -> WeightFunction:
    if kind != "stepfun":
        return FAMILIES[kind]()
    edges = np.unique(np.append(np.asarray(steps, dtype=float), 1.0))
    if len(edges) < 2 or not (edges[0] > 0.0 and edges[-1] == 1.0):
        raise PoolingError(f"steps: expected numbers between 0 and 1, found {tuple(steps)}")
    return Steps(edges)


def _check_studies(y: np.ndarray, v: np.ndarray, family: WeightFunction, alternative: str, parameters: int) -> None:
    """Refuse data that say nothing on some parameter."""
    if len(y) < parameters:
        raise PoolingError(
            f"selection model: expected at least {parameters} studies for its parameters, found {len(y)}"
        )
    if not isinstance(family, Steps):
        return
    counts = _studies_in_stretches(y, v, family, alternative)
    if not counts.all():
        low, high = (np.append(0.0, family.edges)[np.flatnonzero(counts == 0)[0] + end] for end in (0, 1))
        raise PoolingError(f"steps: expected studies in every stretch, found none with {low:g} < p <= {high:g}")


def _studies_in_stretches(y: np.ndarray, v: np.ndarray, family: Steps, alternative: str) -> np.ndarray:
    turn = -1.0 if alternative == "less" else 1.0
    p = p_value(turn * y / np.sqrt(v), alternative == "two-sided")
    return np.bincount(family.stretch(p), minlength=family.count + 1)


def _in_units(top: Summit, turn: float, unit: float) -> tuple[float, float]:
    """Mean and tau2 in the units of the effects and on their side."""
    return float(turn * unit * top.parameters[0]), float(unit**2 * top.parameters[1])


def _estimates(top: Summit, unselected: Fit, turn: float, unit: float, family: WeightFunction) -> dict[str, object]:
    """Estimates with their standard errors, Wald limits and test; no error for parameters at a limit."""
    beta, tau2 = _in_units(top, turn, unit)
    error = np.where(top.held, np.nan, np.sqrt(np.diag(top.covariance)))
    se, half = float(unit * error[0]), float(unit * error[0] * -ndtri((1.0 - unselected.level) / 2.0))
    first = [1.0] if isinstance(family, Steps) else []
    return {
        "beta": beta,
        "se": se,
        "ci_lb": beta - half,
        "ci_ub": beta + half,
        "stat": beta / se,
        "p": float(2.0 * ndtr(-abs(beta / se))),
        "tau2": tau2,
        "se_tau2": float(unit**2 * error[1]) if unselected.has_tau2 else 0.0,
        "delta": np.append(first, top.parameters[2:]),
        "se_delta": np.append(np.zeros(len(first)), error[2:]),
    }


def _ratio_tests(
    top: Summit, homogeneous: Summit, unselected: Fit, family: WeightFunction, unit: float
) -> dict[str, float]:
    """Log-likelihood in the units of the effects, and both likelihood ratio tests."""
    y, v = _kept(unselected)
    spread = v + (unselected.tau2 if unselected.has_tau2 else 0.0)
    without = -0.5 * np.sum((y - unselected.beta) ** 2 / spread + np.log(2.0 * np.pi * spread))
    value = top.value - len(y) * np.log(unit)
    selection, tau2 = max(0.0, 2.0 * (value - without)), max(0.0, 2.0 * (top.value - homogeneous.value))
    tested, df = unselected.has_tau2, len(family.null)
    return {
        "log_likelihood": float(value),
        "LRT": float(selection),
        "LRT_df": df,
        "LRT_p": float(chi2_upper(selection, df)),
        "LRT_tau2": float(tau2) if tested else float("nan"),
        "LRT_tau2_p": float(chi2_upper(tau2, 1)) if tested else float("nan"),
    }


def _flags(tops: list[Summit], unselected: Fit, likelihood: SelectionLikelihood) -> tuple[str, ...]:
    top, family, y = tops[0], likelihood.family, likelihood.y
    thin = isinstance(family, Steps) and np.bincount(family.stretch(likelihood.p)).min() < FEWEST_PER_STEP
    cautions = {
        Caution.FEW_STUDIES: np.bool_(unselected.k < FEWEST_ADVISED),
        Caution.TAU2_ZERO: np.bool_(top.held[1] and unselected.has_tau2),
        Caution.FLAT: np.isnan(top.covariance).any(),
        Caution.EDGE: top.held[2:].any() | top.held[0],
        Caution.FEW_PER_STEP: np.bool_(thin),
        Caution.SEVERAL_TOPS: np.bool_(len(tops) > 1),
        Caution.BEYOND_EFFECTS: (top.parameters[0] < y.min()) | (top.parameters[0] > y.max()),
    }
    return stated(cautions, ())
