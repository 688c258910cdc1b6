"""Pool effects under the normal-normal model: one fit or a batch of any shape, by the same code."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import IntFlag
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.batch import (
    Batch,
    Constant,
    Effects,
    Projection,
    as_float,
    check_effects,
    computed,
    design_columns,
    over_chunks,
)
from cellclaims.meta.quantiles import (
    chi2_quantile,
    chi2_upper,
    normal_quantile,
    normal_two_sided,
    t_quantile,
    t_two_sided,
)
from cellclaims.meta.tau2 import ESTIMATORS, MOST_STEPS, NARROW, GeneralisedQ, Likelihood, solve

if TYPE_CHECKING:
    pass


# Where the effect of a new setting lies: prediction intervals, with and without moderators.


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


# What a fit gives: :class:`Fit`, its flags and what is computed from it only when asked for.


class Flag(IntFlag):
    """What a reader of a fit must know beside its numbers; a batch holds the sum of those that apply."""

    NOTHING_KEPT = 1
    SINGLE = 2
    FEW = 4
    NO_PREDICTION_EQUAL_EFFECTS = 8
    NO_PREDICTION_TWO = 16
    TAU2_ZERO = 32
    SEVERAL_MODES = 64
    NO_SPREAD = 128
    SATURATED = 256
    DEPENDENT = 512
    PREDICTION_NEEDS_MODERATORS = 1024


#: Methods without a between-study variance.
WITHOUT_TAU2 = frozenset({"EE", "FE"})

#: A flag in words.
IN_WORDS = {
    Flag.NOTHING_KEPT: "no study kept: nothing to pool",
    Flag.SINGLE: "single study: shown, not pooled",
    Flag.FEW: "few studies: k = 2 to 4",
    Flag.NO_PREDICTION_EQUAL_EFFECTS: "no prediction interval: an equal-effects model has no tau2",
    Flag.NO_PREDICTION_TWO: "no prediction interval: no degrees of freedom left for it",
    Flag.TAU2_ZERO: "tau2 estimated as zero, the boundary",
    Flag.SEVERAL_MODES: "several modes of the likelihood: the highest was taken",
    Flag.NO_SPREAD: "no spread: Hartung-Knapp standard error is zero",
    Flag.SATURATED: "no more studies than coefficients: nothing left to estimate from",
    Flag.DEPENDENT: "moderators depend on one another among the studies kept: no coefficients",
    Flag.PREDICTION_NEEDS_MODERATORS: "prediction interval: only at given moderators (predict)",
}


#: The same by plain numbers, which are quicker than flags to compare with.
VALUES_IN_WORDS = tuple((int(flag), words) for flag, words in IN_WORDS.items())


def in_words(flags: int) -> tuple[str, ...]:
    """The flags of one fit in words, in a fixed order.

    >>> in_words(Flag.SINGLE)
    ('single study: shown, not pooled',)
    """
    return tuple(words for value, words in VALUES_IN_WORDS if flags & value)


@dataclass(frozen=True, eq=False)
class Fit:
    """Pooled effects of a batch; every array has the batch's shape, one fit gives plain numbers.

    With moderators ``beta``, ``se`` and the confidence limits have one more axis, for the p coefficients,
    and ``vb`` two.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub : float or ndarray
        Pooled effect, its standard error under the chosen test, confidence limits.
    vb : float or ndarray
        Variance of ``beta``: its covariance matrix with moderators.
    tau2, se_tau2 : float or ndarray
        Between-study variance and its standard error; ``se_tau2`` is NaN for EE.
    I2, H2 : float or ndarray
        Heterogeneity in percent and as a ratio, from tau2 and the typical variance (Higgins and Thompson
        2002, https://doi.org/10.1002/sim.1186, eq. 9); from Q for EE.
    Q : float or ndarray
        Cochran's Q with ``k - p`` degrees of freedom.
    pi_lb, pi_ub : float or ndarray
        Prediction interval ``beta -+ t_{k-2} sqrt(se^2 + tau2)`` (Higgins, Thompson and Spiegelhalter 2009,
        https://doi.org/10.1111/j.1467-985X.2008.00552.x, eq. 12), NaN with a flag where ``k < 3``.
    k : int or ndarray of int
        Studies kept.
    df : float or ndarray
        Degrees of freedom of the test; infinite for z.
    method, test : str
    level : float
    flags : tuple of str, or ndarray of int
        For one fit in words; for a batch as sums of :class:`Flag` (:meth:`flag_names` gives the words).
    effects : Effects
        What was pooled.
    """

    beta: np.ndarray
    se: np.ndarray
    vb: np.ndarray
    ci_lb: np.ndarray
    ci_ub: np.ndarray
    tau2: np.ndarray
    se_tau2: np.ndarray
    I2: np.ndarray
    H2: np.ndarray
    Q: np.ndarray
    k: np.ndarray
    df: np.ndarray
    method: str
    test: str
    level: float
    flags: tuple[str, ...] | np.ndarray
    effects: Effects = field(repr=False)

    @property
    def coefficients(self) -> int:
        """Number of coefficients ``p``: 1 for a single mean."""
        return 1 if self.effects.design is None else self.effects.design.shape[-1]

    @property
    def has_tau2(self) -> bool:
        """Whether the model has a between-study variance."""
        return self.method not in WITHOUT_TAU2

    def _beside_beta(self, a: np.ndarray) -> np.ndarray:
        """With an axis for the coefficients where ``beta`` has one."""
        return a if self.effects.design is None else np.asarray(a)[..., None]

    @computed
    def stat(self) -> np.ndarray:
        """``beta / se``: a z or a t value, by ``test``; NaN where both are zero."""
        if np.count_nonzero(self.se) == np.size(self.se):
            return self.beta / self.se
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.divide(self.beta, self.se)

    @computed
    def p(self) -> np.ndarray:
        """Two-sided P value of ``stat``."""
        if self.test == "z":
            return normal_two_sided(self.stat)
        return t_two_sided(self.stat, self._beside_beta(self.df))

    @computed
    def Q_p(self) -> np.ndarray:
        """P value of Q against chi-squared with ``k - p`` degrees of freedom; 1 for a single study."""
        return chi2_upper(self.Q, np.subtract(self.k, self.coefficients))

    @computed
    def _half_prediction(self) -> np.ndarray:
        if not self.has_tau2 or self.effects.design is not None:
            return np.full(np.shape(self.beta), np.nan)[()]
        return t_quantile(self.level, np.subtract(self.k, 2)) * np.sqrt(self.se**2 + self.tau2)

    @property
    def pi_lb(self) -> np.ndarray:
        """Lower prediction limit."""
        return self.beta - self._half_prediction

    @property
    def pi_ub(self) -> np.ndarray:
        """Upper prediction limit."""
        return self.beta + self._half_prediction

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the batch, ``()`` for one fit."""
        return self.effects.shape

    @computed
    def weights(self) -> np.ndarray:
        """Share of each study in the pooled effect, percent, shape (..., k); zero where not kept."""
        effects, tau2 = self.effects, np.nan_to_num(np.asarray(self.tau2))[..., None]
        keep = True if effects.keep is None else effects.keep
        if effects.weights is None:
            w = 1.0 / (np.where(keep, effects.vi, np.inf) + tau2)
        else:
            w = np.where(keep, effects.weights, 0.0)
        w = np.broadcast_to(w, (*self.shape, effects.k))
        total = w.sum(axis=-1, keepdims=True)
        return np.divide(100.0 * w, total, out=np.zeros(w.shape), where=total > 0.0)

    def predict(self, newmods: ArrayLike | None = None, *, df: str = "k-2", level: float | None = None) -> Prediction:
        """The mean and the true effect of a new setting: :func:`cellclaims.meta.predict`."""
        return predict(self, newmods, df=df, level=level)

    def flag_names(self) -> tuple[str, ...] | np.ndarray:
        """The flags in words: a tuple for one fit, an object array of tuples for a batch."""
        if isinstance(self.flags, tuple):
            return self.flags
        words = np.empty(self.flags.size, dtype=object)
        words[:] = [in_words(int(f)) for f in self.flags.ravel()]
        return words.reshape(self.flags.shape)

    def flagged(self, flag: Flag) -> np.ndarray:
        """Whether ``flag`` applies, of the batch's shape."""
        if isinstance(self.flags, tuple):
            return np.bool_(IN_WORDS[flag] in self.flags)
        return (self.flags & flag) > 0


# Is a column of variances really one? A standard error typed in its place shows in how it shrinks with n.


#: Variances fall as 1/n, standard errors as 1/sqrt(n). The column is suspected when the scatter of log(vi
#: sqrt(n)) is below this share of the scatter of log(vi n). Of 116 sets of published or made-up effects
#: with sample sizes, 1 is suspected wrongly, and of the same with standard errors in place of variances 2
#: in 3 are caught.
SUSPECT_BELOW = 0.4
#: With fewer studies, or sizes more alike than this (standard deviation of log n), nothing can be told.
FEWEST_STUDIES, LEAST_SPREAD = 5, 0.3


class VarianceWarning(UserWarning):
    """Numbers given as sampling variances behave like standard errors."""


def suspect_standard_errors(vi: ArrayLike, ni: ArrayLike) -> np.ndarray:
    """Whether numbers given as variances look like standard errors, judged by the sample sizes.

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
    vi, ni = as_float(vi, "vi"), as_float(ni, "ni")
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
    """Variance along the last axis of what is usable."""
    count = np.maximum(usable.sum(axis=-1, keepdims=True), 2)
    mean = np.where(usable, values, 0.0).sum(axis=-1, keepdims=True) / count
    return (np.where(usable, values - mean, 0.0) ** 2).sum(axis=-1) / (count[..., 0] - 1)


def warn_of_standard_errors(vi: ArrayLike, ni: ArrayLike) -> None:
    """Warn by name where :func:`suspect_standard_errors` holds."""
    suspected = suspect_standard_errors(vi, ni)
    if np.any(suspected):
        where = "" if suspected.ndim == 0 else f" in {int(suspected.sum())} of {suspected.size} sets"
        message = f"vi falls with the number of patients as standard errors do, not as variances{where}: square them?"
        warnings.warn(message, VarianceWarning, stacklevel=3)


#: Tests of the pooled effect: standard normal, t, Hartung-Knapp, Hartung-Knapp with the ad hoc floor.
TESTS = ("z", "t", "knha", "adhoc")

#: Up to this many studies a pool is labelled as small.
FEW_STUDIES = 4


def fit(
    yi: ArrayLike,
    vi: ArrayLike,
    *,
    keep: ArrayLike | None = None,
    mods: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    ni: ArrayLike | None = None,
    method: str = "REML",
    test: str = "adhoc",
    level: float = 0.95,
) -> Fit:
    r"""Pool effects: equal-effects or random-effects model.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects on one scale and their sampling variances.
    keep : array-like of bool, shape (..., k), optional
        Which studies count in each fit, broadcast against ``yi`` and ``vi``: leave-one-out is k rows of it.
    mods : array-like of float, shape (k,), (k, q) or (..., k, q), optional
        Moderators; a constant is put in front. ``beta``, ``se`` and the limits then have one more axis, for
        the coefficients (:func:`cellclaims.meta.regress` adds their joint test).
    weights : array-like of float, shape (..., k), optional
        Weights in place of ``1/(v + tau2)``; the standard error stays that of the model.
    ni : array-like of float, shape (..., k), optional
        Patients behind each effect. Only looked at: if ``vi`` falls with them as standard errors do, a
        :class:`~cellclaims.meta.VarianceWarning` says so.
    method : str
        Estimator of tau2: EE (or FE), DL, HE, HS, HSk, SJ, ML, REML, EB, PM, PMM, GENQ (needs ``weights``).
    test : {"adhoc", "knha", "t", "z"}
        ``knha`` scales the variance of the mean by :math:`s^2 = \sum w_i (y_i - \mu)^2 / (k - 1)` and uses
        t with k - 1 degrees of freedom (Hartung and Knapp 2001, https://doi.org/10.1002/sim.791); ``adhoc``
        uses :math:`\max(1, s^2)`, so that the interval is never narrower than the standard one (Roever,
        Knapp and Friede 2015, https://doi.org/10.1186/s12874-015-0091-1).
    level : float
        Level of the confidence and prediction intervals, between 0 and 1.

    Returns
    -------
    Fit
        A single study is shown as it is, with the standard normal interval, tau2 NaN and a flag.

    Raises
    ------
    PoolingError
        If shapes do not fit, a kept effect or variance cannot be used, or a method or test is not known.

    Notes
    -----
    .. math:: \hat\mu = \frac{\sum w_i y_i}{\sum w_i}, \quad w_i = \frac{1}{v_i + \hat\tau^2}

    Examples
    --------
    Two studies of equal variance: Q = 2, so tau2 = 1 and the standard error is 1.

    >>> pooled = fit([0.0, 2.0], [1.0, 1.0], test="z")
    >>> [round(float(x), 6) for x in (pooled.beta, pooled.se, pooled.tau2, pooled.Q)]
    [1.0, 1.0, 1.0, 2.0]
    >>> pooled.flags
    ('few studies: k = 2 to 4', 'no prediction interval: no degrees of freedom left for it')
    """
    design = None if mods is None else design_columns(mods)
    effects = check_effects(yi, vi, keep, design, weights)
    if ni is not None:
        warn_of_standard_errors(effects.vi, ni)
    return fit_effects(effects, method, test, level)


def fit_effects(effects: Effects, method: str, test: str, level: float, scheduler: str | None = None) -> Fit:
    """Pool checked effects: what :func:`fit` does after its checks, here or at a Dask ``scheduler``'s workers.

    Raises
    ------
    PoolingError
        If the method, test or level is not known, or the design cannot be estimated from any choice of
        studies.
    ClusterError
        If the cluster cannot be used.
    """
    _check_choices(effects, method, test, level)
    parts = over_chunks(partial(pool, method=method, test=test, level=level), effects, scheduler)
    columns = dict(zip(Pooled._fields, zip(*parts, strict=True), strict=True))
    del parts  # each column of chunks goes as soon as it is joined
    joined = {name: _join(columns.pop(name), effects.shape) for name in Pooled._fields}
    half, flags = joined.pop("half"), joined.pop("flags")
    if effects.shape == () and flags & DEPENDENT:
        raise PoolingError(
            "mods: expected independent columns, found some that depend on one another or on the constant"
        )
    return Fit(
        **joined,
        ci_lb=joined["beta"] - half,
        ci_ub=joined["beta"] + half,
        flags=in_words(int(flags)) if effects.shape == () else flags,
        method=method,
        test=test,
        level=level,
        effects=effects,
    )


def _check_choices(effects: Effects, method: str, test: str, level: float) -> None:
    if method not in ESTIMATORS:
        raise PoolingError(f"method: expected one of {', '.join(ESTIMATORS)}, found {method!r}")
    if test not in TESTS:
        raise PoolingError(f"test: expected one of {', '.join(TESTS)}, found {test!r}")
    if not 0.0 < level < 1.0:
        raise PoolingError(f"level: expected a number between 0 and 1, found {level!r}")
    if effects.design is not None and effects.design.shape[-1] >= effects.k:
        p = effects.design.shape[-1]
        raise PoolingError(f"expected more studies than the {p} coefficients, found {effects.k}")
    if method == "GENQ" and effects.weights is None:
        raise PoolingError("weights: expected with method GENQ, found none")


def _join(parts: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Chunks with fits last as one array of the batch's shape, coefficients behind."""
    if shape == ():
        return parts[0][..., 0][()]
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
    if joined.ndim > 1:
        joined = np.moveaxis(joined, -1, 0)
    return joined.reshape(shape + joined.shape[1:])[()]


class Pooled(NamedTuple):
    """The numbers of a chunk, fits last: each of shape (b,), or (p, b) and (p, p, b) for a design of p columns."""

    beta: np.ndarray
    se: np.ndarray
    vb: np.ndarray
    half: np.ndarray
    tau2: np.ndarray
    se_tau2: np.ndarray
    I2: np.ndarray
    H2: np.ndarray
    Q: np.ndarray
    k: np.ndarray
    df: np.ndarray
    flags: np.ndarray


def pool(batch: Batch, method: str, test: str, level: float) -> Pooled:
    """Pool the fits of one chunk."""
    sound = np.count_nonzero(batch.sound) == batch.sound.size
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # too few studies: set apart below, by name
        at_zero = Projection.at(batch, 0.0)
        found = ESTIMATORS[method](batch, at_zero)
        tau2 = found.tau2 if sound else np.where(batch.sound, found.tau2, 0.0)
        beta, vb = _coefficients(found.at or Projection.at(batch, tau2), tau2, test)
        se = np.sqrt(vb if vb.ndim == 1 else np.diagonal(vb, axis1=1, axis2=2).T)
        df = NO_DF if test == "z" else batch.n - batch.design.columns
        quantile = normal_quantile(level) if test == "z" else t_quantile(level, df)
        I2, H2 = _relative_heterogeneity(at_zero, tau2, method)
    flags = _flags(batch, tau2, se, found.several_modes, method)
    k = batch.n.astype(int)
    numbers = (beta, se, vb.T, se * quantile, tau2, found.se, I2, H2, at_zero.q, k, df, flags)
    pooled = Pooled(*(_widen(a, batch.width) for a in numbers))
    return pooled if sound else _set_apart(pooled, batch, method, level)


#: Flags as plain numbers: arithmetic with them is quicker.
DEPENDENT = int(Flag.DEPENDENT)
FEW, NO_SPREAD, TAU2_ZERO = int(Flag.FEW), int(Flag.NO_SPREAD), int(Flag.TAU2_ZERO)
NO_PREDICTION, SEVERAL_MODES = int(Flag.NO_PREDICTION_TWO), int(Flag.SEVERAL_MODES)

#: Degrees of freedom of the standard normal.
NO_DF = np.array([np.inf])


def _widen(a: np.ndarray, width: int) -> np.ndarray:
    """To one number a fit where all fits share it."""
    return a if a.shape[-1] == width else np.broadcast_to(a, (*a.shape[:-1], width))


def _coefficients(at: Projection, tau2: np.ndarray, test: str) -> tuple[np.ndarray, np.ndarray]:
    """Coefficients of the columns as given, (b,) or (p, b), and their covariance by ``test``, (b,) or (b, p, p)."""
    batch, design = at.batch, at.design
    if batch.given is None:
        beta, vb = at.coefficients, design.covariance(at.gram)
    else:
        own, middle = design.gram(batch.given), design.gram(batch.given**2 * (batch.finite_v + tau2))
        beta, vb = design.solve(own, design.moments(batch.given, batch.y)), design.covariance(own, middle)
    if test in {"knha", "adhoc"}:
        s2 = at.q / batch.df
        s2 = s2 if test == "knha" else np.maximum(s2, 1.0)
        vb = vb * (s2 if vb.ndim == 1 else s2[:, None, None])
    return design.in_given_units(beta + batch.centre), design.covariance_in_given_units(vb)


def _relative_heterogeneity(at_zero: Projection, tau2: np.ndarray, method: str) -> tuple[np.ndarray, np.ndarray]:
    """I2 in percent and H2: from tau2 and the typical variance ``(k - p)/tr P``, from Q without a tau2."""
    df = at_zero.batch.df
    if method in WITHOUT_TAU2:
        H2 = at_zero.q / df
        return 100.0 * np.maximum(1.0 - 1.0 / H2, 0.0), H2
    typical = df / at_zero.trace
    return 100.0 * (tau2 / (tau2 + typical)), tau2 / typical + 1.0


def _flags(batch: Batch, tau2: np.ndarray, se: np.ndarray, several: np.ndarray | None, method: str) -> np.ndarray:
    n, p = batch.n, batch.design.columns
    no_spread = se == 0.0
    flags = FEW * (n <= FEW_STUDIES)
    if np.count_nonzero(no_spread):
        flags = flags + NO_SPREAD * (no_spread if se.ndim == 1 else no_spread.any(axis=0))
    if p > 1:
        flags = flags + int(Flag.PREDICTION_NEEDS_MODERATORS)
    if method in WITHOUT_TAU2:
        return flags + int(Flag.NO_PREDICTION_EQUAL_EFFECTS)
    flags = flags + NO_PREDICTION * (n < p + 2) + TAU2_ZERO * (tau2 == 0.0)
    return flags if several is None else flags + SEVERAL_MODES * several


def _set_apart(pooled: Pooled, batch: Batch, method: str, level: float) -> Pooled:
    """A single study is shown with its own standard error; where nothing can be estimated nothing is."""
    n, sound = (np.broadcast_to(a, (batch.width,)) for a in (batch.n, batch.sound))
    single = (n == 1) & isinstance(batch.design, Constant)
    numbers = {name: np.where(sound | single, a, np.nan) for name, a in pooled._asdict().items()}
    variance = np.broadcast_to(batch.low, (batch.width,))
    shown = {
        "se": np.sqrt(variance),
        "vb": variance,
        "half": np.sqrt(variance) * normal_quantile(level),
        "df": np.inf,
        "Q": 0.0,
        "se_tau2": np.nan,
    }
    unknown = {} if method in WITHOUT_TAU2 else dict.fromkeys(("tau2", "I2", "H2"), np.nan)
    for name, value in (shown | unknown).items():
        numbers[name] = np.where(single, value, numbers[name])
    reason = np.where(n == 0, Flag.NOTHING_KEPT, np.where(n > batch.design.columns, Flag.DEPENDENT, Flag.SATURATED))
    numbers["flags"] = np.where(single, Flag.SINGLE, np.where(sound, pooled.flags, reason))
    return Pooled(**numbers | {"k": pooled.k})


# Profile-likelihood limits of tau2: where twice the log-likelihood has fallen by a chi-squared quantile.


#: A Newton step this small, relative to ``t + v_min``, leaves an error of about its square.
STEP = 1e-8


def profile_limits(batch: Batch, restricted: bool, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limit of tau2 around the highest mode, each of shape (b,).

    The lower limit is zero where the likelihood there is still within the fall. Beyond the upper limit the
    likelihood falls without end, like ``t`` to the power of minus half the degrees of freedom.
    """
    rule = Likelihood(restricted)
    mode = np.broadcast_to(solve(rule, batch, Projection.at(batch, 0.0))[0], (batch.width,))
    floor = rule.height(Projection.at(batch, mode)) - chi2_quantile(level, 1.0)
    far = _beyond(rule, batch, mode, floor)
    upper = _crossing(rule, batch, mode, far, floor)
    zero = np.zeros(batch.width)
    lower = np.where(rule.height(Projection.at(batch, zero)) >= floor, 0.0, _crossing(rule, batch, mode, zero, floor))
    return lower, upper


def _beyond(rule: Likelihood, batch: Batch, mode: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """A point above the mode at which the likelihood has fallen below the floor: by doubling."""
    far = 2.0 * mode + batch.high
    for _ in range(MOST_STEPS):
        short = rule.height(Projection.at(batch, far)) > floor
        if not short.any():
            break
        far = np.where(short, 4.0 * far, far)
    return far


def _crossing(rule: Likelihood, batch: Batch, inside: np.ndarray, outside: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Where the likelihood equals ``floor``, between a point above it and one below it: safeguarded Newton."""
    t = _middle(inside, outside, batch)
    for _ in range(MOST_STEPS):
        at = Projection.at(batch, t)
        above, (a, e) = rule.height(at) - floor, rule.sides(at)
        inside, outside = np.where(above >= 0.0, t, inside), np.where(above >= 0.0, outside, t)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = -above / (a - e)
        within = (t + step - inside) * (t + step - outside) <= 0.0
        size = t + batch.low
        if ((within & (np.abs(step) <= STEP * size)) | (np.abs(outside - inside) <= NARROW * size)).all():
            return np.where(within, t + step, t)
        t = np.where(within, t + step, _middle(inside, outside, batch))
    return t


def _middle(a: np.ndarray, b: np.ndarray, batch: Batch) -> np.ndarray:
    """Geometric middle of ``t + v_min``."""
    return np.sqrt((a + batch.low) * (b + batch.low)) - batch.low


# Limits of the between-study variance and of what follows from it.


@dataclass(frozen=True, eq=False)
class HeterogeneityLimits:
    """Limits of tau2, I2 and H2, each of the batch's shape (plain numbers for one fit).

    Attributes
    ----------
    tau2, tau2_lb, tau2_ub : float or ndarray
        The fit's estimate and its limits.
    I2, I2_lb, I2_ub : float or ndarray
        In percent.
    H2, H2_lb, H2_ub : float or ndarray
    empty : bool or ndarray of bool
        No tau2 >= 0 agrees with the data at this level: the effects differ less than chance alone makes
        them differ. The limits are NaN there.
    level : float
    kind : str
        How the limits were made.
    """

    tau2: np.ndarray
    tau2_lb: np.ndarray
    tau2_ub: np.ndarray
    I2: np.ndarray
    I2_lb: np.ndarray
    I2_ub: np.ndarray
    H2: np.ndarray
    H2_lb: np.ndarray
    H2_ub: np.ndarray
    empty: np.ndarray
    level: float
    kind: str

    def in_words(self) -> str | np.ndarray:
        """What the limits of tau2 are, in words; an object array of strings for a batch."""
        if np.ndim(self.empty) == 0:
            return self._sentence(self.empty, self.tau2_lb)
        words = np.empty(self.empty.size, dtype=object)
        words[:] = [self._sentence(e, low) for e, low in zip(self.empty.flat, self.tau2_lb.flat, strict=True)]
        return words.reshape(self.empty.shape)

    def _sentence(self, empty: bool, low: float) -> str:
        percent = f"{100 * self.level:g} %"
        if empty:
            return f"empty set: the effects differ less than the {percent} limits of chance allow for any tau2"
        if np.isnan(low):
            return "no limits: tau2 cannot be estimated from fewer than two studies"
        return f"{percent} limits by {self.kind}" + (", from the boundary zero" if low == 0.0 else "")


def confint(fit: Fit, *, kind: str = "Q-profile", level: float | None = None) -> HeterogeneityLimits:
    r"""Limits of tau2, I2 and H2.

    ``Q-profile``: where the generalised Q statistic equals the quantiles of chi-squared with k - p degrees
    of freedom (Viechtbauer 2007, https://doi.org/10.1002/sim.2514). ``profile likelihood``: where twice the
    log-likelihood has fallen by the quantile of chi-squared with one degree of freedom; restricted for
    REML, full for ML (Hardy and Thompson 1996,
    https://doi.org/10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A).

    .. math:: Q(\tau^2_{lb}) = \chi^2_{k-p; 1-\alpha/2}, \quad Q(\tau^2_{ub}) = \chi^2_{k-p; \alpha/2}

    Parameters
    ----------
    fit : Fit
        A fit with a tau2.
    kind : {"Q-profile", "profile likelihood"}
    level : float, optional
        Level of the limits; that of the fit if not given.

    Returns
    -------
    HeterogeneityLimits

    Raises
    ------
    PoolingError
        For an equal-effects fit: it has no tau2. For profile likelihood: if the method is not ML or REML.

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> limits = confint(fit([0.0, 2.0, 1.0, 4.0], [1.0, 1.0, 1.0, 1.0]))
    >>> round(float(limits.tau2_lb), 4), round(float(limits.tau2_ub), 4)
    (0.0, 39.5477)
    >>> confint(fit([0.4, 0.4, 0.4], [0.1, 0.2, 0.3])).in_words()
    'empty set: the effects differ less than the 95 % limits of chance allow for any tau2'
    """
    _check_kind(fit, kind)
    level = fit.level if level is None else level
    limits = _q_profile if kind == "Q-profile" else _likelihood_profile(restricted=fit.method == "REML")
    parts = over_chunks(lambda batch: _limits(batch, limits, level), fit.effects)
    joined = (np.concatenate(part).reshape(fit.shape)[()] for part in zip(*parts, strict=True))
    lower, upper, typical, empty = joined
    I2_lb, I2_ub = (100.0 * (t / (t + typical)) for t in (lower, upper))
    H2_lb, H2_ub = (t / typical + 1.0 for t in (lower, upper))
    tau2 = (fit.tau2, lower, upper)
    return HeterogeneityLimits(*tau2, fit.I2, I2_lb, I2_ub, fit.H2, H2_lb, H2_ub, empty, level, kind)


def _check_kind(fit: Fit, kind: str) -> None:
    if kind not in {"Q-profile", "profile likelihood"}:
        raise PoolingError(f"kind: expected Q-profile or profile likelihood, found {kind!r}")
    if not fit.has_tau2:
        raise PoolingError(f"confint: expected a fit with a tau2, found method {fit.method}")
    if kind == "profile likelihood" and fit.method not in {"ML", "REML"}:
        raise PoolingError(f"profile likelihood: expected method ML or REML, found {fit.method}")


Limits = Callable[[Batch, float], tuple[np.ndarray, np.ndarray, np.ndarray]]


def _limits(batch: Batch, limits: Limits, level: float) -> tuple[np.ndarray, ...]:
    """Limits of tau2, the typical variance, and whether the set is empty, each of shape (b,)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # too few studies: no limits, below
        lower, upper, empty = limits(batch, level)
        typical = batch.df / Projection.at(batch, 0.0).trace
    known = batch.sound & ~empty
    numbers = np.where(known, lower, np.nan), np.where(known, upper, np.nan), typical, empty & batch.sound
    return tuple(np.broadcast_to(a, (batch.width,)) for a in numbers)


def _q_profile(batch: Batch, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    few, many = (chi2_quantile(share, batch.df) for share in ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    at_zero = Projection.at(batch, 0.0)
    lower, upper = (solve(GeneralisedQ(target), batch, at_zero)[0] for target in (many, few))
    return lower, upper, at_zero.q < few


def _likelihood_profile(restricted: bool) -> Limits:
    def limits(batch: Batch, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return *profile_limits(batch, restricted, level), np.zeros(batch.width, dtype=bool)

    return limits
