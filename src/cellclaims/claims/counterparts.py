"""Which published evidence answers an advertised statement: families, questions, counts, nearest results.

A *statement* is one row of ``advertised/claims.csv``. Its ``answered_by`` names an answer of the protocol (section
``answers``): an outcome that is counted or measured, a topic of ``topics/evidence.csv``, or context. Statements of one
answer and one family are one *entry* of the ledger.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.special import expit, logit

from cellclaims import meta
from cellclaims.errors import ProtocolError
from cellclaims.evidence import Evidence
from cellclaims.meta.binomial_fit import clopper_pearson, newcombe
from cellclaims.pool import Pool, pooled
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.selection import EvidenceBase, Question

#: Column of claims.csv -> what is left unsaid when it does not say yes.
UNSAID = {
    "denominator_stated": "of how many patients",
    "follow_up_stated": "after how long",
    "control_stated": "what happened without cells",
    "definition_stated": "how the outcome is defined",
}
REGISTRATION = re.compile(r"ChiCTR[-\w]*\d{8}|NCT\d{8}")
#: Which types of diabetes a claim's column diabetes_type stands for.
TYPES = {"T1D": ("T1D",), "T2D": ("T2D",), "both": ("T1D", "T2D")}
#: Families of entries. A finding is given by family.
RATE, EFFECT, MECHANISM, RECORD, CONTEXT = "rate", "effect", "mechanism", "record", "context"
FAMILIES = (RATE, EFFECT, MECHANISM, RECORD, CONTEXT)
#: Kind of a statement -> its family.
FAMILY_OF = {
    "rate": RATE,
    "effect_without_figure": EFFECT,
    "mechanism": MECHANISM,
    "fact_of_record": RECORD,
    "practice": CONTEXT,
    "background": CONTEXT,
    "evidence_claim": CONTEXT,
    "disclaimer": CONTEXT,
}
#: The product that answers where none is named: cells without immunoablation, no islets.
INFUSED = "infused_cells"
#: Levels of blinding that hide from somebody who got cells.
BLINDED = ("single", "double", "triple")


def family_of(claim: Any) -> str:
    """The family of a statement; a value that is no percentage is claimed of an effect, not of a rate.

    Parameters
    ----------
    claim : Any
        A row of claims.csv.

    Returns
    -------
    str
        One of :data:`FAMILIES`.
    """
    is_share = claim.unit == "percent" and not math.isnan(claim.value)
    family = FAMILY_OF[claim.kind]
    return EFFECT if family == RATE and not is_share else family


def unsaid(claim: Any) -> list[str]:
    """What the advertisement leaves out: everything that its row does not mark as stated."""
    said = {column: getattr(claim, column) for column in UNSAID}
    return [
        words + (" (stated in part)" if said[column] == "partly" else "")
        for column, words in UNSAID.items()
        if said[column] in ("no", "partly")
    ]


def own_trials(evidence: Evidence) -> list[str]:
    """Studies of the registrations that the advertisements cite: shown with their claims, never counted for them.

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


def claim_of(evidence: Evidence, claim_id: str) -> Any:
    """The row of claims.csv; raises ProtocolError with the known ids."""
    known = {row.claim_id: row for row in evidence.claims.itertuples()}
    if claim_id not in known:
        raise ProtocolError(f"expected a claim among {', '.join(known)}; found {claim_id!r}")
    return known[claim_id]


def answer_of(protocol: Protocol, claim: Any) -> dict[str, Any]:
    """What the protocol says answers a statement.

    Parameters
    ----------
    protocol : Protocol
    claim : Any
        A row of claims.csv.

    Returns
    -------
    dict
        An entry of section ``answers``.

    Raises
    ------
    ProtocolError
        For a name that the protocol does not have, with the names that it has.
    """
    answers = protocol["answers"]
    if claim.answered_by not in answers:
        known, place = ", ".join(answers), f"claims.csv, {claim.claim_id}, answered_by"
        raise ProtocolError(f"{place}: expected one of {known}; found {claim.answered_by!r}")
    return answers[claim.answered_by]


def question_of(base: EvidenceBase, claim_id: str, arms: str = "cells") -> Question | None:
    """The question that an advertised statement asks of the evidence.

    What the journal club, the claim notebook and the ledger pool for a statement is this question: the outcome of its
    answer, for the statement's type of diabetes, at any time or at a time not stated (for HbA1c: the protocol's time),
    without the trials whose registration the advertisement cites.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim_id : str
        Of a row of claims.csv.
    arms : {"cells", "control"}
        Whose outcome is counted.

    Returns
    -------
    Question or None
        None where the answer names no outcome that is counted or measured, but a topic or context.

    Raises
    ------
    ProtocolError
        For an unknown claim, or an answer that the protocol does not have.
    """
    claim = claim_of(base.evidence, claim_id)
    answer = answer_of(base.protocol, claim)
    return asked(base, answer, TYPES[claim.diabetes_type], arms) if "outcome" in answer else None


