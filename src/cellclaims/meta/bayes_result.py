"""The prior and the posterior of a random-effects model, and the integration over tau that both models share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.special import logit

from cellclaims.errors import PoolingError
from cellclaims.meta.fit_result import Flag, in_words
from cellclaims.meta.posterior import (
    Distribution,
    PanelDistribution,
    equal_panels,
    panel_points,
    panel_weights,
    to_value,
)
from cellclaims.meta.series import series_weights

#: What lies below exp(-32) of the peak weighs less than 1e-12 of the whole.
NEGLIGIBLE = 32.0
#: The range that counts is found on a grid, and found again on a grid of that range.
ZOOMS, GRID = 2, 96


@dataclass(frozen=True)
class Prior:
    r"""What is assumed before the data: tau half-normal, the mean flat or normal.

    Attributes
    ----------
    tau_scale : float
        Scale of the half-normal prior of tau, in the unit of the effects: 0.5 for HbA1c in percentage
        points, 1.0 on the logit (Röver and others 2021, https://doi.org/10.1002/jrsm.1475). Its median is
        0.67 scales.
    mean, mean_sd : float
        Normal prior of the mean; the default ``mean_sd`` is infinite: flat.
    """

    tau_scale: float
    mean: float = 0.0
    mean_sd: float = np.inf

    def __post_init__(self) -> None:
        """Refuse what is no prior."""
        if not (0 < self.tau_scale < np.inf and self.mean_sd > 0 and np.isfinite(self.mean)):
            raise PoolingError(f"expected 0 < tau_scale < inf, a finite mean and mean_sd > 0, found {self}")

    def log_tau(self, tau: NDArray) -> NDArray:
        """Logarithm of the half-normal density."""
        return 0.5 * np.log(2 / np.pi) - np.log(self.tau_scale) - 0.5 * (tau / self.tau_scale) ** 2

    def log_mean(self, mu: NDArray) -> NDArray:
        """Logarithm of the mean's prior density up to a constant; 0 when flat."""
        return -0.5 * ((mu - self.mean) / self.mean_sd) ** 2


@dataclass(frozen=True, eq=False)
class BayesFit:
    """A posterior: ``mu`` (the mean), ``tau`` and ``theta_new`` (a new setting), each a distribution.

    ``beta``, ``se``, ``ci_lb``, ``ci_ub`` are the mean, standard deviation and central interval of ``mu``;
    ``pi_lb`` and ``pi_ub`` the central interval of ``theta_new``; ``tau2`` the square of the posterior
    median of tau. For counts everything is on the logit.
    """

    mu: Distribution
    tau: PanelDistribution
    theta_new: Distribution
    prior: Prior
    k: NDArray
    level: float
    flags: tuple[str, ...] | NDArray
    log_evidence: NDArray
    model: str
    method: str = "exact"

    @property
    def beta(self) -> NDArray:
        """Posterior mean of mu."""
        return self.mu.mean

    @property
    def se(self) -> NDArray:
        """Posterior standard deviation of mu."""
        return self.mu.sd

    @cached_property
    def _limits(self) -> tuple[NDArray, NDArray]:
        return self.mu.interval(self.level), self.theta_new.interval(self.level)

    @property
    def ci_lb(self) -> NDArray:
        """Lower end of the central interval of mu."""
        return self._limits[0][..., 0]

    @property
    def ci_ub(self) -> NDArray:
        """Upper end of the central interval of mu."""
        return self._limits[0][..., 1]

    @property
    def pi_lb(self) -> NDArray:
        """Lower end of the central interval of a new setting."""
        return self._limits[1][..., 0]

    @property
    def pi_ub(self) -> NDArray:
        """Upper end of the central interval of a new setting."""
        return self._limits[1][..., 1]

    @cached_property
    def tau2(self) -> NDArray:
        """Square of the posterior median of tau."""
        return self.tau.quantile(0.5) ** 2

    def p_mean_ge(self, c: float) -> NDArray:
        """Posterior probability that the median setting's proportion is at least ``c`` (counts), or mu at least c."""
        return self.mu.ge(self._on_scale(c))

    def p_new_setting_ge(self, c: float) -> NDArray:
        """Posterior probability that a new setting's true value is at least ``c``."""
        return self.theta_new.ge(self._on_scale(c))

    def p_series_ge(self, c: float, n: int) -> NDArray:
        """Posterior probability that ``n`` patients in a new setting show a proportion of at least ``c``."""
        if self.model != "bayes_binomial_normal":
            raise PoolingError(f"expected a model of counts for a series of patients, found {self.model}")
        logits, weights = series_weights(c, n)
        return self.theta_new.ge(logits) @ weights

    def _on_scale(self, c: float) -> float:
        if self.model != "bayes_binomial_normal":
            return float(c)
        if not 0 < c < 1:
            raise PoolingError(
                f"expected a proportion between 0 and 1, found {c!r} (a percentage needs dividing by 100)"
            )
        return float(logit(c))


def count_flags(k: NDArray) -> tuple[str, ...] | NDArray:
    """Flags that follow from the number of studies alone: words for one fit, sums for a batch."""
    flags = np.where(k == 0, Flag.NOTHING_KEPT, np.where(k == 1, Flag.SINGLE, np.where(k <= 4, Flag.FEW, 0)))
    return in_words(int(flags)) if flags.ndim == 0 else flags


def tau_edges(log_density: Callable[[NDArray], NDArray], unit: NDArray, upper: NDArray, panels: int) -> NDArray:
    """Panels over the range of tau that counts, in ``asinh(tau / unit)``, shape (r, panels + 1).

    Parameters
    ----------
    log_density : callable
        Logarithm of the density for tau of shape (r, g), up to a constant; a rough one will do.
    unit, upper : ndarray, shape (r,)
        Scale below which tau is treated as linear; a tau beyond which nothing counts.
    panels : int
    """
    first, last = np.zeros_like(unit), np.arcsinh(upper / unit)
    rows = np.arange(unit.size)
    for _ in range(ZOOMS):
        grid = first[:, None] + (last - first)[:, None] * np.linspace(0, 1, GRID)
        height = log_density(unit[:, None] * np.sinh(grid)) + np.log(np.cosh(grid))
        counts = height > height.max(-1, keepdims=True) - NEGLIGIBLE
        begin, end = counts.argmax(-1), GRID - 1 - counts[:, ::-1].argmax(-1)
        first, last = grid[rows, np.maximum(begin - 1, 0)], grid[rows, np.minimum(end + 1, GRID - 1)]
    return equal_panels(first, last, panels)


def normalise_tau(unit: NDArray, edges: NDArray, log_density: NDArray) -> tuple[PanelDistribution, NDArray]:
    """A distribution from the logarithm of its density at the panels' points, shape (r, p, q).

    Also the logarithm of the normalising constant, shape (r,).
    """
    x = panel_points(edges, log_density.shape[-1])
    height = log_density + np.log(unit[:, None, None] * np.cosh(x))
    peak = height.max((-2, -1))
    mass = panel_weights(edges, log_density.shape[-1]) * np.exp(height - peak[:, None, None])
    total = mass.sum((-2, -1))
    return PanelDistribution(np.zeros_like(unit), unit, edges, mass / total[:, None, None]), peak + np.log(total)


def tau_points(unit: NDArray, edges: NDArray, count: int) -> NDArray:
    """tau at ``count`` Gauss-Legendre points of every panel, shape (r, p, count)."""
    return to_value(panel_points(edges, count), np.zeros_like(unit), unit)
