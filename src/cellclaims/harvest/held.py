"""What ``data/`` holds already, as the text of its cells: a comparison needs the digits as they are printed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from cellclaims.errors import DataError
from cellclaims.tables.faults import message
from cellclaims.tables.read import read_text
from cellclaims.tables.schema import Schema, read_schema

Cells = dict[str, str]

#: What may stand in registry_id: numbers parted by ";", each with a word in brackets behind it.
BRACKETS = re.compile(r"\([^)]*\)")


@dataclass(frozen=True)
class Held:
    """Every row of every table by its columns; the line of its file stands under ``line``."""

    folder: Path
    schema: Schema
    rows: dict[str, list[Cells]]

    def of_arm(self, table: str, study: str, arm: str) -> list[Cells]:
        """The rows of a table that belong to an arm of a report."""
        return [row for row in self.rows[table] if (row["study_id"], row["arm_id"]) == (study, arm)]

    def arms(self, study: str) -> list[Cells]:
        """The arms of a report."""
        return [row for row in self.rows["arms"] if row["study_id"] == study]

    def reports(self, registration: str) -> list[Cells]:
        """The reports that name a registration."""
        return [row for row in self.rows["studies"] if registration in registrations(row["registry_id"])]

    def has(self, table: str, column: str, value: str) -> bool:
        """Whether some row of a table holds a value."""
        return any(row[column] == value for row in self.rows[table])


def read_held(folder: Path) -> Held:
    """Read every table of a data folder as text.

    Raises
    ------
    DataError
        If ``datapackage.json``, the form of a file, a cell or a key is at fault.
    """
    schema = read_schema(folder)
    text, faults = read_text(folder, schema)
    if faults:
        raise DataError(message(faults))
    return Held(folder, schema, {name: with_lines(columns) for name, columns in text.items()})


def with_lines(columns: dict[str, list[str]]) -> list[Cells]:
    """Columns of text as rows that know the line of their file."""
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) | {"line": str(line)} for line, row in enumerate(rows, start=2)]


def registrations(cell: str) -> list[str]:
    """The numbers in a cell of ``registry_id``.

    Examples
    --------
    >>> registrations("NCT00679042 (phase 3 UIH-002); UIH-001")
    ['NCT00679042', 'UIH-001']
    """
    return [number for part in cell.split(";") if (number := BRACKETS.sub("", part).strip())]
