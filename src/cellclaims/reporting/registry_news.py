"""What is new: the last two snapshots set side by side, or a single one beside what the review knows."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from cellclaims.errors import SourceError
from cellclaims.evidence import Evidence
from cellclaims.files import write_atomically
from cellclaims.registries.changes import compare, first_sight, known_registrations, state_of
from cellclaims.registries.store import Store, registry_of
from cellclaims.reporting import changes_words as words
from cellclaims.reporting.sentences import Sentence, say
from cellclaims.reporting.tables import Table


@dataclass(frozen=True)
class News:
    """What is new: in one paragraph, in tables for readers, and in lines for machines."""

    sentence: Sentence
    tables: tuple[Table, ...]
    lines: tuple[dict[str, str], ...]

    def text(self) -> str:
        """The paragraph and the tables for a terminal."""
        return "\n\n".join([str(self.sentence), *map(repr, self.tables)])

    def csv(self) -> str:
        """The lines as CSV that no spreadsheet takes for formulas."""
        return words.lines_csv(self.lines)

    def write(self, folder: str | Path, name: str = "07_whats_new_changes") -> str:
        """Write the lines as ``<folder>/<name>.csv``; a sentence that says so, empty if there are none."""
        if not self.lines:
            return ""
        write_atomically(Path(folder) / f"{name}.csv", self.csv())
        return f"What stands in the tables of changes, line by line: {name}.csv ({len(self.lines)})."

    def json(self) -> str:
        """The paragraph and the lines as JSON; text as it stands, escaped as JSON does."""
        return json.dumps({"summary": str(self.sentence), "lines": self.lines}, indent=1)


def news_beside(evidence: Evidence, since: str = "", until: str = "") -> News:
    """What is new in the store beside the evidence; where nothing was ever pulled, that it was not.

    Parameters and errors are those of :func:`registry_news`.
    """
    if since or until or Store(registry_of(evidence.folder)).names():
        return registry_news(evidence, since, until)
    known = len(known_registrations(evidence))
    told = say(
        "Nothing can be said of what is new: there is no snapshot of the registries yet.",
        f"The review knows {known} registrations; the command cellclaims pull asks the registries and the literature.",
    )
    return News(told, (), ())


def registry_news(evidence: Evidence, since: str = "", until: str = "", registry: str | Path | None = None) -> News:
    """What is new in the registries and the literature.

    Parameters
    ----------
    evidence : Evidence
        What the review knows.
    since, until : str
        Names of snapshots; by default the last and the one before it.
    registry : path, optional
        The store; ``registry`` in the folder of the evidence by default.

    Returns
    -------
    News
        Of two snapshots what changed; of a single one what it says beside what the review knows.

    Raises
    ------
    SourceError
        If there is no snapshot, none of that name, or ``since`` is later than ``until``.
    """
    store, known = Store(registry or registry_of(evidence.folder)), known_registrations(evidence)
    new = store.snapshot(until)
    earlier = [name for name in store.names() if name < new.name]
    if since > new.name:
        raise SourceError(f"expected a snapshot since which to tell, not later than {new.name}; found {since}")
    if not since and not earlier:
        sight = first_sight(state_of(store, new), known)
        lines = words.sight_lines(sight)
        return News(words.sight_sentence(sight), tuple(words.sight_tables(sight)), tuple(lines))
    old = store.snapshot(since or earlier[-1])
    changes = compare(state_of(store, old), state_of(store, new), known)
    lines = words.changes_lines(changes)
    return News(words.changes_sentence(changes), tuple(words.changes_tables(changes)), tuple(lines))
