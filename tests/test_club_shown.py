"""What a sitting shows: the live panel and the page, the room's fields, slides, worksheet, solutions, commands."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import ipywidgets
import nbformat
import pytest
from click.testing import CliRunner

from cellclaims import journal_club
from cellclaims.claims.counterparts import claim_of
from cellclaims.cli import main
from cellclaims.errors import ParameterError, PoolingError
from cellclaims.journal_club import handouts, widgets
from cellclaims.journal_club.audience import PREDICTIONS
from cellclaims.journal_club.exercises import Mistake
from cellclaims.journal_club.widgets import Panel
from cellclaims.runner.page import Provenance
from cellclaims.runner.run import declared

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "journal_club.ipynb"
ORIGIN = Provenance("2026-11-20", "0.1.0", "ab" * 32)


@pytest.fixture(scope="module")
def claim(evidence):
    return claim_of(evidence, "stop_all_2016")


@pytest.fixture(scope="module")
def book():
    return nbformat.read(NOTEBOOK, as_version=4)


@pytest.fixture
def panel(base, claim):
    return Panel(base, claim, journal_club.controls_of(base, claim))


class Shown(list):
    """What is displayed, in order; ``watched()`` lets a front end look on."""

    def __init__(self, monkeypatch):
        super().__init__()
        monkeypatch.setattr("IPython.display.display", lambda data, raw: self.append(data))
        self.watched = lambda: monkeypatch.setattr(widgets, "is_watched", lambda: True)


@pytest.fixture
def shown(monkeypatch):
    return Shown(monkeypatch)


# --- the panel follows the controls, and equals the page ---------------------------------------------------------

#: Moves of one control after the other, each from the state that the last one left.
MOVES = [
    ("method", "DL"),
    ("test", "knha"),
    ("tau_scale", 2.0),
    ("without", ("hu2012",)),
    ("secondary", False),
    ("secondary", True),
    ("method", "protocol"),
    ("without", ()),
    ("estimand", "at_month"),
    ("months", 9.0),
    ("window", 6.0),
    ("outcome", "hba1c_change"),
    ("correlation", 0.8),
]


def test_the_panel_starts_as_the_page(panel, book):
    (live,) = [cell for cell in book.cells if cell.id == "live"]
    (drawing,) = [output.data["image/svg+xml"] for output in live.outputs if "image/svg+xml" in output.data]
    assert panel.figure.value == drawing
    assert panel.moved.value == '<p role="status">As the protocol says.</p>'


def test_every_part_of_what_is_asked_has_a_control_and_a_parameter(panel, book):
    given = {one.name.lower() for one in declared(book)}
    fixed = {"population", "product"}  # the claim and the protocol say them
    assert set(panel.controls) == set(journal_club.Controls.__dataclass_fields__) - fixed
    assert set(panel.controls) <= given


def test_the_parameters_are_the_defaults_of_the_controls(book):
    defaults = {one.name.lower(): one.default for one in declared(book)}
    own = journal_club.Controls()
    for name in ("outcome", "estimand", "months", "window", "secondary", "method", "test", "correlation", "tau_scale"):
        assert defaults[name] == getattr(own, name), name
    assert journal_club.Audience.of(defaults["audience"]) == journal_club.Audience()


def test_each_move_shows_what_the_engine_says(base, claim, panel):
    for name, value in MOVES:
        panel.controls[name].value = value
        direct = journal_club.answer(base, claim, panel.asked)
        assert getattr(panel.asked, name) == value
        assert panel.figure.value == journal_club.forest_svg(direct), name
        said = re.sub("<br>", " ", panel.said.value).replace("&lt;", "<")
        assert direct.in_words() in said, name
        assert panel.controls["test"].value == panel.asked.test
        assert "Differs from the protocol in:" in panel.moved.value


def test_one_button_leads_back_to_the_protocol(base, claim, panel):
    start = panel.figure.value
    for name, value in (("estimand", "ever"), ("outcome", "insulin_dose_halved")):
        panel.controls[name].value = value
    assert panel.figure.value != start
    panel.reset.click()
    assert (panel.figure.value, panel.asked) == (start, journal_club.controls_of(base, claim))
    assert panel.controls["outcome"].value == "insulin_independence"
    assert "As the protocol says." in panel.moved.value


def test_the_button_leads_to_the_protocol_from_parameters_too(base, claim):
    panel = Panel(base, claim, journal_club.controls_of(base, claim, TEST="z", WITHOUT=["hu2012"]))
    assert "Differs from the protocol in: test (normal); left out: Hu 2012." in panel.moved.value
    panel.reset.click()
    assert panel.moved.value == '<p role="status">As the protocol says.</p>'


def test_a_value_left_to_the_protocol_is_named_with_its_number(panel):
    assert panel.controls["tau_scale"].options[0] == ("as the protocol says (1)", "protocol")
    assert panel.controls["tau_scale"].value == "protocol"
    panel.controls["tau_scale"].value = 2.0
    panel.controls["tau_scale"].value = "protocol"
    assert panel.asked.tau_scale is None
    panel.controls["outcome"].value = "hba1c_difference"
    assert panel.controls["tau_scale"].options[0][0] == "as the protocol says (0.5)"


def test_what_a_move_changed_is_said(panel):
    panel.controls["without"].value = ("bhansali2009",)
    assert "Came in: Bhansali 2014b (shares participants with Bhansali 2009)." in panel.moved.value
    panel.controls["without"].value = ()
    panel.controls["secondary"].value = False
    assert "Left: Estrada 2008, Hu 2012." in panel.moved.value


def test_tests_that_the_model_does_not_know_are_not_offered(base, claim):
    panel = Panel(base, claim, journal_club.controls_of(base, claim, METHOD="REML", TEST="knha"))
    panel.controls["method"].value = "protocol"
    assert panel.asked.test == panel.controls["test"].value == "protocol"
    assert "knha" not in [value for _, value in panel.controls["test"].options]


def test_controls_without_effect_are_off(panel):
    off = {name for name, control in panel.controls.items() if control.disabled}
    assert off == {"correlation", "months", "window"}
    panel.controls["outcome"].value = "insulin_halved_and_hba1c_lt_7"  # two studies: nothing is pooled
    assert {"method", "test", "tau_scale"} <= {name for name, control in panel.controls.items() if control.disabled}


def test_a_report_that_is_left_out_can_come_back(base, claim):
    panel = Panel(base, claim, journal_club.controls_of(base, claim, WITHOUT=["hu2012"]))
    assert ("Hu 2012 (left out)", "hu2012") in panel.controls["without"].options
    panel.controls["without"].value = ()
    assert panel.answer.pool.k == 5


def test_a_refusal_is_said_and_the_figure_stays(panel, monkeypatch):
    before = panel.figure.value
    monkeypatch.setattr("cellclaims.journal_club.controls.answer", _refuse(PoolingError("<no> such thing")))
    panel.move("tau_scale", 0.77)
    assert "&lt;no&gt; such thing" in panel.said.value
    assert (panel.figure.value, panel.asked.tau_scale) == (before, None)


def _refuse(error):
    def refuse(*_):
        raise error

    return refuse


# --- with a front end and without ---------------------------------------------------------------------------------


@pytest.fixture
def everything(base, evidence, claim):
    """Show all that has a live part, for a room that has said nothing."""

    def show():
        room = journal_club.Audience()
        journal_club.predict(room)
        journal_club.predict(room, {"exact": 0, "shown": 27.9, "placebo": -0.63})
        journal_club.judge_bias(evidence, room)
        journal_club.readings(evidence, room)
        journal_club.rate(room)
        journal_club.ask(journal_club.Exercise("mean", "How many?", 3.0, "", 0.1, 0, "Count."), room)
        journal_club.live(base, claim, journal_club.controls_of(base, claim))

    return show


def test_without_a_front_end_nothing_of_a_widget_is_shown(everything, shown):
    everything()
    assert [sorted(data) for data in shown] == [
        *[["text/html", "text/plain"]] * 6, ["image/svg+xml", "text/plain"], ["text/markdown", "text/plain"],
    ]  # fmt: skip


def test_a_front_end_gets_the_fallback_and_then_the_widget_that_hides_it(everything, shown, base, claim):
    everything()
    fallback = list(shown)
    assert len(fallback) == 8
    shown.clear()
    shown.watched()
    everything()
    assert [data for data in shown if widgets.VIEW not in data and widgets.SCRIPT not in data] == fallback
    views = [place for place, data in enumerate(shown) if widgets.VIEW in data]
    assert len(views) == 7
    for place in views:
        assert widgets.SCRIPT in shown[place + 1], "keys are kept for each widget"
        assert "text/html" not in shown[place], "the fallback is an output of its own: it is there without a kernel"
    models = {widget.model_id: widget for widget in ipywidgets.widget._instances.values()}
    live = models[shown[views[-1]][widgets.VIEW]["model_id"]]
    assert widgets.LIVE in live._dom_classes
    assert widgets.LIVE in live.children[0].value


def test_only_a_request_that_names_its_cell_comes_from_a_front_end(monkeypatch):
    assert not widgets.is_watched()
    for metadata, expected in (({}, False), ({"cellId": "a"}, True)):
        kernel = type("Kernel", (), {"get_parent": lambda _, channel, own=metadata: {"metadata": own}})()
        monkeypatch.setattr("IPython.get_ipython", lambda own=kernel: type("Shell", (), {"kernel": own})())
        assert widgets.is_watched() is expected


def test_predictions_start_empty_are_kept_and_the_table_below_follows():
    room = journal_club.Audience()
    table = widgets.table_that_follows(
        room, lambda: journal_club.predictions_table(room, {"exact": 1, "shown": 28.0, "placebo": None})
    )
    fields = [box.children[1] for box in widgets.prediction_fields(room).children]
    assert [field.value for field in fields] == [""] * 3
    fields[1].value = "28"
    assert room.predictions == {"shown": 28.0}
    assert "right" in table.value
    fields[1].value = ""
    assert room.predictions == {}


@pytest.mark.parametrize(
    ("typed", "kept", "said"),
    [
        ("0,5", 0.5, ""),
        ("18/56", 100 * 18 / 56, ""),
        ("1.234,5", None, "is not a number here"),
        ("140", None, "Expected a number from 0 to 100, found 140."),
    ],
)
def test_what_is_typed_is_taken_or_refused_in_words(typed, kept, said):
    room = journal_club.Audience()
    _, field, words = widgets.prediction_fields(room).children[1].children
    field.value = typed
    assert room.predictions.get("shown") == kept
    assert said in words.value.replace("&quot;", '"')


def test_judgements_and_ratings_start_blank():
    room = journal_club.Audience()
    for control in widgets.rating_fields(room).children[0].children:
        assert control.value == ""
    first = widgets.choices(room.bias, {"overall": "overall"}, ("low", "high"), room).children[0]
    first.value = "high"
    assert room.bias == {"overall": "high"}
    first.value = ""
    assert room.bias == {}


def test_an_answer_is_checked_as_it_is_typed():
    room = journal_club.Audience()
    exercise = journal_club.Exercise("mean", "How many?", 0.5, "", 0.01, 2, "", (Mistake(50.0, "a percentage"),))
    box, _, folded = widgets.exercise_field(exercise, room).children
    _, field, said = box.children
    assert field.value == said.value == ""
    field.value = "50"
    assert "Not yet: a percentage." in said.value
    field.value = "1/2"
    assert "Right" in said.value
    assert room.answers == {"mean": 0.5}
    assert folded.value.startswith("<details>")


def test_every_control_says_what_it_is(panel):
    for name, control in panel.controls.items():
        assert control.description, name
        assert isinstance(control, ipywidgets.Widget)


def test_nothing_shows_scroll_bars_that_scroll_nothing(panel):
    boxes = [panel.widget]
    while boxes:
        box = boxes.pop()
        assert box.layout.overflow == "visible"
        boxes += [child for child in box.children if isinstance(child, ipywidgets.Box)]


# --- slides ---------------------------------------------------------------------------------------------------------


class Tags(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


def fetched(text):
    """What a browser would fetch."""
    found = [a.get("src") or a.get("href") for tag, a in Tags(text).found if tag in ("link", "img", "iframe", "object")]
    found += [a["src"] for tag, a in Tags(text).found if tag == "script" and "src" in a]
    return [address for address in found if address and not address.startswith("data:")]


def test_a_heading_starts_a_slide_and_code_stays_behind(book):
    found = list(handouts.slides_of(book))
    assert found[0].title == "Journal club: one paper, one hour, one patient"
    assert [slide.title for slide in found][1:4] == [
        "Three predictions", "Zang 2022: what was done, what was found", "Risk of bias: two readers' judgements",
    ]  # fmt: skip
    text = handouts.slides(book, ORIGIN, name="journal_club")
    assert text.count('class="slide"') == len(found) <= handouts.MOST == 18
    for hidden in ("journal_club.load(DATA", "pools recorded in", "leader's guide", "Answered here"):
        assert hidden not in text


def test_no_slide_gives_away_what_the_next_one_asks(book):
    """The readers' judgements, the sorted outcomes, the finding: each on the slide after the room has spoken."""
    slides = {slide.title: "".join(slide.parts) for slide in handouts.slides_of(book)}
    titles = list(slides)
    for asks, answers, words in (
        ("Zang 2022: what was done, what was found", "Risk of bias: two readers' judgements", "some concerns"),
        ("Which published outcome is the advertised one?", "How close the published outcomes come", "upper bound"),
        ("One sentence for the patient", "What the review says", "finding"),
    ):
        assert titles.index(answers) == titles.index(asks) + 1
        assert words not in slides[asks]
        assert words in slides[answers]
    for blank in (
        "Three predictions",
        "Which published outcome is the advertised one?",
        "One sentence for the patient",
    ):
        assert "___" in slides[blank]


