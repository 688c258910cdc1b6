"""What the room says: guesses before it sees anything, answers to exercises, a verdict; and the answers beside."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from cellclaims.claims import Entry
from cellclaims.errors import ParameterError
from cellclaims.reporting.pools import Sentence, reports_of, say
from cellclaims.reporting.tables import Table, number

#: The eight verdicts of the protocol, the most cautious first.
VERDICTS = (
    "not testable",
    "no evidence",
    "insufficient",
    "contradicted",
    "above the evidence",
    "mixed",
    "compatible",
    "supported",
)
#: Guesses: name -> (question, unit, lowest, highest, step).
GUESSES = {
    "reports": ("How many independent reports count exactly the claimed outcome?", "reports", 0, 40, 1),
    "share": ("In what share of patients did the nearest published outcome occur?", "%", 0, 100, 1),
    "without_cells": (
        "By how much did HbA1c change in people who got no cells (a fall is below zero)?",
        "percentage points",
        -3,
        3,
        0.1,
    ),
}


@dataclass
class Room:
    """The room's guesses (unit as asked), its verdict, and its answers to exercises by name."""

    reports: float = 10.0
    share: float = 50.0
    without_cells: float = 0.0
    verdict: str = "compatible"
    answers: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Room:
        """The room of the parameter ``ROOM``; what is not given keeps its default.

        Raises
        ------
        ParameterError
            For an unknown name, a value that is no number or out of range, or no verdict of the protocol.

        Examples
        --------
        >>> Room.of({"share": 40}).share
        40
        >>> Room.of({"share": 140})
        Traceback (most recent call last):
        cellclaims.errors.ParameterError: ROOM, share: expected a number from 0 to 100; found 140
        """
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise ParameterError(f"ROOM: expected names among {', '.join(known)}; found {name!r}")
        room = cls(**given)
        for name, (_, _, low, high, _) in GUESSES.items():
            _number(f"ROOM, {name}", getattr(room, name), low, high)
        if room.verdict not in VERDICTS:
            raise ParameterError(f"ROOM, verdict: expected one of {', '.join(VERDICTS)}; found {room.verdict!r}")
        if not isinstance(room.answers, dict):
            raise ParameterError(f"ROOM, answers: expected names of exercises with numbers; found {room.answers!r}")
        for name, value in room.answers.items():
            _number(f"ROOM, answers, {name}", value, -math.inf, math.inf)
        return room


def _number(place: str, value: object, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high:
        limits = "a number" if math.isinf(low) else f"a number from {low:g} to {high:g}"
        raise ParameterError(f"{place}: expected {limits}; found {value!r}")


def guesses_table(room: Room, answers: Mapping[str, float | None] | None = None) -> Table:
    """The guesses, each beside its answer and how far it was off; without ``answers`` the guesses alone.

    Examples
    --------
    >>> guesses_table(Room(reports=4), {"reports": 1, "share": 27.9, "without_cells": None}).cells[0][1:]
    ('4 reports', 'one report', 'too high by 3')
    """
    rows = []
    for name, (question, unit, *_) in GUESSES.items():
        guess = getattr(room, name)
        found = None if answers is None else answers[name]
        rows.append((question, _shown(guess, unit), *(() if answers is None else _beside(guess, found, unit))))
    header = ("question", "your guess", *(() if answers is None else ("answer", "your guess was")))
    return Table(header, tuple(rows), "Your guesses" + ("" if answers is None else " beside the answers"))


def _shown(value: float, unit: str) -> str:
    if unit == "reports":
        return reports_of(round(value))
    decimals = _decimals(unit)
    return f"{number(value, decimals)} {unit}"


def _decimals(unit: str) -> int:
    return 1 if unit == "percentage points" else 0


def _beside(guess: float, found: float | None, unit: str) -> tuple[str, str]:
    if found is None or math.isnan(found):
        return "nothing published answers it", "–"
    decimals = _decimals(unit)
    off = round(guess, decimals) - round(found, decimals)
    words = "right" if off == 0 else f"too {'high' if off > 0 else 'low'} by {number(abs(off), decimals)}"
    return _shown(found, unit), words


def verdict_beside(room: Room, entry: Entry) -> Sentence:
    """The room's verdict beside the ledger's, with the ledger's reasons."""
    same = room.verdict == entry.verdict
    ledger = f"The ledger says {entry.verdict}: {'; '.join(entry.reasons)}."
    return say(f"The room says {room.verdict}.", ledger, "Both agree." if same else "They differ: say why.")
