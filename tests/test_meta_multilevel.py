"""Multilevel models and cluster-robust standard errors: against every reference fit, dense formulas, laws, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cellclaims.errors import PoolingError
from cellclaims.meta import fit as pool
from cellclaims.meta.multilevel import Levels, multilevel, robust

#: The reference comes from a general optimiser; its files state tolerances of 1e-10 to 1e-13 in the likelihood.
TOLERANCE = 1e-4
#: Where nothing was optimised but tau2, by tight solvers on both sides.
TIGHT = 1e-8
#: The reference's root search stops at the fourth root of rounding.
LIMIT_TOLERANCE = 1e-3
DATASETS = 7


def threelevel(oracle):
    return [(name, content) for name, content in oracle.starting("mv_") if content["kind"] == "threelevel"]


def reference_fit(content, key):
    method, test, *only = key.split("_")
    rows = content["rows"]
    groups = {"outer": rows["l1"]} if only else {"outer": rows["l1"], "inner": rows["l2"]}
    return multilevel(rows["yi"], rows["vi"], groups, method=method, test=test, dfs="residual")


def test_every_three_level_fit_agrees_or_is_the_worse_optimum(oracle, capsys):
    fits = compared = 0
    lines = []
    for name, content in threelevel(oracle):
        for key, record in content["fits"].items():
            ours = reference_fit(content, key)
            pairs = {f: (getattr(ours, f), record[f]) for f in ("beta", "se", "ci_lb", "ci_ub")}
            pairs |= {"stat": (ours.stat, record["zval"]), "Q": (ours.Q, record["QE"])}
            pairs["loglik"] = (ours.loglik, record["logLik"])
            if "pi" in record:
                pairs |= {"pi_lb": (ours.pi_lb, record["pi"][0]), "pi_ub": (ours.pi_ub, record["pi"][1])}
            for field, (found, expected) in pairs.items():
                assert abs(found - expected) <= TOLERANCE * max(1.0, abs(expected)), (name, key, field)
            # A relative error of the statistic weighs its square in the logarithm of P.
            steep = TOLERANCE * (1 + ours.stat**2)
            assert ours.p == pytest.approx(record["pval"], rel=steep, abs=1e-300), (name, key)
            expected = np.atleast_1d(record["sigma2"])
            off = np.abs(ours.sigma2 - expected).max() / max(expected.sum(), ours.structure.typical)
            assert off < TOLERANCE, (name, key)
            gain = ours.loglik - ours.structure.loglik(expected, ours.method)
            # With all the spread put on one level the quadratic form is 1e4 and more: rounding, not a better optimum.
            assert gain > -1e-12 * (100 + abs(ours.loglik)), (
                f"{name} {key}: the reference has the better optimum by {-gain}"
            )
            if gain > 1e-9:
                lines.append(f"  {name} {key}: the reference is the worse optimum by {gain:.1e}")
            compared += len(pairs) + 1 + expected.size
            fits += 1
    with capsys.disabled():
        print(f"\n{compared} quantities of {fits} rma.mv fits compared", *lines, sep="\n")
    assert fits == 5 * DATASETS


def check_robust(ours, record, tolerance):
    names = {"beta": "beta", "se": "se", "ci_lb": "ci_lb", "ci_ub": "ci_ub", "stat": "tval", "df": "df"}
    for name, theirs in names.items():
        expected = record[theirs]
        assert abs(getattr(ours, name) - expected) <= tolerance * max(abs(expected), abs(record["se"])), name
    assert ours.p == pytest.approx(record["pval"], rel=100 * tolerance)
    assert ours.n_clusters == record["n_clusters"]
    return len(names) + 2


def test_every_robust_record_agrees(oracle, capsys):
    fits = compared = 0
    for _name, content in threelevel(oracle):
        model = reference_fit(content, "REML_z")
        for key, record in content["robust"].items():
            compared += check_robust(robust(model, content["rows"]["l1"], key[:3]), record, 1e-5)
            fits += 1
    for _name, content in oracle.analyses():
        for method, record in content.get("robust", {}).items():
            source = content["escalc"] if "escalc" in content else content["rows"]
            y, v = (np.array(source[c], float) for c in ("yi", "vi"))
            kept = np.isfinite(y) & np.isfinite(v)
            model = pool(y[kept], v[kept], method=method, test="z")
            for key in ("CR0", "CR1", "CR2_clubSandwich"):
                compared += check_robust(robust(model, record["cluster"], key[:3]), record[key], TIGHT)
                fits += 1
    with capsys.disabled():
        print(f"\n{compared} quantities of {fits} robust fits compared")
    assert fits == 2 * DATASETS + 54


def test_profile_limits_of_the_variances(oracle):
    content = oracle["mv_konstantopoulos2011"]
    ours = reference_fit(content, "REML_z")
    expected = content["confint_sigma2"]
    assert ours.sigma2_ci[0] == pytest.approx(expected["sigma2_1"][1:], rel=LIMIT_TOLERANCE)
    assert ours.sigma2_ci[1, 0] == pytest.approx(expected["sigma2_2"][1], rel=LIMIT_TOLERANCE)
    # The reference found no upper limit of the second level; here the profile has fallen by half the chi-squared
    # quantile.
    grid = np.linspace(0.01, 0.3, 600)
    upper = ours.sigma2_ci[1, 1]
    profile = max(ours.structure.loglik(np.array([s, upper]), "REML") for s in grid)
    assert 2 * (ours.loglik - profile) == pytest.approx(stats.chi2.ppf(0.95, 1), abs=1e-3)


RNG = np.random.default_rng(20261120)
GROUPS = np.repeat(np.arange(8), [1, 3, 2, 4, 1, 5, 2, 3])
Y = RNG.normal(0.3, 0.4, 8)[GROUPS] + RNG.normal(0, 0.3, GROUPS.size)
V = RNG.uniform(0.01, 0.1, GROUPS.size)
#: Sampling errors of one group share half their variance, and two groups share a control.
SHARED = np.sqrt(np.outer(V, V)) * (0.5 * (GROUPS[:, None] == GROUPS) + 0.5 * np.eye(GROUPS.size))
SHARED[0, 1] = SHARED[1, 0] = 0.2 * np.sqrt(V[0] * V[1])


@pytest.mark.parametrize("covariance", [np.diag(V), SHARED], ids=["independent", "shared"])
@pytest.mark.parametrize("method", ["REML", "ML"])
def test_likelihood_and_derivatives_equal_dense_formulas(covariance, method):
    structure = Levels(Y, covariance, [GROUPS, np.arange(Y.size)])
    at = np.array([0.12, 0.05])
    dense = covariance + at[0] * (GROUPS[:, None] == GROUPS) + at[1] * np.eye(Y.size)
    weights = np.linalg.inv(dense).sum(0)
    mean = weights @ Y / weights.sum()
    expected = stats.multivariate_normal.logpdf(Y, np.full(Y.size, mean), dense)
    if method == "REML":
        expected += 0.5 * (np.log(2 * np.pi) + np.log(Y.size) - np.log(weights.sum()))
    here = structure.evaluate(at, method)
    assert here.value == pytest.approx(expected, rel=1e-12)
    assert structure.mean(at) == pytest.approx((mean, weights.sum() ** -0.5), rel=1e-12)
    for i, step in enumerate(np.eye(2) * 1e-5):
        ends = [structure.evaluate(at + sign * step, method) for sign in (1, -1)]
        assert here.score[i] == pytest.approx((ends[0].value - ends[1].value) / 2e-5, rel=1e-6)
        assert here.observed[i] == pytest.approx(-(ends[0].score - ends[1].score) / 2e-5, rel=1e-6)


def test_one_level_of_estimates_is_the_ordinary_random_effects_model():
    one = multilevel(Y, V, {"estimate": np.arange(Y.size)}, test="z")
    other = pool(Y, V, method="REML", test="z")
    assert (one.beta, one.se, one.tau2) == pytest.approx((other.beta, other.se, other.tau2), rel=1e-7)
    assert (one.Q, one.I2[0]) == pytest.approx((other.Q, other.I2), rel=1e-7)


@pytest.mark.parametrize("factor", [1e-4, 1e3])
def test_scale_shift_and_order_carry_through(factor):
    one = multilevel(Y, SHARED, GROUPS)
    other = multilevel(5 + factor * Y, factor**2 * SHARED, GROUPS)
    assert other.sigma2 == pytest.approx(factor**2 * one.sigma2, rel=1e-6)
    assert other.beta - 5 == pytest.approx(factor * one.beta, rel=1e-6)
    order = RNG.permutation(Y.size)
    turned = multilevel(Y[order], SHARED[np.ix_(order, order)], GROUPS[order])
    assert turned.sigma2 == pytest.approx(one.sigma2, rel=1e-7)


def test_no_point_of_a_grid_is_more_likely():
    model = multilevel(Y, SHARED, GROUPS)
    grid = np.concatenate([[0.0], np.geomspace(1e-4, 2, 40)])
    best = max(model.structure.loglik(np.array([a, b]), "REML") for a in grid for b in grid)
    assert best <= model.loglik + 1e-9


def test_labels_count_within_the_outer_level():
    inner = np.concatenate([np.arange(n) for n in np.bincount(GROUPS)])
    one = multilevel(Y, V, {"study": GROUPS, "estimate": inner})
    other = multilevel(Y, V, GROUPS)
    assert one.sigma2 == pytest.approx(other.sigma2, rel=1e-9) and one.groups_a_level == (8, 21)


def test_degrees_of_freedom_and_intervals():
    contain, residual = multilevel(Y, V, GROUPS), multilevel(Y, V, GROUPS, dfs="residual")
    assert (contain.df, residual.df) == (7, 20)
    assert contain.ci_ub - contain.beta == pytest.approx(stats.t.ppf(0.975, 7) * contain.se, rel=1e-10)
    width = stats.t.ppf(0.975, 6) * np.sqrt(contain.se**2 + contain.tau2)
    assert contain.pi_ub - contain.beta == pytest.approx(width, rel=1e-10)


def test_a_single_outer_group_has_no_upper_limit_and_does_not_loop():
    model = multilevel([0.1, 0.4, 0.9], [0.02] * 3, {"study": ["a"] * 3, "estimate": [1, 2, 3]})
    assert model.sigma2[0] == 0 and model.sigma2_ci[0].tolist() == [0.0, np.inf]


def test_a_boundary_is_named():
    model = multilevel([0.1, 0.1, 0.1, 0.1], [0.1] * 4, ["a", "a", "b", "b"])
    assert model.sigma2.tolist() == [0.0, 0.0]
    assert sum("boundary" in words for words in model.flags) == 2


def test_robust_standard_errors_by_hand():
    model = pool([0.1, 0.5, 0.9], [0.1, 0.1, 0.1], method="EE", test="z")
    result = robust(model, ["a", "b", "c"], "CR0")
    # Equal weights: the sum of squared residuals 0.32 over k squared.
    assert result.se == pytest.approx(np.sqrt(0.32) / 3) and result.df == 2
    assert robust(model, ["a", "b", "c"], "CR1").se == pytest.approx(np.sqrt(0.32 / 9 * 1.5))
    # With one estimate a cluster CR2 divides each squared residual by 1 - 1/3: the usual variance of a mean.
    assert robust(model, ["a", "b", "c"]).se == pytest.approx(np.sqrt(0.32 / 2 / 3))


def test_robust_variance_is_unbiased_under_the_model():
    covariance = SHARED + 0.1 * (GROUPS[:, None] == GROUPS)
    clusters = np.maximum(GROUPS, 1)
    root = np.linalg.cholesky(covariance)
    draws = RNG.normal(size=(4000, Y.size)) @ root.T
    from cellclaims.meta.multilevel import _sandwich

    groups = [np.flatnonzero(clusters == c) for c in np.unique(clusters)]
    mean = np.mean([_sandwich(y, covariance, groups, "CR2")[0] for y in draws])
    assert mean == pytest.approx(1 / np.linalg.inv(covariance).sum(), rel=0.05)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([0.1, 0.2], [0.1], [1, 2]), "shape"),
        (([0.1, np.nan], [0.1, 0.1], [1, 2]), "finite"),
        (([0.1, 0.2], [0.1, 0.0], [1, 2]), "positive definite"),
        (([0.1, 0.2], [[0.1, 0.2], [0.0, 0.1]], [1, 2]), "symmetric"),
        (([0.1, 0.2], [[0.1, 0.2], [0.2, 0.1]], [1, 2]), "positive definite"),
        (([0.1, 0.2], [0.1, 0.1], [1, 2, 3]), "groups"),
        (([0.1, 0.2], [0.1, 0.1], {}), "at least one level"),
        (([0.1, 0.2], [0.1, 0.1], [1, 2]), "same groups"),
    ],
)
def test_refusals(arguments, match):
    with pytest.raises(PoolingError, match=match):
        multilevel(*arguments)


def test_refusals_of_options_and_clusters():
    with pytest.raises(PoolingError, match="method"):
        multilevel(Y, V, GROUPS, method="DL")
    model = multilevel(Y, V, GROUPS)
    with pytest.raises(PoolingError, match="kind"):
        robust(model, GROUPS, "HC3")
    with pytest.raises(PoolingError, match="one label a study"):
        robust(model, GROUPS[:3])
    with pytest.raises(PoolingError, match="at least 2 clusters"):
        robust(model, np.zeros(Y.size))
    with pytest.raises(PoolingError, match="covariance between two"):
        robust(model, np.arange(Y.size))
    with pytest.raises(PoolingError, match="one fit"):
        robust(pool([[0.1, 0.2], [0.3, 0.4]], [0.1, 0.1]), [1, 2])
    with pytest.raises(PoolingError, match="weights: expected a fit by inverse variances"):
        robust(pool([0.1, 0.2], [0.1, 0.1], weights=[1.0, 2.0]), [1, 2])
