"""Words and tables about how sure one can be: checked numbers, facts of design, missing results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pandas as pd

from cellclaims.appraisal import (
    DOMAINS,
    AnsweredQuestion,
    Certainty,
    CertaintyStep,
    agreement,
    design_facts,
    judged_domains,
    overall,
    reviewers_words,
)
from cellclaims.appraisal.check import INCONSISTENT
from cellclaims.appraisal.design_facts import NO_FIGURE, NO_REPORT
from cellclaims.evidence import Evidence
from cellclaims.overview import PRODUCTS
from cellclaims.pool import Pool, label, link
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Link, Table, interval, number, percent, study_words, table
from cellclaims.selection import EvidenceBase

# Summary of findings: one line a question, the result with and without cells, and how sure it is.


#: Level -> how GRADE words an answer of that certainty (Santesso and others 2020,
#: https://doi.org/10.1016/j.jclinepi.2019.10.014).
VERBS = {"high": "change", "moderate": "probably change", "low": "may change"}
FULL, EMPTY = "⊕", "○"


def certainty_words(level: str) -> str:
    """A level of certainty with its four marks.

    >>> certainty_words("low")
    '⊕⊕○○ low'
    """
    filled = ("very low", "low", "moderate", "high").index(level) + 1
    return f"{FULL * filled}{EMPTY * (4 - filled)} {level}"


def summary_of_findings(findings: Sequence[AnsweredQuestion]) -> Table:
    """Every question with its reports and patients, the result without and with cells, the difference and how sure.

    Parameters
    ----------
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.

    Returns
    -------
    Table
    """
    lines = [
        {
            "outcome": f.title,
            "population": f.population,
            "reports": float(f.effect.k),
            "patients": f.effect.patients,
            "without cells": "no randomised control" if f.without is None else _result(f.without),
            "with cells": _result(f.with_cells),
            "difference": _difference(f),
            "certainty": certainty_words(f.certainty.level),
            "what takes it down": _steps_down(f.certainty),
        }
        for f in findings
    ]
    return table(pd.DataFrame(lines), f"Summary of findings, with {findings[0].pools[0].level_words} intervals")


def _result(pool: Pool) -> str:
    """The result within arms: patients in 100, or the mean change."""
    if pool.fit is None:
        return "; ".join(study_words(pool)) or "not reported"
    value, low, high = (pool.shown(float(x)) for x in (pool.fit.beta, pool.fit.ci_lb, pool.fit.ci_ub))
    if pool.measure == "MC":
        return f"{number(value)} ({interval(low, high)}) points"
    counted = f"{pool.rows.events.sum():g} of {pool.rows.n.sum():g}"
    return f"{_of_100(value)} ({interval(low, high, 0)}); {counted}"


def _of_100(percent: float) -> str:
    return f"{number(percent, 0)} in 100"


def _difference(found: AnsweredQuestion) -> str:
    pool = found.effect
    if pool.fit is None:
        return "; ".join(study_words(pool)) or "no study"
    if found.without is None:
        return "none can be given"
    value, low, high = (pool.shown(float(x)) for x in (pool.fit.beta, pool.fit.ci_lb, pool.fit.ci_ub))
    if pool.measure == "MD":
        how = "; ".join(dict.fromkeys(d for d in pool.rows.detail if d))
        return f"{number(value)} ({interval(low, high)}) points{', ' * bool(how)}{how}"
    return f"{number(abs(value), 0)} {'more' if value > 0 else 'fewer'} in 100 ({interval(low, high, 0)})"


def _steps_down(certainty: Certainty) -> str:
    """Start and steps down, each with the first part of its reason and a word where nobody judged it."""
    down = [step for step in certainty.steps if step.step]
    parts = [f"{s.domain} {number(s.step, 0)} ({_who(s)}{with_minus(re.split('[;:]', s.reason)[0])})" for s in down]
    return f"from {certainty.start}: {', '.join(parts) or 'nothing'}"


def _who(step: CertaintyStep) -> str:
    return "default: " if step.judged_by.startswith("default") else ""


def with_minus(text: str) -> str:
    """Computed reasons in print: a hyphen before a number is a minus sign.

    >>> with_minus("the interval, -1.10 to -0.24, of a two-sided test")
    'the interval, −1.10 to −0.24, of a two-sided test'
    """
    return re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)


def findings_in_words(findings: Sequence[AnsweredQuestion]) -> Table:
    """Every answer as GRADE words it.

    Parameters
    ----------
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.

    Returns
    -------
    Table
    """
    lines = [{"outcome": f"{f.title}, {f.population}", "in words": _in_words(f)} for f in findings]
    return table(pd.DataFrame(lines), "The same in words")


def _in_words(found: AnsweredQuestion) -> str:
    """One answer; the verb carries the certainty, and a very low one carries no number."""
    pool, level = found.effect, found.certainty.level
    if pool.fit is None:
        return "No report answers this."
    if found.without is None:
        value = "" if pool.measure == "MC" else f" ({_of_100(pool.shown(float(pool.fit.beta)))})"
        sure = "very uncertain" if level == "very low" else f"of {level} certainty"
        return f"No randomised trial reports what happens without cells; the result with cells{value} is {sure}."
    if level == "very low":
        return "Whether cells make the difference is very uncertain."
    return f"Cells {VERBS[level]} it: {_difference(found)}."


def certainty_table(findings: Sequence[AnsweredQuestion]) -> Table:
    """Every step of every answer: domain, levels taken away, reason, and who judged it.

    Parameters
    ----------
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.

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
    return table(pd.DataFrame(lines), "Certainty, step by step")


