"""The values that the analysis plan names, reached by a route of their own: SciPy, own quadrature, no cellclaims.meta.

The plan writes its inputs with two or three digits; a row whose value differs in its last digit says so.
"""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import optimize, special, stats

from cellclaims.pool import pooled
from cellclaims.question import Analysis, Question
from cellclaims.reporting.tables import pooled as pooled_table

from .made_up_trials import base, real

HBA1C = Question("hba1c", "T2D", "any_cells", designs="rct", name="hba1c", title="HbA1c")
OFF = Question("insulin_independence", "T2D", "any_cells", estimand="any_time", name="off", title="Off insulin")

#: What the plan names: study -> effect and SE. bhansali2014 there is rounded to -0.085 and 0.282.
EFFECTS = {
    "zang2022": (-0.68, 0.251),
    "bhansali2014": (-0.0846, 0.2822),
    "skyler2015": (-0.15, 0.2025),
    "chen2016": (-1.00, 0.2507),
}
COUNTS = {"hu2012": (18, 56), "estrada2008": (4, 15), "bhansali2009": (3, 10), "guan2015": (3, 6), "li2021": (3, 24)}


@functools.cache
def hba1c(**changed):
    return pooled(base(), replace(HBA1C, **changed), Analysis("MD"))


@functools.cache
def off(**changed):
    return pooled(base(), replace(OFF, **changed), Analysis("PLO"))


# --- one effect per trial, each from what is printed -------------------------------------------------------------


def zang():
    """-1.31 v -0.63, P = 0.0081, 45 and 46 randomised: t on 89 degrees of freedom."""
    difference = -1.31 - -0.63
    t = optimize.brentq(lambda x: 2 * stats.t.sf(x, 89) - 0.0081, 0.1, 20)
    return difference, abs(difference) / t


def luo_wan(low, median, high, n):
    """Mean by Luo 2018 and SD by Wan 2014, from quartiles."""
    share = 0.7 + 0.39 / n
    eta = 2 * stats.norm.ppf((0.75 * n - 0.125) / (n + 0.25))
    return share * (low + high) / 2 + (1 - share) * median, (high - low) / eta


def bhansali():
    """7.1 (6.6 to 7.5) in 11 v 7.0 (6.9 to 7.5) in 10."""
    (m, s), (c, d) = luo_wan(6.6, 7.1, 7.5, 11), luo_wan(6.9, 7.0, 7.5, 10)
    return m - c, math.sqrt(s**2 / 11 + d**2 / 10)


def skyler():
    """0.0 and -0.3, each SE 0.25 of 15 v 16, for three doses of 15."""
    sigma2 = 0.25**2 / (1 / 15 + 1 / 16)
    return (0.0 - 0.3) / 2, math.sqrt(sigma2 * (1 / 45 + 1 / 16))


def chen():
    """6.82 (SD 0.53) v 7.82 (0.31), 6 and 6."""
    return 6.82 - 7.82, math.sqrt(0.53**2 / 6 + 0.31**2 / 6)


ROUTES = {"zang2022": zang, "bhansali2014": bhansali, "skyler2015": skyler, "chen2016": chen}


@pytest.mark.parametrize("study", EFFECTS)
def test_each_effect_is_that_of_the_plan_and_of_its_own_route(study):
    row = hba1c().rows.set_index("study_id").loc[study]
    estimate, se = ROUTES[study]()
    assert (row.yi, math.sqrt(row.vi)) == (pytest.approx(estimate, abs=1e-4), pytest.approx(se, abs=1e-4))
    assert (row.yi, math.sqrt(row.vi)) == (
        pytest.approx(EFFECTS[study][0], abs=5e-4),
        pytest.approx(EFFECTS[study][1], abs=5e-4),
    )


def test_the_main_pool_has_these_four_trials_at_their_longest_follow_up():
    rows = hba1c().rows.set_index("study_id")
    assert rows.months.to_dict() == {"bhansali2014": 12.0, "skyler2015": 2.8, "chen2016": 5.5, "zang2022": 11.0}
    assert rows.direction.to_dict() == dict.fromkeys(rows.index, "") | {"bhansali2014": "unclear"}
    assert rows[["n", "n_control"]].loc["skyler2015"].tolist() == [45, 16]


