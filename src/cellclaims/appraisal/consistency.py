"""Every check of printed numbers on every published row, and which recorded anomalies the checks find.

A check says *consistent*, *inconsistent* or *not applicable* of a row, the last with its reason: a check that cannot
fail says nothing and is not counted as passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import pandas as pd

from cellclaims.anomalies import handled
from cellclaims.appraisal import granularity
from cellclaims.appraisal.check import INCONSISTENT, NOT_APPLICABLE, Check
from cellclaims.appraisal.checks import COMPARISON_CHECKS, COUNT_CHECKS, SPREAD_CHECKS
from cellclaims.evidence import Evidence, read_schema, rules

#: All checks, in the order in which they are shown.
CHECKS: tuple[Check, ...] = (
    *COUNT_CHECKS,
    *granularity.CHECKS,
    *SPREAD_CHECKS,
    *COMPARISON_CHECKS,
)
#: Tables that hold published numbers.
TABLES = ("continuous", "binary", "survival", "contrasts", "pooled_elsewhere")
COLUMNS = "study_id table line check kind printed expected result reason anomaly_id formula source".split()

#: Kind of anomaly -> why no check of printed numbers can find it.
BEYOND_CHECKS = {
    "arms_not_independent": "that patients crossed over is said in words",
    "baseline_missing": "a number that is not printed contradicts nothing",
    "baseline_not_by_arm": "whose baseline it is is said in words",
    "best_of_several_doses": "what was left out of the comparison is not in the row",
    "conditional_denominator": "whom the patients are is said in words",
    "denominator_ambiguous": "whom the patients are is said in words",
    "derived_from_individual_times": "the count follows from times that are no rows",
    "dispersion_inconsistent": "the label is said in words",
    "ever_versus_status": "both counts are right: they answer different questions",
    "impossible_interval": "the limits belong to a figure that is no row",
    "implausible": "an outlier is possible: only other reports speak against it",
    "interval_unlabelled": "quartiles and a range of few patients look alike",
    "label_conflict": "the meaning is said in words",
    "nested_counts": "whether one count holds the other is said in words",
    "one_arm_reported": "the other arm's count is not printed",
    "outcome_constrained_by_design": "what the design held in place is said in words",
    "outcome_name": "what an outcome is called is said in words",
    "overlap": "shared patients leave the numbers right: cohorts.csv keeps the reports apart",
    "percent_fits_other_n": "that infusions are counted and not patients is said in words",
    "registry_differs_from_paper": "the tables hold one of the two: registrations.csv shows the record",
    "relative_change": "the unit is said in words",
    "selected_subgroup": "how patients were chosen is said in words",
    "selection": "how patients were chosen is said in words",
    "sources_differ": "the other figure is in another source",
    "sign_convention": "a turned sign leaves estimate and interval in order",
    "stopped_early": "the planned number is in the registration: see the facts of design",
    "text_contradiction": "one of the two statements is no number",
    "time_missing": "a time that is not printed contradicts nothing",
    "time_origin": "from when months are counted is said in words",
    "unreported_trial": "nothing is printed: see the missing results",
    "variable_follow_up": "that follow-up differs is said in words",
}


def consistency(evidence: Evidence, checks: Sequence[Check] = CHECKS) -> pd.DataFrame:
    """What each check says of each row that it looks at.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    checks : sequence of Check, optional

    Returns
    -------
    DataFrame
        One line a check and row: study_id (of a pooled result: the review), table, line, check, kind, printed,
        expected, result, reason, anomaly_id (the recorded anomaly that a finding is), formula, source (address).
    """
    about = {name: _report_and_outcome(getattr(evidence, name)) for name in TABLES}
    found = [line for check in checks for line in _lines(evidence, check, about)]
    return pd.DataFrame(found, columns=COLUMNS)


def _lines(
    evidence: Evidence, check: Check, about: Mapping[str, Mapping[int, tuple[str, str]]]
) -> Iterator[dict[str, object]]:
    known = _by_row(evidence, check) if check.rules else _by_outcome(evidence, check)
    for result in check.judge(evidence):
        study, outcome = about[result.table][result.line]
        key = (result.table, result.line) if check.rules else (study, outcome)
        anomaly = known.get(key, "") if result.result == INCONSISTENT else ""
        yield {"study_id": study, **vars(result), "check": check.name, "kind": check.kind, "anomaly_id": anomaly,
               "formula": check.formula, "source": check.source}  # fmt: skip


def _report_and_outcome(rows: pd.DataFrame) -> dict[int, tuple[str, str]]:
    """Line -> report (or review) and outcome, as anomalies name it."""
    study = rows["study_id" if "study_id" in rows else "review_id"]
    outcome = rows.outcome.map(lambda words: rules.OUTCOME_WORDS.get(words, words))
    return dict(zip(rows.index, zip(study, outcome, strict=True), strict=True))


def _by_row(evidence: Evidence, check: Check) -> dict[tuple[str, int], str]:
    """The anomaly that each finding of the data rules is, as they know it themselves: by report, outcome and figure."""
    schema = read_schema(evidence.folder)
    table = {declared.path: name for name, declared in schema.tables.items()}
    return {(table[f.file], f.row): f.anomaly_id for f in rules.faults(evidence, schema, check.rules)}


def _by_outcome(evidence: Evidence, check: Check) -> dict[tuple[str, str], str]:
    """Report and outcome -> the first anomaly of a kind that a finding of this check may be."""
    rows = evidence.anomalies[evidence.anomalies.kind.isin(check.anomalies)]
    return {(r.record_id, r.outcome): r.anomaly_id for r in rows[::-1].itertuples()}


def summary(results: pd.DataFrame) -> pd.DataFrame:
    """One line a check: kind, rows that could fail, how many of them did, how many of those are recorded anomalies.

    Parameters
    ----------
    results : DataFrame
        Result of each check on each row (:func:`cellclaims.appraisal.consistency`).

    Returns
    -------
    DataFrame
    """
    lines = []
    for check, rows in results.groupby("check", sort=False):
        failed = rows[rows.result == INCONSISTENT]
        lines.append({
            "check": check,
            "kind": rows.kind.iloc[0],
            "looked_at": len(rows),
            "could_fail": int((rows.result != NOT_APPLICABLE).sum()),
            "inconsistent": len(failed),
            "recorded": int((failed.anomaly_id != "").sum()),
            "formula": rows.formula.iloc[0],
            "source": rows.source.iloc[0],
        })  # fmt: skip
    return pd.DataFrame(lines)


def known_anomalies(evidence: Evidence, results: pd.DataFrame | None = None) -> pd.DataFrame:
    """Every recorded anomaly with the checks that find it, or why none can.

    An anomaly is *found* where a check is inconsistent at its report and outcome; *found in the other reading* where
    the table already holds the figure that fits and the check fails once the alternative handling is applied.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    results : DataFrame, optional
        Result of each check on each row (:func:`cellclaims.appraisal.consistency`).

    Returns
    -------
    DataFrame
        One line an anomaly: anomaly_id, kind, record_id, outcome, found ("yes", "in the other reading", "no"), checks,
        why_not.
    """
    results = consistency(evidence) if results is None else results
    by = results[results.anomaly_id != ""].groupby("anomaly_id").check.agg(lambda c: "; ".join(dict.fromkeys(c)))
    lines = []
    for row in evidence.anomalies.itertuples():
        checks, found = by.get(row.anomaly_id, ""), "yes"
        if not checks:
            checks, found = _in_other_reading(evidence, row), "in the other reading"
        lines.append({
            "anomaly_id": row.anomaly_id, "kind": row.kind, "record_id": row.record_id, "outcome": row.outcome,
            "found": found if checks else "no", "checks": checks,
            "why_not": "" if checks else BEYOND_CHECKS.get(row.kind, ""),
        })  # fmt: skip
    return pd.DataFrame(lines)


def _in_other_reading(evidence: Evidence, anomaly: object) -> str:
    """Checks that find an anomaly once its alternative handling sets the figure that the primary one does not use."""
    checks = [check for check in CHECKS if anomaly.kind in check.anomalies]
    other = _as_alternative(evidence, anomaly) or _as_other_label(evidence, anomaly)
    if not (other and checks):
        return ""
    results = consistency(replace(evidence, **other), checks)
    return "; ".join(dict.fromkeys(results.check[results.anomaly_id == anomaly.anomaly_id]))


def _as_alternative(evidence: Evidence, anomaly: object) -> dict[str, pd.DataFrame]:
    """The tables as the alternative handling of an anomaly sets them; none where it sets nothing."""
    steps = evidence.handling[evidence.handling.anomaly_id == anomaly.anomaly_id]
    names = set(steps.table[(steps.variant != "primary") & (steps.action == "set")])
    columns = {name: getattr(evidence, name).columns for name in names}
    return {name: handled(evidence, name, [anomaly.anomaly_id])[columns[name]] for name in names}


def _as_other_label(evidence: Evidence, anomaly: object) -> dict[str, pd.DataFrame]:
    """A plus-minus without a label, read as the standard error it was not taken for, or the standard deviation."""
    if anomaly.kind != "dispersion_unlabelled":
        return {}
    rows = evidence.continuous
    mine = (rows.study_id == anomaly.record_id) & (rows.outcome == anomaly.outcome)
    turned = rows.dispersion_type.where(~mine, rows.dispersion_type.replace({"sd": "se", "se": "sd"}))
    return {"continuous": rows.assign(dispersion_type=turned)}
