"""Checks of printed numbers: what each finds, what it lets pass, when it is silent, and which anomalies are found."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ttest_ind_from_stats

from cellclaims.appraisal import CHECKS, consistency, consistency_summary, known_anomalies
from cellclaims.appraisal.check import CONSISTENT, INCONSISTENT, NOT_APPLICABLE, printed_text
from cellclaims.appraisal.checks import FEWEST, p_from_interval, usual_spread, welch_p
from cellclaims.appraisal.consistency import BEYOND_CHECKS
from cellclaims.dispersion import MeanSD
from cellclaims.evidence import rules
from cellclaims.evidence.schema import findings

from .made_up_trials import MadeUp, real

BY_NAME = {check.name: check for check in CHECKS}


@pytest.fixture(scope="module")
def results() -> pd.DataFrame:
    return consistency(real())


def found_by(made: MadeUp, check: str) -> list[str]:
    """What one check says of every row of made-up evidence, in order."""
    return list(consistency(made.evidence(), [BY_NAME[check]]).result)


# --- the shape of the answer --------------------------------------------------------------------------------------


def test_every_line_says_what_its_result_needs(results):
    assert set(results.result) == {CONSISTENT, INCONSISTENT, NOT_APPLICABLE}
    assert (results.reason[results.result == NOT_APPLICABLE] != "").all()
    assert (results.expected[results.result == INCONSISTENT] != "").all()
    assert (results.expected[results.result == CONSISTENT] == "").all()
    assert (results.anomaly_id[results.result != INCONSISTENT] == "").all()
    text = results[["printed", "expected", "reason"]]
    assert not text.map(lambda words: "nan" in words.split()).any().any()


def test_every_published_row_is_looked_at(results):
    for table in ("continuous", "binary", "survival", "contrasts", "pooled_elsewhere"):
        assert set(results.line[results.table == table]) == set(getattr(real(), table).index)


def test_a_check_looks_at_a_row_once(results):
    assert not results.duplicated(["check", "table", "line"]).any()


def test_nothing_is_a_rule_twice_every_finding_of_the_data_rules_is_kept(results):
    for check in CHECKS:
        mine = results[(results.check == check.name) & (results.result == INCONSISTENT)]
        found = {(f.table, f.line) for rule in check.rules for f in findings(rule(real()))}
        if check.rules:
            assert set(zip(mine.table, mine.line, strict=True)) == found


def test_the_summary_counts_what_could_fail_and_not_what_was_looked_at(results):
    counts = consistency_summary(results).set_index("check")
    debit = counts.loc["DEBIT: yes or no with a spread"]
    assert (debit.looked_at, debit.could_fail, debit.inconsistent) == (len(real().continuous), 0, 0)
    assert (counts.inconsistent <= counts.could_fail).all()
    assert counts.could_fail.sum() == (results.result != NOT_APPLICABLE).sum()


# --- each check on made-up rows: found, let pass, silent ----------------------------------------------------------


def counted(events: float, n: float, percent: str, status: str = "printed", arm: float = 200) -> MadeUp:
    made = MadeUp().study("one").arm("one", n=arm)
    return made.count("one", events, n, percent_printed=percent, percent=float(percent or "nan"), status=status)


@pytest.mark.parametrize(
    ("events", "n", "percent", "status", "result"),
    [
        (6, 7, "90", "printed", INCONSISTENT),
        (6, 7, "86", "printed", CONSISTENT),
        (np.nan, 29, "20.1", "printed", INCONSISTENT),
        (np.nan, 29, "20.7", "printed", CONSISTENT),
        (6, 7, "", "printed", NOT_APPLICABLE),
        (np.nan, np.nan, "86", "printed", NOT_APPLICABLE),
        (np.nan, 150, "33", "printed", NOT_APPLICABLE),  # every whole percentage is a count of 100 and more
        (np.nan, 150, "33.1", "printed", INCONSISTENT),
        (49, 150, "33", "derived", NOT_APPLICABLE),
        (49, 150, "35", "printed", INCONSISTENT),
    ],
)
def test_percentage_against_count(events, n, percent, status, result):
    assert found_by(counted(events, n, percent, status), "percentage against count") == [result]


def test_a_percentage_that_was_cut_off_is_told_from_one_that_fits_nowhere():
    said = [
        consistency(counted(61, 134, p).evidence(), [BY_NAME["percentage against count"]]).reason[0]
        for p in ("45", "44")
    ]
    assert said == ["it fits if digits were cut off and not rounded", ""]


@pytest.mark.parametrize(
    ("events", "n", "percent", "result"),
    [
        (11, 14, "", INCONSISTENT),  # of those who became independent
        (11, 16, "", CONSISTENT),
        (6, np.nan, "50", INCONSISTENT),  # 6 is 50 % of 12, the arm has 16
        (8, np.nan, "50", CONSISTENT),
        (np.nan, np.nan, "50", NOT_APPLICABLE),
        (0, np.nan, "0", NOT_APPLICABLE),
    ],
)
def test_everybody_in_the_denominator(events, n, percent, result):
    assert found_by(counted(events, n, percent, arm=16), "everybody in the denominator") == [result]


def level(center: float, **more) -> MadeUp:
    return MadeUp().study("one").arm("one").level("one", center, **more)


@pytest.mark.parametrize(
    ("center", "n", "more", "result"),
    [
        (106.66, 7, {"outcome": "fpg", "unit": "mg/dL"}, INCONSISTENT),
        (89.71, 7, {"outcome": "fpg", "unit": "mg/dL"}, CONSISTENT),
        (7.52, 45, {}, NOT_APPLICABLE),  # cannot fail: 45 patients
        (7.52, np.nan, {}, NOT_APPLICABLE),
        (7.57, 1, {}, NOT_APPLICABLE),
        (7.52, 7, {"center_type": "median"}, NOT_APPLICABLE),
        (43.66, 7, {"outcome": "insulin_dose", "unit": "U/day"}, NOT_APPLICABLE),  # no step is known
        (-12.61, 7, {"kind": "change", "unit": "% relative change"}, NOT_APPLICABLE),
        (6.77, 7, {}, CONSISTENT),
        (6.78, 7, {}, INCONSISTENT),
        (6.7, 7, {}, NOT_APPLICABLE),  # tenths of tenths: cannot fail
    ],
)
def test_grim_is_asked_only_where_a_step_is_known_and_it_can_fail(center, n, more, result):
    assert found_by(level(center, n=n, **more), "GRIM: mean against n") == [result]


@pytest.mark.parametrize(
    ("center", "spread", "n", "result"),
    [(7.3, 2.51, 12, INCONSISTENT), (7.3, 2.53, 12, CONSISTENT), (7.3, 25.1, 12, NOT_APPLICABLE)],
)
def test_grimmer_on_whole_numbers(center, spread, n, result):
    made = level(center, n=n, dispersion_low=spread, outcome="hba1c", unit="mmol/mol")
    assert found_by(made, "GRIMMER: spread against n") == [result]


def test_debit_applies_to_shares_with_a_spread_only():
    name = "DEBIT: yes or no with a spread"
    for spread, result in ((0.18, INCONSISTENT), (0.49, CONSISTENT)):
        assert found_by(level(0.35, n=20, unit="proportion", dispersion_low=spread), name) == [result]
    assert found_by(level(7.5, n=20), name) == [NOT_APPLICABLE]
    assert found_by(level(0.35, unit="proportion", dispersion_type="none"), name) == [NOT_APPLICABLE]


def reports_with_spread(k: int) -> MadeUp:
    """k reports whose HbA1c has standard deviations around 1, and one that is looked at."""
    made = MadeUp().study("looked_at").arm("looked_at")
    for number in range(k):
        made.study(f"other{number}").arm(f"other{number}")
        made.level(f"other{number}", 7.5, dispersion_low=1.0 + 0.2 * (-1) ** number, n=20)
    return made


@pytest.mark.parametrize(
    ("kind", "spread", "result", "words"),
    [
        ("sd", 1.1, CONSISTENT, ""),
        ("sd", 0.25, INCONSISTENT, "standard error, 1.1 would fit"),
        ("se", 0.25, CONSISTENT, "standard deviation it would be too small"),
        ("se", 1.1, INCONSISTENT, "standard deviation, 1.1 would fit"),
        ("sd", 9.0, INCONSISTENT, "9 is large; no label fits"),
    ],
)
def test_a_standard_error_is_known_by_its_size(kind, spread, result, words):
    made = reports_with_spread(12).level("looked_at", 7.5, dispersion_type=kind, dispersion_low=spread, n=20)
    found = consistency(made.evidence(), [BY_NAME["standard error taken for standard deviation"]]).iloc[-1]
    assert found.result == result
    assert words in found.reason


def test_the_usual_spread_needs_enough_other_reports_and_leaves_the_own_one_out():
    few = reports_with_spread(FEWEST - 1).level("looked_at", 7.5, dispersion_low=50.0)
    assert usual_spread(few.evidence(), "hba1c", "%", without="looked_at") is None
    enough = reports_with_spread(FEWEST).level("looked_at", 7.5, dispersion_low=50.0)
    low, high = usual_spread(enough.evidence(), "hba1c", "%", without="looked_at").limits(20)
    assert 0.3 < low < 1 < high < 3


def test_the_usual_spread_is_read_in_the_unit_asked_for():
    """By the slope of the IFCC-NGSP equation alone: an SD has no offset."""
    evidence = reports_with_spread(FEWEST).evidence()
    percent, ifcc = (usual_spread(evidence, "hba1c", unit, without="") for unit in ("%", "mmol/mol"))
    assert np.exp(ifcc.mean - percent.mean) == pytest.approx(1 / 0.09148)


@pytest.mark.parametrize(
    ("center", "low", "high", "result"),
    [(7.1, 6.7, 7.1, INCONSISTENT), (7.0, 6.7, 7.1, CONSISTENT), (0.0, 0.0, 0.2, NOT_APPLICABLE)],
)
def test_a_median_on_its_own_limit(center, low, high, result):
    made = level(center, center_type="median", dispersion_type="iqr", dispersion_low=low, dispersion_high=high)
    assert found_by(made, "median between its quartiles") == [result]


def baseline(cells: float, placebo: float, n: float = 20, **study) -> MadeUp:
    made = MadeUp().trial("one", comparator="placebo", **study)
    return made.level("one", cells, "cells", months=0, n=n).level("one", placebo, "placebo", months=0, n=n)


def test_arms_alike_at_baseline():
    name = "arms alike at baseline"
    assert found_by(baseline(9.0, 8.0), name) == [INCONSISTENT, NOT_APPLICABLE]  # SD 1, n 20: t = 3.2
    assert found_by(baseline(8.3, 8.0), name) == [CONSISTENT, NOT_APPLICABLE]
    assert found_by(baseline(9.0, 8.0, n=np.nan), name) == [NOT_APPLICABLE] * 2
    assert found_by(baseline(9.0, 8.0, design="nonrandomised_controlled"), name) == [NOT_APPLICABLE] * 2


def test_the_p_value_of_two_means_is_that_of_a_reference():
    """scipy.stats, Welch's test from summary figures; both are exact, so that only the last digits may differ."""
    one, two = MeanSD(10, 96.0, 34.0), MeanSD(5, 48.0, 26.0)
    wanted = ttest_ind_from_stats(one.mean, one.sd, one.n, two.mean, two.sd, two.n, equal_var=False).pvalue
    assert welch_p(one, two) == pytest.approx(wanted, rel=1e-9)


