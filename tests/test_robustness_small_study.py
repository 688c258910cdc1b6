"""Regression tests, rank test and PET-PEESE against metafor, against counting, and against their own laws."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellclaims import meta, robustness
from cellclaims.errors import PoolingError
from cellclaims.meta.flags import names_of
from cellclaims.robustness.rank_correlation import _inversions

from .robustness_records import FLOOR, Ledger, effects, patients, records

#: Effects that are all the same: what metafor shows of their spread is rounding, and so are its tests of it.
WITHOUT_SPREAD = "edge_identical__GEN"
#: R subtracts the distribution function from one on the upper side: absolute rounding of its P values.
R_TAIL = 1e-13


def run_egger(key: str, yi: np.ndarray, vi: np.ndarray, ni: np.ndarray | None) -> robustness.RegressionTest:
    model, *method, predictor = key.split("_")
    if model == "lm":
        return robustness.egger(yi, vi, ni=ni, model="lm", predictor=predictor)
    method, test = ("REML", "knha") if method == ["REMLknha"] else (method[0], "z")
    return robustness.egger(yi, vi, ni=ni, model="rma", predictor=predictor, method=method, test=test)


def compare_egger(ledger: Ledger, what: str, found: robustness.RegressionTest, expected: dict, vi: np.ndarray) -> None:
    size = found.fit.effects.design[:, 1]
    floor = FLOOR * np.sqrt(vi.mean())
    ledger(f"{what} slope", found.slope, expected["slope"], atol=floor / np.std(size))
    ledger(f"{what} slope_se", found.slope_se, expected["slope_se"], atol=floor / np.std(size))
    for name, key in (("limit", "est"), ("ci_lb", "ci_lb"), ("ci_ub", "ci_ub")):
        ledger(f"{what} {name}", getattr(found, name), expected[key], atol=floor)
    ledger(f"{what} df", found.df, np.inf if expected["dfs"] is None else expected["dfs"])
    if expected["slope_se"] and not np.isnan(found.stat):
        ledger(f"{what} stat", found.stat, expected["zval"], atol=FLOOR)
        ledger(f"{what} p", found.p, expected["pval"], atol=FLOOR)


def test_every_regression_test_agrees_with_metafor(oracle):
    ledger, refused_there = Ledger(), 0
    for name, key, analysis, expected in records(oracle, "regtest"):
        yi, vi = effects(analysis)
        found = run_egger(key, yi, vi, patients(analysis))
        if "error" in expected:  # metafor calls predictors on a very small or large scale dependent, or gives up
            assert any(words in expected["error"] for words in ("not of full rank", "did not converge"))
            assert np.isfinite([found.slope, found.slope_se, found.stat, found.p]).all(), (name, key)
            refused_there += 1
            continue
        ledger.records += 1
        compare_egger(ledger, f"{name} {key}", found, expected, vi)
        assert np.isnan(found.stat) == ("on the line" in " ".join(found.flags)), (name, key)
        assert np.isnan(found.stat) <= (name == WITHOUT_SPREAD)
    ledger.close("regression tests", expected_records=1_981)
    assert refused_there == 52


def test_every_rank_test_agrees_with_metafor(oracle):
    ledger = Ledger()
    for name, _, analysis, expected in records(oracle, "ranktest"):
        found = robustness.rank_test(*effects(analysis))
        ledger.records += 1
        ledger(f"{name} tau", found.tau, expected["tau"], atol=FLOOR)
        ledger(f"{name} p", found.p, expected["pval"], atol=R_TAIL)
        assert np.isnan(found.tau) == any("no rank correlation" in words for words in found.flags), name
    ledger.close("rank tests", expected_records=165)


def test_a_predictor_that_metafor_calls_dependent_gives_what_it_gives_on_another_scale(oracle):
    """Patients counted in thousands change the slope by a factor, and nothing else."""
    analysis = oracle["graves2010__OR"]
    assert "error" in analysis["diagnostics"]["regtest"]["rma_REML_ninv"]
    (yi, vi), ni = effects(analysis), patients(analysis)
    here, there = (robustness.egger(yi, vi, ni=n, model="rma", predictor="ninv") for n in (ni, ni / 1e5))
    assert here.slope == pytest.approx(there.slope * 1e5, rel=1e-9)
    assert (here.stat, here.limit) == pytest.approx((there.stat, there.limit), rel=1e-9)


RNG = np.random.default_rng(20240611)
YI, VI = RNG.normal(0.3, 0.4, (5, 8)), RNG.uniform(0.02, 0.4, (5, 8))


def test_the_line_of_egger_is_the_regression_of_1997():
    """Slope on the standard error = intercept of y/s on 1/s, each with the t test of ordinary least squares."""
    y, s = YI[0], np.sqrt(VI[0])
    design = np.column_stack([np.ones(8), 1 / s])
    (intercept, slope), (rss,), *_ = np.linalg.lstsq(design, y / s, rcond=None)
    variance = rss / 6 * np.linalg.inv(design.T @ design)
    found = robustness.egger(y, VI[0])
    assert (found.slope, found.limit) == pytest.approx((intercept, slope), rel=1e-12)
    assert (found.slope_se, found.limit_se) == pytest.approx(np.sqrt(np.diag(variance)), rel=1e-12)


@given(st.integers(0, 4), st.floats(-3, 3), st.sampled_from([1e-6, 0.02, 1.0, 5e5]))
@settings(max_examples=30, deadline=None)
def test_small_study_tests_do_not_depend_on_scale_or_origin(row, shift, c):
    y, v = YI[row], VI[row]
    for model in ("lm", "rma"):
        here, there = robustness.egger(y, v, model=model), robustness.egger(c * (y + shift), c**2 * v, model=model)
        assert there.p == pytest.approx(here.p, rel=1e-6)
        assert there.limit == pytest.approx(c * (here.limit + shift), rel=1e-6, abs=1e-9 * c)
    here, there = robustness.rank_test(y, v), robustness.rank_test(c * (y + shift), c**2 * v)
    assert (there.tau, there.p) == pytest.approx((here.tau, here.p), rel=1e-12)


def test_exact_p_values_of_the_rank_test_are_those_of_counting_permutations():
    """All orders of six studies; the number of pairs in wrong order decides."""
    orders = np.array(list(itertools.permutations(range(6))))
    wrong = sum((orders[:, i] > orders[:, j]).astype(int) for i, j in itertools.combinations(range(6), 2))
    y, v = np.array([0.2, 0.1, 0.5, 0.4, 0.9, 0.6]), np.linspace(0.1, 0.11, 6)
    found = robustness.rank_test(y, v)
    seen = round((1 - found.tau) / 2 * 15)
    assert found.exact and found.p == pytest.approx(2 * np.mean(wrong <= seen), rel=1e-14)


def test_the_exact_distribution_keeps_its_digits_far_out():
    """102 studies: whole numbers counted without rounding, where R loses the seventh digit."""
    counts = [1]
    for new in range(2, 103):
        counts = [sum(counts[max(0, i - new + 1) : i + 1]) for i in range(min(len(counts) + new - 1, 1_700))]
    exact = sum(counts[:1_600]) / math.factorial(102)
    assert _inversions(102)[:1_600].sum() == pytest.approx(exact, rel=1e-12)


def test_tied_variances_make_the_rank_test_approximate_and_say_so():
    y = np.array([0.1, 0.3, 0.2, 0.6, 0.4])
    found = robustness.rank_test(y, [0.1, 0.1, 0.2, 0.3, 0.3])
    assert not found.exact and any(words.startswith("ties") for words in found.flags)
    same = robustness.rank_test(y, [0.1] * 5)
    assert np.isnan([same.tau, same.p]).all() and any("no rank correlation" in words for words in same.flags)


def test_pet_peese_takes_the_line_that_its_own_test_asks_for():
    for y, v in zip(YI, VI, strict=True):
        left = robustness.pet_peese(y, v)
        line = left.peese if left.chosen == "PEESE" else left.pet
        assert (left.chosen == "PEESE") == (left.pet.fit.p[0] < 0.1)
        assert (left.beta, left.se, left.ci_lb, left.ci_ub) == (line.limit, line.limit_se, line.ci_lb, line.ci_ub)
    assert (left.pet.predictor, left.peese.predictor) == ("sei", "vi")


KEEP = RNG.random((5, 8)) < 0.8


@pytest.mark.parametrize("run", [robustness.egger, robustness.pet_peese, robustness.rank_test])
def test_a_batch_is_its_data_sets_one_by_one(run):
    keep = KEEP | (KEEP.sum(axis=1) < 4)[:, None]
    batch = run(YI, VI, keep=keep)
    for row in range(5):
        one = run(YI[row][keep[row]], VI[row][keep[row]])
        for name in ("slope", "p", "limit", "tau", "beta", "ci_ub"):
            if hasattr(one, name):
                assert getattr(batch, name)[row] == pytest.approx(getattr(one, name), rel=1e-9)
        assert names_of(batch.flags)[row] == one.flags


def test_in_a_batch_what_one_data_set_is_refused_for_is_flagged():
    keep = np.ones((3, 8), bool)
    keep[0, 2:] = False
    v = np.tile(VI[0], (3, 1))
    v[1] = 0.1
    for run in (robustness.egger, robustness.rank_test):
        words = names_of(run(YI[0], v, keep=keep).flags)
        assert "too few studies for this method" in words[0]
        assert any("no slope" in w or "no rank correlation" in w for w in words[1])
        assert len(words[2]) == 1 and "fewer than 10" in words[2][0]


@pytest.mark.parametrize("measure", ["OR", "RR", "SMD", "PLO"])
def test_measures_whose_error_depends_on_the_effect_are_flagged_until_the_predictor_is_1_over_n(measure):
    n = RNG.integers(20, 200, 8)
    bound = robustness.egger(YI[0], VI[0], measure=measure)
    free = robustness.egger(YI[0], VI[0], ni=n, predictor="ninv", measure=measure)
    mean_difference = robustness.egger(YI[0], VI[0], measure="MD")
    said = [any("depends on the effect" in words for words in t.flags) for t in (bound, free, mean_difference)]
    assert said == [True, False, False]


def test_ten_studies_are_enough_not_to_be_advised_against():
    y, v = RNG.normal(size=10), RNG.uniform(0.1, 1, 10)
    assert robustness.egger(y, v).flags == robustness.rank_test(y, v).flags == ()
    assert any("fewer than 10" in words for words in robustness.egger(y[:9], v[:9]).flags)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"yi": [0.1, 0.2], "vi": [0.1, 0.2]}, "at least 3 studies, found 2"),
        ({"predictor": "se"}, "predictor: expected one of sei, vi, ni.*'se'"),
        ({"model": "wls"}, "model: expected one of lm, rma"),
        ({"predictor": "ninv"}, "ni: expected the number of patients"),
        ({"predictor": "ni", "ni": [10, 20]}, "ni: expected 4 numbers"),
        ({"predictor": "ni", "ni": [10, 20, 0, 5]}, "ni: expected numbers of patients above zero"),
        ({"vi": [0.1, 0.1, 0.1, 0.1]}, "predictor sei: expected sizes that differ"),
        ({"vi": [0.1, -0.1, 0.1, 0.1]}, "variance: expected finite and above zero"),
    ],
)
def test_what_cannot_be_tested_is_refused_by_name(arguments, message):
    given_ = {"yi": [0.1, 0.2, 0.4, 0.3], "vi": [0.1, 0.2, 0.3, 0.4]} | arguments
    with pytest.raises(PoolingError, match=message):
        robustness.egger(**given_)


def test_a_rank_test_of_two_studies_and_an_impossible_alpha_are_refused():
    with pytest.raises(PoolingError, match="rank test: expected at least 3 studies, found 2"):
        robustness.rank_test([0.1, 0.2], [0.1, 0.2])
    with pytest.raises(PoolingError, match="alpha: expected a number between 0 and 1"):
        robustness.pet_peese(YI[0], VI[0], alpha=5)


def test_equal_effects_have_no_slope_to_test_by_their_own_spread():
    found = robustness.egger([0.4] * 5, [0.1, 0.2, 0.3, 0.4, 0.5])
    assert (found.slope, found.slope_se) == (0, 0) and np.isnan(found.p)
    assert any("all effects are on the line" in words for words in found.flags)


def test_the_regression_is_a_fit_of_the_engine():
    found = robustness.egger(YI[0], VI[0], model="rma", method="DL", test="z")
    same = meta.fit(YI[0], VI[0], mods=np.sqrt(VI[0]), method="DL", test="z")
    assert np.array_equal(found.fit.beta, same.beta) and found.fit.tau2 == same.tau2
