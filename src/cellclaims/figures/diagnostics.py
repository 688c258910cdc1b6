"""Diagnostics of a fit: funnel plot, all subsets (GOSH), influence of each study.

Each takes a :class:`cellclaims.meta.Fit`, or what :mod:`cellclaims.robustness` made of one, and returns the drawing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from cellclaims.errors import DataError
from cellclaims.figures.style import BLACK, BLUE, BODY, GREY, PALE, SMALL, TITLE, VERMILLION, applied, wrapped
from cellclaims.meta import Fit
from cellclaims.meta.effect_sizes import measure_in_words
from cellclaims.meta.quantiles import normal_quantile
from cellclaims.robustness import all_subsets
from cellclaims.robustness import influence as diagnose

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from cellclaims.robustness import Influence, Subsets

#: Inches of a single plot.
SIZE = (5.2, 4.2)
#: Studies farther from the mean than the funnel, or influential, are named up to this many.
NAMED = 12
#: Points of a GOSH plot at most: more lie on one another.
POINTS = 20_000


def _single(fit: Fit, what: str) -> Fit:
    if not isinstance(fit, Fit):
        raise DataError(f"{what}: expected a fit (meta.fit), found {type(fit).__name__}")
    if fit.shape != () or fit.effects.design is not None:
        found = f"a batch of shape {fit.shape}" if fit.shape != () else "one with moderators"
        raise DataError(f"{what}: expected one fit of a single mean, found {found}")
    return fit


def _axis(fit: Fit) -> str:
    words = measure_in_words(fit.measure)
    return words[:1].upper() + words[1:]


def _plain(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=SMALL)


def _head(axes: Axes, title: str) -> None:
    """The title, broken so that it stays inside the figure."""
    words = wrapped(title, SIZE[0] - 0.9, TITLE, "bold")
    axes.set_title(words, size=TITLE, weight="bold", loc="left", parse_math=False)


@applied()
def funnel(fit: Fit, *, levels: Sequence[float] = (0.95,), title: str = "", axis_label: str = "") -> Figure:
    """Funnel plot: effects against their standard errors, the pooled mean, and where chance alone would put studies.

    Parameters
    ----------
    fit : Fit
        One fit of a single mean.
    levels : sequence of float
        Levels of the funnel's sides, without heterogeneity.
    title : str
    axis_label : str
        Name of the axis of effects; that of the measure if not given.

    Returns
    -------
    matplotlib.figure.Figure
        Studies outside the widest funnel are named.

    Raises
    ------
    DataError
        For a batch, a fit with moderators, or one without a mean.
    """
    fit = _single(fit, "funnel")
    table = fit.studies()
    table = table[table.kept]
    if not np.isfinite(fit.beta):
        raise DataError("funnel: expected a pooled mean, found none")
    deepest = 1.08 * table.sei.max()
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    for level in sorted(levels, reverse=True):
        reach = normal_quantile(level) * deepest
        corners = ([fit.beta, fit.beta - reach, fit.beta + reach], [0.0, deepest, deepest])
        axes.fill(*corners, facecolor=PALE, edgecolor=GREY, lw=0.7, ls="--", alpha=0.6, zorder=1)
    axes.axvline(fit.beta, color=BLACK, lw=0.9, zorder=2)
    axes.plot(table.yi, table.sei, "o", color=BLUE, mec="white", mew=0.5, ms=6, ls="none", zorder=3)
    outside = np.abs(table.yi - fit.beta) > normal_quantile(max(levels)) * table.sei
    for _, row in table[outside].head(NAMED).iterrows():
        axes.annotate(
            row.slab, (row.yi, row.sei), xytext=(5, 4), textcoords="offset points", size=SMALL, parse_math=False
        )
    axes.set_ylim(deepest, 0.0)
    axes.set_ylabel("Standard error", size=BODY)
    axes.set_xlabel(axis_label or _axis(fit), size=BODY)
    if title:
        _head(axes, title)
    _plain(axes)
    return figure


@applied()
def gosh(subsets: Fit | Subsets, *, study: str | None = None, title: str = "", axis_label: str = "") -> Figure:
    """GOSH plot: I2 against the pooled effect of every subset of the studies.

    Parameters
    ----------
    subsets : Fit or Subsets
        One fit, or what :func:`cellclaims.robustness.all_subsets` made of it.
    study : str, optional
        Label of a study: subsets with it and without it have two colours and two shapes.
    title : str
    axis_label : str
        Name of the axis of effects; that of the measure if not given.

    Returns
    -------
    matplotlib.figure.Figure
        Subsets of two studies or more; of very many a sample is drawn.

    Raises
    ------
    DataError
        For a study that the fit does not have, or fewer than 3 studies.
    """
    if isinstance(subsets, Fit):
        subsets = all_subsets(_single(subsets, "gosh"))
    fit, keep = subsets.fit, subsets.keep
    if keep.shape[1] < 3:
        raise DataError(f"gosh: expected at least 3 studies, found {keep.shape[1]}")
    usable = np.flatnonzero(np.asarray(fit.k) >= 2)
    if usable.size > POINTS:
        usable = np.sort(np.random.default_rng(1).choice(usable, POINTS, replace=False))
    beta, i2 = np.asarray(fit.beta)[usable], np.asarray(fit.I2)[usable]
    groups = [("all subsets", np.full(usable.size, True), GREY, "o")]
    if study is not None:
        if study not in fit.slab:
            raise DataError(f"study: expected one of {', '.join(fit.slab)}, found {study!r}")
        held = keep[usable, fit.slab.index(study)]
        groups = [(f"without {study}", ~held, BLUE, "o"), (f"with {study}", held, VERMILLION, "^")]
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.add_subplot()
    for name, chosen, color, marker in groups:
        axes.plot(
            beta[chosen], i2[chosen], marker, color=color, ms=2.2, mew=0, alpha=0.35, ls="none", label=name,
            rasterized=True,
        )  # fmt: skip
    if study is not None:
        axes.legend(fontsize=SMALL, frameon=False, markerscale=2.5)
    axes.set_xlabel(axis_label or _axis(fit), size=BODY)
    axes.set_ylabel("I² (%)", size=BODY)
    axes.set_ylim(-3, 100)
    if title:
        _head(axes, title)
    _plain(axes)
    return figure


#: Diagnostics in the order of their panels.
PANELS = (
    ("rstudent", "Residual without the study"), ("dffits", "DFFITS"), ("cook_d", "Cook's distance"),
    ("cov_r", "Covariance ratio"), ("tau2_del", "tau² without the study"), ("hat", "Leverage"),
)  # fmt: skip


@applied()
def influence(fit: Fit, found: Influence | None = None, *, title: str = "") -> Figure:
    """Influence of each study: six diagnostics, influential studies marked by colour and shape.

    Parameters
    ----------
    fit : Fit
        One fit of a single mean that keeps all its studies.
    found : Influence, optional
        What :func:`cellclaims.robustness.influence` made of it; made if not given.
    title : str

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    DataError
        For a batch or a fit with moderators.
    PoolingError
        As :func:`cellclaims.robustness.influence`.
    """
    fit = _single(fit, "influence")
    found = diagnose(fit) if found is None else found
    place = np.arange(len(fit.slab))
    figure = Figure(figsize=(3.4 + 0.16 * len(place), 8.2), layout="constrained")
    panels = figure.subplots(len(PANELS), 1, sharex=True)
    for axes, (name, words) in zip(panels, PANELS, strict=True):
        values = getattr(found, name)
        axes.plot(place, values, color=GREY, lw=0.7, zorder=1)
        for marked, marker, color in ((False, "o", BLUE), (True, "D", VERMILLION)):
            chosen = found.influential == marked
            axes.plot(place[chosen], values[chosen], marker, color=color, ms=4.5, ls="none", zorder=2)
        axes.set_title(words, size=SMALL, loc="left")
        _plain(axes)
    panels[-1].set_xticks(place, fit.slab, rotation=90, size=SMALL, parse_math=False)
    if title:
        figure.suptitle(title, size=TITLE, weight="bold")
    return figure
