"""The rules of what may be said of a claim, each at its boundary and in both directions, on made-up evidence, too."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cellclaims.claims import findings as f
from cellclaims.claims.findings import (
    EffectFinding,
    RateRules,
    StudyResult,
    effect_finding,
    mechanism_finding,
    pool_finding,
    probabilities_of,
    rate_finding,
)

from .made_up_trials import rules

RULES = RateRules()
#: Five cohorts of type 2 diabetes that count who stopped insulin at any time: the plan's own example.
FIVE = ([18, 4, 3, 3, 3], [56, 15, 10, 6, 24])


def found(counts, claim, **more):
    """The finding on counts of (events, n) against a claimed percentage, with the probabilities that it needs."""
    x, n = zip(*counts, strict=True)
    return rate_finding(x, n, claim / 100, probabilities_of(x, n, claim / 100), **more)


# The numbers of the rules are those of the protocol.


def test_the_rules_are_those_of_the_protocol():
    section = rules()["findings"]
    assert RateRules.of(section["rates"]) == RULES
    assert tuple(step["finding"] for step in section["rates"]["order"]) == f.RATE_FINDINGS
    assert tuple(step["finding"] for step in section["effects"]["order"]) == f.EFFECT_FINDINGS
    assert tuple(section["record_findings"]) == f.RECORD_FINDINGS


# Rates: what the plan asks for.

MADE_UP = [
    ("zang2022 with 1 of 6", [(9, 45), (1, 6)], 60, f.ABOVE),
    ("zang2022 with 6 of 11", [(9, 45), (6, 11)], 60, f.DISAGREE),
    ("zang2022 with 8 of 11", [(9, 45), (8, 11)], 60, f.DISAGREE),
    ("zang2022 with bhansali2014", [(9, 45), (9, 11)], 60, f.DISAGREE),
    ("none of 10 alone", [(0, 10)], 60, f.TOO_FEW),
    ("none of 20 alone", [(0, 20)], 60, f.ABOVE),
    ("all of 20 alone", [(20, 20)], 60, f.BELOW),
    ("2, 9 and 16 of 45", [(2, 45), (9, 45), (16, 45)], 60, f.ABOVE),
    ("five times 140 of 500, and 5 of 20", [(140, 500)] * 5 + [(5, 20)], 45, f.ABOVE),
    ("five times 45 of 50", [(45, 50)] * 5, 60, f.BELOW),
    ("five times 7 of 25", [(7, 25)] * 5, 45, f.ABOVE),
    ("five cohorts against 30", list(zip(*FIVE, strict=True)), 30, f.NOT_EXCLUDED),
    ("five cohorts against 60", list(zip(*FIVE, strict=True)), 60, f.ABOVE),
    ("five cohorts, one event more", [(19, 56), (4, 15), (3, 10), (3, 6), (3, 24)], 60, f.NOT_EXCLUDED),
]


@pytest.mark.parametrize(("counts", "claim", "wanted"), [c[1:] for c in MADE_UP], ids=[c[0] for c in MADE_UP])
def test_the_made_up_cases_of_the_plan_come_out(counts, claim, wanted):
    assert found(counts, claim).finding == wanted


@pytest.mark.parametrize(
    ("counts", "claim", "wanted"),
    [
        (FIVE, 0.30, (0.37, 0.39, 0.39)),
        (FIVE, 0.60, (0.011, 0.031, 0.048)),
        (([7] * 5, [25] * 5), 0.45, (0.020, 0.030, 0.036)),
    ],
)
def test_the_probabilities_of_the_plan_come_out(counts, claim, wanted):
    for p, value in zip(probabilities_of(*counts, claim).values(), wanted, strict=True):
        assert p == pytest.approx(value, abs=0.5 * 10 ** -len(f"{value:g}".split(".")[1]) + 5e-4)


def test_an_entry_near_an_edge_says_which():
    assert found(list(zip(*FIVE, strict=True)), 60).edges == ("improbable",)
    assert found([(7, 25)] * 5, 45).edges == ()
    assert found([(9, 45), (9, 11)], 60).edges == ()
    assert "participants" in found([(0, 20)], 60).edges


# Each boundary with one event, or one participant, more and less. The middle one is the first of its finding.

BOUNDARIES = [
    ("participants", [[(0, 19)], [(0, 20)], [(0, 21)]], 60, [f.TOO_FEW, f.ABOVE, f.ABOVE]),
    ("upper limit, one study", [[(18, 45)], [(19, 45)], [(20, 45)]], 60, [f.ABOVE, f.ABOVE, f.NOT_EXCLUDED]),
    ("lower limit, one study", [[(33, 45)], [(34, 45)], [(35, 45)]], 60, [f.NOT_EXCLUDED, f.BELOW, f.BELOW]),
    (
        "the other study excludes the first one's estimate",
        [[(9, 45), (5, 11)], [(9, 45), (6, 11)], [(9, 45), (7, 11)]],
        60,
        [f.ABOVE, f.DISAGREE, f.DISAGREE],
    ),
    (
        "the other study's estimate reaches the claim",
        [[(9, 45), (2, 5)], [(9, 45), (3, 5)], [(9, 45), (4, 5)]],
        60,
        [f.ABOVE, f.NOT_EXCLUDED, f.DISAGREE],
    ),
    (
        "the mirror: the other study excludes the first one's estimate",
        [[(42, 45), (8, 11)], [(42, 45), (7, 11)], [(42, 45), (6, 11)]],
        60,
        [f.BELOW, f.DISAGREE, f.DISAGREE],
    ),
    (
        "probability below 5%",
        [[(17, 56), *zip(FIVE[0][1:], FIVE[1][1:], strict=True)], list(zip(*FIVE, strict=True)),
         [(19, 56), *zip(FIVE[0][1:], FIVE[1][1:], strict=True)]],
        60,
        [f.ABOVE, f.ABOVE, f.NOT_EXCLUDED],
    ),
    (
        "no event at all: the sum decides, from 20 participants",
        [[(0, 6), (0, 6), (0, 7)], [(0, 6), (0, 7), (0, 7)], [(0, 7), (0, 7), (0, 7)]],
        30,
        [f.NOT_EXCLUDED, f.ABOVE, f.ABOVE],
    ),
    (
        "every participant: the sum decides, from 20 participants",
        [[(6, 6), (6, 6), (7, 7)], [(6, 6), (7, 7), (7, 7)], [(7, 7), (7, 7), (7, 7)]],
        70,
        [f.NOT_EXCLUDED, f.BELOW, f.BELOW],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "claim", "wanted"), [b[1:] for b in BOUNDARIES], ids=[b[0] for b in BOUNDARIES])
def test_each_boundary_with_one_more_and_one_less(steps, claim, wanted):
    assert [found(counts, claim).finding for counts in steps] == wanted


@pytest.mark.parametrize(("steps", "claim", "wanted"), [b[1:] for b in BOUNDARIES], ids=[b[0] for b in BOUNDARIES])
def test_where_less_is_better_every_boundary_is_mirrored(steps, claim, wanted):
    """The same people counted by what they did not have, against a claim that less of it is better."""
    turned = [[(n - x, n) for x, n in counts] for counts in steps]
    mirror = {f.ABOVE: f.BELOW, f.BELOW: f.ABOVE}
    assert [found(c, 100 - claim, better="lower").finding for c in turned] == [mirror.get(w, w) for w in wanted]


def test_what_is_not_defined_or_not_reported_cannot_be_assessed():
    assert found([(0, 20)], 60, is_defined=False).finding == f.CANNOT_BE_ASSESSED
    assert rate_finding([], [], 0.3).finding == f.CANNOT_BE_ASSESSED
    assert rate_finding([], [], 0.3).rule == "unreported"


def test_one_prior_is_not_enough_for_a_probability():
    x, n = FIVE
    assert rate_finding(x, n, 0.6, {0.5: 0.01, 1.0: 0.03, 2.0: 0.051}).finding == f.NOT_EXCLUDED
    assert rate_finding(x, n, 0.6, {0.5: 0.01, 1.0: 0.03, 2.0: 0.049}).finding == f.ABOVE
    assert rate_finding(x, n, 0.1, {0.5: 0.99, 1.0: 0.97, 2.0: 0.951}).finding == f.BELOW
    assert rate_finding(x, n, 0.1, {0.5: 0.99, 1.0: 0.97, 2.0: 0.949}).finding == f.NOT_EXCLUDED


# Made-up evidence against a second reading of the rules, by SciPy.


def by_scipy(counts, claim, known):
    """The table of the plan, read line by line, with SciPy's exact limits; for a claim that more is better."""
    low, high = zip(*[tuple(stats.binomtest(x, n).proportion_ci(0.95, method="exact")) for x, n in counts], strict=True)
    estimate, large = [x / n for x, n in counts], [n >= 20 for _, n in counts]
    if len(counts) < 3 and not any(large):
        return f.TOO_FEW
    pairs = [(0, 1), (1, 0)] if len(counts) == 2 else []
    for a, b in pairs:
        leaves_out = not low[b] <= estimate[a] <= high[b]
        if large[a] and high[a] < claim <= high[b] and leaves_out:
            return f.DISAGREE
        if large[a] and low[a] >= claim > low[b] and leaves_out:
            return f.DISAGREE
    above = all(h < claim for h in high) and any(large)
    above = above or any(
        large[a] and high[a] < claim and estimate[b] < claim and low[b] <= estimate[a] <= high[b] for a, b in pairs
    )
    if above or (len(counts) >= 3 and known and max(known.values()) < 0.05):
        return f.ABOVE
    below = all(bound >= claim for bound in low) and any(large)
    below = below or any(
        large[a] and low[a] >= claim and estimate[b] >= claim and low[b] <= estimate[a] <= high[b] for a, b in pairs
    )
    if below or (len(counts) >= 3 and known and min(known.values()) > 0.95):
        return f.BELOW
    if len(counts) >= 3 and not known:
        x, n = (sum(part) for part in zip(*counts, strict=True))
        limits = stats.binomtest(x, n).proportion_ci(0.95, method="exact")
        if n >= 20 and (limits.high < claim or limits.low >= claim):
            return f.ABOVE if limits.high < claim else f.BELOW
    return f.NOT_EXCLUDED


