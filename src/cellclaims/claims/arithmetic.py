"""Probabilities that a similar centre reaches a claim, for many choices of studies at once.

The posterior is that of :func:`cellclaims.meta.bayes_binomial`; here the likelihood of each study is computed once on a
grid of mean and tau, and a choice of studies is a sum of its likelihoods. A few hundred choices take as long as one.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_expit, logit, ndtr

#: Means on the logit: from -MEAN_REACH to MEAN_REACH.
MEAN_REACH, MEANS = 14.0, 281
#: Points of tau, up to so many scales of its prior; points of a study's logit about the mean, in units of tau.
TAU_REACH, TAUS, LOGITS, SPREADS = 5.5, 48, 81, 7.0


def probabilities_of_sets(
    events: ArrayLike, n: ArrayLike, keep: ArrayLike, claim: float, scales: Sequence[float]
) -> NDArray:
    """The probability that a similar centre has at least the claimed proportion, for each choice and prior.

    Parameters
    ----------
    events, n : array-like, shape (m,)
        Of every study.
    keep : array-like of bool, shape (s, m)
        The choices of studies.
    claim : float
        The claimed proportion, between 0 and 1, both excluded.
    scales : sequence of float
        Scales of the half-normal prior of tau; the mean is flat on the logit.

    Returns
    -------
    ndarray, shape (s, number of scales)
        NaN for a choice in which no participant, or every one, had the outcome: it has no posterior.

    Examples
    --------
    >>> counts = [18, 4, 3, 3, 3], [56, 15, 10, 6, 24]
    >>> probabilities_of_sets(*counts, [[True] * 5], 0.6, [0.5, 1.0, 2.0]).round(3).tolist()
    [[0.011, 0.031, 0.048]]
    """
    x, size, chosen = np.asarray(events, float), np.asarray(n, float), np.asarray(keep, bool)
    found = np.stack([_of_scale(x, size, chosen, float(logit(claim)), scale) for scale in scales], axis=1)
    total, everyone = chosen @ x, chosen @ size
    found[(total == 0) | (total == everyone)] = np.nan
    return found


def _of_scale(x: NDArray, n: NDArray, keep: NDArray, claim: float, scale: float) -> NDArray:
    nodes, weights = np.polynomial.legendre.leggauss(TAUS)
    tau = TAU_REACH * scale * (1 + nodes) / 2
    prior = np.log(weights) - 0.5 * (tau / scale) ** 2
    mean = np.linspace(-MEAN_REACH, MEAN_REACH, MEANS)
    height = np.stack([_log_likelihood(x, n, mean, t) for t in tau])  # (tau, mean, study)
    reached = ndtr((mean - claim) / tau[:, None]).ravel()
    per_set = keep.astype(float) @ height.reshape(-1, x.size).T + np.repeat(prior, MEANS)
    mass = np.exp(per_set - per_set.max(axis=1, keepdims=True))
    return (mass @ reached) / mass.sum(axis=1)


def _log_likelihood(x: NDArray, n: NDArray, mean: NDArray, tau: float) -> NDArray:
    """Log-likelihood of each study at each mean, shape (means, studies): the logit spread by tau about the mean."""
    z = np.linspace(-SPREADS, SPREADS, LOGITS) if tau > 1.0 else np.linspace(-SPREADS, SPREADS, LOGITS // 2 | 1)
    weight = -0.5 * z * z
    weight = np.exp(weight - np.log(np.exp(weight).sum()))
    eta = mean[:, None] + tau * z
    yes, no = log_expit(eta), log_expit(-eta)
    likely = np.exp(yes[..., None] * x + no[..., None] * (n - x))
    return np.log(np.maximum(np.einsum("z,mzk->mk", weight, likely), 1e-300))
