"""Summary of findings: one line a question, the result with and without cells, and how sure it is."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pandas as pd

from cellclaims import pools
from cellclaims.appraisal import Certainty, Step, certainty_of_pool
from cellclaims.evidence import Evidence
from cellclaims.pools import Pool
from cellclaims.protocol import Protocol
from cellclaims.reporting.rounding import interval, number
from cellclaims.reporting.tables import Table, table
from cellclaims.selection import Question

#: Level -> how GRADE words an answer of that certainty (Santesso and others 2020,
#: https://doi.org/10.1016/j.jclinepi.2019.10.014).
VERBS = {"high": "change", "moderate": "probably change", "low": "may change"}
FULL, EMPTY = "⊕", "○"


@dataclass(frozen=True)
class Finding:
    """One line of a summary of findings: what was asked, the result with and without cells, and how sure it is.

    ``effect`` is the comparison where a randomised control counts the outcome, else the result within the arms that got
    cells; ``certainty`` is that of ``effect``. ``without`` is None where no randomised control counts the outcome.
    """

    title: str
    population: str
    effect: Pool
    with_cells: Pool
    without: Pool | None
    certainty: Certainty

    @property
    def pools(self) -> list[Pool]:
        """Every pool of the line once, the effect first."""
        known = {id(p): p for p in (self.effect, self.with_cells, self.without) if p is not None}
        return list(known.values())


def finding(
    evidence: Evidence,
    protocol: Protocol,
    question: Question,
    name: str,
    title: str,
    match: Mapping[str, Any] | None = None,
) -> Finding:
    """The answer to one question with its certainty: against untreated arms where randomised reports count the outcome.

    Randomised and other reports are never one comparison unless the question names its designs.

    ``match`` holds the recorded grades of :class:`cellclaims.protocol.Protocol` for what the answer is held against;
    without it the question is its own and nothing is indirect.
    """
    if question.estimand == "most_favourable":
        title = f"{title} (most favourable report)"
    measured = question.outcome == "hba1c"
    compare, within = (pools.difference, pools.change) if measured else (pools.risk_difference, pools.proportion)
    people = " or ".join(protocol["eligibility"]["populations"][p] for p in question.population)
    randomised = question if question.designs else replace(question, designs=("rct",))
    effect = compare(evidence, protocol, randomised, f"{name}_difference", f"{title}: cells minus control")
    if effect.k:
        others = set(evidence.studies.study_id) - set(effect.rows.study_id)
        same = replace(randomised, exclude=tuple(sorted(others | set(question.exclude))))
        with_cells, without = (
            within(evidence, protocol, replace(same, arms=arms), f"{name}_{arms}", f"{title}: {words}")
            for arms, words in (("cells", "with cells"), ("control", "without cells"))
        )
    else:
        effect = with_cells = within(evidence, protocol, question, f"{name}_cells", title)
        without = None
    rated = certainty_of_pool(effect, match or {}, protocol, evidence.judgements)
    return Finding(title, people, effect, with_cells, without, rated)


def certainty_words(level: str) -> str:
    """A level of certainty with its four marks.

    >>> certainty_words("low")
    '⊕⊕○○ low'
    """
    filled = ("very low", "low", "moderate", "high").index(level) + 1
    return f"{FULL * filled}{EMPTY * (4 - filled)} {level}"


def summary_of_findings(findings: Sequence[Finding]) -> Table:
    """Every question with its reports and patients, the result without and with cells, the difference and how sure."""
    lines = [
        {
            "outcome": f.title,
            "population": f.population,
            "reports": float(f.effect.k),
            "patients": _patients(f.effect),
            "without cells": "no randomised control" if f.without is None else _result(f.without),
            "with cells": _result(f.with_cells),
            "difference": _difference(f),
            "certainty": certainty_words(f.certainty.level),
            "what takes it down": _steps_down(f.certainty),
        }
        for f in findings
    ]
    return table(pd.DataFrame(lines), "Summary of findings, with 95 % intervals")


def _patients(pool: Pool) -> float:
    return float(pool.rows.n.sum() + pool.rows.n_control.fillna(0).sum())


def _result(pool: Pool) -> str:
    """The result within arms: patients in 100, or the mean change."""
    if pool.fit is None:
        return "not printed"
    low, high = (pool.back(float(limit)) for limit in (pool.fit.ci_lb, pool.fit.ci_ub))
    if pool.measure == "MC":
        return f"{number(float(pool.fit.beta))} ({interval(low, high)}) points"
    counted = f"{pool.rows.events.sum():g} of {pool.rows.n.sum():g}"
    return f"{_of_100(pool.back(float(pool.fit.beta)))} ({interval(100 * low, 100 * high, 0)}); {counted}"


def _of_100(share: float) -> str:
    return f"{number(100 * share, 0)} in 100"


def _difference(found: Finding) -> str:
    pool = found.effect
    if pool.fit is None:
        return "no report"
    if found.without is None:
        return "none can be given"
    value, low, high = (float(x) for x in (pool.fit.beta, pool.fit.ci_lb, pool.fit.ci_ub))
    if pool.measure == "MD":
        how = "; ".join(dict.fromkeys(d for d in pool.rows.detail if d))
        return f"{number(value)} ({interval(low, high)}) points{', ' * bool(how)}{how}"
    limits = interval(100 * low, 100 * high, 0)
    return f"{number(abs(100 * value), 0)} {'more' if value > 0 else 'fewer'} in 100 ({limits})"


def _steps_down(certainty: Certainty) -> str:
    """Start and steps down, each with the first part of its reason and a word where nobody judged it."""
    down = [step for step in certainty.steps if step.step]
    parts = [f"{s.domain} {number(s.step, 0)} ({_who(s)}{with_minus(re.split('[;:]', s.reason)[0])})" for s in down]
    return f"from {certainty.start}: {', '.join(parts) or 'nothing'}"


def _who(step: Step) -> str:
    return "default: " if step.judged_by.startswith("default") else ""


def with_minus(text: str) -> str:
    """Computed reasons in print: a hyphen before a number is a minus sign.

    >>> with_minus("the interval, -1.10 to -0.24, of a two-sided test")
    'the interval, −1.10 to −0.24, of a two-sided test'
    """
    return re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)


def findings_in_words(findings: Sequence[Finding]) -> Table:
    """Every answer as GRADE words it."""
    lines = [{"outcome": f"{f.title}, {f.population}", "in words": _in_words(f)} for f in findings]
    return table(pd.DataFrame(lines), "The same in words")


def _in_words(found: Finding) -> str:
    """One answer; the verb carries the certainty, and a very low one carries no number."""
    pool, level = found.effect, found.certainty.level
    if pool.fit is None:
        return "No report answers this."
    if found.without is None:
        value = "" if pool.measure == "MC" else f" ({_of_100(pool.back(float(pool.fit.beta)))})"
        sure = "very uncertain" if level == "very low" else f"of {level} certainty"
        return f"No randomised trial reports what happens without cells; the result with cells{value} is {sure}."
    if level == "very low":
        return "Whether cells make the difference is very uncertain."
    return f"Cells {VERBS[level]} it: {_difference(found)}."


def certainty_table(findings: Sequence[Finding]) -> Table:
    """Every step of every answer: domain, levels taken away, reason, and who judged it."""
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
    return table(pd.DataFrame(lines), "Certainty, step by step")


def certainty_alt(findings: Sequence[Finding]) -> str:
    """The certainty profile in words."""
    lines = []
    for f in findings:
        steps = ", ".join(f"{s.domain} {number(s.step, 0)}" for s in f.certainty.steps if s.step) or "no step"
        lines.append(f"{f.title}: starts {f.certainty.start}, {steps}, remains {f.certainty.level}")
    return f"Certainty of each answer, from its start to what remains. {'. '.join(lines)}."
