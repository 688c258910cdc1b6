"""Limits of the between-study variance and of what follows from it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cellclaims.errors import PoolingError
from cellclaims.meta.batch import Batch, chunk_size, chunks
from cellclaims.meta.equations import GeneralisedQ
from cellclaims.meta.fit_result import Fit
from cellclaims.meta.heterogeneity import WITHOUT_TAU2, FixedWeights
from cellclaims.meta.quantiles import chi2_quantile
from cellclaims.meta.roots import solve


@dataclass(frozen=True, eq=False)
class HeterogeneityLimits:
    """Limits of tau2, I2 and H2, each of the batch's shape (plain numbers for one fit).

    Attributes
    ----------
    tau2, tau2_lb, tau2_ub : float or ndarray
        The fit's estimate and its limits.
    I2, I2_lb, I2_ub : float or ndarray
        In percent.
    H2, H2_lb, H2_ub : float or ndarray
    empty : bool or ndarray of bool
        No tau2 >= 0 agrees with the data at this level: the effects differ less than chance alone makes
        them differ. The limits are NaN there.
    level : float
    kind : str
        How the limits were made.
    """

    tau2: np.ndarray
    tau2_lb: np.ndarray
    tau2_ub: np.ndarray
    I2: np.ndarray
    I2_lb: np.ndarray
    I2_ub: np.ndarray
    H2: np.ndarray
    H2_lb: np.ndarray
    H2_ub: np.ndarray
    empty: np.ndarray
    level: float
    kind: str

    def in_words(self) -> str | np.ndarray:
        """What the limits of tau2 are, in words; an object array of strings for a batch."""
        if np.ndim(self.empty) == 0:
            return self._sentence(self.empty, self.tau2_lb)
        words = np.empty(self.empty.size, dtype=object)
        words[:] = [self._sentence(e, low) for e, low in zip(self.empty.flat, self.tau2_lb.flat, strict=True)]
        return words.reshape(self.empty.shape)

    def _sentence(self, empty: bool, low: float) -> str:
        percent = f"{100 * self.level:g} %"
        if empty:
            return f"empty set: the effects differ less than the {percent} limits of chance allow for any tau2"
        if np.isnan(low):
            return "no limits: tau2 cannot be estimated from fewer than two studies"
        return f"{percent} limits by {self.kind}" + (", from the boundary zero" if low == 0.0 else "")


def confint(fit: Fit, *, level: float | None = None) -> HeterogeneityLimits:
    r"""Q-profile limits of tau2, I2 and H2.

    The limits are where the generalised Q statistic equals the quantiles of chi-squared with k - 1 degrees
    of freedom (Viechtbauer 2007, https://doi.org/10.1002/sim.2514):

    .. math:: Q(\tau^2_{lb}) = \chi^2_{k-1; 1-\alpha/2}, \quad Q(\tau^2_{ub}) = \chi^2_{k-1; \alpha/2}

    Parameters
    ----------
    fit : Fit
        A fit with a tau2.
    level : float, optional
        Level of the limits; that of the fit if not given.

    Returns
    -------
    HeterogeneityLimits

    Raises
    ------
    PoolingError
        For an equal-effects fit: it has no tau2.

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> limits = confint(fit([0.0, 2.0, 1.0, 4.0], [1.0, 1.0, 1.0, 1.0]))
    >>> round(float(limits.tau2_lb), 4), round(float(limits.tau2_ub), 4)
    (0.0, 39.5477)
    >>> confint(fit([0.4, 0.4, 0.4], [0.1, 0.2, 0.3])).in_words()
    'empty set: the effects differ less than the 95 % limits of chance allow for any tau2'
    """
    if fit.method in WITHOUT_TAU2:
        raise PoolingError(f"confint: expected a fit with a tau2, found method {fit.method}")
    level = fit.level if level is None else level
    parts = [_q_profile(batch, level) for _, batch in chunks(fit.effects, chunk_size(fit.effects.k))]
    lower, upper, typical, empty = (np.concatenate(part).reshape(fit.shape)[()] for part in zip(*parts, strict=True))
    return HeterogeneityLimits(
        fit.tau2,
        lower,
        upper,
        fit.I2,
        100.0 * lower / (lower + typical),
        100.0 * upper / (upper + typical),
        fit.H2,
        lower / typical + 1.0,
        upper / typical + 1.0,
        empty,
        level,
        "Q-profile",
    )


def _q_profile(batch: Batch, level: float) -> tuple[np.ndarray, ...]:
    """Limits of tau2, the typical variance, and whether the set is empty, each of shape (b,)."""
    few, many = (1.0 - level) / 2.0, (1.0 + level) / 2.0
    estimable = batch.n > batch.design.columns
    with np.errstate(divide="ignore", invalid="ignore"):
        fixed = FixedWeights.of(batch)
        lower, _ = solve(GeneralisedQ(chi2_quantile(many, batch.df)), batch)
        upper, _ = solve(GeneralisedQ(chi2_quantile(few, batch.df)), batch)
        typical = batch.df / fixed.trace
    empty = estimable & (fixed.q < chi2_quantile(few, batch.df))
    known = estimable & ~empty
    numbers = np.where(known, lower, np.nan), np.where(known, upper, np.nan), typical, empty
    return tuple(np.broadcast_to(a, (batch.width,)) for a in numbers)
