"""One v2 study -> its rows and refusals: every measurement of a relevant outcome is one or the other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from cellclaims.harvest import vocabulary
from cellclaims.harvest.vocabulary import (
    CHANGE,
    OTHERS,
    THRESHOLD,
    TOPICS,
    Unread,
    counted_in,
    curve_unit,
    doubt_of,
    entries,
    entry,
    events_of,
    kind_of,
    measured_in,
    months_of,
    named,
    numeral,
    origin_of,
    plain,
    quoted,
    residue,
    simple,
    some,
    text,
    times,
    whole,
    words,
)

# One posted outcome, taken apart into its measurements, each with what is needed to read it.
#
# Denominators of a class stand before those of the outcome. A class title may print its own ("26 weeks (n=263, 266,
# 258)"): where the two differ, nothing is read.


#: Numbers of patients that a class title prints, one a group.
PRINTED_N = re.compile(r"\bn\s*=\s*(\d[\d,;\s]*\d|\d)", re.IGNORECASE | re.ASCII)

#: A category that is the outcome, and one that is its absence.
YES, NO = frozenset({"yes", "achieved", "responder", "responders"}), frozenset({"no", "not achieved", "non-responder"})


@dataclass(frozen=True)
class Outcome:
    """What is said once for all measurements of an outcome; ``pointer`` leads to it.

    ``levels`` is true where a class is the baseline itself: then the other classes may be levels under any title.
    """

    pointer: str
    title: str
    description: str
    frame: str
    param: str
    dispersion: str
    unit: str
    groups: dict[str, str]
    denoms: object
    levels: bool

    @classmethod
    def of(cls, posted: dict, pointer: str) -> Outcome:
        """Read the head of an outcome."""
        names = ("title", "description", "timeFrame", "paramType", "dispersionType", "unitOfMeasure")
        said = [text(posted, name) for name in names]
        groups = [entry(group) for group in entries(posted, "groups")]
        titles = {text(group, "id"): text(group, "title") for group in groups}
        if len(titles) < len(groups):
            raise Unread("two groups of the outcome have the same id")
        return cls(pointer, *said, titles, posted.get("denoms"), _has_baseline(entries(posted, "classes")))


def _has_baseline(classes: list) -> bool:
    titles = [simple(title) for one in classes for title in words(one, "title")]
    return any(times(title).baseline and not CHANGE.search(title) for title in titles)


@dataclass(frozen=True)
class Measurement:
    """One value with its place, its group and the titles of its class and category."""

    outcome: Outcome
    pointer: str
    posted: dict
    group: str
    class_title: str
    own: str
    denoms: object
    denoms_pointer: str

    @property
    def arm_title(self) -> str:
        """The group's title, untouched."""
        return self.outcome.groups[self.group]

    @property
    def locator(self) -> str:
        """Where it stands, for a reader."""
        parts = [
            f"posted results, outcome measure {int(self.outcome.pointer.rpartition('/')[2]) + 1}: {self.outcome.title}"
        ]
        return plain("; ".join([*parts, *([self.own] if self.own else [])]))

    def patients(self) -> tuple[str, str]:
        """Patients behind the value, and the pointer to that number.

        Raises
        ------
        Unread
            If there is no one denominator of participants for the group, it is zero, or the class title prints another.
        """
        found = list(_counts(self.denoms, self.denoms_pointer, self.group))
        if len(found) != 1:
            raise Unread(f"n: expected one denominator of participants for the group, found {len(found)}")
        value, pointer = found[0]
        n = whole(value, "n")
        if n == "0":
            raise Unread("n: nobody was analysed")
        self._same_as_printed(n)
        return n, pointer

    def _same_as_printed(self, n: str) -> None:
        printed = PRINTED_N.search(self.class_title)
        if not printed:
            return
        numbers, groups = re.findall(r"\d+", printed[1]), list(self.outcome.groups)
        if len(numbers) != len(groups):
            raise Unread(
                f"n: the class title prints {quoted(printed[0])}, which cannot be assigned to {len(groups)} groups"
            )
        if numbers[groups.index(self.group)] != n:
            raise Unread(f"n: the denominator says {n}, the class title {quoted(printed[0])}")


