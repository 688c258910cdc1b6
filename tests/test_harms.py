"""Harms: which studies count them, exact limits by another route, and when studies are pooled."""

from __future__ import annotations

import pytest
from scipy import stats

from cellclaims import reporting
from cellclaims.harms import counted_otherwise, harm_lines, harms, products_apart, why_not_comparable
from cellclaims.pool import pooled
from cellclaims.question import Analysis, Question
from cellclaims.reporting.harms import share_words

from .made_up_trials import MadeUp, base, real, rules


def exact(events: float, n: float) -> tuple[float, float]:
    """Clopper-Pearson limits in percent, from the beta distribution."""
    low = 0.0 if events == 0 else stats.beta.ppf(0.025, events, n - events + 1)
    high = 1.0 if events == n else stats.beta.ppf(0.975, events + 1, n - events)
    return 100 * low, 100 * high


def test_every_line_has_its_counts_and_exact_limits():
    lines = harm_lines(harms(base(), "T2D", "any_cells"))
    assert {"serious adverse event", "death"} <= set(lines.group)
    for row in lines.itertuples():
        assert (row.low, row.high) == pytest.approx(exact(row.events, row.n), abs=1e-9)
        assert row.estimate == pytest.approx(100 * row.events / row.n)


def test_no_serious_event_of_45_with_cells_and_16_without():
    """Skyler 2015 counts three doses together: 0 of 15 in each."""
    lines = harm_lines(harms(base(), "T2D", "any_cells"))
    mine = lines[(lines.group == "serious adverse event") & (lines.study_id == "skyler2015")].set_index("kind")
    assert (mine.n["study"], mine.n["control"]) == (45, 16)
    assert mine.high["study"] == pytest.approx(7.87, abs=0.005)


def counted(*months: float, events: int = 1):
    """A pool of made-up studies of 20 that count deaths at these months."""
    made = MadeUp()
    for number, month in enumerate(months):
        made.study(f"trial{number}").arm(f"trial{number}", n=20)
        made.count(f"trial{number}", events, 20, definition_id="death", months=month, timing="at_month")
    return made


@pytest.mark.parametrize(
    ("months", "is_pooled", "why"),
    [
        ((12, 12), False, ""),  # two are shown side by side
        ((12, 12, 36), True, ""),
        ((12, 12, 36.5), False, "follow-up of 12 to 36.5 months is not comparable"),
        ((12, 12, float("nan")), False, "1 of 3 studies do not state their follow-up"),
    ],
)
def test_three_studies_of_comparable_follow_up_are_pooled(months, is_pooled, why):
    assert rules()["harms"]["comparable"] == 3
    (found,) = harms(counted(*months).base(), "T1D", "islets")
    assert (found.cells.is_pooled, found.why_alone) == (is_pooled, why)


def test_fewer_than_three_need_no_reason():
    asked = Question("death", "T1D", "islets", estimand="most_favourable").named("x", "x")
    assert why_not_comparable(pooled(counted(12, 60).base(), asked, Analysis("PLO")), 3) == ""


def test_events_judged_related_are_listed_and_in_no_pool():
    listed = counted_otherwise(base(), "T2D", "any_cells")
    assert {"packham2016", "zang2022"} <= set(listed.study_id)
    assert list(listed[listed.study_id == "zang2022"].n) == [45]
    for harm in harms(base(), "T2D", "any_cells"):
        assert "packham2016" not in set(harm.cells.rows.study_id)


def test_products_that_are_made_up_of_others_are_not_shown_twice():
    assert {"any_cells", "infused_cells"} <= set(rules()["eligibility"]["products"])
    assert not {"any_cells", "infused_cells"} & set(products_apart(base()))
    assert {"islets", "msc", "hsct"} <= set(products_apart(base()))


def test_none_of_n_is_worded_with_its_upper_limit():
    assert share_words(0, 45, 0.0, exact(0, 45)[1]) == "0 of 45: upper limit 7.9%"
    table = reporting.harms_table(harms(base(), "T2D", "any_cells"), "Harms")
    said = [[str(cell) for cell in row] for row in table.cells]
    assert ["serious adverse event", "Skyler 2015", "2.8", "0 of 45: upper limit 7.9%"] in [row[:4] for row in said]
    assert "no control arm counted" in {row[4] for row in said}


def test_the_headline_says_what_the_largest_study_can_miss():
    """None among 45: an upper limit of 7.9%, about 8 in 100."""
    said = reporting.harms_headline(harms(base(), "T2D", "any_cells"), "cells", "type 2 diabetes")
    assert "participants with cells (3 studies); without cells 0 of 16, 0 of 10." in said
    assert said.endswith("(n = 45) can miss a harm of 8 in 100 participants.")
    assert "No study of cells in type 2 diabetes" in reporting.harms_headline([], "cells", "type 2 diabetes")


def test_harms_elsewhere_have_every_row_of_the_topic_and_of_the_context():
    parts = [part[part.topic == "harms"] for part in (real().topic_evidence, real().context)]
    table = reporting.harms_elsewhere(real())
    both = {(row.reference, row.outcome, row.result) for part in parts for row in part.itertuples()}
    assert len(table.cells) == len(both)


def test_the_table_by_product_says_why_studies_are_not_pooled():
    found = harms(base(), "T1D", "islets")
    table = reporting.harms_by_product(base(), found, "By product")
    rows = {str(row[2]): [str(cell) for cell in row] for row in table.cells}
    assert rows["serious infection"][-1].startswith("not pooled: follow-up of")
    for harm in found:
        assert rows[harm.name][4] == f"{harm.cells.rows.events.sum():g} of {harm.cells.rows.n.sum():g}"
