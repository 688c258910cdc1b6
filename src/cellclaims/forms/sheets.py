"""The sheets of a form, made from ``data/datapackage.json``: a workbook for Excel and LibreOffice, or YAML.

A sheet is a table of ``data/`` without what the program fills in: the study's name, which is asked once, and numbers of
rows. Headings are the titles of the columns; a comment on each gives its meaning, unit and limits.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellclaims import protocol
from cellclaims.errors import FormError
from cellclaims.evidence.schema import Column, Schema, TableSchema, read_schema
from cellclaims.files import NUMBER, write_atomically
from cellclaims.harvest.held import Cells, read_held

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet


@dataclass(frozen=True)
class FormSheet:
    """One sheet of a form.

    Attributes
    ----------
    title : str
        Name of the sheet; in YAML, in lower case, the key.
    table : str
        The table that its rows go to.
    needed : bool
        Whether a form without a row of it is refused.
    filled : tuple of str
        Columns of the table that the program fills in.
    """

    title: str
    table: str
    needed: bool = False
    filled: tuple[str, ...] = ("study_id",)

    @property
    def key(self) -> str:
        """Name of the sheet in a YAML form."""
        return self.title.lower()

    def columns(self, schema: Schema) -> list[Column]:
        """The columns that a person fills in."""
        return [column for column in schema.tables[self.table].columns if column.name not in self.filled]


STUDY = (
    FormSheet("Study", "studies", needed=True, filled=()),
    FormSheet("Arms", "arms", needed=True),
    FormSheet("Patients", "cohorts", needed=True),
    FormSheet("Sources", "sources", needed=True),
    FormSheet("Means", "continuous"),
    FormSheet("Counts", "binary"),
    FormSheet("Comparisons", "contrasts"),
    FormSheet("Judgements", "judgements", filled=("judgement_id", "study_id")),
)
CLAIMS = (
    FormSheet("Advertisement", "documents", needed=True, filled=()),
    FormSheet("Claims", "claims", needed=True, filled=("supersedes",)),
)
#: What a form is about -> its sheets.
FORMS = {"study": STUDY, "claims": CLAIMS}

#: First column of every sheet of a workbook: a row marked so is not read.
MARK, EXAMPLE = "Mark", "example"
GUIDE, LISTS = "Read me", "Allowed values"
#: Rows of a sheet that have lists and formats.
ROWS = 300
ENDINGS = (".xlsx", ".yml", ".yaml")
#: Column of a form -> the sheet and column whose values it may have.
POINTS = {
    "arm_id": ("Arms", "arm_id"),
    "part_of": ("Arms", "arm_id"),
    "treatment_arm": ("Arms", "arm_id"),
    "control_arm": ("Arms", "arm_id"),
    "source_id": ("Sources", "source_id"),
    "document_id": ("Advertisement", "document_id"),
}
TYPE_WORDS = {"integer": "a whole number", "number": "a number", "date": "a date as 2026-11-20", "string": "text"}
WORDS = {
    "study": (
        "A form for one study",
        "Fill in one row on the sheet Study, then its arms, whose patients they are, what was read, and the results.",
        "cellclaims add {name} --preview",
        "lists every fault with its sheet, row and column, and shows which pools the study would change.",
        "cellclaims add {name} --yes",
        "adds all of it to the tables, or nothing.",
    ),
    "claims": (
        "A form for the claims of one advertisement",
        "Fill in one row on the sheet Advertisement, and one row for each of its statements on the sheet Claims.",
        "cellclaims add {name} --preview",
        "lists every fault with its sheet, row and column.",
        "cellclaims add {name} --yes",
        "writes claims.csv and documents.csv into a separate folder (docs/another_advertisement.md).",
    ),
}
RULES = (
    "A heading with * must be filled. Leave a cell empty if the source does not say; never fill one from memory.",
    "Enter what the source prints. A comment on each heading gives its meaning, unit and limits.",
    "Rows marked 'example' in the first column are not read. Leave the mark of your own rows empty.",
    "Enter plain values: no formulas, no merged cells, no hidden rows or columns, no second row of headings.",
    "Sheets and columns may be in any order. A sheet that the study has nothing for may stay empty or be deleted.",
    "Lists of allowed values, and the meaning of each definition, are on the last sheet.",
)


def write_form(target: Path, folder: Path, *, about: str = "study", study: str = "") -> None:
    """Write an empty form, or the form of a study that the tables have.

    Parameters
    ----------
    target : Path
        The file: ``.xlsx`` for a workbook, ``.yml`` or ``.yaml`` for YAML. Never an existing one. Its name is the
        study_id that the form suggests.
    folder : Path
        The evidence, whose ``datapackage.json`` and ``protocol.yml`` give columns and allowed values.
    about : {"study", "claims"}
        What the form is for.
    study : str
        A study_id of the tables, whose rows are filled in; a new study if empty.

    Raises
    ------
    FormError
        If the file exists or has another ending, or the tables have no such study.
    """
    if target.suffix.lower() not in ENDINGS:
        raise FormError(f"{target}: expected a name that ends in {', '.join(ENDINGS)}, found {target.suffix or 'none'}")
    if target.exists():
        raise FormError(f"{target}: expected the name of a new file, found one: nothing is written over it")
    schema = read_schema(folder)
    rows = rows_of(folder, study) if study else _suggested(target.stem, about)
    make = workbook_form if target.suffix.lower() == ".xlsx" else yaml_form
    write_atomically(target, make(target.name, schema, about, rows, lists_of(folder, schema)))


def _suggested(stem: str, about: str) -> dict[str, list[Cells]]:
    """The first row of a new study, with a name made from the file's."""
    name = "".join(sign if sign.isascii() and (sign.isalnum() or sign == "_") else "_" for sign in stem)
    return {"studies": [{"study_id": name}]} if about == "study" else {}