def certainty_alt(findings: Sequence[AnsweredQuestion]) -> str:
    """The certainty profile of some findings in words.

    Parameters
    ----------
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.

    Returns
    -------
    str
    """
    return certainties_alt([(f.title, f.certainty) for f in findings])


def certainties_alt(answers: Sequence[tuple[str, Certainty]]) -> str:
    """The certainty profile in words: the title of each answer with its start, its steps and what remains."""
    lines = []
    for title, certainty in answers:
        steps = ", ".join(f"{s.domain} {number(s.step, 0)}" for s in certainty.steps if s.step) or "no step"
        lines.append(f"{title}: starts {certainty.start}, {steps}, remains {certainty.level}")
    return f"Certainty of each answer, from its start to what remains. {'. '.join(lines)}."


def how_sure(findings: Sequence[AnsweredQuestion], summary: pd.DataFrame, trials: pd.DataFrame) -> Sentence:
    """The headline of the appraisal: certainty, who has judged, printed numbers, missing results.

    Parameters
    ----------
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.
    summary : DataFrame
        Checks by kind (:func:`cellclaims.appraisal.consistency_summary`).
    trials : DataFrame
        Registered trials (:func:`cellclaims.appraisal.missing_results`).

    Returns
    -------
    Sentence
    """
    levels = [f.certainty.level for f in findings]
    counts = ", ".join(f"{levels.count(level)} with {level} certainty" for level in dict.fromkeys(levels))
    default = sum(any(s.judged_by.startswith("default") for s in f.certainty.steps) for f in findings)
    unjudged = f"For {default} of {len(findings)} no reviewer has judged the risk of bias; a default stands in."
    tried, wrong, recorded = (
        number(float(summary[column].sum()), 0) for column in ("could_fail", "inconsistent", "recorded")
    )
    silent = float(trials.state.isin([NO_FIGURE, NO_REPORT]).mean())
    return say(
        f"Main questions answered: {counts}.",
        unjudged if default else "",
        f"{wrong} of {tried} checks of printed numbers that could fail did fail; {recorded} are recorded anomalies.",
        f"{percent(silent, 0)} of the registered trials have given no figure in the sources seen.",
    )


# --- printed numbers ----------------------------------------------------------------------------------------------


