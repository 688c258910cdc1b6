"""The answers that the review must reproduce from its evidence, each with the rows that it rests on.

Where a number is printed with four digits, half of the last one is the tolerance: :data:`PRINTED`.
"""

from __future__ import annotations

import functools

import pytest

from cellclaims.claims import advertised_rates, entry_with, own_trials
from cellclaims.pool import pooled
from cellclaims.question import Analysis
from cellclaims.selection import ESTIMANDS, Question

from .made_up_trials import base, real

#: Printed with four digits after the point.
PRINTED = 5e-5
#: Printed as a percentage with one digit, on the scale of a proportion.
PERCENT = 5e-4

ISLETS = Question("insulin_independence", ("T1D",), "islets")
CELLS = Question("insulin_independence", ("T2D",), "any_cells", estimand="most_favourable")
HBA1C = Question("hba1c", ("T2D",), "any_cells", designs=("rct",))

#: Status at 12 months after allogeneic islets, independent cohorts: report -> (events, n).
FIFTEEN = {
    "badet2007": (3, 10),
    "bellin2008": (5, 6),
    "benhamou2001": (2, 10),
    "emory_nct00133809": (5, 8),
    "froud2005": (11, 16),
    "gerber2008": (4, 13),
    "gillard2008": (2, 10),
    "hirshberg2003": (3, 6),
    "lantidra2023": (20, 30),
    "leiden_iak": (8, 29),
    "markmann2021": (9, 24),
    "miami_nct00315588": (2, 7),
    "shapiro2006": (16, 36),
    "westmead2015": (8, 21),  # holds patients of oconnell2013 (8 of 17), the same cohort
    "wisel2023": (7, 10),
}
#: Insulin independence in type 2 diabetes, the most favourable report of each cohort.
FIVE = {
    "bhansali2009": (3, 10),
    "estrada2008": (4, 15),
    "guan2015": (3, 6),
    "hu2012": (18, 56),
    "li2021": (3, 24),
}


@functools.cache
def proportion(question):
    return pooled(base(), question.named("name", "title"), Analysis("PLO"))


def counts(pool):
    return {r.study_id: (r.events, r.n) for r in pool.rows.itertuples()}


# --- islets ------------------------------------------------------------------------------------------------------


def test_fifteen_studies_count_105_of_236_at_twelve_months_after_islets():
    """A registry record of four participants (baylor_nct00214786, 1 of 4) is listed, not pooled."""
    pool = proportion(ISLETS)
    assert counts(pool) == FIFTEEN
    assert (pool.k, pool.rows.events.sum(), pool.rows.n.sum()) == (15, 105, 236)


def test_the_binomial_normal_model_gives_44_per_cent_after_islets():
    fit = proportion(ISLETS).fit
    assert proportion(ISLETS).settings["nodes"] == 15
    assert (fit.beta, fit.se) == (pytest.approx(-0.2317, abs=PRINTED), pytest.approx(0.2003, abs=PRINTED))
    assert fit.tau2 == pytest.approx(0.2774, abs=PRINTED)
    assert fit.df == 14


def test_the_proportion_after_islets_lies_between_34_and_55_per_cent():
    """As recomputed by ``test_recompute.py``: 44.2% (34.0 to 54.9)."""
    pool = proportion(ISLETS)
    assert pool.back(pool.fit.beta) == pytest.approx(0.442, abs=PERCENT)
    assert pool.back(pool.fit.ci_lb) == pytest.approx(0.340, abs=PERCENT)
    assert pool.back(pool.fit.ci_ub) == pytest.approx(0.549, abs=PERCENT)


def test_the_two_figures_that_an_anomaly_changes_are_changed_and_flagged():
    rows = proportion(ISLETS).rows.set_index("study_id")
    assert rows.note["froud2005"].startswith("a48: ") and "(reported: 14)" in rows.note["froud2005"]
    assert "a55: " in rows.note["gillard2008"] and "(reported: 5)" in rows.note["gillard2008"]


@pytest.mark.parametrize(
    "question", [ISLETS, CELLS, *(Question("insulin_independence", ("T1D",), "islets", estimand=e) for e in ESTIMANDS)]
)
def test_no_two_reports_of_a_pool_share_a_cohort(question):
    cohorts = []
    for row in proportion(question).rows.itertuples():
        mine = real().cohorts[real().cohorts.study_id == row.study_id]
        cohorts += sorted(set(mine.cohort_id[mine.arm_id.isin(["", *row.arm_id.split("+")])]))
    assert len(cohorts) == len(set(cohorts)) >= proportion(question).k


