"""What may be said of a claim: the rules of ``protocol.yml``, section ``findings``, as pure functions.

A *finding* compares an advertised statement with published results and with nothing else. The first rule that holds
decides. None of the functions knows a study by name, reads a file or rounds a number, so that every boundary can be
tested with one event more and one less.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from cellclaims import meta
from cellclaims.errors import ProtocolError
from cellclaims.meta.binomial_fit import clopper_pearson

# Findings, as they are written everywhere.

CANNOT_BE_ASSESSED = "cannot be assessed"
TOO_FEW = "too few participants"
DISAGREE = "studies disagree"
ABOVE = "above the published results"
BELOW = "below the published results"
NOT_EXCLUDED = "not excluded by the published results"
#: Findings on a rate, in the order of their rules.
RATE_FINDINGS = (CANNOT_BE_ASSESSED, TOO_FEW, DISAGREE, ABOVE, BELOW, NOT_EXCLUDED)

FAVOUR = "controlled studies favour it"
AGAINST = "controlled studies point the other way"
INCONCLUSIVE = "controlled studies are inconclusive"
ONE_FAVOURS = "one controlled study favours it"
ONE_AGAINST = "one controlled study points the other way"
ONE_INCONCLUSIVE = "one controlled study is inconclusive"
NOT_READ = "controlled studies, results not read"
UNCONTROLLED = "uncontrolled studies only"
ELSEWHERE = "other diseases or products only"
LABORATORY = "laboratory studies only"
NONE_FOUND = "no study found"
OUTCOME_ONLY = "outcome only"
#: Findings on an effect or a mechanism, in the order of their rules.
EFFECT_FINDINGS = (
    FAVOUR, AGAINST, INCONCLUSIVE, ONE_FAVOURS, ONE_AGAINST, ONE_INCONCLUSIVE, NOT_READ, UNCONTROLLED, ELSEWHERE,
    LABORATORY, NONE_FOUND, OUTCOME_ONLY,
)  # fmt: skip

AGREES, DISAGREES, NOT_CHECKED = "agrees", "disagrees", "could not be checked"
#: Findings on a statement about a record.
RECORD_FINDINGS = (AGREES, DISAGREES, NOT_CHECKED)
#: A statement that claims no outcome of the treatment.
NO_FINDING = "no outcome is claimed"

#: What a finding becomes where less is better: a claim that is lower than the results is the better one.
MIRRORED = {ABOVE: BELOW, BELOW: ABOVE}


# Rates.


@dataclass(frozen=True)
class RateRules:
    """The numbers of the rules on rates.

    Attributes
    ----------
    level : float
        Of each study's exact interval.
    participants : float
        From how many a single study may decide.
    fewest : int
        From how many studies there is a probability.
    improbable : float
        Below this probability, under every prior, a claim is above the results; above 1 minus it, below them.
    edge : float
        How near to an edge is said: a tenth of its distance from 0 or from 1, whichever is less.
    priors : tuple of float
        Scales of the half-normal prior of tau on the logit.
    """

    level: float = 0.95
    participants: float = 20
    fewest: int = 3
    improbable: float = 0.05
    edge: float = 0.1
    priors: tuple[float, ...] = (0.5, 1.0, 2.0)

    @classmethod
    def of(cls, section: Mapping[str, Any]) -> RateRules:
        """The rules of the protocol, ``findings.rates``."""
        known = {name: section[name] for name in ("level", "participants", "fewest", "improbable", "edge")}
        return cls(**known, priors=tuple(float(scale) for scale in section["priors"]))


@dataclass(frozen=True)
class RateFinding:
    """A finding on a rate and what it rests on.

    Attributes
    ----------
    finding : str
        One of :data:`RATE_FINDINGS`.
    rule : str
        Which part of the rule held: ``undefined``, ``unreported``, ``few``, ``disagree``, ``all_limits``,
        ``one_study``, ``probability``, ``sum`` or ``otherwise``.
    edges : tuple of str
        Edges of the rules that, a tenth away, would give another finding: ``claim``, ``participants``, ``improbable``,
        ``estimate``.
    """

    finding: str
    rule: str
    edges: tuple[str, ...] = ()


class _Edges(NamedTuple):
    """Where the rules change: each may be moved by itself."""

    claim: float
    participants: float
    improbable: float
    estimate: float


def rate_finding(
    events: Sequence[float],
    n: Sequence[float],
    claim: float,
    probabilities: Mapping[float, float] | None = None,
    *,
    is_defined: bool = True,
    better: str = "higher",
    rules: RateRules | None = None,
) -> RateFinding:
    """Compare an advertised proportion with the counts of the studies that report the outcome.

    Parameters
    ----------
    events, n : sequence of float
        Participants with the outcome, and all participants, of each study; one study per cohort.
    claim : float
        The advertised proportion, between 0 and 1.
    probabilities : mapping of float, optional
        Scale of the prior -> probability that a similar centre has at least the advertised proportion
        (:func:`probabilities_of`); used from ``rules.fewest`` studies.
    is_defined : bool
        Whether the advertisement, or a published definition, says what is counted.
    better : {"higher", "lower"}
        Whether more of the outcome is better. Where less is better, the rules hold for those without it.
    rules : RateRules, optional

    Returns
    -------
    RateFinding

    Examples
    --------
    >>> rate_finding([9, 9], [45, 11], 0.6).finding
    'studies disagree'
    >>> rate_finding([0], [10], 0.6).finding, rate_finding([0], [20], 0.6).finding
    ('too few participants', 'above the published results')
    """
    rules = rules or RateRules()
    x, size = np.asarray(events, float), np.asarray(n, float)
    known = dict(probabilities or {})
    if better == "lower":
        x, claim, known = size - x, 1.0 - claim, {scale: 1.0 - p for scale, p in known.items()}
    if not is_defined:
        return RateFinding(CANNOT_BE_ASSESSED, "undefined")
    if size.size == 0:
        return RateFinding(CANNOT_BE_ASSESSED, "unreported")
    own = _Edges(claim, rules.participants, rules.improbable, 0.0)
    finding, rule = _compare(x, size, known, own, rules)
    edges = tuple(
        name
        for name, moved in _moved(own, rules.edge)
        if any(_compare(x, size, known, edge, rules)[0] != finding for edge in moved)
    )
    return RateFinding(MIRRORED.get(finding, finding) if better == "lower" else finding, rule, edges)


def probabilities_of(
    events: Sequence[float], n: Sequence[float], claim: float, rules: RateRules | None = None
) -> dict[float, float]:
    """The probability that a similar centre has at least the advertised proportion, under each prior.

    By exact integration of the binomial-normal model: the mean flat on the logit, tau half-normal
    (:func:`cellclaims.meta.bayes_binomial`).

    Parameters
    ----------
    events, n : sequence of float
        As for :func:`rate_finding`.
    claim : float
        The advertised proportion.
    rules : RateRules, optional

    Returns
    -------
    dict
        Scale of the prior -> probability. Empty for fewer than ``rules.fewest`` studies; where no participant or every
        one had the outcome, as a flat mean has no posterior then; and for a claim of none or of all, which has no
        logit.
    """
    rules = rules or RateRules()
    total, everyone = float(np.sum(events)), float(np.sum(n))
    if len(n) < rules.fewest or not 0 < total < everyone or not 0 < claim < 1:
        return {}
    fits = {scale: meta.bayes_binomial(events, n, meta.Prior(scale), level=rules.level) for scale in rules.priors}
    return {scale: float(fit.p_new_setting_reaches(claim)) for scale, fit in fits.items()}


class _Side(NamedTuple):
    """The studies as the rule of one direction sees them; turned round for the other direction."""

    x: np.ndarray
    n: np.ndarray
    low: np.ndarray
    high: np.ndarray
    known: Mapping[float, float]
    edge: _Edges
    touching: bool

    def turned(self) -> _Side:
        """Those without the outcome in place of those with it, so that one rule serves both directions."""
        edge = self.edge._replace(claim=1.0 - self.edge.claim)
        known = {scale: 1.0 - p for scale, p in self.known.items()}
        return _Side(self.n - self.x, self.n, 1.0 - self.high, 1.0 - self.low, known, edge, True)

    def beyond(self, values: np.ndarray) -> np.ndarray:
        """Which values the claim lies beyond; turned round, a value at the claim counts, too."""
        return values <= self.edge.claim if self.touching else values < self.edge.claim

    @property
    def large(self) -> np.ndarray:
        """Which studies are large enough to decide."""
        return self.n >= self.edge.participants

    def includes(self, other: int, first: int) -> bool:
        """Whether the interval of one study includes the estimate of the other."""
        share = self.x[first] / self.n[first]
        share += self.edge.estimate * min(share, 1.0 - share)
        return bool(self.low[other] <= share <= self.high[other])


def _compare(
    x: np.ndarray, n: np.ndarray, known: Mapping[float, float], edge: _Edges, rules: RateRules
) -> tuple[str, str]:
    """The first rule that holds, for a claim that more is better, and which part of it."""
    low, high = clopper_pearson(x, n, rules.level)
    up = _Side(x, n, low, high, known, edge, False)
    down = up.turned()
    if n.size < rules.fewest and not up.large.any():
        return TOO_FEW, "few"
    if _disagree(up) or _disagree(down):
        return DISAGREE, "disagree"
    for finding, side in ((ABOVE, up), (BELOW, down)):
        if part := _outside(side, rules):
            return finding, part
    return NOT_EXCLUDED, "otherwise"


def _pairs(side: _Side) -> list[tuple[int, int]]:
    """Of two studies: one large study whose limit excludes the claim, and the other; none for another number."""
    decides = side.large & side.beyond(side.high)
    return [(first, 1 - first) for first in (0, 1) if decides[first]] if side.n.size == 2 else []


def _disagree(side: _Side) -> bool:
    """Of two studies a large one excludes the claim; the other reaches it and excludes the first one's estimate."""
    reaches = ~side.beyond(side.high)
    return any(reaches[other] and not side.includes(other, first) for first, other in _pairs(side))