def _counts(denoms: object, pointer: str, group: str) -> Iterator[tuple[object, str]]:
    """The numbers of participants of a group, with their pointers."""
    for d, one in enumerate(entries({"denoms": denoms}, "denoms")):
        if text(entry(one), "units").strip().lower() == "participants":
            for c, count in enumerate(entries(one, "counts")):
                if text(entry(count), "groupId") == group:
                    yield count.get("value"), f"{pointer}/{d}/counts/{c}/value"


#: Something below an outcome that could not be read: pointer and reason.
Fault = tuple[str, str]


def measurements(outcome: Outcome, classes: list) -> Iterator[Measurement | Fault]:
    """Every measurement of an outcome, or a fault with the place that it covers."""
    for c, one in enumerate(classes):
        pointer = f"{outcome.pointer}/classes/{c}"
        try:
            title, categories = text(entry(one), "title"), entries(one, "categories")
            own_denoms = entries(one, "denoms")
        except Unread as why:
            yield pointer, str(why)
            continue
        denoms = (own_denoms, f"{pointer}/denoms") if own_denoms else (outcome.denoms, f"{outcome.pointer}/denoms")
        for k, category in enumerate(categories):
            yield from _of_category(outcome, f"{pointer}/categories/{k}", category, title, denoms)


def _of_category(
    outcome: Outcome, pointer: str, category: object, class_title: str, denoms: tuple[object, str]
) -> Iterator[Measurement | Fault]:
    try:
        title, values = text(entry(category), "title"), entries(category, "measurements")
        own = _own(class_title, title)
    except Unread as why:
        yield pointer, str(why)
        return
    ids = [value.get("groupId") if isinstance(value, dict) else None for value in values]
    times = Counter(one for one in ids if isinstance(one, str))
    for m, value in enumerate(values):
        place = f"{pointer}/measurements/{m}"
        try:
            group = text(entry(value), "groupId")
            if times[group] > 1:
                raise Unread(f"the group {quoted(group)} stands twice in one category")
            if not group or not outcome.groups.get(group, "").strip():
                raise Unread(f"the outcome has no group {quoted(group)} with a title")
        except Unread as why:
            yield place, str(why)
            continue
        yield Measurement(outcome, place, value, group, class_title, own, *denoms)


def _own(class_title: str, category_title: str) -> str:
    """The titles of class and category in one; a category that only says yes adds nothing."""
    if simple(category_title) in NO:
        raise Unread(f"the category {quoted(category_title)} counts those without the outcome")
    said = "" if simple(category_title) in YES else category_title
    return ", ".join(part for part in (class_title, said) if part)


# What a harvest hands out: rows in the columns of the published tables, and refusals.
#
# A *pointer* is a JSON pointer (RFC 6901) into the record. Everything in ``values`` is text: a number as it was
# posted.


#: The columns of ``continuous.csv`` that a record can answer; the others (study, arm, source) are a person's to give.
CONTINUOUS = (
    "outcome unit unit_printed months kind n center_type center dispersion_type dispersion_low dispersion_high "
    "locator status note"
).split()

#: The columns of ``binary.csv`` that a record can answer.
BINARY = (
    "outcome definition_id definition timing months time_origin events n percent percent_printed locator status note"
).split()

#: Table -> its columns.
COLUMNS = {"continuous": CONTINUOUS, "binary": BINARY}


@dataclass(frozen=True)
class Row:
    """One posted measurement as a row of a published table.

    Attributes
    ----------
    registration : str
        ``NCT`` and eight digits.
    table : {"continuous", "binary"}
    pointer : str
        The measurement (or the event group) that the row was read from.
    arm_title : str
        The group's title as posted, untouched.
    values : dict of str to str
        All of :data:`CONTINUOUS` or :data:`BINARY`; empty where the record does not say.
    n_pointer : str
        The denominator that ``n`` was read from.
    """

    registration: str
    table: str
    pointer: str
    arm_title: str
    values: dict[str, str]
    n_pointer: str = ""


