"""Checks of answers: JSON or XML, in the format that a source documents.

A fault of the whole answer (HTML where JSON was due, no list of records) is refused; a fault of one record is a
warning, because the answer is kept byte for byte and the other records are sound.
"""

from __future__ import annotations

import datetime
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from cellclaims.errors import RefusedAnswer
from cellclaims.registries.client import shown

# What was odd about an answer that is taken all the same: counted, named, and kept with the snapshot.


#: Every kind of warning: what it means.
KINDS = {
    "answered after retries": "a source failed first and answered later",
    "clock differs": "the Date of a source differs by more than 5 minutes from this computer's clock",
    "control characters": "texts contain NUL or other control characters, or incomplete characters",
    "text direction": "texts contain characters that change the direction of writing",
    "markup": "titles or names contain HTML, or begin like a spreadsheet formula",
    "unknown fields": "records contain fields that the source does not document",
    "missing fields": "records lack a field that every record should have",
    "other type": "a field of a record has another type than documented",
    "duplicate record": "a record came twice, in one search or in the files of a folder",
    "duplicate page": "a page brought only records that earlier pages had brought",
    "total changed": "the number of records that a search announced changed from page to page",
    "total differs": "a search brought another number of records than it announced",
    "not found": "the source does not know a requested number",
    "too many": "a search finds more than the source hands out",
}


def oddity(source: str, kind: str, detail: str) -> str:
    """Return one warning as stored: ``source: kind: detail``.

    Examples
    --------
    >>> oddity("ctgov", "duplicate record", "NCT00133809")
    'ctgov: duplicate record: NCT00133809'
    """
    if kind not in KINDS:
        raise ValueError(f"expected one of {', '.join(KINDS)}; found {kind!r}")
    return f"{source}: {kind}: {shown(detail)}"


def by_kind(warnings: Iterable[str]) -> dict[str, int]:
    """Return how many warnings of each source and kind, most frequent first.

    Examples
    --------
    >>> by_kind(["ctgov: markup: a", "ctgov: markup: b", "pubmed: too many: 12,000"])
    {'ctgov: markup': 2, 'pubmed: too many': 1}
    """
    return dict(Counter(": ".join(warning.split(": ", 2)[:2]) for warning in warnings).most_common())


@dataclass(frozen=True)
class Page:
    """One checked answer.

    Attributes
    ----------
    ids : tuple of str
        The numbers of its records, in order; "" for a record without one.
    total : int or None
        How many records the search announces, where this page says it.
    token : str
        What asks for the next page; "" on the last.
    warnings : tuple of str
        What is odd about its records (:mod:`cellclaims.registries.answers`).
    """

    ids: tuple[str, ...]
    total: int | None = None
    token: str = ""
    warnings: tuple[str, ...] = ()


def parsed_json(body: bytes, where: str) -> Any:
    """Return the content of a JSON answer.

    Raises
    ------
    RefusedAnswer
        If it is empty, HTML, not JSON, truncated, not UTF-8, nested too deeply, or contains NaN or a bare control
        character.

    Examples
    --------
    >>> parsed_json(b"<!DOCTYPE html><title>Busy</title>", "https://host")
    Traceback (most recent call last):
    cellclaims.errors.RefusedAnswer: https://host: expected JSON, found markup: <!DOCTYPE html><title>Busy</title>
    """
    try:
        return json.loads(body.decode("utf-8-sig"), parse_constant=_no_number)
    except RecursionError:
        raise RefusedAnswer(f"{shown(where)}: expected JSON, found lists nested too deeply to be read") from None
    except ValueError as fault:
        start = body[:80].decode("utf-8", "replace").strip()
        found = f"markup: {start}" if start.startswith("<") else f"{start or 'no bytes'} ({fault})"
        raise RefusedAnswer(f"{shown(where)}: expected JSON, found {shown(found, 200)}") from None


def _no_number(name: str) -> None:
    raise ValueError(f"{name}, which is no JSON")


