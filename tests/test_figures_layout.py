"""Nothing in any figure is cut off, covered, too small or too pale; made-up numbers, harder than real ones."""

from __future__ import annotations

import itertools
import math
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from cellclaims import figures
from cellclaims.figures import style
from cellclaims.figures.durability import set_apart
from cellclaims.pool import Pool

from .made_up_trials import made_up_pool

#: Pixels at 100 dpi by which two boxes may touch: hinting moves the edge of a letter by up to one.
TOUCH = 1.0

LONG = "A consortium of many hospitals with a name that no column can hold"


def pool(
    k: int, *, scale: str = "identity", long: bool = False, wide: bool = False, title: str = "Made-up pool"
) -> Pool:
    """A made-up pool of ``k`` reports; its fit is no fit, just numbers to draw."""
    draw = np.random.default_rng(k)
    yi, half = draw.normal(-0.5, 0.6, k), draw.uniform(0.3, 1.0, k) * (8 if wide else 1)
    rows = pd.DataFrame(
        {
            "study_id": [f"s{i}" for i in range(k)],
            "label": [f"{LONG if long and i % 3 == 0 else 'Author'} {1990 + i}" for i in range(k)],
            "months": 12.0 + np.arange(k) % 2,
            "events": np.arange(k) + 1.0 if scale == "logit" else np.nan,
            "n": 40.0 + np.arange(k),
            "n_control": np.nan if scale == "logit" else 39.0,
            "yi": yi,
            "ci_lb": yi - half,
            "ci_ub": yi + half,
            "weight": 100.0 / max(k, 1),
            "detail": ["−1.50 v −0.70" if scale == "identity" else np.nan for _ in range(k)],
            "note": ["count taken from a percentage" if i == 1 else "" for i in range(k)],
        }
    )
    beta = float(yi.mean()) if k else math.nan
    fit = SimpleNamespace(
        beta=beta, ci_lb=beta - 0.4, ci_ub=beta + 0.4, tau2=0.2, I2=51.0, Q=20.5, Q_p=0.003,
        pi_lb=beta - 1.2 if k > 2 else math.nan, pi_ub=beta + 1.2 if k > 2 else math.nan,
    )  # fmt: skip
    model = {"model": "binomial_normal", "method": "ML", "test": "t", "level": 0.95}
    model = model if scale == "logit" else model | {"model": "normal", "method": "REML", "test": "adhoc"}
    measure = {"logit": "PLO", "identity": "MD", "log": "RR"}[scale]
    return made_up_pool(rows, fit if k else None, measure, title, settings=model)


def benchmarks() -> pd.DataFrame:
    """Two made-up registries, one of them without an interval."""
    return pd.DataFrame(
        {"label": ["Registry, first era", LONG], "estimate": [23.0, 44.0], "ci_lb": [math.nan, 40.0],
         "ci_ub": [math.nan, 49.0], "detail": ["325", ""]}
    )  # fmt: skip


def follow_up(reports: int) -> pd.DataFrame:
    """Made-up follow-up: reports at one and more months, two registries, four pooled values."""
    rows = [
        {
            "report": f"Report {i}",
            "kind": "report",
            "months": month,
            "percent": 90.0 * (i + 1) / reports / (1 + month / 60),
        }
        for i in range(reports)
        for month in ((12.0,) if i % 3 else (12.0, 36.0, 60.0))
    ]
    rows += [
        {"report": f"Registry {i}", "kind": "registry", "months": m, "percent": 60.0 - m / 2}
        for i in (1, 2)
        for m in (12, 60)
    ]
    rows += [
        {"report": "pooled", "kind": "pooled", "months": m, "percent": 50.0 - m / 2, "k": 5.0} for m in (12, 24, 36, 60)
    ]
    table = pd.DataFrame(rows)
    return table.assign(ci_lb=(table.percent - 20).clip(0), ci_ub=(table.percent + 20).clip(upper=100))


def choices(count: int) -> pd.DataFrame:
    """Made-up sensitivity analysis in two groups, the second choice primary."""
    return pd.DataFrame(
        {"choice": [f"r = 0.{i}" if i else LONG for i in range(count)],
         "group": ["Correlation"] * 2 + ["Other"] * (count - 2),
         "estimate": -0.8, "ci_lb": -1.3, "ci_ub": -0.3, "k": 12.0, "primary": [i == 1 for i in range(count)]}
    )  # fmt: skip


