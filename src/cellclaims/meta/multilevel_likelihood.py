"""The (restricted) likelihood of a multilevel model with a common mean, and its maximum over the levels' variances."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtri

#: Starts for the variances, in typical sampling variances: the likelihood may have more than one hill.
STARTS = (0.1, 2.0)
#: Steps converge quadratically: the one after a relative change below this is lost in rounding.
TOLERANCE, STEPS = 1e-9, 200
#: A variance below this many typical sampling variances is zero.
NEGLIGIBLE = 1e-8
#: Root search of the profile limits: bracket by factors of 4, then bisection and secants.
ROOT_STEPS, ROOT_TOLERANCE = 120, 1e-9
#: A variance of so many typical sampling variances that is still likely has no upper limit.
LARGEST = 1e8


class Evaluation(NamedTuple):
    """Log-likelihood at some variances, its score, and the observed and expected information."""

    value: float
    score: NDArray
    observed: NDArray
    expected: NDArray


@dataclass(frozen=True, eq=False)
class Levels:
    """Estimates, their sampling covariance, and for each level the group of every estimate (numbers from 0).

    Estimates that are correlated with none outside form a *block*. Blocks are padded to one size (with 1 on the
    diagonal and 0 elsewhere, which changes no sum) and worked on together, so that time grows with their number and
    not with its cube.
    """

    y: NDArray
    covariance: NDArray
    labels: list[NDArray]

    @cached_property
    def index(self) -> tuple[NDArray, NDArray]:
        """For every place of the padded blocks the number of its estimate, and whether there is one; shape (m, b)."""
        blocks = _connected(self.covariance, self.labels[0])
        size = max(block.size for block in blocks)
        place = np.zeros((len(blocks), size), int)
        real = np.zeros(place.shape, bool)
        for row, block in enumerate(blocks):
            place[row, : block.size], real[row, : block.size] = block, True
        return place, real

    def _pad(self, matrix: NDArray, diagonal: float) -> NDArray:
        place, real = self.index
        padded = matrix[place[:, :, None], place[:, None, :]] * (real[:, :, None] & real[:, None, :])
        return padded + diagonal * np.eye(place.shape[1]) * ~real[:, :, None]

    @cached_property
    def blocks(self) -> tuple[NDArray, list[NDArray]]:
        """Sampling covariance and each level's pattern (1 where two estimates share a group), shape (m, b, b)."""
        patterns = [self._pad((labels[:, None] == labels).astype(float), 0.0) for labels in self.labels]
        return self._pad(self.covariance, 1.0), patterns

    def _solved(self, sigma2: NDArray) -> tuple[NDArray, NDArray, float, float, NDArray, NDArray]:
        """Inverse covariance, its row sums, their total, the mean, residuals times the inverse, residuals."""
        place, real = self.index
        covariance, patterns = self.blocks
        inverse = np.linalg.inv(covariance + sum(s * part for s, part in zip(sigma2, patterns, strict=True)))
        rows = (inverse @ real[..., None].astype(float))[..., 0]
        total = float(rows.sum())
        mean = float((rows * self.y[place]).sum() / total)
        residual = (self.y[place] - mean) * real
        return inverse, rows, total, mean, (inverse @ residual[..., None])[..., 0], residual

    def variance(self, sigma2: NDArray) -> NDArray:
        """Marginal covariance of the estimates, shape (k, k)."""
        patterns = ((labels[:, None] == labels) for labels in self.labels)
        return self.covariance + sum(s * part for s, part in zip(sigma2, patterns, strict=True))

    def mean(self, sigma2: NDArray) -> tuple[float, float]:
        """Pooled mean and its standard error."""
        _, _, total, mean, _, _ = self._solved(sigma2)
        return mean, float(1 / np.sqrt(total))

    def loglik(self, sigma2: NDArray, method: str) -> float:
        """Log-likelihood; REML with the term of the design (half the log of k), as metafor counts it."""
        return self.evaluate(sigma2, method).value

    def evaluate(self, sigma2: NDArray, method: str) -> Evaluation:
        """Log-likelihood and its derivatives (Searle, Casella and McCulloch 1992, Variance Components, ch. 6)."""
        inverse, rows, total, _, py, residual = self._solved(sigma2)
        _, patterns = self.blocks
        k, reml = self.y.size, method == "REML"
        value = 0.5 * (np.linalg.slogdet(inverse)[1].sum() - (residual * py).sum() - (k - reml) * np.log(2 * np.pi))
        if reml:
            value += 0.5 * (np.log(k) - np.log(total))
        applied = np.stack([(part @ py[..., None])[..., 0] for part in patterns])
        leaned = np.stack([(part @ rows[..., None])[..., 0] for part in patterns])
        pulled = [inverse @ part for part in patterns]
        own, solved = np.tensordot(leaned, rows, 2), np.stack([(inverse @ part[..., None])[..., 0] for part in leaned])
        trace = np.array([np.trace(part, axis1=1, axis2=2).sum() for part in pulled])
        pairs = np.array([[(left * right.swapaxes(1, 2)).sum() for right in pulled] for left in pulled])
        if reml:
            trace = trace - own / total
            pairs = pairs - 2 * np.tensordot(leaned, solved, ([1, 2], [1, 2])) / total + np.outer(own, own) / total**2
        turned = np.stack([(inverse @ part[..., None])[..., 0] for part in applied])
        across = np.tensordot(applied, rows, 2)
        quadratic = np.tensordot(applied, turned, ([1, 2], [1, 2])) - np.outer(across, across) / total
        score = 0.5 * (np.tensordot(applied, py, 2) - trace)
        return Evaluation(float(value), score, quadratic - 0.5 * pairs, 0.5 * pairs)

    @cached_property
    def typical(self) -> float:
        """Typical sampling variance, ``(k - 1) / trace`` (Higgins and Thompson 2002, eq. 9, for any covariance)."""
        inverse, rows, total, *_ = self._solved(np.zeros(len(self.labels)))
        # Padding has 1 on the diagonal of the inverse too.
        lost = np.trace(inverse, axis1=1, axis2=2).sum() - (~self.index[1]).sum() - (rows * rows).sum() / total
        return float((self.y.size - 1) / lost) if self.y.size > 1 else float(self.covariance[0, 0])

    @cached_property
    def q(self) -> float:
        """Generalised Q of a common mean without any level."""
        *_, py, residual = self._solved(np.zeros(len(self.labels)))
        return float((residual * py).sum())


