"""Spelling of units, and conversions between the units of an outcome.

*Reported* is the unit as a source spells it, *tidy* the spelling used by the package. Tidying never changes a value,
and units with different meanings are never merged ("% relative change" is not "%",
which for HbA1c is the NGSP percentage and for its change percentage points; "U/kg" without a day is kept).
"""

from __future__ import annotations

from typing import TypeVar

from cellclaims.errors import DataError

Number = TypeVar("Number")  # a float, an array or a Series

#: Tidy unit -> other spellings in sources.
SPELLINGS: dict[str, tuple[str, ...]] = {
    "%": (
        "% (printed g/dL)",
        "% (unit not printed)",
        "percent",  # spellings in registries
        "percentage",
        "Percentage (%)",
        "percentage of HbA1c",
        "percentage of glycosylated hemoglobin",
        "percentage of total hemoglobin",
        "Percent Hemoglobin",
        "Percent of hemoglobin",
        "Percent of Hemoglobin",
    ),
    "mmol/mol": (),
    "percentage points": (),
    "proportion": (),
    "% relative change": ("% increase", "% change", "% change from baseline", "% decline from baseline"),
    "% relative reduction": ("% reduction", "% reduction from baseline"),
    "% of baseline": ("% of baseline retained",),
    "mmol/L": ("mmol/L (unit not printed in excerpt)",),
    "mg/dL": ("mg/dL (unit not printed)",),
    "ng/mL": ("ng/ml",),
    "pmol/L": (),
    "nmol/L": (),
    "ng/mL x min": ("ng/ml.min",),
    "nmol/L x 120 min": ("nmol/l x 120 min",),
    "pmol/mL per 180 min": ("pmol/mL/180 min",),
    "U/day": ("IU/day", "IU/day (unit not printed)"),
    "U/kg/day": ("U/kg/d", "IU/kg/day", "UI/kg/day", "units/kg/day"),
    "U/kg": ("UI/kg", "units per kg"),
}

#: Placeholder for a unit that the source does not report and that cannot be inferred.
NOT_PRINTED = "(unit not printed)"

#: Entries in a unit column that name an event or a definition; there is no unit.
NOT_A_UNIT: frozenset[str] = frozenset(
    {
        "death/dialysis/amputation/stroke/MI/TIA",
        "dialysis",
        "events over follow-up",
        "infectious disease over follow-up",
        "modified beta-score >=6",
        "mortality",
        "rate of decline",
        NOT_PRINTED,
    }
)

_TIDY = {spelling: unit for unit, others in SPELLINGS.items() for spelling in (unit, *others)}

# HbA1c: NGSP % = 0.09148 * IFCC mmol/mol + 2.152, the IFCC-NGSP master equation: Hoelzel et al., Clin Chem
# 2004;50:166, https://doi.org/10.1373/clinchem.2003.024802. The inverse is computed exactly
# rather than with published rounded coefficients, so that converting back gives the same value.
NGSP_SLOPE = 0.09148
NGSP_INTERCEPT = 2.152
GLUCOSE_MG_DL = 18.0156  # mg/dL in 1 mmol/L: molar mass of glucose 180.156 g/mol
C_PEPTIDE_NG_ML = 3.0203  # ng/mL in 1 nmol/L: molar mass of human C-peptide 3020.3 g/mol

_C_PEPTIDE = {"nmol/L": 1.0, "pmol/L": 1000.0, "ng/mL": C_PEPTIDE_NG_ML}
#: Units of one quantity, with the number of each that makes the same amount.
PROPORTIONAL: dict[str, dict[str, float]] = {
    "fpg": {"mmol/L": 1.0, "mg/dL": GLUCOSE_MG_DL},
    "c_peptide_fasting": _C_PEPTIDE,
    "c_peptide_stimulated": _C_PEPTIDE,
}
_RELATIVE = ("% relative change", "% relative reduction", "% of baseline")
#: Units of each outcome; relative units are never combined with others.
UNITS_OF: dict[str, tuple[str, ...]] = {
    "hba1c": ("%", "mmol/mol", *_RELATIVE),
    "fpg": ("mmol/L", "mg/dL", *_RELATIVE),
    "c_peptide_fasting": ("nmol/L", "pmol/L", "ng/mL", *_RELATIVE),
    "c_peptide_stimulated": ("nmol/L", "pmol/L", "ng/mL", *_RELATIVE),
    "c_peptide_auc": ("ng/mL", "ng/mL x min", "nmol/L x 120 min", "pmol/mL per 180 min", *_RELATIVE),
    "insulin_dose": ("U/day", "U/kg/day", "U/kg", *_RELATIVE),
}


