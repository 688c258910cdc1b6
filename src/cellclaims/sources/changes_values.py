"""Where two versions of one part of posted results differ, in words.

A part is JSON as ClinicalTrials.gov sends it. A *place* is the path of keys and numbers that leads to a value in it; in
words it is made of the titles that stand above the value and of the group that it belongs to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

Place = tuple[str | int, ...]

#: So many values are told one by one; the others are counted.
SHOWN = 3
#: So long may a value be before its middle is left out (a description, a method).
LONGEST = 80
#: Keys whose value alone says what it is, where titles stand above it.
SPEAKING = ("value", "title")


def leaves(part: Any) -> Iterator[tuple[Place, str]]:
    """Every value of a part with its place, as text; an empty list or object is a value, too. In any order.

    Examples
    --------
    >>> sorted(leaves({"title": "Age", "classes": [{"value": 3}]}))
    [(('classes', 0, 'value'), '3'), (('title',), 'Age')]
    """
    waiting: list[tuple[Place, Any]] = [((), part)]
    while waiting:  # no recursion: nesting has no limit
        place, value = waiting.pop()
        if isinstance(value, Mapping) and value:
            waiting.extend(((*place, str(key)), below) for key, below in value.items())
        elif isinstance(value, list) and value:
            waiting.extend(((*place, number), below) for number, below in enumerate(value))
        else:
            yield place, value if isinstance(value, str) else repr(value)


def difference(before: Any, after: Any) -> tuple[str, str]:
    """What differs between two versions of a part, each side in words; two empty texts if nothing does.

    Examples
    --------
    >>> old = {"groups": [{"id": "OG000", "title": "Islets"}], "classes": [
    ...     {"title": "Week 52", "categories": [{"measurements": [{"groupId": "OG000", "value": "6.1"}]}]}]}
    >>> import json
    >>> difference(old, json.loads(json.dumps(old).replace("6.1", "6.2")))
    ('Week 52, Islets: 6.1', 'Week 52, Islets: 6.2')
    """
    old, new = dict(leaves(before)), dict(leaves(after))
    places = sorted((place for place in old.keys() | new.keys() if old.get(place) != new.get(place)), key=in_order)
    return _side(before, old, places), _side(after, new, places)


def in_order(place: Place) -> tuple[bool, list[tuple[bool, int, str]]]:
    """Measured values first, then by place; numbers by their size."""
    steps = [(False, step, "") if isinstance(step, int) else (True, 0, step) for step in place]
    return place[-1:] != ("value",), steps


def _side(part: Any, values: Mapping[Place, str], places: list[Place]) -> str:
    told = [
        f"{in_words(part, place)}: {shortened(values[place])}" if place in values else "not there"
        for place in places[:SHOWN]
    ]
    more = len(places) - SHOWN
    return "; ".join([*told, *([f"and {more} more"] if more > 0 else [])])


def in_words(part: Any, place: Place) -> str:
    """A place in words: titles above it, its group, its key where that is needed."""
    groups, words, node = _groups(part), [], part
    *above, last = place or ("text",)
    for depth, step in enumerate(above, start=1):
        node = node[step] if isinstance(node, list) else {str(key): value for key, value in node.items()}[step]
        own = node.get("title") or groups.get(str(node.get("groupId"))) if isinstance(node, Mapping) else None
        if own and not (last == "title" and depth == len(above)):  # a changed title is no name of its own place
            words.append(str(own))
    return ", ".join([*words, *([] if words and last in SPEAKING else [str(last)])])


def _groups(part: Any) -> dict[str, str]:
    """Titles of the groups of a part by id."""
    groups = part.get("groups") if isinstance(part, Mapping) else None
    found = [group for group in groups if isinstance(group, Mapping)] if isinstance(groups, list) else []
    return {str(group.get("id")): str(group.get("title", group.get("id"))) for group in found}


def shortened(text: str) -> str:
    """A long value without its middle, on one line.

    Examples
    --------
    >>> shortened("one  line"), len(shortened("a" * 1000))
    ('one line', 80)
    """
    text = " ".join(text.split())
    half = (LONGEST - 5) // 2
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 5 - half]} ... {text[-half:]}"


def size(part: Any) -> str:
    """How much a part holds, in words.

    Examples
    --------
    >>> size({"value": "1"}), size([1, 2])
    ('1 entry', '2 entries')
    """
    count = sum(1 for _ in leaves(part))
    return "1 entry" if count == 1 else f"{count} entries"
