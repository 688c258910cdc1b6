"""Parameter sets: a file of ``runs/`` that says which reports a batch consists of.

A *set* names a notebook, gives it fixed values and a grid of values, and stands for one report for each
combination of the grid. Everything that can be wrong with it is found before anything runs, and said with the
line of the file: the shape by a JSON Schema, each value by what the notebook itself declares.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellclaims.errors import ParameterError, ReviewError
from cellclaims.parameters import has_rule, refuse_impossible
from cellclaims.runner.review import cells_of, parameters_of
from cellclaims.runner.run import PLACES, Parameter, base_of, checked, core_loader, places

if TYPE_CHECKING:
    import yaml

    from cellclaims.selection import EvidenceBase


# A YAML file with the line of everything in it, so that a refusal can say where.


#: Levels of a file; an alias inside what it stands for has no end.
DEEPEST = 20


@dataclass(frozen=True)
class Lines:
    """The lines of a file: a *place* is the way from its top, such as ``("sets", 0, "grid", "MONTHS", 1)``."""

    path: Path
    numbers: Mapping[tuple, int]

    def line(self, place: tuple) -> int:
        """The line of a place, or of the nearest place around it that the file has."""
        around = (place[:length] for length in range(len(place), 0, -1))
        return next((self.numbers[part] for part in around if part in self.numbers), 1)

    def at(self, place: tuple) -> str:
        """File and line of a place, for a message."""
        return f"{self.path}, line {self.line(place)}"


def read_yaml(path: Path) -> tuple[object, Lines]:
    """The content of a YAML file (1.2 core schema) and its lines.

    Raises
    ------
    ParameterError
        If there is no such file, it is no YAML, or a key stands twice in one mapping.
    """
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"expected a file of parameter sets at {path}: {error}") from None
    loader = core_loader()(text)
    try:
        node = loader.get_single_node()
        if node is None:
            raise ParameterError(f"{path}, line 1: expected parameter sets, found an empty file")
        lines = Lines(path, dict(_lines(node, (), path)))
        return loader.construct_document(node), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise ParameterError(f"{path}, line {mark.line + 1 if mark else 1}: {error.problem}") from None
    finally:
        loader.dispose()


def _lines(node: yaml.Node, place: tuple, path: Path) -> Iterator[tuple[tuple, int]]:
    """Every place in a node with its line, counted from 1; a value's line is that of its key."""
    if len(place) > DEEPEST:
        raise ParameterError(f"{path}, line {node.start_mark.line + 1}: expected at most {DEEPEST} levels")
    if node.id == "mapping":
        seen: set[str] = set()
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.id != "scalar":
                raise ParameterError(f"{path}, line {line}: expected a name as key, found a {key.id}")
            if key.value in seen:
                raise ParameterError(f"{path}, line {line}: {key.value!r} stands twice")
            seen.add(key.value)
            yield (*place, key.value), line
            yield from _lines(value, (*place, key.value), path)
    elif node.id == "sequence":
        for number, item in enumerate(node.value):
            yield (*place, number), item.start_mark.line + 1
            yield from _lines(item, (*place, number), path)


SCHEMA = Path(__file__).with_name("runs.schema.json")

#: Stands for all numbered notebooks.
ALL = "all"

#: A name becomes a folder on every system: its longest, and what it may be made of.
LONGEST_NAME = 120
RESERVED = ("index.html", "results.csv", "batch.json")
NO_NAME = re.compile(r"[^A-Za-z0-9._-]+")


@dataclass(frozen=True)
class Wanted:
    """One report that a file asks for: its name, its notebook, its values (checked), and the line that asks."""

    name: str
    notebook: Path
    values: Mapping[str, object]
    line: int


@dataclass(frozen=True)
class ParameterSets:
    """A file of parameter sets: its title, what it is about, and its reports in order."""

    title: str
    about: str
    reports: tuple[Wanted, ...]


def read_sets(path: Path) -> ParameterSets:
    """Read and check a file of parameter sets.

    Parameters
    ----------
    path : Path
        A YAML file in the shape of ``runs/schema.json``. Its notebooks lie in the folder that its key ``notebooks``
        names, seen from the file; without the key in the nearest ``notebooks`` of a folder around the file, else of
        one around the working directory.

    Raises
    ------
    ParameterError
        With file and line: another shape, an unknown parameter, a value of another type or one that no question
        can have, two reports of one name, a place outside the report's folder.
    """
    path = Path(path)
    content, lines = read_yaml(path)
    for place, words in shape_faults(content):
        raise ParameterError(f"{lines.at(place)}: {words}")
    home = notebooks_of(path, content.get("notebooks"))
    reports = tuple(
        report for number, one in enumerate(content["sets"]) for report in _reports_of(one, number, home, lines)
    )
    _check_by_evidence(reports, lines)
    _check_names(reports, lines)
    return ParameterSets(content["title"], content.get("about", ""), reports)


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


