"""The pools of the review are those that it had before its modules were moved: while that lasts, no number changes.

``reference/results_v1.json.gz`` holds the pools of version 1. Titles are words and may change; names may not.
"""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest

REFERENCE = Path(__file__).resolve().parent / "reference" / "results_v1.json.gz"
#: What a pool is called may be said better.
WORDS = ("title", "label")
KNOWN = {(pool["notebook"], pool["pool"]): pool for pool in json.loads(gzip.decompress(REFERENCE.read_bytes()))}
NOTEBOOKS = sorted({notebook for notebook, _ in KNOWN})


def differences(old, new, place=""):
    """Places where two values of JSON differ by more than the last digits of a number."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            yield from differences(old.get(key), new.get(key), f"{place}.{key}")
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (one, other) in enumerate(zip(old, new, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif isinstance(old, float) and isinstance(new, int | float):
        if not math.isclose(old, new, rel_tol=1e-8, abs_tol=1e-10):
            yield f"{place}: {old}, {new}"
    elif old != new:
        yield f"{place}: {old!r}, {new!r}"


@pytest.mark.parametrize("notebook", NOTEBOOKS)
def test_the_pools_of_a_notebook_are_those_of_version_1(notebook, fresh):
    made = {pool["pool"]: pool for pool in json.loads((fresh / f"{notebook}.json").read_text())}
    known = {pool: value for (name, pool), value in KNOWN.items() if name == notebook}
    assert made.keys() == known.keys()
    for name, pool in known.items():
        old, new = ({key: value for key, value in one.items() if key not in WORDS} for one in (pool, made[name]))
        assert list(differences(old, new, name)) == []


@pytest.mark.parametrize("new", [{"k": 3, "beta": 0.5001}, {"k": 3.5, "beta": 0.5}, {"k": 3}, {"k": 3, "beta": None}])
def test_a_number_that_moved_is_found(new):
    assert list(differences({"k": 3, "beta": 0.5}, new)) != []