# --- REML, Hartung-Knapp -----------------------------------------------------------------------------------------


def reml(y, v):
    def minus(tau2):
        w = 1 / (v + tau2)
        mean = (w * y).sum() / w.sum()
        return 0.5 * (-np.log(w).sum() + math.log(w.sum()) + (w * (y - mean) ** 2).sum())

    tau2 = optimize.minimize_scalar(minus, bounds=(0, 5), method="bounded", options={"xatol": 1e-12}).x
    w = 1 / (v + tau2)
    mean = (w * y).sum() / w.sum()
    spread = max(1.0, (w * (y - mean) ** 2).sum() / (len(y) - 1))
    reach = stats.t.ppf(0.975, len(y) - 1) * math.sqrt(spread / w.sum())
    return mean, mean - reach, mean + reach, tau2


def effects_without(*left):
    pairs = [ROUTES[study]() for study in ROUTES if study not in left]
    return np.array([y for y, _ in pairs]), np.array([se**2 for _, se in pairs])


#: Studies left out -> estimate and limits of the plan. The main one is -0.476 here: the plan rounded its inputs.
REML = {(): (-0.475, -1.17, 0.22), ("chen2016",): (-0.30, -1.10, 0.50), ("bhansali2014",): (-0.59, -1.69, 0.50)}


@pytest.mark.parametrize("left", REML, ids=lambda left: "without " + "".join(left))
def test_the_pools_of_hba1c_are_those_of_the_plan(left):
    fit = hba1c(exclude=left).fit
    mine = reml(*effects_without(*left))
    found = (float(fit.beta), float(fit.ci_lb), float(fit.ci_ub), float(fit.tau2))
    assert found == pytest.approx(mine, abs=2e-3)
    assert found[:3] == pytest.approx(REML[left], abs=0.011)


def test_heterogeneity_of_the_main_pool():
    """The plan: tau2 0.130, I2 69%, Q 9.54 on 3 df. With unrounded inputs 0.129, 68.4% and 9.52."""
    pool = hba1c()
    y, v = effects_without()
    w = 1 / v
    q = (w * (y - (w * y).sum() / w.sum()) ** 2).sum()
    typical = 3 / (w.sum() - (w**2).sum() / w.sum())
    assert (pool.tau2, pool.Q) == (pytest.approx(reml(y, v)[3], abs=1e-3), pytest.approx(q, abs=5e-3))
    share = 100 * pool.tau2 / (pool.tau2 + typical)
    assert abs(pool.I2 - share) < 0.05
    assert pool.Q_p == pytest.approx(stats.chi2.sf(q, 3), abs=1e-4)
    assert (pool.tau2, pool.I2, pool.Q) == (
        pytest.approx(0.130, abs=2e-3),
        pytest.approx(69, abs=1),
        pytest.approx(9.54, abs=0.03),
    )


def bayes_of_means(y, v, scale, level=0.95):
    """Limits of the mean and of a similar centre by own quadrature over tau, and root finding."""
    tau, weight = np.polynomial.legendre.leggauss(400)
    tau, weight = 6 * scale * (tau + 1) / 2, 3 * scale * weight
    w = 1 / (v + tau[:, None] ** 2)
    mean, variance = (w * y).sum(1) / w.sum(1), 1 / w.sum(1)
    log = stats.halfnorm.logpdf(tau, scale=scale) + 0.5 * (np.log(w).sum(1) + np.log(variance))
    log -= 0.5 * (w * (y - mean[:, None]) ** 2).sum(1)
    p = weight * np.exp(log - log.max())
    p /= p.sum()

    def limit(q, sd):
        return optimize.brentq(lambda x: (p * stats.norm.cdf(x, mean, sd)).sum() - q, -20, 20)

    ends = ((1 - level) / 2, (1 + level) / 2)
    return [limit(q, sd) for sd in (np.sqrt(variance), np.sqrt(variance + tau**2)) for q in ends]


