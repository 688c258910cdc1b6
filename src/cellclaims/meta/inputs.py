"""Checking and alignment of the inputs of public functions in meta and robustness.

- A **masked** value is refused by name and place: ``keep`` leaves a study out, a mask does not.
- **Labels** (a pandas Series or DataFrame) are matched, not rows: all labelled arguments must have the same labels, and
  are put in the order of the first; row numbers 0, 1, 2, ... are no labels next to names. Where orders differ, an
  argument without labels is refused, as nothing says which order it follows. Labels other than 0, 1, 2, ... name the
  studies (``slab``).
- **Dates, text, missing labels** and what cannot be a level, an order or a group are refused with argument, place (the
  study's label where there is one), what was expected and what was found.

Nothing is dropped and nothing is repaired: a missing effect or a variance that is not positive is refused, unless
``keep`` says that this study does not count in this fit.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellclaims.errors import PoolingError

#: Beyond these the cube of a weight leaves the range of doubles: another unit serves better.
SMALLEST, LARGEST = 1e-50, 1e50
#: How many offending places a message lists before it says how many more there are.
PLACES_SHOWN = 5
#: Types without labels or masks: nothing to be looked at.
PLAIN = frozenset({list, tuple, np.ndarray, float, int, type(None)})
#: Arguments whose studies are the rows of a table; of others they are the columns.
BY_ROW = frozenset({"mods", "V"})

Labels = tuple[str, ...] | None


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
    slab : tuple of str, or None
        Labels of the studies.
    measure : str or None
        What the effects are, by the measure's name.
    """

    yi: np.ndarray
    vi: np.ndarray
    keep: np.ndarray | None
    shape: tuple[int, ...]
    design: np.ndarray | None = None
    weights: np.ndarray | None = None
    slab: Labels = None
    measure: str | None = None

    @property
    def k(self) -> int:
        """Number of studies, kept or not."""
        return self.yi.shape[-1]


def per_study(
    given: dict[str, Any], slab: ArrayLike | None = None, order: Labels = None
) -> tuple[dict[str, Any], Labels]:
    """Return arguments with one entry per study as plain arrays in one order, and the labels of the studies.

    Parameters
    ----------
    given : dict
        Argument name to its value; None stays None.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, in place of those of the arguments.
    order : tuple of str, optional
        Labels of studies that are known already, as those of a fit: the order for the arguments.

    Returns
    -------
    given : dict
        The same names; labelled arguments as arrays in the order of the first of them.
    slab : tuple of str, or None

    Raises
    ------
    PoolingError
        For a masked value, labels that differ or are given twice in another order, an argument without labels next to
        labels in different orders, a missing label.

    Examples
    --------
    >>> import pandas as pd
    >>> yi, vi = pd.Series({"A": 0.1, "B": 0.5}), pd.Series({"B": 0.3, "A": 0.2})
    >>> found, slab = per_study({"yi": yi, "vi": vi})
    >>> found["vi"].tolist(), slab
    ([0.2, 0.3], ('A', 'B'))
    """
    if slab is None and all(type(value) in PLAIN for value in given.values()):
        return given, order
    found, labels = {}, {"the fit": None if order is None else list(order)}
    for name, value in given.items():
        found[name], labels[name] = _without_meaning(name, value)
    known = {name: each for name, each in labels.items() if each is not None}
    if len({tuple(sorted(each)) for each in known.values()}) > 1:  # counted rows are no labels next to names
        known = {name: each for name, each in known.items() if not _is_counted(each)}
    if known:
        _align(found, known)
    own = None
    if slab is not None:
        values, index = _without_meaning("slab", slab)
        if index is not None and known:
            both = {"slab": values} | found
            _align(both, {next(iter(known)): next(iter(known.values())), "slab": index})
            values = both["slab"]
        own = tuple(str(value) for value in as_labels(values, "slab"))
    elif known:
        first = next(iter(known.values()))
        own = None if _is_counted(first) else tuple(first)
    return found, own


def _is_counted(labels: list[str]) -> bool:
    """Return whether labels are the row numbers 0, 1, 2, ..."""
    return labels == [str(i) for i in range(len(labels))]


def _without_meaning(name: str, value: Any) -> tuple[Any, list[str] | None]:
    """Return the numbers of an argument, and the labels of its studies, if any."""
    if isinstance(value, np.ma.MaskedArray):
        masked = np.argwhere(np.ma.getmaskarray(value))
        if len(masked):
            places = ", ".join(_place(place) for place in masked[:PLACES_SHOWN])
            raise PoolingError(
                f"{name}: expected a value for every study, found a mask at {places} (counted from 0): "
                "leave a study out by keep, or out of all arguments"
            )
        return value.data, None
    pandas = sys.modules.get("pandas")
    if pandas is None or not isinstance(value, pandas.Series | pandas.DataFrame):
        return value, None
    table = isinstance(value, pandas.DataFrame)
    index = value.columns if table and name not in BY_ROW else value.index
    return value.to_numpy(), [str(label) for label in index]


