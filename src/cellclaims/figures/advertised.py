"""The figure of the whole review: what is advertised, and what is published, on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from cellclaims.errors import DataError
from cellclaims.figures.show import Drawing
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    BODY,
    GREY,
    PALE,
    SMALL,
    TITLE,
    VERMILLION,
    VERMILLION_INK,
    Sheet,
    applied,
    block_height,
    wrapped,
)
from cellclaims.reporting.claims import ClaimRow, claim_rows_alt
from cellclaims.reporting.tables import interval, number

#: Inches: margin, width of the words, of the two columns of figures and of the plot, least height of a row.
EDGE, WORDS, FIGURES, PLOT, ROW = 0.12, 2.15, 1.0, 3.1, 0.92

#: Where the two columns of figures and the plot begin, in inches from the left, and the width of the sheet.
FIRST, LEFT = EDGE + WORDS + 0.1, EDGE + WORDS + 2 * FIGURES + 0.25
WIDTH = LEFT + PLOT + EDGE + 0.2

#: Point size of the two figures that are compared, and of a further counterpart's.
HUGE, LARGE = 17.0, 12.0


def published_words(entry: ClaimRow) -> str:
    """What stands under a row's label: interval, reports, patients, control arms, note.

    Examples
    --------
    >>> entry = ClaimRow("off insulin", 30.0, 28.0, 20.0, 37.0, k=5, n=111, note="no control group")
    >>> published_words(entry).replace(chr(0xA0), " ").split(chr(10))
    ['95 % CI 20 to 37 %, k = 5, n = 111', 'no control group']
    """
    counts = [f"k\u00a0=\u00a0{number(entry.k, 0)}"] if entry.k else ["no published report"]
    counts += [] if math.isnan(entry.n) else [f"n\u00a0=\u00a0{number(entry.n, 0)}"]
    limits = entry.ci_lb + entry.ci_ub
    first = ([] if math.isnan(limits) else [f"95\u00a0% CI {interval(entry.ci_lb, entry.ci_ub, 0)}\u00a0%"]) + counts
    few = {1: "one report: shown, not pooled"}.get(entry.k, "few reports" if 2 <= entry.k <= 4 else "")
    return "\n".join(part for part in (", ".join(first), few, entry.note) if part)


def label_style(entry: ClaimRow) -> tuple[float, str]:
    """Letter size and weight of a row's label: a further counterpart stands back behind its claim."""
    return (BODY, "normal") if entry.beside else (BODY + 1, "bold")


@dataclass(frozen=True)
class Placed:
    """A row with its words broken into lines, its height, and its top, in inches."""

    entry: ClaimRow
    label: str
    detail: str
    height: float
    top: float

    @property
    def middle(self) -> float:
        """Where the marks stand."""
        return self.top + self.height / 2


def place_rows(entries: Sequence[ClaimRow], top: float) -> list[Placed]:
    """Break the words of every row and put the rows below one another."""
    placed = []
    for entry in entries:
        size, weight = label_style(entry)
        label = wrapped(entry.label, WORDS, size, weight)
        detail = "\n".join(wrapped(part, WORDS, SMALL) for part in published_words(entry).split("\n"))
        words = block_height(label, size) + block_height(detail, SMALL) + 0.2
        height = max(words, ROW * (0.6 if entry.beside else 1.0))
        placed.append(Placed(entry, label, detail, height, top))
        top += height
    return placed


def draw_pole(axes: Axes, x: float, top: float, foot: float) -> None:
    """The advertised value's pole, with a white edge that keeps it apart from a bar of the same grey in print."""
    axes.plot((x, x), (top, foot), color="white", lw=4.2, zorder=4.5, solid_capstyle="butt")
    axes.plot((x, x), (top, foot), color=VERMILLION, lw=2.0, zorder=6, clip_on=False)


