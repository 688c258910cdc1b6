"""Certainty of each answer: where it starts, what takes it down and who judged that, and what remains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure
from matplotlib.patches import Circle

from cellclaims.appraisal.certainty import NOT_ASSESSED
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
from cellclaims.reporting.appraisal import certainties_alt, lights_alt, missing_alt
from cellclaims.reporting.tables import MISSING, number

if TYPE_CHECKING:
    import pandas as pd

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
def certainty_profile(answers: Sequence[tuple[str, Certainty]], *, title: str = "", note: str = "") -> Drawing:
    """A line for each answer: its start, a tile for each domain, four discs for what remains.

    Parameters
    ----------
    answers : sequence of (str, Certainty)
        What was asked, as it is to be written, and the certainty of the answer.
    title, note : str
        Sentence above; sentence below, after the key.

    Returns
    -------
    Drawing

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
    return Drawing(sheet.figure, certainties_alt(answers))


# Facts of design by study: a light for each, that says the same by its sign as by its colour.


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
LIGHT_TILE, LIGHT_RADIUS = (0.92, 0.29), 0.115


def put_light(sheet: Sheet, x: float, y: float, sign: str) -> None:
    """A circle around ``(x, y)`` with its sign."""
    drawn, face, ink = LIGHTS[sign]
    edge = {"edgecolor": BLACK, "lw": 0.6} if sign else {"edgecolor": PALE, "lw": 0.8}
    sheet.page.add_patch(Circle((x, y), LIGHT_RADIUS, facecolor=face, **edge))
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
    x = EDGE + LIGHT_RADIUS
    for sign, words in meaning.items():
        put_light(sheet, x, y, sign)
        sheet.text(x + LIGHT_RADIUS + 0.07, y, words, size=SMALL)
        x += 2 * LIGHT_RADIUS + 0.3 + text_width(words, SMALL)


