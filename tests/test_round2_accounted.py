"""What became of the second round of evidence: each of its rows is used, stays out with its reason, or is answered.

The round is read from where it was handed over; without it these tests are skipped. A row is *used* if ``data/`` has it
with every cell unaltered, a cell that a recorded correction names excepted. A row that stays out is in
``published/refused.csv``, a correction in ``published/corrections.csv``. Topics, advertisements and judgements of that
round are accounted for elsewhere.
"""

from __future__ import annotations

import functools
import re
from collections import Counter
from pathlib import Path

import pytest

from .recorded_corrections import WORDS, corrected, corrections, rows

DATA = Path(__file__).resolve().parent.parent / "data"

#: File of the round -> table of data/ that took its rows.
TAKEN_INTO = {
    "published/studies.csv": "published/studies.csv",
    "published/arms.csv": "published/arms.csv",
    "published/cohorts.csv": "published/cohorts.csv",
    "published/continuous.csv": "published/continuous.csv",
    "published/binary.csv": "published/binary.csv",
    "published/binary_new_definition.csv": "published/binary.csv",
    "published/survival.csv": "published/survival.csv",
    "published/contrasts.csv": "published/contrasts.csv",
    "published/pooled_elsewhere.csv": "published/pooled_elsewhere.csv",
    "published/sources.csv": "published/sources.csv",
    "harms/harms.csv": "published/binary.csv",
    "harms/context.csv": "topics/context.csv",
    "harms/context_sources.csv": "topics/context_sources.csv",
    "benchmarks/benchmarks.csv": "benchmarks/benchmarks.csv",
}
#: Columns that have another name in data/.
RENAMED = {
    "published/sources.csv": {"url": "read_at"},
    "published/pooled_elsewhere.csv": {"source_url": "read_at"},
    "harms/context.csv": {"url": "read_at"},
    "harms/context_sources.csv": {"url": "read_at"},
    "benchmarks/benchmarks.csv": {"n_t": "of_treated", "n_c": "of_control", "source": "read_at"},
}
#: Columns of the round that say how it was read; read_twice has their outcome.
OF_THE_READING = ("second_reading", "second_note")
#: Files of the round that no table takes.
NO_ROWS = {"addresses.csv", "corrections.csv", "refused.csv", "second_reading.csv", "second_reading_round2.csv"}
#: Parts of the round that belong to other tables and another test.
ELSEWHERE = ("advertised/", "appraisal/", "beyond_glucose/")
TABLES_ELSEWHERE = {"beyond_glucose/evidence", "documents", "claims"}
FIGURES = ("binary", "continuous", "survival", "contrasts")


@functools.cache
def refused() -> list[dict[str, str]]:
    return rows(DATA / "published/refused.csv")


@pytest.fixture(scope="module")
def round2(shared) -> Path:
    folder = shared / "evidence" / "round2"
    if not folder.is_dir():
        pytest.skip("the second round of evidence is not there: nothing to compare with")
    return folder


def put_clearer(column: str, value: str, now: str) -> bool:
    """A unit without the arm that stood behind it, a text in full for "as above", a second address after the first."""
    return {
        "unit": value.startswith(f"{now}, "),
        "source": now.startswith(f"{value} ; "),
        "population": value.startswith("as above"),
        "definition": value == "as above",
    }.get(column, False)


def altered(file: str, origin: dict[str, str], mine: dict[str, str]) -> list[str]:
    """The columns in which a row of data/ differs from its origin without a recorded correction."""
    table = Path(TAKEN_INTO[file]).stem
    other = RENAMED.get(file, {})
    found = []
    for column, value in origin.items():
        if column in (*OF_THE_READING, *WORDS):
            continue
        now = mine[other.get(column, column)]
        if now == value or (file == "benchmarks/benchmarks.csv" and put_clearer(column, value, now)):
            continue
        if not corrected(table, mine, column):
            found.append(column)
    return found


