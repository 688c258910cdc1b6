"""A chunk of fits laid out for the engine: studies along the first axis, fits along the last.

A study that a fit does not keep has infinite variance there, so that its weight ``1/(v + tau2)`` is zero in
every sum without a mask. Effects are centred on the least-squares fit of each choice of studies: sums of
squares are taken of numbers near zero, and a common shift of all effects changes nothing but the mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cellclaims.meta.design import Constant
from cellclaims.meta.inputs import Effects

#: Numbers in one array of a chunk: a handful of such arrays fit into a core's cache together.
CHUNK_NUMBERS = 20_000


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
    design : Constant or Columns
    """

    y: np.ndarray
    v: np.ndarray
    n: np.ndarray
    low: np.ndarray
    high: np.ndarray
    centre: np.ndarray
    design: Constant

    @property
    def width(self) -> int:
        """Number of fits ``b``."""
        return max(self.y.shape[-1], self.v.shape[-1], self.n.shape[-1])

    @property
    def df(self) -> np.ndarray:
        """Residual degrees of freedom, at least 1 to divide by; fits with none are set apart by name."""
        return np.maximum(self.n - self.design.columns, 1.0)

    @property
    def spread(self) -> np.ndarray:
        """Mean square of the unweighted residuals, shape (b,)."""
        return np.add.reduce(self.y * self.y) / self.df

    def weights(self, tau2: np.ndarray | float) -> np.ndarray:
        """``1/(v + tau2)``, zero where not kept, shape (k, b)."""
        return 1.0 / (self.v + tau2)

    def take(self, fits: np.ndarray) -> Batch:
        """Some of the fits (an index or a mask along the last axis)."""
        if self.width == 1:
            return self
        parts = (self.y, self.v, self.n, self.low, self.high, self.centre)
        return Batch(*(a if a.shape[-1] == 1 else a[..., fits] for a in parts), self.design.take(fits))


def chunk_size(k: int) -> int:
    """Fits of ``k`` studies that are worked on together."""
    return max(1, CHUNK_NUMBERS // k)


def chunks(effects: Effects, size: int) -> Iterator[tuple[slice, Batch]]:
    """Cut the flattened batch into chunks of at most ``size`` fits."""
    total = int(np.prod(effects.shape, dtype=int))
    flat = [_flatten(a, effects) for a in (effects.yi, effects.vi, effects.keep)]
    for start in range(0, total, size):
        fits = slice(start, min(start + size, total))
        yield fits, lay_out(*(None if a is None else _columns(a, fits) for a in flat))


def _flatten(array: np.ndarray | None, effects: Effects) -> np.ndarray | None:
    """(fits, k), or (1, k) if it is the same for all fits."""
    if array is None:
        return None
    if array.size == array.shape[-1]:
        return array.reshape(1, -1)
    return np.broadcast_to(array, (*effects.shape, effects.k)).reshape(-1, effects.k)


def _columns(array: np.ndarray, fits: slice) -> np.ndarray:
    """The chunk with studies first: (k, b) or (k, 1)."""
    return array.T if array.shape[0] == 1 else np.ascontiguousarray(array[fits].T)


def lay_out(y: np.ndarray, v: np.ndarray, keep: np.ndarray | None) -> Batch:
    """Centre the effects and give the studies that do not count an infinite variance."""
    if keep is None:
        n = np.array([float(len(y))])
        low, high = np.minimum.reduce(v), np.maximum.reduce(v)
        centre = np.add.reduce(y) / n
        y = y - centre
    else:
        n = np.add.reduce(keep, dtype=float)
        high = np.maximum.reduce(np.where(keep, v, 0.0))
        v = np.where(keep, v, np.where(n > 0.0, np.inf, 1.0))  # where nothing is kept any variance will do
        low = np.minimum.reduce(v)
        y = np.where(keep, y, 0.0)
        centre = np.add.reduce(y) / np.maximum(n, 1.0)
        y = np.where(keep, y - centre, 0.0)
    return Batch(y, v, n, low, high, centre, Constant())