def checks_table(summary: pd.DataFrame) -> Table:
    """What was checked and how, how often a check could fail at all, and how often it did.

    Parameters
    ----------
    summary : DataFrame
        Checks by kind (:func:`cellclaims.appraisal.consistency_summary`).

    Returns
    -------
    Table
    """
    shown = summary.assign(
        formula=[Link(words, address) if address else words for words, address in
                 zip(summary.formula, summary.source, strict=True)],
        **{name: summary[name].astype(float) for name in ("looked_at", "could_fail", "inconsistent", "recorded")},
    )  # fmt: skip
    columns = {
        "check": "check",
        "kind": "kind",
        "formula": "formula",
        "looked_at": "rows",
        "could_fail": "could fail",
        "inconsistent": "do not fit",
        "recorded": "of these recorded",
    }
    return table(shown, "Checks of printed numbers", columns)


def inconsistent_table(evidence: Evidence, results: pd.DataFrame, recorded: bool) -> Table:
    """Rows that do not fit: those that are recorded as anomalies, or those that nobody has recorded yet.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    results : DataFrame
        Verdict of each check on each row (:func:`cellclaims.appraisal.consistency`).
    recorded : bool
        Those that are recorded as anomalies, or those that are not.

    Returns
    -------
    Table
    """
    rows = results[(results.verdict == INCONSISTENT) & ((results.anomaly_id != "") == recorded)]
    known = set(evidence.studies.study_id)
    shown = pd.DataFrame(
        {
            "report": [Link(label(evidence, s), link(evidence, s)) if s in known else s for s in rows.study_id],
            "row": [f"{t}.csv, row {n}" for t, n in zip(rows.table, rows.line, strict=True)],
            "check": rows.check,
            "printed": rows.printed.map(with_minus),
            "expected": rows.expected.map(with_minus),
            "remark": rows.reason,
            "anomaly": rows.anomaly_id,
        }
    )
    caption = "Numbers that do not fit: recorded" if recorded else "Numbers that do not fit: not recorded, for a reader"
    return table(shown if recorded else shown.drop(columns="anomaly"), caption)


def known_table(known: pd.DataFrame) -> Table:
    """Recorded anomalies by kind: how many, how many a check finds and by which, and why no check finds the others.

    Parameters
    ----------
    known : DataFrame
        Recorded anomalies with the checks that find them.

    Returns
    -------
    Table
    """
    lines = []
    for kind, rows in known.groupby("kind", sort=True):
        checks = "; ".join(dict.fromkeys(c for c in rows.checks if c))
        lines.append({
            "kind of anomaly": kind.replace("_", " "),
            "recorded": float(len(rows)),
            "found": float((rows.found != "no").sum()),
            "found by": checks or "–",
            "why no check finds the others": "; ".join(dict.fromkeys(w for w in rows.why_not if w)) or "–",
        })  # fmt: skip
    frame = pd.DataFrame(lines).sort_values(["found", "kind of anomaly"], ascending=[False, True])
    return table(frame, "Recorded anomalies: which a check can find")


# --- facts of design ----------------------------------------------------------------------------------------------


def named_reports(evidence: Evidence, facts: pd.DataFrame) -> pd.DataFrame:
    """A table of reports under their names instead of their ids, for a figure."""
    return facts.set_axis(_names(evidence, list(facts.index)))


def _names(evidence: Evidence, studies: Sequence[str]) -> list[str]:
    """Names of reports; two different ones of one name get their ids."""
    names = {study: label(evidence, study) for study in dict.fromkeys(studies)}
    alike = [name for name in names.values() if list(names.values()).count(name) > 1]
    return [f"{names[s]} ({s})" if names[s] in alike else names[s] for s in studies]


def design_lights(base: EvidenceBase, findings: Sequence[AnsweredQuestion]) -> tuple[pd.DataFrame, list[str]]:
    """Facts of design, a line for each report of each question that no reviewer judged, and the question of each line.

    The reports of a question are those of its effect; a judged report is in :func:`judgement_lights` instead.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.

    Returns
    -------
    tuple
    """
    lines = [(f.title, study) for f, study in _reports(findings) if not _judged(base.evidence, f, study)]
    studies = [study for _, study in lines]
    facts = design_facts(base, studies)
    return named_reports(base.evidence, facts.loc[studies]), [title for title, _ in lines]


