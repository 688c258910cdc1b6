"""Beta-binomial model of a proportion: the true proportions of centres follow a Beta(a, b) distribution."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import betaincc, expit, gammaln, logit

from cellclaims.meta.binomial_fit import (
    check_counts,
    clopper_pearson,
    common,
    common_logit,
    log_binomial,
    log_coefficients,
    mean_variance,
    plain,
    smallest_count,
)
from cellclaims.meta.flags import BinomialFlag, in_words
from cellclaims.meta.inputs import check_share
from cellclaims.meta.modes import Derivatives, grid_from_zero, highest_mode
from cellclaims.meta.quantiles import chi2_upper, t_quantile
from cellclaims.meta.result import Result

#: The first point of the grid of sqrt(1 / (a + b)) away from zero, in roots of one over the largest report's patients.
LEAST_ROOT = 0.3
#: Beyond 1 / (a + b) = 1e4 every centre has all events or none, and the likelihood is flat.
ROOT_BOUND = 100.0


@dataclass(frozen=True, eq=False, repr=False)
class BetaBinomialFit(Result):
    """A fitted beta-binomial model; numbers for one fit, arrays of the batch's shape otherwise.

    Attributes
    ----------
    mean : float or ndarray
        ``a / (a + b)``.
    a, b, ess : float or ndarray
        Parameters, and the effective sample size ``a + b``: infinite where the binomial with one common proportion fits
        best, zero where each report is all or nothing, NaN for one report.
    rho : float or ndarray
        ``1 / (a + b + 1)``, the correlation of two patients of one clinic.
    beta, se, ci_lb, ci_ub : float or ndarray
        On the logit of the mean, t with k - 1 degrees of freedom.
    loglik, lrt, lrt_p : float or ndarray
        Log-likelihood; likelihood-ratio test of one common proportion.
    k, events, n : int or float, or ndarray
        Reports, and totals.
    flags : tuple of str, or ndarray of int
    level : float
    """

    FLAGS = BinomialFlag

    mean: NDArray | float
    a: NDArray | float
    b: NDArray | float
    ess: NDArray | float
    rho: NDArray | float
    beta: NDArray | float
    se: NDArray | float
    ci_lb: NDArray | float
    ci_ub: NDArray | float
    loglik: NDArray | float
    lrt: NDArray | float
    lrt_p: NDArray | float
    k: NDArray | int
    events: NDArray | float
    n: NDArray | float
    flags: tuple[str, ...] | NDArray
    level: float
    model: str = "beta_binomial"
    method: str = "ML"

    def p_new_setting_reaches(self, value: float) -> NDArray | float:
        """Return the probability that the true proportion of a new centre is at least ``value``, with a and b known.

        Parameters
        ----------
        value : float
            A proportion.

        Returns
        -------
        float or ndarray
            NaN with one report.
        """
        c = value
        mean, ess = np.asarray(self.mean), np.asarray(self.ess)
        spread = (ess > 0) & np.isfinite(ess)
        by_beta = betaincc(np.where(spread, self.a, 1.0), np.where(spread, self.b, 1.0), c)
        # Without heterogeneity all centres have the mean; with ess = 0 some are at 1 and the rest at 0.
        point = np.where(np.isinf(ess), np.where(np.isnan(mean), np.nan, mean >= c), mean)
        return plain(np.where(np.isnan(ess), np.nan, np.where(spread, by_beta, point)))

    def p_series_reaches(self, value: float, n: int) -> NDArray | float:
        r"""Return the probability of at least ``value`` among ``n`` patients of a new centre, with a and b known.

        .. math:: P(X \ge m) = \sum_{x=m}^{n} \binom{n}{x} \frac{B(x + a, n - x + b)}{B(a, b)}

        Parameters
        ----------
        value : float
            A proportion.
        n : int
            Patients.

        Returns
        -------
        float or ndarray
            NaN with one report.
        """
        c = value
        x = np.arange(smallest_count(c, n), n + 1)
        mean, ess = np.asarray(self.mean), np.asarray(self.ess)
        theta = np.where(ess > 0, 1.0 / np.where(ess > 0, ess, 1.0), 0.0)
        coefficient = gammaln(n + 1.0) - gammaln(x + 1.0) - gammaln(n - x + 1.0)
        events, others = log_rising(mean, theta, n)[..., x], log_rising(1 - mean, theta, n)[..., n - x]
        tail = np.exp(coefficient + events + others - log_rising(np.ones_like(mean), theta, n)[..., -1:]).sum(-1)
        return plain(np.where(np.isnan(ess), np.nan, np.where(ess > 0, tail, mean)))

    def _title(self) -> str:
        """Return the model."""
        return f"Beta-binomial model of a proportion (k = {self.k}; {self.method})"

    def _scale(self) -> str:
        """Return what the estimate is."""
        return "logit of the mean proportion"

    def _lines(self) -> list[str]:
        low, high = expit(self.ci_lb), expit(self.ci_ub)
        lines = [
            f"Mean proportion: {self.mean:.4f} ({low:.4f} to {high:.4f})",
            f"Events: {self.events:g} of {self.n:g}",
        ]
        return lines if np.isnan(self.rho) else [*lines, f"Correlation within a clinic: rho = {self.rho:.4f}"]


def log_rising(start: NDArray, theta: NDArray, count: int) -> NDArray:
    """Logarithms of ``prod_{j<m} (start + j theta)`` for m = 0 to ``count``, shape (..., count + 1).

    Examples
    --------
    >>> np.exp(log_rising(np.array(2.0), np.array(1.0), 3)).round(9).tolist()
    [1.0, 2.0, 6.0, 24.0]
    """
    with np.errstate(divide="ignore"):
        terms = np.log(start[..., None] + theta[..., None] * np.arange(count))
    return np.concatenate([np.zeros_like(start)[..., None], np.cumsum(terms, axis=-1)], axis=-1)


def beta_binomial(
    events: ArrayLike,
    n: ArrayLike,
    *,
    slab: ArrayLike | None = None,
    keep: ArrayLike | None = None,
    level: float = 0.95,
) -> BetaBinomialFit:
    r"""Pool proportions by a beta-binomial model with maximum likelihood.

    .. math:: x_i \sim \mathrm{Bin}(n_i, p_i), \quad p_i \sim \mathrm{Beta}(a, b)

    With m the mean and :math:`\theta = 1/(a+b)` the likelihood of a report is
    :math:`\prod_{j<x}(m + j\theta) \prod_{j<n-x}(1 - m + j\theta) / \prod_{j<n}(1 + j\theta)` (Griffiths 1973,
    https://doi.org/10.2307/2529131), which stays exact down to :math:`\theta = 0`, the binomial.

    Parameters
    ----------
    events, n : array-like of whole numbers, shape (..., k)
        Events and patients of each report.
    slab : array-like of str, shape (k,), optional
        Labels of the reports, for messages.
    keep : array-like of bool, shape (..., k), optional
        Which reports count.
    level : float
        Confidence level.

    Returns
    -------
    BetaBinomialFit

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.binomial_fit.check_counts`.

    Examples
    --------
    >>> fit = beta_binomial([3, 8, 2, 9], [10, 10, 12, 11])
    >>> round(fit.mean, 3), round(fit.ess, 2)
    (0.518, 3.39)
    """
    level = check_share(level, "level")
    x, size, kept, _ = check_counts(events, n, keep, slab)
    shape = x.shape[:-1]
    rows = (part.reshape(-1, x.shape[-1]) for part in (x, size, kept))
    shaped = {name: plain(value.reshape(shape)) for name, value in _fit_rows(*rows, level).items()}
    if shape == ():
        shaped["flags"] = in_words(shaped["flags"], BinomialFlag)
    return BetaBinomialFit(**shaped, level=level)


def _fit_rows(x: NDArray, n: NDArray, kept: NDArray, level: float) -> dict[str, NDArray]:
    """Return every field for rows of shape (r, k)."""
    k, events, patients = kept.sum(-1), x.sum(-1), n.sum(-1)
    beta, se, theta, gain, several = _estimates(x, n, k)
    ess = np.where(k > 0, 1.0 / np.where(theta > 0, theta, 1.0), np.nan)
    ess = np.where(k == 1, np.nan, np.where(theta == 0, np.inf, ess))  # one report says nothing of a spread
    mean = np.where(k > 0, expit(beta), np.nan)
    lower, upper = clopper_pearson(events, patients, level)
    pooled = (k >= 2) & (events > 0) & (events < patients)
    half = np.where(pooled, t_quantile(level, k - 1) * np.where(pooled, se, 0.0), 0.0)
    common = np.where(k > 0, log_binomial(events, patients) + log_coefficients(x, n), np.nan)
    return {
        "mean": mean,
        "a": np.where(mean > 0, mean, 1.0) * ess,
        "b": np.where(mean < 1, 1 - mean, 1.0) * ess,
        "ess": ess,
        "rho": 1.0 / (1.0 + ess),
        "beta": beta,
        "se": se,
        "ci_lb": np.where(pooled, np.where(pooled, beta, 0.0) - half, logit(lower)),
        "ci_ub": np.where(pooled, np.where(pooled, beta, 0.0) + half, logit(upper)),
        "loglik": common + gain,
        "lrt": np.where(k == 1, np.nan, 2 * gain),
        "lrt_p": np.where(
            k == 1, np.nan, np.where(gain > 0, 0.5 * chi2_upper(2 * gain, 1), np.where(k > 0, 1.0, np.nan))
        ),
        "k": k,
        "events": events,
        "n": patients,
        "flags": _flags(k, events, patients, theta, several),
    }


def _estimates(x: NDArray, n: NDArray, k: NDArray) -> tuple[NDArray, ...]:
    """Logit of the mean, its standard error, theta = 1 / (a + b), the gain over one proportion, several modes."""
    beta, se, solve, endless, full = common(x, n, k)
    theta, gain = np.where(k > 0, 0.0, np.nan), np.where(k > 0, 0.0, np.nan)
    several = np.zeros(k.shape, bool)
    if endless.any():
        full, reports = full[endless], k[endless]
        beta[endless] = np.log(full) - np.log(reports - full)
        se[endless], theta[endless] = np.sqrt(1.0 / full + 1.0 / (reports - full)), np.inf
        gain[endless] = log_binomial(full, reports) - log_binomial(x.sum(-1), n.sum(-1))[endless]
    if solve.any():
        beta[solve], se[solve], theta[solve], gain[solve], several[solve] = _maximise(x[solve], n[solve])
    return beta, se, theta, gain, several


def _maximise(x: NDArray, n: NDArray) -> tuple[NDArray, NDArray, NDArray, NDArray, NDArray]:
    """Logit mean, its standard error, theta, gain over the binomial, and whether there are several modes."""
    # Numbers of reports with more than j events, others, patients: sufficient for the likelihood.
    j = np.arange(int(n.max()))
    tally = tuple((part[..., None] > j).sum(-2) for part in (x, n - x, n))

    def evaluate(rows: NDArray, mu: NDArray, t: NDArray) -> Derivatives:
        return _likelihood(tuple(part[rows] for part in tally), j, mu, t)

    grid = grid_from_zero(LEAST_ROOT / np.sqrt(n.max()), ROOT_BOUND)
    found = highest_mode(evaluate, common_logit(x, n), grid)
    se = np.sqrt(mean_variance(found, ROOT_BOUND))
    return found.mu, se, found.tau**2, found.here.value - found.common, found.several


def _likelihood(tally: tuple[NDArray, ...], j: NDArray, mu: NDArray, t: NDArray) -> Derivatives:
    """Log-likelihood and derivatives by (logit mean, t) with theta = t^2, by the chain rule from (mean, theta)."""
    m, theta = expit(mu), t * t
    slope, bend = m * (1 - m), m * (1 - m) * (1 - 2 * m)
    terms = (m[:, None] + j * theta[:, None], 1 - m[:, None] + j * theta[:, None], 1 + j * theta[:, None])
    first = [count / term for count, term in zip(tally, terms, strict=True)]
    second = [ratio / term for ratio, term in zip(first, terms, strict=True)]
    logs = [(count * np.log(term)).sum(-1) for count, term in zip(tally, terms, strict=True)]
    by_m = (first[0] - first[1]).sum(-1)
    by_theta = (j * (first[0] + first[1] - first[2])).sum(-1)
    m_m = -(second[0] + second[1]).sum(-1)
    m_theta = -(j * (second[0] - second[1])).sum(-1)
    theta_theta = -(j * j * (second[0] + second[1] - second[2])).sum(-1)
    return Derivatives(
        logs[0] + logs[1] - logs[2],
        slope * by_m,
        2 * t * by_theta,
        slope * slope * m_m + bend * by_m,
        2 * t * slope * m_theta,
        2 * by_theta + 4 * theta * theta_theta,
    )


def _flags(k: NDArray, events: NDArray, patients: NDArray, theta: NDArray, several: NDArray) -> NDArray:
    """Sum of the :class:`BinomialFlag` that apply."""
    none, only = (k > 0) & (events == 0), (k > 0) & (events == patients)
    holds = {
        BinomialFlag.NOTHING_KEPT: k == 0,
        BinomialFlag.SINGLE: k == 1,
        BinomialFlag.FEW: (k >= 2) & (k <= 4),
        BinomialFlag.NO_EVENTS: none,
        BinomialFlag.ALL_EVENTS: only,
        BinomialFlag.TAU2_ZERO: (k >= 2) & ~(none | only) & (theta == 0),
        BinomialFlag.TAU2_UNBOUNDED: np.isinf(theta),
        BinomialFlag.SEVERAL_MODES: several,
    }
    return sum((int(flag) * applies for flag, applies in holds.items()), np.zeros(k.shape, int))
