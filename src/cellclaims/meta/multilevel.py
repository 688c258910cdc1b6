r"""Multilevel models of dependent effects: several estimates per study, groups of studies, sampling errors that share
patients.

.. math:: y = \mu 1 + \sum_l Z_l u_l + e, \quad u_l \sim N(0, \sigma^2_l I), \quad e \sim N(0, V)

A *level* is a grouping of the estimates with its own variance; levels are nested, the outer one first. The usual
three-level model has studies, estimates within studies, and the sampling errors V (Konstantopoulos 2011,
https://doi.org/10.1002/jrsm.35).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import chdtri

from cellclaims.errors import PoolingError
from cellclaims.meta.flags import SEVERAL_MODES_IN_WORDS
from cellclaims.meta.inputs import Labels, as_float, as_labels, check_share, one_of, per_study, refuse_where
from cellclaims.meta.modes import FACTOR, grid_from_zero, tops
from cellclaims.meta.quantiles import chi2_upper, normal_quantile, normal_two_sided, t_quantile, t_two_sided
from cellclaims.meta.result import Estimate, Result, written

if TYPE_CHECKING:
    from cellclaims.meta.fit import Fit


# Standard errors that are valid if the model of dependence is wrong: sandwich estimators by clusters.
#
# With W the inverse of the fitted covariance, e the residuals and :math:`S = 1'W1`, the variance of the pooled mean is
#
# .. math:: S^{-2} \sum_g (1' W_g A_g e_g)^2
#
# CR0 takes :math:`A_g = I`; CR1 multiplies CR0 by :math:`m / (m - 1)` for m clusters; CR2 takes the :math:`A_g` that
# make it unbiased under the fitted model (Pustejovsky and Tipton 2018, https://doi.org/10.1080/07350015.2016.1247004,
# eqs. 5 and 6).


KINDS = ("CR0", "CR1", "CR2")


@dataclass(frozen=True, repr=False)
class RobustFit(Result):
    """The pooled mean with a cluster-robust standard error.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub, stat, p : float
        By the t distribution with ``df`` degrees of freedom.
    df : float
        Clusters less 1 for CR0 and CR1, Satterthwaite's for CR2.
    kind : str
    n_clusters : int
    level : float
    flags : tuple of str
    """

    beta: float
    se: float
    ci_lb: float
    ci_ub: float
    stat: float
    p: float
    df: float
    kind: str
    n_clusters: int
    level: float
    flags: tuple[str, ...] = ()

    @property
    def k(self) -> int:
        """Clusters."""
        return self.n_clusters

    def _title(self) -> str:
        """Return the estimator."""
        return f"Cluster-robust standard error {self.kind} ({self.n_clusters} clusters)"


def robust(fit: Fit | MultilevelFit, cluster: ArrayLike, kind: str = "CR2", level: float | None = None) -> RobustFit:
    """Compute cluster-robust inference for the mean of a fit.

    Parameters
    ----------
    fit : Fit or MultilevelFit
        One fit (no batch) of a common mean.
    cluster : array-like of labels, shape (k,)
        Cluster of each estimate; estimates of different clusters are taken as independent.
    kind : {"CR2", "CR1", "CR0"}
    level : float, optional
        That of the fit when left out.

    Returns
    -------
    RobustFit

    Raises
    ------
    PoolingError
        A batch, a fit with moderators or given weights, a cluster label too few or too many, a single cluster,
        an unknown kind, clusters that cut through estimates which the fit takes as correlated.

    Examples
    --------
    >>> from cellclaims.meta.multilevel import multilevel
    >>> groups = ["a", "a", "b", "b", "c"]
    >>> fit = multilevel([0.1, 0.3, 0.5, 0.2, 0.9], [0.02] * 5, groups)
    >>> result = robust(fit, groups)
    >>> result.n_clusters, round(result.beta, 3)
    (3, 0.465)
    """
    kind = one_of(kind, KINDS, "kind")
    y, covariance, slab = _ingredients(fit)
    given, _ = per_study({"cluster": cluster}, order=slab)
    labels = as_labels(given["cluster"], "cluster", y.size, slab)
    number = {label: i for i, label in enumerate(dict.fromkeys(labels))}
    member = np.array([number[label] for label in labels])
    groups = [np.flatnonzero(member == i) for i in range(len(number))]
    if len(groups) < 2:
        raise PoolingError(f"cluster: expected at least 2 clusters, found {len(groups)}")
    same = member[:, None] == member
    if np.any(covariance[~same] != 0):
        raise PoolingError("cluster: expected correlated estimates in one cluster, found a covariance between two")
    variance, df = _sandwich(y, covariance, groups, kind)
    level = fit.level if level is None else check_share(level, "level")
    beta, se = float(fit.beta), float(np.sqrt(variance))
    half = float(t_quantile(level, df)) * se
    p = float(t_two_sided(beta / se, df))
    return RobustFit(beta, se, beta - half, beta + half, beta / se, p, df, kind, len(groups), level)


def _ingredients(fit: Fit | MultilevelFit) -> tuple[NDArray, NDArray, Labels]:
    """Estimates, their fitted covariance and their labels."""
    if np.ndim(fit.beta) != 0:
        raise PoolingError(f"expected one fit of a common mean, found coefficients of shape {np.shape(fit.beta)}")
    if hasattr(fit, "structure"):
        return fit.yi, fit.variance, fit.slab
    if fit.effects.weights is not None:
        raise PoolingError("weights: expected a fit by inverse variances, found one with given weights")
    keep = slice(None) if fit.effects.keep is None else fit.effects.keep
    y, v = np.asarray(fit.effects.yi)[keep], np.asarray(fit.effects.vi)[keep]
    slab = None if fit.effects.slab is None else tuple(np.array(fit.effects.slab, dtype=object)[keep])
    return y, np.diag(v + np.nan_to_num(float(fit.tau2))), slab


def _sandwich(y: NDArray, covariance: NDArray, groups: list[NDArray], kind: str) -> tuple[float, float]:
    """Variance of the mean and its degrees of freedom."""
    weights = np.linalg.solve(covariance, np.ones_like(y))
    total = weights.sum()
    residual = y - weights @ y / total
    m = len(groups)
    if kind != "CR2":
        parts = np.array([weights[g] @ residual[g] for g in groups])
        return float((parts @ parts) / total**2) * (m / (m - 1) if kind == "CR1" else 1.0), float(m - 1)
    pulls = [_adjustment(covariance[np.ix_(g, g)], total).T @ weights[g] / total for g in groups]
    variance = sum((pull @ residual[g]) ** 2 for pull, g in zip(pulls, groups, strict=True))
    # Under the fitted model: covariances of the clusters' contributions, for Satterthwaite's degrees of freedom.
    own = np.array([pull @ covariance[np.ix_(g, g)] @ pull for pull, g in zip(pulls, groups, strict=True)])
    ones = np.array([pull.sum() for pull in pulls])
    matrix = np.diag(own) - np.outer(ones, ones) / total
    return float(variance), float(np.trace(matrix) ** 2 / (matrix**2).sum())


def _adjustment(block: NDArray, total: float) -> NDArray:
    """Return the matrix A of one cluster: ``D' (D (block - 11'/total) D')^(-1/2) D`` with ``D'D = block``."""
    root = np.linalg.cholesky(block).T
    values, vectors = np.linalg.eigh(root @ (block - 1.0 / total) @ root.T)
    # A cluster that alone decides its fitted value has a zero eigenvalue: nothing of it is left to adjust.
    inverse_root = np.where(values > 1e-12 * values.max(), 1 / np.sqrt(np.maximum(values, 1e-300)), 0.0)
    return root.T @ (vectors * inverse_root) @ vectors.T @ root


# The (restricted) likelihood of a multilevel model with a common mean, and its maximum over the levels' variances.


#: Grid of standard deviations: from this proportion of the smallest sampling error to this multiple of the range.
LEAST_SD, MOST_RANGES = 0.2, 3.0
#: Multiplications that a scan may take: with large blocks or many levels its grid is coarser.
SCAN_WORK = 3e9
#: Numbers of a scan that are worked on at once.
SCAN_NUMBERS = 2_000_000
#: No logarithm of a variance moves farther than this in one step: a climb stays on its hill.
LONGEST = 1.0
#: Modes whose variances differ by less, relative to them or to the smallest of the grid, are one.
SAME_MODE = 1e-3
#: Steps converge quadratically: the one after a relative change below this is lost in rounding.
TOLERANCE, STEPS = 1e-9, 200
#: A variance below this many typical sampling variances is zero.
NEGLIGIBLE = 1e-8
#: Root search of the profile limits: bracket by factors of 4, then bisection and secants.
ROOT_STEPS, ROOT_TOLERANCE = 120, 1e-9
#: Multiple of the typical sampling variance above which a variance that is still likely has no upper limit.
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

    def heights(self, sigma2: NDArray, method: str) -> NDArray:
        """Log-likelihood up to a constant for many sets of variances, shape (g, levels), as shape (g,)."""
        place, real = self.index
        covariance, patterns = self.blocks
        sides = np.stack([real.astype(float), (self.y[place] - np.median(self.y)) * real], axis=-1)
        size = max(1, SCAN_NUMBERS // covariance.size)
        found = []
        for start in range(0, len(sigma2), size):
            part = sigma2[start : start + size]
            full = covariance + sum(part[:, i, None, None, None] * pattern for i, pattern in enumerate(patterns))
            total = np.einsum(
                "mbi,gmbj->gij", sides, np.linalg.solve(full, np.broadcast_to(sides, (*full.shape[:3], 2)))
            )
            q = total[:, 1, 1] - total[:, 0, 1] ** 2 / total[:, 0, 0]
            value = -0.5 * (np.linalg.slogdet(full)[1].sum(-1) + q)
            found.append(value - 0.5 * np.log(total[:, 0, 0]) if method == "REML" else value)
        return np.concatenate(found)

    @cached_property
    def grid(self) -> NDArray:
        """Return the points of each level's standard deviation in the scan; the first is zero."""
        sampling = np.sqrt(np.diag(self.covariance))
        least, most = LEAST_SD * sampling.min(), MOST_RANGES * (np.ptp(self.y) + sampling.max())
        blocks, size = self.index[0].shape
        points = (SCAN_WORK / (blocks * size**3)) ** (1.0 / len(self.labels))
        return grid_from_zero(least, most, max(FACTOR, (most / least) ** (1.0 / max(points, 4.0))))

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
    """Return numbers of the blocks of estimates that share an outermost group or a sampling covariance."""
    member = outer.copy()
    for i, j in zip(*np.nonzero(np.triu(covariance, 1)), strict=True):
        if member[i] != member[j]:
            member[member == member[j]] = member[i]
    return [np.flatnonzero(member == label) for label in np.unique(member)]


