"""Summary of findings: each question with its result, how certain it is, and GRADE's words for it.

Wording: Santesso and others 2020, https://doi.org/10.1016/j.jclinepi.2019.10.014.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlsplit

import pandas as pd

from cellclaims.alternatives import address
from cellclaims.appraisal import DOMAINS, AnsweredQuestion, Certainty, agreement, valid_judgements
from cellclaims.appraisal.certainty import NOT_RATED, OF_CHANGE, OF_PROPORTION
from cellclaims.evidence import Evidence
from cellclaims.pool import Pool, label, link
from cellclaims.reporting.appraisal import with_minus
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Link, Table, interval, number, percent, table

#: Level -> how GRADE words an effect of that certainty, between the treatment and what it changes.
VERBS = {"high": "changes", "moderate": "probably changes", "low": "may change"}
#: Level -> how GRADE words a proportion of that certainty, before its value.
ABOUT = {"high": "", "moderate": "probably ", "low": "perhaps "}
FULL, EMPTY = "⊕", "○"


def certainty_words(level: str) -> str:
    """A level of certainty with its four marks; the words alone where it is not rated.

    >>> certainty_words("low")
    '⊕⊕○○ low'
    >>> certainty_words("not rated")
    'not rated'
    """
    if level == NOT_RATED:
        return level
    filled = ("very low", "low", "moderate", "high").index(level) + 1
    return f"{FULL * filled}{EMPTY * (4 - filled)} {level}"


def certainty_of_words(certainty: Certainty) -> str:
    """A certainty with what it is of, unless that is an effect; or why it is not rated."""
    if certainty.level == NOT_RATED:
        return certainty.why_not if certainty.why_not.startswith(NOT_RATED) else f"{NOT_RATED}: {certainty.why_not}"
    of = {OF_PROPORTION: ", of the proportion", OF_CHANGE: ", of the change"}.get(certainty.of, "")
    return f"{certainty_words(certainty.level)}{of}"


def summary_of_findings(findings: Sequence[AnsweredQuestion], caption: str = "Summary of findings") -> Table:
    """Every question with participants, the result without and with cells, the difference, certainty and its words.

    Proportions are numbers per 100 participants. Two studies are shown one by one.

    Parameters
    ----------
    findings : sequence of AnsweredQuestion
        In the order of the table.
    caption : str
        Above the table; the level of the intervals is added.

    Returns
    -------
    Table
    """
    lines = [
        {
            "outcome": f.title,
            "participants (studies)": f"{number(f.effect.patients, 0)} ({f.effect.k})" if f.effect.k else "0 (0)",
            "without cells": "–" if f.without is None else _side(f, f.without),
            "with cells": "–" if f.with_cells is None else _side(f, f.with_cells),
            "difference": _difference(f),
            "certainty": certainty_of_words(f.certainty),
            "in words": in_words(f),
        }
        for f in findings
    ]
    level = findings[0].pools[0].level_words
    return table(pd.DataFrame(lines), f"{caption}: proportions per 100 participants, {level} intervals")


def _side(found: AnsweredQuestion, pool: Pool) -> str:
    """The result of one side; where only some of the compared studies report it, which number of them."""
    some = 0 < pool.k < found.effect.k
    return f"{pool.k} of {found.effect.k} studies: {_result(pool)}" if some else _result(pool)


def _result(pool: Pool) -> str:
    """The result within arms: per 100 participants with the counts, or the mean change."""
    if not pool.k:
        return "not reported"
    if pool.measure == "PLO" and not pool.rows.events.sum():
        return none_words(pool)
    if not _has_one_answer(pool):
        return "; ".join(f"{row.label}: {_of_row(pool, row)}" for row in pool.rows.itertuples())
    value, low, high = _numbers(pool)
    if pool.measure == "MC":
        return f"{number(value)} ({interval(low, high)}) {unit_words(pool)}"
    counted = f"{pool.rows.events.sum():g} of {pool.rows.n.sum():g}"
    return f"{number(value, 0)} ({interval(low, high, 0)}); {counted}"


def none_words(pool: Pool) -> str:
    """A count of no events: 0 of n, and the upper limit of the study with most participants.

    Parameters
    ----------
    pool : Pool
        Of counts, without an event.

    Returns
    -------
    str
        Per 100 participants.
    """
    row = pool.rows.loc[pool.rows.n.idxmax()]
    whose = "" if pool.k == 1 else f" in the largest study (n = {row.n:g})"
    return f"0 of {pool.rows.n.sum():g}; upper limit {number(pool.shown(float(row.ci_ub)), 0)}{whose}"


def _of_row(pool: Pool, row: object) -> str:
    """One study's own result."""
    value, low, high = (pool.shown(float(x)) for x in (row.yi, row.ci_lb, row.ci_ub))
    if pool.measure == "PLO":
        return f"{number(value, 0)} ({interval(low, high, 0)}); {row.events:g} of {row.n:g}"
    if pool.measure == "RD":
        return _more_or_fewer(value, low, high)
    return f"{number(value)} ({interval(low, high)}) {unit_words(pool)}"


