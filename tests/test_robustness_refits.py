"""Leave-one-out, cumulative, influence, Baujat and all subsets against metafor; bootstrap against its own laws."""

from __future__ import annotations

import numpy as np
import pytest

from cellclaims import meta, robustness
from cellclaims.errors import PoolingError

#: As for single fits: metafor stops this close to the root of tau2, and what follows inherits it.
TAU2, TAU2_FLOOR, RELATIVE, FLOOR = 1e-8, 1e-2, 1e-8, 1e-11
#: Diagnostics are differences of two fits, each as exact as its tau2: they lose about three digits where a
#: study changes next to nothing, and more where metafor leaves a remnant of a tau2 that is zero (it stops
#: at a step of this size).
DIAGNOSTIC, REMNANT = 1e-6, 1e-10
#: A remnant of tau2 moves the mean by no more than this many standard errors.
MEAN_MOVES = 1e-7

NAMES = {"estimate": "beta", "se": "se", "ci_lb": "ci_lb", "ci_ub": "ci_ub", "pval": "p", "zval": "stat"}
NAMES |= {"Q": "Q", "Qp": "Q_p", "tau2": "tau2", "I2": "I2", "H2": "H2"}


def kept(analysis: dict) -> tuple[np.ndarray, np.ndarray]:
    keep = np.array(analysis["kept"], bool)
    return tuple(np.array(analysis["escalc"][c], float)[keep] for c in ("yi", "vi"))


def numbers(column) -> np.ndarray:
    special = {None: np.nan, "Inf": np.inf, "-Inf": -np.inf}
    return np.array([special.get(x, x) if not isinstance(x, float | int) else x for x in column], float)


def not_converged(name: str, expected: dict) -> int:
    """How many refits of the reference stopped without a result; here there is always one."""
    return int(np.isnan(numbers(expected["estimate"] if "estimate" in expected else expected["QE_del"])).sum())


def disagreements(name: str, found: meta.Fit, expected: dict, vi: np.ndarray) -> list[str]:
    """Where a batch of refits and the reference differ; a single study is compared in what both show of it."""
    pooled = found.k > 1
    tau2_floor = TAU2 * TAU2_FLOOR * vi.mean()
    floors = {"tau2": tau2_floor, "I2": 1e4 * tau2_floor / vi.min(), "H2": 1e2 * tau2_floor / vi.min(), "pval": 1e-12}
    scale = MEAN_MOVES * found.se.max()
    floors |= {"zval": MEAN_MOVES, "Q": FLOOR, "se": FLOOR * np.sqrt(vi.mean())}
    wrong = []
    for key, column in ((k, numbers(v)) for k, v in expected.items() if k in NAMES):
        where = ~np.isnan(column)  # a refit of the reference that did not converge has no numbers
        where &= pooled if key in {"tau2", "I2", "H2", "Q", "Qp"} else True
        got = np.asarray(getattr(found, NAMES[key]))[where]
        if not np.allclose(got, column[where], rtol=RELATIVE, atol=floors.get(key, scale), equal_nan=True):
            wrong.append(f"{name} {key}: expected {column[where]}, found {got}")
    return wrong


CASES = [("REML", "REML", "z"), ("REML_knha", "REML", "knha"), ("DL", "DL", "z"), ("EE", "EE", "z")]


@pytest.mark.parametrize(("key", "method", "test"), CASES)
def test_leave_one_out_agrees_with_metafor(oracle, key, method, test):
    wrong, count = [], 0
    for name, analysis in oracle.analyses():
        expected = analysis["diagnostics"].get("leave1out", {}).get(key)
        if expected:
            yi, vi = kept(analysis)
            found = robustness.leave_one_out(meta.fit(yi, vi, method=method, test=test))
            wrong += disagreements(name, found, expected, vi)
            count += 1
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:10])
    assert count == (164 if key == "REML" else 64)


