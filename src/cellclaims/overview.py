"""What evidence there is: reports by population, product, design and time; what is thin; from report to pool."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from cellclaims.pools import Pool, label, link
from cellclaims.protocol import Protocol
from cellclaims.tables import Evidence

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


def described(evidence: Evidence, protocol: Protocol) -> pd.DataFrame:
    """One line a report: study_id, label, link, population, product, design (in words), year."""
    product = {c: protocol.product_name(p) for p in PRODUCTS for c in protocol.classes(p)}
    studies = evidence.studies
    frame = pd.DataFrame(
        {
            "study_id": studies.study_id,
            "label": [label(evidence, s) for s in studies.study_id],
            "link": [link(evidence, s, _first_source(evidence, s)) for s in studies.study_id],
            "population": studies.diabetes_type,
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
    """Number of reports for each population, product and design that occurs."""
    grouped = reports.groupby(["population", "product", "design"], observed=True).size()
    return grouped.rename("studies").reset_index()


def by_year(reports: pd.DataFrame) -> pd.DataFrame:
    """Number of reports for each year and product; reports without a year are left out here."""
    dated = reports.dropna(subset="year").astype({"year": int})
    return dated.groupby(["year", "product"], observed=True).size().rename("studies").reset_index()


def thin(evidence: Evidence, protocol: Protocol) -> pd.DataFrame:
    """What the outcomes of the review rest on: reports with any figure, with patients and spread, with a control."""
    lines = []
    for product in PRODUCTS:
        mine = set(evidence.studies.study_id[evidence.studies.intervention_class.isin(protocol.classes(product))])
        lines.append(
            {"product": protocol.product_name(product), "reports": len(mine)} | _figures(evidence, protocol, mine)
        )
    return pd.DataFrame(lines)


def _figures(evidence: Evidence, protocol: Protocol, mine: set[str]) -> dict[str, int]:
    levels = evidence.continuous[(evidence.continuous.outcome == "hba1c") & evidence.continuous.study_id.isin(mine)]
    counts = evidence.binary[
        (evidence.binary.definition_id == "insulin_independence") & evidence.binary.study_id.isin(mine)
    ]
    untreated = protocol["eligibility"]["untreated_comparators"]
    arms = evidence.arms[evidence.arms.comparator.isin(untreated) & (evidence.arms.gets_cells == "no")]
    return {
        "any HbA1c": levels.study_id.nunique(),
        "HbA1c with spread": levels[levels.dispersion_type != "none"].study_id.nunique(),
        "any insulin independence": counts.study_id.nunique(),
        "with a count": counts.dropna(subset=["events", "n"]).study_id.nunique(),
        "untreated control": arms[arms.study_id.isin(mine)].study_id.nunique(),
    }


#: A stage on the way: its name, the reports at it, and how many stop there for which reason.
Stage = tuple[str, int, dict[str, int]]


def flow(evidence: Evidence, pools: Sequence[Pool]) -> tuple[list[Stage], list[tuple[str, int]]]:
    """From reports found to reports pooled: (stage, reports at it, {reason: reports that stop there}) and (pool, k).

    A report stops at the first stage whose condition it does not meet, so that the numbers add up.
    """
    found = set(evidence.studies.study_id)
    figures = set(evidence.continuous.study_id) | set(evidence.binary.study_id) | set(evidence.survival.study_id)
    figures |= set(evidence.contrasts.study_id)
    with_figures = found & figures
    registries = set(evidence.studies.study_id[evidence.studies.design == "registry"])
    eligible = with_figures - registries
    used = set().union(*(set(p.rows.study_id) for p in pools)) & eligible
    stages = [
        ("Reports found", len(found), {"no figure in the text that was seen": len(found - figures)}),
        (
            "Reports with a figure",
            len(with_figures),
            {"registry: benchmark beside the pools": len(with_figures & registries)},
        ),
        ("Reports eligible for a pool", len(eligible), {"in no pool of this review": len(eligible - used)}),
        ("Reports in at least one pool", len(used), {}),
    ]
    return stages, [(p.title, p.k) for p in pools]


def unpublished(evidence: Evidence) -> pd.DataFrame:
    """Registered trials without any figure in the sources seen: study_id, label, link, registry_id, notes."""
    figures = set(evidence.continuous.study_id) | set(evidence.binary.study_id) | set(evidence.survival.study_id)
    studies = evidence.studies
    silent = studies[(studies.registry_id != "") & ~studies.study_id.isin(figures | set(evidence.contrasts.study_id))]
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
