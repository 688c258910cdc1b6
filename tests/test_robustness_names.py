"""Public names of the package: all there, each a thing of its own name, quick to come by, and never silently NaN."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
from types import ModuleType

import numpy as np
import pytest

from cellclaims import meta, robustness
from cellclaims.meta.flags import IN_WORDS

HEAVY = ("scipy.stats", "pandas", "statsmodels", "matplotlib")


@pytest.mark.parametrize("name", sorted(robustness.WHERE))
def test_every_public_name_exists(name):
    thing = getattr(robustness, name)
    assert not isinstance(thing, ModuleType)
    assert thing.__name__ == name and thing.__doc__


@pytest.mark.parametrize("name", ["selection_model", "influence"])
def test_a_submodule_does_not_hide_the_function_of_its_name(name):
    importlib.import_module(f"cellclaims.robustness.{name}")
    assert callable(getattr(robustness, name))


def test_an_unknown_name_is_refused_with_those_there_are():
    with pytest.raises(AttributeError, match=r"has no name 'regtest'; it has .*egger"):
        robustness.regtest  # noqa: B018


def test_nothing_heavy_is_imported_for_small_study_methods():
    code = "from cellclaims import robustness as r; import sys; y, v = [0.1, 0.4, 0.2, 0.5], [0.1, 0.2, 0.15, 0.3]"
    calls = (
        "egger",
        "rank_test",
        "trim_and_fill",
        "fail_safe_n",
        "pet_peese",
        "selection_model",
        "tes",
        "hc",
        "s_value",
    )
    code += "; kw = {'selection_model': {'kind': 'beta'}}"
    code += f"; [getattr(r, n)(y, v, **kw.get(n, {{}})) for n in {calls}]"
    code += f"; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_caution_has_words():
    for kind, words in IN_WORDS.items():
        assert set(words) == set(kind)
        assert len(set(words.values())) == len(words)


RNG = np.random.default_rng(20240616)
Y, V = RNG.normal(0.3, 0.5, (40, 6)), RNG.uniform(0.02, 0.4, (40, 6))
KEEP = RNG.random((40, 6)) < 0.6
V[5:8], Y[8:11] = 0.1, 0.3

#: What a number may be missing for by definition, as the attribute's description says.
BY_DEFINITION = {"p_k0", "beta", "target", "p", "yi_filled", "vi_filled", "power"}

CALLS = {
    "egger": lambda: robustness.egger(Y, V, keep=KEEP),
    "egger, meta-regression": lambda: robustness.egger(Y, V, keep=KEEP, model="rma"),
    "pet_peese": lambda: robustness.pet_peese(Y, V, keep=KEEP),
    "rank_test": lambda: robustness.rank_test(Y, V, keep=KEEP),
    "L0": lambda: robustness.trim_and_fill(Y, V, keep=KEEP),
    "Q0": lambda: robustness.trim_and_fill(Y, V, keep=KEEP, estimator="Q0", method="DL"),
    "Rosenthal": lambda: robustness.fail_safe_n(Y, V, keep=KEEP),
    "Orwin": lambda: robustness.fail_safe_n(Y, V, keep=KEEP, kind="Orwin"),
    "tes": lambda: robustness.tes(Y, V, keep=KEEP),
    "hc": lambda: robustness.hc(Y, V, keep=KEEP),
}


@pytest.mark.parametrize("name", CALLS)
def test_no_number_is_missing_without_a_flag(name):
    """Sets of no study and of one, equal errors, equal effects: where a number is missing something else is said than
    that there are few studies."""
    found = CALLS[name]()
    always = meta.Caution.FEW_STUDIES | meta.Caution.HETEROGENEOUS | meta.Caution.COUNTED_FILES
    said = (found.flags & ~int(always)) > 0
    missing = np.zeros(40, bool)
    for field in dataclasses.fields(found):
        value = getattr(found, field.name)
        if field.name not in BY_DEFINITION and isinstance(value, np.ndarray) and value.dtype == float:
            missing |= np.isnan(value)
    assert missing.any() or name in {"Rosenthal", "Orwin"}
    assert not (missing & ~said).any()
    assert (~said).sum() > 5
