"""The snapshot store: answers byte for byte, named by their SHA-256, and lists of complete pulls.

::

    answers/<first two hex>/<sha256>   the bytes of an answer, never changed
    snapshots/<NAME>.json              one complete pull: its answers and warnings
    unfinished.jsonl                   the pull in progress

A *name* is the UTC time at which the pull started, such as 20261120T101500Z, so that names sort by age. Snapshots share
the files of identical answers. All answers of a snapshot are on the disk before it is written, so an interrupted pull
leaves the last complete snapshot intact.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from cellclaims.errors import SourceError
from cellclaims.files import REGISTRY, clear_abandoned, take_lock, write_atomically

#: Version of the format.
FORMAT = 1
NAME = re.compile(r"\d{8}T\d{6}Z")
SHA256 = re.compile(r"[0-9a-f]{64}")
KINDS = ("search", "study", "summary", "record", "export", "works")


@dataclass(frozen=True)
class Answer:
    """One answer of a source, without its bytes.

    Attributes
    ----------
    source : str
        One of ``sources.SOURCES``.
    kind : str
        ``search`` (a page of a search), ``study`` (one trial), ``summary``, ``record`` (papers), ``export`` (a
        downloaded file) or ``works`` (Crossref).
    address : str
        Its address without parameters; for saved files the name in the folder.
    parameters : dict of str
        Parameters of the request, without keys.
    time : str
        Time of arrival, ISO 8601 in UTC.
    status : int
        HTTP status; 200 for a file.
    sha256 : str
        SHA-256 of the bytes in hexadecimal, their name in the store.
    bytes : int
        Number of bytes.
    """

    source: str
    kind: str
    address: str
    parameters: dict[str, str]
    time: str
    status: int
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Snapshot:
    """One complete pull: the answers of each source, and warnings."""

    name: str
    started: str
    ended: str
    origin: str
    answers: tuple[Answer, ...]
    warnings: tuple[str, ...] = ()

    def of(self, source: str) -> tuple[Answer, ...]:
        """Return the answers of one source, in the order in which they came."""
        return tuple(answer for answer in self.answers if answer.source == source)


class Store:
    """The folder of a store; created on the first write.

    Examples
    --------
    >>> import tempfile
    >>> store = Store(Path(tempfile.mkdtemp()))
    >>> kept = store.keep(b"{}", source="ctgov", kind="search", address="https://host/studies", parameters={},
    ...                   time="2026-11-20T10:15:00Z", status=200)
    >>> store.add(Snapshot("20261120T101500Z", kept.time, kept.time, "pull", (kept,)))
    >>> store.names()
    ['20261120T101500Z']
    >>> store.body(store.snapshot().answers[0])
    b'{}'
    """

    def __init__(self, folder: str | Path = "data/registry") -> None:
        self.folder = Path(folder)

    def names(self) -> list[str]:
        """Names of the complete snapshots, oldest first."""
        found = (path.stem for path in (self.folder / "snapshots").glob("*.json"))
        return sorted(name for name in found if NAME.fullmatch(name))

    def snapshot(self, name: str = "") -> Snapshot:
        """Return the snapshot of that name; without a name the last.

        Raises
        ------
        SourceError
            If there is none, none of that name, or its file is damaged.
        """
        names = self.names()
        if not names:
            raise SourceError(
                f"{self.folder}: expected a snapshot of the registries, found none: run `cellclaims pull`"
            )
        if name and name not in names:
            raise SourceError(f"{self.folder}: expected one of the snapshots {', '.join(names)}; found {name!r}")
        return read_snapshot(self._list(name or names[-1]))

    def body(self, answer: Answer) -> bytes:
        """Return the bytes of an answer, after checking their SHA-256.

        Raises
        ------
        SourceError
            If the file is missing or was changed.
        """
        return self.content(answer.sha256, f"the answer of {answer.address}")

    def content(self, sha256: str, what: str = "an answer") -> bytes:
        """Return the bytes with that SHA-256, after checking it; raises SourceError, as :meth:`body` does."""
        path = self.place(sha256)
        try:
            content = path.read_bytes()
        except OSError as fault:
            raise SourceError(f"{path}: expected {what}, found {fault.strerror}") from None
        if (found := hashlib.sha256(content).hexdigest()) != sha256:
            raise SourceError(f"{path}: expected bytes with SHA-256 {sha256}, found {found}: the file was changed")
        return content

    def tidy(self) -> int:
        """Delete incomplete files of a killed pull; return their number."""
        folders = (self.folder / "snapshots", *(self.folder / "answers").glob("*"))
        return sum(clear_abandoned(folder) for folder in folders)

    def place(self, sha256: str) -> Path:
        """Return the path of the bytes with that SHA-256."""
        if not SHA256.fullmatch(sha256):
            raise SourceError(f"{self.folder}: expected a SHA-256 in hexadecimal, found {sha256[:80]!r}")
        return self.folder / "answers" / sha256[:2] / sha256

    def keep(self, body: bytes, *, parameters: Mapping[str, str], **facts: Any) -> Answer:
        """Write the bytes of an answer, unless the store has them, and describe it.

        Parameters
        ----------
        body : bytes
            The answer without transfer and content encoding, otherwise unchanged.
        parameters : mapping of str
            Parameters of the request, without keys.
        **facts
            ``source``, ``kind``, ``address``, ``time`` and ``status`` of :class:`Answer`.

        Raises
        ------
        OSError
            If it cannot be written (a full disk); the store is then unchanged.
        """
        digest = hashlib.sha256(body).hexdigest()
        path = self.place(digest)
        if not (path.is_file() and path.read_bytes() == body):  # a damaged copy is replaced
            write_atomically(path, body)
        return Answer(parameters=dict(parameters), sha256=digest, bytes=len(body), **facts)

    def add(self, snapshot: Snapshot) -> None:
        """Save a complete snapshot; its answers must be in the store.

        Raises
        ------
        SourceError
            If an answer is missing or the name exists; snapshots are never changed.
        """
        path = self._list(snapshot.name)
        if path.exists():
            raise SourceError(f"{path}: expected no snapshot of that name, found one")
        for answer in snapshot.answers:
            if not self.place(answer.sha256).is_file():
                raise SourceError(
                    f"{self.place(answer.sha256)}: expected the answer of {answer.address}, found no file"
                )
        content = {"format": FORMAT, **asdict(snapshot)}
        # as ASCII, because an address may contain an incomplete character, which UTF-8 cannot represent
        write_atomically(path, json.dumps(content, ensure_ascii=True, indent=1) + "\n")

    def _list(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise SourceError(f"expected the name of a snapshot like 20261120T101500Z, found {name[:80]!r}")
        return self.folder / "snapshots" / f"{name}.json"


def read_snapshot(path: Path) -> Snapshot:
    """Read the list of one snapshot.

    Raises
    ------
    SourceError
        If the file cannot be read, is not JSON, or has another format.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as fault:
        raise SourceError(f"{path}: expected the list of a snapshot, found {fault}") from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise SourceError(f"{path}: expected a snapshot of format {FORMAT}, found another")
    try:
        answers = tuple(answer_from(one) for one in content["answers"])
        times = [str(content[key]) for key in ("name", "started", "ended", "origin")]
        return Snapshot(*times, answers, tuple(map(str, content["warnings"])))
    except (KeyError, TypeError, ValueError) as fault:
        raise SourceError(f"{path}: expected a snapshot of format {FORMAT}, found a damaged one: {fault!r}") from None


