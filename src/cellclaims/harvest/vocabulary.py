"""Which of the review's outcomes a registry's words name.

A *topic* is an outcome before it is known how it was measured: ``hba1c``, ``c_peptide``, ``insulin_dose``,
``insulin_independence``, ``serious_adverse_event``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from cellclaims import units
from cellclaims.errors import DataError

# Take apart what should be a v2 study, and say so where it is not.
#
# :class:`Unread` carries the reason why something is not read; who catches it lists the reason with the place.


#: A text that is quoted in a reason is cut to this length.
QUOTED = 80

#: Characters that a reader does not see or that turn the direction of the text: shown as their number.
HIDDEN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")


class Unread(Exception):
    """Why something is not read."""


def entry(value: object) -> dict:
    """The value, which should be an object."""
    if not isinstance(value, dict):
        raise Unread(f"expected an object, found {kind_of(value)}")
    return value


def entries(parent: dict, key: str) -> list:
    """The list under ``key``; empty if there is none."""
    value = parent.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unread(f"{key}: expected a list, found {kind_of(value)}")
    return value


def text(parent: dict, key: str) -> str:
    """The text under ``key``; empty if there is none."""
    value = parent.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Unread(f"{key}: expected text, found {kind_of(value)}")
    return value


def words(parent: object, *keys: str) -> Iterator[str]:
    """The texts under the keys as far as they are texts: to see what is spoken of, not to read it."""
    if isinstance(parent, dict):
        for key in keys:
            value = parent.get(key)
            if isinstance(value, str):
                yield value


def some(value: object) -> list:
    """The value if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def kind_of(value: object) -> str:
    """What a JSON value is, in words.

    >>> kind_of(None), kind_of(True), kind_of(1.5), kind_of([])
    ('nothing', 'true', 'the number 1.5', 'a list')
    """
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return f"the number {value!r}"
    if isinstance(value, int):
        return f"the number {value}" if value.bit_length() < 64 else "a number of many digits"
    return {str: "text", list: "a list", dict: "an object"}.get(type(value), type(value).__name__)


def quoted(printed: str) -> str:
    """A text from outside for a reason: in quotes, cut, hidden characters shown by number.

    >>> quoted("NA"), quoted("a\\u202eb")
    ("'NA'", "'a\\\\u202eb'")
    """
    return repr(plain(printed if len(printed) <= QUOTED else printed[:QUOTED] + "...")).replace("\\\\u", "\\u")


def plain(printed: str) -> str:
    """A text from outside for a cell: one line, hidden characters shown by number.

    >>> plain(" Week\\n 12 "), plain("a\\u202eb")
    ('Week 12', 'a\\\\u202eb')
    """
    return HIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", " ".join(printed.split()))


# Times in the titles and time frames of a registry: which months are named, and how surely.
#
# A *mark* is one time named in a text. It is *plain* ("Week 28", "at 6 months"), a *span* ("through week 52", "for
# 3
# months") or *vague* ("up to 26 weeks", "an average of 10 days", "every 3 months"). Months follow the published
# tables:
# 52 weeks or 365 days are 12 months, to one decimal.


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


_PATTERNS = {
    "insulin_independence": r"insulin[\s-]*(?:independ\w*|free\w*)|\boff[\s-](?:of\s+)?(?:exogenous\s+)?insulin"
    r"|free(?:dom)?\s+(?:from|of)\s+(?:exogenous\s+)?insulin|\bno\s+need\s+(?:of|for)\s+(?:exogenous\s+)?insulin"
    r"|without\s+(?:exogenous\s+)?insulin\b",
    "serious_adverse_event": r"serious\s+adverse|\bsaes?\b",
    "hba1c": r"\bhb\s?-?a\s?-?1\s?-?c|h(?:a)?emoglobin,?\s+(?:a1c|a\(1c\)|a1\b)|\ba1c\b"
    r"|gly(?:cosyl|c|k)(?:yl)?ated\s+(?:h(?:a)?emoglobin|hb\b)|glycoh(?:a)?emoglobin",
    "c_peptide": r"\bc[\s-]?peptide",
    "insulin_dose": r"insulin\s+(?:dos\w+|requirement\w*|us(?:e|age)\b|consumption|needs?\b|units?\b)"
    r"|(?:dos\w+|amount|units?|requirement\w*|use)\s+of\s+(?:\w+\s+)?insulin\b|\b(?:daily|exogenous)\s+insulin\b",
}
TOPICS = {name: re.compile(pattern) for name, pattern in _PATTERNS.items()}

