"""How much the evidence can bear: printed numbers checked, design, judgements, certainty, and results that are missing.

Nothing here judges in a reviewer's place: computed facts, defaults and recorded judgements stay apart and are named so.
"""

from cellclaims.appraisal.certainty import (
    LEVELS,
    AnsweredQuestion,
    Certainty,
    CertaintyStep,
    answered,
    certainty_of_pool,
    certainty_of_reports,
)
from cellclaims.appraisal.consistency import CHECKS, consistency, known_anomalies
from cellclaims.appraisal.consistency import summary as consistency_summary
from cellclaims.appraisal.design_facts import FACTS, STATES, design_facts, missing_results
from cellclaims.appraisal.judgements import (
    DOMAINS,
    READ_BY,
    agreement,
    judged_domains,
    overall,
    reviewers_words,
    valid_judgements,
)
from cellclaims.appraisal.refits import as_effects, by_year, without_each

__all__ = [
    "CHECKS",
    "DOMAINS",
    "FACTS",
    "LEVELS",
    "READ_BY",
    "STATES",
    "AnsweredQuestion",
    "Certainty",
    "CertaintyStep",
    "agreement",
    "answered",
    "as_effects",
    "by_year",
    "certainty_of_pool",
    "certainty_of_reports",
    "consistency",
    "consistency_summary",
    "design_facts",
    "judged_domains",
    "known_anomalies",
    "missing_results",
    "overall",
    "reviewers_words",
    "valid_judgements",
    "without_each",
]
