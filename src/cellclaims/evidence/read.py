"""``load``: the tables of ``data/`` as typed DataFrames, or one clear error."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from cellclaims import files
from cellclaims.errors import DataError, Fault, message
from cellclaims.evidence import rules
from cellclaims.evidence.schema import (
    FILE,
    TABLES,
    Evidence,
    Schema,
    TableSchema,
    cell_faults,
    duplicates,
    orphans,
    read_rows,
    read_schema,
)

#: Text as Python strings, also where pandas finds Arrow: faster for many small selections.
TEXT = pd.StringDtype("python", na_value=float("nan"))


def load(folder: str | Path = "data") -> Evidence:
    """Read all tables of a data folder, or raise an error if one has a fault.

    Declared types, constraints and keys are checked, and the rules of :mod:`cellclaims.evidence.rules`. Errors of
    sources that ``anomalies.csv`` records are accepted.

    Parameters
    ----------
    folder : str or Path
        The folder with ``datapackage.json``.

    Returns
    -------
    Evidence

    Raises
    ------
    DataError
        With file, row, column, expected and found of the first fault, and the number of others.

    Examples
    --------
    >>> evidence = load("data")
    >>> evidence.studies.loc[2, "study_id"]
    'alejandro2008citr'
    """
    evidence, faults = read_all(Path(folder))
    faults = [fault for fault in faults if not fault.anomaly_id]
    if faults:
        raise DataError(message(faults))
    return evidence


def read_all(folder: Path) -> tuple[Evidence | None, list[Fault]]:
    """Return the tables and all faults; no tables if a cell, a key or the format of a file has a fault.

    Raises
    ------
    DataError
        If ``datapackage.json`` itself cannot be used.
    """
    schema = read_schema(folder)
    if missing := sorted(set(TABLES) - set(schema.tables)):
        raise DataError(f"{FILE}: expected the tables {', '.join(TABLES)}, found none named {', '.join(missing)}")
    text, faults = read_text(folder, schema)
    if faults:
        return None, faults
    frames = {name: _frame(schema.tables[name], text[name]) for name in TABLES}
    evidence = Evidence(**frames, folder=folder, fingerprint=files.fingerprint(folder))
    return evidence, rules.faults(evidence, schema)


def read_text(folder: Path, schema: Schema) -> tuple[dict[str, dict[str, list[str]]], list[Fault]]:
    """Return all tables as columns of text, and faults of format, cells and keys."""
    text: dict[str, dict[str, list[str]]] = {}
    faults: list[Fault] = []
    for name, table in schema.tables.items():
        rows, wrong = read_rows(folder, table)
        columns = list(zip(*rows, strict=True)) or [()] * len(table.columns)
        text[name] = {column.name: list(values) for column, values in zip(table.columns, columns, strict=True)}
        for column in table.columns:
            wrong += cell_faults(table, column, text[name][column.name])
        faults += wrong or duplicates(table, text[name])
    if not faults:  # otherwise each row that refers to an unreadable table would be reported
        for table in schema.tables.values():
            faults += orphans(table, schema.tables, text)
    return text, faults


def _frame(table: TableSchema, text: dict[str, list[str]]) -> pd.DataFrame:
    """Return typed columns: float64 for numbers, text otherwise."""
    lines = pd.RangeIndex(2, 2 + len(text[table.names[0]]), name="line")
    return pd.DataFrame({column.name: _series(column.numeric, text[column.name], lines) for column in table.columns})


def _series(numeric: bool, values: list[str], lines: pd.RangeIndex) -> pd.Series:
    if numeric:
        return pd.Series([float(value or "nan") for value in values], index=lines, dtype="float64")
    return pd.Series(values, index=lines, dtype=TEXT)
