"""Moderators, subgroups, permutation and prediction against metafor and against their own laws."""

from __future__ import annotations

import re

import numpy as np
import pytest

from cellclaims import meta
from cellclaims.errors import PoolingError
from cellclaims.meta.quantiles import t_quantile

#: As in the comparison of single means: metafor stops this close to the root of tau2.
TAU2, TAU2_FLOOR = 1e-8, 1e-2
#: What follows from tau2 inherits its accuracy.
RELATIVE = 1e-8
#: Rounding on the effect's own scale.
FLOOR = 1e-11
#: A tail probability moves by half the change of its chi-squared, relative to itself.
#: A moderator such as the year of publication makes X'WX ill-conditioned, and metafor solves it as it is:
#: the reference's own intercepts carry this many digits less.
CONDITION = 1e-7

METHODS = ("EE", "DL", "HE", "HS", "SJ", "ML", "REML", "EB", "PM")


def regressions(oracle):
    """Every meta-regression of the reference: name, effects, variances, moderators and what metafor found."""
    for name, analysis in oracle.analyses():
        for mods, found in (analysis.get("metareg") or {}).items():
            used = np.array(found["used"], bool)
            yi, vi = (np.array(analysis["escalc"][c], float)[used] for c in ("yi", "vi"))
            yield f"{name} {mods}", yi, vi, np.array(found["X"], float), found


def tau2_floor(expected: dict, mean_vi: float) -> float:
    """metafor's Fisher scoring stops at a step of ``threshold``; nearing linearly, ten such steps may be left."""
    threshold = float(re.search("threshold=(\\S+)", expected["control"])[1])
    return max(TAU2 * TAU2_FLOOR * mean_vi, 10 * threshold)


def close(found, expected, floor=0.0, rtol=RELATIVE) -> bool:
    expected = np.array([np.nan if e is None else e for e in np.ravel(expected)], float)
    return bool(np.allclose(np.ravel(found), expected, rtol=rtol, atol=floor, equal_nan=True))


@pytest.mark.parametrize("method", METHODS)
def test_every_regression_agrees_with_metafor(oracle, method):
    wrong, compared, count = [], 0, 0
    for name, yi, vi, mods, found in regressions(oracle):
        expected, mean_vi = found["fits"][method], np.mean(vi)
        for test, numbers in expected["tests"].items():
            got = meta.regress(yi, vi, mods, method=method, test=test)
            size = np.abs(numbers["se"])
            pairs = {
                "tau2": (got.fit.tau2, expected["tau2"], tau2_floor(expected, mean_vi), RELATIVE),
                "se_tau2": (got.fit.se_tau2, expected["se_tau2"], TAU2 * TAU2_FLOOR * mean_vi, RELATIVE),
                "I2": (got.fit.I2, expected["I2"], 100 * TAU2 * TAU2_FLOOR * mean_vi / expected["vt"], RELATIVE),
                "H2": (got.fit.H2, expected["H2"], FLOOR, RELATIVE),
                "Q": (got.fit.Q, expected["QE"], FLOOR, RELATIVE),
                "Q_p": (got.fit.Q_p, expected["QEp"], 0.0, CONDITION + RELATIVE * expected["QE"]),
                "R2": (got.R2, expected["R2"], 100 * CONDITION, RELATIVE),
                "beta": (got.fit.beta, numbers["beta"], CONDITION * size, RELATIVE),
                "se": (got.fit.se, numbers["se"], 0.0, CONDITION),
                "ci_lb": (got.fit.ci_lb, numbers["ci_lb"], CONDITION * size, RELATIVE),
                "ci_ub": (got.fit.ci_ub, numbers["ci_ub"], CONDITION * size, RELATIVE),
                "p": (got.fit.p, numbers["pval"], 0.0, CONDITION),
                "QM": (got.QM, numbers["QM"], FLOOR, CONDITION),
                "QM_p": (got.QM_p, numbers["QMp"], 0.0, CONDITION * (1 + numbers["QM"])),
            }
            for what, (numbers_found, reference, floor, rtol) in pairs.items():
                if not close(numbers_found, reference, floor, rtol):
                    wrong.append(f"{name} {method} {test} {what}: expected {reference}, found {numbers_found}")
            compared += sum(np.size(found) for found, *_ in pairs.values())
        count += 1
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:30])
    assert count == 45
    print(f"{method}: {compared} numbers of {count} regressions compared")


