"""Certainty of each answer: where it starts, what takes it down and who judged that, and what remains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Circle

from cellclaims.appraisal.certainty import NOT_ASSESSED
from cellclaims.errors import DataError
from cellclaims.figures.grid import EDGE, lay_grid, write_margins
from cellclaims.figures.sheet import Sheet, block_height
from cellclaims.figures.style import BLACK, BLUE, GREY, PALE, SMALL, TITLE, applied, text_width, wrapped
from cellclaims.reporting.rounding import MISSING, number

if TYPE_CHECKING:
    from cellclaims.appraisal import Certainty, Step

#: Levels from the lowest, and inches: tile, radius of a disc.
LEVELS = ("very low", "low", "moderate", "high")
TILE, RADIUS = (1.02, 0.4), 0.065
#: Steps taken away -> colour of the tile: the darker, the more.
SHADES = {0: "white", 1: "#F6D9BE", 2: "#EBA873"}
#: How a step was judged, as the words of its ``judged_by`` begin -> mark beside it.
MARKS = {"default": "d", "recorded": "r", "computed": ""}
KEY = "d: default by design, no reviewer judged it; r: recorded grade or judgement; no mark: computed; –: not assessed."


def put_discs(sheet: Sheet, x: float, y: float, level: str) -> None:
    """Four discs around ``(x, y)``, as many of them filled as the level is high, with the word below."""
    filled = LEVELS.index(level) + 1
    for place in range(4):
        face = BLUE if place < filled else "white"
        centre = (x + (place - 1.5) * 0.17, y - 0.06)
        sheet.page.add_patch(Circle(centre, RADIUS, facecolor=face, edgecolor=BLUE, lw=0.8))
    sheet.text(x, y + 0.1, level, size=SMALL, ha="center")


def put_step(sheet: Sheet, corner: tuple[float, float], height: float, step: Step) -> None:
    """A tile that is darker the more it takes away, with the number and who judged it."""
    x, y = corner
    sheet.box(x, y, TILE[0], height, facecolor=SHADES[min(-step.step, 2)], edgecolor=PALE, lw=0.6)
    words = MISSING if step.reason.endswith(NOT_ASSESSED) else number(step.step, 0)
    sheet.text(x + TILE[0] / 2, y + height / 2, words, ha="center", color=BLACK if step.step else GREY)
    if mark := next(sign for start, sign in MARKS.items() if step.judged_by.startswith(start)):
        sheet.text(x + TILE[0] / 2 + 0.16, y + height / 2 - 0.05, mark, size=SMALL, color=GREY, ha="center")


def check_answers(answers: Sequence[tuple[str, Certainty]]) -> list[str]:
    """The domains, which must be the same for every answer."""
    domains = [tuple(step.domain for step in certainty.steps) for _, certainty in answers]
    if len(set(domains)) != 1:
        raise DataError(f"certainty profile: expected answers with the same domains, found {sorted(set(domains))}")
    return list(domains[0])


@applied()
def certainty_profile(answers: Sequence[tuple[str, Certainty]], *, title: str = "", note: str = "") -> Figure:
    """A line for each answer: its start, a tile for each domain, four discs for what remains.

    Parameters
    ----------
    answers : sequence of (str, Certainty)
        What was asked, as it is to be written, and the certainty of the answer.
    title, note : str
        Sentence above; sentence below, after the key.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        No answer, or answers whose certainty has other domains.
    """
    domains = check_answers(answers)
    heads = ["Start", *(d.capitalize() for d in domains), "Certainty"]
    names = [name for name, _ in answers]
    grid = lay_grid(names, heads, top=EDGE + (0.3 if title else 0.0), tile=TILE)
    width = max(grid.right, EDGE + text_width(title, TITLE, "bold")) + EDGE
    below = wrapped(f"{KEY} {note}".strip(), width - 2 * EDGE, SMALL)
    sheet = Sheet(width, grid.bottom + 0.2 + block_height(below, SMALL))
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    write_margins(sheet, grid)
    for (_, certainty), y, height in zip(answers, grid.y, grid.heights, strict=True):
        middle = y + height / 2
        sheet.rule(y, EDGE, width - EDGE, color=PALE, lw=0.6)
        sheet.text(grid.x[0] + TILE[0] / 2, middle, certainty.start, ha="center")
        for x, step in zip(grid.x[1:-1], certainty.steps, strict=True):
            put_step(sheet, (x, y), height, step)
        put_discs(sheet, grid.x[-1] + TILE[0] / 2, middle, certainty.level)
    sheet.rule(grid.bottom, EDGE, width - EDGE, color=PALE, lw=0.6)
    sheet.text(EDGE, grid.bottom + 0.16, below, size=SMALL)
    return sheet.figure
