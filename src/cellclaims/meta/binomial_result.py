"""What a binomial-normal fit gives: its numbers, its flags, and what is computed from it only when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit

from cellclaims.meta.binomial_likelihood import TAU_BOUND, levels
from cellclaims.meta.binomial_profile import profile_limits

#: Trapezoid over the standard normal: step and reach leave an error below 1e-14 for any tau under 10.
NORMAL_STEP, NORMAL_REACH = 0.05, 9.0


class BinomialFlag(IntFlag):
    """What a reader of a fit must know beside its numbers; a batch holds the sum of those that apply."""

    NOTHING_KEPT = 1
    SINGLE = 2
    FEW = 4
    NO_PREDICTION = 8
    NO_EVENTS = 16
    ALL_EVENTS = 32
    TAU2_ZERO = 64
    TAU2_NOT_IDENTIFIED = 128
    TAU2_UNBOUNDED = 256
    TAU2_AT_BOUND = 512


#: A flag in words.
IN_WORDS = {
    BinomialFlag.NOTHING_KEPT: "no report kept: nothing to pool",
    BinomialFlag.SINGLE: "single report: shown, not pooled, with Clopper-Pearson limits",
    BinomialFlag.FEW: "few reports: k = 2 to 4",
    BinomialFlag.NO_PREDICTION: "no prediction interval: fewer than 3 reports, or a spread that cannot be estimated",
    BinomialFlag.NO_EVENTS: "no event in any report: the limits are one-sided, from the total count",
    BinomialFlag.ALL_EVENTS: "events only: the limits are one-sided, from the total count",
    BinomialFlag.TAU2_ZERO: "no spread between settings, the boundary: one common proportion",
    BinomialFlag.TAU2_NOT_IDENTIFIED: "one patient a report: tau2 cannot show itself and is given as zero",
    BinomialFlag.TAU2_UNBOUNDED: "each report is all or nothing: the likelihood rises without end in the spread",
    BinomialFlag.TAU2_AT_BOUND: f"the likelihood still rises at tau = {TAU_BOUND:g}, the largest that is tried",
}


def in_words(flags: int) -> tuple[str, ...]:
    """The flags of one fit in words, in a fixed order.

    >>> in_words(BinomialFlag.FEW)
    ('few reports: k = 2 to 4',)
    """
    return tuple(words for flag, words in IN_WORDS.items() if flags & flag)


@dataclass(frozen=True, eq=False)
class BinomialFit:
    """A fitted binomial-normal model: arrays of the batch's shape, plain numbers for a single fit; nothing
    rounded.

    On the logit scale: ``beta`` (median setting), ``se``, ``ci_lb``, ``ci_ub``, ``tau2``, ``pi_lb``,
    ``pi_ub``. ``Q`` is the likelihood-ratio statistic of one proportion for each report against a common
    one (``k - 1`` degrees of freedom, ``Q_p``), ``Q_wald`` the same by inverse variances; ``lrt`` that of
    ``tau2 = 0`` with ``lrt_p`` from the half-and-half mixture of 0 and chi-squared with 1 degree of
    freedom. ``I2`` (percent) and ``H2`` from ``tau2`` and the typical variance of an empirical logit.
    ``df`` is that of ``test``; ``flags`` a tuple of names of :data:`FLAGS` (for a batch an object array of
    tuples). ``median``, ``mean`` and the profile limits are computed when asked for.
    """

    beta: NDArray | float
    se: NDArray | float
    ci_lb: NDArray | float
    ci_ub: NDArray | float
    tau2: NDArray | float
    pi_lb: NDArray | float
    pi_ub: NDArray | float
    I2: NDArray | float
    H2: NDArray | float
    Q: NDArray | float
    Q_p: NDArray | float
    Q_wald: NDArray | float
    lrt: NDArray | float
    lrt_p: NDArray | float
    loglik: NDArray | float
    loglik_common: NDArray | float
    k: NDArray | int
    df: NDArray | int
    events: NDArray | float
    n: NDArray | float
    flags: tuple[str, ...] | NDArray
    counts: tuple[NDArray, NDArray] = field(repr=False)
    level: float
    test: str
    nodes: int
    model: str = "binomial_normal"
    method: str = "ML"

    @property
    def tau(self) -> NDArray | float:
        """Standard deviation of the logit between settings."""
        return np.sqrt(self.tau2)

    @property
    def median(self) -> NDArray | float:
        """Proportion in the median setting, ``expit(beta)``."""
        return plain(expit(np.asarray(self.beta)))

    @property
    def median_ci(self) -> tuple[NDArray | float, NDArray | float]:
        """Confidence limits of the proportion in the median setting."""
        return plain(expit(np.asarray(self.ci_lb))), plain(expit(np.asarray(self.ci_ub)))

    @cached_property
    def mean(self) -> NDArray | float:
        """Mean proportion over settings, ``E[expit(beta + tau Z)]`` with Z standard normal."""
        return mean_over_settings(self.beta, self.tau2)

    @cached_property
    def mean_ci(self) -> tuple[NDArray | float, NDArray | float]:
        """The confidence limits of beta carried to the mean over settings, tau2 held at its estimate."""
        return mean_over_settings(self.ci_lb, self.tau2), mean_over_settings(self.ci_ub, self.tau2)

    @cached_property
    def profile(self) -> tuple[NDArray | float, NDArray | float]:
        """Profile-likelihood limits of beta (logit); infinite where the likelihood never falls far enough."""
        limits = profile_limits(*self.counts, np.ravel(self.beta), np.ravel(self.tau2), self.level, levels(self.nodes))
        return tuple(plain(limit.reshape(np.shape(self.beta))) for limit in limits)

    @property
    def profile_lb(self) -> NDArray | float:
        """Lower profile-likelihood limit of beta."""
        return self.profile[0]

    @property
    def profile_ub(self) -> NDArray | float:
        """Upper profile-likelihood limit of beta."""
        return self.profile[1]

    def flag_names(self) -> tuple[str, ...] | NDArray:
        """The flags in words: a tuple for one fit, an object array of tuples for a batch."""
        if isinstance(self.flags, tuple):
            return self.flags
        words = np.empty(self.flags.shape, dtype=object)
        for place in np.ndindex(self.flags.shape):
            words[place] = in_words(int(self.flags[place]))
        return words

    def flagged(self, flag: BinomialFlag) -> NDArray | bool:
        """Whether ``flag`` applies, of the batch's shape."""
        if isinstance(self.flags, tuple):
            return IN_WORDS[flag] in self.flags
        return (self.flags & flag) > 0


