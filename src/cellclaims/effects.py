"""From eligible rows to one effect per report: yi with its sampling variance vi, and how it was obtained.

A *change* is follow-up minus baseline within an arm; a *difference* is the arm with cells minus the untreated
arm. For HbA1c both are in percentage points (NGSP) and below zero when HbA1c is lower.
"""

from __future__ import annotations

import math
from collections import namedtuple
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cellclaims import units
from cellclaims.anomalies import joined
from cellclaims.dispersion import MeanSD, combine_groups, mean_and_sd, sd_of_change, se_from_p
from cellclaims.errors import DataError
from cellclaims.question import FORMS
from cellclaims.selection import EvidenceBase, LeftOut, Question, Record, Selected, by_report, select_levels

COLUMNS = tuple(
    "study_id arm_id source_id year diabetes_type intervention_class design randomised blinding months n n_control "
    "yi vi form detail flag table line source_rank".split()
)
#: One effect: what a pool needs of a report.
Effect = namedtuple("Effect", COLUMNS)
#: What is known of a report, for an effect that comes from a reported difference.
STUDY = ("year", "diabetes_type", "intervention_class", "design", "randomised", "blinding")
#: 97.5th centile of the normal distribution, for an interval of a reported difference.
Z975 = 1.959963984540054


def mean_changes(base: EvidenceBase, question: Question, correlation: float) -> Selected:
    """Mean change from baseline within an arm, one per report, before overlapping cohorts are resolved.

    A reported change with its dispersion is used as it is; else the levels before and after, with the SD of the
    change from ``correlation``. vi is SD squared over n.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    correlation : float
        Of baseline with follow-up, between -1 and 1.

    Returns
    -------
    Selected
        One :class:`Effect` per report: yi in the unit of the outcome (percentage points for HbA1c), vi in its square,
        n in patients; and every row that is in none of them with its reason.
    """
    question = question.at(base.protocol)
    levels = select_levels(base, question)
    made, why = [], {}
    for study_id, report in by_report(levels.records).items():
        try:
            made.append(change_of_report(report, question, correlation))
        except DataError as fault:
            why[study_id] = str(fault)
    return _with_the_rest(made, levels.records, levels.left, why)


def mean_differences(
    base: EvidenceBase,
    question: Question,
    correlation: float,
    forms: Iterable[str] = FORMS,
) -> Selected:
    """Difference between the arms with cells and the untreated arms of each controlled report.

    Several dose arms are combined before they are compared with their control, so that no control patient counts
    twice.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    correlation : float
        Of baseline with follow-up, between -1 and 1.
    forms : iterable of {"adjusted", "change", "final"}
        Tried in this order: the adjusted difference as reported, the difference of changes (each with its SD, or with
        the SE from the reported P value), the difference of final values.

    Returns
    -------
    Selected
        One :class:`Effect` per report: yi in the unit of the outcome (percentage points for HbA1c), vi in its square,
        n and n_control in patients; and every row that is in none of them with its reason.
    """
    question = question.at(base.protocol)
    cells, controls = (select_levels(base, replace(question, arms=a)) for a in ("cells", "control"))
    contrasts = contrasts_of(base, question)
    parts = [by_report(rows) for rows in (cells.records, controls.records, contrasts)]
    controlled = controlled_reports(base, question)
    made, why = [], dict.fromkeys(set(parts[0]) - controlled, "no untreated control arm in the report")
    for study_id in sorted(set().union(*parts) & controlled):
        report = [rows.get(study_id, []) for rows in parts]
        try:
            made.append(difference_of_report(base, study_id, *report, question, correlation, tuple(forms)))
        except DataError as fault:
            why[study_id] = str(fault)
    left = each_by_its_side(base, cells.left, controls.left, _left_contrasts(contrasts))
    return _with_the_rest(made, [*cells.records, *controls.records], left, why)


