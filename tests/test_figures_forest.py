"""What a forest plot shows of a pool, worked out by hand on made-up pools."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle
from matplotlib.text import Text

from cellclaims import figures
from cellclaims.errors import DataError
from cellclaims.pool import Pool
from cellclaims.reporting.tables import pooled as pooled_table
from cellclaims.reporting.tables import value_words

from .made_up_trials import made_up_pool

#: Made up. On the logit 0 is 50 %, log(3) is 75 %, -log(3) is 25 %.
THIRD = math.log(3.0)

NORMAL = {"model": "normal", "method": "REML", "test": "adhoc", "level": 0.95}
BINOMIAL = {"model": "binomial_normal", "method": "ML", "test": "t", "level": 0.95}


def pool(
    yi: list[float], *, half: float = 0.5, measure: str = "MD", few: int = 4,
    settings: dict | None = None, title: str = "Made-up pool", fit: dict | None = None, **columns: list,
) -> Pool:  # fmt: skip
    """Effects with intervals of one half width; the fit is 0 (-1 to 1), predicted -2 to 2, and none for two studies."""
    k = len(yi)
    rows = pd.DataFrame(
        {"label": [f"Author {i}" for i in range(k)], "yi": yi, "ci_lb": np.subtract(yi, half),
         "ci_ub": np.add(yi, half), "weight": [100.0 / max(k, 1)] * k} | columns
    )  # fmt: skip
    numbers = {"beta": 0.0, "ci_lb": -1.0, "ci_ub": 1.0, "pi_lb": -2.0, "pi_ub": 2.0, "tau2": 0.25}
    numbers |= {"I2": 40.0, "Q": 8.0, "Q_p": 0.0461}
    made = SimpleNamespace(**(numbers | (fit or {}))) if k and k != 2 else None
    settings = settings or (BINOMIAL if measure == "PLO" else NORMAL)
    return made_up_pool(rows, made, measure, title, settings=settings, few=few)


def forest(*pools: Pool, **options: object) -> Figure:
    """The figure of one pool or of several."""
    return figures.forest(pools[0] if len(pools) == 1 else list(pools), axis_label="made up", **options).figure


def words(fig: Figure) -> list[str]:
    """Every text of a figure."""
    return [text.get_text() for text in fig.findobj(Text) if text.get_text()]


def plot(fig: Figure) -> object:
    """The axes on which intervals are drawn."""
    return fig.axes[1]


def markers(fig: Figure, marker: str) -> list[Line2D]:
    """Marks of one shape."""
    return [line for line in plot(fig).lines if line.get_marker() == marker]


def diamonds(fig: Figure) -> list[np.ndarray]:
    """Corners of the pooled values."""
    return [patch.get_xy() for patch in plot(fig).patches if isinstance(patch, Polygon)]


def bars(fig: Figure) -> list[tuple[float, float]]:
    """Ends of the prediction intervals."""
    return [(p.get_x(), p.get_x() + p.get_width()) for p in plot(fig).patches if isinstance(p, Rectangle)]


def test_every_report_has_its_square_its_words_and_the_pool_a_diamond_and_a_bar():
    fig = forest(pool([-0.5, 0.0, 0.7]))
    assert [line.get_xdata()[0] for line in markers(fig, "s")] == [-0.5, 0.0, 0.7]
    assert {"Author 0", "Author 1", "Author 2", "−0.50 (−1.00 to 0.00)", "0.70 (0.20 to 1.20)"} <= set(words(fig))
    assert [(xy[:, 0].min(), xy[:, 0].max()) for xy in diamonds(fig)] == [(-1.0, 1.0)]
    assert {"Pooled (k = 3, few studies)", "0.00 (−1.00 to 1.00)", "(−2.00 to 2.00)"} <= set(words(fig))


def test_the_area_of_a_square_is_its_weight():
    fig = forest(pool([0.0, 0.1, 0.2], weight=[64.0, 32.0, 4.0]))
    areas = np.square([line.get_markersize() for line in markers(fig, "s")])
    assert areas / areas[0] == pytest.approx([1.0, 0.5, 4.0 / 64.0], rel=0.1)  # the smallest stays visible
    assert areas[1] / areas[0] == pytest.approx(0.5)


def test_a_logit_is_shown_as_a_percentage_on_0_to_100():
    fit = {"beta": 0.0, "ci_lb": -THIRD, "ci_ub": THIRD, "pi_lb": -2 * THIRD, "pi_ub": 2 * THIRD}
    fig = forest(pool([THIRD, -THIRD] * 3, half=0.0, measure="PLO", events=[3.0] * 6, n=[4.0] * 6, fit=fit))
    assert plot(fig).get_xlim() == (0.0, 100.0)
    assert [line.get_xdata()[0] for line in markers(fig, "s")] == pytest.approx([75.0, 25.0] * 3)
    assert diamonds(fig)[0][:, 0] == pytest.approx([25.0, 50.0, 75.0, 50.0, 25.0])
    assert bars(fig) == [pytest.approx((10.0, 90.0))]
    assert {"3/4", "18/24", "50.0 (25.0 to 75.0)", "Pooled (k = 6)"} <= set(words(fig))


def test_no_events_at_all_stand_at_0_percent():
    fig = forest(pool([-math.inf, 0.0], half=0.0, measure="PLO", ci_lb=[-math.inf, -1.0], ci_ub=[0.0, 1.0]))
    assert markers(fig, "s")[0].get_xdata()[0] == 0.0
    assert "0.0 (0.0 to 50.0)" in words(fig)


def test_a_log_ratio_is_shown_as_a_ratio_with_no_effect_at_1():
    fig = forest(pool([0.0, math.log(2.0)], measure="RR"))
    assert plot(fig).get_xscale() == "log"
    assert [line.get_xdata()[0] for line in markers(fig, "s")] == pytest.approx([1.0, 2.0])
    assert [line.get_xdata() for line in plot(fig).lines if list(line.get_xdata()) == [1.0, 1.0]]


def test_a_difference_of_proportions_is_shown_in_percentage_points():
    fig = forest(pool([0.1, 0.3], half=0.05, measure="RD"))
    assert [line.get_xdata()[0] for line in markers(fig, "s")] == pytest.approx([10.0, 30.0])
    assert "10.0 (5.0 to 15.0)" in words(fig)


@pytest.mark.parametrize(
    ("k", "said", "pooled"),
    [(0, "No eligible study", 0), (1, "One study: its own result", 0),
     (2, "Two studies: shown side by side, not pooled", 0), (4, "Pooled (k = 4, few studies)", 1),
     (5, "Pooled (k = 5)", 1)],
)  # fmt: skip
def test_the_number_of_reports_says_how_a_pool_may_be_read(k, said, pooled):
    fig = forest(pool([0.1] * k), pool([0.2] * 6))
    assert said in words(fig)
    assert len(diamonds(fig)) == 1 + pooled
    assert len(markers(fig, "s")) == k + 6


def test_two_studies_stand_side_by_side_without_diamond_weight_or_prediction():
    fig = forest(pool([0.1, 0.2], weight=[math.nan, math.nan]))
    assert (bars(fig), diamonds(fig)) == ([], [])
    assert "Two studies: shown side by side, not pooled" in words(fig)
    assert not [text for text in words(fig) if "Weight" in text or "rediction" in text or "Model" in text]
    first, second = (line.get_markersize() for line in markers(fig, "s"))
    assert first == second


def test_a_common_effect_has_no_prediction_and_nothing_is_missing():
    made = pool([0.1] * 3, settings=NORMAL | {"method": "EE"}, fit={"pi_lb": math.nan, "pi_ub": math.nan})
    assert not [line for line in words(forest(made)) if "rediction" in line]


def test_heterogeneity_is_told_in_the_terms_of_the_model():
    normal, binomial = forest(pool([0.1] * 6)), forest(pool([0.1] * 6, measure="PLO"))
    said = " ".join(words(normal)).replace("\u00a0", " ")
    assert "τ² = 0.25, I² = 40%, Q = 8.0 on 5 df (p = 0.046)" in said
    said = " ".join(words(binomial)).replace("\u00a0", " ")
    assert "Heterogeneity: τ² = 0.25 on the logit, I² = 40%, Q = 8.0 on 5 df (p = 0.046)" in said


def test_what_the_axis_cuts_shows_an_arrow_and_keeps_its_numbers():
    fig = forest(pool([0.0, 0.5, 0.2], half=3.0), limits=(-1.0, 2.0))
    assert [line.get_xdata()[0] for line in markers(fig, "<")] == [-1.0] * 4  # three studies, the prediction
    assert [line.get_xdata()[0] for line in markers(fig, ">")] == [2.0] * 3
    assert "0.50 (−2.50 to 3.50)" in words(fig)


def test_one_very_wide_interval_does_not_press_the_others_into_a_line():
    lows, highs = [-0.3, 0.0, -90.0], [0.3, 0.6, 90.0]
    fig = forest(pool([0.0, 0.3, 0.1], ci_lb=lows, ci_ub=highs))
    low, high = plot(fig).get_xlim()
    assert high - low < 3.0
    assert len(markers(fig, "<")) >= 1


def test_advertised_figure_threshold_and_no_effect_each_have_a_line():
    fig = forest(
        pool([0.1, 0.2]), claim=[figures.Mark(-0.6, "advertised"), (-0.5, "smallest that matters", "threshold")]
    )
    upright = {line.get_xdata()[0]: line.get_linestyle() for line in plot(fig).lines if len(set(line.get_xdata())) == 1}
    assert {-0.6, -0.5, 0.0} <= set(upright)
    assert upright[0.0] == "-"
    assert "-" not in (upright[-0.6], upright[-0.5])
    assert {"advertised", "smallest that matters"} <= set(words(fig))


def test_registries_stand_below_as_open_circles_and_are_in_no_pool():
    table = pd.DataFrame({"label": ["Registry"], "estimate": [44.0], "ci_lb": [40.0], "ci_ub": [49.0]})
    fig = forest(pool([0.0, 0.1], measure="PLO"), benchmarks=table, benchmarks_title="Registries")
    circle = markers(fig, "o")
    assert [line.get_xdata()[0] for line in circle] == [44.0]
    assert circle[0].get_markerfacecolor() == "white"
    assert {"Registries", "Registry", "44.0 (40.0 to 49.0)"} <= set(words(fig))


def test_control_arms_are_open_where_arms_with_cells_are_filled():
    fig = figures.change(
        pool([-1.0, -1.2, -1.1]), pool([-0.5, -0.6, -0.4], title="Control arms"), axis_label="change"
    ).figure
    assert [line.get_markerfacecolor() == "white" for line in markers(fig, "s")] == [False] * 3 + [True] * 3
    open_diamonds = [p.get_facecolor() == (1, 1, 1, 1) for p in plot(fig).patches if isinstance(p, Polygon)]
    assert open_diamonds == [False, True]


def test_groups_have_headings_and_all_together_one_diamond_more():
    fig = forest(
        pool([0.1] * 5, title="Type 1"), pool([0.2] * 6, title="Type 2"), overall=pool([0.1] * 11, title="All")
    )
    assert {"Type 1", "Type 2", "All (k = 11)"} <= set(words(fig))
    assert len(diamonds(fig)) == 3
    assert len(markers(fig, "s")) == 11


def test_a_lone_pool_carries_its_title():
    assert "Made-up pool" in words(forest(pool([0.1, 0.2])))


def test_remarks_get_letters_and_stand_below_once():
    note = ["n stands in", "", "n stands in"]
    detail = ["mean and standard deviation from median and quartiles", math.nan, math.nan]
    said = words(forest(pool([0.1] * 3, note=note, detail=detail)))
    assert {"Author 0 [a, b]", "Author 1", "Author 2 [b]", "[b] n stands in"} <= set(said)


def test_short_details_have_a_column_and_counts_of_two_groups_are_written_once():
    said = words(
        forest(pool([0.1, 0.2, 0.3], n=[45.0, 11.0, 1.0], n_control=[46.0, 10.0, 1.0], detail=["−1.5 v −0.7", "", ""]))
    )
    assert {"45 v 46", "57 v 57", "−1.5 v −0.7", "Cells v control"} <= set(said)
    counts = {"events": [9.0, 9.0, 0.0], "n": [45.0, 11.0, 4.0]}
    counts |= {"events_control": [2.0, 0.0, 0.0], "n_control": [44.0, 10.0, 6.0]}
    said = words(
        forest(pool([0.1, 0.2, 0.0], measure="RD", detail=["9/45 v 2/44", "9/11 v 0/10", "0/4 v 0/6"], **counts))
    )
    assert said.count("9/45 v 2/44") == 1
    assert "18/60 v 2/60" in said


def test_the_month_has_a_column_only_where_reports_differ_in_it():
    assert "Month" in words(forest(pool([0.1, 0.2], months=[12.0, 11.0])))
    assert "Month" not in words(forest(pool([0.1, 0.2], months=[12.0, 12.0])))


def test_pools_that_cannot_share_an_axis_are_refused():
    with pytest.raises(DataError, match=r"one scale of .*, found identity, logit"):
        forest(pool([0.1]), pool([0.1], measure="PLO"))
    with pytest.raises(DataError, match="found no pool"):
        figures.forest([], axis_label="x")
    with pytest.raises(DataError, match="found arcsine"):
        figures.forest(pool([0.1], measure="PAS"), axis_label="x")


def test_an_interval_that_does_not_hold_its_estimate_is_refused_by_name():
    with pytest.raises(DataError, match=r"'Author 1': expected an estimate inside its interval, found 0.2"):
        forest(pool([0.1, 0.2], ci_lb=[0.0, 0.3], ci_ub=[0.2, 0.4]))


@pytest.mark.parametrize(("k", "few", "said"), [(4, 4, True), (5, 4, False), (5, 6, True), (6, 6, True), (7, 6, False)])
def test_table_and_figure_agree_on_what_is_few(k, few, said):
    asked = pool([0.1] * k, few=few, n=[20.0] * k, n_control=[20.0] * k)
    assert ("few studies" in repr(pooled_table([asked], "made up"))) == said
    assert any("few studies" in text for text in words(forest(asked))) == said


@pytest.mark.parametrize(
    ("measure", "heading", "value", "shown"),
    [("PLO", "Percent", 0.0, "50.0%"), ("RD", "Points", 0.25, "25.0%"), ("MD", "Effect", -0.5, "−0.50"),
     ("RR", "Ratio", math.log(2.0), "2.00")],
)  # fmt: skip
def test_tables_and_both_forest_plots_write_values_alike(measure, heading, value, shown):
    asked = pool([value] * 3, measure=measure, fit={"beta": value})
    assert value_words(asked, value) == shown
    said = words(forest(asked))
    assert any(text.startswith(heading) for text in said)
    assert any(text.startswith(shown.removesuffix("%")) for text in said)
