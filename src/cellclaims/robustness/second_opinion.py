"""Comparison of this engine with statsmodels, as tables of differences.

A mistake in the engine would have to be made twice to stay unseen. What is compared has the same definition on both
sides: the estimators DerSimonian-Laird and Paule-Mandel, the normal interval and that of Hartung and Knapp without a
floor; Clopper-Pearson, Wilson and Newcombe limits. statsmodels has no REML; docs/engine.md says how REML is checked.

It is here, and not in meta, because it says how far a pooled effect depends on a choice: that of the software.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.errors import PoolingError
from cellclaims.meta.binomial_fit import check_counts, clopper_pearson, newcombe, wilson
from cellclaims.meta.effect_sizes import EffectSizes
from cellclaims.meta.fit import Fit, fit_of_mean
from cellclaims.meta.inputs import check_share, per_study

if TYPE_CHECKING:
    import pandas as pd

#: Estimators that both have: name here, name in statsmodels.
ESTIMATORS = {"DL": "dl", "PM": "pm"}
#: statsmodels solves Paule-Mandel's equation to this. Its default of 1e-5 is coarser than what is compared; below 1e-9
#: rounding can make its equation negative, for which it takes tau2 to be zero.
TOLERANCE = 1e-8
#: Columns of a table of differences.
COLUMNS = ("what", "quantity", "here", "statsmodels", "difference", "note")

NEGATIVE = "statsmodels does not set a negative tau2 to zero: its weights differ, nothing to compare"


def second_opinion(
    yi: Fit | EffectSizes | ArrayLike,
    vi: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    level: float | None = None,
) -> pd.DataFrame:
    """Pool the same effects with ``statsmodels.stats.meta_analysis.combine_effects`` and with this engine.

    Parameters
    ----------
    yi, vi : array-like of float, shape (k,)
        Effects and sampling variances; or ``yi`` alone: a fit of a single mean, or effect sizes.
    slab : array-like of str, shape (k,), optional
        Labels of the studies, for messages.
    keep : array-like of bool, shape (k,), optional
        Which studies count.
    level : float, optional
        Level of the intervals; 0.95, or that of the fit.

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`: estimator with its interval, quantity, both values, their difference (missing where a
        note says that there is nothing to compare).

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`; for a batch, and for fewer than 2 studies.

    Examples
    --------
    >>> table = second_opinion([0.1, 0.5, 0.9], [0.02, 0.05, 0.04])
    >>> bool(table.difference.abs().max() < 1e-8)
    True
    """
    given = fit_of_mean("second_opinion", yi, vi, slab=slab, keep=keep, method="EE", test="z", level=level)
    if given.shape != ():
        raise PoolingError(f"second_opinion: expected one data set, found a batch of shape {given.shape}")
    if given.k < 2:
        raise PoolingError(f"second_opinion: expected at least 2 studies, found {int(given.k)}")
    from statsmodels.stats.meta_analysis import combine_effects  # late: it takes three seconds

    effects, rows = given.effects, []
    kept = slice(None) if effects.keep is None else effects.keep
    y, v = effects.yi[kept], effects.vi[kept]
    for method, theirs in ESTIMATORS.items():
        with np.errstate(all="ignore"):  # a negative tau2 can make a weight of theirs negative, too
            other = combine_effects(y, v, method_re=theirs, alpha=1.0 - given.level, **_precise(theirs))
            fixed, adjusted = _limits(other, use_t=False), _limits(other, use_t=True)
        negative = float(other.tau2) < 0.0
        plain = fit_of_mean("second_opinion", y, v, method=method, test="z", level=given.level)
        knapp = fit_of_mean("second_opinion", y, v, method=method, test="knha", level=given.level)
        pairs = [
            ("tau2", plain.tau2, other.tau2),
            ("beta", plain.beta, other.mean_effect_re),
            ("se", plain.se, other.sd_eff_w_re),
            ("ci_lb", plain.ci_lb, fixed[0]),
            ("ci_ub", plain.ci_ub, fixed[1]),
        ]
        for name, here, there in pairs:
            rows.append(_line(f"{method}, normal interval", name, here, there, NEGATIVE if negative else ""))
        pairs = [
            ("se", knapp.se, other.sd_eff_w_re_hksj),
            ("ci_lb", knapp.ci_lb, adjusted[0]),
            ("ci_ub", knapp.ci_ub, adjusted[1]),
        ]
        for name, here, there in pairs:
            rows.append(
                _line(f"{method}, Hartung-Knapp without floor", name, here, there, NEGATIVE if negative else "")
            )
    return _table([*rows, _line("all estimators", "Q", given.Q, other.q, "")])


def _precise(method: str) -> dict[str, float]:
    return {"atol": TOLERANCE, "maxiter": 10_000} if method == "pm" else {}


def _limits(other: object, *, use_t: bool) -> tuple[float, float]:
    """Random-effects limits: by the normal distribution, or by Hartung and Knapp's standard error and t."""
    from scipy.special import ndtri, stdtrit

    tail = 1.0 - other.alpha / 2.0
    quantile = stdtrit(other.df, tail) if use_t else ndtri(tail)
    se = other.sd_eff_w_re_hksj if use_t else other.sd_eff_w_re
    return float(other.mean_effect_re - quantile * se), float(other.mean_effect_re + quantile * se)


