"""Fail-safe numbers and the test of excess significance against metafor, and against counting."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cellclaims import meta, robustness
from cellclaims.errors import PoolingError
from cellclaims.meta.flags import names_of

from .robustness_records import FLOOR, Ledger, effects, records

#: metafor looks for the limit of the true effect with this absolute tolerance (the fourth root of the machine's).
LIMIT = np.finfo(float).eps ** 0.25
#: metafor sums products over combinations of studies: rounding on a P value that is zero or almost.
P_FLOOR = 1e-13


def test_every_fail_safe_number_agrees_with_metafor(oracle):
    ledger = Ledger()
    for name, key, analysis, expected in records(oracle, "fsn"):
        kind, *weighted = key.split("_")
        yi, vi = effects(analysis)
        found, what = robustness.fail_safe_n(yi, vi, kind=kind, weighted=bool(weighted)), f"{name} {key}"
        ledger.records += 1
        ledger(f"{what} fsnum", found.fsnum, expected["fsnum"])
        ledger(f"{what} p", found.p, expected["pval"])
        ledger(f"{what} mean", found.beta, expected["meanes"], atol=FLOOR * np.sqrt(vi.mean()))
        ledger(f"{what} target", found.target, expected["target"], atol=FLOOR * np.sqrt(vi.mean()))
    ledger.close("fail-safe numbers", expected_records=668)


def test_every_test_of_excess_significance_agrees_with_metafor(oracle):
    ledger, no_limit, beyond_reference = Ledger(), 0, 0
    for name, _, analysis, expected in records(oracle, "tes"):
        found = robustness.tes(*effects(analysis), test=expected["test"])
        ledger.records += 1
        ledger(f"{name} O", found.O, expected["O"])
        ledger(f"{name} E", found.E, expected["E"])
        ledger(f"{name} ratio", found.ratio, expected["OEratio"])
        ledger(f"{name} p", found.p, expected["pval"], atol=P_FLOOR)
        ledger(f"{name} theta", found.theta, expected["theta"], atol=FLOOR)
        (limit,) = expected["theta_lim"] if isinstance(expected["theta_lim"], list) else [expected["theta_lim"]]
        if limit is None and not np.isnan(found.theta_lim):  # metafor's search for it failed
            beyond_reference += 1
        else:
            ledger(f"{name} theta_lim", found.theta_lim, limit, atol=LIMIT)
        if np.isnan(found.theta_lim):
            no_limit += any("no limit" in words for words in found.flags)
        else:
            at_limit = robustness.tes(*effects(analysis), test=expected["test"], theta=found.theta_lim)
            assert at_limit.p == pytest.approx(0.1, rel=1e-9), name
    ledger.close("excess significance", expected_records=167)
    assert (no_limit, beyond_reference) == (53, 1)


RNG = np.random.default_rng(20240613)
YI, VI = RNG.normal(0.5, 0.4, (5, 7)), RNG.uniform(0.02, 0.3, (5, 7))


def test_rosenthals_number_is_the_last_before_significance_is_lost():
    y, v = YI[0], VI[0]
    number = robustness.fail_safe_n(y, v).fsnum
    z = (y / np.sqrt(v)).sum()
    assert z / np.sqrt(7 + number) <= 1.6448536269514722 < z / np.sqrt(7 + number - 1)


def test_orwins_number_brings_the_mean_to_its_target():
    y, v = YI[1], VI[1]
    found = robustness.fail_safe_n(y, v, kind="Orwin", target=0.1)
    assert y.sum() / (7 + found.fsnum) <= 0.1 < y.sum() / (7 + found.fsnum - 1)
    assert robustness.fail_safe_n(-y, v, kind="Orwin", target=0.1).fsnum == found.fsnum
    assert robustness.fail_safe_n(y, v, kind="Orwin", target=0.0).fsnum == np.inf


def test_a_whole_number_of_studies_is_not_rounded_up_by_the_sixteenth_digit():
    """Means 0.2 and 0.1: exactly as many again."""
    assert robustness.fail_safe_n([0.1, 0.2, 0.3], [1.0, 1.0, 1.0], kind="Orwin").fsnum == 3


def test_a_fail_safe_number_is_always_advised_against():
    for kind in ("Rosenthal", "Orwin", "Rosenberg"):
        assert any(
            "not advised as evidence" in words for words in robustness.fail_safe_n(YI[0], VI[0], kind=kind).flags
        )


def test_the_exact_test_counts_every_way_to_be_as_significant():
    found = robustness.tes(YI[2], VI[2])
    ways = itertools.product([0, 1], repeat=7)
    chance = [np.prod(np.where(w, found.power, 1 - found.power)) for w in map(np.array, ways) if sum(w) >= found.O]
    assert found.p == pytest.approx(sum(chance), rel=1e-12)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_power_over_true_effects_is_the_integral_of_power(alternative):
    """Against a quadrature: power at each true effect, true effects normal about the mean."""
    found = robustness.tes(YI[3], VI[3], method="SJ", alternative=alternative)
    nodes, shares = np.polynomial.hermite_e.hermegauss(80)
    tau = np.sqrt(meta.fit(YI[3], VI[3], method="SJ").tau2)
    at = [robustness.tes(YI[3], VI[3], theta=found.theta + tau * x, alternative=alternative).power for x in nodes]
    assert found.power == pytest.approx(shares @ np.array(at) / shares.sum(), rel=1e-8)


def test_with_equal_power_the_exact_and_the_binomial_test_are_one():
    y, v = np.array([0.1, 0.9, 0.8, 0.3, 0.7]), np.full(5, 0.1)
    exact, binomial = (robustness.tes(y, v, test=test) for test in ("exact", "binomial"))
    assert exact.p == pytest.approx(binomial.p, rel=1e-12)


@pytest.mark.parametrize("test", ["exact", "chi2", "binomial"])
def test_a_batch_is_its_data_sets_one_by_one(test):
    keep = RNG.random((5, 7)) < 0.8
    batch = robustness.tes(YI, VI, keep=keep, test=test, method="DL")
    numbers = robustness.fail_safe_n(YI, VI, keep=keep, kind="Rosenberg")
    for row in range(5):
        data = YI[row][keep[row]], VI[row][keep[row]]
        one, number = robustness.tes(*data, test=test, method="DL"), robustness.fail_safe_n(*data, kind="Rosenberg")
        for name in ("O", "E", "p", "theta", "theta_lim"):
            assert getattr(batch, name)[row] == pytest.approx(getattr(one, name), rel=1e-9, nan_ok=True)
        assert names_of(batch.flags)[row] == one.flags
        assert (numbers.fsnum[row], numbers.p[row]) == pytest.approx((number.fsnum, number.p), rel=1e-9)


def test_where_nothing_is_kept_there_is_no_number_and_it_says_so():
    keep = np.array([[False] * 7, [True] * 7])
    number, excess = robustness.fail_safe_n(YI[0], VI[0], keep=keep), robustness.tes(YI[0], VI[0], keep=keep)
    for found, value in ((number, number.fsnum), (excess, excess.p)):
        assert np.isnan(value[0]) and np.isfinite(value[1])
        assert "too few studies for this method" in names_of(found.flags)[0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: robustness.fail_safe_n([0.1], [0.1], kind="REM"), "kind: expected one of Rosenthal, Orwin, Rosenberg"),
        (lambda: robustness.fail_safe_n([0.1], [0.1], alpha=5), "alpha: expected a number between 0 and 0.5"),
        (lambda: robustness.fail_safe_n([0.1], [0.0]), "variance: expected finite and above zero"),
        (lambda: robustness.tes([0.1], [0.1], test="fisher"), "test: expected one of exact, chi2, binomial"),
        (lambda: robustness.tes([0.1], [0.1], alternative="both"), "alternative: expected one of two-sided"),
        (lambda: robustness.tes([0.1], [0.1], tes_alpha=0), "tes_alpha: expected a number between 0 and 1"),
    ],
)
def test_what_cannot_be_asked_is_refused_by_name(call, message):
    with pytest.raises(PoolingError, match=message):
        call()
