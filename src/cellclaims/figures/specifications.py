"""The specification curve: every distinct estimate in order, and below it which choices lead there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from cellclaims.errors import DataError
from cellclaims.figures.forest import effect_words
from cellclaims.figures.intervals import Claim, FigureColumn, FigureRow, Mark, draw, marks_of, scale_for, ticks_within
from cellclaims.figures.show import Drawing, nothing_to_draw
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    GREY,
    PALE,
    SKY,
    SMALL,
    TITLE,
    VERMILLION,
    VERMILLION_INK,
    Sheet,
    applied,
    block_height,
    wrapped,
)
from cellclaims.reporting.pools import choices_alt
from cellclaims.reporting.specifications import share_words, specification_alt
from cellclaims.reporting.tables import number
from cellclaims.specifications import Curve

if TYPE_CHECKING:
    import pandas as pd


#: Inches: margin, columns of the choice, of the option, of the plot, of the median, and the longest bar of a share.
EDGE, CHOICE, OPTION, PLOT, MEDIAN, BAR = 0.12, 1.2, 2.0, 3.0, 0.62, 0.5
LEFT = EDGE + CHOICE + OPTION + 0.1
RIGHT = LEFT + PLOT
WIDTH = RIGHT + MEDIAN + 0.2 + BAR + 0.5 + EDGE
#: Height of the plot of estimates, of a line of options, and of the space above a choice.
CURVE, LINE, GAP = 2.1, 0.165, 0.07
#: Height of the headings between the findings and the choices.
HEADS = 0.24
#: More lines than this are gathered, neighbours together, into as many columns of a strip.
COLUMNS = 150
#: More intervals than this would blacken the plot and bloat the file: every so many-th one is drawn.
INTERVALS = 1200


@dataclass(frozen=True)
class Strip:
    """One line below the curve: an option, which of the specifications in order have it, and its figures in words.

    ``first`` is true for the first line of a choice, whose title stands beside it. ``share`` is the share of a
    finding, or that of a choice in the spread.
    """

    title: str
    option: str
    leads: NDArray[np.bool_]
    median: str = ""
    share: float = np.nan
    own: bool = False
    first: bool = False
    color: str = BLUE

    @property
    def words(self) -> str:
        """The option, broken into lines that its column holds."""
        return wrapped(self.option, OPTION, SMALL, "bold" if self.own else "normal")

    @property
    def height(self) -> float:
        """Inches that the line takes."""
        title = wrapped(self.title, CHOICE - 0.08, SMALL, "bold") if self.first else ""
        lines = max(self.words.count("\n"), title.count("\n"))
        return LINE + lines * 0.14 + (GAP if self.first else 0.0)


def strips_of(curve: Curve, shown: pd.Index, decimals: int) -> list[Strip]:
    """The findings, then the choices with more than one option, the one that moves the answer most first."""
    strips = [
        Strip("Finding", finding, (curve.lines.finding[shown] == finding).to_numpy(), share=share,
              own=finding == curve.finding, first=i == 0, color=VERMILLION)
        for i, (finding, share) in enumerate(curve.findings.items())
    ]  # fmt: skip
    by_id = {choice.choice_id: choice for choice in curve.choices}
    medians = curve.options.set_index(["choice", "option"])["median"]
    for moved in curve.influence.sort_values("share", ascending=False, kind="stable").itertuples():
        options = [o.name for o in by_id[moved.choice].options if (moved.choice, o.name) in medians.index]
        for i, name in enumerate(options):
            leads = curve.marks[moved.choice, name][shown].to_numpy()
            median = number(medians[moved.choice, name], decimals)
            title = by_id[moved.choice].title
            share = moved.share if i == 0 else np.nan
            strips.append(Strip(title, name, leads, median, share, own=i == 0, first=i == 0))
    return strips


def heights_of(leads: NDArray[np.bool_]) -> tuple[NDArray, NDArray]:
    """Edges of the columns of a strip, in specifications, and the share of each column that the option leads to.

    Examples
    --------
    >>> edges, heights = heights_of(np.array([True, False, False]))
    >>> edges.tolist(), heights.tolist()
    ([0.0, 1.0, 2.0, 3.0], [1.0, 0.0, 0.0])
    """
    count = min(len(leads), COLUMNS)
    edges = np.linspace(0, len(leads), count + 1).round()
    starts = edges[:-1].astype(int)
    return edges, np.add.reduceat(leads.astype(float), starts) / np.diff(edges)


def draw_estimates(axes: Axes, lines: pd.DataFrame) -> None:
    """Intervals as thin uprights, estimates as dots that run together into a line where there are many."""
    n = len(lines)
    x = np.arange(n) + 0.5
    every = slice(None, None, max(1, -(-n // INTERVALS)))
    low, high = (lines[name].to_numpy()[every] for name in ("ci_lb", "ci_ub"))
    gaps = np.full(len(low), np.nan)
    width = min(max(PLOT * 72 / n * 0.7, 0.3), 4.0)
    axes.plot(np.repeat(x[every], 3), np.stack([low, high, gaps], axis=1).ravel(), color=SKY, lw=width, alpha=0.75,
              solid_capstyle="butt", zorder=2)  # fmt: skip
    size = min(max(PLOT * 72 / n * 0.8, 1.6), 4.0)
    axes.plot(x[every], lines.beta.to_numpy()[every], "o", color=BLACK, ms=size, mew=0, zorder=6)


def draw_strip(sheet: Sheet, strip: Strip, top: float, total: int, own: float | None) -> None:
    """The option's columns: full height where all specifications of the column have it; ``own`` the review's place."""
    middle = top + strip.height - (strip.height - (GAP if strip.first else 0.0)) / 2
    axes = sheet.axes(LEFT, middle - 0.065, PLOT, 0.13)
    axes.set(xlim=(0, total), ylim=(0, 1), xticks=[], yticks=[])
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    axes.patch.set_facecolor("#F1F1F1")
    edges, heights = heights_of(strip.leads)
    axes.stairs(heights, edges, fill=True, color=strip.color, lw=0)
    if own is not None:
        axes.axvline(own, color=BLACK, lw=0.8)
    write_strip(sheet, strip, top, middle)


def write_strip(sheet: Sheet, strip: Strip, top: float, middle: float) -> None:
    """The words of a line: choice, option, median, and the share as a bar with its number."""
    weight = "bold" if strip.own else "normal"
    first = middle - 0.07 * strip.words.count("\n")
    if strip.first:
        sheet.rule(top + GAP / 2, EDGE, WIDTH - EDGE, color=PALE, lw=0.7)
        sheet.text(EDGE, first, wrapped(strip.title, CHOICE - 0.08, SMALL, "bold"), size=SMALL, weight="bold")
    sheet.text(EDGE + CHOICE, first, strip.words, size=SMALL, weight=weight)
    sheet.text(RIGHT + MEDIAN, middle, strip.median, size=SMALL, weight=weight, ha="right")
    if np.isfinite(strip.share):
        left = RIGHT + MEDIAN + 0.2
        sheet.box(left, middle - 0.05, max(BAR * strip.share, 0.008), 0.1, color=GREY, lw=0)
        sheet.text(left + BAR + 0.42, middle, share_words(strip.share), size=SMALL, ha="right")


def value_limits(curve: Curve, lines: pd.DataFrame, claim: float | None) -> tuple[float, float]:
    """0 to 100 percent; else what the estimates and the claim need, with as much again for the intervals."""
    if curve.unit == "percent":
        return (0.0, 100.0)
    seen = [*lines.beta, *([] if claim is None else [claim]), 0.0]
    low, high = min(seen), max(seen)
    room = max(high - low, 0.1)
    return (max(lines.ci_lb.min(), low - room), min(lines.ci_ub.max(), high + room))


def curve_axes(sheet: Sheet, top: float, limits: tuple[float, float], total: int, unit: str) -> Axes:
    """The plot of estimates with faint lines to read along."""
    axes = sheet.axes(LEFT, top, PLOT, CURVE)
    axes.set(xlim=(0, total), ylim=limits, xticks=[])
    ticks = ticks_within(limits)
    decimals = max((len(f"{tick:.10g}".partition(".")[2]) for tick in ticks), default=0)
    sign = "\u00a0%" if unit == "percent" else ""
    axes.set_yticks(ticks, [f"{number(tick, decimals)}{sign}" for tick in ticks])
    axes.yaxis.grid(True, color=PALE, lw=0.7)
    axes.set_axisbelow(True)
    axes.spines["bottom"].set_visible(False)
    return axes


def mark_claim(sheet: Sheet, axes: Axes, top: float, claim: float, words: str) -> None:
    """The claim as a line across, named on the right."""
    low, high = axes.get_ylim()
    axes.axhline(claim, color="white", lw=3.2, zorder=4)
    axes.axhline(claim, color=VERMILLION, lw=1.6, ls=(0, (5, 2)), zorder=5)
    y = top + CURVE * (high - claim) / (high - low)
    sheet.text(RIGHT + 0.06, y, wrapped(words, WIDTH - RIGHT - EDGE - 0.06, SMALL), size=SMALL, color=VERMILLION_INK)


def mark_own(sheet: Sheet, axes: Axes, place: float, estimate: float, span: tuple[float, float]) -> None:
    """The review's own choices: a diamond on the curve, and a thin line down to the options."""
    total = axes.get_xlim()[1]
    x = LEFT + PLOT * place / total
    sheet.line((x, x), (span[0] + CURVE, span[1]), color=BLACK, lw=0.8)
    axes.axvline(place, color=BLACK, lw=0.8, zorder=1)
    axes.plot([place], [estimate], "D", ms=6, mfc="white", mec=BLACK, mew=1.3, zorder=7, clip_on=False)
    right = place > total / 2
    sheet.text(x, span[0] - 0.08, "the review's own", size=SMALL, ha="right" if right else "left")


