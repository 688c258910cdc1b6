"""Certainty of a body of evidence by GRADE, from computed facts and recorded judgements.

Imprecision, inconsistency and small-study effects are computed by the rules of ``protocol.yml``
(:mod:`cellclaims.appraisal.certainty`); risk of bias starts from a default by design until reviewers' judgements are
recorded for all reports, and indirectness from the recorded match. Every step down is kept with its reason and who
judged it, so that a default never passes for a judgement. Nothing is rated up.

GRADE: Guyatt and others 2008, https://doi.org/10.1136/bmj.39489.470347.AD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

from cellclaims import robustness
from cellclaims.appraisal.judgements import CRITICAL, HIGH, ReportJudgement, overall, reviewers_words
from cellclaims.pool import Pool, pooled
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.selection import EvidenceBase, Question

# GRADE domains that are computed from a pool: imprecision, inconsistency and small-study effects.
#
# Each gives how many levels it takes away (0 or less) and why, by the rules of ``protocol.yml``, section
# ``certainty``.


#: Measures that compare arms; every other is a result within the arms that got cells.
COMPARES = ("MD", "RD")
#: How the reason of a domain ends that could not be looked at.
NOT_ASSESSED = "not assessed"
#: A step down (0 or less) and its reason.
Rated = tuple[int, str]


def imprecision(pool: Pool, protocol: Protocol) -> Rated:
    """Few reports, and an interval that holds more than one answer; the larger step is taken.

    The target is the smallest change that matters where there is one (HbA1c), as in Core GRADE 2
    (https://doi.org/10.1136/bmj-2024-081904), else the width of the interval. Two levels where the interval crosses two
    thresholds (GRADE guidance 34: minimally contextualised).
    """
    rules = protocol["certainty"]["imprecision"]
    few = pool.k == 0 or pool.is_few
    by_number = (rules["few_reports"], _count(pool.k)) if few else (0, "")
    by_interval = _by_interval(pool, protocol) if pool.fit is not None else (0, "")
    words = "; ".join(w for w in (by_number[1], by_interval[1]) if w)
    return min(by_number[0], by_interval[0]), words


def _by_interval(pool: Pool, protocol: Protocol) -> Rated:
    low, high = shown_limits(pool)
    if np.isnan(low) or np.isnan(high):
        return protocol["certainty"]["imprecision"]["very_wide"], "no interval can be given"
    if in_points(pool) and pool.question.outcome == "hba1c":
        return _against_what_matters(pool, low, high, protocol)
    step, words = _by_width(pool, high - low, protocol["certainty"])
    if pool.measure in COMPARES and low < 0 < high:
        return min(step, protocol["certainty"]["imprecision"]["wide"]), f"{words}; it holds no difference"
    return step, words


def in_points(pool: Pool) -> bool:
    """Whether the pool is of measured values (for HbA1c percentage points) and not of shares of patients."""
    return pool.measure in ("MD", "MC")


def shown_limits(pool: Pool) -> tuple[float, float]:
    """The 95 % limits in percentage points of HbA1c, or in per cent of patients."""
    return tuple(pool.shown(float(limit)) for limit in (pool.fit.ci_lb, pool.fit.ci_ub))


def _against_what_matters(pool: Pool, low: float, high: float, protocol: Protocol) -> Rated:
    rules, least = protocol["certainty"]["imprecision"], float(protocol["thresholds"]["hba1c_matters"]["value"])
    interval = f"the {pool.level_words} interval, {low:.2f} to {high:.2f},"
    held = [edge for edge in (-least, least) if low < edge < high]
    important = "the threshold for clinical importance"
    if len(held) == 2:
        return rules["very_wide"], f"{interval} includes a fall and a rise of {least:g} points, {important}"
    if held:
        return rules["wide"], f"{interval} includes {held[0]:g} points, {important}"
    needed = optimal_size(pool, least, protocol["certainty"]["power"])
    if pool.patients < needed:
        return rules["wide"], f"{pool.patients:.0f} patients, {needed:.0f} needed to find {least:g} points in one trial"
    return 0, f"{interval} lies on one side of {important}"


def optimal_size(pool: Pool, least: float, power: float) -> float:
    """Patients of one trial of two equal arms that finds a difference of ``least`` with that power, two-sided 5 %.

    n an arm = 2 (z_0.975 + z_power)^2 SD^2 / least^2, the SD as the reports' variances imply it; 0 for a change within
    an arm. Guyatt and others 2011 (GRADE 6), https://doi.org/10.1016/j.jclinepi.2011.01.012.
    """
    if pool.measure != "MD":
        return 0.0
    n, control = (pool.rows[c].to_numpy(float) for c in ("n", "n_control"))
    per_patient = pool.rows.vi.to_numpy(float) * n * control / (n + control)
    sd2 = np.average(per_patient, weights=n + control)
    return float(4 * (ndtri(0.975) + ndtri(power)) ** 2 * sd2 / least**2)


def _by_width(pool: Pool, width: float, rules: Mapping[str, Any]) -> Rated:
    """Wider than the limit, or than twice the limit; patients in 100 for shares."""
    unit, said = ("percentage points",) * 2 if in_points(pool) else ("percent", "patients in 100")
    limit = rules["wide"][unit]
    words = f"the {pool.level_words} interval spans {width:.3g} {said}, limit {limit:g}"
    step = "very_wide" if width > 2 * limit else "wide" if width > limit else ""
    return rules["imprecision"][step] if step else 0, words


def inconsistency(pool: Pool, rules: Mapping[str, Any]) -> Rated:
    """I² above the limit, or two reports of a difference whose intervals lie on opposite sides of none."""
    if pool.fit is None or pool.k < 2:
        return 0, f"one report or none: {NOT_ASSESSED}"
    step, limit, i2 = rules["inconsistency"]["step"], rules["inconsistency"]["I2"], float(pool.fit.I2)
    if in_points(pool) or pool.measure in COMPARES:
        below, above = (pool.rows.ci_ub < 0).any(), (pool.rows.ci_lb > 0).any()
        if below and above:
            return step, "intervals of the reports lie on opposite sides of no difference"
    if np.isnan(i2):
        return 0, f"I² cannot be given: {NOT_ASSESSED}"
    return (step if i2 > limit else 0), f"I² {i2:.0f} %, limit {limit:g} %"


def small_study(pool: Pool, rules: Mapping[str, Any]) -> Rated:
    """Do small reports show other results? Regression on size, from ten reports on.

    Differences and changes: on the standard error (Egger and others 1997, https://doi.org/10.1136/bmj.315.7109.629).
    Shares: logits on 1 / n, because the standard error of a logit follows from the share itself (Hunter and others
    2014, https://doi.org/10.1016/j.jclinepi.2014.03.003). At least ten: Sterne and others 2011,
    https://doi.org/10.1136/bmj.d4002.
    """
    fewest, limit = rules["small_study"]["fewest"], rules["small_study"]["p"]
    if pool.k < fewest:
        return 0, f"{_count(pool.k)}, fewer than {fewest}: {NOT_ASSESSED}"
    p = float(regression_on_size(pool).p)
    by = "standard error" if in_points(pool) else "1 / n"
    words = f"regression on {by}: P = {p:.2g}, limit {limit:g}"
    return (rules["small_study"]["step"] if p < limit else 0), words


def regression_on_size(pool: Pool) -> Any:
    """The regression test that fits the measure of a pool (:class:`cellclaims.robustness.RegressionTest`)."""
    rows = pool.rows
    if in_points(pool):
        return robustness.egger(rows.yi.to_numpy(float), rows.vi.to_numpy(float))
    n = rows.n.to_numpy(float) + rows.n_control.fillna(0).to_numpy(float)
    if pool.measure == "RD":
        return robustness.egger(rows.yi.to_numpy(float), rows.vi.to_numpy(float), ni=n, predictor="ninv")
    x = rows.events.to_numpy(float) + 0.5  # half a patient each way, so that nobody and everybody have a logit
    left = n + 1 - x
    return robustness.egger(np.log(x / left), 1 / x + 1 / left, ni=n, model="rma", predictor="ninv")


def _count(k: int) -> str:
    return f"{k} report{'s' * (k != 1)}"


LEVELS = ("very low", "low", "moderate", "high")
#: Who judged a step: a rule on computed facts, a default that no reviewer judged, a recorded grade or judgement.
COMPUTED, DEFAULT, RECORDED = "computed", "default by design, not judged by a reviewer", "recorded grade"
OWN_QUESTION = "asked for its own population, product, outcome and time"


@dataclass(frozen=True)
class CertaintyStep:
    """One domain: how many levels it takes away (0 or less), why, and who judged it."""

    domain: str
    step: int
    reason: str
    judged_by: str


@dataclass(frozen=True)
class Certainty:
    """The level that remains, where it started, and the steps in between."""

    level: str
    start: str
    steps: tuple[CertaintyStep, ...]


def certainty_of_pool(
    pool: Pool, match: Mapping[str, Any], protocol: Protocol, judgements: pd.DataFrame | None = None
) -> Certainty:
    """Certainty of a pooled (or single) result.

    Parameters
    ----------
    pool : Pool
    match : mapping
        Recorded grade and reason for population, product, outcome and time; empty where the result is asked for its
        own question and nothing is indirect.
    protocol : Protocol
    judgements : DataFrame, optional
        judgements.csv: they take the place of the default once every report of the pool is judged.
    """
    rules = protocol["certainty"]
    compares = pool.measure in COMPARES
    randomised = compares and pool.k > 0 and bool((pool.rows.design == "rct").all())
    weights = _shares(pool.rows.weight.to_numpy(float)) if pool.k else np.array([])
    steps = [
        _risk_of_bias(
            list(pool.rows.study_id), weights, pool.question.outcome, randomised, compares, rules, judgements
        ),
        _computed("imprecision", imprecision(pool, protocol)),
        _computed("inconsistency", inconsistency(pool, rules)),
        _indirectness(match, rules),
        _computed("small-study effects", small_study(pool, rules)),
    ]
    return _from(randomised, steps, rules)


def certainty_of_reports(
    k: int,
    randomised: bool,
    agree: bool,
    match: Mapping[str, Any],
    protocol: Protocol,
    studies: Sequence[str] = (),
    judgements: pd.DataFrame | None = None,
) -> Certainty:
    """Certainty of reports that are counted by direction and not pooled.

    ``studies`` names those of studies.csv, for recorded judgements; each counts alike.
    """
    rules = protocol["certainty"]
    few = rules["imprecision"]["few_reports"] if k <= protocol["models"]["few_reports"] else 0
    apart = 0 if agree else rules["inconsistency"]["step"]
    words = "the reports agree in direction" if agree else "the reports differ in direction"
    weights = np.full(k, 1 / max(k, 1))
    named = [*studies, *[""] * (k - len(studies))]
    steps = [
        _risk_of_bias(named, weights, "", randomised, True, rules, judgements),
        _computed("imprecision", (few, f"{k} reports, not pooled")),
        _computed("inconsistency", (apart, words)),
        _indirectness(match, rules),
        _computed("small-study effects", (0, f"not pooled: {NOT_ASSESSED}")),
    ]
    return _from(randomised, steps, rules)


def _from(randomised: bool, steps: list[CertaintyStep], rules: Mapping[str, Any]) -> Certainty:
    start = rules["start"]["randomised" if randomised else "otherwise"]
    left = LEVELS.index(start) + sum(s.step for s in steps)
    return Certainty(LEVELS[max(left, 0)], start, tuple(steps))


def _computed(domain: str, rated: Rated) -> CertaintyStep:
    return CertaintyStep(domain, int(rated[0]), rated[1], COMPUTED)


def _shares(weights: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(weights)
    return known / known.sum() if known.sum() > 0 else np.full(len(weights), 1 / len(weights))


def _risk_of_bias(
    studies: list[str],
    weights: np.ndarray,
    outcome: str,
    randomised: bool,
    compares: bool,
    rules: Mapping[str, Any],
    judgements: pd.DataFrame | None,
) -> CertaintyStep:
    """The default by design, or the recorded judgements once there is one for every report."""
    judged = [] if judgements is None else [overall(judgements, study, outcome) for study in studies]
    found = [one for one in judged if one]
    if studies and len(found) == len(studies):
        return _as_judged(found, weights, rules["judged"])
    if randomised:
        reason = "randomised; concealment, blinding and losses not judged"
    elif compares:
        reason = "not all reports are randomised"
    else:
        reason = "no comparison: a result within the arms that got cells"
    if found:
        reason += f"; {len(found)} of {len(studies)} reports are judged"
    return CertaintyStep(
        "risk of bias", rules["risk_of_bias"]["randomised" if randomised else "otherwise"], reason, DEFAULT
    )


def _as_judged(judged: list[ReportJudgement], weights: np.ndarray, rules: Mapping[str, Any]) -> CertaintyStep:
    """A step where reports at high (or critical) risk carry more than the stated share of the weight."""
    grave = np.array([one.grave for one in judged])
    high, critical = (float(weights[grave >= level].sum()) for level in (HIGH, CRITICAL))
    step = rules["critical"] if critical > rules["share"] else rules["high"] if high > rules["share"] else 0
    names = dict.fromkeys(name for one in judged for name in one.reviewers)
    words = f"{100 * high:.0f} % of the weight in reports judged at high risk, limit {100 * rules['share']:g} %"
    return CertaintyStep("risk of bias", step, words, f"recorded judgements of {reviewers_words(names)}")


def _indirectness(match: Mapping[str, Any], rules: Mapping[str, Any]) -> CertaintyStep:
    if not match:
        return CertaintyStep("indirectness", 0, OWN_QUESTION, COMPUTED)
    known = rules["indirectness"]
    steps = {what: known.get(grade, 0) for what, (grade, _) in match.items()}
    down = [what for what, step in steps.items() if step]
    reason = f"poor match in {' and '.join(down)}" if down else "no poor match"
    return CertaintyStep("indirectness", max(sum(steps.values()), known["most"]), reason, RECORDED)


# One question with its answer and its certainty.


@dataclass(frozen=True)
class AnsweredQuestion:
    """What was asked, the result with and without cells, and how sure it is: one line of a summary of findings.

    ``effect`` is the comparison where a randomised control counts the outcome, else the result within the arms that got
    cells; ``certainty`` is that of ``effect``. ``without`` is None where no randomised control counts the outcome.
    """

    title: str
    population: str
    effect: Pool
    with_cells: Pool
    without: Pool | None
    certainty: Certainty

    @property
    def pools(self) -> list[Pool]:
        """Every pool of the line once, the effect first."""
        known = {id(p): p for p in (self.effect, self.with_cells, self.without) if p is not None}
        return list(known.values())


def answered(
    base: EvidenceBase,
    question: Question,
    name: str,
    title: str,
    match: Mapping[str, Any] | None = None,
) -> AnsweredQuestion:
    """The answer to one question with its certainty: against untreated arms where randomised studies count the outcome.

    Randomised and other studies are never one comparison unless the question names its designs.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    name, title : str
        What the pools are called in files (with an ending for each), and in figures and tables.
    match : mapping, optional
        Recorded grades of what the answer is compared with; without them the question is its own and nothing is
        indirect.

    Returns
    -------
    AnsweredQuestion
    """
    if question.estimand == "most_favourable":
        title = f"{title} (most favourable report)"
    measured = question.outcome == "hba1c"
    compare, within = map(Analysis, ("MD", "MC") if measured else ("RD", "PLO"))
    people = " or ".join(base.protocol["eligibility"]["populations"][p] for p in question.population)
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
        effect = with_cells = pooled(base, question.named(f"{name}_cells", title), within)
        without = None
    rated = certainty_of_pool(effect, match or {}, base.protocol, base.evidence.judgements)
    return AnsweredQuestion(title, people, effect, with_cells, without, rated)
