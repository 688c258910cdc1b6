"""The journal club: what is asked at the controls, the sheet by hand, what moves the answer, other advertisements."""

from __future__ import annotations

import csv
import math
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellclaims import journal_club, meta
from cellclaims.claims import entry_of, own_trials
from cellclaims.claims.counterparts import claim_of, rate_entry
from cellclaims.errors import DataError, ParameterError, ProtocolError
from cellclaims.journal_club import claim_file, exercises, quick_forest
from cellclaims.journal_club.controls import answer, chance, p_prior
from cellclaims.journal_club.widgets import VERDICTS
from cellclaims.pool import pooled
from cellclaims.question import Analysis
from cellclaims.runner import page
from cellclaims.selection import EvidenceBase, Question

from .made_up_trials import MadeUp

DATA = Path(__file__).resolve().parent.parent / "data"
CLAIM = "stop_all_2016"

#: States of the controls that between them turn each of them: what pools must say of each is asked of pools itself.
STATES = {
    "the defaults": {},
    "without the largest": {"without": ("hu2012",)},
    "without one that has a twin": {"without": ("bhansali2009",)},
    "at a month": {"estimand": "at_month", "months": 12.0, "window": 6.0},
    "by the normal interval": {"test": "z"},
    "halved": {"outcome": "insulin_dose_halved"},
    "a change": {"outcome": "hba1c_change", "window": 6.0, "tau_scale": 0.5},
    "a change, by Paule and Mandel": {"outcome": "hba1c_change", "window": 6.0, "method": "PM", "test": "knha"},
    "a change, r = 0.9": {"outcome": "hba1c_change", "window": 6.0, "correlation": 0.9},
    "a difference": {"outcome": "hba1c_difference"},
}


@pytest.fixture(scope="module")
def claim(evidence):
    return claim_of(evidence, CLAIM)


@pytest.fixture(scope="module")
def asked(base, claim):
    return journal_club.controls_of(base, claim)


@pytest.fixture(scope="module")
def nearest(base, asked):
    return journal_club.pool_of(base, asked)


def by_pools(base, state):
    """The pool of a state, asked of ``pooled`` with nothing of the club between."""
    given = {"estimand": "most_favourable", "months": 12.0, "window": 3.0, "without": (), **state}
    about, mean = given.get("outcome", "insulin_independence"), given.get("outcome", "").startswith("hba1c")
    left = (*own_trials(base.evidence), *given["without"])
    question = Question("hba1c" if mean else about, ("T2D",), "any_cells", "cells",
                        "at_month" if mean else given["estimand"], given["months"], given["window"],
                        exclude=left)  # fmt: skip
    chosen = {name: state[name] for name in ("method", "test", "correlation") if name in state}
    measure = "PLO" if not mean else "MC" if about == "hba1c_change" else "MD"
    return pooled(base, question, Analysis(measure, **chosen))


# --- one path from the controls to the pool ----------------------------------------------------------------------


@pytest.mark.parametrize("state", STATES.values(), ids=STATES)
def test_the_answer_is_that_of_pools(base, claim, asked, state):
    found = answer(base, claim, replace(asked, **state))
    direct = by_pools(base, state)
    pd.testing.assert_frame_equal(found.pool.rows, direct.rows, check_dtype=False)
    assert (found.pool.fit is None) == (direct.fit is None)
    for name in ("beta", "se", "ci_lb", "ci_ub", "tau2") if direct.fit is not None else ():
        np.testing.assert_array_equal(getattr(found.pool.fit, name), getattr(direct.fit, name))


def test_the_probabilities_of_a_claim_are_those_of_the_ledger(base, evidence):
    claim = claim_of(evidence, "half_dose_2016")
    asked = journal_club.controls_of(base, claim, outcome="insulin_halved_and_hba1c_lt_7")
    entry = rate_entry(base, "half_dose_2016")
    found = answer(base, claim, asked)
    assert (found.p_mean, found.numbers.get("pooled")) == (entry.p_mean_ge, entry.pooled)
    assert found.pool.k == entry.k
    assert found.in_words().startswith("Two studies: shown side by side, not pooled: Bhansali 2014")


