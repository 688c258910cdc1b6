"""The simulation that judges intervals and probabilities: it finds what is right right and what is wrong wrong."""

from __future__ import annotations

import functools
import importlib.util
import itertools
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from calibration_study import draw
from calibration_study.simulate import (
    MODELS,
    Belief,
    GridPosterior,
    Setting,
    beliefs,
    calibrate,
    joined,
    judge,
    reliability,
    simulate,
    student,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from cellclaims import meta
from cellclaims.errors import PoolingError
from cellclaims.meta.bayes import Prior
from cellclaims.meta.binomial_fit import mean_over_settings

from .test_figures_layout import boxes, covered, cut_off

REPOSITORY = Path(__file__).resolve().parent.parent
DOCS = REPOSITORY / "docs"

#: Reviews of the short run, and how many standard errors its shares may stand from the long run's.
SHORT, ERRORS = 400, 5.0
#: The grid's cells against exact integration: a thousandth is below what any simulation here resolves.
GRID = 1e-3


@functools.cache
def script():
    """benchmarks/calibration.py as a module."""
    path = REPOSITORY / "benchmarks" / "calibration.py"
    spec = importlib.util.spec_from_file_location("benchmark_calibration", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@functools.cache
def long_run():
    return pd.read_csv(DOCS / "calibration.csv")


@functools.cache
def short_run(model, k, i2):
    return calibrate(Setting(model, k, i2), SHORT, seed=5)


def standard_error(share, reviews):
    return np.sqrt(max(share * (1 - share), 0.25 / reviews) / reviews)


# --- what is simulated ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("i2", [0.0, 50.0, 90.0])
@pytest.mark.parametrize("model", MODELS)
def test_tau_makes_the_heterogeneity_asked_for(model, i2):
    setting = Setting(model, 5, i2)
    assert 100 * setting.tau**2 / (setting.tau**2 + setting.typical) == pytest.approx(i2)


def test_effects_spread_by_tau_and_by_their_own_variances():
    setting = Setting("normal", 20, 50.0)
    made = simulate(setting, 4000, np.random.default_rng(2))
    expected = (setting.tau**2 + made.second).mean()
    # The variance of 80 000 squares, mixed over the variances, is known to about 1 %.
    assert made.first.var() == pytest.approx(expected, rel=0.03)
    assert made.new.std() == pytest.approx(setting.tau, rel=0.05)
    assert made.claim.var() == pytest.approx(setting.tau**2 + setting.typical, rel=0.08)


def test_counts_have_the_share_of_the_mean_over_clinics():
    setting = Setting("binomial_normal", 20, 50.0)
    made = simulate(setting, 2000, np.random.default_rng(2))
    expected = mean_over_settings(setting.mu, setting.tau**2)
    assert made.first.sum() / made.second.sum() == pytest.approx(expected, abs=0.005)  # five standard errors
    assert ((made.first >= 0) & (made.first <= made.second)).all()


@pytest.mark.parametrize("bad", [("odds", 5, 50.0), ("normal", 1, 50.0), ("normal", 5, 100.0), ("normal", 5, -1.0)])
def test_a_setting_that_cannot_be_simulated_is_refused(bad):
    with pytest.raises(PoolingError, match="expected a model of"):
        Setting(*bad)


def test_the_same_seed_gives_the_same_reviews_and_another_one_others():
    one, two, other = (calibrate(Setting("normal", 3, 50.0), 60, seed=s)["adhoc"].mean_at for s in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert not np.allclose(one, other)


# --- the judge itself -----------------------------------------------------------------------------------------------


def knows(setting, narrower=1.0):
    """Somebody who knows mean and spread of the clinics; ``narrower`` makes him too sure."""
    tau = setting.tau * narrower
    return Belief(lambda v: np.full(v.shape, 0.5), student(np.asarray(setting.mu), np.asarray(tau), np.inf))


def test_who_knows_the_truth_is_calibrated():
    setting = Setting("normal", 3, 50.0)
    scores = judge(simulate(setting, 20_000, np.random.default_rng(4)), knows(setting)).scores()
    assert scores["new_ks"] < 1.63 / np.sqrt(20_000)  # Kolmogorov's bound at 1 %
    assert scores["new_coverage"] == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 20_000))
    assert scores["new_brier_excess"] == pytest.approx(0.0, abs=1e-12)
    assert scores["new_calibration_error"] < 0.015  # a tenth of the reviews knows a share to about 0.01
    assert scores["answered"] == 1.0


def test_who_is_too_sure_is_found_out():
    setting = Setting("normal", 3, 50.0)
    scores = judge(simulate(setting, 4000, np.random.default_rng(4)), knows(setting, narrower=0.5)).scores()
    assert scores["new_coverage"] == pytest.approx(2 * stats.norm.cdf(0.98) - 1, abs=0.03)
    assert scores["new_ks"] > 0.1 and scores["new_calibration_error"] > 0.05 and scores["new_brier_excess"] > 0.005


def test_who_gives_no_answer_is_counted_as_such():
    setting = Setting("normal", 3, 50.0)
    made = simulate(setting, 50, np.random.default_rng(4))
    silent = np.arange(50) < 10
    hesitant = Belief(*(lambda v, cdf=cdf: np.where(silent, np.nan, cdf(v)) for cdf in knows(setting)))
    assert judge(made, hesitant).scores()["answered"] == pytest.approx(0.8)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=200), st.integers(1, 20))
