"""The mean effect of all studies, seen or not, when the chance to be seen depends on the P value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from cellclaims.errors import PoolingError
from cellclaims.meta import Fit, fit
from cellclaims.meta.quantiles import chi2_upper
from cellclaims.robustness.cautions import FEWEST_ADVISED, Caution, stated
from cellclaims.robustness.selection_likelihood import SelectionLikelihood, p_value
from cellclaims.robustness.selection_search import Summit, climb
from cellclaims.robustness.selection_weights import FAMILIES, Steps, WeightFunction

ALTERNATIVES = ("greater", "less", "two-sided")
METHODS = ("ML", "EE", "FE")
#: A stretch of P values with fewer studies gives its weight next to no support.
FEWEST_PER_STEP = 3


class Top(NamedTuple):
    """A top of the likelihood."""

    beta: float
    tau2: float
    log_likelihood: float


@dataclass(frozen=True, eq=False)
class SelectionModel:
    """A selection model of one data set.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub, stat, p : float
        Mean effect of all studies, seen or not, with its standard error, Wald limits, z value and P value.
    tau2, se_tau2 : float
        Between-study variance and its standard error; both zero for EE.
    delta, se_delta : ndarray
        Parameters of the weight function with their standard errors. Steps: the weight of each stretch, the first one
        by definition and without an error. Whatever lies on its edge (tau2 = 0) has NaN for its error, and a flag.
    log_likelihood : float
    LRT, LRT_p : float
        Likelihood ratio test of no selection, and its P value: chi-squared with ``LRT_df`` degrees of freedom.
    LRT_df : int
    LRT_tau2, LRT_tau2_p : float
        The same of no heterogeneity, with one degree of freedom; NaN for EE.
    tops : tuple of Top
        All tops of the likelihood that were found, the highest first, which is the estimate.
    unselected : Fit
        The model without selection.
    kind, alternative, method : str
    steps : tuple of float
        Upper ends of the stretches of P values, the last one 1; empty for other kinds.
    k : int
    flags : tuple of str
    """

    beta: float
    se: float
    ci_lb: float
    ci_ub: float
    stat: float
    p: float
    tau2: float
    se_tau2: float
    delta: np.ndarray
    se_delta: np.ndarray
    log_likelihood: float
    LRT: float
    LRT_df: int
    LRT_p: float
    LRT_tau2: float
    LRT_tau2_p: float
    tops: tuple[Top, ...]
    unselected: Fit
    kind: str
    alternative: str
    method: str
    steps: tuple[float, ...]
    k: int
    flags: tuple[str, ...]


def selection_model(
    yi: ArrayLike,
    vi: ArrayLike,
    *,
    keep: ArrayLike | None = None,
    kind: str = "stepfun",
    steps: Sequence[float] = (0.025,),
    alternative: str = "greater",
    method: str = "ML",
    level: float = 0.95,
) -> SelectionModel:
    r"""Selection model of one data set, by maximum likelihood.

    Parameters
    ----------
    yi, vi : array-like of float, shape (k,)
        Effects and sampling variances.
    keep : array-like of bool, shape (k,), optional
        Which studies count.
    kind : {"stepfun", "beta", "halfnorm", "negexp", "logistic", "power"}
        The weight :math:`w(p)` of a P value: a step function (Vevea and Hedges 1995,
        https://doi.org/10.1007/BF02294384), a beta density (Citkowicz and Vevea 2017,
        https://doi.org/10.1037/met0000119), or a curve that falls from one (Preston, Ashby and Smyth 2004,
        https://doi.org/10.1111/j.1365-2753.2003.00457.x).
    steps : sequence of float
        For ``stepfun``: where the weight changes, between 0 and 1.
    alternative : {"greater", "less", "two-sided"}
        Which effects have small P values: large ones, small ones (negative), or both.
    method : {"ML", "EE"}
        With or without a between-study variance.
    level : float

    Returns
    -------
    SelectionModel

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`; for a batch; for an unknown kind, alternative or method; for fewer studies than
        parameters; for a stretch of P values without any study, whose weight nothing tells.

    Notes
    -----
    .. math:: f(y_i) = \frac{w(p_i) \, \phi(y_i; \mu, v_i + \tau^2)}{\int w(p(y)) \, \phi(y; \mu, v_i + \tau^2) \, dy}

    The likelihood can have several tops and edges (tau2 = 0, no selection): it is climbed from several starts, and
    parameters on an edge are held there for the standard errors. The integral is exact for steps and a quadrature to
    about twelve digits otherwise.

    A selection model has strong assumptions and needs many studies; below 10 a flag advises against it.

    Examples
    --------
    >>> yi = [0.5, 0.45, 0.6, 0.3, 0.8, 0.4, 0.1, -0.1, 0.2, 0.35]
    >>> vi = [0.04, 0.03, 0.05, 0.02, 0.1, 0.03, 0.02, 0.08, 0.05, 0.06]
    >>> model = selection_model(yi, vi)
    >>> round(model.beta, 3), model.delta.round(3).tolist(), model.LRT_df
    (0.169, [1.0, 0.1], 1)
    """
    _check(kind, alternative, method)
    unselected = fit(yi, vi, keep=keep, method=method, test="z", level=level)
    if unselected.shape != ():
        raise PoolingError(f"selection model: expected one data set, found a batch of shape {unselected.shape}")
    y, v = _kept(unselected)
    family = _family(kind, steps)
    _check_studies(y, v, family, alternative, 1 + len(family.null) + unselected.has_tau2)
    unit, turn = float(np.sqrt(np.median(v))), -1.0 if alternative == "less" else 1.0
    likelihood = SelectionLikelihood.of(turn * y / unit, v / unit**2, family, alternative == "two-sided")
    homogeneous = climb(likelihood)
    tops = climb(likelihood, held=homogeneous[0]) if unselected.has_tau2 else homogeneous
    return SelectionModel(
        **_estimates(tops[0], unselected, turn, unit, family),
        **_ratio_tests(tops[0], homogeneous[0], unselected, family, unit),
        tops=tuple(Top(*_in_units(top, turn, unit), top.value - len(y) * np.log(unit)) for top in tops),
        unselected=unselected,
        kind=kind,
        alternative=alternative,
        method=method,
        steps=tuple(family.edges.tolist()) if isinstance(family, Steps) else (),
        k=len(y),
        flags=_flags(tops, unselected, likelihood),
    )


def _check(kind: str, alternative: str, method: str) -> None:
    given = ((kind, tuple(FAMILIES), "kind"), (alternative, ALTERNATIVES, "alternative"), (method, METHODS, "method"))
    for value, names, what in given:
        if value not in names:
            raise PoolingError(f"{what}: expected one of {', '.join(names)}, found {value!r}")


def _kept(unselected: Fit) -> tuple[np.ndarray, np.ndarray]:
    effects = unselected.effects
    keep = slice(None) if effects.keep is None else effects.keep
    return effects.yi[keep], effects.vi[keep]


def _family(kind: str, steps: Sequence[float]) -> WeightFunction:
    if kind != "stepfun":
        return FAMILIES[kind]()
    edges = np.unique(np.append(np.asarray(steps, dtype=float), 1.0))
    if len(edges) < 2 or not (edges[0] > 0.0 and edges[-1] == 1.0):
        raise PoolingError(f"steps: expected numbers between 0 and 1, found {tuple(steps)}")
    return Steps(edges)


def _check_studies(y: np.ndarray, v: np.ndarray, family: WeightFunction, alternative: str, parameters: int) -> None:
    """Refuse data that say nothing on some parameter."""
    if len(y) < parameters:
        raise PoolingError(f"selection model: expected at least {parameters} studies, one a parameter, found {len(y)}")
    if not isinstance(family, Steps):
        return
    counts = _studies_in_stretches(y, v, family, alternative)
    if not counts.all():
        low, high = (np.append(0.0, family.edges)[np.flatnonzero(counts == 0)[0] + end] for end in (0, 1))
        raise PoolingError(f"steps: expected studies in every stretch, found none with {low:g} < p <= {high:g}")


def _studies_in_stretches(y: np.ndarray, v: np.ndarray, family: Steps, alternative: str) -> np.ndarray:
    turn = -1.0 if alternative == "less" else 1.0
    p = p_value(turn * y / np.sqrt(v), alternative == "two-sided")
    return np.bincount(family.stretch(p), minlength=family.count + 1)


def _in_units(top: Summit, turn: float, unit: float) -> tuple[float, float]:
    """Mean and tau2 in the units of the effects and on their side."""
    return float(turn * unit * top.parameters[0]), float(unit**2 * top.parameters[1])


def _estimates(top: Summit, unselected: Fit, turn: float, unit: float, family: WeightFunction) -> dict[str, object]:
    """Estimates with their standard errors, Wald limits and test; no error for what lies on an edge."""
    beta, tau2 = _in_units(top, turn, unit)
    error = np.where(top.held, np.nan, np.sqrt(np.diag(top.covariance)))
    se, half = float(unit * error[0]), float(unit * error[0] * -ndtri((1.0 - unselected.level) / 2.0))
    first = [1.0] if isinstance(family, Steps) else []
    return {
        "beta": beta,
        "se": se,
        "ci_lb": beta - half,
        "ci_ub": beta + half,
        "stat": beta / se,
        "p": float(2.0 * ndtr(-abs(beta / se))),
        "tau2": tau2,
        "se_tau2": float(unit**2 * error[1]) if unselected.has_tau2 else 0.0,
        "delta": np.append(first, top.parameters[2:]),
        "se_delta": np.append(np.zeros(len(first)), error[2:]),
    }


def _ratio_tests(
    top: Summit, homogeneous: Summit, unselected: Fit, family: WeightFunction, unit: float
) -> dict[str, float]:
    """Log-likelihood in the units of the effects, and both likelihood ratio tests."""
    y, v = _kept(unselected)
    spread = v + (unselected.tau2 if unselected.has_tau2 else 0.0)
    without = -0.5 * np.sum((y - unselected.beta) ** 2 / spread + np.log(2.0 * np.pi * spread))
    value = top.value - len(y) * np.log(unit)
    selection, tau2 = max(0.0, 2.0 * (value - without)), max(0.0, 2.0 * (top.value - homogeneous.value))
    tested, df = unselected.has_tau2, len(family.null)
    return {
        "log_likelihood": float(value),
        "LRT": float(selection),
        "LRT_df": df,
        "LRT_p": float(chi2_upper(selection, df)),
        "LRT_tau2": float(tau2) if tested else float("nan"),
        "LRT_tau2_p": float(chi2_upper(tau2, 1)) if tested else float("nan"),
    }


def _flags(tops: list[Summit], unselected: Fit, likelihood: SelectionLikelihood) -> tuple[str, ...]:
    top, family, y = tops[0], likelihood.family, likelihood.y
    thin = isinstance(family, Steps) and np.bincount(family.stretch(likelihood.p)).min() < FEWEST_PER_STEP
    cautions = {
        Caution.FEW_STUDIES: np.bool_(unselected.k < FEWEST_ADVISED),
        Caution.TAU2_ZERO: np.bool_(top.held[1] and unselected.has_tau2),
        Caution.FLAT: np.isnan(top.covariance).any(),
        Caution.EDGE: top.held[2:].any() | top.held[0],
        Caution.FEW_PER_STEP: np.bool_(thin),
        Caution.SEVERAL_TOPS: np.bool_(len(tops) > 1),
        Caution.BEYOND_EFFECTS: (top.parameters[0] < y.min()) | (top.parameters[0] > y.max()),
    }
    return stated(cautions, ())