def asked(base: EvidenceBase, answer: Mapping[str, Any], population: tuple[str, ...], arms: str = "cells") -> Question:
    """The question of an answer (or of a nearest result) for some types of diabetes; own trials never answer."""
    product, designs = answer.get("product", INFUSED), tuple(answer.get("designs", ()))
    estimand = "at_month" if is_measured(answer) else "any_time"
    question = Question(answer["outcome"], population, product, arms, estimand, designs=designs)
    name = base.protocol.outcome(answer["outcome"]).name
    both = ", types 1 and 2" if len(population) > 1 else ""
    words = "published studies" if arms == "cells" else "untreated control arms"
    return question.named(answer["outcome"], f"{name}{both}: {words}").without(own_trials(base.evidence))


def is_measured(answer: Mapping[str, Any]) -> bool:
    """Whether an answer is a measured outcome and not a count of participants."""
    return answer.get("outcome") == "hba1c"


def counterpart_pool(base: EvidenceBase, claim_id: str) -> Pool | None:
    """The published studies that answer a statement as a pool; None where no counted or measured outcome answers it.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim_id : str
        Of a row of claims.csv.

    Returns
    -------
    Pool or None
    """
    question = question_of(base, claim_id)
    return (
        None
        if question is None
        else pooled(base, question.named(f"{claim_id}_published", question.title), measure_of(question))
    )


def control_pool(base: EvidenceBase, claim_id: str) -> Pool | None:
    """The same outcome in the untreated control arms; None where no counted or measured outcome answers the statement.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim_id : str
        Of a row of claims.csv.

    Returns
    -------
    Pool or None
    """
    question = question_of(base, claim_id, "control")
    return (
        None
        if question is None
        else pooled(base, question.named(f"{claim_id}_control", question.title), measure_of(question))
    )


def measure_of(question: Question) -> Analysis:
    """How a question of the ledger is pooled: differences of HbA1c between arms, changes in controls, proportions."""
    if question.outcome == "hba1c":
        return Analysis("MD" if question.arms == "cells" else "MC")
    return Analysis("PLO")


# The studies of a count, each with its own result.


def counts_of(base: EvidenceBase, question: Question) -> list[dict[str, Any]]:
    """Each study that reports a counted outcome, with its own exact interval and its control arm.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
        Of treated arms.

    Returns
    -------
    list of dict
        In the order of their years: the study with its link and its line in the tables; events, n, and the percentage
        with its limits; the same of the control arm, and the difference in percentage points with Newcombe's limits,
        where one is reported; HbA1c at entry (percent) where it is known.
    """
    rows = pooled(base, question, Analysis("PLO")).rows
    control = replace(question, arms="control")
    controls = {row.study_id: row for row in pooled(base, control, Analysis("PLO")).rows.itertuples()}
    records = base.records("binary", question.alternative, question.outcome)
    timings = {(row.study_id, str(row.line)): row.timing for row in records}
    return [
        {
            **place_of(row),
            "design": row.design,
            "blinding": row.blinding,
            "time": timings.get((row.study_id, str(row.line).split(";")[0]), ""),
            "months": known(row.months),
            **share_of(row.events, row.n),
            "control": _control_of(base, row, controls.get(row.study_id)),
            "hba1c_at_entry": hba1c_at_entry(base, row.study_id, row.arm_id),
            "secondary": bool(row.secondary),
            "note": row.note,
        }
        for row in rows.itertuples()
    ]


def place_of(row: Any) -> dict[str, str]:
    """Where the numbers of a row of a pool are: study, link, arm, source, table and line."""
    names = ("study_id", "label", "link", "arm_id", "source_id", "line")
    table = row.table if isinstance(row.table, str) else "contrasts"  # a reported difference names no other table
    return {name: str(getattr(row, name)) for name in names} | {"table": table}


def share_of(events: float, n: float, level: float = 0.95) -> dict[str, float]:
    """Events, participants, and the percentage with its exact limits (Clopper and Pearson)."""
    low, high = clopper_pearson(np.array(float(events)), np.array(float(n)), level)
    value = 100.0 * float(events) / float(n)
    return {
        "events": float(events),
        "n": float(n),
        "value": value,
        "ci_lb": 100.0 * float(low),
        "ci_ub": 100.0 * float(high),
    }


def _control_of(base: EvidenceBase, row: Any, control: Any | None) -> dict[str, Any] | None:
    if control is None:
        return None
    low, high = newcombe(*(np.array(float(v)) for v in (row.events, row.n, control.events, control.n)), 0.95)
    arm = base.arms.get((control.study_id, control.arm_id))
    difference = {
        "value": 100.0 * (row.events / row.n - control.events / control.n),
        "ci_lb": 100.0 * float(low),
        "ci_ub": 100.0 * float(high),
    }
    return {
        "comparator": "" if arm is None else arm.comparator,
        **share_of(control.events, control.n),
        "difference": {name: float(value) for name, value in difference.items()},
    }


