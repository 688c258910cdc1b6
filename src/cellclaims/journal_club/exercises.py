"""An exercise with a check that explains a wrong answer, and a solution that stays folded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from html import escape

import numpy as np
import pandas as pd
from scipy.special import expit, logit

from cellclaims import meta
from cellclaims.errors import DataError
from cellclaims.journal_club.by_hand import ByHand
from cellclaims.pool import Pool, pooled
from cellclaims.question import Analysis
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Table, number, value_words
from cellclaims.selection import EvidenceBase, Question, report_counts


@dataclass(frozen=True)
class Mistake:
    """A wrong answer that people give, and the words that explain it."""

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
        """Return what is said to this answer; an empty text for none.

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
            return f"Not yet: expected a number, found {given}."
        if self._near(given, self.answer):
            return f"Right: {self.shown()}."
        for mistake in self.mistakes:
            if self._near(given, mistake.value):
                return f"Not yet: {mistake.words}."
        side = "high" if given > self.answer else "low"
        return f"Not yet: your answer is too {side}. Look at the solution when you have tried again."

    def _near(self, given: float, value: float) -> bool:
        """Within the tolerance, which grows with a value larger than the answer (a percentage for a proportion)."""
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


# What the time of counting and an overlapping cohort do to the answer, each by the package's own pools.


def by_time(base: EvidenceBase, question: Question, title: str) -> dict[str, Pool]:
    """The same outcome counted at any time, at the question's month, and at the last visit, by estimand.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    question : Question
    title : str

    Returns
    -------
    dict of Pool
    """
    words = {"ever": "at any time", "last_follow_up": "at the last visit"}
    found = {}
    for estimand in ("ever", "at_month", "last_follow_up"):
        asked = replace(question, estimand=estimand).at(base.protocol)
        when = words.get(estimand, f"at {asked.target:g} months")
        found[estimand] = pooled(base, asked.named(f"by_time_{estimand}", f"{title}, {when}"), Analysis("PLO"))
    return found


def islets_by_time(base: EvidenceBase) -> dict[str, Pool]:
    """Off insulin after islets in type 1 diabetes, by when it is counted."""
    question = Question("insulin_independence", "T1D", "islets")
    return by_time(base, question, "Islets, type 1 diabetes, off insulin")


def short_table(found: Iterable[Pool], caption: str) -> Table:
    """Pools of proportions with as few columns as fit a slide: studies, participants, mean and interval.

    Parameters
    ----------
    found : iterable of Pool
    caption : str

    Returns
    -------
    Table
    """
    found = list(found)
    rows = tuple((pool.title, f"{pool.k}", f"{pool.patients:g}", *_mean_and_limits(pool)) for pool in found)
    level = found[0].level_words if found else ""
    header = ("pool", "studies", "participants", "mean", f"{level} interval")
    return Table(header, rows, caption, frozenset({1, 2, 3, 4}))


def _mean_and_limits(pool: Pool) -> tuple[str, str]:
    if pool.fit is None:
        return "not pooled", "–"
    middle, low, high = (number(pool.shown(float(getattr(pool.fit, name))), 1) for name in ("beta", "ci_lb", "ci_ub"))
    return f"{middle}%", f"{low}% to {high}%"


def times_table(found: Mapping[str, Pool]) -> Table:
    """How many were off insulin, by when it is counted; one line per pool."""
    return short_table(found.values(), "Off insulin after islets, by when it is counted")


def overlap_table(found: AsIfIndependent) -> Table:
    """The mean with every report, and with one report per cohort."""
    return short_table([found.naive, found.one_a_cohort], "Every report, and one report per cohort")


def time_words(found: Mapping[str, Pool]) -> list[str]:
    """How many were off insulin at any time and at the month, a sentence for each pool with a mean."""
    return [
        f"{pool.title}: {value_words(pool, float(pool.fit.beta))}, {pool.k} studies."
        for pool in found.values()
        if pool.is_pooled
    ]


