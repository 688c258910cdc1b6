"""Papers out of one answer: Europe PMC, PubMed (esummary and efetch) and Crossref.

A reader yields a :class:`Paper` for each record and a sentence for each that it cannot read; it raises ValueError where
the body as a whole is something else. Answers that hold identifiers only (esearch) hold no papers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element

from cellclaims.sources.bodies import at, clean, is_xml, json_of, list_at, text_at, without_marks, words_of, xml_of
from cellclaims.sources.dates import iso
from cellclaims.sources.records import Paper
from cellclaims.sources.registrations import numbers_in
from cellclaims.sources.store import Answer

#: Answers of PubMed that list identifiers and no papers.
LISTS = ("eSearchResult", "ePostResult", "eLinkResult", "eInfoResult", "eSpellResult")


def europepmc(answer: Answer, body: bytes) -> Iterator[Paper | str]:
    """Papers of a page of Europe PMC; the abstract is searched for registrations and not kept."""
    content = json_of(body)
    if not isinstance(at(content, "resultList", "result"), list):
        raise ValueError(f"no list of results: {_start(content)}")
    for place, one in enumerate(list_at(content, "resultList", "result")):
        pointer = f"/resultList/result/{place}"
        keywords = map(str, list_at(one, "keywordList", "keyword"))
        parts = {
            "title": text_at(one, "title"),
            "journal": text_at(one, "journalInfo", "journal", "title") or text_at(one, "journalTitle"),
            "date": text_at(one, "firstPublicationDate") or text_at(one, "pubYear"),
            "other_id": f"{text_at(one, 'source')}/{text_at(one, 'id')}",
        }
        ids = {name: text_at(one, name) for name in ("pmid", "doi", "pmcid")}
        yield _paper("europepmc", answer, pointer, [text_at(one, "abstractText"), *keywords], **parts, **ids)


def pubmed(answer: Answer, body: bytes) -> Iterator[Paper | str]:
    """Papers of PubMed: efetch and esummary as XML, esummary as JSON."""
    if not is_xml(body):
        yield from _summaries_json(answer, json_of(body))
        return
    root = xml_of(body)
    if root.tag == "PubmedArticleSet":
        for place, article in enumerate(root.findall("PubmedArticle"), start=1):
            yield _article(answer, article, f"/PubmedArticleSet/PubmedArticle[{place}]")
    elif root.tag == "eSummaryResult":
        for place, summary in enumerate(root.findall("DocSum"), start=1):
            yield _summary(answer, summary, f"/eSummaryResult/DocSum[{place}]")
    elif root.tag not in LISTS:
        raise ValueError(f"neither articles nor summaries: <{root.tag}>")


def _summaries_json(answer: Answer, content: Any) -> Iterator[Paper | str]:
    if at(content, "esearchresult") is not None:
        return
    if not isinstance(at(content, "result"), Mapping):
        raise ValueError(f"neither a search nor summaries: {_start(content)}")
    for uid in map(str, list_at(content, "result", "uids")):
        one = at(content, "result", uid)
        ids = {text_at(named, "idtype"): text_at(named, "value") for named in list_at(one, "articleids")}
        parts = {
            "title": text_at(one, "title"),
            "journal": text_at(one, "fulljournalname") or text_at(one, "source"),
            "date": text_at(one, "pubdate"),
        }
        yield _paper("pubmed", answer, f"/result/{uid}", [], pmid=uid, doi=ids.get("doi", ""),
                     pmcid=ids.get("pmc", ""), **parts)  # fmt: skip


def _summary(answer: Answer, summary: Element, pointer: str) -> Paper | str:
    items = {item.get("Name", ""): item for item in summary.findall("Item")}
    ids = {item.get("Name", ""): clean(item.text) for item in items.get("ArticleIds", Element("none"))}
    text = {name: words_of(items.get(name)) for name in ("Title", "FullJournalName", "Source", "PubDate", "DOI")}
    parts = {"title": text["Title"], "journal": text["FullJournalName"] or text["Source"], "date": text["PubDate"]}
    return _paper("pubmed", answer, pointer, [], pmid=clean(summary.findtext("Id")), pmcid=ids.get("pmc", ""),
                  doi=text["DOI"] or ids.get("doi", ""), **parts)  # fmt: skip


def _article(answer: Answer, article: Element, pointer: str) -> Paper | str:
    citation = article.find("MedlineCitation")
    if citation is None:
        return f"{pointer}: expected a MedlineCitation, found none"
    ids = {one.get("IdType", ""): clean(one.text) for one in article.findall("PubmedData/ArticleIdList/ArticleId")}
    said = [words_of(one) for one in citation.findall("Article/Abstract/AbstractText")]
    banks = [words_of(one) for one in citation.findall("Article/DataBankList/DataBank/AccessionNumberList/")]
    parts = {
        "title": words_of(citation.find("Article/ArticleTitle")) or words_of(citation.find("Article/VernacularTitle")),
        "journal": words_of(citation.find("Article/Journal/Title")),
        "date": _printed_date(citation.find("Article/Journal/JournalIssue/PubDate")),
    }
    return _paper("pubmed", answer, pointer, [*said, *banks], pmid=clean(citation.findtext("PMID")),
                  doi=ids.get("doi", ""), pmcid=ids.get("pmc", ""), **parts)  # fmt: skip


def _printed_date(date: Element | None) -> str:
    """Year, month and day where there are, else the words of the issue (MedlineDate, Season)."""
    if date is None:
        return ""
    parts = [clean(date.findtext(name)) for name in ("Year", "Month", "Day")]
    year, month, day = parts
    if month.isdecimal():
        return "-".join(part.zfill(2) for part in parts if part)
    return f"{year} {month} {day}".strip() if year else words_of(date)


def crossref(answer: Answer, body: bytes) -> Iterator[Paper | str]:
    """Papers of Crossref: one work or a list of works."""
    content = json_of(body)
    message = at(content, "message")
    if isinstance(at(message, "items"), list):
        works = [(f"/message/items/{place}", work) for place, work in enumerate(message["items"])]
    elif text_at(message, "DOI"):
        works = [("/message", message)]
    else:
        raise ValueError(f"neither a work nor a list of works: {_start(content)}")
    for pointer, work in works:
        banks = [text_at(one, "clinical-trial-number") for one in list_at(work, "clinical-trial-number")]
        parts = {
            "title": next((one for one in list_at(work, "title") if isinstance(one, str)), ""),
            "journal": next((one for one in list_at(work, "container-title") if isinstance(one, str)), ""),
            "date": _date_parts(list_at(work, "issued", "date-parts") or list_at(work, "published", "date-parts")),
        }
        yield _paper(
            "crossref", answer, pointer, [text_at(work, "abstract"), *banks], doi=text_at(work, "DOI"), **parts
        )


def _date_parts(parts: list) -> str:
    """Crossref's [[year, month?, day?]] with dashes; empty if it is something else."""
    first = parts[0] if parts and isinstance(parts[0], list) else []
    return "-".join(f"{part:02d}" for part in first if isinstance(part, int))


def _paper(
    source: str, answer: Answer, pointer: str, texts: Iterable[str], *, title: str, journal: str, date: str, **ids: str
) -> Paper | str:
    """The paper, with the registrations of its title and of the texts; a sentence if nothing identifies it.

    Summaries of PubMed have the form of those of all NCBI databases: without a title it is none of a paper.
    """
    known = {name: ids.get(name, "").strip() for name in ("pmid", "doi", "pmcid")}
    other = ids.get("other_id", "")
    if not (any(known.values()) or other.strip("/")) or (source == "pubmed" and not title):
        return f"{pointer}: expected a paper with a title and an identifier, found none"
    known["doi"] = re.sub(r"^https?://(dx\.)?doi\.org/", "", known["doi"], flags=re.IGNORECASE)
    numbers = numbers_in("\n".join([title, *texts]))
    return Paper(source, without_marks(title), journal, iso(date), registrations=numbers, answer=answer,
                 pointer=pointer, other_id=other, **known)  # fmt: skip


def _start(content: Any) -> str:
    """The first keys of something that was not expected, for a message."""
    keys = ", ".join(map(str, [*content][:5])) if isinstance(content, Mapping) else type(content).__name__
    return keys[:120]