#: One of these stands in whatever the pattern of HbA1c finds.
_HBA1C = ("a1", "glyco", "glyca", "glyka", "hb", "a(1")

#: Measured in their own right beside a topic: a figure under such a title is not surely that of the topic.
OTHERS = re.compile(
    r"glucose|glyc(?:a)?emic variab|weight|lipid|cholesterol|triglycerid|blood pressure|body mass|creatinine|\begfr\b"
)

#: Words which say that something else is measured, though the topic is named.
NOT_IT = re.compile(
    r"correlat|\bratio\b|\bhoma|antibod|\btime[\s-](?:to|until)|predict|pro-?insulin|associat|\bindex|relationship"
    r"|variabilit|\brates? of|awareness|knowledge|satisfaction|coefficient|sensitivity|resistance|\bduration|\bcost"
    r"|number of (?:tests|measurements|episodes|events)|autoantibod"
)

#: Words that make a figure a change.
CHANGE = re.compile(r"\bchang|\bdifference|\bdelta\b|from baseline|\bfrom bl\b")

#: What may stand in a class or category beside topic, time and threshold without making it another measurement.
_NEUTRAL = re.compile(
    r"\b(?:an?|the|at|in|of|on|to|from|and|by|with|post|pre|after|since|following|changes?|changed|difference|visit"
    r"|end|endpoint|study|treatment|(?:post|pre)?-?transplant(?:ation)?|post-?intervention|intervention|follow-?up|up"
    r"|follow|time|points?|timepoint|values?|levels?|mean|median|overall|all|any|least|one|participants?|patients"
    r"|subjects|number|percent|percentage|locf|infusion|randomi[sz]ation|measured|concentration|result|results|actual"
    r"|observed|absolute|first|last|final|initial|islet|achiev\w*|attain\w*|who|reach\w*|baseline|yes)\b"
)
_NEUTRAL_OF = {
    "insulin_dose": re.compile(r"\b(?:tdi|tdd|total|daily|dose|insulin|exogenous|units?|iu|u|kg|day|per)\b"),
    "c_peptide": re.compile(
        r"\b(?:fasting|basal|stimulated|peak|mixed[\s-]meal|tolerance|test|mmtt|auc|area under the curve|serum|plasma"
        r"|\d+[\s-]*(?:min(?:ute)?s?|h(?:ou)?rs?))\b"
    ),
    "insulin_independence": re.compile(r"\b(?:insulin|exogenous|independent|independence|full graft function)\b"),
}

#: A threshold of HbA1c; what a registry spells out is put into signs first.
_SPELT_OUT = (
    (re.compile(r"\\"), ""),
    (re.compile(r"less than or equal to|(?:at|equal to) or (?:below|less than|under)|no more than|=<|≤|⩽"), "<="),
    (re.compile(r"greater than or equal to|(?:at|equal to) or (?:above|more than)|at least|no less than|=>|≥|⩾"), ">="),
    (re.compile(r"\b(?:less|lower) than|\bbelow\b|\bunder\b"), "<"),
    (re.compile(r"\b(?:greater|more|higher) than|\babove\b|\bover\b(?=\s*\d)"), ">"),
)
THRESHOLD = re.compile(r"(<=|>=|<|>)\s*(?:of\s+)?(\d{1,4}(?:\.\d{1,3})?)\s*(%|percent\b|ng/ml|nmol/l|pmol/l|mmol/mol)?")


@lru_cache(maxsize=256)
def simple(text: str) -> str:
    """Lower case, on one line, comparisons as signs, without the registry's escapes.

    >>> simple("HbA₁c Less Than or Equal to 6.5%"), simple("HbA1c \\\\<7.0%")
    ('hba1c <= 6.5%', 'hba1c <7.0%')
    """
    lower = " ".join(text.lower().replace("₁", "1").split())
    for pattern, sign in _SPELT_OUT:
        lower = pattern.sub(sign, lower)
    return lower


