"""Change within arms: with cells, without cells, and as others pooled it, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from matplotlib.figure import Figure

from cellclaims.figures.forest import forest
from cellclaims.figures.interval_rows import Claim

if TYPE_CHECKING:
    import pandas as pd

    from cellclaims.pools import Pool


def change(
    cells: Pool | Sequence[Pool], controls: Pool | Sequence[Pool] = (), *, axis_label: str,
    published: pd.DataFrame | None = None, published_title: str = "Pooled by others, not by us",
    claim: Claim = None, title: str = "", notes: Sequence[str] = (),
    limits: tuple[float, float] | None = None,
) -> Figure:  # fmt: skip
    """Mean change in the arms with cells beside the control arms' own change and what others published.

    Without the second the first cannot be read: patients who enter a trial improve without cells too.

    Parameters
    ----------
    cells, controls : Pool or sequence of Pool
        Pools of changes within arms, as for :func:`cellclaims.figures.forest`; the controls are drawn with
        open squares.
    axis_label : str
    published : DataFrame, optional
        Pooled results of others on the shown scale: label, estimate, ci_lb, ci_ub, detail (optional).
    published_title : str
        Heading of those.
    claim, title, notes, limits
        As in :func:`cellclaims.figures.forest`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    return forest(
        cells, controls=controls, axis_label=axis_label, benchmarks=published, benchmarks_title=published_title,
        claim=claim, title=title, notes=notes, limits=limits, headings={"effect": "Change\n(95 % CI)"},
    )  # fmt: skip