def rows_of(folder: Path, study: str) -> dict[str, list[Cells]]:
    """The rows of a study by table, as the tables have them; each knows its line under ``line``.

    Raises
    ------
    FormError
        If there is no such study, with the nearest names.
    """
    held = read_held(folder)
    if not held.has("studies", "study_id", study):
        from cellclaims.yaml_files import one_of

        known = one_of(sorted(row["study_id"] for row in held.rows["studies"]), study)
        near = known[known.index("(") :] if "(" in known else ""
        raise FormError(
            f"--study: expected a study_id of published/studies.csv {near}, found {study!r}".replace("  ", " ")
        )
    return {sheet.table: [row for row in held.rows[sheet.table] if row["study_id"] == study] for sheet in STUDY}


def lists_of(folder: Path, schema: Schema) -> dict[str, list[tuple[str, str]]]:
    """Allowed values with what they mean: of definitions and of what answers a claim, which lie outside the schema."""
    held = read_held(folder)
    return {
        "definition_id": [(row["definition_id"], row["meaning"]) for row in held.rows["definitions"]],
        "answered_by": [(name, answer["name"]) for name, answer in protocol.load(folder)["answers"].items()],
    }


def heading(column: Column) -> str:
    """The heading of a column: its title, with a star where it must be filled."""
    return f"{column.title} *" if column.required else column.title


def meaning(column: Column) -> str:
    """What a column is, in sentences: meaning, unit, type, limits, and its name in the tables."""
    limits = [f"at least {column.minimum:g}"] if column.minimum is not None else []
    limits += [f"at most {column.maximum:g}"] if column.maximum is not None else []
    parts = [
        f"{column.description[:1].upper()}{column.description[1:]}.",
        f"Unit: {column.unit}." if column.unit else "",
        f"Enter {TYPE_WORDS[column.type]}{', ' + ' and '.join(limits) if limits else ''}.",
        "One of the list." if column.enum else "",
        f"Form: {column.pattern}" if column.pattern and len(column.pattern) < 60 else "",
        "Must be filled." if column.required else "",
        f"Column {column.name}.",
    ]
    return " ".join(part for part in parts if part)


# As a workbook.


def workbook_form(
    name: str,
    schema: Schema,
    about: str,
    rows: Mapping[str, Sequence[Cells]],
    lists: Mapping[str, Sequence[tuple[str, str]]],
) -> bytes:
    """The form as the bytes of an ``.xlsx`` file (:func:`write_form`)."""
    from openpyxl import Workbook

    book = Workbook()
    _guide(book.active, name, about)
    allowed = book.create_sheet(LISTS)
    ranges = _write_lists(allowed, schema, FORMS[about], lists)
    for number, sheet in enumerate(FORMS[about], start=1):
        page = book.create_sheet(sheet.title, number)
        columns = sheet.columns(schema)
        write_head(
            page, [MARK, *map(heading, columns)], ["Rows marked 'example' are not read.", *map(meaning, columns)]
        )
        example = schema.tables[sheet.table].example_row
        _write_row(page, 2, [EXAMPLE, *(example.get(column.name, "") for column in columns)], columns, is_example=True)
        for line, row in enumerate(rows.get(sheet.table, ()), start=3):
            _write_row(page, line, ["", *(row.get(column.name, "") for column in columns)], columns)
        _limit(page, sheet, columns, ranges, about)
    return bytes_of(book)


def bytes_of(book: Workbook) -> bytes:
    """A workbook as the bytes of its file."""
    content = io.BytesIO()
    book.save(content)
    return content.getvalue()