def parsed_xml(body: bytes, where: str, *roots: str) -> Element:
    """Return the root element of an XML answer, which must be one of ``roots``.

    A document type is allowed (the E-utilities send one) but never fetched; an entity is refused.

    Raises
    ------
    RefusedAnswer
        If it is no XML, declares an entity, refers to something outside, or has another root.

    Examples
    --------
    >>> parsed_xml(b"<html/>", "https://host", "eSearchResult")
    Traceback (most recent call last):
    cellclaims.errors.RefusedAnswer: https://host: expected XML with the root eSearchResult, found html
    """
    from defusedxml.common import DefusedXmlException
    from defusedxml.ElementTree import ParseError, fromstring

    expected = f"{shown(where)}: expected XML with the root {' or '.join(roots)}, found"
    try:
        root = fromstring(body, forbid_entities=True, forbid_external=True)
    except DefusedXmlException as fault:
        raise RefusedAnswer(f"{expected} what is not allowed in it: {shown(fault)}") from None
    except (ParseError, ValueError, LookupError) as fault:
        raise RefusedAnswer(f"{expected} {shown(fault)}: {shown(body[:80].decode('utf-8', 'replace'))}") from None
    if root.tag not in roots:
        raise RefusedAnswer(f"{expected} {shown(root.tag)}")
    return root


#: The types of JSON in words.
WORDS = {dict: "an object", list: "a list", str: "a text", int: "a whole number", bool: "true or false"}


def of_type(content: Any, wanted: type, where: str, what: str) -> Any:
    """Return ``content`` if it has the required type.

    Examples
    --------
    >>> of_type({"studies": "none"}["studies"], list, "https://host", "studies")
    Traceback (most recent call last):
    cellclaims.errors.RefusedAnswer: https://host: expected studies to be a list, found 'none'
    """
    if type(content) is not wanted:
        found = shown(repr(content), 80) if content is not None else "nothing"
        raise RefusedAnswer(f"{shown(where)}: expected {what} to be {WORDS[wanted]}, found {found}")
    return content


#: Expected fields of a record: dotted path -> type. A path that ends in "?" may be absent.
Shape = Mapping[str, type]


def record_warnings(source: str, where: str, records: Sequence[Any], shape: Shape, known: Iterable[str]) -> list[str]:
    """Return warnings about the fields of records, one per kind: their number, and the first.

    Parameters
    ----------
    source, where : str
        The source and the address of the answer.
    records : sequence
        As parsed from JSON.
    shape : mapping of type
        Dotted path of a field -> its type; "?" at the end marks a field that may be absent.
    known : iterable of str
        Every field allowed at the top of a record; empty if any is allowed.

    Examples
    --------
    >>> for warning in record_warnings("ctgov", "https://host", [{"n": 1}, {"n": "2"}, {}, 7], {"n": int}, []):
    ...     print(warning)
    ctgov: missing fields: https://host: 1 record, first n of /2
    ctgov: other type: https://host: 2 records, first n of /1
    """
    found: dict[str, list[str]] = {"missing fields": [], "other type": [], "unknown fields": []}
    known = frozenset(known)
    for number, record in enumerate(records):
        for kind, field in _record_faults(record, shape, known):
            found[kind].append(f"{field} of /{number}")
    return [
        oddity(source, kind, f"{where}: {len(places)} {'record' if len(places) == 1 else 'records'}, first {places[0]}")
        for kind, places in found.items()
        if places
    ]


def _record_faults(record: Any, shape: Shape, known: frozenset[str]) -> Iterable[tuple[str, str]]:
    """Yield the first fault of each kind of one record."""
    if not isinstance(record, dict):
        yield "other type", "the whole"
        return
    faults: dict[str, str] = {}
    for path, wanted in shape.items():
        value = value_at(record, *path.removesuffix("?").split("."))
        if value is None and not path.endswith("?"):
            faults.setdefault("missing fields", path)
        elif value is not None and type(value) is not wanted:
            faults.setdefault("other type", path.removesuffix("?"))
    if known and (others := sorted(set(record) - known)):
        faults["unknown fields"] = others[0]
    yield from faults.items()


# Bodies of answers as JSON or XML, and the reading of values whose type nobody vouches for.


#: Line ends as ICTRP writes them into its text, and as a browser would.
BREAKS = re.compile(r"(?:(?:&#x0D;|<br ?/?>|\r\n?)\s*)+", re.IGNORECASE)
#: Inline tags of titles and abstracts; anything else between angle brackets is text.
INLINE = re.compile(r"</?(?:i|b|u|sub|sup|em|strong|h4|p|jats:[a-z-]+)\b[^<>]{0,80}>", re.IGNORECASE)


def json_of(body: bytes) -> Any:
    """Return a body as JSON; raises ValueError (not JSON, not UTF-8) or RecursionError (too deep)."""
    return json.loads(body)


