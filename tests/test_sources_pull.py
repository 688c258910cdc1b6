"""A pull: complete or not at all, resumed where it was cut off, and clear about what failed."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from cellclaims import protocol
from cellclaims.cli import main
from cellclaims.errors import ProtocolError, RefusedAnswer, SourceError
from cellclaims.registries import SOURCES, Client, Store, answers, pull, pull_folder
from cellclaims.registries import store as stores
from cellclaims.registries.answers import KINDS, Page, oddity
from cellclaims.registries.pull import PULLS, Order, known_numbers, run
from cellclaims.registries.pull import wanted as wanted_of

from . import registry_server
from .registry_server import TRIALS, quick, reply, sources, study, wanted

made, only_loopback = registry_server.made, registry_server.only_loopback

#: The module; the package has a function of the same name.
pulling = import_module("cellclaims.registries.pull")

ROOT = Path(__file__).resolve().parent.parent
DOIS = ("10.1000/a", "10.1000/b?c#d", "10.9999/gone")
ALL = {"registrations": ("NCT00000001", "NCT90000001"), "dois": DOIS}


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "registry")


@pytest.fixture
def asked(made):
    """Addresses that the made-up sources were asked for in this test; ``made.fault`` is put back after it."""
    made.asked.clear()
    yield made.asked
    made.fault = None


def pulled(store, made, only=(), **settings):
    """A pull from the made-up sources."""
    with Client(made.settings(**settings)) as client:
        return pull(store, wanted(**ALL), client, only)


def sums(snapshot, source):
    """What a snapshot holds of a source, whatever the order and the time."""
    return sorted((one.address, tuple(one.parameters.items()), one.sha256) for one in snapshot.of(source))


# --- a whole pull --------------------------------------------------------------------------------------------------


def test_every_source_is_asked_for_what_is_wanted(store, made, asked):
    done = pulled(store, made)
    assert done.failed == {}
    counts = {source: len(done.snapshot.of(source)) for source in SOURCES}
    assert counts == {"ctgov": 4, "europepmc": 4, "pubmed": 3, "crossref": 2, "ictrp": 0}
    assert done.snapshot.warnings == ("crossref: not found: 10.9999/gone",)
    bodies = [json.loads(store.body(one)) for one in done.snapshot.of("ctgov") if one.kind == "search"]
    found = [study["protocolSection"]["identificationModule"]["nctId"] for page in bodies for study in page["studies"]]
    assert found == list(TRIALS)


def test_a_study_that_a_search_brought_is_not_asked_for_again(store, made, asked):
    pulled(store, made, ["ctgov"])
    assert [path.split("?")[0] for path in asked if "/NCT" in path] == [
        "/ctgov/studies/NCT90000001",
        "/ctgov/studies/NCT00000001",  # where the alias sends to
    ]


def test_known_registrations_are_looked_for_in_papers(store, made, asked):
    pulled(store, made, ["europepmc", "pubmed"])
    assert any("%22NCT00000001%22" in path and "europepmc" in path for path in asked)
    assert any("NCT00000001%5Bsi%5D" in path and "pubmed" in path for path in asked)


def test_the_records_of_known_papers_are_asked_for(store, made, asked):
    """A retraction of a paper stands in its record, which no search may bring."""
    with Client(made.settings()) as client:
        pull(store, wanted(**ALL | {"pmids": ("31", "12")}), client, ["pubmed"])
    (records,) = [path for path in asked if "efetch" in path]
    assert "id=11%2C12%2C31" in records


def test_a_later_pull_shares_the_bytes_that_did_not_change(store, made, asked):
    first, second = pulled(store, made).snapshot, pulled(store, made).snapshot
    assert store.names() == [first.name, second.name]
    files = [path for path in (store.folder / "answers").rglob("*") if path.is_file()]
    assert len(files) == len({answer.sha256 for answer in first.answers})


def test_sources_that_were_not_asked_are_taken_over(store, made, asked):
    first = pulled(store, made).snapshot
    asked.clear()
    second = pulled(store, made, ["crossref"]).snapshot
    assert all("crossref" in path for path in asked)
    assert all(sums(second, source) == sums(first, source) for source in SOURCES)
    assert second.of("ctgov") == first.of("ctgov"), "with their own times"
    assert sorted(second.warnings) == sorted(first.warnings)


@pytest.mark.parametrize("only", [["medline"], ["ctgov", "ictrp"]])
def test_a_source_that_cannot_be_asked_is_refused(store, made, only):
    with pytest.raises(SourceError, match="expected one of ctgov, europepmc, pubmed, crossref, found"):
        pulled(store, made, only)
    assert not store.folder.exists()


# --- cut off -------------------------------------------------------------------------------------------------------


def test_one_source_that_fails_leaves_the_last_snapshot_in_force(store, made, asked):
    first = pulled(store, made).snapshot
    made.fault = lambda request: reply("busy", 503) if "pubmed" in request.path else None
    done = pulled(store, made)
    assert list(done.failed) == ["pubmed"]
    assert done.snapshot is None
    assert store.snapshot() == first
    made.fault = None
    asked.clear()
    again = pulled(store, made)
    assert again.snapshot.name == store.names()[-1] != first.name
    assert all("pubmed" in path or "gone" in path for path in asked), "the others are not asked again"
    assert again.resumed == 10


def test_a_pull_goes_on_at_the_page_where_it_stopped(store, made, asked):
    made.fault = lambda request: reply("busy", 503) if request.args.get("pageToken") == "p4" else None
    assert list(pulled(store, made, ["ctgov"]).failed) == ["ctgov"]
    made.fault = None
    asked.clear()
    done = pulled(store, made, ["ctgov"])
    assert done.resumed == 2
    assert [path for path in asked if "pageToken" in path or "countTotal" in path] == [asked[0]]
    assert "pageToken=p4" in asked[0]
    assert sums(done.snapshot, "ctgov") == sums(pulled(store, made, ["ctgov"]).snapshot, "ctgov")


CHILD = """
import sys
from cellclaims.registries import Client, Settings, Store, pull
from cellclaims.registries.services import Wanted
base, folder = sys.argv[1:]
settings = Settings(bases={"ctgov": base + "/ctgov"}, per_second=1000)
with Client(settings) as client:
    pull(Store(folder), {"ctgov": Wanted({"islets": {"query.cond": "diabetes"}})}, client, ["ctgov"])
