"""Trials out of one answer: ClinicalTrials.gov as JSON and as the XML it retired, and exports of WHO ICTRP.

A reader yields a :class:`Trial` for each record and a sentence for each that it cannot read; it raises ValueError where
the body as a whole is something else.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from cellclaims.sources.bodies import at, clean, is_xml, json_of, text_at, xml_of
from cellclaims.sources.dates import iso
from cellclaims.sources.records import Trial
from cellclaims.sources.store import Answer

PAGE = "https://clinicaltrials.gov/study/"

#: Where the retired XML holds what these parts of a v2 study hold: path of the element -> module and key.
LEGACY_TEXT = {
    "id_info/nct_id": ("identificationModule", "nctId"),
    "brief_title": ("identificationModule", "briefTitle"),
    "official_title": ("identificationModule", "officialTitle"),
    "why_stopped": ("statusModule", "whyStopped"),
}
LEGACY_DATES = {
    "start_date": "startDateStruct",
    "primary_completion_date": "primaryCompletionDateStruct",
    "completion_date": "completionDateStruct",
    "study_first_posted": "studyFirstPostDateStruct",
    "results_first_posted": "resultsFirstPostDateStruct",
    "last_update_posted": "lastUpdatePostDateStruct",
}


def registry_trials(answer: Answer, body: bytes) -> Iterator[Trial | str]:
    """Trials of ClinicalTrials.gov: a page of a search, one study, a list of studies, or the retired XML."""
    if is_xml(body):
        yield _registered(legacy_study(xml_of(body)), answer, "")
        return
    for pointer, study in studies_in(json_of(body)):
        number = text_at(study, "protocolSection", "identificationModule", "nctId")
        yield _registered(study, answer, pointer) if number else f"{pointer or 'study'}: expected an nctId, found none"


def studies_in(content: Any) -> Iterator[tuple[str, Any]]:
    """The studies of a parsed answer with their JSON pointers.

    Raises
    ------
    ValueError
        If it is neither a study nor a list or a page of studies.

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
    elif isinstance(studies := content if isinstance(content, list) else at(content, "studies"), list):
        start = "" if isinstance(content, list) else "/studies"
        yield from ((f"{start}/{place}", study) for place, study in enumerate(studies))
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


def legacy_study(root: Element) -> dict[str, Any]:
    """The retired XML of one study as the modules of a v2 study that this project compares; results are not read.

    Raises
    ------
    ValueError
        If it is no study of ClinicalTrials.gov.
    """
    if root.tag != "clinical_study" or not clean(root.findtext("id_info/nct_id")):
        raise ValueError(f"no study of ClinicalTrials.gov: <{root.tag}>")
    modules: dict[str, dict[str, Any]] = {"identificationModule": {}, "statusModule": {}, "designModule": {}}
    for path, (module, key) in LEGACY_TEXT.items():
        if text := clean(root.findtext(path)):
            modules[module][key] = text
    status = clean(root.findtext("overall_status"))
    modules["statusModule"]["overallStatus"] = status.upper().replace(",", "").replace(" ", "_")
    for path, key in LEGACY_DATES.items():
        if date := clean(root.findtext(path)):
            modules["statusModule"][key] = {"date": iso(date)}
    modules["designModule"] |= _legacy_enrolment(root)
    primary = [{"measure": clean(one.findtext("measure"))} for one in root.findall("primary_outcome")]
    modules["outcomesModule"] = {"primaryOutcomes": primary}
    return {"protocolSection": modules, "hasResults": root.find("clinical_results") is not None}


def _legacy_enrolment(root: Element) -> dict[str, Any]:
    found = root.find("enrollment")
    if found is None or not clean(found.text).isdecimal():
        return {}
    kind = {"Anticipated": "ESTIMATED", "Actual": "ACTUAL"}.get(found.get("type", ""))
    return {"enrollmentInfo": {"count": int(clean(found.text))} | ({"type": kind} if kind else {})}


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
