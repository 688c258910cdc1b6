"""From eligible rows to one effect a report: yi with its sampling variance vi, and how it was obtained.

A *change* is follow-up minus baseline within an arm; a *difference* is the arm with cells minus the untreated
arm. For HbA1c both are in percentage points (NGSP) and below zero when HbA1c is lower.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from cellclaims import units
from cellclaims.anomalies import joined
from cellclaims.dispersion import MeanSD, combine_groups, mean_and_sd, sd_of_change, se_from_p
from cellclaims.errors import DataError
from cellclaims.evidence import Evidence
from cellclaims.question import FORMS
from cellclaims.selection import EvidenceBase, Question, Selected, select_levels

COLUMNS = (
    "study_id arm_id source_id year diabetes_type intervention_class design randomised blinding months n n_control "
    "yi vi form detail flag table line source_rank"
).split()
#: 97.5th centile of the normal distribution, for an interval of a reported difference.
Z975 = 1.959963984540054


def mean_changes(base: EvidenceBase, question: Question, correlation: float) -> Selected:
    """Mean change from baseline within an arm, one a report, before overlapping cohorts are resolved.

    A printed change with its dispersion is used as it is; else the levels before and after, with the SD of the
    change from ``correlation``. vi is SD squared over n.
    """
    levels = select_levels(base, question)
    made, why = [], {}
    for study_id, report in levels.rows.groupby("study_id", sort=False):
        try:
            made.append(change_of_report(report, question, correlation))
        except DataError as fault:
            why[study_id] = str(fault)
    return _with_the_rest(made, levels.rows, levels.left_out, why)


def mean_differences(
    base: EvidenceBase,
    question: Question,
    correlation: float,
    forms: Iterable[str] = FORMS,
) -> Selected:
    """Difference between the arms with cells and the untreated arms of each controlled report.

    ``forms`` is tried in order: the adjusted difference as reported, the difference of changes (each with its SD,
    or with the SE from the printed P value), the difference of final values. Several dose arms are combined before
    they meet their control, so that no control patient counts twice.
    """
    cells, controls = (select_levels(base, replace(question, arms=a)) for a in ("cells", "control"))
    contrasts = contrasts_of(base, question)
    controlled = controlled_reports(base, question)
    made, why = [], dict.fromkeys({*cells.rows.study_id} - controlled, "no untreated control arm in the report")
    for study_id in sorted({*cells.rows.study_id, *controls.rows.study_id, *contrasts.study_id} & controlled):
        parts = [t[t.study_id == study_id] for t in (cells.rows, controls.rows, contrasts)]
        try:
            made.append(difference_of_report(base.evidence, study_id, *parts, question, correlation, tuple(forms)))
        except DataError as fault:
            why[study_id] = str(fault)
    left_out = each_by_its_side(base.evidence, cells.left_out, controls.left_out, _left_contrasts(contrasts))
    return _with_the_rest(made, pd.concat([cells.rows, controls.rows]), left_out, why)


def change_of_report(report: pd.DataFrame, question: Question, correlation: float) -> dict[str, Any]:
    """The mean change within a report's arms, as one group; raises DataError where the rows do not allow it."""
    arms = [_change_of_arm(arm, question, correlation) for _, arm in report.groupby("arm_id", sort=False)]
    group = combine_groups([a for a, _ in arms])
    rows = pd.concat([r for _, r in arms])
    return _effect(rows, group.mean, group.sd**2 / group.n, n=group.n, form="change within arm", detail=group.how)


def _change_of_arm(arm: pd.DataFrame, question: Question, correlation: float) -> tuple[MeanSD, pd.DataFrame]:
    """The change of one arm with the rows that it was made from."""
    changes = _nearest(arm[arm.kind == "change"], question)
    if len(changes) and changes.iloc[0].dispersion_type != "none":
        return _points(changes.iloc[0], is_change=True), changes
    before, after = (
        arm[(arm.kind == "level") & (arm.months == 0)],
        _nearest(arm[(arm.kind == "level") & (arm.months > 0)], question),
    )
    if before.empty or after.empty:
        raise DataError(_why_no_change(arm, before, after))
    start, end = _points(before.iloc[0]), _points(after.iloc[0])
    sd = sd_of_change(start.sd, end.sd, correlation)
    how = "; ".join(dict.fromkeys(h for h in (start.how, end.how, f"SD of change with r = {correlation:g}") if h))
    return MeanSD(min(start.n, end.n), end.mean - start.mean, sd, how), pd.concat([before.head(1), after])


