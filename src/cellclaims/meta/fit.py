"""Pool effects under the normal-normal model: one fit or a batch of any shape, by the same code."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, stdtr

from cellclaims.errors import PoolingError
from cellclaims.meta.batch import Batch, Constant, Projection, computed, over_chunks
from cellclaims.meta.effect_sizes import EffectSizes, measure_in_words
from cellclaims.meta.flags import Flag, in_words
from cellclaims.meta.inputs import (
    Effects,
    as_float,
    check_effects,
    check_share,
    design_columns,
    one_of,
    per_study,
    warn_of_standard_errors,
)
from cellclaims.meta.quantiles import chi2_upper, normal_quantile, normal_two_sided, t_quantile, t_two_sided
from cellclaims.meta.result import Estimate
from cellclaims.meta.tau2 import ESTIMATORS

if TYPE_CHECKING:
    import pandas as pd


# Prediction intervals for the effect in a new setting, with and without moderators.


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
    df = one_of(df, DF_IN_WORDS, "df")
    level = fit.level if level is None else check_share(level, "level")
    pred, variance, extra = _mean(fit, newmods)
    free = {"k-2": extra(fit.k) - fit.coefficients - 1.0, "k-1": extra(fit.k) - fit.coefficients * 1.0}.get(df, np.inf)
    half = _quantile(level, extra(fit.df)) * np.sqrt(variance)
    tau2 = extra(fit.tau2) if fit.has_tau2 else np.nan
    reach = _quantile(level, free) * np.sqrt(variance + tau2)
    limits = (pred - half, pred + half, pred - reach, pred + reach)
    return Prediction(pred, np.sqrt(variance), *limits, free, level, DF_IN_WORDS[df])


def _mean(fit: Fit, newmods: ArrayLike | None) -> tuple:
    """Return the mean, its variance, and a function that adds the axis of the new rows."""
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
    """Return the rows of the design for new values, shape (m, p), with a constant in front if it is missing."""
    p = fit.coefficients
    if newmods is None:
        raise PoolingError(f"newmods: expected values of the {p} columns of the fit, found none")
    rows = np.atleast_2d(as_float(np.atleast_1d(newmods), "newmods"))
    if rows.shape[-1] == p - 1:
        rows = np.concatenate([np.ones((*rows.shape[:-1], 1)), rows], axis=-1)
    if rows.shape[-1] != p:
        raise PoolingError(f"newmods: expected {p - 1} values per row ({p} with the constant), found {rows.shape[-1]}")
    return rows


def _quantile(level: float, df: ArrayLike) -> np.ndarray:
    """Half-width in standard errors, normal where ``df`` is infinite."""
    df = np.asarray(df, dtype=float)
    return np.where(np.isinf(df), normal_quantile(level), t_quantile(level, np.where(np.isinf(df), 1.0, df)))[()]


# Results: :class:`Fit`, its flags and values that are computed on first access.


#: Methods without a between-study variance.
WITHOUT_TAU2 = frozenset({"EE", "FE"})


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Fit(Estimate):
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

    vb: np.ndarray
    tau2: np.ndarray
    se_tau2: np.ndarray
    df: np.ndarray
    method: str
    test: str
    effects: Effects

    @property
    def coefficients(self) -> int:
        """Number of coefficients ``p``: 1 for a single mean."""
        return 1 if self.effects.design is None else self.effects.design.shape[-1]

    @property
    def has_tau2(self) -> bool:
        """Whether the model has a between-study variance."""
        return self.method not in WITHOUT_TAU2

    def _beside_beta(self, a: np.ndarray) -> np.ndarray:
        """Return the array with an axis for the coefficients if ``beta`` has one."""
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
        """P value of Q against chi-squared with ``k - p`` degrees of freedom; NaN for a single study."""
        return np.where(np.isnan(self.Q), np.nan, chi2_upper(self.Q, np.subtract(self.k, self.coefficients)))[()]

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
        """Weight of each study in the pooled effect, in percent, shape (..., k); zero where not kept."""
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
        """Predict the mean and the true effect in a new setting.

        Parameters
        ----------
        newmods, df, level
            As in :func:`cellclaims.meta.predict`.

        Returns
        -------
        Prediction
        """
        return predict(self, newmods, df=df, level=level)

    @property
    def slab(self) -> tuple[str, ...]:
        """Labels of the studies, or their numbers from 1."""
        return self.effects.slab or tuple(str(i + 1) for i in range(self.effects.k))

    @property
    def measure(self) -> str | None:
        """Name of the effect measure; None if it was not given."""
        return self.effects.measure

    def p_mean_reaches(self, value: ArrayLike) -> np.ndarray:
        r"""Return the probability that the mean effect is at least ``value``, by the distribution of the fit's test.

        .. math:: P = F_{df}\left(\frac{\hat\beta - value}{\mathrm{SE}}\right)

        with F normal for z and t otherwise: the distribution whose central part is the confidence interval. Subtract
        it from 1 for the probability of a smaller effect.

        Parameters
        ----------
        value : float or array-like
            On the scale of the effects; broadcast with the batch.

        Returns
        -------
        float or ndarray

        Examples
        --------
        >>> pooled = fit([0.0, 2.0, 1.0, 4.0], [1.0, 1.0, 1.0, 1.0])
        >>> round(float(pooled.p_mean_reaches(pooled.ci_lb)), 6)
        0.975
        """
        self._single_mean("p_mean_reaches")
        with np.errstate(divide="ignore", invalid="ignore"):
            return _tail((self.beta - np.asarray(value, dtype=float)) / self.se, self.df)

    def p_new_setting_reaches(self, value: ArrayLike) -> np.ndarray:
        r"""Return the probability that the true effect in a new setting is at least ``value``.

        .. math:: P = T_{k-2}\left(\frac{\hat\beta - value}{\sqrt{\mathrm{SE}^2 + \hat\tau^2}}\right)

        the distribution whose central part is the prediction interval; NaN where there is none.

        Parameters
        ----------
        value : float or array-like

        Returns
        -------
        float or ndarray
        """
        return self.p_series_reaches(value, 0.0)

    def p_series_reaches(self, value: ArrayLike, vi: ArrayLike) -> np.ndarray:
        """Return the probability that a new study with variance ``vi`` in a new setting finds at least ``value``.

        Parameters
        ----------
        value : float or array-like
        vi : float or array-like
            Sampling variance of the new study's effect.

        Returns
        -------
        float or ndarray
            NaN where there is no prediction interval.
        """
        self._single_mean("a probability in a new setting")
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.sqrt(self.se**2 + self.tau2 + np.asarray(vi, dtype=float))
            reached = _tail((self.beta - np.asarray(value, dtype=float)) / spread, np.subtract(self.k, 2.0))
        return np.where(np.isnan(self.pi_lb), np.nan, reached)[()]

    def _single_mean(self, what: str) -> None:
        if self.effects.design is not None:
            raise PoolingError(f"{what}: expected a fit of a single mean, found one with moderators")

    def studies(self) -> pd.DataFrame:
        """Return the studies of one fit: label, effect, variance, standard error, interval, weight, whether kept.

        Returns
        -------
        pandas.DataFrame
            One row per study; the interval is by the normal distribution at the level of the fit.

        Raises
        ------
        PoolingError
            For a batch.
        """
        import pandas as pd  # imported late, because fitting does not need it

        if self.shape != ():
            raise PoolingError(f"studies: expected one fit, found a batch of shape {self.shape}")
        effects, kept = self.effects, np.ones(self.effects.k, bool) if self.effects.keep is None else self.effects.keep
        with np.errstate(invalid="ignore"):
            se = np.sqrt(effects.vi)
        half = normal_quantile(self.level) * se
        numbers = {
            "yi": effects.yi,
            "vi": effects.vi,
            "sei": se,
            "ci_lb": effects.yi - half,
            "ci_ub": effects.yi + half,
        }
        return pd.DataFrame({"slab": self.slab, **numbers, "weight": self.weights, "kept": kept})

    def _title(self) -> str:
        """Return model and estimator."""
        model = "Random-effects model" if self.has_tau2 else "Equal-effects model"
        if self.effects.design is not None:
            model = "Mixed-effects meta-regression" if self.has_tau2 else "Equal-effects meta-regression"
        by = f"tau2 by {self.method}" if self.has_tau2 else self.method
        return f"{model} (k = {int(self.k)}; {by})" if self.shape == () else f"{model} ({by})"

    def _scale(self) -> str:
        """Return the name of the estimate."""
        return measure_in_words(self.measure) if self.measure else "pooled effect"

    def _coefficients(self) -> tuple[str, ...]:
        if self.effects.design is None:
            return (self._scale(),)
        first = self.effects.design[..., 0]
        names = ["constant"] if np.all(first == 1.0) else ["x1"]
        count = self.coefficients - 1
        return (*names, *(f"x{i + (1 if names == ['constant'] else 2)}" for i in range(count)))

    def _Q_df(self) -> int:
        return int(self.k) - self.coefficients


def _tail(z: np.ndarray, df: ArrayLike) -> np.ndarray:
    """P(T <= z) with ``df`` degrees of freedom, normal where infinite, NaN below 1."""
    df = np.asarray(df, dtype=float)
    by_t = stdtr(np.where((df >= 1.0) & np.isfinite(df), df, 1.0), z)
    return np.where(np.isinf(df), ndtr(z), np.where(df >= 1.0, by_t, np.nan))[()]


#: A result with flags.
R = TypeVar("R")

#: Tests of the pooled effect: standard normal, t, Hartung-Knapp, Hartung-Knapp with the ad hoc floor.
TESTS = ("z", "t", "knha", "adhoc")

#: Largest number of studies that is flagged as few.
FEW_STUDIES = 4


def fit(
    yi: ArrayLike | EffectSizes,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
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
        Effects on one scale and their sampling variances; or ``yi`` alone, the effect sizes of
        :func:`cellclaims.meta.escalc`. Labelled inputs are matched by label, masked values are refused
        (:mod:`cellclaims.meta.inputs`).
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for summaries, tables and figures.
    keep : array-like of bool, shape (..., k), optional
        Studies to use in each fit, broadcast against ``yi`` and ``vi``; leave-one-out is k rows.
    mods : array-like of float, shape (k,), (k, q) or (..., k, q), optional
        Moderators; a constant is added in front. ``beta``, ``se`` and the limits then have one more axis, for
        the coefficients (:func:`cellclaims.meta.regress` adds their joint test).
    weights : array-like of float, shape (..., k), optional
        Weights instead of ``1/(v + tau2)``; the standard error is still that of the model.
    ni : array-like of float, shape (..., k), optional
        Number of patients of each effect, used only for a check: a :class:`~cellclaims.meta.VarianceWarning` is
        issued if ``vi`` depends on it as standard errors do.
    method : str
        Estimator of tau2: EE (or FE), DL, HE, HS, HSk, SJ, ML, REML, EB, PM, PMM, GENQ (needs ``weights``).
    test : {"adhoc", "knha", "t", "z"}
        ``knha`` scales the variance of the mean by :math:`s^2 = \sum w_i (y_i - \mu)^2 / (k - 1)` and uses
        t with k - 1 degrees of freedom (Hartung and Knapp 2001, https://doi.org/10.1002/sim.791); ``adhoc``
        uses :math:`\max(1, s^2)`, so that the interval is never narrower than the standard one (Roever,
        Knapp and Friede 2015, https://doi.org/10.1186/s12874-015-0091-1).
    level : float
        Level of the confidence and prediction intervals, between 0 and 1.

    Method and test may be in upper or lower case.

    Returns
    -------
    Fit
        A single study is returned with its own normal interval and a flag; tau2, Q, I2 and H2 are NaN.

    Raises
    ------
    PoolingError
        If shapes do not match, a kept effect or variance is invalid, or a method or test is unknown.

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
    ('few studies: k = 2 to 4', 'no prediction interval: too few degrees of freedom')
    """
    effects, ni, undefined = read_effects(yi, vi, slab=slab, keep=keep, mods=mods, weights=weights, ni=ni)
    if ni is not None:
        warn_of_standard_errors(effects.vi, ni)
    fitted = fit_effects(effects, method, test, level)
    return with_undefined(fitted) if undefined else fitted


