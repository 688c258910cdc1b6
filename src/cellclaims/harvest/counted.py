"""A counted outcome as a row of ``binary.csv``, and the serious adverse events of the record's own module."""

from __future__ import annotations

import re
from decimal import Decimal

from cellclaims.harvest.measurements import Measurement, Row, made_row, notes_of_time, refuse_narrowed, with_comment
from cellclaims.harvest.reading import Unread, events_of, kind_of, numeral, plain, quoted, text, whole
from cellclaims.harvest.times import is_ever, months_of, origin_of, times
from cellclaims.harvest.vocabulary import (
    CHANGE,
    THRESHOLD,
    TOPICS,
    counted_in,
    in_percent,
    joined_to,
    of_others,
    residue,
    simple,
    some_kind,
)

#: (comparison, number) -> outcome and definition of a threshold of HbA1c that the tables know.
THRESHOLDS = {("<", 7): "hba1c_lt_7", ("<", 6.5): "hba1c_lt_6_5", ("<=", 6.5): "hba1c_le_6_5"}
#: A second unit of a threshold that differs from the first (equal ones have been removed).
_BESIDE = re.compile(r"(?:%|percent)[^<>=]*?\d\s*mmol/mol")
LT_7_SAFE = "hba1c_lt_7_and_no_severe_hypoglycemia"

#: Words that turn an event into its opposite, or count something else about it.
_REVERSED = re.compile(
    r"\b(?:loss|lost|losing|fail\w*|not|never|no longer|unable|return\w*|resum\w*|relaps\w*|dependen\w*|elimination"
    r"|absence|absent|lack|without(?! insulin)|non-?\w*|undetectable|time to|negative|discontinu\w*|withdr\w*)\b"
)
_CONDITION = re.compile(r"\b(?:without|no|not|or|nor|weight|rescue|insulin|c-peptide|hypoglyc\w*)\b")
_SAFE = re.compile(r"\b(?:without|no)\s+severe\s+hypoglyc(?:a)?emi\w*")
_BETWEEN_THRESHOLDS = re.compile(rf"({THRESHOLD.pattern})\s*(?:and|or|,)+\s*(?=[<>])")
_CHANGE = re.compile(r"\bchange (?:from|in)\b")
#: Of HbA1c, what makes of a threshold one of a change.
_CHANGED = re.compile(
    rf"{CHANGE.pattern}|reduc|decreas|declin|\bdrop|\bfall|\bfell\b|lowering|\blowered|improv|increas"
)
_MODELLED = re.compile(r"\badjusted\b|kaplan|estimated|cumulative|probability|odds|model")
_HALVED = re.compile(
    r"(?:>=|>)\s*50\s*%\s*(?:reduc|decreas)|(?:reduc|decreas)\w*\s+(?:\w+\s+){0,4}(?:by\s+)?(?:>=|>)\s*50\s*%"
)
#: Conditions in addition to insulin independence.
_WITH = re.compile(
    r"hypoglyc\w*|\b(?:normo|hyper)?glyc(?:a)?emi\w*|\bglucose\b|hba1c|\ba1c\b|peptide|\bogtt\b|\bweight\b|\bdrugs?\b"
)
_DETECTABLE = re.compile(r"(?<!un)\bdetectable|\bpositiv|\bpersist|graft function")
_MORE = re.compile(r"(?<!serious )(?<!serious, )\badverse events?\b|\baes?\b|\bdeaths?\b|discontinu|related|fatal")


def binary_row(registration: str, one: Measurement, topic: str) -> Row:
    """Return the row of a counted value.

    Raises
    ------
    Unread
        With the reason why it is none.
    """
    outcome, own, title = one.outcome, one.own_words, simple(one.outcome.title)
    how = counted_in(outcome.param, simple(outcome.unit), title)
    if changed := (_CHANGED if topic == "hba1c" else _CHANGE).search(f"{title} {own}"):
        raise Unread(f"a change, not a level or a proportion of patients: {quoted(changed[0])}")
    name = DEFINITIONS[topic](own, title)
    if topic == "hba1c":
        _same_as_described(name, simple(outcome.description))
    if topic == "serious_adverse_event" and (kind := some_kind(title, own, simple(outcome.description))):
        raise Unread(f"serious adverse events of some kind only: {quoted(kind)}")
    refuse_narrowed(one, topic)
    timing, months, said = _timing(one, topic)
    n, n_pointer = one.patients()
    modelled = bool(_MODELLED.search(f"{title} {own} {simple(outcome.unit)}"))
    events, percent, status, counted = _count(one, n) if how == "count" else _percent(one, n, modelled)
    notes = (counted, *notes_of_time(one, months, said))
    return made_row(
        registration, "binary", one.pointer, one.arm_title, n_pointer, notes,
        outcome=name, definition_id=name, definition=plain("; ".join(filter(None, (outcome.title, one.own)))),
        timing=timing, months=months, time_origin=origin_of(one.own, outcome.title, outcome.frame),
        events=events, n=n, percent=percent, percent_printed=percent, locator=one.locator, status=status,
    )  # fmt: skip