def change_of_report(report: Sequence[Record], question: Question, correlation: float) -> Effect:
    """The mean change within a report's arms, as one group.

    Raises
    ------
    DataError
        Where the rows do not determine a change with its SD: says what is lacking.
    """
    made = [_change_of_arm(arm, question, correlation) for arm in _by_arm(report).values()]
    group = combine_groups([mean for mean, _ in made])
    rows = [row for _, rows in made for row in rows]
    return _effect(rows, group.mean, group.sd**2 / group.n, n=group.n, form="change within arm", detail=group.how)


def _by_arm(rows: Iterable[Record]) -> dict[str, list[Record]]:
    arms: dict[str, list[Record]] = {}
    for row in rows:
        arms.setdefault(row.arm_id, []).append(row)
    return arms


def _change_of_arm(arm: Sequence[Record], question: Question, correlation: float) -> tuple[MeanSD, list[Record]]:
    """The change of one arm with the rows that it was made from."""
    changes = _nearest([row for row in arm if row.kind == "change"], question)
    if changes and changes[0].dispersion_type != "none":
        return points(changes[0], is_change=True), changes
    levels = [row for row in arm if row.kind == "level"]
    before = [row for row in levels if row.months == 0]
    after = _nearest([row for row in levels if row.months > 0], question)
    if not (before and after):
        raise DataError(_why_no_change(arm, before))
    start, end = points(before[0]), points(after[0])
    sd = sd_of_change(start.sd, end.sd, correlation)
    how = _how(start.how, end.how, f"SD of change with r = {correlation:g}")
    return MeanSD(min(start.n, end.n), end.mean - start.mean, sd, how), [before[0], *after]


def _how(*words: str) -> str:
    return "; ".join(dict.fromkeys(word for word in words if word))


def _why_no_change(arm: Sequence[Record], before: Sequence[Record]) -> str:
    if any(row.kind == "change" for row in arm):
        return "change printed without dispersion, and no levels before and after"
    return "no follow-up in the window" if before else "no baseline"


def difference_of_report(
    base: EvidenceBase, study_id: str, cells: Sequence[Record], controls: Sequence[Record], printed: Sequence[Record],
    question: Question, correlation: float, forms: tuple[str, ...],
) -> Effect:  # fmt: skip
    """The first form of a difference that the report's rows allow.

    Raises
    ------
    DataError
        With the reason of each form, where they allow none.
    """
    ways = {
        "adjusted": lambda: _adjusted(base, study_id, printed, question),
        "change": lambda: _difference_of_changes(cells, controls, printed, question),
        "final": lambda: _difference_of_levels(cells, controls, question),
    }
    reasons = []
    for form in forms:
        try:
            return ways[form]()
        except DataError as fault:
            reasons.append(f"{form}: {fault}")
    raise DataError("; ".join(reasons))


def _adjusted(base: EvidenceBase, study_id: str, printed: Sequence[Record], question: Question) -> Effect:
    usable = [
        row for row in printed
        if not math.isnan(row.estimate) and not (math.isnan(row.se) and math.isnan(row.ci_low)) and not row.leave
    ]  # fmt: skip
    if not usable:
        left = [row.leave for row in printed if row.leave]
        raise DataError(left[0] if left else "no adjusted difference with its precision is reported")
    nearest = _nearest(usable, question)
    if len(nearest) > 1:
        raise DataError(f"adjusted differences of {len(nearest)} arms share a control, and none of them speaks for all")
    row = nearest[0]
    se = row.se if math.isfinite(row.se) else (row.ci_high - row.ci_low) / (2 * Z975)
    estimate, se = (_in_points(row, x, True) for x in (row.estimate, se))
    study = base.studies[study_id]
    facts = {name: getattr(study, name) for name in STUDY}
    n, n_control = (_size(base.arms[study_id, arm]) for arm in (row.treatment_arm, row.control_arm))
    named = row._replace(arm_id=f"{row.treatment_arm} v {row.control_arm}")
    more = {**facts, "n": n, "n_control": n_control, "form": "adjusted", "detail": row.measure}
    return _effect([named], estimate, se**2, **more)