def write_heads(sheet: Sheet, y: float) -> None:
    """Headings of the columns of the findings."""
    sheet.text(EDGE + CHOICE, y, "Bold: the review's own", size=SMALL, color=GREY)
    sheet.text(LEFT + PLOT / 2, y, "from the lowest estimate to the highest", size=SMALL, color=GREY, ha="center")
    sheet.text(WIDTH - EDGE, y, "Share of specifications", size=SMALL, color=GREY, ha="right")


def write_choice_heads(sheet: Sheet, y: float, unit: str) -> None:
    """Headings of the columns of the choices."""
    median = "Median, %" if unit == "percent" else "Median"
    sheet.text(RIGHT + MEDIAN, y, median, size=SMALL, color=GREY, ha="right")
    sheet.text(WIDTH - EDGE, y, "Share of spread", size=SMALL, color=GREY, ha="right")


def write_summary(sheet: Sheet, top: float, axis_label: str, curve: Curve, shown: int) -> None:
    """Left of the curve: what is drawn, and of how much it is the result."""
    share, counted = curve.stability
    words = [
        f"{number(counted, 0)} distinct specifications from {number(curve.combinations, 0)} combinations of choices.",
        f"{share_words(share)} give the finding of the review: {curve.finding}.",
    ]
    if shown < counted:
        words.append(f"{number(counted - shown, 0)} without an estimate.")
    y = top + 0.06
    for weight, part in [("bold", axis_label), *(("normal", line) for line in words)]:
        block = wrapped(part, LEFT - EDGE - 0.62, SMALL, weight)
        sheet.text(EDGE, y, block, size=SMALL, weight=weight)
        y += block_height(block, SMALL) + 0.08


