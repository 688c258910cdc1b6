"""Specification curves: every combination is what asking for it alone would give, and what differs is counted once."""

from __future__ import annotations

import functools
import itertools
import time
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellclaims import claims, meta, reporting, specifications
from cellclaims.claims import counterparts, findings
from cellclaims.claims.arithmetic import probabilities_of_sets
from cellclaims.claims.counterparts import measure_of, own_trials
from cellclaims.claims.ledger import question_of_entry
from cellclaims.claims.stability import rate_findings, sets_of, with_stability
from cellclaims.errors import DataError, PoolingError, ProtocolError
from cellclaims.evidence.cohorts import cohorts_of
from cellclaims.figures import choices_that_matter
from cellclaims.pool import pooled
from cellclaims.protocol import Protocol
from cellclaims.question import Analysis
from cellclaims.reporting.specifications import influence_sentence, influence_table, share_words, specification_alt
from cellclaims.selection import EvidenceBase, Question, one_a_cohort, select_counts, sharing
from cellclaims.specifications.curve import influence_of
from cellclaims.specifications.fits import NUMBERS, from_double_arcsine

from .made_up_trials import MadeUp, base, known_ledger, real, rules
from .test_figures_layout import boxes, covered, cut_off

#: The same model fitted in another batch: only the order of sums differs.
SAME = 1e-9
#: Two climbs to the same top of a likelihood.
SAME_TOP = 1e-6

#: A measured outcome, and a counted one that an advertisement may claim.
CLAIMS = ["hba1c", "off_insulin"]


def question_called(name):
    """The review's own question about HbA1c; who stopped insulin at any time, type 2."""
    if name == "hba1c":
        return question_of_entry(base(), next(e for e in known_ledger() if e.entry_id == "effect.hba1c"))
    return counterparts.asked(base(), rules()["answers"]["insulin_independence"], ("T2D",))


@functools.cache
def curve_called(name):
    if name == "hba1c":
        return claims.curve_of(base(), question_called(name))
    fitted = specifications.fitted(base(), question_called(name), "rate")
    return fitted.judged(lambda lines, rows: ["few" if k < 3 else "enough" for k in lines.k])


def real_curves():
    return {name: curve_called(name) for name in CLAIMS}


@pytest.fixture(params=CLAIMS)
def claim_id(request):
    return request.param


# --- the engine: row sets and analyses ----------------------------------------------------------------------------

RNG = np.random.default_rng(7)
EFFECTS = {"yi": RNG.normal(-0.6, 0.4, 8), "vi": RNG.uniform(0.02, 0.2, 8)}
COUNTS = {"n": np.array([10.0, 15, 56, 6, 24, 31, 9, 40]), "events": np.array([3.0, 4, 18, 3, 3, 0, 9, 11])}
KEEP = np.array([s for s in itertools.product([False, True], repeat=8) if sum(s) in (0, 1, 2, 5, 8)])
NORMAL = [Analysis(model="normal", method=m, test=t) for m in ("REML", "PM", "DL") for t in ("adhoc", "knha", "z")]
OF_COUNTS = [
    Analysis(model="binomial_normal", test="t"),
    Analysis(model="binomial_normal", test="z"),
    Analysis(model="beta_binomial"),
    *(Analysis(m, "normal", "REML", "adhoc") for m in ("PLO", "PAS", "PFT")),
]


def numbers(curve, row_set, analysis):
    return curve.lines.loc[curve.line_of[row_set, analysis], list(NUMBERS)].to_numpy(float)


@pytest.mark.parametrize("a", range(len(NORMAL)), ids=lambda a: f"{NORMAL[a].method} {NORMAL[a].test}")
def test_every_fit_of_effects_is_what_it_is_alone(a):
    curve = specifications.specification_curve(EFFECTS, KEEP, NORMAL)
    for row_set in range(0, len(KEEP), 17):
        fit = meta.fit(**EFFECTS, keep=KEEP[row_set], method=NORMAL[a].method, test=NORMAL[a].test)
        alone = [getattr(fit, name) for name in NUMBERS]
        np.testing.assert_allclose(numbers(curve, row_set, a), alone, rtol=SAME, atol=1e-7)


