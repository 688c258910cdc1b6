"""Certainty: what each domain takes away, where it starts, and when nothing is rated."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy.special import logit

from cellclaims.appraisal import READ_BY, certainty, certainty_of_reports, reviewers_words
from cellclaims.appraisal.certainty import GRADE_DOMAINS, LEVELS, NOT_RATED, certainty_of_pool
from cellclaims.appraisal.design_facts import registered_results
from cellclaims.pool import Pool, pooled
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.selection import EvidenceBase, Question

from .made_up_trials import MadeUp, base, made_up_pool, real, rules

TRIALS = [f"trial{number}" for number in range(20)]


@dataclass
class MadeUpPool:
    """As much of a pool as certainty looks at; two arms of 100 in each study unless it is said otherwise."""

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
    events: float = 50.0
    estimand: str = "at_month"
    middle: float | None = None
    spread: tuple[float, ...] = ()

    @property
    def pool(self) -> Pool:
        """What certainty is rated on."""
        yi, k = np.array(self.yi, float), len(self.yi)
        control = self.n if self.measure in certainty.COMPARES else np.nan
        rows = pd.DataFrame({
            "study_id": TRIALS[:k], "label": TRIALS[:k], "design": self.design, "n": self.n, "n_control": control,
            "yi": yi, "vi": self.se**2, "ci_lb": yi - 2 * self.se, "ci_ub": yi + 2 * self.se,
            "weight": self.weights or 100 / max(k, 1), "events": self.events,
            "events_control": self.events if self.measure == "RD" else np.nan,
        })  # fmt: skip
        way = logit if self.measure == "PLO" else float
        middle = (self.low + self.high) / 2 if self.middle is None else self.middle
        fit = SimpleNamespace(beta=way(middle), ci_lb=way(self.low), ci_ub=way(self.high), I2=self.i2) if k else None
        made = made_up_pool(rows, fit, self.measure, outcome=self.outcome)
        object.__setattr__(made.question, "estimand", self.estimand)
        vars(made)["bayes"] = None
        if self.spread:
            names = ("pi_lb", "pi_ub", "ci_lb", "ci_ub")
            vars(made)["bayes"] = SimpleNamespace(**dict(zip(names, map(logit, self.spread), strict=True)))
        return made


def judged(**words: str) -> pd.DataFrame:
    """Overall judgements by RoB 2 of made-up studies, by an invented reviewer."""
    made = MadeUp()
    for number, (study, word) in enumerate(words.items()):
        made.add("judgements", judgement_id=f"j{number:03d}", study_id=study, tool="RoB 2", domain="overall",
                 judgement=word, reviewer="Invented Reviewer", date="2026-01-02", support="made up")  # fmt: skip
    return made.evidence().judgements


LOW = judged(**dict.fromkeys(TRIALS, "low"))


def at(judgements: pd.DataFrame | None = None, protocol: Protocol | None = None, registrations=None) -> EvidenceBase:
    """Evidence without a study, with these judgements; all made-up trials are at low risk unless it is said."""
    evidence = MadeUp().evidence()
    object.__setattr__(evidence, "judgements", LOW if judgements is None else judgements)
    return EvidenceBase(evidence, protocol or rules())


def steps(pool: MadeUpPool | Pool, where: EvidenceBase | None = None) -> dict[str, int]:
    rated = certainty_of_pool(where or at(), pool.pool if isinstance(pool, MadeUpPool) else pool)
    return {step.domain: step.step for step in rated.steps}


# --- imprecision --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("low", "high", "step"),
    [
        (-1.2, -0.6, 0),  # a benefit beyond the smallest important one
        (-1.2, -0.3, -1),  # includes it
        (-0.4, 0.2, -1),  # includes no effect
        (-1.2, 0.4, -1),  # includes both
        (-1.2, 0.6, -2),  # and as much harm
        (-0.4, -0.1, 0),  # small, and not none
        (0.6, 1.2, 0),
    ],
)
def test_imprecision_of_hba1c_is_about_no_effect_and_the_smallest_important_benefit(low, high, step):
    assert steps(MadeUpPool([-0.8] * 5, low, high))["imprecision"] == step


def test_the_threshold_is_that_of_the_protocol():
    content = {**rules().content, "thresholds": {**rules()["thresholds"], "hba1c_matters": {"value": 0.2}}}
    assert steps(MadeUpPool([-0.8] * 5, -1.2, -0.3), at(protocol=Protocol(content)))["imprecision"] == 0


def test_too_few_participants_add_a_step_and_never_more_than_two_are_taken():
    """5 studies of 2 x 100 with SE 0.1: SD 0.71, one trial needs 64. With SE 0.5: SD 3.5, 1571."""
    precise, vague = (MadeUpPool([-0.8] * 5, -1.2, -0.6, se=se) for se in (0.1, 0.5))
    assert certainty.optimal_size(precise.pool, rules()) == pytest.approx(64.8, abs=0.1)
    assert certainty.optimal_size(vague.pool, rules()) == pytest.approx(1571.7, abs=0.1)
    assert [steps(pool)["imprecision"] for pool in (precise, vague)] == [0, -1]
    wide = [MadeUpPool([-0.8] * 5, -1.2, high, se=0.5) for high in (-0.3, 0.6)]
    assert [steps(pool)["imprecision"] for pool in wide] == [-2, -2]


@pytest.mark.parametrize(
    ("low", "high", "events", "step"),
    [
        (0.30, 0.50, 50, 0),  # estimate 40%: 20 to 60
        (0.19, 0.61, 50, -2),  # both bounds
        (0.05, 0.11, 50, 0),
        (0.12, 0.31, 50, -1),  # estimate 20%: 10 to 30
        (0.09, 0.29, 50, -1),
        (0.30, 0.50, 5, -1),  # 25 events in all
        (0.30, 0.50, 6, 0),  # 30
        (0.12, 0.31, 5, -2),
        (0.19, 0.61, 5, -2),
    ],
)
def test_imprecision_of_a_proportion_is_about_half_of_it_and_half_as_much_again_and_about_events(
    low, high, events, step
):
    middle = 0.2 if high - low < 0.21 and low > 0.08 and high < 0.4 else None
    pool = MadeUpPool([0.5] * 5, low, high, "PLO", "insulin_independence", events=events, middle=middle)
    assert steps(pool)["imprecision"] == step


def test_a_pool_without_an_event_is_as_imprecise_as_can_be():
    pool = MadeUpPool([-np.inf], 1e-12, 1e-12, "PLO", "death", events=0)
    made = pool.pool
    made.fit.beta, made.fit.ci_lb, made.fit.ci_ub = -np.inf, -np.inf, logit(0.05)
    assert steps(made)["imprecision"] == -2


@pytest.mark.parametrize(
    ("low", "high", "step"), [(-0.05, 0.05, -1), (0.02, 0.09, 0), (0.02, 0.15, -1), (-0.05, 0.15, -1), (-0.2, 0.2, -2)]
)
def test_imprecision_of_a_difference_of_proportions_is_about_ten_points(low, high, step):
    pool = MadeUpPool([0.0] * 5, low, high, measure="RD", outcome="insulin_independence")
    assert steps(pool)["imprecision"] == step


def test_more_of_a_harm_is_worse():
    """An interval of +2 to +15 points of a harm includes as much harm as matters, and no benefit."""
    low, high = (MadeUpPool([0.0] * 5, a, b, "RD", "serious_adverse_event") for a, b in ((-0.15, -0.02), (0.02, 0.15)))
    assert [steps(pool)["imprecision"] for pool in (low, high)] == [-1, 0]


# --- inconsistency ------------------------------------------------------------------------------------------------

APART = [-0.8, -0.8, -0.8, -0.8, -0.3]


@pytest.mark.parametrize(
    ("i2", "yi", "step"), [(59.9, APART, 0), (60.0, APART, -1), (90.0, [-0.8] * 5, 0), (np.nan, APART, 0)]
)
def test_inconsistency_needs_i2_and_two_intervals_that_do_not_overlap(i2, yi, step):
    assert steps(MadeUpPool(yi, -1.2, -0.6, i2=i2))["inconsistency"] == step


@pytest.mark.parametrize(
    ("spread", "step"),
    [
        ((0.19, 0.61, 0.3, 0.5), -1),  # estimate 40%: a similar centre below 20% and above 60%
        ((0.21, 0.61, 0.3, 0.5), 0),
        ((0.19, 0.59, 0.3, 0.5), 0),
        ((0.19, 0.61, 0.1, 0.7), 0),  # the mean is as wide: imprecision, not inconsistency
    ],
)
def test_proportions_are_inconsistent_where_a_similar_centre_may_see_less_than_half_and_half_as_much_again(
    spread, step
):
    pool = MadeUpPool([-0.4] * 5, 0.3, 0.5, "PLO", "insulin_independence", spread=spread)
    assert steps(pool)["inconsistency"] == step


@pytest.mark.parametrize(("other", "step"), [(-0.39, -1), (-0.41, 0)])
def test_two_studies_side_by_side_are_inconsistent_where_their_intervals_do_not_overlap(other, step):
    """Intervals of 0.2 on each side; I² of two studies is not used, however large."""
    pool = MadeUpPool([-0.8, other], -1.2, -0.3, i2=99.0)
    assert steps(pool)["inconsistency"] == step


def test_two_studies_are_rated_on_the_interval_of_the_larger_one_and_on_all_participants():
    pool = MadeUpPool([-0.8, -0.1], np.nan, np.nan).pool
    rows = pool.rows.assign(n=[200.0, 20.0], n_control=[200.0, 20.0])
    made = made_up_pool(rows, None)
    assert certainty.answer_of(made) == pytest.approx((-0.8, -1.0, -0.6, "trial0"))
    assert steps(made)["imprecision"] == 0
    assert steps(made_up_pool(rows.assign(n=[20.0, 200.0], n_control=[20.0, 200.0]), None))["imprecision"] == -1


# --- missing results, small studies -------------------------------------------------------------------------------


def funnel(k: int, slope: float) -> Pool:
    """Proportions of k made-up studies that grow with 1 / n: small ones show more."""
    made = MadeUp()
    for number in range(k):
        n = 10 + 15 * number
        made.study(f"trial{number}").arm(f"trial{number}", n=n)
        made.count(f"trial{number}", round(n * (0.3 + slope / n)), n)
    question = Question("insulin_independence", ("T1D",), "islets")
    return pooled(made.base(), question.named("made_up", "Made up"), Analysis("PLO"))


def test_small_study_effects_are_tested_from_ten_studies_on():
    few, even, slanted = funnel(9, 5.0), funnel(12, 0.0), funnel(12, 5.0)
    assert [steps(pool)["missing results"] for pool in (few, even, slanted)] == [0, 0, -1]
    said = certainty_of_pool(at(), few).steps[-1]
    assert said.reason.endswith("9 studies, fewer than 10, not assessed")
    assert float(certainty.regression_on_size(slanted).p) < 0.1 < float(certainty.regression_on_size(even).p)


def test_small_study_effects_of_a_difference_are_a_slope_on_the_standard_error():
    """Effects that are their own standard errors times four, some less some more: a slope that nobody misses."""
    pool = MadeUpPool([0.1] * 12, -1.2, -0.6).pool
    rows = pool.rows.assign(vi=np.linspace(0.1, 0.6, 12) ** 2)
    slanted = rows.assign(yi=4 * np.sqrt(rows.vi) + 0.05 * (-1) ** np.arange(12))
    flat = rows.assign(yi=0.05 * (-1) ** np.arange(12))
    found = [certainty.small_study(made_up_pool(one, pool.fit), rules()["certainty"])[0] for one in (slanted, flat)]
    assert found == [-1, 0]


def test_nobody_and_everybody_have_a_logit_in_the_regression_on_size():
    pool = funnel(12, 0.0)
    pool.rows.loc[0, "events"], pool.rows.loc[1, "events"] = 0.0, pool.rows.n[1]
    assert 0 <= float(certainty.regression_on_size(pool).p) <= 1


@pytest.mark.parametrize(("silent", "step"), [(0, 0), (1, 0), (2, -1)])
def test_more_than_a_fifth_of_completed_trials_without_results_takes_a_step(silent, step):
    """Four registered trials with results; one more without them is a fifth, two more are a third."""
    made = MadeUp()
    for number in range(4 + silent):
        study = f"trial{number}"
        made.study(study, registry_id=f"NCT0000000{number}", doi="", pmid="", pmcid="", journal="").arm(study, n=20)
        made.add("registrations", registry_id=f"NCT0000000{number}", study_id=study, status="completed")
        if number < 4:
            made.count(study, 8, 20)
    question = Question("insulin_independence", ("T1D",), "islets").named("made_up", "Made up")
    where = made.base()
    assert registered_results(where, ("T1D",), "islets") == (4 + silent, silent)
    assert steps(pooled(where, question, Analysis("PLO")), where)["missing results"] == step


# --- indirectness, start and level --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("estimand", "outcome", "step"),
    [
        ("at_month", "insulin_independence", 0),
        ("most_favourable", "insulin_independence", -1),
        ("most_favourable", "death", 0),  # the largest proportion of a harm flatters nobody
    ],
)
def test_the_most_favourable_figure_of_each_study_is_an_upper_bound(estimand, outcome, step):
    pool = MadeUpPool([0.5] * 5, 0.3, 0.5, measure="PLO", outcome=outcome, estimand=estimand)
    assert steps(pool)["indirectness"] == step


@pytest.mark.parametrize(
    ("measure", "design", "start", "of"),
    [
        ("MD", "rct", "high", "effect"),
        ("MD", "single_arm", "low", "effect"),
        ("PLO", "single_arm", "high", "proportion"),
        ("MC", "rct", "low", "change within arms"),
        ("RD", "rct", "high", "effect"),
    ],
)
def test_randomised_comparisons_and_event_rates_start_high(measure, design, start, of):
    found = certainty_of_pool(at(), MadeUpPool([0.1] * 5, 0.1, 0.6, measure=measure, design=design).pool)
    assert (found.start, found.of) == (start, of)


def test_the_level_is_what_the_steps_leave_and_never_below_the_lowest():
    assert certainty_of_pool(at(), MadeUpPool([-0.8] * 5, -1.2, -0.6).pool).level == "high"
    bad = MadeUpPool([-0.8, 0.8, 0.8], -1.2, 0.9, i2=90.0, design="single_arm")
    assert certainty_of_pool(at(), bad.pool).level == LEVELS[0]


def test_without_a_study_nothing_is_rated():
    found = certainty_of_pool(at(), MadeUpPool([], 0, 0).pool)
    assert (found.level, found.why_not) == (NOT_RATED, "no eligible study")
    assert tuple(step.domain for step in found.steps) == GRADE_DOMAINS


# --- risk of bias -------------------------------------------------------------------------------------------------


def risk(pool: MadeUpPool, judgements: pd.DataFrame):
    return certainty_of_pool(at(judgements), pool.pool).steps[0]


@pytest.mark.parametrize(("weights", "is_rated"), [([79, 21], False), ([80, 20], True), ([100, 0], True)])
def test_with_less_than_four_fifths_of_the_weight_judged_nothing_is_rated(weights, is_rated):
    found = certainty_of_pool(at(judged(trial0="low")), MadeUpPool([-0.8] * 2, -1.2, -0.6, weights=weights).pool)
    assert (found.level != NOT_RATED) == is_rated
    if not is_rated:
        assert found.why_not == found.steps[0].reason == "not rated, 1 of 2 studies judged"


@pytest.mark.parametrize(
    ("first", "second", "weights", "step"),
    [
        ("low", "low", [50, 50], 0),
        ("some concerns", "some concerns", [50, 50], 0),
        ("high", "low", [50, 50], 0),  # not more than half of the weight
        ("high", "low", [51, 49], -1),
        ("high", "high", [60, 40], -1),
    ],
)
def test_more_than_half_of_the_weight_at_high_risk_takes_a_step(first, second, weights, step):
    found = risk(MadeUpPool([-0.8] * 2, -1.2, -0.6, weights=weights), judged(trial0=first, trial1=second))
    assert found.step == step
    assert found.judged_by == "recorded judgements of Invented Reviewer"


@pytest.mark.parametrize(("weights", "step"), [([51, 49], -2), ([50, 50], -1)])
def test_critical_risk_in_more_than_half_of_the_weight_takes_two(weights, step):
    critical = judged(trial0="high").assign(tool="ROBINS-I", judgement="critical")
    both = pd.concat([critical, judged(trial1="high").assign(judgement_id="j9")], ignore_index=True)
    assert risk(MadeUpPool([-0.8] * 2, -1.2, -0.6, weights=weights), both).step == step


def test_participants_are_the_weight_where_nothing_is_pooled():
    pool = MadeUpPool([-0.8] * 2, -1.2, -0.6).pool
    rows = pool.rows.assign(weight=np.nan, n=[150.0, 50.0], n_control=[150.0, 50.0])
    assert certainty.weights_of(made_up_pool(rows, None)).tolist() == [0.75, 0.25]


def test_a_judgement_of_another_outcome_does_not_count():
    other = judged(trial0="low").assign(outcome="insulin_independence")
    pool = MadeUpPool([-0.8], -1.2, -0.6)
    assert certainty_of_pool(at(other), pool.pool).level == NOT_RATED
    assert risk(pool, other.assign(outcome="hba1c")).step == 0


def test_results_that_are_listed_are_rated_alike():
    def level(k: int, **more) -> str:
        given = {"randomised": True, "agree": True, "precise": True, "studies": TRIALS[:k]} | more
        return certainty_of_reports(at(), k, **given).level

    assert level(5) == "high"
    assert level(5, agree=False) == level(5, precise=False) == "moderate"
    assert level(5, agree=False, precise=False) == level(2, randomised=False) == "low"
    assert level(5, studies=TRIALS[:3]) == level(0) == NOT_RATED
    assert level(5, participants=128) == level(5, participants=np.nan) == "high", "64 an arm find half an SD"
    assert level(5, participants=127) == "moderate"
    assert level(5, participants=20, precise=False) == "low"


# --- the real evidence --------------------------------------------------------------------------------------------


def test_the_judgements_behind_a_rating_are_said_to_be_the_maintainers():
    asked = Question("hba1c", ("T2D",), "any_cells", designs="rct").named("hba1c", "HbA1c")
    found = certainty_of_pool(base(), pooled(base(), asked, Analysis("MD")))
    assert tuple(step.domain for step in found.steps) == GRADE_DOMAINS
    assert found.steps[0].judged_by == f"recorded judgements of {READ_BY}"
    assert found.level in LEVELS


def test_registered_trials_of_cells_in_type_2_diabetes_have_results():
    """Eleven registrations of studies.csv, each with a publication: two of them with figures that could not be read."""
    assert registered_results(base(), ("T2D",), "any_cells") == (11, 0)
    assert registered_results(base(), ("T1D",), "msc") == (5, 1)


def test_named_persons_are_named_and_the_readings_are_said_to_be_the_maintainers():
    assert reviewers_words(["reading 1", "reading 2"]) == READ_BY
    assert reviewers_words(["Invented Reviewer"]) == "Invented Reviewer"
    assert reviewers_words(["reading 1", "Invented Reviewer", "reading 2"]) == f"Invented Reviewer, {READ_BY}"
    assert real().judgements.reviewer.nunique() == 2
