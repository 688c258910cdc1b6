"""Statements and what answers them: families, questions, each study's own count, nearest results."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import pytest
from scipy import stats

from cellclaims import claims, protocol
from cellclaims.claims import counterparts, findings
from cellclaims.claims.counterparts import (
    FAMILIES,
    FAMILY_OF,
    TYPES,
    UNSAID,
    asked,
    counts_of,
    family_of,
    nearest_of,
    question_of,
    unsaid,
)
from cellclaims.claims.ledger import question_of_entry
from cellclaims.evidence.schema import FILE, read_schema
from cellclaims.selection import EvidenceBase

from .made_up_trials import DATA, MadeUp, base, known_ledger, real, rules


def a_claim(**cells):
    known = dict.fromkeys(UNSAID, "yes")
    numbers = {"as_of": 2016.0, "value": 60.0, "n_treated": 508.0}
    words = dict.fromkeys(("what_is_claimed", "wording", "locator", "figure_qualifier", "note"), "")
    about = {"claim_id": "c", "document_id": "d", "kind": "rate", "unit": "percent", "diabetes_type": "T2D"}
    return SimpleNamespace(**{**words, **about, **numbers, **known, **cells})


# Families.


def test_every_kind_of_statement_has_a_family():
    kinds = read_schema(DATA).tables["claims"].columns
    allowed = (
        next(column for column in kinds.values() if column.name == "kind").enum
        if isinstance(kinds, dict)
        else (next(column for column in kinds if column.name == "kind").enum)
    )
    assert set(allowed) == set(FAMILY_OF)
    assert set(FAMILY_OF.values()) == set(FAMILIES)


def test_a_value_that_is_no_percentage_is_claimed_of_an_effect():
    assert family_of(a_claim()) == "rate"
    assert family_of(a_claim(unit="percentage points")) == "effect"
    assert family_of(a_claim(value=math.nan)) == "effect"


@pytest.mark.parametrize("column", UNSAID)
def test_what_is_not_stated_is_named_as_unsaid(column):
    assert unsaid(a_claim()) == []
    assert unsaid(a_claim(**{column: "no"})) == [UNSAID[column]]
    assert unsaid(a_claim(**{column: "partly"})) == [f"{UNSAID[column]} (stated in part)"]
    assert unsaid(a_claim(**{column: ""})) == []  # does not apply


# The answers of the protocol.

ANSWERS = rules()["answers"]


def test_every_statement_is_answered_and_no_answer_is_left_over():
    answered = set(real().claims.answered_by)
    assert answered <= set(ANSWERS)
    kept_for_other_clinics = {"insulin_independence", "insulin_dose_halved"}
    assert set(ANSWERS) - answered == kept_for_other_clinics


@pytest.mark.parametrize("name", sorted(ANSWERS))
def test_an_answer_has_a_topic_an_outcome_or_context(name):
    answer = ANSWERS[name]
    assert {"topic", "outcome", "context"} & set(answer)
    if "topic" in answer:
        assert (real().topic_evidence.topic == answer["topic"]).any()
    for outcome in [answer.get("outcome"), *answer.get("also", ()), *(n["outcome"] for n in answer.get("nearest", ()))]:
        if outcome:
            rules().outcome(outcome)
    if "context" not in answer and name != "registration":
        assert set(answer["close"]) == {"outcome", "population", "product", "time"}
        assert all(grade in ("yes", "partly", "no") and reason.strip() for grade, reason in answer["close"].values())


@pytest.mark.parametrize("part", ["topic", "outcome", "context"])
def test_an_answer_without_topic_outcome_and_context_is_refused(tmp_path, part):
    text = (DATA / "protocol.yml").read_text(encoding="utf-8")
    name = next(n for n, a in ANSWERS.items() if part in a and len({"topic", "outcome", "context"} & set(a)) == 1)
    start = text.index(f"\n  {name}:\n", text.index("\nanswers:\n"))
    line = next(row for row in text[start:].split("\n")[2:] if row.startswith(f"    {part}:"))
    (tmp_path / "protocol.yml").write_text(text[:start] + text[start:].replace(f"{line}\n", "", 1), encoding="utf-8")
    (tmp_path / FILE).write_text((DATA / FILE).read_text(encoding="utf-8"), encoding="utf-8")
    assert any(f"answers.{name}" in str(fault) for fault in protocol.faults(tmp_path))


def test_a_statement_that_nothing_answers_is_refused_by_name():
    claim = a_claim(answered_by="astrology")
    with pytest.raises(protocol.ProtocolError, match=r"c, answered_by: expected one of .*found 'astrology'"):
        counterparts.answer_of(rules(), claim)


# From a claim to its question.


def clinic(**study):
    """A clinic that cites NCT00000001, its own study of that number, and an independent study of the same outcome."""
    made = MadeUp().add(
        "claims", claim_id="c", what_is_claimed="trial NCT00000001 was approved", kind="fact_of_record",
        answered_by="insulin_independence", diabetes_type="T2D",
    )  # fmt: skip
    for name, number in (("own", "EUCTR; NCT00000001"), ("other", "NCT00000002")):
        made.study(name, "T2D", "msc", registry_id=number, **study).arm(name)
        made.count(name, 5, 10, timing="ever")
    return made


def test_the_own_trial_is_found_by_the_number_that_is_cited():
    assert claims.own_trials(clinic().evidence()) == ["own"]
    assert claims.own_trials(real()) == ["liu2014"]
    made = clinic()
    made.rows["claims"][0]["what_is_claimed"] = "approved"
    assert claims.own_trials(made.evidence()) == []


def test_the_own_trial_never_answers_for_the_claim():
    made = EvidenceBase(clinic().evidence(), rules())
    for arms in ("cells", "control"):
        question = question_of(made, "c", arms)
        assert (question.exclude, question.arms) == (("own",), arms)
    assert [one["study_id"] for one in counts_of(made, question_of(made, "c"))] == ["other"]
    for entry in known_ledger():
        counted = {study["study_id"] for study in entry.studies}
        assert "liu2014" not in counted, entry.entry_id


def test_the_question_of_a_claim_asks_for_its_type_of_diabetes_at_any_time_without_immunoablation():
    question = question_of(base(), "stop_all_2016")
    assert question.population == ("T2D",)
    assert question.estimand == "any_time"
    assert "hsct" not in rules().classes(question.product) and "islet_allo" not in rules().classes(question.product)
    assert question_of(base(), "vision") is None


def test_hba1c_is_answered_by_randomised_trials():
    assert question_of(base(), "first_course_control").designs == ("rct",)


def test_an_entry_and_its_statements_ask_the_same_question():
    for entry in known_ledger():
        question = question_of_entry(base(), entry)
        if question is not None and entry.family == "rate":
            assert [question_of(base(), name) for name in entry.claim_ids] == [question] * len(entry.claim_ids)


# Each study's own count.


def test_every_study_has_its_own_exact_interval_and_its_control_arm():
    studies = {one["study_id"]: one for one in counts_of(base(), question_of(base(), "half_dose_2016"))}
    assert set(studies) == {"zang2022", "bhansali2014"}
    for study in studies.values():
        for one in (study, study["control"]):
            x, n = round(one["events"]), round(one["n"])
            limits = stats.binomtest(x, n).proportion_ci(0.95, method="exact")
            assert (one["ci_lb"], one["ci_ub"]) == (pytest.approx(100 * limits.low), pytest.approx(100 * limits.high))
            assert one["value"] == pytest.approx(100 * x / n)
    assert (studies["zang2022"]["events"], studies["zang2022"]["n"]) == (9, 45)
    assert (studies["zang2022"]["control"]["events"], studies["zang2022"]["control"]["n"]) == (2, 44)
    assert studies["zang2022"]["hba1c_at_entry"] == pytest.approx(9.02)
    assert studies["bhansali2014"]["hba1c_at_entry"] == pytest.approx(6.9)


def test_a_nearest_result_is_listed_with_the_direction_of_the_difference_and_never_compared():
    answer = ANSWERS["all_drugs_stopped"]
    near = {one["outcome"]: one for one in nearest_of(base(), answer, TYPES["T2D"])}
    off = near["insulin_independence"]
    assert "upper bound" in off["difference"] and off["k"] >= 3
    assert off["ci_lb"] < off["value"] < off["ci_ub"]
    assert off["pi_lb"] < off["ci_lb"] and off["pi_ub"] > off["ci_ub"]
    assert not {"finding", "probabilities", "certainty"} & set(off)
    lian = near["hypoglycaemic_agents_stopped"]
    assert (lian["k"], lian["events"], lian["n"], lian["value"]) == (1, 1, 16, None)


def test_types_of_diabetes_are_never_one_pool_among_nearest_results():
    (effect,) = [entry for entry in known_ledger() if entry.entry_id == "effect.all_drugs_stopped"]
    for near in effect.nearest:
        studies = {base().studies[one["study_id"]].diabetes_type for one in near["studies"]}
        assert len(studies) <= 1, near["name"]


def test_every_entry_is_json_without_a_number_that_is_none():
    for entry in known_ledger():
        values = json.loads(json.dumps(entry.as_json(), allow_nan=False))
        assert values["finding"] in (
            *findings.RATE_FINDINGS, *findings.EFFECT_FINDINGS, *findings.RECORD_FINDINGS, findings.NO_FINDING
        )  # fmt: skip


def test_a_made_up_rate_is_compared_by_the_rules():
    """Two made-up trials of 40: one far below 60%, one far above."""
    made = MadeUp()
    for name, events in (("low", 4), ("high", 38)):
        made.study(name, "T2D", "msc", "rct").arm(name, n=40).count(name, events, 40, timing="ever")
    made.add("documents", document_id="d", title="Made up", copy_exists="yes")
    made.add("claims", **{**vars(a_claim(answered_by="insulin_independence", qualifier="none"))})
    (entry,) = [e for e in claims.ledger(EvidenceBase(made.evidence(), rules())) if e.family == "rate"]
    assert entry.finding == findings.DISAGREE
    assert asked(base(), ANSWERS["insulin_independence"], ("T2D",)).outcome == "insulin_independence"
