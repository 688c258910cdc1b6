"""The journal club: what is asked at the controls, the paper, the sheet by hand, exercises, other advertisements."""

from __future__ import annotations

import csv
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import nbformat
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellclaims import journal_club, meta
from cellclaims.claims import entry_of, own_trials
from cellclaims.claims.counterparts import claim_of
from cellclaims.errors import DataError, ParameterError, ProtocolError
from cellclaims.journal_club import claim_file, controls, exercises, quick_forest
from cellclaims.journal_club.audience import DOMAINS, PREDICTIONS, typed_number
from cellclaims.journal_club.by_hand import can_be_worked
from cellclaims.journal_club.controls import answer, chance, posterior
from cellclaims.pool import pooled
from cellclaims.question import Analysis
from cellclaims.runner import page
from cellclaims.selection import EvidenceBase, Question

from .made_up_trials import MadeUp

DATA = Path(__file__).resolve().parent.parent / "data"
CLAIM = "stop_all_2016"

#: States of the controls that between them turn each of them: what pools must say of each is asked of pools itself.
STATES = {
    "the defaults": {},
    "without the largest": {"without": ("hu2012",)},
    "without one that has a twin": {"without": ("bhansali2009",)},
    "without tables of reviews": {"secondary": False},
    "at a month": {"estimand": "at_month", "months": 12.0, "window": 6.0},
    "by the normal interval": {"test": "z"},
    "halved": {"outcome": "insulin_dose_halved"},
    "halved, controlled": {"outcome": "insulin_halved_and_hba1c_lt_7"},
    "by Paule and Mandel": {"method": "PM", "test": "knha"},
    "a change": {"outcome": "hba1c_change", "months": 12.0, "window": 6.0, "tau_scale": 0.5},
    "a change, r = 0.9": {"outcome": "hba1c_change", "months": 12.0, "window": 6.0, "correlation": 0.9},
    "a difference": {"outcome": "hba1c_difference"},
}


@pytest.fixture(scope="module")
def claim(evidence):
    return claim_of(evidence, CLAIM)


@pytest.fixture(scope="module")
def asked(base, claim):
    return journal_club.controls_of(base, claim)


@pytest.fixture(scope="module")
def nearest(base, asked):
    return journal_club.pool_of(base, asked)


def by_pools(base, state):
    """The pool of a state, asked of ``pooled`` with nothing of the club between."""
    given = {"outcome": "insulin_independence", "estimand": "most_favourable", "months": None, "window": None,
             "without": (), "secondary": True, **state}  # fmt: skip
    mean = given["outcome"].startswith("hba1c")
    left = (*own_trials(base.evidence), *given["without"])
    question = Question("hba1c" if mean else given["outcome"], ("T2D",), "infused_cells", "cells",
                        "at_month" if mean else given["estimand"], given["months"], given["window"],
                        exclude=left, secondary=given["secondary"],
                        designs=("rct",) if given["outcome"] == "hba1c_difference" else ())  # fmt: skip
    chosen = {name: state[name] for name in ("method", "test", "correlation") if name in state}
    measure = "PLO" if not mean else "MC" if given["outcome"] == "hba1c_change" else "MD"
    if measure == "PLO" and "method" in state:
        chosen["model"] = "normal"
    return pooled(base, question, Analysis(measure, **chosen))


# --- one path from the controls to the pool ----------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_the_answer_is_that_of_pools(base, claim, asked, state):
    found = answer(base, claim, replace(asked, **state))
    direct = by_pools(base, state)
    pd.testing.assert_frame_equal(found.pool.rows, direct.rows, check_dtype=False)
    assert (found.pool.fit is None) == (direct.fit is None)
    if direct.fit is not None:
        for name in ("beta", "se", "ci_lb", "ci_ub", "tau2"):
            np.testing.assert_array_equal(getattr(found.pool.fit, name), getattr(direct.fit, name))


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_the_quick_posterior_is_the_full_one_to_a_thousandth(nearest, scale):
    quick, full = posterior(nearest, scale), nearest.bayes_at(scale)
    for claimed in (0.2, 0.3, 0.6):
        assert float(quick.p_new_setting_reaches(claimed)) == pytest.approx(
            float(full.p_new_setting_reaches(claimed)), abs=1e-3
        )
    for name in ("pi_lb", "pi_ub"):
        assert nearest.shown(float(getattr(quick, name))) == pytest.approx(
            nearest.shown(float(getattr(full, name))), abs=0.1
        )


def test_the_quick_posterior_of_a_mean_is_the_full_one(base, claim, asked):
    found = answer(base, claim, replace(asked, outcome="hba1c_difference"))
    full = found.pool.bayes_at(0.5)
    assert found.p_new == pytest.approx(1 - float(full.p_new_setting_reaches(found.claimed)), abs=1e-3)
    assert found.numbers["pi_ub"] == pytest.approx(float(full.pi_ub), abs=1e-3)


