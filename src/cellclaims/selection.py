"""Which rows of the evidence answer a question, and why the others do not.

Selection is a list of rules in a fixed order. Each rule is a function from rows to which of them leave and why, so
the table of rows left out is complete by construction.

A *report* is one study. Its arms that got cells count as one group of patients. A *cohort* is a set of patients
that several reports may share (``cohorts.csv``); only one of them is used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellclaims.anomalies import handled, joined
from cellclaims.evidence import Evidence
from cellclaims.evidence.cohorts import cohorts_of
from cellclaims.protocol import Protocol
from cellclaims.question import ESTIMANDS, Question

if TYPE_CHECKING:
    import pandas as pd


# Which rows of one report answer a question, and which reports may stand side by side: pure, and quick enough for
# thousands of questions.
#
# A *row* is one count of one arm; a report may print many. The table-wide rules (population, month, what is
# derived)
# stand in :mod:`cellclaims.selection`; here stands what depends on the rows beside a row.


#: Order of the most favourable report of a cohort; a count without a stated time stands before a fixed month.
FAVOURABLE = ("ever", "last_follow_up", "not_stated", "at_month")


class Row(NamedTuple):
    """What the choice among the rows of a report depends on; ``place`` is the row's label in its table."""

    place: Any
    arm_id: str
    part_of: str
    timing: str
    months: float
    events: float
    n: float
    source_rank: float
    line: int


def by_report(rows: pd.DataFrame) -> dict[str, list[Row]]:
    """The rows of each report, in the order of the table."""
    columns = [rows[name] for name in Row._fields[1:]]
    reports: dict[str, list[Row]] = {}
    for study_id, *cells in zip(rows.study_id, rows.index, *columns, strict=True):
        reports.setdefault(study_id, []).append(Row(*cells))
    return reports


def in_a_whole(arms: Sequence[Any], part_of: Sequence[Any]) -> list[bool]:
    """Whether each arm is part of another one that is counted.

    >>> in_a_whole(["all", "young"], ["", "all"])
    [False, True]
    """
    whole = set(arms)
    return [whole_of in whole for whole_of in part_of]


def preference(row: Row, estimand: str, month: float) -> tuple[float, ...]:
    """Sorts the row that answers best to the front.

    At a month the nearest one, of the fullest source. Where success at any time counts (ever, the most favourable
    report), the order of FAVOURABLE, then the later month, then the higher share.
    """
    at = 0.0 if math.isnan(row.months) else row.months
    if estimand == "at_month":
        return (abs(at - month), row.source_rank, row.line)
    if estimand == "last_follow_up":
        return (row.source_rank, -at, row.line)
    rate = -row.events / row.n
    return (rate, row.line) if estimand == "ever" else (FAVOURABLE.index(row.timing), -at, rate, row.line)


def best_of_arms(rows: Sequence[Row], estimand: str, month: float) -> list[Row]:
    """One row an arm, the one that answers best, in the order given."""
    best: dict[str, Row] = {}
    for row in sorted(rows, key=lambda r: preference(r, estimand, month)):
        best.setdefault(row.arm_id, row)
    chosen = {row.place for row in best.values()}
    return [row for row in rows if row.place in chosen]


def counted_alike(rows: Sequence[Row], estimand: str, month: float) -> list[Row]:
    """The rows of a report's arms that are counted as the best one is: at the same time, in the same way."""
    best = min(rows, key=lambda r: preference(r, estimand, month))
    same = best.timing == "ever"
    return [
        r
        for r in rows
        if r.timing == best.timing and (same or r.months == best.months or math.isnan(r.months + best.months))
    ]


def answer(rows: Sequence[Row], estimand: str, month: float) -> tuple[list[Row], dict[Any, str]]:
    """The rows of one report that are counted together, and the reason of every other one by its place.

    An arm and its part are never both counted; one row stands for an arm; arms count together where they are
    counted alike.
    """
    reasons: dict[Any, str] = {}
    parts = in_a_whole([r.arm_id for r in rows], [r.part_of for r in rows])
    wholes = [r for r, part in zip(rows, parts, strict=True) if not part]
    reasons |= {r.place: f"part of arm {r.part_of}, which is counted" for r, p in zip(rows, parts, strict=True) if p}
    best = best_of_arms(wholes, estimand, month)
    reasons |= dict.fromkeys(_others(wholes, best), "another row of the same arm answers better")
    alike = counted_alike(best, estimand, month) if len(best) > 1 else best
    words = "another arm of the report is counted in a way that answers better"
    return alike, reasons | dict.fromkeys(_others(best, alike), words)


def _others(rows: Sequence[Row], chosen: Sequence[Row]) -> list[Any]:
    places = {row.place for row in chosen}
    return [row.place for row in rows if row.place not in places]


