"""The review's rules, read from ``data/protocol.yml``: eligibility, outcomes, windows, models, thresholds.

An *outcome* is what is measured; its *window* is how many months a report may differ from the requested time.
A *product* is a named set of intervention classes. A *counterpart* names the published question to compare with
an advertised value, with a recorded grade of the match.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellclaims import yaml_files
from cellclaims.errors import Fault, ProtocolError, listed
from cellclaims.yaml_files import Document

FILE = "protocol.yml"
#: JSON Schema of the protocol.
SCHEMA = Path(__file__).with_name("protocol.schema.json")


@dataclass(frozen=True)
class Outcome:
    """One outcome of the protocol: the requested time and the window around it, in months.

    ``months`` is a pair, the shortest and the longest follow-up, if the longest of each study is used.
    ``units`` are those without a conversion between them, the default first.
    """

    outcome_id: str
    name: str
    better: str
    months: float | tuple[float, float]
    window: float = 0.0
    units: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protocol:
    """``data/protocol.yml``, with sections by name; failed lookups list the known names."""

    content: Mapping[str, Any]

    def __getitem__(self, section: str) -> Any:
        return self.content[section]

    @property
    def evidence_date(self) -> str:
        """Date on which the sources were read (ISO)."""
        return str(self.content["evidence_date"])

    def outcome(self, outcome_id: str) -> Outcome:
        """Return the outcome or harm of that name; raises ProtocolError with the known names."""
        found = _lookup({**self.content["harms"]["outcomes"], **self.content["outcomes"]}, outcome_id, "outcome")
        months, units = found["months"], tuple(found.get("units", ()))
        if isinstance(months, list):
            return Outcome(outcome_id, found["name"], found["better"], tuple(map(float, months)), units=units)
        return Outcome(outcome_id, found["name"], found["better"], float(months), float(found["window"]), units)

    def classes(self, product: str) -> list[str]:
        """Intervention classes of a product; raises ProtocolError with the known products."""
        return list(_lookup(self.content["eligibility"]["products"], product, "product")["classes"])

    def product_name(self, product: str) -> str:
        """Return a product in words."""
        return _lookup(self.content["eligibility"]["products"], product, "product")["name"]

    def populations(self, wanted: list[str]) -> list[str]:
        """Return the same list, after each type of diabetes was found in the protocol."""
        for population in wanted:
            _lookup(self.content["eligibility"]["populations"], population, "population")
        return list(wanted)

    def estimand(self, name: str) -> str:
        """Return an estimand of insulin independence in words; raises ProtocolError with the known names."""
        return _lookup(self.content["outcomes"]["insulin_independence"]["estimands"], name, "estimand")

    def queries(self, source: str) -> dict[str, dict[str, str]]:
        """Return the queries for one public source: name -> parameters; raises ProtocolError if invalid."""
        section = self.content.get("pull") or {}
        found = section.get(source) or {} if isinstance(section, dict) else section
        queries = found.values() if isinstance(found, dict) else [found]
        if not all(isinstance(one, dict) and all(isinstance(text, str) for text in one.values()) for one in queries):
            raise ProtocolError(f"pull.{source}: expected queries by name, parameters as text; found {found!r:.200}")
        return {str(name): dict(parameters) for name, parameters in found.items()}


def load(folder: str | Path = "data") -> Protocol:
    """Read ``protocol.yml`` of a data folder, or raise an error with all its faults.

    Parameters
    ----------
    folder : str or Path
        The data folder.

    Returns
    -------
    Protocol

    Raises
    ------
    ProtocolError
        For all faults, one per line: line, key, expected and found. See :func:`faults`.
    """
    document, found = _checked(Path(folder))
    if found:
        raise ProtocolError(listed(found))
    return Protocol(document.content)


def faults(folder: str | Path = "data") -> list[Fault]:
    """Return every fault of ``protocol.yml``: syntax, unknown, misspelt, repeated and missing keys, and wrong values.

    Its shape is declared by ``protocol.schema.json``. What it names must exist: classes, comparators and designs among
    the values that ``datapackage.json`` of the same folder allows, products and outcomes in the protocol itself.

    Parameters
    ----------
    folder : str or Path
        The data folder.

    Returns
    -------
    list of Fault
        In the order of the lines; empty if the protocol can be used.
    """
    return _checked(Path(folder))[1]


def _checked(folder: Path) -> tuple[Document, list[Fault]]:
    if not folder.is_dir():
        raise ProtocolError(f"{folder}: expected a data folder, found no such folder")
    document = yaml_files.read(folder / FILE)
    if document.content is None:
        return document, list(document.faults)
    shape = yaml_files.schema_faults(document, SCHEMA, _columns(folder))
    return document, sorted([*document.faults, *shape], key=lambda fault: fault.row or 0)


def _columns(folder: Path) -> dict[str, list[str]]:
    """Return the values allowed by ``datapackage.json``, by ``table.column``; none if it cannot be read."""
    try:
        resources = json.loads((folder / "datapackage.json").read_text(encoding="utf-8"))["resources"]
        return {
            f"{table['name']}.{column['name']}": column["constraints"]["enum"]
            for table in resources
            for column in table["schema"]["fields"]
            if "enum" in column.get("constraints", {})
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


# The reference for people: every key of the schema, kept in ``docs/protocol.md``.


HEAD = "| key | must be given | value | meaning |\n|---|---|---|---|"
INTRODUCTION = """\
# The protocol, key by key

