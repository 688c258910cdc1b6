"""Colours, sizes and letters that all figures share, and the context that applies them."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.text import Text
from matplotlib.textpath import text_to_path

STYLE_FILE = Path(__file__).with_name("cellclaims.mplstyle")

#: Okabe and Ito's palette, suitable for any colour vision; shapes and words have the same meaning, so that figures can
#: be printed in grey.
BLACK, GREY, PALE = "#000000", "#595959", "#E3E3E3"
BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
ORANGE, VERMILLION, YELLOW = "#E69F00", "#D55E00", "#F0E442"

#: Vermillion for words: dark enough on white (5 to 1) for small letters.
VERMILLION_INK = "#B84E00"

#: Point sizes: nothing a reader has to read is smaller than 8.
BODY, SMALL, TITLE = 8.5, 8.0, 10.0

#: How much wider than its outlines a line of text can become where letters are drawn on whole pixels.
HINTED = 1.02

#: Height of one line of a figure's table, in inches.
LINE = 0.19


@contextmanager
def applied() -> Iterator[None]:
    """Yield the look of the project, for as long as the block (or the decorated function) runs.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> with applied():
    ...     mpl.rcParams["svg.fonttype"]
    'none'
    """
    with mpl.rc_context(fname=STYLE_FILE):
        yield


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float = BODY, weight: str = "normal") -> float:
    """Width in inches of the widest line of ``text``, from the outlines of DejaVu Sans.

    Outlines and not pixels, so that the layout is the same at every resolution; ``HINTED`` leaves room for letters
    that are moved to whole pixels when they are drawn.

    Examples
    --------
    >>> text_width("wide") < text_width("wide", weight="bold") < text_width("much wider")
    True
    """
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    lines = [line for line in text.split("\n") if line]
    widths = (text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] for line in lines)
    return max(widths, default=0.0) * HINTED / 72


def wrapped(text: str, width: float, size: float = BODY, weight: str = "normal") -> str:
    """``text`` broken into lines no wider than ``width`` inches (a single longer word stays whole).

    Examples
    --------
    >>> wrapped("reports found in the registries", 1.2).split("\\n")
    ['reports found in the', 'registries']
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and text_width(longer, size, weight) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)


# A blank sheet measured in inches from its top left corner, for words, lines and axes.


#: Distance from the middle of capitals and digits to the baseline, as a proportion of the letter size.
TO_BASELINE = 0.36

#: Distance between two lines of one text, as a multiple of the letter size.
LEADING = 1.3


def block_height(text: str, size: float = BODY) -> float:
    """Height in inches that the lines of ``text`` take.

    Examples
    --------
    >>> block_height("one\\ntwo", size=10.0) == 2 * block_height("one", size=10.0)
    True
    """
    return (text.count("\n") + 1) * size * LEADING / 72


