"""Units: one spelling for each, and conversions there and back."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellclaims import units
from cellclaims.errors import DataError

#: There and back is one multiplication and one division: a few units in the last place.
ROUND_TRIP = 1e-14
#: Pairs of NGSP % and IFCC mmol/mol of the usual conversion tables, where mmol/mol is rounded to a whole number.
TABLE = [(4.0, 20), (5.0, 31), (6.0, 42), (6.5, 48), (7.0, 53), (8.0, 64), (9.0, 75), (10.0, 86), (12.0, 108)]


@pytest.mark.parametrize(("percent", "mmol_mol"), TABLE)
def test_hba1c_agrees_with_the_usual_tables(percent, mmol_mol):
    assert round(units.ifcc(percent)) == mmol_mol
    assert round(units.ngsp(float(mmol_mol)), 1) == percent


def test_a_change_of_hba1c_has_no_offset():
    assert units.ifcc(0.5, change=True) == pytest.approx(5.47, abs=0.005)
    assert units.ngsp(8.0) - units.ngsp(3.0) == pytest.approx(units.ngsp(5.0, change=True), rel=ROUND_TRIP)


FINITE = st.floats(-1e6, 1e6)
PAIRS = [("hba1c", "%", "mmol/mol")] + [
    (outcome, one, other)
    for outcome, amounts in units.PROPORTIONAL.items()
    for one in amounts
    for other in amounts
    if one != other
]


@pytest.mark.parametrize(("outcome", "unit", "to"), PAIRS)
@pytest.mark.parametrize("change", [False, True])
@given(value=FINITE)
def test_there_and_back_is_the_same(outcome, unit, to, change, value):
    there = units.convert(value, unit, to, outcome, change=change)
    back = units.convert(there, to, unit, outcome, change=change)
    assert math.isclose(back, value, rel_tol=ROUND_TRIP, abs_tol=1e-12)  # abs_tol: the offset cancels near 2.152


@pytest.mark.parametrize(("outcome", "unit", "to"), PAIRS)
@given(first=FINITE, second=FINITE)
def test_the_difference_of_levels_is_the_converted_difference(outcome, unit, to, first, second):
    levels = [units.convert(value, unit, to, outcome) for value in (first, second)]
    change = units.convert(first - second, unit, to, outcome, change=True)
    assert math.isclose(levels[0] - levels[1], change, rel_tol=1e-9, abs_tol=1e-6)  # 1e6 and 1e6 + 1e-9 cancel


@pytest.mark.parametrize(
    ("value", "unit", "to", "outcome", "expected"),
    [
        (5.5, "mmol/L", "mg/dL", "fpg", 99.0858),
        (126.0, "mg/dL", "mmol/L", "fpg", 6.993939),
        (1.0, "ng/mL", "nmol/L", "c_peptide_fasting", 0.331093),
        (788.0, "pmol/L", "ng/mL", "c_peptide_stimulated", 2.38000),
        (0.2, "nmol/L", "pmol/L", "c_peptide_fasting", 200.0),
    ],
)
def test_conversions_by_hand(value, unit, to, outcome, expected):
    assert units.convert(value, unit, to, outcome) == pytest.approx(expected, rel=2e-6)


def test_arrays_are_converted_and_not_changed():
    values = np.array([42.0, 53.0, np.nan])
    percent = units.convert(values, "mmol/mol", "%", "hba1c")
    assert percent[:2] == pytest.approx([5.994, 7.000], abs=5e-4)
    assert np.isnan(percent[2])
    assert values[0] == 42.0
    assert units.convert(values, "%", "%", "hba1c") is values


@pytest.mark.parametrize(
    ("unit", "to", "outcome"),
    [
        ("%", "% relative change", "hba1c"),
        ("U/day", "U/kg/day", "insulin_dose"),
        ("ng/mL", "ng/mL x min", "c_peptide_auc"),
        ("mmol/mol", "mg/dL", "hba1c"),
        ("mg/dL", "ng/mL", "fpg"),
    ],
)
def test_units_that_do_not_convert_are_refused_by_name(unit, to, outcome):
    with pytest.raises(DataError, match=f"{outcome}: expected units that convert"):
        units.convert(1.0, unit, to, outcome)


def test_each_spelling_belongs_to_one_unit_and_tidying_twice_changes_nothing():
    spellings = [s for unit, others in units.SPELLINGS.items() for s in (unit, *others)]
    assert len(spellings) == len(set(spellings))
    assert not units.NOT_A_UNIT & set(spellings)
    assert all(units.tidy(units.tidy(s)) == units.tidy(s) for s in spellings)


@pytest.mark.parametrize(
    ("printed", "other"),
    [
        ("%", "% relative change"),
        ("% change", "% reduction"),
        ("% of baseline retained", "% change from baseline"),
        ("UI/kg", "UI/kg/day"),
        ("IU/day", "IU/kg/day"),
        ("ng/ml", "ng/ml.min"),
    ],
)
def test_units_that_mean_different_things_stay_apart(printed, other):
    assert units.tidy(printed) != units.tidy(other)


def test_an_unknown_spelling_is_refused_and_not_guessed():
    with pytest.raises(DataError, match="found 'mg%'"):
        units.tidy("mg%")
    assert units.tidy("") == ""


def test_every_outcome_is_measured_in_known_units():
    assert all(unit in units.SPELLINGS for known in units.UNITS_OF.values() for unit in known)
    for outcome, amounts in units.PROPORTIONAL.items():
        assert set(amounts) <= set(units.UNITS_OF[outcome])
