"""Solve an estimating equation of tau2 for a whole batch: grid, bracket, safeguarded Newton, highest mode.

Between zero and the point beyond which there is at most one root (:meth:`Equation.single_from`) the
likelihood can have several modes. Its slope is looked at on a grid in which ``t + v_min`` grows by
:data:`COARSE`; where it is close to zero at two neighbouring points a dip or a bump may lie between them, and
the fit is looked at again on the grid :data:`FINE`. Every change from rising to falling is solved within its
bracket, and the highest mode wins, zero included.

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
COARSE = 3.0
#: Points looked at between two points of that grid where a pair of roots may hide.
BETWEEN = 7
#: The factor for fits that need a closer look, and for single fits, where many points cost little more than one.
FINE = 3.0 ** (1 / (BETWEEN + 1))
#: Points of a single fit at least: enough to start so near the root that one step arrives.
FEWEST = 128
#: ``E/A`` is close to 1 when it differs by less. In 2.4 million made-up sets with variances over up to six orders of
#: magnitude every pair of roots between two points of the coarse grid had both points closer than 0.34.
CLOSE = 0.4
#: ``E/A`` hardly grows when it grows by less than this power of ``t + v_min``; with equal variances the power is 1.
HARDLY = 0.4
#: The error left by a step is about the product of the squares of the last two, both relative to ``t + v_min``; the
#: product of the two must be as small as this.
STEPS = 1e-6
#: A bracket this narrow holds no other double worth the search.
NARROW = 1e-15
#: Halving alone would narrow any bracket of doubles down in fewer steps than this.
MOST_STEPS = 300
#: Fits that have arrived are taken out of the work when they are at least this share: it costs a third of a step.
WORTH_TAKING_OUT = 0.3


#: A point of the grid, the next and the one after.
AND_TWO_MORE = np.arange(3)[:, None]


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
    grid = _grid(equation, batch, FINE if batch.width == 1 else COARSE)
    rising, excess = _scan(equation, batch, grid, at_zero)
    tau2, several = _solve_on(grid, rising, excess, equation, batch)
    again = _overlooked(grid, rising, excess, equation, batch)
    if len(again):
        part, rule = batch.take(again), equation.take(again)
        grid = _grid(rule, part, FINE)
        scan = _scan(rule, part, grid, Projection.at(part, 0.0))
        tau2[again], several[again] = _solve_on(grid, *scan, rule, part)
    return tau2, several


def _grid(equation: Equation, batch: Batch, factor: float) -> np.ndarray:
    """Points at which the slope is looked at, shape (points, b): zero, by a factor, the upper bound."""
    upper = np.maximum(equation.upper(batch), 0.0)
    single = batch.width == 1
    dense = upper if single else np.minimum(np.maximum(equation.single_from(batch), 0.0), upper)
    growth, step = math.log1p((dense / batch.low).max()), math.log(factor)
    points = math.ceil(growth / step - 1e-9)
    if single:
        points = max(points, FEWEST)
        step = growth / points
    grid = np.empty((points + 2, batch.width))
    np.minimum(np.expm1(step * np.arange(points + 1.0))[:, None] * batch.low, dense, out=grid[:-1])
    grid[-1] = upper
    return grid


def _solve_on(
    grid: np.ndarray, rising: np.ndarray, excess: np.ndarray, equation: Equation, batch: Batch
) -> tuple[np.ndarray, np.ndarray]:
    """The root of highest likelihood, and whether there are others, by what the points of a grid say."""
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


def _overlooked(
    grid: np.ndarray, rising: np.ndarray, excess: np.ndarray, equation: Equation, batch: Batch
) -> np.ndarray:
    """Fits with a pair of roots between two points of the grid where ``E/A`` is close to 1 and hardly grows."""
    if batch.width == 1 or len(grid) < 3:
        return np.empty(0, dtype=int)
    close = np.abs(excess[:-1]) < CLOSE
    point, fit = np.nonzero(close[:-1] & close[1:] & (grid[1:-1] > grid[:-2]))
    low = np.broadcast_to(batch.low, grid.shape[1:])[fit]
    lo, hi = grid[point, fit] + low, grid[point + 1, fit] + low
    hardly = (1.0 + excess[point + 1, fit]) / (1.0 + excess[point, fit]) < (hi / lo) ** HARDLY
    point, fit, lo, hi = point[hardly], fit[hardly], lo[hardly], hi[hardly]
    if len(fit) == 0:
        return fit
    part, rule, factor = batch.take(fit), equation.take(fit), (hi / lo) ** (1.0 / (BETWEEN + 1))
    between = [rising[point, fit]]
    for _ in range(BETWEEN):
        lo = lo * factor
        a, e = rule.sides(Projection.at(part, lo - part.low))
        between.append(a > e)
    between.append(rising[point + 1, fit])
    changes = np.count_nonzero(np.diff(np.array(between), axis=0), axis=0)
    return np.unique(fit[changes > 1])


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
    rows = (point + AND_TWO_MORE) % len(grid)  # beyond the last point stands the first, zero
    (x, y, z), (a, b, c) = grid[rows, fit], excess[rows, fit]
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
        step = -f * inverse_slope if trail is None else _hermite_step(*trail, t, f, inverse_slope)
        new, size = t + step, t + batch.low
        inside, move = (new >= lo) & (new <= hi) & (f * step <= 0.0), np.abs(step) / size
        arrived = inside & (move * reach <= STEPS)
        left = len(active) - np.count_nonzero(arrived)
        if left:
            lo, hi = np.where(f < 0.0, t, lo), np.where(f < 0.0, hi, t)
            if not inside.all():
                middle = np.sqrt((lo + batch.low) * (hi + batch.low)) - batch.low
                new, move = np.where(inside, new, middle), np.where(inside, move, 1.0)
                arrived |= hi - lo <= NARROW * size
                left = len(active) - np.count_nonzero(arrived)
        roots[active] = new
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
