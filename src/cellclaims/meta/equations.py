"""Estimating equations of tau2 that are solved by iteration.

Write ``P = W - W X (X'WX)^-1 X'W`` with ``W = diag(1/(v + t))``. Each estimator is the root in ``t`` of

    A(t) = E(t):    Paule-Mandel   A = y'P y     E = a chi-squared target (k - p for the estimate itself)
                    REML           A = y'PP y    E = tr P
                    ML             A = y'PP y    E = tr W

(Viechtbauer 2005, https://doi.org/10.3102/10769986030003261; Paule and Mandel 1982,
https://doi.org/10.6028/jres.087.022).

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
from cellclaims.meta.projection import Projection


class Equation(Protocol):
    """What the solver needs to know of an estimating equation; every array has shape (b,)."""

    def sides(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """Both sides, ``A`` and ``E``."""

    def slopes(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """Their derivatives by ``t``."""

    def upper(self, batch: Batch) -> np.ndarray:
        """A point that no root exceeds."""

    def single_from(self, batch: Batch) -> np.ndarray:
        """A point beyond which there is at most one root."""

    def height(self, at: Projection) -> np.ndarray:
        """Twice the log-likelihood, up to a constant: decides between several modes."""

    def take(self, fits: np.ndarray) -> Equation:
        """The equation of some of the fits."""


@dataclass(frozen=True)
class Likelihood:
    """Full (ML) or restricted (REML) likelihood of tau2."""

    restricted: bool

    def sides(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """``y'PP y`` and ``tr P`` (or ``tr W``); their difference is the slope of twice the log-likelihood."""
        return at.q2, at.trace if self.restricted else at.total

    def slopes(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """``-2 y'PPP y`` and ``-tr PP`` (or ``-tr WW``)."""
        return -2.0 * at.q3, -(at.trace2 if self.restricted else at.total2)

    def upper(self, batch: Batch) -> np.ndarray:
        """The larger root of ``(t + v_min)^2 = s2 (t + v_max)``."""
        s2 = batch.spread
        return 0.5 * (s2 + np.sqrt(s2 * (s2 + 4.0 * (batch.high - batch.low)))) - batch.low

    def single_from(self, batch: Batch) -> np.ndarray:
        """``v_max - 2 v_min``."""
        return batch.high - 2.0 * batch.low

    def height(self, at: Projection) -> np.ndarray:
        """``sum log w - y'P y``, less ``log det X'WX`` for the restricted likelihood."""
        height = np.add.reduce(np.log(np.where(at.w > 0.0, at.w, 1.0))) - at.q
        return height - at.design.log_det(at.gram) if self.restricted else height

    def take(self, fits: np.ndarray) -> Likelihood:
        """The same for any fits."""
        return self


@dataclass(frozen=True)
class GeneralisedQ:
    """Paule-Mandel's equation: the generalised Q statistic equals a target, shape (b,) or (1,)."""

    target: np.ndarray

    def sides(self, at: Projection) -> tuple[np.ndarray, np.ndarray]:
        """``y'P y`` and the target."""
        return at.q, self.target

    def slopes(self, at: Projection) -> tuple[np.ndarray, float]:
        """``-y'PP y`` and 0."""
        return -at.q2, 0.0

    def upper(self, batch: Batch) -> np.ndarray:
        """Where the largest weight times the unweighted sum of squares falls to the target."""
        return batch.spread * batch.df / self.target - batch.low

    def single_from(self, batch: Batch) -> np.ndarray:
        """Q falls everywhere: zero."""
        return np.zeros(1)

    def height(self, at: Projection) -> np.ndarray:
        """There is one root at most: nothing to decide."""
        return np.zeros(len(at.q))

    def take(self, fits: np.ndarray) -> GeneralisedQ:
        """The targets of some of the fits."""
        return self if self.target.shape[-1] == 1 else GeneralisedQ(self.target[fits])
