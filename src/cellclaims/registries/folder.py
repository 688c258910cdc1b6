"""Reading of saved answers: a folder of files, or another store.

Files are recognised by their content; others are listed with the reason. A file may contain one
answer, an array (as downloaded from the registry's website) or one answer per line, and may be compressed; a cassette
of vcrpy contains several answers with their addresses.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

from cellclaims.errors import RefusedAnswer, SourceError
from cellclaims.registries import services
from cellclaims.registries.answers import Page, oddity, parsed_json
from cellclaims.registries.client import WHO, PassingFault, http_date, received, shown
from cellclaims.registries.services import Look
from cellclaims.registries.store import Answer, Store

# Records out of files of any size, one at a time, as bytes that have not been parsed yet.
# Formats: one study, a search page, an array of studies, one study per line, and any sequence of these; gzip
# is recognised by its first bytes. Only one record (or one small file) is in memory at a time.


#: A file up to this size is read as a whole; a larger record than the other size is refused (the largest has 20 MB).
WHOLE, LARGEST = 4 << 20, 64 << 20

#: Read from a file at once.
CHUNK = 1 << 20

TOO_LARGE = f"larger than {LARGEST >> 20} MB: expected one study, or a page or array of studies"

#: The level of a page behind its studies: nothing there is a record.
BEHIND = 1 << 30

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}"]', re.DOTALL)


@dataclass(frozen=True)
class Body:
    """One value of a file as bytes, or the reason why there is none; ``where`` is its position."""

    where: str
    content: bytes = b""
    fault: str = ""


def bodies(file: BinaryIO, name: str) -> Iterator[Body]:
    """Yield each value of an open file; truncated or non-gzip data give a fault and end it."""
    try:
        yield from _bodies(_unzipped(file), name)
    except (OSError, EOFError, zlib.error) as error:
        yield Body(name, fault=f"the file cannot be read to its end: {error}")


def _unzipped(file: BinaryIO) -> BinaryIO:
    head = file.read(2)
    whole = io.BufferedReader(_Rest(head, file), CHUNK)
    return gzip.open(whole) if head == b"\x1f\x8b" else whole


def _bodies(file: BinaryIO, name: str) -> Iterator[Body]:
    head = file.read(CHUNK)
    lines = _is_lines(head)
    if not lines:
        head += file.read(max(WHOLE - len(head), 0) + 1)
        lines = _is_lines(head)
    rest = io.BufferedReader(_Rest(head.removeprefix(b"\xef\xbb\xbf"), file), CHUNK)
    if lines:
        yield from _lines(rest, name)
    elif len(head) <= WHOLE:
        content = rest.read()
        yield Body(name, content) if content.strip() else Body(name, fault="the file is empty")
    else:
        yield from _Splitter(name).values(rest)


class _Rest(io.RawIOBase):
    """A file whose first bytes have been read already."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self.head, self.file = head, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        taken = self.head[: len(buffer)] or self.file.read(len(buffer))
        self.head = self.head[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _is_lines(head: bytes) -> bool:
    """Return whether a file has one record per line: its first line is one, or a later line begins one."""
    first, end, _ = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    return first.startswith(b"{") and ((bool(end) and first.rstrip().endswith(b"}")) or b"\n{" in head)


def _lines(file: io.BufferedReader, name: str) -> Iterator[Body]:
    """Yield one value per line; a line that is too long is a fault, and reading continues."""
    number = 0
    while line := file.readline(LARGEST + 1):
        number += 1
        where = f"{name}, line {number}"
        if len(line) > LARGEST and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(CHUNK)
            yield Body(where, fault=TOO_LARGE)
        elif line.strip():
            yield Body(where, line)


class _Splitter:
    """Splits a large file at its brackets into values: of an array, of the studies of a page, or in sequence."""

    def __init__(self, name: str) -> None:
        self.name, self.number = name, 0
        self.left, self.at, self.start = b"", 0, -1  # bytes kept, scanned up to, where the value in hand starts
        self.depth, self.level, self.key = 0, 0, b""  # a value is what opens and closes at this level

    def values(self, file: io.BufferedReader) -> Iterator[Body]:
        """Yield every value of the file, and a fault where it breaks off."""
        while chunk := file.read(CHUNK):
            self.left += chunk
            yield from self._scan()
            if len(self.left) > LARGEST:
                yield self._body(fault=TOO_LARGE)
                if self.start < 0:  # a text without an end
                    return
                self.start = -1
                self._forget()
        if self.depth:
            yield self._body(fault="the file ends inside a record")
        elif not self.number:
            yield Body(self.name, fault="no record found")

    def _scan(self) -> Iterator[Body]:
        for token in _TOKEN.finditer(self.left, self.at):
            if token[0] == b'"':  # the text goes on in the next chunk
                self.at = token.start()
                break
            self.at = token.end()
            if token[0] in b"{[":
                self._open(token[0], token.start())
            elif token[0] in b"}]":
                yield from self._close()
            elif self.depth == 1:
                self.key = token[0]
        else:
            self.at = len(self.left)
        self._forget()

    def _open(self, bracket: bytes, place: int) -> None:
        listed = bracket == b"[" and self.level == 0
        if listed and (self.depth == 0 or (self.depth == 1 and self.key == b'"studies"')):
            self.level, self.start = self.depth + 1, -1
        elif self.depth == self.level:
            self.start = place
        self.depth += 1

    def _close(self) -> Iterator[Body]:
        self.depth -= 1
        if self.depth == self.level and self.start >= 0:
            yield self._body(self.left[self.start : self.at])
            self.start = -1
        elif self.depth <= 0:
            self.depth, self.level = 0, 0
        elif self.depth < self.level:
            self.level = BEHIND

    def _body(self, content: bytes = b"", fault: str = "") -> Body:
        self.number += 1
        return Body(f"{self.name}, record {self.number}", content, fault)

    def _forget(self) -> None:
        """Drop the bytes of values already read."""
        cut = self.start if self.start >= 0 else self.at
        self.left, self.at = self.left[cut:], self.at - cut
        self.start = min(self.start, 0)


# Read cassettes: recorded requests and answers as vcrpy writes them, in YAML.


MOST_BYTES = 100_000_000
#: Number of reasons kept per file, and listed for a folder without any answer.
MOST_REASONS, MOST_LINES = 5, 50


@dataclass(frozen=True)
class Interaction:
    """One request of a cassette with its answer; ``time`` is the Date of the answer, or ""."""

    address: str
    parameters: dict[str, str]
    time: str
    status: int
    body: bytes


def is_cassette(body: bytes) -> bool:
    """Return whether a file begins like a cassette.

    Examples
    --------
    >>> is_cassette(b"interactions:\\n- request:\\n"), is_cassette(b"{}")
    (True, False)
    """
    return body.startswith(b"interactions:")


def interactions(body: bytes, where: str) -> list[Interaction]:
    """Return the requests and answers of a cassette.

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


# Recognise a file by its content: the source, and the kind of request.


#: Source, kind of answer, and what looks it through.
Known = tuple[str, str, Look]

STUDY: Known = ("ctgov", "study", services.look_trial)
STUDIES: Known = ("ctgov", "search", services.look_trials)
PAPERS: Known = ("europepmc", "search", services.look_papers)
NUMBERS: Known = ("pubmed", "search", services.look_numbers)
SUMMARIES: Known = ("pubmed", "summary", services.look_summaries_json)
WORK: Known = ("crossref", "works", services.look_work)
WORKS: Known = ("crossref", "works", services.look_works)

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
    services.EXPORT_ROOT: ("ictrp", "export", services.look_export),
    "eSearchResult": ("pubmed", "search", services.look_numbers_xml),
    "eSummaryResult": ("pubmed", "summary", services.look_summaries),
    "PubmedArticleSet": ("pubmed", "record", services.look_records),
}


def recognised(body: bytes, where: str) -> tuple[str, str, Page]:
    """Return source and kind of an answer, after checking it.

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
        table = " (a table: download JSON instead)" if b"NCT Number" in start or b"NCTId" in start else ""
        raise RefusedAnswer(f"{shown(where)}: expected JSON or XML of a source, found something else{table}")
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
    """Return the answer of Crossref that an object is."""
    return {"work": WORK, "work-list": WORKS}.get(str(content.get("message-type")))


def _known_xml(body: bytes, where: str) -> Known:
    root = _root(body, where)
    if root not in XML_MARKS:
        raise RefusedAnswer(f"{shown(where)}: expected XML of a source, found the root {shown(root, 60)}{_why(root)}")
    return XML_MARKS[root]


def _root(body: bytes, where: str) -> str:
    """Return the name of the root element, read without the rest."""
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
    """Content of a folder.

    Attributes
    ----------
    answers : list of Answer
        In the order of the files' names.
    warnings : list of str
        What is odd about them.
    refused : dict of str
        Name of a file, or of a record in it -> why it is no answer.
    places : dict of str
        Number of a trial -> where it came first.
    """

    answers: list[Answer] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict, repr=False)


