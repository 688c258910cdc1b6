"""The ledger: an entry for every advertised statement, by the kind of evidence that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pandas as pd

from cellclaims.appraisal import certainty_of_reports
from cellclaims.claims.counts import arithmetic
from cellclaims.claims.entry import Entry, described, rated
from cellclaims.claims.rates import REGISTRATION, own_trials, plan_of, rate_entry
from cellclaims.claims.stability import curves
from cellclaims.claims.topics import KINDS, direction_of, verdict_of, with_kind
from cellclaims.pools import label, link
from cellclaims.protocol import Protocol
from cellclaims.specifications import Curve
from cellclaims.tables import Evidence

#: Kinds of claims that are about an outcome in patients; the others are about how it is supposed to work.
OUTCOME_KINDS = ("outcome", "regimen")


def ledger(evidence: Evidence, protocol: Protocol, known: Mapping[str, Curve] | None = None) -> list[Entry]:
    """An entry for every row of claims.csv, in its order; none without a verdict.

    ``known`` are the specification curves by claim, where they were made before.
    """
    found = curves(evidence, protocol) if known is None else known
    return [
        _with_stability(entry_of(evidence, protocol, claim), found.get(claim.claim_id))
        for claim in evidence.claims.itertuples()
    ]


def _with_stability(entry: Entry, curve: Curve | None) -> Entry:
    """The entry with the share of distinct specifications that give its verdict, where a pool answers it."""
    if curve is None:
        return entry
    share, number = curve.stability
    return replace(entry, stability=share, specifications=number)


def entry_of(evidence: Evidence, protocol: Protocol, claim: Any) -> Entry:
    """The entry of one claim, made by the kind of its counterpart."""
    plan = plan_of(protocol, claim)
    if plan["kind"] in ("rate", "difference"):
        return rate_entry(evidence, protocol, claim.claim_id)
    return MAKERS[plan["kind"]](evidence, protocol, claim, plan)


def _topic(evidence: Evidence, protocol: Protocol, claim: Any, plan: dict[str, Any]) -> Entry:
    """A claim without a figure: direction of the reports in people, by kind of evidence."""
    found = direction_of(evidence, plan["topic"], own_trials(evidence), claim.kind in OUTCOME_KINDS)
    randomised = found.best == KINDS[0]
    counted = tuple(found.counted.reference)
    match = plan["match"]
    certainty = certainty_of_reports(found.k, randomised, found.agree, match, protocol, counted, evidence.judgements)
    poor = [what for what in ("population", "outcome") if plan["match"][what][0] == "poor"]
    decided, reasons = verdict_of(found, protocol["verdict"]["enough_reports"], certainty.level)
    if poor and decided not in ("no evidence", "insufficient"):
        decided, reasons = "insufficient", [f"the match in {' and '.join(poor)} is poor"]
    facts = _facts(pd.concat([found.counted, found.context]).sort_index(), set(found.counted.index))
    return Entry(
        **described(claim, evidence.documents, plan["match"]),
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


def _registration(evidence: Evidence, protocol: Protocol, claim: Any, plan: dict[str, Any]) -> Entry:
    """A registration: what a registry says that it is, and what the published report of the number says."""
    rows = evidence.beyond_evidence[evidence.beyond_evidence.topic == plan["topic"]]
    number = next(iter(REGISTRATION.findall(claim.what_is_claimed)), "")
    own = evidence.studies[evidence.studies.registry_id.str.contains(number, regex=False) & (number != "")]
    about = rows[rows.claim_ids.str.split(";").map(lambda ids: claim.claim_id in ids)]
    about = about[~about.reference.isin(set(own_trials(evidence)) - set(own.study_id))]
    decided, reasons = _registration_verdict(claim, about, own)
    return Entry(
        **described(claim, evidence.documents, plan["match"]),
        studies=[{"study_id": s, "label": label(evidence, s), "link": link(evidence, s)} for s in own.study_id],
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


def _count(evidence: Evidence, protocol: Protocol, claim: Any, plan: dict[str, Any]) -> Entry:
    """A number treated: no public record counts it; the arithmetic of the shares that stand on it."""
    studies = evidence.studies
    cited = studies.study_id.isin(own_trials(evidence)) & (studies.diabetes_type == claim.diabetes_type)
    own = studies.study_id[cited]
    patients = evidence.arms[evidence.arms.study_id.isin(own)].n_enrolled.sum()
    published = (
        f"the cited trial published {patients:g} patients" if len(own) else "no report of an own trial was found"
    )
    return Entry(
        **described(claim, evidence.documents, plan["match"]),
        studies=[{"study_id": s, "label": label(evidence, s), "link": link(evidence, s)} for s in own],
        verdict="no evidence",
        reasons=["no public record of the number treated was found", published],
        facts=arithmetic(evidence.claims, claim),
    )


def _disclaimer(evidence: Evidence, protocol: Protocol, claim: Any, plan: dict[str, Any]) -> Entry:
    """A disclaimer claims nothing that could be tested; harms stand beside it."""
    rows = evidence.beyond_evidence[evidence.beyond_evidence.topic == plan["topic"]]
    return Entry(
        **described(claim, evidence.documents, plan["match"]),
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
