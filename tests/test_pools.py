"""A pool: its fit from its own rows, its settings in words, its k = 0, 1, 2 and 5, and every row that it left out."""

from __future__ import annotations

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from scipy import special, stats

from cellclaims import meta
from cellclaims.pool import ROW_COLUMNS, label, link, pooled, switched
from cellclaims.question import Analysis
from cellclaims.selection import EvidenceBase, Question

from .made_up_trials import MadeUp, base, real, rules

ISLETS = Question("insulin_independence", ("T1D",), "islets")
CELLS = Question("hba1c", ("T2D",), "msc")
BOTH = Question("insulin_halved_and_hba1c_lt_7", ("T2D",), "any_cells", estimand="most_favourable")

COUNTS = [(3, 10), (12, 40), (9, 25), (2, 20), (16, 30)]
#: Closed formulas in floating point.
EXACT = 1e-12


def counted(*counts):
    """One made-up report of islets for each (events, n)."""
    made = MadeUp()
    for number, (events, n) in enumerate(counts):
        made.study(f"r{number}", year=2001.0 + number).arm(f"r{number}", n=n).count(f"r{number}", events, n)
    return made.evidence()


def proportion(evidence, question=ISLETS):
    return pooled(EvidenceBase(evidence, rules()), question.named("name", "title"), Analysis("PLO"))


def trials(*differences):
    """One made-up randomised trial for each (difference of HbA1c, SE) as its source reports it."""
    made = MadeUp()
    for number, (estimate, se) in enumerate(differences):
        made.trial(f"r{number}").contrast(f"r{number}", estimate=estimate, se=se)
    return made.evidence()


def difference(evidence, question=CELLS, **more):
    return pooled(EvidenceBase(evidence, rules()), question.named("name", "title"), Analysis("MD", **more))


def controlled(*tables):
    """One made-up trial for each (events with cells, n, events without, n)."""
    made = MadeUp()
    counted_as = {"outcome": "composite_primary", "definition_id": BOTH.outcome, "timing": "ever"}
    for number, (a, n1, c, n2) in enumerate(tables):
        made.trial(f"r{number}")
        made.count(f"r{number}", a, n1, "cells", **counted_as).count(f"r{number}", c, n2, "sham", **counted_as)
    return made


def risk_difference(made):
    return pooled(made.base(), BOTH.named("name", "title"), Analysis("RD"))


# --- how many reports --------------------------------------------------------------------------------------------

LABELS = {
    0: "no eligible study", 1: "one study: its own result", 2: "two studies: shown side by side, not pooled",
    3: "few studies", 4: "few studies", 5: "",
}  # fmt: skip
MAKES = {
    "proportion": lambda k: proportion(counted(*COUNTS[:k])),
    "difference": lambda k: difference(trials(*[(-0.5 - n / 10, 0.2) for n in range(k)])),
    "risk difference": lambda k: risk_difference(controlled(*[(5 + n, 20, n, 20) for n in range(k)])),
}


@pytest.mark.parametrize("k", LABELS)
@pytest.mark.parametrize("make", MAKES)
def test_a_pool_says_how_many_reports_it_has(make, k):
    pool = MAKES[make](k)
    assert (pool.k, pool.label) == (k, LABELS[k])
    assert list(pool.rows.columns) == list(ROW_COLUMNS)
    assert (pool.fit is None) == (k in (0, 2))
    assert pool.is_pooled == (k >= 3)
    if pool.fit is not None:
        assert pool.rows.weight.sum() == pytest.approx(100)
        assert pool.fit.k == k
    assert (pool.bayes is None) == (k < 3 or make == "risk difference")
    assert np.isnan([pool.tau2, pool.I2, pool.Q, pool.Q_p]).all() == (k < 3)


def test_the_smallest_number_that_is_pooled_is_the_protocols_and_no_rule_of_the_engine():
    own = EvidenceBase(trials((-0.6, 0.2), (-0.1, 0.3)), rules())
    models = {**own.protocol["models"], "fewest_pooled": 2}
    other = replace(own, protocol=replace(own.protocol, content={**own.protocol.content, "models": models}))
    question = CELLS.named("name", "title")
    assert pooled(own, question, Analysis("MD")).fit is None
    made = pooled(other, question, Analysis("MD"))
    assert made.fit.beta == pytest.approx(meta.fit([-0.6, -0.1], [0.04, 0.09], test="adhoc").beta)


# --- what is led with: the Bayesian fit --------------------------------------------------------------------------


