"""Every reasonable way to pool, fitted in one batch: which estimates there are, and which of them are different.

A *row set* is one choice of reports; an :class:`~cellclaims.question.Analysis` is one way to pool them.
Each row set under each analysis is a *specification*; specifications whose fits do not differ are one *line*.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from cellclaims import meta
from cellclaims.errors import PoolingError
from cellclaims.meta.quantiles import normal_quantile
from cellclaims.question import Analysis

if TYPE_CHECKING:
    import pandas as pd

#: What a specification gives, on the scale that readers know (percent for counts).
NUMBERS = ("beta", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "I2")
#: Fits that agree to this many decimals of the readers' scale are one: finer than anything that is printed.
DECIMALS = 6
#: Quadrature points of the binomial-normal model where none are given.
NODES = 21
#: What a model pools: counts, or effects with their variances.
POOLS = {
    "binomial_normal": ("events", "n"),
    "beta_binomial": ("events", "n"),
    "normal": ("yi", "vi"),
    "bayes": ("yi", "vi"),
}


@dataclass(frozen=True, eq=False)
class SpecificationCurve:
    """Distinct fits, in the order of their estimates, and which specification gives which.

    Attributes
    ----------
    lines : DataFrame
        One line per distinct fit: ``row_set`` and ``analysis`` (the first with this fit), k, :data:`NUMBERS`, the facts
        of the row set, ``counted``, and ``finding`` on request.
    line_of : ndarray of int, shape (s, a)
        The line of each row set under each analysis.
    """

    lines: pd.DataFrame
    line_of: NDArray[np.intp]


Decide = Callable[["pd.DataFrame"], Sequence[str]]


def specification_curve(
    data: Mapping[str, ArrayLike],
    keep: ArrayLike,
    analyses: Sequence[Analysis],
    *,
    facts: pd.DataFrame | None = None,
    decide: Decide | None = None,
    level: float = 0.95,
) -> SpecificationCurve:
    """Fit every row set under every analysis, and count what differs.

    Parameters
    ----------
    data : mapping of array-like, shape (m,)
        ``events`` and ``n``, or ``yi`` and ``vi``, of every report that any row set holds.
    keep : array-like of bool, shape (s, m)
        The row sets.
    analyses : sequence of Analysis
        Each with its model; the normal model with method and test, the binomial-normal model with its number of nodes,
        the Bayesian one with the scale of its prior. A measure of counts (PLO, PAS, PFT) says on which scale the normal
        model pools them; without one the effects are pooled as given.
    facts : DataFrame, s rows, optional
        What else is known of each row set; its columns are handed on to the lines.
    decide : callable, optional
        decide(lines): the finding of each line.
    level : float

    Returns
    -------
    SpecificationCurve

    Raises
    ------
    PoolingError
        If no analysis is given, one has no model or prior, the columns are missing, or the shapes do not fit.

    Examples
    --------
    Two choices of reports under two tests; without spread between reports the tests differ and the estimators do not.

    >>> data = {"yi": [-0.5, -0.7, -0.6], "vi": [0.1, 0.1, 0.1]}
    >>> ways = [Analysis(model="normal", method=m, test=t) for m in ("REML", "DL") for t in ("z", "adhoc")]
    >>> curve = specification_curve(data, [[True, True, True], [True, False, True]], ways)
    >>> curve.line_of.shape, len(curve.lines), curve.lines.beta.round(2).tolist()
    ((2, 4), 4, [-0.6, -0.6, -0.55, -0.55])
    """
    values, keep = _checked(data, keep, analyses)
    packed = _packed(values, keep)
    fitted = np.stack([_numbers(packed, analysis, level) for analysis in analyses], axis=1)
    lines, line_of = _distinct(fitted, keep.sum(axis=1), facts)
    counted = np.array([analysis.counted for analysis in analyses])
    lines["counted"] = np.bincount(line_of.ravel(), np.tile(counted, len(keep)), len(lines)) > 0
    if decide is not None:
        lines["finding"] = list(decide(lines))
    return SpecificationCurve(lines, line_of)


def _checked(
    data: Mapping[str, ArrayLike], keep: ArrayLike, analyses: Sequence[Analysis]
) -> tuple[dict[str, NDArray], NDArray]:
    keep = np.asarray(keep, dtype=bool)
    values = {name: np.asarray(column, dtype=float) for name, column in data.items()}
    if not analyses:
        raise PoolingError("analyses: expected at least one, found none")
    for analysis in analyses:
        if analysis.model not in POOLS:
            raise PoolingError(f"model: expected one of {', '.join(POOLS)}, found {analysis.model!r}")
        if analysis.model == "bayes" and analysis.prior is None:
            raise PoolingError("prior: expected the scale of a half-normal prior for the model bayes, found none")
    needed = {name for a in analyses for name in (("events", "n") if a.is_of_counts else POOLS[a.model])}
    if missing := sorted(needed - set(values)):
        raise PoolingError(f"data: expected {', '.join(sorted(needed))}; missing {', '.join(missing)}")
    shapes = {name: values[name].shape for name in sorted(needed)}
    if keep.ndim != 2 or any(shape != keep.shape[1:] for shape in shapes.values()):
        raise PoolingError(f"keep: expected shape (s, m) with m reports as in data, found {keep.shape} and {shapes}")
    return values, keep


@dataclass(frozen=True, eq=False)
class _Packed:
    """Row sets side by side: the kept reports of each to the left, so that no fit carries reports of another."""

    values: dict[str, NDArray]
    keep: NDArray[np.bool_]


def _packed(values: dict[str, NDArray], keep: NDArray[np.bool_]) -> _Packed:
    width = max(int(keep.sum(axis=1).max(initial=0)), 1)
    place = np.argsort(~keep, axis=1, kind="stable")[:, :width]
    return _Packed({name: column[place] for name, column in values.items()}, np.take_along_axis(keep, place, axis=1))


def _numbers(packed: _Packed, analysis: Analysis, level: float) -> NDArray:
    """:data:`NUMBERS` of every row set, shape (s, 6)."""
    fit = {"binomial_normal": _binomial, "beta_binomial": _beta_binomial, "normal": _normal, "bayes": _bayes}
    with np.errstate(invalid="ignore", over="ignore"):
        return np.stack(
            [np.broadcast_to(part, len(packed.keep)) for part in fit[analysis.model](packed, analysis, level)], 1
        )


def _binomial(packed: _Packed, analysis: Analysis, level: float) -> list[NDArray]:
    """Median setting in percent; the normal quantile in place of t where asked for."""
    events, n = packed.values["events"], packed.values["n"]
    fit = meta.glmm(events, n, keep=packed.keep, level=level, nodes=analysis.nodes or NODES)
    low, high = np.asarray(fit.ci_lb), np.asarray(fit.ci_ub)
    if analysis.test == "z":
        pooled, half = np.isfinite(fit.beta) & (np.asarray(fit.k) > 1), normal_quantile(level) * np.asarray(fit.se)
        low, high = np.where(pooled, fit.beta - half, low), np.where(pooled, fit.beta + half, high)
    logits = (fit.beta, low, high, fit.pi_lb, fit.pi_ub)
    return [*(100.0 * expit(np.asarray(part)) for part in logits), np.asarray(fit.I2)]


def _beta_binomial(packed: _Packed, analysis: Analysis, level: float) -> list[NDArray]:
    """Mean over settings in percent; no prediction interval, as none carries the doubt about a and b."""
    fit = meta.beta_binomial(packed.values["events"], packed.values["n"], keep=packed.keep, level=level)
    unknown = np.full(len(packed.keep), np.nan)
    shown = [100.0 * expit(np.asarray(part)) for part in (fit.beta, fit.ci_lb, fit.ci_ub)]
    return [*shown, unknown, unknown, unknown]


def _normal(packed: _Packed, analysis: Analysis, level: float) -> list[NDArray]:
    yi, vi, back = _effects(packed, analysis)
    fit = meta.fit(yi, vi, keep=packed.keep, method=analysis.method, test=analysis.test, level=level)
    return [*(back(np.asarray(getattr(fit, name))) for name in NUMBERS[:5]), np.asarray(fit.I2)]


def _bayes(packed: _Packed, analysis: Analysis, level: float) -> list[NDArray]:
    """Posterior mean and central intervals; fewer than two reports are shown and not pooled, as everywhere."""
    shown = _normal(packed, replace(analysis, model="normal", method="EE", test="z"), level)
    yi, vi, back = _effects(packed, analysis)
    some = packed.keep.sum(axis=1) > 1
    if some.any():
        prior = meta.Prior(analysis.prior)
        fit = meta.bayes(yi[some], vi[some], prior, keep=packed.keep[some], level=level)
        for part, name in zip(shown, NUMBERS[:5], strict=False):
            part[some] = back(getattr(fit, name))
    return [*shown[:5], np.full(len(some), np.nan)]


Back = Callable[[NDArray], NDArray]


def _effects(packed: _Packed, analysis: Analysis) -> tuple[NDArray, NDArray, Back]:
    """Effects, their variances, and the way back to the readers' scale."""
    if analysis.measure not in BACK:
        return packed.values["yi"], packed.values["vi"], np.array
    events, n = packed.values["events"], packed.values["n"]
    yi, vi = meta.escalc(analysis.measure, xi=events, ni=n)
    kept = np.maximum(packed.keep.sum(axis=1), 1)
    typical = kept / np.where(packed.keep, 1.0 / n, 0.0).sum(axis=1).clip(min=1e-300)
    return yi, vi, lambda values: 100.0 * BACK[analysis.measure](values, typical)


