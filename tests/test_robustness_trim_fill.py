"""Trim and fill against metafor, record by record, and against its own laws."""

from __future__ import annotations

import csv
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cellclaims import meta, robustness
from cellclaims.errors import PoolingError
from cellclaims.meta.flags import names_of

from .conftest import REPOSITORY
from .robustness_records import FLOOR, RELATIVE, TAU2, TAU2_FLOOR, Ledger, effects, records

#: Tight refits of the REML records; those that metafor could not fit so (fewer: Fisher scoring did not converge).
TIGHT = REPOSITORY / "tests" / "reference" / "trim_fill_tight.csv"
#: metafor's tolerance inside of trimfill(): fits stop when tau2 moves by less than this, whatever the scale.
DEFAULT_STOP = 1e-5
WITHOUT_SPREAD = "edge_identical__GEN"

NUMBERS = {"se_k0": "se_k0", "p_k0": "p_k0"}
OF_FIT = {"beta": "beta", "se": "se", "ci_lb": "ci_lb", "ci_ub": "ci_ub", "zval": "stat", "pval": "p", "QE": "Q"}
OF_FIT |= {"QEp": "Q_p", "I2": "I2"}


def run(key: str, analysis: dict) -> robustness.TrimAndFill | None:
    """None where it is refused: Q0 without a root."""
    method, estimator, side = key.split("_")
    side = None if side == "auto" else side
    try:
        return robustness.trim_and_fill(*effects(analysis), estimator=estimator, side=side, method=method, test="z")
    except PoolingError as error:
        assert "root of a negative number" in str(error)
        return None


def compare(ledger: Ledger, what: str, found: robustness.TrimAndFill, expected: dict, vi: np.ndarray) -> None:
    floor = FLOOR * np.sqrt(vi.mean())
    for key, name in NUMBERS.items():
        ledger(f"{what} {name}", getattr(found, name), expected[key], atol=floor)
    for key, name in OF_FIT.items():
        ledger(f"{what} {name}", getattr(found.fit, name), expected[key], atol=floor)
    ledger(f"{what} tau2", found.fit.tau2, expected["tau2"], atol=TAU2 * TAU2_FLOOR * vi.mean())
    for name in ("yi_filled", "vi_filled"):
        for one, other in zip(getattr(found, name), expected[name], strict=True):
            ledger(f"{what} {name}", one, other, atol=floor)


def test_every_record_agrees_with_metafor(oracle):
    """REML records are in metafor's default accuracy: their count and side here, their numbers in the next test."""
    ledger, no_root, only_here = Ledger(), 0, 0
    for name, key, analysis, expected in records(oracle, "trimfill"):
        found, what = run(key, analysis), f"{name} {key}"
        if "error" in expected:
            no_root += found is None
            only_here += found is not None
            continue
        ledger.records += 1
        told = name != WITHOUT_SPREAD or not key.endswith("auto")  # there metafor reads the sign of a rounding
        side = expected["side"] if told else "left"
        assert (found.k0, found.side, found.fit.k) == (expected["k0"], side, expected["k"]), what
        ledger.quantities += 3
        if key.startswith("REML"):
            not_tight(what, found, expected, effects(analysis)[1])
        else:
            compare(ledger, what, found, expected, effects(analysis)[1])
    ledger.close("trim and fill", expected_records=1_156)
    assert (no_root, only_here) == (29, 11)


def not_tight(what: str, found: robustness.TrimAndFill, expected: dict, vi: np.ndarray) -> None:
    """What default REML fits are good for: tau2 about their tolerance from the root, the mean with it."""
    stopped = abs(found.tau2 - expected["tau2"])
    assert stopped <= DEFAULT_STOP * max(1.0, found.tau2 / vi.min()), what
    assert abs(found.beta - expected["beta"]) <= 1e-2 * found.se, what


