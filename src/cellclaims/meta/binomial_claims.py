"""What a fitted binomial-normal model says of a claimed proportion ``c``.

Three questions, kept apart: is the *median setting* at least ``c``; would a *new setting* truly reach
``c``; would a *new series* of ``n`` patients there show ``c`` or more. All three treat the logit as
t-distributed about ``beta``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrc, betaincc, expit, logit, stdtr, stdtrit

from cellclaims.errors import PoolingError
from cellclaims.meta.binomial_result import plain

if TYPE_CHECKING:
    from cellclaims.meta.binomial_result import BinomialFit

#: Gauss-Legendre points over the probability scale of the predictive distribution, in panels finer towards
#: both ends.
PANEL_POINTS = 20
#: Panel edges in probability: the integrand is smooth in each, and what lies outside the ends weighs 1e-12.
EDGES = np.array([1e-12, 1e-9, 1e-6, 1e-4, 1e-3, 0.01, 0.05, 0.15, 0.3, 0.5, 0.7, 0.85, 0.95, 0.99])

#: Panel edges about the step of the binomial tail, in its standard errors on the logit.
STEP_ERRORS = np.array([-8.0, -5.0, -3.0, -1.5, 0.0, 1.5, 3.0, 5.0, 8.0])


def p_mean_ge(fit: BinomialFit, c: float) -> NDArray | float:
    r"""Confidence that the proportion of the median setting is at least ``c``.

    .. math:: P = T_{k-1}\left(\frac{\hat\beta - \mathrm{logit}\,c}{\mathrm{SE}}\right)

    the upper tail of the confidence distribution whose central part is the t interval of the fit. With one
    report, or without events, or with events only, it is the tail of Beta(x + 1/2, n - x + 1/2) on the
    total count.

    Examples
    --------
    >>> from cellclaims.meta.binomial import glmm
    >>> round(p_mean_ge(glmm([3, 4, 18, 3, 3], [10, 15, 56, 6, 24]), 0.30), 3)
    0.329
    """
    target = _check_share(c)
    beta, se, k = (np.asarray(part) for part in (fit.beta, fit.se, fit.k))
    events, n = np.asarray(fit.events), np.asarray(fit.n)
    pooled = (k >= 2) & (events > 0) & (events < n)
    with np.errstate(invalid="ignore"):
        by_t = stdtr(np.maximum(k - 1, 1), (beta - target) / se)
    return plain(np.where(pooled, by_t, np.where(k > 0, betaincc(events + 0.5, n - events + 0.5, c), np.nan)))


def p_new_setting_ge(fit: BinomialFit, c: float) -> NDArray | float:
    r"""Probability that the true proportion in a new setting is at least ``c``.

    .. math:: P = T_{k-2}\left(\frac{\hat\beta - \mathrm{logit}\,c}{\sqrt{\mathrm{SE}^2 + \hat\tau^2}}\right)

    the distribution whose central part is the prediction interval (Higgins, Thompson and Spiegelhalter 2009,
    https://doi.org/10.1111/j.1467-985X.2008.00552.x). NaN where the fit has the flag
    ``no_prediction_interval``.

    Examples
    --------
    >>> from cellclaims.meta.binomial import glmm
    >>> round(p_new_setting_ge(glmm([3, 4, 18, 3, 3], [10, 15, 56, 6, 24]), 0.30), 3)
    0.333
    """
    target = _check_share(c)
    beta, scale, df = _predictive(fit)
    return plain(np.where(df > 0, stdtr(np.maximum(df, 1), (beta - target) / scale), np.nan))


def p_series_ge(fit: BinomialFit, c: float, n: int) -> NDArray | float:
    r"""Probability that a new series of ``n`` patients in a new setting shows a proportion of at least ``c``.

    .. math:: P = \int P(\mathrm{Bin}(n, p) \ge \lceil c n \rceil)\,dF(p)

    with F the predictive distribution of :func:`p_new_setting_ge`, integrated over its own probability
    scale by Gauss-Legendre panels. NaN where the fit has the flag ``NO_PREDICTION``.

    Examples
    --------
    >>> from cellclaims.meta.binomial import glmm
    >>> round(p_series_ge(glmm([3, 4, 18, 3, 3], [10, 15, 56, 6, 24]), 0.30, 100), 3)
    0.409
    """
    _check_share(c)
    if n < 1 or n != int(n):
        raise PoolingError(f"expected a whole number of patients, at least 1, found {n!r}")
    needed = smallest_count(c, int(n))
    beta, scale, df = (part[..., None] for part in _predictive(fit))
    probability, weight = _panels(beta, scale, np.maximum(df, 1), needed, int(n))
    p = expit(beta + scale * stdtrit(np.maximum(df, 1), probability))
    tail = bdtrc(needed - 1, int(n), p) if needed else np.ones_like(p)
    return plain(np.where(df[..., 0] > 0, (tail * weight).sum(-1), np.nan))


def smallest_count(c: float, n: int) -> int:
    """Fewest events of ``n`` that are a proportion of at least ``c``; 0.3 of 10 is 3 although 0.3 * 10 > 3
    in floating point.

    Examples
    --------
    >>> smallest_count(0.93, 508), smallest_count(0.7, 10)
    (473, 7)
    """
    return math.ceil(c * n - 1e-9 * n)


def _check_share(c: float) -> float:
    """The logit of a claimed share, refused unless it is strictly between 0 and 1."""
    if not 0 < c < 1:
        raise PoolingError(
            f"expected a claimed proportion between 0 and 1, found {c!r} (a percentage needs dividing by 100)"
        )
    return float(logit(c))


def _predictive(fit: BinomialFit) -> tuple[NDArray, NDArray, NDArray]:
    """Location, scale and degrees of freedom of the logit in a new setting; df 0 where not known."""
    known = np.isfinite(np.asarray(fit.pi_lb))
    beta = np.where(known, fit.beta, 0.0)
    scale = np.where(known, np.sqrt(np.asarray(fit.se) ** 2 + fit.tau2), 1.0)
    return beta, scale, np.where(known, np.asarray(fit.k) - 2, 0)


def _panels(beta: NDArray, scale: NDArray, df: NDArray, needed: int, n: int) -> tuple[NDArray, NDArray]:
    """Points and weights of a composite rule over (0, 1), with panels that shrink towards both ends and the
    step.

    The binomial tail climbs from 0 to 1 within a few binomial standard errors of ``needed / n``: panels
    follow it.
    """
    share = np.clip(needed / n, 0.5 / n, 1 - 0.5 / n)
    step = logit(share) + STEP_ERRORS / math.sqrt(n * share * (1 - share))
    ends = np.broadcast_to(np.concatenate([EDGES, 1 - EDGES]), (*beta.shape[:-1], 2 * EDGES.size))
    edges = np.sort(np.concatenate([ends, stdtr(df, (step - beta) / scale)], axis=-1), axis=-1)
    points, weights = np.polynomial.legendre.leggauss(PANEL_POINTS)
    half = np.diff(edges)[..., None] / 2
    nodes, weight = edges[..., :-1, None] + half * (1 + points), half * weights
    return nodes.reshape(*beta.shape[:-1], -1), weight.reshape(*beta.shape[:-1], -1)