def read_effects(
    yi: ArrayLike | EffectSizes,
    vi: ArrayLike | None,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    mods: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    ni: ArrayLike | None = None,
    intercept: bool = True,
) -> tuple[Effects, np.ndarray | None, bool]:
    """Return the effects given to a public function, aligned and checked.

    Returns
    -------
    effects : Effects
    ni : ndarray or None
        Numbers of patients in the same order.
    undefined : bool
        Whether effect sizes without a value were excluded.
    """
    measure, undefined = None, False
    if isinstance(yi, EffectSizes):
        if vi is not None:
            raise PoolingError("vi: expected none next to effect sizes, which have their own, found some")
        sizes = yi
        measure, yi, vi = sizes.measure, sizes.yi, sizes.vi
        slab = sizes.slab if slab is None else slab
        undefined = not sizes.defined.all()
        if undefined:
            keep = sizes.defined if keep is None else np.asarray(keep) & sizes.defined
    elif vi is None:
        raise PoolingError("vi: expected the sampling variance of each effect, found none")
    given = {"yi": yi, "vi": vi, "keep": keep, "mods": mods, "weights": weights, "ni": ni}
    given, labels = per_study(given, slab)
    design = None if mods is None else design_columns(given["mods"], intercept)
    effects = check_effects(given["yi"], given["vi"], given["keep"], design, given["weights"], labels, measure)
    return effects, given["ni"], undefined


