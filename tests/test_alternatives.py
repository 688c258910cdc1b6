"""Other treatments, control arms, and what "effective" would need: each number by another route."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from cellclaims import reporting
from cellclaims.alternatives import (
    ON_INSULIN,
    arm_changes,
    benchmark_lines,
    expected_responders,
    placebo_elsewhere,
)
from cellclaims.question import Question

from .made_up_trials import MadeUp, base, real, rules

T2D = {"population": "T2D", "product": "any_cells"}


def test_people_on_insulin_are_apart_from_the_others():
    lines, rows = benchmark_lines(real(), nearest=None), real().benchmarks.set_index("benchmark_id")
    for line in lines.itertuples():
        assert (line.group == ON_INSULIN) == (rows.on_insulin[line.benchmark_id] == "yes")


def test_counts_have_exact_limits_and_reported_intervals_stay():
    lines = benchmark_lines(real(), nearest=None)
    diet = lines[(lines.benchmark_id == "m039") & (lines.kind == "benchmark")].iloc[0]
    assert (diet.counts, diet.estimate) == ("31 of 159", pytest.approx(100 * 31 / 159))
    assert diet.low == pytest.approx(100 * stats.beta.ppf(0.025, 31, 129))
    assert diet.high == pytest.approx(100 * stats.beta.ppf(0.975, 32, 128))
    look = lines[(lines.benchmark_id == "m006") & (lines.kind == "benchmark")].iloc[0]
    assert (look.estimate, look.low, look.high) == (11.5, 10.1, 12.8)
    mingrone = lines[lines.benchmark_id == "m020"].iloc[0]  # 1 of 20, reported as 5.5% with its own interval
    assert (mingrone.estimate, mingrone.low, mingrone.high) == (5.5, 1.0, 25.7)
    brown = lines[lines.benchmark_id.isin(["m033", "m034"])]
    assert list(zip(brown.kind, brown.estimate, strict=True)) == [("benchmark", 39.4), ("control", 5.6)]


def test_one_time_is_shown_for_each_comparison_and_no_line_is_shown_twice():
    lines = benchmark_lines(real())
    assert not lines.duplicated(["label", "kind", "months"]).any()
    inspire = lines[lines.label.str.startswith("INSPIRE") & (lines.kind == "benchmark")]
    assert list(inspire.months) == ["12"]


def test_control_arms_change_without_cells():
    """Zang 2022: −0.63 points as reported, −15.62% of the dose; Bhansali 2014a: 6.9 to 7.0, 40.5 to 27.5 U/day."""
    hba1c, dose = (arm_changes(base(), outcome=outcome, **T2D) for outcome in ("hba1c", "insulin_dose"))
    of = {(row.study_id, row.arm): row.change for row in hba1c.itertuples()}
    assert of["zang2022", "control"] == pytest.approx(-0.63)
    assert of["bhansali2014", "control"] == pytest.approx(0.1)
    of = {(row.study_id, row.arm): row.change for row in dose.itertuples()}
    assert of["zang2022", "control"] == pytest.approx(-15.62)
    assert of["bhansali2014", "control"] == pytest.approx(100 * (27.5 / 40.5 - 1))


def test_only_arms_of_studies_with_an_untreated_arm_are_shown():
    found = arm_changes(base(), outcome="hba1c", designs=(), **T2D)
    assert {"cells", "control"} == set(found.arm)
    assert set(found.study_id) <= base().controlled
    assert "zang2023" not in set(found.study_id), "a part of the participants of zang2022"


def test_placebo_arms_elsewhere_are_in_percentage_points():
    lines = placebo_elsewhere(real())
    revita = lines[lines.label.str.startswith("REVITA-2 duodenal")].iloc[0]
    assert revita.estimate == pytest.approx(-7.1 / 10.929, abs=1e-3)
    assert lines[lines.group == "Meta-analyses of placebo arms"].estimate.tolist() == [-0.12]
    assert "b083" in set(real().topic_evidence.row_id)
    assert "Asian" in str(reporting.placebo_table(lines, real()).cells)


@pytest.fixture
def trial():
    """One made-up trial: 20 v 20, HbA1c 9.0 (1.0) to 8.0 (1.2) with cells, to 8.6 (1.2) with a sham."""
    made = MadeUp().trial("one")
    for arm, after in (("cells", 8.0), ("sham", 8.6)):
        made.level("one", 9.0, arm, months=0.0, dispersion_low=1.0, n=20.0)
        made.level("one", after, arm, months=12.0, dispersion_low=1.2, n=20.0)
    return made.base()


def test_expected_responders_are_those_of_the_normal_distribution(trial):
    """SD of the change with r = 0.5: sqrt(1 + 1.44 - 1.2) = 1.1136."""
    asked = Question("hba1c", "T2D", "msc", designs="rct")
    found = expected_responders(trial, asked, 0.5).set_index(["group", "kind"]).estimate
    sd = math.sqrt(1.0 + 1.44 - 2 * 0.5 * 1.2)
    for kind, change, after in (("study", -1.0, 8.0), ("control", -0.4, 8.6)):
        assert found["Any fall of HbA1c", kind] == pytest.approx(100 * stats.norm.cdf(-change / sd))
        expected = 100 * stats.norm.cdf((-0.5 - change) / sd)
        assert found["HbA1c lower by 0.5 points or more", kind] == pytest.approx(expected)
        assert found["HbA1c below 7%", kind] == pytest.approx(100 * stats.norm.cdf((7 - after) / 1.2))


def test_a_simulation_finds_as_many_responders(trial):
    found = expected_responders(trial, Question("hba1c", "T2D", "msc", designs="rct"), 0.5)
    row = found[(found.group == "HbA1c lower by 0.5 points or more") & (found.kind == "study")].iloc[0]
    draws = np.random.default_rng(1).multivariate_normal([9.0, 8.0], [[1.0, 0.6], [0.6, 1.44]], 200_000)
    assert row.estimate == pytest.approx(100 * np.mean(draws[:, 1] - draws[:, 0] <= -0.5), abs=0.4)


def test_halved_doses_are_counted_and_not_modelled():
    found = expected_responders(base(), Question("hba1c", designs="rct", **T2D))
    zang = found[(found.study_id == "zang2022") & found.group.str.startswith("Insulin dose halved with")]
    assert list(zang.how) == ["counted: 9 of 45", "counted: 2 of 44"]
    modelled = found[~found.group.str.startswith("Insulin")]
    assert set(modelled.how) <= {"model: normal change", "model: normal level"} and len(modelled)


def test_advertised_percentages_are_tested_against_half_of_themselves_and_against_no_cells():
    found = reporting.size_questions(real(), {"half_the_insulin": 2 / 54, "all_drugs_stopped": 0.05}, "T2D")
    assert [(one, pytest.approx(other)) for _, one, other in found] == [
        (0.6, 2 / 54), (0.6, 0.3), (0.3, 0.05), (0.3, 0.15)
    ]  # fmt: skip
    assert reporting.size_questions(real(), {"half_the_insulin": 0.1}, "T3c") == []
    assert reporting.claimed_percent(real(), "effective", "T2D") == [92, 93]
    assert rules()["eligibility"]["untreated_comparators"]
