"""Each formula that turns a printed spread into a mean and an SD, against a way that does not use it.

Exact relations are checked on samples whose mean and SD are known; the approximations for quartiles and ranges
against the expected order statistics of a normal sample, computed by integration; worked examples where the printed
result is known for certain.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, special, stats

from cellclaims import dispersion
from cellclaims.dispersion import MeanSD
from cellclaims.errors import DataError

#: An example takes longer while the machine is busy; that is no fault.
UNHURRIED = settings(deadline=None)

#: Sums of squares in floating point; nothing here is approximated.
EXACT = 1e-12
#: Wan 2014 puts the expected order statistic at Blom's plotting position: within 2 % of it from n = 5 on.
BLOM = 0.02

SIZES = [5, 9, 17, 25, 101]
NUMBERS = st.floats(0.1, 20.0)
SIZE = st.integers(2, 400)


def expected_order_statistic(rank: int, n: int) -> float:
    """Expectation of the rank-th smallest of n standard normal values, by integration of its density."""
    log_coefficient = special.gammaln(n + 1) - special.gammaln(rank) - special.gammaln(n - rank + 1)

    def integrand(z: float) -> float:
        below, above = special.log_ndtr(z), special.log_ndtr(-z)
        return z * math.exp(log_coefficient + (rank - 1) * below + (n - rank) * above + stats.norm.logpdf(z))

    return integrate.quad(integrand, -9, 9, limit=200)[0]


def sample(n: int, mean: float, sd: float, seed: int = 1) -> np.ndarray:
    """n values of exactly that mean and SD."""
    z = np.random.default_rng(seed).normal(size=n)
    return mean + sd * (z - z.mean()) / z.std(ddof=1)


# --- exact relations ---------------------------------------------------------------------------------------------


@UNHURRIED
@given(sd=NUMBERS, n=SIZE)
def test_an_se_gives_back_the_sd_of_the_sample(sd, n):
    values = sample(n, 7.0, sd)
    assert dispersion.sd_from_se(stats.sem(values), n) == pytest.approx(sd, rel=EXACT)


@UNHURRIED
@given(sd=NUMBERS, n=SIZE, level=st.sampled_from([0.9, 0.95, 0.99]))
def test_a_confidence_interval_gives_back_the_sd_of_the_sample(sd, n, level):
    values = sample(n, 7.0, sd)
    low, high = stats.t.interval(level, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert dispersion.sd_from_interval(low, high, n, level) == pytest.approx(sd, rel=1e-9)  # two quantile routines


def test_the_handbooks_interval_gives_the_handbooks_sd():
    """Cochrane Handbook 6.5.2.2: 25 patients, 95 % interval 30.0 to 34.2, SD 5.09."""
    assert dispersion.sd_from_interval(30.0, 34.2, 25) == pytest.approx(5.09, abs=0.005)


@UNHURRIED
@given(difference=st.floats(-5, 5).filter(lambda x: abs(x) > 0.01), se=NUMBERS, df=st.integers(3, 300))
def test_a_p_value_gives_back_the_se_that_it_was_made_with(difference, se, df):
    p = 2 * stats.t.sf(abs(difference) / se, df)
    assert dispersion.se_from_p(difference, p, df) == pytest.approx(se, rel=1e-6)  # near p = 1 few digits are left


def test_the_p_value_of_the_se_is_the_area_beyond_the_t_statistic():
    df, p = 89, 0.0081
    t = 0.68 / dispersion.se_from_p(-0.68, p, df)
    log_constant = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * math.log(df * math.pi)
    density = lambda x: math.exp(log_constant - (df + 1) / 2 * math.log1p(x * x / df))  # noqa: E731
    assert 2 * integrate.quad(density, t, np.inf)[0] == pytest.approx(p, rel=1e-8)


def test_the_handbooks_p_value_gives_the_handbooks_se():
    """Cochrane Handbook 6.5.2.3: 25 against 22 patients, difference 3.8, P = 0.008: t = 2.78, SE 1.37."""
    assert dispersion.se_from_p(3.8, 0.008, 25 + 22 - 2) == pytest.approx(1.37, abs=0.005)


@UNHURRIED
@given(before=NUMBERS, after=NUMBERS, r=st.floats(-0.99, 0.99), n=st.integers(3, 100))
def test_the_sd_of_a_change_is_that_of_patients_so_correlated(before, after, r, n):
    first, noise = sample(n, 0.0, 1.0), sample(n, 0.0, 1.0, seed=2)
    noise -= first * (first @ noise) / (first @ first)
    second = r * first + math.sqrt(1 - r * r) * noise / noise.std(ddof=1)
    change = after * second - before * first
    assert dispersion.sd_of_change(before, after, r) == pytest.approx(change.std(ddof=1), rel=1e-7)


def test_a_closer_correlation_means_a_smaller_sd_of_the_change():
    spread = [dispersion.sd_of_change(1.2, 1.2, r) for r in (0.3, 0.5, 0.7, 0.9)]
    assert spread == sorted(spread, reverse=True)
    assert spread[1] == pytest.approx(1.2)  # equal SDs and r = 0.5: 2 s^2 - 2 * 0.5 * s^2 = s^2


@UNHURRIED
@given(st.lists(st.tuples(SIZE, st.floats(-3, 12), NUMBERS), min_size=1, max_size=4))
def test_combined_groups_are_the_groups_poured_together(groups):
    parts = [sample(n, mean, sd, seed) for seed, (n, mean, sd) in enumerate(groups)]
    together = np.concatenate(parts)
    made = dispersion.combine_groups([MeanSD(n, mean, sd) for n, mean, sd in groups])
    assert made.n == together.size
    assert made.mean == pytest.approx(together.mean(), rel=1e-9, abs=1e-9)
    assert made.sd == pytest.approx(together.std(ddof=1), rel=1e-9)


def test_how_groups_were_obtained_is_kept_when_they_are_combined():
    made = dispersion.combine_groups([MeanSD(5, 1.0, 1.0, "SD from SE"), MeanSD(5, 2.0, 1.0)])
    assert made.how == "SD from SE; 2 arms combined"
    assert dispersion.combine_groups([MeanSD(5, 1.0, 1.0)]).how == ""


# --- approximations for normal data ------------------------------------------------------------------------------


@pytest.mark.parametrize("n", SIZES)
def test_the_expected_quartiles_of_a_normal_sample_give_its_sd(n):
    """With n = 4q + 1 the quartiles are the order statistics q + 1 and 3q + 1 (Wan 2014)."""
    q = (n - 1) // 4
    low, high = expected_order_statistic(q + 1, n), expected_order_statistic(3 * q + 1, n)
    assert dispersion.sd_from_iqr(7 + 1.3 * low, 7 + 1.3 * high, n) == pytest.approx(1.3, rel=BLOM)


@pytest.mark.parametrize("n", SIZES)
def test_the_expected_range_of_a_normal_sample_gives_its_sd(n):
    top = expected_order_statistic(n, n)
    assert dispersion.sd_from_range(7 - 1.3 * top, 7 + 1.3 * top, n) == pytest.approx(1.3, rel=BLOM)


@pytest.mark.parametrize(("n", "d2"), [(5, 2.326), (10, 3.078), (25, 3.931)])
def test_the_range_agrees_with_the_constants_of_control_charts(n, d2):
    """d2, the expected range of n normal values in SDs, is tabulated everywhere."""
    assert dispersion.sd_from_range(0.0, d2, n) == pytest.approx(1.0, rel=BLOM)


def test_the_weight_of_the_quartiles_is_the_best_one_for_a_large_normal_sample():
    """Of w (q1 + q3)/2 + (1 - w) median the variance is least at the w of the asymptotic covariance of quantiles."""
    at, density = np.array([0.25, 0.5, 0.75]), stats.norm.pdf(stats.norm.ppf([0.25, 0.5, 0.75]))
    covariance = (np.minimum.outer(at, at) - np.outer(at, at)) / np.outer(density, density)
    middle, median = np.array([0.5, 0, 0.5]), np.array([0, 1, 0])
    away = middle - median
    best = -(away @ covariance @ median) / (away @ covariance @ away)
    used = dispersion.mean_from_quartiles(1.0, 0.0, 1.0, 1e6)  # the weight itself, as the median is 0
    assert used == pytest.approx(best, abs=0.005)  # Luo 2018 rounds it to 0.7


@pytest.mark.parametrize("n", [9, 25, 101])
def test_a_mean_from_a_median_is_less_scattered_than_the_median(n):
    """10 000 normal samples: unbiased, and closer to the mean than the median is."""
    values = np.sort(np.random.default_rng(n).normal(size=(10_000, n)), axis=1)
    q = (n - 1) // 4
    low, q1, median, q3, high = (values[:, i] for i in (0, q, 2 * q, 3 * q, n - 1))
    for made in (
        dispersion.mean_from_quartiles(q1, median, q3, n),
        dispersion.mean_from_range(low, median, high, n),
    ):
        assert made.mean() == pytest.approx(0, abs=4 / math.sqrt(n * 10_000) * 1.3)  # four standard errors
        assert made.std() < median.std()


def test_a_mean_from_a_range_agrees_with_another_implementation():
    """The documented example of Luo.mean in the R package metaBLUE: minimum 1, median 4, maximum 10, n = 30."""
    assert dispersion.mean_from_range(1, 4, 10, 30) == pytest.approx(4.356748, abs=5e-7)


@UNHURRIED
@given(centre=st.floats(4, 12), half=st.floats(0.1, 3), n=st.integers(5, 200))
def test_a_symmetric_spread_leaves_the_median_as_the_mean(centre, half, n):
    low, high = centre - half, centre + half
    assert dispersion.mean_from_quartiles(low, centre, high, n) == pytest.approx(centre)
    assert dispersion.mean_from_range(low, centre, high, n) == pytest.approx(centre)


# --- which printed pair is turned into what ----------------------------------------------------------------------

PRINTED = {
    ("mean", "sd"): (0.5, np.nan, 7.0, 0.5, ""),
    ("mean", "se"): (0.5, np.nan, 7.0, 0.5 * 5, "SD from SE"),
    ("mean", "ci95"): (6.5, 7.5, 7.0, dispersion.sd_from_interval(6.5, 7.5, 25), "confidence interval"),
    ("mean", "iqr"): (6.5, 7.5, 7.0, dispersion.sd_from_iqr(6.5, 7.5, 25), "quartiles"),
    ("mean", "range"): (6.0, 8.0, 7.0, dispersion.sd_from_range(6.0, 8.0, 25), "range"),
    ("median", "iqr"): (6.5, 8.0, None, dispersion.sd_from_iqr(6.5, 8.0, 25), "median and quartiles"),
    ("median", "range"): (6.0, 9.0, None, dispersion.sd_from_range(6.0, 9.0, 25), "median and range"),
}


@pytest.mark.parametrize("pair", PRINTED, ids=" ".join)
def test_a_printed_pair_becomes_mean_and_sd_and_says_how(pair):
    low, high, mean, sd, how = PRINTED[pair]
    made = dispersion.mean_and_sd(pair[0], 7.0, pair[1], low, high, 25)
    assert (made.n, made.sd) == (25, pytest.approx(sd))
    assert how in made.how and bool(how) == bool(made.how)
    if mean is None:  # the upper half is wider: the mean lies above the median
        assert made.mean > 7.0
    else:
        assert made.mean == mean


def test_every_pair_that_is_converted_is_tried_here():
    assert set(dispersion.CONVERSIONS) == set(PRINTED)


@pytest.mark.parametrize("pair", [("median", "sd"), ("median", "se"), ("median", "ci95"), ("mean", "none"), ("", "sd")])
def test_a_pair_that_determines_no_sd_is_refused(pair):
    with pytest.raises(DataError, match=f"{pair[0]} with dispersion {pair[1]}"):
        dispersion.mean_and_sd(pair[0], 7.0, pair[1], 0.5, np.nan, 25)


@pytest.mark.parametrize("n", [1, 0, np.nan])
def test_one_patient_has_no_spread(n):
    with pytest.raises(DataError, match="more than one patient"):
        dispersion.mean_and_sd("mean", 7.0, "sd", 0.5, np.nan, n)