def test_nothing_is_predicted_from_two_studies_or_without_an_event(base, claim, asked, nearest):
    two = answer(base, claim, replace(asked, outcome="insulin_halved_and_hba1c_lt_7"))
    assert (two.posterior, two.p_mean, two.p_new) == (None, None, None)
    assert posterior(replace(nearest, rows=nearest.rows.assign(events=0.0)), 1.0) is None


def test_two_studies_stand_side_by_side_with_their_own_intervals(base, claim, asked):
    words = answer(base, claim, replace(asked, outcome="insulin_halved_and_hba1c_lt_7")).in_words()
    assert "Two studies, not pooled: Bhansali 2014a 81.8% (95% interval 48.2% to 97.7%); Zang 2022 20.0%" in words
    assert "No probability is given for fewer than three studies." in words


# --- every control follows the claim ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claim_id", "outcome"),
    [
        ("stop_all_2016", "insulin_independence"),  # nobody reports the advertised outcome: the nearest
        ("half_dose_2016", "insulin_halved_and_hba1c_lt_7"),
        ("effective_2016", "effective_undefined"),
        ("first_course_control", "hba1c_difference"),
    ],
)
def test_the_outcome_follows_the_claim(base, evidence, claim_id, outcome):
    assert journal_club.controls_of(base, claim_of(evidence, claim_id)).outcome == outcome


def test_an_outcome_gets_the_figure_that_the_page_gives_for_it_and_no_other(base, claim, asked):
    """Against 30%, "insulin dose halved" had a probability of 99%: the page gives 60%, and for a stricter outcome."""
    known = {name: journal_club.advertised_for(base, claim, replace(asked, outcome=name))
             for name in controls.outcomes(base.protocol)}  # fmt: skip
    assert known["insulin_halved_and_hba1c_lt_7"].value == 60
    assert known["insulin_halved_and_hba1c_lt_7"].words == "advertised on the same page: 60%"
    for name in ("insulin_independence", "insulin_dose_halved", "effective_undefined", "hba1c_change"):
        assert not known[name].is_known, name
    assert known["all_glucose_lowering_drugs_stopped"].value == 30
    assert "its 30% is for another one: all glucose-lowering drugs stopped" in known["insulin_independence"].words
    found = answer(base, claim, asked)
    assert "Probability" not in found.in_words()
    assert journal_club.marks_of(base, claim, asked) == []
    assert f'stroke="{quick_forest.CLAIM}"' not in journal_club.forest_svg(found)
    assert found.advertised.words in journal_club.forest_svg(found)


def test_a_claim_without_a_figure_gets_no_probability(base, evidence):
    claim = claim_of(evidence, "kidney")
    found = answer(base, claim, journal_club.controls_of(base, claim, OUTCOME="insulin_independence"))
    assert "The statement has no figure to compare with." in found.in_words()


def test_a_fall_is_compared_with_the_threshold(base, rules, claim, asked):
    found = answer(base, claim, replace(asked, outcome="hba1c_difference"))
    assert found.claimed == -rules["thresholds"]["hba1c_matters"]["value"]
    assert "threshold for clinical importance" in found.advertised.words


def test_no_study_is_said_and_drawn(base, claim, asked):
    found = answer(base, claim, replace(asked, estimand="at_month", months=120.0))
    assert found.in_words().startswith("No study answers this question.")
    assert "No study answers this question." in journal_club.forest_svg(found)


# --- interval and probability, the way back, what a move changes ---------------------------------------------------


@pytest.fixture
def advertised(base, other):
    """A made-up page that advertises 45% off insulin: the evidence with it, its claim, the controls."""
    made = EvidenceBase(journal_club.load(DATA, other()), base.protocol)
    claim = claim_of(made.evidence, "exercise_off")
    return made, claim, journal_club.controls_of(made, claim)


def test_the_test_moves_interval_and_probability_alike(advertised):
    made, claim, asked = advertised
    t, z = (answer(made, claim, replace(asked, test=test)) for test in ("t", "z"))
    assert z.numbers["ci_ub"] < t.numbers["ci_ub"]
    assert z.p_mean < t.p_mean
    assert z.p_new == t.p_new
    for found in (t, z):
        assert f"mean {chance(found.p_mean)} (model and test as for its interval)" in found.in_words()
    assert "t with 4 df" in t.in_words()
    assert "model, normal)" in z.in_words()


def test_interval_and_probability_of_the_mean_come_from_one_system(advertised):
    """A two-sided test of the upper limit has a one-sided probability of 2.5%."""
    made, claim, asked = advertised
    for state in ({}, {"test": "z"}, {"method": "DL", "test": "knha"}, {"method": "REML", "test": "z"}):
        found = answer(made, claim, replace(asked, **state))
        at_limit = replace(found, advertised=controls.Advertised(found.numbers["ci_ub"], "the upper limit"))
        assert at_limit.p_mean == pytest.approx(0.025, abs=1e-6), state


