"""Doubted figures: every anomaly has a handling, every handling finds its rows, and does there what it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from cellclaims import anomalies
from cellclaims.anomalies import handled, joined
from cellclaims.errors import ProtocolError
from cellclaims.evidence.rules_reports import ABOUT_THE_STEP, rows_meant
from cellclaims.overview import durability
from cellclaims.pool import pooled
from cellclaims.question import Analysis
from cellclaims.selection import NEVER_POOLED, Question, benchmarks

from .made_up_trials import MadeUp, real, rules

STEPS = real().handling
ISLETS = Question("insulin_independence", ("T1D",), "islets")
IDS = list(STEPS.handling_id)


def step(handling_id):
    return STEPS[STEPS.handling_id == handling_id].iloc[0]


def doubted(**steps):
    """Two made-up reports with a count each, and the steps that are given for the first one."""
    made = MadeUp()
    for name in ("doubted2020", "sound2020"):
        made.study(name).arm(name).count(name, 3, 14)
    for anomaly_id, parts in steps.items():
        for part in parts:
            made.handle(anomaly_id, study_id="doubted2020", **part)
    return made.evidence()


# --- the recorded handling is complete ---------------------------------------------------------------------------


def figures_of(record, outcome):
    """Rows of a report or review that an anomaly about this outcome could mean."""
    tables = (real().continuous, real().binary, real().survival, real().contrasts)
    return sum(((t.study_id == record) & (t.outcome == outcome)).sum() for t in tables)


def test_every_anomaly_has_a_handling_unless_its_figure_was_never_entered():
    anomalies = real().anomalies
    silent = anomalies[~anomalies.anomaly_id.isin(STEPS.anomaly_id)]
    entered = [a.anomaly_id for a in silent.itertuples() if figures_of(a.record_id, a.outcome)]
    assert entered == []
    assert set(silent.anomaly_id) == {"a36", "a37", "a86"}  # labels that contradict each other; events per infusion


def test_every_handling_belongs_to_an_anomaly_and_every_alternative_to_a_primary_handling():
    assert set(STEPS.anomaly_id) <= set(real().anomalies.anomaly_id)
    variants = STEPS.groupby("anomaly_id").variant.agg(set)
    assert all("primary" in found for found in variants)
    assert set().union(*variants) == {"primary", "alternative"}


@pytest.mark.parametrize("handling_id", IDS)
def test_a_handling_selects_rows_and_does_there_what_it_says(handling_id):
    one = step(handling_id)
    printed = getattr(real(), one.table)
    meant = rows_meant(one.table, printed, one)
    assert meant.any(), "a handling that finds no row does nothing"
    rows = handled(real(), one.table, [one.anomaly_id] if one.variant == "alternative" else [])
    words = f"{one.anomaly_id}: {one.reason}"
    if one.action == "leave_out":
        assert (rows.loc[meant, "leave"] == words).all()
    else:
        assert rows.loc[meant, "flag"].str.contains(words, regex=False).all()
    if one.action == "set":
        is_number = pd.api.types.is_numeric_dtype(rows[one.column])
        assert (rows.loc[meant, one.column] == (float(one.value) if is_number else one.value)).all()


@pytest.mark.parametrize("anomaly_id", sorted(set(STEPS.anomaly_id[STEPS.variant == "alternative"])))
def test_an_alternative_stands_in_for_the_primary_handling(anomaly_id):
    """Every step of the primary handling is undone, unless another anomaly does the same."""
    mine = STEPS[STEPS.anomaly_id == anomaly_id]
    for table in set(mine.table):
        primary, other = handled(real(), table), handled(real(), table, [anomaly_id])
        for one in mine[(mine.table == table) & (mine.variant == "primary")].itertuples():
            words = f"{anomaly_id}: {one.reason}"
            again = {s.reason for s in mine[(mine.table == table) & (mine.variant != "primary")].itertuples()}
            assert _says(primary, words)
            assert not _says(other, words) or one.reason in again
        assert not primary.equals(other)


def _says(rows, words):
    return rows.flag.str.contains(words, regex=False).any() or rows.leave.str.contains(words, regex=False).any()


def test_rows_that_no_handling_means_stay_as_they_are():
    for table in ("binary", "continuous", "contrasts"):
        printed, rows = getattr(real(), table), handled(real(), table)
        mine = STEPS[STEPS.table.isin([table, "studies", "arms"]) & (STEPS.variant == "primary")]
        meant = np.logical_or.reduce([rows_meant(table, printed, one).to_numpy() for _, one in mine.iterrows()])
        pd.testing.assert_frame_equal(rows.loc[~meant, printed.columns], printed[~meant])
        other = rows.source_id.isin(real().sources.source_id[real().sources.kind == "not_scientific"]).to_numpy()
        assert (rows.loc[~meant & ~other, ["flag", "leave"]] == "").all(axis=None)


# --- what each action does ---------------------------------------------------------------------------------------


def test_a_row_is_left_out_with_the_anomaly_and_its_reason():
    rows = handled(doubted(a01=[{"action": "leave_out", "reason": "not their patients"}]), "binary")
    assert list(rows.leave) == ["a01: not their patients", ""]
    assert list(rows.flag) == ["", ""]


def test_a_row_is_flagged_and_used_as_it_is():
    rows = handled(doubted(a01=[{"action": "flag", "reason": "odd"}]), "binary")
    assert list(rows.flag) == ["a01: odd", ""] and list(rows.leave) == ["", ""]
    assert list(rows.n) == [14, 14]


def test_a_figure_is_set_and_the_printed_one_named():
    evidence = doubted(a01=[{"action": "set", "column": "n", "value": "16", "reason": "16 enrolled"}])
    rows = handled(evidence, "binary")
    assert list(rows.n) == [16, 14]
    assert rows.flag.iloc[0] == "a01: 16 enrolled (reported: 14)"


def test_a_word_is_set_as_a_word():
    evidence = doubted(a01=[{"action": "set", "column": "timing", "value": "ever"}])
    rows = handled(evidence, "binary")
    assert list(rows.timing) == ["ever", "at_month"]
    assert "(reported: at_month)" in rows.flag.iloc[0]


def test_the_table_itself_is_not_touched():
    evidence = doubted(a01=[{"action": "set", "column": "n", "value": "16"}, {"action": "leave_out"}])
    handled(evidence, "binary")
    assert list(evidence.binary.n) == [14, 14]
    assert not {"flag", "leave"} & set(evidence.binary.columns)


def test_two_anomalies_of_one_row_are_both_named():
    evidence = doubted(a01=[{"action": "flag", "reason": "one"}], a02=[{"action": "flag", "reason": "two"}])
    assert handled(evidence, "binary").flag.iloc[0] == "a01: one; a02: two"


def test_a_step_touches_only_the_rows_that_every_selector_means():
    made = MadeUp().study("two2020").arm("two2020")
    made.count("two2020", 3, 10, months=12).count("two2020", 2, 10, months=24)
    made.handle("a01", "leave_out", study_id="two2020", months=24.0)
    assert list(handled(made.evidence(), "binary").leave != "") == [False, True]


def test_every_column_that_is_not_about_the_step_selects():
    assert set(STEPS.columns) - ABOUT_THE_STEP >= {"study_id", "arm_id", "outcome", "definition_id", "timing", "months"}


# --- a doubt about a whole report or arm -------------------------------------------------------------------------


def two_trials() -> MadeUp:
    """Two made-up trials with levels in both arms (rows 0 and 1 of the first) and a difference between them."""
    made = MadeUp()
    for report in ("one2020", "two2020"):
        made.trial(report).level(report, 7.0, "cells").level(report, 7.5, "sham").contrast(report)
    return made


@pytest.mark.parametrize(
    ("whole", "arm_id", "levels"), [("studies", "", [0, 1]), ("arms", "cells", [0]), ("arms", "sham", [1])]
)
@pytest.mark.parametrize(("action", "column"), [("flag", "flag"), ("leave_out", "leave")])
def test_a_doubt_about_a_report_or_arm_is_one_about_each_of_its_figures(whole, arm_id, levels, action, column):
    made = two_trials().handle("a01", action, table=whole, reason="why", study_id="one2020", arm_id=arm_id)
    for table, places in {"continuous": levels, "contrasts": [0]}.items():
        rows = handled(made.evidence(), table)
        assert [i for i, words in enumerate(rows[column]) if words == "a01: why"] == places, table
        assert set(rows[column]) == {"", "a01: why"}


def test_what_is_said_of_a_row_stands_before_what_is_said_of_its_report():
    made = MadeUp().study("one2020").arm("one2020").count("one2020", 3, 14)
    made.handle("a01", "flag", table="studies", study_id="one2020", reason="two papers")
    made.handle("a02", "flag", study_id="one2020", reason="odd")
    assert list(handled(made.evidence(), "binary").flag) == ["a02: odd; a01: two papers"]


def test_a_report_that_is_left_out_leaves_every_pool_with_its_reason():
    made = two_trials().handle("a01", "leave_out", table="studies", study_id="one2020", reason="withdrawn")
    question = Question(outcome="hba1c", population=("T2D",), product="msc", months=12.0)
    pool = pooled(made.base(), question.named("made_up", "Made up"), Analysis("MD"))
    assert set(pool.rows.study_id) == {"two2020"}
    left = pool.left_out[pool.left_out.study_id == "one2020"]
    assert list(left.reason) == ["a01: withdrawn"] * 3, "two levels and a difference"


@pytest.mark.parametrize("table", ["survival", "studies"])
def test_a_curve_that_is_left_out_does_not_stand_beside_the_pool(table):
    made = MadeUp().study("curve2020").arm("curve2020")
    row = {"outcome": "insulin_independence", "months": 12.0, "percent": 50.0, "source_id": "s_curve2020"}
    made.add("survival", study_id="curve2020", arm_id="all", **row)
    question = Question(outcome="insulin_independence", population=("T1D",), product="islets", months=12.0)
    assert list(durability(made.base(), question).percent) == [50.0]
    made.handle("a01", "leave_out", table=table, study_id="curve2020")
    assert durability(made.base(), question).empty


def test_a_registry_that_is_left_out_is_no_benchmark():
    made = MadeUp().study("registry2020", design="registry").arm("registry2020").count("registry2020", 3, 14)
    question = Question(outcome="insulin_independence", population=("T1D",), product="islets", months=12.0)
    assert len(benchmarks(made.base(), question)) == 1
    made.handle("a01", "leave_out", study_id="registry2020")
    assert benchmarks(made.base(), question).empty


# --- primary and alternative -------------------------------------------------------------------------------------

BOTH = {
    "a01": [
        {"action": "set", "column": "n", "value": "16", "reason": "enrolled"},
        {"action": "flag", "variant": "alternative", "reason": "as printed"},
    ],
    "a02": [{"action": "flag", "reason": "other"}],
}


def test_by_default_the_primary_handling_is_used_alone():
    rows = handled(doubted(**BOTH), "binary")
    assert rows.n.iloc[0] == 16
    assert "as printed" not in rows.flag.iloc[0]


def test_an_alternative_replaces_its_own_anomaly_and_no_other():
    rows = handled(doubted(**BOTH), "binary", ["a01"])
    assert rows.n.iloc[0] == 14
    assert rows.flag.iloc[0] == "a01: as printed; a02: other"


@pytest.mark.parametrize("unknown", ["a99", "a02", ""])
def test_an_alternative_that_no_anomaly_has_is_refused(unknown):
    with pytest.raises(ProtocolError, match=f"expected alternatives among a01; found {unknown}"):
        handled(doubted(**BOTH), "binary", ["a01", unknown])


# --- words -------------------------------------------------------------------------------------------------------


def test_flags_are_joined_once_each():
    assert joined("one", "", "two", "one") == "one; two"
    assert joined("one", "two; one; three") == "one; two; three"
    assert joined() == joined("", "") == ""


def test_handling_applies_to_the_tables_that_it_names():
    assert set(STEPS.table) <= {"binary", "continuous", "contrasts", "studies", "pooled_elsewhere"}
    curves = handled(real(), "survival")
    whole = set(STEPS.study_id[(STEPS.table == "studies") & (STEPS.action == "leave_out")])
    left = curves[~curves.leave.isin(["", "source is not scientific"])]
    assert set(left.study_id) <= whole


# --- sources that are not scientific -----------------------------------------------------------------------------


def clinic_and_paper():
    """A count from a clinic's page and one from a paper, in the same population."""
    made = MadeUp().study("page2020", source="not_scientific").arm("page2020").count("page2020", 9, 10)
    return made.study("paper2020").arm("paper2020").count("paper2020", 3, 10).base()


