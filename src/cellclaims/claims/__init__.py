"""An advertised statement and the published evidence: what is claimed, what answers it, what may be said.

A *statement* is one row of ``advertised/claims.csv``. Statements of one answer of the protocol and one family (rate,
effect, mechanism, record, context) are one *entry* of the ledger. Its *finding* compares them with published results.
"""

from cellclaims.claims.counterparts import (
    answer_of,
    control_pool,
    counterpart_pool,
    family_of,
    own_trials,
    question_of,
)
from cellclaims.claims.findings import effect_finding, mechanism_finding, probabilities_of, rate_finding
from cellclaims.claims.ledger import Entry, advertised_rates, entry_of, entry_with, groups_of, ledger, pool_of_entry
from cellclaims.claims.stability import curve_of, curve_of_entry, with_stability

__all__ = [
    "Entry",
    "advertised_rates",
    "answer_of",
    "control_pool",
    "counterpart_pool",
    "curve_of",
    "curve_of_entry",
    "effect_finding",
    "entry_of",
    "entry_with",
    "family_of",
    "groups_of",
    "ledger",
    "mechanism_finding",
    "own_trials",
    "pool_of_entry",
    "probabilities_of",
    "question_of",
    "rate_finding",
    "with_stability",
]
