"""Which cells of ``data/`` may differ from what was handed over: those that a recorded correction names."""

from __future__ import annotations

import csv
import functools
import re
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "data"

#: Columns in our own words, which may be put better: a figure or a label never stands in them alone.
WORDS = ("note", "notes", "description")
#: Columns that name the record of a row.
NAMES = ("study_id", "pooled_id", "source_id", "row_id", "anomaly_id")


def rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file, strict=True))


@functools.cache
def corrections() -> list[dict[str, str]]:
    """The rows of ``corrections.csv``."""
    return rows(DATA / "published/corrections.csv")


@functools.cache
def _applied() -> list[tuple[str, frozenset[str], frozenset[str]]]:
    """Table, columns and records of each correction that was applied."""
    return [
        (c["table"], frozenset(re.findall(r"\w+", c["column"])), frozenset(re.findall(r"[\w.]+", c["record"])))
        for c in corrections()
        if c["decision"] == "applied"
    ]


def corrected(table: str, row: dict[str, str], column: str) -> bool:
    """Whether a correction that was applied names this cell: its table, its record and its column."""
    names = {row[key] for key in NAMES if row.get(key)}
    return any(t.startswith(table) and column in columns and names & records for t, columns, records in _applied())
