"""Records of any number -> portions of rows and refusals, in order, in constant memory; here, in processes, or on Dask.

A *piece* is some values of the files, parsed where it is worked on. The outcome is the same wherever that is.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import secrets
import sys
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from cellclaims.errors import HarvestError
from cellclaims.files import csv_text
from cellclaims.harvest.measurements import BINARY, CONTINUOUS, Refusal, Row, posted
from cellclaims.harvest.vocabulary import kind_of, plain

# Records out of files of any size, one at a time, as bytes that have not been parsed yet.
#
# Read are one study, a search page, an array of studies, studies one a line, and any of these one after another;
# gzip
# is told by its first bytes. At no time is more than one record (or one small file) in memory.


#: A file up to this size is handed out whole; a record above the other size is refused (the largest posted is 20 MB).
WHOLE, LARGEST = 4 << 20, 64 << 20

#: Read from a file at once.
CHUNK = 1 << 20

TOO_LARGE = f"larger than {LARGEST >> 20} MB: expected one study, or a page or array of studies"

#: The level of a page behind its studies: nothing there is a record.
BEHIND = 1 << 30

SUFFIXES = (".json", ".jsonl", ".ndjson")

_TOKEN = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}"]', re.DOTALL)


@dataclass(frozen=True)
class Body:
    """One value of a file as bytes, or why there is none; ``where`` says where it stood."""

    where: str
    content: bytes = b""
    fault: str = ""


def files_of(paths: list[str | Path]) -> Iterator[str | Path]:
    """The files of files and folders, a folder's in order of their names; ``-`` is standard input.

    Raises
    ------
    HarvestError
        If a path is missing, or a folder holds no record.
    """
    for path in paths:
        if str(path) == "-":
            yield "-"
        elif Path(path).is_dir():
            yield from _in_folder(Path(path))
        elif Path(path).is_file():
            yield Path(path)
        else:
            raise HarvestError(f"records: expected a file or folder, found nothing at {path}")


def _in_folder(folder: Path) -> Iterator[Path]:
    """The files of records in a folder and those below, without hidden ones."""
    found = 0
    for path in sorted(folder.rglob("*")):
        name = path.name.removesuffix(".gz")
        if (
            name.endswith(SUFFIXES)
            and path.is_file()
            and not any(p.startswith(".") for p in path.relative_to(folder).parts)
        ):
            found += 1
            yield path
    if not found:
        raise HarvestError(f"{folder}: expected files ending in {', '.join(SUFFIXES)} (or .gz), found none")


def bodies(file: BinaryIO, name: str) -> Iterator[Body]:
    """Every value of an open file; one that breaks off, or is no gzip, is a fault and ends it."""
    try:
        yield from _bodies(_unzipped(file), name)
    except (OSError, EOFError, zlib.error) as error:
        yield Body(name, fault=f"the file cannot be read to its end: {error}")


def _unzipped(file: BinaryIO) -> BinaryIO:
    head = file.read(2)
    whole = io.BufferedReader(_Rest(head, file), CHUNK)
    return gzip.open(whole) if head == b"\x1f\x8b" else whole


def _bodies(file: BinaryIO, name: str) -> Iterator[Body]:
    head = file.read(CHUNK)
    lines = _is_lines(head)
    if not lines:
        head += file.read(max(WHOLE - len(head), 0) + 1)
        lines = _is_lines(head)
    rest = io.BufferedReader(_Rest(head.removeprefix(b"\xef\xbb\xbf"), file), CHUNK)
    if lines:
        yield from _lines(rest, name)
    elif len(head) <= WHOLE:
        content = rest.read()
        yield Body(name, content) if content.strip() else Body(name, fault="the file is empty")
    else:
        yield from _Splitter(name).values(rest)


class _Rest(io.RawIOBase):
    """What was read of a file already, and then the rest of it."""

    def __init__(self, head: bytes, file: BinaryIO) -> None:
        self.head, self.file = head, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:
        taken = self.head[: len(buffer)] or self.file.read(len(buffer))
        self.head = self.head[len(buffer) :]
        buffer[: len(taken)] = taken
        return len(taken)


def _is_lines(head: bytes) -> bool:
    """Whether a file holds a record a line: its first line is one, or a later line opens one."""
    first, end, _ = head.removeprefix(b"\xef\xbb\xbf").lstrip().partition(b"\n")
    return first.startswith(b"{") and ((bool(end) and first.rstrip().endswith(b"}")) or b"\n{" in head)


def _lines(file: io.BufferedReader, name: str) -> Iterator[Body]:
    """A value a line; a line that is too long is a fault, and the next one is read."""
    number = 0
    while line := file.readline(LARGEST + 1):
        number += 1
        where = f"{name}, line {number}"
        if len(line) > LARGEST and not line.endswith(b"\n"):
            while line and not line.endswith(b"\n"):
                line = file.readline(CHUNK)
            yield Body(where, fault=TOO_LARGE)
        elif line.strip():
            yield Body(where, line)


class _Splitter:
    """Finds the values of a large file by its brackets: those of an array, of the studies of a page, or in a row."""

    def __init__(self, name: str) -> None:
        self.name, self.number = name, 0
        self.left, self.at, self.start = b"", 0, -1  # bytes kept, scanned up to, where the value in hand starts
        self.depth, self.level, self.key = 0, 0, b""  # a value is what opens and closes at this level

    def values(self, file: io.BufferedReader) -> Iterator[Body]:
        """Every value of the file, and a fault where it breaks off."""
        while chunk := file.read(CHUNK):
            self.left += chunk
            yield from self._scan()
            if len(self.left) > LARGEST:
                yield self._body(fault=TOO_LARGE)
                if self.start < 0:  # a text without an end
                    return
                self.start = -1
                self._forget()
        if self.depth:
            yield self._body(fault="the file ends inside a record")
        elif not self.number:
            yield Body(self.name, fault="no record found")

    def _scan(self) -> Iterator[Body]:
        for token in _TOKEN.finditer(self.left, self.at):
            if token[0] == b'"':  # the text goes on in the next chunk
                self.at = token.start()
                break
            self.at = token.end()
            if token[0] in b"{[":
                self._open(token[0], token.start())
            elif token[0] in b"}]":
                yield from self._close()
            elif self.depth == 1:
                self.key = token[0]
        else:
            self.at = len(self.left)
        self._forget()

    def _open(self, bracket: bytes, place: int) -> None:
        listed = bracket == b"[" and self.level == 0
        if listed and (self.depth == 0 or (self.depth == 1 and self.key == b'"studies"')):
            self.level, self.start = self.depth + 1, -1
        elif self.depth == self.level:
            self.start = place
        self.depth += 1

    def _close(self) -> Iterator[Body]:
        self.depth -= 1
        if self.depth == self.level and self.start >= 0:
            yield self._body(self.left[self.start : self.at])
            self.start = -1
        elif self.depth <= 0:
            self.depth, self.level = 0, 0
        elif self.depth < self.level:
            self.level = BEHIND

    def _body(self, content: bytes = b"", fault: str = "") -> Body:
        self.number += 1
        return Body(f"{self.name}, record {self.number}", content, fault)

    def _forget(self) -> None:
        """Drop the bytes that no value needs any more."""
        cut = self.start if self.start >= 0 else self.at
        self.left, self.at = self.left[cut:], self.at - cut
        self.start = min(self.start, 0)


#: A piece is closed when it holds so many bytes or values.
PIECE_BYTES, PIECE_VALUES = 1 << 20, 500

#: Pieces that are handed to a cluster together: their outcomes are in memory at the same time.
WINDOW = 64

#: Does the same work on every piece, in their order: ``meta.cluster.on_cluster`` with its address.
Spread = Callable[[Callable[[list[Body]], "Portion"], Iterable[list[Body]]], Iterable["Portion"]]


@dataclass(frozen=True)
class Portion:
    """What some records gave; ``unreadable`` of the refusals are no record at all."""

    records: int = 0
    unreadable: int = 0
    rows: list[Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


def stream(paths: Iterable[str | Path], *, workers: int = 1, spread: Spread | None = None) -> Iterator[Portion]:
    """Harvest files and folders of v2 studies, however large.

    Parameters
    ----------
    paths : iterable of str or Path
        Files (a study, a page, an array, or studies one a line; gzip or not), folders of such files, or ``-``.
    workers : int
        Processes on this machine.
    spread : callable, optional
        Does the work elsewhere, for example at a Dask scheduler.

    Yields
    ------
    Portion
        In the order of the records, the same for any number of workers.

    Raises
    ------
    HarvestError
        If a path is missing or a folder holds no record. What is wrong inside a file is a refusal.
    """
    pieces = _pieces(paths)
    if spread is not None:
        while window := list(islice(pieces, WINDOW)):
            yield from spread(harvest_piece, window)
    elif workers > 1:
        from joblib import Parallel, delayed

        run = Parallel(n_jobs=workers, return_as="generator", batch_size=1, pre_dispatch=2 * workers)
        yield from run(delayed(harvest_piece)(piece) for piece in pieces)
    else:
        yield from map(harvest_piece, pieces)


def _pieces(paths: Iterable[str | Path]) -> Iterator[list[Body]]:
    piece, size = [], 0
    for body in _all_bodies(paths):
        piece.append(body)
        size += len(body.content)
        if size >= PIECE_BYTES or len(piece) >= PIECE_VALUES:
            yield piece
            piece, size = [], 0
    if piece:
        yield piece


def _all_bodies(paths: Iterable[str | Path]) -> Iterator[Body]:
    for path in files_of(list(paths)):
        try:
            opened = nullcontext(sys.stdin.buffer) if path == "-" else path.open("rb")
        except OSError as error:
            raise HarvestError(f"records: {path} cannot be opened: {error.strerror}") from error
        with opened as file:
            yield from bodies(file, "standard input" if path == "-" else str(path))


def harvest_piece(piece: list[Body]) -> Portion:
    """Rows and refusals of the values of a piece."""
    records, unreadable, rows, refused = 0, 0, [], []
    for body in piece:
        for one in _studies(body):
            if isinstance(one, Refusal):
                unreadable += 1
                refused.append(one)
            else:
                records += 1
                found = posted(one)
                rows += found.rows
                refused += found.refused
            del one  # before the next is parsed: its memory, still in the processor's cache, is used again
    return Portion(records, unreadable, rows, refused)


def _studies(body: Body) -> Iterator[dict | Refusal]:
    """The studies of one value: itself, or those of a page or array."""
    if body.fault:
        yield _unreadable(body.where, body.fault)
        return
    try:
        value = json.loads(body.content, parse_constant=_no_number)
    except RecursionError:
        yield _unreadable(body.where, "nested too deeply")
        return
    except ValueError as error:  # no JSON, no UTF-8, or a number of thousands of digits
        yield _unreadable(body.where, f"expected JSON: {plain(str(error))[:200]}")
        return
    listed = value.get("studies") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        yield _study(value, body.where)
        return
    for number, one in enumerate(listed, start=1):
        yield _study(one, f"{body.where}, study {number}")


def _study(value: object, where: str) -> dict | Refusal:
    if not isinstance(value, dict):
        return _unreadable(where, f"expected a study, found {kind_of(value)}")
    if "protocolSection" not in value:
        return _unreadable(where, "expected a study of the registry's API v2, found no protocolSection")
    return value


def _unreadable(where: str, reason: str) -> Refusal:
    return Refusal("", "", plain(where), reason)


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no JSON")


# Rows and refusals written as they come, as Parquet or CSV: two files, each whole or not at all.
#
# ``posted.parquet`` holds the rows, ``posted.refused.parquet`` what was refused. Text from outside is put on one
# line,
# hidden characters are shown by number, and in CSV no text is left that a spreadsheet would run as a formula.


#: Columns of the two files; a row leaves those of the other table empty.
ROW_COLUMNS = ["registration", "table", "pointer", "n_pointer", "arm_title", *dict.fromkeys([*CONTINUOUS, *BINARY])]
REFUSED_COLUMNS = ["registration", "pointer", "title", "reason"]

#: Rows in a row group, and at most in memory.
GROUP = 10_000


def as_cells(row: Row) -> dict[str, str]:
    """A row under :data:`ROW_COLUMNS`."""
    said = {"registration": row.registration, "table": row.table, "pointer": row.pointer, "n_pointer": row.n_pointer}
    return {**dict.fromkeys(ROW_COLUMNS, ""), **said, "arm_title": plain(row.arm_title), **row.values}


def as_refused(refusal: Refusal) -> dict[str, str]:
    """A refusal under :data:`REFUSED_COLUMNS`."""
    return {name: plain(value) for name, value in asdict(refusal).items()}


class CsvRows:
    """Writes dictionaries as CSV."""

    def __init__(self, file: BinaryIO, columns: list[str]) -> None:
        self.text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self.columns = columns
        self.text.write(csv_text([columns]))

    def write(self, row: dict[str, str]) -> None:
        """One row."""
        self.text.write(csv_text([[row.get(name, "") for name in self.columns]]))

    def close(self) -> None:
        """Everything to the file, which stays open."""
        self.text.detach()


class ParquetRows:
    """Writes dictionaries as Parquet, a row group at a time; all columns are text."""

    def __init__(self, file: BinaryIO, columns: list[str]) -> None:
        import pyarrow
        from pyarrow import parquet

        self.schema = pyarrow.schema([(name, pyarrow.string()) for name in columns])
        self.writer = parquet.ParquetWriter(file, self.schema, compression="zstd")
        self.rows: list[dict[str, str]] = []

    def write(self, row: dict[str, str]) -> None:
        """One row, kept until its group is full."""
        self.rows.append(row)
        if len(self.rows) == GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        self.writer.write_table(pyarrow.Table.from_pylist(self.rows, self.schema))
        self.rows = []

    def close(self) -> None:
        """The last group and the footer; the file stays open."""
        if self.rows:
            self._flush()
        self.writer.close()


FORMATS = {".parquet": ParquetRows, ".csv": CsvRows}


def refused_beside(into: Path) -> Path:
    """The file of the refusals beside that of the rows.

    >>> refused_beside(Path("posted.csv")).name
    'posted.refused.csv'
    """
    return into.with_name(f"{into.stem}.refused{into.suffix}")


@contextmanager
def written(into: Path) -> Iterator[tuple[CsvRows | ParquetRows, CsvRows | ParquetRows]]:
    """Two files open for rows and refusals; both take their names at the end, none if anything fails.

    Raises
    ------
    HarvestError
        If the name ends in neither ``.parquet`` nor ``.csv``, or the place cannot be written to.
    """
    if into.suffix not in FORMATS:
        raise HarvestError(f"--into: expected a name ending in {' or '.join(FORMATS)}, found {into.name!r}")
    try:
        with ExitStack() as stack:
            refused = stack.enter_context(_aside(refused_beside(into)))  # leaves last, takes its name last
            rows = stack.enter_context(_aside(into))
            writers = FORMATS[into.suffix](rows, ROW_COLUMNS), FORMATS[into.suffix](refused, REFUSED_COLUMNS)
            for writer in writers:
                stack.callback(writer.close)
            yield writers
    except OSError as error:
        raise HarvestError(f"{into}: cannot be written: {error}") from error


@contextmanager
def _aside(path: Path) -> Iterator[BinaryIO]:
    """A hidden file that takes the name at the end, on the disk; gone if anything fails."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(6)}.part")
    try:
        with scratch.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def write(portions: Iterator[Portion], into: Path) -> Iterator[Portion]:
    """Write portions into two files as they come, and hand them on.

    Raises
    ------
    HarvestError
        As :func:`written`; the files are then as before.
    """
    with written(into) as (rows, refused):
        for portion in portions:
            for row in portion.rows:
                rows.write(as_cells(row))
            for refusal in portion.refused:
                refused.write(as_refused(refusal))
            yield portion


