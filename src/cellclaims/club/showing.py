"""Show live controls where a front end looks on, and else what they show at the parameters' values.

A notebook that is run without a front end holds no trace of a widget: its outputs are a drawing, a table or text, the
same bytes in every run. In a front end the widget comes with the same as its fallback.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cellclaims.claims import Entry
from cellclaims.club.exercises import Exercise
from cellclaims.club.room import Room, guesses_table, verdict_beside
from cellclaims.evidence import Evidence
from cellclaims.protocol import Protocol
from cellclaims.reporting.pools import say

if TYPE_CHECKING:
    from cellclaims.club.asked import Asked

VIEW = "application/vnd.jupyter.widget-view+json"


def is_watched() -> bool:
    """Whether the running cell was sent by a front end that shows widgets (JupyterLab names the cell in its request).

    Papermill, nbclient and a plain interpreter do not.
    """
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent("shell") if kernel else {}
    return bool(parent and parent.get("metadata", {}).get("cellId"))


def show(fallback: Mapping[str, str], widget: Any = None) -> None:
    """Display a widget with its fallback, or the fallback alone."""
    from IPython.display import display

    data = dict(fallback)
    if widget is not None:
        data[VIEW] = {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}
    display(data, raw=True)


def _table(room: Room, answers: Mapping[str, float | None] | None) -> dict[str, str]:
    table = guesses_table(room, answers)
    return {"text/html": table._repr_html_(), "text/plain": repr(table)}


def guess(room: Room, answers: Mapping[str, float | None] | None = None) -> None:
    """Ask for the guesses, which ``room`` keeps; with ``answers`` show each guess beside its answer."""
    widget = None
    if is_watched():
        from cellclaims.club import room_controls

        make = room_controls.guesses if answers is None else room_controls.guesses_beside
        widget = make(room) if answers is None else make(room, answers)
    show(_table(room, answers), widget)


def ask(exercise: Exercise, room: Room) -> None:
    """Set an exercise; ``room`` may hold an answer, which is checked."""
    widget = None
    if is_watched():
        from cellclaims.club import room_controls

        widget = room_controls.exercise(exercise, room)
    given = room.answers.get(exercise.name)
    show({"text/html": exercise.html(given), "text/plain": f"{exercise!r} {exercise.check(given)}".strip()}, widget)


def judge(room: Room, entry: Entry) -> None:
    """Ask for the room's verdict and set it beside the ledger's."""
    widget = None
    if is_watched():
        from cellclaims.club import room_controls

        widget = room_controls.verdict(room, entry)
    words = verdict_beside(room, entry)
    show({"text/markdown": words._repr_markdown_(), "text/plain": str(words)}, widget)


def live(evidence: Evidence, protocol: Protocol, claim: Any, asked: Asked) -> None:
    """Show the forest plot and the claim's probability, with controls for all that ``asked`` holds."""
    from cellclaims.club.answers import answer
    from cellclaims.club.asked import narrowed
    from cellclaims.club.light_forest import forest_svg, words

    if is_watched():
        from cellclaims.club.panel import Panel

        panel = Panel(evidence, protocol, claim, asked)
        show({"image/svg+xml": panel.figure.value, "text/plain": words(panel.answer)}, panel.widget)
        return
    found = answer(narrowed(evidence, protocol, asked), protocol, claim, asked)
    show({"image/svg+xml": forest_svg(found), "text/plain": words(found)})
    said = say(found.in_words())
    show({"text/markdown": said._repr_markdown_(), "text/plain": str(said)})
