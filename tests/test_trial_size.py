"""Sizes of trials, each recomputed by another route: SciPy's noncentral t, the normal distribution, a plain search."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from cellclaims import trial_size
from cellclaims.errors import PoolingError


@pytest.mark.parametrize(("effect", "power", "alpha"), [(0.5, 0.8, 0.05), (1.0, 0.9, 0.05), (0.2, 0.8, 0.01)])
def test_a_trial_of_means_has_the_power_that_it_is_made_for(effect, power, alpha):
    n = trial_size.arm_of_means(effect, power, alpha)
    df, shift = 2 * n - 2, effect * np.sqrt(n / 2)
    edge = stats.t.ppf(1 - alpha / 2, df)
    assert stats.nct.sf(edge, df, shift) + stats.nct.cdf(-edge, df, shift) == pytest.approx(power, abs=1e-6)


def power_of(one: float, other: float, n: float, alpha: float) -> float:
    """Power of two arms of n by the normal distribution on the arcsine scale."""
    shift = 2 * abs(np.arcsin(np.sqrt(one)) - np.arcsin(np.sqrt(other))) * np.sqrt(n / 2)
    edge = stats.norm.ppf(1 - alpha / 2)
    return stats.norm.sf(edge - shift) + stats.norm.cdf(-edge - shift)


@pytest.mark.parametrize(("one", "other"), [(0.6, 0.3), (0.6, 2 / 44), (0.3, 0.15), (0.0, 0.1)])
def test_a_trial_of_proportions_has_the_power_that_it_is_made_for(one, other):
    n = trial_size.arm_of_proportions(one, other, 0.8, 0.05)
    assert power_of(one, other, n, 0.05) == pytest.approx(0.8, abs=1e-6)
    curve = trial_size.power_curve(one, other, [10, n, 200])
    assert curve.power.tolist() == pytest.approx([power_of(one, other, size, 0.05) for size in curve.arm])


def test_sizes_are_rounded_up_to_whole_participants():
    found = trial_size.trial_sizes([("60 v 30", 0.6, 0.3)])
    assert found.arm.tolist() == [42, 56] and found.both.tolist() == [84, 112]


@pytest.mark.parametrize(("proportion", "half_width"), [(0.6, 0.1), (0.3, 0.05), (0.93, 0.05)])
def test_a_single_arm_is_the_smallest_that_is_precise_enough(proportion, half_width):
    z = stats.norm.ppf(0.975)

    def half(n: float) -> float:
        return z * np.sqrt(proportion * (1 - proportion) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)

    n = trial_size.size_for_precision(proportion, half_width)
    assert half(n) <= half_width < half(n - 1)


@pytest.mark.parametrize(("one", "other"), [(0.3, 0.3), (1.2, 0.3), (0.3, -0.1)])
def test_proportions_that_cannot_be_compared_are_refused(one, other):
    with pytest.raises(PoolingError, match="two different proportions"):
        trial_size.arm_of_proportions(one, other, 0.8, 0.05)
