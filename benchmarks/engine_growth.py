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


def batch_seconds(fits: int, k: int) -> float:
    """Fits of random halves of k studies."""
    yi, vi = effects(k)
    rng, seconds = np.random.default_rng(3), 0.0
    for start in range(0, fits, PIECE):
        keep = rng.random((min(PIECE, fits - start), k), dtype=np.float32) < 0.5
        keep[:, :2] = True
        clock = perf_counter()
        meta.fit(yi, vi, keep=keep)
        seconds += perf_counter() - clock
    return seconds


def best(fits: int, k: int) -> float:
    """The quickest of a few runs: others use the machine too."""
    return min(batch_seconds(fits, k) for _ in range(1 if fits > PIECE else 5))


def draw(folder: Path) -> tuple[Path, Path]:
    """Measure, draw and save ``engine_growth``."""
    by_batch = [best(fits, 20) for fits in BATCHES]
    by_k = [best(FITS_PER_K, k) for k in STUDIES]
    with style.applied():
        fig = Figure(figsize=(6.8, 2.9), layout="constrained")
        left, right = fig.subplots(1, 2)
        _panel(left, BATCHES, by_batch, "fits in the batch (20 studies)", 1e-6, "1 microsecond a fit")
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