def test_the_prior_is_the_protocols_unless_another_is_asked_for():
    pool = MAKES["difference"](5)
    assert pool.bayes.prior.tau_scale == rules()["models"]["bayes"]["scale"]["hba1c"] == 0.5
    assert MAKES["proportion"](5).bayes.prior.tau_scale == rules()["models"]["bayes"]["scale"]["logit"] == 1.0
    assert pool.prior_scales == (0.25, 0.5, 1.0)
    wide, narrow = pool.bayes_at(1.0), pool.bayes_at(0.25)
    assert wide.pi_ub - wide.pi_lb > narrow.pi_ub - narrow.pi_lb
    assert pool.bayes_at(0.5) is pool.bayes
    assert difference(trials(*[(-0.5, 0.2)] * 3), prior=0.1).bayes.prior.tau_scale == 0.1


@pytest.mark.parametrize("make", ["proportion", "difference"])
@pytest.mark.parametrize("k", [3, 5])
def test_no_prediction_is_narrower_than_the_interval_of_the_mean_of_the_same_kind(make, k):
    pool = MAKES[make](k)
    for scale in pool.prior_scales:
        fit = pool.bayes_at(scale)
        assert fit.pi_lb < fit.ci_lb < fit.ci_ub < fit.pi_ub
    assert pool.fit.pi_lb <= pool.fit.ci_lb and pool.fit.ci_ub <= pool.fit.pi_ub


# --- cautions ----------------------------------------------------------------------------------------------------


def cautions(pool):
    return {caution.kind: caution for caution in pool.cautions}


def test_a_study_with_over_half_of_the_weight_is_named():
    assert "one_study" not in cautions(proportion(counted((5, 20), (6, 20), (7, 20))))
    found = cautions(proportion(counted((5, 20), (60, 200), (7, 20))))["one_study"]
    assert (found.study, found.value > 50) == ("Invented 2002", True)