@applied()
def traffic_light(
    table: pd.DataFrame,
    *,
    title: str = "",
    meaning: Mapping[str, str] | None = None,
    note: str = "",
    groups: Sequence[str] = (),
    what: str = "",
) -> Drawing:
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
    what : str
        What the lights mean, for the alternative text; the title by default.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        A sign that has no light.
    """
    check_signs(table)
    top = EDGE + (0.3 if title else 0.0)
    grid = lay_grid(list(table.index), list(table.columns), top=top, tile=LIGHT_TILE, groups=groups)
    words = {sign: text for sign, text in ((meaning or MEANING).items()) if (table == sign).to_numpy().any()}
    key = sum(2 * LIGHT_RADIUS + 0.3 + text_width(text, SMALL) for text in words.values())
    width = max(grid.right, EDGE + key, EDGE + text_width(title, TITLE, "bold")) + EDGE
    below = wrapped(note, width - 2 * EDGE, SMALL)
    sheet = Sheet(width, grid.bottom + 0.42 + (block_height(below, SMALL) + 0.04 if below else 0.0))
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    write_margins(sheet, grid)
    for line, (y, height) in enumerate(zip(grid.y, grid.heights, strict=True)):
        sheet.rule(y, EDGE, width - EDGE, color=PALE, lw=0.6)
        for x, sign in zip(grid.x, table.iloc[line], strict=True):
            put_light(sheet, x + LIGHT_TILE[0] / 2, y + height / 2, sign)
    sheet.rule(grid.bottom, EDGE, width - EDGE, color=PALE, lw=0.6)
    write_key(sheet, grid.bottom + 0.22, words)
    sheet.text(EDGE, grid.bottom + 0.44, below, size=SMALL)
    return Drawing(sheet.figure, lights_alt(table, what or title or "Facts of each study"))


# Registered trials, a square each: how far the numbers of each have come, from a pool to nowhere.


#: Inches: side of a square with its gap, distance of two lines, widest name of a group, narrowest figure.
SIDE, GAP, APART, NAME, NARROWEST = 0.24, 0.04, 0.12, 2.9, 6.8
#: By the order of the states: colour and sign of a square, colour of the sign.
LOOKS = ((BLUE, "●", "white"), (SKY, "○", BLACK), (YELLOW, "?", BLACK), (VERMILLION, "−", "white"))


def check_states(trials: pd.DataFrame, states: Sequence[str]) -> None:
    """Refuse a state that was not named, and more states than squares can be told apart."""
    if unknown := sorted(set(trials.state) - set(states)):
        raise DataError(f"missing results: expected the states {', '.join(states)}; found {', '.join(unknown)}")
    if len(states) > len(LOOKS):
        raise DataError(f"missing results: expected at most {len(LOOKS)} states, found {len(states)}")


def put_square(sheet: Sheet, x: float, y: float, place: int) -> None:
    """The square of one trial with its middle left at ``(x, y)``, told by its colour and its sign."""
    face, sign, ink = LOOKS[place]
    sheet.box(x, y - SIDE / 2, SIDE, SIDE, facecolor=face, edgecolor="white", lw=0.6)
    sheet.text(x + SIDE / 2, y, sign, size=SMALL, weight="bold", color=ink, ha="center")


@dataclass(frozen=True)
class Line:
    """Words from ``x`` on, and squares from ``squares`` on, one for each place among the states."""

    words: str
    size: float
    x: float
    squares: float
    places: Sequence[int]

    @property
    def height(self) -> float:
        """Inches that the line takes with the gap below it."""
        return max(block_height(self.words, self.size), SIDE) + APART


def put_line(sheet: Sheet, line: Line, top: float) -> float:
    """Draw a line whose upper edge is ``top``; gives its lower edge."""
    middle = top + line.height / 2
    lower = (block_height(line.words, line.size) - block_height("", line.size)) / 2
    sheet.text(line.x, middle - lower, line.words, size=line.size)
    for column, place in enumerate(line.places):
        put_square(sheet, line.squares + column * (SIDE + GAP), middle, place)
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
    """A square for each registered trial, a line of squares for each group of them.

    Parameters
    ----------
    trials : DataFrame
        One line a trial: group (words; in order of appearance), state, label.
    states : sequence of str
        The states, the fullest first (four at most); squares stand in this order.
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
        A state that is not among ``states``, or more states than squares can be told apart.
    """
    check_states(trials, states)
    groups = {g: sorted(map(states.index, rows.state)) for g, rows in trials.groupby("group", sort=False)}
    names = [wrapped(f"{group} ({len(places)})", NAME) for group, places in groups.items()]
    left = EDGE + max(map(text_width, names)) + 0.15
    widest = left + max(map(len, groups.values())) * (SIDE + GAP)
    width = max(widest, EDGE + text_width(title, TITLE, "bold"), NARROWEST) + EDGE
    beside = EDGE + SIDE + 0.1
    key = {p: wrapped(w, width - EDGE - beside, SMALL) for p, w in key_words(trials, states, named).items()}
    upper = [Line(name, BODY, EDGE, left, places) for name, places in zip(names, groups.values(), strict=True)]
    lower = [Line(words, SMALL, beside, EDGE, [place]) for place, words in key.items()]
    fig = drawn(upper, lower, width, title, wrapped(note, width - 2 * EDGE, SMALL))
    return Drawing(fig, missing_alt(trials, states))


def drawn(upper: Sequence[Line], lower: Sequence[Line], width: float, title: str, note: str) -> Figure:
    """The groups above a rule, the key below it."""
    top = EDGE + (0.3 if title else 0.0)
    after = block_height(note, SMALL) + 0.1 if note else 0.0
    sheet = Sheet(width, top + sum(line.height for line in (*upper, *lower)) + after + 0.22)
    sheet.text(EDGE, EDGE + 0.08, title, size=TITLE, weight="bold")
    for line in upper:
        top = put_line(sheet, line, top)
    sheet.rule(top + 0.06, EDGE, width - EDGE, color=PALE, lw=0.8)
    top += 0.12
    for line in lower:
        top = put_line(sheet, line, top)
    sheet.text(EDGE, top + 0.12, note, size=SMALL, color=GREY)
    return sheet.figure
