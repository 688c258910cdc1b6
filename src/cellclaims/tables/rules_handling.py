"""Rules on ``handling.csv``: every step finds the rows it is meant for, and what it sets can be set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from cellclaims.tables.faults import Finding

if TYPE_CHECKING:
    from cellclaims.tables.read import Evidence

#: Columns of handling.csv that say what a step is and does; every other column selects rows, an empty cell any.
ABOUT_THE_STEP = frozenset("handling_id anomaly_id variant table action column value reason".split())
#: Tables of which a row stands for many figures, and the columns by which those figures name it.
WHOLES = (
    ("arms", ("study_id", "arm_id")),
    ("arms", ("study_id", "treatment_arm")),
    ("arms", ("study_id", "control_arm")),
    ("studies", ("study_id",)),
)
#: Under which name a table holds a selector, where it is not its own.
HELD_AS = {("pooled_elsewhere", "study_id"): "review_id"}


def rows_meant(table: str, rows: pd.DataFrame, step: Mapping[str, object]) -> pd.Series:
    """Which rows of a table a step of ``handling.csv`` selects.

    Parameters
    ----------
    table : str
        Name of the table that ``rows`` are of.
    rows : DataFrame
        Its rows.
    step : mapping
        One row of ``handling.csv``.

    Returns
    -------
    Series of bool, the index of ``rows``
        Nothing is selected by a selector that the table does not hold.
    """
    meant = np.ones(len(rows), dtype=bool)
    for selector in set(step.keys()) - ABOUT_THE_STEP:
        wanted = step[selector]
        if not _is_empty(wanted):
            column = HELD_AS.get((table, selector), selector)
            meant &= (rows[column].to_numpy() == wanted) if column in rows else False
    return pd.Series(meant, index=rows.index)


def step_finds_rows(evidence: Evidence) -> Iterator[Finding]:
    """A step selects at least one row: a misspelt report or month would silently do nothing."""
    for line, step in evidence.handling.iterrows():
        if not rows_meant(step.table, getattr(evidence, step.table), step).any():
            names = [name for name in step.index if name not in ABOUT_THE_STEP and not _is_empty(step[name])]
            chosen = ", ".join(f"{name} {step[name]}" for name in names)
            yield Finding("handling", line, "table", f"at least one row of {step.table} with {chosen}", "none")


def step_can_be_set(evidence: Evidence) -> Iterator[Finding]:
    """``set`` names a column of the table and a value that it can hold; other actions name none.

    A whole report or arm is flagged or left out: what describes it is corrected where it stands, with an anomaly.
    """
    for line, step in evidence.handling.iterrows():
        rows = getattr(evidence, step.table)
        if step.action != "set":
            if found := step.column or step.value:
                yield Finding("handling", line, "column", f"nothing, as the action is {step.action}", found)
        elif step.table in dict(WHOLES):
            yield Finding("handling", line, "action", f"flag or leave_out, as the table is {step.table}", "set")
        elif step.column not in rows:
            yield Finding("handling", line, "column", f"a column of {step.table}", repr(step.column))
        elif pd.api.types.is_numeric_dtype(rows[step.column]) and not _is_number(step.value):
            yield Finding("handling", line, "value", f"a number for {step.column}", repr(step.value))


def step_fits_anomaly(evidence: Evidence) -> Iterator[Finding]:
    """A step is taken for the report that its anomaly names, or its reason names that report."""
    record = evidence.anomalies.set_index("anomaly_id").record_id
    for line, step in evidence.handling.iterrows():
        named = record.get(step.anomaly_id)
        if step.study_id not in ("", named) and named not in step.reason:
            expected = f"{named}, as in {step.anomaly_id}, or a reason that names it"
            yield Finding("handling", line, "study_id", expected, step.study_id)


def _is_empty(cell: str | float) -> bool:
    return cell == "" or cell != cell  # NaN differs from itself


def _is_number(text: str) -> bool:
    try:
        return text == "" or np.isfinite(float(text))
    except ValueError:
        return False


RULES = (step_can_be_set, step_fits_anomaly)
CHECKED_ONLY = (step_finds_rows,)
