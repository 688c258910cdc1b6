"""Tell what a file is by what it holds: which source answered so, and to what kind of question."""

from __future__ import annotations

from typing import Any

from cellclaims.errors import RefusedAnswer
from cellclaims.sources import crossref, ctgov, europepmc, ictrp, pubmed
from cellclaims.sources.addresses import shown
from cellclaims.sources.asking import Look
from cellclaims.sources.shapes import Page, parsed_json

#: Source, kind of answer, and what looks it through.
Known = tuple[str, str, Look]

STUDY: Known = (ctgov.SOURCE, "study", ctgov.look_study)
STUDIES: Known = (ctgov.SOURCE, "search", ctgov.look_search)
PAPERS: Known = (europepmc.SOURCE, "search", europepmc.look_search)
NUMBERS: Known = (pubmed.SOURCE, "search", pubmed.look_search)
SUMMARIES: Known = (pubmed.SOURCE, "summary", pubmed.look_summaries_json)
WORK: Known = (crossref.SOURCE, "works", crossref.look_work)
WORKS: Known = (crossref.SOURCE, "works", crossref.look_works)

#: JSON objects, by the fields that mark them; the first that fits counts.
JSON_MARKS: tuple[tuple[tuple[str, ...], Known], ...] = (
    (("protocolSection",), STUDY),
    (("studies",), STUDIES),
    (("resultList",), PAPERS),
    (("hitCount",), PAPERS),
    (("esearchresult",), NUMBERS),
    (("header", "result"), SUMMARIES),
)
XML_MARKS: dict[str, Known] = {
    ictrp.ROOT: (ictrp.SOURCE, "export", ictrp.look_export),
    "eSearchResult": (pubmed.SOURCE, "search", pubmed.look_search_xml),
    "eSummaryResult": (pubmed.SOURCE, "summary", pubmed.look_summaries),
    "PubmedArticleSet": (pubmed.SOURCE, "record", pubmed.look_records),
}


def recognised(body: bytes, where: str) -> tuple[str, str, Page]:
    """Source and kind of an answer, looked through.

    Raises
    ------
    RefusedAnswer
        If it is none that a pull keeps; says what it is instead.

    Examples
    --------
    >>> recognised(b'{"hitCount": 0, "resultList": {"result": []}}', "none.json")[:2]
    ('europepmc', 'search')
    >>> recognised(b"[]", "list.json")
    Traceback (most recent call last):
    cellclaims.errors.RefusedAnswer: list.json: expected one answer, found a list of 0 in one file
    """
    start = body[:200].removeprefix(b"\xef\xbb\xbf").lstrip()
    known = _known_xml(body, where) if start.startswith(b"<") else _known_json(body, start, where)
    source, kind, look = known
    return source, kind, look(body, where)


def _known_json(body: bytes, start: bytes, where: str) -> Known:
    if start[:1] not in (b"{", b"["):
        raise RefusedAnswer(f"{shown(where)}: expected JSON or XML of a source, found something else")
    content = parsed_json(body, where)
    if isinstance(content, list):
        raise RefusedAnswer(f"{shown(where)}: expected one answer, found a list of {len(content):,} in one file")
    known = next((known for marks, known in JSON_MARKS if all(mark in content for mark in marks)), None)
    if known := known or _work(content):
        return known
    if refusal := content.get("error"):
        raise RefusedAnswer(f"{shown(where)}: expected an answer, found a refusal: {shown(refusal, 120)}")
    fields = ", ".join(sorted(content)[:5]) or "none"
    raise RefusedAnswer(
        f"{shown(where)}: expected JSON of a source, found an object with the fields {shown(fields, 120)}"
    )


def _work(content: dict[str, Any]) -> Known | None:
    """The answer of Crossref that an object is."""
    return {"work": WORK, "work-list": WORKS}.get(str(content.get("message-type")))


def _known_xml(body: bytes, where: str) -> Known:
    root = _root(body, where)
    if root not in XML_MARKS:
        raise RefusedAnswer(f"{shown(where)}: expected XML of a source, found the root {shown(root, 60)}{_why(root)}")
    return XML_MARKS[root]


def _root(body: bytes, where: str) -> str:
    """The name of the root element, read without the rest."""
    from io import BytesIO

    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, iterparse

    try:
        events = iterparse(BytesIO(body), events=("start",), forbid_entities=True, forbid_external=True)
        return str(next(iter(events))[1].tag)
    except DefusedXmlException as fault:
        raise RefusedAnswer(f"{shown(where)}: expected XML of a source, found {type(fault).__name__}") from None
    except (ParseError, ValueError, LookupError, StopIteration) as fault:
        raise RefusedAnswer(f"{shown(where)}: expected XML of a source, found {shown(fault) or 'none'}") from None


#: Roots that people save and a pull does not keep: why not.
_OTHERS: dict[str, str] = {
    "clinical_study": "the retired format of ClinicalTrials.gov: save the study as JSON of version 2",
    "responseWrapper": "Europe PMC as XML: save it as JSON (format=json)",
    "html": "a page",
    "article": "a full text",
    "pmc-articleset": "a full text",
}


def _why(root: str) -> str:
    return f" ({_OTHERS[root]})" if root in _OTHERS else ""
