"""The live panel and the room's fields: controls in JupyterLab, and the same as text where nobody looks on.

The panel has a control for each part of what is asked; the forest plot, the sentences and the line that says what a
move changed follow. A notebook that is run without a front end has no trace of a widget.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from html import escape
from typing import TYPE_CHECKING, Any

import ipywidgets as widgets

from cellclaims.errors import ReviewError
from cellclaims.evidence import Evidence
from cellclaims.journal_club import controls as at
from cellclaims.journal_club import paper
from cellclaims.journal_club.audience import (
    BLANK,
    DOMAINS,
    JUDGEMENTS,
    PREDICTIONS,
    RATED,
    RATINGS,
    Audience,
    prediction_fault,
    predictions_table,
    ratings_table,
    typed_number,
)
from cellclaims.journal_club.controls import MEANS, METHODS, PROTOCOL, ClaimAnswer, Controls, outcomes
from cellclaims.journal_club.exercises import Exercise
from cellclaims.journal_club.quick_forest import forest_svg, words
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Table
from cellclaims.selection import ESTIMANDS, EvidenceBase

if TYPE_CHECKING:
    from collections.abc import Iterable

WIDE = {"description_width": "9rem"}
#: Boxes and controls take the room that they need: ipywidgets' own "auto" shows scroll bars that scroll nothing.
ROW = {"width": "25rem", "overflow": "visible"}
BOX = {"overflow": "visible"}
MONTHS = (1.0, 3.0, 6.0, 9.0, 12.0, 18.0, 24.0, 36.0, 48.0, 60.0)
WINDOWS = (0.0, 1.0, 3.0, 6.0, 12.0)
CORRELATIONS = (0.3, 0.43, 0.5, 0.6, 0.7, 0.8)
SCALES = (0.25, 0.5, 1.0, 2.0)
AS_PROTOCOL = "as the protocol says"
#: Fields that may be left to the protocol, with the round values that are offered.
STEPS = {"months": MONTHS, "window": WINDOWS, "correlation": CORRELATIONS, "tau_scale": SCALES}
TEST_WORDS = {"z": "normal", "t": "t", "knha": "Hartung-Knapp", "adhoc": "Hartung-Knapp with a floor"}


class Panel:
    """Controls by the names of :class:`~cellclaims.journal_club.Controls`'s fields, and what follows from them.

    ``controls`` maps a field to its widget; ``asked`` and ``answer`` are the state; ``figure.value`` is the SVG that
    the page has at the same state, ``said.value`` the sentences as HTML, ``moved.value`` what the last move changed
    and in what the state differs from the protocol; ``widget`` is what is displayed.
    """

    def __init__(self, base: EvidenceBase, claim: Any, asked: Controls) -> None:
        self.base, self.claim = base, claim
        self.asked, self.is_settling = asked, False
        self.known: dict[Controls, ClaimAnswer] = {}
        self.controls = self._controls()
        self.figure, self.said, self.moved = widgets.HTML(), widgets.HTML(), widgets.HTML()
        self.reset = widgets.Button(description=f"All {AS_PROTOCOL}", layout={"width": "16rem"})
        self.answer = self._answer(asked)
        self._settle()
        self._draw("")
        for name, control in self.controls.items():
            control.observe(self._follower(name), "value")
        self.reset.on_click(lambda _: self.as_the_protocol_says())
        self.widget = self._laid_out()

    def _controls(self) -> dict[str, widgets.Widget]:
        asked = self.asked
        named = {words: name for name, words in outcomes(self.base.protocol).items()}
        yes_no = {"included (marked †)": True, "left out": False}
        return {
            "outcome": _choice("Outcome", named, asked.outcome),
            "estimand": _choice("Counted", {at.ESTIMAND_WORDS[e]: e for e in ESTIMANDS}, asked.estimand),
            "months": _choice("Month", {}, None),
            "window": _choice("Months around it", {}, None),
            "secondary": _choice("Tables of reviews", yes_no, asked.secondary),
            "method": _choice("Estimator", {_named(m, at.METHOD_WORDS): m for m in METHODS}, asked.method),
            "test": _choice("Test", {}, None),
            "correlation": _choice("Correlation r", {}, None),
            "tau_scale": _choice("Prior scale of tau", {}, None),
            "without": widgets.SelectMultiple(description="Leave out", rows=7, style=WIDE, layout=ROW),
        }

    def _follower(self, name: str) -> Any:
        def follow(change: Mapping[str, Any]) -> None:
            if not self.is_settling:
                value = change["new"]
                self.move(name, None if name in STEPS and value == PROTOCOL else value)

        return follow

    def move(self, name: str, value: Any) -> None:
        """Ask with one field changed; controls that depend on it settle, figure and words follow."""
        self._go(replace(self.asked, **{name: value}).with_tests_that_fit(), name)

    def as_the_protocol_says(self) -> None:
        """Go back to what the protocol says of the claim."""
        self._go(at.controls_of(self.base, self.claim), "")

    def _go(self, asked: Controls, name: str) -> None:
        before = self.answer
        try:
            found = self._answer(asked)
        except ReviewError as fault:
            self.said.value = f'<p role="status"><strong>{escape(str(fault))}</strong></p>'
            return
        self.asked, self.answer = asked, found
        self._settle()
        self._draw(at.changed(self.base, name, before, found) if name else "")

    def _answer(self, asked: Controls) -> ClaimAnswer:
        """The answer; what was asked before is known."""
        if asked not in self.known:
            self.known[asked] = at.answer(self.base, self.claim, asked)
        return self.known[asked]

    def _settle(self) -> None:
        """Options that the state allows: tests of the model, reports of the pool; controls without effect are off."""
        self.is_settling = True
        asked, controls = self.asked, self.controls
        for name in ("outcome", "estimand", "secondary", "method"):
            _set(controls[name], controls[name].options, getattr(asked, name))
        own = at.protocol_values(self.base.protocol, asked)
        for name, values in STEPS.items():
            chosen = getattr(asked, name)
            _set(controls[name], _steps(values, own[name], chosen), PROTOCOL if chosen is None else chosen)
        _set(controls["test"], {_named(test, TEST_WORDS): test for test in asked.tests}, asked.test)
        _set(controls["without"], self._reports(), asked.without)
        controls["correlation"].disabled = asked.outcome not in MEANS
        controls["estimand"].disabled = not asked.is_share
        controls["months"].disabled = controls["window"].disabled = not asked.has_time
        is_pooled = self.answer.pool.is_pooled
        for name in ("method", "test", "tau_scale"):
            controls[name].disabled = not is_pooled
        self.is_settling = False

    def _reports(self) -> tuple[tuple[str, str], ...]:
        """The reports of the pool, and those that are left out, by label."""
        labels = self.answer.labels
        ids = {*self.answer.pool.rows.study_id, *self.asked.without}
        return tuple(
            (labels[study] + (" (left out)" if study in self.asked.without else ""), study)
            for study in sorted(ids, key=lambda study: (labels[study].rsplit(" ", 1)[-1], labels[study]))
        )

    def _draw(self, changed: str) -> None:
        self.figure.value = forest_svg(self.answer)
        lines = "<br>".join(escape(line) for line in self.answer.lines())
        self.said.value = f'<p role="status">{lines}</p>'
        differs = at.differences(self.base, self.claim, self.asked)
        state = f"Differs from the protocol in: {'; '.join(differs)}." if differs else "As the protocol says."
        self.moved.value = f'<p role="status">{escape(" ".join(part for part in (changed, state) if part))}</p>'

    def _laid_out(self) -> widgets.Widget:
        first = [self.controls[name] for name in ("outcome", "estimand", "months", "secondary")]
        boxes = [widgets.VBox([*first, self.reset], layout=BOX), widgets.VBox([self.controls["without"]], layout=BOX)]
        rest = [self.controls[name] for name in ("window", "method", "test", "correlation", "tau_scale")]
        self.more = widgets.Accordion([widgets.VBox(rest, layout=BOX)], titles=("Model and time",), layout=BOX)
        wrapped = widgets.Layout(display="flex", flex_flow="row wrap", overflow="visible")
        parts = [widgets.HBox(boxes, layout=wrapped), self.more, self.moved, self.said, self.figure]
        return widgets.VBox(parts, layout=BOX)


def _named(name: str, known: Mapping[str, str]) -> str:
    return AS_PROTOCOL if name == PROTOCOL else known[name]


def _choice(description: str, options: Mapping[str, Any], value: Any) -> widgets.Widget:
    chosen = {"value": value} if options else {}
    return widgets.Dropdown(options=list(options.items()), description=description, style=WIDE, layout=ROW, **chosen)


def _steps(values: Iterable[float], own: Any, chosen: float | None) -> dict[str, float | str]:
    """Round values and the chosen one, the protocol's first."""
    others = sorted({*values, *(() if chosen is None else (chosen,))})
    return {f"{AS_PROTOCOL} ({at.value_words(own)})": PROTOCOL, **{f"{one:g}": one for one in others}}


