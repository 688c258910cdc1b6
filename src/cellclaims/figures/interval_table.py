"""Draw rows, columns and an axis as one figure: words left and right of a plot, every row on its own line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cellclaims.figures.interval_axis import Scale
from cellclaims.figures.interval_marks import DRAW
from cellclaims.figures.interval_rows import SPANNING, Column, Mark, Row
from cellclaims.figures.sheet import Sheet, block_height
from cellclaims.figures.style import (
    BLACK,
    BODY,
    GREY,
    LINE,
    PALE,
    SMALL,
    TITLE,
    VERMILLION_INK,
    applied,
    text_width,
    wrapped,
)

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
    """Where things stand, in inches: each column's ``x``, the plot, the whole width, each row's words."""

    x: Mapping[str, float]
    plot: tuple[float, float]
    width: float
    labels: tuple[str, ...]
    tops: tuple[float, ...]
    body: tuple[float, float]


def weight_of(row: Row) -> str:
    """Letter weight of a row's words."""
    return "bold" if row.kind in BOLD else "normal"


def size_of(row: Row) -> float:
    """Letter size of a row's words: notes are smaller."""
    return SMALL if row.kind == "note" else BODY


def column_width(column: Column, rows: Sequence[Row]) -> float:
    """Inches that the widest words of a column take, heading included."""
    words = (text_width(row.cells.get(column.key, ""), BODY, weight_of(row)) for row in rows)
    return max([text_width(column.heading, BODY, "bold"), *words])


def label_width(rows: Sequence[Row], columns: Sequence[Column], heading: str) -> float:
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
    rows: Sequence[Row], columns: Sequence[Column], first: float
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


def lay_out(rows: Sequence[Row], columns: Sequence[Column], label_heading: str) -> Layout:
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
    """The line above the plot on which each mark's words stand, so that no two touch."""
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
    """How far along the axis a value lies, 0 at its start and 1 at its end.

    Examples
    --------
    >>> share_along(25.0, Scale("%", (0.0, 100.0), (), ()))
    0.25
    """
    low, high = scale.limits
    if scale.log:
        return math.log(value / low) / math.log(high / low)
    return (value - low) / (high - low)


def write_rows(sheet: Sheet, rows: Sequence[Row], columns: Sequence[Column], layout: Layout) -> None:
    """The words of every row."""
    for row, label, top in zip(rows, layout.labels, layout.tops, strict=True):
        middle = top + LINE / 2
        color = GREY if row.kind == "note" else BLACK
        sheet.text(EDGE, middle, label, size=size_of(row), weight=weight_of(row), color=color)
        for column in columns:
            words = row.cells.get(column.key, "")
            if words:
                sheet.text(layout.x[column.key], middle, words, weight=weight_of(row), ha=column.ha)


def write_headings(sheet: Sheet, columns: Sequence[Column], label_heading: str, layout: Layout) -> None:
    """Column headings, their last lines on one level just above the rows, with a rule below."""
    bottom = layout.body[0] - 0.06
    sheet.rule(bottom, EDGE, layout.width - EDGE)
    for x, heading, ha in [(EDGE, label_heading, "left")] + [(layout.x[c.key], c.heading, c.ha) for c in columns]:
        first = bottom - 0.1 - (block_height(heading) - block_height(""))
        sheet.text(x, first, heading, weight="bold", ha=ha)


def plot_axes(sheet: Sheet, scale: Scale, layout: Layout) -> Axes:
    """The plot's axes: across by value, down in the sheet's own inches."""
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
    """What stands below the left and the right half of the axis, broken so that the two never touch."""
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


def header_height(columns: Sequence[Column], label_heading: str, levels: Mapping[Mark, int]) -> float:
    """Inches between the title and the first row: the tallest heading or the highest mark."""
    tallest = max(block_height(heading) for heading in [label_heading] + [c.heading for c in columns])
    return max(0.12 + tallest, 0.26 + 0.16 * max(levels.values(), default=0))


def moved(layout: Layout, down: float) -> Layout:
    """The same layout, ``down`` inches lower."""
    top, bottom = layout.body
    return replace(layout, tops=tuple(y + down for y in layout.tops), body=(top + down, bottom + down))


def draw_row_marks(axes: Axes, rows: Sequence[Row], layout: Layout) -> None:
    """The mark of every row that has a value."""
    for row, top in zip(rows, layout.tops, strict=True):
        if row.kind in DRAW and (math.isfinite(row.estimate) or math.isfinite(row.low + row.high)):
            DRAW[row.kind](axes, row, top + LINE / 2)


@applied()
def draw(
    rows: Sequence[Row], columns: Sequence[Column], scale: Scale, *, label_heading: str = "Study",
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
