"""The pooled effect under every choice of studies, and under chance: all subsets (GOSH) and the bootstrap."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from cellclaims.errors import PoolingError
from cellclaims.meta.fit import Fit, fit_effects
from cellclaims.robustness.influence import refit

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
    fit: Fit, *, smallest: int = 1, most: int = 2**20, seed: int = 1, scheduler: str | None = None
) -> Subsets:
    """Pool every subset of the studies (Olkin, Dahabreh and Trikalinos 2012, https://doi.org/10.1002/jrsm.1053).

    Parameters
    ----------
    fit : Fit
        One fit that keeps all its studies; its method and test are used for every subset.
    smallest : int
        Fewest studies of a subset.
    most : int
        Most subsets to fit: if there are more, this many are drawn at random, each study kept or not with equal chance
        (with fewer than ``smallest`` kept it is drawn again).
    seed : int
        Seed of the draw.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the fits; this machine if not given. The numbers are the same.

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
    """The bits of 1 to 2^k - 1, the lowest first."""
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
    fit: Fit,
    *,
    iterations: int = 10_000,
    kind: str = "studies",
    seed: int = 1,
    level: float | None = None,
    scheduler: str | None = None,
) -> Bootstrap:
    """Resample and pool again.

    Parameters
    ----------
    fit : Fit
        One fit that keeps all its studies.
    iterations : int
    kind : {"studies", "parametric"}
        Draw studies with replacement, or draw effects from the fitted model, each with its own variance.
    seed : int
    level : float, optional
        Level of the limits; that of the fit if not given.
    scheduler : str, optional
        Address of a Dask scheduler whose workers do the fits; this machine if not given. The numbers are the same.

    Returns
    -------
    Bootstrap
        Percentile limits leave out draws that could not be fitted (one study drawn k times is shown, not pooled).

    Raises
    ------
    PoolingError
        If ``fit`` is a batch or leaves studies out, or ``kind`` is not known.
    ClusterError
        If the cluster cannot be used.

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> drawn = bootstrap(fit([0.1, 0.3, 0.8, 0.2], [0.01, 0.02, 0.04, 0.03]), iterations=500)
    >>> bool(drawn.beta_lb < 0.3 < drawn.beta_ub)
    True
    """
    effects = fit.effects
    if fit.shape != () or (effects.keep is not None and not effects.keep.all()):
        raise PoolingError("bootstrap: expected one fit of all its studies, found a batch or a choice of them")
    if kind not in {"studies", "parametric"}:
        raise PoolingError(f"kind: expected studies or parametric, found {kind!r}")
    rng, level = np.random.default_rng(seed), fit.level if level is None else level
    draw = _draw_studies if kind == "studies" else _draw_effects
    drawn = replace(effects, keep=None, shape=(iterations,), **draw(fit, iterations, rng))
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
