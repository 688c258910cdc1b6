"""Warnings about a result: where a method is not advised, or has no answer.

Each kind of result has its own ``IntFlag`` with words. Flags of one data set are words, those of a batch are sums;
:func:`names_of` returns the words of either.
"""

from __future__ import annotations

from enum import IntFlag, auto
from functools import cache

import numpy as np

from cellclaims.errors import PoolingError


class Flag(IntFlag):
    """Flags of a normal-normal fit (:class:`cellclaims.meta.Fit`) and of a posterior."""

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
    UNDEFINED = 2048


class BinomialFlag(IntFlag):
    """Flags of a binomial-normal or beta-binomial fit."""

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
    SEVERAL_MODES = 1024


class StratifiedFlag(IntFlag):
    """Flags of a Mantel-Haenszel or Peto estimate."""

    NOTHING_KEPT = 1
    SINGLE = 2
    NO_WEIGHT = 4
    INFINITE = 8


class Caution(IntFlag):
    """Reasons why a number is missing or unreliable."""

    TOO_FEW = auto()
    FEW_STUDIES = auto()
    BOUND_TO_EFFECT = auto()
    NO_SLOPE = auto()
    NO_SPREAD = auto()
    TIES = auto()
    NO_RANKING = auto()
    SIDE_UNKNOWN = auto()
    ALTERNATES = auto()
    NO_ROOT = auto()
    NO_ERROR = auto()
    HETEROGENEOUS = auto()
    COUNTED_FILES = auto()
    NO_LIMIT = auto()
    NO_AFFIRMATIVE = auto()
    NO_NONAFFIRMATIVE = auto()
    NOT_EXPLAINED = auto()
    INTERVAL_HOLDS = auto()
    TAU2_ZERO = auto()
    FLAT = auto()
    EDGE = auto()
    FEW_PER_STEP = auto()
    SEVERAL_TOPS = auto()
    BEYOND_EFFECTS = auto()
    INTERVAL_NOT_EXPLAINED = auto()


#: With fewer studies, tests of small-study effects cannot distinguish chance from bias (Sterne and others 2011,
#: https://doi.org/10.1136/bmj.d4002).
FEWEST_ADVISED = 10

#: Above this I2 (percent), methods based on the shape of the funnel mistake heterogeneity for bias.
SUBSTANTIAL_I2 = 50.0

SEVERAL_MODES_IN_WORDS = "several modes of the likelihood: the highest was taken"

