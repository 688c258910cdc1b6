"""What a sitting shows: the live panel beside the page, the slides, the worksheet, and the commands that make them."""

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
from cellclaims.claims.counterparts import claim_of, rate_entry
from cellclaims.cli import main
from cellclaims.errors import ParameterError, PoolingError
from cellclaims.journal_club import handouts, widgets
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


@pytest.fixture(scope="module")
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
    ("method", "protocol"),
    ("estimand", "at_month"),
    ("months", 9.0),
    ("window", 6.0),
    ("without", ()),
    ("outcome", "hba1c_change"),
    ("correlation", 0.9),
]


def test_the_panel_starts_as_the_page(panel, book):
    (live,) = [cell for cell in book.cells if cell.source.startswith("journal_club.live(")]
    (drawing,) = [output.data["image/svg+xml"] for output in live.outputs if "image/svg+xml" in output.data]
    (said,) = [output.data["text/plain"] for output in live.outputs if "text/markdown" in output.data]
    assert panel.figure.value == drawing
    assert said in panel.said.value


def test_every_part_of_what_is_asked_has_a_control_and_a_parameter(panel, book):
    given = {one.name.lower() for one in declared(book)}
    fixed = {"population", "product"}  # the claim and the protocol say them
    assert set(panel.controls) == set(journal_club.Controls.__dataclass_fields__) - fixed
    assert set(panel.controls) <= given


def test_the_parameters_are_the_defaults_of_the_controls(book):
    defaults = {one.name.lower(): one.default for one in declared(book)}
    own = journal_club.Controls()
    for name in ("outcome", "estimand", "months", "window", "method", "test", "correlation", "tau_scale"):
        assert defaults[name] == getattr(own, name), name
    assert journal_club.Audience.of(defaults["audience"]) == journal_club.Audience()


def test_each_move_shows_what_the_engine_says(base, claim):
    panel = Panel(base, claim, journal_club.controls_of(base, claim))
    for name, value in MOVES:
        before = panel.said.value
        panel.controls[name].value = value
        direct = journal_club.answer(base, claim, panel.asked)
        assert getattr(panel.asked, name) == value
        assert panel.figure.value == journal_club.forest_svg(direct), name
        assert direct.in_words() in panel.said.value.replace("&lt;", "<"), name
        assert panel.controls["test"].value == panel.asked.test
        assert before != panel.said.value or name in ("test", "correlation", "window", "without"), name


def test_tests_that_the_model_does_not_know_are_not_offered(base, claim):
    asked = journal_club.controls_of(base, claim, METHOD="REML", TEST="knha")
    panel = Panel(base, claim, asked)
    panel.controls["method"].value = "protocol"
    assert panel.asked.test == panel.controls["test"].value == "protocol"
    assert "knha" not in [value for _, value in panel.controls["test"].options]


def test_controls_without_effect_are_off(panel):
    assert panel.controls["correlation"].disabled
    assert panel.controls["months"].disabled
    assert not panel.controls["estimand"].disabled


def test_a_report_that_is_left_out_can_come_back(base, claim):
    panel = Panel(
        base,
        claim,
        journal_club.controls_of(base, claim, WITHOUT=["hu2012"]),
    )
    assert ("hu2012 (left out)", "hu2012") in panel.controls["without"].options
    panel.controls["without"].value = ()
    assert panel.answer.pool.k == 5


def test_a_refusal_is_said_and_the_figure_stays(panel, monkeypatch):
    before = panel.figure.value
    monkeypatch.setattr("cellclaims.journal_club.widgets.answer", _refuse(PoolingError("<no> such thing")))
    panel.move("tau_scale", 0.77)
    assert "&lt;no&gt; such thing" in panel.said.value
    assert panel.figure.value == before


def _refuse(error):
    def refuse(*_):
        raise error

    return refuse


# --- with a front end and without ---------------------------------------------------------------------------------


def test_without_a_front_end_nothing_of_a_widget_is_shown(base, shown, claim):
    audience = journal_club.Audience()
    journal_club.guess(audience)
    journal_club.live(base, claim, journal_club.controls_of(base, claim))
    journal_club.judge(audience, rate_entry(base, "stop_all_2016"))
    assert [sorted(data) for data in shown] == [
        ["text/html", "text/plain"],
        ["image/svg+xml", "text/plain"],
        ["text/markdown", "text/plain"],
        ["text/markdown", "text/plain"],
    ]


def test_a_front_end_gets_the_widget_with_the_same_as_its_fallback(base, shown, claim):
    audience, asked = journal_club.Audience(), journal_club.controls_of(base, claim)
    exercise = journal_club.Exercise("share", "How many?", 3.0, "", 0.1, 0, "Count.")
    shown.watched()
    journal_club.guess(audience)
    journal_club.guess(audience, {"reports": 1, "share": None, "without_cells": -0.7})
    journal_club.ask(exercise, audience)
    journal_club.live(base, claim, asked)
    journal_club.judge(audience, rate_entry(base, "stop_all_2016"))
    assert len(shown) == 5
    for data in shown:
        assert widgets.VIEW in data
        assert set(data) & {"text/html", "image/svg+xml", "text/markdown"}
    assert shown[3]["image/svg+xml"] == journal_club.forest_svg(journal_club.answer(base, claim, asked))


def test_only_a_request_that_names_its_cell_comes_from_a_front_end(monkeypatch):
    assert not widgets.is_watched()
    for metadata, expected in (({}, False), ({"cellId": "a"}, True)):
        kernel = type("Kernel", (), {"get_parent": lambda _, channel, own=metadata: {"metadata": own}})()
        monkeypatch.setattr("IPython.get_ipython", lambda own=kernel: type("Shell", (), {"kernel": own})())
        assert widgets.is_watched() is expected


