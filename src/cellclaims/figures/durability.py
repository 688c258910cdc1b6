"""Durability: the percentage of patients with an outcome by month, from single reports, registries and pools."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from cellclaims.errors import DataError
from cellclaims.figures.show import Drawing
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    SKY,
    SMALL,
    TITLE,
    Sheet,
    applied,
    block_height,
    text_width,
    wrapped,
)
from cellclaims.reporting.pools import durability_alt
from cellclaims.reporting.tables import number

if TYPE_CHECKING:
    import pandas as pd

#: What each kind is called in the key, and how its markers and lines are drawn.
LOOKS: dict[str, tuple[str, dict[str, object]]] = {
    "report": (
        "one study: status at each month",
        {"color": BLUE, "marker": "s", "ms": 3.6, "mec": "white", "mew": 0.4, "lw": 0.8, "ls": "-"},
    ),
    "registry": (
        "registry, or actuarial curve of all recipients: shares participants with the studies",
        {"color": GREY, "marker": "o", "ms": 5.5, "mfc": "white", "mew": 1.2, "lw": 1.2, "ls": (0, (4, 2))},
    ),
    "pooled": ("pooled at the month, with its interval", {"color": BLACK, "marker": "D", "ms": 7.5, "ls": ""}),
}

#: Colour and width of the line of an interval, by kind; those of single reports are lighter.
INTERVAL = {"report": (SKY, 0.6), "registry": (GREY, 0.9), "pooled": (BLACK, 2.4)}

#: Inches: margin, room for the words left of the plot, size of the plot, least distance of two names.
EDGE, LEFT, PLOT, APART = 0.1, 0.75, (5.2, 3.8), 0.16

#: Months between reports at the same time, so that their intervals are distinguishable, and their largest total spread;
#: months by which a registry is drawn to the right of the pooled value.
ASIDE, SPREAD, BESIDE = 0.2, 2.0, 2.2

#: Follow-up in months from which a report is labelled next to the plot; registries always are.
NAMED_FROM = 48.0


def set_apart(wanted: Sequence[float], apart: float, low: float, high: float) -> list[float]:
    """Places near the wanted ones, in the same order, at least ``apart`` from each other, inside the limits.

    Less its rank times ``apart``, a place must only not fall behind the one before it: that is an isotonic fit, in
    which neighbours that are too close move to their common mean, and cutting it at the limits keeps the order.
    The limits must leave room for all.

    Examples
    --------
    >>> set_apart([1.0, 1.0, 3.0], 0.5, 0.0, 4.0)
    [0.75, 1.25, 3.0]
    """
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    blocks: list[list[float]] = []
    for rank, i in enumerate(order):
        blocks.append([wanted[i] - rank * apart])
        while len(blocks) > 1 and fmean(blocks[-2]) > fmean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    level = [fmean(block) for block in blocks for _ in block]
    last = max(low, high - apart * (len(wanted) - 1))
    places = dict(zip(order, level, strict=True))
    return [min(max(places[i], low), last) + apart * order.index(i) for i in range(len(wanted))]


def aside(table: pd.DataFrame) -> pd.Series:
    """Return the month at which each line is drawn, with small distances at the same month."""
    months = table["months"].astype(float).copy()
    reports = table[table["kind"] == "report"]
    pooled = table.loc[table["kind"] == "pooled", "months"]
    months[(table["kind"] == "registry") & table["months"].isin(pooled)] += BESIDE
    for _, same in reports.groupby("months"):
        ranks = same["percent"].rank(method="first") - (len(same) + 1) / 2
        step = min(ASIDE, SPREAD / len(same))
        months[same.index] += ranks * step
    return months


def draw_line(axes: Axes, line: pd.DataFrame, kind: str) -> None:
    """The points of one report or registry, joined, each with its interval."""
    look = LOOKS[kind][1]
    order = line.sort_values("months")
    color, width = INTERVAL[kind]
    level = {"report": 2, "registry": 4, "pooled": 6}[kind]
    axes.vlines(order["at"], order["ci_lb"], order["ci_ub"], color=color, lw=width, zorder=level)
    axes.plot(order["at"], order["percent"], zorder=level + 1, clip_on=False, **look)


def named_ends(table: pd.DataFrame) -> dict[str, tuple[float, float]]:
    """Last point of each line that gets a name: registries, and reports of long follow-up."""
    ends = {}
    for report, line in table[table["kind"] != "pooled"].groupby("report", sort=False):
        if line["months"].max() >= NAMED_FROM or (line["kind"] == "registry").any():
            last = line.loc[line["months"].idxmax()]
            ends[str(report)] = (float(last["at"]), float(last["percent"]))
    return ends


def write_names(sheet: Sheet, axes: Axes, ends: Mapping[str, tuple[float, float]], top: float) -> None:
    """Names right of the plot, each with a thin line to the last point that it names."""
    right, height = LEFT + PLOT[0], PLOT[1]
    wanted = [top + height * (1 - percent / 100) for _, percent in ends.values()]
    last = axes.get_xlim()[1]
    for (name, (month, percent)), y in zip(ends.items(), set_apart(wanted, APART, top, top + height), strict=True):
        level = 100 * (1 - (y - top) / height)
        way = ((month, last, last * (1 + 0.1 / PLOT[0])), (percent, level, level))
        axes.plot(*way, color=GREY, lw=0.4, ls=(0, (1, 2)), zorder=1.5, clip_on=False)
        sheet.text(right + 0.14, y, name, size=SMALL)


def write_pooled(sheet: Sheet, axes: Axes, pooled: pd.DataFrame, top: float) -> None:
    """Write each pooled value and its number of reports above the plot, at its month."""
    if len(pooled):
        sheet.text(LEFT - 0.08, top - 0.34, "Pooled", size=SMALL, weight="bold", ha="right")
    for _, line in pooled.iterrows():
        x = LEFT + PLOT[0] * line["months"] / axes.get_xlim()[1]
        sheet.text(x, top - 0.34, f"{number(line['percent'], 0)}%", size=SMALL, weight="bold", ha="center")
        if not math.isnan(float(line.get("k", math.nan))):
            sheet.text(x, top - 0.19, f"k\u00a0=\u00a0{number(line['k'], 0)}", size=SMALL, ha="center")


def year_axes(sheet: Sheet, top: float, months: float) -> Axes:
    """Return the plot: years across, percent up."""
    axes = sheet.axes(LEFT, top, *PLOT)
    years = math.ceil(months / 12 + 0.2)
    ticks = range(0, years + 1, 1 if years <= 12 else 2)
    axes.set(xlim=(0, 12 * years), ylim=(0, 100))
    axes.set_xticks([12 * year for year in ticks], [number(year, 0) for year in ticks])
    axes.set_yticks(range(0, 101, 20), [number(percent, 0) for percent in range(0, 101, 20)])
    axes.yaxis.grid(True, color=PALE, lw=0.6)
    axes.set_axisbelow(True)
    axes.patch.set_visible(False)
    return axes


def write_key(sheet: Sheet, kinds: Sequence[str], y: float) -> None:
    """Draw the legend of the marks, one below the other."""
    for line, kind in enumerate(kinds):
        words, look = LOOKS[kind]
        level = y + line * 0.18
        sheet.page.add_line(Line2D((LEFT, LEFT + 0.3), (level, level), markevery=[], **look))
        sheet.page.add_line(Line2D((LEFT + 0.15,), (level,), **(look | {"ls": ""})))
        sheet.text(LEFT + 0.4, level, words, size=SMALL)


@applied()
def durability(
    table: pd.DataFrame, *, axis_label: str = "Insulin independent, %", time_label: str = "Years after infusion",
    title: str = "", note: str = "", what: str = "",
) -> Drawing:  # fmt: skip
    """Draw the percentage of patients with an outcome over the years; lines join the months of one report.

    Parameters
    ----------
    table : DataFrame
        One line for each report and month: report (words), kind ("report", "registry" or "pooled"), months,
        percent, ci_lb, ci_ub (percent, NaN where there is none); k (optional) for pooled lines.
    axis_label, time_label, title, note : str
    what : str
        What is shown, for the alternative text; the axis label by default.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        A kind that is not known, or a percentage outside 0 to 100.
    """
    check_table(table)
    table = table.assign(at=aside(table))
    names = named_ends(table)
    room = max((text_width(name, SMALL) for name in names), default=0.0) + 0.24
    width = LEFT + PLOT[0] + room + EDGE
    heading = wrapped(title, width - 2 * EDGE, TITLE, "bold")
    pooled = table[table["kind"] == "pooled"]
    top = EDGE + (block_height(heading, TITLE) + 0.05 if title else 0.05) + (0.45 if len(pooled) else 0.05)
    kinds = [kind for kind in LOOKS if (table["kind"] == kind).any()]
    below = wrapped(note, width - 2 * EDGE, SMALL)
    key = top + PLOT[1] + 0.62
    end = key + 0.18 * len(kinds)
    sheet = Sheet(width, end + (block_height(below, SMALL) + 0.05 if note else 0.0))
    sheet.text(EDGE, EDGE + 0.08, heading, size=TITLE, weight="bold")
    axes = year_axes(sheet, top, float(table["months"].max()))
    for (_, kind), line in table.groupby(["report", "kind"], sort=False):
        draw_line(axes, line, kind)
    write_pooled(sheet, axes, pooled, top)
    write_names(sheet, axes, names, top)
    sheet.page.text(EDGE + 0.1, top + PLOT[1] / 2, axis_label, rotation=90, ha="center", va="center")
    sheet.text(LEFT + PLOT[0] / 2, top + PLOT[1] + 0.36, time_label, ha="center")
    write_key(sheet, kinds, key)
    sheet.text(EDGE, end + 0.04, below, size=SMALL)
    return Drawing(sheet.figure, durability_alt(table, what or axis_label))


def check_table(table: pd.DataFrame) -> None:
    """Raise an error for an unknown kind and an impossible percentage."""
    for line, row in table.iterrows():
        if row["kind"] not in LOOKS:
            expected = ", ".join(LOOKS)
            raise DataError(f"durability, line {line}: kind expected one of {expected}, found {row['kind']!r}")
        if not 0 <= row["percent"] <= 100:
            raise DataError(f"durability, line {line}: percent expected 0 to 100, found {row['percent']!r}")
