"""Trials and papers, read from the stored answers of all sources.

A *trial* is one registration, a *paper* one publication; the same one in several answers counts once. A *pointer* is
the position of a record in its answer: a JSON pointer (RFC 6901), or for XML the path of its element. If a record
cannot be read, an error names the answer, or a sentence is added to the caller's list.
"""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from cellclaims.errors import SourceError
from cellclaims.registries.answers import (
    clean,
    is_xml,
    iso,
    json_of,
    list_at,
    text_at,
    value_at,
    without_marks,
    words_of,
    xml_of,
)
from cellclaims.registries.store import Answer, Snapshot, Store


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
        The study as posted; of an ICTRP export the text of each element.
    answer, pointer : Answer, str
        Its position.
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
        """Completeness of this record (larger is more complete); at equal content the later answer is preferred."""
        whole = self.source == "ctgov"
        parts = sum(len(part) for part in self.record.values() if isinstance(part, Mapping)) + len(self.record)
        return (whole, "resultsSection" in self.record, parts, self.answer.time)


@dataclass(frozen=True)
class Notice:
    """A retraction, a correction or an expression of concern, as a record of a publication names it.

    Attributes
    ----------
    kind : {"retraction", "expression of concern", "correction"}
    of : str
        The publication that it is about, such as ``doi:10.1000/1`` or ``pmid:1``; empty: the record's own.
    by : str
        The notice itself, in the same form; empty where the record does not say.
    date : str
        Its day in ISO 8601, as far as it is known.
    """

    kind: str
    of: str = ""
    by: str = ""
    date: str = ""


@dataclass(frozen=True)
class Paper:
    """One publication.

    ``registrations`` are the numbers in its title, abstract and lists of registers; ``notices`` are those about it, and
    those that it gives of others.
    """

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
    notices: tuple[Notice, ...] = ()

    @property
    def ids(self) -> tuple[str, ...]:
        """All identifiers of the paper; papers that share one are the same."""
        named = (("pmid", self.pmid), ("doi", self.doi.lower()), ("pmcid", self.pmcid.upper()))
        return tuple(f"{name}:{value}" for name, value in named if value) or (f"{self.source}:{self.other_id}",)

    @property
    def address(self) -> str:
        """Address of the paper: DOI, PubMed or PubMed Central."""
        places = ((self.doi, "https://doi.org/"), (self.pmid, "https://pubmed.ncbi.nlm.nih.gov/"))
        known = (f"{start}{value}" for value, start in places if value)
        return next(known, f"https://europepmc.org/article/PMC/{self.pmcid}" if self.pmcid else "")