def test_the_estimator_is_that_of_the_engine(advertised):
    made, claim, asked = advertised
    found = answer(made, claim, replace(asked, method="DL", test="knha"))
    effects = meta.escalc("PLO", xi=found.pool.rows.events.to_numpy(), ni=found.pool.rows.n.to_numpy())
    fit = meta.fit(effects.yi, effects.vi, method="DL", test="knha")
    assert (found.pool.fit.beta, found.pool.fit.ci_lb) == (fit.beta, fit.ci_lb)
    assert found.p_mean == pytest.approx(float(fit.p_mean_reaches(math.log(0.45 / 0.55))), abs=1e-12)


def test_what_differs_from_the_protocol_is_said(base, claim, asked):
    assert journal_club.differences(base, claim, asked) == []
    moved = replace(asked, estimand="ever", test="z", tau_scale=2.0, without=("hu2012",), secondary=False)
    assert journal_club.differences(base, claim, moved) == [
        "counted at any time only",
        "prior scale of tau (2 instead of 1)",
        "test (normal)",
        "without numbers from tables of reviews",
        "left out: Hu 2012",
    ]
    own = replace(asked, months=12.0, window=0.0, tau_scale=1.0, correlation=0.3)
    assert journal_club.differences(base, claim, own) == [], "the protocol's own values, and one without effect"


def test_a_report_that_comes_in_for_its_cohort_is_named(base, claim, asked):
    before, after = (answer(base, claim, replace(asked, without=out)) for out in ((), ("bhansali2009",)))
    words = controls.changed(base, "without", before, after)
    assert words == "No longer in: Bhansali 2009. Came in: Bhansali 2014b (shares participants with Bhansali 2009)."


def test_a_control_that_changes_nothing_says_so(base, claim, asked):
    before = answer(base, claim, replace(asked, estimand="at_month"))
    after = answer(base, claim, replace(asked, estimand="at_month", window=1.0))
    assert controls.changed(base, "window", before, after) == (
        "This changed nothing here: the same studies lie within these months."
    )
    assert controls.changed(base, "test", *(answer(base, claim, replace(asked, test=t)) for t in ("t", "z"))) == ""
    assert set(controls.NOTHING) == set(controls.FIELDS)


def test_two_studies_with_one_label_are_told_apart(base, evidence):
    labels = journal_club.labels(base)
    assert (labels["bhansali2014"], labels["bhansali2014b"]) == ("Bhansali 2014a", "Bhansali 2014b")
    assert len(set(labels.values())) == len(evidence.studies)


def test_each_study_says_when_it_counted(base, claim, asked):
    found = answer(base, claim, asked)
    assert found.when["hu2012"] == "last visit, month 36"
    assert found.when["bhansali2009"] == "at any time"
    assert found.when["li2021"] == "time not stated", "it was shown as month 12"
    svg = journal_club.forest_svg(found)
    assert all(f">{when}</text>" in svg for when in found.when.values())


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ({"OUTCOME": "cure"}, "OUTCOME: expected one of insulin_independence, .*found 'cure'"),
        ({"ESTIMAND": "best"}, "ESTIMAND: expected one of at_month, .*found 'best'"),
        ({"METHOD": "FE"}, "METHOD: expected one of protocol, EE, .*found 'FE'"),
        ({"TEST": "knha"}, "TEST: expected one of protocol, t, z; found 'knha'"),
        ({"MONTHS": -1.0}, "MONTHS: expected a number from 0 to 240; found -1.0"),
        ({"WINDOW": 999.0}, "WINDOW: expected a number from 0 to 120; found 999.0"),
        ({"CORRELATION": 1.0}, "CORRELATION: expected a number from 0 to 0.99; found 1.0"),
        ({"TAU_SCALE": 0.0}, "TAU_SCALE: expected a number from 0.01 to 10; found 0.0"),
        ({"WITHOUT": ["nobody1999"]}, "WITHOUT: expected one of the study_ids of studies.csv; found 'nobody1999'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_parameter_that_cannot_be_is_named(base, claim, parameter, expected):
    with pytest.raises(ParameterError, match=expected):
        journal_club.controls_of(base, claim, **parameter)


def test_chances_near_the_ends_are_no_certainties():
    assert [chance(p) for p in (0.0, 1.0, 0.5)] == ["under 0.1%", "over 99.9%", "50.0%"]


# --- the light forest ----------------------------------------------------------------------------------------------


def test_the_drawing_says_what_it_shows_and_escapes_labels(base, claim, asked):
    found = answer(base, claim, asked)
    labels = {**found.labels, "hu2012": "<script>alert(1)</script>"}
    svg = journal_club.forest_svg(replace(found, labels=labels))
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "Insulin independence, type 2 diabetes, 5 studies</text>" in svg


def test_equal_answers_are_equal_bytes_and_the_claim_stands_where_it_is(advertised):
    made, claim, asked = advertised
    found = answer(made, claim, asked)
    assert journal_club.forest_svg(found) == journal_club.forest_svg(answer(made, claim, asked))
    assert "The dashed line marks advertised: 45%." in journal_club.forest_svg(found)
    x = quick_forest.LEFT + 0.45 * (quick_forest.RIGHT - quick_forest.LEFT)
    assert f'<line x1="{x:.1f}"' in journal_club.forest_svg(found)


def test_numbers_from_tables_of_reviews_are_marked(base, claim, asked):
    with_them = journal_club.forest_svg(answer(base, claim, asked))
    assert "Hu 2012 †" in with_them
    assert "† from a table of a published review" in with_them
    assert "†" not in journal_club.forest_svg(answer(base, claim, replace(asked, secondary=False)))


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_ticks_are_few_round_and_within(low, width):
    scale = quick_forest.QuickScale(low, low + width)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 7
    assert all(scale.low - 1e-6 <= tick <= scale.high + 1e-6 for tick in ticks)


@given(st.floats(-1e6, 1e6))
def test_nothing_is_drawn_beyond_the_scale(value):
    assert quick_forest.LEFT <= quick_forest.QuickScale(0.0, 100.0).x(value) <= quick_forest.RIGHT


# --- the sheet by hand ---------------------------------------------------------------------------------------------


def test_the_sheet_is_the_engine_to_rounding_and_says_why_the_review_differs(nearest, rules):
    sheet = journal_club.three(nearest)
    words = sheet.compared(rules)
    assert "equal to the sheet, to rounding" in words
    assert "25.4% (14.9% to 39.7%)" in words
    assert "The review's model for the same three studies: 25.6% (8.2% to 57.0%). It is wider because" in words


def test_a_sheet_that_differs_is_not_called_equal(nearest, rules, monkeypatch):
    monkeypatch.setattr(journal_club.ByHand, "tau2", property(lambda sheet: 0.6))
    assert "not equal to the sheet" in journal_club.three(nearest).compared(rules)


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=3, max_size=3))
def test_any_three_studies_pool_by_hand_as_by_the_engine(counts):
    events, rest = (np.array(part, float) for part in zip(*counts, strict=True))
    sheet = journal_club.ByHand(("a", "b", "c"), events, events + rest)
    assert sheet.mean == pytest.approx(float(sheet.fit().beta), abs=0.02)
    assert sheet.se == pytest.approx(float(sheet.fit().se), abs=0.02)


