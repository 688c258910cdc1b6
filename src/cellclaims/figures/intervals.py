"""Interval figures: rows of text to the left and right of a plot, with an axis."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Polygon, Rectangle
from matplotlib.ticker import MaxNLocator

from cellclaims.errors import DataError
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    BODY,
    GREY,
    LINE,
    ORANGE,
    PALE,
    SKY,
    SMALL,
    TITLE,
    VERMILLION_INK,
    Sheet,
    applied,
    block_height,
    text_width,
    wrapped,
)
from cellclaims.reporting.pools import Mark
from cellclaims.reporting.tables import number

# What an interval figure shows, as data: its rows, its columns and the values to compare with. No drawing here.


#: What a row can be; each kind has its own mark in the plot (``interval_marks``).
KINDS = (
    "heading", "study", "pooled", "analysis", "prediction", "benchmark", "control", "control pooled", "primary", "note",
)  # fmt: skip

#: Kinds whose words run across all columns on the left of the plot.
SPANNING = ("heading", "note")


@dataclass(frozen=True)
class FigureRow:
    """One line of an interval figure, on the scale that is shown.

    ``cells`` has the text of the other columns by key. ``share`` sizes the square: the report's weight as a
    proportion of the largest in its pool (0 to 1), NaN without weights.
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
class FigureColumn:
    """A column of words: its key in ``FigureRow.cells``, its heading, the side of the plot and the alignment."""

    key: str
    heading: str
    side: str = "left"
    ha: str = "right"


#: What a figure takes as values to compare with.
Claim = float | Mark | Sequence[Mark | tuple] | None


def marks_of(claim: Claim) -> tuple[Mark, ...]:
    """Return the requested marks: none, an advertised value, one mark or several.

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


# The axis of an interval figure: its limits, its ticks and their words.


#: Proportion of the plot's width that is free at each end.
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


def natural_limits(rows: Sequence[FigureRow], marks: Sequence[Mark], null: float | None) -> tuple[float, float]:
    """Return limits that include every estimate, every value for comparison and the value of no effect.

    An interval may reach beyond these by as much again, or by one and a half times the usual half width of a
    report, so that one small study or the prediction from three reports does not press all others into a line;
    what is cut shows an arrow, and its numbers are next to it.
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
    rows: Sequence[FigureRow], scale: str, marks: Sequence[Mark], label: str, favours: tuple[str, str] | None,
    limits: tuple[float, float] | None,
) -> Scale:  # fmt: skip
    """Return the axis: 0 to 100 for percentages, powers for ratios, else what the rows need."""
    null = NULL[scale]
    if limits is not None and not (np.isfinite(limits).all() and limits[0] != limits[1]):
        raise DataError(f"limits: expected two different ends of the axis, found {limits}")
    if scale == "logit":
        limits = limits or (0.0, 100.0)
    elif scale == "log":
        limits = limits or log_limits(rows, marks, null)
    else:
        limits = limits or natural_limits(rows, marks, null)
    within = (min(limits), max(limits))
    if scale == "log" and within[0] <= 0:
        raise DataError(f"limits: expected ends above zero on a ratio's axis, found {limits}")
    ticks = ratio_ticks(within) if scale == "log" else ticks_within(within)
    decimals = max((len(f"{tick:.10g}".partition(".")[2]) for tick in ticks), default=0)
    words = [number(tick, 0 if scale == "log" and tick >= 1 else decimals) for tick in ticks]
    return Scale(label, limits, ticks, tuple(words), null, scale == "log", favours)


def log_limits(rows: Sequence[FigureRow], marks: Sequence[Mark], null: float) -> tuple[float, float]:
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


# The mark of each kind of row of an interval figure, distinguished by shape first and colour second.


#: Side of the square of the heaviest report, of the lightest, and of one without weight, in points.
LARGEST, SMALLEST, PLAIN = 10.0, 2.6, 5.5

#: Half the height of a diamond and of a prediction bar, in inches.
DIAMOND, BAR = 0.062, 0.03


def square_side(share: float) -> float:
    """Return the side in points of a report's square, whose area is proportional to its weight.

    Examples
    --------
    >>> square_side(1.0), square_side(0.25), square_side(0.0), square_side(math.nan)
    (10.0, 5.0, 2.6, 5.5)
    """
    return max(SMALLEST, LARGEST * math.sqrt(share)) if math.isfinite(share) else PLAIN


