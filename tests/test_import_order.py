"""A module of the package imports only what stands above it, so that it can be read from the top; none goes in circles."""

from __future__ import annotations

import re
from pathlib import Path

import house_map
import pytest
from house_map import ORDER, PACKAGE, circles, class_names, graph, imports, modules

DOCS = Path(__file__).resolve().parent.parent / "docs"
#: No module is longer.
LONGEST = 900


def top_modules(package):
    """Names directly under a package: its modules and subpackages."""
    return sorted({name.split(".")[0] for name in modules(package)} - {""})


def faults(package, order):
    """Imports of something that does not stand above, as ``file:line imports name``."""
    for path in sorted(package.rglob("*.py")):
        own = path.relative_to(package).parts[0].removesuffix(".py")
        above = [*order[: order.index(own)], own] if own in order else top_modules(package)
        for line, name in imports(path, package):
            if name.split(".")[0] not in above:
                yield f"{path.relative_to(package)}:{line} imports {name}"


def test_every_module_stands_in_the_list():
    assert [name for name in top_modules(PACKAGE) if name not in ORDER] == []


def test_modules_import_only_what_stands_above_them():
    assert list(faults(PACKAGE, ORDER)) == []


def test_no_modules_import_one_another_in_circles():
    assert circles(graph()) == []


def test_no_module_is_longer_than_can_be_read_in_one_sitting():
    lengths = {name: len(path.read_text(encoding="utf-8").splitlines()) for name, path in modules().items()}
    assert {name: length for name, length in lengths.items() if length > LONGEST} == {}


def test_a_name_stands_for_one_class_in_the_whole_package():
    assert {name: where for name, where in class_names().items() if len(where) > 1} == {}


def test_the_map_and_the_numbers_of_the_design_are_those_of_the_package():
    """Written anew by ``python benchmarks/house_map.py --write``."""
    assert (DOCS / "figures" / "house.svg").read_text(encoding="utf-8") == house_map.drawn()
    page = (DOCS / "design.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)` \|", page, re.MULTILINE)
    assert named == ORDER
    counted = dict(house_map.numbers())
    assert f"| circles of imports | {counted['circles of imports']} |" in page


def made_up(folder, **files):
    """A package of these modules, each with its text."""
    package = folder / "cellclaims"
    for name, text in files.items():
        path = package / f"{name.replace('__', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return package


@pytest.mark.parametrize(
    "line", ["from cellclaims.b import x", "from cellclaims import b", "import cellclaims.b", "from .b import x"]
)
def test_an_import_from_below_is_found_however_it_is_written(tmp_path, line):
    package = made_up(tmp_path, a=f"def f():\n    {line}\n", b="from cellclaims.a import f\n")
    assert list(faults(package, ["a", "b"])) == ["a.py:2 imports b"]
    assert circles(graph(package)) == [["a", "b"]]


def test_a_circle_of_siblings_through_functions_is_named(tmp_path):
    late = "def f():\n    from cellclaims.meta import {}\n"
    package = made_up(tmp_path, meta__one=late.format("two"), meta__two=late.format("three"), meta__three="")
    assert circles(graph(package)) == []
    package = made_up(tmp_path, meta__three=late.format("one"))
    assert circles(graph(package)) == [["meta.one", "meta.three", "meta.two"]]


def test_two_classes_of_one_name_are_found(tmp_path):
    package = made_up(tmp_path, a="class Row: ...\n", b="class Row: ...\nclass Line: ...\n")
    assert class_names(package)["Row"] == ["a", "b"]
