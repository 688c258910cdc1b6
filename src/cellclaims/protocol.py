"""The review's rules, read from ``data/protocol.yml``: eligibility, outcomes, windows, models, thresholds.

An *outcome* is what is measured; its *window* is how many months a report may stand from the month asked for.
A *product* is a named set of intervention classes. A *counterpart* says which published question answers an
advertised figure, with a recorded grade of how well it matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellclaims.errors import ProtocolError

#: What a protocol must hold; anything else is shown but not needed.
SECTIONS = tuple("fixed_on evidence_date eligibility outcomes selection models thresholds verdict counterparts".split())
GRADES = ("good", "partial", "poor")


@dataclass(frozen=True)
class Outcome:
    """One outcome of the protocol: the month asked for and how far a report may stand from it."""

    outcome_id: str
    name: str
    better: str
    months: float
    window: float


@dataclass(frozen=True)
class Protocol:
    """``data/protocol.yml``; sections are reached by name, lookups say what is known when they fail."""

    content: Mapping[str, Any]

    def __getitem__(self, section: str) -> Any:
        return self.content[section]

    @property
    def evidence_date(self) -> str:
        """The day on which the sources were read (ISO)."""
        return str(self.content["evidence_date"])

    def outcome(self, outcome_id: str) -> Outcome:
        """The outcome of that name; raises ProtocolError with the known names."""
        found = _lookup(self.content["outcomes"], outcome_id, "outcome")
        return Outcome(outcome_id, found["name"], found["better"], float(found["months"]), float(found["window"]))

    def classes(self, product: str) -> list[str]:
        """Intervention classes of a product; raises ProtocolError with the known products."""
        return list(_lookup(self.content["eligibility"]["products"], product, "product")["classes"])

    def product_name(self, product: str) -> str:
        """A product in words."""
        return _lookup(self.content["eligibility"]["products"], product, "product")["name"]

    def populations(self, wanted: list[str]) -> list[str]:
        """The same list, after each type of diabetes was found in the protocol."""
        for population in wanted:
            _lookup(self.content["eligibility"]["populations"], population, "population")
        return list(wanted)

    def estimand(self, name: str) -> str:
        """An estimand of insulin independence in words; raises ProtocolError with the known names."""
        return _lookup(self.content["outcomes"]["insulin_independence"]["estimands"], name, "estimand")

    def queries(self, source: str) -> dict[str, dict[str, str]]:
        """What a pull asks one public source: name of a query -> its parameters; ProtocolError for another shape."""
        section = self.content.get("pull") or {}
        found = section.get(source) or {} if isinstance(section, dict) else section
        queries = found.values() if isinstance(found, dict) else [found]
        if not all(isinstance(one, dict) and all(isinstance(text, str) for text in one.values()) for one in queries):
            raise ProtocolError(f"pull.{source}: expected queries by name, parameters as text; found {found!r:.200}")
        return {str(name): dict(parameters) for name, parameters in found.items()}


def load(folder: str | Path = "data") -> Protocol:
    """Read ``protocol.yml`` of a data folder.

    Raises
    ------
    ProtocolError
        When the file is missing, is no YAML, lacks a section, or holds an unknown grade.
    """
    import yaml

    path = Path(folder) / "protocol.yml"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ProtocolError(f"{path}: expected the review's protocol, found no file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as fault:
        raise ProtocolError(f"{path}: expected YAML, found {fault}") from None
    _check(path, content)
    return Protocol(content)


def _check(path: Path, content: object) -> None:
    missing = [s for s in SECTIONS if not isinstance(content, dict) or s not in content]
    if missing:
        raise ProtocolError(f"{path}: expected the sections {', '.join(SECTIONS)}; missing {', '.join(missing)}")
    for claim_id, counterpart in content["counterparts"].items():
        for what, (grade, _reason) in counterpart["match"].items():
            if grade not in GRADES:
                raise ProtocolError(
                    f"{path}: counterparts.{claim_id}.match.{what}: expected one of {GRADES}, found {grade!r}"
                )


def _lookup(known: Mapping[str, Any], name: str, what: str) -> Any:
    if name not in known:
        raise ProtocolError(f"expected {what} to be one of {', '.join(known)}; found {name!r}")
    return known[name]
