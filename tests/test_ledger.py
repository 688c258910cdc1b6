"""The ledger: all statements, today's findings, another clinic without code, hostile text, one changed number shows."""

from __future__ import annotations

import csv
import html
import json
import math
import re
import shutil
from dataclasses import replace
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from cellclaims import protocol, reporting
from cellclaims.claims import findings, ledger
from cellclaims.claims.ledger import entry_of, entry_with, groups_of
from cellclaims.claims.topics import counting, excludes_no_effect, results_of, rows_of, trials_of
from cellclaims.cli import main
from cellclaims.evidence import load as load_evidence
from cellclaims.reporting.claims import paragraph
from cellclaims.runner.run import run_notebook
from cellclaims.selection import EvidenceBase

from .made_up_trials import MadeUp, base, rules

DATA = Path(__file__).resolve().parent.parent / "data"
#: Keys that others rely on.
KEYS = {
    "entry_id", "family", "answered_by", "name", "claim_ids", "statements", "advertised", "unsaid", "close",
    "finding", "rule", "reasons", "edges", "outcome_finding", "certainty", "studies", "others", "probabilities",
    "pool", "nearest", "own_trial", "largest_blinded", "stability", "specifications", "text",
}  # fmt: skip


def by_id(entries, entry_id):
    return next(entry for entry in entries if entry.entry_id == entry_id)


# Every statement is in one entry.


def test_every_statement_is_in_exactly_one_entry(entries, evidence):
    covered = [name for entry in entries for name in entry.claim_ids]
    assert sorted(covered) == sorted(evidence.claims.claim_id)
    assert len(covered) == 76
    assert 40 <= len(entries) <= 50


def test_a_rate_is_an_entry_by_value_and_text_and_a_record_by_statement(entries, evidence):
    for entry_id, group in groups_of(evidence).items():
        if entry_id.startswith("rate"):
            assert len({(c.answered_by, c.value, c.document_id) for c in group}) == 1
        elif entry_id.startswith("record"):
            assert len(group) == 1
    assert len({entry.entry_id for entry in entries}) == len(entries)


def test_the_review_asks_one_question_of_its_own(entries):
    assert [entry.entry_id for entry in entries if not entry.statements] == ["effect.hba1c"]


# Today's rows, walked through: what the plan asks for.

TODAY = {
    "rate.effective.93.T2D.ad_treatment": findings.CANNOT_BE_ASSESSED,
    "rate.effective.92.T2D.ad_treatment_2014": findings.CANNOT_BE_ASSESSED,
    "rate.half_the_insulin.60.T2D.ad_treatment": findings.DISAGREE,
    "rate.all_drugs_stopped.30.T2D.ad_treatment": findings.CANNOT_BE_ASSESSED,
    "effect.hba1c": findings.INCONCLUSIVE,
    "effect.fasting_glucose": findings.INCONCLUSIVE,
    "effect.beta_cell_repair": findings.INCONCLUSIVE,
    "effect.less_insulin": findings.FAVOUR,
    "effect.insulin_resistance": findings.ONE_FAVOURS,
    "effect.complications": findings.ONE_FAVOURS,
    "effect.kidney": findings.INCONCLUSIVE,
    "effect.numbness": findings.NOT_READ,
    "effect.vision": findings.UNCONTROLLED,
    "effect.fatigue": findings.UNCONTROLLED,
    "effect.all_drugs_stopped": findings.UNCONTROLLED,
    "effect.circulation": findings.ELSEWHERE,
    "effect.fundamental_cure": findings.ELSEWHERE,
    "mechanism.immunomodulation": findings.ONE_INCONCLUSIVE,
    "mechanism.differentiation": findings.LABORATORY,
    "mechanism.angiogenesis": findings.LABORATORY,
    "effect.immunity": findings.NONE_FOUND,
    "effect.second_course": findings.NONE_FOUND,
    "effect.other_cells": findings.NONE_FOUND,
    "mechanism.other_cells": findings.NONE_FOUND,
    "record.registration.registered_t2d": findings.NOT_CHECKED,
    "record.registration.registered_t1d": findings.NOT_CHECKED,
    "record.registration.approved_by_who": findings.NOT_CHECKED,
    "record.number_treated.treated_2016": findings.NOT_CHECKED,
}


@pytest.mark.parametrize("entry_id", TODAY)
def test_todays_rows_give_the_findings_of_the_plan(entries, entry_id):
    assert by_id(entries, entry_id).finding == TODAY[entry_id]