def with_undefined(fitted: R) -> R:
    """Return the result with the flag that studies without an effect were excluded."""
    flags = fitted.flags
    flags = (*flags, *in_words(Flag.UNDEFINED)) if isinstance(flags, tuple) else flags | int(Flag.UNDEFINED)
    return replace(fitted, flags=flags)


def fit_of_mean(what: str, studies: Fit | EffectSizes | ArrayLike, vi: ArrayLike | None = None, **choices: Any) -> Fit:
    """Return :func:`as_fit` of the arguments; raise an error for a fit with moderators."""
    if isinstance(studies, Fit) and studies.effects.design is not None:
        raise PoolingError(f"{what}: expected a fit of a single mean, found one with moderators")
    return as_fit(studies, vi, **choices)


def as_fit(studies: Fit | EffectSizes | ArrayLike, vi: ArrayLike | None = None, **choices: Any) -> Fit:
    """Return the given fit, or fit the given effects and variances.

    Parameters
    ----------
    studies : Fit, EffectSizes or array-like
        A fit, or effects.
    vi : array-like, optional
        Variances, if ``studies`` are effects.
    **choices
        As in :func:`fit`, for effects; None is the default. For a fit, ``keep`` selects among its studies and
        the others replace its settings.

    Returns
    -------
    Fit
    """
    choices = {name: value for name, value in choices.items() if value is not None}
    if not isinstance(studies, Fit):
        return fit(studies, vi, **choices)
    if vi is not None:
        raise PoolingError("vi: expected none next to a fit, which has its own, found some")
    if not choices:
        return studies
    effects, keep = studies.effects, choices.pop("keep", None)
    if "slab" in choices:
        raise PoolingError("slab: expected none next to a fit, which has its own, found some")
    if keep is not None:
        given, _ = per_study({"keep": keep}, order=effects.slab)
        keep = given["keep"]
        both = np.asarray(keep) if effects.keep is None else np.asarray(keep) & effects.keep
        effects = check_effects(
            effects.yi, effects.vi, both, effects.design, effects.weights, effects.slab, effects.measure
        )
    if choices.get("method", studies.method) != "GENQ" and effects.weights is not None and studies.method == "GENQ":
        effects = replace(effects, weights=None)
    own = {"method": studies.method, "test": studies.test, "level": studies.level} | choices
    return fit_effects(effects, **own)


