"""Europe PMC: searches with all fields (core), followed by cursor, and candidates by title."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cellclaims.registries.answers import (
    Guard,
    Page,
    grouped,
    json_texts,
    of_type,
    parsed_json,
    record_warnings,
    text_at,
    text_warnings,
)
from cellclaims.registries.client import Client, Fetched
from cellclaims.registries.services import Asking, Wanted

SOURCE = "europepmc"
PAGE_SIZE = 100
#: Registration numbers in one search, so that an address stays short.
NUMBERS = 25

SHAPE: Mapping[str, type] = {
    "id": str,
    "source": str,
    "title?": str,
    "pmid?": str,
    "doi?": str,
    "authorString?": str,
    "abstractText?": str,
    "firstPublicationDate?": str,
    "pubYear?": str,
    "citedByCount?": int,
}


def look_search(body: bytes, where: str) -> Page:
    """Look a page of a search through.

    Raises
    ------
    RefusedAnswer
        If it is no page of papers.

    Examples
    --------
    >>> look_search(b'{"version": "6.9", "hitCount": 0, "resultList": {"result": []}}', "https://host")
    Page(ids=(), total=0, token='', warnings=())
    """
    content = of_type(parsed_json(body, where), dict, where, "the answer")
    total = of_type(content.get("hitCount"), int, where, "hitCount")
    listed = of_type(content.get("resultList"), dict, where, "resultList")
    papers = of_type(listed.get("result"), list, where, "resultList.result")
    token = of_type(content.get("nextCursorMark", ""), str, where, "nextCursorMark")
    warnings = record_warnings(SOURCE, where, papers, SHAPE, ())
    warnings += text_warnings(SOURCE, where, json_texts(content, where))
    return Page(tuple(map(_number, papers)), total, token if papers else "", tuple(warnings))


def _number(paper: Any) -> str:
    parts = text_at(paper, "source"), text_at(paper, "id")
    return ":".join(parts) if all(parts) else ""


def pull(asking: Asking, wanted: Wanted) -> None:
    """Every search to its end, and the papers that name a known registration; raises SourceError."""
    for name, query in wanted.queries.items():
        search(asking, name, query)
    for number, group in enumerate(grouped(wanted.registrations, NUMBERS), start=1):
        names = " OR ".join(f'"{one}"' for one in group)
        search(asking, f"registrations {number}", {"query": f"({names})"})


def search(asking: Asking, name: str, query: Mapping[str, str]) -> set[str]:
    """One search to its end: the numbers of its papers, such as ``MED:17005949``; raises SourceError.

    The last page has no cursor, repeats the one it was asked with, or is empty.
    """
    guard, cursor = Guard(SOURCE, f"search {name!r}"), "*"
    parameters = {**query, "format": "json", "resultType": "core", "pageSize": str(PAGE_SIZE)}
    while cursor:
        page = asking.ask("search", "/search", {**parameters, "cursorMark": cursor}, look_search)
        is_last = page.token in ("", cursor)
        asking.warnings += guard.turn(Page(page.ids, page.total, "" if is_last else page.token))
        cursor = "" if is_last else page.token
    asking.warnings += guard.end()
    return set(guard.ids)


def by_title(client: Client, title: str, rows: int = 5) -> tuple[Fetched, list[dict[str, Any]]]:
    """Papers whose titles hold the words of a title: the answer, and its papers, best first.

    Parameters
    ----------
    client : Client
        Through which Europe PMC is asked.
    title : str
        The title as printed; signs that the query language uses are left out.
    rows : int
        At most so many papers.

    Raises
    ------
    SourceError
        If no answer comes or it is not taken.
    """
    words = " ".join(re.findall(r"\w+", title))
    parameters = {"query": f"TITLE:({words})", "format": "json", "resultType": "core", "pageSize": str(rows)}
    got = client.get(SOURCE, "/search", parameters)
    look_search(got.body, got.address)
    papers = parsed_json(got.body, got.address)["resultList"]["result"]
    return got, [paper for paper in papers if isinstance(paper, dict)]