def _guide(page: Worksheet, name: str, about: str) -> None:
    from openpyxl.styles import Font

    page.title = GUIDE
    title, what, check, checks, add, adds = WORDS[about]
    lines = [title, "", what, *RULES, "", "When it is filled in:", f"    {check.format(name=name)}", checks]
    for number, line in enumerate([*lines, f"    {add.format(name=name)}", adds], start=1):
        put(page.cell(number, 1), line)
    page["A1"].font = Font(bold=True, size=14)
    page.column_dimensions["A"].width = 110


def write_head(page: Worksheet, headings: Sequence[str], comments: Sequence[str]) -> None:
    """Write a row of headings, each with a comment, that stays in sight."""
    from openpyxl.comments import Comment
    from openpyxl.styles import Alignment, Font, PatternFill
    from openpyxl.utils import get_column_letter

    for number, (text, about) in enumerate(zip(headings, comments, strict=True), start=1):
        cell = page.cell(1, number)
        put(cell, text)
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="DDEBF7" if text.endswith("*") else "F2F2F2")
        cell.alignment = Alignment(wrap_text=True, vertical="top")
        cell.comment = Comment(about, "cellclaims", height=120, width=320)
        page.column_dimensions[get_column_letter(number)].width = min(max(len(text) + 3, 12), 28)
    page.freeze_panes = "B2"


def _write_row(
    page: Worksheet, line: int, texts: Sequence[str], columns: Sequence[Column], *, is_example: bool = False
) -> None:
    from openpyxl.styles import Font

    for number, text in enumerate(texts, start=1):
        column = columns[number - 2] if number > 1 else None
        cell = page.cell(line, number)
        put(cell, text, numeric=bool(column and column.numeric))
        if column:
            cell.number_format = _shape(column)
        if is_example:
            cell.font = Font(italic=True, color="808080")


def _shape(column: Column) -> str:
    """The format of a column's cells: text as text, so that a spreadsheet makes no date and no number of it."""
    return "General" if column.numeric else "yyyy-mm-dd" if column.type == "date" else "@"


def put(cell: Any, text: str, *, numeric: bool = False) -> None:
    """Write text into a cell so that nothing of it is run: a number where the column has numbers, else as text."""
    if not text:
        return
    if numeric and NUMBER.fullmatch(text):
        number = float(text)
        cell.value = int(number) if number.is_integer() and "." not in text else number
        return
    cell.value = text
    cell.data_type = "s"  # openpyxl would take "=1+1" for a formula
    cell.quotePrefix = True


def _write_lists(
    page: Worksheet, schema: Schema, sheets: Iterable[FormSheet], lists: Mapping[str, Sequence[tuple[str, str]]]
) -> dict[tuple[str, str], str]:
    """Write every list of allowed values; sheet title and column name -> the range of its values."""
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    ranges, number = {}, 1
    for sheet in sheets:
        for column in sheet.columns(schema):
            values = lists.get(column.name, [(value, "") for value in column.enum])
            if not values:
                continue
            put(page.cell(1, number), f"{sheet.title}: {column.title}")
            page.cell(1, number).font = Font(bold=True)
            for line, (value, means) in enumerate(values, start=2):
                put(page.cell(line, number), value)
                put(page.cell(line, number + 1), means)
            letter = get_column_letter(number)
            page.column_dimensions[letter].width = 32
            ranges[sheet.title, column.name] = f"'{LISTS}'!${letter}$2:${letter}${len(values) + 1}"
            number += 2 if any(means for _, means in values) else 1
    return ranges


def _limit(
    page: Worksheet, sheet: FormSheet, columns: Sequence[Column], ranges: Mapping[tuple[str, str], str], about: str
) -> None:
    """Give the cells of a sheet their lists and limits, and the form that keeps a spreadsheet from changing text."""
    from openpyxl.utils import get_column_letter
    from openpyxl.worksheet.datavalidation import DataValidation

    others = {other.title: other for other in FORMS[about]}
    for number, column in enumerate(columns, start=2):
        letter = get_column_letter(number)
        where = f"{letter}3:{letter}{ROWS}"
        page.column_dimensions[letter].number_format = _shape(column)
        points = POINTS.get(column.name)
        if points and (points[0] != sheet.title or column.name == "part_of"):
            there = get_column_letter(_place(others[points[0]], points[1], page.parent))
            rule = DataValidation("list", formula1=f"'{points[0]}'!${there}$3:${there}${ROWS}", allow_blank=True)
        elif (sheet.title, column.name) in ranges:
            rule = DataValidation("list", formula1=ranges[sheet.title, column.name], allow_blank=True)
        elif column.numeric:
            least = "-1000000" if column.minimum is None else f"{column.minimum:g}"
            most = "1000000" if column.maximum is None else f"{column.maximum:g}"
            kind = "whole" if column.type == "integer" else "decimal"
            rule = DataValidation(kind, operator="between", formula1=least, formula2=most, allow_blank=True)
        else:
            continue
        rule.showErrorMessage = True
        rule.errorTitle, rule.error = column.title[:32], meaning(column)[:255]
        page.add_data_validation(rule)
        rule.add(where)