study = st.integers(5, 80).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
claims = st.integers(1, 99)


def known_of(counts, draw):
    """Made-up probabilities under three priors where there is a posterior; the rules take them as they come."""
    x, n = (sum(part) for part in zip(*counts, strict=True))
    if len(counts) < 3 or not 0 < x < n:
        return {}
    return dict(zip(RULES.priors, draw, strict=True))


chances = st.tuples(*[st.sampled_from([0.0, 0.01, 0.049, 0.05, 0.051, 0.3, 0.949, 0.95, 0.951, 1.0])] * 3)


@settings(max_examples=400)
@given(st.lists(study, min_size=1, max_size=5), claims, chances)
def test_made_up_evidence_gives_what_the_table_says(counts, claim, draw):
    known = known_of(counts, draw)
    x, n = zip(*counts, strict=True)
    assert rate_finding(x, n, claim / 100, known).finding == by_scipy(counts, claim / 100, known)


@settings(max_examples=200)
@given(st.lists(study, min_size=1, max_size=5), claims, chances)
def test_less_is_better_is_the_mirror_of_more_is_better(counts, claim, draw):
    known = known_of(counts, draw)
    x, n = zip(*counts, strict=True)
    up = rate_finding(x, n, claim / 100, known)
    turned = {scale: 1 - p for scale, p in known.items()}
    down = rate_finding([b - a for a, b in counts], n, 1 - claim / 100, turned, better="lower")
    assert down.finding == {f.ABOVE: f.BELOW, f.BELOW: f.ABOVE}.get(up.finding, up.finding)
    assert down.edges == up.edges


