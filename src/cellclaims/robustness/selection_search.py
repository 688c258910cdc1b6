"""The tops of a selection likelihood: many starts, an edge for every parameter, and Newton steps at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from cellclaims.robustness.selection_likelihood import SelectionLikelihood

#: Parameters -> log-likelihood and its derivatives.
ValueAndSlope = Callable[[np.ndarray], tuple[float, np.ndarray]]
#: Between-study variances to start from, in median variances.
TAU2_STARTS = (0.0, 0.3, 3.0)
#: How far from all effects the mean may lie, in units of their range and largest standard error.
MEAN_BEYOND = 10.0
#: A parameter this close to its edge, relative to its size, is held there.
AT_EDGE = 1e-9
#: Tops of log-likelihoods this close are one.
SAME_HEIGHT = 1e-4
#: Newton steps at the end; each squares the distance.
MOST_STEPS = 30
#: Step of the differences of the slope, relative: errors of slope over step and of step squared are alike.
DIFFERENCE = 3e-6


@dataclass(frozen=True, eq=False)
class Summit:
    """The highest point found.

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
    scale = _Scale(likelihood)
    lower, upper = scale.box(with_tau2=held is not None)
    starts = _starts(likelihood, scale, TAU2_STARTS if held else (0.0,))
    if held is not None:
        starts.append(scale.inward(held.parameters))
    return _distinct([_summit(scale, _ascend(scale, start, lower, upper), lower, upper) for start in starts])


def _distinct(found: list[Summit]) -> list[Summit]:
    """The highest, and the others that are tops of their own: not the same point, and not a slope given up on."""
    tops: list[Summit] = []
    for summit in sorted(found, key=lambda summit: -summit.value):
        apart = all(abs(summit.value - other.value) > SAME_HEIGHT for other in tops)
        if not tops or (apart and not np.isnan(summit.covariance).any()):
            tops.append(summit)
    return tops


class _Scale:
    """Search coordinates: the parameters, with the logarithm of those that are best searched so."""

    def __init__(self, likelihood: SelectionLikelihood) -> None:
        self.likelihood, self.family = likelihood, likelihood.family

    def outward(self, point: np.ndarray) -> np.ndarray:
        """Parameters at a point of the search."""
        return np.concatenate([point[:2], np.exp(point[2:])]) if self.family.logarithmic else point

    def inward(self, parameters: np.ndarray) -> np.ndarray:
        """The point of the search at given parameters."""
        return np.concatenate([parameters[:2], np.log(parameters[2:])]) if self.family.logarithmic else parameters

    def value_and_slope(self, point: np.ndarray) -> tuple[float, np.ndarray]:
        """Log-likelihood and its slope by the coordinates of the search."""
        parameters = self.outward(point)
        value, slope = self.likelihood.value_and_slope(parameters)
        if self.family.logarithmic:
            slope = np.concatenate([slope[:2], slope[2:] * parameters[2:]])
        return value, slope

    def box(self, with_tau2: bool) -> tuple[np.ndarray, np.ndarray]:
        """Edges of the search."""
        y, v = self.likelihood.y, self.likelihood.v
        room = MEAN_BEYOND * (np.ptp(y) + np.sqrt(v.max()))
        tau2 = room**2 if with_tau2 else 0.0
        lower = np.concatenate([[y.min() - room, 0.0], self.family.lower])
        upper = np.concatenate([[y.max() + room, tau2], self.family.upper])
        return self.inward(lower), self.inward(upper)


def _starts(likelihood: SelectionLikelihood, scale: _Scale, variances: tuple[float, ...]) -> list[np.ndarray]:
    """Every pair of a between-study variance and a strength of selection, from the mean without selection."""
    starts = []
    for tau2 in variances:
        mean = np.average(likelihood.y, weights=1.0 / (likelihood.v + tau2))
        starts += [scale.inward(np.concatenate([[mean, tau2], delta])) for delta in likelihood.family.starts]
    return starts


def _ascend(scale: _Scale, start: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """To the top of the hill that the start stands on."""

    def descent(point: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = scale.value_and_slope(point)
        return -value, -slope

    bounds = list(zip(lower, upper, strict=True))
    options = {"ftol": 1e-12, "gtol": 1e-8}
    done = minimize(descent, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return np.clip(done.x, lower, upper)


def _summit(scale: _Scale, point: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> Summit:
    """Newton steps on the parameters that lie within their edges, and the covariance of those."""
    for _ in range(MOST_STEPS):
        held = _held(scale, point, lower, upper)
        moved = _newton(scale, point, held, lower, upper)
        arrived = np.max(np.abs(moved - point)) <= 1e-13 * np.max(np.abs(point))
        point = moved
        if arrived:
            break
    held = _held(scale, point, lower, upper)
    parameters = scale.outward(point)
    covariance = _covariance(scale.likelihood, parameters, held)
    return Summit(parameters, scale.likelihood.value_and_slope(parameters)[0], held, covariance)


def _held(scale: _Scale, point: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """Which coordinates lie on an edge that the likelihood rises beyond, or have no room at all."""
    slope = scale.value_and_slope(point)[1]
    near = AT_EDGE * (1.0 + np.abs(point))
    return ((point <= lower + near) & (slope <= 0.0)) | ((point >= upper - near) & (slope >= 0.0)) | (lower == upper)


def _newton(scale: _Scale, point: np.ndarray, held: np.ndarray, lower: np.ndarray, upper: np.ndarray) -> np.ndarray:
    """One Newton step on the coordinates that are free, halved until the likelihood does not fall."""
    value, slope = scale.value_and_slope(point)
    information = _information(scale.value_and_slope, point, scale.likelihood.v)[np.ix_(~held, ~held)]
    step = np.zeros(len(point))
    try:
        np.linalg.cholesky(information)
        step[~held] = np.linalg.solve(information, slope[~held])
    except np.linalg.LinAlgError:  # not on top of a hill: the search has done what it can
        return point
    for _ in range(MOST_STEPS):
        moved = np.clip(point + step, lower, upper)
        if scale.value_and_slope(moved)[0] >= value:
            return moved
        step = step / 2.0
    return point


def _information(slope_at: ValueAndSlope, point: np.ndarray, v: np.ndarray) -> np.ndarray:
    """Minus the second derivatives, by central differences of the first."""
    narrow = v.min() + point[1]
    sizes = np.concatenate([[np.sqrt(narrow), narrow], np.maximum(np.abs(point[2:]), 1e-3)])
    rows = []
    for place, step in enumerate(DIFFERENCE * sizes):
        shift = np.zeros(len(point))
        shift[place] = step
        rows.append((slope_at(point - shift)[1] - slope_at(point + shift)[1]) / (2.0 * step))
    rows = np.array(rows)
    return 0.5 * (rows + rows.T)


def _covariance(likelihood: SelectionLikelihood, parameters: np.ndarray, held: np.ndarray) -> np.ndarray:
    """Inverse of the information of the free parameters; NaN where that is not positive definite."""
    covariance = np.zeros((len(parameters), len(parameters)))
    free = np.ix_(~held, ~held)
    information = _information(likelihood.value_and_slope, parameters, likelihood.v)[free]
    try:
        np.linalg.cholesky(information)
        covariance[free] = np.linalg.inv(information)
    except np.linalg.LinAlgError:
        covariance[free] = np.nan
    return covariance
