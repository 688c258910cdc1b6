"""The journal club as leader and listeners meet it: in JupyterLab, as slides, on the worksheet (make browser)."""

from __future__ import annotations

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
PAGES = ("journal_club.html", "slides.html", "worksheet.html")
TOKEN = "reader"
SERIOUS = {"serious", "critical"}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The page, the slides and the worksheet, as the command makes them."""
    folder = tmp_path_factory.mktemp("club")
    handouts.worksheet_command(NOTEBOOK, folder, {})
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


def test_a_solution_opens_by_the_keyboard_and_does_not_turn_the_slide(opened):
    page = opened("slides.html", SIZES["a projector"])
    while not page.locator(".slide:not([hidden]) summary").count():
        page.keyboard.press("ArrowRight")
    place = page.locator("#place").inner_text()
    page.locator(".slide:not([hidden]) summary").first.focus()
    page.keyboard.press("Space")
    assert page.locator(".slide:not([hidden]) details[open]").count() == 1
    assert page.locator("#place").inner_text() == place


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
    """JupyterLab on a copy of the notebook, with the review's data beside it."""
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
    with (home / "log").open("w") as log:
        server = subprocess.Popen(run, stdout=log, stderr=log, env={**os.environ, **own})
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


def scrolled(page, words):
    """The control with a description, in sight: cells far away are not in the page."""
    page.evaluate(
        """() => { const book = window.jupyterapp.shell.currentWidget.content;
        const at = [...book.widgets].findIndex((cell) => cell.model.id === 'live');
        book.activeCellIndex = at; return book.scrollToItem(at, 'start'); }"""
    )
    control = page.locator(f".widget-inline-hbox:has(> label:text-is('{words}'))")
    control.wait_for(timeout=60_000)
    return control


def choose(page, words, option):
    scrolled(page, words).locator("select").select_option(label=option)


def says(page, answer):
    """Wait until the panel says what the engine says, and compare the drawing."""
    words = answer.in_words()
    page.locator("p[role=status]", has_text=words).first.wait_for(timeout=30_000)
    drawn = page.locator(".widget-html-content svg polygon").first.get_attribute("points")
    assert f'points="{drawn}"' in journal_club.forest_svg(answer)


def test_all_cells_run_and_the_controls_come_alive(live):
    cells = live.evaluate(OUTPUTS)
    assert [count for _, count, _ in cells] == list(range(1, len(cells) + 1))
    assert [name for name, _, outputs in cells if '"error"' in outputs] == []
    alive = [name for name, _, outputs in cells if "widget-view+json" in outputs]
    assert {"guess", "live", "beside", "verdict", "exercise-share"} <= set(alive)


def test_each_control_moves_the_figure_and_the_number_as_the_engine_says(live, asks):
    state = {}

    def now(**change):
        state.update(change)
        says(live, asks(**state))

    now()
    choose(live, "Estimator", "DerSimonian-Laird")
    now(METHOD="DL")
    choose(live, "Test", "Hartung-Knapp")
    now(METHOD="DL", TEST="knha")
    choose(live, "Prior scale of tau", "2")
    now(TAU_SCALE=2.0)
    scrolled(live, "Leave out").locator("select").select_option(label="Hu 2012")
    now(WITHOUT=["hu2012"])
    choose(live, "Counted", "at month")
    choose(live, "Months around it", "6")
    now(ESTIMAND="at_month", WINDOW=6.0)
    choose(live, "Month", "9")
    now(MONTHS=9.0)
    choose(live, "Outcome", "change of HbA1c after cells")
    now(OUTCOME="hba1c_change")
    choose(live, "Correlation r", "0.9")
    now(CORRELATION=0.9)


def test_an_answer_in_jupyterlab_is_explained(live):
    live.evaluate(
        """() => { const book = window.jupyterapp.shell.currentWidget.content;
        const at = [...book.widgets].findIndex((cell) => cell.model.id === 'exercise-share');
        book.activeCellIndex = at; return book.scrollToItem(at, 'start'); }"""
    )
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


def test_the_saved_copy_is_a_notebook(live, lab):
    """What a leader saves with live controls can still be read as a page: every widget has its fallback."""
    cells = live.evaluate(OUTPUTS)
    for name, _, outputs in cells:
        for output in json.loads(outputs):
            if "application/vnd.jupyter.widget-view+json" in output.get("data", {}):
                assert set(output["data"]) & {"text/html", "image/svg+xml", "text/markdown"}, name
