"""How far a result depends on choices: one estimate for each, and the median and range of each option of a curve."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd

from cellclaims.errors import DataError
from cellclaims.figures.forest import effect_words
from cellclaims.figures.intervals import Claim, FigureColumn, FigureRow, Mark, draw, marks_of, scale_for
from cellclaims.figures.show import Drawing, nothing_to_draw
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    VERMILLION,
    Sheet,
    applied,
    block_height,
    wrapped,
)
from cellclaims.reporting.pools import choices_alt
from cellclaims.reporting.specifications import share_words, specification_alt
from cellclaims.reporting.tables import number
from cellclaims.specifications import Curve

# How far a result depends on a choice: one estimate with its interval for each, the primary choice marked.


def choice_row(line: pd.Series, decimals: int) -> FigureRow:
    """One choice with its estimate, its interval, and the number of reports where it is given."""
    estimate, low, high = (float(line[name]) for name in ("estimate", "ci_lb", "ci_ub"))
    k = float(line.get("k", math.nan))
    primary = bool(line.get("primary", False))
    words = str(line["choice"])
    words += " (primary)" if primary and "primary" not in words else ""
    cells = {"effect": effect_words(estimate, low, high, decimals), "k": "" if math.isnan(k) else number(k, 0)}
    return FigureRow("primary" if primary else "study", words, cells, estimate, low, high)


def sensitivity(
    table: pd.DataFrame, *, axis_label: str, scale: str = "identity",
    claim: Claim = None, favours: tuple[str, str] | None = None, title: str = "",
    decimals: int | None = None, effect_heading: str = "",
    limits: tuple[float, float] | None = None, notes: Sequence[str] = (), what: str = "",
) -> Drawing:  # fmt: skip
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
        Heading of the column of numbers; by default the level of the intervals is in it, from the column ``level``.
    what : str
        What is shown, for the alternative text; the axis label by default.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        More than one primary choice. An empty table gives a figure that says so.
    """
    digits = (1 if scale == "logit" else 2) if decimals is None else decimals
    rows: list[FigureRow] = []
    group = ""
    for _, line in table.iterrows():
        if line.get("group", "") and line["group"] != group:
            group = line["group"]
            rows.append(FigureRow("heading", group))
        rows.append(choice_row(line, digits))
    primary = [row for row in rows if row.kind == "primary"]
    if not rows:
        return nothing_to_draw(what or title or axis_label)
    if len(primary) > 1:
        raise DataError(f"sensitivity: expected at most one primary choice, found {len(primary)}")
    level = table["level"].iloc[0] if "level" in table else "95%"
    effect_heading = effect_heading or f"Estimate\n({level} CI)"
    marks = [*marks_of(claim), *(Mark(row.estimate, "", "reference") for row in primary)]
    columns = [FigureColumn("effect", effect_heading, "right"), FigureColumn("k", "k", "right")]
    shown = [column for column in columns if any(row.cells.get(column.key) for row in rows)]
    axis = scale_for(rows, scale, marks, axis_label, favours, limits)
    fig = draw(rows, shown, axis, label_heading="Choice", title=title, marks=marks, notes=notes)
    return Drawing(fig, choices_alt(table, what or axis_label, digits))


# The choices that move an answer, large enough to be read at half size.

#: Point sizes, and inches: the margin, the column of the options, of the plot, and a line.
HEAD, WORDS = 15.0, 12.0
EDGE, NAMES, RANGE, STEP = 0.12, 4.3, 4.7, 0.3
#: A choice that moves less of the spread than this is not drawn.
LEAST = 0.01


@applied()
def choices_that_matter(
    curve: Curve, *, title: str, axis_label: str, note: str = "", marks: Sequence[tuple[float, str]] = ()
) -> Drawing:
    """For each option of each choice the median estimate, and the lowest and highest of its specifications.

    Parameters
    ----------
    curve : Curve
    title, axis_label, note : str
    marks : sequence of (float, str)
        Values with their words, drawn as lines.

    Returns
    -------
    Drawing
        Choices that move less than one hundredth of the spread are left out.

    Raises
    ------
    DataError
        If no counted specification has an estimate.
    """
    shown = curve.lines.counted & np.isfinite(curve.lines.beta)
    if not shown.any():
        raise DataError("choices: expected an estimate, found none in any counted specification")
    rows = _option_rows(curve, shown)
    width = 2 * EDGE + NAMES + RANGE
    heading, below = wrapped(title, width - 2 * EDGE, HEAD, "bold"), wrapped(note, width - 2 * EDGE, WORDS)
    top = EDGE + block_height(heading, HEAD) + 0.2
    bottom = top + STEP * len(rows) + 0.1
    sheet = Sheet(width, bottom + 0.75 + (block_height(below, WORDS) + 0.2 if note else 0.0))
    sheet.text(EDGE, EDGE + 0.1, heading, size=HEAD, weight="bold")
    axes = sheet.axes(EDGE + NAMES, top, RANGE - 0.4, bottom - top)
    axes.set(ylim=(bottom, top), yticks=[])
    axes.xaxis.set_tick_params(labelsize=WORDS)
    axes.set_xlabel(axis_label, fontsize=WORDS)
    axes.spines["left"].set_visible(False)
    for value, _ in marks:
        axes.axvline(value, color=VERMILLION, lw=1.6, ls=(0, (4, 2)), zorder=1)
    for i, (words, own, low, middle, high) in enumerate(rows):
        y = top + STEP * (i + 0.6)
        is_head = np.isnan(middle)
        sheet.text(EDGE + (0 if is_head else 0.2), y, words, size=WORDS, weight="bold" if is_head or own else "normal")
        if not is_head:
            axes.plot((low, high), (y, y), color=BLUE, lw=3, solid_capstyle="butt", zorder=3)
            axes.plot([middle], [y], "D" if own else "o", ms=9, mfc=BLACK if own else BLUE, mec="white", zorder=4)
    low, high = axes.get_xlim()
    axes.set_xticks([tick for tick in axes.get_xticks() if low <= tick <= high])
    axes.set_xlim(low, high)
    sheet.text(EDGE, bottom + 0.85, below, size=WORDS)
    return Drawing(sheet.figure, specification_alt(curve, axis_label, marks[0][1] if marks else ""))


def _option_rows(curve: Curve, shown: pd.Series) -> list[tuple[str, bool, float, float, float]]:
    """A heading for each choice, then its options: words, the review's own, lowest, median and highest estimate."""
    by_id = {choice.choice_id: choice for choice in curve.choices}
    rows: list[tuple[str, bool, float, float, float]] = []
    moved = curve.influence[curve.influence.share >= LEAST].sort_values("share", ascending=False, kind="stable")
    for one in moved.itertuples():
        choice = by_id[one.choice]
        rows.append((f"{choice.title} ({share_words(one.share)} of the spread)", False, *[np.nan] * 3))
        for i, option in enumerate(choice.options):
            beta = curve.lines.beta[shown & curve.marks[one.choice, option.name]]
            if len(beta):
                rows.append((option.name, i == 0, float(beta.min()), float(beta.median()), float(beta.max())))
    return rows
