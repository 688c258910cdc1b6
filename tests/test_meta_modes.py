"""The highest mode wins: the scans are compared with dense grids on made-up tables with outlying small studies.

``make fuzz`` sets MODES_TABLES to 2,000.
"""

from __future__ import annotations

import os

import numpy as np
import pytest
from scipy import special

from cellclaims import meta, robustness
from cellclaims.meta.binomial_fit import likelihood, log_coefficients
from cellclaims.meta.flags import SEVERAL_MODES_IN_WORDS, BinomialFlag
from cellclaims.meta.modes import grid_from_zero, highest_mode, tops
from cellclaims.meta.odds_ratio import FixedLevels, random_levels

TABLES = int(os.environ.get("MODES_TABLES", "200"))
#: No fit may be worse than a point of the dense grid by more than this.
WORSE = 1e-6
NODES = (21, 40, 100, 200)


def table(rng, k):
    """Large studies that agree and small ones that lie far off, as counts of one group."""
    small = rng.random(k) < 0.5
    n = np.where(small, rng.integers(2, 16, k), rng.integers(30, 300, k))
    far = rng.choice([-1, 1], k) * rng.uniform(1, 5, k)
    p = special.expit(rng.normal(0, 1.2) + rng.normal(0, rng.choice([0, 0.1, 0.4]), k) + np.where(small, far, 0))
    return rng.binomial(n, p).astype(float), n.astype(float)


def groups(seed, count, wanted=50):
    """``count`` tables in batches of one k, those that a spread can be fitted to."""
    rng = np.random.default_rng(seed)
    for _ in range(0, count, wanted):
        k = int(rng.integers(3, 9))
        x, n = (np.array(part) for part in zip(*(table(rng, k) for _ in range(wanted)), strict=True))
        events, patients = x.sum(-1), n.sum(-1)
        fits = (events > 0) & (events < patients) & ~np.all((x == 0) | (x == n), axis=-1)
        yield x[fits], n[fits]


def dense(evaluate, start, taus):
    """Largest log-likelihood on a dense grid of tau, the mean at its best by Newton steps; one for each data set."""
    data = np.repeat(np.arange(len(start)), len(taus))
    tau, mu = np.tile(taus, len(start)), np.repeat(start, len(taus))
    best, moving = np.full(mu.size, -np.inf), np.arange(mu.size)
    for _ in range(30):
        here = evaluate(data[moving], mu[moving], tau[moving])
        best[moving] = np.maximum(best[moving], here.value)
        step = np.clip(here.by_mu / np.maximum(np.abs(here.by_mu_mu), 1e-300), -1, 1)
        mu[moving] += step
        moving = moving[np.abs(step * here.by_mu) > 1e-8]
        if moving.size == 0:
            break
    return best.reshape(len(start), -1).max(-1)


def test_binomial_normal_no_point_of_a_dense_grid_is_higher():
    taus, several = np.concatenate([[0.0], np.geomspace(0.01, 10.0, 80)]), 0
    for x, n in groups(1, TABLES):
        fit = meta.glmm(x, n)
        found = dense(
            lambda i, m, t, x=x, n=n: likelihood(x[i], n[i], m, t, NODES), special.logit(x.sum(-1) / n.sum(-1)), taus
        )
        assert np.all(found + log_coefficients(x, n) - fit.loglik <= WORSE), (x, n)
        several += int(fit.flagged(BinomialFlag.SEVERAL_MODES).sum())
    assert several > TABLES / 20  # the tables are of the kind that has several modes