@applied()
def specification_curve(
    curve: Curve, *, axis_label: str, claim: tuple[float, str] | None = None, title: str = "",
    notes: Sequence[str] = (), decimals: int | None = None, what: str = "",
) -> Drawing:  # fmt: skip
    """Every distinct estimate with its interval in order, the claim as a line, the choices below.

    Each option is a strip under the curve: a column is full where all specifications there have the option. The
    strips of the finding come first, then the choices, the one with the largest share of the spread of the estimates
    first. Beside each option stands the median of all combinations that have it (beside a finding its share), beside
    each choice its share of the spread.

    Parameters
    ----------
    curve : Curve
    axis_label : str
        What the estimates are, with their unit.
    claim : (float, str), optional
        The claimed value in the unit of the curve, and its words.
    title : str
    notes : sequence of str
        Sentences below.
    decimals : int, optional
        Of the medians; 0 for percent, else 2.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        If no counted specification has an estimate.
    """
    shown = curve.lines.index[curve.lines.counted & np.isfinite(curve.lines.beta)]
    if shown.empty:
        raise DataError("specification curve: expected an estimate, found none in any counted specification")
    digits = (0 if curve.unit == "percent" else 2) if decimals is None else decimals
    strips = strips_of(curve, shown, digits)
    heading = wrapped(title, WIDTH - 2 * EDGE, TITLE, "bold")
    below = "\n".join(wrapped(note, WIDTH - 2 * EDGE, SMALL) for note in notes)
    top = EDGE + (block_height(heading, TITLE) + 0.1 if title else 0.0) + 0.25
    start = top + CURVE + 0.3
    bottom = start + sum(strip.height for strip in strips) + HEADS
    sheet = Sheet(WIDTH, bottom + 0.1 + (block_height(below, SMALL) + 0.06 if notes else 0.0))
    sheet.text(EDGE, EDGE + 0.09, heading, size=TITLE, weight="bold")
    write_summary(sheet, top, axis_label, curve, len(shown))
    write_heads(sheet, start - 0.1)
    own = draw_curve(sheet, curve, curve.lines.loc[shown], claim, (top, start))
    for place, strip in enumerate(strips):
        if strip.first and place > 0 and strips[place - 1].title == "Finding":
            write_choice_heads(sheet, start + HEADS - 0.08, curve.unit)
            start += HEADS
        draw_strip(sheet, strip, start, len(shown), own)
        start += strip.height
    sheet.text(EDGE, bottom + 0.14, below, size=SMALL)
    return Drawing(sheet.figure, specification_alt(curve, what or axis_label, claim[1] if claim else ""))