def test_the_trials_that_disagree_and_the_nearest_results_are_named(entries):
    half = by_id(entries, "rate.half_the_insulin.60.T2D.ad_treatment")
    assert {one["study_id"] for one in half.studies} == {"zang2022", "bhansali2014"}
    stop = by_id(entries, "rate.all_drugs_stopped.30.T2D.ad_treatment")
    assert [near["outcome"] for near in stop.nearest] == ["insulin_independence", "hypoglycaemic_agents_stopped"]
    assert "upper bound" in stop.nearest[0]["difference"]
    assert stop.nearest[1]["studies"][0]["study_id"] == "lian2022"
    assert stop.probabilities == {} and stop.certainty is None


def test_a_mechanism_names_the_finding_for_its_outcome(entries):
    made = by_id(entries, "mechanism.immunomodulation")
    assert made.outcome_finding["finding"] == findings.INCONCLUSIVE
    assert [one["study_id"] for one in made.studies] == ["izadi2022"]


def test_the_enrolment_that_differs_from_the_registration_is_said(entries):
    words = str(paragraph(by_id(entries, "effect.complications")))
    assert "22 enrolled" in words and "96 or 97" in words


def test_a_result_that_the_review_finds_implausible_answers_nothing(entries):
    assert "mesples2020" not in {one["study_id"] for entry in entries for one in entry.studies}


# What stands with an entry.


def test_the_largest_randomised_blinded_trial_is_shown_by_itself(entries):
    for entry_id in (
        "rate.half_the_insulin.60.T2D.ad_treatment", "effect.hba1c", "effect.less_insulin", "effect.beta_cell_repair",
        "effect.insulin_resistance",
    ):  # fmt: skip
        entry = by_id(entries, entry_id)
        assert entry.largest_blinded["study_id"] == "zang2022", entry_id
        assert "Largest randomised blinded trial: Zang 2022" in str(paragraph(entry))
    assert by_id(entries, "effect.kidney").largest_blinded["study_id"] == "packham2016"


def test_the_own_trial_is_shown_where_its_text_cites_it_and_never_counted(entries):
    for entry in entries:
        assert "liu2014" not in {one["study_id"] for one in entry.studies}
        own = {one["study_id"] for one in entry.own_trial}
        if entry.family == "rate" and entry.documents == ["ad_treatment"]:
            assert own == {"liu2014"}
            assert "The clinic's own registered trial (not counted), Liu 2014" in str(paragraph(entry))
        if entry.documents == ["ad_procedure"]:
            assert own == set()
    assert by_id(entries, "record.registration.registered_t1d").own_trial == []
    assert by_id(entries, "record.number_treated.treated_2016").own_trial == []


def test_a_record_that_was_not_read_says_what_was_read_instead(entries):
    words = str(paragraph(by_id(entries, "record.registration.registered_t2d")))
    assert "The record of the registry was not read" in words or "the record of the registry was not read" in words
    assert "23 September 2010" in words
    assert "a trial cannot be registered with WHO" in words


def test_probabilities_are_empty_for_fewer_than_three_studies(entries):
    for entry in entries:
        assert entry.probabilities == {} or len(entry.studies) >= 3


def test_every_controlled_result_of_a_topic_is_named_with_direction_and_interval_the_best_kind_first(entries):
    order = ["randomised", "controlled", "uncontrolled", "laboratory"]
    for entry in entries:
        facts = [one for one in entry.studies if "row_id" in one]
        assert [order.index(one["kind"]) for one in facts] == sorted(order.index(one["kind"]) for one in facts)
        words = str(paragraph(entry))
        for one in facts:
            assert one["label"] in words, entry.entry_id
            assert one["direction"] in ("cells", "control", "none", "not_stated")
    less = by_id(entries, "effect.less_insulin")
    assert (
        "Kashbour 2025 (meta-analysis of randomised trials, n = 507): favours cells (−14.50, 95% CI −19.45 to −9.55)"
        in str(paragraph(less))
    )


def test_nothing_counts_votes(entries):
    """No text of an entry says how many results point one way."""
    for entry in entries:
        words = str(paragraph(entry))
        assert not re.search(r"\d+ (results? |studies |of them )?(for|against|in favour of) it", words), entry.entry_id


def test_how_close_the_evidence_is_has_a_grade_and_a_reason(entries):
    for entry in entries:
        if entry.family in ("rate", "effect", "mechanism"):
            assert set(entry.close) == {"outcome", "population", "product", "time"}, entry.entry_id
            assert all(one["grade"] in ("yes", "partly", "no") and one["reason"] for one in entry.close.values())


