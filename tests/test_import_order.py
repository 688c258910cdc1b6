"""A module of the package imports only what stands above it, so that it can be read from the top."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "cellclaims"

#: Import order; docs/design.md gives each module's work.
ORDER = """
errors lazy files yaml_files units dispersion protocol evidence registries harvest question anomalies selection effects
meta robustness pool specifications overview parameters appraisal claims reporting figures own_studies review runner
journal_club cli
""".split()


def top_modules(package):
    """Names directly under a package: its modules and subpackages."""
    return sorted(
        path.stem
        for path in package.iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
    )


def imports(path, package=PACKAGE):
    """Modules of the package that a file imports, wherever in the file, as (line, name)."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            stem = ".".join(_home(path, package, node.level)) if node.level else ""
            module = ".".join(part for part in (stem, node.module or "") if part)
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "cellclaims" else [module]
        else:
            continue
        for name in names:
            if name.startswith("cellclaims."):
                yield node.lineno, name.split(".")[1]


def _home(path, package, level):
    parts = ["cellclaims", *path.relative_to(package).parent.parts]
    return parts[: len(parts) - level + 1]


def faults(package, order):
    """Imports of something that does not stand above, as ``file:line imports name``."""
    for path in sorted(package.rglob("*.py")):
        own = path.relative_to(package).parts[0].removesuffix(".py")
        above = [*order[: order.index(own)], own] if own in order else []
        for line, name in imports(path, package):
            if name in top_modules(package) and name not in above:
                yield f"{path.relative_to(package)}:{line} imports {name}"


def test_every_module_stands_in_the_list():
    assert [name for name in top_modules(PACKAGE) if name not in ORDER] == []


def test_modules_import_only_what_stands_above_them():
    assert list(faults(PACKAGE, ORDER)) == []


@pytest.mark.parametrize(
    "line", ["from cellclaims.b import x", "from cellclaims import b", "import cellclaims.b", "from .b import x"]
)
def test_an_import_from_below_is_found_however_it_is_written(tmp_path, line):
    (tmp_path / "a.py").write_text(f"def f():\n    {line}\n")
    (tmp_path / "b.py").write_text("from cellclaims.a import f\n")
    assert list(faults(tmp_path, ["a", "b"])) == ["a.py:2 imports b"]
