"""Rows and refusals written as they come, as Parquet or CSV: two files, each whole or not at all.

``posted.parquet`` holds the rows, ``posted.refused.parquet`` what was refused. Text from outside is put on one line,
hidden characters are shown by number, and in CSV no text is left that a spreadsheet would run as a formula.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import BinaryIO

from cellclaims.errors import HarvestError
from cellclaims.harvest.rows import BINARY, CONTINUOUS, Refusal, Row
from cellclaims.harvest.shapes import plain
from cellclaims.harvest.sheet import guard
from cellclaims.harvest.stream import Portion

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
        self.writer = csv.DictWriter(self.text, columns, lineterminator="\n")
        self.writer.writeheader()

    def write(self, row: dict[str, str]) -> None:
        """One row."""
        self.writer.writerow({name: guard(cell) for name, cell in row.items()})

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
