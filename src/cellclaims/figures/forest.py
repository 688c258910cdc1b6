"""Forest plot of one pool or of several, beside what is advertised and what registries report."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cellclaims.errors import DataError
from cellclaims.reporting.rounding import interval, number, p_value

from .interval_rows import Column, Mark, Row, Scale, marks_of, natural_limits, ratio_ticks, ticks_within
from .interval_table import draw

if TYPE_CHECKING:
    import pandas as pd

    from cellclaims.pools import Pool

#: From the analysis scale to the scale that is shown.
SHOWN: dict[str, Callable[[float], float]] = {
    "identity": lambda value: value,
    "logit": lambda value: 50.0 * (1.0 + math.tanh(value / 2.0)),
    "log": math.exp,
}

#: Digits after the point, value of no effect and heading of the effect column, by analysis scale.
DECIMALS = {"identity": 2, "logit": 1, "log": 2}
NULL = {"identity": 0.0, "logit": None, "log": 1.0}
EFFECT = {"identity": "Effect", "logit": "Percent", "log": "Ratio"}

#: How the choices in a pool's settings are called in a figure.
METHODS = {
    "EE": "common effect", "DL": "random effects, DerSimonian-Laird", "PM": "random effects, Paule-Mandel",
    "ML": "random effects, ML", "REML": "random effects, REML",
}  # fmt: skip
MODELS = {
    "binomial_normal": "binomial-normal model, maximum likelihood", "beta_binomial": "beta-binomial model",
    "mantel_haenszel": "Mantel-Haenszel", "peto": "Peto", "multilevel": "multilevel model, REML",
    "bayes_normal": "Bayesian normal model", "bayes_binomial_normal": "Bayesian binomial-normal model",
}  # fmt: skip

#: Models whose heterogeneity is a spread on the logit and nothing else.
BINOMIAL = ("binomial_normal", "beta_binomial", "bayes_binomial_normal")
TESTS = {
    "z": "normal interval", "t": "t interval", "knha": "Hartung-Knapp interval",
    "adhoc": "Hartung-Knapp interval, never narrower than the standard one",
}  # fmt: skip

#: Pools of so few reports are labelled wherever they are shown.
FEW = range(2, 5)

#: Letters of the remarks below a figure.
LETTERS = "abcdefghijklmnopqrstuvwxyz"


def count_words(k: int) -> str:
    """How many reports a pool has, and what that means for it.

    Examples
    --------
    >>> [count_words(k) for k in (0, 1, 3, 16)]
    ['no report qualifies', 'one report: shown, not pooled', 'k = 3, few reports', 'k = 16']
    """
    if k == 0:
        return "no report qualifies"
    if k == 1:
        return "one report: shown, not pooled"
    return f"k = {k}, few reports" if k in FEW else f"k = {k}"


def effect_words(estimate: float, low: float, high: float, decimals: int) -> str:
    """An estimate with its interval; without limits the estimate alone; without anything, nothing."""
    if math.isnan(estimate):
        return ""
    words = number(estimate, decimals)
    return words if math.isnan(low + high) else f"{words} ({interval(low, high, decimals)})"


def settings_words(settings: Mapping[str, object]) -> str:
    """The model of a pool in words.

    Examples
    --------
    >>> settings_words({"model": "normal", "method": "REML", "test": "knha"})
    'random effects, REML; Hartung-Knapp interval'
    """
    model = str(settings.get("model", ""))
    method = str(settings.get("method", ""))
    first = MODELS.get(model) or METHODS.get(method) or model.replace("_", " ")
    test = str(settings.get("test", "") or "")
    return "; ".join(part for part in (first, TESTS.get(test, test)) if part)


def statistic(fit: object, name: str) -> float:
    """One number of a fit, NaN where the model has no such number."""
    value = getattr(fit, name, None)
    return math.nan if value is None else float(np.asarray(value))


def heterogeneity_words(pool: Pool) -> str:
    """How much the reports of a pool differ, in the terms that its model has.

    A normal model has τ², I², Q and its P value. A binomial model has τ² on the logit only: its reports have
    no fixed sampling variance to set τ² against.
    """
    tau2, i2, q, q_p = (statistic(pool.fit, name) for name in ("tau2", "I2", "Q", "Q_p"))
    parts = [f"τ² = {number(tau2, 2)}"] if math.isfinite(tau2) else []
    if pool.settings.get("model") in BINOMIAL:
        return f"Heterogeneity: {parts[0]} on the logit" if parts else ""
    if math.isfinite(i2):
        parts.append(f"I² = {number(i2, 0)} %")
    if math.isfinite(q + q_p):
        parts.append(f"Q = {number(q, 1)} on {len(pool.rows) - 1} df ({p_value(q_p)})")
    return f"Heterogeneity: {', '.join(parts)}".replace(" = ", "\u00a0=\u00a0") if parts else ""


def model_notes(pools: Sequence[Pool]) -> list[str]:
    """How the pools were made, said once for all that were made alike."""
    made = [settings_words(pool.settings) for pool in pools if pool.fit is not None and len(pool.rows) > 1]
    return [f"Pooled by {words}." for words in dict.fromkeys(made) if words]


def shown_by(pool: Pool, transform: Callable[[float], float] | None) -> Callable[[float], float]:
    """The function from the pool's analysis scale to the shown one."""
    if pool.scale not in SHOWN:
        raise DataError(f"pool {pool.name!r}: scale expected one of {', '.join(SHOWN)}, found {pool.scale!r}")
    return transform or SHOWN[pool.scale]