def _set(control: widgets.Widget, options: Any, value: Any) -> None:
    """New options with a value, in one step, and only where they differ: each costs a message to the page."""
    options = tuple(options.items()) if isinstance(options, Mapping) else tuple(options)
    if tuple(control.options) != options:
        control.options = options
    if control.value != value:
        control.value = value


# The room's fields: predictions, judgements by domain, ratings, a sentence, answers to exercises. All start empty.


INITIAL_WIDTH = {"description_width": "initial"}
FULL = {"width": "100%", "max_width": "52rem", "overflow": "visible"}
SHORT = {"width": "16rem", "overflow": "visible"}

#: Audiences -> what is to be said again when the room changes something, so that a table further down follows.
FOLLOWERS: dict[int, list[Callable[[], None]]] = {}


def _said_again(audience: Audience) -> None:
    for follow in FOLLOWERS.get(id(audience), ()):
        follow()


def prediction_fields(audience: Audience) -> widgets.Widget:
    """A field for each prediction, empty until the room gives one; a number with a point or a comma is taken."""
    return widgets.VBox([_prediction(audience, name) for name in PREDICTIONS], layout=FULL)


def _prediction(audience: Audience, name: str) -> widgets.Widget:
    asked, given = PREDICTIONS[name], audience.predictions.get(name)

    def keep(value: float | None) -> str:
        if value is None:
            audience.predictions.pop(name, None)
        elif fault := prediction_fault(name, value):
            return fault
        else:
            audience.predictions[name] = value
        _said_again(audience)
        return ""

    unit = {"%": "in %", "points": "in points"}.get(asked.unit, "number")
    counts = 100.0 if asked.unit == "%" else 1.0
    return _number_field(asked.question, f"Your prediction, {unit}", given, keep, counts)


