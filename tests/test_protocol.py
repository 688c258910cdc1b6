"""The protocol: what it must hold, how its names are looked up, and that it fits the evidence that it speaks of."""

from __future__ import annotations

import re
import shutil
from datetime import date

import pytest
import yaml

from cellclaims import overview, protocol
from cellclaims.errors import ProtocolError
from cellclaims.selection import ESTIMANDS, Question

from .made_up_trials import DATA, real, rules

DISJOINT = overview.PRODUCTS


@pytest.fixture
def edited(tmp_path):
    """The protocol's text, changed and written to an empty folder: ``edited(old, new)`` gives the folder."""

    def edit(old, new, times=1):
        text = (DATA / "protocol.yml").read_text(encoding="utf-8")
        assert old in text
        (tmp_path / "protocol.yml").write_text(text.replace(old, new, times), encoding="utf-8")
        return tmp_path

    return edit


# --- reading -----------------------------------------------------------------------------------------------------


def test_the_day_of_the_evidence_is_a_date():
    assert date.fromisoformat(rules().evidence_date) <= date.fromisoformat(str(rules()["fixed_on"]))


def test_a_folder_without_a_protocol_is_refused(tmp_path):
    with pytest.raises(ProtocolError, match=r"protocol\.yml: expected the review's protocol, found no file"):
        protocol.load(tmp_path)


@pytest.mark.parametrize("content", [b"a: [1, 2", b"\xff\xfe: broken"], ids=["not YAML", "not UTF-8"])
def test_a_protocol_that_cannot_be_read_is_refused(tmp_path, content):
    (tmp_path / "protocol.yml").write_bytes(content)
    with pytest.raises(ProtocolError, match="expected YAML"):
        protocol.load(tmp_path)


@pytest.mark.parametrize("section", protocol.SECTIONS)
def test_a_missing_section_is_named(edited, section):
    folder = edited(f"\n{section}:", "\nother_section:")
    with pytest.raises(ProtocolError, match=f"missing {section}"):
        protocol.load(folder)


def test_an_empty_protocol_lacks_every_section(tmp_path):
    (tmp_path / "protocol.yml").write_text("")
    with pytest.raises(ProtocolError, match="missing fixed_on"):
        protocol.load(tmp_path)


def test_an_unknown_grade_of_a_match_is_refused_with_its_place(edited):
    folder = edited("population: [good, ", "population: [fine, ")
    with pytest.raises(ProtocolError, match=r"counterparts\.effective_2016\.match\.population.*found 'fine'"):
        protocol.load(folder)


# --- looking up --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("look_up", "what"),
    [
        (lambda p: p.outcome("weight"), "outcome"),
        (lambda p: p.classes("weight"), "product"),
        (lambda p: p.product_name("weight"), "product"),
        (lambda p: p.populations(["T2D", "weight"]), "population"),
        (lambda p: p.estimand("weight"), "estimand"),
    ],
)
def test_an_unknown_name_is_refused_with_the_known_ones(look_up, what):
    with pytest.raises(ProtocolError, match=f"expected {what} to be one of .*, .*found 'weight'"):
        look_up(rules())


def test_an_outcome_has_its_month_and_window():
    found = rules().outcome("hba1c")
    assert (found.months, found.window, found.better) == (12.0, 3.0, "lower")
    assert rules().outcome("insulin_independence").window == 0  # status at that month, not near it


def test_a_question_takes_month_and_window_from_the_protocol_unless_it_has_its_own():
    asked = Question("hba1c", ("T2D",), "msc").at(rules())
    assert (asked.months, asked.window) == (12.0, 3.0)
    asked = Question("hba1c", ("T2D",), "msc", months=6.0, window=0.0).at(rules())
    assert (asked.months, asked.window) == (6.0, 0.0)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"outcome": "weight"}, "outcome"),
        ({"population": ("T2D", "T9D")}, "population"),
        ({"product": "weight"}, "product"),
        ({"estimand": "sometimes"}, "estimand"),
        ({"arms": "all"}, "arms"),
    ],
)
def test_a_question_with_an_unknown_name_is_refused(wrong, message):
    asked = {"outcome": "hba1c", "population": ("T2D",), "product": "msc"} | wrong
    with pytest.raises(ProtocolError, match=f"expected {message} to be"):
        Question(**asked).at(rules())


