"""Rules on reports, arms, cohorts, sources, claims, anomalies and their handling."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellclaims.evidence.rules_figures import arm_sizes
from cellclaims.evidence.schema import Finding, repeated

if TYPE_CHECKING:
    from cellclaims.evidence.schema import Evidence


#: Form of the numbers of each registry; other numbers (of a sponsor) are accepted.
REGISTRY_FORMS = {
    "NCT": r"NCT\d{8}",
    "ChiCTR": r"ChiCTR(-[A-Z]{3}-\d{8}|\d{10})",
    "IRCT": r"IRCT\d+N\d+",
    "ISRCTN": r"ISRCTN\d{8}",
    "EUCTR": r"EUCTR\d{4}-\d{6}-\d{2}",
}
#: Start of the address of a DOI.
DOI_ADDRESS = r"^(https?://(dx\.)?doi\.org/|doi:\s*)"
WITHOUT_CELLS = ("placebo", "sham", "standard_care", "matched_cohort")
#: The class of treatment in which blood is passed over cells and returned: nothing is transplanted.
NO_CELLS_GIVEN = "blood_passed_over_cells"
#: Tables of results.
FIGURES = ("continuous", "binary", "survival", "contrasts")
#: The kind of source that is never pooled.
NOT_SCIENTIFIC = "not_scientific"
#: Class of each kind of source: the report itself, somebody else's account of it, or no scientific text.
SOURCE_CLASS = {
    "abstract": "primary",
    "fulltext": "primary",
    "registry": "primary",
    "secondary": "secondary",
    NOT_SCIENTIFIC: "not scientific",
}
#: Columns of addresses that pages show as links.
CITED = {
    "sources": "url",
    "pooled_elsewhere": "source_url",
    "benchmarks": "url",
    "context": "url",
    "context_sources": "url",
    "topic_evidence": "url",
}


def control_names_comparator(evidence: Evidence) -> Iterator[Finding]:
    """A control arm has a kind of comparison; a treatment arm has none."""
    arms = evidence.arms
    for line in arms.index[(arms.role == "control") & (arms.comparator == "")]:
        yield Finding("arms", line, "comparator", "a kind of comparison, as the role is control", "nothing")
    for line in arms.index[(arms.role == "treatment") & (arms.comparator != "")]:
        yield Finding("arms", line, "comparator", "nothing, as the role is treatment", arms.comparator[line])


def cells_fit_role(evidence: Evidence) -> Iterator[Finding]:
    """Treatment arms and controls on another islet regimen receive cells; other controls do not.

    If the treatment is blood passed over cells, nobody receives any.
    """
    arms = evidence.arms
    wanted = pd.Series("", index=arms.index)
    wanted[(arms.role == "treatment") | (arms.comparator == "islets_other_regimen")] = "yes"
    wanted[arms.comparator.isin(WITHOUT_CELLS)] = "no"
    classes = dict(zip(evidence.studies.study_id, evidence.studies.intervention_class, strict=True))
    wanted[arms.study_id.map(classes) == NO_CELLS_GIVEN] = "no"
    for line in arms.index[(wanted != "") & (wanted != arms.gets_cells)]:
        reason = arms.comparator[line] or arms.role[line]
        yield Finding("arms", line, "gets_cells", f"{wanted[line]}, as the arm is {reason}", arms.gets_cells[line])


def part_of_an_arm(evidence: Evidence) -> Iterator[Finding]:
    """An arm can be part of another arm of the same report that is not a part itself."""
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
    """The number analysed in an arm does not exceed the number enrolled."""
    arms = evidence.arms
    for line, row in arms[arms.n_analysed > arms.n_enrolled].iterrows():
        yield Finding("arms", line, "n_analysed", f"at most the {row.n_enrolled:g} enrolled", f"{row.n_analysed:g}")


def report_has_cohort(evidence: Evidence) -> Iterator[Finding]:
    """Every report has a cohort; without one it would count as independent of all others."""
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
    """One DOI, PubMed or PubMed Central number is one report; a DOI is the same in capitals and as an address."""
    for column in ("doi", "pmid", "pmcid"):
        rows = evidence.studies[evidence.studies[column] != ""]
        plain = rows[column].str.lower().str.replace(DOI_ADDRESS, "", regex=True)
        yield from repeated("studies", rows.assign(**{column: plain}), [column])


def trial_entered_once(evidence: Evidence) -> Iterator[Finding]:
    """Two reports with the same title and the same numbers of patients are one, unless they share a cohort.

    A congress abstract may have the title of the paper; the cohort that both name then counts it once.
    """
    cohorts, numbers = _by_study(evidence.cohorts, "cohort_id"), _by_study(evidence.arms, "n_enrolled", "n_analysed")
    seen: dict[tuple, list[tuple[int, str]]] = {}
    for line, study, title in zip(
        evidence.studies.index, evidence.studies.study_id, evidence.studies.title, strict=True
    ):
        key = (re.sub(r"[^a-z0-9]+", " ", title.lower()).strip(), tuple(sorted(map(str, numbers.get(study, ())))))
        for first, other in seen.get(key, ()) if key[0] else ():
            if not set(cohorts.get(study, ())) & set(cohorts.get(other, ())):
                expected = "another title, other numbers of patients, or a cohort that both reports name in cohorts.csv"
                yield Finding("studies", line, "study_id", expected, f"the title and numbers of {other} (row {first})")
        seen.setdefault(key, []).append((line, study))


def _by_study(rows: pd.DataFrame, *columns: str) -> dict[str, list[tuple]]:
    """Values of columns of a table, by report."""
    found: dict[str, list[tuple]] = {}
    for study, *values in rows[["study_id", *columns]].itertuples(index=False, name=None):
        found.setdefault(study, []).append(tuple(values))
    return found


def registry_numbers_have_form(evidence: Evidence) -> Iterator[Finding]:
    """The number of a known registry has the form of that registry."""
    for line, cell in evidence.studies.registry_id.items():
        for name, form in REGISTRY_FORMS.items():
            for number in re.findall(rf"{name}[\w-]*", cell):
                if not re.fullmatch(form, number):
                    yield Finding("studies", line, "registry_id", f"the form {form}", number)


def source_speaks_of_report(evidence: Evidence) -> Iterator[Finding]:
    """A figure comes from a source of its report or a secondary source, or its locator names the other report."""
    sources = evidence.sources.set_index("source_id")
    for table in FIGURES:
        rows = getattr(evidence, table)
        owner, kind = rows.source_id.map(sources.study_id), rows.source_id.map(sources.kind)
        theirs = (owner != "") & (owner != rows.study_id) & ~kind.isin(["secondary", NOT_SCIENTIFIC])
        for line in rows.index[theirs]:
            if owner[line] not in rows.locator[line]:
                expected = f"a source of {rows.study_id[line]}, or {owner[line]} named in the locator"
                yield Finding(table, line, "source_id", expected, rows.source_id[line])


def topic_has_source(evidence: Evidence) -> Iterator[Finding]:
    """The addresses read for topics and thresholds are listed in their sources."""
    known = set(evidence.topic_sources.url)
    for table, column in (("topic_evidence", "read_at"), ("thresholds", "url")):
        for line, address in getattr(evidence, table)[column].items():
            if address not in known:
                yield Finding(table, line, column, "an address in topics/sources.csv", address)


def claims_exist(evidence: Evidence) -> Iterator[Finding]:
    """The claims named in a row exist."""
    known = set(evidence.claims.claim_id)
    for table in ("topic_evidence", "context"):
        for line, cell in getattr(evidence, table).claim_ids.items():
            for claim in cell.split(";"):
                if claim not in known:
                    yield Finding(table, line, "claim_ids", "claims of advertised/claims.csv", repr(claim))


def figure_fits_kind_of_claim(evidence: Evidence) -> Iterator[Finding]:
    """A claimed rate is a percentage of 0 to 100; a claimed number of patients is the number treated."""
    claims = evidence.claims
    rates = claims[claims.kind == "rate"]
    for line in rates.index[(rates.unit != "percent") | ~rates.value.between(0, 100)]:
        yield Finding("claims", line, "value", "0 to 100 percent", f"{claims.value[line]:g} {claims.unit[line]}")
    counts = claims[(claims.kind == "fact_of_record") & (claims.unit == "patients")]
    for line in counts.index[counts.value != counts.n_treated]:
        counted = claims.n_treated[line]
        words = "nothing" if np.isnan(counted) else f"{counted:g}"
        yield Finding("claims", line, "value", f"the number in n_treated, which is {words}", f"{claims.value[line]:g}")


def span_has_checksum(evidence: Evidence) -> Iterator[Finding]:
    """A quoted passage has a span and a checksum, or neither; a page without a copy has neither."""
    claims = evidence.claims
    exists = claims.document_id.map(evidence.documents.set_index("document_id").copy_exists)
    for row in claims.itertuples():
        if bool(row.quotation_span) != bool(row.span_sha256):
            expected, found = "a checksum with the span, or neither", row.span_sha256 or "nothing"
            yield Finding("claims", row.Index, "span_sha256", expected, found)
        elif row.quotation_span and exists[row.Index] == "no":
            expected = f"nothing, as no copy of {row.document_id} exists"
            yield Finding("claims", row.Index, "quotation_span", expected, row.quotation_span)
        elif row.quotation_span and not _rises(row.quotation_span):
            yield Finding("claims", row.Index, "quotation_span", "an end after the start", row.quotation_span)


def _rises(span: str) -> bool:
    start, end = map(int, span.split("-"))
    return start < end


def wanted_can_be_found(evidence: Evidence) -> Iterator[Finding]:
    """A wanted report has an identifier."""
    wanted = evidence.wanted
    for line in wanted.index[(wanted.doi == "") & (wanted.pmid == "") & (wanted.registry_id == "")]:
        yield Finding("wanted", line, "doi", "a DOI, a PubMed number or a registration", "nothing")


def topic_estimate_in_limits(evidence: Evidence) -> Iterator[Finding]:
    """The estimate of a result on a topic is within its limits."""
    rows = evidence.topic_evidence
    outside = (rows.estimate < rows.ci_low) | (rows.estimate > rows.ci_high) | (rows.ci_low > rows.ci_high)
    for line in rows.index[outside]:
        limits = f"{rows.ci_low[line]:g} to {rows.ci_high[line]:g}"
        yield Finding("topic_evidence", line, "estimate", limits, f"{rows.estimate[line]:g}")


def topic_precision_fits_interval(evidence: Evidence) -> Iterator[Finding]:
    """The precision of a ratio or difference says whether its interval excludes no effect."""
    rows = evidence.topic_evidence
    for row in rows[rows.ci_low.notna() & rows.ci_high.notna() & (rows.role == "evidence")].itertuples():
        none = 1.0 if re.match(r"(HR|OR|RR)\b", row.measure) else 0.0
        expected = f"interval {'includes' if row.ci_low <= none <= row.ci_high else 'excludes'} no effect"
        if row.precision != expected:
            yield Finding("topic_evidence", row.Index, "precision", expected, row.precision)


def document_has_checksum(evidence: Evidence) -> Iterator[Finding]:
    """A document has a checksum."""
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


def address_can_be_cited(evidence: Evidence) -> Iterator[Finding]:
    """A cited address is not an IP number, has no port, and is not at a site with copies (``copy_hosts.csv``)."""
    copies = dict(zip(evidence.copy_hosts.host, evidence.copy_hosts.what, strict=True))
    for table, column in CITED.items():
        for line, cell in getattr(evidence, table)[column].items():
            for address in re.findall(r"https?://[^\s;]+", cell):
                host = re.sub(r"^https?://", "", address).partition("/")[0].lower()
                name = host.partition(":")[0]
                if re.fullmatch(r"[0-9.]+", name) or ":" in host or name in copies:
                    found = f"{address} ({copies.get(name, 'an IP number or a port')})"
                    yield Finding(table, line, column, "an address that a scientific review may cite", found)


def unscientific_source_is_not_cited(evidence: Evidence) -> Iterator[Finding]:
    """A source that is not scientific has no citable address."""
    for table in ("sources", "context_sources"):
        rows = getattr(evidence, table)
        for line in rows.index[(rows.kind == NOT_SCIENTIFIC) & (rows.url != "")]:
            yield Finding(table, line, "url", f"nothing, as the kind is {NOT_SCIENTIFIC}", rows.url[line])


def differing_readings_are_recorded(evidence: Evidence) -> Iterator[Finding]:
    """A value that two readers read differently has an anomaly for its report or review."""
    named = set(evidence.anomalies.record_id)
    for table, owner in (*((t, "study_id") for t in FIGURES), ("pooled_elsewhere", "review_id")):
        rows = getattr(evidence, table)
        for line in rows.index[(rows.read_twice == "differs") & ~rows[owner].isin(named)]:
            yield Finding(table, line, "read_twice", "an anomaly with both readings", f"none of {rows[owner][line]}")


def correction_names_anomaly(evidence: Evidence) -> Iterator[Finding]:
    """The reason of a correction that became an anomaly begins with the id of the anomaly."""
    known = set(evidence.anomalies.anomaly_id)
    rows = evidence.corrections
    for line in rows.index[rows.decision == "anomaly"]:
        if (name := rows.reason[line].partition(":")[0]) not in known:
            yield Finding("corrections", line, "reason", "an anomaly of anomalies.csv and a colon first", name)


def benchmark_counts_fit(evidence: Evidence) -> Iterator[Finding]:
    """The number of patients of a benchmark with the outcome does not exceed their number."""
    rows = evidence.benchmarks
    for side in ("treated", "control"):
        events, of = rows[f"events_{side}"], rows[f"of_{side}"]
        for line in rows.index[events > of]:
            yield Finding("benchmarks", line, f"events_{side}", f"at most {of[line]:g}", f"{events[line]:g}")


REPORT_RULES = (
    control_names_comparator,
    cells_fit_role,
    part_of_an_arm,
    part_within_whole,
    analysed_at_most_enrolled,
    report_has_cohort,
    cohort_arm_exists,
    randomised_fits_design,
    report_entered_once,
    trial_entered_once,
    registry_numbers_have_form,
    source_speaks_of_report,
    topic_has_source,
    claims_exist,
    figure_fits_kind_of_claim,
    span_has_checksum,
    wanted_can_be_found,
    topic_estimate_in_limits,
    topic_precision_fits_interval,
    document_has_checksum,
    anomaly_names_record,
    address_can_be_cited,
    unscientific_source_is_not_cited,
    differing_readings_are_recorded,
    correction_names_anomaly,
    benchmark_counts_fit,
)


# Rules on ``accepted.csv``: accepted values are in the named tables.


#: Tables with accepted rows, and the columns that their acceptance fills.
FILLED = {
    "continuous": ("arm_id", "source_id", "registration"),
    "binary": ("arm_id", "source_id", "registration"),
    "studies": ("column", "value"),
}
OF_A_KIND = ("arm_id", "source_id", "registration", "column", "value")


def locator(snapshot: str, pointer: str) -> str:
    """Return the locator of an accepted value: the snapshot, and the position in the answer.

    Examples
    --------
    >>> locator("20261120T101500Z", "/studies/0/resultsSection")
    'snapshot 20261120T101500Z, /studies/0/resultsSection'
    >>> locator("", "/resultsSection")
    'record, /resultsSection'
    """
    return f"snapshot {snapshot}, {pointer}" if snapshot else f"record, {pointer}"


def acceptance_fits_table(evidence: Evidence) -> Iterator[Finding]:
    """An accepted value names its arm, source and record; an accepted identifier its column and value."""
    rows = evidence.accepted
    for column in OF_A_KIND:
        wanted = rows.table.map(lambda table, column=column: column in FILLED[table]).astype(bool)
        for line in rows.index[wanted != (rows[column] != "")]:
            expected = f"{'a value' if wanted[line] else 'nothing'}, as the table is {rows.table[line]}"
            yield Finding("accepted", line, column, expected, rows[column][line] or "nothing")


def accepted_figure_stands(evidence: Evidence) -> Iterator[Finding]:
    """An accepted value is a row of its table, with the source and locator named in the acceptance."""
    rows = evidence.accepted
    for line, row in rows[rows.table != "studies"].iterrows():
        table, place = getattr(evidence, row.table), locator(row.snapshot, row.pointer)
        key = (row.study_id, row.arm_id, row.source_id, place)
        if key not in set(zip(table.study_id, table.arm_id, table.source_id, table.locator, strict=True)):
            expected = f"a row of {row.table} of arm {row.arm_id} from {row.source_id} at this place"
            yield Finding("accepted", line, "pointer", expected, f"none at {place!r}")


def accepted_identifier_stands(evidence: Evidence) -> Iterator[Finding]:
    """An accepted identifier is that of its report."""
    rows, studies = evidence.accepted, evidence.studies.set_index("study_id")
    for line, row in rows[(rows.table == "studies") & (rows.column != "")].iterrows():
        if row.value != (held := studies.at[row.study_id, row.column]):
            expected = f"the {row.column} of {row.study_id}, {held or 'nothing'}"
            yield Finding("accepted", line, "value", expected, row.value)


def accepted_once(evidence: Evidence) -> Iterator[Finding]:
    """A position in an answer is accepted once per arm or identifier."""
    yield from repeated("accepted", evidence.accepted, ["table", "study_id", "arm_id", "column", "sha256", "pointer"])


ACCEPTED_RULES = (acceptance_fits_table, accepted_figure_stands, accepted_identifier_stands, accepted_once)


# Rules on ``handling.csv``: every step selects rows, and sets a possible value.


#: Columns of handling.csv that describe a step; all others select rows, where an empty cell selects any value.
ABOUT_THE_STEP = frozenset("handling_id anomaly_id variant table action column value reason".split())
#: Tables in which one row concerns many values, and the columns by which those values refer to it.
WHOLES = (
    ("arms", ("study_id", "arm_id")),
    ("arms", ("study_id", "treatment_arm")),
    ("arms", ("study_id", "control_arm")),
    ("studies", ("study_id",)),
)
#: Columns of a table with another name than the selector.
HELD_AS = {("pooled_elsewhere", "study_id"): "review_id"}


def rows_meant(table: str, rows: pd.DataFrame, step: Mapping[str, object]) -> pd.Series:
    """Return which rows of a table a step of ``handling.csv`` selects.

    Parameters
    ----------
    table : str
        Name of the table of ``rows``.
    rows : DataFrame
        Its rows.
    step : mapping
        One row of ``handling.csv``.

    Returns
    -------
    Series of bool, the index of ``rows``
        A selector that is not a column of the table selects nothing.
    """
    meant = np.ones(len(rows), dtype=bool)
    for selector in set(step.keys()) - ABOUT_THE_STEP:
        wanted = step[selector]
        if not _is_empty(wanted):
            column = HELD_AS.get((table, selector), selector)
            meant &= (rows[column].to_numpy() == wanted) if column in rows else False
    return pd.Series(meant, index=rows.index)


def step_finds_rows(evidence: Evidence) -> Iterator[Finding]:
    """A step selects at least one row; a misspelt report or month would have no effect."""
    for line, step in evidence.handling.iterrows():
        if not rows_meant(step.table, getattr(evidence, step.table), step).any():
            names = [name for name in step.index if name not in ABOUT_THE_STEP and not _is_empty(step[name])]
            chosen = ", ".join(f"{name} {step[name]}" for name in names)
            yield Finding("handling", line, "table", f"at least one row of {step.table} with {chosen}", "none")


def step_can_be_set(evidence: Evidence) -> Iterator[Finding]:
    """``set`` names a column of the table and a valid value; other actions name none.

    A whole report or arm can be flagged or excluded; errors in its description are corrected in the table, with an
    anomaly.
    """
    for step in evidence.handling.itertuples():
        rows = getattr(evidence, step.table)
        if step.action != "set":
            if found := step.column or step.value:
                yield Finding("handling", step.Index, "column", f"nothing, as the action is {step.action}", found)
        elif step.table in dict(WHOLES):
            yield Finding("handling", step.Index, "action", f"flag or leave_out, as the table is {step.table}", "set")
        elif step.column not in rows:
            yield Finding("handling", step.Index, "column", f"a column of {step.table}", repr(step.column))
        elif pd.api.types.is_numeric_dtype(rows[step.column]) and not _is_number(step.value):
            yield Finding("handling", step.Index, "value", f"a number for {step.column}", repr(step.value))


def step_fits_anomaly(evidence: Evidence) -> Iterator[Finding]:
    """A step concerns the report of its anomaly, or its reason names that report."""
    record = dict(zip(evidence.anomalies.anomaly_id, evidence.anomalies.record_id, strict=True))
    for step in evidence.handling.itertuples():
        named = record.get(step.anomaly_id)
        if step.study_id not in ("", named) and named not in step.reason:
            expected = f"{named}, as in {step.anomaly_id}, or a reason that names it"
            yield Finding("handling", step.Index, "study_id", expected, step.study_id)


def _is_empty(cell: str | float) -> bool:
    return cell == "" or cell != cell  # NaN differs from itself


def _is_number(text: str) -> bool:
    try:
        return text == "" or np.isfinite(float(text))
    except ValueError:
        return False


HANDLING_RULES = (step_can_be_set, step_fits_anomaly)
CHECKED_ONLY = (step_finds_rows,)
