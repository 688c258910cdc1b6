"""The tables and columns declared in ``data/datapackage.json``, and reading of CSV files against them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from cellclaims.errors import DataError, Fault
from cellclaims.files import NUMBER

if TYPE_CHECKING:
    import pandas as pd


FILE = "datapackage.json"
TYPES = ("string", "integer", "number", "date")


@dataclass(frozen=True)
class Column:
    """One column: its meaning and allowed values."""

    name: str
    title: str
    description: str
    type: str
    unit: str = ""
    required: bool = False
    unique: bool = False
    enum: tuple[str, ...] = ()
    pattern: str = ""
    minimum: float | None = None
    maximum: float | None = None
    example: str = ""

    @property
    def numeric(self) -> bool:
        """Return whether the values are read as numbers; otherwise they are text."""
        return self.type in ("integer", "number")


@dataclass(frozen=True)
class ForeignKey:
    """``columns`` of a row must be found in ``reference`` of ``table``, unless all of them are empty."""

    columns: tuple[str, ...]
    table: str
    reference: tuple[str, ...]


@dataclass(frozen=True)
class TableSchema:
    """One table: its file below the data folder, its columns in order, its keys, and a made-up row as an example."""

    name: str
    path: str
    title: str
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    example_row: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def names(self) -> list[str]:
        """Return the column names in order."""
        return [column.name for column in self.columns]


@dataclass(frozen=True)
class Schema:
    """All tables by name, and the metadata of the package."""

    title: str
    description: str
    version: str
    licence: str
    tables: dict[str, TableSchema]


def read_schema(folder: str | Path) -> Schema:
    """Return the tables declared in ``folder/datapackage.json``.

    Raises
    ------
    DataError
        If the file is missing, is not UTF-8 JSON, or declares an impossible column, type, pattern or key.
    """
    declared = _parse(Path(folder) / FILE)
    try:
        tables = {table.name: table for table in map(_table, declared["resources"])}
        schema = Schema(
            declared["title"],
            declared["description"],
            declared["version"],
            declared["licenses"][0]["name"],
            tables,
        )
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise DataError(f"{FILE}: expected a Tabular Data Package, found no usable {error}") from None
    for table in tables.values():
        _refuse_impossible(table, tables)
    return schema


def _parse(path: Path) -> dict:
    if not path.parent.is_dir():
        raise DataError(f"{path.parent}: expected a data folder, found no such folder")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"nothing that can be read at {path} ({error.strerror})"
    except UnicodeDecodeError as error:
        reason = f"byte {error.object[error.start]:#04x} at position {error.start}, which is not UTF-8"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} in line {error.lineno}"
    raise DataError(f"{FILE}: expected JSON that declares the tables, found {reason}")


def _table(resource: dict) -> TableSchema:
    schema = resource["schema"]
    return TableSchema(
        name=resource["name"],
        path=resource["path"],
        title=resource["title"],
        description=resource["description"],
        columns=tuple(map(_column, schema["fields"])),
        primary_key=_names(schema.get("primaryKey", ())),
        foreign_keys=tuple(map(_foreign_key, schema.get("foreignKeys", ()))),
        example_row=resource.get("exampleRow", {}),
    )


def _column(field: dict) -> Column:
    limits = field.get("constraints", {})
    return Column(
        name=field["name"],
        title=field["title"],
        description=field["description"],
        type=field["type"],
        unit=field.get("unit", ""),
        required=limits.get("required", False),
        unique=limits.get("unique", False),
        enum=tuple(limits.get("enum", ())),
        pattern=limits.get("pattern", ""),
        minimum=limits.get("minimum"),
        maximum=limits.get("maximum"),
        example=field.get("example", ""),
    )


def _foreign_key(key: dict) -> ForeignKey:
    reference = key["reference"]
    return ForeignKey(_names(key["fields"]), reference["resource"], _names(reference["fields"]))


def _names(names: str | list[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


def _refuse_impossible(table: TableSchema, tables: dict[str, TableSchema]) -> None:
    """Yield errors that a parser would not detect: unknown types, invalid patterns, keys without a target."""
    for column in table.columns:
        if column.type not in TYPES:
            raise DataError(f"{FILE}: {table.name}.{column.name}: expected a type of {TYPES}, found {column.type!r}")
        try:
            re.compile(column.pattern)
        except re.error as error:
            raise DataError(f"{FILE}: {table.name}.{column.name}: expected a pattern, found {error}") from None
    keys = [(table.name, table.primary_key)]
    for key in table.foreign_keys:
        keys += [(table.name, key.columns), (key.table, key.reference)]
    for name, columns in keys:
        if name not in tables or set(columns) - set(tables[name].names):
            raise DataError(f"{FILE}: a key of {table.name}: expected declared columns, found {name}: {list(columns)}")


@dataclass(frozen=True)
class Finding:
    """A finding of a rule in one cell; the caller adds the file, the name of the rule and a known anomaly."""

    table: str
    line: int
    column: str
    expected: str
    found: str


class RowResult(NamedTuple):
    """Result of a rule on one row: why it does not apply (empty if it does), and its finding, if any.

    Rules that yield results report on every row; rules that yield findings report faults only.
    """

    table: str
    line: int
    why_not: str = ""
    finding: Finding | None = None


def findings(said: Iterable[Finding | RowResult]) -> Iterator[Finding]:
    """Yield the findings from the output of a rule.

    Examples
    --------
    >>> fault = Finding("binary", 2, "events", "at most 10", "12")
    >>> said = [fault, RowResult("binary", 3, "no count"), RowResult("binary", 4, "", fault)]
    >>> list(findings(said)) == [fault, fault]
    True
    """
    for one in said:
        if isinstance(one, Finding):
            yield one
        elif one.finding is not None:
            yield one.finding


def repeated(table: str, rows: pd.DataFrame, key: list[str]) -> Iterator[Finding]:
    """Yield rows that agree with an earlier row in every column of ``key``."""
    first: dict[tuple, int] = {}
    for line, values in zip(rows.index, rows[key].astype(str).itertuples(index=False, name=None), strict=True):
        if first.setdefault(values, line) != line:
            words = ", ".join(shown for value in values if (shown := str(value)) not in ("", "nan"))
            yield Finding(table, line, key[-1], "each once", f"the same as row {first[values]}: {words}")


# Reading a declared table: from bytes to rows of text, and checking each cell against its column.
# A byte order mark and CRLF line ends are accepted, because spreadsheets write them and they change no
# value. Refused: other encodings than UTF-8, a different header, rows that are too long or too short, blank
# rows, cells with surrounding spaces or a line break (so that each line of the file is a row of the table).


INTEGER = re.compile(r"[+-]?\d+")
TYPE_WORDS = {"integer": "a whole number", "number": "a plain number", "date": "a date as 2026-11-20"}


def read_rows(folder: Path, table: TableSchema) -> tuple[list[list[str]], list[Fault]]:
    """Return the rows of a table as text, without the header; none if the format has a fault.

    Row ``i`` is line ``i + 2`` of the file.
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
    """Return the text of the file without a byte order mark."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return "", [Fault(name, None, "", "file", "a file that can be read", str(error.strerror))]
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        found = f"byte {error.object[error.start]:#04x}: save the file as UTF-8"
        return "", [Fault(name, line, "", "encoding", "UTF-8 text", found)]


def _header_faults(rows: list[list[str]], table: TableSchema) -> Iterator[Fault]:
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
    if separator := _other_separator(header, names):
        found = f"{separator}: save the file as CSV with commas"
        yield Fault(table.path, 1, "", "form", "cells separated by commas", found)
        return
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


def _other_separator(header: list[str], names: list[str]) -> str:
    """Return the separator of a header that does not use commas; empty if it does, or if there is no separator."""
    for sign, words in ((";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars")):
        if len(header) < len(names) and len({*",".join(header).split(sign)} & {*names}) > 1:
            return words
    return ""


def _length_faults(rows: list[list[str]], table: TableSchema) -> Iterator[Fault]:
    width = len(table.names)
    for line, row in enumerate(rows[1:], start=2):
        if len(row) != width:
            yield Fault(table.path, line, "", "form", f"{width} cells", f"{len(row)} cells" if row else "a blank row")
            return  # cells after a shifted row cannot be checked
        for name, cell in zip(table.names, row, strict=True):
            if "\n" in cell or "\r" in cell:
                yield Fault(table.path, line, name, "form", "one line in a cell", repr(cell))
                return  # from here, lines of the file are no longer rows


def cell_faults(table: TableSchema, column: Column, cells: list[str]) -> Iterator[Fault]:
    """Yield the cells of a column that its declaration does not allow; each distinct text is checked once."""
    problems = {cell: problem for cell in set(cells) if (problem := _problem(column, cell))}
    for line, cell in enumerate(cells, start=2):
        if cell in problems:
            rule, expected = problems[cell]
            yield Fault(table.path, line, column.name, rule, expected, repr(cell) if cell else "nothing")


def _problem(column: Column, cell: str) -> tuple[str, str] | None:
    """Return the rule that a cell breaks and what was expected; None for a valid cell."""
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


# Keys: primary keys and references to other tables.


Cells = Mapping[str, list[str]]  # one table: column name -> its cells in order


def duplicates(table: TableSchema, cells: Cells) -> Iterator[Fault]:
    """Yield rows whose primary key, or value in a unique column, is in an earlier row."""
    keys = {(column.name,) for column in table.columns if column.unique} | {table.primary_key} - {()}
    for key in sorted(keys):
        first: dict[tuple[str, ...], int] = {}
        for line, values in enumerate(zip(*(cells[name] for name in key), strict=True), start=2):
            if any(values) and first.setdefault(values, line) != line:
                yield Fault(
                    table.path,
                    line,
                    _words(key),
                    "key",
                    "a key that no other row has",
                    f"{_words(values)}, as in row {first[values]}",
                )


def orphans(table: TableSchema, tables: Mapping[str, TableSchema], cells: Mapping[str, Cells]) -> Iterator[Fault]:
    """Yield rows that refer to a missing row of another table."""
    for key in table.foreign_keys:
        known = set(_tuples(cells[key.table], key.reference))
        for line, values in enumerate(_tuples(cells[table.name], key.columns), start=2):
            if any(values) and values not in known:
                yield _orphan(table, tables[key.table], key, line, values)


def _orphan(table: TableSchema, target: TableSchema, key: ForeignKey, line: int, values: tuple[str, ...]) -> Fault:
    expected = f"a row of {target.path} with this {_words(key.reference)}"
    return Fault(table.path, line, _words(key.columns), "foreign_key", expected, _words(values))


def _tuples(cells: Cells, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return zip(*(cells[name] for name in names), strict=True)


def _words(values: tuple[str, ...]) -> str:
    return ", ".join(value or "(empty)" for value in values)


@dataclass(frozen=True, eq=False)
class Evidence:
    """All tables of ``data/`` as DataFrames, in the order of their files.

    The index of each table (``line``) is the line of its CSV file, 2 for the first row. Number and integer columns
    are float64 with NaN for an empty cell; all other columns are text with "" for an empty cell. ``folder`` is the data
    folder, ``fingerprint`` one SHA-256 over the names and contents of its data files.
    """

    claims: pd.DataFrame
    documents: pd.DataFrame
    studies: pd.DataFrame
    arms: pd.DataFrame
    cohorts: pd.DataFrame
    continuous: pd.DataFrame
    binary: pd.DataFrame
    survival: pd.DataFrame
    contrasts: pd.DataFrame
    sources: pd.DataFrame
    anomalies: pd.DataFrame
    handling: pd.DataFrame
    pooled_elsewhere: pd.DataFrame
    accepted: pd.DataFrame
    definitions: pd.DataFrame
    corrections: pd.DataFrame
    refused: pd.DataFrame
    copy_hosts: pd.DataFrame
    judgements: pd.DataFrame
    registrations: pd.DataFrame
    topic_evidence: pd.DataFrame
    topic_sources: pd.DataFrame
    thresholds: pd.DataFrame
    wanted: pd.DataFrame
    screening: pd.DataFrame
    searches: pd.DataFrame
    benchmarks: pd.DataFrame
    context: pd.DataFrame
    context_sources: pd.DataFrame
    folder: Path
    fingerprint: str


#: The tables of :class:`Evidence`, in its order.
TABLES = tuple(field.name for field in fields(Evidence) if field.name not in ("folder", "fingerprint"))