def counted(products: int) -> pd.DataFrame:
    """Made-up counts of reports by population, product, design and year."""
    keys = itertools.product(
        ["Type 1", "Type 2"], range(products), ["Randomised", "Controlled, not randomised", "One arm"]
    )
    rows = [
        {"population": a, "product": LONG if b == 1 else f"Product {b}", "design": c, "studies": 7 * b}
        for a, b, c in keys
    ]
    return pd.DataFrame(rows).assign(year=lambda t: 2000 + np.arange(len(t)) % 24)


CLAIMS = [
    figures.ClaimRow(
        LONG, 93.0, "over 93%", "studies disagree", note=LONG,
        marks=(
            figures.StudyMark("One study", LONG, 55.0, 40.0, 69.0, control=97.0, control_words="without cells 97%"),
            figures.StudyMark(LONG, "n = 200", 99.0, 90.0, 100.0),
            figures.StudyMark("Pooled", "6 studies", 28.0, 12.0, 52.0, is_pool=True, pi_lb=2.0, pi_ub=88.0),
        ),
    ),
    figures.ClaimRow("Not defined", 100.0, "over 99%", "cannot be assessed", "It is not defined.", is_compared=False),
    figures.ClaimRow(
        "Not reported", 30.0, "30%", "cannot be assessed", is_compared=False,
        marks=(figures.StudyMark("Nearest", "k = 3", 0.0, 0.0, 30.0, is_pool=True, pi_lb=0.0, pi_ub=60.0),),
    ),
]  # fmt: skip
DIRECTIONS = pd.DataFrame(
    {"entry_id": ["a", "b"], "claim": [LONG, "Less insulin"], "favours": [2, 0], "inconclusive": [0, 12],
     "against": [1, 0], "finding": ["controlled studies favour it", LONG]}
)  # fmt: skip
STEPS = [
    figures.Step(
        "Reports found in registries, indexes and reference lists", 12412, {"not in people": 12000, LONG * 2: 243}
    ),
    figures.Step("Reports read", 169, {"registry": 90}),
    figures.Step("Reports pooled", 79),
]
LIGHTS = pd.DataFrame(
    [["+", "-", "?", ""]] * 6,
    index=[f"Author {i}" for i in range(5)] + [LONG],
    columns=["Randomised", "Blinded", "Stopped early", "Patients overlap with another report"],
)
MARKS = [
    (-0.5, "smallest change that matters", "threshold"),
    figures.Mark(-0.9, "advertised"),
    figures.Mark(-0.92, "also advertised"),
]

FIGURES = {
    "forest one report": lambda: figures.forest(pool(1), axis_label="HbA1c", favours=("cells", "control")),
    "forest two reports": lambda: figures.forest(pool(2, wide=True), axis_label="HbA1c, percentage points", claim=-0.3),
    "forest 25 reports": lambda: figures.forest(pool(25, long=True, wide=True), axis_label=f"HbA1c, {LONG}"),
    "forest percent": lambda: figures.forest(
        pool(16, scale="logit"), axis_label="Insulin independent, %", claim=figures.Mark(99.0, "advertised 99 %"),
        benchmarks=benchmarks(),
    ),
    "forest ratio": lambda: figures.forest(pool(5, scale="log"), axis_label="Risk ratio", favours=(LONG, "control")),
    "forest of pools": lambda: figures.forest(
        [pool(6), pool(1, title=LONG * 2), pool(2), pool(0)], overall=pool(9), axis_label="HbA1c",
        claim=MARKS, title=LONG * 3,
    ),
    "change": lambda: figures.change(
        pool(6), pool(3), axis_label="Change", published=benchmarks().assign(estimate=44.5)
    ),
    "flow": lambda: figures.flow(STEPS, pools=[("Insulin independence", 16), (LONG * 2, 1)], title="Flow"),
    "evidence map": lambda: figures.evidence_map(counted(7), title="Map"),
    "evidence years": lambda: figures.evidence_years(counted(8), title="Years"),
    "durability": lambda: figures.durability(follow_up(24), title=LONG, note=LONG * 2),
    "advertised": lambda: figures.advertised(CLAIMS, title=LONG, note=LONG * 3),
    "directions": lambda: figures.directions(DIRECTIONS, title=LONG, note=LONG * 3),
    "sensitivity": lambda: figures.sensitivity(choices(9), axis_label="HbA1c", claim=MARKS, notes=[LONG]),
    "traffic light": lambda: figures.traffic_light(LIGHTS, title="Facts of design", note=LONG * 2),
}  # fmt: skip


