"""The client: who asks, how often, how long it waits, where it goes, and that no key comes back."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug import Request, Response

from cellclaims.errors import NetworkError, RefusedAnswer, SourceError
from cellclaims.registries import Client, Settings
from cellclaims.registries import client as client_module
from cellclaims.registries.client import (
    SERVICES,
    WHO,
    _check_peer,
    from_environment,
    next_wait,
    path_of,
    retry_after,
    shown,
)
from cellclaims.registries.services import papers_by_title, works_like

from . import registry_server
from .registry_server import broken_wire, quick, reply

made, only_loopback = registry_server.made, registry_server.only_loopback

KEY = "0123456789abcdef"


@pytest.fixture
def heard(made):
    """The requests that the made-up sources get, and what they answer: ``heard.answer = ...``."""

    class Heard(list):
        answer = staticmethod(lambda request: None)

    requests = Heard()

    def hear(request: Request) -> Response | None:
        requests.append(request)
        return requests.answer(request)

    made.fault = hear
    yield requests
    made.fault = None


def got(made, source="ctgov", path="/studies", parameters=None, **settings):
    """One answer of the made-up sources."""
    with Client(made.settings(**settings)) as client:
        return client.get(source, path, parameters or {})


# --- who asks ------------------------------------------------------------------------------------------------------


def test_every_request_says_who_asks(made, heard):
    got(made, contact="lab@example.org")
    agent = heard[0].headers["User-Agent"]
    assert agent.startswith("cellclaims/")
    assert agent.endswith(" (mailto:lab@example.org)")


def test_ncbi_gets_program_contact_and_key_and_nothing_of_it_comes_back(made, heard):
    found = got(made, "pubmed", "/esearch.fcgi", {"term": "islet"}, contact="lab@example.org", api_key=KEY)
    assert dict(heard[0].args) == {
        "term": "islet", "tool": "cellclaims", "email": "lab@example.org", "api_key": KEY
    }  # fmt: skip
    assert found.parameters == {"term": "islet"}
    assert KEY not in str((found.address, found.parameters, found.warnings))


def test_other_sources_get_no_key(made, heard):
    for source, path in (("ctgov", "/studies"), ("europepmc", "/search"), ("crossref", "/works/10.1000/1")):
        got(made, source, path, {"cursorMark": "*"}, api_key=KEY)
    assert all(KEY not in f"{request.full_path}{request.headers}" for request in heard)


def test_a_key_never_stands_in_an_error(made, heard):
    heard.answer = lambda request: reply(f"unknown key: {request.full_path} {{'api-key': '{KEY}'}}", 403)
    with pytest.raises(RefusedAnswer) as caught:
        got(made, "pubmed", "/esearch.fcgi", {"term": "islet"}, api_key=KEY)
    assert KEY not in str(caught.value)
    assert caught.value.status == 403


def test_a_key_never_stands_in_a_refused_redirect(made, heard):
    heard.answer = lambda request: reply("", 302, location=f"https://example.org{request.full_path}")
    with pytest.raises(RefusedAnswer, match=r"one to https://example\.org/pubmed") as caught:
        got(made, "pubmed", "/esearch.fcgi", {"term": "islet"}, api_key=KEY)
    assert KEY not in str(caught.value)


def test_a_key_that_a_redirect_repeats_is_not_stored(made, heard):
    heard.answer = lambda r: reply("", 302, location=f"{r.full_path}&moved=1") if "moved" not in r.args else None
    found = got(made, "pubmed", "/esearch.fcgi", {"term": "islet"}, api_key=KEY)
    assert found.parameters == {"term": "islet", "moved": "1"}
    assert "?" not in found.address


def test_settings_do_not_show_their_key():
    assert KEY not in repr(Settings(api_key=KEY))


def test_contact_and_key_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("CELLCLAIMS_CONTACT", " lab@example.org ")
    monkeypatch.setenv("NCBI_API_KEY", KEY)
    settings = from_environment()
    assert (settings.contact, settings.api_key) == ("lab@example.org", KEY)
    monkeypatch.delenv("CELLCLAIMS_CONTACT")
    assert from_environment().contact == ""


@pytest.mark.parametrize("contact", ["lab", "a@b.org\r\nX-Evil: 1", "a@b.org, c@d.org", "Lab <a@b.org>", "ä b@c.org"])
def test_a_contact_that_is_none_is_refused(contact):
    with pytest.raises(SourceError, match="CELLCLAIMS_CONTACT: expected an e-mail or web address"):
        Settings(contact=contact)


def test_a_key_that_is_none_is_refused_without_being_shown():
    with pytest.raises(SourceError, match="NCBI_API_KEY: expected letters and digits") as caught:
        Settings(api_key="secret&email=x")
    assert "secret" not in str(caught.value)


@given(key=st.text("0123456789abcdef", min_size=12, max_size=36), name=st.sampled_from(sorted(WHO - {"tool"})))
def test_whatever_the_key_a_message_hides_it(key, name):
    assert key not in shown(f'https://host/x?term=a&{name}={key}&b=1 and {{"{name}": "{key}"}}')


# --- limits --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", SERVICES)
def test_every_source_has_a_limit_and_its_document(source):
    one = SERVICES[source]
    assert 0 < one.per_second <= one.with_identity <= 10
    assert one.document


def test_requests_are_spread_within_the_limit(made):
    with Client(made.settings(per_second=10)) as client:
        start = time.monotonic()
        for _ in range(4):
            client.get("ctgov", "/studies", {})
    assert time.monotonic() - start >= 0.29


def test_every_retry_and_every_redirect_counts_within_the_limit(made, heard, monkeypatch):
    permits = []

    class Counting:
        try_acquire = permits.append

    monkeypatch.setattr(Client, "_limiter", lambda self, source: Counting)
    heard.answer = lambda request: reply("busy", 503) if len(heard) < 3 else None
    got(made, path="/studies/NCT90000001", attempts=3)
    assert permits == ["ctgov"] * len(heard) == ["ctgov"] * 4


@pytest.mark.parametrize(
    ("source", "settings", "expected"),
    [
        ("pubmed", {}, 334),
        ("pubmed", {"api_key": KEY}, 100),
        ("crossref", {}, 200),
        ("crossref", {"contact": "a@b.org"}, 100),
        ("ctgov", {"contact": "a@b.org"}, 1000),
    ],
)
def test_a_key_or_a_contact_opens_the_higher_limit(source, settings, expected):
    limiter = Client(Settings(**settings))._limiter(source)
    rate = limiter.bucket_factory.bucket.rates[0]
    assert (rate.limit, rate.interval) == (1, pytest.approx(expected, abs=1))


# --- waiting -------------------------------------------------------------------------------------------------------


def test_retry_after_is_heeded(made, heard, monkeypatch):
    waits = []
    monkeypatch.setattr(client_module, "next_wait", lambda fault: waits.append(next_wait(fault)) or 0.0)
    heard.answer = lambda request: reply("slow down", 429, retry_after="7") if len(heard) == 1 else None
    assert got(made).status == 200
    assert waits == [7.0]


def test_who_asks_for_a_longer_wait_than_the_cap_is_left_alone(made, heard):
    heard.answer = lambda request: reply("slow down", 503, retry_after="121")
    with pytest.raises(NetworkError, match=r"status 503 asks to wait 121 s, more than 120: pull later"):
        got(made, attempts=5)
    assert len(heard) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422])
def test_a_refusal_is_not_tried_again(made, heard, status):
    heard.answer = lambda request: reply("no", status)
    with pytest.raises(RefusedAnswer, match=f"found status {status}: no"):
        got(made, attempts=5)
    assert len(heard) == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_fault_is_tried_again_and_given_up(made, heard, status):
    heard.answer = lambda request: reply("busy", status)
    with pytest.raises(NetworkError, match=f"found status {status}: busy, 3 times"):
        got(made, attempts=3)
    assert len(heard) == 3


@given(text=st.text(max_size=40))
def test_no_retry_after_breaks_the_reading(text):
    wait = retry_after(text, datetime(2026, 11, 20, tzinfo=UTC))
    assert wait is None or wait >= 0


def test_no_network_is_a_clear_error():
    expected = r"127\.0\.0\.1:9/studies: expected an answer, found no connection \(.*\), 2 times"
    with Client(quick(bases={"ctgov": "http://127.0.0.1:9"})) as client, pytest.raises(NetworkError, match=expected):
        client.get("ctgov", "/studies", {})


def test_without_a_network_only_the_first_source_is_waited_for(made):
    nowhere = dict.fromkeys(("ctgov", "pubmed"), "http://127.0.0.1:9")
    with Client(quick(bases={**made.settings().bases, **nowhere})) as client:
        for source, times in (("ctgov", ", 2 times"), ("pubmed", ""), ("europepmc", None), ("ctgov", ", 2 times")):
            if times is None:
                client.get(source, "/search", {"cursorMark": "*"})
                continue
            with pytest.raises(NetworkError, match=rf"no connection \(.*\){times}\Z"):
                client.get(source, "/x", {})


def test_retries_say_nothing_on_the_terminal(made, heard, capfd):
    heard.answer = lambda request: reply("busy", 503) if len(heard) == 1 else None
    found = got(made)
    assert found.warnings == (f"answered after retries: {made.base}/ctgov/studies: status 503: busy",)
    assert capfd.readouterr().err == ""


# --- hosts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "base", ["https://example.org", "http://clinicaltrials.gov", "http://10.0.0.1", "http://127.0.0.1.evil.org"]
)
def test_no_base_but_the_source_itself_and_loopback(base):
    with pytest.raises(SourceError, match=r"expected https://clinicaltrials\.gov or an address on this computer"):
        Client(Settings(bases={"ctgov": base})).get("ctgov", "/studies", {})


def test_an_unknown_source_is_refused():
    with pytest.raises(SourceError, match="one of ctgov, europepmc, pubmed, crossref; found 'ictrp'"):
        Client().get("ictrp", "/", {})


class Answered:
    """What the client looks at to know the computer at the other end."""

    def __init__(self, peer):
        self.extensions = {"network_stream": self}
        self.peer = peer

    def get_extra_info(self, name):
        return self.peer if name == "server_addr" else None


@pytest.mark.parametrize("peer", ["10.1.2.3", "127.0.0.1", "169.254.169.254", "::1", "fe80::1%eth0", "192.168.1.1"])
def test_a_public_name_that_leads_to_a_private_address_is_refused(peer):
    with pytest.raises(RefusedAnswer, match=f"expected a public address, found the private {peer}"):
        _check_peer(Answered((peer, 443)), "https://clinicaltrials.gov/api/v2/studies")


def test_a_public_name_at_a_public_address_is_taken():
    _check_peer(Answered(("130.14.29.110", 443)), "https://clinicaltrials.gov/api/v2/studies")
    _check_peer(Answered(None), "https://clinicaltrials.gov/api/v2/studies")


@given(part=st.text(min_size=1, max_size=30).filter(lambda text: text.isprintable()))
def test_a_number_cannot_lead_to_another_path(part):
    path = path_of("works", part)
    assert path.count("/") == 2
    assert not set("?#\\ ") & set(path)


def test_a_redirect_to_the_study_of_an_alias_is_followed(made):
    found = got(made, path="/studies/NCT90000001")
    assert found.address == f"{made.base}/ctgov/studies/NCT00000001"
    assert b'"NCT00000001"' in found.body


def test_public_sources_are_reached_through_the_proxy_of_the_environment(monkeypatch):
    first_lines = []
    with broken_wire(lambda n: [b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"], first_lines) as (address, _):
        monkeypatch.setenv("https_proxy", address)
        with Client(from_environment(attempts=1)) as client, pytest.raises(NetworkError, match=r"found .*403"):
            client.get("ctgov", "/studies", {})
    assert first_lines == [b"CONNECT clinicaltrials.gov:443 HTTP/1.1"]


@pytest.mark.parametrize("proxy", ["ftp://user:secret@host", "secret:99999999"])
def test_a_proxy_that_is_none_is_refused_without_being_shown(proxy):
    with Client(Settings(proxy=proxy)) as client, pytest.raises(SourceError, match="HTTPS_PROXY: expected") as caught:
        client.get("ctgov", "/studies", {})
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(Settings(proxy=proxy))


# --- the cache -----------------------------------------------------------------------------------------------------


def etag(request: Request, encoding: str = "") -> Response:
    """An answer that may be kept and asked about: unchanged if its tag is sent."""
    if request.headers.get("If-None-Match") == '"one"':
        return Response("", 304, {"ETag": '"one"'})
    body = gzip.compress(b'{"studies": []}') if encoding else '{"studies": []}'
    return reply(body, etag='"one"', cache_control="max-age=3600", content_encoding=encoding or "identity")


@pytest.mark.parametrize("encoding", ["", "gzip"])
def test_an_unchanged_answer_is_not_sent_again(made, heard, tmp_path, encoding):
    heard.answer = lambda request: etag(request, encoding)
    cache = tmp_path / "cache.sqlite"
    bodies = [got(made, cache=cache).body for _ in range(3)]
    assert bodies == [b'{"studies": []}'] * 3
    tags = [request.headers.get("If-None-Match") for request in heard]
    assert tags == [None, '"one"', '"one"'], "asked every time, sent once"


def test_an_answer_that_is_too_large_does_not_reach_the_cache(made, heard, tmp_path):
    heard.answer = lambda request: reply("a" * 1000, etag='"one"', cache_control="max-age=3600")
    for _ in range(2):
        with pytest.raises(RefusedAnswer, match="expected at most 999 bytes, found 1,000"):
            got(made, cache=tmp_path / "cache.sqlite", most_bytes=999)
    assert [request.headers.get("If-None-Match") for request in heard] == [None, None]


def test_no_key_reaches_the_cache(made, heard, tmp_path):
    heard.answer = etag
    cache = tmp_path / "cache.sqlite"
    got(made, "pubmed", "/esearch.fcgi", {"term": "a"}, cache=cache, api_key=KEY)
    got(made, "pubmed", "/esearch.fcgi", {"term": "a"}, cache=cache, api_key=KEY)
    assert len(heard) == 2
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.iterdir())


def test_a_damaged_cache_costs_no_answer_and_no_word(made, tmp_path, capfd):
    (tmp_path / "cache.sqlite").write_text("no database, and long enough to be looked at as one" * 30)
    assert got(made, cache=tmp_path / "cache.sqlite").status == 200
    assert capfd.readouterr().err == ""


# --- for resolve ---------------------------------------------------------------------------------------------------


def test_candidates_of_a_reference(made, heard):
    works = {"total-results": 1, "items": [{"DOI": "10.1000/1", "title": ["Islets"]}, "odd"]}
    heard.answer = lambda request: reply({"status": "ok", "message-type": "work-list", "message": works})
    with Client(made.settings()) as client:
        answer, found = works_like(client, "Shapiro, Islets & cells, 2006", rows=3)
    assert [work["DOI"] for work in found] == ["10.1000/1"]
    assert answer.parameters == {"query.bibliographic": "Shapiro, Islets & cells, 2006", "rows": "3"}


def test_papers_by_title_leave_out_the_signs_of_the_query_language(made, heard):
    papers = {"version": "6.9", "hitCount": 1, "resultList": {"result": [{"id": "1", "source": "MED"}]}}
    heard.answer = lambda request: reply(papers)
    with Client(made.settings()) as client:
        answer, found = papers_by_title(client, 'Islets: "a trial" (NOT) AND/OR x) OR SRC:*')
    assert found == [{"id": "1", "source": "MED"}]
    assert answer.parameters["query"] == "TITLE:(Islets a trial NOT AND OR x OR SRC)"


def test_importing_the_package_opens_nothing_heavy():
    code = (
        "import sys; from cellclaims.registries import Store; print({'httpx', 'hishel', 'stamina'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"
