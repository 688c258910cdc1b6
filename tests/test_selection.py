"""Which counts answer a question: every rule on made-up trials, and the tables of rows left out on the real ones.

``RULES.md`` names the test that fails when a rule is taken out.
"""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from cellclaims.selection import (
    ESTIMANDS,
    FAVOURABLE,
    Question,
    benchmarks,
    independent,
    select_counts,
    select_levels,
    series,
)

from .made_up_trials import MadeUp, base, real

ISLETS = Question("insulin_independence", ("T1D",), "islets")


def select(made, question=ISLETS, **asked):
    return select_counts(made.base(), replace(question, **asked))


def counted(chosen):
    """{report: (events, n)} of the rows that were chosen."""
    return {r.study_id: (r.events, r.n) for r in chosen.rows.itertuples()}


def reasons(chosen):
    """{(report, arm): reason} of the rows that were left out."""
    return {(r.study_id, r.arm_id): r.reason for r in chosen.left_out.itertuples()}


def lines(frame):
    """Lines of the file that a table of rows speaks of, each as often as it is named."""
    return [int(one) for line in frame.line for one in str(line).split(";")]


def reports(*names, n=20, **more):
    """Made-up one-arm reports, each with 5 of ``n`` at 12 months and a cohort of its own."""
    made = MadeUp()
    for name in names:
        made.study(name, **more).arm(name, n=n).count(name, 5, n)
    return made


def in_short(question):
    """What differs between the questions that are asked here, as the name of a test."""
    default = vars(ISLETS)
    return " ".join(str(value) for name, value in vars(question).items() if value != default[name]) or "islets"


# --- nothing is lost ---------------------------------------------------------------------------------------------

ASKED = [
    ISLETS,
    replace(ISLETS, window=6.0),
    replace(ISLETS, assumed=False),
    replace(ISLETS, arms="control", window=3.0),
    replace(ISLETS, alternative=("a25", "a48", "a55")),
    replace(ISLETS, exclude=("shapiro2006",), designs=("single_arm",)),
    replace(ISLETS, population=("T1D", "T2D"), product="any_cells", months=6.0),
    Question("insulin_dose_halved", ("T2D",), "any_cells", estimand="most_favourable"),
    *(replace(ISLETS, estimand=estimand, product=product) for estimand in ESTIMANDS for product in ("islets", "hsct")),
]


@functools.cache
def chosen_of(question):
    """What the evidence of the repository answers; asked once."""
    return select_counts(base(), question)


@pytest.mark.parametrize("question", ASKED, ids=in_short)
def test_kept_and_left_out_together_are_all_rows_of_the_outcome_once(question):
    chosen = chosen_of(question)
    binary = real().binary
    everything = list(binary.index[binary.definition_id == question.outcome])
    assert sorted(lines(chosen.rows) + lines(chosen.left_out)) == everything
    assert (chosen.left_out.reason != "").all() and chosen.left_out.reason.notna().all()


@pytest.mark.parametrize("arms", ["cells", "control"])
@pytest.mark.parametrize("population", [("T1D",), ("T2D",)])
def test_levels_kept_and_left_out_together_are_all_rows_of_the_outcome_once(population, arms):
    chosen = select_levels(base(), Question("hba1c", population, "any_cells", arms))
    continuous = real().continuous
    everything = list(continuous.index[continuous.outcome == "hba1c"])
    assert sorted(lines(chosen.rows) + lines(chosen.left_out)) == everything


#: Shrinking a failure would take minutes, as each example is a selection; the rows are few anyway.
QUICK = (Phase.explicit, Phase.reuse, Phase.generate)


