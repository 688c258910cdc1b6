"""Which rows of the evidence answer a question, and why the others do not.

Selection is a list of rules in a fixed order. Each rule is a function from rows to the reason why each of them leaves
(empty: it stays), so the table of rows left out is complete by construction.

A *row* is one count or level of one arm, with what is known of its arm, study and source; a report may give many. A
*report* is one study: its arms that got cells count as one group of patients. A *cohort* is a set of patients that
several reports may share (``cohorts.csv``); only one of them is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellclaims.anomalies import handled, joined
from cellclaims.evidence import Evidence
from cellclaims.evidence.cohorts import cohorts_of
from cellclaims.evidence.rules_reports import SOURCE_CLASS
from cellclaims.protocol import Protocol
from cellclaims.question import ESTIMANDS, Question
from cellclaims.units import family_of

__all__ = [
    "ESTIMANDS", "EVER", "FAVOURABLE", "EvidenceBase", "LeftOut", "Question", "Selected", "benchmarks", "count_rules",
    "eligible", "independent", "level_rules", "one_a_cohort", "passing", "report_counts", "select", "select_counts",
    "select_levels", "series", "sharing", "source_rank", "too_few", "when_counted", "window_words",
]  # fmt: skip

#: Why a count leaves whose definition is shown and never pooled (``definitions.csv``).
NEVER_POOLED = "a single named event, or events only called severe or related: shown, never pooled"

#: Estimands under which one cohort is answered by its highest proportion.
FAVOURABLE = ("most_favourable", "any_time")
#: Timings that stand for "at any time", the better first; a status at a month or visit is a lower bound of it.
EVER = {"ever": 0, "not_stated": 1}
#: Which column of a table says what a question asks about.
OUTCOME_OF = {"binary": "definition_id", "continuous": "outcome"}
#: A row as a named tuple: quick to read, field by field, thousands of times.
Record = Any


class LeftOut(NamedTuple):
    """A row that is not used, and why; ``line`` is its line in the table's file."""

    study_id: str
    arm_id: str
    months: float
    table: str
    line: Any
    reason: str


#: Rows -> why each of them leaves, empty if it stays.
Rule = Callable[[Sequence[Record]], Sequence[str]]


