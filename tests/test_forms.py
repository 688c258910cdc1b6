"""A form for a study: written from the schema, read whatever a spreadsheet did to it, added whole or not at all.

``docs/add_a_study.md`` is followed to the letter, and each line of its table of a spreadsheet's faults is tried.
"""

from __future__ import annotations

import contextlib
import csv
import datetime
import itertools
import re
import shlex
import shutil
import subprocess

import openpyxl
import pytest
from click.testing import CliRunner
from openpyxl.cell.cell import Cell

from cellclaims import cli
from cellclaims.errors import FormError
from cellclaims.evidence import load
from cellclaims.files import runs
from cellclaims.forms import enter, sheets, submission

from .conftest import REPOSITORY
from .filled_forms import SCHEMA, by_libreoffice, cell, fill, opened, place, rows_of_page, saved
from .made_up_trials import DATA
from .test_add_a_trial import NEW, steps

GUIDE = REPOSITORY / "docs" / "add_a_study.md"
#: Saved by LibreOffice 7.4 from the form of the made-up trial.
LIBREOFFICE = REPOSITORY / "tests" / "forms" / "invented2026_libreoffice.xlsx"


def run(*arguments):
    """The command, with everything that it said."""
    return CliRunner().invoke(cli.main, [str(one) for one in arguments])


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    """An empty form."""
    path = tmp_path_factory.mktemp("form") / f"{NEW}.xlsx"
    sheets.write_form(path, DATA)
    return path


@pytest.fixture
def book(empty):
    """The form of the made-up trial, filled in and open."""
    return fill(opened(empty))


@pytest.fixture
def data(tmp_path):
    """A copy of the evidence, with a changelog beside it."""
    folder = tmp_path / "copy" / "data"
    shutil.copytree(DATA, folder, ignore=shutil.ignore_patterns("registry"))
    shutil.copy(REPOSITORY / "CHANGELOG.md", folder.parent)
    return folder


