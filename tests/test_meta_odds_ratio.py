"""Odds ratios from counts: against every reference fit of the three models, plain integration, laws, refusals."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, special, stats

from cellclaims.errors import PoolingError
from cellclaims.meta.binomial import glmm, glmm_odds_ratio
from cellclaims.meta.binomial_fit import likelihood
from cellclaims.meta.odds_ratio import FixedLevels, random_levels

#: lme4 stops at about 1e-5; with 7 points (its reference setting) small studies move by more, see the gain in
#: likelihood.
TOLERANCE = 1e-4
#: Its standard errors come from differences of a likelihood known to 1e-7.
SE_TOLERANCE = 1e-4
LAPLACE_SE_TOLERANCE = 1e-2
MODELS = ("UM.FS", "UM.RS", "CM.AL")


def informative(rows):
    a, n1, c, n2 = (np.array(rows[name], float) for name in ("ai", "n1i", "ci", "n2i"))
    says = (a + c > 0) & (a + c < n1 + n2)
    return a[says], n1[says], c[says], n2[says]


def exact_loglik(rows, model, beta, tau2):
    """Log-likelihood (without constants) with so many points that none matter."""
    a, n1, c, n2 = informative(rows)
    point = np.array([beta]), np.sqrt(np.array([tau2]))
    if model == "UM.FS":
        return FixedLevels(a, n1, c, n2, (101, 300))(np.zeros(1, int), *point).value[0]
    return likelihood(a[None], (a + c)[None], *point, (101, 300), np.log(n1 / n2)[None]).value[0]


def reference_fits(oracle):
    for name, content in oracle.ending("exact"):
        for key, record in content.get("glmm", {}).items():
            measure, model, method = key.split("_")
            if measure == "OR" and model in MODELS:
                yield name, content["rows"], model, method, record


def test_every_reference_fit_agrees_or_is_the_worse_optimum(oracle, capsys):
    fits, compared, worse = 0, 0, []
    for name, rows, model, method, record in reference_fits(oracle):
        laplace = model == "UM.RS" and method == "ML"
        counts = [rows[column] for column in ("ai", "n1i", "ci", "n2i")]
        ours = glmm_odds_ratio(*counts, model=model, method=method, test="z", nodes=1 if laplace else 7)
        pairs = {field: (getattr(ours, field), record[field]) for field in ("beta", "ci_lb", "ci_ub", "tau2", "H2")}
        if model == "UM.RS":
            pairs["sigma2"] = (ours.sigma2, record["sigma2"])
        else:
            pairs["Q"], pairs["Q_wald"] = (ours.Q, record["QE_LRT"]), (ours.Q_wald, record["QE_Wld"])
        off = {field: abs(a - b) / max(1.0, abs(b)) for field, (a, b) in pairs.items()}
        se_off = abs(ours.se / record["se"] - 1)
        compared += len(pairs) + 2
        fits += 1
        assert ours.k == record["k"], name
        if max(off.values()) > TOLERANCE or se_off > SE_TOLERANCE:
            gain = np.nan
            if model == "UM.RS":
                theta = [(0, fit["beta"], np.sqrt(fit["sigma2"]), np.sqrt(fit["tau2"])) for fit in (vars(ours), record)]
                gain = np.subtract(*(best_level(rows, t) for t in theta))
            else:
                ends = [(fit["beta"], fit["tau2"]) for fit in (vars(ours), record)]
                gain = np.subtract(*(exact_loglik(rows, model, *end) for end in ends))
            worse.append(
                f"{name} {model} {method}: better by {gain:.1e}, off by {max(off.values()):.1e}, se {se_off:.1e}"
            )
            assert gain > 0 and max(off.values()) < 2e-2, worse[-1]
            assert se_off < LAPLACE_SE_TOLERANCE, worse[-1]
    with capsys.disabled():
        print(f"\n{compared} quantities of {fits} rma.glmm odds-ratio fits compared; the worse optimum in")
        print(*(f"  {line}" for line in worse), sep="\n")
    assert (fits, compared) == (2 * (20 + 20 + 26), 2 * (20 * 9 + 20 * 8 + 26 * 9))


def best_level(rows, theta):
    """Laplace likelihood of UM.RS with the mean level, which the reference does not print, at its best."""
    from scipy.optimize import minimize_scalar

    data = informative(rows)
    start = np.log(data[2].sum() / (data[3] - data[2]).sum())
    found = minimize_scalar(
        lambda level: -random_levels(*data, np.array([level, *theta[1:]]), 1), bracket=(start - 0.5, start + 0.5)
    )
    return -found.fun


A, N1, C, N2 = (np.array(part, float) for part in ([4, 6, 3, 9], [23, 30, 31, 40], [11, 9, 11, 12], [39, 30, 20, 41]))


def test_fixed_levels_equal_plain_integration():
    mu, tau, levels = -0.6, 0.8, np.array([-1.0, -0.7, -0.9, -0.8])
    model = FixedLevels(A, N1, C, N2, (41, 200))

    def at(mu, tau, levels):
        return (part[..., 0, :] for part in model._studies(levels[None], np.array([mu]), np.array([tau])))

    def one(a, n1, c, n2, level):
        def density(u):
            half = (mu + tau * u) / 2
            first = special.xlogy(a, p := special.expit(level + half)) + special.xlog1py(n1 - a, -p)
            second = special.xlogy(c, q := special.expit(level - half)) + special.xlog1py(n2 - c, -q)
            return np.exp(first + second + 40) * stats.norm.pdf(u)

        return np.log(integrate.quad(density, -10, 10, epsabs=0, epsrel=1e-12)[0]) - 40

    value, score, hessian = at(mu, tau, levels)
    assert value == pytest.approx([one(*row, e) for *row, e in zip(A, N1, C, N2, levels, strict=True)], rel=1e-9)
    h = 1e-5
    for i, step in enumerate(np.eye(3) * h):
        ends = [list(at(mu + sign * step[0], tau + sign * step[1], levels + sign * step[2])) for sign in (1, -1)]
        assert score[i] == pytest.approx((ends[0][0] - ends[1][0]) / (2 * h), rel=1e-5, abs=1e-7)
        assert hessian[i] == pytest.approx((ends[0][1] - ends[1][1]) / (2 * h), rel=1e-5, abs=1e-7)


def test_random_levels_equal_plain_integration():
    theta = np.array([-0.9, -0.6, 0.5, 0.8])
    z, w = np.polynomial.hermite_e.hermegauss(80)
    weight = np.outer(w, w) / w.sum() ** 2
    total = 0.0
    for a, n1, c, n2 in zip(A, N1, C, N2, strict=True):
        e1 = theta[0] + theta[2] * z[:, None] + (theta[1] + theta[3] * z) / 2
        e2 = theta[0] + theta[2] * z[:, None] - (theta[1] + theta[3] * z) / 2
        log = a * e1 - n1 * np.logaddexp(0, e1) + c * e2 - n2 * np.logaddexp(0, e2)
        total += np.log((weight * np.exp(log)).sum())
    assert random_levels(A, N1, C, N2, theta, 21) == pytest.approx(total, rel=1e-9)


def test_the_standard_error_of_random_levels_does_not_hang_on_the_step(monkeypatch):
    first = glmm(A, N1, C, N2, model="UM.RS").se
    monkeypatch.setattr("cellclaims.meta.odds_ratio.DIFFERENCE", 2e-2)
    assert glmm(A, N1, C, N2, model="UM.RS").se == pytest.approx(first, rel=1e-5)


@pytest.mark.parametrize("model", MODELS)
def test_exchanging_groups_turns_the_sign(model):
    one, other = glmm(A, N1, C, N2, model=model), glmm(C, N2, A, N1, model=model)
    assert (one.beta, one.se) == pytest.approx((-other.beta, other.se), rel=1e-5)
    assert one.tau2 == pytest.approx(other.tau2, abs=1e-6)


def test_exchanging_events_turns_the_sign_where_levels_are_not_conditioned_on():
    for model in ("UM.FS", "UM.RS"):
        one, other = glmm(A, N1, C, N2, model=model), glmm(N1 - A, N1, N2 - C, N2, model=model)
        assert (one.beta, one.loglik) == pytest.approx((-other.beta, other.loglik), rel=1e-5)


def test_studies_that_say_nothing_change_nothing_but_the_count():
    one = glmm(A, N1, C, N2)
    other = glmm([*A, 0, 7], [*N1, 30, 7], [*C, 0, 8], [*N2, 33, 8])
    assert (other.k, other.k_all) == (4, 6) and any("weight zero" in words for words in other.flags)
    assert (one.beta, one.se, one.tau2) == pytest.approx((other.beta, other.se, other.tau2), rel=1e-9)


def test_limits_use_t_and_the_prediction_interval_k_minus_two():
    fit = glmm(A, N1, C, N2)
    assert fit.ci_ub - fit.beta == pytest.approx(stats.t.ppf(0.975, 3) * fit.se, rel=1e-10)
    assert fit.pi_ub - fit.beta == pytest.approx(stats.t.ppf(0.975, 2) * np.sqrt(fit.se**2 + fit.tau2), rel=1e-10)
    assert fit.p == pytest.approx(2 * stats.t.sf(abs(fit.stat), 3), rel=1e-9)


def test_separated_groups_have_no_finite_estimate():
    fit = glmm([0, 0, 0], [10, 12, 9], [2, 3, 1], [10, 12, 9])
    assert fit.beta == -np.inf and np.isnan(fit.se)
    assert any("no finite estimate" in words for words in fit.flags)


def test_refusals():
    with pytest.raises(PoolingError, match="together"):
        glmm([1, 2], [3, 4], [1, 2])
    with pytest.raises(PoolingError, match="model: expected one of UM"):
        glmm(A, N1, C, N2, model="CM.EL")
    with pytest.raises(PoolingError, match="whole counts"):
        glmm_odds_ratio([1.5], [3], [1], [4])
    with pytest.raises(PoolingError, match="non-events"):
        glmm_odds_ratio([0], [3], [0], [4])
    with pytest.raises(PoolingError, match="shape"):
        glmm([[1, 2]], [[3, 4]], [[1, 2]], [[3, 4]])