def clipped(row: FigureRow, limits: tuple[float, float]) -> tuple[float, float, bool, bool]:
    """Return the part of the interval inside ``limits``, and whether it was cut on the left and on the right.

    Examples
    --------
    >>> clipped(FigureRow("study", "a", estimate=1.0, low=-9.0, high=2.0), (-3.0, 3.0))
    (-3.0, 2.0, True, False)
    """
    low, high = sorted(limits)
    return max(row.low, low), min(row.high, high), row.low < low, row.high > high


def draw_interval(axes: Axes, row: FigureRow, y: float, **style: object) -> None:
    """The line of an interval, with an arrow head where the axis cuts it."""
    left, right, cut_left, cut_right = clipped(row, axes.get_xlim())
    if not (math.isfinite(row.low) and math.isfinite(row.high)) or left > right:
        return
    style = {"color": BLACK, "lw": 0.9, "solid_capstyle": "butt"} | style
    axes.plot((left, right), (y, y), zorder=2, **style)
    draw_heads(axes, ((cut_left, left), (cut_right, right)), y, style["color"])


def draw_heads(axes: Axes, ends: Sequence[tuple[bool, float]], y: float, color: str) -> None:
    """Arrow heads where the axis cuts the low end or the high end: it goes on beyond."""
    heads = "><" if axes.xaxis_inverted() else "<>"
    edge = {"mec": BLACK, "mew": 0.7, "ms": 6.5} if color == ORANGE else {"mec": "none", "ms": 5}
    for (cut, x), head in zip(ends, heads, strict=True):
        if cut:
            axes.plot([x], [y], head, color=color, clip_on=False, zorder=5, **edge)


def draw_point(axes: Axes, row: FigureRow, y: float, marker: str, **style: object) -> None:
    """The estimate's mark, unless the axis leaves it out (then the interval's arrow points to it)."""
    low, high = sorted(axes.get_xlim())
    if low <= row.estimate <= high:
        axes.plot([row.estimate], [y], marker, zorder=4, ls="none", clip_on=False, **style)


def draw_study(axes: Axes, row: FigureRow, y: float) -> None:
    """A single report: a filled square, its area the weight, on its interval."""
    draw_interval(axes, row, y)
    draw_point(axes, row, y, "s", ms=square_side(row.share), color=BLUE, mec="white", mew=0.4)


def draw_pooled(axes: Axes, row: FigureRow, y: float) -> None:
    """A pooled value: a diamond from one confidence limit to the other, open for arms without cells."""
    left, right, cut_left, cut_right = clipped(row, axes.get_xlim())
    corners = [(row.low, y), (row.estimate, y - DIAMOND), (row.high, y), (row.estimate, y + DIAMOND)]
    face = "white" if row.kind == "control pooled" else BLACK
    axes.add_patch(Polygon(corners, closed=True, facecolor=face, edgecolor=BLACK, lw=0.9, zorder=4))
    draw_heads(axes, ((cut_left, left), (cut_right, right)), y, BLACK)


def draw_prediction(axes: Axes, row: FigureRow, y: float) -> None:
    """A prediction interval: a flat open bar, so that it is never taken for a confidence interval."""
    left, right, cut_left, cut_right = clipped(row, axes.get_xlim())
    style = {"facecolor": ORANGE, "edgecolor": BLACK, "lw": 0.7, "zorder": 3}
    axes.add_patch(Rectangle((left, y - BAR), right - left, 2 * BAR, **style))
    draw_heads(axes, ((cut_left, left), (cut_right, right)), y, ORANGE)


def draw_benchmark(axes: Axes, row: FigureRow, y: float) -> None:
    """A figure from elsewhere that is not pooled here: an open circle on a dashed interval."""
    draw_interval(axes, row, y, color=GREY, ls=(0, (3, 1.5)))
    draw_point(axes, row, y, "o", ms=5.5, mfc="white", mec=GREY, mew=1.2)


def draw_control(axes: Axes, row: FigureRow, y: float) -> None:
    """An arm without cells: an open square on its interval."""
    draw_interval(axes, row, y, color=GREY)
    draw_point(axes, row, y, "s", ms=square_side(row.share), mfc="white", mec=GREY, mew=1.2)