@dataclass(frozen=True, eq=False)
class EvidenceBase:
    """The evidence base of a review: its tables, its rules, and its rows prepared for selection.

    Attributes
    ----------
    evidence : Evidence
        The tables of the data folder, as read. They are not to be changed: prepared rows are kept.
    protocol : Protocol
        The rules of the review.

    Notes
    -----
    A table is prepared once for each set of alternative handlings: the recorded handling of its anomalies is applied,
    and each row gets what is known of its arm, study and source. Every question then selects from the same rows.
    """

    evidence: Evidence
    protocol: Protocol
    _prepared: dict[Any, Any] = field(default_factory=dict, repr=False)

    def rows(self, table: str, alternative: Iterable[str] = (), outcome: str | None = None) -> pd.DataFrame:
        """Rows of ``binary`` or ``continuous`` after handling, with the columns of their arm, study and source.

        Parameters
        ----------
        table : {"binary", "continuous"}
        alternative : iterable of str
            Anomalies whose alternative handling is used.
        outcome : str, optional
            Only the rows of this outcome (``definition_id`` of counts, ``outcome`` of means).

        Returns
        -------
        pandas.DataFrame
            One row per row of the table. ``line`` is its line in the file, ``flag`` what is questioned, ``leave`` why
            it may not be used (empty if it may), ``n_stands_in`` whether n is the arm's and not the row's.

        Raises
        ------
        ProtocolError
            If an alternative belongs to no anomaly.
        """
        switches = frozenset(alternative)
        key = (table, switches, outcome)
        if key not in self._prepared:
            if outcome is None:
                self._prepared[key] = self._describe(table, switches)
            else:
                rows = self.rows(table, switches)
                self._prepared[key] = rows[(rows[OUTCOME_OF[table]] == outcome).to_numpy()]
        return self._prepared[key]

    def records(self, table: str, alternative: Iterable[str], outcome: str) -> list[Record]:
        """The rows of one outcome as named tuples, in the order of the table.

        Parameters
        ----------
        table : {"binary", "continuous", "contrasts"}
        alternative : iterable of str
            Anomalies whose alternative handling is used.
        outcome : str

        Returns
        -------
        list of namedtuple
            With the columns of :meth:`rows` (or :meth:`contrasts`) as fields.
        """
        switches = frozenset(alternative)
        key = ("records", table, switches, outcome)
        if key not in self._prepared:
            if table == "contrasts":
                rows = self.contrasts(switches)
                rows = rows[(rows.outcome == outcome).to_numpy()]
            else:
                rows = self.rows(table, switches, outcome)
            self._prepared[key] = list(rows.itertuples(index=False, name="Record"))
        return self._prepared[key]

    def contrasts(self, alternative: Iterable[str] = ()) -> pd.DataFrame:
        """Reported differences between arms after handling, with ``line``, ``arm_id`` and ``source_rank``."""
        key = ("contrasts", frozenset(alternative))
        if key not in self._prepared:
            rows = handled(self.evidence, "contrasts", alternative)
            rank = source_rank(self, rows.source_id)
            self._prepared[key] = rows.assign(
                table="contrasts", line=rows.index, arm_id=rows.treatment_arm, source_rank=rank
            )
        return self._prepared[key]

    @property
    def studies(self) -> dict[str, Record]:
        """The rows of ``studies.csv`` by study_id."""
        if "studies" not in self._prepared:
            rows = self.evidence.studies.itertuples(index=False, name="Study")
            self._prepared["studies"] = {row.study_id: row for row in rows}
        return self._prepared["studies"]

    @property
    def arms(self) -> dict[tuple[str, str], Record]:
        """The rows of ``arms.csv`` by study_id and arm_id."""
        if "arms" not in self._prepared:
            rows = self.evidence.arms.itertuples(index=False, name="Arm")
            self._prepared["arms"] = {(row.study_id, row.arm_id): row for row in rows}
        return self._prepared["arms"]

    def is_treated(self, study_id: str, arm_id: str) -> bool:
        """Whether an arm got cells."""
        arm = self.arms.get((study_id, arm_id))
        return arm is not None and arm.gets_cells == "yes"

    def is_untreated(self, study_id: str, arm_id: str) -> bool:
        """Whether an arm is a control without cells and without another active treatment."""
        arm = self.arms.get((study_id, arm_id))
        known = self.protocol["eligibility"]["untreated_comparators"]
        return arm is not None and arm.gets_cells == "no" and arm.comparator in known

    @property
    def controlled(self) -> frozenset[str]:
        """Studies with an untreated control arm."""
        if "controlled" not in self._prepared:
            self._prepared["controlled"] = frozenset(study for study, arm in self.arms if self.is_untreated(study, arm))
        return self._prepared["controlled"]

    def co_treatment(self, study_id: str, arm_id: str) -> str:
        """What arms got with the cells that no untreated control arm of the report got; empty for nothing.

        ``arm_id`` may name several arms, ``a+b v c``; those after the v are controls.
        """
        treated = arm_id.split(" v ")[0].split("+")
        given = {self.arms[study_id, arm].co_treatment for arm in treated if self.is_treated(study_id, arm)}
        shared = {arm.co_treatment for (study, name), arm in self.arms.items()
                  if study == study_id and self.is_untreated(study, name)} if given - {""} else set()  # fmt: skip
        return "; ".join(sorted(given - shared - {""}))

    def is_secondary(self, source_id: str) -> bool:
        """Whether one of these sources, joined by ``;``, is a published review and not the study itself."""
        if "secondary" not in self._prepared:
            sources = self.evidence.sources
            secondary = sources.kind.map(SOURCE_CLASS) == "secondary"
            self._prepared["secondary"] = frozenset(sources.source_id[secondary])
        return not self._prepared["secondary"].isdisjoint(source_id.split(";"))

    def cohorts(self, study_id: str, arm_id: str) -> frozenset[str]:
        """The cohorts that some arms of a report draw on (:func:`cellclaims.evidence.cohorts.cohorts_of`)."""
        key = ("cohorts", study_id, arm_id)
        if key not in self._prepared:
            self._prepared[key] = cohorts_of(self.evidence, (study_id, arm_id.replace(" v ", "+")))
        return self._prepared[key]

    def _describe(self, table: str, alternative: Iterable[str]) -> pd.DataFrame:
        evidence = self.evidence
        rows = handled(evidence, table, alternative)
        studies = evidence.studies.drop(columns=["notes", "n_infusions", "n_infusions_printed"])
        arms = evidence.arms.drop(columns="description")
        rows = rows.assign(table=table, line=rows.index, source_rank=source_rank(self, rows.source_id))
        if table == "binary":
            never = set(evidence.definitions.definition_id[evidence.definitions.pooled == "no"])
            alone = rows.definition_id.isin(never) & (rows.leave == "")
            rows = rows.assign(leave=np.where(alone, NEVER_POOLED, rows.leave))
        described = rows.merge(studies, on="study_id", how="left", validate="m:1")
        return _with_n_of_the_arm(described.merge(arms, on=["study_id", "arm_id"], how="left", validate="m:1"))