@dataclass(frozen=True)
class Refusal:
    """What could not be read: a measurement, or everything below ``pointer``, with its title and the reason."""

    registration: str
    pointer: str
    title: str
    reason: str


@dataclass(frozen=True)
class Harvest:
    """The rows of one record, in its order, and what was refused."""

    rows: list[Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


# A measured outcome (HbA1c, C-peptide, insulin dose) as a row of ``continuous.csv``.


#: The registry's measure -> what the table calls it.
CENTERS = {"MEAN": "mean", "LEAST_SQUARES_MEAN": "mean", "MEDIAN": "median"}

#: The declared dispersion -> the table's name of it, and whether it stands in ``spread`` or in the limits.
DISPERSIONS = {
    "Standard Deviation": ("sd", "spread"),
    "Standard Error": ("se", "spread"),
    "95% Confidence Interval": ("ci95", "limits"),
    "Full Range": ("range", "limits"),
    "Inter-Quartile Range": ("iqr", "limits"),
}

#: What people can have: outside it a figure is doubted and not read. (outcome, unit, kind) -> lowest, highest.
POSSIBLE = {
    ("hba1c", "%", "level"): (3, 20),
    ("hba1c", "%", "change"): (-10, 4),
    ("hba1c", "mmol/mol", "level"): (9, 195),
    ("hba1c", "mmol/mol", "change"): (-110, 44),
    ("c_peptide_fasting", "ng/mL", "level"): (0, 30),
    ("c_peptide_fasting", "nmol/L", "level"): (0, 10),
    ("c_peptide_fasting", "pmol/L", "level"): (0, 10000),
    ("c_peptide_stimulated", "ng/mL", "level"): (0, 60),
    ("c_peptide_stimulated", "nmol/L", "level"): (0, 20),
    ("c_peptide_stimulated", "pmol/L", "level"): (0, 20000),
    ("insulin_dose", "U/day", "level"): (0, 500),
    ("insulin_dose", "U/kg/day", "level"): (0, 6),
    ("insulin_dose", "U/kg", "level"): (0, 6),
}

_DIRECTION = re.compile(
    r"reduc|decreas|declin|\bfalls?\b|\bfell\b|lowering|\bdrop|improv|increas|\bloss\b|\bgain|\brise\b"
)
_SUBGROUP = re.compile(r"\b(?:whose|among|subgroup|stratum|in (?:participants|patients|subjects) (?:with|who))\b")
_PART = re.compile(
    r"\b(?:lispro|glargine|aspart|detemir|degludec|glulisine|nph|basal|bolus|prandial|short|rapid|long)\b"
)
_TOTAL = re.compile(r"\b(?:total|tdi|tdd)\b")
_AUC = re.compile(r"\bauc\b|area under")
_STIMULATED = re.compile(
    r"stimulat|\bpeak\b|\bmmtt|mixed[\s-]meal|meal tolerance|post-?prandial|glucagon"
    r"|(?<![\d.])[1-9]\d*[\s-]*(?:min|h(?:ou)?r)"
)
_FASTING = re.compile(r"\bfasting\b|\bbasal\b|(?<![\d.])0[\s-]*min|\btime 0\b|\bpre-?meal\b")


def continuous_row(registration: str, one: Measurement, topic: str) -> Row:
    """The row of a measured value.

    Raises
    ------
    Unread
        With the reason why it is none.
    """
    outcome, own, title = one.outcome, simple(one.own), simple(one.outcome.title)
    center_type = _center_type(outcome)
    name = _measured_outcome(topic, own, title, simple(outcome.description))
    unit_text = simple(outcome.unit)
    unit = curve_unit(unit_text) if name == "c_peptide_auc" else measured_in(topic, unit_text, title)
    _only_this(topic, own, title)
    center = numeral(one.posted.get("value"), with_comment("value", one.posted))
    kind, kind_note = _kind(outcome, own, title, unit, name, center)
    _possible(name, unit, kind, center)
    months, said = months_of(kind, one.own, outcome.title, outcome.frame)
    dispersion, low, high, spread_note = _dispersion(outcome.dispersion, one.posted, center)
    n, n_pointer = one.patients()
    notes = (
        "least squares mean" if outcome.param == "LEAST_SQUARES_MEAN" else "adjusted" if "adjusted" in title else "",
        kind_note,
        spread_note,
        part_of_arm(title, own),
        doubt_of(one.own, outcome.frame, months),
        f"time as posted: {said}",
    )
    note = "; ".join(part for part in notes if part)
    cells = (name, unit, plain(outcome.unit), months, kind, n, center_type, center, dispersion, low, high)
    values = dict(zip(CONTINUOUS, (*cells, one.locator, "printed", note), strict=True))
    return Row(registration, "continuous", one.pointer, one.arm_title, values, n_pointer)


def _center_type(outcome: Outcome) -> str:
    if outcome.param not in CENTERS:
        raise Unread(f"expected a mean or median, found {quoted(outcome.param)}")
    return CENTERS[outcome.param]


def part_of_arm(title: str, own: str) -> str:
    """A note where the titles speak of a part of the arm."""
    return "of a part of the arm, by its title" if _SUBGROUP.search(f"{title} {own}") else ""


def with_comment(what: str, posted: dict) -> str:
    """What is read, with the comment that stands beside it."""
    comment = posted.get("comment")
    return f"{what} (posted with the comment {quoted(comment)})" if isinstance(comment, str) and comment else what


def _measured_outcome(topic: str, own: str, title: str, description: str) -> str:
    """The table's outcome; C-peptide is fasting, stimulated or an area, as the words nearest to the value say."""
    if topic != "c_peptide":
        return topic
    for piece in (own, title, description):
        if _AUC.search(piece):
            return "c_peptide_auc"
        found = [bool(pattern.search(piece)) for pattern in (_FASTING, _STIMULATED)]
        if all(found):
            raise Unread(f"C-peptide: fasting and stimulated are named together: {quoted(piece)}")
        if any(found):
            return ("c_peptide_fasting", "c_peptide_stimulated")[found.index(True)]
    raise Unread("C-peptide: neither fasting nor stimulated nor an area under the curve is said")


def _only_this(topic: str, own: str, title: str) -> None:
    """Refuse what names other measured outcomes in the same title, or a part of the insulin dose."""
    if not TOPICS[topic].search(own) and (other := OTHERS.search(title)):
        raise Unread(f"the title names another outcome, too: {quoted(other[0])}")
    if topic == "insulin_dose" and (part := _PART.search(own if _TOTAL.search(own) else f"{own} {title}")):
        raise Unread(f"a part of the insulin dose: {quoted(part[0])}")


def _kind(outcome: Outcome, own: str, title: str, unit: str, name: str, center: str) -> tuple[str, str]:
    """Level or change, and a note where only the description says so."""
    words = f"{title} {own}"
    if unit.startswith("% relative"):
        return "change", ""
    if direction := _DIRECTION.search(words):
        raise Unread(f"the title turns the sign or may turn it: {quoted(direction[0])}")
    if CHANGE.search(own) or (CHANGE.search(title) and not outcome.levels):
        return "change", ""
    if CHANGE.search(title):
        raise Unread("the title speaks of a change, a class of the baseline itself")
    if not CHANGE.search(simple(outcome.description)) or "baseline" in own:
        return "level", ""
    fitting = [kind for kind in ("level", "change") if _fits(name, unit, kind, center)]
    if name != "hba1c" or len(fitting) != 1:
        raise Unread("the title speaks of a level, the description of a change")
    return fitting[0], "level or change: by the description and the size of the figure"


def _fits(name: str, unit: str, kind: str, center: str) -> bool:
    if (name, unit, kind) not in POSSIBLE:
        return True
    lowest, highest = POSSIBLE[name, unit, kind]
    return lowest <= Decimal(center) <= highest


def _possible(name: str, unit: str, kind: str, center: str) -> None:
    if not _fits(name, unit, kind, center):
        low, high = POSSIBLE[name, unit, kind]
        raise Unread(
            f"doubted, not corrected: a {kind} of {name} between {low} and {high} {unit} is possible, found {center}"
        )


def _dispersion(declared: str, posted: dict, center: str) -> tuple[str, str, str, str]:
    """Type, low, high and a note: by the declared type only; nothing else is taken for it."""
    name, where = DISPERSIONS.get(declared.strip(), ("none", ""))
    keys = {"spread": ("spread",), "limits": ("lowerLimit", "upperLimit")}.get(where, ())
    given = [key for key in ("spread", "lowerLimit", "upperLimit") if posted.get(key) not in (None, "")]
    if name == "none" or any(key not in given for key in keys):
        return "none", "", "", _unused(declared, posted, given)
    try:
        numbers = [numeral(posted[key], key) for key in keys]
    except Unread as why:
        return "none", "", "", f"{plain(declared)} not read: {why}"
    _sound(name, numbers, center)
    rest = [key for key in given if key not in keys]
    return name, numbers[0], numbers[1] if len(numbers) > 1 else "", _unused("", posted, rest)


def _unused(declared: str, posted: dict, given: list[str]) -> str:
    """What was posted about spread and cannot be used, in words."""
    found = ", ".join(f"{key} {quoted(str(posted[key])[:40])}" for key in given)
    if declared:
        return f"{plain(declared)} declared, " + (f"posted {found}" if found else "none posted")
    return f"without a type: {found}" if found else ""


def _sound(name: str, numbers: list[str], center: str) -> None:
    """Refuse a dispersion that cannot be one."""
    values, middle = [Decimal(number) for number in numbers], Decimal(center)
    if name in ("sd", "se") and values[0] < 0:
        raise Unread(f"{name}: expected none below zero, found {numbers[0]}")
    if len(values) == 2 and not values[0] <= middle <= values[1]:
        raise Unread(f"{name}: expected {center} between the limits, found {numbers[0]} to {numbers[1]}")


# A counted outcome as a row of ``binary.csv``, and the serious adverse events of the record's own module.


#: (comparison, number) -> outcome and definition of a threshold of HbA1c that the tables know.
THRESHOLDS = {("<", 7): "hba1c_lt_7", ("<", 6.5): "hba1c_lt_6_5", ("<=", 6.5): "hba1c_le_6_5"}
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
_MODELLED = re.compile(r"\badjusted\b|kaplan|estimated|cumulative|probability|odds|model")
_HALVED = re.compile(
    r"(?:>=|>)\s*50\s*%\s*(?:reduc|decreas)|(?:reduc|decreas)\w*\s+(?:\w+\s+){0,4}(?:by\s+)?(?:>=|>)\s*50\s*%"
)
_DETECTABLE = re.compile(r"(?<!un)\bdetectable|\bpositiv|\bpersist|graft function")
_ANY_KIND = re.compile(
    r"\b(?:incidence|count|experienc\w*|occurrences?|treatment-?emergent|emergent|te-?|s|safety|reported|during|event"
    r"|events|each|arm|group|frequency|who|had|have|having|total|through(?:out)?|entire|period|up)(?![\w-])"
)
_MORE = re.compile(r"(?<!serious )(?<!serious, )\badverse events?\b|\baes?\b|\bdeaths?\b|discontinu|related|fatal")


def binary_row(registration: str, one: Measurement, topic: str) -> Row:
    """The row of a counted value.

    Raises
    ------
    Unread
        With the reason why it is none.
    """
    outcome, own, title = one.outcome, simple(one.own), simple(one.outcome.title)
    how = counted_in(outcome.param, simple(outcome.unit), title)
    if _CHANGE.search(f"{title} {own}"):
        raise Unread("a change of a share, not a share")
    name = DEFINITIONS[topic](own, title)
    timing, months, said = _timing(one, topic)
    n, n_pointer = one.patients()
    modelled = bool(_MODELLED.search(f"{title} {own} {simple(outcome.unit)}"))
    counted = _count(one, n) if how == "count" else _percent(one, n, modelled)
    more = "with a further condition, by its title" if len(named(f"{title} {own}")) > 1 else ""
    notes = (
        counted[-1],
        more,
        part_of_arm(title, own),
        doubt_of(one.own, outcome.frame, months),
        f"time as posted: {said}",
    )
    definition = plain("; ".join(part for part in (outcome.title, one.own) if part))
    origin = origin_of(one.own, outcome.title, outcome.frame)
    head = (name, name, definition, timing, months, origin)
    tail = (one.locator, counted[3], "; ".join(part for part in notes if part))
    values = dict(zip(BINARY, (*head, counted[0], n, counted[1], counted[2], *tail), strict=True))
    return Row(registration, "binary", one.pointer, one.arm_title, values, n_pointer)


def _timing(one: Measurement, topic: str) -> tuple[str, str, str]:
    """Timing, months and the words that say so; adverse events may go on for a time that is not one number."""
    words = (one.own, one.outcome.title, one.outcome.frame)
    if topic != "serious_adverse_event":
        return "at_month", *months_of("status", *words)
    try:
        return "at_month", *months_of("change", *words)
    except Unread:
        return "not_stated", "", plain(one.outcome.frame) or "nothing"


def _count(one: Measurement, n: str) -> tuple[str, str, str, str, str]:
    """Events, percent, percent as printed, status and note of a posted count."""
    events = whole(one.posted.get("value"), with_comment("value", one.posted))
    if int(events) > int(n):
        raise Unread(f"doubted: {events} participants of {n}")
    return events, "", "", "printed", ""


def _percent(one: Measurement, n: str, modelled: bool) -> tuple[str, str, str, str, str]:
    """The same of a posted percentage: events only where one whole number rounds to it and no model made it."""
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
        return "", printed, printed, "printed", note or "percentage out of a model"
    events = events_of(percent, int(n))
    return events, printed, printed, "derived" if events else "printed", "events from the percentage" if events else ""


def _hba1c(own: str, title: str) -> str:
    """The definition of a threshold of HbA1c: by class and category, else by the title."""
    words = own if THRESHOLD.search(own) else title
    found = {(sign, float(number)) for sign, number, _ in THRESHOLD.findall(words)}
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


def _condition(words: str) -> str:
    """A condition beside the threshold; "severe hypoglycemia" for its absence alone."""
    said = residue(_BETWEEN_THRESHOLDS.sub(r"\1, ", words), "hba1c")
    alone = _SAFE.sub(" ", said)
    if not _CONDITION.search(said):
        return ""
    return "severe hypoglycemia" if alone != said and not _CONDITION.search(alone) else "other"


def _independence(own: str, title: str) -> str:
    words = own if TOPICS["insulin_independence"].search(own) else f"{title} {own}"
    _not_reversed(words)
    if re.search(r"\bor\b|partial", TOPICS["insulin_independence"].sub(" ", words)):
        raise Unread(f"insulin independence or something else is counted: {quoted(words)}")
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
    left = TOPICS["serious_adverse_event"].sub(" ", words)
    if more := _MORE.search(left):
        raise Unread(f"serious adverse events and something besides: {quoted(more[0])}")
    _not_reversed(words)
    if kind := _ANY_KIND.sub(" ", residue(words, "serious_adverse_event")).strip():
        raise Unread(f"serious adverse events of some kind only: {quoted(kind)}")
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


def serious_row(registration: str, group: dict, pointer: str, frame: str) -> Row:
    """The row of one event group: patients with any serious adverse event.

    Raises
    ------
    Unread
        If the numbers are missing, none, or more than those at risk.
    """
    events, n = (_given(group.get(key), key) for key in ("seriousNumAffected", "seriousNumAtRisk"))
    title = text(group, "title")
    if not title.strip():
        raise Unread("the event group has no title")
    if n == 0:
        raise Unread("seriousNumAtRisk: nobody was at risk")
    if events > n:
        raise Unread(f"doubted: {events} participants of {n}")
    months = _period(frame)
    head = ("serious_adverse_event",) * 2
    definition = "participants with any serious adverse event, as the adverse events module counts them"
    timing = ("at_month", months) if months else ("not_stated", "")
    note = f"time frame as posted: {plain(frame)}" if frame else "no time frame posted"
    cells = (
        *head,
        definition,
        *timing,
        "",
        str(events),
        str(n),
        "",
        "",
        "posted results, adverse events",
        "printed",
        note,
    )
    values = dict(zip(BINARY, cells, strict=True))
    return Row(registration, "binary", pointer, title, values, f"{pointer}/seriousNumAtRisk")


def _given(value: object, what: str) -> int:
    """A count of the adverse events module, where numbers are posted as numbers."""
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**9:
        return value
    if isinstance(value, str):
        return int(whole(value, what))
    raise Unread(f"{what}: expected a number of participants, found {kind_of(value)}")


def _period(frame: str) -> str:
    """The months of a time frame that is one length and nothing else; empty otherwise."""
    found = times(frame)
    alone = len(found.marks) == 1 and not found.baseline and not residue(simple(frame), "serious_adverse_event")
    return f"{found.marks[0].months:g}" if alone and found.marks[0].sureness == "plain" else ""


OUTCOMES = "/resultsSection/outcomeMeasuresModule/outcomeMeasures"
EVENTS = "/resultsSection/adverseEventsModule/eventGroups"
NEXT = " | "  # between texts that are looked through together: no pattern of a topic reaches over it
_NUMBER = re.compile(r"NCT[0-9]{8}", re.ASCII)


def posted(record: dict) -> Harvest:
    """Rows and refusals of one ClinicalTrials.gov study (API v2).

    Parameters
    ----------
    record : dict
        The study as it stands; it is not changed. One without posted results gives nothing.

    Returns
    -------
    Harvest
        In the order of the record: outcomes first, then adverse events. Whatever the record holds, nothing is raised.

    Examples
    --------
    >>> group = {"title": "Islets", "seriousNumAffected": 2, "seriousNumAtRisk": 8}
    >>> found = posted({
    ...     "protocolSection": {"identificationModule": {"nctId": "NCT00133809"}},
    ...     "resultsSection": {"adverseEventsModule": {"timeFrame": "5 years", "eventGroups": [group]}},
    ... })
    >>> [(row.values["outcome"], row.values["events"], row.values["n"], row.values["months"]) for row in found.rows]
    [('serious_adverse_event', '2', '8', '60')]
    """
    found = Harvest()
    try:
        results = entry(record).get("resultsSection")
        if results is None:
            return found
        registration = _registration(record)
    except Unread as why:
        found.refused.append(Refusal("", "", "", str(why)))
        return found
    for one in _everything(registration, results):
        (found.rows if isinstance(one, Row) else found.refused).append(one)
    return found


def _registration(record: dict) -> str:
    section = entry(record.get("protocolSection"))
    number = text(entry(section.get("identificationModule")), "nctId")
    if not _NUMBER.fullmatch(number):
        raise Unread(f"nctId: expected NCT and eight digits, found {quoted(number)}")
    return number


def _everything(registration: str, results: object) -> Iterator[Row | Refusal]:
    for module, key, reader in (
        ("outcomeMeasuresModule", "outcomeMeasures", _outcomes),
        ("adverseEventsModule", "eventGroups", _events),
    ):
        try:
            parent = entry(results).get(module)
            listed = entries(entry(parent), key) if parent is not None else []
        except Unread as why:
            yield Refusal(registration, f"/resultsSection/{module}", "", str(why))
            continue
        yield from reader(registration, listed, parent)


def _outcomes(registration: str, listed: list, _: object) -> Iterator[Row | Refusal]:
    for number, one in enumerate(listed):
        pointer = f"{OUTCOMES}/{number}"
        if not isinstance(one, dict):
            yield Refusal(registration, pointer, "", f"expected an object, found {kind_of(one)}")
        elif relevant(one):
            yield from _outcome(registration, one, pointer)


def relevant(outcome: dict) -> bool:
    """Whether an outcome names a topic anywhere: in a title, its unit or its description."""
    return _titled(outcome) or vocabulary.speaks(next(words(outcome, "description"), ""), description=True)


def _titled(outcome: dict) -> bool:
    """Whether it does so in a title or its unit."""
    return vocabulary.speaks(NEXT.join((*words(outcome, "title", "unitOfMeasure"), *_class_titles(outcome))))


def _class_titles(outcome: dict) -> list[str]:
    titles = []
    for one in some(outcome.get("classes")):
        if isinstance(one, dict):
            titles.append(one.get("title"))
            titles.extend(c["title"] for c in some(one.get("categories")) if isinstance(c, dict) and "title" in c)
    return [title for title in titles if isinstance(title, str)]


def _outcome(registration: str, outcome: dict, pointer: str) -> Iterator[Row | Refusal]:
    """Rows and refusals of one relevant outcome."""
    title = plain(next(words(outcome, "title"), ""))
    try:
        head = Outcome.of(outcome, pointer)
        classes = entries(outcome, "classes")
        _readable(outcome, head, classes)
    except Unread as why:
        yield Refusal(registration, pointer, title, str(why))
        return
    for one in measurements(head, classes):
        if not isinstance(one, Measurement):
            yield Refusal(registration, one[0], title, one[1])
            continue
        try:
            yield _row(registration, one)
        except Unread as why:
            yield Refusal(registration, one.pointer, plain("; ".join(filter(None, (head.title, one.own)))), str(why))


def _readable(outcome: dict, head: Outcome, classes: list) -> None:
    """Refuse a whole outcome: not posted, without values, not about participants, named by its description only."""
    status = text(outcome, "reportingStatus")
    if status not in ("", "POSTED"):
        raise Unread(
            f"not posted yet (expected {plain(text(outcome, 'anticipatedPostingDate')) or 'at no stated date'})"
        )
    analysed = text(outcome, "typeUnitsAnalyzed")
    if analysed.strip().lower() not in ("", "participants"):
        raise Unread(f"what is analysed are not participants: {quoted(analysed)}")
    if not any(isinstance(c, dict) and c.get("categories") for c in classes):
        raise Unread("posted without a measurement")
    if not _titled(outcome):
        raise Unread("only the description names the outcome")


def _row(registration: str, one: Measurement) -> Row:
    outcome = one.outcome
    own, title, unit = vocabulary.simple(one.own), vocabulary.simple(outcome.title), vocabulary.simple(outcome.unit)
    topic = vocabulary.topic_of(own, title, unit)
    if outcome.param in ("COUNT_OF_PARTICIPANTS", "NUMBER"):
        return binary_row(registration, one, topic)
    if topic in ("insulin_independence", "serious_adverse_event"):
        raise Unread(f"expected a count of participants, found {quoted(outcome.param)}")
    return continuous_row(registration, one, topic)


def _events(registration: str, listed: list, module: dict) -> Iterator[Row | Refusal]:
    """Serious adverse events, a row a group."""
    for number, group in enumerate(listed):
        pointer = f"{EVENTS}/{number}"
        try:
            yield serious_row(registration, entry(group), pointer, text(module, "timeFrame"))
        except Unread as why:
            yield Refusal(registration, pointer, "Serious adverse events", str(why))
