"""Forest plots of one or several pools, with advertised values and results from registries."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from cellclaims.errors import DataError
from cellclaims.figures.intervals import Claim, FigureColumn, FigureRow, draw, marks_of, scale_for
from cellclaims.figures.show import Drawing
from cellclaims.figures.style import text_width
from cellclaims.meta import Fit
from cellclaims.meta.effect_sizes import measure_in_words
from cellclaims.pool import PooledRows
from cellclaims.reporting.pools import facing_alt, forest_alt
from cellclaims.reporting.tables import SECONDARY, interval, number, p_value, scale_words, study_words

if TYPE_CHECKING:
    import pandas as pd

    from cellclaims.pool import Pool


# What a figure says about a pool in words: how many reports, which model, how much they differ, which counts.


#: How the choices in a pool's settings are called in a figure.
METHODS = {
    "EE": "common effect", "DL": "random effects, DerSimonian-Laird", "PM": "random effects, Paule-Mandel",
    "ML": "random effects, ML", "REML": "random effects, REML", "EB": "random effects, empirical Bayes",
}  # fmt: skip
MODELS = {
    "binomial_normal": "binomial-normal, maximum likelihood", "beta_binomial": "beta-binomial",
    "mantel_haenszel": "Mantel-Haenszel", "peto": "Peto's method", "multilevel": "multilevel, REML",
    "bayes_normal": "Bayesian, normal", "bayes_binomial_normal": "Bayesian, binomial-normal",
}  # fmt: skip
TESTS = {
    "z": "normal interval", "t": "t interval", "knha": "Hartung-Knapp interval",
    "adhoc": "Hartung-Knapp interval, never narrower than the standard one",
}  # fmt: skip

#: Models whose heterogeneity is a standard deviation on the logit only.
BINOMIAL = ("binomial_normal", "beta_binomial", "bayes_binomial_normal")

#: Choices under which all reports share one true value, so that there is nothing to predict.
COMMON = ("EE", "MH", "PETO")

#: Letters of the remarks below a figure.
LETTERS = "abcdefghijklmnopqrstuvwxyz"

#: Inches up to which details have a column; longer ones are written below the figure.
DETAIL = 1.3

#: Columns of a pool with counts.
COUNTS = ("events", "n", "events_control", "n_control")


def count_words(pool: Pool) -> str:
    """Return how many studies a pool has, and what that means for it."""
    return (
        pool.label
        if pool.k < pool.fewest or pool.fit is None
        else ", ".join(part for part in (f"k = {pool.k}", pool.label) if part)
    )


def effect_words(estimate: float, low: float, high: float, decimals: int) -> str:
    """Return an estimate with its interval; without limits the estimate alone; without anything, nothing."""
    if math.isnan(estimate):
        return ""
    words = number(estimate, decimals)
    return words if math.isnan(low + high) else f"{words} ({interval(low, high, decimals)})"


def settings_words(settings: Mapping[str, object]) -> str:
    """Return the model of a pool in words.

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
    """Return how much the reports of a pool differ, in the terms that its model has.

    τ², I², Q and its P value; for a binomial model τ² is on the logit, and Q is a likelihood ratio.
    """
    tau2, i2, q, q_p = (statistic(pool.fit, name) for name in ("tau2", "I2", "Q", "Q_p"))
    on_logit = " on the logit" if pool.settings.get("model") in BINOMIAL else ""
    parts = [f"τ² = {number(tau2, 2)}{on_logit}"] if math.isfinite(tau2) else []
    if math.isfinite(i2):
        parts.append(f"I² = {number(i2, 0)}%")
    if math.isfinite(q + q_p):
        parts.append(f"Q = {number(q, 1)} on {pool.k - 1} df ({p_value(q_p)})")
    # lines break between the statistics, never inside one
    return f"Heterogeneity: {', '.join(part.replace(' ', chr(0xA0)) for part in parts)}" if parts else ""


def predicted_by(pool: Pool | Studies) -> object:
    """Return what gives the prediction interval: the Bayesian fit of a pool of the review, else the fit itself."""
    return pool.fit if isinstance(pool, Studies) else pool.bayes


def prediction_words(pool: Pool) -> str:
    """Return why there is no prediction interval; nothing for a model that has none."""
    if str(pool.settings.get("method", "")).upper() in COMMON:
        return ""
    return "Prediction for a similar centre: too few studies" if pool.k < 3 else "No prediction for a similar centre"