@pytest.mark.parametrize("scale", [0.25, 0.5, 1.0])
def test_the_bayesian_intervals_of_hba1c(scale):
    fit = hba1c().bayes_at(scale)
    mine = bayes_of_means(*effects_without(), scale)
    assert [fit.ci_lb, fit.ci_ub, fit.pi_lb, fit.pi_ub] == pytest.approx(mine, abs=2e-3)
    if scale == 0.5:  # the plan: about -1.00 to 0.04
        assert (fit.ci_lb, fit.ci_ub) == (pytest.approx(-1.00, abs=0.01), pytest.approx(0.04, abs=0.01))


def test_the_subgroups_by_follow_up_have_two_trials_each():
    for months, studies in {(2.75, 8.99): {"skyler2015", "chen2016"}, (9, 15): {"bhansali2014", "zang2022"}}.items():
        pool = hba1c(months=months)
        assert set(pool.rows.study_id) == studies and pool.fit is None


def test_the_middle_dose_moves_the_trial_between_the_two_alternatives():
    for anomaly, value in {"a56": -0.10, "a103": -0.20}.items():
        rows = hba1c(alternative=(anomaly,)).rows.set_index("study_id")
        assert (rows.yi["skyler2015"], rows.vi["skyler2015"]) == (value, pytest.approx(0.2025**2))


def test_the_final_values_of_zang_are_the_sensitivity_analysis():
    rows = hba1c(alternative=("a01",)).rows.set_index("study_id")
    assert rows.yi["zang2022"] == pytest.approx(7.52 - 8.19)


def test_the_correlation_that_zangs_own_numbers_imply():
    """SDs before and after of both arms, and the P value of the changes: r = 0.43 (87 to 89 df)."""

    def p_value(r, df):
        change = [s**2 + e**2 - 2 * r * s * e for s, e in ((1.27, 1.07), (1.11, 1.02))]
        return 2 * stats.t.sf(0.68 / math.sqrt(change[0] / 45 + change[1] / 46), df)

    for df in (87, 89):
        assert optimize.brentq(lambda r, df=df: p_value(r, df) - 0.0081, 0.0, 0.9) == pytest.approx(0.43, abs=0.01)


def test_within_arms_the_placebo_change_is_that_reported():
    question = replace(HBA1C, arms="control", exclude=())
    rows = pooled(base(), question, Analysis("MC")).rows.set_index("study_id")
    assert rows.yi["zang2022"] == -0.63
    assert "from the means \N{MINUS SIGN}0.70" in rows.detail["zang2022"]


# --- binomial-normal ---------------------------------------------------------------------------------------------


#: The standard normal by the trapezoid rule.
Z = np.linspace(-8, 8, 641)
WEIGHT = stats.norm.pdf(Z) * (Z[1] - Z[0])


def binomial(counts):
    """Maximum likelihood by the trapezoid rule, the SE from a numerical Hessian, limits by t on the logit."""
    x, n = (np.array(c, float) for c in zip(*counts, strict=True))

    def minus(at):
        mean, tau = at[0], abs(at[1])
        if tau < 1e-4:
            return -stats.binom.logpmf(x, n, special.expit(mean)).sum()
        chances = stats.binom.pmf(x, n, special.expit(mean + tau * Z[:, None]))
        return -np.log(WEIGHT @ chances).sum()

    start = special.logit(x.sum() / n.sum())
    best = min(
        (
            optimize.minimize(minus, (start, tau), method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-11})
            for tau in (0.05, 0.6)
        ),
        key=lambda found: found.fun,
    )
    mean, tau = best.x[0], abs(best.x[1])
    if minus((start, 0.0)) <= best.fun + 1e-7:
        mean, tau, se = start, 0.0, math.sqrt(1 / x.sum() + 1 / (n - x).sum())
    else:
        step, f = 1e-3, minus
        aa = (f((mean + step, tau)) - 2 * f((mean, tau)) + f((mean - step, tau))) / step**2
        bb = (f((mean, tau + step)) - 2 * f((mean, tau)) + f((mean, tau - step))) / step**2
        ab = (
            f((mean + step, tau + step)) - f((mean + step, tau - step))
            - f((mean - step, tau + step)) + f((mean - step, tau - step))
        ) / (4 * step**2)  # fmt: skip
        se = math.sqrt(np.linalg.inv([[aa, ab], [ab, bb]])[0, 0])
    reach = stats.t.ppf(0.975, len(x) - 1) * se
    return [100 * special.expit(v) for v in (mean, mean - reach, mean + reach)]


