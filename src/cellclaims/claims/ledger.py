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
from cellclaims.claims.counterparts import (
    POOLED,
    REGISTRATION,
    Entry,
    at_least,
    claim_of,
    counterpart_pool,
    described,
    own_trials,
    plan_of,
    question_of,
    rate_entry,
    rated,
    threshold_of,
    with_entry,
)
from cellclaims.claims.findings import Standing, verdict
from cellclaims.evidence import Evidence
from cellclaims.meta.quantiles import normal_quantile
from cellclaims.pool import Pool, label, link
from cellclaims.selection import EvidenceBase
from cellclaims.specifications import Curve, Fitted, fitted

# How often the verdict on a claim stays the same, over all choices that a fair reviewer could have made.


Rows = Callable[[int], pd.DataFrame]
#: The verdict on a statement that cannot be checked here, or that claims no outcome.
NOT_TESTABLE = "not testable"
#: Kinds of statements that claim no outcome of the treatment.
CONTEXT = ("practice", "background", "evidence_claim", "disclaimer")


def curves(base: EvidenceBase, claim_ids: Iterable[str] | None = None) -> dict[str, Curve]:
    """The specification curve of each claim that a pool answers; claims that ask the same question share the fits.

    Parameters
    ----------
    base : EvidenceBase
    claim_ids : iterable of str, optional
        All claims if not given.

    Returns
    -------
    dict
        By claim; without the claims that no pool answers.
    """
    known: dict[tuple[Any, ...], Fitted] = {}
    found = {}
    for claim_id in with_entry(base.evidence).claim_id if claim_ids is None else claim_ids:
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
    measurable = claim.definition_stated != "no" or plan["kind"] == "difference"
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
                level = at_least(certainty_of_pool(base, known))
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
    return replace(pool, rows=rows, fit=SimpleNamespace(beta=sum(limits) / 2, ci_lb=limits[0], ci_ub=limits[1], I2=i2))


# Claims without a figure: which way the published results point, and how good the best of them are.
#
# A *topic* is what ``topics/evidence.csv`` groups its rows by. Directions are those of point estimates: a result that
# is not significant is not a result against. No verdict follows from how many results point one way.


#: Kinds of evidence, the best first, as the evidence map shows them.
KINDS = ("randomised human", "other human", "animal or laboratory")
#: Kinds as the evidence map shows them; what stands for an outcome, such as C-peptide, is a kind of its own.
MAP_KINDS = ("randomised human", "human surrogate", "other human", "animal or laboratory")
SURROGATE = "C-peptide|insulin production|beta cell function"
#: Directions of a point estimate that could be read.
READ = ("cells", "control", "none")
#: What is wrong with a row that the rule of closeness leaves out.
CLOSE = ("close_population", "close_product", "close_outcome")


@dataclass(frozen=True)
class Direction:
    """What the counted results say: the rows, the rest of their topic, the best kind, the directions."""

    counted: pd.DataFrame
    context: pd.DataFrame
    best: str
    directions: frozenset[str]

    @property
    def k(self) -> int:
        """Number of counted results."""
        return len(self.counted)

    @property
    def agree(self) -> bool:
        """Whether all counted results point one way."""
        return len(self.directions) == 1 and "none" not in self.directions


def direction_of(evidence: Evidence, topic: str, mechanism: bool) -> Direction:
    """The published results on a topic, split into those that count and the rest, which is shown as context.

    Counted are results in people with the role evidence whose direction could be read, independent of the trial that
    the advertisement cites, and coded *no* in no closeness; for a mechanism, only those that test it. One trial counts
    once, and not beside a pooled result that is known to contain it.

    Parameters
    ----------
    evidence : Evidence
    topic : str
        A topic of topics/evidence.csv.
    mechanism : bool
        Whether the claim is about how the treatment works and not about an outcome in patients.

    Returns
    -------
    Direction
    """
    rows = with_kind(evidence.topic_evidence[evidence.topic_evidence.topic == topic])
    counts = (rows.role == "evidence") & (rows.species == "human") & rows.favours.isin(READ)
    counts &= (rows.independent_of_clinic == "yes") & ~rows[list(CLOSE)].eq("no").any(axis=1)
    if mechanism:
        counts &= rows.tests_mechanism == "yes"
    counted = _not_in_a_pool(rows[counts].drop_duplicates("reference"))
    best = next((kind for kind in KINDS if (counted.kind == kind).any()), "")
    return Direction(counted, rows.drop(index=counted.index), best, frozenset(counted.favours))