def draw_curve(
    sheet: Sheet, curve: Curve, lines: pd.DataFrame, claim: tuple[float, str] | None, span: tuple[float, float]
) -> float | None:
    """The upper plot: estimates, claim, the review's own; gives its place, if it has one."""
    limits = value_limits(curve, lines, None if claim is None else claim[0])
    axes = curve_axes(sheet, span[0], limits, len(lines), curve.unit)
    draw_estimates(axes, lines)
    if claim is not None:
        mark_claim(sheet, axes, span[0], *claim)
    if curve.primary not in lines.index:
        return None
    place = lines.index.get_loc(curve.primary) + 0.5
    mark_own(sheet, axes, place, lines.beta[curve.primary], span)
    return place


# How far a result depends on a choice: one estimate with its interval for each, the primary choice marked.


def choice_row(line: pd.Series, decimals: int) -> FigureRow:
    """One choice with its estimate, its interval, and the number of reports where it is given."""
    estimate, low, high = (float(line[name]) for name in ("estimate", "ci_lb", "ci_ub"))
    k = float(line.get("k", math.nan))
    primary = bool(line.get("primary", False))
    words = str(line["choice"])
    words += " (primary)" if primary and "primary" not in words else ""
    cells = {"effect": effect_words(estimate, low, high, decimals), "k": "" if math.isnan(k) else number(k, 0)}
    return FigureRow("primary" if primary else "study", words, cells, estimate, low, high)


def sensitivity(
    table: pd.DataFrame, *, axis_label: str, scale: str = "identity",
    claim: Claim = None, favours: tuple[str, str] | None = None, title: str = "",
    decimals: int | None = None, effect_heading: str = "",
    limits: tuple[float, float] | None = None, notes: Sequence[str] = (), what: str = "",
) -> Drawing:  # fmt: skip
    """Estimates with intervals for a list of choices, a faint line through the primary one.

    Parameters
    ----------
    table : DataFrame
        One line for each choice, in order: choice (words), estimate, ci_lb, ci_ub (shown scale: percent for
        proportions), optionally k (reports), primary (bool, one line) and group (a heading where it changes).
    axis_label : str
    scale : str
        "identity", "logit" (values in percent, axis 0 to 100) or "log" (ratios).
    claim, favours, title, decimals, limits, notes
        As in :func:`cellclaims.figures.forest`.
    effect_heading : str
        Heading of the column of numbers; by default the level of the intervals is in it, from the column ``level``.
    what : str
        What is shown, for the alternative text; the axis label by default.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        More than one primary choice. An empty table gives a figure that says so.
    """
    digits = (1 if scale == "logit" else 2) if decimals is None else decimals
    rows: list[FigureRow] = []
    group = ""
    for _, line in table.iterrows():
        if line.get("group", "") and line["group"] != group:
            group = line["group"]
            rows.append(FigureRow("heading", group))
        rows.append(choice_row(line, digits))
    primary = [row for row in rows if row.kind == "primary"]
    if not rows:
        return nothing_to_draw(what or title or axis_label)
    if len(primary) > 1:
        raise DataError(f"sensitivity: expected at most one primary choice, found {len(primary)}")
    level = table["level"].iloc[0] if "level" in table else "95 %"
    effect_heading = effect_heading or f"Estimate\n({level} CI)"
    marks = [*marks_of(claim), *(Mark(row.estimate, "", "reference") for row in primary)]
    columns = [FigureColumn("effect", effect_heading, "right"), FigureColumn("k", "k", "right")]
    shown = [column for column in columns if any(row.cells.get(column.key) for row in rows)]
    axis = scale_for(rows, scale, marks, axis_label, favours, limits)
    fig = draw(rows, shown, axis, label_heading="Choice", title=title, marks=marks, notes=notes)
    return Drawing(fig, choices_alt(table, what or axis_label, digits))