def worked(formula):
    """Left and right side of a printed equation as numbers; the left side as it is printed."""
    left, _, right = formula.rpartition("=")
    left = left.rpartition("=")[2].replace(r"\cdot", "*").replace(r"\ln", "log").replace("^", "**")
    while (found := re.search(r"\\(frac|sqrt)", left)) is not None:
        parts, end = [], found.end()
        for _ in range(2 if found[1] == "frac" else 1):
            start, depth, end = end + 1, 1, end + 1
            while depth:
                depth += {"{": 1, "}": -1}.get(left[end], 0)
                end += 1
            parts.append(left[start : end - 1])
        made = f"(({parts[0]})/({parts[1]}))" if found[1] == "frac" else f"(({parts[0]})**0.5)"
        left = left[: found.start()] + made + left[end:]
    left = left.replace("log((", "log ((").replace("log ", "math.log").replace("e**", "math.e**")
    return eval(left.replace("{", "(").replace("}", ")"), {"math": math}), float(right)


def test_every_printed_equation_holds_as_printed(nearest):
    sheet = journal_club.three(nearest)
    formulas = [part for _, latex in sheet.steps() for part in latex.split(r"\qquad")]
    assert len(formulas) == 3 * 3 + 1 + 1 + 2 + 3
    for formula in formulas:
        found, printed = worked(formula.strip())
        decimals = len(formula.rpartition(".")[2].strip())
        assert abs(found - printed) <= 0.5000001 * 10**-decimals, formula


def test_every_formula_of_the_sheet_can_be_shown(nearest):
    steps = journal_club.three(nearest).steps()
    assert [latex for _, latex in steps if "<code>" in page.mathml(latex, "block")] == []


def test_the_level_of_the_interval_is_computed(nearest):
    sheet = replace(journal_club.three(nearest), level=0.9)
    assert sheet.z == 1.64
    assert "90% interval" in sheet.added()
    assert "95%" not in "".join(what + latex for what, latex in sheet.steps())


def test_the_sheet_takes_the_three_largest_with_some_and_some_not(nearest):
    rows = nearest.rows.assign(events=[0.0, *nearest.rows.events[1:]])
    assert journal_club.three(nearest).labels == ("Estrada 2008", "Hu 2012", "Li 2021")
    assert journal_club.three(replace(nearest, rows=rows)).labels == ("Bhansali 2009", "Hu 2012", "Li 2021")


def test_fewer_than_three_cannot_be_pooled_by_hand(nearest):
    two = replace(nearest, rows=nearest.rows.head(2))
    assert not can_be_worked(two)
    with pytest.raises(DataError, match=r"expected 3 studies with some .* found 2"):
        journal_club.three(two)


def test_a_label_is_no_markup():
    sheet = journal_club.ByHand(("A_b*2008*",) * 3, np.array([1.0, 2, 3]), np.array([4.0, 5, 6]))
    assert r"A\_b\*2008\*" in sheet._repr_markdown_()


# --- overlapping cohorts and time ------------------------------------------------------------------------------------