def reviewed(n):
    """Three studies of 20, and one of n whose numbers come from a table of a review."""
    made = MadeUp()
    for name in ("one", "two", "three"):
        made.study(name).arm(name).count(name, 5, 20)
    return made.study("said", source="secondary").arm("said", n=n).count("said", n // 2, n)


@pytest.mark.parametrize(("n", "is_due"), [(18, False), (24, True)])
def test_a_quarter_of_the_weight_from_tables_of_reviews_comes_with_the_pool_without_them(n, is_due):
    pool = proportion(reviewed(n).evidence())
    assert ("secondary" in cautions(pool)) == is_due == (pool.weight_from_secondary >= 25)
    rest = pool.without_secondary
    assert (rest is not None) == is_due
    if is_due:
        assert rest.rows.study_id.tolist() == ["one", "three", "two"] and not rest.rows.secondary.any()


def test_no_heterogeneity_where_the_studies_differ_is_a_caution():
    alike = difference(trials((-0.6, 0.2), (-0.5, 0.3), (-0.7, 0.25)))
    assert "hidden_heterogeneity" not in cautions(alike)
    fit = SimpleNamespace(tau2=0.0, I2=0.0, Q=12.0, Q_p=0.04, beta=-0.6)
    assert cautions(replace(alike, fit=fit))["hidden_heterogeneity"].value == 0.04
    assert "hidden_heterogeneity" not in cautions(replace(alike, fit=SimpleNamespace(**{**vars(fit), "Q_p": 0.2})))


def test_without_a_report_no_interval_is_named():
    assert proportion(counted()).settings["interval"] == "none"


# --- proportions -------------------------------------------------------------------------------------------------


def test_one_report_is_shown_with_its_own_exact_limits():
    pool = proportion(counted((3, 10)))
    low, high = (pool.back(x) for x in (pool.fit.ci_lb, pool.fit.ci_ub))
    assert (low, high) == (pytest.approx(stats.beta.ppf(0.025, 3, 8)), pytest.approx(stats.beta.ppf(0.975, 4, 7)))
    assert pool.settings["interval"] == "Clopper-Pearson"
    assert math.isnan(pool.fit.pi_lb)
    assert pool.back(pool.fit.beta) == pytest.approx(0.3)


def test_several_reports_get_an_interval_by_t_on_the_logit():
    pool = proportion(counted(*COUNTS))
    assert pool.settings["interval"] == "t with 4 df on the logit"
    assert pool.fit.ci_ub - pool.fit.beta == pytest.approx(stats.t.ppf(0.975, 4) * pool.fit.se)


@pytest.mark.parametrize("counts", [[(0, 10), (0, 20), (0, 5)], [(10, 10), (20, 20), (5, 5)]], ids=["none", "all"])
def test_without_events_or_with_events_only_nothing_is_pooled_and_each_study_has_its_own_limits(counts):
    pool = proportion(counted(*counts))
    assert (pool.fit, pool.bayes, pool.is_pooled, pool.label) == (None, None, False, "no events: not pooled")
    assert pool.settings["interval"] == "Clopper-Pearson"
    limits = [(pool.back(row.ci_lb), pool.back(row.ci_ub)) for row in pool.rows.itertuples()]
    exact = [
        (stats.beta.ppf(0.025, x, n - x + 1) if x else 0.0, stats.beta.ppf(0.975, x + 1, n - x) if x < n else 1.0)
        for x, n in counts
    ]
    assert limits == [pytest.approx(pair) for pair in exact]


def test_the_limits_of_each_report_are_its_exact_ones():
    rows = proportion(counted(*COUNTS)).rows
    for row in rows.itertuples():
        x, n = row.events, row.n
        assert special.expit(row.ci_lb) == pytest.approx(stats.beta.ppf(0.025, x, n - x + 1))
        assert special.expit(row.ci_ub) == pytest.approx(stats.beta.ppf(0.975, x + 1, n - x))
        assert (row.yi, row.vi) == (pytest.approx(math.log(x / (n - x))), pytest.approx(1 / x + 1 / (n - x)))


def test_the_weights_are_the_information_at_the_pooled_share():
    pool = proportion(counted(*COUNTS))
    p, n = pool.back(pool.fit.beta), pool.rows.n.to_numpy()
    information = 1 / (1 / (n * p * (1 - p)) + pool.fit.tau2)
    assert pool.rows.weight.to_numpy() == pytest.approx(100 * information / information.sum(), rel=EXACT)


def test_a_report_without_events_is_pooled_from_its_count_and_not_from_an_invented_one():
    pool = proportion(counted((0, 12), (5, 12), (4, 12)))
    assert pool.rows.events.tolist() == [0, 5, 4]
    assert pool.rows.yi[0] == -math.inf and math.isfinite(pool.fit.beta)
    assert pool.rows.weight.tolist() == pytest.approx([100 / 3] * 3)


@settings(
    max_examples=8, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate)
)  # a fit takes longer while the machine is busy
@given(st.permutations(COUNTS))
def test_the_order_of_the_reports_changes_nothing(counts):
    one, other = proportion(counted(*COUNTS)), proportion(counted(*counts))
    assert one.fit.beta == pytest.approx(other.fit.beta, abs=1e-9)  # where the optimiser stops
    assert one.fit.tau2 == pytest.approx(other.fit.tau2, abs=1e-8)


# --- differences and changes -------------------------------------------------------------------------------------


def test_one_difference_is_shown_with_its_own_normal_interval():
    pool = difference(trials((-0.6, 0.2)))
    assert (pool.fit.beta, pool.fit.se) == (pytest.approx(-0.6), pytest.approx(0.2))
    assert pool.fit.ci_ub == pytest.approx(-0.6 + stats.norm.ppf(0.975) * 0.2)
    assert (pool.settings["method"], pool.settings["test"], pool.settings["interval"]) == ("EE", "z", "normal")


def test_several_differences_are_pooled_as_the_protocol_says():
    pool = difference(trials((-0.6, 0.2), (-0.1, 0.3), (-0.9, 0.25)))
    model = rules()["models"]["continuous"]
    assert {name: pool.settings[name] for name in model} == model
    assert pool.settings["interval"] == "Hartung-Knapp, never narrower than normal, t with 2 df"
    assert pool.rows.weight.to_numpy() == pytest.approx(
        100 / (pool.rows.vi + pool.fit.tau2) / (1 / (pool.rows.vi + pool.fit.tau2)).sum()
    )


@pytest.mark.parametrize(
    ("test", "words"), [("z", "normal"), ("t", "t with 2 df"), ("knha", "Hartung-Knapp, t with 2 df")]
)
def test_another_method_and_test_can_be_asked_for_and_are_named(test, words):
    pool = difference(trials((-0.6, 0.2), (-0.1, 0.3), (-0.9, 0.25)), method="DL", test=test)
    assert (pool.settings["method"], pool.settings["interval"]) == ("DL", words)


def test_the_limits_of_each_difference_are_normal_ones():
    rows = difference(trials((-0.6, 0.2), (-0.1, 0.3))).rows
    assert (rows.ci_ub - rows.yi).to_numpy() == pytest.approx(stats.norm.ppf(0.975) * np.array([0.2, 0.3]))