def overlap_of(base: EvidenceBase) -> AsIfIndependent:
    """The example of overlapping cohorts: cells in type 1 diabetes, off insulin at any time."""
    question = Question("insulin_independence", "T1D", "any_cells", estimand="ever")
    return as_if_independent(base, question, "Cells, type 1 diabetes, off insulin at any time")


@dataclass(frozen=True)
class AsIfIndependent:
    """A pool with one report per cohort, and the same question as if no two reports shared participants.

    ``counted_twice`` are the rows left out because they share participants, each with the reason.
    """

    one_a_cohort: Pool
    naive: Pool
    counted_twice: pd.DataFrame


def as_if_independent(base: EvidenceBase, question: Question, title: str = "cells") -> AsIfIndependent:
    """Pool a proportion twice: as the review does, and as if no two reports shared participants.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    question : Question
    title : str, optional

    Returns
    -------
    AsIfIndependent
    """
    one_a_cohort = pooled(base, question.named("one_a_cohort", f"{title}: one report per cohort"), Analysis("PLO"))
    reports = report_counts(base, question).rows
    counts = reports.events.to_numpy(float), reports.n.to_numpy(float)
    settings = {name: one_a_cohort.settings[name] for name in ("level", "test", "nodes")}
    fit = meta.glmm(*counts, **settings) if len(reports) else None
    known = {
        "controlled": [study in base.controlled for study in reports.study_id],
        "secondary": [base.is_secondary(source) for source in reports.source_id],
    }
    rows = reports.reindex(columns=one_a_cohort.rows.columns).assign(**known)
    every = question.named("as_if_independent", f"{title}: every report")
    naive = replace(one_a_cohort, question=every, rows=rows, fit=fit)
    twice = one_a_cohort.left_out[one_a_cohort.left_out.reason.str.startswith("shares patients")]
    return AsIfIndependent(one_a_cohort, naive, twice.reset_index(drop=True))


def overlap_words(found: AsIfIndependent) -> Sentence:
    """How many reports share participants with another one, how many people they have at least, and how the mean moves.

    Parameters
    ----------
    found : AsIfIndependent

    Returns
    -------
    Sentence
    """
    if found.one_a_cohort.fit is None or found.counted_twice.empty:
        return say("No two reports of this question share participants.")
    patients = [f"{pool.rows.n.sum():g}" for pool in (found.naive, found.one_a_cohort)]
    values = [value_words(pool, float(pool.fit.beta)) for pool in (found.naive, found.one_a_cohort)]
    return say(
        f"{len(found.counted_twice)} reports share participants with another one.",
        f"With one report per cohort: {values[1]} of {patients[1]} participants, the least number of different people.",
        f"With every report counted: {values[0]} of {patients[0]}; some are counted twice.",
    )


# The exercises of a sitting, made from the data; each knows the mistakes that people make.


PERCENT = "that is a percentage; a proportion lies between 0 and 1, so divide by 100"


def exercise_set(sheet: ByHand, at_month: Pool, ever: Pool, overlap: AsIfIndependent) -> dict[str, Exercise]:
    """The exercises by name, in the order of the backup slides.

    Parameters
    ----------
    sheet : ByHand
        The studies that are pooled by hand.
    at_month, ever : Pool
        One outcome of one population, counted at a month and at any time.
    overlap : AsIfIndependent
        A question in which reports share participants.

    Raises
    ------
    DataError
        If a pool has no mean: an exercise needs an answer.
    """
    for pool in (at_month, ever, overlap.one_a_cohort):
        if not pool.is_pooled:
            raise DataError(f"exercises: expected studies to pool for {pool.title!r}, found {pool.k}")
    made = [_proportion(sheet), _weight(sheet), _mean(sheet), _people(overlap), _at_month(at_month, ever)]
    return {exercise.name: exercise for exercise in made}


def _proportion(sheet: ByHand) -> Exercise:
    i = int(np.argmax(sheet.n))
    x, n = float(sheet.events[i]), float(sheet.n[i])
    mistakes = (
        Mistake(100 * x / n, PERCENT),
        Mistake(x / (n - x), "those are the odds, with it to without it; a proportion is with it out of all"),
        Mistake(n / x, "that is the inverse: participants for each one with the outcome"),
        Mistake(float(logit(x / n)), "that is the logit; give the proportion itself"),
    )
    question = f"{sheet.labels[i]} counts {x:g} of {n:g} participants. What proportion is that?"
    return Exercise("proportion", question, x / n, "", 0.006, 3, f"Divide {x:g} by {n:g}.", mistakes)


