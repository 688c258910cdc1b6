"""Words and small tables made from pools: alternative text, lists of choices, durability."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cellclaims import meta
from cellclaims.evidence import Evidence
from cellclaims.overview import DESIGNS
from cellclaims.pool import Pool, label, switch_words
from cellclaims.pool import pooled as pooled_of
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.reporting.tables import (
    MISSING,
    Table,
    caution_words,
    interval,
    interval_name,
    number,
    p_value,
    percent,
    study_words,
    value_words,
)  # fmt: skip
from cellclaims.selection import EvidenceBase, Question, select_levels, window_words

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

    Parameters
    ----------
    *parts : str
        Empty ones drop out.

    Returns
    -------
    Sentence

    Examples
    --------
    >>> say("One.", "", "Two.")
    One. Two.
    """
    return Sentence(" ".join(p for p in parts if p))


def reports_of(k: int) -> str:
    """Return the number of studies in words: "no study", "one study", "two studies", "5 studies".

    >>> reports_of(1), reports_of(5)
    ('one study', '5 studies')
    """
    return {0: "no study", 1: "one study", 2: "two studies"}.get(k, f"{k} studies")


def pooled(pool: Pool, what: str, unit: str = "") -> str:
    """Return what a pool found, with its k, interval and prediction interval, as one or two sentences.

    ``what`` names the quantity as the subject of the sentence ("insulin independence at 12 months").

    Parameters
    ----------
    pool : Pool
    what : str
        What is shown, as the start of the sentence.
    unit : str, optional
        Follows a value.

    Returns
    -------
    str
    """
    if pool.k == 0:
        return f"{_start(what)}: no eligible study."
    if pool.fit is None:
        why = "not pooled" if pool.k < pool.fewest else "no event in any of them" if not pool.rows.events.any() else ""
        shown = "; ".join(study_words(pool))
        lead = ", ".join(words for words in (reports_of(pool.k), why) if words)
        return f"{_start(what)}: {lead} ({pool.level_words} CI of each): {shown}."
    value = _value(pool, pool.fit.beta, unit)
    limits = _interval(pool, pool.fit, "ci", unit)
    patients = _patients(pool)
    if pool.k == 1:
        return f"{_start(what)}: {value} ({pool.level_words} CI {limits}; one study, {pool.rows.label[0]}, {patients})."
    behind = f"{pool.level_words} CI {limits} by {interval_name(pool)}; {reports_of(pool.k)}, {patients}"
    few = " Based on few studies; interpret with caution." if pool.is_few else ""
    cautions = "".join(f" Caution: {words}." for words in caution_words(pool))
    return f"{_start(what)}: {value} ({behind}). {prediction(pool, unit)}{few}{cautions}"


def prediction(pool: Pool, unit: str = "") -> str:
    """Return the prediction interval for a similar centre and the interval of the mean, both Bayesian.

    Empty where nothing is pooled, and for a risk difference, which has no model of the differences between centres.
    """
    if pool.bayes is None:
        return ""
    limits, mean = (_interval(pool, pool.bayes, which, unit) for which in ("pi", "ci"))
    return (
        f"The {pool.level_words} prediction interval for a similar centre is {limits} "
        f"(Bayesian; interval of the mean {mean})."
    )


def heterogeneity(pool: Pool) -> str:
    """tau2, I2 and Q of a pool; empty where nothing is pooled."""
    if not pool.is_pooled:
        return ""
    parts = [f"τ² = {number(pool.tau2, 3)}"] if not np.isnan(pool.tau2) else []
    parts += [f"I² = {percent(pool.I2 / 100, 0)}"] if not np.isnan(pool.I2) else []
    parts += [f"Q = {number(pool.Q, 1)} on {pool.k - 1} df ({p_value(pool.Q_p)})"] if not np.isnan(pool.Q) else []
    return f"Heterogeneity: {', '.join(parts)} (k = {pool.k})."


def _patients(pool: Pool) -> str:
    if pool.rows.events.notna().all() and pool.rows.events_control.isna().all():
        return f"{pool.rows.events.sum():g} of {pool.rows.n.sum():g} participants"
    return f"{pool.patients:g} participants"


