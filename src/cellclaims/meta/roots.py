"""Solve an estimating equation of tau2 for a whole batch: grid, bracket, safeguarded Newton, highest mode.

Between zero and the point beyond which there is at most one root (:meth:`Equation.single_from`) the
likelihood can have several modes. Its slope is looked at on a grid in which ``t + v_min`` grows by
:data:`GRID_FACTOR`; every change from rising to falling is solved within its bracket, and the highest mode
wins, zero included. Two roots between neighbouring points of the grid would be a dip or bump narrower than
the scale on which the term of any single study varies.

With equal variances ``E/A`` is a straight line in ``t``, and nearly one otherwise. Its zero is found by inverse
interpolation: from three points of the grid, then by a Newton step, then from the last two points with their
slopes. Two or three evaluations arrive; a step that leaves its bracket is replaced by the bracket's middle:
there is no fit that does not converge.
"""

from __future__ import annotations

import math

import numpy as np

from cellclaims.meta.batch import Batch
from cellclaims.meta.equations import Equation
from cellclaims.meta.projection import Projection

#: Factor between neighbouring points of the grid in ``t + v_min``: a study's term varies over about a factor of e.
GRID_FACTOR = 3.0
#: A single fit takes this many points for little more than the price of one, and starts so near that one step arrives.
FINE = 128
#: The error left by a step is about the product of the squares of the last two, both relative to ``t + v_min``; the
#: product of the two must be as small as this.
STEPS = 1e-6
#: A bracket this narrow holds no other double worth the search.
NARROW = 1e-15
#: Halving alone would narrow any bracket of doubles down in fewer steps than this.
MOST_STEPS = 300
#: Fits that have arrived are taken out of the work when they are at least this share: it costs a third of a step.
WORTH_TAKING_OUT = 0.3


@np.errstate(divide="ignore", invalid="ignore", over="ignore")  # what is not a number is never taken for a root
def solve(equation: Equation, batch: Batch, at_zero: Projection) -> tuple[np.ndarray, np.ndarray]:
    """The root of highest likelihood for each fit, zero where the likelihood falls from there on.

    Parameters
    ----------
    equation : Equation
    batch : Batch
    at_zero : Projection
        Of the batch at tau2 = 0, which every fit needs anyway.

    Returns
    -------
    tau2 : ndarray, shape (b,)
    several : ndarray of bool, shape (b,)
        Whether more than one mode was found.
    """
    grid = _grid(equation, batch)
    rising, excess = _scan(equation, batch, grid, at_zero)
    fit, point = np.nonzero((rising[:-1] & ~rising[1:]).T)
    tau2 = np.zeros(grid.shape[1])
    if len(fit) == 0:
        return tau2, np.zeros(len(tau2), dtype=bool)
    several = np.bincount(fit, minlength=len(tau2)) + ~rising[0] > 1
    competing = several.any()
    every = len(fit) == len(tau2) and not competing
    part, rule = (batch, equation) if every else (batch.take(fit), equation.take(fit))
    lo, hi = grid[point, fit], grid[point + 1, fit]
    tau2[fit] = roots = _newton(rule, part, lo, hi, _start(grid, excess, point, fit))
    if competing:
        _choose_highest(equation, batch, tau2, several, fit, roots, ~rising[0])
    return tau2, several


def _grid(equation: Equation, batch: Batch) -> np.ndarray:
    """Points at which the slope is looked at, shape (points, b): zero, by a factor, the upper bound."""
    upper = np.maximum(equation.upper(batch), 0.0)
    single = batch.width == 1
    dense = upper if single else np.minimum(np.maximum(equation.single_from(batch), 0.0), upper)
    growth = math.log1p((dense / batch.low).max())
    points = math.ceil(growth / math.log(GRID_FACTOR) - 1e-9)
    points, factor = (max(points, FINE), growth / max(points, FINE)) if single else (points, math.log(GRID_FACTOR))
    grid = np.empty((points + 2, batch.width))
    np.minimum(np.expm1(factor * np.arange(points + 1.0))[:, None] * batch.low, dense, out=grid[:-1])
    grid[-1] = upper
    return grid


