"""Advertised rates and HbA1c: the pools that answer them, the probabilities, the control arms, the verdict."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass, field
from typing import Any

from scipy.special import expit, logit

from cellclaims import meta
from cellclaims.appraisal import LEVELS, Certainty, certainty_of_pool
from cellclaims.claims.findings import Standing, verdict
from cellclaims.errors import ProtocolError
from cellclaims.evidence import Evidence
from cellclaims.pool import Pool, pooled
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.selection import EvidenceBase, Question

# What the ledger says of one claim, as numbers and words that JSON can hold.


#: Column of claims.csv -> what is left unsaid when it does not say yes.
UNSAID = {
    "denominator_stated": "of how many patients",
    "follow_up_stated": "after how long",
    "control_stated": "what happened without cells",
    "definition_stated": "how the outcome is defined",
}


@dataclass(frozen=True)
class Entry:
    """One claim beside its evidence; values in the unit of the claim (percent, percentage points), None where
    they do not apply. ``verdict`` is never empty.
    """

    claim_id: str
    kind: str
    outcome: str
    advertised: dict[str, Any]
    unsaid: list[str]
    match: dict[str, dict[str, str]]
    studies: list[dict[str, Any]]
    unit: str | None = None
    k: int = 0
    patients: float = 0
    pooled: float | None = None
    ci_lb: float | None = None
    ci_ub: float | None = None
    pi_lb: float | None = None
    pi_ub: float | None = None
    p_mean_ge: float | None = None
    p_new_setting_ge: float | None = None
    p_series_ge: float | None = None
    control: dict[str, Any] | None = None
    effective_n: float | None = None
    verdict: str = ""
    reasons: list[str] = field(default_factory=list)
    certainty: str | None = None
    certainty_steps: list[dict[str, Any]] = field(default_factory=list)
    stability: float | None = None
    specifications: int = 0
    facts: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The entry as JSON values."""
        return asdict(self)


def described(claim: Any, documents: Any, match: dict[str, Any]) -> dict[str, Any]:
    """The parts that every kind of entry has: the claim, what it leaves unsaid, how well its counterpart matches."""
    return {
        "claim_id": claim.claim_id,
        "kind": claim.kind,
        "outcome": claim.outcome,
        "advertised": advertised(claim, documents),
        "unsaid": unsaid(claim),
        "match": {what: {"grade": grade, "reason": reason} for what, (grade, reason) in match.items()},
    }


def at_least(certainty: Certainty) -> str:
    """The level of a certainty; the lowest one where it is not rated."""
    return certainty.level if certainty.level in LEVELS else LEVELS[0]


def rated(certainty: Certainty) -> dict[str, Any]:
    """A certainty as the fields of an entry."""
    return {"certainty": certainty.level, "certainty_steps": [asdict(step) for step in certainty.steps]}


def advertised(claim: Any, documents: Any) -> dict[str, Any]:
    """The claim in our words, with its document, date and figure."""
    known = documents[documents.document_id == claim.document_id].iloc[0]
    return {
        "what": claim.what_is_claimed,
        "wording": claim.wording,
        "document": claim.document_id,
        "title": known.title,
        "locator": claim.locator,
        "as_of": "" if math.isnan(claim.as_of) else f"{claim.as_of:g}",
        "qualifier": claim.figure_qualifier,
        "value": None if math.isnan(claim.value) else float(claim.value),
        "unit": claim.unit,
        "n_treated": None if math.isnan(claim.n_treated) else int(claim.n_treated),
        "diabetes_type": claim.diabetes_type,
        "note": claim.note,
    }


def unsaid(claim: Any) -> list[str]:
    """What the advertisement leaves out: everything that its row does not mark as stated."""
    said = {column: getattr(claim, column) for column in UNSAID}
    return [
        words + (" (stated in part)" if said[column] == "partly" else "")
        for column, words in UNSAID.items()
        if said[column] in ("no", "partly")
    ]


REGISTRATION = re.compile(r"ChiCTR[-\w]*\d{8}|NCT\d{8}")
#: Which types of diabetes a claim's column diabetes_type stands for.
TYPES = {"T1D": ("T1D",), "T2D": ("T2D",), "both": ("T1D", "T2D")}
#: Kinds of counterparts that a pool answers.
POOLED = ("rate", "difference")


def own_trials(evidence: Evidence) -> list[str]:
    """Reports of the registrations that the advertisements cite: shown beside their claims, never counted for them.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.

    Returns
    -------
    list of str
    """
    cited = {number for words in evidence.claims.what_is_claimed for number in REGISTRATION.findall(words)}
    studies = evidence.studies
    mine = studies.registry_id.map(lambda ids: bool(cited & set(REGISTRATION.findall(ids))))
    return sorted(studies.study_id[mine])


def with_entry(evidence: Evidence) -> Any:
    """The claims that get an entry: those of documents of which a copy exists, in the order of claims.csv."""
    return evidence.claims[~_without_copy(evidence)]