def model_notes(pools: Sequence[Pool]) -> list[str]:
    """Return how the pools were made, said once for all that were made alike."""
    pooled = [pool for pool in pools if pool.is_pooled]
    notes = [f"Model: {words}." for words in dict.fromkeys(settings_words(pool.settings) for pool in pooled) if words]
    scales = dict.fromkeys(
        pool.prior_scale
        for pool in pooled
        if not isinstance(pool, Studies) and pool.bayes is not None and math.isfinite(pool.prior_scale)
    )
    return notes + [f"Prediction: Bayesian, tau half-normal with scale {scale:g}." for scale in scales]


def group_words(events: float, n: float) -> str:
    """Events of patients in one group, patients alone where nothing was counted.

    Examples
    --------
    >>> group_words(4.0, 15.0), group_words(math.nan, 45.0), group_words(math.nan, math.nan)
    ('4/15', '45', '')
    """
    if math.isnan(n):
        return ""
    return number(n, 0) if math.isnan(events) else f"{number(events, 0)}/{number(n, 0)}"


def numbers_words(row: pd.Series) -> str:
    """Counts of a report: "4/15", "45", or with a control group "9/45 v 2/44", "45 v 44"."""
    counts = {name: float(row.get(name, math.nan)) for name in COUNTS}
    groups = (group_words(counts["events"], counts["n"]), group_words(counts["events_control"], counts["n_control"]))
    return " v ".join(words for words in groups if words)


def total_words(rows: pd.DataFrame) -> str:
    """Return the total of the reported counts of a pool, in the same form; empty if one is missing."""
    counts = [name for name in COUNTS if name in rows and rows[name].notna().all()]
    return numbers_words(rows[counts].sum()) if "n" in counts else ""


def text_of(value: object) -> str:
    """Return a text cell; nothing where the table has no text (empty or NaN)."""
    return value if isinstance(value, str) else ""


def details_fit(frames: Sequence[pd.DataFrame]) -> bool:
    """Return whether the details of all rows are short enough for a separate column."""
    details = [text_of(detail) for rows in frames if "detail" in rows for detail in rows["detail"]]
    return all(text_width(detail) <= DETAIL for detail in details)


def remarks_of(row: pd.Series, in_column: bool) -> list[str]:
    """Return the footnotes of a row: how its value must be read, and its detail unless there is a column for it.

    For a study of the review each kind of question is named once; the table of the studies has every flag in full.
    """
    flags = [words for words in text_of(row.get("note")).split("; ") if words]
    plain = [words for words in flags if not CODE.match(words) and not words.startswith(STANDS_IN)]
    given = text_of(row.get("co_treatment"))
    marks = {
        SECONDARY: bool(row.get("secondary", False)),
        f"{given} was given with the cells": bool(given),
        "months counted from the last infusion": text_of(row.get("time_origin")) == "last_infusion",
        "medians and means point in different directions": text_of(row.get("direction")) != "",
        QUESTIONABLE: len(plain) < len([words for words in flags if not words.startswith(STANDS_IN)]),
    }
    detail = "" if in_column or "study_id" in row else text_of(row.get("detail"))
    return [*(words for words, is_due in marks.items() if is_due), *([detail] if detail else []), *plain]


#: The code of an anomaly before its words, and how a flag begins that says which number of participants was taken.
CODE, STANDS_IN = re.compile(r"^a\d+: "), "n not printed at this time"
#: What a figure says of a study with a questionable value.
QUESTIONABLE = "questionable value or design: see the table of the studies"


