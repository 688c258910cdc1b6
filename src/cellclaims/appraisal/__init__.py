"""How much the evidence can bear: printed numbers checked, design, judgements, certainty, and results that are missing.

Nothing here judges in a reviewer's place: computed facts, defaults and recorded judgements stay apart and are named so.
"""

from cellclaims.appraisal.certainty import (
    DOMAINS,
    LEVELS,
    AnsweredQuestion,
    Certainty,
    CertaintyStep,
    answered,
    certainty_of_pool,
    certainty_of_reports,
    judged_domains,
    overall,
)
from cellclaims.appraisal.consistency import CHECKS, consistency, known_anomalies
from cellclaims.appraisal.consistency import summary as consistency_summary
from cellclaims.appraisal.design_facts import FACTS, STATES, design_facts, missing_results

__all__ = [
    "CHECKS",
    "DOMAINS",
    "FACTS",
    "LEVELS",
    "STATES",
    "AnsweredQuestion",
    "Certainty",
    "CertaintyStep",
    "answered",
    "certainty_of_pool",
    "certainty_of_reports",
    "consistency",
    "consistency_summary",
    "design_facts",
    "judged_domains",
    "known_anomalies",
    "missing_results",
    "overall",
]
