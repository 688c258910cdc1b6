"""Tables and sentences on other treatments, on control arms, on what "effective" would need and on sizes of trials."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from cellclaims.alternatives import ON_INSULIN, address
from cellclaims.evidence import Evidence
from cellclaims.pool import Pool
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Link, Table, interval, number, table


def percent_words(estimate: float, low: float, high: float) -> str:
    """A percentage with its interval, where it is known.

    >>> percent_words(39.4, math.nan, math.nan), percent_words(19.5, 13.6, 26.5)
    ('39.4%', '19.5% (13.6 to 26.5)')
    """
    limits = "" if math.isnan(low) or math.isnan(high) else f" ({interval(low, high, 1)})"
    return f"{number(estimate, 1)}%{limits}"


def benchmarks_table(lines: pd.DataFrame) -> Table:
    """Other treatments: what each achieved, for whom, when, and with its control arm.

    Parameters
    ----------
    lines : DataFrame
        As :func:`cellclaims.alternatives.benchmark_lines` gives them.

    Returns
    -------
    Table
    """
    shown = pd.DataFrame({
        "participants": lines.group,
        "treatment": [Link(row.label, row.link) if row.link else row.label for row in lines.itertuples()],
        "on insulin": lines.on_insulin,
        "outcome": lines.outcome,
        "month": lines.months,
        "result": [percent_words(row.estimate, row.low, row.high) for row in lines.itertuples()],
        "counts": lines.counts,
        "design": lines.design,
    })  # fmt: skip
    return table(shown, "Other treatments: off insulin, off all glucose-lowering drugs, or HbA1c at target")


def benchmarks_headline(lines: pd.DataFrame, cells: Pool) -> Sentence:
    """The range of other treatments for people on insulin, next to cell therapy.

    Parameters
    ----------
    lines : DataFrame
    cells : Pool
        Proportions off insulin after cell therapy.

    Returns
    -------
    Sentence
    """
    treated = lines[(lines.group == ON_INSULIN) & (lines.kind == "benchmark")]
    others = ""
    if len(treated):
        low, high = treated.estimate.min(), treated.estimate.max()
        others = (
            f"In people on insulin, {len(treated)} results of other treatments range from {number(low, 0)} to "
            f"{number(high, 0)}% off insulin or on little of it."
        )
    if not cells.k:
        return say(others, "No eligible study of cell therapy counts this.")
    rows = cells.rows
    said = f"Off insulin at some time after cell therapy: {rows.events.sum():g} of {rows.n.sum():g} participants"
    studies = "1 study" if cells.k == 1 else f"{cells.k} studies"
    return say(others, f"{said} ({studies}), an upper bound without control arms.")


def changes_table(changes: pd.DataFrame, outcome: str) -> Table:
    """How an outcome changed with and without cells in each controlled study, as reported.

    Parameters
    ----------
    changes : DataFrame
        As :func:`cellclaims.alternatives.arm_changes` gives them.
    outcome : {"hba1c", "insulin_dose"}

    Returns
    -------
    Table
    """
    decimals, unit = (2, " points") if outcome == "hba1c" else (0, "%")
    shown = pd.DataFrame({
        "study": [Link(row.label, row.link) if row.link else row.label for row in changes.itertuples()],
        "arm": [f"with cells ({row.arm_id})" if row.arm == "cells" else f"without cells ({row.arm_id})"
                for row in changes.itertuples()],
        "participants": changes.n,
        "month": [f"{month:g}" for month in changes.months],
        "change": [f"{number(value, decimals)}{unit}" for value in changes.change],
        "how": changes.how,
    })  # fmt: skip
    words = "HbA1c" if outcome == "hba1c" else "Insulin dose, percent of the dose at the start"
    return table(shown, f"{words}: change in each arm of controlled studies, as reported or from reported levels")


def placebo_table(lines: pd.DataFrame, evidence: Evidence) -> Table:
    """HbA1c without cells elsewhere: meta-analyses of placebo arms in their own words, and control arms of trials.

    Parameters
    ----------
    lines : DataFrame
        As :func:`cellclaims.alternatives.placebo_elsewhere` gives them.
    evidence : Evidence

    Returns
    -------
    Table
    """
    topics = evidence.topic_evidence
    reviews = topics[topics.cell_type.str.startswith("none (placebo")]
    said = [
        {"group": "Meta-analyses of placebo arms", "source": Link(row.title or row.reference, address(row.url)),
         "change of HbA1c": f"{row.result} ({row.p_or_ci})" if row.p_or_ci else row.result, "detail": row.note}
        for row in reviews.itertuples()
    ]  # fmt: skip
    trials = lines[lines.group != "Meta-analyses of placebo arms"]
    said += [
        {"group": row.group, "source": Link(row.label, row.link) if row.link else row.label,
         "change of HbA1c": number(row.estimate) + ("" if math.isnan(row.low) else f" ({interval(row.low, row.high)})"),
         "detail": row.detail}
        for row in trials.itertuples()
    ]  # fmt: skip
    columns = ["group", "source", "change of HbA1c", "detail"]
    return table(pd.DataFrame(said, columns=columns), "HbA1c without cells elsewhere, percentage points")


def responders_table(lines: pd.DataFrame) -> Table:
    """What each plausible definition of "effective" would give with and without cells.

    Parameters
    ----------
    lines : DataFrame
        As :func:`cellclaims.alternatives.expected_responders` gives them.

    Returns
    -------
    Table
    """
    shown = pd.DataFrame({
        "definition": lines.group,
        "arm": lines.label,
        "participants": lines.n,
        "mean (SD)": [f"{number(row.mean)} ({number(row.sd)})" if row.mean == row.mean else "–"
                      for row in lines.itertuples()],
        "expected": [percent_words(row.estimate, row.low, row.high) for row in lines.itertuples()],
        "how": lines.how,
    })  # fmt: skip
    return table(shown, 'What "effective" would give: a model for HbA1c, counts for insulin')


def responders_words(lines: pd.DataFrame, claimed: Sequence[float]) -> Sentence:
    """The definition under which most are expected to respond, with and without cells, next to the advertised figure.

    Parameters
    ----------
    lines : DataFrame
    claimed : sequence of float
        The advertised percentages.

    Returns
    -------
    Sentence
    """
    values = " and ".join(f"{value:g}%" for value in claimed)
    advertised = f"Advertised: {values}, without a definition." if claimed else ""
    if lines.empty:
        return say("No controlled study reports what the model needs.", advertised)
    best = lines.loc[lines.estimate.idxmax()]
    same = lines[(lines.group == best.group) & (lines.study_id == best.study_id)]
    parts = [f"{number(row.estimate, 0)}% {row.label.rpartition(', ')[2]}" for row in same.itertuples()]
    return say(
        f"Most would count as responders by this definition: {best.group}.",
        f"Expected: {' and '.join(parts)} ({_study(best.label)}).",
        advertised,
    )


def _study(words: str) -> str:
    return words.rpartition(", ")[0]


def sizes_table(sizes: pd.DataFrame, precision: Sequence[tuple[str, int]]) -> Table:
    """How large a trial would have to be: both arms together by power, and a single arm by precision.

    Parameters
    ----------
    sizes : DataFrame
        As :func:`cellclaims.trial_size.trial_sizes` gives them.
    precision : sequence of (str, int)
        What is asked of a single arm, and its participants.

    Returns
    -------
    Table
    """
    lines = [
        {"question": row.comparison, "design": "two arms, randomised 1:1", "power": f"{100 * row.power:g}%",
         "participants": float(row.both)}
        for row in sizes.itertuples()
    ]  # fmt: skip
    lines += [
        {"question": words, "design": "single arm", "power": "–", "participants": float(n)} for words, n in precision
    ]
    return table(pd.DataFrame(lines), "Participants needed")


def sizes_words(sizes: pd.DataFrame, largest: float) -> Sentence:
    """The smallest and the largest trial of the table, next to the largest one published.

    Parameters
    ----------
    sizes : DataFrame
    largest : float
        Participants of the largest published trial; NaN where there is none.

    Returns
    -------
    Sentence
    """
    if sizes.empty:
        return say("No percentage that a trial could test is advertised for this type of diabetes.")
    first, last = sizes.loc[sizes.both.idxmin()], sizes.loc[sizes.both.idxmax()]
    known = "" if math.isnan(largest) else f" The largest trial in our pool of HbA1c has {largest:g} participants."
    return say(
        f"Between {first.both:g} participants ({first.comparison}, {100 * first.power:g}% power) and {last.both:g} "
        f"({last.comparison}, {100 * last.power:g}% power) would be needed.{known}"
    )


#: Names of the advertised figures that a trial could test, by what answers them.
TESTED = {"half_the_insulin": "better control on half the insulin", "all_drugs_stopped": "off insulin and oral drugs"}


def rate_without(control: Pool) -> float:
    """The proportion of control participants with an outcome, half an event where none had it.

    Parameters
    ----------
    control : Pool
        Counts of control arms.

    Returns
    -------
    float
        Between 0 and 1; 0.05 where no control arm counts it.
    """
    if not control.k:
        return 0.05
    events, n = float(control.rows.events.sum()), float(control.rows.n.sum())
    return max(events, 0.5) / n


def claimed_percent(evidence: Evidence, answered_by: str, population: str) -> list[float]:
    """The advertised percentages that one kind of evidence answers, for one type of diabetes, the smallest first.

    Parameters
    ----------
    evidence : Evidence
    answered_by : str
        As in claims.csv.
    population : str

    Returns
    -------
    list of float
    """
    claims = evidence.claims
    mine = (claims.answered_by == answered_by) & (claims.unit == "percent") & (claims.diabetes_type == population)
    return sorted(set(claims.value[mine].dropna()))


def size_questions(evidence: Evidence, rates: dict[str, float], population: str) -> list[tuple[str, float, float]]:
    """What a trial would compare: each advertised proportion with that without cells, and with half of itself.

    Parameters
    ----------
    evidence : Evidence
        Its claims give the advertised proportions.
    rates : dict of float
        ``answered_by`` of a claim -> proportion without cells, between 0 and 1.
    population : str
        Type of diabetes for which the figures are advertised.

    Returns
    -------
    list of (str, float, float)
        In words, and the two proportions.
    """
    found = []
    for answered_by, without in rates.items():
        for value in claimed_percent(evidence, answered_by, population):
            one, name = value / 100, TESTED.get(answered_by, answered_by.replace("_", " "))
            found.append((f"{value:g}% v {number(100 * without, 1)}% without cells: {name}", one, without))
            found.append((f"{value:g}% v half of it: {name}", one, one / 2))
    return [(words, one, other) for words, one, other in found if one != other]


def benchmark_marks(lines: pd.DataFrame, pools: Sequence[Pool]) -> pd.DataFrame:
    """The lines of the figure of other treatments: this review's proportions first.

    Parameters
    ----------
    lines : DataFrame
        As :func:`cellclaims.alternatives.benchmark_lines` gives them.
    pools : sequence of Pool
        This review's own; those that are not pooled are shown study by study.

    Returns
    -------
    DataFrame
        As :func:`cellclaims.figures.estimates` takes it, with ``counts`` and ``months``.
    """
    own = []
    for pool in pools:
        if pool.is_pooled:
            values = [pool.shown(float(getattr(pool.fit, name))) for name in ("beta", "ci_lb", "ci_ub")]
            counts = f"{pool.rows.events.sum():g}/{pool.rows.n.sum():g}"
            own.append(
                ("primary", f"{pool.title} (k\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}{pool.k})", "", counts, *values)
            )
        else:
            own += [("study", f"{pool.title}: {row.label}", "" if math.isnan(row.months) else f"{row.months:g}",
                     f"{row.events:g}/{row.n:g}", *(pool.shown(float(x)) for x in (row.yi, row.ci_lb, row.ci_ub)))
                    for row in pool.rows.itertuples()]  # fmt: skip
    columns = ["kind", "label", "months", "counts", "estimate", "low", "high"]
    review = pd.DataFrame(own, columns=columns).assign(group="This review")
    others = lines.assign(counts=[counts.replace(" of ", "/") for counts in lines.counts])
    return pd.concat([review, others[["group", *columns]]], ignore_index=True)


def benchmark_note(cells: Pool, context: Pool, people: str) -> str:
    """What the figure of other treatments shows of this review, in a sentence.

    Parameters
    ----------
    cells, context : Pool
    people : str
        Whom cell therapy was given to, in words.

    Returns
    -------
    str
    """
    parts = []
    if cells.k:
        parts.append(f"Cell therapy: {people}, {cells.k} studies, {cells.patients:g} participants, an upper bound.")
    if context.k:
        parts.append(f"Islets: type 1 diabetes, {context.k} studies, {context.patients:g} participants, context only.")
    return " ".join([*parts, "Exact intervals where counts are given; n: participants; k: studies."])


def change_marks(changes: pd.DataFrame, elsewhere: pd.DataFrame) -> pd.DataFrame:
    """The lines of the figure of changes without cells: arms of controlled studies, then others.

    Parameters
    ----------
    changes, elsewhere : DataFrame
        As :func:`cellclaims.alternatives.arm_changes` and :func:`cellclaims.alternatives.placebo_elsewhere` give them.

    Returns
    -------
    DataFrame
        As :func:`cellclaims.figures.estimates` takes it, with ``detail``.
    """
    own = pd.DataFrame({
        "group": "Controlled studies of this review",
        "kind": ["study" if arm == "cells" else "control" for arm in changes.arm],
        "label": [f"{row.label}, {'with' if row.arm == 'cells' else 'without'} cells" for row in changes.itertuples()],
        "estimate": changes.change, "low": math.nan, "high": math.nan,
        "detail": [f"n = {n:g}" if n == n else "n not stated" for n in changes.n],
    })  # fmt: skip
    others = elsewhere.assign(kind="control")[list(own.columns)]
    return pd.concat([own, others], ignore_index=True)
