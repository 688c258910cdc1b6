"""The existing rows of ``data/`` as text, because comparisons need the reported digits."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cellclaims import dispersion, units
from cellclaims.errors import DataError, ProposalError, message
from cellclaims.evidence.read import read_text
from cellclaims.evidence.rules_figures import FLOAT_NOISE, rounding_limits
from cellclaims.evidence.schema import Schema, read_schema
from cellclaims.files import csv_text, unguard

Cells = dict[str, str]

#: Content of registry_id: numbers separated by ";", each possibly followed by a word in brackets.
BRACKETS = re.compile(r"\([^)]*\)")


@dataclass(frozen=True)
class Held:
    """All rows of all tables by column, with the line number under ``line``."""

    folder: Path
    schema: Schema
    rows: dict[str, list[Cells]]

    def of_arm(self, table: str, study: str, arm: str) -> list[Cells]:
        """Return the rows of a table that belong to an arm of a report."""
        return [row for row in self.rows[table] if (row["study_id"], row["arm_id"]) == (study, arm)]

    def arms(self, study: str) -> list[Cells]:
        """Return the arms of a report."""
        return [row for row in self.rows["arms"] if row["study_id"] == study]

    def reports(self, registration: str) -> list[Cells]:
        """Return the reports that name a registration."""
        return [row for row in self.rows["studies"] if registration in registrations(row["registry_id"])]

    def has(self, table: str, column: str, value: str) -> bool:
        """Return whether some row of a table has a value."""
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
    """Return columns of text as rows with their line numbers."""
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) | {"line": str(line)} for line, row in enumerate(rows, start=2)]


def registrations(cell: str) -> list[str]:
    """Return the numbers in a cell of ``registry_id``.

    Examples
    --------
    >>> registrations("NCT00679042 (phase 3 UIH-002); UIH-001")
    ['NCT00679042', 'UIH-001']
    """
    return [number for part in cell.split(";") if (number := BRACKETS.sub("", part).strip())]


# CSV files that a person opens in a spreadsheet, decides in, and hands back.
#
# Two things make them different from the tables of ``data/``. A cell that a spreadsheet would run as a formula is
# *guarded* (:func:`cellclaims.files.guard`), which reading takes off again. And the file starts with a byte order
# mark, without which some spreadsheets take UTF-8 for another encoding.


def one_line(text: str) -> str:
    """Return text without line breaks and hidden characters, which tables of ``data/`` do not allow.

    Examples
    --------
    >>> one_line("Islets\\n  alone\\u202e ")
    'Islets alone'
    """
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def sheet_bytes(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """Return a header and rows, guarded, as the bytes of a file; each row has all columns."""
    lines = csv_text([columns, *([row[name] for name in columns] for row in rows)], line_end="\r\n")
    return lines.encode("utf-8-sig")


def read_sheet(path: Path, columns: Iterable[str], what: str = "a file of proposals") -> list[dict[str, str]]:
    """Return the rows of a file that may come from a spreadsheet, each with its number under ``row``.

    Parameters
    ----------
    path : Path
        With or without a byte order mark, any line ends, cells in quotes or not.
    columns : iterable of str
        Required columns, in any order; further columns are returned, too.
    what : str
        What the file is, for the message where there is none.

    Raises
    ------
    ProposalError
        If the file cannot be read, is no UTF-8, lacks a column, or has a row that is too long or too short.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        raise ProposalError(f"{path}: expected {what}, found {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ProposalError(f"{path}: expected comma-separated values in UTF-8, found {error}") from None
    header = [unguard(name) for name in rows[0]] if rows else []
    refuse_header(path, header, list(columns))
    return [named(path, number, header, row) for number, row in enumerate(rows[1:], start=2) if any(row)]


def refuse_header(path: Path, header: list[str], columns: list[str]) -> None:
    """Raise an error for a header with a missing or repeated column."""
    if len(header) == 1 and ";" in header[0]:
        raise ProposalError(f"{path}: row 1: expected columns separated by ',', found ';': save it with commas")
    for name in columns:
        if header.count(name) != 1:
            found = "it twice" if name in header else ", ".join(header)[:200] or "nothing"
            raise ProposalError(f"{path}: row 1: expected the column {name}, found {found}")


def named(path: Path, number: int, header: list[str], row: list[str]) -> dict[str, str]:
    """Return the unguarded cells of one row by column; its number under the name ``row``."""
    if len(row) != len(header):
        raise ProposalError(f"{path}: row {number}: expected {len(header)} cells, found {len(row)}")
    return dict(zip(header, map(unguard, row), strict=True)) | {"row": str(number)}


# Which report and which arm a harvested row may belong to: suggested with a reason, or left to the person.
#
# Registries and publications name arms differently, and one registration can have several reports. A suggestion is
# made
# only where one candidate alone fits; it is never a guess between two.


#: Comparators that a group's title names in its own words.
NAMED = {"placebo": ("placebo",), "sham": ("sham",)}


@dataclass(frozen=True)
class Match:
    """A suggestion (possibly empty) and its reason."""

    name: str
    reason: str


def report_of(held: Held, registration: str) -> Match:
    """Return the report of ``studies.csv`` that a registration belongs to.

    Where several reports name it, the one whose figures already come from the registry is suggested, if it is one.
    """
    reports = [row["study_id"] for row in held.reports(registration)]
    if not reports:
        return Match("", f"no report in published/studies.csv names {registration}: add it first (docs/add_a_study.md)")
    if len(reports) == 1:
        return Match(reports[0], f"the only report that names {registration}")
    read = [report for report in reports if from_registry(held, report)]
    if len(read) == 1:
        return Match(read[0], f"of {', '.join(reports)} the only one with figures from a registry")
    return Match("", f"fill in one of {', '.join(reports)}: all name {registration}")


def from_registry(held: Held, report: str) -> bool:
    """Return whether a report has figures that were read from a registry."""
    sources = {row["source_id"] for row in held.rows["sources"] if row["kind"] == "registry"}
    figures = (row for table in ("continuous", "binary") for row in held.rows[table])
    return any(row["study_id"] == report and row["source_id"] in sources for row in figures)


def arm_of(held: Held, report: str, title: str, titles: Iterable[str]) -> Match:
    """Return the arm of a report that a group of its registration is.

    Parameters
    ----------
    held : Held
    report : str
        A study_id; empty gives no suggestion.
    title : str
        The group's title as posted.
    titles : iterable of str
        The titles of all groups with rows in that record.

    Returns
    -------
    Match
        By the arm's name or description, by the comparator that the title names, or because there is no other arm.
    """
    arms = held.arms(report)
    if not arms:
        return Match("", "needs a report with arms")
    for reason, found in candidates(arms, title, set(titles)):
        if len(found) == 1:
            return Match(found[0], reason)
    return Match("", f"fill in one of {', '.join(arm['arm_id'] for arm in arms)}")


def candidates(arms: list[Cells], title: str, titles: set[str]) -> Iterable[tuple[str, list[str]]]:
    """Yield the matches of each method, the most certain first."""
    words = in_words(title)
    yield "the title is the arm's name", [arm["arm_id"] for arm in arms if in_words(arm["arm_id"]) == words]
    described = [arm["arm_id"] for arm in arms if in_words(arm["description"]) == words]
    yield "the title is the arm's description", described
    for comparator, names in NAMED.items():
        alone = sum(any(name in in_words(other) for name in names) for other in titles) == 1
        if alone and any(name in words for name in names):
            found = [arm["arm_id"] for arm in arms if arm["comparator"] == comparator]
            yield f"the only {comparator} arm, and the only title that says so", found
    whole = [arm["arm_id"] for arm in arms if not arm["part_of"]]
    if len(titles) == 1:
        yield "the report's only arm, and the record's only group with figures", whole


def in_words(text: str) -> tuple[str, ...]:
    """Return letters and digits of a text, word by word, without case.

    Examples
    --------
    >>> in_words("UC-MSC group (High_dose)")
    ('uc', 'msc', 'group', 'high', 'dose')
    """
    return tuple(re.findall(r"[^\W_]+", text.casefold()))


# Comparison of a harvested row with the rows of ``data/published``: ``same``, ``differs`` or ``new``.
#
# Two rows are *alike* if they answer the same question: arm, outcome, time, and level or change, mean or median (of
# a
# count: definition and timing). Of alike rows the *figures* are compared: in one unit where two units convert into
# each
# other, a percentage with its count, always within the reported digits. A value missing from the
# harvested row is not a difference; a value missing from the existing row and given in the record is one.


Values = Mapping[str, str]

#: Times that differ by no more than this many months are one time: 52 weeks are 11.97 months.
SAME_TIME = 0.25
#: What two alike rows agree in, apart from time and unit.
ALIKE = {
    "continuous": ("outcome", "kind", "center_type"),
    "binary": ("outcome", "definition_id", "timing"),
}


@dataclass(frozen=True)
class Difference:
    """One column in which an existing and a harvested row differ, with both values in words."""

    column: str
    held: str
    read: str

    def __str__(self) -> str:
        return f"{self.column}: held {self.held or 'nothing'}, read {self.read or 'nothing'}"


@dataclass(frozen=True)
class Grade:
    """Result of a comparison.

    Attributes
    ----------
    name : {"same", "differs", "new"}
    held : tuple of dict
        The corresponding rows; for ``same`` only those with equal values.
    differences : tuple of Difference
        Empty unless the grade is ``differs``: those from the first alike row that differs in fewest columns.
    """

    name: str
    held: tuple[Values, ...] = ()
    differences: tuple[Difference, ...] = ()


def grade(table: str, read: Values, held: Iterable[Values]) -> Grade:
    """Compare a harvested row with the existing rows of its arm.

    Examples
    --------
    >>> level = {"outcome": "hba1c", "kind": "level", "center_type": "mean", "months": "12", "unit": "mmol/mol",
    ...          "n": "15", "center": "42", "dispersion_type": "none", "dispersion_low": "", "dispersion_high": ""}
    >>> grade("continuous", level | {"unit": "%", "center": "6.0"}, [level]).name
    'same'
    >>> [str(one) for one in grade("continuous", level | {"n": "14"}, [level]).differences]
    ['n: held 15, read 14']
    """
    likes = [row for row in held if alike(table, read, row)]
    compared = [(tuple(FIGURES[table](row, read)), row) for row in likes]
    if equal := tuple(row for differences, row in compared if not differences):
        return Grade("same", equal)
    if not likes:
        return Grade("new")
    fewest = min((differences for differences, _ in compared), key=len)
    return Grade("differs", tuple(likes), fewest)


def alike(table: str, read: Values, held: Values) -> bool:
    """Return whether two rows answer the same question."""
    if any(read[name] != held[name] for name in ALIKE[table]) or not same_time(read["months"], held["months"]):
        return False
    if table == "continuous":
        return convertible(read["unit"], held["unit"], read["outcome"])
    origins = {read["time_origin"], held["time_origin"]} - {""}
    return len(origins) < 2


def same_time(one: str, other: str) -> bool:
    """Return whether two months are the same time; empty equals only empty.

    Examples
    --------
    >>> same_time("12", "11.97"), same_time("12", "11"), same_time("", ""), same_time("", "0")
    (True, False, True, False)
    """
    if not (one and other):
        return one == other
    return abs(float(one) - float(other)) <= SAME_TIME


def convertible(unit: str, other: str, outcome: str) -> bool:
    """Return whether figures in two units can be compared."""
    try:
        units.convert(0.0, unit, other, outcome)
    except DataError:
        return False
    return True


# Measures ------------------------------------------------------------------------------------------------------------


def measure_differences(held: Values, read: Values) -> Iterator[Difference]:
    """Yield differences in centre, dispersion or number of patients."""
    if not same_figure("center", held, read):
        yield Difference("center", in_unit(held, "center"), in_unit(read, "center"))
    yield from number_differences(held, read)
    if read["dispersion_type"] not in ("", "none") and not same_spread(held, read):
        yield Difference("dispersion", spread(held), spread(read))


def number_differences(held: Values, read: Values) -> Iterator[Difference]:
    """Yield a difference in the number of patients."""
    if read["n"] and not (held["n"] and float(held["n"]) == float(read["n"])):
        yield Difference("n", held["n"], read["n"])


def same_spread(held: Values, read: Values) -> bool:
    """Return whether two dispersions agree: the same type and limits, or an SD and an SE of the same patients."""
    kinds = {held["dispersion_type"], read["dispersion_type"]}
    if kinds == {"sd", "se"}:
        return same_sd(held, read)
    return len(kinds) == 1 and all(same_figure(name, held, read) for name in ("dispersion_low", "dispersion_high"))


def same_sd(held: Values, read: Values) -> bool:
    """Return whether an SD and an SE agree for the same patients, within their digits."""
    if not (held["n"] or read["n"]) or held["unit"] != read["unit"]:
        return False
    by_kind = {row["dispersion_type"]: row["dispersion_low"] for row in (held, read)}
    n = float(read["n"] or held["n"])
    off = abs(dispersion.sd_from_se(float(by_kind["se"]), n) - float(by_kind["sd"]))
    return off <= dispersion.sd_from_se(half_digit(by_kind["se"]), n) + half_digit(by_kind["sd"]) + FLOAT_NOISE


def same_figure(column: str, held: Values, read: Values) -> bool:
    """Return whether two values agree in one unit: exactly, or within their digits after conversion."""
    if not (held[column] and read[column]):
        return held[column] == read[column]
    if held["unit"] == read["unit"]:
        return float(held[column]) == float(read[column])
    change = read["kind"] == "change" or (column == "dispersion_low" and read["dispersion_type"] in ("sd", "se"))
    pair = held["unit"], read["unit"], read["outcome"]
    off = abs(units.convert(float(held[column]), *pair, change=change) - float(read[column]))
    slack = abs(units.convert(half_digit(held[column]), *pair, change=True)) + half_digit(read[column])
    return off <= slack + FLOAT_NOISE


def half_digit(printed: str) -> float:
    """Return half a unit of the last digit.

    Examples
    --------
    >>> half_digit("7.50"), half_digit("42"), half_digit("1.5e2")
    (0.005, 0.5, 5.0)
    """
    digits, _, power = printed.lower().partition("e")
    return 0.5 * 10.0 ** (int(power or 0) - len(digits.partition(".")[2]))


def in_unit(row: Values, column: str) -> str:
    """Return a figure with its unit."""
    return f"{row[column]} {row['unit']}".strip() if row[column] else ""


def spread(row: Values) -> str:
    """Return type and limits of a dispersion in words."""
    if row["dispersion_type"] in ("", "none"):
        return ""
    limits = " to ".join(filter(None, (row["dispersion_low"], row["dispersion_high"])))
    return f"{row['dispersion_type']} {limits} {row['unit']}".strip()


# Counts --------------------------------------------------------------------------------------------------------------


def count_differences(held: Values, read: Values) -> Iterator[Difference]:
    """Yield differences in count, percentage or number of patients."""
    yield from number_differences(held, read)
    if held["events"] and read["events"]:
        if int(held["events"]) != int(read["events"]):
            yield Difference("events", held["events"], read["events"])
        return
    one, other = share(held), share(read)
    if other and not (one and one[0] <= other[1] + FLOAT_NOISE and other[0] <= one[1] + FLOAT_NOISE):
        yield Difference("events" if read["events"] else "percent", counted(held), counted(read))
    elif read["events"] and not other and not held["events"]:
        yield Difference("events", counted(held), counted(read))


def share(row: Values) -> tuple[float, float] | None:
    """Return the lowest and highest percentage of a row: exact from a count, within rounding from a percentage.

    Examples
    --------
    >>> share({"events": "6", "n": "8", "percent": "", "percent_printed": ""})
    (75.0, 75.0)
    >>> share({"events": "", "n": "", "percent": "70", "percent_printed": "70"})
    (69.5, 70.5)
    """
    if row["events"] and row["n"]:
        percent = 100 * int(row["events"]) / int(row["n"]) if int(row["n"]) else math.nan
        return percent, percent
    printed = row["percent_printed"] or row["percent"]
    return rounding_limits(printed) if printed else None


def counted(row: Values) -> str:
    """Return a count or a percentage in words.

    Examples
    --------
    >>> counted({"events": "6", "n": "8", "percent": "", "percent_printed": ""})
    '6 of 8'
    """
    printed = row["percent_printed"] or row["percent"]
    if row["events"]:
        return f"{row['events']} of {row['n']}" if row["n"] else row["events"]
    return f"{printed} %" if printed else ""


#: Table -> what compares the figures of two alike rows.
FIGURES = {"continuous": measure_differences, "binary": count_differences}


# Rows added to a CSV file, and empty cells filled, with every other byte left as it is.
# The difference between two versions of a table then shows only what was accepted. Each row is one line of the
# file, as the check of ``data/`` ensures.


#: One cell and what follows it, a comma or nothing.
CELL = re.compile(r'("(?:[^"]|"")*"|[^,]*)(,|$)')


def line_end(content: bytes) -> str:
    """Return the line end of a file; of one without any, a plain one."""
    return "\r\n" if b"\r\n" in content else "\n"


def quotes_all(content: bytes) -> bool:
    """Return whether a file puts every cell of its header in quotes."""
    header = content.decode("utf-8-sig").splitlines()[0] if content else ""
    cells = [match[1] for match in cells_of(header)]
    return bool(header) and all(cell.startswith('"') for cell in cells)


def as_line(cells: Sequence[str], content: bytes) -> str:
    """Return one row with the quoting and line end of a file.

    Examples
    --------
    >>> as_line(["a", "b, c"], b"x,y\\n"), as_line(["a", ""], b'"x","y"\\r\\n')
    ('a,"b, c"\\n', '"a",""\\r\\n')
    """
    # not guarded: formulas were refused before, and tables contain no added apostrophes
    return csv_text([cells], quoted=quotes_all(content), line_end=line_end(content), guarded=False)


def with_rows(content: bytes, rows: Iterable[Sequence[str]]) -> bytes:
    """Return the file with rows at its end.

    Examples
    --------
    >>> with_rows(b"x,y\\n1,2", [["3", "4"]])
    b'x,y\\n1,2\\n3,4\\n'
    """
    lines = "".join(as_line(row, content) for row in rows)
    if not lines:
        return content
    gap = "" if content.endswith(b"\n") else line_end(content)
    return content + (gap + lines).encode()


def with_cell(content: bytes, line: int, column: int, value: str) -> bytes:
    """Return the file with one empty cell filled: ``line`` counts from 1, the header's, ``column`` from 0.

    Raises
    ------
    ValueError
        If the cell is not empty: what is filled is never changed.

    Examples
    --------
    >>> with_cell(b'a,b\\n"x, y",\\n', 2, 1, "10.1000/1,2")
    b'a,b\\n"x, y","10.1000/1,2"\\n'
    """
    lines = content.split(b"\n")
    text = lines[line - 1].decode()
    body, end = (text[:-1], "\r") if text.endswith("\r") else (text, "")
    cell = cells_of(body)[column]
    if cell[1] not in ("", '""'):
        raise ValueError(f"expected an empty cell in line {line}, found {cell[1]}")
    filled = as_line([value], content).rstrip("\r\n")
    lines[line - 1] = f"{body[: cell.start(1)]}{filled}{body[cell.end(1) :]}{end}".encode()
    return b"\n".join(lines)


def cells_of(line: str) -> list[re.Match[str]]:
    """Return the matches of the cells of one line, with their quotes; the first group is the cell.

    Examples
    --------
    >>> [match[1] for match in cells_of('a,"b, c",')]
    ['a', '"b, c"', '']
    """
    found = []
    for match in CELL.finditer(line):
        found.append(match)
        if not match[2]:
            break
    return found
