"""The ledger: an entry for every advertised statement, by the kind of evidence that answers it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import logit

from cellclaims import meta
from cellclaims.appraisal import LEVELS, certainty_of_pool, certainty_of_reports
from cellclaims.claims.arithmetic import arithmetic
from cellclaims.claims.counterparts import (
    POOLED,
    REGISTRATION,
    Entry,
    claim_of,
    counterpart_pool,
    described,
    own_trials,
    plan_of,
    question_of,
    rate_entry,
    rated,
    threshold_of,
)
from cellclaims.claims.findings import Standing, verdict
from cellclaims.evidence import Evidence
from cellclaims.meta.quantiles import normal_quantile
from cellclaims.pool import Pool, label, link
from cellclaims.selection import EvidenceBase
from cellclaims.specifications import Curve, Fitted, fitted

# How often the verdict on a claim stays the same, over all choices that a fair reviewer could have made.


Rows = Callable[[int], pd.DataFrame]


def curves(base: EvidenceBase, claim_ids: Iterable[str] | None = None) -> dict[str, Curve]:
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
    for claim_id in base.evidence.claims.claim_id if claim_ids is None else claim_ids:
        claim = claim_of(base.evidence, claim_id)
        plan = plan_of(base.protocol, claim)
        if plan["kind"] not in POOLED:
            continue
        question = question_of(base.evidence, claim, plan)
        if (question, plan["kind"]) not in known:
            known[question, plan["kind"]] = fitted(base, question, plan["kind"])
        pool = counterpart_pool(base, claim_id)
        found[claim_id] = known[question, plan["kind"]].judged(_rule(base, claim, plan, pool))
    return found


def curve_of_claim(base: EvidenceBase, claim_id: str) -> Curve | None:
    """The specification curve of the counterpart of one claim; None where no pool answers it."""
    return curves(base, [claim_id]).get(claim_id)


def stability(base: EvidenceBase, claim_id: str) -> tuple[float | None, int]:
    """Share of distinct specifications with the verdict of the review's own, and their number; None where no pool
    answers the claim.
    """
    curve = curve_of_claim(base, claim_id)
    return (None, 0) if curve is None else curve.stability


def _rule(base: EvidenceBase, claim: Any, plan: dict[str, Any], pool: Pool) -> Callable[..., Sequence[str]]:
    """The verdict rule of the protocol as a function of the lines of a curve."""
    value = None if math.isnan(claim.value) else float(claim.value)
    threshold = threshold_of(base.protocol, plan, value)
    lower = base.protocol.outcome(plan["definition"]).better == "lower"
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
            least, most = (
                verdict(standing(line, level), base.protocol["verdict"])[0] for level in (LEVELS[0], LEVELS[-1])
            )
            if least != most:
                known = _as_pool(pool, line, rows(line.row_set))
                level = certainty_of_pool(known, _match(plan, line), base.protocol, base.evidence.judgements).level
                least = verdict(standing(line, level), base.protocol["verdict"])[0]
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


# Claims without a figure: which way the published reports point, and how good the best of them are.
#
# A *topic* is what ``beyond_glucose/evidence.csv`` groups its rows by. A report *speaks* when its direction could
# be
# read; it is *counted* when it speaks, is in humans, is not the clinic's own, and is in no meta-analysis of its
# topic.


#: Kinds of evidence, the best first, as the evidence map shows them.
KINDS = ("randomised human", "other human", "animal or laboratory")
#: Kinds as the evidence map shows them; what stands for an outcome, such as C-peptide, is a kind of its own.
MAP_KINDS = ("randomised human", "human surrogate", "other human", "animal or laboratory")
SURROGATE = "C-peptide|insulin production|beta cell function"
SPEAKS = ("for", "against", "mixed")
#: In claims about an outcome, rows without cells describe the placebo response: context, never counted.
NO_CELLS = "none"


@dataclass(frozen=True)
class Direction:
    """What the counted reports say: numbers by kind and direction, the best kind, whether they agree."""

    counted: pd.DataFrame
    context: pd.DataFrame
    best: str
    by_best: frozenset[str]
    by_all: frozenset[str]

    @property
    def k(self) -> int:
        """Number of counted reports."""
        return len(self.counted)

    @property
    def agree(self) -> bool:
        """Whether all counted reports point one way."""
        return len(self.by_all) == 1 and "mixed" not in self.by_all


def direction_of(evidence: Evidence, topic: str, own: list[str], outcome_claim: bool) -> Direction:
    """The published reports on a topic, split into those that count and the rest, which is shown as context."""
    rows = with_kind(evidence.beyond_evidence[evidence.beyond_evidence.topic == topic])
    counts = (rows.species == "human") & rows.direction.isin(SPEAKS) & ~rows.reference.isin(own)
    if outcome_claim:
        counts &= ~rows.cell_type.str.startswith(NO_CELLS)
    counted = _outside_meta_analyses(rows[counts].drop_duplicates("reference"))
    best = next((kind for kind in KINDS if (counted.kind == kind).any()), "")
    at_best = counted[counted.kind == best]
    context = rows.drop(index=counted.index)
    return Direction(counted, context, best, frozenset(at_best.direction), frozenset(counted.direction))


def with_kind(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the kind of evidence that they are."""
    human = rows.species == "human"
    kind = human.map({True: KINDS[1], False: KINDS[2]}).where(~(human & (rows.randomised == "yes")), KINDS[0])
    surrogate = human & rows.outcome.str.contains(SURROGATE)
    return rows.assign(kind=kind, map_kind=kind.where(~surrogate, MAP_KINDS[1]))


