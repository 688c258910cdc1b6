"""Claims without a figure: which way the published reports point, and how good the best of them are.

A *topic* is what ``beyond_glucose/evidence.csv`` groups its rows by. A report *speaks* when its direction could be
read; it is *counted* when it speaks, is in humans, is not the clinic's own, and is in no meta-analysis of its topic.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from cellclaims.tables import Evidence

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