def words_drawn(fig: Figure) -> list[Text]:
    """All words that a reader sees."""
    return [artist for artist in fig.findobj(Text) if artist.get_visible() and artist.get_text().strip()]


def boxes(fig: Figure) -> list[tuple[str, Bbox]]:
    """Words with the boxes that they fill, in pixels."""
    renderer = FigureCanvasAgg(fig).get_renderer()
    fig.draw(renderer)
    return [(text.get_text(), text.get_window_extent(renderer)) for text in words_drawn(fig)]


def covered(words: list[tuple[str, Bbox]]) -> list[tuple[str, str]]:
    """Pairs of words that run into one another."""
    return [
        (one, other)
        for (one, a), (other, b) in itertools.combinations(words, 2)
        if min(a.x1, b.x1) - max(a.x0, b.x0) > TOUCH and min(a.y1, b.y1) - max(a.y0, b.y0) > TOUCH
    ]


def cut_off(words: list[tuple[str, Bbox]], page: Bbox) -> list[str]:
    """Words that leave the sheet."""
    return [w for w, b in words if b.x0 < page.x0 or b.x1 > page.x1 or b.y0 < page.y0 or b.y1 > page.y1]


def contrast(color: object) -> float:
    """Contrast with white paper (WCAG 2.1, relative luminance)."""
    channels = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 1.05 / (0.05 + float(np.dot((0.2126, 0.7152, 0.0722), channels)))


@pytest.fixture(scope="module", params=FIGURES)
def drawn(request) -> Figure:
    """Each figure, drawn once."""
    return FIGURES[request.param]().figure


def test_no_words_run_into_one_another_or_leave_the_sheet(drawn):
    words = boxes(drawn)
    assert covered(words) == []
    assert cut_off(words, drawn.bbox) == []


def test_no_words_are_smaller_than_8_points_or_too_pale_for_small_print(drawn):
    words = words_drawn(drawn)
    on_white = [text for text in words if to_rgb(text.get_color()) != (1.0, 1.0, 1.0)]
    assert min(text.get_size() for text in words) >= 8.0
    assert min(contrast(text.get_color()) for text in on_white) >= 4.5


def test_the_checks_themselves_see_a_covered_word_and_a_cut_one():
    fig = Figure(figsize=(2, 1))
    fig.text(0.1, 0.5, "one word")
    fig.text(0.12, 0.5, "another")
    fig.text(0.9, 0.1, "a word that leaves the sheet")
    assert covered(boxes(fig)) == [("one word", "another")]
    assert cut_off(boxes(fig), fig.bbox) == ["a word that leaves the sheet"]


def test_the_height_of_a_forest_grows_by_one_line_for_each_report():
    heights = [figures.forest(pool(k), axis_label="x").figure.get_figheight() for k in (5, 6, 7)]
    assert np.diff(heights) == pytest.approx([style.LINE] * 2)


@settings(max_examples=12, deadline=None)
@given(
    labels=st.lists(st.text("abcdefgh ijkl", min_size=1, max_size=90).filter(str.strip), min_size=1, max_size=6),
    claim=st.floats(-4, 4),
)
def test_whatever_the_labels_and_the_claim_nothing_is_covered_or_cut(labels, claim):
    made = pool(len(labels))
    made.rows["label"] = labels
    fig = figures.forest(
        made, axis_label="HbA1c", claim=figures.Mark(claim, "advertised"), favours=("cells", "control")
    ).figure
    words = boxes(fig)
    assert covered(words) == []
    assert cut_off(words, fig.bbox) == []


@given(st.lists(st.floats(0, 100), min_size=1, max_size=20))
def test_names_set_apart_keep_their_order_their_distance_and_the_limits(wanted):
    places = set_apart(wanted, 4.0, 0.0, 100.0)
    by_wish = [place for _, place in sorted(zip(wanted, places, strict=True))]
    assert np.diff(by_wish).min(initial=4.0) >= 4.0 - 1e-9, "rounding of sums, nothing more"
    assert min(places) >= -1e-9
    assert max(places) <= 100.0 + 1e-9


def test_names_that_are_far_apart_stay_where_they_are():
    assert set_apart([10.0, 90.0, 50.0], 4.0, 0.0, 100.0) == pytest.approx([10.0, 90.0, 50.0])


@pytest.mark.parametrize("name", FIGURES)
def test_every_figure_brings_words_of_its_own(name):
    drawn = FIGURES[name]()
    assert isinstance(drawn, figures.Drawing)
    assert drawn.alt.endswith(".") and len(drawn.alt) > 20 and "nan" not in drawn.alt