def _timing(one: Measurement, topic: str) -> tuple[str, str, str]:
    """Timing, months and the words that say so.

    What was so at any time is counted up to a month, and adverse events may go on for a time that is not one number.
    """
    outcome = one.outcome
    words = (one.own, outcome.title, outcome.frame)
    described = "" if topic == "serious_adverse_event" else outcome.description
    timing = "ever" if is_ever(*words, described) else "at_month"
    if timing == "at_month" and topic != "serious_adverse_event":
        return timing, *months_of("status", *words)
    try:
        return timing, *months_of("span", *words)
    except Unread:
        said = plain(outcome.frame) or "nothing"
        return (timing if timing == "ever" else "not_stated"), "", said


def _count(one: Measurement, n: str) -> tuple[str, str, str, str]:
    """Return events, percent, status and note of a posted count."""
    events = whole(one.posted.get("value"), with_comment("value", one.posted))
    if int(events) > int(n):
        raise Unread(f"questionable: {events} participants of {n}")
    return events, "", "printed", ""


def _percent(one: Measurement, n: str, modelled: bool) -> tuple[str, str, str, str]:
    """Return the same for a percentage, with events only if one whole number rounds to it and it is not adjusted."""
    percent = numeral(one.posted.get("value"), with_comment("value", one.posted))
    if not 0 <= Decimal(percent) <= 100:
        raise Unread(f"percentage: expected 0 to 100, found {percent}")
    percent = percent.lstrip("+").rstrip(".")
    printed = f"0{percent}" if percent.startswith(".") else percent
    limits = [one.posted.get(key) for key in ("lowerLimit", "upperLimit")]
    note = (
        f"{plain(one.outcome.dispersion)} {quoted(str(limits[0]))} to {quoted(str(limits[1]))}" if any(limits) else ""
    )
    if modelled or one.outcome.dispersion:
        return "", printed, "printed", note or "percentage out of a model"
    events = events_of(percent, int(n))
    return events, printed, "derived" if events else "printed", "events from the percentage" if events else ""


def _hba1c(own: str, title: str) -> str:
    """Return the definition of a threshold of HbA1c: by class and category, else by the title."""
    words = own if THRESHOLD.search(own) else title
    if _BESIDE.search(words):
        raise Unread(f"HbA1c: a threshold in two units that are not the same: {quoted(words)}")
    found = {_in_percent(*one) for one in THRESHOLD.findall(words)}
    if len(found) != 1:
        raise Unread(f"HbA1c: expected one threshold, found {len(found)} in {quoted(words)}")
    ((sign, number),) = found
    if (sign, number) not in THRESHOLDS:
        raise Unread(f"HbA1c: no outcome of the tables for the threshold {sign} {number:g}")
    name = THRESHOLDS[sign, number]
    condition = _condition(f"{title}; {own}" if words is own else title)
    if not condition:
        return name
    if name == "hba1c_lt_7" and condition == "severe hypoglycemia":
        return LT_7_SAFE
    raise Unread(f"HbA1c: a further condition that the tables do not know: {quoted(title)}")


def _in_percent(sign: str, number: str, unit: str) -> tuple[str, float]:
    """Return a threshold of HbA1c as a percentage, which it is unless its unit says otherwise."""
    if unit not in ("", "%", "percent", "mmol/mol"):
        raise Unread(f"HbA1c: expected a threshold in % or mmol/mol, found {number} {unit}")
    return sign, in_percent(number) if unit == "mmol/mol" else float(number)


def _same_as_described(name: str, description: str) -> None:
    """Refuse a threshold if the description names only others."""
    said = {_in_percent(*one) for one in THRESHOLD.findall(description) if one[2] in ("%", "percent", "mmol/mol")}
    mine = {one for one, outcome in THRESHOLDS.items() if name.startswith(outcome)}
    if said and said.isdisjoint(mine):
        found = ", ".join(f"{sign} {number:g} %" for sign, number in sorted(said))
        raise Unread(f"HbA1c: the description names another threshold: {found}")


def _condition(words: str) -> str:
    """Return a condition in addition to the threshold; "severe hypoglycemia" stands for its absence."""
    said = residue(_BETWEEN_THRESHOLDS.sub(r"\1, ", words), "hba1c")
    alone = _SAFE.sub(" ", said)
    if not _CONDITION.search(said):
        return ""
    return "severe hypoglycemia" if alone != said and not _CONDITION.search(alone) else "other"


