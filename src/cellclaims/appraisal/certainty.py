"""Certainty of a body of evidence by GRADE, from computed facts and recorded judgements.

Randomised comparisons start high, other comparisons and changes within arms low. A proportion of treated participants
is an event rate: it starts high and is rated down (Iorio and others 2015, https://doi.org/10.1136/bmj.h870); its
certainty is that of the proportion in people treated like these, never of an effect. The rules are those of
``protocol.yml``, section ``certainty``; every step down is kept with its reason. Nothing is rated up. Where less than
the stated part of the weight was judged for risk of bias, the certainty is not rated.

Indirectness is rated against the review's own question. How close that question is to an advertised figure is no part
of it. Two studies are not pooled: they are rated on the two results side by side, which each function explains.

GRADE: Guyatt and others 2008, https://doi.org/10.1136/bmj.39489.470347.AD.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cellclaims import robustness
from cellclaims.appraisal.design_facts import registered_results
from cellclaims.appraisal.judgements import CRITICAL, HIGH, ReportJudgement, overall, reviewers_words
from cellclaims.pool import Pool, pooled
from cellclaims.question import Analysis
from cellclaims.selection import EvidenceBase, Question
from cellclaims.trial_size import arm_of_means, arm_of_proportions

#: Measures that compare arms; every other is a result within the arms that were treated, or within the controls.
COMPARES = ("MD", "RD")
#: How the reason of a domain ends that could not be looked at.
NOT_ASSESSED = "not assessed"
LEVELS = ("very low", "low", "moderate", "high")
#: In place of a level: too few judgements of risk of bias, or no study.
NOT_RATED = "not rated"
#: What an answer is the certainty of.
OF_EFFECT, OF_PROPORTION, OF_CHANGE = "effect", "proportion", "change within arms"
#: Who judged a step: a rule on computed facts, or recorded judgements.
COMPUTED = "computed"
#: Domains, in the order of the steps.
GRADE_DOMAINS = ("risk of bias", "inconsistency", "imprecision", "indirectness", "missing results")
#: A step down (0 or less) and its reason.
Rated = tuple[int, str]


@dataclass(frozen=True)
class CertaintyStep:
    """One domain: how many levels it takes away (0 or less), why, and who judged it."""

    domain: str
    step: int
    reason: str
    judged_by: str


@dataclass(frozen=True)
class Certainty:
    """How certain an answer is.

    Attributes
    ----------
    level : str
        One of :data:`LEVELS`, or :data:`NOT_RATED`.
    start : str
        The level at which the rating started.
    steps : tuple of CertaintyStep
        One for each of :data:`GRADE_DOMAINS`.
    of : str
        What the certainty is of: an effect, a proportion, or a change within arms.
    why_not : str
        Why it is not rated; empty where it is.
    """

    level: str
    start: str
    steps: tuple[CertaintyStep, ...]
    of: str = OF_EFFECT
    why_not: str = ""


class ShownEstimate(NamedTuple):
    """An estimate with its limits on the reader's scale, and whose it is: the pool's, or one study's by label."""

    estimate: float
    low: float
    high: float
    study: str


def certainty_of_pool(base: EvidenceBase, pool: Pool) -> Certainty:
    """Certainty of a pooled result, of a single one, or of two side by side.

    Parameters
    ----------
    base : EvidenceBase
        Its protocol has the rules, its evidence the judgements and the registered trials.
    pool : Pool

    Returns
    -------
    Certainty
        Not rated without an eligible study, and where too little of the weight was judged for risk of bias.
    """
    rules = base.protocol["certainty"]
    compares = pool.measure in COMPARES
    if compares:
        kind = "randomised" if pool.k and bool((pool.rows.design == "rct").all()) else "otherwise"
    else:
        kind = "proportion" if pool.measure == "PLO" else "otherwise"
    of = OF_EFFECT if compares else OF_PROPORTION if pool.measure == "PLO" else OF_CHANGE
    if not pool.k:
        nothing = [CertaintyStep(name, 0, f"no eligible study: {NOT_ASSESSED}", COMPUTED) for name in GRADE_DOMAINS]
        return Certainty(NOT_RATED, rules["start"][kind], tuple(nothing), of, "no eligible study")
    risk, why_not = risk_of_bias(base, list(pool.rows.study_id), weights_of(pool), pool.question.outcome)
    steps = [
        risk,
        _computed("inconsistency", inconsistency(pool, rules)),
        _computed("imprecision", imprecision(pool, base.protocol)),
        _computed("indirectness", indirectness(pool, base.protocol)),
        _computed("missing results", missing(base, pool)),
    ]
    return _from(rules["start"][kind], steps, of, why_not)