def _why_no_change(arm: pd.DataFrame, before: pd.DataFrame, after: pd.DataFrame) -> str:
    if (arm.kind == "change").any():
        return "change printed without dispersion, and no levels before and after"
    return "no baseline" if before.empty else "no follow-up in the window"


def difference_of_report(
    evidence: Evidence, study_id: str, cells: pd.DataFrame, controls: pd.DataFrame, printed: pd.DataFrame,
    question: Question, correlation: float, forms: tuple[str, ...],
) -> dict[str, Any]:  # fmt: skip
    """The first form that the report's figures allow; raises DataError with the reason of each form otherwise."""
    ways = {
        "adjusted": lambda: _adjusted(evidence, study_id, printed, question),
        "change": lambda: _difference_of_changes(cells, controls, printed, question, correlation),
        "final": lambda: _difference_of_levels(cells, controls, question),
    }
    reasons = []
    for form in forms:
        try:
            return ways[form]()
        except DataError as fault:
            reasons.append(f"{form}: {fault}")
    raise DataError("; ".join(reasons))


def _adjusted(evidence: Evidence, study_id: str, printed: pd.DataFrame, question: Question) -> dict:
    usable = printed[printed.estimate.notna() & (printed.se.notna() | printed.ci_low.notna()) & (printed.leave == "")]
    if usable.empty:
        left = printed.loc[printed.leave != "", "leave"]
        raise DataError(left.iloc[0] if len(left) else "no adjusted difference with its precision is reported")
    nearest = _nearest(usable, question)
    if len(nearest) > 1:
        raise DataError(f"adjusted differences of {len(nearest)} arms share a control, and none of them speaks for all")
    row = nearest.iloc[0]
    se = row.se if np.isfinite(row.se) else (row.ci_high - row.ci_low) / (2 * Z975)
    estimate, se = (_in_points(row, x, True) for x in (row.estimate, se))
    study = evidence.studies.set_index("study_id").loc[study_id]
    arms = evidence.arms[evidence.arms.study_id == study_id].set_index("arm_id")
    sizes = arms.n_analysed.fillna(arms.n_enrolled)
    rows = pd.DataFrame([row]).assign(
        **{c: study[c] for c in ("year", "diabetes_type", "intervention_class", "design", "randomised", "blinding")}
    )
    rows = rows.assign(arm_id=f"{row.treatment_arm} v {row.control_arm}")
    return _effect(
        rows,
        estimate,
        se**2,
        n=sizes[row.treatment_arm],
        n_control=sizes[row.control_arm],
        form="adjusted",
        detail=row.measure,
    )


def _difference_of_changes(cells, controls, printed, question, correlation) -> dict:
    cells, controls = _at_one_month(cells[cells.kind == "change"], controls[controls.kind == "change"], question)
    left, right = (_printed_changes(arms) for arms in (cells, controls))
    difference = left.mean - right.mean
    if np.isfinite(left.sd) and np.isfinite(right.sd):
        variance, lead = _variance_of_difference(left, right), "difference of printed changes"
    else:
        variance = _variance_from_p(left, right, difference, printed, question)
        lead = "printed changes, SE from P value"
    how = "; ".join(dict.fromkeys(h for h in (lead, left.how, right.how) if h))
    more = {"n": left.n, "n_control": right.n, "form": "change", "detail": how}
    return _effect(_sides(cells, controls), difference, variance, **more)


def _printed_changes(arms: pd.DataFrame) -> MeanSD:
    return combine_groups([_change_of_row(row) for _, row in arms.iterrows()])


def _change_of_row(row: pd.Series) -> MeanSD:
    """A printed change; its SD is NaN when no dispersion is printed."""
    if row.dispersion_type == "none":
        return MeanSD(row.n, _in_points(row, row.center, True), np.nan)
    return _points(row, is_change=True)