@functools.cache
def held(table: str) -> tuple[dict[str, str], ...]:
    return tuple(rows(DATA / table))


def is_used(file: str, origin: dict[str, str]) -> bool:
    """Whether data/ has the row; the candidates are those that agree in their names."""
    keys = [k for k in ("study_id", "arm_id", "source_id", "pooled_id", "benchmark_id", "row_id") if k in origin]
    keys = keys if "source_id" not in keys or "arm_id" in keys or file in FIGURES else ["source_id"]
    candidates = [mine for mine in held(TAKEN_INTO[file]) if all(mine[k] == origin[k] for k in keys)]
    return any(not altered(file, origin, mine) for mine in candidates)


def stays_out(file: str, origin: dict[str, str]) -> bool:
    """Whether ``refused.csv`` names the row: its table, its record, and each of its figures in the description."""
    table = Path(file).stem
    key = {"benchmarks": "benchmark_id", "pooled_elsewhere": "pooled_id", "sources": "source_id"}.get(table, "study_id")
    record = origin.get(key)
    for entry in refused():
        if entry["table"] == table and entry["record"] == record:
            told = [origin[k] for k in ("arm_id", "months", "events", "n") if origin.get(k)]
            if all(word in entry["what"].split() for word in told):
                return True
    return False


def outcomes(round2: Path, file: str) -> Counter:
    """How many rows of a file are used, stay out, or are lost."""
    counted: Counter = Counter()
    for origin in rows(round2 / file):
        counted["used" if is_used(file, origin) else "stays out" if stays_out(file, origin) else "lost"] += 1
    return counted


def test_every_file_of_the_round_is_taken_by_a_table(round2):
    found = {str(path.relative_to(round2)) for path in round2.rglob("*.csv")}
    mine = {file for file in found if not file.startswith(ELSEWHERE)}
    assert mine == {*TAKEN_INTO, *NO_ROWS}


@pytest.mark.parametrize("file", TAKEN_INTO)
def test_every_row_is_used_or_stays_out_with_its_reason(file, round2):
    counted = outcomes(round2, file)
    assert counted.total() == len(rows(round2 / file)) == counted["used"] + counted["stays out"], (file, counted)


def test_the_counts_of_the_closing_note(round2):
    """How many rows of each file are used and how many stay out; a change of the data shows here."""
    found = {file: dict(outcomes(round2, file)) for file in TAKEN_INTO}
    assert found == COUNTS


def test_every_row_that_the_readers_took_out_stays_out_with_their_reason(round2):
    handed = Counter(
        (Path(r["file"]).stem, r["study_id"], " ".join(r["what"].split()), r["why"])
        for r in rows(round2 / "refused.csv")
    )
    mine = Counter((r["table"], r["record"], r["what"], r["reason"]) for r in refused())
    assert not handed - mine
    assert handed.total() == 32


def test_every_correction_is_decided_with_a_reason(round2):
    wanted = [r["correction_id"] for r in rows(round2 / "corrections.csv") if r["table"] not in TABLES_ELSEWHERE]
    mine = {r["correction_id"]: r for r in corrections()}
    assert [c for c in wanted if c not in mine] == []
    assert all(mine[c]["decision"] and mine[c]["reason"] for c in wanted)
    counted = Counter(mine[c]["decision"] for c in wanted)
    assert counted == DECIDED and counted.total() == len(wanted)


def test_a_correction_that_is_an_anomaly_names_one_that_exists():
    known = {r["anomaly_id"] for r in rows(DATA / "published/anomalies.csv")}
    named = {r["correction_id"]: r["reason"].partition(":")[0] for r in corrections() if r["decision"] == "anomaly"}
    assert named and set(named.values()) <= known


