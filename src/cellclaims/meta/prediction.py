"""Where the effect of a new setting lies: prediction intervals, with and without moderators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.inputs import as_float
from cellclaims.meta.quantiles import normal_quantile, t_quantile

if TYPE_CHECKING:
    from cellclaims.meta.fit_result import Fit

#: Degrees of freedom of a prediction interval, in words; with p coefficients one more is lost for each
#: moderator.
DF_IN_WORDS = {
    "k-2": "t with k - 2 degrees of freedom (k - p - 1 with p coefficients)",
    "k-1": "t with k - 1 degrees of freedom (k - p with p coefficients)",
    "normal": "standard normal",
}


@dataclass(frozen=True, eq=False)
class Prediction:
    """Predicted effects, each of the batch's shape, with one more axis for rows of new moderators.

    Attributes
    ----------
    pred, se, ci_lb, ci_ub : float or ndarray
        Mean effect, its standard error and confidence limits under the fit's test.
    pi_lb, pi_ub : float or ndarray
        Limits for the true effect of a new setting, NaN where the degrees of freedom are fewer than one or
        the model has no tau2.
    df : float or ndarray
        Degrees of freedom of the prediction interval; infinite for normal.
    level : float
    kind : str
        Those degrees of freedom in words.
    """

    pred: np.ndarray
    se: np.ndarray
    ci_lb: np.ndarray
    ci_ub: np.ndarray
    pi_lb: np.ndarray
    pi_ub: np.ndarray
    df: np.ndarray
    level: float
    kind: str


def predict(fit: Fit, newmods: ArrayLike | None = None, *, df: str = "k-2", level: float | None = None) -> Prediction:
    r"""Predict the mean effect, and the true effect of a new setting.

    Parameters
    ----------
    fit : Fit
    newmods : array-like of float, shape (q,) or (m, q), optional
        Values of the moderators, in the order of the fit; not for a fit of a single mean.
    df : {"k-2", "k-1", "normal"}
        Degrees of freedom of the prediction interval: ``k-2`` (Higgins, Thompson and Spiegelhalter 2009,
        https://doi.org/10.1111/j.1467-985X.2008.00552.x), ``k-1`` or the normal distribution.
    level : float, optional
        Level of both intervals; that of the fit if not given.

    Returns
    -------
    Prediction

    Raises
    ------
    PoolingError
        If moderators are missing, or not as many as the fit has, or ``df`` is not known.

    Notes
    -----
    .. math:: x'\hat\beta \mp t \sqrt{x' V x + \hat\tau^2}

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> pooled = fit([0.0, 2.0, 1.0, 4.0], [1.0, 1.0, 1.0, 1.0])
    >>> near, far = predict(pooled, df="normal"), predict(pooled, df="k-2")
    >>> bool(far.pi_ub > near.pi_ub), bool(far.pi_ub == pooled.pi_ub)
    (True, True)
    """
    if df not in DF_IN_WORDS:
        raise PoolingError(f"df: expected one of {', '.join(DF_IN_WORDS)}, found {df!r}")
    level = fit.level if level is None else level
    pred, variance, extra = _mean(fit, newmods)
    free = {"k-2": extra(fit.k) - fit.coefficients - 1.0, "k-1": extra(fit.k) - fit.coefficients * 1.0}.get(df, np.inf)
    half = _quantile(level, extra(fit.df)) * np.sqrt(variance)
    tau2 = extra(fit.tau2) if fit.has_tau2 else np.nan
    reach = _quantile(level, free) * np.sqrt(variance + tau2)
    limits = (pred - half, pred + half, pred - reach, pred + reach)
    return Prediction(pred, np.sqrt(variance), *limits, free, level, DF_IN_WORDS[df])


def _mean(fit: Fit, newmods: ArrayLike | None) -> tuple:
    """Mean, its variance, and how to give numbers of a fit the axis of the new rows."""
    if fit.effects.design is None:
        if newmods is not None:
            raise PoolingError("newmods: expected none for a fit without moderators, found some")
        return fit.beta, fit.vb, np.asarray
    x = _new_rows(fit, newmods)
    pred = np.einsum("...p,...mp->...m", fit.beta, x)
    variance = np.einsum("...mp,...pq,...mq->...m", x, fit.vb, x)
    if np.ndim(newmods) < 2:
        return pred[..., 0], variance[..., 0], np.asarray
    return pred, variance, lambda a: np.asarray(a)[..., None]


def _new_rows(fit: Fit, newmods: ArrayLike | None) -> np.ndarray:
    """Rows of the design for new values, shape (m, p), the constant put in front if it is not given."""
    p = fit.coefficients
    if newmods is None:
        raise PoolingError(f"newmods: expected values of the {p} columns of the fit, found none")
    rows = np.atleast_2d(as_float(np.atleast_1d(newmods), "newmods"))
    if rows.shape[-1] == p - 1:
        rows = np.concatenate([np.ones((*rows.shape[:-1], 1)), rows], axis=-1)
    if rows.shape[-1] != p:
        raise PoolingError(f"newmods: expected {p - 1} values a row (or {p} with the constant), found {rows.shape[-1]}")
    return rows


def _quantile(level: float, df: ArrayLike) -> np.ndarray:
    """Half-width in standard errors, normal where ``df`` is infinite."""
    df = np.asarray(df, dtype=float)
    return np.where(np.isinf(df), normal_quantile(level), t_quantile(level, np.where(np.isinf(df), 1.0, df)))[()]
