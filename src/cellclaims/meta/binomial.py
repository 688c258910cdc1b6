"""A proportion pooled without a transformed variance: the binomial-normal model, and what it says of a
claimed share.

A *report* gives ``events`` out of ``n``. A *setting* is a clinic or trial with its own true proportion,
whose logit is drawn from a normal distribution with mean ``beta`` and variance ``tau2``. The *median
setting* has proportion ``expit(beta)``; the *mean over settings* is that of the proportions themselves,
nearer to one half when ``tau2 > 0``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import expit, logit

from cellclaims.errors import PoolingError
from cellclaims.meta.binomial_claims import p_mean_ge, p_new_setting_ge, p_series_ge
from cellclaims.meta.binomial_likelihood import TAU_BOUND, levels, log_binomial, log_coefficients, maximise
from cellclaims.meta.binomial_profile import profile_limits
from cellclaims.meta.counts import check_counts, clopper_pearson
from cellclaims.meta.quantiles import chi2_upper, normal_quantile, t_quantile

__all__ = [
    "FLAGS",
    "BinomialFit",
    "glmm",
    "mean_over_settings",
    "p_mean_ge",
    "p_new_setting_ge",
    "p_series_ge",
]

#: At 21 points the estimates of the reference data sets stand within 1e-7 of those with 101 points.
NODES = 21
#: Trapezoid over the standard normal: step and reach leave an error below 1e-14 for any tau under 10.
NORMAL_STEP, NORMAL_REACH = 0.05, 9.0
TESTS = ("t", "z")

#: What a flag means; a fit carries the names.
FLAGS = {
    "k0": "no report counts: every result is NaN",
    "k1": "one report: shown, not pooled; its interval is Clopper-Pearson's",
    "few_reports": "2 to 4 reports: the heterogeneity is hardly known",
    "no_prediction_interval": "fewer than 3 reports, or no spread that can be estimated: NaN",
    "no_events": "no event in any report: beta is -inf, the interval one-sided on the total count",
    "all_events": "events only: beta is +inf, the interval one-sided on the total count",
    "tau2_zero": "the likelihood is largest at tau2 = 0: the standard error is that of one common proportion",
    "tau2_not_identified": "every report has n = 1: heterogeneity cannot show itself, tau2 is reported as 0",
    "tau2_unbounded": "each report is all or nothing: the likelihood rises without end in tau2, beta is NaN",
    "tau2_at_bound": f"the likelihood still rises at tau = {TAU_BOUND:g}, the largest that is tried",
}


@dataclass(frozen=True)
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
        return _plain(expit(np.asarray(self.beta)))

    @property
    def median_ci(self) -> tuple[NDArray | float, NDArray | float]:
        """Confidence limits of the proportion in the median setting."""
        return _plain(expit(np.asarray(self.ci_lb))), _plain(expit(np.asarray(self.ci_ub)))

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
        limits = profile_limits(
            *self.counts, np.ravel(self.beta), np.ravel(self.tau2), self.level, levels(self.nodes)
        )
        return tuple(_plain(limit.reshape(np.shape(self.beta))) for limit in limits)

    @property
    def profile_lb(self) -> NDArray | float:
        """Lower profile-likelihood limit of beta."""
        return self.profile[0]

    @property
    def profile_ub(self) -> NDArray | float:
        """Upper profile-likelihood limit of beta."""
        return self.profile[1]


def glmm(
    events: ArrayLike,
    n: ArrayLike,
    *,
    keep: ArrayLike | None = None,
    level: float = 0.95,
    test: str = "t",
    nodes: int = NODES,
) -> BinomialFit:
    r"""Pool proportions by a binomial-normal model with maximum likelihood.

    .. math:: x_i \sim \mathrm{Bin}(n_i, p_i), \quad \mathrm{logit}\,p_i \sim N(\beta, \tau^2)

    Hamza, van Houwelingen and Stijnen 2008, https://doi.org/10.1016/j.jclinepi.2007.03.016; adaptive
    Gauss-Hermite quadrature. The standard error comes from the observed information of (beta, tau). The
    prediction interval is ``beta +- t(k - 2) sqrt(se^2 + tau2)`` (Higgins, Thompson and Spiegelhalter 2009,
    https://doi.org/10.1111/j.1467-985X.2008.00552.x).

    Parameters
    ----------
    events, n : array-like of whole numbers, shape (..., k)
        Events and patients of each report; broadcast against each other.
    keep : array-like of bool, shape (..., k), optional
        Which reports count; broadcast. Counts that do not count are not checked.
    level : float
        Confidence level of every interval.
    test : {"t", "z"}
        Quantile of the confidence interval: t with k - 1 degrees of freedom, or normal.
    nodes : int
        Quadrature points a report; data that spread wider than these resolve get more of themselves.

    Returns
    -------
    BinomialFit
        Of the shape of the batch; numbers for a single fit.

    Raises
    ------
    PoolingError
        Counts that are missing, negative, not whole, or more events than patients; a level or test that is
        not known.

    Examples
    --------
    >>> fit = glmm([3, 4, 18, 3, 3], [10, 15, 56, 6, 24])
    >>> round(fit.beta, 4), fit.tau2, round(fit.median, 3)
    (-0.948, 0.0, 0.279)
    """
    if test not in TESTS or not 0 < level < 1 or nodes < 1:
        raise PoolingError(
            f"expected test of {TESTS}, 0 < level < 1 and nodes >= 1, found {test!r}, {level}, {nodes}"
        )
    x, size, kept = check_counts(events, n, keep)
    shape, k_all = x.shape[:-1], x.shape[-1]
    rows = tuple(part.reshape(-1, k_all) for part in (x, size, kept))
    results = _fit_rows(*rows, level, test, nodes)
    shaped = {name: _plain(value.reshape(shape)) for name, value in results.items()}
    return BinomialFit(**shaped, counts=rows[:2], level=level, test=test, nodes=nodes)


def _plain(value: NDArray) -> NDArray | float:
    """The array, or its only element when it has no dimension."""
    return value.item() if value.ndim == 0 else value


def _fit_rows(
    x: NDArray, n: NDArray, kept: NDArray, level: float, test: str, nodes: int
) -> dict[str, NDArray]:
    """Every field of the fit for rows of shape (r, k)."""
    k, events, patients = kept.sum(-1), x.sum(-1), n.sum(-1)
    beta, se, tau2, gain = _estimates(x, n, k, nodes)
    known = {"beta": beta, "se": se, "tau2": tau2, "k": k, "events": events, "n": patients}
    counted = np.where(k > 0, log_coefficients(x, n), np.nan)
    common = counted + log_binomial(events, patients)
    saturated = counted + log_binomial(x, n).sum(-1)
    fits = {
        "loglik": common + gain,
        "loglik_common": common,
        "Q": np.maximum(2 * (saturated - common), 0.0),
        "lrt": 2 * gain,
        "lrt_p": np.where(gain > 0, 0.5 * chi2_upper(2 * gain, 1), np.where(k > 0, 1.0, np.nan)),
    }
    fits["Q_p"] = np.where(k > 0, chi2_upper(fits["Q"], np.maximum(k - 1, 0)), np.nan)
    wald = _inverse_variance(x, n, kept, tau2)
    return {**known, **_limits(known, level, test), **fits, **wald, "flags": _flags(known, n.max(-1))}


def _estimates(x: NDArray, n: NDArray, k: NDArray, nodes: int) -> tuple[NDArray, NDArray, NDArray, NDArray]:
    """beta, se, tau2, and the gain in log-likelihood over one common proportion."""
    events, patients = x.sum(-1), n.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        beta = np.log(events) - np.log(patients - events)
        se = np.sqrt(1.0 / events + 1.0 / (patients - events))
    tau2, gain = np.where(k > 0, 0.0, np.nan), np.where(k > 0, 0.0, np.nan)
    spread = (events > 0) & (events < patients) & (k >= 2) & (n.max(-1) > 1)
    endless = spread & np.all((x == 0) | (x == n), axis=-1)
    if endless.any():
        # E[p^n] <= E[p]: the best distribution of p puts the share of full reports on 1 and the rest on 0.
        full = ((x == n) & (n > 0)).sum(-1)
        gain[endless] = (log_binomial(full, k) - log_binomial(events, patients))[endless]
        beta[endless], se[endless], tau2[endless] = np.nan, np.nan, np.inf
    solve = spread & ~endless
    if solve.any():
        found = maximise(x[solve], n[solve], levels(nodes))
        beta[solve], se[solve] = found.mu, np.sqrt(found.variance)
        tau2[solve], gain[solve] = found.tau**2, found.gain
    return beta, se, tau2, gain


def _limits(known: dict[str, NDArray], level: float, test: str) -> dict[str, NDArray]:
    """Confidence and prediction limits; Clopper-Pearson where there is nothing to pool."""
    beta, se, tau2, k = known["beta"], known["se"], known["tau2"], known["k"]
    pooled = (k >= 2) & (known["events"] > 0) & (known["events"] < known["n"])
    df = np.maximum(k - 1, 0)
    quantile = normal_quantile(level) if test == "z" else t_quantile(level, df)
    exact_lb, exact_ub = clopper_pearson(known["events"], known["n"], level)
    with np.errstate(invalid="ignore"):
        half = quantile * se
        width = np.where(pooled, t_quantile(level, k - 2) * np.sqrt(se**2 + tau2), np.nan)
        ci_lb, ci_ub = (np.where(np.isinf(tau2), sign * np.inf, beta + sign * half) for sign in (-1, 1))
        return {
            "ci_lb": np.where(pooled, ci_lb, logit(exact_lb)),
            "ci_ub": np.where(pooled, ci_ub, logit(exact_ub)),
            "pi_lb": beta - width,
            "pi_ub": beta + width,
            "df": df,
        }


def _inverse_variance(x: NDArray, n: NDArray, kept: NDArray, tau2: NDArray) -> dict[str, NDArray]:
    """What is defined by empirical logits and their variances: Wald's Q, and I2 and H2 by the typical
    variance.

    A report without events, or with nothing else, gets half an event and half a non-event here, and only
    here.
    """
    k = kept.sum(-1)
    add = np.where((x == 0) | (x == n), 0.5, 0.0)
    a, b = np.where(kept, x + add, 1.0), np.where(kept, n - x + add, 1.0)
    w, y = np.where(kept, a * b / (a + b), 0.0), np.log(a / b)
    total = np.where(k > 0, w.sum(-1), np.nan)
    q = (w * (y - ((w * y).sum(-1) / total)[:, None]) ** 2).sum(-1)
    # One report has no typical variance; with tau2 = 0 its I2 is 0 whatever stands in.
    lost = np.where(k > 1, total - (w * w).sum(-1) / total, 1.0)
    typical = np.where(k > 1, k - 1, 1.0) / np.where(lost > 0, lost, 1.0)
    h2 = 1.0 + np.where(k > 0, tau2, np.nan) / typical
    return {"Q_wald": q, "I2": 100.0 * (1.0 - 1.0 / h2), "H2": h2}


def _flags(known: dict[str, NDArray], largest: NDArray) -> NDArray:
    """Names of :data:`FLAGS` that hold, one tuple a row."""
    k, tau2, events = known["k"], known["tau2"], known["events"]
    none, only = (k > 0) & (events == 0), (k > 0) & (events == known["n"])
    holds = {
        "k0": k == 0,
        "k1": k == 1,
        "few_reports": (k >= 2) & (k <= 4),
        "no_prediction_interval": (k <= 2) | none | only | np.isinf(tau2),
        "no_events": none,
        "all_events": only,
        "tau2_zero": (k >= 2) & ~(none | only) & (tau2 == 0),
        "tau2_not_identified": (k >= 2) & (largest == 1),
        "tau2_unbounded": np.isinf(tau2),
        "tau2_at_bound": np.isfinite(tau2) & (tau2 >= TAU_BOUND**2),
    }
    table = np.stack(list(holds.values()), -1)
    names = np.array(list(holds), dtype=object)
    flags = np.empty(len(table), dtype=object)
    kinds, which = np.unique(table, axis=0, return_inverse=True)
    tuples = [tuple(names[kind]) for kind in kinds]
    for row, kind in enumerate(which.ravel()):
        flags[row] = tuples[kind]
    return flags


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
    return _plain(np.where(tau == 0, expit(beta), total / weight_sum))