def test_binomial_fits_are_what_they_are_alone_with_the_quantile_asked_for():
    curve = specifications.specification_curve(COUNTS, KEEP, OF_COUNTS)
    for row_set, (a, test) in itertools.product(range(1, len(KEEP), 23), enumerate(("t", "z"))):
        fit = meta.glmm(COUNTS["events"], COUNTS["n"], keep=KEEP[row_set], test=test)
        logits = np.array([getattr(fit, name) for name in NUMBERS[:5]], float)
        with np.errstate(over="ignore"):
            alone = 100 / (1 + np.exp(-logits))
        np.testing.assert_allclose(numbers(curve, row_set, a)[:5], alone, rtol=SAME_TOP, atol=SAME_TOP)


def test_a_posterior_is_what_it_is_alone_and_one_report_is_not_pooled():
    ways = [Analysis(model="bayes", prior=0.5), Analysis(model="normal", method="REML", test="z")]
    curve = specifications.specification_curve(EFFECTS, KEEP, ways)
    one, eight = np.flatnonzero(KEEP.sum(1) == 1)[0], np.flatnonzero(KEEP.sum(1) == 8)[0]
    assert curve.line_of[one, 0] == curve.line_of[one, 1]
    fit = meta.bayes(**EFFECTS, prior=meta.Prior(0.5))
    np.testing.assert_allclose(numbers(curve, eight, 0)[:5], [getattr(fit, n) for n in NUMBERS[:5]], rtol=SAME)


def test_fits_that_do_not_differ_are_one_line():
    curve = specifications.specification_curve(EFFECTS, np.vstack([KEEP, KEEP]), NORMAL)
    np.testing.assert_array_equal(curve.line_of[: len(KEEP)], curve.line_of[len(KEEP) :])
    single = curve.line_of[: len(KEEP)][KEEP.sum(1) == 1]
    assert (single == single[:, :1]).all()  # one report: no method and no test changes it
    rounded = curve.lines[["k", *NUMBERS]].round(6)
    assert not rounded.duplicated().any()


def test_no_report_is_one_line_whatever_is_done_with_it():
    curve = specifications.specification_curve(COUNTS, np.zeros((3, 8), bool), OF_COUNTS)
    assert len(curve.lines) == 1 and curve.lines.k[0] == 0 and np.isnan(curve.lines.beta[0])


def test_lines_stand_in_the_order_of_their_estimates():
    beta = specifications.specification_curve(EFFECTS, KEEP, NORMAL).lines.beta.dropna()
    assert beta.round(6).is_monotonic_increasing


@given(st.integers(2, 400), st.data())
def test_a_double_arcsine_comes_back_where_all_reports_have_one_size(n, data):
    x = data.draw(st.integers(0, n))
    y = meta.escalc("PFT", xi=[float(x)], ni=[float(n)]).yi
    back = from_double_arcsine(y, np.array([float(n)]))[0]
    # At the ends the root of a difference of nearly equal numbers keeps half the digits.
    assert back == pytest.approx(x / n, abs=1e-7)


def test_facts_part_lines_and_reach_the_finding():
    keep = np.array([[True] * 8, [True] * 8])
    facts = pd.DataFrame({"randomised": [True, False]})
    decide = lambda lines: ["yes" if r else "no" for r in lines.randomised]  # noqa: E731 - a rule in one line
    curve = specifications.specification_curve(EFFECTS, keep, NORMAL[:1], facts=facts, decide=decide)
    assert sorted(curve.lines.finding) == ["no", "yes"]
    assert list(curve.lines.finding[curve.line_of[:, 0]]) == ["yes", "no"]


def test_a_reproduction_is_marked_as_not_counted():
    ways = [Analysis(model="binomial_normal", test="t"), Analysis("PFT", "normal", "DL", "z", counted=False)]
    curve = specifications.specification_curve(COUNTS, KEEP[-1:], ways)
    assert list(curve.lines.counted[curve.line_of[0]]) == [True, False]


@pytest.mark.parametrize(
    ("data", "keep", "ways", "words"),
    [
        (EFFECTS, KEEP, [], "analyses: expected at least one"),
        ({"yi": EFFECTS["yi"]}, KEEP, NORMAL, "missing vi"),
        (EFFECTS, KEEP, OF_COUNTS, "missing events, n"),
        (EFFECTS, KEEP[:, :5], NORMAL, r"keep: expected shape \(s, m\)"),
        (EFFECTS, KEEP[0], NORMAL, r"keep: expected shape \(s, m\)"),
        (COUNTS, KEEP, [Analysis("RD", "mantel_haenszel")], "model: expected one of .*bayes, found 'mantel_haenszel'"),
        (EFFECTS, KEEP, [Analysis(model="bayes")], "prior: expected the scale"),
    ],
)
def test_what_cannot_be_fitted_is_refused_by_name(data, keep, ways, words):
    with pytest.raises(PoolingError, match=words):
        specifications.specification_curve(data, keep, ways)


