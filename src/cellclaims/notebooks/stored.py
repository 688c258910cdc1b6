"""Texts that are dear to compute, kept beside the reports and printed at once while nothing has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

from cellclaims.files import fingerprint, write_atomically
from cellclaims.notebooks.review import RECORDS, surroundings


def stored(name: str, data: Path, make: Callable[[], dict[str, str]], into: Path = Path("reports")) -> dict[str, str]:
    """What ``make`` returns, from the last time if nothing that it depends on has changed.

    Parameters
    ----------
    name : str
        Of the texts, for their file.
    data : Path
        Folder of the evidence that they are made from.
    make : callable
        Makes the texts, by name; what it raises is raised, and nothing is kept.
    into : Path
        Folder of the reports; nothing is kept where there is none.
    """
    if not (into.is_dir() and data.is_dir()):
        return make()
    path = into / RECORDS / f"{name}.texts.json"
    key = hashlib.sha256(json.dumps([surroundings(), fingerprint(data)]).encode()).hexdigest()
    found = _read(path)
    if found.get("key") != key:
        found = {"key": key, "texts": make()}
        write_atomically(path, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    return found["texts"]


def _read(path: Path) -> dict:
    """What was kept; nothing if there is no such file or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) and isinstance(found.get("texts"), dict) else {}
    except (OSError, ValueError):
        return {}