`data/protocol.yml` states the rules of the review. This page is generated from `src/cellclaims/protocol.schema.json`;
a test fails if it is out of date. `cellclaims check` names every unknown, misspelt, repeated or missing key and every
wrong value, with its line. `<name>` is a name that the protocol chooses; `[]` is an entry of a list.
"""


def reference() -> str:
    """Return ``docs/protocol.md``: a table of keys for each section of the protocol."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    alone, sections = [], []
    parts = {**schema["properties"], **{name: schema["$defs"][name] for name in _shared(schema)}}
    for name, part in parts.items():
        rows = list(_key_rows(schema, part, name, name in schema["required"]))
        about = part.get("description", "")
        if len(rows) == 1 and name not in schema["$defs"]:
            alone += rows
        else:
            sections.append("\n".join([f"## {name}\n\n{about[:1].upper()}{about[1:]}.\n", HEAD, *rows]))
    return "\n\n".join([f"{INTRODUCTION}\n{HEAD}\n" + "\n".join(alone), *sections]) + "\n"


def _shared(schema: Mapping[str, Any]) -> list[str]:
    """Return the parts used in several sections, which are explained once."""
    return [name for name, part in schema["$defs"].items() if "properties" in part or "additionalProperties" in part]


def _key_rows(schema: Mapping[str, Any], part: Mapping[str, Any], place: str, needed: bool) -> Iterator[str]:
    """Yield the rows of a key and of all keys inside it."""
    full, shared = part, ""
    if "$ref" in part:
        name = part["$ref"].rpartition("/")[2]
        full = {**schema["$defs"][name], **part}
        shared = name if name in _shared(schema) else ""
    value = f"see [{shared}](#{shared})" if shared else _value_words(full)
    cells = [f"`{place}`", "yes" if needed else "", value, full.get("description", "")]
    yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
    if shared:
        return
    for name, inner in full.get("properties", {}).items():
        yield from _key_rows(schema, inner, f"{place}.{name}", name in full.get("required", ()))
    if isinstance(inner := full.get("additionalProperties"), dict):
        yield from _key_rows(schema, inner, f"{place}.<name>", False)
    if isinstance(inner := full.get("items"), dict):
        yield from _key_rows(schema, inner, f"{place}[]", False)


def _value_words(part: Mapping[str, Any]) -> str:
    """Return the allowed values of a key, in words."""
    words = [f"`{one}`" for one in part.get("enum", ())]
    words += [f"a value of `{part['valuesOf']}`"] if "valuesOf" in part else []
    words += [f"a key of `{part['keysOf']}`"] if "keysOf" in part else []
    if words:
        return ", ".join(words)
    kinds = part.get("type", "")
    kinds = [kinds] if isinstance(kinds, str) else kinds
    if part.get("format") == "date":
        return "a date as 2026-11-20"
    kind = " or ".join(yaml_files.TYPE_WORDS[name] for name in kinds if name)
    limits = [
        f"{words} {part[rule]:g}" for rule, words in yaml_files.LIMITS.items() if rule in part and "Items" not in rule
    ]
    return " ".join([kind, ", ".join(limits)]).strip()


def _lookup(known: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in known:
        raise ProtocolError(f"expected {what} to be one of {', '.join(known)}; found {name!r}")
    return known[name]
