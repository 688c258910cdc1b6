"""The records of a snapshot, each once, with the sources that gave it.

Two descriptions are one record if they share an identifier (registration, PubMed number, DOI, PubMed Central number),
or if their titles agree in nearly every letter and in every number, their years are the same, and no identifier says
otherwise. A trial and a publication are never one record: the publication names the trial that it reports.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from rapidfuzz import fuzz, process

from cellclaims.harvest.held import in_words, one_line
from cellclaims.registries import SOURCES
from cellclaims.registries.changes import has_results
from cellclaims.registries.records import Paper, Trial, all_records, keys_of
from cellclaims.registries.store import Snapshot, Store

#: Titles agree from this score of rapidfuzz on (0 to 100: letters that must be changed, of all letters).
SAME_TITLE = 95.0
#: A shorter title, in words, is too common to say that two records are one.
FEWEST_WORDS = 5
#: What is read as a number in a title: digits, and Roman numerals as phases and parts have them.
NUMERAL = re.compile(r"\d+|i{1,3}|iv|v")
YEAR = re.compile(r"(19|20)\d\d")
TRIAL, PAPER = "trial", "paper"


@dataclass(frozen=True)
class Record:
    """One registration or publication as all sources together describe it.

    Attributes
    ----------
    ids : tuple of str
        Everything by which it is known, the first as its name: registration number, else PubMed, DOI, PubMed Central.
    kind : {"trial", "paper"}
    sources : tuple of str
        The sources that gave it, in the order of ``SOURCES``.
    title, year : str
        Of the first source; the year of publication, or in which the trial started or was registered.
    cites : tuple of str
        Registrations that a publication names.
    results : str
        Day on which results were posted, "posted" where no day is known, empty where none are.
    address : str
        Where a reader finds it.
    """

    ids: tuple[str, ...]
    kind: str
    sources: tuple[str, ...]
    title: str
    year: str
    cites: tuple[str, ...] = ()
    results: str = ""
    address: str = ""

    @property
    def identifier(self) -> str:
        """The name of the record."""
        return self.ids[0]

    @property
    def also(self) -> str:
        """Its other identifiers, with semicolons between them."""
        return "; ".join(self.ids[1:])

    @property
    def source(self) -> str:
        """Its sources, with semicolons between them."""
        return "; ".join(self.sources)


def records(
    store: Store,
    snapshot: Snapshot,
    refused: list[str] | None = None,
    told: Callable[[object], object] = lambda record: None,
) -> list[Record]:
    """The records of a snapshot, each once, sorted by identifier.

    Parameters
    ----------
    store, snapshot : Store, Snapshot
        What was pulled.
    refused : list of str, optional
        Takes a sentence for each answer or record that cannot be read.
    told : callable
        Is given each description as it is read.

    Returns
    -------
    list of Record

    Raises
    ------
    SourceError
        If an answer cannot be read and there is no ``refused``; if a body is missing or was changed.
    """
    return merged(_described(all_records(store, snapshot, refused), told))


def _described(found: Iterable[Trial | Paper], told: Callable[[object], object]) -> Iterator[Record]:
    for one in found:
        told(one.source)
        yield of_trial(one) if isinstance(one, Trial) else of_paper(one)


def of_trial(trial: Trial) -> Record:
    """A registration as a record."""
    posted = (trial.results_posted or "posted") if has_results(trial) else ""
    title = one_line(trial.title) or trial.number
    year = _year(trial.start) or _year(trial.registered)
    return Record(
        tuple(sorted(keys_of(trial.number))),
        TRIAL,
        (trial.source,),
        title,
        year,
        results=posted,
        address=one_line(trial.address),
    )


def of_paper(paper: Paper) -> Record:
    """A publication as a record."""
    ids = tuple(one_line(one) for one in paper.ids)
    return Record(
        ids, PAPER, (paper.source,), one_line(paper.title) or ids[0], _year(paper.date), paper.registrations,
        address=one_line(paper.address),
    )  # fmt: skip


def _year(date: str) -> str:
    found = YEAR.match(date)
    return found[0] if found else ""


def merged(described: Iterable[Record]) -> list[Record]:
    """Records put together by their identifiers, then by title and year; sorted by identifier.

    Examples
    --------
    >>> one = Record(("pmid:1", "doi:10.1/a"), PAPER, ("pubmed",), "Islets", "2020")
    >>> merged([one, Record(("doi:10.1/a",), PAPER, ("crossref",), "Islets.", "2020")])[0].source
    'pubmed; crossref'
    """
    whole: dict[int, Record] = {}
    places: dict[tuple[str, str], int] = {}
    for number, one in enumerate(described):
        same = sorted({places[one.kind, key] for key in one.ids if (one.kind, key) in places})
        for place in same:
            one = together(whole.pop(place), one)
        whole[number] = one
        places.update({(one.kind, key): number for key in one.ids})
    return sorted(by_title(list(whole.values())), key=lambda record: record.identifier)


def together(one: Record, other: Record) -> Record:
    """Two descriptions as one record: the source that comes first in ``SOURCES`` decides."""
    first, second = sorted((one, other), key=lambda record: SOURCES.index(record.sources[0]))
    return replace(
        first,
        ids=_in_order({*one.ids, *other.ids}),
        sources=tuple(name for name in SOURCES if name in {*one.sources, *other.sources}),
        year=first.year or second.year,
        cites=tuple(sorted({*one.cites, *other.cites})),
        results=first.results or second.results,
        address=first.address or second.address,
    )


def _in_order(ids: Iterable[str]) -> tuple[str, ...]:
    """Identifiers with the most usual kind first."""
    kinds = ("NCT", "pmid", "doi", "pmcid")
    return tuple(sorted(ids, key=lambda one: (kinds.index(k) if (k := kind_of(one)) in kinds else len(kinds), one)))


def kind_of(identifier: str) -> str:
    """The register or the kind of an identifier.

    Examples
    --------
    >>> kind_of("NCT00000001"), kind_of("pmid:1"), kind_of("ChiCTR-ONC-10000985")
    ('NCT', 'pmid', 'ChiCTR')
    """
    return re.match(r"[A-Za-z_]*", identifier)[0]


def by_title(whole: list[Record]) -> list[Record]:
    """Put together what title and year show to be one record; what identifiers distinguish stays apart."""
    groups: dict[tuple[str, str, tuple[str, ...]], list[int]] = {}
    words = [in_words(one.title) for one in whole]
    for number, (one, title) in enumerate(zip(whole, words, strict=True)):
        if one.year and len(title) >= FEWEST_WORDS:
            numerals = tuple(sorted(word for word in title if NUMERAL.fullmatch(word)))
            groups.setdefault((one.kind, one.year, numerals), []).append(number)
    left: dict[int, Record] = dict(enumerate(whole))
    became = list(range(len(whole)))
    for group in groups.values():
        titles = [" ".join(words[number]) for number in group]
        scores = process.cdist(titles, titles, scorer=fuzz.ratio, score_cutoff=SAME_TITLE)
        for i, j in zip(*scores.nonzero(), strict=True):
            one, other = became[group[i]], became[group[j]]
            if i < j and one != other and not told_apart(left[one], left[other]):
                left[one] = together(left[one], left.pop(other))
                became = [one if place == other else place for place in became]
    return list(left.values())


def told_apart(one: Record, other: Record) -> bool:
    """Whether two records have different identifiers of one kind.

    Examples
    --------
    >>> first = Record(("pmid:1", "doi:10.1/a"), PAPER, ("pubmed",), "Islets", "2020")
    >>> told_apart(first, replace(first, ids=("doi:10.1/b",))), told_apart(first, replace(first, ids=("pmcid:PMC1",)))
    (True, False)
    """
    mine, others = ({kind_of(key): key for key in record.ids} for record in (one, other))
    return any(mine[kind] != others[kind] for kind in mine.keys() & others.keys())
