"""Evidence maps: studies by population, product and design, and over the years; flow of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import matplotlib as mpl
import pandas as pd
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

#: Inches: width and height of a tile, room for the totals at the right, height of a panel of years, of the legend.
TILE, TOTALS, YEARS, LEGEND = (0.86, 0.28), 0.5, 0.62, 0.36


def in_order(values: pd.Series) -> list[str]:
    """Different values in the order of their categories, or, of plain text, in the order in which they appear."""
    found = dict.fromkeys(map(str, values))
    if isinstance(values.dtype, pd.CategoricalDtype):
        return [str(value) for value in values.cat.categories if str(value) in found]
    return list(found)


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
    """Draw one tile with its number, or a dot if there are no studies."""
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


def write_shades(sheet: Sheet, grid: Grid, largest: float, unit: str) -> None:
    """What the colours mean, below the totals: tiles of some counts, and the dot of none."""
    top = grid.bottom + 0.36
    sheet.text(EDGE, top + TILE[1] / 2, f"Colour: number of {unit} (· none)", size=SMALL)
    shown = sorted({1, round(largest / 4), round(largest / 2), int(largest)} - {0})[-len(grid.x) :]
    for x, count in zip(grid.x, shown, strict=False):
        put_tile(sheet, (x, top), TILE[1], count, largest)


@applied()
def evidence_map(table: pd.DataFrame, *, title: str = "", unit: str = "reports", note: str = "") -> Drawing:
    """Tiles with the number of studies: populations one below the other, in each a line for every product.

    Parameters
    ----------
    table : DataFrame
        One line for each combination: population, product, design (words, shown as they are and in the order of their
        categories, or in which they appear), studies (number; a line with 0 shows a gap that would not be seen
        otherwise).
    title, unit, note : str
        Sentence above; what is counted; small print below.

    Returns
    -------
    Drawing
    """
    populations, products, designs = (in_order(table[name]) for name in ("population", "product", "design"))
    table = table.astype({"population": str, "product": str, "design": str})
    counts = table.pivot_table("studies", ["population", "product"], "design", "sum", fill_value=0)
    lines = [(p, c) for p in populations for c in products if (p, c) in counts.index]
    counts = counts.loc[lines, designs]
    populations, products = zip(*lines, strict=True)
    grid = lay_grid(products, counts.columns, top=EDGE + (0.3 if title else 0.0), tile=TILE, groups=populations)
    width = grid.right + TOTALS + EDGE
    small = wrapped(note, width - 2 * EDGE, SMALL) if note else ""
    below = grid.bottom + 0.36 + LEGEND
    sheet = Sheet(width, below + (block_height(small, SMALL) + 0.08 if note else 0.0))
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    write_margins(sheet, grid)
    largest = counts.to_numpy().max()
    for y, height, line in zip(grid.y, grid.heights, counts.to_numpy(), strict=True):
        for x, count in zip(grid.x, line, strict=True):
            put_tile(sheet, (x, y), height, count, largest)
    write_totals(sheet, grid, counts, unit)
    write_shades(sheet, grid, largest, unit)
    sheet.text(EDGE, below + 0.08, small, size=SMALL)
    return Drawing(sheet.figure, counts_alt(table, f"Number of {unit} by product, population and design"))


def year_bars(axes: Axes, years: pd.Series, tallest: float, span: int = 1) -> None:
    """Bars of one product, with the number on top of each; a bar is ``span`` years wide."""
    axes.bar(years.index, years.to_numpy(), width=span - 0.2, color=BLUE)
    for year, count in years.items():
        axes.text(year, count, number(count, 0), size=SMALL, ha="center", va="bottom")
    axes.set(ylim=(0, 1.75 * tallest), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.patch.set_visible(False)


@applied()
def evidence_years(
    table: pd.DataFrame, *, title: str = "", unit: str = "reports", note: str = "", span: int = 1
) -> Drawing:
    """Studies per year: a panel of bars for each product, all on one height and one axis of years.

    Parameters
    ----------
    table : DataFrame
        One line for each year and product that occurs: year, product (words, in order of appearance),
        studies.
    title, unit, note : str
        Sentence above; what is counted; small print below, such as how many have no year.
    span : int
        Years in a bar: 5 counts 2000 to 2004, 2005 to 2009 and so on.

    Returns
    -------
    Drawing
    """
    products = in_order(table["product"])
    table = table.astype({"product": str})
    middle = table.year // span * span + (span - 1) / 2
    counts = table.assign(year=middle).pivot_table("studies", "year", "product", "sum", fill_value=0)[products]
    names = [wrapped(f"{name}\u00a0({number(counts[name].sum(), 0)})", 1.9) for name in products]
    left, top = EDGE + max(text_width(name) for name in names) + 0.15, EDGE + (0.3 if title else 0.05)
    limits = (counts.index.min() - span / 2 - 0.2, counts.index.max() + span / 2 + 0.2)
    width = max(4.0, 0.2 * (limits[1] - limits[0]))
    whole = left + width + EDGE + 0.1
    small = wrapped(note, whole - 2 * EDGE, SMALL) if note else ""
    sheet = Sheet(whole, top + YEARS * len(products) + 0.55 + (block_height(small, SMALL) + 0.05 if note else 0.0))
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    for line, (product, name) in enumerate(zip(products, names, strict=True)):
        y = top + line * YEARS
        sheet.text(EDGE, y + YEARS * 0.7 - 0.13 * name.count("\n"), name)
        axes = sheet.axes(left, y, width, YEARS)
        year_bars(axes, counts.loc[counts[product] > 0, product], counts.to_numpy().max(), span)
        axes.set(xlim=limits)
        axes.set_xticks([])
    ticks = ticks_within(limits, 12, whole=True)
    axes.set_xticks(ticks, [number(tick, 0) for tick in ticks])
    axis = top + YEARS * len(products) + 0.36
    years = "Year" if span == 1 else f"Year, a bar for each {span}"
    sheet.text(left + width / 2, axis, f"{years} (the numbers are {unit})", ha="center")
    sheet.text(EDGE, axis + 0.24, small, size=SMALL)
    return Drawing(sheet.figure, years_alt(table, unit))


# Flow of reports: numbers found, excluded at each step with reasons, and included in each pool.


#: Inches: margin, width of a main box and of a side box, the gaps between them and between two steps.
BOX_EDGE, STEP_WIDTH, SIDE_WIDTH, ACROSS, DOWN = 0.1, 2.6, 3.6, 0.45, 0.3

#: Inches inside a box, around its words.
PADDING = 0.09


@dataclass(frozen=True)
class Step:
    """A stage on the way from records found to reports pooled.

    Attributes
    ----------
    label : str
    count : int
        How many are at it.
    left_out : mapping
        Reason -> how many do not reach the next step.
    added : mapping
        Source -> number of additional records at this step.
    heading : str
        What those that are left out are called.
    """

    label: str
    count: int
    left_out: Mapping[str, int] = field(default_factory=dict)
    added: Mapping[str, int] = field(default_factory=dict)
    heading: str = "Left out"


def check_counts(steps: Sequence[Step]) -> None:
    """Raise an error for a flow whose numbers do not add up."""
    if not steps:
        raise DataError("flow: expected at least one step, found none")
    if steps[0].added and sum(steps[0].added.values()) != steps[0].count:
        raise DataError(
            f"flow: expected {sum(steps[0].added.values())} at {steps[0].label!r}, as many as come in there, found "
            f"{steps[0].count}"
        )
    for step, following in pairwise(steps):
        added = sum(following.added.values())
        expected = step.count - sum(step.left_out.values()) + added
        if expected != following.count:
            more = f" and {added} added" if added else ""
            raise DataError(
                f"flow: expected {expected} at {following.label!r} ({step.count} at {step.label!r} less "
                f"{sum(step.left_out.values())} left out{more}), found {following.count}"
            )


def step_words(step: Step) -> str:
    """Words of a step's box."""
    return wrapped(f"{step.label}\nn = {number(step.count, 0)}", STEP_WIDTH - 2 * PADDING, BODY, "bold")


