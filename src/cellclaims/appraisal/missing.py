"""Results that are missing: trials that were registered and have given no number, as far as the sources go.

What was not seen is not the same as what was not published; the two stay apart as far as the data allow. Page and
others 2023 (ROB-ME, https://doi.org/10.1136/bmj-2023-076754) describe how such a list bears on a pooled result.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cellclaims.tables import Evidence

#: How far the numbers of a registered trial have come, from a pool to nowhere.
POOLED, FIGURES, NO_FIGURE, NO_REPORT = (
    "in one of these pools",
    "figures, but in none of these pools",
    "published, no figure in the text that was seen",
    "no publication seen",
)
STATES = (POOLED, FIGURES, NO_FIGURE, NO_REPORT)
#: What stands in the column of the journal where there is none.
NOT_A_JOURNAL = ("", "registry", "ClinicalTrials.gov posted results", "sponsor press release")
TABLES = ("continuous", "binary", "survival", "contrasts")
COLUMNS = "study_id registry_id diabetes_type product state planned enrolled results_posted".split()


def missing_results(evidence: Evidence, pooled: Iterable[str]) -> pd.DataFrame:
    """Every registered trial with how far its numbers have come.

    Parameters
    ----------
    evidence : Evidence
    pooled : iterable of str
        Reports that stand in a pool.

    Returns
    -------
    DataFrame
        One line a registration: study_id (of its report that has come furthest; empty where none is in the tables),
        registry_id, diabetes_type, product (intervention class), state (one of :data:`STATES`), planned, enrolled
        (patients; as registered, else as reported), results_posted ("yes", "no", empty where not seen).
    """
    studies = evidence.studies[evidence.studies.registry_id != ""]
    figures, used = set().union(*(set(getattr(evidence, name).study_id) for name in TABLES)), set(pooled)
    reported = [_line(evidence, study, _state(study, figures, used)) for study in studies.itertuples()]
    records = evidence.registrations[~evidence.registrations.study_id.isin(set(studies.study_id))]
    alone = records.reindex(columns=COLUMNS).assign(state=NO_REPORT, diabetes_type="", product="")
    trials = pd.concat([pd.DataFrame(reported, columns=COLUMNS), alone], ignore_index=True)
    furthest = trials.assign(rank=trials.state.map(STATES.index)).sort_values("rank", kind="stable")
    return furthest.drop_duplicates("registry_id").drop(columns="rank").sort_index().reset_index(drop=True)


def _state(study: object, figures: set[str], pooled: set[str]) -> str:
    if study.study_id in pooled:
        return POOLED
    if study.study_id in figures:
        return FIGURES
    published = study.doi or study.pmid or study.pmcid or study.journal not in NOT_A_JOURNAL
    return NO_FIGURE if published else NO_REPORT


def _line(evidence: Evidence, study: object, state: str) -> dict[str, object]:
    records = evidence.registrations[evidence.registrations.study_id == study.study_id]
    arms = evidence.arms[(evidence.arms.study_id == study.study_id) & (evidence.arms.part_of == "")]
    reported = arms.n_enrolled.sum(min_count=1)
    enrolled = records.enrolled.max()
    return {
        "study_id": study.study_id,
        "registry_id": study.registry_id,
        "diabetes_type": study.diabetes_type,
        "product": study.intervention_class,
        "state": state,
        "planned": records.planned.max(),
        "enrolled": reported if np.isnan(enrolled) else enrolled,
        "results_posted": next((p for p in records.results_posted if p), ""),
    }