def _value(pool: Pool, value: float, unit: str) -> str:
    return f"{value_words(pool, float(value))}{' ' + unit if unit else ''}"


def _interval(pool: Pool, fit: Any, which: str, unit: str) -> str:
    low, high = (float(getattr(fit, f"{which}_{end}")) for end in ("lb", "ub"))
    if np.isnan(low):
        return "interval not estimable"
    return f"{value_words(pool, low)} to {_value(pool, high, unit)}"


def _start(what: str) -> str:
    return what[:1].upper() + what[1:]


def forest_alt(pools: Sequence[Pool], what: str) -> str:
    """Return a forest plot in words: every pool with its k, value and interval.

    Parameters
    ----------
    pools : sequence of Pool
    what : str
        What is shown, as the start of the sentence.

    Returns
    -------
    str
    """
    lines = [": ".join(part for part in (p.title, _in_words(p)) if part) for p in pools]
    return f"{what}. {'. '.join(lines)}."


def facing_alt(cells: Pool, controls: Pool, what: str, names: tuple[str, str]) -> str:
    """A figure of two arms of each study in words.

    Parameters
    ----------
    cells, controls : Pool
    what : str
        What is shown, as the start of the sentence.
    names : pair of str
        What the two arms are called.

    Returns
    -------
    str
    """
    sides = [dict(zip(pool.rows.study_id, study_words(pool), strict=True)) for pool in (cells, controls)]
    lines = [
        f"{sides[0][study]} {names[0]}, {sides[1][study].removeprefix(label_of)} {names[1]}"
        for study, label_of in zip(cells.rows.study_id, cells.rows.label, strict=True) if study in sides[1]
    ]  # fmt: skip
    return f"{what}. {'. '.join(' '.join(line.split()) for line in lines) or 'No eligible study reports both arms'}."


def stamp(base: EvidenceBase, *pools: Pool, paired: bool = False) -> str:
    """What a figure says of itself when it is passed on alone: studies, participants, and the date of the evidence.

    Parameters
    ----------
    base : EvidenceBase
    *pools : Pool
        What the figure shows; the studies of all of them are counted once.
    paired : bool
        Whether the pools are arms of the same studies: those in all of them count, with the participants of each.

    Returns
    -------
    str
    """
    sizes = [
        {row.study_id: row.n + (0.0 if np.isnan(row.n_control) else row.n_control) for row in pool.rows.itertuples()}
        for pool in pools
    ]
    named = set.intersection(*map(set, sizes)) if paired else set().union(*sizes)
    add = sum if paired else max
    people = sum(add(size.get(study, 0.0) for size in sizes) for study in named)
    studies = f"{len(named)} stud{'y' if len(named) == 1 else 'ies'} (k)"
    return f"{studies}, {number(people, 0)} participants (n). Evidence read up to {base.protocol.evidence_date}."


def by_study(pools: Mapping[str, Pool], only: Collection[str]) -> pd.DataFrame:
    """Some studies' own results under several choices, for a sensitivity figure with a heading per study.

    Parameters
    ----------
    pools : mapping of Pool
        By the words of each choice; the first is the review's own.
    only : collection of str
        Ids of the studies to show.

    Returns
    -------
    DataFrame
        Choice, estimate, limits on the shown scale, group (the study), level.
    """
    lines = []
    own = next(iter(pools.values()))
    for study, name in zip(own.rows.study_id, own.rows.label, strict=True):
        for words, pool in pools.items() if study in only else ():
            rows = pool.rows[pool.rows.study_id == study]
            lines += [
                {"choice": words, "group": name, "level": pool.level_words}
                | {
                    n: pool.shown(getattr(row, f))
                    for n, f in (("estimate", "yi"), ("ci_lb", "ci_lb"), ("ci_ub", "ci_ub"))
                }
                for row in rows.itertuples()
            ]
    return pd.DataFrame(lines, columns=["choice", "group", "level", "estimate", "ci_lb", "ci_ub"])


