"""A chunk of fits laid out for the engine: studies along the first axis, fits along the last.

A study that a fit does not keep has infinite variance there, so that its weight ``1/(v + tau2)`` is zero in
every sum without a mask. Effects are centred on the least-squares fit of each choice of studies: sums of
squares are taken of numbers near zero, and a common shift of all effects changes nothing but the mean.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from cellclaims.meta.computed import computed
from cellclaims.meta.design import Columns, Constant, Design, total
from cellclaims.meta.inputs import Effects

T = TypeVar("T")

#: Numbers in one array of a chunk: a handful of such arrays fit into a core's cache together.
CHUNK_NUMBERS = 80_000

#: What is sent to a cluster at once: chunks enough to be worth the way, and bytes few enough to be sent.
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
        """Residual degrees of freedom, at least 1 to divide by; fits with none are set apart by name."""
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
        """Variances with zero in place of infinity, for sums that carry no weights."""
        return np.where(np.isfinite(self.v), self.v, 0.0)

    def take(self, fits: np.ndarray) -> Batch:
        """Some of the fits (an index along the last axis)."""
        if self.width == 1:
            return self
        parts = (self.y, self.v, self.n, self.low, self.high, self.centre, self.given, self.sound)
        taken = (a if a is None or a.shape[-1] == 1 else np.take(a, fits, axis=-1) for a in parts)
        return Batch(*taken, self.design.take(fits))


def over_chunks(work: Callable[[Batch], T], effects: Effects, scheduler: str | None = None) -> list[T]:
    """Do the same work on every chunk of the flattened batch, in order; many chunks are shared out among the cores.

    A chunk is as much as a core's cache holds. Threads are enough: NumPy lets go of the interpreter while it works on
    arrays of that size. With the address of a Dask scheduler the same chunks are worked on by its workers.
    """
    cut = _Cut.of(effects)
    if scheduler is not None:
        from cellclaims.meta.cluster import on_cluster

        parts = on_cluster(partial(_over_piece, work), cut.pieces(), scheduler)
        return [part for piece in parts for part in piece]
    chunks = cut.chunks()
    if len(chunks) == 1 or len(chunks) <= (cores := _cores()) or cores == 1:
        return [work(cut.batch(fits)) for fits in chunks]
    with ThreadPoolExecutor(cores) as threads:
        return list(threads.map(lambda fits: work(cut.batch(fits)), chunks))


def _over_piece(work: Callable[[Batch], T], piece: _Cut) -> list[T]:
    """One chunk after the other: a worker of a cluster has a thread for each of its cores."""
    return [work(piece.batch(fits)) for fits in piece.chunks()]


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def single_batch(effects: Effects) -> Batch:
    """The batch of one fit."""
    return _Cut.of(effects).batch(slice(0, 1))


@dataclass(frozen=True)
class _Cut:
    """Effects with their leading axes flattened, from which chunks are cut when their turn comes.

    ``columns`` are effects, variances, choices of studies, weights and the design, each of shape (total, k, ...), or
    (1, k, ...) where it is the same for all fits, or None; ``size`` is the number of fits in a chunk.
    """

    columns: tuple[np.ndarray | None, ...]
    total: int
    size: int

    @classmethod
    def of(cls, effects: Effects) -> _Cut:
        """All fits of a batch."""
        given = (effects.yi, effects.vi, effects.keep, effects.weights, effects.design)
        own = (1, 1, 1, 1, 2)
        columns = (None if a is None else _flatten(a, effects.shape, n) for a, n in zip(given, own, strict=True))
        return cls(tuple(columns), math.prod(effects.shape), max(1, CHUNK_NUMBERS // effects.k))

    def chunks(self) -> list[slice]:
        """Which fits are worked on together."""
        return [slice(start, start + self.size) for start in range(0, self.total, self.size)]

    def batch(self, fits: slice) -> Batch:
        """The chunk of some of the fits, laid out."""
        *columns, design = self.columns
        columns = (None if a is None else _studies_first(a, fits) for a in columns)
        return lay_out(*columns, None if design is None else _some(design, fits))

    def pieces(self) -> Iterator[_Cut]:
        """Whole chunks with their data, together all fits."""
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
    """The chunk as (k, b) or (k, 1)."""
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
        v = np.where(keep, v, np.where(n > 0.0, np.inf, 1.0))  # where nothing is kept any variance will do
        weights = None if weights is None else np.where(keep, weights, 0.0)
    if design is None:
        y, centre = _centred(y, keep, n)
        return Batch(y, v, n, np.minimum.reduce(v), high, centre, weights, n > 1.0, Constant())
    algebra, independent = Columns.of(design if keep is None else np.where(keep.T[..., None], design, 0.0))
    if not independent.all():  # nothing can be estimated there: any variance will do
        v, high = np.where(independent, v, 1.0), np.where(independent, high, 1.0)
    y = y if keep is None else np.where(keep, y, 0.0)
    centre = algebra.moments(y, np.ones_like(y))
    y = y - algebra.fitted(centre)
    sound = independent & (n > algebra.columns)
    return Batch(y, v, n, np.minimum.reduce(v), high, centre, weights, sound, algebra)


def _centred(y: np.ndarray, keep: np.ndarray | None, n: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Effects less their mean, zero where not kept, and the mean.

    One of the effects is taken off first: equal effects are then exactly zero, whatever their size.
    """
    if keep is None:
        y, anchor = y - y[0], y[0]
        beyond = total(y) / n
        return y - beyond, anchor + beyond
    anchor = np.where(n > 0.0, np.maximum.reduce(np.where(keep, y, -np.inf)), 0.0)
    y = np.where(keep, y - anchor, 0.0)
    beyond = total(y) / np.maximum(n, 1.0)
    return np.where(keep, y - beyond, 0.0), anchor + beyond