def _has_one_answer(pool: Pool) -> bool:
    return pool.fit is not None and (pool.is_pooled or pool.k == 1)


def _numbers(pool: Pool) -> tuple[float, float, float]:
    return tuple(pool.shown(float(x)) for x in (pool.fit.beta, pool.fit.ci_lb, pool.fit.ci_ub))


def unit_words(pool: Pool) -> str:
    """The unit of a change or difference: points for HbA1c, else none."""
    return "points" if pool.question.outcome == "hba1c" else ""


def _difference(found: AnsweredQuestion) -> str:
    pool = found.effect
    if not pool.k:
        return "no eligible study"
    if not found.is_comparison:
        return "no comparison"
    if not _has_one_answer(pool):
        return "; ".join(f"{row.label}: {_of_row(pool, row)}" for row in pool.rows.itertuples())
    value, low, high = _numbers(pool)
    if pool.measure == "MD":
        return f"{number(value)} ({interval(low, high)}) {unit_words(pool)}".strip()
    return _more_or_fewer(value, low, high)


def _more_or_fewer(value: float, low: float, high: float) -> str:
    """A difference of proportions per 100 participants."""
    word = "more " if value > 0 else "fewer " if value < 0 else ""
    return f"{number(abs(value), 0)} {word}per 100 ({interval(low, high, 0)})"


def in_words(found: AnsweredQuestion) -> str:
    """One answer in GRADE's words; a very low certainty brings no number.

    Parameters
    ----------
    found : AnsweredQuestion

    Returns
    -------
    str
    """
    pool, level = found.effect, found.certainty.level
    if not pool.k:
        return "No eligible study reports this."
    if level == NOT_RATED:
        return "Too few studies were judged for risk of bias to rate how certain this is."
    if found.is_comparison:
        return _effect_in_words(found)
    who = "without cells" if found.with_cells is None else "after cell therapy"
    if pool.measure == "MC":
        if level == "very low" or not _has_one_answer(pool):
            return f"We are very uncertain how much this changes {who}."
        return f"This {ABOUT[level]}changes by {_result(pool)} {who}."
    if level == "very low":
        return f"We are very uncertain how many people have this outcome {who}."
    if not pool.rows.events.sum():
        return f"No events were reported {who}: {none_words(pool)} per 100."
    if not _has_one_answer(pool):
        return f"The studies are not pooled; each has its own result {who}."
    value = _numbers(pool)[0]
    return f"Of 100 people, {ABOUT[level]}{number(value, 0)} have this outcome {who}."


def _effect_in_words(found: AnsweredQuestion) -> str:
    pool, level = found.effect, found.certainty.level
    if level == "very low":
        return "We are very uncertain whether cell therapy makes a difference."
    if not _has_one_answer(pool):
        return "The trials are not pooled; each has its own difference."
    low, high = _numbers(pool)[1:]
    open_question = "; the interval includes no difference" if low <= 0 <= high else ""
    return f"Cell therapy {VERBS[level]} this outcome: {_difference(found)}{open_question}."


def certainty_table(findings: Sequence[AnsweredQuestion]) -> Table:
    """One line per answer: where the rating starts, the step of each domain, and what remains.

    Parameters
    ----------
    findings : sequence of AnsweredQuestion
        In the order of the table.

    Returns
    -------
    Table
    """
    lines = [
        {
            "outcome": f.title,
            "of": f.certainty.of,
            "start": f.certainty.start,
            **{step.domain: number(step.step, 0) for step in f.certainty.steps},
            "certainty": certainty_words(f.certainty.level),
        }
        for f in findings
    ]
    return table(pd.DataFrame(lines), "Certainty of each answer: start, steps and what remains")


def reasons_table(findings: Sequence[AnsweredQuestion]) -> Table:
    """Every step of every answer with its reason and who judged it.

    Parameters
    ----------
    findings : sequence of AnsweredQuestion
        In the order of the table.

    Returns
    -------
    Table
    """
    lines = [
        {
            "outcome": f.title,
            "domain": step.domain,
            "levels": number(step.step, 0),
            "reason": with_minus(step.reason),
            "judged by": step.judged_by,
        }
        for f in findings
        for step in f.certainty.steps
    ]
    return table(pd.DataFrame(lines), "The reason for each step")