def draw_flag(axes: Axes, x: float, y: float, height: float = 0.41) -> None:
    """The advertised figure: a flag planted at its value, its pole across the published interval."""
    if math.isnan(x):
        return
    foot, top = y + 0.13, y + 0.13 - height
    draw_pole(axes, x, top, foot)
    side = -1.0 if x > 92 else 1.0
    cloth = [(x, top - 0.01), (x + side * 6.5, top + 0.07), (x, top + 0.15)]
    axes.add_patch(Polygon(cloth, closed=True, color=VERMILLION, lw=0, zorder=6, clip_on=False))


def draw_published(axes: Axes, entry: ClaimRow, y: float) -> None:
    """The pooled value on its thick confidence interval and thin prediction interval; one report: an open dot."""
    if not math.isnan(entry.pi_lb + entry.pi_ub):
        axes.plot((entry.pi_lb, entry.pi_ub), (y, y), color=BLUE, lw=1.1, zorder=3, clip_on=False)
        for end in (entry.pi_lb, entry.pi_ub):
            axes.plot((end, end), (y - 0.05, y + 0.05), color=BLUE, lw=1.1, zorder=3, clip_on=False)
    alone = entry.k == 1
    if not math.isnan(entry.ci_lb + entry.ci_ub):
        bar = {"color": BLUE, "lw": 2.2 if alone else 6.0, "solid_capstyle": "butt", "zorder": 4, "clip_on": False}
        axes.plot((entry.ci_lb, entry.ci_ub), (y, y), **bar)
    if not math.isnan(entry.pooled):
        dot = {"mfc": "white", "mec": BLUE, "mew": 2.0} if alone else {"mfc": BLUE, "mec": "white", "mew": 1.4}
        axes.plot([entry.pooled], [y], "o", ms=9, zorder=5, clip_on=False, **dot)


def draw_control(axes: Axes, entry: ClaimRow, y: float) -> None:
    """The control arms' value: an open square a little lower, with its words on the side that has room."""
    if math.isnan(entry.control):
        return
    level = y + 0.25
    axes.plot([entry.control], [level], "s", ms=6, mfc="white", mec=BLACK, mew=1.2, zorder=5, clip_on=False)
    patients = "" if math.isnan(entry.control_n) else f", n\u00a0=\u00a0{number(entry.control_n, 0)}"
    words = f"without cells {number(entry.control, 0)}\u00a0%{patients}"
    left = entry.control > 50
    x = entry.control + (-2.6 if left else 2.6)
    axes.text(x, level, words, size=SMALL, ha="right" if left else "left", va="center_baseline")