def test_counting_every_report_counts_people_twice(base):
    question = Question("insulin_independence", ("T1D",), "any_cells", estimand="ever")
    found = journal_club.as_if_independent(base, question)
    assert set(found.one_a_cohort.rows.study_id) < set(found.naive.rows.study_id)
    assert len(found.naive.rows) - len(found.one_a_cohort.rows) == len(found.counted_twice) > 0
    counts = found.naive.rows.events.to_numpy(float), found.naive.rows.n.to_numpy(float)
    assert found.naive.fit.beta == meta.glmm(*counts, test="t", nodes=15).beta
    words = journal_club.overlap_words(found)
    assert f"{len(found.counted_twice)} reports share participants" in words
    assert "the least number of different people" in words


def test_reports_that_share_nobody_are_said_to():
    made = MadeUp()
    for name, events in (("one", 5), ("two", 8), ("three", 6)):
        made = made.study(name).arm(name).count(name, events, 20)
    question = Question("insulin_independence", ("T1D",), "islets")
    words = journal_club.overlap_words(journal_club.as_if_independent(made.base(), question))
    assert words == "No two reports of this question share participants."


def test_an_outcome_is_counted_at_three_times(base):
    found = journal_club.islets_by_time(base)
    assert [pool.question.estimand for pool in found.values()] == ["ever", "at_month", "last_follow_up"]
    assert found["at_month"].title == "Islets, type 1 diabetes, off insulin, at 12 months"
    assert len({float(pool.fit.beta) for pool in found.values()}) == 3


# --- the paper and what belongs to it ------------------------------------------------------------------------------


def test_the_papers_results_are_those_of_the_tables(evidence):
    cells = {row[0]: row[1:] for row in journal_club.results_table(evidence).cells}
    assert cells["insulin dose halved and HbA1c below 7% (primary)"] == (
        "9/45 (20.0%)", "2/44 (4.5%)", "15.45 points (2.25 to 28.66)",
    )  # fmt: skip
    assert cells["change of HbA1c, as reported"] == ("−1.31 points", "−0.63 points", "−0.68 points (P = 0.0081)")
    assert cells["off insulin"][:2] == ("not reported", "not reported")


def test_the_papers_facts_name_what_the_registry_says_otherwise(evidence):
    facts = journal_club.facts(evidence)
    assert facts.startswith("Randomised, double-blind, placebo-controlled; China")
    assert "gives 103 participants; the paper has 91" in facts


def test_the_readings_come_after_the_rooms_judgement(evidence):
    room = journal_club.Audience.of({"bias": {"missing outcome data": "high"}})
    before, after = (journal_club.bias_table(evidence, room, shown) for shown in (False, True))
    assert before.header == ("domain (RoB 2)", "the room")
    assert dict(row[:2] for row in before.cells) == {**dict.fromkeys(DOMAINS, "___"), "missing outcome data": "high"}
    judged = {row[0]: row[2:] for row in after.cells}
    assert judged["missing outcome data"] == ("some concerns", "low")
    assert "agree on 3 of 5 domains and on the overall judgement" in journal_club.agreement(evidence)


def test_published_outcomes_are_exact_near_or_not(base, claim, evidence):
    found = {one.outcome: one for one in journal_club.outcomes_near(base, claim)}
    assert next(iter(found)) == "all_glucose_lowering_drugs_stopped"
    assert found["all_glucose_lowering_drugs_stopped"].pool.k == 0
    assert found["insulin_independence"].close == "near"
    assert "an upper bound" in found["insulin_independence"].why
    assert found["hypoglycaemic_agents_stopped"].pool.rows[["events", "n"]].to_numpy().tolist() == [[1.0, 16.0]]
    halved = {one.outcome: one.close for one in journal_club.outcomes_near(base, claim_of(evidence, "half_dose_2016"))}
    assert halved["insulin_halved_and_hba1c_lt_7"] == "exact"
    assert halved["insulin_dose_halved"] == "near"
    assert halved["insulin_independence"] == "not"


def test_the_finding_is_that_of_the_ledger_in_few_lines(base, claim):
    entry = entry_of(base, claim)
    cells = dict(journal_club.finding_table(entry).cells)
    assert cells["finding"] == entry.finding == "cannot be assessed"
    assert cells["close in outcome?"].startswith("no: ")
    assert any(
        name.startswith("nearest: insulin stopped") and "5 studies, 31 of 111" in said for name, said in cells.items()
    )
    assert len(cells) <= 8


def test_the_table_to_sort_gives_no_answer_away(base, claim):
    table = journal_club.outcome_table(journal_club.outcomes_near(base, claim), shown=False)
    names = [row[0] for row in table.cells]
    assert names == sorted(names, key=str.lower)
    assert {row[1] for row in table.cells} == {"___"}


def test_control_arms_change_without_cells(evidence):
    cells = {row[0]: row[2:] for row in journal_club.control_arms_table(evidence).cells}
    assert cells["Zang 2022, placebo"] == ("−0.63 (mean)", "−16%")
    assert cells["Bhansali 2014a, sham"] == ("+0.1 (medians)", "−32% (medians)")
    assert cells["placebo arms of 392 trials, type 2"][0] == "−0.12 (mean)"


