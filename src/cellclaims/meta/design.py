"""The algebra of a weighted least-squares design, for a whole batch at once.

Everything the engine needs from the design matrix ``X`` are sums over studies: ``X'WX`` (the *Gram* matrix
of weights ``w``), ``X'z`` (*moments*) and traces of products of Gram matrices. With a constant as the only
column these are plain sums; :class:`Constant` keeps them so, :class:`Columns` is the general case behind
the same names. Studies stand along the first axis and fits along the last, ``(k, b)``: sums over studies
then run through memory in order. Coefficients have shape ``(b,)`` or ``(p, b)``, Gram matrices ``(b,)`` or
``(b, p, p)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

#: A column that keeps less than this share of its length beside the columns before it depends on them.
DEPENDENT = 1e-9

#: Smaller arrays are added up by a product with ones, where the call counts (a third of that of a reduction); larger
#: ones by a reduction, or in one pass without a product in between.
ONE_PASS_FROM = 4096

ones = lru_cache(maxsize=256)(np.ones)


def total(a: np.ndarray) -> np.ndarray:
    """Sum over studies, shape (b,)."""
    return ones(len(a)).dot(a) if a.size < ONE_PASS_FROM else np.add.reduce(a)


def dot(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum of products over studies, shape (b,)."""
    return total(a * b) if a.size < ONE_PASS_FROM else np.einsum("kb,kb->b", a, b)