def certainty_of_reports(
    base: EvidenceBase,
    k: int,
    *,
    randomised: bool,
    agree: bool,
    precise: bool,
    participants: float = math.nan,
    studies: Sequence[str] = (),
) -> Certainty:
    """Certainty of controlled results that are listed with their directions and not pooled.

    Parameters
    ----------
    base : EvidenceBase
    k : int
        Number of results.
    randomised : bool
        Whether all of them are randomised.
    agree : bool
        Whether they point in one direction.
    precise : bool
        Whether the one with most participants excludes no effect.
    participants : float
        Of all results together; NaN where a result does not report them, which takes no step.
    studies : sequence of str
        Those that are in studies.csv, for the recorded judgements; each result has the same weight.

    Returns
    -------
    Certainty
    """
    rules = base.protocol["certainty"]
    start = rules["start"]["randomised" if randomised else "otherwise"]
    named = [*studies, *[""] * (k - len(studies))]
    risk, why_not = risk_of_bias(base, named, np.full(k, 1 / max(k, 1)), "")
    apart = 0 if agree else rules["inconsistency"]["step"]
    bounds = rules["imprecision"]
    needed = 2 * math.ceil(arm_of_means(bounds["standardised"], bounds["power"], bounds["alpha"]))
    is_small = participants < needed
    vague = max((not precise) * bounds["step"] + is_small * bounds["step"], bounds["most"])
    words = f"the result with most participants {'excludes' if precise else 'does not exclude'} no effect"
    if is_small:
        words += f"; {participants:g} participants, fewer than the {needed} of one trial"
    steps = [
        risk,
        _computed("inconsistency", (apart, f"the results {'agree' if agree else 'differ'} in direction")),
        _computed("imprecision", (vague, words)),
        _computed("indirectness", (0, OWN_QUESTION)),
        _computed("missing results", (0, f"results of several registries and products: {NOT_ASSESSED}")),
    ]
    return _from(start, steps, OF_EFFECT, why_not if k else "no result")


def _from(start: str, steps: list[CertaintyStep], of: str, why_not: str) -> Certainty:
    left = max(LEVELS.index(start) + sum(s.step for s in steps), 0)
    return Certainty(NOT_RATED if why_not else LEVELS[left], start, tuple(steps), of, why_not)


def _computed(domain: str, rated: Rated) -> CertaintyStep:
    return CertaintyStep(domain, int(rated[0]), rated[1], COMPUTED)


# Risk of bias: by weight.


def weights_of(pool: Pool) -> np.ndarray:
    """The part that each study has in a result, summing to 1: its weight, or its participants where nothing is pooled.

    Parameters
    ----------
    pool : Pool
        With a study.

    Returns
    -------
    ndarray, shape (k,)
    """
    weight = pool.rows.weight.to_numpy(float)
    if not np.isfinite(weight).all() or weight.sum() <= 0:
        weight = participants_of(pool)
    return weight / weight.sum()


def participants_of(pool: Pool) -> np.ndarray:
    """Number of participants of each study, those of its control arm included."""
    return pool.rows.n.to_numpy(float) + pool.rows.n_control.fillna(0).to_numpy(float)


