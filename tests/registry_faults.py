"""Every fault and abuse that a source can be guilty of: how to make it, and what a pull makes of it.

Each case is a whole pull against the made-up sources, with a complete snapshot already in the store. What it produced
(an error, a warning, or nothing) is the table of docs/appendix_faults.md, written by
``benchmarks/faults.py`` and checked by
``test_sources_faults.py``.
"""

from __future__ import annotations

import gzip
import itertools
import json
import re
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

from werkzeug import Request, Response

from cellclaims.registries import Client, Pulled, Snapshot, Store, pull
from cellclaims.registries.client import Settings

from .registry_server import (
    Sources,
    Wire,
    articles,
    broken_wire,
    gzipped,
    head,
    papers_page,
    reply,
    studies_page,
    study,
    titled,
    wanted,
)

#: Small limits, so that what is too large is soon there.
LIMIT = 1_000_000


@dataclass(frozen=True)
class Case:
    """One fault: who is guilty, how it is made, and what must come of it.

    ``fault`` answers a request in place of the site (None: the site answers); it is given the request and how many
    came before. ``wire`` breaks the connection itself. ``outcome`` is "error", "warning" or "kept".
    """

    name: str
    outcome: str
    fault: Callable[[Request, int], Response | None] | None = None
    wire: Callable[[int], Wire] | None = None
    source: str = "ctgov"
    settings: tuple[tuple[str, object], ...] = ()
    registrations: tuple[str, ...] = ()


def page(*studies: object, **others: object) -> Callable[[Request, int], Response]:
    """The search answers with one page of these studies."""
    content = studies_page(list(studies), **others)
    return lambda request, n: reply(content)


def body(text: str | bytes, kind: str = "application/json") -> Callable[[Request, int], Response]:
    """Every answer has this body."""
    return lambda request, n: Response(text, 200, {"Content-Type": kind})


def status(code: int, times: int = 99, **headers: str) -> Callable[[Request, int], Response | None]:
    """The first ``times`` answers have this status."""
    return lambda request, n: reply(f"status {code}", code, **headers) if n < times else None


def at_http(later: timedelta) -> str:
    """A moment as HTTP writes it."""
    return format_datetime(datetime.now(UTC) + later, usegmt=True)


def dated(moment: str) -> bytes:
    """A sound head with a Date."""
    return head(f"Content-Length: {len(SOUND)}", f"Date: {moment}")


def sent_to(location: str) -> bytes:
    """A redirect to what a sound server would not send."""
    return f"HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n".encode()


def soon(request: Request, n: int) -> Response | None:
    """429 with a date two seconds ahead, once."""
    return reply("slow down", 429, retry_after=at_http(timedelta(seconds=2))) if n == 0 else None


def paged(*pages: dict) -> Callable[[Request, int], Response]:
    """One page after the other, the last for ever."""
    return lambda request, n: reply(pages[min(n, len(pages) - 1)])


def only_records(text: str) -> Callable[[Request, int], Response | None]:
    """PubMed's records have this body."""
    return lambda request, n: Response(text, 200) if "efetch" in request.path else None


def kilobytes(count: int) -> Wire:
    """A sound head and so many kB without end of the JSON."""
    yield head("Connection: close") + b'{"studies": ["'
    for _ in range(count):
        yield b"a" * 1000


SOUND = json.dumps(studies_page([study(1)])).encode()
ZIPPED = gzip.compress(SOUND)
BOMB = gzip.compress(b'{"studies": [' + b" " * 200_000_000 + b"]}")
TWO = [study(1), study(2)]
BOMB_XML = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<PubmedArticleSet>&b;</PubmedArticleSet>"
)
OUTSIDE_XML = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><PubmedArticleSet>&a;</PubmedArticleSet>'


def deep(levels: int) -> str:
    """Lists in lists where a study was due."""
    return '{"studies": [' + "[" * levels + "]" * levels + "]}"


def misfit(path: str, value: object) -> dict:
    """A study with another value at a dotted path."""
    made = json.loads(json.dumps(study(1)))
    *inner, last = path.split(".")
    place = made
    for name in inner:
        place = place[name]
    place[last] = value
    return made