def reason_words(reasons: Mapping[str, int], heading: str = "Left out") -> str:
    """Words of the box at the side of a step: each reason with its number, the most frequent first.

    Examples
    --------
    >>> reason_words({"other time": 3, "registry": 12}).split(chr(10))
    ['Left out: 15', '12\\u2002registry', '\\u20073\\u2002other time']
    """
    if not reasons:
        return ""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    widest = len(number(ordered[0][1], 0))
    lines = [wrapped(f"{heading}: {number(sum(reasons.values()), 0)}", SIDE_WIDTH - 2 * PADDING, weight="bold")]
    for reason, count in ordered:
        # figure spaces are as wide as a digit, which aligns the numbers
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
    return "\n".join(["Pools of these reports (k: reports in a pool; a report can be in several)", *lines])


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
def flow(steps: Sequence[Step], *, pools: Sequence[tuple[str, int]] = (), title: str = "", note: str = "") -> Drawing:
    """Boxes from the records that were found to the reports that were pooled, with the reasons at each step.

    Parameters
    ----------
    steps : sequence of Step
        In order; what a step leaves out, less what the next one adds, must be the difference between the two.
    pools : sequence of (name, number of reports)
        Shown in a last box; a report can be in several pools, so these need not add up.
    title, note : str
        Sentence above; small print below.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        No step, or numbers that do not add up.
    """
    check_counts(steps)
    boxes = [step_words(step) for step in steps]
    inward = [reason_words(step.added, "From these sources") for step in steps]
    sides = [reason_words(step.left_out, step.heading) for step in steps]
    last = pool_words(pools) if pools else ""
    width = 2 * BOX_EDGE + STEP_WIDTH + ACROSS + SIDE_WIDTH
    small = wrapped(note, width - 2 * BOX_EDGE, SMALL) if note else ""
    heights = [
        max(box_height(words), box_height(more) if more else 0) for words, more in zip(boxes, inward, strict=True)
    ]
    gaps = [max(DOWN, box_height(side) + 0.2) if side else DOWN for side in sides]
    if not last:
        gaps[-1] = box_height(sides[-1]) + 0.2 if sides[-1] else 0.0
    heading = wrapped(title, width - 2 * BOX_EDGE, TITLE, "bold")
    top = BOX_EDGE + (block_height(heading, TITLE) + 0.1 if title else 0.0)
    below = (box_height(last) if last else 0.0) + (block_height(small, SMALL) + 0.12 if note else 0.0)
    sheet = Sheet(width, top + sum(heights) + sum(gaps) + below + BOX_EDGE)
    sheet.text(BOX_EDGE, BOX_EDGE + 0.08, heading, size=TITLE, weight="bold")
    y, middle = top, BOX_EDGE + STEP_WIDTH / 2
    for number_, (words, more, side) in enumerate(zip(boxes, inward, sides, strict=True)):
        put_box(sheet, BOX_EDGE, y, STEP_WIDTH, words, strong=True)
        if more:
            level = y + min(box_height(words), box_height(more)) / 2
            x = BOX_EDGE + STEP_WIDTH + ACROSS
            sheet.arrow((x, level), (BOX_EDGE + STEP_WIDTH, level))
            put_box(sheet, x, y, SIDE_WIDTH, more, strong=False)
        bottom, y = y + box_height(words), y + heights[number_] + gaps[number_]
        if number_ + 1 < len(boxes):
            sheet.arrow((middle, bottom), (middle, y))
        if side:
            beside(sheet, middle, y - gaps[number_] / 2, side)
    if last:
        put_box(sheet, BOX_EDGE, y, width - 2 * BOX_EDGE, last, strong=False)
    if note:
        sheet.text(BOX_EDGE, y + (box_height(last) if last else 0.0) + 0.14, small, size=SMALL)
    stages = [(step.label, step.count, step.left_out, step.added, step.heading) for step in steps]
    return Drawing(sheet.figure, flow_alt(stages, pools))


def beside(sheet: Sheet, middle: float, level: float, words: str) -> None:
    """The box of what is left out, with its arrow from the way down."""
    x = BOX_EDGE + STEP_WIDTH + ACROSS
    sheet.arrow((middle, level), (x, level))
    put_box(sheet, x, level - box_height(words) / 2, SIDE_WIDTH, words, strong=False)