def risk_of_bias(
    base: EvidenceBase, studies: Sequence[str], weights: np.ndarray, outcome: str
) -> tuple[CertaintyStep, str]:
    """The step for risk of bias by recorded judgements, and why the certainty cannot be rated (empty if it can).

    Of two readings of a study the graver counts. A study that was not judged counts as not judged and takes no step;
    with less than the stated part of the weight judged nothing is rated.

    Parameters
    ----------
    base : EvidenceBase
    studies : sequence of str
        Rows of studies.csv; empty for a result that is in no table.
    weights : ndarray, shape (k,)
        The part of each in the result, summing to 1.
    outcome : str
        By its name in the protocol.

    Returns
    -------
    tuple of CertaintyStep and str
    """
    rules = base.protocol["certainty"]["risk_of_bias"]
    judged = [overall(base.evidence.judgements, study, outcome) for study in studies]
    known = float(sum(w for w, one in zip(weights, judged, strict=True) if one))
    found = [one for one in judged if one]
    if not studies or known < rules["judged"] - 1e-9:
        words = f"not rated, {len(found)} of {len(studies)} studies judged"
        return CertaintyStep("risk of bias", 0, words, COMPUTED), words
    return _as_judged(judged, weights, rules), ""


def _as_judged(judged: list[ReportJudgement | None], weights: np.ndarray, rules: Mapping[str, Any]) -> CertaintyStep:
    """A step where studies at high (or critical) risk have more than the stated part of the weight."""
    grave = np.array([-1 if one is None else one.grave for one in judged])
    high, critical = (float(weights[grave >= level].sum()) for level in (HIGH, CRITICAL))
    step = rules["critical"] if critical > rules["share"] else rules["high"] if high > rules["share"] else 0
    names = dict.fromkeys(name for one in judged if one for name in one.reviewers)
    worse = f" ({100 * critical:.0f}% critical)" if critical else ""
    words = f"{100 * high:.0f}% of the weight at high, serious or critical risk{worse}, limit {100 * rules['share']:g}%"
    if missing_ones := int((grave < 0).sum()):
        words += f"; {missing_ones} of {len(judged)} not judged"
    return CertaintyStep("risk of bias", step, words, f"recorded judgements of {reviewers_words(names)}")


# Inconsistency, imprecision, indirectness.


def inconsistency(pool: Pool, rules: Mapping[str, Any]) -> Rated:
    """Do the studies differ by more than chance?

    Three and more: -1 if I² reaches the limit and the intervals of two studies do not overlap; for proportions also if
    the prediction interval of a similar centre includes values below 50% and above 150% of the estimate while the
    interval of the mean does not. Two side by side: -1 if their intervals do not overlap; I² of two studies is not
    used. One study: not assessed.
    """
    if pool.k < 2:
        return 0, f"one study: {NOT_ASSESSED}"
    step, limit = rules["inconsistency"]["step"], rules["inconsistency"]["I2"]
    apart = float(pool.rows.ci_lb.max()) > float(pool.rows.ci_ub.min())
    words = f"intervals of {'two' if pool.k > 2 else 'the two'} studies {'do not overlap' if apart else 'overlap'}"
    if not pool.is_pooled:
        if pool.k == 2:
            return (step if apart else 0), words
        return 0, f"no events, not pooled: {NOT_ASSESSED}"
    if pool.measure == "PLO" and (said := _spread(pool, rules)):
        return step, said
    i2 = pool.I2
    if math.isnan(i2):
        return 0, f"I² cannot be given: {NOT_ASSESSED}"
    known = f"I² {i2:.0f}%, limit {limit:g}%; {words if apart else 'all intervals overlap'}"
    return (step if i2 >= limit and apart else 0), known


def _spread(pool: Pool, rules: Mapping[str, Any]) -> str:
    """What is said where a similar centre may see less than half and more than half as much again; else empty."""
    if pool.bayes is None:
        return ""
    few, many = rules["imprecision"]["proportion"]
    middle = pool.shown(float(pool.fit.beta))
    low, high, lower, upper = (
        pool.shown(float(getattr(pool.bayes, name))) for name in ("pi_lb", "pi_ub", "ci_lb", "ci_ub")
    )
    wide = low < few * middle and high > many * middle
    mean_too = lower < few * middle and upper > many * middle
    words = f"a similar centre may see {low:.0f} to {high:.0f}%, below {100 * few:g}% and above {100 * many:g}%"
    return f"{words} of {middle:.0f}%" if wide and not mean_too else ""


