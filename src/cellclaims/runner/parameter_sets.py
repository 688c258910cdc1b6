"""Parameter sets: a file of ``runs/`` that says which reports a batch consists of.

A *set* names a notebook, gives it fixed values and a grid of values, and stands for one report for each
combination of the grid. Everything that can be wrong with it is found before anything runs, and said with the
line of the file: the shape by a JSON Schema, each value by what the notebook itself declares.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellclaims import yaml_files
from cellclaims.errors import Fault, ParameterError, listed
from cellclaims.parameters import has_rule, refuse_impossible
from cellclaims.runner.review import cells_of, parameters_of
from cellclaims.runner.run import PLACES, Parameter, base_of, checked, fits, places
from cellclaims.yaml_files import Document, Place

if TYPE_CHECKING:
    from cellclaims.selection import EvidenceBase

SCHEMA = Path(__file__).with_name("runs.schema.json")

#: Stands for all numbered notebooks.
ALL = "all"

#: A name becomes a folder on every system: its longest, and what it may be made of.
LONGEST_NAME = 120
RESERVED = ("index.html", "results.csv", "batch.json")
NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class WantedReport:
    """One report that a file asks for: its name, its notebook, its values (checked), and where the file asks for it."""

    name: str
    notebook: Path
    values: Mapping[str, object]
    line: int
    number: int = 0


@dataclass(frozen=True)
class ParameterSets:
    """A file of parameter sets: its title, what it is about, and its reports in order."""

    title: str
    about: str
    reports: tuple[WantedReport, ...]


def read_sets(path: Path) -> ParameterSets:
    """Read and check a file of parameter sets.

    Parameters
    ----------
    path : Path
        A YAML file in the shape of ``runs/schema.json``. Its notebooks lie in the folder that its key ``notebooks``
        names, seen from the file; without the key in the nearest ``notebooks`` of a folder around the file, else of
        one around the working directory.

    Returns
    -------
    ParameterSets

    Raises
    ------
    ParameterError
        For all faults, one per line, each with file, line and key: another shape, an unknown parameter, a value of
        another type or one that no question can have, two reports of one name, a place outside the report's folder.
    """
    document = yaml_files.read(Path(path))
    faults = list(document.faults)
    if document.content is not None:
        faults += yaml_files.schema_faults(document, SCHEMA)
    if faults:
        raise ParameterError(listed(sorted(faults, key=lambda fault: fault.row or 0)))
    planner = _Planner(document, notebooks_of(Path(path), document.content.get("notebooks")))
    reports = tuple(
        report for number, one in enumerate(document.content["sets"]) for report in planner.reports_of(one, number)
    )
    planner.check_by_evidence(reports)
    planner.check_names(reports)
    if planner.faults:
        raise ParameterError(listed(planner.faults))
    return ParameterSets(document.content["title"], document.content.get("about", ""), reports)


def notebooks_of(path: Path, named: str | None = None) -> Path:
    """The folder of the notebooks of a file of parameter sets.

    Parameters
    ----------
    path : Path
        The file, which may lie anywhere.
    named : str, optional
        What its key ``notebooks`` says, seen from the file.

    Returns
    -------
    Path
        The named folder; else the nearest ``notebooks`` around the file, then around the working directory.
    """
    home = path.resolve().parent
    if named is not None:
        return home / named
    around = (*[home, *home.parents], *[Path.cwd(), *Path.cwd().parents])
    found = (folder / "notebooks" for folder in around)
    return next((folder for folder in found if any(folder.glob("*.ipynb"))), home.parent / "notebooks")


@dataclass
class _Planner:
    """Turns sets into reports, and keeps what is wrong with their values."""

    document: Document
    home: Path
    faults: list[Fault] = field(default_factory=list)

    def reports_of(self, one: Mapping[str, Any], number: int) -> Iterator[WantedReport]:
        """The reports of one set: each notebook with each combination of its grid."""
        place = ("sets", number)
        fixed, grid = one.get("fixed", {}), one.get("grid", {})
        for name in [name for name in grid if name in fixed]:
            found = f"it in fixed, too, in line {self.document.line((*place, 'fixed', name))}"
            self._wrong((*place, "grid", name), "each parameter once", found)
        for notebook in self._notebooks(one["notebook"], place):
            own = parameters_of(cells_of(notebook))
            before = len(self.faults)
            start = {n: self._value(own, n, value, (*place, "fixed", n)) for n, value in fixed.items()}
            choices = {
                n: [self._value(own, n, value, (*place, "grid", n, at)) for at, value in enumerate(values)]
                for n, values in grid.items()
            }
            if len(self.faults) > before:
                continue
            for combination in itertools.product(*choices.values()):
                values = start | dict(zip(choices, combination, strict=True))
                named = self._name(one.get("name"), notebook.stem, values, (*place, "name"))
                yield WantedReport(named, notebook, values, self.document.line(place), number)

    def _notebooks(self, name: str, place: Place) -> list[Path]:
        """The notebooks that a set names: all numbered ones, or one."""
        known = sorted(path.stem for path in self.home.glob("*.ipynb") if "." not in path.stem)
        found = [stem for stem in known if stem == name or (name == ALL and re.match(r"\d\d_", stem))]
        if not found:
            expected = yaml_files.one_of([ALL, *known], name) if known else f"notebooks in {self.home}"
            self._wrong((*place, "notebook"), expected, repr(name))
        return [self.home / f"{stem}.ipynb" for stem in found]

    def _value(self, own: tuple[Parameter, ...], name: str, value: object, place: Place) -> object:
        """A value that the notebook declares and that leads to no other folder."""
        declared = {parameter.name: parameter for parameter in own}
        if name not in declared:
            self._wrong(place, f"a parameter: {yaml_files.one_of(list(declared), name.upper())}", repr(name))
            return None
        if not fits(value, declared[name].type):
            expected = f"{declared[name].type} for {name} (default {declared[name].default!r})"
            self._wrong(place, expected, f"{value!r} ({type(value).__name__})")
            return None
        if name in PLACES and name != "DATA":
            expected = "no value: a report keeps its files in its own folder, and `cellclaims batch --into` names it"
            self._wrong(place, expected, repr(value))
        return checked(own, {name: value})[name]

    def _name(self, template: str | None, stem: str, values: Mapping[str, object], place: Place) -> str:
        """The name of a report: by the set's own template, else made from notebook and values."""
        if template is None:
            return report_name(stem, values)
        words = {"notebook": stem} | {name: in_name(value) for name, value in values.items()}
        if unknown := [name for name in re.findall(r"\{(\w*)\}", template) if name not in words]:
            self._wrong(place, f"names among {', '.join(words)} in braces", repr(unknown[0]))
        return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[1]), template)

    def check_names(self, reports: tuple[WantedReport, ...]) -> None:
        """Names are folders: each once (on systems that take A for a, too), and no other folder's."""
        seen: dict[str, WantedReport] = {}
        for report in reports if not self.faults else ():  # a name made from wrong values says nothing
            place = ("sets", report.number)
            if not _is_a_name(report.name):
                self._wrong(place, f"a name of at most {LONGEST_NAME} letters, digits, '.', '_' and '-' "
                            "inside the folder of the batch", repr(report.name))  # fmt: skip
            first = seen.setdefault(report.name.lower(), report)
            if first is not report:
                self._wrong(place, "each report once", f"report {report.name!r} in line {first.line}, too")

    def check_by_evidence(self, reports: tuple[WantedReport, ...]) -> None:
        """Name values that no question about a report's evidence can have; each value is looked at once."""
        bases: dict[Path, EvidenceBase] = {}
        seen: set[tuple[Path, str, str]] = set()
        for report in reports:
            own = parameters_of(cells_of(report.notebook))
            data = places(own, report.values, report.notebook, report.notebook.parent).get("DATA")
            new = {n: v for n, v in report.values.items() if has_rule([n]) and (data, n, repr(v)) not in seen}
            if not new or data is None or not data.is_dir():
                continue
            seen |= {(data, name, repr(value)) for name, value in new.items()}
            if data not in bases:
                bases[data] = base_of(data)
            for name, value in new.items():
                with_it = {"CLAIMS": report.values.get("CLAIMS")} if name == "CLAIM" else {}
                try:
                    refuse_impossible(bases[data], {name: value, **with_it})
                except ParameterError as error:
                    part = "fixed" if name in self.document.content["sets"][report.number].get("fixed", {}) else "grid"
                    expected, _, found = str(error).removeprefix(f"{name}: expected ").rpartition(", found ")
                    self._wrong(("sets", report.number, part, name), expected, found)

    def _wrong(self, place: Place, expected: str, found: str) -> None:
        fault = self.document.fault(place, "set", expected, found)
        if fault not in self.faults:  # the same set may be asked of several notebooks
            self.faults.append(fault)


