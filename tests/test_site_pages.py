"""The site as a reader meets it, in Chromium: nothing from outside, search, keyboard, both colours, narrow windows.

These tests open ``reports/site``, which ``make site-test`` makes first.
"""

from __future__ import annotations

import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SITE = ROOT / "reports" / "site"
sys.path.insert(0, str(ROOT / "site"))

from sitepages import SiteError, build, check_links, contents  # noqa: E402

pytestmark = pytest.mark.site

PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html"))

#: One page of each kind: front, notebook, ledger, dictionary, downloads, guide, reference, search, names.
KINDS = [
    "index.html",
    "notebooks/05_advertised_and_published.html",
    "ledger.html",
    "data/dictionary.html",
    "download.html",
    "docs/engine.html",
    "api/robustness.html",
    "search.html?q=kappa",
    "genindex.html",
]


class Quiet(http.server.SimpleHTTPRequestHandler):
    """A plain server of files that does not tell of every request."""

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture(scope="module")
def address():
    """The site on a plain web server of this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=SITE))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def opened(chromium):
    """Open windows: ``opened(width, scheme)`` gives a page that notes what it asks for and complains of."""
    contexts = []

    def new(width=1280, scheme="light", **more):
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        contexts.append(context)
        page = context.new_page()
        page.asked, page.complaints = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        return page

    yield new
    for context in contexts:
        context.close()


def test_the_site_is_there_with_every_page_of_the_menu():
    assert PAGES, "no site: make site"
    listed = {f"{name}.html" for pages in contents.menu(ROOT).values() for name in pages}
    assert listed <= set(PAGES)
    assert check_links.faults(SITE, check_links.read_pages(SITE)) == []


def test_every_page_opens_as_a_file_without_a_request_outside_or_a_complaint(opened):
    page = opened()
    for name in PAGES:
        page.goto((SITE / name).as_uri())
    assert [url for url in page.asked if not url.startswith((SITE.as_uri(), "data:"))] == []
    assert page.complaints == []


def test_a_page_that_asks_outside_would_be_noticed_and_stopped(opened):
    page = opened()
    page.goto((SITE / "index.html").as_uri())
    page.evaluate("document.body.append(Object.assign(new Image(), {src: 'https://example.org/x.png'}))")
    page.wait_for_timeout(200)
    assert any("Content Security Policy" in complaint for complaint in page.complaints)


@pytest.mark.parametrize("name", KINDS)
def test_no_page_is_wider_than_a_telephone(opened, name):
    page = opened(390)
    page.goto(f"{SITE.as_uri()}/{name}")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", KINDS)
def test_axe_finds_no_serious_fault(opened, name, scheme):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    page = opened(scheme=scheme)
    page.goto(f"{SITE.as_uri()}/{name}")
    # what is not colour does not change with the colours, and large pages take axe seconds
    asked = {"resultTypes": ["violations"]} | ({"runOnly": ["color-contrast"]} if scheme == "dark" else {})
    faults = axe.Axe().run(page, options=asked).response["violations"]
    serious = [one for one in faults if one["impact"] in ("serious", "critical")]
    assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []


# --- search --------------------------------------------------------------------------------------------------


def said(page, words):
    """Wait until the search says so; a function that is waited for would be refused by the policy of the pages."""
    page.locator(".search-summary", has_text=words).wait_for()


def found_by(page, words, start):
    """Type words into the field of a page, and wait for the results."""
    page.goto(f"{start}/index.html")
    page.fill("#find", words)
    page.press("#find", "Enter")
    page.wait_for_selector("#search-results ul.search li a")
    said(page, "finished")
    return page.eval_on_selector_all("#search-results li > a", "links => links.map(a => a.getAttribute('href'))")


def test_search_works_in_pages_opened_as_files(opened):
    page = opened()
    results = found_by(page, "retinopathy OR vision".split()[-1], SITE.as_uri())
    assert any(one.startswith("ledger.html") for one in results)
    assert found_by(page, "trim_and_fill", SITE.as_uri())[0].startswith("api/robustness.html#")
    assert page.complaints == []


def test_search_from_a_server_shows_the_place_and_asks_no_other(opened, address):
    page = opened()
    results = found_by(page, "continuity", address)
    assert any(one.startswith(("docs/method.html", "docs/engine.html")) for one in results)
    page.wait_for_selector("#search-results .context")
    assert {url for url in page.asked if not url.startswith((address, "data:"))} == set()
    assert page.complaints == []


def test_words_of_neighbouring_cells_are_found_and_the_result_opens_at_its_place(opened):
    page = opened()
    results = found_by(page, "Estrada", SITE.as_uri())
    assert any(one.startswith("notebooks/") for one in results), "cells must not be joined in the index"
    page.locator("#search-results li > a").first.click()
    hit = page.locator("main .highlighted").first
    hit.wait_for(state="visible")
    page.wait_for_timeout(300)
    top = page.evaluate("document.querySelector('main .highlighted').getBoundingClientRect().top")
    assert 0 <= top < 900
    assert page.complaints == []


def test_the_ledger_sorts_and_filters(opened):
    page = opened()
    page.goto((SITE / "ledger.html").as_uri())
    table = page.locator("main table").first
    rows = table.locator("tbody tr")
    before = rows.count()
    words = rows.nth(before - 1).locator("td").first.inner_text()
    page.locator(".filter input").first.fill(words)
    assert page.locator(".filter output").first.inner_text().endswith(f"of {before} rows")
    assert table.locator("tbody tr:visible").count() < before
    page.locator(".filter input").first.fill("")
    assert table.locator("tbody tr:visible").count() == before
    table.locator("th .sort").first.click()
    assert table.locator("th").first.get_attribute("aria-sort") == "ascending"


def test_words_that_stand_nowhere_are_said_to_be_nowhere(opened):
    page = opened()
    page.goto(f"{SITE.as_uri()}/search.html?q=xylophone")
    said(page, "did not match")


# --- keyboard, colours, figures ------------------------------------------------------------------------------


def focused(page):
    """Tag, id and words of what has the focus."""
    return page.evaluate("(e => [e.tagName, e.id, e.innerText?.trim() ?? ''])(document.activeElement)")


def test_the_keyboard_alone_reaches_content_search_menu_and_a_figure(opened):
    page = opened()
    page.goto((SITE / "notebooks" / "02_hba1c.html").as_uri())
    page.keyboard.press("Tab")
    assert focused(page)[2] == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#content"
    assert focused(page)[1] == "content"
    page.reload()
    reached = []
    for _ in range(300):  # headings of tables are buttons, too
        page.keyboard.press("Tab")
        reached.append(focused(page))
        if page.evaluate("document.activeElement.classList.contains('enlarge')"):
            break
    ids, words = [one[1] for one in reached], [one[2] for one in reached]
    assert ids.index("find") < ids.index("scheme") < words.index("What evidence is there?") < len(words) - 1
    page.keyboard.press("Enter")
    page.wait_for_url("**/figures/02_hba1c/*.svg")


def test_the_menu_of_a_narrow_window_opens_and_closes_by_keyboard(opened):
    page = opened(390)
    page.goto((SITE / "index.html").as_uri())
    menu, opener = page.locator("#menu"), page.locator(".opener")
    assert not menu.is_visible()
    opener.focus()
    page.keyboard.press("Enter")
    assert menu.is_visible()
    assert opener.get_attribute("aria-expanded") == "true"
    page.keyboard.press("Escape")
    assert not menu.is_visible()
    assert focused(page)[2] == "Menu"


def test_without_scripts_the_menu_is_there_and_no_switch_promises_anything(opened):
    page = opened(390, java_script_enabled=False)
    page.goto((SITE / "index.html").as_uri())
    assert page.locator("#menu").is_visible()
    assert not page.locator(".scheme").is_visible()
    assert not page.locator(".opener").is_visible()


def paper(page):
    """The colour behind the text."""
    return page.evaluate("getComputedStyle(document.body).backgroundColor")


def test_colours_follow_the_system_until_a_reader_chooses_and_the_choice_is_kept(opened):
    light, dark = "rgb(253, 252, 249)", "rgb(20, 24, 27)"
    page = opened(scheme="dark")
    page.goto((SITE / "index.html").as_uri())
    assert paper(page) == dark
    page.select_option("#scheme", "light")
    assert paper(page) == light
    page.goto((SITE / "ledger.html").as_uri())
    assert paper(page) == light
    page.select_option("#scheme", "")
    assert paper(page) == dark


def test_a_click_opens_a_figure_as_large_as_the_window(opened):
    page = opened()
    page.goto((SITE / "index.html").as_uri())
    page.click("figure .enlarge")
    page.wait_for_url("**/05_advertised_headline.svg")
    assert page.evaluate("document.documentElement.tagName") == "svg"


def test_every_figure_has_words(opened):
    page, words = opened(), []
    for path in contents.notebooks(ROOT):
        page.goto((SITE / "notebooks" / f"{path.stem}.html").as_uri())
        words += page.eval_on_selector_all("main .enlarge img", "all => all.map(one => one.alt)")
    assert len(words) > 10
    assert min(map(len, words)) > 30


# --- how it is made ------------------------------------------------------------------------------------------


def test_a_formula_that_cannot_be_shown_is_refused_and_one_that_can_is_mathml():
    html_writer = pytest.importorskip("sitepages.html_writer")
    assert html_writer.shown(r"\tau^2", "inline").startswith("<math")
    with pytest.raises(SiteError, match="formula: expected LaTeX that can be shown"):
        html_writer.shown(r"\frac{1}{", "block")


def test_formulas_of_the_reference_are_mathml_and_tables_and_code_can_be_reached_by_keyboard(opened):
    page = opened()
    page.goto((SITE / "api" / "meta.html").as_uri())
    assert page.locator("main math").count() > 20
    page.goto((SITE / "docs" / "engine.html").as_uri())
    boxes = page.locator("main .scroll, main pre")
    assert boxes.count() > 4
    assert page.locator("main :is(.scroll, pre):not([tabindex='0'])").count() == 0


@pytest.fixture
def copied(tmp_path):
    """The files that a site is made from, in a folder of their own."""
    for folder in ("docs", "data", "figures", "notebooks", "tests/RULES.md", "runs"):
        source = ROOT / folder
        target = tmp_path / "repository" / folder
        shutil.copytree(source, target) if source.is_dir() else (target.parent.mkdir(), shutil.copy(source, target))
    for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "LICENSE", "LICENSE-DATA"):
        shutil.copy(ROOT / name, tmp_path / "repository" / name)
    return tmp_path / "repository"


def files_of(folder):
    """Every file of a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_second_site_has_the_same_bytes_and_a_guide_with_a_dead_link_is_refused(copied, tmp_path, capfd):
    build.make_site(copied, ROOT / "reports", tmp_path / "site")
    assert files_of(tmp_path / "site") == files_of(SITE), "make site"
    (copied / "docs" / "guide.md").write_text("# A guide\n\nSee [nothing](nothing.md).\n")
    with pytest.raises(SiteError, match="pages without a warning"):
        build.make_site(copied, ROOT / "reports", tmp_path / "site")
    assert "nothing.md" in capfd.readouterr().err
    assert files_of(tmp_path / "site") == files_of(SITE), "the old site stays"
    assert list(tmp_path.glob(".site-*")) == []