def bytes_of(folder):
    """Every file below a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- the form ----------------------------------------------------------------------------------------------------


def test_the_form_asks_for_every_column_with_its_meaning_and_its_allowed_values(empty):
    book = opened(empty)
    for sheet in sheets.STUDY:
        page = book[sheet.title]
        head = {one.value: one for one in page[1]}
        limits = {str(area): rule for rule in page.data_validations.dataValidation for area in rule.sqref.ranges}
        for column in sheet.columns(SCHEMA):
            one = head.pop(sheets.heading(column))
            assert column.unit in one.comment.text and f"Column {column.name}." in one.comment.text
            assert column.description[1:40] in one.comment.text
            rule = limits.get(f"{one.column_letter}3:{one.column_letter}{sheets.ROWS}")
            if column.enum:
                where = rule.formula1.split("!")[1].replace("$", "")
                listed = [line[0].value for line in book[sheets.LISTS][where]]
                assert tuple(listed) == column.enum
            elif column.numeric:
                assert rule.type in ("decimal", "whole")
        assert list(head) == [sheets.MARK]
        assert set(sheet.filled) <= {"study_id", "judgement_id"}
    assert book.sheetnames == [sheets.GUIDE, *(sheet.title for sheet in sheets.STUDY), sheets.LISTS]


def test_the_examples_are_rows_that_the_tables_would_take(empty):
    for sheet in (*sheets.STUDY, *sheets.CLAIMS):
        table = SCHEMA.tables[sheet.table]
        for column in table.columns:
            text = table.example_row.get(column.name, "")
            assert list(submission.cell_faults(table, column, [text])) == [], (table.name, column.name)
    form = submission.read_form(empty, SCHEMA)
    assert {table: len(rows) for table, rows in form.rows.items() if rows} == {"studies": 1}  # its name alone


def test_what_a_spreadsheet_would_turn_into_a_date_or_a_number_is_kept_as_text(empty):
    page = opened(empty)["Sources"]
    shapes = {one.value: page.column_dimensions[one.column_letter].number_format for one in page[1]}
    assert shapes["Title *"] == "@" and shapes["Read on *"] == "yyyy-mm-dd"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["form", "taken.xlsx"], "taken.xlsx: expected the name of a new file"),
        (["form", "new.ods"], "new.ods: expected a name that ends in .xlsx, .yml, .yaml, found .ods"),
        (["form", "new.xlsx", "--study", "zang2202"], "?), found 'zang2202'"),
    ],
)
def test_a_form_that_cannot_be_written_is_refused(tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.xlsx").write_text("mine")
    done = run(*arguments, "--data", DATA)
    assert done.exit_code == 2 and words in done.output
    assert (tmp_path / "taken.xlsx").read_text() == "mine" and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("ending", [".xlsx", ".yml"])
@pytest.mark.parametrize("study", ["zang2022", "bhansali2014", "araujo2020", "alejandro2008citr"])
def test_the_form_of_a_study_that_is_there_says_what_the_tables_say(tmp_path, study, ending):
    """araujo2020 prints '-4.6 v +2.3', which is no formula."""
    path = tmp_path / f"form{ending}"
    sheets.write_form(path, DATA, study=study)
    form = submission.read_form(path, SCHEMA)
    assert (form.faults, form.notes, enter.differences(form, DATA)) == ([], [], [])


# --- what a spreadsheet does to it -------------------------------------------------------------------------------


def value(table, line, column, content, shape=None):
    """An edit: another value in one cell."""

    def edit(book):
        one = cell(book, table, line, column)
        one.value = content
        if shape:
            one.number_format = shape

    return edit


def as_text(table, line, column, content):
    """An edit: text in one cell, which no program takes for anything else."""

    def edit(book):
        one = cell(book, table, line, column)
        one.value, one.data_type = content, "s"

    return edit


def moved(book):
    book.move_sheet("Counts", -5)


def columns_moved(book):
    page = book["Means"]
    for row in range(1, page.max_row + 1):
        one, other = page.cell(row, 3), page.cell(row, 12)
        one.value, other.value = other.value, one.value
        one.number_format = other.number_format = "General"


def without(title):
    return lambda book: book.remove(book[title])


def further(book):
    book.create_sheet("My notes")["B2"] = "by me"


def heading_of(table, column, text, comment=True):
    """An edit: another heading, with its comment or without."""

    def edit(book):
        one = book[sheets_of(table)].cell(1, place(book, table, column))
        one.value = text
        if not comment:
            one.comment = None

    return edit


def sheets_of(table):
    return next(sheet.title for sheet in sheets.STUDY if sheet.table == table)


def twice(book):
    book["Means"].cell(1, 25).value = "Value *"


def second_heads(book):
    page = book["Means"]
    page.insert_rows(2)
    for number in range(1, page.max_column + 1):
        page.cell(2, number).value = page.cell(1, number).value


def rows_above(book):
    book["Means"].insert_rows(1)
    book["Means"]["A1"] = "Table 2 of the paper"


def merged(book):
    number = place(book, "continuous", "arm_id")
    book["Means"].merge_cells(start_row=3, end_row=4, start_column=number, end_column=number)


def hidden_row(book):
    book["Means"].row_dimensions[4].hidden = True


def hidden_column(book):
    letter = cell(book, "continuous", 3, "months").column_letter
    book["Means"].column_dimensions[letter].hidden = True


def hidden_sheet(book):
    book["Means"].sheet_state = "hidden"


def gaps(book):
    book["Means"].insert_rows(4, 2)


def example_overwritten(book):
    cell(book, "continuous", 2, "center").value = 6.5


def two_studies(book):
    page = book["Study"]
    for number in range(1, page.max_column + 1):
        page.cell(4, number).value = page.cell(3, number).value


def row_twice(book):
    page = book["Means"]
    for number in range(1, page.max_column + 1):
        page.cell(7, number).value = page.cell(6, number).value


def no_column(book):
    book["Means"].delete_cols(place(book, "continuous", "note"))


def known_study(book):
    cell(book, "studies", 3, "study_id").value = "zang2022"


#: A line of the page -> an edit of the filled-in form, and a part of the note or of the fault that it brings.
FAULTS = {
    "sheets in another order": (moved, "sheets: in another order than in the form, read by their names"),
    "columns in another order": (columns_moved, "sheet Means: columns in another order, read by their headings"),
    "a sheet is missing that may be empty": (without("Judgements"), "sheet Judgements: not in the form"),
    "a sheet is missing that must have a row": (without("Arms"), "sheet Arms: expected the sheet Arms, found Read me"),
    "a sheet that is not part of the form": (further, "sheet My notes: not a sheet of the form, not read"),
    "an unknown heading": (heading_of("continuous", "unit_printed", "My unit", comment=False),
                           "sheet Means, row 1, column E: expected one of Arm, Outcome"),
    "a heading of an earlier version of the form": (heading_of("continuous", "unit_printed", "Unit in the paper"),
                                                    "sheet Means: a heading of another version, read by its comment"),
    "a column is missing": (no_column, "sheet Means: no such column, taken as empty (Note)"),
    "the same heading twice": (twice, "column Y: expected each heading once, found Value again"),
    "two rows of headings": (second_heads, "sheet Means, row 2: expected one row of headings, found a second one"),
    "rows above the headings": (rows_above, "row 2: expected the headings in row 1, found them in row 2"),
    "merged cells": (merged, "sheet Means, row 3: expected one value in each cell, found the merged cells B3:B4"),
    "a hidden row with values": (hidden_row, "sheet Means, row 4: expected rows that can be seen, found a hidden row"),
    "a hidden column with values": (hidden_column, "column F (Months): expected columns that can be seen"),
    "a hidden sheet": (hidden_sheet, "sheet Means: expected a sheet that can be seen, found a hidden sheet"),
    "a number typed as text": (as_text("continuous", 4, "center", "7.9"),
                               "sheet Means: a number typed as text, taken as the number (row 4, Value)"),
    "a number in a column of text, such as a PubMed number": (
        value("studies", 3, "pmid", 12345678, "General"), "sheet Study: a number in a column of text, taken as its"),
    "a decimal comma in text (7,9)": (as_text("continuous", 4, "center", "7,9"),
                                      "column J (Value): expected a plain number, found '7,9': enter it with a point"),
    "a date in a column of dates": (value("sources", 3, "accessed", datetime.datetime(2026, 11, 20), "yyyy-mm-dd"), ""),
    "a value that became a date": (value("continuous", 4, "center", datetime.datetime(2026, 9, 7), "d-mmm"),
                                   "column J (Value): expected no date, found 2026-09-07"),
    "a formula": (value("continuous", 4, "center", "=7.8+0.1"),
                  "column J (Value): expected a value, found the formula '=7.8+0.1': enter its result"),
    "text that starts like a formula": (as_text("continuous", 4, "note", "=HYPERLINK(\"http://example.org\")"),
                                        "expected words, found text that a spreadsheet runs"),
    "an error of the spreadsheet": (value("continuous", 4, "center", "#N/A"), "#N/A"),
    "a percentage as the format of a cell": (value("binary", 3, "percent", 0.2, "0%"),
                                             "expected 20 as a plain number, found 0.2, shown as a percentage"),
    "TRUE or FALSE": (value("arms", 3, "gets_cells", True, "General"), "TRUE"),
    "spaces and line breaks in a cell": (as_text("arms", 3, "description", " made\n up "),
                                         "spaces, line breaks or hidden characters taken out (row 3, Description)"),
    "digits of arithmetic (7.8999999999999995)": (value("continuous", 4, "center", 7.6 + 0.3), ""),
    "empty rows between rows": (gaps, ""),
    "the example, written over": (example_overwritten, "row 2, column Mark: expected the example as it was (7.9)"),
    "the study is in the tables": (known_study, "expected a study that the tables do not have, found zang2022, row"),
    "two studies in one form": (two_studies, "sheet Study, row 4: expected one study in a form, found another row"),
    "a value outside its limits or its list": (value("continuous", 4, "months", -1), "expected at least 0, found '-1'"),
    "a row twice": (row_twice, "sheet Means, row 7"),
}  # fmt: skip
#: Found by the check of the tables, once the form itself is without a fault.
BY_THE_CHECK = ("the study is in the tables", "a row twice")


def outcome(path):
    """What becomes of a form: its notes, its faults, and the rows that it would add."""
    form = submission.read_form(path, SCHEMA)
    return form.notes, [str(fault) for fault in form.faults], form


def test_every_line_of_the_page_is_tried():
    lines = rows_of_page(GUIDE.read_text(encoding="utf-8"), "what the form has")
    assert list(lines) == list(FAULTS)


def judge(what, path):
    """Hold a form against its line of the page."""
    says = rows_of_page(GUIDE.read_text(encoding="utf-8"), "what the form has")[what]
    words = FAULTS[what][1]
    notes, faults, form = outcome(path)
    if what in BY_THE_CHECK:
        with pytest.raises(FormError) as refused:
            enter.prepare(form, DATA)
        assert says.startswith("refused") and words in str(refused.value)
    elif says.startswith("accepted"):
        assert faults == []
        assert any(words in note for note in notes) if "note" in says else not notes
        texts = {table: [row.cells for row in rows] for table, rows in form.rows.items() if rows}
        assert [row["center"] for row in texts["continuous"]] == ["8.8", "7.9", "8.7", "8.3"]
        assert {row["study_id"] for rows in texts.values() for row in rows} == {NEW}
    else:
        assert says.startswith("refused") and any(words in fault for fault in faults), faults
        assert all(str(fault).startswith(f"{path.name}, sheet ") for fault in faults)


@pytest.mark.parametrize("what", FAULTS)
def test_what_a_spreadsheet_does_is_accepted_or_refused_as_the_page_says(book, tmp_path, what):
    FAULTS[what][0](book)
    judge(what, saved(book, tmp_path / f"{NEW}.xlsx"))


def test_the_same_of_files_that_libreoffice_saved(empty, tmp_path):
    paths = {}
    for number, (what, (edit, _)) in enumerate(FAULTS.items()):
        one = fill(opened(empty))
        edit(one)
        paths[what] = saved(one, tmp_path / f"{number}.xlsx")
    made = by_libreoffice(list(paths.values()), tmp_path / "saved")
    if made is None:
        pytest.skip("no LibreOffice")
    for what, path in zip(paths, made, strict=True):
        judge(what, path)


def test_the_file_that_libreoffice_saved_has_the_rows_of_the_page(tmp_path):
    _, faults, form = outcome(LIBREOFFICE)
    assert faults == []
    for table, rows in steps().items():
        found = [row.cells for row in form.rows[table]]
        for row, mine in zip(rows, found, strict=True):
            assert all(enter.alike(text, mine[column]) for column, text in row.items())


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("old.xls", b"\xd0\xcf\x11\xe0", "expected a form in .xlsx, .yml, .yaml, found .xls: save it as .xlsx"),
        ("locked.xlsx", b"\xd0\xcf\x11\xe0", "expected a workbook saved as .xlsx, found another kind of file"),
        ("gone.xlsx", None, "expected a form, found no such file"),
    ],
)
def test_a_file_that_is_no_form_is_refused(tmp_path, name, content, words):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = run("add", tmp_path / name, "--data", DATA)
    assert done.exit_code == 2 and words in done.output


def test_a_workbook_that_unpacks_to_too_much_is_refused(tmp_path, monkeypatch, book):
    monkeypatch.setattr(submission, "LARGEST", 1000)
    with pytest.raises(FormError, match="expected at most 1,000 bytes when unpacked"):
        submission.read_form(saved(book, tmp_path / "form.xlsx"), SCHEMA)


def test_all_faults_are_told_at_once_in_the_order_of_the_sheets(book, tmp_path):
    for what in ("a value outside its limits or its list", "TRUE or FALSE", "a formula"):
        FAULTS[what][0](book)
    done = run("add", saved(book, tmp_path / "form.xlsx"), "--data", DATA, "--preview")
    places = re.findall(r"sheet (\w+), row (\d+)", done.output)
    assert done.exit_code == 2 and places[:3] == [("Arms", "3"), ("Means", "4"), ("Means", "4")]


def test_a_fault_that_the_check_finds_names_its_place_in_the_form(book, tmp_path, data):
    before = bytes_of(data)
    cell(book, "continuous", 4, "arm_id").value = "placebo"
    cell(book, "binary", 3, "events").value = 31
    path = saved(book, tmp_path / "form.xlsx")
    done = run("add", path, "--data", data, "--yes")
    assert done.exit_code == 2 and "form.xlsx, sheet Means, row 4, column" in done.output
    cell(book, "continuous", 4, "arm_id").value = "cells"
    done = run("add", saved(book, path), "--data", data, "--yes")
    assert done.exit_code == 2 and "form.xlsx, sheet Counts, row 3, column" in done.output
    assert bytes_of(data) == before


# --- adding ------------------------------------------------------------------------------------------------------


def rows_in(folder, table):
    """The rows of a table."""
    with (folder / SCHEMA.tables[table].path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_form_adds_the_rows_of_the_page_at_the_end_and_changes_no_other_line(book, tmp_path, data):
    before = bytes_of(data)
    done = run("add", saved(book, tmp_path / "form.xlsx"), "--data", data, "--yes")
    assert done.exit_code == 0, done.output
    for table, rows in steps().items():
        path = SCHEMA.tables[table].path
        content = (data / path).read_bytes()
        old = before.pop(next(one for one in before if str(one) == path))
        assert content.startswith(old)
        found = rows_in(data, table)[-len(rows) :]
        for row, mine in zip(rows, found, strict=True):
            assert all(enter.alike(text, mine[column]) for column, text in row.items())
    assert all((data / path).read_bytes() == old for path, old in before.items())
    line = f"{NEW} added: 1 row of studies.csv, 2 rows of arms.csv"
    evidence = (data.parent / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert line in evidence and str(data.parent / "CHANGELOG.md") in done.output
    load(data)


def test_the_preview_shows_each_pool_without_and_with_the_study_and_writes_nothing(book, tmp_path, data):
    before = bytes_of(data.parent)
    done = run("add", saved(book, tmp_path / "form.xlsx"), "--data", data, "--preview")
    assert done.exit_code == 0 and bytes_of(data.parent) == before
    (line,) = re.findall(r"^HbA1c +difference between arms +cells, type 2 diabetes.*$", done.output, re.MULTILINE)
    assert re.split(r"\s{2,}", line)[3] != re.split(r"\s{2,}", line)[4]
    form = submission.read_form(tmp_path / "form.xlsx", SCHEMA)
    prepared = enter.prepare(form, data)
    questions = [(row[0], row[1]) for row in prepared.preview.cells]
    assert ("insulin independence, ever", "difference of proportions") in questions
    # of questions with the same studies the first alone
    assert not any(
        row[3:] == other[3:] and row[1] == other[1] and row[0].split(",")[0] == other[0].split(",")[0]
        for row, other in itertools.combinations(prepared.preview.cells, 2)
    )


def test_in_a_pipe_nothing_is_written_without_yes(book, tmp_path, data):
    before = bytes_of(data.parent)
    done = run("add", saved(book, tmp_path / "form.xlsx"), "--data", data)
    assert done.exit_code == 2 and "nothing was written: --yes writes it" in done.output
    assert bytes_of(data.parent) == before
    assert run("add", tmp_path / "form.xlsx", "--data", data, "--yes", "--preview").exit_code == 2


def test_a_file_that_cannot_be_written_leaves_all_as_they_were(book, tmp_path, data, monkeypatch):
    form = submission.read_form(saved(book, tmp_path / "form.xlsx"), SCHEMA)
    done, before = enter.prepare(form, data), bytes_of(data.parent)
    real = enter.write_all.__globals__["write_atomically"]

    def full(path, content):
        if path.name == "continuous.csv":
            raise OSError(28, "No space left on device", str(path))
        real(path, content)

    monkeypatch.setitem(enter.write_all.__globals__, "write_atomically", full)
    with pytest.raises(FormError, match=r"nothing was added: No space left on device"):
        enter.write(done, update=False, reason="")
    assert bytes_of(data.parent) == before


def test_a_table_that_changed_meanwhile_is_not_written_over(book, tmp_path, data):
    form = submission.read_form(saved(book, tmp_path / "form.xlsx"), SCHEMA)
    done = enter.prepare(form, data)
    path = data / "published" / "arms.csv"
    path.write_bytes(path.read_bytes() + b"\n")
    before = bytes_of(data.parent)
    with pytest.raises(FormError, match=r"expected the table as it was read, found it changed meanwhile"):
        enter.write(done, update=False, reason="")
    assert bytes_of(data.parent) == before


def test_judgements_get_numbers_of_their_own(book, tmp_path, data):
    fill(book, {"judgements": [SCHEMA.tables["judgements"].example_row | {"domain": domain} for domain in
                               ("missing outcome data", "randomisation process")]})  # fmt: skip
    done = run("add", saved(book, tmp_path / "form.xlsx"), "--data", data, "--yes")
    assert done.exit_code == 0, done.output
    old = max(int(row["judgement_id"][1:]) for row in rows_in(DATA, "judgements"))
    new = rows_in(data, "judgements")[-2:]
    assert [(row["judgement_id"], row["study_id"]) for row in new] == [
        (f"j{old + 1:04d}", NEW),
        (f"j{old + 2:04d}", NEW),
    ]


def test_a_yaml_form_adds_the_same_rows(book, tmp_path, data):
    filled = submission.read_form(saved(book, tmp_path / "form.xlsx"), SCHEMA)
    rows = {table: [row.cells for row in mine] for table, mine in filled.rows.items()}
    path = tmp_path / f"{NEW}.yml"
    path.write_bytes(sheets.yaml_form(path.name, SCHEMA, "study", rows, sheets.lists_of(DATA, SCHEMA)))
    form = submission.read_form(path, SCHEMA)
    assert form.faults == []
    one, other = (enter.prepare(each, data).contents for each in (filled, form))
    assert one == other


def test_faults_of_a_yaml_form_name_line_and_key(tmp_path):
    path = tmp_path / "form.yml"
    path.write_text(
        "study:\n  - {study_id: x2026, titel: A, diabetes_type: T4}\narms: none\nmeens: []\n", encoding="utf-8"
    )
    done = run("add", path, "--data", DATA)
    assert done.exit_code == 2
    for words in (
        "form.yml, line 2, key study[1].titel: expected one of study_id, title",
        "form.yml, line 2, key study[1].diabetes_type: expected one of T1D, T2D, T3c, mixed, found 'T4'",
        "form.yml, line 3, key arms: expected a list of rows, each with '- ' before it, found no list",
        "(did you mean 'means'?), found 'meens'",
    ):
        assert words in done.output


# --- changing a study --------------------------------------------------------------------------------------------


@pytest.fixture
def changed(tmp_path, data):
    """zang2022 with another HbA1c, another title, a row less and a row more; and the folder."""
    path = tmp_path / "zang2022.xlsx"
    sheets.write_form(path, data, study="zang2022")
    book = opened(path)
    cell(book, "studies", 3, "title").value += " (again)"
    (line,) = (number for number in range(3, 30) if cell(book, "continuous", number, "center").value == 7.52)
    cell(book, "continuous", line, "center").value = 7.55
    return saved(book, path)


def test_an_update_shows_the_difference_and_asks_for_a_reason(changed, data):
    before = bytes_of(data.parent)
    done = run("add", changed, "--update", "--preview", "--data", data)
    assert done.exit_code == 0 and "center: 7.52 -> 7.55" in done.output and "title: " in done.output
    assert "No pool changes." in done.output  # the changes that the report gives are pooled, not the final values
    done = run("add", changed, "--update", "--yes", "--data", data)
    assert done.exit_code == 2 and "--reason: expected why the study changes" in done.output
    assert bytes_of(data.parent) == before
    assert run("add", changed, "--preview", "--data", data).exit_code == 2


def test_the_reason_of_an_update_is_kept_in_three_places(changed, data):
    old = (data / "published" / "continuous.csv").read_text(encoding="utf-8").splitlines()
    done = run("add", changed, "--update", "--yes", "--reason", "table 2 was read again", "--data", data)
    assert done.exit_code == 0, done.output
    new = (data / "published" / "continuous.csv").read_text(encoding="utf-8").splitlines()
    differing = [(one, other) for one, other in zip(old, new, strict=True) if one != other]
    assert [other for _, other in differing] == [differing[0][0].replace("7.52", "7.55")]
    anomaly, step = rows_in(data, "anomalies")[-1], rows_in(data, "handling")[-1]
    assert (anomaly["record_id"], anomaly["outcome"], anomaly["kind"]) == ("zang2022", "hba1c", "value_replaced")
    assert "7.52 to 7.55" in anomaly["printed"] and "table 2 was read again" in anomaly["problem"]
    assert (step["anomaly_id"], step["action"]) == (anomaly["anomaly_id"], "flag")
    evidence = (data.parent / "CHANGELOG.md").read_text(encoding="utf-8").split("\n## ")[1]
    assert "zang2022 updated" in evidence and "Reason: table 2 was read again." in evidence
    load(data)
    again = run("add", changed, "--update", "--yes", "--reason", "again", "--data", data)
    assert again.exit_code == 2 and "expected something new, found what the tables have already" in again.output


def test_an_update_takes_out_a_row_that_the_form_no_longer_has_and_leaves_a_missing_sheet(tmp_path, data):
    path = tmp_path / "zang2022.xlsx"
    sheets.write_form(path, data, study="zang2022")
    book = opened(path)
    book.remove(book["Judgements"])
    book["Comparisons"].delete_rows(3)
    count = len(rows_in(data, "contrasts"))
    form = submission.read_form(saved(book, path), SCHEMA)
    edits = enter.differences(form, data)
    assert [(edit.table, edit.after) for edit in edits] == [("contrasts", None)]
    done = enter.prepare(form, data, update=True, reason="printed by mistake")
    enter.write(done, update=True, reason="printed by mistake")
    assert len(rows_in(data, "contrasts")) == count - 1
    assert "taken out" in rows_in(data, "anomalies")[-1]["printed"]
    load(data)


def test_a_study_that_is_not_there_cannot_be_updated(book, tmp_path):
    done = run("add", saved(book, tmp_path / "form.xlsx"), "--update", "--data", DATA)
    assert done.exit_code == 2 and f"found {NEW}: add it without --update" in done.output


def test_a_reason_of_several_lines_or_a_formula_is_refused(changed, data):
    for reason in ("one\ntwo", "=1+1"):
        done = run("add", changed, "--update", "--yes", "--reason", reason, "--data", data)
        assert done.exit_code == 2 and "--reason: expected words on one line" in done.output


# --- a form for claims -------------------------------------------------------------------------------------------


@pytest.fixture
def claims_book(tmp_path):
    """A form of claims with the advertisement and the claim of the examples."""
    path = tmp_path / "clinic.xlsx"
    sheets.write_form(path, DATA, about="claims")
    return fill(opened(path), {table: [SCHEMA.tables[table].example_row] for table in ("documents", "claims")})


def test_a_form_of_claims_becomes_the_two_files_of_another_advertisement(claims_book, tmp_path):
    path = saved(claims_book, tmp_path / "clinic.xlsx")
    assert run("add", path, "--data", DATA, "--preview").exit_code == 0
    assert not (tmp_path / "clinic").exists()
    done = run("add", path, "--data", DATA, "--yes")
    assert done.exit_code == 0, done.output
    assert sorted(one.name for one in (tmp_path / "clinic").iterdir()) == [
        "claims.csv",
        "documents.csv",
        "one_claim_each.yml",
    ]
    with (tmp_path / "clinic" / "claims.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert {name: text for name, text in row.items() if text} == dict(SCHEMA.tables["claims"].example_row)
    again = run("add", path, "--data", DATA, "--yes")
    assert again.exit_code == 2 and "expected a new file, found one: --update replaces it" in again.output
    assert run("add", path, "--data", DATA, "--yes", "--update").exit_code == 0


def test_a_fault_of_a_claim_names_its_place_in_the_form(claims_book, tmp_path):
    cell(claims_book, "claims", 3, "answered_by").value = "half_insulin"
    cell(claims_book, "claims", 3, "document_id").value = "another"
    done = run("add", saved(claims_book, tmp_path / "clinic.xlsx"), "--data", DATA, "--yes")
    assert done.exit_code == 2 and not (tmp_path / "clinic").exists()
    assert "clinic.xlsx, sheet Claims, row 3, column" in done.output and "half_insulin" in done.output
    assert "found another" in done.output


# --- the evidence to take along ----------------------------------------------------------------------------------


def test_the_evidence_as_a_workbook_has_every_cell_and_runs_none(tmp_path):
    (path,) = enter.export(DATA, tmp_path / "no reports", tmp_path / "out")
    book, evidence = openpyxl.load_workbook(path), load(DATA)
    risky = 0
    for table in SCHEMA.tables.values():
        rows = list(book[table.name[:31]].iter_rows(min_row=2))
        texts = rows_in(DATA, table.name)
        assert len(rows) == len(texts) == len(getattr(evidence, table.name))
        for cells, row in zip(rows, texts, strict=True):
            for one, text in zip(cells, row.values(), strict=True):
                assert isinstance(one, Cell) and one.data_type != "f"
                assert enter.alike(submission.plain(one.value), text)
                risky += runs(text)
                assert one.quotePrefix or not runs(text)
    assert risky > 20


def test_text_like_a_formula_is_text_in_a_workbook(tmp_path):
    book = openpyxl.Workbook()
    sheets.put(book.active["A1"], "=1+1")
    one = opened(saved(book, tmp_path / "book.xlsx")).active["A1"]
    assert (one.value, one.data_type, one.quotePrefix) == ("=1+1", "s", True)


def test_the_pools_of_the_last_review_are_taken_along(tmp_path):
    import json

    pool = {"notebook": "02", "pool": "a", "title": "=1+1", "result": {"k": 2}, "rows": [{"study_id": "x", "yi": 0.5}]}
    (tmp_path / "results.json").write_text(json.dumps([pool]))
    done = run("export", "--into", tmp_path / "out", "--data", DATA, "--reports", tmp_path)
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "pools.csv").read_text().splitlines()[1].startswith("02,a,'=1+1,")
    assert (tmp_path / "out" / "pool_rows.csv").read_text().splitlines() == ["notebook,pool,study_id,yi", "02,a,x,0.5"]
    alone = run("export", "--into", tmp_path / "out", "--data", DATA, "--reports", tmp_path / "none")
    assert alone.exit_code == 0 and "results.json is made by `make review`" in alone.output


# --- the page, followed to the letter ----------------------------------------------------------------------------


def commands():
    """The commands of the part on the form."""
    part = GUIDE.read_text(encoding="utf-8").split("\n## With the form\n")[1].split("\n## Table by table\n")[0]
    return [line.strip() for line in part.splitlines() if line.startswith("    ")]


def test_the_page_can_be_followed_from_nothing_to_a_changed_study(tmp_path):
    shutil.copytree(DATA, tmp_path / "data", ignore=shutil.ignore_patterns("registry"))
    said = {}
    for command in commands():
        program, *arguments = shlex.split(command)
        if program == "cp":
            subprocess.run([program, *arguments], cwd=tmp_path, check=True)
            continue
        with contextlib.chdir(tmp_path):
            done = run(*arguments)
        assert done.exit_code == 0, (command, done.output)
        said[command] = done.output
        if command.startswith(f"cellclaims form {NEW}"):
            saved(fill(opened(tmp_path / f"{NEW}.xlsx")), tmp_path / f"{NEW}.xlsx")
        elif "--study" in command:
            book = opened(tmp_path / "changed.xlsx")
            cell(book, "continuous", 4, "center").value = 7.8
            saved(book, tmp_path / "changed.xlsx")
    assert "center: 7.9 -> 7.8" in "".join(said.values())
    assert rows_in(tmp_path / "my_copy", "anomalies")[-1]["kind"] == "value_replaced"
    assert (tmp_path / "taken_along" / "evidence.xlsx").is_file()
    assert (tmp_path / "data" / "published" / "studies.csv").read_bytes() == (
        DATA / "published/studies.csv"
    ).read_bytes()