def test_a_card_names_the_rows_of_its_numbers_and_leads_to_their_sources(entries, evidence):
    shown = reporting.cards(entries)._repr_html_()
    tables = set()
    for study in [study for e in entries for study in e.studies]:
        if study["link"]:
            assert f'<a href="{html.escape(study["link"], quote=True)}">' in shown
        if "row_id" in study:
            assert evidence.topic_evidence.loc[study["line"]].row_id == study["row_id"]
        else:
            lines = study["line"].split(";")
            rows = getattr(evidence, study["table"])
            assert {rows.loc[int(line)].study_id for line in lines} == {study["study_id"]}
            tables.add(study["table"])
    assert "binary" in tables


def test_an_entry_as_json_has_the_keys_that_others_rely_on_and_only_json_values(entries):
    for entry in reporting.ledger_json(entries):
        assert entry.keys() >= KEYS
        json.dumps(entry, allow_nan=False)
        assert "verdict" not in json.dumps(entry)


def test_no_paragraph_holds_a_number_that_is_none(entries):
    for entry in entries:
        text = str(paragraph(entry))
        assert "nan" not in text.split() and "None" not in text
        if entry.finding != findings.NO_FINDING:
            assert f"Finding: {entry.finding}" in text


def test_every_statement_is_worded_with_its_qualifiers(entries):
    words = {name: str(paragraph(e)) for e in entries for name in e.claim_ids}
    assert words["vision"].startswith("The text lists better vision as a possible improvement.")
    assert "under specific induction conditions" in words["differentiation"]
    assert "recommended second course" in words["second_course"]
    for entry in entries:
        for one in entry.statements:
            assert one["wording"].rstrip(".").replace(" %", "%") in str(paragraph(entry))
            assert not one["qualifier"] or f"(Qualifier: {one['qualifier']}.)" in str(paragraph(entry))


def test_a_page_of_which_no_copy_is_kept_says_so(entries, evidence):
    other = by_id(entries, "rate.effective.92.T2D.ad_treatment_2014")
    assert "No copy of that page is kept" in str(paragraph(other))
    note = reporting.other_pages(evidence)
    assert "5 statements" in note
    copied = replace(evidence, documents=evidence.documents.assign(copy_exists="yes"))
    assert reporting.other_pages(copied) is None


# Rows of topics: what counts.

#: A made-up row on a topic that counts; each test changes one thing.
COUNTED = {
    "topic": "vision", "role": "evidence", "species": "human", "controlled": "randomised", "design": "rct",
    "favours": "cells", "precision": "not stated", "independent_of_clinic": "yes", "close_population": "yes",
    "close_product": "partly", "close_outcome": "yes", "tests_mechanism": "no", "outcome": "made up",
    "p_value": 0.01, "p_value_printed": "0.01", "p_compares": "arms", "n": 40.0,
}  # fmt: skip


def topic(*rows):
    made = MadeUp()
    for number, row in enumerate(rows):
        made.add("topic_evidence", row_id=f"b{number:03d}", **COUNTED | {"reference": f"trial{number}"} | row)
    return made.evidence()


def found(*rows):
    return findings.effect_finding(results_of(counting(rows_of(topic(*rows), "vision")))).finding


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({}, findings.ONE_FAVOURS),
        ({"role": "context"}, findings.NONE_FOUND),
        ({"independent_of_clinic": "no"}, findings.NONE_FOUND),
        ({"close_outcome": "no"}, findings.NONE_FOUND),
        ({"topic": "kidney"}, findings.NONE_FOUND),
        ({"species": "animal"}, findings.LABORATORY),
        ({"design": "lab"}, findings.LABORATORY),
        ({"close_population": "no"}, findings.ELSEWHERE),
        ({"close_product": "no"}, findings.ELSEWHERE),
        ({"favours": "not_stated"}, findings.NOT_READ),
        ({"controlled": "uncontrolled"}, findings.UNCONTROLLED),
        ({"p_compares": "before and after"}, findings.ONE_INCONCLUSIVE),
        ({"p_compares": ""}, findings.ONE_INCONCLUSIVE),
        ({"p_value": 0.06, "p_value_printed": "0.06"}, findings.ONE_INCONCLUSIVE),
        ({"favours": "control"}, findings.ONE_AGAINST),
        ({"favours": "none"}, findings.ONE_INCONCLUSIVE),
        ({"precision": "interval includes no effect"}, findings.ONE_INCONCLUSIVE),
    ],
)
def test_what_a_row_of_a_topic_can_answer(change, expected):
    assert found(change) == expected


def test_a_blank_type_of_diabetes_says_nothing():
    assert found({"diabetes_type": ""}) == findings.ONE_FAVOURS


