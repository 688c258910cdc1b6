"""Pools without each study, by year and in all subsets, and what the software changes: each by another route."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import integrate, optimize, special, stats

from cellclaims import appraisal, meta, reporting, robustness
from cellclaims.errors import PoolingError
from cellclaims.pool import pooled
from cellclaims.question import Analysis, Question

from .made_up_trials import base

T2D = {"population": "T2D", "product": "any_cells"}


@pytest.fixture(scope="module")
def off():
    asked = Question("insulin_independence", estimand="most_favourable", **T2D).named("off", "Off insulin")
    return pooled(base(), asked, Analysis("PLO"))


@pytest.fixture(scope="module")
def hba1c():
    return pooled(base(), Question("hba1c", designs="rct", **T2D).named("hba1c", "HbA1c"), Analysis("MD"))


@pytest.fixture(scope="module")
def islets():
    return pooled(base(), Question("insulin_independence", "T1D", "islets").named("islets", "Islets"), Analysis("PLO"))


def test_without_a_study_the_others_are_pooled_and_no_other_report_comes_in(off):
    found = appraisal.without_each(off)
    assert list(found.label) == list(off.rows.label) and set(found.k) == {off.k - 1}
    for place, line in enumerate(found.itertuples()):
        rows = off.rows.drop(index=place)
        fit = meta.glmm(rows.events.to_numpy(), rows.n.to_numpy(), test="t")
        assert line.estimate == pytest.approx(100 * special.expit(float(fit.beta)))


def test_a_difference_without_each_study_is_that_of_the_engine(hba1c):
    found = appraisal.without_each(hba1c)
    left_out = robustness.leave_one_out(hba1c.fit)
    assert found.estimate.to_numpy() == pytest.approx(np.asarray(left_out.beta))
    assert found.low.to_numpy() == pytest.approx(np.asarray(left_out.ci_lb))


def test_one_more_study_at_a_time_ends_in_the_pool(islets):
    found = appraisal.by_year(islets)
    assert list(found.k) == list(range(3, islets.k + 1))
    assert found.estimate.iloc[-1] == pytest.approx(islets.shown(float(islets.fit.beta)))
    years = dict(zip(islets.rows.label, islets.rows.year, strict=True))
    known = [year for name in found.label if np.isfinite(year := years[name.removeprefix("+ ")])]
    assert known == sorted(known)


def test_small_pools_have_no_such_analysis(hba1c):
    few = pooled(base(), replace(hba1c.question, exclude=("chen2016", "skyler2015")), Analysis("MD"))
    assert appraisal.without_each(few).empty and appraisal.by_year(few).empty
    said = [[str(cell) for cell in row] for row in reporting.leave_one_out_table([few]).cells]
    assert said[0][3] == "fewer than four studies"
    assert reporting.refit_marks(few).empty


def test_the_table_names_the_study_that_moves_the_answer_most(off):
    (row,) = reporting.leave_one_out_table([off]).cells
    found = appraisal.without_each(off)
    assert str(row[3]).endswith(f"without {found.label[found.estimate.idxmin()]}")
    assert str(row[4]).endswith(f"without {found.label[found.estimate.idxmax()]}")


def test_all_subsets_are_of_another_model_and_say_so(islets):
    effects = appraisal.as_effects(islets)
    subsets = robustness.all_subsets(effects)
    said = reporting.gosh_words(islets, subsets)
    assert f"All {2**islets.k - 1 - islets.k:,} subsets" in said
    assert "another model than the pool" in said
    with pytest.raises(PoolingError, match="two studies or more"):
        appraisal.as_effects(replace(islets, rows=islets.rows.head(1)))


def test_no_funnel_below_ten_studies_and_the_page_says_why(islets, off):
    said = reporting.small_study_words([islets, off], 10)
    assert f"(k = {islets.k}): regression on 1/n" in said
    assert "No funnel plot is shown where the other answers have fewer than 10 studies" in said


def test_statsmodels_gives_the_same_numbers(hba1c, off, islets):
    table = reporting.second_opinion_table([hba1c, off, islets])
    assert len(table.cells) > 80
    for pool in (hba1c, off, islets):
        found = robustness.second_opinion(appraisal.as_effects(pool))
        assert found.difference.abs().max() < 1e-6
    assert "differ by" in reporting.second_opinion_words([hba1c, off])


def test_reml_of_the_main_pool_is_that_of_own_quadrature(hba1c):
    """The restricted likelihood is the likelihood integrated over the mean, here by quadrature and not by algebra."""
    y, v = hba1c.rows.yi.to_numpy(float), hba1c.rows.vi.to_numpy(float)

    def restricted(tau2: float) -> float:
        centre = np.average(y, weights=1 / (v + tau2))
        top = stats.norm.logpdf(y, centre, np.sqrt(v + tau2)).sum()
        area, _ = integrate.quad(
            lambda mu: np.exp(stats.norm.logpdf(y, mu, np.sqrt(v + tau2)).sum() - top), centre - 8, centre + 8,
            points=[centre], epsabs=1e-13,
        )  # fmt: skip
        return top + np.log(area)

    best = optimize.minimize_scalar(lambda tau2: -restricted(tau2), bounds=(1e-6, 3.0), method="bounded",
                                    options={"xatol": 1e-9})  # fmt: skip
    assert float(hba1c.fit.tau2) == pytest.approx(best.x, abs=1e-5)
    weight = 1 / (v + best.x)
    assert float(hba1c.fit.beta) == pytest.approx(np.average(y, weights=weight), abs=1e-6)
    spread = (weight * (y - np.average(y, weights=weight)) ** 2).sum() / (len(y) - 1)
    reach = stats.t.ppf(0.975, len(y) - 1) * np.sqrt(max(spread, 1.0) / weight.sum())
    assert float(hba1c.fit.ci_ub - hba1c.fit.beta) == pytest.approx(reach, abs=1e-5)