@settings(max_examples=200)
@given(st.lists(study, min_size=1, max_size=4), claims)
def test_the_order_of_the_studies_decides_nothing(counts, claim):
    known = known_of(counts, (0.01, 0.02, 0.04))
    results = set()
    for order in itertools.permutations(counts):
        x, n = zip(*order, strict=True)
        results.add(rate_finding(x, n, claim / 100, known))
    assert len(results) == 1


@settings(max_examples=200)
@given(st.lists(study, min_size=1, max_size=2), claims, st.data())
def test_more_events_never_turn_below_into_above(counts, claim, data):
    """A better result of a study never makes the comparison less favourable to the claim."""
    which = data.draw(st.integers(0, len(counts) - 1))
    x, n = counts[which]
    if x == n:
        return
    better = [(x + 1, n) if i == which else c for i, c in enumerate(counts)]
    before, after = found(counts, claim).finding, found(better, claim).finding
    assert not (before == f.BELOW and after == f.ABOVE)
    if before == f.NOT_EXCLUDED:
        assert after != f.ABOVE
    if before == f.BELOW:
        assert after in (f.BELOW, f.DISAGREE)


# Effects and mechanisms.

TRIAL = StudyResult("trial", "randomised", "cells", excludes=True, n=90, year=2020)
OTHER = StudyResult("other", "controlled", "cells", excludes=None, n=30, year=2019)
META = StudyResult("meta", "randomised", "cells", excludes=True, n=500, year=2024, is_pooled=True)
OLDER = replace(META, reference="older", year=2020, n=700)
#: Against is the mirror of for.
TURN = {"cells": "control", "control": "cells"}
MIRROR = {f.FAVOUR: f.AGAINST, f.AGAINST: f.FAVOUR, f.ONE_FAVOURS: f.ONE_AGAINST, f.ONE_AGAINST: f.ONE_FAVOURS}