def judgement_lights(
    evidence: Evidence, findings: Sequence[AnsweredQuestion]
) -> dict[str, tuple[pd.DataFrame, list[str]]]:
    """For each tool that was used: judgements by domain, a line for each judged report of each question.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.

    Returns
    -------
    dict
        Tool -> signs (as :func:`design_lights` gives them) and the question of each line; empty while nobody judged.
    """
    found = {}
    for tool in DOMAINS:
        parts = [(f.title, judged_domains(evidence.judgements, [study], tool, f.effect.question.outcome))
                 for f, study in _reports(findings) if _judged(evidence, f, study, tool)]  # fmt: skip
        if parts:
            signs = pd.concat([signs for _, signs in parts])
            found[tool] = named_reports(evidence, signs), [title for title, _ in parts]
    return found


def _reports(findings: Sequence[AnsweredQuestion]) -> Iterator[tuple[AnsweredQuestion, str]]:
    return ((f, study) for f in findings for study in f.effect.rows.study_id)


def _judged(evidence: Evidence, found: AnsweredQuestion, study: str, tool: str = "") -> bool:
    return overall(evidence.judgements, study, found.effect.question.outcome, tool) is not None


#: What a line of the table of agreement is about.
LEVEL_WORDS = {"domains": "domain by domain", "overall": "overall"}
AGREEMENT = "Agreement of the two readings of the risk of bias"


def judged_words(evidence: Evidence, findings: Sequence[AnsweredQuestion]) -> Sentence:
    """How many reports of the main questions reviewers have judged, and who.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.

    Returns
    -------
    Sentence
    """
    judged = {study for f, study in _reports(findings) if _judged(evidence, f, study)}
    every = {study for _, study in _reports(findings)}
    if not judged:
        return say(f"No reviewer has judged any of these {len(every)} reports; appraisal/judgements.csv waits for it.")
    rows = evidence.judgements[evidence.judgements.study_id.isin(judged)]
    return say(f"{len(judged)} of {len(every)} reports have been judged, by {reviewers_words(rows.reviewer)}.")


def agreement_table(evidence: Evidence) -> Table:
    """How often the two readings of the risk of bias agree, by tool: proportion of equal judgements and Cohen's kappa.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    Table
        A line for the domains and one for the overall judgement of each tool.
    """
    found = agreement(evidence.judgements)
    lines = [
        {
            "tool": row.tool,
            "judgements": LEVEL_WORDS[row.level],
            "pairs": float(row.pairs),
            "equal": percent(row.equal, 0),
            "kappa": number(row.kappa) if row.kappa == row.kappa else "–",
        }
        for row in found.itertuples()
    ]
    return table(pd.DataFrame(lines, columns=["tool", "judgements", "pairs", "equal", "kappa"]), AGREEMENT)


def design_table(base: EvidenceBase, findings: Sequence[AnsweredQuestion]) -> Table:
    """Facts of design in words, each report once, with its link.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.

    Returns
    -------
    Table
    """
    facts = design_facts(base, [study for _, study in _reports(findings)], in_words=True)
    studies = list(facts.index)
    names = _names(base.evidence, studies)
    reports = [Link(name, link(base.evidence, study)) for name, study in zip(names, studies, strict=True)]
    return table(facts.assign(report=reports)[["report", *facts.columns]], "Facts of design, as the sources say")


def lights_alt(lights: pd.DataFrame, what: str) -> str:
    """A traffic light in words: for each column how many lines have which sign.

    Parameters
    ----------
    lights : DataFrame
        Signs: a line per report, a column per fact.
    what : str
        What is shown, as the start of the sentence.

    Returns
    -------
    str
    """
    lines, meaning = [], {"+": "+", "-": "\N{MINUS SIGN}", "?": "?"}
    for column in lights.columns:
        signs = lights[column].value_counts()
        counts = ", ".join(f"{signs[sign]} {shown}" for sign, shown in meaning.items() if sign in signs)
        lines.append(f"{column}: {counts or 'none'}")
    return f"{what}, {len(lights)} lines of reports. {'; '.join(lines)}."