def xml_of(body: bytes) -> Element:
    """Return a body as XML, without entities and external documents; raises ValueError for anything else.

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
    """Return whether a body starts like XML."""
    return body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1] == b"<"


def value_at(node: Any, *keys: str) -> Any:
    """Return the value at a path of keys; None if one is missing or a parent is not an object.

    Examples
    --------
    >>> value_at({"a": {"b": 2}}, "a", "b"), value_at({"a": []}, "a", "b")
    (2, None)
    """
    for key in keys:
        if not isinstance(node, dict):  # the objects of JSON; a test for any mapping takes ten times as long
            return None
        node = node.get(key)
    return node


def text_at(node: Any, *keys: str) -> str:
    """Return the text at a path of keys, stripped; empty if a key is missing or the value is no text.

    Examples
    --------
    >>> text_at({"a": {"b": 3}}, "a", "b"), text_at({"a": []}, "a", "b")
    ('3', '')
    """
    node = value_at(node, *keys)
    if isinstance(node, str):
        return node.strip()
    return str(node) if isinstance(node, int | float) and not isinstance(node, bool) else ""


def list_at(node: Any, *keys: str) -> list:
    """Return the list under some keys; empty where there is none."""
    node = value_at(node, *keys)
    return node if isinstance(node, list) else []


def clean(text: str | None) -> str:
    """Return the text of an XML element, stripped, with normalised line breaks.

    Examples
    --------
    >>> clean(" one&#x0D;<br>two ")
    'one\\ntwo'
    """
    return BREAKS.sub("\n", (text or "").strip()).strip()


def words_of(element: Element | None) -> str:
    """Return all text of an element, inline marks left out."""
    return " ".join("".join(element.itertext()).split()) if element is not None else ""


def without_marks(text: str) -> str:
    """Return a title without the inline tags of its source, on one line.

    Examples
    --------
    >>> without_marks("Effect of <i>one</i> on <two>")
    'Effect of one on <two>'
    """
    return " ".join(INLINE.sub("", text).split())


# Texts of others that could harm where they are shown: control characters, turned writing, markup, formulas.
#
# They are kept as they came and escaped where they are shown; here they are counted, so that a reader knows of
# them.


#: Deeper than any record seen (28 levels), far from where a program that walks it would fail.
DEEPEST = 100

_LOOKS = {
    # NUL and other controls except tab and line breaks; incomplete characters
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
    """Yield every text of parsed JSON with its JSON pointer, including names of fields.

    Raises
    ------
    RefusedAnswer
        If the nesting is deeper than ``DEEPEST``.

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
    """Yield every text and attribute of XML with its element; raises an error for deep nesting, as json_texts does."""
    waiting: list[tuple[Element, int]] = [(root, 0)]
    while waiting:
        element, level = waiting.pop()
        if level > DEEPEST:
            raise RefusedAnswer(f"{shown(where)}: expected at most {DEEPEST} levels of nesting, found more")
        texts = [element.text, element.tail, *element.attrib.values()]
        yield from ((str(element.tag), text) for text in texts if text and not text.isspace())
        waiting += [(child, level + 1) for child in reversed(element)]


