"""Estimators of the between-study variance tau2, each for a whole batch.

Notation: ``W = diag(w)``, ``P = W - W X (X'WX)^-1 X'W``, ``V = diag(v)``; ``p`` columns of the design; ``Q
= y'P y`` with ``w = 1/v``. The estimators and their standard errors are those that Viechtbauer,
Lopez-Lopez, Sanchez-Meca and Marin-Martinez (2015, https://doi.org/10.1037/met0000023) collect for
meta-regression.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cellclaims.meta.batch import Batch
from cellclaims.meta.design import dot, total
from cellclaims.meta.equations import GeneralisedQ, Likelihood
from cellclaims.meta.projection import Projection
from cellclaims.meta.quantiles import chi2_quantile
from cellclaims.meta.roots import solve


@dataclass(frozen=True)
class Heterogeneity:
    """An estimate of tau2 for each fit, each of shape (b,); ``se`` is NaN where the model has no tau2.

    ``at`` is the batch at this tau2 where the estimator made it, ``several_modes`` whether there were others.
    """

    tau2: np.ndarray
    se: np.ndarray
    at: Projection | None = None
    several_modes: np.ndarray | None = None


@dataclass(frozen=True)
class QuadraticForm:
    """``y'P y`` for weights that do not depend on tau2, with its moments, each of shape (b,).

    Its expectation is ``tr PV + tau2 tr P`` and its variance ``2 tr PVPV + 4 tau2 tr PVP + 2 tau2^2 tr PP``.
    """

    q: np.ndarray
    trace: np.ndarray
    trace2: np.ndarray
    trace_v: np.ndarray
    trace_vp: np.ndarray
    trace_vv: np.ndarray

    @classmethod
    def of_inverse_variances(cls, at_zero: Projection) -> QuadraticForm:
        """With ``w = 1/v``, where ``PVP = P``."""
        df = at_zero.batch.df
        return cls(at_zero.q, at_zero.trace, at_zero.trace2, df, at_zero.trace, df)

    @classmethod
    def of_weights(cls, batch: Batch, w: np.ndarray) -> QuadraticForm:
        """With any weights, zero where a study is not kept."""
        at, design, v = Projection(batch, w), batch.design, batch.finite_v
        gram, wv = at.gram, w * v
        gram_v = design.gram(w * wv)
        single = design.trace(gram, design.gram(w * w * wv))
        trace_vp = dot(w, wv) - 2.0 * single + design.trace_of_product(gram, at.gram2, gram_v)
        single = design.trace(gram, design.gram(w * wv * wv))
        trace_vv = dot(wv, wv) - 2.0 * single + design.trace_of_product(gram, gram_v, gram_v)
        trace_v = total(wv) - design.trace(gram, gram_v)
        return cls(at.q, at.trace, at.trace2, trace_v, trace_vp, trace_vv)

    def deviation(self, tau2: np.ndarray) -> np.ndarray:
        """Standard deviation of ``y'P y`` where the between-study variance is ``tau2``."""
        return np.sqrt(2.0 * self.trace_vv + 4.0 * tau2 * self.trace_vp + 2.0 * tau2 * tau2 * self.trace2)

    def by_moments(self) -> Heterogeneity:
        """tau2 that sets ``y'P y`` to its expectation, truncated at zero."""
        tau2 = np.maximum((self.q - self.trace_v) / self.trace, 0.0)
        return Heterogeneity(tau2, self.deviation(tau2) / self.trace)


