"""From eligible rows to one effect a report: yi with its sampling variance vi, and how it was obtained.

A *change* is follow-up minus baseline within an arm; a *difference* is the arm with cells minus the untreated
arm. For HbA1c both are in percentage points (NGSP) and below zero when HbA1c is lower.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cellclaims import units
from cellclaims.dispersion import MeanSD, combine_groups, mean_and_sd, sd_of_change, se_from_p
from cellclaims.errors import DataError
from cellclaims.handling import handled
from cellclaims.protocol import Protocol
from cellclaims.selection import Question, Selected, select_levels, source_rank
from cellclaims.tables import Evidence

#: Forms of a difference between arms, in the protocol's order of preference.
FORMS = ("adjusted", "change", "final")
COLUMNS = (
    "study_id arm_id source_id year diabetes_type intervention_class design randomised blinding months n n_control "
    "yi vi form detail flag line source_rank"
).split()
#: 97.5th centile of the normal distribution, for an interval of a reported difference.
Z975 = 1.959963984540054


def mean_changes(evidence: Evidence, protocol: Protocol, question: Question, correlation: float) -> Selected:
    """Mean change from baseline within an arm, one a report, before overlapping cohorts are resolved.

    A printed change with its dispersion is used as it is; else the levels before and after, with the SD of the
    change from ``correlation``. vi is SD squared over n.
    """
    levels = select_levels(evidence, protocol, question)
    made, failed = [], []
    for study_id, report in levels.rows.groupby("study_id", sort=False):
        try:
            made.append(_change_of_report(report, question, correlation))
        except DataError as fault:
            failed.append(_failure(study_id, report, fault))
    return _selected(made, failed, levels.left_out)


def mean_differences(
    evidence: Evidence,
    protocol: Protocol,
    question: Question,
    correlation: float,
    forms: Iterable[str] = FORMS,
) -> Selected:
    """Difference between the arms with cells and the untreated arms of each controlled report.

    ``forms`` is tried in order: the adjusted difference as reported, the difference of changes (each with its SD,
    or with the SE from the printed P value), the difference of final values. Several dose arms are combined before
    they meet their control, so that no control patient counts twice.
    """
    from dataclasses import replace

    cells = select_levels(evidence, protocol, replace(question, arms="cells"))
    controls = select_levels(evidence, protocol, replace(question, arms="control"))
    contrasts = _contrasts(evidence, protocol, question)
    made, failed = [], []
    for study_id in sorted({*cells.rows.study_id, *contrasts.study_id} & _controlled(evidence, protocol, question)):
        parts = [t.rows[t.rows.study_id == study_id] for t in (cells, controls)]
        printed = contrasts[contrasts.study_id == study_id]
        try:
            made.append(_difference_of_report(evidence, study_id, *parts, printed, question, correlation, tuple(forms)))
        except DataError as fault:
            failed.append(_failure(study_id, parts[0], fault))
    return _selected(made, failed, _never_twice(cells.left_out, controls.left_out, {m["study_id"] for m in made}))


def _change_of_report(report: pd.DataFrame, question: Question, correlation: float) -> dict:
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


def _difference_of_report(evidence, study_id, cells, controls, printed, question, correlation, forms) -> dict:
    """The first form that the report's figures allow."""
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
    _both(cells, controls)
    left, right = (_printed_changes(arms, question) for arms in (cells, controls))
    difference = left[0].mean - right[0].mean
    if np.isfinite(left[0].sd) and np.isfinite(right[0].sd):
        variance, how = _variance_of_difference(left[0], right[0]), "difference of printed changes"
    else:
        variance, how = (
            _variance_from_p(left[0], right[0], difference, printed, question),
            "printed changes, SE from P value",
        )
    return _effect(
        _sides(left[1], right[1]),
        difference,
        variance,
        n=left[0].n,
        n_control=right[0].n,
        form="change",
        detail=how,
    )


def _printed_changes(arms: pd.DataFrame, question: Question) -> tuple[MeanSD, pd.DataFrame]:
    changes = _nearest(arms[arms.kind == "change"], question)
    if changes.empty:
        raise DataError("no change is printed")
    return combine_groups([_change_of_row(row) for _, row in changes.iterrows()]), changes


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
    _both(cells, controls)
    left, right = (_final(arms, question) for arms in (cells, controls))
    how = "; ".join(dict.fromkeys(h for h in ("final values", left[0].how, right[0].how) if h))
    yi, vi = left[0].mean - right[0].mean, _variance_of_difference(left[0], right[0])
    return _effect(_sides(left[1], right[1]), yi, vi, n=left[0].n, n_control=right[0].n, form="final", detail=how)


