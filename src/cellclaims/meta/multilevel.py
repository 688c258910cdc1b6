r"""Effects that belong together: several estimates of one study, studies of one group, sampling errors that share
patients.

.. math:: y = \mu 1 + \sum_l Z_l u_l + e, \quad u_l \sim N(0, \sigma^2_l I), \quad e \sim N(0, V)

A *level* is a grouping of the estimates with a variance of its own; levels are nested, the outer one first. The usual
three-level model has studies, estimates within studies, and the sampling errors V (Konstantopoulos 2011,
https://doi.org/10.1002/jrsm.35).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellclaims.errors import PoolingError
from cellclaims.meta.cluster_robust import RobustFit, robust
from cellclaims.meta.multilevel_likelihood import Levels, maximise, profile_limits
from cellclaims.meta.quantiles import chi2_upper, normal_quantile, normal_two_sided, t_quantile, t_two_sided

__all__ = ["MultilevelFit", "RobustFit", "multilevel", "robust"]

FEW = 4


@dataclass(frozen=True, eq=False)
class MultilevelFit:
    """A fitted multilevel model.

    ``sigma2`` and ``I2`` (percent, by the typical sampling variance) have one entry a level, in the order of
    ``levels``; ``groups_a_level`` counts their groups. ``Q`` is the residual heterogeneity without any level, ``k -
    1`` degrees of freedom. The prediction interval is that of a new estimate in a new outermost group. ``variance``
    is the fitted marginal covariance of the estimates, shape (k, k).
    """

    beta: float
    se: float
    ci_lb: float
    ci_ub: float
    stat: float
    p: float
    sigma2: NDArray
    I2: NDArray
    pi_lb: float
    pi_ub: float
    Q: float
    Q_p: float
    loglik: float
    k: int
    df: float
    levels: tuple[str, ...]
    groups_a_level: tuple[int, ...]
    flags: tuple[str, ...]
    method: str
    test: str
    level: float
    yi: NDArray = field(repr=False)
    structure: Levels = field(repr=False)
    model: str = "multilevel"

    @property
    def variance(self) -> NDArray:
        """Fitted marginal covariance of the estimates, shape (k, k)."""
        return self.structure.variance(self.sigma2)

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
    options = {"method": (method, ("REML", "ML")), "test": (test, ("t", "z")), "dfs": (dfs, ("contain", "residual"))}
    for name, (found, choices) in options.items():
        if found not in choices:
            raise PoolingError(f"{name}: expected one of {', '.join(choices)}, found {found!r}")
    y, covariance = _read(yi, V)
    names, labels = _nest(groups, y.size)
    structure = Levels(y, covariance, labels)
    sigma2 = maximise(structure, method)
    return _assemble(structure, sigma2, names, method, test, dfs, level)


def _read(yi: ArrayLike, V: ArrayLike) -> tuple[NDArray, NDArray]:
    """Estimates and their sampling covariance, checked."""
    y, v = np.asarray(yi, float), np.asarray(V, float)
    if y.ndim != 1 or y.size == 0 or v.shape not in ((y.size,), (y.size, y.size)):
        raise PoolingError(f"expected yi of shape (k,) and V of shape (k,) or (k, k), found {y.shape} and {v.shape}")
    if not (np.isfinite(y).all() and np.isfinite(v).all()):
        raise PoolingError("expected finite numbers in yi and V, found missing or infinite ones")
    covariance = np.diag(v) if v.ndim == 1 else v
    if not np.allclose(covariance, covariance.T, rtol=1e-10, atol=0):
        raise PoolingError("expected a symmetric V")
    smallest = v.min() if v.ndim == 1 else np.linalg.eigvalsh(covariance)[0]
    if smallest <= 0:
        raise PoolingError(
            f"expected a positive definite V (variances above zero), found an eigenvalue of {smallest:g}"
        )
    return y, covariance


def _nest(groups: ArrayLike | Mapping[str, ArrayLike], k: int) -> tuple[tuple[str, ...], list[NDArray]]:
    """Level names, and for each level the number of its group of every estimate, nested in the levels before."""
    if not isinstance(groups, Mapping):
        groups = {"group": groups, "estimate": np.arange(k)}
    if not groups:
        raise PoolingError("groups: expected at least one level, found none")
    labels, outer = [], np.zeros(k, int)
    for name, values in groups.items():
        values = np.asarray(values)
        if values.shape != (k,):
            raise PoolingError(f"groups[{name!r}]: expected shape ({k},), found {values.shape}")
        within = np.unique(values, return_inverse=True)[1]
        outer = np.unique(outer * (k + 1) + within, return_inverse=True)[1]
        if labels and outer.max() == labels[-1].max():
            raise PoolingError(f"groups: level {name!r} has the same groups as the one before; give each level once")
        labels.append(outer)
    return tuple(groups), labels


def _assemble(
    structure: Levels, sigma2: NDArray, names: tuple[str, ...], method: str, test: str, dfs: str, level: float
) -> MultilevelFit:
    """Limits, tests, heterogeneity and flags."""
    k, sizes = structure.y.size, tuple(int(labels.max()) + 1 for labels in structure.labels)
    beta, se = structure.mean(sigma2)
    df = np.inf if test == "z" else float((sizes[0] if dfs == "contain" else k) - 1)
    quantile = normal_quantile(level) if test == "z" else float(t_quantile(level, df))
    # As everywhere in the package the prediction takes one more degree of freedom than the mean.
    wider = normal_quantile(level) if test == "z" else float(t_quantile(level, df - 1))
    half, width = quantile * se, wider * np.sqrt(se**2 + sigma2.sum())
    flags = {
        "single estimate: shown, not pooled": k == 1,
        f"few outermost groups: {sizes[0]}": sizes[0] <= FEW,
        "no prediction interval: too few groups": not np.isfinite(width),
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
        p=float(normal_two_sided(beta / se) if test == "z" else t_two_sided(beta / se, df)),
        sigma2=sigma2,
        I2=100 * sigma2 / (sigma2.sum() + structure.typical),
        pi_lb=beta - width,
        pi_ub=beta + width,
        Q=structure.q,
        Q_p=float(chi2_upper(structure.q, k - 1)),
        loglik=structure.loglik(sigma2, method),
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
    )
