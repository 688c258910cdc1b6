"""Choices between reports: whose reports count, one a cohort. Every combination at once, as masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellclaims.protocol import Protocol
from cellclaims.report_rows import fullness, one_a_cohort, sharing
from cellclaims.selection import Question
from cellclaims.specifications.choices import BETWEEN, Choice, Option, classes_of
from cellclaims.specifications.report_tables import ReportTables
from cellclaims.tables import Evidence
from cellclaims.tables.cohorts import cohorts_of

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
    evidence: Evidence, protocol: Protocol, question: Question, kind: str, choices: Sequence[Choice],
    tables: ReportTables,
) -> RowSets:  # fmt: skip
    """The reports of every combination of choices, overlapping cohorts resolved."""
    figures = tables.figures
    content = figures.groupby(SAME[kind], sort=False, dropna=False).ngroup().to_numpy()
    rows = figures.iloc[pd.Series(content).drop_duplicates().index].reset_index(drop=True)
    asked = _asked(protocol, question, choices, figures)
    shape, asked = asked.shape[:-1], asked.reshape(-1, len(figures))
    shares = sharing(_cohorts(evidence, figures))
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


def _cohorts(evidence: Evidence, figures: pd.DataFrame) -> list[frozenset[str]]:
    known: dict[tuple[str, str], frozenset[str]] = {}
    reports = list(zip(figures.study_id, figures.arm_id.astype(str).str.replace(" v ", "+"), strict=True))
    for report in reports:
        if report not in known:
            known[report] = cohorts_of(evidence, report)
    return [known[report] for report in reports]


def _by_fullness(figures: pd.DataFrame, members: Sequence[int], favourable: bool) -> NDArray[np.intp]:
    """The report figures of a table, the one that speaks for its cohort before the others."""
    own = figures.iloc[list(members)]
    timing = own.timing if favourable else [""] * len(own)
    keys = map(fullness, timing, own.n, own.source_rank, own.year, own.study_id)
    return np.array([number for _, number in sorted(zip(keys, members, strict=True))], dtype=np.intp)
