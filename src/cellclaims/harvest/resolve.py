"""Candidates for reports without an identifier, by title and author, with scores, for a reviewer to accept.

A report is *unresolved* if ``studies.csv`` gives no DOI, PubMed or registry number for it: a reader cannot be led to
it. Candidates come from Crossref and Europe PMC, each publication once, the best first. Accepting one fills empty cells
of ``studies.csv`` (``cellclaims accept``).
"""

from __future__ import annotations

import json
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime, timedelta
from difflib import SequenceMatcher
from functools import lru_cache
from pathlib import Path
from typing import Any

from cellclaims.errors import RefusedAnswer
from cellclaims.harvest.held import Cells, Held, one_line
from cellclaims.registries.answers import list_at, value_at
from cellclaims.registries.client import Client, Fetched
from cellclaims.registries.services import papers_by_title, works_like
from cellclaims.registries.store import Answer, Store, answer_from

# How well a found publication fits a report of ``studies.csv``: one number from 0 to 1, with its reasons.
#
# The score is the weighted mean of four agreements, each from 0 to 1: title 0.6, first author 0.2, year 0.1,
# journal
# 0.1. What the report does not state has no weight, so that a report without a year can still reach 1. It orders
# candidates for a person and decides nothing. :data:`LIKELY` and :data:`NEAR` come from the reports whose DOI is
# known
# (tests/test_resolve.py): set against all other reports of the review, the right record of each ranks first.


WEIGHTS = {"title": 0.6, "author": 0.2, "year": 0.1, "journal": 0.1}
#: Candidates below this are not listed: they share words of the field and little else.
LIKELY = 0.55
#: Candidates whose score is this close to the best one are flagged.
NEAR = 0.05
#: Words of a title that is the beginning of the other one, for example without its subtitle.
SAME_BEGINNING_WORDS = 5
BEGINNING = 0.95
#: Proportion of common words above which the letters of two titles are compared.
SHARED = 0.3
#: Our remarks in a title or a journal: "(title not seen)", "(conference abstract)".
REMARKS = re.compile(r"\([^()]*\)")


@dataclass(frozen=True)
class Facts:
    """Known data of a publication; an empty text or tuple means not stated.

    Attributes
    ----------
    title : str
    author : str
        Surname of the first author, with initials or not; ``others`` are the surnames of all.
    year : str
    journals : tuple of str
        Its names, in full and abbreviated.
    """

    title: str
    author: str = ""
    year: str = ""
    journals: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


@dataclass(frozen=True)
class Score:
    """The weighted mean and its components."""

    value: float
    parts: dict[str, float]


def score(report: Facts, found: Facts) -> Score:
    """Return how well a publication matches a report.

    Examples
    --------
    >>> report = Facts("Single-donor, marginal-dose islet transplantation", "Hering BJ", "2005", ("JAMA",))
    >>> score(report, report).value
    1.0
    >>> parts = score(report, Facts("Single-donor marginal-dose islet transplantation.", "Hering", "2006")).parts
    >>> parts["title"], parts["year"], parts["journal"]
    (1.0, 0.5, 0.0)
    """
    parts = {"title": title_agreement(report.title, found.title)}
    if report.author:
        parts["author"] = author_agreement(report.author, found.author, found.others)
    if report.year:
        parts["year"] = year_agreement(report.year, found.year)
    if report.journals:
        parts["journal"] = max((journal_agreement(report.journals[0], name) for name in found.journals), default=0.0)
    weight = sum(WEIGHTS[name] for name in parts)
    return Score(sum(WEIGHTS[name] * value for name, value in parts.items()) / weight, parts)


def title_agreement(one: str, other: str) -> float:
    """Return the mean of the proportions of common words and of letters in order; nearly 1 if one begins the other.

    Letters forgive what words do not: "haematopoietic" and "hematopoietic".

    Examples
    --------
    >>> title_agreement("Reversal of diabetes (title not seen)", "Reversal of Diabetes")
    1.0
    """
    first, second = words(one), words(other)
    if not (first and second):
        return 0.0
    if first == second:
        return 1.0
    shared = 2 * (Counter(first) & Counter(second)).total() / (len(first) + len(second))
    shorter, longer = sorted((first, second), key=len)
    if len(shorter) >= SAME_BEGINNING_WORDS and longer[: len(shorter)] == shorter:
        return BEGINNING
    if shared < SHARED:
        return shared
    letters = SequenceMatcher(None, " ".join(first), " ".join(second), autojunk=False).ratio()
    return (shared + letters) / 2