def maximise(structure: Levels, method: str, held: Mapping[int, float] | None = None) -> tuple[NDArray, bool]:
    """Variances of highest likelihood, shape (levels,), and whether there are several modes.

    Parameters
    ----------
    structure : Levels
    method : {"REML", "ML"}
    held : mapping of level number to its variance, optional
        Levels whose variance is given.
    """
    held, count = dict(held or {}), len(structure.labels)
    if structure.y.size < 2:
        return np.zeros(count), False
    axes = [np.sqrt([held[i]]) if i in held else structure.grid for i in range(count)]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1)
    height = structure.heights(points.reshape(-1, count) ** 2, method).reshape(points.shape[:-1])
    found = [_polished(structure, point**2, held, method) for point in points[tops(height, count)]]
    modes = [found[0]]
    for sigma2 in found[1:]:
        if not any(_same(structure, sigma2, other) for other in modes):
            modes.append(sigma2)
    best = max(modes, key=lambda sigma2: structure.loglik(sigma2, method))
    return _without_idle(structure, best, held, method), len(modes) > 1


def _without_idle(structure: Levels, sigma2: NDArray, held: Mapping[int, float], method: str) -> NDArray:
    """Return the variances, zero for those that raise the likelihood by no more than rounding."""
    value = structure.loglik(sigma2, method)
    for i in np.flatnonzero(sigma2):
        fewer = np.where(np.arange(len(sigma2)) == i, 0.0, sigma2)
        if i not in held and structure.loglik(fewer, method) >= value - 1e-11 * (1 + abs(value)):
            sigma2 = fewer
    return sigma2


