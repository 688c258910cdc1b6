"""The engine against metafor, file by file, and against itself: a batch is its fits one by one."""

from __future__ import annotations

import numpy as np
import pytest

from cellclaims import meta
from cellclaims.errors import PoolingError
from cellclaims.meta.quantiles import t_quantile

#: metafor's own solutions stop about this close to the root, relative to tau2 or to a hundredth of the mean
#: variance where tau2 is zero or almost (README of the reference values).
TAU2, TAU2_FLOOR = 1e-8, 1e-2
#: What follows from tau2 inherits its accuracy.
RELATIVE = 1e-8
#: Rounding on the effect's own scale, in standard errors: for numbers that are zero or almost.
FLOOR = 1e-11

METHODS = ("EE", "DL", "HE", "HS", "HSk", "SJ", "ML", "REML", "EB", "PM", "PMM", "GENQ")
TESTS = ("z", "t", "knha", "adhoc")


def kept(analysis: dict) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effects, variances and which rows metafor used; rows it left out hold no numbers."""
    columns = analysis["escalc"]
    return np.array(columns["yi"], float), np.array(columns["vi"], float), np.array(analysis["kept"], bool)


class Comparison:
    """Collects every disagreement of one analysis, so that one run shows them all."""

    def __init__(self, name: str, vi: np.ndarray) -> None:
        self.name, self.mean_vi = name, float(np.mean(vi))
        self.count, self.wrong = 0, []

    def __call__(self, what: str, found: float, expected: float | None, floor: float = 0.0) -> None:
        self.count += 1
        expected = np.nan if expected is None else float(expected)
        close = np.isclose(found, expected, rtol=RELATIVE, atol=floor, equal_nan=True)
        if not close:
            self.wrong.append(f"{self.name} {what}: expected {expected!r}, found {float(found)!r}")

    def tau2(self, what: str, found: float, expected: float) -> None:
        self(what, found, expected, floor=TAU2 * TAU2_FLOOR * self.mean_vi)

    def effect(self, what: str, found: float, expected: float) -> None:
        self(what, found, expected, floor=FLOOR * np.sqrt(self.mean_vi))


def compare_method(check: Comparison, pooled: meta.Fit, expected: dict, method: str) -> None:
    typical = expected["vt"]
    check.tau2(f"{method} tau2", pooled.tau2, expected["tau2"])
    check(f"{method} se_tau2", pooled.se_tau2, expected["se_tau2"])
    check(f"{method} I2", pooled.I2, expected["I2"], floor=100 * TAU2 * TAU2_FLOOR * check.mean_vi / typical)
    check(f"{method} H2", pooled.H2, expected["H2"], floor=FLOOR)
    check(f"{method} Q", pooled.Q, expected["QE"], floor=FLOOR)
    check(f"{method} Q_p", pooled.Q_p, expected["QEp"])


def compare_test(check: Comparison, pooled: meta.Fit, expected: dict, what: str) -> None:
    for name in ("beta", "se", "ci_lb", "ci_ub"):
        check.effect(f"{what} {name}", getattr(pooled, name), expected[name])
    if expected["se"]:
        check(f"{what} stat", pooled.stat, expected["zval"], floor=FLOOR)
        check(f"{what} p", pooled.p, expected["pval"])


def compare_prediction(check: Comparison, pooled: meta.Fit, expected: list, what: str) -> None:
    """At k = 2 metafor goes on with one degree of freedom where k - 2 is zero; here there is no interval."""
    lower, upper = expected if pooled.k > 2 else (np.nan, np.nan)
    # A half-width q sqrt(se^2 + tau2) moves by q^2 d / (2 half) when tau2 moves by d.
    quantile, half = t_quantile(0.95, pooled.k - 2), (upper - lower) / 2
    inherited = quantile**2 * TAU2 * TAU2_FLOOR * check.mean_vi / (2 * half) if half > 0 else 0.0
    check(f"{what} pi_lb", pooled.pi_lb, lower, floor=FLOOR * np.sqrt(check.mean_vi) + inherited)
    check(f"{what} pi_ub", pooled.pi_ub, upper, floor=FLOOR * np.sqrt(check.mean_vi) + inherited)


@pytest.mark.parametrize("method", METHODS)
def test_every_fit_agrees_with_metafor(oracle, method):
    analyses = tests = compared = 0
    wrong = []
    for name, analysis in oracle.analyses():
        yi, vi, keep = kept(analysis)
        check, expected = Comparison(name, vi[keep]), analysis["fits"][method]
        for test in (t for t in TESTS if t in expected["tests"]):
            weights = 1 / vi if method == "GENQ" else None
            pooled = meta.fit(yi, vi, keep=keep, weights=weights, method=method, test=test)
            compare_method(check, pooled, expected, method)
            compare_test(check, pooled, expected["tests"][test], f"{method} {test}")
            riley = expected["tests"][test].get("pi", {}).get("riley")
            if riley:
                compare_prediction(check, pooled, riley, f"{method} {test}")
            tests += 1
        analyses += 1
        compared += check.count
        wrong += check.wrong
    assert not wrong, f"{len(wrong)} of {compared}:\n" + "\n".join(wrong[:40])
    assert analyses == 167
    print(f"{method}: {compared} quantities of {tests} fits of {analyses} analyses compared")


@pytest.mark.parametrize("method", ["DL", "ML", "PM", "REML"])
def test_q_profile_limits_agree_with_metafor(oracle, method):
    wrong, compared, empty = [], 0, 0
    for name, analysis in oracle.analyses():
        expected = analysis["diagnostics"]["confint"][f"{method}_QP"]
        yi, vi, keep = kept(analysis)
        limits = meta.confint(meta.fit(yi, vi, keep=keep, method=method))
        assert limits.empty == expected["ci_null"], name
        if limits.empty:
            assert np.isnan(limits.tau2_lb) and "empty set" in limits.in_words()
            empty += 1
            continue
        check = Comparison(name, vi[keep])
        for part, (_, lower, upper) in ((p, expected[p]) for p in ("tau2", "I2", "H2")):
            scale = {"tau2": 1.0, "I2": 100.0, "H2": 1.0}[part] * TAU2 * TAU2_FLOOR
            floor = scale * check.mean_vi / (1.0 if part == "tau2" else analysis["fits"]["DL"]["vt"])
            check(f"{method} {part}_lb", getattr(limits, f"{part}_lb"), lower, floor)
            if expected["ub_sign"] == ">":  # metafor stopped searching there, and says so
                assert getattr(limits, f"{part}_ub") > upper, name
            else:
                check(f"{method} {part}_ub", getattr(limits, f"{part}_ub"), upper, floor)
        compared += check.count
        wrong += check.wrong
    assert not wrong, f"{len(wrong)} of {compared}:\n" + "\n".join(wrong[:40])
    assert empty > 0
    print(f"{method}: {compared} limits compared, {empty} empty sets")


@pytest.mark.parametrize("method", ["ML", "REML"])
def test_profile_likelihood_limits_agree_with_metafor(oracle, method):
    wrong, compared = [], 0
    for name, analysis in oracle.analyses():
        expected = analysis["diagnostics"]["confint"].get(f"{method}_PL")
        if expected is None:
            continue
        yi, vi, keep = kept(analysis)
        limits = meta.confint(meta.fit(yi, vi, keep=keep, method=method), kind="profile likelihood")
        check, (_, lower, upper) = Comparison(name, vi[keep]), expected["tau2"]
        floor = TAU2 * TAU2_FLOOR * check.mean_vi
        check(f"{method} tau2_lb", limits.tau2_lb, lower, floor)
        if expected["ub_sign"] == ">":
            assert limits.tau2_ub > upper, name
        else:
            check(f"{method} tau2_ub", limits.tau2_ub, upper, floor)
        compared += check.count
        wrong += check.wrong
    assert not wrong, f"{len(wrong)} of {compared}:\n" + "\n".join(wrong[:40])
    print(f"{method}: {compared} limits compared")


#: Two studies of equal variance, two units apart: Q = 2, tr P = 2 - 2/2 = 1, tau2 = 2 - 1, se = sqrt((1 +
#: 1) / 2).
BY_HAND = {"yi": [0.0, 2.0], "vi": [1.0, 1.0]}


@pytest.mark.parametrize("method", ["DL", "PM", "EB", "REML"])
def test_two_equal_studies_match_the_hand_calculation(method):
    pooled = meta.fit(**BY_HAND, method=method, test="z")
    found = (pooled.beta, pooled.se, pooled.tau2, pooled.Q, pooled.k, pooled.I2, pooled.H2)
    assert found == pytest.approx((1.0, 1.0, 1.0, 2.0, 2, 50.0, 2.0), rel=1e-14)


BATCH = np.random.default_rng(20240501)
YI = BATCH.normal(0.4, 0.5, size=(6, 5, 9))
VI = BATCH.uniform(0.01, 0.6, size=(6, 5, 9))
KEEP = BATCH.random((6, 5, 9)) < 0.7


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("method", METHODS)
def test_a_batch_is_its_fits_one_by_one(method, test):
    weights = 1 / VI**0.5 if method == "GENQ" else None
    batch = meta.fit(YI, VI, keep=KEEP, weights=weights, method=method, test=test)
    assert batch.shape == batch.beta.shape == batch.pi_lb.shape == batch.Q_p.shape == (6, 5)
    for place in np.ndindex(batch.shape):
        keep = KEEP[place]
        own = None if weights is None else weights[place][keep]
        one = meta.fit(YI[place][keep], VI[place][keep], weights=own, method=method, test=test)
        for name in ("beta", "se", "ci_lb", "ci_ub", "tau2", "se_tau2", "I2", "Q", "Q_p", "pi_lb", "p", "k"):
            # Sums of the same terms in another order.
            assert getattr(batch, name)[place] == pytest.approx(getattr(one, name), rel=1e-11, abs=1e-12, nan_ok=True)
        assert batch.flag_names()[place] == one.flags
        assert batch.weights[place][keep] == pytest.approx(one.weights, rel=1e-10)


def test_effects_shared_by_all_fits_need_not_be_repeated():
    yi, vi = YI[0, 0], VI[0, 0]
    leave_one_out = ~np.eye(9, dtype=bool)
    shared = meta.fit(yi, vi, keep=leave_one_out)
    repeated = meta.fit(np.tile(yi, (9, 1)), np.tile(vi, (9, 1)), keep=leave_one_out)
    assert np.array_equal(shared.beta, repeated.beta)
    assert np.array_equal(shared.tau2, repeated.tau2)
    moved = meta.fit(yi[None] + np.arange(3.0)[:, None], vi)
    assert moved.beta == pytest.approx(moved.beta[0] + np.arange(3.0), rel=1e-13)


def test_a_single_study_is_shown_and_not_pooled():
    pooled = meta.fit([0.3], [0.04])
    assert (pooled.beta, pooled.k) == (0.3, 1) and np.isnan([pooled.Q, pooled.Q_p]).all()
    assert pooled.se == pytest.approx(0.2, rel=1e-15)
    assert pooled.ci_ub == pytest.approx(0.3 + 1.959963984540054 * 0.2, rel=1e-15)
    assert np.isnan([pooled.tau2, pooled.I2, pooled.pi_lb, pooled.se_tau2]).all()
    assert pooled.flags == ("single study: shown, not pooled",)
    assert np.isnan(meta.confint(pooled).tau2_ub)
    assert meta.confint(pooled).in_words().startswith("no limits")


def test_where_nothing_is_kept_there_is_nothing_and_it_says_so():
    pooled = meta.fit([0.3, 0.1], [0.04, 0.1], keep=[[False, False], [True, True]])
    assert np.isnan(pooled.beta[0]) and np.isnan(pooled.se[0]) and np.isnan(pooled.p[0])
    assert pooled.flag_names()[0] == ("no study kept: nothing to pool",)
    assert pooled.beta[1] == pytest.approx(meta.fit([0.3, 0.1], [0.04, 0.1]).beta)


def test_no_number_is_missing_without_a_flag():
    """Flags are what stands beside a NaN: without one of them every number of every fit is there."""
    pooled = meta.fit(YI, VI, keep=KEEP)
    clean = pooled.flags & ~(meta.Flag.TAU2_ZERO | meta.Flag.FEW | meta.Flag.SEVERAL_MODES) == 0
    assert clean.sum() > 20
    for name in (
        "beta",
        "se",
        "ci_lb",
        "ci_ub",
        "tau2",
        "se_tau2",
        "I2",
        "H2",
        "Q",
        "Q_p",
        "pi_lb",
        "pi_ub",
        "p",
    ):
        assert np.isfinite(getattr(pooled, name)[clean]).all(), name


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"yi": [0.1, 0.2], "vi": [0.1]}, "as many studies in each of yi, vi"),
        ({"yi": [], "vi": []}, "one number a study"),
        ({"yi": 0.3, "vi": 0.1}, "one number a study"),
        ({"yi": ["a", "b"], "vi": [0.1, 0.1]}, "yi: expected numbers"),
        (
            {"yi": [0.1, np.nan], "vi": [0.1, 0.1]},
            "effect: expected a finite number .within 1e.50., found nan at study 1",
        ),
        ({"yi": [0.1, np.inf], "vi": [0.1, 0.1]}, "found inf at study 1"),
        ({"yi": [0.1, 0.2], "vi": [0.1, 0.0]}, "variance: expected finite and above zero .* found 0.0 at study 1"),
        ({"yi": [0.1, 0.2], "vi": [-0.1, 0.1]}, "variance: expected finite and above zero .* found -0.1 at study 0"),
        ({"yi": [0.1, 0.2], "vi": [0.1, np.nan]}, "variance: expected finite and above zero .* found nan at study 1"),
        ({"yi": [0.1, 0.2], "vi": [0.1, 1e-60]}, "1e-50 to 1e.50., found 1e-60 at study 1"),
        ({"yi": np.empty((0, 2)), "vi": [0.1, 0.1]}, "at least one fit, found a batch of shape"),
        ({"yi": [[0.1, 0.2]] * 3, "vi": [[0.1, 0.1]] * 2}, "leading axes that broadcast"),
        ({"yi": [[0.1, 0.2], [0.1, 0.2]], "vi": [[0.1, 0.1], [0.1, -1.0]]}, "study 1 of fit 1"),
        ({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "keep": [1, 0]}, "keep: expected True or False"),
        ({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "method": "remla"}, "method: expected one of .*REML.*'remla'"),
        ({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "test": "HKSJ"}, "test: expected one of z, t, knha, adhoc"),
        ({"yi": [0.1, 0.2], "vi": [0.1, 0.1], "level": 95}, "level: expected a number between 0 and 1"),
    ],
)
def test_what_cannot_be_pooled_is_refused_by_name(arguments, message):
    with pytest.raises(PoolingError, match=message):
        meta.fit(**arguments)


def test_an_unusable_study_may_be_left_out_by_name():
    pooled = meta.fit([0.1, 0.2, np.nan], [0.1, 0.1, 0.0], keep=[True, True, False])
    assert pooled.k == 2 and pooled.weights[2] == 0.0


def test_the_limits_of_an_equal_effects_fit_are_refused():
    with pytest.raises(PoolingError, match="expected a fit with a tau2, found method EE"):
        meta.confint(meta.fit([0.1, 0.2], [0.1, 0.1], method="EE"))
