"""Choices between reports: whose reports count, one a cohort. Every combination at once, as masks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import product
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellclaims.effects import (
    FORMS,
    Effect,
    contrasts_of,
    controlled_reports,
    difference_from_levels,
    difference_of_report,
)
from cellclaims.errors import DataError, ProtocolError
from cellclaims.protocol import Protocol
from cellclaims.selection import (
    FAVOURABLE,
    EvidenceBase,
    Question,
    Record,
    answer,
    by_report,
    count_rules,
    eligible,
    fullness,
    level_rules,
    one_a_cohort,
    passing,
    sharing,
    summed,
    too_few,
)
from cellclaims.specifications.choices import BETWEEN, WITHIN, Choice, Option, classes_of

# Choices within a report: which row answers, which figure is used, which effect is made of it.
#
# A *report figure* is what one report gives under one way to read it. A *table* holds the report figures of one
# combination of choices; it does not depend on which reports are asked for, so few tables serve all questions.


#: What is kept of a report figure; events and n for counts, yi and vi for effects.
FIGURE = (
    "study_id arm_id source_id outcome diabetes_type intervention_class design randomised blinding year months timing "
    "n n_control events yi vi source_rank line flag"
).split()

#: The report figure of each study, by its number.
Table = dict[str, int]


@dataclass(frozen=True, eq=False)
class ReportTables:
    """Report figures, and the tables that hold them.

    Attributes
    ----------
    figures : DataFrame
        One line a report figure (:data:`FIGURE`).
    members : list of tuple of int
        For each distinct table the numbers of its report figures.
    favourable : list of bool
        Whether the table is of the most favourable reports: their timing then decides which of them speaks.
    number : ndarray of int
        The table of each combination of options, one axis a choice in the order of WITHIN.
    """

    figures: pd.DataFrame
    members: list[tuple[int, ...]]
    favourable: list[bool]
    number: NDArray[np.intp]


@dataclass
class Collected:
    """Report figures as they are found, each once."""

    known: dict[Any, int] = field(default_factory=dict)
    figures: list[dict[str, Any]] = field(default_factory=list)

    def add(self, key: Any, figure: Record, outcome: str) -> int:
        """The number of a report figure; ``key`` says which ones are the same."""
        if key not in self.known:
            self.known[key] = len(self.figures)
            self.figures.append({name: getattr(figure, name, np.nan) for name in FIGURE} | {"outcome": outcome})
        return self.known[key]


def report_tables(base: EvidenceBase, question: Question, kind: str, choices: Sequence[Choice]) -> ReportTables:
    """The report figures of every combination of the choices within a report."""

    options = {choice.choice_id: choice.options for choice in choices}
    found, make = Collected(), {"rate": count_tables, "difference": difference_tables}[kind]
    tables = make(base, _wide(base.protocol, question, choices), options, found)
    distinct: dict[tuple[tuple[int, ...], bool], int] = {}
    number = np.empty([len(options[choice_id]) for choice_id in WITHIN], dtype=np.intp)
    for place in np.ndindex(*number.shape):
        estimand = options["timing"][place[1]].settings.get("estimand", question.estimand)
        key = (tuple(sorted(tables[place].values())), kind == "rate" and estimand in FAVOURABLE)
        number[place] = distinct.setdefault(key, len(distinct))
    figures = pd.DataFrame(found.figures, columns=FIGURE)
    return ReportTables(figures, [m for m, _ in distinct], [f for _, f in distinct], number)


def _wide(protocol: Protocol, question: Question, choices: Sequence[Choice]) -> Question:
    """The question with every type of diabetes and every design that an option asks for."""
    population = {choice.choice_id: choice for choice in choices}["population"]
    types = [t for option in population.options for t in option.settings.get("types", question.population)]
    return replace(question.at(protocol), population=tuple(dict.fromkeys(types)), designs=())


def handled_otherwise(asked: Question, handling: Option) -> tuple[Question, Sequence[str]]:
    """For an alternative handling: the question that asks for it, and the studies that it touches (empty: all)."""
    if not handling.settings:
        return asked, ()
    return replace(asked, alternative=(*asked.alternative, handling.settings["alternative"])), handling.settings[
        "studies"
    ]


def of_studies(rows: Sequence[Record], studies: Collection[str]) -> Sequence[Record]:
    """The rows of some studies; all rows where none are named."""
    return [row for row in rows if row.study_id in studies] if studies else rows


def read_otherwise(primary: Table, handling: Option, own: Table) -> Table:
    """The table of the review's own handling, with the touched studies read in the other way."""
    touched = handling.settings["studies"]
    return {s: i for s, i in primary.items() if s not in touched} | own if touched else own