def _connected(covariance: NDArray, outer: NDArray) -> list[NDArray]:
    """Numbers of the estimates that hang together through a shared outermost group or a sampling covariance."""
    member = outer.copy()
    for i, j in zip(*np.nonzero(np.triu(covariance, 1)), strict=True):
        if member[i] != member[j]:
            member[member == member[j]] = member[i]
    return [np.flatnonzero(member == label) for label in np.unique(member)]


def maximise(structure: Levels, method: str) -> NDArray:
    """Variances that maximise the likelihood, shape (levels,): every set of levels is tried, the others at zero."""
    count = len(structure.labels)
    best = np.zeros(count)
    top = structure.loglik(best, method)
    if structure.y.size < 2:
        return best
    for size in range(1, count + 1):
        for free in combinations(range(count), size):
            for start in STARTS:
                sigma2 = np.zeros(count)
                sigma2[list(free)] = start * structure.typical
                sigma2 = climb(structure, sigma2, list(free), method)
                value = structure.loglik(sigma2, method)
                # A level more must raise the likelihood by more than rounding.
                if value > top + 1e-11 * (1 + abs(top)):
                    best, top = sigma2, value
    return best


def climb(structure: Levels, sigma2: NDArray, free: list[int], method: str) -> NDArray:
    """Newton steps on the logarithms of the free variances, damped until the likelihood rises; the others stay.

    A variance that falls below :data:`NEGLIGIBLE` is set to zero, which ends the climb: the choice of levels without it
    is climbed on its own.
    """
    sigma2, here, damping = sigma2.copy(), structure.evaluate(sigma2, method), 0.0
    for _ in range(STEPS):
        s = sigma2[free]
        gradient, scale = s * here.score[free], np.outer(s, s)
        observed, expected = (part[np.ix_(free, free)] * scale for part in (here.observed, here.expected))
        curvature = _positive(observed - np.diag(gradient), expected)
        step = np.clip(np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient), -3.0, 3.0)
        proposal = sigma2.copy()
        proposal[free] = s * np.exp(step)
        there = structure.evaluate(proposal, method)
        longest = np.abs(step).max()
        if there.value >= here.value or longest < 1e-5:
            sigma2, here, damping = proposal, there, damping / 10 if damping > 1e-3 else 0.0
        else:
            damping = 10 * damping + 0.1
        small = sigma2 < NEGLIGIBLE * structure.typical
        if longest < TOLERANCE or small[free].any():
            break
    return np.where(sigma2 < NEGLIGIBLE * structure.typical, 0.0, sigma2)


def _positive(observed: NDArray, expected: NDArray) -> NDArray:
    """The observed information where it is positive definite, else the expected one, kept away from singular."""
    if np.linalg.eigvalsh(observed)[0] > 1e-8 * np.abs(np.diag(observed)).max():
        return observed
    return expected + 1e-10 * np.trace(expected) * np.eye(len(expected)) + 1e-300 * np.eye(len(expected))


def profile_limits(structure: Levels, sigma2: NDArray, method: str, level: float) -> NDArray:
    """Limits of each variance by the profile likelihood, the other variances at their best, shape (levels, 2)."""
    target = structure.loglik(sigma2, method) - 0.5 * float(chdtri(1, 1 - level))
    typical = structure.typical

    def gap(i: int, value: float) -> float:
        at = sigma2.copy()
        others = [j for j in range(len(sigma2)) if j != i]
        at[i] = value
        best = structure.loglik(np.where(np.arange(len(sigma2)) == i, value, 0.0), method)
        if others:
            at[others] = np.maximum(at[others], 0.1 * typical)
            best = max(best, structure.loglik(climb(structure, at, others, method), method))
        return best - target

    limits = np.empty((len(sigma2), 2))
    for i, estimate in enumerate(sigma2):
        limits[i, 0] = 0.0 if estimate == 0 or gap(i, 0.0) >= 0 else _root(lambda s, i=i: gap(i, s), 0.0, estimate)
        upper = 4 * max(estimate, 0.1 * typical)
        while gap(i, upper) > 0 and upper < LARGEST * typical:
            upper *= 4
        limits[i, 1] = np.inf if gap(i, upper) > 0 else _root(lambda s, i=i: gap(i, s), upper, estimate)
    return limits


def _root(function: Callable[[float], float], outside: float, inside: float) -> float:
    """Where a function turns from negative (``outside``) to positive (``inside``): regula falsi with halved weights."""
    low, high, f_low, f_high = outside, inside, function(outside), function(inside)
    for _ in range(ROOT_STEPS):
        middle = high - f_high * (high - low) / (f_high - f_low)
        value = function(middle)
        if abs(value) < ROOT_TOLERANCE or abs(high - low) < ROOT_TOLERANCE * abs(high):
            break
        if value < 0:
            low, f_low, f_high = middle, value, f_high / 2
        else:
            high, f_high, f_low = middle, value, f_low / 2
    return float(middle)