def draw_primary(axes: Axes, row: FigureRow, y: float) -> None:
    """The primary choice among others: a filled diamond on a thick interval."""
    draw_interval(axes, row, y, lw=2.2)
    draw_point(axes, row, y, "D", ms=6.5, color=BLACK, mec=SKY, mew=0.8)


#: What draws each kind; a heading and a note have no mark.
DRAW: dict[str, Callable[[Axes, FigureRow, float], None]] = {
    "study": draw_study,
    "pooled": draw_pooled,
    "analysis": draw_pooled,
    "control pooled": draw_pooled,
    "prediction": draw_prediction,
    "benchmark": draw_benchmark,
    "control": draw_control,
    "primary": draw_primary,
}


#: Inches: outer margin, space between columns, width of the plot, widest first column, and of
#: the words left of the plot.
EDGE, GAP, PLOT, WIDEST, BLOCK = 0.1, 0.15, 2.5, 2.2, 2.8

#: Space above a row of this kind, in inches, and its weight of letters.
ABOVE = {"heading": 0.09, "pooled": 0.04, "control pooled": 0.04}
#: Colour, dashes and width of the line of each kind of mark.
MARKS = {
    "advertised": (VERMILLION_INK, (0, (4, 2)), 1.3),
    "threshold": (GREY, (0, (1, 1.5)), 1.3),
    "reference": (PALE, "-", 2.5),
}

BOLD = ("heading", "pooled", "control pooled", "primary")


@dataclass(frozen=True)
class Layout:
    """The layout, in inches: the ``x`` of each column, the plot, the width, the text of each row."""

    x: Mapping[str, float]
    plot: tuple[float, float]
    width: float
    labels: tuple[str, ...]
    tops: tuple[float, ...]
    body: tuple[float, float]


def weight_of(row: FigureRow) -> str:
    """Letter weight of a row's words."""
    return "bold" if row.kind in BOLD else "normal"


def size_of(row: FigureRow) -> float:
    """Letter size of a row's words: notes are smaller."""
    return SMALL if row.kind == "note" else BODY


def column_width(column: FigureColumn, rows: Sequence[FigureRow]) -> float:
    """Inches that the widest words of a column take, heading included."""
    words = (text_width(row.cells.get(column.key, ""), BODY, weight_of(row)) for row in rows)
    return max([text_width(column.heading, BODY, "bold"), *words])


def label_width(rows: Sequence[FigureRow], columns: Sequence[FigureColumn], heading: str) -> float:
    """Width of the first column: its widest words, up to ``WIDEST``; what is longer is broken into lines.

    Headings and notes run on over the other columns left of the plot; with these the column is as wide as they
    need, up to ``BLOCK``.
    """
    own, across = [text_width(heading, BODY, "bold")], [0.0]
    for row in rows:
        width = text_width(row.label, size_of(row), weight_of(row)) + 0.02
        (across if row.kind in SPANNING else own).append(width)
    beside = sum(GAP + column_width(column, rows) for column in columns if column.side == "left")
    return max(min(WIDEST if beside else BLOCK, max(own)), min(BLOCK, max(across)) - beside)


def place_columns(
    rows: Sequence[FigureRow], columns: Sequence[FigureColumn], first: float
) -> tuple[dict[str, float], float, float]:
    """Anchor of each column, left edge of the plot, and the width of all."""
    anchors: dict[str, float] = {}
    x = EDGE + first
    for side in ("left", "right"):
        for column in (c for c in columns if c.side == side):
            width = column_width(column, rows)
            anchors[column.key] = x + GAP + {"left": 0.0, "center": width / 2, "right": width}[column.ha]
            x += GAP + width
        if side == "left":
            plot = x + GAP + 0.05
            x = plot + PLOT + 0.02
    return anchors, plot, x + EDGE


def lay_out(rows: Sequence[FigureRow], columns: Sequence[FigureColumn], label_heading: str) -> Layout:
    """Measure all words and give every row its place, from the top downwards."""
    first = label_width(rows, columns, label_heading)
    anchors, plot, width = place_columns(rows, columns, first)
    labels, tops, y = [], [], 0.0
    for row in rows:
        room = plot - EDGE - GAP if row.kind in SPANNING else first
        labels.append(wrapped(row.label, room, size_of(row), weight_of(row)))
        y += ABOVE.get(row.kind, 0.0)
        tops.append(y)
        y += LINE + block_height(labels[-1], size_of(row)) - block_height("", size_of(row))
    return Layout(anchors, (plot, plot + PLOT), width, tuple(labels), tuple(tops), (0.0, y + 0.05))