def before_and_after():
    made = MadeUp()
    for name in ("one", "two", "three"):
        made.trial(name).level(name, 9.0, "cells", months=0).level(name, 8.0, "cells", dispersion_low=1.2)
    return made.evidence()


def change(**more):
    return pooled(EvidenceBase(before_and_after(), rules()), CELLS.named("name", "title"), Analysis("MC", **more))


def test_the_correlation_is_the_protocols_unless_another_is_given():
    assert change().settings["correlation"] == rules()["models"]["correlation"]["value"] == 0.5
    assert change(correlation=0.8).settings["correlation"] == 0.8


def test_the_correlation_changes_the_variance_of_a_change_and_not_its_size():
    loose, close = change(correlation=0.3), change(correlation=0.9)
    assert loose.rows.yi.tolist() == close.rows.yi.tolist()
    assert (loose.rows.vi > close.rows.vi).all()
    assert loose.fit.se > close.fit.se


def test_overlapping_reports_are_not_pooled_as_two_differences():
    made = MadeUp()
    for name, n in (("small", 20.0), ("large", 60.0)):
        made.study(name, "T2D", "msc", "rct", cohorts=("same",)).arm(name, "cells", n=n).arm(name, "sham", "sham", n=n)
        made.contrast(name, estimate=-0.5, se=0.2)
    pool = difference(made.evidence())
    assert pool.rows.study_id.tolist() == ["large"]
    assert (
        "shares patients (same) with large"
        in dict(zip(pool.left_out.study_id, pool.left_out.reason, strict=True))["small"]
    )


# --- difference of two proportions -------------------------------------------------------------------------------

TABLES = [(9, 45, 2, 44), (9, 11, 0, 10), (4, 20, 3, 40)]


def test_mantel_haenszel_by_its_formula():
    pool = risk_difference(controlled(*TABLES))
    a, n1, c, n2 = np.array(TABLES, float).T
    weight = n1 * n2 / (n1 + n2)
    assert pool.fit.beta == pytest.approx((weight * (a / n1 - c / n2)).sum() / weight.sum(), rel=EXACT)
    assert pool.rows.weight.to_numpy() == pytest.approx(100 * weight / weight.sum())
    assert pool.rows[["events", "n", "events_control", "n_control"]].to_numpy().tolist() == [list(t) for t in TABLES]


def test_a_report_without_events_in_either_arm_counts_and_nothing_is_added_to_it():
    pool = risk_difference(controlled((0, 20, 0, 20), (10, 20, 0, 20), (4, 20, 0, 20)))
    assert pool.fit.beta == pytest.approx(0.7 / 3, rel=EXACT)  # (0 + 0.5 + 0.2) / 3


def test_the_interval_that_a_report_gives_for_its_difference_is_used():
    """zang2022: 20% v 4.55%, 2.25 to 28.66 points as reported; from the counts 1.6 to 29.3."""
    pool = pooled(base(), replace(BOTH, exclude=("bhansali2014",)).named("name", "title"), Analysis("RD"))
    assert (pool.fit.ci_lb, pool.fit.ci_ub) == (0.0225, 0.2866)
    assert pool.settings["interval"] == "as reported" and "interval as reported" in pool.rows.note[0]
    other = pooled(base(), replace(BOTH, exclude=("bhansali2014",)).named("name", "title"), Analysis("RD", level=0.9))
    assert other.settings["interval"] == "Newcombe"


def test_a_single_risk_difference_has_newcombes_limits():
    pool = risk_difference(controlled((56, 70, 48, 80)))
    assert (pool.fit.ci_lb, pool.fit.ci_ub) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    assert pool.settings["interval"] == "Newcombe"


def test_the_limits_of_each_risk_difference_stay_between_minus_one_and_one():
    """Newcombe 1998, table II (a), method 10: 56/70 - 48/80 gives 0.0524 to 0.3339."""
    rows = risk_difference(controlled((56, 70, 48, 80), (20, 20, 0, 20))).rows
    assert (rows.ci_lb[0], rows.ci_ub[0]) == (pytest.approx(0.0524, abs=5e-5), pytest.approx(0.3339, abs=5e-5))
    assert rows.ci_ub[1] == pytest.approx(1.0)