def test_every_reml_record_agrees_with_metafor_run_tightly(oracle):
    ledger = Ledger()
    with TIGHT.open(encoding="utf-8", newline="") as lines:
        for expected in csv.DictReader(lines):
            name, key = expected["key"].split()
            found, (_, vi) = run(key, oracle[name]), effects(oracle[name])
            floor = FLOOR * np.sqrt(vi.mean())
            ledger.records += 1
            if name != WITHOUT_SPREAD:
                assert found.side == expected["side"], expected["key"]
            for column, value in (("k0", found.k0), ("se_k0", found.se_k0)):
                ledger(f"{expected['key']} {column}", value, expected[column])
            for column in ("beta", "se", "ci_lb", "ci_ub", "Q"):
                ledger(f"{expected['key']} {column}", getattr(found.fit, column), expected[column], atol=floor)
            allowed = TAU2 * TAU2_FLOOR * vi.mean()
            ledger(f"{expected['key']} tau2", found.tau2, expected["tau2"], atol=allowed)
            ledger(f"{expected['key']} I2", found.fit.I2, expected["I2"], atol=1e4 * allowed / vi.min())
    ledger.close("trim and fill with REML, metafor run tightly", expected_records=122)


RNG = np.random.default_rng(20240612)
YI, VI = RNG.normal(0.3, 0.5, (6, 9)), RNG.uniform(0.02, 0.5, (6, 9))


@given(st.integers(0, 5), st.sampled_from(["L0", "R0"]), st.floats(-3, 3), st.sampled_from([1e-6, 0.3, 1e6]))
@settings(max_examples=40, deadline=None)
def test_trim_and_fill_does_not_depend_on_scale_origin_or_direction(row, estimator, shift, c):
    y, v = YI[row], VI[row]
    here = robustness.trim_and_fill(y, v, estimator=estimator)
    moved = robustness.trim_and_fill(c * (y + shift), c**2 * v, estimator=estimator)
    turned = robustness.trim_and_fill(-y, v, estimator=estimator)
    assert (moved.k0, moved.side, turned.k0) == (here.k0, here.side, here.k0)
    assert turned.side != here.side
    assert moved.beta == pytest.approx(c * (here.beta + shift), rel=1e-8, abs=1e-10 * c)
    assert turned.beta == pytest.approx(-here.beta, rel=1e-10, abs=1e-12)


def test_a_symmetric_funnel_misses_nothing():
    y, v = np.array([-0.4, -0.2, 0.0, 0.2, 0.4]), np.array([0.4, 0.1, 0.05, 0.1, 0.4])
    for estimator in ("L0", "R0"):
        found = robustness.trim_and_fill(y, v, estimator=estimator, side="left")
        assert found.k0 == 0 and len(found.yi_filled) == 0 and found.beta == found.original.beta


def test_what_was_taken_from_a_symmetric_funnel_is_put_back():
    """Cut three studies off on the left: their mirror images come back where they were."""
    y = np.array([0.0, 0.05, -0.05, 0.1, -0.1, 0.5, 0.7, 0.9])
    v = np.array([0.01, 0.01, 0.01, 0.02, 0.02, 0.2, 0.2, 0.2])
    found = robustness.trim_and_fill(y, v, estimator="R0", method="EE", side="left")
    assert found.k0 == 2 and found.p_k0 == 0.5**3
    assert found.yi_filled == pytest.approx(2 * trimmed_mean(y, v, 2) - np.array([0.7, 0.9]), rel=1e-12)
    assert np.array_equal(found.vi_filled, [0.2, 0.2])


def trimmed_mean(y: np.ndarray, v: np.ndarray, trimmed: int) -> float:
    order = np.argsort(y)[: len(y) - trimmed]
    return float(np.average(y[order], weights=1 / v[order]))


@pytest.mark.parametrize("estimator", ["L0", "R0", "Q0"])
def test_a_batch_is_its_data_sets_one_by_one(estimator):
    keep = RNG.random((6, 9)) < 0.8
    batch = robustness.trim_and_fill(YI, VI, keep=keep, estimator=estimator, method="DL")
    words = names_of(batch.flags)
    for row in range(6):
        if any("negative number" in w for w in words[row]):
            assert np.isnan([batch.se_k0[row], batch.beta[row]]).all()
            continue
        one = robustness.trim_and_fill(YI[row][keep[row]], VI[row][keep[row]], estimator=estimator, method="DL")
        assert (batch.k0[row], batch.side[row], words[row]) == (one.k0, one.side, one.flags)
        assert batch.beta[row] == pytest.approx(one.beta, rel=1e-12)
        assert batch.se_k0[row] == pytest.approx(one.se_k0, rel=1e-12, nan_ok=True)
        assert np.sort(batch.yi_filled[row][~np.isnan(batch.yi_filled[row])]) == pytest.approx(np.sort(one.yi_filled))


