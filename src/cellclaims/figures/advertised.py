"""The figure of the whole review: what is advertised, and what is published, on one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from cellclaims.errors import DataError
from cellclaims.reporting.rounding import interval, number

from .sheet import Sheet, block_height
from .style import BLACK, BLUE, BODY, GREY, PALE, SMALL, TITLE, VERMILLION, VERMILLION_INK, applied, wrapped

#: Inches: margin, width of the words, of the two columns of figures and of the plot, least height of a row.
EDGE, WORDS, FIGURES, PLOT, ROW = 0.12, 2.15, 1.0, 3.1, 0.92

#: Point size of the two figures that are compared.
HUGE = 17.0


@dataclass(frozen=True)
class ClaimRow:
    """One advertised figure beside its published counterpart; all values in percent, NaN where there is none.

    ``pooled`` with its limits ``ci_lb``, ``ci_ub`` and the prediction limits ``pi_lb``, ``pi_ub``; ``control``, the
    value in the control arms, with their ``control_n`` patients; ``k`` reports with ``n`` patients; ``note``, what a
    reader must know (for example "no control group"); ``printed``, the advertised figure as it is to be written
    ("> 93 %") where the bare number would not do.
    """

    label: str
    advertised: float
    pooled: float = math.nan
    ci_lb: float = math.nan
    ci_ub: float = math.nan
    pi_lb: float = math.nan
    pi_ub: float = math.nan
    control: float = math.nan
    control_n: float = math.nan
    k: int = 0
    n: float = math.nan
    note: str = ""
    printed: str = ""

    def __post_init__(self) -> None:
        named = ("advertised", "pooled", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "control")
        for name in named:
            value = getattr(self, name)
            if not (math.isnan(value) or 0 <= value <= 100):
                raise DataError(f"claim row {self.label!r}: {name} expected 0 to 100, found {value!r}")


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


def figure_words(value: float, missing: str) -> tuple[str, float]:
    """A percentage in huge letters, or in body letters why there is none."""
    return (missing, BODY) if math.isnan(value) else (f"{number(value, 0)}\u00a0%", HUGE)


def draw_flag(axes: Axes, x: float, y: float, height: float = 0.41) -> None:
    """The advertised figure: a flag planted at its value, its pole across the published interval."""
    if math.isnan(x):
        return
    foot, top = y + 0.13, y + 0.13 - height
    axes.plot((x, x), (top, foot), color=VERMILLION, lw=1.8, zorder=6, clip_on=False)
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


def write_key(sheet: Sheet, y: float) -> None:
    """What the marks mean, side by side below the axis."""
    axes = sheet.axes(EDGE, y - 0.3, sheet.width - 2 * EDGE, 0.6)
    axes.set(xlim=(0, 100 * (sheet.width - 2 * EDGE) / PLOT), ylim=(y + 0.3, y - 0.3))
    axes.set_axis_off()
    inch = 100 / PLOT
    draw_flag(axes, 0.05 * inch, y - 0.03, height=0.21)
    draw_published(axes, ClaimRow("", 0.0, *(at * inch for at in (1.5, 1.32, 1.68, 1.2, 1.8)), k=5), y)
    axes.plot([5.65 * inch], [y], "s", ms=6, mfc="white", mec=BLACK, mew=1.2)
    sheet.text(EDGE + 0.32, y, "advertised", size=SMALL)
    sheet.text(EDGE + 1.9, y, "published: value, 95\u00a0% CI, prediction for a new setting", size=SMALL)
    sheet.text(EDGE + 5.78, y, "arms without cells", size=SMALL)


@applied()
def advertised(entries: Sequence[ClaimRow], *, title: str = "What is advertised, and what is published",
               note: str = "") -> Figure:  # fmt: skip
    """One row for each advertised figure: the figure, the published value, and both on one axis.

    Parameters
    ----------
    entries : sequence of ClaimRow
        In order from the top.
    title, note : str
        Sentence above; sentences below.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        No entry.
    """
    if not entries:
        raise DataError("advertised: expected at least one claim row, found none")
    figures = EDGE + WORDS + 0.1
    left = figures + 2 * FIGURES + 0.15
    width = left + PLOT + EDGE + 0.2
    labels = [wrapped(entry.label, WORDS, BODY + 1, "bold") for entry in entries]
    details = ["\n".join(wrapped(part, WORDS, SMALL) for part in published_words(e).split("\n")) for e in entries]
    heights = [
        max(ROW, block_height(label, BODY + 1) + block_height(detail, SMALL) + 0.22)
        for label, detail in zip(labels, details, strict=True)
    ]
    heading = wrapped(title, width - 2 * EDGE, TITLE + 1, "bold")
    top = EDGE + block_height(heading, TITLE + 1) + 0.35
    bottom = top + sum(heights)
    below = wrapped(note, width - 2 * EDGE, SMALL)
    sheet = Sheet(width, bottom + 0.66 + (block_height(below, SMALL) + 0.06 if note else 0.0))
    sheet.text(EDGE, EDGE + 0.09, heading, size=TITLE + 1, weight="bold")
    write_heads(sheet, figures, top - 0.13)
    axes = plot_axes(sheet, left, top, bottom)
    y = top
    for entry, label, detail, height in zip(entries, labels, details, heights, strict=True):
        sheet.rule(y, EDGE, width - EDGE, color=GREY, lw=0.6)
        write_entry(sheet, entry, label, detail, figures, y, height)
        draw_published(axes, entry, y + height / 2)
        draw_flag(axes, entry.advertised, y + height / 2)
        draw_control(axes, entry, y + height / 2)
        y += height
    write_key(sheet, bottom + 0.48)
    sheet.text(EDGE, bottom + 0.74, below, size=SMALL)
    return sheet.figure


def write_heads(sheet: Sheet, figures: float, y: float) -> None:
    """Headings of the two columns of figures, in the colours of their marks."""
    sheet.text(figures + FIGURES / 2, y, "Advertised", weight="bold", color=VERMILLION_INK, ha="center")
    sheet.text(figures + FIGURES * 1.5, y, "Published", weight="bold", color=BLUE, ha="center")


def write_entry(
    sheet: Sheet, entry: ClaimRow, label: str, detail: str, figures: float, y: float, height: float
) -> None:  # fmt: skip
    """The words of one row: what is claimed, the two figures, and what stands behind the published one."""
    first = y + 0.17
    sheet.text(EDGE, first, label, size=BODY + 1, weight="bold")
    sheet.text(EDGE, first + block_height(label, BODY + 1) + 0.01, detail, size=SMALL)
    for column, value, missing, color in (
        (0.5, entry.advertised, "no figure", VERMILLION_INK),
        (1.5, entry.pooled, "none found", BLUE),
    ):
        words, size = figure_words(value, missing)
        words = entry.printed if entry.printed and color == VERMILLION_INK else words
        weight = "bold" if size == HUGE else "normal"
        x = figures + FIGURES * column
        sheet.text(x, y + height / 2, words, size=size, weight=weight, color=color, ha="center")
