"""Controls for what the room says: guesses, answers, the verdict; each keeps its value in the room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from html import escape
from typing import Any

import ipywidgets as widgets

from cellclaims.claims import Entry
from cellclaims.club.exercises import Exercise
from cellclaims.club.room import GUESSES, VERDICTS, Room, guesses_table, verdict_beside

WIDE = {"description_width": "initial"}
FULL = widgets.Layout(width="100%", max_width="46rem")

#: Rooms -> what is to be told when a guess changes, so that a table further down follows.
FOLLOWERS: dict[int, list[Callable[[], None]]] = {}


def guesses(room: Room) -> widgets.Widget:
    """A slider for each guess; moving one is kept in the room."""
    return widgets.VBox([_slider(room, name) for name in GUESSES], layout=FULL)


def _slider(room: Room, name: str) -> widgets.Widget:
    question, unit, low, high, step = GUESSES[name]
    limits = {"min": low, "max": high, "step": step, "value": getattr(room, name), "readout_format": ".1f"}
    if step == 1:
        limits["readout_format"] = ".0f"
    slider = widgets.FloatSlider(**limits, description=unit, style=WIDE, layout=FULL, description_allow_html=False)

    def keep(change: Mapping[str, Any]) -> None:
        setattr(room, name, change["new"])
        for follow in FOLLOWERS.get(id(room), ()):
            follow()

    slider.observe(keep, "value")
    return widgets.VBox([widgets.HTML(escape(question)), slider], layout=FULL)


def guesses_beside(room: Room, answers: Mapping[str, float | None]) -> widgets.Widget:
    """The table of guesses beside answers; it follows a guess that is changed afterwards."""
    table = widgets.HTML(guesses_table(room, answers)._repr_html_())

    def follow() -> None:
        table.value = guesses_table(room, answers)._repr_html_()

    FOLLOWERS.setdefault(id(room), []).append(follow)
    return table


def exercise(asked: Exercise, room: Room) -> widgets.Widget:
    """A field for the answer, what is said to it, and the solution folded."""
    given = room.answers.get(asked.name)
    entry = widgets.FloatText(value=given or 0.0, description="Your answer", step=None, style=WIDE)
    said = widgets.HTML(_said(asked, given))

    def check(change: Mapping[str, Any]) -> None:
        room.answers[asked.name] = change["new"]
        said.value = _said(asked, change["new"])

    entry.observe(check, "value")
    return widgets.VBox([widgets.HTML(f"<p>{escape(asked.question)}</p>"), entry, said, widgets.HTML(asked.folded())])


def _said(asked: Exercise, given: float | None) -> str:
    return f'<strong role="status">{escape(asked.check(given))}</strong>' if given is not None else ""


def verdict(room: Room, entry: Entry) -> widgets.Widget:
    """The room's verdict; the ledger's stays hidden until one is chosen or the line is opened."""
    choice = widgets.Dropdown(options=VERDICTS, value=room.verdict, description="The room's verdict", style=WIDE)
    words = widgets.HTML(_folded(room, entry))

    def follow(change: Mapping[str, Any]) -> None:
        room.verdict = change["new"]
        words.value = f'<p role="status">{escape(str(verdict_beside(room, entry)))}</p>'

    choice.observe(follow, "value")
    return widgets.VBox([choice, words])


def _folded(room: Room, entry: Entry) -> str:
    return f"<details><summary>The ledger</summary><p>{escape(str(verdict_beside(room, entry)))}</p></details>"
