"""The exercises of a sitting, made from the data; each knows the mistakes that people make."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from cellclaims.club.by_hand import ByHand
from cellclaims.club.exercises import Exercise, Mistake
from cellclaims.club.what_ifs import AsIfIndependent
from cellclaims.errors import DataError
from cellclaims.pools import Pool

PERCENT = "that is a percentage; a share lies between 0 and 1, so divide by 100"


def exercises(sheet: ByHand, at_month: Pool, ever: Pool, overlap: AsIfIndependent) -> dict[str, Exercise]:
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
    for pool in (at_month, ever, overlap.honest):
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
    value, other = (100 * pool.back(float(pool.fit.beta)) for pool in (at_month, ever))
    month = f"{at_month.question.months:g} months"
    mistakes = (
        Mistake(other, f"that is the share that was off insulin at any time; at {month} fewer still are"),
        Mistake(value / 100, "that is the share between 0 and 1; per cent are asked for"),
        Mistake(100 - value, "those are the patients who needed insulin again"),
    )
    question = f"After islets for type 1 diabetes, what per cent are off insulin at {month}?"
    solution = f"Only counts at that month answer it ({at_month.k} reports); ever counts a single good day, too."
    return Exercise("at_month", question, value, "%", 1.0, 1, solution, mistakes)


def _patients(overlap: AsIfIndependent) -> Exercise:
    honest, naive = (float(pool.rows.n.sum()) for pool in (overlap.honest, overlap.naive))
    mistakes = (
        Mistake(naive, "that adds up reports that share patients: some patients are counted twice"),
        Mistake(naive - honest, "those are the patients of the reports that leave"),
        Mistake(float(len(overlap.honest.rows)), "that is the number of reports"),
    )
    question = "How many different patients stand behind the pool whose reports overlap?"
    solution = "Of reports that share patients only the one with the most patients counts."
    return Exercise("patients", question, honest, "patients", 0.5, 0, solution, mistakes)
