"""Units as registries spell them -> the one spelling of :mod:`cellclaims.units`, by outcome.

"Percent" of HbA1c is the NGSP percentage; the same word under a count of people is a share of them. So a spelling is
read for one outcome only, and what an outcome does not allow is refused with what was found.
"""

from __future__ import annotations

import re

from cellclaims import units
from cellclaims.errors import DataError
from cellclaims.harvest.shapes import Unread, quoted

_HAEMOGLOBIN = r"(?:(?:total|glyc\w*ated|glycosylated)\s+)?(?:h(?:a)?emoglobin|hb)(?:\s+a1c)?|hba1c|a1c"
_PERCENT = r"(?:percent(?:age)?|%)"

#: Outcome -> (pattern of a whole simplified unit, tidy unit).
_SPELLINGS = {
    "hba1c": (
        (
            rf"(?:{_HAEMOGLOBIN})?[\s,(]*{_PERCENT}(?:\s*\(%\))?[)]?(?:\s+(?:of\s+)?(?:{_HAEMOGLOBIN}))?(?:\s*\(hba1c\))?",
            "%",
        ),
        (rf"{_PERCENT}[\s-]*points?(?:\s+of\s+hba1c)?", "%"),
        (r"mmol\s*(?:/|per)\s*mol|millimoles?\s*(?:/|per)\s*mole?", "mmol/mol"),
    ),
    "c_peptide": (
        (r"ng\s*/\s*ml|nanograms?\s*(?:/|per)\s*milliliter|(?:u|µ|μ)g\s*/\s*l|ng\s+per\s+ml", "ng/mL"),
        (r"nmol\s*/\s*l|nanomoles?\s*(?:/|per)\s*liter|nm", "nmol/L"),
        (r"pmol\s*/\s*l|picomoles?\s*(?:/|per)\s*liter(?:\s*\(pmol/l\))?", "pmol/L"),
    ),
    "insulin_dose": (
        (r"(?:international\s+)?(?:units?|iu|u)\s*(?:/|per)\s*(?:day|d)|(?:international\s+)?units?\s+daily", "U/day"),
        (r"(?:international\s+)?(?:units?|iu|u)\s*(?:/|per)\s*(?:kg|kilogram)\s*(?:/|per)\s*(?:day|d)", "U/kg/day"),
        (r"(?:international\s+)?(?:units?|iu|u)\s*(?:/|per)\s*(?:kg|kilogram)", "U/kg"),
        (rf"{_PERCENT}\s+change(?:\s+from\s+baseline)?", "% relative change"),
        (rf"{_PERCENT}\s+(?:reduction|decrease)(?:\s+from\s+baseline)?", "% relative reduction"),
    ),
}
_WHOLE = {
    topic: [(re.compile(pattern), unit) for pattern, unit in spellings] for topic, spellings in _SPELLINGS.items()
}

#: Participants by any of their names, and their share.
PEOPLE = r"(?:participants?|subjects?|patients?|recipients?|individuals?|people|persons?|adults|children)"
_COUNT = re.compile(rf"(?:number\s+of\s+|count\s+of\s+)?(?:study\s+|treated\s+)?{PEOPLE}")
_SHARE = re.compile(
    rf"{_PERCENT}\s*(?:\(%\)\s*)?(?:of\s+)?(?:the\s+|study\s+|treated\s+)*{PEOPLE}|{PEOPLE}\s*\(?{_PERCENT}\)?"
)
_SHARE_TITLE = re.compile(rf"{_PERCENT}\s+of\s+(?:\w+\s+)?{PEOPLE}|proportion\s+of\s+(?:\w+\s+)?{PEOPLE}")
_BARE = re.compile(rf"{_PERCENT}(?:\s*\(%\))?")


def measured_in(topic: str, unit: str, title: str) -> str:
    """The tidy unit of a measured outcome.

    Raises
    ------
    Unread
        If the outcome does not allow the unit, or it can mean two things.

    Examples
    --------
    >>> measured_in("hba1c", "percentage of glycosylated hemoglobin", ""), measured_in("c_peptide", "ng/ml", "")
    ('%', 'ng/mL')
    >>> measured_in("insulin_dose", "units", "total daily insulin dose")
    'U/day'
    """
    allowed = _WHOLE[topic]
    for pattern, tidy in allowed:
        if pattern.fullmatch(unit):
            return tidy
    if topic == "insulin_dose" and re.fullmatch(r"(?:international\s+)?units?|iu|u", unit) and "daily" in title:
        return "U/day"
    if topic == "c_peptide" and unit == "pg/ml":
        raise Unread(
            "unit: C-peptide in 'pg/ml' is doubted (a thousandth of what is found in people) and not corrected"
        )
    raise Unread(f"unit: expected one of {', '.join(dict.fromkeys(u for _, u in allowed))}, found {quoted(unit)}")


def curve_unit(unit: str) -> str:
    """The tidy unit of an area under the curve of C-peptide: one that the tables already hold."""
    for printed in (unit, unit.replace("/l", "/L"), unit.replace("/ml", "/mL")):
        try:
            found = units.tidy(printed)
        except DataError:
            continue
        if found in units.UNITS_OF["c_peptide_auc"]:
            return found
    raise Unread(f"unit: expected one of {', '.join(units.UNITS_OF['c_peptide_auc'][:4])}, found {quoted(unit)}")


def counted_in(param: str, unit: str, title: str) -> str:
    """How people are counted: ``"count"`` or ``"percent"``.

    >>> counted_in("NUMBER", "percentage of participants", ""), counted_in("COUNT_OF_PARTICIPANTS", "participants", "")
    ('percent', 'count')
    """
    if param == "COUNT_OF_PARTICIPANTS":
        return "count"
    if _COUNT.fullmatch(unit):
        return "count"
    if _SHARE.fullmatch(unit) or (_BARE.fullmatch(unit) and _SHARE_TITLE.search(title)):
        return "percent"
    raise Unread(f"unit: expected participants or their percentage, found {quoted(unit)}")
