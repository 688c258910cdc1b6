"""Three reports pooled by hand: every step as a formula with its numbers put in, made from the data.

Shares are pooled on the logit by the estimator of DerSimonian and Laird (1986,
https://doi.org/10.1016/0197-2456(86)90046-2), which needs no iteration, with the normal interval.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit

from cellclaims import meta
from cellclaims.errors import DataError
from cellclaims.pool import Pool
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import number, percent

#: 97.5th centile of the normal distribution, as it is looked up.
Z = 1.959963984540054
#: Reports that are pooled by hand.
THREE = 3


@dataclass(frozen=True)
class ByHand:
    """Counts of a few reports, and every quantity on the way to their pooled share.

    ``labels``, ``events`` and ``n`` have shape (k,). All else follows: ``y`` and ``v`` (logit and its variance), ``w``
    and ``w_star`` (weights without and with ``tau2``).
    """

    labels: tuple[str, ...]
    events: np.ndarray
    n: np.ndarray

    @property
    def y(self) -> np.ndarray:
        """Logits of the shares, shape (k,)."""
        return np.log(self.events / (self.n - self.events))

    @property
    def v(self) -> np.ndarray:
        """Variances of the logits, shape (k,)."""
        return 1 / self.events + 1 / (self.n - self.events)

    @property
    def w(self) -> np.ndarray:
        """Weights of the equal-effects model, shape (k,)."""
        return 1 / self.v

    @property
    def fixed(self) -> float:
        """Equal-effects mean of the logits."""
        return float((self.w * self.y).sum() / self.w.sum())

    @property
    def q(self) -> float:
        """Cochran's Q."""
        return float((self.w * (self.y - self.fixed) ** 2).sum())

    @property
    def scale(self) -> float:
        """What Q in excess of its expectation is divided by."""
        return float(self.w.sum() - (self.w**2).sum() / self.w.sum())

    @property
    def tau2(self) -> float:
        """Variance between reports, never below zero."""
        return max(0.0, (self.q - (len(self.y) - 1)) / self.scale)

    @property
    def w_star(self) -> np.ndarray:
        """Weights of the random-effects model, shape (k,)."""
        return 1 / (self.v + self.tau2)

    @property
    def mean(self) -> float:
        """Random-effects mean of the logits."""
        return float((self.w_star * self.y).sum() / self.w_star.sum())

    @property
    def se(self) -> float:
        """Standard error of the mean."""
        return float(1 / math.sqrt(self.w_star.sum()))

    @property
    def limits(self) -> tuple[float, float]:
        """Normal 95 % limits on the logit."""
        return self.mean - Z * self.se, self.mean + Z * self.se

    def fit(self) -> meta.Fit:
        """The same by the engine: effects by ``meta.escalc``, pooled by ``meta.fit``."""
        effects = meta.escalc("PLO", xi=self.events, ni=self.n)
        return meta.fit(effects.yi, effects.vi, method="DL", test="z")

    def beside_the_engine(self) -> Sentence:
        """The engine's numbers beside those by hand, and whether they are equal to rounding."""
        fit = self.fit()
        pairs = [(self.tau2, fit.tau2), (self.mean, fit.beta), (self.se, fit.se)]
        pairs += list(zip(self.limits, (fit.ci_lb, fit.ci_ub), strict=True))
        equal = all(math.isclose(a, float(b), rel_tol=1e-9, abs_tol=1e-12) for a, b in pairs)
        shown = f"τ² = {number(fit.tau2, 3)}, mean logit {number(fit.beta, 3)}, SE {number(fit.se, 3)}"
        share = percent(float(expit(fit.beta)))
        words = "Equal to the sheet." if equal else "Not equal to the sheet: look for the slip."
        return say(f"By the engine: {shown}, which is {share}.", words)

    def __repr__(self) -> str:
        return "\n".join(f"{what} {latex}".lstrip() for what, latex in self.steps())

    def _repr_markdown_(self) -> str:
        return "\n\n".join(f"{what}\n\n$${latex}$$".lstrip() for what, latex in self.steps())

    def steps(self) -> list[tuple[str, str]]:
        """Each step in words, and its formula with the numbers put in."""
        return [*self._reports(), *self._spread(), *self._pooled()]

    def _reports(self) -> list[tuple[str, str]]:
        steps = []
        for i, label in enumerate(self.labels, start=1):
            x, n, y, v, w = (a[i - 1] for a in (self.events, self.n, self.y, self.v, self.w))
            logit = rf"y_{i} = \ln\frac{{{x:g}}}{{{n:g} - {x:g}}} = {_m(y)}"
            variance = rf"v_{i} = \frac{{1}}{{{x:g}}} + \frac{{1}}{{{n - x:g}}} = {_m(v)}"
            weight = rf"w_{i} = \frac{{1}}{{{_m(v)}}} = {_m(w)}"
            steps.append((f"{plain(label)}: {x:g} of {n:g}.", rf"{logit} \qquad {variance} \qquad {weight}"))
        return steps

    def _spread(self) -> list[tuple[str, str]]:
        squares = self.w * (self.y - self.fixed) ** 2
        terms = zip(self.w, self.y, squares, strict=True)
        lines = [
            ("", rf"q_{i} = {_m(w)} \cdot ({_m(y)} - {_p(self.fixed)})^2 = {_m(square)}")
            for i, (w, y, square) in enumerate(terms, start=1)
        ]
        total = self.w.sum()
        c = rf"c = {_m(total)} - \frac{{{_sum(f'{_m(a)}^2' for a in self.w)}}}{{{_m(total)}}} = {_m(self.scale)}"
        excess = rf"\frac{{{_m(self.q)} - {len(self.y) - 1}}}{{{_m(self.scale)}}}"
        return [
            ("The mean if all reports shared one true share:", rf"\bar y = {self._mean_of(self.w)} = {_m(self.fixed)}"),
            ("How far each report lies from it, weighted:", lines[0][1]),
            *lines[1:],
            ("", rf"Q = {_sum(map(_m, squares))} = {_m(self.q)}"),
            ("What Q in excess of its expectation is divided by:", c),
            ("The variance between reports:", rf"\tau^2 = \max\left(0, {excess}\right) = {_m(self.tau2)}"),
        ]

    def _mean_of(self, w: np.ndarray) -> str:
        """A weighted mean of the logits, with its numbers."""
        top = _sum(f"{_m(a)} \\cdot {_p(b)}" for a, b in zip(w, self.y, strict=True))
        return rf"\frac{{{top}}}{{{_sum(map(_m, w))}}}"

    def _pooled(self) -> list[tuple[str, str]]:
        w, (low, high) = self.w_star, self.limits
        weights = [
            ("", rf"w_{i}^* = \frac{{1}}{{{_m(v)} + {_m(self.tau2)}}} = {_m(a)}")
            for i, (a, v) in enumerate(zip(w, self.v, strict=True), start=1)
        ]
        interval = rf"{_m(self.mean)} \pm 1.96 \cdot {_m(self.se)} = ({_m(low)}, {_m(high)})"
        back = rf"p = \frac{{1}}{{1 + e^{{{_m(-self.mean)}}}}} = {_m(expit(self.mean))}"
        return [
            ("The weights with the variance between reports:", weights[0][1]),
            *weights[1:],
            ("The pooled logit:", rf"\mu = {self._mean_of(w)} = {_m(self.mean)}"),
            ("Its standard error:", rf"SE = \frac{{1}}{{\sqrt{{{_sum(map(_m, w))}}}}} = {_m(self.se)}"),
            ("Its 95 % interval:", interval),
            (
                "Back from the logit to a share, and the limits likewise:",
                rf"{back} \qquad ({_m(expit(low))}, {_m(expit(high))})",
            ),
        ]


