"""What the ledger says of one claim, as numbers and words that JSON can hold."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from cellclaims.appraisal import Certainty

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


def rated(certainty: Certainty) -> dict[str, Any]:
    """A certainty as the fields of an entry."""
    return {"certainty": certainty.level, "certainty_steps": [asdict(step) for step in certainty.steps]}


def advertised(claim: Any, documents: Any) -> dict[str, Any]:
    """The claim in our words, with its document, date and figure."""
    known = documents[documents.document_id == claim.document_id].iloc[0]
    return {
        "what": claim.what_is_claimed,
        "document": claim.document_id,
        "title": known.title,
        "locator": claim.locator,
        "as_of": "" if math.isnan(claim.as_of) else f"{claim.as_of:g}",
        "qualifier": claim.qualifier,
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
