"""Packages whose public names are loaded on first access, so that importing them is fast.

Such a package has a table ``WHERE``: public name -> module that defines it. Some functions have the
name of their module (``bayes``); the public name is then the function.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class LazyPackage(ModuleType):
    """A package with a table ``WHERE``; see :func:`load_lazily`."""

    def __getattr__(self, name: str) -> object:
        """Import the module that defines ``name`` and return the object."""
        where = self.__dict__["WHERE"]
        if name not in where:
            raise AttributeError(f"module {self.__name__!r} has no name {name!r}; it has {', '.join(sorted(where))}")
        value = getattr(import_module(f"{self.__name__}.{where[name]}"), name)
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        """List the public names, loaded or not."""
        return sorted({*self.__dict__, *self.__dict__["WHERE"]})

    def __setattr__(self, name: str, value: object) -> None:
        """Prevent the import of a submodule from replacing the function of the same name by the module."""
        if not (name in self.__dict__.get("WHERE", ()) and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def load_lazily(package: str) -> None:
    """Make the package that is being imported load the names of its table ``WHERE`` on first access."""
    sys.modules[package].__class__ = LazyPackage
