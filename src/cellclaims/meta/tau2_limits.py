"""Limits of the between-study variance, of I2 and of H2."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cellclaims.errors import PoolingError
from cellclaims.meta.batch import Batch, Projection, over_chunks
from cellclaims.meta.inputs import check_share, one_of
from cellclaims.meta.quantiles import chi2_quantile
from cellclaims.meta.tau2 import MOST_STEPS, NARROW, GeneralisedQ, Likelihood, solve

if TYPE_CHECKING:
    from cellclaims.meta.fit import Fit

# Profile-likelihood limits of tau2: where twice the log-likelihood has fallen by a chi-squared quantile.


#: A Newton step this small, relative to ``t + v_min``, leaves an error of about its square.
STEP = 1e-8


def profile_limits(batch: Batch, restricted: bool, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limit of tau2 around the highest mode, each of shape (b,).

    The lower limit is zero where the likelihood there is still within the fall. Beyond the upper limit the
    likelihood falls without end, like ``t`` to the power of minus half the degrees of freedom.
    """
    rule = Likelihood(restricted)
    mode = np.broadcast_to(solve(rule, batch, Projection.at(batch, 0.0))[0], (batch.width,))
    floor = rule.height(Projection.at(batch, mode)) - chi2_quantile(level, 1.0)
    far = _beyond(rule, batch, mode, floor)
    upper = _crossing(rule, batch, mode, far, floor)
    zero = np.zeros(batch.width)
    lower = np.where(rule.height(Projection.at(batch, zero)) >= floor, 0.0, _crossing(rule, batch, mode, zero, floor))
    return lower, upper


