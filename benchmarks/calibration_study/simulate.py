"""Simulation of evidence with known truth, to judge the probabilities and intervals of methods.

A *setting* is a number of reports and a heterogeneity. In each simulated *review* the reports are drawn from the
model, the true value of a new centre is drawn from the same distribution, and a value is claimed. A *method* gives
distributions of the mean and of the true value of a new centre; it is *calibrated* if events with probability p occur
in a proportion p of the reviews.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.polynomial import legendre
from numpy.typing import NDArray
from scipy.special import expit, logit, ndtr, stdtr

from cellclaims import meta
from cellclaims.errors import PoolingError
from cellclaims.meta.bayes import Prior

#: Numbers of patients, similar to those in published reports of cell therapy.
PATIENTS = np.array([8.0, 10, 12, 15, 20, 24, 30, 40, 60])
#: HbA1c: standard deviation of patients in percentage points, two arms of that many patients each.
SD_HBA1C = 1.2
#: Proportion of patients with the outcome in the median centre.
SHARE = 0.3
MODELS = ("normal", "binomial_normal")
LEVEL = 0.95
#: Number of reviews processed together, which limits the size of a posterior's grid.
BLOCK = 500

#: Probability of being at most a value, for one value per review.
Cdf = Callable[[NDArray], NDArray]


class Belief(NamedTuple):
    """Distributions given by a method for each review: of the mean, and of the true value of a new centre."""

    mean: Cdf
    new: Cdf


@dataclass(frozen=True)
class Setting:
    """A number of reports ``k`` and a heterogeneity ``I2`` in percent, under one of MODELS."""

    model: str
    k: int
    I2: float

    def __post_init__(self) -> None:
        """Raise an error for an impossible setting."""
        if self.model not in MODELS or self.k < 2 or not 0 <= self.I2 < 100:
            raise PoolingError(f"expected a model of {MODELS}, k >= 2 and 0 <= I2 < 100, found {self}")

    @property
    def variances(self) -> NDArray:
        """Sampling variance of a report for each number of patients (of its logit for counts)."""
        patients = 2 * SD_HBA1C**2 if self.model == "normal" else 1 / (SHARE * (1 - SHARE))
        return patients / PATIENTS

    @property
    def typical(self) -> float:
        """The variance of a typical report (Higgins and Thompson 2002, eq. 9, for many reports)."""
        return float(1 / np.mean(1 / self.variances))

    @property
    def tau(self) -> float:
        """Standard deviation between centres for the heterogeneity I2."""
        return float(np.sqrt(self.I2 / (100 - self.I2) * self.typical))

    @property
    def mu(self) -> float:
        """The mean: no difference, or the logit of SHARE."""
        return 0.0 if self.model == "normal" else float(logit(SHARE))


@dataclass(frozen=True, eq=False)
class Reviews:
    """Simulated reviews: reports of shape (s, k); for each review the true value of a new centre and a claimed one.

    ``first`` and ``second`` are effects and variances, or events and patients.
    """

    setting: Setting
    first: NDArray
    second: NDArray
    new: NDArray
    claim: NDArray


def simulate(setting: Setting, reviews: int, rng: np.random.Generator) -> Reviews:
    """Draw reviews from the model.

    A claim is drawn about the mean with the variation of results of single centres,
    :math:`N(\\mu, \\tau^2 + v)` with the typical variance v.

    Examples
    --------
    >>> made = simulate(Setting("binomial_normal", 5, 50.0), 3, np.random.default_rng(1))
    >>> made.first.shape, bool((made.first <= made.second).all())
    ((3, 5), True)
    """
    place = rng.integers(0, PATIENTS.size, (reviews, setting.k))
    true = rng.normal(setting.mu, setting.tau, (reviews, setting.k))
    if setting.model == "normal":
        second = setting.variances[place]
        first = rng.normal(true, np.sqrt(second))
    else:
        second = PATIENTS[place]
        first = rng.binomial(second.astype(int), expit(true)).astype(float)
    new = rng.normal(setting.mu, setting.tau, reviews)
    claim = rng.normal(setting.mu, np.sqrt(setting.tau**2 + setting.typical), reviews)
    return Reviews(setting, first, second, new, claim)


def student(location: NDArray, scale: NDArray, df: float) -> Cdf:
    """Return the t distribution about ``location``, normal where ``df`` is infinite.

    >>> float(student(np.array(0.0), np.array(1.0), np.inf)(np.array(0.0)))
    0.5
    """
    return lambda values: (
        stdtr(df, (values - location) / scale) if np.isfinite(df) else ndtr((values - location) / scale)
    )


def beliefs(reviews: Reviews) -> dict[str, Belief]:
    """Return the distributions of every method: z, Hartung-Knapp with and without the floor, Bayes; two predictions.

    The normal model: ``z`` (both normal), ``knha`` and ``adhoc`` (mean by t with k - 1 degrees of freedom, a new
    clinic by t with k - 2), ``adhoc k-1`` (both k - 1), ``bayes`` (half-normal prior of tau, scale 0.5). Counts:
    ``z``, ``t`` (k - 1 and k - 2), ``t k-1`` (both k - 1) of the binomial-normal model by maximum likelihood,
    ``logits`` (Hartung-Knapp with the floor on empirical logits), ``bayes`` (scale 1.0 on the logit).
    """
    return _of_effects(reviews) if reviews.setting.model == "normal" else _of_counts(reviews)


def _of_effects(reviews: Reviews) -> dict[str, Belief]:
    found, k = {}, reviews.setting.k
    for test, df in (("z", np.inf), ("knha", k - 1), ("adhoc", k - 1)):
        fit = meta.fit(reviews.first, reviews.second, test=test)
        found[test] = _classical(fit.beta, fit.se, fit.tau2, df, np.inf if test == "z" else k - 2)
    found["adhoc k-1"] = _classical(fit.beta, fit.se, fit.tau2, k - 1, k - 1)
    posterior = meta.bayes(reviews.first, reviews.second, meta.Prior(0.5))
    found["bayes"] = Belief(*(lambda v, d=d: d.evaluate(v)[1] for d in (posterior.mu, posterior.theta_new)))
    return found


def _of_counts(reviews: Reviews) -> dict[str, Belief]:
    k = reviews.setting.k
    fit = meta.glmm(reviews.first, reviews.second)
    known = np.isfinite(fit.beta) & np.isfinite(fit.se) & np.isfinite(fit.tau2)
    numbers = [np.where(known, part, np.nan) for part in (fit.beta, fit.se, fit.tau2)]
    found = {
        "z": _classical(*numbers, np.inf, np.inf),
        "t": _classical(*numbers, k - 1, k - 2),
        "t k-1": _classical(*numbers, k - 1, k - 1),
    }
    yi, vi = meta.escalc("PLO", xi=reviews.first, ni=reviews.second)
    logits = meta.fit(yi, vi, test="adhoc")
    found["logits"] = _classical(logits.beta, logits.se, logits.tau2, k - 1, k - 2)
    posterior = GridPosterior.of(reviews.first, reviews.second, reviews.setting.mu)
    found["bayes"] = Belief(posterior.mean_cdf, posterior.new_cdf)
    return found


def _classical(beta: NDArray, se: NDArray, tau2: NDArray, df: float, new_df: float) -> Belief:
    """Return the mean about beta with se, a new centre with tau2 added; undefined without degrees of freedom."""
    new = student(beta, np.sqrt(se**2 + tau2), new_df) if new_df > 0 else lambda v: np.full(np.shape(v), np.nan)
    return Belief(student(beta, se, df), new)


@dataclass(frozen=True, eq=False)
class Judged:
    """Results of one method in one setting, one number per review; NaN without a result.

    ``mean_at`` and ``new_at`` are its distribution functions at the true mean and at the new clinic's true value
    (uniform if calibrated); ``mean_ge`` and ``new_ge`` its probabilities that the mean, and the new clinic's true
    value, are at least the claim, together with the truth.
    """

    mean_at: NDArray
    new_at: NDArray
    mean_ge: NDArray
    new_ge: NDArray
    mean_is: NDArray
    new_is: NDArray
    oracle: NDArray

    def scores(self, level: float = LEVEL) -> dict[str, float]:
        """Return coverage of both intervals, distance from uniform, Brier scores, calibration error, missing results.

        ``new_brier_excess`` is the Brier score (Brier 1950) above that with known mu and tau;
        ``*_ks`` the largest distance of the distribution function from the diagonal (Kolmogorov);
        ``new_calibration_error`` the mean absolute distance of the observed proportion from the predicted one, over
        tenths of the predictions.
        """
        mean, new = (at[np.isfinite(at)] for at in (self.mean_at, self.new_at))
        known = np.isfinite(self.new_ge)
        bins = reliability(self.new_ge[known], self.new_is[known])
        missed = np.abs(bins["observed"] - bins["predicted"])
        excess = (self.new_ge - self.new_is) ** 2 - (self.oracle - self.new_is) ** 2
        return {
            "answered": float(known.mean()),
            "mean_coverage": _covered(mean, level),
            "new_coverage": _covered(new, level),
            "mean_ks": _from_uniform(mean),
            "new_ks": _from_uniform(new),
            "mean_brier": float(np.nanmean((self.mean_ge - self.mean_is) ** 2)),
            "new_brier": float(np.mean((self.new_ge[known] - self.new_is[known]) ** 2)),
            "new_brier_excess": float(np.mean(excess[known])),
            "new_calibration_error": float(np.average(missed, weights=bins["reviews"])),
        }


def judge(reviews: Reviews, belief: Belief) -> Judged:
    """Compare the distributions of a method with the truth of each review."""
    setting = reviews.setting
    truth = np.full(len(reviews.new), setting.mu)
    spread = max(setting.tau, 1e-300)
    return Judged(
        mean_at=belief.mean(truth),
        new_at=belief.new(reviews.new),
        mean_ge=1.0 - belief.mean(reviews.claim),
        new_ge=1.0 - belief.new(reviews.claim),
        mean_is=(setting.mu >= reviews.claim).astype(float),
        new_is=(reviews.new >= reviews.claim).astype(float),
        oracle=ndtr((setting.mu - reviews.claim) / spread),
    )


def calibrate(setting: Setting, reviews: int, seed: int) -> dict[str, Judged]:
    """Simulate a setting and judge every method on the same reviews.

    Parameters
    ----------
    setting : Setting
    reviews : int
        Number of simulated reviews.
    seed : int

    Returns
    -------
    dict of Judged
        By method, in the order of :func:`beliefs`.

    Examples
    --------
    >>> found = calibrate(Setting("normal", 10, 50.0), 200, seed=1)
    >>> list(found), found["adhoc"].mean_at.shape
    (['z', 'knha', 'adhoc', 'adhoc k-1', 'bayes'], (200,))
    """
    rng = np.random.default_rng([seed, MODELS.index(setting.model), setting.k, int(setting.I2)])
    parts: dict[str, list[Judged]] = {}
    for start in range(0, reviews, BLOCK):
        made = simulate(setting, min(BLOCK, reviews - start), rng)
        for method, belief in beliefs(made).items():
            parts.setdefault(method, []).append(judge(made, belief))
    return {method: joined(several) for method, several in parts.items()}


def study(
    settings: Iterable[Setting], reviews: int, seed: int, scheduler: str | None = None
) -> list[dict[str, Judged]]:
    """Run :func:`calibrate` for every setting, in order; on the workers of a Dask scheduler if an address is given.

    Every setting has its own stream of random numbers, so results do not depend on the computer.
    """
    work = partial(calibrate, reviews=reviews, seed=seed)
    if scheduler is None:
        return [work(setting) for setting in settings]
    import cloudpickle  # comes with Dask

    from cellclaims.meta.cluster import on_cluster

    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker has this study installed

    return on_cluster(work, settings, scheduler)


def joined(several: list[Judged]) -> Judged:
    """Join several batches of reviews, or several settings."""
    names = Judged.__dataclass_fields__
    return Judged(**{name: np.concatenate([getattr(part, name) for part in several]) for name in names})


def reliability(predicted: NDArray, happened: NDArray, bins: int = 10) -> Mapping[str, NDArray]:
    """Return the observed proportion and the mean prediction in equal bins of the predictions, without empty bins.

    Examples
    --------
    >>> found = reliability(np.array([0.05, 0.05, 0.95]), np.array([0.0, 1.0, 1.0]))
    >>> found["observed"].tolist(), found["reviews"].tolist()
    ([0.5, 1.0], [2.0, 1.0])
    """
    place = np.minimum((predicted * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins).astype(float)
    some = count > 0
    means = {"predicted": predicted, "observed": happened}
    found = {name: np.bincount(place, values, bins)[some] / count[some] for name, values in means.items()}
    return found | {"reviews": count[some]}


def _covered(at: NDArray, level: float) -> float:
    """Return the proportion of truths inside the central interval."""
    return float(np.mean(np.abs(at - 0.5) <= level / 2))


def _from_uniform(at: NDArray) -> float:
    """Largest distance of the empirical distribution function from the diagonal."""
    ordered, steps = np.sort(at), np.arange(at.size + 1) / at.size
    return float(np.max(np.maximum(steps[1:] - ordered, ordered - steps[:-1])))


# The posterior of the binomial-normal model for thousands of reviews at once, on one grid of mean and tau.
#
# :func:`cellclaims.meta.bayes_binomial` integrates one review to rounding. A simulation needs many reviews to a
# thousandth: the likelihood of x events of n depends on the grid alone, so that it is tabulated once for each (x, n)
# and a review is a sum of rows of the table.


#: Cells over the mean: equal in asinh of the distance from the centre, narrow near it and reaching +-14.
CELLS, NARROW, REACH = 140, 0.25, 4.7
#: Points over tau, and the largest tau in prior scales: beyond it a half-normal has 1e-9.
POINTS, LARGEST = 24, 6.0
#: Points over the standard normal of a report's own logit.
OWN, OWN_REACH = 161, 7.0


@dataclass(frozen=True, eq=False)
class GridPosterior:
    """Posterior of (mean, tau) of each review.

    Attributes
    ----------
    edges, mean : ndarray, shape (c + 1,) and (c,)
        Cells over the mean and their middles.
    tau : ndarray, shape (t,)
    mass : ndarray, shape (s, c, t)
        Sums to 1 for each review.
    """

    edges: NDArray
    mean: NDArray
    tau: NDArray
    mass: NDArray

    @classmethod
    def of(cls, events: NDArray, n: NDArray, centre: float, prior: Prior | None = None) -> GridPosterior:
        """Posterior under a flat mean and the half-normal prior of tau, for events and n of shape (s, k)."""
        prior = prior or Prior(1.0)
        grid = _grid(centre, prior.tau_scale)
        rows, inverse = np.unique(np.stack([events.ravel(), n.ravel()], 1), axis=0, return_inverse=True)
        table = np.stack([_log_likelihood(x, size, centre, prior.tau_scale) for x, size in rows])
        log = sum((table[row] for row in inverse.reshape(events.shape).T), start=grid.log_weight)
        mass = np.exp(log - log.max(axis=(1, 2), keepdims=True))
        return cls(grid.edges, grid.mean, grid.tau, mass / mass.sum(axis=(1, 2), keepdims=True))

    def mean_cdf(self, values: NDArray) -> NDArray:
        """Return the probability that the mean is at most ``values``, one per review."""
        below = np.cumsum(self.mass.sum(axis=2), axis=1)
        below = np.concatenate([np.zeros((len(below), 1)), below], axis=1)
        return np.array([np.interp(v, self.edges, b) for v, b in zip(values, below, strict=True)])

    def new_cdf(self, values: NDArray) -> NDArray:
        """Return the probability that the logit of a new centre is at most ``values``, one per review."""
        z = (values[:, None, None] - self.mean[:, None]) / self.tau
        return (self.mass * ndtr(z)).sum(axis=(1, 2))


@dataclass(frozen=True, eq=False)
class _Grid:
    edges: NDArray
    mean: NDArray
    tau: NDArray
    log_weight: NDArray


@functools.lru_cache(maxsize=4)
def _grid(centre: float, scale: float) -> _Grid:
    """Cells and points with the logarithm of prior times width."""
    edges = centre + NARROW * np.sinh(np.linspace(-REACH, REACH, CELLS + 1))
    mean = (edges[1:] + edges[:-1]) / 2
    nodes, weights = legendre.leggauss(POINTS)
    # Equal panels in the root of tau: the likelihood is smooth in tau, and most of the uncertainty is near zero.
    root, half = np.sqrt(LARGEST * scale) * (1 + nodes) / 2, np.sqrt(LARGEST * scale) / 2
    tau = root**2
    width = np.log(np.diff(edges))[:, None] + np.log(weights * half * 2 * root)
    return _Grid(edges, mean, tau, width + Prior(scale).log_tau(tau))


@functools.lru_cache(maxsize=4096)
def _log_likelihood(x: float, n: float, centre: float, scale: float) -> NDArray:
    """Logarithm of the marginal likelihood of x events of n at every point of the grid, up to a constant."""
    grid = _grid(centre, scale)
    u = np.linspace(-OWN_REACH, OWN_REACH, OWN)
    weight = np.exp(-0.5 * u * u)
    eta = grid.mean[:, None, None] + grid.tau[None, :, None] * u
    own = x * eta - n * np.logaddexp(0.0, eta)
    top = own.max(axis=-1)
    return top + np.log((np.exp(own - top[..., None]) * (weight / weight.sum())).sum(axis=-1))
