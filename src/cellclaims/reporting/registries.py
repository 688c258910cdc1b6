"""Sentences and tables about registrations, requests of a pull, and changes between snapshots."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from cellclaims.errors import SourceError
from cellclaims.evidence import Evidence
from cellclaims.evidence.screened import decided_identifiers
from cellclaims.files import csv_text, write_atomically
from cellclaims.overview import PRODUCTS, described
from cellclaims.pool import label, link
from cellclaims.registries.answers import visible
from cellclaims.registries.changes import (
    NOT_USED,
    NOTICE_KINDS,
    USED,
    Change,
    Changes,
    Contradiction,
    FirstSight,
    Known,
    NoticeState,
    address_of,
    compare,
    first_sight,
    known_registrations,
    known_sources,
    news_of,
    notice_states,
    notices_of_sources,
    state_of,
)
from cellclaims.registries.client import SERVICES
from cellclaims.registries.pull import wanted
from cellclaims.registries.records import numbers_in, papers
from cellclaims.registries.store import Store, dated, registry_of, snapshot_of
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Link, Links, Table, table
from cellclaims.selection import EvidenceBase

if TYPE_CHECKING:
    from cellclaims.registries.changes import PaperState, TrialState


# Words and tables about what is new in the registries and the literature.
#
# Titles and values come from elsewhere: they are shown with every control and direction character spelt out, and
# escaped by the tables.


#: The heading of each table of changes, by kind.
HEADINGS = {
    "retraction": "Retracted publications",
    "expression of concern": "Publications under an expression of concern",
    "correction": "Corrected publications",
    "retraction gone": "Retractions that the later snapshot does not name",
    "expression of concern gone": "Expressions of concern that the later snapshot does not name",
    "correction gone": "Corrections that the later snapshot does not name",
    "new trial": "New trials",
    "trial gone": "Trials missing from the later snapshot",
    "results posted": "Newly posted results",
    "results withdrawn": "Results that are no longer posted",
    "results changed": "Changed results: every part that differs",
    "status changed": "Changed status",
    "facts changed": "Changed dates, enrolment and primary outcomes",
    "new paper": "New papers that cite a known registration",
    "paper gone": "Papers missing from the later snapshot",
}
#: Kinds of changes listed with their current state, and kinds listed as before and after.
SINGLE = ("new trial", "trial gone", "new paper", "paper gone")
PAIRS = ("results posted", "results withdrawn", "status changed")
#: Notices about publications: the publication, its title, what the review uses of it, and the notice.
NOTICES = tuple(kind for kind in HEADINGS if kind.removesuffix(" gone") in NOTICE_KINDS)
#: Each kind in the sentence, before how many.
COUNTED = {
    "retraction": "publications retracted",
    "expression of concern": "publications under an expression of concern",
    "correction": "publications corrected",
    "retraction gone": "retractions no longer named",
    "expression of concern gone": "expressions of concern no longer named",
    "correction gone": "corrections no longer named",
    "new trial": "new trials",
    "trial gone": "trials no longer there",
    "results posted": "trials with newly posted results",
    "results withdrawn": "trials whose results are no longer posted",
    "results changed": "trials with changed results",
    "status changed": "trials with another status",
    "facts changed": "trials with other dates, enrolment or primary outcome",
    "new paper": "new papers that cite a known registration",
    "paper gone": "papers no longer there",
}
#: Columns of changes as CSV and JSON.
COLUMNS = ("kind", "number", "what", "before", "after", "title", "address")
#: Half a character.
HALF = re.compile(r"[\ud800-\udfff]")
#: Number of unreadable items listed; the others are counted.
MOST_REFUSED = 20


def changes_sentence(changes: Changes) -> Sentence:
    """Return the changes in one paragraph."""
    between = f"From snapshot {changes.since} to {changes.until}"
    rest = (
        decided_words(changes.decided),
        contradictions_words(changes.contradictions),
        refused_words(changes.refused),
    )
    if not changes.lines:
        return say(f"{between} nothing changed.", *rest)
    told = [f"{COUNTED[kind]}: {count}" for kind, count in changes.counts.items()]
    used = [line for line in changes.lines if line.kind in NOTICE_KINDS and line.what != NOT_USED]
    names = "; ".join(f"{line.what.removeprefix(USED)} ({line.kind})" for line in used)
    first = f"Sources of this review: {names}." if used else ""
    return say(f"{between}: {'; '.join(told)}.", first, *rest)


def decided_words(count: int) -> str:
    """Return how many new records are not listed because they have been screened; empty if none.

    Examples
    --------
    >>> decided_words(1), decided_words(0)
    ('1 new record is not listed, because screening has decided on it.', '')
    """
    records = "1 new record is" if count == 1 else f"{count} new records are"
    return f"{records} not listed, because screening has decided on {'it' if count == 1 else 'them'}." if count else ""


def contradictions_words(found: Sequence[Contradiction]) -> str:
    """Return how many trials have contradictory records; empty if none."""
    count = len({one.number for one in found})
    records = "1 trial comes in records" if count == 1 else f"{count} trials come in records"
    return f"{records} that contradict each other." if count else ""


def refused_words(refused: Sequence[str]) -> str:
    """Return how many answers or records could not be read; empty if none."""
    count = len(refused)
    return f"{count} {'answer or record' if count == 1 else 'answers or records'} could not be read." if count else ""


def changes_tables(changes: Changes) -> list[Table]:
    """Return one table per kind of change that occurs, and one of unreadable items."""
    made = [_kind_table(kind, changes.of(kind)) for kind in HEADINGS if changes.of(kind)]
    return made + contradictions_tables(changes.contradictions) + refused_tables(changes.refused)


def contradictions_tables(found: Sequence[Contradiction]) -> list[Table]:
    """Return a table of the differences between records of one trial; none if they agree."""
    header = ("trial", "title", "what", "taken", "other record", "answer of the other record")
    rows = [
        (shown_link(one.number, one.address), *map(visible, (one.title, one.what, one.taken, one.other, one.where)))
        for one in found
    ]
    return [Table(header, tuple(rows), "Records of one trial that contradict each other")] if rows else []


def _kind_table(kind: str, lines: Sequence[Change]) -> Table:
    if kind in NOTICES:
        header = ("publication", "title", "used by the review", "notice")
        return Table(header, tuple(map(_notice_cells, lines)), HEADINGS[kind])
    first = "cites" if "paper" in kind else "trial"
    columns = ("published" if "paper" in kind else "state",) if kind in SINGLE else ("before", "after")
    header = (first, "title", *(() if kind in (*SINGLE, *PAIRS) else ("what",)), *columns)
    return Table(header, tuple(tuple(_cells(line)) for line in lines), HEADINGS[kind])


def _cells(line: Change) -> Iterator[object]:
    """Return the cells of a line: link, title, the changed item if it differs from the kind, before and after."""
    yield shown_link(line.number, line.address)
    yield visible(line.title)
    if line.kind in SINGLE:
        yield visible(line.after or line.before)
        return
    if line.kind not in PAIRS:
        yield visible(line.what)
    yield visible(line.before)
    yield visible(line.after)


def _notice_cells(line: Change) -> tuple[object, ...]:
    number = line.number.partition(":")[2] or line.number
    return shown_link(number, line.address), *map(visible, (line.title or "–", line.what, line.after or line.before))


def shown_link(words: str, address: str) -> Link:
    """Return words with a link, on one line; only web addresses become links."""
    return Link(visible(words) or "–", "".join(address.split()))


def refused_tables(refused: Sequence[str]) -> list[Table]:
    """Return a table of unreadable items; none if there are none."""
    if not refused:
        return []
    more = len(refused) - MOST_REFUSED
    rows = [(visible(sentence),) for sentence in refused[:MOST_REFUSED]] + ([(f"and {more} more",)] if more > 0 else [])
    return [Table(("answer and reason",), tuple(rows), "What could not be read")]


def changes_lines(changes: Changes) -> list[dict[str, str]]:
    """Return the changes as lines with unchanged text, followed by contradictions between records."""
    lines = [{name: getattr(line, name) for name in COLUMNS} for line in changes.lines]
    return lines + contradictions_lines(changes.contradictions)


def contradictions_lines(found: Sequence[Contradiction]) -> list[dict[str, str]]:
    """Return the differences between records of one trial in the columns of changes; "before" is the record used."""
    return [
        dict(zip(COLUMNS, ("records contradict", x.number, x.what, x.taken, x.other, x.title, x.address), strict=True))
        for x in found
    ]


# --- one snapshot compared with the review ------------------------------------------------------------------


def sight_sentence(sight: FirstSight) -> Sentence:
    """Return a paragraph on the known registrations in one snapshot."""
    known = len(sight.found) + len(sight.missing)
    news = sum(bool(news_of(one, trial)) for one, trial in sight.found)
    return say(
        f"Snapshot {sight.name} contains {len(sight.found)} of {known} known registrations, {news} of them with news "
        f"about posted results, and {len(sight.unknown)} trials that are not in the review; {len(sight.papers)} papers "
        "cite a known registration.",
        decided_words(sight.decided),
        notices_words(sight.notices),
        contradictions_words(sight.contradictions),
        refused_words(sight.refused),
    )


def notices_words(notices: Sequence[tuple[NoticeState, tuple[str, ...]]]) -> str:
    """Return which sources of the review are retracted, corrected or under an expression of concern; empty if none."""
    told = "; ".join(f"{', '.join(names)} ({one.words})" for one, names in notices)
    return f"Sources of this review with a notice: {told}." if told else ""


def sight_tables(sight: FirstSight) -> list[Table]:
    """Return tables of known registrations found and not found, unknown trials, and papers, without empty ones."""
    made = [
        Table(("publication", "title", "used by the review", "notice"), tuple(map(_noticed, sight.notices)),
              "Sources of the review that were retracted, corrected or questioned"),
        Table(("trial", "status", "results", "news", "reports"), tuple(map(_found, sight.found)),
              "Known registrations in the snapshot"),
        Table(("trial", "reports", "results at last look-up"), tuple(map(_missing, sight.missing)),
              "Known registrations missing from the snapshot"),
        Table(("trial", "title", "state"), tuple(map(_unknown, sight.unknown)),
              "Trials that the review does not know"),
        Table(("cites", "title", "published"), tuple(map(_paper, sight.papers)),
              "Papers that cite a known registration"),
    ]  # fmt: skip
    told = [table for table in made if table.cells]
    return told + contradictions_tables(sight.contradictions) + refused_tables(sight.refused)


def _noticed(pair: tuple[NoticeState, tuple[str, ...]]) -> tuple[object, ...]:
    one, names = pair
    link = shown_link(one.ids[0].partition(":")[2], address_of(one.ids[0]))
    return link, visible(one.title) or "–", ", ".join(names), visible(one.words)


def _found(pair: tuple[Known, TrialState]) -> tuple[object, ...]:
    one, trial = pair
    facts = trial.facts
    results = {True: facts.get("results posted on", "posted"), False: "none", None: "not said"}[trial.has_results]
    status = visible(facts.get("status", "not said"))
    return shown_link(one.number, trial.address), status, visible(results), news_of(one, trial), "; ".join(one.reports)


def _missing(one: Known) -> tuple[object, ...]:
    return one.number, "; ".join(one.reports) or "–", looked_up(one)


def looked_up(one: Known) -> str:
    """Return whether results were posted at the last look-up, with its date."""
    said = {"yes": "posted", "no": "none", "": "unknown"}[one.posted]
    return f"{said} ({one.seen_on})" if one.seen_on else "not looked up"


def _unknown(trial: TrialState) -> tuple[object, ...]:
    from cellclaims.registries.changes import in_short

    return shown_link(trial.number, trial.address), visible(trial.title), visible(in_short(trial))


def _paper(paper: PaperState) -> tuple[object, ...]:
    return shown_link("; ".join(paper.registrations), paper.address), visible(paper.title), visible(paper.date)


def sight_lines(sight: FirstSight) -> list[dict[str, str]]:
    """Return the same as lines with the columns of changes: what is new compared with the review."""
    known = [
        ("known trial", one.number, "posted results", looked_up(one), news_of(one, trial) or "no news", trial.title,
         trial.address)
        for one, trial in sight.found
    ]  # fmt: skip
    missing = [("known trial not found", one.number, "trial", looked_up(one), "", "", "") for one in sight.missing]
    unknown = [("unknown trial", t.number, "trial", "", t.facts.get("status", ""), t.title, t.address)
               for t in sight.unknown]  # fmt: skip
    papers = [("paper", "; ".join(p.registrations), "paper", "", p.date, p.title, p.address) for p in sight.papers]
    notices = [(one.kind, one.ids[0], f"{USED}{', '.join(names)}", "", one.words, one.title,
                address_of(one.ids[0])) for one, names in sight.notices]  # fmt: skip
    lines = (*notices, *known, *missing, *unknown, *papers)
    return [dict(zip(COLUMNS, line, strict=True)) for line in lines] + contradictions_lines(sight.contradictions)


def lines_csv(lines: Sequence[Mapping[str, str]]) -> str:
    """Return lines as CSV with quoted formulas (``files.unguard`` restores a text).

    An unpaired surrogate, which no file can contain, is written as its code point.
    """
    cells = ([HALF.sub(lambda found: visible(found[0]), line[name]) for name in COLUMNS] for line in lines)
    return csv_text([COLUMNS, *cells], quoted=True)  # else a bare carriage return ends a row


#: Requests by number, in addition to the queries.
BY_NUMBER = {
    "ctgov": "the record of each of {registrations} registrations",
    "europepmc": "papers that name one of {registrations} registrations",
    "pubmed": "papers that name one of {registrations} registrations, and the records of {pmids} papers",
    "crossref": "the work behind each of {dois} DOIs",
}
EXPORT = "not requested: cellclaims pull --from reads a downloaded export"
#: Groups of the figure: whether a report names its registration.
NAMED, UNNAMED = "with a registration number", "without one"


def asked_table(base: EvidenceBase) -> Table:
    """Return a table of the requests to each source: the queries of the protocol, and requests by number."""
    rows = []
    for source, one in wanted(base.protocol, base.evidence.folder).items():
        name = SERVICES[source].name
        for query, parameters in one.queries.items():
            rows.append((name, query.replace("_", " "), "; ".join(f"{k}: {v}" for k, v in parameters.items())))
        counts = {name: len(getattr(one, name)) for name in ("registrations", "dois", "pmids")}
        rows.append((name, "by number", BY_NUMBER[source].format(**counts)))
    rows.append(("WHO ICTRP", "export", EXPORT))
    return Table(("source", "query", "requested"), tuple(rows), "Requests of a pull")


def registrations_table(base: EvidenceBase) -> Table:
    """Return a table of the known registrations, with their reports and the result of the last look-up."""
    product = {c: base.protocol.product_name(name) for name in PRODUCTS for c in base.protocol.classes(name)}
    rows = tuple(_known_row(base.evidence, product, one) for one in known_registrations(base.evidence).values())
    header = ("registration", "diabetes", "product", "reports", "posted results at last look-up")
    return Table(header, rows, "Registrations that the review knows")


def _known_row(evidence: Evidence, product: dict[str, str], one: Known) -> tuple[object, ...]:
    number = one.number
    registration = Link(number, f"https://clinicaltrials.gov/study/{number}") if number.startswith("NCT") else number
    named = set(evidence.studies.study_id)
    reports = Links(tuple(Link(label(evidence, s), link(evidence, s)) for s in one.reports if s in named))
    products = ", ".join(dict.fromkeys(product.get(c, c.replace("_", " ")) for c in one.classes))
    return registration, ", ".join(one.diabetes_types) or "–", products or "–", reports, looked_up(one)


def registered_by_year(evidence: Evidence) -> pd.DataFrame:
    """Count the reports per year, with and without a registration number: year, product (the group), studies."""
    dated = evidence.studies.dropna(subset="year").astype({"year": int})
    groups = dated.registry_id.map(lambda cell: NAMED if numbers_in(cell) else UNNAMED)
    grouped = dated.assign(product=pd.Categorical(groups, [NAMED, UNNAMED], ordered=True)).groupby(
        ["year", "product"], observed=True
    )
    return grouped.size().rename("studies").reset_index().sort_values(["product", "year"])


def registered_alt(counts: pd.DataFrame) -> str:
    """Return the alternative text of the figure of reports by year."""
    totals = counts.groupby("product", observed=True).studies.sum()
    told = "; ".join(f"{group}: {count}" for group, count in totals.items())
    span = f"{counts.year.min()} to {counts.year.max()}"
    return f"Number of reports by year of publication, {span}, and by whether a registration number is known. {told}."


#: Reports whose class belongs to no product of the protocol.
NO_PRODUCT = "none of these"


def registered_table(base: EvidenceBase) -> Table:
    """Return a table of reports with a registration number by product; others can be found by title and author only."""
    reports = described(base).merge(base.evidence.studies[["study_id", "registry_id"]], on="study_id")
    named = reports.registry_id.map(lambda cell: bool(numbers_in(cell)))
    products = reports["product"].cat.add_categories([NO_PRODUCT]).fillna(NO_PRODUCT)
    counts = (
        reports.assign(named=named, product=products)
        .groupby("product", observed=True)
        .named.agg(["size", "sum"])
        .reset_index()
    )
    columns = {"product": "product", "size": "reports", "sum": "with a registration number"}
    return table(counts, "Reports with a registration number, by product", columns)


def registered_words(evidence: Evidence) -> Sentence:
    """Return a sentence on how many reports can be followed in a registry."""
    cells = evidence.studies.registry_id
    named = int(cells.map(lambda cell: bool(numbers_in(cell))).sum())
    known = known_registrations(evidence).values()
    unseen = sum(not one.seen_on for one in known)
    return say(
        f"{named} of {len(cells)} reports name a registration.",
        f"Of {len(known)} known registrations, {unseen} were not looked up in their registry.",
    )


# What is new: the last two snapshots, or a single one compared with the review.


@dataclass(frozen=True)
class News:
    """The news: one paragraph, tables for readers, and lines for programs."""

    sentence: Sentence
    tables: tuple[Table, ...]
    lines: tuple[dict[str, str], ...]

    def text(self) -> str:
        """Return the paragraph and the tables for a terminal."""
        return "\n\n".join([str(self.sentence), *map(repr, self.tables)])

    def csv(self) -> str:
        """Return the lines as CSV with quoted formulas."""
        return lines_csv(self.lines)

    def write(self, folder: str | Path, name: str = "09_whats_new_changes") -> str:
        """Write the lines as ``<folder>/<name>.csv``; return a sentence about it, empty without lines or folder."""
        if not self.lines or not str(folder):
            return ""
        write_atomically(Path(folder) / f"{name}.csv", self.csv())
        return f"The tables of changes as a file: {name}.csv ({len(self.lines)})."

    def json(self) -> str:
        """Return the paragraph and the lines as JSON, with unchanged text."""
        return json.dumps({"summary": str(self.sentence), "lines": self.lines}, indent=1)


def news_beside(evidence: Evidence, since: str = "", until: str = "") -> News:
    """Return the news in the store compared with the evidence, or that nothing has been pulled.

    Parameters and errors are those of :func:`registry_news`.
    """
    if since or until or Store(registry_of(evidence.folder)).names():
        return registry_news(evidence, since, until)
    known = len(known_registrations(evidence))
    told = say(
        "No registry data have been downloaded yet, so there is nothing to compare.",
        f"The review knows {known} registrations; the command cellclaims pull asks the registries and the literature.",
    )
    return News(told, (), ())


def registry_news(evidence: Evidence, since: str = "", until: str = "", registry: str | Path | None = None) -> News:
    """Return the news in the registries and the literature.

    Parameters
    ----------
    evidence : Evidence
        What the review knows.
    since, until : str
        Names of snapshots; by default the last and the one before it.
    registry : path, optional
        The store; ``registry`` in the folder of the evidence by default.

    Returns
    -------
    News
        The changes between two snapshots, or a comparison of a single one with the review.

    Raises
    ------
    SourceError
        If there is no snapshot, none of that name, or ``since`` is later than ``until``.
    """
    store, known = Store(registry or registry_of(evidence.folder)), known_registrations(evidence)
    sources, decided = known_sources(evidence), decided_identifiers(evidence)
    new = store.snapshot(until)
    earlier = [name for name in store.names() if name < new.name]
    if since > new.name:
        raise SourceError(f"expected a snapshot since which to tell, not later than {new.name}; found {since}")
    if not since and not earlier:
        sight = first_sight(state_of(store, new), known, sources, decided)
        lines = sight_lines(sight)
        return News(sight_sentence(sight), tuple(sight_tables(sight)), tuple(lines))
    old = store.snapshot(since or earlier[-1])
    changes = compare(state_of(store, old), state_of(store, new), known, sources, decided)
    lines = changes_lines(changes)
    return News(changes_sentence(changes), tuple(changes_tables(changes)), tuple(lines))


# Sources that are known to be retracted, for ``cellclaims check``.


def retracted_sources(evidence: Evidence, registry: str | Path | None = None) -> str:
    """Return the sources of the review retracted according to the last snapshot, one per line; empty without one.

    Parameters
    ----------
    evidence : Evidence
        What the review uses.
    registry : path, optional
        The store; ``registry`` in the folder of the evidence by default.

    Raises
    ------
    SourceError
        If a kept answer is missing or was changed.
    """
    store = Store(registry or registry_of(evidence.folder))
    if not store.names():
        return ""
    snapshot = store.snapshot()
    named = notices_of_sources(notice_states(papers(store, snapshot, [])), known_sources(evidence))
    lines = [
        f"  {', '.join(names)}: {visible(one.title) or one.ids[0]} ({visible(one.words)}; {address_of(one.ids[0])})"
        for one, names in named
        if names and one.kind == "retraction"
    ]
    head = f"Sources that are known to be retracted ({dated(snapshot)}):"
    return "\n".join([head, *lines]) if lines else ""


# The snapshot of the registries named by a report.


def snapshot_words(data: str | Path, name: str = "") -> Sentence:
    """Return a sentence that names the snapshot of the registries.

    Raises
    ------
    SourceError
        If a name is given that no snapshot has; lists the names.
    """
    return say(f"Registries: {dated(snapshot_of(data, name))}.")
