"""What an answer is read against: other treatments, what happens without cells, and what "effective" would need.

Benchmarks come from ``benchmarks/benchmarks.csv``, changes in arms from the reports themselves, expected proportions
from a stated model: normal values with the reported mean and SD.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from scipy.special import ndtr

from cellclaims.dispersion import combine_groups
from cellclaims.effects import points
from cellclaims.evidence import Evidence
from cellclaims.evidence.rules_reports import NOT_SCIENTIFIC
from cellclaims.meta.binomial_fit import clopper_pearson
from cellclaims.pool import Pool, label, link, pooled
from cellclaims.question import Analysis, Question
from cellclaims.selection import EvidenceBase, Record, eligible
from cellclaims.units import convert

# Other treatments.


#: Outcomes of the benchmarks that are set against "off insulin" and "off all drugs".
STOPPED = ("insulin_stopped", "insulin_reduced", "remission", "hba1c_le_6_0")
ON_INSULIN, OTHERWISE = "People on insulin", "Early type 2 diabetes, or not selected for insulin use"
#: What the column ``on_insulin`` says in words.
INSULIN_WORDS = {"yes": "yes", "no": "no", "some": "some", "not stated": "not stated", "": "not stated"}
#: Month that a benchmark with several time points is shown at.
NEAREST = 12.0


def benchmark_lines(evidence: Evidence, nearest: float | None = NEAREST, level: float = 0.95) -> pd.DataFrame:
    """What else gets people off insulin or off all drugs, for people on insulin and, apart, for the others.

    Parameters
    ----------
    evidence : Evidence
    nearest : float, optional
        Of each comparison and outcome the time nearest to this month; every time if None.
    level : float
        Of the exact limits; reported ones are as reported.

    Returns
    -------
    DataFrame
        One row per arm: ``group``, ``kind`` ("benchmark" treated, "control"), ``label``, ``outcome`` and ``months`` in
        words, ``estimate``, ``low``, ``high`` (percent; exact limits where counts are given, else as reported, NaN
        where neither is known), ``counts``, ``design``, ``on_insulin``, ``link``, ``benchmark_id``.
    """
    rows = evidence.benchmarks[evidence.benchmarks.outcome.isin(STOPPED)]
    if nearest is not None:
        distance = (rows.months - nearest).abs()
        order = rows.assign(distance=distance).sort_values(["distance", "months"], kind="stable")
        order = order.drop_duplicates(["comparison", "outcome", "definition", "estimate_of"])
        rows = rows.loc[sorted(order.index)]
    lines = [line for row in rows.itertuples() for line in _arms_of(row, level)]
    columns = "group kind label outcome months estimate low high counts design on_insulin link benchmark_id".split()
    found = pd.DataFrame(lines, columns=columns)
    names = [name[:1].upper() + name[1:] for name in found.label]
    twice = found.duplicated(["label", "kind", "months"], keep=False)
    found["label"] = [
        f"{name} ({outcome})" if same else name for name, outcome, same in zip(names, found.outcome, twice, strict=True)
    ]
    rank = found.group.map([ON_INSULIN, OTHERWISE].index)
    return found.assign(rank=rank).sort_values("rank", kind="stable").drop(columns="rank").reset_index(drop=True)


def _arms_of(row: object, level: float) -> list[dict[str, object]]:
    """The treated arm of a benchmark and, where it is counted, its control arm."""
    about = {
        "group": ON_INSULIN if row.on_insulin == "yes" else OTHERWISE,
        "outcome": row.definition,
        "months": "" if math.isnan(row.months) else f"{row.months:g}",
        "design": row.design,
        "on_insulin": INSULIN_WORDS.get(row.on_insulin, row.on_insulin),
        "link": address(row.url),
        "benchmark_id": row.benchmark_id,
    }
    is_control = row.estimate_of == "control"
    sides = [("control", row.events_control, row.of_control)] if is_control else [
        ("benchmark", row.events_treated, row.of_treated), ("control", row.events_control, row.of_control),
    ]  # fmt: skip
    lines = []
    for kind, events, n in sides:
        reported = row.unit == "percent" and (kind == "control") == is_control
        value, low, high = _percent(events, n, row, reported, level)
        if not math.isnan(value):
            counts = "" if math.isnan(events) or math.isnan(n) else f"{events:g} of {n:g}"
            named = kind == "benchmark" or re.search(r"\b(arm|group)\b", row.comparison)
            name = row.comparison if named else f"{row.comparison}: control"
            lines.append({**about, "kind": kind, "label": name, "estimate": value, "low": low, "high": high,
                          "counts": counts})  # fmt: skip
    return lines


def _percent(events: float, n: float, row: object, reported: bool, level: float) -> tuple[float, float, float]:
    """A proportion in percent: as reported with its interval, else from the counts, else as reported."""
    if reported and not math.isnan(row.ci_low):
        return row.estimate, row.ci_low, row.ci_high
    if not (math.isnan(events) or math.isnan(n)):
        low, high = clopper_pearson(np.array([events]), np.array([n]), level)
        return 100 * events / n, 100 * float(low[0]), 100 * float(high[0])
    return (row.estimate, row.ci_low, row.ci_high) if reported else (math.nan,) * 3


def address(text: str) -> str:
    """The first public address in a text; empty without one.

    >>> address("see (https://doi.org/10.1016/S2213-8587(19)30068-3); and the table (https://example.org/a)")
    'https://doi.org/10.1016/S2213-8587(19)30068-3'
    >>> address("as in https://example.org/a)")
    'https://example.org/a'
    """
    found = re.search(r"https?://[^\s;]+", text)
    if not found:
        return ""
    url = found[0].rstrip(".,")
    while url.endswith(")") and url.count(")") > url.count("("):
        url = url[:-1]
    return url


# What happens without cells: changes in arms, as reported.


#: Shortest and longest follow-up of a change in an arm, in months.
SHORTEST_CHANGE, LONGEST_CHANGE = 2.75, 15.0


def arm_changes(
    base: EvidenceBase, population: str | Iterable[str], product: str, outcome: str, designs: Sequence[str] = ("rct",),
    exclude: Iterable[str] = (),
) -> pd.DataFrame:  # fmt: skip
    """How an outcome changed in each arm of controlled studies, with cells and without, as reported.

    A reported change, else the difference of the reported centres at the longest follow-up and at the start. Of an
    insulin dose the change is in percent of the dose at the start.

    Parameters
    ----------
    base : EvidenceBase
    population : str or iterable of str
    product : str
    outcome : {"hba1c", "insulin_dose"}
    designs : sequence of str
        All if empty.
    exclude : iterable of str
        Studies to leave out.

    Returns
    -------
    DataFrame
        One row per arm: ``study_id``, ``label``, ``link``, ``arm`` ("cells" or "control"), ``arm_id``, ``n``,
        ``months``, ``change`` (percentage points of HbA1c, or percent of the dose), ``how``; studies with an untreated
        arm only, one for each cohort.
    """
    asked = Question("hba1c", population, product, designs=tuple(designs), exclude=tuple(exclude))
    lines = []
    for arms in ("cells", "control"):
        rows = _all_of(base, asked, outcome, arms)
        for (study, arm), mine in rows.items():
            if study in base.controlled and (found := _change_in_arm(mine, outcome)):
                about = {"study_id": study, "label": label(base.evidence, study), "link": link(base.evidence, study)}
                lines.append({**about, "arm": arms, "arm_id": arm, **found})
    columns = "study_id label link arm arm_id n months change how".split()
    found = pd.DataFrame(lines, columns=columns)
    found = found[found.study_id.isin(_one_a_cohort(base, found))]
    return found.sort_values(["study_id", "arm", "arm_id"], kind="stable").reset_index(drop=True)


def _one_a_cohort(base: EvidenceBase, changes: pd.DataFrame) -> set[str]:
    """Studies with both sides, of those that share participants the one with most of them."""
    sizes = changes.groupby("study_id").n.sum()
    both = [study for study, rows in changes.groupby("study_id") if set(rows.arm) == {"cells", "control"}]
    taken: set[str] = set()
    kept = set()
    for study in sorted(both, key=lambda one: (-sizes[one], one)):
        own = base.cohorts(study, "+".join(changes.arm_id[changes.study_id == study]))
        if not own & taken:
            kept.add(study)
        taken |= own
    return kept


def _all_of(base: EvidenceBase, asked: Question, outcome: str, arms: str) -> dict[tuple[str, str], list[Record]]:
    """Rows of an outcome by study and arm that match the question."""
    rows = base.records("continuous", (), outcome)
    sources = base.evidence.sources
    scientific = set(sources.source_id[sources.kind != NOT_SCIENTIFIC])
    people, classes = set(asked.population), set(base.protocol.classes(asked.product))
    found: dict[tuple[str, str], list[Record]] = {}
    for row in rows:
        side = base.is_treated if arms == "cells" else base.is_untreated
        fits = row.diabetes_type in people and row.intervention_class in classes and not row.leave
        fits = fits and row.source_id in scientific
        wanted = (not asked.designs or row.design in asked.designs) and row.study_id not in asked.exclude
        if fits and wanted and side(row.study_id, row.arm_id):
            found.setdefault((row.study_id, row.arm_id), []).append(row)
    return found


def _change_in_arm(rows: Sequence[Record], outcome: str) -> dict[str, object]:
    """The change of one arm: as reported, else from the centres; nothing where neither can be had."""
    inside = [row for row in rows if SHORTEST_CHANGE <= row.months <= LONGEST_CHANGE and not math.isnan(row.center)]
    reported = [row for row in inside if row.kind == "change"]
    if reported:
        row = max(reported, key=lambda one: one.months)
        change = _reported_change(row, outcome)
        if not math.isnan(change):
            return {"n": row.n, "months": row.months, "change": change, "how": "as reported"}
    start = [row for row in rows if row.kind == "level" and row.months == 0]
    after = [row for row in inside if row.kind == "level"]
    if not (start and after):
        return {}
    end = max(after, key=lambda one: one.months)
    first, last = _level(start[0]), _level(end)
    if start[0].unit != end.unit or not first > 0:
        return {}
    change = last - first if outcome == "hba1c" else 100 * (last - first) / first
    return {"n": end.n, "months": end.months, "change": change, "how": f"from {end.center_type}s"}


def _reported_change(row: Record, outcome: str) -> float:
    if outcome == "hba1c":
        known = row.unit in ("%", "mmol/mol")
        return convert(row.center, row.unit, "%", "hba1c", change=True) if known else math.nan
    return -row.center if row.unit == "% relative reduction" else math.nan


def _level(row: Record) -> float:
    return convert(row.center, row.unit, "%", "hba1c") if row.outcome == "hba1c" else row.center


def placebo_elsewhere(evidence: Evidence) -> pd.DataFrame:
    """HbA1c in people without cells elsewhere: meta-analyses of placebo arms, and control arms of the benchmarks.

    Returns
    -------
    DataFrame
        ``group``, ``kind``, ``label``, ``estimate``, ``low``, ``high`` in percentage points, ``detail``, ``link``.
    """
    topics = evidence.topic_evidence
    pooled_rows = topics[
        topics.cell_type.str.startswith("none (placebo")
        & (topics.unit == "percentage points")
        & topics.estimate.notna()
    ]
    lines = [
        {"group": "Meta-analyses of placebo arms", "kind": "benchmark", "label": _first_words(row), "link":
         address(row.url), "estimate": row.estimate, "low": row.ci_low, "high": row.ci_high, "detail": row.pooled_from}
        for row in pooled_rows.itertuples()
    ]  # fmt: skip
    rows = evidence.benchmarks
    rows = rows[(rows.outcome == "hba1c") & (rows.estimate_of == "control")]
    for row in rows.itertuples():
        values = [
            convert(value, "%" if row.unit == "percentage points" else row.unit, "%", "hba1c", change=True)
            for value in (row.estimate, row.ci_low, row.ci_high)
        ]
        about = {"detail": f"{row.months:g} months" if row.months == row.months else "time not stated",
                 "link": address(row.url)}  # fmt: skip
        lines.append({"group": "Control arms of other trials", "kind": "benchmark", "label": row.comparison,
                      **dict(zip(("estimate", "low", "high"), values, strict=True)), **about})  # fmt: skip
    return pd.DataFrame(lines, columns="group kind label estimate low high detail link".split())


def _first_words(row: object) -> str:
    """First author and year of a row of the topics, from its reference."""
    name = re.match(r"[a-z]+", row.reference)
    year = "" if math.isnan(row.year) else f" {row.year:g}"
    return f"{name[0].capitalize()}{year}" if name else row.reference


# What "effective" would need.


@dataclass(frozen=True)
class Definition:
    """A plausible meaning of "effective": in words, by which model its proportion is expected, or which count it is."""

    words: str
    kind: str
    limit: float = math.nan
    outcome: str = ""


#: What "effective" could mean. Changes and levels of HbA1c in percentage points; counts as the studies report them.
DEFINITIONS = (
    Definition("Any fall of HbA1c", "change", 0.0),
    Definition("HbA1c lower by 0.5 points or more", "change", -0.5),
    Definition("HbA1c below 7%", "level", 7.0),
    Definition("Insulin dose halved", "count", outcome="insulin_dose_halved"),
    Definition("Insulin dose halved with HbA1c below 7%", "count", outcome="insulin_halved_and_hba1c_lt_7"),
)


def expected_responders(base: EvidenceBase, question: Question, correlation: float | None = None) -> pd.DataFrame:
    """For each plausible definition of "effective" the proportion with and without cells in each controlled study.

    A model, not a result: changes (and levels at follow-up) of single participants are taken to be normal with the
    arm's mean and SD. Halved insulin doses are as counted.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
        About HbA1c; its population, product, time and designs hold for all definitions.
    correlation : float, optional
        Of baseline with follow-up, where the SD of a change is not reported; the protocol's if not given.

    Returns
    -------
    DataFrame
        ``group`` (the definition), ``kind`` ("study" with cells, "control"), ``label``, ``study_id``, ``n``, ``mean``,
        ``sd``, ``estimate`` (percent), ``low`` and ``high`` (exact, of counts), ``how``.
    """
    analysis = Analysis("MC", correlation=correlation)
    lines = []
    for definition in DEFINITIONS:
        for arms, kind in (("cells", "study"), ("control", "control")):
            asked = replace(question, arms=arms)
            if definition.kind == "change":
                rows = _by_changes(pooled(base, asked, analysis), definition)
            elif definition.kind == "level":
                rows = _by_levels(base, asked, definition)
            else:
                rows = _by_counts(base, asked, definition.outcome)
            words = "with cells" if arms == "cells" else "without cells"
            lines += [{**row, "group": definition.words, "kind": kind, "label": f"{row['label']}, {words}"}
                      for row in rows if row["study_id"] in base.controlled]  # fmt: skip
    columns = "group kind label study_id n mean sd estimate low high how".split()
    found = pd.DataFrame(lines, columns=columns)
    order = {definition.words: place for place, definition in enumerate(DEFINITIONS)}
    keys = found.assign(place=found.group.map(order))
    return (
        keys.sort_values(["place", "study_id", "kind"], ascending=[True, True, False], kind="stable")
        .drop(columns="place")
        .reset_index(drop=True)
    )


def _by_changes(pool: Pool, definition: Definition) -> list[dict[str, object]]:
    return [
        {"label": row.label, "study_id": row.study_id, "n": row.n, "mean": row.yi, "sd": math.sqrt(row.vi * row.n),
         "estimate": 100 * float(ndtr((definition.limit - row.yi) / math.sqrt(row.vi * row.n))), "low": math.nan,
         "high": math.nan, "how": "model: normal change"}
        for row in pool.rows.itertuples()
    ]  # fmt: skip


def _by_levels(base: EvidenceBase, question: Question, definition: Definition) -> list[dict[str, object]]:
    """From the means and SDs at the longest follow-up inside the question's window."""
    question = question.at(base.protocol)
    arms: dict[str, dict[str, Record]] = {}
    for row in eligible(base, question, "continuous"):
        inside = row.months > 0 and question.admits(row.months)
        if row.kind == "level" and inside and row.dispersion_type != "none" and row.n == row.n:
            mine = arms.setdefault(row.study_id, {})
            if row.arm_id not in mine or row.months > mine[row.arm_id].months:
                mine[row.arm_id] = row
    lines = []
    for study, rows in arms.items():
        group = combine_groups([points(row) for row in rows.values()])
        value = 100 * float(ndtr((definition.limit - group.mean) / group.sd))
        lines.append({"label": label(base.evidence, study), "study_id": study, "n": group.n, "mean": group.mean,
                      "sd": group.sd, "estimate": value, "low": math.nan, "high": math.nan,
                      "how": "model: normal level"})  # fmt: skip
    return lines


def _by_counts(base: EvidenceBase, question: Question, outcome: str) -> list[dict[str, object]]:
    asked = replace(question, outcome=outcome, estimand="most_favourable", months=None)
    pool = pooled(base, asked, Analysis("PLO"))
    return [
        {"label": row.label, "study_id": row.study_id, "n": row.n, "mean": math.nan, "sd": math.nan,
         "estimate": 100 * row.events / row.n, "low": pool.shown(row.ci_lb), "high": pool.shown(row.ci_ub),
         "how": f"counted: {row.events:g} of {row.n:g}"}
        for row in pool.rows.itertuples()
    ]  # fmt: skip