def test_two_results_of_one_trial_count_once():
    assert found({"reference": "one"}, {"reference": "one"}) == findings.ONE_FAVOURS
    assert found({}, {"overlaps_with": "b000 (same trial)"}) == findings.ONE_FAVOURS
    assert found({}, {}) == findings.FAVOUR
    rows = rows_of(topic({}, {"overlaps_with": "b000 (same patients)"}, {}), "vision")
    assert [len(group) for group in trials_of(rows)] == [2, 1]


def test_a_trial_that_appeared_after_every_meta_analysis_is_in_none():
    pooled = {"design": "meta_analysis", "year": 2020.0, "n": 500.0, "precision": "interval excludes no effect"}
    later, earlier = {"year": 2021.0, "favours": "control"}, {"year": 2019.0, "favours": "control"}
    assert found(pooled, later) == findings.INCONCLUSIVE
    assert found(pooled, earlier) == findings.FAVOUR
    assert found(pooled, earlier | {"overlaps_with": "none: not in b000"}) == findings.INCONCLUSIVE


def test_a_result_that_is_not_significant_is_not_against(evidence):
    """PACE favours cells with an interval that includes no effect; it was coded against for its P value."""
    row = evidence.topic_evidence.set_index("row_id").loc["b005"]
    assert (row.favours, row.precision) == ("cells", "interval includes no effect")


def test_the_p_value_between_the_arms_is_read_as_it_is_printed(evidence):
    rows = evidence.topic_evidence.set_index("row_id")
    assert excludes_no_effect(rows.loc["b072"]) == (True, False)  # < 0.01 between the arms
    assert excludes_no_effect(rows.loc["b030"]) == (None, False)  # before and after
    assert excludes_no_effect(rows.loc["b016"]) == (False, False)  # by its interval


def test_every_row_is_coded_as_the_plan_says(evidence):
    """Another product: no cells, islets, immunoablation, cells into the eye or the limb."""
    rows = evidence.topic_evidence
    for row in rows[rows.species == "human"].itertuples():
        if row.cell_type.startswith("none") or "donor islets" in row.cell_type or "HSCT" in row.cell_type:
            assert row.close_product == "no", row.row_id
        if any(word in row.cell_type for word in ("subretinal", "intravitreal", "local eye")):
            assert row.close_product == "no", row.row_id
    assert set(rows.p_compares) <= {"", "arms", "before and after"}
    numbered = rows[(rows.p_value_printed != "") & rows.controlled.isin(["randomised", "controlled_not_randomised"])]
    assert (numbered.p_compares == "arms").mean() > 0.8


# Another clinic, another number, hostile text.


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(DATA, tmp_path / "data"))


