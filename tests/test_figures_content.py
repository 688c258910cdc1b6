"""What the figures other than forest plots show, worked out by hand on made-up tables."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyBboxPatch, Rectangle
from matplotlib.text import Text

from cellclaims import figures
from cellclaims.errors import DataError
from cellclaims.figures.style import YELLOW


def words(fig: Figure) -> list[str]:
    """Every text of a figure, spaces plain."""
    return [text.get_text().replace("\u00a0", " ") for text in fig.findobj(Text) if text.get_text()]


def follow_up() -> pd.DataFrame:
    """One report seen twice, one seen once, one registry, one pooled value."""
    return pd.DataFrame(
        [
            ("Long 2001", "report", 12.0, 60.0, 40.0, 80.0, math.nan),
            ("Long 2001", "report", 60.0, 30.0, 10.0, 50.0, math.nan),
            ("Short 2002", "report", 12.0, 20.0, 5.0, 45.0, math.nan),
            ("Registry", "registry", 36.0, 44.0, math.nan, math.nan, math.nan),
            ("pooled", "pooled", 12.0, 42.4, 30.0, 55.0, 16.0),
        ],
        columns=["report", "kind", "months", "percent", "ci_lb", "ci_ub", "k"],
    )


def test_the_flow_has_a_box_for_every_step_every_reason_and_the_pools():
    steps = [
        figures.Step("Found", 169, {"registry": 5, "no figure": 32}),
        figures.Step("Eligible", 132, {"other outcome": 110}),
        figures.Step("Pooled", 22),
    ]
    fig = figures.flow(steps, pools=[("Islets", 16), ("Cells", 5)]).figure
    assert sum(isinstance(patch, FancyBboxPatch) for patch in fig.axes[0].patches) == 3 + 2 + 1
    said = words(fig)
    assert {"Found", "n = 169", "Left out: 37", "Eligible", "n = 132", "Left out: 110", "n = 22"} <= set(said)
    assert said.index("32\u2002no figure") < said.index("\u20075\u2002registry")
    assert "k = \u20075\u2002Cells" in said


def test_a_flow_that_does_not_add_up_is_refused():
    with pytest.raises(DataError, match=r"expected 137 at 'Eligible' \(169 at 'Found' less 32 left out\), found 130"):
        figures.flow([figures.Step("Found", 169, {"no figure": 32}), figures.Step("Eligible", 130)])
    with pytest.raises(DataError, match="at least one step"):
        figures.flow([])


def test_a_flow_shows_what_comes_in_on_the_way_and_from_where():
    steps = [
        figures.Step("Identified", 7, {"twice": 2}, {"A registry, 2026-01-02": 4, "An index": 3}),
        figures.Step("In the evidence", 25, {}, {"found before": 20}, "Not used"),
    ]
    drawing = figures.flow(steps, title="From search to pool", note="Read up to a day.")
    said = words(drawing.figure)
    assert {"From these sources: 7", "4\u2002A registry, 2026-01-02", "3\u2002An index", "20\u2002found before"} <= set(
        said
    )
    assert {"From search to pool", "Read up to a day."} <= set(said)
    assert "Identified: 7, from: 4 A registry, 2026-01-02; 3 An index, left out: 2 twice." in drawing.alt
    with pytest.raises(DataError, match=r"expected 24 at 'In the evidence' .* and 19 added\), found 25"):
        figures.flow([steps[0], figures.Step("In the evidence", 25, {}, {"found before": 19})])
    with pytest.raises(DataError, match="expected 7 at 'Identified', as many as come in there, found 8"):
        figures.flow([figures.Step("Identified", 8, {}, steps[0].added)])


def test_the_evidence_map_keeps_the_order_of_categories():
    table = pd.DataFrame(
        [("B", "Islets", "Single-arm", 3), ("A", "Islets", "Randomised", 1)],
        columns=["population", "product", "design", "studies"],
    )
    table["design"] = pd.Categorical(table["design"], ["Randomised", "Single-arm"], ordered=True)
    said = words(figures.evidence_map(table).figure)
    assert said.index("Randomised") < said.index("Single-arm")
    assert said.index("B") < said.index("A")


def test_the_evidence_map_counts_each_combination_and_shows_the_gaps():
    table = pd.DataFrame(
        [("Type 1", "Islets", "Randomised", 7), ("Type 1", "Islets", "One arm", 34), ("Type 2", "Cells", "One arm", 2)],
        columns=["population", "product", "design", "studies"],
    )
    fig = figures.evidence_map(table, unit="reports").figure
    said = words(fig)
    assert sum(isinstance(patch, Rectangle) for patch in fig.axes[0].patches) == 4 + 2, "tiles, and two of the legend"
    assert said.count("·") == 1
    assert "Colour: number of reports (· none)" in said
    assert {"Type 1", "Type 2", "Islets", "Cells", "Randomised", "One arm", "7", "34", "2"} <= set(said)
    assert {"41", "36", "43"} <= set(said)


def test_a_combination_with_no_study_can_be_shown_as_a_gap():
    table = pd.DataFrame(
        {"population": "Type 2", "product": ["Cells", "Islets"], "design": "One arm", "studies": [2, 0]}
    )
    assert "Islets" in words(figures.evidence_map(table).figure)


def test_the_more_studies_the_darker_the_tile():
    table = pd.DataFrame({"population": "T", "product": list("abc"), "design": "d", "studies": [1, 10, 30]})
    tiles = [p for p in figures.evidence_map(table).figure.axes[0].patches if isinstance(p, Rectangle)][:3]
    assert [sum(to_rgb(tile.get_facecolor())) for tile in tiles] == sorted(
        (sum(to_rgb(tile.get_facecolor())) for tile in tiles), reverse=True
    )


def test_every_product_has_its_row_of_years_on_one_scale():
    table = pd.DataFrame({"year": [2001, 2005, 2005], "product": ["Islets", "Islets", "Cells"], "studies": [1, 4, 2]})
    fig = figures.evidence_years(table).figure
    bars = [{round(p.get_x() + p.get_width() / 2): p.get_height() for p in axes.patches} for axes in fig.axes[1:]]
    assert bars == [{2001: 1, 2005: 4}, {2005: 2}]
    assert len({axes.get_ylim() for axes in fig.axes[1:]}) == len({axes.get_xlim() for axes in fig.axes[1:]}) == 1
    assert {"Islets (5)", "Cells (2)"} <= set(words(fig))


def test_a_bar_can_count_several_years():
    table = pd.DataFrame({"year": [2001, 2004, 2005], "product": "Islets", "studies": [1, 4, 2]})
    fig = figures.evidence_years(table, span=5, note="Two have no year.").figure
    bars = {(round(p.get_x(), 1), round(p.get_x() + p.get_width(), 1)): p.get_height() for p in fig.axes[1].patches}
    assert bars == {(1999.6, 2004.4): 5, (2004.6, 2009.4): 2}, "2000 to 2004, and 2005 to 2009"
    assert {"Year, a bar for each 5 (the numbers are reports)", "Two have no year."} <= set(words(fig))


def test_durability_joins_the_months_of_one_report_only():
    axes = figures.durability(follow_up()).figure.axes[1]
    squares = [list(line.get_ydata()) for line in axes.lines if line.get_marker() == "s"]
    assert squares == [[60.0, 30.0], [20.0]]


def test_durability_tells_reports_registries_and_pools_apart_by_shape():
    fig = figures.durability(follow_up()).figure
    shapes = {line.get_marker() for line in fig.axes[1].lines if line.get_marker() != "None"}
    assert shapes == {"s", "o", "D"}
    assert {"Pooled", "42%", "k = 16", "Registry", "Long 2001"} <= set(words(fig))
    assert "Short 2002" not in words(fig)


def test_reports_of_one_month_stand_apart_around_it():
    axes = figures.durability(follow_up()).figure.axes[1]
    first = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "s"]
    assert first[0] > 12.0 > first[1]
    assert sum(first) / 2 == pytest.approx(12.0)


@pytest.mark.parametrize(
    ("column", "bad", "said"), [("kind", "trial", "kind expected one of"), ("percent", 120.0, "0 to 100")]
)
def test_a_line_of_durability_that_cannot_be_is_refused(column, bad, said):
    table = follow_up()
    table[column] = table[column].astype(object)
    table.loc[3, column] = bad
    with pytest.raises(DataError, match=rf"line 3: .*{said}"):
        figures.durability(table)


def claims() -> list[figures.ClaimRow]:
    """Made up: two studies compared with 60%, a nearest result that is not compared with 30%, and text alone."""
    two = (
        figures.StudyMark("Small", "9 of 11", 82.0, 48.0, 98.0, control=0.0, control_words="without cells 0%"),
        figures.StudyMark("Large", "9 of 45", 20.0, 10.0, 35.0, control=4.5, control_words="without cells 4.5%"),
    )
    near = figures.StudyMark("Off insulin", "5 studies", 28.0, 18.0, 41.0, is_pool=True, pi_lb=8.0, pi_ub=63.0)
    return [
        figures.ClaimRow("Half the insulin", 60.0, "60%", "studies disagree", marks=two),
        figures.ClaimRow("Off all drugs", 30.0, "30%", "cannot be assessed", is_compared=False, marks=(near,)),
        figures.ClaimRow("Effective", 93.0, "over 93%", "cannot be assessed", is_compared=False),
    ]


def plots(drawing: figures.Drawing) -> list:
    """The axes with results, from the top."""
    return [axes for axes in drawing.figure.axes if axes.get_xlim() == (0, 100) and axes.get_xticks().size > 2 and
            axes.get_xticklabels()[0].get_text() == "0%"]  # fmt: skip


def test_each_claim_has_its_finding_and_each_study_its_name():
    said = words(figures.advertised(claims(), title="Made up").figure)
    assert "Half the insulin: advertised 60%" in said and "Studies disagree." in said
    assert {"Small", "Large", "Off insulin"} <= set(said)
    assert any("Nearest results, which count another outcome" in one for one in said)


def test_a_percentage_is_drawn_only_where_results_are_compared_with_it():
    compared, nearest = plots(figures.advertised(claims(), title="Made up"))
    at = [
        line.get_xdata()[0] for line in compared.lines if line.get_linestyle() == "--" and set(line.get_xdata()) == {60}
    ]
    assert at == [60.0]
    assert not [line for line in nearest.lines if 30.0 in line.get_xdata()]


def test_each_study_has_its_estimate_its_interval_and_its_control_arm():
    compared, nearest = plots(figures.advertised(claims(), title="Made up"))
    assert [line.get_xdata()[0] for line in compared.lines if line.get_marker() == "o"] == [82.0, 20.0]
    assert [line.get_xdata()[0] for line in compared.lines if line.get_marker() == "s"] == [0.0, 4.5]
    assert [line.get_xdata()[0] for line in nearest.lines if line.get_marker() == "D"] == [28.0]
    assert [tuple(line.get_xdata()) for line in nearest.lines[:1]] == [(8.0, 63.0)]


def test_the_key_names_what_is_drawn_and_nothing_else():
    said = words(figures.advertised(claims()[:1], title="Made up").figure)
    assert "advertised percentage" in said and "one study: percentage with 95% CI" in said
    assert not any("prediction" in one for one in said)
    assert not any("%" in one and "advertised percentage" in one for one in said)


def test_a_claim_that_is_text_alone_has_no_axis():
    assert plots(figures.advertised(claims()[2:], title="Made up")) == []


def test_the_results_that_count_are_on_discs():
    counts = pd.DataFrame(
        {"claim": ["Less insulin"], "favours": [2], "inconclusive": [0], "against": [1], "finding": ["made up"]}
    )
    drawing = figures.directions(counts, title="Made up")
    assert {"2", "1", "–", "Less insulin", "made up"} <= set(words(drawing.figure))
    assert "Less insulin: 2 favour cells, 0 inconclusive, 1 favour the control; made up" in drawing.alt
    with pytest.raises(DataError, match="expected at least one entry"):
        figures.directions(counts[:0], title="Made up")


def test_a_percentage_out_of_range_and_no_row_are_refused():
    with pytest.raises(DataError, match="ci_ub expected 0 to 100, found 130"):
        figures.StudyMark("Off insulin", "", 28.0, 20.0, 130.0)
    with pytest.raises(DataError, match="expected at least one claim"):
        figures.advertised([], title="Made up")


def test_sensitivity_marks_the_primary_choice_and_groups_the_others():
    table = pd.DataFrame(
        {"choice": ["r = 0.3", "r = 0.5", "DL"], "group": ["Correlation", "Correlation", "Estimator"],
         "estimate": [-1.0, -0.9, -0.8], "ci_lb": -1.5, "ci_ub": -0.4, "k": 12.0, "primary": [False, True, False]}
    )  # fmt: skip
    fig = figures.sensitivity(table, axis_label="HbA1c").figure
    shapes = {line.get_xdata()[0]: line.get_marker() for line in fig.axes[1].lines if line.get_marker() in "sD"}
    assert shapes == {-1.0: "s", -0.9: "D", -0.8: "s"}
    assert [w for w in words(fig) if w in ("Correlation", "Estimator", "r = 0.5 (primary)")] == [
        "Correlation", "r = 0.5 (primary)", "Estimator",
    ]  # fmt: skip
    assert "−0.90 (−1.50 to −0.40)" in words(fig)


def test_sensitivity_with_two_primary_choices_is_refused():
    table = pd.DataFrame({"choice": ["a", "b"], "estimate": 1.0, "ci_lb": 0.0, "ci_ub": 2.0, "primary": True})
    with pytest.raises(DataError, match="at most one primary choice, found 2"):
        figures.sensitivity(table, axis_label="x")


def test_sensitivity_without_choices_says_that_no_study_is_eligible():
    drawn = figures.sensitivity(pd.DataFrame(), axis_label="Free of insulin, %")
    assert drawn.alt == "Free of insulin, %: no eligible study."
    assert [text.get_text() for text in drawn.figure.texts] == ["Free of insulin, %: no eligible study"]


def test_the_level_of_the_intervals_is_in_the_heading():
    table = pd.DataFrame({"choice": ["a"], "estimate": 1.0, "ci_lb": 0.0, "ci_ub": 2.0, "level": "90 %"})
    words = " ".join(text.get_text() for text in figures.sensitivity(table, axis_label="x").figure.findobj(Text))
    assert "(90 % CI)" in words and "95" not in words


def test_a_light_says_the_same_by_sign_and_by_colour():
    table = pd.DataFrame([["+", "-"], ["?", "x"]], index=["A 2001", "B 2002"], columns=["Randomised", "Blinded"])
    fig = figures.traffic_light(table).figure
    lights = [patch for patch in fig.axes[0].patches if isinstance(patch, Circle)]
    assert len(lights) == 4 + 4
    assert len({light.get_facecolor() for light in lights}) == 4
    assert lights[2].get_facecolor()[:3] == to_rgb(YELLOW)
    assert {"+", "−", "?", "×", "low", "high or serious", "critical"} <= set(words(fig))


def test_the_key_explains_only_signs_that_occur():
    table = pd.DataFrame([["+"]], index=["A 2001"], columns=["Randomised"])
    assert "critical" not in words(figures.traffic_light(table).figure)


def test_an_unknown_sign_is_refused_by_study_and_fact():
    table = pd.DataFrame([["+"], ["low"]], index=["A 2001", "B 2002"], columns=["Randomised"])
    with pytest.raises(DataError, match=r"B 2002, Randomised: expected signs among .*, found 'l'"):
        figures.traffic_light(table)
