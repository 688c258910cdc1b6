"""The measurements of a posted outcome, and a measured one as a row of ``continuous.csv``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal

from cellclaims.harvest.reading import Unread, entries, entry, numeral, plain, quoted, text, whole
from cellclaims.harvest.times import doubt_of, is_ever, months_of, times
from cellclaims.harvest.vocabulary import (
    CHANGE,
    OTHERS,
    RELATIVE,
    TOPICS,
    curve_unit,
    joined_to,
    measured_in,
    narrowed,
    of_others,
    simple,
    spelt_out,
)
from cellclaims.registries.answers import text_at

# One posted outcome, taken apart into its measurements, each with what is needed to read it.
# Denominators of a class take precedence over those of the outcome. A class title may contain others ("26 weeks
# (n=263, 266, 258)"): if the two differ, the value is refused.


#: Numbers of patients in a class title, one per group.
PRINTED_N = re.compile(r"\bn\s*=\s*(\d[\d,;/\s]*\d|\d)", re.IGNORECASE | re.ASCII)

#: A category that is the outcome, and one that is its absence.
YES, NO = frozenset({"yes", "achieved", "responder", "responders"}), frozenset({"no", "not achieved", "non-responder"})


@dataclass(frozen=True)
class PostedOutcome:
    """Common information on all measurements of an outcome; ``pointer`` is its position.

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
    def of(cls, posted: dict, pointer: str) -> PostedOutcome:
        """Read the common information on an outcome."""
        names = ("title", "description", "timeFrame", "paramType", "dispersionType", "unitOfMeasure")
        said = [text(posted, name) for name in names]
        groups = [entry(group) for group in entries(posted, "groups")]
        titles = {text(group, "id"): text(group, "title") for group in groups}
        if len(titles) < len(groups):
            raise Unread("two groups of the outcome have the same id")
        return cls(pointer, *said, titles, posted.get("denoms"), _has_baseline(entries(posted, "classes")))


def _has_baseline(classes: list) -> bool:
    titles = [simple(title) for one in classes if (title := text_at(one, "title"))]
    return any(times(title).baseline and not CHANGE.search(title) for title in titles)


