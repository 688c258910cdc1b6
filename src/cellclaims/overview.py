"""Summaries of the evidence: reports by population, product, design and time; sparse data; from report to pool."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from cellclaims.anomalies import handled
from cellclaims.evidence import Evidence
from cellclaims.evidence.screened import Screened, counts, listed_reasons, screened
from cellclaims.pool import Pool, label, link
from cellclaims.registries.client import source_name
from cellclaims.selection import EvidenceBase, Question, benchmarks, series

#: Words for the designs of studies.csv, the strongest first.
DESIGNS = {
    "rct": "randomised",
    "nonrandomised_controlled": "controlled, not randomised",
    "single_arm": "single-arm",
    "cohort": "cohort",
    "registry": "registry",
}
#: Types of diabetes in the order of the figures, first that of most advertisements.
POPULATIONS = ("T2D", "T1D", "T3c", "mixed")
#: Products of the protocol that do not overlap; "any cells" is their union.
PRODUCTS = ("islets", "stem_cell_islets", "autologous_islets", "msc", "marrow_cells", "hsct", "other_cells")


def described(base: EvidenceBase) -> pd.DataFrame:
    """Return one line per report: study_id, label, link, population, product, design (in words), year.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.

    Returns
    -------
    DataFrame
    """
    product = {c: base.protocol.product_name(p) for p in PRODUCTS for c in base.protocol.classes(p)}
    studies = base.evidence.studies
    frame = pd.DataFrame(
        {
            "study_id": studies.study_id,
            "label": [label(base.evidence, s) for s in studies.study_id],
            "link": [link(base.evidence, s, _first_source(base.evidence, s)) for s in studies.study_id],
            "diabetes_type": studies.diabetes_type,
            "population": studies.diabetes_type.map(base.protocol["eligibility"]["populations"]).str.capitalize(),
            "product": studies.intervention_class.map(product),
            "design": studies.design.map(DESIGNS),
            "year": studies.year,
        }
    )
    words = base.protocol["eligibility"]["populations"]
    order = {
        "population": [words[one].capitalize() for one in sorted(words, key=_place_of_population)],
        "product": list(dict.fromkeys(product.values())),
        "design": list(DESIGNS.values()),
    }
    for column, values in order.items():
        frame[column] = pd.Categorical(frame[column], values, ordered=True)
    return frame.sort_values(["product", "population", "design", "study_id"]).reset_index(drop=True)


def _place_of_population(name: str) -> int:
    return POPULATIONS.index(name) if name in POPULATIONS else len(POPULATIONS)


def separate_studies(evidence: Evidence) -> int:
    """Return the number of studies: reports that cover the same whole cohort count as one.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.

    Returns
    -------
    int
        Reports that share a part of their patients only, or share them probably, count apart.
    """
    first: dict[str, str] = {}

    def start(name: str) -> str:
        while (before := first.setdefault(name, name)) != name:
            name = before
        return name

    whole = evidence.cohorts[evidence.cohorts.share == "whole"]
    for study, cohort in zip(whole.study_id, whole.cohort_id, strict=True):
        first[start(f"report {study}")] = start(f"cohort {cohort}")
    return len({start(f"report {study}") for study in evidence.studies.study_id})


def by_design(reports: pd.DataFrame) -> pd.DataFrame:
    """Return the number of reports for each population, product and design that occurs.

    Parameters
    ----------
    reports : DataFrame
        One line per report (:func:`cellclaims.overview.described`).

    Returns
    -------
    DataFrame
    """
    grouped = reports.groupby(["population", "product", "design"], observed=True).size()
    return grouped.rename("studies").reset_index()


#: The two groups of the figure of years, and the products of each.
YEAR_GROUPS = {
    "Islets": ("islets", "stem_cell_islets", "autologous_islets"),
    "Mesenchymal and other cells": ("msc", "marrow_cells", "hsct", "other_cells"),
}


def by_year(base: EvidenceBase, reports: pd.DataFrame) -> pd.DataFrame:
    """Return the number of reports per year, of islets and of other cells.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    reports : DataFrame
        One line per report (:func:`cellclaims.overview.described`).

    Returns
    -------
    DataFrame
        year, product (the group) and studies. Reports without a year, or of no product, are left out here.
    """
    group = {base.protocol.product_name(p): name for name, products in YEAR_GROUPS.items() for p in products}
    dated = reports.dropna(subset=["year", "product"]).astype({"year": int})
    dated = dated.assign(
        product=pd.Categorical(dated["product"].astype(str).map(group), list(YEAR_GROUPS), ordered=True)
    )
    counted = dated.groupby(["year", "product"], observed=True).size().rename("studies").reset_index()
    return counted.sort_values(["product", "year"]).reset_index(drop=True)


def thin(base: EvidenceBase) -> pd.DataFrame:
    """Count the reports of each outcome: with any value, with patients and dispersion, with a control.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.

    Returns
    -------
    DataFrame
    """
    lines = []
    for product in PRODUCTS:
        mine = set(
            base.evidence.studies.study_id[
                base.evidence.studies.intervention_class.isin(base.protocol.classes(product))
            ]
        )
        lines.append({"product": base.protocol.product_name(product), "reports": len(mine)} | _figures(base, mine))
    return pd.DataFrame(lines)


def _figures(base: EvidenceBase, mine: set[str]) -> dict[str, int]:
    levels = base.evidence.continuous[
        (base.evidence.continuous.outcome == "hba1c") & base.evidence.continuous.study_id.isin(mine)
    ]
    counts = base.evidence.binary[
        (base.evidence.binary.definition_id == "insulin_independence") & base.evidence.binary.study_id.isin(mine)
    ]
    untreated = base.protocol["eligibility"]["untreated_comparators"]
    arms = base.evidence.arms[base.evidence.arms.comparator.isin(untreated) & (base.evidence.arms.gets_cells == "no")]
    return {
        "any HbA1c": levels.study_id.nunique(),
        "HbA1c with spread": levels[levels.dispersion_type != "none"].study_id.nunique(),
        "any insulin independence": counts.study_id.nunique(),
        "with a count": counts.dropna(subset=["events", "n"]).study_id.nunique(),
        "untreated control": arms[arms.study_id.isin(mine)].study_id.nunique(),
    }


#: How a reason starts -> the kind under which it is counted; the later, the nearer the row came to a pool.
REASON_KINDS = {
    r"population ": "another type of diabetes",
    r"product ": "another product",
    r"no untreated control arm|arm without cells": "no arm of the kind asked for",
    r"design ": "another design",
    r"counted ": "counted in another way",
    r"month |no month": "another month",
    r"no count of events|no number of patients": "a percentage without its count",
    r"no baseline|no follow-up|change printed|a mean and SD|no mean and SD": "no change with its spread",
    r"adjusted: |change: ": "no difference between arms can be computed",
    r"part of arm ": "part of an arm that is counted",
    r"another row|another arm": "another row of the report is counted",
    r"a\d+: ": "the recorded handling of an anomaly",
    r"shares patients ": "shares patients with a report that is counted",
}


def kind_of_reason(reason: str) -> str:
    """Return a reason without the details of its row.

    >>> kind_of_reason("a10: HbA1c was held by the design"), kind_of_reason("month 24, asked for 12")
    ('the recorded handling of an anomaly', 'another month')
    """
    found = (kind for start, kind in REASON_KINDS.items() if re.match(start, reason))
    return next(found, re.sub(r"[,;(].*$", "", reason).strip())


class Stage(NamedTuple):
    """A stage between records found and reports pooled.

    Attributes
    ----------
    label : str
    count : int
        Records or reports at it.
    left_out : dict of str to int
        Reason -> how many stop here.
    added : dict of str to int
        Source -> number of additional records at this stage.
    heading : str
        What those that stop are called.
    """

    label: str
    count: int
    left_out: dict[str, int]
    added: dict[str, int] = {}  # noqa: RUF012 (a named tuple's default is shared and never changed)
    heading: str = "Left out"


#: What is said of the reports that were found before any search was screened.
BEFORE_SCREENING = (
    "without a screening decision: found before screening existed (sources read up to {date}; docs/search.md), when it "
    "was not recorded how many records were identified, screened and excluded"
)


def screening_stages(base: EvidenceBase) -> list[Stage]:
    """Return the stages from the records of the last screened search to the reports in the evidence (PRISMA 2020).

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.

    Returns
    -------
    list of Stage
        The last one counts all reports of the evidence; the only one where no search was screened.
    """
    evidence = base.evidence
    reports = len(evidence.studies)
    records = screened(evidence)
    of_screening = {one.study_id for one in records if one.decision == "include" and one.study_id}
    before = BEFORE_SCREENING.format(date=base.protocol.evidence_date)
    added = {before: reports - len(of_screening)}
    counted = counts(evidence)
    if counted is None:
        return [Stage("Reports in the evidence", reports, {}, added)]
    reasons = listed_reasons(base.protocol.content)
    stage_of = {name: one["stage"] for name, one in reasons.items()}

    def stopped(stage: str) -> dict[str, int]:
        mine = [one for one in records if one.decision in ("exclude", "unsure") and stage_of.get(one.reason) == stage]
        return {reasons[name]["words"]: sum(one.reason == name for one in mine) for name in reasons} if mine else {}

    rows = evidence.searches[evidence.searches.snapshot == evidence.searches.snapshot.max()]
    found = {f"{source_name(row.source)}, {row.searched}": int(row.records) for row in rows.itertuples()}
    unread = {
        "reviewers differ": _number(records, "conflict"),
        "not decided yet (unsure)": sum(one.decision == "unsure" and not one.reason for one in records),
    }
    included = [one for one in records if one.decision == "include"]
    entered = sum(bool(one.study_id) for one in included)
    stages = [
        Stage(
            "Records identified by the last search",
            counted.records,
            {
                "the same record from a second source": counted.merged,
                "records of reports that the review already had": counted.known,
                "waiting for a decision": counted.waiting,
            },
            found,
        ),
        Stage(
            "Records screened",
            counted.screened,
            stopped("record") | unread,
            {"screened in an earlier search, not found by the last": counted.earlier},
            "Excluded on title, abstract or registry entry, or open",
        ),
        Stage("Reports sought", 0, stopped("retrieval"), {}, "Not retrieved"),
        Stage(
            "Reports assessed",
            0,
            stopped("report") | {"included, results not entered yet": len(included) - entered},
            {},
            "Excluded after reading, or not entered yet",
        ),
        Stage(
            "Records of included reports",
            entered,
            {"further records of the same report": entered - len(of_screening)},
        ),
        Stage("Reports in the evidence", reports, {}, added),
    ]
    return _counted_down(stages)


def _number(records: Sequence[Screened], decision: str) -> int:
    return sum(one.decision == decision for one in records)


def _counted_down(stages: list[Stage]) -> list[Stage]:
    """Return stages without empty reasons; those between screening and inclusion are counted from the one before."""
    made: list[Stage] = []
    for stage in stages:
        left_out = {reason: count for reason, count in stage.left_out.items() if count}
        added = {source: count for source, count in stage.added.items() if count}
        count = stage.count
        if stage.label in ("Reports sought", "Reports assessed"):
            count = made[-1].count - sum(made[-1].left_out.values())
        made.append(stage._replace(count=count, left_out=left_out, added=added))
    return made


def flow(base: EvidenceBase, pools: Sequence[Pool]) -> tuple[list[Stage], list[tuple[str, int]]]:
    """Return the stages from records found to reports pooled, and each pool with its number of reports.

    A report stops at the first stage whose condition it does not meet, so that the numbers add up. For an eligible
    report that is in no pool, the reason is the last one before pooling.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    pools : sequence of Pool

    Returns
    -------
    tuple
    """
    evidence = base.evidence
    found = set(evidence.studies.study_id)
    with_figures = found & _with_figures(evidence)
    registries = with_figures & set(evidence.studies.study_id[evidence.studies.design == "registry"])
    eligible = with_figures - registries
    used = set().union(*(set(p.rows.study_id) for p in pools)) & eligible
    *before, last = screening_stages(base)
    no_result = {"no result in the text that could be read": len(found - with_figures)}
    stages = [
        *before,
        last._replace(left_out={reason: count for reason, count in no_result.items() if count}),
        Stage(
            "Reports with a result",
            len(with_figures),
            {"patient registries: shown next to the pools": len(registries)} if registries else {},
        ),
        Stage(
            "Reports eligible for a pool", len(eligible), _why_not(eligible - used, pools), {},
            "In none of the pools below",
        ),
        Stage("Reports in at least one of the pools below", len(used), {}),
    ]  # fmt: skip
    return stages, [(p.title, p.k) for p in pools]


def _with_figures(evidence: Evidence) -> set[str]:
    tables = (evidence.continuous, evidence.binary, evidence.survival, evidence.contrasts)
    return set().union(*(set(t.study_id) for t in tables))


def _why_not(studies: set[str], pools: Sequence[Pool]) -> dict[str, int]:
    """Return the reasons why eligible reports are in no pool, each report counted once."""
    reasons = pd.concat([p.left_out[["study_id", "reason"]] for p in pools])
    reasons = reasons[reasons.study_id.isin(studies)].assign(kind=lambda r: r.reason.map(kind_of_reason))
    nearness = {kind: rank for rank, kind in enumerate(REASON_KINDS.values())}
    nearest = reasons.assign(rank=reasons.kind.map(nearness).fillna(len(nearness)))
    kinds = nearest.sort_values("rank", kind="stable").groupby("study_id").kind.last()
    counts = kinds.value_counts().to_dict()
    other = len(studies) - len(kinds)
    return counts | ({"results for other outcomes only": other} if other else {})


def unpublished(evidence: Evidence) -> pd.DataFrame:
    """Return registered trials without results in our sources: study_id, label, link, registry_id, notes.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.

    Returns
    -------
    DataFrame
    """
    studies = evidence.studies
    silent = studies[(studies.registry_id != "") & ~studies.study_id.isin(_with_figures(evidence))]
    return pd.DataFrame(
        {
            "study_id": silent.study_id,
            "label": [label(evidence, s) for s in silent.study_id],
            "link": [link(evidence, s) for s in silent.study_id],
            "registry_id": silent.registry_id,
        }
    ).reset_index(drop=True)


def _first_source(evidence: Evidence, study_id: str) -> str:
    mine = evidence.sources.source_id[evidence.sources.study_id == study_id]
    return mine.iloc[0] if len(mine) else ""


# An outcome over time.


def durability(base: EvidenceBase, question: Question) -> pd.DataFrame:
    """Return studies over the months, and percentages from registries and survival curves.

    A study is a line through its own counts; one that counts at a single month is left out, and months are not pooled,
    because other centres report at each of them.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
        Its outcome, population, product and arms; every month is taken.

    Returns
    -------
    pandas.DataFrame
        One line per study and month: report, kind ("report" or "registry"), months, percent, ci_lb, ci_ub (percent, of
        actuarial curves where they are reported), n (participants).
    """
    rows = series(base, question)
    rows = rows[(rows.n >= question.at(base.protocol).fewest) & ~rows.study_id.isin(question.exclude)]
    rows = rows[rows.groupby("study_id").months.transform("nunique") > 1] if len(rows) else rows
    reports = pd.DataFrame(
        {
            "report": [label(base.evidence, s) for s in rows.study_id],
            "kind": "report",
            "months": rows.months,
            "percent": 100 * rows.events / rows.n,
            "ci_lb": np.nan,
            "ci_ub": np.nan,
            "n": rows.n,
        }
    )
    return pd.concat([reports, _curves(base, question)], ignore_index=True)


def _curves(base: EvidenceBase, question: Question) -> pd.DataFrame:
    """Return actuarial percentages over all recipients of a report, and registries' percentages, which are not pooled.

    Subgroups by arm are left to the report's own table.
    """
    studies = base.evidence.studies[base.evidence.studies.diabetes_type.isin(question.population)]
    mine = set(studies.study_id[studies.intervention_class.isin(base.protocol.classes(question.product))])
    rows = handled(base.evidence, "survival", question.alternative)
    rows = rows[(rows.outcome == question.outcome) & rows.study_id.isin(mine) & (rows.leave == "")]
    actuarial = _beside(base.evidence, rows[(rows.arm_id == "all") & (rows.months > 0)], "actuarial")
    printed = benchmarks(base, question)
    printed = printed[printed.study_id.isin(mine) & printed.months.notna() & printed.percent.notna()]
    return pd.concat([actuarial, _beside(base.evidence, printed.assign(ci_low=np.nan, ci_high=np.nan), "registry")])


def _beside(evidence: Evidence, rows: pd.DataFrame, kind: str) -> pd.DataFrame:
    """Return reported percentages as separate lines of the durability figure."""
    return pd.DataFrame(
        {
            "report": [f"{label(evidence, s)} ({kind})" for s in rows.study_id],
            "kind": "registry",
            "months": rows.months,
            "percent": rows.percent,
            "ci_lb": rows.ci_low,
            "ci_ub": rows.ci_high,
        }
    )
