"""The protocol: what it must hold, how its names are looked up, and that it fits the evidence that it speaks of."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shutil
from datetime import date
from pathlib import Path

import pytest
from IPython.core.interactiveshell import InteractiveShell

from cellclaims import overview, protocol
from cellclaims.appraisal import LEVELS
from cellclaims.effects import FORMS
from cellclaims.errors import ProtocolError
from cellclaims.meta import binomial
from cellclaims.meta.fit import TESTS
from cellclaims.meta.tau2 import ESTIMATORS
from cellclaims.selection import ESTIMANDS, Question
from cellclaims.specifications.choices import MODEL_WORDS

from .made_up_trials import DATA, real, rules

DISJOINT = overview.PRODUCTS


@pytest.fixture
def edited(tmp_path):
    """The protocol's text, changed and written to an empty folder: ``edited(old, new)`` gives the folder."""

    def edit(old, new, times=1):
        return change(DATA / "protocol.yml", old, new, times)

    def change(path, old, new, times=1):
        text = path.read_text(encoding="utf-8")
        assert old in text
        (tmp_path / "protocol.yml").write_text(text.replace(old, new, times), encoding="utf-8")
        return tmp_path

    edit.again = lambda old, new: change(tmp_path / "protocol.yml", old, new)
    return edit


# --- reading -----------------------------------------------------------------------------------------------------


def test_the_day_of_the_evidence_is_that_of_the_last_source_that_was_read():
    """The second round of evidence was read after the protocol had been fixed, and the protocol does not hide it."""
    assert date.fromisoformat(rules().evidence_date) == date(2026, 11, 28)
    assert rules().evidence_date == max(real().sources.accessed)


def test_a_folder_without_a_protocol_is_refused(tmp_path):
    with pytest.raises(ProtocolError, match=r"protocol\.yml: expected a YAML file, found no such file"):
        protocol.load(tmp_path)


