"""What evidence there is: reports by population, product, design and time; what is thin; from report to pool."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cellclaims.anomalies import handled
from cellclaims.evidence import Evidence
from cellclaims.pool import Pool, label, link
from cellclaims.selection import EvidenceBase, Question, benchmarks, series

#: Words for the designs of studies.csv, the strongest first.
DESIGNS = {
    "rct": "randomised",
    "nonrandomised_controlled": "controlled, not randomised",
    "single_arm": "one arm",
    "cohort": "cohort",
    "registry": "registry",
}
#: Products of the protocol that do not overlap; "any cells" is their union.
PRODUCTS = ("islets", "stem_cell_islets", "autologous_islets", "msc", "marrow_cells", "hsct", "other_cells")


def described(base: EvidenceBase) -> pd.DataFrame:
    """One line a report: study_id, label, link, population, product, design (in words), year.

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
    order = {"product": list(dict.fromkeys(product.values())), "design": list(DESIGNS.values())}
    for column, values in order.items():
        frame[column] = pd.Categorical(frame[column], values, ordered=True)
    return frame.sort_values(["product", "population", "design", "study_id"]).reset_index(drop=True)


def by_design(reports: pd.DataFrame) -> pd.DataFrame:
    """Number of reports for each population, product and design that occurs.

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


def by_year(reports: pd.DataFrame) -> pd.DataFrame:
    """Number of reports for each year and product; reports without a year are left out here.

    Parameters
    ----------
    reports : DataFrame
        One line per report (:func:`cellclaims.overview.described`).

    Returns
    -------
    DataFrame
    """
    dated = reports.dropna(subset="year").astype({"year": int})
    return dated.groupby(["year", "product"], observed=True).size().rename("studies").reset_index()


def thin(base: EvidenceBase) -> pd.DataFrame:
    """What the outcomes of the review rest on: reports with any figure, with patients and spread, with a control.

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
    """A reason without what is particular to its row.

    >>> kind_of_reason("a10: HbA1c was held by the design"), kind_of_reason("month 24, asked for 12")
    ('the recorded handling of an anomaly', 'another month')
    """
    found = (kind for start, kind in REASON_KINDS.items() if re.match(start, reason))
    return next(found, re.sub(r"[,;(].*$", "", reason).strip())


#: A stage on the way: its name, the reports at it, and how many stop there for which reason.
Stage = tuple[str, int, dict[str, int]]


def flow(evidence: Evidence, pools: Sequence[Pool]) -> tuple[list[Stage], list[tuple[str, int]]]:
    """From reports found to reports pooled: (stage, reports at it, {reason: reports that stop there}) and (pool, k).

    A report stops at the first stage whose condition it does not meet, so that the numbers add up. For a report that
    is eligible and in no pool, the reason is the one that stands nearest to a pool.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    pools : sequence of Pool

    Returns
    -------
    tuple
    """
    found = set(evidence.studies.study_id)
    with_figures = found & _with_figures(evidence)
    registries = with_figures & set(evidence.studies.study_id[evidence.studies.design == "registry"])
    eligible = with_figures - registries
    used = set().union(*(set(p.rows.study_id) for p in pools)) & eligible
    stages = [
        ("Reports found", len(found), {"no figure in the text that was seen": len(found - with_figures)}),
        ("Reports with a figure", len(with_figures), {"registry: a benchmark beside the pools": len(registries)}),
        ("Reports eligible for a pool", len(eligible), _why_not(eligible - used, pools)),
        ("Reports in at least one of the pools below", len(used), {}),
    ]
    return stages, [(p.title, p.k) for p in pools]


def _with_figures(evidence: Evidence) -> set[str]:
    tables = (evidence.continuous, evidence.binary, evidence.survival, evidence.contrasts)
    return set().union(*(set(t.study_id) for t in tables))


def _why_not(studies: set[str], pools: Sequence[Pool]) -> dict[str, int]:
    """Reasons of eligible reports that are in no pool, each report counted once."""
    reasons = pd.concat([p.left_out[["study_id", "reason"]] for p in pools])
    reasons = reasons[reasons.study_id.isin(studies)].assign(kind=lambda r: r.reason.map(kind_of_reason))
    nearness = {kind: rank for rank, kind in enumerate(REASON_KINDS.values())}
    nearest = reasons.assign(rank=reasons.kind.map(nearness).fillna(len(nearness)))
    kinds = nearest.sort_values("rank", kind="stable").groupby("study_id").kind.last()
    counts = kinds.value_counts().to_dict()
    other = len(studies) - len(kinds)
    return counts | ({"figures of other outcomes only": other} if other else {})


def unpublished(evidence: Evidence) -> pd.DataFrame:
    """Registered trials without any figure in the sources seen: study_id, label, link, registry_id, notes.

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
    """Studies over the months, and what registries and survival curves report.

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
    """Actuarial percentages over all recipients of a report, and what registries print: beside the pool, never in it.

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
    """Printed percentages as lines of the durability figure that stand apart from the reports."""
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
