"""The pull under way: every answer is written down as it arrives, so that a pull that was cut off goes on from there.

``unfinished.jsonl`` begins with a line about the pull; each further line is one answer with what was asked. A line is
written after the bytes of its answer are on the disk. A last line that was cut off is dropped: that answer is asked
for again. One pull at a time writes here; a second is refused.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

from cellclaims.errors import SourceError
from cellclaims.sources.store import FORMAT, NAME, Answer, Store, answer_from

#: An unfinished pull older than this starts anew: its answers would not be of one day.
OLDEST = timedelta(days=1)


class Journal:
    """The journal of one store, opened for one pull; a context manager.

    Attributes
    ----------
    started : str
        When the pull began, ISO 8601 in UTC: that of the pull that was cut off, if this one goes on with it.
    resumed : int
        How many answers an earlier pull had written.
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
        self._read()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._known:  # nothing arrived: nothing to go on from
            self.path.unlink(missing_ok=True)

    def _read(self) -> None:
        """Take over the whole lines of an earlier pull, and cut off what follows them."""
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
        """What one line of an earlier pull says."""
        if "forget" in line:
            self._drop(line["forget"])
            return
        answer = answer_from(line["answer"])
        if self.store.place(answer.sha256).is_file():
            self._known[line["asked"]] = (answer, tuple(line["warnings"]))

    def _drop(self, source: str) -> None:
        self._known = {asked: found for asked, found in self._known.items() if found[0].source != source}

    def find(self, source: str, address: str, parameters: Mapping[str, str]) -> tuple[Answer, tuple[str, ...]] | None:
        """The answer that was written down for a request, with the warnings that came with it."""
        return self._known.get(_asked(source, address, parameters))

    def add(self, answer: Answer, address: str, parameters: Mapping[str, str], warnings: tuple[str, ...]) -> None:
        """Write down an answer whose bytes are in the store, for the request that it answers.

        Raises
        ------
        OSError
            If the line cannot be written; the pull then goes on from the line before.
        """
        asked = _asked(answer.source, address, parameters)
        self._write({"asked": asked, "answer": asdict(answer), "warnings": list(warnings)})
        self._known[asked] = (answer, warnings)

    def forget(self, source: str) -> None:
        """Ask a source for everything again next time: its answers do not fit together (pages in a circle)."""
        self._write({"forget": source})
        self._drop(source)

    def finish(self) -> None:
        """Forget the pull: its snapshot is complete."""
        self._known.clear()

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line, ensure_ascii=True).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def free_name(store: Store, started: str) -> str:
    """The name of a snapshot that started then; the next second that is free, where two pulls share one.

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
    """The lines up to the first that is not what a journal writes."""
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
    """Whether a line is one of a journal; raises KeyError, TypeError or ValueError where it is another."""
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
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file.fileno()).st_ino != path.stat().st_ino:  # another pull ended just now and deleted it
            raise OSError
    except OSError:
        file.close()
        raise SourceError(f"{path}: expected no other pull at work on this store, found one") from None
