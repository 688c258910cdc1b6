"""Facts of design that bear on the risk of bias, as the data hold them. They are facts and no judgement.

A *fact* has a sign, "+" where it protects against bias, "-" where it does not, "?" where it is partly so or was not
seen, "" where it cannot apply, and words that say what was seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from cellclaims.evidence import Evidence
from cellclaims.evidence.rules_reports import NOT_SCIENTIFIC
from cellclaims.protocol import Protocol
from cellclaims.selection import EvidenceBase

Fact = tuple[str, str]

#: Tables that a fact sees of its own report only -> the column that names the report.
OWN = {"arms": "study_id", "registrations": "study_id", "anomalies": "record_id"}


def design_facts(base: EvidenceBase, study_ids: Iterable[str], in_words: bool = False) -> pd.DataFrame:
    """Facts of design of each report.

    Parameters
    ----------
    base : EvidenceBase
        Its protocol names the untreated comparators and, as ``certainty.losses``, the proportion of participants that
        may be lost.
    study_ids : iterable of str
        Rows of studies.csv, each shown once, in this order.
    in_words : bool
        What was seen instead of the signs.

    Returns
    -------
    DataFrame
        Index: study_id; columns: the names in :data:`FACTS`.
    """
    table = {}
    studies = base.evidence.studies.set_index("study_id", drop=False)
    own = {name: dict(iter(getattr(base.evidence, name).groupby(key))) for name, key in OWN.items()}
    for study in dict.fromkeys(study_ids):
        tables = {name: own[name].get(study, getattr(base.evidence, name).head(0)) for name in OWN}
        mine = EvidenceBase(replace(base.evidence, **tables), base.protocol)
        table[study] = {name: fact(mine, studies.loc[study])[int(in_words)] for name, fact in FACTS.items()}
    return pd.DataFrame.from_dict(table, orient="index", columns=list(FACTS))


def _randomised(base: EvidenceBase, study: Any) -> Fact:
    return {"yes": ("+", "yes"), "no": ("-", "no")}.get(study.randomised, ("?", "the sources disagree"))


def _blinded(base: EvidenceBase, study: Any) -> Fact:
    known = {"double": ("+", "double"), "single": ("?", "single"), "open": ("-", "open")}
    return known.get(study.blinding, ("?", "not stated"))


def _controlled(base: EvidenceBase, study: Any) -> Fact:
    arms = base.evidence.arms
    untreated = arms[
        (arms.gets_cells == "no") & arms.comparator.isin(base.protocol["eligibility"]["untreated_comparators"])
    ]
    if len(untreated):
        return "+", untreated.comparator.iloc[0].replace("_", " ")
    others = arms.comparator[arms.comparator != ""]
    return "-", others.iloc[0].replace("_", " ") if len(others) else "no control arm"


def _registered(base: EvidenceBase, study: Any) -> Fact:
    return ("+", study.registry_id) if study.registry_id else ("?", "no number seen")


def _posted(base: EvidenceBase, study: Any) -> Fact:
    if not study.registry_id:
        return "", "–"
    posted = set(base.evidence.registrations.results_posted)
    return ("+", "yes") if "yes" in posted else ("-", "no") if "no" in posted else ("?", "record not read")


def _to_its_end(base: EvidenceBase, study: Any) -> Fact:
    records = base.evidence.registrations
    stopped = (base.evidence.anomalies.kind == "stopped_early").any()
    words = "; ".join(f"{r.enrolled:g} of {r.planned:g} planned" for r in records.dropna().itertuples())
    if stopped or records.status.isin(["terminated", "withdrawn"]).any():
        return "-", f"stopped early{': ' * bool(words)}{words}"
    return ("+", "completed") if (records.status == "completed").any() else ("?", "not seen")


def _few_lost(base: EvidenceBase, study: Any) -> Fact:
    arms = base.evidence.arms[base.evidence.arms.part_of == ""]
    enrolled, analysed = arms.n_enrolled.sum(skipna=False), arms.n_analysed.sum(skipna=False)
    if not enrolled > 0 or np.isnan(analysed):
        return "?", "enrolled or analysed not stated"
    share = 1 - analysed / enrolled
    return "+" if share <= base.protocol["certainty"]["losses"] else "-", f"{analysed:g} of {enrolled:g} analysed"


def _own_patients(base: EvidenceBase, study: Any) -> Fact:
    cohorts = base.evidence.cohorts
    registries = base.evidence.studies.study_id[
        base.evidence.studies.design.isin(base.protocol["eligibility"]["benchmark_designs"])
    ]
    mine = cohorts[cohorts.study_id == study.study_id]
    others = cohorts[cohorts.cohort_id.isin(mine.cohort_id) & (cohorts.study_id != study.study_id)]
    others = others[~others.study_id.isin(registries)]
    if others.empty:
        return "+", "yes"
    words = f"shared with {', '.join(dict.fromkeys(others.study_id))}"
    sure = (mine.share != "probable").any() and (others.share != "probable").any()
    return ("-", words) if sure else ("?", f"probably {words}")


#: What is shown of each report, in this order.
FACTS: dict[str, Callable[[Evidence, Protocol, Any], Fact]] = {
    "randomised": _randomised,
    "blinded": _blinded,
    "untreated control": _controlled,
    "registered": _registered,
    "results posted": _posted,
    "run to its end": _to_its_end,
    "few lost": _few_lost,
    "patients of its own": _own_patients,
}


# Results that are missing: trials that were registered and have given no number, as far as the sources go.
#
# What was not seen is not the same as what was not published; the two stay apart as far as the data allow. Page and
# others 2023 (ROB-ME, https://doi.org/10.1136/bmj-2023-076754) describe how such a list bears on a pooled result.


#: How far the numbers of a registered trial have come, from a pool to nowhere.
POOLED, FIGURES, NO_FIGURE, NO_REPORT = (
    "in one of these pools",
    "figures, but in none of these pools",
    "published, no figure in the text that was seen",
    "no publication seen",
)
STATES = (POOLED, FIGURES, NO_FIGURE, NO_REPORT)
#: What the column of the journal says where there is none.
NOT_A_JOURNAL = ("", "registry", "ClinicalTrials.gov posted results", "sponsor press release")
TABLES = ("continuous", "binary", "survival", "contrasts")
COLUMNS = "study_id registry_id diabetes_type product state planned enrolled results_posted".split()


def missing_results(evidence: Evidence, pooled: Iterable[str]) -> pd.DataFrame:
    """Every registered trial with how far its numbers have come.

    Parameters
    ----------
    evidence : Evidence
    pooled : iterable of str
        Studies in a pool.

    Returns
    -------
    DataFrame
        One line a registration: study_id (of its report that has come furthest; empty where none is in the tables),
        registry_id, diabetes_type, product (intervention class), state (one of :data:`STATES`), planned, enrolled
        (patients; as registered, else as reported), results_posted ("yes", "no", empty where not seen).
    """
    studies = evidence.studies[evidence.studies.registry_id != ""]
    figures, used = _reported(evidence), set(pooled)
    reported = [_line(evidence, study, _state(study, figures, used)) for study in studies.itertuples()]
    records = evidence.registrations[~evidence.registrations.study_id.isin(set(studies.study_id))]
    alone = records.reindex(columns=COLUMNS).assign(state=NO_REPORT, diabetes_type="", product="")
    trials = pd.concat([pd.DataFrame(reported, columns=COLUMNS), alone], ignore_index=True)
    furthest = trials.assign(rank=trials.state.map(STATES.index)).sort_values("rank", kind="stable")
    return furthest.drop_duplicates("registry_id").drop(columns="rank").sort_index().reset_index(drop=True)


#: Evidence -> its registered trials, each with the status of its record.
_TRIALS: WeakKeyDictionary[Evidence, pd.DataFrame] = WeakKeyDictionary()


def registered_results(base: EvidenceBase, population: Iterable[str], product: str) -> tuple[int, int]:
    """How many registered, completed trials of a product and population there are, and how many are without results.

    A trial counts as completed where its record says so or its results are published or posted. It is without results
    where nothing was published or posted that could be found; a publication whose figures could not be read is a
    result.

    Parameters
    ----------
    base : EvidenceBase
    population : iterable of str
        Types of diabetes.
    product : str
        A product of the protocol.

    Returns
    -------
    tuple of int and int
    """
    evidence = base.evidence
    if evidence not in _TRIALS:
        status = evidence.registrations.groupby("registry_id").status.first()
        trials = missing_results(evidence, ())
        _TRIALS[evidence] = trials.assign(status=trials.registry_id.map(status).fillna(""))
    trials = _TRIALS[evidence]
    asked = trials.diabetes_type.isin(list(population)) & trials["product"].isin(base.protocol.classes(product))
    has_results = (trials.state != NO_REPORT) | (trials.results_posted == "yes")
    completed = trials[asked & (has_results | (trials.status == "completed"))]
    return len(completed), int((~has_results[completed.index]).sum())


def _reported(evidence: Evidence) -> set[str]:
    """Reports with a figure; one that only a press release or a page that is not scientific prints is no report."""
    scientific = set(evidence.sources.source_id[evidence.sources.kind != NOT_SCIENTIFIC])
    tables = (getattr(evidence, name) for name in TABLES)
    return set().union(*(set(rows.study_id[rows.source_id.isin(scientific)]) for rows in tables))


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
