"""What a check of printed numbers is, and what it says of a row.

An *arithmetic* check finds what cannot all be true as printed. A *plausibility* check finds what can be true and would
be remarkable: it sends a reader to the source and proves nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pandas as pd

from cellclaims import files
from cellclaims.evidence import Evidence, read_schema
from cellclaims.evidence.rules import Rule
from cellclaims.evidence.schema import Finding, RowResult, read_rows

CONSISTENT, INCONSISTENT, NOT_APPLICABLE = "consistent", "inconsistent", "not applicable"
ARITHMETIC, PLAUSIBILITY = "arithmetic", "plausibility"


@dataclass(frozen=True)
class CheckResult:
    """What a check says of one row: the result, what is printed, what was expected, and why."""

    table: str
    line: int
    result: str
    printed: str = ""
    expected: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Check:
    """One check: its name in words, its kind, the formula with its source, and what it says of the evidence.

    ``anomalies`` are the kinds of anomalies that a finding of it may be; ``rules`` the data rules that it uses.
    """

    name: str
    kind: str
    formula: str
    source: str
    judge: Callable[[Evidence], Iterable[CheckResult]]
    anomalies: tuple[str, ...] = ()
    rules: tuple[Rule, ...] = ()


def by_rules(
    rules: tuple[Rule, ...],
    words: Callable[[str, Any], str],
    explain: Callable[[Evidence, Finding], str] = lambda evidence, finding: "",
) -> Callable[[Evidence], Iterator[CheckResult]]:
    """Make a check from data rules that say of every row whether they apply and what they find.

    Parameters
    ----------
    rules : tuple of rule
        A row at which one of them finds a fault is inconsistent; a row to which none applies is not applicable.
    words : callable
        Given the name of a table and one of its rows, the numbers as printed.
    explain : callable, optional
        Adds to a finding what may have happened.

    Returns
    -------
    callable
        What the check says of the evidence.
    """

    def judge(evidence: Evidence) -> Iterator[CheckResult]:
        said: dict[tuple[str, int], list[RowResult]] = {}
        for rule in rules:
            for one in rule(evidence):
                said.setdefault((one.table, one.line), []).append(one)
        for (table, line), judged in said.items():
            printed = words(table, rows_by_line(evidence, table)[line])
            if faults := [one.finding for one in judged if one.finding]:
                fault = faults[-1]
                why = explain(evidence, fault)
                yield CheckResult(table, line, INCONSISTENT, printed or fault.found, fault.expected, why)
            elif all(one.why_not for one in judged):
                yield CheckResult(table, line, NOT_APPLICABLE, printed, reason=judged[0].why_not)
            else:
                yield CheckResult(table, line, CONSISTENT, printed)

    return judge


#: Evidence -> rows of its tables by line, which every check asks for.
_ROWS: WeakKeyDictionary[Evidence, dict[str, dict[int, Any]]] = WeakKeyDictionary()


def rows_by_line(evidence: Evidence, table: str) -> dict[int, Any]:
    """Return the rows of a table as named tuples by their line, made once for all checks."""
    known = _ROWS.setdefault(evidence, {})
    if table not in known:
        known[table] = {row.Index: row for row in getattr(evidence, table).astype(object).itertuples()}
    return known[table]


def count_words(row: pd.Series) -> str:
    """A counted row as printed: count, number of patients and percentage, as far as they are there.

    >>> count_words(pd.Series({"events": 6.0, "n": np.nan, "percent_printed": "50"}))
    '6, 50 %'
    """
    count = "" if np.isnan(row.events) else f"{row.events:g}"
    of = "" if np.isnan(row.n) else f"of {row.n:g}"
    percent = f"{row.percent_printed} %" if row.percent_printed else ""
    return f"{percent} {of}".strip() if not count else ", ".join(w for w in (f"{count} {of}".strip(), percent) if w)


def first_reason(rows: pd.DataFrame, reasons: dict[str, pd.Series]) -> list[str]:
    """For each row the first of the reasons that holds, empty where none does."""
    words, chosen = list(reasons), np.full(len(rows), -1)
    for number, holds in reversed(list(enumerate(reasons.values()))):
        chosen[np.asarray(holds, dtype=bool)] = number
    return [words[number] if number >= 0 else "" for number in chosen]


def printed_text(evidence: Evidence, table: str, column: str) -> dict[int, str]:
    """A column of numbers with the digits that its file holds, by line; the typed table drops a trailing zero.

    Rows that differ from the file (in a test, or after a handling) are written with the digits that they need.
    """
    values = getattr(evidence, table)[column]
    texts = _file_column(evidence, table, column) if evidence.fingerprint == files.fingerprint(evidence.folder) else {}
    return {
        line: texts[line] if line in texts and float(texts[line]) == value else _shortest(value)
        for line, value in values.items()
        if value == value
    }


def _file_column(evidence: Evidence, table: str, column: str) -> dict[int, str]:
    declared = read_schema(evidence.folder).tables[table]
    rows, _ = read_rows(evidence.folder, declared)
    position = declared.names.index(column)
    return {line: row[position] for line, row in enumerate(rows, start=2) if row[position]}


def _shortest(value: float) -> str:
    return f"{value:.10f}".rstrip("0").rstrip(".")
