"""Chunks of fits as arrays: studies along the first axis, fits along the last.

A study that a fit does not keep has infinite variance there, so that its weight ``1/(v + tau2)`` is zero in
every sum without a mask. Effects are centred on the least-squares fit of each choice of studies: sums of
squares are taken of numbers near zero, and a common shift of all effects changes nothing but the mean.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Generic, TypeVar

import numpy as np

from cellclaims.meta.inputs import Effects

# Values computed on first access and then kept.


P = TypeVar("P")
T = TypeVar("T")


class computed(Generic[T]):
    """An attribute whose function is called once.

    ``functools.cached_property`` does the same and takes a lock at every first access in Python 3.11: a fit has two
    dozen of them, a tenth of its time. Two threads that ask at once both compute the same number here.

    Examples
    --------
    >>> class Circle:
    ...     @computed
    ...     def area(self):
    ...         print("computing")
    ...         return 3.0
    >>> circle = Circle()
    >>> circle.area + circle.area
    computing
    6.0
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function, self.__doc__ = function, function.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    def __get__(self, instance: object | None, owner: type | None = None) -> T:
        if instance is None:
            return self
        value = instance.__dict__[self.name] = self.function(instance)
        return value


# The algebra of a weighted least-squares design, for a whole batch at once.
#
# Everything the engine needs from the design matrix ``X`` are sums over studies: ``X'WX`` (the *Gram* matrix
# of weights ``w``), ``X'z`` (*moments*) and traces of products of Gram matrices. With a constant as the only
# column these are plain sums; :class:`Constant` keeps them so, :class:`Columns` is the general case behind
# the same names. Studies are along the first axis and fits along the last, ``(k, b)``, so that
# sums over studies read memory in order. Coefficients have shape ``(b,)`` or ``(p, b)``, Gram matrices ``(b,)`` or
# ``(b, p, p)``.


