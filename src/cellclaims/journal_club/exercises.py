"""An exercise with a check that explains a wrong answer, and a solution that stays folded."""

from __future__ import annotations

import math
from collections.abc import Sequence
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
from cellclaims.reporting.tables import pooled as pooled_table
from cellclaims.selection import EvidenceBase, Question, report_counts


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


# What a small number of reports and an overlapping cohort do to the answer, each by the package's own pools.


def subsets(base: EvidenceBase, question: Question) -> list[Pool]:
    """The pool of the largest report, of the two largest, and so on to all: what each further report adds.

    The others are left out by the question, as at the controls.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    question : Question

    Returns
    -------
    list of Pool
    """
    whole = pooled(base, question.named("all_reports", "all"), Analysis("PLO"))
    order = whole.rows.sort_values("n", ascending=False, kind="stable")
    ids = list(order.study_id)
    others = [study for study in report_counts(base, question).rows.study_id if study not in ids]
    found = []
    for k in range(1, len(ids) + 1):
        asked = question.without((*ids[k:], *others))
        title = order.label.iloc[0] if k == 1 else f"and {order.label.iloc[k - 1]}"
        found.append(pooled(base, asked.named(f"largest_{k}", title), Analysis("PLO")))
    return found


def subsets_table(found: Sequence[Pool]) -> Table:
    """One line a pool, each with one report more than the line above.

    Parameters
    ----------
    found : sequence of Pool

    Returns
    -------
    Table
    """
    return pooled_table(found, "One report more in each line, the largest first")


def by_time(base: EvidenceBase, question: Question, title: str) -> dict[str, Pool]:
    """The same outcome counted at any time, at the month asked for, and at the last visit, by estimand.

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
    found = {}
    for estimand in ("ever", "at_month", "last_follow_up"):
        asked = replace(question, estimand=estimand).at(base.protocol)
        when = f"at {asked.target:g} months" if estimand == "at_month" else estimand.replace("_", " ")
        found[estimand] = pooled(base, asked.named(f"by_time_{estimand}", f"{title}, {when}"), Analysis("PLO"))
    return found


@dataclass(frozen=True)
class AsIfIndependent:
    """A pool with one report a cohort, and the same question with every report counted as if it had its own patients.

    ``counted_twice`` are the rows left out because they share patients, each with the reason.
    """

    one_a_cohort: Pool
    naive: Pool
    counted_twice: pd.DataFrame


def as_if_independent(base: EvidenceBase, question: Question, title: str = "cells") -> AsIfIndependent:
    """Pool a share twice: as the review does, and as if no two reports shared patients.

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
    one_a_cohort = pooled(base, question.named("one_a_cohort", f"{title}: one report a cohort"), Analysis("PLO"))
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
    """How many reports share patients with another, how many patients they would add, and how the share moves.

    Parameters
    ----------
    found : AsIfIndependent

    Returns
    -------
    Sentence
    """
    if found.one_a_cohort.fit is None or found.counted_twice.empty:
        return say("No two reports of this question share patients.")
    patients = [f"{pool.rows.n.sum():g}" for pool in (found.naive, found.one_a_cohort)]
    values = [value_words(pool, float(pool.fit.beta)) for pool in (found.naive, found.one_a_cohort)]
    return say(
        f"{len(found.counted_twice)} reports share patients with another one.",
        f"Counting every report makes {patients[0]} patients of {patients[1]} and a share of {values[0]}",
        f"instead of {values[1]}.",
    )


# The exercises of a sitting, made from the data; each knows the mistakes that people make.


PERCENT = "that is a percentage; a share lies between 0 and 1, so divide by 100"


def exercise_set(sheet: ByHand, at_month: Pool, ever: Pool, overlap: AsIfIndependent) -> dict[str, Exercise]:
    """The exercises by name, in the order of the sitting.

    Parameters
    ----------
    sheet : ByHand
        The reports that are pooled by hand.
    at_month, ever : Pool
        One outcome of one population, counted at a month and at any time.
    overlap : AsIfIndependent
        A question in which reports share patients.

    Raises
    ------
    DataError
        If a pool has no report: an exercise needs an answer.
    """
    for pool in (at_month, ever, overlap.one_a_cohort):
        if pool.fit is None:
            raise DataError(f"exercises: expected reports for {pool.title!r}, found none")
    made = [_share(sheet), _weight(sheet), _pooled(sheet), _at_month(at_month, ever), _patients(overlap)]
    return {exercise.name: exercise for exercise in made}


