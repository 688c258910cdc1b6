"""How far each choice moves the answer, over all combinations of the other choices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellclaims.specifications.choices import Choice


def influence_of(
    lines: pd.DataFrame, grid: NDArray[np.intp], choices: Sequence[Choice], parts: pd.DataFrame
) -> pd.DataFrame:
    r"""One line a choice: what fixing it takes from the spread of the estimates, and how far it alone moves them.

    Parameters
    ----------
    lines : DataFrame
        With beta and verdict.
    grid : ndarray of int
        The line of each combination; one axis a choice, analyses last. All of them count alike.
    choices : sequence of Choice
    parts : DataFrame
        Model, method and test of each analysis.

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
    found = []
    for axis, choice in enumerate(choices):
        groups = [(option.name, beta.take(i, axis)) for i, option in enumerate(choice.options)]
        alone = float((verdict.max(axis) != verdict.min(axis)).mean())
        found.append({"choice": choice.choice_id, **_moved(groups), "verdict_changes": alone, "options": len(groups)})
    for name in parts:
        values = list(dict.fromkeys(parts[name]))
        groups = [(value, beta[..., parts.index[parts[name] == value]]) for value in values]
        alone = _alone(verdict, parts, name)
        found.append({"choice": name, **_moved(groups), "verdict_changes": alone, "options": len(groups)})
    table = pd.DataFrame(found)
    return table[table.options > 1].drop(columns="options").reset_index(drop=True)


def _moved(groups: Sequence[tuple[str, NDArray]]) -> dict[str, object]:
    """Share of the variance between the options, and the options with the lowest and the highest median."""
    known = [(name, values[np.isfinite(values)]) for name, values in groups]
    known = [(name, values) for name, values in known if values.size]
    if not known:
        return {"share": np.nan, "low": np.nan, "low_option": "", "high": np.nan, "high_option": ""}
    every = np.concatenate([values for _, values in known])
    between = sum(v.size * (v.mean() - every.mean()) ** 2 for _, v in known) / every.size
    medians = [(float(np.median(values)), name) for name, values in known]
    (low, low_option), (high, high_option) = min(medians), max(medians)
    share = float(between / every.var()) if every.var() > 0 else 0.0
    return {"share": share, "low": low, "low_option": low_option, "high": high, "high_option": high_option}


def _alone(verdict: NDArray, parts: pd.DataFrame, name: str) -> float:
    """How often analyses that differ in one part only give different verdicts."""
    others = [other for other in parts if other != name]
    groups = [list(own.index) for _, own in parts.groupby(others, sort=False) if len(own) > 1]
    changes = [(verdict[..., own].max(-1) != verdict[..., own].min(-1)).mean() for own in groups]
    return float(np.mean(changes)) if changes else 0.0