def test_an_unknown_model_is_refused_by_name():
    with pytest.raises(PoolingError, match=r"model: expected one of binomial_normal.*found 'probit'"):
        Analysis(model="probit")


def test_tens_of_thousands_of_specifications_take_seconds():
    keep = np.random.default_rng(1).random((4000, 20)) < 0.5
    data = {"yi": np.linspace(-1, 1, 20), "vi": np.linspace(0.05, 0.5, 20)}
    start = time.process_time()
    curve = specifications.specification_curve(data, keep, NORMAL)
    assert curve.line_of.size == 36_000
    assert time.process_time() - start < 6.0  # 0.6 s on an idle core


# --- one report a cohort, for many choices at once ----------------------------------------------------------------


@settings(max_examples=60)
@given(st.lists(st.frozensets(st.sampled_from("abcdef"), max_size=3), min_size=1, max_size=7), st.data())
def test_overlapping_reports_leave_as_they_do_one_after_the_other(cohorts, data):
    keep = np.array([data.draw(st.lists(st.booleans(), min_size=len(cohorts), max_size=len(cohorts)))])
    taken, expected = set(), []
    for own, asked in zip(cohorts, keep[0], strict=True):
        stays = bool(asked) and not own & taken
        taken |= own if stays else set()
        expected.append(stays)
    assert one_a_cohort(keep, sharing(cohorts))[0].tolist() == expected


# --- the review's own choices are the review ------------------------------------------------------------------------


def test_the_first_option_of_everything_is_the_pool_that_answers_the_claim(claim_id):
    curve, question = curve_called(claim_id), question_called(claim_id)
    pool = pooled(base(), question, measure_of(question))
    own = curve.lines.loc[curve.primary]
    assert own.k == pool.k >= 3 and own.departures == 0
    for name in NUMBERS[:5]:
        expected = pool.shown(float(getattr(pool.fit, name)))
        assert own[name] == pytest.approx(expected, rel=1e-9, abs=1e-9, nan_ok=True)
    rows = curve.sets.of(curve.sets.number[(0,) * curve.sets.number.ndim])
    assert sorted(rows.study_id) == sorted(pool.rows.study_id)
    assert sorted(map(str, rows.line)) == sorted(map(str, pool.rows.line))


def test_the_finding_of_the_first_options_is_that_of_the_ledger():
    entry = next(e for e in known_ledger() if e.entry_id == "effect.hba1c")
    assert curve_called("hba1c").finding == entry.finding


def test_the_share_is_of_distinct_counted_specifications(claim_id):
    curve = curve_called(claim_id)
    share, number = curve.stability
    counted = curve.lines[curve.lines.counted]
    told = ["k", *NUMBERS, "randomised", "finding"]
    assert number == len(counted) and not counted[told].round(6).duplicated().any()
    assert share == pytest.approx((counted.finding == curve.finding).sum() / number)
    assert curve.findings.sum() == pytest.approx(1.0) and curve.findings[curve.finding] == pytest.approx(share)
    kind = "difference" if claim_id == "hba1c" else "rate"
    ways = specifications.analyses_of(rules(), kind)
    assert curve.combinations == np.prod([len(c.options) for c in curve.choices[:-3]]) * len(ways)


# --- stability ------------------------------------------------------------------------------------------------------


def test_outcome_estimand_and_population_of_the_claim_are_held_fixed(claim_id):
    curve, question = curve_called(claim_id), question_called(claim_id)
    by_id = {choice.choice_id: choice for choice in curve.choices}
    assert len(by_id["outcome"].options) == len(by_id["population"].options) == 1
    assert set(curve.sets.rows.outcome) == {question.outcome}
    assert set(curve.sets.rows.diabetes_type) == set(question.population)
    if claim_id == "off_insulin":
        assert len(by_id["timing"].options) == 1


def test_under_ten_distinct_specifications_there_are_too_few_to_say():
    made = {e.entry_id: e for e in with_stability(base(), known_ledger())}
    half = made["rate.half_the_insulin.60.T2D.ad_treatment"]
    assert half.specifications < rules()["findings"]["specifications"] == 10
    assert half.stability is None
    assert "too few to say" in str(reporting.paragraph(half))
    hba1c = made["effect.hba1c"]
    share, number = curve_called("hba1c").stability
    assert (hba1c.stability, hba1c.specifications) == (pytest.approx(share), number)
    for entry_id, entry in made.items():
        if entry.finding == findings.CANNOT_BE_ASSESSED or entry.family in ("mechanism", "record", "context"):
            assert (entry.stability, entry.specifications) == (None, 0), entry_id


