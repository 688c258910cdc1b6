"""The journal club as leader and listeners meet it: in JupyterLab, as slides, on the worksheet (make browser)."""

from __future__ import annotations

import html
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from cellclaims import journal_club
from cellclaims.claims.counterparts import claim_of
from cellclaims.journal_club import handouts
from cellclaims.runner.pdf import chromium as chromium_program
from cellclaims.runner.pdf import print_page

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOK = ROOT / "notebooks" / "journal_club.ipynb"
SIZES = {"a projector": (1280, 800), "a telephone": (390, 844)}
#: Windows of projectors and laptops, on each of which every slide is shown whole.
WINDOWS = {"1280": (1280, 720), "1366": (1366, 768), "1920": (1920, 1080)}
#: The smallest letters of a drawing and of text on a slide, in pixels.
DRAWN, WRITTEN = 16, 15
PAGES = ("journal_club.html", "slides.html", "worksheet.html", "solutions.html")
TOKEN = "reader"
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page, the slides, the worksheet and the solutions, as the command makes them."""
    folder = tmp_path_factory.mktemp("club")
    handouts.worksheet_command(NOTEBOOK, folder, {})
    handouts.solutions_command(NOTEBOOK, folder, {})
    handouts.page_and_slides(NOTEBOOK, folder, {})
    return folder


@pytest.fixture
def opened(chromium, made):
    """Open one of the pages in a size; what it asked for and complained of is kept on it."""
    pages = []

    def open_page(name, size):
        page = chromium.new_page(viewport=dict(zip(("width", "height"), size, strict=True)))
        pages.append(page)
        listen(page)
        page.goto((made / name).as_uri(), wait_until="networkidle")
        return page

    yield open_page
    for page in pages:
        page.close()


def listen(page):
    """Keep the requests and complaints of a page."""
    page.requested, page.complaints = [], []
    page.on("request", lambda request: page.requested.append(request.url))
    page.on("console", lambda said: page.complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: page.complaints.append(str(error)))


def faults(page):
    """What axe-core finds that shuts somebody out."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe: make browser installs it")
    found = axe.Axe().run(page).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:120]) for one in found if one["impact"] in SERIOUS]


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_complains_of_nothing_and_shuts_nobody_out(opened, made, name, size):
    page = opened(name, size)
    assert [url for url in page.requested if not url.startswith("data:")] == [(made / name).as_uri()]
    assert page.complaints == []
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "the page is too wide"
    assert faults(page) == []


@pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)
def test_the_keyboard_alone_leads_through_every_slide(opened, size):
    page = opened("slides.html", size)
    count, seen = page.locator(".slide").count(), []
    for _ in range(count):
        (shown,) = page.locator(".slide:not([hidden])").all()
        seen.append(shown.get_attribute("id"))
        assert faults(page) == [], seen[-1]
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), seen[-1]
        page.keyboard.press("ArrowRight")
    assert seen == [f"slide-{number}" for number in range(1, count + 1)]
    for key, expected in (("Home", 1), ("Space", 2), ("PageDown", 3), ("ArrowLeft", 2), ("End", count)):
        page.keyboard.press(key)
        assert page.locator("#place").inner_text() == f"{expected} of {count}", key
    assert page.complaints == []


#: Of the slide that is shown: whether the page needs to scroll, the smallest letters of its drawings and of its text.
MEASURED = """() => {
  const slide = document.querySelector(".slide:not([hidden])");
  const sizes = (elements, of) => Math.min(...[...slide.querySelectorAll(elements)].map(of), 999);
  const own = (element) => parseFloat(getComputedStyle(element).fontSize);
  return [document.documentElement.scrollHeight <= window.innerHeight
    && document.documentElement.scrollWidth <= window.innerWidth,
    sizes("svg text", (text) => own(text) * text.getCTM().a), sizes("p, li, td", own)];
}"""


@pytest.mark.parametrize("size", WINDOWS.values(), ids=WINDOWS)
def test_every_slide_fits_the_window_with_letters_that_can_be_read(opened, size):
    page = opened("slides.html", size)
    for number in range(1, page.locator(".slide").count() + 1):
        fits, drawn, written = page.evaluate(MEASURED)
        assert fits, f"slide {number} is larger than the window"
        assert drawn >= DRAWN, number
        assert written >= WRITTEN, number
        page.keyboard.press("ArrowRight")


def test_on_paper_each_slide_is_one_page(chromium, made):
    page = chromium.new_page()
    page.goto((made / "slides.html").as_uri())
    count = page.locator(".slide").count()
    printed = page.pdf(prefer_css_page_size=True)
    page.close()
    assert len(re.findall(rb"/Type\s*/Page\b", printed)) == count


def test_space_passes_no_question_before_its_answer(opened):
    """Slides that were longer than the window let Space pass the vote."""
    page = opened("slides.html", WINDOWS["1280"])
    seen = []
    for _ in range(page.locator(".slide").count()):
        seen.append(page.locator(".slide:not([hidden]) :is(h1, h2)").first.inner_text())
        page.keyboard.press("Space")
    assert seen.index("What the review says") == seen.index("One sentence for the patient") + 1


