"""The data dictionary as a page: every table and every column, made from ``datapackage.json``."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from markupsafe import Markup

from cellclaims.evidence.dictionary import BEGIN
from cellclaims.evidence.schema import Column, ForeignKey, Schema, TableSchema, read_schema
from sitepages import SiteError
from sitepages.ledger_page import scrolled
from sitepages.raw import escaped, raw

COLUMNS = ("column", "meaning", "type", "unit", "allowed values", "example")


def dictionary_page(folder: Path) -> str:
    """Return the page of the dictionary as Markdown: the conventions of ``README.md``, then a section for each table.

    Raises
    ------
    DataError
        If ``datapackage.json`` cannot be used.
    SiteError
        If ``README.md`` does not say where its own dictionary begins.
    """
    before, mark, _ = (folder / "README.md").read_text(encoding="utf-8").partition(BEGIN)
    if not mark:
        raise SiteError(f"{folder / 'README.md'}: expected the line {BEGIN}, found none")
    schema = read_schema(folder)
    overview = raw(_overview(schema, folder))
    sections = [_section(table, schema) for table in schema.tables.values()]
    return "\n\n".join([before.rstrip(), overview, *sections]) + "\n"


def anchor_of(table: str, column: str = "") -> str:
    """Return the anchor of a table, or of one of its columns.

    Examples
    --------
    >>> anchor_of("pooled_elsewhere"), anchor_of("arms", "n_analysed")
    ('table-pooled-elsewhere', 'arms.n_analysed')
    """
    return f"{table}.{column}" if column else "table-" + table.replace("_", "-")


def _overview(schema: Schema, folder: Path) -> Markup:
    """Return all tables with their files for download, and their numbers of rows."""
    head = Markup().join(
        Markup('<th scope="col">{}</th>').format(name) for name in ("table", "file", "rows", "a row is")
    )
    rows = [_file_row(table, folder) for table in schema.tables.values()]
    return scrolled("Tables of the data package", head, Markup("\n").join(rows))


def _file_row(table: TableSchema, folder: Path) -> Markup:
    row = Markup(
        '<tr><td><a href="#{}">{}</a></td><td><a href="../downloads/data/{}" download><code>{}</code></a></td>'
        '<td class="number">{}</td><td>{}</td></tr>'
    )
    lines = len((folder / table.path).read_text(encoding="utf-8").splitlines()) - 1
    return row.format(anchor_of(table.name), table.title, table.path, table.path, lines, table.description)


def _section(table: TableSchema, schema: Schema) -> str:
    head = Markup().join(Markup('<th scope="col">{}</th>').format(name) for name in COLUMNS)
    rows = Markup("\n").join(_row(table, column) for column in table.columns)
    parts = [
        f"({anchor_of(table.name)})=",
        f"### {escaped(table.title)}",
        raw(_about(table, schema)),
        raw(scrolled(f"Columns of {table.path}", head, rows)),
    ]
    return "\n\n".join(parts)


def _about(table: TableSchema, schema: Schema) -> Markup:
    first = Markup("<p>{} File: <code>{}</code>.</p>").format(table.description, table.path)
    keys = Markup(" ").join(_keys(table, schema))
    return first + (Markup("<p>{}</p>").format(keys) if keys else Markup())


def _keys(table: TableSchema, schema: Schema) -> Iterable[Markup]:
    if table.primary_key:
        yield Markup("Key: {}.").format(_names(table.name, table.primary_key))
    for key in table.foreign_keys:
        yield _leads(table, key, schema)


def _leads(table: TableSchema, key: ForeignKey, schema: Schema) -> Markup:
    other = schema.tables[key.table]
    words = Markup('{} refers to <a href="#{}">{}</a>.')
    return words.format(_names(table.name, key.columns), anchor_of(other.name), other.title)


def _names(table: str, columns: Iterable[str]) -> Markup:
    link = Markup('<a href="#{}"><code>{}</code></a>')
    return Markup(" + ").join(link.format(anchor_of(table, column), column) for column in columns)


def _row(table: TableSchema, column: Column) -> Markup:
    row = Markup(
        '<tr id="{}"><th scope="row"><code>{}</code><br>{}</th>'
        "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>"
    )
    example = Markup("<code>{}</code>").format(column.example) if column.example else ""
    kind = column.type + (", must be filled" if column.required else "") + (", unique" if column.unique else "")
    return row.format(
        anchor_of(table.name, column.name),
        column.name,
        column.title,
        column.description,
        kind,
        column.unit,
        _allowed(column),
        example,
    )


def _allowed(column: Column) -> Markup:
    """Return the allowed values: a list, a range, or a pattern."""
    if column.enum:
        return Markup(", ").join(Markup("<code>{}</code>").format(value) for value in column.enum)
    if column.pattern:
        return Markup("<code>{}</code>").format(column.pattern)
    limits = {"from": column.minimum, "to": column.maximum}
    return Markup(" ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None))
