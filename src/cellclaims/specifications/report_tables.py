"""Choices within a report: which row answers, which figure is used, which effect is made of it.

A *report figure* is what one report gives under one way to read it. A *table* holds the report figures of one
combination of choices; it does not depend on which reports are asked for, so few tables serve all questions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellclaims.protocol import Protocol
from cellclaims.selection import Question
from cellclaims.specifications.choices import WITHIN, Choice, Option
from cellclaims.tables import Evidence

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

    def add(self, key: Any, figure: Mapping[str, Any]) -> int:
        """The number of a report figure; ``key`` says which ones are the same."""
        if key not in self.known:
            self.known[key] = len(self.figures)
            self.figures.append({name: figure.get(name, np.nan) for name in FIGURE})
        return self.known[key]


def report_tables(
    evidence: Evidence, protocol: Protocol, question: Question, kind: str, choices: Sequence[Choice]
) -> ReportTables:
    """The report figures of every combination of the choices within a report."""
    from cellclaims.specifications.counts import count_tables
    from cellclaims.specifications.differences import difference_tables

    options = {choice.choice_id: choice.options for choice in choices}
    found, make = Collected(), {"rate": count_tables, "difference": difference_tables}[kind]
    tables = make(evidence, protocol, _wide(protocol, question, choices), options, found)
    distinct: dict[tuple[tuple[int, ...], bool], int] = {}
    number = np.empty([len(options[choice_id]) for choice_id in WITHIN], dtype=np.intp)
    for place in np.ndindex(*number.shape):
        estimand = options["timing"][place[1]].settings.get("estimand", question.estimand)
        key = (tuple(sorted(tables[place].values())), kind == "rate" and estimand == "most_favourable")
        number[place] = distinct.setdefault(key, len(distinct))
    figures = pd.DataFrame(found.figures, columns=FIGURE)
    return ReportTables(figures, [m for m, _ in distinct], [f for _, f in distinct], number)


def _wide(protocol: Protocol, question: Question, choices: Sequence[Choice]) -> Question:
    """The question with every type of diabetes and every design that an option asks for."""
    population = {choice.choice_id: choice for choice in choices}["population"]
    types = [t for option in population.options for t in option.settings.get("types", question.population)]
    return replace(question.at(protocol), population=tuple(dict.fromkeys(types)), designs=())


def handled(evidence: Evidence, asked: Question, handling: Option) -> tuple[Evidence, Question]:
    """For an alternative handling: the studies that it touches, and the question that asks for it."""
    if not handling.settings:
        return evidence, asked
    asked = replace(asked, alternative=(*asked.alternative, handling.settings["alternative"]))
    touched = handling.settings["studies"]
    return (only(evidence, touched, asked.alternative) if touched else evidence), asked


def only(evidence: Evidence, studies: Iterable[str], anomalies: Iterable[str]) -> Evidence:
    """The evidence of some studies, with the steps of handling that touch them or that a question asks for."""
    names = ("studies", "arms", "binary", "continuous", "contrasts", "cohorts")
    frames = {name: getattr(evidence, name) for name in names}
    frames = {name: frame[frame.study_id.isin(list(studies))] for name, frame in frames.items()}
    steps = evidence.handling
    wanted = steps.study_id.isin(["", *studies]) | steps.anomaly_id.isin(list(anomalies))
    return replace(evidence, **frames, handling=steps[wanted])


def read_otherwise(primary: Table, handling: Option, own: Table) -> Table:
    """The table of the review's own handling, with the touched studies read in the other way."""
    touched = handling.settings["studies"]
    return {s: i for s, i in primary.items() if s not in touched} | own if touched else own


def timed(protocol: Protocol, asked: Question, timing: Option, figures: Option) -> Question:
    """The question at the time and with the figures that the options ask for."""
    when = {name: timing.settings[name] for name in ("estimand", "months", "window") if name in timing.settings}
    when |= {name: float(when[name]) for name in ("months", "window") if name in when}
    return replace(asked, **when, assumed=figures.settings.get("assumed", asked.assumed)).at(protocol)


def as_printed(rows: pd.DataFrame, figures: Option) -> pd.DataFrame:
    """Without rows that the reader worked out from the print, where the option asks for that."""
    return rows if figures.settings.get("derived", True) else rows[rows.status != "derived"]