def numbers_words(row: pd.Series) -> str:
    """Events of patients ("4/15"), patients alone, or with a control group both groups ("45 v 44")."""
    n, events, controls = (float(row.get(name, math.nan)) for name in ("n", "events", "n_control"))
    if math.isnan(n):
        return ""
    if not math.isnan(events):
        return f"{number(events, 0)}/{number(n, 0)}"
    return number(n, 0) if math.isnan(controls) else f"{number(n, 0)} v {number(controls, 0)}"


def total_words(rows: pd.DataFrame) -> str:
    """The printed counts of a pool together: "106/236", "271", "45 v 44"; nothing where one is missing."""
    counts = [name for name in ("n", "events", "n_control") if name in rows and rows[name].notna().all()]
    return numbers_words(rows[counts].sum()) if "n" in counts else ""


def remark_letters(frames: Sequence[pd.DataFrame]) -> dict[str, str]:
    """A letter for every different note on a row, in order of appearance."""
    notes = [note for rows in frames if "note" in rows for note in rows["note"] if note]
    return {
        note: LETTERS[number % 26] * (number // 26 + 1) for number, note in enumerate(dict.fromkeys(notes))
    }


def study_row(
    row: pd.Series,
    to_shown: Callable[[float], float],
    decimals: int,
    letters: Mapping[str, str],
    heaviest: float,
) -> Row:
    """One report of a pool as a line of the figure."""
    estimate, low, high = (to_shown(float(row.get(name, math.nan))) for name in ("yi", "ci_lb", "ci_ub"))
    letter = letters.get(str(row.get("note", "") or ""), "")
    weight = float(row.get("weight", math.nan)) if heaviest < 100.0 else math.nan
    months = float(row.get("months", math.nan))
    cells = {
        "numbers": numbers_words(row),
        "detail": str(row.get("detail", "") or ""),
        "months": "" if math.isnan(months) else number(months, 0),
        "effect": effect_words(estimate, low, high, decimals),
        "weight": "" if math.isnan(weight) else number(weight, 1),
    }
    label = f"{row['label']} [{letter}]" if letter else str(row["label"])
    return Row("study", label, cells, estimate, low, high, weight / heaviest)


def pooled_rows(pool: Pool, to_shown: Callable[[float], float], decimals: int, name: str) -> list[Row]:
    """The lines below a pool's reports: diamond, prediction, heterogeneity; or why there are none."""
    k = len(pool.rows)
    if k < 2 or pool.fit is None:
        return [Row("note", count_words(k) if k < 2 else f"k = {k}: not pooled")]
    beta, low, high = (to_shown(statistic(pool.fit, part)) for part in ("beta", "ci_lb", "ci_ub"))
    cells = {"numbers": total_words(pool.rows), "effect": effect_words(beta, low, high, decimals)}
    rows = [Row("pooled", f"{name} ({count_words(k)})", cells, beta, low, high)]
    low, high = (to_shown(statistic(pool.fit, part)) for part in ("pi_lb", "pi_ub"))
    if math.isfinite(low + high):
        words = f"({interval(low, high, decimals)})"
        rows.append(Row("prediction", "Prediction for a new setting", {"effect": words}, low=low, high=high))
    else:
        rows.append(Row("note", "Prediction for a new setting: too few reports"))
    words = heterogeneity_words(pool)
    return [*rows, Row("note", words)] if words else rows


def pool_rows(
    pool: Pool, to_shown: Callable[[float], float], decimals: int, letters: Mapping[str, str]
) -> list[Row]:
    """The reports of a pool and what they come to."""
    heaviest = float(pool.rows["weight"].max()) if "weight" in pool.rows else math.nan
    reports = [study_row(row, to_shown, decimals, letters, heaviest) for _, row in pool.rows.iterrows()]
    return reports + pooled_rows(pool, to_shown, decimals, "Pooled")


def benchmark_rows(table: pd.DataFrame, title: str, decimals: int) -> list[Row]:
    """Figures from elsewhere, under their own heading; the table is on the shown scale already."""
    rows = [Row("heading", title)]
    for _, line in table.iterrows():
        estimate, low, high = (float(line.get(name, math.nan)) for name in ("estimate", "ci_lb", "ci_ub"))
        detail = str(line.get("detail", "") or "")
        cells = {"numbers": detail, "effect": effect_words(estimate, low, high, decimals)}
        rows.append(Row("benchmark", str(line["label"]), cells, estimate, low, high))
    return rows


def columns_for(rows: Sequence[Row], scale: str, level: float, headings: Mapping[str, str]) -> list[Column]:
    """The columns that hold any words, in their order; the month only where the reports differ in it."""
    percent = number(100 * level, 0)
    counts = "Events/n" if any("/" in row.cells.get("numbers", "") for row in rows) else "Patients"
    every = [
        Column("months", headings.get("months", "Month")),
        Column("numbers", headings.get("numbers", counts)),
        Column("detail", headings.get("detail", "Cells v control"), ha="left"),
        Column("effect", headings.get("effect", f"{EFFECT[scale]}\n({percent} % CI)"), "right"),
        Column("weight", headings.get("weight", "Weight\n(%)"), "right"),
    ]
    months = {row.cells["months"] for row in rows if row.cells.get("months")}
    shown = every if len(months) > 1 else every[1:]
    return [column for column in shown if any(row.cells.get(column.key) for row in rows)]


def scale_for(
    rows: Sequence[Row], scale: str, marks: Sequence[Mark], label: str, favours: tuple[str, str] | None,
    limits: tuple[float, float] | None,
) -> Scale:  # fmt: skip
    """The axis: 0 to 100 for percentages, powers for ratios, else what the rows need."""
    null = NULL[scale]
    if scale == "logit":
        limits = limits or (0.0, 100.0)
    elif scale == "log":
        limits = limits or log_limits(rows, marks, null)
    else:
        limits = limits or natural_limits(rows, marks, null)
    ticks = ratio_ticks(limits) if scale == "log" else ticks_within(limits)
    decimals = max((len(f"{tick:.10g}".partition(".")[2]) for tick in ticks), default=0)
    words = [number(tick, 0 if scale == "log" and tick >= 1 else decimals) for tick in ticks]
    return Scale(label, limits, ticks, tuple(words), null, scale == "log", favours)


def log_limits(rows: Sequence[Row], marks: Sequence[Mark], null: float) -> tuple[float, float]:
    """Limits of a ratio axis, found on the logarithm."""
    log = [Row(r.kind, r.label, {}, *(math.log(v) for v in (r.estimate, r.low, r.high))) for r in rows]
    low, high = natural_limits(log, [Mark(math.log(m.value), m.label) for m in marks], math.log(null))
    return (math.exp(low), math.exp(high))


def forest(
    pools: Pool | Sequence[Pool], *, axis_label: str, claim: float | Mark | Sequence[Mark] | None = None,
    favours: tuple[str, str] | None = None, transform: Callable[[float], float] | None = None,
    overall: Pool | None = None, benchmarks: pd.DataFrame | None = None,
    benchmarks_title: str = "Reported elsewhere, not pooled here", title: str = "",
    headings: Mapping[str, str] | None = None, decimals: int | None = None,
    limits: tuple[float, float] | None = None, notes: Sequence[str] = (),
) -> Figure:  # fmt: skip
    """Forest plot: every report with its interval and weight, the pooled value, and what it is compared with.

    Parameters
    ----------
    pools : Pool or sequence of Pool
        One pool, or several on one scale, each under its title as a heading. Of ``rows`` the columns label,
        yi, ci_lb, ci_ub (analysis scale) are needed; months, events, n, n_control, detail, weight, note are
        shown where they hold anything. Of ``fit`` beta, ci_lb, ci_ub and, where the model has them, pi_lb,
        pi_ub, tau2, I2, Q, Q_p. A pool of one report is shown and not pooled.
    axis_label : str
        Name of the axis with its unit.
    claim : float, Mark or sequence of Mark, optional
        Advertised figure or threshold on the shown scale (30 for 30 %): a dashed line with its words.
    favours : pair of str, optional
        Whom the left and the right side favour.
    transform : callable, optional
        From the analysis scale to the shown one; by default identity, logit to percent, log to ratio.
    overall : Pool, optional
        A pool of all, drawn last without its reports.
    benchmarks : DataFrame, optional
        Rows that are not pooled: label, estimate, ci_lb, ci_ub on the shown scale, detail (optional).
    headings : mapping, optional
        Other headings for the columns months, numbers, detail, effect, weight.
    decimals, limits, notes
        Digits after the point, ends of the axis, sentences below; chosen by the scale if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        No pool, pools on different scales, an unknown scale, or an interval that does not hold its estimate.
    """
    chosen = list(pools) if isinstance(pools, Sequence) else [pools]
    scales = {pool.scale for pool in chosen + ([overall] if overall else [])}
    if len(scales) != 1:
        raise DataError(f"forest: expected pools on one scale, found {sorted(scales) or 'no pool'}")
    to_shown, scale = shown_by(chosen[0], transform), chosen[0].scale
    digits = DECIMALS[scale] if decimals is None else decimals
    letters = remark_letters([pool.rows for pool in chosen])
    rows: list[Row] = []
    for pool in chosen:
        rows += [Row("heading", pool.title)] if len(chosen) > 1 or overall else []
        rows += pool_rows(pool, to_shown, digits, letters)
    if overall:
        rows += pooled_rows(overall, to_shown, digits, overall.title)
    if benchmarks is not None and len(benchmarks):
        rows += benchmark_rows(benchmarks, benchmarks_title, digits)
    marks = marks_of(claim)
    level = float(chosen[0].settings.get("level", 0.95))
    return draw(
        rows, columns_for(rows, scale, level, headings or {}),
        scale_for(rows, scale, marks, axis_label, favours, limits),
        title=title, marks=marks,
        notes=[*model_notes(chosen), *(f"[{letter}] {note}" for note, letter in letters.items()), *notes],
    )  # fmt: skip
