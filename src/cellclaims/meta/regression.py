"""Moderators: meta-regression with its joint test, and subgroups."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.effect_sizes import EffectSizes
from cellclaims.meta.fit import Fit, as_fit, fit, fit_effects, read_effects
from cellclaims.meta.inputs import Effects, as_labels, one_of, per_study
from cellclaims.meta.quantiles import chi2_upper, f_upper


@dataclass(frozen=True, eq=False)
class Regression:
    """A meta-regression; every array has the batch's shape.

    Attributes
    ----------
    fit : Fit
        Coefficients and residual heterogeneity.
    names : tuple of str
        The columns of the design, the constant first.
    QM, QM_p : float or ndarray
        Joint test of all coefficients but the constant, and its P value.
    QM_df : tuple
        Its degrees of freedom: numerator, and denominator (infinite for z, where QM is chi-squared;
        otherwise QM is F).
    R2 : float or ndarray
        Percentage of tau2 explained by the moderators, at least zero, and zero if there is none to explain; NaN for a
        design without a constant, which contains no model to compare with. From H2
        for EE.
    """

    fit: Fit
    names: tuple[str, ...]
    QM: np.ndarray
    QM_df: tuple[int, np.ndarray]
    QM_p: np.ndarray
    R2: np.ndarray


def regress(
    yi: ArrayLike | EffectSizes,
    vi: ArrayLike | None = None,
    mods: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    names: Sequence[str] | None = None,
    intercept: bool = True,
    keep: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    method: str = "REML",
    test: str = "adhoc",
    level: float = 0.95,
) -> Regression:
    r"""Fit a meta-regression of effects on moderators, for one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances, or ``yi`` alone: effect sizes of :func:`cellclaims.meta.escalc`.
    mods : array-like of float, shape (k,), (k, q) or (..., k, q)
        Moderators; categories as columns of zeros and ones.
    slab : array-like of str, shape (k,), optional
        Labels of the studies.
    names : sequence of str, optional
        Names of the moderators; ``x1``, ``x2``, ... if not given.
    intercept : bool
        Whether the design has a constant.
    keep, weights, method, test, level
        As in :func:`cellclaims.meta.fit`.

    Returns
    -------
    Regression

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`; and if the moderators depend on one another, or names do not match
        them.

    Notes
    -----
    .. math:: Q_M = \hat\beta_2' \hat V_{22}^{-1} \hat\beta_2 \sim \chi^2_m, \quad
              R^2 = \max(0, 1 - \hat\tau^2_{ME} / \hat\tau^2_{RE})

    For t, knha and adhoc :math:`Q_M / m` against F with m and k - p degrees of freedom (Viechtbauer,
    Lopez-Lopez, Sanchez-Meca and Marin-Martinez 2015, https://doi.org/10.1037/met0000023); R2 by Raudenbush
    (2009).

    Examples
    --------
    Effects on a line are explained altogether.

    >>> found = regress([2.0, 3.0, 4.0, 5.0], [0.1, 0.1, 0.1, 0.1], [10.0, 20.0, 30.0, 40.0], test="z")
    >>> [round(float(b), 6) for b in found.fit.beta], float(found.R2)
    ([1.0, 0.1], 100.0)
    """
    if mods is None:
        raise PoolingError("mods: expected one or more moderators, found none")
    if names is None and hasattr(mods, "columns"):
        names = [str(name) for name in mods.columns]
    effects, _, _ = read_effects(yi, vi, slab=slab, keep=keep, mods=mods, weights=weights, intercept=intercept)
    titles = _titles(names, effects.design.shape[-1] - intercept, intercept)
    fitted = fit_effects(effects, method, test, level)
    moderators = slice(int(intercept), None)
    QM, QM_df, QM_p = wald_test(fitted, moderators)
    plain = fit_effects(replace(effects, design=None), method, test, level)
    R2 = _explained(fitted, plain, intercept)
    return Regression(fitted, titles, QM, QM_df, QM_p, R2)


def _titles(names: Sequence[str] | None, count: int, intercept: bool) -> tuple[str, ...]:
    names = tuple(names) if names is not None else tuple(f"x{i + 1}" for i in range(count))
    if len(names) != count:
        raise PoolingError(f"names: expected {count}, one a moderator, found {len(names)}: {', '.join(names)}")
    return ("constant", *names) if intercept else names


def wald_test(fitted: Fit, which: slice) -> tuple[np.ndarray, tuple[int, np.ndarray], np.ndarray]:
    """Joint test that some coefficients are zero: statistic, degrees of freedom, P value.

    Chi-squared where the fit's test is z, F otherwise.
    """
    beta, vb = fitted.beta[..., which], fitted.vb[..., which, which]
    m = beta.shape[-1]
    if m == 0:
        raise PoolingError("expected at least one moderator in addition to the constant, found none")
    spread = (np.diagonal(vb, axis1=-2, axis2=-1) > 0.0).all(axis=-1)  # neither missing nor a Hartung-Knapp zero
    vb = np.where(spread[..., None, None], vb, np.eye(m))
    statistic = np.einsum("...i,...i->...", beta, np.linalg.solve(vb, beta[..., None])[..., 0])
    statistic = np.where(spread, statistic, np.where(statistic > 0.0, np.inf, np.nan))[()]
    if fitted.test == "z":
        return statistic, (m, fitted.df), chi2_upper(statistic, m)
    return statistic / m, (m, fitted.df), f_upper(statistic / m, m, fitted.df)


def _explained(fitted: Fit, plain: Fit, intercept: bool) -> np.ndarray:
    """R2 in percent: from tau2 with and without the moderators, from H2 without a tau2."""
    before, after = (plain.tau2, fitted.tau2) if fitted.has_tau2 else (plain.H2, fitted.H2)
    if not intercept:
        return np.full(fitted.shape, np.nan)[()]
    share = 1.0 - np.divide(after, before, out=np.ones(fitted.shape), where=np.asarray(before) > 0.0)
    return 100.0 * np.maximum(share, 0.0)[()]


@dataclass(frozen=True, eq=False)
class Subgroups:
    """Pooled effects of groups of studies, and whether they differ.

    Attributes
    ----------
    groups : tuple
        The groups, sorted.
    beta, se, ci_lb, ci_ub, tau2, k : ndarray, shape (groups,)
        One pooled effect a group; ``tau2`` is the same in each where it is common.
    Q_between, Q_between_p : float
        Test that all groups have one mean: chi-squared; F for a common tau2 with a test other than z.
    Q_between_df : tuple
        Its degrees of freedom, the second infinite for chi-squared.
    tau2_is : str
        ``separate`` or ``common``.
    fit : Fit
        Separate: a batch, one fit a group. Common: one regression on the groups.
    """

    groups: tuple
    beta: np.ndarray
    se: np.ndarray
    ci_lb: np.ndarray
    ci_ub: np.ndarray
    tau2: np.ndarray
    k: np.ndarray
    Q_between: float
    Q_between_df: tuple[int, float]
    Q_between_p: float
    tau2_is: str
    fit: Fit


def subgroups(
    yi: ArrayLike | EffectSizes,
    vi: ArrayLike | None = None,
    by: Sequence | None = None,
    *,
    slab: ArrayLike | None = None,
    tau2: str = "separate",
    method: str = "REML",
    test: str = "adhoc",
    level: float = 0.95,
) -> Subgroups:
    r"""Pool groups of studies and test whether their means differ.

    Parameters
    ----------
    yi, vi : array-like of float, shape (k,)
        Effects and sampling variances, or ``yi`` alone: effect sizes of :func:`cellclaims.meta.escalc`.
    by : sequence of length k
        The group of each study, none of them missing.
    slab : array-like of str, shape (k,), optional
        Labels of the studies.
    tau2 : {"separate", "common"}
        One between-study variance a group, or one for all (better with few studies a group).
    method, test, level
        As in :func:`cellclaims.meta.fit`.

    Returns
    -------
    Subgroups

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`; and with a missing group, fewer than two groups or a group for each study.

    Notes
    -----
    With separate tau2 the group means are compared by their own standard errors:

    .. math:: Q_B = \sum_g w_g (\hat\mu_g - \bar\mu)^2 \sim \chi^2_{G-1}, \quad w_g = 1/se_g^2

    (Borenstein and Higgins 2013, https://doi.org/10.1007/s11121-013-0377-7). With a common tau2 it is the
    joint test of a regression on the groups.

    Examples
    --------
    >>> parts = subgroups([0.1, 0.3, 1.1, 1.3], [0.01] * 4, ["a", "a", "b", "b"], test="z")
    >>> parts.groups, [round(float(b), 6) for b in parts.beta]
    (('a', 'b'), [0.2, 1.2])
    """
    tau2 = one_of(tau2, ("separate", "common"), "tau2")
    if by is None:
        raise PoolingError("by: expected a group for each study, found none")
    given, by = _with_groups(yi, vi, by, slab)
    if np.ndim(given["yi"]) != 1:
        raise PoolingError(f"yi: expected one effect a study, found shape {np.shape(given['yi'])}")
    k = len(given["yi"])
    labels = as_labels(by, "by", k, given["slab"])
    groups = _sorted(dict.fromkeys(labels))
    if len(groups) < 2:
        raise PoolingError(f"by: expected one of two or more groups a study, found {len(groups)} in {k}")
    member = np.array([[label == group for label in labels] for group in groups])
    make = _separate if tau2 == "separate" else _common
    return make(given, tuple(groups), member, {"method": method, "test": test, "level": level})


def _with_groups(
    yi: ArrayLike | EffectSizes, vi: ArrayLike | None, by: Sequence, slab: ArrayLike | None
) -> tuple[dict, Sequence]:
    """Return effects and groups in one order, without undefined effect sizes."""
    if not isinstance(yi, EffectSizes):
        given, labels = per_study({"yi": yi, "vi": vi, "by": by}, slab)
        return {"yi": given["yi"], "vi": given["vi"], "slab": labels}, given["by"]
    held, own = yi.defined, yi.slab if slab is None else slab
    given, labels = per_study({"by": by}, order=None if own is None else tuple(str(label) for label in own))
    groups = as_labels(given["by"], "by", len(held), labels)
    kept = None if labels is None else tuple(np.array(labels, dtype=object)[held])
    return {"yi": yi.yi[held], "vi": yi.vi[held], "slab": kept}, [g for g, h in zip(groups, held, strict=True) if h]


def _sorted(groups: Iterable) -> list:
    """Return the groups sorted, or in the given order if they cannot be compared."""
    groups = list(groups)
    try:
        return sorted(groups)
    except TypeError:
        return groups


def _separate(given: dict, groups: tuple, member: np.ndarray, choices: dict) -> Subgroups:
    parts = fit(**given, keep=member, **choices)
    w = 1.0 / parts.se**2
    between = float(np.sum(w * (parts.beta - np.average(parts.beta, weights=w)) ** 2))
    df = len(groups) - 1
    numbers = (parts.beta, parts.se, parts.ci_lb, parts.ci_ub, parts.tau2, parts.k)
    p = float(chi2_upper(between, df))
    return Subgroups(groups, *numbers, between, (df, np.inf), p, "separate", parts)


def _common(given: dict, groups: tuple, member: np.ndarray, choices: dict) -> Subgroups:
    means = regress(**given, mods=member.T.astype(float), intercept=False, **choices).fit
    contrast = regress(**given, mods=member[1:].T.astype(float), **choices)
    tau2, k = np.full(len(groups), means.tau2), member.sum(axis=1)
    numbers = (means.beta, means.se, means.ci_lb, means.ci_ub, tau2, k)
    df = (contrast.QM_df[0], float(contrast.QM_df[1]))
    return Subgroups(groups, *numbers, float(contrast.QM), df, float(contrast.QM_p), "common", means)


# Permutation tests: signs flipped, or effects dealt out anew; all permutations are one batch.


#: A permuted statistic this close to the observed one, relative to it, is the same one in another order of
#: summation.
TIE = 1e-9


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """P values of a permutation test.

    Attributes
    ----------
    p : float or ndarray, shape (p,)
        Two-sided P value of each coefficient: the proportion of permutations with a statistic at least as large.
    QM_p : float
        P value of the joint test of the moderators; NaN for a single mean.
    permutations : int
        How many were fitted, the observed order among them.
    exact : bool
        Whether these are all there are.
    """

    p: np.ndarray
    QM_p: float
    permutations: int
    exact: bool


def permutation_test(
    fit: Fit | ArrayLike, vi: ArrayLike | None = None, *, iterations: int = 10_000, seed: int = 1
) -> PermutationTest:
    """Test the coefficients of one fit by permutation (Higgins and Thompson 2004, https://doi.org/10.1002/sim.1752).

    For a single mean the signs of the effects are flipped; with moderators the effects, each with its
    variance, are dealt out anew to the rows of the design. All ways are taken where there are no more than
    ``iterations``; otherwise that many at random, the observed one among them, so that no P value is zero
    (https://doi.org/10.2202/1544-6115.1585).

    Parameters
    ----------
    fit : Fit, or array-like with ``vi``
        One fit, not a batch, made without ``keep``; or effects and variances.
    vi : array-like, optional
    iterations : int
        Most permutations to fit.
    seed : int
        Seed of the random ones.

    Returns
    -------
    PermutationTest

    Raises
    ------
    PoolingError
        For a batch, a fit with ``keep``, or a single study.

    Examples
    --------
    Five effects of one sign: two of the 32 ways are as extreme.

    >>> from cellclaims import meta
    >>> test = permutation_test(meta.fit([0.3, 0.4, 0.5, 0.6, 0.7], [0.1] * 5, test="z"))
    >>> float(test.p), test.permutations, test.exact
    (0.0625, 32, True)
    """
    fit = as_fit(fit, vi)
    effects = fit.effects
    if effects.k < 2:
        raise PoolingError(f"permutation_test: expected at least 2 studies, found {effects.k}")
    if fit.shape != () or effects.keep is not None:
        raise PoolingError(
            f"expected one fit of all its studies, found a batch of shape {fit.shape} or a choice of them"
        )
    deal = _flip_signs if effects.design is None else _deal_out
    permuted, exact = deal(effects, iterations, np.random.default_rng(seed))
    again = fit_effects(permuted, fit.method, fit.test, fit.level)
    p = _share(np.abs(again.stat), np.abs(fit.stat))
    QM_p = np.nan if effects.design is None else _share(*(wald_test(f, slice(1, None))[0] for f in (again, fit)))
    return PermutationTest(p, QM_p, len(again.tau2), exact)


def _share(permuted: np.ndarray, observed: np.ndarray) -> np.ndarray:
    return np.mean(permuted >= observed * (1.0 - TIE), axis=0)


def _flip_signs(effects: Effects, most: int, rng: np.random.Generator) -> tuple[Effects, bool]:
    exact = 2**effects.k <= most
    if exact:
        signs = 1.0 - 2.0 * np.array(list(itertools.product((0, 1), repeat=effects.k)))
    else:
        signs = rng.choice([-1.0, 1.0], size=(most, effects.k))
        signs[0] = 1.0
    return Effects(effects.yi * signs, effects.vi, None, (len(signs),), None, effects.weights), exact


def _deal_out(effects: Effects, most: int, rng: np.random.Generator) -> tuple[Effects, bool]:
    exact = math.factorial(effects.k) <= most
    if exact:
        order = np.array(list(itertools.permutations(range(effects.k))))
    else:
        order = rng.permuted(np.tile(np.arange(effects.k), (most, 1)), axis=1)
        order[0] = np.arange(effects.k)
    weights = None if effects.weights is None else effects.weights[order]
    return Effects(effects.yi[order], effects.vi[order], None, (len(order),), effects.design, weights), exact