def speaks(text: str, *, description: bool = False) -> bool:
    """Whether a text names any topic; in a description serious adverse events are only explained.

    >>> speaks("HbA₁c at Week 12"), speaks("N-terminal pro-B-type natriuretic peptide")
    (True, False)
    """
    lower = text.lower()
    found = named(lower.replace("₁", "1") if "₁" in lower else lower)
    return any(not description or topic != "serious_adverse_event" for topic in found)


def named(text: str) -> list[str]:
    """The topics that a text in lower case names.

    Most texts hold nothing that a pattern could find, and that is told much faster than by the pattern.
    """
    found = []
    insulin = "insulin" in text
    if insulin and TOPICS["insulin_independence"].search(text):
        found.append("insulin_independence")
    if ("serious" in text or "sae" in text) and TOPICS["serious_adverse_event"].search(text):
        found.append("serious_adverse_event")
    if "hba1c" in text or (any(hint in text for hint in _HBA1C) and TOPICS["hba1c"].search(text)):
        found.append("hba1c")
    if "peptide" in text and TOPICS["c_peptide"].search(text):
        found.append("c_peptide")
    if insulin and TOPICS["insulin_dose"].search(text):
        found.append("insulin_dose")
    return found


@lru_cache(maxsize=256)
def _something_else(text: str) -> str:
    other = NOT_IT.search(text)
    return other[0] if other else ""


_named = lru_cache(maxsize=256)(named)


def topic_of(own: str, title: str, unit: str) -> str:
    """The topic of a measurement: by its class and category, else by the title, else by the unit.

    Parameters
    ----------
    own, title, unit : str
        Simplified: the titles of class and category together, the outcome's title, its unit.

    Raises
    ------
    Unread
        If several topics are named, something else is measured, or class and category name something besides.
    """
    found = _named(own) or _named(title) or _named(unit)
    if not found:
        raise Unread(f"the class names another outcome: {quoted(own)}")
    topic = found[0]
    if len(found) > 1 and topic != "insulin_independence":
        raise Unread(f"several outcomes are named together: {', '.join(found)}")
    if topic != "serious_adverse_event" and (other := _something_else(title) or _something_else(own)):
        raise Unread(f"something else than the outcome itself is measured: {quoted(other)}")
    if rest := residue(own, topic):
        raise Unread(f"the class or category names something besides the outcome and its time: {quoted(rest)}")
    return topic


@lru_cache(maxsize=256)
def residue(own: str, topic: str) -> str:
    """What is left of a class and category without topic, time, threshold and neutral words.

    >>> residue("hba1c <7%, 26 weeks", "hba1c"), residue("day 28", "hba1c"), residue("males, week 4", "hba1c")
    ('', '', 'males')
    """
    left = own
    for pattern in (TOPICS[topic], THRESHOLD, NO_TIME, BASELINE, MARK, _NEUTRAL_OF.get(topic), _NEUTRAL):
        left = pattern.sub(" ", left) if pattern else left
    return " ".join(re.findall(r"\w[\w.-]*", left))


# Units as registries spell them -> the one spelling of :mod:`cellclaims.units`, by outcome.
#
# "Percent" of HbA1c is the NGSP percentage; the same word under a count of people is a share of them. So a spelling
# is
# read for one outcome only, and what an outcome does not allow is refused with what was found.


_HAEMOGLOBIN = r"(?:(?:total|glyc\w*ated|glycosylated)\s+)?(?:h(?:a)?emoglobin|hb)(?:\s+a1c)?|hba1c|a1c"
_PERCENT = r"(?:percent(?:age)?|%)"

