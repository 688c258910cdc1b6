"""Flow of reports: how many were found, left out at each step and why, and how many each pool holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from matplotlib.figure import Figure

from cellclaims.errors import DataError
from cellclaims.figures.sheet import Sheet, block_height
from cellclaims.figures.style import BLACK, BODY, GREY, TITLE, applied, text_width, wrapped
from cellclaims.reporting.rounding import number

#: Inches: margin, width of a box on the way and of one beside it, the gap between them and between two steps.
EDGE, STEP_WIDTH, SIDE_WIDTH, ACROSS, DOWN = 0.1, 2.6, 3.6, 0.45, 0.3

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
def flow(steps: Sequence[Step], *, pools: Sequence[tuple[str, int]] = (), title: str = "") -> Figure:
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
    matplotlib.figure.Figure

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
    top = EDGE + (0.3 if title else 0.0)
    width = 2 * EDGE + STEP_WIDTH + ACROSS + SIDE_WIDTH
    sheet = Sheet(width, top + sum(heights) + sum(gaps) + (box_height(last) if last else 0.0) + EDGE)
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    y, middle = top, EDGE + STEP_WIDTH / 2
    for number_, (words, side) in enumerate(zip(boxes, sides, strict=True)):
        put_box(sheet, EDGE, y, STEP_WIDTH, words, strong=True)
        bottom, y = y + heights[number_], y + heights[number_] + gaps[number_]
        if number_ + 1 < len(boxes) or last:
            sheet.arrow((middle, bottom), (middle, y))
        if side:
            beside(sheet, middle, (bottom + y) / 2, side)
    if last:
        put_box(sheet, EDGE, y, width - 2 * EDGE, last, strong=False)
    return sheet.figure


def beside(sheet: Sheet, middle: float, level: float, words: str) -> None:
    """The box of what is left out, with its arrow from the way down."""
    x = EDGE + STEP_WIDTH + ACROSS
    sheet.arrow((middle, level), (x, level))
    put_box(sheet, x, level - box_height(words) / 2, SIDE_WIDTH, words, strong=False)