def hba1c_at_entry(base: EvidenceBase, study_id: str, arm_id: str) -> float | None:
    """Mean or median HbA1c of a treated arm before treatment, percent; None where it is not in the tables."""
    rows = base.records("continuous", (), "hba1c")
    for row in rows:
        if row.study_id == study_id and row.arm_id in arm_id.split("+") and row.months == 0 and row.kind == "level":
            return known(row.center)
    return None


def known(value: Any) -> float | None:
    """A number as JSON can hold it: None for one that is missing."""
    value = float(value)
    return value if math.isfinite(value) else None


def largest_blinded(studies: list[dict[str, Any]]) -> dict[str, Any] | None:
    """Of studies with design, blinding and n, the randomised blinded one with most participants; None without one."""
    blinded = [one for one in studies if one["design"] == "rct" and one["blinding"] in BLINDED and one["n"]]
    return max(blinded, key=lambda one: one["n"]) if blinded else None


# Nearest results: published outcomes that lack a component of the claim. Listed, never compared with its figure.


def nearest_of(base: EvidenceBase, answer: Mapping[str, Any], population: tuple[str, ...]) -> list[dict[str, Any]]:
    """The nearest results of an answer, each with its studies, its pool (from three studies) and what is different.

    Parameters
    ----------
    base : EvidenceBase
    answer : mapping
        Its ``nearest`` names outcomes, and in words what each of them lacks.
    population : tuple of str
        Types of diabetes: each has a result of its own.

    Returns
    -------
    list of dict
        ``difference`` in words, k, events and n of all studies together, the studies, and, of three or more, the
        pooled percentage with its interval and the Bayesian interval of a similar centre.
    """
    return [_nearest(base, one, (kind,)) for one in answer.get("nearest", ()) for kind in population]


def nearest_pool(base: EvidenceBase, near: Mapping[str, Any], population: tuple[str, ...]) -> Pool:
    """The pool of one nearest result, under its name in the protocol."""
    question = asked(base, near, population)
    return pooled(base, question.named(f"nearest_{near['outcome']}", near["name"]), Analysis("PLO"))


def _nearest(base: EvidenceBase, near: Mapping[str, Any], population: tuple[str, ...]) -> dict[str, Any]:
    pool = nearest_pool(base, near, population)
    studies = counts_of(base, asked(base, near, population))
    return {
        "name": near["name"],
        "outcome": near["outcome"],
        "population": base.protocol["eligibility"]["populations"][population[0]],
        "difference": near["difference"],
        "k": pool.k,
        "events": float(pool.rows.events.sum()),
        "n": float(pool.rows.n.sum()),
        **shown(pool),
        "weight_from_secondary": pool.weight_from_secondary if pool.is_pooled else None,
        "without_secondary": _without_secondary(pool),
        "studies": studies,
    }


def _without_secondary(pool: Pool) -> dict[str, Any] | None:
    """The result without counts from tables of reviews, where they carry enough of the weight to be shown with it."""
    own = pool.without_secondary if pool.is_pooled else None
    if own is None:
        return None
    return {"k": own.k, "events": float(own.rows.events.sum()), "n": float(own.rows.n.sum()), **shown(own)}


def shown(pool: Pool) -> dict[str, float | None]:
    """The pooled value of three or more studies with its interval, and the Bayesian interval of a similar centre.

    In the unit of readers: percent, or percentage points of HbA1c; None where the studies are not pooled.
    """
    names = ("value", "ci_lb", "ci_ub", "pi_lb", "pi_ub")
    if not pool.is_pooled:
        return dict.fromkeys(names)
    bayes = pool.bayes
    limits = (
        pool.fit.beta,
        pool.fit.ci_lb,
        pool.fit.ci_ub,
        *((bayes.pi_lb, bayes.pi_ub) if bayes else (math.nan,) * 2),
    )
    return {name: known(pool.shown(float(limit))) for name, limit in zip(names, limits, strict=True)}


# Numbers of a pool next to a figure, for the journal club and for claim.ipynb.


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
    return known(pool.shown(value))


def _share(pool: Pool, claimed: float, n_treated: int | None) -> dict[str, Any]:
    """Probabilities that a proportion reaches the claim, by the fit's own distribution."""
    fit = pool.fit
    p = float(expit(fit.beta))
    found = {"effective_n": known(1 / (p * (1 - p) * float(fit.se) ** 2)) if 0 < p < 1 else None}
    if isinstance(fit, meta.Fit):  # normal effects on the logit
        if not 0 < claimed < 1:
            return found
        claimed, n_treated = float(logit(claimed)), None
    return {
        "p_mean_ge": known(fit.p_mean_reaches(claimed)),
        "p_new_setting_ge": known(fit.p_new_setting_reaches(claimed)),
        "p_series_ge": known(fit.p_series_reaches(claimed, n_treated)) if n_treated else None,
    } | found


def _effect(pool: Pool, threshold: float) -> dict[str, Any]:
    """Probability that the mean fall, and a new setting's fall, reaches the threshold (both below zero)."""
    return {
        "p_mean_ge": known(1 - pool.fit.p_mean_reaches(threshold)),
        "p_new_setting_ge": known(1 - pool.fit.p_new_setting_reaches(threshold)),
    }