#: Six studies on which trimming goes round in a circle: 1, 3, 1, 3, ...
CIRCLE = np.array([-0.7, -0.2, -0.8, -3.1, -0.6, 1.1]), np.array([2.43, 0.12, 1.54, 0.7, 6.98, 4.38])


def test_a_number_that_goes_round_in_a_circle_ends_at_its_largest_and_says_so():
    """The steps of the definition, one by one, beside what is found."""
    found = robustness.trim_and_fill(*CIRCLE, method="DL", side="left")
    assert any("alternates" in words for words in found.flags)
    y, v = (a[np.argsort(CIRCLE[0])] for a in CIRCLE)
    seen, k0 = [], 0
    for _ in range(20):
        d = y - meta.fit(y[: 6 - k0], v[: 6 - k0], method="DL").beta
        total = sum(rank for rank, i in enumerate(np.argsort(abs(d)), start=1) if d[i] > 0)
        k0 = max(0, round((4 * total - 42) / 11))
        seen.append(k0)
    assert len(set(seen[-6:])) > 1
    assert found.k0 == max(seen[-6:])


def test_sides_that_the_data_do_not_tell_are_flagged():
    equal_errors = robustness.trim_and_fill([0.1, 0.2, 0.5, 0.9], [0.1] * 4)
    equal_effects = robustness.trim_and_fill([0.3] * 4, [0.1, 0.2, 0.3, 0.4])
    for found in (equal_errors, equal_effects):
        assert found.side == "left" and any("side not determined" in words for words in found.flags)
    assert equal_effects.k0 == 0


def test_heterogeneity_is_advised_against():
    found = robustness.trim_and_fill(RNG.normal(0, 3, 12), np.full(12, 0.1) + RNG.random(12) / 10)
    assert found.original.I2 > 50 and any("heterogeneity" in words for words in found.flags)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"estimator": "M0"}, "estimator: expected one of L0, R0, Q0, found 'M0'"),
        ({"side": "up"}, "side: expected one of left, right"),
        ({"yi": [0.1, 0.2], "vi": [0.1, 0.1]}, "trim and fill: expected at least 3 studies, found 2"),
        ({"yi": [0.1, 0.2, np.nan]}, "effect: expected a finite number"),
    ],
)
def test_what_cannot_be_filled_is_refused_by_name(arguments, message):
    with pytest.raises(PoolingError, match=message):
        robustness.trim_and_fill(**({"yi": [0.1, 0.2, 0.3], "vi": [0.1, 0.2, 0.3]} | arguments))


def test_q0_without_a_root_is_refused_for_one_data_set_and_flagged_in_a_batch(oracle):
    analysis = oracle["bcg__OR"]
    assert "error" in analysis["diagnostics"]["trimfill"]["EE_Q0_auto"]
    y, v = effects(analysis)
    with pytest.raises(PoolingError, match="root of a negative number here; expected L0 or R0"):
        robustness.trim_and_fill(y, v, estimator="Q0", method="EE")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        batch = robustness.trim_and_fill(np.stack([y, -y]), v, estimator="Q0", method="EE")
    assert (batch.flags & meta.Caution.NO_ROOT > 0).all() and np.isnan(batch.beta).all()


def test_the_filled_fit_is_a_fit_of_the_engine():
    y, v = YI[0], VI[0]
    found = robustness.trim_and_fill(y, v, test="knha", level=0.9)
    again = meta.fit([*y, *found.yi_filled], [*v, *found.vi_filled], test="knha", level=0.9)
    assert (found.ci_lb, found.tau2) == pytest.approx((again.ci_lb, again.tau2), rel=RELATIVE)
