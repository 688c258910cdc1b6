"""Checks of what is to be pooled: effects, variances and which of them count.

Nothing is dropped and nothing is repaired here: a missing effect or a variance that is not positive is
refused by name and place, unless ``keep`` says that this study does not count in this fit.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError

#: Beyond these the cube of a weight leaves the range of doubles: another unit serves better.
SMALLEST, LARGEST = 1e-50, 1e50

#: How many offending places a message lists before it says how many more there are.
PLACES_SHOWN = 5


@dataclass(frozen=True)
class Effects:
    """Checked effects of a batch, broadcastable to ``shape + (k,)``.

    Attributes
    ----------
    yi, vi : ndarray of float, shape (..., k)
        Effects and their sampling variances, as given (not yet broadcast).
    keep : ndarray of bool, shape (..., k), or None
        Which studies count; None when all do.
    shape : tuple of int
        Shape of the batch; ``()`` for one fit.
    design : ndarray of float, shape (..., k, p), or None
        Columns of a meta-regression; None for a single mean.
    weights : ndarray of float, shape (..., k), or None
        Weights given in place of the inverse variances.
    """

    yi: np.ndarray
    vi: np.ndarray
    keep: np.ndarray | None
    shape: tuple[int, ...]
    design: np.ndarray | None = None
    weights: np.ndarray | None = None

    @property
    def k(self) -> int:
        """Number of studies, kept or not."""
        return self.yi.shape[-1]


def check_effects(
    yi: ArrayLike,
    vi: ArrayLike,
    keep: ArrayLike | None = None,
    design: np.ndarray | None = None,
    weights: ArrayLike | None = None,
) -> Effects:
    """Check effects, variances and the choice of studies.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances; their leading axes broadcast.
    keep : array-like of bool, shape (..., k), optional
        Which studies count. What is not kept may be missing.
    design : ndarray of float, shape (..., k, p), optional
        Columns of a meta-regression, the constant among them (:func:`design_columns`).
    weights : array-like of float, shape (..., k), optional
        Weights given in place of the inverse variances.

    Returns
    -------
    Effects

    Raises
    ------
    PoolingError
        If shapes do not fit, a kept effect, moderator or weight is not finite, or a kept variance is not
        finite and positive.

    Examples
    --------
    >>> check_effects([0.1, 0.4], [0.02, 0.03]).shape
    ()
    >>> check_effects([0.1, 0.4], [[0.02, 0.03], [0.2, 0.3]]).shape
    (2,)
    """
    yi, vi = as_float(yi, "yi"), as_float(vi, "vi")
    arrays = {"yi": yi, "vi": vi}
    if keep is not None:
        arrays["keep"] = keep = _as_bool(keep)
    if weights is not None:
        arrays["weights"] = weights = as_float(weights, "weights")
    if design is not None:
        arrays["mods"] = design[..., 0]
    shape = _batch_shape(arrays)
    if not (np.maximum.reduce(np.abs(yi), axis=None) <= LARGEST):
        _refuse(~(np.abs(yi) <= LARGEST), yi, keep, f"effect: expected a finite number (within {LARGEST:g})")
    _check_positive(vi, keep, "variance")
    if weights is not None:
        _check_positive(weights, keep, "weight")
    if design is not None:
        _refuse(~np.isfinite(design).all(axis=-1), design[..., -1], keep, "moderator: expected finite numbers")
    return Effects(yi, vi, keep, shape, design, weights)


def design_columns(mods: ArrayLike, intercept: bool = True) -> np.ndarray:
    """Moderators as the columns of a design, shape (..., k, p), the constant first.

    Parameters
    ----------
    mods : array-like of float, shape (k,), (k, q) or (..., k, q)
        One moderator, or one a column.
    intercept : bool
        Whether to put a column of ones in front.

    Examples
    --------
    >>> design_columns([10.0, 20.0])
    array([[ 1., 10.],
           [ 1., 20.]])
    """
    mods = as_float(mods, "mods")
    columns = mods[:, None] if mods.ndim == 1 else mods
    if not intercept:
        return columns
    return np.concatenate([np.ones((*columns.shape[:-1], 1)), columns], axis=-1)


def as_float(values: ArrayLike, name: str) -> np.ndarray:
    """Numbers with studies along the last axis, or a refusal that names them."""
    try:
        array = np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise PoolingError(f"{name}: expected numbers, found {values!r:.80}") from error
    if array.ndim == 0 or array.shape[-1] == 0:
        raise PoolingError(f"{name}: expected one number a study along the last axis, found shape {array.shape}")
    return array


def _as_bool(keep: ArrayLike) -> np.ndarray:
    keep = np.asarray(keep)
    if keep.dtype != bool:
        raise PoolingError(f"keep: expected True or False for each study, found values of type {keep.dtype}")
    return keep


def _batch_shape(arrays: dict[str, np.ndarray]) -> tuple[int, ...]:
    shapes = {name: array.shape for name, array in arrays.items()}
    if len(set(shapes.values())) == 1 and len(shapes["yi"]) == 1:
        return ()
    if len({shape[-1] for shape in shapes.values()}) > 1:
        raise PoolingError(f"expected as many studies in each of {', '.join(shapes)}, found shapes {shapes}")
    try:
        shape = np.broadcast_shapes(*shapes.values())[:-1]
    except ValueError as error:
        raise PoolingError(f"expected leading axes that broadcast, found shapes {shapes}") from error
    if 0 in shape:
        raise PoolingError(f"expected at least one fit, found a batch of shape {shape}")
    return shape


def _check_positive(values: np.ndarray, keep: np.ndarray | None, name: str) -> None:
    if not (np.minimum.reduce(values, axis=None) >= SMALLEST and np.maximum.reduce(values, axis=None) <= LARGEST):
        expected = f"{name}: expected finite and above zero ({SMALLEST:g} to {LARGEST:g})"
        _refuse(~((values >= SMALLEST) & (values <= LARGEST)), values, keep, expected)


def _refuse(bad: np.ndarray, values: np.ndarray, keep: np.ndarray | None, expected: str) -> None:
    """Raise if a value is bad in any fit that keeps its study."""
    if keep is not None:
        bad, values, keep = np.broadcast_arrays(bad, values, keep)
        bad = bad & keep
    places = np.argwhere(bad)
    if len(places):
        shown = [f"{values[tuple(p)]} at {_place(p)}" for p in places[:PLACES_SHOWN]]
        more = f" and {len(places) - PLACES_SHOWN} more" if len(places) > PLACES_SHOWN else ""
        raise PoolingError(f"{expected}, found {', '.join(shown)}{more} (counted from 0)")


def _place(index: np.ndarray) -> str:
    *fit, study = (int(i) for i in index)
    return f"study {study}" + (f" of fit {fit[0] if len(fit) == 1 else tuple(fit)}" if fit else "")