CASES = [
    # the wire
    Case("no byte for too long", "error", wire=lambda n: [0.4], settings=(("silence", 0.15),)),
    Case("bytes that trickle for ever", "error", settings=(("whole", 0.2),),
         wire=lambda n: [head("Connection: close"), *[b" ", 0.05] * 12]),
    Case("connection dropped", "error", wire=lambda n: []),
    Case("answer cut short", "error", wire=lambda n: [head(f"Content-Length: {len(SOUND)}"), SOUND[:-9]]),
    Case("answer cut short, no length given", "error", wire=lambda n: [head("Connection: close"), SOUND[:-9]]),
    Case("chunks broken", "error",
         wire=lambda n: [head("Transfer-Encoding: chunked"), b"5\r\n{\"stu\r\nZZ\r\ndies"]),
    Case("compression broken", "error",
         wire=lambda n: [head("Content-Encoding: gzip", "Connection: close"), ZIPPED[:20] + b"\0" * 40]),
    Case("compression cut short", "error",
         wire=lambda n: [head("Content-Encoding: gzip", "Connection: close"), ZIPPED[:-12]]),
    Case("compression that was not asked for (br)", "error",
         wire=lambda n: [head("Content-Encoding: br", "Connection: close"), b"\x0b\x02"]),
    Case("no HTTP at all", "error", wire=lambda n: [b"SSH-2.0-OpenSSH_9.2\r\n"]),
    Case("200 MB, length given", "error", settings=(("most_bytes", LIMIT),),
         wire=lambda n: [head("Content-Length: 200000000"), b'{"studies": [']),
    Case("200 MB, no length given", "error", wire=lambda n: kilobytes(200_000), settings=(("most_bytes", LIMIT),)),
    Case("200 MB in 200 kB of gzip", "error", settings=(("most_bytes", LIMIT),),
         wire=lambda n: [head("Content-Encoding: gzip", f"Content-Length: {len(BOMB)}"), BOMB]),
    Case("a length of 5,000 digits", "error", wire=lambda n: [head(f"Content-Length: {'9' * 5000}"), SOUND]),
    Case("a length that is no number", "error", wire=lambda n: [head("Content-Length: many"), SOUND]),
    Case("a header of 1 MB", "error", wire=lambda n: [head(f"X-Long: {'a' * 1_000_000}"), SOUND]),
    # statuses
    Case("301 of an alias number", "kept", registrations=("NCT90000001",)),
    Case("302 to another host", "error", lambda request, n: reply("", 302, location="https://example.org/api")),
    Case("302 to a private address", "error", lambda request, n: reply("", 302, location="http://169.254.169.254/key")),
    Case("302 to an address that is none", "error", wire=lambda n: [sent_to("http://[::1")]),
    Case("302 to a port that is none", "error", wire=lambda n: [sent_to("http://a:99999999/")]),
    Case("302 to a file", "error", lambda request, n: reply("", 302, location="file:///etc/passwd")),
    Case("redirects without end", "error", lambda request, n: reply("", 302, location=request.path)),
    Case("400", "error", status(400)),
    Case("403", "error", status(403)),
    Case("404 of a search", "error", status(404)),
    Case("404 of a known number", "warning", registrations=("NCT99999999",)),
    Case("429, then an answer", "warning", status(429, times=1)),
    Case("429 with Retry-After: 1", "warning", status(429, times=1, retry_after="1")),
    Case("429 with Retry-After as a date", "warning", soon),
    Case("429 with Retry-After: 86400", "error", status(429, retry_after="86400")),
    Case("429 for ever", "error", status(429)),
    Case("500, then an answer", "warning", status(500, times=1)),
    Case("500 for ever", "error", status(500)),
    Case("503 for ever", "error", status(503)),
    Case("204, no content", "error", lambda request, n: Response("", 204)),
    # shapes
    Case("a page of HTML", "error", body("<!DOCTYPE html><title>Maintenance</title>", "text/html")),
    Case("no byte at all", "error", body("")),
    Case("JSON that ends early", "error", body('{"studies": [')),
    Case("JSON with NaN", "error", body('{"studies": [], "totalCount": NaN}')),
    Case("text that is not UTF-8", "error", body(b'{"studies": ["\xff\xfe"]}')),
    Case("a list for an object", "error", body("[]")),
    Case("no list of studies", "error", body('{"results": []}')),
    Case("studies of another type", "error", body('{"studies": {"1": {}}}')),
    Case("token of another type", "error", body('{"studies": [], "nextPageToken": 7}')),
    Case("total of another type", "error", body('{"studies": [], "totalCount": "3"}')),
    Case("a record that is no object", "warning", page(study(1), "NCT00000002")),
    Case("a record without its number", "warning", page(study(1), misfit("protocolSection", {}))),
    Case("a record with another type", "warning",
         page(misfit("protocolSection.designModule.enrollmentInfo.count", "20"))),
    Case("a record with fields nobody knows", "warning", page(study(1, newSection={}))),
    Case("results announced as text", "warning", page(misfit("hasResults", "yes"))),
    Case("nesting of 100,000 levels", "error", body(deep(100_000))),
    Case("nesting of 150 levels", "error", body(deep(150))),
    Case("a bare NUL", "error", body('{"studies": ["\0"]}')),
    Case("NUL as an escape", "warning", page(titled(1, "Islets\0"))),
    Case("half a character as an escape", "warning", page(titled(1, "Islets \ud800"))),
    Case("signs that turn writing", "warning", page(titled(1, "Islets \u202etnemtaert"))),
    Case("Arabic and Hebrew titles", "kept", page(titled(1, "زراعة الجزر"), titled(2, "השתלת איים"))),
    Case("<script> in a title", "warning", page(titled(1, "<script>alert(1)</script>"))),
    Case("a formula in a title", "warning", page(titled(1, "=cmd|'/C calc'!A0"))),
    Case("a byte order mark", "kept", body(b"\xef\xbb\xbf" + SOUND)),
    Case("a compressed answer", "kept", lambda request, n: gzipped(studies_page(TWO))),
    # pages
    Case("a token that comes back", "error",
         paged(studies_page([study(1)], "a"), studies_page([study(2)], "b"), studies_page([study(3)], "a"))),
    Case("a page twice", "warning", paged(studies_page(TWO, "a", 2), studies_page(TWO))),
    Case("a record twice", "warning", paged(studies_page(TWO, "a", 3), studies_page([study(2), study(3)]))),
    Case("fewer records than announced", "warning", page(study(1), total=7)),
    Case("a total that changes", "warning", paged(papers_page([1, 2], "a", 3), papers_page([3], "", 4)),
         source="europepmc"),
    Case("an empty page in between", "kept",
         paged(studies_page([study(1)], "a", 2), studies_page([], "b"), studies_page([study(2)]))),
    Case("a cursor that stays on the last page", "kept",
         paged(papers_page([1, 2], "a", 3), papers_page([3], "a", 3)), source="europepmc"),
    # clocks
    Case("a clock two days ahead", "warning", wire=lambda n: [dated(at_http(timedelta(hours=48))), SOUND]),
    Case("a date that is none", "kept", wire=lambda n: [dated("yesterday"), SOUND]),
    # E-utilities
    Case("NCBI over its limit, status 200", "error", source="pubmed",
         fault=lambda r, n: reply({"error": "API rate limit exceeded", "api-key": "0123456789abcdef", "limit": "3"})),
    Case("NCBI that sends the key back", "error", source="pubmed", settings=(("api_key", "0123456789abcdef"),),
         fault=lambda r, n: reply(f"bad request: {r.full_path}", 400)),
    Case("records that were not asked for", "warning", only_records(articles(11, 99)), source="pubmed"),
    Case("a number that is none", "warning", source="pubmed",
         fault=lambda r, n: reply({"esearchresult": {"count": "2", "idlist": ["11", "x' OR 1"]}}) if n == 0 else None),
    Case("more than 10,000 papers", "warning", source="pubmed", fault=lambda r, n: reply(
        {"esearchresult": {"count": "40362", "idlist": ["11"] if n == 0 else []}}) if "esearch" in r.path else None),
    Case("entities that swell", "error", only_records(BOMB_XML), source="pubmed"),
    Case("an entity from outside", "error", only_records(OUTSIDE_XML), source="pubmed"),
    Case("XML that ends early", "error", only_records("<PubmedArticleSet><PubmedArticle>"), source="pubmed"),
    Case("XML nested 10,000 levels", "error", source="pubmed",
         fault=only_records("<PubmedArticleSet>" + "<a>" * 10_000 + "</a>" * 10_000 + "</PubmedArticleSet>")),
    Case("HTML where XML was due", "error", only_records("<html><body>busy</body></html>"), source="pubmed"),
]  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """What a case came to.

    ``done`` is the pull, ``says`` what it says in words, ``names`` the snapshots after it, ``sent`` how many bytes a
    broken server got rid of, ``healed`` the pull after the source was sound again.
    """

    done: Pulled
    says: str
    names: list[str]
    sent: int
    healed: Pulled