def test_an_estimator_pools_logits_by_the_engine(base, claim, asked):
    found = answer(base, claim, replace(asked, method="DL", test="knha"))
    effects = meta.escalc("PLO", xi=found.pool.rows.events.to_numpy(), ni=found.pool.rows.n.to_numpy())
    fit = meta.fit(effects.yi, effects.vi, method="DL", test="knha")
    assert (found.pool.fit.beta, found.pool.fit.ci_lb) == (fit.beta, fit.ci_lb)
    away = float(fit.beta) - math.log(0.3 / 0.7)
    assert found.p_mean == pytest.approx(_t(away / float(fit.se), 4), abs=1e-12)
    assert found.p_new == pytest.approx(_t(away / math.sqrt(float(fit.se) ** 2 + float(fit.tau2)), 3), abs=1e-12)


def _t(x, df):
    from scipy.special import stdtr

    return float(stdtr(df, x))


def test_one_report_keeps_its_own_fit_whatever_the_estimator(base, asked):
    without = (*journal_club.pool_of(base, asked).rows.study_id[1:], "bhansali2014b")
    one = journal_club.pool_of(base, replace(asked, without=without, method="REML"))
    assert one.k == 1
    assert (one.fit.ci_lb, one.settings["interval"]) == (one.rows.ci_lb[0], "Clopper-Pearson")


@pytest.mark.parametrize("scale", [0.25, 2.0])
def test_the_quick_posterior_is_the_full_one_to_a_thousandth(nearest, scale):
    events, n = (nearest.rows[name].to_numpy(float) for name in ("events", "n"))
    full = float(meta.bayes_binomial(events, n, meta.Prior(scale)).p_mean_reaches(0.3))
    assert p_prior(nearest, 30.0, scale) == pytest.approx(full, abs=1e-3)


def test_a_prior_has_no_say_without_events_or_a_claim(nearest):
    assert p_prior(nearest, math.nan, 1.0) is None
    assert p_prior(replace(nearest, rows=nearest.rows.assign(events=0.0)), 30.0, 1.0) is None


def test_a_claim_without_a_figure_gets_no_probability(base, evidence):
    claim = claim_of(evidence, "first_course_control")
    found = answer(base, claim, journal_club.controls_of(base, claim))
    assert "no figure" in found.in_words()
    assert "advertised" not in journal_club.forest_svg(found)


def test_a_fall_is_set_against_the_smallest_that_matters(base, rules, claim, asked):
    found = answer(base, claim, replace(asked, outcome="hba1c_difference"))
    assert found.claimed == -rules["thresholds"]["hba1c_matters"]["value"]
    assert found.p_mean == rate_entry(base, "first_course_control").p_mean_ge


def test_no_report_is_said_and_drawn(base, claim, asked):
    found = answer(base, claim, replace(asked, estimand="at_month", months=120.0))
    assert found.in_words() == "No study answers this question."
    assert "No study answers this question." in journal_club.forest_svg(found)


