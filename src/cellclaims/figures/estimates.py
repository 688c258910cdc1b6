"""Estimates of single arms, studies or analyses with their intervals, in groups: nothing pooled, nothing weighed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cellclaims.figures.forest import effect_words
from cellclaims.figures.intervals import Claim, FigureColumn, FigureRow, draw, marks_of, scale_for
from cellclaims.figures.show import Drawing, nothing_to_draw
from cellclaims.reporting.tables import estimates_alt, number

if TYPE_CHECKING:
    import pandas as pd

#: Kinds of lines: with cells, without cells, from elsewhere, the review's own main analysis.
LINE_KINDS = ("study", "control", "benchmark", "primary")


def estimates(
    table: pd.DataFrame,
    *,
    axis_label: str,
    title: str,
    columns: Mapping[str, str] | None = None,
    label_heading: str = "Study",
    heading: str = "Percent",
    decimals: int = 0,
    limits: tuple[float, float] | None = None,
    null: bool = False,
    favours: tuple[str, str] | None = None,
    claim: Claim = None,
    level: float = 0.95,
    notes: Sequence[str] = (),
) -> Drawing:
    """Lines with an estimate and its interval, each group under its heading.

    Parameters
    ----------
    table : DataFrame
        One row per line, in the order of the figure: ``group`` (heading), ``kind`` (one of :data:`LINE_KINDS`),
        ``label``, ``estimate``, ``low`` and ``high`` on the shown scale (NaN where not known), and the columns named
        in ``columns`` as text.
    axis_label, title : str
    columns : mapping of str, optional
        Column of the table -> heading, left of the plot.
    label_heading, heading : str
        Headings of the names and of the estimates.
    decimals : int
        Digits after the point.
    limits : tuple of float, optional
        Ends of the axis; chosen by the lines if not given.
    null : bool
        Whether 0 is no effect and is marked.
    favours : pair of str, optional
        Whom the left and the right side favour.
    claim : float, Mark or sequence of Mark, optional
        Values to compare with.
    level : float
        Of the intervals.
    notes : sequence of str
        Sentences below.

    Returns
    -------
    Drawing
        Says that no study is eligible where the table is empty.
    """
    if table.empty:
        return nothing_to_draw(title)
    shown = dict(columns or {})
    rows, group = [], None
    for line in table.to_dict("records"):
        if line["group"] != group:
            group = line["group"]
            rows += [FigureRow("heading", group)] if group else []
        low, high = (float(line[end]) for end in ("low", "high"))
        cells = {name: str(line[name]) for name in shown}
        cells["effect"] = effect_words(float(line["estimate"]), low, high, decimals)
        rows.append(FigureRow(line["kind"], str(line["label"]), cells, float(line["estimate"]), low, high))
    marks = marks_of(claim)
    scale = scale_for(rows, "identity" if null else "logit", marks, axis_label, favours, limits)
    has_interval = any(math.isfinite(row.low) for row in rows)
    head = f"{heading}\n({number(100 * level, 0)}% CI)" if has_interval else heading
    drawn_columns = [
        *(FigureColumn(name, words, ha="left") for name, words in shown.items()),
        FigureColumn("effect", head, "right"),
    ]
    figure = draw(rows, drawn_columns, scale, label_heading=label_heading, title=title, marks=marks, notes=notes)
    return Drawing(figure, estimates_alt(table, title, decimals))
