"""What Crossref and Europe PMC answered about single reports, kept in the store beside the snapshots.

A lookup is no part of a snapshot: it asks for what is known of one report, when somebody wants it. Each is a line of
``lookups.jsonl`` in the folder of the store; its bytes lie with all other answers. A line that was cut off is passed
over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cellclaims.registries import crossref, europepmc
from cellclaims.registries.client import Client, Fetched
from cellclaims.registries.store import Answer, Store, answer_from

FILE = "lookups.jsonl"
#: An answer that is younger than this is not asked for again: a search that broke off goes on where it was.
FRESH = timedelta(days=1)
#: How many records one answer may bring.
ROWS = 10
#: Source -> the kind of its answer, and what asks it for a text.
ASKED: dict[str, tuple[str, Callable[[Client, str, int], tuple[Fetched, list]]]] = {
    "crossref": ("works", crossref.candidates),
    "europepmc": ("search", europepmc.by_title),
}


class Lookups:
    """The lookups of a store; without a client only those that were kept.

    Parameters
    ----------
    store : Store
    client : Client or None
        Through which the sources are asked; None asks nobody.
    """

    def __init__(self, store: Store, client: Client | None = None) -> None:
        self.store, self.client = store, client
        self.kept = read_lookups(store.folder / FILE)

    def ask(self, source: str, text: str) -> tuple[Answer, bytes] | None:
        """The answer of a source to a text: a kept one if it is fresh or nobody may be asked, else a new one.

        Returns
        -------
        tuple of Answer and bytes, or None
            None where nothing was kept and nobody may be asked.

        Raises
        ------
        SourceError
            If no answer comes, it is not taken, or the kept one was changed.
        """
        answer = self.kept.get((source, text))
        if answer and (self.client is None or is_fresh(answer)):
            return answer, self.store.body(answer)
        if self.client is None:
            return None
        kind, search = ASKED[source]
        fetched, _ = search(self.client, text, ROWS)
        facts = {"address": fetched.address, "time": fetched.time, "status": fetched.status}
        answer = self.store.keep(fetched.body, source=source, kind=kind, parameters=fetched.parameters, **facts)
        self._note(source, text, answer)
        return answer, fetched.body

    def _note(self, source: str, text: str, answer: Answer) -> None:
        """Add a line and make sure that it is on the disk: the bytes it names are there already."""
        self.kept[source, text] = answer
        line = json.dumps({"text": text, **asdict(answer)}, ensure_ascii=False)
        path = self.store.folder / FILE
        gap = "\n" if cut_off(path) else ""
        with path.open("a", encoding="utf-8", newline="") as file:
            file.write(f"{gap}{line}\n")
            file.flush()
            os.fsync(file.fileno())


def is_fresh(answer: Answer) -> bool:
    """Whether an answer need not be asked for again."""
    try:
        return timedelta(0) <= datetime.now(UTC) - datetime.fromisoformat(answer.time) < FRESH
    except (ValueError, TypeError):
        return False


def cut_off(path: Path) -> bool:
    """Whether the last line of a file has no end."""
    if not path.is_file() or not path.stat().st_size:
        return False
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def read_lookups(path: Path) -> dict[tuple[str, str], Answer]:
    """The last answer to each text by source; a line that cannot be read is passed over."""
    kept = {}
    lines = path.read_bytes().split(b"\n") if path.is_file() else []
    for line in lines:
        try:
            content = json.loads(line)
            answer = answer_from(content)
            kept[answer.source, str(content["text"])] = answer
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
    return kept