def test_from_three_studies_each_prior_is_a_specification_of_a_rate():
    """31 of 111 in five cohorts against 60%: above the results under a prior of 0.5, near the edge under 2."""
    question = question_called("off_insulin")
    keep = np.unique(sets_of(base(), question).keep, axis=0)
    sizes = keep.sum(axis=1)
    found = rate_findings(base(), question, 0.6)
    assert len(found) == sum(3 if k >= 3 else 1 for k in sizes)
    assert set(found) <= set(findings.RATE_FINDINGS)
    assert findings.ABOVE in found


def test_the_probability_of_a_choice_of_studies_is_that_of_exact_integration():
    events, n = np.array([18, 4, 3, 3, 3, 0]), np.array([56, 15, 10, 6, 24, 12])
    keep = np.array([[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 1], [0, 0, 0, 0, 0, 1]], dtype=bool)
    got = probabilities_of_sets(events, n, keep, 0.3, [0.5, 2.0])
    for row, chosen in zip(got[:2], keep[:2], strict=True):
        fits = [meta.bayes_binomial(events[chosen], n[chosen], meta.Prior(s)) for s in (0.5, 2.0)]
        np.testing.assert_allclose(row, [float(f.p_new_setting_reaches(0.3)) for f in fits], atol=1e-3)
    assert np.isnan(got[2]).all()


# --- every other combination is what asking for it would give -------------------------------------------------------

#: Settings of an option -> what a question calls them; blinding and sets of products have no word in a question.
IN_A_QUESTION = {"types": "population", "definition": "outcome", "designs": "designs", "assumed": "assumed"}


def as_question(question, options):
    """The question that asks for these options, or None where no question can."""
    asked = {}
    for option in options:
        for name, value in option.settings.items():
            if name in ("grade", "studies"):
                continue
            if name == "products" and len(value) == 1:
                asked["product"] = value[0]
            elif name == "alternative":
                asked[name] = (value,)
            elif name in IN_A_QUESTION:
                asked[IN_A_QUESTION[name]] = tuple(value) if isinstance(value, list) else value
            elif name in ("secondary", "co_treatments", "estimand"):
                asked[name] = value
            elif name in ("months", "window"):
                asked[name] = float(value)
            else:
                return None
    return replace(question, **asked)


def combinations(curve, count, seed):
    """Random places in the grid of choices."""
    rng = np.random.default_rng(seed)
    shape = curve.sets.number.shape
    return [tuple(rng.integers(0, n) for n in shape) for _ in range(count)]


def test_any_combination_has_the_rows_that_its_question_selects():
    curve, question = curve_called("off_insulin"), question_called("off_insulin")
    compared = 0
    for place in combinations(curve, 240, seed=3):
        options = [choice.options[i] for choice, i in zip(curve.choices, place, strict=False)]
        asked = as_question(question, options)
        if asked is None:
            continue
        rows = curve.sets.of(curve.sets.number[place])
        alone = select_counts(base(), asked).rows
        assert {*zip(rows.study_id, rows.events, rows.n, strict=True)} == {
            *zip(alone.study_id, alone.events, alone.n, strict=True)
        }, asked
        compared += 1
    assert compared >= 10


def test_no_row_set_counts_a_patient_twice_or_a_trial_of_the_clinic(claim_id):
    curve, own = real_curves()[claim_id], set(own_trials(real()))
    for row_set in range(len(curve.sets.keep)):
        rows = curve.sets.of(row_set)
        arms = rows.arm_id.str.replace(" v ", "+")
        counted = [cohorts_of(real(), report) for report in zip(rows.study_id, arms, strict=True)]
        assert sum(map(len, counted)) == len(frozenset().union(*counted))
        assert not own & set(rows.study_id)


def test_blinded_and_randomised_row_sets_hold_nothing_else():
    curve = curve_called("off_insulin")
    by_id = {choice.choice_id: (axis, choice) for axis, choice in enumerate(curve.choices)}
    for choice_id, column, name in (("blinding", "blinding", "blinding"), ("design", "design", "designs")):
        axis, choice = by_id[choice_id]
        for i, option in enumerate(choice.options[1:], start=1):
            for row_set in np.unique(curve.sets.number.take(i, axis)):
                assert set(curve.sets.of(row_set)[column]) <= set(option.settings[name])


