"""The beta-binomial model: against plain integration and a general optimiser, by law, at its edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from cellclaims.meta.beta_binomial import beta_binomial
from cellclaims.meta.flags import BinomialFlag, in_words

ISLETS = (
    [3, 1, 5, 2, 5, 11, 4, 2, 3, 20, 8, 9, 2, 8, 16, 7],
    [10, 4, 6, 10, 8, 16, 13, 10, 6, 30, 29, 24, 7, 17, 36, 10],
)
DATA = [ISLETS, ([3, 8, 2, 9], [10, 10, 12, 11]), ([0, 5, 5, 1], [5, 5, 6, 4])]


def loglik(x, n, a, b):
    return stats.betabinom.logpmf(x, n, a, b).sum()


@pytest.mark.parametrize("data", DATA)
def test_the_maximum_is_that_of_a_general_optimiser(data):
    x, n = map(np.array, data)
    fit = beta_binomial(x, n)
    found = optimize.minimize(lambda q: -loglik(x, n, *np.exp(q)), [0.0, 0.0], method="Nelder-Mead", tol=1e-12)
    # A simplex on a flat top finds the parameters to about the root of the likelihood's rounding.
    assert (fit.a, fit.b) == pytest.approx(tuple(np.exp(found.x)), rel=1e-5)
    assert fit.loglik == pytest.approx(loglik(x, n, fit.a, fit.b), rel=1e-12)
    assert fit.loglik >= -found.fun - 1e-11


@pytest.mark.parametrize("data", DATA)
def test_the_standard_error_is_the_curvature(data):
    x, n = map(np.array, data)
    fit = beta_binomial(x, n)
    h = 1e-3

    def value(d_mean, d_ess):
        m, s = 1 / (1 + np.exp(-fit.beta - d_mean)), fit.ess * np.exp(d_ess)
        return loglik(x, n, m * s, (1 - m) * s)

    def second(f):
        return (-f(2 * h) + 16 * f(h) - 30 * f(0) + 16 * f(-h) - f(-2 * h)) / (12 * h * h)

    aa, bb = second(lambda d: value(d, 0)), second(lambda d: value(0, d))
    ab = (second(lambda d: value(d, d)) - aa - bb) / 2
    assert fit.se == pytest.approx(np.sqrt(bb / (ab**2 - aa * bb)), rel=1e-6)


def test_series_and_new_setting_are_those_of_the_distributions():
    fit = beta_binomial(*ISLETS)
    assert fit.p_new_setting_reaches(0.6) == pytest.approx(stats.beta.sf(0.6, fit.a, fit.b), rel=1e-12)
    assert fit.p_series_reaches(0.6, 20) == pytest.approx(stats.betabinom.sf(11, 20, fit.a, fit.b), rel=1e-10)
    assert fit.ess == pytest.approx(fit.a + fit.b) and fit.rho == pytest.approx(1 / (1 + fit.ess))


def test_without_spread_the_binomial_is_reported():
    fit = beta_binomial([3, 4, 18, 3, 3], [10, 15, 56, 6, 24])
    assert (fit.ess, fit.rho, fit.lrt) == (np.inf, 0.0, 0.0)
    assert fit.mean == pytest.approx(31 / 111)
    assert fit.flags == in_words(BinomialFlag.TAU2_ZERO)
    assert fit.p_series_reaches(0.5, 20) == pytest.approx(stats.binom.sf(9, 20, 31 / 111), rel=1e-10)


def test_all_or_nothing_has_no_effective_sample():
    fit = beta_binomial([0, 5, 5], [5, 5, 5])
    assert (fit.ess, fit.rho) == (0.0, 1.0)
    assert fit.mean == pytest.approx(2 / 3) and fit.p_new_setting_reaches(0.9) == pytest.approx(2 / 3)
    assert fit.loglik == pytest.approx(2 * np.log(2 / 3) + np.log(1 / 3))
    assert fit.flags == in_words(BinomialFlag.FEW | BinomialFlag.TAU2_UNBOUNDED)


@pytest.mark.parametrize(("data", "flag"), [(([0, 0], [4, 5]), "NO_EVENTS"), (([4, 5], [4, 5]), "ALL_EVENTS")])
def test_one_sided_counts_are_named(data, flag):
    fit = beta_binomial(*data)
    assert fit.flags == in_words(BinomialFlag.FEW | BinomialFlag[flag])
    assert not np.isnan([fit.mean, fit.ci_lb, fit.ci_ub, fit.loglik]).any()


counts = st.lists(st.tuples(st.integers(1, 60), st.floats(0, 1)), min_size=2, max_size=8)


@settings(max_examples=60, deadline=None)
@given(counts)
def test_mirror_order_and_a_grid(rows):
    n = np.array([size for size, _ in rows])
    x = np.round(n * [share for _, share in rows]).astype(int)
    one, other, turned = beta_binomial(x, n), beta_binomial(n - x, n), beta_binomial(x[::-1], n[::-1])
    assert one.mean == pytest.approx(1 - other.mean, abs=1e-8)
    assert one.rho == pytest.approx(other.rho, abs=1e-7) and one.rho == pytest.approx(turned.rho, abs=1e-7)
    for m in (0.1, 0.5, 0.9):
        for s in (0.3, 3.0, 30.0):
            assert loglik(x, n, m * s, (1 - m) * s) <= one.loglik + 1e-9


def test_a_batch_equals_its_fits():
    rng = np.random.default_rng(7)
    n = rng.integers(1, 30, (20, 6))
    x = rng.binomial(n, rng.beta(2, 3, n.shape))
    keep = rng.random(n.shape) < 0.7
    batch = beta_binomial(x, n, keep=keep)
    for i in range(20):
        if keep[i].any():
            one = beta_binomial(x[i][keep[i]], n[i][keep[i]])
            for name in ("mean", "ess", "se", "ci_lb", "loglik"):
                assert getattr(batch, name)[i] == pytest.approx(getattr(one, name), rel=1e-6), (name, i)