def contrast(estimate: float, low: float, high: float, measure: str, p: float = np.nan) -> MadeUp:
    made = MadeUp().trial("one")
    return made.contrast("one", estimate=estimate, ci_low=low, ci_high=high, measure=measure, p_value=p)


@pytest.mark.parametrize(("p", "result"), [(0.002, CONSISTENT), (0.02, INCONSISTENT), (np.nan, NOT_APPLICABLE)])
def test_p_value_against_interval(p, result):
    assert found_by(contrast(0.39, 0.21, 0.71, "HR", p), "P value against interval") == [result]


def test_the_p_value_of_a_normal_interval_is_the_one_in_tables():
    """An estimate of 1.96 standard errors: P = 0.05, whatever the scale."""
    low, high = p_from_interval(1.96, 0.0, 3.92, ratio=False)
    assert low < 0.05 < high


@pytest.mark.parametrize(("low", "result"), [(0.21, CONSISTENT), (0.35, INCONSISTENT), (np.nan, NOT_APPLICABLE)])
def test_the_interval_of_a_ratio_is_symmetric_on_the_log_scale(low, result):
    assert found_by(contrast(0.39, low, 0.71, "HR"), "interval of a ratio symmetric") == [result]


def test_the_same_figure_under_two_reports_of_one_text():
    made = MadeUp().study("one").arm("one").study("two").arm("two")
    for study, value in (("one", -13.1), ("two", -13.1), ("two", -18.4), ("one", -13.0)):
        made.change(study, value, unit="% relative change", source_id="review", months=12)
    assert found_by(made, "a figure of its own") == [INCONSISTENT, INCONSISTENT, CONSISTENT, NOT_APPLICABLE]