def test_changes_from_levels_widen_with_less_correlation():
    curve = curve_called("hba1c")
    axis = [c.choice_id for c in curve.choices].index("effect")
    options = curve.choices[axis].options
    place, variance = [0] * curve.sets.number.ndim, {}
    for i, option in enumerate(options):
        if "correlation" in option.settings:
            place[axis] = i
            rows = curve.sets.of(curve.sets.number[tuple(place)])
            variance[option.settings["correlation"]] = rows.set_index("study_id").vi["zang2022"]
    assert list(variance) == sorted(variance) and len(variance) == 4
    assert sorted(variance.values(), reverse=True) == list(variance.values())


# --- choices --------------------------------------------------------------------------------------------------------


def test_every_option_of_the_protocol_says_why(claim_id):
    for choice in real_curves()[claim_id].choices[:-3]:
        assert choice.title and all(option.name and option.why for option in choice.options)
        assert len({option.name for option in choice.options}) == len(choice.options)


def test_the_first_analysis_is_that_of_the_review():
    models = rules()["models"]
    rate, difference = (specifications.analyses_of(rules(), kind)[0].analysis for kind in ("rate", "difference"))
    own = models["proportion"]
    assert (rate.model, rate.method, rate.test, rate.nodes) == (own["model"], own["method"], own["test"], own["nodes"])
    own = models["continuous"]
    assert (difference.model, difference.method, difference.test) == (own["model"], own["method"], own["test"])


def test_an_option_that_changes_nothing_is_no_choice(claim_id):
    number = real_curves()[claim_id].sets.number
    for axis in range(number.ndim):
        for i in range(1, number.shape[axis]):
            assert (number.take(i, axis) != number.take(0, axis)).any()


def test_products_only_narrow_what_the_question_asks_for():
    islets = Question("insulin_independence", ("T1D",), "islets")
    by_id = {c.choice_id: c for c in specifications.choices_of(base(), islets, "rate")}
    assert len(by_id["product"].options) == 1


def test_a_protocol_without_choices_is_refused():
    bare = Protocol({k: v for k, v in rules().content.items() if k != "specifications"})
    with pytest.raises(ProtocolError, match="expected the section specifications"):
        specifications.choices_of(
            EvidenceBase(real(), bare), Question("insulin_independence", ("T2D",), "any_cells"), "rate"
        )


def test_an_unknown_kind_is_refused():
    question = Question("insulin_independence", ("T2D",), "any_cells")
    with pytest.raises(ProtocolError, match="expected kind to be one of rate, difference; found 'topic'"):
        specifications.fitted(base(), question, "topic")


# --- a made-up evidence whose curve can be written down -------------------------------------------------------------


def made_up_curve():
    """Three reports of type 2, one of them randomised and blinded, and one of type 1."""
    made = MadeUp()
    more = {"a": {"design": "rct", "blinding": "double"}, "b": {}, "c": {}, "d": {"population": "T1D"}}
    for (name, own), events in zip(more.items(), (2, 6, 9, 15), strict=True):
        made.study(name, **{"population": "T2D", "product": "msc", "blinding": "open"} | own).arm(name)
        made.count(name, events, 20)
    question = Question("insulin_independence", ("T2D",), "any_cells", estimand="most_favourable")
    decide = lambda lines, rows: ["few" if k < 3 else "enough" for k in lines.k]  # noqa: E731 - a rule in one line
    return specifications.fitted(made.base(), question, "rate").judged(decide)


def test_a_made_up_curve_has_the_row_sets_that_can_be_written_down():
    curve = made_up_curve()
    sets = sorted("".join(sorted(curve.sets.of(s).study_id)) for s in range(len(curve.sets.keep)))
    # By design; none counted "ever" or at another month; blinded is randomised here.
    assert sets == ["a", "abc"]
    assert {c.choice_id: len(c.options) for c in curve.choices[:-3]} == {
        "outcome": 1, "timing": 1, "figures": 1, "effect": 1, "handling": 1,
        "population": 1, "product": 1, "design": 3, "blinding": 2,
    }  # fmt: skip
    assert curve.finding == "enough"


def test_the_option_that_leads_to_a_line_is_marked_and_named():
    curve = made_up_curve()
    for line in range(len(curve.lines)):
        for choice in curve.choices:
            told = curve.lines[choice.choice_id][line]
            assert curve.marks[choice.choice_id, told][line]
    own = curve.marks.loc[curve.primary]
    assert all(own[choice.choice_id, choice.options[0].name] for choice in curve.choices)


