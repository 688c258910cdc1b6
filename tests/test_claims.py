"""The verdict rule by rule, and what an entry holds.

The ledger as a whole is tested in ``test_ledger.py``.
"""

from __future__ import annotations

import functools
import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from scipy import stats

from cellclaims import claims
from cellclaims.claims import Standing, counterparts, verdict
from cellclaims.claims.counterparts import UNSAID, advertised, unsaid

from .made_up_trials import MadeUp, base, real, rules

#: An example takes longer while the machine is busy; that is no fault.
UNHURRIED = settings(deadline=None)

RULES = rules()["verdict"]
EIGHT = [step["verdict"] for step in RULES["order"]]
#: Enough reports of a good match; the published mean is 40 %, its interval 30 to 50, a new clinic 20 to 60.
SOUND = Standing(True, 6, 45.0, ci_lb=30.0, ci_ub=50.0, pi_ub=60.0, randomised=True, certainty="moderate")


@functools.cache
def entries():
    """Entries of the evidence by claim, made once."""
    return {entry.claim_id: entry for entry in claims.advertised_rates(base())}


def decided(standing):
    return verdict(standing, RULES)[0]


# --- the table of verdicts, rule by rule -------------------------------------------------------------------------

TABLE = [
    ("nothing measurable is claimed", {"measurable": False}, "not testable"),
    ("nothing measurable, nothing published", {"measurable": False, "k": 0}, "not testable"),
    ("no figure is claimed", {"claim": math.nan}, "not testable"),
    ("no figure is claimed, nothing published", {"claim": math.nan, "k": 0}, "not testable"),
    ("nothing published", {"k": 0}, "no evidence"),
    ("nothing published and a poor match", {"k": 0, "outcome": "poor"}, "no evidence"),
    ("one report", {"k": 1}, "insufficient"),
    ("two reports, far below the claim", {"k": 2, "claim": 99.0}, "insufficient"),
    ("two reports, far above the claim", {"k": 2, "claim": 1.0}, "insufficient"),
    ("three reports", {"k": 3}, "compatible"),
    ("a poor match in population", {"population": "poor", "claim": 99.0}, "insufficient"),
    ("a poor match in outcome", {"outcome": "poor", "claim": 99.0}, "insufficient"),
    ("an interval that cannot be estimated", {"ci_lb": math.nan, "claim": 99.0}, "insufficient"),
    ("no prediction", {"pi_ub": math.nan, "claim": 99.0}, "above the evidence"),
    ("a partial match", {"population": "partial", "outcome": "partial"}, "compatible"),
    ("above the prediction limit, five reports", {"k": 5, "claim": 61.0}, "contradicted"),
    ("above the prediction limit, four reports", {"k": 4, "claim": 61.0}, "above the evidence"),
    ("at the prediction limit", {"claim": 60.0}, "above the evidence"),
    ("between interval and prediction limit", {"claim": 55.0}, "above the evidence"),
    ("above, and the designs disagree", {"claim": 55.0, "conflicting": True}, "above the evidence"),
    ("at the upper confidence limit", {"claim": 50.0}, "compatible"),
    ("within the interval, the designs disagree", {"conflicting": True}, "mixed"),
    ("below the interval, the designs disagree", {"claim": 20.0, "conflicting": True}, "mixed"),
    ("within the interval", {}, "compatible"),
    ("just above the lower limit", {"claim": 30.1}, "compatible"),
    ("at the lower limit", {"claim": 30.0}, "supported"),
    ("below the interval, certainty high", {"claim": 20.0, "certainty": "high"}, "supported"),
    ("below the interval, certainty low", {"claim": 20.0, "certainty": "low"}, "compatible"),
    ("below the interval, nothing randomised", {"claim": 20.0, "randomised": False}, "compatible"),
]