def author_agreement(report: str, first: str, others: Sequence[str]) -> float:
    """Return 1 for the same first author, a half if the surname is that of another author.

    Examples
    --------
    >>> author_agreement("O'Connell PJ", "O'Connell", ()), author_agreement("Gu (Bin)", "Wang", ("Wang", "Gu"))
    (1.0, 0.5)
    """
    if same_person(report, first):
        return 1.0
    return 0.5 if any(same_person(report, other) for other in others) else 0.0


def same_person(one: str, other: str) -> bool:
    """Return whether the surname of one is in the other, without initials and first names."""
    first, second = (set(long_words(name)) or set(words(name)) for name in (one, other))
    return bool(first and second) and (first <= second or second <= first)


def long_words(name: str) -> list[str]:
    """Return the words of a name that are no initials."""
    return [one for part in REMARKS.sub(" ", name).split() if not is_initials(part) for one in words(part)]


def is_initials(part: str) -> bool:
    """Return whether a part of a name is initials.

    Examples
    --------
    >>> is_initials("BJ"), is_initials("D.E."), is_initials("Hu")
    (True, True, False)
    """
    letters = re.sub(r"[.\-]", "", part)
    return letters.isupper() and len(letters) <= 3


def year_agreement(report: str, found: str) -> float:
    """Return 1 for the same year, a half for the year before or after, as online and print years differ."""
    if not (report.isdigit() and found.isdigit()):
        return 0.0
    return {0: 1.0, 1: 0.5}.get(abs(int(report) - int(found)), 0.0)


def journal_agreement(one: str, other: str) -> float:
    """Return the proportion of words that agree in order, also abbreviated, without volumes, pages and remarks.

    Examples
    --------
    >>> journal_agreement("Am J Transplant", "American Journal of Transplantation")
    1.0
    >>> journal_agreement("Diabetes 69 Suppl 1", "Diabetes Care")
    0.6666666666666666
    """
    first, second = (journal_words(name) for name in (one, other))
    if not (first and second):
        return 0.0
    agreeing, place = 0, 0
    for word in first:
        following = range(place, len(second))
        found = next((at for at in following if starts_alike(word, second[at])), None)
        if found is not None:
            agreeing, place = agreeing + 1, found + 1
    return 2 * agreeing / (len(first) + len(second))


def starts_alike(one: str, other: str) -> bool:
    """Return whether one word abbreviates the other."""
    return one.startswith(other) or other.startswith(one)


def journal_words(name: str) -> list[str]:
    """Return the words of a journal's name without small words, volume and pages."""
    small = {"of", "the", "and", "in", "for", "suppl", "supplement"}
    return [word for word in words(name) if word not in small and not any(sign.isdigit() for sign in word)]


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    """Return letters and digits of a text without remarks, accents and case, word by word.

    Examples
    --------
    >>> words("Wharton's jelly–derived β-cells (title not seen)")
    ('wharton', 's', 'jelly', 'derived', 'β', 'cells')
    """
    plain = unicodedata.normalize("NFKD", REMARKS.sub(" ", text).casefold())
    return tuple(re.findall(r"[^\W_]+", "".join(sign for sign in plain if not unicodedata.combining(sign))))


def in_words(found: Score) -> str:
    """Return the agreements of a score in words.

    Examples
    --------
    >>> in_words(Score(0.96, {"title": 0.934, "author": 1.0, "year": 0.5}))
    'title 0.93, first author agrees, year agrees in part'
    """
    named = {"author": "first author", "year": "year", "journal": "journal"}
    says = {1.0: "agrees", 0.0: "differs"}
    rest = [
        f"{named[name]} {says.get(value, 'agrees in part')}" for name, value in found.parts.items() if name in named
    ]
    return ", ".join([f"title {found.parts['title']:.2f}", *rest])