def test_reports_that_share_patients_are_left_out_by_name():
    reasons = proportion(Question("insulin_independence", ("T1D",), "islets", estimand="ever")).left_out
    shared = reasons[reasons.reason.str.startswith("shares patients")].set_index("study_id").reason
    assert len(shared) > 0
    kept = proportion(Question("insulin_independence", ("T1D",), "islets", estimand="ever")).rows.study_id
    assert set(shared.str.extract(r"with (\S+), which is counted")[0]) <= set(kept)


# --- cells in type 2 diabetes ------------------------------------------------------------------------------------


def test_five_cohorts_count_31_of_111_off_insulin_in_type_2_diabetes():
    pool = proportion(CELLS)
    assert counts(pool) == FIVE
    assert (pool.k, pool.rows.events.sum(), pool.rows.n.sum()) == (5, 31, 111)
    assert (pool.fit.beta, pool.fit.tau2) == (pytest.approx(-0.9480, abs=PRINTED), 0.0)
    assert pool.back(pool.fit.beta) == pytest.approx(0.279, abs=PERCENT)


def test_none_of_the_five_had_a_control_group_with_the_outcome():
    pool = pooled(base(), CELLS.named("name", "title"), Analysis("RD"))
    assert (pool.k, pool.fit) == (0, None)


def test_status_at_a_month_was_counted_by_two_reports_in_type_2_diabetes():
    at_month = Question("insulin_independence", ("T2D",), "any_cells", window=3.0)
    assert counts(proportion(at_month)) == {"bhansali2014b": (1, 10), "estrada2008": (4, 15)}


def test_no_report_of_cells_counts_patients_who_stopped_insulin_and_every_other_drug():
    stopped = Question("all_glucose_lowering_drugs_stopped", ("T2D",), "any_cells", estimand="most_favourable")
    assert counts(proportion(stopped)) == {}
    assert proportion(stopped).label == "no eligible study"


def test_one_report_counts_hypoglycaemic_agents_and_does_not_name_insulin():
    agents = Question("hypoglycaemic_agents_stopped", ("T2D",), "any_cells", estimand="most_favourable")
    assert counts(proportion(agents)) == {"lian2022": (1, 16)}
    assert proportion(agents).label == "one study: its own result"


def test_half_the_insulin_with_good_control_in_the_two_blinded_trials():
    halved = Question("insulin_halved_and_hba1c_lt_7", ("T2D",), "any_cells", estimand="most_favourable")
    pool = pooled(base(), halved.named("name", "title"), Analysis("RD"))
    found = {r.study_id: (r.events, r.n, r.events_control, r.n_control) for r in pool.rows.itertuples()}
    assert found == {"zang2022": (9, 45, 2, 44), "bhansali2014": (9, 11, 0, 10)}
    assert set(pool.rows.design) == {"rct"}


# --- HbA1c -------------------------------------------------------------------------------------------------------


def test_four_randomised_trials_answer_for_hba1c_in_type_2_diabetes():
    """Their effects and the pool: ``test_answer_values.py``."""
    pool = pooled(base(), HBA1C.named("name", "title"), Analysis("MD"))
    assert pool.rows.study_id.tolist() == ["bhansali2014", "skyler2015", "chen2016", "zang2022"]
    assert pool.label == "few studies"
    details = dict(zip(pool.rows.study_id, pool.rows.detail, strict=True))
    assert details["zang2022"] == "reported changes, SE from P value"


# --- estimands and claims ----------------------------------------------------------------------------------------


def test_the_four_estimands_give_four_different_pools_after_islets():
    found = [proportion(Question("insulin_independence", ("T1D",), "islets", estimand=e)) for e in ESTIMANDS]
    assert len({tuple(sorted(counts(pool).items())) for pool in found}) == 4
    by_name = dict(zip(ESTIMANDS, found, strict=True))
    assert by_name["ever"].fit.beta > by_name["at_month"].fit.beta


def test_the_clinics_own_trial_is_one_uncontrolled_report():
    assert own_trials(real()) == ["liu2014"]
    study = real().studies.set_index("study_id").loc["liu2014"]
    assert study.design == "single_arm"
    arms = real().arms[real().arms.study_id == "liu2014"]
    assert arms.n_enrolled.tolist() == [22]


@pytest.mark.parametrize(
    ("claim_id", "published", "finding"),
    [
        ("half_dose_2016", {"zang2022": (9, 45, 2, 44), "bhansali2014": (9, 11, 0, 10)}, "studies disagree"),
        ("stop_all_2016", {}, "cannot be assessed"),  # lian2022 does not name insulin
    ],
)
def test_an_advertised_percentage_meets_these_studies_and_this_finding(claim_id, published, finding):
    entry = entry_with(advertised_rates(base()), claim_id)
    found = {s["study_id"]: (s["events"], s["n"], s["control"]["events"], s["control"]["n"]) for s in entry.studies}
    assert found == published
    assert entry.finding == finding