def _weight(sheet: ByHand) -> Exercise:
    i = int(np.argmax(sheet.n))
    v, w = float(sheet.v[i]), float(sheet.w[i])
    mistakes = (
        Mistake(1 / v, "the variance between studies is missing: add it to the variance before you divide"),
        Mistake(v + sheet.tau2, "that is the variance; a weight is its inverse, so that a precise study counts more"),
        Mistake(1 / np.sqrt(v + sheet.tau2), "that is one over the standard error; take the inverse of the variance"),
        Mistake(100 * w / float(sheet.w.sum()), "that is the weight in percent of all; give the weight itself"),
        Mistake(float(sheet.n[i]), "that is the number of participants; the variance of the logit decides"),
    )
    question = (
        f"The logit of {sheet.labels[i]} has the variance {v:.3f}; the variance between studies is {sheet.tau2:.3f}. "
        "What is its weight?"
    )
    solution = f"One over the sum of both variances: 1 / ({v:.3f} + {sheet.tau2:.3f})."
    return Exercise("weight", question, w, "", 0.04, 3, solution, mistakes)


def _mean(sheet: ByHand) -> Exercise:
    total, mean = sheet.events.sum() / sheet.n.sum(), float(expit(sheet.mean))
    plain = float((1 / sheet.v * sheet.y).sum() / (1 / sheet.v).sum())
    mistakes = (
        Mistake(100 * mean, PERCENT),
        Mistake(float(expit(plain)), "those weights leave out the variance between studies"),
        Mistake(float(total), "that adds all participants up as if they were one study, so the largest study decides"),
        Mistake(float((sheet.events / sheet.n).mean()), "that is the plain mean: every study counts alike"),
        Mistake(sheet.mean, "that is the mean logit; bring it back to a proportion"),
    )
    question = "What is the mean proportion of the three studies, by the sheet?"
    solution = (
        f"The mean logit is {sheet.mean:.3f}; one over (one plus e to the power of its negative) is the proportion."
    )
    return Exercise("mean", question, mean, "", 0.0025, 3, solution, mistakes)


def _at_month(at_month: Pool, ever: Pool) -> Exercise:
    value, other = (pool.shown(float(pool.fit.beta)) for pool in (at_month, ever))
    month = f"{at_month.question.target:g} months"
    mistakes = (
        Mistake(other, f"that is the percentage off insulin at any time; at {month} fewer still are"),
        Mistake(value / 100, "that is the proportion between 0 and 1; give a percentage"),
        Mistake(100 - value, "those are the participants who needed insulin"),
    )
    question = f"After islets for type 1 diabetes, what percentage are off insulin at {month}?"
    later = "“ever” also counts those who needed insulin again later"
    solution = f"Only counts at that month answer it ({at_month.k} studies); {later}."
    return Exercise("at_month", question, value, "%", 1.0, 1, solution, mistakes)


#: Asked on the worksheet and as an exercise, in the same words.
PEOPLE = "At least how many different participants do these reports have?"


def _people(overlap: AsIfIndependent) -> Exercise:
    one_a_cohort, naive = (float(pool.rows.n.sum()) for pool in (overlap.one_a_cohort, overlap.naive))
    mistakes = (
        Mistake(naive, "that adds up reports that share participants: some are counted twice"),
        Mistake(naive - one_a_cohort, "those are the participants of the reports that are left out"),
        Mistake(float(len(overlap.one_a_cohort.rows)), "that is the number of cohorts"),
    )
    solution = (
        "Of the reports of one cohort only one counts. It is a lower bound: a report that is left out may include "
        f"other people. The upper bound is {naive:g}, the sum of all reports."
    )
    return Exercise("people", PEOPLE, one_a_cohort, "participants", 0.5, 0, solution, mistakes)