def answer_from(content: Mapping[str, Any]) -> Answer:
    """Return an answer from its JSON; raises KeyError, TypeError or ValueError if invalid.

    Examples
    --------
    >>> answer_from({"source": "ctgov"})
    Traceback (most recent call last):
    KeyError: 'kind'
    """
    values = {field.name: content[field.name] for field in fields(Answer)}
    for field in fields(Answer):
        expected = {"parameters": dict, "status": int, "bytes": int}.get(field.name, str)
        if type(values[field.name]) is not expected:
            raise TypeError(f"{field.name}: expected {expected.__name__}, found {values[field.name]!r}")
    return Answer(**values)


# The snapshot of the registries in a folder of evidence.


#: Words used if there is no snapshot.
NONE = "no snapshot of the registries"


def registry_of(data: str | Path) -> Path:
    """Return the folder of registry answers in a folder of evidence."""
    return Path(data) / REGISTRY


def snapshot_of(data: str | Path, name: str = "") -> Snapshot | None:
    """Return the named or last snapshot of a folder of evidence; None if there is none.

    Raises
    ------
    SourceError
        If no snapshot has the name; lists the existing ones.
    """
    store = Store(registry_of(data))
    return store.snapshot(name) if name or store.names() else None


def dated(snapshot: Snapshot | None) -> str:
    """Return the name and date of a snapshot in words, or that there is none.

    Examples
    --------
    >>> dated(None)
    'no snapshot of the registries'
    >>> dated(Snapshot("20261120T101500Z", "2026-11-20T10:15:00Z", "2026-11-20T10:20:00Z", "pull", ()))
    'snapshot 20261120T101500Z of 2026-11-20'
    """
    return f"snapshot {snapshot.name} of {snapshot.started[:10]}" if snapshot else NONE


# The journal of the pull in progress: every answer is recorded when it arrives, so that an interrupted pull can be
# continued.
#
# ``unfinished.jsonl`` begins with a line about the pull; each further line is one answer with its request. A
# line is written after the bytes of its answer are on the disk. An incomplete last line is dropped, and that answer
# is requested again. Only one pull at a time may write here.