def equal_effects(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """EE: no between-study variance."""
    return Heterogeneity(np.zeros(batch.width), np.full(batch.width, np.nan), at_zero)


def dersimonian_laird(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """DL: ``(Q - (k - p)) / tr P``. https://doi.org/10.1016/0197-2456(86)90046-2."""
    return QuadraticForm.of_inverse_variances(at_zero).by_moments()


def hedges(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """HE: the moments of the unweighted sum of squares (Hedges and Olkin 1985, ch. 9)."""
    return QuadraticForm.of_weights(batch, np.isfinite(batch.v).astype(float)).by_moments()


def generalised_q_moments(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """GENQ: the moments of Q with the weights given. https://doi.org/10.1016/j.cct.2006.04.004."""
    return QuadraticForm.of_weights(batch, batch.given).by_moments()


def hunter_schmidt(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """HS: ``(Q - k) / sum w``."""
    return _hunter_schmidt(batch, at_zero, np.ones(1))


def _hunter_schmidt(batch: Batch, at_zero: Projection, correction: np.ndarray) -> Heterogeneity:
    tau2 = np.maximum((at_zero.q * correction - batch.n) / at_zero.total, 0.0)
    deviation = QuadraticForm.of_inverse_variances(at_zero).deviation(tau2)
    return Heterogeneity(tau2, correction * deviation / at_zero.total)


def hunter_schmidt_corrected(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """HSk: Hunter and Schmidt with ``Q k/(k - p)``, the correction for few studies."""
    return _hunter_schmidt(batch, at_zero, batch.n / batch.df)


def sidik_jonkman(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """SJ: ``t0 y'P y/(k - p)`` with ``w = 1/(v + t0)``, t0 the variance of the effects.

    https://doi.org/10.1111/j.1467-9876.2005.00489.x; never exactly zero unless all effects are equal.
    """
    start = batch.variance
    form = QuadraticForm.of_weights(batch, batch.weights(start))
    tau2 = start * form.q / batch.df
    return Heterogeneity(tau2, start * form.deviation(tau2) / batch.df)


def paule_mandel(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """PM and EB: the generalised Q equals its expectation ``k - p``. https://doi.org/10.6028/jres.087.022."""
    return _at_target(batch, at_zero, batch.df)


def paule_mandel_median(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """PMM: the generalised Q equals the median of chi-squared with ``k - p`` degrees of freedom."""
    return _at_target(batch, at_zero, chi2_quantile(0.5, batch.df))


def _at_target(batch: Batch, at_zero: Projection, target: np.ndarray) -> Heterogeneity:
    tau2, _ = solve(GeneralisedQ(target), batch, at_zero)
    at = _at(batch, tau2, at_zero)
    return Heterogeneity(tau2, np.sqrt(2.0 / batch.df) * batch.n / at.total, at)


def _at(batch: Batch, tau2: np.ndarray, at_zero: Projection) -> Projection:
    """The batch at its tau2: the one at hand where that is zero in every fit."""
    return Projection.at(batch, tau2) if np.count_nonzero(tau2) else at_zero


def maximum_likelihood(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """ML; standard error from the Fisher information ``tr WW / 2``."""
    tau2, several = solve(Likelihood(restricted=False), batch, at_zero)
    at = _at(batch, tau2, at_zero)
    return Heterogeneity(tau2, np.sqrt(2.0 / at.total2), at, several)


def restricted_maximum_likelihood(batch: Batch, at_zero: Projection) -> Heterogeneity:
    """REML; standard error from the Fisher information ``tr PP / 2``."""
    tau2, several = solve(Likelihood(restricted=True), batch, at_zero)
    at = _at(batch, tau2, at_zero)
    return Heterogeneity(tau2, np.sqrt(2.0 / at.trace2), at, several)


Estimator = Callable[[Batch, Projection], Heterogeneity]

#: Method name -> its estimator. FE is EE under its older name; EB has the same root as PM.
ESTIMATORS: dict[str, Estimator] = {
    "EE": equal_effects,
    "FE": equal_effects,
    "DL": dersimonian_laird,
    "HE": hedges,
    "HS": hunter_schmidt,
    "HSk": hunter_schmidt_corrected,
    "SJ": sidik_jonkman,
    "ML": maximum_likelihood,
    "REML": restricted_maximum_likelihood,
    "EB": paule_mandel,
    "PM": paule_mandel,
    "PMM": paule_mandel_median,
    "GENQ": generalised_q_moments,
}
