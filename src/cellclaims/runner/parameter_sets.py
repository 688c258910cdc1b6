"""Parameter sets: reading and checking the files of ``runs/``, which list the reports of a batch.

A *set* names a notebook, fixed values and a grid of values; each combination of the grid is one report.
All errors are found before anything runs and reported with their line. A JSON Schema checks the format; the
declarations of the notebook check the values.
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

#: Name for all numbered notebooks.
ALL = "all"

#: Names become folders on every system: their maximal length and allowed characters.
LONGEST_NAME = 120
RESERVED = ("index.html", "results.csv", "batch.json")
NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class WantedReport:
    """One report of a file: its name, notebook, checked values, and line."""

    name: str
    notebook: Path
    values: Mapping[str, object]
    line: int
    number: int = 0


@dataclass(frozen=True)
class ParameterSets:
    """A file of parameter sets: its title, description, and reports in order."""

    title: str
    about: str
    reports: tuple[WantedReport, ...]


def read_sets(path: Path) -> ParameterSets:
    """Read and check a file of parameter sets.

    Parameters
    ----------
    path : Path
        A YAML file that follows ``runs/schema.json``. Its key ``notebooks`` names the folder of its notebooks,
        relative to the file; without the key it is the nearest ``notebooks`` above the file, else above
        the working directory.

    Returns
    -------
    ParameterSets

    Raises
    ------
    ParameterError
        With all faults, one per line, with file, line and key: another format, an unknown parameter, a value of
        the wrong type or an impossible one, two reports of one name, a path outside the report's folder.
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
    """Return the folder of the notebooks of a file of parameter sets.

    Parameters
    ----------
    path : Path
        The file, in any folder.
    named : str, optional
        The value of its key ``notebooks``, relative to the file.

    Returns
    -------
    Path
        The named folder; else the nearest ``notebooks`` above the file, then above the working directory.
    """
    home = path.resolve().parent
    if named is not None:
        return home / named
    around = (*[home, *home.parents], *[Path.cwd(), *Path.cwd().parents])
    found = (folder / "notebooks" for folder in around)
    return next((folder for folder in found if any(folder.glob("*.ipynb"))), home.parent / "notebooks")


@dataclass
class _Planner:
    """Converts sets to reports, and collects faults of their values."""

    document: Document
    home: Path
    faults: list[Fault] = field(default_factory=list)

    def reports_of(self, one: Mapping[str, Any], number: int) -> Iterator[WantedReport]:
        """Yield the reports of one set: each notebook with each combination of the grid."""
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
        """Return the notebooks of a set: all numbered ones, or one."""
        known = sorted(path.stem for path in self.home.glob("*.ipynb") if "." not in path.stem)
        found = [stem for stem in known if stem == name or (name == ALL and re.match(r"\d\d_", stem))]
        if not found:
            expected = yaml_files.one_of([ALL, *known], name) if known else f"notebooks in {self.home}"
            self._wrong((*place, "notebook"), expected, repr(name))
        return [self.home / f"{stem}.ipynb" for stem in found]

    def _value(self, own: tuple[Parameter, ...], name: str, value: object, place: Place) -> object:
        """Return a value that the notebook declares and that is no path to another folder."""
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
        """Return the name of a report: from the template of the set, else from notebook and values."""
        if template is None:
            return report_name(stem, values)
        words = {"notebook": stem} | {name: in_name(value) for name, value in values.items()}
        if unknown := [name for name in re.findall(r"\{(\w*)\}", template) if name not in words]:
            self._wrong(place, f"names among {', '.join(words)} in braces", repr(unknown[0]))
        return re.sub(r"\{(\w+)\}", lambda found: words.get(found[1], found[1]), template)

    def check_names(self, reports: tuple[WantedReport, ...]) -> None:
        """Check that names are unique (also on case-insensitive systems) and differ from other folders."""
        seen: dict[str, WantedReport] = {}
        for report in reports if not self.faults else ():  # a name made from wrong values is not checked
            place = ("sets", report.number)
            if not _is_a_name(report.name):
                self._wrong(place, f"a name of at most {LONGEST_NAME} letters, digits, '.', '_' and '-' "
                            "inside the folder of the batch", repr(report.name))  # fmt: skip
            first = seen.setdefault(report.name.lower(), report)
            if first is not report:
                self._wrong(place, "each report once", f"report {report.name!r} in line {first.line}, too")

    def check_by_evidence(self, reports: tuple[WantedReport, ...]) -> None:
        """Find values that are impossible with the evidence of a report; each value is checked once."""
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
        if fault not in self.faults:  # a set may concern several notebooks
            self.faults.append(fault)


def report_name(stem: str, values: Mapping[str, object]) -> str:
    """Return the name of a report, made from its notebook and its values.

    Examples
    --------
    >>> report_name("02_hba1c", {"POPULATION": "T2D", "MONTHS": 6.0, "DESIGNS": ["rct", "cohort"]})
    '02_hba1c_population-T2D_months-6_designs-rct-cohort'
    """
    return "_".join([stem, *(f"{name.lower()}-{in_name(value)}" for name, value in values.items())])


def in_name(value: object) -> str:
    """Return a value as a part of a name: letters, digits, dots and dashes.

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