def dot3(a: np.ndarray, b: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Sum of products of three over studies, shape (b,)."""
    return total(a * b * c) if a.size < ONE_PASS_FROM else np.einsum("kb,kb,kb->b", a, b, c)


@dataclass(frozen=True)
class Constant:
    """The design of a single mean: one column of ones."""

    columns = 1

    def gram(self, w: np.ndarray) -> np.ndarray:
        """``X'WX``."""
        return total(w)

    def gram_of_cube(self, w: np.ndarray) -> np.ndarray:
        """``X'WWWX``."""
        return dot3(w, w, w)

    def gram_of_square(self, w: np.ndarray, total: np.ndarray) -> np.ndarray:
        """``X'WWX``, where ``tr WW`` is at hand."""
        return total

    def total(self, w: np.ndarray, gram: np.ndarray) -> np.ndarray:
        """``tr W``, where ``X'WX`` is at hand."""
        return gram

    def moments(self, w: np.ndarray, z: np.ndarray) -> np.ndarray:
        """``X'Wz``."""
        return dot(w, z)

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

    def covariance(self, gram: np.ndarray, middle: np.ndarray | None = None) -> np.ndarray:
        """``G^-1``, or ``G^-1 M G^-1`` around a ``middle``."""
        return 1.0 / gram if middle is None else middle / (gram * gram)

    def leverage(self, gram: np.ndarray) -> np.ndarray:
        """``x_i' G^-1 x_i``, broadcastable to (k, b)."""
        return 1.0 / gram

    def in_given_units(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients of the columns as they were given."""
        return coefficients

    def covariance_in_given_units(self, covariance: np.ndarray) -> np.ndarray:
        """Covariance of the coefficients of the columns as they were given."""
        return covariance

    def take(self, fits: np.ndarray) -> Constant:
        """The design of some of the fits."""
        return self


@dataclass(frozen=True)
class Columns:
    """Any design, held as orthonormal columns ``X = Q R`` so that a year or a dose costs no accuracy.

    Attributes
    ----------
    x : ndarray, shape (p, k, b) or (p, k, 1)
        The columns of ``Q``; zero where a study is not kept.
    r : ndarray, shape (b, p, p) or (1, p, p)
        Upper triangles ``R``.
    """

    x: np.ndarray
    r: np.ndarray

    @classmethod
    def of(cls, given: np.ndarray) -> tuple[Columns, np.ndarray]:
        """From columns of shape (b or 1, k, p), zero where not kept; also which fits have independent columns."""
        q, r = np.linalg.qr(given)
        length = np.sqrt(np.add.reduce(given * given, axis=1))
        left = np.abs(np.diagonal(r, axis1=1, axis2=2))
        independent = (left > DEPENDENT * length).all(axis=1)
        if not independent.all():  # any design will do there: the fit is set apart by name
            q[~independent] = np.eye(*given.shape[1:])
            r[~independent] = np.eye(given.shape[2])
        return cls(np.ascontiguousarray(q.transpose(2, 1, 0)), r), independent

    @property
    def columns(self) -> int:
        """Number of coefficients."""
        return len(self.x)

    def gram(self, w: np.ndarray) -> np.ndarray:
        """``X'WX``, shape (b, p, p)."""
        gram = np.empty((w.shape[-1], self.columns, self.columns))
        for i, left in enumerate(self.x):
            weighted = left * w
            for j in range(i + 1):
                gram[:, i, j] = gram[:, j, i] = dot(weighted, self.x[j])
        return gram

    def gram_of_square(self, w: np.ndarray, total: np.ndarray) -> np.ndarray:
        """``X'WWX``."""
        return self.gram(w * w)

    def gram_of_cube(self, w: np.ndarray) -> np.ndarray:
        """``X'WWWX``."""
        return self.gram(w * w * w)

    def total(self, w: np.ndarray, gram: np.ndarray) -> np.ndarray:
        """``tr W``."""
        return total(w)

    def moments(self, w: np.ndarray, z: np.ndarray) -> np.ndarray:
        """``X'Wz``, shape (p, b)."""
        return np.stack([dot3(column, w, z) for column in self.x])

    def solve(self, gram: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """Coefficients ``G^-1 m``, shape (p, b)."""
        return np.linalg.solve(gram, moments.T[..., None])[..., 0].T

    def fitted(self, coefficients: np.ndarray) -> np.ndarray:
        """``X b``, shape (k, b)."""
        return np.add.reduce(self.x * coefficients[:, None, :])

    def trace(self, gram: np.ndarray, other: np.ndarray) -> np.ndarray:
        """``tr(G^-1 H)``."""
        return np.trace(np.linalg.solve(gram, other), axis1=1, axis2=2)

    def trace_of_product(self, gram: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """``tr(G^-1 H G^-1 K)``."""
        left, right = np.linalg.solve(gram, first), np.linalg.solve(gram, second)
        return np.einsum("bij,bji->b", left, right)

    def quadratic(self, gram: np.ndarray, moments: np.ndarray) -> np.ndarray:
        """``m' G^-1 m``."""
        return dot(moments, self.solve(gram, moments))

    def log_det(self, gram: np.ndarray) -> np.ndarray:
        """``log det G``."""
        return np.linalg.slogdet(gram)[1]

    def covariance(self, gram: np.ndarray, middle: np.ndarray | None = None) -> np.ndarray:
        """``G^-1``, or ``G^-1 M G^-1`` around a ``middle``, shape (b, p, p)."""
        inverse = np.linalg.inv(gram)
        return inverse if middle is None else inverse @ middle @ inverse

    def leverage(self, gram: np.ndarray) -> np.ndarray:
        """``x_i' G^-1 x_i``, shape (k, b)."""
        inverse = np.linalg.inv(gram)
        return np.einsum("ikb,bij,jkb->kb", self.x, inverse, self.x)

    def in_given_units(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients of the columns as they were given: ``R^-1 b``."""
        return np.linalg.solve(self.r, coefficients.T[..., None])[..., 0].T

    def covariance_in_given_units(self, covariance: np.ndarray) -> np.ndarray:
        """``R^-1 C R^-T``."""
        half = np.linalg.solve(self.r, covariance)
        return np.linalg.solve(self.r, half.transpose(0, 2, 1))

    def take(self, fits: np.ndarray) -> Columns:
        """The design of some of the fits."""
        if self.x.shape[-1] == 1:
            return self
        return Columns(self.x[..., fits], self.r[fits])


Design = Constant | Columns