def test_harms_name_who_reports_them(base, claim):
    cells = {row[0]: row[1:] for row in journal_club.harms_table(base, claim).cells}
    assert cells["serious event judged related to the cells"] == ("0 of 65", "not reported", "Packham 2016, Zang 2022")
    assert cells["death"][0] == "2 of 12"


def test_alternatives_say_in_whom_and_against_what(evidence):
    rows = journal_club.alternatives_table(evidence).cells
    assert [row[3:] for row in rows] == [("39.4%", "5.6%"), ("19.5%", "no control group"), ("11.5%", "2.0%")]


def test_a_registration_is_explained_by_the_registries(evidence):
    text = repr(journal_club.registration_table(evidence))
    assert "a trial cannot be" in text
    assert "WHO approved the registration" in journal_club.registration_words(evidence.claims.itertuples())
    assert journal_club.registration_words([]) == "The page says nothing about a registration."


def test_the_example_sentence_has_the_counts_of_the_paper(evidence):
    words = journal_club.example_sentence(evidence, 0.0)
    assert "20 of 100 people given cells and 5 of 100 given placebo" in words
    assert "no study that counted what the page advertises" in words


@pytest.mark.parametrize("text", ["one good day", "honeymoon", "patients would notice", "tablet"])
def test_clinical_errors_of_version_1_are_gone(text):
    folder = DATA.parent
    cells = nbformat.read(folder / "notebooks" / "journal_club.ipynb", as_version=4).cells
    pages = {cell.id: cell.source for cell in cells}
    sources = (folder / "src" / "cellclaims" / "journal_club").rglob("*.*")
    written = [folder / "docs" / "journal_club.md", *(path for path in sources if path.suffix != ".pyc")]
    pages |= {path.name: path.read_text(encoding="utf-8") for path in written}
    assert [name for name, words in pages.items() if text in words.lower()] == []


def test_the_guides_numbers_are_those_of_the_tables(evidence, nearest, rules):
    guide = (DATA.parent / "docs" / "journal_club.md").read_text(encoding="utf-8")
    arms = [cell for row in journal_club.control_arms_table(evidence).cells for cell in row[2:]]
    for cell in arms:
        if cell != "not reported" and not cell.startswith("+"):
            assert cell.split(" ")[0] in guide, cell
    sheet = journal_club.three(nearest)
    review = re.search(r"same three studies: ([\d.]+%)", sheet.compared(rules))[1]
    assert f"({sheet.result.split(' ')[0]} and {review})" in guide


# --- the advertisement and the audience ----------------------------------------------------------------------------


def test_what_is_advertised_gives_no_answer_away(claim):
    words, table = journal_club.vignette(claim), repr(journal_club.page_table(claim))
    assert "“Doctor, they print 30%. Should I go?”" in words
    assert "a made-up patient" in words
    assert words.endswith(claim.wording.replace(" %", "%"))
    assert "after how long               not stated" in table


def test_a_page_without_a_figure_is_brought_as_well(evidence):
    assert "“Doctor, what do you make of this?”" in journal_club.vignette(claim_of(evidence, "kidney"))


def test_nothing_is_filled_in_before_the_room_says_it():
    empty = journal_club.Audience.of({})
    assert empty == journal_club.Audience()
    assert [row[1] for row in journal_club.predictions_table(empty).cells] == ["___", "___ %", "___ points"]
    assert {row[1] for row in journal_club.ratings_table(empty).cells} == {"___"}


def test_a_room_keeps_what_it_is_given():
    given = {"predictions": {"shown": 12}, "ratings": {"precise": "no"}, "answers": {"mean": 0.3}, "sentence": "So."}
    room = journal_club.Audience.of(given)
    assert (room.predictions, room.ratings, room.answers, room.sentence) == (
        {"shown": 12.0}, {"precise": "no"}, {"mean": 0.3}, "So.",
    )  # fmt: skip
    assert journal_club.Audience.of({}).answers is not journal_club.Audience.of({}).answers


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"patients": 3}, "AUDIENCE: expected names among predictions, .*found 'patients'"),
        ({"predictions": {"guess": 3}}, "AUDIENCE, predictions: expected names among exact, .*found 'guess'"),
        ({"predictions": {"shown": "half"}}, "AUDIENCE, predictions, shown: expected a number from 0 to 100"),
        ({"predictions": {"shown": True}}, "AUDIENCE, predictions, shown: expected a number"),
        ({"predictions": {"exact": -1}}, "AUDIENCE, predictions, exact: expected a number from 0 to 200; found -1"),
        ({"bias": {"overall": "fine"}}, "AUDIENCE, bias, overall: expected one of low, .*found 'fine'"),
        ({"ratings": {"precise": "very"}}, "AUDIENCE, ratings, precise: expected one of yes, .*found 'very'"),
        ({"answers": [1]}, "AUDIENCE, answers: expected names with values"),
        ({"answers": {"mean": "a third"}}, "AUDIENCE, answers, mean: expected a number; found 'a third'"),
        ({"sentence": 3}, "AUDIENCE, sentence: expected text; found 3"),
    ],
)
def test_a_room_that_cannot_be_is_refused(given, expected):
    with pytest.raises(ParameterError, match=expected):
        journal_club.Audience.of(given)


