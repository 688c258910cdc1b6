"""Permutation tests: signs flipped, or effects dealt out anew; all permutations are one batch."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from cellclaims.errors import PoolingError
from cellclaims.meta.fit_result import Fit
from cellclaims.meta.inputs import Effects
from cellclaims.meta.pooling import fit_effects
from cellclaims.meta.regression import wald_test

#: A permuted statistic this close to the observed one, relative to it, is the same one in another order of
#: summation.
TIE = 1e-9


@dataclass(frozen=True, eq=False)
class PermutationTest:
    """P values of a permutation test.

    Attributes
    ----------
    p : float or ndarray, shape (p,)
        Two-sided P value of each coefficient: the share of permutations with a statistic at least as large.
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


def permutation_test(fit: Fit, *, iterations: int = 10_000, seed: int = 1) -> PermutationTest:
    """Permutation test of the coefficients of one fit (Higgins and Thompson 2004, https://doi.org/10.1002/sim.1752).

    For a single mean the signs of the effects are flipped; with moderators the effects, each with its
    variance, are dealt out anew to the rows of the design. All ways are taken where there are no more than
    ``iterations``; otherwise that many at random, the observed one among them, so that no P value is zero
    (https://doi.org/10.2202/1544-6115.1585).

    Parameters
    ----------
    fit : Fit
        One fit, not a batch; made without ``keep``.
    iterations : int
        Most permutations to fit.
    seed : int
        Seed of the random ones.

    Raises
    ------
    PoolingError
        For a batch or a fit with ``keep``.

    Examples
    --------
    Five effects of one sign: two of the 32 ways are as extreme.

    >>> from cellclaims import meta
    >>> test = permutation_test(meta.fit([0.3, 0.4, 0.5, 0.6, 0.7], [0.1] * 5, test="z"))
    >>> float(test.p), test.permutations, test.exact
    (0.0625, 32, True)
    """
    effects = fit.effects
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
