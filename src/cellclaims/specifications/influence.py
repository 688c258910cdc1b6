"""How far each choice moves the answer, over all combinations of the other choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellclaims.specifications.choices import Choice


def options_of(
    lines: pd.DataFrame, grid: NDArray[np.intp], choices: Sequence[Choice], parts: pd.DataFrame
) -> pd.DataFrame:
    """The median estimate of each option over all combinations of the other choices.

    Parameters
    ----------
    lines : DataFrame
        With beta.
    grid : ndarray of int
        The line of each combination; one axis a choice, analyses last. All of them count alike.
    choices : sequence of Choice
    parts : DataFrame
        Model, method and test of each analysis.

    Returns
    -------
    DataFrame
        ``choice``, ``option``; ``combinations`` with an estimate, their ``mean`` and their ``median``.
    """
    beta, found = lines.beta.to_numpy(float)[grid], []
    for axis, choice in enumerate(choices):
        for i, option in enumerate(choice.options):
            found.append({"choice": choice.choice_id, "option": option.name, **_middle(beta.take(i, axis))})
    for name in parts:
        for value in dict.fromkeys(parts[name]):
            own = beta[..., (parts[name] == value).to_numpy()]
            found.append({"choice": name, "option": value, **_middle(own)})
    return pd.DataFrame(found)


def _middle(values: NDArray) -> dict[str, float]:
    known = values[np.isfinite(values)]
    if known.size == 0:
        return {"combinations": 0, "mean": np.nan, "median": np.nan}
    return {"combinations": known.size, "mean": float(known.mean()), "median": float(np.median(known))}


def influence_of(
    lines: pd.DataFrame, grid: NDArray[np.intp], choices: Sequence[Choice], parts: pd.DataFrame
) -> pd.DataFrame:
    r"""One line a choice: what fixing it takes from the spread of the estimates, and how far it alone moves them.

    Parameters
    ----------
    lines : DataFrame
        With beta and verdict.
    grid, choices, parts
        As for :func:`options_of`.

    Returns
    -------
    DataFrame
        ``choice``; ``share`` of the variance of the estimates over all combinations that lies between the options,
        :math:`\eta^2 = \mathrm{Var}(E[\hat\beta \mid \mathrm{option}]) / \mathrm{Var}(\hat\beta)` (the
        correlation ratio; shares need not add up to 1); ``low`` and ``high``, the lowest and the highest median of an
        option, with its name; ``verdict_changes``, the share of the combinations of the other choices in which this
        choice alone decides the verdict. Choices with one option only are left out.
    """
    beta, verdict = lines.beta.to_numpy(float)[grid], pd.factorize(lines.verdict)[0][grid]
    alone = {c.choice_id: float((verdict.max(a) != verdict.min(a)).mean()) for a, c in enumerate(choices)}
    alone |= {name: _alone(verdict, parts, name) for name in parts}
    spread = np.nanvar(beta) if np.isfinite(beta).any() else np.nan
    found = [
        {"choice": choice_id, **_moved(options, spread), "verdict_changes": alone[choice_id]}
        for choice_id, options in options_of(lines, grid, choices, parts).groupby("choice", sort=False)
        if len(options) > 1
    ]
    return pd.DataFrame(found, columns=INFLUENCE)


#: Columns of :func:`influence_of`.
INFLUENCE = ["choice", "share", "low", "low_option", "high", "high_option", "verdict_changes"]


def _moved(options: pd.DataFrame, spread: float) -> dict[str, object]:
    """Share of the variance between the options, and the options with the lowest and the highest median."""
    known = options[options.combinations > 0]
    if known.empty:
        return {"share": np.nan, "low": np.nan, "low_option": "", "high": np.nan, "high_option": ""}
    weights = known.combinations / known.combinations.sum()
    between = (weights * (known["mean"] - (weights * known["mean"]).sum()) ** 2).sum()
    low, high = known.loc[known["median"].idxmin()], known.loc[known["median"].idxmax()]
    share = float(between / spread) if spread > 0 else 0.0
    return {"share": share, "low": low["median"], "low_option": low.option, "high": high["median"],
            "high_option": high.option}  # fmt: skip


def _alone(verdict: NDArray, parts: pd.DataFrame, name: str) -> float:
    """How often analyses that differ in one part only give different verdicts."""
    others = [other for other in parts if other != name]
    groups = [list(own.index) for _, own in parts.groupby(others, sort=False) if len(own) > 1]
    changes = [(verdict[..., own].max(-1) != verdict[..., own].min(-1)).mean() for own in groups]
    return float(np.mean(changes)) if changes else 0.0
