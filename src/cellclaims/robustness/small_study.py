"""Tests of small-study effects by regression on a measure of size, and the effect adjusted for them.

A *small-study effect* is a slope of the effects on a measure of each study's size, the *predictor*. Selective
publication makes one, and so do real differences between small and large studies, and the arithmetic of some measures.
The *limit* is the effect that the line gives for a study without any sampling error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.effect_sizes import EffectSizes
from cellclaims.meta.fit import Fit, fit_effects, fit_of_mean
from cellclaims.meta.flags import FEWEST_ADVISED, Caution, Flag, refuse_too_few, stated
from cellclaims.meta.inputs import as_float, check_share, one_of, per_study

#: Size of a study -> what it is computed from, and the power that it is raised to.
PREDICTORS = {
    "sei": ("vi", 0.5),
    "vi": ("vi", 1.0),
    "ni": ("ni", 1.0),
    "ninv": ("ni", -1.0),
    "sqrtni": ("ni", 0.5),
    "sqrtninv": ("ni", -0.5),
}
#: Predictors that are zero for a study without sampling error: only their lines have a limit.
ZERO_WITHOUT_ERROR = frozenset({"sei", "vi", "ninv", "sqrtninv"})
#: Measures whose standard error is computed from the effect itself: ratios, differences and transforms of counts, and
#: standardised means (Peters and others 2006, https://doi.org/10.1001/jama.295.6.676; Pustejovsky and Rodgers 2019,
#: https://doi.org/10.1002/jrsm.1332).
BOUND_MEASURES = frozenset("OR RR RD PETO IRR IRD PR PLO PLN SMD SMDH SMCC SMCR COR".split())
#: A line needs two studies, and one more to be tested.
FEWEST = 3


@dataclass(frozen=True, eq=False)
class RegressionTest:
    """A regression of the effects on the size of the studies; arrays have the batch's shape.

    Attributes
    ----------
    slope, slope_se, stat, p : float or ndarray
        Slope on the predictor with its standard error, their ratio (z or t) and its two-sided P value: the test.
    df : float or ndarray
        Degrees of freedom of the test; infinite for z.
    limit, limit_se, ci_lb, ci_ub : float or ndarray
        The effect at predictor zero with its standard error and confidence limits; NaN for ``ni`` and ``sqrtni``, where
        zero is no study at all.
    k : int or ndarray of int
    model, predictor : str
    flags : tuple of str, or ndarray of int
        :class:`~cellclaims.meta.Caution`.
    fit : Fit
        The regression, the constant first.
    """

    slope: np.ndarray
    slope_se: np.ndarray
    stat: np.ndarray
    p: np.ndarray
    df: np.ndarray
    limit: np.ndarray
    limit_se: np.ndarray
    ci_lb: np.ndarray
    ci_ub: np.ndarray
    k: np.ndarray
    model: str
    predictor: str
    flags: tuple[str, ...] | np.ndarray
    fit: Fit


def egger(
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    ni: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    model: str = "lm",
    predictor: str = "sei",
    method: str | None = None,
    test: str | None = None,
    level: float | None = None,
    measure: str | None = None,
) -> RegressionTest:
    r"""Test small-study effects by regression, for one data set or a batch.

    Parameters
    ----------
    yi, vi : array-like of float, shape (..., k)
        Effects and sampling variances; or ``yi`` alone: a fit of a single mean, or effect sizes.
    slab : array-like of str, shape (k,), optional
        Labels of the studies.
    ni : array-like of float, shape (..., k), optional
        Patients of each study, for the predictors made of them.
    keep : array-like of bool, shape (..., k), optional
        Which studies count.
    model : {"lm", "rma"}
        ``lm``: weighted least squares with weights ``1/vi`` and a separate error variance (Egger and others 1997,
        https://doi.org/10.1136/bmj.315.7109.629, as slope on the standard error; the intercept of their regression of
        ``yi/sei`` on ``1/sei``). ``rma``: meta-regression with a between-study variance.
    predictor : {"sei", "vi", "ni", "ninv", "sqrtni", "sqrtninv"}
        Standard error, variance, number of patients, its inverse, and their roots.
    method, test : str
        Of the meta-regression, as in :func:`cellclaims.meta.fit`, or those of the fit; not used by ``lm``.
    level : float
        Level of the interval of the limit; 0.95, or that of the fit.
    measure : str, optional
        Name of the effect measure (OR, SMD, ...); that of the fit or effect sizes if not given. Where its
        standard error depends on the effect itself, a flag says so for ``sei`` and ``vi``: such a slope is there
        without any bias.

    Returns
    -------
    RegressionTest

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`; for fewer than 3 studies, an unknown model or predictor, numbers of patients
        that are missing or not positive; for one data set if its predictor is the same for all studies.

    Notes
    -----
    .. math:: y_i = \beta_0 + \beta_1 x_i + u_i + \epsilon_i, \quad \epsilon_i \sim N(0, \phi v_i)

    with :math:`u_i = 0` for ``lm`` (which is the equal-effects regression with the Hartung-Knapp variance) and
    :math:`\phi = 1` for ``rma``. Below 10 studies the test is not advised (Sterne and others 2011,
    https://doi.org/10.1136/bmj.d4002): a flag says so.

    Examples
    --------
    Effects that are about twice their standard error.

    >>> sei = [0.1, 0.2, 0.3, 0.4]
    >>> found = egger([0.2, 0.41, 0.59, 0.8], [s**2 for s in sei])
    >>> round(float(found.slope), 2), round(float(found.limit), 2)
    (2.0, 0.0)
    >>> found.flags
    ('not advised: fewer than 10 studies cannot distinguish chance from bias',)
    """
    model, predictor = one_of(model, ("lm", "rma"), "model"), one_of(predictor, PREDICTORS, "predictor")
    choices = {"method": "EE", "test": "knha"}
    if model == "rma":
        own = (yi.method, yi.test) if isinstance(yi, Fit) else ("REML", "adhoc")
        choices = {"method": method or own[0], "test": test or own[1]}
    plain = fit_of_mean("egger", yi, vi, slab=slab, keep=keep, method="EE", test="z", level=level)
    refuse_too_few(plain.k, FEWEST, "regression test")
    effects, measure = plain.effects, plain.measure if measure is None else measure
    size = _size(predictor, plain, ni)
    if plain.shape == () and np.ptp(size if effects.keep is None else size[effects.keep]) == 0.0:
        raise PoolingError(f"predictor {predictor}: expected sizes that differ, found the same for all studies")
    design = np.stack(np.broadcast_arrays(np.ones_like(size), size), axis=-1)
    line = fit_effects(replace(effects, weights=None, design=design), level=plain.level, **choices)
    return _as_test(line, np.equal(plain.Q, 0.0), model, predictor, measure)


def _size(predictor: str, plain: Fit, ni: ArrayLike | None) -> np.ndarray:
    """Return the predictor, shape (..., k); one where a study does not count."""
    source, power = PREDICTORS[predictor]
    effects = plain.effects
    keep = True if effects.keep is None else effects.keep
    if source == "vi":
        return np.where(keep, effects.vi, 1.0) ** power
    if ni is None:
        raise PoolingError(f"ni: expected the number of patients of each study for predictor {predictor}, found none")
    given, _ = per_study({"ni": ni}, order=effects.slab)
    ni = as_float(given["ni"], "ni", effects.slab)
    if ni.shape[-1:] != (effects.k,):
        raise PoolingError(f"ni: expected {effects.k} numbers along the last axis, found shape {ni.shape}")
    used = np.where(keep, ni, 1.0)
    if not ((used > 0) & np.isfinite(used)).all():
        raise PoolingError("ni: expected numbers of patients above zero, found some that are not")
    return used**power


def _as_test(line: Fit, equal: np.ndarray, model: str, predictor: str, measure: str | None) -> RegressionTest:
    """Return slope and limit of the line; rounding differences between ``equal`` effects count as zero."""
    has_limit = predictor in ZERO_WITHOUT_ERROR
    at_zero = (line.beta, line.se, line.ci_lb, line.ci_ub)
    limits = ((a[..., 0] if has_limit else np.full(line.shape, np.nan))[()] for a in at_zero)
    bound = measure in BOUND_MEASURES and predictor in {"sei", "vi"}
    flat = (line.flagged(Flag.NO_SPREAD) | (equal & (line.test == "knha"))) & np.greater_equal(line.k, FEWEST)
    cautions = {
        Caution.TOO_FEW: np.less(line.k, FEWEST),
        Caution.FEW_STUDIES: np.less(line.k, FEWEST_ADVISED),
        Caution.BOUND_TO_EFFECT: np.bool_(bound),
        Caution.NO_SLOPE: line.flagged(Flag.DEPENDENT),
        Caution.NO_SPREAD: flat,
    }
    slope, slope_se = (np.where(flat, 0.0, a[..., 1])[()] for a in (line.beta, line.se))
    stat, p = (np.where(flat, np.nan, a[..., 1])[()] for a in (line.stat, line.p))
    flags = stated(cautions, line.shape)
    numbers = (slope, slope_se, stat, p, line.df)
    return RegressionTest(*numbers, *limits, line.k, model, predictor, flags, line)


@dataclass(frozen=True, eq=False)
class PetPeese:
    """Effect adjusted for small-study effects; arrays have the batch's shape.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub : float or ndarray
        The limit of the chosen line, with its standard error and confidence limits.
    chosen : str or ndarray of str
        ``PEESE`` where the limit of PET differs from zero, else ``PET``.
    pet, peese : RegressionTest
        The lines on the standard error and on the variance.
    k : int or ndarray of int
    flags : tuple of str, or ndarray of int
    """

    beta: np.ndarray
    se: np.ndarray
    ci_lb: np.ndarray
    ci_ub: np.ndarray
    chosen: str | np.ndarray
    pet: RegressionTest
    peese: RegressionTest
    k: np.ndarray
    flags: tuple[str, ...] | np.ndarray


def pet_peese(
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    model: str = "lm",
    method: str | None = None,
    test: str | None = None,
    level: float | None = None,
    alpha: float = 0.1,
    measure: str | None = None,
) -> PetPeese:
    """Compute the precision-effect test and estimate with standard error (PET-PEESE).

    Parameters
    ----------
    yi, vi, slab, keep, model, method, test, level, measure
        As in :func:`egger`. The authors use ``lm``.
    alpha : float
        Level of the two-sided test of PET's limit: 0.1 corresponds to the authors' one-sided 5% without choosing a
        direction.

    Returns
    -------
    PetPeese

    Raises
    ------
    PoolingError
        As :func:`egger`.

    Notes
    -----
    The line on the standard error (PET) has the right limit where there is no effect, the line on the variance (PEESE)
    comes closer where there is one; PET's own test decides between them (Stanley and Doucouliagos 2014,
    https://doi.org/10.1002/jrsm.1095).

    Examples
    --------
    >>> vi = [0.01, 0.02, 0.04, 0.06, 0.09, 0.12]
    >>> left = pet_peese([0.5 + 2 * v for v in vi], vi)
    >>> left.chosen, round(float(left.beta), 6)
    ('PEESE', 0.5)
    """
    alpha = check_share(alpha, "alpha")
    choices = {
        "slab": slab,
        "keep": keep,
        "model": model,
        "method": method,
        "test": test,
        "level": level,
        "measure": measure,
    }
    pet, peese = (egger(yi, vi, predictor=predictor, **choices) for predictor in ("sei", "vi"))
    effect = pet.fit.p[..., 0] < alpha
    names = ("limit", "limit_se", "ci_lb", "ci_ub")
    numbers = (np.where(effect, getattr(peese, name), getattr(pet, name))[()] for name in names)
    chosen = np.where(effect, "PEESE", "PET")
    return PetPeese(*numbers, chosen if chosen.ndim else str(chosen), pet, peese, pet.k, pet.flags)
