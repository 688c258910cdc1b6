"""Rows added to a CSV file, and empty cells filled, with every other byte left as it is.

A difference between two versions of a table then shows what was accepted, and nothing else. A row is one line of the
file, which the check of ``data/`` holds.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence

#: One cell and what follows it, a comma or nothing.
CELL = re.compile(r'("(?:[^"]|"")*"|[^,]*)(,|$)')


def line_end(content: bytes) -> str:
    """The line end of a file; of one without any, a plain one."""
    return "\r\n" if b"\r\n" in content else "\n"


def quotes_all(content: bytes) -> bool:
    """Whether a file puts every cell of its header in quotes."""
    header = content.decode("utf-8-sig").splitlines()[0] if content else ""
    cells = [match[1] for match in cells_of(header)]
    return bool(header) and all(cell.startswith('"') for cell in cells)


def as_line(cells: Sequence[str], content: bytes) -> str:
    """One row in the quoting and with the line end of a file.

    Examples
    --------
    >>> as_line(["a", "b, c"], b"x,y\\n"), as_line(["a", ""], b'"x","y"\\r\\n')
    ('a,"b, c"\\n', '"a",""\\r\\n')
    """
    quoting = csv.QUOTE_ALL if quotes_all(content) else csv.QUOTE_MINIMAL
    text = io.StringIO(newline="")
    csv.writer(text, quoting=quoting, lineterminator=line_end(content)).writerow(cells)
    return text.getvalue()


def with_rows(content: bytes, rows: Iterable[Sequence[str]]) -> bytes:
    """The file with rows at its end.

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
    """The file with one empty cell filled: ``line`` counts from 1, the header's, ``column`` from 0.

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
    """The cells of one line where they stand, in quotes if they are; the first group is the cell.

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