def fullness(timing: str, n: float, source_rank: float, year: float, study_id: str) -> tuple[Any, ...]:
    """Sorts the report that speaks for its cohort to the front: most patients, the fullest source, the later year.

    ``timing`` is empty unless the most favourable report is asked for; then its order comes first.
    """
    early = FAVOURABLE.index(timing) if timing else 0
    return (early, -n, source_rank, 0.0 if math.isnan(year) else -year, study_id)


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
        Which reports each choice has; the report that speaks for its cohort stands before the others.
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


__all__ = [
    "ESTIMANDS", "FAVOURABLE", "EvidenceBase", "Question", "Selected", "benchmarks", "count_rules", "eligible",
    "independent", "level_rules", "passing", "report_counts", "select_counts", "select_levels",
    "series", "source_rank",
]  # fmt: skip

#: What a reason may name of the row that leaves.
NAMED_IN_REASONS = "diabetes_type intervention_class design comparator role timing months events part_of".split()

#: Why a count leaves whose definition is shown and never pooled (``definitions.csv``).
NEVER_POOLED = "a single named event, or events only called severe or related: shown, never pooled"

#: Which column of a table says what a question asks about.
OUTCOME_OF = {"binary": "definition_id", "continuous": "outcome"}


class Leaving(NamedTuple):
    """Which rows leave, and why: one reason for all, one made from each row, or the words for every row."""

    leaves: np.ndarray
    reason: str | Callable[[Any], str] | np.ndarray

    def words(self, rows: pd.DataFrame) -> Sequence[str]:
        """The reason of each row that leaves."""
        if isinstance(self.reason, str):
            return [self.reason] * np.count_nonzero(self.leaves)
        if isinstance(self.reason, np.ndarray):
            return self.reason[self.leaves]
        named = rows.loc[self.leaves, [c for c in NAMED_IN_REASONS if c in rows]]
        return [self.reason(row) for row in named.itertuples()]


Rule = Callable[[pd.DataFrame], Leaving]


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
    _prepared: dict[tuple[Any, ...], pd.DataFrame] = field(default_factory=dict, repr=False)

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

    def contrasts(self, alternative: Iterable[str] = ()) -> pd.DataFrame:
        """Reported differences between arms after handling, with ``line``, ``arm_id`` and ``source_rank``."""
        key = ("contrasts", frozenset(alternative))
        if key not in self._prepared:
            rows = handled(self.evidence, "contrasts", alternative)
            rank = source_rank(self, rows.source_id)
            self._prepared[key] = rows.assign(line=rows.index, arm_id=rows.treatment_arm, source_rank=rank)
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


@dataclass(frozen=True)
class Selected:
    """Rows that answer the question, and the rows left out, each with its reason."""

    rows: pd.DataFrame
    left_out: pd.DataFrame = field(repr=False)


def select_counts(base: EvidenceBase, question: Question) -> Selected:
    """Counts (events of n) that answer a question: one row a report, one report a cohort.

    Returns
    -------
    Selected
        ``rows``: one a report, with events and n summed over its arms, ``note`` holding every flag in words.
    """
    reports = report_counts(base, question)
    final = independent(base, question, reports.rows)
    return Selected(final.rows, _reasons([reports.left_out, final.left_out]))


def report_counts(base: EvidenceBase, question: Question) -> Selected:
    """Counts that answer a question, one row a report, before overlapping cohorts are resolved."""
    question = question.at(base.protocol)
    rows = base.rows("binary", question.alternative, question.outcome)
    kept, out = _apply(rows, [*_eligibility(base.protocol, question), *count_rules(question)])
    reports, merged = _one_row_a_report(kept, question)
    return Selected(reports, _reasons([out, merged]))


def eligible(base: EvidenceBase, question: Question, table: str) -> pd.DataFrame:
    """Rows of the outcome, population, product, arms and designs asked for, at whatever time, still one a row."""
    question = question.at(base.protocol)
    return passing(base.rows(table, question.alternative, question.outcome), _eligibility(base.protocol, question))


def count_rules(question: Question) -> list[Rule]:
    """The rules on single counts that depend on the estimand, the month and on what may be assumed."""
    return [_timing(question), _month(question), _counted, _assumed(question)]


def select_levels(base: EvidenceBase, question: Question) -> Selected:
    """Rows of ``continuous.csv`` that may serve a mean change or a mean difference: eligible, still one a row."""
    question = question.at(base.protocol)
    rows = base.rows("continuous", question.alternative, question.outcome)
    kept, out = _apply(rows, [*_eligibility(base.protocol, question), *level_rules(question)])
    return Selected(kept, _reasons([out]))


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


