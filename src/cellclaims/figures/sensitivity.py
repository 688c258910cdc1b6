"""How far a result depends on a choice: one estimate with its interval for each, the primary choice marked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cellclaims.errors import DataError
from cellclaims.figures.interval_axis import scale_for
from cellclaims.figures.interval_rows import Claim, Column, Mark, Row, marks_of
from cellclaims.figures.interval_table import draw
from cellclaims.figures.pool_words import effect_words
from cellclaims.reporting.rounding import number

if TYPE_CHECKING:
    import pandas as pd


def choice_row(line: pd.Series, decimals: int) -> Row:
    """One choice with its estimate, its interval, and the number of reports where it is given."""
    estimate, low, high = (float(line[name]) for name in ("estimate", "ci_lb", "ci_ub"))
    k = float(line.get("k", math.nan))
    primary = bool(line.get("primary", False))
    words = str(line["choice"])
    words += " (primary)" if primary and "primary" not in words else ""
    cells = {"effect": effect_words(estimate, low, high, decimals), "k": "" if math.isnan(k) else number(k, 0)}
    return Row("primary" if primary else "study", words, cells, estimate, low, high)


def sensitivity(
    table: pd.DataFrame, *, axis_label: str, scale: str = "identity",
    claim: Claim = None, favours: tuple[str, str] | None = None, title: str = "",
    decimals: int | None = None, effect_heading: str = "Estimate\n(95 % CI)",
    limits: tuple[float, float] | None = None, notes: Sequence[str] = (),
) -> Figure:  # fmt: skip
    """Estimates with intervals for a list of choices, a faint line through the primary one.

    Parameters
    ----------
    table : DataFrame
        One line for each choice, in order: choice (words), estimate, ci_lb, ci_ub (shown scale: percent for
        proportions), optionally k (reports), primary (bool, one line) and group (a heading where it changes).
    axis_label : str
    scale : str
        "identity", "logit" (values in percent, axis 0 to 100) or "log" (ratios).
    claim, favours, title, decimals, limits, notes
        As in :func:`cellclaims.figures.forest`.
    effect_heading : str
        Heading of the column of numbers.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        An empty table, or more than one primary choice.
    """
    digits = (1 if scale == "logit" else 2) if decimals is None else decimals
    rows: list[Row] = []
    group = ""
    for _, line in table.iterrows():
        if line.get("group", "") and line["group"] != group:
            group = line["group"]
            rows.append(Row("heading", group))
        rows.append(choice_row(line, digits))
    primary = [row for row in rows if row.kind == "primary"]
    if not rows or len(primary) > 1:
        found = f"{len(rows)} rows, {len(primary)} primary"
        raise DataError(f"sensitivity: expected choices, at most one of them primary, found {found}")
    marks = [*marks_of(claim), *(Mark(row.estimate, "", "reference") for row in primary)]
    columns = [Column("effect", effect_heading, "right"), Column("k", "k", "right")]
    shown = [column for column in columns if any(row.cells.get(column.key) for row in rows)]
    axis = scale_for(rows, scale, marks, axis_label, favours, limits)
    return draw(rows, shown, axis, label_heading="Choice", title=title, marks=marks, notes=notes)