def _outside_meta_analyses(rows: pd.DataFrame) -> pd.DataFrame:
    """Drop trials that a meta-analysis of randomised trials, of the same year or later, must be taken to hold."""
    latest = rows.year[(rows.design == "meta_analysis") & (rows.randomised == "yes")].max()
    inside = (rows.design == "rct") & (rows.year <= latest)
    return rows[~inside]


def verdict_of(direction: Direction, enough: int, certainty: str) -> tuple[str, list[str]]:
    """The verdict on a claim without a figure, and why: the rules of ``directions`` in the protocol, in order.

    Parameters
    ----------
    direction : Direction
    enough : int
        Fewest counted reports for any verdict on direction.
    certainty : str
        Level of certainty, for "supported".
    """
    if direction.k == 0:
        return "no evidence", ["no report in people that speaks for or against it was found"]
    if direction.k < enough:
        words = "report" if direction.k == 1 else "reports"
        return "insufficient", [f"{direction.k} {words} in people that speak to it, {enough} needed"]
    if direction.by_best == {"against"} and "for" not in direction.by_all:
        return "contradicted", [f"all {direction.best} reports speak against it, and none in people for it"]
    if not direction.agree:
        return "mixed", ["the reports in people differ in direction"]
    randomised = direction.best == KINDS[0]
    if randomised and certainty in ("moderate", "high"):
        return "supported", [f"all reports in people speak for it, certainty {certainty}"]
    why = f"certainty {certainty}" if randomised else "no randomised evidence"
    return "compatible", [f"all reports in people speak for it, but {why}"]


#: Kinds of claims that are about an outcome in patients; the others are about how it is supposed to work.
OUTCOME_KINDS = ("outcome", "regimen")


def ledger(base: EvidenceBase, known: Mapping[str, Curve] | None = None) -> list[Entry]:
    """An entry for every row of claims.csv, in its order; none without a verdict.

    ``known`` are the specification curves by claim, where they were made before.
    """
    found = curves(base) if known is None else known
    return [
        _with_stability(entry_of(base, claim), found.get(claim.claim_id)) for claim in base.evidence.claims.itertuples()
    ]


def _with_stability(entry: Entry, curve: Curve | None) -> Entry:
    """The entry with the share of distinct specifications that give its verdict, where a pool answers it."""
    if curve is None:
        return entry
    share, number = curve.stability
    return replace(entry, stability=share, specifications=number)


def entry_of(base: EvidenceBase, claim: Any) -> Entry:
    """The entry of one claim, made by the kind of its counterpart."""
    plan = plan_of(base.protocol, claim)
    if plan["kind"] in ("rate", "difference"):
        return rate_entry(base, claim.claim_id)
    return MAKERS[plan["kind"]](base, claim, plan)


def _topic(base: EvidenceBase, claim: Any, plan: dict[str, Any]) -> Entry:
    """A claim without a figure: direction of the reports in people, by kind of evidence."""
    found = direction_of(base.evidence, plan["topic"], own_trials(base.evidence), claim.kind in OUTCOME_KINDS)
    randomised = found.best == KINDS[0]
    counted = tuple(found.counted.reference)
    match = plan["match"]
    certainty = certainty_of_reports(
        found.k, randomised, found.agree, match, base.protocol, counted, base.evidence.judgements
    )
    poor = [what for what in ("population", "outcome") if plan["match"][what][0] == "poor"]
    decided, reasons = verdict_of(found, base.protocol["verdict"]["enough_reports"], certainty.level)
    if poor and decided not in ("no evidence", "insufficient"):
        decided, reasons = "insufficient", [f"the match in {' and '.join(poor)} is poor"]
    facts = _facts(pd.concat([found.counted, found.context]).sort_index(), set(found.counted.index))
    return Entry(
        **described(claim, base.evidence.documents, plan["match"]),
        studies=[f for f in facts if f["counted"]],
        k=found.k,
        verdict=decided,
        reasons=reasons,
        facts=facts,
        **rated(certainty),
    )