def test_a_figure_from_a_source_that_is_not_scientific_leaves_with_that_reason():
    pool = pooled(clinic_and_paper(), ISLETS.named("made_up", "Made up"), Analysis("PLO"))
    assert list(pool.rows.study_id) == ["paper2020"]
    assert dict(zip(pool.left_out.study_id, pool.left_out.reason, strict=True)) == {"page2020": anomalies.NO_SCIENCE}


def test_a_sensitivity_analysis_can_use_it_and_says_so():
    question = replace(ISLETS, alternative=("not_scientific",))
    pool = pooled(clinic_and_paper(), question.named("made_up", "Made up"), Analysis("PLO"))
    notes = pool.rows.set_index("study_id").note
    assert set(notes.index) == {"page2020", "paper2020"}
    assert anomalies.NO_SCIENCE in notes["page2020"] and anomalies.NO_SCIENCE not in notes["paper2020"]


@pytest.mark.parametrize("table", ["continuous", "contrasts", "survival"])
def test_so_does_every_other_figure(table):
    made = MadeUp().study("page2020", source="not_scientific").add(table, study_id="page2020", source_id="s_page2020")
    made = made.study("paper2020").add(table, study_id="paper2020", source_id="s_paper2020")
    assert list(handled(made.evidence(), table).leave) == [anomalies.NO_SCIENCE, ""]


