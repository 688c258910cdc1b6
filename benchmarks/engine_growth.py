"""How the engine's time grows with the batch, up to ten million fits, and with the number of studies."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import numpy as np
from engine_jobs import effects
from matplotlib.figure import Figure

from cellclaims import figures, meta
from cellclaims.figures import style

#: More fits than this are done in pieces, so that their choices of studies need not be in memory together.
PIECE = 1_000_000
BATCHES = [1, 10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000]
STUDIES = [5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000]
FITS_PER_K = 500
#: Every piece of every size is timed this often and the quickest counts: others use the machine too, and a size that
#: is timed once beside sizes that are timed five times would look slower than it is.
REPEATS = 3


def batch_seconds(fits: int, k: int) -> float:
    """Fits of random halves of k studies, every one of them done, each piece by its quickest run."""
    yi, vi = effects(k)
    rng, seconds = np.random.default_rng(3), 0.0
    for start in range(0, fits, PIECE):
        keep = rng.random((min(PIECE, fits - start), k), dtype=np.float32) < 0.5
        keep[:, :2] = True
        seconds += min(piece_seconds(yi, vi, keep) for _ in range(REPEATS))
    return seconds


def piece_seconds(yi: np.ndarray, vi: np.ndarray, keep: np.ndarray) -> float:
    """One run of one piece."""
    start = perf_counter()
    meta.fit(yi, vi, keep=keep)
    return perf_counter() - start


def draw(folder: Path) -> tuple[Path, Path]:
    """Measure, draw and save ``engine_growth``."""
    by_batch = [batch_seconds(fits, 20) for fits in BATCHES]
    by_k = [batch_seconds(FITS_PER_K, k) for k in STUDIES]
    for fits, seconds in zip(BATCHES, by_batch, strict=True):
        print(f"{fits:>10,} fits of 20 studies: {seconds / fits * 1e6:.2f} microseconds a fit")
    with style.applied():
        fig = Figure(figsize=(6.8, 2.9), layout="constrained")
        left, right = fig.subplots(1, 2)
        linear = by_batch[BATCHES.index(PIECE)] / PIECE
        _panel(left, BATCHES, by_batch, "fits in the batch (20 studies)", linear, "proportional to the fits")
        linear = by_k[STUDIES.index(1000)] / 1000
        _panel(right, STUDIES, by_k, f"studies in a fit ({FITS_PER_K} fits)", linear, "proportional to the studies")
    alt = (
        "Two panels on logarithmic scales. Left: seconds against the number of fits in a batch, from one fit to "
        "ten million. Right: seconds against the number of studies in a fit. Beyond small sizes both run along a "
        "dashed straight line of slope one: time grows in proportion."
    )
    return figures.save(fig, alt=alt, name="engine_growth", folder=folder)


def _panel(axes: object, x: list[int], seconds: list[float], label: str, slope: float, words: str) -> None:
    axes.loglog(x, [slope * value for value in x], linestyle="--", color=style.GREY, label=words)
    axes.loglog(x, seconds, marker="o", markersize=4, color=style.BLUE, label="measured")
    axes.set_xlabel(label)
    axes.set_ylabel("seconds")
    axes.legend(loc="upper left")