def _variance_from_p(
    left: MeanSD, right: MeanSD, difference: float, printed: pd.DataFrame, question: Question
) -> float:
    p = _nearest(printed[printed.p_value.notna() & (printed.leave == "")], question)
    if p.empty or difference == 0:
        raise DataError("change printed without dispersion, and no exact P value between arms")
    return se_from_p(difference, p.iloc[0].p_value, left.n + right.n - 2) ** 2


def _difference_of_levels(cells: pd.DataFrame, controls: pd.DataFrame, question: Question) -> dict:
    cells, controls = (rows[(rows.kind == "level") & (rows.months > 0)] for rows in (cells, controls))
    cells, controls = _at_one_month(cells, controls, question)
    left, right = (combine_groups([_points(row) for _, row in arms.iterrows()]) for arms in (cells, controls))
    how = "; ".join(dict.fromkeys(h for h in ("final values", left.how, right.how) if h))
    yi, vi = left.mean - right.mean, _variance_of_difference(left, right)
    return _effect(_sides(cells, controls), yi, vi, n=left.n, n_control=right.n, form="final", detail=how)


def _at_one_month(cells: pd.DataFrame, controls: pd.DataFrame, question: Question) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One row an arm, both sides at one month: the nearest that both report, the later of two equally near."""
    for rows, name in ((cells, "arm with cells"), (controls, "untreated control arm")):
        if rows.empty:
            raise DataError(f"no usable figure for the {name}")
    common = set(cells.months) & set(controls.months)
    if not common:
        raise DataError("no month at which both arms are reported")
    month = min(common, key=lambda m: (abs(m - question.months), -m))
    return tuple(rows[rows.months == month].drop_duplicates("arm_id") for rows in (cells, controls))


def _variance_of_difference(left: MeanSD, right: MeanSD) -> float:
    """Variance of a difference of two independent means, without assuming equal SDs."""
    return left.sd**2 / left.n + right.sd**2 / right.n


def _sides(cells: pd.DataFrame, controls: pd.DataFrame) -> pd.DataFrame:
    """Rows of both sides, the control arm named as such."""
    return pd.concat([cells, controls.assign(arm_id="v " + controls.arm_id)])


def _nearest(rows: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Rows of each arm at the month nearest to the one asked for; equally near: the later one."""
    if rows.empty:
        return rows
    key = rows.assign(_far=(rows.months - question.months).abs(), _late=-rows.months).sort_values(
        ["_far", "_late"], kind="stable"
    )
    arm = "arm_id" if "arm_id" in rows else "treatment_arm"
    return rows.loc[key.drop_duplicates(arm).index]


def _points(row: pd.Series, is_change: bool = False) -> MeanSD:
    """Mean and SD of a row in percentage points (HbA1c) or the outcome's own unit."""
    scale = lambda x: _in_points(row, x, is_change)  # noqa: E731 - one conversion for centre and limits
    spread = lambda x: _in_points(row, x, True)  # noqa: E731 - an SD has no offset
    is_sd = row.dispersion_type in ("sd", "se")
    low, high = (
        (spread(row.dispersion_low) if is_sd else scale(row.dispersion_low)),
        scale(row.dispersion_high),
    )
    return mean_and_sd(row.center_type, scale(row.center), row.dispersion_type, low, high, row.n)


def _in_points(row: pd.Series, value: float, is_change: bool) -> float:
    if row.outcome != "hba1c":
        return value
    return units.convert(value, row.unit, "%", row.outcome, change=is_change)


def _effect(rows: pd.DataFrame, yi: float, vi: float, **more: object) -> dict:
    """One report's effect with what is known of it: first row for the study, all rows for arms, sources and flags."""
    shown = {c: rows.iloc[0][c] for c in COLUMNS if c in rows}
    combined = {
        "arm_id": "+".join(dict.fromkeys(rows.arm_id)).replace("+v ", " v "),
        "source_id": ";".join(dict.fromkeys(rows.source_id)),
        "months": float(rows.months.max()),
        "flag": joined(*rows.flag),
        "line": _lines(rows),
    }
    return shown | combined | {"yi": float(yi), "vi": float(vi), "n_control": np.nan} | more