def _scan(equation: Equation, batch: Batch, grid: np.ndarray, at_zero: Projection) -> tuple[np.ndarray, np.ndarray]:
    """Whether the likelihood rises, and ``E/A - 1``, at every point of the grid, each of shape (points, b)."""
    a, e = np.empty_like(grid), np.empty_like(grid)
    a[0], e[0] = equation.sides(at_zero)
    if batch.width == 1:  # the points of one fit are themselves a batch
        a[1:, 0], e[1:, 0] = equation.sides(Projection.at(batch, grid[1:, 0]))
    else:
        for row in range(1, len(grid)):
            a[row], e[row] = equation.sides(Projection.at(batch, grid[row]))
    rising = a > e
    rising[-1] = False  # by the bound; rounding could say otherwise at the very root
    return rising, e / a - 1.0


def _start(grid: np.ndarray, excess: np.ndarray, point: np.ndarray, fit: np.ndarray) -> np.ndarray:
    """Where ``E/A - 1`` is zero by inverse quadratic interpolation over the bracket and a point beside it.

    Where that leaves the bracket, or two of the points are the same: by the straight line.
    """
    beside = (point + 2) % len(grid)  # beyond the last point stands the first, zero
    (x, a), (y, b), (z, c) = ((grid[row, fit], excess[row, fit]) for row in (point, point + 1, beside))
    ab, bc, ca = a - b, b - c, c - a
    start = -(x * b * c * bc + y * c * a * ca + z * a * b * ab) / (ab * bc * ca)
    inside = (start > x) & (start < y)
    if inside.all():
        return start
    line = x + (y - x) * (a / (a - b))
    return np.where(inside, start, np.where(line > x, line, x))


def _newton(equation: Equation, batch: Batch, lo: np.ndarray, hi: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Safeguarded steps on ``f = E/A - 1`` from ``t`` within ``lo`` to ``hi``; those that have arrived leave."""
    roots, active, trail, reach = np.empty_like(t), np.arange(len(t)), None, np.ones_like(t)
    for _ in range(MOST_STEPS):
        at = Projection.at(batch, t)
        (a, e), (a_slope, e_slope) = equation.sides(at), equation.slopes(at)
        f, inverse_slope = e / a - 1.0, a * a / (e_slope * a - e * a_slope)
        lo, hi = np.where(f < 0.0, t, lo), np.where(f < 0.0, hi, t)
        step = -f * inverse_slope if trail is None else _hermite_step(*trail, t, f, inverse_slope)
        new, size = t + step, t + batch.low
        inside, move = (new >= lo) & (new <= hi), np.abs(step) / size
        arrived = inside & (move * reach <= STEPS)
        if not inside.all():
            middle = np.sqrt((lo + batch.low) * (hi + batch.low)) - batch.low
            new, move = np.where(inside, new, middle), np.where(inside, move, 1.0)
            arrived |= hi - lo <= NARROW * size
        roots[active] = new
        left = len(active) - np.count_nonzero(arrived)
        if left == 0:
            break
        trail, t, reach = (t, f, inverse_slope), new, move
        if left < (1.0 - WORTH_TAKING_OUT) * len(active):
            going = np.flatnonzero(~arrived)
            batch, equation, trail = batch.take(going), equation.take(going), tuple(x[going] for x in trail)
            active, lo, hi, t, reach = (x[going] for x in (active, lo, hi, t, reach))
    return roots


def _hermite_step(
    t0: np.ndarray, f0: np.ndarray, d0: np.ndarray, t1: np.ndarray, f1: np.ndarray, d1: np.ndarray
) -> np.ndarray:
    """From ``t1`` to the zero of the cubic in ``f`` through two points with their slopes ``d = dt/df``."""
    h = f1 - f0
    u = f1 / h
    secant = (t1 - t0) / h
    return -f1 * (d1 - u * (2.0 * d1 + d0 - 3.0 * secant) + u * u * (d0 + d1 - 2.0 * secant))


def _choose_highest(
    equation: Equation,
    batch: Batch,
    tau2: np.ndarray,
    several: np.ndarray,
    fit: np.ndarray,
    roots: np.ndarray,
    at_zero: np.ndarray,
) -> None:
    """Put the mode of highest likelihood into ``tau2`` where there are several; the smaller one on a tie."""
    zero = np.flatnonzero(at_zero & several)
    mine = several[fit]
    owner = np.concatenate([zero, fit[mine]])
    modes = np.concatenate([np.zeros(len(zero)), roots[mine]])
    height = equation.take(owner).height(Projection.at(batch.take(owner), modes))
    order = np.lexsort((modes, -height, owner))
    first = np.unique(owner[order], return_index=True)[1]
    tau2[owner[order][first]] = modes[order][first]
