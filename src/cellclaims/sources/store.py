"""The snapshot store: every answer byte for byte, under the SHA-256 of its bytes, and the lists of complete pulls.

::

    answers/<first two hex>/<sha256>   the bytes of an answer, never changed
    snapshots/<NAME>.json              one complete pull: its answers and warnings
    unfinished.jsonl                   the pull under way (cellclaims.sources.journal)

A *name* is the UTC time at which the pull started, such as 20261120T101500Z, so that names sort by age. An answer that
two snapshots share is one file. What a snapshot names was on the disk before the snapshot was written: a pull that is
cut off leaves the last complete snapshot as it was.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cellclaims.errors import SourceError
from cellclaims.files import write_atomically

#: The layout that this module reads and writes.
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
        ``search`` (a page of a search), ``study`` (one trial), ``summary``, ``record`` (papers), ``export`` (a file
        that a person downloaded) or ``works`` (Crossref).
    address : str
        Where it came from, without the parameters; of a replayed folder the file's name in it.
    parameters : dict of str
        What was asked, without any key.
    time : str
        When it arrived, ISO 8601 in UTC.
    status : int
        HTTP status; 200 for a file.
    sha256 : str
        Of the bytes, in hexadecimal: their name in the store.
    bytes : int
        How many.
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
    """One complete pull: what each source answered, and what was odd about it."""

    name: str
    started: str
    ended: str
    origin: str
    answers: tuple[Answer, ...]
    warnings: tuple[str, ...] = ()

    def of(self, source: str) -> tuple[Answer, ...]:
        """The answers of one source, in the order in which they came."""
        return tuple(answer for answer in self.answers if answer.source == source)


class Store:
    """The folder of a store; nothing is made before something is written.

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
        """The snapshot of that name; without a name the last.

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
        """The bytes of an answer, after their SHA-256 was compared.

        Raises
        ------
        SourceError
            If the file is missing or was changed; names it.
        """
        path = self.place(answer.sha256)
        try:
            body = path.read_bytes()
        except OSError as fault:
            raise SourceError(f"{path}: expected the answer of {answer.address}, found {fault.strerror}") from None
        if (found := hashlib.sha256(body).hexdigest()) != answer.sha256:
            raise SourceError(
                f"{path}: expected bytes with SHA-256 {answer.sha256}, found {found}: the file was changed"
            )
        return body

    def place(self, sha256: str) -> Path:
        """Where the bytes with that SHA-256 lie."""
        if not SHA256.fullmatch(sha256):
            raise SourceError(f"{self.folder}: expected a SHA-256 in hexadecimal, found {sha256[:80]!r}")
        return self.folder / "answers" / sha256[:2] / sha256

    def keep(self, body: bytes, *, parameters: Mapping[str, str], **facts: Any) -> Answer:
        """Write the bytes of an answer, unless the store has them, and describe it.

        Parameters
        ----------
        body : bytes
            The answer, decoded from its transfer and content encodings and otherwise untouched.
        parameters : mapping of str
            What was asked, without any key.
        **facts
            ``source``, ``kind``, ``address``, ``time`` and ``status`` of :class:`Answer`.

        Raises
        ------
        OSError
            If it cannot be written (a full disk); the store is then as it was.
        """
        digest = hashlib.sha256(body).hexdigest()
        path = self.place(digest)
        if not (path.is_file() and path.read_bytes() == body):  # a damaged copy is mended
            write_atomically(path, body)
        return Answer(parameters=dict(parameters), sha256=digest, bytes=len(body), **facts)

    def add(self, snapshot: Snapshot) -> None:
        """Put a complete snapshot into force; its answers must be in the store.

        Raises
        ------
        SourceError
            If an answer is missing or the name is taken: snapshots are never changed.
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
        write_atomically(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")

    def _list(self, name: str) -> Path:
        if not NAME.fullmatch(name):
            raise SourceError(f"expected the name of a snapshot like 20261120T101500Z, found {name[:80]!r}")
        return self.folder / "snapshots" / f"{name}.json"


def read_snapshot(path: Path) -> Snapshot:
    """Read the list of one snapshot.

    Raises
    ------
    SourceError
        If the file cannot be read, is no JSON, or is of another format; names it.
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
    """An answer from its JSON; raises KeyError, TypeError or ValueError for anything else.

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
