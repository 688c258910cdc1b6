"""Estimators of the between-study variance tau2, each for a whole batch.

Notation: ``W = diag(w)``, ``P = W - W X (X'WX)^-1 X'W``, ``V = diag(v)``; ``p`` columns of the design; ``Q
= y'P y`` with ``w = 1/v``. The estimators and their standard errors are those that Viechtbauer,
Lopez-Lopez, Sanchez-Meca and Marin-Martinez (2015, https://doi.org/10.1037/met0000023) collect for
meta-regression.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cellclaims.meta.batch import Batch, Projection, dot, total
from cellclaims.meta.quantiles import chi2_quantile

# Estimating equations of tau2 that are solved by iteration.
#
# Write ``P = W - W X (X'WX)^-1 X'W`` with ``W = diag(1/(v + t))``. Each estimator is the root in ``t`` of
#
#     A(t) = E(t):    Paule-Mandel   A = y'P y     E = a chi-squared target (k - p for the estimate itself)
#                     REML           A = y'PP y    E = tr P
#                     ML             A = y'PP y    E = tr W
#
# (Viechtbauer 2005, https://doi.org/10.3102/10769986030003261; Paule and Mandel 1982,
# https://doi.org/10.6028/jres.087.022).
#
# Two facts bracket the roots. The eigenvalues of ``P`` other than zero lie between the smallest and the
# largest weight, so
#
# * ``A < E`` once ``(t + v_min)^2 > s2 (t + v_max)`` with ``s2`` the mean square of the unweighted residuals
#   (for Paule-Mandel once ``t + v_min`` exceeds their sum of squares over the target);
# * for ML and REML ``A/E`` falls wherever ``t >= v_max - 2 v_min``: there is at most one root beyond. For
#   Paule-Mandel it falls everywhere.


class Equation(Protocol):
    """An estimating equation as used by the solver; every array has shape (b,)."""

    def sides(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """Both sides, ``A`` and ``E``."""

    def slopes(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """Their derivatives by ``t``."""

    def upper(self, batch: Batch) -> np.ndarray:
        """Return a point that no root exceeds."""

    def single_from(self, batch: Batch) -> np.ndarray:
        """Return a point beyond which there is at most one root."""

    def height(self, at: Projection) -> np.ndarray:
        """Twice the log-likelihood, up to a constant: decides between several modes."""

    def take(self, fits: np.ndarray) -> Equation:
        """Return the equation of some of the fits."""


@dataclass(frozen=True)
class Likelihood:
    """Full (ML) or restricted (REML) likelihood of tau2."""

    restricted: bool

    def sides(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """``y'PP y`` and ``tr P`` (or ``tr W``); their difference is the slope of twice the log-likelihood."""
        return at.q2, at.trace if self.restricted else at.total

    def slopes(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """``-2 y'PPP y`` and ``-tr PP`` (or ``-tr WW``)."""
        return -2.0 * at.q3, -(at.trace2 if self.restricted else at.total2)

    def upper(self, batch: Batch) -> np.ndarray:
        """Return the larger root of ``(t + v_min)^2 = s2 (t + v_max)``."""
        s2 = batch.spread
        return 0.5 * (s2 + np.sqrt(s2 * (s2 + 4.0 * (batch.high - batch.low)))) - batch.low

    def single_from(self, batch: Batch) -> np.ndarray:
        """``v_max - 2 v_min``."""
        return batch.high - 2.0 * batch.low

    def height(self, at: Projection) -> np.ndarray:
        """``sum log w - y'P y``, less ``log det X'WX`` for the restricted likelihood."""
        height = np.add.reduce(np.log(np.where(at.w > 0.0, at.w, 1.0))) - at.q
        return height - at.design.log_det(at.gram) if self.restricted else height

    def take(self, fits: np.ndarray) -> Likelihood:
        """Return the same for any fits."""
        return self


@dataclass(frozen=True)
class GeneralisedQ:
    """Paule-Mandel's equation: the generalised Q statistic equals a target, shape (b,) or (1,)."""

    target: np.ndarray

    def sides(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """``y'P y`` and the target."""
        return at.q, self.target

    def slopes(self, at: Projection) -> tuple[np.ndarray, float]:
        """``-y'PP y`` and 0."""
        return -at.q2, 0.0

    def upper(self, batch: Batch) -> np.ndarray:
        """Return where the largest weight times the unweighted sum of squares falls to the target."""
        return batch.spread * batch.df / self.target - batch.low

    def single_from(self, batch: Batch) -> np.ndarray:
        """Q falls everywhere: zero."""
        return np.zeros(1)

    def height(self, at: Projection) -> np.ndarray:
        """There is at most one root."""
        return np.zeros(len(at.q))

    def take(self, fits: np.ndarray) -> GeneralisedQ:
        """Return the targets of some of the fits."""
        return self if self.target.shape[-1] == 1 else GeneralisedQ(self.target[fits])


# Solve an estimating equation of tau2 for a whole batch: grid, bracket, safeguarded Newton, highest mode.
#
# Between zero and the point beyond which there is at most one root (:meth:`Equation.single_from`) the
# likelihood can have several modes. Its slope is looked at on a grid in which ``t + v_min`` grows by
# :data:`COARSE`; where it is close to zero at two neighbouring points a dip or a bump may lie between them, and
# the fit is looked at again on the grid :data:`FINE`. Every change from rising to falling is solved within its
# bracket, and the highest mode wins, zero included.
#
# With equal variances ``E/A`` is a straight line in ``t``, and nearly one otherwise. Its zero is found by inverse
# interpolation: from three points of the grid, then by a Newton step, then from the last two points with their
# slopes. Two or three evaluations arrive; a step that leaves its bracket is replaced by the bracket's middle:
# there is no fit that does not converge.


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
#: Power of ``t + v_min`` below which ``E/A`` counts as nearly flat; with equal variances the power is 1.
HARDLY = 0.4
#: The error left by a step is about the product of the squares of the last two, both relative to ``t + v_min``; the
#: product of the two must be as small as this.
STEPS = 1e-6
#: Width at which a bracket counts as a single value.
NARROW = 1e-15
#: Halving alone would narrow any bracket of doubles down in fewer steps than this.
MOST_STEPS = 300
#: Proportion of converged fits at which they are removed from the work, which costs a third of a step.
WORTH_TAKING_OUT = 0.3


#: A point of the grid, the next and the one after.
AND_TWO_MORE = np.arange(3)[:, None]


def solve(equation: Equation, batch: Batch, at_zero: Projection) -> tuple[np.ndarray, np.ndarray]:
    """Return the root of highest likelihood for each fit, zero where the likelihood falls from there on.

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
    """Return the points at which the slope is evaluated, shape (points, b): zero, by a factor, the upper bound."""
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
    """Return the root of highest likelihood, and whether there are others, from a grid of points."""
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
    """Find fits with a pair of roots between two points of the grid where ``E/A`` is close to 1 and nearly flat."""
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
    """Return whether the likelihood rises, and ``E/A - 1``, at every point of the grid, each of shape (points, b)."""
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
    """Return the zero of ``E/A - 1`` by inverse quadratic interpolation over the bracket and a neighbouring point.

    Where that leaves the bracket, or two of the points are the same: by the straight line.
    """
    rows = (point + AND_TWO_MORE) % len(grid)  # the point after the last one is the first, zero
    (x, y, z), (a, b, c) = grid[rows, fit], excess[rows, fit]
    ab, bc, ca = a - b, b - c, c - a
    start = -(x * b * c * bc + y * c * a * ca + z * a * b * ab) / (ab * bc * ca)
    inside = (start > x) & (start < y)
    if inside.all():
        return start
    line = x + (y - x) * (a / (a - b))
    return np.where(inside, start, np.where(line > x, line, x))


def _newton(equation: Equation, batch: Batch, lo: np.ndarray, hi: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Take safeguarded steps on ``f = E/A - 1`` from ``t`` within ``lo`` to ``hi``; drop converged fits."""
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
    """Return the zero of the cubic in ``f`` through two points with their slopes ``d = dt/df``."""
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
    """Set ``tau2`` to the mode of highest likelihood where there are several; the smaller one on a tie."""
    zero = np.flatnonzero(at_zero & several)
    mine = several[fit]
    owner = np.concatenate([zero, fit[mine]])
    modes = np.concatenate([np.zeros(len(zero)), roots[mine]])
    height = equation.take(owner).height(Projection.at(batch.take(owner), modes))
    order = np.lexsort((modes, -height, owner))
    first = np.unique(owner[order], return_index=True)[1]
    tau2[owner[order][first]] = modes[order][first]


@dataclass(frozen=True)
class Heterogeneity:
    """An estimate of tau2 for each fit, each of shape (b,); ``se`` is NaN where the model has no tau2.

    ``at`` is the batch at this tau2 where the estimator made it, ``several_modes`` whether there were others.
    """

    tau2: np.ndarray
    se: np.ndarray
    at: Projection | None = None
    several_modes: np.ndarray | None = None


@dataclass(frozen=True)
class QuadraticForm:
    """``y'P y`` for weights that do not depend on tau2, with its moments, each of shape (b,).

    Its expectation is ``tr PV + tau2 tr P`` and its variance ``2 tr PVPV + 4 tau2 tr PVP + 2 tau2^2 tr PP``.
    """

    q: np.ndarray
    trace: np.ndarray
    trace2: np.ndarray
    trace_v: np.ndarray
    trace_vp: np.ndarray
    trace_vv: np.ndarray

    @classmethod
    def of_inverse_variances(cls, at_zero: Projection) -> QuadraticForm:
        """With ``w = 1/v``, where ``PVP = P``."""
        df = at_zero.batch.df
        return cls(at_zero.q, at_zero.trace, at_zero.trace2, df, at_zero.trace, df)

    @classmethod
    def of_weights(cls, batch: Batch, w: np.ndarray) -> QuadraticForm:
        """With any weights, zero where a study is not kept."""
        at, design, v = Projection(batch, w), batch.design, batch.finite_v
        gram, wv = at.gram, w * v
        gram_v = design.gram(w * wv)
        single = design.trace(gram, design.gram(w * w * wv))
        trace_vp = dot(w, wv) - 2.0 * single + design.trace_of_product(gram, at.gram2, gram_v)
        single = design.trace(gram, design.gram(w * wv * wv))
        trace_vv = dot(wv, wv) - 2.0 * single + design.trace_of_product(gram, gram_v, gram_v)
        trace_v = total(wv) - design.trace(gram, gram_v)
        return cls(at.q, at.trace, at.trace2, trace_v, trace_vp, trace_vv)

    def deviation(self, tau2: np.ndarray) -> np.ndarray:
        """Standard deviation of ``y'P y`` where the between-study variance is ``tau2``."""
        return np.sqrt(2.0 * self.trace_vv + 4.0 * tau2 * self.trace_vp + 2.0 * tau2 * tau2 * self.trace2)

    def by_moments(self) -> Heterogeneity:
        """tau2 that sets ``y'P y`` to its expectation, truncated at zero."""
        tau2 = np.maximum((self.q - self.trace_v) / self.trace, 0.0)
        return Heterogeneity(tau2, self.deviation(tau2) / self.trace)


def equal_effects(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """EE: no between-study variance."""
    return Heterogeneity(np.zeros(batch.width), np.full(batch.width, np.nan), at_zero)


def dersimonian_laird(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """DL: ``(Q - (k - p)) / tr P``. https://doi.org/10.1016/0197-2456(86)90046-2."""
    return QuadraticForm.of_inverse_variances(at_zero).by_moments()


def hedges(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """HE: the moments of the unweighted sum of squares (Hedges and Olkin 1985, ch. 9)."""
    return QuadraticForm.of_weights(batch, np.isfinite(batch.v).astype(float)).by_moments()


def generalised_q_moments(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """GENQ: the moments of Q with the weights given. https://doi.org/10.1016/j.cct.2006.04.004."""
    return QuadraticForm.of_weights(batch, batch.given).by_moments()


def hunter_schmidt(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """HS: ``(Q - k) / sum w``."""
    return _hunter_schmidt(batch, at_zero, np.ones(1))


def _hunter_schmidt(batch: Batch, at_zero: Projection, correction: np.ndarray) -> Heterogeneity:
    tau2 = np.maximum((at_zero.q * correction - batch.n) / at_zero.total, 0.0)
    deviation = QuadraticForm.of_inverse_variances(at_zero).deviation(tau2)
    return Heterogeneity(tau2, correction * deviation / at_zero.total)


def hunter_schmidt_corrected(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """HSk: Hunter and Schmidt with ``Q k/(k - p)``, the correction for few studies."""
    return _hunter_schmidt(batch, at_zero, batch.n / batch.df)


def sidik_jonkman(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """SJ: ``t0 y'P y/(k - p)`` with ``w = 1/(v + t0)``, t0 the variance of the effects.

    https://doi.org/10.1111/j.1467-9876.2005.00489.x; never exactly zero unless all effects are equal.
    """
    start = batch.variance
    form = QuadraticForm.of_weights(batch, batch.weights(start))
    tau2 = start * form.q / batch.df
    return Heterogeneity(tau2, start * form.deviation(tau2) / batch.df)


def paule_mandel(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """PM and EB: the generalised Q equals its expectation ``k - p``. https://doi.org/10.6028/jres.087.022."""
    return _at_target(batch, at_zero, batch.df)


def paule_mandel_median(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """PMM: the generalised Q equals the median of chi-squared with ``k - p`` degrees of freedom."""
    return _at_target(batch, at_zero, chi2_quantile(0.5, batch.df))


def _at_target(batch: Batch, at_zero: Projection, target: np.ndarray) -> Heterogeneity:
    tau2, _ = solve(GeneralisedQ(target), batch, at_zero)
    at = _at(batch, tau2, at_zero)
    return Heterogeneity(tau2, np.sqrt(2.0 / batch.df) * batch.n / at.total, at)


def _at(batch: Batch, tau2: np.ndarray, at_zero: Projection) -> Projection:
    """Return the batch at its tau2; the existing one if tau2 is zero in every fit."""
    return Projection.at(batch, tau2) if np.count_nonzero(tau2) else at_zero


def maximum_likelihood(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """ML; standard error from the Fisher information ``tr WW / 2``."""
    tau2, several = solve(Likelihood(restricted=False), batch, at_zero)
    at = _at(batch, tau2, at_zero)
    return Heterogeneity(tau2, np.sqrt(2.0 / at.total2), at, several)


def restricted_maximum_likelihood(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """REML; standard error from the Fisher information ``tr PP / 2``."""
    tau2, several = solve(Likelihood(restricted=True), batch, at_zero)
    at = _at(batch, tau2, at_zero)
    return Heterogeneity(tau2, np.sqrt(2.0 / at.trace2), at, several)


Estimator = Callable[[Batch, Projection], Heterogeneity]

#: Method name -> its estimator. FE is EE under its older name; EB has the same root as PM.
ESTIMATORS: dict[str, Estimator] = {
    "EE": equal_effects,
    "FE": equal_effects,
    "DL": dersimonian_laird,
    "HE": hedges,
    "HS": hunter_schmidt,
    "HSk": hunter_schmidt_corrected,
    "SJ": sidik_jonkman,
    "ML": maximum_likelihood,
    "REML": restricted_maximum_likelihood,
    "EB": paule_mandel,
    "PM": paule_mandel,
    "PMM": paule_mandel_median,
    "GENQ": generalised_q_moments,
}
