"""The algebra of a weighted least-squares design, for a whole batch at once.

Everything the engine needs from the design matrix ``X`` are sums over studies: ``X'WX`` (the *Gram* matrix
of weights ``w``), ``X'z`` (*moments*) and traces of products of Gram matrices. With a constant as the only
column these are plain sums; :class:`Constant` keeps them so. Arrays hold studies along the first axis and
fits along the last, ``(k, b)``: sums over studies then run through memory in order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

_sum = np.add.reduce  # over the first axis: studies


@dataclass(frozen=True)
class Constant:
    """The design of a single mean: one column of ones. A Gram matrix is one number a fit, shape (b,)."""

    columns = 1

    def gram(self, w: np.ndarray) -> np.ndarray:
        """``X'WX``."""
        return _sum(w)

    def moments(self, z: np.ndarray) -> np.ndarray:
        """``X'z``."""
        return _sum(z)

    def solve(self, gram: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Coefficients ``G^-1 m``."""
        return moments / gram

    def fitted(self, coefficients: np.ndarray) -> np.ndarray:
        """``X b``, broadcastable to (k, b)."""
        return coefficients

    def trace(self, gram: np.ndarray, other: np.ndarray) -> np.ndarray:
        """``tr(G^-1 H)``."""
        return other / gram

    def trace_of_product(self, gram: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """``tr(G^-1 H G^-1 K)``."""
        return first * second / (gram * gram)

    def quadratic(self, gram: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """``m' G^-1 m``."""
        return moments * moments / gram

    def log_det(self, gram: np.ndarray) -> np.ndarray:
        """``log det G``."""
        return np.log(gram)

    def take(self, fits: np.ndarray) -> Constant:
        """The design of some of the fits."""
        return self
