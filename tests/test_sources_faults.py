"""Every fault and abuse of a source: a clear error or a counted warning, nothing lost, the store valid."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from cellclaims.registries import Store

from . import registry_server
from .registry_faults import BEFORE, CASES, LIMIT, cell, cell_text, run, stored

made, only_loopback = registry_server.made, registry_server.only_loopback

PAGE = (Path(__file__).resolve().parent.parent / "docs" / "appendix_faults.md").read_text(encoding="utf-8")


@pytest.fixture(params=CASES, ids=lambda case: re.sub(r"\W+", "-", case.name))
def case(request):
    return request.param


@pytest.fixture(autouse=True)
def quick_disk(monkeypatch):
    """Nothing waits for the disk: what survives a cut is tested elsewhere."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


def whole(store: Store, name: str) -> bool:
    """Whether every answer of a snapshot has the bytes that it had."""
    return all(len(store.body(answer)) == answer.bytes for answer in store.snapshot(name).answers)


def test_a_fault_is_told_and_the_store_stays_valid(case, tmp_path, made):
    store = stored(tmp_path)
    outcome = run(case, store, made)
    if case.outcome == "error":
        assert outcome.done.snapshot is None
        assert list(outcome.done.failed) == [case.source]
        assert outcome.names == [BEFORE]
    else:
        assert outcome.done.failed == {}
        assert outcome.names == [BEFORE, outcome.done.snapshot.name]
        assert (outcome.says == "nothing: kept as it came") == (case.outcome == "kept")
    assert all(whole(store, name) for name in store.names())
    assert outcome.healed.snapshot is not None, "the next pull, from a sound source, is complete"
    assert not (tmp_path / "unfinished.jsonl").exists()
    assert outcome.sent < 20 * LIMIT, "what is too large is not taken to its end"
    assert "0123456789abcdef" not in outcome.says
    row = f"| {cell_text(case.name)} | {case.outcome} | {cell(outcome.says)} |"
    assert row in PAGE, "docs/appendix_faults.md: python benchmarks/faults.py --write"


def test_the_table_has_no_other_rows():
    rows = re.search(r"<!-- faults.*?\|---\|---\|---\|\n(.*?)<!-- end", PAGE, re.S)[1].splitlines()
    assert len(rows) == len(CASES)
    assert len({case.name for case in CASES}) == len(CASES)