#: Older unfinished pulls are started again, because their answers would be of different days.
OLDEST = timedelta(days=1)


class Journal:
    """The journal of a store, opened for one pull; a context manager.

    Attributes
    ----------
    started : str
        Start of the pull, ISO 8601 in UTC; that of the interrupted pull if this one continues it.
    resumed : int
        Number of answers from the interrupted pull.
    """

    def __init__(self, store: Store, now: datetime | None = None) -> None:
        self.store, self.path = store, store.folder / "unfinished.jsonl"
        self.now = now or datetime.now(UTC)
        self.started, self.resumed = f"{self.now:%Y-%m-%dT%H:%M:%SZ}", 0
        self._known: dict[str, tuple[Answer, tuple[str, ...]]] = {}
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Journal:
        self.store.folder.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("ab")
        _lock(self._file, self.path)
        self.store.tidy()
        self._read()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._known:  # no answer arrived, so there is nothing to continue
            self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        """Read the complete lines of an earlier pull, and remove the rest."""
        lines = self.path.read_bytes().split(b"\n")[:-1]
        kept = _whole(lines)
        begun = kept[0].get("started", "") if kept else ""
        if not kept or not _is_recent(begun, self.now):
            self._file.truncate(0)
            self._write({"format": FORMAT, "started": self.started})
            return
        self._file.truncate(sum(len(line) + 1 for line in lines[: len(kept)]))
        self.started = begun
        for line in kept[1:]:
            self._take(line)
        self.resumed = len(self._known)

    def _take(self, line: Mapping[str, Any]) -> None:
        """Read one line of an earlier pull."""
        if "forget" in line:
            self._drop(line["forget"])
            return
        answer = answer_from(line["answer"])
        if self.store.place(answer.sha256).is_file():
            self._known[line["asked"]] = (answer, tuple(line["warnings"]))

    def _drop(self, source: str) -> None:
        self._known = {asked: found for asked, found in self._known.items() if found[0].source != source}

    def find(self, source: str, address: str, parameters: Mapping[str, str]) -> tuple[Answer, tuple[str, ...]] | None:
        """Return the recorded answer to a request, with its warnings."""
        return self._known.get(_asked(source, address, parameters))

    def add(self, answer: Answer, address: str, parameters: Mapping[str, str], warnings: tuple[str, ...]) -> None:
        """Record an answer whose bytes are in the store, with its request.

        Raises
        ------
        OSError
            If the line cannot be written; the pull can then be continued from the line before.
        """
        asked = _asked(answer.source, address, parameters)
        self._write({"asked": asked, "answer": asdict(answer), "warnings": list(warnings)})
        self._known[asked] = (answer, warnings)

    def forget(self, source: str) -> None:
        """Discard the inconsistent answers of a source (circular pages); the next pull requests them again."""
        self._write({"forget": source})
        self._drop(source)

    def finish(self) -> None:
        """Delete the journal after the snapshot was saved."""
        self._known.clear()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def free_name(store: Store, started: str) -> str:
    """Return the name of a snapshot that started then, or the next free second.

    Examples
    --------
    >>> free_name(Store("nowhere"), "2026-11-20T10:15:00Z")
    '20261120T101500Z'
    """
    taken = set(store.names())
    moment = datetime.fromisoformat(started)
    while (name := f"{moment:%Y%m%dT%H%M%SZ}") in taken:
        moment += timedelta(seconds=1)
    assert NAME.fullmatch(name)
    return name


def _asked(source: str, address: str, parameters: Mapping[str, str]) -> str:
    return json.dumps([source, address, sorted(parameters.items())], ensure_ascii=True)


def _whole(lines: list[bytes]) -> list[dict[str, Any]]:
    """Return the lines up to the first invalid one."""
    kept: list[dict[str, Any]] = []
    for line in lines:
        try:
            content = json.loads(line)
            if not (_is_line(content) if kept else content["format"] == FORMAT):
                break
        except (ValueError, KeyError, TypeError, RecursionError):
            break
        kept.append(content)
    return kept


def _is_line(content: dict[str, Any]) -> bool:
    """Return whether a line is valid; raises KeyError, TypeError or ValueError if not."""
    if "forget" in content:
        return isinstance(content["forget"], str)
    answer_from(content["answer"])
    return isinstance(content["asked"], str) and all(isinstance(one, str) for one in content["warnings"])


def _is_recent(started: object, now: datetime) -> bool:
    try:
        return abs(now - datetime.fromisoformat(str(started))) <= OLDEST
    except (ValueError, TypeError):
        return False


def _lock(file: IO[bytes], path: Path) -> None:
    if not take_lock(file, path):
        file.close()
        raise SourceError(f"{path}: expected no other pull at work on this store, found one")
