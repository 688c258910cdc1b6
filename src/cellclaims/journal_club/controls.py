"""What is asked at the controls, and the pool that answers it: one path for the page, the panel and the tests."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from cellclaims import meta
from cellclaims.claims import own_trials
from cellclaims.claims.counterparts import TYPES, numbers_of
from cellclaims.errors import ParameterError
from cellclaims.evidence import Evidence
from cellclaims.pool import Pool, pooled
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.reporting.pools import Mark, reports_of
from cellclaims.reporting.tables import number, percent, study_words
from cellclaims.selection import ESTIMANDS, EvidenceBase, Question

#: The choice that the protocol makes.
PROTOCOL = "protocol"
#: Outcomes that are means of HbA1c, in words; every other outcome of the protocol is a share of patients.
MEANS = {"hba1c_change": "change of HbA1c after cells", "hba1c_difference": "HbA1c with cells minus without"}
METHODS = (PROTOCOL, "EE", "DL", "PM", "REML")
#: Tests by model: a share as the protocol fits it, anything pooled as a mean of effects.
BINOMIAL_TESTS, NORMAL_TESTS = (PROTOCOL, "t", "z"), (PROTOCOL, "adhoc", "knha", "t", "z")
#: Correlations and scales that make sense; the prior of tau is half-normal.
CORRELATIONS, SCALES, MONTHS, WINDOWS = (0.0, 0.99), (0.01, 10.0), (0.0, 240.0), (0.0, 120.0)
NAME = "asked"


@dataclass(frozen=True)
class Controls:
    """The state of the controls; every field has a parameter of the notebook, and the defaults are its defaults.

    ``months`` and ``window`` are in months, ``without`` holds study_ids, ``correlation`` is that of baseline with
    follow-up (for the SD of a change), ``tau_scale`` the scale of the half-normal prior of tau (logit, or points).
    """

    outcome: str = "insulin_independence"
    estimand: str = "most_favourable"
    months: float = 12.0
    window: float = 3.0
    without: tuple[str, ...] = ()
    method: str = PROTOCOL
    test: str = PROTOCOL
    correlation: float = 0.5
    tau_scale: float = 1.0
    population: tuple[str, ...] = ("T2D",)
    product: str = "any_cells"

    @property
    def is_share(self) -> bool:
        """Whether a share of patients is asked for, and not a mean."""
        return self.outcome not in MEANS

    @property
    def tests(self) -> tuple[str, ...]:
        """Tests that the chosen model knows."""
        return BINOMIAL_TESTS if self.is_share and self.method == PROTOCOL else NORMAL_TESTS

    def with_tests_that_fit(self) -> Controls:
        """The same, with the protocol's test where the chosen model does not know the chosen one."""
        return self if self.test in self.tests else replace(self, test=PROTOCOL)


def controls_of(base: EvidenceBase, claim: Any, **given: Any) -> Controls:
    """What the parameters ask, for the claim's type of diabetes.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    claim : Any
        A row of claims.csv.
    **given : Any
        Parameters of the notebook by name.

    Returns
    -------
    Controls

    Raises
    ------
    ParameterError
        For a value that is not known or out of range: names the parameter, what was expected and found.

    Examples
    --------
    >>> from cellclaims import protocol
    >>> from cellclaims.evidence import load
    >>> from cellclaims.claims.counterparts import claim_of
    >>> base = EvidenceBase(load("data"), protocol.load("data"))
    >>> controls_of(base, claim_of(base.evidence, "stop_all_2016"), METHOD="best")
    Traceback (most recent call last):
    cellclaims.errors.ParameterError: METHOD: expected one of protocol, EE, DL, PM, REML; found 'best'
    """
    values = {name.lower(): value for name, value in given.items()}
    values["without"] = tuple(values.get("without", ()))
    asked = replace(Controls(population=TYPES[claim.diabetes_type]), **values)
    for name, known in {
        "outcome": outcomes(base.protocol),
        "estimand": ESTIMANDS,
        "method": METHODS,
        "test": asked.tests,
    }.items():
        _one_of(name, getattr(asked, name), known)
    for name, limits in (
        ("months", MONTHS),
        ("window", WINDOWS),
        ("correlation", CORRELATIONS),
        ("tau_scale", SCALES),
    ):
        _between(name, getattr(asked, name), *limits)
    for study in asked.without:
        _one_of("without", study, tuple(base.evidence.studies.study_id))
    return asked