def by_follow_up(pool: Pool, protocol: Protocol) -> Sentence:
    """The studies of a pool by the subgroups of follow-up that the protocol names.

    Parameters
    ----------
    pool : Pool
    protocol : Protocol

    Returns
    -------
    Sentence
        Subgroups under the smallest number that is pooled are listed, without a test of difference.
    """
    limits = protocol["outcomes"][pool.question.outcome].get("subgroups", [])
    shown, words, groups = study_words(pool), [], []
    for low, high in pairwise(limits):
        last = high == limits[-1]
        rows = [i for i, m in enumerate(pool.rows.months) if low <= m < high or (last and m == high)]
        name = f"{low:g} to {'' if last else 'under '}{high:g} months"
        words.append(f"{name}: {'; '.join(shown[i] for i in rows) or 'no study'}.")
        groups.append(rows)
    return say(*words, _difference_of_groups(pool, groups))


def _difference_of_groups(pool: Pool, groups: Sequence[Sequence[int]]) -> str:
    """The test of difference between subgroups, or why there is none."""
    if not groups:
        return ""
    if min(map(len, groups)) < pool.fewest:
        return f"Subgroups of fewer than {pool.fewest} studies are listed, without a test of their difference."
    of = {place: name for name, rows in enumerate(groups) for place in rows}
    rows = pool.rows.iloc[sorted(of)]
    found = meta.subgroups(rows.yi.to_numpy(float), rows.vi.to_numpy(float), [of[i] for i in sorted(of)])
    return f"Test of their difference: {p_value(float(found.Q_between_p))}."


def doses(base: EvidenceBase, question: Question) -> pd.DataFrame:
    """Insulin dose in both arms of every controlled study, each unit apart, with what can be said of the difference.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
        Population, product, designs and months; its outcome and unit are set here.

    Returns
    -------
    DataFrame
        Text; one line per study and unit: study, unit, month, with cells, without, difference with its interval, the P
        value between arms as reported.
    """
    lines = []
    for unit in base.protocol.outcome("insulin_dose").units:
        asked = replace(question, outcome="insulin_dose", unit=unit, title="", name="")
        pool = pooled_of(base, asked, Analysis("MD"))
        known = dict(zip(pool.rows.study_id, study_words(pool), strict=True))
        names = dict(zip(pool.rows.study_id, pool.rows.label, strict=True))
        sides = [select_levels(base, replace(asked, arms=arms)).records for arms in ("cells", "control")]
        for study in sorted({row.study_id for row in sides[0]} & {row.study_id for row in sides[1]}):
            both = [_dose(side, study) for side in sides]
            if all(words for _, words in both):
                lines.append({
                    "study": label(base.evidence, study), "unit": unit, "month": f"{both[0][0]:g}",
                    "with cells": both[0][1], "without cells": both[1][1],
                    "difference": known.get(study, MISSING).removeprefix(f"{names.get(study, '')} "),
                    "P between arms, as reported": _p_between(base, asked, study),
                })  # fmt: skip
    heads = ["study", "unit", "month", "with cells", "without cells", "difference", "P between arms, as reported"]
    return pd.DataFrame(lines, columns=heads)


def _dose(rows: Sequence[Any], study: str) -> tuple[float, str]:
    """The last follow-up of a study's arms and its values in words, as reported."""
    own = [row for row in rows if row.study_id == study and row.months > 0]
    if not own:
        return np.nan, ""
    last = max(row.months for row in own)
    return last, "; ".join(_as_reported(row) for row in own if row.months == last)


def _as_reported(row: Any) -> str:
    """A centre with its dispersion and its unit where that is relative to baseline."""
    fall = {"% relative reduction": "a reduction by ", "% relative change": "a change by "}.get(row.unit, "")
    spread = {
        "iqr": f" (quartiles {row.dispersion_low:g} to {row.dispersion_high:g})",
        "sd": f" (SD {row.dispersion_low:g})",
    }
    percent = "%" if fall else ""
    return f"{fall}{number(row.center, 2 if row.center % 1 else 0)}{percent}{spread.get(row.dispersion_type, '')}"


def _p_between(base: EvidenceBase, question: Question, study: str) -> str:
    """The reported P value of the comparison at the last follow-up in the window."""
    rows = [
        row for row in base.records("contrasts", question.alternative, "insulin_dose")
        if row.study_id == study and question.at(base.protocol).admits(row.months) and row.p_value_printed
    ]  # fmt: skip
    if not rows:
        return MISSING
    words = max(rows, key=lambda row: row.months).p_value_printed
    return words if words[0] in "<>" else f"= {words}"