def from_arcsine(values: NDArray, typical: NDArray) -> NDArray:
    """Proportion of ``asin(sqrt(p))``; beyond the ends the end."""
    return np.sin(np.clip(values, 0.0, np.pi / 2)) ** 2


def from_double_arcsine(values: NDArray, typical: NDArray) -> NDArray:
    r"""Proportion of Freeman and Tukey's transformation at one ``n`` for all reports, their harmonic mean.

    .. math:: p = \tfrac12 \left(1 - \mathrm{sgn}(\cos t)
       \sqrt{1 - \left(\sin t + \frac{\sin t - 1/\sin t}{n}\right)^2}\right), \quad t = 2y

    Miller 1978, https://doi.org/10.1080/00031305.1978.10479283. Kept to reproduce printed numbers: reports of other
    sizes get another answer (Schwarzer and others 2019, https://doi.org/10.1002/jrsm.1348).

    Examples
    --------
    >>> y = meta.escalc("PFT", xi=[3.0], ni=[10.0]).yi
    >>> float(from_double_arcsine(y, np.array([10.0])).round(12)[0])
    0.3
    """
    low, high = meta.escalc("PFT", xi=np.stack([0.0 * typical, typical]), ni=np.stack([typical, typical])).yi
    t = 2.0 * np.clip(values, low, high)
    sine = np.sin(t)
    root = np.sqrt(np.clip(1.0 - (sine + (sine - 1.0 / sine) / typical) ** 2, 0.0, None))
    return 0.5 * (1.0 - np.sign(np.cos(t)) * root)


