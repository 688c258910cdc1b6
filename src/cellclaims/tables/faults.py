"""A fault: one place in ``data/`` where something else was expected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in one place.

    Parameters
    ----------
    file : str
        Path of the table below the data folder, as ``published/binary.csv``.
    row : int or None
        Line of the file, the header being line 1; None where the whole file is meant.
    column : str
        Column name; empty where a whole row or file is meant.
    rule : str
        Name of the rule that found it.
    expected, found : str
        In words that stand alone.
    anomaly_id : str
        The row of ``anomalies.csv`` that records it as the source's own fault; empty: it is to be mended.

    Examples
    --------
    >>> print(Fault("published/binary.csv", 7, "events", "events_at_most_n", "at most n = 10", "12"))
    published/binary.csv, row 7, column events: expected at most n = 10, found 12 (events_at_most_n)
    """

    file: str
    row: int | None
    column: str
    rule: str
    expected: str
    found: str
    anomaly_id: str = ""

    @property
    def place(self) -> str:
        """File, row and column in words."""
        row = "" if self.row is None else f", row {self.row}"
        return f"{self.file}{row}" + (f", column {self.column}" if self.column else "")

    def __str__(self) -> str:
        return f"{self.place}: expected {self.expected}, found {self.found} ({self.rule})"


def message(faults: list[Fault]) -> str:
    """The first fault in full and how many more there are: one clear error for a person to start with.

    Examples
    --------
    >>> message([Fault("a.csv", 2, "n", "type", "a number", "'x'"), Fault("a.csv", 3, "n", "type", "y", "z")])
    "a.csv, row 2, column n: expected a number, found 'x' (type); and 1 more fault: `cellclaims check` lists all"
    """
    more = len(faults) - 1
    if not more:
        return str(faults[0])
    return f"{faults[0]}; and {more} more fault{'s' if more > 1 else ''}: `cellclaims check` lists all"


@dataclass(frozen=True)
class Finding:
    """What a rule says of one cell; the file, the rule's name and a known anomaly are added by whoever applies it."""

    table: str
    line: int
    column: str
    expected: str
    found: str


def repeated(table: str, rows: pd.DataFrame, key: list[str]) -> Iterator[Finding]:
    """Rows that agree with an earlier row in every column of ``key``."""
    first: dict[tuple, int] = {}
    for line, values in zip(rows.index, rows[key].astype(str).itertuples(index=False, name=None), strict=True):
        if first.setdefault(values, line) != line:
            words = ", ".join(value for value in values if value not in ("", "nan"))
            yield Finding(table, line, key[-1], "each once", f"the same as row {first[values]}: {words}")