@pytest.mark.parametrize(
    ("parameter", "expected"),
    [
        ({"OUTCOME": "cure"}, "OUTCOME: expected one of insulin_independence, .*found 'cure'"),
        ({"ESTIMAND": "best"}, "ESTIMAND: expected one of at_month, .*found 'best'"),
        ({"METHOD": "FE"}, "METHOD: expected one of protocol, EE, .*found 'FE'"),
        ({"TEST": "knha"}, "TEST: expected one of protocol, t, z; found 'knha'"),
        ({"MONTHS": -1.0}, "MONTHS: expected a number from 0 to 240; found -1.0"),
        ({"WINDOW": 999.0}, "WINDOW: expected a number from 0 to 120; found 999.0"),
        ({"CORRELATION": 1.0}, "CORRELATION: expected a number from 0 to 0.99; found 1.0"),
        ({"TAU_SCALE": 0.0}, "TAU_SCALE: expected a number from 0.01 to 10; found 0.0"),
        ({"WITHOUT": ["nobody1999"]}, "WITHOUT: expected one of the study_ids of studies.csv; found 'nobody1999'"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_parameter_that_cannot_be_is_named(base, claim, parameter, expected):
    with pytest.raises(ParameterError, match=expected):
        journal_club.controls_of(base, claim, **parameter)


def test_chances_near_the_ends_are_no_certainties():
    assert [chance(p) for p in (0.0, 1.0, 0.5)] == ["under 0.1 %", "over 99.9 %", "50.0 %"]


# --- the light forest ----------------------------------------------------------------------------------------------


def test_the_drawing_says_what_it_shows_and_escapes_labels(base, claim, asked):
    found = answer(base, claim, asked)
    hostile = replace(found, pool=replace(found.pool, rows=found.pool.rows.assign(label="<script>alert(1)</script>")))
    svg = journal_club.forest_svg(hostile)
    assert "<script" not in svg
    assert "&lt;script&gt;" in svg
    assert "The dashed line marks advertised: 30 %." in journal_club.forest_svg(found)


def test_equal_answers_are_equal_bytes_and_the_claim_stands_where_it_is(base, claim, asked):
    found = answer(base, claim, asked)
    assert journal_club.forest_svg(found) == journal_club.forest_svg(answer(base, claim, asked))
    x = quick_forest.LEFT + 0.3 * (quick_forest.RIGHT - quick_forest.LEFT)
    assert f'<line x1="{x:.1f}"' in journal_club.forest_svg(found)


@given(st.floats(-50, 50), st.floats(0.01, 100))
def test_ticks_are_few_round_and_within(low, width):
    scale = quick_forest.QuickScale(low, low + width)
    ticks = scale.ticks()
    assert 1 <= len(ticks) <= 7
    assert all(scale.low - 1e-6 <= tick <= scale.high + 1e-6 for tick in ticks)


@given(st.floats(-1e6, 1e6))
def test_nothing_is_drawn_beyond_the_scale(value):
    assert quick_forest.LEFT <= quick_forest.QuickScale(0.0, 100.0).x(value) <= quick_forest.RIGHT


# --- the sheet by hand ---------------------------------------------------------------------------------------------


def test_the_sheet_is_equal_to_the_engine(nearest):
    sheet = journal_club.three(nearest)
    assert str(sheet.beside_the_engine()).endswith("Equal to the sheet.")


@given(st.lists(st.tuples(st.integers(1, 40), st.integers(1, 40)), min_size=3, max_size=3))
def test_any_three_reports_pool_by_hand_as_by_the_engine(counts):
    events, rest = (np.array(part, float) for part in zip(*counts, strict=True))
    sheet = journal_club.ByHand(("a", "b", "c"), events, events + rest)
    assert str(sheet.beside_the_engine()).endswith("Equal to the sheet.")


def test_a_sheet_that_differs_is_not_called_equal(nearest, monkeypatch):
    monkeypatch.setattr(journal_club.ByHand, "tau2", property(lambda sheet: 0.2))
    assert "Not equal" in journal_club.three(nearest).beside_the_engine()


def test_every_formula_of_the_sheet_can_be_shown(nearest):
    steps = journal_club.three(nearest).steps()
    assert len(steps) > 12
    assert [latex for _, latex in steps if "<code>" in page.mathml(latex, "block")] == []


def test_the_sheet_takes_the_three_largest_with_some_and_some_not(nearest):
    rows = nearest.rows.assign(events=[0.0, *nearest.rows.events[1:]])
    assert journal_club.three(nearest).labels == ("Estrada 2008", "Hu 2012", "Li 2021")
    assert journal_club.three(replace(nearest, rows=rows)).labels == ("Bhansali 2009", "Hu 2012", "Li 2021")


def test_fewer_than_three_cannot_be_pooled_by_hand(nearest):
    with pytest.raises(DataError, match=r"expected 3 reports with some .* found 2"):
        journal_club.three(replace(nearest, rows=nearest.rows.head(2)))


def test_a_label_is_no_markup():
    sheet = journal_club.ByHand(("A_b*2008*",) * 3, np.array([1.0, 2, 3]), np.array([4.0, 5, 6]))
    assert r"A\_b\*2008\*" in sheet._repr_markdown_()


# --- what moves the answer -----------------------------------------------------------------------------------------


def test_each_line_has_one_report_more_and_the_last_has_all(base, evidence, asked, nearest):
    found = journal_club.subsets(base, journal_club.question_of(evidence, asked))
    assert [pool.k for pool in found] == [1, 2, 3, 4, 5]
    assert found[-1].fit.beta == nearest.fit.beta
    assert found[0].rows.n[0] == nearest.rows.n.max()
    assert "one study" in repr(journal_club.subsets_table(found))


def test_counting_every_report_counts_patients_twice(base):
    question = Question("insulin_independence", ("T1D",), "any_cells", estimand="ever")
    found = journal_club.as_if_independent(base, question)
    assert set(found.one_a_cohort.rows.study_id) < set(found.naive.rows.study_id)
    assert len(found.naive.rows) - len(found.one_a_cohort.rows) == len(found.counted_twice) > 0
    counts = found.naive.rows.events.to_numpy(float), found.naive.rows.n.to_numpy(float)
    assert found.naive.fit.beta == meta.glmm(*counts, test="t", nodes=15).beta
    assert f"{len(found.counted_twice)} reports share patients" in journal_club.overlap_words(found)


def test_reports_that_share_nobody_are_said_to():
    made = MadeUp().study("one").arm("one").count("one", 5, 20).study("two").arm("two").count("two", 8, 20)
    question = Question("insulin_independence", ("T1D",), "islets")
    words = journal_club.overlap_words(journal_club.as_if_independent(made.base(), question))
    assert words == "No two reports of this question share patients."


def test_an_outcome_is_counted_at_three_times(base):
    found = journal_club.by_time(base, Question("insulin_independence", ("T1D",), "islets"), "Islets")
    assert [pool.question.estimand for pool in found.values()] == ["ever", "at_month", "last_follow_up"]
    assert found["at_month"].title == "Islets, at 12 months"
    assert len({float(pool.fit.beta) for pool in found.values()}) == 3


# --- the advertisement and the audience ----------------------------------------------------------------------------


def test_what_is_advertised_gives_no_answer_away(base):
    entries = [rate_entry(base, name) for name in (CLAIM, "half_dose_2016", "effective_2016")]
    text = repr(journal_club.said(entries, CLAIM))
    assert "30 %" in text
    assert text.count("this sitting") == 1
    for entry in entries:
        assert entry.verdict not in text
        if entry.pooled is not None:
            assert f"{entry.pooled:.0f} %" not in text.replace("60 %", "").replace("30 %", "").replace("93 %", "")
    assert sum(entry.pooled is not None for entry in entries) == 1, "two studies are not pooled, none counts CLAIM"


def test_a_room_keeps_what_it_is_given():
    audience = journal_club.Audience.of({"share": 12, "verdict": "mixed", "answers": {"share": 0.3}})
    assert (audience.share, audience.reports, audience.verdict, audience.answers) == (12, 10.0, "mixed", {"share": 0.3})
    assert journal_club.Audience.of({}).answers is not journal_club.Audience.of({}).answers


def test_the_verdicts_are_those_of_the_protocol(rules):
    assert set(VERDICTS) == {one["verdict"] for one in rules["verdict"]["order"]}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"patients": 3}, "AUDIENCE: expected names among reports, .*found 'patients'"),
        ({"share": "half"}, "AUDIENCE, share: expected a number from 0 to 100; found 'half'"),
        ({"share": True}, "AUDIENCE, share: expected a number"),
        ({"reports": -1}, "AUDIENCE, reports: expected a number from 0 to 40; found -1"),
        ({"verdict": "true"}, "AUDIENCE, verdict: expected one of not testable, .*found 'true'"),
        ({"answers": [1]}, "AUDIENCE, answers: expected names of exercises with numbers"),
        ({"answers": {"share": "a third"}}, "AUDIENCE, answers, share: expected a number; found 'a third'"),
    ],
)
def test_a_room_that_cannot_be_is_refused(given, expected):
    with pytest.raises(ParameterError, match=expected):
        journal_club.Audience.of(given)