#: Measure of counts -> its way back, given the values and one n a row set.
BACK: dict[str, Callable[[NDArray, NDArray], NDArray]] = {
    "PLO": lambda values, typical: expit(values),
    "PAS": from_arcsine,
    "PFT": from_double_arcsine,
}


def _distinct(fitted: NDArray, k: NDArray, facts: pd.DataFrame | None) -> tuple[pd.DataFrame, NDArray]:
    """Lines in the order of their estimates, and the line of each (row set, analysis)."""
    import pandas as pd

    sets, ways, _ = fitted.shape
    codes = np.zeros((sets, 0)) if facts is None else np.stack([pd.factorize(facts[c])[0] for c in facts], 1)
    known = np.concatenate([k[:, None], codes], axis=1)
    key = np.concatenate([fitted.round(DECIMALS).reshape(sets * ways, -1), np.repeat(known, ways, axis=0)], axis=1)
    _, first, line_of = np.unique(np.where(np.isnan(key), -9e99, key), axis=0, return_index=True, return_inverse=True)
    row_set, analysis = np.divmod(first, ways)
    lines = pd.DataFrame(fitted.reshape(sets * ways, -1)[first], columns=list(NUMBERS))
    lines.insert(0, "k", k[row_set])
    lines.insert(0, "analysis", analysis)
    lines.insert(0, "row_set", row_set)
    if facts is not None:
        lines = lines.assign(**{name: facts[name].to_numpy()[row_set] for name in facts})
    return lines, line_of.reshape(sets, ways)