def test_covariance_predictions_and_limits_of_regressions_agree_with_metafor(oracle):
    wrong, compared = [], 0
    for name, yi, vi, mods, found in regressions(oracle):
        fitted = meta.regress(yi, vi, mods, method="REML", test="z").fit
        expected, size = found["predict_REML"], np.max(found["predict_REML"]["se"])
        ahead = fitted.predict(np.array(expected["newmods"], float).reshape(-1, mods.shape[1]), df="normal")
        limits = meta.confint(fitted)
        pairs = {"vcov": (fitted.vb, found["vcov_REML"], CONDITION * np.max(np.abs(found["vcov_REML"])))}
        for part in ("pred", "se", "ci_lb", "ci_ub", "pi_lb", "pi_ub"):
            pairs[part] = (getattr(ahead, part), expected[part], CONDITION * size)
        typical = found["fits"]["REML"]["vt"]
        for part, scale in (("tau2", 1.0), ("I2", 100.0 / typical), ("H2", 1.0 / typical)):
            ends = getattr(limits, f"{part}_lb"), getattr(limits, f"{part}_ub")
            floor = scale * tau2_floor(found["fits"]["REML"], np.mean(vi))
            pairs[f"{part} limits"] = (ends, found["confint_REML_QP"][part][1:], floor)
        for what, (got, reference, floor) in pairs.items():
            compared += np.size(got)
            if not close(got, reference, floor, CONDITION):
                wrong.append(f"{name} {what}: expected {reference}, found {got}")
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:30])
    print(f"{compared} numbers compared")


def test_subgroups_agree_with_metafor(oracle):
    wrong, count = [], 0
    for name, analysis in oracle.analyses():
        expected = analysis.get("subgroup")
        if not expected:
            continue
        count += 1
        keep = np.array(analysis["kept"], bool)
        yi, vi = (np.array(analysis["escalc"][c], float)[keep] for c in ("yi", "vi"))
        for method in ("REML", "DL"):
            reference = expected[method]
            parts = meta.subgroups(yi, vi, expected["group"], method=method, test="z")
            common = meta.subgroups(yi, vi, expected["group"], tau2="common", method=method, test="z")
            assert list(map(str, parts.groups)) == sorted(map(str, expected["levels"])), name
            by_group = [reference["groups"][str(g)] for g in parts.groups]
            floor = TAU2 * TAU2_FLOOR * np.mean(vi)
            model = reference["common_tau2_model"]
            pairs = [
                ("beta", parts.beta, [g["beta"] for g in by_group], 1e-11),
                ("se", parts.se, [g["se"] for g in by_group], 0.0),
                ("tau2", np.where(parts.k > 1, parts.tau2, 0.0), [g["tau2"] for g in by_group], floor),
                ("k", parts.k, [g["k"] for g in by_group], 0.0),
                ("Q_between", parts.Q_between, reference["Q_between_separate_tau2"], 1e-9),
                ("Q_between_p", parts.Q_between_p, reference["Q_between_p"], 1e-9),
                ("common tau2", common.tau2[0], model["tau2"], tau2_floor(analysis["fits"][method], np.mean(vi))),
                ("common beta", common.beta[0], model["beta"][0], 1e-9),
                ("common se", common.se[0], model["se"][0], 0.0),
                ("common Q_between", common.Q_between, model["QM"], 1e-9),
                ("common Q_between_p", common.Q_between_p, model["QMp"], 1e-9),
            ]
            wrong += [f"{name} {method} {w}: {e}, found {f}" for w, f, e, a in pairs if not close(f, e, a, CONDITION)]
    assert not wrong, "\n".join(wrong[:30])
    assert count == 16


#: Here the reference's tightened convergence control fails for some of the permuted data, which it then
#: leaves out; metafor 3.8-1 with its default control gives these.
REFERENCE_DROPPED_FITS = {"edge_identical__GEN": 2 / 64, "edge_large_scale__GEN": 4 / 32}


def test_exact_permutation_tests_agree_with_metafor(oracle):
    count = 0
    for name, analysis in oracle.analyses():
        expected = analysis["diagnostics"].get("permutest", {}).get("REML_z_exact")
        if not expected:
            continue
        keep = np.array(analysis["kept"], bool)
        yi, vi = (np.array(analysis["escalc"][c], float)[keep] for c in ("yi", "vi"))
        found = meta.permutation_test(meta.fit(yi, vi, test="z"))
        assert (found.permutations, found.exact) == (expected["iter"], True), name
        assert found.p == REFERENCE_DROPPED_FITS.get(name, expected["pval"]), name
        count += 1
    assert count == 28


