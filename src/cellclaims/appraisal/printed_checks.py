"""Checks of one row by itself: counts against percentages, centres and limits, changes against levels.

They are the rules that guard ``data/`` (:mod:`cellclaims.tables.rules`), which name faults only; here every row that
they apply to gets its result, and every other row the reason why not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from cellclaims.appraisal.check import ARITHMETIC, PLAUSIBILITY, Check, Subject, by_rules, count_words, first_reason
from cellclaims.tables import Evidence, rules
from cellclaims.tables.faults import Finding
from cellclaims.tables.rules_counts import (
    arm_sizes,
    curve_never_rises,
    definition_fits_outcome,
    events_at_most_n,
    n_at_most_arm,
    percent_agrees_with_count,
    percent_can_be_a_count,
    rounding_limits,
)
from cellclaims.tables.rules_measures import (
    DIFFERENCES,
    INTERVALS,
    RELATIVE,
    change_agrees_with_levels,
    interval_is_symmetric,
    limits_around_estimate,
    median_without_sd,
    spread_around_centre,
)

GRIM = "https://doi.org/10.1177/1948550616673876"
HANDBOOK_6 = "https://training.cochrane.org/handbook/current/chapter-06"


def _percentages(evidence: Evidence) -> Iterator[Subject]:
    rows = evidence.binary
    unit = rows.percent_printed.map(lambda p: 0.0 if "/" in p else 10.0 ** -len(p.partition(".")[2]))
    from_percent = rows.events.isna() | (rows.status == "derived")
    reasons = {
        "no percentage is printed": rows.percent_printed == "",
        "no number of patients is printed": rows.n.isna(),
        "so many patients that every percentage is a count of them": from_percent & (rows.n * unit >= 100),
    }
    for row, why in zip(rows.itertuples(), first_reason(rows, reasons), strict=True):
        yield "binary", row.Index, count_words(row), why


def _cut_off(evidence: Evidence, finding: Finding) -> str:
    """Whether the printed percentage is the share with its further digits cut off."""
    row, unit = evidence.binary.loc[finding.line], 2 * (rounding_limits(finding.found)[1] - float(finding.found))
    cut = np.floor(100 * row.events / row.n / unit) * unit
    return "it fits if digits were cut off and not rounded" if abs(cut - float(finding.found)) < unit / 2 else ""


def _numbers_of_patients(evidence: Evidence) -> Iterator[Subject]:
    sizes = arm_sizes(evidence)
    for table, column in (("binary", "n"), ("continuous", "n"), ("survival", "n_at_risk")):
        for row in getattr(evidence, table).itertuples():
            n, size = getattr(row, column), sizes.get((row.study_id, row.arm_id), np.nan)
            events = getattr(row, "events", np.nan)
            checked = not np.isnan(n) and not (np.isnan(size) and np.isnan(events))
            words = f"{events:g} of {n:g}, arm of {size:g}".replace("nan", "–")
            yield table, row.Index, words, "" if checked else "no number of patients, or nothing to hold it against"


def _curve_points(evidence: Evidence) -> Iterator[Subject]:
    rows = evidence.survival.sort_values("months", kind="stable")
    later = rows.duplicated(["study_id", "arm_id", "outcome", "time_origin", "source_id"])
    for row, has_earlier in zip(rows.itertuples(), later, strict=True):
        yield "survival", row.Index, f"{row.percent:g} %", "" if has_earlier else "the first point of its curve"


def _centres(evidence: Evidence) -> Iterator[Subject]:
    for row in evidence.continuous.itertuples():
        limits = f"{row.center:g} ({row.dispersion_low:g} to {row.dispersion_high:g})"
        missing = np.isnan(row.dispersion_high)
        yield "continuous", row.Index, f"{row.center:g}" if missing else limits, "no limits printed" if missing else ""


def _medians(evidence: Evidence) -> Iterator[Subject]:
    for row in evidence.continuous.itertuples():
        why = "a mean" if row.center_type == "mean" else "no spread printed" if row.dispersion_type == "none" else ""
        yield "continuous", row.Index, f"{row.center_type} with {row.dispersion_type}", why


def _changes(evidence: Evidence) -> Iterator[Subject]:
    rows = evidence.continuous
    means = rows[(rows.kind == "level") & (rows.center_type == "mean")]
    key = ["study_id", "arm_id", "outcome", "unit", "source_id", "months"]
    levels = set(means[key].itertuples(index=False, name=None))
    patients = {tuple(k): n for *k, n in means[[*key, "n"]].itertuples(index=False, name=None)}
    for row in rows[rows.kind == "change"].itertuples():
        stem = (row.study_id, row.arm_id, row.outcome, row.unit, row.source_id)
        ends = [(*stem, row.months), (*stem, 0.0)]
        known = {n for n in (row.n, *(patients.get(end, np.nan) for end in ends)) if n == n}
        why = ""
        if row.unit in RELATIVE or row.center_type != "mean":
            why = "no difference of means: a relative change or a median"
        elif not levels.issuperset(ends):
            why = "the two levels are not printed beside it"
        elif len(known) > 1:
            why = "change and levels are of different patients"
        yield "continuous", row.Index, f"{row.center:g}", why


def _intervals(evidence: Evidence) -> Iterator[Subject]:
    for table, column in INTERVALS.items():
        for row in getattr(evidence, table).itertuples():
            words = f"{getattr(row, column):g} ({row.ci_low:g} to {row.ci_high:g})".replace("nan", "–")
            yield table, row.Index, words, "no interval printed" if np.isnan(row.ci_low) else ""


def _difference_intervals(evidence: Evidence) -> Iterator[Subject]:
    for table in ("contrasts", "pooled_elsewhere"):
        rows = getattr(evidence, table)
        reasons = {
            "no estimate with an interval is printed": rows.estimate.isna() | rows.ci_low.isna(),
            "not a difference": ~rows.measure.isin(DIFFERENCES),
        }
        for row, why in zip(rows.itertuples(), first_reason(rows, reasons), strict=True):
            words = f"{row.estimate:g} ({row.ci_low:g} to {row.ci_high:g})".replace("nan", "–")
            yield table, row.Index, words, why


def _definitions(evidence: Evidence) -> Iterator[Subject]:
    for row in evidence.binary.itertuples():
        yield "binary", row.Index, f"{row.definition_id} under {row.outcome}", ""


def _of(name: str, kind: str, formula: str, source: str, subjects, *used, **more) -> Check:
    """A check made of rules; what may explain a finding is what the rules themselves say."""
    kinds = dict.fromkeys(k for rule in used for k in rules.EXPLAINED_BY.get(rule.__name__, ()))
    return Check(name, kind, formula, source, by_rules(used, subjects, **more), tuple(kinds), used)


CHECKS = (
    _of("percentage against count", ARITHMETIC, "100 events / n, rounded to the printed digits; without a count, some "
        "whole number of n", GRIM, _percentages, percent_agrees_with_count, percent_can_be_a_count,
        explain=_cut_off),
    _of("patients within their group", ARITHMETIC, "events ≤ n ≤ patients of the arm", "", _numbers_of_patients,
        events_at_most_n, n_at_most_arm),
    _of("curve never rises", ARITHMETIC, "a share still free of the event cannot grow", "", _curve_points,
        curve_never_rises),
    _of("centre within its limits", ARITHMETIC, "low ≤ centre ≤ high", "", _centres, spread_around_centre),
    _of("median with a spread of its own", ARITHMETIC, "a median has no standard deviation or standard error",
        HANDBOOK_6, _medians, median_without_sd),
    _of("change against levels", ARITHMETIC, "mean after minus mean before, within the rounding of all three",
        HANDBOOK_6, _changes, change_agrees_with_levels),
    _of("limits around the estimate", ARITHMETIC, "lower limit ≤ estimate ≤ upper limit", "", _intervals,
        limits_around_estimate),
    _of("interval symmetric", PLAUSIBILITY, "both limits equally far from the estimate, within rounding and a tenth of "
        "the width", HANDBOOK_6, _difference_intervals, interval_is_symmetric),
    _of("definition fits the outcome", PLAUSIBILITY, "a row that names one outcome defines that one", "", _definitions,
        definition_fits_outcome),
)  # fmt: skip