def test_a_prediction_is_shown_next_to_what_was_published():
    room = journal_club.Audience.of({"predictions": {"exact": 4, "shown": 20}})
    cells = journal_club.predictions_table(room, {"exact": 4, "shown": 27.9, "placebo": -0.63}).cells
    assert [row[1:] for row in cells] == [
        ("4", "4", "right"), ("20%", "28%", "8 too low"), ("___ points", "−0.63 points", "–"),
    ]  # fmt: skip
    nothing = journal_club.predictions_table(room, dict.fromkeys(PREDICTIONS)).cells
    assert {row[2] for row in nothing} == {"no study reports it"}


def test_what_was_published_answers_the_predictions(base, claim, asked):
    found = journal_club.published(journal_club.outcomes_near(base, claim), answer(base, claim, asked), base)
    assert found["exact"] == 0
    assert found["shown"] == pytest.approx(27.9, abs=0.05)
    assert found["placebo"] == -0.63


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0,32", 0.32),
        ("0.32", 0.32),
        ("18/56", 18 / 56),
        ("18 of 56", 18 / 56),
        ("32 %", 32.0),
        ("−0,6", -0.6),
        ("", None),
    ],
)
def test_decimal_commas_and_counts_are_taken(text, value):
    assert typed_number(text) == value


@pytest.mark.parametrize("text", ["1.234,5", "a third", "18/0", "3 4", "--1", "1e5"])
def test_what_is_no_number_is_refused_in_words(text):
    with pytest.raises(ValueError, match="is not a number here"):
        typed_number(text)


# --- exercises -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def overlap(base):
    return journal_club.overlap_of(base)


@pytest.fixture(scope="module")
def tasks(base, nearest, overlap):
    islets = journal_club.islets_by_time(base)
    return journal_club.exercise_set(journal_club.three(nearest), islets["at_month"], islets["ever"], overlap)


def test_every_exercise_knows_its_answer_and_its_mistakes_apart(tasks):
    assert list(tasks) == ["proportion", "weight", "mean", "people", "at_month"]
    for exercise in tasks.values():
        assert exercise.check(exercise.answer).startswith("Right")
        assert len(exercise.mistakes) >= 3
        for mistake in exercise.mistakes:
            assert exercise.check(mistake.value) == f"Not yet: {mistake.words}.", exercise.name


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("proportion", 32.1, "that is a percentage"),
        ("weight", 12.2, "the variance between studies is missing"),
        ("mean", 0.275, "leave out the variance between studies"),
        ("at_month", 75.5, "at any time"),
        ("proportion", 0.9, "too high"),
        ("proportion", 0.01, "too low"),
        ("proportion", math.inf, "expected a number"),
    ],
)
def test_a_wrong_answer_is_explained(tasks, name, given, words):
    assert words in tasks[name].check(given)


def test_the_number_of_people_is_a_lower_bound_and_asked_as_on_the_worksheet(tasks, overlap):
    people = tasks["people"]
    assert "counted twice" in people.check(float(overlap.naive.rows.n.sum()))
    assert people.question.startswith("At least how many different participants")
    assert people.question == exercises.PEOPLE
    assert "It is a lower bound" in people.solution


def test_no_answer_is_no_wrong_answer(tasks):
    assert tasks["proportion"].check(None) == ""
    assert "Not yet" not in tasks["proportion"].html()


@pytest.mark.parametrize("rounded", [0.32, 0.321, 0.3214])
def test_rounding_on_paper_is_right(tasks, rounded):
    assert tasks["proportion"].check(rounded).startswith("Right")


def test_a_solution_stays_folded_and_text_is_escaped():
    exercise = journal_club.Exercise("x", "<b>?", 1.0, "", 0.1, 0, "<script>")
    html = exercise.html(2.0)
    assert html.index("<details>") < html.index("&lt;script&gt;") < html.index("</details>")
    assert "<b>" not in html
    assert "details" in page.safe_html(html)
    assert "<summary>" in page.safe_html(html)


def test_an_exercise_needs_an_answer(nearest, overlap):
    empty = SimpleNamespace(is_pooled=False, k=0, title="nothing")
    with pytest.raises(DataError, match="expected studies to pool for 'nothing', found 0"):
        exercises.exercise_set(journal_club.three(nearest), empty, nearest, overlap)


# --- another advertisement -----------------------------------------------------------------------------------------

