"""Tables and sentences on how far a pool depends on single studies, on size of studies and on the software."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cellclaims.appraisal.certainty import participants_of, regression_on_size
from cellclaims.appraisal.refits import as_effects, by_year, without_each
from cellclaims.pool import Pool
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import MISSING, Table, interval, number, p_value, table
from cellclaims.robustness import second_opinion, second_opinion_of_proportions
from cellclaims.robustness.influence import Subsets


def _decimals(pool: Pool) -> int:
    return 0 if pool.measure in ("PLO", "RD") else 2


def _value(pool: Pool, row: object) -> str:
    if math.isnan(row.estimate):
        return MISSING
    digits = _decimals(pool)
    return f"{number(row.estimate, digits)} ({interval(row.low, row.high, digits)})"


def leave_one_out_table(pools: Sequence[Pool]) -> Table:
    """Each pool, and the study whose absence moves it down and up most.

    Parameters
    ----------
    pools : sequence of Pool

    Returns
    -------
    Table
        Pools with fewer than four studies say so.
    """
    lines = []
    for pool in pools:
        found = without_each(pool)
        line = {"pool": pool.title, "k": float(pool.k)}
        if found.empty:
            few = "fewer than four studies" if pool.k < 4 else "not pooled"
            lines.append({**line, "all studies": _all(pool), "lowest without one": few, "highest without one": few})
            continue
        low, high = found.loc[found.estimate.idxmin()], found.loc[found.estimate.idxmax()]
        lines.append({**line, "all studies": _all(pool),
                      "lowest without one": f"{_value(pool, low)} without {low.label}",
                      "highest without one": f"{_value(pool, high)} without {high.label}"})  # fmt: skip
    return table(pd.DataFrame(lines), "Leave one out: what a single study does to each answer")


def _all(pool: Pool) -> str:
    if not pool.is_pooled:
        return pool.label
    estimate, low, high = (pool.shown(float(x)) for x in (pool.fit.beta, pool.fit.ci_lb, pool.fit.ci_ub))
    digits = _decimals(pool)
    return f"{number(estimate, digits)} ({interval(low, high, digits)})"


def refit_marks(pool: Pool) -> pd.DataFrame:
    """The lines of a figure of one pool: all studies, without each in turn, and one more at a time by year.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    DataFrame
        As :func:`cellclaims.figures.estimates` takes it, with ``studies``; empty where nothing is pooled.
    """
    columns = ["group", "kind", "label", "studies", "estimate", "low", "high"]
    if not pool.is_pooled:
        return pd.DataFrame(columns=columns)
    estimate, low, high = (pool.shown(float(x)) for x in (pool.fit.beta, pool.fit.ci_lb, pool.fit.ci_ub))
    every = pd.DataFrame([("All studies", "primary", "Pooled", f"{pool.k}", estimate, low, high)], columns=columns)
    parts = [every]
    for group, found in (
        ("Without each study", without_each(pool)),
        ("As published, one more at a time", by_year(pool)),
    ):
        shown = found.assign(group=group, kind="study", studies=[f"{k}" for k in found.k])
        parts.append(shown[columns].astype({"estimate": float, "low": float, "high": float}))
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def influential_words(pool: Pool, names: Sequence[str]) -> Sentence:
    """Which studies the diagnostics of influence mark, on the effects of a pool.

    Parameters
    ----------
    pool : Pool
    names : sequence of str
        Labels of the influential studies.

    Returns
    -------
    Sentence
    """
    found = ", ".join(names) if names else "no study"
    return say(f"{pool.title}: the diagnostics mark {found} as influential (k = {pool.k}).")


def gosh_words(pool: Pool, subsets: Subsets) -> Sentence:
    """What all subsets of a pool's studies give.

    Parameters
    ----------
    pool : Pool
    subsets : Subsets

    Returns
    -------
    Sentence
    """
    usable = np.asarray(subsets.fit.k) >= 2
    values = np.array([pool.shown(float(x)) for x in np.quantile(np.asarray(subsets.fit.beta)[usable], [0.025, 0.975])])
    i2 = np.quantile(np.asarray(subsets.fit.I2)[usable], [0.025, 0.975])
    how = "All" if subsets.complete else "A sample of"
    model = "normal effects on the logit, REML: another model than the pool" if pool.scale == "logit" else "REML"
    digits = _decimals(pool)
    return say(
        f"{how} {usable.sum():,} subsets of two studies or more ({model}).",
        f"Of the subsets 95% have a mean from {number(values[0], digits)} to {number(values[1], digits)} and I² from "
        f"{number(i2[0], 0)} to {number(i2[1], 0)}%.",
    )


def small_study_words(pools: Sequence[Pool], fewest: int) -> Sentence:
    """The test for small-study effects of each pool that is large enough, and why the others have none.

    Parameters
    ----------
    pools : sequence of Pool
    fewest : int
        Studies from which on the test is made.

    Returns
    -------
    Sentence
    """
    large = [pool for pool in pools if pool.is_pooled and pool.k >= fewest]
    parts = []
    for pool in large:
        by = "1/n" if pool.measure in ("PLO", "RD") else "the standard error"
        said = p_value(float(regression_on_size(pool).p))
        parts.append(f"{pool.title} (k = {pool.k}): regression on {by}, {said}.")
    others = len(pools) - len(large)
    if others:
        which = "the other answers have" if large else "the answers have"
        parts.append(
            f"No funnel plot is shown where {which} fewer than {fewest} studies: with so few, asymmetry cannot be "
            "told from chance."
        )
    return say(*parts)


def second_opinion_table(pools: Sequence[Pool]) -> Table:
    """The same effects pooled by statsmodels and by this package, by the same estimators, as differences.

    Parameters
    ----------
    pools : sequence of Pool
        Those with fewer than two studies, and risk differences, are left out.

    Returns
    -------
    Table
    """
    parts = []
    for pool in pools:
        if pool.k < 2 or pool.measure == "RD":
            continue
        found = second_opinion(as_effects(pool))
        scale = "logit" if pool.scale == "logit" else "points"
        parts.append(found.assign(pool=f"{pool.title} ({scale})"))
        if pool.measure == "PLO":
            rows = pool.rows
            counts = second_opinion_of_proportions(rows.events, rows.n, slab=list(rows.label))
            parts.append(counts.assign(pool=f"{pool.title} (proportions)"))
    columns = ["pool", "what", "quantity", "this package", "statsmodels", "difference", "note"]
    if not parts:
        return table(pd.DataFrame(columns=columns), "A second opinion by statsmodels")
    every = pd.concat(parts, ignore_index=True)
    shown = pd.DataFrame({
        "pool": every.pool, "what": every.what, "quantity": every.quantity,
        "this package": [number(x, 6) for x in every.here], "statsmodels": [number(x, 6) for x in every.statsmodels],
        "difference": [MISSING if math.isnan(x) else f"{x:.0e}" for x in every.difference], "note": every.note,
    })  # fmt: skip
    return table(shown, "A second opinion by statsmodels: differences")


def second_opinion_words(pools: Sequence[Pool]) -> Sentence:
    """The largest difference from statsmodels, and how many lines have nothing to compare.

    Parameters
    ----------
    pools : sequence of Pool

    Returns
    -------
    Sentence
    """
    found = [second_opinion(as_effects(pool)) for pool in pools if pool.k >= 2 and pool.measure != "RD"]
    if not found:
        return say("No answer has two studies or more whose effects could be compared.")
    every = pd.concat(found)
    worst, lost = every.difference.abs().max(), int(every.difference.isna().sum())
    marked = f"{lost} of {len(every)} lines have nothing to compare, because statsmodels keeps a negative tau²."
    return say(
        f"{len(every) - lost} values by the same estimators (DerSimonian-Laird, Paule-Mandel, Hartung-Knapp without "
        f"floor) differ by {worst:.0e} at most.",
        marked if lost else "",
    )


def funnel_alt(pool: Pool) -> str:
    """A funnel plot in words."""
    n = participants_of(pool)
    return (
        f"Funnel plot of {pool.title}: {pool.k} studies of {n.min():g} to {n.max():g} participants, effects against "
        "their standard errors."
    )


def gosh_alt(pool: Pool, subsets: Subsets) -> str:
    """All subsets in words."""
    return f"All subsets of {pool.title}: I² against the mean of each. {gosh_words(pool, subsets)}"


def influence_alt(pool: Pool, names: Sequence[str]) -> str:
    """Diagnostics of influence in words."""
    return f"Six diagnostics of influence of each study. {influential_words(pool, names)}"
