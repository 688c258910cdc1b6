"""Replay recorded answers: a folder of files as people save them, or another store.

Each file is told by its content; what is none of a pull's answers is listed with its reason. A file that vcrpy wrote
(a cassette) holds several answers with their addresses.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cellclaims.errors import RefusedAnswer, SourceError
from cellclaims.sources.addresses import shown
from cellclaims.sources.cassettes import interactions, is_cassette
from cellclaims.sources.recognise import recognised
from cellclaims.sources.store import Answer, Store

#: A larger file is no single answer.
MOST_BYTES = 100_000_000


@dataclass
class Replayed:
    """What a folder held.

    Attributes
    ----------
    answers : list of Answer
        In the order of the files' names.
    warnings : list of str
        What is odd about them.
    refused : dict of str
        Name of a file -> why it is no answer.
    """

    answers: list[Answer] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def replay(folder: Path, store: Store) -> Replayed:
    """Take every answer in a folder (or in one file) into the store.

    Parameters
    ----------
    folder : Path
        A folder of any depth, one file, or the folder of a store, whose last snapshot is taken.
    store : Store
        Where the bytes go.

    Raises
    ------
    SourceError
        If there is no such folder, or nothing in it is an answer.
    OSError
        If the store cannot be written.
    """
    if not folder.exists():
        raise SourceError(f"{folder}: expected a folder of recorded answers, found nothing")
    if (folder / "snapshots").is_dir() and Store(folder).names():
        return _copied(Store(folder), store)
    done = Replayed()
    for name, path in _files(folder):
        try:
            _take(name, path, store, done)
        except RefusedAnswer as fault:
            done.refused[name] = str(fault).removeprefix(f"{shown(name)}: ")
    if not done.answers:
        raise SourceError(f"{folder}: expected answers of a source, found none in {len(done.refused):,} files")
    return done


def _copied(other: Store, store: Store) -> Replayed:
    snapshot = other.snapshot()
    for answer in snapshot.answers:
        facts = {name: value for name, value in vars(answer).items() if name not in ("sha256", "bytes")}
        store.keep(other.body(answer), **facts)
    return Replayed(list(snapshot.answers), list(snapshot.warnings))


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """The files to read, by their names in the folder; what is hidden is not looked at."""
    if folder.is_file():
        yield folder.name, folder
        return
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not path.is_dir() and not any(part.startswith(".") for part in name.parts):
            yield name.as_posix(), path


def _take(name: str, path: Path, store: Store, done: Replayed) -> None:
    body = _body(name, path)
    if is_cassette(body):
        _take_cassette(name, body, store, done)
        return
    time = f"{datetime.fromtimestamp(path.stat().st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}"
    _keep(store, done, body, name, time, name, {})


def _take_cassette(name: str, body: bytes, store: Store, done: Replayed) -> None:
    for number, one in enumerate(interactions(body, name), start=1):
        where = f"{name}#{number}"
        try:
            if one.status != 200:
                raise RefusedAnswer(f"{where}: expected an answer, found status {one.status}")
            _keep(store, done, one.body, where, one.time, one.address, one.parameters)
        except RefusedAnswer as fault:
            done.refused[where] = str(fault).removeprefix(f"{shown(where)}: ")


def _keep(
    store: Store, done: Replayed, body: bytes, where: str, time: str, address: str, asked: dict[str, str]
) -> None:
    source, kind, page = recognised(body, where)
    answer = store.keep(body, parameters=asked, source=source, kind=kind, address=address, time=time, status=200)
    done.answers.append(answer)
    done.warnings += page.warnings


def _body(name: str, path: Path) -> bytes:
    if not path.is_file():
        raise RefusedAnswer(f"{name}: expected a file, found something else")
    if (size := path.stat().st_size) > MOST_BYTES:
        raise RefusedAnswer(f"{name}: expected at most {MOST_BYTES:,} bytes, found {size:,}")
    try:
        return path.read_bytes()
    except OSError as fault:
        raise RefusedAnswer(f"{name}: expected a file that can be read, found {fault.strerror}") from None