def test_slides_fetch_nothing_and_allow_their_own_script_alone(book):
    text = handouts.slides(book, ORIGIN, name="journal_club")
    assert fetched(text) == []
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'")
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert text.count("<script") == 1


def test_solutions_are_not_on_the_slides(book):
    """A solution stood right above its exercise: it is in the solutions, and folded on the page."""
    assert "<details" not in handouts.slides(book, ORIGIN, name="journal_club")


def test_text_from_elsewhere_is_no_markup_on_a_slide(book):
    hostile = nbformat.from_dict(book)
    hostile.cells = [*book.cells, nbformat.v4.new_markdown_cell("## <script>alert(1)</script>")]
    text = handouts.slides(hostile, ORIGIN, name="journal_club")
    assert text.count("<script") == 1


# --- the worksheet and the solutions ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def about():
    return handouts.sitting(ROOT / "data")


@pytest.fixture(scope="module")
def sheet(tmp_path_factory, about):
    target = tmp_path_factory.mktemp("sheet") / "worksheet.html"
    handouts.write_worksheet(target, about)
    return target.read_text(encoding="utf-8")


def test_the_worksheet_asks_and_does_not_answer(sheet, about):
    assert about.claim.wording.replace(" %", "%") in sheet
    for label, count in (("Estrada 2008", "4"), ("Hu 2012", "18"), ("Li 2021", "3")):
        assert re.search(rf'<th scope="row">{label}</th><td>{count}</td>', sheet)
    for answer in ("27.9", "25.4", "0.63", "20.0%", "<td>0.", "upper bound"):
        assert answer not in sheet
    outcomes, domains = len(about.near), len(handouts.DOMAINS)
    assert sheet.count('class="box"') == 4 + 3 * domains + 3 * outcomes + 3 * 3
    assert "τ² = 0.131" in sheet, "it is given: thirty operations are too many for ten minutes"