# The choices that move an answer, large enough to be read at half size.

#: Point sizes, and inches: the column of the options, of the plot, and a line.
HEAD, WORDS = 15.0, 12.0
NAMES, RANGE, STEP = 4.3, 4.7, 0.3
#: A choice that moves less of the spread than this is not drawn.
LEAST = 0.01


@applied()
def choices_that_matter(
    curve: Curve, *, title: str, axis_label: str, note: str = "", marks: Sequence[tuple[float, str]] = ()
) -> Drawing:
    """For each option of each choice the median estimate, and the lowest and highest of its specifications.

    Parameters
    ----------
    curve : Curve
    title, axis_label, note : str
    marks : sequence of (float, str)
        Values with their words, drawn as lines.

    Returns
    -------
    Drawing
        Choices that move less than one hundredth of the spread are left out.

    Raises
    ------
    DataError
        If no counted specification has an estimate.
    """
    shown = curve.lines.counted & np.isfinite(curve.lines.beta)
    if not shown.any():
        raise DataError("choices: expected an estimate, found none in any counted specification")
    rows = _option_rows(curve, shown)
    width = 2 * EDGE + NAMES + RANGE
    heading, below = wrapped(title, width - 2 * EDGE, HEAD, "bold"), wrapped(note, width - 2 * EDGE, WORDS)
    top = EDGE + block_height(heading, HEAD) + 0.2
    bottom = top + STEP * len(rows) + 0.1
    sheet = Sheet(width, bottom + 0.75 + (block_height(below, WORDS) + 0.2 if note else 0.0))
    sheet.text(EDGE, EDGE + 0.1, heading, size=HEAD, weight="bold")
    axes = sheet.axes(EDGE + NAMES, top, RANGE - 0.2, bottom - top)
    axes.set(ylim=(bottom, top), yticks=[])
    axes.xaxis.set_tick_params(labelsize=WORDS)
    axes.set_xlabel(axis_label, fontsize=WORDS)
    axes.spines["left"].set_visible(False)
    for value, _ in marks:
        axes.axvline(value, color=VERMILLION, lw=1.6, ls=(0, (4, 2)), zorder=1)
    for i, (words, own, low, middle, high) in enumerate(rows):
        y = top + STEP * (i + 0.6)
        is_head = np.isnan(middle)
        sheet.text(EDGE + (0 if is_head else 0.2), y, words, size=WORDS, weight="bold" if is_head or own else "normal")
        if not is_head:
            axes.plot((low, high), (y, y), color=BLUE, lw=3, solid_capstyle="butt", zorder=3)
            axes.plot([middle], [y], "D" if own else "o", ms=9, mfc=BLACK if own else BLUE, mec="white", zorder=4)
    sheet.text(EDGE, bottom + 0.85, below, size=WORDS)
    return Drawing(sheet.figure, specification_alt(curve, axis_label, marks[0][1] if marks else ""))


def _option_rows(curve: Curve, shown: pd.Series) -> list[tuple[str, bool, float, float, float]]:
    """A heading for each choice, then its options: words, the review's own, lowest, median and highest estimate."""
    by_id = {choice.choice_id: choice for choice in curve.choices}
    rows: list[tuple[str, bool, float, float, float]] = []
    moved = curve.influence[curve.influence.share >= LEAST].sort_values("share", ascending=False, kind="stable")
    for one in moved.itertuples():
        choice = by_id[one.choice]
        rows.append((f"{choice.title} ({share_words(one.share)} of the spread)", False, *[np.nan] * 3))
        for i, option in enumerate(choice.options):
            beta = curve.lines.beta[shown & curve.marks[one.choice, option.name]]
            if len(beta):
                rows.append((option.name, i == 0, float(beta.min()), float(beta.median()), float(beta.max())))
    return rows
