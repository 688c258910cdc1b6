"""Rules on measured outcomes and effects: ``continuous``, ``contrasts`` and the limits of every interval."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from cellclaims import units
from cellclaims.errors import DataError
from cellclaims.evidence.schema import Finding, RowResult, repeated

if TYPE_CHECKING:
    from cellclaims.evidence.schema import Evidence


#: Columns (dispersion_low, dispersion_high) used by each type of dispersion.
FILLS = {"none": (False, False), "sd": (True, False), "se": (True, False)}
PAIR = (True, True)
#: Lowest and highest possible value for a group of patients, by outcome and unit. The limits are wide, to detect
#: a wrong unit or decimal point, not an unusual group.
POSSIBLE = {
    ("hba1c", "%"): (3.5, 20),
    ("hba1c", "mmol/mol"): (15, 195),
    ("fpg", "mmol/L"): (2, 40),
    ("fpg", "mg/dL"): (36, 720),
    ("insulin_dose", "U/day"): (0, 500),
    ("insulin_dose", "U/kg/day"): (0, 5),
    ("insulin_dose", "U/kg"): (0, 5),
    ("c_peptide_fasting", "ng/mL"): (0, 20),
    ("c_peptide_stimulated", "ng/mL"): (0, 60),
}
#: Smallest and largest SD of a population of patients, by outcome and unit.
PLAUSIBLE_SD = {("hba1c", "%"): (0.4, 2.8), ("hba1c", "mmol/mol"): (4.4, 31.0)}
#: z value that one in a thousand values of a normal distribution exceeds.
Z_IN_A_THOUSAND = 3.09
RELATIVE = ("% relative change", "% relative reduction")
RATIOS = ("RR", "HR")
DIFFERENCES = ("MD", "SMD", "mean difference", "adjusted LS mean difference")
INTERVALS = {"contrasts": "estimate", "survival": "percent", "pooled_elsewhere": "estimate"}


def spread_fits_its_type(evidence: Evidence) -> Iterator[Finding]:
    """A dispersion of one number is in dispersion_low, one of two numbers is in both columns."""
    rows = evidence.continuous
    for column, part in (("dispersion_low", 0), ("dispersion_high", 1)):
        wanted = rows.dispersion_type.map(lambda kind, part=part: FILLS.get(kind, PAIR)[part]).astype(bool)
        for line in rows.index[wanted != rows[column].notna()]:
            expected = f"{'a number' if wanted[line] else 'nothing'}, as the type is {rows.dispersion_type[line]}"
            found = "nothing" if wanted[line] else f"{rows[column][line]:g}"
            yield Finding("continuous", line, column, expected, found)


def spread_above_zero(evidence: Evidence) -> Iterator[Finding]:
    """A standard deviation or standard error is above zero."""
    rows = evidence.continuous
    for line, row in rows[rows.dispersion_type.isin(["sd", "se"]) & (rows.dispersion_low <= 0)].iterrows():
        spread = row.dispersion_type.upper()
        yield Finding("continuous", line, "dispersion_low", f"an {spread} above 0", f"{row.dispersion_low:g}")


def spread_is_plausible(evidence: Evidence) -> Iterator[Finding]:
    """The SD of HbA1c is possible for a group of patients, allowing for chance in a group of that size.

    A wrong decimal point, an SE entered as SD and an SD entered as SE are far outside.
    """
    rows = evidence.continuous[evidence.continuous.dispersion_type.isin(["sd", "se"])]
    rows = rows[rows.dispersion_low > 0]
    for row in rows.itertuples():
        if (row.outcome, row.unit) not in PLAUSIBLE_SD or (row.dispersion_type == "se" and not row.n > 1):
            continue
        sd = row.dispersion_low if row.dispersion_type == "sd" else row.dispersion_low * row.n**0.5
        low, high = sd_limits(*PLAUSIBLE_SD[row.outcome, row.unit], row.n)
        if not low <= sd <= high:
            kind = row.dispersion_type.upper()
            factor = 1.0 if kind == "SD" else row.n**-0.5
            expected = f"an {kind} of {low * factor:.2g} to {high * factor:.2g} {row.unit}"
            expected += f" in {row.n:g} patients" if row.n > 1 else ""
            yield Finding("continuous", row.Index, "dispersion_low", expected, f"{row.dispersion_low:g}")


def sd_limits(low: float, high: float, n: float) -> tuple[float, float]:
    """Return the smallest and largest SD of a sample of ``n`` from a population with an SD of ``low`` to ``high``.

    One sample in a thousand is below, one above (Wilson and Hilferty's cube root of chi-squared). Without ``n`` the
    limits are those of 10 patients.

    Examples
    --------
    >>> [round(limit, 2) for limit in sd_limits(0.4, 2.8, 30)]
    [0.25, 3.97]
    """
    df = (n if n > 1 else 10.0) - 1.0
    root, reach = 1.0 - 2.0 / (9.0 * df), Z_IN_A_THOUSAND * (2.0 / (9.0 * df)) ** 0.5
    return low * max(root - reach, 0.0) ** 1.5, high * (root + reach) ** 1.5


def spread_around_centre(evidence: Evidence) -> Iterator[RowResult]:
    """Quartiles, a range or an interval enclose the mean or median."""
    rows = evidence.continuous
    for line, center, low, high in zip(rows.index, rows.center, rows.dispersion_low, rows.dispersion_high, strict=True):
        fault = None
        if high == high and (low > center or center > high):
            fault = Finding("continuous", line, "center", f"a value within {low:g} to {high:g}", f"{center:g}")
        yield RowResult("continuous", line, "no limits reported" if np.isnan(high) else "", fault)


def median_without_sd(evidence: Evidence) -> Iterator[RowResult]:
    """A median has no standard deviation or standard error."""
    rows = evidence.continuous
    for line, center, spread in zip(rows.index, rows.center_type, rows.dispersion_type, strict=True):
        why_not = "a mean" if center == "mean" else "no dispersion reported" if spread == "none" else ""
        fault = None
        if center == "median" and spread in ("sd", "se"):
            fault = Finding("continuous", line, "dispersion_type", "iqr, range, ci95 or none for a median", spread)
        yield RowResult("continuous", line, why_not, fault)


def unit_is_tidied(evidence: Evidence) -> Iterator[Finding]:
    """The unit is the tidy spelling of the reported unit."""
    for table in ("continuous", "contrasts"):
        rows = getattr(evidence, table)
        for line, unit, printed in zip(rows.index, rows.unit, rows.unit_printed, strict=True):
            try:
                tidy = units.tidy(printed)
            except DataError:
                yield Finding(table, line, "unit_printed", "a spelling that cellclaims/units.py knows", repr(printed))
                continue
            if unit != tidy:
                said = f"as unit_printed is {printed!r}" if printed else "as unit_printed is empty"
                yield Finding(table, line, "unit", f"{tidy or 'nothing'}, {said}", unit or "nothing")


def unit_fits_outcome(evidence: Evidence) -> Iterator[Finding]:
    """The unit is one of the outcome's units, unless the source reports none."""
    rows = evidence.continuous[evidence.continuous.unit_printed != units.NOT_PRINTED]
    for line, outcome, unit in zip(rows.index, rows.outcome, rows.unit, strict=True):
        known = units.UNITS_OF[outcome]
        if unit not in known:
            yield Finding("continuous", line, "unit", f"one of {', '.join(known)} for {outcome}", repr(unit))


def level_is_possible(evidence: Evidence) -> Iterator[Finding]:
    """A level is possible for patients; a wrong unit or decimal point is detected."""
    rows = evidence.continuous[evidence.continuous.kind == "level"]
    for line, outcome, unit, center in zip(rows.index, rows.outcome, rows.unit, rows.center, strict=True):
        low, high = POSSIBLE.get((outcome, unit), (0, np.inf))
        if not low <= center <= high:
            yield Finding("continuous", line, "center", f"{low:g} to {high:g} {unit} for {outcome}", f"{center:g}")


def change_is_after_baseline(evidence: Evidence) -> Iterator[Finding]:
    """A change from baseline is not at month 0; a relative change is a change and never a level."""
    rows = evidence.continuous
    for line in rows.index[(rows.kind == "change") & (rows.months == 0)]:
        yield Finding("continuous", line, "months", "a month after baseline for a change", "0")
    for line in rows.index[(rows.kind == "level") & rows.unit.isin(RELATIVE)]:
        yield Finding("continuous", line, "kind", f"change, as the unit is {rows.unit[line]}", "level")


def change_agrees_with_levels(evidence: Evidence) -> Iterator[RowResult]:
    """A mean change is the later mean minus the mean at baseline, within the rounding of the three reported numbers.

    Compared where arm, outcome, unit and source agree, all three are means, and no two numbers of patients differ.
    """
    for change, then, start, why_not in _changes_with_levels(evidence):
        fault = None
        patients = why_not or _patients_apart(change, then, start)
        if not patients:
            slack = sum(half_unit(row.center) for row in (change, then, start))
            if abs(change.center - (then.center - start.center)) > slack:
                fault = _change_fault(change, then, start)
        yield RowResult("continuous", change.Index, patients, fault)


def change_has_sign_of_levels(evidence: Evidence) -> Iterator[RowResult]:
    """A change in other numbers of patients than its two levels has their direction, where that is certain.

    Patients who are missing at one of the two times can differ from the others. A fault is a change whose sign
    contradicts the levels by more than the missing patients can explain, each with two SDs from the mean, or two
    fifths of the level if no SD is reported.
    """
    for change, then, start, why_not in _changes_with_levels(evidence):
        fault = None
        if not why_not and not _patients_apart(change, then, start):
            why_not = "the same patients: another rule compares the size"
        if not why_not:
            levels_give = then.center - start.center
            slack = sum(half_unit(row.center) for row in (change, then, start)) + _room_of_the_missing(
                change, then, start
            )
            if change.center * levels_give < 0 and abs(change.center - levels_give) > slack:
                fault = _change_fault(change, then, start)
        yield RowResult("continuous", change.Index, why_not, fault)


def _changes_with_levels(evidence: Evidence) -> Iterator[tuple[Any, Any, Any, str]]:
    """Yield each change with its later level and baseline level (None if missing), and why they are not compared."""
    rows = evidence.continuous
    levels: dict[tuple, list] = {}
    means = rows[(rows.kind == "level") & (rows.center_type == "mean")]
    for row in means.itertuples():
        levels.setdefault((row.study_id, row.arm_id, row.outcome, row.unit, row.source_id, row.months), []).append(row)
    for change in rows[rows.kind == "change"].itertuples():
        stem = (change.study_id, change.arm_id, change.outcome, change.unit, change.source_id)
        pairs = list(product(levels.get((*stem, change.months), ()), levels.get((*stem, 0.0), ())))
        if change.unit in RELATIVE or change.center_type != "mean":
            yield change, None, None, "no difference of means: a relative change or a median"
        elif not pairs:
            yield change, None, None, "the two levels are not reported"
        else:
            yield from ((change, then, start, "") for then, start in pairs)


def _patients_apart(*rows: Any) -> str:
    """Return why rows cannot be compared exactly: their numbers of patients differ; empty if no known ones differ."""
    known = {row.n for row in rows if row.n == row.n}
    return "change and levels are of different patients" if len(known) > 1 else ""


def _room_of_the_missing(change: Any, then: Any, start: Any) -> float:
    """Return how much missing patients can change a difference of means, with two SDs each."""
    known = [row.n for row in (change, then, start) if row.n == row.n]
    fewest, missing = min(known), max(known) - min(known)
    sds = [row.dispersion_low for row in (then, start) if row.dispersion_type == "sd"]
    sds += [row.dispersion_low * row.n**0.5 for row in (then, start) if row.dispersion_type == "se" and row.n > 1]
    sd = max(sds) if sds else 0.2 * max(abs(then.center), abs(start.center))
    return 2.0 * sd * missing / fewest


def _change_fault(change: Any, then: Any, start: Any) -> Finding:
    expected = f"{then.center - start.center:.4g} ({then.center:g} minus {start.center:g})"
    return Finding("continuous", change.Index, "center", expected, f"{change.center:g}")


def half_unit(value: float) -> float:
    """Return half a unit in the last digit of a number, the largest rounding error.

    Examples
    --------
    >>> half_unit(7.5), half_unit(-1.31), half_unit(12.0)
    (0.05, 0.005, 0.5)
    """
    digits = f"{value:.10f}".rstrip("0").partition(".")[2]
    return 0.5 * 10.0 ** -len(digits)


def limits_around_estimate(evidence: Evidence) -> Iterator[RowResult]:
    """Confidence limits enclose their estimate, and the lower is below the upper."""
    for table, column in INTERVALS.items():
        rows = getattr(evidence, table)
        for line, estimate, low, high in zip(rows.index, rows[column], rows.ci_low, rows.ci_high, strict=True):
            found = []
            if low > estimate:
                found.append(Finding(table, line, "ci_low", f"at most the estimate {estimate:g}", f"{low:g}"))
            if high < estimate:
                found.append(Finding(table, line, "ci_high", f"at least the estimate {estimate:g}", f"{high:g}"))
            if low >= high and np.isnan(estimate):
                found.append(Finding(table, line, "ci_low", f"below the upper limit {high:g}", f"{low:g}"))
            for fault in found or [None]:
                yield RowResult(table, line, "no interval reported" if np.isnan(low) else "", fault)


def interval_is_symmetric(evidence: Evidence) -> Iterator[RowResult]:
    """The estimate of a difference is in the middle of its interval, within rounding and a tenth of its width.

    The tenth allows for non-normal intervals (a standardised mean difference, a small-sample
    correction); a limit with a missing sign is far outside.
    """
    for table in ("contrasts", "pooled_elsewhere"):
        rows = getattr(evidence, table)
        columns = (rows.index, rows.measure, rows.estimate, rows.ci_low, rows.ci_high)
        for line, measure, estimate, low, high in zip(*columns, strict=True):
            fault = None
            if np.isnan(estimate) or np.isnan(low):
                why_not = "no estimate with an interval is reported"
            elif measure not in DIFFERENCES:
                why_not = "not a difference"
            else:
                why_not = ""
                slack = 2 * half_unit(estimate) + half_unit(low) + half_unit(high) + 0.1 * abs(high - low)
                off = abs((high - estimate) - (estimate - low))
                if low <= estimate <= high and off > slack:  # another rule detects a limit on the wrong side
                    column, limit = ("ci_high", high) if high - estimate > estimate - low else ("ci_low", low)
                    middle = f"a limit as far from {estimate:g} as the other one"
                    fault = Finding(table, line, column, middle, f"{limit:g}")
            yield RowResult(table, line, why_not, fault)


def limits_in_pairs(evidence: Evidence) -> Iterator[Finding]:
    """A lower limit has an upper limit."""
    for table in INTERVALS:
        rows = getattr(evidence, table)
        for line in rows.index[rows.ci_low.isna() != rows.ci_high.isna()]:
            column = "ci_low" if np.isnan(rows.ci_low[line]) else "ci_high"
            yield Finding(table, line, column, "both limits or none", "nothing")


def contrast_says_something(evidence: Evidence) -> Iterator[Finding]:
    """A comparison has an effect, an interval or a P value."""
    rows = evidence.contrasts
    silent = rows[["estimate", "ci_low", "p_value"]].isna().all(axis=1)
    for line in rows.index[silent & (rows.estimate_printed == "") & (rows.p_value_printed == "")]:
        yield Finding("contrasts", line, "estimate", "an effect, an interval or a P value", "none of them")


def p_value_as_printed(evidence: Evidence) -> Iterator[Finding]:
    """The P value is the reported one; if only a bound is reported, there is no number."""
    rows = evidence.contrasts
    for line, value, printed in zip(rows.index, rows.p_value, rows.p_value_printed, strict=True):
        plain = float(printed) if re.fullmatch(r"[0-9.]+", printed) else np.nan
        if value == plain or (np.isnan(value) and np.isnan(plain)):
            continue
        found = "nothing" if np.isnan(value) else f"{value:g}"
        if printed:
            expected = "nothing" if np.isnan(plain) else f"{plain:g}"
            yield Finding("contrasts", line, "p_value", f"{expected}, as p_value_printed is {printed!r}", found)
        else:
            expected = f"the P value as printed, as p_value is {found}"
            yield Finding("contrasts", line, "p_value_printed", expected, "nothing")


def ratio_above_zero(evidence: Evidence) -> Iterator[Finding]:
    """A ratio and its limits are above zero."""
    for table in ("contrasts", "pooled_elsewhere"):
        rows = getattr(evidence, table)
        rows = rows[rows.measure.isin(RATIOS)]
        for column in ("estimate", "ci_low", "ci_high"):
            for line in rows.index[rows[column] <= 0]:
                yield Finding(table, line, column, "a ratio above 0", f"{rows[column][line]:g}")


def measures_entered_once(evidence: Evidence) -> Iterator[Finding]:
    """A measurement or comparison is entered once per source."""
    key = ["study_id", "arm_id", "outcome", "unit", "months", "kind", "center_type", "n", "source_id"]
    yield from repeated("continuous", evidence.continuous, key)
    key = ["study_id", "treatment_arm", "control_arm", "outcome", "unit_printed", "months", "measure", "source_id"]
    yield from repeated("contrasts", evidence.contrasts, key)


MEASURE_RULES = (
    spread_fits_its_type,
    spread_above_zero,
    spread_is_plausible,
    spread_around_centre,
    median_without_sd,
    unit_is_tidied,
    unit_fits_outcome,
    level_is_possible,
    change_is_after_baseline,
    change_agrees_with_levels,
    change_has_sign_of_levels,
    limits_around_estimate,
    interval_is_symmetric,
    limits_in_pairs,
    contrast_says_something,
    p_value_as_printed,
    ratio_above_zero,
    measures_entered_once,
)


# Rules on counted outcomes: ``binary`` and ``survival``.


#: Outcomes with several definitions; any other outcome is its own definition.
GATHERING = ("composite_primary", "responder")
#: Definitions that count as one outcome under another name.
OTHER_NAMES = {"complete_remission": "insulin_independence"}
#: Why a number of patients cannot be compared.
NO_NUMBER = "no number of patients, or nothing to compare it with"
#: Definitions that include an HbA1c below a threshold: the threshold in percent, whether HbA1c must be below it (or
#: may equal it), and whether this is the only condition.
THRESHOLDS = {
    "hba1c_lt_7": (7.0, True, True),
    "hba1c_lt_6_5": (6.5, True, True),
    "hba1c_le_6_5": (6.5, False, True),
    "hba1c_lt_7_and_no_severe_hypoglycemia": (7.0, True, False),
    "hba1c_lt_7_4_and_no_severe_hypoglycemia": (7.4, True, False),
    "hba1c_lt_6_5_and_no_severe_hypoglycemia": (6.5, True, False),
    "hba1c_le_6_5_and_no_severe_hypoglycemia": (6.5, False, False),
    "insulin_halved_and_hba1c_lt_7": (7.0, True, False),
    "insulin_halved_and_hba1c_lt_7_and_secretion": (7.0, True, False),
    "tir_ge_70_and_hba1c_lt_7": (7.0, True, False),
}
#: Tolerance, in percent, of rounding intervals for floating-point errors.
FLOAT_NOISE = 1e-9


def events_at_most_n(evidence: Evidence) -> Iterator[RowResult]:
    """The number of patients with the outcome does not exceed n."""
    binary = evidence.binary
    for line, events, n in zip(binary.index, binary.events, binary.n, strict=True):
        fault = Finding("binary", line, "events", f"at most n = {n:g}", f"{events:g}") if events > n else None
        yield RowResult("binary", line, NO_NUMBER if np.isnan(events) or np.isnan(n) else "", fault)


def n_at_most_arm(evidence: Evidence) -> Iterator[RowResult]:
    """The number counted, measured or at risk does not exceed that of the arm (enrolled or analysed, the larger)."""
    sizes = arm_sizes(evidence)
    for table, column in (("binary", "n"), ("continuous", "n"), ("survival", "n_at_risk")):
        rows = getattr(evidence, table)
        for line, study, arm, n in zip(rows.index, rows.study_id, rows.arm_id, rows[column], strict=True):
            most, fault = sizes.get((study, arm), np.nan), None
            if n > most:
                fault = Finding(table, line, column, f"at most the arm's {most:g} patients", f"{n:g}")
            yield RowResult(table, line, NO_NUMBER if np.isnan(n) or np.isnan(most) else "", fault)


def arm_sizes(evidence: Evidence) -> dict[tuple[str, str], float]:
    """Return patients per arm by study_id and arm_id: enrolled or analysed, the larger; NaN if neither is reported."""
    arms = evidence.arms
    size = np.fmax(arms.n_enrolled, arms.n_analysed)
    return dict(zip(zip(arms.study_id, arms.arm_id, strict=True), size, strict=True))


def count_or_percent_given(evidence: Evidence) -> Iterator[Finding]:
    """A row of a count has a count or a percentage."""
    binary = evidence.binary
    for line in binary.index[binary.events.isna() & binary.percent.isna()]:
        yield Finding("binary", line, "events", "a count or a percentage", "neither")


def percent_agrees_with_count(evidence: Evidence) -> Iterator[RowResult]:
    """The reported percentage is events / n, rounded to its digits; a fraction is exact."""
    rows = evidence.binary
    columns = (rows.index, rows.events, rows.n, rows.percent_printed, rows.status)
    for line, events, n, printed, status in zip(*columns, strict=True):
        if np.isnan(events):
            continue
        why_not, fault = _no_percentage(n, printed, from_percent=status == "derived"), None
        if printed and not np.isnan(n):
            share = 100 * events / n
            lowest, highest = rounding_limits(printed)
            if not lowest - FLOAT_NOISE <= share <= highest + FLOAT_NOISE:
                wanted = f"{share:.2f} percent ({events:g} of {n:g}) to the reported digits"
                fault = Finding("binary", line, "percent_printed", wanted, printed)
        yield RowResult("binary", line, why_not, fault)


def percent_can_be_a_count(evidence: Evidence) -> Iterator[RowResult]:
    """A percentage of n without a count corresponds to some whole number out of n."""
    rows = evidence.binary[evidence.binary.events.isna()]
    for line, n, printed in zip(rows.index, rows.n, rows.percent_printed, strict=True):
        why_not, fault = _no_percentage(n, printed, from_percent=True), None
        if printed and not np.isnan(n):
            lowest, highest = (limit * n / 100 for limit in rounding_limits(printed))
            if np.ceil(lowest - FLOAT_NOISE) > np.floor(highest + FLOAT_NOISE):
                wanted = f"what a whole number of {n:g} gives"
                fault = Finding("binary", line, "percent_printed", wanted, printed)
        yield RowResult("binary", line, why_not, fault)


def _no_percentage(n: float, printed: str, *, from_percent: bool) -> str:
    """Return why a reported percentage cannot be compared with a count; empty if it can."""
    if not printed:
        return "no percentage is reported"
    if np.isnan(n):
        return "no number of patients is reported"
    unit = 0.0 if "/" in printed else 10.0 ** -len(printed.partition(".")[2])
    fits_any = from_percent and n * unit >= 100
    return "so large a group that every percentage is possible" if fits_any else ""


def rounding_limits(printed: str) -> tuple[float, float]:
    """Return the lowest and highest percentage that rounds to the reported one.

    Examples
    --------
    >>> rounding_limits("33.3"), rounding_limits("90"), rounding_limits("1/4")
    ((33.25, 33.35), (89.5, 90.5), (25.0, 25.0))
    """
    if "/" in printed:
        part, whole = map(int, printed.split("/"))
        return 100 * part / whole, 100 * part / whole
    half = 0.5 * 10.0 ** -len(printed.partition(".")[2])
    return round(float(printed) - half, 9), round(float(printed) + half, 9)


def percent_equals_printed(evidence: Evidence) -> Iterator[Finding]:
    """The percentage as a number is the reported one (a fraction to one decimal)."""
    rows = evidence.binary
    for line, percent, printed in zip(rows.index, rows.percent, rows.percent_printed, strict=True):
        if not printed and np.isnan(percent):
            continue
        if not printed:
            yield Finding("binary", line, "percent", "nothing, as percent_printed is empty", f"{percent:g}")
            continue
        low, high = rounding_limits(printed)
        if not abs((low + high) / 2 - percent) <= FLOAT_NOISE + (0.05 if "/" in printed else 0):
            found = "nothing" if np.isnan(percent) else f"{percent:g}"
            yield Finding("binary", line, "percent", f"{printed}, as in percent_printed", found)


def status_has_month(evidence: Evidence) -> Iterator[Finding]:
    """Status at a month needs the month."""
    binary = evidence.binary
    for line in binary.index[(binary.timing == "at_month") & binary.months.isna()]:
        yield Finding("binary", line, "months", "a month, as timing is at_month", "nothing")


def definition_fits_outcome(evidence: Evidence) -> Iterator[RowResult]:
    """Only composite_primary and responder have several definitions; otherwise the definition is the outcome."""
    binary = evidence.binary
    for line, outcome, definition in zip(binary.index, binary.outcome, binary.definition_id, strict=True):
        fits = outcome in GATHERING or outcome in (definition, OTHER_NAMES.get(definition))
        yield RowResult(
            "binary", line, "", None if fits else Finding("binary", line, "definition_id", outcome, definition)
        )


def curve_never_rises(evidence: Evidence) -> Iterator[RowResult]:
    """An event-free proportion does not increase with time (one arm, outcome, time origin and source)."""
    curve = ["study_id", "arm_id", "outcome", "time_origin", "source_id"]
    rows = evidence.survival.sort_values("months", kind="stable")
    later = rows.duplicated(curve)
    lowest = rows.groupby(curve).percent.cummin()
    before = lowest.groupby([rows[name] for name in curve]).shift()
    for line, percent, most, is_later in zip(rows.index, rows.percent, before, later, strict=True):
        fault = Finding("survival", line, "percent", f"at most {most:g}, as before", f"{percent:g}")
        yield RowResult("survival", line, "" if is_later else "the first point of its curve",
                     fault if percent > most else None)  # fmt: skip


def count_agrees_with_median(evidence: Evidence) -> Iterator[RowResult]:
    """A count below a threshold of HbA1c is consistent with the median of the same arm at the same time.

    If the median reaches the threshold, at most half of n values are below it; if the median is below it, at least half
    are. The second rule needs the number of patients of the median, because missing patients often count as
    failures, and applies only to counts without further conditions; the first applies to every outcome that includes
    the threshold.
    """
    rows = evidence.continuous
    medians = rows[(rows.outcome == "hba1c") & (rows.kind == "level") & (rows.center_type == "median")]
    at = {(m.study_id, m.arm_id, m.months): m for m in medians.itertuples() if m.unit in ("%", "mmol/mol")}
    for row in evidence.binary[evidence.binary.definition_id.isin(THRESHOLDS)].itertuples():
        median = at.get((row.study_id, row.arm_id, row.months)) if row.timing == "at_month" else None
        if median is None:
            yield RowResult("binary", row.Index, "no median HbA1c of the arm at that month")
        elif not row.n > 0:
            yield RowResult("binary", row.Index, NO_NUMBER)
        else:
            yield RowResult("binary", row.Index, "", _against_median(row, median))


def _against_median(row: Any, median: Any) -> Finding | None:
    """Return the contradiction between a median and a count of patients below a threshold, if any."""
    limit, strict, alone = THRESHOLDS[row.definition_id]
    has_count = row.events == row.events
    events = row.events if has_count else row.percent * row.n / 100
    measured = median.n if median.n == median.n else row.n
    most = measured // 2 + max(row.n - measured, 0)
    least = (measured + 1) // 2 - max(measured - row.n, 0)
    slack = half_unit(median.center)  # a reported 7.0 may be 6.95
    low, high = (units.convert(median.center + s, median.unit, "%", "hba1c") for s in (-slack, slack))
    above, below = (low >= limit, high < limit) if strict else (low > limit, high <= limit)
    if above and np.floor(events) > most:
        expected = f"at most {most:g} of {row.n:g}"
    elif alone and below and median.n == median.n and np.ceil(events) < least:
        expected = f"at least {least:g} of {row.n:g}"
    else:
        return None
    expected += f", as the median is {median.center:g} {median.unit} (row {median.Index} of continuous.csv)"
    column, found = ("events", f"{row.events:g}") if has_count else ("percent", f"{row.percent:g} %")
    return Finding("binary", row.Index, column, expected, found)


def month_within_follow_up(evidence: Evidence) -> Iterator[Finding]:
    """A result is not later than the follow-up of its report: weeks entered as months are."""
    follow_up = dict(zip(evidence.studies.study_id, evidence.studies.follow_up_months, strict=True))
    for table in ("continuous", "binary", "survival", "contrasts"):
        rows = getattr(evidence, table)
        for line, study, months in zip(rows.index, rows.study_id, rows.months, strict=True):
            if months > (longest := follow_up.get(study, np.nan)):
                yield Finding(table, line, "months", f"at most the {longest:g} months of follow-up", f"{months:g}")


def counts_entered_once(evidence: Evidence) -> Iterator[Finding]:
    """A count is entered once per source."""
    key = ["study_id", "arm_id", "outcome", "months", "time_origin", "source_id"]
    yield from repeated("survival", evidence.survival, key)
    yield from repeated("binary", evidence.binary, [*key, "definition_id", "definition", "timing"])


COUNT_RULES = (
    events_at_most_n,
    n_at_most_arm,
    count_or_percent_given,
    percent_agrees_with_count,
    percent_can_be_a_count,
    percent_equals_printed,
    status_has_month,
    definition_fits_outcome,
    curve_never_rises,
    count_agrees_with_median,
    month_within_follow_up,
    counts_entered_once,
)
