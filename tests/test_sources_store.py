"""The snapshot store and the journal of a pull: bytes stay what they were, and what was cut off goes on."""

from __future__ import annotations

import errno
import json
import os
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellclaims.errors import SourceError
from cellclaims.registries import Snapshot, Store
from cellclaims.registries import store as journals
from cellclaims.registries import store as stores
from cellclaims.registries.store import Journal, answer_from, free_name

DAY = "2026-11-20T10:15:00Z"
NAME = "20261120T101500Z"
NOW = datetime(2026, 11, 20, 10, 15, tzinfo=UTC)


def kept(store, body=b'{"a": 1}', address="https://host/a", **others):
    """An answer in the store."""
    facts = {
        "source": "ctgov",
        "kind": "search",
        "address": address,
        "time": DAY,
        "status": 200,
        "parameters": {"q": "x"},
    }
    return store.keep(body, **{**facts, **others})


def files(store):
    """Every file of a store."""
    return sorted(path for path in store.folder.rglob("*") if path.is_file())


def full(*_):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "registry")


# --- answers -----------------------------------------------------------------------------------------------------


@given(body=st.binary(max_size=200))
def test_every_body_comes_back_byte_for_byte(tmp_path_factory, body):
    store = Store(tmp_path_factory.mktemp("store"))
    answer = kept(store, body)
    assert store.body(answer) == body
    assert store.place(answer.sha256).parent.name == answer.sha256[:2]


def test_the_same_bytes_are_one_file(store):
    assert kept(store).sha256 == kept(store, address="https://host/b").sha256
    assert len(files(store)) == 1


def test_a_changed_answer_is_refused_with_its_file_and_mended_by_the_next_pull(store):
    answer = kept(store)
    store.place(answer.sha256).write_bytes(b'{"a": 2}')
    with pytest.raises(SourceError, match=f"{answer.sha256}: expected bytes with SHA-256 .* the file was changed"):
        store.body(answer)
    assert store.body(kept(store)) == b'{"a": 1}'


def test_a_missing_answer_is_refused_with_its_file(store):
    answer = kept(store)
    store.place(answer.sha256).unlink()
    with pytest.raises(SourceError, match=f"{answer.sha256}: expected the answer of .*, found No such file"):
        store.body(answer)


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "0" * 63, ""])
def test_nothing_but_a_sha256_names_an_answer(store, name):
    with pytest.raises(SourceError, match="expected a SHA-256 in hexadecimal"):
        store.place(name)


def test_a_full_disk_leaves_the_store_as_it_was(store, monkeypatch):
    kept(store)
    before = files(store)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        kept(store, b"another")
    assert sorted(path for path in store.folder.rglob("*") if path.is_file()) == [
        one for one in before if one.is_file()
    ]


# --- snapshots ---------------------------------------------------------------------------------------------------


def test_a_snapshot_comes_back_as_it_was(store):
    snapshot = Snapshot(NAME, DAY, DAY, "pull", (kept(store),), ("ctgov: markup: x",))
    store.add(snapshot)
    assert store.snapshot() == store.snapshot(NAME) == snapshot
    assert snapshot.of("ctgov") == snapshot.answers
    assert snapshot.of("pubmed") == ()


def test_the_last_snapshot_is_in_force(store):
    for name in ("20261120T101500Z", "20251231T235959Z", "20261121T000000Z"):
        store.add(Snapshot(name, DAY, DAY, "pull", ()))
    assert store.names() == ["20251231T235959Z", "20261120T101500Z", "20261121T000000Z"]
    assert store.snapshot().name == "20261121T000000Z"


def test_an_empty_store_says_what_to_do(store):
    with pytest.raises(SourceError, match="found none: run `cellclaims pull`"):
        store.snapshot()
    assert not store.folder.exists()


def test_an_unknown_name_is_refused_with_those_that_are_there(store):
    store.add(Snapshot(NAME, DAY, DAY, "pull", ()))
    with pytest.raises(SourceError, match=f"one of the snapshots {NAME}; found '../x'"):
        store.snapshot("../x")


def test_a_snapshot_is_never_changed(store):
    store.add(Snapshot(NAME, DAY, DAY, "pull", ()))
    with pytest.raises(SourceError, match="expected no snapshot of that name"):
        store.add(Snapshot(NAME, DAY, DAY, "folder", ()))
    assert store.snapshot().origin == "pull"


def test_a_snapshot_without_its_answers_is_refused(store):
    answer = kept(store)
    store.place(answer.sha256).unlink()
    with pytest.raises(SourceError, match="expected the answer of https://host/a"):
        store.add(Snapshot(NAME, DAY, DAY, "pull", (answer,)))
    assert store.names() == []


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"format": 2}', '{"format": 1}', "[" * 100_000, '{"format": 1, "answers": 3}']
)
def test_a_damaged_list_is_refused_with_its_file(store, text):
    (store.folder / "snapshots").mkdir(parents=True)
    (store.folder / "snapshots" / f"{NAME}.json").write_text(text)
    with pytest.raises(SourceError, match=f"{NAME}.json: expected"):
        store.snapshot()


