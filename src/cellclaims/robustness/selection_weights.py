"""How likely a study of P value ``p`` is to be seen, relative to others: the families of weight functions.

A family gives the logarithm of the weight and its derivatives by the *parameters*, the free numbers ``delta`` of the
weight function.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np


class WeightFunction(Protocol):
    """What the likelihood needs to know of a family.

    Attributes
    ----------
    null : ndarray, shape (d,)
        Parameters of no selection.
    lower, upper : ndarray, shape (d,)
        Range of the parameters.
    starts : tuple of ndarray, each of shape (d,)
        Where to start the search for the best parameters.
    logarithmic : bool
        Whether the search is best done in ``log(delta)``.
    smallest_p : float
        P values closer to 0 or 1 have the weight of this one.
    """

    null: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    starts: tuple[np.ndarray, ...]
    logarithmic: bool
    smallest_p: float

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Logarithm of the weight of each P value, of the shape of ``p``."""

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """Its derivative by each parameter, one more axis of length d."""


@dataclass(frozen=True, eq=False)
class Steps:
    """One weight for each stretch of P values; the first stretch, of the smallest, has weight one.

    ``edges``: the upper end of each stretch, the last one 1.
    """

    edges: np.ndarray
    logarithmic = True
    smallest_p = 0.0

    @property
    def count(self) -> int:
        """Free weights."""
        return len(self.edges) - 1

    @property
    def null(self) -> np.ndarray:
        """All as likely."""
        return np.ones(self.count)

    @property
    def lower(self) -> np.ndarray:
        """Never seen at all: no study could be in that stretch."""
        return np.full(self.count, 1e-8)

    @property
    def upper(self) -> np.ndarray:
        """Beyond any selection that data of this kind could tell."""
        return np.full(self.count, 1e8)

    @property
    def starts(self) -> tuple[np.ndarray, ...]:
        """None, and in either direction."""
        return tuple(base ** np.arange(1.0, self.count + 1.0) for base in (1.0, 0.3, 4.0))

    def stretch(self, p: np.ndarray) -> np.ndarray:
        """The number of the stretch of each P value."""
        return np.minimum(np.searchsorted(self.edges, p, side="left"), self.count)

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``log delta`` of the stretch."""
        return np.concatenate([[0.0], np.log(delta)])[self.stretch(p)]

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``1/delta`` in its own stretch."""
        return (self.stretch(p)[..., None] == np.arange(1, self.count + 1)) / delta


@dataclass(frozen=True, eq=False)
class Beta:
    """``p^(a-1) (1-p)^(b-1)``: falls or rises at either end (Citkowicz and Vevea 2017)."""

    null = np.ones(2)
    lower = np.full(2, 1e-5)
    upper = np.full(2, 100.0)
    starts = (np.ones(2), np.array([0.5, 1.0]), np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    logarithmic = True
    smallest_p = 1e-5

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``(a-1) log p + (b-1) log(1-p)``."""
        return (delta[0] - 1.0) * np.log(p) + (delta[1] - 1.0) * np.log1p(-p)

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``log p`` and ``log(1-p)``."""
        return np.stack([np.log(p), np.log1p(-p)], axis=-1)


@dataclass(frozen=True, eq=False)
class Falling:
    """Families that fall from one at ``p = 0``, the faster the larger their one parameter (Preston and others 2004)."""

    null = np.zeros(1)
    lower = np.zeros(1)
    upper = np.full(1, 100.0)
    starts = (np.array([0.01]), np.array([1.0]), np.array([10.0]))
    logarithmic = False
    smallest_p = 0.0


class HalfNormal(Falling):
    """``exp(-delta p^2)``."""

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-delta p^2``."""
        return -delta[0] * p**2

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-p^2``."""
        return -(p**2)[..., None]


class NegativeExponential(Falling):
    """``exp(-delta p)``."""

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-delta p``."""
        return -delta[0] * p

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-p``."""
        return -p[..., None]


class Logistic(Falling):
    """``2 exp(-delta p) / (1 + exp(-delta p))``."""

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``log 2 - log(1 + exp(delta p))``."""
        return np.log(2.0) - np.logaddexp(0.0, delta[0] * p)

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``-p / (1 + exp(-delta p))``."""
        return (-p / (1.0 + np.exp(-delta[0] * p)))[..., None]


class Power(Falling):
    """``(1 - p)^delta``."""

    smallest_p = 1e-5

    def log_weight(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``delta log(1-p)``."""
        return delta[0] * np.log1p(-p)

    def slope(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        """``log(1-p)``."""
        return np.log1p(-p)[..., None]


#: Families by metafor's names; ``stepfun`` needs its steps.
FAMILIES = {
    "stepfun": Steps,
    "beta": Beta,
    "halfnorm": HalfNormal,
    "negexp": NegativeExponential,
    "logistic": Logistic,
    "power": Power,
}