# --- missing results ----------------------------------------------------------------------------------------------


#: Group of registered trials whose reports belong to no product of the protocol.
OUTSIDE = "no cells transplanted"


def trial_groups(base: EvidenceBase, trials: pd.DataFrame) -> pd.DataFrame:
    """Registered trials with words for their group (product and type of diabetes) and their label, for a figure.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    trials : DataFrame
        Registered trials (:func:`cellclaims.appraisal.missing_results`).

    Returns
    -------
    DataFrame
    """
    product = {c: base.protocol.product_name(p) for p in PRODUCTS for c in base.protocol.classes(p)}
    # a report in which nothing was transplanted belongs to no product
    product |= {c: OUTSIDE for c in trials["product"].unique() if c and c not in product}
    order = list(dict.fromkeys(product.values()))
    types = base.protocol["eligibility"]["populations"]
    named = trials.assign(
        group=[f"{product[p][:1].upper()}{product[p][1:]}, {types[t]}" if p else "No report in the tables"
               for p, t in zip(trials["product"], trials.diabetes_type, strict=True)],
        label=[label(base.evidence, s) if s else r for s, r in zip(trials.study_id, trials.registry_id, strict=True)],
        rank=[order.index(product[p]) if p else len(order) for p in trials["product"]],
    )  # fmt: skip
    return named.sort_values(["rank", "diabetes_type", "label"], kind="stable").drop(columns="rank")


def missing_table(evidence: Evidence, trials: pd.DataFrame) -> Table:
    """Registered trials that have given no figure: what was planned and enrolled, and whether results are posted.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    trials : DataFrame
        Registered trials (:func:`cellclaims.appraisal.missing_results`).

    Returns
    -------
    Table
    """
    rows = trials[trials.state.isin([NO_FIGURE, NO_REPORT])].sort_values(["state", "registry_id"])
    shown = pd.DataFrame(
        {
            "trial": [Link(label(evidence, s), link(evidence, s)) if s else "–" for s in rows.study_id],
            "registration": rows.registry_id,
            "patients planned": rows.planned,
            "patients enrolled": rows.enrolled,
            "results posted": [p or "not seen" for p in rows.results_posted],
            "state": rows.state,
        }
    )
    return table(shown, "Registered trials without a figure in the sources seen")


def missing_words(trials: pd.DataFrame) -> Sentence:
    """How many registered trials have given no figure, and how many patients are known to be in them.

    Parameters
    ----------
    trials : DataFrame
        Registered trials (:func:`cellclaims.appraisal.missing_results`).

    Returns
    -------
    Sentence
    """
    silent = trials[trials.state.isin([NO_FIGURE, NO_REPORT])]
    enrolled = silent.enrolled.dropna()
    planned = int(trials.planned.notna().sum())
    return say(
        f"Of {len(trials)} registered trials {len(silent)} have given no figure in the sources seen,"
        f" {(silent.state == NO_REPORT).sum()} of them no publication either.",
        f"The {len(enrolled)} of them whose patients are known enrolled {number(enrolled.sum(), 0)}.",
        f"How many patients were planned is known of {planned} registered trials only.",
    )


def missing_alt(trials: pd.DataFrame, states: Sequence[str]) -> str:
    """The figure of missing results in words.

    Parameters
    ----------
    trials : DataFrame
        Registered trials (:func:`cellclaims.appraisal.missing_results`).
    states : sequence of str
        States of the trials, in the order of the figure.

    Returns
    -------
    str
    """
    counts = "; ".join(f"{state}: {(trials.state == state).sum()}" for state in states)
    groups = "; ".join(f"{group}: {len(rows)}" for group, rows in trials.groupby("group", sort=False))
    return f"Registered trials by how far their numbers have come. {counts}. Trials in each group: {groups}."
