"""Harvest of any number of records in constant memory: in this process, in several, or on Dask.

A *piece* is some values of the files, parsed where it is worked on. The outcome is the same wherever that is.
"""

from __future__ import annotations

import io
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from cellclaims.errors import HarvestError
from cellclaims.files import csv_text, written_aside
from cellclaims.harvest.measurements import BINARY, CONTINUOUS, Harvest, Refusal, Row
from cellclaims.harvest.reading import NO_PYARROW, kind_of, plain
from cellclaims.harvest.study import posted
from cellclaims.registries.folder import Body, bodies

SUFFIXES = (".json", ".jsonl", ".ndjson")


def files_of(paths: list[str | Path]) -> Iterator[str | Path]:
    """Yield the files of files and folders, a folder's in order of their names; ``-`` is standard input.

    Raises
    ------
    HarvestError
        If a path is missing, or a folder contains no record.
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
    """Yield the files of records in a folder and those below, without hidden ones."""
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


#: Largest number of bytes or values in a piece.
PIECE_BYTES, PIECE_VALUES = 1 << 20, 500

#: Pieces that are handed to a cluster together: their outcomes are in memory at the same time.
WINDOW = 64

#: Does the same work on every piece, in their order: ``meta.cluster.on_cluster`` with its address.
Spread = Callable[[Callable[[list[Body]], "PieceHarvest"], Iterable[list[Body]]], Iterable["PieceHarvest"]]


@dataclass(frozen=True)
class Portion:
    """Rows and refusals of some records.

    Attributes
    ----------
    records, unreadable : int
        Studies, and what is no study at all: of the latter each is one of the refusals.
    rows, refused : list
        Those of all records, in order.
    """

    records: int = 0
    unreadable: int = 0
    rows: list[Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


@dataclass(frozen=True)
class PieceHarvest:
    """Results of the values of a piece, in order, with their positions, and reasons for values that are no study."""

    found: list[tuple[str, Harvest | Refusal]] = field(default_factory=list)


def stream(paths: Iterable[str | Path], *, workers: int = 1, spread: Spread | None = None) -> Iterator[Portion]:
    """Harvest files and folders of v2 studies of any size.

    Parameters
    ----------
    paths : iterable of str or Path
        Files (a study, a page, an array, or one study per line; also gzip), folders of such files, or ``-``.
    workers : int
        Processes on this machine.
    spread : callable, optional
        Does the work elsewhere, for example at a Dask scheduler.

    Yields
    ------
    Portion
        In the order of the records, the same for any number of workers. A study that came before gives no rows again
        but one refusal, which says whether it came with the same rows.

    Raises
    ------
    HarvestError
        If a path is missing or a folder contains no record. Errors inside a file are refusals.
    """
    yield from _once(_harvested(_pieces(paths), workers, spread))


def _harvested(pieces: Iterator[list[Body]], workers: int, spread: Spread | None) -> Iterator[PieceHarvest]:
    if spread is not None:
        while window := list(islice(pieces, WINDOW)):
            yield from spread(harvest_piece, window)
    elif workers > 1:
        from joblib import Parallel, delayed

        run = Parallel(n_jobs=workers, return_as="generator", batch_size=1, pre_dispatch=2 * workers)
        yield from run(delayed(harvest_piece)(piece) for piece in pieces)
    else:
        yield from map(harvest_piece, pieces)


def _once(pieces: Iterable[PieceHarvest]) -> Iterator[Portion]:
    """Yield each study once, and a refusal for each repetition.

    Of a study with results a checksum of 8 bytes is kept: a few MB for a whole registry.
    """
    seen: dict[str, bytes] = {}
    for piece in pieces:
        rows, refused, unreadable = [], [], 0
        for where, found in piece.found:
            if isinstance(found, Refusal):
                unreadable += 1
                refused.append(found)
            elif again := _again(seen, where, found):
                refused.append(again)
            else:
                rows += found.rows
                refused += found.refused
        yield Portion(len(piece.found) - unreadable, unreadable, rows, refused)


def _again(seen: dict[str, bytes], where: str, found: Harvest) -> Refusal | None:
    """Return the refusal of a repeated study; None for a new one, which is then known."""
    registration = next((one.registration for one in (*found.rows, *found.refused)), "")
    if not registration:
        return None
    digest = blake2b(repr((found.rows, found.refused)).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    before = seen.setdefault(registration, digest)
    if before is digest:
        return None
    same = "with the same results" if before == digest else "with other results: compare the two records"
    reason = f"the study came before in this harvest, {same}; its rows are those of the first"
    return Refusal(registration, "", plain(where), reason)


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


def harvest_piece(piece: list[Body]) -> PieceHarvest:
    """Return rows and refusals of the values of a piece."""
    found: list[tuple[str, Harvest | Refusal]] = []
    for body in piece:
        for where, one in _studies(body):
            found.append((where, one if isinstance(one, Refusal) else posted(one)))
            del one  # before the next is parsed: its memory, still in the processor's cache, is used again
    return PieceHarvest(found)


def _studies(body: Body) -> Iterator[tuple[str, dict | Refusal]]:
    """Yield the studies of one value, itself or those of a page or array, each with its position."""
    if body.fault:
        yield body.where, _unreadable(body.where, body.fault)
        return
    try:
        value = json.loads(body.content, parse_constant=_no_number)
    except RecursionError:
        yield body.where, _unreadable(body.where, "nested too deeply")
        return
    except ValueError as error:  # no JSON, no UTF-8, or a number of thousands of digits
        yield body.where, _unreadable(body.where, f"expected JSON: {plain(str(error))[:200]}")
        return
    listed = value.get("studies") if isinstance(value, dict) else value
    if not isinstance(listed, list):
        yield body.where, _study(value, body.where)
        return
    for number, one in enumerate(listed, start=1):
        where = f"{body.where}, study {number}"
        yield where, _study(one, where)


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


# Rows and refusals written as they come, as CSV or Parquet: two files, each whole or not at all.
# ``posted.csv`` contains the rows, ``posted.refused.csv`` the refusals. Text from outside is put on one line, hidden
# characters are shown by number, and formulas are quoted in CSV.


#: Columns of the two files; a row leaves those of the other table empty.
ROW_COLUMNS = ["registration", "table", "pointer", "n_pointer", "arm_title", *dict.fromkeys([*CONTINUOUS, *BINARY])]
REFUSED_COLUMNS = ["registration", "pointer", "title", "reason"]

#: Rows in a row group, and at most in memory.
GROUP = 10_000


def as_cells(row: Row) -> dict[str, str]:
    """Return a row under :data:`ROW_COLUMNS`."""
    said = {"registration": row.registration, "table": row.table, "pointer": row.pointer, "n_pointer": row.n_pointer}
    return {**dict.fromkeys(ROW_COLUMNS, ""), **said, "arm_title": plain(row.arm_title), **row.values}


def as_refused(refusal: Refusal) -> dict[str, str]:
    """Return a refusal under :data:`REFUSED_COLUMNS`."""
    return {name: plain(value) for name, value in asdict(refusal).items()}


class CsvRows:
    """Writes dictionaries as CSV."""

    def __init__(self, file: BinaryIO, columns: list[str]) -> None:
        self.text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self.columns = columns
        self.text.write(csv_text([columns]))

    def write(self, row: dict[str, str]) -> None:
        """Write one row."""
        self.text.write(csv_text([[row.get(name, "") for name in self.columns]]))

    def close(self) -> None:
        """Flush everything to the file, which remains open."""
        self.text.detach()


class ParquetRows:
    """Writes dictionaries as Parquet, one row group at a time; all columns are text."""

    def __init__(self, file: BinaryIO, columns: list[str]) -> None:
        try:
            import pyarrow
            from pyarrow import parquet
        except ImportError:
            raise HarvestError(f"--into: {NO_PYARROW}") from None

        self.schema = pyarrow.schema([(name, pyarrow.string()) for name in columns])
        self.writer = parquet.ParquetWriter(file, self.schema, compression="zstd")
        self.rows: list[dict[str, str]] = []

    def write(self, row: dict[str, str]) -> None:
        """Add one row, which is written when its group is full."""
        self.rows.append(row)
        if len(self.rows) == GROUP:
            self._flush()

    def _flush(self) -> None:
        import pyarrow

        self.writer.write_table(pyarrow.Table.from_pylist(self.rows, self.schema))
        self.rows = []

    def close(self) -> None:
        """Write the last group and the footer; the file remains open."""
        if self.rows:
            self._flush()
        self.writer.close()


FORMATS = {".csv": CsvRows, ".parquet": ParquetRows}


def refused_beside(into: Path) -> Path:
    """Return the file of the refusals that belongs to the file of rows.

    >>> refused_beside(Path("posted.csv")).name
    'posted.refused.csv'
    """
    return into.with_name(f"{into.stem}.refused{into.suffix}")


@contextmanager
def written(into: Path) -> Iterator[tuple[CsvRows | ParquetRows, CsvRows | ParquetRows]]:
    """Open two files for rows and refusals; both get their names at the end, or neither if anything fails.

    Raises
    ------
    HarvestError
        If the name ends in neither ``.csv`` nor ``.parquet``, or the place cannot be written to.
    """
    if into.suffix not in FORMATS:
        raise HarvestError(f"--into: expected a name ending in {' or '.join(FORMATS)}, found {into.name!r}")
    try:
        with ExitStack() as stack:
            refused = stack.enter_context(written_aside(refused_beside(into)))  # leaves last, takes its name last
            rows = stack.enter_context(written_aside(into))
            writers = FORMATS[into.suffix](rows, ROW_COLUMNS), FORMATS[into.suffix](refused, REFUSED_COLUMNS)
            for writer in writers:
                stack.callback(writer.close)
            yield writers
    except OSError as error:
        raise HarvestError(f"{into}: cannot be written: {error}") from error


def write(portions: Iterator[Portion], into: Path) -> Iterator[Portion]:
    """Write portions into two files as they arrive, and yield them.

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


#: Number of reasons listed at the end, the most frequent first.
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
    """Harvest files into two tables, or write JSON lines; return the number of unreadable values.

    Parameters
    ----------
    paths, workers, spread
        As :func:`cellclaims.harvest.stream.stream` takes them.
    into : Path or None
        ``.csv`` or ``.parquet``; without it each row and refusal is passed to ``say``.
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
    """Yield rows without empty cells, and refusals, as lines of JSON."""
    for row in portion.rows:
        yield json.dumps({"row": {name: cell for name, cell in as_cells(row).items() if cell}}, ensure_ascii=False)
    for refusal in portion.refused:
        yield json.dumps({"refused": as_refused(refusal)}, ensure_ascii=False)


def _kind(reason: str) -> str:
    """Return a reason without the value found, so that equal ones are counted together."""
    return reason.split(": '")[0].split(", found")[0].split(" (posted with the comment")[0][:100]