def test_slides_without_script_stand_below_one_another(chromium, made):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto((made / "slides.html").as_uri())
    assert all(slide.is_visible() for slide in page.locator(".slide").all())
    context.close()


def test_the_worksheet_is_one_page_of_paper(made):
    target = made / "worksheet.pdf"
    print_page(chromium_program(), made / "worksheet.html", target)
    assert len(re.findall(rb"/Type\s*/Page\b", target.read_bytes())) == 1


# --- JupyterLab -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """JupyterLab on a copy of the notebook, with the review's data next to it."""
    home = tmp_path_factory.mktemp("lab")
    (home / "notebooks").mkdir()
    shutil.copy(NOTEBOOK, home / "notebooks")
    (home / "data").symlink_to(ROOT / "data")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {
        name: str(home / "own")
        for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")
    }
    options = [f"--port={port}", f"--IdentityProvider.token={TOKEN}", "--no-browser", "--allow-root", "--ip=127.0.0.1"]
    options += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=", "--ServerApp.port_retries=0"]
    run = [sys.executable, "-m", "jupyterlab", *options, f"--ServerApp.root_dir={home}"]
    here = {"PYTHONPATH": os.pathsep.join([str(ROOT / "src"), os.environ.get("PYTHONPATH", "")])}
    with (home / "log").open("w") as log:
        server = subprocess.Popen(run, stdout=log, stderr=log, env={**os.environ, **own, **here})
        try:
            wait_for(f"http://127.0.0.1:{port}/api?token={TOKEN}", server, home / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)


def wait_for(address, server, log):
    """Until the server answers; what it said if it does not."""
    for _ in range(240):
        if server.poll() is not None:
            break
        try:
            urllib.request.urlopen(address, timeout=5).read()
        except OSError:
            time.sleep(0.5)
        else:
            return
    pytest.fail(f"JupyterLab did not start: {log.read_text()[-2000:]}")


IDLE = "() => window.jupyterapp?.shell?.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
RUN_ALL = "async () => { await window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
OUTPUTS = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
  .filter((cell) => cell.cell_type === 'code').map((cell) => cell.toJSON())
  .map((cell) => [cell.id, cell.execution_count, JSON.stringify(cell.outputs)])"""


@pytest.fixture(scope="module")
def live(chromium, lab):
    """The notebook in JupyterLab, every cell run."""
    page = chromium.new_page(viewport={"width": 1280, "height": 2600})
    listen(page)
    page.goto(f"{lab}/lab/tree/notebooks/journal_club.ipynb?token={TOKEN}")
    page.wait_for_function(IDLE, timeout=120_000)
    page.evaluate(RUN_ALL)
    page.wait_for_function(IDLE, timeout=240_000)
    yield page
    page.close()


@pytest.fixture(scope="module")
def asks(base):
    """The engine's own answer to a state, with nothing of the panel between."""
    claim = claim_of(base.evidence, "stop_all_2016")
    return lambda **state: journal_club.answer(base, claim, journal_club.controls_of(base, claim, **state))


HEADER = ".jupyter-widget-Collapse-header, .jp-Collapse-header"


def go(page, cell):
    """Bring a cell in sight: cells far away are not in the page."""
    page.evaluate(
        """(id) => { const book = window.jupyterapp.shell.currentWidget.content;
        const at = [...book.widgets].findIndex((cell) => cell.model.id === id);
        book.activeCellIndex = at; return book.scrollToItem(at, 'start'); }""",
        cell,
    )


def scrolled(page, words):
    """The control with a description, in sight; those of the model are behind a line that opens."""
    go(page, "live")
    control = page.locator(f".widget-inline-hbox:has(> label:text-is('{words}'))")
    page.locator(HEADER).first.wait_for(timeout=60_000)
    if not control.first.is_visible():
        page.locator(HEADER).first.click()
    control.wait_for(timeout=60_000)
    return control


def choose(page, words, option):
    scrolled(page, words).locator("select").select_option(label=option)


def says(page, answer):
    """Wait until the panel says what the engine says, and compare the drawing."""
    for line in answer.lines():
        page.locator(".club-live p[role=status]", has_text=line).first.wait_for(timeout=30_000)
    drawn = page.locator(".club-live svg text").all_text_contents()
    shown = re.findall(r"<text [^>]*>([^<]*)</text>", journal_club.forest_svg(answer))
    assert drawn == [html.unescape(text) for text in shown]


def test_all_cells_run_and_the_controls_come_alive(live):
    cells = live.evaluate(OUTPUTS)
    assert [count for _, count, _ in cells] == list(range(1, len(cells) + 1))
    assert [name for name, _, outputs in cells if '"error"' in outputs] == []
    alive = [name for name, _, outputs in cells if "widget-view+json" in outputs]
    assert {"guess", "bias", "readings", "live", "verdict", "beside", "exercise-weight"} <= set(alive)


