"""Estimating equations of tau2 that are solved by iteration.

Write ``P = W - W X (X'WX)^-1 X'W`` with ``W = diag(1/(v + t))``. Each estimator is the root in ``t`` of

    A(t) = E(t):    Paule-Mandel   A = y'P y     E = a chi-squared target (k - p for the estimate itself)
                    REML           A = y'PP y    E = tr P
                    ML             A = y'PP y    E = tr W

(Viechtbauer 2005, https://doi.org/10.3102/10769986030003261; Paule and Mandel 1982,
https://doi.org/10.6028/jres.087.022). With equal variances ``E/A`` is a straight line in ``t``, and nearly
one otherwise: Newton steps are taken on ``E/A - 1``, so that one or two of them arrive.

Two facts bracket the roots. The eigenvalues of ``P`` other than zero lie between the smallest and the
largest weight, so

* ``A < E`` once ``(t + v_min)^2 > s2 (t + v_max)`` with ``s2`` the mean square of the unweighted residuals
  (for Paule-Mandel once ``t + v_min`` exceeds their sum of squares over the target);
* for ML and REML ``A/E`` falls wherever ``t >= v_max - 2 v_min``: there is at most one root beyond. For
  Paule-Mandel it falls everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from cellclaims.meta.batch import Batch

_sum = np.add.reduce  # over the first axis: studies


@dataclass(frozen=True)
class Sides:
    """Both sides of an estimating equation at ``t``, each of shape (b,), with their slopes if asked for."""

    a: np.ndarray
    e: np.ndarray
    a_slope: np.ndarray | None = None
    e_slope: np.ndarray | None = None

    @property
    def gap(self) -> np.ndarray:
        """``A - E``: the slope of twice the log-likelihood, positive where it rises."""
        return self.a - self.e


class Equation(Protocol):
    """What the solver needs to know of an estimating equation."""

    def sides(self, batch: Batch, t: np.ndarray, slopes: bool) -> Sides:
        """Both sides at ``t``."""

    def upper(self, batch: Batch) -> np.ndarray:
        """A point that no root exceeds."""

    def single_from(self, batch: Batch) -> np.ndarray:
        """A point beyond which there is at most one root."""

    def height(self, batch: Batch, t: np.ndarray) -> np.ndarray:
        """Twice the log-likelihood, up to a constant: decides between several modes."""

    def take(self, fits: np.ndarray) -> Equation:
        """The equation of some of the fits."""


@dataclass(frozen=True)
class Likelihood:
    """Full (ML) or restricted (REML) likelihood of tau2."""

    restricted: bool

    def sides(self, batch: Batch, t: np.ndarray, slopes: bool) -> Sides:
        """``y'PP y`` and ``tr P`` (or ``tr W``); slopes ``-2 y'PPP y`` and ``-tr PP`` (or ``-tr WW``)."""
        design, w = batch.design, batch.weights(t)
        gram = design.gram(w)
        py = w * (batch.y - design.fitted(design.solve(gram, design.moments(w * batch.y))))
        ww, py2 = w * w, py * py
        a, e = _sum(py2), _sum(w)
        gram2 = design.gram(ww) if self.restricted else None
        if self.restricted:
            e = e - design.trace(gram, gram2)
        if not slopes:
            return Sides(a, e)
        a_slope = -2.0 * (_sum(w * py2) - design.quadratic(gram, design.moments(w * py)))
        e_slope = -_sum(ww)
        if self.restricted:
            e_slope += 2.0 * design.trace(gram, design.gram(ww * w))
            e_slope -= design.trace_of_product(gram, gram2, gram2)
        return Sides(a, e, a_slope, e_slope)

    def upper(self, batch: Batch) -> np.ndarray:
        """The larger root of ``(t + v_min)^2 = s2 (t + v_max)``."""
        s2 = batch.spread
        return 0.5 * (s2 + np.sqrt(s2 * (s2 + 4.0 * (batch.high - batch.low)))) - batch.low

    def single_from(self, batch: Batch) -> np.ndarray:
        """``v_max - 2 v_min``."""
        return batch.high - 2.0 * batch.low

    def height(self, batch: Batch, t: np.ndarray) -> np.ndarray:
        """``sum log w - y'P y``, less ``log det X'WX`` for the restricted likelihood."""
        design, w = batch.design, batch.weights(t)
        gram = design.gram(w)
        r = batch.y - design.fitted(design.solve(gram, design.moments(w * batch.y)))
        height = _sum(np.log(np.where(w > 0.0, w, 1.0))) - _sum(w * r * r)
        return height - design.log_det(gram) if self.restricted else height

    def take(self, fits: np.ndarray) -> Likelihood:
        """The same for any fits."""
        return self


@dataclass(frozen=True)
class GeneralisedQ:
    """Paule-Mandel's equation: the generalised Q statistic equals a target, shape (b,) or (1,)."""

    target: np.ndarray

    def sides(self, batch: Batch, t: np.ndarray, slopes: bool) -> Sides:
        """``y'P y`` and the target; slopes ``-y'PP y`` and 0."""
        design, w = batch.design, batch.weights(t)
        r = batch.y - design.fitted(design.solve(design.gram(w), design.moments(w * batch.y)))
        py = w * r
        return Sides(_sum(py * r), self.target, -_sum(py * py) if slopes else None, np.float64(0.0))

    def upper(self, batch: Batch) -> np.ndarray:
        """Where the largest weight times the unweighted sum of squares falls to the target."""
        return batch.spread * batch.df / self.target - batch.low

    def single_from(self, batch: Batch) -> np.ndarray:
        """Q falls everywhere: zero."""
        return np.zeros(1)

    def height(self, batch: Batch, t: np.ndarray) -> np.ndarray:
        """There is one root at most: nothing to decide."""
        return np.zeros(batch.width)

    def take(self, fits: np.ndarray) -> GeneralisedQ:
        """The targets of some of the fits."""
        return self if self.target.shape[-1] == 1 else GeneralisedQ(self.target[fits])
