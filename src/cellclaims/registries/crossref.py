"""Crossref: the works behind known DOIs (with corrections and retractions), and candidates for a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
from cellclaims.registries.client import Client, Fetched, path_of
from cellclaims.registries.services import Asking, Wanted

SOURCE = "crossref"
ROWS = 100

SHAPE: Mapping[str, type] = {
    "DOI": str,
    "title?": list,
    "container-title?": list,
    "author?": list,
    "issued?": dict,
    "update-to?": list,
    "type?": str,
}


def look_work(body: bytes, where: str) -> Page:
    """Look the record of one DOI through.

    Raises
    ------
    RefusedAnswer
        If it is no work.

    Examples
    --------
    >>> look_work(b'{"status": "ok", "message-type": "work", "message": {"DOI": "10.1000/1"}}', "https://host").ids
    ('10.1000/1',)
    """
    message = _message(body, where)
    return Page((text_at(message, "DOI"),), warnings=tuple(_warnings([message], message, where)))


def look_works(body: bytes, where: str) -> Page:
    """Look a list of works through; raises RefusedAnswer."""
    message = _message(body, where)
    items = of_type(message.get("items"), list, where, "message.items")
    total = of_type(message.get("total-results"), int, where, "message.total-results")
    token = message.get("next-cursor", "") if items else ""
    ids = tuple(text_at(item, "DOI") for item in items)
    return Page(ids, total, of_type(token, str, where, "next-cursor"), tuple(_warnings(items, message, where)))


def _message(body: bytes, where: str) -> dict[str, Any]:
    content = of_type(parsed_json(body, where), dict, where, "the answer")
    return of_type(content.get("message"), dict, where, "message")


def _warnings(works: list[Any], content: Any, where: str) -> list[str]:
    fields = record_warnings(SOURCE, where, works, SHAPE, ())
    return fields + text_warnings(SOURCE, where, json_texts(content, where))


def pull(asking: Asking, wanted: Wanted) -> None:
    """Every search to its end, then the work of every known DOI; raises SourceError."""
    for name, query in wanted.queries.items():
        search(asking, name, query)
    for doi in wanted.dois:
        asking.ask_known("works", path_of("works", doi), look_work, doi)


def search(asking: Asking, name: str, query: Mapping[str, str]) -> set[str]:
    """One search to its end: the DOIs that it brought; raises SourceError."""
    guard, cursor = Guard(SOURCE, f"search {name!r}"), "*"
    while cursor:
        page, before = (
            asking.ask("works", "/works", {**query, "rows": str(ROWS), "cursor": cursor}, look_works),
            len(guard.ids),
        )
        asking.warnings += guard.turn(page)
        # A search ends with the records, not with the cursor: a page without a new one is the last.
        cursor = page.token if before < len(guard.ids) < (page.total or 0) else ""
    asking.warnings += guard.end()
    return set(guard.ids)


def candidates(client: Client, reference: str, rows: int = 5) -> tuple[Fetched, list[dict[str, Any]]]:
    """Works that a printed reference may mean: the answer, and its works, best first.

    Parameters
    ----------
    client : Client
        Through which Crossref is asked.
    reference : str
        Title, author, year, journal: as much as is known.
    rows : int
        At most so many works.

    Raises
    ------
    SourceError
        If no answer comes or it is not taken.
    """
    got = client.get(SOURCE, "/works", {"query.bibliographic": reference, "rows": str(rows)})
    look_works(got.body, got.address)
    items = parsed_json(got.body, got.address)["message"]["items"]
    return got, [item for item in items if isinstance(item, dict)]
