"""What results have in common: one study, summaries, tables, probabilities, functions that take a fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cellclaims import meta, robustness
from cellclaims.errors import PoolingError
from cellclaims.meta.flags import Flag
from cellclaims.meta.result import written, written_p

YI, VI = [-0.5, -0.9, -0.2, -1.1], [0.04, 0.09, 0.05, 0.12]
LABELS = ["Ann 2001", "Bob <b>", "Cy", "Di"]
FIT = meta.fit(YI, VI, slab=LABELS)

#: One study in every model, with its own estimate and limits where they are plain.
SINGLE = {
    "fit": (meta.fit([0.3], [0.04]), 0.3, 0.3 - 1.959964 * 0.2),
    "fit EE": (meta.fit([0.3], [0.04], method="EE", test="z"), 0.3, 0.3 - 1.959964 * 0.2),
    "glmm": (meta.glmm([3], [10]), np.log(3 / 7), np.log(0.0667395 / (1 - 0.0667395))),
    "beta_binomial": (meta.beta_binomial([3], [10]), np.log(3 / 7), np.log(0.0667395 / (1 - 0.0667395))),
    "odds ratio": (meta.glmm_odds_ratio([2], [10], [3], [10]), None, None),
    "mantel_haenszel": (meta.mantel_haenszel("RD", ai=[2], n1i=[10], ci=[3], n2i=[10]), -0.1, None),
    "peto": (meta.peto(ai=[2], n1i=[10], ci=[3], n2i=[10]), None, None),
    "multilevel": (meta.multilevel([0.3], [0.04], {"study": ["a"]}), 0.3, 0.3 - 1.959964 * 0.2),
}


@pytest.mark.parametrize("name", SINGLE)
def test_one_study_is_shown_with_its_own_interval_a_flag_and_no_spread(name):
    fit, beta, low = SINGLE[name]
    assert np.isfinite([fit.beta, fit.se, fit.ci_lb, fit.ci_ub]).all()
    assert beta is None or fit.beta == pytest.approx(beta, abs=1e-6)
    assert low is None or fit.ci_lb == pytest.approx(low, abs=1e-5)
    assert any("single" in words for words in fit.flags)
    for number in ("tau2", "I2", "H2", "Q", "Q_p", "lrt", "rho", "pi_lb", "pi_ub"):
        assert np.isnan(getattr(fit, number, np.nan)).all(), number
        if number in fit.to_frame():
            assert fit.to_frame()[number].isna().all(), number
    assert "tau2 =" not in fit.summary() and "heterogeneity" not in fit.summary().lower()


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: robustness.influence([0.1], [0.1]), "influence: expected at least 2 studies, found 1"),
        (lambda: robustness.leave_one_out([0.1], [0.1]), "leave_one_out: expected at least 2 studies"),
        (lambda: robustness.baujat([0.1], [0.1]), "baujat: expected at least 2 studies"),
        (lambda: robustness.bootstrap([0.1], [0.1]), "bootstrap: expected at least 2 studies"),
        (lambda: robustness.second_opinion([0.1], [0.1]), "second_opinion: expected at least 2 studies"),
        (lambda: meta.permutation_test([0.1], [0.1]), "permutation_test: expected at least 2 studies"),
    ],
)
def test_what_one_study_cannot_answer_is_refused(ask, message):
    with pytest.raises(PoolingError, match=message):
        ask()


def test_the_summary_says_what_a_statistician_expects():
    text = str(FIT)
    assert text == FIT.summary() == repr(FIT)
    for words in (
        "Random-effects model (k = 4; tau2 by REML)",
        "estimate",
        "95% CI",
        "-0.6127  0.1955  -1.2350 to 0.0096  -3.1334   3  0.0519",
        "95% prediction interval: -2.0844 to 0.8590",
        "tau2 = 0.0788 (SE 0.1203), tau = 0.2806, I2 = 54.5%, H2 = 2.20",
        "Q = 6.3937, df = 3, P = 0.0940",
        "Hartung-Knapp, never narrower than the standard interval (adhoc)",
        "Note: few studies: k = 2 to 4",
    ):
        assert words in text, words
    html = FIT._repr_html_()
    assert "<table>" in html and "-0.6127" in html and "Note: few studies" in html
    coefficients = meta.fit(YI, VI, mods=[1.0, 2.0, 3.0, 5.0])
    assert "constant" in str(coefficients) and "x1" in str(coefficients)
    sizes = meta.escalc("OR", ai=[4, 6, 3], n1i=[123, 306, 231], ci=[11, 29, 11], n2i=[139, 303, 220])
    assert "log odds ratio" in str(meta.fit(sizes)) and "Bob" not in str(sizes)


def test_every_result_has_a_summary_and_a_table():
    table = {"ai": [4, 6], "n1i": [123, 306], "ci": [11, 29], "n2i": [139, 303]}
    for result in (
        meta.glmm([3, 4, 18], [10, 15, 56]),
        meta.beta_binomial([3, 8, 2, 9], [10, 10, 12, 11]),
        meta.bayes(YI, VI),
        meta.bayes_binomial([3, 4, 18], [10, 15, 56]),
        meta.multilevel(YI, VI, list("aabc")),
        meta.mantel_haenszel("RR", **table),
        meta.peto(**table),
        meta.glmm_odds_ratio(*table.values(), model="CM.AL"),
        meta.robust(FIT, list("aabc")),
    ):
        text, frame = str(result), result.to_frame()
        assert "np.float64" not in text and f"{float(result.beta):.4f}" in text, text
        assert len(frame) == 1 and frame.beta[0] == result.beta and "<table>" in result._repr_html_()


def test_a_batch_says_what_it_is_and_its_table_has_a_row_for_each_fit():
    batch = robustness.leave_one_out(FIT)
    assert "a batch of 4 fits" in str(batch) and "a batch of 4 fits" in batch._repr_html_()
    frame = batch.to_frame()
    assert frame.beta.tolist() == batch.beta.tolist() and len(frame) == 4
    assert frame["flags"][0] == "; ".join(batch.flag_names()[0])
    moderated = meta.fit(YI, VI, mods=[1.0, 2.0, 3.0, 5.0]).to_frame()
    assert moderated.coefficient.tolist() == ["constant", "x1"] and len(moderated) == 2
    one = FIT.to_frame()
    assert one.tau2[0] == FIT.tau2 and one.method[0] == "REML"
    assert FIT.studies().weight.sum() == pytest.approx(100)


def test_numbers_of_a_summary():
    assert [written(x) for x in (0.0, 1.0, -0.25, 2e-7, np.inf, -np.inf)] == [
        "0.0000",
        "1.0000",
        "-0.2500",
        "2e-07",
        "∞",
        "-∞",
    ]
    assert [written_p(p) for p in (0.05, 1e-9, np.nan)] == ["0.0500", "< 0.0001", "–"]


def test_effect_sizes_feed_a_fit_and_undefined_ones_are_left_out_with_a_flag():
    table = {"ai": [4, 0, 3], "n1i": [123, 10, 231], "ci": [11, 0, 11], "n2i": [139, 12, 220]}
    sizes = meta.escalc("RR", drop00=True, slab=["a", "b", "c"], **table)
    fit = meta.fit(sizes)
    assert fit.k == 2 and fit.flagged(Flag.UNDEFINED) and fit.measure == "RR" and fit.slab == ("a", "b", "c")
    assert fit.beta == pytest.approx(meta.fit(sizes.yi, sizes.vi, keep=sizes.defined).beta)
    assert meta.bayes(sizes).flagged(Flag.UNDEFINED) and not meta.fit(meta.escalc("RD", **table)).flagged(
        Flag.UNDEFINED
    )
    assert meta.subgroups(meta.escalc("OR", **table), None, list("xyx"), method="EE").groups == ("x", "y")
    with pytest.raises(PoolingError, match="vi: expected none next to effect sizes"):
        meta.fit(sizes, [1, 2, 3])
    with pytest.raises(PoolingError, match="vi: expected the sampling variance of each effect, found none"):
        meta.fit([0.1, 0.2])


def test_probabilities_are_those_of_the_fits_own_distribution():
    by_t = stats.t(3).sf((-0.5 - FIT.beta) / FIT.se)
    assert FIT.p_mean_reaches(-0.5) == pytest.approx(by_t)
    by_z = meta.fit(YI, VI, test="z")
    assert by_z.p_mean_reaches(by_z.ci_lb) == pytest.approx(0.975)
    assert FIT.p_mean_reaches(FIT.ci_ub) == pytest.approx(0.025)
    assert FIT.p_new_setting_reaches(FIT.pi_ub) == pytest.approx(0.025)
    wider = stats.t(2).sf((-0.2 - FIT.beta) / np.sqrt(FIT.se**2 + FIT.tau2 + 0.3))
    assert FIT.p_series_reaches(-0.2, 0.3) == pytest.approx(wider)
    assert np.isnan(meta.fit(YI[:2], VI[:2]).p_new_setting_reaches(0.0))
    assert np.isnan(meta.fit(YI, VI, method="EE", test="z").p_new_setting_reaches(0.0))
    batch = robustness.leave_one_out(FIT)
    assert batch.p_mean_reaches(0.0) == pytest.approx(
        [float(stats.t(2).sf(-b / s)) for b, s in zip(batch.beta, batch.se, strict=True)]
    )
    with pytest.raises(PoolingError, match="expected a fit of a single mean"):
        meta.fit(YI, VI, mods=[1.0, 2.0, 3.0, 5.0]).p_mean_reaches(0.0)
    shares = meta.glmm([3, 4, 18, 3, 3], [10, 15, 56, 6, 24], test="z")
    assert shares.p_mean_reaches(0.3) == pytest.approx(stats.norm.sf((np.log(3 / 7) - shares.beta) / shares.se))
    posterior = meta.bayes(YI, VI)
    assert posterior.p_mean_reaches(-0.5) == pytest.approx(posterior.mu.ge(-0.5))
    assert posterior.p_series_reaches(-0.5, 0.0) == pytest.approx(posterior.p_new_setting_reaches(-0.5), abs=1e-12)
    new = posterior.theta_new
    drawn = (new.weights * stats.norm.sf((0.2 - new.means) / np.sqrt(new.sds**2 + 0.3))).sum()
    assert posterior.p_series_reaches(0.2, 0.3) == pytest.approx(drawn)


@pytest.mark.parametrize(
    "function",
    [
        robustness.leave_one_out, robustness.influence, robustness.baujat, robustness.all_subsets, robustness.egger,
        robustness.rank_test, robustness.pet_peese, robustness.trim_and_fill, robustness.fail_safe_n, robustness.hc,
        robustness.s_value, robustness.tes, meta.permutation_test,
    ],
    ids=lambda f: f.__name__,
)  # fmt: skip
def test_functions_take_a_fit_effect_sizes_or_arrays(function):
    sizes = meta.EffectSizes(np.array(YI), np.array(VI))
    found = [function(FIT), function(sizes), function(YI, VI)]
    if function is robustness.tes:  # a fit's own estimator, equal effects for arrays
        found = [function(FIT), function(sizes, method="REML"), function(YI, VI, method="REML")]
    shown = [numbers_of(one) for one in found]
    assert len(shown[0]) > 1
    for other in shown[1:]:
        assert shown[0] == pytest.approx(other, nan_ok=True)
    with pytest.raises(PoolingError, match="vi: expected none next to a fit"):
        function(FIT, VI)


def numbers_of(result):
    """The plain numbers of a result, those of a fit inside it among them."""
    found = []
    for name in sorted(vars(result)):
        value = getattr(result, name)
        if isinstance(value, meta.Fit):
            found += np.ravel(value.beta).tolist()
        elif isinstance(value, float | int | np.ndarray | np.number) and np.asarray(value).dtype.kind in "fiu":
            found += np.ravel(value).tolist()
    return found


def test_a_fit_brings_its_method_test_and_level_and_what_is_said_replaces_them():
    fit = meta.fit(YI, VI, method="DL", test="z", level=0.9)
    assert robustness.trim_and_fill(fit).original.method == "DL"
    assert robustness.hc(fit).level == 0.9 and robustness.hc(fit, level=0.8).level == 0.8
    assert robustness.s_value(fit).fit.test == "z" and robustness.s_value(fit, test="t").fit.test == "t"
    assert robustness.egger(fit, model="rma").fit.method == "DL"
    assert (
        robustness.egger(meta.fit(meta.EffectSizes(np.array(YI), np.array(VI), None, "OR")))
        .flags[-1]
        .startswith("not advised: the")
    )
    kept = meta.fit(YI, VI, keep=[True, True, True, False])
    assert robustness.rank_test(kept).k == 3 and robustness.rank_test(FIT, keep=[True, True, False, True]).k == 3
    with pytest.raises(PoolingError, match="egger: expected a fit of a single mean, found one with moderators"):
        robustness.egger(meta.fit(YI, VI, mods=[1.0, 2.0, 3.0, 5.0]))
