"""Numbers into words: the only place where a result is rounded.

Notebooks and figures take every sentence and table from here, so that prose never holds a typed result.
"""

from cellclaims.reporting.claim_words import (
    claim_rows,
    claims_alt,
    claims_headline,
    claims_table,
    clears_thresholds,
    match_table,
    same_rates,
    unsaid_table,
)
from cellclaims.reporting.evidence_words import (
    anomalies,
    definitions,
    evidence_alt,
    fingerprint,
    flow_alt,
    pooled_elsewhere,
    protocol_outcomes,
    protocol_verdicts,
    registered,
    studies,
    thresholds,
    what_was_found,
)
from cellclaims.reporting.ledger_words import (
    cards,
    claim_map,
    claim_map_alt,
    facts_table,
    ledger_json,
    ledger_table,
    paragraph,
    write_ledger,
)
from cellclaims.reporting.pool_words import (
    choices,
    claim_marks,
    durability,
    forest_alt,
    matters,
    matters_marks,
    question_title,
)
from cellclaims.reporting.results import Results
from cellclaims.reporting.sentences import heterogeneity, say
from cellclaims.reporting.sentences import pooled as pooled_sentence
from cellclaims.reporting.tables import left_out, table
from cellclaims.reporting.tables import pooled as pooled_table
from cellclaims.reporting.tables import reasons as reasons_left_out
from cellclaims.reporting.tables import reports as reports_of_pool

__all__ = [
    "Results",
    "anomalies",
    "cards",
    "choices",
    "claim_map",
    "claim_map_alt",
    "claim_marks",
    "claim_rows",
    "claims_alt",
    "claims_headline",
    "claims_table",
    "clears_thresholds",
    "definitions",
    "durability",
    "evidence_alt",
    "facts_table",
    "fingerprint",
    "flow_alt",
    "forest_alt",
    "heterogeneity",
    "ledger_json",
    "ledger_table",
    "left_out",
    "match_table",
    "matters",
    "matters_marks",
    "paragraph",
    "pooled_elsewhere",
    "pooled_sentence",
    "pooled_table",
    "protocol_outcomes",
    "protocol_verdicts",
    "question_title",
    "reasons_left_out",
    "registered",
    "reports_of_pool",
    "same_rates",
    "say",
    "studies",
    "table",
    "thresholds",
    "unsaid_table",
    "what_was_found",
    "write_ledger",
]