@dataclass(frozen=True)
class Measurement:
    """One value with its position, its group and the titles of its class and category."""

    outcome: PostedOutcome
    pointer: str
    posted: dict
    group: str
    class_title: str
    own: str
    denoms: object
    denoms_pointer: str

    @property
    def own_words(self) -> str:
        """Simplified titles of class and category."""
        return spelt_out(simple(self.own), simple(self.outcome.title))

    @property
    def arm_title(self) -> str:
        """Title of the group, unchanged."""
        return self.outcome.groups[self.group]

    @property
    def locator(self) -> str:
        """Position in words."""
        parts = [
            f"posted results, outcome measure {int(self.outcome.pointer.rpartition('/')[2]) + 1}: {self.outcome.title}"
        ]
        return plain("; ".join([*parts, *([self.own] if self.own else [])]))

    def patients(self) -> tuple[str, str]:
        """Return the number of patients of the value, and the pointer to that number.

        Raises
        ------
        Unread
            If there is no single denominator of participants for the group, it is zero, or the class title has another.
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
        printed = list(PRINTED_N.finditer(self.class_title))
        if not printed:
            return
        numbers = [number for found in printed for number in re.findall(r"\d+", found[1])]
        groups, said = list(self.outcome.groups), quoted(", ".join(found[0] for found in printed))
        if len(numbers) != len(groups):
            raise Unread(f"n: the class title has {said}, which cannot be assigned to {len(groups)} groups")
        if numbers[groups.index(self.group)] != n:
            raise Unread(f"n: the denominator says {n}, the class title {said}")


def _counts(denoms: object, pointer: str, group: str) -> Iterator[tuple[object, str]]:
    """Yield the numbers of participants of a group, with their pointers."""
    for d, one in enumerate(entries({"denoms": denoms}, "denoms")):
        if text(entry(one), "units").strip().lower() == "participants":
            for c, count in enumerate(entries(one, "counts")):
                if text(entry(count), "groupId") == group:
                    yield count.get("value"), f"{pointer}/{d}/counts/{c}/value"


#: Something below an outcome that could not be read: pointer and reason.
Fault = tuple[str, str]


def measurements(outcome: PostedOutcome, classes: list) -> Iterator[Measurement | Fault]:
    """Yield every measurement of an outcome, or a fault with its position."""
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
    outcome: PostedOutcome, pointer: str, category: object, class_title: str, denoms: tuple[object, str]
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
                raise Unread(f"the group {quoted(group)} occurs twice in one category")
            if not group or not outcome.groups.get(group, "").strip():
                raise Unread(f"the outcome has no group {quoted(group)} with a title")
        except Unread as why:
            yield place, str(why)
            continue
        yield Measurement(outcome, place, value, group, class_title, own, *denoms)


def _own(class_title: str, category_title: str) -> str:
    """Return the titles of class and category as one; a mere "yes" is omitted."""
    for kind, title in (("class", class_title), ("category", category_title)):
        if simple(title) in NO:
            raise Unread(f"the {kind} {quoted(title)} counts those without the outcome")
    return ", ".join(part for part in (class_title, category_title) if part and simple(part) not in YES)


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


def made_row(
    registration: str, table: str, pointer: str, arm_title: str, n_pointer: str, notes: Iterable[str], **cells: str
) -> Row:
    """Return a row with the columns of its table in order; missing ones are empty."""
    note = "; ".join(part for part in notes if part)
    values = dict.fromkeys(COLUMNS[table], "") | cells | {"note": note}
    if unknown := values.keys() - set(COLUMNS[table]):
        raise ValueError(f"expected the columns of {table}, found {', '.join(sorted(unknown))}")
    return Row(registration, table, pointer, arm_title, values, n_pointer)


@dataclass(frozen=True)
class Refusal:
    """A refused measurement, or everything below ``pointer``, with its title and the reason."""

    registration: str
    pointer: str
    title: str
    reason: str


@dataclass(frozen=True)
class Harvest:
    """The rows of one record, in its order, and the refusals."""

    rows: list[Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)


# A measured outcome (HbA1c, C-peptide, insulin dose) as a row of ``continuous.csv``.


#: The registry's measure -> what the table calls it.
CENTERS = {"MEAN": "mean", "LEAST_SQUARES_MEAN": "mean", "MEDIAN": "median"}

#: Declared dispersion -> its name in the table, and whether its value is in ``spread`` or in the limits.
DISPERSIONS = {
    "Standard Deviation": ("sd", "spread"),
    "Standard Error": ("se", "spread"),
    "95% Confidence Interval": ("ci95", "limits"),
    "Full Range": ("range", "limits"),
    "Inter-Quartile Range": ("iqr", "limits"),
}

#: Possible values; others are questionable and refused. (outcome, unit, kind) -> lowest, highest.
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
    """Return the row of a measured value.

    Raises
    ------
    Unread
        With the reason why it is none.
    """
    outcome, own, title = one.outcome, one.own_words, simple(one.outcome.title)
    center_type = _center_type(outcome)
    refuse_narrowed(one, topic)
    if is_ever(title, own):
        raise Unread("a value at any time has no time")
    name = _measured_outcome(topic, own, title, simple(outcome.description))
    unit_text = simple(outcome.unit)
    unit = curve_unit(unit_text) if name == "c_peptide_auc" else measured_in(topic, unit_text, f"{title} {own}")
    _only_this(topic, own, title)
    center = numeral(one.posted.get("value"), with_comment("value", one.posted))
    kind, kind_note = _kind(outcome, own, title, unit, name, center)
    _possible(name, unit, kind, center)
    months, said = months_of(kind, one.own, outcome.title, outcome.frame)
    dispersion, low, high, spread_note = _dispersion(outcome.dispersion, one.posted, center)
    n, n_pointer = one.patients()
    adjusted = "adjusted" if "adjusted" in f"{title} {own}" else ""
    notes = (
        "least squares mean" if outcome.param == "LEAST_SQUARES_MEAN" else adjusted,
        kind_note,
        spread_note,
        *notes_of_time(one, months, said),
    )
    return made_row(
        registration, "continuous", one.pointer, one.arm_title, n_pointer, notes,
        outcome=name, unit=unit, unit_printed=plain(outcome.unit), months=months, kind=kind, n=n,
        center_type=center_type, center=center, dispersion_type=dispersion, dispersion_low=low, dispersion_high=high,
        locator=one.locator, status="printed",
    )  # fmt: skip


def notes_of_time(one: Measurement, months: str, said: str) -> tuple[str, str]:
    """Return a note on a questionable time, and the words it was read from."""
    doubt = doubt_of(one.own, one.outcome.frame, months) if months else ""
    return doubt, f"time as posted: {said}"


def _center_type(outcome: PostedOutcome) -> str:
    if outcome.param not in CENTERS:
        raise Unread(f"expected a mean or median, found {quoted(outcome.param)}")
    return CENTERS[outcome.param]


def refuse_narrowed(one: Measurement, topic: str) -> None:
    """Refuse other outcomes and parts of an arm, by any of the words about the value."""
    outcome = one.outcome
    titles = simple(f"{outcome.title} {one.own} {outcome.unit}")
    if said := narrowed(topic, titles, simple(outcome.frame), simple(outcome.description)):
        raise Unread(f"another outcome, or that of a part of the arm: {quoted(said)}")
    if said := of_others(one.arm_title):
        raise Unread(f"the group is not one of the patients treated: {quoted(said)}")


def with_comment(what: str, posted: dict) -> str:
    """Return the value, with its comment."""
    comment = posted.get("comment")
    return f"{what} (posted with the comment {quoted(comment)})" if isinstance(comment, str) and comment else what


def _measured_outcome(topic: str, own: str, title: str, description: str) -> str:
    """Return the outcome in the table; C-peptide is fasting, stimulated or an area, by the nearest words."""
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
    """Refuse titles with other measured outcomes, or a part of the insulin dose."""
    if not TOPICS[topic].search(own):
        other = OTHERS.search(title)
        if said := other[0] if other else joined_to(topic, title):
            raise Unread(f"the title names another outcome, too: {quoted(said)}")
    if topic == "insulin_dose" and (part := _PART.search(own if _TOTAL.search(own) else f"{own} {title}")):
        raise Unread(f"a part of the insulin dose: {quoted(part[0])}")


def _kind(outcome: PostedOutcome, own: str, title: str, unit: str, name: str, center: str) -> tuple[str, str]:
    """Return level or change, and a note if only the description says so."""
    words = f"{title} {own}"
    said = RELATIVE.search(simple(outcome.description))
    if unit.startswith("% relative"):
        return "change", ""
    if said:
        raise Unread(f"the description mentions a {said[0]}, the title and unit do not")
    if direction := _DIRECTION.search(words):
        raise Unread(f"the title turns the sign or may turn it: {quoted(direction[0])}")
    if CHANGE.search(own) or (CHANGE.search(title) and not outcome.levels):
        return "change", ""
    if CHANGE.search(title):
        raise Unread("the title mentions a change, a class the baseline itself")
    if not CHANGE.search(simple(outcome.description)) or "baseline" in own:
        return "level", ""
    fitting = [kind for kind in ("level", "change") if _fits(name, unit, kind, center)]
    if name != "hba1c" or len(fitting) != 1:
        raise Unread("the title mentions a level, the description a change")
    return fitting[0], "level or change: by the description and the size of the value"


def _fits(name: str, unit: str, kind: str, center: str) -> bool:
    if (name, unit, kind) not in POSSIBLE:
        return True
    lowest, highest = POSSIBLE[name, unit, kind]
    return lowest <= Decimal(center) <= highest


def _possible(name: str, unit: str, kind: str, center: str) -> None:
    if not _fits(name, unit, kind, center):
        low, high = POSSIBLE[name, unit, kind]
        raise Unread(
            f"questionable, not corrected: a {kind} of {name} between {low} and {high} {unit} possible, found {center}"
        )


def _dispersion(declared: str, posted: dict, center: str) -> tuple[str, str, str, str]:
    """Return type, low, high and a note, by the declared type only."""
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
    """Return in words the posted dispersion that cannot be used."""
    found = ", ".join(f"{key} {quoted(str(posted[key])[:40])}" for key in given)
    if declared:
        return f"{plain(declared)} declared, " + (f"posted {found}" if found else "none posted")
    return f"without a type: {found}" if found else ""


def _sound(name: str, numbers: list[str], center: str) -> None:
    """Refuse an impossible dispersion."""
    values, middle = [Decimal(number) for number in numbers], Decimal(center)
    if name in ("sd", "se") and values[0] < 0:
        raise Unread(f"{name}: expected none below zero, found {numbers[0]}")
    if len(values) == 2 and not values[0] <= middle <= values[1]:
        raise Unread(f"{name}: expected {center} between the limits, found {numbers[0]} to {numbers[1]}")
