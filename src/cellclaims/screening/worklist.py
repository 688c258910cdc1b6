"""The list to decide in: records on which nobody has decided, the most likely to belong to the review first."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from cellclaims.evidence import Evidence
from cellclaims.evidence.screened import Screened, screened
from cellclaims.harvest.held import Cells, in_words
from cellclaims.registries import SOURCES
from cellclaims.registries.changes import known_registrations, known_sources
from cellclaims.registries.records import numbers_in
from cellclaims.registries.store import Snapshot, Store
from cellclaims.screening.records import Record, records

#: What a person fills in, and what the program says of the record.
TO_FILL = ("decision", "reason", "reviewer", "study_id", "final")
WORK_COLUMNS = (
    *TO_FILL, "identifier", "title", "year", "marks", "nearness", "nearest", "source", "also", "address", "snapshot",
)  # fmt: skip
#: Words that say nothing of a title.
EMPTY_WORDS = frozenset("a an and as at by for from in into is its of on or the their to using versus vs with".split())
#: What a row of ``wanted.csv`` is called among the sources of the review: it is looked for, not yet used.
WANTED = "wanted "


@dataclass(frozen=True)
class SearchCounts:
    """What became of the records of one source: a row of ``searches.csv``."""

    snapshot: str
    source: str
    searched: str
    records: int
    merged: int
    known: int
    waiting: int


@dataclass(frozen=True)
class Sorted:
    """The records of a snapshot by what the review knows of them.

    Attributes
    ----------
    snapshot : Snapshot
    known : tuple of Record
        Records of publications and trials that the review uses and nobody has screened.
    decided : tuple of (Record, Screened)
        Records on which somebody has decided.
    waiting : tuple of Record
        All others.
    refused : tuple of str
        What could not be read, a sentence each.
    """

    snapshot: Snapshot
    known: tuple[Record, ...]
    decided: tuple[tuple[Record, Screened], ...]
    waiting: tuple[Record, ...]
    refused: tuple[str, ...] = ()

    @property
    def everything(self) -> list[Record]:
        """All records of the snapshot."""
        return [*self.known, *(record for record, _ in self.decided), *self.waiting]

    def counts(self) -> list[SearchCounts]:
        """One row of ``searches.csv`` for each source that gave an answer; a record counts at its first source."""
        return [
            SearchCounts(
                self.snapshot.name,
                source,
                max(answer.time for answer in answers)[:10],
                sum(source in one.sources for one in self.everything),
                sum(source in one.sources[1:] for one in self.everything),
                sum(source == one.sources[0] for one in self.known),
                sum(source == one.sources[0] for one in self.waiting),
            )
            for source in SOURCES
            if (answers := self.snapshot.of(source))
        ]


def sort_records(
    evidence: Evidence, store: Store, snapshot: Snapshot, told: Callable[[object], object] = lambda record: None
) -> Sorted:
    """Sort the records of a snapshot into known ones, decided ones and those that wait for a decision.

    Parameters
    ----------
    evidence : Evidence
        What the review uses, and the decisions of ``screening.csv``.
    store, snapshot : Store, Snapshot
        What was pulled.
    told : callable
        Is given each description as it is read.

    Returns
    -------
    Sorted

    Raises
    ------
    SourceError
        If a body is missing or was changed.
    """
    refused: list[str] = []
    decisions = {key: one for one in screened(evidence) for key in one.ids}
    held = held_identifiers(evidence)
    known, decided, waiting = [], [], []
    for record in records(store, snapshot, refused, told):
        mine = next((decisions[key] for key in record.ids if key in decisions), None)
        if mine is not None:
            decided.append((record, mine))
        else:
            (waiting if held.isdisjoint(record.ids) else known).append(record)
    return Sorted(snapshot, tuple(known), tuple(decided), tuple(waiting), tuple(refused))


def held_identifiers(evidence: Evidence) -> frozenset[str]:
    """Registrations and publications that some table of the review uses; those that are only wanted do not count."""
    used = (key for key, names in known_sources(evidence).items() if any(not name.startswith(WANTED) for name in names))
    return frozenset([*known_registrations(evidence), *used])


# Nearest first.


def title_words(title: str) -> list[str]:
    """The words of a title by which titles are compared: no empty words, no plural.

    Examples
    --------
    >>> title_words("Transplantation of the islets: a trial")
    ['transplantation', 'islet', 'trial']
    """
    words = (word for word in in_words(title) if word not in EMPTY_WORDS)
    return [word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word for word in words]


def nearness(titles: Collection[str], included: Collection[str]) -> tuple[np.ndarray, np.ndarray]:
    """How near each title is to the nearest included one.

    A title is the set of its words, each weighted by ``1 + ln((1 + N) / (1 + n))``, where n of all N titles have the
    word. Nearness is the cosine of two titles: 1 for the same words, 0 for none in common.

    Parameters
    ----------
    titles, included : collection of str

    Returns
    -------
    scores : ndarray of float
        Between 0 and 1, one for each title.
    nearest : ndarray of int
        Which included title it is; 0 where there is none.

    Examples
    --------
    >>> scores, nearest = nearness(["Islets in mice", "Diet"], ["Islets in people", "Islets in mice"])
    >>> scores.round(2).tolist(), nearest.tolist()
    ([1.0, 0.0], [1, 0])
    """
    if not titles or not included:
        return np.zeros(len(titles)), np.zeros(len(titles), dtype=int)
    words = [sorted(set(title_words(title))) for title in (*titles, *included)]
    columns = {word: place for place, word in enumerate(sorted({word for row in words for word in row}))}
    places = np.array([columns[word] for row in words for word in row], dtype=int)
    rows = np.repeat(np.arange(len(words)), [len(row) for row in words])
    weight = 1 + np.log((1 + len(words)) / (1 + np.bincount(places, minlength=len(columns))))
    table = sparse.csr_array((weight[places], (rows, places)), shape=(len(words), max(1, len(columns))))
    length = np.sqrt(table.multiply(table).sum(axis=1))
    table = sparse.diags_array(1 / np.where(length > 0, length, 1)) @ table
    cosines = (table[: len(titles)] @ table[len(titles) :].T).toarray()
    nearest = cosines.argmax(axis=1)
    return np.clip(cosines[np.arange(len(titles)), nearest], 0, 1), nearest


def included_titles(evidence: Evidence) -> dict[str, str]:
    """The titles of the reports of the review and of included records, by study_id or identifier."""
    rows = evidence.studies
    reports = dict(zip(rows.study_id, rows.title, strict=True))
    return reports | {one.identifier: one.title for one in screened(evidence) if one.decision == "include"}


# The sheet.


def worklist(evidence: Evidence, found: Sorted, reviewer: str = "") -> list[Cells]:
    """The records to decide on, as rows of a sheet.

    First come publications that name a registration of the review, then all by nearness to an included title.

    Parameters
    ----------
    evidence : Evidence
    found : Sorted
        The records of a snapshot (:func:`sort_records`).
    reviewer : str
        The list is for this second reviewer: records on which others have decided and this person has not come in, too,
        without what the others said.

    Returns
    -------
    list of dict
        Every column of :data:`WORK_COLUMNS` as text.
    """
    of_others = [record for record, one in found.decided if reviewer and not _has_decided(one, reviewer)]
    listed = [*found.waiting, *of_others]
    included = included_titles(evidence)
    scores, nearest = nearness([one.title for one in listed], list(included.values()))
    names, known = list(included), set(known_registrations(evidence))
    wanted = wanted_identifiers(evidence)
    order = sorted(
        range(len(listed)),
        key=lambda i: (known.isdisjoint(listed[i].cites), -round(float(scores[i]), 6), listed[i].identifier),
    )
    return [
        {
            **dict.fromkeys(TO_FILL, ""),
            "reviewer": reviewer,
            "identifier": one.identifier,
            "title": one.title,
            "year": one.year,
            "marks": "; ".join(marks(one, known, wanted)),
            "nearness": f"{scores[i]:.2f}",
            "nearest": names[nearest[i]] if scores[i] > 0 else "",
            "source": one.source,
            "also": one.also,
            "address": one.address,
            "snapshot": found.snapshot.name,
        }
        for i in order
        for one in (listed[i],)
    ]


def wanted_identifiers(evidence: Evidence) -> dict[str, list[str]]:
    """The identifiers in ``wanted.csv``, each with its rows there."""
    found: dict[str, list[str]] = {}
    for row in evidence.wanted.itertuples():
        named = [f"doi:{row.doi.lower()}" if row.doi else "", f"pmid:{row.pmid}" if row.pmid else ""]
        for one in filter(None, [*named, *numbers_in(row.registry_id)]):
            found.setdefault(one, []).append(row.wanted_id)
    return found


def _has_decided(one: Screened, reviewer: str) -> bool:
    return any(said.rpartition(": ")[0] == reviewer for said in one.said)


def marks(record: Record, known: Collection[str], wanted: Mapping[str, Iterable[str]]) -> list[str]:
    """What makes a record worth a look: posted results, a known registration, a place on the list of wanted ones."""
    cited = [number for number in record.cites if number in known]
    rows = dict.fromkeys(name for key in record.ids for name in wanted.get(key, ()))
    day = record.results.replace("posted", "").strip()
    return [
        *([f"results posted {day}".strip()] if record.results else []),
        *([f"names {', '.join(cited)}"] if cited else []),
        *([f"wanted: {', '.join(rows)}"] if rows else []),
    ]