def timed(protocol: Protocol, asked: Question, timing: Option, figures: Option) -> Question:
    """The question at the time and with the figures that the options ask for."""
    when = {name: timing.settings[name] for name in ("estimand", "months", "window") if name in timing.settings}
    if isinstance(when.get("months"), list):
        when |= {"months": tuple(when["months"]), "window": None}
    which = {name: figures.settings.get(name, getattr(asked, name)) for name in SWITCHES}
    return replace(asked, **when, **which).at(protocol)


#: Switches of a question that an option of the choice "figures" may turn off.
SWITCHES = ("assumed", "secondary", "co_treatments")


def as_printed(base: EvidenceBase, rows: Sequence[Record], figures: Option) -> Sequence[Record]:
    """Exclude rows as the option requires: derived, from tables of reviews, or of arms with another treatment."""
    asked = figures.settings
    if not asked.get("derived", True):
        rows = [row for row in rows if row.status != "derived"]
    if not asked.get("secondary", True):
        rows = [row for row in rows if not base.is_secondary(row.source_id)]
    if not asked.get("co_treatments", True):
        rows = [row for row in rows if not base.co_treatment(row.study_id, row.arm_id)]
    return rows


#: Columns that make two report figures the same numbers of the same report.
SAME = {"rate": ["study_id", "outcome", "events", "n"], "difference": ["study_id", "yi", "vi"]}


@dataclass(frozen=True, eq=False)
class RowSets:
    """Distinct choices of reports.

    Attributes
    ----------
    rows : DataFrame
        The reports that any row set holds, one line a distinct figure of a report.
    keep : ndarray of bool, shape (s, m)
        Which of them each row set holds.
    number : ndarray of int
        The row set of each combination of options: axes in the order of WITHIN, then of BETWEEN.
    """

    rows: pd.DataFrame
    keep: NDArray[np.bool_]
    number: NDArray[np.intp]

    def of(self, row_set: int) -> pd.DataFrame:
        """The reports of one row set."""
        return self.rows[self.keep[row_set]]


def row_sets(
    base: EvidenceBase, question: Question, kind: str, choices: Sequence[Choice],
    tables: ReportTables,
) -> RowSets:  # fmt: skip
    """The reports of every combination of choices, overlapping cohorts resolved."""
    figures = tables.figures
    content = figures.groupby(SAME[kind], sort=False, dropna=False).ngroup().to_numpy()
    rows = figures.iloc[pd.Series(content).drop_duplicates().index].reset_index(drop=True)
    asked = _asked(base.protocol, question, choices, figures)
    shape, asked = asked.shape[:-1], asked.reshape(-1, len(figures))
    shares = sharing(_cohorts(base, figures))
    known: dict[bytes, int] = {}
    of_table = np.empty((len(tables.members), len(asked)), dtype=np.intp)
    for number, (members, favourable) in enumerate(zip(tables.members, tables.favourable, strict=True)):
        order = _by_fullness(figures, members, favourable)
        counted = np.zeros((len(asked), len(rows)), dtype=bool)
        counted[:, content[order]] = one_a_cohort(asked[:, order], shares[np.ix_(order, order)])
        of_table[number] = [known.setdefault(row.tobytes(), len(known)) for row in np.packbits(counted, axis=1)]
    packed = np.array([np.frombuffer(key, dtype=np.uint8) for key in known]).reshape(len(known), -1)
    keep = np.unpackbits(packed, axis=1, count=len(rows)).astype(bool)
    return RowSets(rows, keep, of_table[tables.number].reshape(*tables.number.shape, *shape))


