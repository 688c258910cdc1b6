"""What an interval figure shows, as data: its rows, its columns and its axis. No drawing here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.ticker import MaxNLocator

from cellclaims.errors import DataError

#: What a row can be; each kind has its own mark in the plot (``interval_marks``).
KINDS = ("heading", "study", "pooled", "prediction", "benchmark", "control", "primary", "note")

#: Kinds whose words run across all columns on the left of the plot.
SPANNING = ("heading", "note")

#: Share of the plot's width that stays free at each end.
MARGIN = 0.04


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
            raise DataError(
                f"row {self.label!r}: kind expected one of {', '.join(KINDS)}, found {self.kind!r}"
            )
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

    ``kind`` is "advertised" (an advertised figure) or "threshold" (for example the smallest change that
    matters).
    """

    value: float
    label: str
    kind: str = "advertised"


@dataclass(frozen=True)
class Scale:
    """The axis: label, limits, ticks with their words, the value of no effect, logarithmic or not."""

    label: str
    limits: tuple[float, float]
    ticks: tuple[float, ...]
    tick_labels: tuple[str, ...]
    null: float | None = None
    log: bool = False
    favours: tuple[str, str] | None = None


def marks_of(claim: float | Mark | Sequence[Mark] | None) -> tuple[Mark, ...]:
    """The marks that a figure was asked for: none, a bare advertised value, one mark or several.

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
    return tuple(claim)


def natural_limits(rows: Sequence[Row], marks: Sequence[Mark], null: float | None) -> tuple[float, float]:
    """Limits that hold every estimate and every pooled interval; only very wide single intervals are clipped.

    An interval may reach beyond what must be seen by as much again, or by one and a half times the usual half
    width, so that one small study does not press the others into a line; what is cut shows an arrow.
    """
    must = [mark.value for mark in marks] + ([] if null is None else [null])
    for row in rows:
        must += [row.estimate] + (
            [row.low, row.high] if row.kind in ("pooled", "prediction", "primary") else []
        )
    seen = np.array([value for value in must if math.isfinite(value)])
    if seen.size == 0:
        return (-1.0, 1.0)
    low, high = seen.min(), seen.max()
    widths = [row.high - row.low for row in rows if math.isfinite(row.high - row.low)]
    reach = max(high - low, 0.75 * float(np.median(widths)) if widths else 1.0)
    ends = np.array([end for row in rows for end in (row.low, row.high) if math.isfinite(end)])
    low = min(low, max(ends.min(initial=low), low - reach))
    high = max(high, min(ends.max(initial=high), high + reach))
    room = MARGIN * (high - low or 1.0)
    return (float(low - room), float(high + room))


def ticks_within(limits: tuple[float, float], count: int = 6) -> tuple[float, ...]:
    """Round values inside ``limits``, at most ``count`` of them.

    Examples
    --------
    >>> ticks_within((-2.1, 0.6))
    (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5)
    """
    values = MaxNLocator(count, steps=[1, 2, 2.5, 5, 10]).tick_values(*limits)
    return tuple(float(round(v, 10)) + 0.0 for v in values if limits[0] <= v <= limits[1])


def ratio_ticks(limits: tuple[float, float]) -> tuple[float, ...]:
    """Ticks of a ratio axis: 1, 2 and 5 times powers of ten inside ``limits``, thinned to at most seven.

    Examples
    --------
    >>> ratio_ticks((0.2, 6.0))
    (0.2, 0.5, 1.0, 2.0, 5.0)
    """
    decades = range(math.floor(math.log10(limits[0])), math.ceil(math.log10(limits[1])) + 1)
    for steps in ((1, 2, 5), (1,)):
        ticks = tuple(float(f"{step}e{power}") for power in decades for step in steps)
        inside = tuple(tick for tick in ticks if limits[0] <= tick <= limits[1])
        if len(inside) <= 7:
            break
    return inside