EFFECTS = [
    ("nothing", [], f.NONE_FOUND),
    ("one randomised trial that excludes no effect", [TRIAL], f.ONE_FAVOURS),
    ("one that includes no effect", [replace(TRIAL, excludes=False)], f.ONE_INCONCLUSIVE),
    ("one of unknown precision", [replace(TRIAL, excludes=None)], f.ONE_INCONCLUSIVE),
    ("one that reports no difference", [replace(TRIAL, direction="none", excludes=None)], f.ONE_INCONCLUSIVE),
    ("two in favour, the larger excludes no effect", [TRIAL, OTHER], f.FAVOUR),
    ("two in favour, the larger does not", [replace(TRIAL, n=20), OTHER], f.INCONCLUSIVE),
    ("two in favour, none randomised", [replace(TRIAL, kind="controlled"), OTHER], f.INCONCLUSIVE),
    ("two that differ in direction", [TRIAL, replace(OTHER, direction="control")], f.INCONCLUSIVE),
    ("two, the largest randomised trial saw no difference", [TRIAL, replace(TRIAL, reference="b", n=91,
     direction="none", excludes=None)], f.INCONCLUSIVE),
    ("a meta-analysis of randomised trials counts as two", [META], f.FAVOUR),
    ("one that includes no effect", [replace(META, excludes=False)], f.INCONCLUSIVE),
    ("two meta-analyses that agree", [META, OLDER], f.FAVOUR),
    ("two, one of which includes no effect", [META, replace(OLDER, excludes=False)], f.INCONCLUSIVE),
    ("two that differ in direction", [META, replace(OLDER, direction="control")], f.INCONCLUSIVE),
    ("a trial that a meta-analysis may hold is not counted again", [META, replace(TRIAL, direction="control")],
     f.FAVOUR),
    ("unless it is the largest and saw no difference", [META, replace(TRIAL, direction="none", excludes=None)],
     f.INCONCLUSIVE),
    ("a trial that is known to lie outside counts", [META, replace(TRIAL, direction="control", is_outside=True)],
     f.INCONCLUSIVE),
    ("another meta-analysis is inconclusive at best", [replace(META, kind="controlled")], f.INCONCLUSIVE),
    ("and does not count where there is a trial", [replace(META, kind="controlled", direction="control"), TRIAL],
     f.ONE_FAVOURS),
    ("results not read", [replace(TRIAL, direction="not_stated")], f.NOT_READ),
    ("a result that was not read is not counted", [TRIAL, replace(OTHER, direction="not_stated")], f.ONE_FAVOURS),
    ("uncontrolled only", [replace(TRIAL, kind="uncontrolled")], f.UNCONTROLLED),
    ("uncontrolled and not read", [replace(TRIAL, kind="uncontrolled", direction="not_stated")], f.UNCONTROLLED),
    ("another disease or product only", [replace(TRIAL, is_elsewhere=True), replace(TRIAL, kind="laboratory")],
     f.ELSEWHERE),
    ("an uncontrolled study goes before another disease", [replace(TRIAL, is_elsewhere=True),
     replace(OTHER, kind="uncontrolled")], f.UNCONTROLLED),
    ("laboratory only", [replace(TRIAL, kind="laboratory")], f.LABORATORY),
]  # fmt: skip


@pytest.mark.parametrize(("results", "wanted"), [e[1:] for e in EFFECTS], ids=[e[0] for e in EFFECTS])
def test_each_finding_on_an_effect(results, wanted):
    assert effect_finding(results).finding == wanted


@pytest.mark.parametrize(("results", "wanted"), [e[1:] for e in EFFECTS], ids=[e[0] for e in EFFECTS])
def test_against_is_the_mirror_of_for(results, wanted):
    turned = [replace(r, direction=TURN.get(r.direction, r.direction)) for r in results]
    assert effect_finding(turned).finding == MIRROR.get(wanted, wanted)


def test_what_counts_is_named_the_best_kind_first():
    outside = replace(TRIAL, is_outside=True)
    made = effect_finding([OTHER, outside, META, replace(TRIAL, reference="inside")])
    assert made == EffectFinding(f.FAVOUR, counted=("meta", "trial", "other"), under=("inside",))
    both = effect_finding([OLDER, META, TRIAL])
    assert both.counted == ("meta",)
    assert both.together == ("meta", "older")
    assert both.under == ("trial",)


