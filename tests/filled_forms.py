"""Forms of the made-up trial of ``docs/add_a_study.md``, filled in as a person would, for the tests."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import openpyxl

from cellclaims.evidence.schema import read_schema
from cellclaims.files import is_number
from cellclaims.forms.sheets import CLAIMS, STUDY, heading

from .made_up_trials import DATA
from .test_add_a_trial import steps

SCHEMA = read_schema(DATA)
SHEETS = {sheet.table: sheet for sheet in (*STUDY, *CLAIMS)}


def place(book, table, column):
    """The number of a column on the sheet of a table."""
    (wanted,) = (one for one in SCHEMA.tables[table].columns if one.name == column)
    page = book[SHEETS[table].title]
    return next(cell.column for cell in page[1] if cell.value == heading(wanted))


def fill(book, rows=None):
    """Fill in the rows of tables below the examples: numbers as numbers, dates as text, all else as text."""
    for table, mine in (rows or steps()).items():
        sheet, page = SHEETS[table], book[SHEETS[table].title]
        numeric = {column.name for column in SCHEMA.tables[table].columns if column.numeric}
        for line, row in enumerate(mine, start=3):
            for column, text in row.items():
                if text and column not in sheet.filled:
                    value = float(text) if column in numeric and is_number(text) else text
                    page.cell(line, place(book, table, column)).value = value
    return book


def cell(book, table, line, column):
    """A cell of the sheet of a table."""
    return book[SHEETS[table].title].cell(line, place(book, table, column))


def saved(book, path):
    """The workbook as a file, opened again by whoever reads it."""
    book.save(path)
    return path


def opened(path):
    """A workbook."""
    return openpyxl.load_workbook(path)


def by_libreoffice(paths: list[Path], into: Path) -> list[Path] | None:
    """The workbooks as LibreOffice saves them; None where there is no LibreOffice."""
    program = shutil.which("soffice")
    if not program:
        return None
    into.mkdir(parents=True, exist_ok=True)
    own = f"-env:UserInstallation=file://{into / 'profile'}"
    command = [program, own, "--headless", "--convert-to", "xlsx", "--outdir", into, *paths]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    return [into / path.name for path in paths]


def rows_of_page(page: str, start: str) -> dict[str, str]:
    """The rows of the table on a page that has this heading cell: first cell -> second cell."""
    table = page[page.index(f"| {start} |") :].split("\n\n")[0]
    return dict(re.findall(r"^\| (.+?) \| (.+) \|$", table, re.MULTILINE)[1:])