def _size(arm: Record) -> float:
    return arm.n_enrolled if math.isnan(arm.n_analysed) else arm.n_analysed


def _difference_of_changes(
    cells: Sequence[Record], controls: Sequence[Record], printed: Sequence[Record], question: Question
) -> Effect:
    sides = ([row for row in rows if row.kind == "change"] for rows in (cells, controls))
    cells, controls = _at_one_month(*sides, question)
    left, right = (combine_groups([_change_of_row(row) for row in arms]) for arms in (cells, controls))
    difference = left.mean - right.mean
    if math.isfinite(left.sd) and math.isfinite(right.sd):
        variance, lead = _variance_of_difference(left, right), "difference of printed changes"
    else:
        variance = _variance_from_p(left, right, difference, printed, question)
        lead = "printed changes, SE from P value"
    more = {"n": left.n, "n_control": right.n, "form": "change", "detail": _how(lead, left.how, right.how)}
    return _effect(_sides(cells, controls), difference, variance, **more)


def _change_of_row(row: Record) -> MeanSD:
    """A reported change; its SD is NaN when no dispersion is reported."""
    if row.dispersion_type == "none":
        return MeanSD(row.n, _in_points(row, row.center, True), math.nan)
    return points(row, is_change=True)


def _variance_from_p(
    left: MeanSD, right: MeanSD, difference: float, printed: Sequence[Record], question: Question
) -> float:
    p = _nearest([row for row in printed if not math.isnan(row.p_value) and not row.leave], question)
    if not p or difference == 0:
        raise DataError("change printed without dispersion, and no exact P value between arms")
    return se_from_p(difference, p[0].p_value, left.n + right.n - 2) ** 2


def _difference_of_levels(cells: Sequence[Record], controls: Sequence[Record], question: Question) -> Effect:
    sides = ([row for row in rows if row.kind == "level" and row.months > 0] for rows in (cells, controls))
    cells, controls = _at_one_month(*sides, question)
    left, right = (combine_groups([points(row) for row in arms]) for arms in (cells, controls))
    more = {"n": left.n, "n_control": right.n, "form": "final", "detail": _how("final values", left.how, right.how)}
    variance = _variance_of_difference(left, right)
    return _effect(_sides(cells, controls), left.mean - right.mean, variance, **more)


def _at_one_month(
    cells: Sequence[Record], controls: Sequence[Record], question: Question
) -> tuple[list[Record], list[Record]]:
    """One row per arm, both sides at one month: the nearest that both report, the later of two equally near."""
    for rows, name in ((cells, "arm with cells"), (controls, "untreated control arm")):
        if not rows:
            raise DataError(f"no usable figure for the {name}")
    common = {row.months for row in cells} & {row.months for row in controls}
    if not common:
        raise DataError("no month at which both arms are reported")
    month = min(common, key=lambda m: (abs(m - question.months), -m))
    return tuple(
        [arm[0] for arm in _by_arm(row for row in rows if row.months == month).values()] for rows in (cells, controls)
    )


def _variance_of_difference(left: MeanSD, right: MeanSD) -> float:
    """Variance of a difference of two independent means, without assuming equal SDs."""
    return left.sd**2 / left.n + right.sd**2 / right.n


def _sides(cells: Sequence[Record], controls: Sequence[Record]) -> list[Record]:
    """Rows of both sides, the control arm named as such."""
    return [*cells, *(row._replace(arm_id=f"v {row.arm_id}") for row in controls)]


def _nearest(rows: Sequence[Record], question: Question) -> list[Record]:
    """Of each arm the row at the month nearest to the one asked for; equally near: the later one."""
    ordered = sorted(rows, key=lambda row: (abs(row.months - question.months), -row.months))
    return [arm[0] for arm in _by_arm(ordered).values()]