def test_the_design_of_a_single_study_is_named():
    assert effect_finding([TRIAL]).design == "randomised"
    assert effect_finding([replace(OTHER, excludes=True)]).design == "controlled"


def test_a_tenth_more_participants_and_a_close_p_value_are_said():
    near = [replace(TRIAL, n=90), replace(OTHER, n=95, excludes=None)]
    assert effect_finding(near).finding == f.INCONCLUSIVE
    assert effect_finding(near).edges == ("participants",)
    assert effect_finding([replace(TRIAL, is_near=True)]).edges == ("p_value",)
    assert effect_finding([TRIAL, OTHER]).edges == ()


results = st.builds(
    StudyResult,
    st.sampled_from("abcdefgh"),
    st.sampled_from(f.KINDS),
    st.sampled_from(["cells", "control", "none", "not_stated"]),
    st.sampled_from([True, False, None]),
    st.sampled_from([5.0, 20.0, 21.0, 90.0, math.nan]),
    st.sampled_from([2015.0, 2024.0, math.nan]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
evidence = st.lists(results, max_size=6, unique_by=lambda r: r.reference)


@settings(max_examples=400)
@given(evidence)
def test_made_up_results_reach_every_finding_in_both_directions(some):
    made = effect_finding(some)
    assert made.finding in f.EFFECT_FINDINGS
    turned = effect_finding([replace(r, direction=TURN.get(r.direction, r.direction)) for r in some])
    assert turned.finding == MIRROR.get(made.finding, made.finding)
    assert effect_finding(list(reversed(some))).finding == made.finding
    known = {r.reference: r for r in some}
    if made.finding in (f.FAVOUR, f.AGAINST, f.ONE_FAVOURS, f.ONE_AGAINST):
        wanted = "cells" if made.finding in (f.FAVOUR, f.ONE_FAVOURS) else "control"
        assert {known[name].direction for name in made.counted} == {wanted}
        assert any(known[name].excludes for name in made.counted)
        assert not any(known[name].is_elsewhere or known[name].kind == "laboratory" for name in made.counted)


@given(st.lists(evidence, max_size=1))
def test_a_vote_decides_nothing(lists):
    """However many small studies point one way, one more of them turns nothing round."""
    some = lists[0] if lists else []
    small = [replace(OTHER, reference=f"z{i}", n=1.0, excludes=None) for i in range(5)]
    before = effect_finding([*some, *small[:2]]).finding
    assert effect_finding([*some, *small]).finding == before


def test_a_mechanism_is_answered_by_what_tests_it_and_followed_by_its_outcome():
    inconclusive = [replace(TRIAL, excludes=None)]
    assert mechanism_finding(inconclusive, [TRIAL])[0].finding == f.ONE_INCONCLUSIVE
    assert mechanism_finding(inconclusive, [TRIAL])[1].finding == f.ONE_FAVOURS
    only, outcome = mechanism_finding([], [TRIAL])
    assert (only.finding, outcome.finding) == (f.OUTCOME_ONLY, f.ONE_FAVOURS)
    assert mechanism_finding([], [])[0].finding == f.NONE_FOUND
    assert mechanism_finding([], [])[1] is None
    assert mechanism_finding([replace(TRIAL, kind="laboratory")], [])[0].finding == f.LABORATORY


@pytest.mark.parametrize(
    ("low", "high", "better", "wanted"),
    [
        (-1.17, 0.22, "lower", f.INCONCLUSIVE),
        (-1.0, -0.01, "lower", f.FAVOUR),
        (-1.0, 0.0, "lower", f.INCONCLUSIVE),
        (0.01, 1.0, "lower", f.AGAINST),
        (0.01, 1.0, "higher", f.FAVOUR),
        (-1.0, -0.01, "higher", f.AGAINST),
        (math.nan, math.nan, "lower", f.INCONCLUSIVE),
    ],
)
def test_the_interval_of_a_pool_decides(low, high, better, wanted):
    assert pool_finding(low, high, better=better) == wanted


def test_a_record_that_was_not_read_could_not_be_checked():
    assert f.record_finding(None, "registered_t2d") == (f.NOT_CHECKED, "")
    read = {"registered_t2d": {"finding": "agrees", "read_on": "2026-11-29"}}
    assert f.record_finding(read, "registered_t2d") == (f.AGREES, "2026-11-29")
    with pytest.raises(f.ProtocolError, match="registered_t2d: expected agrees or disagrees, found 'maybe'"):
        f.record_finding({"registered_t2d": {"finding": "maybe", "read_on": ""}}, "registered_t2d")
