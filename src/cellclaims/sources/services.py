"""The public services that a pull asks: where each is, how often it may be asked, and which document says so."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from cellclaims.errors import SourceError
from cellclaims.sources.addresses import is_loopback, origin


@dataclass(frozen=True)
class Service:
    """One public service.

    Attributes
    ----------
    name : str
        As people know it.
    base : str
        Address in front of every path.
    per_second : float
        Requests a second; ``with_identity`` is the limit of those who send a key (NCBI) or a contact (Crossref).
    document : str
        Where the limit stands.
    caches : bool
        Whether answers may be kept for revalidation: not where a key is part of the address.
    """

    name: str
    base: str
    per_second: float
    with_identity: float
    document: str
    caches: bool = True


#: By source; ictrp has no service that may be asked: a person downloads its export.
SERVICES: Mapping[str, Service] = {
    "ctgov": Service(
        "ClinicalTrials.gov",
        "https://clinicaltrials.gov/api/v2",
        1,
        1,
        "clinicaltrials.gov/robots.txt: Crawl-delay 1; the API's own description names no limit",
    ),
    "europepmc": Service(
        "Europe PMC",
        "https://www.ebi.ac.uk/europepmc/webservices/rest",
        3,
        3,
        "no official limit found; others report 10 a second for one address, a third of it is taken",
    ),
    "pubmed": Service(
        "PubMed (NCBI E-utilities)",
        "https://eutils.ncbi.nlm.nih.gov/entrez/eutils",
        3,
        10,
        "support.nlm.nih.gov KA-05317: 3 a second, 10 with an API key",
        caches=False,
    ),
    "crossref": Service(
        "Crossref",
        "https://api.crossref.org",
        5,
        10,
        "crossref.org, access and authentication of the REST API: 5 a second, 10 with a contact",
    ),
}


def service(source: str) -> Service:
    """The service of a source; raises SourceError with the known names."""
    if source not in SERVICES:
        raise SourceError(f"expected a source that can be asked, one of {', '.join(SERVICES)}; found {source!r}")
    return SERVICES[source]


def base_of(source: str, bases: Mapping[str, str]) -> str:
    """The address in front of a source's paths: its own, or one on this computer for tests.

    Raises
    ------
    SourceError
        If another address is neither the source's own host nor on loopback: nothing else is ever asked.

    Examples
    --------
    >>> base_of("ctgov", {"ctgov": "http://127.0.0.1:8000/v2"})
    'http://127.0.0.1:8000/v2'
    >>> base_of("ctgov", {"ctgov": "https://example.org"})
    Traceback (most recent call last):
    cellclaims.errors.SourceError: expected https://clinicaltrials.gov or an address on this computer, found https://example.org
    """
    own = service(source).base
    base = bases.get(source, own).rstrip("/")
    if origin(base) != origin(own) and not is_loopback(base):
        raise SourceError(f"expected {origin(own)} or an address on this computer, found {base}")
    return base