# A found publication out of an answer of Crossref or Europe PMC, in one shape; what has another type is not stated.


#: What an identifier must look like to be proposed.
FORMS = {"doi": re.compile(r"10\.[0-9]{4,9}/\S+"), "pmid": re.compile(r"[0-9]{1,8}"), "pmcid": re.compile(r"PMC[0-9]+")}


@dataclass(frozen=True)
class Candidate:
    """A publication that a report may be.

    Attributes
    ----------
    facts : Facts
    kind : str
        What the source calls it, such as ``journal-article``.
    doi, pmid, pmcid : str
        Empty where it has none of the right form.
    answer, pointer : Answer, str
        The answer, and the JSON pointer of the record in it.
    sources : tuple of str
        Where it was found.
    """

    facts: Facts
    kind: str
    doi: str
    pmid: str
    pmcid: str
    answer: Answer
    pointer: str
    sources: tuple[str, ...]

    @property
    def page(self) -> str:
        """Return its address."""
        if self.doi:
            return f"https://doi.org/{self.doi}"
        if self.pmid:
            return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/"
        return f"https://europepmc.org/article/PMC/{self.pmcid}"


def found_in(answer: Answer, body: bytes) -> Iterator[Candidate]:
    """Yield the candidates of an answer in its order, those with an identifier."""
    way, read = READERS[answer.source]
    for place, record in enumerate(list_at(json.loads(body), *way)):
        if isinstance(record, dict):
            facts, kind, identifiers = read(record)
            if any(identifiers.values()):
                pointer = "".join(f"/{key}" for key in (*way, place))
                yield Candidate(facts, kind, **identifiers, answer=answer, pointer=pointer, sources=(answer.source,))


def merged(candidates: list[Candidate]) -> list[Candidate]:
    """Return each publication once: of two sources that share its DOI, the record with more identifiers."""
    found: dict[str, Candidate] = {}
    for one in candidates:
        key = one.doi.lower() or f"{one.sources[0]} {one.pmid or one.pmcid}"
        other = found.get(key, one)
        fuller = max(other, one, key=identifiers_of)  # the first of two that have as many
        found[key] = replace(fuller, sources=tuple(dict.fromkeys((*other.sources, *one.sources))))
    return list(found.values())


def identifiers_of(one: Candidate) -> int:
    """Return how many identifiers a candidate has."""
    return sum(map(bool, (one.doi, one.pmid, one.pmcid)))


def crossref_facts(record: dict[str, Any]) -> tuple[Facts, str, dict[str, str]]:
    """Return data and DOI of a Crossref work."""
    authors = [text(author, "family") or text(author, "name") for author in list_at(record, "author")]
    journals = [*texts(record, "container-title"), *texts(record, "short-container-title")]
    title = " ".join(texts(record, "title")[:1])
    facts = Facts(without_markup(title), *first_of(authors), year_of(record), tuple(journals))
    return with_authors(facts, authors), text(record, "type"), identifiers(doi=text(record, "DOI"))


def europepmc_facts(record: dict[str, Any]) -> tuple[Facts, str, dict[str, str]]:
    """Return data and identifiers of a Europe PMC paper."""
    people = list_at(record, "authorList", "author")
    authors = [text(person, "lastName") or text(person, "collectiveName") for person in people]
    authors = [name for name in authors if name] or text(record, "authorString").rstrip(".").split(", ")
    journal = ("journalInfo", "journal")
    names = (text(record, *journal, "title"), text(record, *journal, "isoabbreviation"), text(record, "journalTitle"))
    title = without_markup(text(record, "title"))
    facts = Facts(title, *first_of(authors), text(record, "pubYear"), tuple(filter(None, names)))
    kinds = texts(record, "pubTypeList", "pubType")
    found = identifiers(text(record, "doi"), text(record, "pmid"), text(record, "pmcid"))
    return with_authors(facts, authors), "; ".join(kinds[:3]) or text(record, "pubType"), found


#: Source -> the way to its list of records, and what reads one.
READERS = {
    "crossref": (("message", "items"), crossref_facts),
    "europepmc": (("resultList", "result"), europepmc_facts),
}


