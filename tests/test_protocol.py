"""The protocol: what it must hold, how its names are looked up, and that it fits the evidence that it speaks of."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

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


def test_the_day_of_the_evidence_is_that_of_the_last_source_that_was_read():
    """The second round of evidence was read after the protocol had been fixed, and the protocol does not hide it."""
    assert date.fromisoformat(rules().evidence_date) == date(2026, 11, 28)
    assert rules().evidence_date == max(real().sources.accessed)


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
    with pytest.raises(ProtocolError, match=r"counterparts\.effective\.match\.population.*found 'fine'"):
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
    assert {*classes, "blood_passed_over_cells"} == set(real().studies.intervention_class)


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


def test_every_claim_is_answered_by_a_counterpart_and_none_is_left_over():
    answered = set(real().claims.answered_by)
    assert answered <= set(rules()["counterparts"])
    kept_for_other_clinics = {"insulin_independence", "insulin_dose_halved"}
    assert set(rules()["counterparts"]) - answered == kept_for_other_clinics


COUNTERPARTS = yaml.safe_load((DATA / "protocol.yml").read_text())["counterparts"]


@pytest.mark.parametrize("name", sorted(COUNTERPARTS))
def test_every_grade_of_a_match_has_its_reason(name):
    assert all(reason.strip() for _, reason in COUNTERPARTS[name]["match"].values())


@pytest.mark.parametrize("name", sorted(n for n, plan in COUNTERPARTS.items() if "definition" in plan))
def test_a_counterpart_asks_a_question_that_the_protocol_knows(name):
    plan = COUNTERPARTS[name]
    assert set(plan["match"]) == {"population", "product", "outcome", "time"}
    rules().outcome(plan["definition"])
    rules().classes(plan["product"])
    assert plan["estimand"] in (*ESTIMANDS, "mean_difference")


@pytest.mark.parametrize("name", sorted(n for n, plan in COUNTERPARTS.items() if "topic" in plan))
def test_a_topic_has_rows(name):
    assert (real().topic_evidence.topic == COUNTERPARTS[name]["topic"]).any()


# --- the list of rules -------------------------------------------------------------------------------------------


def test_the_list_of_rules_names_tests_that_exist():
    """``RULES.md`` says which test fails when a rule is taken out; a renamed test must not leave it behind."""
    folder = Path(__file__).resolve().parent
    named = re.findall(r"`(\w+)(?:::(test_\w+))?`", (folder / "RULES.md").read_text(encoding="utf-8"))
    tests = [(file, test) for file, test in named if test or (folder / f"test_{file}.py").exists()]
    assert len([test for _, test in tests if test]) > 60
    for file, test in tests:
        text = (folder / f"test_{file}.py").read_text(encoding="utf-8")
        assert not test or f"def {test}(" in text, f"{file}::{test}"