def test_a_report_without_a_control_gives_no_risk_difference():
    made = controlled(*TABLES)
    made.study("alone", "T2D", "msc").arm("alone", "cells")
    made.count("alone", 18, 20, "cells", outcome="composite_primary", definition_id=BOTH.outcome, timing="ever")
    pool = risk_difference(made)
    assert "alone" not in set(pool.rows.study_id)
    assert "alone" in set(pool.left_out.study_id)


def test_a_report_of_several_arms_that_shares_its_patients_is_left_out_with_its_reason():
    made = controlled((9, 45, 2, 44))
    made.study("again", "T2D", "msc", "rct", cohorts=("r0",)).arm("again", "sham", "sham")
    for arm in ("low", "high"):
        made.arm("again", arm).count("again", 3, 10, arm, definition_id=BOTH.outcome, timing="ever")
    pool = risk_difference(made.count("again", 1, 10, "sham", definition_id=BOTH.outcome, timing="ever"))
    assert pool.rows.study_id.tolist() == ["r0"]
    assert set(pool.left_out.arm_id) == {"low+high v sham"}
    assert pool.left_out.reason.str.startswith("shares patients (r0) with r0").all()


def test_an_arm_on_another_treatment_is_no_control_of_a_risk_difference():
    made = controlled(*TABLES[:1])
    made.study("rival", "T2D", "msc", "rct").arm("rival", "cells").arm("rival", "drug", "other_treatment")
    for arm in ("cells", "drug"):
        made.count("rival", 5, 20, arm, outcome="composite_primary", definition_id=BOTH.outcome, timing="ever")
    assert risk_difference(made).rows.study_id.tolist() == ["r0"]


def lines(frame):
    return sorted(int(one) for line in frame.line for one in str(line).split(";"))


def test_every_row_of_the_outcome_is_in_the_risk_difference_or_left_out():
    pool = pooled(base(), BOTH.named("name", "title"), Analysis("RD"))
    everything = real().binary.index[real().binary.definition_id == BOTH.outcome]
    assert sorted(lines(pool.rows) + lines(pool.left_out)) == list(everything)


def test_a_risk_difference_names_the_rows_and_sources_of_both_sides():
    made = controlled(*TABLES[:1]).add("sources", source_id="s_other", study_id="r0", kind="abstract")
    made.rows["binary"][1]["source_id"] = "s_other"
    row = risk_difference(made).rows.iloc[0]
    assert (row.arm_id, row.line, row.source_id) == ("cells v sham", "2;3", "s_r0;s_other")


@pytest.mark.parametrize(
    ("cells", "control"),
    [({"timing": "ever"}, {"timing": "at_month"}), ({"timing": "at_month"}, {"timing": "at_month", "months": 6})],
    ids=["ever against a month", "another month"],
)
def test_two_sides_that_are_counted_differently_are_no_difference(cells, control):
    made = MadeUp().trial("one")
    for arm, how in (("cells", cells), ("sham", control)):
        made.count("one", 5, 20, arm, outcome="composite_primary", definition_id=BOTH.outcome, **how)
    pool = risk_difference(made)
    assert (pool.k, sorted(lines(pool.left_out))) == (0, [2, 3])


def test_a_count_of_a_used_report_that_another_one_answers_better_is_left_out_with_a_reason():
    made = controlled(*TABLES[:1])  # lines 2 and 3
    made.count("r0", 8, 45, "cells", outcome="composite_primary", definition_id=BOTH.outcome)  # line 4
    made.count("r0", 1, 44, "sham", outcome="composite_primary", definition_id=BOTH.outcome)  # line 5
    assert lines(risk_difference(made).left_out) == [4, 5]


# --- other handlings, other questions ----------------------------------------------------------------------------


def test_a_question_without_a_report_is_the_same_question_without_it():
    asked = replace(ISLETS, exclude=("r1",)).without(["r2"])
    assert asked.exclude == ("r1", "r2")
    assert proportion(counted(*COUNTS), asked).rows.study_id.tolist() == ["r0", "r3", "r4"]


def test_each_alternative_that_changes_a_row_is_fitted_again_and_no_other():
    made = MadeUp()
    for name in ("one", "two"):
        made.study(name).arm(name).count(name, 4, 10)
    made.handle("a01", "flag", study_id="one").handle(
        "a01", "set", "alternative", study_id="one", column="events", value="6"
    )
    made.handle("a02", "flag", study_id="two").handle("a02", "flag", "alternative", study_id="two", reason="as it is")
    made.handle("a03", "leave_out", study_id="two", months=24.0)
    found = switched(made.base(), ISLETS.named("pool", ""), Analysis("PLO"))
    assert [(p.name, p.rows.events.tolist()) for p in found.values()] == [("pool_a01", [6, 4])]
    assert list(found) == ["Invented 2020a: set it (a01)"]


