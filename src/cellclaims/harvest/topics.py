"""Which of the review's outcomes a registry's words name.

A *topic* is an outcome before it is known how it was measured: ``hba1c``, ``c_peptide``, ``insulin_dose``,
``insulin_independence``, ``serious_adverse_event``.
"""

from __future__ import annotations

import re
from functools import lru_cache

from cellclaims.harvest.shapes import Unread, quoted
from cellclaims.harvest.times import BASELINE, MARK, NO_TIME

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