#: What was in force before the fault.
BEFORE = "20260101T000000Z"


def stored(folder: Path) -> Store:
    """A store with one complete snapshot of one answer."""
    store = Store(folder)
    day = "2026-01-01T00:00:00Z"
    facts = {"kind": "search", "address": "before", "parameters": {}, "time": day, "status": 200}
    kept = store.keep(SOUND, source="ctgov", **facts)
    store.add(Snapshot(BEFORE, day, day, "pull", (kept,)))
    return store


def run(case: Case, store: Store, made: Sources) -> Outcome:
    """One case: a pull with the fault, and one after the source has healed."""
    settings, count = made.settings(**dict(case.settings)), itertools.count()
    try:
        made.fault = (lambda request: case.fault(request, next(count))) if case.fault else None
        with broken_wire(case.wire) if case.wire else nullcontext((None, [])) as (address, sent):
            broken = replace(settings, bases={**settings.bases, case.source: address}) if address else settings
            done = pull_one(store, case.source, broken, case.registrations)
    finally:
        made.fault = None
    names = store.names()
    return Outcome(done, says(done, case.source), names, sum(sent), pull_one(store, case.source, made.settings()))


def pull_one(store: Store, source: str, settings: Settings, registrations: tuple[str, ...] = ()) -> Pulled:
    """A pull of one source."""
    with Client(settings) as client:
        return pull(store, wanted(registrations=registrations), client, [source])


