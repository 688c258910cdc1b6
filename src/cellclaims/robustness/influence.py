"""Influence of single studies on the pooled effect: leave-one-out, cumulative and regression diagnostics.

Each is the same fit under other choices of studies: one batch of the engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.batch import Projection, single_batch
from cellclaims.meta.fit import Fit, as_fit, fit_effects
from cellclaims.meta.inputs import as_order, check_share, one_of, per_study
from cellclaims.meta.quantiles import chi2_upper


def refit(fit: Fit, keep: np.ndarray, scheduler: str | None = None) -> Fit:
    """Refit with other selections of the studies.

    Parameters
    ----------
    fit : Fit
        One fit.
    keep : ndarray of bool, shape (b, k)
        Studies of each choice; what the fit does not keep stays out.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the fits; this machine if not given.

    Returns
    -------
    Fit
        A batch of shape (b,).

    Raises
    ------
    PoolingError
        If ``fit`` is a batch.
    ClusterError
        If the cluster cannot be used.
    """
    _refuse_batch(fit)
    effects = fit.effects
    keep = keep if effects.keep is None else keep & effects.keep
    return fit_effects(replace(effects, keep=keep, shape=(len(keep),)), fit.method, fit.test, fit.level, scheduler)


def _refuse_batch(fit: Fit) -> None:
    if fit.shape != ():
        raise PoolingError(f"expected one fit, found a batch of shape {fit.shape}")


def leave_one_out(fit: Fit | ArrayLike, vi: ArrayLike | None = None, **choices: Any) -> Fit:
    """Fit without each of the studies in turn.

    Parameters
    ----------
    fit : Fit, EffectSizes or array-like
        One fit, or effects.
    vi : array-like, optional
        Variances, where effects are given.
    **choices
        As in :func:`cellclaims.meta.fit`, where effects are given.

    Returns
    -------
    Fit
        A batch of shape (k,): entry i is without study i (and is the fit itself where that one did not count).

    Raises
    ------
    PoolingError
        If ``fit`` is a batch, or has a single study.

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> without = leave_one_out(fit([0.1, 0.3, 0.8], [0.01, 0.01, 0.01], method="EE"))
    >>> [round(float(b), 6) for b in without.beta]
    [0.55, 0.45, 0.2]
    """
    fit = _two_or_more(as_fit(fit, vi, **choices), "leave_one_out")
    return refit(fit, ~np.eye(fit.effects.k, dtype=bool))


def _two_or_more(fit: Fit, what: str) -> Fit:
    _refuse_batch(fit)
    if fit.k < 2:
        raise PoolingError(f"{what}: expected at least 2 studies, found {int(fit.k)}")
    return fit


def cumulative(
    fit: Fit | ArrayLike, order: Sequence | None = None, *, vi: ArrayLike | None = None, **choices: Any
) -> Fit:
    """Fit the first study, the first two, and so on.

    Parameters
    ----------
    fit : Fit, EffectSizes or array-like
        One fit, or effects.
    order : sequence of length k, optional
        What to sort the studies by (year of publication, precision), ties in the order given; the order given if none.
    vi : array-like, optional
        Variances, where effects are given.
    **choices
        As in :func:`cellclaims.meta.fit`, where effects are given.

    Returns
    -------
    Fit
        A batch of shape (k,): entry i uses the first i + 1 studies of the order.

    Raises
    ------
    PoolingError
        If ``fit`` is a batch, or ``order`` does not have one entry per study, has a missing one, or some that cannot
        be compared.

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> pooled = fit([0.1, 0.3, 0.8], [0.01, 0.01, 0.01], method="EE")
    >>> [round(float(b), 6) for b in cumulative(pooled, order=[2003, 2001, 2002]).beta]
    [0.3, 0.55, 0.4]
    """
    fit = as_fit(fit, vi, **choices)
    k, place = fit.effects.k, np.arange(fit.effects.k)
    if order is not None:
        given, _ = per_study({"order": order}, order=fit.effects.slab)
        place = as_order(given["order"], k, fit.effects.slab)
    return refit(fit, place <= np.arange(k)[:, None])


@dataclass(frozen=True, eq=False)
class Influence:
    """Influence diagnostics of each study, each of shape (k,), or (k, p) for ``dfbetas``.

    Attributes
    ----------
    rstandard, rstudent : ndarray
        Residual over its standard error, from the fit with the study and without it.
    dffits : ndarray
        Change of the study's fitted value, in standard errors, when it is left out.
    cook_d : ndarray
        Distance that all coefficients move.
    cov_r : ndarray
        Generalised variance of the coefficients without the study over that with it: below 1 it costs precision.
    tau2_del, QE_del : ndarray
        tau2 and Q without the study.
    hat : ndarray
        Leverage.
    weight : ndarray
        Percent.
    dfbetas : ndarray
        Change of each coefficient in standard errors.
    influential : ndarray of bool
        By the usual rules of thumb (:data:`RULES`).
    """

    rstandard: np.ndarray
    rstudent: np.ndarray
    dffits: np.ndarray
    cook_d: np.ndarray
    cov_r: np.ndarray
    tau2_del: np.ndarray
    QE_del: np.ndarray
    hat: np.ndarray
    weight: np.ndarray
    dfbetas: np.ndarray
    influential: np.ndarray


#: When a study counts as influential: any of these, with k studies and p coefficients (Viechtbauer and Cheung 2010).
RULES = (
    "|dffits| > 3 sqrt(p / (k - p))",
    "cook_d beyond the median of chi-squared with p degrees of freedom",
    "hat > 3 p / k",
    "any |dfbetas| > 1",
)


def influence(fit: Fit | ArrayLike, vi: ArrayLike | None = None, **choices: Any) -> Influence:
    """Compute outlier and influence diagnostics of each study (Viechtbauer and Cheung 2010, https://doi.org/10.1002/jrsm.11).

    Parameters
    ----------
    fit : Fit, EffectSizes or array-like
        One fit that keeps all its studies, with or without moderators; or effects.
    vi : array-like, optional
        Variances, where effects are given.
    **choices
        As in :func:`cellclaims.meta.fit`, where effects are given.

    Returns
    -------
    Influence
        NaN for a study without which nothing can be estimated.

    Raises
    ------
    PoolingError
        If ``fit`` is a batch, has a single study, keeps only some of its studies, or has a standard error of zero (knha
        of equal effects).

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> found = influence(fit([0.1, 0.2, 0.0, 0.1, 2.0], [0.02, 0.03, 0.02, 0.04, 0.02]))
    >>> found.influential.tolist()
    [False, False, False, False, True]
    """
    fit = _two_or_more(as_fit(fit, vi, **choices), "influence")
    if fit.effects.keep is not None and not fit.effects.keep.all():
        raise PoolingError("influence: expected a fit of all its studies, found one that leaves some out")
    if np.any(fit.se == 0.0):
        raise PoolingError("influence: expected standard errors above zero, found 0: the effects do not differ")
    without, vi = leave_one_out(fit), fit.effects.vi
    x, hat, vb_scaled = _geometry(fit, np.nan_to_num(without.tau2))
    (beta, vb), (beta_del, vb_del) = _as_matrices(fit), _as_matrices(without)
    residual, residual_del = fit.effects.yi - x @ beta, fit.effects.yi - np.sum(x * beta_del, axis=1)
    m, m_del, moved = vi + fit.tau2, vi + without.tau2, beta - beta_del
    s2, h = _test_scale(without, x, beta_del), np.diagonal(hat)
    with np.errstate(divide="ignore", invalid="ignore"):
        dffits = (residual_del - residual) / np.sqrt(s2 * _fitted_variance(fit, hat, m_del))
        dfbetas = moved / np.sqrt(s2[:, None] * np.diagonal(vb_scaled, axis1=1, axis2=2))
        rstandard = residual / np.sqrt(m - 2.0 * h * m + hat**2 @ m)
        rstudent = residual_del / np.sqrt(s2 * m_del + np.einsum("ki,kij,kj->k", x, vb_del, x))
        cov_r = np.linalg.det(vb_del) / np.linalg.det(vb)
    cook_d = np.einsum("ki,ij,kj->k", moved, np.linalg.inv(vb), moved)
    marked = _influential(dffits, cook_d, h, dfbetas)
    columns = dfbetas if fit.effects.design is not None else dfbetas[:, 0]
    numbers = (rstandard, rstudent, dffits, cook_d, cov_r, without.tau2, without.Q, h, fit.weights, columns)
    return Influence(*numbers, marked)


def _as_matrices(fit: Fit) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients (..., p) and their covariance (..., p, p), also where p is 1."""
    if fit.effects.design is not None:
        return fit.beta, fit.vb
    return np.asarray(fit.beta)[..., None], np.asarray(fit.vb)[..., None, None]


def _geometry(fit: Fit, tau2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The design (k, p), the hat matrix (k, k), and the covariance of the coefficients at each other ``tau2``."""
    batch = single_batch(fit.effects)
    design, given = batch.design, batch.given
    w = batch.weights(fit.tau2) if given is None else given
    if fit.effects.design is None:
        x = basis = np.ones((fit.effects.k, 1))
    else:
        x, basis = np.broadcast_to(fit.effects.design, (fit.effects.k, fit.coefficients)), design.x[..., 0].T
    hat = basis @ np.linalg.solve(basis.T @ (w * basis), (w * basis).T)
    if given is None:
        covariance = design.covariance(Projection.at(batch, tau2).gram)
    else:
        covariance = design.covariance(design.gram(w), design.gram(w**2 * (batch.v + tau2)))
    covariance = design.covariance_in_given_units(covariance)
    return x, hat, covariance if covariance.ndim == 3 else covariance[:, None, None]


def _fitted_variance(fit: Fit, hat: np.ndarray, m: np.ndarray) -> np.ndarray:
    """Variance of each fitted value where the marginal variances are ``m``; leverage times ``m`` at best weights."""
    return np.diagonal(hat) * m if fit.effects.weights is None else np.sum(hat**2 * m[:, None], axis=1)


def _test_scale(without: Fit, x: np.ndarray, beta: np.ndarray) -> np.ndarray:
    """Hartung and Knapp's factor of each fit without a study; 1 for z and t."""
    k, p = x.shape
    if without.test in {"z", "t"} or k - 1 <= p:
        return np.ones(k)
    w = np.where(np.eye(k, dtype=bool), 0.0, 1.0 / (without.effects.vi + without.tau2[:, None]))
    s2 = np.sum(w * (without.effects.yi - beta @ x.T) ** 2, axis=1) / (k - 1 - p)
    return s2 if without.test == "knha" else np.maximum(s2, 1.0)


def _influential(dffits: np.ndarray, cook_d: np.ndarray, hat: np.ndarray, dfbetas: np.ndarray) -> np.ndarray:
    """:data:`RULES`."""
    k, p = dfbetas.shape
    beyond = np.abs(dffits) > 3.0 * np.sqrt(p / (k - p))
    return beyond | (chi2_upper(cook_d, p) < 0.5) | (hat > 3.0 * p / k) | (np.abs(dfbetas) > 1.0).any(axis=1)


@dataclass(frozen=True, eq=False)
class Baujat:
    """Coordinates of a Baujat plot, each of shape (k,).

    Attributes
    ----------
    x : ndarray
        Contribution of each study to Q (its squared Pearson residual).
    y : ndarray
        Its influence on the pooled effect: the squared move when it is left out, over the variance then.
    """

    x: np.ndarray
    y: np.ndarray


def baujat(fit: Fit | ArrayLike, vi: ArrayLike | None = None, **choices: Any) -> Baujat:
    """Compute each study's contribution to heterogeneity and to the pooled effect (Baujat et al. 2002,
    https://doi.org/10.1002/sim.1221).

    Parameters
    ----------
    fit : Fit, EffectSizes or array-like
        One fit of a single mean, or effects; the plot was made for the equal-effects model.
    vi : array-like, optional
        Variances, where effects are given.
    **choices
        As in :func:`cellclaims.meta.fit`, where effects are given.

    Returns
    -------
    Baujat

    Raises
    ------
    PoolingError
        If ``fit`` is a batch, has moderators or a single study.

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> plot = baujat(fit([0.0, 0.0, 3.0], [1.0, 1.0, 1.0], method="EE", test="z"))
    >>> plot.x.tolist(), [round(float(y), 6) for y in plot.y]
    ([1.0, 1.0, 4.0], [0.5, 0.5, 2.0])
    """
    fit = _two_or_more(as_fit(fit, vi, **choices), "baujat")
    if fit.effects.design is not None:
        raise PoolingError("baujat: expected a fit of a single mean, found one with moderators")
    without = leave_one_out(fit)
    x = (fit.effects.yi - fit.beta) ** 2 / (fit.effects.vi + fit.tau2)
    return Baujat(x, (fit.beta - without.beta) ** 2 / without.vb)


# The pooled effect under every choice of studies, and under chance: all subsets (GOSH) and the bootstrap.


#: All subsets of more studies than this are a billion fits or more: a sample of them says the same.
MOST_STUDIES = 30


@dataclass(frozen=True, eq=False)
class Subsets:
    """Fits of subsets of the studies.

    Attributes
    ----------
    fit : Fit
        A batch of shape (subsets,).
    keep : ndarray of bool, shape (subsets, k)
    complete : bool
        Whether these are all subsets of at least the smallest size, or a sample.
    """

    fit: Fit
    keep: np.ndarray
    complete: bool


def all_subsets(
    fit: Fit | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    smallest: int = 1,
    most: int = 2**20,
    seed: int = 1,
    scheduler: str | None = None,
    **choices: Any,
) -> Subsets:
    """Pool every subset of the studies (Olkin, Dahabreh and Trikalinos 2012, https://doi.org/10.1002/jrsm.1053).

    Parameters
    ----------
    fit : Fit, EffectSizes or array-like
        One fit that keeps all its studies, or effects; its method and test are used for every subset.
    vi : array-like, optional
        Variances, where effects are given.
    smallest : int
        Fewest studies of a subset.
    most : int
        Most subsets to fit: if there are more, this many are drawn at random, each study kept or not with equal chance
        (with fewer than ``smallest`` kept it is drawn again).
    seed : int
        Seed of the draw.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the fits; this machine if not given. The numbers are the same.
    **choices
        As in :func:`cellclaims.meta.fit`, where effects are given.

    Returns
    -------
    Subsets
        All subsets in the order of their binary numbers (the first study is the lowest bit).

    Raises
    ------
    PoolingError
        If ``fit`` is a batch or leaves studies out, or ``smallest`` is not between 1 and k.
    ClusterError
        If the cluster cannot be used.

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> found = all_subsets(fit([0.1, 0.3, 0.8], [0.01, 0.01, 0.01], method="EE"), smallest=2)
    >>> found.keep.astype(int).tolist(), [round(float(b), 6) for b in found.fit.beta]
    ([[1, 1, 0], [1, 0, 1], [0, 1, 1], [1, 1, 1]], [0.2, 0.45, 0.55, 0.4])
    """
    fit = as_fit(fit, vi, **choices)
    k = fit.effects.k
    if not 1 <= smallest <= k:
        raise PoolingError(f"smallest: expected a number of studies from 1 to {k}, found {smallest}")
    if fit.effects.keep is not None and not fit.effects.keep.all():
        raise PoolingError("all_subsets: expected a fit of all its studies, found one that leaves some out")
    complete = k <= MOST_STUDIES and 2**k - 1 <= most
    keep = _every_subset(k) if complete else _some_subsets(k, smallest, most, np.random.default_rng(seed))
    if smallest > 1 and complete:
        keep = keep[np.count_nonzero(keep, axis=1) >= smallest]
    return Subsets(refit(fit, keep, scheduler), keep, complete)


def _every_subset(k: int) -> np.ndarray:
    """Return the bits of 1 to 2^k - 1, the lowest first."""
    numbers = np.arange(1, 2**k, dtype="<u4")
    bits = np.unpackbits(numbers.view(np.uint8).reshape(-1, 4), axis=1, bitorder="little", count=k)
    return bits.view(bool)


def _some_subsets(k: int, smallest: int, most: int, rng: np.random.Generator) -> np.ndarray:
    keep = rng.random((most, k)) < 0.5
    while (short := np.flatnonzero(np.count_nonzero(keep, axis=1) < smallest)).size:
        keep[short] = rng.random((short.size, k)) < 0.5
    return keep


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Fits of resampled studies.

    Attributes
    ----------
    fit : Fit
        A batch of shape (iterations,).
    beta_lb, beta_ub, tau2_lb, tau2_ub : float or ndarray
        Percentile limits of the coefficients and of tau2 (NaN without a tau2).
    level : float
    kind : str
    """

    fit: Fit
    beta_lb: np.ndarray
    beta_ub: np.ndarray
    tau2_lb: np.ndarray
    tau2_ub: np.ndarray
    level: float
    kind: str


def bootstrap(
    fit: Fit | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    iterations: int = 10_000,
    kind: str = "studies",
    seed: int = 1,
    level: float | None = None,
    scheduler: str | None = None,
    **choices: Any,
) -> Bootstrap:
    """Resample and pool again.

    Parameters
    ----------
    fit : Fit, EffectSizes or array-like
        One fit that keeps all its studies, or effects.
    vi : array-like, optional
        Variances, where effects are given.
    iterations : int
    kind : {"studies", "parametric"}
        Draw studies with replacement, or draw effects from the fitted model, each with its own variance.
    seed : int
    level : float, optional
        Level of the limits; that of the fit if not given.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the fits; this machine if not given. The numbers are the same.
    **choices
        As in :func:`cellclaims.meta.fit`, where effects are given.

    Returns
    -------
    Bootstrap
        Percentile limits leave out draws that could not be fitted (one study drawn k times is shown, not pooled).

    Raises
    ------
    PoolingError
        If ``fit`` is a batch, leaves studies out or has a single study, or ``kind`` is not known.
    ClusterError
        If the cluster cannot be used.

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> drawn = bootstrap(fit([0.1, 0.3, 0.8, 0.2], [0.01, 0.02, 0.04, 0.03]), iterations=500)
    >>> bool(drawn.beta_lb < 0.3 < drawn.beta_ub)
    True
    """
    fit = as_fit(fit, vi, **choices)
    effects = fit.effects
    if fit.shape != () or (effects.keep is not None and not effects.keep.all()):
        raise PoolingError("bootstrap: expected one fit of all its studies, found a batch or a choice of them")
    _two_or_more(fit, "bootstrap")  # resamples of a single study are all equal
    kind = one_of(kind, ("studies", "parametric"), "kind")
    rng, level = np.random.default_rng(seed), fit.level if level is None else check_share(level, "level")
    draw = _draw_studies if kind == "studies" else _draw_effects
    drawn = replace(effects, keep=None, slab=None, shape=(iterations,), **draw(fit, iterations, rng))
    again = fit_effects(drawn, fit.method, fit.test, fit.level, scheduler)
    ends = [(1.0 - level) / 2.0, (1.0 + level) / 2.0]
    beta_lb, beta_ub = np.nanquantile(again.beta, ends, axis=0)
    tau2_lb, tau2_ub = np.nanquantile(again.tau2, ends) if fit.has_tau2 else (np.nan, np.nan)
    return Bootstrap(again, beta_lb, beta_ub, tau2_lb, tau2_ub, level, kind)


def _draw_studies(fit: Fit, iterations: int, rng: np.random.Generator) -> dict:
    effects = fit.effects
    index = rng.integers(effects.k, size=(iterations, effects.k))
    drawn = {"yi": effects.yi[index], "vi": effects.vi[index]}
    if effects.design is not None:
        drawn["design"] = effects.design[index]
    if effects.weights is not None:
        drawn["weights"] = effects.weights[index]
    return drawn


def _draw_effects(fit: Fit, iterations: int, rng: np.random.Generator) -> dict:
    effects = fit.effects
    mean = fit.beta if effects.design is None else effects.design @ fit.beta
    noise = rng.standard_normal((iterations, effects.k))
    return {"yi": mean + noise * np.sqrt(effects.vi + np.nan_to_num(fit.tau2))}
