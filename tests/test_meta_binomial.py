"""The binomial-normal model: by known answers, metafor, plain integration, laws and refusals."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from cellclaims.errors import PoolingError
from cellclaims.meta.binomial import glmm, mean_over_settings
from cellclaims.meta.binomial_fit import likelihood, smallest_count
from cellclaims.meta.flags import IN_WORDS, BinomialFlag, in_words

#: Insulin independence 12 months after allogeneic islets: 16 reports, 106 of 236.
ISLETS = (
    [3, 1, 5, 2, 5, 11, 4, 2, 3, 20, 8, 9, 2, 8, 16, 7],
    [10, 4, 6, 10, 8, 16, 13, 10, 6, 30, 29, 24, 7, 17, 36, 10],
)
#: Insulin independence in type 2 diabetes, most favourable report: 5 cohorts, 31 of 111.
TYPE_2 = ([3, 4, 18, 3, 3], [10, 15, 56, 6, 24])

#: metafor fits with lme4, whose optimiser stops at about 1e-5 and whose curvature is a finite difference.
REFERENCE_TOLERANCE = 1e-5
#: What the reference's own standard error moves by when only its number of quadrature points is changed.
REFERENCE_SE_TOLERANCE = 3e-4
#: The reference iterates its saturated model and common proportion (glm) to 1e-8 of the deviance, here they
#: are exact.
ITERATED = 2e-6


def counts_of(record):
    return np.array([record["rows"]["xi"]], float), np.array([record["rows"]["ni"]], float)


def exact_files(oracle):
    return [(name, record) for name, record in oracle.ending("exact") if "PLO_ML_t" in record.get("glmm", {})]


def exact_loglik(x, n, mu, tau2):
    """Log-likelihood with so many nodes that none matter."""
    return likelihood(x, n, np.array([mu]), np.sqrt(np.array([tau2])), (101, 300)).value[0]


def test_islets_at_twelve_months_match_the_known_answer():
    fit = glmm(*ISLETS, nodes=15)
    assert (fit.k, fit.events, fit.n, fit.df) == (16, 106, 236, 15)
    assert [round(v, 4) for v in (fit.beta, fit.se, fit.tau2)] == [-0.2255, 0.1961, 0.2656]
    assert round(100 * fit.median, 1) == 44.4
    # Unrounded the limits are 34.446 and 54.800.
    assert 100 * np.array(fit.median_ci) == pytest.approx([34.446, 54.800], abs=5e-4)
    assert fit.flags == ()


def test_type_2_most_favourable_matches_the_known_answer():
    fit = glmm(*TYPE_2)
    assert (fit.k, fit.events, fit.n) == (5, 31, 111)
    assert (round(fit.beta, 4), fit.tau2, round(100 * fit.median, 1)) == (-0.9480, 0.0, 27.9)
    assert fit.se == pytest.approx(1 / np.sqrt(111 * (31 / 111) * (80 / 111)), rel=1e-12)
    assert fit.flags == in_words(BinomialFlag.TAU2_ZERO)


def test_every_proportion_of_the_reference_agrees_or_is_the_worse_optimum(oracle, capsys):
    compared, worse = 0, []
    files = exact_files(oracle)
    assert len(files) == 5
    for name, record in files:
        x, n = counts_of(record)
        for test in ("z", "t"):
            ours, theirs = glmm(x[0], n[0], test=test), record["glmm"][f"PLO_ML_{test}"]
            pairs = {f: (getattr(ours, f), theirs[f]) for f in ("beta", "ci_lb", "ci_ub", "tau2", "I2", "H2")}
            off = {f: abs(a - b) / max(1.0, abs(b)) for f, (a, b) in pairs.items()}
            assert abs(ours.se / theirs["se"] - 1) < REFERENCE_SE_TOLERANCE, name
            gain = exact_loglik(x, n, ours.beta, ours.tau2) - exact_loglik(x, n, theirs["beta"], theirs["tau2"])
            assert gain > -1e-10, f"{name}: metafor has the better optimum by {-gain}"
            if max(off.values()) > REFERENCE_TOLERANCE:
                worse.append(f"{name} {test}: ours is better by {gain:.1e}, largest distance {max(off.values()):.1e}")
                assert gain > 1e-12 and max(off.values()) < 5e-3, worse[-1]
            compared += len(pairs) + 1
    with capsys.disabled():
        print(f"\n{compared} quantities compared with rma.glmm PLO ML", *worse, sep="\n  ")
    assert compared == 70


def test_common_proportion_quantities_equal_the_reference(oracle, capsys):
    compared = 0
    for name, record in exact_files(oracle):
        x, n = counts_of(record)
        ours, theirs = glmm(x[0], n[0]), record["glmm"]["PLO_EE_z"]
        p = x.sum() / n.sum()
        pairs = [
            (special.logit(p), theirs["beta"]),
            (1 / np.sqrt(n.sum() * p * (1 - p)), theirs["se"]),
            (ours.Q, theirs["QE_LRT"]),
            (ours.Q_p, theirs["QEp_LRT"]),
            (ours.Q_wald, theirs["QE_Wld"]),
            (ours.loglik_common, theirs["ll"]),
        ]
        for found, expected in pairs:
            assert found == pytest.approx(expected, rel=ITERATED), name
        compared += len(pairs)
    with capsys.disabled():
        print(f"\n{compared} quantities compared with rma.glmm PLO EE")
    assert compared == 30


@pytest.mark.parametrize("data", [ISLETS, TYPE_2, ([0, 3, 20], [10, 50, 20])])
@pytest.mark.parametrize("tau", [0.3, 1.7])
def test_likelihood_equals_plain_integration(data, tau):
    x, n = (np.array([part], float) for part in data)
    mu = -0.4

    def one(xi, ni):
        def density(u):
            return stats.binom.pmf(xi, ni, special.expit(mu + tau * u)) * stats.norm.pdf(u)

        return np.log(integrate.quad(density, -12, 12, epsabs=0, epsrel=1e-12, limit=400, points=[-2, 0, 2])[0])

    expected = sum(one(a, b) for a, b in zip(x[0], n[0], strict=True))
    coefficients = np.log(special.binom(n, x)).sum()
    ours = likelihood(x, n, np.array([mu]), np.array([tau]), (61,)).value[0] + coefficients
    assert ours == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("data", [ISLETS, ([1, 9, 3, 15, 4], [20, 12, 30, 22, 9])])
def test_standard_error_is_the_curvature_of_the_likelihood(data):
    x, n = (np.array([part], float) for part in data)
    fit = glmm(*data)
    h = 1e-3  # fourth-order differences: error about h^4

    def value(a, b):
        return exact_loglik(x, n, fit.beta + a, (fit.tau + b) ** 2)

    def second(f):
        return (-f(2 * h) + 16 * f(h) - 30 * f(0) + 16 * f(-h) - f(-2 * h)) / (12 * h * h)

    mu_mu, tau_tau = second(lambda a: value(a, 0)), second(lambda b: value(0, b))
    mu_tau = (second(lambda a: value(a, a)) - mu_mu - tau_tau) / 2
    assert fit.se == pytest.approx(np.sqrt(tau_tau / (mu_tau**2 - mu_mu * tau_tau)), rel=1e-6)


@pytest.mark.parametrize("data", [ISLETS, TYPE_2, ([0, 3], [10, 10])])
def test_profile_limits_are_where_the_profile_has_fallen_by_the_quantile(data):
    x, n = (np.array([part], float) for part in data)
    fit = glmm(*data)
    top = exact_loglik(x, n, fit.beta, fit.tau2)
    for limit in fit.profile:
        taus = np.concatenate([np.linspace(0, 3, 3001), np.linspace(3, 10, 500)])
        size = taus.size
        values = likelihood(np.repeat(x, size, 0), np.repeat(n, size, 0), np.full(size, limit), taus, (41, 200)).value
        assert 2 * (top - values.max()) == pytest.approx(special.chdtri(1, 0.05), abs=2e-4)
    assert fit.profile_lb < fit.beta < fit.profile_ub


def test_prediction_interval_uses_k_minus_two():
    fit = glmm(*ISLETS)
    half = stats.t.ppf(0.975, 14) * np.sqrt(fit.se**2 + fit.tau2)
    assert (fit.pi_lb, fit.pi_ub) == pytest.approx((fit.beta - half, fit.beta + half), rel=1e-12)


def test_mean_over_settings_equals_plain_integration():
    fit = glmm(*ISLETS)
    expected = integrate.quad(lambda z: special.expit(fit.beta + fit.tau * z) * stats.norm.pdf(z), -10, 10)[0]
    assert fit.mean == pytest.approx(expected, abs=1e-10)
    assert abs(fit.mean - 0.5) < abs(fit.median - 0.5)
    assert mean_over_settings(0.0, 4.0) == pytest.approx(0.5, abs=1e-14)


def test_claims_have_the_tails_of_their_t_distributions():
    fit = glmm(*ISLETS)
    assert fit.p_mean_reaches(fit.median_ci[1]) == pytest.approx(0.025, abs=1e-12)
    assert fit.p_new_setting_reaches(special.expit(fit.pi_lb)) == pytest.approx(0.975, abs=1e-12)
    assert fit.p_mean_reaches(fit.median) == pytest.approx(0.5, abs=1e-12)


@pytest.mark.parametrize(("c", "n"), [(0.3, 20), (0.6, 508), (0.93, 508), (0.5, 1), (0.9, 3), (0.01, 40)])
def test_a_new_series_is_the_binomial_over_the_predictive(c, n):
    fit = glmm(*ISLETS)
    scale = np.sqrt(fit.se**2 + fit.tau2)
    needed = smallest_count(c, n)

    def density(t):
        return stats.binom.sf(needed - 1, n, special.expit(fit.beta + scale * t)) * stats.t.pdf(t, fit.k - 2)

    expected = integrate.quad(density, -60, 60, epsabs=1e-13, limit=4000, points=[-5, 0, 5])[0]
    assert fit.p_series_reaches(c, n) == pytest.approx(expected, abs=1e-9)


def test_a_longer_series_approaches_the_new_setting():
    fit = glmm(*ISLETS)
    assert fit.p_series_reaches(0.6, 10**6) == pytest.approx(fit.p_new_setting_reaches(0.6), abs=1e-5)


@pytest.mark.parametrize("test", ["t", "z"])
def test_a_batch_equals_its_fits_one_by_one(test):
    rng = np.random.default_rng(20261120)
    n = rng.integers(3, 30, (2, 2, 7))
    x = rng.binomial(n, rng.beta(2, 3, n.shape))
    keep = rng.random(n.shape) < 0.8
    batch = glmm(x, n, keep=keep, test=test)
    assert batch.beta.shape == (2, 2)
    for i in np.ndindex(2, 2):
        one = glmm(x[i][keep[i]], n[i][keep[i]], test=test)
        for name in (
            "beta",
            "se",
            "tau2",
            "ci_lb",
            "pi_ub",
            "I2",
            "Q",
            "lrt_p",
            "loglik",
            "mean",
            "profile_ub",
        ):
            expected, found = getattr(one, name), getattr(batch, name)[i]
            assert found == pytest.approx(expected, rel=1e-7, abs=1e-9, nan_ok=True), (name, i)
        assert batch.flag_names()[i] == one.flags


counts = st.lists(st.tuples(st.integers(1, 40), st.floats(0, 1)), min_size=3, max_size=8)


@settings(max_examples=25, deadline=None)
@given(counts)
def test_counting_the_others_mirrors_the_fit(rows):
    n = np.array([size for size, _ in rows])
    x = np.round([size * share for size, share in rows]).astype(int)
    one, other = glmm(x, n), glmm(n - x, n)
    if one.flagged(BinomialFlag.TAU2_AT_BOUND):
        return
    assert one.beta == pytest.approx(-other.beta, rel=1e-6, abs=1e-7, nan_ok=True)
    assert one.tau2 == pytest.approx(other.tau2, rel=1e-6, abs=1e-7)
    assert one.pi_lb == pytest.approx(-other.pi_ub, rel=1e-6, abs=1e-6, nan_ok=True)


@settings(max_examples=25, deadline=None)
@given(counts)
def test_no_point_of_a_fine_grid_beats_the_fit(rows):
    n = np.array([size for size, _ in rows], float)
    x = np.round(n * [share for _, share in rows])
    fit = glmm(x, n)
    if not np.isfinite(fit.beta):
        assert any(
            fit.flagged(f) for f in (BinomialFlag.NO_EVENTS, BinomialFlag.ALL_EVENTS, BinomialFlag.TAU2_UNBOUNDED)
        )
        return
    mu, tau = (part.ravel() for part in np.meshgrid(np.linspace(-5, 5, 41), np.linspace(0, 6, 25)))
    grid = likelihood(np.tile(x, (mu.size, 1)), np.tile(n, (mu.size, 1)), mu, tau, (41, 200)).value
    assert grid.max() <= exact_loglik(x[None], n[None], fit.beta, fit.tau2) + 1e-5


@pytest.mark.parametrize(
    ("data", "flags"),
    [
        (([0, 0], [4, 5]), {BinomialFlag.NO_EVENTS, BinomialFlag.NO_PREDICTION, BinomialFlag.FEW}),
        (([5, 5, 5], [5, 5, 5]), {BinomialFlag.ALL_EVENTS, BinomialFlag.NO_PREDICTION, BinomialFlag.FEW}),
        (([0, 5, 5], [5, 5, 5]), {BinomialFlag.TAU2_UNBOUNDED, BinomialFlag.NO_PREDICTION, BinomialFlag.FEW}),
        (([3], [10]), {BinomialFlag.SINGLE, BinomialFlag.NO_PREDICTION}),
        (([3, 4], [10, 11]), {BinomialFlag.FEW, BinomialFlag.NO_PREDICTION, BinomialFlag.TAU2_ZERO}),
        (([1, 0, 1, 1, 0], [1] * 5), {BinomialFlag.TAU2_NOT_IDENTIFIED, BinomialFlag.TAU2_ZERO}),
    ],
)
def test_what_cannot_be_estimated_is_named(data, flags):
    fit = glmm(*data)
    assert {flag for flag in BinomialFlag if fit.flagged(flag)} == flags
    assert set(fit.flags) == {IN_WORDS[BinomialFlag][flag] for flag in flags}
    assert not np.isnan([fit.ci_lb, fit.ci_ub, *fit.profile]).any()
    spread = [fit.tau2, fit.Q, fit.Q_p, fit.I2, fit.H2]
    assert np.isnan(spread).all() if BinomialFlag.SINGLE in flags else not np.isnan(spread[:3]).any()
    assert np.isnan(fit.pi_lb) == (BinomialFlag.NO_PREDICTION in flags)


def test_one_report_has_the_interval_of_clopper_and_pearson():
    fit = glmm([1], [16])
    assert fit.median_ci == pytest.approx((stats.beta.ppf(0.025, 1, 16), stats.beta.ppf(0.975, 2, 15)), rel=1e-9)
    assert fit.p_mean_reaches(0.3) == pytest.approx(stats.beta.sf(0.3, 1.5, 15.5), rel=1e-9)


def test_without_events_the_limit_is_finite_and_one_sided():
    fit = glmm([0, 0, 0], [10, 20, 6])
    assert (fit.beta, fit.ci_lb, fit.profile_lb) == (-np.inf, -np.inf, -np.inf)
    assert special.expit(fit.profile_ub) == pytest.approx(1 - np.exp(-special.chdtri(1, 0.05) / 72), rel=1e-9)
    assert special.expit(fit.ci_ub) == pytest.approx(1 - 0.025 ** (1 / 36), rel=1e-9)


def test_a_choice_that_keeps_nothing_is_flagged():
    fit = glmm([3, 4], [10, 11], keep=[False, False])
    assert fit.flags == in_words(BinomialFlag.NOTHING_KEPT | BinomialFlag.NO_PREDICTION) and np.isnan(fit.beta)


@pytest.mark.parametrize(
    ("events", "n", "found"),
    [
        ([3, 11], [10, 10], "11.0 of 10.0"),
        ([3, -1], [10, 10], "-1.0"),
        ([3, 2.5], [10, 10], "2.5"),
        ([3, np.nan], [10, 10], "nan"),
        ([3, 0], [10, 0], "0.0 of 0.0"),
        ([], [], "shape"),
        ([1, 2], [3, 4, 5], "shapes"),
    ],
)
def test_what_is_no_count_is_refused(events, n, found):
    with pytest.raises(PoolingError, match=found):
        glmm(events, n)


def test_an_unkept_count_may_be_missing():
    assert glmm([3, np.nan, 5], [10, 4, 12], keep=[True, False, True]).k == 2


@pytest.mark.parametrize("c", [0, 1, 60])
def test_a_share_is_not_a_percentage(c):
    with pytest.raises(PoolingError, match="between 0 and 1"):
        glmm(*TYPE_2).p_mean_reaches(c)
