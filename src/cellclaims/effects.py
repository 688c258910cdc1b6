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
from cellclaims.dispersion import MeanSD, combine_groups, is_skewed, mean_and_sd, sd_of_change, se_from_p
from cellclaims.errors import DataError
from cellclaims.question import FORMS, FROM_LEVELS
from cellclaims.selection import EvidenceBase, LeftOut, Question, Record, Selected, by_report, in_a_whole, select_levels

COLUMNS = tuple(
    "study_id arm_id source_id year diabetes_type intervention_class design randomised blinding months n n_control "
    "yi vi df form detail direction flag table line source_rank".split()
)
#: One effect: what a pool needs of a report.
Effect = namedtuple("Effect", COLUMNS)
#: What is known of a report, for an effect that comes from a reported difference.
STUDY = ("year", "diabetes_type", "intervention_class", "design", "randomised", "blinding")
#: Two changes that differ by less are the same, to the digits that reports print.
ROUNDED = 0.015
MINUS = "\N{MINUS SIGN}"
#: What the direction of a difference is called that medians and means show with different signs.
UNCLEAR = "unclear"
#: 97.5th centile of the normal distribution, for an interval of a reported difference.
Z975 = 1.959963984540054


def mean_changes(base: EvidenceBase, question: Question, correlation: float) -> Selected:
    """Mean change from baseline within an arm, one per report, before overlapping cohorts are resolved.

    A reported change with its dispersion is used as it is; one without dispersion with the SD of the change from the
    levels and ``correlation``; else the change of the levels, with the same SD. vi is SD squared over n.

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

    Several dose arms are combined before they are compared with their control, so that no control participant counts
    twice: levels and changes as groups, adjusted differences by :func:`combined_contrasts`. Of several follow-ups that
    the question admits the longest is used, or the nearest to the month asked for.

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
    left = each_by_its_side(base, cells.left, controls.left, _left_contrasts(base, contrasts, made))
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
    n, change, how = min(start.n, end.n), end.mean - start.mean, _how(start.how, end.how)
    rows = [before[0], *after]
    if changes and changes[0].months == after[0].months:
        reported = _in_points(changes[0], changes[0].center, True)
        differs = "" if abs(reported - change) < ROUNDED else f" (from the means {change:+.2f})".replace("-", MINUS)
        change, how, rows = reported, _how(f"change as reported{differs}", how), [*rows, *changes]
    return MeanSD(n, change, sd, _how(how, f"SD of change with r = {correlation:g}")), rows


def _how(*words: str) -> str:
    return "; ".join(dict.fromkeys(word for word in words if word))


def _why_no_change(arm: Sequence[Record], before: Sequence[Record]) -> str:
    if any(row.kind == "change" for row in arm):
        return "change reported without dispersion, and no levels before and after"
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
        FROM_LEVELS: lambda: difference_from_levels(cells, controls, question, correlation),
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
        and row.measure in ADJUSTED
    ]  # fmt: skip
    if not usable:
        left = [row.leave for row in printed if row.leave]
        raise DataError(left[0] if left else "no adjusted difference with its precision is reported")
    nearest = _nearest(usable, question)
    parts = in_a_whole(
        [row.treatment_arm for row in nearest], [base.arms[study_id, row.treatment_arm].part_of for row in nearest]
    )
    rows = [row for row, is_part in zip(nearest, parts, strict=True) if not is_part]
    if len({(row.control_arm, row.months) for row in rows}) > 1:
        raise DataError("adjusted differences of several arms have no common control arm and month")
    sizes = [_size(base.arms[study_id, row.treatment_arm]) for row in rows]
    n_control = _size(base.arms[study_id, rows[0].control_arm])
    pairs = [(_in_points(row, row.estimate, True), _in_points(row, _se_of(row), True)) for row in rows]
    estimate, se = combined_contrasts(pairs, sizes, n_control)
    how = f"{len(rows)} dose arms with one control combined" if len(rows) > 1 else ""
    study = base.studies[study_id]
    facts = {name: getattr(study, name) for name in STUDY}
    arms = "+".join(row.treatment_arm for row in rows)
    named = [row._replace(arm_id=f"{arms} v {rows[0].control_arm}") for row in rows]
    more = {**facts, "n": sum(sizes), "n_control": n_control, "form": "adjusted"}
    return _effect(named, estimate, se**2, **more, detail=_how(rows[0].measure, how))


#: Measures of contrasts.csv that are a difference between whole arms.
ADJUSTED = (
    "mean difference", "adjusted mean difference", "adjusted LS mean difference",
    "adjusted LS mean difference, derived for all doses",
)  # fmt: skip


def _se_of(row: Record) -> float:
    """The SE of a reported difference: as reported, else from its 95% interval."""
    return row.se if math.isfinite(row.se) else (row.ci_high - row.ci_low) / (2 * Z975)


def combined_contrasts(
    pairs: Sequence[tuple[float, float]], sizes: Sequence[float], n_control: float
) -> tuple[float, float]:
    """Adjusted differences of several arms from one control as a single one (Cochrane Handbook, section 23.3.4).

    The mean is weighted by the participants of the arms; the variance is sigma² (1 / sum n + 1 / n_control), with
    sigma² from the SE of each difference.

    Parameters
    ----------
    pairs : sequence of (estimate, SE)
    sizes : sequence of float
        Participants of each arm.
    n_control : float
        Participants of the control arm.

    Returns
    -------
    tuple of float
        Estimate and SE, in the unit of the differences.

    Examples
    --------
    Three dose arms of 15 against 16, each with an SE of 0.25:

    >>> estimate, se = combined_contrasts([(0.0, 0.25), (-0.15, 0.25), (-0.3, 0.25)], [15, 15, 15], 16)
    >>> round(estimate, 4), round(se, 4)
    (-0.15, 0.2025)
    """
    if len(pairs) == 1:
        return pairs[0]
    total = sum(sizes)
    mean = sum(n * estimate for (estimate, _), n in zip(pairs, sizes, strict=True)) / total
    variances = [se**2 / (1 / n + 1 / n_control) for (_, se), n in zip(pairs, sizes, strict=True)]
    sigma2 = sum(n * v for n, v in zip(sizes, variances, strict=True)) / total
    return mean, math.sqrt(sigma2 * (1 / total + 1 / n_control))


def _size(arm: Record) -> float:
    return arm.n_enrolled if math.isnan(arm.n_analysed) else arm.n_analysed


def _difference_of_changes(
    cells: Sequence[Record], controls: Sequence[Record], printed: Sequence[Record], question: Question
) -> Effect:
    sides = ([row for row in rows if row.kind == "change"] for rows in (cells, controls))
    cells, controls = _at_one_month(*sides, question)
    left, right = (combine_groups([_change_of_row(row) for row in arms]) for arms in (cells, controls))
    difference, df = left.mean - right.mean, math.nan
    if math.isfinite(left.sd) and math.isfinite(right.sd):
        variance, lead = _variance_of_difference(left, right), "difference of reported changes"
    else:
        df = left.n + right.n - 2
        variance = _variance_from_p(left, right, difference, printed, question)
        lead = "reported changes, SE from P value"
    more = {"n": left.n, "n_control": right.n, "df": df, "form": "change", "detail": _how(lead, left.how, right.how)}
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
        raise DataError("change reported without dispersion, and no exact P value between arms")
    return se_from_p(difference, p[0].p_value, left.n + right.n - 2) ** 2


def _difference_of_levels(cells: Sequence[Record], controls: Sequence[Record], question: Question) -> Effect:
    sides = ([row for row in rows if row.kind == "level" and row.months > 0] for rows in (cells, controls))
    cells, controls = _at_one_month(*sides, question)
    left, right = (combine_groups([points(row) for row in arms]) for arms in (cells, controls))
    difference, variance = left.mean - right.mean, _variance_of_difference(left, right)
    doubt = _medians_disagree(cells, controls, difference)
    how = _how("final values", left.how, right.how, *_skewed(cells, controls), doubt)
    more = {"n": left.n, "n_control": right.n, "form": "final", "detail": how, "direction": UNCLEAR if doubt else ""}
    return _effect(_sides(cells, controls), difference, variance, **more)


def _medians_disagree(cells: Sequence[Record], controls: Sequence[Record], difference: float) -> str:
    """In words, where the difference of the medians has another sign than that of the means made from them."""
    if len(cells) != 1 or len(controls) != 1 or {cells[0].center_type, controls[0].center_type} != {"median"}:
        return ""
    with_cells, without = (_in_points(row, row.center, False) for row in (cells[0], controls[0]))
    if (with_cells - without) * difference >= 0:
        return ""
    shown = f"{difference:+.2f}".replace("-", MINUS)
    return f"medians {with_cells:g} v {without:g}, but {shown} as means: direction unclear"


def _skewed(*sides: Sequence[Record]) -> list[str]:
    """A word for each row of quartiles or ranges that the test of skewness finds skewed."""
    return [
        f"skewed by its {'quartiles' if row.dispersion_type == 'iqr' else 'range'} (arm {row.arm_id})"
        for side in sides for row in side
        if row.center_type == "median"
        and is_skewed(row.dispersion_type, row.dispersion_low, row.center, row.dispersion_high, row.n)
    ]  # fmt: skip


def difference_from_levels(
    cells: Sequence[Record], controls: Sequence[Record], question: Question, correlation: float
) -> Effect:
    """Change with cells minus change without, each computed from levels with the same correlation.

    Raises
    ------
    DataError
        Where one side has no levels before and after, or the sides are followed for different times.
    """
    sides = [[row for row in rows if row.kind == "level"] for rows in (cells, controls)]
    if not all(sides):
        raise DataError("no levels on one of the two sides")
    with_cells, without = (change_of_report(rows, question, correlation) for rows in sides)
    if with_cells.months != without.months:
        raise DataError(f"month {with_cells.months:g} with cells, {without.months:g} without")
    return with_cells._replace(
        arm_id=f"{with_cells.arm_id} v {without.arm_id}",
        line=f"{with_cells.line};{without.line}",
        source_id=";".join(dict.fromkeys(f"{with_cells.source_id};{without.source_id}".split(";"))),
        flag=joined(with_cells.flag, without.flag),
        form=FROM_LEVELS,
        detail=_how("changes computed from levels", with_cells.detail, without.detail),
        n_control=without.n,
        yi=with_cells.yi - without.yi,
        vi=with_cells.vi + without.vi,
    )


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
    month = min(common, key=lambda m: (abs(m - question.target), -m))
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
    ordered = sorted(rows, key=lambda row: (abs(row.months - question.target), -row.months))
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
    if row.outcome == "insulin_dose" and units.family_of(row.unit) == units.RELATIVE:
        return units.relative_change(value, row.unit)
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
    blank = {"n_control": math.nan, "df": math.nan, "direction": ""}
    return Effect(**known | combined | {"yi": float(yi), "vi": float(vi)} | blank | more)


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


def _left_contrasts(base: EvidenceBase, contrasts: Iterable[Record], made: Iterable[Effect]) -> list[LeftOut]:
    """Return reported differences that an anomaly takes out, or that another one of the trial replaces."""
    used = {line for one in made if one.form == "adjusted" for line in one.line.split(";")}
    left = []
    for row in contrasts:
        whole = base.arms[row.study_id, row.treatment_arm].part_of
        part = f"part of arm {whole}, which is counted" if whole else "another value of the report answers better"
        is_other = bool(used) and math.isfinite(row.estimate) and str(row.line) not in used
        if row.leave or is_other:
            left.append(LeftOut(row.study_id, row.arm_id, row.months, "contrasts", row.line, row.leave or part))
    return left


def contrasts_of(base: EvidenceBase, question: Question) -> list[Record]:
    """Reported differences of cells and untreated arms at the month asked for."""
    return [
        row for row in base.records("contrasts", question.alternative, question.outcome)
        if question.admits(row.months)
        and (question.secondary or not base.is_secondary(row.source_id))
        and (question.co_treatments or not base.co_treatment(row.study_id, row.treatment_arm))
        and (not question.unit or not row.unit or units.family_of(row.unit) == units.family_of(question.unit))
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