@dataclass(frozen=True, eq=False)
class Selected:
    """Rows that answer a question, and the rows left out, each with its reason.

    Attributes
    ----------
    records : list of namedtuple
        The rows that answer the question.
    left : list of LeftOut
    columns : tuple of str
        Fields of a record, for a selection without rows.
    """

    records: list[Record]
    left: list[LeftOut]
    columns: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> pd.DataFrame:
        """The rows that answer the question, as a table."""
        columns = self.records[0]._fields if self.records else self.columns
        return pd.DataFrame.from_records(self.records, columns=list(columns))

    @cached_property
    def left_out(self) -> pd.DataFrame:
        """Study, arm, month, table, line and reason of every row that is not used."""
        return pd.DataFrame.from_records(self.left, columns=list(LeftOut._fields))


# Which row of one report answers a question, and which reports may be used together: quick enough for thousands of
# questions.


def by_report(rows: Iterable[Record]) -> dict[str, list[Record]]:
    """The rows of each report, in the order given."""
    reports: dict[str, list[Record]] = {}
    for row in rows:
        reports.setdefault(row.study_id, []).append(row)
    return reports


def in_a_whole(arms: Sequence[Any], part_of: Sequence[Any]) -> list[bool]:
    """Whether each arm is part of another one that is counted.

    >>> in_a_whole(["all", "young"], ["", "all"])
    [False, True]
    """
    whole = set(arms)
    return [whole_of in whole for whole_of in part_of]


def preference(row: Record, estimand: str, month: float) -> tuple[float, ...]:
    """Sorts the row that answers best to the front.

    At a month the nearest one, of the fullest source. At any time an ever count before one whose time is not stated,
    and both before a status, then the higher proportion. The most favourable is the highest proportion, then the later
    month.
    """
    at = 0.0 if math.isnan(row.months) else row.months
    if estimand == "at_month":
        return (abs(at - month), row.source_rank, row.line)
    if estimand == "last_follow_up":
        return (row.source_rank, -at, row.line)
    rate = -row.events / row.n
    if estimand == "most_favourable":
        return (rate, -at, row.line)
    return (EVER.get(row.timing, len(EVER)), rate, row.line)