def test_no_pool_of_the_repository_has_a_row_from_a_source_that_is_not_scientific():
    other = set(real().sources.source_id[real().sources.kind == "not_scientific"])
    assert other & set(real().binary.source_id)
    for table in ("binary", "continuous", "contrasts", "survival"):
        rows = handled(real(), table)
        assert (rows.leave[rows.source_id.isin(other)] != "").all()


# --- what is shown and never pooled ------------------------------------------------------------------------------


def test_what_its_definition_forbids_to_pool_is_never_pooled():
    made = MadeUp().study("one2020").arm("one2020").count("one2020", 3, 10)
    assert len(pooled(made.base(), ISLETS.named("made_up", "Made up"), Analysis("PLO")).rows) == 1
    made = made.add("definitions", definition_id="insulin_independence", kind="named event", pooled="no")
    pool = pooled(made.base(), ISLETS.named("made_up", "Made up"), Analysis("PLO"))
    assert pool.rows.empty
    assert list(pool.left_out.reason) == [NEVER_POOLED]


def test_severe_related_and_named_events_are_declared_as_never_pooled_and_harms_as_poolable():
    pooled = real().definitions.set_index("definition_id").pooled
    never = "fever hypoglycaemia_any neutropenia leukopenia mouth_ulcer renal_decline retinal_event".split()
    never += ["serious_adverse_event_related", "severe_adverse_event", "specific_adverse_event"]
    harms = "death serious_adverse_event adverse_event procedure_reaction bleeding portal_thrombosis".split()
    harms += "serious_infection malignancy severe_hypoglycaemia tumour_or_ectopic_tissue graft_failure".split()
    assert set(pooled[never]) == {"no"} and set(pooled[harms]) == {"yes"}
    named = real().definitions[real().definitions.kind == "named event"]
    assert set(named.pooled) == {"no"}


def test_a_report_in_which_blood_was_passed_over_cells_is_in_no_pool_of_cells():
    theirs = set(real().studies.study_id[real().studies.intervention_class == "blood_passed_over_cells"])
    assert theirs == {"zhao2012", "zhao2013", "delgado2015"}
    for product in rules()["eligibility"]["products"]:
        assert "blood_passed_over_cells" not in rules().classes(product)