def level_rules(question: Question) -> list[Rule]:
    """The rules on levels and changes that depend on the month, on what may be assumed, and on one another."""
    return [_month_or_baseline(question), _assumed(question), _part_of_a_whole]


def passing(rows: pd.DataFrame, rules: Iterable[Rule]) -> pd.DataFrame:
    """The rows that no rule sends away, without the reasons of the others."""
    for rule in rules:
        if rows.empty:
            break
        leaves = rule(rows).leaves
        rows = rows[~leaves] if leaves.any() else rows
    return rows


def independent(base: EvidenceBase, question: Question, reports: pd.DataFrame) -> Selected:
    """One report a cohort, of reports that each have an effect already."""
    question = question.at(base.protocol)
    kept, out = _apply(reports, [_one_report_a_cohort(base.evidence, question)])
    return Selected(_in_order(kept), _reasons([out]))


def series(base: EvidenceBase, question: Question) -> pd.DataFrame:
    """Status at every month that a report counts, arms summed: for durability, where cohorts may overlap."""
    question = question.at(base.protocol)
    rows = base.rows("binary", question.alternative)
    rows = rows[(rows.definition_id == question.outcome) & (rows.timing == "at_month") & rows.months.notna()]
    kept, _ = _apply(rows, [*_eligibility(base.protocol, question), _counted, _assumed(question)])
    if kept.empty:
        return kept
    months = []
    for (_, month), group in kept.groupby(["study_id", "months"], sort=True):
        (report,) = by_report(group).values()
        counted, _ = answer(report, "at_month", month)
        months.append(_summed(group.loc[[row.place for row in counted]]))
    return pd.DataFrame(months).reset_index(drop=True)


def benchmarks(base: EvidenceBase, question: Question) -> pd.DataFrame:
    """Registry rows of the same outcome, to stand beside a pool and never in it."""
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


def _apply(rows: pd.DataFrame, rules: Iterable[Rule]) -> tuple[pd.DataFrame, pd.DataFrame]:
    out = []
    for rule in rules:
        if rows.empty:
            break
        leaving = rule(rows)
        if leaving.leaves.any():
            out.append(rows[leaving.leaves].assign(reason=np.array(leaving.words(rows), dtype=object)))
            rows = rows[~leaving.leaves]
    return rows, pd.concat(out) if out else rows.head(0).assign(reason="")


def _reasons(parts: list[pd.DataFrame]) -> pd.DataFrame:
    columns = ["study_id", "arm_id", "months", "table", "line", "reason"]
    parts = [p.reindex(columns=columns) for p in parts if len(p)]
    return (
        pd.concat(parts).sort_values("study_id", kind="stable").reset_index(drop=True)
        if parts
        else pd.DataFrame(columns=columns)
    )


def _leaving(leaves: pd.Series | np.ndarray, reason: str | Callable[[Any], str]) -> Leaving:
    return Leaving(np.asarray(leaves, dtype=bool), reason)


def _with_a_reason(words: pd.Series) -> Leaving:
    """Rows leave for whom there are words."""
    words = words.to_numpy(dtype=object)
    return Leaving(words != "", words)


def _eligibility(protocol: Protocol, question: Question) -> list[Rule]:
    classes = protocol.classes(question.product)
    name = protocol.product_name(question.product)
    registries = protocol["eligibility"]["benchmark_designs"]
    wanted = " or ".join(question.population)
    rules: list[Rule] = [
        lambda rows: _with_a_reason(rows.leave),
        lambda rows: _leaving(
            ~rows.diabetes_type.isin(question.population),
            lambda r: f"population {r.diabetes_type}, asked for {wanted}",
        ),
        lambda rows: _leaving(
            ~rows.intervention_class.isin(classes),
            lambda r: f"product {r.intervention_class}, asked for {name}",
        ),
        lambda rows: _leaving(rows.design.isin(registries), "registry: a benchmark beside the pool, never in it"),
        lambda rows: _leaving(rows.study_id.isin(question.exclude), "left out by the parameter exclude"),
        _arms(protocol, question),
    ]
    if question.designs:
        rules.append(
            lambda rows: _leaving(
                ~rows.design.isin(question.designs),
                lambda r: f"design {r.design}, asked for {' or '.join(question.designs)}",
            )
        )
    return rules


def _arms(protocol: Protocol, question: Question) -> Rule:
    untreated = protocol["eligibility"]["untreated_comparators"]

    def rule(rows: pd.DataFrame) -> Leaving:
        if question.arms == "cells":
            return _leaving(rows.gets_cells != "yes", "arm without cells")
        control = (rows.gets_cells == "no") & rows.comparator.isin(untreated)
        return _leaving(~control, lambda r: f"no untreated control arm ({r.comparator or r.role})")

    return rule