#: A column whose residual after projection on earlier columns is shorter than this proportion depends on them.
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
        """``X'WWX``, where ``tr WW`` is known."""
        return total

    def total(self, w: np.ndarray, gram: np.ndarray) -> np.ndarray:
        """``tr W``, where ``X'WX`` is known."""
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

    def in_given_units(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients of the columns as they were given."""
        return coefficients

    def covariance_in_given_units(self, covariance: np.ndarray) -> np.ndarray:
        """Covariance of the coefficients of the columns as they were given."""
        return covariance

    def take(self, fits: np.ndarray) -> Constant:
        """Return the design of some of the fits."""
        return self


@dataclass(frozen=True)
class Columns:
    """Any design, stored as orthonormal columns ``X = Q R`` for accuracy with large values such as years.

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
        """Return the design of columns (b or 1, k, p), zero where not kept, and which fits have independent ones."""
        q, r = np.linalg.qr(given)
        length = np.sqrt(np.add.reduce(given * given, axis=1))
        left = np.abs(np.diagonal(r, axis1=1, axis2=2))
        independent = (left > DEPENDENT * length).all(axis=1)
        if not independent.all():  # any design will do: the fit is flagged
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

    def in_given_units(self, coefficients: np.ndarray) -> np.ndarray:
        """Coefficients of the columns as they were given: ``R^-1 b``."""
        return np.linalg.solve(self.r, coefficients.T[..., None])[..., 0].T

    def covariance_in_given_units(self, covariance: np.ndarray) -> np.ndarray:
        """``R^-1 C R^-T``."""
        half = np.linalg.solve(self.r, covariance)
        return np.linalg.solve(self.r, half.transpose(0, 2, 1))

    def take(self, fits: np.ndarray) -> Columns:
        """Return the design of some of the fits."""
        if self.x.shape[-1] == 1:
            return self
        return Columns(self.x[..., fits], self.r[fits])


Design = Constant | Columns


#: Numbers in one array of a chunk; several such arrays fit into a core's cache.
CHUNK_NUMBERS = 80_000

#: Chunks and bytes sent to a cluster at once: large enough to outweigh the transfer, small enough to be sent.
PIECE_CHUNKS, PIECE_BYTES = 16, 4_000_000


@dataclass(frozen=True)
class Batch:
    """``b`` fits over ``k`` studies.

    Attributes
    ----------
    y : ndarray, shape (k, b)
        Residuals of the unweighted fit; zero where not kept.
    v : ndarray, shape (k, b) or (k, 1)
        Sampling variances; infinite where not kept.
    n : ndarray of float, shape (b,)
        Studies kept.
    low, high : ndarray, shape (b,) or (1,)
        Smallest and largest kept variance.
    centre : ndarray, shape (b,) or (p, b)
        Coefficients of the unweighted fit, to be added back.
    given : ndarray, shape (k, b) or (k, 1), or None
        Weights given in place of the inverse variances; zero where not kept.
    sound : ndarray of bool, shape (b,) or (1,)
        Whether more studies are kept than there are coefficients, and the design's columns are independent.
    design : Constant or Columns
    """

    y: np.ndarray
    v: np.ndarray
    n: np.ndarray
    low: np.ndarray
    high: np.ndarray
    centre: np.ndarray
    given: np.ndarray | None
    sound: np.ndarray
    design: Design

    @computed
    def width(self) -> int:
        """Number of fits ``b``."""
        arrays = (self.y, self.v, self.n) if self.given is None else (self.y, self.v, self.n, self.given)
        return max(a.shape[-1] for a in arrays)

    @computed
    def df(self) -> np.ndarray:
        """Residual degrees of freedom, at least 1 for divisions; fits with none are flagged."""
        return np.maximum(self.n - self.design.columns, 1.0)

    @computed
    def spread(self) -> np.ndarray:
        """Mean square of the unweighted residuals, shape (b,)."""
        return total(self.y * self.y) / self.df

    @computed
    def variance(self) -> np.ndarray:
        """Variance of the effects as given, about their own mean, over ``n``, shape (b,)."""
        if isinstance(self.design, Constant):
            return total(self.y * self.y) / self.n
        kept = np.isfinite(self.v)
        effects = np.where(kept, self.y + self.design.fitted(self.centre), 0.0)
        mean = total(effects) / self.n
        return total(np.where(kept, effects - mean, 0.0) ** 2) / self.n

    def weights(self, tau2: np.ndarray | float) -> np.ndarray:
        """``1/(v + tau2)``, zero where not kept, shape (k, b)."""
        return 1.0 / (self.v + tau2)

    @computed
    def finite_v(self) -> np.ndarray:
        """Variances with zero instead of infinity, for sums without weights."""
        return np.where(np.isfinite(self.v), self.v, 0.0)

    def take(self, fits: np.ndarray) -> Batch:
        """Some of the fits (an index along the last axis)."""
        if self.width == 1:
            return self
        parts = (self.y, self.v, self.n, self.low, self.high, self.centre, self.given, self.sound)
        taken = (a if a is None or a.shape[-1] == 1 else np.take(a, fits, axis=-1) for a in parts)
        return Batch(*taken, self.design.take(fits))


def over_chunks(work: Callable[[Batch], T], effects: Effects, scheduler: str | None = None) -> list[T]:
    """Apply a function to every chunk of the flattened batch, in order; many chunks are distributed among threads.

    A chunk fits into a core's cache. Threads suffice, because NumPy releases the interpreter lock for arrays of this
    size. With the address of a Dask scheduler, its workers process the same chunks.
    """
    cut = _Cut.of(effects)
    if scheduler is not None:
        from cellclaims.meta.cluster import on_cluster

        parts = on_cluster(partial(_over_piece, work), cut.pieces(), scheduler)
        return [part for piece in parts for part in piece]
    return side_by_side(lambda fits: work(cut.batch(fits)), cut.chunks())


def side_by_side(work: Callable[[P], T], pieces: Sequence[P]) -> list[T]:
    """Apply a function to every piece, in order, in several threads."""
    cores = _cores()
    if cores == 1 or len(pieces) <= cores:
        return [work(piece) for piece in pieces]
    with ThreadPoolExecutor(cores) as threads:
        return list(threads.map(work, pieces))


def _over_piece(work: Callable[[Batch], T], piece: _Cut) -> list[T]:
    """Process one chunk after the other: a worker of a cluster has one thread per core."""
    return [work(piece.batch(fits)) for fits in piece.chunks()]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def single_batch(effects: Effects) -> Batch:
    """Return the batch of one fit."""
    return _Cut.of(effects).batch(slice(0, 1))


@dataclass(frozen=True)
class _Cut:
    """Effects with flattened leading axes, from which chunks are taken one by one.

    ``columns`` are effects, variances, choices of studies, weights and the design, each of shape (total, k, ...), or
    (1, k, ...) where it is the same for all fits, or None; ``size`` is the number of fits in a chunk.
    """

    columns: tuple[np.ndarray | None, ...]
    total: int
    size: int

    @classmethod
    def of(cls, effects: Effects) -> _Cut:
        """Return all fits of a batch."""
        given = (effects.yi, effects.vi, effects.keep, effects.weights, effects.design)
        own = (1, 1, 1, 1, 2)
        columns = (None if a is None else _flatten(a, effects.shape, n) for a, n in zip(given, own, strict=True))
        return cls(tuple(columns), math.prod(effects.shape), max(1, CHUNK_NUMBERS // effects.k))

    def chunks(self) -> list[slice]:
        """Return the slices of fits that are processed together."""
        return [slice(start, start + self.size) for start in range(0, self.total, self.size)]

    def batch(self, fits: slice) -> Batch:
        """Return the chunk of some of the fits."""
        *columns, design = self.columns
        columns = (None if a is None else _studies_first(a, fits) for a in columns)
        return lay_out(*columns, None if design is None else _some(design, fits))

    def pieces(self) -> Iterator[_Cut]:
        """Return all chunks with their data."""
        a_fit = sum(a[0].nbytes for a in self.columns if a is not None and len(a) > 1)
        chunks = min(PIECE_CHUNKS, PIECE_BYTES // max(1, a_fit * self.size))
        step = self.size * max(1, chunks)
        for start in range(0, self.total, step):
            fits = slice(start, min(start + step, self.total))
            columns = tuple(None if a is None else _some(a, fits) for a in self.columns)
            yield _Cut(columns, fits.stop - fits.start, self.size)


def _some(array: np.ndarray, fits: slice) -> np.ndarray:
    return array if len(array) == 1 else array[fits]


def _flatten(array: np.ndarray, shape: tuple[int, ...], own: int) -> np.ndarray:
    """Leading axes flattened to one of all fits, or of length 1 if it is the same for all fits."""
    rest = array.shape[-own:]
    if array.size == math.prod(rest):
        return array.reshape(1, *rest)
    return np.broadcast_to(array, (*shape, *rest)).reshape(-1, *rest)


def _studies_first(array: np.ndarray, fits: slice) -> np.ndarray:
    """Return the chunk as (k, b) or (k, 1)."""
    return array.T if len(array) == 1 else np.ascontiguousarray(array[fits].T)


def lay_out(
    y: np.ndarray,
    v: np.ndarray,
    keep: np.ndarray | None,
    weights: np.ndarray | None,
    design: np.ndarray | None,
) -> Batch:
    """Give the studies that do not count an infinite variance, and centre the effects."""
    n, high = np.array([float(len(v))]), np.maximum.reduce(v)
    if keep is not None:
        n, high = np.add.reduce(keep, dtype=float), np.maximum.reduce(np.where(keep, v, 0.0))
        v = np.where(keep, v, np.where(n > 0.0, np.inf, 1.0))  # any variance will do where nothing is kept
        weights = None if weights is None else np.where(keep, weights, 0.0)
    if design is None:
        y, centre = _centred(y, keep, n)
        return Batch(y, v, n, np.minimum.reduce(v), high, centre, weights, n > 1.0, Constant())
    algebra, independent = Columns.of(design if keep is None else np.where(keep.T[..., None], design, 0.0))
    if not independent.all():  # any variance will do where nothing can be estimated
        v, high = np.where(independent, v, 1.0), np.where(independent, high, 1.0)
    y = y if keep is None else np.where(keep, y, 0.0)
    centre = algebra.moments(y, np.ones_like(y))
    y = y - algebra.fitted(centre)
    sound = independent & (n > algebra.columns)
    return Batch(y, v, n, np.minimum.reduce(v), high, centre, weights, sound, algebra)


def _centred(y: np.ndarray, keep: np.ndarray | None, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the effects minus their mean, zero where not kept, and the mean.

    One of the effects is subtracted first, so that equal effects become exactly zero.
    """
    if keep is None:
        y, anchor = y - y[0], y[0]
        beyond = total(y) / n
        return y - beyond, anchor + beyond
    anchor = np.where(n > 0.0, np.maximum.reduce(np.where(keep, y, -np.inf)), 0.0)
    y = np.where(keep, y - anchor, 0.0)
    beyond = total(y) / np.maximum(n, 1.0)
    return np.where(keep, y - beyond, 0.0), anchor + beyond


# The generalised least-squares fit of a batch at one tau2, and the traces and quadratic forms that follow from it.
#
# Write ``W = diag(w)`` and ``P = W - W X (X'WX)^-1 X'W``: ``P y = w r`` with ``r`` the residuals of the weighted
# fit. All estimators, tests and diagnostics use a few numbers of each fit: ``y'P y``, ``y'PP y``, ``tr P``,
# ``tr PP`` and so on. Each is computed on first access.


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
        ``r``; meaningless where the weight is zero.
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
