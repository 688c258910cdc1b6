"""Words and tables about the evidence itself: what was found, what is questionable, which rules apply."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import Any

import pandas as pd

import cellclaims
from cellclaims.anomalies import handled
from cellclaims.evidence import Evidence
from cellclaims.evidence.rules_reports import FIGURES, NOT_SCIENTIFIC
from cellclaims.evidence.screened import counts, listed_reasons, screened
from cellclaims.files import markdown_table, put_between
from cellclaims.overview import screening_stages, separate_studies
from cellclaims.pool import label, link
from cellclaims.protocol import Protocol
from cellclaims.registries.client import source_name
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Link, Table, interval, number, table
from cellclaims.selection import EvidenceBase

#: Names in the ids of reviews whose authors were not in the text that was read: journals and registries.
NOT_AUTHORS = frozenset({"ahsctcn", "betacell", "citr", "cytotherapy", "diabther"})

#: Characters of a title that replaces an author.
LONGEST_TITLE = 44


def what_was_found(evidence: Evidence, reports: pd.DataFrame) -> Sentence:
    """Return how many reports, how many of them randomised, and the figures taken from them.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    reports : DataFrame
        One line per report (:func:`cellclaims.overview.described`).

    Returns
    -------
    Sentence
    """
    randomised = int((reports.design == "randomised").sum())
    results = sum(len(getattr(evidence, name)) for name in FIGURES)
    linked = evidence.studies.doi.ne("") | evidence.studies.pmid.ne("") | evidence.studies.registry_id.ne("")
    every = len(evidence.studies)
    return say(
        f"{every} reports of {separate_studies(evidence)} studies were found; reports on wholly the same participants "
        "count as one study.",
        "" if len(reports) == every else f"{len(reports)} of these reports are on the chosen types of diabetes.",
        f"{randomised} of {len(reports)} reports are of randomised trials.",
        f"All reports together gave {results} results, each with its source and place.",
        f"A DOI, PubMed or registry number is known for {int(linked.sum())} of {every} reports.",
        f"{len(evidence.anomalies)} reported values or labels are questionable and recorded as anomalies.",
    )


def screening_words(evidence: Evidence) -> Sentence:
    """Return how the reports were found and screened, as far as it was recorded."""
    counted = counts(evidence)
    if counted is None:
        return say(
            "No search has been screened yet.",
            "The reports were found before screening existed, in two rounds of reading described in docs/search.md: "
            "how many records were identified, screened and excluded then was not recorded.",
        )
    records = screened(evidence)
    last = evidence.searches.snapshot.max()
    said = [f"{sum(one.decision == name for one in records)} {words}" for name, words in DECIDED.items()]
    return say(
        f"The last screened search (snapshot {last}) gave {counted.records} records, of which {counted.merged} came "
        f"from a second source and {counted.known} belong to reports that the review already had.",
        f"{counted.screened} records have been screened: {', '.join(said)}; {counted.waiting} wait for a decision.",
        "Reports that were found before screening existed have no record of it (docs/search.md).",
    )


#: Decisions of screening in words.
DECIDED = {"include": "included", "exclude": "excluded", "unsure": "unsure", "conflict": "on which reviewers differ"}


#: Marks of docs/search.md between which the flow is written.
FLOW_BEGIN, FLOW_END = "<!-- flow: made by `make notebooks`, do not edit -->", "<!-- end of flow -->"


def flow_page(base: EvidenceBase) -> str:
    """The flow from records identified to reports in the evidence, as a Markdown table.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.

    Returns
    -------
    str
        A row for each stage: its number, what comes in there and from where, and what stops there and why.
    """
    rows = [("stage", "number", "comes in from", "stops here")]
    for name, count, left_out, added, _ in screening_stages(base):
        lists = ("; ".join(f"{number} {words}" for words, number in part.items()) for part in (added, left_out))
        rows.append((name, str(count), *(text or "–" for text in lists)))
    return f"{screening_words(base.evidence)}\n\n{markdown_table(rows)}"


def put_flow(page: Path, base: EvidenceBase) -> None:
    """Write the flow into a page, between its marks.

    Raises
    ------
    ReviewError
        If the page has no such marks.
    """
    put_between(page, FLOW_BEGIN, FLOW_END, flow_page(base))


def searches_table(evidence: Evidence) -> Table:
    """Return every screened search: source, day, records, and what became of them before they were read."""
    shown = evidence.searches.assign(
        snapshot=evidence.searches.snapshot, source=evidence.searches.source.map(source_name)
    )
    columns = {
        "snapshot": "search",
        "source": "source",
        "searched": "day",
        "records": "records",
        "merged": "from a second source",
        "known": "already in the review",
        "waiting": "waiting for a decision",
    }
    return table(shown, "Records identified, by search, source and day", columns)


def excluded_table(base: EvidenceBase) -> Table:
    """Return why screened records were left out: each reason of the protocol with its number of records."""
    records = screened(base.evidence)
    lines = [
        {
            "reason": one["words"],
            "stage": STAGES[one["stage"]],
            "records": float(sum(r.reason == name for r in records)),
        }
        for name, one in listed_reasons(base.protocol.content).items()
    ]
    return table(pd.DataFrame(lines, columns=["reason", "stage", "records"]), "Screened records that were left out")


def screening_tables(base: EvidenceBase) -> list[Table]:
    """The searches that were screened and why records were left out; no table where nothing was screened."""
    return [] if counts(base.evidence) is None else [searches_table(base.evidence), excluded_table(base)]


#: Stages of the protocol's reasons in words.
STAGES = {
    "record": "on title, abstract or registry entry",
    "retrieval": "sought, not readable",
    "report": "after the report was read",
}


def how_it_was_read(evidence: Evidence) -> Sentence:
    """Return how many results two readers read alike, and that the sources were mostly abstracts.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.

    Returns
    -------
    Sentence
    """
    tables = [getattr(evidence, name) for name in FIGURES]
    figures = sum(map(len, tables))
    twice, differ = (sum((t.read_twice == word).sum() for t in tables) for word in ("yes", "differs"))
    kinds = evidence.sources.kind.value_counts()
    full, other = kinds.get("fulltext", 0), kinds.get(NOT_SCIENTIFIC, 0)
    return say(
        "The maintainers read the results, largely with reading software, from abstracts, tables and registry records.",
        f"{twice} of {figures} results were read again by a second reader, who did not know the first, and agree.",
        f"{differ or 'None'} of the results read again {'was' if differ < 2 else 'were'} found to differ.",
        f"Of {len(evidence.sources)} sources, {full} were full texts or parts of one.",
        f"{other} are not scientific (clinic and company pages, press releases, news) and feed no pool.",
    )


def fingerprint(base: EvidenceBase) -> str:
    """Which evidence and which package made the numbers; no date of the run, so that equal results are equal text."""
    return (
        f"Evidence as read on {base.protocol.evidence_date}, protocol version {base.protocol['version']}, "
        f"data {base.evidence.fingerprint[:12]}, cellclaims {cellclaims.__version__}."
    )


def evidence_alt(reports: pd.DataFrame) -> str:
    """Return the evidence map in words.

    Parameters
    ----------
    reports : DataFrame
        One line per report (:func:`cellclaims.overview.described`).

    Returns
    -------
    str
    """
    lines = reports.groupby(["product", "population"], observed=True).size()
    counts = "; ".join(f"{product}, {population}: {count}" for (product, population), count in lines.items())
    return f"Number of reports by product, type of diabetes and design. Totals: {counts}."


def counts_alt(counts: pd.DataFrame, what: str) -> str:
    """Counts by product and population in words: the totals of each.

    Parameters
    ----------
    counts : DataFrame
        product, population and studies, a number.
    what : str
        What was counted.
    """
    totals = counts.groupby(["product", "population"], observed=True, sort=False).studies.sum()
    words = "; ".join(f"{product}, {people}: {number:g}" for (product, people), number in totals.items())
    return f"{what}. Totals: {words or 'none'}."


def years_alt(counts: pd.DataFrame, unit: str) -> str:
    """Counts by year and product in words: the span of years and the total of each product."""
    if counts.empty:
        return f"Number of {unit} by year: none."
    totals = counts.groupby("product", observed=True, sort=False).studies.sum()
    words = "; ".join(f"{product}: {number:g}" for product, number in totals.items())
    return f"Number of {unit} by year, {counts.year.min():g} to {counts.year.max():g}. Totals: {words}."


def not_shown(reports: pd.DataFrame, *, by_year: bool = False) -> str:
    """Return how many reports are missing from a figure because nothing places them, in words; empty if it shows all.

    Parameters
    ----------
    reports : DataFrame
        One line per report (:func:`cellclaims.overview.described`, or ``studies.csv``): ``year`` and, where the figure
        has products, ``product``.
    by_year : bool
        Whether the figure is one of years.

    Examples
    --------
    >>> not_shown(pd.DataFrame({"product": ["a", "a", None], "year": [2001.0, None, 2002.0]}), by_year=True)
    'Of 3 reports, 1 without a year and 1 of another product are not shown.'
    """
    of_no_product = reports["product"].isna() if "product" in reports else pd.Series(data=False, index=reports.index)
    other = int(of_no_product.sum())
    undated = int((reports["year"].isna() & ~of_no_product).sum()) if by_year else 0
    parts = [f"{undated} without a year"] * bool(undated) + [f"{other} of another product"] * bool(other)
    verb = "is" if undated + other == 1 else "are"
    return f"Of {len(reports)} reports, {' and '.join(parts)} {verb} not shown." if parts else ""


def flow_alt(stages: Sequence[tuple], pools: Sequence[tuple[str, int]]) -> str:
    """Return the flow figure in words.

    Parameters
    ----------
    stages : sequence of Stage
        Name and number of each stage, how many stop there for which reason, how many come in there and from where, and
        what those that stop are called (:class:`cellclaims.overview.Stage`).
    pools : sequence of tuple

    Returns
    -------
    str
    """
    steps = []
    for name, count, left_out, added, heading in stages:
        come = "; ".join(f"{number} {source}" for source, number in added.items())
        stop = "; ".join(f"{number} {reason}" for reason, number in left_out.items())
        parts = [f"{name}: {count}", f"from: {come}" if come else "", f"{heading.lower()}: {stop}" if stop else ""]
        steps.append(", ".join(filter(None, parts)))
    ends = "; ".join(f"{title}: {k}" for title, k in pools)
    return f"From records found to reports pooled. {'. '.join(steps)}." + (
        f" Reports in each pool: {ends}." if ends else ""
    )


def anomalies(evidence: Evidence) -> Table:
    """Return every questionable value: where it is, what is reported, what is wrong, and how it is handled.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.

    Returns
    -------
    Table
    """
    frame = evidence.anomalies
    known = set(evidence.studies.study_id)
    words = [label(evidence, r) if r in known else r for r in frame.record_id]
    links = [Link(w, link(evidence, r)) if r in known else w for w, r in zip(words, frame.record_id, strict=True)]
    frame = frame.assign(
        report=links, outcome=frame.outcome.str.replace("_", " "), kind=frame.kind.str.replace("_", " ")
    )
    columns = {"report": "report", "outcome": "outcome", "kind": "kind", "printed": "reported"}
    columns |= {"problem": "problem", "handling": "handling"}
    return table(frame, "Questionable values and how we handled them", {"anomaly_id": "", **columns})


def studies(frame: pd.DataFrame, caption: str) -> Table:
    """Reports by name, each with its link, and their registration.

    Parameters
    ----------
    frame : DataFrame
    caption : str
        Above the table.

    Returns
    -------
    Table
    """
    shown = frame.assign(report=[Link(w, a) for w, a in zip(frame.label, frame.link, strict=True)])
    return table(shown, caption, {"report": "report", "registry_id": "registration", "study_id": "study_id"})


def protocol_outcomes(protocol: Protocol) -> Table:
    """Outcomes, months and windows of the protocol.

    Parameters
    ----------
    protocol : Protocol
        The rules of the review.

    Returns
    -------
    Table
    """
    frame = pd.DataFrame(
        [
            {"outcome": o["name"], "better": o["better"], "months": _months_words(o)}
            for o in protocol["outcomes"].values()
        ]
    )
    return table(frame, "Outcomes and the months at which they are read")


def _months_words(outcome: Mapping[str, Any]) -> str:
    months = outcome["months"]
    if isinstance(months, list):
        return f"longest follow-up of {months[0]:g} to {months[1]:g}"
    return f"{months:g} ± {outcome.get('window', 0):g}"


def protocol_findings(protocol: Protocol) -> Table:
    """Return the rules of the findings in their order.

    Parameters
    ----------
    protocol : Protocol
        The rules of the review.

    Returns
    -------
    Table
    """
    parts = {"rates": "an advertised percentage", "effects": "an effect or a mechanism"}
    rules = [
        {"claim": words, "finding": step["finding"], "rule": step["rule"]}
        for part, words in parts.items()
        for step in protocol["findings"][part]["order"]
    ]
    return table(pd.DataFrame(rules), "Findings, in order: the first rule that holds")


class Elsewhere:
    """Pooled results of others: as a table, and as rows that a forest plot shows with a pool."""

    def __init__(self, table_: Table, benchmarks: pd.DataFrame) -> None:
        self.table, self.benchmarks = table_, benchmarks


def pooled_elsewhere(evidence: Evidence, outcome: str) -> Elsewhere:
    """What other reviews printed for an outcome; the misprints that anomalies.csv names are set right and flagged.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    outcome : str
        A name of the protocol.

    Returns
    -------
    Elsewhere
    """
    rows = handled(evidence, "pooled_elsewhere")
    named = rows.outcome.str.lower().str.fullmatch(rf"{outcome}( ?\(?%\)?)?")
    rows = rows[named & rows.estimate.notna()].sort_values(["year", "review_id"])
    shown = pd.DataFrame(
        {
            "review": [Link(_review(r), _address(r)) for r in rows.itertuples()],
            "title": rows.title,
            "population": rows.population,
            "month": rows.months,
            "measure": rows.measure,
            "k": rows.k_studies,
            "result": [_result(r) for r in rows.itertuples()],
            "flag": rows.flag,
        }
    )
    points = rows[rows.measure.isin(["MD", "WMD"])]
    points = points.assign(design=[_design_of(text) for text in points.population])
    points = points[points.design < BEFORE_AFTER].sort_values(["design", "year"], kind="stable")
    benchmarks = pd.DataFrame(
        {
            "label": [f"{_review(r, whole=True)}: {r.population}" for r in points.itertuples()],
            "estimate": points.estimate,
            "ci_lb": points.ci_low,
            "ci_ub": points.ci_high,
            "detail": ["" if r.k_studies != r.k_studies else f"k = {r.k_studies:g}" for r in points.itertuples()],
        }
    )
    caption = "Pooled by others, as printed; differences in percentage points unless the measure says otherwise"
    return Elsewhere(table(shown, caption), benchmarks.reset_index(drop=True))


#: Rank of a pooled result that compares a group with its own baseline: in the table, not in the figure.
BEFORE_AFTER = 2


def _design_of(population: str) -> int:
    """Return the kind of studies that others pooled, best first: randomised, controlled or mixed, before and after.

    >>> _design_of("T1D, RCTs"), _design_of("T2D, MSC v control"), _design_of("T1D+T2D, MSC vs own baseline")
    (0, 1, 2)
    """
    text = population.lower()
    if "baseline" in text or "before" in text:
        return BEFORE_AFTER
    return 0 if "rct" in text or "randomi" in text else 1


def _review(row: object, *, whole: bool = False) -> str:
    """Return a review by its first author and year; by its title, or the start of it, where the id names no author."""
    stem = re.sub(r"(19|20)\d{2}.*$|_.*$", "", row.review_id)
    has_author = stem != row.review_id and stem not in NOT_AUTHORS
    name = stem.capitalize() if has_author else row.title if whole else _short_title(row.title)
    return name if row.year != row.year else f"{name}{' ' if has_author else ', '}{row.year:.0f}"


def _short_title(title: str) -> str:
    """Return the start of a title, from where it says what was given.

    >>> _short_title("Efficacy and safety of islet autotransplantation after total pancreatectomy")
    'Islet autotransplantation after total ...'
    """
    words = re.sub(r"^(clinical )?effica\w+( and safety)? of ", "", title, flags=re.IGNORECASE)
    return shorten(words[:1].upper() + words[1:], LONGEST_TITLE, placeholder=" ...")


def _address(row: object) -> str:
    return f"https://doi.org/{row.doi}" if row.doi else row.source_url


def _result(row: object) -> str:
    """Estimate and limits with the reported digits, two at least."""
    digits = [_digits(x) for x in (row.estimate, row.ci_low, row.ci_high)]
    value = number(row.estimate, max(digits))
    return value if row.ci_low != row.ci_low else f"{value} ({interval(row.ci_low, row.ci_high, max(digits))})"


def _digits(value: float) -> int:
    return max(2, len(f"{value:g}".partition(".")[2])) if value == value else 2


def thresholds(evidence: Evidence) -> Table:
    """Smallest changes that matter and margins, with what was read of each source.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.

    Returns
    -------
    Table
    """
    frame = evidence.thresholds
    shown = frame.assign(source=[Link(t, u) for t, u in zip(frame.source_title, frame.url, strict=True)])
    columns = {
        "quantity": "quantity",
        "value": "value",
        "unit": "unit",
        "source": "source",
        "text_seen": "what was seen",
    }
    return table(shown, "HbA1c: thresholds and where they come from", columns)


def definitions(base: EvidenceBase, population: str, product: str) -> Table:
    """Return what reports call a response: every definition of a response or composite, with the reports that use it.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    population : str
        A type of diabetes; all if empty.
    product : str

    Returns
    -------
    Table
    """
    studies_ = base.evidence.studies
    mine = studies_.study_id[
        (studies_.diabetes_type == population) & studies_.intervention_class.isin(base.protocol.classes(product))
    ]
    rows = base.evidence.binary[
        base.evidence.binary.outcome.isin(["responder", "composite_primary", "insulin_dose_halved"])
    ]
    rows = rows[rows.study_id.isin(set(mine))]
    lines = [
        {
            "definition": definition.replace("_", " "),
            "as printed": "; ".join(dict.fromkeys(group.definition)),
            "reports": "; ".join(dict.fromkeys(label(base.evidence, s) for s in group.study_id)),
        }
        for definition, group in rows.groupby("definition_id")
    ]
    return table(pd.DataFrame(lines), "What counts as a response")


def registered(evidence: Evidence, study_ids: Sequence[str]) -> Table:
    """Return the published reports of the registrations that the advertisements cite.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    study_ids : sequence of str

    Returns
    -------
    Table
    """
    mine = evidence.studies[evidence.studies.study_id.isin(study_ids)]
    arms = evidence.arms.groupby("study_id").n_enrolled.sum()
    shown = mine.assign(
        report=[Link(label(evidence, s), link(evidence, s)) for s in mine.study_id],
        patients=[arms[s] for s in mine.study_id],
        design=mine.design.str.replace("_", " "),
    )
    columns = {
        c: c.replace("_", " ")
        for c in ("report", "registry_id", "title", "design", "patients", "follow_up_months", "notes")
    }
    return table(shown, "Published report of the cited registration", columns)
