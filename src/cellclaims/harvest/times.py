"""Times in titles and time frames of a registry: months, certainty, and origin.

A *mark* is one time named in a text. It is *plain* ("Week 28", "at 6 months"), a *span* ("through week 52", "for
3 months") or *vague* ("up to 26 weeks", "an average of 10 days", "30 days after the last dose"). Months follow the
published tables: 52 weeks or 365 days are 12 months, to one decimal.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from cellclaims.harvest.reading import Unread, plain, quoted

#: Months in one of each unit, by its first letter.
MONTHS_IN = {"d": 12 / 365, "w": 12 / 52, "m": 1.0, "y": 12.0}

_NUMBER = r"(?:\d{1,4}(?:\.\d{1,2})?|\.\d{1,2})(?![\d%])"
_UNIT = r"(?:days?|weeks?|wks?|months?|mos?|mths?|years?|yrs?)"
_BETWEEN = r"\s*(?:,\s*(?:and\b|&|or\b)?|and\b|&|or\b|/|;|to\b|through\b|-|versus\b|vs\b|\.\.\.)\s*(?:\.\.\.\s*,?\s*)?"

#: "13, 26, 52, and 104 weeks", "6-month"; "Days 28 & 84", "Year 3"; "W24".
MARK = re.compile(
    rf"""\b(?P<unit>{_UNIT})\s*(?:-\s*(?=\d)|\#\s*|no\.?\s*)?(?P<after>{_NUMBER}(?:{_BETWEEN}-?{_NUMBER}(?!\s*-?\s*{_UNIT}\b))*)
    | (?<![\w.])(?P<before>{_NUMBER}(?:{_BETWEEN}{_NUMBER})*)\s*(?:\.\.\.)?\s*-?\s*(?P<behind>{_UNIT})\b
    | \b(?P<letter>[wmdy])(?P<short>\d{{1,3}})\b""",
    re.VERBOSE | re.ASCII,
)
_VALUE = re.compile(r"\d+(?:\.\d+)?|\.\d+", re.ASCII)

#: What is no time of a measurement, though it looks like one: tolerances, numbers of patients, ages.
NO_TIME = re.compile(
    rf"""(?:±|\+\s*/?\s*-)\s*\d+\s*-?\s*(?:{_UNIT}|d)?\b
    | \(\s*\+\s*(?:\d|1[0-4])\s*(?:days?|d)\s*\)
    | \(?\s*\bn\s*=\s*[\d,;/\s]*\)?
    | \baged?\s+(?:of\s+)?\d+[^,;.]*?\byears?(?:\s+old|\s+of\s+age)?
    | \b\d+\s+years?\s+(?:old|of\s+age)\b""",
    re.VERBOSE,
)

#: Baseline, also where the day is added: "Baseline (Day 1)", "Day 1 (baseline)".
BASELINE = re.compile(
    r"(?:(?:day|week|month)\s*-?[01]\s*)?"
    r"\(?(?<!post)(?<!post[ -])\b(?:baseline|bl|pre-?transplant(?:ation)?|screening)\b\)?"
    r"(?:\s*\((?:visit\s*\d+\s*,?\s*)?(?:day|week|month)\s*-?[01]\)|\s*\(pre-?transplant(?:ation)?\))?"
)
_VAGUE = re.compile(
    r"(?:\bup\s+to|\bmaximum(?:\s+of)?|\baverage(?:\s+of)?|\bapprox\w*\.?|\babout|\bevery|\beach|\bper|\bor|\bat\s+least"
    r"|\bmin\w*\s+of|\bmore\s+than|\bless\s+than|\bmean(?:\s+of)?|\bmedian(?:\s+of)?|[<>≤≥~=]|\bday\s+-|\bweek\s+-|\bmonth\s+-"
    r"|\bprior\s+to|\bbefore)\s*(?:an?\s+|the\s+|end\s+of\s+|to\s+)*\Z"
)
_SPAN = re.compile(
    r"\b(?:through(?:out)?|until|during|over|by|within|to|for|first|initial|between|from|last|any\s+time)"
    r"\s*(?:the\s+|an?\s+|first\s+|end\s+of\s+)*\Z"
)
_BEHIND_VAGUE = re.compile(
    r"\s*(?:or\s+(?:early|last|end|at)|rate\b|apart\b|\(?on\s+average|(?:before|prior\s+to|preceding)\b)"
)

#: What makes of a time one that is not counted from the start: nothing in the same text is then a month of the study.
NOT_SINCE_START = re.compile(
    rf"""(?:\bplus|\+)\s*(?:an?\s+(?:additional\s+)?|additional\s+|up\s+to\s+)?{_NUMBER}\s*-?\s*{_UNIT}\b
    | \b(?:after|post|following|past|beyond|since|from)[\s-]*(?:the\s+)?(?:last|final)\s+(?:\w+\s+){{0,3}}?
      (?:dos(?:e|ing|age)|administration|infusion|injection|transplant\w*|treatment|intake|application|drug|visit)\w*
    | \b(?:last|final)\s+(?:\w+\s+){{0,3}}?(?:dose|administration|intake)\b(?=\s*(?:\+|plus\b))
    | \b(?:after|post|following|past|beyond)[\s-]*(?:the\s+)?(?:\w+\s+){{0,2}}?
      (?:end|completion|discontinuation|cessation|stopping|withdrawal)\b
    | \b(?:after|post|following|since)[\s-]*(?:the\s+)?(?:\w+\s+)?(?:surger\w*|operation)\b
    | \bpost-?\s?op(?:erative(?:ly)?)?\b
    | \bextensions?\b""",
    re.VERBOSE,
)
#: Of these one is a time that the table of counts has a column for.
LAST_INFUSION = re.compile(r"\b(?:last|final)\s+(?:islet\s+|cell\s+)?(?:infusion|transplant)")

#: The end of a study without a number. With another time it is a second one, unless both are named as one.
_END = re.compile(
    r"\b(?:end|completion|conclusion)\s+of\s+(?:the\s+|this\s+|double-blind\s+|active\s+|randomi[sz]ed\s+|study\s+)*"
    r"(?:study|treatment|trial|therapy|intervention|follow-?up|dosing|participation|period|phase)"
    r"(?:\s+(?:period|phase|visit))?(?:\s*\(eo[ts]\))?|\beo[ts]\b|\b(?:study|treatment|trial)\s+(?:end|completion|termination)\b"
    r"|\b(?:final|last)\s+(?:study\s+)?visit\b|\bearly\s+termination\b"
)
_SAME_AHEAD = re.compile(r"\s*[(\[=/-]?\s*(?:at\s+|the\s+)*")
_SAME_BEHIND = re.compile(
    r"\s*,?\s*(?:[(\[=:/-]\s*)?"
    r"(?:(?:at|after|is|up\s+to|approx\w*\.?|about|an\s+average\s+of|average\s+of|maximum\s+of)\s+)*"
)
_SAID_ALONE = re.compile(r"\s*,\s*")

#: Fractions of a year, and a year without a number.
_FRACTIONS = (
    (re.compile(r"\b(?:1|one)\s+and\s+(?:a|one)\s+half\s+years?\b"), "18 months"),
    (re.compile(r"\bhalf[\s-]+(?:an?\s+|of\s+a\s+)?year\b"), "6 months"),
    (re.compile(r"\ba\s+year\b"), "1 year"),
)
_SPELT = "one two three four five six seven eight nine ten eleven twelve".split()
_WORD = re.compile(rf"\b({'|'.join(_SPELT)}|eighteen)(?=[\s-]+{_UNIT}\b)")


@dataclass(frozen=True)
class TimeMark:
    """One time in a text: months to one decimal, certainty ("plain", "span" or "vague"), and the text."""

    months: float
    sureness: str
    printed: str


@dataclass(frozen=True)
class Times:
    """Times in a text, and whether it names the baseline.

    Attributes
    ----------
    marks : tuple of TimeMark
        Times after the start.
    baseline : bool
        Whether the baseline is named: in words, as week 0, or as day 1.
    end : bool
        Whether the end of the study is named as a separate time, without a number.
    offset : str
        Words by which the times are counted from something else than the start; empty where there are none.
    """

    marks: tuple[TimeMark, ...]
    baseline: bool
    end: bool = False
    offset: str = ""

    @property
    def distinct(self) -> list[float]:
        """Months named, each once, in order."""
        return sorted({mark.months for mark in self.marks})


@lru_cache(maxsize=256)
def times(text: str) -> Times:
    """Return every time that a title or a time frame names.

    Examples
    --------
    >>> times("Baseline, 13, 26, 52, and 104 weeks").distinct
    [3.0, 6.0, 12.0, 24.0]
    >>> times("Baseline (Pre-Transplant) and Days 28, 84, and Weeks 28, 36, and 52").distinct
    [0.9, 2.8, 6.5, 8.3, 12.0]
    >>> times("1, 3, 6, 9,12,18 ... months").distinct
    [1.0, 3.0, 6.0, 9.0, 12.0, 18.0]
    >>> times("up to 27.4 weeks").marks[0].sureness, times("Baseline (Day 1)")
    ('vague', Times(marks=(), baseline=True, end=False, offset=''))
    >>> times("Day 1 and Week 24").baseline, times("Week 0, End of treatment").end
    (True, True)
    >>> times("52 weeks plus 30 days").offset
    'plus 30 days'
    """
    lower = _simplified(text)
    without, found = BASELINE.subn(" baseline, ", lower)
    named = list(_marks(without))
    marks = tuple(mark for mark, _, _ in named if mark)
    zero = any(mark is None for mark, _, _ in named)
    from_elsewhere = NOT_SINCE_START.search(lower)
    offset = from_elsewhere[0] if from_elsewhere else ""
    if offset and not LAST_INFUSION.search(offset):
        marks = tuple(replace(mark, sureness="vague") for mark in marks)
    return Times(marks, found > 0 or zero, _ends(without, named), offset)


def _ends(lower: str, named: list[tuple[TimeMark | None, int, int]]) -> bool:
    """Return whether the end of the study is a separate time, not one with a number ("end of treatment (week 24)")."""
    spans = [(start, end) for mark, start, end in named if mark]
    for found in _END.finditer(lower):
        behind = _SAME_BEHIND.match(lower, found.end())
        follows = any(start == behind.end() for start, _ in spans) and not _SAID_ALONE.fullmatch(behind[0])
        leads = any(end <= found.start() and _SAME_AHEAD.fullmatch(lower, end, found.start()) for _, end in spans)
        if not (follows or leads):
            return True
    return False


def _simplified(text: str) -> str:
    """Return the text in lower case, with uniform dashes and dots, number words as digits, without other numbers."""
    lower = text.lower().replace("…", "...")
    for dash in "‐‑‒–—−":
        lower = lower.replace(dash, "-")
    lower = _WORD.sub(lambda word: str(18 if word[1] == "eighteen" else _SPELT.index(word[1]) + 1), lower)
    for pattern, digits in _FRACTIONS:
        lower = pattern.sub(digits, lower)
    return NO_TIME.sub(" ", " ".join(lower.split()))


def _marks(lower: str) -> Iterator[tuple[TimeMark | None, int, int]]:
    """Yield each time with its position in the text; None for week 0 and day 1, the baseline."""
    for found in MARK.finditer(lower):
        unit = (found["unit"] or found["behind"] or found["letter"])[0]
        values = _VALUE.findall(found["after"] or found["before"] or found["short"])
        sureness = _sureness(lower[: found.start()], lower[found.end() :], found)
        for value in values:
            is_start = float(value) == 0 or (unit == "d" and float(value) == 1 and not found["before"])
            months = round(float(value) * MONTHS_IN[unit], 1)
            yield None if is_start else TimeMark(months, sureness, found[0]), found.start(), found.end()


def _sureness(ahead: str, behind: str, found: re.Match) -> str:
    if _VAGUE.search(ahead[-40:]) or _BEHIND_VAGUE.match(behind):
        return "vague"
    return "span" if _SPAN.search(ahead[-40:]) else "plain"


def agree(one: float, other: float) -> bool:
    """Return whether two times in different units may be the same, as 24 weeks and 6 months.

    >>> agree(5.5, 6.0), agree(12.0, 11.0), agree(12.0, 6.0)
    (True, True, False)
    """
    return abs(one - other) <= 0.1 + 0.08 * max(one, other)


# When a measurement was made: out of its class, else the outcome's title, else the time frame; never guessed.


#: The event from which months are counted, where the words say it.
_ORIGIN = (
    (re.compile(r"\b(?:first|initial|1st)\s+(?:islet\s+|cell\s+)?(?:infusion|transplant)"), "first_infusion"),
    (re.compile(r"\b(?:last|final)\s+(?:islet\s+|cell\s+)?(?:infusion|transplant)"), "last_infusion"),
)


#: What was counted at any time up to a month, not at that month.
_EVER = re.compile(
    r"\bever\b|\b(?:at\s+)?any\s*time\b|\bat\s+(?:any|some)\s+(?:time\s*)?(?:point|visit|time)\b|\bat\s+least\s+once\b"
)


@lru_cache(maxsize=256)
def is_ever(*words: str) -> bool:
    """Return whether an event at any time is counted.

    >>> is_ever("Insulin Independence at Any Time"), is_ever("Insulin independence at every visit")
    (True, False)
    """
    return any(_EVER.search(text.lower()) for text in words)


@lru_cache(maxsize=256)
def months_of(kind: str, own: str, title: str, frame: str) -> tuple[str, str]:
    """Return months after the start, as text, and the words they were read from.

    Parameters
    ----------
    kind : {"level", "change", "status", "span"}
        A change needs the later time only, as does what is counted over a span; a level or a count at a time can be
        one of the baseline.
    own, title, frame : str
        Titles of class and category, title of the outcome, its time frame.

    Raises
    ------
    Unread
        If no time, several, or none but a vague one is said, it is not counted from the start, or title and time
        frame contradict each other.

    Examples
    --------
    >>> months_of("level", "Week 28", "HbA1c", "Baseline, Weeks 28 and 52")
    ('6.5', 'Week 28')
    >>> months_of("change", "", "Change in HbA1c", "Baseline, 52 weeks")
    ('12', 'Baseline, 52 weeks')
    """
    frame_times = times(frame)
    later = kind in ("change", "span")
    for where, words in (("class", own), ("title", title), ("time frame", frame)):
        found = times(words)
        _counted_from_start(found, kind, where)
        if found.marks or (found.baseline and not later and words is not title):
            month = _the_one(found, kind, where, words)
            break
        if found.baseline and not later:
            if frame_times.marks:
                raise Unread(f"the title names the baseline, the time frame {quoted(frame)} another time")
            month = 0.0
            break
    else:
        raise Unread(f"no time is said, time frame {quoted(frame)}" if frame else "no time is said")
    if where != "time frame":
        _counted_from_start(frame_times, kind, "time frame")
    if where == "title" and frame_times.marks and not any(agree(month, mark.months) for mark in frame_times.marks):
        raise Unread(f"the title and the time frame {quoted(frame)} name different times")
    if later and month == 0:
        raise Unread(f"the {where} names no time after the baseline: {quoted(words)}")
    return f"{month:g}", plain(words)


def _counted_from_start(found: Times, kind: str, where: str) -> None:
    """Refuse times after the last dose, after surgery, of an extension or with added days.

    Counts at a time may be those after the last infusion: their table says so in a column.
    """
    if found.offset and not (kind == "status" and LAST_INFUSION.search(found.offset)):
        raise Unread(f"the {where} names a time that is not counted from the start: {quoted(found.offset)}")


def _the_one(found: Times, kind: str, where: str, words: str) -> float:
    """Return the only time of a text."""
    if found.end and (found.marks or found.baseline):
        raise Unread(f"the {where} names several times, an end without a number among them: {quoted(words)}")
    if not found.marks:
        return 0.0
    if found.baseline and kind not in ("change", "span"):
        raise Unread(f"the {where} names the baseline and another time: {quoted(words)}")
    if len(found.distinct) > 1:
        raise Unread(f"the {where} names several times: {quoted(words)}")
    if any(not _sure(mark, kind) for mark in found.marks):
        raise Unread(f"the {where} names no sure time: {quoted(words)}")
    return found.distinct[0]


def _sure(mark: TimeMark, kind: str) -> bool:
    return mark.sureness == "plain" or (mark.sureness == "span" and kind in ("change", "span"))


def doubt_of(own: str, frame: str, months: str) -> str:
    """Return a note if the class names a time that the time frame does not contain."""
    named = times(frame)
    if not times(own).marks or not named.marks or any(agree(float(months), mark.months) for mark in named.marks):
        return ""
    return f"questionable: the time frame does not name this time ({plain(frame)})"


def origin_of(*words: str) -> str:
    """Return the event from which the months are counted; empty if unstated or contradictory.

    >>> origin_of("Insulin independence", "1 year after final islet transplant"), origin_of("Week 52")
    ('last_infusion', '')
    """
    said = " | ".join(words).lower()
    if "infusion" not in said and "transplant" not in said:
        return ""
    found = {name for pattern, name in _ORIGIN if pattern.search(said)}
    return found.pop() if len(found) == 1 else ""