@pytest.mark.parametrize(("parts", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_the_verdict_is_the_first_rule_that_holds(parts, expected):
    assert decided(replace(SOUND, **parts)) == expected


def test_every_verdict_occurs_in_the_table():
    assert {row[2] for row in TABLE} == set(EIGHT)


def test_the_thresholds_are_those_of_the_protocol():
    high = {"enough_reports": 7, "enough_to_contradict": 9}
    assert verdict(SOUND, high)[0] == "insufficient"
    assert verdict(replace(SOUND, k=8, claim=99.0), high)[0] == "above the evidence"
    assert verdict(replace(SOUND, k=9, claim=99.0), high)[0] == "contradicted"


# --- laws --------------------------------------------------------------------------------------------------------

VALUES = st.one_of(st.floats(-100, 100), st.just(math.nan), st.just(math.inf), st.just(-math.inf))
STANDINGS = st.builds(
    Standing,
    measurable=st.booleans(),
    k=st.integers(0, 12),
    claim=st.one_of(st.floats(-100, 100), st.just(math.nan)),
    ci_lb=VALUES,
    ci_ub=VALUES,
    pi_ub=VALUES,
    population=st.sampled_from(["good", "partial", "poor"]),
    outcome=st.sampled_from(["good", "partial", "poor"]),
    randomised=st.booleans(),
    conflicting=st.booleans(),
    certainty=st.sampled_from(["very low", "low", "moderate", "high"]),
)


@UNHURRIED
@given(STANDINGS)
def test_a_verdict_is_one_of_eight_and_has_a_reason(standing):
    found, reasons = verdict(standing, RULES)
    assert found in EIGHT
    assert reasons and all(reason.strip() and "nan" not in reason for reason in reasons)


@UNHURRIED
@given(STANDINGS, st.integers(1, 2))
@example(replace(SOUND, claim=99.0), 2)
@example(replace(SOUND, claim=1.0), 2)
def test_two_reports_can_never_contradict_or_support(standing, k):
    assert decided(replace(standing, k=k)) in ("not testable", "insufficient")


@UNHURRIED
@given(STANDINGS)
@example(replace(SOUND, k=4, claim=61.0))
def test_four_reports_can_never_contradict(standing):
    assume(standing.k < RULES["enough_to_contradict"])
    assert decided(standing) != "contradicted"


@UNHURRIED
@given(STANDINGS)
@example(replace(SOUND, claim=20.0))
def test_without_randomised_evidence_nothing_is_better_than_compatible(standing):
    assert decided(replace(standing, randomised=False)) != "supported"


@UNHURRIED
@given(STANDINGS)
@example(replace(SOUND, claim=20.0, certainty="low"))
def test_below_moderate_certainty_nothing_is_supported(standing):
    assume(standing.certainty in ("very low", "low"))
    assert decided(standing) != "supported"


@UNHURRIED
@given(STANDINGS)
@example(replace(SOUND, claim=math.nan))
@example(replace(SOUND, ci_lb=math.nan))
@example(replace(SOUND, ci_ub=math.nan, claim=20.0))
def test_limits_that_do_not_exist_support_and_contradict_nothing(standing):
    """What is not a number never stands for a small or a large one."""
    assume(any(math.isnan(x) for x in (standing.claim, standing.ci_lb, standing.ci_ub)))
    assert decided(standing) not in ("supported", "contradicted", "above the evidence")


@UNHURRIED
@given(STANDINGS)
def test_the_reason_speaks_of_a_prediction_interval_only_where_there_is_one(standing):
    found, reasons = verdict(replace(standing, pi_ub=math.nan), RULES)
    assert "the claim is within the prediction interval" not in reasons, found


@UNHURRIED
@given(STANDINGS, st.floats(-100, 100))
def test_turning_the_signs_twice_changes_nothing(standing, pi_lb):
    turned = standing.mirrored(pi_lb)
    assert (turned.ci_lb, turned.ci_ub) == pytest.approx((-standing.ci_ub, -standing.ci_lb), nan_ok=True)
    assert turned.pi_ub == -pi_lb
    assert decided(turned.mirrored(-standing.pi_ub)) == decided(standing)


def test_a_fall_is_judged_by_its_own_limits():
    """A claimed fall of 1.5 points; published -0.9 to -0.3, a new setting -1.2 at most: nobody reaches it."""
    fall = Standing(True, 6, -1.5, ci_lb=-0.9, ci_ub=-0.3, randomised=True, certainty="high")
    assert decided(fall.mirrored(pi_lb=-1.2)) == "contradicted"
    assert decided(fall.mirrored(pi_lb=-1.6)) == "above the evidence"
    assert decided(replace(fall, claim=-0.5).mirrored(pi_lb=-1.2)) == "compatible"
    assert decided(replace(fall, claim=-0.2).mirrored(pi_lb=-1.2)) == "supported"


# --- the claim's own trial ---------------------------------------------------------------------------------------


def clinic(**study):
    """A clinic that cites NCT00000001, its own report of that number, and an independent report of the same outcome."""
    made = MadeUp().add("claims", claim_id="c", what_is_claimed="trial NCT00000001 was approved", kind="registration")
    for name, number in (("own", "EUCTR; NCT00000001"), ("other", "NCT00000002")):
        made.study(name, "T2D", "msc", registry_id=number, **study).arm(name)
        made.count(name, 5, 10, timing="ever")
    return made


def test_the_own_trial_is_found_by_the_number_that_is_cited():
    assert claims.own_trials(clinic().evidence()) == ["own"]
    assert claims.own_trials(real()) == ["liu2014"]


def test_without_a_cited_number_no_trial_is_the_clinics_own():
    made = clinic()
    made.rows["claims"][0]["what_is_claimed"] = "approved"
    assert claims.own_trials(made.evidence()) == []


def test_the_own_trial_never_answers_for_the_claim():
    claim = SimpleNamespace(diabetes_type="T2D", claim_id="c", answered_by="insulin_independence")
    plan = rules()["counterparts"]["insulin_independence"]
    for arms in ("cells", "control"):
        question = counterparts.question_of(clinic().evidence(), claim, plan, arms)
        assert (question.exclude, question.arms) == (("own",), arms)


def test_the_own_trial_is_in_no_counterpart_of_the_real_claims():
    for entry in entries().values():
        assert "liu2014" not in {study["study_id"] for study in entry.studies}


def test_hba1c_is_answered_by_randomised_reports():
    """Randomised and not are never one pool by default."""
    claim = next(c for c in real().claims.itertuples() if c.claim_id == "first_course_control")
    assert counterparts.question_of(real(), claim, counterparts.plan_of(rules(), claim)).designs == ("rct",)


# --- what an entry holds -----------------------------------------------------------------------------------------


def a_claim(**cells):
    known = dict.fromkeys(UNSAID, "yes")
    numbers = {"as_of": 2016.0, "value": 60.0, "n_treated": 508.0}
    words = dict.fromkeys(
        ("what_is_claimed", "wording", "locator", "figure_qualifier", "unit", "diabetes_type", "note"), ""
    )
    return SimpleNamespace(**{"claim_id": "c", "document_id": "d", **words, **numbers, **known, **cells})


@pytest.mark.parametrize("column", UNSAID)
def test_what_is_not_stated_is_named_as_unsaid(column):
    assert unsaid(a_claim()) == []
    assert unsaid(a_claim(**{column: "no"})) == [UNSAID[column]]
    assert unsaid(a_claim(**{column: "partly"})) == [f"{UNSAID[column]} (stated in part)"]
    assert unsaid(a_claim(**{column: ""})) == []  # does not apply


def test_a_claim_that_states_nothing_leaves_four_things_unsaid():
    assert unsaid(a_claim(**dict.fromkeys(UNSAID, "no"))) == list(UNSAID.values())


def test_what_does_not_apply_is_null():
    documents = MadeUp().add("documents", document_id="d", title="Made up").evidence().documents
    said = advertised(a_claim(value=math.nan, n_treated=math.nan, as_of=math.nan), documents)
    assert (said["value"], said["n_treated"], said["as_of"]) == (None, None, "")
    said = advertised(a_claim(), documents)
    assert (said["value"], said["n_treated"], said["as_of"]) == (60.0, 508, "2016")


def test_every_entry_is_json_without_a_number_that_is_none():
    for entry in entries().values():
        assert json.loads(json.dumps(entry.as_json(), allow_nan=False))["verdict"] in EIGHT


# --- numbers beside a claim --------------------------------------------------------------------------------------


def entry_and_pool(claim_id):
    return entries()[claim_id], claims.counterpart_pool(base(), claim_id)


def test_two_studies_of_a_rate_have_no_pooled_value_and_no_probability():
    entry, pool = entry_and_pool("half_dose_2016")
    assert pool.fit is None and (entry.k, entry.patients, entry.unit) == (2, 56, "percent")
    assert (entry.pooled, entry.ci_lb, entry.p_mean_ge, entry.p_new_setting_ge, entry.p_series_ge) == (None,) * 5


def test_one_study_gives_its_own_limits_and_no_probability():
    """15 of 22 against 93%."""
    entry, _ = entry_and_pool("effective_2016")
    low, high = (100 * stats.beta.ppf(q, a, b) for q, a, b in ((0.025, 15, 8), (0.975, 16, 7)))
    assert (entry.ci_lb, entry.ci_ub) == (pytest.approx(low), pytest.approx(high))
    assert entry.p_mean_ge is entry.pi_lb is entry.pi_ub is None


def test_hba1c_is_shown_in_its_own_unit():
    entry, pool = entry_and_pool("first_course_control")
    assert (entry.pooled, entry.unit) == (pytest.approx(pool.fit.beta), "percentage points")
    assert entry.control["value"] == pytest.approx(-0.70)  # the placebo arm's own change


def test_two_control_arms_have_no_pooled_value():
    assert entry_and_pool("half_dose_2016")[0].control is None
    assert entry_and_pool("stop_all_2016")[0].control is None