def trials(
    store: Store,
    snapshot: Snapshot,
    refused: list[str] | None = None,
    others: Callable[[Trial], object] = lambda trial: None,
) -> Iterator[Trial]:
    """Yield the trials of a snapshot, each once with its most complete record, in the order of the answers.

    Answers are read twice, so that only one answer and the numbers are in memory.

    Parameters
    ----------
    store, snapshot : Store, Snapshot
        What was pulled.
    refused : list of str, optional
        Takes a sentence for each answer or record that cannot be read.
    others : callable, optional
        Is given every further record of a trial, as it comes.

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
        else:
            others(trial)


def _all_trials(store: Store, snapshot: Snapshot, refused: list[str] | None) -> Iterator[tuple[int, Trial]]:

    readers = {"ctgov": registry_trials, "ictrp": export_trials}
    yield from _read(store, snapshot, readers, refused)


def papers(store: Store, snapshot: Snapshot, refused: list[str] | None = None) -> Iterator[Paper]:
    """Yield the papers of a snapshot, each once, with the information of all sources combined.

    Parameters and errors are those of :func:`trials`. A paper that two sources share keeps the words of the first,
    gains the identifiers it lacks, and has the registrations of all.
    """

    readers = {
        "europepmc": europepmc,
        "pubmed": pubmed,
        "crossref": crossref,
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


def all_records(store: Store, snapshot: Snapshot, refused: list[str] | None = None) -> Iterator[Trial | Paper]:
    """Every trial and paper of a snapshot as each source gave it, in the order of the answers, nothing put together.

    Parameters and errors are those of :func:`trials`.
    """
    readers = {
        "ctgov": registry_trials,
        "ictrp": export_trials,
        "europepmc": europepmc,
        "pubmed": pubmed,
        "crossref": crossref,
    }
    yield from (found for _, found in _read(store, snapshot, readers, refused))


def together(one: Paper, other: Paper) -> Paper:
    """Merge two descriptions of one paper; the first takes precedence.

    A preprint and its article share no identifier and stay two papers.
    """
    lacking = {
        name: getattr(other, name) for name in ("journal", "date", "pmid", "doi", "pmcid") if not getattr(one, name)
    }
    both = tuple(sorted({*one.registrations, *other.registrations}))
    notices = tuple(dict.fromkeys((*one.notices, *other.notices)))
    return replace(one, **lacking, registrations=both, notices=notices)


def _read(store: Store, snapshot: Snapshot, readers: Mapping[str, Any], refused: list[str] | None) -> Iterator[tuple]:
    """Yield the records that the readers find in the answers of their sources, with the number of the answer."""
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
    """Add a sentence to the list; without a list raise it as a SourceError."""
    if refused is None:
        raise SourceError(sentence)
    refused.append(sentence)


# Registration numbers of trials, as people write them in titles and abstracts, in one spelling each.


#: Characters allowed between the letters of a register and its digits.
GAP = r"[\s:#-]{0,3}"

#: How a number is written, and its one spelling; ``{}`` are its groups.
FORMS = (
    (rf"NCT{GAP}(\d{{8}})", "NCT{}"),
    (r"ChiCTR[\s-]?(\d{10})", "ChiCTR{}"),
    (r"ChiCTR[\s-]?([A-Z]{2,4})[\s-]?(\d{8})", "ChiCTR-{}-{}"),
    (rf"ISRCTN{GAP}(\d{{8}})", "ISRCTN{}"),
    (r"IRCT[\s:]?(\d{5,}N\d+)", "IRCT{}"),
    (r"(?:EUCTR|EudraCT)(?:\s+(?:number|no\.?))?[\s:#-]{0,3}(\d{4}-\d{6}-\d{2})", "EUCTR{}"),
    (r"CTIS[\s:]?(\d{4}-\d{6}-\d{2}-\d{2})", "CTIS{}"),
    (r"UMIN(?:-CTR)?(?:\s+ID)?[\s:#-]{0,3}(\d{9})", "UMIN{}"),
    (r"jRCT([a-z]?\d{9,10})", "jRCT{}"),
    (r"CTRI/(\d{4}/\d{2,3}/\d{6})", "CTRI/{}"),
    (rf"ACTRN{GAP}(\d{{14}})", "ACTRN{}"),
    (rf"DRKS{GAP}(\d{{8}})", "DRKS{}"),
    (r"KCT(\d{7})", "KCT{}"),
    (r"PACTR(\d{15,16})", "PACTR{}"),
    (r"LBCTR(\d{10})", "LBCTR{}"),
    (r"TCTR(\d{11})", "TCTR{}"),
    (r"RPCEC(\d{8})", "RPCEC{}"),
)
PATTERNS = tuple((re.compile(rf"(?<![A-Za-z0-9]){form}(?!\d)", re.IGNORECASE), spelling) for form, spelling in FORMS)


def numbers_in(text: str) -> tuple[str, ...]:
    """Return the registration numbers in a text, each once, in the spelling of its register, sorted.

    Examples
    --------
    >>> numbers_in("registered as nct 00434811 and ChiCTR-ONC-10000985; JPRN-UMIN000007004")
    ('ChiCTR-ONC-10000985', 'NCT00434811', 'UMIN000007004')
    >>> numbers_in("NCT004348112 has a digit too many")
    ()
    """
    found = ((match, spelling) for form, spelling in PATTERNS for match in form.finditer(text))
    return tuple(sorted({_spelt(spelling, match.groups()) for match, spelling in found}))


def _spelt(spelling: str, parts: tuple[str, ...]) -> str:
    """Return the letters in capitals, except those of jRCT."""
    return spelling.format(*(part.lower() if spelling.startswith("j") else part.upper() for part in parts))


def keys_of(number: str) -> frozenset[str]:
    """Return the spellings of a trial's own number: those found in it, else the number itself.

    Examples
    --------
    >>> sorted(keys_of("EUCTR2018-004758-39-IT")), sorted(keys_of("UIH-001"))
    (['EUCTR2018-004758-39'], ['UIH-001'])
    """
    return frozenset(numbers_in(number) or (number,))


def all_keys(numbers: Iterable[str]) -> frozenset[str]:
    """Return the spellings by which any of these trials is known."""
    return frozenset(key for number in numbers for key in keys_of(number))


# Retractions, corrections and expressions of concern, in the words of each source.


#: What a source calls a notice, in small letters without anything between them -> its kind and whether it is about the
#: record itself (or else given by it, about another one).
NOTICES = {
    **dict.fromkeys(("retractionin", "partialretractionin", "retractedandrepublishedin"), ("retraction", True)),
    **dict.fromkeys(("retractionof", "partialretractionof", "retractedandrepublishedfrom"), ("retraction", False)),
    **dict.fromkeys(("erratumin", "correctedandrepublishedin"), ("correction", True)),
    **dict.fromkeys(("erratumfor", "correctedandrepublishedfrom"), ("correction", False)),
    "expressionofconcernin": ("expression of concern", True),
    "expressionofconcernfor": ("expression of concern", False),
}
#: Crossref's types of updates.
UPDATES = {
    **dict.fromkeys(("retraction", "partialretraction", "withdrawal", "removal"), "retraction"),
    **dict.fromkeys(("correction", "corrigendum", "erratum", "addendum", "clarification"), "correction"),
    "expressionofconcern": "expression of concern",
}
#: What PubMed and Europe PMC call a publication that was retracted, and how publishers mark its title.
RETRACTED_TYPE = "retractedpublication"
RETRACTED_TITLE = re.compile(r"\W*(?:retracted|withdrawn|removed)(?:\s+(?:article|paper))?\s*[:\]]", re.IGNORECASE)


def _letters(text: str) -> str:
    return re.sub(r"[^a-z]", "", text.lower())


def notices_of(title: str, types: Iterable[str], links: Iterable[tuple[str, str]]) -> tuple[Notice, ...]:
    """Return the notices that a record names in its title, its types of publication and its links to other records.

    Parameters
    ----------
    title : str
        Of the publication.
    types : iterable of str
        Its types of publication.
    links : iterable of tuple
        What a link is called ("Retraction in"), and the record that it leads to ("pmid:1"), empty if it is not known.

    Examples
    --------
    >>> notices_of("Islets", ["Retracted Publication"], [("ErratumFor", "pmid:7")])
    (Notice(kind='retraction', of='', by='', date=''), Notice(kind='correction', of='pmid:7', by='', date=''))
    """
    found = []
    if RETRACTED_TITLE.match(title) or any(_letters(one) == RETRACTED_TYPE for one in types):
        found.append(Notice("retraction"))
    for called, number in links:
        kind, is_own = NOTICES.get(_letters(called), ("", False))
        if kind and (is_own or number):
            found.append(Notice(kind, by=number) if is_own else Notice(kind, of=number))
    return tuple(dict.fromkeys(found))


# Papers out of one answer: Europe PMC, PubMed (esummary and efetch) and Crossref.
#
# A reader yields a :class:`Paper` for each record and a sentence for each that it cannot read; it raises ValueError
# where
# the body as a whole is something else. Answers with identifiers only (esearch) contain no papers.


#: Answers of PubMed that list identifiers and no papers.
LISTS = ("eSearchResult", "ePostResult", "eLinkResult", "eInfoResult", "eSpellResult")


def europepmc(answer: Answer, body: bytes) -> Iterator[Paper | str]:
    """Yield the papers of a page of Europe PMC; the abstract is searched for registrations but not kept."""
    content = json_of(body)
    if not isinstance(value_at(content, "resultList", "result"), list):
        raise ValueError(f"no list of results: {_start(content)}")
    for place, one in enumerate(list_at(content, "resultList", "result")):
        pointer = f"/resultList/result/{place}"
        keywords = map(str, list_at(one, "keywordList", "keyword"))
        parts = {
            "title": text_at(one, "title"),
            "journal": text_at(one, "journalInfo", "journal", "title") or text_at(one, "journalTitle"),
            "date": text_at(one, "firstPublicationDate") or text_at(one, "pubYear"),
            "other_id": f"{text_at(one, 'source')}/{text_at(one, 'id')}",
        }
        ids = {name: text_at(one, name) for name in ("pmid", "doi", "pmcid")}
        linked = list_at(one, "commentCorrectionList", "commentCorrection")
        links = [(text_at(link, "type"), _pmid(text_at(link, "id"))) for link in linked]
        notices = notices_of(parts["title"], map(str, list_at(one, "pubTypeList", "pubType")), links)
        yield _paper("europepmc", answer, pointer, [text_at(one, "abstractText"), *keywords], notices, **parts, **ids)


def _pmid(number: str) -> str:
    return f"pmid:{number}" if number.isdecimal() else ""


def pubmed(answer: Answer, body: bytes) -> Iterator[Paper | str]:
    """Yield the papers of PubMed: efetch and esummary as XML, esummary as JSON."""
    if not is_xml(body):
        yield from _summaries_json(answer, json_of(body))
        return
    root = xml_of(body)
    if root.tag == "PubmedArticleSet":
        for place, article in enumerate(root.findall("PubmedArticle"), start=1):
            yield _article(answer, article, f"/PubmedArticleSet/PubmedArticle[{place}]")
    elif root.tag == "eSummaryResult":
        for place, summary in enumerate(root.findall("DocSum"), start=1):
            yield _summary(answer, summary, f"/eSummaryResult/DocSum[{place}]")
    elif root.tag not in LISTS:
        raise ValueError(f"neither articles nor summaries: <{root.tag}>")


def _summaries_json(answer: Answer, content: Any) -> Iterator[Paper | str]:
    if value_at(content, "esearchresult") is not None:
        return
    if not isinstance(value_at(content, "result"), Mapping):
        raise ValueError(f"neither a search nor summaries: {_start(content)}")
    for uid in map(str, list_at(content, "result", "uids")):
        one = value_at(content, "result", uid)
        ids = {text_at(named, "idtype"): text_at(named, "value") for named in list_at(one, "articleids")}
        parts = {
            "title": text_at(one, "title"),
            "journal": text_at(one, "fulljournalname") or text_at(one, "source"),
            "date": text_at(one, "pubdate"),
        }
        links = [(text_at(link, "reftype"), _pmid(text_at(link, "pmid"))) for link in list_at(one, "references")]
        notices = notices_of(parts["title"], map(str, list_at(one, "pubtype")), links)
        yield _paper("pubmed", answer, f"/result/{uid}", [], notices, pmid=uid, doi=ids.get("doi", ""),
                     pmcid=ids.get("pmc", ""), **parts)  # fmt: skip


def _summary(answer: Answer, summary: Element, pointer: str) -> Paper | str:
    items = {item.get("Name", ""): item for item in summary.findall("Item")}
    ids = {item.get("Name", ""): clean(item.text) for item in items.get("ArticleIds", Element("none"))}
    text = {name: words_of(items.get(name)) for name in ("Title", "FullJournalName", "Source", "PubDate", "DOI")}
    parts = {"title": text["Title"], "journal": text["FullJournalName"] or text["Source"], "date": text["PubDate"]}
    types = [clean(item.text) for item in items.get("PubTypeList", Element("none"))]
    notices = notices_of(text["Title"], types, ())
    return _paper("pubmed", answer, pointer, [], notices, pmid=clean(summary.findtext("Id")), pmcid=ids.get("pmc", ""),
                  doi=text["DOI"] or ids.get("doi", ""), **parts)  # fmt: skip


def _article(answer: Answer, article: Element, pointer: str) -> Paper | str:
    citation = article.find("MedlineCitation")
    if citation is None:
        return f"{pointer}: expected a MedlineCitation, found none"
    ids = {one.get("IdType", ""): clean(one.text) for one in article.findall("PubmedData/ArticleIdList/ArticleId")}
    said = [words_of(one) for one in citation.findall("Article/Abstract/AbstractText")]
    banks = [words_of(one) for one in citation.findall("Article/DataBankList/DataBank/AccessionNumberList/")]
    parts = {
        "title": words_of(citation.find("Article/ArticleTitle")) or words_of(citation.find("Article/VernacularTitle")),
        "journal": words_of(citation.find("Article/Journal/Title")),
        "date": _printed_date(citation.find("Article/Journal/JournalIssue/PubDate")),
    }
    types = [words_of(one) for one in citation.findall("Article/PublicationTypeList/PublicationType")]
    linked = citation.findall("CommentsCorrectionsList/CommentsCorrections")
    links = [(one.get("RefType", ""), _pmid(clean(one.findtext("PMID")))) for one in linked]
    notices = notices_of(parts["title"], types, links)
    return _paper("pubmed", answer, pointer, [*said, *banks], notices, pmid=clean(citation.findtext("PMID")),
                  doi=ids.get("doi", ""), pmcid=ids.get("pmc", ""), **parts)  # fmt: skip


def _printed_date(date: Element | None) -> str:
    """Return year, month and day if given, else the words of the issue (MedlineDate, Season)."""
    if date is None:
        return ""
    parts = [clean(date.findtext(name)) for name in ("Year", "Month", "Day")]
    year, month, day = parts
    if month.isdecimal():
        return "-".join(part.zfill(2) for part in parts if part)
    return f"{year} {month} {day}".strip() if year else words_of(date)


def crossref(answer: Answer, body: bytes) -> Iterator[Paper | str]:
    """Yield the papers of Crossref: one work or a list of works."""
    content = json_of(body)
    message = value_at(content, "message")
    if isinstance(value_at(message, "items"), list):
        works = [(f"/message/items/{place}", work) for place, work in enumerate(message["items"])]
    elif text_at(message, "DOI"):
        works = [("/message", message)]
    else:
        raise ValueError(f"neither a work nor a list of works: {_start(content)}")
    for pointer, work in works:
        banks = [text_at(one, "clinical-trial-number") for one in list_at(work, "clinical-trial-number")]
        parts = {
            "title": next((one for one in list_at(work, "title") if isinstance(one, str)), ""),
            "journal": next((one for one in list_at(work, "container-title") if isinstance(one, str)), ""),
            "date": _date_parts(list_at(work, "issued", "date-parts") or list_at(work, "published", "date-parts")),
        }
        yield _paper(
            "crossref",
            answer,
            pointer,
            [text_at(work, "abstract"), *banks],
            _updates(work, parts["title"]),
            doi=text_at(work, "DOI"),
            **parts,
        )


def _updates(work: Any, title: str) -> tuple[Notice, ...]:
    """Return the notices about a work of Crossref ("updated-by") and its notices about others ("update-to")."""
    found = list(notices_of(title, (), ()))
    for key in ("updated-by", "update-to"):
        for one in list_at(work, key):
            kind, doi = UPDATES.get(_letters(text_at(one, "type")), ""), text_at(one, "DOI").lower()
            date = _date_parts(list_at(one, "updated", "date-parts"))
            if kind and key == "updated-by":
                found.append(Notice(kind, by=f"doi:{doi}" if doi else "", date=date))
            elif kind and doi:
                found.append(Notice(kind, of=f"doi:{doi}", by=f"doi:{text_at(work, 'DOI').lower()}", date=date))
    return tuple(dict.fromkeys(found))


def _date_parts(parts: list) -> str:
    """Return Crossref's [[year, month?, day?]] with dashes; empty if invalid."""
    first = parts[0] if parts and isinstance(parts[0], list) else []
    return "-".join(f"{part:02d}" for part in first if isinstance(part, int))