def test_the_alternatives_of_the_evidence_change_the_pool_of_islets_one_report_at_a_time():
    primary = pooled(base(), ISLETS.named("islets", ""), Analysis("PLO"))
    before = dict(zip(primary.rows.study_id, zip(primary.rows.events, primary.rows.n, strict=True), strict=True))
    for pool in switched(base(), ISLETS.named("islets", ""), Analysis("PLO")).values():
        after = dict(zip(pool.rows.study_id, zip(pool.rows.events, pool.rows.n, strict=True), strict=True))
        assert len(set(before.items()) ^ set(after.items())) in (1, 2)


# --- names and links ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("study", "address"),
    [
        ({"doi": "10.1/x", "pmid": "1"}, "https://doi.org/10.1/x"),
        ({"pmid": "1", "registry_id": "NCT01234567"}, "https://pubmed.ncbi.nlm.nih.gov/1/"),
        ({"registry_id": "EUCTR; NCT01234567"}, "https://clinicaltrials.gov/study/NCT01234567"),
        ({}, "https://example.org/x"),
    ],
    ids=["DOI", "PubMed", "registry", "where it was read"],
)
def test_a_reader_is_led_to_the_best_address_that_is_known(study, address):
    made = MadeUp().study("one", **study)
    assert link(made.evidence(), "one", "s_one") == address


@pytest.mark.parametrize("address", ["javascript:alert(1)", "", "see the library"])
def test_what_is_no_web_address_is_no_link(address):
    made = MadeUp().study("one")
    made.rows["sources"][0]["url"] = address
    assert link(made.evidence(), "one", "s_one") == ""


@pytest.mark.parametrize(
    ("study", "name"),
    [
        ({"first_author": "Zang L", "year": 2022.0}, "Zang 2022"),
        ({"first_author": "de Guzman AB", "year": 2021.0}, "de Guzman 2021"),
        ({"first_author": "", "year": 2008.0}, "Leiden IAK 2008"),
        ({"first_author": "", "year": np.nan}, "Leiden IAK"),
    ],
)
def test_a_report_is_called_by_author_and_year(study, name):
    assert label(MadeUp().study("leiden_iak", **study).evidence(), "leiden_iak") == name


def test_two_studies_of_one_author_and_year_get_letters():
    made = MadeUp()
    for name in ("zang2022", "zang2022b"):
        made.study(name, first_author="Zang L", year=2022.0).arm(name).count(name, 3, 10)
    assert proportion(made.evidence()).rows.label.tolist() == ["Zang 2022a", "Zang 2022b"]


def test_a_value_is_shown_on_the_scale_that_readers_know():
    assert proportion(counted((3, 10))).back(0.0) == 0.5
    assert difference(trials((-0.6, 0.2))).back(-0.6) == -0.6


# --- what is said of the studies of a pool ------------------------------------------------------------------------


def test_a_pool_counts_its_controlled_studies_and_the_weight_from_reviews():
    made = MadeUp().study("alone").arm("alone").count("alone", 5, 20)
    made.study("reviewed", source="secondary").arm("reviewed").count("reviewed", 5, 20)
    made.study("compared", design="rct").arm("compared", "cells").arm("compared", "sham", "sham", gets_cells="no")
    made.count("compared", 5, 20, "cells")
    question = Question("insulin_independence", ("T1D",), "islets")
    pool = pooled(made.base(), question.named("three", "Three"), Analysis("PLO"))
    assert pool.k == 3 and pool.controlled_reports == 1
    assert dict(zip(pool.rows.study_id, pool.rows.secondary, strict=True)) == {
        "alone": False, "compared": False, "reviewed": True,
    }  # fmt: skip
    assert pool.weight_from_secondary == pytest.approx(100 / 3)


@pytest.mark.parametrize(("few", "is_few"), [(2, False), (3, True)])
def test_what_counts_as_few_is_the_protocols(few, is_few):
    made = MadeUp()
    for name in ("one", "two", "three"):
        made.study(name).arm(name).count(name, 5, 20)
    own = made.base()
    models = {**own.protocol["models"], "few_reports": few}
    own = EvidenceBase(own.evidence, replace(own.protocol, content={**own.protocol.content, "models": models}))
    pool = pooled(own, Question("insulin_independence", ("T1D",), "islets"), Analysis("PLO"))
    assert pool.is_few == is_few and bool(pool.label) == is_few
