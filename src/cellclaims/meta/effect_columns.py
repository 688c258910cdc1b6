"""Columns of an effect size: what each measure needs, what is refused, and half an event added to empty cells.

Column names are those of the field (metafor): two groups ``ai, bi, ci, di, n1i, n2i`` (events and others), rates
``x1i, t1i``, means ``m1i, sd1i``, one group ``xi, ni``, a correlation ``ri``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellclaims.errors import PoolingError

TO = ("all", "only0", "if0all", "none")
COUNTS = {"ai", "bi", "ci", "di", "x1i", "x2i", "xi"}
SIZES = {"n1i", "n2i", "ni"}
POSITIVE = {"sd1i", "sd2i", "sdi", "t1i", "t2i", "ti"}


def read_columns(columns: dict[str, ArrayLike]) -> dict[str, NDArray]:
    """Columns as float arrays of one shape.

    Raises
    ------
    PoolingError
        If a column is no number, is missing a value, has another shape, or holds what cannot be (a negative count, a
        size below 1, a standard deviation or a time that is not positive); names the column and the study.
    """
    arrays = {}
    for name, values in columns.items():
        try:
            arrays[name] = np.asarray(values, float)
        except (TypeError, ValueError):
            raise PoolingError(f"{name}: expected numbers, found {values!r:.80}") from None
    try:
        shape = np.broadcast_shapes(*(a.shape for a in arrays.values()))
    except ValueError:
        shapes = {name: a.shape for name, a in arrays.items()}
        raise PoolingError(f"expected columns of one length, found {shapes}") from None
    for name, a in arrays.items():
        _refuse(~np.isfinite(a), a, name, "a number")
        if name in COUNTS:
            _refuse(a < 0, a, name, "a count, zero or more")
        if name in SIZES:
            _refuse(a < 1, a, name, "a size of at least 1")
        if name in POSITIVE:
            _refuse(a <= 0, a, name, "a value above zero")
    return {name: np.broadcast_to(a, shape) for name, a in arrays.items()}


def _refuse(bad: NDArray, values: NDArray, name: str, expected: str) -> None:
    if np.any(bad):
        place = tuple(int(i) for i in np.argwhere(np.atleast_1d(bad))[0])
        raise PoolingError(f"{name}: expected {expected}, found {np.atleast_1d(values)[place]} at study {place[-1]}")


def complete_table(columns: dict[str, NDArray]) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """The four cells of two groups, from ``ai, bi, ci, di`` or ``ai, n1i, ci, n2i``."""
    a, c = columns["ai"], columns["ci"]
    b = columns["bi"] if "bi" in columns else columns["n1i"] - a
    d = columns["di"] if "di" in columns else columns["n2i"] - c
    _refuse(b < 0, a, "ai", "no more events than n1i")
    _refuse(d < 0, c, "ci", "no more events than n2i")
    _refuse((a + b == 0) | (c + d == 0), a + b, "n1i, n2i", "two groups with patients")
    return a, b, c, d


def complete_group(columns: dict[str, NDArray]) -> tuple[NDArray, NDArray]:
    """Events and others of one group, from ``xi, mi`` or ``xi, ni``."""
    x = columns["xi"]
    others = columns["mi"] if "mi" in columns else columns["ni"] - x
    _refuse(others < 0, x, "xi", "no more events than ni")
    return x, others


def fill_empty(cells: tuple[NDArray, ...], add: float, to: str) -> tuple[NDArray, ...]:
    """Add ``add`` to every cell of a study: of all, of those with an empty cell, of all if any has one, or of none.

    Examples
    --------
    >>> a, b = fill_empty((np.array([0.0, 3.0]), np.array([5.0, 2.0])), 0.5, "only0")
    >>> a.tolist(), b.tolist()
    ([0.5, 3.0], [5.5, 2.0])
    """
    if to not in TO:
        raise PoolingError(f"to: expected one of {', '.join(TO)}, found {to!r}")
    if not 0 <= add < np.inf:
        raise PoolingError(f"add: expected a number of at least 0, found {add!r}")
    empty = np.any(np.stack(cells) == 0, axis=0)
    chosen = {"all": True, "only0": empty, "if0all": empty.any(axis=-1, keepdims=empty.ndim > 0), "none": False}[to]
    return tuple(cell + add * np.asarray(chosen) for cell in cells)