def _paper(
    source: str, answer: Answer, pointer: str, texts: Iterable[str], notices: tuple[Notice, ...],
    *, title: str, journal: str, date: str, **ids: str,
) -> Paper | str:  # fmt: skip
    """Return the paper, with the registrations of its title and of the texts; a sentence if nothing identifies it.

    Summaries of PubMed have the form of those of all NCBI databases: without a title it is none of a paper.
    """
    known = {name: ids.get(name, "").strip() for name in ("pmid", "doi", "pmcid")}
    other = ids.get("other_id", "")
    if not (any(known.values()) or other.strip("/")) or (source == "pubmed" and not title):
        return f"{pointer}: expected a paper with a title and an identifier, found none"
    known["doi"] = re.sub(r"^https?://(dx\.)?doi\.org/", "", known["doi"], flags=re.IGNORECASE)
    numbers = numbers_in("\n".join([title, *texts]))
    return Paper(source, without_marks(title), journal, iso(date), registrations=numbers, answer=answer,
                 pointer=pointer, other_id=other, notices=notices, **known)  # fmt: skip


def _start(content: Any) -> str:
    """Return the first keys of an unexpected value, for a message."""
    keys = ", ".join(map(str, [*content][:5])) if isinstance(content, Mapping) else type(content).__name__
    return keys[:120]