def _timing(question: Question) -> Rule:
    def rule(rows: pd.DataFrame) -> Leaving:
        if question.estimand == "most_favourable":
            return _leaving(np.zeros(len(rows)), "")
        return _leaving(
            rows.timing != question.estimand,
            lambda r: f"counted {r.timing}, asked for {question.estimand}",
        )

    return rule


def _month(question: Question) -> Rule:
    def rule(rows: pd.DataFrame) -> Leaving:
        fixed = question.estimand == "at_month"
        far = fixed & ~((rows.months - question.months).abs() <= question.window)
        return _leaving(far, lambda r: _month_words(r.months, question))

    return rule


def _month_or_baseline(question: Question) -> Rule:
    def rule(rows: pd.DataFrame) -> Leaving:
        far = ~(
            ((rows.months - question.months).abs() <= question.window) | ((rows.months == 0) & (rows.kind == "level"))
        )
        return _leaving(far, lambda r: _month_words(r.months, question))

    return rule


def _month_words(months: float, question: Question) -> str:
    found = "no month stated" if np.isnan(months) else f"month {months:g}"
    return f"{found}, asked for {question.months:g} \N{PLUS-MINUS SIGN} {question.window:g}"


def _counted(rows: pd.DataFrame) -> Leaving:
    lacking = rows.events.isna() | rows.n.isna()
    return _leaving(lacking, lambda r: "no count of events" if np.isnan(r.events) else "no number of patients")


def _assumed(question: Question) -> Rule:
    def rule(rows: pd.DataFrame) -> Leaving:
        doubtful = (rows.status == "assumed") | rows.n_stands_in
        return _leaving(
            doubtful & (not question.assumed),
            "an assumed label or patient number, left out by the parameter assumed",
        )

    return rule


def _part_of_a_whole(rows: pd.DataFrame) -> Leaving:
    arms, wholes = (list(zip(rows.study_id, rows[name], strict=True)) for name in ("arm_id", "part_of"))
    return _leaving(in_a_whole(arms, wholes), lambda r: f"part of arm {r.part_of}, which is counted")


def _one_row_a_report(rows: pd.DataFrame, question: Question) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Arms of one report as one group of patients, where they are counted alike."""
    chosen, reasons = [], {}
    for report in by_report(rows).values():
        alike, others = answer(report, question.estimand, question.months)
        chosen.append([row.place for row in alike])
        reasons |= others
    out = rows.loc[list(reasons)].assign(reason=list(reasons.values()))
    reports = [rows.loc[[places[0] for places in chosen if len(places) == 1]]]
    reports += [pd.DataFrame([_summed(rows.loc[places])]) for places in chosen if len(places) > 1]
    return pd.concat([r for r in reports if len(r)] or [rows]), out


def _summed(report: pd.DataFrame) -> pd.Series:
    one = report.iloc[0].copy()
    if len(report) > 1:
        one["flag"] = joined(*report.flag, f"{len(report)} arms counted together")
    one["arm_id"] = "+".join(report.arm_id)
    one["line"] = ";".join(str(x) for x in report.line) if len(report) > 1 else one["line"]
    one["events"], one["n"] = report.events.sum(), report.n.sum()
    return one


def _one_report_a_cohort(evidence: Evidence, question: Question) -> Rule:
    """The best report takes its cohorts; a later one that shares any of them leaves."""

    def rule(rows: pd.DataFrame) -> Leaving:
        reason = pd.Series("", index=rows.index, dtype=object)
        order = rows.loc[_by_fullness(rows, question)]
        cohorts = [
            cohorts_of(evidence, (s, a.replace(" v ", "+"))) for s, a in zip(order.study_id, order.arm_id, strict=True)
        ]
        counted = one_a_cohort(np.ones((1, len(order)), dtype=bool), sharing(cohorts))[0]
        taken: dict[str, str] = {}
        for index, study_id, own, counts in zip(order.index, order.study_id, cohorts, counted, strict=True):
            if counts:
                taken |= dict.fromkeys(own, study_id)
            else:
                shared = [c for c in sorted(own) if c in taken]
                reason[index] = f"shares patients ({', '.join(shared)}) with {taken[shared[0]]}, which is counted"
        return _with_a_reason(reason)

    return rule


def _by_fullness(rows: pd.DataFrame, question: Question) -> list:
    """Index of the reports: most patients first, then the fullest source, then the later year."""
    favourable = question.estimand == "most_favourable" and "timing" in rows
    timing = rows.timing if favourable else [""] * len(rows)
    keys = map(fullness, timing, rows.n, rows.source_rank, rows.year, rows.study_id)
    return [place for _, place in sorted(zip(keys, rows.index, strict=True))]


def _in_order(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.sort_values(["year", "study_id"]).reset_index(drop=True) if len(rows) else rows
