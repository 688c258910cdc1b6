"""Text from elsewhere made safe to look at: nothing in it moves a cursor, turns a line round or starts a formula.

The stored answers are never changed; this is for what a terminal, a page or a spreadsheet shows.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterable, Sequence

#: Control and format characters that tell a screen what to do; a zero-width joiner is part of words.
JOINERS = "\u200c\u200d"
#: How a cell starts that a spreadsheet takes for a formula, and a cell that looks guarded already.
FORMULA = re.compile(r"'*[=+\-@\t\r]")
#: A plain number is none.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?", re.IGNORECASE)


def visible(text: str) -> str:
    """Text on one line, its control, direction and unpaired characters written as their code points.

    Examples
    --------
    >>> visible("cured \\u202e%39\\nby \\x1b[31mcells")
    'cured <U+202E>%39 by <U+001B>[31mcells'
    """
    return "".join(_shown(character) for character in re.sub(r"[\t\r\n ]+", " ", text))


def _shown(character: str) -> str:
    is_hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in JOINERS
    return f"<U+{ord(character):04X}>" if is_hidden else character


def guarded(text: str) -> str:
    """Text for a cell of a CSV file: an apostrophe before what a spreadsheet would run as a formula.

    Reversible: :func:`unguarded` gives the text back, whatever it was.

    Examples
    --------
    >>> [guarded(text) for text in ("=cmd|' /C calc'!A0", "-1.2", "'=1")]
    ["'=cmd|' /C calc'!A0", '-1.2', "''=1"]
    """
    return f"'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text


def unguarded(cell: str) -> str:
    """The text of a cell that :func:`guarded` made.

    Examples
    --------
    >>> unguarded("'=1+1"), unguarded("'tis")
    ('=1+1', "'tis")
    """
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell) else cell


def as_csv(rows: Iterable[Sequence[object]]) -> str:
    """Rows as CSV, every cell guarded; the first row holds the headings.

    Examples
    --------
    >>> as_csv([("title", "k"), ("=1+1, two", 3)])
    'title,k\\n"\\'=1+1, two",3\\n'
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerows([[guarded(str(cell)) for cell in row] for row in rows])
    return buffer.getvalue()
