"""Equal-effects pooling of two groups without a variance for each study: Mantel-Haenszel and Peto.

Each study is a stratum. Sums over strata exist where a single study's ratio does not, so that empty cells need no
half event; a study without any event in both groups has weight zero and stays counted in ``k``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cellclaims.errors import PoolingError
from cellclaims.meta.binomial_fit import plain
from cellclaims.meta.effect_sizes import (
    COLUMNS,
    complete_table,
    escalc,
    fill_empty,
    hypergeometric,
    measure_in_words,
    read_columns,
)
from cellclaims.meta.flags import StratifiedFlag, in_words
from cellclaims.meta.inputs import as_bool, check_share, one_of, per_study
from cellclaims.meta.quantiles import chi2_upper, normal_quantile, normal_two_sided
from cellclaims.meta.result import Estimate

#: Measures that can be stratified, and the columns they need.
STRATIFIED = {"OR": "table", "RR": "table", "RD": "table", "IRR": "rates", "IRD": "rates"}

#: Tests of no difference and of one odds ratio, with their P values.
TESTS = ("CO", "CO_p", "MH", "MH_p", "BD", "BD_p", "TA", "TA_p")


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class StratifiedFit(Estimate):
    """A stratified estimate; numbers for one fit, arrays of the batch's shape otherwise.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub, stat, p : float or ndarray
        By the normal distribution; log scale for ratios.
    Q, Q_p, I2, H2 : float or ndarray
        Squared distances of the ``k_yi`` studies that have an effect, ``k_yi - 1`` degrees of freedom, and what follows
        from them; NaN for one study.
    CO, CO_p, MH, MH_p : float or ndarray
        Cochran's and Mantel-Haenszel's tests of no difference; NaN where a measure has none.
    BD, BD_p, TA, TA_p : float or ndarray
        Breslow and Day's test of one odds ratio, and with Tarone's correction; NaN where a measure has none.
    k, k_yi : int or ndarray of int
        Studies, and those with an effect.
    measure, model : str
    """

    FLAGS = StratifiedFlag

    stat: NDArray | float
    p: NDArray | float
    Q_p: NDArray | float
    CO: NDArray | float
    CO_p: NDArray | float
    MH: NDArray | float
    MH_p: NDArray | float
    BD: NDArray | float
    BD_p: NDArray | float
    TA: NDArray | float
    TA_p: NDArray | float
    k_yi: NDArray | int
    measure: str
    model: str
    method: str = "EE"

    def _title(self) -> str:
        """Return the method."""
        name = {"mantel_haenszel": "Mantel-Haenszel", "peto": "Peto"}[self.model]
        return f"Equal-effects estimate by {name} (k = {self.k})"

    def _scale(self) -> str:
        """Return what the estimate is."""
        return measure_in_words(self.measure)

    def _Q_df(self) -> int:
        return int(self.k_yi) - 1


def mantel_haenszel(
    measure: str = "OR",
    *,
    add: float = 0.5,
    to: str = "only0",
    drop00: bool = True,
    cells_too: bool = False,
    correct: bool = True,
    keep: ArrayLike | None = None,
    level: float = 0.95,
    **columns: ArrayLike,
) -> StratifiedFit:
    """Estimate a common odds ratio, risk ratio or difference, rate ratio or difference by Mantel and Haenszel's method.

    Weights of Mantel and Haenszel (1959, https://doi.org/10.1093/jnci/22.4.719). Standard errors: odds ratio by
    Robins, Breslow and Greenland (1986, https://doi.org/10.2307/2531052), risk ratio and rates by Greenland and
    Robins (1985, https://doi.org/10.2307/2530643), risk difference by Sato (1989, https://doi.org/10.2307/2531784).

    Parameters
    ----------
    measure : {"OR", "RR", "RD", "IRR", "IRD"}
    add, to, drop00
        As in :func:`cellclaims.meta.effect_sizes.escalc`, for the studies' own effects in ``Q``.
    cells_too : bool
        Add to the cells of the estimate as well; by default they are left alone, as the method does not need it.
    correct : bool
        Continuity correction in the tests ``CO`` and ``MH``.
    keep : array-like of bool, shape (..., k), optional
        Which studies count.
    level : float
    **columns : array-like, shape (..., k)
        As in :func:`cellclaims.meta.effect_sizes.escalc`.

    Returns
    -------
    StratifiedFit

    Raises
    ------
    PoolingError
        A measure that is not one of the five, and what ``escalc`` refuses.

    Examples
    --------
    >>> fit = mantel_haenszel("RR", ai=[4, 6], n1i=[123, 306], ci=[11, 29], n2i=[139, 303])
    >>> round(fit.beta, 4), round(fit.se, 4), fit.k
    (-1.3517, 0.3455, 2)
    """
    measure, level = one_of(measure, STRATIFIED, "measure"), check_share(level, "level")
    values, kept = _read(columns, STRATIFIED[measure], keep)
    effects = escalc(measure, add=add, to=to, drop00=drop00, **values)
    cells = _cells(values, STRATIFIED[measure])
    if cells_too:
        cells = _filled(cells, STRATIFIED[measure], add, to)
    cells = tuple(np.where(kept, cell, 0.0) for cell in cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta, variance = ESTIMATES[measure](*cells)
        tests = _tests(measure, cells, beta, correct)
    usable = kept & effects.defined
    return _assemble(beta, variance, effects.yi, effects.vi, kept, usable, tests, measure, "mantel_haenszel", level)


def peto(*, keep: ArrayLike | None = None, level: float = 0.95, **columns: ArrayLike) -> StratifiedFit:
    """Estimate a common odds ratio by Peto's one-step method, for rare events in groups of similar size only.

    ``beta = sum(O - E) / sum(V)`` with the hypergeometric variance V (Yusuf and others 1985,
    https://doi.org/10.1016/S0033-0620(85)80003-7). No cell is ever added to.

    Parameters
    ----------
    keep : array-like of bool, shape (..., k), optional
        Which studies count.
    level : float
    **columns : array-like, shape (..., k)
        ``ai, n1i, ci, n2i`` or ``ai, bi, ci, di``.

    Returns
    -------
    StratifiedFit

    Raises
    ------
    PoolingError
        Columns that are missing or cannot be.

    Examples
    --------
    >>> fit = peto(ai=[4, 6], n1i=[123, 306], ci=[11, 29], n2i=[139, 303])
    >>> round(fit.beta, 4), round(fit.se, 4)
    (-1.2401, 0.2912)
    """
    level = check_share(level, "level")
    values, kept = _read(columns, "table", keep)
    cells = _cells(values, "table")
    expected, variance = hypergeometric(*cells)
    usable = kept & (variance > 0)
    variance = np.where(usable, variance, 0.0)
    gap = np.where(usable, cells[0] - expected, 0.0)
    yi = np.divide(gap, variance, out=np.zeros_like(gap), where=usable)
    vi = np.divide(1.0, variance, out=np.ones_like(gap), where=usable)
    total = np.where(usable.any(-1), variance.sum(-1), np.nan)
    none = dict.fromkeys(TESTS, np.full_like(total, np.nan))
    return _assemble(gap.sum(-1) / total, 1 / total, yi, vi, kept, usable, none, "PETO", "peto", level)


def _read(columns: dict[str, ArrayLike], shape: str, keep: ArrayLike | None) -> tuple[dict[str, NDArray], NDArray]:
    """Checked columns with studies on the last axis, and which of them count."""
    known = set().union(*COLUMNS[shape])
    if not columns or set(columns) - known:
        raise PoolingError(f"expected columns {' or '.join(map(str, COLUMNS[shape]))}, found {sorted(columns)}")
    given, _ = per_study(columns | {"keep": keep})
    keep = given.pop("keep")
    values = read_columns(given)
    first = next(iter(values.values()))
    if first.ndim == 0 or first.shape[-1] == 0:
        raise PoolingError(f"expected at least one study on the last axis, found shape {first.shape}")
    kept = np.ones(first.shape, bool) if keep is None else as_bool(keep)
    try:
        shape_all = np.broadcast_shapes(first.shape, kept.shape)
    except ValueError:
        raise PoolingError(f"keep: expected a shape that fits {first.shape}, found {kept.shape}") from None
    return {name: np.broadcast_to(v, shape_all) for name, v in values.items()}, np.broadcast_to(kept, shape_all)


def _cells(values: dict[str, NDArray], shape: str) -> tuple[NDArray, ...]:
    if shape == "table":
        return complete_table(values)
    return tuple(values[name] for name in COLUMNS["rates"][0])


def _filled(cells: tuple[NDArray, ...], shape: str, add: float, to: str) -> tuple[NDArray, ...]:
    if shape == "table":
        return fill_empty(cells, add, to)
    x1, x2 = fill_empty((cells[0], cells[2]), add, to)
    return x1, cells[1], x2, cells[3]


def _ratio(part: NDArray, whole: NDArray) -> NDArray:
    """``part / whole``, zero for studies that do not count (all cells zero)."""
    return np.divide(part, whole, out=np.zeros_like(part), where=whole > 0)


def _odds_ratio(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> tuple[NDArray, NDArray]:
    n = a + b + c + d
    p, q, r, s = _ratio(a + d, n), _ratio(b + c, n), _ratio(a * d, n), _ratio(b * c, n)
    total_r, total_s = r.sum(-1), s.sum(-1)
    v = (p * r).sum(-1) / total_r**2 + (p * s + q * r).sum(-1) / (total_r * total_s) + (q * s).sum(-1) / total_s**2
    return np.log(total_r / total_s), v / 2


def _risk_ratio(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> tuple[NDArray, NDArray]:
    n1, n2 = a + b, c + d
    n = n1 + n2
    r, s = _ratio(a * n2, n).sum(-1), _ratio(c * n1, n).sum(-1)
    v = (_ratio(n1 * n2 * (a + c), n * n) - _ratio(a * c, n)).sum(-1) / (r * s)
    return np.log(r / s), v


def _risk_difference(a: NDArray, b: NDArray, c: NDArray, d: NDArray) -> tuple[NDArray, NDArray]:
    n1, n2 = a + b, c + d
    f1, f2 = _ratio(n1, n1 + n2), _ratio(n2, n1 + n2)
    weight = _ratio(n1 * n2, n1 + n2).sum(-1)
    beta = (a * f2 - c * f1).sum(-1) / weight
    tilt = (c * f1**2 - a * f2**2 + f1 * f2 * (n2 - n1) / 2).sum(-1)
    spread = (_ratio(a * d, n1 + n2) + _ratio(c * b, n1 + n2)).sum(-1) / 2
    return beta, (beta * tilt + spread) / weight**2


def _rate_ratio(x1: NDArray, t1: NDArray, x2: NDArray, t2: NDArray) -> tuple[NDArray, NDArray]:
    t = t1 + t2
    r, s = _ratio(x1 * t2, t).sum(-1), _ratio(x2 * t1, t).sum(-1)
    return np.log(r / s), _ratio(t1 * t2 * (x1 + x2), t * t).sum(-1) / (r * s)


def _rate_difference(x1: NDArray, t1: NDArray, x2: NDArray, t2: NDArray) -> tuple[NDArray, NDArray]:
    t = t1 + t2
    weight = _ratio(t1 * t2, t).sum(-1)
    beta = (_ratio(x1 * t2, t) - _ratio(x2 * t1, t)).sum(-1) / weight
    return beta, (_ratio(t2, t) ** 2 * x1 + _ratio(t1, t) ** 2 * x2).sum(-1) / weight**2


ESTIMATES = {
    "OR": _odds_ratio,
    "RR": _risk_ratio,
    "RD": _risk_difference,
    "IRR": _rate_ratio,
    "IRD": _rate_difference,
}


def _tests(measure: str, cells: tuple[NDArray, ...], beta: NDArray, correct: bool) -> dict[str, NDArray]:
    """CO, MH, BD, TA with their P values; NaN where the measure has none."""
    tests = dict.fromkeys(TESTS, np.full_like(beta, np.nan))
    if measure == "OR":
        a, b, c, d = cells
        n = a + b + c + d
        expected = _ratio((a + b) * (a + c), n)
        cochran = _ratio((a + b) * (c + d) * (a + c) * (b + d), n**3)
        exact = _ratio(cochran * n, n - 1.0)
        tests["CO"], tests["MH"] = (_score(a - expected, v, correct) for v in (cochran, exact))
        tests["BD"], tests["TA"], df = _homogeneity(a, b, c, d, np.exp(beta))
        tests["BD_p"], tests["TA_p"] = chi2_upper(tests["BD"], df), chi2_upper(tests["TA"], df)
    elif measure == "IRR":
        x1, t1, x2, t2 = cells
        t = t1 + t2
        tests["MH"] = _score(x1 - _ratio((x1 + x2) * t1, t), _ratio((x1 + x2) * t1 * t2, t * t), correct)
    for name in ("CO", "MH"):
        tests[f"{name}_p"] = np.where(np.isnan(tests[name]), np.nan, chi2_upper(np.nan_to_num(tests[name]), 1))
    return tests


def _score(gap: NDArray, variance: NDArray, correct: bool) -> NDArray:
    distance = np.abs(gap.sum(-1))
    if correct:
        distance = np.maximum(distance - 0.5, 0.0)
    return distance**2 / variance.sum(-1)


def _homogeneity(a: NDArray, b: NDArray, c: NDArray, d: NDArray, ratio: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    """Breslow and Day's statistic, Tarone's correction of it, and their degrees of freedom.

    The cell that the common odds ratio expects solves a quadratic with the study's margins (Breslow and Day 1980, eq.
    4.30; Tarone 1985, https://doi.org/10.1093/biomet/72.1.91).
    """
    n1, n2, events = a + b, c + d, a + c
    informative = (events > 0) & (b + d > 0)
    ratio = ratio[..., None]
    p, q = ratio * (n1 + events) + n2 - events, ratio * n1 * events
    # The root between 0 and both margins, in the form that does not cancel as the ratio approaches 1.
    expected = 2 * q / (p + np.sqrt(np.maximum(p * p - 4 * (ratio - 1) * q, 0.0)))
    parts = (expected, n1 - expected, events - expected, n2 - events + expected)
    variance = np.where(informative, 1 / sum(1 / part for part in parts), 0.0)
    gap = np.where(informative, a - expected, 0.0)
    bd = _ratio(gap**2, variance).sum(-1)
    return bd, bd - gap.sum(-1) ** 2 / variance.sum(-1), informative.sum(-1) - 1.0


def _assemble(
    beta: NDArray,
    variance: NDArray,
    yi: NDArray,
    vi: NDArray,
    kept: NDArray,
    usable: NDArray,
    tests: dict[str, NDArray],
    measure: str,
    model: str,
    level: float,
) -> StratifiedFit:
    """Limits, Q and flags, as plain numbers for a single fit."""
    k, k_yi = kept.sum(-1), usable.sum(-1)
    finite = np.isfinite(beta)
    with np.errstate(divide="ignore", invalid="ignore"):
        se = np.where(finite, np.sqrt(variance), np.nan)
        distance = np.where(usable, (yi - beta[..., None]) ** 2 / vi, 0.0)
        q = np.where(finite, distance.sum(-1), np.nan)
        stat = beta / se
        q = np.where(k_yi > 1, q, np.nan)  # one study says nothing of a spread
        h2 = q / np.maximum(k_yi - 1, 1)
        i2 = np.where(h2 > 1, 100 * (1 - 1 / h2), np.where(np.isnan(h2), np.nan, 0.0))
    half = normal_quantile(level) * se
    flags = sum(
        int(flag) * holds
        for flag, holds in {
            StratifiedFlag.NOTHING_KEPT: k == 0,
            StratifiedFlag.SINGLE: k == 1,
            StratifiedFlag.NO_WEIGHT: k_yi < k,
            StratifiedFlag.INFINITE: (k > 0) & ~finite,
        }.items()
    )
    fields = {
        "beta": beta,
        "se": se,
        "ci_lb": np.where(finite, beta - half, np.nan),
        "ci_ub": np.where(finite, beta + half, np.nan),
        "stat": stat,
        "p": normal_two_sided(stat),
        "Q": q,
        "Q_p": np.where(finite & (k_yi > 1), chi2_upper(q, np.maximum(k_yi - 1, 1)), np.nan),
        "I2": np.where(finite, i2, np.nan),
        "H2": np.where(finite, h2, np.nan),
        **tests,
        "k": k,
        "k_yi": k_yi,
        "flags": np.asarray(flags),
    }
    shaped = {name: plain(np.asarray(value)) for name, value in fields.items()}
    if np.ndim(beta) == 0:
        shaped["flags"] = in_words(shaped["flags"], StratifiedFlag)
    return StratifiedFit(**shaped, measure=measure, model=model, level=level)
