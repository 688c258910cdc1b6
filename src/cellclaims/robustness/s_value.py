"""How strongly significant results would have to be favoured for a pooled effect to be explained by it.

An *affirmative* study is significant and on the favoured side; all others are *nonaffirmative*. If affirmative studies
are ``eta`` times as likely to be seen, each nonaffirmative one stands for ``eta`` of its kind: weighing it so undoes
the selection. The *S-value* is the ``eta`` that brings the pooled effect, or its interval, down to ``q``. The *worst
case* is an ``eta`` without end: only nonaffirmative studies are left.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri

from cellclaims.errors import PoolingError
from cellclaims.meta import Fit, fit
from cellclaims.robustness.cautions import Caution, refuse_too_few, stated

FEWEST = 2
FAVOURED = ("greater", "less")
#: Weights of affirmative studies tried at once, and how often the stretch that holds the answer is cut so again.
TRIED, CUTS = 200, 8
#: A share of the weight that leaves no trace in a sum of doubles: the engine wants weights above zero.
NO_SHARE = 1e-30


@dataclass(frozen=True, eq=False)
class SValue:
    """How much selection would explain a pooled effect, for one data set.

    Attributes
    ----------
    s_value, s_value_ci : float
        How many times as likely to be seen affirmative studies would have to be for the pooled effect, or its
        confidence limit nearest to ``q``, to be ``q``. Infinite with a flag where no selection of this kind is enough;
        1 with a flag where the interval holds ``q`` without any.
    worst_case : Fit or None
        Pooled effect of the nonaffirmative studies, with tau2 from all; None with a flag if there are none.
    fit : Fit
        All studies, without selection.
    affirmative : ndarray of bool, shape (k,)
    q : float
    favoured : str
    flags : tuple of str
    """

    s_value: float
    s_value_ci: float
    worst_case: Fit | None
    fit: Fit
    affirmative: np.ndarray
    q: float
    favoured: str
    flags: tuple[str, ...]


def s_value(
    yi: ArrayLike,
    vi: ArrayLike,
    *,
    q: float = 0.0,
    keep: ArrayLike | None = None,
    favoured: str | None = None,
    alpha: float = 0.05,
    method: str = "REML",
    test: str = "adhoc",
    level: float = 0.95,
) -> SValue:
    r"""S-value: the selection that would explain a pooled effect.

    Parameters
    ----------
    yi, vi : array-like of float, shape (k,)
        Effects and sampling variances.
    q : float
        The effect that would be left: zero, a smallest change that matters, an advertised figure.
    keep : array-like of bool, shape (k,), optional
        Which studies count.
    favoured : {"greater", "less"}, optional
        On which side significant effects are favoured; that of the pooled effect from ``q`` if not given.
    alpha : float
        Two-sided level at which a study is significant.
    method, test, level
        As in :func:`cellclaims.meta.fit`; ``EE`` with ``z`` is the authors' fixed-effects model.

    Returns
    -------
    SValue

    Raises
    ------
    PoolingError
        As :func:`cellclaims.meta.fit`; for a batch, fewer than 2 studies, or a ``q`` that the pooled effect has not
        reached on the favoured side.

    Notes
    -----
    With :math:`w_i = 1 / (v_i + \hat\tau^2)` and sums over affirmative (A) and nonaffirmative (N) studies

    .. math:: \hat\mu_\eta = \frac{\sum_A w_i y_i + \eta \sum_N w_i y_i}{\sum_A w_i + \eta \sum_N w_i}, \quad
              S = \frac{\sum_A w_i (y_i - q)}{\sum_N w_i (q - y_i)}

    (Mathur and VanderWeele 2020, https://doi.org/10.1111/rssc.12440, for selection on significance and direction
    alone, the same for all studies). Their random-effects intervals are cluster-robust; here the variance is that of
    the model for the given weights, under the chosen test.

    Examples
    --------
    One affirmative study of 2, one nonaffirmative of -0.5, equal weights: four times as likely.

    >>> found = s_value([2.0, -0.5], [0.25, 0.25], method="EE", test="z")
    >>> round(found.s_value, 6), found.affirmative.tolist()
    (4.0, [True, False])
    """
    if favoured not in (*FAVOURED, None):
        raise PoolingError(f"favoured: expected greater or less, found {favoured!r}")
    if not 0.0 < alpha < 1.0:
        raise PoolingError(f"alpha: expected a number between 0 and 1, found {alpha!r}")
    pooled = fit(yi, vi, keep=keep, method=method, test=test, level=level)
    if pooled.shape != ():
        raise PoolingError(f"s_value: expected one data set, found a batch of shape {pooled.shape}")
    refuse_too_few(pooled.k, FEWEST, "s_value")
    favoured = favoured or ("greater" if pooled.beta > q else "less")
    sign = 1.0 if favoured == "greater" else -1.0
    if sign * (pooled.beta - q) <= 0.0:
        raise PoolingError(
            f"q: expected short of the pooled effect {pooled.beta:g} on the side {favoured}, found {q:g}"
        )
    selection = _Selection.of(pooled, sign, q, alpha)
    return _explain(selection, pooled, favoured)


@dataclass(frozen=True, eq=False)
class _Selection:
    """One data set, split in affirmative and nonaffirmative studies; ``sign`` turns the favoured side upwards."""

    pooled: Fit
    sign: float
    q: float
    kept: np.ndarray
    affirmative: np.ndarray

    @classmethod
    def of(cls, pooled: Fit, sign: float, q: float, alpha: float) -> _Selection:
        effects = pooled.effects
        kept = np.full(effects.k, True) if effects.keep is None else effects.keep
        with np.errstate(invalid="ignore", divide="ignore"):  # studies that do not count
            z = sign * effects.yi / np.sqrt(effects.vi)
        return cls(pooled, sign, q, kept, kept & (z > -ndtri(alpha / 2.0)))

    @property
    def base(self) -> np.ndarray:
        """Weights without selection, shape (k,); zero where a study does not count."""
        return self.pooled.weights / 100.0

    def corrected(self, share: np.ndarray) -> Fit:
        """Pooled with affirmative studies weighing only ``share`` of their weight: a batch of its shape."""
        share = np.maximum(share, NO_SHARE)
        weights = self.base * np.where(self.affirmative, np.asarray(share)[..., None], 1.0)
        p = self.pooled
        choices = {"keep": p.effects.keep, "method": p.method, "test": p.test, "level": p.level}
        return fit(p.effects.yi, p.effects.vi, weights=weights, **choices)

    def reach(self, fitted: Fit) -> np.ndarray:
        """How far the interval stays beyond ``q``, on the favoured side."""
        return self.sign * ((fitted.ci_lb if self.sign > 0 else fitted.ci_ub) - self.q)

    def of_estimate(self) -> float:
        """S-value of the pooled effect: weighted sums beyond q and short of it."""
        beyond = np.where(self.kept, self.sign * (self.pooled.effects.yi - self.q), 0.0) * self.base
        lost = -beyond[~self.affirmative].sum()
        return float(beyond[self.affirmative].sum() / lost) if lost > 0.0 else np.inf

    def of_interval(self) -> float:
        """S-value of the interval: the first share, from 1 down to 0, at which it holds q."""
        high, low = 1.0, 0.0
        for _ in range(CUTS):
            tried = np.linspace(high, low, TRIED)
            holds = self.reach(self.corrected(tried)) <= 0.0
            if holds[0] or not holds.any():
                return 1.0 if holds[0] else np.inf
            first = int(np.argmax(holds))
            high, low = tried[first - 1], tried[first]
        return 1.0 / low if low > 0.0 else np.inf


def _explain(selection: _Selection, pooled: Fit, favoured: str) -> SValue:
    some = selection.affirmative.any()
    others = (selection.kept & ~selection.affirmative).any()
    held = bool(selection.reach(pooled) <= 0.0)
    estimate = selection.of_estimate() if some and others else np.inf
    interval = 1.0 if held else selection.of_interval() if some and others else np.inf
    cautions = {
        Caution.NO_AFFIRMATIVE: not some,
        Caution.NO_NONAFFIRMATIVE: not others,
        Caution.NOT_EXPLAINED: some and others and np.isinf(estimate),
        Caution.INTERVAL_HOLDS: held,
        Caution.INTERVAL_NOT_EXPLAINED: some and others and np.isinf(interval),
    }
    worst = selection.corrected(0.0) if others else None
    flags = stated({caution: np.bool_(holds) for caution, holds in cautions.items()}, ())
    return SValue(estimate, interval, worst, pooled, selection.affirmative, selection.q, favoured, flags)