@settings(max_examples=40, deadline=None, phases=QUICK)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["one", "two", "three"]),
            st.sampled_from(["all", "part"]),
            st.sampled_from(["at_month", "ever", "last_follow_up", "not_stated"]),
            st.sampled_from([0.0, 6.0, 12.0, 24.0, np.nan]),
            st.sampled_from([np.nan, 0.0, 3.0, 10.0]),
            st.sampled_from([np.nan, 10.0, 20.0]),
        ),
        max_size=12,
    ),
    st.sampled_from(ESTIMANDS),
    st.sampled_from([0.0, 6.0]),
    st.booleans(),
)
def test_whatever_the_rows_none_is_lost_and_no_report_stands_twice(rows, estimand, window, assumed):
    made = MadeUp()
    for name in ("one", "two", "three"):
        made.study(name, cohorts=("shared",) if name != "three" else ("own",))
        made.arm(name).arm(name, "part", n=np.nan, part_of="all")
    for name, arm, timing, months, events, n in rows:
        made.count(name, events, n, arm, months, timing=timing)
    chosen = select(made, estimand=estimand, window=window, assumed=assumed)
    assert sorted(lines(chosen.rows) + lines(chosen.left_out)) == list(range(2, 2 + len(rows)))
    assert chosen.rows.study_id.is_unique
    assert not {"one", "two"} <= set(chosen.rows.study_id)


def test_an_outcome_without_a_row_gives_two_empty_tables():
    chosen = select(reports("one2020"), outcome="insulin_dose_halved")
    assert chosen.rows.empty and chosen.left_out.empty


def test_the_reports_stand_in_order_of_their_years():
    made = reports("late2020").study("early2001", year=2001.0).arm("early2001").count("early2001", 1, 10)
    assert list(select(made).rows.study_id) == ["early2001", "late2020"]


# --- one report a cohort, outcome and time -----------------------------------------------------------------------


def sharing(*sizes, **more):
    """Reports ``r0``, ``r1`` ... of one cohort, with these numbers of patients."""
    made = MadeUp()
    for number, n in enumerate(sizes):
        made.study(f"r{number}", cohorts=("same",), **more).arm(f"r{number}", n=n).count(f"r{number}", 5, n)
    return made


@pytest.mark.parametrize(("sizes", "best"), [((20, 30), "r1"), ((30, 20), "r0"), ((10, 40, 20), "r1")])
def test_of_reports_that_share_a_cohort_the_one_with_most_patients_is_counted(sizes, best):
    chosen = select(sharing(*sizes))
    assert set(counted(chosen)) == {best}
    assert all(f"with {best}, which is counted" in why and "(same)" in why for why in reasons(chosen).values())


@pytest.mark.parametrize(
    ("thin", "full"), [("abstract", "fulltext"), ("secondary", "abstract"), ("abstract", "registry")]
)
@pytest.mark.parametrize("thin_first", [True, False])
def test_of_equally_many_patients_the_fullest_report_is_counted(thin, full, thin_first):
    made = MadeUp()
    for name, source in sorted({"a": thin, "b": full}.items(), reverse=not thin_first):
        made.study(name, source=source, cohorts=("same",)).arm(name).count(name, 5, 20)
    assert set(counted(select(made))) == {"b"}


def test_most_patients_come_before_the_fullest_report():
    made = MadeUp()
    made.study("many", source="secondary", cohorts=("same",)).arm("many").count("many", 5, 21)
    made.study("full", source="fulltext", cohorts=("same",)).arm("full").count("full", 5, 20)
    assert set(counted(select(made))) == {"many"}


def test_the_patients_at_that_time_decide_not_those_of_another_month():
    made = MadeUp()
    made.study("shrinking", cohorts=("same",)).arm("shrinking", n=40)
    made.count("shrinking", 5, 40, months=6).count("shrinking", 5, 10, months=12)
    made.study("steady", cohorts=("same",)).arm("steady").count("steady", 5, 20)
    assert set(counted(select(made))) == {"steady"}
    assert set(counted(select(made, months=6.0))) == {"shrinking"}


def test_reports_of_different_cohorts_are_all_counted():
    assert set(counted(select(reports("one", "two", "three")))) == {"one", "two", "three"}


def test_a_report_that_shares_one_of_its_cohorts_leaves():
    made = reports("first", n=30)
    made.study("mixed", cohorts=("first", "other")).arm("mixed").count("mixed", 5, 20)
    assert set(counted(select(made))) == {"first"}