def plain(value: NDArray) -> NDArray | float:
    """The array, or its only element when it has no dimension."""
    return value.item() if value.ndim == 0 else value


def mean_over_settings(beta: ArrayLike, tau2: ArrayLike) -> NDArray | float:
    """Mean of ``expit(beta + tau Z)`` over the standard normal Z, by the trapezoid rule.

    Exact to rounding for tau below 10; NaN where ``beta`` is NaN or ``tau2`` infinite.

    Examples
    --------
    >>> mean_over_settings(-1.0, 0.0) == float(expit(-1.0))
    True
    >>> round(mean_over_settings(-1.0, 1.0), 4)
    0.3033
    """
    beta, tau2 = np.broadcast_arrays(np.asarray(beta, float), np.asarray(tau2, float))
    tau = np.sqrt(np.where(np.isfinite(tau2), tau2, np.nan))
    total, weight_sum = np.zeros(beta.shape), 0.0
    # A loop over the points keeps the memory at one array of the batch, whatever its size.
    for z in np.arange(-NORMAL_REACH, NORMAL_REACH + NORMAL_STEP / 2, NORMAL_STEP):
        weight = np.exp(-0.5 * z * z)
        total += weight * expit(beta + tau * z)
        weight_sum += weight
    return plain(np.where(tau == 0, expit(beta), total / weight_sum))