def _one_of(name: str, found: str, known: Iterable[str]) -> None:
    if found not in known:
        shown = ", ".join(known) if len(list(known)) <= 12 else "the study_ids of studies.csv"
        raise ParameterError(f"{name.upper()}: expected one of {shown}; found {found!r}")


def _between(name: str, found: float, low: float, high: float) -> None:
    if not low <= found <= high:
        raise ParameterError(f"{name.upper()}: expected a number from {low:g} to {high:g}; found {found!r}")


#: Keys of an outcome of the protocol that is measured, not counted.
MEASURED = {"unit", "units"}


def outcomes(protocol: Protocol) -> dict[str, str]:
    """What can be asked for: the shares of the protocol and the two means of HbA1c, each in words."""
    shares = {name: about["name"] for name, about in protocol["outcomes"].items() if not MEASURED & {*about}}
    return {**shares, **MEANS}


def question_of(evidence: Evidence, asked: Controls) -> Question:
    """The question of the pool: the clinic's own trials never answer for its claim.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.
    asked : Controls
        The state of the controls.

    Returns
    -------
    Question
    """
    outcome = asked.outcome if asked.is_share else "hba1c"
    estimand = asked.estimand if asked.is_share else "at_month"
    time = {"months": asked.months, "window": asked.window}
    question = Question(outcome, asked.population, asked.product, estimand=estimand, **time)
    return question.without((*own_trials(evidence), *asked.without))


def analysis_of(asked: Controls) -> Analysis:
    """How the controls ask for the pool to be made; ``protocol`` leaves the review's own choice."""
    chosen = {name: value for name in ("method", "test") if (value := getattr(asked, name)) != PROTOCOL}
    if not asked.is_share:
        measure = "MC" if asked.outcome == "hba1c_change" else "MD"
        return Analysis(measure, correlation=asked.correlation, **chosen)
    if asked.method == PROTOCOL:
        return Analysis("PLO", **chosen)
    return Analysis("PLO", model="normal", **{"test": "", **chosen})


def pool_of(base: EvidenceBase, asked: Controls) -> Pool:
    """The pool that answers what is asked, by :func:`cellclaims.pool.pool`.

    A share is fitted by the protocol's binomial-normal model, or, where an estimator of tau2 is chosen, as normal
    effects on the logit; HbA1c by the normal model with the chosen estimator and test.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    asked : Controls
        The state of the controls.

    Returns
    -------
    Pool
    """
    question = question_of(base.evidence, asked).named(NAME, outcomes(base.protocol)[asked.outcome])
    return pooled(base, question, analysis_of(asked))


# The answer to what is asked: the pool, what it says of the claim, and the same under a prior.


#: Quadrature of the live posterior: panels over tau with points each, points over the mean. Within 0.001 of the full.
LIVE_PANELS, LIVE_POINTS = (2, 8), 20


@dataclass(frozen=True)
class ClaimAnswer:
    """A pool beside a claim.

    ``claimed`` is in the unit of the claim (percent, or percentage points, below zero for a fall), NaN without a
    figure. ``numbers`` are those of the ledger (:func:`cellclaims.claims.counterparts.numbers_of`). ``p_prior`` is the
    posterior probability that the mean reaches the claim, None where there is none.
    """

    asked: Controls
    pool: Pool
    claimed: float
    numbers: dict[str, Any]
    p_prior: float | None

    @property
    def p_mean(self) -> float | None:
        """Probability that the mean reaches the claim; None where it cannot be said."""
        return self.numbers.get("p_mean_ge")

    @property
    def p_new(self) -> float | None:
        """Probability that a new clinic truly reaches the claim."""
        return self.numbers.get("p_new_setting_ge")

    def in_words(self) -> str:
        """The pooled value, its interval and the probabilities, in two sentences."""
        if self.pool.fit is None:
            return not_pooled(self.pool)
        return f"{self._value()} {self._chances()}"

    def _value(self) -> str:
        low, high = (self.numbers.get(name) for name in ("ci_lb", "ci_ub"))
        limits = "not estimable" if low is None else f"{self._shown(low)} to {self._shown(high)}"
        patients = f"{self.numbers['patients']:g} patients"
        value = self._shown(self.numbers["pooled"]) + ("" if self.asked.is_share else " percentage points")
        return f"Pooled: {value} ({self.pool.level_words} interval {limits}; {reports_of(self.pool.k)}, {patients})."

    def _chances(self) -> str:
        if math.isnan(self.claimed):
            return "The claim has no figure to compare it with."
        known = {"mean": self.p_mean, "new clinic": self.p_new, "mean, with the prior": self.p_prior}
        said = "; ".join(f"{who} {chance(p)}" for who, p in known.items())
        return f"Probability to reach {self._claim()}: {said}."

    def _claim(self) -> str:
        if self.asked.is_share:
            return f"the advertised {self.claimed:g} %"
        return f"a fall of {-self.claimed:g} points, our threshold for clinical importance"

    def _shown(self, value: float | None) -> str:
        if value is None:
            return "not estimable"
        return f"{number(value, 1)} %" if self.asked.is_share else number(value, 2)


