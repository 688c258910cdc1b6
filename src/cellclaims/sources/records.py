"""Trials and papers, read out of the stored answers of every source.

A *trial* is one registration, a *paper* one publication; the same one in several answers counts once. A *pointer* says
where in its answer a record stands: a JSON pointer (RFC 6901), or for XML the path of its element. What cannot be read
is an error that names the answer, or, for a caller that hands in a list, a sentence in that list.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cellclaims.errors import SourceError
from cellclaims.sources.store import Answer, Snapshot, Store


@dataclass(frozen=True)
class Trial:
    """One registration as a source described it.

    Attributes
    ----------
    source, number, title, status : str
        ``ctgov`` or ``ictrp``; the registration number; the short title; recruitment as the source says it.
    start, results_posted, registered : str
        ISO dates (a month where no day is known), empty where the record has none.
    record : dict
        The study as it stands; of an ICTRP export the text of each element.
    answer, pointer : Answer, str
        Where it stands.
    address : str
        The registry's page of it.
    """

    source: str
    number: str
    title: str
    status: str
    start: str
    results_posted: str
    record: Mapping[str, Any] = field(repr=False)
    answer: Answer = field(repr=False)
    pointer: str
    registered: str = ""
    address: str = ""

    @property
    def fullness(self) -> tuple[bool, bool, int, str]:
        """How much of the trial this record holds: the larger, the fuller; at equal content the later answer."""
        whole = self.source == "ctgov"
        parts = sum(len(part) for part in self.record.values() if isinstance(part, Mapping)) + len(self.record)
        return (whole, "resultsSection" in self.record, parts, self.answer.time)


@dataclass(frozen=True)
class Paper:
    """One publication; ``registrations`` are the numbers in its title, abstract and lists of registers."""

    source: str
    title: str
    journal: str
    date: str
    pmid: str
    doi: str
    pmcid: str
    registrations: tuple[str, ...]
    answer: Answer = field(repr=False)
    pointer: str
    other_id: str = ""

    @property
    def ids(self) -> tuple[str, ...]:
        """Everything by which the paper is known; two papers that share one are one."""
        named = (("pmid", self.pmid), ("doi", self.doi.lower()), ("pmcid", self.pmcid.upper()))
        return tuple(f"{name}:{value}" for name, value in named if value) or (f"{self.source}:{self.other_id}",)

    @property
    def address(self) -> str:
        """Where a reader finds it: its DOI, PubMed or PubMed Central."""
        places = ((self.doi, "https://doi.org/"), (self.pmid, "https://pubmed.ncbi.nlm.nih.gov/"))
        known = (f"{start}{value}" for value, start in places if value)
        return next(known, f"https://europepmc.org/article/PMC/{self.pmcid}" if self.pmcid else "")


def trials(store: Store, snapshot: Snapshot, refused: list[str] | None = None) -> Iterator[Trial]:
    """The trials of a snapshot, each once, the fullest record of it, in the order of the answers.

    Answers are read twice, so that memory holds one answer and the numbers, whatever the size of the snapshot.

    Parameters
    ----------
    store, snapshot : Store, Snapshot
        What was pulled.
    refused : list of str, optional
        Takes a sentence for each answer or record that cannot be read.

    Raises
    ------
    SourceError
        If an answer cannot be read and there is no ``refused``; if a body is missing or was changed.
    """
    fullest: dict[str, tuple[tuple, int, str]] = {}
    for place, trial in _all_trials(store, snapshot, refused):
        best = (trial.fullness, -place, trial.pointer)
        fullest[trial.number] = max(fullest.get(trial.number, best), best)
    wanted = {(-place, pointer): number for number, (_, place, pointer) in fullest.items()}
    for place, trial in _all_trials(store, snapshot, []):
        if wanted.get((place, trial.pointer)) == trial.number:
            yield trial


def _all_trials(store: Store, snapshot: Snapshot, refused: list[str] | None) -> Iterator[tuple[int, Trial]]:
    from cellclaims.sources import records_trials

    readers = {"ctgov": records_trials.registry_trials, "ictrp": records_trials.export_trials}
    yield from _read(store, snapshot, readers, refused)


def papers(store: Store, snapshot: Snapshot, refused: list[str] | None = None) -> Iterator[Paper]:
    """The papers of a snapshot, each once: what several sources say of one is put together.

    Parameters and errors are those of :func:`trials`. A paper that two sources share keeps the words of the first,
    gains the identifiers it lacks, and has the registrations of all.
    """
    from cellclaims.sources import records_papers

    readers = {
        "europepmc": records_papers.europepmc,
        "pubmed": records_papers.pubmed,
        "crossref": records_papers.crossref,
    }
    found: dict[int, Paper] = {}
    places: dict[str, int] = {}
    for number, (_, paper) in enumerate(_read(store, snapshot, readers, refused)):
        same = sorted({places[one] for one in paper.ids if one in places})
        whole = functools.reduce(together, [*(found.pop(place) for place in same), paper])
        place = same[0] if same else number
        found[place] = whole
        places.update(dict.fromkeys(whole.ids, place))
    yield from (found[place] for place in sorted(found))


def together(one: Paper, other: Paper) -> Paper:
    """Two descriptions of one paper as one; the first has the say.

    A preprint and its article share no identifier and stay two papers.
    """
    lacking = {
        name: getattr(other, name) for name in ("journal", "date", "pmid", "doi", "pmcid") if not getattr(one, name)
    }
    both = tuple(sorted({*one.registrations, *other.registrations}))
    return replace(one, **lacking, registrations=both)


def _read(store: Store, snapshot: Snapshot, readers: Mapping[str, Any], refused: list[str] | None) -> Iterator[tuple]:
    """What the readers find in the answers of their sources, each with the number of its answer."""
    for place, answer in enumerate(snapshot.answers):
        if answer.source not in readers or answer.status != 200:
            continue
        body = store.body(answer)
        try:
            for found in readers[answer.source](answer, body):
                if isinstance(found, str):
                    raise_or_note(f"{answer.address}: {found}", refused)
                else:
                    yield place, found
        except (ValueError, RecursionError) as fault:
            raise_or_note(f"{answer.address}: expected {answer.source} records, found {fault}", refused)


def raise_or_note(sentence: str, refused: list[str] | None) -> None:
    """Put a sentence on the list; without a list raise it as a SourceError."""
    if refused is None:
        raise SourceError(sentence)
    refused.append(sentence)