#: A made-up exercise text, and labelled so: no clinic says this.
MADE_UP = {
    "claim_id": "exercise_off", "document_id": "exercise", "locator": "made up for an exercise",
    "quotation_span": "", "span_sha256": "", "as_of": "2020", "diabetes_type": "T2D", "kind": "rate",
    "what_is_claimed": "patients who can stop insulin (made up)",
    "wording": "A made-up text says that over 45 % of patients can stop insulin.", "qualifier": "can",
    "figure_qualifier": "over", "outcome": "insulin_independence", "value": "45", "unit": "percent",
    "n_treated": "120", "denominator_stated": "no", "follow_up_stated": "no", "control_stated": "no",
    "definition_stated": "yes", "unsaid": "", "answered_by": "insulin_independence", "supersedes": "",
    "note": "an exercise text, no advertisement",
}  # fmt: skip
DOCUMENT = {
    "document_id": "exercise", "file_or_url": "exercise.txt", "kind": "web page", "title": "A made-up text",
    "as_of": "2020", "what_it_is": "an exercise text, made up, no advertisement", "copy_exists": "yes", "sha256": "",
}  # fmt: skip


@pytest.fixture
def other(tmp_path):
    """Write a made-up set of claims with its document; ``other(column=value)`` changes the claim."""

    def write(**changes):
        for path, row in (("claims.csv", MADE_UP | changes), ("documents.csv", DOCUMENT)):
            with (tmp_path / path).open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, row, lineterminator="\n")
                writer.writeheader()
                writer.writerow(row)
        return tmp_path / "claims.csv"

    return write


def test_another_advertisement_takes_the_place_of_the_claims_alone(evidence, rules, other):
    loaded = journal_club.load(DATA, other())
    assert list(loaded.claims.claim_id) == ["exercise_off"]
    pd.testing.assert_frame_equal(loaded.binary, evidence.binary)
    assert loaded.fingerprint != evidence.fingerprint
    assert loaded.folder == DATA
    entry = entry_of(EvidenceBase(loaded, rules), claim_of(loaded, "exercise_off"))
    assert entry.claim_ids == ["exercise_off"]
    assert len(entry.studies) == 5


def test_its_own_trials_count_again_when_it_does_not_cite_them(evidence, other):
    assert own_trials(evidence)
    assert own_trials(journal_club.load(DATA, other())) == []


def test_without_a_file_the_claims_are_the_reviews(evidence):
    pd.testing.assert_frame_equal(journal_club.load(DATA).claims, evidence.claims)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"value": "45 %"}, r"claims.csv, row 2, column value: expected .*number, found '45 %'"),
        ({"diabetes_type": "T4D"}, r"row 2, column diabetes_type: expected one of"),
        ({"document_id": "nobody"}, r"row 2, column document_id: expected"),
    ],
)
def test_a_fault_is_told_of_the_file_that_was_given(other, changes, expected):
    path = other(**changes)
    with pytest.raises(DataError, match=expected) as error:
        journal_club.load(DATA, path)
    assert str(path) in str(error.value)
    assert "advertised/claims.csv" not in str(error.value)


def test_a_claim_that_nothing_answers_is_named(other):
    path = other(answered_by="hope")
    with pytest.raises(ProtocolError, match=r"claims.csv, row 2, column answered_by: expected one of .*found 'hope'"):
        journal_club.load(DATA, path)


def test_every_claim_that_nothing_answers_is_named_at_once(other):
    path = other(answered_by="hope")
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join([*lines, lines[1].replace("exercise_off", "exercise_two").replace("hope", "luck")]) + "\n"
    )
    with pytest.raises(ProtocolError) as refused:
        journal_club.load(DATA, path)
    first, *rest = str(refused.value).splitlines()
    assert first == "2 faults"
    assert ["row 2" in rest[0], "row 3" in rest[1], "'hope'" in rest[0], "'luck'" in rest[1]] == [True] * 4


def test_a_missing_column_and_a_missing_file_are_named(other, tmp_path):
    path = other()
    path.write_text(path.read_text().replace("answered_by,", "", 1))
    with pytest.raises(DataError, match=r"column answered_by: expected this column, found no such column"):
        journal_club.load(DATA, path)
    with pytest.raises(DataError, match="expected a CSV of claims, found no file"):
        journal_club.load(DATA, tmp_path / "none.csv")


def test_documents_of_the_review_are_known_where_none_lie_beside(other, tmp_path):
    path = other(document_id="ad_treatment")
    (tmp_path / "documents.csv").unlink()
    assert journal_club.load(DATA, path).claims.document_id.iloc[0] == "ad_treatment"


def test_nothing_is_written_into_the_data(other):
    before = {path: path.read_bytes() for path in DATA.rglob("*.csv")}
    journal_club.load(DATA, other())
    assert {path: path.read_bytes() for path in DATA.rglob("*.csv")} == before


def test_what_a_registry_answered_is_not_copied(other, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    (folder / "registry").mkdir(exist_ok=True)
    (folder / "registry" / "large.csv").write_text("x")
    seen = []
    monkeypatch.setattr(
        claim_file, "_read", lambda view, *_: seen.append((view / "registry").exists()) or SimpleNamespace()
    )
    with pytest.raises(AttributeError):
        journal_club.load(folder, other())
    assert seen == [False]
