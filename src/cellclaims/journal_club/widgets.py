"""The live panel: a control for each part of what is asked; the forest plot and the probabilities follow."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cellclaims.claims import Entry
from cellclaims.claims.findings import NOT_EXCLUDED, RATE_FINDINGS
from cellclaims.errors import ParameterError, ReviewError
from cellclaims.journal_club.controls import (
    MEANS,
    METHODS,
    PROTOCOL,
    ClaimAnswer,
    Controls,
    answer,
    outcomes,
)
from cellclaims.journal_club.exercises import Exercise
from cellclaims.journal_club.quick_forest import forest_svg
from cellclaims.reporting.claims import capital, figure_words
from cellclaims.reporting.pools import Sentence, reports_of, say
from cellclaims.reporting.tables import Table, number
from cellclaims.selection import ESTIMANDS, EvidenceBase

if TYPE_CHECKING:
    from cellclaims.journal_club.controls import Controls


WIDE = {"description_width": "9rem"}
ROW = {"width": "21rem"}
MONTHS = (1.0, 3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 36.0, 48.0, 60.0)
WINDOWS = (0.0, 1.0, 3.0, 6.0, 12.0)
CORRELATIONS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
SCALES = (0.25, 0.5, 1.0, 2.0)
METHOD_WORDS = {
    PROTOCOL: "as the protocol says",
    "EE": "equal effects",
    "DL": "DerSimonian-Laird",
    "PM": "Paule-Mandel",
    "REML": "REML",
}
TEST_WORDS = {
    PROTOCOL: "as the protocol says",
    "z": "normal",
    "t": "t",
    "knha": "Hartung-Knapp",
    "adhoc": "Hartung-Knapp, with a floor",
}


class Panel:
    """Controls by the names of :class:`~cellclaims.journal_club.Controls`'s fields, and what follows from them.

    ``controls`` maps a field to its widget; ``asked`` and ``answer`` are the state; ``figure.value`` is the SVG that
    the page has at the same state and ``said.value`` the sentence as HTML; ``widget`` is what is displayed.
    """

    def __init__(self, base: EvidenceBase, claim: Any, asked: Controls) -> None:
        self.base, self.claim = base, claim
        self.asked, self.is_settling = asked, False
        self.known: dict[Controls, ClaimAnswer] = {}
        self.controls = self._controls()
        self.figure, self.said = widgets.HTML(), widgets.HTML()
        self.answer = self._answer(asked)
        self._settle()
        self._draw()
        for name, control in self.controls.items():
            control.observe(self._follower(name), "value")
        self.widget = self._laid_out()

    def _controls(self) -> dict[str, widgets.Widget]:
        asked = self.asked
        return {
            "outcome": _choice(
                "Outcome", {words: name for name, words in outcomes(self.base.protocol).items()}, asked.outcome
            ),
            "estimand": _choice("Counted", {e.replace("_", " "): e for e in ESTIMANDS}, asked.estimand),
            "months": _steps("Month", MONTHS, asked.months),
            "window": _steps("Months around it", WINDOWS, asked.window),
            "method": _choice("Estimator", {METHOD_WORDS[m]: m for m in METHODS}, asked.method),
            "test": _choice("Test", _test_options(asked), asked.test),
            "correlation": _steps("Correlation r", CORRELATIONS, asked.correlation),
            "tau_scale": _steps("Prior scale of tau", SCALES, asked.tau_scale),
            "without": widgets.SelectMultiple(description="Leave out", rows=6, style=WIDE, layout=ROW),
        }

    def _follower(self, name: str) -> Any:
        def follow(change: Mapping[str, Any]) -> None:
            if not self.is_settling:
                self.move(name, change["new"])

        return follow

    def move(self, name: str, value: Any) -> None:
        """Ask with one field changed; controls that depend on it settle, figure and words follow."""
        self.asked = replace(self.asked, **{name: value}).with_tests_that_fit()
        try:
            self.answer = self._answer(self.asked)
        except ReviewError as fault:
            self.said.value = f'<p role="status"><strong>{escape(str(fault))}</strong></p>'
            return
        self._settle()
        self._draw()

    def _answer(self, asked: Controls) -> ClaimAnswer:
        """The answer; what was asked before is known."""
        if asked not in self.known:
            self.known[asked] = answer(self.base, self.claim, asked)
        return self.known[asked]

    def _settle(self) -> None:
        """Options that the state allows: tests of the model, reports of the pool; controls without effect are off."""
        self.is_settling = True
        asked, controls = self.asked, self.controls
        _set(controls["test"], _test_options(asked), asked.test)
        _set(controls["without"], self._reports(), asked.without)
        controls["correlation"].disabled = asked.outcome not in MEANS
        controls["estimand"].disabled = not asked.is_share
        at_month = not asked.is_share or asked.estimand == "at_month"
        controls["months"].disabled = controls["window"].disabled = not at_month
        self.is_settling = False

    def _reports(self) -> tuple[tuple[str, str], ...]:
        """The reports of the pool, and those that are left out, by label."""
        rows, studies = self.answer.pool.rows, self.base.evidence.studies
        shown = dict(zip(rows.study_id, rows.label, strict=True))
        left = {study: f"{study} (left out)" for study in self.asked.without}
        order = {study: place for place, study in enumerate(studies.study_id)}
        return tuple((label, study) for study, label in sorted((shown | left).items(), key=lambda pair: order[pair[0]]))

    def _draw(self) -> None:
        self.figure.value = forest_svg(self.answer)
        self.said.value = f'<p role="status">{escape(self.answer.in_words())}</p>'

    def _laid_out(self) -> widgets.Widget:
        columns = (
            ("outcome", "estimand", "months", "window"),
            ("method", "test", "correlation", "tau_scale"),
            ("without",),
        )
        boxes = [widgets.VBox([self.controls[name] for name in names]) for names in columns]
        wrapped = widgets.Layout(display="flex", flex_flow="row wrap")
        return widgets.VBox([widgets.HBox(boxes, layout=wrapped), self.said, self.figure])


def _choice(words: str, options: Mapping[str, Any], value: Any) -> widgets.Widget:
    return widgets.Dropdown(options=list(options.items()), value=value, description=words, style=WIDE, layout=ROW)


def _steps(words: str, values: tuple[float, ...], value: float) -> widgets.Widget:
    """Round values, and the parameter's own if it is another. A list, as JupyterLab takes a slider's arrow keys."""
    return _choice(words, {f"{one:g}": one for one in sorted({*values, value})}, value)


def _test_options(asked: Controls) -> dict[str, str]:
    return {TEST_WORDS[test]: test for test in asked.tests}


def _set(control: widgets.Widget, options: Any, value: Any) -> None:
    """New options with a value, in one step, and only where they differ: each costs a message to the page."""
    options = tuple(options.items()) if isinstance(options, Mapping) else options
    if tuple(control.options) != options:
        control.options = options
    if control.value != value:
        control.value = value


# What the audience says: guesses before it sees anything, answers to exercises, a finding; and the answers beside.


#: The findings of the protocol on an advertised percentage.
FINDINGS = RATE_FINDINGS
#: Guesses: name -> (question, unit, lowest, highest, step).
GUESSES = {
    "reports": ("How many independent reports count exactly the claimed outcome?", "reports", 0, 40, 1),
    "share": ("In what share of patients did the nearest published outcome occur?", "%", 0, 100, 1),
    "without_cells": (
        "In Zang 2022, by how much did HbA1c change on placebo in 11 months (a fall is below zero)?",
        "percentage points",
        -3,
        3,
        0.1,
    ),
}


@dataclass
class Audience:
    """The audience's guesses (unit as asked), its finding, and its answers to exercises by name."""

    reports: float = 10.0
    share: float = 50.0
    without_cells: float = 0.0
    finding: str = NOT_EXCLUDED
    answers: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Audience:
        """The audience of the parameter ``AUDIENCE``; what is not given keeps its default.

        Raises
        ------
        ParameterError
            For an unknown name, a value that is no number or out of range, or no finding of the protocol.

        Examples
        --------
        >>> Audience.of({"share": 40}).share
        40
        >>> Audience.of({"share": 140})
        Traceback (most recent call last):
        cellclaims.errors.ParameterError: AUDIENCE, share: expected a number from 0 to 100; found 140
        """
        known = [one.name for one in fields(cls)]
        for name in given:
            if name not in known:
                raise ParameterError(f"AUDIENCE: expected names among {', '.join(known)}; found {name!r}")
        audience = cls(**given)
        for name, (_, _, low, high, _) in GUESSES.items():
            _number(f"AUDIENCE, {name}", getattr(audience, name), low, high)
        if audience.finding not in FINDINGS:
            raise ParameterError(
                f"AUDIENCE, finding: expected one of {', '.join(FINDINGS)}; found {audience.finding!r}"
            )
        if not isinstance(audience.answers, dict):
            raise ParameterError(
                f"AUDIENCE, answers: expected names of exercises with numbers; found {audience.answers!r}"
            )
        for name, value in audience.answers.items():
            _number(f"AUDIENCE, answers, {name}", value, -math.inf, math.inf)
        return audience


