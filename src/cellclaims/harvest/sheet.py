"""CSV files that a person opens in a spreadsheet, decides in, and hands back.

Two things make them different from the tables of ``data/``. A cell that a spreadsheet would run as a formula is
*guarded* by an apostrophe, which reading takes off again; a plain number such as -0.67 is left a number. And the file
starts with a byte order mark, without which some spreadsheets take UTF-8 for another encoding.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cellclaims.errors import ProposalError
from cellclaims.tables.cells import NUMBER

#: What starts a formula, in the narrow and in the wide forms that some spreadsheets read alike.
STARTS = frozenset("=+-@＝＋－＠")
#: What some spreadsheets drop before they look for a formula.
DROPPED = frozenset("\t\r\n")
GUARD = "'"


def guard(cell: str) -> str:
    """The cell as it can be opened in a spreadsheet without being run.

    Examples
    --------
    >>> guard("=cmd|' /C calc'!A0"), guard("-0.67"), guard("- none"), guard("'tis")
    ("'=cmd|' /C calc'!A0", '-0.67', "'- none", "''tis")
    """
    return GUARD + cell if cell.startswith(GUARD) or runs(cell) else cell


def runs(cell: str) -> bool:
    """Whether a spreadsheet may run a cell as a formula.

    Examples
    --------
    >>> runs("=1+1"), runs("-0.67"), runs("HbA1c")
    (True, False, False)
    """
    return (cell[:1] in DROPPED or cell.lstrip()[:1] in STARTS) and not is_number(cell)


def unguard(cell: str) -> str:
    """The cell as it was before :func:`guard`.

    Examples
    --------
    >>> unguard(guard("=1+1")), unguard("-0.67")
    ('=1+1', '-0.67')
    """
    return cell.removeprefix(GUARD)


def is_number(cell: str) -> bool:
    """Whether a cell is a plain number in ASCII digits.

    Examples
    --------
    >>> is_number("-0.67"), is_number("1,5"), is_number("")
    (True, False, False)
    """
    return cell.isascii() and bool(NUMBER.fullmatch(cell))


def one_line(text: str) -> str:
    """Text without line breaks and hidden characters, which a table of ``data/`` refuses and a title may hold.

    Examples
    --------
    >>> one_line("Islets\\n  alone\\u202e ")
    'Islets alone'
    """
    return " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())


def sheet_bytes(columns: Sequence[str], rows: Iterable[Mapping[str, str]]) -> bytes:
    """A header and rows, guarded, as the bytes of a file; a row holds every column."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([guard(row[name]) for name in columns] for row in rows)
    return text.getvalue().encode("utf-8-sig")


def read_sheet(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """The rows of a file that a person may have saved from a spreadsheet, each with its number under ``row``.

    Parameters
    ----------
    path : Path
        With or without a byte order mark, any line ends, cells in quotes or not.
    columns : iterable of str
        What the header must hold, in any order; further columns are the person's own and are handed out, too.

    Raises
    ------
    ProposalError
        If the file cannot be read, is no UTF-8, lacks a column, or has a row that is too long or too short.
    """
    try:
        rows = list(csv.reader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline=""), strict=True))
    except OSError as error:
        raise ProposalError(f"{path}: expected a file of proposals, found {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise ProposalError(f"{path}: expected comma-separated values in UTF-8, found {error}") from None
    header = [unguard(name) for name in rows[0]] if rows else []
    refuse_header(path, header, list(columns))
    return [named(path, number, header, row) for number, row in enumerate(rows[1:], start=2) if any(row)]


def refuse_header(path: Path, header: list[str], columns: list[str]) -> None:
    """Refuse a header that lacks a column or holds one twice."""
    if len(header) == 1 and ";" in header[0]:
        raise ProposalError(f"{path}: row 1: expected columns parted by ',', found ';': save it with commas")
    for name in columns:
        if header.count(name) != 1:
            found = "it twice" if name in header else ", ".join(header)[:200] or "nothing"
            raise ProposalError(f"{path}: row 1: expected the column {name}, found {found}")


def named(path: Path, number: int, header: list[str], row: list[str]) -> dict[str, str]:
    """The unguarded cells of one row by column; its number under the name ``row``."""
    if len(row) != len(header):
        raise ProposalError(f"{path}: row {number}: expected {len(header)} cells, found {len(row)}")
    return dict(zip(header, map(unguard, row), strict=True)) | {"row": str(number)}