def plot_axes(sheet: Sheet, left: float, top: float, bottom: float) -> Axes:
    """The common axis, 0 to 100 percent, with faint lines to read along."""
    axes = sheet.axes(left, top, PLOT, bottom - top)
    axes.set(xlim=(0, 100), ylim=(bottom, top), yticks=[])
    axes.set_xticks(range(0, 101, 20), [f"{tick}\u00a0%" for tick in range(0, 101, 20)])
    axes.xaxis.grid(True, color=PALE, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.patch.set_visible(False)
    return axes


def draw_row(axes: Axes, row: Placed) -> None:
    """The marks of one row; a further counterpart shows the advertised figure as a bare pole."""
    draw_published(axes, row.entry, row.middle)
    draw_control(axes, row.entry, row.middle)
    if not row.entry.beside:
        draw_flag(axes, row.entry.advertised, row.middle)
    elif not math.isnan(row.entry.advertised):
        draw_pole(axes, row.entry.advertised, row.middle - 0.13, row.middle + 0.13)


def write_key(sheet: Sheet, y: float) -> None:
    """What the marks mean, side by side below the axis."""
    axes = sheet.axes(EDGE, y - 0.3, WIDTH - 2 * EDGE, 0.6)
    inch = 100 / PLOT
    axes.set(xlim=(0, inch * (WIDTH - 2 * EDGE)), ylim=(y + 0.3, y - 0.3))
    axes.set_axis_off()
    draw_flag(axes, 0.05 * inch, y - 0.03, height=0.21)
    draw_published(axes, ClaimRow("", 0.0, *(at * inch for at in (1.5, 1.32, 1.68, 1.2, 1.8)), k=5), y)
    axes.plot([5.65 * inch], [y], "s", ms=6, mfc="white", mec=BLACK, mew=1.2)
    sheet.text(EDGE + 0.32, y, "advertised", size=SMALL)
    sheet.text(EDGE + 1.9, y, "published: value, 95\u00a0% CI, prediction for a new setting", size=SMALL)
    sheet.text(EDGE + 5.78, y, "arms without cells", size=SMALL)


def write_heads(sheet: Sheet, y: float) -> None:
    """Headings of the two columns of figures, in the colours of their marks."""
    sheet.text(FIRST + FIGURES / 2, y, "Advertised", weight="bold", color=VERMILLION_INK, ha="center")
    sheet.text(FIRST + FIGURES * 1.5, y, "Published", weight="bold", color=BLUE, ha="center")


def write_figure(sheet: Sheet, row: Placed, column: int, words: str, color: str) -> None:
    """One of the two figures of a row, huge for a claim, large for a further counterpart; words in body size."""
    size = (LARGE if row.entry.beside else HUGE) if "%" in words else BODY
    x = FIRST + FIGURES * (column + 0.5)
    weight = "normal" if size == BODY else "bold"
    sheet.text(x, row.middle, words, size=size, weight=weight, color=color, ha="center")


def write_row(sheet: Sheet, row: Placed) -> None:
    """The words of one row: what is claimed, what stands behind the published figure, and the two figures."""
    entry = row.entry
    size, weight = label_style(entry)
    line = {"color": PALE, "lw": 0.6} if entry.beside else {"color": GREY, "lw": 0.6}
    sheet.rule(row.top, EDGE, WIDTH - EDGE, **line)
    sheet.text(EDGE, row.top + 0.16, row.label, size=size, weight=weight)
    sheet.text(EDGE, row.top + 0.17 + block_height(row.label, size), row.detail, size=SMALL)
    said = "no figure" if math.isnan(entry.advertised) else f"{number(entry.advertised, 0)}\u00a0%"
    found = "none found" if math.isnan(entry.pooled) else f"{number(entry.pooled, 0)}\u00a0%"
    write_figure(sheet, row, 0, "" if entry.beside else entry.printed or said, VERMILLION_INK)
    write_figure(sheet, row, 1, found, BLUE)


@applied()
def advertised(
    entries: Sequence[ClaimRow], *, title: str = "What is advertised, and what is published", note: str = ""
) -> Drawing:
    """One row for each advertised figure: the figure, the published value, and both on one axis.

    Parameters
    ----------
    entries : sequence of ClaimRow
        In order from the top; a row with ``beside`` follows the claim to which it adds another counterpart.
    title, note : str
        Sentence above; sentences below.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        No entry.
    """
    if not entries:
        raise DataError("advertised: expected at least one claim row, found none")
    heading, below = wrapped(title, WIDTH - 2 * EDGE, TITLE + 1, "bold"), wrapped(note, WIDTH - 2 * EDGE, SMALL)
    top = EDGE + block_height(heading, TITLE + 1) + 0.35
    rows = place_rows(entries, top)
    bottom = rows[-1].top + rows[-1].height
    sheet = Sheet(WIDTH, bottom + 0.66 + (block_height(below, SMALL) + 0.06 if note else 0.0))
    sheet.text(EDGE, EDGE + 0.09, heading, size=TITLE + 1, weight="bold")
    write_heads(sheet, top - 0.13)
    axes = plot_axes(sheet, LEFT, top, bottom)
    for row in rows:
        write_row(sheet, row)
        draw_row(axes, row)
    write_key(sheet, bottom + 0.48)
    sheet.text(EDGE, bottom + 0.74, below, size=SMALL)
    return Drawing(sheet.figure, claim_rows_alt(entries))