def report_name(stem: str, values: Mapping[str, object]) -> str:
    """The name of a report, made from its notebook and its values.

    Examples
    --------
    >>> report_name("02_hba1c", {"POPULATION": "T2D", "MONTHS": 6.0, "DESIGNS": ["rct", "cohort"]})
    '02_hba1c_population-T2D_months-6_designs-rct-cohort'
    """
    return "_".join([stem, *(f"{name.lower()}-{in_name(value)}" for name, value in values.items())])


def in_name(value: object) -> str:
    """A value as a part of a name: letters, digits, dots and dashes.

    Examples
    --------
    >>> [in_name(value) for value in (12.0, 0.35, ["a10", "a56"], [], None, "any cells", True)]
    ['12', '0.35', 'a10-a56', 'none', 'none', 'any-cells', 'true']
    """
    if isinstance(value, list):
        return "-".join(in_name(part) for part in value) or "none"
    if isinstance(value, dict):
        return "-".join(f"{name}-{in_name(part)}" for name, part in value.items()) or "none"
    text = f"{value:g}" if isinstance(value, float) else "none" if value is None else json.dumps(value)
    return NO_NAME.sub("-", text.strip('"')).strip("-") or "none"


def _is_a_name(name: str) -> bool:
    is_plain = not NO_NAME.search(name) and not name.startswith((".", "-"))
    return is_plain and len(name) <= LONGEST_NAME and name.lower() not in RESERVED
