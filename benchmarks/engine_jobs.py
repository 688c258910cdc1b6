"""The jobs of the engine's benchmark: made-up effects, and which of them count in each fit."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Job:
    """Fits to be timed.

    ``yi`` and ``vi`` have shape (k,) or (fits, k); ``keep`` shape (fits, k) or None. ``one_by_one`` is how many of the
    fits a tool that works one after another is timed on, ``in_one_call`` one that takes many at once; their time for
    all fits is that time, scaled up.
    """

    name: str
    yi: np.ndarray
    vi: np.ndarray
    keep: np.ndarray | None
    fits: int
    repeats: int
    one_by_one: int
    in_one_call: int

    def sample(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """``count`` of the fits, spread evenly, as (count, k) with NaN for a study that is left out."""
        rows = np.linspace(0, self.fits - 1, count).astype(int)
        shape = (self.fits, self.yi.shape[-1])
        yi, vi = (np.broadcast_to(a, shape)[rows] for a in (self.yi, self.vi))
        keep = True if self.keep is None else self.keep[rows]
        return np.where(keep, yi, np.nan), np.where(keep, vi, np.nan)


def effects(k: int, fits: tuple[int, ...] = (), seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Effects with tau2 = 0.1 and variances that differ as those of published trials do (a factor of about 30)."""
    rng = np.random.default_rng(seed)
    vi = np.exp(rng.normal(-2.0, 1.0, size=(*fits, k)))
    return rng.normal(0.3, np.sqrt(vi + 0.1)), vi


def subsets(k: int) -> np.ndarray:
    """Return all subsets but the empty one, shape (2^k - 1, k)."""
    numbers = np.arange(1, 2**k, dtype=np.uint32)
    return (numbers[:, None] >> np.arange(k, dtype=np.uint32) & 1).astype(bool)


def jobs() -> list[Job]:
    """Return the jobs in the order of the table."""
    drawn = np.random.default_rng(2).integers(20, size=(10_000, 20))
    zero, above, fifteen, twenty, thousand = effects(10), effects(10, seed=4), effects(15), effects(20), effects(1000)
    return [
        Job("one REML fit with its full summary, k = 10, tau2 = 0", *zero, None, 1, 500, 1, 1),
        Job("one REML fit with its full summary, k = 10, tau2 > 0", *above, None, 1, 500, 1, 1),
        Job("all 32,767 subsets of k = 15", *fifteen, subsets(15), 2**15 - 1, 9, 300, 2**15 - 1),
        Job("all 1,048,575 subsets of k = 20", *twenty, subsets(20), 2**20 - 1, 3, 300, 50_000),
        Job("10,000 bootstrap fits, k = 20", twenty[0][drawn], twenty[1][drawn], None, 10_000, 9, 300, 10_000),
        Job("leave-one-out of k = 1,000", *thousand, ~np.eye(1000, dtype=bool), 1000, 5, 2, 1000),
    ]