def _asked(protocol: Protocol, question: Question, choices: Sequence[Choice], figures: pd.DataFrame) -> NDArray:
    """Whether each report figure is asked for, one axis a choice in the order of BETWEEN, reports last."""
    by_id = {choice.choice_id: choice for choice in choices}
    asked = np.ones((1,) * len(BETWEEN) + (len(figures),), dtype=bool)
    for axis, choice_id in enumerate(BETWEEN):
        masks = [_mask(protocol, question, choice_id, option, figures) for option in by_id[choice_id].options]
        shape = [1] * len(BETWEEN) + [len(figures)]
        shape[axis] = len(masks)
        asked = asked & np.stack(masks).reshape(shape)
    return asked


def _mask(
    protocol: Protocol, question: Question, choice_id: str, option: Option, figures: pd.DataFrame
) -> NDArray[np.bool_]:
    asked = option.settings
    if choice_id == "population":
        return figures.diabetes_type.isin(asked.get("types", question.population)).to_numpy()
    if choice_id == "product":
        own = set(protocol.classes(question.product))
        wanted = classes_of(protocol, asked["products"]) if asked else own
        return figures.intervention_class.isin(wanted).to_numpy()
    column, wanted = (figures.design, question.designs) if choice_id == "design" else (figures.blinding, ())
    wanted = asked.get("designs" if choice_id == "design" else "blinding", wanted)
    return column.isin(wanted).to_numpy() if wanted else np.ones(len(figures), dtype=bool)


def _cohorts(base: EvidenceBase, figures: pd.DataFrame) -> list[frozenset[str]]:
    return [base.cohorts(study, arms) for study, arms in zip(figures.study_id, figures.arm_id, strict=True)]


def _by_fullness(figures: pd.DataFrame, members: Sequence[int], favourable: bool) -> NDArray[np.intp]:
    """The report figures of a table, the one that speaks for its cohort before the others."""
    own = figures.iloc[list(members)]
    rate = own.events / own.n if favourable else [0.0] * len(own)
    keys = map(fullness, rate, own.n, own.source_rank, own.year, own.study_id)
    return np.array([number for _, number in sorted(zip(keys, members, strict=True))], dtype=np.intp)


# Counts of one report under every choice within it.


def count_tables(
    base: EvidenceBase, wide: Question, options: Mapping[str, Sequence[Option]], found: Collected
) -> dict[tuple[int, ...], Table]:
    """The table of every combination: axes outcome, timing, figures, effect (one option), handling."""
    tables: dict[tuple[int, ...], Table] = {}
    for (o, outcome), (h, handling) in product(enumerate(options["outcome"]), enumerate(options["handling"])):
        about = replace(wide, outcome=outcome.settings.get("definition", wide.outcome))
        asked, touched = handled_otherwise(about, handling)
        rows = of_studies(eligible(base, asked, "binary"), touched)
        read = _CountsRead((o, h), found)
        for (t, timing), (f, figures) in product(enumerate(options["timing"]), enumerate(options["figures"])):
            at = timed(base.protocol, asked, timing, figures)
            own = read.table(passing(as_printed(base, rows, figures), count_rules(at)), at)
            tables[o, t, f, 0, h] = own if h == 0 else read_otherwise(tables[o, t, f, 0, 0], handling, own)
    return tables


class _CountsRead:
    """Reads the reports of one outcome under one handling; the same rows are read once."""

    def __init__(self, handling: tuple[int, int], found: Collected) -> None:
        self.handling, self.found = handling, found
        self.known: dict[Any, int | None] = {}

    def table(self, rows: Sequence[Record], asked: Question) -> Table:
        """The report figure of every report that has an answer."""
        table = {}
        for study_id, report in by_report(rows).items():
            key = (tuple(row.line for row in report), asked.estimand, asked.target)
            if key not in self.known:
                alike, _ = answer(report, asked.estimand, asked.target)
                figure = summed(alike)
                lines = tuple(row.line for row in alike)
                few = too_few(figure, asked.fewest)
                own = None if few else self.found.add((self.handling, lines), figure, outcome=figure.definition_id)
                self.known[key] = own
            if self.known[key] is not None:
                table[study_id] = self.known[key]
        return table


