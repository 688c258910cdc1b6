"""One effect a report: which form of a difference is used, what is combined, and what no figure may come from."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from cellclaims import units
from cellclaims.effects import FORMS, mean_changes, mean_differences
from cellclaims.pool import pooled
from cellclaims.question import Analysis
from cellclaims.selection import Question

from .made_up_trials import MadeUp, base, real, rules

CELLS = Question("hba1c", ("T2D",), "msc")
R = 0.5
#: Formulas of a line or two in floating point.
EXACT = 1e-12


def differences(made, question=CELLS, forms=FORMS, **asked):
    return mean_differences(made.base(), replace(question, **asked).at(rules()), R, forms=forms)


def changes(made, question=CELLS, correlation=R, **asked):
    return mean_changes(made.base(), replace(question, **asked).at(rules()), correlation)


def only(chosen):
    """The one effect that was made."""
    assert len(chosen.rows) == 1
    return chosen.rows.iloc[0]


def reasons(chosen):
    return dict(zip(chosen.left_out.study_id, chosen.left_out.reason, strict=True))


def finals(made=None, study_id="one", comparator="sham", **cells):
    """Final values of a made-up trial: 7.5 with cells, 8.2 without."""
    made = MadeUp().trial(study_id, comparator) if made is None else made
    made.level(study_id, 7.5, "cells", dispersion_low=1.0, n=20.0, **cells)
    return made.level(study_id, 8.2, comparator, dispersion_low=1.2, n=24.0)


def with_changes(made):
    """Printed changes, each with its SD: -1.4 and -0.5."""
    made.change("one", -1.4, "cells", dispersion_low=0.9, n=20.0)
    return made.change("one", -0.5, "sham", dispersion_low=0.8, n=24.0)


def with_contrast(made, **cells):
    return made.contrast("one", **{"estimate": -0.8, "se": 0.25} | cells)


# --- the form of a difference ------------------------------------------------------------------------------------


def test_the_forms_stand_in_the_order_adjusted_change_final():
    assert FORMS == ("adjusted", "change", "final")


def test_an_adjusted_difference_as_reported_comes_first():
    effect = only(differences(with_contrast(with_changes(finals()))))
    assert (effect.form, effect.yi, effect.vi) == ("adjusted", -0.8, pytest.approx(0.25**2))
    assert effect.detail == "adjusted mean difference"
    assert (effect.n, effect.n_control) == (20, 20)  # enrolled


def test_changes_with_their_sd_come_before_final_values():
    effect = only(differences(with_changes(finals())))
    assert (effect.form, effect.detail) == ("change", "difference of reported changes")
    assert effect.yi == pytest.approx(-0.9, rel=EXACT)
    assert effect.vi == pytest.approx(0.9**2 / 20 + 0.8**2 / 24, rel=EXACT)


def test_how_the_sd_of_a_printed_change_was_found_is_recorded():
    made = MadeUp().trial("one").change("one", -1.4, "cells", dispersion_type="se", dispersion_low=0.2)
    effect = only(differences(made.change("one", -0.5, "sham")))
    assert effect.detail == "difference of reported changes; SD from SE"
    assert effect.vi == pytest.approx(0.2**2 + 1.0**2 / 20)


def test_final_values_come_last():
    effect = only(differences(finals()))
    assert (effect.form, effect.detail) == ("final", "final values")
    assert effect.yi == pytest.approx(-0.7, rel=EXACT)
    assert effect.vi == pytest.approx(1.0**2 / 20 + 1.2**2 / 24, rel=EXACT)
    assert (effect.n, effect.n_control, effect.arm_id) == (20, 24, "cells v sham")


@pytest.mark.parametrize(("forms", "form"), [(("final", "change"), "final"), (("change",), "change")])
def test_the_order_of_the_forms_can_be_given(forms, form):
    assert only(differences(with_contrast(with_changes(finals())), forms=forms)).form == form


def test_without_any_form_the_report_is_left_out_with_a_reason_for_each():
    made = MadeUp().trial("one").level("one", 7.5, "cells")
    chosen = differences(made)
    assert chosen.rows.empty
    assert all(f"{form}: " in reasons(chosen)["one"] for form in FORMS)


def test_an_adjusted_difference_without_its_precision_gives_way():
    effect = only(differences(with_contrast(finals(), se=np.nan)))
    assert effect.form == "final"


def test_the_se_of_an_adjusted_difference_comes_from_its_interval():
    half = stats.norm.ppf(0.975) * 0.3
    effect = only(differences(with_contrast(finals(), se=np.nan, ci_low=-0.8 - half, ci_high=-0.8 + half)))
    assert effect.vi == pytest.approx(0.3**2, rel=1e-9)


def test_an_adjusted_difference_in_mmol_per_mol_is_converted():
    """-8.8 mmol/mol is about -0.8 percentage points: a difference has no offset."""
    made = with_contrast(
        finals(), unit="mmol/mol", estimate=units.ifcc(-0.8, change=True), se=units.ifcc(0.25, change=True)
    )
    effect = only(differences(made))
    assert (effect.yi, math.sqrt(effect.vi)) == (pytest.approx(-0.8), pytest.approx(0.25))


def test_an_adjusted_difference_that_is_relative_is_never_pooled_with_points():
    effect = only(differences(with_contrast(finals(), unit="% relative change", estimate=-9.0, se=3.0)))
    assert effect.form == "final"


def test_an_adjusted_difference_that_an_anomaly_leaves_out_is_not_used():
    made = with_contrast(finals()).handle("a01", "leave_out", table="contrasts", study_id="one", reason="best of three")
    assert only(differences(made)).form == "final"
    made = with_contrast(MadeUp().trial("one")).handle("a01", "leave_out", table="contrasts", reason="best of three")
    assert "a01: best of three" in reasons(differences(made))["one"]


def test_an_adjusted_difference_of_another_month_or_outcome_is_not_used():
    assert only(differences(with_contrast(finals(), months=24.0))).form == "final"
    assert only(differences(with_contrast(finals(), outcome="fpg"))).form == "final"


# --- changes without an SD: the SE from the P value --------------------------------------------------------------


def without_sd():
    made = MadeUp().trial("one")
    made.change("one", -1.4, "cells", dispersion_type="none", n=20.0)
    return made.change("one", -0.5, "sham", dispersion_type="none", n=24.0)


def test_changes_without_an_sd_take_the_se_from_the_p_value_between_arms():
    effect = only(differences(without_sd().contrast("one", p_value=0.01, measure="p only")))
    assert (effect.form, effect.detail) == ("change", "reported changes, SE from P value")
    assert effect.yi == pytest.approx(-0.9, rel=EXACT)
    t = 0.9 / math.sqrt(effect.vi)
    assert 2 * stats.t.sf(t, 20 + 24 - 2) == pytest.approx(0.01, rel=1e-9)


def test_changes_without_sd_and_p_value_are_left_out():
    chosen = differences(without_sd())
    assert chosen.rows.empty
    assert "change reported without dispersion, and no exact P value between arms" in reasons(chosen)["one"]


def test_a_p_value_that_an_anomaly_leaves_out_gives_no_se():
    made = without_sd().contrast("one", p_value=0.01).handle("a01", "leave_out", table="contrasts", study_id="one")
    assert differences(made).rows.empty


# --- who is compared with whom -----------------------------------------------------------------------------------


@pytest.mark.parametrize("comparator", ["placebo", "sham", "standard_care", "matched_cohort"])
def test_a_difference_is_taken_against_an_untreated_arm(comparator):
    assert only(differences(finals(comparator=comparator))).arm_id == f"cells v {comparator}"


@pytest.mark.parametrize("comparator", ["pancreas_transplant", "other_treatment"])
def test_another_treatment_is_no_control(comparator):
    assert differences(finals(comparator=comparator)).rows.empty


def test_a_control_arm_that_gets_cells_is_no_control():
    made = MadeUp().study("one", "T2D", "msc", "rct").arm("one", "cells")
    made.arm("one", "sham", "islets_other_regimen", gets_cells="yes")
    assert differences(finals(made)).rows.empty


@pytest.mark.parametrize("comparator", ["pancreas_transplant", "other_treatment", "islets_other_regimen"])
def test_a_reported_difference_from_another_treatment_is_not_used(comparator):
    """Three arms: the adjusted difference is from the treated arm, the untreated arm has final values."""
    made = finals()
    made.arm("one", "rival", comparator, gets_cells="yes" if comparator == "islets_other_regimen" else "no")
    effect = only(differences(made.contrast("one", control="rival", estimate=-0.1, se=0.2)))
    assert (effect.form, effect.arm_id) == ("final", "cells v sham")


def test_a_reported_difference_that_an_arm_without_cells_leads_is_not_used():
    made = finals().contrast("one", treatment="sham", control="cells", estimate=0.8, se=0.25)
    assert only(differences(made)).yi == pytest.approx(-0.7)


def test_a_registry_is_never_in_a_pool_of_differences():
    made = finals().study("citr", "T2D", "msc", "registry").arm("citr", "cells").arm("citr", "sham", "matched_cohort")
    made.contrast("citr", estimate=-2.0, se=0.1)
    assert list(differences(made).rows.study_id) == ["one"]


@pytest.mark.parametrize(
    ("study", "asked"),
    [
        ({"population": "T1D"}, {}),
        ({"product": "islet_allo"}, {}),
        ({"design": "nonrandomised_controlled"}, {"designs": ("rct",)}),
        ({}, {"exclude": ("other",)}),
    ],
    ids=["another type of diabetes", "another product", "not randomised", "left out by name"],
)
@pytest.mark.parametrize("reported", [False, True], ids=["levels", "adjusted difference"])
def test_a_report_that_is_not_asked_for_gives_no_difference(study, asked, reported):
    made = finals(finals().trial("other", **study), "other")
    if reported:
        made.contrast("other", estimate=-2.0, se=0.1)
    assert list(differences(made, replace(CELLS, **asked)).rows.study_id) == ["one"]


def test_a_difference_is_one_of_the_same_month():
    """Cells at 9 and 12 months, control at 9 only: the difference is that at 9 months."""
    made = MadeUp().trial("one")
    made.level("one", 7.0, "cells", months=12).level("one", 7.6, "cells", months=9)
    effect = only(differences(made.level("one", 8.0, "sham", months=9)))
    assert effect.yi == pytest.approx(7.6 - 8.0)


# --- several dose arms against one control -----------------------------------------------------------------------


def doses(**more):
    """Three doses of 10 patients each against one control of 30."""
    made = MadeUp().study("one", "T2D", "msc", "rct")
    for dose in ("low", "middle", "high"):
        made.arm("one", dose, n=10)
    return made.arm("one", "sham", "sham", n=30)


def patients(n, mean, sd, seed):
    z = np.random.default_rng(seed).normal(size=n)
    return mean + sd * (z - z.mean()) / z.std(ddof=1)


def test_several_dose_arms_are_combined_before_they_meet_their_control():
    made, people = doses(), []
    for seed, (dose, mean) in enumerate({"low": 7.9, "middle": 7.4, "high": 7.0}.items()):
        made.level("one", mean, dose, dispersion_low=1.0, n=10.0)
        people.append(patients(10, mean, 1.0, seed))
    effect = only(differences(made.level("one", 8.2, "sham", dispersion_low=1.2, n=30.0)))
    together = np.concatenate(people)
    assert effect.yi == pytest.approx(together.mean() - 8.2)
    assert effect.vi == pytest.approx(together.var(ddof=1) / 30 + 1.2**2 / 30)
    assert (effect.n, effect.n_control, effect.arm_id) == (30, 30, "low+middle+high v sham")
    assert "3 arms combined" in effect.detail


def test_printed_changes_of_several_doses_are_combined_too():
    made = doses()
    for dose, mean in {"low": -0.2, "middle": -0.6, "high": -1.0}.items():
        made.change("one", mean, dose, dispersion_low=1.0, n=10.0)
    effect = only(differences(made.change("one", -0.1, "sham", dispersion_low=1.2, n=30.0)))
    assert (effect.form, effect.n, effect.n_control) == ("change", 30, 30)
    assert effect.yi == pytest.approx(-0.6 - -0.1)


def test_adjusted_differences_of_several_doses_are_combined_against_their_control():
    """d weighted by n; variance sigma² (1 / sum n + 1 / n_c): no single dose speaks for the trial."""
    made = doses()
    for dose, estimate in {"high": -0.9, "middle": -0.5, "low": -0.1}.items():
        made.contrast("one", dose, "sham", estimate=estimate, se=0.2)
    effect = only(differences(made))
    assert (effect.form, effect.n, effect.n_control, effect.arm_id) == ("adjusted", 30, 30, "high+middle+low v sham")
    assert effect.yi == pytest.approx(-0.5, rel=EXACT)
    sigma2 = 0.2**2 / (1 / 10 + 1 / 30)
    assert effect.vi == pytest.approx(sigma2 * (1 / 30 + 1 / 30), rel=EXACT)


def test_a_difference_of_all_doses_stands_for_its_parts():
    made = doses().arm("one", "all_doses", n=30.0)
    for row in made.rows["arms"]:
        row.update({"part_of": "all_doses"} if row["arm_id"] in ("low", "middle", "high") else {})
    made.contrast("one", "high", "sham", estimate=-0.9, se=0.2)
    chosen = differences(made.contrast("one", "all_doses", "sham", estimate=-0.4, se=0.15))
    assert (only(chosen).yi, only(chosen).vi, only(chosen).n) == (-0.4, pytest.approx(0.15**2), 30)
    assert [(row.arm_id, row.reason) for row in chosen.left] == [("high", "part of arm all_doses, which is counted")]


def test_a_trial_whose_se_came_by_t_has_an_interval_by_t():
    effect = only(differences(without_sd().contrast("one", p_value=0.01)))
    assert effect.df == 20 + 24 - 2
    pool = pooled(without_sd().contrast("one", p_value=0.01).base(), CELLS.named("n", "t"), Analysis("MD"))
    reach = stats.t.ppf(0.975, 42) * math.sqrt(effect.vi)
    assert (pool.fit.ci_lb, pool.rows.ci_ub[0]) == (pytest.approx(-0.9 - reach), pytest.approx(-0.9 + reach))
    assert pool.settings["interval"] == "t with 42 df"
    assert np.isnan(only(differences(finals())).df)


def medians(cells, sham):
    made = MadeUp().trial("one")
    for arm, (low, middle, high) in {"cells": cells, "sham": sham}.items():
        more = {"center_type": "median", "dispersion_type": "iqr", "dispersion_low": low, "dispersion_high": high}
        made.level("one", middle, arm, n=11.0, **more)
    return only(differences(made))


def test_medians_and_means_of_different_sign_have_no_clear_direction():
    """bhansali2014: medians 7.1 v 7.0, and -0.08 as means."""
    effect = medians((6.6, 7.1, 7.5), (6.9, 7.0, 7.5))
    assert effect.yi < 0 and effect.direction == "unclear"
    assert "medians 7.1 v 7, but \N{MINUS SIGN}0.0" in effect.detail
    assert medians((6.6, 6.9, 7.5), (6.9, 7.0, 7.5)).direction == ""


def test_skewed_quartiles_are_named():
    assert "skewed by its quartiles (arm cells)" in medians((7.0, 7.0, 9.0), (6.9, 7.0, 7.5)).detail
    assert "skewed" not in medians((6.6, 7.1, 7.5), (6.9, 7.2, 7.5)).detail


def test_no_report_has_two_differences():
    chosen = differences(finals(finals().trial("two"), "two"))
    assert sorted(chosen.rows.study_id) == ["one", "two"]


# --- change within an arm ----------------------------------------------------------------------------------------


def before_after(**more):
    made = MadeUp().trial("one")
    made.level("one", 9.0, "cells", months=0, dispersion_low=1.3, n=22.0, **more)
    return made.level("one", 7.5, "cells", dispersion_low=1.0, n=20.0, **more)


@pytest.mark.parametrize("r", [0.3, 0.5, 0.9])
def test_a_change_between_levels_takes_its_sd_from_the_correlation(r):
    effect = only(changes(before_after(), correlation=r))
    assert effect.yi == pytest.approx(-1.5, rel=EXACT)
    assert effect.vi == pytest.approx((1.3**2 + 1.0**2 - 2 * r * 1.3 * 1.0) / 20, rel=EXACT)  # the fewer patients
    assert f"r = {r:g}" in effect.detail


def test_a_printed_change_with_its_sd_needs_no_correlation():
    made = before_after().change("one", -1.4, "cells", dispersion_low=0.9, n=20.0)
    effects = [only(changes(made, correlation=r)) for r in (0.3, 0.9)]
    assert [(e.yi, e.vi) for e in effects] == [(-1.4, pytest.approx(0.9**2 / 20))] * 2
    assert "r =" not in effects[0].detail


def test_a_reported_change_without_an_sd_takes_it_from_the_levels():
    effect = only(changes(before_after().change("one", -1.4, "cells", dispersion_type="none")))
    assert effect.yi == -1.4 and "change as reported (from the means \N{MINUS SIGN}1.50)" in effect.detail
    assert "r = 0.5" in effect.detail and effect.vi == pytest.approx(only(changes(before_after())).vi)


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (MadeUp().trial("one").level("one", 7.5, "cells"), "no baseline"),
        (MadeUp().trial("one").level("one", 9.0, "cells", months=0), "no follow-up in the window"),
        (
            MadeUp().trial("one").change("one", -1.4, "cells", dispersion_type="none"),
            "change reported without dispersion, and no levels before and after",
        ),
    ],
    ids=["no baseline", "no follow-up", "no spread"],
)
def test_a_change_that_cannot_be_made_is_left_out_with_its_reason(made, why):
    chosen = changes(made)
    assert chosen.rows.empty
    assert reasons(chosen) == {"one": why}


def test_the_change_of_the_control_arm_is_its_own():
    made = before_after().level("one", 9.0, "sham", months=0).level("one", 8.6, "sham")
    effect = only(changes(made, replace(CELLS, arms="control")))
    assert (effect.yi, effect.arm_id) == (pytest.approx(-0.4), "sham")
    assert only(changes(made)).arm_id == "cells"


def test_changes_of_several_arms_are_one_change_of_all_patients():
    made = doses()
    for dose, after in {"low": 8.5, "middle": 8.0, "high": 7.5}.items():
        made.level("one", 9.0, dose, months=0, n=10.0).level("one", after, dose, n=10.0)
    effect = only(changes(made))
    assert (effect.yi, effect.n, effect.arm_id) == (pytest.approx(-1.0), 30, "low+middle+high")


def test_of_a_window_the_longest_follow_up_is_used_and_of_a_month_the_nearest():
    made = before_after().level("one", 7.9, "cells", months=10).level("one", 7.7, "cells", months=14)
    assert only(changes(made)).yi == pytest.approx(-1.3)
    assert only(changes(made, months=(2.75, 13.0))).yi == pytest.approx(-1.5)
    assert only(changes(made, months=12.0, window=3.0)).yi == pytest.approx(-1.5)
    assert only(changes(made, months=(2.75, 11.0))).yi == pytest.approx(-1.1)


def test_doses_of_insulin_in_units_that_do_not_convert_are_never_mixed():
    made = MadeUp()
    for name, unit in (("one", "U/day"), ("two", "U/kg/day"), ("three", "% relative reduction")):
        made.trial(name)
        for arm, value in (("cells", 30.0), ("sham", 20.0)):
            made.change(name, value, arm, outcome="insulin_dose", unit=unit)
    found = {}
    for unit in ("U/day", "U/kg/day", "% of baseline"):
        chosen = differences(made, outcome="insulin_dose", unit=unit)
        found[unit] = {row.study_id: row.yi for row in chosen.records}
    assert found == {"U/day": {"one": 10.0}, "U/kg/day": {"two": 10.0}, "% of baseline": {"three": -10.0}}


def test_an_arm_and_its_part_are_never_both_in_a_change():
    made = before_after().arm("one", "responders", part_of="cells")
    made.level("one", 9.0, "responders", months=0, n=5.0).level("one", 6.0, "responders", n=5.0)
    assert only(changes(made)).n == 20


# --- units and spreads -------------------------------------------------------------------------------------------


def test_levels_in_mmol_per_mol_become_points_of_per_cent():
    made = MadeUp().trial("one")
    for arm, value, sd in (("cells", 7.5, 1.0), ("sham", 8.2, 1.2)):
        made.level("one", units.ifcc(value), arm, dispersion_low=units.ifcc(sd, change=True), unit="mmol/mol")
    effect = only(differences(made))
    assert effect.yi == pytest.approx(-0.7)
    assert effect.vi == pytest.approx((1.0**2 + 1.2**2) / 20)


def test_a_spread_with_limits_is_converted_as_limits():
    made = MadeUp().trial("one").level("one", 8.2, "sham", dispersion_low=1.2)
    low, high = units.ifcc(7.0), units.ifcc(8.0)
    made.level(
        "one",
        units.ifcc(7.5),
        "cells",
        dispersion_type="ci95",
        dispersion_low=low,
        dispersion_high=high,
        unit="mmol/mol",
    )
    sd = math.sqrt(20) / (2 * stats.t.ppf(0.975, 19))
    assert only(differences(made)).vi == pytest.approx((sd**2 + 1.2**2) / 20)


def test_a_relative_change_is_never_pooled_with_points():
    chosen = changes(MadeUp().trial("one").change("one", -12.6, "cells", unit="% relative change"))
    assert chosen.rows.empty and "% relative change" in reasons(chosen)["one"]


def test_how_a_spread_was_turned_into_an_sd_is_recorded():
    made = MadeUp().trial("one").level("one", 8.2, "sham")
    made.level(
        "one", 7.5, "cells", center_type="median", dispersion_type="iqr", dispersion_low=7.0, dispersion_high=8.0
    )
    assert only(differences(made)).detail == "final values; mean and SD from median and quartiles (Luo 2018, Wan 2014)"


def test_a_number_of_patients_that_stands_in_is_flagged_on_the_effect():
    made = MadeUp().trial("one").level("one", 7.5, "cells", n=np.nan).level("one", 8.2, "sham")
    effect = only(differences(made))
    assert effect.n == 20 and effect.flag == "n not printed at this time: 20 enrolled stand in"
    chosen = differences(made, replace(CELLS, assumed=False))
    assert chosen.rows.empty


def test_the_rows_of_an_effect_are_named_with_their_sources():
    made = finals()
    made.rows["continuous"][1]["source_id"] = "s_other"
    effect = only(differences(made))
    assert (effect.line, effect.source_id) == ("2;3", "s_one;s_other")


# --- nothing is lost ---------------------------------------------------------------------------------------------


def lines(frame):
    return {int(one) for line in frame.line for one in str(line).split(";")}


QUESTIONS = [
    Question("hba1c", population, product, arms, months=months, window=window, designs=designs)
    for population in (("T1D",), ("T2D",))
    for product in ("any_cells", "islets")
    for arms in ("cells", "control")
    for months, window, designs in ((12.0, 3.0, ()), (8.0, 7.0, ("rct",)))
]


def in_words(question):
    return f"{question.population[0]} {question.product} {question.arms} {question.months:g}"


@pytest.mark.parametrize("question", QUESTIONS, ids=in_words)
def test_every_row_of_the_outcome_is_in_a_change_or_left_out(question):
    chosen = mean_changes(base(), question, R)
    everything = set(real().continuous.index[real().continuous.outcome == "hba1c"])
    assert everything - lines(chosen.rows) - lines(chosen.left_out) == set()
    assert lines(chosen.rows) & lines(chosen.left_out) == set()


@pytest.mark.parametrize("question", [q for q in QUESTIONS if q.arms == "cells"], ids=in_words)
def test_every_row_of_the_outcome_is_in_a_difference_or_left_out(question):
    chosen = mean_differences(base(), question, R)
    left_out = chosen.left_out[chosen.left_out.table == "continuous"]
    used = lines(chosen.rows[chosen.rows.form != "adjusted"])
    everything = set(real().continuous.index[real().continuous.outcome == "hba1c"])
    assert everything - used - lines(left_out) == set()
    assert used & lines(left_out) == set()


def test_a_level_that_another_month_answers_better_is_left_out_with_a_reason():
    made = finals().level("one", 7.9, "cells", months=10)
    chosen = differences(made)
    assert lines(chosen.rows) == {2, 3}
    assert lines(chosen.left_out) == {4}


def test_a_treated_comparator_is_left_out_with_a_reason():
    made = finals().arm("one", "rival", "pancreas_transplant").level("one", 6.5, "rival")
    chosen = differences(made)
    assert lines(chosen.rows) == {2, 3}
    assert lines(chosen.left_out) == {4}


def test_a_report_without_a_control_is_left_out_with_a_reason():
    made = finals().study("alone", "T2D", "msc").arm("alone").level("alone", 7.0)
    chosen = differences(made)
    assert list(chosen.rows.study_id) == ["one"]
    assert "alone" in set(chosen.left_out.study_id)
