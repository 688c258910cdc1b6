"""Bodies of answers as JSON or XML, and the reading of values whose type nobody vouches for."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError

#: Line ends as ICTRP writes them into its text, and as a browser would.
BREAKS = re.compile(r"(?:(?:&#x0D;|<br ?/?>|\r\n?)\s*)+", re.IGNORECASE)
#: Inline tags of titles and abstracts; anything else between angle brackets is text.
INLINE = re.compile(r"</?(?:i|b|u|sub|sup|em|strong|h4|p|jats:[a-z-]+)\b[^<>]{0,80}>", re.IGNORECASE)


def json_of(body: bytes) -> Any:
    """A body as JSON; raises ValueError (not JSON, not UTF-8) or RecursionError (too deep)."""
    return json.loads(body)


def xml_of(body: bytes) -> Element:
    """A body as XML, without entities and external documents; raises ValueError for anything else.

    Examples
    --------
    >>> xml_of(b"<a><b>1</b></a>").findtext("b")
    '1'
    >>> xml_of(b"<a>")
    Traceback (most recent call last):
    ValueError: no element found: line 1, column 3
    """
    from defusedxml.ElementTree import fromstring

    try:
        return fromstring(body)
    except (ParseError, LookupError) as fault:  # LookupError: an encoding that Python does not know
        raise ValueError(str(fault)) from None


def is_xml(body: bytes) -> bool:
    """Whether a body starts like XML."""
    return body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def text_at(node: Any, *keys: str) -> str:
    """The text under some keys; empty where a key is missing or something else stands there.

    Examples
    --------
    >>> text_at({"a": {"b": 3}}, "a", "b"), text_at({"a": []}, "a", "b")
    ('3', '')
    """
    node = at(node, *keys)
    is_number = isinstance(node, int | float) and not isinstance(node, bool)
    return node.strip() if isinstance(node, str) else str(node) if is_number else ""


def at(node: Any, *keys: str) -> Any:
    """What stands under some keys; None where one is missing."""
    for key in keys:
        node = node.get(key) if isinstance(node, Mapping) else None
    return node


def list_at(node: Any, *keys: str) -> list:
    """The list under some keys; empty where there is none."""
    node = at(node, *keys)
    return node if isinstance(node, list) else []


def clean(text: str | None) -> str:
    """Text of an XML element: no blanks around it, its line ends as line ends.

    Examples
    --------
    >>> clean(" one&#x0D;<br>two ")
    'one\\ntwo'
    """
    return BREAKS.sub("\n", (text or "").strip()).strip()


def words_of(element: Element | None) -> str:
    """All text of an element, inline marks left out."""
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def without_marks(text: str) -> str:
    """A title without the inline tags of its source, on one line.

    Examples
    --------
    >>> without_marks("Effect of <i>one</i> on <two>")
    'Effect of one on <two>'
    """
    return " ".join(INLINE.sub("", text).split())
