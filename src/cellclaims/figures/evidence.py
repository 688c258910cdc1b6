"""What has been studied and what has not: studies by population, product and design, and over the years."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex

from cellclaims.errors import DataError
from cellclaims.figures.intervals import ticks_within
from cellclaims.figures.show import Drawing
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    BODY,
    EDGE,
    GREY,
    GROUP,
    PALE,
    SMALL,
    TITLE,
    Grid,
    Sheet,
    applied,
    block_height,
    lay_grid,
    text_width,
    wrapped,
    write_margins,
)
from cellclaims.reporting.evidence import counts_alt, flow_alt, years_alt
from cellclaims.reporting.tables import number

if TYPE_CHECKING:
    import pandas as pd


#: Inches: width and height of a tile, room for the totals at the right, height of one product's row of years.
TILE, TOTALS, YEARS = (0.86, 0.28), 0.5, 0.42


def in_order(values: pd.Series) -> list[str]:
    """Different values in the order in which they appear: the caller sorts."""
    return list(dict.fromkeys(values))


def shade(count: float, largest: float) -> tuple[str, str]:
    """Colour of a tile, and of the number on it so that it can be read in print.

    Examples
    --------
    >>> shade(0, 30), shade(30, 30)[1]
    (('#ffffff', '#595959'), '#ffffff')
    """
    if count == 0:
        return "#ffffff", GREY
    depth = 0.1 + 0.75 * (count / largest) ** 0.5
    return to_hex(mpl.colormaps["Blues"](depth)), "#ffffff" if depth > 0.6 else BLACK


def put_tile(sheet: Sheet, corner: tuple[float, float], height: float, count: float, largest: float) -> None:
    """One tile with its number; a dot where nothing was found, so that a gap is seen as a gap."""
    face, ink = shade(count, largest)
    x, y = corner
    sheet.box(x, y, TILE[0], height, facecolor=face, edgecolor=PALE, lw=0.6)
    sheet.text(x + TILE[0] / 2, y + height / 2, number(count, 0) if count else "·", color=ink, ha="center")


def write_totals(sheet: Sheet, grid: Grid, counts: pd.DataFrame, unit: str) -> None:
    """Sums at the right of the lines and below the columns."""
    right, below = grid.right + TOTALS - 0.05, grid.bottom + 0.18
    sheet.text(right, grid.y[0] - GROUP - 0.1, "All", size=SMALL, weight="bold", ha="right")
    sheet.rule(below - 0.11, EDGE, sheet.width - EDGE, color=GREY, lw=0.6)
    for y, height, total in zip(grid.y, grid.heights, counts.sum(axis=1), strict=True):
        sheet.text(right, y + height / 2, number(total, 0), weight="bold", ha="right")
    sheet.text(EDGE, below, f"All {unit}", weight="bold")
    for x, total in zip(grid.x, counts.sum(axis=0), strict=True):
        sheet.text(x + TILE[0] / 2, below, number(total, 0), weight="bold", ha="center")
    sheet.text(right, below, number(counts.to_numpy().sum(), 0), weight="bold", ha="right")


@applied()
def evidence_map(table: pd.DataFrame, *, title: str = "", unit: str = "reports") -> Drawing:
    """Tiles with the number of studies: populations one below the other, in each a line for every product.

    Parameters
    ----------
    table : DataFrame
        One line for each combination: population, product, design (words, shown as they are and in the order in
        which they appear), studies (number; a line with 0 shows a gap that would not be seen otherwise).
    title, unit : str
        Sentence above; what is counted.

    Returns
    -------
    Drawing
    """
    table = table.astype({"population": str, "product": str, "design": str})
    counts = table.pivot_table("studies", ["population", "product"], "design", "sum", fill_value=0)
    lines = [
        (p, c) for p in in_order(table["population"]) for c in in_order(table["product"]) if (p, c) in counts.index
    ]
    counts = counts.loc[lines, in_order(table["design"])]
    populations, products = zip(*lines, strict=True)
    grid = lay_grid(products, counts.columns, top=EDGE + (0.3 if title else 0.0), tile=TILE, groups=populations)
    sheet = Sheet(grid.right + TOTALS + EDGE, grid.bottom + 0.36)
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    write_margins(sheet, grid)
    largest = counts.to_numpy().max()
    for y, height, line in zip(grid.y, grid.heights, counts.to_numpy(), strict=True):
        for x, count in zip(grid.x, line, strict=True):
            put_tile(sheet, (x, y), height, count, largest)
    write_totals(sheet, grid, counts, unit)
    return Drawing(sheet.figure, counts_alt(table, f"Number of {unit} by product, population and design"))


def year_bars(axes: Axes, years: pd.Series, tallest: float) -> None:
    """Bars of one product, with the number on top of each."""
    axes.bar(years.index, years.to_numpy(), width=0.8, color=BLUE)
    for year, count in years.items():
        axes.text(year, count, number(count, 0), size=SMALL, ha="center", va="bottom")
    axes.set(ylim=(0, 1.75 * tallest), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.patch.set_visible(False)


@applied()
def evidence_years(table: pd.DataFrame, *, title: str = "", unit: str = "reports") -> Drawing:
    """Studies per year: a row of bars for each product, all on one height and one axis of years.

    Parameters
    ----------
    table : DataFrame
        One line for each year and product that occurs: year, product (words, in order of appearance),
        studies.
    title, unit : str
        Sentence above; what is counted.

    Returns
    -------
    Drawing
    """
    table = table.astype({"product": str})
    products = in_order(table["product"])
    counts = table.pivot_table("studies", "year", "product", "sum", fill_value=0)[products]
    names = [wrapped(f"{name}\u00a0({number(counts[name].sum(), 0)})", 1.9) for name in products]
    left, top = EDGE + max(text_width(name) for name in names) + 0.15, EDGE + (0.3 if title else 0.05)
    span = (counts.index.min() - 0.7, counts.index.max() + 0.7)
    width = max(4.0, 0.2 * (span[1] - span[0]))
    sheet = Sheet(left + width + EDGE + 0.1, top + YEARS * len(products) + 0.55)
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    for line, (product, name) in enumerate(zip(products, names, strict=True)):
        y = top + line * YEARS
        sheet.text(EDGE, y + YEARS * 0.7 - 0.13 * name.count("\n"), name)
        axes = sheet.axes(left, y, width, YEARS)
        year_bars(axes, counts.loc[counts[product] > 0, product], counts.to_numpy().max())
        axes.set(xlim=span)
        axes.set_xticks([])
    ticks = ticks_within(span, 12, whole=True)
    axes.set_xticks(ticks, [number(tick, 0) for tick in ticks])
    sheet.text(left + width / 2, top + YEARS * len(products) + 0.36, f"Year (the numbers are {unit})", ha="center")
    return Drawing(sheet.figure, years_alt(table, unit))


# Flow of reports: how many were found, left out at each step and why, and how many each pool holds.


#: Inches: margin, width of a box on the way and of one beside it, the gap between them and between two steps.
BOX_EDGE, STEP_WIDTH, SIDE_WIDTH, ACROSS, DOWN = 0.1, 2.6, 3.6, 0.45, 0.3

#: Inches inside a box, around its words.
PADDING = 0.09


@dataclass(frozen=True)
class Step:
    """A stage on the way: its name, how many are left at it, and why some do not reach the next one."""

    label: str
    count: int
    left_out: Mapping[str, int] = field(default_factory=dict)


def check_counts(steps: Sequence[Step]) -> None:
    """Refuse a flow whose numbers do not add up: nothing leaves without a reason."""
    if not steps:
        raise DataError("flow: expected at least one step, found none")
    for step, following in pairwise(steps):
        expected = step.count - sum(step.left_out.values())
        if expected != following.count:
            raise DataError(
                f"flow: expected {expected} at {following.label!r} ({step.count} at {step.label!r} less "
                f"{sum(step.left_out.values())} left out), found {following.count}"
            )


def step_words(step: Step) -> str:
    """Words of a step's box."""
    return wrapped(f"{step.label}\nn = {number(step.count, 0)}", STEP_WIDTH - 2 * PADDING, BODY, "bold")


