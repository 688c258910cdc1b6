"""Posterior distributions: against finer and plain quadrature, by simulation-based calibration, by law."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from cellclaims.errors import PoolingError
from cellclaims.meta.bayes import NormalMixture, Prior, bayes, bayes_binomial

#: What the issue asks of the integration, relative to the spread of the posterior.
TOLERANCE = 1e-9

SMALL = ([-0.4, -0.1, -0.6], [0.04, 0.05, 0.06])
NORMAL_DATA = {
    "three": SMALL,
    "one": ([-0.4], [0.04]),
    "two far apart": ([-3.0, 2.0], [0.01, 0.02]),
    "identical": ([0.2, 0.2, 0.2, 0.2], [1e-6, 1e-6, 1e-6, 1e-6]),
    "unequal": ([0.1, 0.5, -0.3, 0.9, 0.2], [1e-6, 1e-3, 0.1, 1.0, 4.0]),
    "many": (np.sin(np.arange(300.0)), np.full(300, 0.02)),
}
COUNTS = {
    "islets": (
        [3, 1, 5, 2, 5, 11, 4, 2, 3, 20, 8, 9, 2, 8, 16, 7],
        [10, 4, 6, 10, 8, 16, 13, 10, 6, 30, 29, 24, 7, 17, 36, 10],
    ),
    "type 2": ([3, 4, 18, 3, 3], [10, 15, 56, 6, 24]),
    "two": ([1, 4], [10, 15]),
    "one": ([3], [10]),
}


def summary(fit):
    probabilities = [0.005, 0.025, 0.5, 0.975, 0.995]
    parts = [[d.mean, d.sd, *d.quantile(probabilities)] for d in (fit.mu, fit.tau, fit.theta_new)]
    return np.array(parts), float(fit.theta_new.sd)


@pytest.mark.parametrize("name", NORMAL_DATA)
def test_normal_posterior_equals_a_finer_quadrature(name):
    (ours, scale), (finer, _) = (summary(bayes(*NORMAL_DATA[name], panels=p)) for p in ((8, 12), (60, 24)))
    assert np.abs(ours - finer).max() < TOLERANCE * scale


@pytest.mark.parametrize(("name", "scale"), [("islets", 1.0), ("type 2", 0.5), ("two", 2.0), ("one", 1.0)])
def test_count_posterior_equals_a_finer_quadrature(name, scale):
    prior = Prior(scale)
    ours, spread = summary(bayes_binomial(*COUNTS[name], prior))
    finer, _ = summary(bayes_binomial(*COUNTS[name], prior, panels=(14, 18), mean_points=110))
    assert np.abs(ours - finer).max() < TOLERANCE * spread


def test_normal_posterior_equals_plain_integration():
    y, v = map(np.array, SMALL)
    fit = bayes(y, v)
    z, w = np.polynomial.legendre.leggauss(300)
    tau, w_tau = 2.5 * (z + 1), 2.5 * w
    mu = np.linspace(-8, 7, 15001)
    density = np.prod([stats.norm.pdf(a, mu[:, None], np.sqrt(b + tau**2)) for a, b in zip(y, v, strict=True)], axis=0)
    joint = density * stats.halfnorm.pdf(tau, scale=0.5) * w_tau * (mu[1] - mu[0])
    total = joint.sum()
    joint /= total
    assert fit.mu.mean == pytest.approx(joint.sum(1) @ mu, abs=1e-10)
    assert fit.tau.mean == pytest.approx(joint.sum(0) @ tau, abs=1e-10)
    assert fit.log_evidence == pytest.approx(np.log(total) + np.log(2 * np.pi), abs=1e-10)
    # A tail of a step function on a grid is right to the square of the grid's step only.
    assert fit.theta_new.ge(0.0) == pytest.approx((joint * stats.norm.sf(0.0, mu[:, None], tau)).sum(), abs=1e-6)


def test_count_posterior_equals_plain_integration():
    x, n = map(np.array, COUNTS["two"])
    fit = bayes_binomial(x, n)
    u, w = np.polynomial.hermite_e.hermegauss(40)
    z, w_tau = np.polynomial.legendre.leggauss(100)
    tau, w_tau = 3.5 * (z + 1), 3.5 * w_tau
    mu = np.linspace(-25, 18, 861)
    p = special.expit(mu[:, None, None] + tau[None, :, None] * u)
    parts = [np.exp(special.xlogy(a, p) + special.xlog1py(b - a, -p)) @ w for a, b in zip(x, n, strict=True)]
    joint = np.prod(parts, axis=0) * stats.halfnorm.pdf(tau) * w_tau
    joint /= joint.sum()
    # Plain Gauss-Hermite does not follow the reports to their posteriors: four digits are what it gives.
    assert fit.mu.mean == pytest.approx(joint.sum(1) @ mu, abs=2e-4)
    assert fit.tau.mean == pytest.approx(joint.sum(0) @ tau, abs=2e-4)
    new = (joint * stats.norm.sf(0.0, mu[:, None], tau)).sum()
    assert fit.p_new_setting_reaches(0.5) == pytest.approx(new, abs=2e-4)


def test_one_study_leaves_the_prior_of_tau_as_it_was():
    fit = bayes([0.3], [0.2], Prior(0.7))
    probabilities = [0.025, 0.25, 0.5, 0.9, 0.99]
    assert fit.tau.quantile(probabilities) == pytest.approx(stats.halfnorm.ppf(probabilities, scale=0.7), abs=1e-9)
    assert (fit.mu.mean, fit.k, fit.flags) == (pytest.approx(0.3, abs=1e-12), 1, ("single study: shown, not pooled",))


@pytest.mark.parametrize("factor", [1e-4, 0.1, 37.0])
def test_scale_and_shift_carry_through(factor):
    y, v = map(np.array, SMALL)
    one, other = bayes(y, v, Prior(0.5)), bayes(5 * factor + factor * y, factor**2 * v, Prior(0.5 * factor))
    assert other.mu.mean == pytest.approx(factor * (5 + one.mu.mean), rel=1e-12)
    assert other.tau.quantile(0.9) == pytest.approx(factor * one.tau.quantile(0.9), rel=1e-9)
    assert other.pi_ub - other.pi_lb == pytest.approx(factor * (one.pi_ub - one.pi_lb), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(-3, 3), st.floats(1e-3, 2)), min_size=1, max_size=6), st.floats(0.05, 0.95))
def test_quantile_inverts_the_cdf_and_density_integrates_to_one(rows, probability):
    fit = bayes(*map(np.array, zip(*rows, strict=True)))
    for part in (fit.mu, fit.tau, fit.theta_new):
        assert part.cdf(part.quantile(probability)) == pytest.approx(probability, abs=1e-12)
        low, high = part.quantile([1e-6, 1 - 1e-6])
        grid = np.linspace(low, high, 20001)
        assert integrate.simpson(part.density(grid), x=grid) == pytest.approx(1 - 2e-6, abs=1e-5)
    assert fit.theta_new.sd**2 == pytest.approx(fit.mu.sd**2 + fit.tau.sd**2 + fit.tau.mean**2, rel=1e-8)


def test_a_normal_mixture_of_one_is_that_normal():
    one = NormalMixture(*(np.array([v]) for v in (2.0, 3.0, 1.0)))
    assert (one.mean, one.sd) == (2.0, 3.0)
    assert one.quantile([0.025, 0.6]) == pytest.approx(stats.norm.ppf([0.025, 0.6], 2, 3), rel=1e-12)


def test_a_batch_equals_its_fits():
    rng = np.random.default_rng(11)
    y, v = rng.normal(size=(3, 4, 5)), rng.uniform(0.05, 0.5, (3, 4, 5))
    keep = rng.random(y.shape) < 0.7
    keep[..., 0] = True
    batch = bayes(y, v, keep=keep)
    for i in np.ndindex(3, 4):
        one = bayes(y[i][keep[i]], v[i][keep[i]])
        for name in ("beta", "se", "ci_lb", "pi_ub", "tau2", "log_evidence"):
            assert getattr(batch, name)[i] == pytest.approx(getattr(one, name), rel=1e-8, abs=1e-10), name


def uniform_p(ranks):
    return stats.kstest(ranks, "uniform").pvalue


def test_simulation_based_calibration_of_the_normal_model():
    rng = np.random.default_rng(20261120)
    prior, runs, k = Prior(0.5, mean=0.0, mean_sd=1.0), 1500, 4
    tau, mu = np.abs(rng.normal(0, 0.5, runs)), rng.normal(0, 1, runs)
    v = rng.uniform(0.02, 0.3, (runs, k))
    y = rng.normal(mu[:, None], np.sqrt(v + tau[:, None] ** 2))
    new = rng.normal(mu, tau)
    fit = bayes(y, v, prior)
    for part, truth in ((fit.mu, mu), (fit.tau, tau), (fit.theta_new, new)):
        ranks = np.array(part.evaluate(truth)[1])
        # A wrong posterior gives P values far below this; a right one falls below once in a thousand seeds.
        assert uniform_p(ranks) > 1e-3


def test_simulation_based_calibration_of_the_count_model():
    rng = np.random.default_rng(20261121)
    prior, runs, k = Prior(1.0, mean=-0.5, mean_sd=1.0), 36, 3
    ranks = []
    for _ in range(runs):
        tau, mu = abs(rng.normal()), rng.normal(-0.5, 1.0)
        n = rng.integers(5, 30, k)
        x = rng.binomial(n, special.expit(rng.normal(mu, tau, k)))
        fit = bayes_binomial(x, n, prior, panels=(3, 8), mean_points=30)
        ranks.append([fit.mu.cdf(mu), fit.tau.cdf(tau), fit.theta_new.cdf(rng.normal(mu, tau))])
    assert min(uniform_p(column) for column in np.array(ranks).T) > 1e-3


def test_claims_follow_from_the_predictive():
    fit = bayes_binomial(*COUNTS["islets"])
    assert fit.p_mean_reaches(0.6) == pytest.approx(fit.mu.ge(special.logit(0.6)), abs=1e-14)
    values = np.linspace(-12, 12, 24001)
    weight = fit.theta_new.density(values) * (values[1] - values[0])
    expected = weight @ stats.binom.sf(59, 100, special.expit(values))
    assert fit.p_series_reaches(0.6, 100) == pytest.approx(expected, abs=1e-7)


def test_no_events_need_a_prior_of_the_mean():
    with pytest.raises(PoolingError, match="no posterior with 0 events of 9"):
        bayes_binomial([0, 0], [4, 5])
    fit = bayes_binomial([0, 0], [4, 5], Prior(1.0, mean=0.0, mean_sd=2.0))
    assert fit.mu.mean < -1 and fit.p_mean_reaches(0.5) < 0.1


@pytest.mark.parametrize("bad", [{"tau_scale": 0.0}, {"tau_scale": np.nan}, {"tau_scale": 1.0, "mean_sd": -1.0}])
def test_what_is_no_prior_is_refused(bad):
    with pytest.raises(PoolingError, match="tau_scale"):
        Prior(**bad)


def test_other_refusals():
    with pytest.raises(PoolingError, match="keeps none"):
        bayes([0.1, 0.2], [0.1, 0.1], keep=[False, False])
    with pytest.raises(PoolingError, match="between 0 and 1"):
        bayes(*SMALL).mu.quantile(1.0)
    with pytest.raises(PoolingError, match="sampling variance of the new study"):
        bayes(*SMALL).p_series_reaches(0.5, -1.0)
    with pytest.raises(PoolingError, match="shape"):
        bayes_binomial([[1, 2]], [[3, 4]])


@pytest.mark.parametrize(
    ("events", "n"), [([1, 0, 0], [10, 10, 10]), ([17, 7, 12, 34, 25], [21, 7, 12, 34, 28]), ([3, 0, 0], [37, 14, 30])]
)
def test_sparse_counts_have_a_posterior_under_a_wide_prior(events, n):
    """Far out in tau rounding leaves no information on the mean; that must not reach what counts.

    The reference integrates the logit of each study on a grid of its own.
    """
    scale, claim = 2.0, 0.3
    tau, weight = np.polynomial.legendre.leggauss(60)
    tau = 4.0 * scale * (1 + tau) / 2
    mu, eta = np.linspace(-60, 60, 601), np.linspace(-90, 90, 4501)
    likelihood = [
        np.exp(special.log_expit(eta) * x + special.log_expit(-eta) * (m - x)) for x, m in zip(events, n, strict=True)
    ]
    whole = reached = 0.0
    for t, w in zip(tau, weight, strict=True):
        kernel = stats.norm.pdf((eta - mu[:, None]) / max(t, 0.12)) / max(t, 0.12) * (eta[1] - eta[0])
        mass = w * stats.halfnorm.pdf(t, scale=scale) * np.prod([kernel @ one for one in likelihood], axis=0)
        whole += mass.sum()
        reached += (mass * stats.norm.sf((special.logit(claim) - mu) / t)).sum()
    ours = float(bayes_binomial(events, n, Prior(scale)).p_new_setting_reaches(claim))
    assert ours == pytest.approx(reached / whole, abs=3e-4)