def test_a_guess_stands_beside_its_answer():
    answers = {"reports": 10, "share": 27.9, "without_cells": None}
    cells = journal_club.guesses_table(journal_club.Audience(share=20), answers).cells
    assert [row[-1] for row in cells] == ["right", "too low by 8", "–"]
    assert cells[2][2] == "nothing published answers it"
    assert len(journal_club.guesses_table(journal_club.Audience()).cells[0]) == 2


def test_the_rooms_verdict_stands_beside_the_ledgers(base):
    entry = rate_entry(base, CLAIM)
    assert "They differ" in journal_club.verdict_beside(journal_club.Audience(verdict="supported"), entry)
    assert "Both agree" in journal_club.verdict_beside(journal_club.Audience(verdict=entry.verdict), entry)


# --- exercises -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def overlap(base):
    question = Question("insulin_independence", ("T1D",), "any_cells", estimand="ever")
    return journal_club.as_if_independent(base, question)


@pytest.fixture(scope="module")
def tasks(base, nearest, overlap):
    islets = journal_club.by_time(base, Question("insulin_independence", ("T1D",), "islets"), "Islets")
    return journal_club.exercise_set(journal_club.three(nearest), islets["at_month"], islets["ever"], overlap)


def test_every_exercise_knows_its_answer_and_its_mistakes_apart(tasks):
    assert list(tasks) == ["share", "weight", "pooled", "at_month", "patients"]
    for exercise in tasks.values():
        assert exercise.check(exercise.answer).startswith("Right")
        assert len(exercise.mistakes) >= 3
        for mistake in exercise.mistakes:
            assert exercise.check(mistake.value) == f"Not yet: {mistake.words}.", exercise.name


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("share", 32.1, "that is a percentage"),
        ("weight", 0.082, "that is the variance"),
        ("pooled", 0.275, "the equal-effects mean"),
        ("at_month", 75.5, "at any time"),
        ("share", 0.9, "too high"),
        ("share", 0.01, "too low"),
        ("share", math.inf, "a number is asked for"),
    ],
)
def test_a_wrong_answer_is_explained(tasks, name, given, words):
    assert words in tasks[name].check(given)


