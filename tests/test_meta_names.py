"""Public names of the package: all there, each a thing of its own name, and quick to come by."""

from __future__ import annotations

import importlib
import subprocess
import sys
from types import ModuleType

import pytest

from cellclaims import meta

#: What an import may bring along without being asked: none of these, they cost seconds.
HEAVY = ("scipy.stats", "pandas", "statsmodels", "matplotlib")


@pytest.mark.parametrize("name", sorted(meta.WHERE))
def test_every_public_name_exists(name):
    thing = getattr(meta, name)
    assert not isinstance(thing, ModuleType)
    assert thing.__name__ == name and thing.__doc__


def test_a_submodule_does_not_hide_the_function_of_its_name():
    importlib.import_module("cellclaims.meta.bayes")
    assert callable(meta.bayes)


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(AttributeError, match=r"has no name 'pool'; it has .*fit"):
        meta.pool  # noqa: B018


def test_nothing_heavy_is_imported_for_a_fit():
    code = "from cellclaims import meta; meta.confint(meta.fit([0.1, 0.4, 0.2], [0.1, 0.2, 0.1])); import sys"
    code += f"; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