def _outside(side: _Side, rules: RateRules) -> str:
    """Which part of the rule puts the claim beyond the results; empty if none does."""
    if side.beyond(side.high).all() and side.large.any():
        return "all_limits"
    lower = side.beyond(side.x / side.n)
    if any(lower[other] and side.includes(other, first) for first, other in _pairs(side)):
        return "one_study"
    if side.n.size < rules.fewest:
        return ""
    if side.known:
        return "probability" if all(p < side.edge.improbable for p in side.known.values()) else ""
    total, everyone = side.x.sum(), side.n.sum()
    limit = clopper_pearson(total, everyone, rules.level)[1]
    is_enough = total == 0 and everyone >= side.edge.participants
    return "sum" if is_enough and side.beyond(limit) else ""


def _moved(own: _Edges, by: float) -> Iterable[tuple[str, list[_Edges]]]:
    """Each edge a tenth to both sides, measured from the nearer of 0 and 1."""
    reach = {
        "claim": by * min(own.claim, 1.0 - own.claim),
        "participants": by * own.participants,
        "improbable": by * own.improbable,
    }
    for name, step in reach.items():
        yield name, [own._replace(**{name: getattr(own, name) + sign * step}) for sign in (-1, 1)]
    yield "estimate", [own._replace(estimate=sign * by) for sign in (-1, 1)]


