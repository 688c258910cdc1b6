"""What must stand beside a number of this package: where a method is not advised, or has no answer.

One data set carries its cautions in words, a batch as sums of :class:`Caution`; :func:`cautions_in_words` gives the
words of either.
"""

from __future__ import annotations

from enum import IntFlag, auto

import numpy as np

from cellclaims.errors import PoolingError


class Caution(IntFlag):
    """Why a number is missing, or why it should not be leant on."""

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


#: Below this many studies tests of small-study effects cannot tell chance from bias (Sterne and others 2011,
#: https://doi.org/10.1136/bmj.d4002).
FEWEST_ADVISED = 10

#: Above this I2 (percent) methods that read the shape of the funnel take heterogeneity for bias.
SUBSTANTIAL_I2 = 50.0

IN_WORDS = {
    Caution.TOO_FEW: "too few studies for this method",
    Caution.FEW_STUDIES: f"not advised: fewer than {FEWEST_ADVISED} studies cannot tell chance from bias",
    Caution.BOUND_TO_EFFECT: "not advised: the standard error of this measure depends on the effect; 1/n does not",
    Caution.NO_SLOPE: "no slope: the predictor is the same for all studies",
    Caution.NO_SPREAD: "no spread about the line: its standard errors are zero",
    Caution.TIES: "ties, or very many studies: the P value is that of a normal approximation",
    Caution.NO_RANKING: "no rank correlation: all variances or all deviations are the same",
    Caution.SIDE_UNKNOWN: "side not told by the data: left was taken",
    Caution.ALTERNATES: "the number of missing studies alternates: the largest was taken",
    Caution.NO_ROOT: "no Q0: the root of a negative number; L0 and R0 have none",
    Caution.NO_ERROR: "no standard error of the number of missing studies: its variance formula gives less than zero",
    Caution.HETEROGENEOUS: f"not advised: I2 above {SUBSTANTIAL_I2:g} %, heterogeneity looks like missing studies",
    Caution.COUNTED_FILES: "not advised as evidence: a number of unseen studies says nothing of their results",
    Caution.NO_LIMIT: "no limit: the test does not reject at any true effect on that side",
    Caution.NO_AFFIRMATIVE: "no affirmative study: selection has nothing to favour",
    Caution.NO_NONAFFIRMATIVE: "no nonaffirmative study: nothing to weigh up, no worst case",
    Caution.NOT_EXPLAINED: "not explained by selection: even the worst case stays beyond q",
    Caution.INTERVAL_HOLDS: "the interval without any selection already holds q",
    Caution.TAU2_ZERO: "tau2 estimated as zero, the boundary: held there for the standard errors",
    Caution.FLAT: "no standard errors: the likelihood is flat at its maximum",
    Caution.EDGE: "a parameter lies on the edge of its range: held there for the standard errors",
    Caution.FEW_PER_STEP: "a step holds fewer than 3 studies: its weight hangs on them",
    Caution.SEVERAL_TOPS: "several tops of the likelihood: the highest was taken, the others stand in tops",
    Caution.BEYOND_EFFECTS: "the mean lies beyond every effect seen: selection explains all, the data tell little",
    Caution.INTERVAL_NOT_EXPLAINED: "interval not explained by selection: that of the worst case stays beyond q",
}


def in_words(flags: int) -> tuple[str, ...]:
    """The cautions of one data set in words, in a fixed order.

    >>> in_words(Caution.TIES)
    ('ties, or very many studies: the P value is that of a normal approximation',)
    """
    return tuple(words for caution, words in IN_WORDS.items() if flags & caution)


def cautions_in_words(flags: tuple[str, ...] | np.ndarray) -> tuple[str, ...] | np.ndarray:
    """The words of the ``flags`` of a result: themselves for one data set, an object array of tuples for a batch.

    >>> cautions_in_words(np.array([0, Caution.TIES]))[1]
    ('ties, or very many studies: the P value is that of a normal approximation',)
    """
    if isinstance(flags, tuple):
        return flags
    words = np.empty(flags.size, dtype=object)
    words[:] = [in_words(int(f)) for f in flags.ravel()]
    return words.reshape(flags.shape)


def stated(cautions: dict[Caution, np.ndarray], shape: tuple[int, ...]) -> tuple[str, ...] | np.ndarray:
    """The cautions that hold, each given as a boolean of the batch's shape, in the form of a result's ``flags``."""
    total = np.zeros(shape, dtype=int)
    for caution, holds in cautions.items():
        total = total + np.where(holds, int(caution), 0)
    return in_words(int(total)) if shape == () else total


def refuse_too_few(k: np.ndarray, least: int, method: str) -> None:
    """Refuse one data set of fewer than ``least`` studies by name; in a batch such sets are flagged instead."""
    if np.ndim(k) == 0 and k < least:
        raise PoolingError(f"{method}: expected at least {least} studies, found {int(k)}")
