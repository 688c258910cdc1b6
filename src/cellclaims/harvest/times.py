"""Times in the titles and time frames of a registry: which months are named, and how surely.

A *mark* is one time named in a text. It is *plain* ("Week 28", "at 6 months"), a *span* ("through week 52", "for 3
months") or *vague* ("up to 26 weeks", "an average of 10 days", "every 3 months"). Months follow the published tables:
52 weeks or 365 days are 12 months, to one decimal.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

#: Months in one of each unit, by its first letter.
MONTHS_IN = {"d": 12 / 365, "w": 12 / 52, "m": 1.0, "y": 12.0}

_NUMBER = r"\d{1,4}(?:\.\d{1,2})?(?![\d%])"
_UNIT = r"(?:days?|weeks?|wks?|months?|mos|mths?|years?|yrs?)"
_BETWEEN = r"\s*(?:,\s*(?:and\b|&|or\b)?|and\b|&|or\b|/|;|to\b|through\b|-|versus\b|vs\b|\.\.\.)\s*(?:\.\.\.\s*,?\s*)?"

#: "13, 26, 52, and 104 weeks", "6-month"; "Days 28 & 84", "Year 3"; "W24".
MARK = re.compile(
    rf"""\b(?P<unit>{_UNIT})\s*(?:-\s*(?=\d)|\#\s*|no\.?\s*)?(?P<after>{_NUMBER}(?:{_BETWEEN}-?{_NUMBER}(?!\s*-?\s*{_UNIT}\b))*)
    | (?<![\w.])(?P<before>{_NUMBER}(?:{_BETWEEN}{_NUMBER})*)\s*(?:\.\.\.)?\s*-?\s*(?P<behind>{_UNIT})\b
    | \b(?P<letter>[wmdy])(?P<short>\d{{1,3}})\b""",
    re.VERBOSE | re.ASCII,
)
_VALUE = re.compile(r"\d+(?:\.\d+)?", re.ASCII)

#: What is no time of a measurement, though it looks like one: tolerances, numbers of patients, ages.
NO_TIME = re.compile(
    rf"""(?:±|\+\s*/?\s*-)\s*\d+\s*-?\s*(?:{_UNIT}|d)?\b
    | \(?\s*\bn\s*=\s*[\d,\s]*\)?
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
    r"\s*(?:or\s+(?:early|last|end|at)|rate\b|apart\b|\(?on\s+average"
    r"|(?:after|post|following|past)\s+(?:the\s+)?(?:last|final)\s+(?:\w+\s+)?dose)"
)

_SPELT = "one two three four five six seven eight nine ten eleven twelve".split()
_WORD = re.compile(rf"\b({'|'.join(_SPELT)}|eighteen)(?=[\s-]+{_UNIT}\b)")


@dataclass(frozen=True)
class Mark:
    """One time in a text: months to one decimal, how surely ("plain", "span" or "vague"), and as printed."""

    months: float
    sureness: str
    printed: str


@dataclass(frozen=True)
class Times:
    """The times that a text names, and whether it names the baseline."""

    marks: tuple[Mark, ...]
    baseline: bool

    @property
    def distinct(self) -> list[float]:
        """The months named, each once, in order."""
        return sorted({mark.months for mark in self.marks})


@lru_cache(maxsize=256)
def times(text: str) -> Times:
    """Every time that a title or a time frame names.

    Examples
    --------
    >>> times("Baseline, 13, 26, 52, and 104 weeks").distinct
    [3.0, 6.0, 12.0, 24.0]
    >>> times("Baseline (Pre-Transplant) and Days 28, 84, and Weeks 28, 36, and 52").distinct
    [0.9, 2.8, 6.5, 8.3, 12.0]
    >>> times("1, 3, 6, 9,12,18 ... months").distinct
    [1.0, 3.0, 6.0, 9.0, 12.0, 18.0]
    >>> times("up to 27.4 weeks").marks[0].sureness, times("Baseline (Day 1)")
    ('vague', Times(marks=(), baseline=True))
    """
    lower = _simplified(text)
    without, found = BASELINE.subn(" baseline, ", lower)
    return Times(tuple(_marks(without)), found > 0)


def _simplified(text: str) -> str:
    """Lower case, one kind of dash and dots, number words as digits, without what is no time."""
    lower = text.lower().replace("…", "...")
    for dash in "‐‑‒–—−":
        lower = lower.replace(dash, "-")
    lower = _WORD.sub(lambda word: str(18 if word[1] == "eighteen" else _SPELT.index(word[1]) + 1), lower)
    lower = re.sub(r"\ba\s+year\b", "1 year", lower)
    return NO_TIME.sub(" ", " ".join(lower.split()))


def _marks(lower: str):
    for found in MARK.finditer(lower):
        unit = (found["unit"] or found["behind"] or found["letter"])[0]
        values = _VALUE.findall(found["after"] or found["before"] or found["short"])
        sureness = _sureness(lower[: found.start()], lower[found.end() :], found)
        for value in values:
            yield Mark(round(float(value) * MONTHS_IN[unit], 1), sureness, found[0])


def _sureness(ahead: str, behind: str, found: re.Match) -> str:
    if _VAGUE.search(ahead[-40:]) or _BEHIND_VAGUE.match(behind):
        return "vague"
    return "span" if _SPAN.search(ahead[-40:]) else "plain"


def agree(one: float, other: float) -> bool:
    """Whether two times may be the same one said in other units: 24 weeks and 6 months do.

    >>> agree(5.5, 6.0), agree(12.0, 11.0), agree(12.0, 6.0)
    (True, True, False)
    """
    return abs(one - other) <= 0.1 + 0.08 * max(one, other)