def _same(structure: Levels, first: NDArray, second: NDArray) -> bool:
    least = structure.grid[1] ** 2
    return bool(np.all(np.abs(first - second) < SAME_MODE * (least + np.maximum(first, second))))


def _polished(structure: Levels, sigma2: NDArray, held: Mapping[int, float], method: str) -> NDArray:
    """Return the local maximum reached from a point of the grid; a variance may reach or leave zero."""
    start = (0.5 * structure.grid[1]) ** 2
    for _ in range(2 * len(sigma2)):
        free = [i for i in range(len(sigma2)) if i not in held and sigma2[i] > 0]
        if free:
            sigma2 = climb(structure, sigma2, free, method)
        score = structure.evaluate(sigma2, method).score
        rising = [i for i in range(len(sigma2)) if i not in held and sigma2[i] == 0 and score[i] > 0 and i not in free]
        if not rising:
            lost = any(sigma2[i] == 0 for i in free)
            if not lost or not [i for i in free if sigma2[i] > 0]:
                break
        else:
            sigma2 = sigma2.copy()
            sigma2[rising] = start
    return sigma2


def climb(structure: Levels, sigma2: NDArray, free: list[int], method: str) -> NDArray:
    """Newton steps on the logarithms of the free variances, damped until the likelihood grows; the others are fixed.

    A variance that falls below :data:`NEGLIGIBLE` is set to zero, which ends the climb: the choice of levels without it
    is climbed on its own.
    """
    sigma2, here, damping = sigma2.copy(), structure.evaluate(sigma2, method), 0.0
    for _ in range(STEPS):
        s = sigma2[free]
        gradient, scale = s * here.score[free], np.outer(s, s)
        observed, expected = (part[np.ix_(free, free)] * scale for part in (here.observed, here.expected))
        curvature = _positive(observed - np.diag(gradient), expected)
        step = np.clip(np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), gradient), -LONGEST, LONGEST)
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
    """Return the observed information where it is positive definite, else the expected one, kept away from singular."""
    if np.linalg.eigvalsh(observed)[0] > 1e-8 * np.abs(np.diag(observed)).max():
        return observed
    return expected + 1e-10 * np.trace(expected) * np.eye(len(expected)) + 1e-300 * np.eye(len(expected))


