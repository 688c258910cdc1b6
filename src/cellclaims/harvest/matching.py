"""Which report and which arm a harvested row may belong to: suggested with a reason, or left to the person.

Registries and publications name arms differently, and one registration can have several reports. A suggestion is made
only where one candidate alone fits; it is never a guess between two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from cellclaims.harvest.held import Cells, Held

#: Comparators that a group's title names in its own words.
NAMED = {"placebo": ("placebo",), "sham": ("sham",)}


@dataclass(frozen=True)
class Match:
    """A suggestion (empty: none) and why it was made, or why not."""

    name: str
    reason: str


def report_of(held: Held, registration: str) -> Match:
    """The report of ``studies.csv`` that a registration belongs to.

    Where several reports name it, the one whose figures already come from the registry is suggested, if it is one.
    """
    reports = [row["study_id"] for row in held.reports(registration)]
    if not reports:
        return Match("", f"no report in published/studies.csv names {registration}: add it first (docs/add_a_study.md)")
    if len(reports) == 1:
        return Match(reports[0], f"the only report that names {registration}")
    read = [report for report in reports if from_registry(held, report)]
    if len(read) == 1:
        return Match(read[0], f"of {', '.join(reports)} the only one with figures from a registry")
    return Match("", f"fill in one of {', '.join(reports)}: all name {registration}")


def from_registry(held: Held, report: str) -> bool:
    """Whether a report has figures that were read from a registry."""
    sources = {row["source_id"] for row in held.rows["sources"] if row["kind"] == "registry"}
    figures = (row for table in ("continuous", "binary") for row in held.rows[table])
    return any(row["study_id"] == report and row["source_id"] in sources for row in figures)


def arm_of(held: Held, report: str, title: str, titles: Iterable[str]) -> Match:
    """The arm of a report that a group of its registration is.

    Parameters
    ----------
    held : Held
    report : str
        A study_id; empty gives no suggestion.
    title : str
        The group's title as posted.
    titles : iterable of str
        The titles of all groups with rows in that record.

    Returns
    -------
    Match
        By the arm's name or description, by the comparator that the title names, or because there is no other arm.
    """
    arms = held.arms(report)
    if not arms:
        return Match("", "needs a report with arms")
    for reason, found in candidates(arms, title, set(titles)):
        if len(found) == 1:
            return Match(found[0], reason)
    return Match("", f"fill in one of {', '.join(arm['arm_id'] for arm in arms)}")


def candidates(arms: list[Cells], title: str, titles: set[str]) -> Iterable[tuple[str, list[str]]]:
    """What each way to match finds, the surest first."""
    words = in_words(title)
    yield "the title is the arm's name", [arm["arm_id"] for arm in arms if in_words(arm["arm_id"]) == words]
    described = [arm["arm_id"] for arm in arms if in_words(arm["description"]) == words]
    yield "the title is the arm's description", described
    for comparator, names in NAMED.items():
        alone = sum(any(name in in_words(other) for name in names) for other in titles) == 1
        if alone and any(name in words for name in names):
            found = [arm["arm_id"] for arm in arms if arm["comparator"] == comparator]
            yield f"the only {comparator} arm, and the only title that says so", found
    whole = [arm["arm_id"] for arm in arms if not arm["part_of"]]
    if len(titles) == 1:
        yield "the report's only arm, and the record's only group with figures", whole


def in_words(text: str) -> tuple[str, ...]:
    """Letters and digits of a text, word by word, without case.

    Examples
    --------
    >>> in_words("UC-MSC group (High_dose)")
    ('uc', 'msc', 'group', 'high', 'dose')
    """
    return tuple(re.findall(r"[^\W_]+", text.casefold()))