@pytest.mark.parametrize(("field", "value"), [("status", "200"), ("parameters", []), ("bytes", True), ("sha256", None)])
def test_an_answer_of_other_types_is_refused(store, field, value):
    with pytest.raises(TypeError, match=f"{field}: expected"):
        answer_from({**vars(kept(store)), field: value})


def test_other_files_among_the_snapshots_are_no_snapshots(store):
    (store.folder / "snapshots").mkdir(parents=True)
    (store.folder / "snapshots" / "notes.json").write_text("{}")
    assert store.names() == []


# --- the journal of a pull -----------------------------------------------------------------------------------------


def written(store, count=3, now=NOW):
    """A journal of a pull that was cut off after ``count`` answers."""
    with Journal(store, now) as journal:
        for number in range(count):
            address = f"https://host/{number}"
            journal.add(kept(store, str(number).encode(), address), address, {"q": "x"}, (f"warning {number}",))
    return journal.path


def known(store, now=NOW):
    """How many answers a journal has, and from when."""
    with Journal(store, now) as journal:
        return journal.resumed, journal.started


def test_what_was_written_is_found_by_what_was_asked(store):
    written(store)
    with Journal(store, NOW + timedelta(hours=1)) as journal:
        answer, warnings = journal.find("ctgov", "https://host/1", {"q": "x"})
        assert (store.body(answer), warnings) == (b"1", ("warning 1",))
        assert journal.find("ctgov", "https://host/1", {"q": "y"}) is None
        assert journal.find("pubmed", "https://host/1", {"q": "x"}) is None
        assert journal.started == DAY


def test_the_order_of_parameters_does_not_matter(store):
    with Journal(store, NOW) as journal:
        journal.add(kept(store), "https://host", {"a": "1", "b": "2"}, ())
        assert journal.find("ctgov", "https://host", {"b": "2", "a": "1"})


@given(part=st.floats(0, 1), tail=st.binary(max_size=30))
def test_a_journal_cut_off_anywhere_goes_on_from_its_last_whole_line(tmp_path_factory, part, tail):
    store = Store(tmp_path_factory.mktemp("store"))
    path = written(store)
    content = path.read_bytes()
    cut = content[: round(part * len(content))]
    path.write_bytes(cut + tail.replace(b"\n", b""))
    whole = cut.count(b"\n")
    assert known(store)[0] == max(0, whole - 1)
    with Journal(store, NOW) as journal:
        journal.add(kept(store, b"new", "https://host/new"), "https://host/new", {}, ())
    assert known(store)[0] == max(0, whole - 1) + 1
    assert all(json.loads(line) for line in path.read_bytes().splitlines())


def test_an_answer_whose_bytes_are_gone_is_asked_for_again(store):
    path = written(store)
    first = json.loads(path.read_text().splitlines()[1])["answer"]["sha256"]
    store.place(first).unlink()
    assert known(store)[0] == 2


def test_a_pull_of_another_day_starts_anew(store):
    written(store)
    assert known(store, NOW + timedelta(hours=23)) == (3, DAY)
    assert known(store, NOW + timedelta(hours=25)) == (0, "2026-11-21T11:15:00Z")


def test_what_is_forgotten_is_asked_for_again(store):
    written(store)
    with Journal(store, NOW) as journal:
        journal.add(kept(store, b"p", "https://p", source="pubmed"), "https://p", {}, ())
        journal.forget("ctgov")
        assert journal.find("ctgov", "https://host/1", {"q": "x"}) is None
    with Journal(store, NOW) as journal:
        assert journal.resumed == 1
        assert journal.find("pubmed", "https://p", {})


def test_a_finished_pull_leaves_no_journal(store):
    with Journal(store, NOW) as journal:
        journal.add(kept(store), "https://host", {}, ())
        journal.finish()
    assert not journal.path.exists()


def test_a_second_pull_at_the_same_time_is_refused(store):
    with Journal(store, NOW) as journal:
        journal.add(kept(store), "https://host", {}, ())
        with pytest.raises(SourceError, match="expected no other pull at work"), Journal(store, NOW):
            pass
        assert journal.find("ctgov", "https://host", {})
    assert known(store)[0] == 1


def test_a_full_disk_stops_the_journal_at_its_last_line(store, monkeypatch):
    written(store)
    answer = kept(store, b"more")
    with Journal(store, NOW) as journal, monkeypatch.context() as patch:
        patch.setattr(journals.os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            journal.add(answer, "https://host/more", {}, ())
    assert known(store)[0] >= 3


def test_two_pulls_of_one_second_have_two_names(store):
    store.add(Snapshot(NAME, DAY, DAY, "pull", ()))
    assert free_name(store, DAY) == "20261120T101501Z"


def test_the_store_writes_through_the_one_door(store, monkeypatch):
    """Answers and lists are written atomically: nothing else in the store opens a file to write."""
    monkeypatch.setattr(stores, "write_atomically", full)
    with pytest.raises(OSError, match="No space left"):
        kept(store)
    with pytest.raises(OSError, match="No space left"):
        store.add(Snapshot(NAME, DAY, DAY, "pull", ()))