def test_guesses_are_kept_and_the_table_below_follows():
    audience = journal_club.Audience()
    table = widgets.guesses_beside(audience, {"reports": 1, "share": 28.0, "without_cells": None})
    sliders = [box.children[1] for box in widgets.guesses(audience).children]
    sliders[1].value = 28.0
    assert audience.share == 28.0
    assert "right" in table.value


def test_an_answer_is_checked_as_it_is_typed():
    audience = journal_club.Audience()
    exercise = journal_club.Exercise("share", "How many?", 0.5, "", 0.01, 2, "", (Mistake(50.0, "a percentage"),))
    _, field, said, _ = widgets.exercise_controls(exercise, audience).children
    assert said.value == ""
    field.value = 50.0
    assert "Not yet: a percentage." in said.value
    field.value = 0.5
    assert "Right" in said.value
    assert audience.answers == {"share": 0.5}


def test_the_ledger_is_folded_until_the_room_has_chosen(base):
    audience = journal_club.Audience()
    choice, words = widgets.verdict(audience, rate_entry(base, "stop_all_2016")).children
    assert words.value.startswith("<details>")
    choice.value = "no evidence"
    assert audience.verdict == "no evidence"
    assert "Both agree" in words.value


def test_every_control_says_what_it_is(panel):
    for name, control in panel.controls.items():
        assert control.description, name
        assert isinstance(control, ipywidgets.Widget)


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
    titles = [slide.title for slide in found]
    assert [title[:6] for title in titles if title.startswith("Step")] == [f"Step {n}" for n in range(1, 7)]
    text = handouts.slides(book, ORIGIN, name="journal_club")
    assert text.count('class="slide"') == len(found)
    assert "club.load(DATA" not in text
    assert "pools recorded in" not in text
    assert "leads the hour" not in text


def test_slides_fetch_nothing_and_allow_their_own_script_alone(book):
    text = handouts.slides(book, ORIGIN, name="journal_club")
    assert fetched(text) == []
    policy = re.search(r'Content-Security-Policy" content="([^"]+)"', text)[1]
    assert policy.startswith("default-src 'none'")
    script = re.search(r"<script>(.*?)</script>", text, re.DOTALL)[1]
    assert f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'" in policy
    assert text.count("<script") == 1


def test_what_is_folded_stays_folded_on_a_slide(book):
    text = handouts.slides(book, ORIGIN, name="journal_club")
    assert text.count("<details>") == text.count("<summary>Solution</summary>") == 5


def test_text_from_elsewhere_is_no_markup_on_a_slide(book):
    hostile = nbformat.from_dict(book)
    hostile.cells = [*book.cells, nbformat.v4.new_markdown_cell("## <script>alert(1)</script>")]
    text = handouts.slides(hostile, ORIGIN, name="journal_club")
    assert text.count("<script") == 1


# --- the worksheet --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sheet(tmp_path_factory):
    target = tmp_path_factory.mktemp("sheet") / "worksheet.html"
    handouts.write_worksheet(target, ROOT / "data")
    return target.read_text(encoding="utf-8")


def test_the_worksheet_asks_and_does_not_answer(sheet):
    assert "30 %" in sheet
    for label, count in (("Estrada 2008", "4"), ("Hu 2012", "18"), ("Li 2021", "3")):
        assert re.search(rf'<th scope="row">{label}</th><td>{count}</td>', sheet)
    for answer in ("27.9", "25.4", "0.131", "<td>0."):
        assert answer not in sheet
    assert sheet.count('class="box"') == 4 + 8


def test_the_worksheet_fetches_nothing_and_shows_its_formulas(sheet):
    assert fetched(sheet) == []
    assert "<script" not in sheet
    assert sheet.count("<math ") == len(handouts.FORMULAS)
    assert "<code>" not in sheet


# --- the commands ---------------------------------------------------------------------------------------------------


def test_the_worksheet_by_command(tmp_path):
    done = CliRunner().invoke(
        main, ["club", "--only", "worksheet", "--notebook", str(NOTEBOOK), "--into", str(tmp_path)]
    )
    assert done.exit_code == 0, done.output
    assert done.output.split() == [str(tmp_path / "worksheet.html")]


def test_a_refusal_has_its_status_and_writes_nothing(tmp_path):
    options = [
        "club",
        "--notebook",
        str(NOTEBOOK),
        "--into",
        str(tmp_path / "new"),
        "--claims",
        str(tmp_path / "no.csv"),
    ]
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
    """The whole notebook on another claim: its own page, slides and worksheet, and every output without an error."""
    lines = (ROOT / "data" / "advertised" / "claims.csv").read_text(encoding="utf-8").splitlines()
    path = tmp_path / "claims.csv"
    half = next(line for line in lines if line.startswith("half_dose_2016,"))
    path.write_text("\n".join([lines[0], half]) + "\n", encoding="utf-8")
    options = ["club", "--notebook", str(NOTEBOOK), "--into", str(tmp_path / "out"), "--claims", str(path)]
    options += ["-p", "OUTCOME", "insulin_dose_halved"]
    done = CliRunner().invoke(main, options)
    assert done.exit_code == 0, done.output
    made = {file.name for file in (tmp_path / "out").iterdir() if file.is_file()}
    names = {f"journal_club.{kind}" for kind in ("ipynb", "html", "json", "csv")}
    assert made == {"worksheet.html", "slides.html", *names}
    text = (tmp_path / "out" / "slides.html").read_text(encoding="utf-8")
    assert "60 %" in text
    assert "60 %" in text