def test_read_twice_says_what_the_second_reader_found_of_the_first_round(round2):
    """246 rows of the first round were read again: 240 equal, 6 not found; every other row of it says no."""
    again = rows(round2 / "second_reading.csv")
    assert Counter(r["agrees"] for r in again) == {"yes": 240, "not_found": 6}
    found = {(r["table"], int(r["line"])): r["agrees"] for r in again}
    for table in FIGURES:
        first = len(rows(round2.parent / "published" / f"{table}.csv"))
        for line, row in enumerate(held(f"published/{table}.csv")[:first], start=2):
            wanted = "yes" if found.get((table, line)) == "yes" or (table, line) in CONFIRMED_WITH_NEW else "no"
            assert row["read_twice"] == wanted, (table, line)


#: Rows of the first round whose second reading came with the new rows (the same count under another name).
CONFIRMED_WITH_NEW = {("binary", 5), ("binary", 158), ("binary", 293)}


@pytest.mark.parametrize("file", [f for f in TAKEN_INTO if f.startswith(("published/", "harms/harms", "benchmarks/"))])
def test_read_twice_says_what_the_second_reader_found_of_the_new_rows(file, round2):
    """yes: found, in a source of whatever kind (a label that the second reader changed was changed); else no."""
    for origin in rows(round2 / file):
        if "second_reading" not in origin or stays_out(file, origin):
            continue
        wanted = "no" if origin["second_reading"] == "not_found" else "yes"
        keys = [k for k in ("study_id", "arm_id", "source_id", "pooled_id", "benchmark_id") if k in origin]
        named = [m for m in held(TAKEN_INTO[file]) if all(m[k] == origin[k] for k in keys)]
        assert wanted in {m["read_twice"] for m in named if not altered(file, origin, m)}, (file, origin)


def test_all_rows_of_the_second_reading_of_the_new_rows_are_known(round2):
    """377 rows were read again before any was taken out; those of the topics are accounted for elsewhere."""
    again = Counter(r["agrees"] for r in rows(round2 / "second_reading_round2.csv"))
    assert again == {"yes": 290, "weak_source": 61, "not_found": 21, "no": 5}
    assert again.total() == 377


def test_every_better_address_that_was_proposed_is_in_a_column_of_citable_addresses(round2):
    """A DOI, PubMed or PubMed Central number of addresses.csv, unless its rows stay out or belong elsewhere."""
    cited = " ".join(
        [row["url"] for row in held("published/sources.csv")]
        + [row["source_url"] for row in held("published/pooled_elsewhere.csv")]
        + [row["url"] for row in held("benchmarks/benchmarks.csv")]
        + [f"{row['doi']} {row['pmid']} {row['pmcid']}" for row in held("published/studies.csv")]
    )
    for entry in rows(round2 / "addresses.csv"):
        records = set(re.findall(r"[mb]\d{3}|\w+", entry["row"]))
        number = re.search(r"10\.\d{4,}/[^\s,;]+|PMC\d+|\d{7,8}", entry["better_address"])
        out = {r["record"] for r in refused()}
        if number and not records & out and not any(re.fullmatch(r"b\d{3}", name) for name in records):
            assert number[0] in cited, entry


#: Used and left out, by file: what the closing note of the second round says.
COUNTS = {
    "published/studies.csv": {"used": 20},
    "published/arms.csv": {"used": 43},
    "published/cohorts.csv": {"used": 26},
    "published/continuous.csv": {"used": 50},
    "published/binary.csv": {"used": 64},
    "published/binary_new_definition.csv": {"used": 2},
    "published/survival.csv": {"used": 2},
    "published/contrasts.csv": {"used": 33},
    "published/pooled_elsewhere.csv": {"used": 29},
    "published/sources.csv": {"used": 80, "stays out": 1},
    "harms/harms.csv": {"used": 86, "stays out": 3},
    "harms/context.csv": {"used": 35},
    "harms/context_sources.csv": {"used": 34},
    "benchmarks/benchmarks.csv": {"used": 40, "stays out": 6},
}
#: Decisions on the corrections that are not about topics, advertisements or claims.
DECIDED = {"applied": 196, "anomaly": 20, "declined": 7, "rule": 10}