def profile_limits(structure: Levels, sigma2: NDArray, method: str, level: float) -> NDArray:
    """Limits of each variance by the profile likelihood, the other variances at their best, shape (levels, 2)."""
    target = structure.loglik(sigma2, method) - 0.5 * float(chdtri(1, 1 - level))
    typical = structure.typical

    def gap(i: int, value: float) -> float:
        return structure.loglik(maximise(structure, method, {i: value})[0], method) - target

    limits = np.empty((len(sigma2), 2))
    for i, estimate in enumerate(sigma2):
        limits[i, 0] = 0.0 if estimate == 0 or gap(i, 0.0) >= 0 else _root(lambda s, i=i: gap(i, s), 0.0, estimate)
        upper = 4 * max(estimate, 0.1 * typical)
        while gap(i, upper) > 0 and upper < LARGEST * typical:
            upper *= 4
        limits[i, 1] = np.inf if gap(i, upper) > 0 else _root(lambda s, i=i: gap(i, s), upper, estimate)
    return limits


def _root(function: Callable[[float], float], outside: float, inside: float) -> float:
    """Find the root between negative (``outside``) and positive (``inside``) by regula falsi with halved weights."""
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


__all__ = ["MultilevelFit", "RobustFit", "multilevel", "robust"]

FEW = 4


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class MultilevelFit(Estimate):
    """A fitted multilevel model.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub, stat, p, df : float
        The mean with its test.
    sigma2, I2 : ndarray, shape (levels,)
        Variance of each level, and its part of the total variance in percent (by the typical sampling variance), in the
        order of ``levels``.
    H2 : float
        Total over typical sampling variance.
    pi_lb, pi_ub : float
        Prediction interval of a new estimate in a new outermost group.
    Q, Q_p : float
        Residual heterogeneity without any level, ``k - 1`` degrees of freedom.
    loglik : float
    levels : tuple of str
    groups_a_level : tuple of int
        Number of groups of each level.
    yi : ndarray, shape (k,)
    structure : Levels
    slab : tuple of str, or None
    k, flags, level, method, test, model
        As in every result.
    """

    stat: float
    p: float
    sigma2: NDArray
    pi_lb: float
    pi_ub: float
    Q_p: float
    loglik: float
    df: float
    levels: tuple[str, ...]
    groups_a_level: tuple[int, ...]
    method: str
    test: str
    yi: NDArray
    structure: Levels
    slab: Labels = None
    model: str = "multilevel"

    def _title(self) -> str:
        """Return the model."""
        return f"Multilevel model (k = {self.k}; variances by {self.method})"

    def _more_columns(self) -> dict[str, float]:
        both = zip(self.levels, self.sigma2, self.I2, strict=True)
        return {f"{part}_{name}": v for name, s, i in both for part, v in (("sigma2", s), ("I2", i))}

    def _heterogeneity(self) -> list[str]:
        lines = [
            f"Variance of level {name}: {written(s)} ({count} groups)"
            for name, s, count in zip(self.levels, self.sigma2, self.groups_a_level, strict=True)
        ]
        return [*lines, *super()._heterogeneity()]

    @property
    def variance(self) -> NDArray:
        """Fitted marginal covariance of the estimates, shape (k, k)."""
        return self.structure.variance(np.nan_to_num(self.sigma2))

    @property
    def tau2(self) -> float:
        """Total variance between estimates: the sum over levels."""
        return float(self.sigma2.sum())

    @cached_property
    def sigma2_ci(self) -> NDArray:
        """Profile-likelihood limits of each level's variance, shape (levels, 2); 0 where the likelihood never falls."""
        return profile_limits(self.structure, self.sigma2, self.method, self.level)