def replay(folder: Path, store: Store) -> Replayed:
    """Copy every answer in a folder (or in one file) into the store.

    Parameters
    ----------
    folder : Path
        A folder with its subfolders, one file, or a store, whose last snapshot is used. A file contains one
        answer, an array of answers, or one per line, possibly compressed with gzip, or is a cassette of vcrpy.
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
        raise SourceError(_nothing(folder, done.refused))
    return done


def _nothing(folder: Path, refused: Mapping[str, str]) -> str:
    """Return why nothing of a folder was taken, file by file."""
    names = {name.partition("#")[0] for name in refused}
    lines = [f"  {shown(name)}: {why}" for name, why in list(refused.items())[:MOST_LINES]]
    more = [f"  and {len(refused) - MOST_LINES:,} more"] if len(refused) > MOST_LINES else []
    count = f"{len(names):,} {'file' if len(names) == 1 else 'files'}"
    return "\n".join([f"{folder}: expected answers of a source, found none in {count}", *lines, *more])


def _copied(other: Store, store: Store) -> Replayed:
    snapshot = other.snapshot()
    for answer in snapshot.answers:
        facts = {name: value for name, value in vars(answer).items() if name not in ("sha256", "bytes")}
        store.keep(other.body(answer), **facts)
    return Replayed(list(snapshot.answers), list(snapshot.warnings))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the files to read, by their names in the folder, without hidden ones."""
    if folder.is_file():
        yield folder.name, folder
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_dir() and not any(part.startswith(".") for part in name.parts):
            yield os.fsencode(name.as_posix()).decode("utf-8", "backslashreplace"), path


