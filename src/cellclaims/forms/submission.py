"""A filled-in form, read: a workbook of Excel or LibreOffice, or YAML, as rows of text that know where they came from.

Nothing is guessed. What a spreadsheet does to values is either accepted with a note (a number typed as text, spaces
around a word, sheets in another order) or refused with a message (a formula, a merged cell, a hidden row, a value that
became a date, a comma in a number); docs/add_a_study.md has the list.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellclaims import yaml_files
from cellclaims.errors import Fault, FormError, KeyFault, SheetFault
from cellclaims.evidence.schema import Column, Schema, cell_faults
from cellclaims.files import NUMBER, runs
from cellclaims.forms.sheets import CLAIMS, ENDINGS, EXAMPLE, FORMS, GUIDE, LISTS, MARK, STUDY, FormSheet, heading
from cellclaims.harvest.held import Cells, one_line
from cellclaims.yaml_files import one_of

if TYPE_CHECKING:
    from openpyxl.cell import Cell
    from openpyxl.worksheet.worksheet import Worksheet

#: Most bytes of a workbook when unpacked, and rows of a sheet: a form has a few hundred rows.
LARGEST, MOST_ROWS = 100_000_000, 5_000
#: Digits of a number that a spreadsheet shows; the rest is noise of its arithmetic.
DIGITS = 15
#: What makes a formula of text that starts with a sign: a call, another program, another sheet.
CALLS = re.compile(r"[A-Za-z0-9_.]\(|[|!]")
#: Heading of the first column.
MARKED = MARK.casefold()
#: Notes on single cells that are listed one by one, per kind; the rest is counted.
LISTED = 3


@dataclass(frozen=True)
class FormRow:
    """One row of a form: its cells by column, what makes a fault of one of them, and which were refused as read."""

    cells: Cells
    blame: Callable[[str, str, str, str], Fault] = field(repr=False)
    refused: frozenset[str] = frozenset()

    def fault(self, column: str, rule: str, expected: str, found: str) -> Fault:
        """A fault of this row, with its place in the form; ``column`` is empty for the whole row."""
        return self.blame(column, rule, expected, found)


@dataclass
class Submission:
    """What a form has.

    Attributes
    ----------
    name : str
        Name of the file.
    about : {"study", "claims"}
    rows : dict of str to list of FormRow
        Table -> its rows; a sheet that the form does not have is not a key.
    notes : list of str
        What was accepted although it is not as the form asks.
    faults : list of Fault
        What is wrong with the form, its cells included.
    """

    name: str
    about: str
    rows: dict[str, list[FormRow]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    @property
    def study(self) -> str:
        """The study_id of the form; empty where it names none."""
        rows = self.rows.get("studies", [])
        return rows[0].cells["study_id"] if rows else ""


def read_form(path: Path, schema: Schema) -> Submission:
    """Read a filled-in form, with every fault of its cells.

    Parameters
    ----------
    path : Path
        ``.xlsx``, ``.yml`` or ``.yaml``.
    schema : Schema
        What the tables declare.

    Returns
    -------
    Submission
        With faults where something is wrong; keys and the rules of the review are not looked at.

    Raises
    ------
    FormError
        If the file cannot be read at all: missing, of another kind, protected by a password, too large.
    """
    if path.suffix.lower() not in ENDINGS:
        raise FormError(
            f"{path}: expected a form in {', '.join(ENDINGS)}, found {path.suffix or 'no ending'}: save it as .xlsx"
        )
    if not path.is_file():
        raise FormError(f"{path}: expected a form, found no such file")
    read = _read_workbook if path.suffix.lower() == ".xlsx" else _read_yaml
    form = read(path, schema)
    _finish(form, schema)
    return form


def _finish(form: Submission, schema: Schema) -> None:
    """Fill in the study, and find what is wrong with single cells and with the number of rows."""
    sheets = FORMS[form.about]
    for sheet in sheets:
        rows = form.rows.get(sheet.table)
        if sheet.needed and not rows and not _is_blamed(form, sheet):
            form.faults.append(_of_sheet(form, sheet, "needed", "at least one row", "none"))
        if sheet.needed and sheet is sheets[0]:
            for more in (rows or ())[1:]:
                what = f"one {'study' if form.about == 'study' else 'advertisement'} in a form"
                form.faults.append(more.fault("", "one", what, "another row"))
    for sheet in sheets:
        table = schema.tables[sheet.table]
        rows = form.rows.get(sheet.table, [])
        for row in rows:
            row.cells.update(dict.fromkeys(sheet.filled, "") | {"study_id": form.study} if sheet.filled else {})
        for column in sheet.columns(schema):
            for fault in cell_faults(table, column, [row.cells[column.name] for row in rows]):
                row = rows[fault.row - 2]
                if column.name in row.refused:
                    continue
                found = fault.found
                if fault.rule == "type" and "," in found and NUMBER.fullmatch(row.cells[column.name].replace(",", ".")):
                    found += f": enter it with a point, as {row.cells[column.name].replace(',', '.')}"
                form.faults.append(row.fault(column.name, fault.rule, fault.expected, found))
            for row in rows:
                if is_formula(text := row.cells[column.name]):
                    found = f"text that a spreadsheet runs: {text[:80]!r}"
                    form.faults.append(row.fault(column.name, "formula", "words", found))


def is_formula(text: str) -> bool:
    """Whether text could be run by a spreadsheet that opens the tables.

    Sources print "-10 vs -47" and "+/- not labelled": what starts with a sign is refused only where it could call a
    program or a function.

    Examples
    --------
    >>> is_formula("=1+1"), is_formula("-2+3+cmd|' /C calc'!A0"), is_formula("+SUM(1)"), is_formula("-10 vs -47 (SE)")
    (True, True, True, False)
    """
    return runs(text) and (text.lstrip()[:1] not in "+-" or bool(CALLS.search(text)))


def _is_blamed(form: Submission, sheet: FormSheet) -> bool:
    """Whether a sheet has a fault already, so that its missing rows follow from that."""
    return any(getattr(fault, "sheet", "") == sheet.title for fault in form.faults)


def _of_sheet(form: Submission, sheet: FormSheet, rule: str, expected: str, found: str) -> Fault:
    if form.name.lower().endswith(".xlsx"):
        return SheetFault(form.name, None, "", rule, expected, found, sheet=sheet.title)
    return KeyFault(form.name, None, sheet.key, rule, expected, found)


# A workbook.


def _read_workbook(path: Path, schema: Schema) -> Submission:
    import openpyxl

    _refuse_unreadable(path)
    try:
        book = openpyxl.load_workbook(path, keep_links=False)
    except Exception as error:  # openpyxl raises what its parts raise
        raise FormError(
            f"{path}: expected a workbook that can be read, found {type(error).__name__}: {error}"
        ) from None
    pages = {page.title.strip().casefold(): page for page in book.worksheets}
    about = "claims" if not {s.key for s in STUDY} & {*pages} and {s.key for s in CLAIMS} & {*pages} else "study"
    form = Submission(path.name, about)
    known = {sheet.key for sheet in FORMS[about]} | {GUIDE.casefold(), LISTS.casefold()}
    for title, page in pages.items():
        if title not in known and page.calculate_dimension() != "A1:A1":
            form.notes.append(f"sheet {page.title}: not a sheet of the form, not read")
    for sheet in FORMS[about]:
        if sheet.key not in pages:
            if sheet.needed:
                form.faults.append(_of_sheet(form, sheet, "sheet", f"the sheet {sheet.title}", _titles(pages.values())))
            else:
                form.notes.append(f"sheet {sheet.title}: not in the form, nothing to add from it")
            continue
        _Page(form, sheet, pages[sheet.key], sheet.columns(schema), schema.tables[sheet.table].example_row).read()
    wanted = [sheet.key for sheet in FORMS[about] if sheet.key in pages]
    if [title for title in pages if title in wanted] != wanted:
        form.notes.append("sheets: in another order than in the form, read by their names")
    return form


def _refuse_unreadable(path: Path) -> None:
    """Refuse a file that is no workbook, or one that unpacks to more than a form can be."""
    try:
        with zipfile.ZipFile(path) as packed:
            size = sum(part.file_size for part in packed.infolist())
    except (OSError, zipfile.BadZipFile):
        found = "another kind of file, or one with a password"
        raise FormError(f"{path}: expected a workbook saved as .xlsx, found {found}") from None
    if size > LARGEST:
        raise FormError(f"{path}: expected at most {LARGEST:,} bytes when unpacked, found {size:,}")


def _titles(pages: Iterable[Worksheet]) -> str:
    return ", ".join(page.title for page in pages) or "no sheets"


class _Page:
    """Reads one sheet of a workbook into a form."""

    def __init__(
        self, form: Submission, sheet: FormSheet, page: Worksheet, columns: Sequence[Column], example: Mapping[str, str]
    ) -> None:
        self.form, self.sheet, self.page, self.columns, self.example = form, sheet, page, columns, example
        self.where: dict[int, Column | None] = {}
        self.names: dict[str, Column] = {}
        self.noted: dict[str, list[str]] = {}

    def wrong(self, row: int | None, column: str, rule: str, expected: str, found: str) -> None:
        """Add a fault of the sheet."""
        self.form.faults.append(self.made(row, column, rule, expected, found))

    def made(self, row: int | None, column: str, rule: str, expected: str, found: str) -> SheetFault:
        """A fault of the sheet."""
        return SheetFault(self.form.name, row, column, rule, expected, found, sheet=self.sheet.title)

    def note(self, kind: str, place: str) -> None:
        """Note what was accepted; many of one kind become one note."""
        self.noted.setdefault(kind, []).append(place)

    def read(self) -> None:
        """Read headings and rows, or report why they cannot be read."""
        if self.page.sheet_state != "visible":
            self.wrong(None, "", "hidden", "a sheet that can be seen", "a hidden sheet: show it, or delete it")
            return
        if self.page.max_row > MOST_ROWS:
            self.wrong(None, "", "rows", f"at most {MOST_ROWS} rows", str(self.page.max_row))
            return
        if not self._head():
            return
        self._merged()
        self._hidden()
        self.form.rows[self.sheet.table] = list(self._rows())
        for kind, places in self.noted.items():
            more = f" and {len(places) - LISTED} more" if len(places) > LISTED else ""
            self.form.notes.append(f"sheet {self.sheet.title}: {kind} ({', '.join(places[:LISTED])}{more})")

    def _head(self) -> bool:
        """Find the column of each heading; False where that cannot be done."""
        names = self.names = self._names()
        found = {n: _folded(cell.value) for n, cell in enumerate(self.page[1], start=1) if _folded(cell.value)}
        if not any(text in names for text in found.values()):
            for row in range(2, min(self.page.max_row, 6) + 1):
                if sum(_folded(cell.value) in names for cell in self.page[row]) > 1:
                    self.wrong(row, "", "heading", "the headings in row 1", f"them in row {row}: delete the rows above")
                    return False
            self.wrong(
                1, "", "heading", f"headings such as {', '.join(map(heading, self.columns[:3]))}", "none of them"
            )
            return False
        count = len(self.form.faults)
        for number, text in found.items():
            column = names.get(text) or self._named_in_comment(number)
            if column is None and text != MARKED and self._is_filled(number):
                self.wrong(1, self._letter(number), "heading", one_of([c.title for c in self.columns], text),
                           repr(str(self.page.cell(1, number).value)))  # fmt: skip
            elif column is not None and column in self.where.values():
                self.wrong(1, self._letter(number), "heading", "each heading once", f"{column.title} again")
            self.where[number] = column
        for number in range(1, self.page.max_column + 1):
            if number not in found and self._is_filled(number):
                self.wrong(1, self._letter(number), "heading", "a heading above the values", "none")
        missing = [column for column in self.columns if column not in self.where.values()]
        for column in missing:
            if column.required:
                self.wrong(1, "", "heading", f"the heading {column.title}", "no such heading")
            else:
                self.note("no such column, taken as empty", column.title)
        if not missing:
            order = [column.name for column in self.where.values() if column]
            if order != [column.name for column in self.columns]:
                self.note("columns in another order, read by their headings", f"{len(order)} columns")
        return len(self.form.faults) == count

    def _names(self) -> dict[str, Column]:
        """The headings that the sheet may have, as they are compared: the titles, or the names of the table."""
        ways = [{_folded(getattr(column, way)): column for column in self.columns} for way in ("title", "name")]
        heads = [{_folded(cell.value) for cell in self.page[row]} for row in range(1, min(self.page.max_row, 6) + 1)]
        return max(ways, key=lambda names: max(len(names.keys() & head) for head in heads))

    def _named_in_comment(self, number: int) -> Column | None:
        """The column that the comment on a heading names: a form of an earlier version may have other headings."""
        comment = self.page.cell(1, number).comment
        named = re.search(r"Column (\w+)\.\s*$", comment.text) if comment else None
        column = next((column for column in self.columns if named and column.name == named[1]), None)
        if column:
            self.note("a heading of another version, read by its comment", column.title)
        return column

    def _is_filled(self, number: int) -> bool:
        """Whether a column has a value below its heading."""
        return any(self.page.cell(row, number).value not in (None, "") for row in range(2, self.page.max_row + 1))

    def _letter(self, number: int) -> str:
        from openpyxl.utils import get_column_letter

        column = self.where.get(number)
        return get_column_letter(number) + (f" ({column.title})" if column else "")

    def _merged(self) -> None:
        for cells in self.page.merged_cells.ranges:
            if cells.min_col <= max(self.where):
                found = f"the merged cells {cells.coord}: unmerge them, and fill in each"
                self.wrong(cells.min_row, "", "merged", "one value in each cell", found)

    def _hidden(self) -> None:
        """Refuse hidden rows and columns that have values: nobody saw them when the form was filled in."""
        for number, row in self.page.row_dimensions.items():
            if row.hidden and any(cell.value not in (None, "") for cell in self.page[number]):
                self.wrong(number, "", "hidden", "rows that can be seen", "a hidden row: show it, or delete it")
        for dimension in self.page.column_dimensions.values():
            if not dimension.hidden:
                continue
            first = dimension.min or 1
            for number in range(first, min(dimension.max or first, self.page.max_column) + 1):
                if self._is_filled(number):
                    found = "a hidden column: show it, or delete it"
                    self.wrong(1, self._letter(number), "hidden", "columns that can be seen", found)

    def _rows(self) -> Iterator[FormRow]:
        mark = next((n for n in range(1, self.page.max_column + 1) if _folded(self.page.cell(1, n).value) == MARKED), 0)
        for number in range(2, self.page.max_row + 1):
            values = {n: self.page.cell(number, n) for n, column in self.where.items() if column}
            if all(cell.value in (None, "") for cell in values.values()):
                continue
            marked = _folded(self.page.cell(number, mark).value) if mark else ""
            again = [cell for n, cell in values.items() if self.names.get(_folded(cell.value)) == self.where[n]]
            if len(again) > 1:
                self.wrong(number, "", "heading", "one row of headings", "a second one: delete it")
                continue
            if marked:
                self._marked(number, marked, values)
                continue
            cells = dict.fromkeys((column.name for column in self.columns), "")
            refused = set()
            for n, cell in values.items():
                column = self.where[n]
                if why := _refused(cell, column):
                    self.wrong(number, self._letter(n), *why)
                    refused.add(column.name)
                else:
                    cells[column.name] = self._text(cell, column, number)
            yield FormRow(cells, self._blamed(number), frozenset(refused))

    def _marked(self, number: int, mark: str, values: Mapping[int, Cell]) -> None:
        """Pass over the example; refuse any other marked row, and an example that somebody wrote over."""
        if mark != EXAMPLE:
            self.wrong(number, MARK, "mark", f"'{EXAMPLE}' or nothing", repr(mark))
            return
        for n, cell in values.items():
            column = self.where[n]
            text, example = plain(cell.value), self.example.get(column.name, "")
            if text != example and not (column.numeric and _is_same_number(text, example)):
                found = (
                    f"{column.title} {text!r} in a row that is marked as the example: clear the mark to have it read"
                )
                self.wrong(number, MARK, "mark", f"the example as it was ({example or 'empty'})", found)
                return

    def _blamed(self, number: int) -> Callable[[str, str, str, str], Fault]:
        letters = {column.name: self._letter(n) for n, column in self.where.items() if column}
        return lambda column, *words: self.made(number, letters.get(column, column), *words)

    def _text(self, cell: Cell, column: Column, row: int) -> str:
        """The text of a cell as a table has it."""
        value, place = cell.value, f"row {row}, {column.title}"
        if value in (None, ""):
            return ""
        text = plain(value)
        if isinstance(value, str):
            clean = one_line(value)
            if clean != value:
                self.note("spaces, line breaks or hidden characters taken out", place)
            text = clean
            if column.numeric and NUMBER.fullmatch(text):
                self.note("a number typed as text, taken as the number", place)
        elif column.type == "string" and not isinstance(value, bool):
            self.note("a number in a column of text, taken as its digits", place)
        return text


def _refused(cell: Cell, column: Column) -> tuple[str, str, str] | None:
    """Why a cell is refused, as rule, expected and found; None for one that is accepted."""
    value = cell.value
    if value in (None, ""):
        return None
    if cell.data_type == "f":
        formula = getattr(value, "text", value)
        return "formula", "a value", f"the formula {str(formula)[:80]!r}: enter its result"
    if cell.data_type == "e":
        return "error", "a value", f"the spreadsheet's error {value}"
    if isinstance(value, bool):
        return "truth", "text or a number", f"the truth value {str(value).upper()}: enter yes or no as text"
    if isinstance(value, datetime | date | time) or type(value).__name__ == "timedelta":
        if column.type == "date" and _day(value):
            return None
        what = "a date without a time" if column.type == "date" else "no date"
        found = f"{value} (the spreadsheet made a date of it: format the cell as text, and enter it again)"
        return "date", what, found
    if isinstance(value, int | float) and "%" in (cell.number_format or "") and column.numeric:
        return "percent", f"{100 * value:.{DIGITS}g} as a plain number", f"{value:.{DIGITS}g}, shown as a percentage"
    return None


def _day(value: Any) -> str:
    """A date as text; empty for a time, or for a date with a time of day."""
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else ""
    return value.isoformat() if isinstance(value, date) else ""


def plain(value: Any) -> str:
    """The value of a cell as text: a number without the noise of a spreadsheet's arithmetic, a date as 2026-11-20."""
    if value is None:
        return ""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return _number_text(value)
    return _day(value) or str(value)


