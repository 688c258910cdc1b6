"""The live panel: a control for each part of what is asked; the forest plot and the probabilities follow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from html import escape
from typing import Any

import ipywidgets as widgets

from cellclaims.club.answers import Answer, answer
from cellclaims.club.asked import MEANS, METHODS, PROTOCOL, Asked, narrowed, of_studies, outcomes
from cellclaims.club.light_forest import forest_svg
from cellclaims.errors import ReviewError
from cellclaims.evidence import Evidence
from cellclaims.protocol import Protocol
from cellclaims.selection import ESTIMANDS

WIDE = {"description_width": "9rem"}
ROW = widgets.Layout(width="21rem")
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
    """Controls by the names of :class:`~cellclaims.club.Asked`'s fields, and what follows from them.

    ``controls`` maps a field to its widget; ``asked`` and ``answer`` are the state; ``figure.value`` is the SVG that
    the page has at the same state and ``said.value`` the sentence as HTML; ``widget`` is what is displayed.
    """

    def __init__(self, evidence: Evidence, protocol: Protocol, claim: Any, asked: Asked) -> None:
        self.evidence, self.protocol, self.claim = narrowed(evidence, protocol, asked), protocol, claim
        self.asked, self.is_settling = asked, False
        self.known: dict[Asked, Answer] = {}
        self.reports: dict[Asked, Evidence] = {}
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
                "Outcome", {words: name for name, words in outcomes(self.protocol).items()}, asked.outcome
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

    def _answer(self, asked: Asked) -> Answer:
        """The answer; what was asked before is known.

        Which reports answer depends on neither model nor correlation nor prior: where only these move, the evidence is
        cut down to the reports of the last answer, which is quicker and changes nothing.
        """
        if asked not in self.known:
            chosen = replace(asked, method=PROTOCOL, test=PROTOCOL, correlation=0.5, tau_scale=1.0)
            found = answer(self.reports.get(chosen, self.evidence), self.protocol, self.claim, asked)
            self.known[asked] = found
            if chosen not in self.reports and found.pool.k:
                self.reports[chosen] = of_studies(self.evidence, set(found.pool.rows.study_id))
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
        rows, studies = self.answer.pool.rows, self.evidence.studies
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


def _test_options(asked: Asked) -> dict[str, str]:
    return {TEST_WORDS[test]: test for test in asked.tests}


def _set(control: widgets.Widget, options: Any, value: Any) -> None:
    """New options with a value, in one step, and only where they differ: each costs a message to the page."""
    options = tuple(options.items()) if isinstance(options, Mapping) else options
    if tuple(control.options) != options:
        control.options = options
    if control.value != value:
        control.value = value