def without_entry(evidence: Evidence) -> Any:
    """The claims of pages of which no copy exists: nobody can check their words, so that they get no entry."""
    return evidence.claims[_without_copy(evidence)]


def _without_copy(evidence: Evidence) -> Any:
    documents = evidence.documents
    return evidence.claims.document_id.isin(documents.document_id[documents.copy_exists == "no"])


def claim_of(evidence: Evidence, claim_id: str) -> Any:
    """The row of claims.csv; raises ProtocolError with the known ids."""
    known = {row.claim_id: row for row in evidence.claims.itertuples()}
    if claim_id not in known:
        raise ProtocolError(f"expected a claim among {', '.join(known)}; found {claim_id!r}")
    return known[claim_id]


def plan_of(protocol: Protocol, claim: Any) -> dict[str, Any]:
    """What the protocol says answers a claim; raises ProtocolError for a name that it does not have."""
    plans = protocol["counterparts"]
    if claim.answered_by not in plans:
        known, place = ", ".join(plans), f"claims.csv, {claim.claim_id}, answered_by"
        raise ProtocolError(f"{place}: expected one of {known}; found {claim.answered_by!r}")
    return plans[claim.answered_by]


def counterpart_pool(base: EvidenceBase, claim_id: str) -> Pool:
    """The pool of published reports that answers an advertised figure.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim_id : str
        Of a row of claims.csv.

    Returns
    -------
    Pool
    """
    return _pool(base, claim_id, "cells", "published reports")


def control_pool(base: EvidenceBase, claim_id: str) -> Pool:
    """The same outcome in the untreated control arms.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim_id : str
        Of a row of claims.csv.

    Returns
    -------
    Pool
    """
    return _pool(base, claim_id, "control", "untreated control arms")


def _pool(base: EvidenceBase, claim_id: str, arms: str, words: str) -> Pool:
    claim = claim_of(base.evidence, claim_id)
    plan = plan_of(base.protocol, claim)
    question = question_of(base.evidence, claim, plan, arms)
    both = ", types 1 and 2" if len(question.population) > 1 else ""
    title = f"{base.protocol.outcome(plan['definition']).name}{both}: {words}"
    name = f"{claim_id}_{'published' if arms == 'cells' else 'control'}"
    measure = "PLO" if plan["kind"] == "rate" else "MD" if arms == "cells" else "MC"
    return pooled(base, question.named(name, title), Analysis(measure))


def question_of(evidence: Evidence, claim: Any, plan: dict[str, Any], arms: str = "cells") -> Question:
    """The counterpart as a question, for the claim's type of diabetes; the clinic's own trials never answer for it."""
    estimand = "at_month" if plan["kind"] == "difference" else plan["estimand"]
    designs = tuple(plan.get("designs", ()))
    population = TYPES[claim.diabetes_type]
    question = Question(plan["definition"], population, plan["product"], arms, estimand, designs=designs)
    return question.without(own_trials(evidence))


def advertised_rates(base: EvidenceBase) -> list[Entry]:
    """An entry for every advertised percentage that a pool answers, and for HbA1c, in the order of claims.csv.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.

    Returns
    -------
    list of Entry
    """
    kinds = {c: plan_of(base.protocol, c)["kind"] for c in with_entry(base.evidence).itertuples()}
    claims = [c for c, kind in kinds.items() if kind in POOLED and (kind == "difference" or not math.isnan(c.value))]
    return [rate_entry(base, c.claim_id) for c in claims]


def rate_entry(base: EvidenceBase, claim_id: str) -> Entry:
    """One advertised rate (or HbA1c) beside its counterpart."""
    claim = claim_of(base.evidence, claim_id)
    plan = plan_of(base.protocol, claim)
    pool, control = (make(base, claim_id) for make in (counterpart_pool, control_pool))
    said = described(claim, base.evidence.documents, plan["match"])
    threshold = threshold_of(base.protocol, plan, said["advertised"]["value"])
    numbers = numbers_of(pool, threshold, said["advertised"]["n_treated"])
    certainty = certainty_of_pool(base, pool)
    decided, reasons = verdict_of_pool(base.protocol, claim, plan, pool, threshold, at_least(certainty))
    return Entry(
        **said,
        studies=_studies(pool),
        control=_control(control),
        verdict=decided,
        reasons=reasons,
        **numbers,
        **rated(certainty),
    )


def _studies(pool: Pool) -> list[dict[str, Any]]:
    columns = ["study_id", "label", "link", "arm_id", "source_id", "table", "line"]
    return [{key: str(value) for key, value in row.items()} for row in pool.rows[columns].to_dict("records")]


def threshold_of(protocol: Protocol, plan: dict[str, Any], value: float | None) -> float:
    """What the evidence is compared with: the advertised percentage, or the fall of HbA1c that matters."""
    if plan["kind"] == "difference":
        return -abs(value) if value is not None else -float(protocol["thresholds"]["hba1c_matters"]["value"])
    return math.nan if value is None else value


