"""The axis of an interval figure: its limits, its ticks and their words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from matplotlib.ticker import MaxNLocator

from cellclaims.figures.interval_rows import Mark, Row
from cellclaims.reporting.rounding import number

#: Share of the plot's width that stays free at each end.
MARGIN = 0.04

#: Value of no effect on the shown scale, by analysis scale.
NULL = {"identity": 0.0, "logit": None, "log": 1.0}


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


def natural_limits(rows: Sequence[Row], marks: Sequence[Mark], null: float | None) -> tuple[float, float]:
    """Limits that hold every estimate, every value to compare with and the value of no effect.

    An interval may reach beyond these by as much again, or by one and a half times the usual half width of a
    report, so that one small study or the prediction from three reports does not press all others into a line;
    what is cut shows an arrow, and its numbers stand beside it.
    """
    must = [mark.value for mark in marks] + ([] if null is None else [null]) + [row.estimate for row in rows]
    seen = np.array([value for value in must if math.isfinite(value)])
    if seen.size == 0:
        return (-1.0, 1.0)
    low, high = seen.min(), seen.max()
    single = [row for row in rows if row.kind in ("study", "control", "benchmark", "primary")]
    widths = [row.high - row.low for row in single if math.isfinite(row.high - row.low)]
    reach = max(high - low, 0.75 * float(np.median(widths)) if widths else 1.0)
    ends = np.array([end for row in rows for end in (row.low, row.high) if math.isfinite(end)])
    low = min(low, max(ends.min(initial=low), low - reach))
    high = max(high, min(ends.max(initial=high), high + reach))
    room = MARGIN * (high - low or 1.0)
    return (float(low - room), float(high + room))


def ticks_within(limits: tuple[float, float], count: int = 6, *, whole: bool = False) -> tuple[float, ...]:
    """Round values inside ``limits``, at most ``count`` of them, on request whole numbers only.

    Examples
    --------
    >>> ticks_within((-2.1, 0.6))
    (-2.0, -1.5, -1.0, -0.5, 0.0, 0.5)
    """
    values = MaxNLocator(count, steps=[1, 2, 5, 10] if whole else [1, 2, 2.5, 5, 10], integer=whole).tick_values(
        *limits
    )
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


def scale_for(
    rows: Sequence[Row], scale: str, marks: Sequence[Mark], label: str, favours: tuple[str, str] | None,
    limits: tuple[float, float] | None,
) -> Scale:  # fmt: skip
    """The axis: 0 to 100 for percentages, powers for ratios, else what the rows need."""
    null = NULL[scale]
    if scale == "logit":
        limits = limits or (0.0, 100.0)
    elif scale == "log":
        limits = limits or log_limits(rows, marks, null)
    else:
        limits = limits or natural_limits(rows, marks, null)
    ticks = ratio_ticks(limits) if scale == "log" else ticks_within(limits)
    decimals = max((len(f"{tick:.10g}".partition(".")[2]) for tick in ticks), default=0)
    words = [number(tick, 0 if scale == "log" and tick >= 1 else decimals) for tick in ticks]
    return Scale(label, limits, ticks, tuple(words), null, scale == "log", favours)


def log_limits(rows: Sequence[Row], marks: Sequence[Mark], null: float) -> tuple[float, float]:
    """Limits of a ratio axis, found on the logarithm."""
    log = [replace(r, estimate=logarithm(r.estimate), low=logarithm(r.low), high=logarithm(r.high)) for r in rows]
    low, high = natural_limits(log, [replace(m, value=math.log(m.value)) for m in marks], math.log(null))
    return (math.exp(low), math.exp(high))


def logarithm(value: float) -> float:
    """Natural logarithm, minus infinity at zero.

    Examples
    --------
    >>> logarithm(1.0), logarithm(0.0)
    (0.0, -inf)
    """
    return -math.inf if value == 0 else math.log(value)
