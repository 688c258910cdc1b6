"""Nothing was lost or altered on the way from the evidence as handed over to ``data/``.

Every row and cell of the origin must stand in ``data/`` in the same order. Rows that were added later, by name below or
by anybody who adds a trial, do not matter here: only loss and alteration do.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellclaims import units

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "data"
ORIGIN = [
    "advertised/claims.csv",
    "advertised/documents.csv",
    "topics/evidence.csv",
    "topics/sources.csv",
    "topics/thresholds.csv",
    *(
        f"published/{name}.csv"
        for name in (
            "anomalies arms binary cohorts continuous contrasts pooled_elsewhere sources studies survival"
        ).split()
    ),
]
#: Columns of our own: which published evidence answers a claim; whether all trials behind a result were randomised.
ADDED = {"advertised/claims.csv": ("answered_by",), "topics/evidence.csv": ("randomised",)}

#: Tables whose unit was given one spelling; the printed one moved to ``unit_printed``.
TIDIED = ("published/continuous.csv", "published/contrasts.csv")


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def as_handed_over(file: str) -> Iterator[dict[str, str]]:
    """Rows of ``data/`` in the columns of the origin: the printed unit stands where it stood."""
    for row in rows(DATA / file):
        if file in TIDIED:
            row["unit"] = row.pop("unit_printed")
        yield {column: value for column, value in row.items() if column not in ADDED.get(file, ())}


def test_all_tables_that_were_handed_over_are_compared(shared):
    found = sorted(str(path.relative_to(shared / "evidence")) for path in (shared / "evidence").rglob("*.csv"))
    assert found == sorted(ORIGIN)


@pytest.mark.parametrize("file", ORIGIN)
def test_every_row_and_figure_stands_unaltered_and_in_order(file, shared):
    mine = as_handed_over(file)
    for number, origin in enumerate(rows(shared / "evidence" / file), start=2):
        assert any(row == origin for row in mine), f"{file}, row {number} of the origin is lost, altered or moved"


@pytest.mark.parametrize("file", ORIGIN)
def test_columns_are_those_of_the_origin_with_the_printed_unit_behind_the_unit(file, shared):
    wanted = list(rows(shared / "evidence" / file)[0])
    if file in TIDIED:
        wanted.insert(wanted.index("unit") + 1, "unit_printed")
    assert [c for c in rows(DATA / file)[0] if c not in ADDED.get(file, ())] == wanted


@pytest.mark.parametrize("file", TIDIED)
def test_the_unit_is_the_one_spelling_of_the_printed_unit(file):
    for row in rows(DATA / file):
        assert row["unit"] == units.tidy(row["unit_printed"])


def test_the_comparison_would_see_a_lost_an_altered_and_a_moved_row():
    """The method on a toy: an iterator that is searched forward is used up by a row that is not there."""
    origin = [{"n": "1"}, {"n": "2"}, {"n": "3"}]

    def complete(mine: list[dict[str, str]]) -> bool:
        ahead = iter(mine)
        return all(any(row == wanted for row in ahead) for wanted in origin)

    assert complete([*origin, {"n": "4"}])
    assert complete([origin[0], {"n": "9"}, *origin[1:]])
    assert not complete(origin[:2])
    assert not complete([origin[0], {"n": "2.0"}, origin[2]])
    assert not complete([origin[1], origin[0], origin[2]])


def test_the_advertisements_are_named_by_checksum_and_not_copied(shared):
    texts = {path.name: path.read_bytes() for path in (shared / "evidence" / "advertised").glob("*.txt")}
    documents = {row["file_or_url"]: row["sha256"] for row in rows(DATA / "advertised/documents.csv")}
    assert texts
    for name, content in texts.items():
        assert documents[name] == hashlib.sha256(content).hexdigest()
        assert not list(REPOSITORY.glob(f"[!.]*/**/{name}"))


#: So many words in a row, in one cell, are a quotation and no longer our words.
QUOTATION = 8


def test_no_long_passage_of_an_advertisement_stands_in_the_data(shared):
    """Claims are in our words; only the title of an advertisement is its own."""
    cells = {words(row[column]) for file in ORIGIN for row in rows(DATA / file) for column in row if column != "title"}
    ours = {passage for cell in cells for passage in passages(cell)}
    for path in (shared / "evidence" / "advertised").glob("*.txt"):
        theirs = passages(words(path.read_text(encoding="utf-8")))
        assert theirs
        assert not ours & theirs, path.name


def words(text: str) -> str:
    """Lower-case words and numbers, parted by one space."""
    return " ".join(re.findall(r"[a-z0-9%]+", text.lower()))


def passages(text: str) -> set[str]:
    """Every run of QUOTATION words."""
    parts = text.split()
    return {" ".join(parts[start : start + QUOTATION]) for start in range(len(parts) - QUOTATION + 1)}
