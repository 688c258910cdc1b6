"""One file of a declared table: from its bytes to rows of text, and every cell against its declared column.

Accepted as they are: a byte order mark and CRLF line ends, because spreadsheets write them and they change no
figure. Refused by name: another encoding than UTF-8, a header that differs, rows that are too long or short, blank
rows, cells with spaces around them or a line break inside (a line of the file is then always a row of the table).
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

from cellclaims.tables.faults import Fault
from cellclaims.tables.schema import Column, Table

NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
INTEGER = re.compile(r"[+-]?\d+")
TYPE_WORDS = {"integer": "a whole number", "number": "a plain number", "date": "a date as 2026-11-20"}


def read_rows(folder: Path, table: Table) -> tuple[list[list[str]], list[Fault]]:
    """The rows of a table as text, without the header; with any fault in its form there are no rows.

    Row ``i`` of the answer stands in line ``i + 2`` of the file.
    """
    text, faults = _text(folder / table.path, table.path)
    if faults:
        return [], faults
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        return [], [Fault(table.path, None, "", "form", "comma-separated values", str(error))]
    faults = list(_header_faults(rows, table)) or list(_length_faults(rows, table))
    return ([], faults) if faults else (rows[1:], [])


def _text(path: Path, name: str) -> tuple[str, list[Fault]]:
    """The file's text without a byte order mark."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return "", [Fault(name, None, "", "file", "a file that can be read", str(error.strerror))]
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        return "", [Fault(name, line, "", "encoding", "UTF-8 text", f"byte {error.object[error.start]:#04x}")]


def _header_faults(rows: list[list[str]], table: Table) -> Iterator[Fault]:
    if not rows:
        yield Fault(
            table.path,
            None,
            "",
            "header",
            f"a header and rows of {len(table.names)} columns",
            "an empty file",
        )
        return
    header, names = rows[0], table.names
    for name in names:
        if name not in header:
            yield Fault(table.path, 1, name, "header", "this column", "no such column")
    for name in header:
        if name not in names:
            yield Fault(
                table.path,
                1,
                name,
                "header",
                f"only declared columns ({', '.join(names)})",
                f"column {name!r}",
            )
    if sorted(header) == sorted(names) and header != names:
        yield Fault(table.path, 1, "", "header", f"the order {', '.join(names)}", ", ".join(header))
    elif len(header) != len(set(header)):
        yield Fault(table.path, 1, "", "header", "each column once", ", ".join(header))


def _length_faults(rows: list[list[str]], table: Table) -> Iterator[Fault]:
    width = len(table.names)
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != width:
            yield Fault(table.path, line, "", "form", f"{width} cells", f"{len(row)} cells" if row else "a blank row")
            return  # what follows a shifted row is noise
        for name, cell in zip(table.names, row, strict=True):
            if "\n" in cell or "\r" in cell:
                yield Fault(table.path, line, name, "form", "one line in a cell", repr(cell))
                return  # from here a line of the file is no longer a row


def cell_faults(table: Table, column: Column, cells: list[str]) -> Iterator[Fault]:
    """Every cell of a column that its declaration does not allow; each distinct text is judged once."""
    verdicts = {cell: problem for cell in set(cells) if (problem := _problem(column, cell))}
    for line, cell in enumerate(cells, start=2):
        if cell in verdicts:
            rule, expected = verdicts[cell]
            yield Fault(table.path, line, column.name, rule, expected, repr(cell) if cell else "nothing")


def _problem(column: Column, cell: str) -> tuple[str, str] | None:
    """The rule that a cell breaks and what was expected instead; None for a good cell."""
    if not cell:
        return ("required", "a value") if column.required else None
    if cell != cell.strip() or not cell.isprintable():
        return "space", "no spaces around and no hidden characters"
    if not _PARSES[column.type](cell):
        return "type", TYPE_WORDS[column.type]
    if column.enum and cell not in column.enum:
        return "enum", f"one of {', '.join(column.enum)}"
    if column.pattern and not re.fullmatch(column.pattern, cell):
        return "pattern", f"the form {column.pattern}"
    if column.minimum is not None and float(cell) < column.minimum:
        return "minimum", f"at least {column.minimum}"
    if column.maximum is not None and float(cell) > column.maximum:
        return "maximum", f"at most {column.maximum}"
    return None


def _is_date(cell: str) -> bool:
    try:
        return date.fromisoformat(cell).isoformat() == cell
    except ValueError:
        return False


_PARSES: dict[str, Callable[[str], object]] = {
    "string": lambda cell: True,
    "integer": INTEGER.fullmatch,
    "number": NUMBER.fullmatch,
    "date": _is_date,
}
