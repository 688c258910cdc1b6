"""Certainty of a body of evidence by GRADE, from computed facts and recorded judgements.

Imprecision, inconsistency and small-study effects are computed by the rules of ``protocol.yml``; risk of bias starts
from a default by design until a reviewer's judgement is recorded, and indirectness from the recorded match. Every step
down is kept with its reason and who judged it, so that a default never passes for a judgement.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellclaims.pools import Pool
from cellclaims.protocol import Protocol

LEVELS = ("very low", "low", "moderate", "high")
#: Who judged a step: a rule on computed facts, a default that no reviewer judged, a recorded grade.
COMPUTED, DEFAULT, RECORDED = "computed", "default by design, not judged by a reviewer", "recorded grade"


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


def certainty_of_pool(pool: Pool, match: Mapping[str, Any], protocol: Protocol) -> Certainty:
    """Certainty of a pooled (or single) result.

    ``match`` holds the recorded grade and reason for population, product, outcome and time.
    """
    rules = protocol["certainty"]
    randomised = pool.k > 0 and bool((pool.rows.design == "rct").all())
    steps = [
        _risk_of_bias(randomised, rules),
        _imprecision(pool, protocol),
        _inconsistency(pool, rules),
        _indirectness(match, rules),
        _small_study(pool.k, rules),
    ]
    return _from(randomised, steps, rules)


def certainty_of_reports(
    k: int, randomised: bool, agree: bool, match: Mapping[str, Any], protocol: Protocol
) -> Certainty:
    """Certainty of reports that are counted by direction and not pooled."""
    rules = protocol["certainty"]
    few = k <= protocol["models"]["few_reports"]
    steps = [
        _risk_of_bias(randomised, rules),
        _computed("imprecision", few and rules["imprecision"]["few_reports"], f"{k} reports, not pooled"),
        _computed("inconsistency", not agree and rules["inconsistency"]["step"], _agreement(agree)),
        _indirectness(match, rules),
        _small_study(k, rules),
    ]
    return _from(randomised, steps, rules)


def _from(randomised: bool, steps: list[Step], rules: Mapping[str, Any]) -> Certainty:
    start = rules["start"]["randomised" if randomised else "otherwise"]
    left = LEVELS.index(start) + sum(s.step for s in steps)
    return Certainty(LEVELS[max(left, 0)], start, tuple(steps))


def _computed(domain: str, step: int | bool, reason: str) -> Step:
    return Step(domain, int(step), reason, COMPUTED)


def _risk_of_bias(randomised: bool, rules: Mapping[str, Any]) -> Step:
    kind = "randomised" if randomised else "otherwise"
    reason = (
        "randomised; concealment, blinding and losses not judged" if randomised else "not all reports are randomised"
    )
    return Step("risk of bias", rules["risk_of_bias"][kind], reason, DEFAULT)


def _imprecision(pool: Pool, protocol: Protocol) -> Step:
    rules = protocol["certainty"]
    if pool.k <= protocol["models"]["few_reports"]:
        return _computed("imprecision", rules["imprecision"]["few_reports"], f"{pool.k} report{'s' * (pool.k != 1)}")
    unit = "percent" if pool.scale == "logit" else "percentage points"
    scale = 100 if unit == "percent" else 1
    width = scale * (pool.back(pool.fit.ci_ub) - pool.back(pool.fit.ci_lb))
    wide = not width <= rules["wide"][unit]
    words = f"the 95 % interval spans {width:.3g} {unit}, limit {rules['wide'][unit]:g}"
    return _computed("imprecision", wide and rules["imprecision"]["wide"], words)


def _inconsistency(pool: Pool, rules: Mapping[str, Any]) -> Step:
    i2 = float(pool.fit.I2) if pool.fit is not None and pool.k > 1 else math.nan
    if math.isnan(i2):
        return _computed("inconsistency", 0, "one report or none: not assessed")
    limit = rules["inconsistency"]["I2"]
    return _computed(
        "inconsistency", (i2 > limit) and rules["inconsistency"]["step"], f"I² {i2:.0f} %, limit {limit} %"
    )


def _indirectness(match: Mapping[str, Any], rules: Mapping[str, Any]) -> Step:
    steps = {what: rules["indirectness"].get(grade, 0) for what, (grade, _) in match.items()}
    down = [what for what, step in steps.items() if step]
    reason = f"poor match in {' and '.join(down)}" if down else "no poor match"
    return Step("indirectness", min(steps.values(), default=0), reason, RECORDED)


def _small_study(k: int, rules: Mapping[str, Any]) -> Step:
    fewest = rules["small_study"]["fewest"]
    words = f"{k} reports, fewer than {fewest}: not assessed" if k < fewest else "see the small-study tests"
    return _computed("small-study effects", 0, words)


def _agreement(agree: bool) -> str:
    return "the reports agree in direction" if agree else "the reports differ in direction"
