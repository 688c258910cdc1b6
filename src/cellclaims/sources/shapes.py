"""Whether an answer is what it should be: JSON or XML, of the shape that a source's description gives.

A fault of the whole answer (HTML where JSON was due, no list of records) is refused; a fault of one record is a
warning, because the answer is kept byte for byte and the other records are sound.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from xml.etree.ElementTree import Element

from cellclaims.errors import RefusedAnswer
from cellclaims.sources.addresses import shown
from cellclaims.sources.oddities import oddity


@dataclass(frozen=True)
class Page:
    """One answer that was looked through.

    Attributes
    ----------
    ids : tuple of str
        The numbers of its records, in order; "" for a record without one.
    total : int or None
        How many records the search announces, where this page says it.
    token : str
        What asks for the next page; "" on the last.
    warnings : tuple of str
        What is odd about its records (:mod:`cellclaims.sources.oddities`).
    """

    ids: tuple[str, ...]
    total: int | None = None
    token: str = ""
    warnings: tuple[str, ...] = ()


def parsed_json(body: bytes, where: str) -> Any:
    """The content of a JSON answer.

    Raises
    ------
    RefusedAnswer
        If it is empty, HTML, no JSON, cut off, not UTF-8, too deep, or holds NaN or a bare control character.

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
    """The root element of an XML answer, which must be one of ``roots``.

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
    """``content`` if it is of a type, for what the whole answer stands on.

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


#: What a record should hold: dotted path -> type. A path that ends in "?" may be absent.
Shape = Mapping[str, type]


def record_warnings(source: str, where: str, records: Sequence[Any], shape: Shape, known: Iterable[str]) -> list[str]:
    """What is odd about the fields of records, a warning a kind: how many, and the first.

    Parameters
    ----------
    source, where : str
        The source and the address of the answer.
    records : sequence
        As parsed from JSON.
    shape : mapping of type
        Dotted path of a field -> its type; "?" at the end marks a field that may be absent.
    known : iterable of str
        Every field that may stand at the top of a record; nothing if any may.

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
    """The first fault of each kind of one record."""
    if not isinstance(record, dict):
        yield "other type", "the whole"
        return
    faults: dict[str, str] = {}
    for path, wanted in shape.items():
        value = at(record, path.removesuffix("?"))
        if value is None and not path.endswith("?"):
            faults.setdefault("missing fields", path)
        elif value is not None and type(value) is not wanted:
            faults.setdefault("other type", path.removesuffix("?"))
    if known and (others := sorted(set(record) - known)):
        faults["unknown fields"] = others[0]
    yield from faults.items()


def at(record: Any, path: str) -> Any:
    """The value at a dotted path; None where something on the way is missing or no object.

    Examples
    --------
    >>> at({"a": {"b": 2}}, "a.b"), at({"a": []}, "a.b")
    (2, None)
    """
    for name in path.split("."):
        record = record.get(name) if isinstance(record, dict) else None
    return record


def text_at(record: Any, path: str) -> str:
    """The text at a dotted path; "" for anything that is no text."""
    value = at(record, path)
    return value if isinstance(value, str) else ""
