"""Take apart what should be a v2 study, and say so where it is not.

:class:`Unread` carries the reason why something is not read; who catches it lists the reason with the place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

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
