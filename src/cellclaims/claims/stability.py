"""How often the verdict on a claim stays the same, over all choices that a fair reviewer could have made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pandas as pd
from scipy.special import logit

from cellclaims.appraisal import LEVELS, certainty_of_pool
from cellclaims.claims.rates import POOLED, claim_of, counterpart_pool, plan_of, question_of, threshold_of
from cellclaims.claims.verdict import Standing, verdict
from cellclaims.pools import Pool
from cellclaims.protocol import Protocol
from cellclaims.specifications import Curve, Fitted, fitted
from cellclaims.tables import Evidence

Rows = Callable[[int], pd.DataFrame]


def curves(evidence: Evidence, protocol: Protocol, claim_ids: Iterable[str] | None = None) -> dict[str, Curve]:
    """The specification curve of each claim that a pool answers; claims that ask the same question share the fits.

    Parameters
    ----------
    evidence : Evidence
    protocol : Protocol
    claim_ids : iterable of str, optional
        All claims if not given.

    Returns
    -------
    dict
        By claim; without the claims that no pool answers.
    """
    known: dict[tuple[Any, ...], Fitted] = {}
    found = {}
    for claim_id in evidence.claims.claim_id if claim_ids is None else claim_ids:
        claim = claim_of(evidence, claim_id)
        plan = plan_of(protocol, claim)
        if plan["kind"] not in POOLED:
            continue
        question = question_of(evidence, claim, plan)
        if (question, plan["kind"]) not in known:
            known[question, plan["kind"]] = fitted(evidence, protocol, question, plan["kind"])
        pool = counterpart_pool(evidence, protocol, claim_id)
        found[claim_id] = known[question, plan["kind"]].judged(_rule(protocol, claim, plan, pool))
    return found


def curve_of_claim(evidence: Evidence, protocol: Protocol, claim_id: str) -> Curve | None:
    """The specification curve of the counterpart of one claim; None where no pool answers it."""
    return curves(evidence, protocol, [claim_id]).get(claim_id)


def stability(evidence: Evidence, protocol: Protocol, claim_id: str) -> tuple[float | None, int]:
    """Share of distinct specifications with the verdict of the review's own, and their number; None where no pool
    answers the claim.
    """
    curve = curve_of_claim(evidence, protocol, claim_id)
    return (None, 0) if curve is None else curve.stability


def _rule(protocol: Protocol, claim: Any, plan: dict[str, Any], pool: Pool) -> Callable[..., Sequence[str]]:
    """The verdict rule of the protocol as a function of the lines of a curve."""
    value = None if math.isnan(claim.value) else float(claim.value)
    threshold = threshold_of(protocol, plan, value)
    lower = protocol.outcome(plan["definition"]).better == "lower"
    measurable = claim.definition_stated != "no" or claim.kind == "outcome"
    grades = {what: grade for what, (grade, _) in plan["match"].items()}

    def standing(line: Any, certainty: str) -> Standing:
        made = Standing(
            measurable=measurable,
            k=int(line.k),
            claim=threshold,
            ci_lb=line.ci_lb,
            ci_ub=line.ci_ub,
            pi_ub=line.pi_ub,
            population=line.population_grade or grades["population"],
            outcome=line.outcome_grade or grades["outcome"],
            randomised=bool(line.randomised),
            certainty=certainty,
        )
        return made.mirrored(line.pi_lb) if lower else made

    def decide(lines: pd.DataFrame, rows: Rows) -> list[str]:
        decided = []
        for line in lines.itertuples():
            # Certainty matters to few lines: those whose verdict it can change.
            least, most = (verdict(standing(line, level), protocol["verdict"])[0] for level in (LEVELS[0], LEVELS[-1]))
            if least != most:
                level = _certainty(protocol, plan, pool, line, rows(line.row_set))
                least = verdict(standing(line, level), protocol["verdict"])[0]
            decided.append(least)
        return decided

    return decide


def _certainty(protocol: Protocol, plan: dict[str, Any], pool: Pool, line: Any, rows: pd.DataFrame) -> str:
    """Certainty of one line, by the rules that hold for every pool."""
    limits = (line.ci_lb, line.ci_ub)
    if pool.scale == "logit":
        limits = tuple(float(logit(limit / 100)) for limit in limits)
    fit = SimpleNamespace(ci_lb=limits[0], ci_ub=limits[1], I2=line.I2)
    grades = {"population": line.population_grade, "outcome": line.outcome_grade}
    match = {what: (grades.get(what) or grade, reason) for what, (grade, reason) in plan["match"].items()}
    return certainty_of_pool(replace(pool, rows=rows, fit=fit), match, protocol).level