def _number_text(value: float) -> str:
    """A number in plain digits.

    Examples
    --------
    >>> _number_text(12.0), _number_text(0.1 + 0.2), _number_text(0.00001), _number_text(7)
    ('12', '0.3', '0.00001', '7')
    """
    text = f"{value:.{DIGITS}g}"
    return f"{value:.20f}".rstrip("0") if "e-" in text and abs(value) > 1e-15 else text


def _is_same_number(one: str, other: str) -> bool:
    """Whether two texts are one number.

    Examples
    --------
    >>> _is_same_number("8.0", "8"), _is_same_number("8", ""), _is_same_number("a", "a")
    (True, False, False)
    """
    return bool(NUMBER.fullmatch(one) and NUMBER.fullmatch(other)) and float(one) == float(other)


def _folded(value: Any) -> str:
    """A heading as headings are compared: one line, small letters, no star."""
    return one_line(str(value)).rstrip("*").strip().casefold() if value is not None else ""


# YAML.


def _read_yaml(path: Path, schema: Schema) -> Submission:
    document = yaml_files.read(path, path.name)
    content = document.content
    about = "claims" if isinstance(content, dict) and {s.key for s in CLAIMS} & {*content} else "study"
    form = Submission(path.name, about, faults=list(document.faults))
    if not isinstance(content, dict):
        if not form.faults:
            form.faults.append(document.fault((), "form", "keys with lists of rows", "no keys"))
        return form
    keys = {sheet.key: sheet for sheet in FORMS[about]}
    for key in content:
        if key not in keys:
            form.faults.append(document.fault((key,), "unknown key", one_of(list(keys), key), repr(key)))
    for key, sheet in keys.items():
        if key in content:
            columns = sheet.columns(schema)
            form.rows[sheet.table] = list(_items(form, document, key, content[key] or [], columns))
        elif not sheet.needed:
            form.notes.append(f"key {key}: not in the form, nothing to add from it")
    return form


