"""A found publication out of an answer of Crossref or Europe PMC, in one shape; what has another type is not stated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from cellclaims.harvest.resolve_score import Facts
from cellclaims.harvest.sheet import one_line
from cellclaims.registries.store import Answer

#: What an identifier must look like to be proposed.
FORMS = {"doi": re.compile(r"10\.[0-9]{4,9}/\S+"), "pmid": re.compile(r"[0-9]{1,8}"), "pmcid": re.compile(r"PMC[0-9]+")}


@dataclass(frozen=True)
class Candidate:
    """A publication that a report may be.

    Attributes
    ----------
    facts : Facts
    kind : str
        What the source calls it, such as ``journal-article``.
    doi, pmid, pmcid : str
        Empty where it has none of the right form.
    answer, pointer : Answer, str
        The answer, and the JSON pointer of the record in it.
    sources : tuple of str
        Where it was found.
    """

    facts: Facts
    kind: str
    doi: str
    pmid: str
    pmcid: str
    answer: Answer
    pointer: str
    sources: tuple[str, ...]

    @property
    def page(self) -> str:
        """Where a reader finds it."""
        if self.doi:
            return f"https://doi.org/{self.doi}"
        if self.pmid:
            return f"https://pubmed.ncbi.nlm.nih.gov/{self.pmid}/"
        return f"https://europepmc.org/article/PMC/{self.pmcid}"


def found_in(answer: Answer, body: bytes) -> Iterator[Candidate]:
    """The candidates of an answer in its order, those with an identifier."""
    way, read = READERS[answer.source]
    records: Any = json.loads(body)
    for key in way:
        records = records.get(key) if isinstance(records, dict) else None
    for place, record in enumerate(records if isinstance(records, list) else []):
        if isinstance(record, dict):
            facts, kind, identifiers = read(record)
            if any(identifiers.values()):
                pointer = "".join(f"/{key}" for key in (*way, place))
                yield Candidate(facts, kind, **identifiers, answer=answer, pointer=pointer, sources=(answer.source,))


def merged(candidates: list[Candidate]) -> list[Candidate]:
    """Each publication once: of two sources that share its DOI, the record with more identifiers."""
    found: dict[str, Candidate] = {}
    for one in candidates:
        key = one.doi.lower() or f"{one.sources[0]} {one.pmid or one.pmcid}"
        other = found.get(key, one)
        fuller = max(other, one, key=identifiers_of)  # the first of two that have as many
        found[key] = replace(fuller, sources=tuple(dict.fromkeys((*other.sources, *one.sources))))
    return list(found.values())


def identifiers_of(one: Candidate) -> int:
    """How many identifiers a candidate has."""
    return sum(map(bool, (one.doi, one.pmid, one.pmcid)))


def crossref(record: dict[str, Any]) -> tuple[Facts, str, dict[str, str]]:
    """Facts and DOI of a Crossref work."""
    authors = [text(author, "family") or text(author, "name") for author in listed(record, "author")]
    journals = [*texts(record, "container-title"), *texts(record, "short-container-title")]
    title = " ".join(texts(record, "title")[:1])
    facts = Facts(without_markup(title), *first_of(authors), year_of(record), tuple(journals))
    return with_authors(facts, authors), text(record, "type"), identifiers(doi=text(record, "DOI"))


def europepmc(record: dict[str, Any]) -> tuple[Facts, str, dict[str, str]]:
    """Facts and identifiers of a Europe PMC paper."""
    people = listed(mapping(record, "authorList"), "author")
    authors = [text(person, "lastName") or text(person, "collectiveName") for person in people]
    authors = [name for name in authors if name] or text(record, "authorString").rstrip(".").split(", ")
    journal = mapping(mapping(record, "journalInfo"), "journal")
    names = (text(journal, "title"), text(journal, "isoabbreviation"), text(record, "journalTitle"))
    title = without_markup(text(record, "title"))
    facts = Facts(title, *first_of(authors), text(record, "pubYear"), tuple(filter(None, names)))
    kinds = texts(mapping(record, "pubTypeList"), "pubType")
    found = identifiers(text(record, "doi"), text(record, "pmid"), text(record, "pmcid"))
    return with_authors(facts, authors), "; ".join(kinds[:3]) or text(record, "pubType"), found


#: Source -> the way to its list of records, and what reads one.
READERS = {
    "crossref": (("message", "items"), crossref),
    "europepmc": (("resultList", "result"), europepmc),
}


def with_authors(facts: Facts, authors: list[str]) -> Facts:
    """The facts with the surnames of all authors."""
    return replace(facts, others=tuple(name for name in authors if name))


def first_of(authors: list[str]) -> tuple[str]:
    """The first author, or nobody."""
    return (authors[0] if authors else "",)


def identifiers(doi: str = "", pmid: str = "", pmcid: str = "") -> dict[str, str]:
    """Those of the right form; the others are empty."""
    given = {"doi": doi, "pmid": pmid, "pmcid": pmcid}
    return {
        name: value if FORMS[name].fullmatch(value) and value.isprintable() else "" for name, value in given.items()
    }


def year_of(record: dict[str, Any]) -> str:
    """The year of a work: the first that is printed, published or issued."""
    for name in ("published-print", "issued", "published", "published-online"):
        parts = mapping(record, name).get("date-parts")
        while isinstance(parts, list) and parts:
            parts = parts[0]
        if isinstance(parts, int) and not isinstance(parts, bool):
            return str(parts)
    return ""


def without_markup(title: str) -> str:
    """A title without the tags that both sources leave in it.

    Examples
    --------
    >>> without_markup("HbA<sub>1c</sub> after <i>islets</i>")
    'HbA1c after islets'
    """
    return one_line(re.sub(r"</?[A-Za-z][^<>]{0,80}>", "", title))


def text(record: Any, key: str) -> str:
    """A text of a record on one line; empty where it is anything else."""
    value = record.get(key) if isinstance(record, dict) else None
    return one_line(value) if isinstance(value, str) else ""


def texts(record: dict[str, Any], key: str) -> list[str]:
    """The texts of a list."""
    value = record.get(key)
    return [one_line(one) for one in value if isinstance(one, str)] if isinstance(value, list) else []


def listed(record: dict[str, Any], key: str) -> list[Any]:
    """A list of a record; empty where it is anything else."""
    value = record.get(key)
    return value if isinstance(value, list) else []


def mapping(record: dict[str, Any], key: str) -> dict[str, Any]:
    """An object of a record; empty where it is anything else."""
    value = record.get(key)
    return value if isinstance(value, dict) else {}