#: Outcome -> (pattern of a whole simplified unit, tidy unit).
_SPELLINGS = {
    "hba1c": (
        (
            rf"(?:{_HAEMOGLOBIN})?[\s,(]*{_PERCENT}(?:\s*\(%\))?[)]?(?:\s+(?:of\s+)?(?:{_HAEMOGLOBIN}))?(?:\s*\(hba1c\))?",
            "%",
        ),
        (rf"{_PERCENT}[\s-]*points?(?:\s+of\s+hba1c)?", "%"),
        (r"mmol\s*(?:/|per)\s*mol|millimoles?\s*(?:/|per)\s*mole?", "mmol/mol"),
    ),
    "c_peptide": (
        (r"ng\s*/\s*ml|nanograms?\s*(?:/|per)\s*milliliter|(?:u|µ|μ)g\s*/\s*l|ng\s+per\s+ml", "ng/mL"),
        (r"nmol\s*/\s*l|nanomoles?\s*(?:/|per)\s*liter|nm", "nmol/L"),
        (r"pmol\s*/\s*l|picomoles?\s*(?:/|per)\s*liter(?:\s*\(pmol/l\))?", "pmol/L"),
    ),
    "insulin_dose": (
        (r"(?:international\s+)?(?:units?|iu|u)\s*(?:/|per)\s*(?:day|d)|(?:international\s+)?units?\s+daily", "U/day"),
        (r"(?:international\s+)?(?:units?|iu|u)\s*(?:/|per)\s*(?:kg|kilogram)\s*(?:/|per)\s*(?:day|d)", "U/kg/day"),
        (r"(?:international\s+)?(?:units?|iu|u)\s*(?:/|per)\s*(?:kg|kilogram)", "U/kg"),
        (rf"{_PERCENT}\s+change(?:\s+from\s+baseline)?", "% relative change"),
        (rf"{_PERCENT}\s+(?:reduction|decrease)(?:\s+from\s+baseline)?", "% relative reduction"),
    ),
}
_WHOLE = {
    topic: [(re.compile(pattern), unit) for pattern, unit in spellings] for topic, spellings in _SPELLINGS.items()
}

#: Participants by any of their names, and their share.
PEOPLE = r"(?:participants?|subjects?|patients?|recipients?|individuals?|people|persons?|adults|children)"
_COUNT = re.compile(rf"(?:number\s+of\s+|count\s+of\s+)?(?:study\s+|treated\s+)?{PEOPLE}")
_SHARE = re.compile(
    rf"{_PERCENT}\s*(?:\(%\)\s*)?(?:of\s+)?(?:the\s+|study\s+|treated\s+)*{PEOPLE}|{PEOPLE}\s*\(?{_PERCENT}\)?"
)
_SHARE_TITLE = re.compile(rf"{_PERCENT}\s+of\s+(?:\w+\s+)?{PEOPLE}|proportion\s+of\s+(?:\w+\s+)?{PEOPLE}")
_BARE = re.compile(rf"{_PERCENT}(?:\s*\(%\))?")


def measured_in(topic: str, unit: str, title: str) -> str:
    """The tidy unit of a measured outcome.

    Raises
    ------
    Unread
        If the outcome does not allow the unit, or it can mean two things.

    Examples
    --------
    >>> measured_in("hba1c", "percentage of glycosylated hemoglobin", ""), measured_in("c_peptide", "ng/ml", "")
    ('%', 'ng/mL')
    >>> measured_in("insulin_dose", "units", "total daily insulin dose")
    'U/day'
    """
    allowed = _WHOLE[topic]
    for pattern, tidy in allowed:
        if pattern.fullmatch(unit):
            return tidy
    if topic == "insulin_dose" and re.fullmatch(r"(?:international\s+)?units?|iu|u", unit) and "daily" in title:
        return "U/day"
    if topic == "c_peptide" and unit == "pg/ml":
        raise Unread(
            "unit: C-peptide in 'pg/ml' is doubted (a thousandth of what is found in people) and not corrected"
        )
    raise Unread(f"unit: expected one of {', '.join(dict.fromkeys(u for _, u in allowed))}, found {quoted(unit)}")


def curve_unit(unit: str) -> str:
    """The tidy unit of an area under the curve of C-peptide: one that the tables already hold."""
    for printed in (unit, unit.replace("/l", "/L"), unit.replace("/ml", "/mL")):
        try:
            found = units.tidy(printed)
        except DataError:
            continue
        if found in units.UNITS_OF["c_peptide_auc"]:
            return found
    raise Unread(f"unit: expected one of {', '.join(units.UNITS_OF['c_peptide_auc'][:4])}, found {quoted(unit)}")