def multilevel(
    yi: ArrayLike,
    V: ArrayLike,
    groups: ArrayLike | Mapping[str, ArrayLike],
    *,
    slab: ArrayLike | None = None,
    method: str = "REML",
    test: str = "t",
    dfs: str = "contain",
    level: float = 0.95,
) -> MultilevelFit:
    """Pool estimates that are grouped, with a variance for each level.

    Parameters
    ----------
    yi : array-like of float, shape (k,)
        Estimates.
    V : array-like of float, shape (k,) or (k, k)
        Sampling variances, or the whole sampling covariance.
    groups : array-like of labels, shape (k,), or mapping of level name to such labels
        One array: its groups and the estimates within them are the levels. A mapping: these levels and no others,
        outermost first; labels count within the levels before them.
    slab : array-like of str, shape (k,), optional
        Labels of the estimates.
    method : {"REML", "ML"}
    test : {"t", "z"}
    dfs : {"contain", "residual"}
        Degrees of freedom of t: outermost groups less 1, or estimates less 1.
    level : float

    Returns
    -------
    MultilevelFit

    Raises
    ------
    PoolingError
        Shapes that do not fit, missing numbers, a covariance that is not symmetric and positive definite, two levels
        with the same groups, an option that is not known.

    Examples
    --------
    >>> fit = multilevel([0.1, 0.3, 0.5, 0.2, 0.9], [0.02] * 5, ["a", "a", "b", "b", "c"])
    >>> round(fit.beta, 3), fit.levels, fit.k
    (0.465, ('group', 'estimate'), 5)
    """
    method, test = one_of(method, ("REML", "ML"), "method"), one_of(test, ("t", "z"), "test")
    dfs, level = one_of(dfs, ("contain", "residual"), "dfs"), check_share(level, "level")
    levels = groups if isinstance(groups, Mapping) else {"group": groups}
    given, slab = per_study({"yi": yi, "V": V} | {f"groups[{name!r}]": each for name, each in levels.items()}, slab)
    y, covariance = _read(given.pop("yi"), given.pop("V"), slab)
    found = dict(zip(levels, given.values(), strict=True))
    if not isinstance(groups, Mapping):
        found["estimate"] = np.arange(y.size)
    names, labels = _nest(found, y.size, slab)
    structure = Levels(y, covariance, labels)
    sigma2, several = maximise(structure, method)
    return _assemble(structure, sigma2, several, names, method, test, dfs, level, slab)