def test_each_control_moves_the_figure_and_the_number_as_the_engine_says(live, asks):
    state = {}

    def now(**change):
        state.update(change)
        says(live, asks(**state))

    now()
    choose(live, "Estimator", "DerSimonian-Laird")
    now(METHOD="DL")
    choose(live, "Test", "Hartung-Knapp")
    now(TEST="knha")
    choose(live, "Prior scale of tau", "2")
    now(TAU_SCALE=2.0)
    scrolled(live, "Leave out").locator("select").select_option(label="Hu 2012")
    now(WITHOUT=["hu2012"])
    choose(live, "Outcome", "change of HbA1c after cells")
    now(OUTCOME="hba1c_change")
    choose(live, "Correlation r", "0.8")
    now(CORRELATION=0.8)
    live.locator("button:has-text('All as the protocol says')").click()
    state.clear()
    now()
    choose(live, "Tables of reviews", "left out")
    now(SECONDARY=False)
    live.locator("button:has-text('All as the protocol says')").click()
    live.locator(".club-live p[role=status]", has_text="As the protocol says.").first.wait_for(timeout=30_000)


def test_keys_stay_in_the_panel(live):
    """Arrow keys moved JupyterLab to another cell, m made the panel's cell text, d d deleted it, x cut it."""
    book = "window.jupyterapp.shell.currentWidget.content"
    where = f"() => [{book}.activeCell.model.id, {book}.activeCell.model.type, {book}.model.cells.length]"
    control = scrolled(live, "Estimator").locator("select")
    button = live.locator("button:has-text('All as the protocol says')")
    before = live.evaluate(where)
    assert before[:2] == ["live", "code"]
    for focused in (control, scrolled(live, "Leave out").locator("select"), button):
        focused.focus()
        for key in ("ArrowDown", "m", "d", "d", "x", "ArrowUp", "a"):
            live.keyboard.press(key)
        assert live.evaluate(where) == before
    button.click()


def test_nothing_in_the_panel_has_a_false_scroll_bar(live):
    go(live, "live")
    false = live.evaluate(
        """() => [...document.querySelectorAll(".club-live, .club-live *")].filter((element) => {
          const style = getComputedStyle(element), scrolls = (way) => /auto|scroll/.test(way);
          return element.tagName !== "SELECT" && (
            (scrolls(style.overflowY) && element.scrollHeight > element.clientHeight + 1)
            || (scrolls(style.overflowX) && element.scrollWidth > element.clientWidth + 1));
        }).map((element) => element.className)"""
    )
    assert false == []


def test_a_prediction_is_empty_takes_a_comma_and_refuses_in_words(live):
    go(live, "guess")
    field = live.locator(".widget-text:has(> label:text-is('Your prediction, in %')) input").first
    field.wait_for(timeout=60_000)
    assert field.input_value() == ""
    field.fill("1.234,5")
    field.press("Enter")
    live.locator("strong[role=status]", has_text="is not a number here").wait_for(timeout=30_000)
    field.fill("32,1")
    field.press("Enter")
    go(live, "beside")
    live.locator(".club-live td", has_text="32%").first.wait_for(timeout=30_000)


def test_an_answer_in_jupyterlab_is_explained(live):
    go(live, "exercise-proportion")
    field = live.locator(".widget-text:has(> label:text-is('Your answer')) input").first
    field.wait_for(timeout=60_000)
    field.fill("32.1")
    field.press("Enter")
    live.locator("strong[role=status]", has_text="that is a percentage").wait_for(timeout=30_000)


def test_jupyterlab_asked_nobody_else_and_our_cells_complained_of_nothing(live, lab):
    elsewhere = [u for u in live.requested if not u.startswith((lab, lab.replace("http", "ws"), "data:", "blob:"))]
    assert elsewhere == []
    ours = [said for said in live.complaints if re.search("cellclaims|widget", said, re.IGNORECASE)]
    assert [said for said in ours if not said.endswith("to activate.")] == []  # a busy machine starts plugins slowly


def test_the_saved_copy_shows_the_fallback_without_a_kernel(live, chromium, lab):
    """Reopened, every control said "model not found": each has an output of its own that needs no widget."""
    for name, _, outputs in live.evaluate(OUTPUTS):
        kinds = [set(output.get("data", {})) for output in json.loads(outputs)]
        if any("application/vnd.jupyter.widget-view+json" in kind for kind in kinds):
            assert kinds[0] & {"text/html", "image/svg+xml"}, name
    live.evaluate("async () => { await window.jupyterapp.commands.execute('docmanager:save'); }")
    live.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
    page = chromium.new_page(viewport={"width": 1280, "height": 1000})
    page.goto(f"{lab}/lab/tree/notebooks/journal_club.ipynb?token={TOKEN}&kernel=none")
    page.wait_for_function("window.jupyterapp?.shell?.currentWidget?.content?.widgets?.length > 9", timeout=120_000)
    page.wait_for_function("window.jupyterapp.shell.currentWidget.sessionContext.isReady", timeout=120_000)
    page.evaluate("async () => { await window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")
    go(page, "live")
    page.locator(".jp-RenderedSVG img").first.wait_for(timeout=60_000)
    missing = page.locator(".jp-OutputArea-child", has_text="Error displaying widget")
    assert not any(one.is_visible() for one in missing.all())
    page.close()