def points(row: Record, is_change: bool = False) -> MeanSD:
    """Mean and SD of a row in percentage points (HbA1c) or the outcome's own unit."""
    scale = lambda x: _in_points(row, x, is_change)  # noqa: E731 - one conversion for centre and limits
    spread = lambda x: _in_points(row, x, True)  # noqa: E731 - an SD has no offset
    is_sd = row.dispersion_type in ("sd", "se")
    low, high = (
        (spread(row.dispersion_low) if is_sd else scale(row.dispersion_low)),
        scale(row.dispersion_high),
    )
    return mean_and_sd(row.center_type, scale(row.center), row.dispersion_type, low, high, row.n)


def _in_points(row: Record, value: float, is_change: bool) -> float:
    if row.outcome != "hba1c":
        return value
    return units.convert(value, row.unit, "%", row.outcome, change=is_change)


def _effect(rows: Sequence[Record], yi: float, vi: float, **more: Any) -> Effect:
    """One report's effect with what is known of it: first row for the study, all rows for arms, sources and flags."""
    known = {name: getattr(rows[0], name, math.nan) for name in COLUMNS}
    combined = {
        "arm_id": "+".join(dict.fromkeys(row.arm_id for row in rows)).replace("+v ", " v "),
        "source_id": ";".join(dict.fromkeys(row.source_id for row in rows)),
        "months": float(max(row.months for row in rows)),
        "flag": joined(*(row.flag for row in rows)),
        "line": ";".join(str(row.line) for row in rows),
    }
    return Effect(**known | combined | {"yi": float(yi), "vi": float(vi), "n_control": math.nan} | more)


def _with_the_rest(
    made: list[Effect], rows: Sequence[Record], left: Sequence[LeftOut], why: Mapping[str, str]
) -> Selected:
    """The effects, and every row that is in none of them with its reason."""
    used = {line for one in made if one.form != "adjusted" for line in one.line.split(";")}
    better = {one.study_id: "the adjusted difference is used" for one in made if one.form == "adjusted"} | dict(why)
    rest = [
        LeftOut(row.study_id, row.arm_id, row.months, row.table, row.line,
                better.get(row.study_id, "another figure of the report answers better"))
        for row in rows if str(row.line) not in used
    ]  # fmt: skip
    return Selected(made, [*left, *rest], COLUMNS)


def each_by_its_side(
    base: EvidenceBase, cells: Iterable[LeftOut], controls: Iterable[LeftOut], more: Iterable[LeftOut] = ()
) -> list[LeftOut]:
    """Merge the two lists of excluded rows: treated arms keep the reason from the treated selection, controls the one
    from the control selection.
    """

    def of_side(rows: Iterable[LeftOut], treated: bool) -> Iterator[LeftOut]:
        return (row for row in rows if base.is_treated(row.study_id, row.arm_id.split("+")[0]) == treated)

    return [*of_side(cells, True), *of_side(controls, False), *more]


def _left_contrasts(contrasts: Iterable[Record]) -> list[LeftOut]:
    """Reported differences that the handling of an anomaly takes out."""
    return [
        LeftOut(row.study_id, row.arm_id, row.months, "contrasts", row.line, row.leave)
        for row in contrasts
        if row.leave
    ]


def contrasts_of(base: EvidenceBase, question: Question) -> list[Record]:
    """Reported differences of cells and untreated arms at the month asked for."""
    return [
        row for row in base.records("contrasts", question.alternative, question.outcome)
        if abs(row.months - question.months) <= question.window
        and base.is_treated(row.study_id, row.treatment_arm) and base.is_untreated(row.study_id, row.control_arm)
    ]  # fmt: skip


def controlled_reports(base: EvidenceBase, question: Question) -> set[str]:
    """Reports of the population, product and designs asked for with an untreated control arm."""
    classes = base.protocol.classes(question.product)
    registries = base.protocol["eligibility"]["benchmark_designs"]
    return {
        study.study_id
        for study_id in base.controlled
        if (study := base.studies.get(study_id)) is not None
        and study.diabetes_type in question.population
        and study.intervention_class in classes
        and study.design not in registries
        and study.study_id not in question.exclude
        and (not question.designs or study.design in question.designs)
    }
