"""Files written whole or not at all, and the fingerprints that tell whether they changed."""

from __future__ import annotations

import glob
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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
        if _claim(file) and scratch.exists():
            return file, scratch
        file.close()


def _claim(file: BinaryIO) -> bool:
    """Claim an open file until it is closed or the process ends; False where another process has claimed it."""
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # no such claims on this system or file system
        return True
    return True


def clear_abandoned(folder: Path, pattern: str = f".*{PART}") -> int:
    """Delete the hidden files that a killed process left in a folder; how many. Those of a running one stay.

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
