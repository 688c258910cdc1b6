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
from cellclaims.meta.equations import GeneralisedQ, Likelihood
from cellclaims.meta.quantiles import chi2_quantile
from cellclaims.meta.roots import solve

_sum = np.add.reduce  # over the first axis: studies


@dataclass(frozen=True)
class Heterogeneity:
    """An estimate of tau2 for each fit, each of shape (b,); ``se`` is NaN where the model has no tau2."""

    tau2: np.ndarray
    se: np.ndarray
    several_modes: np.ndarray | None = None


@dataclass(frozen=True)
class QuadraticForm:
    """``y'P y`` for weights that do not depend on tau2, with its moments, each of shape (b,).

    Its expectation is ``tr PV + tau2 tr P`` and its variance ``2 tr PVPV + 4 tau2 tr PVP + 2 tau2^2 tr PP``.

    Attributes
    ----------
    q : ndarray
        ``y'P y``: Cochran's Q for inverse-variance weights.
    total : ndarray
        Sum of the weights.
    trace, trace2, trace_v, trace_vp, trace_vv : ndarray
        ``tr P``, ``tr PP``, ``tr PV``, ``tr PVP`` and ``tr PVPV``.
    """

    q: np.ndarray
    total: np.ndarray
    trace: np.ndarray
    trace2: np.ndarray
    trace_v: np.ndarray
    trace_vp: np.ndarray
    trace_vv: np.ndarray

    @classmethod
    def of_inverse_variances(cls, batch: Batch) -> QuadraticForm:
        """With ``w = 1/v``, where ``PVP = P``."""
        design, w = batch.design, batch.weights(0.0)
        ww = w * w
        gram, gram2, total = design.gram(w), design.gram(ww), _sum(w)
        r = batch.y - design.fitted(design.solve(gram, design.moments(w * batch.y)))
        trace = total - design.trace(gram, gram2)
        trace2 = _sum(ww) - 2.0 * design.trace(gram, design.gram(ww * w))
        trace2 = trace2 + design.trace_of_product(gram, gram2, gram2)
        return cls(_sum(w * r * r), total, trace, trace2, batch.df, trace, batch.df)

    @classmethod
    def of_weights(cls, batch: Batch, w: np.ndarray) -> QuadraticForm:
        """With any weights, zero where a study is not kept."""
        design, v = batch.design, batch.finite_v
        ww, wv = w * w, w * v
        gram, gram2, gram2v = design.gram(w), design.gram(ww), design.gram(ww * v)
        r = batch.y - design.fitted(design.solve(gram, design.moments(w * batch.y)))

        def trace(diagonal: np.ndarray, cubed: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
            """Trace of ``P D P E`` from the sum of its diagonal part, its single and its double projection."""
            single, double = design.trace(gram, cubed), design.trace_of_product(gram, left, right)
            return _sum(diagonal) - 2.0 * single + double

        return cls(
            q=_sum(w * r * r),
            total=_sum(w),
            trace=_sum(w) - design.trace(gram, gram2),
            trace2=trace(ww, design.gram(ww * w), gram2, gram2),
            trace_v=_sum(wv) - design.trace(gram, gram2v),
            trace_vp=trace(ww * v, design.gram(ww * wv), gram2, gram2v),
            trace_vv=trace(wv * wv, design.gram(w * wv * wv), gram2v, gram2v),
        )

    def deviation(self, tau2: np.ndarray) -> np.ndarray:
        """Standard deviation of ``y'P y`` where the between-study variance is ``tau2``."""
        return np.sqrt(2.0 * self.trace_vv + 4.0 * tau2 * self.trace_vp + 2.0 * tau2 * tau2 * self.trace2)

    def by_moments(self) -> Heterogeneity:
        """tau2 that sets ``y'P y`` to its expectation, truncated at zero."""
        tau2 = np.maximum((self.q - self.trace_v) / self.trace, 0.0)
        return Heterogeneity(tau2, self.deviation(tau2) / self.trace)


def equal_effects(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """EE: no between-study variance."""
    return Heterogeneity(np.zeros(batch.width), np.full(batch.width, np.nan))


def dersimonian_laird(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """DL: ``(Q - (k - p)) / tr P``. https://doi.org/10.1016/0197-2456(86)90046-2."""
    return fixed.by_moments()


def hedges(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """HE: the moments of the unweighted sum of squares (Hedges and Olkin 1985, ch. 9)."""
    return QuadraticForm.of_weights(batch, np.isfinite(batch.v).astype(float)).by_moments()


def generalised_q_moments(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """GENQ: the moments of Q with the weights given. https://doi.org/10.1016/j.cct.2006.04.004."""
    return QuadraticForm.of_weights(batch, batch.given).by_moments()


def hunter_schmidt(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """HS: ``(Q - k) / sum w``."""
    tau2 = np.maximum((fixed.q - batch.n) / fixed.total, 0.0)
    return Heterogeneity(tau2, fixed.deviation(tau2) / fixed.total)


def hunter_schmidt_corrected(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """HSk: Hunter and Schmidt with ``Q k/(k - p)``, the correction for few studies."""
    correction = batch.n / batch.df
    tau2 = np.maximum((fixed.q * correction - batch.n) / fixed.total, 0.0)
    return Heterogeneity(tau2, correction * fixed.deviation(tau2) / fixed.total)


def sidik_jonkman(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """SJ: ``t0 y'P y/(k - p)`` with ``w = 1/(v + t0)``, t0 the variance of the effects.

    https://doi.org/10.1111/j.1467-9876.2005.00489.x; never exactly zero unless all effects are equal.
    """
    start = batch.variance
    form = QuadraticForm.of_weights(batch, batch.weights(start))
    tau2 = start * form.q / batch.df
    return Heterogeneity(tau2, start * form.deviation(tau2) / batch.df)


def paule_mandel(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """PM and EB: the generalised Q equals its expectation ``k - p``. https://doi.org/10.6028/jres.087.022."""
    return _at_target(batch, batch.df)


def paule_mandel_median(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """PMM: the generalised Q equals the median of chi-squared with ``k - p`` degrees of freedom."""
    return _at_target(batch, chi2_quantile(0.5, batch.df))


def _at_target(batch: Batch, target: np.ndarray) -> Heterogeneity:
    tau2, _ = solve(GeneralisedQ(target), batch)
    return Heterogeneity(tau2, np.sqrt(2.0 / batch.df) * batch.n / _sum(batch.weights(tau2)))


def maximum_likelihood(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """ML; standard error from the Fisher information ``tr WW / 2``."""
    tau2, several = solve(Likelihood(restricted=False), batch)
    w = batch.weights(tau2)
    return Heterogeneity(tau2, np.sqrt(2.0 / _sum(w * w)), several)


def restricted_maximum_likelihood(batch: Batch, fixed: QuadraticForm) -> Heterogeneity:
    """REML; standard error from the Fisher information ``tr PP / 2``."""
    tau2, several = solve(Likelihood(restricted=True), batch)
    design, w = batch.design, batch.weights(tau2)
    ww = w * w
    gram, gram2 = design.gram(w), design.gram(ww)
    trace2 = _sum(ww) - 2.0 * design.trace(gram, design.gram(ww * w))
    trace2 = trace2 + design.trace_of_product(gram, gram2, gram2)
    return Heterogeneity(tau2, np.sqrt(2.0 / trace2), several)


Estimator = Callable[[Batch, QuadraticForm], Heterogeneity]

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
