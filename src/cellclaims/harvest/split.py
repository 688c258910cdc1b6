"""Records out of files of any size, one at a time, as bytes that have not been parsed yet.

Read are one study, a search page, an array of studies, studies one a line, and any of these one after another; gzip
is told by its first bytes. At no time is more than one record (or one small file) in memory.
"""

from __future__ import annotations

import gzip
import io
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from cellclaims.errors import HarvestError

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
