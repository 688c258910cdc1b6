"""Rules on measured outcomes and effects: ``continuous``, ``contrasts`` and the limits of every interval."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cellclaims import units
from cellclaims.errors import DataError
from cellclaims.evidence.schema import Finding, repeated

if TYPE_CHECKING:
    from cellclaims.evidence.schema import Evidence


#: Which of dispersion_low and dispersion_high each kind of spread fills.
FILLS = {"none": (False, False), "sd": (True, False), "se": (True, False)}
PAIR = (True, True)
#: Lowest and highest value that a group of living patients can have, by outcome and unit: wide on purpose, to catch
#: another unit or a slipped decimal point, not an unusual patient group.
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
RELATIVE = ("% relative change", "% relative reduction")
RATIOS = ("RR", "HR")
DIFFERENCES = ("MD", "SMD", "mean difference", "adjusted LS mean difference")
INTERVALS = {"contrasts": "estimate", "survival": "percent", "pooled_elsewhere": "estimate"}


def spread_fits_its_type(evidence: Evidence) -> Iterator[Finding]:
    """A spread of one number stands in dispersion_low, one of two numbers in both columns, none in neither."""
    rows = evidence.continuous
    for column, part in (("dispersion_low", 0), ("dispersion_high", 1)):
        wanted = rows.dispersion_type.map(lambda kind, part=part: FILLS.get(kind, PAIR)[part]).astype(bool)
        for line in rows.index[wanted != rows[column].notna()]:
            expected = f"{'a number' if wanted[line] else 'nothing'}, as the type is {rows.dispersion_type[line]}"
            found = "nothing" if wanted[line] else f"{rows[column][line]:g}"
            yield Finding("continuous", line, column, expected, found)


def spread_not_negative(evidence: Evidence) -> Iterator[Finding]:
    """A standard deviation or standard error is not below zero."""
    rows = evidence.continuous
    for line, row in rows[rows.dispersion_type.isin(["sd", "se"]) & (rows.dispersion_low < 0)].iterrows():
        spread = row.dispersion_type.upper()
        yield Finding("continuous", line, "dispersion_low", f"an {spread} of 0 or more", f"{row.dispersion_low:g}")


def spread_around_centre(evidence: Evidence) -> Iterator[Finding]:
    """Quartiles, a range or an interval enclose the mean or median."""
    rows = evidence.continuous
    outside = (rows.dispersion_low > rows.center) | (rows.center > rows.dispersion_high)
    for line, row in rows[outside & rows.dispersion_high.notna()].iterrows():
        limits = f"{row.dispersion_low:g} to {row.dispersion_high:g}"
        yield Finding("continuous", line, "center", f"a value within {limits}", f"{row.center:g}")


def median_without_sd(evidence: Evidence) -> Iterator[Finding]:
    """A median has no standard deviation or standard error."""
    rows = evidence.continuous
    for line, row in rows[(rows.center_type == "median") & rows.dispersion_type.isin(["sd", "se"])].iterrows():
        expected = "iqr, range, ci95 or none beside a median"
        yield Finding("continuous", line, "dispersion_type", expected, row.dispersion_type)


def unit_is_tidied(evidence: Evidence) -> Iterator[Finding]:
    """The unit is the one spelling of the unit as printed."""
    for table in ("continuous", "contrasts"):
        rows = getattr(evidence, table)
        for line, unit, printed in zip(rows.index, rows.unit, rows.unit_printed, strict=True):
            try:
                tidy = units.tidy(printed)
            except DataError:
                yield Finding(table, line, "unit_printed", "a spelling that cellclaims/units.py knows", repr(printed))
                continue
            if unit != tidy:
                yield Finding(table, line, "unit", f"{tidy!r} for the printed {printed!r}", repr(unit))


def unit_fits_outcome(evidence: Evidence) -> Iterator[Finding]:
    """The unit is one in which that outcome is measured."""
    rows = evidence.continuous
    for line, outcome, unit in zip(rows.index, rows.outcome, rows.unit, strict=True):
        known = units.UNITS_OF[outcome]
        if unit not in known:
            yield Finding("continuous", line, "unit", f"one of {', '.join(known)} for {outcome}", repr(unit))


def level_is_possible(evidence: Evidence) -> Iterator[Finding]:
    """A level lies where patients can be: another unit or a slipped decimal point does not."""
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


def change_agrees_with_levels(evidence: Evidence) -> Iterator[Finding]:
    """A mean change is the mean then minus the mean at baseline, within the rounding of the three printed numbers.

    Compared where arm, outcome, unit and source agree, all three are means, and no two numbers of patients differ.
    """
    means = evidence.continuous[evidence.continuous.center_type == "mean"]
    means = means[~means.unit.isin(RELATIVE)]
    key = ["study_id", "arm_id", "outcome", "unit", "source_id"]
    levels = means[means.kind == "level"][[*key, "months", "n", "center"]]
    changes = means[means.kind == "change"].reset_index()
    pairs = changes.merge(levels, on=[*key, "months"], suffixes=("", "_then"))
    pairs = pairs.merge(levels[levels.months == 0], on=key, suffixes=("", "_start"))
    patients = pairs[["n", "n_then", "n_start"]]
    for row in pairs[~(patients.max(axis=1) > patients.min(axis=1))].itertuples():
        levels_give = row.center_then - row.center_start
        slack = sum(half_unit(value) for value in (row.center, row.center_then, row.center_start))
        if abs(row.center - levels_give) > slack:
            expected = f"{levels_give:.4g} ({row.center_then:g} minus {row.center_start:g})"
            yield Finding("continuous", row.line, "center", expected, f"{row.center:g}")


def half_unit(value: float) -> float:
    """Half a unit in the last digit that a number needs: how far rounding can have moved it, at least.

    Examples
    --------
    >>> half_unit(7.5), half_unit(-1.31), half_unit(12.0)
    (0.05, 0.005, 0.5)
    """
    digits = f"{value:.10f}".rstrip("0").partition(".")[2]
    return 0.5 * 10.0 ** -len(digits)


def limits_around_estimate(evidence: Evidence) -> Iterator[Finding]:
    """Confidence limits enclose their estimate, and the lower is below the upper."""
    for table, column in INTERVALS.items():
        rows = getattr(evidence, table)
        for limit, sign in (("ci_low", 1), ("ci_high", -1)):
            for line, row in rows[sign * rows[limit] > sign * rows[column]].iterrows():
                side = "most" if sign == 1 else "least"
                yield Finding(table, line, limit, f"at {side} the estimate {row[column]:g}", f"{row[limit]:g}")
        for line, row in rows[(rows.ci_low >= rows.ci_high) & rows[column].isna()].iterrows():
            yield Finding(table, line, "ci_low", f"below the upper limit {row.ci_high:g}", f"{row.ci_low:g}")


def interval_is_symmetric(evidence: Evidence) -> Iterator[Finding]:
    """The interval of a difference has its estimate in the middle, within rounding and a tenth of its width.

    The tenth leaves room for intervals that are not normal (a standardised mean difference, a small-sample
    correction); a limit with a lost sign is far outside it.
    """
    for table in ("contrasts", "pooled_elsewhere"):
        rows = getattr(evidence, table)
        rows = rows[rows.measure.isin(DIFFERENCES) & rows.estimate.notna() & rows.ci_low.notna()]
        for line, estimate, low, high in zip(rows.index, rows.estimate, rows.ci_low, rows.ci_high, strict=True):
            slack = 2 * half_unit(estimate) + half_unit(low) + half_unit(high) + 0.1 * abs(high - low)
            off = abs((high - estimate) - (estimate - low))
            if low <= estimate <= high and off > slack:  # a limit on the wrong side has a rule of its own
                column, limit = ("ci_high", high) if high - estimate > estimate - low else ("ci_low", low)
                middle = f"a limit as far from {estimate:g} as the other one"
                yield Finding(table, line, column, middle, f"{limit:g}")


def limits_in_pairs(evidence: Evidence) -> Iterator[Finding]:
    """A lower limit stands with an upper limit."""
    for table in INTERVALS:
        rows = getattr(evidence, table)
        for line in rows.index[rows.ci_low.isna() != rows.ci_high.isna()]:
            column = "ci_low" if np.isnan(rows.ci_low[line]) else "ci_high"
            yield Finding(table, line, column, "both limits or none", "nothing")


def contrast_says_something(evidence: Evidence) -> Iterator[Finding]:
    """A comparison holds an effect, an interval or a P value."""
    rows = evidence.contrasts
    silent = rows[["estimate", "ci_low", "p_value"]].isna().all(axis=1)
    for line in rows.index[silent & (rows.estimate_printed == "") & (rows.p_value_printed == "")]:
        yield Finding("contrasts", line, "estimate", "an effect, an interval or a P value", "none of them")


def p_value_as_printed(evidence: Evidence) -> Iterator[Finding]:
    """The P value is the printed one; where a bound is printed there is no plain number."""
    rows = evidence.contrasts
    for line, value, printed in zip(rows.index, rows.p_value, rows.p_value_printed, strict=True):
        plain = float(printed) if re.fullmatch(r"[0-9.]+", printed) else np.nan
        if not (value == plain or (np.isnan(value) and np.isnan(plain))):
            yield Finding("contrasts", line, "p_value", f"the plain number of {printed!r}", f"{value:g}")


def ratio_above_zero(evidence: Evidence) -> Iterator[Finding]:
    """A ratio and its limits are above zero."""
    for table in ("contrasts", "pooled_elsewhere"):
        rows = getattr(evidence, table)
        rows = rows[rows.measure.isin(RATIOS)]
        for column in ("estimate", "ci_low", "ci_high"):
            for line in rows.index[rows[column] <= 0]:
                yield Finding(table, line, column, "a ratio above 0", f"{rows[column][line]:g}")


def measures_entered_once(evidence: Evidence) -> Iterator[Finding]:
    """The same measurement or comparison from the same source does not stand twice."""
    key = ["study_id", "arm_id", "outcome", "unit", "months", "kind", "center_type", "n", "source_id"]
    yield from repeated("continuous", evidence.continuous, key)
    key = ["study_id", "treatment_arm", "control_arm", "outcome", "unit_printed", "months", "measure", "source_id"]
    yield from repeated("contrasts", evidence.contrasts, key)


MEASURE_RULES = (
    spread_fits_its_type,
    spread_not_negative,
    spread_around_centre,
    median_without_sd,
    unit_is_tidied,
    unit_fits_outcome,
    level_is_possible,
    change_is_after_baseline,
    change_agrees_with_levels,
    limits_around_estimate,
    interval_is_symmetric,
    limits_in_pairs,
    contrast_says_something,
    p_value_as_printed,
    ratio_above_zero,
    measures_entered_once,
)


# Rules on counted outcomes: ``binary`` and ``survival``.


#: Outcomes that gather several definitions; every other outcome is its own definition.
GATHERING = ("composite_primary", "responder")
#: Definitions that count as one outcome under another name.
OTHER_NAMES = {"complete_remission": "insulin_independence"}
#: What is computed in floating point from a count may miss the edge of a rounding interval by this many per cent.
FLOAT_NOISE = 1e-9


def events_at_most_n(evidence: Evidence) -> Iterator[Finding]:
    """No more patients have the outcome than were looked at."""
    binary = evidence.binary
    for line, row in binary[binary.events > binary.n].iterrows():
        yield Finding("binary", line, "events", f"at most n = {row.n:g}", f"{row.events:g}")


def n_at_most_arm(evidence: Evidence) -> Iterator[Finding]:
    """No more patients are counted, measured or at risk than the arm has (enrolled or analysed, the larger)."""
    sizes = arm_sizes(evidence)
    for table, column in (("binary", "n"), ("continuous", "n"), ("survival", "n_at_risk")):
        rows = getattr(evidence, table)
        for line, study, arm, n in zip(rows.index, rows.study_id, rows.arm_id, rows[column], strict=True):
            if n > (most := sizes.get((study, arm), np.nan)):
                yield Finding(table, line, column, f"at most the arm's {most:g} patients", f"{n:g}")


def arm_sizes(evidence: Evidence) -> dict[tuple[str, str], float]:
    """Patients of each arm by study_id and arm_id: enrolled or analysed, the larger; NaN where neither is printed."""
    arms = evidence.arms
    size = np.fmax(arms.n_enrolled, arms.n_analysed)
    return dict(zip(zip(arms.study_id, arms.arm_id, strict=True), size, strict=True))


def count_or_percent_given(evidence: Evidence) -> Iterator[Finding]:
    """A row of a count holds a count or a percentage."""
    binary = evidence.binary
    for line in binary.index[binary.events.isna() & binary.percent.isna()]:
        yield Finding("binary", line, "events", "a count or a percentage", "neither")


def percent_agrees_with_count(evidence: Evidence) -> Iterator[Finding]:
    """The printed percentage is events / n, rounded to the digits that it is printed with; a fraction is exact."""
    rows = evidence.binary
    for line, events, n, printed in zip(rows.index, rows.events, rows.n, rows.percent_printed, strict=True):
        if not printed or np.isnan(events) or np.isnan(n):
            continue
        share = 100 * events / n
        lowest, highest = rounding_limits(printed)
        if not lowest - FLOAT_NOISE <= share <= highest + FLOAT_NOISE:
            wanted = f"{share:.2f} percent ({events:g} of {n:g}) to its printed digits"
            yield Finding("binary", line, "percent_printed", wanted, printed)


def percent_can_be_a_count(evidence: Evidence) -> Iterator[Finding]:
    """Where a percentage of n is printed without a count, some whole number of n is printed like that."""
    rows = evidence.binary[evidence.binary.events.isna()]
    for line, n, printed in zip(rows.index, rows.n, rows.percent_printed, strict=True):
        if not printed or np.isnan(n):
            continue
        lowest, highest = (limit * n / 100 for limit in rounding_limits(printed))
        if np.ceil(lowest - FLOAT_NOISE) > np.floor(highest + FLOAT_NOISE):
            yield Finding("binary", line, "percent_printed", f"what a whole number of {n:g} gives", printed)


def rounding_limits(printed: str) -> tuple[float, float]:
    """Lowest and highest percentage that is printed like this.

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
    """The percentage as a number is the one that is printed (a fraction to one decimal)."""
    rows = evidence.binary
    for line, percent, printed in zip(rows.index, rows.percent, rows.percent_printed, strict=True):
        if not printed and np.isnan(percent):
            continue
        low, high = rounding_limits(printed) if printed else (np.nan, np.nan)
        slack = FLOAT_NOISE + (0.05 if "/" in printed else 0)
        if not abs((low + high) / 2 - percent) <= slack:
            yield Finding("binary", line, "percent", f"{printed or 'nothing'}, as printed", f"{percent:g}")


