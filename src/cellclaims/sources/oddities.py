"""What was odd about an answer that is taken all the same: counted, named, and kept with the snapshot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from cellclaims.sources.addresses import shown

#: Every kind of warning: what it means.
KINDS = {
    "answered after retries": "a source failed first and answered later",
    "clock differs": "the Date of a source stands more than 5 minutes from this computer's clock",
    "control characters": "texts hold NUL or other control characters, or halves of characters",
    "text direction": "texts hold signs that turn the direction of writing",
    "markup": "titles or names hold an element of HTML, or begin like a formula of a spreadsheet",
    "unknown fields": "records hold fields that the source's description does not name",
    "missing fields": "records lack a field that every record should have",
    "other type": "a field of a record holds another type than the source's description says",
    "duplicate record": "a record came twice in one search",
    "duplicate page": "a page brought only records that earlier pages had brought",
    "total changed": "the number of records that a search announced changed from page to page",
    "total differs": "a search brought another number of records than it announced",
    "not found": "the source does not know a number that was asked for",
    "too many": "a search finds more than the source hands out",
}


def oddity(source: str, kind: str, detail: str) -> str:
    """One warning as it is kept: ``source: kind: detail``.

    Examples
    --------
    >>> oddity("ctgov", "duplicate record", "NCT00133809")
    'ctgov: duplicate record: NCT00133809'
    """
    if kind not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}; found {kind!r}")
    return f"{source}: {kind}: {shown(detail)}"


def by_kind(warnings: Iterable[str]) -> dict[str, int]:
    """How many warnings of each source and kind, most frequent first.

    Examples
    --------
    >>> by_kind(["ctgov: markup: a", "ctgov: markup: b", "pubmed: too many: 12,000"])
    {'ctgov: markup': 2, 'pubmed: too many': 1}
    """
    return dict(Counter(": ".join(warning.split(": ", 2)[:2]) for warning in warnings).most_common())
