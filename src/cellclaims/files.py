"""Atomic writing of files, fingerprints, and text that is safe to open in spreadsheets and Markdown viewers."""

from __future__ import annotations

import csv
import glob
import hashlib
import html
import io
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

from cellclaims.errors import ReviewError

#: Endings of data files; documentation (``README.md``) does not change a result.
DATA_SUFFIXES = frozenset({".csv", ".json", ".yml"})
#: Environment variable that requests a PNG for each SVG; set for kernels by the command that updates figures/.
WITH_PNG = "CELLCLAIMS_PNG"
#: The folder of registry answers, which are not evidence before a reviewer has accepted them.
REGISTRY = "registry"
#: Ending of the name of a file while it is being written.
PART = ".part"


@contextmanager
def written_aside(path: Path) -> Iterator[BinaryIO]:
    """Open a file that gets its name when the block ends, and is deleted if the block fails.

    The content is written to a hidden file in the same folder (one file system), flushed to the disk, and renamed in
    one step, so readers find the old file or the new one, never a part. A killed process leaves the old file
    and a hidden one, which is deleted when the file is written again. A missing folder is created.

    Parameters
    ----------
    path : Path
        The file to write or replace.

    Yields
    ------
    BinaryIO
        The hidden file.

    Raises
    ------
    OSError
        If the folder cannot be written to or the disk is full; the old file is kept.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    clear_abandoned(path.parent, f".{glob.escape(path.name)}.*{PART}")
    file, scratch = _claimed(path)
    try:
        with file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            scratch.replace(path)  # while the file is still locked: otherwise it could be deleted as an abandoned one
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _claimed(path: Path) -> tuple[BinaryIO, Path]:
    """Create a hidden file and lock it; try again if it was deleted before that."""
    while True:
        scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}{PART}")
        file = scratch.open("xb")
        if _claim(file) is not False and scratch.exists():
            return file, scratch
        file.close()


def _claim(file: BinaryIO) -> bool | None:
    """Lock an open file until it is closed or the process ends.

    Returns False if another process has locked it, None if the system or the file system does not support locks.
    """
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):
        return None
    return True


def clear_abandoned(folder: Path, pattern: str = f".*{PART}") -> int:
    """Delete the hidden files left in a folder by killed processes; return their number.

    Files of running processes are kept. Where locks are not supported, all files are kept.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / ".rows.csv.1a2b3c.part").touch()
    >>> clear_abandoned(folder)
    1
    """
    cleared = 0
    for path in folder.glob(pattern):
        try:
            with path.open("rb") as file:
                if _claim(file):
                    path.unlink(missing_ok=True)
                    cleared += 1
        except OSError:  # it was renamed meanwhile, or belongs to another process
            continue
    return cleared


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` so that readers find the old file or the new one, never a part (:func:`written_aside`).

    Parameters
    ----------
    path : Path
        The file to write or replace.
    content : bytes or str
        Text is written as UTF-8 with its own line ends.

    Raises
    ------
    OSError
        If the folder cannot be written to or the disk is full; the old file is kept.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_atomically(folder / "new" / "note.txt", "one line")
    >>> (folder / "new" / "note.txt").read_text()
    'one line'
    >>> [path.name for path in (folder / "new").iterdir()]
    ['note.txt']
    """
    with written_aside(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal.

    Raises
    ------
    OSError
        If the file is missing or cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> empty = Path(tempfile.mkdtemp()) / "empty"
    >>> empty.touch()
    >>> sha256(empty)[:12]
    'e3b0c44298fc'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(folder: Path) -> str:
    """Return one SHA-256 over the names and contents of the data files of a folder and its subfolders.

    Names are relative with ``/`` and sorted, so that copies of a folder agree at any location. Data files end in
    ``.csv``, ``.json`` or ``.yml``; hidden files are not data, nor are those of ``registry/``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder; an empty fingerprint could be mistaken for a result.

    Examples
    --------
    >>> import tempfile
    >>> one, other = Path(tempfile.mkdtemp()), Path(tempfile.mkdtemp())
    >>> for folder in (one, other):
    ...     _ = (folder / "arms.csv").write_text("arm_id,n\\n")
    >>> fingerprint(one) == fingerprint(other)
    True
    >>> _ = (other / "README.md").write_text("not data")
    >>> fingerprint(one) == fingerprint(other)
    True
    >>> _ = (other / "arms.csv").write_text("arm_id,n\\na,1\\n")
    >>> fingerprint(one) == fingerprint(other)
    False
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"expected a folder of data files, found nothing at {folder}")
    inside = (path for path in folder.rglob("*") if path.relative_to(folder).parts[0] != REGISTRY)
    return fingerprint_of(folder, (path for path in inside if path.suffix in DATA_SUFFIXES))


def fingerprint_with_snapshots(folder: Path) -> str:
    """Return one SHA-256 over the data files of a folder and its lists of snapshots.

    The lists contain the SHA-256 of every answer. A report shows the evidence and names the last snapshot, so it is
    out of date when either has changed. Errors are those of :func:`fingerprint`.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_atomically(folder / "arms.csv", "arm_id,n\\n")
    >>> before = fingerprint(folder), fingerprint_with_snapshots(folder)
    >>> write_atomically(folder / REGISTRY / "snapshots" / "20261120T101500Z.json", "{}")
    >>> fingerprint(folder) == before[0], fingerprint_with_snapshots(folder) == before[1]
    (True, False)
    """
    snapshots = Path(folder) / REGISTRY / "snapshots"
    both = fingerprint(folder) + fingerprint_of(snapshots, snapshots.glob("*.json"))
    return hashlib.sha256(both.encode()).hexdigest()


def fingerprint_of(folder: Path, paths: Iterable[Path]) -> str:
    """Return one SHA-256 over the sorted names (relative to ``folder``) and contents of ``paths``."""
    total = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in paths):
        if path.is_file() and not any(part.startswith(".") for part in Path(name).parts):
            total.update(f"{name}\0{sha256(path)}\n".encode())
    return total.hexdigest()


def put_between(path: Path, begin: str, end: str, text: str) -> None:
    """Replace the text between two marks of a file, each mark alone on its line.

    Raises
    ------
    ReviewError
        If the file has no such marks.
    """
    page = path.read_text(encoding="utf-8")
    if begin not in page or end not in page:
        raise ReviewError(f"{path}: expected the lines {begin!r} and {end!r}, found none")
    before, rest = page.split(begin, 1)
    write_atomically(path, f"{before}{begin}\n{text}\n{end}{rest.split(end, 1)[1]}")


def take_lock(file: IO[bytes], path: Path) -> bool:
    """Lock an open file for this process alone, until it is closed.

    Parameters
    ----------
    file : binary file
        Open for writing.
    path : Path
        Where it was opened.

    Returns
    -------
    bool
        False if another process has the lock, or has just deleted the file.
    """
    import fcntl  # not on Windows, where nothing but a lock needs it

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.fstat(file.fileno()).st_ino == path.stat().st_ino
    except OSError:
        return False


# CSV and Markdown. Cells may contain text from outside: a title, a comment, the words of an advertisement. A
# spreadsheet runs some cells as formulas, and Markdown may contain HTML. All CSV files are written here.


#: A number as tables write it.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
#: Characters that start a formula, including the full-width forms that some spreadsheets accept.
STARTS = frozenset("=+-@＝＋－＠")
#: Characters that some spreadsheets skip before a formula.
DROPPED = frozenset("\t\r\n")
GUARD = "'"


def guard(cell: str) -> str:
    """Return the cell with an apostrophe in front if a spreadsheet would run it as a formula.

    Examples
    --------
    >>> guard("=cmd|' /C calc'!A0"), guard("-0.67"), guard("- none"), guard("'tis")
    ("'=cmd|' /C calc'!A0", '-0.67', "'- none", "''tis")
    """
    return GUARD + cell if cell.startswith(GUARD) or runs(cell) else cell


def runs(cell: str) -> bool:
    """Return whether a spreadsheet may run a cell as a formula.

    Examples
    --------
    >>> runs("=1+1"), runs("-0.67"), runs("HbA1c")
    (True, False, False)
    """
    return (cell[:1] in DROPPED or cell.lstrip()[:1] in STARTS) and not is_number(cell)


def unguard(cell: str) -> str:
    """Return the cell as it was before :func:`guard`.

    Examples
    --------
    >>> unguard(guard("=1+1")), unguard("-0.67")
    ('=1+1', '-0.67')
    """
    return cell.removeprefix(GUARD)


def is_number(cell: str) -> bool:
    """Return whether a cell is a plain number in ASCII digits.

    Examples
    --------
    >>> is_number("-0.67"), is_number("1,5"), is_number("")
    (True, False, False)
    """
    return cell.isascii() and bool(NUMBER.fullmatch(cell))


def csv_text(
    rows: Iterable[Sequence[object]], *, quoted: bool = False, line_end: str = "\n", guarded: bool = True
) -> str:
    """Return rows as CSV without cells that a spreadsheet would run as formulas.

    Parameters
    ----------
    rows : iterable of sequence
        Cells; the heading is a row, too. None is an empty cell.
    quoted : bool
        Quote every cell, so that line breaks inside a cell do not end the row.
    line_end : str
        Line terminator.
    guarded : bool
        Guard text that a spreadsheet would run (:func:`guard`). False only for a table that contains no such text and
        is read back unchanged.

    Examples
    --------
    >>> print(csv_text([("claim", "k"), ("=1+1", 3), ("a, b", None)]), end="")
    claim,k
    '=1+1,3
    "a, b",
    """
    text = io.StringIO(newline="")
    plain = csv.writer(text, lineterminator=line_end)
    in_quotes = csv.writer(text, lineterminator=line_end, quoting=csv.QUOTE_ALL)
    for row in rows:
        cells = [guard(cell) if guarded and isinstance(cell, str) else cell for cell in row]
        breaks = any("\r" in cell for cell in cells if isinstance(cell, str))  # Python 3.11 does not quote it
        (in_quotes if quoted or breaks else plain).writerow(cells)
    return text.getvalue()


def markdown_table(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as a Markdown table with escaped text; the first row is the heading.

    Examples
    --------
    >>> print(markdown_table([("claim", "k"), ("a | <b>", 3)]))
    | claim | k |
    |---|---|
    | a \\| &lt;b&gt; | 3 |
    """
    head, *body = [[markdown_cell(cell) for cell in row] for row in rows]
    lines = ["|" + "".join(f" {cell} |" if cell else " |" for cell in row) for row in (head, *body)]
    return "\n".join([lines[0], f"|{'---|' * len(head)}", *lines[1:]])


def markdown_cell(cell: object) -> str:
    """Return a value as one cell of a Markdown table, with HTML and pipes escaped.

    Examples
    --------
    >>> markdown_cell("a | <script>")
    'a \\\\| &lt;script&gt;'
    """
    return html.escape(str(cell), quote=False).replace("|", "\\|").replace("\n", " ").replace("\r", " ")
