"""Sentences made from results, so that prose never holds a typed number."""

from __future__ import annotations

import numpy as np

from cellclaims.pools import Pool
from cellclaims.reporting.rounding import number, percent
from cellclaims.reporting.tables import value_words


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
    return f"{pool.rows.n.sum() + pool.rows.n_control.fillna(0).sum():g} patients"


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
