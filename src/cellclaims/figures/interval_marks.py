"""The mark of each kind of row of an interval figure: told apart by shape first, by colour second."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle

from cellclaims.figures.interval_rows import Row
from cellclaims.figures.style import BLACK, BLUE, GREY, ORANGE, SKY

#: Side of the square of the heaviest report, of the lightest, and of one without weight, in points.
LARGEST, SMALLEST, PLAIN = 10.0, 2.6, 5.5

#: Half the height of a diamond and of a prediction bar, in inches.
DIAMOND, BAR = 0.062, 0.03


def square_side(share: float) -> float:
    """Side in points of a report's square: its area is proportional to its share of the heaviest weight.

    Examples
    --------
    >>> square_side(1.0), square_side(0.25), square_side(0.0), square_side(math.nan)
    (10.0, 5.0, 2.6, 5.5)
    """
    return max(SMALLEST, LARGEST * math.sqrt(share)) if math.isfinite(share) else PLAIN


def clipped(row: Row, limits: tuple[float, float]) -> tuple[float, float, bool, bool]:
    """The part of the interval inside ``limits``, and whether it was cut on the left and on the right.

    Examples
    --------
    >>> clipped(Row("study", "a", estimate=1.0, low=-9.0, high=2.0), (-3.0, 3.0))
    (-3.0, 2.0, True, False)
    """
    low, high = limits
    return max(row.low, low), min(row.high, high), row.low < low, row.high > high


def draw_interval(axes: Axes, row: Row, y: float, **style: object) -> None:
    """The line of an interval, with an arrow head where the axis cuts it."""
    left, right, cut_left, cut_right = clipped(row, axes.get_xlim())
    if not (math.isfinite(row.low) and math.isfinite(row.high)) or left > right:
        return
    style = {"color": BLACK, "lw": 0.9, "solid_capstyle": "butt"} | style
    axes.plot((left, right), (y, y), zorder=2, **style)
    draw_heads(axes, ((cut_left, left, "<"), (cut_right, right, ">")), y, style["color"])


def draw_heads(axes: Axes, ends: Sequence[tuple[bool, float, str]], y: float, color: str) -> None:
    """Arrow heads where the axis cuts something: it goes on beyond."""
    edge = {"mec": BLACK, "mew": 0.7, "ms": 6.5} if color == ORANGE else {"mec": "none", "ms": 5}
    for cut, x, head in ends:
        if cut:
            axes.plot([x], [y], head, color=color, clip_on=False, zorder=5, **edge)


def draw_point(axes: Axes, row: Row, y: float, marker: str, **style: object) -> None:
    """The estimate's mark, unless the axis leaves it out (then the interval's arrow points to it)."""
    low, high = axes.get_xlim()
    if low <= row.estimate <= high:
        axes.plot([row.estimate], [y], marker, zorder=4, ls="none", clip_on=False, **style)


def draw_study(axes: Axes, row: Row, y: float) -> None:
    """A single report: a filled square, its area the weight, on its interval."""
    draw_interval(axes, row, y)
    draw_point(axes, row, y, "s", ms=square_side(row.share), color=BLUE, mec="white", mew=0.4)


def draw_pooled(axes: Axes, row: Row, y: float) -> None:
    """A pooled value: a diamond from one confidence limit to the other, open for arms without cells."""
    left, right, cut_left, cut_right = clipped(row, axes.get_xlim())
    corners = [(row.low, y), (row.estimate, y - DIAMOND), (row.high, y), (row.estimate, y + DIAMOND)]
    face = "white" if row.kind == "control pooled" else BLACK
    axes.add_patch(Polygon(corners, closed=True, facecolor=face, edgecolor=BLACK, lw=0.9, zorder=4))
    draw_heads(axes, ((cut_left, left, "<"), (cut_right, right, ">")), y, BLACK)


def draw_prediction(axes: Axes, row: Row, y: float) -> None:
    """A prediction interval: a flat open bar, so that it is never taken for a confidence interval."""
    left, right, cut_left, cut_right = clipped(row, axes.get_xlim())
    style = {"facecolor": ORANGE, "edgecolor": BLACK, "lw": 0.7, "zorder": 3}
    axes.add_patch(Rectangle((left, y - BAR), right - left, 2 * BAR, **style))
    draw_heads(axes, ((cut_left, left, "<"), (cut_right, right, ">")), y, ORANGE)


def draw_benchmark(axes: Axes, row: Row, y: float) -> None:
    """A figure from elsewhere that is not pooled here: an open circle on a dashed interval."""
    draw_interval(axes, row, y, color=GREY, ls=(0, (3, 1.5)))
    draw_point(axes, row, y, "o", ms=5.5, mfc="white", mec=GREY, mew=1.2)


def draw_control(axes: Axes, row: Row, y: float) -> None:
    """An arm without cells: an open square on its interval."""
    draw_interval(axes, row, y, color=GREY)
    draw_point(axes, row, y, "s", ms=square_side(row.share), mfc="white", mec=GREY, mew=1.2)


def draw_primary(axes: Axes, row: Row, y: float) -> None:
    """The primary choice among others: a filled diamond on a thick interval."""
    draw_interval(axes, row, y, lw=2.2)
    draw_point(axes, row, y, "D", ms=6.5, color=BLACK, mec=SKY, mew=0.8)


#: What draws each kind; a heading and a note have no mark.
DRAW: dict[str, Callable[[Axes, Row, float], None]] = {
    "study": draw_study,
    "pooled": draw_pooled,
    "control pooled": draw_pooled,
    "prediction": draw_prediction,
    "benchmark": draw_benchmark,
    "control": draw_control,
    "primary": draw_primary,
}