def test_a_cohort_of_one_arm_counts_for_that_arm_only():
    made = reports("first", n=30).study("two_arms", cohorts=()).arm("two_arms", "old").arm("two_arms", "new")
    made.add("cohorts", study_id="two_arms", arm_id="old", cohort_id="first", share="whole")
    made.add("cohorts", study_id="two_arms", arm_id="new", cohort_id="fresh", share="whole")
    assert set(counted(select(made.count("two_arms", 5, 10, "new")))) == {"first", "two_arms"}
    assert set(counted(select(made.count("two_arms", 5, 10, "old")))) == {"first"}


@pytest.mark.parametrize("arm_id", ["old", "old+new", "new v old", "new+other v old"])
def test_the_arms_of_an_effect_are_found_in_its_name(arm_id):
    """An effect of several arms is named ``a+b v c``; the cohort of each of them counts."""
    made = reports("first").study("second", cohorts=())
    made.add("cohorts", study_id="second", arm_id="old", cohort_id="first", share="whole")
    (first,) = select(made).records
    second = first._replace(study_id="second", arm_id=arm_id, n=10.0)
    chosen = independent(made.base(), ISLETS, [first._replace(n=50.0), second])
    assert list(chosen.rows.study_id) == ["first"]


def test_the_choice_does_not_depend_on_the_order_of_the_rows():
    made, turned = sharing(10, 40, 20), MadeUp()
    turned.rows = {name: rows[::-1] for name, rows in made.rows.items()}
    assert counted(select(made)) == counted(select(turned))


# --- an arm and its part -----------------------------------------------------------------------------------------


def whole_and_part():
    made = MadeUp().study("one").arm("one", "whole", n=30).arm("one", "part", n=10, part_of="whole")
    return made.count("one", 5, 10, "part")


def test_an_arm_and_its_part_are_never_both_counted():
    chosen = select(whole_and_part().count("one", 12, 30, "whole"))
    assert counted(chosen) == {"one": (12, 30)}
    assert reasons(chosen) == {("one", "part"): "part of arm whole, which is counted"}


def test_a_part_stands_in_where_the_whole_has_no_count_at_that_month():
    assert counted(select(whole_and_part().count("one", 12, 30, "whole", months=24))) == {"one": (5, 10)}


def test_arms_side_by_side_are_one_group_of_patients():
    made = MadeUp().study("one").arm("one", "low").arm("one", "high")
    chosen = select(made.count("one", 5, 10, "low").count("one", 7, 20, "high"))
    assert counted(chosen) == {"one": (12, 30)}
    assert chosen.rows.arm_id[0] == "low+high" and "2 arms counted together" in chosen.rows.flag[0]


# --- who got cells, and who is a control -------------------------------------------------------------------------


def with_comparator(comparator, gets_cells="no"):
    made = MadeUp().study("one", design="rct").arm("one", "new").arm("one", "other", comparator, gets_cells=gets_cells)
    return made.count("one", 5, 10, "new").count("one", 2, 10, "other")


def test_a_control_arm_that_gets_cells_counts_among_the_recipients():
    made = with_comparator("islets_other_regimen", gets_cells="yes")
    assert counted(select(made)) == {"one": (7, 20)}
    assert counted(select(made, arms="control")) == {}
    assert "no untreated control arm (islets_other_regimen)" in reasons(select(made, arms="control")).values()


@pytest.mark.parametrize("comparator", ["placebo", "sham", "standard_care", "matched_cohort"])
def test_an_untreated_arm_is_a_control_and_no_recipient(comparator):
    made = with_comparator(comparator)
    assert counted(select(made)) == {"one": (5, 10)}
    assert counted(select(made, arms="control")) == {"one": (2, 10)}
    assert reasons(select(made)) == {("one", "other"): "arm without cells"}


@pytest.mark.parametrize("comparator", ["pancreas_transplant", "other_treatment"])
def test_another_treatment_is_neither_recipient_nor_control(comparator):
    made = with_comparator(comparator)
    assert counted(select(made)) == {"one": (5, 10)}
    assert counted(select(made, arms="control")) == {}
    assert reasons(select(made, arms="control"))["one", "other"] == f"no untreated control arm ({comparator})"


