"""Public sources made up on loopback: whole sites that answer as the real ones do, and servers that break the wire.

Shapes are those of the official description of ClinicalTrials.gov (a test holds them against it) and of recorded
answers of the others. Every server listens on 127.0.0.1 alone.
"""

from __future__ import annotations

import gzip
import json
import logging
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from cellclaims.registries.client import Settings
from cellclaims.registries.services import Wanted

#: Answers one request; None leaves it to the site.
Handler = Callable[[Request], Response | None]
JSON = "application/json"


def study(number: int, **changes: object) -> dict:
    """A study of version 2 with posted results; ``changes`` replace or (None) drop what stands at its top."""
    nct = f"NCT{number:08d}"
    made = {
        "protocolSection": {
            "identificationModule": {"nctId": nct, "briefTitle": f"Islets, trial {number}"},
            "statusModule": {
                "overallStatus": "COMPLETED",
                "startDateStruct": {"date": "2019-05", "type": "ACTUAL"},
                "resultsFirstPostDateStruct": {"date": "2024-03-01", "type": "ACTUAL"},
            },
            "designModule": {"studyType": "INTERVENTIONAL", "enrollmentInfo": {"count": 20, "type": "ACTUAL"}},
        },
        "resultsSection": {
            "outcomeMeasuresModule": {"outcomeMeasures": [{"type": "PRIMARY", "title": "Insulin independence"}]}
        },
        "hasResults": True,
    }
    return {key: value for key, value in {**made, **changes}.items() if value is not None}


def titled(number: int, title: str) -> dict:
    """A study with another title."""
    made = study(number)
    made["protocolSection"]["identificationModule"]["briefTitle"] = title
    return made


def studies_page(studies: list, token: str = "", total: int | None = None) -> dict:
    """A page of a search."""
    return (
        {"studies": studies}
        | ({"nextPageToken": token} if token else {})
        | ({"totalCount": total} if total is not None else {})
    )


def reply(content: object, status: int = 200, **headers: str) -> Response:
    """JSON, text or bytes as an answer; ``retry_after="3"`` becomes the header Retry-After."""
    body = content if isinstance(content, str | bytes) else json.dumps(content)
    kind = JSON if not isinstance(content, str | bytes) else "text/html"
    named = {name.replace("_", "-").title(): value for name, value in headers.items()}
    return Response(body, status, {"Content-Type": kind, **named})


def gzipped(content: object) -> Response:
    """JSON, compressed."""
    return Response(
        gzip.compress(json.dumps(content).encode()), 200, {"Content-Type": JSON, "Content-Encoding": "gzip"}
    )


#: The trials of the made-up registry: three pages of two.
TRIALS = {f"NCT{n:08d}": study(n) for n in range(1, 6)}
EMPTY_ESEARCH = {"header": {"type": "esearch"}, "esearchresult": {"count": "0", "retmax": "0", "idlist": []}}


def ctgov_site(request: Request) -> Response:
    """ClinicalTrials.gov: two studies a page, single studies, an alias that sends to the study."""
    name = request.path.rpartition("/")[2]
    if name == "studies":
        start = int(request.args.get("pageToken", "p0").removeprefix("p"))
        part = list(TRIALS.values())[start : start + 2]
        token = f"p{start + 2}" if start + 2 < len(TRIALS) else ""
        return reply(studies_page(part, token, len(TRIALS) if request.args.get("countTotal") else None))
    if name == "NCT90000001":  # an older number of the first study
        return reply("", 301, location=f"{request.path.rpartition('/')[0]}/NCT00000001")
    return reply(TRIALS[name]) if name in TRIALS else reply("NCT number not found", 404)


def paper(number: int) -> dict:
    """A paper of Europe PMC (core)."""
    return {"id": str(number), "source": "MED", "pmid": str(number), "title": f"Islets {number}.", "pubYear": "2020"}


def papers_page(numbers: Iterable[int], token: str, total: int) -> dict:
    """A page of Europe PMC."""
    found = {"version": "6.9", "hitCount": total, "resultList": {"result": [paper(n) for n in numbers]}}
    return found | ({"nextCursorMark": token} if token else {})


def europepmc_site(request: Request) -> Response:
    """Europe PMC: three papers on two pages."""
    first = request.args["cursorMark"] == "*"
    return reply(papers_page([1, 2] if first else [3], "next" if first else "", 3))


ARTICLE = "<PubmedArticle><MedlineCitation><PMID>{0}</PMID></MedlineCitation></PubmedArticle>"


def articles(*numbers: object) -> str:
    """An efetch answer."""
    return f"<PubmedArticleSet>{''.join(map(ARTICLE.format, numbers))}</PubmedArticleSet>"