# Differences between the arms of one report under every choice within it.


@dataclass(frozen=True, eq=False)
class _Report:
    """Rows of one report at one time: with cells, without, and as differences."""

    study_id: str
    at: Question
    sides: tuple[Sequence[Record], ...]

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Return the values that determine its effects."""
        return (self.study_id, *(tuple(row.line for row in rows) for rows in self.sides), self.at.target)


def difference_tables(
    base: EvidenceBase, wide: Question, options: Mapping[str, Sequence[Option]], found: Collected
) -> dict[tuple[int, ...], Table]:
    """The table of every combination: axes outcome (one option), timing, figures, effect, handling."""
    if len(options["outcome"]) > 1:
        raise ProtocolError(f"expected one outcome for differences, found {len(options['outcome'])}")
    controlled = controlled_reports(base, wide)
    tables: dict[tuple[int, ...], Table] = {}
    for h, handling in enumerate(options["handling"]):
        asked, touched = handled_otherwise(wide, handling)
        read = _DifferencesRead(base, asked, controlled.intersection(touched) if touched else controlled, h, found)
        for t, f, own in _read_tables(read, options):
            for e, table in enumerate(own):
                tables[0, t, f, e, h] = read_otherwise(tables[0, t, f, e, 0], handling, table) if h else table
    return tables


def _read_tables(
    read: _DifferencesRead, options: Mapping[str, Sequence[Option]]
) -> Iterator[tuple[int, int, list[Table]]]:
    """For every time and choice of figures the table of each effect; choices that keep the same rows are read once."""
    for t, timing in enumerate(options["timing"]):
        known: dict[tuple[Any, ...], list[Table]] = {}
        for f, figures in enumerate(options["figures"]):
            at = timed(read.base.protocol, read.asked, timing, figures)
            levels = [as_printed(read.base, rows, figures) for rows in read.levels]
            key = (at, *(len(rows) for rows in levels))
            if key not in known:
                reports = read.reports(at, levels, contrasts_of(read.base, at))
                known[key] = [read.table(reports, effect) for effect in options["effect"]]
            yield t, f, known[key]


@dataclass
class _DifferencesRead:
    """Reads the controlled reports under one handling; the same rows at the same month are read once."""

    base: EvidenceBase
    asked: Question
    controlled: set[str]
    handling: int
    found: Collected
    known: dict[Any, int | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.levels = [
            [
                row
                for row in eligible(self.base, replace(self.asked, arms=arms), "continuous")
                if row.study_id in self.controlled
            ]
            for arms in ("cells", "control")
        ]

    def reports(self, at: Question, levels: Sequence[Sequence[Record]], contrasts: Sequence[Record]) -> list[_Report]:
        """The rows of each controlled report at one time."""
        parts = [by_report(rows) for rows in (*(passing(rows, level_rules(at)) for rows in levels), contrasts)]
        named = set().union(*parts) & self.controlled
        return [_Report(s, at, tuple(rows.get(s, ()) for rows in parts)) for s in sorted(named)]

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
        if too_few(made, self.asked.fewest):
            return None
        key = (self.handling, made.study_id, made.arm_id, made.line, made.yi, made.vi)
        return self.found.add(key, made, outcome=report.at.outcome)

    def _effect(self, report: _Report, effect: Option) -> Effect:
        if "correlation" in effect.settings:
            return difference_from_levels(*report.sides[:2], report.at, float(effect.settings["correlation"]))
        r = float(self.base.protocol["models"]["correlation"]["value"])
        forms = tuple(effect.settings.get("forms", FORMS))
        return difference_of_report(self.base, report.study_id, *report.sides, report.at, r, forms)