def test_bins_hold_every_review_once(pairs, bins):
    predicted, happened = (np.array(part, float) for part in zip(*pairs, strict=True))
    found = reliability(predicted, happened, bins)
    assert found["reviews"].sum() == len(pairs)
    assert (found["reviews"] * found["observed"]).sum() == pytest.approx(happened.sum())
    assert (found["reviews"] * found["predicted"]).sum() == pytest.approx(predicted.sum())
    assert ((found["observed"] >= 0) & (found["observed"] <= 1)).all()


@settings(max_examples=40)
@given(st.floats(-5, 5), st.sampled_from([1.0, 2.0, 9.0, np.inf]))
def test_the_t_distribution_is_scipys(value, df):
    expected = stats.norm.cdf(value, 1.0, 2.0) if np.isinf(df) else stats.t.cdf(value, df, 1.0, 2.0)
    assert student(np.array(1.0), np.array(2.0), df)(np.array(value)) == pytest.approx(expected, abs=1e-12)


# --- methods --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("k", "i2"), [(3, 90.0), (10, 0.0)])
def test_the_posterior_on_a_grid_is_the_exact_one(k, i2):
    setting = Setting("binomial_normal", k, i2)
    made = simulate(setting, 4, np.random.default_rng(11))
    grid = GridPosterior.of(made.first, made.second, setting.mu)
    exact = meta.bayes_binomial(made.first[2], made.second[2], Prior(1.0))
    for value in (setting.mu - 1.0, setting.mu, setting.mu + 0.4):
        at = np.full(4, value)
        assert grid.mean_cdf(at)[2] == pytest.approx(float(exact.mu.cdf(value)), abs=GRID)
        assert grid.new_cdf(at)[2] == pytest.approx(float(exact.theta_new.cdf(value)), abs=GRID)


def test_a_grid_holds_all_of_the_posterior():
    setting = Setting("binomial_normal", 3, 90.0)
    made = simulate(setting, 50, np.random.default_rng(3))
    mass = GridPosterior.of(made.first, made.second, setting.mu).mass
    assert mass.sum((1, 2)) == pytest.approx(1.0)
    assert mass[:, [0, -1]].sum() < 1e-6 * len(mass) and mass[:, :, -1].sum() < 1e-5 * len(mass)


def test_what_a_method_believes_is_what_its_fit_prints():
    made = simulate(Setting("normal", 5, 50.0), 8, np.random.default_rng(9))
    found, fit = beliefs(made), meta.fit(made.first, made.second)
    for at, share in ((fit.ci_lb, 0.025), (fit.ci_ub, 0.975)):
        assert found["adhoc"].mean(at) == pytest.approx(share, abs=1e-9)
    for at, share in ((fit.pi_lb, 0.025), (fit.pi_ub, 0.975)):
        assert found["adhoc"].new(at) == pytest.approx(share, abs=1e-9)
    counts = simulate(Setting("binomial_normal", 5, 50.0), 8, np.random.default_rng(9))
    glmm = meta.glmm(counts.first, counts.second)
    assert beliefs(counts)["t"].new(glmm.pi_ub) == pytest.approx(0.975, abs=1e-9)
    assert beliefs(counts)["t"].mean(glmm.ci_lb) == pytest.approx(0.025, abs=1e-9)


@pytest.mark.parametrize(("k", "i2"), [(3, 0.0), (3, 90.0), (10, 0.0), (10, 90.0)])
def test_a_wider_interval_covers_whatever_a_narrower_one_does(k, i2):
    found = short_run("normal", k, i2)
    inside = {m: np.abs(judged.mean_at - 0.5) <= 0.475 for m, judged in found.items()}
    assert (inside["adhoc"] >= inside["z"]).all() and (inside["adhoc"] >= inside["knha"]).all()
    new = {m: np.abs(judged.new_at - 0.5) <= 0.475 for m, judged in found.items()}
    assert (new["adhoc"] >= new["adhoc k-1"]).all() and (new["adhoc"] >= new["knha"]).all()


def test_the_normal_interval_of_few_different_reports_is_too_narrow_and_the_default_is_not():
    for model, own in (("normal", "adhoc"), ("binomial_normal", "t")):
        scores = {m: judged.scores() for m, judged in short_run(model, 3, 90.0).items()}
        assert scores["z"]["mean_coverage"] < 0.9 and scores["z"]["new_coverage"] < 0.9
        assert scores[own]["mean_coverage"] > 0.92 and scores[own]["new_coverage"] > 0.95


