"""A package whose public names are loaded when first asked for, so that importing it stays quick.

Such a package has a table ``WHERE``: public name -> the module of the package that holds it. Some functions have the
name of the module that holds them (``bayes``): the function is what is public.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType


class LazyPackage(ModuleType):
    """A package with a table ``WHERE``; see :func:`load_lazily`."""

    def __getattr__(self, name: str) -> object:
        """Import the module that holds ``name`` and hand the name out."""
        where = self.__dict__["WHERE"]
        if name not in where:
            raise AttributeError(f"module {self.__name__!r} has no name {name!r}; it has {', '.join(sorted(where))}")
        value = getattr(import_module(f"{self.__name__}.{where[name]}"), name)
        self.__dict__[name] = value
        return value

    def __dir__(self) -> list[str]:
        """The public names, loaded or not."""
        return sorted({*self.__dict__, *self.__dict__["WHERE"]})

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse what importing a submodule does on the side: to put the module in the place of the function."""
        if not (name in self.__dict__.get("WHERE", ()) and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


def load_lazily(package: str) -> None:
    """Let a package that is being imported, and has its table ``WHERE``, load its names when they are asked for."""
    sys.modules[package].__class__ = LazyPackage