def with_kind(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows with the kind of evidence that they are."""
    human = rows.species == "human"
    randomised = human & (rows.controlled == "randomised")
    kind = human.map({True: KINDS[1], False: KINDS[2]}).where(~randomised, KINDS[0])
    surrogate = human & rows.outcome.str.contains(SURROGATE)
    return rows.assign(kind=kind, map_kind=kind.where(~surrogate, MAP_KINDS[1]))


def _not_in_a_pool(rows: pd.DataFrame) -> pd.DataFrame:
    """Drop trials that a pooled result among the rows names as its own; what is not known stays."""
    pooled = "; ".join(rows.pooled_from[rows.design == "meta_analysis"])
    inside = [row.design != "meta_analysis" and row.reference in pooled for row in rows.itertuples()]
    return rows[~pd.Series(inside, index=rows.index, dtype=bool)]


def verdict_of(direction: Direction, enough: int) -> tuple[str, list[str]]:
    """The verdict on a claim without a figure, and why: the rules of ``directions`` in the protocol, in order.

    Parameters
    ----------
    direction : Direction
    enough : int
        Fewest counted results for any word on direction.

    Returns
    -------
    tuple of (str, list of str)
        One of the verdicts of the protocol, never *contradicted* or *supported*, and its reasons.
    """
    if direction.k == 0:
        return "no evidence", ["no result in people was found that is close to the claim and has a direction"]
    if direction.k < enough:
        words = "result" if direction.k == 1 else "results"
        return "insufficient", [f"{direction.k} {words} in people with a direction, {enough} needed"]
    if not direction.agree:
        return "mixed", ["the point estimates of the results in people differ in direction"]
    if direction.directions == {"control"}:
        return "mixed", ["all point estimates favour the control; no verdict is drawn from their number"]
    return "compatible", ["all point estimates favour cells; no verdict is drawn from their number"]


def ledger(base: EvidenceBase, known: Mapping[str, Curve] | None = None) -> list[Entry]:
    """An entry for every statement of a text of which a copy exists, in the order of claims.csv; none without verdict.

    ``known`` are the specification curves by claim, where they were made before.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    known : mapping of Curve, optional
        Recorded anomalies with the checks that find them.

    Returns
    -------
    list of Entry
    """
    found = curves(base) if known is None else known
    return [
        _with_stability(entry_of(base, claim), found.get(claim.claim_id))
        for claim in with_entry(base.evidence).itertuples()
    ]


def _with_stability(entry: Entry, curve: Curve | None) -> Entry:
    """The entry with the share of distinct specifications that give its verdict, where a pool answers it."""
    if curve is None:
        return entry
    share, number = curve.stability
    return replace(entry, stability=share, specifications=number)


def entry_of(base: EvidenceBase, claim: Any) -> Entry:
    """The entry of one claim, made by the kind of its counterpart.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim : Any
        A row of claims.csv.

    Returns
    -------
    Entry
    """
    plan = plan_of(base.protocol, claim)
    if plan["kind"] in ("rate", "difference"):
        return rate_entry(base, claim.claim_id)
    if claim.kind in CONTEXT:
        return _context(base, claim, plan)
    return MAKERS[plan["kind"]](base, claim, plan)


def _topic(base: EvidenceBase, claim: Any, plan: dict[str, Any]) -> Entry:
    """A claim without a figure: directions of the results in people, by kind of evidence."""
    found = direction_of(base.evidence, plan["topic"], claim.kind == "mechanism")
    randomised = found.best == KINDS[0]
    counted = tuple(found.counted.reference)
    certainty = certainty_of_reports(
        base, found.k, randomised=randomised, agree=found.agree, precise=False, studies=counted
    )
    poor = [what for what in ("population", "outcome") if plan["match"][what][0] == "poor"]
    decided, reasons = verdict_of(found, base.protocol["verdict"]["enough_reports"])
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
    """Rows of topics/evidence.csv as facts of an entry, with their line, kind and link."""
    return [
        {
            "row_id": row.row_id,
            "line": row.Index,
            "study_id": row.reference,
            "label": row.title or row.reference,
            "link": row.url,
            "kind": row.kind,
            "map_kind": row.map_kind,
            "design": row.design,
            "n": None if pd.isna(row.n) else row.n,
            "result": row.result,
            "role": row.role,
            "direction": row.favours,
            "precision": row.precision,
            "counted": row.Index in counted,
        }
        for row in with_kind(rows).itertuples()
    ]


def _about(evidence: Evidence, claim: Any) -> pd.DataFrame:
    """The rows of topics/evidence.csv that name a claim."""
    rows = evidence.topic_evidence
    return rows[[claim.claim_id in ids.split(";") for ids in rows.claim_ids]]


def _registration(base: EvidenceBase, claim: Any, plan: dict[str, Any]) -> Entry:
    """A registration: what was read about it; the record itself was not seen, so that nothing is decided."""
    number = next(iter(REGISTRATION.findall(claim.what_is_claimed)), "")
    own = base.evidence.studies[base.evidence.studies.registry_id.str.contains(number, regex=False) & (number != "")]
    about = _about(base.evidence, claim)
    about = about[~about.reference.isin(set(own_trials(base.evidence)) - set(own.study_id))]
    return Entry(
        **described(claim, base.evidence.documents, plan["match"]),
        studies=[
            {"study_id": s, "label": label(base.evidence, s), "link": link(base.evidence, s)} for s in own.study_id
        ],
        k=len(own),
        verdict=NOT_TESTABLE,
        reasons=["the record of the registry was not seen; what pages about registries say is listed with it"],
        facts=_facts(about),
    )


def _count(base: EvidenceBase, claim: Any, plan: dict[str, Any]) -> Entry:
    """A number treated: no public record of it was looked for or found."""
    return Entry(
        **described(claim, base.evidence.documents, plan["match"]),
        studies=[],
        verdict=NOT_TESTABLE,
        reasons=["the number treated cannot be checked here: no public record was looked for or found"],
    )


def _context(base: EvidenceBase, claim: Any, plan: dict[str, Any]) -> Entry:
    """A practice, a disclaimer, background, a reference to own data: no outcome is claimed; what is known is listed."""
    return Entry(
        **described(claim, base.evidence.documents, plan["match"]),
        studies=[],
        verdict=NOT_TESTABLE,
        reasons=["no outcome is claimed"],
        facts=_facts(_about(base.evidence, claim)),
    )


#: Kind of a counterpart -> what makes its entry.
MAKERS: dict[str, Callable[..., Entry]] = {
    "topic": _topic,
    "registration": _registration,
    "count": _count,
    "disclaimer": _context,
    "context": _context,
}