def _align(found: dict[str, Any], labels: dict[str, list[str]]) -> None:
    """Align labelled arguments with the first one; raise an error if labels differ."""
    (first, order), *others = labels.items()
    turned = [name for name, each in others if each != order]
    for name in turned:
        mine = labels[name]
        if sorted(mine) != sorted(order):
            apart = sorted(set(mine) ^ set(order)) or ["labels given more than once"]
            raise PoolingError(
                f"{name}: expected the labels of {first}, found others: {', '.join(apart[:PLACES_SHOWN])}"
            )
        if len(set(mine)) < len(mine):
            twice = next(label for label in mine if mine.count(label) > 1)
            raise PoolingError(f"{name}: expected each label once or the order of {first}, found {twice!r} twice")
    if turned:
        bare = [name for name, value in found.items() if name not in labels and _has_studies(value)]
        if bare:
            raise PoolingError(
                f"{bare[0]}: expected labels, as {first} and {turned[0]} have the same labels in different orders, "
                "found none"
            )
    for name in turned:
        place = {label: i for i, label in enumerate(labels[name])}
        take = [place[label] for label in order]
        values = np.asarray(found[name])
        axis = 0 if name in BY_ROW else values.ndim - 1
        values = np.take(values, take, axis=axis)
        found[name] = np.take(values, take, axis=1) if name == "V" and values.ndim == 2 else values


def _has_studies(value: Any) -> bool:
    return value is not None and np.ndim(value) > 0 and np.shape(value)[-1] > 1


def as_float(values: ArrayLike, name: str, slab: Labels = None) -> np.ndarray:
    """Numbers with studies along the last axis, or a refusal that names them.

    Parameters
    ----------
    values : array-like
        None and other missing values become NaN.
    name : str
        The argument.
    slab : tuple of str, optional
        Labels of the studies.

    Returns
    -------
    ndarray of float, shape (..., k)

    Raises
    ------
    PoolingError
        For dates, text or complex numbers, and for no study at all.
    """
    array = numbers(values, name, slab)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise PoolingError(f"{name}: expected one number a study along the last axis, found shape {array.shape}")
    return array


def numbers(values: ArrayLike, name: str, slab: Labels = None) -> np.ndarray:
    """Return the values as floats, missing ones as NaN; raise an error with the position of a non-number."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise PoolingError(f"{name}: expected numbers, found {values!r:.80}") from error
    kind = array.dtype.kind
    if kind == "f":
        return array if array.dtype == np.float64 else array.astype(float)
    if kind in "iub":
        return array.astype(float)
    if kind == "O":
        flat = [_number(value) for value in array.ravel()]
        bad = next((i for i, value in enumerate(flat) if value is None), None)
        if bad is None:
            return np.array(flat, dtype=float).reshape(array.shape)
        place = np.array(np.unravel_index(bad, array.shape)) if array.ndim else np.array([0])
        raise PoolingError(f"{name}: expected numbers, found {array.ravel()[bad]!r:.60} at {_place(place, slab)}")
    what = {"M": "dates", "m": "spans of time", "c": "complex numbers"}.get(kind, "text")
    first = array.ravel()[0] if array.size else ""
    raise PoolingError(f"{name}: expected numbers, found {what} ({first!s:.40} first)")


def _number(value: object) -> float | None:
    """Return a float, NaN for a missing value, None for a non-number."""
    if value is None:
        return np.nan
    if isinstance(value, Real):
        return float(value)
    return np.nan if is_missing(value) and not isinstance(value, str) else None


def is_missing(value: object) -> bool:
    """Return whether a label or number is missing: None, NaN, NaT, NA, or blank text."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return True
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA is neither equal nor unequal to itself
        return True


def as_labels(values: ArrayLike, name: str, k: int | None = None, slab: Labels = None) -> list[Any]:
    """Return one label per study, or raise an error if one is missing.

    Raises
    ------
    PoolingError
        For another number of labels than ``k``, and for a missing one, with its place.
    """
    labels = values.tolist() if isinstance(values, np.ndarray) else list(values)
    if (k is not None and len(labels) != k) or np.ndim(values) > 1:
        raise PoolingError(f"{name}: expected one label a study, {k}, found shape {np.shape(values)}")
    for i, label in enumerate(labels):
        if is_missing(label):
            raise PoolingError(f"{name}: expected a label for every study, found {label!r} at {_place([i], slab)}")
    return labels