@pytest.mark.parametrize("key", ["REML", "DL", "REML_ordered"])
def test_cumulative_agrees_with_metafor(oracle, key):
    wrong, count = [], 0
    for name, analysis in oracle.analyses():
        expected = analysis["diagnostics"].get("cumul", {}).get(key)
        if expected:
            yi, vi = kept(analysis)
            rank = np.argsort(expected["order"]) if "order" in expected else None
            found = robustness.cumulative(meta.fit(yi, vi, method=key.split("_")[0], test="z"), order=rank)
            wrong += disagreements(name, found, expected, vi)
            count += 1
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:10])
    assert count == {"REML": 164, "DL": 64, "REML_ordered": 14}[key]


@pytest.mark.parametrize("method", ["REML", "DL", "EE"])
def test_influence_agrees_with_metafor(oracle, method):
    wrong, count = [], 0
    for name, analysis in oracle.analyses():
        expected = analysis["diagnostics"].get("influence", {}).get(method)
        if not expected:
            continue
        count += 1
        yi, vi = kept(analysis)
        found = robustness.influence(meta.fit(yi, vi, method=method, test="z"))
        for key in (
            "rstudent",
            "dffits",
            "cook_d",
            "cov_r",
            "tau2_del",
            "QE_del",
            "hat",
            "weight",
            "rstandard",
            "dfbetas",
        ):
            column = numbers(expected[key])
            where = ~np.isnan(column)
            got, column = getattr(found, key)[where], column[where]
            floor = REMNANT * vi.mean() if key == "tau2_del" else DIAGNOSTIC
            if not np.allclose(got, column, rtol=DIAGNOSTIC, atol=floor, equal_nan=True):
                wrong.append(f"{name} {key}: expected {column}, found {got}")
        flagged = [mark == "*" for mark in expected["inf_flag"]]
        if found.influential.tolist() != flagged:
            wrong.append(f"{name}: influential {flagged}, found {found.influential.tolist()}")
    assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:10])
    assert count == (164 if method == "REML" else 64)


def test_where_the_reference_did_not_converge_there_is_a_result(oracle):
    missing = 0
    for name, analysis in oracle.analyses():
        expected = analysis["diagnostics"].get("leave1out", {}).get("REML")
        if expected and not_converged(name, expected):
            missing += not_converged(name, expected)
            found = robustness.leave_one_out(meta.fit(*kept(analysis), test="z"))
            assert np.isfinite(found.beta).all() and np.isfinite(found.tau2).all(), name
    assert missing > 0


def test_baujat_agrees_with_metafor(oracle):
    wrong, count = [], 0
    for name, analysis in oracle.analyses():
        expected = analysis["diagnostics"].get("baujat", {}).get("EE")
        if expected:
            found = robustness.baujat(meta.fit(*kept(analysis), method="EE", test="z"))
            count += 1
            for key in ("x", "y"):
                if not np.allclose(getattr(found, key), numbers(expected[key]), rtol=RELATIVE, atol=1e-12):
                    wrong += [f"{name} {key}: expected {expected[key]}, found {getattr(found, key)}"]
    assert not wrong, "\n".join(wrong[:10])
    assert count == 164


def by_subset(found: robustness.Subsets, expected: dict, vi: np.ndarray) -> list[str]:
    """Subset by subset, found by its members; a single study has no tau2 here and zero in the reference."""
    written = ["".join("01"[b] for b in row) for row in found.keep.astype(int)]
    place, rows, fits = [written.index(row) for row in expected["incl"]], expected["rows"], found.fit
    chosen = {"estimate": fits.beta, "QE": fits.Q, "tau2": fits.tau2, "I2": fits.I2, "H2": fits.H2, "k": fits.k}
    if fits.method == "DL":
        chosen["H2"] = fits.Q / np.maximum(fits.k - 1, 1)  # as the reference's GOSH has it, below 1 at times
    floors = {"tau2": REMNANT * vi.mean(), "I2": 1e-5, "H2": 1e-7}
    wrong = []
    for key, column in rows.items():
        column, got = numbers(column), chosen[key][place]
        where = ~np.isnan(column) & ((fits.k[place] > 1) | (key not in {*floors, "QE"}))
        floor = floors.get(key, MEAN_MOVES * np.sqrt(vi.mean()))
        if not np.allclose(got[where], column[where], rtol=MEAN_MOVES, atol=floor):
            wrong.append(f"{key}: off by {np.abs(got[where] - column[where]).max()}")
    return wrong