def test_adding_up_reports_that_share_patients_is_explained(tasks, overlap):
    assert "counted twice" in tasks["patients"].check(float(overlap.naive.rows.n.sum()))


def test_no_answer_is_no_wrong_answer(tasks):
    assert tasks["share"].check(None) == ""
    assert "Not yet" not in tasks["share"].html()


@pytest.mark.parametrize("rounded", [0.32, 0.321, 0.3214])
def test_rounding_on_paper_is_right(tasks, rounded):
    assert tasks["share"].check(rounded).startswith("Right")


def test_a_solution_stays_folded_and_text_is_escaped():
    exercise = journal_club.Exercise("x", "<b>?", 1.0, "", 0.1, 0, "<script>")
    html = exercise.html(2.0)
    assert html.index("<details>") < html.index("&lt;script&gt;") < html.index("</details>")
    assert "<b>" not in html
    assert "details" in page.safe_html(html)
    assert "<summary>" in page.safe_html(html)


def test_an_exercise_needs_an_answer(tasks, nearest, overlap):
    empty = SimpleNamespace(fit=None, title="nothing")
    with pytest.raises(DataError, match="expected reports for 'nothing', found none"):
        exercises.exercise_set(journal_club.three(nearest), empty, nearest, overlap)


# --- another advertisement -----------------------------------------------------------------------------------------

#: A made-up exercise text, and labelled so: no clinic says this.
MADE_UP = {
    "claim_id": "exercise_off", "document_id": "exercise", "locator": "made up for an exercise",
    "quotation_span": "", "span_sha256": "", "as_of": "2020", "diabetes_type": "T2D", "kind": "rate",
    "what_is_claimed": "patients who can stop insulin (made up)",
    "wording": "A made-up text says that over 45 % of patients can stop insulin.", "qualifier": "can",
    "figure_qualifier": "over", "outcome": "insulin_independence", "value": "45", "unit": "percent",
    "n_treated": "120", "denominator_stated": "no", "follow_up_stated": "no", "control_stated": "no",
    "definition_stated": "yes", "unsaid": "", "answered_by": "insulin_independence", "supersedes": "",
    "note": "an exercise text, no advertisement",
}  # fmt: skip
DOCUMENT = {
    "document_id": "exercise", "file_or_url": "exercise.txt", "kind": "web page", "title": "A made-up text",
    "as_of": "2020", "what_it_is": "an exercise text, made up, no advertisement", "copy_exists": "yes", "sha256": "",
}  # fmt: skip


