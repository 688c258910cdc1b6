"""A measured outcome (HbA1c, C-peptide, insulin dose) as a row of ``continuous.csv``."""

from __future__ import annotations

import re
from decimal import Decimal

from cellclaims.harvest.numerals import numeral
from cellclaims.harvest.outcome import Measurement, Outcome
from cellclaims.harvest.rows import CONTINUOUS, Row
from cellclaims.harvest.shapes import Unread, plain, quoted
from cellclaims.harvest.spellings import curve_unit, measured_in
from cellclaims.harvest.timing import doubt_of, months_of
from cellclaims.harvest.topics import CHANGE, OTHERS, TOPICS, simple

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
    name = _outcome(topic, own, title, simple(outcome.description))
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


def _outcome(topic: str, own: str, title: str, description: str) -> str:
    """The table's outcome; C-peptide is fasting, stimulated or an area, as the words nearest to the value say."""
    if topic != "c_peptide":
        return topic
    for words in (own, title, description):
        if _AUC.search(words):
            return "c_peptide_auc"
        found = [bool(pattern.search(words)) for pattern in (_FASTING, _STIMULATED)]
        if all(found):
            raise Unread(f"C-peptide: fasting and stimulated are named together: {quoted(words)}")
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