# Trials out of one answer: ClinicalTrials.gov as JSON of version 2, and exports of WHO ICTRP as XML.
#
# A reader yields a :class:`Trial` for each record and a sentence for each that it cannot read; it raises ValueError
# where
# the body as a whole is something else.


PAGE = "https://clinicaltrials.gov/study/"


def registry_trials(answer: Answer, body: bytes) -> Iterator[Trial | str]:
    """Yield trials of ClinicalTrials.gov: those of a search page, or one study."""
    for pointer, study in studies_in(json_of(body)):
        number = text_at(study, "protocolSection", "identificationModule", "nctId")
        yield _registered(study, answer, pointer) if number else f"{pointer or 'study'}: expected an nctId, found none"


def studies_in(content: Any) -> Iterator[tuple[str, Any]]:
    """Yield the studies of a parsed answer with their JSON pointers.

    Raises
    ------
    ValueError
        If it is neither a study nor a page of studies.

    Examples
    --------
    >>> list(studies_in({"studies": [{"protocolSection": {}}]}))
    [('/studies/0', {'protocolSection': {}})]
    >>> list(studies_in({"error": "no"}))
    Traceback (most recent call last):
    ValueError: neither a study nor a page of studies: error
    """
    if isinstance(content, Mapping) and "protocolSection" in content:
        yield "", content
    elif isinstance(studies := value_at(content, "studies"), list):
        yield from ((f"/studies/{place}", study) for place, study in enumerate(studies))
    else:
        keys = ", ".join(map(str, [*content][:5])) if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"neither a study nor a page of studies: {keys[:120]}")