def fit_effects(effects: Effects, method: str, test: str, level: float, scheduler: str | None = None) -> Fit:
    """Pool checked effects, here or on the workers of a Dask ``scheduler``.

    Raises
    ------
    PoolingError
        If the method, test or level is unknown, or the design cannot be estimated with any selection of
        studies.
    ClusterError
        If the cluster cannot be used.
    """
    method, test, level = _check_choices(effects, method, test, level)
    parts = over_chunks(partial(pool, method=method, test=test, level=level), effects, scheduler)
    columns = dict(zip(Pooled._fields, zip(*parts, strict=True), strict=True))
    del parts  # each column of chunks is freed once it is joined
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
        flags=in_words(int(flags), Flag) if effects.shape == () else flags,
        method=method,
        test=test,
        level=level,
        effects=effects,
    )


def _check_choices(effects: Effects, method: str, test: str, level: float) -> tuple[str, str, float]:
    method, test, level = one_of(method, ESTIMATORS, "method"), one_of(test, TESTS, "test"), check_share(level, "level")
    if effects.design is not None and effects.design.shape[-1] >= effects.k:
        p = effects.design.shape[-1]
        raise PoolingError(f"expected more studies than the {p} coefficients, found {effects.k}")
    if method == "GENQ" and effects.weights is None:
        raise PoolingError("weights: expected with method GENQ, found none")
    return method, test, level


