"""How often the verdict on a claim stays the same, over all choices that a fair reviewer could have made."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from cellclaims import meta
from cellclaims.appraisal import LEVELS, certainty_of_pool
from cellclaims.claims.rates import POOLED, claim_of, counterpart_pool, plan_of, question_of, threshold_of
from cellclaims.claims.verdict import Standing, verdict
from cellclaims.meta.quantiles import normal_quantile
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
        found[claim_id] = known[question, plan["kind"]].judged(_rule(evidence, protocol, claim, plan, pool))
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


def _rule(
    evidence: Evidence, protocol: Protocol, claim: Any, plan: dict[str, Any], pool: Pool
) -> Callable[..., Sequence[str]]:
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
                known = _as_pool(pool, line, rows(line.row_set))
                level = certainty_of_pool(known, _match(plan, line), protocol, evidence.judgements).level
                least = verdict(standing(line, level), protocol["verdict"])[0]
            decided.append(least)
        return decided

    return decide


def _as_pool(pool: Pool, line: Any, rows: pd.DataFrame) -> Pool:
    """One line with its reports in the shape that certainty is rated on.

    Each report has its own normal interval, and the weight of a random-effects fit (of its patients, for counts);
    that fit's I2 speaks for a posterior, which has none.
    """
    limits, i2, weight = [line.ci_lb, line.ci_ub], line.I2, 100 * rows.n / rows.n.sum()
    if pool.scale == "logit":
        limits = [float(logit(limit / 100)) for limit in limits]
    else:
        fit = meta.fit(rows.yi.to_numpy(float), rows.vi.to_numpy(float))
        weight, i2 = fit.weights, float(fit.I2) if math.isnan(i2) else i2
    reach = normal_quantile(0.95) * np.sqrt(rows.vi.astype(float))
    rows = rows.assign(weight=weight, ci_lb=rows.yi - reach, ci_ub=rows.yi + reach).reset_index(drop=True)
    return replace(pool, rows=rows, fit=SimpleNamespace(ci_lb=limits[0], ci_ub=limits[1], I2=i2))


def _match(plan: dict[str, Any], line: Any) -> dict[str, tuple[str, str]]:
    """The recorded match, with the grade of the line's own rows where it brings one."""
    grades = {"population": line.population_grade, "outcome": line.outcome_grade}
    return {what: (grades.get(what) or grade, reason) for what, (grade, reason) in plan["match"].items()}