def test_beta_binomial_no_point_of_a_dense_grid_is_higher():
    def loglik(x, n, beta, rho):
        s, p = (1 - rho) / rho, special.expit(beta)
        return (special.betaln(x + p * s, n - x + (1 - p) * s) - special.betaln(p * s, (1 - p) * s)).sum(-1)

    rho = np.concatenate([np.geomspace(1e-4, 0.5, 40), 1 - np.geomspace(0.4, 1e-3, 20)])
    beta = np.linspace(-6, 6, 241)[:, None]
    for x, n in groups(2, TABLES // 4):
        fit = meta.beta_binomial(x, n)
        for row in range(len(x)):
            value = loglik(x[row], n[row], beta[..., None], rho[:, None]).max() + log_coefficients(x[row], n[row])
            assert value - fit.loglik[row] <= WORSE


def two_groups(seed, count):
    rng = np.random.default_rng(seed)
    for _ in range(count):
        k = int(rng.integers(3, 7))
        (a, n1), (c, n2) = table(rng, k), table(rng, k)
        c = np.minimum(a, n2) if rng.random() < 0.5 else c
        says = (a + c > 0) & (n1 - a + n2 - c > 0)
        if says.sum() > 1:
            yield a[says], n1[says], c[says], n2[says]


@pytest.mark.parametrize(("model", "share"), [("CM.AL", 4), ("UM.FS", 10)])
def test_odds_ratios_no_point_of_a_dense_grid_is_higher(model, share):
    taus, compared = np.concatenate([[0.0], np.geomspace(0.02, 10.0, 50)]), 0
    for a, n1, c, n2 in two_groups(3, TABLES // share):
        fit = meta.glmm_odds_ratio(a, n1, c, n2, model=model)
        if not np.isfinite(fit.beta):
            continue
        offset, compared = np.log(n1 / n2), compared + 1
        fixed = FixedLevels(a, n1, c, n2, NODES)

        def conditional(rows, mu, tau, a=a, c=c, offset=offset):
            size = (mu.size, 1)
            return likelihood(np.tile(a, size), np.tile(a + c, size), mu, tau, NODES, np.tile(offset, size))

        counts = log_coefficients(a, a + c) if model == "CM.AL" else log_coefficients(a, n1) + log_coefficients(c, n2)
        value = dense(conditional if model == "CM.AL" else fixed, np.zeros(1), taus)[0] + counts
        assert value - fit.loglik <= WORSE, (a, n1, c, n2)
    assert compared > TABLES / share / 2


def test_random_levels_no_start_climbs_higher():
    from scipy.optimize import minimize

    for a, n1, c, n2 in two_groups(4, max(3, TABLES // 60)):
        fit = meta.glmm_odds_ratio(a, n1, c, n2, model="UM.RS")
        if not np.isfinite(fit.beta):
            continue
        counts = log_coefficients(a, n1) + log_coefficients(c, n2)
        for spread in ((0.1, 0.1), (0.5, 2.0), (2.0, 0.3), (2.0, 2.0)):
            start = [0.0, 0.0, *spread]
            found = minimize(lambda t, d=(a, n1, c, n2): -random_levels(*d, t, 21), start, method="BFGS")
            assert -found.fun + counts - fit.loglik <= WORSE


def test_multilevel_no_point_of_a_dense_grid_is_higher():
    rng, several = np.random.default_rng(5), 0
    sd = np.concatenate([[0.0], np.geomspace(0.01, 8.0, 50)])
    points = np.stack(np.meshgrid(sd, sd, indexing="ij"), axis=-1).reshape(-1, 2) ** 2
    for number in range(TABLES // 2):
        k = int(rng.integers(5, 12))
        group, small = np.sort(rng.integers(0, 4, k)), rng.random(k) < 0.4
        if not 1 < len(set(group)) < k:
            continue
        v = np.where(small, rng.uniform(0.2, 1.5, k), rng.uniform(0.001, 0.05, k))
        y = rng.normal(0, np.sqrt(v + 0.01)) + np.where(small, rng.choice([-1, 1], k) * rng.uniform(0, 4, k), 0)
        method = ("REML", "ML")[number % 2]
        fit = meta.multilevel(y, v, group, method=method)
        heights = fit.structure.heights(np.concatenate([fit.sigma2[None], points]), method)
        assert heights[1:].max() - heights[0] <= WORSE, (y, v, group, method)
        several += SEVERAL_MODES_IN_WORDS in fit.flags
    assert several > 3


def test_the_scan_of_several_levels_is_the_likelihood():
    rng = np.random.default_rng(6)
    fit = meta.multilevel(rng.normal(size=7), rng.uniform(0.1, 1, 7), [1, 1, 1, 2, 2, 3, 3])
    points = np.array([[0.0, 0.0], [0.3, 0.0], [0.0, 1.2], [2.0, 0.4]])
    for method in ("ML", "REML"):
        exact = np.array([fit.structure.loglik(p, method) for p in points])
        assert np.diff(fit.structure.heights(points, method)) == pytest.approx(np.diff(exact), rel=1e-9)


@pytest.mark.parametrize("kind", ["stepfun", "beta", "negexp"])
def test_selection_models_no_start_climbs_higher(kind):
    from cellclaims.robustness.selection_model import SelectionLikelihood, _approach, _family, _room, _Scale

    rng = np.random.default_rng(7)
    for _ in range(max(1, TABLES // 200)):
        small = rng.random(12) < 0.5
        v = np.where(small, rng.uniform(0.1, 0.8, 12), rng.uniform(0.004, 0.05, 12))
        y = rng.normal(0.2, np.sqrt(v)) + np.where(small, rng.choice([-1, 1], 12) * rng.uniform(0, 3, 12), 0)
        y[:3], y[3:6] = np.abs(y[:3]) + 3 * np.sqrt(v[:3]), -np.abs(y[3:6])  # studies on both sides of the step
        fit, unit = robustness.selection_model(y, v, kind=kind), np.sqrt(np.median(v))
        of = SelectionLikelihood.of(y / unit, v / unit**2, _family(kind, (0.025,)), False)
        for tau2 in (0.0, 0.3, 2.0, 8.0, 30.0):
            scale = _Scale(of, (tau2, tau2), _room(of))
            for _ in range(3):
                start = np.clip(rng.normal(0, 1.5, len(scale.lower)), scale.lower, scale.upper)
                value = scale.value_and_slope(_approach(scale, start))[0] - len(y) * np.log(unit)
                assert value - fit.log_likelihood <= WORSE


def test_several_modes_are_flagged_and_the_lower_one_can_be_away_from_zero():
    two = meta.glmm([12, 9, 35, 38], [12, 14, 61, 66])
    assert two.flagged(BinomialFlag.SEVERAL_MODES) and two.tau2 == pytest.approx(0.3264, abs=1e-4)
    one = meta.glmm([3, 4, 18, 3, 3], [10, 15, 56, 6, 24])
    assert not one.flagged(BinomialFlag.SEVERAL_MODES) and one.tau2 == 0.0
    for x, n in groups(8, 400):
        fit = meta.glmm(x, n)
        lower = fit.flagged(BinomialFlag.SEVERAL_MODES) & (fit.tau2 == 0)
        if lower.any():
            return
    pytest.fail("no table with a lower mode away from zero")


def test_fits_of_one_batch_do_not_depend_on_each_other():
    x, n = next(groups(9, 50))
    batch = meta.glmm(np.repeat(x, 12, axis=0), np.repeat(n, 12, axis=0))  # reports are shared: tabulated ridges
    for row in range(5):
        one = meta.glmm(x[row], n[row])
        assert batch.loglik[12 * row] == pytest.approx(one.loglik, abs=1e-9)
        assert batch.beta[12 * row] == pytest.approx(one.beta, abs=1e-6)


def test_what_no_odds_ratio_can_be_estimated_from_is_said():
    # Every study has an empty cell on the same diagonal: with a level for each study the likelihood rises for ever.
    fit = meta.glmm_odds_ratio([136, 286, 15], [185, 385, 15], [0, 0, 47], [2, 3, 358])
    assert fit.beta == np.inf and any("no finite estimate" in words for words in fit.flags)


def test_building_blocks():
    assert tops(np.array([[0.0, 1.0], [2.0, 0.5]]), 2).tolist() == [[False, False], [True, False]]
    assert grid_from_zero(0.5, 0.5 * 1.4**3)[-1] == pytest.approx(0.5 * 1.4**3)

    def bumps(rows, mu, tau):  # modes at tau = 0 and at 2 (the higher), even in tau
        from cellclaims.meta.modes import Derivatives

        height, slope, bend = 1.5, -2 * (np.abs(tau) - 2), np.full(tau.shape, -2.0)
        far = height - (np.abs(tau) - 2) ** 2
        near = 1.0 - 4 * tau**2
        at_far = far > near
        zero = np.zeros_like(mu)
        by, tt = np.where(at_far, slope * np.sign(tau), -8 * tau), np.where(at_far, bend, -8.0)
        return Derivatives(np.maximum(far, near) - mu**2, -2 * mu, by, zero - 2, zero, tt)

    found = highest_mode(bumps, np.zeros(1), grid_from_zero(0.1, 10.0))
    assert found.tau[0] == pytest.approx(2.0, abs=1e-6) and found.several[0] and found.common[0] == 1.0
