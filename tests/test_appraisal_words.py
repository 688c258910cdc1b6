"""Words, tables and figures of the appraisal say what was computed, and a made-up judgement reaches the reader."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from cellclaims import appraisal, figures, reporting
from cellclaims.appraisal import Certainty, CertaintyStep
from cellclaims.errors import DataError
from cellclaims.figures.appraisal import KEY
from cellclaims.reporting.appraisal import with_minus
from cellclaims.selection import EvidenceBase, Question

from .made_up_trials import MadeUp, base, real, rules

T2D = {"population": ("T2D",), "product": "any_cells"}


@pytest.fixture(scope="module")
def controlled():
    """HbA1c of the randomised trial of the evidence."""
    match = rules()["counterparts"]["hba1c"]["match"]
    question = Question("hba1c", designs=("rct",), **T2D)
    return appraisal.answered(base(), question, "hba1c", "HbA1c", match)


@pytest.fixture(scope="module")
def uncontrolled():
    """Status free of insulin after cells, which no control group counts."""
    question = Question("insulin_independence", estimand="most_favourable", **T2D)
    return appraisal.answered(base(), question, "free", "Free of insulin")


@pytest.fixture(scope="module")
def checked():
    return appraisal.consistency(real())


def texts(figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def cells(table) -> list[list[str]]:
    return [[str(cell) for cell in row] for row in table.cells]


# --- findings -----------------------------------------------------------------------------------------------------


def test_with_and_without_cells_are_of_the_reports_behind_the_difference(controlled):
    studies = set(controlled.effect.rows.study_id)
    assert studies == {"zang2022"}
    assert set(controlled.with_cells.rows.study_id) == set(controlled.without.rows.study_id) == studies
    assert controlled.effect.measure == "MD"
    assert [pool.name for pool in controlled.pools] == ["hba1c_difference", "hba1c_cells", "hba1c_control"]


def test_without_a_control_group_the_share_is_rated_and_labelled(uncontrolled):
    assert uncontrolled.without is None
    assert uncontrolled.effect is uncontrolled.with_cells
    assert uncontrolled.pools == [uncontrolled.effect]
    assert uncontrolled.certainty.start == "low"
    assert uncontrolled.title == "Free of insulin (most favourable report)"


def test_the_summary_of_findings_holds_what_a_reader_needs(controlled, uncontrolled):
    table = reporting.summary_of_findings([controlled, uncontrolled])
    first, second = (dict(zip(table.header, row, strict=True)) for row in cells(table))
    assert (first["reports"], first["patients"]) == ("1", "91")
    assert first["without cells"].startswith("−0.70 (")
    assert first["difference"] == "−0.67 (−1.10 to −0.24) points, final values"
    assert first["certainty"] == "⊕⊕○○ low"
    assert "risk of bias" not in first["what takes it down"], "some concerns in both readings take nothing away"
    assert "indirectness −1 (poor match in time)" in first["what takes it down"]
    assert second["without cells"] == "no randomised control"
    assert second["with cells"] == "28 in 100 (18 to 41); 31 of 111"
    assert second["difference"] == "none can be given"


def with_level(found, level: str):
    return replace(found, certainty=replace(found.certainty, level=level))


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("very low", "Whether cells make the difference is very uncertain."),
        ("low", "Cells may change it: −0.67 (−1.10 to −0.24) points, final values."),
        ("moderate", "Cells probably change it: −0.67 (−1.10 to −0.24) points, final values."),
        ("high", "Cells change it: −0.67 (−1.10 to −0.24) points, final values."),
    ],
)
def test_the_verb_carries_the_certainty_and_a_very_low_one_no_number(controlled, level, words):
    assert cells(reporting.findings_in_words([with_level(controlled, level)]))[0][1] == words


def test_without_a_control_group_the_words_say_so_first(uncontrolled):
    said = cells(reporting.findings_in_words([uncontrolled]))[0][1]
    assert said.startswith("No randomised trial reports what happens without cells")
    assert said.endswith("(28 in 100) is very uncertain.")


def test_randomised_and_other_reports_are_never_one_comparison():
    """Made up: two trials of one outcome, one of them not randomised, with a control each."""
    made = MadeUp().trial("drawn").trial("chosen", design="nonrandomised_controlled")
    for study in ("drawn", "chosen"):
        made.count(study, 8, 20, arm_id="cells").count(study, 2, 20, arm_id="sham")
    question = Question("insulin_independence", ("T2D",), "msc")
    found = appraisal.answered(made.base(), question, "free", "Free of insulin")
    assert list(found.effect.rows.study_id) == ["drawn"]
    assert found.certainty.start == "high"
    asked = replace(question, designs=("nonrandomised_controlled",))
    other = appraisal.answered(made.base(), asked, "free", "Free of insulin")
    assert (list(other.effect.rows.study_id), other.certainty.start) == (["chosen"], "low")


def test_a_question_that_no_report_answers_is_said_to_be_so():
    found = appraisal.answered(base(), Question("hba1c", ("T3c",), "any_cells"), "none", "HbA1c")
    assert found.effect.k == 0
    table = reporting.summary_of_findings([found])
    row = dict(zip(table.header, cells(table)[0], strict=True))
    assert (row["reports"], row["with cells"], row["difference"]) == ("0", "not reported", "no study")
    assert cells(reporting.findings_in_words([found]))[0][1] == "No report answers this."


def test_every_step_stands_in_the_table_with_who_judged_it(controlled, uncontrolled):
    rows = cells(reporting.certainty_table([controlled, uncontrolled]))
    assert len(rows) == 10
    assert rows[0][:3] == ["HbA1c", "risk of bias", "0"]
    assert rows[0][4] == f"recorded judgements of {appraisal.READ_BY}"
    assert "−1.10 to −0.24" in rows[1][3]


def test_a_hyphen_before_a_number_becomes_a_minus_sign_and_no_other():
    assert with_minus("-1.1 to -0.2 of a two-sided test, a-1, 3-4") == "−1.1 to −0.2 of a two-sided test, a-1, 3-4"


# --- a made-up judgement reaches every place ----------------------------------------------------------------------


def judged_evidence(word: str = "high"):
    """The evidence with an invented judgement of its randomised trial; nobody judged it."""
    made = MadeUp().add("judgements", judgement_id="j001", study_id="zang2022", tool="RoB 2", domain="overall",
                        judgement=word, reviewer="Invented Reviewer", date="2026-01-02", support="made up")  # fmt: skip
    return replace(real(), judgements=made.evidence().judgements)


def unjudged():
    """The evidence without any judgement."""
    return replace(real(), judgements=real().judgements.head(0))


def test_a_recorded_judgement_takes_the_place_of_the_default_and_of_the_facts(controlled, uncontrolled):
    evidence = judged_evidence("low")
    found = appraisal.answered(EvidenceBase(evidence, rules()), controlled.effect.question, "hba1c", "HbA1c")
    bias = found.certainty.steps[0]
    assert (bias.step, bias.judged_by) == (0, "recorded judgements of Invented Reviewer")
    alone = EvidenceBase(unjudged(), rules())
    default = appraisal.answered(alone, controlled.effect.question, "hba1c", "HbA1c").certainty.steps[0]
    assert (default.step, default.judged_by) == (-1, "default by design, not judged by a reviewer")

    lights, titles = reporting.design_lights(EvidenceBase(evidence, rules()), [found, uncontrolled])
    assert "Zang 2022" not in lights.index
    assert set(titles) == {uncontrolled.title}
    signs, judged = reporting.judgement_lights(evidence, [found, uncontrolled])["RoB 2"]
    assert (list(signs.index), judged) == (["Zang 2022"], ["HbA1c"])
    assert signs.loc["Zang 2022", "overall"] == "+"
    assert "by Invented Reviewer" in reporting.judged_words(evidence, [found, uncontrolled])


def test_while_nobody_judged_there_is_no_light_of_a_judgement(controlled, uncontrolled):
    assert reporting.judgement_lights(unjudged(), [controlled, uncontrolled]) == {}
    assert reporting.judged_words(unjudged(), [controlled]).startswith("No reviewer has judged any of these 1 reports")
    lights, titles = reporting.design_lights(EvidenceBase(unjudged(), rules()), [controlled, uncontrolled])
    assert len(lights) == len(titles) == controlled.effect.k + uncontrolled.effect.k


def test_both_readings_are_shown_by_tool_and_nobody_takes_them_for_an_experts(controlled, uncontrolled):
    lights = reporting.judgement_lights(real(), [controlled, uncontrolled])
    assert set(lights) == set(appraisal.DOMAINS)
    said = reporting.judged_words(real(), [controlled, uncontrolled])
    assert "two readings by the maintainers with reading software" in said
    assert "no outside expert" in said


def test_the_table_of_agreement_has_a_line_for_each_tool_and_level():
    table = reporting.agreement_table(real())
    found = appraisal.agreement(real().judgements)
    assert [row[0] for row in cells(table)] == list(found.tool)
    assert [row[3] for row in cells(table)] == [f"{100 * equal:.0f} %" for equal in found.equal]
    assert [row[4] for row in cells(table)] == [f"{kappa:.2f}" for kappa in found.kappa]


def test_two_reports_of_one_name_are_told_apart():
    facts = appraisal.design_facts(base(), ["bhansali2014", "bhansali2014b", "zang2022"])
    names = ["Bhansali 2014 (bhansali2014)", "Bhansali 2014 (bhansali2014b)", "Zang 2022"]
    assert list(reporting.named_reports(real(), facts).index) == names


# --- checks and missing results -----------------------------------------------------------------------------------


def test_what_does_not_fit_is_shown_once_recorded_or_not(checked):
    recorded, new = (cells(reporting.inconsistent_table(real(), checked, recorded=r)) for r in (True, False))
    assert len(recorded) + len(new) == (checked.verdict == "inconsistent").sum()
    assert all(row[-1].startswith("a") for row in recorded)
    assert ["Zang 2022", "continuous.csv, row 260", "change against levels", "−1.31"] in [row[:4] for row in recorded]


def test_the_tables_of_checks_and_anomalies_hold_every_check_and_every_anomaly(checked):
    table = reporting.checks_table(appraisal.consistency_summary(checked))
    assert [row[0] for row in cells(table)] == [check.name for check in appraisal.CHECKS]
    assert "https://doi.org/10.1177/1948550616673876" in table._repr_html_()
    known = reporting.known_table(appraisal.known_anomalies(real(), checked))
    counts = [dict(zip(known.header, row, strict=True)) for row in cells(known)]
    assert sum(int(row["recorded"]) for row in counts) == len(real().anomalies)
    assert all(row["found by"] != "–" or row["why no check finds the others"] != "–" for row in counts)


def test_the_headline_counts_what_the_tables_hold(controlled, checked):
    summary = appraisal.consistency_summary(checked)
    trials = reporting.trial_groups(base(), appraisal.missing_results(real(), []))
    said = reporting.how_sure([controlled], summary, trials)
    assert "1 with low certainty" in said
    assert f"{summary.inconsistent.sum()} of {summary.could_fail.sum()} checks" in said
    silent = trials.state.isin(appraisal.STATES[2:]).sum()
    assert f"{100 * silent / len(trials):.0f} % of the registered trials" in said
    assert f"Of {len(trials)} registered trials {silent} have given no figure" in reporting.missing_words(trials)
    assert len(cells(reporting.missing_table(real(), trials))) == silent


# --- figures ------------------------------------------------------------------------------------------------------


def rated(level: str, *steps: tuple[str, int, str, str]) -> Certainty:
    return Certainty(level, "high", tuple(CertaintyStep(*step) for step in steps))


ANSWER = rated(
    "low",
    ("risk of bias", -1, "made up", "default by design"),
    ("imprecision", -2, "made up", "computed"),
    ("inconsistency", 0, "one report or none: not assessed", "computed"),
    ("indirectness", 0, "made up", "recorded grade"),
)


def test_the_profile_draws_every_step_with_who_judged_it_and_fills_as_many_discs_as_the_level_is_high():
    figure = figures.certainty_profile([("A question", ANSWER)]).figure
    said = texts(figure)
    for words in ("A question", "high", "−1", "d", "−2", "–", "0", "r", "low"):
        assert words in said
    assert KEY.split(";")[0] in " ".join(said)
    discs = [p for p in figure.axes[0].patches if p.__class__.__name__ == "Circle"]
    assert [d.get_facecolor()[:3] != (1, 1, 1) for d in discs] == [True, True, False, False]


def test_the_profile_refuses_answers_with_other_domains():
    other = rated("low", ("risk of bias", -1, "made up", "computed"))
    with pytest.raises(DataError, match="same domains"):
        figures.certainty_profile([("One", ANSWER), ("Two", other)])


TRIALS = pd.DataFrame(
    {"group": ["Islets", "Islets", "Cells"], "state": ["pooled", "silent", "silent"], "label": ["One", "Two", "Three"]}
)


def test_missing_results_draw_a_square_a_trial_and_name_those_that_gave_nothing():
    figure = figures.missing_results(TRIALS, ["pooled", "silent"], named=["silent"]).figure
    said = texts(figure)
    assert "Islets (2)" in said
    assert "Cells (1)" in said
    assert "Pooled (1)" in said
    assert "Silent (2): Two, Three" in said
    squares = [p for p in figure.axes[0].patches if p.__class__.__name__ == "Rectangle"]
    assert len(squares) == len(TRIALS) + 2  # two in the key


def test_missing_results_refuse_a_state_without_a_look():
    with pytest.raises(DataError, match="expected the states pooled; found silent"):
        figures.missing_results(TRIALS, ["pooled"])
    with pytest.raises(DataError, match="at most 4 states, found 5"):
        figures.missing_results(TRIALS, ["pooled", "silent", "a", "b", "c"])


def test_a_traffic_light_in_groups_keeps_its_lines_and_adds_their_headings():
    table = pd.DataFrame({"randomised": ["+", "-", "?"]}, index=["One", "Two", "Three"])
    plain, grouped = (texts(figures.traffic_light(table, groups=g).figure) for g in ((), ("First", "First", "Second")))
    assert sorted(grouped) == sorted([*plain, "First", "Second"])


def test_alternative_texts_say_what_the_figures_show(controlled, uncontrolled):
    assert "HbA1c: starts high, imprecision −1" in reporting.certainty_alt([controlled, uncontrolled])
    lights, _ = reporting.design_lights(EvidenceBase(unjudged(), rules()), [controlled])
    assert "randomised: 1 +" in reporting.lights_alt(lights, "Facts")
    trials = reporting.trial_groups(base(), appraisal.missing_results(real(), ["zang2022"]))
    assert "in one of these pools: 1" in reporting.missing_alt(trials, appraisal.STATES)
