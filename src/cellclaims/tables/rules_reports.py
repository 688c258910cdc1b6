"""Rules on who is who: reports, arms, cohorts, sources, claims, anomalies and their handling."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellclaims.tables.faults import Finding, repeated
from cellclaims.tables.rules_counts import arm_sizes

if TYPE_CHECKING:
    from cellclaims.tables.read import Evidence

#: A registry that is named must be named in its own form; other numbers (a sponsor's) are left as they are.
REGISTRY_FORMS = {
    "NCT": r"NCT\d{8}",
    "ChiCTR": r"ChiCTR(-[A-Z]{3}-\d{8}|\d{10})",
    "IRCT": r"IRCT\d+N\d+",
    "ISRCTN": r"ISRCTN\d{8}",
    "EUCTR": r"EUCTR\d{4}-\d{6}-\d{2}",
}
WITHOUT_CELLS = ("placebo", "sham", "standard_care", "matched_cohort")


def control_names_comparator(evidence: Evidence) -> Iterator[Finding]:
    """A control arm says what kind of comparison it is; a treatment arm is none."""
    arms = evidence.arms
    for line in arms.index[(arms.role == "control") & (arms.comparator == "")]:
        yield Finding("arms", line, "comparator", "a kind of comparison, as the role is control", "nothing")
    for line in arms.index[(arms.role == "treatment") & (arms.comparator != "")]:
        yield Finding("arms", line, "comparator", "nothing, as the role is treatment", arms.comparator[line])


def cells_fit_role(evidence: Evidence) -> Iterator[Finding]:
    """Treatment arms and controls on another islet regimen get cells; controls that show life without cells do not."""
    arms = evidence.arms
    wanted = pd.Series("", index=arms.index)
    wanted[(arms.role == "treatment") | (arms.comparator == "islets_other_regimen")] = "yes"
    wanted[arms.comparator.isin(WITHOUT_CELLS)] = "no"
    for line in arms.index[(wanted != "") & (wanted != arms.gets_cells)]:
        reason = arms.comparator[line] or arms.role[line]
        yield Finding("arms", line, "gets_cells", f"{wanted[line]}, as the arm is {reason}", arms.gets_cells[line])


def part_of_an_arm(evidence: Evidence) -> Iterator[Finding]:
    """The whole that an arm is part of is another arm of the same report, and itself part of nothing."""
    arms = evidence.arms
    wholes = dict(zip(zip(arms.study_id, arms.arm_id, strict=True), arms.part_of, strict=True))
    for line, ((study, arm), whole) in zip(arms.index, wholes.items(), strict=True):
        if whole and (whole == arm or (study, whole) not in wholes):
            yield Finding("arms", line, "part_of", f"another arm of {study}", whole)
        elif whole and wholes[study, whole]:
            found = f"{whole}, part of {wholes[study, whole]}"
            yield Finding("arms", line, "part_of", "an arm that is no part itself", found)


def part_within_whole(evidence: Evidence) -> Iterator[Finding]:
    """A part of an arm has no more patients than the arm."""
    sizes = arm_sizes(evidence)
    arms = evidence.arms[evidence.arms.part_of != ""]
    for line, study, arm, whole in zip(arms.index, arms.study_id, arms.arm_id, arms.part_of, strict=True):
        if sizes[study, arm] > (most := sizes.get((study, whole), np.nan)):
            yield Finding("arms", line, "n_enrolled", f"at most the {most:g} of {whole}", f"{sizes[study, arm]:g}")


def analysed_at_most_enrolled(evidence: Evidence) -> Iterator[Finding]:
    """No more patients of an arm are analysed than were enrolled."""
    arms = evidence.arms
    for line, row in arms[arms.n_analysed > arms.n_enrolled].iterrows():
        yield Finding("arms", line, "n_analysed", f"at most the {row.n_enrolled:g} enrolled", f"{row.n_analysed:g}")


def report_has_cohort(evidence: Evidence) -> Iterator[Finding]:
    """Every report covers a cohort: without one it would pass as independent of every other."""
    known = set(evidence.cohorts.study_id)
    for line, study in evidence.studies.study_id.items():
        if study not in known:
            yield Finding("studies", line, "study_id", "a row in published/cohorts.csv", f"none for {study}")


def cohort_arm_exists(evidence: Evidence) -> Iterator[Finding]:
    """An arm that covers a cohort is an arm of its report."""
    arms, cohorts = evidence.arms, evidence.cohorts
    known = set(zip(arms.study_id, arms.arm_id, strict=True))
    for line, study, arm in zip(cohorts.index, cohorts.study_id, cohorts.arm_id, strict=True):
        if arm and (study, arm) not in known:
            yield Finding("cohorts", line, "arm_id", f"an arm of {study}", arm)


def randomised_fits_design(evidence: Evidence) -> Iterator[Finding]:
    """Only a randomised trial is randomised."""
    studies = evidence.studies
    for line, row in studies[(studies.design == "rct") != (studies.randomised == "yes")].iterrows():
        expected = "yes" if row.design == "rct" else "no"
        if row.randomised != "":
            yield Finding("studies", line, "randomised", f"{expected}, as the design is {row.design}", row.randomised)


def report_entered_once(evidence: Evidence) -> Iterator[Finding]:
    """One DOI, PubMed or PubMed Central number is one report."""
    for column in ("doi", "pmid", "pmcid"):
        yield from repeated("studies", evidence.studies[evidence.studies[column] != ""], [column])


def registry_numbers_have_form(evidence: Evidence) -> Iterator[Finding]:
    """A number of a known registry has that registry's form."""
    for line, cell in evidence.studies.registry_id.items():
        for name, form in REGISTRY_FORMS.items():
            for number in re.findall(rf"{name}[\w-]*", cell):
                if not re.fullmatch(form, number):
                    yield Finding("studies", line, "registry_id", f"the form {form}", number)