def _join(parts: tuple[np.ndarray, ...], shape: tuple[int, ...]) -> np.ndarray:
    """Join chunks with fits last to one array of the batch's shape, coefficients last."""
    if shape == ():
        return parts[0][..., 0][()]
    joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)
    if joined.ndim > 1:
        joined = np.moveaxis(joined, -1, 0)
    return joined.reshape(shape + joined.shape[1:])[()]


class Pooled(NamedTuple):
    """Results of a chunk, fits last: shape (b,), or (p, b) and (p, p, b) for a design of p columns."""

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
    """Reduce to one number if it is the same for all fits."""
    return a if a.shape[-1] == width else np.broadcast_to(a, (*a.shape[:-1], width))


def _coefficients(at: Projection, tau2: np.ndarray, test: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the coefficients of the given columns, (b,) or (p, b), and their covariance, (b,) or (b, p, p)."""
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
    """Return I2 in percent and H2, from tau2 and the typical variance ``(k - p)/tr P``, or from Q without tau2."""
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
    """Give a single study its own standard error, and NaN where nothing can be estimated."""
    n, sound = (np.broadcast_to(a, (batch.width,)) for a in (batch.n, batch.sound))
    single = (n == 1) & isinstance(batch.design, Constant)
    numbers = {name: np.where(sound | single, a, np.nan) for name, a in pooled._asdict().items()}
    variance = np.broadcast_to(batch.low, (batch.width,))
    shown = {
        "se": np.sqrt(variance),
        "vb": variance,
        "half": np.sqrt(variance) * normal_quantile(level),
        "df": np.inf,
        **dict.fromkeys(("Q", "tau2", "se_tau2", "I2", "H2"), np.nan),  # one study says nothing of a spread
    }
    for name, value in shown.items():
        numbers[name] = np.where(single, value, numbers[name])
    reason = np.where(n == 0, Flag.NOTHING_KEPT, np.where(n > batch.design.columns, Flag.DEPENDENT, Flag.SATURATED))
    numbers["flags"] = np.where(single, Flag.SINGLE, np.where(sound, pooled.flags, reason))
    return Pooled(**numbers | {"k": pooled.k})
