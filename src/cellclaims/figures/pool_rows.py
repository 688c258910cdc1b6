"""A pool as lines of a forest plot: its reports, its diamond, its prediction interval, its heterogeneity."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cellclaims.errors import DataError
from cellclaims.figures.interval_rows import Column, Row
from cellclaims.figures.pool_words import (  # fmt: skip
    count_words,
    details_fit,
    effect_words,
    heterogeneity_words,
    numbers_words,
    prediction_words,
    remark_letters,
    remarks_of,
    statistic,
    text_of,
    total_words,
)
from cellclaims.reporting.rounding import interval, number

if TYPE_CHECKING:
    import pandas as pd

    from cellclaims.pools import Pool

#: From the analysis scale to the scale that is shown.
SHOWN: dict[str, Callable[[float], float]] = {
    "identity": lambda value: value,
    "logit": lambda value: 50.0 * (1.0 + math.tanh(value / 2.0)),
    "log": math.exp,
}

#: Differences of proportions are shown in percentage points.
POINTS = "RD"

#: Digits after the point and heading of the effect column, by analysis scale (points: differences of proportions).
DECIMALS = {"identity": 2, "logit": 1, "log": 2, POINTS: 1}
EFFECT = {"identity": "Effect", "logit": "Percent", "log": "Ratio", POINTS: "Points"}


@dataclass(frozen=True)
class View:
    """How pools are shown: the way to the shown scale, digits after the point, letters of the remarks."""

    scale: str
    heading: str
    shown: Callable[[float], float]
    decimals: int
    letters: Mapping[str, str] = field(default_factory=dict)
    details: bool = True

    def three(self, source: Mapping[str, object], names: Sequence[str]) -> list[float]:
        """The named numbers of a row or a fit on the shown scale, NaN where there is none."""
        return [self.shown(value) for value in (float(source.get(name, math.nan)) for name in names)]

    def words(self, estimate: float, low: float, high: float) -> str:
        """An estimate with its interval in words."""
        return effect_words(estimate, low, high, self.decimals)


def view_of(pools: Sequence[Pool], transform: Callable[[float], float] | None, decimals: int | None) -> View:
    """How these pools are shown together; refuses pools that cannot stand on one axis."""
    scales = sorted({pool.scale for pool in pools})
    if len(scales) != 1 or scales[0] not in SHOWN:
        found = ", ".join(scales) or "no pool"
        raise DataError(f"forest: expected pools on one scale of {', '.join(SHOWN)}, found {found}")
    points = all(pool.measure == POINTS for pool in pools)
    key = POINTS if points else scales[0]
    way = transform or ((lambda value: 100.0 * value) if points else SHOWN[key])
    frames = [pool.rows for pool in pools]
    fits = details_fit(frames)
    digits = DECIMALS[key] if decimals is None else decimals
    return View(scales[0], EFFECT[key], way, digits, remark_letters(frames, fits), fits)


def study_row(row: pd.Series, view: View, heaviest: float, kind: str) -> Row:
    """One report of a pool as a line of the figure; without weight where it stands alone."""
    estimate, low, high = view.three(row, ("yi", "ci_lb", "ci_ub"))
    letters = ", ".join(sorted(view.letters[words] for words in remarks_of(row, view.details)))
    weight = math.nan if math.isnan(heaviest) else float(row["weight"])
    months = float(row.get("months", math.nan))
    numbers, detail = numbers_words(row), text_of(row.get("detail"))
    cells = {
        "numbers": numbers,
        "detail": detail if view.details and detail != numbers else "",
        "months": "" if math.isnan(months) else number(months, 0),
        "effect": view.words(estimate, low, high),
        "weight": "" if math.isnan(weight) else number(weight, 1),
    }
    label = f"{row['label']} [{letters}]" if letters else str(row["label"])
    return Row(kind, label, cells, estimate, low, high, weight / heaviest)


def pooled_rows(pool: Pool, view: View, name: str, kind: str = "pooled") -> list[Row]:
    """The lines below a pool's reports: diamond, prediction, heterogeneity; or why there are none."""
    k = len(pool.rows)
    if k < 2 or pool.fit is None:
        return [Row("note", count_words(k) if k < 2 else f"k = {k}: not pooled")]
    found = {part: statistic(pool.fit, part) for part in ("beta", "ci_lb", "ci_ub", "pi_lb", "pi_ub")}
    beta, low, high = view.three(found, ("beta", "ci_lb", "ci_ub"))
    cells = {"numbers": total_words(pool.rows), "effect": view.words(beta, low, high)}
    rows = [Row(kind, f"{name} ({count_words(k)})", cells, beta, low, high)]
    low, high = view.three(found, ("pi_lb", "pi_ub"))
    if math.isfinite(low + high):
        words = f"({interval(low, high, view.decimals)})"
        rows.append(Row("prediction", "Prediction for a new setting", {"effect": words}, low=low, high=high))
    else:
        rows.append(Row("note", prediction_words(pool)))
    rows.append(Row("note", heterogeneity_words(pool)))
    return [row for row in rows if row.label]


def pool_rows(pool: Pool, view: View, kind: str = "study") -> list[Row]:
    """The reports of a pool and what they come to; ``kind`` is "control" for arms without cells."""
    weighed = "weight" in pool.rows and len(pool.rows) > 1
    heaviest = float(pool.rows["weight"].max()) if weighed else math.nan
    reports = [study_row(row, view, heaviest, kind) for _, row in pool.rows.iterrows()]
    return reports + pooled_rows(pool, view, "Pooled", "control pooled" if kind == "control" else "pooled")


def benchmark_rows(table: pd.DataFrame, title: str, view: View) -> list[Row]:
    """Figures from elsewhere, under their own heading; the table is on the shown scale already."""
    rows = [Row("heading", title)]
    for _, line in table.iterrows():
        estimate, low, high = (float(line.get(name, math.nan)) for name in ("estimate", "ci_lb", "ci_ub"))
        detail = text_of(line.get("detail"))
        cells = {"numbers": detail, "effect": view.words(estimate, low, high)}
        rows.append(Row("benchmark", str(line["label"]), cells, estimate, low, high))
    return rows


def columns_for(rows: Sequence[Row], view: View, level: float, headings: Mapping[str, str]) -> list[Column]:
    """The columns that hold any words, in their order; the month only where the reports differ in it."""
    percent = number(100 * level, 0)
    counts = "Events/n" if any("/" in row.cells.get("numbers", "") for row in rows) else "Patients"
    detail = "Cells v control" if any(" v " in row.cells.get("detail", "") for row in rows) else "Detail"
    every = [
        Column("months", headings.get("months", "Month")),
        Column("numbers", headings.get("numbers", counts)),
        Column("detail", headings.get("detail", detail), ha="left"),
        Column("effect", headings.get("effect", f"{view.heading}\n({percent} % CI)"), "right"),
        Column("weight", headings.get("weight", "Weight\n(%)"), "right"),
    ]
    months = {row.cells["months"] for row in rows if row.cells.get("months")}
    shown = every if len(months) > 1 else every[1:]
    return [column for column in shown if any(row.cells.get(column.key) for row in rows)]
