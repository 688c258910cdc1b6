"""Risk of bias by domain, and registered trials by how far their results have come."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Circle

from cellclaims.errors import DataError
from cellclaims.figures.show import Drawing
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    BODY,
    EDGE,
    GREEN,
    GREY,
    PALE,
    SKY,
    SMALL,
    TITLE,
    VERMILLION,
    YELLOW,
    Sheet,
    applied,
    block_height,
    lay_grid,
    text_width,
    wrapped,
    write_margins,
)
from cellclaims.reporting.appraisal import lights_alt, missing_alt, trial_size
from cellclaims.reporting.tables import MISSING

if TYPE_CHECKING:
    import pandas as pd


# Risk of bias by study and domain: a light for each reading, that says the same by its sign as by its colour.


#: Sign in the table -> sign that is drawn, colour of the light, colour of the sign.
LIGHTS = {
    "+": ("+", GREEN, "white"),
    "?": ("?", YELLOW, BLACK),
    "-": ("\N{MINUS SIGN}", VERMILLION, "white"),
    "x": ("×", BLACK, "white"),
    "o": ("", "white", BLACK),
}

#: What the signs mean unless the caller says otherwise.
MEANING = {
    "+": "low",
    "?": "some concerns, moderate or unclear",
    "-": "high or serious",
    "x": "critical",
    "o": "not judged in this reading",
}

#: Inches: width and height of a tile, radius of a light, from the middle of a tile to that of one of two lights.
LIGHT_TILE, LIGHT_RADIUS, LIGHT_APART = (0.92, 0.29), 0.105, 0.12


def put_light(sheet: Sheet, x: float, y: float, sign: str) -> None:
    """A circle around ``(x, y)`` with its sign."""
    drawn, face, ink = LIGHTS[sign]
    sheet.page.add_patch(Circle((x, y), LIGHT_RADIUS, facecolor=face, edgecolor=BLACK, lw=0.6))
    sheet.text(x, y, drawn, size=9.5, weight="bold", color=ink, ha="center")


def put_lights(sheet: Sheet, x: float, y: float, signs: str) -> None:
    """One light for each reading side by side around ``(x, y)``; a dash where nobody judged."""
    if not signs:
        sheet.text(x, y, MISSING, color=GREY, ha="center")
    for place, sign in enumerate(signs):
        put_light(sheet, x + (2 * place - len(signs) + 1) * LIGHT_APART, y, sign)


def check_signs(table: pd.DataFrame) -> None:
    """Refuse a table with a sign that has no light, naming the line and the column."""
    for domain in table.columns:
        for study, signs in table[domain].items():
            if unknown := [sign for sign in signs if sign not in LIGHTS]:
                expected = ", ".join(repr(known) for known in LIGHTS)
                where = f"traffic light, {study}, {domain}"
                raise DataError(f"{where}: expected signs among {expected}, found {unknown[0]!r}")


def write_key(sheet: Sheet, y: float, meaning: Mapping[str, str]) -> None:
    """The lights once more with their meaning, side by side below the table."""
    x = EDGE + LIGHT_RADIUS
    for sign, words in meaning.items():
        put_light(sheet, x, y, sign)
        sheet.text(x + LIGHT_RADIUS + 0.07, y, words, size=SMALL)
        x += 2 * LIGHT_RADIUS + 0.3 + text_width(words, SMALL)


@applied()
def traffic_light(
    table: pd.DataFrame, *, title: str = "", meaning: Mapping[str, str] | None = None, note: str = ""
) -> Drawing:
    """Return a line for each study, in each domain a light for each reading.

    Parameters
    ----------
    table : DataFrame
        Index: study, as it is to be written. Columns: the domains, as they are to be headed. Values: a sign for each
        reading, "+", "?", "-" or "x"; empty where nobody judged.
    title : str
    meaning : mapping, optional
        Words for the signs that occur; :data:`MEANING` by default.
    note : str
        Sentence below, for example how often the readings agree.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        A sign that has no light.
    """
    check_signs(table)
    head = wrapped(title, 9.0, TITLE)
    top = EDGE + (block_height(head, TITLE) + 0.12 if title else 0.0)
    names = [column[:1].upper() + column[1:] for column in table.columns]
    grid = lay_grid(list(table.index), names, top=top, tile=LIGHT_TILE)
    seen = "".join("".join(column) for _, column in table.items())
    words = {sign: text for sign, text in (meaning or MEANING).items() if sign in seen}
    key = sum(2 * LIGHT_RADIUS + 0.3 + text_width(text, SMALL) for text in words.values())
    longest = max(text_width(line, TITLE, "bold") for line in head.split("\n"))
    width = max(grid.right, EDGE + key, EDGE + longest) + EDGE
    below = wrapped(note, width - 2 * EDGE, SMALL)
    sheet = Sheet(width, grid.bottom + 0.42 + (block_height(below, SMALL) + 0.04 if below else 0.0))
    sheet.text(EDGE, EDGE + 0.08, head, size=TITLE, weight="bold")
    write_margins(sheet, grid)
    for line, (y, height) in enumerate(zip(grid.y, grid.heights, strict=True)):
        sheet.rule(y, EDGE, width - EDGE, color=PALE, lw=0.6)
        for x, signs in zip(grid.x, table.iloc[line], strict=True):
            put_lights(sheet, x + LIGHT_TILE[0] / 2, y + height / 2, signs)
    sheet.rule(grid.bottom, EDGE, width - EDGE, color=PALE, lw=0.6)
    write_key(sheet, grid.bottom + 0.22, words)
    sheet.text(EDGE, grid.bottom + 0.46, below, size=SMALL)
    return Drawing(sheet.figure, lights_alt(table, title or "Risk of bias by study and domain"))


# Registered trials, a square each, as large as the trial: how far the results of each have come.


#: Inches: gap between squares, distance of two lines, widest name of a group, narrowest figure, widest row of squares.
GAP, APART, NAME, NARROWEST, WIDEST = 0.05, 0.1, 2.9, 6.8, 6.6
#: Inches: side of the square of a trial of 100 participants, smallest side, side of a square in the key.
SIDE_100, SMALLEST, KEY_SIDE = 0.4, 0.15, 0.22
#: Participants of the squares that explain the scale.
SCALE = (10, 50, 100)
#: By the order of the states: colour and sign of a square, colour of the sign.
LOOKS = ((BLUE, "●", "white"), (SKY, "○", BLACK), (YELLOW, "?", BLACK), (VERMILLION, "−", "white"))


def side_of(size: float) -> float:
    """Side of a square whose area is as the number of participants; the smallest where that is not known."""
    return SMALLEST if math.isnan(size) else max(SIDE_100 * math.sqrt(size / 100), SMALLEST)


def check_states(trials: pd.DataFrame, states: Sequence[str]) -> None:
    """Raise an error for an unknown state, and for more states than distinguishable squares."""
    if unknown := sorted(set(trials.state) - set(states)):
        raise DataError(f"missing results: expected the states {', '.join(states)}; found {', '.join(unknown)}")
    if len(states) > len(LOOKS):
        raise DataError(f"missing results: expected at most {len(LOOKS)} states, found {len(states)}")


@dataclass(frozen=True)
class Square:
    """One trial: its place among the states, its side in inches, and whether its size is known."""

    place: int
    side: float
    is_known: bool = True


def put_square(sheet: Sheet, x: float, y: float, square: Square) -> None:
    """Draw the square of one trial with its middle left at ``(x, y)``, with the colour and sign of its state."""
    face, sign, ink = LOOKS[square.place]
    edge = (
        {"edgecolor": BLACK, "lw": 0.8, "linestyle": (0, (2, 1.5))} if not square.is_known else {"edgecolor": "white"}
    )
    sheet.box(x, y - square.side / 2, square.side, square.side, facecolor=face, **edge)
    sheet.text(x + square.side / 2, y, sign, size=SMALL, weight="bold", color=ink, ha="center")


def in_rows(squares: Sequence[Square], width: float) -> list[list[Square]]:
    """Squares in rows that are no wider than ``width`` inches."""
    rows: list[list[Square]] = [[]]
    for square in squares:
        if rows[-1] and sum(one.side + GAP for one in rows[-1]) + square.side > width:
            rows.append([])
        rows[-1].append(square)
    return rows


@dataclass(frozen=True)
class Line:
    """Words from ``x`` on, and squares in rows from ``squares`` on."""

    words: str
    size: float
    x: float
    squares: float
    rows: Sequence[Sequence[Square]]

    @property
    def height(self) -> float:
        """Inches that the line takes with the gap below it."""
        drawn = sum(max(one.side for one in row) + GAP for row in self.rows)
        return max(block_height(self.words, self.size), drawn) + APART


def put_line(sheet: Sheet, line: Line, top: float) -> float:
    """Draw a line whose upper edge is ``top``; gives its lower edge."""
    middle = top + line.height / 2
    lower = (block_height(line.words, line.size) - block_height("", line.size)) / 2
    sheet.text(line.x, middle - lower, line.words, size=line.size)
    drawn = sum(max(one.side for one in row) + GAP for row in line.rows)
    y = middle - drawn / 2
    for row in line.rows:
        tallest, x = max(one.side for one in row), line.squares
        for square in row:
            put_square(sheet, x, y + tallest / 2, square)
            x += square.side + GAP
        y += tallest + GAP
    return top + line.height


def key_words(trials: pd.DataFrame, states: Sequence[str], named: Sequence[str]) -> dict[int, str]:
    """For each state that occurs how many trials are there; by name those of the ``named`` states."""
    words = {}
    for place, state in enumerate(states):
        mine = trials[trials.state == state]
        names = f": {', '.join(mine.label)}" if state in named else ""
        if len(mine):
            words[place] = f"{state[:1].upper()}{state[1:]} ({len(mine)}){names}"
    return words


@applied()
def missing_results(
    trials: pd.DataFrame, states: Sequence[str], *, named: Sequence[str] = (), title: str = "", note: str = ""
) -> Drawing:
    """Return a square for each registered trial, its area as its planned (else enrolled) participants, in groups.

    Parameters
    ----------
    trials : DataFrame
        One row per trial: group (words; in order of appearance), state, label, planned, enrolled.
    states : sequence of str
        The states, the fullest first (four at most), in the order of the squares.
    named : sequence of str
        States whose trials are named below.
    title, note : str
        Sentence above; sentence below.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        A state that is not among ``states``, or more states than distinguishable squares.
    """
    check_states(trials, states)
    size = trial_size(trials)
    groups = {
        g: [
            Square(states.index(rows.state[i]), side_of(size[i]), not math.isnan(size[i])) for i in order_of(rows, size)
        ]
        for g, rows in trials.groupby("group", sort=False)
    }
    groups = {g: sorted(squares, key=lambda one: one.place) for g, squares in groups.items()}
    names = [wrapped(f"{group} ({len(squares)})", NAME) for group, squares in groups.items()]
    left = EDGE + max(map(text_width, names)) + 0.15
    rows = [in_rows(squares, WIDEST) for squares in groups.values()]
    widest = left + max(sum(one.side + GAP for one in row) for lines in rows for row in lines)
    width = max(widest, EDGE + text_width(title, TITLE, "bold"), NARROWEST) + EDGE
    beside = EDGE + KEY_SIDE + 0.1
    key = {p: wrapped(w, width - EDGE - beside, SMALL) for p, w in key_words(trials, states, named).items()}
    upper = [Line(name, BODY, EDGE, left, lines) for name, lines in zip(names, rows, strict=True)]
    lower = [Line(words, SMALL, beside, EDGE, [[Square(place, KEY_SIDE)]]) for place, words in key.items()]
    fig = drawn(upper, lower, width, title, wrapped(note, width - 2 * EDGE, SMALL))
    return Drawing(fig, missing_alt(trials, states))


def order_of(rows: pd.DataFrame, size: pd.Series) -> list[object]:
    """Trials of one group, the largest first."""
    return list(size[rows.index].fillna(0).sort_values(ascending=False, kind="stable").index)


def write_scale(sheet: Sheet, y: float) -> None:
    """Squares of known numbers of participants, and the broken edge of an unknown one."""
    x = EDGE
    sheet.text(x, y, "Participants:", size=SMALL)
    x += text_width("Participants:", SMALL) + 0.12
    for size, words in [*((float(n), f"{n}") for n in SCALE), (math.nan, "not known")]:
        side = side_of(size)
        edge = {"linestyle": (0, (2, 1.5))} if math.isnan(size) else {}
        sheet.box(x, y - side / 2, side, side, facecolor="white", edgecolor=BLACK, lw=0.8, **edge)
        sheet.text(x + side + 0.06, y, words, size=SMALL)
        x += side + 0.22 + text_width(words, SMALL)


def drawn(upper: Sequence[Line], lower: Sequence[Line], width: float, title: str, note: str) -> Figure:
    """Return the groups above a rule, the key below it."""
    top = EDGE + (0.3 if title else 0.0)
    after = block_height(note, SMALL) + 0.1 if note else 0.0
    sheet = Sheet(width, top + sum(line.height for line in (*upper, *lower)) + SIDE_100 + after + 0.3)
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    for line in upper:
        top = put_line(sheet, line, top)
    sheet.rule(top + 0.06, EDGE, width - EDGE, color=PALE, lw=0.8)
    top += 0.12
    for line in lower:
        top = put_line(sheet, line, top)
    write_scale(sheet, top + SIDE_100 / 2 + 0.04)
    sheet.text(EDGE, top + SIDE_100 + 0.2, note, size=SMALL)
    return sheet.figure
