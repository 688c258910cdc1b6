"""The snapshot of the registries that stands beside a folder of evidence."""

from __future__ import annotations

from pathlib import Path

from cellclaims.files import REGISTRY
from cellclaims.sources.store import Snapshot, Store

#: What is said where nothing was pulled.
NONE = "no snapshot of the registries"


def registry_of(data: str | Path) -> Path:
    """Where the answers of the registries lie in a folder of evidence."""
    return Path(data) / REGISTRY


def snapshot_of(data: str | Path, name: str = "") -> Snapshot | None:
    """The snapshot of that name beside the evidence, without a name the last; None if there is none at all.

    Raises
    ------
    SourceError
        If a name is given that no snapshot has; lists the names.
    """
    store = Store(registry_of(data))
    return store.snapshot(name) if name or store.names() else None


def dated(snapshot: Snapshot | None) -> str:
    """A snapshot by its name and day, or that there is none.

    Examples
    --------
    >>> dated(None)
    'no snapshot of the registries'
    >>> dated(Snapshot("20261120T101500Z", "2026-11-20T10:15:00Z", "2026-11-20T10:20:00Z", "pull", ()))
    'snapshot 20261120T101500Z of 2026-11-20'
    """
    return f"snapshot {snapshot.name} of {snapshot.started[:10]}" if snapshot else NONE