def _independence(own: str, title: str) -> str:
    words = own if TOPICS["insulin_independence"].search(own) else f"{title} {own}"
    _not_reversed(words)
    if words is not own and (other := joined_to("insulin_independence", title)):
        raise Unread(f"insulin independence with a further condition: {quoted(other)}")
    if re.search(r"\bor\b|partial", TOPICS["insulin_independence"].sub(" ", words)):
        raise Unread(f"insulin independence or something else is counted: {quoted(words)}")
    if more := _WITH.search(TOPICS["insulin_independence"].sub(" ", words)):
        raise Unread(f"insulin independence with a further condition: {quoted(more[0])}")
    return "insulin_independence"


def _c_peptide(own: str, title: str) -> str:
    words = own if TOPICS["c_peptide"].search(own) else f"{title} {own}"
    _not_reversed(words)
    found = {(sign, float(number)) for sign, number, _ in THRESHOLD.findall(words)}
    above = len(found) == 1 and next(iter(found))[0] in (">", ">=")
    if not above and not (_DETECTABLE.search(words) and not found):
        raise Unread("C-peptide: expected one lower threshold or that it is detectable")
    if re.search(r"\bor\b|increas|\brise\b|hba1c", words):
        raise Unread(f"C-peptide and something else are counted: {quoted(words)}")
    return "graft_function"


def _dose(own: str, title: str) -> str:
    words = f"{title} {own}"
    if not _HALVED.search(words) or re.search(r"\bor\b|hba1c|without|\bnot\b", words):
        raise Unread(f"insulin dose: expected a dose that is halved, found {quoted(words)}")
    return "insulin_dose_halved"


def _serious(own: str, title: str) -> str:
    words = own if TOPICS["serious_adverse_event"].search(own) else title
    if more := _MORE.search(TOPICS["serious_adverse_event"].sub(" ", words)):
        raise Unread(f"serious adverse events and something else: {quoted(more[0])}")
    _not_reversed(words)
    return "serious_adverse_event"


def _not_reversed(words: str) -> None:
    if turned := _REVERSED.search(words):
        raise Unread(f"the title reverses the event or may reverse it: {quoted(turned[0])}")


#: Topic -> what is counted, out of class and category and the outcome's title.
DEFINITIONS = {
    "hba1c": _hba1c,
    "insulin_independence": _independence,
    "c_peptide": _c_peptide,
    "insulin_dose": _dose,
    "serious_adverse_event": _serious,
}


def serious_row(registration: str, group: dict, pointer: str, frame: str, described: str = "") -> Row:
    """Return the row of one event group: patients with any serious adverse event.

    Parameters
    ----------
    registration : str
        ``NCT`` and eight digits.
    group : dict
        The event group.
    pointer : str
        Its position.
    frame, described : str
        Time frame and description of the module of adverse events.

    Raises
    ------
    Unread
        If the numbers are missing, none, or more than those at risk, or the events or people are of some kind only.
    """
    events, n = (_given(group.get(key), key) for key in ("seriousNumAffected", "seriousNumAtRisk"))
    title = text(group, "title")
    if not title.strip():
        raise Unread("the event group has no title")
    if n == 0:
        raise Unread("seriousNumAtRisk: nobody was at risk")
    if events > n:
        raise Unread(f"questionable: {events} participants of {n}")
    if others := of_others(title):
        raise Unread(f"the group is not one of the patients treated: {quoted(others)}")
    if kind := some_kind("", "serious adverse events", simple(described)):
        raise Unread(f"serious adverse events of some kind only, by the description: {quoted(kind)}")
    months = _period(frame)
    note = f"time frame as posted: {plain(frame)}" if frame else "no time frame posted"
    return made_row(
        registration, "binary", pointer, title, f"{pointer}/seriousNumAtRisk", (note,),
        outcome="serious_adverse_event", definition_id="serious_adverse_event",
        definition="participants with any serious adverse event, as the adverse events module counts them",
        timing="at_month" if months else "not_stated", months=months, events=str(events), n=str(n),
        locator="posted results, adverse events", status="printed",
    )  # fmt: skip


def _given(value: object, what: str) -> int:
    """Return a count from the adverse events module, which posts numbers as numbers."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return value
    if isinstance(value, str):
        return int(whole(value, what))
    raise Unread(f"{what}: expected a number of participants, found {kind_of(value)}")


def _period(frame: str) -> str:
    """Return the months of a time frame that is a single length; empty otherwise."""
    found = times(frame)
    alone = len(found.marks) == 1 and not (found.baseline or found.end or found.offset)
    alone = alone and not residue(simple(frame), "serious_adverse_event")
    return f"{found.marks[0].months:g}" if alone and found.marks[0].sureness == "plain" else ""