def pubmed_site(request: Request) -> Response:
    """PubMed: a search of two papers, and their records."""
    if request.path.endswith("esearch.fcgi"):
        return reply({"esearchresult": {"count": "2", "retmax": "2", "retstart": "0", "idlist": ["11", "12"]}})
    return Response(articles(*request.args["id"].split(",")), 200, {"Content-Type": "text/xml"})


def crossref_site(request: Request) -> Response:
    """Crossref: every DOI of its own prefix has a work."""
    doi = request.path.partition("/works/")[2]
    if not doi.startswith("10.1000/"):
        return reply("Resource not found.", 404)
    return reply({"status": "ok", "message-type": "work", "message": {"DOI": doi, "title": [f"Work {doi}"]}})


SITES = {"ctgov": ctgov_site, "europepmc": europepmc_site, "pubmed": pubmed_site, "crossref": crossref_site}

QUERIES = {
    "ctgov": {"islets": {"query.cond": "diabetes"}},
    "europepmc": {"islets": {"query": "islet"}},
    "pubmed": {"islets": {"term": "islet"}},
    "crossref": {},
}


def wanted(**changes: object) -> dict[str, Wanted]:
    """What every source is asked for in tests."""
    return {source: Wanted(queries, **changes) for source, queries in QUERIES.items()}


class Sources:
    """All made-up sources on one server; ``fault`` may answer a request instead of the site."""

    def __init__(self, server: HTTPServer) -> None:
        self.server, self.fault, self.asked = server, None, []
        self.base = f"http://127.0.0.1:{server.port}"
        for source, site in SITES.items():
            server.expect_request(re.compile(f"/{source}/.*")).respond_with_handler(self._handler(site))

    def _handler(self, site: Handler) -> Handler:
        def handle(request: Request) -> Response:
            self.asked.append(request.full_path)
            return (self.fault and self.fault(request)) or site(request)

        return handle

    def settings(self, **changes: object) -> Settings:
        """Quick settings that ask this server."""
        bases = {source: f"{self.base}/{source}" for source in SITES}
        return quick(bases=bases, **changes)


def quick(**changes: object) -> Settings:
    """Settings that wait hardly at all."""
    usual = {"attempts": 2, "first_wait": 0.01, "longest_wait": 0.02, "per_second": 1000, "silence": 2.0, "whole": 5.0}
    return Settings(**{**usual, **changes})


# A line for each request would bury what a failed test says.
logging.getLogger("werkzeug").setLevel(logging.ERROR)


@contextmanager
def sources() -> Iterator[Sources]:
    """The made-up sources, listening."""
    with HTTPServer(host="127.0.0.1", port=0) as server:
        yield Sources(server)


#: What a broken server sends to one request: bytes, or seconds to wait.
Wire = Iterable[bytes | float]


@contextmanager
def broken_wire(wire: Callable[[int], Wire], heard: list[bytes] | None = None) -> Iterator[tuple[str, list[int]]]:
    """A server that sends ``wire(n)`` to the nth request and hangs up: its address, and how many bytes it sent.

    The first lines of the requests are appended to ``heard``.
    """
    sent: list[int] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            first = self.rfile.readline().strip()
            if heard is not None:
                heard.append(first)
            while self.rfile.readline().strip():
                pass
            sent.append(0)
            try:
                for part in wire(len(sent)):
                    if isinstance(part, bytes):
                        self.wfile.write(part)
                        sent[-1] += len(part)
                    else:
                        time.sleep(part)
            except OSError:  # the client hung up
                pass

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads, block_on_close = True, False

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", sent
        finally:
            server.shutdown()
            thread.join()


def head(*headers: str) -> bytes:
    """The start of a sound answer."""
    return "\r\n".join(["HTTP/1.1 200 OK", "Content-Type: application/json", *headers, "", ""]).encode()


@pytest.fixture(autouse=True)
def only_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test that imports this reaches another computer: a connection elsewhere is an error of the test."""
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def checked_name(host: str, *others: object, **more: object) -> list:
        assert host in ("127.0.0.1", "::1", "localhost"), f"a look-up of {host}"
        return look_up(host, *others, **more)

    def checked(self: socket.socket, address: tuple) -> None:
        assert self.family == socket.AF_UNIX or address[0] in ("127.0.0.1", "::1"), f"a connection to {address}"
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", checked)
    monkeypatch.setattr(socket, "getaddrinfo", checked_name)


@pytest.fixture(scope="module")
def made() -> Iterator[Sources]:
    """The made-up sources of one test file."""
    with sources() as listening:
        yield listening
