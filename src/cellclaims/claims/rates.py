"""Advertised rates and HbA1c: the pools that answer them, the probabilities, the control arms, the verdict."""

from __future__ import annotations

import math
import re
from typing import Any

from scipy.special import expit, ndtr, stdtr

from cellclaims import pools
from cellclaims.claims.entry import Entry, advertised, unsaid
from cellclaims.claims.verdict import Standing, verdict
from cellclaims.meta.binomial_claims import p_mean_ge, p_new_setting_ge, p_series_ge
from cellclaims.pools import Pool
from cellclaims.protocol import Protocol
from cellclaims.selection import Question
from cellclaims.tables import Evidence

REGISTRATION = re.compile(r"ChiCTR[-\w]*\d{8}|NCT\d{8}")


def own_trials(evidence: Evidence) -> list[str]:
    """Reports of the registrations that the advertisements cite: shown beside their claims, never counted for them."""
    cited = {number for words in evidence.claims.what_is_claimed for number in REGISTRATION.findall(words)}
    studies = evidence.studies
    mine = studies.registry_id.map(lambda ids: bool(cited & set(REGISTRATION.findall(ids))))
    return sorted(studies.study_id[mine])


def counterpart_pool(evidence: Evidence, protocol: Protocol, claim_id: str) -> Pool:
    """The pool of published reports that answers an advertised figure."""
    plan = protocol["counterparts"][claim_id]
    question = _question(evidence, plan, "cells")
    title = f"{protocol.outcome(plan['definition']).name}: published reports"
    if plan["estimand"] == "mean_difference":
        return pools.difference(evidence, protocol, question, f"{claim_id}_published", title)
    return pools.proportion(evidence, protocol, question, f"{claim_id}_published", title)


def control_pool(evidence: Evidence, protocol: Protocol, claim_id: str) -> Pool:
    """The same outcome in the untreated control arms."""
    plan = protocol["counterparts"][claim_id]
    question = _question(evidence, plan, "control")
    title = f"{protocol.outcome(plan['definition']).name}: untreated control arms"
    if plan["estimand"] == "mean_difference":
        return pools.change(evidence, protocol, question, f"{claim_id}_control", title)
    return pools.proportion(evidence, protocol, question, f"{claim_id}_control", title)


def _question(evidence: Evidence, plan: dict[str, Any], arms: str) -> Question:
    """The counterpart as a question; the clinic's own trials never answer for it."""
    estimand = "at_month" if plan["estimand"] == "mean_difference" else plan["estimand"]
    designs = tuple(plan.get("designs", ()))
    question = Question(plan["definition"], tuple(plan["population"]), plan["product"], arms, estimand, designs=designs)
    return pools.without(question, own_trials(evidence))


def advertised_rates(evidence: Evidence, protocol: Protocol) -> list[Entry]:
    """An entry for every claim that the protocol names a published counterpart for, in the order of claims.csv."""
    claims = evidence.claims
    return [rate_entry(evidence, protocol, c) for c in claims.claim_id if c in protocol["counterparts"]]


def rate_entry(evidence: Evidence, protocol: Protocol, claim_id: str) -> Entry:
    """One advertised rate (or HbA1c) beside its counterpart."""
    claim = next(r for r in evidence.claims.itertuples() if r.claim_id == claim_id)
    plan = protocol["counterparts"][claim_id]
    pool, control = (make(evidence, protocol, claim_id) for make in (counterpart_pool, control_pool))
    said = advertised(claim, evidence.documents)
    threshold = _threshold(protocol, plan, said)
    numbers = _numbers(pool, threshold, said["n_treated"])
    decided, reasons = _verdict(protocol, claim, plan, pool, threshold)
    return Entry(
        claim_id=claim_id,
        kind=claim.kind,
        outcome=claim.outcome,
        advertised=said,
        unsaid=unsaid(claim),
        match={what: {"grade": grade, "reason": reason} for what, (grade, reason) in plan["match"].items()},
        studies=[{"study_id": r.study_id, "label": r.label, "link": r.link} for r in pool.rows.itertuples()],
        control=_control(control),
        verdict=decided,
        reasons=reasons,
        **numbers,
    )


