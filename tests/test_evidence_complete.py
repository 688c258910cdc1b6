"""Nothing was lost or altered on the way from the evidence as handed over to ``data/``.

Every row and cell of the origin must stand in ``data/`` in the same order, a cell that a recorded correction names
excepted. Rows that were added later do not matter here: only loss and alteration do.
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellclaims import units

from .recorded_corrections import WORDS, corrected

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "data"
ORIGIN = [
    "topics/sources.csv",
    "topics/thresholds.csv",
    *(
        f"published/{name}.csv"
        for name in (
            "anomalies arms binary cohorts continuous contrasts pooled_elsewhere sources studies survival"
        ).split()
    ),
]
#: Tables that the second round replaced as a whole; ``test_round2_topics_accounted.py`` accounts for their rows.
REPLACED = ["advertised/claims.csv", "advertised/documents.csv", "beyond_glucose/evidence.csv"]
#: Folder here -> its name when it was handed over.
FOLDERS = {"topics/": "beyond_glucose/"}
#: Columns of our own: what kind of source it is; which figures were read twice; a treatment that came with the cells.
ADDED = {
    "topics/sources.csv": ("kind",),
    "published/arms.csv": ("co_treatment",),
    **{f"published/{name}.csv": ("read_twice",) for name in ("binary", "continuous", "contrasts", "survival")},
    "published/pooled_elsewhere.csv": ("read_twice", "source_url"),
    "published/sources.csv": ("url",),
}
#: Column -> records in which the analysis plan decides, not the source: the handling of a value, combined arms.
DECIDED = {
    "published/anomalies.csv": ("handling", {"a01", "a10", "a56"}),
    "published/arms.csv": ("part_of", {"mpc_0_3", "mpc_1_0", "mpc_2_0"}),
}
#: The address that was handed over, which was where the text was read.
READ_AT = {"published/sources.csv": "url", "published/pooled_elsewhere.csv": "source_url"}

#: Tables whose unit was given one spelling; the printed one moved to ``unit_printed``.
TIDIED = ("published/continuous.csv", "published/contrasts.csv")


def handed_over(file: str) -> str:
    """The path by which a table was handed over."""
    for here, then in FOLDERS.items():
        file = file.replace(here, then)
    return file


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


def as_handed_over(file: str) -> Iterator[dict[str, str]]:
    """Rows of ``data/`` in the columns of the origin: the printed unit stands where it stood."""
    for row in rows(DATA / file):
        if file in TIDIED:
            row["unit"] = row.pop("unit_printed")
        mine = {column: value for column, value in row.items() if column not in ADDED.get(file, ())}
        if file in READ_AT:
            mine[READ_AT[file]] = mine.pop("read_at")
        yield mine


def test_all_tables_that_were_handed_over_are_compared(shared):
    found = (str(path.relative_to(shared / "evidence")) for path in (shared / "evidence").rglob("*.csv"))
    assert sorted(path for path in found if not path.startswith("round2/")) == sorted(
        [*map(handed_over, ORIGIN), *REPLACED]
    )


@pytest.mark.parametrize("file", ORIGIN)
def test_every_row_and_figure_stands_unaltered_and_in_order(file, shared):
    mine = as_handed_over(file)
    for number, origin in enumerate(rows(shared / "evidence" / handed_over(file)), start=2):
        assert any(is_that_row(file, row, origin) for row in mine), (
            f"{file}, row {number} of the origin is lost, altered or moved"
        )


def is_that_row(file: str, mine: dict[str, str], origin: dict[str, str]) -> bool:
    """Whether a row is the origin's, but for cells that a correction names and for words of our own."""
    different = [column for column, value in origin.items() if mine[column] != value]
    if not file.startswith("published/"):
        return not different
    decided, records = DECIDED.get(file, ("", set()))
    is_decided = not records.isdisjoint((mine.get("anomaly_id"), mine.get("arm_id")))
    return all(
        column in WORDS or (column == decided and is_decided) or corrected(Path(file).stem, mine, column)
        for column in different
    )


def test_a_cell_that_no_correction_names_may_not_differ():
    row = next(r for r in rows(DATA / "published/binary.csv") if r["study_id"] == "zang2022")
    assert not is_that_row("published/binary.csv", {**row, "events": "99"}, row)
    assert is_that_row("published/binary.csv", {**row, "note": "another"}, row)


@pytest.mark.parametrize("file", ORIGIN)
def test_columns_are_those_of_the_origin_with_the_printed_unit_behind_the_unit(file, shared):
    wanted = list(rows(shared / "evidence" / handed_over(file))[0])
    if file in TIDIED:
        wanted.insert(wanted.index("unit") + 1, "unit_printed")
    if file in READ_AT:
        wanted[wanted.index(READ_AT[file])] = "read_at"
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


#: Tables in our words that were not handed over in this shape.
TEXTS = ("advertised/claims.csv", "advertised/documents.csv", "topics/evidence.csv", "appraisal/judgements.csv")
#: So many words in a row, in one cell, are a quotation and no longer our words.
QUOTATION = 8


def test_no_long_passage_of_an_advertisement_stands_in_the_data(shared):
    """Claims are in our words; only the title of an advertisement is its own."""
    cells = {
        words(row[column])
        for file in (*ORIGIN, *TEXTS)
        for row in rows(DATA / file)
        for column in row
        if column != "title"
    }
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
