"""Rules on counted outcomes: ``binary`` and ``survival``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from cellclaims.tables.faults import Finding, repeated

if TYPE_CHECKING:
    from cellclaims.tables.read import Evidence

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


RULES = (
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