class Sheet:
    """A figure of ``width`` x ``height`` inches; every method places one thing by inches from the top left.

    Examples
    --------
    >>> sheet = Sheet(4.0, 2.0)
    >>> [line.get_text() for line in sheet.text(0.1, 0.2, "two\\nlines")]
    ['two', 'lines']
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height))
        self.page = self.figure.add_axes((0, 0, 1, 1))
        self.page.set_axis_off()
        self.page.set(xlim=(0, width), ylim=(height, 0))

    def text(
        self, x: float, y: float, words: str, *, size: float = BODY, weight: str = "normal",
        color: str = BLACK, ha: str = "left",
    ) -> list[Text]:  # fmt: skip
        """Words whose first line has its middle at height ``y``; further lines follow below."""
        style = {
            "size": size,
            "weight": weight,
            "color": color,
            "ha": ha,
            "va": "baseline",
            "parse_math": False,
        }
        first = y + TO_BASELINE * size / 72
        lines = enumerate(words.split("\n"))
        return [self.page.text(x, first + n * LEADING * size / 72, line, **style) for n, line in lines if line]

    def line(self, x: tuple[float, float], y: tuple[float, float], **style: object) -> None:
        """A straight line from ``(x[0], y[0])`` to ``(x[1], y[1])``."""
        self.page.plot(x, y, **({"color": BLACK, "lw": 0.8, "solid_capstyle": "butt"} | style))

    def rule(self, y: float, left: float = 0.0, right: float | None = None, **style: object) -> None:
        """A horizontal line across the sheet or from ``left`` to ``right``."""
        self.line((left, self.width if right is None else right), (y, y), **style)

    def box(self, x: float, y: float, width: float, height: float, *, rounded: float = 0.0, **style: object) -> None:
        """A rectangle with its top left corner at ``(x, y)``, its corners rounded by ``rounded`` inches."""
        if rounded:
            shape = f"round,pad=0,rounding_size={rounded}"
            self.page.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, mutation_aspect=1, **style))
        else:
            self.page.add_patch(Rectangle((x, y), width, height, **style))

    def arrow(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A straight arrow between two points."""
        style = {"arrowstyle": "-|>,head_width=0.18,head_length=0.36", "shrinkA": 0, "shrinkB": 0, "lw": 0.9,
                 "color": BLACK}  # fmt: skip
        self.page.annotate("", xy=end, xytext=start, arrowprops=style)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Return axes whose frame is ``left`` and ``top`` inches from the corner."""
        share = (
            left / self.width,
            1 - (top + height) / self.height,
            width / self.width,
            height / self.height,
        )
        return self.figure.add_axes(share)


# Names down the side, headings above, a tile where they meet: frame of the evidence map and the traffic light.


#: Inches: margin of the sheet, height of a heading over a group of lines, widest name of a line.
EDGE, GROUP, NAME = 0.1, 0.34, 2.4


@dataclass(frozen=True)
class Grid:
    """The layout of tiles, in inches: left edges, tops, size of a tile, and the broken texts of both margins."""

    names: tuple[str, ...]
    heads: tuple[str, ...]
    groups: tuple[str, ...]
    x: tuple[float, ...]
    y: tuple[float, ...]
    tile: tuple[float, float]
    bottom: float
    heights: tuple[float, ...]

    @property
    def right(self) -> float:
        """Right edge of the last tile."""
        return self.x[-1] + self.tile[0]


def lay_grid(
    names: Sequence[str], heads: Sequence[str], *, top: float, tile: tuple[float, float], groups: Sequence[str] = ()
) -> Grid:
    """Measure the words and place the tiles; ``groups`` names the group of each line, none if empty."""
    broken = tuple(wrapped(name, NAME) for name in names)
    above = tuple(wrapped(head, tile[0] - 0.06, SMALL) for head in heads)
    words = [text_width(name) for name in broken] + [text_width(group, weight="bold") for group in groups]
    left = EDGE + max(words, default=0.0) + 0.12
    down, y = top + max((block_height(head, SMALL) for head in above), default=0.0) + 0.08, []
    heights = tuple(max(tile[1], block_height(name) + 0.08) for name in broken)
    for line, height in enumerate(heights):
        down += GROUP if groups and (line == 0 or groups[line] != groups[line - 1]) else 0.0
        y.append(down)
        down += height
    x = tuple(left + number * tile[0] for number in range(len(heads)))
    return Grid(broken, above, tuple(groups), x, tuple(y), tile, down, heights)


def write_margins(sheet: Sheet, grid: Grid) -> None:
    """Write the texts above and next to the tiles, and a heading over each group of lines."""
    bottom = grid.y[0] - 0.1 - (GROUP if grid.groups else 0.0)
    for x, head in zip(grid.x, grid.heads, strict=True):
        first = bottom - (block_height(head, SMALL) - block_height("", SMALL))
        sheet.text(x + grid.tile[0] / 2, first, head, size=SMALL, ha="center")
    for y, height, name in zip(grid.y, grid.heights, grid.names, strict=True):
        sheet.text(EDGE, y + (height - block_height(name) + block_height("")) / 2, name)
    before = ""
    for y, group in zip(grid.y, grid.groups, strict=False):
        if group != before:
            sheet.rule(y - GROUP + 0.04, EDGE, sheet.width - EDGE, color=GREY, lw=0.6)
            sheet.text(EDGE, y - GROUP / 2 + 0.02, group, weight="bold")
        before = group