def with_authors(facts: Facts, authors: list[str]) -> Facts:
    """Return the facts with the surnames of all authors."""
    return replace(facts, others=tuple(name for name in authors if name))


def first_of(authors: list[str]) -> tuple[str]:
    """Return the first author, or nobody."""
    return (authors[0] if authors else "",)


def identifiers(doi: str = "", pmid: str = "", pmcid: str = "") -> dict[str, str]:
    """Return identifiers of the right form; others are empty."""
    given = {"doi": doi, "pmid": pmid, "pmcid": pmcid}
    return {
        name: value if FORMS[name].fullmatch(value) and value.isprintable() else "" for name, value in given.items()
    }


def year_of(record: dict[str, Any]) -> str:
    """Return the year of a work: the first of print, published or issued."""
    for name in ("published-print", "issued", "published", "published-online"):
        parts: Any = list_at(record, name, "date-parts")
        while isinstance(parts, list) and parts:
            parts = parts[0]
        if isinstance(parts, int) and not isinstance(parts, bool):
            return str(parts)
    return ""


def without_markup(title: str) -> str:
    """Return a title without the tags contained in both sources.

    Examples
    --------
    >>> without_markup("HbA<sub>1c</sub> after <i>islets</i>")
    'HbA1c after islets'
    """
    return one_line(re.sub(r"</?[A-Za-z][^<>]{0,80}>", "", title))


def text(record: Any, *keys: str) -> str:
    """Return the text at a path of keys on one line; empty if it is no text."""
    found = value_at(record, *keys)
    return one_line(found) if isinstance(found, str) else ""


def texts(record: Any, *keys: str) -> list[str]:
    """Return the texts of the list under some keys."""
    return [one_line(one) for one in list_at(record, *keys) if isinstance(one, str)]


# Answers of Crossref and Europe PMC about single reports, stored next to the snapshots.
#
# A lookup is no part of a snapshot: it asks for what is known of one report, when somebody wants it. Each is a line
# of
# ``lookups.jsonl`` in the folder of the store; its bytes lie with all other answers. A line that was cut off is
# passed
# over.


FILE = "lookups.jsonl"
#: Newer answers are not requested again, so that an interrupted search continues.
FRESH = timedelta(days=1)
#: How many records one answer may bring.
ROWS = 10
#: Source -> the kind of its answer, and what asks it for a text.
ASKED: dict[str, tuple[str, Callable[[Client, str, int], tuple[Fetched, list]]]] = {
    "crossref": ("works", works_like),
    "europepmc": ("search", papers_by_title),
}


class Lookups:
    """The lookups of a store; without a client only stored ones.

    Parameters
    ----------
    store : Store
    client : Client or None
        Client for requests; None uses stored answers only.
    """

    def __init__(self, store: Store, client: Client | None = None) -> None:
        self.store, self.client = store, client
        self.kept = read_lookups(store.folder / FILE)

    def ask(self, source: str, text: str) -> tuple[Answer, bytes] | None:
        """Return the answer of a source to a text: a stored one if it is recent or there is no client, else a new one.

        Returns
        -------
        tuple of Answer and bytes, or None
            None where nothing was kept and nobody may be asked.

        Raises
        ------
        SourceError
            If no answer comes, it is not taken, or the kept one was changed.
        """
        answer = self.kept.get((source, text))
        if answer and (self.client is None or is_fresh(answer)):
            return answer, self.store.body(answer)
        if self.client is None:
            return None
        kind, search = ASKED[source]
        fetched, _ = search(self.client, text, ROWS)
        facts = {"address": fetched.address, "time": fetched.time, "status": fetched.status}
        answer = self.store.keep(fetched.body, source=source, kind=kind, parameters=fetched.parameters, **facts)
        self._note(source, text, answer)
        return answer, fetched.body

    def _note(self, source: str, text: str, answer: Answer) -> None:
        """Add a line and flush it to the disk; the bytes it names have been written before."""
        self.kept[source, text] = answer
        line = json.dumps({"text": text, **asdict(answer)}, ensure_ascii=False)
        path = self.store.folder / FILE
        gap = "\n" if cut_off(path) else ""
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(f"{gap}{line}\n")
            file.flush()
            os.fsync(file.fileno())