#: What is changed in the protocol's text -> the keys, what is expected and what is found.
WRONG = {
    "an unknown section": (
        "\nselection:",
        "\nselections:",
        "selections",
        "(did you mean 'selection'?)",
        "'selections'",
    ),
    "a misspelt key": (
        "months: 12, window: 3}",
        "months: 12, windwo: 3}",
        "outcomes.insulin_halved_and_hba1c_lt_7.windwo",
        "(did you mean 'window'?)",
        "'windwo'",
    ),
    "a repeated key": ("written_on: 2026", "title: Again\nwritten_on: 2026", "title", "each key once", "it in line"),
    "text for a number": (
        "months: 12, window: 3}",
        'months: "12", window: 3}',
        "outcomes.insulin_halved_and_hba1c_lt_7.months",
        "a number",
        "'12'",
    ),
    "a negative window": (
        "months: 12, window: 3}",
        "months: 12, window: -3}",
        "outcomes.insulin_halved_and_hba1c_lt_7.window",
        "at least 0",
        "-3",
    ),
    "an unknown method": (
        "method: REML,",
        "method: REMLL,",
        "models.continuous.method",
        "(did you mean 'REML'?)",
        "'REMLL'",
    ),
    "an unknown test": (
        "test: adhoc,",
        "test: ad-hoc,",
        "models.continuous.test",
        "one of z, t, knha, adhoc",
        "'ad-hoc'",
    ),
    "an unknown model": (
        "{model: binomial_normal, method",
        "{model: binomial, method",
        "models.proportion.model",
        "binomial_normal",
        "'binomial'",
    ),
    "a level above 1": ("level: 0.95}", "level: 95}", "models.continuous.level", "less than 1", "95"),
    "an unknown class": (
        "classes: [hsct]",
        "classes: [hstc]",
        "eligibility.products.hsct.classes[1]",
        "(did you mean 'hsct'?)",
        "'hstc'",
    ),
    "an unknown population": (
        "T3c: diabetes after",
        "T3: diabetes after",
        "eligibility.populations",
        "one of T1D, T2D, T3c, mixed",
        "'T3'",
    ),
    "an unknown comparator": (
        "[placebo, sham,",
        "[placebo, shame,",
        "eligibility.untreated_comparators[2]",
        "(did you mean 'sham'?)",
        "'shame'",
    ),
    "an unknown grade": (
        'population: ["yes", ',
        "population: [fine, ",
        "answers.effective.close.population[1]",
        "one of yes, partly, no",
        "'fine'",
    ),
    "an unknown product": (
        "product: infused_cells",
        "product: infused_cell",
        "answers.effective.product",
        "(did you mean 'infused_cells'?)",
        "'infused_cell'",
    ),
    "an unknown outcome": (
        "outcome: hba1c",
        "outcome: hb1c",
        "answers.hba1c.outcome",
        "(did you mean 'hba1c'?)",
        "'hb1c'",
    ),
    "an unknown topic": ("topic: vision", "topic: sight", "answers.vision.topic", "vision", "'sight'"),
    "a missing part": (
        "    topic: vision\n",
        "",
        "answers.vision",
        "an outcome, a topic, or context",
        '{"name": "better vision"',
    ),
    "a date that is none": (
        "evidence_date: 2026-11-2",
        "evidence_date: 2026-11-3",
        "evidence_date",
        "a date as 2026-11-20",
        "'2026-11-3",
    ),
    "another date form": (
        "written_on: 2026-11-29",
        "written_on: 29 Nov 2026",
        "written_on",
        "a date as 2026-11-20",
        "'29 Nov 2026'",
    ),
    "a query that is no text": (
        "query.cond: diabetes\n",
        "query.cond: [diabetes]\n",
        "pull.ctgov.cells.query.cond",
        "text",
        '["diabetes"]',
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_fault_of_the_protocol_has_its_line_its_key_what_is_expected_and_what_is_found(edited, name):
    old, new, key, expected, found = WRONG[name]
    folder = edited(old, new)
    shutil.copy(DATA / "datapackage.json", folder)
    (fault,) = [f for f in protocol.faults(folder) if not new.startswith("\nselections") or f.column]
    line = (folder / "protocol.yml").read_text().splitlines()[fault.row - 1]
    assert (fault.column, expected in fault.expected) == (key, True), str(fault)
    assert fault.found.startswith(found)
    assert key.rpartition(".")[2].partition("[")[0].split(".")[-1] in line or "[" in key or name == "a missing part"
    with pytest.raises(ProtocolError, match=re.escape(str(fault))):
        protocol.load(folder)


def test_all_faults_of_the_protocol_are_named_at_once(edited):
    edited("months: 12, window: 3}", "months: x, window: -3}")
    folder = edited.again("method: REML,", "method: RMEL,")
    with pytest.raises(ProtocolError) as refused:
        protocol.load(folder)
    first, *rest = str(refused.value).splitlines()
    assert first == "3 faults"
    assert len(rest) == 3


def test_a_tab_in_the_protocol_is_named_with_its_line(edited):
    folder = edited("  insulin_dose_halved: {name", "\tinsulin_dose_halved: {name")
    (fault,) = protocol.faults(folder)
    assert (fault.expected, fault.found) == ("spaces at the start of the line", "a tab")
    assert "\tinsulin_dose_halved" in (folder / "protocol.yml").read_text().splitlines()[fault.row - 1]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a: [1, 2", "line 1: expected YAML"),
        (b"title: x\n\xff\xfe: broken", "line 2: expected UTF-8 text, found byte 0xff"),
        (b"", "line 1: expected keys with values, found an empty file"),
        (b"- a list", "line 1: expected the sections of the protocol"),
    ],
    ids=["not YAML", "not UTF-8", "empty", "a list"],
)
def test_a_protocol_that_cannot_be_read_is_refused_in_one_line(tmp_path, content, words):
    (tmp_path / "protocol.yml").write_bytes(content)
    with pytest.raises(ProtocolError, match=r"^\S*protocol\.yml, " + re.escape(words)) as refused:
        protocol.load(tmp_path)
    assert len(str(refused.value).splitlines()) == 1


@pytest.mark.parametrize("section", json.loads(protocol.SCHEMA.read_text())["required"])
def test_a_missing_section_is_named(edited, section):
    folder = edited(f"\n{section}:" if section != "title" else "title:", "\nzz:")
    with pytest.raises(ProtocolError, match=f"expected the key {section} .*found none"):
        protocol.load(folder)


def test_the_page_on_the_protocol_is_that_of_the_schema():
    """``protocol.reference()`` brings it up to date."""
    assert (DATA.parent / "docs" / "protocol.md").read_text(encoding="utf-8") == protocol.reference()


def test_the_schema_knows_the_estimators_tests_and_grades_that_the_engine_knows():
    declared = json.loads(protocol.SCHEMA.read_text())
    known = set(declared["$defs"]["estimator"]["enum"])
    assert known == set(ESTIMATORS) - {"FE", "GENQ"}  # FE is EE by its older name; GENQ needs weights
    models = declared["properties"]["models"]["properties"]
    assert tuple(models["continuous"]["properties"]["test"]["enum"]) == TESTS
    assert set(models["proportion"]["properties"]["test"]["enum"]) == set(binomial.TESTS)
    assert set(declared["$defs"]["way"]["properties"]["model"]["enum"]) == {model for model, _ in MODEL_WORDS}
    assert declared["$defs"]["option"]["properties"]["forms"]["items"]["enum"] == list(FORMS)
    starts = declared["properties"]["certainty"]["properties"]["start"]["properties"]
    assert set(starts) == {"randomised", "proportion", "otherwise"}
    assert declared["$defs"]["certainty"]["enum"] == list(LEVELS)


def test_every_harm_of_the_protocol_is_a_harm_of_the_definitions():
    """Those that are pooled may be, and those that are only listed may not."""
    known = real().definitions.set_index("definition_id")
    shown, listed = list(rules()["harms"]["outcomes"]), rules()["harms"]["listed"]
    assert set(known.kind[[*shown, *listed]]) == {"harm"}
    assert set(known.pooled[shown]) == {"yes"} and set(known.pooled[listed]) == {"no"}
    assert rules().outcome("death").better == "lower"


def test_every_column_that_the_schema_takes_values_from_has_declared_values():
    """A column that was renamed would allow anything without a word."""
    named = set(re.findall(r'"valuesOf": "(.+?)"', protocol.SCHEMA.read_text()))
    assert named and named <= set(protocol._columns(DATA))


def test_every_part_that_the_schema_takes_keys_from_is_there():
    for where in set(re.findall(r'"keysOf": "(.+?)"', protocol.SCHEMA.read_text())):
        part = rules().content
        for name in where.split("."):
            part = part[name]
        assert isinstance(part, dict) and part, where


def test_a_fault_in_a_notebook_is_shown_without_a_traceback(tmp_path):
    shell = InteractiveShell()
    (tmp_path / "protocol.yml").write_text("title: x")
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown):
        shell.run_cell(f"from cellclaims import protocol\nprotocol.load({str(tmp_path)!r})")
    assert "ProtocolError: " in shown.getvalue() and "Traceback" not in shown.getvalue()


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
    assert (found.months, found.better) == ((2.75, 15.0), "lower")
    assert rules().outcome("insulin_halved_and_hba1c_lt_7").window == 3
    assert rules().outcome("insulin_independence").window == 0  # status at that month, not near it


