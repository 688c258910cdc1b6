"""An exercise with a check that explains a wrong answer, and a solution that stays folded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape

from cellclaims.reporting.tables import number


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people give, and what to tell who gives it."""

    value: float
    words: str


@dataclass(frozen=True)
class Exercise:
    """One question with a number as its answer.

    ``tolerance`` is absolute, in the unit of the answer: what rounding on paper may cost. ``mistakes`` are looked at
    in their order. ``solution`` says how the answer comes about.
    """

    name: str
    question: str
    answer: float
    unit: str
    tolerance: float
    decimals: int
    solution: str
    mistakes: tuple[Mistake, ...] = ()

    def check(self, given: float | None) -> str:
        """What to tell who gave this answer; an empty text for none.

        A known mistake is named before closeness is praised: two answers may lie near each other.

        Examples
        --------
        >>> percent = Mistake(100 * 18 / 56, "a percentage")
        >>> exercise = Exercise("share", "18 of 56?", 18 / 56, "", 0.005, 3, "", (percent,))
        >>> exercise.check(0.32)
        'Right: 0.321.'
        >>> exercise.check(32.1)
        'Not yet: a percentage.'
        >>> exercise.check(0.5)
        'Not yet: your answer is too high. Look at the solution when you have tried again.'
        """
        if given is None:
            return ""
        if not math.isfinite(given):
            return f"Not yet: a number is asked for, found {given}."
        if self._near(given, self.answer):
            return f"Right: {self.shown()}."
        for mistake in self.mistakes:
            if self._near(given, mistake.value):
                return f"Not yet: {mistake.words}."
        side = "high" if given > self.answer else "low"
        return f"Not yet: your answer is too {side}. Look at the solution when you have tried again."

    def _near(self, given: float, value: float) -> bool:
        """Within the tolerance, which grows with a value larger than the answer (a percentage for a share)."""
        size = max(1.0, abs(value) / abs(self.answer)) if self.answer else 1.0
        return math.isfinite(value) and abs(given - value) <= self.tolerance * size

    def shown(self) -> str:
        """The answer as a reader sees it."""
        return f"{number(self.answer, self.decimals)} {self.unit}".strip()

    def __repr__(self) -> str:
        return f"{self.question} Solution: {self.shown()}. {self.solution}"

    def html(self, given: float | None = None) -> str:
        """The exercise with what was said to an answer, the solution folded; all text escaped."""
        feedback = f"<p><strong>{escape(self.check(given))}</strong></p>" if given is not None else ""
        return f"<p>{escape(self.question)}</p>{feedback}{self.folded()}"

    def folded(self) -> str:
        """The solution behind a line that opens it."""
        solution = f"<p>{escape(self.shown())}. {escape(self.solution)}</p>"
        return f"<details><summary>Solution</summary>{solution}</details>"

    def _repr_html_(self) -> str:
        return self.html()
