"""Counts of events among patients: what is refused, the common proportion, and the exact limits of a single one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincinv

from cellclaims.errors import PoolingError


def check_counts(events: ArrayLike, n: ArrayLike, keep: ArrayLike | None = None) -> tuple[NDArray, NDArray, NDArray]:
    """Counts as floats of one shape, zero where a report does not count, and the mask; refuses what is no
    count.

    Raises
    ------
    PoolingError
        Names the first count that is refused and where it stands.
    """
    x, size = np.asarray(events, float), np.asarray(n, float)
    try:
        x, size, kept = np.broadcast_arrays(x, size, True if keep is None else np.asarray(keep, bool))
    except ValueError:
        raise PoolingError(
            f"expected shapes that fit together, found {x.shape}, {size.shape}, {np.shape(keep)}"
        ) from None
    if x.ndim == 0 or x.shape[-1] == 0:
        raise PoolingError(f"expected at least one report on the last axis, found shape {x.shape}")
    with np.errstate(invalid="ignore"):
        fine = (x >= 0) & (x <= size) & (size >= 1) & (x == np.round(x)) & (size == np.round(size)) & np.isfinite(size)
    if not np.all(fine | ~kept):
        where = tuple(int(i) for i in np.argwhere(~fine & kept)[0])
        raise PoolingError(f"expected whole 0 <= events <= n and n >= 1, found {x[where]} of {size[where]} at {where}")
    return np.where(kept, x, 0.0), np.where(kept, size, 0.0), kept


def clopper_pearson(events: NDArray, n: NDArray, level: float) -> tuple[NDArray, NDArray]:
    """Exact limits of a single proportion (Clopper and Pearson 1934,
    https://doi.org/10.1093/biomet/26.4.404).

    Examples
    --------
    >>> lower, upper = clopper_pearson(np.array(1), np.array(16), 0.95)
    >>> round(float(lower), 4), round(float(upper), 4)
    (0.0016, 0.3023)
    """
    tail = (1 - level) / 2
    lower = np.where(events > 0, betaincinv(np.maximum(events, 1), n - events + 1, tail), 0.0)
    upper = np.where(events < n, betaincinv(events + 1, np.maximum(n - events, 1), 1 - tail), 1.0)
    return np.where(n > 0, lower, np.nan), np.where(n > 0, upper, np.nan)


class Common(NamedTuple):
    """What the counts of ``(r, k)`` reports say before any heterogeneity is fitted; each of shape ``(r,)``.

    ``beta`` and ``se`` are those of the logit of the common proportion. ``solve`` marks the rows whose heterogeneity
    can be fitted, ``endless`` those whose likelihood rises for ever in it, as each report is all or nothing, and
    ``full`` counts the reports in which everybody has the event.
    """

    beta: NDArray
    se: NDArray
    solve: NDArray
    endless: NDArray
    full: NDArray


def common(x: NDArray, n: NDArray, k: NDArray) -> Common:
    """Counts of shape ``(r, k)`` as one proportion, and what more can be fitted to them."""
    events, patients = x.sum(-1), n.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.log(events) - np.log(patients - events)
        se = np.sqrt(1.0 / events + 1.0 / (patients - events))
    spread = (events > 0) & (events < patients) & (k >= 2) & (n.max(-1) > 1)
    endless = spread & np.all((x == 0) | (x == n), axis=-1)
    return Common(beta, se, spread & ~endless, endless, ((x == n) & (n > 0)).sum(-1))
