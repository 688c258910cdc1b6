"""Words and tables about how sure one can be: checked numbers, facts of design, missing results."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import pandas as pd

from cellclaims.appraisal import (
    DOMAINS,
    AnsweredQuestion,
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
from cellclaims.pool import label, link
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Link, Table, number, percent, table
from cellclaims.selection import EvidenceBase


def with_minus(text: str) -> str:
    """Computed reasons in print: a hyphen before a number is a minus sign.

    >>> with_minus("the interval, -1.10 to -0.24, of a two-sided test")
    'the interval, −1.10 to −0.24, of a two-sided test'
    """
    return re.sub(r"(?<!\w)-(?=\d)", "\N{MINUS SIGN}", text)


def checks_headline(summary: pd.DataFrame, trials: pd.DataFrame) -> Sentence:
    """How many checks of reported numbers failed, and how many registered trials have given no figure.

    Parameters
    ----------
    summary : DataFrame
        Checks by kind (:func:`cellclaims.appraisal.consistency_summary`).
    trials : DataFrame
        Registered trials (:func:`cellclaims.appraisal.missing_results`).

    Returns
    -------
    Sentence
    """
    tried, wrong, recorded = (
        number(float(summary[column].sum()), 0) for column in ("could_fail", "inconsistent", "recorded")
    )
    silent = float(trials.state.isin([NO_FIGURE, NO_REPORT]).mean())
    return say(
        f"{wrong} of {tried} applicable checks of reported numbers failed; {recorded} are recorded anomalies.",
        f"For {percent(silent, 0)} of the registered trials we found no figure.",
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
        Result of each check on each row (:func:`cellclaims.appraisal.consistency`).
    recorded : bool
        Those that are recorded as anomalies, or those that are not.

    Returns
    -------
    Table
    """
    rows = results[(results.result == INCONSISTENT) & ((results.anomaly_id != "") == recorded)]
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


def judgement_lights(evidence: Evidence, findings: Sequence[AnsweredQuestion]) -> dict[str, pd.DataFrame]:
    """For each tool that was used: judgements by domain, a line for each judged study behind the answers.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    findings : sequence of AnsweredQuestion
        Answered questions, in the order of the table.

    Returns
    -------
    dict
        Tool -> signs, as :func:`cellclaims.appraisal.judged_domains` gives them; empty while nobody judged. A study
        that was judged for several outcomes has a line for each; ``attrs["studies"]`` is the number of studies.
    """
    found = {}
    for tool in DOMAINS:
        lines: dict[tuple[str, tuple[str, ...]], list[str]] = {}
        for f, study in _reports(findings):
            signs = judged_domains(evidence.judgements, [study], tool, f.effect.question.outcome)
            if len(signs):
                lines.setdefault((study, tuple(signs.iloc[0])), []).append(f.outcome)
        if lines:
            studies = [study for study, _ in lines]
            names = _names(evidence, studies)
            names = [
                f"{name}, {outcomes[0]}" if studies.count(study) > 1 else name
                for name, study, outcomes in zip(names, studies, lines.values(), strict=True)
            ]
            columns = [*DOMAINS[tool], "overall"]
            found[tool] = pd.DataFrame([signs for _, signs in lines], index=names, columns=columns)
            found[tool].attrs["studies"] = len(set(studies))
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
    """A traffic light in words: for each column how many readings gave which sign.

    Parameters
    ----------
    lights : DataFrame
        Signs: a line per study, a column per domain; one sign for each reading.
    what : str
        What is shown, as the start of the sentence.

    Returns
    -------
    str
    """
    lines, meaning = [], {"+": "+", "?": "?", "-": "\N{MINUS SIGN}", "x": "×"}
    for column in lights.columns:
        signs = "".join(lights[column])
        counts = ", ".join(f"{signs.count(sign)} {shown}" for sign, shown in meaning.items() if sign in signs)
        lines.append(f"{column}: {counts or 'none'}")
    return f"{what}, {len(lights)} lines of studies. {'; '.join(lines)}."


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
    """How many registered trials have given no figure, and how many participants were planned or enrolled in them.

    Parameters
    ----------
    trials : DataFrame
        Registered trials (:func:`cellclaims.appraisal.missing_results`).

    Returns
    -------
    Sentence
    """
    silent = trials[trials.state.isin([NO_FIGURE, NO_REPORT])]
    size, everyone = trial_size(silent), trial_size(trials)
    return say(
        f"Of {len(trials)} registered trials {len(silent)} have given no figure in the sources seen,"
        f" {(silent.state == NO_REPORT).sum()} of them no publication either.",
        f"They have {number(size.sum(), 0)} of the {number(everyone.sum(), 0)} participants planned or, where the plan"
        f" is not known, enrolled ({int(size.isna().sum())} of them are of unknown size).",
    )


def trial_size(trials: pd.DataFrame) -> pd.Series:
    """Participants planned in each registered trial, where that is not known those enrolled.

    Parameters
    ----------
    trials : DataFrame
        Registered trials (:func:`cellclaims.appraisal.missing_results`).

    Returns
    -------
    Series
        NaN where neither is known.
    """
    return trials.planned.fillna(trials.enrolled)


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