def test_random_permutations_come_near_the_exact_p_value_and_are_never_zero():
    yi, vi = np.array([0.2, 0.9, 1.1, 0.4, 0.8, 0.6, 0.3]), np.full(7, 0.05)
    fitted = meta.fit(yi, vi)
    exact, random = meta.permutation_test(fitted), meta.permutation_test(fitted, iterations=100, seed=3)
    assert exact.exact and exact.p == 2 / 2**7
    assert not random.exact and random.permutations == 100
    # 100 draws of a share of 1/64: three standard deviations of a binomial share, and the observed one itself.
    assert 0.01 <= random.p <= exact.p + 3 * np.sqrt(exact.p / 100) + 0.01
    again = meta.permutation_test(fitted, iterations=100, seed=3)
    assert random.p == again.p


def test_moderators_are_dealt_out_in_every_order():
    yi, vi = np.array([0.1, 0.2, 0.3, 0.4, 0.6]), np.full(5, 0.01)
    found = meta.permutation_test(meta.regress(yi, vi, np.arange(5.0), test="z").fit)
    assert (found.permutations, found.exact) == (120, True)
    # Only the given order and its mirror are as steep.
    assert found.p[1] == found.QM_p == pytest.approx(2 / 120)


def test_a_permutation_test_of_a_batch_is_refused():
    with pytest.raises(PoolingError, match="one fit of all its studies, found a batch of shape \\(2,\\)"):
        meta.permutation_test(meta.fit([[0.1, 0.2], [0.3, 0.4]], [0.1, 0.1]))


RNG = np.random.default_rng(20240502)
YI, VI = RNG.normal(0.3, 0.4, size=(4, 3, 12)), RNG.uniform(0.01, 0.4, size=(4, 3, 12))
MODS, KEEP = RNG.normal(2000.0, 5.0, size=(4, 3, 12, 2)), RNG.random((4, 3, 12)) < 0.75


@pytest.mark.parametrize("test", ["z", "adhoc"])
@pytest.mark.parametrize("method", ["EE", "DL", "SJ", "ML", "REML", "PM"])
def test_a_batch_of_regressions_is_its_regressions_one_by_one(method, test):
    batch = meta.regress(YI, VI, MODS, keep=KEEP, method=method, test=test)
    assert batch.fit.beta.shape == (4, 3, 3) and batch.fit.vb.shape == (4, 3, 3, 3) and batch.QM.shape == (4, 3)
    for place in np.ndindex(4, 3):
        keep = KEEP[place]
        one = meta.regress(YI[place][keep], VI[place][keep], MODS[place][keep], method=method, test=test)
        for name in ("beta", "se", "p", "tau2", "I2", "Q", "Q_p", "k"):
            # Years of about 2000 with a spread of 5: the intercept loses three digits to rounding.
            expected = pytest.approx(getattr(one.fit, name), rel=1e-9, abs=1e-11)
            assert getattr(batch.fit, name)[place] == expected, name
        assert (batch.QM[place], batch.QM_p[place]) == pytest.approx((one.QM, one.QM_p), rel=1e-8)
        assert batch.R2[place] == pytest.approx(one.R2, rel=1e-8, abs=1e-8)


def test_moderators_may_be_shared_by_a_batch_of_effects():
    shared = meta.regress(YI, VI, MODS[0, 0])
    assert shared.fit.beta[2, 1] == pytest.approx(meta.regress(YI[2, 1], VI[2, 1], MODS[0, 0]).fit.beta, rel=1e-9)


def test_a_constant_alone_is_the_single_mean():
    yi, vi = YI[0, 0], VI[0, 0]
    plain, constant = meta.fit(yi, vi), meta.regress(yi, vi, np.c_[np.ones(12), MODS[0, 0]], intercept=False).fit
    with_mods = meta.fit(yi, vi, mods=MODS[0, 0])
    assert constant.beta == pytest.approx(with_mods.beta, rel=1e-9)
    assert plain.coefficients == 1 and with_mods.coefficients == 3


def test_predictions_at_the_mean_of_the_moderators_lie_on_the_line():
    mods = np.arange(6.0)
    fitted = meta.regress(1.0 + 0.5 * mods, np.full(6, 0.01), mods).fit
    ahead = fitted.predict([[2.5], [10.0]])
    assert ahead.pred == pytest.approx([2.25, 6.0], rel=1e-12)
    one = fitted.predict([2.5])
    assert one.pred == pytest.approx(2.25) and np.ndim(one.pi_lb) == 0
    assert one.pi_ub - one.pred == pytest.approx(t_quantile(0.95, 3) * np.sqrt(one.se**2 + fitted.tau2), rel=1e-12)


