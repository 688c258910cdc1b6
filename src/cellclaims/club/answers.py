"""The answer to what is asked: the pool, what it says of the claim, and the same under a prior."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import logit, stdtr

from cellclaims import meta
from cellclaims.claims.counterparts import numbers_of
from cellclaims.club.asked import Asked, pool_of
from cellclaims.evidence import Evidence
from cellclaims.pools import Pool
from cellclaims.protocol import Protocol
from cellclaims.reporting.pools import reports_of
from cellclaims.reporting.tables import number, percent

#: Quadrature of the live posterior: panels over tau with points each, points over the mean. Within 0.001 of the full.
LIVE_PANELS, LIVE_POINTS = (2, 8), 20


@dataclass(frozen=True)
class Answer:
    """A pool beside a claim.

    ``claimed`` is in the unit of the claim (percent, or percentage points, below zero for a fall), NaN without a
    figure. ``numbers`` are those of the ledger (:func:`cellclaims.claims.counterparts.numbers_of`). ``p_prior`` is the
    posterior probability that the mean reaches the claim, None where there is none.
    """

    asked: Asked
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
            return "No report answers this question."
        return f"{self._value()} {self._chances()}"

    def _value(self) -> str:
        low, high = (self.numbers.get(name) for name in ("ci_lb", "ci_ub"))
        limits = "not estimable" if low is None else f"{self._shown(low)} to {self._shown(high)}"
        patients = f"{self.numbers['patients']:g} patients"
        value = self._shown(self.numbers["pooled"]) + ("" if self.asked.is_share else " percentage points")
        return f"Pooled: {value} (95 % interval {limits}; {reports_of(self.pool.k)}, {patients})."

    def _chances(self) -> str:
        if math.isnan(self.claimed):
            return "The claim has no figure to compare it with."
        known = {"mean": self.p_mean, "new clinic": self.p_new, "mean, with the prior": self.p_prior}
        said = "; ".join(f"{who} {chance(p)}" for who, p in known.items())
        return f"Probability to reach {self._claim()}: {said}."

    def _claim(self) -> str:
        if self.asked.is_share:
            return f"the advertised {self.claimed:g} %"
        return f"a fall of {-self.claimed:g} points, the smallest that matters"

    def _shown(self, value: float | None) -> str:
        if value is None:
            return "not estimable"
        return f"{number(value, 1)} %" if self.asked.is_share else number(value, 2)


def chance(p: float | None) -> str:
    """A probability in words; "not estimable" for none.

    >>> chance(0.4211), chance(0.0002), chance(None)
    ('42.1 %', 'under 0.1 %', 'not estimable')
    """
    if p is None:
        return "not estimable"
    return "under 0.1 %" if p < 0.001 else "over 99.9 %" if p > 0.999 else percent(p)


def claimed_of(protocol: Protocol, claim: Any, asked: Asked) -> float:
    """What the claim says in the unit of the outcome asked for; NaN where it says nothing that can be compared."""
    if asked.is_share:
        return float(claim.value) if claim.unit == "percent" else math.nan
    if claim.outcome == "hba1c" and not math.isnan(claim.value):
        return -abs(float(claim.value))
    return -float(protocol["thresholds"]["hba1c_matters"]["value"])


def marks_of(protocol: Protocol, claim: Any, asked: Asked) -> list[tuple[float, str, str]]:
    """The claim as marks of a figure: value, words, kind; none where it has no figure to compare with."""
    value = claimed_of(protocol, claim, asked)
    if math.isnan(value):
        return []
    if asked.is_share:
        return [(value, f"advertised {value:g} %", "advertised")]
    return [(value, "smallest change that matters", "threshold")]


def answer(evidence: Evidence, protocol: Protocol, claim: Any, asked: Asked) -> Answer:
    """The pool that answers what is asked, with the probabilities of the claim.

    ``claim`` is a row of claims.csv; ``evidence`` may be :func:`cellclaims.club.narrowed`.
    """
    pool, claimed = pool_of(evidence, protocol, asked), claimed_of(protocol, claim, asked)
    numbers = numbers_of(pool, math.nan, None) if _on_logits(pool) else numbers_of(pool, claimed, None)
    if _on_logits(pool) and 0 < claimed < 100:
        numbers |= _chances_on_logits(pool, claimed)
    return Answer(asked, pool, claimed, numbers, p_prior(pool, claimed, asked.tau_scale))


def _on_logits(pool: Pool) -> bool:
    """Whether a share was fitted as normal effects."""
    return pool.scale == "logit" and pool.settings.get("model") == "normal"


def _chances_on_logits(pool: Pool, claimed: float) -> dict[str, float]:
    """As for a difference of means: t with k - 1 degrees of freedom for the mean, k - 2 for a new clinic."""
    fit, k = pool.fit, pool.k
    away = float(fit.beta) - float(logit(claimed / 100))
    found = {"p_mean_ge": float(stdtr(k - 1, away / float(fit.se)))}
    if k > 2:
        found["p_new_setting_ge"] = float(stdtr(k - 2, away / math.hypot(float(fit.se), math.sqrt(fit.tau2))))
    return found


def p_prior(pool: Pool, claimed: float, scale: float) -> float | None:
    """Posterior probability that the mean reaches the claim, with a half-normal prior of tau; None where undefined."""
    if pool.fit is None or math.isnan(claimed):
        return None
    prior = meta.Prior(scale)
    if pool.scale != "logit":
        fit = meta.bayes(pool.rows.yi.to_numpy(float), pool.rows.vi.to_numpy(float), prior)
        return 1.0 - float(fit.mu.ge(claimed))
    events, n = pool.rows.events.to_numpy(float), pool.rows.n.to_numpy(float)
    if not 0 < events.sum() < n.sum() or not 0 < claimed < 100:
        return None
    return float(_posterior(tuple(events), tuple(n), scale).p_mean_ge(claimed / 100))


@functools.lru_cache(maxsize=64)
def _posterior(events: tuple[float, ...], n: tuple[float, ...], scale: float) -> meta.BayesFit:
    counts = np.array(events), np.array(n)
    return meta.bayes_binomial(*counts, meta.Prior(scale), panels=LIVE_PANELS, mean_points=LIVE_POINTS)
