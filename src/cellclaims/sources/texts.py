"""Texts of others that could harm where they are shown: control characters, turned writing, markup, formulas.

They are kept as they came and escaped where they are shown; here they are counted, so that a reader knows of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import Element

from cellclaims.errors import RefusedAnswer
from cellclaims.sources.addresses import shown
from cellclaims.sources.oddities import oddity

#: Deeper than any record seen (28 levels), far from where a program that walks it would fail.
DEEPEST = 100

_LOOKS = {
    # NUL and other controls but tab and line ends; halves of characters, which no file can hold
    "control characters": re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]"),
    "text direction": re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"),
    # an element that a page would obey, or a cell that a spreadsheet would compute; = 0.05 is neither
    "markup": re.compile(
        r"<\s*/?\s*(?:script|iframe|img|svg|object|style|link)\b|\A\s*[=@]\s*[A-Za-z]|\A\s*[+\-]\s*[A-Za-z]+\s*[(|]",
        re.I,
    ),
}
_ANY = re.compile("|".join(f"(?:{look.pattern})" for look in _LOOKS.values()), re.I)


def json_texts(content: Any, where: str) -> Iterator[tuple[str, str]]:
    """Every text of parsed JSON with its JSON pointer, names of fields too.

    Raises
    ------
    RefusedAnswer
        If lists and objects stand in one another more than ``DEEPEST`` times.

    Examples
    --------
    >>> list(json_texts({"a": ["x", 1]}, "https://host"))
    [('', 'a'), ('/a/0', 'x')]
    """
    waiting: list[tuple[str, Any, int]] = [("", content, 0)]
    while waiting:
        pointer, value, level = waiting.pop()
        if level > DEEPEST:
            raise RefusedAnswer(f"{shown(where)}: expected at most {DEEPEST} levels of nesting, found more")
        if isinstance(value, str):
            yield pointer, value
        elif isinstance(value, dict):
            yield from ((pointer, name) for name in value)
            waiting += [(f"{pointer}/{name}", inner, level + 1) for name, inner in reversed(value.items())]
        elif isinstance(value, list):
            waiting += [(f"{pointer}/{n}", inner, level + 1) for n, inner in reversed(list(enumerate(value)))]


def xml_texts(root: Element, where: str) -> Iterator[tuple[str, str]]:
    """Every text and attribute of XML with the element that holds it; refuses what is too deep, as json_texts."""
    waiting: list[tuple[Element, int]] = [(root, 0)]
    while waiting:
        element, level = waiting.pop()
        if level > DEEPEST:
            raise RefusedAnswer(f"{shown(where)}: expected at most {DEEPEST} levels of nesting, found more")
        texts = [element.text, element.tail, *element.attrib.values()]
        yield from ((str(element.tag), text) for text in texts if text and not text.isspace())
        waiting += [(child, level + 1) for child in reversed(element)]


def text_warnings(source: str, where: str, texts: Iterator[tuple[str, str]]) -> list[str]:
    """What is odd about the texts of an answer, a warning a kind: how many, and where the first stands.

    Examples
    --------
    >>> text_warnings("ctgov", "https://host", iter([("/t", "=cmd()"), ("/v", "-0.4"), ("/u", "<script>")]))
    ['ctgov: markup: https://host: 2 texts, first at /t']
    """
    found: dict[str, list[str]] = {kind: [] for kind in _LOOKS}
    for place, text in texts:
        if _ANY.search(text):
            for kind, look in _LOOKS.items():
                if look.search(text):
                    found[kind].append(place)
    return [
        oddity(source, kind, f"{where}: {len(places)} {'text' if len(places) == 1 else 'texts'}, first at {places[0]}")
        for kind, places in found.items()
        if places
    ]
