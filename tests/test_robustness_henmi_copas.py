"""The interval of Henmi and Copas against metafor, against an independent integral, and against its own laws."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import gammainc

from cellclaims import meta, robustness
from cellclaims.errors import PoolingError
from cellclaims.meta.flags import names_of

from .robustness_records import FLOOR, TAU2, TAU2_FLOOR, Ledger, effects, records

#: metafor's root search stops this close to the quantile, in standard deviations of the mean.
ROOT = np.finfo(float).eps ** 0.25


def test_every_interval_agrees_with_metafor(oracle):
    """Limits as exact as metafor's root search makes them; the next test holds ours to ten digits."""
    ledger = Ledger()
    for name, key, analysis, expected in records(oracle, "hc"):
        yi, vi = effects(analysis)
        found, what, floor = robustness.hc(yi, vi), f"{name} {key}", FLOOR * np.sqrt(vi.mean())
        ledger.records += 1
        ledger(f"{what} beta", found.beta, expected["beta"], atol=floor)
        ledger(f"{what} se", found.se, expected["se"], atol=floor)
        ledger(f"{what} tau2", found.tau2, expected["tau2"], atol=TAU2 * TAU2_FLOOR * vi.mean())
        inflation = found.se * np.sqrt((1 / vi).sum())
        for limit in ("ci_lb", "ci_ub"):
            ledger(f"{what} {limit}", getattr(found, limit), expected[limit], rtol=0, atol=ROOT * inflation * found.se)
    ledger.close("intervals of Henmi and Copas", expected_records=334)


def half_width(y: np.ndarray, v: np.ndarray) -> float:
    """The equations of the paper with adaptive integration and Brent's root, nothing shared with the package."""
    w, k = 1 / v, len(y)
    w1 = w.sum()
    w2, w3, w4 = ((w**power).sum() / w1 for power in (2, 3, 4))
    mean = (w * y).sum() / w1
    tau2 = max(0.0, ((w * (y - mean) ** 2).sum() - (k - 1)) / (w1 - w2))
    vr = 1 + tau2 * w2

    def outside(t):
        def integrand(r):
            r2 = r * r / vr
            e = (k - 1) + tau2 * (w1 - w2) + tau2**2 * (r2 - 1 / vr) * (w3 - w2**2)
            var = 2 * (k - 1) + 4 * tau2 * (w1 - w2) + 2 * tau2**2 * (w1 * w2 - 2 * w3 + w2**2)
            var += 4 * tau2**2 * (r2 - 1 / vr) * (w3 - w2**2)
            var += 4 * tau2**3 * (r2 - 1 / vr) * (w4 - 2 * w2 * w3 + w2**3)
            var += 2 * tau2**4 * (1 / vr**2 - 2 * r2 / vr) * (w3 - w2**2) ** 2
            q = (w1 / w2 - 1) * ((r / t) ** 2 - 1) + (k - 1)
            return gammainc(e**2 / var, q * e / var) * np.exp(-r * r / 2) / np.sqrt(2 * np.pi)

        edges = [t, t + 0.05, t + 0.3, t + 1, t + 3, t + 9]
        parts = itertools.pairwise(edges)
        return sum(quad(integrand, a, b, epsabs=1e-14, epsrel=1e-11, limit=300)[0] for a, b in parts)

    return brentq(lambda t: outside(t) - 0.025, 0.01, 2.2, xtol=1e-13) * vr / np.sqrt(w1)


@pytest.mark.parametrize(
    "name", ["bcg__RR", "edge_fisher_osc__GEN", "obrien2003__PLO", "edge_k3__GEN", "linde2015__OR"]
)
def test_limits_agree_with_an_independent_integral(oracle, name):
    yi, vi = effects(oracle[name])
    found = robustness.hc(yi, vi)
    assert (found.ci_ub - found.ci_lb) / 2 == pytest.approx(half_width(yi, vi), rel=1e-10)


RNG = np.random.default_rng(20240614)
YI, VI = RNG.normal(0.2, 0.6, (6, 8)), RNG.uniform(0.02, 0.5, (6, 8))


@given(st.integers(0, 5), st.floats(-3, 3), st.sampled_from([1e-6, 0.1, 1e6]))
@settings(max_examples=30, deadline=None)
def test_the_interval_follows_scale_and_origin(row, shift, c):
    here = robustness.hc(YI[row], VI[row])
    there = robustness.hc(c * (YI[row] + shift), c**2 * VI[row])
    for name in ("beta", "ci_lb", "ci_ub"):
        assert getattr(there, name) == pytest.approx(c * (getattr(here, name) + shift), rel=1e-9, abs=1e-10 * c)


def test_centre_and_weights_are_those_of_equal_effects_and_the_level_orders_the_limits():
    found = [robustness.hc(YI[0], VI[0], level=level) for level in (0.8, 0.95, 0.99)]
    assert found[0].beta == meta.fit(YI[0], VI[0], method="EE").beta
    assert found[0].ci_ub < found[1].ci_ub < found[2].ci_ub


def test_a_batch_is_its_data_sets_one_by_one_and_a_single_study_is_flagged():
    keep = RNG.random((6, 8)) < 0.8
    keep[0] = [True] + [False] * 7
    batch = robustness.hc(YI, VI, keep=keep)
    assert np.isnan(batch.ci_lb[0])
    assert "too few studies for this method" in names_of(batch.flags)[0]
    for row in range(1, 6):
        one = robustness.hc(YI[row][keep[row]], VI[row][keep[row]])
        for name in ("beta", "se", "ci_lb", "ci_ub", "tau2"):
            assert getattr(batch, name)[row] == pytest.approx(getattr(one, name), rel=1e-12)
    with pytest.raises(PoolingError, match="expected at least 2 studies, found 1"):
        robustness.hc([0.1], [0.1])
