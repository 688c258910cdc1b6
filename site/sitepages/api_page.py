"""The reference of a package: its public names in the order of its table, with their docstrings."""

from __future__ import annotations

import inspect
from importlib import import_module
from types import ModuleType

#: Packages with a page, and the page's heading.
PACKAGES = {"cellclaims.meta": "The pooling engine: reference", "cellclaims.robustness": "Robustness: reference"}


def api_page(package: str, title: str) -> str:
    """Return the page of a package that loads its names from a table ``WHERE``, as reStructuredText for autodoc.

    Parameters
    ----------
    package : str
        Its dotted name.
    title : str
        Heading of the page.
    """
    module = import_module(package)
    homes = dict.fromkeys(module.WHERE.values())
    opening = inspect.getdoc(module).partition("\n\nNames ")[0]
    parts = [_heading(title, "="), f".. currentmodule:: {package}", opening]
    return "\n\n".join([*parts, *(_section(module, home) for home in homes)]) + "\n"


def _section(package: ModuleType, home: str) -> str:
    """Return the public names of one module, after its docstring."""
    names = [name for name, where in package.WHERE.items() if where == home]
    about = inspect.getdoc(import_module(f"{package.__name__}.{home}"))
    parts = [_heading(home.replace("_", " ").capitalize(), "-"), about.partition("\n\n")[0]]
    return "\n\n".join([*parts, *(_entry(package, name) for name in names)])


def _entry(package: ModuleType, name: str) -> str:
    if not inspect.isclass(getattr(package, name)):
        return f".. autofunction:: {name}"
    return f".. autoclass:: {name}\n   :members:\n   :member-order: bysource"


def _heading(words: str, line: str) -> str:
    return f"{words}\n{line * len(words)}"
