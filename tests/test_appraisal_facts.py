"""Facts of design, recorded judgements and missing results: signs that follow from the data and from nothing else."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from cellclaims.appraisal import (
    DOMAINS,
    FACTS,
    STATES,
    agreement,
    design_facts,
    judged_domains,
    missing_results,
    overall,
)
from cellclaims.appraisal.design_facts import FIGURES, NO_FIGURE, NO_REPORT, POOLED
from cellclaims.errors import DataError
from cellclaims.protocol import Protocol
from cellclaims.selection import EvidenceBase

from .made_up_trials import DATA, MadeUp, base, real, rules


def fact(made: MadeUp, name: str) -> tuple[str, str]:
    """Sign and words of one fact of the made-up report ``one``."""
    return tuple(design_facts(made.base(), ["one"], in_words=words)[name]["one"] for words in (False, True))


@pytest.mark.parametrize(("cell", "sign"), [("yes", "+"), ("no", "-"), ("", "?")])
def test_randomised(cell, sign):
    assert fact(MadeUp().study("one", randomised=cell), "randomised")[0] == sign


@pytest.mark.parametrize(("cell", "sign"), [("double", "+"), ("single", "?"), ("open", "-"), ("", "?")])
def test_blinded(cell, sign):
    assert fact(MadeUp().study("one", blinding=cell), "blinded")[0] == sign


@pytest.mark.parametrize(
    ("comparator", "sign", "words"),
    [("sham", "+", "sham"), ("pancreas_transplant", "-", "pancreas transplant"), ("", "-", "no control arm")],
)
def test_untreated_control(comparator, sign, words):
    made = MadeUp().study("one").arm("one", "cells").arm("one", "other", comparator)
    assert fact(made, "untreated control") == (sign, words)


def test_a_control_arm_that_got_cells_is_no_untreated_control():
    made = MadeUp().study("one").arm("one", "cells").arm("one", "other", "placebo", gets_cells="yes")
    assert fact(made, "untreated control")[0] == "-"


def record(made: MadeUp, **cells) -> MadeUp:
    return made.add("registrations", registry_id="NCT00000001", study_id="one", seen_on="2026-01-01", **cells)


@pytest.mark.parametrize(("posted", "sign"), [("yes", "+"), ("no", "-"), ("", "?")])
def test_results_posted(posted, sign):
    made = MadeUp().study("one", registry_id="NCT00000001")
    assert fact(record(made, results_posted=posted), "results posted")[0] == sign


def test_a_trial_without_a_number_is_not_said_to_be_unregistered_and_has_nothing_to_post():
    assert fact(MadeUp().study("one"), "registered") == ("?", "no number seen")
    assert fact(MadeUp().study("one"), "results posted")[0] == ""
    assert fact(MadeUp().study("one", registry_id="NCT00000001"), "results posted") == ("?", "record not read")


@pytest.mark.parametrize(("status", "sign"), [("completed", "+"), ("terminated", "-"), ("withdrawn", "-"), ("", "?")])
def test_run_to_its_end(status, sign):
    made = record(MadeUp().study("one"), status=status, planned=48.0, enrolled=29.0)
    assert fact(made, "run to its end")[0] == sign


def test_a_recorded_early_stop_counts_without_a_registration():
    made = MadeUp().study("one").add("anomalies", anomaly_id="a01", record_id="one", kind="stopped_early")
    assert fact(made, "run to its end") == ("-", "stopped early")


@pytest.mark.parametrize(("analysed", "sign"), [(20, "+"), (16, "+"), (15, "-"), (np.nan, "?")])
def test_few_lost_by_the_share_of_the_protocol(analysed, sign):
    made = MadeUp().study("one").arm("one", "cells", n=20, n_analysed=analysed)
    assert fact(made, "few lost")[0] == sign
    strict = Protocol({**rules().content, "certainty": {**rules()["certainty"], "losses": 0.0}})
    if analysed == 16:
        assert design_facts(EvidenceBase(made.evidence(), strict), ["one"])["few lost"]["one"] == "-"


def test_a_part_of_an_arm_is_not_counted_twice():
    made = (
        MadeUp()
        .study("one")
        .arm("one", "all", n=20, n_analysed=20)
        .arm("one", "half", n=10, n_analysed=2, part_of="all")
    )
    assert fact(made, "few lost") == ("+", "20 of 20 analysed")


def test_patients_of_its_own():
    made = MadeUp().study("one", cohorts=("shared",)).study("two", cohorts=("own",))
    assert fact(made, "patients of its own")[0] == "+"
    assert fact(made.study("three", cohorts=("shared",)), "patients of its own") == ("-", "shared with three")
    registry = MadeUp().study("one", cohorts=("shared",)).study("all", design="registry", cohorts=("shared",))
    assert fact(registry, "patients of its own")[0] == "+"
    probable = MadeUp().study("one", cohorts=()).study("two", cohorts=("shared",))
    probable.add("cohorts", study_id="one", cohort_id="shared", share="probable")
    assert fact(probable, "patients of its own") == ("?", "probably shared with two")


def test_every_report_of_the_evidence_has_every_fact_and_a_known_sign():
    facts = design_facts(base(), real().studies.study_id)
    assert list(facts.columns) == list(FACTS)
    assert len(facts) == len(real().studies)
    assert set(facts.to_numpy().ravel()) <= {"+", "-", "?", ""}
    words = design_facts(base(), real().studies.study_id, in_words=True)
    assert (words != "").all().all()


def test_known_facts_of_known_reports():
    facts = design_facts(base(), ["zang2022", "perico2023", "skyler2015"])
    assert list(facts.loc["zang2022", ["randomised", "blinded", "untreated control", "results posted"]]) == list("+++-")
    assert facts.loc["perico2023", "run to its end"] == "-"
    assert facts.loc["skyler2015", "run to its end"] == "+"


# --- judgements ---------------------------------------------------------------------------------------------------


def judgement(made: MadeUp, domain: str, word: str, tool: str = "RoB 2", **more: str) -> MadeUp:
    number = f"j{len(made.rows['judgements']):03d}"
    known = {"study_id": "one", "reviewer": "Invented A", "date": "2026-01-02", "support": "made up"}
    return made.add("judgements", judgement_id=number, domain=domain, judgement=word, tool=tool, **known | more)


def all_domains(tool: str, words: dict[str, str]) -> pd.DataFrame:
    made = MadeUp()
    for domain in DOMAINS[tool]:
        judgement(made, domain, words.get(domain, "low"), tool)
    return made.evidence().judgements


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ({}, "low"),
        ({"randomisation process": "some concerns"}, "some concerns"),
        ({"missing outcome data": "high"}, "high"),
    ],
)
def test_without_an_overall_judgement_the_gravest_domain_counts(words, found):
    assert overall(all_domains("RoB 2", words), "one").judgement == found


def test_while_a_domain_is_missing_nothing_is_judged_as_a_whole():
    rows = all_domains("RoB 2", {})
    assert overall(rows.iloc[1:], "one") is None
    assert overall(rows, "two") is None


def test_an_overall_judgement_counts_as_recorded():
    rows = judgement(MadeUp(), "overall", "some concerns").evidence().judgements
    assert (overall(rows, "one").judgement, overall(rows, "one").grave) == ("some concerns", 1)


def test_where_reviewers_differ_the_graver_judgement_counts_and_both_are_named():
    made = judgement(MadeUp(), "overall", "low")
    rows = judgement(made, "overall", "high", reviewer="Invented B").evidence().judgements
    found = overall(rows, "one")
    assert (found.judgement, found.reviewers) == ("high", ("Invented A", "Invented B"))
    assert "reviewers differ" in found.how


@pytest.mark.parametrize(
    ("domain", "word", "tool", "part"),
    [
        ("confounding", "low", "RoB 2", "column domain"),
        ("overall", "critical", "RoB 2", "column judgement"),
        ("randomisation process", "low", "ROBINS-I", "column domain"),
        ("overall", "some concerns", "ROBINS-I", "column judgement"),
        ("overall", "unclear", "JBI case series checklist", "column judgement"),
        ("inclusion criteria", "low", "JBI case series checklist", "column judgement"),
    ],
)
def test_a_judgement_in_the_words_of_another_tool_is_refused_with_its_row(domain, word, tool, part):
    rows = judgement(MadeUp(), domain, word, tool).evidence().judgements
    with pytest.raises(DataError, match=rf"appraisal/judgements.csv, row 2, {part}: expected one of {tool}"):
        overall(rows, "one")


def test_judged_domains_are_signs_for_the_traffic_light():
    rows = all_domains("RoB 2", {"randomisation process": "some concerns", "measurement of the outcome": "high"})
    signs = judged_domains(rows, ["one", "two"], "RoB 2")
    assert list(signs.index) == ["one"]
    assert list(signs.loc["one"]) == ["?", "+", "+", "-", "+", "-"]
    assert judged_domains(rows.iloc[:1], ["one"], "RoB 2").loc["one", "overall"] == ""
    assert judged_domains(rows, ["one"], "ROBINS-I").empty


# --- two readings, and what replaces them ---------------------------------------------------------------------------


def readings(*said: tuple[str, ...]) -> pd.DataFrame:
    """Judgements by RoB 2 as (reviewer, domain, word) or with an outcome as a fourth."""
    made = MadeUp()
    for reviewer, domain, word, *outcome in said:
        judgement(made, domain, word, reviewer=reviewer, outcome="".join(outcome))
    return made.evidence().judgements


FIRST, SECOND, PERSON = "reading 1", "reading 2", "Invented Expert"


def test_of_two_readings_the_graver_counts():
    rows = readings((FIRST, "overall", "some concerns"), (SECOND, "overall", "high"))
    assert (overall(rows, "one").judgement, overall(rows, "one").reviewers) == ("high", (FIRST, SECOND))


def test_a_judgement_for_every_outcome_is_valid_for_each():
    rows = readings((FIRST, "overall", "some concerns"))
    assert overall(rows, "one", "hba1c").judgement == "some concerns"


def test_a_row_that_names_an_outcome_replaces_the_general_one_of_the_same_reading_for_that_outcome_alone():
    rows = readings(
        (FIRST, "overall", "low"), (FIRST, "overall", "high", "insulin_dose"), (SECOND, "overall", "some concerns")
    )
    assert overall(rows, "one", "insulin_dose").judgement == "high"
    assert overall(rows, "one", "hba1c").judgement == "some concerns"
    milder = readings((FIRST, "overall", "high"), (FIRST, "overall", "low", "hba1c"))
    assert overall(milder, "one", "hba1c").judgement == "low", "replaced, and not the graver of both"


def test_a_named_person_replaces_both_readings_also_where_the_person_is_milder():
    rows = readings((FIRST, "overall", "high"), (SECOND, "overall", "high"), (PERSON, "overall", "low"))
    found = overall(rows, "one")
    assert (found.judgement, found.reviewers) == ("low", (PERSON,))
    assert overall(rows, "one", "hba1c").judgement == "low"


def test_a_named_person_for_all_outcomes_replaces_readings_of_one_outcome():
    rows = readings((FIRST, "overall", "high", "hba1c"), (PERSON, "overall", "low"))
    assert overall(rows, "one", "hba1c").judgement == "low"


def test_a_person_who_judged_one_domain_leaves_the_rest_to_the_readings():
    rows = readings(
        (FIRST, "overall", "high"), (FIRST, "missing outcome data", "high"), (PERSON, "missing outcome data", "low")
    )
    assert overall(rows, "one").judgement == "high"
    assert judged_domains(rows, ["one"], "RoB 2").loc["one", "missing outcome data"] == "+"


def test_a_person_who_judged_every_domain_replaces_the_overall_judgement_of_the_readings():
    every = [(PERSON, domain, "low") for domain in DOMAINS["RoB 2"]]
    rows = readings((FIRST, "overall", "high"), *every)
    assert (overall(rows, "one").judgement, overall(rows, "one").how) == ("low", "the gravest of all domains")
    assert overall(readings((FIRST, "overall", "high"), *every[1:]), "one").judgement == "high"


JBI = "JBI case series checklist"


def test_the_jbi_checklist_needs_an_overall_judgement_for_its_questions_are_no_scale():
    rows = all_domains(JBI, dict.fromkeys(DOMAINS[JBI], "yes"))
    assert overall(rows, "one") is None
    assert list(judged_domains(rows, ["one"], JBI).loc["one"]) == ["+"] * 10 + [""]
    whole = judgement(MadeUp(), "overall", "moderate", JBI).evidence().judgements
    assert (overall(whole, "one").tool, overall(whole, "one").grave) == (JBI, 1)


def test_judged_by_several_tools_a_report_is_judged_by_the_first_of_them():
    made = judgement(judgement(MadeUp(), "overall", "high", JBI), "overall", "low", "RoB 2")
    rows = made.evidence().judgements
    assert overall(rows, "one").tool == "RoB 2"
    assert overall(rows, "one", tool=JBI).judgement == "high"


# --- agreement ------------------------------------------------------------------------------------------------------


def kappa_by_hand(first: list[str], second: list[str]) -> float:
    """Cohen 1960: (observed - expected) / (1 - expected)."""
    n = len(first)
    observed = sum(a == b for a, b in zip(first, second, strict=True)) / n
    expected = sum(first.count(word) * second.count(word) for word in set(first)) / n**2
    return (observed - expected) / (1 - expected)


def test_agreement_is_the_proportion_equal_and_kappa_by_tool_and_level():
    domains = DOMAINS["RoB 2"]
    first, second = ["low", "low", "high", "some concerns", "low"], ["low", "high", "high", "some concerns", "low"]
    rows = readings(
        *[(FIRST, domain, word) for domain, word in zip(domains, first, strict=True)],
        *[(SECOND, domain, word) for domain, word in zip(domains, second, strict=True)],
        (PERSON, "overall", "high"),
    )
    (line,) = agreement(rows).to_dict("records")
    assert (line["tool"], line["level"], line["pairs"], line["equal"]) == ("RoB 2", "domains", 5, 0.8)
    assert line["kappa"] == pytest.approx(kappa_by_hand(first, second))


def test_a_pair_is_made_with_the_judgement_for_every_outcome_and_not_twice():
    rows = readings(
        (FIRST, "overall", "low", "hba1c"), (FIRST, "overall", "high", "insulin_dose"), (SECOND, "overall", "low")
    )
    (line,) = agreement(rows).to_dict("records")
    assert (line["pairs"], line["equal"]) == (2, 0.5)
    assert agreement(readings((FIRST, "overall", "low", "hba1c"), (SECOND, "overall", "low", "fpg"))).empty


def test_one_word_alone_has_no_kappa():
    (line,) = agreement(readings((FIRST, "overall", "low"), (SECOND, "overall", "low"))).to_dict("records")
    assert line["equal"] == 1 and math.isnan(line["kappa"])


def test_the_two_readings_of_the_evidence_agree_as_the_page_says():
    """Computed here from the table without the package; docs/appraisal.md prints the same."""
    table = real().judgements
    said = {(r.reviewer, r.study_id, r.outcome, r.tool, r.domain): r.judgement for r in table.itertuples()}
    pairs: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for key in dict.fromkeys(key[1:] for key in said):
        both = [said.get((reader, *key), said.get((reader, key[0], "", *key[2:]))) for reader in (FIRST, SECOND)]
        if None not in both:
            pairs.setdefault((key[2], "overall" if key[3] == "overall" else "domains"), []).append(tuple(both))
    found = agreement(table).set_index(["tool", "level"])
    page = (DATA.parent / "docs" / "appraisal.md").read_text(encoding="utf-8")
    assert set(found.index) == set(pairs)
    for place, judged in pairs.items():
        line = found.loc[place]
        kappa = kappa_by_hand(*map(list, zip(*judged, strict=True)))
        assert (line.pairs, line.equal) == (len(judged), pytest.approx(sum(a == b for a, b in judged) / len(judged)))
        assert line.kappa == pytest.approx(kappa)
        assert f"| {len(judged)} | {100 * line.equal:.0f}% | {line.kappa:.2f} |" in page, place


def test_every_reading_says_what_was_read_and_no_expert_has_judged():
    table = real().judgements
    assert set(table.reviewer) == {FIRST, SECOND}
    assert (table.text_read != "").all() and (table.support != "").all()
    assert len(table) == 2 * 513


# --- missing results ----------------------------------------------------------------------------------------------


def test_the_state_of_a_registered_trial():
    made = MadeUp().study("pooled", registry_id="NCT00000001").study("figures", registry_id="NCT00000002")
    made.arm("pooled").arm("figures").count("pooled", 1, 2).count("figures", 1, 2)
    made.study("silent", registry_id="NCT00000003", journal="A journal", doi="10.9999/x")
    made.study("unknown", registry_id="NCT00000004", journal="sponsor press release").study("unregistered")
    made.add("registrations", registry_id="NCT00000005", enrolled=7.0, results_posted="no", seen_on="2026-01-01")
    found = missing_results(made.evidence(), {"pooled"})
    assert list(found.state) == [POOLED, FIGURES, NO_FIGURE, NO_REPORT, NO_REPORT]
    assert list(found.study_id) == ["pooled", "figures", "silent", "unknown", ""]
    assert set(found.state) == set(STATES)


def test_several_reports_of_one_registration_are_one_trial_as_far_as_its_best_report():
    made = MadeUp().study("silent", registry_id="NCT00000001", doi="10.9999/x").study("full", registry_id="NCT00000001")
    made.arm("full").count("full", 1, 2)
    found = missing_results(made.evidence(), [])
    assert list(zip(found.study_id, found.state, strict=True)) == [("full", FIGURES)]


def test_patients_are_those_of_the_registration_else_those_of_the_report():
    made = MadeUp().study("one", registry_id="NCT00000001").arm("one", n=20).arm("one", "half", n=10, part_of="all")
    assert missing_results(made.evidence(), []).enrolled[0] == 20
    assert missing_results(record(made, enrolled=25.0, planned=40.0).evidence(), []).enrolled[0] == 25


def test_the_known_unreported_trial_is_among_the_missing_ones():
    found = missing_results(real(), []).set_index("registry_id")
    assert found.loc["NCT00690066", "state"] == NO_REPORT  # a press release of the sponsor is no report
    assert (found.loc["NCT02585622", ["planned", "enrolled"]] == [48, 29]).all()
    assert len(found) == len(set(real().studies.registry_id) - {""}) + 1  # a record of which no report was seen