@pytest.mark.parametrize("comparator", ["placebo", "sham", "standard_care", "matched_cohort"])
def test_an_arm_with_cells_is_no_control_whatever_it_is_called(comparator):
    made = with_comparator(comparator, gets_cells="yes")
    assert counted(select(made, arms="control")) == {}


# --- registries, populations, products, designs ------------------------------------------------------------------


def test_a_registry_is_never_in_a_pool_and_stands_beside_it():
    made = reports("trial").study("citr", design="registry").arm("citr", n=900).count("citr", 400, 900)
    chosen = select(made)
    assert set(counted(chosen)) == {"trial"}
    assert reasons(chosen) == {("citr", "all"): "registry: a benchmark beside the pool, never in it"}
    assert list(benchmarks(made.base(), ISLETS).study_id) == ["citr"]


def test_registries_of_the_evidence_are_in_no_choice_of_it():
    registries = set(real().studies.study_id[real().studies.design == "registry"])
    assert registries
    for question in ASKED:
        assert not registries & set(chosen_of(question).rows.study_id)


def test_another_type_of_diabetes_is_left_out_and_named():
    made = reports("one").study("two", population="T2D").arm("two").count("two", 5, 10)
    assert set(counted(select(made))) == {"one"}
    assert reasons(select(made)) == {("two", "all"): "population T2D, asked for T1D"}
    assert set(counted(select(made, population=("T1D", "T2D")))) == {"one", "two"}  # only when both are asked for


def test_another_product_is_left_out_and_named():
    made = reports("one").study("two", product="msc").arm("two").count("two", 5, 10)
    assert set(counted(select(made))) == {"one"}
    assert reasons(select(made)) == {("two", "all"): "product msc, asked for allogeneic islets"}
    assert set(counted(select(made, product="any_cells"))) == {"two"}


def test_designs_narrow_the_reports():
    made = reports("one").study("two", design="rct").arm("two").count("two", 5, 10)
    assert set(counted(select(made, designs=("rct",)))) == {"two"}
    assert reasons(select(made, designs=("rct",))) == {("one", "all"): "design single_arm, asked for rct"}
    assert set(counted(select(made))) == {"one", "two"}


def test_a_report_can_be_left_out_by_name():
    chosen = select(reports("one", "two"), exclude=("two",))
    assert set(counted(chosen)) == {"one"}
    assert reasons(chosen) == {("two", "all"): "left out by the parameter exclude"}


def test_a_report_that_is_left_out_gives_its_cohort_free():
    assert set(counted(select(sharing(20, 30), exclude=("r1",)))) == {"r0"}


def test_another_definition_of_the_outcome_is_another_outcome():
    made = reports("one").study("two").arm("two").count("two", 5, 10, definition_id="insulin_dose_halved")
    assert set(counted(select(made))) == {"one"}


def test_a_row_that_an_anomaly_leaves_out_is_left_out_with_its_words():
    chosen = select(reports("one", "two").handle("a01", "leave_out", study_id="two", reason="not their patients"))
    assert set(counted(chosen)) == {"one"}
    assert reasons(chosen) == {("two", "all"): "a01: not their patients"}


# --- four estimands, never mixed ---------------------------------------------------------------------------------


def four_ways():
    """One report that counts 1 at 12 months, 2 at 24, 3 at the last visit, 4 at an unstated time and 5 ever, of 10."""
    made = MadeUp().study("one").arm("one").count("one", 1, 10).count("one", 2, 10, months=24)
    for events, timing in ((3, "last_follow_up"), (4, "not_stated"), (5, "ever")):
        made.count("one", events, 10, months=36, timing=timing)
    return made