SECONDARY = ("hu2012", "estrada2008")
#: Question -> counts, and what the plan says of them in percent.
PROPORTIONS = {
    "five cohorts": ({}, COUNTS, (27.9, 17.7, 41.1)),
    "without secondary counts": (
        {"secondary": False},
        {study: count for study, count in COUNTS.items() if study not in SECONDARY},
        (23.9, 3.7, 72.2),
    ),
    "with the two pages that are not scientific": (
        {"alternative": ("not_scientific", "a03")},
        COUNTS | {"zang2022": (5, 37), "wu2014": (3, 40)},
        (20.1, 11.1, 33.7),
    ),
}


@pytest.mark.parametrize("name", PROPORTIONS)
def test_the_pools_of_off_insulin_are_those_of_the_plan(name):
    changed, counts, plan = PROPORTIONS[name]
    pool = off(**changed)
    rows = {row.study_id: (row.events, row.n) for row in pool.rows.itertuples()}
    assert rows == counts
    found = [pool.shown(float(getattr(pool.fit, part))) for part in ("beta", "ci_lb", "ci_ub")]
    assert found == pytest.approx(binomial(counts.values()), abs=0.06)
    assert found == pytest.approx(plan, abs=0.051)


#: Bounds that stand with the main pool as sensitivity lines.
BOUNDS = {
    "the 25 treated for estrada2008": ({"alternative": ("a76",)}, COUNTS | {"estrada2008": (4, 25)}),
    "zang2022 of 45": (
        {"alternative": ("not_scientific", "a03", "a104")},
        COUNTS | {"zang2022": (5, 45), "wu2014": (3, 40)},
    ),
    "without hu2012": ({"exclude": ("hu2012",)}, {s: c for s, c in COUNTS.items() if s != "hu2012"}),
    "cells alone": ({"co_treatments": False}, {s: c for s, c in COUNTS.items() if s != "estrada2008"}),
}


@pytest.mark.parametrize("name", BOUNDS)
def test_the_bounds_of_off_insulin(name):
    changed, counts = BOUNDS[name]
    pool = off(**changed)
    assert {row.study_id: (row.events, row.n) for row in pool.rows.itertuples()} == counts
    found = [pool.shown(float(getattr(pool.fit, part))) for part in ("beta", "ci_lb", "ci_ub")]
    assert found == pytest.approx(binomial(counts.values()), abs=0.06)


def test_the_row_of_the_main_pool_says_what_it_rests_on():
    """More than half of the weight comes from tables of reviews: the pool without them stands in the same row."""
    row = " ".join(str(cell) for cell in pooled_table([off()], "Pools").cells[0])
    assert "from tables of published reviews; without them: 23.9% (3.7% to 72.2%; k = 3)" in row
    assert "hyperbaric oxygen" in row
    assert "Hu 2012 has" in row


def test_islets_ever_are_predicted_wider_than_their_mean():
    """The plan: 71.5 to 79.1% by t where tau2 is 0, and 49.9 to 90.6% by Bayes."""
    pool = pooled(
        base(), Question("insulin_independence", "T1D", "islets", estimand="ever", name="n", title="t"), Analysis("PLO")
    )
    assert pool.shown(pool.bayes.pi_ub) - pool.shown(pool.bayes.pi_lb) > 20
    assert pool.bayes.pi_lb < pool.bayes.ci_lb < pool.bayes.ci_ub < pool.bayes.pi_ub


def test_no_count_that_its_own_median_contradicts_is_status_at_a_month():
    """bhansali2014: a median of 7.1% in 11 leaves at most 5 below 7% at month 12."""
    rows = real().binary
    mine = rows[
        (rows.study_id == "bhansali2014") & rows.definition_id.isin(["hba1c_lt_7", "insulin_halved_and_hba1c_lt_7"])
    ]
    assert len(mine) == 4 and set(mine.timing) == {"not_stated"}
