"""What a fitted binomial-normal model says of a claimed proportion ``c``.

Three questions, kept apart: is the *median setting* at least ``c``; would a *new setting* truly reach
``c``; would a *new series* of ``n`` patients there show ``c`` or more. All three treat the logit as
t-distributed about ``beta``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincc, logit, stdtr

from cellclaims.errors import PoolingError
from cellclaims.meta.binomial_result import plain
from cellclaims.meta.series import series_weights

if TYPE_CHECKING:
    from cellclaims.meta.binomial_result import BinomialFit


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

    with F the predictive distribution of :func:`p_new_setting_ge` (how: :mod:`cellclaims.meta.series`). NaN
    where the fit has the flag ``NO_PREDICTION``.

    Examples
    --------
    >>> from cellclaims.meta.binomial import glmm
    >>> round(p_series_ge(glmm([3, 4, 18, 3, 3], [10, 15, 56, 6, 24]), 0.30, 100), 3)
    0.409
    """
    logits, weights = series_weights(c, n)
    beta, scale, df = (part[..., None] for part in _predictive(fit))
    reached = stdtr(np.maximum(df, 1), (beta - logits) / scale) @ weights
    return plain(np.where(df[..., 0] > 0, reached, np.nan))


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