# ``cellclaims harvest``: what it writes and says.


#: So many reasons are said at the end, the most frequent first.
REASONS = 8


def harvest(
    paths: list[str],
    into: Path | None,
    *,
    workers: int,
    spread: Spread | None,
    say: Callable[[str], object],
    tell: Callable[[str], object],
) -> int:
    """Harvest files into two tables, or say rows and refusals as lines of JSON; the number of unreadable values.

    Parameters
    ----------
    paths, workers, spread
        As :func:`cellclaims.harvest.stream.stream` takes them.
    into : Path or None
        ``.parquet`` or ``.csv``; without it each row and refusal goes to ``say``.
    say, tell : callable
        For results and for remarks (standard output and standard error).

    Raises
    ------
    HarvestError
        If a path is missing or ``into`` cannot be written.
    """
    found = stream(paths, workers=workers, spread=spread)
    portions = found if into is None else write(found, into)
    records, unreadable, rows, reasons = 0, 0, 0, Counter()
    for portion in portions:
        records, unreadable, rows = records + portion.records, unreadable + portion.unreadable, rows + len(portion.rows)
        reasons.update(_kind(refusal.reason) for refusal in portion.refused)
        if into is None:
            for line in _csv_lines(portion):
                say(line)
    tell(f"{records} records: {rows} rows, {reasons.total()} refusals, {unreadable} of them for what is no record")
    for reason, count in sorted(reasons.items(), key=lambda one: (-one[1], one[0]))[:REASONS]:
        tell(f"  {count:6}  {reason}")
    if into is not None:
        tell(f"{into}, {refused_beside(into)}")
    return unreadable


def _csv_lines(portion: Portion) -> Iterator[str]:
    """Rows without their empty cells, and refusals, each as a line of JSON."""
    for row in portion.rows:
        yield json.dumps({"row": {name: cell for name, cell in as_cells(row).items() if cell}}, ensure_ascii=False)
    for refusal in portion.refused:
        yield json.dumps({"refused": as_refused(refusal)}, ensure_ascii=False)


def _kind(reason: str) -> str:
    """A reason without what was found, so that equal ones are counted together."""
    return reason.split(": '")[0].split(", found")[0].split(" (posted with the comment")[0][:100]
