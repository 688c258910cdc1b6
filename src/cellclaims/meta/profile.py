"""Profile-likelihood limits of tau2: where twice the log-likelihood has fallen by a chi-squared quantile."""

from __future__ import annotations

import numpy as np

from cellclaims.meta.batch import Batch
from cellclaims.meta.equations import Likelihood
from cellclaims.meta.projection import Projection
from cellclaims.meta.quantiles import chi2_quantile
from cellclaims.meta.roots import MOST_STEPS, NARROW, solve

#: A Newton step this small, relative to ``t + v_min``, leaves an error of about its square.
STEP = 1e-8


def profile_limits(batch: Batch, restricted: bool, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper limit of tau2 around the highest mode, each of shape (b,).

    The lower limit is zero where the likelihood there is still within the fall. Beyond the upper limit the
    likelihood falls without end, like ``t`` to the power of minus half the degrees of freedom.
    """
    rule = Likelihood(restricted)
    mode = np.broadcast_to(solve(rule, batch, Projection.at(batch, 0.0))[0], (batch.width,))
    floor = rule.height(Projection.at(batch, mode)) - chi2_quantile(level, 1.0)
    far = _beyond(rule, batch, mode, floor)
    upper = _crossing(rule, batch, mode, far, floor)
    zero = np.zeros(batch.width)
    lower = np.where(rule.height(Projection.at(batch, zero)) >= floor, 0.0, _crossing(rule, batch, mode, zero, floor))
    return lower, upper


def _beyond(rule: Likelihood, batch: Batch, mode: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """A point above the mode at which the likelihood has fallen below the floor: by doubling."""
    far = 2.0 * mode + batch.high
    for _ in range(MOST_STEPS):
        short = rule.height(Projection.at(batch, far)) > floor
        if not short.any():
            break
        far = np.where(short, 4.0 * far, far)
    return far


def _crossing(rule: Likelihood, batch: Batch, inside: np.ndarray, outside: np.ndarray, floor: np.ndarray) -> np.ndarray:
    """Where the likelihood equals ``floor``, between a point above it and one below it: safeguarded Newton."""
    t = _middle(inside, outside, batch)
    for _ in range(MOST_STEPS):
        at = Projection.at(batch, t)
        above, (a, e) = rule.height(at) - floor, rule.sides(at)
        inside, outside = np.where(above >= 0.0, t, inside), np.where(above >= 0.0, outside, t)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = -above / (a - e)
        within = (t + step - inside) * (t + step - outside) <= 0.0
        size = t + batch.low
        if ((within & (np.abs(step) <= STEP * size)) | (np.abs(outside - inside) <= NARROW * size)).all():
            return np.where(within, t + step, t)
        t = np.where(within, t + step, _middle(inside, outside, batch))
    return t


def _middle(a: np.ndarray, b: np.ndarray, batch: Batch) -> np.ndarray:
    """Geometric middle of ``t + v_min``."""
    return np.sqrt((a + batch.low) * (b + batch.low)) - batch.low
