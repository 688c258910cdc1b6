"""Certainty: what each domain takes away, where it starts, and that a judgement takes the place of the default."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from cellclaims.appraisal import READ_BY, certainty, certainty_of_reports, reviewers_words
from cellclaims.appraisal.certainty import COMPUTED, DEFAULT, LEVELS, RECORDED
from cellclaims.claims import counterpart_pool
from cellclaims.pool import Pool, pooled
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.selection import Question

from .made_up_trials import MadeUp, base, made_up_pool, real, rules

GOOD = dict.fromkeys(("population", "product", "outcome", "time"), ("good", "made up"))


@dataclass
class MadeUpPool:
    """As much of a pool as certainty looks at; two arms of 100 in each report unless it is said otherwise."""

    yi: list[float]
    low: float
    high: float
    measure: str = "MD"
    outcome: str = "hba1c"
    i2: float = 0.0
    design: str = "rct"
    n: float = 100.0
    weights: list[float] = field(default_factory=list)
    se: float = 0.1

    @property
    def k(self) -> int:
        return len(self.yi)

    @property
    def rows(self) -> pd.DataFrame:
        yi, control = np.array(self.yi, float), self.n if self.measure in certainty.COMPARES else np.nan
        return pd.DataFrame({
            "study_id": [f"trial{i}" for i in range(self.k)], "design": self.design, "n": self.n,
            "n_control": control, "yi": yi, "vi": self.se**2, "ci_lb": yi - 2 * self.se, "ci_ub": yi + 2 * self.se,
            "weight": self.weights or 100 / max(self.k, 1), "events": np.round(self.n / 2), "events_control": np.nan,
        })  # fmt: skip

    @property
    def fit(self):
        way = logit if self.measure == "PLO" else float
        return SimpleNamespace(ci_lb=way(self.low), ci_ub=way(self.high), I2=self.i2) if self.k else None

    @property
    def question(self):
        return SimpleNamespace(outcome=self.outcome)

    @property
    def pool(self) -> Pool:
        """What certainty is rated on."""
        return made_up_pool(self.rows, self.fit, self.measure, outcome=self.outcome)


def certainty_of_pool(pool, *more):
    """The certainty of a pool, or of one that is made up here."""
    return certainty.certainty_of_pool(pool.pool if isinstance(pool, MadeUpPool) else pool, *more)


def steps(pool, match=GOOD, protocol=None, judgements=None) -> dict[str, int]:
    rated = certainty_of_pool(pool, match, protocol or rules(), judgements)
    return {step.domain: step.step for step in rated.steps}


# --- imprecision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [
        (-1.2, -0.6, 0),  # beyond the smallest change that matters
        (-1.2, -0.3, -1),  # holds it
        (-1.2, 0.9, -2),  # holds it for better and for worse
        (-0.3, 0.2, 0),  # all on this side of it
        (np.nan, np.nan, -2),
    ],
)
def test_imprecision_of_hba1c_is_about_the_smallest_change_that_matters(low, high, step):
    assert steps(MadeUpPool([-0.8] * 5, low, high))["imprecision"] == step


def test_a_threshold_of_the_protocol_moves_the_step():
    content = {**rules().content, "thresholds": {**rules()["thresholds"], "hba1c_matters": {"value": 0.2}}}
    assert steps(MadeUpPool([-0.8] * 5, -1.2, -0.3), protocol=Protocol(content))["imprecision"] == 0


@pytest.mark.parametrize(
    ("k", "low", "high", "step"), [(5, -1.2, -0.6, 0), (4, -1.2, -0.6, -1), (4, -1.2, 0.9, -2), (0, 0, 0, -1)]
)
def test_few_reports_take_a_level_and_never_add_to_a_wide_interval(k, low, high, step):
    assert steps(MadeUpPool([-0.8] * k, low, high))["imprecision"] == step


def test_too_few_patients_take_a_level_where_the_interval_is_clear():
    """5 reports of 2 x 100 patients with SE 0.1: SD 0.71; one trial needs 63 patients. With SE 0.5: SD 3.5, 1570."""
    precise, vague = (MadeUpPool([-0.8] * 5, -1.2, -0.6, se=se) for se in (0.1, 0.5))
    assert certainty.optimal_size(precise, 0.5, 0.8) == pytest.approx(62.8, abs=0.1)
    assert certainty.optimal_size(vague, 0.5, 0.8) == pytest.approx(1569.8, abs=0.1)
    assert [steps(pool)["imprecision"] for pool in (precise, vague)] == [0, -1]


def test_the_size_of_one_trial_is_that_of_the_textbook():
    """SD 1, difference 0.5, power 80 %: 63 an arm by the normal formula."""
    se = np.sqrt(2 / 100)
    assert certainty.optimal_size(MadeUpPool([0.0], 0, 0, se=se), 0.5, 0.8) == pytest.approx(2 * 62.8, abs=0.1)


@pytest.mark.parametrize(("width", "step"), [(0.29, 0), (0.31, -1), (0.59, -1), (0.61, -2)])
def test_imprecision_of_a_share_is_about_its_width(width, step):
    pool = MadeUpPool([0.5] * 5, 0.2, 0.2 + width, measure="PLO", outcome="insulin_independence")
    assert steps(pool)["imprecision"] == step


def test_a_difference_of_shares_that_holds_none_is_imprecise_however_narrow():
    narrow = {"measure": "RD", "outcome": "insulin_independence"}
    assert steps(MadeUpPool([0.0] * 5, -0.05, 0.05, **narrow))["imprecision"] == -1
    assert steps(MadeUpPool([0.1] * 5, 0.05, 0.15, **narrow))["imprecision"] == 0


# --- inconsistency, small studies, indirectness -------------------------------------------------------------------


@pytest.mark.parametrize(("i2", "step"), [(60.0, 0), (61.0, -1), (np.nan, 0)])
def test_inconsistency_by_i2(i2, step):
    assert steps(MadeUpPool([-0.8] * 5, -1.2, -0.6, i2=i2))["inconsistency"] == step


def test_reports_on_opposite_sides_of_no_difference_are_inconsistent_and_shares_never_are():
    apart = MadeUpPool([-0.8, -0.8, -0.8, -0.8, 0.8], -1.2, -0.6)
    assert steps(apart)["inconsistency"] == -1
    assert steps(replace(apart, yi=[-0.8, -0.8, -0.8, -0.8, 0.1]))["inconsistency"] == 0
    assert steps(replace(apart, measure="PLO", outcome="insulin_independence"))["inconsistency"] == 0


def funnel(k: int, slope: float) -> Pool:
    """Shares of k made-up reports that grow with 1 / n: small ones show more."""
    made = MadeUp()
    for number in range(k):
        n = 10 + 15 * number
        made.study(f"trial{number}").arm(f"trial{number}", n=n)
        made.count(f"trial{number}", round(n * (0.3 + slope / n)), n)
    question = Question("insulin_independence", ("T1D",), "islets")
    return pooled(made.base(), question.named("made_up", "Made up"), Analysis("PLO"))


def test_small_study_effects_are_tested_from_ten_reports_on():
    few, even, slanted = funnel(9, 5.0), funnel(12, 0.0), funnel(12, 5.0)
    assert [steps(pool)["small-study effects"] for pool in (few, even, slanted)] == [0, 0, -1]
    said = certainty_of_pool(few, GOOD, rules()).steps[-1]
    assert said.reason == "9 reports, fewer than 10: not assessed"
    assert float(certainty.regression_on_size(slanted).p) < 0.1 < float(certainty.regression_on_size(even).p)


def test_small_study_effects_of_a_difference_are_a_slope_on_the_standard_error():
    """Effects that are their own standard errors times four, some less some more: a slope that nobody misses."""
    pool = MadeUpPool([0.1] * 12, -1.2, -0.6)
    rows = pool.rows.assign(vi=np.linspace(0.1, 0.6, 12) ** 2)
    rows = rows.assign(yi=4 * np.sqrt(rows.vi) + 0.05 * (-1) ** np.arange(12))
    slanted = SimpleNamespace(k=12, rows=rows, measure="MD", question=pool.question)
    assert certainty.small_study(slanted, rules()["certainty"])[0] == -1
    flat = SimpleNamespace(**{**vars(slanted), "rows": rows.assign(yi=0.05 * (-1) ** np.arange(12))})
    assert certainty.small_study(flat, rules()["certainty"])[0] == 0


def test_nobody_and_everybody_have_a_logit_in_the_regression_on_size():
    pool = funnel(12, 0.0)
    pool.rows.loc[0, "events"], pool.rows.loc[1, "events"] = 0.0, pool.rows.n[1]
    assert 0 <= float(certainty.regression_on_size(pool).p) <= 1


@pytest.mark.parametrize(("poor", "step"), [([], 0), (["time"], -1), (["time", "outcome"], -2), (list(GOOD), -2)])
def test_indirectness_takes_a_level_for_each_poor_match_and_two_at_most(poor, step):
    match = GOOD | dict.fromkeys(poor, ("poor", "made up"))
    rated = certainty_of_pool(MadeUpPool([-0.8] * 5, -1.2, -0.6), match, rules())
    found = next(s for s in rated.steps if s.domain == "indirectness")
    assert (found.step, found.judged_by) == (step, RECORDED)


def test_a_question_asked_for_its_own_sake_is_not_indirect_and_nobody_judged_that():
    found = next(
        s for s in certainty_of_pool(MadeUpPool([0.1] * 5, 0, 1), {}, rules()).steps if s.domain == "indirectness"
    )
    assert (found.step, found.judged_by) == (0, COMPUTED)


# --- start and level ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("measure", "design", "start"),
    [
        ("MD", "rct", "high"),
        ("MD", "single_arm", "low"),
        ("PLO", "rct", "low"),
        ("MC", "rct", "low"),
        ("RD", "rct", "high"),
    ],
)
def test_only_a_comparison_of_randomised_arms_starts_high(measure, design, start):
    pool = MadeUpPool([0.1] * 5, -1.2, -0.6, measure=measure, design=design)
    assert certainty_of_pool(pool, GOOD, rules()).start == start


def test_the_level_is_what_the_steps_leave_and_never_below_the_lowest():
    perfect = certainty_of_pool(MadeUpPool([-0.8] * 5, -1.2, -0.6), GOOD, rules())
    assert perfect.level == "moderate"  # high, less the default for risk of bias
    bad = MadeUpPool([-0.8, 0.8, 0.8], -1.2, 0.9, i2=90.0, design="single_arm")
    assert certainty_of_pool(bad, GOOD | {"time": ("poor", "")}, rules()).level == LEVELS[0]
    assert certainty_of_pool(MadeUpPool([], 0, 0), GOOD, rules()).level == LEVELS[0]


def test_every_step_says_why_and_who():
    for found in certainty_of_pool(MadeUpPool([-0.8] * 5, -1.2, -0.6), GOOD, rules()).steps:
        assert found.reason
        assert found.judged_by in (COMPUTED, DEFAULT, RECORDED)


# --- judgements ---------------------------------------------------------------------------------------------------


def judged(**words: str) -> pd.DataFrame:
    """Overall judgements by RoB 2 of made-up reports, by an invented reviewer."""
    made = MadeUp()
    for number, (study, word) in enumerate(words.items()):
        made.add("judgements", judgement_id=f"j{number:03d}", study_id=study, tool="RoB 2", domain="overall",
                 judgement=word, reviewer="Invented Reviewer", date="2026-01-02", support="made up")  # fmt: skip
    return made.evidence().judgements


def risk(pool, judgements):
    return next(s for s in certainty_of_pool(pool, GOOD, rules(), judgements).steps if s.domain == "risk of bias")


def test_without_a_judgement_of_every_report_the_default_stands_and_is_labelled():
    pool = MadeUpPool([-0.8] * 2, -1.2, -0.6)
    for judgements in (None, judged(), judged(trial0="low"), judged(trial0="low", other="low")):
        assert (risk(pool, judgements).step, risk(pool, judgements).judged_by) == (-1, DEFAULT)
    assert "1 of 2 reports are judged" in risk(pool, judged(trial0="low")).reason


@pytest.mark.parametrize(
    ("first", "second", "weights", "step"),
    [
        ("low", "low", [50, 50], 0),
        ("some concerns", "some concerns", [50, 50], 0),
        ("high", "low", [50, 50], 0),  # not more than half of the weight
        ("high", "low", [60, 40], -1),
        ("high", "high", [60, 40], -1),
    ],
)
def test_judgements_take_the_place_of_the_default_by_weight(first, second, weights, step):
    found = risk(MadeUpPool([-0.8] * 2, -1.2, -0.6, weights=weights), judged(trial0=first, trial1=second))
    assert found.step == step
    assert found.judged_by == "recorded judgements of Invented Reviewer"


def test_critical_risk_takes_two_levels():
    judgements = judged(trial0="high").assign(tool="ROBINS-I", judgement="critical")
    assert risk(MadeUpPool([-0.8], -1.2, -0.6), judgements).step == -2


def test_a_judgement_of_another_outcome_does_not_count():
    other = judged(trial0="low").assign(outcome="insulin_independence")
    assert risk(MadeUpPool([-0.8], -1.2, -0.6), other).judged_by == DEFAULT
    assert risk(MadeUpPool([-0.8], -1.2, -0.6), other.assign(outcome="hba1c")).step == 0


def test_reports_counted_by_direction_are_judged_alike():
    def level(*args, **more):
        return certainty_of_reports(*args, GOOD, rules(), **more)

    assert level(5, True, True).level == "moderate"
    assert level(5, True, False).level == "low"
    assert level(4, True, True).level == "low"
    assert level(5, False, True).level == "very low"
    assert level(2, True, True, studies=("a", "b"), judgements=judged(a="low", b="low")).level == "moderate"
    assert level(2, True, True, studies=("a",), judgements=judged(a="low")).level == "low"


# --- the real evidence --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim_id", ["effective_2016", "half_dose_2016", "first_course_control"])
def test_what_answers_an_advertised_figure_is_rated_in_every_domain(claim_id):
    """All reports behind them were judged in two readings, and none of the percentages is better than very low."""
    match = rules()["counterparts"][real().claims.set_index("claim_id").answered_by[claim_id]]["match"]
    found = certainty_of_pool(counterpart_pool(base(), claim_id), match, rules(), real().judgements)
    domains_of = [step.domain for step in found.steps]
    assert domains_of == ["risk of bias", "imprecision", "inconsistency", "indirectness", "small-study effects"]
    assert found.steps[0].judged_by == f"recorded judgements of {READ_BY}"
    assert found.level == LEVELS[1 if claim_id == "first_course_control" else 0]


def test_named_persons_are_named_and_the_readings_are_said_to_be_the_maintainers():
    assert reviewers_words(["reading 1", "reading 2"]) == READ_BY
    assert reviewers_words(["Invented Reviewer"]) == "Invented Reviewer"
    assert reviewers_words(["reading 1", "Invented Reviewer", "reading 2"]) == f"Invented Reviewer, {READ_BY}"