def test_the_worksheet_has_a_place_for_what_was_published_and_for_the_sentence(sheet):
    assert sheet.count("published: <span") == len(PREDICTIONS)
    assert "What I take home:" in sheet
    assert "Back to proportions" in sheet


def test_fraction_bars_are_shapes_that_no_font_moves(sheet):
    assert fetched(sheet) == []
    assert "<script" not in sheet
    assert "<math" not in sheet
    drawings = re.findall(r'<img class="formula" src="data:image/svg\+xml;base64,([^"]+)" alt="([^"]+)"', sheet)
    assert [words for _, words in drawings] == [one.words for one in handouts.FORMULAS]
    for drawing, _ in drawings:
        assert "<text" not in base64.b64decode(drawing).decode()


def test_the_solutions_answer_what_the_worksheet_asks(about):
    text = handouts.solutions(about, ORIGIN)
    assert fetched(text) == []
    for answer in ("27.9%", "−0.63", "upper bound", "some concerns", "25.4% (14.9% to 39.7%)", "20 of 100 people"):
        assert answer in text, answer
    for move in ("Without the largest study (Hu 2012): Mean of", "Counted at 12 months only: One study",
                 "Without numbers from tables of reviews: Mean of 3 studies"):  # fmt: skip
        assert move in text, move


