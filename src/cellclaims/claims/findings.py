"""The verdict rule of ``protocol.yml``: eight strings, the first rule that holds, with its reasons.

Written for a claim that more is better; a claim that less is better is mirrored before it comes here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Certainties that can carry the word "supported".
STRONG = ("moderate", "high")


@dataclass(frozen=True)
class Standing:
    """All that the verdict depends on; limits in the unit of the claim, NaN where they do not exist."""

    measurable: bool
    k: int
    claim: float
    ci_lb: float = math.nan
    ci_ub: float = math.nan
    pi_ub: float = math.nan
    population: str = "good"
    outcome: str = "good"
    randomised: bool = False
    conflicting: bool = False
    certainty: str = "very low"

    def mirrored(self, pi_lb: float) -> Standing:
        """The same standing for a claim that less is better: signs turned, so that one rule serves both."""
        from dataclasses import replace

        return replace(self, claim=-self.claim, ci_lb=-self.ci_ub, ci_ub=-self.ci_lb, pi_ub=-pi_lb)


def verdict(standing: Standing, rules: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The verdict and why.

    Parameters
    ----------
    standing : Standing
    rules : mapping
        Section ``verdict`` of the protocol: ``enough_reports`` and ``enough_to_contradict``.

    Returns
    -------
    tuple of (str, list of str)
        One of the eight verdicts, never empty, and its reasons in words.

    Examples
    --------
    >>> rules = {"enough_reports": 3, "enough_to_contradict": 5}
    >>> verdict(Standing(True, 2, 60, 10, 50, 55), rules)[0]
    'insufficient'
    >>> verdict(Standing(True, 5, 60, 10, 50, 55), rules)[0]
    'contradicted'
    """
    if not standing.measurable:
        return "not testable", ["no measurable outcome is claimed"]
    if math.isnan(standing.claim):
        return "not testable", ["no figure is claimed that a published one could be compared with"]
    if standing.k == 0:
        return "no evidence", ["nothing published in people was found on the claimed outcome"]
    if lacking := _insufficient(standing, rules):
        return "insufficient", lacking
    return _by_limits(standing, rules)


def _insufficient(standing: Standing, rules: Mapping[str, Any]) -> list[str]:
    enough = rules["enough_reports"]
    few = f"{standing.k} independent report{'s' if standing.k > 1 else ''} of the claimed outcome, {enough} needed"
    reasons = [few] if standing.k < enough else []
    if not reasons and (math.isnan(standing.ci_lb) or math.isnan(standing.ci_ub)):
        reasons = ["the interval of the mean cannot be estimated"]
    grades = {"population": standing.population, "outcome": standing.outcome}
    return reasons + [f"the match in {what} is poor" for what, grade in grades.items() if grade == "poor"]


def _by_limits(standing: Standing, rules: Mapping[str, Any]) -> tuple[str, list[str]]:
    claim = standing.claim
    if standing.ci_ub < claim:
        return _above(standing, rules)
    if standing.conflicting:
        return "mixed", ["randomised and uncontrolled evidence point to different answers"]
    if claim > standing.ci_lb:
        return "compatible", ["the claim lies within the 95 % confidence interval of the mean"]
    if standing.randomised and standing.certainty in STRONG:
        return "supported", [
            f"the claim is at or below the lower limit, controlled evidence, certainty {standing.certainty}"
        ]
    why = f"certainty {standing.certainty}" if standing.randomised else "no randomised evidence"
    return "compatible", [f"the claim is at or below the lower limit, but {why}"]


def _above(standing: Standing, rules: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Beyond the mean's interval. Contradicted needs enough reports and a claim that no new clinic would reach."""
    enough = rules["enough_to_contradict"]
    beyond = standing.pi_ub < standing.claim
    if beyond and standing.k >= enough:
        return "contradicted", ["the claim is above the upper 95 % prediction limit", f"{standing.k} reports"]
    within = "what a new clinic would show cannot be predicted"
    if not math.isnan(standing.pi_ub):
        within = f"a contradiction needs {enough} reports" if beyond else "the claim is within the prediction interval"
    return "above the evidence", ["the claim is above the upper 95 % confidence limit of the mean", within]