def by_summary(found: robustness.Subsets, expected: dict, vi: np.ndarray) -> list[str]:
    """Where the reference keeps only mean, standard deviation, ends and quartiles of all subsets."""
    beta, I2 = found.fit.beta, np.nan_to_num(found.fit.I2)
    pairs = {
        "est_mean": (beta.mean(), expected["est_mean"]),
        "est_sd": (beta.std(ddof=1), expected["est_sd"]),
        "est_quantiles": (
            np.quantile(beta, [0, 0.25, 0.5, 0.75, 1]),
            np.array(expected["est_quantiles"])[[0, 2, 3, 4, 6]],
        ),
        "I2_mean": (I2.mean(), expected["I2_mean"]),
        "I2_quantiles": (np.quantile(I2, [0, 0.25, 0.5, 0.75, 1]), expected["I2_quantiles"]),
    }
    return [f"{w}: {f} {e}" for w, (f, e) in pairs.items() if not np.allclose(f, e, rtol=MEAN_MOVES, atol=1e-7)]


@pytest.mark.parametrize("method", ["REML", "DL", "EE"])
def test_all_subsets_agree_with_metafor(oracle, method):
    wrong, count = [], 0
    for name, analysis in oracle.analyses():
        expected = analysis["diagnostics"].get("gosh", {}).get(method)
        if not expected:
            continue
        count += 1
        yi, vi = kept(analysis)
        found = robustness.all_subsets(meta.fit(yi, vi, method=method, test="z"))
        assert found.complete and len(found.keep) == expected["n_subsets"], name
        compare = by_subset if "incl" in expected else by_summary
        wrong += [f"{name} {line}" for line in compare(found, expected, vi)]
    assert not wrong, "\n".join(wrong[:10])
    assert count == 23


def test_hat_values_of_regressions_agree_with_metafor(oracle):
    count = 0
    for name, analysis in oracle.analyses():
        for mods, expected in (analysis.get("metareg") or {}).items():
            used = np.array(expected["used"], bool)
            yi, vi = (np.array(analysis["escalc"][c], float)[used] for c in ("yi", "vi"))
            found = robustness.influence(meta.regress(yi, vi, np.array(expected["X"], float), test="z").fit)
            # Years as moderators are ill-conditioned in the reference.
            assert found.hat == pytest.approx(numbers(expected["hat_REML"]), rel=1e-6, abs=1e-9), (name, mods)
            count += 1
    assert count == 45


RNG = np.random.default_rng(20240504)
YI, VI = RNG.normal(0.3, 0.4, size=9), RNG.uniform(0.02, 0.3, size=9)


def test_without_a_study_is_the_fit_of_the_others():
    mods = RNG.normal(size=(9, 2))
    for fitted in (meta.fit(YI, VI), meta.regress(YI, VI, mods).fit):
        design = None if fitted.effects.design is None else mods
        without = robustness.leave_one_out(fitted)
        for i in range(9):
            others = np.arange(9) != i
            one = meta.fit(YI[others], VI[others], mods=None if design is None else mods[others])
            assert without.beta[i] == pytest.approx(one.beta, rel=1e-10)
            assert without.tau2[i] == pytest.approx(one.tau2, rel=1e-9, abs=1e-12)


def test_influence_of_a_regression_follows_from_its_definitions():
    mods = RNG.normal(size=9)
    fitted = meta.regress(YI, VI, mods, test="z").fit
    found, without = robustness.influence(fitted), robustness.leave_one_out(fitted)
    moved = fitted.beta - without.beta
    assert found.hat.sum() == pytest.approx(2.0, rel=1e-12)  # as many as coefficients
    assert found.cook_d == pytest.approx([m @ np.linalg.inv(fitted.vb) @ m for m in moved], rel=1e-10)
    assert found.cov_r == pytest.approx(np.linalg.det(without.vb) / np.linalg.det(fitted.vb), rel=1e-10)
    assert found.dfbetas.shape == (9, 2)