def _number_field(
    question: str, description: str, given: float | None, keep: Callable[[float | None], str], counts: float = 1.0
) -> widgets.Widget:
    """A question with a field of text; what cannot be read as a number is refused in words. Counts are divided, and
    multiplied by ``counts``.
    """
    entry = widgets.Text(
        value="" if given is None else f"{given:g}", placeholder=BLANK, description=description,
        style=INITIAL_WIDTH, layout=SHORT, continuous_update=False,
    )  # fmt: skip
    said = widgets.HTML()

    def take(change: Mapping[str, Any]) -> None:
        text = change["new"]
        try:
            value = typed_number(text)
        except ValueError as fault:
            said.value = _status(str(fault))
            return
        is_count = value is not None and ("/" in text or "of" in text)
        said.value = _status(keep(value * counts if is_count else value))

    entry.observe(take, "value")
    return widgets.VBox([widgets.HTML(escape(question)), entry, said], layout=FULL)


def _status(text: str) -> str:
    return f'<strong role="status">{escape(text)}</strong>' if text else ""


def table_that_follows(audience: Audience, make: Callable[[], Table]) -> widgets.Widget:
    """A table of what the room said; it follows what is changed afterwards."""
    shown = widgets.HTML(make()._repr_html_())

    def follow() -> None:
        shown.value = make()._repr_html_()

    FOLLOWERS.setdefault(id(audience), []).append(follow)
    return shown