def _number(place: str, value: object, low: float, high: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or not low <= value <= high:
        limits = "a number" if math.isinf(low) else f"a number from {low:g} to {high:g}"
        raise ParameterError(f"{place}: expected {limits}; found {value!r}")


def guesses_table(audience: Audience, answers: Mapping[str, float | None] | None = None) -> Table:
    """The guesses, each beside its answer and how far it was off; without ``answers`` the guesses alone.

    Examples
    --------
    >>> guesses_table(Audience(reports=4), {"reports": 1, "share": 27.9, "without_cells": None}).cells[0][1:]
    ('4 reports', 'one report', 'too high by 3')
    """
    rows = []
    for name, (question, unit, *_) in GUESSES.items():
        guess = getattr(audience, name)
        found = None if answers is None else answers[name]
        rows.append((question, _shown(guess, unit), *(() if answers is None else _beside(guess, found, unit))))
    header = ("question", "your guess", *(() if answers is None else ("answer", "your guess was")))
    return Table(header, tuple(rows), "Your guesses" + ("" if answers is None else " beside the answers"))


def _shown(value: float, unit: str) -> str:
    if unit == "reports":
        return reports_of(round(value))
    decimals = _decimals(unit)
    return f"{number(value, decimals)} {unit}"


def _decimals(unit: str) -> int:
    return 1 if unit == "percentage points" else 0


def _beside(guess: float, found: float | None, unit: str) -> tuple[str, str]:
    if found is None or math.isnan(found):
        return "nothing published answers it", "–"
    decimals = _decimals(unit)
    off = round(guess, decimals) - round(found, decimals)
    words = "right" if off == 0 else f"too {'high' if off > 0 else 'low'} by {number(abs(off), decimals)}"
    return _shown(found, unit), words


def finding_beside(audience: Audience, entry: Entry) -> Sentence:
    """The audience's finding beside the ledger's, with the ledger's reasons."""
    same = audience.finding == entry.finding
    ledger = f"The ledger says {entry.finding}: {'; '.join(entry.reasons)}."
    return say(f"The audience says {audience.finding}.", ledger, "Both agree." if same else "They differ: say why.")


# Controls for what the audience says: guesses, answers, the finding; each keeps its value in the audience.


INITIAL_WIDTH = {"description_width": "initial"}
FULL = {"width": "100%", "max_width": "46rem"}

#: Audiences -> what is to be told when a guess changes, so that a table further down follows.
FOLLOWERS: dict[int, list[Callable[[], None]]] = {}


def guesses(audience: Audience) -> widgets.Widget:
    """A slider for each guess; moving one is kept in the audience."""
    return widgets.VBox([_slider(audience, name) for name in GUESSES], layout=FULL)


def _slider(audience: Audience, name: str) -> widgets.Widget:
    question, unit, low, high, step = GUESSES[name]
    limits = {"min": low, "max": high, "step": step, "value": getattr(audience, name), "readout_format": ".1f"}
    if step == 1:
        limits["readout_format"] = ".0f"
    slider = widgets.FloatSlider(
        **limits, description=unit, style=INITIAL_WIDTH, layout=FULL, description_allow_html=False
    )

    def keep(change: Mapping[str, Any]) -> None:
        setattr(audience, name, change["new"])
        for follow in FOLLOWERS.get(id(audience), ()):
            follow()

    slider.observe(keep, "value")
    return widgets.VBox([widgets.HTML(escape(question)), slider], layout=FULL)


def guesses_beside(audience: Audience, answers: Mapping[str, float | None]) -> widgets.Widget:
    """The table of guesses beside answers; it follows a guess that is changed afterwards."""
    table = widgets.HTML(guesses_table(audience, answers)._repr_html_())

    def follow() -> None:
        table.value = guesses_table(audience, answers)._repr_html_()

    FOLLOWERS.setdefault(id(audience), []).append(follow)
    return table


def exercise_controls(asked: Exercise, audience: Audience) -> widgets.Widget:
    """A field for the answer, what is said to it, and the solution folded."""
    given = audience.answers.get(asked.name)
    entry = widgets.FloatText(value=given or 0.0, description="Your answer", step=None, style=INITIAL_WIDTH)
    said = widgets.HTML(_said(asked, given))

    def check(change: Mapping[str, Any]) -> None:
        audience.answers[asked.name] = change["new"]
        said.value = _said(asked, change["new"])

    entry.observe(check, "value")
    return widgets.VBox([widgets.HTML(f"<p>{escape(asked.question)}</p>"), entry, said, widgets.HTML(asked.folded())])


def _said(asked: Exercise, given: float | None) -> str:
    return f'<strong role="status">{escape(asked.check(given))}</strong>' if given is not None else ""


def finding(audience: Audience, entry: Entry) -> widgets.Widget:
    """The audience's finding; the ledger's stays hidden until one is chosen or the line is opened."""
    choice = widgets.Dropdown(
        options=FINDINGS, value=audience.finding, description="The audience's finding", style=INITIAL_WIDTH
    )
    words = widgets.HTML(_folded(audience, entry))

    def follow(change: Mapping[str, Any]) -> None:
        audience.finding = change["new"]
        words.value = f'<p role="status">{escape(str(finding_beside(audience, entry)))}</p>'

    choice.observe(follow, "value")
    return widgets.VBox([choice, words])


def _folded(audience: Audience, entry: Entry) -> str:
    return f"<details><summary>The ledger</summary><p>{escape(str(finding_beside(audience, entry)))}</p></details>"


# Show live controls where a front end looks on, and else what they show at the parameters' values.
#
# A notebook that is run without a front end holds no trace of a widget: its outputs are a drawing, a table or text,
# the same bytes in every run. In a front end the widget comes with the same as its fallback.


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


def _table(audience: Audience, answers: Mapping[str, float | None] | None) -> dict[str, str]:
    table = guesses_table(audience, answers)
    return {"text/html": table._repr_html_(), "text/plain": repr(table)}


def guess(audience: Audience, answers: Mapping[str, float | None] | None = None) -> None:
    """Ask for the guesses, which ``audience`` keeps; with ``answers`` show each guess beside its answer.

    Parameters
    ----------
    audience : Audience
        What the listeners guess and answer.
    answers : mapping of float, optional
        What was published, by guess.
    """
    widget = None
    if is_watched():
        make = guesses if answers is None else guesses_beside
        widget = make(audience) if answers is None else make(audience, answers)
    show(_table(audience, answers), widget)


def ask(exercise: Exercise, audience: Audience) -> None:
    """Set an exercise; ``audience`` may hold an answer, which is checked.

    Parameters
    ----------
    exercise : Exercise
    audience : Audience
        What the listeners guess and answer.
    """
    widget = None
    if is_watched():
        widget = exercise_controls(exercise, audience)
    given = audience.answers.get(exercise.name)
    show({"text/html": exercise.html(given), "text/plain": f"{exercise!r} {exercise.check(given)}".strip()}, widget)


def judge(audience: Audience, entry: Entry) -> None:
    """Ask for the audience's finding and set it beside the ledger's.

    Parameters
    ----------
    audience : Audience
        What the listeners guess and answer.
    entry : Entry
        One entry of the ledger.
    """
    widget = None
    if is_watched():
        widget = finding(audience, entry)
    words = finding_beside(audience, entry)
    show({"text/markdown": words._repr_markdown_(), "text/plain": str(words)}, widget)


def live(base: EvidenceBase, claim: Any, asked: Controls) -> None:
    """Show the forest plot and the claim's probability, with controls for all that ``asked`` holds.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim : Any
        A row of claims.csv.
    asked : Controls
        The state of the controls.
    """
    from cellclaims.journal_club.controls import answer
    from cellclaims.journal_club.quick_forest import forest_svg, words

    if is_watched():
        panel = Panel(base, claim, asked)
        show({"image/svg+xml": panel.figure.value, "text/plain": words(panel.answer)}, panel.widget)
        return
    found = answer(base, claim, asked)
    show({"image/svg+xml": forest_svg(found), "text/plain": words(found)})
    said = say(found.in_words())
    show({"text/markdown": said._repr_markdown_(), "text/plain": str(said)})


# What the advertisement says, before anybody looks at an answer.


def said(entries: Sequence[Entry], chosen: str = "") -> Table:
    """The figures of an advertisement, each with its place and what it leaves unsaid; the chosen claim is marked.

    Nothing of what was published stands in it: the audience is to guess first.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.
    chosen : str, optional
        The claim of this sitting.

    Returns
    -------
    Table

    Examples
    --------
    >>> from cellclaims import protocol
    >>> from cellclaims.evidence import load
    >>> from cellclaims.claims import advertised_rates
    >>> from cellclaims.selection import EvidenceBase
    >>> base = EvidenceBase(load("data"), protocol.load("data"))
    >>> said(advertised_rates(base), "stop_all_2016").cells[2][3]
    '30%'
    """
    header = ("chosen", "as of", "claim", "advertised", "of so many treated", "not said")
    cells = tuple(_cells(entry, chosen in entry.claim_ids) for entry in entries)
    return Table(header, cells, "What is advertised", frozenset({3, 4}))


def _cells(entry: Entry, is_chosen: bool) -> tuple[str, ...]:
    about = entry.advertised
    n = "–" if about["n_treated"] is None else f"{about['n_treated']}"
    unsaid = "; ".join(entry.unsaid) or "nothing"
    marked = "this sitting" if is_chosen else ""
    said = entry.statements[0]
    return (marked, said["as_of"] or "–", capital(said["what"]), figure_words(entry), n, unsaid)
