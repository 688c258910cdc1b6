"""Search for the highest mode of a likelihood: scan the heterogeneity, refine every local maximum, use the highest.

With few or outlying studies the likelihood of a random-effects model can have a local maximum at no heterogeneity and a
higher one away from it. An optimiser with one start, or with several, finds the one that it happens to climb. So every
model of the package goes the same way:

1. a *grid* of the heterogeneity, from zero to well beyond what data can show (:func:`grid_from_zero`);
2. its *ridge*: the likelihood at each point of the grid with all other parameters at their best there;
3. the *tops* of the ridge (:func:`tops`), each climbed to its local maximum inside its neighbours on the grid;
4. the highest of them, zero included, and whether there were several.

The grid is fine enough because the term of one study changes little while the heterogeneity changes by less than its
factor. For models of a mean ``mu`` and a standard deviation ``tau`` steps 2 to 4 are :func:`highest_mode`, for many
data sets at once; models with more parameters have their own versions.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Factor between neighbouring points of a grid of standard deviations. With 1.4 none of 20,000 made-up tables with
#: outlying small studies lost its highest mode; with 2.0 some did.
FACTOR = 1.4
#: A step shorter than this leaves an error of about its square.
STEP_TOLERANCE = 1e-7
#: Both are far above what any data set needed; they only keep a loop finite.
RIDGE_STEPS, CLIMB_STEPS = 40, 100
#: The ridge is walked until a further step would gain less than this.
RIDGE_GAIN = 1e-3
#: A mode must rise above zero heterogeneity by more than this, relative to the log-likelihood: less is rounding.
ROUNDING = 1e-12
#: A heterogeneity this small, or this close to an end of its bracket, is that end.
AT_END = 1e-5


class Derivatives(NamedTuple):
    """Log-likelihood up to a constant, and its derivatives by (mu, tau); each of shape (r,)."""

    value: Array
    by_mu: Array
    by_tau: Array
    by_mu_mu: Array
    by_mu_tau: Array
    by_tau_tau: Array


#: ``evaluate(rows, mu, tau)``: the log-likelihood of the data sets numbered ``rows``, even in ``tau``.
Evaluate = Callable[[NDArray[np.intp], Array, Array], Derivatives]


class Mode(NamedTuple):
    """The highest mode of each data set; each of shape (r,), ``here`` a tuple of such.

    ``common`` is the log-likelihood without heterogeneity; ``several`` marks data sets with more than one local
    maximum.
    """

    mu: Array
    tau: Array
    here: Derivatives
    common: Array
    several: NDArray[np.bool_]


def grid_from_zero(smallest: float, largest: float, factor: float = FACTOR) -> Array:
    """Zero, and points from ``smallest`` to ``largest`` that grow by ``factor`` or a little less.

    Examples
    --------
    >>> grid_from_zero(1.0, 8.0, 2.0).tolist()
    [0.0, 1.0, 2.0, 4.0, 8.0]
    """
    steps = max(1, int(np.ceil(np.log(largest / smallest) / np.log(factor) - 1e-9)))
    return np.concatenate([[0.0], np.geomspace(smallest, largest, steps + 1)])


def tops(height: Array, axes: int = 1) -> NDArray[np.bool_]:
    """Return which points of a grid are higher than all their neighbours along the first ``axes`` axes.

    Of neighbours at one height the first counts. Further axes are data sets.

    Examples
    --------
    >>> tops(np.array([3.0, 1.0, 2.0, 2.0, 0.0])).tolist()
    [True, False, True, False, False]
    """
    padded = np.pad(height, [(1, 1)] * axes + [(0, 0)] * (height.ndim - axes), constant_values=-np.inf)
    highest = np.isfinite(height)
    for shift in product((-1, 0, 1), repeat=axes):
        if any(shift):
            beside = padded[tuple(slice(1 + s, n + 1 + s) for s, n in zip(shift, height.shape, strict=False))]
            highest &= height > beside if shift < (0,) * axes else height >= beside
    return highest


def highest_mode(
    evaluate: Evaluate,
    mu: Array,
    grid: Array,
    *,
    rough: Evaluate | None = None,
    along: tuple[Array, Array] | None = None,
    free_mu: bool = True,
) -> Mode:
    """Return the highest mode over (mu, tau) of many data sets, or over tau alone at a given mean.

    Parameters
    ----------
    evaluate : callable
        Log-likelihood and derivatives.
    mu : ndarray, shape (r,)
        Where to start for the mean without heterogeneity.
    grid : ndarray, shape (g,)
        Points of tau, the first zero, the last its bound; zero alone for a model without heterogeneity.
    rough : callable, optional
        A quicker ``evaluate`` for the ridge; the climbs use the exact one.
    along : (ndarray, ndarray), each of shape (g, r), optional
        The ridge, where it is known: best mean at each point of the grid, and the log-likelihood there.
    free_mu : bool
        Whether the mean is a parameter, or given.

    Returns
    -------
    Mode
    """
    none = np.zeros_like(mu)
    mu, _, at_zero = climb(evaluate, mu, none, low=none, high=none, free_mu=free_mu)
    found = Mode(mu.copy(), np.zeros_like(mu), at_zero, at_zero.value.copy(), np.zeros(len(mu), bool))
    if len(grid) == 1:
        return found
    mean, height = along or ridge(rough or evaluate, mu, at_zero.value, grid, free_mu)
    number, row, low, high, start = _candidates(height, grid, at_zero.by_tau_tau)
    if row.size == 0:
        return found
    here_mu, tau, here = climb(
        lambda rows, m, t: evaluate(row[rows], m, t), mean[number, row], start, low=low, high=high, free_mu=free_mu
    )
    genuine = (
        (tau > AT_END * grid[1]) & (tau > low + AT_END * low) & ((tau < high - AT_END * high) | (high == grid[-1]))
    )
    count = np.bincount(row[genuine], minlength=len(mu)) + (at_zero.by_tau_tau <= 0.0)
    found.several[:] = count > 1
    better = here.value > found.common[row] + ROUNDING * (1.0 + np.abs(found.common[row]))
    order = np.flatnonzero(better)[np.argsort(here.value[better], kind="stable")]  # of two modes the higher one last
    best = np.full(len(mu), -1)
    best[row[order]] = order
    rows = np.flatnonzero(best >= 0)
    for target, values in zip((found.mu, found.tau, *found.here), (here_mu, tau, *here), strict=True):
        target[rows] = values[best[rows]]
    return found


def ridge(evaluate: Evaluate, mu: Array, value: Array, grid: Array, free_mu: bool) -> tuple[Array, Array]:
    """Return the best mean at each point of the grid and its log-likelihood, each of shape (g, r).

    The mean is walked along from one point to the next. The last Newton step is not evaluated: its gain is that of the
    parabola.
    """
    if len(mu) == 1:  # the points of one data set are themselves a batch
        mean, height = _best_mean(
            evaluate, np.zeros(len(grid) - 1, int), np.repeat(mu, len(grid) - 1), grid[1:], free_mu
        )
        return np.concatenate([mu, mean])[:, None], np.concatenate([value, height])[:, None]
    means, heights = [mu], [value]
    every = np.arange(len(mu))
    for tau in grid[1:]:
        mean, height = _best_mean(evaluate, every, means[-1], np.full(len(mu), tau), free_mu)
        means.append(mean)
        heights.append(height)
    return np.array(means), np.array(heights)


def _best_mean(evaluate: Evaluate, data: NDArray[np.intp], mu: Array, tau: Array, free_mu: bool) -> tuple[Array, Array]:
    """Return the best mean at given taus and its log-likelihood, by Newton steps along the mean."""
    if not free_mu:
        return mu, evaluate(data, mu, tau).value
    mu, height = mu.copy(), np.empty_like(mu)
    moving = np.arange(len(mu))
    for _ in range(RIDGE_STEPS):
        here = evaluate(data[moving], mu[moving], tau[moving])
        step = np.clip(here.by_mu / np.maximum(np.abs(here.by_mu_mu), 1e-300), -2.0, 2.0)
        gain = 0.5 * step * here.by_mu
        mu[moving] += step
        height[moving] = here.value + gain
        moving = moving[gain > RIDGE_GAIN]
        if moving.size == 0:
            break
    return mu, height


def _candidates(height: Array, grid: Array, curvature: Array) -> tuple[NDArray, ...]:
    """Return for each maximum away from zero its point of the grid, data set, bracket of tau and start.

    Where the likelihood rises from zero and is lower at the first point of the grid there is one in between.
    """
    found = tops(height)
    found[0] = False
    number, row = np.nonzero(found)
    start = _summit_of_parabola(height, grid, number, row)
    low, high = grid[number - 1], grid[np.minimum(number + 1, len(grid) - 1)]
    hidden = np.flatnonzero((height[0] > height[1]) & (curvature > 0.0))
    many = hidden.size
    return (
        np.concatenate([number, np.zeros(many, int)]),
        np.concatenate([row, hidden]),
        np.concatenate([low, np.zeros(many)]),
        np.concatenate([high, np.full(many, grid[1])]),
        np.concatenate([start, np.full(many, 0.5 * grid[1])]),
    )


def _summit_of_parabola(height: Array, grid: Array, number: NDArray, row: NDArray) -> Array:
    """Return the maximum of the parabola through a point of the grid and its neighbours, limited to them."""
    last = len(grid) - 1
    beside = np.minimum(number + 1, last)
    (x, y, z), (a, b, c) = (
        (values(number - 1), values(number), values(beside)) for values in (lambda i: grid[i], lambda i: height[i, row])
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        left, right = (b - a) / (y - x), (c - b) / (z - y)
        summit = 0.5 * (x + y) + left * (z - x) / (2.0 * (left - right))
    inside = (number < last) & (summit > 0.5 * (x + y)) & (summit < 0.5 * (y + z))
    return np.where(inside, summit, y)


def climb(
    evaluate: Evaluate,
    mu: Array,
    tau: Array,
    *,
    low: Array | float = 0.0,
    high: Array | float = np.inf,
    free_mu: bool = True,
) -> tuple[Array, Array, Derivatives]:
    """Maximise over (mu, tau), or over tau alone, from a start: Newton steps damped until the likelihood rises.

    Parameters
    ----------
    evaluate : callable
        Log-likelihood and derivatives.
    mu, tau : ndarray, shape (r,)
        The start.
    low, high : ndarray, shape (r,), or float
        Bracket of tau, which is reflected at zero and kept inside.
    free_mu : bool
        Whether the mean moves.

    Returns
    -------
    mu, tau : ndarray, shape (r,)
    here : Derivatives
        At the end.
    """
    mu, tau = mu.copy(), tau.copy()
    low, high = (np.broadcast_to(end, tau.shape) for end in (low, high))
    rows, damping = np.arange(mu.size), np.zeros_like(mu)
    here = Derivatives(*(np.array(part) for part in evaluate(rows, mu, tau)))
    for _ in range(CLIMB_STEPS):
        d_mu, d_tau = _damped_step(Derivatives(*(part[rows] for part in here)), damping[rows], free_mu)
        blocked = ((tau[rows] >= high[rows]) & (d_tau > 0.0)) | ((tau[rows] <= low[rows]) & (d_tau < 0.0))
        if blocked.any() and free_mu:  # tau stays at its end: the step of the mean alone
            alone = here.by_mu[rows] / (np.abs(here.by_mu_mu[rows]) * (1.0 + damping[rows]) + 1e-300)
            d_mu = np.where(blocked, np.clip(alone, -4.0, 4.0), d_mu)
        new_mu, new_tau = mu[rows] + d_mu, np.clip(np.abs(tau[rows] + d_tau), low[rows], high[rows])
        size = np.maximum(np.abs(d_mu), np.abs(new_tau - tau[rows]))
        there = evaluate(rows, new_mu, new_tau)
        # Close to the top rounding decides which value is larger; there the pure Newton step is right without asking.
        good = (there.value >= here.value[rows]) | ((size < 1e-4) & (damping[rows] == 0))
        kept = rows[good]
        mu[kept], tau[kept] = new_mu[good], new_tau[good]
        for old, new in zip(here, there, strict=True):
            old[kept] = new[good]
        softer = np.where(damping[rows] > 1e-3, damping[rows] / 10, 0.0)
        damping[rows] = np.where(good, softer, 10 * damping[rows] + 1e-2)
        rows = rows[size >= STEP_TOLERANCE]
        if rows.size == 0:
            break
    return mu, tau, here


def _damped_step(at: Derivatives, damping: Array, free_mu: bool) -> tuple[Array, Array]:
    """Newton step on a surface made concave where it is not, shortened by ``damping``."""
    # |h_tt| keeps the direction uphill where the likelihood is convex in tau; the cross term is cut to stay concave.
    a = np.abs(at.by_mu_mu) * (1.0 + damping) + 1e-300
    c = np.abs(at.by_tau_tau) * (1.0 + damping) + 1e-12
    b = np.where(at.by_mu_tau**2 < 0.98 * a * c, -at.by_mu_tau, 0.0) if free_mu else np.zeros_like(a)
    determinant = a * c - b * b
    d_tau = (a * at.by_tau - b * at.by_mu) / determinant
    d_mu = (c * at.by_mu - b * at.by_tau) / determinant if free_mu else np.zeros_like(a)
    return np.clip(d_mu, -4.0, 4.0), np.clip(d_tau, -2.0, 2.0)
