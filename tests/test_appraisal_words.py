"""Words, tables and figures of the appraisal say what was computed, and a made-up judgement reaches the reader."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import pandas as pd
import pytest

from cellclaims import appraisal, figures, reporting
from cellclaims.appraisal.certainty import GRADE_DOMAINS, NOT_RATED
from cellclaims.errors import DataError
from cellclaims.figures.appraisal import side_of
from cellclaims.reporting.appraisal import with_minus
from cellclaims.reporting.tables import Link
from cellclaims.selection import EvidenceBase, Question

from .made_up_trials import MadeUp, base, real, rules

T2D = {"population": ("T2D",), "product": "any_cells"}


@pytest.fixture(scope="module")
def controlled():
    """HbA1c of the randomised trial of the evidence."""
    question = Question("hba1c", designs=("rct",), **T2D)
    return appraisal.answered(base(), question, "hba1c", "HbA1c")


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
    assert "zang2022" in studies
    sides = [set(pool.rows.study_id) for pool in (controlled.with_cells, controlled.without)]
    assert sides[0] == sides[1] and "zang2022" in sides[0] <= studies
    assert row_of(controlled)["with cells"].startswith(f"{len(sides[0])} of {len(studies)} studies: ")
    assert controlled.effect.measure == "MD"
    assert [pool.name for pool in controlled.pools] == ["hba1c_difference", "hba1c_cells", "hba1c_control"]


def test_without_a_control_group_the_share_is_rated_and_labelled(uncontrolled):
    assert uncontrolled.without is None
    assert uncontrolled.effect is uncontrolled.with_cells
    assert uncontrolled.pools == [uncontrolled.effect]
    assert (uncontrolled.certainty.start, uncontrolled.certainty.of) == ("high", "proportion")
    assert uncontrolled.title == "Free of insulin, upper bound"


def row_of(found) -> dict[str, str]:
    table = reporting.summary_of_findings([found])
    return dict(zip(table.header, cells(table)[0], strict=True))


def made_up(*counts: tuple[str, int, int, int, int], judgement: str = "low"):
    """Made-up trials with these counts of insulin independence, with cells and with a sham, judged alike."""
    made = MadeUp()
    for number, (study, events, n, control, n_control) in enumerate(counts):
        made.trial(study).count(study, events, n, arm_id="cells").count(study, control, n_control, arm_id="sham")
        made.add("judgements", judgement_id=f"j{number:03d}", study_id=study, tool="RoB 2", domain="overall",
                 judgement=judgement, reviewer="Invented Reviewer", date="2026-01-02", support="made up")  # fmt: skip
    question = Question("insulin_independence", ("T2D",), "msc")
    return appraisal.answered(made.base(), question, "free", "Free of insulin")


def test_the_summary_of_findings_of_one_trial_has_both_arms_and_their_difference():
    """8 of 20 and 2 of 20: exact limits 19.1 to 63.9 and 1.2 to 31.7 per 100; Newcombe 2.8 to 52.1."""
    row = row_of(made_up(("one", 8, 20, 2, 20)))
    assert row["participants (studies)"] == "40 (1)"
    assert row["with cells"] == "40 (19 to 64); 8 of 20"
    assert row["without cells"] == "10 (1 to 32); 2 of 20"
    assert row["difference"].startswith("30 more per 100 (")


def test_two_trials_are_shown_one_by_one():
    row = row_of(made_up(("one", 8, 20, 2, 20), ("two", 3, 30, 1, 30)))
    assert row["participants (studies)"] == "100 (2)"
    assert (
        row["with cells"].count(" of ") == row["with cells"].count(";") + 1 - 1 == 2 or "8 of 20" in row["with cells"]
    )
    for words in ("30 more per 100", "7 more per 100"):
        assert words in row["difference"]


def test_no_events_are_given_with_the_upper_limit_of_the_largest_study():
    """0 of 30: exact upper limit 11.6%."""
    row = row_of(made_up(("one", 0, 20, 0, 20), ("two", 0, 30, 0, 30)))
    assert row["with cells"] == "0 of 50; upper limit 12 in the largest study (n = 30)"


def test_without_a_control_group_there_is_no_difference_and_the_certainty_is_that_of_the_proportion(uncontrolled):
    row = row_of(uncontrolled)
    assert (row["without cells"], row["difference"]) == ("–", "no comparison")
    assert row["certainty"].endswith(", of the proportion")


def test_what_happens_without_cells_is_a_row_of_its_own():
    found = appraisal.answered(base(), Question("hba1c", arms="control", designs=("rct",), **T2D), "controls", "HbA1c")
    row = row_of(found)
    assert found.with_cells is None and found.effect is found.without
    assert (row["with cells"], row["difference"]) == ("–", "no comparison")
    assert (found.certainty.start, found.certainty.of) == ("low", "change within arms")
    assert row["in words"].endswith("without cells.")


def with_level(found, level: str):
    return replace(found, certainty=replace(found.certainty, level=level))


@pytest.mark.parametrize(
    ("level", "words"),
    [
        ("very low", "We are very uncertain whether cell therapy makes a difference."),
        ("low", "Cell therapy may change this outcome: 30 more per 100 ("),
        ("moderate", "Cell therapy probably changes this outcome: 30 more per 100 ("),
        ("high", "Cell therapy changes this outcome: 30 more per 100 ("),
        (NOT_RATED, "Too few studies were judged for risk of bias to rate how certain this is."),
    ],
)
def test_the_words_carry_the_certainty_and_a_very_low_one_no_number(level, words):
    assert row_of(with_level(made_up(("one", 8, 20, 2, 20)), level))["in words"].startswith(words)


@pytest.mark.parametrize(
    ("level", "words"),
    [
        (
            "very low",
            "We are very uncertain how many people have this outcome after cell therapy.",
        ),
        ("low", "Of 100 people, perhaps 28 have this outcome after cell therapy."),
        ("high", "Of 100 people, 28 have this outcome after cell therapy."),
    ],
)
def test_a_proportion_has_words_of_its_own(uncontrolled, level, words):
    assert row_of(with_level(uncontrolled, level))["in words"].startswith(words)


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
    assert row["participants (studies)"] == "0 (0)"
    assert (row["with cells"], row["difference"]) == ("not reported", "no eligible study")
    assert row["certainty"] == "not rated: no eligible study"
    assert row["in words"] == "No eligible study reports this."


def test_every_step_is_in_the_tables_with_its_reason_and_who_judged_it(controlled, uncontrolled):
    table = reporting.certainty_table([controlled, uncontrolled])
    first = dict(zip(table.header, cells(table)[0], strict=True))
    assert set(GRADE_DOMAINS) < set(table.header)
    steps = sum(int(first[name].replace("−", "-")) for name in GRADE_DOMAINS)
    assert steps == sum(step.step for step in controlled.certainty.steps)
    rows = cells(reporting.reasons_table([controlled, uncontrolled]))
    assert len(rows) == 2 * len(GRADE_DOMAINS)
    assert rows[0][4] == f"recorded judgements of {appraisal.READ_BY}"
    assert all(row[3] for row in rows)


def test_the_headline_counts_the_levels(controlled, uncontrolled):
    findings = [with_level(controlled, "moderate"), with_level(uncontrolled, "very low")]
    said = reporting.certainties_headline(findings)
    assert "1 moderate, 1 very low" in said and "Above low: HbA1c." in said
    assert "No answer has a certainty above low" in reporting.certainties_headline(findings[1:])


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


def test_a_recorded_judgement_takes_the_place_of_both_readings(controlled):
    evidence = judged_evidence("low")
    question = replace(controlled.effect.question, exclude=tuple(set(controlled.effect.rows.study_id) - {"zang2022"}))
    found = appraisal.answered(EvidenceBase(evidence, rules()), question, "hba1c", "HbA1c")
    bias = found.certainty.steps[0]
    assert (bias.step, bias.judged_by) == (0, "recorded judgements of Invented Reviewer")
    signs = reporting.judgement_lights(evidence, [found])["RoB 2"]
    assert list(signs.index) == ["Zang 2022"]
    assert signs.loc["Zang 2022", "overall"] == "+"
    assert "by Invented Reviewer" in reporting.judged_words(evidence, [found])


def test_while_nobody_judged_there_is_no_light_of_a_judgement(controlled, uncontrolled):
    assert reporting.judgement_lights(unjudged(), [controlled, uncontrolled]) == {}
    said = reporting.judged_words(unjudged(), [controlled])
    assert said.startswith(f"No reviewer has judged any of these {controlled.effect.k}")


def test_what_a_judgement_rests_on_opens_at_a_click(controlled):
    shown = reporting.judgements_read(real(), [controlled])
    assert [table.caption.split(",")[0] for table in shown.tables] == list(controlled.effect.rows.label)
    page = shown._repr_html_()
    assert page.count("<details") == len(shown.tables)
    rows = real().judgements
    mine = rows[rows.study_id.isin(controlled.effect.rows.study_id) & rows.outcome.isin(["", "hba1c"])]
    said = {cell for table in shown.tables for row in cells(table) for cell in row}
    assert set(mine[mine.tool == "RoB 2"].support) <= said


def test_a_judgement_is_never_linked_to_a_copy_of_a_page(controlled, uncontrolled):
    copies = set(real().copy_hosts.host)
    shown = reporting.judgements_read(real(), [controlled, uncontrolled])
    links = [cell.address for table in shown.tables for row in table.cells for cell in row if isinstance(cell, Link)]
    assert links and not {urlsplit(url).hostname for url in links} & copies
    assert not any(url.endswith(")") and "(" not in url for url in links)


def test_both_readings_are_shown_by_tool_and_nobody_takes_them_for_an_experts(controlled, uncontrolled):
    lights = reporting.judgement_lights(real(), [controlled, uncontrolled])
    assert set(lights) == set(appraisal.DOMAINS)
    assert {len(signs) for signs in lights["RoB 2"].overall} == {2}
    shown = {name.split(",")[0] for name in lights["RoB 2"].index}
    assert lights["RoB 2"].attrs["studies"] == len(shown)
    assert reporting.agreement_words(real(), "RoB 2").startswith(
        "Left light: reading 1; right light: reading 2. They agree"
    )
    said = reporting.judged_words(real(), [controlled, uncontrolled])
    assert "two readings by the maintainers with reading software" in said
    assert "no outside expert" in said


def test_the_table_of_agreement_has_a_line_for_each_tool_and_level():
    table = reporting.agreement_table(real())
    found = appraisal.agreement(real().judgements)
    assert [row[0] for row in cells(table)] == list(found.tool)
    assert [row[3] for row in cells(table)] == [f"{100 * equal:.0f}%" for equal in found.equal]
    assert [row[4] for row in cells(table)] == [f"{kappa:.2f}" for kappa in found.kappa]


def test_two_reports_of_one_name_are_told_apart():
    facts = appraisal.design_facts(base(), ["bhansali2014", "bhansali2014b", "zang2022"])
    names = ["Bhansali 2014a", "Bhansali 2014b", "Zang 2022"]
    assert list(reporting.named_reports(real(), facts).index) == names


# --- checks and missing results -----------------------------------------------------------------------------------


def test_what_does_not_fit_is_shown_once_recorded_or_not(checked):
    recorded, new = (cells(reporting.inconsistent_table(real(), checked, recorded=r)) for r in (True, False))
    assert len(recorded) + len(new) == (checked.result == "inconsistent").sum()
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


def test_the_headline_counts_what_the_tables_hold(checked):
    summary = appraisal.consistency_summary(checked)
    trials = reporting.trial_groups(base(), appraisal.missing_results(real(), []))
    said = reporting.checks_headline(summary, trials)
    assert f"{summary.inconsistent.sum()} of {summary.could_fail.sum()} applicable checks" in said
    silent = trials.state.isin(appraisal.STATES[2:]).sum()
    assert f"For {100 * silent / len(trials):.0f}" in said
    assert f"Of {len(trials)} registered trials {silent} have given no figure" in reporting.missing_words(trials)
    assert len(cells(reporting.missing_table(real(), trials))) == silent


# --- figures ------------------------------------------------------------------------------------------------------


TRIALS = pd.DataFrame(
    {
        "group": ["Islets", "Islets", "Cells"],
        "state": ["pooled", "silent", "silent"],
        "label": ["One", "Two", "Three"],
        "planned": [100.0, float("nan"), float("nan")],
        "enrolled": [90.0, 25.0, float("nan")],
    }
)


def test_missing_results_draw_a_square_a_trial_and_name_those_that_gave_nothing():
    figure = figures.missing_results(TRIALS, ["pooled", "silent"], named=["silent"]).figure
    said = texts(figure)
    assert "Islets (2)" in said
    assert "Cells (1)" in said
    assert "Pooled (1)" in said
    assert "Silent (2): Two, Three" in said
    squares = [p for p in figure.axes[0].patches if p.__class__.__name__ == "Rectangle"]
    assert len(squares) == len(TRIALS) + 2 + 4  # two states in the key, four sizes


def test_the_area_of_a_square_is_as_the_planned_participants_of_its_trial():
    figure = figures.missing_results(TRIALS, ["pooled", "silent"]).figure
    squares = [p.get_width() for p in figure.axes[0].patches if p.__class__.__name__ == "Rectangle"][:3]
    assert squares == [side_of(100), side_of(25), side_of(float("nan"))]
    assert side_of(100) ** 2 / side_of(25) ** 2 == pytest.approx(4)


def test_missing_results_refuse_a_state_without_a_look():
    with pytest.raises(DataError, match="expected the states pooled; found silent"):
        figures.missing_results(TRIALS, ["pooled"])
    with pytest.raises(DataError, match="at most 4 states, found 5"):
        figures.missing_results(TRIALS, ["pooled", "silent", "a", "b", "c"])


def test_a_traffic_light_has_a_light_for_each_reading():
    table = pd.DataFrame({"randomisation": ["++", "-", ""], "overall": ["?-", "x", ""]}, index=["One", "Two", "Three"])
    figure = figures.traffic_light(table, title="Made up").figure
    lights = [p for p in figure.axes[0].patches if p.__class__.__name__ == "Circle"]
    assert len(lights) == 6 + 4, "six readings and a key of four signs"
    assert texts(figure).count("–") == 2, "a dash where nobody judged"
    with pytest.raises(DataError, match=r"traffic light, One, overall: expected signs among .* found '!'"):
        figures.traffic_light(table.assign(overall=["!", "", ""]))


def test_alternative_texts_say_what_the_figures_show(controlled):
    lights = reporting.judgement_lights(real(), [controlled])["RoB 2"]
    assert f"{len(lights)} lines of studies" in reporting.lights_alt(lights, "Risk of bias")
    trials = reporting.trial_groups(base(), appraisal.missing_results(real(), ["zang2022"]))
    assert "in one of these pools: 1" in reporting.missing_alt(trials, appraisal.STATES)