def three(pool: Pool) -> ByHand:
    """The three reports of a pool of shares with the most patients, in the order of the pool.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    ByHand

    Raises
    ------
    DataError
        With fewer than three reports in which some had the outcome and some had not.
    """
    rows = pool.rows[(pool.rows.events > 0) & (pool.rows.events < pool.rows.n)] if pool.scale == "logit" else []
    if len(rows) < THREE:
        raise DataError(
            f"pooling by hand: expected {THREE} reports with some who had the outcome and some who had not, "
            f"found {len(rows)} for {pool.title!r}: choose another OUTCOME or ESTIMAND"
        )
    largest = rows.loc[sorted(rows.sort_values("n", ascending=False, kind="stable").index[:THREE])]
    return ByHand(tuple(largest.label), largest.events.to_numpy(float), largest.n.to_numpy(float))


def _m(value: float) -> str:
    """A number with three decimals as maths writes it."""
    return f"{value:.3f}"


def _p(value: float) -> str:
    """The same in brackets where it is below zero."""
    return f"({_m(value)})" if value < 0 else _m(value)


def _sum(terms: Any) -> str:
    return " + ".join(terms)


def plain(label: str) -> str:
    """A label that Markdown shows as it is."""
    return "".join(f"\\{c}" if c in "\\`*_[]<>|$~" else c for c in label)