@pytest.mark.parametrize(("estimand", "events"), [("at_month", 1), ("ever", 5), ("last_follow_up", 3)])
def test_an_estimand_takes_rows_of_its_own_timing_only(estimand, events):
    chosen = select(four_ways(), estimand=estimand)
    assert counted(chosen) == {"one": (events, 10)}
    assert set(chosen.rows.timing) == {estimand}
    others = {timing for timing in ("ever", "last_follow_up", "at_month") if timing != estimand}
    assert {why.split(",")[0] for why in chosen.left_out.reason if why.startswith("counted")} == {
        f"counted {timing}" for timing in others
    }
    unstated = [why for why in chosen.left_out.reason if why.startswith("time not stated")]
    assert len(unstated) == (estimand != "ever")


def test_a_count_whose_time_is_not_stated_counts_as_ever_and_for_no_window():
    made = MadeUp().study("one").arm("one").count("one", 4, 10, timing="not_stated")
    assert counted(select(made, estimand="ever")) == {"one": (4, 10)}
    assert counted(select(made, estimand="any_time")) == {"one": (4, 10)}
    assert counted(select(made, estimand="at_month", window=240.0)) == {}
    assert reasons(select(made))["one", "all"] == "time not stated, asked for at_month"
    both = made.count("one", 6, 10, timing="last_follow_up").count("one", 3, 10, timing="ever")
    assert counted(select(both, estimand="ever")) == counted(select(both, estimand="any_time")) == {"one": (3, 10)}


@pytest.mark.parametrize("timing", ["ever", "last_follow_up"])
def test_a_count_of_another_timing_is_never_status_at_a_month(timing):
    """ "Ever" is never status at a time, even where its month is the one that is asked for."""
    made = MadeUp().study("one").arm("one").count("one", 5, 10, months=12, timing=timing)
    assert counted(select(made)) == {}
    assert reasons(select(made)) == {("one", "all"): f"counted {timing}, asked for at_month"}


def test_status_at_a_month_is_never_ever():
    made = MadeUp().study("one").arm("one").count("one", 5, 10)
    assert counted(select(made, estimand="ever")) == {}
    assert counted(select(made, estimand="last_follow_up")) == {}
    assert counted(select(made, estimand="any_time")) == {"one": (5, 10)}  # a lower bound


@pytest.mark.parametrize("question", [q for q in ASKED if q.estimand not in FAVOURABLE], ids=in_short)
def test_no_choice_of_the_evidence_mixes_two_timings(question):
    allowed = {question.estimand} | ({"not_stated"} if question.estimand == "ever" else set())
    assert set(chosen_of(question).rows.timing) <= allowed


def test_the_most_favourable_is_the_highest_proportion_whatever_its_time_and_the_others_stand_with_it():
    made, best = four_ways(), []
    for _ in range(5):
        chosen = select(made, estimand="most_favourable")
        best.append(int(chosen.rows.events[0]))
        made.rows["binary"] = [row for row in made.rows["binary"] if row["events"] != best[-1]]
    assert best == [5, 4, 3, 2, 1]
    flag = select(four_ways(), estimand="most_favourable").rows.flag[0]
    assert "also 1/10 at 12 months; also 2/10 at 24 months; also 3/10 at the last follow-up, 36 months" in flag


def test_the_effective_rate_shows_both_proportions_of_its_report():
    """li2021: 19 of 22 at the end of treatment, 15 of 22 at 12 months."""
    question = Question("effective_undefined", ("T2D",), "any_cells", estimand="most_favourable")
    row = select_counts(base(), question).rows.iloc[0]
    assert (row.study_id, row.events, row.n) == ("li2021", 19, 22)
    assert "also 15/22 at 12 months" in row.flag


def test_the_most_favourable_report_of_a_cohort_goes_before_its_largest():
    made = MadeUp()
    made.study("large", cohorts=("same",)).arm("large", n=90).count("large", 40, 90)
    made.study("ever", cohorts=("same",)).arm("ever").count("ever", 8, 10, timing="ever")
    assert counted(select(made, estimand="most_favourable")) == {"ever": (8, 10)}
    assert counted(select(made)) == {"large": (40, 90)}


