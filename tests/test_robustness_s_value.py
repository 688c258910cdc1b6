"""S-values against the authors' closed forms, against the weighted mean they stand for, and against their laws."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellclaims import meta, robustness
from cellclaims.errors import PoolingError

from .robustness_records import effects

Z = 1.959963984540054


def corrected(y: np.ndarray, v: np.ndarray, affirmative: np.ndarray, eta: float, tau2: float) -> tuple[float, float]:
    """Mean and standard error when nonaffirmative studies weigh ``eta`` times as much."""
    w = np.where(affirmative, 1.0, eta) / (v + tau2)
    return (w * y).sum() / w.sum(), np.sqrt((w**2 * (v + tau2)).sum()) / w.sum()


def closed_form_of_the_interval(y, v, affirmative, q):
    """Root of the quadratic equation for a lower limit of q (Mathur and VanderWeele 2020, fixed effects)."""
    a, b = ((y[s] / v[s]).sum() for s in (~affirmative, affirmative))
    c, d = ((1 / v[s]).sum() for s in (~affirmative, affirmative))
    roots = np.roots([(a - q * c) ** 2 - Z**2 * c, 2 * (a - q * c) * (b - q * d), (b - q * d) ** 2 - Z**2 * d])
    real = roots[np.isreal(roots)].real
    return min(eta for eta in real if eta > 1 and (b - q * d) + eta * (a - q * c) > 0)


Y = np.array([0.9, 0.7, 0.8, 0.1, -0.15, 0.05, 1.1, -0.1])
V = np.array([0.04, 0.05, 0.09, 0.03, 0.06, 0.04, 0.15, 0.02])


def test_the_fixed_effects_values_are_the_closed_forms_of_the_authors():
    found = robustness.s_value(Y, V, method="EE", test="z")
    by_hand = (Y / V)[found.affirmative].sum() / -(Y / V)[~found.affirmative].sum()
    assert found.s_value == pytest.approx(by_hand, rel=1e-12) and by_hand > 1
    assert found.s_value_ci == pytest.approx(closed_form_of_the_interval(Y, V, found.affirmative, 0.0), rel=1e-10)


@pytest.mark.parametrize(("method", "test"), [("EE", "z"), ("REML", "z"), ("DL", "knha"), ("REML", "adhoc")])
@pytest.mark.parametrize("q", [0.0, 0.1, -0.05])
def test_at_the_s_value_the_effect_or_its_limit_is_q(method, test, q):
    found = robustness.s_value(Y, V, q=q, method=method, test=test)
    tau2 = 0.0 if method == "EE" else found.fit.tau2
    if np.isfinite(found.s_value):
        assert corrected(Y, V, found.affirmative, found.s_value, tau2)[0] == pytest.approx(q, abs=1e-12)
    if np.isfinite(found.s_value_ci) and found.s_value_ci > 1:
        weights = np.where(found.affirmative, 1.0, found.s_value_ci) / (V + tau2)
        assert meta.fit(Y, V, weights=weights, method=method, test=test).ci_lb == pytest.approx(q, abs=1e-9)
    assert 1.0 <= found.s_value_ci <= found.s_value


def test_what_the_authors_find_on_the_bcg_trials(oracle):
    """Their own tests: not explained in either model, and an interval beyond two-fold selection."""
    y, v = effects(oracle["bcg__RR"])
    for method, test in (("EE", "z"), ("REML", "adhoc")):
        found = robustness.s_value(y, v, method=method, test=test)
        assert found.favoured == "less" and found.s_value == np.inf
        assert any("not explained by selection" in words for words in found.flags)
        assert found.s_value_ci > 2
    naive = robustness.s_value(y, v, q=-0.4, method="EE", test="z")
    assert naive.s_value_ci == 1.0 and any("includes q already" in words for words in naive.flags)
    assert (naive.fit.beta, naive.fit.ci_lb) == pytest.approx((-0.4302852, -0.5096613), abs=1e-7)


def test_the_worst_case_pools_nonaffirmative_studies_alone():
    found = robustness.s_value(Y, V)
    rest = ~found.affirmative
    w = 1 / (V[rest] + found.fit.tau2)
    assert found.worst_case.beta == pytest.approx(np.average(Y[rest], weights=w), rel=1e-12)
    assert found.affirmative.tolist() == (Y / np.sqrt(V) > Z).tolist()


@given(st.sampled_from([1e-4, 0.5, 1e4]), st.booleans())
@settings(max_examples=12, deadline=None)
def test_s_values_do_not_depend_on_scale_or_direction(c, turned):
    sign = -1.0 if turned else 1.0
    here, there = robustness.s_value(Y, V, q=0.02), robustness.s_value(sign * c * Y, c**2 * V, q=sign * c * 0.02)
    assert (there.s_value, there.s_value_ci) == pytest.approx((here.s_value, here.s_value_ci), rel=1e-8)
    assert there.favoured == ("less" if turned else "greater")


def test_studies_left_out_count_for_nothing():
    keep = np.array([True] * 8 + [False])
    with_one = robustness.s_value([*Y, np.nan], [*V, 0.0], keep=keep)
    without = robustness.s_value(Y, V)
    assert (with_one.s_value, with_one.s_value_ci) == pytest.approx((without.s_value, without.s_value_ci), rel=1e-12)
    assert not with_one.affirmative[8]


def test_without_studies_of_one_kind_nothing_can_be_explained_and_it_says_so():
    none = robustness.s_value([0.1, 0.2, 0.15], [0.1, 0.2, 0.1])
    assert none.s_value == np.inf and "no affirmative study" in none.flags[0]
    only = robustness.s_value([2.0, 2.2, 1.8], [0.1, 0.2, 0.1])
    assert only.s_value == only.s_value_ci == np.inf and only.worst_case is None
    assert "no nonaffirmative study" in only.flags[0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"q": 2.0, "favoured": "greater"}, "q: expected short of the pooled effect"),
        ({"favoured": "up"}, "favoured: expected one of greater, less"),
        ({"alpha": 1.0}, "alpha: expected a number between 0 and 1"),
        ({"yi": [0.5], "vi": [0.01]}, "s_value: expected at least 2 studies, found 1"),
        ({"yi": [Y, Y]}, r"expected one data set, found a batch of shape \(2,\)"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(arguments, message):
    with pytest.raises(PoolingError, match=message):
        robustness.s_value(**({"yi": Y, "vi": V} | arguments))
