"""Three studies pooled with paper and a calculator: every step as a formula with its numbers put in.

Proportions are pooled on the logit with the variance between studies given (estimator of DerSimonian and Laird, 1986,
https://doi.org/10.1016/0197-2456(86)90046-2) and a normal interval. Each step is rounded as it is on paper and the next
one takes the rounded number, so that every equation is correct as shown.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from cellclaims import meta
from cellclaims.errors import DataError
from cellclaims.journal_club.audience import BLANK
from cellclaims.meta.binomial_fit import clopper_pearson
from cellclaims.meta.quantiles import normal_quantile
from cellclaims.pool import Pool
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Table, number

#: Studies that are pooled by hand.
THREE = 3
#: Decimals on paper.
FINE = 3


@dataclass(frozen=True)
class ByHand:
    """Counts of three studies, and every quantity on the way to their mean proportion.

    ``labels``, ``events`` and ``n`` have shape (k,). All else follows: ``y`` and ``v`` (logit and its variance), ``w``
    (weights with ``tau2``, the variance between studies, which is given). ``level`` is that of the interval.
    """

    labels: tuple[str, ...]
    events: np.ndarray
    n: np.ndarray
    level: float = 0.95

    @property
    def y(self) -> np.ndarray:
        """Logits of the proportions, shape (k,)."""
        return np.round(np.log(self.events / (self.n - self.events)), FINE)

    @property
    def v(self) -> np.ndarray:
        """Variances of the logits, shape (k,)."""
        return np.round(1 / self.events + 1 / (self.n - self.events), FINE)

    @property
    def tau2(self) -> float:
        """Variance between studies, by the engine: it is given, not worked out."""
        return round(float(self.fit().tau2), FINE)

    @property
    def w(self) -> np.ndarray:
        """Weights, shape (k,)."""
        return np.round(1 / (self.v + self.tau2), FINE)

    @property
    def mean(self) -> float:
        """Weighted mean of the logits."""
        return round(float((self.w * self.y).sum() / self.w.sum()), FINE)

    @property
    def se(self) -> float:
        """Standard error of the mean."""
        return round(1 / math.sqrt(float(self.w.sum())), FINE)

    @property
    def z(self) -> float:
        """Quantile of the normal distribution for the level, as it is looked up: 1.96 for 95%."""
        return round(float(normal_quantile(self.level)), 2)

    @property
    def limits(self) -> tuple[float, float]:
        """Normal limits on the logit."""
        return round(self.mean - self.z * self.se, FINE), round(self.mean + self.z * self.se, FINE)

    @property
    def level_words(self) -> str:
        """The level of the interval, for its name.

        >>> ByHand(("a",), np.ones(1), np.ones(1), 0.9).level_words
        '90%'
        """
        return f"{100 * self.level:g}%"

    @property
    def result(self) -> str:
        """The mean and its interval as percentages."""
        low, high = self.limits
        return f"{_percent(self.mean)} ({self.level_words} interval {_percent(low)} to {_percent(high)})"

    def fit(self) -> meta.Fit:
        """The same model by the engine: effects by ``meta.escalc``, pooled by ``meta.fit``."""
        effects = meta.escalc("PLO", xi=self.events, ni=self.n)
        return meta.fit(effects.yi, effects.vi, method="DL", test="z", level=self.level)

    def added(self) -> Sentence:
        """The counts added up as if the studies were one, and why the interval must be wider."""
        events, n = self.events.sum(), self.n.sum()
        low, high = (100 * float(limit[0]) for limit in clopper_pearson(np.array([events]), np.array([n]), self.level))
        shares = ", ".join(f"{number(100 * x / m, 0)}%" for x, m in zip(self.events, self.n, strict=True))
        return say(
            f"Counts added: {events:g} of {n:g} = {number(100 * events / n, 1)}% ({self.level_words} interval "
            f"{number(low, 1)}% to {number(high, 1)}%). That treats all participants as one study.",
            f"The studies found {shares}: centres may truly differ, and the interval must allow for it. With weights: "
            f"{self.result}.",
        )

    def compared(self, pool: Pool) -> Sentence:
        """The engine's numbers for the same model, and why the review's model gives another interval.

        Parameters
        ----------
        pool : Pool
            The review's own pool of all studies, for its model.

        Returns
        -------
        Sentence
        """
        fit = self.fit()
        pairs = [(self.mean, fit.beta), (self.se, fit.se), *zip(self.limits, (fit.ci_lb, fit.ci_ub), strict=True)]
        is_equal = all(math.isclose(a, float(b), abs_tol=0.02) for a, b in pairs)
        words = "equal to the sheet, to rounding" if is_equal else "not equal to the sheet: look for the slip"
        low, high = (_percent(float(limit)) for limit in (fit.ci_lb, fit.ci_ub))
        review = meta.glmm(self.events, self.n, level=self.level, test=str(pool.settings.get("test", "t")))
        wide = " to ".join(_percent(float(limit)) for limit in (review.ci_lb, review.ci_ub))
        return say(
            f"Same model by the engine: {_percent(float(fit.beta))} ({low} to {high}), {words}.",
            f"The review's model for the same three studies: {_percent(float(review.beta))} ({wide}). It is wider "
            f"because it uses the counts themselves and a t distribution with {len(self.n) - 1} degrees of freedom, "
            "not a normal distribution of each logit.",
        )

    def table(self, filled: bool = True) -> Table:
        """The sheet as a table; without ``filled`` only the counts, to be worked out."""
        rows = []
        for i, label in enumerate(self.labels):
            x, n = self.events[i], self.n[i]
            worked = [number(part[i], FINE) if filled else BLANK for part in (self.y, self.v, self.w)]
            rows.append((label, f"{x:g}", f"{n:g}", *worked))
        header = ("study", "x", "n", "logit y", "variance v", "weight w")
        return Table(header, tuple(rows), f"Three studies by hand, with τ² = {_m(self.tau2)}", frozenset(range(1, 6)))

    def __repr__(self) -> str:
        return "\n".join(f"{what} {latex}".lstrip() for what, latex in self.steps())

    def _repr_markdown_(self) -> str:
        return "\n\n".join(f"{what}\n\n$${latex}$$".lstrip() for what, latex in self.steps())

    def steps(self) -> list[tuple[str, str]]:
        """Each step in words, and its formula with the numbers put in."""
        return [*self._studies(), *self._pooled()]

    def _studies(self) -> Iterable[tuple[str, str]]:
        for i, label in enumerate(self.labels, start=1):
            x, n, y, v, w = (a[i - 1] for a in (self.events, self.n, self.y, self.v, self.w))
            logit = rf"y_{i} = \ln\frac{{{x:g}}}{{{n:g} - {x:g}}} = {_m(y)}"
            variance = rf"v_{i} = \frac{{1}}{{{x:g}}} + \frac{{1}}{{{n - x:g}}} = {_m(v)}"
            weight = rf"w_{i} = \frac{{1}}{{{_m(v)} + {_m(self.tau2)}}} = {_m(w)}"
            yield f"{plain(label)}: {x:g} of {n:g}.", rf"{logit} \qquad {variance} \qquad {weight}"

    def _pooled(self) -> list[tuple[str, str]]:
        w, (low, high) = [_m(a) for a in self.w], self.limits
        top = " + ".join(rf"{a} \cdot {_p(b)}" for a, b in zip(w, self.y, strict=True))
        total = " + ".join(w)
        back = [rf"\frac{{1}}{{1 + e^{{{_m(-end)}}}}} = {_m(float(expit(end)))}" for end in (self.mean, low, high)]
        return [
            ("The mean logit:", rf"\mu = \frac{{{top}}}{{{total}}} = {_m(self.mean)}"),
            ("Its standard error:", rf"SE = \frac{{1}}{{\sqrt{{{total}}}}} = {_m(self.se)}"),
            (
                f"Its {self.level_words} interval:",
                rf"{_m(self.mean)} - {self.z} \cdot {_m(self.se)} = {_m(low)} \qquad "
                rf"{_m(self.mean)} + {self.z} \cdot {_m(self.se)} = {_m(high)}",
            ),
            ("Back to proportions, the mean and the limits:", r" \qquad ".join(back)),
        ]


def three(pool: Pool) -> ByHand:
    """The three studies of a pool of proportions with the most participants, in the order of the pool.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    ByHand

    Raises
    ------
    DataError
        With fewer than three studies in which some participants had the outcome and some had not.
    """
    if not can_be_worked(pool):
        rows = _usable(pool)
        raise DataError(
            f"pooling by hand: expected {THREE} studies with some who had the outcome and some who had not, "
            f"found {len(rows)} for {pool.title!r}: choose another OUTCOME or ESTIMAND"
        )
    rows = _usable(pool)
    largest = rows.loc[sorted(rows.sort_values("n", ascending=False, kind="stable").index[:THREE])]
    counts = largest.events.to_numpy(float), largest.n.to_numpy(float)
    return ByHand(tuple(largest.label), *counts, float(pool.settings["level"]))


def can_be_worked(pool: Pool) -> bool:
    """Whether a pool has three studies that can be pooled by hand."""
    return len(_usable(pool)) >= THREE


def _usable(pool: Pool):
    rows = pool.rows
    return rows[(rows.events > 0) & (rows.events < rows.n)] if pool.scale == "logit" else rows.head(0)


def _m(value: float, decimals: int = FINE) -> str:
    """A number as maths writes it."""
    return f"{value:.{decimals}f}"


def _p(value: float) -> str:
    """The same in brackets where it is below zero."""
    return f"({_m(value)})" if value < 0 else _m(value)


def _percent(value: float) -> str:
    """A logit as a percentage."""
    return f"{number(100 * float(expit(value)), 1)}%"


def plain(label: str) -> str:
    """A label that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|$~" else c for c in label)