def _take(name: str, path: Path, store: Store, done: Replayed) -> None:
    """Yield the answers of one file; raises RefusedAnswer if it contains none."""
    if not path.is_file():
        raise RefusedAnswer(f"{name}: expected a file, found something else")
    try:
        time = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}"
        with path.open("rb") as file:
            opened = _unzipped(file)
            head = opened.read(WHOLE)
            opened = io.BufferedReader(_Rest(head, opened), CHUNK)
            if head.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"["):
                _take_records(name, _Splitter(name).values(opened), time, store, done)
            elif _is_lines(head):
                _take_records(name, _lines(opened, name), time, store, done)
            else:
                _take_whole(name, _whole(name, opened), time, store, done)
    except (OSError, EOFError, zlib.error) as fault:
        found = getattr(fault, "strerror", None) or fault
        raise RefusedAnswer(f"{name}: expected a file that can be read, found {found}") from None


def _whole(name: str, file: io.BufferedReader) -> bytes:
    body = file.read(MOST_BYTES + 1)
    if len(body) > MOST_BYTES:
        raise RefusedAnswer(f"{name}: expected at most {MOST_BYTES:,} bytes, found more")
    if body.startswith(b"PK\x03\x04"):
        raise RefusedAnswer(f"{name}: expected an answer, found a zip archive: unpack it first")
    return body


def _take_whole(name: str, body: bytes, time: str, store: Store, done: Replayed) -> None:
    if is_cassette(body):
        _take_cassette(name, body, time, store, done)
        return
    _keep(store, done, body, name, time, name, {})


def _take_records(name: str, records: Iterator[Body], time: str, store: Store, done: Replayed) -> None:
    """Yield each record of an array, or of a file with one per line, as a separate answer: ``name#1``, ``name#2``."""
    refused: dict[str, str] = {}
    for number, one in enumerate(records, start=1):
        where = f"{name}#{number}"
        try:
            if one.fault:
                raise RefusedAnswer(one.fault)
            _keep(store, done, one.content, where, time, where, {})
        except RefusedAnswer as fault:
            refused[where] = str(fault).removeprefix(f"{shown(where)}: ")
    done.refused.update(list(refused.items())[:MOST_REASONS])
    if len(refused) > MOST_REASONS:
        done.refused[name] = f"{len(refused) - MOST_REASONS:,} more of its records were not taken"


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
    if source != "ctgov":  # the numbers of a PubMed search are in its records, too
        return
    for number in page.ids:
        if number and (before := done.places.setdefault(number, where)) != where:
            detail = f"{shown(where)}: {shown(number, 60)} came before in {shown(before)}"
            done.warnings.append(oddity(source, "duplicate record", detail))