def as_order(values: Iterable, k: int, slab: Labels = None) -> NDArray[np.intp]:
    """Return the order of the studies sorted by ``values``, ties in the given order, shape (k,)."""
    values = list(values)
    if len(values) != k:
        raise PoolingError(f"order: expected one entry per study, {k}, found {len(values)}")
    for i, value in enumerate(values):
        if is_missing(value):
            raise PoolingError(f"order: expected an entry for every study, found {value!r} at {_place([i], slab)}")
    try:
        order = sorted(range(k), key=values.__getitem__)
    except TypeError as error:
        raise PoolingError(f"order: expected entries that can be compared, found {error}") from error
    place = np.empty(k, int)
    place[order] = np.arange(k)
    return place


def one_of(value: object, names: Sequence[str] | Iterable[str], what: str) -> str:
    """Return the known name that equals ``value`` in upper or lower case.

    Raises
    ------
    PoolingError
        If it is none of them.

    Examples
    --------
    >>> one_of("reml", ("DL", "REML"), "method")
    'REML'
    """
    names = tuple(names)
    if value in names:
        return value
    if isinstance(value, str):
        for name in names:
            if name.casefold() == value.casefold():
                return name
    raise PoolingError(f"{what}: expected one of {', '.join(names)}, found {value!r}")


def check_share(value: object, what: str, upper: float = 1.0) -> float:
    """Return a level or probability strictly between 0 and ``upper``, or raise an error.

    Raises
    ------
    PoolingError
        For anything else, text and percentages among it.
    """
    if isinstance(value, Real) and not isinstance(value, bool | np.bool_) and 0.0 < value < upper:
        return float(value)
    raise PoolingError(f"{what}: expected a number between 0 and {upper:g}, found {value!r}")


def as_bool(keep: ArrayLike, name: str = "keep") -> np.ndarray:
    """Return True or False for each study, shape (..., k)."""
    keep = np.asarray(keep)
    if keep.dtype != bool:
        raise PoolingError(f"{name}: expected True or False for each study, found values of type {keep.dtype}")
    return keep


def check_effects(
    yi: ArrayLike,
    vi: ArrayLike,
    keep: ArrayLike | None = None,
    design: np.ndarray | None = None,
    weights: ArrayLike | None = None,
    slab: Labels = None,
    measure: str | None = None,
) -> Effects:
    """Check effects, variances and the selection of studies.

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
    slab : tuple of str, optional
        Labels of the studies.
    measure : str, optional
        What the effects are.

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
    yi, vi = as_float(yi, "yi", slab), as_float(vi, "vi", slab)
    arrays = {"yi": yi, "vi": vi}
    if keep is not None:
        arrays["keep"] = keep = as_bool(keep)
    if weights is not None:
        arrays["weights"] = weights = as_float(weights, "weights", slab)
    if design is not None:
        arrays["mods"] = design[..., 0]
    shape = _batch_shape(arrays)
    if slab is not None and len(slab) != yi.shape[-1]:
        raise PoolingError(f"slab: expected one label a study, {yi.shape[-1]}, found {len(slab)}")
    if not (np.maximum.reduce(np.abs(yi), axis=None) <= LARGEST):
        expected = f"yi, an effect: expected a finite number (within {LARGEST:g})"
        _refuse(~(np.abs(yi) <= LARGEST), yi, keep, expected, slab)
    _check_positive(vi, keep, "vi, a variance", slab)
    if weights is not None:
        _check_positive(weights, keep, "weights, a weight", slab)
    if design is not None:
        bad = ~np.isfinite(design).all(axis=-1)
        _refuse(bad, design[..., -1], keep, "mods, a moderator: expected finite numbers", slab)
    return Effects(yi, vi, keep, shape, design, weights, slab, measure)


def design_columns(mods: ArrayLike, intercept: bool = True) -> np.ndarray:
    """Return moderators as the columns of a design, shape (..., k, p), with a constant first.

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


def _check_positive(values: np.ndarray, keep: np.ndarray | None, name: str, slab: Labels) -> None:
    if not (np.minimum.reduce(values, axis=None) >= SMALLEST and np.maximum.reduce(values, axis=None) <= LARGEST):
        expected = f"{name}: expected finite and above zero ({SMALLEST:g} to {LARGEST:g})"
        _refuse(~((values >= SMALLEST) & (values <= LARGEST)), values, keep, expected, slab)


def _refuse(bad: np.ndarray, values: np.ndarray, keep: np.ndarray | None, expected: str, slab: Labels) -> None:
    """Raise an error if a value is invalid in any fit that keeps its study."""
    if keep is not None:
        bad, values, keep = np.broadcast_arrays(bad, values, keep)
        bad = bad & keep
    places = np.argwhere(bad)
    if len(places):
        shown = [f"{values[tuple(p)]} at {_place(p, slab)}" for p in places[:PLACES_SHOWN]]
        more = f" and {len(places) - PLACES_SHOWN} more" if len(places) > PLACES_SHOWN else ""
        raise PoolingError(f"{expected}, found {', '.join(shown)}{more} (counted from 0)")


