"""The packed reference values are those that were handed over, all of them."""

from __future__ import annotations

#: Stated by the README of the reference values: 259 files, 167 of them one dataset on one measure.
FILES, ANALYSES = 259, 167


def test_the_pack_holds_every_file(oracle):
    assert len(oracle) == FILES
    assert len(list(oracle.analyses())) == ANALYSES


def test_the_pack_equals_the_folder_byte_for_byte(oracle, shared):
    folder = {path.name: path.read_bytes() for path in (shared / "oracle").iterdir()}
    assert oracle.raw == folder
