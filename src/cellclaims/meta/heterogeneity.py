"""Estimators of the between-study variance tau2, each for a whole batch.

Notation: ``W = diag(w)``, ``P = W - W X (X'WX)^-1 X'W`` (:mod:`cellclaims.meta.equations`); ``p`` columns
of the design; ``Q = y'P y`` with ``w = 1/v``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cellclaims.meta.batch import Batch
from cellclaims.meta.equations import GeneralisedQ, Likelihood
from cellclaims.meta.roots import solve

_sum = np.add.reduce  # over the first axis: studies


@dataclass(frozen=True)
class Heterogeneity:
    """An estimate of tau2 for each fit, each of shape (b,); ``se`` is NaN where the model has no tau2."""

    tau2: np.ndarray
    se: np.ndarray
    several_modes: np.ndarray | None = None


@dataclass(frozen=True)
class FixedWeights:
    """What the inverse-variance weights alone say, each of shape (b,).

    Attributes
    ----------
    q : ndarray
        Cochran's Q.
    total : ndarray
        Sum of the weights.
    trace, trace2 : ndarray
        ``tr P`` and ``tr PP``.
    """

    q: np.ndarray
    total: np.ndarray
    trace: np.ndarray
    trace2: np.ndarray

    @classmethod
    def of(cls, batch: Batch) -> FixedWeights:
        """Evaluate at tau2 = 0."""
        design, w = batch.design, batch.weights(0.0)
        ww = w * w
        gram, gram2, total = design.gram(w), design.gram(ww), _sum(w)
        r = batch.y - design.fitted(design.solve(gram, design.moments(w * batch.y)))
        trace2 = _sum(ww) - 2.0 * design.trace(gram, design.gram(ww * w))
        trace2 = trace2 + design.trace_of_product(gram, gram2, gram2)
        return cls(_sum(w * r * r), total, total - design.trace(gram, gram2), trace2)


def equal_effects(batch: Batch, fixed: FixedWeights) -> Heterogeneity:
    """EE: no between-study variance."""
    return Heterogeneity(np.zeros(batch.width), np.full(batch.width, np.nan))


def dersimonian_laird(batch: Batch, fixed: FixedWeights) -> Heterogeneity:
    """DL: ``(Q - (k - p)) / tr P``, truncated at zero. https://doi.org/10.1016/0197-2456(86)90046-2."""
    tau2 = np.maximum((fixed.q - batch.df) / fixed.trace, 0.0)
    variance = 2.0 * batch.df + 4.0 * tau2 * fixed.trace + 2.0 * tau2 * tau2 * fixed.trace2
    return Heterogeneity(tau2, np.sqrt(variance) / fixed.trace)


def paule_mandel(batch: Batch, fixed: FixedWeights) -> Heterogeneity:
    """PM: the generalised Q equals ``k - p``; empirical Bayes is the same root. https://doi.org/10.6028/jres.087.022."""
    tau2, _ = solve(GeneralisedQ(batch.df), batch)
    total = _sum(batch.weights(tau2))
    return Heterogeneity(tau2, np.sqrt(2.0 / batch.df) * batch.n / total)


def maximum_likelihood(batch: Batch, fixed: FixedWeights) -> Heterogeneity:
    """ML; standard error from the Fisher information ``tr WW / 2``."""
    tau2, several = solve(Likelihood(restricted=False), batch)
    w = batch.weights(tau2)
    return Heterogeneity(tau2, np.sqrt(2.0 / _sum(w * w)), several)


def restricted_maximum_likelihood(batch: Batch, fixed: FixedWeights) -> Heterogeneity:
    """REML; standard error from the Fisher information ``tr PP / 2``."""
    tau2, several = solve(Likelihood(restricted=True), batch)
    design, w = batch.design, batch.weights(tau2)
    ww = w * w
    gram, gram2 = design.gram(w), design.gram(ww)
    trace2 = _sum(ww) - 2.0 * design.trace(gram, design.gram(ww * w))
    trace2 = trace2 + design.trace_of_product(gram, gram2, gram2)
    return Heterogeneity(tau2, np.sqrt(2.0 / trace2), several)


Estimator = Callable[[Batch, FixedWeights], Heterogeneity]

#: Method name -> its estimator. FE is EE under its older name.
ESTIMATORS: dict[str, Estimator] = {
    "EE": equal_effects,
    "FE": equal_effects,
    "DL": dersimonian_laird,
    "PM": paule_mandel,
    "EB": paule_mandel,
    "ML": maximum_likelihood,
    "REML": restricted_maximum_likelihood,
}

#: Methods without a between-study variance.
WITHOUT_TAU2 = frozenset({"EE", "FE"})
