"""The generalised least-squares fit of a batch at one tau2, and the traces and quadratic forms that follow from it.

Write ``W = diag(w)`` and ``P = W - W X (X'WX)^-1 X'W``: ``P y = w r`` with ``r`` the residuals of the weighted fit. All
estimators, tests and diagnostics are made of a few numbers a fit: ``y'P y``, ``y'PP y``, ``tr P``, ``tr PP`` and so on.
Each is computed when first asked for.
"""

from __future__ import annotations

import numpy as np

from cellclaims.meta.batch import Batch
from cellclaims.meta.computed import computed
from cellclaims.meta.design import dot, dot3


class Projection:
    """``P`` of a batch for given weights.

    Parameters
    ----------
    batch : Batch
    w : ndarray, shape (k, b)
        Weights, zero where a study is not kept.

    Attributes
    ----------
    gram : ndarray, shape (b,) or (b, p, p)
        ``X'WX``.
    coefficients : ndarray, shape (b,) or (p, b)
        Of the centred effects.
    residuals : ndarray, shape (k, b)
        ``r``; of no meaning where the weight is zero.
    py : ndarray, shape (k, b)
        ``P y = w r``.
    """

    def __init__(self, batch: Batch, w: np.ndarray) -> None:
        self.batch, self.design, self.w = batch, batch.design, w
        self.gram = self.design.gram(w)
        self.coefficients = self.design.solve(self.gram, self.design.moments(w, batch.y))
        self.residuals = batch.y - self.design.fitted(self.coefficients)
        self.py = w * self.residuals

    @classmethod
    def at(cls, batch: Batch, tau2: np.ndarray | float) -> Projection:
        """With the weights ``1/(v + tau2)``."""
        return cls(batch, batch.weights(tau2))

    @computed
    def total(self) -> np.ndarray:
        """``tr W``."""
        return self.design.total(self.w, self.gram)

    @computed
    def total2(self) -> np.ndarray:
        """``tr WW``."""
        return dot(self.w, self.w)

    @computed
    def q(self) -> np.ndarray:
        """``y'P y``: the generalised Q statistic."""
        return dot(self.py, self.residuals)

    @computed
    def q2(self) -> np.ndarray:
        """``y'PP y``."""
        return dot(self.py, self.py)

    @computed
    def q3(self) -> np.ndarray:
        """``y'PPP y``."""
        moments = self.design.moments(self.w, self.py)
        return dot3(self.w, self.py, self.py) - self.design.quadratic(self.gram, moments)

    @computed
    def gram2(self) -> np.ndarray:
        """``X'WWX``."""
        return self.design.gram_of_square(self.w, self.total2)

    @computed
    def trace(self) -> np.ndarray:
        """``tr P``."""
        return self.total - self.design.trace(self.gram, self.gram2)

    @computed
    def trace2(self) -> np.ndarray:
        """``tr PP``."""
        single = self.design.trace(self.gram, self.design.gram_of_cube(self.w))
        return self.total2 - 2.0 * single + self.design.trace_of_product(self.gram, self.gram2, self.gram2)