def refuse_where(bad: NDArray, values: NDArray, name: str, expected: str, slab: Labels = None) -> None:
    """Raise an error for the first invalid value, with argument, expected, found and study."""
    if np.any(bad):
        place = np.argwhere(np.atleast_1d(bad))[0]
        found = np.atleast_1d(np.broadcast_to(values, np.shape(bad)))[tuple(place)]
        raise PoolingError(f"{name}: expected {expected}, found {found} at {_place(place, slab)}")


def _place(index: Sequence[int] | np.ndarray, slab: Labels = None) -> str:
    *fit, study = (int(i) for i in index)
    name = f"study {study}" + (f" ({slab[study]})" if slab is not None and study < len(slab) else "")
    return name + (f" of fit {fit[0] if len(fit) == 1 else tuple(fit)}" if fit else "")


# Is a column of variances really one? A standard error typed in its place shows in how it shrinks with n.


#: Variances fall as 1/n, standard errors as 1/sqrt(n). The column is suspected when the scatter of log(vi
#: sqrt(n)) is below this proportion of the scatter of log(vi n). Of 116 sets of published or made-up effects
#: with sample sizes, 1 is suspected wrongly, and of the same with standard errors in place of variances 2
#: in 3 are caught.
SUSPECT_BELOW = 0.4
#: With fewer studies, or more similar sizes (standard deviation of log n), the check is not possible.
FEWEST_STUDIES, LEAST_SPREAD = 5, 0.3


class VarianceWarning(UserWarning):
    """Values given as sampling variances look like standard errors."""


def suspect_standard_errors(vi: ArrayLike, ni: ArrayLike) -> np.ndarray:
    """Return whether values given as variances look like standard errors, judged by the sample sizes.

    Parameters
    ----------
    vi, ni : array-like of float, shape (..., k)
        Sampling variances as given, and the number of patients behind each.

    Returns
    -------
    bool or ndarray of bool, shape (...)
        True where ``vi`` falls with n as a standard error does. False says nothing: sizes may be too much
        alike, or other differences between studies may hide it.

    Raises
    ------
    PoolingError
        If a number of patients is not positive, or the shapes do not fit.

    Examples
    --------
    >>> n = [20, 45, 80, 150, 400]
    >>> bool(suspect_standard_errors([1 / 20, 1 / 45, 1 / 80, 1 / 150, 1 / 400], n))
    False
    >>> bool(suspect_standard_errors([0.22, 0.15, 0.11, 0.08, 0.05], n))
    True
    """
    given, slab = per_study({"vi": vi, "ni": ni})
    vi, ni = (as_float(values, name, slab) for name, values in given.items())
    if vi.shape[-1] != ni.shape[-1]:
        raise PoolingError(f"ni: expected as many as variances, found {ni.shape[-1]} for {vi.shape[-1]}")
    usable = np.isfinite(vi) & (vi > 0) & np.isfinite(ni)
    if (usable & (ni <= 0)).any():
        raise PoolingError("ni: expected numbers of patients above zero, found some that are not")
    count = usable.sum(axis=-1)
    log_v, log_n = (np.log(np.where(usable, a, 1.0)) for a in (vi, ni))
    as_variance, as_error, spread = (_scatter(a, usable) for a in (log_v + log_n, log_v + 0.5 * log_n, log_n))
    tellable = (count >= FEWEST_STUDIES) & (spread >= LEAST_SPREAD**2)
    return (tellable & (as_error < SUSPECT_BELOW * as_variance))[()]


def _scatter(values: np.ndarray, usable: np.ndarray) -> np.ndarray:
    """Return the variance of usable values along the last axis."""
    count = np.maximum(usable.sum(axis=-1, keepdims=True), 2)
    mean = np.where(usable, values, 0.0).sum(axis=-1, keepdims=True) / count
    return (np.where(usable, values - mean, 0.0) ** 2).sum(axis=-1) / (count[..., 0] - 1)


def warn_of_standard_errors(vi: ArrayLike, ni: ArrayLike) -> None:
    """Warn where :func:`suspect_standard_errors` is true."""
    suspected = suspect_standard_errors(vi, ni)
    if np.any(suspected):
        where = "" if suspected.ndim == 0 else f" in {int(suspected.sum())} of {suspected.size} sets"
        message = f"vi falls with the number of patients as standard errors do, not as variances{where}: square them?"
        warnings.warn(message, VarianceWarning, stacklevel=3)
