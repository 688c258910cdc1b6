"""YAML files that people write: read with the line of every key, and checked against a JSON Schema.

The protocol and the files of ``runs/`` are read here. All faults are found before the file is used,
and each names file, line, key, what was expected and what was found. Plain values follow the core schema of YAML 1.2:
``no`` is text, ``1e-3`` is a number and a date is text.

A schema may refer to allowed values listed elsewhere: ``{"keysOf": "outcomes"}`` allows the
keys of a part of the same file, ``{"valuesOf": "studies.design"}`` the values of a column in ``datapackage.json``.
"""

from __future__ import annotations

import difflib
import json
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellclaims.errors import Fault, KeyFault

if TYPE_CHECKING:
    from ruamel.yaml.nodes import Node

#: Position in a file, as a path of keys and indices such as ``("sets", 0, "grid", "MONTHS", 1)``.
Place = tuple[str | int, ...]

#: Most levels of nesting. An alias to a value that contains it would be infinite.
DEEPEST = 20
#: Most keys and values in a file. Aliases of aliases multiply.
MOST = 100_000
#: Length of a quotation in a message.
QUOTED = 80
#: Plain values of the core schema (YAML 1.2, section 10.3.2) that are not text.
TAG = "tag:yaml.org,2002:"
BOOLEANS = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
INTEGER = re.compile(r"[-+]?[0-9]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

TYPE_WORDS = {"object": "keys with values", "array": "a list", "string": "text", "number": "a number",
              "integer": "a whole number", "boolean": "true or false", "null": "nothing"}  # fmt: skip
#: Limits of a schema in words.
LIMITS = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than", "exclusiveMaximum": "less than",
          "minItems": "at least", "maxItems": "at most"}  # fmt: skip


@dataclass(frozen=True)
class Document:
    """A YAML file: its content, the line of each position, and its syntax errors."""

    name: str
    content: Any = None
    lines: Mapping[Place, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()

    def line(self, place: Place) -> int:
        """Return the line of a position, or of the nearest position above it."""
        around = (place[:length] for length in range(len(place), 0, -1))
        return next((self.lines[part] for part in around if part in self.lines), 1)

    def fault(self, place: Place, rule: str, expected: str, found: str) -> Fault:
        """Return the fault at a position, with its line and key."""
        return KeyFault(self.name, self.line(place), in_words(place), rule, expected, found)


def in_words(place: Place) -> str:
    """Return a position as text.

    Examples
    --------
    >>> in_words(("sets", 0, "grid", "MONTHS"))
    'sets[1].grid.MONTHS'
    """
    parts = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in place)
    return "".join(parts).removeprefix(".")


# Reading.


def read(path: Path, name: str = "") -> Document:
    """Read a YAML file.

    Parameters
    ----------
    path : Path
        The file.
    name : str
        Name of the file in messages; the path if empty.

    Returns
    -------
    Document
        With faults if the file is missing, is not UTF-8 or YAML, or has a key twice. With duplicate keys only, the
        content is returned, too, with the first value of each key.
    """
    path, name = Path(path), name or str(path)
    try:
        return parse(path.read_bytes().decode("utf-8-sig"), name)
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        found = f"byte {error.object[error.start]:#04x}, which is not UTF-8: save the file as UTF-8"
        return Document(name, faults=(KeyFault(name, line, "", "encoding", "UTF-8 text", found),))
    except OSError as error:
        found = "no such file" if isinstance(error, FileNotFoundError) else str(error.strerror)
        return Document(name, faults=(KeyFault(name, None, "", "file", "a YAML file", found),))