# Effects and mechanisms.

#: Directions of a point estimate. ``none``: no difference, or none reported; ``not_stated``: it could not be read.
TOWARDS, AWAY, NEITHER, UNREAD = "cells", "control", "none", "not_stated"
#: Kinds of evidence, the best first.
KINDS = ("randomised", "controlled", "uncontrolled", "laboratory")


@dataclass(frozen=True)
class StudyResult:
    """One result on an effect: of a trial, of a meta-analysis, or of a laboratory study.

    Attributes
    ----------
    reference : str
        Which study or meta-analysis.
    kind : str
        One of :data:`KINDS`; a meta-analysis is *randomised* if it is restricted to randomised trials.
    direction : str
        Of the point estimate: :data:`TOWARDS`, :data:`AWAY`, :data:`NEITHER` or :data:`UNREAD`.
    excludes : bool or None
        Whether the interval of the comparison between the arms, or else its P value, excludes no effect; None where
        neither is known.
    n : float
        Participants; NaN where not known.
    year : float
        NaN where not known.
    is_pooled : bool
        Whether it is a meta-analysis.
    is_elsewhere : bool
        Whether it is of another disease or of another product.
    is_outside : bool
        Whether a trial is known to be in none of the meta-analyses.
    is_near : bool
        Whether its P value is within a tenth of 0.05, so that ``excludes`` is a close call.
    """

    reference: str
    kind: str
    direction: str
    excludes: bool | None = None
    n: float = math.nan
    year: float = math.nan
    is_pooled: bool = False
    is_elsewhere: bool = False
    is_outside: bool = False
    is_near: bool = False

    @property
    def is_controlled(self) -> bool:
        """Whether it compares people who got cells with people who did not."""
        return self.kind in KINDS[:2]

    @property
    def is_read(self) -> bool:
        """Whether its direction could be read."""
        return self.direction != UNREAD


