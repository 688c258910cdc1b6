"""Reports without an identifier: candidates by title and author, scored, for a person to accept.

A report is *unresolved* if ``studies.csv`` gives no DOI, PubMed or registry number for it: a reader cannot be led to
it. Candidates come from Crossref and Europe PMC, each publication once, the best first. Accepting one fills empty cells
of ``studies.csv`` (``cellclaims accept``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cellclaims.errors import RefusedAnswer
from cellclaims.harvest.candidates import Candidate, found_in, merged
from cellclaims.harvest.held import Cells, Held
from cellclaims.harvest.lookups import Lookups
from cellclaims.harvest.resolve_score import LIKELY, NEAR, REMARKS, Facts, Score, in_words, score

#: What leads a reader to a report.
LEADS = ("doi", "pmid", "registry_id")
#: Europe PMC finds titles that hold every word it is given: where one was copied wrongly, the first words may do.
BEGINNING_WORDS = 7
#: So many candidates are listed for a report.
MOST = 5
COLUMNS = (
    *("decision", "reviewer", "reason", "study_id", "rank", "score", "near_equal", "reasons"),
    *("held_title", "held_author", "held_year", "held_journal"),
    *("title", "first_author", "year", "journal", "kind", "doi", "pmid", "pmcid"),
    *("page", "source", "snapshot", "address", "time", "sha256", "pointer"),
)


@dataclass
class Resolved:
    """The candidates of every unresolved report, and what could not be looked up.

    Attributes
    ----------
    rows : list of dict
        Every column of :data:`COLUMNS` as text.
    reports, with_candidates, flagged : int
        Unresolved reports; those with a candidate; those whose best candidates are near-equal.
    not_asked : list of str
        Reports for which no source could be asked and nothing was kept.
    warnings : list of str
        Answers that were not taken.
    """

    rows: list[Cells] = field(default_factory=list)
    reports: int = 0
    with_candidates: int = 0
    flagged: int = 0
    not_asked: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def unresolved(held: Held) -> list[Cells]:
    """The reports that have neither DOI nor PubMed nor registry number."""
    return [row for row in held.rows["studies"] if not any(row[name] for name in LEADS)]


def resolve(held: Held, lookups: Lookups, told: Callable[[str], None] = lambda study: None) -> Resolved:
    """Find candidates for every unresolved report.

    Parameters
    ----------
    held : Held
    lookups : Lookups
        What the sources are asked through.
    told : callable
        Is given the study_id of each report when it is done.

    Raises
    ------
    SourceError
        If a source gives no answer; what was answered before is kept and not asked for again.
    """
    found = Resolved(reports=len(unresolved(held)))
    known = taken(held)
    for report in unresolved(held):
        candidates = list(look_up(report, lookups, found))
        ranked = ranking(facts_of(report), merged(candidates))
        found.rows += candidate_rows(report, ranked, known)
        found.with_candidates += bool(ranked)
        found.flagged += len(near_equal(ranked)) > 1
        told(report["study_id"])
    return found


def facts_of(report: Cells) -> Facts:
    """What ``studies.csv`` states of a report."""
    journals = (report["journal"],) if report["journal"] else ()
    return Facts(report["title"], report["first_author"], report["year"], journals)


def look_up(report: Cells, lookups: Lookups, found: Resolved) -> Iterator[Candidate]:
    """The candidates of every source; an answer that is not taken is a warning, one that cannot be had is noted."""
    answered = set()
    for source, text in questions(report):
        if source in answered:
            continue  # it found something by the question before
        try:
            got = lookups.ask(source, text)
        except RefusedAnswer as fault:
            found.warnings.append(f"{report['study_id']}: {fault}")
            continue
        candidates = list(found_in(*got)) if got else []
        answered |= {source} if candidates else ({"none found"} if got else set())
        yield from candidates
    if not answered:
        found.not_asked.append(report["study_id"])


def questions(report: Cells) -> Iterator[tuple[str, str]]:
    """What each source is asked in turn: all that is known; the words of the title, if need be its beginning alone.

    Examples
    --------
    >>> list(questions({"title": "A trial (title not seen)", "first_author": "Li", "year": "2010", "journal": ""}))
    [('crossref', 'A trial Li 2010'), ('europepmc', 'A trial')]
    """
    title, journal = (" ".join(REMARKS.sub(" ", report[name]).split()) for name in ("title", "journal"))
    yield "crossref", " ".join(filter(None, (title, report["first_author"], report["year"], journal)))
    for text in dict.fromkeys((title, " ".join(title.split()[:BEGINNING_WORDS]))):
        if text:
            yield "europepmc", text


def ranking(report: Facts, candidates: list[Candidate]) -> list[tuple[Candidate, Score]]:
    """The likely candidates with their scores, best first; of equals the one with a PubMed number."""
    scored = [(one, score(report, one.facts)) for one in candidates]
    likely = [pair for pair in scored if pair[1].value >= LIKELY]
    return sorted(likely, key=lambda pair: (-pair[1].value, not pair[0].pmid, pair[0].doi))[:MOST]


def near_equal(ranked: list[tuple[Candidate, Score]]) -> list[Candidate]:
    """The candidates that come as close to the best as the score cannot tell apart, the best among them."""
    return [one for one, value in ranked if ranked[0][1].value - value.value <= NEAR]


def candidate_rows(report: Cells, ranked: list[tuple[Candidate, Score]], known: dict[str, str]) -> Iterator[Cells]:
    """One row for each candidate of a report."""
    close = near_equal(ranked)
    for rank, (one, value) in enumerate(ranked, start=1):
        flag = f"yes, {len(close)} of them" if one in close and len(close) > 1 else ""
        yield candidate_row(report, one) | {
            "rank": str(rank),
            "score": f"{value.value:.2f}",
            "near_equal": flag,
            "reasons": "; ".join([in_words(value), f"in {' and '.join(one.sources)}", *belongs(one, report, known)]),
        }


def candidate_row(report: Cells, one: Candidate) -> Cells:
    """The facts of a report and of a candidate side by side."""
    held = {f"held_{name}": report[column] for name, column in HELD.items()}
    facts = one.facts
    answer = {name: getattr(one.answer, name) for name in ("source", "address", "time", "sha256")}
    return {
        **dict.fromkeys(COLUMNS, ""),
        "study_id": report["study_id"],
        **held,
        "title": facts.title,
        "first_author": facts.author,
        "year": facts.year,
        "journal": facts.journals[0] if facts.journals else "",
        **{name: getattr(one, name) for name in ("kind", "doi", "pmid", "pmcid", "page", "pointer")},
        **answer,
    }


#: The columns of a report that are shown beside a candidate's.
HELD = {"title": "title", "author": "first_author", "year": "year", "journal": "journal"}


def taken(held: Held) -> dict[str, str]:
    """Identifier in lower case -> the report that has it."""
    studies = held.rows["studies"]
    return {row[name].lower(): row["study_id"] for row in studies for name in ("doi", "pmid", "pmcid") if row[name]}


def belongs(one: Candidate, report: Cells, known: dict[str, str]) -> Iterator[str]:
    """A warning where an identifier is that of another report already: the two may be one."""
    others = {known.get(value.lower()) for value in (one.doi, one.pmid, one.pmcid) if value} - {
        None,
        report["study_id"],
    }
    if others:
        yield f"already the identifier of {', '.join(sorted(map(str, others)))}"


def summary(found: Resolved, studies: int) -> str:
    """What was found, in words.

    Examples
    --------
    >>> print(summary(Resolved([{}, {}], 58, 1, 1), 169))
    58 of 169 reports have no DOI, PubMed or registry number: 2 candidates for 1 of them, 1 with near-equal ones
    """
    text = (
        f"{found.reports} of {studies} reports have no DOI, PubMed or registry number: {len(found.rows)} candidates "
        f"for {found.with_candidates} of them, {found.flagged} with near-equal ones"
    )
    unasked = f"not looked up, no answer is kept: {', '.join(found.not_asked)}" if found.not_asked else ""
    return "\n".join(filter(None, [text, *found.warnings, unasked]))