#: Flags in words, in a fixed order.
IN_WORDS: dict[type[IntFlag], dict[IntFlag, str]] = {
    Flag: {
        Flag.NOTHING_KEPT: "no study kept: nothing to pool",
        Flag.SINGLE: "single study: shown, not pooled",
        Flag.FEW: "few studies: k = 2 to 4",
        Flag.NO_PREDICTION_EQUAL_EFFECTS: "no prediction interval: an equal-effects model has no tau2",
        Flag.NO_PREDICTION_TWO: "no prediction interval: too few degrees of freedom",
        Flag.TAU2_ZERO: "tau2 estimated as zero, the boundary",
        Flag.SEVERAL_MODES: SEVERAL_MODES_IN_WORDS,
        Flag.NO_SPREAD: "equal effects: the Hartung-Knapp standard error is zero",
        Flag.SATURATED: "no more studies than coefficients: no estimate",
        Flag.DEPENDENT: "moderators are collinear among the studies kept: no coefficients",
        Flag.PREDICTION_NEEDS_MODERATORS: "prediction interval: only at given moderators (predict)",
        Flag.UNDEFINED: "studies without a defined effect size are excluded",
    },
    BinomialFlag: {
        BinomialFlag.NOTHING_KEPT: "no report kept: nothing to pool",
        BinomialFlag.SINGLE: "single report: shown, not pooled, with Clopper-Pearson limits",
        BinomialFlag.FEW: "few reports: k = 2 to 4",
        BinomialFlag.NO_PREDICTION: ("no prediction interval: fewer than 3 reports, or tau2 cannot be estimated"),
        BinomialFlag.NO_EVENTS: "no event in any report: the limits are one-sided, from the total count",
        BinomialFlag.ALL_EVENTS: "events only: the limits are one-sided, from the total count",
        BinomialFlag.TAU2_ZERO: "tau2 estimated as zero, the boundary: one common proportion",
        BinomialFlag.TAU2_NOT_IDENTIFIED: "one patient per report: tau2 cannot be estimated and is set to zero",
        BinomialFlag.TAU2_UNBOUNDED: "all or no events in each report: the likelihood increases without limit in tau",
        BinomialFlag.TAU2_AT_BOUND: "the likelihood still increases at tau = 10, the largest value tried",
        BinomialFlag.SEVERAL_MODES: SEVERAL_MODES_IN_WORDS,
    },
    StratifiedFlag: {
        StratifiedFlag.NOTHING_KEPT: "no study kept: nothing to pool",
        StratifiedFlag.SINGLE: "single study: shown, not pooled",
        StratifiedFlag.NO_WEIGHT: ("studies without information, such as those without events, have weight zero"),
        StratifiedFlag.INFINITE: "a group without events, or with events only, in every study: no finite estimate",
    },
    Caution: {
        Caution.TOO_FEW: "too few studies for this method",
        Caution.FEW_STUDIES: f"not advised: fewer than {FEWEST_ADVISED} studies cannot distinguish chance from bias",
        Caution.BOUND_TO_EFFECT: "not advised: the standard error of this measure depends on the effect; 1/n does not",
        Caution.NO_SLOPE: "no slope: the predictor is the same for all studies",
        Caution.NO_SPREAD: "all effects are on the line: its standard errors are zero",
        Caution.TIES: "ties, or very many studies: the P value is that of a normal approximation",
        Caution.NO_RANKING: "no rank correlation: all variances or all deviations are the same",
        Caution.SIDE_UNKNOWN: "side not determined by the data: left was used",
        Caution.ALTERNATES: "the number of missing studies alternates: the largest was used",
        Caution.NO_ROOT: "no Q0: the root of a negative number; L0 and R0 have none",
        Caution.NO_ERROR: "no standard error of the number of missing studies: its estimated variance is negative",
        Caution.HETEROGENEOUS: f"not advised: I2 above {SUBSTANTIAL_I2:g}%, heterogeneity looks like missing studies",
        Caution.COUNTED_FILES: "not advised as evidence: the number of unpublished studies does not tell their results",
        Caution.NO_LIMIT: "no limit: the test does not reject at any true effect on that side",
        Caution.NO_AFFIRMATIVE: "no affirmative study: selection has nothing to favour",
        Caution.NO_NONAFFIRMATIVE: "no nonaffirmative study: no worst case",
        Caution.NOT_EXPLAINED: "not explained by selection: even the worst case is beyond q",
        Caution.INTERVAL_HOLDS: "the interval without selection includes q already",
        Caution.TAU2_ZERO: "tau2 estimated as zero, the boundary: fixed there for the standard errors",
        Caution.FLAT: "no standard errors: the likelihood is flat at its maximum",
        Caution.EDGE: "a parameter is at the limit of its range: fixed there for the standard errors",
        Caution.FEW_PER_STEP: "a step with fewer than 3 studies: its weight depends on them",
        Caution.SEVERAL_TOPS: "several maxima of the likelihood: the highest was used, the others are in tops",
        Caution.BEYOND_EFFECTS: "the mean is beyond every observed effect: selection explains it, with little support",
        Caution.INTERVAL_NOT_EXPLAINED: "interval not explained by selection: that of the worst case is beyond q",
    },
}


@cache
def _values(kind: type[IntFlag]) -> tuple[tuple[int, str], ...]:
    """Return flags as plain numbers, which are faster to compare, and their words."""
    return tuple((int(flag), words) for flag, words in IN_WORDS[kind].items())


def in_words(flags: int, kind: type[IntFlag] | None = None) -> tuple[str, ...]:
    """Return the flags of one data set in words, in a fixed order.

    Parameters
    ----------
    flags : int
        A sum of flags.
    kind : type of flag, optional
        Which flags; that of ``flags`` if not given.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> in_words(Caution.TIES)
    ('ties, or very many studies: the P value is that of a normal approximation',)
    >>> in_words(2, Flag)
    ('single study: shown, not pooled',)
    """
    return tuple(words for value, words in _values(kind or type(flags)) if flags & value)


def names_of(flags: tuple[str, ...] | np.ndarray, kind: type[IntFlag] = Caution) -> tuple[str, ...] | np.ndarray:
    """Return the words of the ``flags`` of a result: a tuple for one data set, an object array for a batch.

    Parameters
    ----------
    flags : tuple of str, or ndarray of int
    kind : type of flag

    Returns
    -------
    tuple of str, or ndarray of object

    Examples
    --------
    >>> names_of(np.array([0, Caution.TIES]))[1]
    ('ties, or very many studies: the P value is that of a normal approximation',)
    """
    if isinstance(flags, tuple):
        return flags
    words = np.empty(flags.size, dtype=object)
    words[:] = [in_words(int(f), kind) for f in flags.ravel()]
    return words.reshape(flags.shape)


def stated(cautions: dict[Caution, np.ndarray], shape: tuple[int, ...]) -> tuple[str, ...] | np.ndarray:
    """Return the cautions that apply (booleans of the batch's shape) in the format of a result's ``flags``."""
    total = np.zeros(shape, dtype=int)
    for caution, holds in cautions.items():
        total = total + np.where(holds, int(caution), 0)
    return in_words(int(total), Caution) if shape == () else total


def refuse_too_few(k: np.ndarray, least: int, method: str) -> None:
    """Raise an error for one data set of fewer than ``least`` studies; in a batch such sets are flagged instead."""
    if np.ndim(k) == 0 and k < least:
        raise PoolingError(f"{method}: expected at least {least} studies, found {int(k)}")
