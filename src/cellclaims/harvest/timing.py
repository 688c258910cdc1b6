"""When a measurement was made: out of its class, else the outcome's title, else the time frame; never guessed."""

from __future__ import annotations

import re

from cellclaims.harvest.shapes import Unread, plain, quoted
from cellclaims.harvest.times import Mark, Times, agree, times

#: The event from which months are counted, where the words say it.
_ORIGIN = (
    (re.compile(r"\b(?:first|initial|1st)\s+(?:islet\s+|cell\s+)?(?:infusion|transplant)"), "first_infusion"),
    (re.compile(r"\b(?:last|final)\s+(?:islet\s+|cell\s+)?(?:infusion|transplant)"), "last_infusion"),
)


def months_of(kind: str, own: str, title: str, frame: str) -> tuple[str, str]:
    """Months after the start, as text, and the words that say so.

    Parameters
    ----------
    kind : {"level", "change", "status"}
        A change needs the later time only; a level or a count can be one of the baseline.
    own, title, frame : str
        Titles of class and category, title of the outcome, its time frame.

    Raises
    ------
    Unread
        If no time, several, or none but a vague one is said, or title and time frame contradict each other.

    Examples
    --------
    >>> months_of("level", "Week 28", "HbA1c", "Baseline, Weeks 28 and 52")
    ('6.5', 'Week 28')
    >>> months_of("change", "", "Change in HbA1c", "Baseline, 52 weeks")
    ('12', 'Baseline, 52 weeks')
    """
    frame_times = times(frame)
    for where, words in (("class", own), ("title", title), ("time frame", frame)):
        found = times(words)
        if found.marks or (found.baseline and kind != "change" and words is not title):
            month = _the_one(found, kind, where, words)
            break
        if found.baseline and kind != "change" and not frame_times.marks:
            month = 0.0
            break
    else:
        raise Unread(f"no time is said, time frame {quoted(frame)}" if frame else "no time is said")
    if where == "title" and frame_times.marks and not any(agree(month, mark.months) for mark in frame_times.marks):
        raise Unread(f"the title and the time frame {quoted(frame)} name different times")
    return f"{month:g}", plain(words)


def _the_one(found: Times, kind: str, where: str, words: str) -> float:
    """The only time of a text."""
    if not found.marks:
        return 0.0
    if found.baseline and kind != "change":
        raise Unread(f"the {where} names the baseline and another time: {quoted(words)}")
    if len(found.distinct) > 1:
        raise Unread(f"the {where} names several times: {quoted(words)}")
    if any(not _sure(mark, kind) for mark in found.marks):
        raise Unread(f"the {where} names no sure time: {quoted(words)}")
    return found.distinct[0]


def _sure(mark: Mark, kind: str) -> bool:
    return mark.sureness == "plain" or (mark.sureness == "span" and kind == "change")


def doubt_of(own: str, frame: str, months: str) -> str:
    """A note where the class names a time that the time frame does not."""
    named = times(frame)
    if not times(own).marks or not named.marks or any(agree(float(months), mark.months) for mark in named.marks):
        return ""
    return f"doubted: the time frame does not name this time ({plain(frame)})"


def origin_of(*words: str) -> str:
    """The event from which the months are counted; empty where no words, or contradicting ones, say it.

    >>> origin_of("Insulin independence", "1 year after final islet transplant"), origin_of("Week 52")
    ('last_infusion', '')
    """
    said = " | ".join(words).lower()
    if "infusion" not in said and "transplant" not in said:
        return ""
    found = {name for pattern, name in _ORIGIN if pattern.search(said)}
    return found.pop() if len(found) == 1 else ""
