"""What a fit gives: :class:`Fit`, its flags and what is computed from it only when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntFlag

import numpy as np
from numpy.typing import ArrayLike

from cellclaims.meta.computed import computed
from cellclaims.meta.inputs import Effects
from cellclaims.meta.prediction import Prediction, predict
from cellclaims.meta.quantiles import chi2_upper, normal_two_sided, t_quantile, t_two_sided


class Flag(IntFlag):
    """What a reader of a fit must know beside its numbers; a batch holds the sum of those that apply."""

    NOTHING_KEPT = 1
    SINGLE = 2
    FEW = 4
    NO_PREDICTION_EQUAL_EFFECTS = 8
    NO_PREDICTION_TWO = 16
    TAU2_ZERO = 32
    SEVERAL_MODES = 64
    NO_SPREAD = 128
    SATURATED = 256
    DEPENDENT = 512
    PREDICTION_NEEDS_MODERATORS = 1024


#: Methods without a between-study variance.
WITHOUT_TAU2 = frozenset({"EE", "FE"})

#: A flag in words.
IN_WORDS = {
    Flag.NOTHING_KEPT: "no study kept: nothing to pool",
    Flag.SINGLE: "single study: shown, not pooled",
    Flag.FEW: "few studies: k = 2 to 4",
    Flag.NO_PREDICTION_EQUAL_EFFECTS: "no prediction interval: an equal-effects model has no tau2",
    Flag.NO_PREDICTION_TWO: "no prediction interval: no degrees of freedom left for it",
    Flag.TAU2_ZERO: "tau2 estimated as zero, the boundary",
    Flag.SEVERAL_MODES: "several modes of the likelihood: the highest was taken",
    Flag.NO_SPREAD: "no spread: Hartung-Knapp standard error is zero",
    Flag.SATURATED: "no more studies than coefficients: nothing left to estimate from",
    Flag.DEPENDENT: "moderators depend on one another among the studies kept: no coefficients",
    Flag.PREDICTION_NEEDS_MODERATORS: "prediction interval: only at given moderators (predict)",
}


#: The same by plain numbers, which are quicker than flags to compare with.
VALUES_IN_WORDS = tuple((int(flag), words) for flag, words in IN_WORDS.items())


def in_words(flags: int) -> tuple[str, ...]:
    """The flags of one fit in words, in a fixed order.

    >>> in_words(Flag.SINGLE)
    ('single study: shown, not pooled',)
    """
    return tuple(words for value, words in VALUES_IN_WORDS if flags & value)


@dataclass(frozen=True, eq=False)
class Fit:
    """Pooled effects of a batch; every array has the batch's shape, one fit gives plain numbers.

    With moderators ``beta``, ``se`` and the confidence limits have one more axis, for the p coefficients,
    and ``vb`` two.

    Attributes
    ----------
    beta, se, ci_lb, ci_ub : float or ndarray
        Pooled effect, its standard error under the chosen test, confidence limits.
    vb : float or ndarray
        Variance of ``beta``: its covariance matrix with moderators.
    tau2, se_tau2 : float or ndarray
        Between-study variance and its standard error; ``se_tau2`` is NaN for EE.
    I2, H2 : float or ndarray
        Heterogeneity in percent and as a ratio, from tau2 and the typical variance (Higgins and Thompson
        2002, https://doi.org/10.1002/sim.1186, eq. 9); from Q for EE.
    Q : float or ndarray
        Cochran's Q with ``k - p`` degrees of freedom.
    pi_lb, pi_ub : float or ndarray
        Prediction interval ``beta -+ t_{k-2} sqrt(se^2 + tau2)`` (Higgins, Thompson and Spiegelhalter 2009,
        https://doi.org/10.1111/j.1467-985X.2008.00552.x, eq. 12), NaN with a flag where ``k < 3``.
    k : int or ndarray of int
        Studies kept.
    df : float or ndarray
        Degrees of freedom of the test; infinite for z.
    method, test : str
    level : float
    flags : tuple of str, or ndarray of int
        For one fit in words; for a batch as sums of :class:`Flag` (:meth:`flag_names` gives the words).
    effects : Effects
        What was pooled.
    """

    beta: np.ndarray
    se: np.ndarray
    vb: np.ndarray
    ci_lb: np.ndarray
    ci_ub: np.ndarray
    tau2: np.ndarray
    se_tau2: np.ndarray
    I2: np.ndarray
    H2: np.ndarray
    Q: np.ndarray
    k: np.ndarray
    df: np.ndarray
    method: str
    test: str
    level: float
    flags: tuple[str, ...] | np.ndarray
    effects: Effects = field(repr=False)

    @property
    def coefficients(self) -> int:
        """Number of coefficients ``p``: 1 for a single mean."""
        return 1 if self.effects.design is None else self.effects.design.shape[-1]

    @property
    def has_tau2(self) -> bool:
        """Whether the model has a between-study variance."""
        return self.method not in WITHOUT_TAU2

    def _beside_beta(self, a: np.ndarray) -> np.ndarray:
        """With an axis for the coefficients where ``beta`` has one."""
        return a if self.effects.design is None else np.asarray(a)[..., None]

    @computed
    def stat(self) -> np.ndarray:
        """``beta / se``: a z or a t value, by ``test``; NaN where both are zero."""
        if np.count_nonzero(self.se) == np.size(self.se):
            return self.beta / self.se
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.divide(self.beta, self.se)

    @computed
    def p(self) -> np.ndarray:
        """Two-sided P value of ``stat``."""
        if self.test == "z":
            return normal_two_sided(self.stat)
        return t_two_sided(self.stat, self._beside_beta(self.df))

    @computed
    def Q_p(self) -> np.ndarray:
        """P value of Q against chi-squared with ``k - p`` degrees of freedom; 1 for a single study."""
        return chi2_upper(self.Q, np.subtract(self.k, self.coefficients))

    @computed
    def _half_prediction(self) -> np.ndarray:
        if not self.has_tau2 or self.effects.design is not None:
            return np.full(np.shape(self.beta), np.nan)[()]
        return t_quantile(self.level, np.subtract(self.k, 2)) * np.sqrt(self.se**2 + self.tau2)

    @property
    def pi_lb(self) -> np.ndarray:
        """Lower prediction limit."""
        return self.beta - self._half_prediction

    @property
    def pi_ub(self) -> np.ndarray:
        """Upper prediction limit."""
        return self.beta + self._half_prediction

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the batch, ``()`` for one fit."""
        return self.effects.shape

    @computed
    def weights(self) -> np.ndarray:
        """Share of each study in the pooled effect, percent, shape (..., k); zero where not kept."""
        effects, tau2 = self.effects, np.nan_to_num(np.asarray(self.tau2))[..., None]
        keep = True if effects.keep is None else effects.keep
        if effects.weights is None:
            w = 1.0 / (np.where(keep, effects.vi, np.inf) + tau2)
        else:
            w = np.where(keep, effects.weights, 0.0)
        w = np.broadcast_to(w, (*self.shape, effects.k))
        total = w.sum(axis=-1, keepdims=True)
        return np.divide(100.0 * w, total, out=np.zeros(w.shape), where=total > 0.0)

    def predict(self, newmods: ArrayLike | None = None, *, df: str = "k-2", level: float | None = None) -> Prediction:
        """The mean and the true effect of a new setting: :func:`cellclaims.meta.predict`."""
        return predict(self, newmods, df=df, level=level)

    def flag_names(self) -> tuple[str, ...] | np.ndarray:
        """The flags in words: a tuple for one fit, an object array of tuples for a batch."""
        if isinstance(self.flags, tuple):
            return self.flags
        words = np.empty(self.flags.size, dtype=object)
        words[:] = [in_words(int(f)) for f in self.flags.ravel()]
        return words.reshape(self.flags.shape)

    def flagged(self, flag: Flag) -> np.ndarray:
        """Whether ``flag`` applies, of the batch's shape."""
        if isinstance(self.flags, tuple):
            return np.bool_(IN_WORDS[flag] in self.flags)
        return (self.flags & flag) > 0