def _final(arms: pd.DataFrame, question: Question) -> tuple[MeanSD, pd.DataFrame]:
    rows = [_nearest(a[(a.kind == "level") & (a.months > 0)], question) for _, a in arms.groupby("arm_id", sort=False)]
    rows = [r for r in rows if len(r)]
    if not rows:
        raise DataError("no final value in the window")
    return combine_groups([_points(r.iloc[0]) for r in rows]), pd.concat(rows)


def _variance_of_difference(left: MeanSD, right: MeanSD) -> float:
    """Variance of a difference of two independent means, without assuming equal SDs."""
    return left.sd**2 / left.n + right.sd**2 / right.n


def _both(cells: pd.DataFrame, controls: pd.DataFrame) -> None:
    for rows, name in ((cells, "arm with cells"), (controls, "untreated control arm")):
        if rows.empty:
            raise DataError(f"no usable figure for the {name}")


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
        "flag": "; ".join(dict.fromkeys("; ".join(f for f in rows.flag if f).split("; "))),
        "line": _lines(rows),
    }
    return shown | combined | {"yi": float(yi), "vi": float(vi), "n_control": np.nan} | more


def _lines(rows: pd.DataFrame) -> str:
    return ";".join(str(x) for x in rows.line)


def _failure(study_id: str, report: pd.DataFrame, fault: DataError) -> dict:
    arms = "+".join(dict.fromkeys(report.arm_id))
    where = {"months": np.nan, "table": "continuous", "line": _lines(report)}
    return {"study_id": study_id, "arm_id": arms, **where, "reason": str(fault)}


def _selected(made: list[dict], failed: list[dict], left_out: pd.DataFrame) -> Selected:
    rows = pd.DataFrame(made, columns=COLUMNS)
    out = [left_out, pd.DataFrame(failed, columns=left_out.columns)] if failed else [left_out]
    return Selected(rows, pd.concat([o for o in out if len(o)]) if any(len(o) for o in out) else left_out)


def _contrasts(evidence: Evidence, protocol: Protocol, question: Question) -> pd.DataFrame:
    rows = handled(evidence, "contrasts", question.alternative)
    near = (rows.months - question.months).abs() <= question.window
    rows = rows[(rows.outcome == question.outcome) & near & _against_untreated(evidence, protocol, rows)]
    rank = source_rank(evidence, protocol, rows.source_id)
    return rows.assign(line=rows.index, arm_id=rows.treatment_arm, source_rank=rank)


def _against_untreated(evidence: Evidence, protocol: Protocol, contrasts: pd.DataFrame) -> np.ndarray:
    """Whether each reported difference is one of an arm with cells minus an untreated arm."""
    arms = evidence.arms.set_index(["study_id", "arm_id"])
    untreated = (arms.gets_cells == "no") & arms.comparator.isin(protocol["eligibility"]["untreated_comparators"])
    treated = arms.gets_cells == "yes"
    pairs = zip(contrasts.study_id, contrasts.treatment_arm, contrasts.control_arm, strict=True)
    return np.array([treated.get((s, t), False) and untreated.get((s, c), False) for s, t, c in pairs], dtype=bool)


def _controlled(evidence: Evidence, protocol: Protocol, question: Question) -> set[str]:
    """Reports of the population and product with an untreated control arm."""
    untreated = protocol["eligibility"]["untreated_comparators"]
    arms = evidence.arms[(evidence.arms.gets_cells == "no") & evidence.arms.comparator.isin(untreated)]
    studies = evidence.studies[evidence.studies.diabetes_type.isin(question.population)
                               & evidence.studies.intervention_class.isin(protocol.classes(question.product))
                               & ~evidence.studies.design.isin(protocol["eligibility"]["benchmark_designs"])
                               & ~evidence.studies.study_id.isin(question.exclude)]  # fmt: skip
    if question.designs:
        studies = studies[studies.design.isin(question.designs)]
    return set(arms.study_id) & set(studies.study_id)


def _never_twice(cells: pd.DataFrame, controls: pd.DataFrame, used: set[str]) -> pd.DataFrame:
    """Rows left out of either side, without "arm without cells" for an arm that serves as the control."""
    serves = ~cells.reason.isin(["arm without cells"])
    other = ~controls.reason.str.startswith("no untreated control arm")
    parts = [p for p in (cells[serves], controls[other]) if len(p)]
    both = pd.concat(parts).drop_duplicates(["study_id", "line"]) if parts else cells
    return both.reset_index(drop=True)
