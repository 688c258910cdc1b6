"""One posted outcome, taken apart into its measurements, each with what is needed to read it.

Denominators of a class stand before those of the outcome. A class title may print its own ("26 weeks (n=263, 266,
258)"): where the two differ, nothing is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from cellclaims.harvest.numerals import whole
from cellclaims.harvest.shapes import Unread, entries, entry, plain, quoted, text, words
from cellclaims.harvest.times import times
from cellclaims.harvest.topics import CHANGE, simple

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