def not_pooled(pool: Pool) -> str:
    """What stands in the place of a pooled value: that no study answers, or the studies side by side."""
    if pool.k == 0:
        return "No study answers this question."
    return f"{pool.label[:1].upper()}{pool.label[1:]}: {'; '.join(study_words(pool))}."


def chance(p: float | None) -> str:
    """A probability in words; "not estimable" for none.

    >>> chance(0.4211), chance(0.0002), chance(None)
    ('42.1 %', 'under 0.1 %', 'not estimable')
    """
    if p is None:
        return "not estimable"
    return "under 0.1 %" if p < 0.001 else "over 99.9 %" if p > 0.999 else percent(p)


def claimed_of(protocol: Protocol, claim: Any, asked: Controls) -> float:
    """What the claim says in the unit of the outcome asked for; NaN where it says nothing that can be compared."""
    if asked.is_share:
        return float(claim.value) if claim.unit == "percent" else math.nan
    if claim.outcome == "hba1c" and not math.isnan(claim.value):
        return -abs(float(claim.value))
    return -float(protocol["thresholds"]["hba1c_matters"]["value"])


def marks_of(protocol: Protocol, claim: Any, asked: Controls) -> list[Mark]:
    """The claim as marks of a figure: value, words, kind; none where it has no figure to compare with.

    Parameters
    ----------
    protocol : Protocol
        The rules of the review.
    claim : Any
        A row of claims.csv.
    asked : Controls
        The state of the controls.

    Returns
    -------
    list of Mark
    """
    value = claimed_of(protocol, claim, asked)
    if math.isnan(value):
        return []
    if asked.is_share:
        return [Mark(value, f"advertised {value:g} %", "advertised")]
    return [Mark(value, "threshold for clinical importance", "threshold")]


def answer(base: EvidenceBase, claim: Any, asked: Controls) -> ClaimAnswer:
    """The pool that answers what is asked, with the probabilities of the claim.

    ``claim`` is a row of claims.csv.
    """
    pool, claimed = pool_of(base, asked), claimed_of(base.protocol, claim, asked)
    return ClaimAnswer(asked, pool, claimed, numbers_of(pool, claimed, None), p_prior(pool, claimed, asked.tau_scale))


def p_prior(pool: Pool, claimed: float, scale: float) -> float | None:
    """Posterior probability that the mean reaches the claim, with a half-normal prior of tau; None where undefined."""
    if not pool.is_pooled or math.isnan(claimed):
        return None
    prior = meta.Prior(scale)
    if pool.scale != "logit":
        fit = meta.bayes(pool.rows.yi.to_numpy(float), pool.rows.vi.to_numpy(float), prior)
        return 1.0 - float(fit.mu.ge(claimed))
    events, n = pool.rows.events.to_numpy(float), pool.rows.n.to_numpy(float)
    if not 0 < events.sum() < n.sum() or not 0 < claimed < 100:
        return None
    return float(_posterior(tuple(events), tuple(n), scale).p_mean_reaches(claimed / 100))


@functools.lru_cache(maxsize=64)
def _posterior(events: tuple[float, ...], n: tuple[float, ...], scale: float) -> meta.BayesFit:
    counts = np.array(events), np.array(n)
    return meta.bayes_binomial(*counts, meta.Prior(scale), panels=LIVE_PANELS, mean_points=LIVE_POINTS)