def best_of_arms(rows: Sequence[Record], estimand: str, month: float) -> list[Record]:
    """One row per arm, the one that answers best, in the order given."""
    best: dict[str, Record] = {}
    for row in sorted(rows, key=lambda r: preference(r, estimand, month)):
        best.setdefault(row.arm_id, row)
    chosen = {row.line for row in best.values()}
    return [row for row in rows if row.line in chosen]


def counted_alike(rows: Sequence[Record], estimand: str, month: float) -> list[Record]:
    """The rows of a report's arms that are counted as the best one is: at the same time, in the same way."""
    best = min(rows, key=lambda r: preference(r, estimand, month))
    same = best.timing == "ever"
    return [
        r
        for r in rows
        if r.timing == best.timing and (same or r.months == best.months or math.isnan(r.months + best.months))
    ]


def also_reported(chosen: Sequence[Record], others: Sequence[tuple[Record, str]]) -> str:
    """Other proportions of the same arms, with their times: what stands with the most favourable one."""
    arms = {row.arm_id for row in chosen}
    used = {(row.events, row.n) for row in chosen}
    found = [row for row, _ in others if row.arm_id in arms and (row.events, row.n) not in used]
    return "; ".join(
        dict.fromkeys(f"also {row.events:g}/{row.n:g} {when_counted(row.timing, row.months)}" for row in found)
    )


def when_counted(timing: str, months: float) -> str:
    """When a count was taken, in words.

    >>> when_counted("at_month", 12.0), when_counted("not_stated", 12.0)
    ('at 12 months', 'time not stated')
    """
    at = "" if math.isnan(months) else f" {months:g} months"
    words = {
        "at_month": f"at{at}",
        "ever": "at any time",
        "last_follow_up": f"at the last follow-up{at and ', ' + at.strip()}",
    }
    return words.get(timing, "time not stated")


def answer(rows: Sequence[Record], estimand: str, month: float) -> tuple[list[Record], list[tuple[Record, str]]]:
    """The rows of one report that are counted together, and every other one with its reason.

    An arm and its part are never both counted; one row is used per arm; arms count together where they are counted
    alike.
    """
    parts = in_a_whole([r.arm_id for r in rows], [r.part_of for r in rows])
    wholes = [r for r, part in zip(rows, parts, strict=True) if not part]
    others = [(r, f"part of arm {r.part_of}, which is counted") for r, p in zip(rows, parts, strict=True) if p]
    best = best_of_arms(wholes, estimand, month)
    others += [(r, "another row of the same arm answers better") for r in _others(wholes, best)]
    alike = counted_alike(best, estimand, month) if len(best) > 1 else best
    words = "another arm of the report is counted in a way that answers better"
    return alike, others + [(r, words) for r in _others(best, alike)]


def _others(rows: Sequence[Record], chosen: Sequence[Record]) -> list[Record]:
    lines = {row.line for row in chosen}
    return [row for row in rows if row.line not in lines]


def summed(rows: Sequence[Record]) -> Record:
    """Arms of one report that are counted together, as one row: events and n are sums, lines and flags are joined."""
    first = rows[0]
    if len(rows) == 1:
        return first
    return first._replace(
        flag=joined(*(row.flag for row in rows), f"{len(rows)} arms counted together"),
        arm_id="+".join(row.arm_id for row in rows),
        line=";".join(str(row.line) for row in rows),
        events=sum(row.events for row in rows),
        n=sum(row.n for row in rows),
    )


def fullness(rate: float, n: float, source_rank: float, year: float, study_id: str) -> tuple[Any, ...]:
    """Sorts the report that is used for its cohort to the front: most patients, the fullest source, the later year.

    ``rate`` is 0 unless the most favourable report is asked for; then the highest proportion comes first.
    """
    return (-rate, -n, source_rank, 0.0 if math.isnan(year) else -year, study_id)


def sharing(cohorts: Sequence[frozenset[str]]) -> NDArray[np.bool_]:
    """Whether two reports share a cohort, shape (m, m)."""
    return np.array([[bool(one & other) for other in cohorts] for one in cohorts], dtype=bool).reshape(
        len(cohorts), len(cohorts)
    )