def priors(pool: Pool) -> pd.DataFrame:
    """The Bayesian intervals of a pool by the scale of the prior: the protocol's, half of it and double.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    DataFrame
        Text; one line per scale, none where nothing is pooled.
    """
    fits = [(scale, fit) for scale in pool.prior_scales if (fit := pool.bayes_at(scale)) is not None]
    level = pool.level_words
    heads = ("scale of the prior of tau", f"{level} interval of the mean", f"{level} prediction interval")
    lines = [(f"{scale:g}", _interval(pool, fit, "ci", ""), _interval(pool, fit, "pi", "")) for scale, fit in fits]
    return pd.DataFrame(lines, columns=heads)


def choices_alt(table: pd.DataFrame, what: str, decimals: int) -> str:
    """Return a sensitivity figure in words: every choice with its estimate and interval, on the shown scale."""
    lines = [
        f"{row.choice}: {number(row.estimate, decimals)} ({interval(row.ci_lb, row.ci_ub, decimals)})"
        for row in table.itertuples()
    ]
    return f"{what}, by choice. {'. '.join(lines)}."


def durability_alt(table: pd.DataFrame, what: str) -> str:
    """The durability figure in words: each study with its first and its last month, and the registries."""
    lines = []
    for (report, kind), line in table.groupby(["report", "kind"], sort=False):
        ends = line.sort_values("months").iloc[[0, -1]]
        points = " to ".join(f"{number(r.percent, 0)}% at {r.months:g} months" for r in ends.itertuples())
        lines.append(f"{report}{' (registry)' if kind == 'registry' and 'registry' not in report else ''}: {points}")
    return f"{what}, over time. {'; '.join(lines) or 'No study counts at two months or more'}."


def durability_note(table: pd.DataFrame, protocol: Protocol) -> str:
    """How many studies the durability figure has, how many participants, and the date of the evidence.

    Parameters
    ----------
    table : DataFrame
        Of :func:`cellclaims.overview.durability`.
    protocol : Protocol

    Returns
    -------
    str
    """
    own = table[table.kind == "report"]
    people = own.groupby("report").n.max().sum() if len(own) else 0.0
    apart = table[table.kind == "registry"].report.nunique()
    words = f"{own.report.nunique()} studies (k), {number(float(people), 0)} participants (n)"
    return f"{words}; registries and curves: {apart}. Evidence read up to {protocol.evidence_date}."


def question_title(question: Question, protocol: Protocol) -> str:
    """Return a question as the title of its pool: outcome, population, product, designs, month and window.

    Parameters
    ----------
    question : Question
    protocol : Protocol
        The rules of the review.

    Returns
    -------
    str
    """
    question = question.at(protocol)
    people = " or ".join(protocol["eligibility"]["populations"][p] for p in question.population)
    designs = f", {' or '.join(DESIGNS[d] for d in question.designs)}" if question.designs else ""
    what = f"{protocol.outcome(question.outcome).name}, {protocol.product_name(question.product)}, {people}{designs}"
    return f"{what}, at {window_words(question)} months"


def _in_words(pool: Pool) -> str:
    if pool.fit is None:
        return f"{reports_of(pool.k)}, not pooled: {'; '.join(study_words(pool))}" if pool.k else "no study"
    low, high = (value_words(pool, float(getattr(pool.fit, e))) for e in ("ci_lb", "ci_ub"))
    return f"{reports_of(pool.k)}, {value_words(pool, float(pool.fit.beta))} ({low} to {high})"


#: Measure -> what a pool of it shows, in the words of a table.
SHOWN = {
    "MD": "difference between arms",
    "MC": "change with cells",
    "PLO": "proportion",
    "RD": "difference of proportions",
}