def rewrite(path: Path, change) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    rows = change(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def claims_file(path: Path, **cells) -> Path:
    """A file of one claim, made up after that on insulin and oral drugs."""
    with (DATA / "advertised/claims.csv").open(newline="", encoding="utf-8") as file:
        row = next(r for r in csv.DictReader(file) if r["claim_id"] == "stop_all_2016")
    row |= {"claim_id": "made_up_off_insulin", "what_is_claimed": "MADE UP: patients off insulin", "value": "99"}
    row |= {"answered_by": "insulin_independence", "definition_stated": "yes", "n_treated": "40", "note": "made up"}
    row |= {"quotation_span": "", "span_sha256": ""} | cells
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, row.keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerow(row)
    return path


def test_another_advertisement_runs_through_the_same_path_without_code(tmp_path):
    """A made-up clinic: 99% of patients with type 2 diabetes off insulin; the five published cohorts stay far below."""
    path = claims_file(tmp_path / "claims.csv")
    result = CliRunner().invoke(main, ["claims", "--claims", str(path), "--format", "json", "--data", str(DATA)])
    assert result.exit_code == 0, result.output
    entries = json.loads(result.stdout)
    (entry,) = [one for one in entries if one["family"] == "rate"]
    assert entry["claim_ids"] == ["made_up_off_insulin"]
    assert (entry["finding"], len(entry["studies"]) >= 5) == (findings.ABOVE, True)
    assert set(entry["probabilities"]) == {"0.5", "1", "2"} and max(entry["probabilities"].values()) < 0.05


def test_the_csv_of_the_ledger_names_entries_and_statements(tmp_path):
    path = claims_file(tmp_path / "claims.csv")
    result = CliRunner().invoke(main, ["claims", "--claims", str(path), "--format", "csv", "--data", str(DATA)])
    rows = list(csv.DictReader(result.stdout.splitlines()))
    assert [row["claim_id"] for row in rows] == ["made_up_off_insulin", "–"]
    assert rows[0]["entry_id"].startswith("rate.insulin_independence.99")


HOSTILE = '<script>alert(1)</script>[x](javascript:alert(1)) =HYPERLINK("http://x")'


def test_hostile_text_in_a_claims_file_stays_inert(tmp_path):
    path = claims_file(tmp_path / "claims.csv", what_is_claimed=HOSTILE, wording=HOSTILE, note=HOSTILE)
    results = {
        kind: CliRunner().invoke(main, ["claims", "--claims", str(path), "--format", kind, "--data", str(DATA)])
        for kind in ("md", "csv", "json")
    }
    assert {kind: result.exit_code for kind, result in results.items()} == dict.fromkeys(results, 0)
    for row in csv.reader(results["csv"].stdout.splitlines()):
        assert not any(cell.startswith(("=", "+", "@")) for cell in row)
    from cellclaims.journal_club import load

    made = EvidenceBase(load(DATA, path), rules())
    shown = reporting.cards(ledger(made))._repr_html_()
    assert "<script>" not in shown and "&lt;script&gt;" in shown


#: The count of the double-blind trial.
ZANG = ("zang2022", "ucmsc", "insulin_halved_and_hba1c_lt_7")


def test_notebook_05_follows_a_file_of_claims_its_headline_figures_and_number_of_documents(tmp_path):
    path = claims_file(tmp_path / "claims.csv", what_is_claimed=HOSTILE, wording=HOSTILE)
    notebook = DATA.parent / "notebooks" / "05_advertised_and_published.ipynb"
    executed = nbformat.read(run_notebook(notebook, tmp_path / "out", {"CLAIMS": str(path)}), as_version=4)
    shown = {cell.id: cell.outputs[0].data for cell in executed.cells if cell.cell_type == "code" and cell.outputs}
    assert "99%, insulin stopped: above the published results" in shown["cell-04"]["text/plain"]
    assert "One statement of one document makes one entry" in shown["cell-04"]["text/plain"]
    assert "advertised 99%" in shown["cell-07"]["text/plain"] and "60%" not in shown["cell-07"]["text/plain"]
    for data in shown.values():
        assert "<script>" not in data.get("text/html", "")
    assert len(json.loads((tmp_path / "out" / "claims.json").read_text(encoding="utf-8"))) == 2


def test_one_changed_number_changes_the_entry(folder, entries):
    def more_events(rows):
        for row in rows:
            if (row["study_id"], row["arm_id"], row["definition_id"]) == ZANG:
                row.update(events="20", percent="", percent_printed="")
        return rows

    rewrite(folder / "published" / "binary.csv", more_events)
    changed = ledger(EvidenceBase(load_evidence(folder), protocol.load(folder)))
    entry = by_id(changed, "rate.half_the_insulin.60.T2D.ad_treatment")
    before = by_id(entries, entry.entry_id)
    assert before.finding == findings.DISAGREE
    assert entry.finding == findings.NOT_EXCLUDED, "20 of 45 has an upper limit of 60.003%"


def test_a_claim_that_nothing_answers_is_refused_by_name(folder):
    rewrite(folder / "advertised" / "claims.csv", lambda rows: [rows[0] | {"answered_by": "astrology"}, *rows[1:]])
    with pytest.raises(protocol.ProtocolError, match=r"answered_by: expected one of .*found 'astrology'"):
        ledger(EvidenceBase(load_evidence(folder), protocol.load(folder)))


def test_the_entry_of_a_statement_is_that_of_the_ledger(entries, evidence):
    claim = next(c for c in evidence.claims.itertuples() if c.claim_id == "glucose_sensing")
    made = entry_of(base(), claim)
    assert made.entry_id == entry_with(entries, "glucose_sensing").entry_id == "mechanism.differentiation"
    assert "glucose_sensing" in made.claim_ids and len(made.claim_ids) > 1


def test_the_command_prints_what_is_compared_first_and_the_note_last():
    result = CliRunner().invoke(main, ["claims", "--data", str(DATA)])
    assert result.exit_code == 0
    assert result.stdout.startswith("Every finding compares an advertised statement with published results")
    assert "Another page says that more than 265 patients" in result.stdout.rsplit("|\n", 1)[1]


def test_the_command_prints_a_json_list_and_nothing_else(entries):
    result = CliRunner().invoke(main, ["claims", "--format", "json", "--data", str(DATA)])
    assert result.exit_code == 0
    assert len(json.loads(result.stdout)) == len(entries)
    assert not math.isnan(len(result.stdout))