def _beyond(rule: Likelihood, batch: Batch, mode: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Find a point above the mode where the likelihood is below the floor, by doubling."""
    far = 2.0 * mode + batch.high
    for _ in range(MOST_STEPS):
        short = rule.height(Projection.at(batch, far)) > floor
        if not short.any():
            break
        far = np.where(short, 4.0 * far, far)
    return far


def _crossing(rule: Likelihood, batch: Batch, inside: np.ndarray, outside: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Find where the likelihood equals ``floor`` between two points, by safeguarded Newton steps."""
    t = _middle(inside, outside, batch)
    for _ in range(MOST_STEPS):
        at = Projection.at(batch, t)
        above, (a, e) = rule.height(at) - floor, rule.sides(at)
        inside, outside = np.where(above >= 0.0, t, inside), np.where(above >= 0.0, outside, t)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = -above / (a - e)
        within = (t + step - inside) * (t + step - outside) <= 0.0
        size = t + batch.low
        if ((within & (np.abs(step) <= STEP * size)) | (np.abs(outside - inside) <= NARROW * size)).all():
            return np.where(within, t + step, t)
        t = np.where(within, t + step, _middle(inside, outside, batch))
    return t


def _middle(a: np.ndarray, b: np.ndarray, batch: Batch) -> np.ndarray:
    """Geometric middle of ``t + v_min``."""
    return np.sqrt((a + batch.low) * (b + batch.low)) - batch.low


# Limits of the between-study variance and of what follows from it.


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
        """Return the limits of tau2 in words.

        Returns
        -------
        str, or ndarray of object for a batch
        """
        if np.ndim(self.empty) == 0:
            return self._sentence(self.empty, self.tau2_lb)
        words = np.empty(self.empty.size, dtype=object)
        words[:] = [self._sentence(e, low) for e, low in zip(self.empty.flat, self.tau2_lb.flat, strict=True)]
        return words.reshape(self.empty.shape)

    def _sentence(self, empty: bool, low: float) -> str:
        percent = f"{100 * self.level:g}%"
        if empty:
            return f"empty set: the effects differ less than the {percent} limits of chance allow for any tau2"
        if np.isnan(low):
            return "no limits: tau2 cannot be estimated from fewer than two studies"
        return f"{percent} limits by {self.kind}" + (", from the boundary zero" if low == 0.0 else "")


def confint(fit: Fit, *, kind: str = "Q-profile", level: float | None = None) -> HeterogeneityLimits:
    r"""Compute limits of tau2, I2 and H2.

    ``Q-profile``: where the generalised Q statistic equals the quantiles of chi-squared with k - p degrees
    of freedom (Viechtbauer 2007, https://doi.org/10.1002/sim.2514). ``profile likelihood``: where twice the
    log-likelihood has fallen by the quantile of chi-squared with one degree of freedom; restricted for
    REML, full for ML (Hardy and Thompson 1996,
    https://doi.org/10.1002/(SICI)1097-0258(19960330)15:6<619::AID-SIM188>3.0.CO;2-A).

    .. math:: Q(\tau^2_{lb}) = \chi^2_{k-p; 1-\alpha/2}, \quad Q(\tau^2_{ub}) = \chi^2_{k-p; \alpha/2}

    Parameters
    ----------
    fit : Fit
        A fit with a tau2.
    kind : {"Q-profile", "profile likelihood"}
    level : float, optional
        Level of the limits; that of the fit if not given.

    Returns
    -------
    HeterogeneityLimits

    Raises
    ------
    PoolingError
        For an equal-effects fit: it has no tau2. For profile likelihood: if the method is not ML or REML.

    Examples
    --------
    >>> from cellclaims.meta import fit
    >>> limits = confint(fit([0.0, 2.0, 1.0, 4.0], [1.0, 1.0, 1.0, 1.0]))
    >>> round(float(limits.tau2_lb), 4), round(float(limits.tau2_ub), 4)
    (0.0, 39.5477)
    >>> confint(fit([0.4, 0.4, 0.4], [0.1, 0.2, 0.3])).in_words()
    'empty set: the effects differ less than the 95% limits of chance allow for any tau2'
    """
    kind = _check_kind(fit, kind)
    level = fit.level if level is None else check_share(level, "level")
    limits = _q_profile if kind == "Q-profile" else _likelihood_profile(restricted=fit.method == "REML")
    parts = over_chunks(lambda batch: _limits(batch, limits, level), fit.effects)
    joined = (np.concatenate(part).reshape(fit.shape)[()] for part in zip(*parts, strict=True))
    lower, upper, typical, empty = joined
    I2_lb, I2_ub = (100.0 * (t / (t + typical)) for t in (lower, upper))
    H2_lb, H2_ub = (t / typical + 1.0 for t in (lower, upper))
    tau2 = (fit.tau2, lower, upper)
    return HeterogeneityLimits(*tau2, fit.I2, I2_lb, I2_ub, fit.H2, H2_lb, H2_ub, empty, level, kind)


def _check_kind(fit: Fit, kind: str) -> str:
    kind = one_of(kind, ("Q-profile", "profile likelihood"), "kind")
    if not fit.has_tau2:
        raise PoolingError(f"confint: expected a fit with a tau2, found method {fit.method}")
    if kind == "profile likelihood" and fit.method not in {"ML", "REML"}:
        raise PoolingError(f"profile likelihood: expected method ML or REML, found {fit.method}")
    return kind


Limits = Callable[[Batch, float], tuple[np.ndarray, np.ndarray, np.ndarray]]


def _limits(batch: Batch, limits: Limits, level: float) -> tuple[np.ndarray, ...]:
    """Limits of tau2, the typical variance, and whether the set is empty, each of shape (b,)."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # too few studies: no limits, below
        lower, upper, empty = limits(batch, level)
        typical = batch.df / Projection.at(batch, 0.0).trace
    known = batch.sound & ~empty
    numbers = np.where(known, lower, np.nan), np.where(known, upper, np.nan), typical, empty & batch.sound
    return tuple(np.broadcast_to(a, (batch.width,)) for a in numbers)


def _q_profile(batch: Batch, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    few, many = (chi2_quantile(share, batch.df) for share in ((1.0 - level) / 2.0, (1.0 + level) / 2.0))
    at_zero = Projection.at(batch, 0.0)
    lower, upper = (solve(GeneralisedQ(target), batch, at_zero)[0] for target in (many, few))
    return lower, upper, at_zero.q < few


def _likelihood_profile(restricted: bool) -> Limits:
    def limits(batch: Batch, level: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        return *profile_limits(batch, restricted, level), np.zeros(batch.width, dtype=bool)

    return limits