@dataclass(frozen=True)
class EffectFinding:
    """A finding on an effect or a mechanism and the results that it rests on.

    Attributes
    ----------
    finding : str
        One of :data:`EFFECT_FINDINGS`.
    counted : tuple of str
        References of the results that count, the best kind first; several meta-analyses of randomised trials are one
        result, shown by the newest.
    under : tuple of str
        Randomised trials that a counted meta-analysis may hold: listed under it, and not counted again.
    together : tuple of str
        The meta-analyses that count as one result; empty for fewer than two.
    design : str
        For a finding on one study: its kind.
    edges : tuple of str
        ``participants`` where a study with a tenth more participants would give another finding, ``p_value`` where a P
        value within a tenth of 0.05 decides.
    """

    finding: str
    counted: tuple[str, ...] = ()
    under: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    design: str = ""
    edges: tuple[str, ...] = ()


def effect_finding(results: Sequence[StudyResult]) -> EffectFinding:
    """Say what the studies of an effect allow to be said, without counting votes.

    Parameters
    ----------
    results : sequence of StudyResult
        One result per study.

    Returns
    -------
    EffectFinding

    Examples
    --------
    >>> trial = StudyResult("a", "randomised", "cells", excludes=True, n=91)
    >>> effect_finding([trial]).finding
    'one controlled study favours it'
    >>> effect_finding([trial, StudyResult("b", "controlled", "cells", n=20)]).finding
    'controlled studies favour it'
    """
    own = _effect(results)
    edges = {
        "participants": [(one, replace(one, n=1.1 * one.n)) for one in results],
        "p_value": [(one, replace(one, excludes=not one.excludes)) for one in results if one.is_near],
    }
    near = tuple(
        name
        for name, changes in edges.items()
        if any(_effect([new if r is old else r for r in results]).finding != own.finding for old, new in changes)
    )
    return replace(own, edges=near)


def _effect(results: Sequence[StudyResult]) -> EffectFinding:
    close = [r for r in results if not r.is_elsewhere and r.kind != "laboratory"]
    read = [r for r in close if r.is_controlled and r.is_read]
    pooled = sorted((r for r in read if r.is_pooled and r.kind == "randomised"), key=_newest_first)
    trials = [r for r in read if not r.is_pooled]
    under = [r for r in trials if pooled and r.kind == "randomised" and not r.is_outside]
    counted = [*pooled[:1], *(r for r in trials if r not in under)]
    names = {"together": _names(pooled) if len(pooled) > 1 else (), "under": _names(under)}
    if counted:
        group = [_as_one(pooled)] if pooled else []
        single = [r for r in counted if not r.is_pooled]
        best = _names(sorted([*pooled[:1], *single], key=lambda r: KINDS.index(r.kind)))
        finding = _of_controlled([*group, *single], 2 * len(group) + len(single), _largest_trial(trials))
        design = counted[0].kind if len(counted) == 1 and not pooled else ""
        return EffectFinding(finding, best, design=design, **names)
    if others := [r for r in read if r.is_pooled]:
        return EffectFinding(INCONCLUSIVE, _names(others))
    for finding, found in (
        (NOT_READ, [r for r in close if r.is_controlled]),
        (UNCONTROLLED, close),
        (ELSEWHERE, [r for r in results if r.kind != "laboratory"]),
        (LABORATORY, results),
    ):
        if found:
            return EffectFinding(finding, _names(found))
    return EffectFinding(NONE_FOUND)