@pytest.fixture
def other(tmp_path):
    """Write a made-up set of claims with its document; ``other(column=value)`` changes the claim."""

    def write(**changes):
        for path, row in (("claims.csv", MADE_UP | changes), ("documents.csv", DOCUMENT)):
            with (tmp_path / path).open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, row, lineterminator="\n")
                writer.writeheader()
                writer.writerow(row)
        return tmp_path / "claims.csv"

    return write


def test_another_advertisement_takes_the_place_of_the_claims_alone(evidence, rules, other):
    loaded = journal_club.load(DATA, other())
    assert list(loaded.claims.claim_id) == ["exercise_off"]
    pd.testing.assert_frame_equal(loaded.binary, evidence.binary)
    assert loaded.fingerprint != evidence.fingerprint
    assert loaded.folder == DATA
    entry = entry_of(EvidenceBase(loaded, rules), claim_of(loaded, "exercise_off"))
    assert entry.k > 0
    assert entry.advertised["value"] == 45


def test_its_own_trials_count_again_when_it_does_not_cite_them(evidence, other):
    assert own_trials(evidence)
    assert own_trials(journal_club.load(DATA, other())) == []


def test_without_a_file_the_claims_are_the_reviews(evidence):
    pd.testing.assert_frame_equal(journal_club.load(DATA).claims, evidence.claims)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"value": "45 %"}, r"claims.csv, row 2, column value: expected .*number, found '45 %'"),
        ({"diabetes_type": "T4D"}, r"row 2, column diabetes_type: expected one of"),
        ({"document_id": "nobody"}, r"row 2, column document_id: expected"),
    ],
)
def test_a_fault_is_told_of_the_file_that_was_given(other, changes, expected):
    path = other(**changes)
    with pytest.raises(DataError, match=expected) as error:
        journal_club.load(DATA, path)
    assert str(path) in str(error.value)
    assert "advertised/claims.csv" not in str(error.value)


def test_a_claim_that_nothing_answers_is_named(other):
    path = other(answered_by="hope")
    with pytest.raises(ProtocolError, match=r"claims.csv, row 2, column answered_by: expected one of .*found 'hope'"):
        journal_club.load(DATA, path)


def test_every_claim_that_nothing_answers_is_named_at_once(other):
    path = other(answered_by="hope")
    lines = path.read_text().splitlines()
    path.write_text(
        "\n".join([*lines, lines[1].replace("exercise_off", "exercise_two").replace("hope", "luck")]) + "\n"
    )
    with pytest.raises(ProtocolError) as refused:
        journal_club.load(DATA, path)
    first, *rest = str(refused.value).splitlines()
    assert first == "2 faults"
    assert ["row 2" in rest[0], "row 3" in rest[1], "'hope'" in rest[0], "'luck'" in rest[1]] == [True] * 4


def test_a_missing_column_and_a_missing_file_are_named(other, tmp_path):
    path = other()
    path.write_text(path.read_text().replace("answered_by,", "", 1))
    with pytest.raises(DataError, match=r"column answered_by: expected this column, found no such column"):
        journal_club.load(DATA, path)
    with pytest.raises(DataError, match="expected a CSV of claims, found no file"):
        journal_club.load(DATA, tmp_path / "none.csv")


def test_documents_of_the_review_are_known_where_none_lie_beside(other, tmp_path):
    path = other(document_id="ad_treatment")
    (tmp_path / "documents.csv").unlink()
    assert journal_club.load(DATA, path).claims.document_id.iloc[0] == "ad_treatment"


def test_nothing_is_written_into_the_data(other):
    before = {path: path.read_bytes() for path in DATA.rglob("*.csv")}
    journal_club.load(DATA, other())
    assert {path: path.read_bytes() for path in DATA.rglob("*.csv")} == before


def test_what_a_registry_answered_is_not_copied(other, tmp_path, monkeypatch):
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    (folder / "registry").mkdir(exist_ok=True)
    (folder / "registry" / "large.csv").write_text("x")
    seen = []
    monkeypatch.setattr(
        claim_file, "_read", lambda view, *_: seen.append((view / "registry").exists()) or SimpleNamespace()
    )
    with pytest.raises(AttributeError):
        journal_club.load(folder, other())
    assert seen == [False]