def mark_levels(marks: Sequence[Mark], place: Mapping[Mark, float]) -> dict[Mark, int]:
    """Return the line above the plot for the label of each mark, so that labels do not overlap."""
    levels: dict[Mark, int] = {}
    taken: list[tuple[int, float, float]] = []
    for mark in sorted((mark for mark in marks if mark.label), key=lambda m: m.value):
        half = text_width(mark.label, SMALL, "bold") / 2 + 0.04
        left, right, level = place[mark] - half, place[mark] + half, 0
        while any(at == level and left < end and right > start for at, start, end in taken):
            level += 1
        taken.append((level, left, right))
        levels[mark] = level
    return levels


def mark_places(marks: Sequence[Mark], plot: tuple[float, float], scale: Scale) -> dict[Mark, float]:
    """Inches from the left at which each mark's words are centred: over its line, kept inside the plot."""
    places = {}
    for mark in marks:
        half = min(text_width(mark.label, SMALL, "bold"), plot[1] - plot[0]) / 2
        at = plot[0] + (plot[1] - plot[0]) * share_along(mark.value, scale)
        places[mark] = min(max(at, plot[0] + half), plot[1] - half)
    return places


def share_along(value: float, scale: Scale) -> float:
    """Return how far along the axis a value lies, 0 at its start and 1 at its end.

    Examples
    --------
    >>> share_along(25.0, Scale("%", (0.0, 100.0), (), ()))
    0.25
    """
    low, high = scale.limits
    if scale.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def write_rows(sheet: Sheet, rows: Sequence[FigureRow], columns: Sequence[FigureColumn], layout: Layout) -> None:
    """The words of every row."""
    for row, label, top in zip(rows, layout.labels, layout.tops, strict=True):
        middle = top + LINE / 2
        color = GREY if row.kind == "note" else BLACK
        sheet.text(EDGE, middle, label, size=size_of(row), weight=weight_of(row), color=color)
        for column in columns:
            words = row.cells.get(column.key, "")
            if words:
                sheet.text(layout.x[column.key], middle, words, weight=weight_of(row), ha=column.ha)


def write_headings(sheet: Sheet, columns: Sequence[FigureColumn], label_heading: str, layout: Layout) -> None:
    """FigureColumn headings, their last lines on one level just above the rows, with a rule below."""
    bottom = layout.body[0] - 0.06
    sheet.rule(bottom, EDGE, layout.width - EDGE)
    for x, heading, ha in [(EDGE, label_heading, "left")] + [(layout.x[c.key], c.heading, c.ha) for c in columns]:
        first = bottom - 0.1 - (block_height(heading) - block_height(""))
        sheet.text(x, first, heading, weight="bold", ha=ha)


def plot_axes(sheet: Sheet, scale: Scale, layout: Layout) -> Axes:
    """Return the plot's axes: across by value, down in the sheet's own inches."""
    top, bottom = layout.body
    axes = sheet.axes(layout.plot[0], top, PLOT, bottom - top)
    axes.set(xlim=scale.limits, ylim=(bottom, top), yticks=[])
    if scale.log:
        axes.set_xscale("log")
        axes.minorticks_off()
    axes.set_xlim(scale.limits)
    axes.set_xticks(scale.ticks, scale.tick_labels)
    axes.spines["left"].set_visible(False)
    axes.patch.set_visible(False)
    if scale.null is not None:
        axes.axvline(scale.null, color=BLACK, lw=0.8, zorder=1)
    return axes


def draw_marks(sheet: Sheet, axes: Axes, marks: Sequence[Mark], scale: Scale, layout: Layout) -> None:
    """Dashed lines of the values to compare with, each with its words above the plot."""
    places = mark_places(marks, layout.plot, scale)
    levels = mark_levels(marks, places)
    for mark in marks:
        color, dashes, width = MARKS[mark.kind]
        axes.axvline(mark.value, color=color, lw=width, ls=dashes, zorder=1)
        y = layout.body[0] - 0.15 - levels.get(mark, 0) * 0.16
        sheet.text(places[mark], y, mark.label, size=SMALL, weight="bold", color=color, ha="center")