def status_has_month(evidence: Evidence) -> Iterator[Finding]:
    """Status at a month needs the month."""
    binary = evidence.binary
    for line in binary.index[(binary.timing == "at_month") & binary.months.isna()]:
        yield Finding("binary", line, "months", "a month, as timing is at_month", "nothing")


def definition_fits_outcome(evidence: Evidence) -> Iterator[Finding]:
    """Only composite_primary and responder gather several definitions; elsewhere the definition is the outcome."""
    binary = evidence.binary
    plain = binary[~binary.outcome.isin(GATHERING)]
    meant = plain.definition_id.replace(OTHER_NAMES)
    for line, row in plain[(plain.definition_id != plain.outcome) & (meant != plain.outcome)].iterrows():
        yield Finding("binary", line, "definition_id", row.outcome, row.definition_id)


def curve_never_rises(evidence: Evidence) -> Iterator[Finding]:
    """A share still free of the event cannot grow with time (one arm, outcome, time origin and source)."""
    curve = ["study_id", "arm_id", "outcome", "time_origin", "source_id"]
    rows = evidence.survival.sort_values("months", kind="stable")
    lowest = rows.groupby(curve).percent.cummin()
    before = lowest.groupby([rows[name] for name in curve]).shift()
    for line in rows.index[rows.percent > before]:
        yield Finding("survival", line, "percent", f"at most {before[line]:g}, as before", f"{rows.percent[line]:g}")


def counts_entered_once(evidence: Evidence) -> Iterator[Finding]:
    """The same count from the same source does not stand twice."""
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
    counts_entered_once,
)
