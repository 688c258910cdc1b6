"""How long a move of a control takes, from the change to the new figure and sentences; the aim is 40 ms.

    python benchmarks/club.py [REPEATS]

Every move is made from the same state, and the state that it leads to is forgotten, so that none is quick because it
was asked before. Medians in milliseconds: by the clock, and of the processor, which other work disturbs less.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from statistics import median

from cellclaims import journal_club, protocol
from cellclaims.claims.counterparts import claim_of
from cellclaims.evidence import load as load_evidence
from cellclaims.journal_club import controls
from cellclaims.journal_club.widgets import Panel
from cellclaims.selection import EvidenceBase

DATA = Path(__file__).resolve().parent.parent / "data"
#: Control -> where to go; a move to the state's own value would do nothing.
SHARE = {
    "without": ("hu2012",),
    "secondary": False,
    "estimand": "ever",
    "method": "DL",
    "test": "z",
    "tau_scale": 0.5,
    "outcome": "insulin_dose_halved",
}
MEAN = {"without": ("zang2022",), "months": 9.0, "window": 12.0, "method": "DL", "test": "knha", "correlation": 0.8,
        "tau_scale": 0.25}  # fmt: skip
STATES = {"a proportion": ({}, SHARE), "a change of HbA1c": ({"OUTCOME": "hba1c_change"}, MEAN)}


def main() -> None:
    """Print a line for each control in each state."""
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    base = EvidenceBase(load_evidence(DATA), protocol.load(DATA))
    claim = claim_of(base.evidence, "stop_all_2016")
    every = []
    for state, (given, moves) in STATES.items():
        panel = Panel(base, claim, journal_club.controls_of(base, claim, **given))
        for name, value in moves.items():
            taken = [timed(panel, name, value) for _ in range(repeats)]
            every += taken
            print(line(f"{state}, {name}", taken))
    print(line("all moves", every))


def timed(panel: Panel, name: str, value: object) -> tuple[float, float]:
    """Milliseconds of one move, by the clock and of the processor; the control goes back."""
    control, start = panel.controls[name], panel.asked
    panel.known = {start: panel.known[start]}
    controls._posterior.cache_clear()
    controls.posterior(panel.answer.pool, panel.answer.scale)  # as it is known at the state's own
    begun = time.perf_counter(), time.process_time()
    control.value = value
    taken = 1000 * (time.perf_counter() - begun[0]), 1000 * (time.process_time() - begun[1])
    control.value = getattr(start, name)
    return taken


def line(what: str, taken: list[tuple[float, float]]) -> str:
    """Return the medians and the worst of some moves."""
    clock, processor = zip(*taken, strict=True)
    words = f"clock {median(clock):6.1f} ms (worst {max(clock):6.1f}), processor {median(processor):6.1f} ms"
    return f"{what:32} {words}"


if __name__ == "__main__":
    main()