"""


@pytest.mark.parametrize("page", ["p2", "p4"])
def test_kill_9_leaves_the_last_snapshot_and_the_next_pull_goes_on(store, page):
    with sources() as own:
        before = pulled(store, own, ["ctgov"]).snapshot
        child = []
        started = threading.Event()

        def kill(request):
            if request.args.get("pageToken") == page:
                started.wait(20)
                os.kill(child[0].pid, signal.SIGKILL)
                child[0].wait(20)
            return

        own.fault = kill
        child.append(subprocess.Popen([sys.executable, "-c", CHILD, own.base, str(store.folder)]))
        started.set()
        assert child[0].wait(60) == -signal.SIGKILL
        assert store.names() == [before.name]
        assert store.snapshot() == before
        own.fault = None
        own.asked.clear()
        done = pulled(store, own, ["ctgov"])
    assert done.resumed == int(page[1]) // 2
    assert not any("countTotal" in path for path in own.asked), "the first page is not asked for again"
    assert sums(done.snapshot, "ctgov") == sums(before, "ctgov")


@pytest.mark.parametrize("writes", range(5))
def test_a_full_disk_anywhere_and_the_next_pull_goes_on(store, made, asked, monkeypatch, writes):
    """The pull writes three pages, one study and the list of the snapshot: the disk is full at each of them."""
    count, write = iter(range(100)), stores.write_atomically

    def fills(path, content):
        if next(count) == writes:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, content)

    numbers = {"registrations": ("NCT90000001",)}
    with monkeypatch.context() as patch:
        patch.setattr(stores, "write_atomically", fills)
        patch.setattr(pulling, "wanted", lambda rules, data: wanted(**numbers))
        # the study differs from that of the page, so that it is written
        made.fault = lambda request: reply(study(1, derivedSection={})) if "NCT" in request.path else None
        with pytest.raises(SourceError, match=r"No space left on device; there is no snapshot yet"):
            run(Order(store.folder, ROOT / "data", ("ctgov",)), made.settings())
    assert store.names() == []
    done = pulled(store, made, ["ctgov"])
    assert done.resumed == min(writes, 4)
    assert store.names() == [done.snapshot.name]


def test_without_a_network_every_source_says_so_and_the_last_snapshot_stays(store, made, capsys):
    first = pulled(store, made).snapshot
    nowhere = quick(bases=dict.fromkeys(("ctgov", "europepmc", "pubmed", "crossref"), "http://127.0.0.1:9"))
    status = run(Order(store.folder, ROOT / "data"), nowhere)
    said = capsys.readouterr()
    assert status == 1
    assert said.out == ""
    for source in ("ctgov", "europepmc", "pubmed", "crossref"):
        assert f"{source}: http://127.0.0.1:9/" in said.err
    assert f"the last complete snapshot, {first.name}, remains in force" in said.err
    assert store.snapshot() == first
    assert not (store.folder / "unfinished.jsonl").exists()


def test_a_store_that_cannot_be_written_is_a_clear_error(tmp_path, made):
    (tmp_path / "registry").write_text("a file where the folder should be")
    with pytest.raises(SourceError, match="registry: expected a store that can be written, found"):
        run(Order(tmp_path / "registry", ROOT / "data"), made.settings())


def test_a_search_without_end_stops(monkeypatch):
    monkeypatch.setattr(answers, "MOST_PAGES", 3)
    guard = answers.Guard("ctgov", "search 'islets'")
    for number in range(3):
        guard.turn(Page((str(number),), token=str(number)))
    with pytest.raises(RefusedAnswer, match="search 'islets': expected at most 3 pages, found more"):
        guard.turn(Page(("4",), token="4"))


# --- the command ---------------------------------------------------------------------------------------------------


@pytest.fixture
def recorded(tmp_path):
    """A folder of answers as a person saves them: one study, one that is none."""
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "NCT00000001.json").write_text(json.dumps(TRIALS["NCT00000001"]))
    (folder / "notes.txt").write_text("call the registry")
    return folder


def test_the_summary_names_sources_bytes_and_warnings(store, made, monkeypatch, capsys):
    monkeypatch.setattr(pulling, "wanted", lambda rules, data: wanted(**ALL))
    assert run(Order(store.folder, ROOT / "data"), made.settings()) == 0
    out, err = capsys.readouterr()
    snapshot = store.snapshot()
    size = sum(answer.bytes for answer in snapshot.of("ctgov"))
    assert out.splitlines()[0] == f"snapshot {snapshot.name} (pull), complete since {snapshot.ended[:10]}"
    assert out.splitlines()[1].split()[:5] == ["ctgov", "4", "answers", f"{size:,}", "bytes"]
    assert out.splitlines()[-1].split() == ["warning", "1", "x", "crossref:", "not", "found"]
    assert err == "cellclaims: no contact is sent: set CELLCLAIMS_CONTACT to an e-mail address\n"


def test_a_folder_is_replayed_and_what_is_no_answer_listed(tmp_path, recorded):
    into = str(tmp_path / "registry")
    run = CliRunner().invoke(main, ["pull", "--from", str(recorded), "--into", into])
    assert run.exit_code == 0
    assert "not read: notes.txt: expected JSON or XML of a source, found something else\n" in run.output
    assert Store(into).snapshot().origin == "folder"


def test_json_says_the_same_for_machines(tmp_path, recorded):
    into = str(tmp_path / "registry")
    run = CliRunner().invoke(main, ["pull", "--from", str(recorded), "--into", into, "--json"])
    said = json.loads(run.stdout)
    assert said["snapshot"] == said["last_complete"] == Store(into).names()[-1]
    assert list(said["sources"]) == ["ctgov"]
    assert said["sources"]["ctgov"]["answers"] == 1
    assert list(said["not_taken"]) == ["notes.txt"]
    assert said["failed"] == {}


def test_offline_opens_no_socket_and_says_the_last_snapshot(store, recorded, monkeypatch):
    snapshot = pull_folder(store, recorded).snapshot
    monkeypatch.setattr(socket, "socket", None)
    run = CliRunner().invoke(main, ["pull", "--offline", "--into", str(store.folder)])
    assert (run.exit_code, run.exception) == (0, None) or isinstance(run.exception, SystemExit)
    assert run.output.startswith(f"snapshot {snapshot.name} (folder), complete since {snapshot.ended[:10]}\n")


def test_offline_without_a_snapshot_is_refused(tmp_path):
    run = CliRunner().invoke(main, ["pull", "--offline", "--into", str(tmp_path / "none")])
    assert run.exit_code == 2
    assert "expected a snapshot of the registries, found none" in run.output


def test_offline_finds_a_damaged_answer(store, recorded):
    answer = pull_folder(store, recorded).snapshot.answers[0]
    store.place(answer.sha256).write_bytes(b"{}")
    run = CliRunner().invoke(main, ["pull", "--offline", "--into", str(store.folder)])
    assert run.exit_code == 2
    assert f"{answer.sha256}: expected bytes with SHA-256" in run.output


def test_a_contact_that_is_none_is_refused_before_anything_is_asked(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLCLAIMS_CONTACT", "nobody")
    run = CliRunner().invoke(main, ["pull", "--into", str(tmp_path / "r"), "--data", str(ROOT / "data")])
    assert run.exit_code == 2
    assert "CELLCLAIMS_CONTACT: expected an e-mail or web address, found 'nobody'" in run.output
    assert not (tmp_path / "r").exists()


def test_the_key_is_nowhere_in_the_store(store, made, monkeypatch):
    monkeypatch.setattr(pulling, "wanted", lambda rules, data: wanted(**ALL))
    settings = made.settings(api_key="0123456789abcdef", contact="lab@example.org")
    made.fault = lambda request: reply("busy", 503) if "/works/" in request.path else None
    try:
        assert run(Order(store.folder, ROOT / "data"), settings) == 1, "so that the journal stays"
    finally:
        made.fault = None
    for path in store.folder.rglob("*"):
        if path.is_file() and path.parent.name != "cache":
            assert b"0123456789abcdef" not in path.read_bytes(), path
            assert b"lab@example.org" not in path.read_bytes(), path
        elif path.is_file():
            assert b"0123456789abcdef" not in path.read_bytes(), path


# --- what is wanted ------------------------------------------------------------------------------------------------


def test_the_protocol_has_queries_for_islets_and_cells():
    rules = protocol.load(ROOT / "data")
    for source in ("ctgov", "europepmc", "pubmed"):
        assert set(rules.queries(source)) == {"islets", "cells"}
    assert rules.queries("crossref") == rules.queries("medline") == {}


def test_the_numbers_of_the_evidence_are_asked_for():
    found = wanted_of(protocol.load(ROOT / "data"), ROOT / "data")
    assert "NCT00434811" in found["ctgov"].registrations
    assert "10.1056/NEJMoa061267" in found["crossref"].dois
    assert all(doi.startswith("10.") for doi in found["crossref"].dois)
    assert "17005949" in found["pubmed"].pmids


OTHER_SHAPES = [[1], "islets", {"ctgov": ["a"]}, {"ctgov": {"a": "b"}}, {"ctgov": {"a": {"b": 1}}}]


@pytest.mark.parametrize("section", OTHER_SHAPES)
def test_queries_of_another_shape_are_refused(section):
    rules = protocol.load(ROOT / "data")
    with pytest.raises(ProtocolError, match=r"pull\.ctgov: expected queries by name"):
        protocol.Protocol({**rules.content, "pull": section}).queries("ctgov")


def test_a_table_without_numbers_is_refused(tmp_path):
    (tmp_path / "studies.csv").write_text("study_id\na\n")
    with pytest.raises(SourceError, match=r"studies.csv: expected the columns registry_id, doi, pmid"):
        known_numbers(tmp_path / "studies.csv")


def test_every_warning_is_of_a_known_kind():
    with pytest.raises(ValueError, match="expected one of"):
        oddity("ctgov", "strange", "x")
    assert all(kind == kind.strip().lower() and meaning for kind, meaning in KINDS.items())


def test_every_source_that_can_be_asked_has_a_pull():
    assert [*PULLS, "ictrp"] == list(SOURCES)
