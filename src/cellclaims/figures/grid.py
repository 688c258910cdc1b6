"""Names down the side, headings above, a tile where they meet: frame of the evidence map and the traffic light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cellclaims.figures.sheet import Sheet, block_height
from cellclaims.figures.style import GREY, SMALL, text_width, wrapped

#: Inches: margin of the sheet, height of a heading over a group of lines, widest name of a line.
EDGE, GROUP, NAME = 0.1, 0.34, 2.4


@dataclass(frozen=True)
class Grid:
    """Where the tiles stand, in inches: left edges, tops, size of a tile, and the broken words of both margins."""

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
    """The words above and beside the tiles, and a heading over each group of lines."""
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