def test_a_study_the_fit_leaves_out_stays_out():
    keep = np.arange(9) != 4
    fitted = meta.fit(YI, VI, keep=keep)
    without = robustness.leave_one_out(fitted)
    assert without.k.tolist() == [7, 7, 7, 7, 8, 7, 7, 7, 7]
    assert without.beta[4] == pytest.approx(fitted.beta, rel=1e-12)


def test_cumulative_ends_with_the_fit_itself_and_begins_with_a_single_study():
    fitted = meta.fit(YI, VI)
    along = robustness.cumulative(fitted, order=-VI)
    assert along.beta[-1] == pytest.approx(fitted.beta, rel=1e-12)
    assert along.beta[0] == YI[np.argmax(VI)] and along.flagged(meta.Flag.SINGLE)[0]
    assert along.k.tolist() == list(range(1, 10))


def test_many_studies_are_sampled_and_it_says_so():
    yi, vi = RNG.normal(size=40), np.ones(40)
    found = robustness.all_subsets(meta.fit(yi, vi), smallest=3, most=500)
    assert not found.complete and found.keep.shape == (500, 40)
    assert found.keep.sum(axis=1).min() >= 3
    # Kept with probability a half: 20,000 draws, four standard errors.
    assert abs(found.keep.mean() - 0.5) < 4 * 0.5 / np.sqrt(20_000)
    same = robustness.all_subsets(meta.fit(yi, vi), smallest=3, most=500)
    assert np.array_equal(found.keep, same.keep)


@pytest.mark.parametrize("kind", ["studies", "parametric"])
def test_bootstrap_means_spread_as_the_standard_error_says(kind):
    yi, vi = RNG.normal(0.5, 0.5, size=60), np.full(60, 0.05)
    fitted = meta.fit(yi, vi, test="z")
    drawn = robustness.bootstrap(fitted, iterations=4000, kind=kind)
    # Variances are equal: the mean of 60 effects, resampled; 4,000 draws tell its spread to about 1 %.
    assert drawn.fit.beta.std() == pytest.approx(float(fitted.se), rel=0.06)
    assert drawn.beta_lb < fitted.beta < drawn.beta_ub
    assert drawn.tau2_lb < fitted.tau2 < drawn.tau2_ub


def test_bootstrap_of_a_regression_draws_rows_together():
    mods = np.arange(12.0)
    exact = meta.regress(1.0 + 2.0 * mods, np.full(12, 0.01), mods).fit
    drawn = robustness.bootstrap(exact, iterations=200)
    assert drawn.fit.beta == pytest.approx(np.tile([1.0, 2.0], (200, 1)), abs=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda f, b: robustness.leave_one_out(b), "expected one fit, found a batch of shape"),
        (lambda f, b: robustness.cumulative(f, order=[1, 2]), "one entry per study, 9, found 2"),
        (lambda f, b: robustness.influence(b), "found a batch of shape"),
        (lambda f, b: robustness.influence(meta.fit([0.4] * 4, [0.1] * 4, test="knha")), "errors above zero, found 0"),
        (lambda f, b: robustness.all_subsets(f, smallest=0), "from 1 to 9, found 0"),
        (lambda f, b: robustness.bootstrap(b), "expected one fit of all its studies"),
        (lambda f, b: robustness.bootstrap(f, kind="jackknife"), "kind: expected one of studies, parametric"),
        (lambda f, b: robustness.baujat(meta.fit(YI, VI, mods=VI)), "expected a fit of a single mean"),
    ],
)
def test_what_cannot_be_refitted_is_refused_by_name(call, message):
    with pytest.raises(PoolingError, match=message):
        call(meta.fit(YI, VI), meta.fit(np.stack([YI, YI]), VI))