def one_a_cohort(keep: NDArray[np.bool_], shares: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of overlapping reports the first one stays, for many choices of reports at once.

    Parameters
    ----------
    keep : ndarray of bool, shape (s, m)
        Which reports each choice has; the report that is used for its cohort comes before the others.
    shares : ndarray of bool, shape (m, m)
        Which reports share patients (:func:`sharing`).

    Returns
    -------
    ndarray of bool, shape (s, m)
        The reports that are counted. One that is not counted takes no cohort from another.

    Examples
    --------
    A shares with B and B with C: with A, B leaves and C stays.

    >>> chain = np.array([[1, 1, 0], [1, 1, 1], [0, 1, 1]], dtype=bool)
    >>> one_a_cohort(np.array([[1, 1, 1], [0, 1, 1]], dtype=bool), chain).astype(int).tolist()
    [[1, 0, 1], [0, 1, 0]]
    """
    counted = keep.copy()
    for report in range(1, keep.shape[1]):
        taken = counted[:, :report][:, shares[report, :report]].any(axis=1)
        counted[:, report] &= ~taken
    return counted


# From a question to its rows.


def select(base: EvidenceBase, question: Question, measure: str) -> Selected:
    """The rows that answer a question for a measure: counts for proportions (PLO) and levels for means (MC, MD).

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    measure : {"PLO", "MC", "MD"}

    Returns
    -------
    Selected
    """
    return select_counts(base, question) if measure == "PLO" else select_levels(base, question)


def select_counts(base: EvidenceBase, question: Question) -> Selected:
    """Counts (events of n) that answer a question: one row per report, one report per cohort.

    Parameters
    ----------
    base : EvidenceBase
    question : Question

    Returns
    -------
    Selected
        One row per report in the order of their years, with events and n (patients) summed over its arms; ``flag``
        says what is questioned.

    Raises
    ------
    ProtocolError
        For a name in the question that the protocol does not have.
    """
    reports = report_counts(base, question)
    final = independent(base, question, reports.records)
    return Selected(final.records, _by_study([*reports.left, *final.left]), reports.columns)


def report_counts(base: EvidenceBase, question: Question) -> Selected:
    """Counts that answer a question, one row per report, before overlapping cohorts are resolved.

    Parameters and errors are those of :func:`select_counts`.
    """
    question = question.at(base.protocol)
    rows = base.records("binary", question.alternative, question.outcome)
    kept, left = _apply(rows, [*_eligibility(base, question), *count_rules(question)])
    single, several = [], []
    for report in by_report(kept).values():
        alike, others = answer(report, question.estimand, question.target)
        one = summed(alike)
        if question.estimand in FAVOURABLE and (words := also_reported(alike, others)):
            one = one._replace(flag=joined(one.flag, words))
        (single if len(alike) == 1 else several).append(one)
        left += [_left_out(row, reason) for row, reason in others]
    return Selected([*single, *several], _by_study(left), tuple(base.rows("binary").columns))


def select_levels(base: EvidenceBase, question: Question) -> Selected:
    """Rows of ``continuous.csv`` that may serve a mean change or a mean difference: eligible, still one row each.

    Parameters
    ----------
    base : EvidenceBase
    question : Question

    Returns
    -------
    Selected

    Raises
    ------
    ProtocolError
        For a name in the question that the protocol does not have.
    """
    question = question.at(base.protocol)
    rows = base.records("continuous", question.alternative, question.outcome)
    kept, left = _apply(rows, [*_eligibility(base, question), *level_rules(question)])
    return Selected(kept, _by_study(left), tuple(base.rows("continuous").columns))


def eligible(base: EvidenceBase, question: Question, table: str) -> list[Record]:
    """Rows that match outcome, population, product, arms and designs, before the time window and before arms are
    summed.
    """
    question = question.at(base.protocol)
    rows = base.records(table, question.alternative, question.outcome)
    return passing(rows, _eligibility(base, question))


def count_rules(question: Question) -> list[Rule]:
    """The rules on single counts that depend on the estimand, the month and on what may be assumed."""
    return [_each(_timing(question)), _each(_month(question)), _each(_counted), _each(_assumed(question))]


def level_rules(question: Question) -> list[Rule]:
    """The rules on levels and changes that depend on the month, on what may be assumed, and on one another."""
    units = [_each(_unit(question))] if question.unit else []
    return [*units, _each(_month_or_baseline(question)), _each(_assumed(question)), _part_of_a_whole]


def passing(rows: Sequence[Record], rules: Iterable[Rule]) -> list[Record]:
    """The rows that no rule sends away, without the reasons of the others."""
    return _apply(rows, rules)[0]


def independent(base: EvidenceBase, question: Question, reports: Sequence[Record]) -> Selected:
    """One report per cohort, of reports that each have an effect already.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    reports : sequence of namedtuple
        One row per report, with study_id, arm_id (``a+b v c`` for several), n, year and source_rank.

    Returns
    -------
    Selected
        Rows in the order of their years; the others with the report that is used instead.
    """
    question = question.at(base.protocol)
    kept, left = _apply(reports, [_each(_enough(question)), _one_report_a_cohort(base, question)])
    return Selected(sorted(kept, key=_year), _by_study(left))


def series(base: EvidenceBase, question: Question) -> pd.DataFrame:
    """Status at every month that a report counts, arms summed: for durability, where cohorts may overlap.

    Parameters
    ----------
    base : EvidenceBase
    question : Question

    Returns
    -------
    pandas.DataFrame
        One row per report and month, with events and n (patients).
    """
    question = question.at(base.protocol)
    rows = base.records("binary", question.alternative, question.outcome)
    rows = [row for row in rows if row.timing == "at_month" and not math.isnan(row.months)]
    kept, _ = _apply(rows, [*_eligibility(base, question), _each(_counted), _each(_assumed(question))])
    times: dict[tuple[str, float], list[Record]] = {}
    for row in kept:
        times.setdefault((row.study_id, row.months), []).append(row)
    found = [summed(answer(times[study, month], "at_month", month)[0]) for study, month in sorted(times)]
    return Selected(found, [], tuple(base.rows("binary").columns)).rows


def benchmarks(base: EvidenceBase, question: Question) -> pd.DataFrame:
    """Registry rows of the same outcome, shown for comparison with a pool and never part of it."""
    question = question.at(base.protocol)
    rows = base.rows("binary", question.alternative)
    registry = rows.design.isin(base.protocol["eligibility"]["benchmark_designs"])
    return rows[registry & (rows.definition_id == question.outcome) & (rows.leave == "")]


def source_rank(base: EvidenceBase, source_ids: pd.Series) -> pd.Series:
    """0 for the fullest kind of source, larger for thinner ones, in the protocol's order."""
    order = {kind: rank for rank, kind in enumerate(base.protocol["selection"]["fullest_report"])}
    kinds = base.evidence.sources.set_index("source_id")["kind"]
    return source_ids.map(kinds).map(order).fillna(len(order)).astype(float)


def _with_n_of_the_arm(rows: pd.DataFrame) -> pd.DataFrame:
    patients = rows.n_analysed.fillna(rows.n_enrolled)
    missing = rows.n.isna() & patients.notna()
    words = [f"n not printed at this time: {p:g} {'analysed' if np.isfinite(a) else 'enrolled'} stand in"
             for p, a in zip(patients[missing], rows.n_analysed[missing], strict=True)]  # fmt: skip
    rows.loc[missing, "flag"] = [joined(old, new) for old, new in zip(rows.loc[missing, "flag"], words, strict=True)]
    return rows.assign(n=rows.n.fillna(patients), n_stands_in=missing)


def _apply(rows: Sequence[Record], rules: Iterable[Rule]) -> tuple[list[Record], list[LeftOut]]:
    """The rows that every rule keeps, and the others with the reason of the first rule that sends them away."""
    kept, left = list(rows), []
    for rule in rules:
        reasons = rule(kept)
        if any(reasons):
            left += [_left_out(row, reason) for row, reason in zip(kept, reasons, strict=True) if reason]
            kept = [row for row, reason in zip(kept, reasons, strict=True) if not reason]
    return kept, left


def _left_out(row: Record, reason: str) -> LeftOut:
    return LeftOut(row.study_id, row.arm_id, row.months, row.table, row.line, reason)


def _by_study(left: list[LeftOut]) -> list[LeftOut]:
    return sorted(left, key=lambda row: row.study_id)


def _year(row: Record) -> tuple[bool, float, str]:
    unknown = math.isnan(row.year)
    return (unknown, 0.0 if unknown else row.year, row.study_id)


# The rules.


def _each(why: Callable[[Record], str]) -> Rule:
    """A rule that looks at one row at a time."""
    return lambda rows: [why(row) for row in rows]


def _eligibility(base: EvidenceBase, question: Question) -> list[Rule]:
    protocol = base.protocol
    classes = frozenset(protocol.classes(question.product))
    product = protocol.product_name(question.product)
    registries = protocol["eligibility"]["benchmark_designs"]
    people, designs, exclude = (frozenset(x) for x in (question.population, question.designs, question.exclude))
    wanted, asked = " or ".join(question.population), " or ".join(question.designs)

    def population(row: Record) -> str:
        return "" if row.diabetes_type in people else f"population {row.diabetes_type}, asked for {wanted}"

    def product_class(row: Record) -> str:
        return "" if row.intervention_class in classes else f"product {row.intervention_class}, asked for {product}"

    def design(row: Record) -> str:
        return "" if row.design in designs else f"design {row.design}, asked for {asked}"

    rules = [
        lambda row: row.leave,
        population,
        product_class,
        lambda row: "registry: a benchmark beside the pool, never in it" if row.design in registries else "",
        lambda row: "left out by the parameter exclude" if row.study_id in exclude else "",
        *([] if question.secondary else [_own_report(base)]),
        *([] if question.co_treatments else [_cells_alone(base)]),
        _arms(base, question),
        *([design] if designs else []),
    ]
    return [_each(rule) for rule in rules]


def _own_report(base: EvidenceBase) -> Callable[[Record], str]:
    def why(row: Record) -> str:
        return "from a table of a published review" if base.is_secondary(row.source_id) else ""

    return why


def _cells_alone(base: EvidenceBase) -> Callable[[Record], str]:
    def why(row: Record) -> str:
        given = base.co_treatment(row.study_id, row.arm_id)
        return f"another treatment was given with the cells: {given}" if given else ""

    return why


def _arms(base: EvidenceBase, question: Question) -> Callable[[Record], str]:
    untreated = base.protocol["eligibility"]["untreated_comparators"]

    def why(row: Record) -> str:
        if question.arms == "cells":
            return "" if row.gets_cells == "yes" else "arm without cells"
        is_control = row.gets_cells == "no" and row.comparator in untreated
        return "" if is_control else f"no untreated control arm ({row.comparator or row.role})"

    return why


def _timing(question: Question) -> Callable[[Record], str]:
    asked = question.estimand

    def why(row: Record) -> str:
        fits = asked in (*FAVOURABLE, row.timing) or (asked == "ever" and row.timing in EVER)
        if fits:
            return ""
        counted = "time not stated" if row.timing == "not_stated" else f"counted {row.timing}"
        return f"{counted}, asked for {asked}"

    return why


def _month(question: Question) -> Callable[[Record], str]:
    def why(row: Record) -> str:
        if question.estimand != "at_month":
            return ""
        if not question.admits(row.months):
            return _month_words(row.months, question)
        if question.origin and row.time_origin != question.origin:
            counted = row.time_origin.replace("_", " ") or "an event that is not stated"
            return f"months counted from {counted}, asked for {question.origin.replace('_', ' ')}"
        return ""

    return why


def _month_or_baseline(question: Question) -> Callable[[Record], str]:
    def why(row: Record) -> str:
        is_baseline = row.months == 0 and row.kind == "level"
        return "" if is_baseline or question.admits(row.months) else _month_words(row.months, question)

    return why


def _unit(question: Question) -> Callable[[Record], str]:
    """The rule that units which do not convert into each other are never mixed."""
    asked = family_of(question.unit)

    def why(row: Record) -> str:
        return "" if family_of(row.unit) == asked else f"reported in {row.unit}, asked for {question.unit}"

    return why


def _month_words(months: float, question: Question) -> str:
    found = "no month stated" if math.isnan(months) else f"month {months:g}"
    return f"{found}, asked for {window_words(question)}"


def window_words(question: Question) -> str:
    """The months asked for, without the word: "12 ± 3", or "2.75 to 15".

    >>> window_words(Question("hba1c", "T2D", "msc", months=(2.75, 15)))
    '2.75 to 15'
    """
    if isinstance(question.months, tuple):
        return "{:g} to {:g}".format(*question.months)
    return f"{question.months:g} \N{PLUS-MINUS SIGN} {question.window:g}"


def too_few(row: Record, fewest: int) -> bool:
    """Whether an arm of a count or an effect is smaller than the review pools."""
    control = getattr(row, "n_control", math.nan)
    return (row.n if math.isnan(control) else min(row.n, control)) < fewest


def _enough(question: Question) -> Callable[[Record], str]:
    """The rule that smaller arms and single cases are listed, not pooled."""
    words = f"fewer than {question.fewest} participants in an arm: listed, not pooled"
    return lambda row: words if too_few(row, question.fewest) else ""


def _counted(row: Record) -> str:
    if math.isnan(row.events):
        return "no count of events"
    return "no number of patients" if math.isnan(row.n) else ""


def _assumed(question: Question) -> Callable[[Record], str]:
    def why(row: Record) -> str:
        doubtful = not question.assumed and (row.status == "assumed" or row.n_stands_in)
        return "an assumed label or patient number, left out by the parameter assumed" if doubtful else ""

    return why


def _part_of_a_whole(rows: Sequence[Record]) -> list[str]:
    arms, wholes = ([(row.study_id, getattr(row, name)) for row in rows] for name in ("arm_id", "part_of"))
    parts = in_a_whole(arms, wholes)
    return [
        f"part of arm {row.part_of}, which is counted" if part else "" for row, part in zip(rows, parts, strict=True)
    ]


def _one_report_a_cohort(base: EvidenceBase, question: Question) -> Rule:
    """The best report takes its cohorts; a later one that shares any of them leaves."""

    def rule(rows: Sequence[Record]) -> list[str]:
        favourable = question.estimand in FAVOURABLE
        keys = [
            fullness(
                row.events / row.n if favourable and hasattr(row, "events") else 0.0,
                row.n, row.source_rank, row.year, row.study_id,
            )
            for row in rows
        ]  # fmt: skip
        taken: dict[str, str] = {}
        reasons = [""] * len(rows)
        for place in sorted(range(len(rows)), key=keys.__getitem__):
            study_id = rows[place].study_id
            own = base.cohorts(study_id, rows[place].arm_id)
            if shared := [cohort for cohort in sorted(own) if cohort in taken]:
                first = taken[shared[0]]
                reasons[place] = f"shares patients ({', '.join(shared)}) with {first}, which is counted"
            else:
                taken |= dict.fromkeys(own, study_id)
        return reasons

    return rule
