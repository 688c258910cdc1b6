"""Facts of design by study: a light for each, that says the same by its sign as by its colour."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Circle

from cellclaims.errors import DataError
from cellclaims.figures.grid import EDGE, lay_grid, write_margins
from cellclaims.figures.sheet import Sheet, block_height
from cellclaims.figures.style import BLACK, GREEN, PALE, SMALL, TITLE, VERMILLION, YELLOW, applied, text_width, wrapped

if TYPE_CHECKING:
    import pandas as pd

#: Sign in the table -> sign that is drawn, colour of the light, colour of the sign.
LIGHTS = {
    "+": ("+", GREEN, "white"),
    "-": ("−", VERMILLION, "white"),
    "?": ("?", YELLOW, BLACK),
    "": ("", "white", BLACK),
}

#: What the signs mean unless the caller says otherwise.
MEANING = {"+": "yes", "-": "no", "?": "not stated", "": "does not apply"}

#: Inches: width and height of a tile, radius of a light.
TILE, RADIUS = (0.92, 0.29), 0.115


def put_light(sheet: Sheet, x: float, y: float, sign: str) -> None:
    """A circle around ``(x, y)`` with its sign."""
    drawn, face, ink = LIGHTS[sign]
    edge = {"edgecolor": BLACK, "lw": 0.6} if sign else {"edgecolor": PALE, "lw": 0.8}
    sheet.page.add_patch(Circle((x, y), RADIUS, facecolor=face, **edge))
    sheet.text(x, y, drawn, size=10.0, weight="bold", color=ink, ha="center")


def check_signs(table: pd.DataFrame) -> None:
    """Refuse a table with a sign that has no light, naming the line and the column."""
    for domain in table.columns:
        for study, sign in table[domain].items():
            if sign not in LIGHTS:
                expected = ", ".join(repr(known) for known in LIGHTS)
                where = f"traffic light, {study}, {domain}"
                raise DataError(f"{where}: expected one of {expected}, found {sign!r}")


def write_key(sheet: Sheet, y: float, meaning: Mapping[str, str]) -> None:
    """The lights once more with their meaning, side by side below the table."""
    x = EDGE + RADIUS
    for sign, words in meaning.items():
        put_light(sheet, x, y, sign)
        sheet.text(x + RADIUS + 0.07, y, words, size=SMALL)
        x += 2 * RADIUS + 0.3 + text_width(words, SMALL)


@applied()
def traffic_light(
    table: pd.DataFrame,
    *,
    title: str = "",
    meaning: Mapping[str, str] | None = None,
    note: str = "",
    groups: Sequence[str] = (),
) -> Figure:
    """A line for each study, a light for each fact.

    Parameters
    ----------
    table : DataFrame
        Index: study, as it is to be written. Columns: the facts, as they are to be headed. Values "+", "-",
        "?" or "" (does not apply).
    title : str
    meaning : mapping, optional
        Words for the signs that occur; by default yes, no, not stated, does not apply.
    note : str
        Sentence below, for example that these are facts and no judgement.
    groups : sequence of str, optional
        Heading over each line, such as the question whose pool it stands in; equal ones stand together.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        A sign that has no light.
    """
    check_signs(table)
    top = EDGE + (0.3 if title else 0.0)
    grid = lay_grid(list(table.index), list(table.columns), top=top, tile=TILE, groups=groups)
    words = {sign: text for sign, text in ((meaning or MEANING).items()) if (table == sign).to_numpy().any()}
    key = sum(2 * RADIUS + 0.3 + text_width(text, SMALL) for text in words.values())
    width = max(grid.right, EDGE + key, EDGE + text_width(title, TITLE, "bold")) + EDGE
    below = wrapped(note, width - 2 * EDGE, SMALL)
    sheet = Sheet(width, grid.bottom + 0.42 + (block_height(below, SMALL) + 0.04 if below else 0.0))
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    write_margins(sheet, grid)
    for line, (y, height) in enumerate(zip(grid.y, grid.heights, strict=True)):
        sheet.rule(y, EDGE, width - EDGE, color=PALE, lw=0.6)
        for x, sign in zip(grid.x, table.iloc[line], strict=True):
            put_light(sheet, x + TILE[0] / 2, y + height / 2, sign)
    sheet.rule(grid.bottom, EDGE, width - EDGE, color=PALE, lw=0.6)
    write_key(sheet, grid.bottom + 0.22, words)
    sheet.text(EDGE, grid.bottom + 0.44, below, size=SMALL)
    return sheet.figure
