"""What an interval figure shows, as data: its rows, its columns and the values to compare with. No drawing here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cellclaims.errors import DataError

#: What a row can be; each kind has its own mark in the plot (``interval_marks``).
KINDS = (
    "heading", "study", "pooled", "prediction", "benchmark", "control", "control pooled", "primary", "note",
)  # fmt: skip

#: Kinds whose words run across all columns on the left of the plot.
SPANNING = ("heading", "note")


@dataclass(frozen=True)
class Row:
    """One line of an interval figure, on the scale that is shown.

    ``cells`` holds the words of the other columns by column key. ``share`` sizes the square: the report's
    weight as a share of the heaviest one in its pool (0 to 1), NaN where there are no weights.
    """

    kind: str
    label: str
    cells: Mapping[str, str] = field(default_factory=dict)
    estimate: float = math.nan
    low: float = math.nan
    high: float = math.nan
    share: float = math.nan

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise DataError(f"row {self.label!r}: kind expected one of {', '.join(KINDS)}, found {self.kind!r}")
        if self.low > self.high or self.estimate < self.low or self.estimate > self.high:
            found = f"{self.estimate!r} with interval {self.low!r} to {self.high!r}"
            raise DataError(f"row {self.label!r}: expected an estimate inside its interval, found {found}")


@dataclass(frozen=True)
class Column:
    """A column of words: its key in ``Row.cells``, its heading, the side of the plot and the alignment."""

    key: str
    heading: str
    side: str = "left"
    ha: str = "right"


@dataclass(frozen=True)
class Mark:
    """A value to compare with, drawn as a dashed line with its words above the plot (shown scale).

    ``kind`` is "advertised" (an advertised figure), "threshold" (for example the smallest change that
    matters) or "reference" (a value of the figure itself, drawn faintly).
    """

    value: float
    label: str
    kind: str = "advertised"


#: What a figure takes as values to compare with.
Claim = float | Mark | Sequence[Mark | tuple] | None


def marks_of(claim: Claim) -> tuple[Mark, ...]:
    """The marks that a figure was asked for: none, a bare advertised value, one mark or several.

    A mark may come as a plain (value, label, kind).

    Examples
    --------
    >>> marks_of(30.0)
    (Mark(value=30.0, label='advertised', kind='advertised'),)
    >>> marks_of(None)
    ()
    """
    if claim is None:
        return ()
    if isinstance(claim, Mark):
        return (claim,)
    if isinstance(claim, (int, float)):
        return (Mark(float(claim), "advertised"),)
    return tuple(mark if isinstance(mark, Mark) else Mark(*mark) for mark in claim)
