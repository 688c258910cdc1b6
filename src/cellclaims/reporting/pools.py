"""Words and small tables made from pools: alternative text, lists of choices, durability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from cellclaims.anomalies import handled
from cellclaims.evidence import Evidence
from cellclaims.overview import DESIGNS
from cellclaims.pool import Pool, label
from cellclaims.protocol import Protocol
from cellclaims.reporting.tables import number, percent, value_words
from cellclaims.selection import EvidenceBase, Question, benchmarks, series

# Sentences made from results, so that prose never holds a typed number.


class Sentence(str):
    """Text that Jupyter shows as a paragraph."""

    def _repr_markdown_(self) -> str:
        return _escape_markdown(self)

    def __repr__(self) -> str:
        return str(self)


def _escape_markdown(text: str) -> str:
    for mark in "\\`*_[]<>|$~":
        text = text.replace(mark, "\\" + mark)
    return text


def say(*parts: str) -> Sentence:
    """Sentences joined into one paragraph.

    >>> say("One.", "", "Two.")
    One. Two.
    """
    return Sentence(" ".join(p for p in parts if p))


def reports_of(k: int) -> str:
    """The number of reports in words: "no report", "one report", "5 reports".

    >>> reports_of(1), reports_of(5)
    ('one report', '5 reports')
    """
    return {0: "no report", 1: "one report"}.get(k, f"{k} reports")


def pooled(pool: Pool, what: str, unit: str = "") -> str:
    """What a pool found, with its k, interval and prediction interval, as one or two sentences.

    ``what`` names the quantity as the subject of the sentence ("insulin independence at 12 months").
    """
    if pool.k == 0:
        return f"{_start(what)}: no report answers this question."
    value = _value(pool, pool.fit.beta, unit)
    limits = _interval(pool, "ci", unit)
    patients = _patients(pool)
    if pool.k == 1:
        return (
            f"{_start(what)}: one report ({pool.rows.label[0]}, {patients}) with {value} ({limits}); shown, not pooled."
        )
    few = " Few reports: read with care." if pool.label else ""
    behind = f"95 % interval {limits}; {reports_of(pool.k)}, {patients}"
    return f"{_start(what)}: {value} ({behind}). {prediction(pool, unit)}{few}"


def prediction(pool: Pool, unit: str = "") -> str:
    """What a new setting may show, or why that cannot be said."""
    if not hasattr(pool.fit, "pi_lb"):
        return ""
    if pool.k < 3 or np.isnan(float(pool.fit.pi_lb)):
        why = "so few reports" if pool.k < 3 else "these counts"
        return f"A new clinic's result cannot be predicted from {why}."
    return f"A new clinic's true value would lie between {_interval(pool, 'pi', unit)} (95 % prediction interval)."


def heterogeneity(pool: Pool) -> str:
    """tau2, I2 and Q of a pool of at least two reports."""
    if pool.k < 2:
        return ""
    parts = [f"τ² = {number(float(pool.fit.tau2), 3)}"] if hasattr(pool.fit, "tau2") else []
    if not np.isnan(pool.fit.I2):
        parts.append(f"I² = {percent(float(pool.fit.I2) / 100, 0)}")
    return f"Between reports: {', '.join(parts)} (k = {pool.k})."


def _patients(pool: Pool) -> str:
    if pool.rows.events.notna().all() and pool.rows.events_control.isna().all():
        return f"{pool.rows.events.sum():g} of {pool.rows.n.sum():g} patients"
    return f"{pool.patients:g} patients"


def _value(pool: Pool, value: float, unit: str) -> str:
    return f"{value_words(pool, float(value))}{' ' + unit if unit else ''}"


def _interval(pool: Pool, which: str, unit: str) -> str:
    low, high = (float(getattr(pool.fit, f"{which}_{end}")) for end in ("lb", "ub"))
    if np.isnan(low):
        return "interval not estimable"
    joint = "and" if which == "pi" else "to"
    return f"{value_words(pool, low)} {joint} {_value(pool, high, unit)}"


def _start(what: str) -> str:
    return what[:1].upper() + what[1:]


def forest_alt(pools: Sequence[Pool], what: str) -> str:
    """A forest plot in words: every pool with its k, value and interval."""
    lines = [f"{p.title}: {_in_words(p)}" for p in pools]
    return f"{what}. {'. '.join(lines)}."


def question_title(question: Question, protocol: Protocol) -> str:
    """A question as the title of its pool: outcome, population, product, designs, month and window."""
    question = question.at(protocol)
    people = " or ".join(protocol["eligibility"]["populations"][p] for p in question.population)
    designs = f", {' or '.join(DESIGNS[d] for d in question.designs)}" if question.designs else ""
    what = f"{protocol.outcome(question.outcome).name}, {protocol.product_name(question.product)}, {people}{designs}"
    return f"{what}, at {question.months:g} ± {question.window:g} months"


def _in_words(pool: Pool) -> str:
    if pool.fit is None:
        return "no report"
    low, high = (value_words(pool, float(getattr(pool.fit, e))) for e in ("ci_lb", "ci_ub"))
    return f"{reports_of(pool.k)}, {value_words(pool, float(pool.fit.beta))} ({low} to {high})"


def matters(pool: Pool, protocol: Protocol) -> str:
    """Whether a difference in HbA1c clears the smallest change that matters, by its interval."""
    least = float(protocol["thresholds"]["hba1c_matters"]["value"])
    if pool.fit is None:
        return ""
    low, high = float(pool.fit.ci_lb), float(pool.fit.ci_ub)
    if high < -least:
        return f"The whole interval lies beyond {least:g} points, the smallest change that matters."
    if low > -least:
        return f"The whole interval lies short of {least:g} points, the smallest change that matters."
    return f"The interval holds both less and more than {least:g} points, the smallest change that matters."


def matters_marks(protocol: Protocol) -> list[tuple[float, str, str]]:
    """The threshold as a mark of a figure: value, words, kind."""
    least = float(protocol["thresholds"]["hba1c_matters"]["value"])
    return [(-least, "smallest change that matters", "threshold")]


def claim_marks(evidence: Evidence, outcome: str) -> list[tuple[float, str, str]]:
    """Advertised percentages of an outcome as marks of a figure, the latest state of each."""
    claims = evidence.claims[(evidence.claims.outcome == outcome) & (evidence.claims.unit == "percent")]
    values = sorted(set(claims.value.dropna()))
    return [(float(v), f"advertised {v:g} %", "advertised") for v in values]


def choices(pools: Mapping[str, Pool], primary: str = "") -> pd.DataFrame:
    """One line a choice for a sensitivity figure: choice, estimate and limits on the shown scale, k, primary."""
    lines = []
    for words, pool in pools.items():
        if pool.fit is not None:
            shown = {
                n: _shown(pool, getattr(pool.fit, f))
                for n, f in (("estimate", "beta"), ("ci_lb", "ci_lb"), ("ci_ub", "ci_ub"))
            }
            lines.append({"choice": words, **shown, "k": float(pool.k), "primary": words == primary})
    return pd.DataFrame(lines)


def _shown(pool: Pool, value: float) -> float:
    return pool.shown(value)


def durability(base: EvidenceBase, question: Question, pools: Sequence[Pool]) -> pd.DataFrame:
    """Reports by month, what registries and curves print, and the pools at their months, for the durability figure.

    Single reports stand without their intervals, which would hide the points; their forest plot has them.
    """
    rows = series(base, question)
    reports = pd.DataFrame(
        {
            "report": [label(base.evidence, s) for s in rows.study_id],
            "kind": "report",
            "months": rows.months,
            "percent": 100 * rows.events / rows.n,
            "ci_lb": np.nan,
            "ci_ub": np.nan,
        }
    )
    return pd.concat([reports, _curves(base, question), _pooled(pools)], ignore_index=True)


def _curves(base: EvidenceBase, question: Question) -> pd.DataFrame:
    """Actuarial percentages over all recipients of a report, and what registries print: beside the pool, never in it.

    Subgroups by arm are left to the report's own table.
    """
    studies = base.evidence.studies[base.evidence.studies.diabetes_type.isin(question.population)]
    mine = set(studies.study_id[studies.intervention_class.isin(base.protocol.classes(question.product))])
    rows = handled(base.evidence, "survival", question.alternative)
    rows = rows[(rows.outcome == question.outcome) & rows.study_id.isin(mine) & (rows.leave == "")]
    actuarial = _beside(base.evidence, rows[(rows.arm_id == "all") & (rows.months > 0)], "actuarial")
    printed = benchmarks(base, question)
    printed = printed[printed.study_id.isin(mine) & printed.months.notna() & printed.percent.notna()]
    return pd.concat([actuarial, _beside(base.evidence, printed.assign(ci_low=np.nan, ci_high=np.nan), "registry")])


def _beside(evidence: Evidence, rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Printed percentages as lines of the durability figure that stand apart from the reports."""
    return pd.DataFrame(
        {
            "report": [f"{label(evidence, s)} ({kind})" for s in rows.study_id],
            "kind": "registry",
            "months": rows.months,
            "percent": rows.percent,
            "ci_lb": rows.ci_low,
            "ci_ub": rows.ci_high,
        }
    )


def _pooled(pools: Sequence[Pool]) -> pd.DataFrame:
    lines = [
        {"report": "pooled", "kind": "pooled", "months": p.question.months, "percent": _shown(p, p.fit.beta)}
        | {"ci_lb": _shown(p, p.fit.ci_lb), "ci_ub": _shown(p, p.fit.ci_ub), "k": float(p.k)}
        for p in pools
        if p.k > 1 and np.isfinite(p.fit.beta)
    ]
    return pd.DataFrame(lines)
