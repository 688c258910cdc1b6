"""Power of a trial by its size: a curve for each comparison."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from cellclaims.figures.show import Drawing, nothing_to_draw
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    BODY,
    GREEN,
    GREY,
    ORANGE,
    SKY,
    SMALL,
    TITLE,
    VERMILLION,
    Sheet,
    applied,
    block_height,
    text_width,
    wrapped,
)  # fmt: skip
from cellclaims.reporting.tables import number

if TYPE_CHECKING:
    import pandas as pd

#: Inches: plot, left margin, space above and below.
PLOT, LEFT, BELOW = (4.4, 2.9), 0.75, 0.62
#: Colour and dashes of the curves, told apart without colour, too.
CURVES = ((BLUE, "-"), (VERMILLION, (0, (5, 2))), (GREEN, (0, (1, 1.2))), (BLACK, (0, (4, 1, 1, 1))), (ORANGE, "-"),
          (SKY, (0, (5, 2))))  # fmt: skip


@applied()
def power_curves(
    curves: Mapping[str, pd.DataFrame], *, title: str, powers: tuple[float, ...] = (0.8, 0.9), note: str = ""
) -> Drawing:
    """Power against participants of both arms together.

    Parameters
    ----------
    curves : mapping of DataFrame
        Comparison in words -> ``arm`` (participants an arm) and ``power`` (0 to 1); six at most.
    title : str
    powers : tuple of float
        Levels that are marked.
    note : str
        Sentence below.

    Returns
    -------
    Drawing
    """
    if not curves:
        return nothing_to_draw(title)
    names = [wrapped(name, 2.4, SMALL) for name in curves]
    width = LEFT + PLOT[0] + 0.5 + max((text_width(name, SMALL) for name in names), default=0.0) + 0.1
    head = wrapped(title, width - 0.2, TITLE, "bold")
    top = 0.1 + block_height(head, TITLE) + 0.15
    below = wrapped(note, width - 0.2, SMALL)
    sheet = Sheet(width, top + PLOT[1] + BELOW + (block_height(below, SMALL) + 0.06 if note else 0.0))
    sheet.text(0.1, 0.18, head, size=TITLE, weight="bold")
    axes = sheet.axes(LEFT, top, *PLOT)
    largest = max((2 * float(curve.arm.max()) for curve in curves.values()), default=100.0)
    for level in powers:
        axes.axhline(100 * level, color=GREY, lw=0.7, ls=(0, (2, 2)), zorder=1)
    y = top + 0.1
    for (curve, name), (color, dashes) in zip(zip(curves.values(), names, strict=True), CURVES, strict=False):
        axes.plot(2 * curve.arm, 100 * curve.power, color=color, ls=dashes, lw=1.8, zorder=2)
        start = LEFT + PLOT[0] + 0.08
        sheet.line((start, start + 0.32), (y, y), color=color, ls=dashes, lw=1.8)
        sheet.text(start + 0.4, y, name, size=SMALL)
        y += block_height(name, SMALL) + 0.12
    axes.set_xlim(0, largest)
    axes.set_ylim(0, 100)
    axes.set_xlabel("Participants, both arms together", size=BODY)
    axes.set_ylabel("Power (%)", size=BODY)
    axes.tick_params(labelsize=SMALL)
    axes.spines[["top", "right"]].set_visible(False)
    sheet.text(0.1, top + PLOT[1] + BELOW, below, size=SMALL)
    return Drawing(sheet.figure, _alt(curves, title, powers))


def _alt(curves: Mapping[str, pd.DataFrame], title: str, powers: tuple[float, ...]) -> str:
    """For each comparison from how many participants on the power is reached."""
    parts = []
    for name, curve in curves.items():
        reached = []
        for level in powers:
            enough = curve.arm[curve.power >= level]
            size = f"{2 * enough.min():g}" if len(enough) else f"more than {2 * curve.arm.max():g}"
            reached.append(f"{number(100 * level, 0)}% power from {size} participants")
        parts.append(f"{name}: {', '.join(reached)}")
    return f"{title}. {'; '.join(parts)}."