def reason_words(reasons: Mapping[str, int]) -> str:
    """Words of the box beside a step: each reason with its number, the most frequent first.

    Examples
    --------
    >>> reason_words({"other time": 3, "registry": 12}).split(chr(10))
    ['Left out: 15', '12\\u2002registry', '\\u20073\\u2002other time']
    """
    if not reasons:
        return ""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    widest = len(number(ordered[0][1], 0))
    lines = [f"Left out: {number(sum(reasons.values()), 0)}"]
    for reason, count in ordered:
        # figure spaces are as wide as a digit, so that the numbers stand below one another
        count_words = number(count, 0).rjust(widest, "\u2007")
        room = SIDE_WIDTH - 2 * PADDING - text_width(f"{count_words}\u2002")
        broken = wrapped(reason, room).split("\n")
        lines.append(f"{count_words}\u2002{broken[0]}")
        lines += ["\u2007" * widest + "\u2002" + part for part in broken[1:]]
    return "\n".join(lines)


def pool_words(pools: Sequence[tuple[str, int]]) -> str:
    """Words of the last box: each pool with its number of reports."""
    widest = max(len(number(k, 0)) for _, k in pools)
    room = STEP_WIDTH + ACROSS + SIDE_WIDTH - 2 * PADDING
    lines = [wrapped(f"k = {number(k, 0).rjust(widest, chr(0x2007))}\u2002{name}", room) for name, k in pools]
    return "\n".join(["Pools (a report can stand in several)", *lines])


