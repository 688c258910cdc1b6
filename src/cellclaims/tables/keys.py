"""Keys: what must be there once, and what must be found in another table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cellclaims.tables.faults import Fault
from cellclaims.tables.schema import ForeignKey, Table

Cells = Mapping[str, list[str]]  # one table: column name -> its cells in order


def duplicates(table: Table, cells: Cells) -> Iterator[Fault]:
    """Rows whose primary key, or whose value in a unique column, stands in an earlier row."""
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


def orphans(table: Table, tables: Mapping[str, Table], cells: Mapping[str, Cells]) -> Iterator[Fault]:
    """Rows that name something another table does not hold."""
    for key in table.foreign_keys:
        known = set(_tuples(cells[key.table], key.reference))
        for line, values in enumerate(_tuples(cells[table.name], key.columns), start=2):
            if any(values) and values not in known:
                yield _orphan(table, tables[key.table], key, line, values)


def _orphan(table: Table, target: Table, key: ForeignKey, line: int, values: tuple[str, ...]) -> Fault:
    expected = f"a row of {target.path} with this {_words(key.reference)}"
    return Fault(table.path, line, _words(key.columns), "foreign_key", expected, _words(values))


def _tuples(cells: Cells, names: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    return zip(*(cells[name] for name in names), strict=True)


def _words(values: tuple[str, ...]) -> str:
    return ", ".join(value or "(empty)" for value in values)