def answer_of(pool: Pool) -> ShownEstimate:
    """The result that imprecision is rated on.

    The pool's; of studies that are not pooled that of the one with most participants.

    Parameters
    ----------
    pool : Pool
        With a study.

    Returns
    -------
    ShownEstimate
        In percentage points (HbA1c, difference of proportions), the unit of the outcome, or percent.
    """
    if pool.fit is not None and (pool.is_pooled or pool.k == 1):
        return ShownEstimate(*(pool.shown(float(getattr(pool.fit, name))) for name in ("beta", "ci_lb", "ci_ub")), "")
    row = pool.rows.iloc[int(participants_of(pool).argmax())]
    return ShownEstimate(*(pool.shown(float(row[name])) for name in ("yi", "ci_lb", "ci_ub")), str(row.label))


def imprecision(pool: Pool, protocol: Any) -> Rated:
    """Is the interval too wide for an answer, or are there too few participants or events?

    Differences and changes: -1 if the interval includes no effect or the smallest important benefit, -2 if it also
    includes as much harm; -1 for fewer participants than one trial needs. Proportions: -1 if the interval crosses 50%
    or 150% of the estimate, -2 if both; -1 for fewer events than stated. At most -2 together. Studies that are not
    pooled: the interval is that of the study with most participants; participants and events are summed.
    """
    rules = protocol["certainty"]["imprecision"]
    answer = answer_of(pool)
    whose = f"the {pool.level_words} interval{f' of {answer.study}' * bool(answer.study)}"
    by_interval = _of_proportion if pool.measure == "PLO" else _of_difference
    step, words = by_interval(pool, answer, rules, protocol)
    size, few = _too_few(pool, rules, protocol) if step > rules["most"] else (0, "")
    reasons = "; ".join(part for part in (f"{whose}, {answer.low:.3g} to {answer.high:.3g}, {words}", few) if part)
    return max(step + size, rules["most"]), reasons


def important(pool: Pool, protocol: Any) -> float:
    """The smallest important benefit of an outcome, 0 or more, on the reader's scale; NaN where the review has none.

    HbA1c: the threshold of the protocol, in percentage points. A difference of proportions: the protocol's bound, in
    percentage points.
    """
    if pool.measure == "RD":
        return float(protocol["certainty"]["imprecision"]["risk_difference"])
    if pool.question.outcome == "hba1c":
        return float(protocol["thresholds"]["hba1c_matters"]["value"])
    return math.nan


def _of_difference(pool: Pool, answer: ShownEstimate, rules: Mapping[str, Any], protocol: Any) -> Rated:
    least, step = important(pool, protocol), rules["step"]
    better = protocol.outcome(pool.question.outcome).better
    benefit = least if better == "higher" else -least
    held = {
        "no effect": answer.low <= 0 <= answer.high,
        f"{benefit:+g} points (the smallest important benefit)": answer.low < benefit < answer.high,
    }
    included = [name for name, holds in held.items() if holds]
    if not included:
        return 0, "excludes no effect" + ("" if math.isnan(least) else " and the smallest important benefit")
    words = f"includes {' and '.join(included)}"
    if answer.low < -benefit < answer.high:
        return 2 * step, f"{words} and as much harm"
    return step, words


def _of_proportion(pool: Pool, answer: ShownEstimate, rules: Mapping[str, Any], protocol: Any) -> Rated:
    few, many = (factor * answer.estimate for factor in rules["proportion"])
    crossed = [
        f"{100 * factor:g}%"
        for factor, edge in zip(rules["proportion"], (few, many), strict=True)
        if answer.low < edge < answer.high or (answer.estimate == 0 and factor > 1 and answer.high > 0)
    ]
    words = f"crosses {' and '.join(crossed)} of the estimate" if crossed else "stays near the estimate"
    return rules["step"] * len(crossed), words


def _too_few(pool: Pool, rules: Mapping[str, Any], protocol: Any) -> Rated:
    """Too few events of a proportion, or fewer participants than one trial needs to find a difference."""
    if pool.measure == "PLO":
        events = float(pool.rows.events.sum())
        few = events < rules["events"]
        return (
            (rules["step"], f"{events:g} events, fewer than {rules['events']:g}") if few else (0, f"{events:g} events")
        )
    needed = optimal_size(pool, protocol)
    if math.isnan(needed):
        return 0, ""
    few = pool.patients < needed
    words = f"{pool.patients:.0f} participants, one trial needs {needed:.0f}"
    return (rules["step"] if few else 0), words


