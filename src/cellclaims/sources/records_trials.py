"""Trials out of one answer: ClinicalTrials.gov as JSON of version 2, and exports of WHO ICTRP as XML.

A reader yields a :class:`Trial` for each record and a sentence for each that it cannot read; it raises ValueError where
the body as a whole is something else.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from cellclaims.sources.bodies import at, clean, json_of, text_at
from cellclaims.sources.dates import iso
from cellclaims.sources.records import Trial
from cellclaims.sources.store import Answer

PAGE = "https://clinicaltrials.gov/study/"


def registry_trials(answer: Answer, body: bytes) -> Iterator[Trial | str]:
    """Trials of ClinicalTrials.gov: those of a page of a search, or one study."""
    for pointer, study in studies_in(json_of(body)):
        number = text_at(study, "protocolSection", "identificationModule", "nctId")
        yield _registered(study, answer, pointer) if number else f"{pointer or 'study'}: expected an nctId, found none"


def studies_in(content: Any) -> Iterator[tuple[str, Any]]:
    """The studies of a parsed answer with their JSON pointers.

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
    elif isinstance(studies := at(content, "studies"), list):
        yield from ((f"/studies/{place}", study) for place, study in enumerate(studies))
    else:
        keys = ", ".join(map(str, [*content][:5])) if isinstance(content, Mapping) else type(content).__name__
        raise ValueError(f"neither a study nor a page of studies: {keys[:120]}")


def _registered(study: Mapping[str, Any], answer: Answer, pointer: str) -> Trial:
    protocol = at(study, "protocolSection")
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
    """Trials of an ICTRP export, one at a time, so that an export of any size can be read."""
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