# --- switches ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "kept"), [(4, False), (5, True)])
def test_arms_of_fewer_than_five_are_listed_not_pooled(n, kept):
    made = MadeUp().study("one").arm("one", n=n).count("one", 2, n)
    chosen = select(made)
    assert bool(counted(chosen)) == kept
    if not kept:
        assert reasons(chosen)["one", "all"] == "fewer than 5 participants in an arm: listed, not pooled"
    assert counted(select(made, fewest=1)) == {"one": (2, n)}


def test_a_small_report_takes_no_cohort_from_a_larger_one():
    made = MadeUp()
    made.study("case", cohorts=("same",)).arm("case", n=1).count("case", 1, 1)
    made.study("series", cohorts=("same",)).arm("series").count("series", 2, 20)
    assert counted(select(made, estimand="most_favourable")) == {"series": (2, 20)}


def test_arms_with_another_treatment_can_be_left_out_unless_the_controls_got_it_too():
    made = MadeUp().study("oxygen").arm("oxygen", co_treatment="hyperbaric oxygen").count("oxygen", 4, 15)
    made.study("both").arm("both", co_treatment="liraglutide").count("both", 5, 20)
    made.arm("both", "sham", "sham", co_treatment="liraglutide")
    assert set(counted(select(made))) == {"both", "oxygen"}
    chosen = select(made, co_treatments=False)
    assert set(counted(chosen)) == {"both"}
    assert reasons(chosen)["oxygen", "all"] == "another treatment was given with the cells: hyperbaric oxygen"


def test_months_can_be_asked_to_count_from_one_event():
    made = MadeUp().study("first").arm("first").count("first", 5, 10, time_origin="first_infusion")
    made.study("last").arm("last").count("last", 6, 10, time_origin="last_infusion")
    made.study("unsaid").arm("unsaid").count("unsaid", 7, 10)
    assert set(counted(select(made))) == {"first", "last", "unsaid"}
    assert set(counted(select(made, origin="last_infusion"))) == {"last"}
    assert reasons(select(made, origin="first_infusion"))["last", "all"].startswith("months counted from last infusion")


def test_numbers_from_tables_of_reviews_can_be_left_out():
    made = MadeUp().study("own").arm("own").count("own", 5, 10)
    made.study("said", source="secondary").arm("said").count("said", 6, 10)
    assert set(counted(select(made, secondary=False))) == {"own"}


# --- months ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("month", "window", "kept"), [(12, 0, True), (13, 0, False), (15, 3, True), (9, 3, True), (16, 3, False)]
)
def test_a_report_stands_within_the_window_or_is_left_out(month, window, kept):
    made = MadeUp().study("one").arm("one").count("one", 5, 10, months=month)
    chosen = select(made, window=float(window))
    assert bool(counted(chosen)) == kept
    if not kept:
        assert reasons(chosen)["one", "all"] == f"month {month}, asked for 12 ± {window}"


def test_a_count_without_a_month_is_at_no_month():
    made = MadeUp().study("one").arm("one").count("one", 5, 10, months=np.nan)
    assert reasons(select(made, window=99.0)) == {("one", "all"): "no month stated, asked for 12 ± 99"}


@pytest.mark.parametrize("order", [1, -1])
def test_of_several_months_in_the_window_the_nearest_is_counted(order):
    made = MadeUp().study("one").arm("one")
    for events, month in [(1, 9), (2, 11), (3, 15)][::order]:
        made.count("one", events, 10, months=month)
    chosen = select(made, window=3.0)
    assert counted(chosen) == {"one": (2, 10)}
    assert set(chosen.left_out.reason) == {"another row of the same arm answers better"}


def test_a_higher_share_is_no_reason_to_prefer_a_count_at_a_month():
    """Two counts at equal distance: the fuller source decides, never the better result."""
    made = MadeUp().study("one", source="abstract").arm("one")
    made.add("sources", source_id="s_full", study_id="one", kind="fulltext")
    made.count("one", 9, 10, months=9).count("one", 1, 10, months=15, source_id="s_full")
    assert counted(select(made, window=3.0)) == {"one": (1, 10)}