def optimal_size(pool: Pool, protocol: Any) -> float:
    """Participants of one trial of two equal arms that finds the smallest important difference.

    Power and two-sided level are those of the protocol. Measured values: the SD as the studies' variances imply it,
    averaged over participants, t test. Proportions: from the events in the control arms, normal approximation on the
    arcsine scale. By ``statsmodels.stats.power``. Guyatt and others 2011 (GRADE guidelines 6),
    https://doi.org/10.1016/j.jclinepi.2011.01.012.

    Parameters
    ----------
    pool : Pool
    protocol : Protocol

    Returns
    -------
    float
        Both arms together; NaN for a result within arms, and for an outcome without a smallest important benefit.
    """
    rules, least = protocol["certainty"]["imprecision"], important(pool, protocol)
    if pool.measure not in COMPARES or math.isnan(least):
        return math.nan
    if pool.measure == "RD":
        control = float(pool.rows.events_control.sum() / pool.rows.n_control.sum())
        other = control + least / 100 if control <= 0.5 else control - least / 100
        return 2 * arm_of_proportions(control, other, rules["power"], rules["alpha"])
    n, control = (pool.rows[c].to_numpy(float) for c in ("n", "n_control"))
    per_patient = pool.rows.vi.to_numpy(float) * n * control / (n + control)
    sd = math.sqrt(np.average(per_patient, weights=n + control))
    return 2 * arm_of_means(least / sd, rules["power"], rules["alpha"])


OWN_QUESTION = "rated against the review's own question"
UPPER_BOUND = "upper bound: the most favourable figure of each report"


def is_upper_bound(pool: Pool, protocol: Any) -> bool:
    """Whether a pool is made of the most favourable figure of each report, for an outcome that is a benefit."""
    favourable = pool.measure == "PLO" and pool.question.estimand == "most_favourable"
    return favourable and protocol.outcome(pool.question.outcome).better == "higher"


def indirectness(pool: Pool, protocol: Any) -> Rated:
    """Against the review's question: the most favourable figures of reports answer another one, with a step down."""
    if is_upper_bound(pool, protocol):
        return protocol["certainty"]["indirectness"]["upper_bound"], UPPER_BOUND
    return 0, OWN_QUESTION


# Missing results.


def missing(base: EvidenceBase, pool: Pool) -> Rated:
    """Are results missing that would change the answer?

    Suspected, -1, where more than the stated part of the registered, completed trials of the product and population
    have no results (ROB-ME, Page and others 2023, https://doi.org/10.1136/bmj-2023-076754). From ten studies on also
    where small studies show other results (:func:`regression_on_size`).
    """
    rules = base.protocol["certainty"]
    completed, silent = registered_results(base, pool.question.population, pool.question.product)
    limit, step = rules["missing_results"]["share"], rules["missing_results"]["step"]
    suspected = completed > 0 and silent > limit * completed
    words = f"{silent} of {completed} registered, completed trials without results, limit {100 * limit:g}%"
    slanted, by_size = small_study(pool, rules)
    return (step if suspected or slanted else 0), f"{words}; {by_size}"


def small_study(pool: Pool, rules: Mapping[str, Any]) -> Rated:
    """Do small studies show other results? Regression on size, from ten studies on.

    At least ten: Sterne and others 2011, https://doi.org/10.1136/bmj.d4002.
    """
    fewest, limit = rules["small_study"]["fewest"], rules["small_study"]["p"]
    if pool.k < fewest or not pool.is_pooled:
        return 0, f"small-study effects: {pool.k} studies, fewer than {fewest}, {NOT_ASSESSED}"
    p = float(regression_on_size(pool).p)
    by = "1 / n" if pool.measure in ("PLO", "RD") else "standard error"
    words = f"regression on {by}: P = {p:.2g}, limit {limit:g}"
    return (rules["small_study"]["step"] if p < limit else 0), words