#: What a value relative to baseline is called when its units are taken together.
RELATIVE = "% of baseline"


def family_of(unit: str) -> str:
    """The unit itself, or RELATIVE for each unit that is relative to baseline: one family is pooled at a time.

    >>> family_of("% relative reduction"), family_of("U/day")
    ('% of baseline', 'U/day')
    """
    return RELATIVE if unit in _RELATIVE else unit


def relative_change(value: float, unit: str, *, spread: bool = False) -> float:
    """A value relative to baseline as a change in percent of baseline, below zero for a fall.

    Parameters
    ----------
    value : float
    unit : {"% relative change", "% relative reduction", "% of baseline"}
    spread : bool
        True for a standard deviation or standard error, which has no sign.

    Examples
    --------
    >>> relative_change(27.78, "% relative reduction"), relative_change(80.0, "% of baseline")
    (-27.78, -20.0)
    """
    if spread:
        return value
    return {"% relative reduction": -value, "% of baseline": value - 100.0}.get(unit, value)


def tidy(printed: str) -> str:
    """Return the tidy spelling of a reported unit; empty if none is reported or the text is not a unit.

    Raises
    ------
    DataError
        For an unknown spelling, which must be added to this module.

    Examples
    --------
    >>> tidy("UI/kg/day"), tidy("% (printed g/dL)"), tidy("mortality")
    ('U/kg/day', '%', '')
    """
    if not printed or printed in NOT_A_UNIT:
        return ""
    if printed not in _TIDY:
        raise DataError(
            f"unit: expected one of {sorted(_TIDY)}, found {printed!r}; a new spelling goes into cellclaims/units.py"
        )
    return _TIDY[printed]


def ngsp(mmol_mol: Number, *, change: bool = False) -> Number:
    """Convert HbA1c from IFCC mmol/mol to NGSP %; for a change or a standard deviation only the slope applies.

    Source: the master equation of Hoelzel et al. 2004, https://doi.org/10.1373/clinchem.2003.024802.

    Examples
    --------
    >>> round(ngsp(53.0), 1), round(ngsp(5.0, change=True), 2)
    (7.0, 0.46)
    """
    return NGSP_SLOPE * mmol_mol + (0.0 if change else NGSP_INTERCEPT)


def ifcc(percent: Number, *, change: bool = False) -> Number:
    """Convert HbA1c from NGSP % to IFCC mmol/mol, the inverse of :func:`ngsp`.

    Examples
    --------
    >>> round(ifcc(7.0)), round(ifcc(0.5, change=True), 1)
    (53, 5.5)
    """
    return (percent - (0.0 if change else NGSP_INTERCEPT)) / NGSP_SLOPE


def convert(values: Number, unit: str, to: str, outcome: str, *, change: bool = False) -> Number:
    """Convert values of an outcome to another of its units.

    Parameters
    ----------
    values : float or array of float, any shape
        In ``unit``.
    unit, to : str
        Tidy spellings (:data:`SPELLINGS`).
    outcome : str
        ``hba1c``, ``fpg``, ``c_peptide_fasting`` or ``c_peptide_stimulated``; other outcomes have one unit.
    change : bool
        True for a difference, a standard deviation or a standard error, which need no offset.

    Raises
    ------
    DataError
        If no conversion between the two units is known for that outcome.

    Examples
    --------
    >>> round(convert(8.8, "mmol/L", "mg/dL", "fpg"), 1)
    158.5
    """
    if unit == to:
        return values
    if outcome == "hba1c" and {unit, to} == {"%", "mmol/mol"}:
        return ngsp(values, change=change) if to == "%" else ifcc(values, change=change)
    amounts = PROPORTIONAL.get(outcome, {})
    if unit not in amounts or to not in amounts:
        raise DataError(
            f"{outcome}: expected units that convert into each other ({_known(outcome)}), found {unit!r} to {to!r}"
        )
    return values * (amounts[to] / amounts[unit])


def _known(outcome: str) -> str:
    return ", ".join(PROPORTIONAL.get(outcome, ["%", "mmol/mol"] if outcome == "hba1c" else ["none"]))


def _all_positive(values: Number) -> bool:
    positive = values > 0
    return bool(positive.all() if hasattr(positive, "all") else positive)