# --- the commands ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["worksheet", "solutions"])
def test_a_handout_by_command(tmp_path, kind):
    done = CliRunner().invoke(main, ["club", "--only", kind, "--notebook", str(NOTEBOOK), "--into", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert done.output.split() == [str(tmp_path / f"{kind}.html")]


def test_a_refusal_has_its_status_and_writes_nothing(tmp_path):
    missing = tmp_path / "no.csv"
    options = ["club", "--notebook", str(NOTEBOOK), "--into", str(tmp_path / "new"), "--claims", str(missing)]
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 2
    assert "expected a CSV of claims, found no file" in done.output
    assert not (tmp_path / "new").exists()


def test_a_claim_is_given_once():
    with pytest.raises(ParameterError, match="expected CLAIM once, found as an option and with -p"):
        handouts.parameters(NOTEBOOK, None, "stop_all_2016", {"CLAIM": "half_dose_2016"})


def test_the_first_claim_that_a_pool_answers_is_the_sittings(tmp_path):
    lines = (ROOT / "data" / "advertised" / "claims.csv").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "claims.csv"
    half = next(line for line in lines if line.startswith("half_dose_2016,"))
    path.write_text("\n".join([lines[0], lines[1], half]) + "\n", encoding="utf-8")
    values = handouts.parameters(NOTEBOOK, path, "", {})
    assert values == {"CLAIMS": path.resolve().as_posix(), "CLAIM": "half_dose_2016"}
    path.write_text(lines[0] + "\n", encoding="utf-8")
    with pytest.raises(ParameterError, match="expected at least one claim, found none"):
        handouts.parameters(NOTEBOOK, path, "", {})


def test_another_advertisement_runs_from_its_file_alone(tmp_path):
    """The whole notebook on another claim: page, slides, worksheet and solutions, the outcome following the claim."""
    lines = (ROOT / "data" / "advertised" / "claims.csv").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "claims.csv"
    half = next(line for line in lines if line.startswith("half_dose_2016,"))
    path.write_text("\n".join([lines[0], half]) + "\n", encoding="utf-8")
    options = ["club", "--notebook", str(NOTEBOOK), "--into", str(tmp_path / "out"), "--claims", str(path)]
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 0, done.output
    made = {file.name for file in (tmp_path / "out").iterdir() if file.is_file()}
    names = {f"journal_club.{kind}" for kind in ("ipynb", "html", "json", "csv", "R")}
    assert made == {"worksheet.html", "solutions.html", "slides.html", *names}
    text = (tmp_path / "out" / "slides.html").read_text(encoding="utf-8")
    assert "they print 60%" in text
    assert "Two studies, not pooled: Bhansali 2014a" in text