def regression_on_size(pool: Pool) -> Any:
    """The regression test that fits the measure of a pool.

    Differences and changes: on the standard error (Egger and others 1997, https://doi.org/10.1136/bmj.315.7109.629).
    Proportions: logits on 1 / n, because the standard error of a logit follows from the proportion itself (Hunter and
    others 2014, https://doi.org/10.1016/j.jclinepi.2014.03.003).

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    cellclaims.robustness.RegressionTest
    """
    rows = pool.rows
    if pool.measure in ("MD", "MC"):
        return robustness.egger(rows.yi.to_numpy(float), rows.vi.to_numpy(float))
    n = participants_of(pool)
    if pool.measure == "RD":
        return robustness.egger(rows.yi.to_numpy(float), rows.vi.to_numpy(float), ni=n, predictor="ninv")
    x = rows.events.to_numpy(float) + 0.5  # half a patient each way, so that nobody and everybody have a logit
    left = n + 1 - x
    return robustness.egger(np.log(x / left), 1 / x + 1 / left, ni=n, model="rma", predictor="ninv")


# One question with its answer and its certainty.


@dataclass(frozen=True)
class AnsweredQuestion:
    """What was asked, the result with and without cells, and how sure it is: one line of a summary of findings.

    Attributes
    ----------
    title, population : str
        What was asked, and in whom, in words.
    outcome : str
        The outcome in the words of the protocol.
    effect : Pool
        What is rated: the comparison where a randomised control measures or counts the outcome, else the result within
        the arms that got cells; for a question about the controls, their own result.
    with_cells : Pool or None
        None for a question about what happens without cells.
    without : Pool or None
        None where no randomised control measures or counts the outcome.
    certainty : Certainty
        That of ``effect``.
    """

    title: str
    population: str
    outcome: str
    effect: Pool
    with_cells: Pool | None
    without: Pool | None
    certainty: Certainty

    @property
    def pools(self) -> list[Pool]:
        """Every pool of the line once, the effect first."""
        known = {id(p): p for p in (self.effect, self.with_cells, self.without) if p is not None}
        return list(known.values())

    @property
    def is_comparison(self) -> bool:
        """Whether arms are compared."""
        return self.effect.measure in COMPARES


def answered(base: EvidenceBase, question: Question, name: str, title: str) -> AnsweredQuestion:
    """The answer to one question with its certainty: against untreated arms where randomised studies report it.

    Randomised and other studies are never one comparison unless the question names its designs. A question about
    control arms (``arms="control"``) is answered by their own results, what happens without cells.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    name, title : str
        What the pools are called in files (with an ending for each), and in figures and tables.

    Returns
    -------
    AnsweredQuestion
    """
    compare, within = map(Analysis, ("MD", "MC") if is_measured(base, question) else ("RD", "PLO"))
    people = " or ".join(base.protocol["eligibility"]["populations"][p] for p in question.population)
    outcome = base.protocol.outcome(question.outcome).name
    if question.arms == "control":
        without = pooled(base, question.named(f"{name}_control", title), within)
        return AnsweredQuestion(title, people, outcome, without, None, without, certainty_of_pool(base, without))
    randomised = question if question.designs else replace(question, designs=("rct",))
    effect = pooled(base, randomised.named(f"{name}_difference", f"{title}: cells minus control"), compare)
    if effect.k:
        others = set(base.evidence.studies.study_id) - set(effect.rows.study_id)
        same = replace(randomised, exclude=tuple(sorted(others | set(question.exclude))))
        with_cells, without = (
            pooled(base, replace(same, arms=arms, name=f"{name}_{arms}", title=f"{title}: {words}"), within)
            for arms, words in (("cells", "with cells"), ("control", "without cells"))
        )
    else:
        words = f"{title}, most favourable report of each study" if question.estimand == "most_favourable" else title
        effect = with_cells = pooled(base, question.named(f"{name}_cells", words), within)
        without = None
    if is_upper_bound(effect, base.protocol):
        title = f"{title}, upper bound"
    return AnsweredQuestion(title, people, outcome, effect, with_cells, without, certainty_of_pool(base, effect))


def is_measured(base: EvidenceBase, question: Question) -> bool:
    """Whether an outcome is a measured value (means) and not a count of participants."""
    return question.outcome in set(base.evidence.continuous.outcome)
