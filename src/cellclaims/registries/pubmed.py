"""PubMed through the E-utilities: a search gives numbers (esearch), their records follow (efetch, esummary).

The address of every request says which program asks and, where they are known, a contact and a key; none of them is
stored. A search hands out its first 10,000 records and no more.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    text_warnings,
    xml_texts,
)
from cellclaims.registries.client import shown
from cellclaims.registries.services import Asking, Wanted

SOURCE = "pubmed"
PAGE_SIZE = 500
#: Numbers in one request for records, so that its address stays short.
RECORDS = 150
MOST = 10_000


def look_search(body: bytes, where: str) -> Page:
    """Look an esearch answer in JSON through.

    Raises
    ------
    RefusedAnswer
        If it is none, or a refusal of NCBI (over the rate limit, a query that it does not understand).

    Examples
    --------
    >>> look_search(b'{"error": "API rate limit exceeded", "api-key": "secret"}', "https://host")
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
    warnings = text_warnings(SOURCE, where, json_texts(content, where))
    odd = [one for one in ids if not is_number(one)]
    if odd:
        warnings.append(oddity(SOURCE, "other type", f"{where}: {len(odd)} numbers, first {shown(repr(odd[0]), 60)}"))
    kept = tuple(one if is_number(one) else "" for one in ids)
    return Page(kept, _count(found.get("count"), where), warnings=tuple(warnings))


def is_number(value: object) -> bool:
    """Whether a value is a PubMed number as text."""
    return isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 10


def _count(value: Any, where: str) -> int:
    if not is_number(value):
        raise RefusedAnswer(
            f"{shown(where)}: expected esearchresult.count to be digits, found {shown(repr(value), 60)}"
        )
    return int(value)


def look_search_xml(body: bytes, where: str) -> Page:
    """Look an esearch answer in XML through; raises RefusedAnswer."""
    root = parsed_xml(body, where, "eSearchResult")
    if (error := root.findtext("ERROR")) is not None:
        raise RefusedAnswer(f"{shown(where)}: expected numbers of papers, found a refusal: {shown(error, 120)}")
    ids = tuple((one.text or "").strip() for one in root.findall("IdList/Id"))
    return Page(ids, _count((root.findtext("Count") or "").strip(), where), warnings=_texts(root, where))


def look_records(body: bytes, where: str) -> Page:
    """Look an efetch answer (PubmedArticleSet) through; raises RefusedAnswer."""
    root = parsed_xml(body, where, "PubmedArticleSet")
    articles = [*root.iterfind("PubmedArticle"), *root.iterfind("PubmedBookArticle")]
    ids = tuple((one.findtext("*/PMID") or "").strip() for one in articles)
    return Page(ids, warnings=(*_texts(root, where), *_unnumbered(ids, where)))


def look_summaries(body: bytes, where: str) -> Page:
    """Look an esummary answer in XML through; raises RefusedAnswer if it holds no papers."""
    root = parsed_xml(body, where, "eSummaryResult")
    papers = root.findall("DocSum")
    if not papers or any(paper.find("Item[@Name='PubDate']") is None for paper in papers):
        error = root.findtext("ERROR") or "records of something else, or none"
        raise RefusedAnswer(f"{shown(where)}: expected summaries of papers, found {shown(error, 120)}")
    ids = tuple((paper.findtext("Id") or "").strip() for paper in papers)
    return Page(ids, warnings=(*_texts(root, where), *_unnumbered(ids, where)))


def look_summaries_json(body: bytes, where: str) -> Page:
    """Look an esummary answer in JSON through; raises RefusedAnswer."""
    content = of_type(parsed_json(body, where), dict, where, "the answer")
    result = of_type(content.get("result"), dict, where, "result")
    ids = tuple(map(str, of_type(result.get("uids"), list, where, "result.uids")))
    lacking = [one for one in ids if not isinstance(result.get(one), dict)]
    warnings = text_warnings(SOURCE, where, json_texts(content, where))
    if lacking:
        warnings.append(oddity(SOURCE, "missing fields", f"{where}: {len(lacking)} records, first {lacking[0]}"))
    return Page(ids, warnings=tuple(warnings))


def _texts(root: Element, where: str) -> tuple[str, ...]:
    return tuple(text_warnings(SOURCE, where, xml_texts(root, where)))


def _unnumbered(ids: tuple[str, ...], where: str) -> list[str]:
    count = sum(not is_number(one) for one in ids)
    return [oddity(SOURCE, "missing fields", f"{where}: {count} records without a number")] if count else []


def pull(asking: Asking, wanted: Wanted) -> None:
    """Every search, the papers that name a known registration, then the records of all; raises SourceError."""
    found: dict[str, None] = {}
    for name, query in wanted.queries.items():
        found.update(search(asking, name, query))
    for number, group in enumerate(grouped(wanted.registrations, RECORDS), start=1):
        term = " OR ".join(f"{one}[si]" for one in group)
        found.update(search(asking, f"registrations {number}", {"term": term}))
    for group in grouped(tuple(found), RECORDS):
        asked = {"db": "pubmed", "retmode": "xml", "id": ",".join(group)}
        page = asking.ask("record", "/efetch.fcgi", asked, look_records)
        asking.warnings += [oddity(SOURCE, "not found", one) for one in group if one not in page.ids]


def search(asking: Asking, name: str, query: Mapping[str, str]) -> dict[str, None]:
    """One search to its end: the numbers of its papers, in order; raises SourceError."""
    guard, start, total = Guard(SOURCE, f"search {name!r}"), 0, 1
    parameters = {"db": "pubmed", **query, "retmode": "json", "retmax": str(PAGE_SIZE)}
    while start < min(total, MOST):
        page = asking.ask("search", "/esearch.fcgi", {**parameters, "retstart": str(start)}, look_search)
        asking.warnings += guard.turn(page)
        start, total = start + PAGE_SIZE, page.total
        if not page.ids:
            break
    if total > MOST:
        asking.warnings.append(
            oddity(SOURCE, "too many", f"search {name!r}: {total:,} records, {MOST:,} are handed out")
        )
    else:
        asking.warnings += guard.end()
    return guard.ids


def ask_summaries(asking: Asking, numbers: tuple[str, ...]) -> None:
    """Summaries (esummary) instead of whole records, where a title and a date are enough; raises SourceError."""
    for group in grouped(numbers, RECORDS):
        asked = {"db": "pubmed", "retmode": "json", "id": ",".join(group)}
        asking.ask("summary", "/esummary.fcgi", asked, look_summaries_json)
