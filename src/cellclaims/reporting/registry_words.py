"""What the review knows of registrations, and what a pull asks: shown whether or not anything was pulled."""

from __future__ import annotations

import pandas as pd

from cellclaims.evidence import Evidence
from cellclaims.overview import PRODUCTS, described
from cellclaims.pools import label, link
from cellclaims.protocol import Protocol
from cellclaims.registries.changes import Known, known_registrations
from cellclaims.registries.client import SERVICES
from cellclaims.registries.pull import wanted
from cellclaims.registries.records import numbers_in
from cellclaims.reporting.changes_words import looked_up
from cellclaims.reporting.sentences import Sentence, say
from cellclaims.reporting.tables import Link, Links, Table, table

#: What is looked for by number, beside the queries.
BY_NUMBER = {
    "ctgov": "the record of each of {registrations} registrations",
    "europepmc": "papers that name one of {registrations} registrations",
    "pubmed": "papers that name one of {registrations} registrations",
    "crossref": "the work behind each of {dois} DOIs",
}
EXPORT = "not asked: an export that a person downloaded is taken over by cellclaims pull --from"
#: Whether a report names its registration, as groups of the figure.
NAMED, UNNAMED = "with a registration number", "without one"


def asked_table(evidence: Evidence, protocol: Protocol) -> Table:
    """What a pull asks each source: the queries of the protocol as they are sent, and what is looked up by number."""
    rows = []
    for source, one in wanted(protocol, evidence.folder).items():
        name = SERVICES[source].name
        for query, parameters in one.queries.items():
            rows.append((name, query.replace("_", " "), "; ".join(f"{k}: {v}" for k, v in parameters.items())))
        counts = {"registrations": len(one.registrations), "dois": len(one.dois)}
        rows.append((name, "by number", BY_NUMBER[source].format(**counts)))
    rows.append(("WHO ICTRP", "export", EXPORT))
    return Table(("source", "query", "asked for"), tuple(rows), "What a pull asks, and of whom")


def registrations_table(evidence: Evidence, protocol: Protocol) -> Table:
    """The registrations that the review knows, with the reports of each and what was seen when it was looked up."""
    product = {c: protocol.product_name(name) for name in PRODUCTS for c in protocol.classes(name)}
    rows = tuple(_known_row(evidence, product, one) for one in known_registrations(evidence).values())
    header = ("registration", "diabetes", "product", "reports", "posted results when last looked up")
    return Table(header, rows, "Registrations that the review knows")


def _known_row(evidence: Evidence, product: dict[str, str], one: Known) -> tuple[object, ...]:
    number = one.number
    registration = Link(number, f"https://clinicaltrials.gov/study/{number}") if number.startswith("NCT") else number
    named = set(evidence.studies.study_id)
    reports = Links(tuple(Link(label(evidence, s), link(evidence, s)) for s in one.reports if s in named))
    products = ", ".join(dict.fromkeys(product[c] for c in one.classes))
    return registration, ", ".join(one.diabetes_types) or "–", products or "–", reports, looked_up(one)


def registered_by_year(evidence: Evidence) -> pd.DataFrame:
    """Number of reports for each year, with and without a registration number: year, product (the group), studies."""
    dated = evidence.studies.dropna(subset="year").astype({"year": int})
    groups = dated.registry_id.map(lambda cell: NAMED if numbers_in(cell) else UNNAMED)
    grouped = dated.assign(product=pd.Categorical(groups, [NAMED, UNNAMED], ordered=True)).groupby(
        ["year", "product"], observed=True
    )
    return grouped.size().rename("studies").reset_index().sort_values(["product", "year"])


def registered_alt(counts: pd.DataFrame) -> str:
    """The figure of reports by year in words."""
    totals = counts.groupby("product", observed=True).studies.sum()
    told = "; ".join(f"{group}: {count}" for group, count in totals.items())
    span = f"{counts.year.min()} to {counts.year.max()}"
    return f"Number of reports by year of publication, {span}, and by whether a registration number is known. {told}."


def registered_table(evidence: Evidence, protocol: Protocol) -> Table:
    """For each product how many reports name a registration: those that do not are found by title and author only."""
    reports = described(evidence, protocol).merge(evidence.studies[["study_id", "registry_id"]], on="study_id")
    named = reports.registry_id.map(lambda cell: bool(numbers_in(cell)))
    counts = reports.assign(named=named).groupby("product", observed=True).named.agg(["size", "sum"]).reset_index()
    columns = {"product": "product", "size": "reports", "sum": "with a registration number"}
    return table(counts, "Reports with a registration number, by product", columns)


def registered_words(evidence: Evidence) -> Sentence:
    """How many reports can be followed through a registry."""
    cells = evidence.studies.registry_id
    named = int(cells.map(lambda cell: bool(numbers_in(cell))).sum())
    known = known_registrations(evidence).values()
    unseen = sum(not one.seen_on for one in known)
    return say(
        f"{named} of {len(cells)} reports name a registration.",
        f"Of {len(known)} known registrations, {unseen} were not looked up in their registry.",
    )