def before_and_after(changed: Iterable[tuple[Question, Pool, Pool]], protocol: Protocol) -> Table:
    """Return the pools that new or changed rows move: each without and with them.

    Parameters
    ----------
    changed : iterable of (Question, Pool, Pool)
        What was asked, the pool before and the pool after.
    protocol : Protocol
        The rules of the review.

    Returns
    -------
    Table
    """
    cells = []
    for question, before, after in changed:
        given, people = asked_words(question, protocol)
        when = question.estimand.replace("_", " ") if before.analysis.measure in ("PLO", "RD") else ""
        whose = ", control arms" if question.arms == "control" else ""
        kind = f"{SHOWN[before.analysis.measure]}{whose}"
        outcome = ", ".join(part for part in (protocol.outcome(question.outcome).name, when) if part)
        cells.append((outcome, kind, f"{given}, {people}", _in_words(before), _in_words(after)))
    return Table(("outcome", "shown", "given to", "before", "after"), tuple(cells), "Pools that change")


def matters(pool: Pool, protocol: Protocol) -> str:
    """Return whether a difference in HbA1c clears the threshold for clinical importance, by its interval.

    Parameters
    ----------
    pool : Pool
    protocol : Protocol
        The rules of the review.

    Returns
    -------
    str
    """
    least = float(protocol["thresholds"]["hba1c_matters"]["value"])
    if pool.fit is None:
        return ""
    low, high = float(pool.fit.ci_lb), float(pool.fit.ci_ub)
    if high < -least:
        return f"The whole interval lies beyond {least:g} points, our threshold for clinical importance."
    if low > -least:
        return f"The whole interval lies short of {least:g} points, our threshold for clinical importance."
    least_words = f"{least:g} points, our threshold for clinical importance"
    return f"The interval includes changes smaller and larger than {least_words}."


class Mark(NamedTuple):
    """A value to compare with, drawn as a dashed line with its words above the plot (shown scale).

    ``kind`` is "advertised" (an advertised figure), "threshold" (such as our threshold for clinical
    importance) or "reference" (a value of the figure itself, drawn faintly).
    """

    value: float
    label: str
    kind: str = "advertised"


def matters_marks(protocol: Protocol) -> list[Mark]:
    """Return the threshold as a mark of a figure.

    Parameters
    ----------
    protocol : Protocol
        The rules of the review.

    Returns
    -------
    list of Mark
    """
    least = float(protocol["thresholds"]["hba1c_matters"]["value"])
    return [Mark(-least, "threshold for clinical importance", "threshold")]


def claim_marks(evidence: Evidence, outcome: str, population: str = "") -> list[Mark]:
    """Advertised percentages of an outcome as marks of a figure, those of one type of diabetes if one is given.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    outcome : str
        A name of the protocol.
    population : str, optional
        A type of diabetes; all if empty.

    Returns
    -------
    list of Mark
    """
    claims = evidence.claims[(evidence.claims.outcome == outcome) & (evidence.claims.unit == "percent")]
    if population:
        claims = claims[claims.diabetes_type == population]
    values = sorted(set(claims.value.dropna()))
    return [Mark(float(v), f"advertised {v:g}%", "advertised") for v in values]


def choices(pools: Mapping[str, Pool], primary: str = "") -> pd.DataFrame:
    """One line a choice for a sensitivity figure: choice, estimate and limits on the shown scale, k, primary.

    Parameters
    ----------
    pools : mapping of Pool
    primary : str, optional
        The choice that is the review's own.

    Returns
    -------
    DataFrame
    """
    lines = []
    for words, pool in pools.items():
        if pool.fit is not None:
            shown = {
                n: pool.shown(getattr(pool.fit, f))
                for n, f in (("estimate", "beta"), ("ci_lb", "ci_lb"), ("ci_ub", "ci_ub"))
            }
            lines.append(
                {"choice": words, **shown, "k": float(pool.k), "primary": words == primary, "level": pool.level_words}
            )
    return pd.DataFrame(lines)


# Titles and sentences of a pool from its question, so that they hold for every value of a notebook's parameters.


def asked_words(question: Question, protocol: Protocol) -> tuple[str, str]:
    """Return what is given and to whom, in the words of a sentence.

    Parameters
    ----------
    question : Question
    protocol : Protocol

    Returns
    -------
    tuple of str
        The product and the population, such as ("cells", "type 2 diabetes"). "Cells" is the product of all cells.

    Examples
    --------
    >>> from cellclaims import protocol
    >>> asked_words(Question("hba1c", "T1D", "islets"), protocol.load("data"))
    ('allogeneic islets', 'type 1 diabetes')
    """
    people = " or ".join(protocol["eligibility"]["populations"][name] for name in question.population)
    given = "cells" if question.product == "any_cells" else protocol.product_name(question.product)
    return given, people


