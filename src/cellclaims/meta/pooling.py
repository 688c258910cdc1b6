"""Pool effects under the normal-normal model: one fit or a batch of any shape, by the same code."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.batch import Batch, over_chunks
from cellclaims.meta.design import Constant
from cellclaims.meta.fit_result import WITHOUT_TAU2, Fit, Flag, in_words
from cellclaims.meta.heterogeneity import ESTIMATORS
from cellclaims.meta.inputs import Effects, check_effects, design_columns
from cellclaims.meta.projection import Projection
from cellclaims.meta.quantiles import normal_quantile, t_quantile
from cellclaims.meta.variance_scale import warn_of_standard_errors

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