def source_speaks_of_report(evidence: Evidence) -> Iterator[Finding]:
    """A figure comes from a source of its report or a secondary source, or its locator names the other report."""
    sources = evidence.sources.set_index("source_id")
    for table in ("continuous", "binary", "survival", "contrasts"):
        rows = getattr(evidence, table)
        owner, kind = rows.source_id.map(sources.study_id), rows.source_id.map(sources.kind)
        for line in rows.index[(owner != "") & (owner != rows.study_id) & (kind != "secondary")]:
            if owner[line] not in rows.locator[line]:
                expected = f"a source of {rows.study_id[line]}, or {owner[line]} named in the locator"
                yield Finding(table, line, "source_id", expected, rows.source_id[line])


def text_beyond_has_source(evidence: Evidence) -> Iterator[Finding]:
    """Every address that the rows beyond glucose name stands among their sources."""
    known = set(evidence.beyond_sources.url)
    for table in ("beyond_evidence", "thresholds"):
        for line, address in getattr(evidence, table).url.items():
            if address not in known:
                yield Finding(table, line, "url", "an address in beyond_glucose/sources.csv", address)


def claims_exist(evidence: Evidence) -> Iterator[Finding]:
    """The claims that a row speaks to are claims."""
    known = set(evidence.claims.claim_id)
    for line, cell in evidence.beyond_evidence.claim_ids.items():
        for claim in cell.split(";"):
            if claim not in known:
                yield Finding("beyond_evidence", line, "claim_ids", "claims of advertised/claims.csv", repr(claim))


def figure_fits_kind_of_claim(evidence: Evidence) -> Iterator[Finding]:
    """A claimed proportion is a percentage of 0 to 100; a claimed count is the number treated."""
    claims = evidence.claims
    shares = claims[claims.kind == "proportion"]
    for line in shares.index[(shares.unit != "percent") | ~shares.value.between(0, 100)]:
        yield Finding("claims", line, "value", "0 to 100 percent", f"{claims.value[line]:g} {claims.unit[line]}")
    counts = claims[claims.kind == "count"]
    for line in counts.index[counts.value != counts.n_treated]:
        yield Finding("claims", line, "value", f"n_treated = {claims.n_treated[line]:g}", f"{claims.value[line]:g}")


def document_has_checksum(evidence: Evidence) -> Iterator[Finding]:
    """A document that was handed over is identified by its checksum."""
    documents = evidence.documents
    for line in documents.index[(documents.kind == "document") & (documents.sha256 == "")]:
        yield Finding("documents", line, "sha256", "a checksum, as the kind is document", "nothing")


def anomaly_names_record(evidence: Evidence) -> Iterator[Finding]:
    """The report or review that an anomaly names exists."""
    known = {"studies": set(evidence.studies.study_id), "pooled_elsewhere": set(evidence.pooled_elsewhere.review_id)}
    anomalies = evidence.anomalies
    for line, table, record in zip(anomalies.index, anomalies.table, anomalies.record_id, strict=True):
        if record not in known[table]:
            yield Finding("anomalies", line, "record_id", f"a record of {table}", record)


RULES = (
    control_names_comparator,
    cells_fit_role,
    part_of_an_arm,
    part_within_whole,
    analysed_at_most_enrolled,
    report_has_cohort,
    cohort_arm_exists,
    randomised_fits_design,
    report_entered_once,
    registry_numbers_have_form,
    source_speaks_of_report,
    text_beyond_has_source,
    claims_exist,
    figure_fits_kind_of_claim,
    document_has_checksum,
    anomaly_names_record,
)