def certainties_headline(findings: Sequence[AnsweredQuestion]) -> Sentence:
    """How many of the main questions are answered with which certainty.

    Parameters
    ----------
    findings : sequence of AnsweredQuestion

    Returns
    -------
    Sentence
    """
    answered = [f for f in findings if f.effect.k]
    levels = [f.certainty.level for f in answered]
    order = ("high", "moderate", "low", "very low", NOT_RATED)
    counts = [f"{levels.count(level)} {level}" for level in order if level in levels]
    best = [f.title for f in answered if f.certainty.level in order[:2]]
    above = f"Above low: {'; '.join(best)}." if best else "No answer has a certainty above low."
    silent = len(findings) - len(answered)
    empty = f"No eligible study answers {silent} of {len(findings)} questions." if silent else ""
    if not answered:
        return say(empty)
    return say(f"Certainty of the {len(answered)} main answers: {', '.join(counts)}.", above, empty)


# What the judgements of risk of bias rest on.


@dataclass(frozen=True)
class Folded:
    """Tables that open at a click, one below another; a terminal shows their captions.

    Attributes
    ----------
    tables : tuple of Table
    lead : str
        What the tables are, above them.
    """

    tables: tuple[Table, ...]
    lead: str

    def _repr_html_(self) -> str:
        return f"<p>{escape(self.lead)}</p>" + "".join(one._repr_html_() for one in self.tables)

    def __repr__(self) -> str:
        return "\n".join([self.lead, *(f"  {one.caption} ({len(one.cells)} rows)" for one in self.tables)])


def judgements_read(evidence: Evidence, findings: Sequence[AnsweredQuestion]) -> Folded:
    """What each judgement rests on: for each study behind the answers a table that opens at a click.

    Parameters
    ----------
    evidence : Evidence
    findings : sequence of AnsweredQuestion

    Returns
    -------
    Folded
        One table per study, tool and outcome: domain, judgement, reader, what was read, support and source.
    """
    asked = dict.fromkeys((study, f.effect.question.outcome) for f in findings for study in f.effect.rows.study_id)
    tables: dict[tuple[str, str, tuple[str, ...]], Table] = {}
    for study, outcome in asked:
        rows = valid_judgements(evidence.judgements, study, outcome)
        for tool in DOMAINS:
            mine = [row for row in rows if row.tool == tool]
            if mine:
                key = (study, tool, tuple(row.judgement_id for row in mine))
                tables.setdefault(key, _study_table(evidence, study, tool, mine))
    return Folded(tuple(tables.values()), "What each judgement rests on: choose a study.")


def _study_table(evidence: Evidence, study: str, tool: str, rows: Sequence[object]) -> Table:
    order = [*DOMAINS[tool], "overall"]
    rows = sorted(rows, key=lambda row: (order.index(row.domain), row.reviewer))
    lines = [
        {
            "domain": row.domain,
            "judgement": row.judgement,
            "reader": row.reviewer,
            "read": row.text_read,
            "support": row.support,
            "where": _where(evidence, study, row),
        }
        for row in rows
    ]
    whole = ", ".join(dict.fromkeys(row.judgement for row in rows if row.domain == "overall"))
    caption = f"{label(evidence, study)}, {tool}: overall {whole or 'not judged'}"
    made = table(pd.DataFrame(lines), caption)
    return Table(made.header, made.cells, made.caption, made.right, folded=True)


def _where(evidence: Evidence, study: str, row: object) -> object:
    """The place in the source, linked to a public address; a copy of a page is never a link."""
    words, own = row.locator or "source", address(row.source)
    host = urlsplit(own).hostname or ""
    is_copy = host in set(evidence.copy_hosts.host) or host.replace(".", "").isdigit()
    target = link(evidence, study) if is_copy or not own else own
    return Link(words, target) if target else words


def agreement_words(evidence: Evidence, tool: str) -> str:
    """Which light is which reading, and how often the two agree by one tool, for the note of its figure.

    Parameters
    ----------
    evidence : Evidence
    tool : str

    Returns
    -------
    str
    """
    found = agreement(evidence.judgements)
    parts = []
    for row in found[found.tool == tool].itertuples():
        kappa = "" if math.isnan(row.kappa) else f" (kappa {number(row.kappa)})"
        what = "domain" if row.level == "domains" else "overall"
        parts.append(f"{percent(row.equal, 0)} of {row.pairs} {what} judgements{kappa}")
    agreed = f" They agree in {' and in '.join(parts)} (all judged studies)." if parts else ""
    return f"Left light: reading 1; right light: reading 2.{agreed}"