# --- counts and patients -----------------------------------------------------------------------------------------


def test_a_percentage_without_a_count_is_left_out():
    made = MadeUp().study("one").arm("one").count("one", np.nan, 10, percent=40.0)
    assert reasons(select(made)) == {("one", "all"): "no count of events"}


def test_a_count_without_any_number_of_patients_is_left_out():
    made = MadeUp().study("one").arm("one", n=np.nan).count("one", 5)
    assert reasons(select(made)) == {("one", "all"): "no number of patients"}


@pytest.mark.parametrize(
    ("arm", "n", "words"),
    [
        ({"n": 20, "n_analysed": 18.0}, 18, "18 analysed stand in"),
        ({"n": 20}, 20, "20 enrolled stand in"),
    ],
)
def test_a_number_of_patients_that_stands_in_is_flagged(arm, n, words):
    made = MadeUp().study("one").arm("one", **arm).count("one", 5)
    chosen = select(made)
    assert counted(chosen) == {"one": (5, n)}
    assert chosen.rows.flag[0] == f"n not printed at this time: {words}"


def test_a_printed_number_of_patients_is_used_without_a_flag():
    chosen = select(MadeUp().study("one").arm("one", n=20).count("one", 5, 10))
    assert counted(chosen) == {"one": (5, 10)} and chosen.rows.flag[0] == ""


@pytest.mark.parametrize(
    "made",
    [
        MadeUp().study("one").arm("one").count("one", 5),
        MadeUp().study("one").arm("one").count("one", 5, 10, status="assumed"),
    ],
    ids=["patients stand in", "label assumed"],
)
def test_what_is_assumed_can_be_left_out(made):
    assert set(counted(select(made))) == {"one"}
    chosen = select(made, assumed=False)
    assert counted(chosen) == {}
    assert "left out by the parameter assumed" in reasons(chosen)["one", "all"]


@pytest.mark.parametrize("status", ["printed", "derived"])
def test_what_is_printed_or_derived_stays_when_assumptions_are_left_out(status):
    made = MadeUp().study("one").arm("one").count("one", 5, 10, status=status)
    assert set(counted(select(made, assumed=False))) == {"one"}


# --- arms that are counted in different ways ---------------------------------------------------------------------


def test_arms_counted_at_different_months_are_not_added_up():
    made = MadeUp().study("one").arm("one", "low").arm("one", "high")
    made.count("one", 5, 10, "low", months=12).count("one", 7, 20, "high", months=9)
    chosen = select(made, window=3.0)
    assert counted(chosen) == {"one": (5, 10)}
    assert "counted in a way that answers better" in reasons(chosen)["one", "high"]


def test_arms_of_two_timings_are_not_added_up():
    made = MadeUp().study("one").arm("one", "low").arm("one", "high")
    made.count("one", 5, 10, "low", timing="ever").count("one", 7, 20, "high", timing="last_follow_up")
    assert counted(select(made, estimand="most_favourable")) == {"one": (5, 10)}


# --- over the years ----------------------------------------------------------------------------------------------


def test_a_series_holds_every_month_of_every_report_with_arms_together():
    made = MadeUp().study("one").arm("one", "low").arm("one", "high")
    for month in (12, 24):
        made.count("one", 5, 10, "low", months=month).count("one", 7, 20, "high", months=month)
    made.count("one", 9, 30, "low", timing="ever")
    rows = series(made.base(), ISLETS)
    assert list(zip(rows.months, rows.events, rows.n, strict=True)) == [(12, 12, 30), (24, 12, 30)]


def test_in_a_series_a_part_stands_in_at_the_months_where_the_whole_has_no_count():
    made = whole_and_part()  # the part at 12 months
    made.count("one", 12, 30, "whole").count("one", 4, 10, "part", months=24)
    rows = series(made.base(), ISLETS)
    assert list(zip(rows.months, rows.events, rows.n, strict=True)) == [(12, 12, 30), (24, 4, 10)]


def test_a_series_without_rows_is_empty():
    assert series(reports("one").base(), replace(ISLETS, product="msc")).empty
