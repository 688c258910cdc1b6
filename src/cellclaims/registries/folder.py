"""Replay recorded answers: a folder of files as people save them, or another store.

Each file is told by its content; what is none of a pull's answers is listed with its reason. A file that vcrpy wrote
(a cassette) holds several answers with their addresses.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cellclaims.errors import RefusedAnswer, SourceError
from cellclaims.registries import crossref, ctgov, europepmc, ictrp, pubmed
from cellclaims.registries.answers import Page, parsed_json
from cellclaims.registries.client import WHO, PassingFault, http_date, received, shown
from cellclaims.registries.services import Look
from cellclaims.registries.store import Answer, Store

# Read cassettes: recorded requests and answers as vcrpy writes them, in YAML.


MOST_BYTES = 100_000_000


@dataclass(frozen=True)
class Interaction:
    """One request of a cassette with its answer; ``time`` is the answer's Date, "" without one."""

    address: str
    parameters: dict[str, str]
    time: str
    status: int
    body: bytes


def is_cassette(body: bytes) -> bool:
    """Whether a file begins like a cassette.

    Examples
    --------
    >>> is_cassette(b"interactions:\\n- request:\\n"), is_cassette(b"{}")
    (True, False)
    """
    return body.startswith(b"interactions:")


def interactions(body: bytes, where: str) -> list[Interaction]:
    """The requests and answers of a cassette.

    Raises
    ------
    RefusedAnswer
        If it is no YAML or one of them lacks an address, a status or a body; names its number.
    """
    import yaml

    try:
        content = yaml.load(body, yaml.CSafeLoader)
        return [_interaction(one, f"{where}#{n}") for n, one in enumerate(content["interactions"], start=1)]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as fault:
        raise RefusedAnswer(f"{where}: expected a cassette of vcrpy, found {fault!r:.200}") from None


def _interaction(one: Mapping[str, Any], where: str) -> Interaction:
    parts = urlsplit(one["request"]["uri"])
    response = one["response"]
    headers = {name.lower(): values[0] for name, values in (response.get("headers") or {}).items()}
    parameters = {name: value for name, value in parse_qsl(parts.query) if name.lower() not in WHO}
    moment = http_date(headers.get("date"))
    time = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else ""
    address = f"{parts.scheme}://{parts.hostname}{parts.path}"
    return Interaction(
        address, parameters, time, int(response["status"]["code"]), _recorded_body(response, headers, where)
    )


def _recorded_body(response: Mapping[str, Any], headers: Mapping[str, str], where: str) -> bytes:
    body = response["body"]["string"]
    body = body.encode() if isinstance(body, str) else bytes(body)
    try:
        return received([body], headers.get("content-encoding", ""), MOST_BYTES, 60, where)
    except PassingFault as fault:
        # Some cassettes keep the header and the decompressed text.
        if body[:1] in (b"{", b"<", b"["):
            return body
        raise RefusedAnswer(f"{where}: expected an answer, found {fault}") from None


# Tell what a file is by what it holds: which source answered so, and to what kind of question.


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


@dataclass
class Replayed:
    """What a folder held.

    Attributes
    ----------
    answers : list of Answer
        In the order of the files' names.
    warnings : list of str
        What is odd about them.
    refused : dict of str
        Name of a file -> why it is no answer.
    """

    answers: list[Answer] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def replay(folder: Path, store: Store) -> Replayed:
    """Take every answer in a folder (or in one file) into the store.

    Parameters
    ----------
    folder : Path
        A folder of any depth, one file, or the folder of a store, whose last snapshot is taken.
    store : Store
        Where the bytes go.

    Raises
    ------
    SourceError
        If there is no such folder, or nothing in it is an answer.
    OSError
        If the store cannot be written.
    """
    if not folder.exists():
        raise SourceError(f"{folder}: expected a folder of recorded answers, found nothing")
    if (folder / "snapshots").is_dir() and Store(folder).names():
        return _copied(Store(folder), store)
    done = Replayed()
    for name, path in _files(folder):
        try:
            _take(name, path, store, done)
        except RefusedAnswer as fault:
            done.refused[name] = str(fault).removeprefix(f"{shown(name)}: ")
    if not done.answers:
        raise SourceError(f"{folder}: expected answers of a source, found none in {len(done.refused):,} files")
    return done


def _copied(other: Store, store: Store) -> Replayed:
    snapshot = other.snapshot()
    for answer in snapshot.answers:
        facts = {name: value for name, value in vars(answer).items() if name not in ("sha256", "bytes")}
        store.keep(other.body(answer), **facts)
    return Replayed(list(snapshot.answers), list(snapshot.warnings))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files to read, by their names in the folder; what is hidden is not looked at."""
    if folder.is_file():
        yield folder.name, folder
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_dir() and not any(part.startswith(".") for part in name.parts):
            yield os.fsencode(name.as_posix()).decode("utf-8", "backslashreplace"), path


def _take(name: str, path: Path, store: Store, done: Replayed) -> None:
    body = _body(name, path)
    time = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}"
    if is_cassette(body):
        _take_cassette(name, body, time, store, done)
        return
    _keep(store, done, body, name, time, name, {})


def _take_cassette(name: str, body: bytes, time: str, store: Store, done: Replayed) -> None:
    for number, one in enumerate(interactions(body, name), start=1):
        where = f"{name}#{number}"
        try:
            if one.status != 200:
                raise RefusedAnswer(f"{where}: expected an answer, found status {one.status}")
            _keep(store, done, one.body, where, one.time or time, one.address, one.parameters)
        except RefusedAnswer as fault:
            done.refused[where] = str(fault).removeprefix(f"{shown(where)}: ")


def _keep(
    store: Store, done: Replayed, body: bytes, where: str, time: str, address: str, asked: dict[str, str]
) -> None:
    source, kind, page = recognised(body, where)
    answer = store.keep(body, parameters=asked, source=source, kind=kind, address=address, time=time, status=200)
    done.answers.append(answer)
    done.warnings += page.warnings


def _body(name: str, path: Path) -> bytes:
    if not path.is_file():
        raise RefusedAnswer(f"{name}: expected a file, found something else")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise RefusedAnswer(f"{name}: expected at most {MOST_BYTES:,} bytes, found {size:,}")
    try:
        return path.read_bytes()
    except OSError as fault:
        raise RefusedAnswer(f"{name}: expected a file that can be read, found {fault.strerror}") from None