def favours_words(scale: Scale) -> tuple[str, str]:
    """Return the labels below the left and the right half of the axis, broken so that they do not overlap."""
    if not scale.favours:
        return ("", "")
    half = PLOT / 2 - 0.08
    return wrapped(f"←\u00a0favours {scale.favours[0]}", half, SMALL), wrapped(
        f"favours {scale.favours[1]}\u00a0→", half, SMALL
    )


def favours_height(scale: Scale) -> float:
    """Inches that the words on what each side favours take below the ticks."""
    return max(block_height(words, SMALL) for words in favours_words(scale)) + 0.03 if scale.favours else 0.0


def write_axis(sheet: Sheet, scale: Scale, layout: Layout, label: str) -> None:
    """Below the ticks: which side favours whom, and the name of the axis."""
    y = layout.body[1] + 0.32
    left, right = layout.plot
    if scale.favours:
        against, towards = favours_words(scale)
        sheet.text(left, y, against, size=SMALL)
        sheet.text(right, y, towards, size=SMALL, ha="right")
        y += favours_height(scale)
    sheet.text((left + right) / 2, y, label, ha="center")


def header_height(columns: Sequence[FigureColumn], label_heading: str, levels: Mapping[Mark, int]) -> float:
    """Inches between the title and the first row: the tallest heading or the highest mark."""
    tallest = max(block_height(heading) for heading in [label_heading] + [c.heading for c in columns])
    return max(0.12 + tallest, 0.26 + 0.16 * max(levels.values(), default=0))


def moved(layout: Layout, down: float) -> Layout:
    """Return the same layout, ``down`` inches lower."""
    top, bottom = layout.body
    return replace(layout, tops=tuple(y + down for y in layout.tops), body=(top + down, bottom + down))


def draw_row_marks(axes: Axes, rows: Sequence[FigureRow], layout: Layout) -> None:
    """The mark of every row that has a value."""
    for row, top in zip(rows, layout.tops, strict=True):
        if row.kind in DRAW and (math.isfinite(row.estimate) or math.isfinite(row.low + row.high)):
            DRAW[row.kind](axes, row, top + LINE / 2)


@applied()
def draw(
    rows: Sequence[FigureRow], columns: Sequence[FigureColumn], scale: Scale, *, label_heading: str = "Study",
    title: str = "", marks: Sequence[Mark] = (), notes: Sequence[str] = (),
) -> Figure:  # fmt: skip
    """One figure with a line for every row; its height grows with the rows, its width with the words.

    Parameters
    ----------
    rows, columns, scale
        What to show, in order from the top and from the left.
    label_heading : str
        Heading of the first column.
    title : str
        One sentence above the figure.
    marks : sequence of Mark
        Values to compare with: dashed lines with words.
    notes : sequence of str
        Sentences below the figure.

    Returns
    -------
    matplotlib.figure.Figure
    """
    layout = lay_out(rows, columns, label_heading)
    room = layout.width - 2 * EDGE
    heading, below = (
        wrapped(title, room, TITLE, "bold"),
        "\n".join(wrapped(note, room, SMALL) for note in notes),
    )
    levels = mark_levels(marks, mark_places(marks, layout.plot, scale))
    above = EDGE + (block_height(heading, TITLE) + 0.08 if title else 0.0)
    layout = moved(layout, above + header_height(columns, label_heading, levels))
    centre = (layout.plot[0] + layout.plot[1]) / 2
    label = wrapped(scale.label, 2 * (min(centre, layout.width - centre) - EDGE))
    foot = layout.body[1] + 0.28 + favours_height(scale) + block_height(label) + 0.06
    sheet = Sheet(layout.width, foot + (block_height(below, SMALL) + 0.1 if below else 0.02))
    sheet.text(EDGE, EDGE + 0.08, heading, size=TITLE, weight="bold")
    sheet.text(EDGE, foot + 0.08, below, size=SMALL)
    write_headings(sheet, columns, label_heading, layout)
    write_rows(sheet, rows, columns, layout)
    axes = plot_axes(sheet, scale, layout)
    draw_marks(sheet, axes, marks, scale, layout)
    draw_row_marks(axes, rows, layout)
    write_axis(sheet, scale, layout, label)
    return sheet.figure