def test_change_against_levels_says_why_it_is_silent():
    made = level(9.1, months=0).level("one", 7.6).change("one", -1.5).change("one", -2.0, months=24)
    found = consistency(made.evidence(), [BY_NAME["change against levels"]])
    assert list(found.result) == [CONSISTENT, NOT_APPLICABLE]
    assert found.reason[1] == "the two levels are not reported"
    assert found_by(level(9.1, months=0).level("one", 7.6).change("one", -1.3), "change against levels") == [
        INCONSISTENT
    ]


def test_digits_are_those_of_the_file_and_of_a_changed_row_those_it_needs():
    evidence = real()
    line = evidence.continuous.index[evidence.continuous.study_id == "lehmann2015"][0]
    assert printed_text(evidence, "continuous", "center")[line] == "8.0"
    rows = evidence.continuous
    changed = rows.assign(center=rows.center.where(rows.index != line, 8.25))
    assert printed_text(replace(evidence, continuous=changed), "continuous", "center")[line] == "8.25"


# --- the recorded anomalies ---------------------------------------------------------------------------------------

#: Which check finds which recorded anomaly. All others are beyond any check, for the reason that BEYOND_CHECKS gives.
FOUND_BY = {
    "percentage against count": "a05 a06 a46 a50 a51 a61 a62 a63 a64 a65 a66 a67 a68 a70 a71 a72 a96",
    "everybody in the denominator": "a02 a03 a07 a08 a48 a49 a76",
    "change against levels": "a01",
    "median with a spread of its own": "a14",
    "median between its quartiles": "a20",
    "arms alike at baseline": "a22",
    "a figure of its own": "a16",
    "limits around the estimate": "a39",
    "interval symmetric": "a38",
    "definition fits the outcome": "a69",
    "standard error taken for standard deviation": "a13 a29",
}
#: The label that the table holds fits; the check speaks against the other one.
IN_THE_OTHER_READING = {"a13", "a29"}


