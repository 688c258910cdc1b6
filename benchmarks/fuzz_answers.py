"""Mutate answers of every source many times: each ends in an answer or in a refusal of one line, nothing else.

    python benchmarks/fuzz_answers.py [INPUTS] [SEED]     100,000 inputs by default (a minute or two)

The answers are those of tests/test_sources_folder.py and, where ../shared is present, recorded ones of up to 50 kB.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.test_sources_folder import BODIES, looked, mutated  # noqa: E402

LARGEST = 50_000


def recorded(folder: Path) -> list[bytes]:
    """Recorded answers that are small enough to be looked through many times."""
    suffixes = {".json", ".xml", ".yaml"}
    paths = (path for path in sorted(folder.rglob("*")) if path.suffix in suffixes)
    return [path.read_bytes() for path in paths if path.stat().st_size <= LARGEST]


def main(inputs: int = 100_000, seed: int = 2026) -> None:
    """Look ``inputs`` mutations through; an error that is no refusal ends the run with its seed."""
    bodies = BODIES + recorded(ROOT.parent / "shared" / "registry")
    dice, start = random.Random(seed), time.monotonic()
    for number in range(inputs):
        body = mutated(dice.choice(bodies), seed + number)
        try:
            looked(body)
        except Exception as fault:
            raise SystemExit(f"input {number} of seed {seed}: {fault!r}\n{body[:2000]!r}") from fault
    seconds = time.monotonic() - start
    print(f"{inputs:,} mutations of {len(bodies)} answers, {seconds:.0f} s: each an answer or a refusal of one line")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