def counted_in(param: str, unit: str, title: str) -> str:
    """How people are counted: ``"count"`` or ``"percent"``.

    >>> counted_in("NUMBER", "percentage of participants", ""), counted_in("COUNT_OF_PARTICIPANTS", "participants", "")
    ('percent', 'count')
    """
    if param == "COUNT_OF_PARTICIPANTS":
        return "count"
    if _COUNT.fullmatch(unit):
        return "count"
    if _SHARE.fullmatch(unit) or (_BARE.fullmatch(unit) and _SHARE_TITLE.search(title)):
        return "percent"
    raise Unread(f"unit: expected participants or their percentage, found {quoted(unit)}")


# When a measurement was made: out of its class, else the outcome's title, else the time frame; never guessed.


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


# Numbers as registries post them: what is one without doubt, and the name of what is not.


#: A number of at most 15 characters; ``.08``, ``-.2`` and ``134.`` are posted, too. ASCII digits only.
PLAIN = re.compile(r"[+-]?(?=[0-9.]{1,15}\Z)(?:[0-9]+\.?[0-9]*|\.[0-9]+)", re.ASCII)

#: What a comma can only be: thousands (two groups, or a point behind), or the sign of the decimals.
THOUSANDS = re.compile(r"[+-]?[1-9][0-9]{0,2}(?:(?:,[0-9]{3}){2,4}(?:\.[0-9]+)?|,[0-9]{3}\.[0-9]+)", re.ASCII)
DECIMALS = re.compile(r"[+-]?(?:0,[0-9]{1,12}|[0-9]{1,9},(?:[0-9]{1,2}|[0-9]{4,12}))", re.ASCII)

#: Posted in the place of a number.
MISSING = {"NA": "not available", "N/A": "not available", "NE": "not estimable", "NC": "not calculated"}


def numeral(value: object, what: str) -> str:
    """A posted number as text that reads as one: as it was posted, except for commas that can be only one thing.

    Raises
    ------
    Unread
        If it is no number, or a comma in it can be thousands as well as decimals.

    Examples
    --------
    >>> [numeral(one, "value") for one in ("8.6", ".08", "-.2", "134.", "0,3139", "1,234.5")]
    ['8.6', '.08', '-.2', '134.', '0.3139', '1234.5']
    """
    if not isinstance(value, str):
        raise Unread(f"{what}: expected a number as text, found {kind_of(value)}")
    printed = value.strip()
    if PLAIN.fullmatch(printed):
        return printed
    if THOUSANDS.fullmatch(printed) and len(printed) <= 15:
        return printed.replace(",", "")
    if DECIMALS.fullmatch(printed) and len(printed) <= 15:
        return printed.replace(",", ".")
    raise Unread(f"{what}: {_why_not(printed)}")


def _why_not(printed: str) -> str:
    if printed.upper() in MISSING:
        return f"{printed} ({MISSING[printed.upper()]})"
    if re.fullmatch(r"[+-]?[0-9]{1,3},[0-9]{3}", printed, re.ASCII):
        return f"the comma of {printed} can be thousands or decimals"
    return f"expected a number, found {quoted(printed)}" if printed else "expected a number, found nothing"


def whole(value: object, what: str) -> str:
    """A posted count: a whole number that is not negative.

    >>> whole("19", "value"), whole("134.", "value")
    ('19', '134')
    """
    number = Decimal(numeral(value, what))
    if number < 0 or number != number.to_integral_value():
        raise Unread(f"{what}: expected a whole number of participants, found {quoted(str(value))}")
    return str(int(number))


def events_of(percent: str, n: int) -> str:
    """The only whole number of ``n`` that rounds to a posted percentage; empty if there are several, or none.

    >>> events_of("61.5", 265), events_of("50", 4), events_of("61.5", 4), events_of("50", 400)
    ('163', '2', '', '')
    """
    share = Decimal(percent)
    half = Decimal(5).scaleb(share.as_tuple().exponent - 1)
    near = int(share * n / 100)
    fitting = [
        one for one in range(max(near - 2, 0), min(near + 3, n) + 1) if abs(Decimal(100 * one) / n - share) <= half
    ]
    return str(fitting[0]) if len(fitting) == 1 else ""