def test_a_question_takes_month_and_window_from_the_protocol_unless_it_has_its_own():
    asked = Question("hba1c", ("T2D",), "msc").at(rules())
    assert (asked.months, asked.window, asked.span, asked.target) == ((2.75, 15.0), None, (2.75, 15.0), 15.0)
    assert asked.fewest == rules()["eligibility"]["fewest_participants"] == 5
    assert Question("insulin_dose", "T2D", "msc").at(rules()).unit == "U/day"
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


def test_the_protocol_says_that_it_is_post_hoc_and_what_was_known_at_each_change():
    assert rules()["version"] == 2
    assert "post hoc" in rules()["post_hoc"] and "results of version 1 had been seen" in rules()["post_hoc"]
    days = [change["date"] for change in rules()["amendments"]]
    assert days == sorted(days) and all(change["known"] for change in rules()["amendments"])
    assert not re.search(
        r"fixed (before|in advance)|prespecif|pre-specif", (DATA / "protocol.yml").read_text(encoding="utf-8")
    )


def test_the_order_of_effects_is_that_of_the_package():
    assert tuple(rules()["effects"]["order"]) == FORMS


def test_every_estimand_is_explained():
    assert set(rules()["outcomes"]["insulin_independence"]["estimands"]) == set(ESTIMANDS)


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