def says(done: Pulled, source: str) -> str:
    """An error, the warnings, or what was kept, without what differs from run to run."""
    if done.failed:
        return without_run("; ".join(done.failed.values()))
    own = [warning.partition(": ")[2] for warning in done.snapshot.warnings if warning.startswith(f"{source}:")]
    return without_run("; ".join(own)) or "nothing: kept as it came"


def without_run(text: str) -> str:
    """A message without ports, moments and the wording of libraries' own positions.

    >>> without_run("http://127.0.0.1:40123/ctgov/studies says 2026-11-22 13:40 UTC")
    'HOST/studies says DATE UTC'
    """
    text = re.sub(r"http://127\.0\.0\.1:\d+(/(?:ctgov|europepmc|pubmed|crossref)\b)?", "HOST", text)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d", "DATE", text)


def table(outcomes: dict[Case, Outcome]) -> str:
    """The cases as a Markdown table."""
    rows = [f"| {cell_text(case.name)} | {case.outcome} | {cell(outcome.says)} |" for case, outcome in outcomes.items()]
    return "\n".join(["| fault | outcome | what the pull says |", "|---|---|---|", *rows])


def cell_text(text: str) -> str:
    """A name as a cell of Markdown: nothing in it is markup."""
    return text.replace("<", "&lt;").replace("|", "\\|")


def cell(text: str) -> str:
    """A message as a cell of Markdown, as it would be read."""
    return f"`{text.replace('|', chr(92) + '|').replace('`', chr(39))}`"