def _read(yi: ArrayLike, V: ArrayLike, slab: Labels) -> tuple[NDArray, NDArray]:
    """Estimates and their sampling covariance, checked."""
    y, v = as_float(yi, "yi", slab), as_float(V, "V", slab)
    if y.ndim != 1 or y.size == 0 or v.shape not in ((y.size,), (y.size, y.size)):
        raise PoolingError(f"expected yi of shape (k,) and V of shape (k,) or (k, k), found {y.shape} and {v.shape}")
    for name, values in (("yi", y), ("V", v)):
        refuse_where(~np.isfinite(values), values, name, "finite numbers", slab)
    covariance = np.diag(v) if v.ndim == 1 else v
    if not np.allclose(covariance, covariance.T, rtol=1e-10, atol=0):
        raise PoolingError("V: expected a symmetric covariance, found one that is not")
    smallest = v.min() if v.ndim == 1 else np.linalg.eigvalsh(covariance)[0]
    if smallest <= 0:
        raise PoolingError(
            f"V: expected a positive definite covariance (variances above zero), found an eigenvalue of {smallest:g}"
        )
    return y, covariance


def _nest(groups: Mapping[str, ArrayLike], k: int, slab: Labels) -> tuple[tuple[str, ...], list[NDArray]]:
    """Level names, and for each level the number of its group of every estimate, nested in the levels before."""
    if not groups:
        raise PoolingError("groups: expected at least one level, found none")
    labels, outer = [], np.zeros(k, int)
    for name, values in groups.items():
        own = as_labels(values, f"groups[{name!r}]", k, slab)
        number = {label: i for i, label in enumerate(dict.fromkeys(own))}
        within = np.array([number[label] for label in own])
        outer = np.unique(outer * (k + 1) + within, return_inverse=True)[1]
        if labels and outer.max() == labels[-1].max():
            raise PoolingError(f"groups: level {name!r} has the same groups as the one before; give each level once")
        labels.append(outer)
    return tuple(groups), labels


def _assemble(
    structure: Levels,
    sigma2: NDArray,
    several: bool,
    names: tuple[str, ...],
    method: str,
    test: str,
    dfs: str,
    level: float,
    slab: Labels,
) -> MultilevelFit:
    """Limits, tests, heterogeneity and flags."""
    k, sizes = structure.y.size, tuple(int(labels.max()) + 1 for labels in structure.labels)
    beta, se = structure.mean(sigma2)
    normal = test == "z" or k == 1  # a single estimate is shown with its own interval
    df = np.inf if normal else float((sizes[0] if dfs == "contain" else k) - 1)
    quantile = normal_quantile(level) if normal else float(t_quantile(level, df))
    # As everywhere in the package the prediction takes one more degree of freedom than the mean.
    wider = normal_quantile(level) if test == "z" else float(t_quantile(level, df - 1)) if k > 1 else np.nan
    if k == 1:  # nor does it say anything of a spread
        wider, sigma2 = np.nan, np.full(len(sigma2), np.nan)
    half, width = quantile * se, wider * np.sqrt(se**2 + sigma2.sum())
    flags = {
        "single estimate: shown, not pooled": k == 1,
        f"few outermost groups: {sizes[0]}": sizes[0] <= FEW,
        "one outermost group: no degrees of freedom for an interval (dfs='residual' has some)": df < 1,
        "no prediction interval: too few groups": not np.isfinite(width),
        SEVERAL_MODES_IN_WORDS: several,
    }
    flags |= {
        f"variance of level {n} estimated as zero, the boundary": s == 0 for n, s in zip(names, sigma2, strict=True)
    }
    return MultilevelFit(
        beta=beta,
        se=se,
        ci_lb=beta - half,
        ci_ub=beta + half,
        stat=beta / se,
        p=float(normal_two_sided(beta / se) if normal else t_two_sided(beta / se, df)),
        sigma2=sigma2,
        I2=100 * sigma2 / (sigma2.sum() + structure.typical),
        H2=float(1 + sigma2.sum() / structure.typical),
        pi_lb=beta - width,
        pi_ub=beta + width,
        Q=structure.q if k > 1 else np.nan,
        Q_p=float(chi2_upper(structure.q, k - 1)) if k > 1 else np.nan,
        loglik=structure.loglik(np.nan_to_num(sigma2), method),
        k=k,
        df=df,
        levels=names,
        groups_a_level=sizes,
        flags=tuple(words for words, holds in flags.items() if holds),
        method=method,
        test=test,
        level=level,
        yi=structure.y,
        structure=structure,
        slab=slab,
    )
