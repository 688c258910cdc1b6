"""Every rule on a made-up data folder: what it must catch, what it must let pass; and the report that people read."""

from __future__ import annotations

import csv
import dataclasses
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from cellclaims import protocol
from cellclaims.cli import main
from cellclaims.errors import ReviewError
from cellclaims.evidence import check, rules
from cellclaims.evidence import load as load_evidence
from cellclaims.evidence.cohorts import cohorts_of
from cellclaims.evidence.read import Evidence
from cellclaims.evidence.rules_reports import FIGURES, NOT_SCIENTIFIC, SOURCE_CLASS
from cellclaims.evidence.schema import findings, read_schema
from cellclaims.pool import link

REPOSITORY = Path(__file__).resolve().parent.parent
MADE_UP = Path(__file__).resolve().parent / "made_up"
ALL_RULES = {rule.__name__: rule for rule in (*rules.RULES, *rules.CHECKED_ONLY)}

Edit = Callable[[Evidence], Evidence]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the made-up data folder with the real ``datapackage.json`` and protocol."""
    target = tmp_path / "data"
    shutil.copytree(MADE_UP, target)
    for name in ("datapackage.json", "protocol.yml"):
        shutil.copy(REPOSITORY / "data" / name, target)
    return target


@pytest.fixture(scope="module")
def made_up(tmp_path_factory: pytest.TempPathFactory) -> Evidence:
    target = tmp_path_factory.mktemp("made_up") / "data"
    shutil.copytree(MADE_UP, target)
    for name in ("datapackage.json", "protocol.yml"):
        shutil.copy(REPOSITORY / "data" / name, target)
    return load_evidence(target)


def put(table: str, line: int, /, **cells: object) -> Edit:
    """An edit: other values in one row."""

    def edit(evidence: Evidence) -> Evidence:
        frame = getattr(evidence, table).copy()
        for column, value in cells.items():
            frame.loc[line, column] = value
        return dataclasses.replace(evidence, **{table: frame})

    return edit


def again(table: str, line: int) -> Edit:
    """An edit: one row stands a second time, at the end."""

    def edit(evidence: Evidence) -> Evidence:
        frame = getattr(evidence, table)
        frame = pd.concat([frame, frame.loc[[line]]])
        frame.index = pd.RangeIndex(2, 2 + len(frame), name="line")
        return dataclasses.replace(evidence, **{table: frame})

    return edit


def both(*edits: Edit) -> Edit:
    def edit(evidence: Evidence) -> Evidence:
        for one in edits:
            evidence = one(evidence)
        return evidence

    return edit


#: The cells of the made-up trial have a median HbA1c of 7.51 % at month 12, in 18 patients.
MEDIAN = put("continuous", 3, center_type="median", dispersion_type="none", dispersion_low=None)


def same_trial(evidence: Evidence) -> Evidence:
    """An edit: beta2021 has the title and the arms of alpha2020."""
    arms = evidence.arms[evidence.arms.study_id != "beta2021"]
    arms = pd.concat([arms, arms[arms.study_id == "alpha2020"].assign(study_id="beta2021")])
    arms.index = pd.RangeIndex(2, 2 + len(arms), name="line")
    return put("studies", 3, title="A MADE UP trial.")(dataclasses.replace(evidence, arms=arms))


#: rule -> (what it must catch, the table, line and column that it must name).
CAUGHT: dict[str, tuple[Edit, tuple[str, int, str]]] = {
    "events_at_most_n": (put("binary", 2, events=19), ("binary", 2, "events")),
    "n_at_most_arm": (put("continuous", 2, n=21), ("continuous", 2, "n")),
    "count_or_percent_given": (put("binary", 4, events=None, percent=None), ("binary", 4, "events")),
    "percent_agrees_with_count": (put("binary", 2, percent_printed="33.4"), ("binary", 2, "percent_printed")),
    "percent_can_be_a_count": (put("binary", 7, percent_printed="82"), ("binary", 7, "percent_printed")),
    "percent_equals_printed": (put("binary", 2, percent=33), ("binary", 2, "percent")),
    "status_has_month": (put("binary", 2, months=None), ("binary", 2, "months")),
    "definition_fits_outcome": (put("binary", 8, definition_id="graft_failure"), ("binary", 8, "definition_id")),
    "curve_never_rises": (put("survival", 3, percent=81), ("survival", 3, "percent")),
    "counts_entered_once": (again("binary", 2), ("binary", 9, "timing")),
    "spread_fits_its_type": (put("continuous", 2, dispersion_low=None), ("continuous", 2, "dispersion_low")),
    "spread_above_zero": (put("continuous", 2, dispersion_low=0.0), ("continuous", 2, "dispersion_low")),
    "spread_is_plausible": (put("continuous", 2, dispersion_low=11.0), ("continuous", 2, "dispersion_low")),
    "spread_around_centre": (put("continuous", 8, center=48), ("continuous", 8, "center")),
    "median_without_sd": (put("continuous", 2, center_type="median"), ("continuous", 2, "dispersion_type")),
    "unit_is_tidied": (put("continuous", 9, unit="U/day"), ("continuous", 9, "unit")),
    "unit_fits_outcome": (put("continuous", 8, unit="mmol/L"), ("continuous", 8, "unit")),
    "level_is_possible": (put("continuous", 2, center=85), ("continuous", 2, "center")),
    "change_is_after_baseline": (put("continuous", 4, months=0), ("continuous", 4, "months")),
    "change_agrees_with_levels": (put("continuous", 4, center=-0.8), ("continuous", 4, "center")),
    "change_has_sign_of_levels": (put("continuous", 4, n=17, center=0.99), ("continuous", 4, "center")),
    "count_agrees_with_median": (both(MEDIAN, put("binary", 5, events=10)), ("binary", 5, "events")),
    "month_within_follow_up": (put("continuous", 3, months=52), ("continuous", 3, "months")),
    "trial_entered_once": (same_trial, ("studies", 3, "study_id")),
    "limits_around_estimate": (put("pooled_elsewhere", 2, ci_high=-0.6), ("pooled_elsewhere", 2, "ci_high")),
    "interval_is_symmetric": (put("pooled_elsewhere", 2, ci_high=0.2), ("pooled_elsewhere", 2, "ci_high")),
    "limits_in_pairs": (put("survival", 2, ci_low=None), ("survival", 2, "ci_low")),
    "contrast_says_something": (put("contrasts", 4, p_value_printed=""), ("contrasts", 4, "estimate")),
    "p_value_as_printed": (put("contrasts", 2, p_value=0.01), ("contrasts", 2, "p_value")),
    "ratio_above_zero": (put("contrasts", 3, ci_low=-0.3), ("contrasts", 3, "ci_low")),
    "measures_entered_once": (again("continuous", 5), ("continuous", 10, "source_id")),
    "control_names_comparator": (put("arms", 4, comparator=""), ("arms", 4, "comparator")),
    "cells_fit_role": (put("arms", 4, gets_cells="yes"), ("arms", 4, "gets_cells")),
    "part_of_an_arm": (put("arms", 3, part_of="sells"), ("arms", 3, "part_of")),
    "part_within_whole": (put("arms", 3, n_enrolled=21), ("arms", 3, "n_enrolled")),
    "analysed_at_most_enrolled": (put("arms", 5, n_analysed=16), ("arms", 5, "n_analysed")),
    "report_has_cohort": (put("cohorts", 3, study_id="gamma2022"), ("studies", 3, "study_id")),
    "cohort_arm_exists": (put("cohorts", 4, arm_id="al"), ("cohorts", 4, "arm_id")),
    "randomised_fits_design": (put("studies", 3, randomised="yes"), ("studies", 3, "randomised")),
    "report_entered_once": (put("studies", 3, doi="10.9999/alpha"), ("studies", 3, "doi")),
    "registry_numbers_have_form": (put("studies", 2, registry_id="NCT0000001"), ("studies", 2, "registry_id")),
    "source_speaks_of_report": (put("binary", 2, source_id="beta_abs"), ("binary", 2, "source_id")),
    "topic_has_source": (put("thresholds", 2, url="https://example.org/x"), ("thresholds", 2, "url")),
    "claims_exist": (put("topic_evidence", 2, claim_ids="share;sight"), ("topic_evidence", 2, "claim_ids")),
    "figure_fits_kind_of_claim": (put("claims", 2, value=130), ("claims", 2, "value")),
    "span_has_checksum": (put("claims", 2, span_sha256=""), ("claims", 2, "span_sha256")),
    "wanted_can_be_found": (put("wanted", 2, doi=""), ("wanted", 2, "doi")),
    "topic_estimate_in_limits": (put("topic_evidence", 2, estimate=0.3), ("topic_evidence", 2, "estimate")),
    "topic_precision_fits_interval": (put("topic_evidence", 2, ci_high=-0.1), ("topic_evidence", 2, "precision")),
    "document_has_checksum": (put("documents", 2, sha256=""), ("documents", 2, "sha256")),
    "anomaly_names_record": (put("anomalies", 2, record_id="alpha2002"), ("anomalies", 2, "record_id")),
    "step_can_be_set": (put("handling", 3, value="twenty"), ("handling", 3, "value")),
    "step_fits_anomaly": (put("handling", 3, study_id="beta2021"), ("handling", 3, "study_id")),
    "step_finds_rows": (put("handling", 3, months=11), ("handling", 3, "table")),
    "acceptance_fits_table": (put("accepted", 3, source_id="alpha_abs"), ("accepted", 3, "source_id")),
    "accepted_figure_stands": (put("continuous", 8, locator="abstract"), ("accepted", 2, "pointer")),
    "accepted_identifier_stands": (put("studies", 2, pmid="11111112"), ("accepted", 3, "value")),
    "accepted_once": (again("accepted", 2), ("accepted", 4, "pointer")),
    "address_can_be_cited": (put("sources", 2, url="https://copies.example/alpha"), ("sources", 2, "url")),
    "unscientific_source_is_not_cited": (put("sources", 6, url="https://example.org/spare"), ("sources", 6, "url")),
    "differing_readings_are_recorded": (put("binary", 6, read_twice="differs"), ("binary", 6, "read_twice")),
    "correction_names_anomaly": (put("corrections", 2, reason="a99: made up"), ("corrections", 2, "reason")),
    "benchmark_counts_fit": (put("benchmarks", 2, events_treated=21), ("benchmarks", 2, "events_treated")),
    "screening_reason_fits_decision": (put("screening", 2, reason="no_cells"), ("screening", 2, "reason")),
    "screening_reason_is_listed": (put("screening", 3, reason="too_dear"), ("screening", 3, "reason")),
    "screening_study_is_included": (put("screening", 3, study_id="beta2021"), ("screening", 3, "study_id")),
    "screening_agreed_once": (again("screening", 5), ("screening", 7, "final")),
    "screened_record_has_one_name": (put("screening", 6, also="pmid:12"), ("screening", 6, "identifier")),
    "search_counts_fit": (put("searches", 2, waiting=4), ("searches", 2, "records")),
    "screened_record_comes_from_a_search": (
        put("screening", 6, snapshot="20260102T000000Z"),
        ("screening", 6, "snapshot"),
    ),
}

#: rule -> what it must let pass although it is close to what it catches.
PASSED: dict[str, Edit] = {
    "events_at_most_n": put("binary", 2, events=18),
    "n_at_most_arm": put("continuous", 2, n=20),  # enrolled, though fewer were analysed
    "count_or_percent_given": put("binary", 4, events=None),
    "percent_agrees_with_count": put("binary", 2, percent_printed="33"),
    "percent_can_be_a_count": put("binary", 7, percent_printed="86.7"),
    "percent_equals_printed": put("binary", 6, percent=33.3),  # printed as 1/3
    "status_has_month": put("binary", 8, months=None),
    "definition_fits_outcome": put("binary", 5, definition_id="honeymoon"),  # composite_primary gathers several
    "curve_never_rises": put("survival", 3, percent=80),
    "counts_entered_once": both(again("binary", 2), put("binary", 9, source_id="review_sec")),
    "spread_fits_its_type": put("continuous", 4, dispersion_type="sd", dispersion_low=0.8),
    "spread_above_zero": put("continuous", 2, dispersion_low=0.1),
    "spread_is_plausible": put("continuous", 2, dispersion_low=2.8),
    "change_has_sign_of_levels": put("continuous", 4, n=12, center=0.1),  # a third is missing
    "count_agrees_with_median": both(MEDIAN, put("binary", 5, events=9)),
    "month_within_follow_up": put("binary", 3, months=12),
    "trial_entered_once": both(same_trial, put("cohorts", 3, cohort_id="alpha")),
    "spread_around_centre": put("continuous", 8, center=47),
    "median_without_sd": put("continuous", 8, dispersion_type="range"),
    "unit_is_tidied": put("continuous", 9, unit_printed="units/kg/day"),
    "unit_fits_outcome": put("continuous", 8, unit="%"),
    "level_is_possible": put("continuous", 2, center=15.0),
    "change_is_after_baseline": put("continuous", 4, months=1),
    "change_agrees_with_levels": put("continuous", 4, center=-0.95),  # 8.5 and 7.51 may be 0.055 off in all
    "limits_around_estimate": put("pooled_elsewhere", 2, ci_high=-0.5),
    "interval_is_symmetric": put("pooled_elsewhere", 2, ci_high=-0.19),
    "limits_in_pairs": put("survival", 2, ci_low=None, ci_high=None),
    "contrast_says_something": put("contrasts", 2, p_value=None, p_value_printed=""),
    "p_value_as_printed": put("contrasts", 3, p_value_printed="<0.01"),
    "ratio_above_zero": put("contrasts", 2, ci_low=-1.3),  # a difference may be below zero
    "measures_entered_once": both(again("continuous", 5), put("continuous", 10, months=6)),
    "control_names_comparator": put("arms", 4, comparator="sham"),
    "cells_fit_role": put("arms", 4, comparator="islets_other_regimen", gets_cells="yes"),
    "part_of_an_arm": put("arms", 3, part_of="placebo"),
    "part_within_whole": put("arms", 3, n_enrolled=20),
    "analysed_at_most_enrolled": put("arms", 6, n_enrolled=None, n_analysed=31),  # enrolled is not printed
    "report_has_cohort": put("cohorts", 3, cohort_id="another"),
    "cohort_arm_exists": put("cohorts", 4, arm_id=""),
    "randomised_fits_design": put("studies", 2, randomised=""),  # the sources disagree
    "report_entered_once": put("studies", 3, doi=""),
    "registry_numbers_have_form": put("studies", 2, registry_id="ChiCTR-ONC-10000985; IRCT2016070428786N1"),
    "source_speaks_of_report": put("binary", 2, source_id="beta_abs", locator="discussion of beta2021"),
    "topic_has_source": put("thresholds", 2, url="https://example.org/unused"),
    "claims_exist": put("topic_evidence", 2, claim_ids="treated"),
    "figure_fits_kind_of_claim": put("claims", 2, value=100),
    "span_has_checksum": put("claims", 2, quotation_span="", span_sha256=""),
    "wanted_can_be_found": put("wanted", 2, doi="", pmid="11111111"),
    "topic_estimate_in_limits": put("topic_evidence", 2, estimate=None),  # the source prints one for each arm
    "topic_precision_fits_interval": put("topic_evidence", 2, ci_low=0.1, role="context"),
    "document_has_checksum": put("documents", 2, sha256="", kind="web page"),
    "anomaly_names_record": put("anomalies", 2, record_id="review", table="pooled_elsewhere"),
    "step_can_be_set": put("handling", 3, value=""),  # sets to missing
    "step_fits_anomaly": put("handling", 3, study_id="beta2021", reason="holds patients of alpha2020"),
    "step_finds_rows": put("handling", 3, months=None),
    "acceptance_fits_table": put("accepted", 3, snapshot=""),  # no pull holds what a search for one report answered
    "accepted_figure_stands": put("continuous", 8, note="looked at again"),
    "accepted_identifier_stands": put("studies", 2, doi=""),  # another identifier of the same report
    "accepted_once": both(again("accepted", 2), put("accepted", 4, pointer="/resultsSection/1")),
    "address_can_be_cited": put("sources", 2, url="https://example.org/a ; https://other.example/copies.example"),
    "unscientific_source_is_not_cited": put("sources", 5, url=""),
    "differing_readings_are_recorded": put("binary", 2, read_twice="differs"),  # a01 is about this report
    "correction_names_anomaly": put("corrections", 3, reason="said in the notes"),
    "benchmark_counts_fit": put("benchmarks", 2, events_treated=20),
    "screening_reason_fits_decision": put("screening", 6, reason=""),  # unsure may be without one
    "screening_reason_is_listed": put("screening", 3, reason="same_patients"),
    "screening_study_is_included": put("screening", 2, study_id=""),  # not entered yet
    "screening_agreed_once": put("screening", 5, decision="exclude", reason="no_cells"),
    "screened_record_has_one_name": put("screening", 6, also="pmid:99"),
    "search_counts_fit": put("searches", 3, records=2, waiting=0),  # one was screened before, and not found again
    "screened_record_comes_from_a_search": put("screening", 6, snapshot="20260101T000000Z"),
}


def test_every_rule_has_something_to_catch_and_something_to_let_pass():
    assert set(CAUGHT) == set(PASSED) == set(ALL_RULES)
    assert len(ALL_RULES) == len(rules.RULES) + len(rules.CHECKED_ONLY)
    assert all(rule.__doc__ for rule in ALL_RULES.values())


def test_the_made_up_folder_holds_one_known_fault_and_no_other(folder):
    found = check.faults(folder)
    assert [(fault.row, fault.anomaly_id) for fault in found] == [(3, "a01")]


@pytest.mark.parametrize("name", CAUGHT)
def test_rule_catches(name, made_up):
    edit, place = CAUGHT[name]
    found = [(f.table, f.line, f.column) for f in findings(ALL_RULES[name](edit(made_up)))]
    before = [(f.table, f.line, f.column) for f in findings(ALL_RULES[name](made_up))]
    assert place in found
    assert place not in before


@pytest.mark.parametrize("name", CAUGHT)
def test_rule_is_applied_with_its_file_and_name(name, made_up):
    """Taking a rule out of the lists, or losing its place on the way, fails here."""
    edit, (table, line, column) = CAUGHT[name]
    schema = read_schema(made_up.folder)
    found = rules.faults(edit(made_up), schema, (*rules.RULES, *rules.CHECKED_ONLY))
    wanted = (schema.tables[table].path, line, column, name)
    assert wanted in [(f.file, f.row, f.column, f.rule) for f in found if not f.anomaly_id]


@pytest.mark.parametrize("name", PASSED)
def test_rule_lets_pass(name, made_up):
    known = list(findings(ALL_RULES[name](made_up)))
    assert list(findings(ALL_RULES[name](PASSED[name](made_up)))) == known


MORE = {
    "n_at_most_arm": [
        (put("binary", 2, n=21), ("binary", 2, "n")),
        (put("survival", 2, n_at_risk=16), ("survival", 2, "n_at_risk")),
    ],
    "spread_fits_its_type": [
        (put("continuous", 2, dispersion_high=2.0), ("continuous", 2, "dispersion_high")),
        (put("continuous", 8, dispersion_high=None), ("continuous", 8, "dispersion_high")),
        (put("continuous", 4, dispersion_low=0.5), ("continuous", 4, "dispersion_low")),
    ],
    "spread_above_zero": [(put("continuous", 2, dispersion_low=-1.0), ("continuous", 2, "dispersion_low"))],
    "spread_is_plausible": [  # a slipped decimal point, an SE entered as SD, an SD entered as SE
        (put("continuous", 2, dispersion_low=0.1), ("continuous", 2, "dispersion_low")),
        (put("continuous", 5, dispersion_low=0.2), ("continuous", 5, "dispersion_low")),
        (put("continuous", 6, dispersion_low=1.1), ("continuous", 6, "dispersion_low")),
    ],
    "change_has_sign_of_levels": [  # without an SD, two fifths of the level for each that is missing
        (
            both(
                *(put("continuous", line, dispersion_type="none", dispersion_low=None) for line in (2, 3)),
                put("continuous", 4, n=17, center=0.99),
            ),
            ("continuous", 4, "center"),
        ),
    ],
    "count_agrees_with_median": [
        (
            both(
                MEDIAN,
                put("continuous", 3, center=6.9),
                put("binary", 5, outcome="hba1c_lt_7", definition_id="hba1c_lt_7", events=8),
            ),
            ("binary", 5, "events"),
        ),
        (
            both(MEDIAN, put("continuous", 3, center=59, unit="mmol/mol"), put("binary", 5, events=10)),
            ("binary", 5, "events"),
        ),
        (both(MEDIAN, put("binary", 5, events=None, percent=60.0)), ("binary", 5, "percent")),
    ],
    "month_within_follow_up": [
        (put("binary", 2, months=52), ("binary", 2, "months")),
        (put("contrasts", 2, months=52), ("contrasts", 2, "months")),
    ],
    "percent_agrees_with_count": [(put("binary", 6, percent_printed="1/4"), ("binary", 6, "percent_printed"))],
    "percent_equals_printed": [
        (put("binary", 2, percent_printed=""), ("binary", 2, "percent")),
        (put("binary", 2, percent=None), ("binary", 2, "percent")),
    ],
    "change_is_after_baseline": [(put("continuous", 7, kind="level"), ("continuous", 7, "kind"))],
    "limits_around_estimate": [
        (put("survival", 2, ci_low=81), ("survival", 2, "ci_low")),
        (put("contrasts", 2, estimate=None, ci_low=0.4), ("contrasts", 2, "ci_low")),
    ],
    "control_names_comparator": [(put("arms", 2, comparator="placebo"), ("arms", 2, "comparator"))],
    "cells_fit_role": [
        (put("arms", 2, gets_cells="no"), ("arms", 2, "gets_cells")),
        (put("studies", 2, intervention_class="blood_passed_over_cells"), ("arms", 2, "gets_cells")),
    ],
    "part_of_an_arm": [
        (put("arms", 2, part_of="placebo"), ("arms", 3, "part_of")),
        (put("arms", 3, part_of="cells_high"), ("arms", 3, "part_of")),
    ],
    "report_entered_once": [
        (put("studies", 3, doi="https://doi.org/10.9999/ALPHA"), ("studies", 3, "doi")),
        (put("studies", 3, pmid="11111111"), ("studies", 3, "pmid")),
        (put("studies", 3, pmcid="PMC1111111"), ("studies", 3, "pmcid")),
    ],
    "figure_fits_kind_of_claim": [(put("claims", 3, value=51), ("claims", 3, "value"))],
    "topic_has_source": [(put("topic_evidence", 2, read_at="https://example.org/y"), ("topic_evidence", 2, "read_at"))],
    "span_has_checksum": [
        (put("claims", 2, quotation_span=""), ("claims", 2, "span_sha256")),
        (put("documents", 2, copy_exists="no"), ("claims", 2, "quotation_span")),
        (put("claims", 2, quotation_span="12-12"), ("claims", 2, "quotation_span")),
    ],
    "topic_precision_fits_interval": [
        # no effect is 1 for a ratio and 0 for a difference
        (put("topic_evidence", 2, measure="RR of something"), ("topic_evidence", 2, "precision"))
    ],
    "unit_fits_outcome": [(put("continuous", 2, unit="", unit_printed=""), ("continuous", 2, "unit"))],
    "unit_is_tidied": [(put("contrasts", 2, unit_printed="per cent"), ("contrasts", 2, "unit_printed"))],
    "step_can_be_set": [
        (put("handling", 3, column="patients"), ("handling", 3, "column")),
        (put("handling", 2, column="n"), ("handling", 2, "column")),
        (put("handling", 3, table="studies", column="design", value="rct"), ("handling", 3, "action")),
        (put("handling", 3, table="arms", column="role", value="control"), ("handling", 3, "action")),
    ],
    "address_can_be_cited": [
        (put("sources", 2, url="http://192.0.2.1/alpha"), ("sources", 2, "url")),
        (put("sources", 2, url="https://example.org/a ; https://example.org:8081/alpha"), ("sources", 2, "url")),
        (put("pooled_elsewhere", 2, source_url="https://copies.example/x"), ("pooled_elsewhere", 2, "source_url")),
        (put("benchmarks", 2, url="https://copies.example/x"), ("benchmarks", 2, "url")),
        (put("context", 2, url="https://copies.example/x"), ("context", 2, "url")),
        (put("context_sources", 2, url="https://copies.example/x"), ("context_sources", 2, "url")),
    ],
    "claims_exist": [(put("context", 2, claim_ids="none_such"), ("context", 2, "claim_ids"))],
    "unscientific_source_is_not_cited": [
        (put("context_sources", 2, kind="not_scientific"), ("context_sources", 2, "url")),
    ],
    "differing_readings_are_recorded": [
        (put("survival", 2, read_twice="differs"), ("survival", 2, "read_twice")),
        (put("pooled_elsewhere", 2, read_twice="differs"), ("pooled_elsewhere", 2, "read_twice")),
    ],
    "benchmark_counts_fit": [(put("benchmarks", 2, events_control=21), ("benchmarks", 2, "events_control"))],
    "counts_entered_once": [(again("survival", 2), ("survival", 4, "source_id"))],
    "measures_entered_once": [(again("contrasts", 2), ("contrasts", 5, "source_id"))],
    "source_speaks_of_report": [(put("continuous", 2, source_id="gamma_abs"), ("continuous", 2, "source_id"))],
}


@pytest.mark.parametrize(("name", "case"), [(name, case) for name, cases in MORE.items() for case in cases])
def test_rule_catches_its_other_half(name, case, made_up):
    edit, place = case
    found = [(f.table, f.line, f.column) for f in findings(ALL_RULES[name](edit(made_up)))]
    assert place in found


@pytest.mark.parametrize(
    ("edit", "rule"),
    [
        # a median of 7.0 may be 6.95: nothing is sure
        (both(MEDIAN, put("continuous", 3, center=7.0), put("binary", 5, events=18)), "count_agrees_with_median"),
        # patients without the second value may have been counted as failures
        (both(MEDIAN, put("continuous", 3, center=6.9, n=None), put("binary", 5, outcome="hba1c_lt_7",
              definition_id="hba1c_lt_7", events=4)), "count_agrees_with_median"),
        # another month, and an outcome that asks for more than the threshold
        (both(MEDIAN, put("binary", 5, months=6, events=18)), "count_agrees_with_median"),
        (both(MEDIAN, put("continuous", 3, center=6.0), put("binary", 5, events=0)), "count_agrees_with_median"),
        # four patients can have an SD that forty cannot
        (put("continuous", 2, dispersion_low=0.15, n=4), "spread_is_plausible"),
        (put("studies", 2, follow_up_months=None), "month_within_follow_up"),
        (put("studies", 3, title="A made-up trial"), "trial_entered_once"),
    ],
    ids=lambda value: value if isinstance(value, str) else "edit",
)  # fmt: skip
def test_what_is_not_sure_is_no_fault(edit, rule, made_up):
    assert list(findings(ALL_RULES[rule](edit(made_up)))) == []


def test_a_rule_of_every_row_says_why_it_does_not_apply(made_up):
    said = {one.line: one.why_not for one in ALL_RULES["change_agrees_with_levels"](made_up)}
    assert said == {4: "", 7: "no difference of means: a relative change or a median"}
    apart = put("continuous", 4, n=17)(made_up)
    (one, _) = ALL_RULES["change_agrees_with_levels"](apart)
    assert one.why_not == "change and levels are of different patients"
    (one, _) = ALL_RULES["change_has_sign_of_levels"](apart)
    assert (one.why_not, one.finding) == ("", None)


@pytest.mark.parametrize(
    ("edit", "rule", "words"),
    [
        (put("contrasts", 2, unit_printed=""), "unit_is_tidied", ("nothing, as unit_printed is empty", "%")),
        (put("continuous", 9, unit="U/day"), "unit_is_tidied", ("U/kg/day, as unit_printed is 'IU/kg/day'", "U/day")),
        (put("contrasts", 2, p_value_printed=""), "p_value_as_printed",
         ("the P value as printed, as p_value is 0.001", "nothing")),
        (put("contrasts", 3, p_value=0.05), "p_value_as_printed", ("nothing, as p_value_printed is '<0.05'", "0.05")),
        (put("binary", 2, percent_printed=""), "percent_equals_printed",
         ("nothing, as percent_printed is empty", "33.3")),
    ],
)  # fmt: skip
def test_a_message_about_an_empty_cell_says_which_cell_is_empty(edit, rule, words, made_up):
    (found,) = findings(ALL_RULES[rule](edit(made_up)))
    assert (found.expected, found.found) == words


def test_an_anomaly_excuses_only_the_figure_that_it_quotes(made_up):
    other = put("binary", 3, percent_printed="41", percent=41.0)(made_up)
    schema = read_schema(made_up.folder)
    assert [f.anomaly_id for f in rules.faults(made_up, schema)] == ["a01"]
    assert [f.anomaly_id for f in rules.faults(other, schema)] == [""]


@pytest.mark.parametrize(
    "cells", [{"record_id": "beta2021"}, {"outcome": "death"}, {"kind": "overlap"}], ids=lambda cells: next(iter(cells))
)
def test_an_anomaly_of_another_report_outcome_or_kind_excuses_nothing(made_up, cells):
    found = rules.faults(put("anomalies", 2, **cells)(made_up), read_schema(made_up.folder), ALL_RULES.values())
    assert "" in [f.anomaly_id for f in found if f.rule == "percent_agrees_with_count"]


def test_reports_of_one_cohort_share_it_and_others_do_not(made_up):
    first, second, other = (("alpha2020", "cells"), ("beta2021", "all"), ("gamma2022", "all"))
    assert cohorts_of(made_up, second) & cohorts_of(made_up, other) == {"centre"}
    assert not cohorts_of(made_up, first) & cohorts_of(made_up, second)
    assert not cohorts_of(made_up, second) & cohorts_of(made_up, ("gamma2022", "pancreas"))
    assert cohorts_of(made_up, second) & cohorts_of(made_up, ("gamma2022", ""))  # the whole report has that arm


def test_the_committed_data_hold_no_fault_that_is_not_known():
    unknown = [str(fault) for fault in check.faults(REPOSITORY / "data") if not fault.anomaly_id]
    assert unknown == []


#: Anomalies of the evidence whose fault a rule can see in the figures themselves.
SEEN = "a01 a05 a06 a14 a38 a39 a46 a50 a51".split()


def test_the_recorded_anomalies_that_can_be_computed_are_found():
    found = {fault.anomaly_id for fault in check.faults(REPOSITORY / "data")}
    assert set(SEEN) <= found


def test_report_prints_every_part_of_a_fault_and_fails(folder):
    path = folder / "published" / "binary.csv"
    path.write_text(path.read_text().replace("first_infusion,6,18,33.3,33.3", "first_infusion,19,18,33.3,33.3"))
    text, status = check.report(folder)
    assert status == 1
    block = text.split("\n\n")[0].splitlines()
    assert block[0] == "published/binary.csv, row 2, column events"
    assert [line.split(maxsplit=1)[0] for line in block[1:]] == ["expected", "found", "rule"]
    assert "at most n = 18" in block[1] and block[2].endswith("19") and block[3].endswith("events_at_most_n")
    assert "Not listed: 1 known fault of the sources" in text
    assert text.splitlines()[-1].endswith("2 faults, 1 known of the sources.")


def test_report_of_good_data_counts_what_is_no_fault_to_mend_in_one_line(folder):
    text, status = check.report(folder)
    assert status == 0
    line = (
        "Not listed: 1 known fault of the sources and 2 sources without a value (`cellclaims check --all` lists them)."
    )
    assert text.split("\n\n")[0] == line
    assert text.splitlines()[-1].endswith("0 faults, 1 known of the sources.")
    assert len(text.splitlines()) == 3


def test_all_lists_known_faults_and_unused_sources(folder):
    text, status = check.report(folder, everything=True)
    assert status == 0
    assert "a01  published/binary.csv, row 3, column percent_printed: expected 38.89 percent" in text
    assert "Sources of published/sources.csv that no figure comes from, 1 (no fault): never_used" in text
    assert "Sources of topics/sources.csv that no figure comes from, 1 (no fault): ce003" in text
    assert "Not listed" not in text


def test_report_of_a_folder_without_declarations_is_one_line(tmp_path):
    text, status = check.report(tmp_path)
    assert status == 1
    assert text.startswith("datapackage.json: expected JSON that declares the tables, found nothing")
    assert len(text.splitlines()) == 1


@pytest.mark.parametrize("reads", [check.report, load_evidence, protocol.load])
def test_a_folder_that_is_not_there_is_named(tmp_path, reads):
    told = f"{tmp_path / 'nowhere'}: expected a data folder, found no such folder"
    if reads is check.report:
        assert reads(tmp_path / "nowhere") == (f"{told}\n", 1)
    else:
        with pytest.raises(ReviewError, match=re.escape(told)):
            reads(tmp_path / "nowhere")


def test_the_faults_of_the_protocol_are_reported_with_those_of_the_tables(folder):
    path = folder / "protocol.yml"
    path.write_text(path.read_text().replace("months: 12, window: 3}", "months: 12, windwo: 3}", 1))
    text, status = check.report(folder)
    assert status == 1
    assert re.match(
        r"\S*protocol\.yml, line \d+, key outcomes\.\w+\.windwo\n    expected  .*\(did you mean 'window'\?\)", text
    )
    path.unlink()
    assert "expected  a YAML file\n    found     no such file" in check.report(folder)[0]


@pytest.mark.parametrize(
    ("edit", "place", "expected", "found"),
    [
        (lambda b: b.replace(b",", b";"), "published/arms.csv, row 1", "cells separated by commas",
         "semicolons: save the file as CSV with commas"),
        (lambda b: b.replace(b",", b"\t"), "published/arms.csv, row 1", "cells separated by commas",
         "tabs: save the file as CSV with commas"),
        (lambda b: b.replace(b"made up", "gemacht für".encode("latin-1"), 1), "published/arms.csv, row 2", "UTF-8 text",
         "byte 0xfc: save the file as UTF-8"),
    ],
    ids=["semicolons", "tabs", "Latin-1"],
)  # fmt: skip
def test_a_file_in_another_form_is_one_fault(folder, edit, place, expected, found):
    """Tables that name the rows of that file are not reported for it."""
    path = folder / "published" / "arms.csv"
    path.write_bytes(edit(path.read_bytes()))
    blocks = [block for block in check.report(folder)[0].split("\n\n") if "    expected" in block]
    assert len(blocks) == 1, blocks
    first, said, what, _ = blocks[0].splitlines()
    assert (first, said.split(maxsplit=1)[1], what.split(maxsplit=1)[1]) == (place, expected, found)


def test_frictionless_and_the_quick_reader_agree_on_what_is_wrong(folder):
    """Two independent readers: a fault that one names in a cell, the other names in the same row."""
    path = folder / "published" / "binary.csv"
    text = path.read_text()
    path.write_text(text.replace("at_month,12,first_infusion,6,", "sometimes,12,first_infusion,six,"))
    ours = {(f.file, f.row, f.column) for f in check.faults(folder)}
    theirs = {(f.file, f.row, f.column) for f in check._by_frictionless(folder)}
    assert ours == theirs == {("published/binary.csv", 2, "timing"), ("published/binary.csv", 2, "events")}


# --- what is wanted ------------------------------------------------------------------------------------------------


def test_what_is_wanted_is_listed_with_the_most_wanted_first_and_a_number_to_find_it_by(made_up):
    rows = check.wanted(made_up)
    assert list(rows.priority) == ["high", "low"]
    assert list(rows["found by"]) == ["NCT00000002", "10.9999/alpha"]
    assert list(rows.year) == ["", "2020"]


@pytest.mark.parametrize("kind", ["md", "csv", "json"])
def test_the_command_lists_what_is_wanted_and_checks_nothing_then(folder, kind):
    result = CliRunner().invoke(main, ["check", "--data", str(folder), "--wanted", "--format", kind])
    assert result.exit_code == 0
    assert "10.9999/alpha" in result.stdout and "faults" not in result.stdout
    if kind == "json":
        assert [row["priority"] for row in json.loads(result.stdout)] == ["high", "low"]
    if kind == "csv":
        assert list(csv.reader(result.stdout.splitlines()))[1][1] == "'=a made-up trial", "no formula for a spreadsheet"


def test_a_format_without_a_list_is_refused(folder):
    result = CliRunner().invoke(main, ["check", "--data", str(folder), "--format", "csv"])
    assert result.exit_code == 2
    assert "expected together with --wanted" in result.output


def test_every_kind_of_source_has_its_class_and_one_class_alone_feeds_no_pool():
    kinds = next(c for c in read_schema(REPOSITORY / "data").tables["sources"].columns if c.name == "kind").enum
    assert set(SOURCE_CLASS) == set(kinds)
    assert [kind for kind, name in SOURCE_CLASS.items() if name == "not scientific"] == [NOT_SCIENTIFIC]


def test_no_link_of_a_figure_leads_to_a_copy_or_a_bare_number():
    """Whatever is shown as a link: of a report by its own identifier, else by the citable address of its source."""
    evidence = load_evidence(REPOSITORY / "data")
    shown = {
        link(evidence, study, source)
        for table in FIGURES
        for study, source in set(
            zip(getattr(evidence, table).study_id, getattr(evidence, table).source_id, strict=True)
        )
    }
    hosts = {re.sub(r"^https?://", "", address).partition("/")[0] for address in shown if address}
    assert len(hosts) > 5
    assert not hosts & set(evidence.copy_hosts.host)
    assert not [host for host in hosts if re.fullmatch(r"[0-9.:]+", host) or ":" in host]
    assert {"47.251.13.51", "discovery.researcher.life"} <= {
        re.sub(r"^https?://", "", read).partition("/")[0].partition(":")[0]
        for read in [*evidence.sources.read_at.str.split(" ").str[0], *evidence.pooled_elsewhere.read_at]
    }, "the rule has something to do: such pages were read"
