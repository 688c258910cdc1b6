"""The tops of a selection likelihood: many starts, an edge for every parameter, and Newton steps at the end.

The search runs in coordinates in which steps of about one are alike everywhere: the mean in median standard errors,
``log(tau2 + smallest variance)``, and the logarithm of weights. First steps take the curvature from the scores of the
single studies, which is never negative and costs nothing; later ones take the curvature itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cellclaims.robustness.selection_likelihood import SelectionLikelihood

#: Parameters -> log-likelihood and its derivatives.
ValueAndSlope = Callable[[np.ndarray], tuple[float, np.ndarray]]
#: Between-study variances to start from, in median variances.
TAU2_STARTS = (0.0, 0.3, 3.0)
#: How far from all effects the mean may lie, in units of their range and largest standard error.
MEAN_BEYOND = 10.0
#: A coordinate this close to its edge is on it.
AT_EDGE = 1e-9
#: Points of log-likelihoods this close have climbed the same hill.
SAME_HEIGHT = 1e-4
#: Points this close after the first steps have the same hill before them.
NEXT_TO = 0.3
#: The first steps, by the scores of the studies; Newton's steps; and how often a step is halved that leads down.
ROUGH_STEPS, MOST_STEPS, HALVINGS = 15, 80, 40
#: No coordinate moves farther than this in one step.
LONGEST = 2.0
#: Directions of less curvature than this share of the most are taken to have this one.
LEAST_CURVED = 1e-8
#: A Newton step this small leaves an error of about its square.
ARRIVED = 1e-8
#: Step of the differences of the slope: errors of slope over step and of step squared are alike.
DIFFERENCE = 3e-6


@dataclass(frozen=True, eq=False)
class Summit:
    """A top of the likelihood.

    ``parameters``: mean, tau2 and the parameters of selection; ``value``: log-likelihood there; ``held``: which of them
    lie on an edge or are fixed; ``covariance``: of all of them, zero for those held, NaN where the likelihood is flat.
    """

    parameters: np.ndarray
    value: float
    held: np.ndarray
    covariance: np.ndarray


def climb(likelihood: SelectionLikelihood, held: Summit | None = None) -> list[Summit]:
    """The tops of the likelihood, the highest first, for effects whose median variance is about one.

    The between-study variance is held at zero, unless there is a top to start from that was found with it held: what is
    found then is at least as high.
    """
    scale = _Scale(likelihood, with_tau2=held is not None)
    starts = _starts(likelihood, scale, TAU2_STARTS if held else (0.0,))
    if held is not None:
        starts.append(scale.inward(held.parameters))
    slopes = _apart([_approach(scale, start) for start in starts])
    return _distinct([_summit(scale, _refine(scale, point)) for point in slopes])


def _apart(points: list[np.ndarray]) -> list[np.ndarray]:
    """One of those that several starts led next to each other."""
    kept: list[np.ndarray] = []
    for point in points:
        if all(np.abs(point - other).max() > NEXT_TO for other in kept):
            kept.append(point)
    return kept


def _distinct(found: list[Summit]) -> list[Summit]:
    """The highest, and the others that are tops of their own: not the same point, and not a slope given up on."""
    tops: list[Summit] = []
    for summit in sorted(found, key=lambda summit: -summit.value):
        apart = all(abs(summit.value - other.value) > SAME_HEIGHT for other in tops)
        if not tops or (apart and not np.isnan(summit.covariance).any()):
            tops.append(summit)
    return tops


class _Scale:
    """Coordinates of the search, and the box that holds it."""

    def __init__(self, likelihood: SelectionLikelihood, with_tau2: bool) -> None:
        self.likelihood, self.family = likelihood, likelihood.family
        y, v = likelihood.y, likelihood.v
        self.least = v.min()
        room = MEAN_BEYOND * (np.ptp(y) + np.sqrt(v.max()))
        self.lower = self.inward(np.concatenate([[y.min() - room, 0.0], self.family.lower]))
        self.upper = self.inward(np.concatenate([[y.max() + room, room**2 * with_tau2], self.family.upper]))

    def outward(self, point: np.ndarray) -> np.ndarray:
        """Parameters at a point of the search."""
        tau2 = np.exp(point[1]) - self.least if point[1] > self.lower[1] else 0.0
        delta = np.exp(point[2:]) if self.family.logarithmic else point[2:]
        return np.concatenate([[point[0], tau2], delta])

    def inward(self, parameters: np.ndarray) -> np.ndarray:
        """The point of the search at given parameters."""
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
        """Which coordinates lie on an edge that the likelihood rises beyond, or have no room at all."""
        low, high = point <= self.lower + AT_EDGE, point >= self.upper - AT_EDGE
        return (low & (slope <= 0.0)) | (high & (slope >= 0.0)) | (low & high)


def _starts(likelihood: SelectionLikelihood, scale: _Scale, variances: tuple[float, ...]) -> list[np.ndarray]:
    """Every pair of a between-study variance and a strength of selection, from the mean without selection."""
    starts = []
    for tau2 in variances:
        mean = np.average(likelihood.y, weights=1.0 / (likelihood.v + tau2))
        starts += [scale.inward(np.concatenate([[mean, tau2], delta])) for delta in likelihood.family.starts]
    return starts


def _approach(scale: _Scale, point: np.ndarray) -> np.ndarray:
    """Up the hill that the start stands on, by steps whose curvature is that of the studies' scores."""
    for _ in range(ROUGH_STEPS):
        value, scores = scale.value_and_scores(point)
        slope = scores.sum(axis=0)
        step = _uphill(np.einsum("ki,kj->ij", scores, scores), slope, ~scale.held(point, slope))
        point = _higher(scale, point, _shortened(step, point), value)
    return point


def _refine(scale: _Scale, point: np.ndarray) -> np.ndarray:
    """To the top, by Newton's steps."""
    for _ in range(MOST_STEPS):
        value, slope = scale.value_and_slope(point)
        step = _uphill(_information(scale.value_and_slope, point), slope, ~scale.held(point, slope))
        moved = _higher(scale, point, _shortened(step, point), value)
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
    """The step, no longer than :data:`LONGEST`, for the mean in units of the spread of the effects."""
    unit = np.ones(len(step))
    unit[0] = max(1.0, np.exp(0.5 * point[1]))
    return step / max(1.0, np.max(np.abs(step) / unit) / LONGEST)


def _higher(scale: _Scale, point: np.ndarray, step: np.ndarray, value: float) -> np.ndarray:
    """The end of the step, halved until it is not lower than its start."""
    for _ in range(HALVINGS):
        moved = np.clip(point + step, scale.lower, scale.upper)
        if scale.value_and_slope(moved)[0] >= value:
            return moved
        step = step / 2.0
    return point


def _summit(scale: _Scale, point: np.ndarray) -> Summit:
    """What there is to know at a top; the covariance in the parameters themselves."""
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