def _threshold(protocol: Protocol, plan: dict[str, Any], said: dict[str, Any]) -> float:
    """The value that the evidence is compared with: the advertised percentage, or the HbA1c fall that matters."""
    if plan["estimand"] == "mean_difference":
        return -float(protocol["thresholds"]["hba1c_matters"]["value"])
    return said["value"]


def _numbers(pool: Pool, threshold: float, n_treated: int | None) -> dict[str, Any]:
    """Pooled value, intervals and probabilities in the unit of the claim."""
    found: dict[str, Any] = {"k": pool.k, "patients": float(pool.rows.n.sum() + pool.rows.n_control.fillna(0).sum())}
    if pool.fit is None:
        return found
    percent = pool.scale == "logit"
    found["unit"] = "percent" if percent else "percentage points"
    for name in ("ci_lb", "ci_ub", "pi_lb", "pi_ub"):
        found[name] = _in_unit(pool, getattr(pool.fit, name))
    found["pooled"] = _in_unit(pool, pool.fit.beta)
    return found | (_share(pool, threshold / 100, n_treated) if percent else _effect(pool, threshold))


def _in_unit(pool: Pool, value: float) -> float | None:
    shown = 100 * pool.back(value) if pool.scale == "logit" else float(value)
    return shown if math.isfinite(shown) else None


def _share(pool: Pool, claimed: float, n_treated: int | None) -> dict[str, Any]:
    fit = pool.fit
    p = float(expit(fit.beta))
    return {
        "p_mean_ge": _known(p_mean_ge(fit, claimed)),
        "p_new_setting_ge": _known(p_new_setting_ge(fit, claimed)),
        "p_series_ge": _known(p_series_ge(fit, claimed, n_treated)) if n_treated else None,
        "effective_n": _known(1 / (p * (1 - p) * float(fit.se) ** 2)),
    }


def _effect(pool: Pool, threshold: float) -> dict[str, Any]:
    """Probability that the mean fall, and a new setting's fall, reaches the threshold (both below zero).

    One report: by its own normal interval. More: t with k - 1 degrees of freedom for the mean; for a new setting t with
    k - 2 and the spread between settings added.
    """
    fit, k, away = pool.fit, pool.k, threshold - float(pool.fit.beta)
    if k == 1:
        return {"p_mean_ge": _known(ndtr(away / float(fit.se)))}
    found = {"p_mean_ge": _known(stdtr(k - 1, away / float(fit.se)))}
    if k > 2:
        found["p_new_setting_ge"] = _known(stdtr(k - 2, away / math.sqrt(float(fit.se) ** 2 + float(fit.tau2))))
    return found


def _known(value: float) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def _control(pool: Pool) -> dict[str, Any] | None:
    if pool.fit is None:
        return None
    count = {"events": float(pool.rows.events.sum())} if pool.scale == "logit" else {}
    return {"value": _in_unit(pool, pool.fit.beta), "k": pool.k, "n": float(pool.rows.n.sum()), **count}


def _verdict(
    protocol: Protocol, claim: Any, plan: dict[str, Any], pool: Pool, threshold: float
) -> tuple[str, list[str]]:
    limits = dict.fromkeys(("ci_lb", "ci_ub", "pi_lb", "pi_ub"), math.nan)
    if pool.fit is not None:
        limits = {name: _or_nan(_in_unit(pool, getattr(pool.fit, name))) for name in limits}
    measurable = claim.definition_stated != "no" or claim.kind == "outcome"
    standing = Standing(
        measurable=measurable,
        k=pool.k,
        claim=threshold,
        ci_lb=limits["ci_lb"],
        ci_ub=limits["ci_ub"],
        pi_ub=limits["pi_ub"],
        population=plan["match"]["population"][0],
        outcome=plan["match"]["outcome"][0],
        randomised=bool((pool.rows.design == "rct").any()),
    )
    if protocol.outcome(plan["definition"]).better == "lower":
        standing = standing.mirrored(limits["pi_lb"])
    decided, reasons = verdict(standing, protocol["verdict"])
    if decided == "not testable":
        reasons = [f"the advertisement does not define what it counts ({claim.note})" if claim.note else reasons[0]]
    return decided, reasons


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
