"""pyproject.toml, environment.yml and the locks agree in names and versions; the code uses no other library."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())

#: conda-forge's name -> the package index's, where they differ by more than case, dash and underscore.
CONDA_NAMES = {"matplotlib-base": "matplotlib", "bleach-with-css": "bleach"}

#: Extras with a lock of their own.
EXTRAS = ["browser", "cluster", "fuzz", "site"]

PYTHONS = ("3.11", "3.12", "3.13")


def required(*lines):
    """Requirements by canonical name."""
    return {canonicalize_name(one.name): one for one in map(Requirement, lines)}


def declared():
    """What the package and its tests need, by pyproject.toml."""
    return required(*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["test"])


def conda():
    """Specifiers by the package index's name, by environment.yml; without python and pip."""
    lines = [line.split(maxsplit=1) for line in CONDA["dependencies"] if isinstance(line, str)]
    named = {CONDA_NAMES.get(parts[0], parts[0]): SpecifierSet(parts[1] if parts[1:] else "") for parts in lines}
    return {canonicalize_name(name): bounds for name, bounds in named.items() if name not in ("python", "pip")}


def locked(name):
    """Requirements of a lock with the number of hashes of each."""
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    return [(Requirement(entry.split("\\\n")[0].strip()), entry.count("--hash=sha256:")) for entry in entries]


def test_conda_names_and_bounds_are_those_of_the_project():
    assert conda() == {name: one.specifier for name, one in declared().items()}


def test_conda_installs_the_package_itself_and_the_same_pythons():
    assert {"pip": ["-e ."]} in CONDA["dependencies"]
    python = next(line for line in CONDA["dependencies"] if str(line).startswith("python "))
    assert python.removeprefix("python ").strip() == PROJECT["project"]["requires-python"]
    assert CONDA["channels"] == ["conda-forge"]
    assert all(version in SpecifierSet(PROJECT["project"]["requires-python"]) for version in PYTHONS)


def test_every_requirement_is_locked_in_a_version_that_fits_for_every_python():
    build = required(*PROJECT["dependency-groups"]["build"], *PROJECT["build-system"]["requires"])
    for version in PYTHONS:
        here = {"python_version": version, "python_full_version": f"{version}.5", "sys_platform": "linux"}
        entries = [one for one, _ in locked("requirements.lock") if not one.marker or one.marker.evaluate(here)]
        pins = {canonicalize_name(one.name): Version(str(one.specifier).removeprefix("==")) for one in entries}
        assert len(pins) == len(entries), "a library is locked twice for one Python"
        for name, wanted in {**declared(), **build}.items():
            assert name in pins, f"{name} is not locked for Python {version}: make lock"
            assert pins[name] in wanted.specifier, f"{name} {pins[name]} is not {wanted.specifier}: make lock"


@pytest.mark.parametrize("extra", EXTRAS)
def test_the_lock_of_an_extra_fits_the_first_lock(extra):
    first = {one.name: str(one.specifier) for one, _ in locked("requirements.lock")}
    second = {one.name: str(one.specifier) for one, _ in locked(f"locks/requirements-{extra}.lock")}
    assert set(required(*PROJECT["project"]["optional-dependencies"][extra])) <= set(second)
    assert {name: pin for name, pin in second.items() if name in first and first[name] != pin} == {}


@pytest.mark.parametrize("name", ["requirements.lock", *(f"locks/requirements-{extra}.lock" for extra in EXTRAS)])
def test_a_lock_has_a_hash_for_everything_and_names_no_place(name):
    text = (ROOT / name).read_text()
    assert all(hashes > 0 and str(one.specifier).startswith("==") for one, hashes in locked(name))
    assert not re.search(r"://|--(extra-)?index|--find-links|/(root|home|work|tmp)/", text)


def test_the_running_environment_is_the_locked_one():
    """What the tests vouch for is what `make` installs."""
    from importlib.metadata import version

    pins = {canonicalize_name(one.name): str(one.specifier)[2:] for one, _ in locked("requirements.lock")}
    compared = [name for name in declared() if not name.startswith("editables")]
    differing = {name: (version(name), pins[name]) for name in compared if version(name) != pins[name]}
    assert differing == {}, "found (installed, locked): make environment"


def imported(path):
    """Top names of the absolute imports of a file, those for type checkers too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield node.module.partition(".")[0]


def test_the_package_imports_nothing_that_is_not_declared():
    distributions = packages_distributions()
    extras = PROJECT["project"]["optional-dependencies"]
    needed = set(required(*PROJECT["project"]["dependencies"], *extras["cluster"], *extras["parquet"]))
    for path in (ROOT / "src").rglob("*.py"):
        foreign = {name for name in imported(path) if name not in sys.stdlib_module_names and name != "cellclaims"}
        for name in foreign - TYPES_ONLY:
            owners = {canonicalize_name(owner) for owner in distributions.get(name, [name])}
            assert owners & needed, f"{path.relative_to(ROOT)} imports {name}, which pyproject.toml does not declare"


#: Named in annotations only, and installed with what is declared.
TYPES_ONLY = {"jinja2"}


def test_every_target_of_make_says_what_it_makes():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.search(r"^\.PHONY: (.*)", text, re.MULTILINE)[1].split()) - {"missing"}
    explained = {line.split(":")[0] for line in text.splitlines() if re.match(r"[a-z-]+:.*## \w", line)}
    assert targets == explained
    assert {"review", "test", "check", "lab", "lock"} <= targets


@pytest.mark.skipif(not shutil.which("make"), reason="make is not needed where somebody installs with conda")
def test_make_alone_lists_the_targets_with_one_line_each():
    outside = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    done = subprocess.run(["make"], cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    assert all(re.fullmatch(r"  make [a-z-]+ +\S.*", line) for line in lines)
    assert any(line.startswith("  make review ") for line in lines)


def test_ci_runs_what_a_developer_runs():
    script = ROOT / ".ci" / "run"
    lines = script.read_text().splitlines()
    assert os.access(script, os.X_OK)
    assert lines[0] == "#!/usr/bin/env bash"
    assert "set -eu" in lines
    assert "make test" in lines