def test_batches_and_settings_join_into_one():
    parts = [short_run("normal", k, 0.0)["z"] for k in (3, 10)]
    both = joined(parts)
    assert both.new_ge.size == 2 * SHORT
    np.testing.assert_array_equal(both.mean_at[SHORT:], parts[1].mean_at)


# --- the long run that the page rests on ----------------------------------------------------------------------------


def test_the_long_run_has_every_setting_and_method():
    table, made = long_run(), script()
    methods = {model: list(draw.WORDS[model]) for model in MODELS}
    expected = [
        (model, k, i2, method)
        for model, k, i2 in itertools.product(MODELS, made.KS, made.HETEROGENEITY)
        for method in methods[model]
    ]
    assert list(table[made.KEYS].itertuples(index=False, name=None)) == expected
    assert (table.reviews == made.REVIEWS).all() and (table.seed == made.SEED).all()
    assert table.answered.min() > 0.99


@pytest.mark.parametrize(("model", "k", "i2"), [("normal", 3, 90.0), ("normal", 10, 0.0), ("binomial_normal", 3, 90.0)])
def test_a_short_run_agrees_with_the_long_one_within_its_error(model, k, i2):
    long = long_run().set_index(["model", "k", "I2", "method"])
    for method, judged in short_run(model, k, i2).items():
        scores, known = judged.scores(), long.loc[(model, k, i2, method)]
        for name in ("mean_coverage", "new_coverage"):
            allowed = ERRORS * standard_error(known[name], SHORT)
            assert scores[name] == pytest.approx(known[name], abs=allowed), (method, name)


def test_the_page_says_what_the_long_run_found():
    page = (DOCS / "calibration.md").read_text(encoding="utf-8")
    assert script().written(page, long_run()) == page


def test_the_defaults_that_the_page_names_are_those_of_the_review():
    table = long_run()
    lowest = table.groupby(["model", "method"]).mean_coverage.min()
    assert lowest["normal"].idxmax() == "adhoc"  # "never clearly too narrow"
    assert lowest["normal", "adhoc"] > 0.93 and lowest["binomial_normal", "t"] > 0.92
    assert lowest["normal", "z"] < 0.85
    new = table.groupby(["model", "method"]).new_coverage.min()
    assert new["binomial_normal"].idxmax() == "bayes"  # "falls least short"
    counts = table[(table.model == "binomial_normal") & (table.k >= 5)].pivot(
        index=["k", "I2"], columns="method", values="new_coverage"
    )
    short = (0.95 - counts).clip(lower=0)
    assert (short.bayes <= short["t"]).all()  # "from five reports on it falls no shorter than t in any setting"
    few = table[(table.method == "logits") & (table.I2 == 90)].set_index("k").mean_ks
    assert few[20] > few[3] and few[20] > 0.1  # "with more reports they grow more certain of it"
    assert new["normal", "adhoc"] > new["normal", "z"] and new["normal", "adhoc"] >= new["normal", "adhoc k-1"]


def test_the_script_writes_table_page_and_figures(tmp_path):
    blank = script().written((DOCS / "calibration.md").read_text(encoding="utf-8"), long_run().head(0))
    (tmp_path / "calibration.md").write_text(blank, encoding="utf-8")
    script().main(["--reviews", "40", "--reports", "3", "5", "--into", str(tmp_path)])
    table = pd.read_csv(tmp_path / "calibration.csv")
    assert len(table) == 2 * 3 * 2 * 5 and (table.reviews == 40).all()
    page = (tmp_path / "calibration.md").read_text(encoding="utf-8")
    assert "| 3 | 90 |" in page and "| 20 | 90 |" not in page
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == [
        "calibration.png", "calibration.svg", "calibration_coverage.png", "calibration_coverage.svg",
    ]  # fmt: skip


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(SystemExit, match="expected the mark <!-- summary"):
        script().written("no marks", long_run())


# --- figures --------------------------------------------------------------------------------------------------------


def test_no_words_of_the_figures_run_into_one_another():
    curves = {
        (model, 3, method): script().curve_of(judged)
        for model in MODELS
        for method, judged in short_run(model, 3, 90.0).items()
    }
    for fig in (draw.coverage(long_run()), draw.reliability(curves, 90.0)):
        words = boxes(fig)
        assert covered(words) == []
        assert cut_off(words, fig.bbox) == []


def test_the_words_of_the_figures_hold_their_numbers():
    table = long_run()
    lowest = table[(table.model == "normal") & (table.method == "z")].mean_coverage.min()
    assert f"normal {100 * lowest:.0f} %" in draw.alternative(table)
    bins = {"predicted": np.array([0.2, 0.9]), "observed": np.array([0.35, 0.0]), "reviews": np.array([50.0, 3.0])}
    assert "normal 15" in draw.reliability_alternative({("normal", 3, "z"): bins})  # three reviews are no bin
