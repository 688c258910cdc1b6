"""The mutations and the oracle of ``tests/test_harvest_fuzz.py``, led by coverage (``make fuzz-atheris``).

    python -m benchmarks.harvest_fuzz -runs=100000

Arguments are libFuzzer's. What fails is written to ``.hypothesis/``, and given as the only argument it is run again.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["cellclaims.harvest"]):
    import cellclaims.harvest.study  # noqa: F401

from tests.test_harvest_fuzz import SEEDS, VALUES, check, mutated

HOW = ["drop", "put", "text", "twice", "swap", "digit"]


def one_input(data: bytes) -> None:
    """Mutate a seed as the bytes say, and check what is harvested."""
    given = atheris.FuzzedDataProvider(data)
    seed = SEEDS[given.ConsumeIntInRange(0, len(SEEDS) - 1)]
    steps = [
        tuple(given.ConsumeIntInRange(0, most) for most in (10_000, len(HOW) - 1, len(VALUES) - 1))
        for _ in range(given.ConsumeIntInRange(1, 4))
    ]
    check(mutated(seed, [(place, HOW[how], what) for place, how, what in steps]))


if __name__ == "__main__":
    Path(".hypothesis").mkdir(exist_ok=True)
    atheris.Setup([sys.argv[0], "-artifact_prefix=.hypothesis/", *sys.argv[1:]], one_input)
    atheris.Fuzz()