def _place(sheet: FormSheet, name: str, book: Workbook) -> int:
    """Number of a column on its sheet."""
    head = [cell.comment.text if cell.comment else "" for cell in book[sheet.title][1]]
    return next(number for number, text in enumerate(head, start=1) if f"Column {name}." in text)


# As YAML.


def yaml_form(
    name: str,
    schema: Schema,
    about: str,
    rows: Mapping[str, Sequence[Cells]],
    lists: Mapping[str, Sequence[tuple[str, str]]],
) -> bytes:
    """The form as YAML: what each key means in a comment, empty keys for the first row (:func:`write_form`)."""
    title, what, check, checks, add, adds = WORDS[about]
    lines = [f"# {line}" for line in (f"{title}.", what.replace("sheet ", "part "), RULES[0].replace("heading", "key"))]
    lines += [f"# {command.format(name=name)} {does}" for command, does in ((check, checks), (add, adds))]
    for sheet in FORMS[about]:
        table = schema.tables[sheet.table]
        lines += ["", f"# {table.description}"]
        columns = sheet.columns(schema)
        lines += [line for column in columns for line in _about(column, lists)]
        example = {column.name: table.example_row.get(column.name, "") for column in columns}
        lines += [f"# example: {_flow(example, columns)}", f"{sheet.key}:"]
        given = rows.get(sheet.table) or ([{}] if sheet.needed else [])
        lines[-1] += "" if given else " []"
        for row in given:
            lines += _block(row, columns)
    return ("\n".join(lines) + "\n").encode()


def _about(column: Column, lists: Mapping[str, Sequence[tuple[str, str]]]) -> Iterator[str]:
    star = " *" if column.required else ""
    allowed = [value for value, _ in lists.get(column.name, ())] or list(column.enum)
    words = f"{column.name}{star}: {meaning(column)}" + (f" Allowed: {', '.join(allowed)}." if allowed else "")
    yield from textwrap.wrap(words, 116, initial_indent="#   ", subsequent_indent="#     ", break_long_words=False)


def _scalar(text: str, column: Column) -> str:
    """A value as YAML: a number as it is written, all else in quotes."""
    if column.numeric and NUMBER.fullmatch(text):
        return text
    return "'" + text.replace("'", "''") + "'"


def _flow(row: Cells, columns: Sequence[Column]) -> str:
    return "{" + ", ".join(f"{c.name}: {_scalar(row[c.name], c)}" for c in columns if row.get(c.name)) + "}"


def _block(row: Cells, columns: Sequence[Column]) -> Iterator[str]:
    """One row as an item of a list, a key a line; keys without a value stay to be filled."""
    for number, column in enumerate(columns):
        value = row.get(column.name, "")
        start = "  - " if number == 0 else "    "
        yield f"{start}{column.name}:" + (f" {_scalar(value, column)}" if value else "")


# The evidence as a workbook, to read and to send.


def evidence_workbook(folder: Path) -> bytes:
    """All tables of a data folder as one workbook, a sheet each, with the meaning of each column as a comment.

    Text that a spreadsheet would run as a formula stays text.
    """
    from openpyxl import Workbook

    held = read_held(folder)
    book = Workbook()
    _contents(book.active, held.schema.tables.values(), held.rows)
    for table in held.schema.tables.values():
        page = book.create_sheet(table.name[:31])
        write_head(page, table.names, [meaning(column) for column in table.columns])
        for line, row in enumerate(held.rows[table.name], start=2):
            for number, column in enumerate(table.columns, start=1):
                put(page.cell(line, number), row[column.name], numeric=column.numeric)
    return bytes_of(book)


def _contents(page: Worksheet, tables: Iterable[TableSchema], rows: Mapping[str, Sequence[Cells]]) -> None:
    page.title = "Contents"
    for line, cells in enumerate(
        [("sheet", "rows", "title", "what a row is"),
         *((table.name, str(len(rows[table.name])), table.title, table.description) for table in tables)],
        start=1,
    ):  # fmt: skip
        for number, text in enumerate(cells, start=1):
            put(page.cell(line, number), text, numeric=number == 2)
    for letter, width in zip("ABCD", (22, 8, 40, 110), strict=True):
        page.column_dimensions[letter].width = width