def test_a_question_names_its_population_and_product():
    """Types of diabetes are never one pool by default: there is no default."""
    with pytest.raises(TypeError, match="population"):
        Question("hba1c")


# --- the protocol and the evidence -------------------------------------------------------------------------------


def test_each_class_of_treatment_belongs_to_one_product():
    classes = [c for product in DISJOINT for c in rules().classes(product)]
    assert sorted(classes) == sorted(set(classes))
    assert set(classes) == set(real().studies.intervention_class)


def test_any_cells_are_all_cells_but_islets():
    islets = {c for p in ("islets", "stem_cell_islets", "autologous_islets") for c in rules().classes(p)}
    assert set(rules().classes("any_cells")) == {c for p in DISJOINT for c in rules().classes(p)} - islets


def test_the_populations_are_those_of_the_evidence():
    assert set(real().studies.diabetes_type) == set(rules()["eligibility"]["populations"])


def test_the_untreated_comparators_are_these_four_and_no_other():
    assert rules()["eligibility"]["untreated_comparators"] == ["placebo", "sham", "standard_care", "matched_cohort"]
    assert rules()["eligibility"]["benchmark_designs"] == ["registry"]


def test_insulin_independence_has_four_estimands():
    assert set(rules()["outcomes"]["insulin_independence"]["estimands"]) == set(ESTIMANDS)


def test_every_advertised_percentage_has_a_counterpart_and_no_other_claim_has_one_unknown():
    claims = real().claims
    shares = set(claims.claim_id[(claims.kind == "proportion") & claims.value.notna()])
    assert shares <= set(rules()["counterparts"])
    assert set(rules()["counterparts"]) <= set(claims.claim_id)


@pytest.mark.parametrize("claim_id", sorted(yaml.safe_load((DATA / "protocol.yml").read_text())["counterparts"]))
def test_a_counterpart_asks_a_question_that_the_protocol_knows(claim_id):
    plan = rules()["counterparts"][claim_id]
    assert set(plan["match"]) == {"population", "product", "outcome", "time"}
    assert all(reason.strip() for _, reason in plan["match"].values())
    rules().outcome(plan["definition"])
    rules().populations(plan["population"])
    rules().classes(plan["product"])
    assert plan["estimand"] in (*ESTIMANDS, "mean_difference")
    assert all(rules().outcome(beside) for beside in plan.get("beside", ()))


def test_the_thresholds_in_use_are_those_of_the_table_or_say_that_their_source_was_not_seen():
    known = set(real().thresholds.value.dropna())
    for threshold in (rules()["thresholds"]["hba1c_matters"], *rules()["thresholds"]["hba1c_sensitivity"]):
        assert threshold["value"] in known or "not seen" in threshold["source"]


def test_the_correlation_in_use_is_one_half_with_its_sensitivity():
    correlation = rules()["models"]["correlation"]
    assert correlation["value"] == 0.5
    assert (min(correlation["sensitivity"]), max(correlation["sensitivity"])) == (0.3, 0.9)


def test_the_verdicts_are_eight_in_their_order_and_their_words_hold_their_numbers():
    rule = rules()["verdict"]
    assert [step["verdict"] for step in rule["order"]] == [
        "not testable",
        "no evidence",
        "insufficient",
        "contradicted",
        "above the evidence",
        "mixed",
        "compatible",
        "supported",
    ]
    words = {step["verdict"]: step["rule"] for step in rule["order"]}
    assert int(re.search(r"fewer than (\d+)", words["insufficient"])[1]) == rule["enough_reports"]
    assert int(re.search(r"at least (\d+) reports", words["contradicted"])[1]) == rule["enough_to_contradict"]


def test_the_protocol_is_read_from_the_folder_that_is_named(tmp_path):
    shutil.copy(DATA / "protocol.yml", tmp_path)
    changed = (tmp_path / "protocol.yml").read_text().replace("value: 0.5, sensitivity", "value: 0.7, sensitivity")
    (tmp_path / "protocol.yml").write_text(changed)
    assert protocol.load(tmp_path)["models"]["correlation"]["value"] == 0.7
