"""Files written whole or not at all, their fingerprints, and text that other programs may read without being misled."""

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

#: What counts as data in a data folder; notes for people (``README.md``) do not change a result.
DATA_SUFFIXES = frozenset({".csv", ".json", ".yml"})
#: Set where a PNG is wanted beside each SVG: by the command that renews figures/, for the kernels that it starts.
WITH_PNG = "CELLCLAIMS_PNG"
#: The folder of what the registries answered: no evidence before a person has accepted it.
REGISTRY = "registry"
#: How the name of a file ends that is being written.
PART = ".part"


@contextmanager
def written_aside(path: Path) -> Iterator[BinaryIO]:
    """A file open for writing that takes its name when the block ends, and is gone if anything fails in it.

    The content goes to a hidden file in the same folder (one file system), reaches the disk, and takes the name in
    one step: a reader finds the old file or the new one, never a part. A process that is killed leaves the old file,
    and a hidden one that the next writing of the same file clears away; a missing folder is made.

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
        If the folder cannot be written to or the disk is full; the old file stays.
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
            scratch.replace(path)  # while the file is still claimed: else it could be taken for an abandoned one
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _claimed(path: Path) -> tuple[BinaryIO, Path]:
    """A new hidden file that this process has claimed; another one if it was cleared away before that."""
    while True:
        scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}{PART}")
        file = scratch.open("xb")
        if _claim(file) is not False and scratch.exists():
            return file, scratch
        file.close()


def _claim(file: BinaryIO) -> bool | None:
    """Claim an open file until it is closed or the process ends.

    False where another process has claimed it, None where the system or the file system knows no such claims.
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
    """Delete the hidden files that a killed process left in a folder; how many.

    Those of a running process stay, and all of them where nobody can tell which these are.

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
        except OSError:  # it took its name meanwhile, or belongs to somebody else
            continue
    return cleared


def write_atomically(path: Path, content: bytes | str) -> None:
    """Write ``content`` so that a reader finds the old file or the new one, never a part (:func:`written_aside`).

    Parameters
    ----------
    path : Path
        The file to write or replace.
    content : bytes or str
        Text is written as UTF-8 with the line ends that it has.

    Raises
    ------
    OSError
        If the folder cannot be written to or the disk is full; the old file stays.

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
    """SHA-256 of a file's bytes, in hexadecimal.

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
    """One SHA-256 over the names and contents of the data files of a folder and its subfolders.

    Names are relative with ``/``, taken in sorted order, so that two copies of one folder agree wherever they
    lie. Data files end in ``.csv``, ``.json`` or ``.yml``; hidden files are not data, nor are those of ``registry/``.

    Raises
    ------
    FileNotFoundError
        If there is no such folder: an empty fingerprint would pass for a result.

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
    """One SHA-256 over the data files of a folder and the lists of the snapshots beside them.

    The lists name every answer by its own SHA-256. A report shows the evidence and the last snapshot, so it is out of
    date when either changed. Errors are those of :func:`fingerprint`.

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
    """One SHA-256 over the names (relative to ``folder``) and contents of ``paths``, in sorted order."""
    total = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in paths):
        if path.is_file() and not any(part.startswith(".") for part in Path(name).parts):
            total.update(f"{name}\0{sha256(path)}\n".encode())
    return total.hexdigest()


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


# CSV and Markdown. Cells may hold text from outside: a title, a comment, the words of an advertisement. A spreadsheet
# runs some cells as formulas, and a page shows HTML that stands in Markdown. Every CSV is written here.


#: A number as tables write it.
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
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


def csv_text(
    rows: Iterable[Sequence[object]], *, quoted: bool = False, line_end: str = "\n", guarded: bool = True
) -> str:
    """Return rows as CSV that no spreadsheet runs.

    Parameters
    ----------
    rows : iterable of sequence
        Cells; the heading is a row, too. None is an empty cell.
    quoted : bool
        Put every cell in quotes, so that a line break inside one ends no row.
    line_end : str
        What ends a row.
    guarded : bool
        Guard text that a spreadsheet would run (:func:`guard`). False only for a table that is read back as it is and
        takes no such text.

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
        breaks = any("\r" in cell for cell in cells if isinstance(cell, str))  # which Python 3.11 leaves bare
        (in_quotes if quoted or breaks else plain).writerow(cells)
    return text.getvalue()


def markdown_table(rows: Sequence[Sequence[object]]) -> str:
    """Return rows as a Markdown table, text as text; the first row is the heading.

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
    """Return a value as one cell of a Markdown table: HTML is shown as it is written, and nothing ends the cell.

    Examples
    --------
    >>> markdown_cell("a | <script>")
    'a \\\\| &lt;script&gt;'
    """
    return html.escape(str(cell), quote=False).replace("|", "\\|").replace("\n", " ").replace("\r", " ")
