"""What has been studied and what has not: studies by population, product and design, and over the years."""

from __future__ import annotations

from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from cellclaims.figures.grid import EDGE, GROUP, Grid, lay_grid, write_margins
from cellclaims.figures.interval_axis import ticks_within
from cellclaims.figures.sheet import Sheet
from cellclaims.figures.style import BLACK, BLUE, GREY, PALE, SMALL, TITLE, applied, text_width, wrapped
from cellclaims.reporting.rounding import number

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
def evidence_map(table: pd.DataFrame, *, title: str = "", unit: str = "reports") -> Figure:
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
    matplotlib.figure.Figure
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
    return sheet.figure


def year_bars(axes: Axes, years: pd.Series, tallest: float) -> None:
    """Bars of one product, with the number on top of each."""
    axes.bar(years.index, years.to_numpy(), width=0.8, color=BLUE)
    for year, count in years.items():
        axes.text(year, count, number(count, 0), size=SMALL, ha="center", va="bottom")
    axes.set(ylim=(0, 1.75 * tallest), yticks=[])
    axes.spines["left"].set_visible(False)
    axes.patch.set_visible(False)


@applied()
def evidence_years(table: pd.DataFrame, *, title: str = "", unit: str = "reports") -> Figure:
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
    matplotlib.figure.Figure
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
    return sheet.figure