def remark_letters(frames: Sequence[pd.DataFrame], in_column: bool) -> dict[str, str]:
    """Return a letter for every different remark on a row, in order of appearance."""
    remarks = [words for rows in frames for _, row in rows.iterrows() for words in remarks_of(row, in_column)]
    return {words: LETTERS[number % 26] * (number // 26 + 1) for number, words in enumerate(dict.fromkeys(remarks))}


# A pool as lines of a forest plot: its reports, its diamond, its prediction interval, its heterogeneity.


#: Scales that a forest plot can show.
SCALES = ("identity", "logit", "log")


@dataclass(frozen=True)
class View:
    """How pools are shown: the way to the shown scale, digits after the point, letters of the remarks."""

    scale: str
    heading: str
    shown: Callable[[float], float]
    decimals: int
    letters: Mapping[str, str] = field(default_factory=dict)
    details: bool = True

    def three(self, source: Mapping[str, object], names: Sequence[str]) -> list[float]:
        """Return the named numbers of a row or a fit on the shown scale, NaN where there is none."""
        return [self.shown(value) for value in (float(source.get(name, math.nan)) for name in names)]

    def words(self, estimate: float, low: float, high: float) -> str:
        """Return an estimate with its interval in words."""
        return effect_words(estimate, low, high, self.decimals)


def view_of(pools: Sequence[Pool], transform: Callable[[float], float] | None, decimals: int | None) -> View:
    """Return how these pools are shown together; raise an error for pools on different axes."""
    scales = sorted({pool.scale for pool in pools})
    if len(scales) != 1 or scales[0] not in SCALES:
        found = ", ".join(scales) or "no pool"
        raise DataError(f"forest: expected pools on one scale of {', '.join(SCALES)}, found {found}")
    words = scale_words(pools[0])
    frames = [pool.rows for pool in pools]
    fits = details_fit(frames)
    digits = words.decimals if decimals is None else decimals
    return View(scales[0], words.heading, transform or pools[0].shown, digits, remark_letters(frames, fits), fits)


def study_row(row: pd.Series, view: View, heaviest: float, kind: str) -> FigureRow:
    """Return one report of a pool as a line of the figure; a single report has no weight."""
    estimate, low, high = view.three(row, ("yi", "ci_lb", "ci_ub"))
    letters = ", ".join(sorted({view.letters[words] for words in remarks_of(row, view.details)}))
    weight = math.nan if math.isnan(heaviest) else float(row["weight"])
    months = float(row.get("months", math.nan))
    numbers, detail = numbers_words(row), text_of(row.get("detail"))
    cells = {
        "numbers": numbers,
        "detail": detail if view.details and detail != numbers else "",
        "months": month_words(months, text_of(row.get("timing"))),
        "effect": view.words(estimate, low, high),
        "weight": "" if math.isnan(weight) else number(weight, 1),
    }
    label = f"{row['label']} [{letters}]" if letters else str(row["label"])
    return FigureRow(kind, label, cells, estimate, low, high, weight / heaviest)


def month_words(months: float, timing: str) -> str:
    """The month of a result; a count whose time is not stated has none.

    >>> month_words(2.8, ""), month_words(12.0, "not_stated"), month_words(math.nan, "")
    ('2.8', 'not stated', '')
    """
    if timing == "not_stated":
        return "not stated"
    return "" if math.isnan(months) else number(months, 0 if months.is_integer() else 1)


def capital(words: str) -> str:
    """Words with a capital first letter."""
    return words[:1].upper() + words[1:]


def level_of(pool: Pool | Studies) -> str:
    """Return the level of a pool's intervals: "95%"."""
    return f"{number(100 * float(pool.settings.get('level', 0.95)), 0)}%"


def pooled_rows(pool: Pool, view: View, name: str, kind: str = "pooled") -> list[FigureRow]:
    """Return the lines below a pool's reports: diamond, prediction, heterogeneity; or why there are none."""
    if not pool.is_pooled:
        return [FigureRow("note", capital(count_words(pool)))]
    found = {part: statistic(pool.fit, part) for part in ("beta", "ci_lb", "ci_ub")}
    found |= {part: statistic(predicted_by(pool), part) for part in ("pi_lb", "pi_ub")}
    beta, low, high = view.three(found, ("beta", "ci_lb", "ci_ub"))
    cells = {"numbers": total_words(pool.rows), "effect": view.words(beta, low, high)}
    rows = [FigureRow(kind, f"{name} ({count_words(pool)})", cells, beta, low, high)]
    low, high = view.three(found, ("pi_lb", "pi_ub"))
    if math.isfinite(low + high):
        words = f"({interval(low, high, view.decimals)})"
        rows.append(
            FigureRow(
                "prediction",
                f"{level_of(pool)} prediction interval for a similar centre",
                {"effect": words},
                low=low,
                high=high,
            )
        )
    else:
        rows.append(FigureRow("note", prediction_words(pool)))
    rows.append(FigureRow("note", heterogeneity_words(pool)))
    return [row for row in rows if row.label]


def pool_rows(pool: Pool, view: View, kind: str = "study") -> list[FigureRow]:
    """Return the reports of a pool and what they come to; ``kind`` is "control" for arms without cells."""
    weighed = "weight" in pool.rows and pool.is_pooled
    heaviest = float(pool.rows["weight"].max()) if weighed else math.nan
    reports = [study_row(row, view, heaviest, kind) for _, row in pool.rows.iterrows()]
    return reports + pooled_rows(pool, view, "Pooled", "control pooled" if kind == "control" else "pooled")


def analysis_rows(pools: Sequence[Pool], title: str, view: View) -> list[FigureRow]:
    """Other analyses of the same studies, one line each, without drawing the studies again."""
    rows = [FigureRow("heading", title)] if pools else []
    for pool in pools:
        label = f"{pool.title} (k = {pool.k})"
        if pool.fit is None:
            words = "; ".join(study_words(pool, view.decimals)) or pool.label
            rows.append(FigureRow("note", f"{label}, not pooled: {words}" if pool.k else f"{pool.title}: {words}"))
            continue
        beta, low, high = view.three({n: statistic(pool.fit, n) for n in LIMITS}, LIMITS)
        cells = {"numbers": total_words(pool.rows), "effect": view.words(beta, low, high)}
        rows.append(FigureRow("analysis" if pool.is_pooled else "benchmark", label, cells, beta, low, high))
    return rows


#: A value and its interval.
LIMITS = ("beta", "ci_lb", "ci_ub")


def benchmark_rows(table: pd.DataFrame, title: str, view: View) -> list[FigureRow]:
    """Figures from elsewhere, under their own heading; the table is on the shown scale already."""
    rows = [FigureRow("heading", title)]
    for _, line in table.iterrows():
        estimate, low, high = (float(line.get(name, math.nan)) for name in ("estimate", "ci_lb", "ci_ub"))
        detail = text_of(line.get("detail"))
        cells = {"numbers": detail, "effect": view.words(estimate, low, high)}
        rows.append(FigureRow("benchmark", str(line["label"]), cells, estimate, low, high))
    return rows


def columns_for(rows: Sequence[FigureRow], view: View, level: float, headings: Mapping[str, str]) -> list[FigureColumn]:
    """Return the columns with text, in order; the month only if the reports differ in it."""
    percent = number(100 * level, 0)
    counts = "Events/n" if any("/" in row.cells.get("numbers", "") for row in rows) else "Participants"
    detail = "Cells v control" if any(" v " in row.cells.get("detail", "") for row in rows) else "Detail"
    every = [
        FigureColumn("months", headings.get("months", "Month")),
        FigureColumn("numbers", headings.get("numbers", counts)),
        FigureColumn("detail", headings.get("detail", detail), ha="left"),
        FigureColumn("effect", f"{headings.get('effect', view.heading)}\n({percent}% CI)", "right"),
        FigureColumn("weight", headings.get("weight", "Weight\n(%)"), "right"),
    ]
    months = {row.cells["months"] for row in rows if row.cells.get("months")}
    shown = every if len(months) > 1 else every[1:]
    return [column for column in shown if any(row.cells.get(column.key) for row in rows)]


#: Scale on which a measure is pooled, where that is not its own; and what its axis is called where it is.
MEASURE_SCALES = {"PLO": "logit"} | dict.fromkeys("OR PETO RR IRR ROM PLN IRLN MNLN VR CVR".split(), "log")
AXES = {"OR": "Odds ratio", "PETO": "Odds ratio", "RR": "Risk ratio", "IRR": "Rate ratio", "ROM": "Ratio of means",
        "PLO": "Percent", "RD": "Risk difference (percentage points)"}  # fmt: skip


@dataclass(frozen=True)
class Studies(PooledRows):
    """A fit as a forest plot reads a pool: its studies as rows, its measure and its scale."""

    fit: Fit
    rows: pd.DataFrame
    measure: str | None
    scale: str
    settings: Mapping[str, object]
    title: str = ""
    few: int = 4
    fewest: int = 2


def studies_of(fit: Fit) -> Studies:
    """Return the data of a forest plot of a fit of own studies; raise an error for batches and moderators."""
    if fit.shape != () or fit.effects.design is not None:
        what = f"a batch of shape {fit.shape}" if fit.shape != () else "one with moderators"
        raise DataError(f"forest: expected one fit of a single mean, found {what}")
    table = fit.studies()
    rows = table[table.kept].rename(columns={"slab": "label"}).drop(columns="kept").reset_index(drop=True)
    scale = MEASURE_SCALES.get(fit.measure, "identity")
    return Studies(fit, rows, fit.measure, scale, {"method": fit.method, "test": fit.test, "level": fit.level})


def axis_of(pool: Pool | Studies) -> str:
    """Return the axis of a measure on the scale that is shown."""
    words = measure_in_words(pool.measure)
    return AXES.get(pool.measure, words[:1].upper() + words[1:])


def listed(pools: Pool | Fit | Sequence[Pool | Fit]) -> list[Pool | Studies]:
    """One pool or several, as a list; a fit of one's own studies among them."""
    every = list(pools) if isinstance(pools, Sequence) else [pools]
    return [studies_of(pool) if isinstance(pool, Fit) else pool for pool in every]


def forest(
    pools: Pool | Fit | Sequence[Pool | Fit], *, axis_label: str = "", claim: Claim = None,
    favours: tuple[str, str] | None = None, transform: Callable[[float], float] | None = None,
    controls: Pool | Sequence[Pool] = (), overall: Pool | None = None, benchmarks: pd.DataFrame | None = None,
    benchmarks_title: str = "Reported elsewhere, not pooled here", title: str = "",
    analyses: Sequence[Pool] = (), analyses_title: str = "Other analyses",
    headings: Mapping[str, str] | None = None, decimals: int | None = None,
    limits: tuple[float, float] | None = None, notes: Sequence[str] = (), what: str = "",
) -> Drawing:  # fmt: skip
    """Draw a forest plot: every report with its interval and weight, the pooled value, and values for comparison.

    Parameters
    ----------
    pools : Pool, Fit or sequence of them
        One pool, or several on one scale, each under its title as a heading. Of ``rows`` the columns label,
        yi, ci_lb, ci_ub (analysis scale) are needed; months, events, n, n_control, detail, weight, note are
        shown if they contain anything. Of ``fit`` beta, ci_lb, ci_ub and, where the model has them, pi_lb,
        pi_ub, tau2, I2, Q, Q_p. A pool of one report is shown and not pooled.
        A :class:`cellclaims.meta.Fit` shows its studies by their labels (``slab``), on the scale of its measure.
    axis_label : str
        Name of the axis with its unit; that of the measure if not given.
    claim : float, Mark or sequence of Mark or (value, label, kind), optional
        Advertised value or threshold on the shown scale (30 for 30%): a dashed line with its label.
    favours : pair of str, optional
        Whom the left and the right side favour.
    transform : callable, optional
        From the analysis scale to the shown one; by default identity, logit to percent, log to ratio.
    controls : Pool or sequence of Pool
        Pools of arms without cells, drawn below with open squares.
    overall : Pool, optional
        A pool of all, drawn last without its reports.
    benchmarks : DataFrame, optional
        Rows that are not pooled: label, estimate, ci_lb, ci_ub on the shown scale, detail (optional).
    analyses, analyses_title : sequence of Pool, str
        Other analyses, drawn below as one line each, without their studies.
    headings : mapping, optional
        Other headings for the columns months, numbers, detail, effect, weight.
    decimals, limits, notes
        Digits after the point, left and right end of the axis (reversed ones reverse it), sentences below; chosen by
        the scale if not given.
    what : str
        What is shown, for the alternative text; the axis label by default.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        No pool, pools on different scales or an unknown one, or an interval that does not include its
        estimate.
    """
    chosen, without = listed(pools), listed(controls)
    every = [*chosen, *without, *([overall] if overall else [])]
    view = view_of(every, transform, decimals)
    rows: list[FigureRow] = []
    for pool, kind in [*((pool, "study") for pool in chosen), *((pool, "control") for pool in without)]:
        rows += [FigureRow("heading", pool.title)] if len(every) > 1 else []
        rows += pool_rows(pool, view, kind)
    rows += pooled_rows(overall, view, overall.title) if overall else []
    rows += analysis_rows(analyses, analyses_title, view)
    if benchmarks is not None and len(benchmarks):
        rows += benchmark_rows(benchmarks, benchmarks_title, view)
    marks, title = marks_of(claim), title or (every[0].title if len(every) == 1 else "")
    level = float(every[0].settings.get("level", 0.95))
    fig = draw(
        rows, columns_for(rows, view, level, headings or {}),
        scale_for(rows, view.scale, marks, axis_label or axis_of(every[0]), favours, limits), title=title, marks=marks,
        notes=[*model_notes(every), *(f"[{letter}] {words}" for words, letter in view.letters.items()), *notes],
    )  # fmt: skip
    return Drawing(fig, forest_alt([*every, *analyses], what or axis_label or axis_of(every[0])))


# Two arms of each study, one below the other.


def facing(
    cells: Pool, controls: Pool, *, axis_label: str, title: str = "", notes: Sequence[str] = (),
    names: tuple[str, str] = ("with cells", "without cells"), claim: Claim = None,
    limits: tuple[float, float] | None = None, what: str = "",
) -> Drawing:  # fmt: skip
    """Each study with its two arms one below the other; nothing is pooled.

    Parameters
    ----------
    cells, controls : Pool
        Results within treated arms and within untreated ones; only studies that report both are drawn.
    axis_label, title, notes, claim, limits, what
        As in :func:`forest`.
    names : pair of str
        What the two arms are called.

    Returns
    -------
    Drawing
    """
    view = view_of([cells, controls], None, None)
    others = {row["study_id"]: row for _, row in controls.rows.iterrows()}
    rows: list[FigureRow] = []
    for _, row in cells.rows.iterrows():
        other = others.get(row["study_id"])
        if other is None:
            continue
        rows.append(FigureRow("heading", heading_of(row, other, view)))
        pair = ((row, "study", names[0]), (other, "control", names[1]))
        rows += [replace(study_row(side, view, math.nan, kind), label=name) for side, kind, name in pair]
    if not rows:
        rows = [FigureRow("note", "No eligible study reports both arms")]
    marks = marks_of(claim)
    level = float(cells.settings.get("level", 0.95))
    columns = columns_for(rows, view, level, {})
    used = {
        letter for row in rows for letter in re.findall(r"\[([a-z, ]+)\]", row.label) for letter in letter.split(", ")
    }
    remarks = [f"[{letter}] {words}" for words, letter in view.letters.items() if letter in used]
    scale = scale_for(rows, view.scale, marks, axis_label, None, limits)
    fig = draw(rows, columns, scale, title=title, marks=marks, notes=[*remarks, *notes])
    return Drawing(fig, facing_alt(cells, controls, what or axis_label, names))


def heading_of(row: pd.Series, other: pd.Series, view: View) -> str:
    """A study with the letters of what has to be known of either arm."""
    words = [one for side in (row, other) for one in remarks_of(side, view.details)]
    letters = ", ".join(sorted({view.letters[one] for one in words}))
    return f"{row['label']} [{letters}]" if letters else str(row["label"])


# Change within arms: with cells, without cells, and as others pooled it, one below the other.


def change(
    cells: Pool | Sequence[Pool], controls: Pool | Sequence[Pool] = (), *, axis_label: str,
    published: pd.DataFrame | None = None, published_title: str = "Pooled by others, not by us",
    claim: Claim = None, title: str = "", notes: Sequence[str] = (),
    limits: tuple[float, float] | None = None, what: str = "",
) -> Drawing:  # fmt: skip
    """Draw the mean change in the treated arms, in the control arms and in other published results.

    Without the second the first cannot be read: patients who enter a trial improve without cells too.

    Parameters
    ----------
    cells, controls : Pool or sequence of Pool
        Pools of changes within arms, as for :func:`cellclaims.figures.forest`; the controls are drawn with
        open squares.
    axis_label : str
    published : DataFrame, optional
        Pooled results of others on the shown scale: label, estimate, ci_lb, ci_ub, detail (optional).
    published_title : str
        Heading of those.
    claim, title, notes, limits, what
        As in :func:`cellclaims.figures.forest`.

    Returns
    -------
    Drawing
    """
    return forest(
        cells, controls=controls, axis_label=axis_label, benchmarks=published, benchmarks_title=published_title,
        claim=claim, title=title, notes=notes, limits=limits, what=what, headings={"effect": "Change"},
    )  # fmt: skip