@pytest.mark.parametrize("df", ["k-2", "k-1", "normal"])
def test_prediction_intervals_of_a_batch_by_their_degrees_of_freedom(df):
    pooled = meta.fit(YI, VI)
    ahead = meta.predict(pooled, df=df, level=0.9)
    quantile = {"k-2": t_quantile(0.9, 10), "k-1": t_quantile(0.9, 11), "normal": 1.6448536269514722}[df]
    assert ahead.pi_ub == pytest.approx(pooled.beta + quantile * np.sqrt(pooled.se**2 + pooled.tau2), rel=1e-12)
    assert ahead.ci_ub == pytest.approx(pooled.beta + t_quantile(0.9, 11) * pooled.se, rel=1e-12)


def test_an_equal_effects_model_predicts_nothing_new():
    ahead = meta.fit([0.1, 0.3, 0.2], [0.1, 0.2, 0.1], method="EE").predict()
    assert np.isnan(ahead.pi_lb) and np.isfinite(ahead.ci_lb)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: meta.regress([0.1, 0.2, 0.3], [0.1] * 3, [1.0, 2.0]), "as many studies in each of yi, vi, mods"),
        (lambda: meta.regress([0.1, 0.2, 0.3], [0.1] * 3, [1.0, 1.0, 1.0]), "depend on one another"),
        (lambda: meta.regress([0.1, 0.2], [0.1] * 2, [1.0, 2.0]), "more studies than the 2 coefficients, found 2"),
        (lambda: meta.regress([0.1, 0.2, 0.3], [0.1] * 3, [1.0, np.nan, 2.0]), "moderator: expected finite"),
        (lambda: meta.regress([0.1] * 4, [0.1] * 4, np.arange(4.0), names=["a", "b"]), "names: expected 1"),
        (lambda: meta.regress([0.1] * 4, [0.1] * 4, np.ones((4, 1)), intercept=True), "depend on one another"),
        (lambda: meta.fit([0.1] * 4, [0.1] * 4, mods=np.arange(4.0)).predict(), "newmods: expected values"),
        (lambda: meta.fit([0.1] * 4, [0.1] * 4, mods=np.arange(4.0)).predict([1, 2, 3]), "expected 1 values per row"),
        (lambda: meta.fit([0.1] * 4, [0.1] * 4).predict([1.0]), "expected none for a fit without moderators"),
        (lambda: meta.fit([0.1] * 4, [0.1] * 4).predict(df="k-3"), "df: expected one of k-2, k-1, normal"),
        (lambda: meta.subgroups([0.1, 0.2], [0.1, 0.1], ["a", "a"]), "two or more groups"),
        (lambda: meta.subgroups(np.ones((2, 2)), [0.1, 0.1], ["a", "b"]), "one effect a study, found shape"),
        (lambda: meta.subgroups([0.1, 0.2], [0.1, 0.1], ["a", "b"], tau2="mine"), "one of separate, common"),
        (lambda: meta.fit([0.1, 0.2], [0.1, 0.1], method="GENQ"), "weights: expected with method GENQ"),
        (lambda: meta.fit([0.1, 0.2], [0.1, 0.1], weights=[1.0, -1.0]), "weight: expected finite and above zero"),
    ],
)
def test_what_cannot_be_regressed_is_refused_by_name(call, message):
    with pytest.raises(PoolingError, match=message):
        call()


def test_in_a_batch_a_choice_that_cannot_be_regressed_is_flagged():
    keep = np.array([[True] * 5, [True, True, True, False, False], [True, True, False, False, False]])
    fitted = meta.fit([0.1, 0.4, 0.2, 0.6, 0.5], [0.1] * 5, keep=keep, mods=[1.0, 1.0, 1.0, 2.0, 3.0])
    assert np.isfinite(fitted.beta[0]).all() and np.isnan(fitted.beta[1:]).all() and np.isnan(fitted.tau2[1:]).all()
    names = fitted.flag_names()
    assert any("collinear" in words for words in names[1])
    assert any("no more studies than coefficients" in words for words in names[2])


def test_a_line_without_scatter_has_an_infinite_joint_test_and_says_why():
    exact = meta.regress([1.0, 2.0, 3.0, 4.0, 5.0], [0.1] * 5, np.arange(5.0), test="knha")
    flat = exact.fit.se < 1e-12  # rounding may leave a little of a standard error that is zero
    assert flat.all() and (exact.QM > 1e20) and exact.QM_p < 1e-20
