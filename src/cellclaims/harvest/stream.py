"""Records of any number -> portions of rows and refusals, in order, in constant memory; here, in processes, or on Dask.

A *piece* is some values of the files, parsed where it is worked on. The outcome is the same wherever that is.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from cellclaims.errors import HarvestError
from cellclaims.harvest.posted import posted
from cellclaims.harvest.rows import Refusal, Row
from cellclaims.harvest.shapes import kind_of, plain
from cellclaims.harvest.split import Body, bodies, files_of

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
