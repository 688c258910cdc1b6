"""The specification curve of a question: every combination fitted in one batch, and which choices move the answer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cellclaims.selection import EvidenceBase, Question
from cellclaims.specifications.choices import Choice, NamedAnalysis, Option, analyses_of, choices_of
from cellclaims.specifications.fits import SpecificationCurve, specification_curve
from cellclaims.specifications.row_sets import RowSets, report_tables, row_sets

# How far each choice moves the answer, over all combinations of the other choices.


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
        With beta and finding.
    grid, choices, parts
        As for :func:`options_of`.

    Returns
    -------
    DataFrame
        ``choice``; ``share`` of the variance of the estimates over all combinations that lies between the options,
        :math:`\eta^2 = \mathrm{Var}(E[\hat\beta \mid \mathrm{option}]) / \mathrm{Var}(\hat\beta)` (the
        correlation ratio; proportions need not add up to 1); ``low`` and ``high``, the lowest and the highest median
        of an option, with its name; ``finding_changes``, the proportion of combinations of the other choices in which
        this choice alone determines the finding. Choices with one option are omitted.
    """
    beta, finding = lines.beta.to_numpy(float)[grid], pd.factorize(lines.finding)[0][grid]
    alone = {c.choice_id: float((finding.max(a) != finding.min(a)).mean()) for a, c in enumerate(choices)}
    alone |= {name: _alone(finding, parts, name) for name in parts}
    spread = np.nanvar(beta) if np.isfinite(beta).any() else np.nan
    found = [
        {"choice": choice_id, **_moved(options, spread), "finding_changes": alone[choice_id]}
        for choice_id, options in options_of(lines, grid, choices, parts).groupby("choice", sort=False)
        if len(options) > 1
    ]
    return pd.DataFrame(found, columns=INFLUENCE)


#: Columns of :func:`influence_of`.
INFLUENCE = ["choice", "share", "low", "low_option", "high", "high_option", "finding_changes"]


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


def _alone(finding: NDArray, parts: pd.DataFrame, name: str) -> float:
    """Return how often analyses that differ in one part only give different findings."""
    others = [other for other in parts if other != name]
    groups = [list(own.index) for _, own in parts.groupby(others, sort=False) if len(own) > 1]
    changes = [(finding[..., own].max(-1) != finding[..., own].min(-1)).mean() for own in groups]
    return float(np.mean(changes)) if changes else 0.0


#: The parts of an analysis that are choices of their own.
OF_ANALYSIS = {"model": "Model", "method": "Spread between reports", "test": "Interval"}
#: Measure and unit of each kind of question.
DATA = {"rate": ("events", "n"), "difference": ("yi", "vi")}
UNITS = {"rate": "percent", "difference": "percentage points"}

#: decide(lines, rows_of): the finding of each line; rows_of(i) returns the reports of row set i.
Decide = Callable[[pd.DataFrame, Callable[[int], pd.DataFrame]], Sequence[str]]