def parse(text: str, name: str = "text") -> Document:
    """Read YAML from text; the faults are those of :func:`read`.

    Examples
    --------
    >>> parse("months: 12\\nwindow: [1, 2.5, no]").content
    {'months': 12, 'window': [1, 2.5, 'no']}
    >>> print(*parse("months: 12\\nmonths: 6", "a.yml").faults)
    a.yml, line 2, key months: expected each key once, found it in line 1, too (key)
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        node = YAML(typ="safe").compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        return Document(name, faults=tuple(_form_faults(text, name, mark.line + 1 if mark else 1, str(error.problem))))
    except YAMLError as error:
        return Document(name, faults=(KeyFault(name, None, "", "form", "YAML", str(error).splitlines()[0]),))
    if node is None:
        return Document(name, faults=(KeyFault(name, 1, "", "form", "keys with values", "an empty file"),))
    reader = _Reader(name)
    content = reader.value(node, ())
    return Document(name, content, reader.lines, tuple(reader.faults))


def _form_faults(text: str, name: str, line: int, problem: str) -> Iterator[Fault]:
    """Return the syntax errors: every line indented with a tab, or the problem named by the parser."""
    tabs = [number for number, one in enumerate(text.splitlines(), start=1) if re.match(r" *\t\s*[^\s#]", one)]
    for number in tabs:
        yield KeyFault(name, number, "", "form", "spaces at the start of the line", "a tab")
    if not tabs:
        last = max(len(text.splitlines()), 1)
        yield KeyFault(name, min(line, last), "", "form", "YAML", f"what the parser cannot read: {problem}")


class _Reader:
    """Converts the nodes of a file to values; collects the line of each position and the errors."""

    def __init__(self, name: str) -> None:
        self.document = Document(name)
        self.lines: dict[Place, int] = {}
        self.faults: list[Fault] = []

    def value(self, node: Node, place: Place) -> Any:
        """Return the value of a node, including nested lists and mappings."""
        line = self.lines.setdefault(place, node.start_mark.line + 1)
        if len(place) > DEEPEST or len(self.lines) > MOST:
            limit = f"at most {DEEPEST} levels and {MOST} values"
            if not any(fault.expected == limit for fault in self.faults):
                self._wrong(place, line, "form", limit, "more")
            return None
        if node.id == "mapping":
            return dict(self._items(node, place))
        if node.id == "sequence":
            return [self.value(item, (*place, number)) for number, item in enumerate(node.value)]
        return self._scalar(node, place)

    def _items(self, node: Node, place: Place) -> Iterator[tuple[str, Any]]:
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.id != "scalar":
                self._wrong(place, line, "form", "a name as key", f"a {key.id}")
                continue
            inside = (*place, key.value)
            if inside in self.lines:
                self._wrong(inside, line, "key", "each key once", f"it in line {self.lines[inside]}, too")
                continue
            self.lines[inside] = line
            yield key.value, self.value(value, inside)

    def _scalar(self, node: Node, place: Place) -> Any:
        text, kind = node.value, str(node.tag).removeprefix(TAG)
        if kind in ("int", "float") and (number := _number(text)) is not None:
            return number
        if kind == "bool" and text in BOOLEANS:
            return BOOLEANS[text]
        if kind == "null":
            return None
        if kind not in ("str", "int", "float", "bool", "timestamp"):
            self._wrong(place, self.lines[place], "form", "a value without a tag", f"the tag {node.tag}")
        return text

    def _wrong(self, place: Place, line: int, *words: str) -> None:
        self.faults.append(KeyFault(self.document.name, line, in_words(place), *words))


def _number(text: str) -> float | None:
    if INTEGER.fullmatch(text):
        return int(text)
    if FLOAT.fullmatch(text):
        return float(text)
    if found := NOT_FINITE.fullmatch(text):
        return float(f"{found[1] or ''}inf") if found[2] else float("nan")
    return None


# Checking against a schema.


def schema_faults(document: Document, schema: Path, columns: Mapping[str, Sequence[str]] | None = None) -> list[Fault]:
    """Return all differences between a file and a JSON Schema (draft 2020-12), by line.

    Parameters
    ----------
    document : Document
        The file as read.
    schema : Path
        The schema. The ``description`` of a part is used in messages.
    columns : mapping of str to sequence of str, optional
        Values allowed by ``valuesOf``, by ``table.column``. Other columns allow any text.

    Returns
    -------
    list of Fault
    """
    declared = json.loads(Path(schema).read_text(encoding="utf-8"))
    validator = _jsonschema().Draft202012Validator
    checker = _jsonschema().FormatChecker(formats=["date", "regex"])
    filled = _with_values(declared, document.content, columns or {})
    errors = list(validator(filled, format_checker=checker).iter_errors(document.content))
    misspelt = {(tuple(error.absolute_path), near) for error in errors for _, near in _unknown(error)}
    found = [fault for error in errors for fault in _faults_of(document, error, misspelt)]
    return sorted(dict.fromkeys(found), key=lambda fault: (fault.row or 0, fault.column))


def _jsonschema() -> Any:
    """Import jsonschema without a grammar that takes seconds to compile and that no schema here needs."""
    grammar = "rfc3987_syntax"  # for the format "iri"
    if "jsonschema" not in sys.modules and grammar not in sys.modules:
        sys.modules[grammar] = None  # type: ignore[assignment]
        try:
            import jsonschema
        finally:
            del sys.modules[grammar]
    import jsonschema

    return jsonschema


def _with_values(part: Any, content: Any, columns: Mapping[str, Sequence[str]]) -> Any:
    """Return the schema with ``keysOf`` and ``valuesOf`` replaced by ``enum``."""
    if isinstance(part, list):
        return [_with_values(one, content, columns) for one in part]
    if not isinstance(part, dict):
        return part
    filled = {name: _with_values(one, content, columns) for name, one in part.items()}
    known = list(part.get("enum", ()))
    if isinstance(where := part.get("keysOf"), str):
        inner = content
        for name in where.split("."):
            inner = inner.get(name) if isinstance(inner, dict) else None
        filled |= {"enum": [*inner, *known]} if isinstance(inner, dict) else {}
    if isinstance(where := part.get("valuesOf"), str) and where in columns:
        filled |= {"enum": [*columns[where], *known]}
    return filled


def _unknown(error: Any) -> list[tuple[str, str]]:
    """Return the unknown keys of a validation error, each with the most similar known key, if any."""
    if error.validator != "additionalProperties" or error.validator_value is not False:
        return []
    known = list(error.schema.get("properties", ()))
    return [(name, next(iter(difflib.get_close_matches(name, known, 1)), "")) for name in error.instance
            if name not in known]  # fmt: skip


def _faults_of(document: Document, error: Any, misspelt: Collection[tuple[Place, str]]) -> Iterator[Fault]:
    """Convert a validation error to faults, one per unknown or missing key; a misspelt key is not also missing."""
    place, rule, instance = tuple(error.absolute_path), error.validator, error.instance
    if unknown := _unknown(error):
        for name, _ in unknown:
            known = list(error.schema.get("properties", ()))
            yield document.fault((*place, name), "unknown key", one_of(known, name), repr(name))
    elif rule == "required":
        missing = next(name for name in error.validator_value if error.message.startswith(repr(name)))
        about = error.schema.get("properties", {}).get(missing, {}).get("description", "")
        if (place, missing) not in misspelt:
            yield document.fault(place, "missing key", f"the key {missing}" + (f" ({about})" if about else ""), "none")
    else:
        yield document.fault(place, rule, _expected(error), _shown(instance))


def _expected(error: Any) -> str:
    """Return in words what a schema expects: its description, else the broken rule."""
    rule, value, about = error.validator, error.validator_value, error.schema.get("description", "")
    if rule == "enum":
        return one_of([one if isinstance(one, str) else json.dumps(one) for one in value], error.instance)
    if rule == "type":
        words = " or ".join(TYPE_WORDS[name] for name in ([value] if isinstance(value, str) else value))
        return f"{about}, as {words}" if about else words
    if rule in LIMITS:
        counted = " in the list" if rule in ("minItems", "maxItems") else ""
        return f"{LIMITS[rule]} {value:g}{counted}" + (f" ({about})" if about else "")
    if rule == "format":
        return "a date as 2026-11-20" if value == "date" else f"a {value}"
    words = {"uniqueItems": "each value once", "minLength": "text that is not empty",
             "minProperties": "at least one key", "pattern": f"the form {value}"}  # fmt: skip
    return about or words.get(rule, error.message)


def one_of(known: Sequence[str], found: object) -> str:
    """Return the known names as an expectation, with the one most similar to the name that was found.

    Examples
    --------
    >>> one_of(["months", "window"], "windwo")
    "one of months, window (did you mean 'window'?)"
    """
    near = difflib.get_close_matches(str(found), known, 1)
    words = f"one of {', '.join(known)}" if len(known) > 1 else ", ".join(known) or "no key"
    return words + (f" (did you mean {near[0]!r}?)" if near else "")


def _shown(value: object) -> str:
    """Return a value as quoted in a message; text has quotation marks, so that quoted numbers can be recognised."""
    if isinstance(value, str):
        return repr(value if len(value) <= QUOTED else f"{value[:QUOTED]}…")
    if value is None:
        return "nothing"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}…"