def _names(results: Iterable[StudyResult]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(r.reference for r in results))


def _newest_first(result: StudyResult) -> tuple[float, str]:
    return (math.inf if math.isnan(result.year) else -result.year, result.reference)


def _as_one(pooled: Sequence[StudyResult]) -> StudyResult:
    """Meta-analyses that may hold the same trials as one result: the newest, as far as all of them agree."""
    directions = {r.direction for r in pooled}
    is_clear = len(directions) == 1 and all(r.excludes for r in pooled)
    direction = pooled[0].direction if len(directions) == 1 else NEITHER
    return replace(pooled[0], direction=direction, excludes=is_clear)


def _largest(results: Sequence[StudyResult]) -> StudyResult | None:
    known = [r for r in results if not math.isnan(r.n)]
    return max(known, key=lambda r: r.n) if known else None


def _largest_trial(trials: Sequence[StudyResult]) -> StudyResult | None:
    return _largest([r for r in trials if r.kind == "randomised"])


def _of_controlled(results: Sequence[StudyResult], count: int, trial: StudyResult | None) -> str:
    """The finding on controlled results; ``count`` of them, a group of meta-analyses for two."""
    largest = _largest(results) or results[0]
    if count == 1:
        words = {TOWARDS: ONE_FAVOURS, AWAY: ONE_AGAINST}
        return words.get(largest.direction, ONE_INCONCLUSIVE) if largest.excludes else ONE_INCONCLUSIVE
    is_silent = trial is not None and trial.direction == NEITHER
    is_clear = bool(largest.excludes) and any(r.kind == "randomised" for r in results) and not is_silent
    for direction, finding in ((TOWARDS, FAVOUR), (AWAY, AGAINST)):
        if is_clear and all(r.direction == direction for r in results):
            return finding
    return INCONCLUSIVE


def pool_finding(ci_lb: float, ci_ub: float, *, better: str) -> str:
    """The finding on an effect that a pool of three or more randomised trials answers: its interval decides.

    Parameters
    ----------
    ci_lb, ci_ub : float
        Limits of the mean difference, cells minus control.
    better : {"higher", "lower"}

    Returns
    -------
    str
        One of :data:`EFFECT_FINDINGS`.
    """
    if not (ci_lb > 0 or ci_ub < 0):
        return INCONCLUSIVE
    return FAVOUR if (ci_ub < 0) == (better == "lower") else AGAINST


def mechanism_finding(
    tested: Sequence[StudyResult], outcomes: Sequence[StudyResult]
) -> tuple[EffectFinding, EffectFinding | None]:
    """The finding on a mechanism, and the one on the outcome that it is said to have.

    Parameters
    ----------
    tested : sequence of StudyResult
        Results that test how the treatment works.
    outcomes : sequence of StudyResult
        The other results of the topic.

    Returns
    -------
    tuple of (EffectFinding, EffectFinding or None)
        *outcome only* where nothing tests the mechanism and there are clinical outcomes; the second finding is that
        for the outcome, None without any result on it.
    """
    outcome = effect_finding(outcomes) if outcomes else None
    if tested:
        return effect_finding(tested), outcome
    is_clinical = any(r.kind != "laboratory" for r in outcomes)
    return (EffectFinding(OUTCOME_ONLY) if is_clinical else effect_finding(())), outcome


# Records.


def record_finding(section: Mapping[str, Any] | None, claim_id: str) -> tuple[str, str]:
    """The finding on a statement about a record, and the day on which the record was read.

    Parameters
    ----------
    section : mapping or None
        The records that were read, by claim: ``findings.records`` of the protocol.
    claim_id : str

    Returns
    -------
    tuple of (str, str)
        *could not be checked* without a day where no record was read.

    Raises
    ------
    ProtocolError
        For a finding that is none.
    """
    read = (section or {}).get(claim_id)
    if read is None:
        return NOT_CHECKED, ""
    if read["finding"] not in RECORD_FINDINGS[:2]:
        raise ProtocolError(f"findings.records.{claim_id}: expected {AGREES} or {DISAGREES}, found {read['finding']!r}")
    return str(read["finding"]), str(read["read_on"])