def box_height(words: str) -> float:
    """Inches that a box around ``words`` takes."""
    return block_height(words) + 2 * PADDING


def put_box(sheet: Sheet, x: float, y: float, width: float, words: str, *, strong: bool) -> None:
    """A box with its words; the first line, and in a strong box all of it, in bold letters."""
    edge = {"facecolor": "white", "edgecolor": BLACK if strong else GREY, "lw": 1.2 if strong else 0.8}
    sheet.box(x, y, width, box_height(words), rounded=0.05, **edge)
    first, _, rest = words.partition("\n")
    line = block_height("")
    sheet.text(x + PADDING, y + PADDING + line / 2, first, weight="bold")
    sheet.text(x + PADDING, y + PADDING + line * 1.5, rest, weight="bold" if strong else "normal")


@applied()
def flow(steps: Sequence[Step], *, pools: Sequence[tuple[str, int]] = (), title: str = "") -> Drawing:
    """Boxes from the reports that were found to those that were pooled, with the reasons at each step.

    Parameters
    ----------
    steps : sequence of Step
        In order; what a step leaves out must be the difference to the next one.
    pools : sequence of (name, number of reports)
        Shown in a last box; a report can stand in several pools, so these need not add up.
    title : str

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        No step, or numbers that do not add up.
    """
    check_counts(steps)
    boxes, sides = [step_words(step) for step in steps], [reason_words(step.left_out) for step in steps]
    last = pool_words(pools) if pools else ""
    heights = [box_height(words) for words in boxes]
    gaps = [max(DOWN, box_height(side) + 0.2) if side else DOWN for side in sides]
    if not last:
        gaps[-1] = box_height(sides[-1]) + 0.2 if sides[-1] else 0.0
    top = BOX_EDGE + (0.3 if title else 0.0)
    width = 2 * BOX_EDGE + STEP_WIDTH + ACROSS + SIDE_WIDTH
    sheet = Sheet(width, top + sum(heights) + sum(gaps) + (box_height(last) if last else 0.0) + BOX_EDGE)
    sheet.text(BOX_EDGE, BOX_EDGE + 0.08, title, size=TITLE, weight="bold")
    y, middle = top, BOX_EDGE + STEP_WIDTH / 2
    for number_, (words, side) in enumerate(zip(boxes, sides, strict=True)):
        put_box(sheet, BOX_EDGE, y, STEP_WIDTH, words, strong=True)
        bottom, y = y + heights[number_], y + heights[number_] + gaps[number_]
        if number_ + 1 < len(boxes) or last:
            sheet.arrow((middle, bottom), (middle, y))
        if side:
            beside(sheet, middle, (bottom + y) / 2, side)
    if last:
        put_box(sheet, BOX_EDGE, y, width - 2 * BOX_EDGE, last, strong=False)
    stages = [(step.label, step.count, step.left_out) for step in steps]
    return Drawing(sheet.figure, flow_alt(stages, pools))


def beside(sheet: Sheet, middle: float, level: float, words: str) -> None:
    """The box of what is left out, with its arrow from the way down."""
    x = BOX_EDGE + STEP_WIDTH + ACROSS
    sheet.arrow((middle, level), (x, level))
    put_box(sheet, x, level - box_height(words) / 2, SIDE_WIDTH, words, strong=False)