def arms_title(question: Question, base: EvidenceBase) -> str:
    """The title of a pool within arms: what was given, to whom, and which questionable values are handled otherwise.

    Parameters
    ----------
    question : Question
    base : EvidenceBase

    Returns
    -------
    str

    Examples
    --------
    >>> from cellclaims import open_review
    >>> arms_title(Question("hba1c", "T2D", "any_cells", arms="control"), open_review("example"))
    'Control arms of trials of cells, type 2 diabetes'
    """
    given, people = asked_words(question, base.protocol)
    if question.arms == "cells":
        return "; ".join([f"{_start(given)}, {people}, treated arms only", *_switched(question, base)])
    return "; ".join([f"Control arms of trials of {given}, {people}", *_switched(question, base)])


def what_differs(question: Question, other: Question, base: EvidenceBase) -> str:
    """Return how a question differs from another one, as the title of its pool.

    Parameters
    ----------
    question : Question
    other : Question
        What it is compared with, usually the main question of a notebook.
    base : EvidenceBase

    Returns
    -------
    str
        What is given, to whom, which designs, when, and which questionable values are handled otherwise, as far as
        they differ.

    Examples
    --------
    >>> from dataclasses import replace
    >>> from cellclaims import open_review
    >>> main = Question("hba1c", "T2D", "any_cells", designs="rct")
    >>> what_differs(replace(main, designs=(), months=8, window=7), main, open_review("example"))
    'Randomised or not; at 8 ± 7 months'
    """
    protocol = base.protocol
    question, other = question.at(protocol), other.at(protocol)
    (given, people), (other_given, other_people) = asked_words(question, protocol), asked_words(other, protocol)
    parts = [words for words, known in ((given, other_given), (people, other_people)) if words != known]
    if question.designs != other.designs:
        designs = " or ".join(DESIGNS[name] for name in question.designs)
        parts.append(designs or "randomised or not")
    if question.span != other.span:
        parts.append(f"at {window_words(question)} months")
    left = [study for study in question.exclude if study not in other.exclude]
    if left:
        parts.append(f"without {', '.join(label(base.evidence, study) for study in left)}")
    if other.secondary and not question.secondary:
        parts.append("without numbers from tables of reviews")
    if other.co_treatments and not question.co_treatments:
        parts.append("cells alone, without another treatment")
    if question.origin != other.origin:
        parts.append(f"months counted from the {question.origin.replace('_', ' ')}")
    if question.alternative != other.alternative:
        parts += _switched(question, base) or ["questionable values as the review handles them"]
    return _start("; ".join(parts) or "the same question")


def _switched(question: Question, base: EvidenceBase) -> list[str]:
    """Return what each alternative handling that a question asks for does, in words."""
    is_measured = (base.evidence.continuous.outcome == question.outcome).any()
    tables = ("continuous", "contrasts") if is_measured else ("binary",)
    return [switch_words(base.evidence, anomaly, tables) for anomaly in question.alternative]


def same_number(fit: Any, pool: Pool, unit: str = "") -> Sentence:
    """Return whether a fit made step by step gives the number of a pool, with both.

    Parameters
    ----------
    fit : Fit or None
        None where there was nothing to fit.
    pool : Pool
    unit : str
        What follows a value.

    Returns
    -------
    Sentence
    """
    if fit is None or pool.fit is None:
        return say("No eligible study: there is nothing to pool.")
    made, known = (f"{_value(pool, one.beta, unit)} ({_limits_of(pool, one)})" for one in (fit, pool.fit))
    equal = all(np.isclose(getattr(fit, end), getattr(pool.fit, end)) for end in ("beta", "ci_lb", "ci_ub"))
    same = "the same number" if equal else "another number"
    return say(f"Step by step: {made}. The pool of the review, {pool.title}: {known}: {same}.")


def _limits_of(pool: Pool, fit: Any) -> str:
    return " to ".join(value_words(pool, float(getattr(fit, end))) for end in ("ci_lb", "ci_ub"))