@dataclass(frozen=True, eq=False)
class Curve:
    """Every reasonable answer to one question.

    Attributes
    ----------
    lines : DataFrame
        One line a distinct specification, in the order of the estimates: a column for each choice (the option of the
        combination that departs least from the review's own), ``departures`` (how many choices it changes), k,
        beta, ci_lb, ci_ub, pi_lb, pi_ub (percent, or the unit of the effects), I2, ``counted``, ``finding``.
    marks : DataFrame of bool
        One line as above; one column for each (choice, option): whether that option leads to this line.
    influence : DataFrame
        One line a choice: how far it moves the answer (:func:`~cellclaims.specifications.curve.influence_of`).
    options : DataFrame
        One line an option: its median estimate (:func:`~cellclaims.specifications.curve.options_of`).
    choices : list of Choice
        With the parts of the analysis behind those of the reports; options that change nothing are left out.
    primary : int
        The line of the review's own choices.
    combinations : int
        How many combinations of options there are.
    sets : RowSets
        Which reports stand behind each line (``lines.row_set``).
    unit : str
    """

    lines: pd.DataFrame
    marks: pd.DataFrame
    influence: pd.DataFrame
    options: pd.DataFrame
    choices: list[Choice]
    primary: int
    combinations: int
    sets: RowSets
    unit: str

    @property
    def finding(self) -> str:
        """Return the finding of the review's own choices."""
        return str(self.lines.finding[self.primary])

    @property
    def findings(self) -> pd.Series:
        """Return the proportion of counted distinct specifications with each finding, the most frequent first."""
        return self.lines.finding[self.lines.counted].value_counts(normalize=True)

    @property
    def stability(self) -> tuple[float, int]:
        """Return the proportion of counted distinct specifications with the review's finding, and their number."""
        counted = self.lines[self.lines.counted]
        return float((counted.finding == self.finding).mean()), len(counted)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Every specification of a question, fitted and not yet judged: several claims may ask the same question.

    Attributes
    ----------
    choices : list of Choice
        Without the options that change nothing.
    analyses : list of NamedAnalysis
    sets : RowSets
    fits : SpecificationCurve
        Distinct fits with the facts of their rows for the finding: ``randomised``.
    unit : str
    """

    choices: list[Choice]
    analyses: list[NamedAnalysis]
    sets: RowSets
    fits: SpecificationCurve
    unit: str

    def judged(self, decide: Decide) -> Curve:
        """Return the curve with a finding for each line."""
        lines = self.fits.lines.assign(finding=list(decide(self.fits.lines, self.sets.of)))
        grid = self.fits.line_of[self.sets.number]
        parts = pd.DataFrame({name: [getattr(a, name) for a in self.analyses] for name in OF_ANALYSIS})
        counted = np.array([named.analysis.counted for named in self.analyses])
        told, marks = _marked(lines, grid, self.choices, parts)
        fair = (lines, grid[..., counted], self.choices, parts[counted].reset_index(drop=True))
        return Curve(
            lines=told,
            marks=marks,
            influence=influence_of(*fair),
            options=options_of(*fair),
            choices=[*self.choices, *(_part(name, parts[name]) for name in parts)],
            primary=int(grid[(0,) * grid.ndim]),
            combinations=grid.size,
            sets=self.sets,
            unit=self.unit,
        )


def fitted(base: EvidenceBase, question: Question, kind: str) -> Fitted:
    """Fit every combination of the protocol's choices for a question.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
        The review's own; reports that it leaves out by ``exclude`` stay out of every specification.
    kind : {"rate", "difference"}
        A proportion of patients (percent), or a difference between arms.

    Returns
    -------
    Fitted

    Raises
    ------
    ProtocolError
        If the protocol lists no choices, or names something that is not known.
    """
    question = question.at(base.protocol)
    choices, analyses = choices_of(base, question, kind), analyses_of(base.protocol, kind)
    tables = report_tables(base, question, kind, choices)
    choices, sets = without_idle(choices, row_sets(base, question, kind, choices, tables))
    data = {name: sets.rows[name].to_numpy(float) for name in DATA[kind]}
    ways = [named.analysis for named in analyses]
    fits = specification_curve(data, sets.keep, ways, facts=_facts(sets))
    return Fitted(choices, analyses, sets, fits, UNITS[kind])


def without_idle(choices: Sequence[Choice], sets: RowSets) -> tuple[list[Choice], RowSets]:
    """Drop options that give the review's own rows in every combination: there is nothing to choose.

    Parameters
    ----------
    choices : sequence of Choice
    sets : RowSets

    Returns
    -------
    tuple of (list of Choice, RowSets)
    """
    kept, number = [], sets.number
    for axis, choice in enumerate(choices):
        own = number.take(0, axis)
        busy = [i for i in range(len(choice.options)) if i == 0 or (number.take(i, axis) != own).any()]
        number = number.take(busy, axis)
        kept.append(replace(choice, options=tuple(choice.options[i] for i in busy)))
    used, number = np.unique(number, return_inverse=True)
    return kept, RowSets(sets.rows, sets.keep[used], number.reshape([len(c.options) for c in kept]))


def _facts(sets: RowSets) -> pd.DataFrame:
    """Return the facts of each row set for the finding, other than its numbers."""
    randomised = (sets.keep & (sets.rows.design == "rct").to_numpy()).any(axis=1)
    return pd.DataFrame({"randomised": randomised})


def _part(name: str, values: pd.Series) -> Choice:
    """A part of the analysis as a choice."""
    return Choice(name, OF_ANALYSIS[name], tuple(Option(value, "") for value in dict.fromkeys(values)))


def _marked(
    lines: pd.DataFrame, grid: NDArray[np.intp], choices: Sequence[Choice], parts: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Which options lead to each line, and the options of the combination that departs least from the review's own."""
    places = np.indices(grid.shape, sparse=True)
    departures = sum((place > 0).astype(np.int8) for place in places)
    least = np.lexsort((departures.ravel(), grid.ravel()))
    first = least[np.unique(grid.ravel()[least], return_index=True)[1]]
    at = np.unravel_index(first, grid.shape)
    told: dict[str, Any] = {
        choice.choice_id: [choice.options[i].name for i in at[axis]] for axis, choice in enumerate(choices)
    }
    told |= {name: parts[name].to_numpy()[at[-1]] for name in parts}
    marks: dict[tuple[str, str], NDArray[np.bool_]] = {}
    for axis, choice in enumerate(choices):
        for i, option in enumerate(choice.options):
            marks[choice.choice_id, option.name] = _leads(grid.take([i], axis), len(lines))
    for name in parts:
        for value in dict.fromkeys(parts[name]):
            marks[name, value] = _leads(grid[..., (parts[name] == value).to_numpy()], len(lines))
    told["departures"] = departures.ravel()[first]
    numbers = lines.drop(columns=["analysis"])
    return pd.concat([pd.DataFrame(told), numbers], axis=1), pd.DataFrame(marks)


def _leads(part: NDArray[np.intp], lines: int) -> NDArray[np.bool_]:
    return np.bincount(part.ravel(), minlength=lines) > 0
