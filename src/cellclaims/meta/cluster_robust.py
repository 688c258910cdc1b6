r"""Standard errors that hold when the model of dependence does not: sandwich estimators by clusters.

With W the inverse of the fitted covariance, e the residuals and :math:`S = 1'W1`, the variance of the pooled mean is

.. math:: S^{-2} \sum_g (1' W_g A_g e_g)^2

CR0 takes :math:`A_g = I`; CR1 multiplies CR0 by :math:`m / (m - 1)` for m clusters; CR2 takes the :math:`A_g` that
make it unbiased under the fitted model (Pustejovsky and Tipton 2018, https://doi.org/10.1080/07350015.2016.1247004,
eqs. 5 and 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellclaims.errors import PoolingError
from cellclaims.meta.quantiles import t_quantile, t_two_sided

if TYPE_CHECKING:
    from cellclaims.meta.fit_result import Fit
    from cellclaims.meta.multilevel import MultilevelFit

KINDS = ("CR0", "CR1", "CR2")


@dataclass(frozen=True)
class RobustFit:
    """The pooled mean with a cluster-robust standard error.

    ``df`` is clusters less 1 for CR0 and CR1, Satterthwaite's for CR2; ``stat`` and the limits are those of t.
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


def robust(fit: Fit | MultilevelFit, cluster: ArrayLike, kind: str = "CR2", level: float | None = None) -> RobustFit:
    """Cluster-robust inference for the mean of a fit.

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
        A batch, a fit with moderators or weights of its own, a cluster label too few or too many, a single cluster,
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
    if kind not in KINDS:
        raise PoolingError(f"kind: expected one of {', '.join(KINDS)}, found {kind!r}")
    y, covariance = _ingredients(fit)
    labels = np.asarray(cluster)
    if labels.shape != y.shape:
        raise PoolingError(f"cluster: expected one label an estimate, shape {y.shape}, found {labels.shape}")
    groups = [np.flatnonzero(labels == label) for label in dict.fromkeys(labels.tolist())]
    if len(groups) < 2:
        raise PoolingError(f"cluster: expected at least 2 clusters, found {len(groups)}")
    same = labels[:, None] == labels
    if np.any(covariance[~same] != 0):
        raise PoolingError("cluster: expected correlated estimates in one cluster, found a covariance between two")
    variance, df = _sandwich(y, covariance, groups, kind)
    beta, se, level = float(fit.beta), float(np.sqrt(variance)), fit.level if level is None else level
    half = float(t_quantile(level, df)) * se
    p = float(t_two_sided(beta / se, df))
    return RobustFit(beta, se, beta - half, beta + half, beta / se, p, df, kind, len(groups), level)


def _ingredients(fit: Fit | MultilevelFit) -> tuple[NDArray, NDArray]:
    """Estimates and their fitted covariance."""
    if np.ndim(fit.beta) != 0:
        raise PoolingError(f"expected one fit of a common mean, found coefficients of shape {np.shape(fit.beta)}")
    if hasattr(fit, "structure"):
        return fit.yi, fit.variance
    if fit.effects.weights is not None:
        raise PoolingError("weights: expected a fit by inverse variances, found one with weights of its own")
    keep = slice(None) if fit.effects.keep is None else fit.effects.keep
    y, v = np.asarray(fit.effects.yi)[keep], np.asarray(fit.effects.vi)[keep]
    return y, np.diag(v + np.nan_to_num(float(fit.tau2)))


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
    """The matrix A of one cluster: ``D' (D (block - 11'/total) D')^(-1/2) D`` with ``D'D = block``."""
    root = np.linalg.cholesky(block).T
    values, vectors = np.linalg.eigh(root @ (block - 1.0 / total) @ root.T)
    # A cluster that alone decides its fitted value has a zero eigenvalue: nothing of it is left to adjust.
    inverse_root = np.where(values > 1e-12 * values.max(), 1 / np.sqrt(np.maximum(values, 1e-300)), 0.0)
    return root.T @ (vectors * inverse_root) @ vectors.T @ root