def shape_faults(content: object) -> Iterator[tuple[tuple, str]]:
    """Places where the content is not in the shape of the schema, each with what was expected.

    Examples
    --------
    >>> list(shape_faults({"title": "One", "sets": [{"notebook": "02_hba1c", "grit": {}}]}))
    [(('sets', 0, 'grit'), "expected one of notebook, name, fixed, grid, found 'grit'")]
    """
    for error in sorted(_validator().iter_errors(content), key=lambda error: list(map(str, error.absolute_path))):
        place = tuple(error.absolute_path)
        known = error.schema.get("properties", {}) if error.validator == "additionalProperties" else {}
        unknown = [name for name in error.instance if name not in known] if known else []
        if unknown:
            yield (*place, unknown[0]), f"expected one of {', '.join(known)}, found {unknown[0]!r}"
        else:
            yield place, f"expected {error.schema.get('description', 'another value')}: {error.message}"


@functools.cache
def _validator() -> Any:
    import jsonschema  # 0.2 s, needed only when a file is read

    return jsonschema.Draft202012Validator(json.loads(SCHEMA.read_text(encoding="utf-8")))


def _reports_of(one: Mapping[str, Any], number: int, home: Path, lines: Lines) -> Iterator[Wanted]:
    """The reports of one set: each notebook with each combination of its grid."""
    place = ("sets", number)
    fixed, grid = one.get("fixed", {}), one.get("grid", {})
    for name in [name for name in grid if name in fixed]:
        raise ParameterError(f"{lines.at((*place, 'grid', name))}: {name} stands in fixed, too")
    for notebook in _notebooks(one["notebook"], home, lines, place):
        own = parameters_of(cells_of(notebook))
        start = {n: _value(own, n, value, lines, (*place, "fixed", n)) for n, value in fixed.items()}
        choices = {
            n: [_value(own, n, value, lines, (*place, "grid", n, at)) for at, value in enumerate(values)]
            for n, values in grid.items()
        }
        for combination in itertools.product(*choices.values()):
            values = start | dict(zip(choices, combination, strict=True))
            named = _name(one.get("name"), notebook.stem, values, lines, (*place, "name"))
            yield Wanted(named, notebook, values, lines.line(place))


def _check_by_evidence(reports: tuple[Wanted, ...], lines: Lines) -> None:
    """Refuse values that no question about a report's evidence can have; each value is looked at once."""
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
        try:
            refuse_impossible(bases[data], new)
        except ParameterError as error:
            raise ParameterError(f"{lines.path}, line {report.line}: {report.name}: {error}") from None


def _notebooks(name: str, home: Path, lines: Lines, place: tuple) -> list[Path]:
    """The notebooks that a set names: all numbered ones, or one."""
    known = sorted(path.stem for path in home.glob("*.ipynb") if "." not in path.stem)
    found = [stem for stem in known if stem == name or (name == ALL and re.match(r"\d\d_", stem))]
    if not found:
        expected = ", ".join([ALL, *known]) if known else f"notebooks in {home}"
        raise ParameterError(f"{lines.at((*place, 'notebook'))}: expected one of {expected}, found {name!r}")
    return [home / f"{stem}.ipynb" for stem in found]


def _value(own: tuple[Parameter, ...], name: str, value: object, lines: Lines, place: tuple) -> object:
    """A value that the notebook declares and that leads nowhere else; refused with its line."""
    try:
        checked_value = checked(own, {name: value})[name]
    except ParameterError as error:
        raise ParameterError(f"{lines.at(place)}: {error}") from None
    if name in PLACES and name != "DATA":
        raise ParameterError(
            f"{lines.at(place)}: {name}: a report keeps its files in its own folder; found {value!r}, "
            "expected no value (`cellclaims batch --into FOLDER` says where the folder lies)"
        )
    return checked_value


def _name(template: str | None, stem: str, values: Mapping[str, object], lines: Lines, place: tuple) -> str:
    """The name of a report: by the set's own template, else made from notebook and values."""
    if template is None:
        return report_name(stem, values)
    words = {"notebook": stem} | {name: in_name(value) for name, value in values.items()}
    if unknown := [name for name in re.findall(r"\{(\w*)\}", template) if name not in words]:
        raise ParameterError(
            f"{lines.at(place)}: expected names among {', '.join(words)} in braces, found {unknown[0]!r}"
        )
    return re.sub(r"\{(\w+)\}", lambda found: words[found[1]], template)


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


def _check_names(reports: tuple[Wanted, ...], lines: Lines) -> None:
    """Names are folders: each once (on systems that take A for a, too), and no other folder's."""
    seen: dict[str, Wanted] = {}
    for report in reports:
        place = f"{lines.path}, line {report.line}"
        if not _is_a_name(report.name):
            raise ParameterError(
                f"{place}: expected a name of at most {LONGEST_NAME} letters, digits, '.', '_' and '-' "
                f"inside the folder of the batch, found {report.name!r}"
            )
        first = seen.setdefault(report.name.lower(), report)
        if first is not report:
            raise ParameterError(f"{place}: report {report.name!r} stands in line {first.line} already")
    if not reports:
        raise ReviewError(f"{lines.path}: expected at least one report, found none")