def _lines(rows: pd.DataFrame) -> str:
    return ";".join(str(x) for x in rows.line)


def _with_the_rest(
    made: list[dict], eligible: pd.DataFrame, left_out: pd.DataFrame, why: Mapping[str, str]
) -> Selected:
    """The effects, and every row that is in none of them with its reason."""
    used = {line for m in made if m["form"] != "adjusted" for line in m["line"].split(";")}
    better = {m["study_id"]: "the adjusted difference is used" for m in made if m["form"] == "adjusted"} | dict(why)
    rest = eligible[~eligible.line.astype(str).isin(used)]
    reasons = [better.get(s, "another figure of the report answers better") for s in rest.study_id]
    rest = rest.assign(reason=reasons).reindex(columns=left_out.columns)
    parts = [part for part in (left_out, rest) if len(part)]
    return Selected(pd.DataFrame(made, columns=COLUMNS), pd.concat(parts) if parts else left_out)


def each_by_its_side(
    evidence: Evidence, cells: pd.DataFrame, controls: pd.DataFrame, *more: pd.DataFrame
) -> pd.DataFrame:
    """Rows left out: an arm with cells for the reason that it had as such, one without cells as a control."""
    treated = evidence.arms.set_index(["study_id", "arm_id"]).gets_cells == "yes"
    parts = []
    for rows, side in ((cells, True), (controls, False)):
        first_arms = zip(rows.study_id, rows.arm_id.str.split("+").str[0], strict=True)
        is_treated = np.array([treated[key] for key in first_arms], dtype=bool)
        parts.append(rows[is_treated == side])
    parts = [part for part in (*parts, *more) if len(part)]
    return pd.concat(parts).reset_index(drop=True) if parts else cells.head(0)


def _left_contrasts(contrasts: pd.DataFrame) -> pd.DataFrame:
    """Reported differences that the handling of an anomaly takes out."""
    left = contrasts[contrasts.leave != ""]
    return left.assign(table="contrasts", reason=left.leave)[
        ["study_id", "arm_id", "months", "table", "line", "reason"]
    ]


def contrasts_of(base: EvidenceBase, question: Question) -> pd.DataFrame:
    """Reported differences of cells and untreated arms at the month asked for."""
    rows = base.contrasts(question.alternative)
    near = (rows.months - question.months).abs() <= question.window
    return rows[(rows.outcome == question.outcome) & near & _against_untreated(base, rows)]


def _against_untreated(base: EvidenceBase, contrasts: pd.DataFrame) -> np.ndarray:
    """Whether each reported difference is one of an arm with cells minus an untreated arm."""
    arms = base.evidence.arms.set_index(["study_id", "arm_id"])
    untreated = (arms.gets_cells == "no") & arms.comparator.isin(base.protocol["eligibility"]["untreated_comparators"])
    treated = arms.gets_cells == "yes"
    pairs = zip(contrasts.study_id, contrasts.treatment_arm, contrasts.control_arm, strict=True)
    return np.array([treated.get((s, t), False) and untreated.get((s, c), False) for s, t, c in pairs], dtype=bool)


def controlled_reports(base: EvidenceBase, question: Question) -> set[str]:
    """Reports of the population and product with an untreated control arm."""
    untreated = base.protocol["eligibility"]["untreated_comparators"]
    arms = base.evidence.arms[(base.evidence.arms.gets_cells == "no") & base.evidence.arms.comparator.isin(untreated)]
    studies = base.evidence.studies[base.evidence.studies.diabetes_type.isin(question.population)
                               & base.evidence.studies.intervention_class.isin(base.protocol.classes(question.product))
                               & ~base.evidence.studies.design.isin(base.protocol["eligibility"]["benchmark_designs"])
                               & ~base.evidence.studies.study_id.isin(question.exclude)]  # fmt: skip
    if question.designs:
        studies = studies[studies.design.isin(question.designs)]
    return set(arms.study_id) & set(studies.study_id)
