"""The data dictionary: ``datapackage.json`` as Markdown tables, between two marks in ``data/README.md``.

``evidence.write_dictionary("data")`` updates ``data/README.md``; a test fails if it is out of date.
"""

from __future__ import annotations

from pathlib import Path

from cellclaims import files
from cellclaims.errors import DataError
from cellclaims.evidence.schema import Column, Schema, TableSchema, read_schema

BEGIN = "<!-- data dictionary: made from datapackage.json by cellclaims.evidence.write_dictionary -->"
END = "<!-- end of the data dictionary -->"
HEAD = "| column | type | required | unit | allowed | meaning |\n|---|---|---|---|---|---|"


def dictionary(folder: str | Path = "data") -> str:
    """Return all tables and columns of a data folder as Markdown.

    Raises
    ------
    DataError
        If ``datapackage.json`` cannot be used.

    Examples
    --------
    >>> print(dictionary("data").splitlines()[0])
    ### Advertisements: `advertised/documents.csv`
    """
    schema = read_schema(folder)
    return "\n\n".join(_table(table, schema) for table in schema.tables.values())


def write_dictionary(folder: str | Path = "data") -> None:
    """Write the dictionary into ``folder/README.md`` between its two marks; other text is kept.

    Raises
    ------
    DataError
        If ``README.md`` does not contain the two marks.
    """
    readme = Path(folder) / "README.md"
    before, mark, rest = readme.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (mark and end):
        raise DataError(
            f"{readme.name}: expected the marks {BEGIN} and {END}, found {'one' if mark else 'none'} of them"
        )
    files.write_atomically(readme, f"{before}{BEGIN}\n\n{dictionary(folder)}\n\n{END}{after}")


def _table(table: TableSchema, schema: Schema) -> str:
    parts = [f"### {table.title}: `{table.path}`", table.description]
    if keys := _keys(table, schema):
        parts.append(keys)
    return "\n\n".join([*parts, "\n".join([HEAD, *map(_row, table.columns)])])


def _keys(table: TableSchema, schema: Schema) -> str:
    sentences = [f"Key: {_code(table.primary_key)}."] if table.primary_key else []
    leads = [f"{_code(key.columns)} refers to `{schema.tables[key.table].path}`." for key in table.foreign_keys]
    return " ".join(sentences + leads)


def _row(column: Column) -> str:
    cells = [
        f"`{column.name}`",
        column.type,
        "yes" if column.required else "",
        column.unit,
        _allowed(column),
        column.description + (f" (as `{column.example}`)" if column.example else ""),
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _allowed(column: Column) -> str:
    if column.enum:
        return ", ".join(f"`{value}`" for value in column.enum)
    limits = [f"from {column.minimum:g}"] if column.minimum is not None else []
    if column.maximum is not None:
        limits.append(f"to {column.maximum:g}")
    return " ".join(limits) or (f"`{column.pattern}`" if column.pattern else "")


def _code(names: tuple[str, ...]) -> str:
    return " + ".join(f"`{name}`" for name in names)