def _items(
    form: Submission, document: yaml_files.Document, key: str, items: Any, columns: Sequence[Column]
) -> Iterator[FormRow]:
    """The rows under a key; faults of their form go to the form."""
    if not isinstance(items, list):
        form.faults.append(document.fault((key,), "form", "a list of rows, each with '- ' before it", "no list"))
        return
    names = [column.name for column in columns]
    for number, item in enumerate(items):
        if not isinstance(item, dict):
            form.faults.append(document.fault((key, number), "form", "keys with values", repr(item)))
            continue
        for name in item:
            if name not in names:
                place = (key, number, name)
                form.faults.append(document.fault(place, "unknown key", one_of(names, name), repr(name)))
        cells, refused = {}, set()
        for column in columns:
            value = item.get(column.name)
            if isinstance(value, dict | list | bool):
                place = (key, number, column.name)
                form.faults.append(document.fault(place, "form", "text or a number", repr(value)))
                refused.add(column.name)
                value = None
            cells[column.name] = plain(value)
        if any(cells.values()):
            yield FormRow(cells, _blamed_in(document, key, number), frozenset(refused))


def _blamed_in(document: yaml_files.Document, key: str, number: int) -> Callable[[str, str, str, str], Fault]:
    def blame(column: str, *words: str) -> Fault:
        return document.fault((key, number, column) if column else (key, number), *words)

    return blame