def choices(
    kept: dict[str, str], questions: Mapping[str, str], known: Iterable[str], audience: Audience
) -> widgets.Widget:
    """A list for each question, blank until the room chooses."""

    def field(name: str, question: str) -> widgets.Widget:
        options = [(BLANK, ""), *((one, one) for one in known)]
        control = widgets.Dropdown(
            options=options, value=kept.get(name, ""), description=question, style={"description_width": "26rem"},
            layout={"width": "38rem", "overflow": "visible"},
        )  # fmt: skip

        def keep(change: Mapping[str, Any]) -> None:
            kept.pop(name, None)
            if change["new"]:
                kept[name] = change["new"]
            _said_again(audience)

        control.observe(keep, "value")
        return control

    return widgets.VBox([field(name, question) for name, question in questions.items()], layout=FULL)


def rating_fields(audience: Audience) -> widgets.Widget:
    """A list for each rating, and a field for the sentence."""
    sentence = widgets.Textarea(
        value=audience.sentence, placeholder=BLANK, description="Your sentence", style=INITIAL_WIDTH, layout=FULL
    )

    def keep(change: Mapping[str, Any]) -> None:
        audience.sentence = change["new"].strip()

    sentence.observe(keep, "value")
    return widgets.VBox([choices(audience.ratings, RATINGS, RATED, audience), sentence], layout=FULL)


def exercise_field(asked: Exercise, audience: Audience) -> widgets.Widget:
    """A field for the answer, what is said to it, and the solution folded."""
    said = widgets.HTML(_status(asked.check(audience.answers.get(asked.name))))

    def keep(value: float | None) -> str:
        audience.answers.pop(asked.name, None)
        if value is not None:
            audience.answers[asked.name] = value
        return asked.check(value)

    field = _number_field(asked.question, "Your answer", audience.answers.get(asked.name), keep)
    return widgets.VBox([field, said, widgets.HTML(asked.folded())], layout=FULL)


# Show live controls where a front end looks on, and else what they show at the parameters' values.


VIEW = "application/vnd.jupyter.widget-view+json"
SCRIPT = "application/javascript"
#: Class of a live widget; its own style hides the fallback that is saved with it.
LIVE = "club-live"
STYLE = f"<style>.jp-OutputArea:has(.{LIVE}) > .jp-OutputArea-child:not(:has(.{LIVE})) {{ display: none; }}</style>"
#: JupyterLab's shortcuts (arrow keys, m, d d, x) leave keys alone that are pressed on an element with this mark.
#: Without a kernel the widget is not found: the line that says so is hidden, and the fallback is visible.
KEEP_KEYS = """\
const mark = (tries) => {
  const area = element.closest(".jp-OutputArea");  // none before the output is part of the page
  if (!area) { if (tries) setTimeout(() => mark(tries - 1), 50); return; }
  area.addEventListener("focusin", (event) => event.target.setAttribute("data-lm-suppress-shortcuts", "true"));
  const tidy = () => area.querySelectorAll(".jp-OutputArea-output").forEach((output) => {
    if (/^Error displaying widget/.test(output.textContent.trim())) output.parentElement.style.display = "none";
  });
  new MutationObserver(tidy).observe(area, { childList: true, subtree: true, characterData: true });
  tidy();
};
mark(200);
"""


def is_watched() -> bool:
    """Whether the running cell was sent by a front end that shows widgets (JupyterLab names the cell in its request).

    Papermill, nbclient and a plain interpreter do not.
    """
    from IPython import get_ipython

    kernel = getattr(get_ipython(), "kernel", None)
    parent = kernel.get_parent("shell") if kernel else {}
    return bool(parent and parent.get("metadata", {}).get("cellId"))