def text_warnings(source: str, where: str, texts: Iterator[tuple[str, str]]) -> list[str]:
    """Return warnings about the texts of an answer, one per kind: their number, and the position of the first.

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


# Text from elsewhere made safe to look at: nothing in it moves a cursor or turns a line round.
#
# The stored answers are never changed; this is for what a terminal or a page shows.


#: Format characters that are part of words.
JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """Return text on one line, with control, direction and incomplete characters as code points.

    Examples
    --------
    >>> visible("cured \\u202e%39\\nby \\x1b[31mcells")
    'cured <U+202E>%39 by <U+001B>[31mcells'
    """
    line = re.sub(r"[\t\r\n ]+", " ", text)
    return line if line.isprintable() else "".join(map(_shown, line))


def _shown(character: str) -> str:
    is_hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in JOINERS
    return f"<U+{ord(character):04X}>" if is_hidden else character


# Dates as the registries and the literature write them, in ISO 8601.


MONTHS = "jan feb mar apr may jun jul aug sep oct nov dec".split()
NAMED = "|".join(MONTHS)

#: Known formats, with named groups y, m and d; with two slashes the day is first (day/month/year).
FORMS = tuple(
    re.compile(form, re.IGNORECASE)
    for form in (
        r"(?P<y>\d{4})(?P<m>\d{2})(?P<d>\d{2})",
        r"(?P<y>\d{4})(?:[-/](?P<m>\d{1,2})(?:[-/](?P<d>\d{1,2}))?)?",
        r"(?P<d>\d{1,2})/(?P<m>\d{1,2})/(?P<y>\d{4})",
        rf"(?P<m>{NAMED})[a-z]*\.?\s+(?:(?P<d>\d{{1,2}}),?\s+)?(?P<y>\d{{4}})",
        rf"(?:(?P<d>\d{{1,2}})\s+)?(?P<m>{NAMED})[a-z]*\.?,?\s+(?P<y>\d{{4}})",
        rf"(?P<y>\d{{4}})\s+(?P<m>{NAMED})[a-z]*\.?(?:\s+(?P<d>\d{{1,2}}))?",
    )
)


def iso(text: str) -> str:
    """Return a date as YYYY-MM-DD, YYYY-MM or YYYY; unchanged if the format is unknown or the day does not exist.

    Examples
    --------
    >>> [iso(text) for text in ("20260510", "10/05/2026", "July 15, 2026", "May 2026", "2026/5/1", "1965 Aug")]
    ['2026-05-10', '2026-05-10', '2026-07-15', '2026-05', '2026-05-01', '1965-08']
    >>> iso("31/02/2026"), iso(" Spring 1990 ")
    ('31/02/2026', 'Spring 1990')
    """
    text = text.strip()
    for form in FORMS:
        if found := form.fullmatch(text):
            return _joined(**found.groupdict()) or text
    return text


def _joined(y: str, m: str | None = None, d: str | None = None) -> str:
    """Return the parts with dashes; empty if there is no such day."""
    if m is None:
        return y
    month = int(m) if m.isdigit() else MONTHS.index(m.lower()) + 1
    try:
        day = datetime.date(int(y), month, int(d or 1))
    except ValueError:
        return ""
    return day.isoformat() if d else day.isoformat()[:7]


# Guards of a search that comes page by page: it ends, and what it brought is set against what it announced.


#: More pages than any question of this review can fill; a search without end stops here.
MOST_PAGES = 2000


class Guard:
    """Checks the pages of one search one by one.

    Parameters
    ----------
    source, where : str
        The source and the address, for messages.

    Examples
    --------
    >>> guard = Guard("ctgov", "https://host")
    >>> guard.turn(Page(("NCT1", "NCT2"), total=3, token="b"))
    []
    >>> guard.turn(Page(("NCT2",)))
    ['ctgov: duplicate record: https://host: page 2: NCT2', 'ctgov: duplicate page: https://host: page 2']
    >>> guard.end()
    ['ctgov: total differs: https://host: announced 3 records, found 2']
    """

    def __init__(self, source: str, where: str) -> None:
        self.source, self.where = source, where
        self.tokens: set[str] = set()
        self.ids: dict[str, None] = {}
        self.unnamed = self.pages = 0
        self.total: int | None = None

    def turn(self, page: Page) -> list[str]:
        """Return the warnings about a page, given the earlier ones.

        Raises
        ------
        RefusedAnswer
            If its token was given before, or the search has no end.
        """
        self.pages += 1
        if self.pages > MOST_PAGES:
            raise RefusedAnswer(f"{self.where}: expected at most {MOST_PAGES:,} pages, found more")
        if page.token and page.token in self.tokens:
            raise RefusedAnswer(
                f"{self.where}: expected a new token on page {self.pages}, found {shown(repr(page.token), 60)} again: "
                "the pages run in a circle"
            )
        self.tokens.add(page.token)
        return [oddity(self.source, kind, f"{self.where}: {detail}") for kind, detail in self._oddities(page)]

    def _oddities(self, page: Page) -> list[tuple[str, str]]:
        found, named = [], [one for one in page.ids if one]
        twice = [one for n, one in enumerate(named) if one in self.ids or one in named[:n]]
        if twice:
            more = f" and {len(twice) - 1} more" if len(twice) > 1 else ""
            found.append(("duplicate record", f"page {self.pages}: {shown(twice[0], 60)}{more}"))
        if named and all(one in self.ids for one in named):
            found.append(("duplicate page", f"page {self.pages}"))
        if None not in (page.total, self.total) and page.total != self.total:
            found.append(("total changed", f"from {self.total:,} to {page.total:,} on page {self.pages}"))
        self.total = self.total if page.total is None else page.total
        self.ids.update(dict.fromkeys(named))
        self.unnamed += len(page.ids) - len(named)
        return found

    def end(self) -> list[str]:
        """Return the warning about a search with more or fewer records than announced."""
        count = len(self.ids) + self.unnamed
        if self.total is None or self.total == count:
            return []
        detail = f"{self.where}: announced {self.total:,} records, found {count:,}"
        return [oddity(self.source, "total differs", detail)]


def grouped(numbers: tuple[str, ...], size: int) -> list[tuple[str, ...]]:
    """Yield numbers in groups of at most ``size``, in order.

    Examples
    --------
    >>> grouped(("a", "b", "c"), 2)
    [('a', 'b'), ('c',)]
    """
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]