def _share(sheet: ByHand) -> Exercise:
    i = int(np.argmax(sheet.n))
    x, n = float(sheet.events[i]), float(sheet.n[i])
    mistakes = (
        Mistake(100 * x / n, PERCENT),
        Mistake(x / (n - x), "those are the odds, with without; a share is with of all"),
        Mistake(n / x, "that is the inverse: patients a patient with the outcome"),
        Mistake(float(logit(x / n)), "that is the logit; the share itself is asked for"),
    )
    question = f"{sheet.labels[i]} counts {x:g} of {n:g} patients. What share is that?"
    return Exercise("share", question, x / n, "", 0.006, 3, f"Divide {x:g} by {n:g}.", mistakes)


def _weight(sheet: ByHand) -> Exercise:
    i = int(np.argmax(sheet.n))
    v, w, star = (float(a[i]) for a in (sheet.v, sheet.w, sheet.w_star))
    mistakes = (
        Mistake(v, "that is the variance; a weight is its inverse, so that a precise report counts more"),
        Mistake(1 / np.sqrt(v), "that is one over the standard error; take the inverse of the variance"),
        Mistake(star, "the variance between reports is in it; here the equal-effects weight is asked for"),
        Mistake(100 * w / sheet.w.sum(), "that is the weight in percent of all; the weight itself is asked for"),
        Mistake(float(sheet.n[i]), "that is the number of patients; the variance of the logit decides"),
    )
    question = f"The logit of {sheet.labels[i]} has the variance {v:.3f}. What is its equal-effects weight?"
    return Exercise("weight", question, w, "", 0.1, 2, f"One over the variance: 1 / {v:.3f}.", mistakes)


def _pooled(sheet: ByHand) -> Exercise:
    total, mean = sheet.events.sum() / sheet.n.sum(), float(expit(sheet.mean))
    mistakes = (
        Mistake(100 * mean, PERCENT),
        Mistake(float(expit(sheet.fixed)), "that is the equal-effects mean: the variance between reports is left out"),
        Mistake(float(total), "that adds all patients up as if they were one report, so the largest report decides"),
        Mistake(
            float((sheet.events / sheet.n).mean()), "that is the plain mean of the shares: every report counts alike"
        ),
        Mistake(sheet.mean, "that is the pooled logit; bring it back to a share"),
    )
    question = "What share do the three reports show together, by the random-effects sheet?"
    solution = f"The pooled logit is {sheet.mean:.3f}; one over one plus e to its negative gives the share."
    return Exercise("pooled", question, mean, "", 0.0025, 3, solution, mistakes)


def _at_month(at_month: Pool, ever: Pool) -> Exercise:
    value, other = (pool.shown(float(pool.fit.beta)) for pool in (at_month, ever))
    month = f"{at_month.question.target:g} months"
    mistakes = (
        Mistake(other, f"that is the share that was off insulin at any time; at {month} fewer still are"),
        Mistake(value / 100, "that is the share between 0 and 1; per cent are asked for"),
        Mistake(100 - value, "those are the patients who needed insulin again"),
    )
    question = f"After islets for type 1 diabetes, what per cent are off insulin at {month}?"
    later = "ever also counts those who needed insulin again later"
    solution = f"Only counts at that month answer it ({at_month.k} reports); {later}."
    return Exercise("at_month", question, value, "%", 1.0, 1, solution, mistakes)


def _patients(overlap: AsIfIndependent) -> Exercise:
    one_a_cohort, naive = (float(pool.rows.n.sum()) for pool in (overlap.one_a_cohort, overlap.naive))
    mistakes = (
        Mistake(naive, "that adds up reports that share patients: some patients are counted twice"),
        Mistake(naive - one_a_cohort, "those are the patients of the reports that leave"),
        Mistake(float(len(overlap.one_a_cohort.rows)), "that is the number of reports"),
    )
    question = "How many different patients stand behind the pool whose reports overlap?"
    solution = "Of reports that share patients only the one with the most patients counts."
    return Exercise("patients", question, one_a_cohort, "patients", 0.5, 0, solution, mistakes)