# --- which choices move the answer ----------------------------------------------------------------------------------


def option(*names):
    return tuple(specifications.Option(name) for name in names)


def test_a_choice_that_moves_everything_has_the_whole_spread_and_an_idle_one_nothing():
    lines = pd.DataFrame({"beta": [10.0, 20.0, np.nan], "finding": ["low", "high", "none"]})
    grid = np.array([[[0, 0], [0, 0]], [[1, 1], [1, 1]]])
    choices = [
        specifications.Choice("first", "First", option("low", "high")),
        specifications.Choice("second", "Second", option("one", "other")),
    ]
    parts = pd.DataFrame({"model": ["m", "m"], "method": ["a", "b"], "test": ["t", "t"]})
    table = influence_of(lines, grid, choices, parts).set_index("choice")
    assert list(table.index) == ["first", "second", "method"]  # what has one option is no choice
    first = table.loc["first"]
    assert (first.share, first.low, first.high, first.finding_changes) == (1.0, 10.0, 20.0, 1.0)
    assert (first.low_option, first.high_option) == ("low", "high")
    assert (table.loc["second", ["share", "finding_changes"]] == 0).all()
    assert (table.loc["method", ["share", "finding_changes"]] == 0).all()


def test_shares_are_shares(claim_id):
    table = real_curves()[claim_id].influence
    known = table.dropna(subset="share")
    assert ((known.share >= 0) & (known.share <= 1 + 1e-12)).all()
    assert ((table.finding_changes >= 0) & (table.finding_changes <= 1)).all()
    assert (known.low <= known.high).all()


# --- figure and words -----------------------------------------------------------------------------------------------


def drawn(curve, **more):
    return choices_that_matter(
        curve, **{"axis_label": "Participants, %", "title": "Made up", "marks": [(60.0, "advertised 60%")]} | more
    ).figure


@pytest.mark.parametrize("name", ["made up", *CLAIMS])
def test_no_words_of_the_figure_run_into_one_another_or_leave_the_sheet(name):
    curve = made_up_curve() if name == "made up" else curve_called(name)
    fig = drawn(curve, note="A note. " * 30)
    words = boxes(fig)
    assert covered(words) == []
    assert cut_off(words, fig.bbox) == []


def test_the_figure_shows_the_median_and_the_range_of_each_option_and_marks_the_reviews_own():
    curve = made_up_curve()
    (axes,) = [axes for axes in drawn(curve).axes if axes.get_xlabel()]
    own = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "D"]
    others = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    shown = curve.influence[curve.influence.share >= 0.01].choice
    moving = [choice for choice in curve.choices if choice.choice_id in set(shown)]
    options = [(c.choice_id, o.name, i) for c in moving for i, o in enumerate(c.options)]
    beta = {(c, o): curve.lines.beta[curve.lines.counted & curve.marks[c, o]].dropna() for c, o, _ in options}
    for found, is_own in ((own, True), (others, False)):
        expected = [beta[c, o].median() for c, o, i in options if (i == 0) == is_own and len(beta[c, o])]
        assert sorted(found) == pytest.approx(sorted(expected))


def test_a_curve_without_an_estimate_is_not_drawn():
    curve = made_up_curve()
    with pytest.raises(DataError, match="expected an estimate, found none"):
        drawn(replace(curve, lines=curve.lines.assign(beta=np.nan)))


def test_the_words_hold_the_numbers_of_the_curve():
    curve = curve_called("off_insulin")
    share, counted = curve.stability
    words = specification_alt(curve, "patients off insulin", "advertised 30%")
    assert f"{counted} distinct specifications" in words and f"{share_words(share)} give the same finding" in words
    most = curve.influence.loc[curve.influence.share.idxmax()]
    assert f"{most.low:.0f}% ({most.low_option})" in words and "advertised 30%" in words
    assert "nan" not in words
    assert "share of the spread" in repr(influence_table(curve))


def test_words_of_a_curve_that_nothing_moves():
    curve = made_up_curve()
    same = replace(curve, influence=curve.influence.assign(finding_changes=0.0))
    assert "No choice alone changes the finding." in influence_sentence(same)
    still = replace(curve, influence=curve.influence.assign(share=0.0))
    assert influence_sentence(still) == "No choice moves the estimate."


def test_the_stability_of_all_entries_is_quick():
    entries, start = known_ledger(), time.process_time()
    with_stability(base(), entries)
    assert time.process_time() - start < 12.0  # 2 s on an idle core