def is_fresh(answer: Answer) -> bool:
    """Return whether an answer is recent enough to be used again."""
    try:
        return timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(answer.time) < FRESH
    except (ValueError, TypeError):
        return False


def cut_off(path: Path) -> bool:
    """Return whether the last line of a file has no end."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def read_lookups(path: Path) -> dict[tuple[str, str], Answer]:
    """Return the last answer to each text by source; unreadable lines are skipped."""
    kept = {}
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for line in lines:
        try:
            content = json.loads(line)
            answer = answer_from(content)
            kept[answer.source, str(content["text"])] = answer
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return kept


#: What leads a reader to a report.
LEADS = ("doi", "pmid", "registry_id")
#: Europe PMC finds titles with all given words; if one was copied wrongly, the first words may suffice.
BEGINNING_WORDS = 7
#: Largest number of candidates per report.
MOST = 5
COLUMNS = (
    *("decision", "reviewer", "reason", "study_id", "rank", "score", "near_equal", "reasons"),
    *("held_title", "held_author", "held_year", "held_journal"),
    *("title", "first_author", "year", "journal", "kind", "doi", "pmid", "pmcid"),
    *("page", "source", "snapshot", "address", "time", "sha256", "pointer"),
)


@dataclass
class Resolved:
    """The candidates of all unresolved reports, and failed lookups.

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
    """Return the reports that have neither DOI nor PubMed nor registry number."""
    return [row for row in held.rows["studies"] if not any(row[name] for name in LEADS)]


def resolve(held: Held, lookups: Lookups, told: Callable[[str], None] = lambda study: None) -> Resolved:
    """Find candidates for every unresolved report.

    Parameters
    ----------
    held : Held
    lookups : Lookups
        Lookups of the sources.
    told : callable
        Called with the study_id of each report when it is done.

    Raises
    ------
    SourceError
        If a source does not answer; earlier answers are stored and not requested again.
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
    """Return the data of a report in ``studies.csv``."""
    journals = (report["journal"],) if report["journal"] else ()
    return Facts(report["title"], report["first_author"], report["year"], journals)


def look_up(report: Cells, lookups: Lookups, found: Resolved) -> Iterator[Candidate]:
    """Return the candidates of all sources; a rejected answer is a warning, a missing one is noted."""
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
    """Return the requests to each source: all known data; the words of the title, if necessary only its beginning.

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
    """Return the likely candidates with their scores, best first; of equals the one with a PubMed number."""
    scored = [(one, score(report, one.facts)) for one in candidates]
    likely = [pair for pair in scored if pair[1].value >= LIKELY]
    return sorted(likely, key=lambda pair: (-pair[1].value, not pair[0].pmid, pair[0].doi))[:MOST]


def near_equal(ranked: list[tuple[Candidate, Score]]) -> list[Candidate]:
    """Return the candidates with scores close to the best, including the best."""
    return [one for one, value in ranked if ranked[0][1].value - value.value <= NEAR]


def candidate_rows(report: Cells, ranked: list[tuple[Candidate, Score]], known: dict[str, str]) -> Iterator[Cells]:
    """Return one row per candidate of a report."""
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
    """Return the facts of a report and of a candidate side by side."""
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


#: Columns of a report that are shown with those of a candidate.
HELD = {"title": "title", "author": "first_author", "year": "year", "journal": "journal"}


def taken(held: Held) -> dict[str, str]:
    """Return identifier in lower case -> its report."""
    studies = held.rows["studies"]
    return {row[name].lower(): row["study_id"] for row in studies for name in ("doi", "pmid", "pmcid") if row[name]}


def belongs(one: Candidate, report: Cells, known: dict[str, str]) -> Iterator[str]:
    """Yield a warning if another report has the identifier already, because the two may be the same."""
    others = {known.get(value.lower()) for value in (one.doi, one.pmid, one.pmcid) if value} - {
        None,
        report["study_id"],
    }
    if others:
        yield f"already the identifier of {', '.join(sorted(map(str, others)))}"


def summary(found: Resolved, studies: int) -> str:
    """Return a summary of the results in words.

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
