"""Which faults may pass, and how long to wait before the next attempt."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

#: HTTP statuses that a later attempt may not meet: too many requests, and faults of the server.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class PassingFault(Exception):
    """A fault that the next attempt may not meet; ``wait`` is what the source asked for, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def next_wait(fault: Exception) -> bool | float:
    """For stamina: whether to try again (True: with back-off and jitter), or after how many seconds."""
    if not isinstance(fault, PassingFault):
        return False
    return True if fault.wait is None else fault.wait


def retry_after(header: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header, given in seconds or as a date; None where it says neither.

    Examples
    --------
    >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    >>> retry_after("7", noon), retry_after("Fri, 20 Nov 2026 12:00:30 GMT", noon), retry_after("soon", noon)
    (7.0, 30.0, None)
    >>> retry_after("Fri, 20 Nov 2026 11:00:00 GMT", noon)
    0.0
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment = http_date(text)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def http_date(header: str | None) -> datetime | None:
    """The moment of a Date or Retry-After header in UTC; None for anything else.

    Examples
    --------
    >>> http_date("Fri, 20 Nov 2026 12:00:30 GMT").isoformat(), http_date("yesterday")
    ('2026-11-20T12:00:30+00:00', None)
    """
    try:
        moment = parsedate_to_datetime(header or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