def numbers_of(pool: Pool, threshold: float, n_treated: int | None) -> dict[str, Any]:
    """Pooled value, intervals and probabilities in the unit of the claim."""
    found: dict[str, Any] = {"k": pool.k, "patients": pool.patients}
    percent = pool.scale == "logit"
    found["unit"] = "percent" if percent else "percentage points"
    if pool.fit is None:
        return found
    for name in ("ci_lb", "ci_ub", "pi_lb", "pi_ub"):
        found[name] = in_unit(pool, getattr(pool.fit, name, math.nan))
    found["pooled"] = in_unit(pool, pool.fit.beta)
    if math.isnan(threshold) or not pool.is_pooled:
        return found
    return found | (_share(pool, threshold / 100, n_treated) if percent else _effect(pool, threshold))


def in_unit(pool: Pool, value: float) -> float | None:
    """A value of the analysis scale in the unit of the claim; None where it does not exist."""
    shown = pool.shown(value)
    return shown if math.isfinite(shown) else None


def _share(pool: Pool, claimed: float, n_treated: int | None) -> dict[str, Any]:
    """Probabilities that a proportion reaches the claim, by the fit's own distribution."""
    fit = pool.fit
    p = float(expit(fit.beta))
    found = {"effective_n": _known(1 / (p * (1 - p) * float(fit.se) ** 2)) if 0 < p < 1 else None}
    if isinstance(fit, meta.Fit):  # normal effects on the logit
        if not 0 < claimed < 1:
            return found
        claimed, n_treated = float(logit(claimed)), None
    return {
        "p_mean_ge": _known(fit.p_mean_reaches(claimed)),
        "p_new_setting_ge": _known(fit.p_new_setting_reaches(claimed)),
        "p_series_ge": _known(fit.p_series_reaches(claimed, n_treated)) if n_treated else None,
    } | found


def _effect(pool: Pool, threshold: float) -> dict[str, Any]:
    """Probability that the mean fall, and a new setting's fall, reaches the threshold (both below zero)."""
    return {
        "p_mean_ge": _known(1 - pool.fit.p_mean_reaches(threshold)),
        "p_new_setting_ge": _known(1 - pool.fit.p_new_setting_reaches(threshold)),
    }


def _known(value: float) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def _control(pool: Pool) -> dict[str, Any] | None:
    if pool.fit is None:
        return None
    count = {"events": float(pool.rows.events.sum())} if pool.scale == "logit" else {}
    return {"value": in_unit(pool, pool.fit.beta), "k": pool.k, "n": float(pool.rows.n.sum()), **count}


def verdict_of_pool(
    protocol: Protocol, claim: Any, plan: dict[str, Any], pool: Pool, threshold: float, certainty: str
) -> tuple[str, list[str]]:
    """The verdict on a claim that a pool answers, and why."""
    limits = dict.fromkeys(("ci_lb", "ci_ub", "pi_lb", "pi_ub"), math.nan)
    if pool.fit is not None:
        limits = {name: _or_nan(in_unit(pool, getattr(pool.fit, name, math.nan))) for name in limits}
    standing = Standing(
        measurable=claim.definition_stated != "no" or plan["kind"] == "difference",
        k=pool.k,
        claim=threshold,
        ci_lb=limits["ci_lb"],
        ci_ub=limits["ci_ub"],
        pi_ub=limits["pi_ub"],
        population=plan["match"]["population"][0],
        outcome=plan["match"]["outcome"][0],
        randomised=bool((pool.rows.design == "rct").any()),
        certainty=certainty,
    )
    if protocol.outcome(plan["definition"]).better == "lower":
        standing = standing.mirrored(limits["pi_lb"])
    decided, reasons = verdict(standing, protocol["verdict"])
    if decided == "not testable" and not standing.measurable:
        reasons = ["the advertisement does not define what it counts"]
    return decided, reasons


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


#: Outcomes nearest to the advertised ones that more studies report: title and question.
NEAREST = {
    "insulin dose halved after cells (three reports; one with 62 controls on intensified insulin)": Question(
        "insulin_dose_halved", ("T2D",), "any_cells", estimand="most_favourable"
    ),
    "off insulin at some time after cells, other drugs allowed (five reports; comparison not usable)": Question(
        "insulin_independence", ("T2D",), "any_cells", estimand="most_favourable"
    ),
    "off insulin 12 months after islets, type 1 diabetes": Question("insulin_independence", ("T1D",), "islets"),
}


def nearest_pools(base: EvidenceBase) -> list[Pool]:
    """The pools of the outcomes nearest to the advertised ones that more studies report.

    Parameters
    ----------
    base : EvidenceBase

    Returns
    -------
    list of Pool
        Proportions, each under its title.
    """
    return [pooled(base, question.named("nearest", title), Analysis("PLO")) for title, question in NEAREST.items()]