def _facts(rows: pd.DataFrame, counted: set[int] = frozenset()) -> list[dict[str, Any]]:
    """Rows of beyond_glucose as facts of an entry, with their line, kind and link."""
    return [
        {
            "row_id": row.row_id,
            "line": row.Index,
            "study_id": row.reference,
            "label": row.title or row.reference,
            "link": f"https://doi.org/{row.doi}" if row.doi else row.url,
            "kind": row.kind,
            "map_kind": row.map_kind,
            "design": row.design,
            "n": None if pd.isna(row.n) else row.n,
            "result": row.result,
            "direction": row.direction,
            "counted": row.Index in counted,
        }
        for row in with_kind(rows).itertuples()
    ]


def _registration(base: EvidenceBase, claim: Any, plan: dict[str, Any]) -> Entry:
    """A registration: what a registry says that it is, and what the published report of the number says."""
    rows = base.evidence.beyond_evidence[base.evidence.beyond_evidence.topic == plan["topic"]]
    number = next(iter(REGISTRATION.findall(claim.what_is_claimed)), "")
    own = base.evidence.studies[base.evidence.studies.registry_id.str.contains(number, regex=False) & (number != "")]
    about = rows[rows.claim_ids.str.split(";").map(lambda ids: claim.claim_id in ids)]
    about = about[~about.reference.isin(set(own_trials(base.evidence)) - set(own.study_id))]
    decided, reasons = _registration_verdict(claim, about, own)
    return Entry(
        **described(claim, base.evidence.documents, plan["match"]),
        studies=[
            {"study_id": s, "label": label(base.evidence, s), "link": link(base.evidence, s)} for s in own.study_id
        ],
        k=len(own),
        verdict=decided,
        reasons=reasons,
        facts=_facts(about),
    )


def _registration_verdict(claim: Any, about: pd.DataFrame, own: pd.DataFrame) -> tuple[str, list[str]]:
    against = about[about.direction == "against"]
    of_number = against[against.reference.isin(own.study_id)]
    of_kind = against[against.reference.str.contains("who_ictrp|registry_notice")]
    disagree = pd.concat([of_number, of_kind])
    if len(disagree):
        return "contradicted", [f"the record says: {r.result}" for r in disagree.itertuples()]
    if own.empty and about.empty:
        return "no evidence", ["no record or report of the number was found"]
    return "compatible", ["nothing in the records found disagrees with the statement"]


def _count(base: EvidenceBase, claim: Any, plan: dict[str, Any]) -> Entry:
    """A number treated: no public record counts it; the arithmetic of the shares that stand on it."""
    studies = base.evidence.studies
    cited = studies.study_id.isin(own_trials(base.evidence)) & (studies.diabetes_type == claim.diabetes_type)
    own = studies.study_id[cited]
    patients = base.evidence.arms[base.evidence.arms.study_id.isin(own)].n_enrolled.sum()
    published = (
        f"the cited trial published {patients:g} patients" if len(own) else "no report of an own trial was found"
    )
    return Entry(
        **described(claim, base.evidence.documents, plan["match"]),
        studies=[{"study_id": s, "label": label(base.evidence, s), "link": link(base.evidence, s)} for s in own],
        verdict="no evidence",
        reasons=["no public record of the number treated was found", published],
        facts=arithmetic(base.evidence.claims, claim),
    )


def _disclaimer(base: EvidenceBase, claim: Any, plan: dict[str, Any]) -> Entry:
    """A disclaimer claims nothing that could be tested; harms stand beside it."""
    rows = base.evidence.beyond_evidence[base.evidence.beyond_evidence.topic == plan["topic"]]
    return Entry(
        **described(claim, base.evidence.documents, plan["match"]),
        studies=[],
        verdict="not testable",
        reasons=["a disclaimer claims no outcome; it qualifies every other claim of the page"],
        facts=_facts(rows),
    )


#: Kind of a counterpart -> what makes its entry.
MAKERS: dict[str, Callable[..., Entry]] = {
    "topic": _topic,
    "registration": _registration,
    "count": _count,
    "disclaimer": _disclaimer,
}
