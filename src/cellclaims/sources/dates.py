"""Dates as the registries and the literature write them, in ISO 8601."""

from __future__ import annotations

import datetime
import re

MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
NAMED = "|".join(MONTHS)

#: The forms met, with named groups y, m and d; a day of two slashes stands first (day/month/year).
FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})",
        r"(?P<y>\d{4})(?:[-/](?P<m>\d{1,2})(?:[-/](?P<d>\d{1,2}))?)?",
        r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})",
        rf"(?P<m>{NAMED})[a-z]*\.?\s+(?:(?P<d>\d{{1,2}}),?\s+)?(?P<y>\d{{4}})",
        rf"(?:(?P<d>\d{{1,2}})\s+)?(?P<m>{NAMED})[a-z]*\.?,?\s+(?P<y>\d{{4}})",
        rf"(?P<y>\d{{4}})\s+(?P<m>{NAMED})[a-z]*\.?(?:\s+(?P<d>\d{{1,2}}))?",
    )
)


def iso(text: str) -> str:
    """A date as YYYY-MM-DD, YYYY-MM or YYYY; what is none of the known forms, or no day of the calendar, as it stands.

    Examples
    --------
    >>> [iso(text) for text in ("20260510", "10/05/2026", "July 15, 2026", "May 2026", "2026/5/1", "1965 Aug")]
    ['2026-05-10', '2026-05-10', '2026-07-15', '2026-05', '2026-05-01', '1965-08']
    >>> iso("31/02/2026"), iso(" Spring 1990 ")
    ('31/02/2026', 'Spring 1990')
    """
    text = text.strip()
    for form in FORMS:
        if found := form.fullmatch(text):
            return _joined(**found.groupdict()) or text
    return text


def _joined(y: str, m: str | None = None, d: str | None = None) -> str:
    """The parts with dashes; empty if there is no such day."""
    if m is None:
        return y
    month = int(m) if m.isdigit() else MONTHS.index(m.lower()) + 1
    try:
        day = datetime.date(int(y), month, int(d or 1))
    except ValueError:
        return ""
    return day.isoformat() if d else day.isoformat()[:7]
