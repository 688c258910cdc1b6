"""Differences between the arms of one report under every choice within it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import pandas as pd

from cellclaims.effects import FORMS, change_of_report, contrasts_of, controlled_reports, difference_of_report
from cellclaims.errors import DataError, ProtocolError
from cellclaims.protocol import Protocol
from cellclaims.selection import Question, eligible, level_rules, passing
from cellclaims.specifications.choices import Option
from cellclaims.specifications.report_tables import (
    Collected,
    Table,
    as_printed,
    handled,
    only,
    read_otherwise,
    timed,
)
from cellclaims.tables import Evidence

#: What an effect and its description need of a level or change.
COLUMNS = (
    "study_id arm_id part_of outcome unit kind months n center_type center dispersion_type dispersion_low "
    "dispersion_high source_id status n_stands_in source_rank line flag year diabetes_type intervention_class design "
    "randomised blinding"
).split()


@dataclass(frozen=True, eq=False)
class _Report:
    """Rows of one report at one time: with cells, without, and as differences."""

    study_id: str
    at: Question
    sides: tuple[pd.DataFrame, ...]

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """What its effects depend on."""
        return (self.study_id, *(tuple(rows.index) for rows in self.sides), self.at.months)


def difference_tables(
    evidence: Evidence, protocol: Protocol, wide: Question, options: Mapping[str, Sequence[Option]], found: Collected
) -> dict[tuple[int, ...], Table]:
    """The table of every combination: axes outcome (one option), timing, figures, effect, handling."""
    if len(options["outcome"]) > 1:
        raise ProtocolError(f"expected one outcome for differences, found {len(options['outcome'])}")
    controlled = controlled_reports(evidence, protocol, wide)
    tables: dict[tuple[int, ...], Table] = {}
    for h, handling in enumerate(options["handling"]):
        part, asked = handled(evidence, wide, handling) if h else (only(evidence, controlled, wide.alternative), wide)
        read = _Read(part, protocol, asked, controlled, h, found)
        for t, f, own in _read_tables(read, options):
            for e, table in enumerate(own):
                tables[0, t, f, e, h] = read_otherwise(tables[0, t, f, e, 0], handling, table) if h else table
    return tables


def _read_tables(read: _Read, options: Mapping[str, Sequence[Option]]) -> Iterator[tuple[int, int, list[Table]]]:
    """For every time and choice of figures the table of each effect; choices that keep the same rows are read once."""
    for t, timing in enumerate(options["timing"]):
        contrasts = contrasts_of(read.evidence, read.protocol, timed(read.protocol, read.asked, timing, Option("all")))
        known: dict[tuple[Any, ...], list[Table]] = {}
        for f, figures in enumerate(options["figures"]):
            at = timed(read.protocol, read.asked, timing, figures)
            levels = [as_printed(rows, figures) for rows in read.levels]
            key = (at, *(len(rows) for rows in levels))
            if key not in known:
                reports = read.reports(at, levels, contrasts)
                known[key] = [read.table(reports, effect) for effect in options["effect"]]
            yield t, f, known[key]


@dataclass
class _Read:
    """Reads the controlled reports under one handling; the same rows at the same month are read once."""

    evidence: Evidence
    protocol: Protocol
    asked: Question
    controlled: set[str]
    handling: int
    found: Collected
    known: dict[Any, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.levels = [
            eligible(self.evidence, self.protocol, replace(self.asked, arms=arms), "continuous")[COLUMNS]
            for arms in ("cells", "control")
        ]

    def reports(self, at: Question, levels: Sequence[pd.DataFrame], contrasts: pd.DataFrame) -> list[_Report]:
        """The rows of each controlled report at one time."""
        parts = [*(passing(rows, level_rules(at)) for rows in levels), contrasts]
        named = {study_id for rows in parts for study_id in rows.study_id} & self.controlled
        return [_Report(s, at, tuple(rows[rows.study_id == s] for rows in parts)) for s in sorted(named)]

    def table(self, reports: Sequence[_Report], effect: Option) -> Table:
        """The report figure of every report whose rows allow this effect."""
        table = {}
        for report in reports:
            key = (*report.key, effect.name)
            if key not in self.known:
                self.known[key] = self._figure(report, effect)
            if self.known[key] is not None:
                table[report.study_id] = self.known[key]
        return table

    def _figure(self, report: _Report, effect: Option) -> int | None:
        try:
            made = self._effect(report, effect)
        except DataError:
            return None
        key = (self.handling, *(made[name] for name in ("study_id", "arm_id", "line", "yi", "vi")))
        return self.found.add(key, made | {"outcome": report.at.outcome})

    def _effect(self, report: _Report, effect: Option) -> dict[str, Any]:
        if "correlation" in effect.settings:
            return _of_changes(*report.sides[:2], report.at, float(effect.settings["correlation"]))
        r = float(self.protocol["models"]["correlation"]["value"])
        forms = tuple(effect.settings.get("forms", FORMS))
        return difference_of_report(self.evidence, report.study_id, *report.sides, report.at, r, forms)


def _of_changes(cells: pd.DataFrame, controls: pd.DataFrame, at: Question, correlation: float) -> dict[str, Any]:
    """Change with cells minus change without, each from levels with the same correlation."""
    if cells.empty or controls.empty:
        raise DataError("no levels on one of the two sides")
    with_cells, without = (change_of_report(rows, at, correlation) for rows in (cells, controls))
    if with_cells["months"] != without["months"]:
        raise DataError(f"month {with_cells['months']:g} with cells, {without['months']:g} without")
    return with_cells | {
        "arm_id": f"{with_cells['arm_id']} v {without['arm_id']}",
        "line": f"{with_cells['line']};{without['line']}",
        "n_control": without["n"],
        "yi": with_cells["yi"] - without["yi"],
        "vi": with_cells["vi"] + without["vi"],
    }