def second_opinion_of_proportions(
    events: ArrayLike,
    n: ArrayLike,
    control_events: ArrayLike | None = None,
    control_n: ArrayLike | None = None,
    *,
    slab: ArrayLike | None = None,
    level: float = 0.95,
) -> pd.DataFrame:
    """Compare limits of proportions and their differences from ``statsmodels.stats.proportion`` and this engine.

    Parameters
    ----------
    events, n : array-like of whole numbers, shape (k,)
        Events and patients.
    control_events, control_n : array-like of whole numbers, shape (k,), optional
        Those of a control group: Newcombe's limits of the risk difference are compared as well.
    slab : array-like of str, shape (k,), optional
        Labels of the studies.
    level : float

    Returns
    -------
    pandas.DataFrame
        Columns :data:`COLUMNS`, two rows for each study and kind of limits.

    Raises
    ------
    PoolingError
        Counts that cannot be, a level that is none, or only one of ``control_events`` and ``control_n``.

    Examples
    --------
    >>> table = second_opinion_of_proportions([9], [45], [2], [44])
    >>> bool(table.difference.abs().max() < 1e-12)
    True
    """
    level = check_share(level, "level")
    if (control_events is None) != (control_n is None):
        raise PoolingError("expected control_events and control_n together, found one of them")
    counts = {"events": events, "n": n, "control_events": control_events, "control_n": control_n}
    given, labels = per_study(counts, slab)
    x, size, _, _ = check_counts(given["events"], given["n"], None, labels)
    if x.ndim != 1:
        raise PoolingError(f"expected one data set of shape (k,), found shape {x.shape}")
    names = labels or tuple(str(i + 1) for i in range(x.size))
    from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint  # late: three seconds

    rows = []
    for words, method, own in (("Clopper-Pearson", "beta", clopper_pearson), ("Wilson", "wilson", wilson)):
        for i, name in enumerate(names):
            here = own(x[i], size[i], level)
            there = proportion_confint(x[i], size[i], alpha=1.0 - level, method=method)
            rows += _pair(f"{name}: {words}", here, there)
    if control_events is not None:
        c, control = check_counts(given["control_events"], given["control_n"], None, labels)[:2]
        for i, name in enumerate(names):
            four = (x[i], size[i], c[i], control[i])
            there = confint_proportions_2indep(*four, method="newcomb", compare="diff", alpha=1.0 - level)
            rows += _pair(f"{name}: Newcombe", newcombe(*four, level), there)
    return _table(rows)


def _pair(what: str, here: tuple[float, float], there: tuple[float, float]) -> list[tuple]:
    return [_line(what, name, a, b, "") for name, a, b in zip(("ci_lb", "ci_ub"), here, there, strict=True)]


def _line(what: str, quantity: str, here: float, there: float, note: str) -> tuple:
    here, there = float(here), float(there)
    return what, quantity, here, there, np.nan if note else here - there, note


def _table(rows: list[tuple]) -> pd.DataFrame:
    import pandas as pd  # late, as everywhere in this package

    return pd.DataFrame(rows, columns=list(COLUMNS))
