"""GRIM, GRIMMER and DEBIT: published examples, and the law that no real set of values ever fails."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction
from math import isqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from cellclaims.appraisal.granularity import (
    debit,
    grim,
    grim_can_fail,
    grim_when_cut,
    grimmer,
    grimmer_can_fail,
    possible_means,
    rounded_from,
)

VALUES = st.lists(st.integers(0, 60), min_size=2, max_size=30)
DIGITS = st.integers(0, 3)
STEPS = st.sampled_from(["1", "0.1", "0.5"])


def printed(value: Fraction, digits: int) -> str:
    """A number as a paper prints it, halves up."""
    exact = Decimal(value.numerator) / Decimal(value.denominator)
    return str(exact.quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP))


def printed_root(value: Fraction, digits: int) -> str:
    """The square root of a fraction, rounded in whole numbers and not by the floats under test."""
    scaled = value * 10 ** (2 * digits) * 4
    root = isqrt(int(scaled))  # of 4 x, so that half units are whole
    return printed(Fraction((root + 1) // 2, 10**digits), digits)


@pytest.mark.parametrize(
    ("mean", "n", "possible"),
    [("5.19", 28, False), ("5.18", 28, True), ("7.22", 32, True), ("4.74", 25, False), ("5.23", 29, False)],
)
def test_grim_agrees_with_published_examples(mean, n, possible):
    """The first two: Brown and Heathers 2017; the others: the worked data of the R package scrutiny."""
    assert grim(mean, n) is possible


def test_grimmer_and_debit_agree_with_published_examples():
    """Worked examples of the R package scrutiny, which follows Allard and Heathers and Brown."""
    assert grim("7.3", 12)
    assert not grimmer("7.3", "2.51", 12)
    assert not debit("0.35", "0.18", 20)


@given(VALUES, STEPS, DIGITS, DIGITS)
def test_no_real_set_of_values_fails(values, step, digits, sd_digits):
    n, step = len(values), Fraction(step)
    mean = Fraction(sum(values), n)
    variance = sum((x - mean) ** 2 for x in values) / (n - 1)
    printed_mean = printed(mean * step, digits)
    assert grim(printed_mean, n, step)
    assert grimmer(printed_mean, printed_root(variance * step**2, sd_digits), n, step)
    assert grimmer(printed_mean, printed_root(variance * step**2 / n, sd_digits), n, step, is_se=True)


@given(st.integers(2, 60), st.data(), DIGITS, DIGITS)
def test_no_real_share_fails(n, data, digits, sd_digits):
    k = data.draw(st.integers(0, n))
    variance = Fraction(k * (n - k), n * (n - 1))
    assert debit(printed(Fraction(k, n), digits), printed_root(variance, sd_digits), n)


@given(st.integers(1, 200), STEPS, DIGITS, st.integers(0, 2000))
def test_a_test_that_cannot_fail_does_not(n, step, digits, units):
    mean = printed(Fraction(units, 10**digits), digits)
    if not grim_can_fail(mean, n, step):
        assert grim(mean, n, step)


@given(st.integers(2, 40), st.integers(0, 400), st.integers(1, 400))
def test_where_grimmer_cannot_fail_every_spread_passes(n, mean_units, sd_units):
    mean, sd = printed(Fraction(mean_units, n), 2), printed(Fraction(sd_units, 100), 2)
    if not grimmer_can_fail(sd, n):
        assert grimmer(mean, sd, n)


@pytest.mark.parametrize(("n", "fails"), [(9, True), (10, False), (45, False)])
def test_a_mean_of_hba1c_to_two_digits_can_fail_below_ten_patients_only(n, fails):
    assert grim_can_fail("7.52", n, "0.1") is fails
    assert not grim_can_fail("7.5", n, "0.1")


def test_trailing_zeros_are_digits():
    assert rounded_from("7.30") == (Fraction("7.295"), Fraction("7.305"))
    assert grim("3.5", 11)
    assert not grim("3.50", 11)


@given(st.integers(-400, 400), st.integers(2, 12))
def test_cutting_off_is_allowed_for_and_loses_no_mean(units, n):
    """A mean that was cut off fits as such; one that was cut off can fail as rounded."""
    mean = Fraction(units, n)
    cut = Fraction(int(mean * 100), 100)  # towards zero, as cutting off digits does
    assume(cut != 0)  # the sign of a cut zero is lost
    assert grim_when_cut(("-" if mean < 0 else "") + printed(abs(cut), 2), n)


def test_the_nearest_possible_means_enclose_the_printed_one():
    below, above = possible_means("106.66", 7)
    assert (below, above) == (Fraction(746, 7), Fraction(747, 7))
    assert not grim("106.66", 7)
    assert not grim_when_cut("106.66", 7)
