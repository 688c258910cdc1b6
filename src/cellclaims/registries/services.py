"""The five public sources: their requests, and checks of their answers.

Three of them are searched page by page (ClinicalTrials.gov, Europe PMC, Crossref), PubMed is searched for numbers,
whose records are then requested, and the export of WHO ICTRP is downloaded by the user. Answers in the journal of a
pull are not requested again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree.ElementTree import Element

from cellclaims.errors import RefusedAnswer
from cellclaims.registries.answers import (
    Guard,
    Page,
    grouped,
    json_texts,
    oddity,
    of_type,
    parsed_json,
    parsed_xml,
    record_warnings,
    text_at,
    text_warnings,
    xml_texts,
)
from cellclaims.registries.client import Client, Fetched, base_of, path_of, shown
from cellclaims.registries.store import Answer, Journal

#: Checks the bytes of an answer, given its address for messages; raises RefusedAnswer.
Look = Callable[[bytes, str], Page]


@dataclass(frozen=True)
class Wanted:
    """Requests of a pull to a source.

    Attributes
    ----------
    queries : mapping
        Name of a query -> its parameters, as in the section ``pull`` of ``protocol.yml``.
    registrations : tuple of str
        NCT numbers of the reports in ``data/published``.
    dois, pmids : tuple of str
        DOIs and PubMed numbers of the same reports, whose records name corrections and retractions.
    """

    queries: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    registrations: tuple[str, ...] = ()
    dois: tuple[str, ...] = ()
    pmids: tuple[str, ...] = ()


class Asking:
    """One source in one pull, with its answers so far and warnings.

    Parameters
    ----------
    source : str
        The source.
    client : Client
        Client for the requests.
    journal : Journal
        Journal of the pull.
    told : callable
        Called with a line after each answer.
    """

    def __init__(self, source: str, client: Client, journal: Journal, told: Callable[[str], None]) -> None:
        self.source, self.client, self.journal, self.told = source, client, journal, told
        self.answers: list[Answer] = []
        self.warnings: list[str] = []

    def ask(self, kind: str, path: str, parameters: Mapping[str, str], look: Look) -> Page:
        """Return the answer to one request, checked and stored.

        Raises
        ------
        SourceError
            If there is no answer or it is rejected; earlier answers remain in the journal.
        OSError
            If it cannot be written.
        """
        address = base_of(self.source, self.client.settings.bases) + path
        if found := self.journal.find(self.source, address, parameters):
            answer, on_the_way = found
            page = look(self.journal.store.body(answer), address)
        else:
            answer, on_the_way, page = self._fetched(kind, path, parameters, look, address)
        self.answers.append(answer)
        self.warnings += [*on_the_way, *page.warnings]
        self.told(f"{self.source}: {len(self.answers)} answers")
        return page

    def _fetched(
        self, kind: str, path: str, parameters: Mapping[str, str], look: Look, address: str
    ) -> tuple[Answer, tuple[str, ...], Page]:
        got = self.client.get(self.source, path, parameters)
        page = look(got.body, got.address)
        on_the_way = tuple(oddity(self.source, *warning.split(": ", 1)) for warning in got.warnings)
        facts = {"source": self.source, "kind": kind, "address": got.address, "time": got.time, "status": got.status}
        answer = self.journal.store.keep(got.body, parameters=got.parameters, **facts)
        self.journal.add(answer, address, parameters, on_the_way)
        return answer, on_the_way, page

    def ask_known(self, kind: str, path: str, look: Look, number: str) -> Page | None:
        """Return the answer about one number; None with a warning if the source does not know it."""
        try:
            return self.ask(kind, path, {}, look)
        except RefusedAnswer as fault:
            if fault.status != 404:
                raise
            self.warnings.append(oddity(self.source, "not found", number))
            return None


#: Parameters of the next page of a search, given the page, whether it had new records, and the search so far;
#: None after the last page.
Following = Callable[[Page, bool, Guard], Mapping[str, str]]


def walk(
    asking: Asking,
    name: str,
    where: tuple[str, str, Look],
    first: Mapping[str, str],
    following: Following,
    most: int = 0,
) -> dict[str, None]:
    """Run one search to its end; return the numbers found, in order.

    Parameters
    ----------
    asking : Asking
        The source.
    name : str
        Name of the search, for messages.
    where : tuple
        Kind of the answers, path, and check of a page.
    first : mapping of str
        Parameters of the first page.
    following : callable
        Returns those of the next page.
    most : int
        Largest number of records that the source returns; 0 if unlimited.

    Raises
    ------
    SourceError
        If a page is missing or rejected, or the pages are circular.
    """
    kind, path, look = where
    guard, asked = Guard(asking.source, f"search {name!r}"), dict(first)
    while asked:
        page, known = asking.ask(kind, path, asked, look), len(guard.ids)
        if page.token and page.token == asked.get("cursorMark"):  # Europe PMC repeats the cursor of its last page
            page = replace(page, token="")
        asking.warnings += guard.turn(page)
        asked = dict(following(page, len(guard.ids) > known, guard))
    if most and (guard.total or 0) > most:
        detail = f"search {name!r}: {guard.total:,} records, only {most:,} are available"
        asking.warnings.append(oddity(asking.source, "too many", detail))
    else:
        asking.warnings += guard.end()
    return guard.ids


def _odd(source: str, where: str, records: list[Any], shape: Mapping[str, type], content: Any) -> list[str]:
    """Return warnings about the fields and texts of an answer in JSON."""
    known = TRIAL_SECTIONS if shape is TRIAL_SHAPE else ()
    fields = record_warnings(source, where, records, shape, known)
    return fields + text_warnings(source, where, json_texts(content, where))


# ClinicalTrials.gov, API version 2. A page contains whole studies, so studies are requested singly only if
# no search finds them. Formats follow the official description of the API (ctg-oas-v2, 2.0.0).


NCT = re.compile(r"NCT\d{8}")
#: Studies per page: with posted results one takes about 40 kB and at most a few MB.
TRIALS_A_PAGE = 100

TRIAL_SHAPE: Mapping[str, type] = {
    "protocolSection.identificationModule.nctId": str,
    "protocolSection.identificationModule.briefTitle": str,
    "protocolSection.statusModule.overallStatus": str,
    "protocolSection.statusModule.startDateStruct.date?": str,
    "protocolSection.statusModule.resultsFirstPostDateStruct.date?": str,
    "protocolSection.designModule.enrollmentInfo.count?": int,
    "protocolSection.referencesModule.references?": list,
    "resultsSection?": dict,
    "resultsSection.outcomeMeasuresModule.outcomeMeasures?": list,
    "hasResults": bool,
}
TRIAL_SECTIONS = ("protocolSection resultsSection documentSection annotationSection derivedSection hasResults").split()


def look_trials(body: bytes, where: str) -> Page:
    """Check a page of a search.

    Raises
    ------
    RefusedAnswer
        If it is not a page of studies.

    Examples
    --------
    >>> look_trials(b'{"studies": [], "totalCount": 0}', "https://host")
    Page(ids=(), total=0, token='', warnings=())
    """
    content = of_type(parsed_json(body, where), dict, where, "the answer")
    studies = of_type(content.get("studies"), list, where, "studies")
    token = of_type(content.get("nextPageToken", ""), str, where, "nextPageToken")
    total = content.get("totalCount")
    if total is not None:
        of_type(total, int, where, "totalCount")
    return Page(
        tuple(map(trial_number, studies)), total, token, tuple(_odd("ctgov", where, studies, TRIAL_SHAPE, content))
    )


def look_trial(body: bytes, where: str) -> Page:
    """Check a single study; raises RefusedAnswer if it is none or has no number."""
    study = of_type(parsed_json(body, where), dict, where, "the answer")
    number = trial_number(study)
    if not number:
        raise RefusedAnswer(f"{where}: expected a study with a number like NCT00133809, found none")
    return Page((number,), warnings=tuple(_odd("ctgov", where, [study], TRIAL_SHAPE, study)))


def trial_number(study: Any) -> str:
    """Return the NCT number of a study, or ""."""
    number = text_at(study, "protocolSection", "identificationModule", "nctId")
    return number if NCT.fullmatch(number) else ""


def pull_ctgov(asking: Asking, wanted: Wanted) -> None:
    """Run every search to its last page, then request known studies that were not found; raises SourceError."""
    found: set[str] = set()
    for name, query in wanted.queries.items():
        parameters = {**query, "format": "json", "pageSize": str(TRIALS_A_PAGE)}

        def following(page: Page, _: bool, __: Guard, parameters: Mapping[str, str] = parameters) -> Mapping[str, str]:
            return {**parameters, "pageToken": page.token} if page.token else {}

        found.update(
            walk(asking, name, ("search", "/studies", look_trials), {**parameters, "countTotal": "true"}, following)
        )
    for number in wanted.registrations:
        if number not in found and (page := asking.ask_known("study", path_of("studies", number), look_trial, number)):
            found.update(page.ids)


# Europe PMC: searches with all fields (core), followed by cursor, and candidates by title.


PAPERS_A_PAGE = 100
#: Registration numbers per search, so that its address is short.
NUMBERS_A_SEARCH = 25

PAPER_SHAPE: Mapping[str, type] = {
    "id": str,
    "source": str,
    "title?": str,
    "pmid?": str,
    "doi?": str,
    "authorString?": str,
    "abstractText?": str,
    "firstPublicationDate?": str,
    "pubYear?": str,
    "citedByCount?": int,
}


def look_papers(body: bytes, where: str) -> Page:
    """Check a page of a search.

    Raises
    ------
    RefusedAnswer
        If it is not a page of papers.

    Examples
    --------
    >>> look_papers(b'{"version": "6.9", "hitCount": 0, "resultList": {"result": []}}', "https://host")
    Page(ids=(), total=0, token='', warnings=())
    """
    content = of_type(parsed_json(body, where), dict, where, "the answer")
    total = of_type(content.get("hitCount"), int, where, "hitCount")
    listed = of_type(content.get("resultList"), dict, where, "resultList")
    papers = of_type(listed.get("result"), list, where, "resultList.result")
    token = of_type(content.get("nextCursorMark", ""), str, where, "nextCursorMark")
    warnings = _odd("europepmc", where, papers, PAPER_SHAPE, content)
    return Page(tuple(map(_paper_number, papers)), total, token if papers else "", tuple(warnings))


def _paper_number(paper: Any) -> str:
    parts = text_at(paper, "source"), text_at(paper, "id")
    return ":".join(parts) if all(parts) else ""


def pull_europepmc(asking: Asking, wanted: Wanted) -> None:
    """Run every search, and request the papers that name a known registration; raises SourceError."""
    for name, query in wanted.queries.items():
        search_papers(asking, name, query)
    for number, group in enumerate(grouped(wanted.registrations, NUMBERS_A_SEARCH), start=1):
        names = " OR ".join(f'"{one}"' for one in group)
        search_papers(asking, f"registrations {number}", {"query": f"({names})"})


def search_papers(asking: Asking, name: str, query: Mapping[str, str]) -> dict[str, None]:
    """Run one search; return the numbers of its papers, such as ``MED:17005949``; raises SourceError.

    The last page has no cursor, repeats the cursor of its request, or is empty.
    """
    parameters = {**query, "format": "json", "resultType": "core", "pageSize": str(PAPERS_A_PAGE)}

    def following(page: Page, _: bool, __: Guard) -> Mapping[str, str]:
        return {**parameters, "cursorMark": page.token} if page.token else {}

    return walk(asking, name, ("search", "/search", look_papers), {**parameters, "cursorMark": "*"}, following)


def papers_by_title(client: Client, title: str, rows: int = 5) -> tuple[Fetched, list[dict[str, Any]]]:
    """Search papers by the words of a title; return the answer, and its papers, best first.

    Parameters
    ----------
    client : Client
        Client for the request.
    title : str
        The title; characters of the query language are removed.
    rows : int
        Largest number of papers.

    Raises
    ------
    SourceError
        If there is no answer or it is rejected.
    """
    words = " ".join(re.findall(r"\w+", title))
    parameters = {"query": f"TITLE:({words})", "format": "json", "resultType": "core", "pageSize": str(rows)}
    got = client.get("europepmc", "/search", parameters)
    look_papers(got.body, got.address)
    papers = parsed_json(got.body, got.address)["resultList"]["result"]
    return got, [paper for paper in papers if isinstance(paper, dict)]


# PubMed through the E-utilities: a search returns numbers (esearch), whose records are then requested (efetch). Every
# request names the program and, if known, a contact and a key; these are not stored.


NUMBERS_A_PAGE = 500
#: Numbers per request for records, so that its address is short.
RECORDS_A_REQUEST = 150
#: A search returns only its first 10,000 records.
MOST_NUMBERS = 10_000


def look_numbers(body: bytes, where: str) -> Page:
    """Check an esearch answer in JSON.

    Raises
    ------
    RefusedAnswer
        If it is none, or a refusal of NCBI (over the rate limit, a query that it does not understand).

    Examples
    --------
    >>> look_numbers(b'{"error": "API rate limit exceeded", "api-key": "secret"}', "https://host")
    Traceback (most recent call last):
    cellclaims.errors.RefusedAnswer: https://host: expected numbers of papers, found a refusal: API rate limit exceeded
    """
    content = of_type(parsed_json(body, where), dict, where, "the answer")
    found = content.get("esearchresult")
    refusal = content.get("error") or (found.get("ERROR") if isinstance(found, dict) else None)
    if refusal:
        raise RefusedAnswer(f"{shown(where)}: expected numbers of papers, found a refusal: {shown(refusal, 120)}")
    found = of_type(found, dict, where, "esearchresult")
    ids = of_type(found.get("idlist"), list, where, "esearchresult.idlist")
    warnings = text_warnings("pubmed", where, json_texts(content, where))
    odd = [one for one in ids if not is_pubmed_number(one)]
    if odd:
        warnings.append(oddity("pubmed", "other type", f"{where}: {len(odd)} numbers, first {shown(repr(odd[0]), 60)}"))
    kept = tuple(one if is_pubmed_number(one) else "" for one in ids)
    return Page(kept, _total(found.get("count"), where), warnings=tuple(warnings))


def is_pubmed_number(value: object) -> bool:
    """Return whether a value is a PubMed number as text."""
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10


def _total(value: Any, where: str) -> int:
    if not is_pubmed_number(value):
        raise RefusedAnswer(
            f"{shown(where)}: expected esearchresult.count to be digits, found {shown(repr(value), 60)}"
        )
    return int(value)


def look_numbers_xml(body: bytes, where: str) -> Page:
    """Check an esearch answer in XML; raises RefusedAnswer."""
    root = parsed_xml(body, where, "eSearchResult")
    if (error := root.findtext("ERROR")) is not None:
        raise RefusedAnswer(f"{shown(where)}: expected numbers of papers, found a refusal: {shown(error, 120)}")
    ids = tuple((one.text or "").strip() for one in root.findall("IdList/Id"))
    return Page(ids, _total((root.findtext("Count") or "").strip(), where), warnings=_odd_texts(root, where))


def look_records(body: bytes, where: str) -> Page:
    """Check an efetch answer (PubmedArticleSet); raises RefusedAnswer."""
    root = parsed_xml(body, where, "PubmedArticleSet")
    articles = [*root.iterfind("PubmedArticle"), *root.iterfind("PubmedBookArticle")]
    ids = tuple((one.findtext("*/PMID") or "").strip() for one in articles)
    return Page(ids, warnings=(*_odd_texts(root, where), *_unnumbered(ids, where)))


def look_summaries(body: bytes, where: str) -> Page:
    """Check an esummary answer in XML; raises RefusedAnswer if it contains no papers."""
    root = parsed_xml(body, where, "eSummaryResult")
    papers = root.findall("DocSum")
    if not papers or any(paper.find("Item[@Name='PubDate']") is None for paper in papers):
        error = root.findtext("ERROR") or "records of something else, or none"
        raise RefusedAnswer(f"{shown(where)}: expected summaries of papers, found {shown(error, 120)}")
    ids = tuple((paper.findtext("Id") or "").strip() for paper in papers)
    return Page(ids, warnings=(*_odd_texts(root, where), *_unnumbered(ids, where)))


def look_summaries_json(body: bytes, where: str) -> Page:
    """Check an esummary answer in JSON; raises RefusedAnswer."""
    content = of_type(parsed_json(body, where), dict, where, "the answer")
    result = of_type(content.get("result"), dict, where, "result")
    ids = tuple(map(str, of_type(result.get("uids"), list, where, "result.uids")))
    lacking = [one for one in ids if not isinstance(result.get(one), dict)]
    warnings = text_warnings("pubmed", where, json_texts(content, where))
    if lacking:
        warnings.append(oddity("pubmed", "missing fields", f"{where}: {len(lacking)} records, first {lacking[0]}"))
    return Page(ids, warnings=tuple(warnings))


def _odd_texts(root: Element, where: str) -> tuple[str, ...]:
    return tuple(text_warnings("pubmed", where, xml_texts(root, where)))


def _unnumbered(ids: tuple[str, ...], where: str) -> list[str]:
    count = sum(not is_pubmed_number(one) for one in ids)
    return [oddity("pubmed", "missing fields", f"{where}: {count} records without a number")] if count else []


def pull_pubmed(asking: Asking, wanted: Wanted) -> None:
    """Run every search, find papers that name a known registration, then request the records of all.

    Raises
    ------
    SourceError
        If an answer is missing or rejected.
    """
    found: dict[str, None] = {}
    for name, query in wanted.queries.items():
        found.update(search_numbers(asking, name, query))
    for number, group in enumerate(grouped(wanted.registrations, RECORDS_A_REQUEST), start=1):
        term = " OR ".join(f"{one}[si]" for one in group)
        found.update(search_numbers(asking, f"registrations {number}", {"term": term}))
    found.update(dict.fromkeys(wanted.pmids))
    for group in grouped(tuple(found), RECORDS_A_REQUEST):
        asked = {"db": "pubmed", "retmode": "xml", "id": ",".join(group)}
        page = asking.ask("record", "/efetch.fcgi", asked, look_records)
        asking.warnings += [oddity("pubmed", "not found", one) for one in group if one not in page.ids]


def search_numbers(asking: Asking, name: str, query: Mapping[str, str]) -> dict[str, None]:
    """Run one search; return the numbers of its papers, in order; raises SourceError."""
    parameters = {"db": "pubmed", **query, "retmode": "json", "retmax": str(NUMBERS_A_PAGE)}

    def following(page: Page, _: bool, guard: Guard) -> Mapping[str, str]:
        start = guard.pages * NUMBERS_A_PAGE
        return {**parameters, "retstart": str(start)} if page.ids and start < min(page.total, MOST_NUMBERS) else {}

    where = ("search", "/esearch.fcgi", look_numbers)
    return walk(asking, name, where, {**parameters, "retstart": "0"}, following, MOST_NUMBERS)


# Crossref: the records of known DOIs (with corrections and retractions), and candidates for a reference.


WORKS_A_PAGE = 100

WORK_SHAPE: Mapping[str, type] = {
    "DOI": str,
    "title?": list,
    "container-title?": list,
    "author?": list,
    "issued?": dict,
    "update-to?": list,
    "updated-by?": list,
    "type?": str,
}


def look_work(body: bytes, where: str) -> Page:
    """Check the record of one DOI.

    Raises
    ------
    RefusedAnswer
        If it is not a work.

    Examples
    --------
    >>> look_work(b'{"status": "ok", "message-type": "work", "message": {"DOI": "10.1000/1"}}', "https://host").ids
    ('10.1000/1',)
    """
    message = _message(body, where)
    return Page((text_at(message, "DOI"),), warnings=tuple(_odd("crossref", where, [message], WORK_SHAPE, message)))


def look_works(body: bytes, where: str) -> Page:
    """Check a list of works; raises RefusedAnswer."""
    message = _message(body, where)
    items = of_type(message.get("items"), list, where, "message.items")
    total = of_type(message.get("total-results"), int, where, "message.total-results")
    token = message.get("next-cursor", "") if items else ""
    ids = tuple(text_at(item, "DOI") for item in items)
    return Page(
        ids,
        total,
        of_type(token, str, where, "next-cursor"),
        tuple(_odd("crossref", where, items, WORK_SHAPE, message)),
    )


def _message(body: bytes, where: str) -> dict[str, Any]:
    content = of_type(parsed_json(body, where), dict, where, "the answer")
    return of_type(content.get("message"), dict, where, "message")


def pull_crossref(asking: Asking, wanted: Wanted) -> None:
    """Run every search, then request the work of every known DOI; raises SourceError."""
    for name, query in wanted.queries.items():
        search_works(asking, name, query)
    for doi in wanted.dois:
        asking.ask_known("works", path_of("works", doi), look_work, doi)


def search_works(asking: Asking, name: str, query: Mapping[str, str]) -> dict[str, None]:
    """Run one search; return the DOIs found; raises SourceError.

    The last page is the first without a new record; the cursor never ends.
    """
    parameters = {**query, "rows": str(WORKS_A_PAGE)}

    def following(page: Page, is_new: bool, guard: Guard) -> Mapping[str, str]:
        is_last = not is_new or len(guard.ids) >= (page.total or 0) or not page.token
        return {} if is_last else {**parameters, "cursor": page.token}

    return walk(asking, name, ("works", "/works", look_works), {**parameters, "cursor": "*"}, following)


def works_like(client: Client, reference: str, rows: int = 5) -> tuple[Fetched, list[dict[str, Any]]]:
    """Search works for a reference; return the answer, and its works, best first.

    Parameters
    ----------
    client : Client
        Client for the request.
    reference : str
        Title, author, year and journal, as far as known.
    rows : int
        Largest number of works.

    Raises
    ------
    SourceError
        If there is no answer or it is rejected.
    """
    got = client.get("crossref", "/works", {"query.bibliographic": reference, "rows": str(rows)})
    look_works(got.body, got.address)
    items = parsed_json(got.body, got.address)["message"]["items"]
    return got, [item for item in items if isinstance(item, dict)]


# WHO ICTRP: the downloaded XML export (with rows of ChiCTR, EUCTR and other registers). The search portal
# has no programming interface and its export requires accepting terms, so users download it and run
# ``cellclaims pull --from FOLDER``.


EXPORT_ROOT = "Trials_downloaded_from_ICTRP"
#: Elements of every row of an export, possibly empty.
EXPORT_FIELDS = ("TrialID", "Public_title", "Source_Register", "Recruitment_Status", "Date_registration3")


def look_export(body: bytes, where: str) -> Page:
    """Check an export; return its trials by their numbers.

    Raises
    ------
    RefusedAnswer
        If it is not an export, is truncated, or declares an entity.

    Examples
    --------
    >>> trial = b"<Trial><TrialID>ChiCTR1 </TrialID></Trial>"
    >>> export = b"<Trials_downloaded_from_ICTRP>" + trial + b"</Trials_downloaded_from_ICTRP>"
    >>> look_export(export, "export.xml").ids
    ('ChiCTR1',)
    """
    root = parsed_xml(body, where, EXPORT_ROOT)
    trials = root.findall("Trial")
    warnings = text_warnings("ictrp", where, xml_texts(root, where))
    lacking = [
        f"{field} of Trial {n}" for n, one in enumerate(trials, 1) for field in EXPORT_FIELDS if one.find(field) is None
    ]
    if lacking:
        warnings.append(oddity("ictrp", "missing fields", f"{where}: {len(lacking)} fields, first {lacking[0]}"))
    ids = tuple(" ".join((one.findtext("TrialID") or "").split()) for one in trials)
    twice = sorted({one for one in ids if one and ids.count(one) > 1})
    warnings += [oddity("ictrp", "duplicate record", f"{where}: {one}") for one in twice]
    return Page(ids, warnings=tuple(warnings))


#: Function that requests everything from each source.
PULLS: Mapping[str, Callable[[Asking, Wanted], None]] = {
    "ctgov": pull_ctgov,
    "europepmc": pull_europepmc,
    "pubmed": pull_pubmed,
    "crossref": pull_crossref,
}