def test_each_anomaly_is_found_by_the_checks_that_can_find_it_or_has_its_reason(results):
    known = known_anomalies(real(), results).set_index("anomaly_id")
    assert set(known.index) == set(real().anomalies.anomaly_id)
    wanted = {anomaly: check for check, names in FOUND_BY.items() for anomaly in names.split()}
    assert {a: known.checks[a] for a in known.index if known.found[a] != "no"} == wanted
    assert set(known.index[known.found == "in the other reading"]) == IN_THE_OTHER_READING
    beyond = known[known.found == "no"]
    assert dict(beyond.why_not) == {a: BEYOND_CHECKS[kind] for a, kind in beyond.kind.items()}
    assert (beyond.why_not != "").all()


def test_no_anomaly_is_excused_that_a_check_could_have_missed():
    """Every kind has a check that can find it, or a reason, or both where figures decide."""
    findable = {kind for check in CHECKS for kind in check.anomalies}
    kinds = set(real().anomalies.kind)
    assert kinds <= findable | set(BEYOND_CHECKS)
    assert {kind for rule in rules.EXPLAINED_BY.values() for kind in rule} <= findable


def test_an_anomaly_excuses_the_figure_that_it_quotes_and_no_other(results):
    both = results[(results.study_id == "maffi2011") & (results.result == INCONSISTENT)]
    assert dict(zip(both.printed.str.split(" ").str[0], both.anomaly_id, strict=True)) == {"59": "a46", "75": "a71"}


def test_findings_that_nobody_recorded_are_shown_as_such(results):
    """GRIM on four means and one spread are new: they stand without an anomaly until a reader has looked."""
    new = results[(results.result == INCONSISTENT) & (results.anomaly_id == "")]
    assert set(new.kind) == {"plausibility"}
    assert set(new.study_id[new.check == "GRIM: mean against n"]) == {"cure2008", "deguzman_bmrat878", "sood2017"}
