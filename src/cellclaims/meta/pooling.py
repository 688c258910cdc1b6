"""Pool effects under the normal-normal model: one fit or a batch of any shape, by the same code."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.batch import Batch, chunk_size, chunks
from cellclaims.meta.fit_result import Fit, Flag, in_words
from cellclaims.meta.heterogeneity import ESTIMATORS, WITHOUT_TAU2, FixedWeights
from cellclaims.meta.inputs import Effects, check_effects
from cellclaims.meta.quantiles import normal_quantile, t_quantile

#: Tests of the pooled effect: standard normal, t, Hartung-Knapp, Hartung-Knapp with the ad hoc floor.
TESTS = ("z", "t", "knha", "adhoc")

#: Up to this many studies a pool is labelled as small.
FEW_STUDIES = 4


def fit(
    yi: ArrayLike,
    vi: ArrayLike,
    *,
    keep: ArrayLike | None = None,
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
    method : str
        Estimator of tau2: EE, DL, PM, ML, REML (:data:`cellclaims.meta.heterogeneity.ESTIMATORS`).
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
    ('few studies: k = 2 to 4', 'no prediction interval: k - 2 degrees of freedom are fewer than one')
    """
    _check_choices(method, test, level)
    effects = check_effects(yi, vi, keep)
    return _assemble(effects, method, test, level)


def _check_choices(method: str, test: str, level: float) -> None:
    if method not in ESTIMATORS:
        raise PoolingError(f"method: expected one of {', '.join(ESTIMATORS)}, found {method!r}")
    if test not in TESTS:
        raise PoolingError(f"test: expected one of {', '.join(TESTS)}, found {test!r}")
    if not 0.0 < level < 1.0:
        raise PoolingError(f"level: expected a number between 0 and 1, found {level!r}")


@dataclass(frozen=True)
class Pooled:
    """The numbers of a chunk, each of shape (b,)."""

    beta: np.ndarray
    se: np.ndarray
    half: np.ndarray
    tau2: np.ndarray
    se_tau2: np.ndarray
    I2: np.ndarray
    H2: np.ndarray
    Q: np.ndarray
    k: np.ndarray
    df: np.ndarray
    flags: np.ndarray


def _assemble(effects: Effects, method: str, test: str, level: float) -> Fit:
    """Pool chunk by chunk and give the results the batch's shape."""
    parts = [pool(batch, method, test, level) for _, batch in chunks(effects, chunk_size(effects.k))]
    names = Pooled.__dataclass_fields__
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts]).reshape(effects.shape)[()] for name in names
    }
    half = joined.pop("half")
    if effects.shape == ():
        joined["flags"] = in_words(int(joined["flags"]))
    return Fit(
        **joined,
        ci_lb=joined["beta"] - half,
        ci_ub=joined["beta"] + half,
        method=method,
        test=test,
        level=level,
        effects=effects,
    )


def pool(batch: Batch, method: str, test: str, level: float) -> Pooled:
    """Pool the fits of one chunk."""
    with np.errstate(divide="ignore", invalid="ignore"):  # fits of one study or none: set below, by name
        fixed = FixedWeights.of(batch)
        found = ESTIMATORS[method](batch, fixed)
        tau2 = np.where(batch.n > 1.0, found.tau2, 0.0)
        mean, se = _mean(batch, tau2, test)
        df = np.full(batch.n.shape, np.inf) if test == "z" else batch.n - 1.0
        quantile = normal_quantile(level) if test == "z" else t_quantile(level, df)
        I2, H2 = _relative_heterogeneity(batch, fixed, tau2, method)
    flags = _flags(batch, tau2, se, found.several_modes, method)
    numbers = (mean, se, se * quantile, tau2, found.se, I2, H2, fixed.q, batch.n.astype(int), df, flags)
    pooled = Pooled(*(np.broadcast_to(a, (batch.width,)) for a in numbers))
    return pooled if (batch.n > 1.0).all() else _set_apart_singles(pooled, batch, method, level)


def _mean(batch: Batch, tau2: np.ndarray, test: str) -> tuple[np.ndarray, np.ndarray]:
    """Weighted mean and its standard error under ``test``."""
    design, w = batch.design, batch.weights(tau2)
    gram = design.gram(w)
    mean = design.solve(gram, design.moments(w * batch.y))
    if test in {"z", "t"}:
        return mean + batch.centre, np.sqrt(1.0 / gram)
    r = batch.y - design.fitted(mean)
    s2 = np.add.reduce(w * r * r) / batch.df
    scale = s2 if test == "knha" else np.maximum(s2, 1.0)
    return mean + batch.centre, np.sqrt(scale / gram)


def _relative_heterogeneity(
    batch: Batch, fixed: FixedWeights, tau2: np.ndarray, method: str
) -> tuple[np.ndarray, np.ndarray]:
    """I2 in percent and H2: from tau2 and the typical variance ``(k - p)/tr P``, from Q without a tau2."""
    if method in WITHOUT_TAU2:
        H2 = fixed.q / batch.df
        return 100.0 * np.maximum(1.0 - 1.0 / H2, 0.0), H2
    typical = batch.df / fixed.trace
    return 100.0 * tau2 / (tau2 + typical), tau2 / typical + 1.0


def _flags(batch: Batch, tau2: np.ndarray, se: np.ndarray, several: np.ndarray | None, method: str) -> np.ndarray:
    n = batch.n
    flags = np.where(n <= FEW_STUDIES, Flag.FEW, 0) + np.where(se == 0.0, Flag.NO_SPREAD, 0)
    if method in WITHOUT_TAU2:
        return flags + Flag.NO_PREDICTION_EQUAL_EFFECTS
    flags = flags + np.where(n < 3, Flag.NO_PREDICTION_TWO, 0) + np.where(tau2 == 0.0, Flag.TAU2_ZERO, 0)
    return flags if several is None else flags + np.where(several, Flag.SEVERAL_MODES, 0)


def _set_apart_singles(pooled: Pooled, batch: Batch, method: str, level: float) -> Pooled:
    """A single study is shown with its own standard error; where nothing is kept there is nothing to show."""
    n = np.broadcast_to(batch.n, (batch.width,))
    none, single = n == 0, n == 1
    no_tau2 = single & (method not in WITHOUT_TAU2)
    own = np.sqrt(np.broadcast_to(batch.low, (batch.width,)))
    changed = {
        "beta": np.where(none, np.nan, pooled.beta),
        "se": np.where(single, own, pooled.se),
        "half": np.where(single, own * normal_quantile(level), pooled.half),
        "df": np.where(single, np.inf, pooled.df),
        "Q": np.where(single, 0.0, pooled.Q),
        "flags": np.where(single, Flag.SINGLE, pooled.flags),
    }
    for name in ("tau2", "se_tau2", "I2", "H2"):
        changed[name] = np.where(no_tau2, np.nan, getattr(pooled, name))
    for name in ("se", "half", "df", "Q", "tau2", "se_tau2", "I2", "H2"):
        changed[name] = np.where(none, np.nan, changed[name])
    changed["flags"] = np.where(none, Flag.NOTHING_KEPT, changed["flags"])
    return replace(pooled, **changed)