def show(*fallback: Mapping[str, str], make: Callable[[], widgets.Widget] | None = None) -> None:
    """Display the fallback, and where a front end looks on a widget that hides it while it lives.

    Parameters
    ----------
    *fallback : mapping of str
        What a page, paper and a notebook without a kernel show, by mime type.
    make : callable, optional
        Makes the widget.
    """
    from IPython.display import display

    for one in fallback:
        display(dict(one), raw=True)
    if make is None or not is_watched():
        return
    live = widgets.VBox([widgets.HTML(STYLE, layout={"display": "none"}), make()], layout=BOX)
    live.add_class(LIVE)
    view = {"version_major": 2, "version_minor": 0, "model_id": live.model_id}
    display({VIEW: view, "text/plain": "controls of the running notebook"}, raw=True)
    display({SCRIPT: KEEP_KEYS, "text/plain": ""}, raw=True)


def _table(table: Table) -> dict[str, str]:
    return {"text/html": table._repr_html_(), "text/plain": repr(table)}


def _text(said: Sentence) -> dict[str, str]:
    return {"text/markdown": said._repr_markdown_(), "text/plain": str(said)}


def predict(audience: Audience, answers: Mapping[str, float | None] | None = None) -> None:
    """Ask for the predictions, which ``audience`` keeps; with ``answers`` show each next to what was published.

    Parameters
    ----------
    audience : Audience
        What the listeners say.
    answers : mapping of float, optional
        What was published, by prediction.
    """

    def table() -> Table:
        return predictions_table(audience, answers)

    make = prediction_fields if answers is None else (lambda room: table_that_follows(room, table))
    show(_table(table()), make=lambda: make(audience))


def judge_bias(evidence: Evidence, audience: Audience) -> None:
    """Ask for the room's judgement of each domain of the paper's risk of bias.

    Parameters
    ----------
    evidence : Evidence
    audience : Audience
        Keeps the judgements.
    """
    questions = {domain: domain for domain in DOMAINS}
    show(
        _table(paper.bias_table(evidence, audience, shown=False)),
        make=lambda: choices(audience.bias, questions, JUDGEMENTS, audience),
    )


def readings(evidence: Evidence, audience: Audience) -> None:
    """Show the two readers' judgements next to the room's.

    Parameters
    ----------
    evidence : Evidence
    audience : Audience
    """

    def table() -> Table:
        return paper.bias_table(evidence, audience)

    show(_table(table()), make=lambda: table_that_follows(audience, table))


def rate(audience: Audience) -> None:
    """Ask for the room's ratings and its sentence for the patient.

    Parameters
    ----------
    audience : Audience
        Keeps both.
    """
    show(_table(ratings_table(audience)), make=lambda: rating_fields(audience))


def ask(exercise: Exercise, audience: Audience) -> None:
    """Set an exercise; ``audience`` may have an answer, which is checked.

    Parameters
    ----------
    exercise : Exercise
    audience : Audience
        What the listeners say.
    """
    given = audience.answers.get(exercise.name)
    fallback = {"text/html": exercise.html(given), "text/plain": f"{exercise.question} {exercise.check(given)}".strip()}
    show(fallback, make=lambda: exercise_field(exercise, audience))


def live(base: EvidenceBase, claim: Any, asked: Controls) -> None:
    """Show the forest plot and what it says of the advertised figure, with controls for all fields of ``asked``.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim : Any
        A row of claims.csv.
    asked : Controls
        The state of the controls.
    """
    found = at.answer(base, claim, asked)
    drawing = {"image/svg+xml": forest_svg(found), "text/plain": words(found)}
    said = say(*(line for line in found.lines() if line != found.advertised.words))  # the drawing says why
    show(drawing, _text(said), make=lambda: Panel(base, claim, asked).widget)
