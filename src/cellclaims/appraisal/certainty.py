"""Certainty of a body of evidence by GRADE, from computed facts and recorded judgements.

Imprecision, inconsistency and small-study effects are computed by the rules of ``protocol.yml``
(:mod:`cellclaims.appraisal.domains`); risk of bias starts from a default by design until reviewers' judgements are
recorded for all reports, and indirectness from the recorded match. Every step down is kept with its reason and who
judged it, so that a default never passes for a judgement. Nothing is rated up.

GRADE: Guyatt and others 2008, https://doi.org/10.1136/bmj.39489.470347.AD.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cellclaims.appraisal import domains
from cellclaims.appraisal.domains import COMPARES, Pooled, Rated
from cellclaims.appraisal.judgements import CRITICAL, HIGH, Judged, overall
from cellclaims.protocol import Protocol

LEVELS = ("very low", "low", "moderate", "high")
#: Who judged a step: a rule on computed facts, a default that no reviewer judged, a recorded grade or judgement.
COMPUTED, DEFAULT, RECORDED = "computed", "default by design, not judged by a reviewer", "recorded grade"
OWN_QUESTION = "asked for its own population, product, outcome and time"


@dataclass(frozen=True)
class Step:
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
    steps: tuple[Step, ...]


def certainty_of_pool(
    pool: Pooled, match: Mapping[str, Any], protocol: Protocol, judgements: pd.DataFrame | None = None
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
        _computed("imprecision", domains.imprecision(pool, protocol)),
        _computed("inconsistency", domains.inconsistency(pool, rules)),
        _indirectness(match, rules),
        _computed("small-study effects", domains.small_study(pool, rules)),
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

    ``studies`` names those that stand in studies.csv, for recorded judgements; each counts alike.
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
        _computed("small-study effects", (0, f"not pooled: {domains.NOT_ASSESSED}")),
    ]
    return _from(randomised, steps, rules)


def _from(randomised: bool, steps: list[Step], rules: Mapping[str, Any]) -> Certainty:
    start = rules["start"]["randomised" if randomised else "otherwise"]
    left = LEVELS.index(start) + sum(s.step for s in steps)
    return Certainty(LEVELS[max(left, 0)], start, tuple(steps))


def _computed(domain: str, rated: Rated) -> Step:
    return Step(domain, int(rated[0]), rated[1], COMPUTED)


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
) -> Step:
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
    return Step("risk of bias", rules["risk_of_bias"]["randomised" if randomised else "otherwise"], reason, DEFAULT)


def _as_judged(judged: list[Judged], weights: np.ndarray, rules: Mapping[str, Any]) -> Step:
    """A step where reports at high (or critical) risk carry more than the stated share of the weight."""
    grave = np.array([one.grave for one in judged])
    high, critical = (float(weights[grave >= level].sum()) for level in (HIGH, CRITICAL))
    step = rules["critical"] if critical > rules["share"] else rules["high"] if high > rules["share"] else 0
    names = ", ".join(dict.fromkeys(name for one in judged for name in one.reviewers))
    words = f"{100 * high:.0f} % of the weight in reports judged at high risk, limit {100 * rules['share']:g} %"
    return Step("risk of bias", step, words, f"recorded judgements of {names}")


def _indirectness(match: Mapping[str, Any], rules: Mapping[str, Any]) -> Step:
    if not match:
        return Step("indirectness", 0, OWN_QUESTION, COMPUTED)
    known = rules["indirectness"]
    steps = {what: known.get(grade, 0) for what, (grade, _) in match.items()}
    down = [what for what, step in steps.items() if step]
    reason = f"poor match in {' and '.join(down)}" if down else "no poor match"
    return Step("indirectness", max(sum(steps.values()), known["most"]), reason, RECORDED)
