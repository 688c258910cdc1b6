"""Registered trials, a square each: how far the numbers of each have come, from a pool to nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cellclaims.errors import DataError
from cellclaims.figures.grid import EDGE
from cellclaims.figures.sheet import Sheet, block_height
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    BODY,
    GREY,
    PALE,
    SKY,
    SMALL,
    TITLE,
    VERMILLION,
    YELLOW,
    applied,
    text_width,
    wrapped,
)

if TYPE_CHECKING:
    import pandas as pd

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
) -> Figure:
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
    matplotlib.figure.Figure

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
    return drawn(upper, lower, width, title, wrapped(note, width - 2 * EDGE, SMALL))


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
