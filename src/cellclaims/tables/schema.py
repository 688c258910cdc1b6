"""What ``data/datapackage.json`` declares, as small frozen objects: the one description of every column."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from cellclaims.errors import DataError

FILE = "datapackage.json"
TYPES = ("string", "integer", "number", "date")


@dataclass(frozen=True)
class Column:
    """One column: its meaning and what may stand in it."""

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
        """True where the values are read as numbers; all else is text."""
        return self.type in ("integer", "number")


@dataclass(frozen=True)
class ForeignKey:
    """``columns`` of a row must be found in ``reference`` of ``table``, unless all of them are empty."""

    columns: tuple[str, ...]
    table: str
    reference: tuple[str, ...]


@dataclass(frozen=True)
class Table:
    """One table: its file below the data folder, its columns in order, its keys."""

    name: str
    path: str
    title: str
    description: str
    columns: tuple[Column, ...]
    primary_key: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()

    @property
    def names(self) -> list[str]:
        """Column names in their order."""
        return [column.name for column in self.columns]


@dataclass(frozen=True)
class Schema:
    """Every table by name, and what the package says of itself."""

    title: str
    description: str
    version: str
    licence: str
    tables: dict[str, Table]


def read_schema(folder: str | Path) -> Schema:
    """The tables that ``folder/datapackage.json`` declares.

    Raises
    ------
    DataError
        If the file is missing, is not UTF-8 JSON, or declares a column, type, pattern or key that cannot be.
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
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = f"nothing that can be read at {path} ({error.strerror})"
    except UnicodeDecodeError as error:
        reason = f"byte {error.object[error.start]:#04x} at position {error.start}, which is not UTF-8"
    except json.JSONDecodeError as error:
        reason = f"{error.msg} in line {error.lineno}"
    raise DataError(f"{FILE}: expected JSON that declares the tables, found {reason}")


def _table(resource: dict) -> Table:
    schema = resource["schema"]
    return Table(
        name=resource["name"],
        path=resource["path"],
        title=resource["title"],
        description=resource["description"],
        columns=tuple(map(_column, schema["fields"])),
        primary_key=_names(schema.get("primaryKey", ())),
        foreign_keys=tuple(map(_foreign_key, schema.get("foreignKeys", ()))),
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


def _refuse_impossible(table: Table, tables: dict[str, Table]) -> None:
    """What a parser would not notice: unknown types, broken patterns, keys that lead nowhere."""
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
