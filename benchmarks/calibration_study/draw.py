"""Figures of a simulation: coverage of intervals, and calibration of probabilities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cellclaims.figures.style import BLACK, BLUE, GREEN, GREY, SKY, SMALL, VERMILLION, applied
from cellclaims.reporting.tables import number

#: Method -> colour, marker, line; the default of the review is filled and thick.
LOOKS = {
    "z": (VERMILLION, "o", (0, (4, 1.5))),
    "knha": (SKY, "s", "-"),
    "adhoc": (BLUE, "D", "-"),
    "adhoc k-1": (GREEN, "^", (0, (1.5, 1.5))),
    "t": (BLUE, "D", "-"),
    "t k-1": (GREEN, "^", (0, (1.5, 1.5))),
    "logits": (SKY, "s", "-"),
    "bayes": (BLACK, "x", (0, (5, 1, 1, 1))),
}
#: Methods in words, by model.
WORDS = {
    "normal": {
        "z": "normal",
        "knha": "Hartung-Knapp, t; new clinic t with k − 2",
        "adhoc": "the same with floor (the review's interval)",
        "adhoc k-1": "with floor; new clinic t with k − 1",
        "bayes": "Bayes (the review's prediction)",
    },
    "binomial_normal": {
        "z": "normal",
        "t": "t with k − 1 (the review's interval); new clinic t with k − 2",
        "t k-1": "new clinic t with k − 1",
        "logits": "empirical logits, Hartung-Knapp with floor",
        "bayes": "Bayes (the review's prediction)",
    },
}
MODELS = {"normal": "Differences (normal-normal)", "binomial_normal": "Proportions (binomial-normal)"}
QUANTITIES = {"mean_coverage": "Mean", "new_coverage": "New clinic"}
#: Smallest number of reviews for a reliable observed proportion in a bin of predictions.
FEWEST = 30


def style_of(method: str) -> dict[str, object]:
    """Return how a method is drawn."""
    color, marker, line = LOOKS[method]
    own = method in ("adhoc", "t")
    return {"color": color, "marker": marker, "ls": line, "lw": 1.8 if own else 1.1, "ms": 4.5,
            "mfc": color if own else "white", "mew": 1.1, "zorder": 4 if own else 3}  # fmt: skip


@applied()
def coverage(table: pd.DataFrame) -> Figure:
    """Coverage of 95 % intervals against the number of reports: a row for each model and quantity, a column each I2.

    Parameters
    ----------
    table : DataFrame
        One line per setting and method: model, k, I2, method, mean_coverage, new_coverage.

    Returns
    -------
    matplotlib.figure.Figure
    """
    heterogeneity = sorted(table.I2.unique())
    rows = [(model, quantity) for model in MODELS if (table.model == model).any() for quantity in QUANTITIES]
    fig = Figure(figsize=(7.6, 0.9 + 1.75 * len(rows)), layout="constrained")
    grid = fig.subplots(len(rows), len(heterogeneity), sharex=True, sharey=True, squeeze=False)
    for (model, quantity), line in zip(rows, grid, strict=True):
        for i2, axes in zip(heterogeneity, line, strict=True):
            own = table[(table.model == model) & table.I2.eq(i2)]
            _coverage_panel(axes, own, quantity)
            axes.set_title(f"{QUANTITIES[quantity]}, I² = {number(i2, 0)} %", size=SMALL, loc="left")
        line[0].set_ylabel(f"{MODELS[model].split(' (')[0]}\ncovered, %")
    for axes in grid[-1]:
        axes.set_xlabel("reports")
    _legend(fig, table)
    return fig


def _coverage_panel(axes: Axes, own: pd.DataFrame, quantity: str) -> None:
    """Draw lines of all methods over k, with the nominal level as a grey line."""
    ks = sorted(own.k.unique())
    axes.axhline(95, color=GREY, lw=0.8, zorder=1)
    for method in dict.fromkeys(own.method):
        values = own[own.method == method].set_index("k")[quantity].reindex(ks)
        axes.plot(range(len(ks)), 100 * values, **style_of(method))
    axes.set_xticks(range(len(ks)), [number(k, 0) for k in ks])
    axes.set(ylim=(67, 101), xlim=(-0.3, len(ks) - 0.7))
    axes.set_yticks([70, 80, 90, 95, 100])


Bins = Mapping[str, NDArray]


@applied()
def reliability(curves: Mapping[tuple[str, int, str], Bins], i2: float) -> Figure:
    """Draw the observed proportion against the stated probability that a new centre reaches a claim.

    Parameters
    ----------
    curves : mapping
        (model, k, method) -> ``predicted``, ``observed`` and ``reviews`` of each bin
        (:func:`calibration_study.simulate.reliability`).
    i2 : float
        Heterogeneity in percent, for the heading.

    Returns
    -------
    matplotlib.figure.Figure
    """
    models = [model for model in MODELS if any(key[0] == model for key in curves)]
    ks = sorted({k for _, k, _ in curves})
    fig = Figure(figsize=(7.6, 0.9 + 2.05 * len(models)), layout="constrained")
    grid = fig.subplots(len(models), len(ks), sharex=True, sharey=True, squeeze=False)
    for model, line in zip(models, grid, strict=True):
        for k, axes in zip(ks, line, strict=True):
            own = {method: bins for (m, n, method), bins in curves.items() if (m, n) == (model, k)}
            _reliability_panel(axes, own)
            axes.set_title(f"{number(k, 0)} reports, I² = {number(i2, 0)} %", size=SMALL, loc="left")
        line[0].set_ylabel(f"{MODELS[model].split(' (')[0]}\nobserved, %")
    for axes in grid[-1]:
        axes.set_xlabel("said, %")
    _legend(fig, pd.DataFrame([{"model": m, "method": method} for m, _, method in curves]))
    return fig


def _reliability_panel(axes: Axes, own: Mapping[str, Bins]) -> None:
    axes.plot([0, 100], [0, 100], color=GREY, lw=0.8, zorder=1)
    for method, bins in own.items():
        some = bins["reviews"] >= FEWEST
        axes.plot(100 * bins["predicted"][some], 100 * bins["observed"][some], **(style_of(method) | {"ms": 3.0}))
    axes.set(xlim=(0, 100), ylim=(0, 100), aspect="equal")
    axes.set_xticks([0, 50, 100])
    axes.set_yticks([0, 50, 100])


def _legend(fig: Figure, table: pd.DataFrame) -> None:
    """Draw a key for each model below the panels, next to each other."""
    models: Sequence[str] = [model for model in MODELS if (table.model == model).any()]
    for place, model in zip(("outside lower left", "outside lower right"), models, strict=False):
        methods = dict.fromkeys(table[table.model == model].method)
        axes = fig.axes[0]
        handles = [axes.plot([], [], label=WORDS[model][method], **style_of(method))[0] for method in methods]
        fig.legend(handles=handles, loc=place, title=MODELS[model], alignment="left", fontsize=SMALL,
                   title_fontsize=SMALL)  # fmt: skip


def alternative(table: pd.DataFrame) -> str:
    """Return the coverage figure in words: the lowest coverage of each method, by model and quantity."""
    parts = []
    for model, quantity in ((m, q) for m in MODELS for q in QUANTITIES):
        own = table[table.model == model]
        if own.empty:
            continue
        lowest = own.groupby("method", sort=False)[quantity].min()
        said = ", ".join(f"{WORDS[model][m]} {number(100 * v, 0)} %" for m, v in lowest.items())
        parts.append(f"{MODELS[model]}, {QUANTITIES[quantity].lower()}: {said}")
    return f"Coverage of 95 % intervals by number of reports and heterogeneity. Lowest coverage. {'. '.join(parts)}."


def reliability_alternative(curves: Mapping[tuple[str, int, str], Bins]) -> str:
    """The reliability figure in words: for each method the largest distance from the diagonal, over all panels."""
    parts = []
    for model in MODELS:
        methods = dict.fromkeys(method for m, _, method in curves if m == model)
        far = {
            x: max(fallen_short(bins) for (m, _, y), bins in curves.items() if (m, y) == (model, x)) for x in methods
        }
        said = ", ".join(f"{WORDS[model][method]} {number(100 * v, 0)}" for method, v in far.items())
        parts.append(f"{MODELS[model]}: {said}")
    return (
        "Observed share against the probability that was given, that a new clinic reaches a claim; on the diagonal "
        f"the two agree. Largest distance from it, in percentage points. {'. '.join(parts)}."
    )


def fallen_short(bins: Bins) -> float:
    """Return the largest distance of the observed proportion from the stated one, over bins with enough reviews.

    >>> round(fallen_short({"predicted": np.array([0.2]), "observed": np.array([0.5]), "reviews": np.array([99])}), 3)
    0.3
    """
    some = bins["reviews"] >= FEWEST
    return float(np.max(np.abs(bins["observed"] - bins["predicted"])[some], initial=0.0))
