"""Solve an estimating equation of tau2 for a whole batch: grid, bracket, safeguarded Newton, highest mode.

Between zero and the point beyond which there is at most one root (:meth:`Equation.single_from`) the
likelihood can have several modes. Its slope is looked at on a grid in which ``t + v_min`` grows by
:data:`GRID_FACTOR`; every change from rising to falling is solved within its bracket, and the highest mode
wins, zero included. Two roots between neighbouring points of the grid would be a dip or bump narrower than
the scale on which the term of any single study varies.

With equal variances ``E/A`` is a straight line in ``t``, and nearly one otherwise: Newton steps are taken
on ``E/A - 1``, from the secant of the bracket, so that two or three of them arrive. A step that leaves its
bracket is replaced by the bracket's middle: there is no fit that does not converge.
"""

from __future__ import annotations

import numpy as np

from cellclaims.meta.batch import Batch
from cellclaims.meta.equations import Equation, Sides

#: Factor between neighbouring points of the grid in ``t + v_min``: a study's term varies over about a
#: factor of e.
GRID_FACTOR = 3.0
#: A Newton step this small, relative to ``t + v_min``, leaves an error of about its square.
STEP = 1e-7
#: A bracket this narrow holds no other double worth the search.
NARROW = 1e-15
#: Halving alone would narrow any bracket of doubles down in fewer steps than this.
MOST_STEPS = 300


def solve(equation: Equation, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    """The root of highest likelihood for each fit, zero where the likelihood falls from there on.

    Returns
    -------
    tau2 : ndarray, shape (b,)
    several : ndarray of bool, shape (b,)
        Whether more than one mode was found.
    """
    grid = _grid(equation, batch)
    gap, excess = _scan(equation, batch, grid)
    rising = gap > 0.0
    rising[-1] = False  # by the bound; rounding could say otherwise at the very root
    fit, step = np.nonzero((rising[:-1] & ~rising[1:]).T)
    tau2 = np.zeros(grid.shape[1])
    several = np.zeros(grid.shape[1], dtype=bool)
    if len(fit) == 0:
        return tau2, several
    lo, hi = grid[step, fit], grid[step + 1, fit]
    start = _secant(lo, hi, excess[step, fit], excess[step + 1, fit])
    every = len(fit) == len(tau2) and (fit == np.arange(len(fit))).all()
    part, rule = (batch, equation) if every else (batch.take(fit), equation.take(fit))
    roots = _newton(rule, part, lo, hi, start)
    several = np.bincount(fit, minlength=len(tau2)) + ~rising[0] > 1
    tau2[fit] = roots
    if several.any():
        _choose_highest(equation, batch, tau2, several, fit, roots, ~rising[0])
    return tau2, several


def _grid(equation: Equation, batch: Batch) -> np.ndarray:
    """Points at which the slope is looked at, shape (points, b): zero, by a factor, the upper bound."""
    upper = np.maximum(np.broadcast_to(equation.upper(batch), (batch.width,)), 0.0)
    dense = np.minimum(np.maximum(equation.single_from(batch), 0.0), upper)
    growth = 1.0 + dense / batch.low
    points = int(np.ceil(np.log(growth.max()) / np.log(GRID_FACTOR) - 1e-9))
    factors = GRID_FACTOR ** np.arange(points + 1)[:, None] - 1.0
    return np.concatenate([np.minimum(batch.low * factors, dense), upper[None]])


def _scan(equation: Equation, batch: Batch, grid: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """``A - E`` and ``E/A - 1`` at every point of the grid, each of shape (points, b)."""
    if batch.width == 1:  # the points of one fit are themselves a batch
        sides = equation.sides(batch, grid[:, 0], slopes=False)
        a, e = sides.a[:, None], np.broadcast_to(sides.e, grid.shape[:1])[:, None]
    else:
        a, e = np.empty_like(grid), np.empty_like(grid)
        for row, t in enumerate(grid):
            sides = equation.sides(batch, t, slopes=False)
            a[row], e[row] = sides.a, sides.e
    with np.errstate(divide="ignore", over="ignore"):
        return a - e, e / a - 1.0


def _secant(lo: np.ndarray, hi: np.ndarray, at_lo: np.ndarray, at_hi: np.ndarray) -> np.ndarray:
    """Where the straight line through both ends of the bracket is zero; ``at_lo < 0 <= at_hi``."""
    share = np.where(at_hi > 0.0, at_lo / (at_lo - at_hi), 1.0)
    return lo + np.where(np.isfinite(share), share, 0.5) * (hi - lo)


def _newton(equation: Equation, batch: Batch, lo: np.ndarray, hi: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Safeguarded Newton from ``t`` within ``lo`` to ``hi``; fits that have arrived leave the work."""
    roots = np.empty_like(t)
    active = np.arange(len(t))
    for _ in range(MOST_STEPS):
        sides = equation.sides(batch, t, slopes=True)
        lo, hi = _narrow(sides, t, lo, hi)
        step = _newton_step(sides)
        inside = (t + step >= lo) & (t + step <= hi)
        size = t + batch.low
        arrived = (inside & (np.abs(step) <= STEP * size)) | (hi - lo <= NARROW * size)
        t = np.where(inside, t + step, np.sqrt((lo + batch.low) * (hi + batch.low)) - batch.low)
        roots[active] = t
        if arrived.all():
            break
        if arrived.mean() > 0.3:
            going = np.flatnonzero(~arrived)
            batch, equation = batch.take(going), equation.take(going)
            active, lo, hi, t = active[going], lo[going], hi[going], t[going]
    return roots


def _narrow(sides: Sides, t: np.ndarray, lo: np.ndarray, hi: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rising = sides.gap > 0.0
    return np.where(rising, t, lo), np.where(rising, hi, t)


def _newton_step(sides: Sides) -> np.ndarray:
    """The step to the zero of ``E/A - 1``; not a number where it is flat."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return sides.a * sides.gap / (sides.e_slope * sides.a - sides.e * sides.a_slope)


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
    height = equation.take(owner).height(batch.take(owner), modes)
    order = np.lexsort((modes, -height, owner))
    first = np.unique(owner[order], return_index=True)[1]
    tau2[owner[order][first]] = modes[order][first]