def _registered(study: Mapping[str, Any], answer: Answer, pointer: str) -> Trial:
    protocol = value_at(study, "protocolSection")
    number = text_at(protocol, "identificationModule", "nctId")
    dates = [
        iso(text_at(protocol, "statusModule", f"{name}DateStruct", "date"))
        for name in ("start", "resultsFirstPost", "studyFirstPost")
    ]
    named = (text_at(protocol, "identificationModule", f"{kind}Title") for kind in ("brief", "official"))
    title = next(filter(None, named), "")
    status = text_at(protocol, "statusModule", "overallStatus")
    start, posted, registered = dates
    return Trial("ctgov", number, title, status, start, posted, study, answer, pointer, registered, f"{PAGE}{number}")


def export_trials(answer: Answer, body: bytes) -> Iterator[Trial | str]:
    """Yield the trials of an ICTRP export one at a time, so that exports of any size can be read."""
    from defusedxml.ElementTree import iterparse

    place = 0
    try:
        for _, element in iterparse(io.BytesIO(body), events=("end",)):
            if element.tag != "Trial":
                continue
            place += 1
            yield _exported(element, answer, f"/Trials_downloaded_from_ICTRP/Trial[{place}]")
            element.clear()
    except (ParseError, LookupError) as fault:
        raise ValueError(str(fault)) from None
    if not place:
        raise ValueError("no element <Trial> of an ICTRP export")


def _exported(element: Element, answer: Answer, pointer: str) -> Trial | str:
    record = {part.tag: clean(part.text) for part in element}
    number = record.get("TrialID", "")
    if not number:
        return f"{pointer}: expected a TrialID, found none"
    # Date_registration is day first or year first by register; Date_registration3 is one form for all
    registered = iso(record.get("Date_registration3") or record.get("Date_registration", ""))
    start, posted = (iso(record.get(name, "")) for name in ("Date_enrollement", "results_date_posted"))
    title = record.get("Public_title") or record.get("Scientific_title", "")
    status, address = record.get("Recruitment_Status", ""), record.get("web_address", "")
    return Trial("ictrp", number, title, status, start, posted, record, answer, pointer, registered, address)
