"""Forest plot of one pool or of several, beside what is advertised and what registries report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cellclaims.figures.interval_axis import scale_for
from cellclaims.figures.interval_rows import Claim, Row, marks_of
from cellclaims.figures.interval_table import draw
from cellclaims.figures.pool_rows import benchmark_rows, columns_for, pool_rows, pooled_rows, view_of
from cellclaims.figures.pool_words import model_notes

if TYPE_CHECKING:
    import pandas as pd

    from cellclaims.pools import Pool


def listed(pools: Pool | Sequence[Pool]) -> list[Pool]:
    """One pool or several, as a list."""
    return list(pools) if isinstance(pools, Sequence) else [pools]


def forest(
    pools: Pool | Sequence[Pool], *, axis_label: str, claim: Claim = None,
    favours: tuple[str, str] | None = None, transform: Callable[[float], float] | None = None,
    controls: Pool | Sequence[Pool] = (), overall: Pool | None = None, benchmarks: pd.DataFrame | None = None,
    benchmarks_title: str = "Reported elsewhere, not pooled here", title: str = "",
    headings: Mapping[str, str] | None = None, decimals: int | None = None,
    limits: tuple[float, float] | None = None, notes: Sequence[str] = (),
) -> Figure:  # fmt: skip
    """Forest plot: every report with its interval and weight, the pooled value, and what it is compared with.

    Parameters
    ----------
    pools : Pool or sequence of Pool
        One pool, or several on one scale, each under its title as a heading. Of ``rows`` the columns label,
        yi, ci_lb, ci_ub (analysis scale) are needed; months, events, n, n_control, detail, weight, note are
        shown where they hold anything. Of ``fit`` beta, ci_lb, ci_ub and, where the model has them, pi_lb,
        pi_ub, tau2, I2, Q, Q_p. A pool of one report is shown and not pooled.
    axis_label : str
        Name of the axis with its unit.
    claim : float, Mark or sequence of Mark or (value, label, kind), optional
        Advertised figure or threshold on the shown scale (30 for 30 %): a dashed line with its words.
    favours : pair of str, optional
        Whom the left and the right side favour.
    transform : callable, optional
        From the analysis scale to the shown one; by default identity, logit to percent, log to ratio.
    controls : Pool or sequence of Pool
        Pools of arms without cells, drawn below with open squares.
    overall : Pool, optional
        A pool of all, drawn last without its reports.
    benchmarks : DataFrame, optional
        Rows that are not pooled: label, estimate, ci_lb, ci_ub on the shown scale, detail (optional).
    headings : mapping, optional
        Other headings for the columns months, numbers, detail, effect, weight.
    decimals, limits, notes
        Digits after the point, ends of the axis, sentences below; chosen by the scale if not given.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        No pool, pools on different scales or an unknown one, or an interval that does not hold its
        estimate.
    """
    chosen, without = listed(pools), listed(controls)
    every = [*chosen, *without, *([overall] if overall else [])]
    view = view_of(every, transform, decimals)
    rows: list[Row] = []
    for pool, kind in [*((pool, "study") for pool in chosen), *((pool, "control") for pool in without)]:
        rows += [Row("heading", pool.title)] if len(every) > 1 else []
        rows += pool_rows(pool, view, kind)
    rows += pooled_rows(overall, view, overall.title) if overall else []
    if benchmarks is not None and len(benchmarks):
        rows += benchmark_rows(benchmarks, benchmarks_title, view)
    marks, title = marks_of(claim), title or (every[0].title if len(every) == 1 else "")
    level = float(every[0].settings.get("level", 0.95))
    return draw(
        rows, columns_for(rows, view, level, headings or {}),
        scale_for(rows, view.scale, marks, axis_label, favours, limits), title=title, marks=marks,
        notes=[*model_notes(every), *(f"[{letter}] {words}" for words, letter in view.letters.items()), *notes],
    )  # fmt: skip
