"""Which snapshot of the registries a report stands beside."""

from __future__ import annotations

from pathlib import Path

from cellclaims.registries.store import dated, snapshot_of
from cellclaims.reporting.sentences import Sentence, say


def snapshot_words(data: str | Path, name: str = "") -> Sentence:
    """Which snapshot of the registries stands beside the evidence, as a sentence.

    Raises
    ------
    SourceError
        If a name is given that no snapshot has; lists the names.
    """
    return say(f"Registries: {dated(snapshot_of(data, name))}.")
