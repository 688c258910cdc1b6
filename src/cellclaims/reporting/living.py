"""What moved since the last run, in words: pools before and after, with and without a study, and the steps of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Table

#: A pool as ``results.json`` has it (:func:`cellclaims.reporting.results.record`).
Record = Mapping[str, Any]

#: What of a result makes a pool another one.
COMPARED = ("beta", "ci_lb", "ci_ub", "k")
#: Relative difference below which two results are one: another computer may round the last digits in another way.
SAME_RESULT = 1e-6


@dataclass(frozen=True)
class Move:
    """A pool in two states; one of them is missing for a pool that is new or gone.

    ``because`` says what the second state is: empty for the present evidence, else the study that it is without, with
    the reason.
    """

    before: Record | None
    after: Record | None
    because: str = ""

    @property
    def names(self) -> tuple[str, str]:
        """Notebook and name of the pool."""
        one = self.after or self.before
        return one["notebook"], one["pool"]


def is_same(before: Record, after: Record) -> bool:
    """Whether two records have the same result.

    Examples
    --------
    >>> one = {"result": {"beta": 0.5, "ci_lb": 0.1, "ci_ub": 0.9, "k": 3}}
    >>> [is_same(one, {"result": one["result"] | other}) for other in ({"beta": 0.5 + 1e-9}, {"k": 4})]
    [True, False]
    """
    pairs = [(before["result"][name], after["result"][name]) for name in COMPARED]
    return all(_close(one, other) for one, other in pairs)


def _close(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= SAME_RESULT * max(1.0, abs(one), abs(other))


def moved(before: Iterable[Record], after: Iterable[Record]) -> list[Move]:
    """The pools that are new, gone, or have another result, in the order of the later ones, then of the earlier."""
    old, new = ({(one["notebook"], one["pool"]): one for one in records} for records in (before, after))
    pairs = [(old.get(name), new.get(name)) for name in dict.fromkeys([*new, *old])]
    return [Move(*pair) for pair in pairs if None in pair or not is_same(*pair)]


def moves_table(moves: Sequence[Move], caption: str) -> Table:
    """Each pool with value, interval and k of both states, and by how much the value moved.

    Parameters
    ----------
    moves : sequence of Move
    caption : str
        Above the table.

    Returns
    -------
    Table
    """
    rows = tuple(
        (f"{one.names[0]}: {(one.after or one.before)['title']}", one.because or "–", _state(one.before),
         _state(one.after), by_how_much(one))
        for one in moves
    )  # fmt: skip
    return Table(("pool", "without", "before", "after", "change"), rows, caption)


def _state(record: Record | None) -> str:
    """The value with its interval and the number of studies."""
    if record is None:
        return "no such pool"
    shown = record["shown"]
    interval = next((f" ({text})" for name, text in shown.items() if name.endswith("interval")), "")
    return f"{shown['value']}{interval}, k = {record['result']['k']}"


def by_how_much(move: Move) -> str:
    """How far the value of a pool moved, on the analysis scale; in words where it has none.

    Examples
    --------
    >>> one, other = ({"scale": "logit", "result": {"beta": beta}} for beta in (0.0, 0.25))
    >>> by_how_much(Move(one, other)), by_how_much(Move(None, other)), by_how_much(Move(other, one))
    ('+0.250 on the logit', 'new', '−0.250 on the logit')
    """
    if move.before is None or move.after is None:
        return "new" if move.before is None else "gone"
    values = [state["result"]["beta"] for state in (move.before, move.after)]
    if None in values:
        return "no value" if values[1] is None else "a value for the first time"
    unit = {"logit": " on the logit", "log": " on the log"}.get(move.after["scale"], "")
    return f"{values[1] - values[0]:+.3f}{unit}".replace("-", "−")


def steps_table(steps: Mapping[str, str]) -> Table:
    """Each step of a run with what came of it."""
    return Table(("step", "result"), tuple(steps.items()), "Steps of this run")


def living_sentence(since: str, moves: Sequence[Move], without: Sequence[Move], failed: Mapping[str, str]) -> Sentence:
    """What a run found, in one paragraph.

    Parameters
    ----------
    since : str
        Day of the last run; empty for the first.
    moves, without : sequence of Move
        Pools that moved, and pools refitted without a study.
    failed : mapping
        Step -> why it failed.
    """
    number = len(moves)
    if not since:
        first = "This is the first run: pools are compared from the next one on."
    elif number:
        first = f"Since the run of {since}, {number} {'pool has' if number == 1 else 'pools have'} moved."
    else:
        first = f"Since the run of {since}, no pool has moved."
    count = len(without)
    refits = f"{count} {'pool was' if count == 1 else 'pools were'} refitted without a retracted or changed source."
    faults = "; ".join(f"{step}: {why}" for step, why in failed.items())
    return say(first, refits if count else "", f"Not everything could be done: {faults}." if faults else "")
