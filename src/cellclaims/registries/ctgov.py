"""ClinicalTrials.gov, API version 2: searches page by page, single studies, posted results within them.

A page holds whole studies, so that a study is asked for alone only where no search finds it. Shapes are those of the
official description of the API (ctg-oas-v2, 2.0.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cellclaims.errors import RefusedAnswer
from cellclaims.registries.answers import (
    Guard,
    Page,
    json_texts,
    of_type,
    parsed_json,
    record_warnings,
    text_at,
    text_warnings,
)
from cellclaims.registries.client import path_of
from cellclaims.registries.services import Asking, Wanted

SOURCE = "ctgov"
NCT = re.compile(r"NCT\d{8}")
NUMBER = "protocolSection.identificationModule.nctId"
#: Studies a page: with posted results one takes about 40 kB and at most a few MB.
PAGE_SIZE = 100

SHAPE: Mapping[str, type] = {
    NUMBER: str,
    "protocolSection.identificationModule.briefTitle": str,
    "protocolSection.statusModule.overallStatus": str,
    "protocolSection.statusModule.startDateStruct.date?": str,
    "protocolSection.statusModule.resultsFirstPostDateStruct.date?": str,
    "protocolSection.designModule.enrollmentInfo.count?": int,
    "protocolSection.referencesModule.references?": list,
    "resultsSection?": dict,
    "resultsSection.outcomeMeasuresModule.outcomeMeasures?": list,
    "hasResults": bool,
}
SECTIONS = ("protocolSection resultsSection documentSection annotationSection derivedSection hasResults").split()


def look_search(body: bytes, where: str) -> Page:
    """Look a page of a search through.

    Raises
    ------
    RefusedAnswer
        If it is no page of studies.

    Examples
    --------
    >>> look_search(b'{"studies": [], "totalCount": 0}', "https://host")
    Page(ids=(), total=0, token='', warnings=())
    """
    content = of_type(parsed_json(body, where), dict, where, "the answer")
    studies = of_type(content.get("studies"), list, where, "studies")
    token = of_type(content.get("nextPageToken", ""), str, where, "nextPageToken")
    total = content.get("totalCount")
    if total is not None:
        of_type(total, int, where, "totalCount")
    return Page(tuple(map(number_of, studies)), total, token, tuple(_warnings(studies, content, where)))


def look_study(body: bytes, where: str) -> Page:
    """Look a single study through; raises RefusedAnswer if it is none or has no number."""
    study = of_type(parsed_json(body, where), dict, where, "the answer")
    number = number_of(study)
    if not number:
        raise RefusedAnswer(f"{where}: expected a study with a number like NCT00133809, found none")
    return Page((number,), warnings=tuple(_warnings([study], study, where)))


def number_of(study: Any) -> str:
    """The NCT number of a study; "" where it has none."""
    number = text_at(study, NUMBER)
    return number if NCT.fullmatch(number) else ""


def _warnings(studies: list[Any], content: Any, where: str) -> list[str]:
    fields = record_warnings(SOURCE, where, studies, SHAPE, SECTIONS)
    return fields + text_warnings(SOURCE, where, json_texts(content, where))


def pull(asking: Asking, wanted: Wanted) -> None:
    """Every search to its last page, then the known studies that no search brought; raises SourceError."""
    found: set[str] = set()
    for name, query in wanted.queries.items():
        found |= search(asking, name, query)
    for number in wanted.registrations:
        if number not in found and (page := asking.ask_known("study", path_of("studies", number), look_study, number)):
            found.update(page.ids)


def search(asking: Asking, name: str, query: Mapping[str, str]) -> set[str]:
    """One search to its last page: the NCT numbers that it brought.

    Raises
    ------
    SourceError
        If a page does not come, is not taken, or the pages run in a circle.
    """
    guard = Guard(SOURCE, f"search {name!r}")
    parameters = {**query, "format": "json", "pageSize": str(PAGE_SIZE)}
    asked = {**parameters, "countTotal": "true"}
    while asked:
        page = asking.ask("search", "/studies", asked, look_search)
        asking.warnings += guard.turn(page)
        asked = {**parameters, "pageToken": page.token} if page.token else {}
    asking.warnings += guard.end()
    return set(guard.ids)
