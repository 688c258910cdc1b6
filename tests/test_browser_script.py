"""The one script of pages and indexes: tables sort by what a cell says, an index counts and finds its reports."""

from __future__ import annotations

import re

import nbformat
import pytest

from cellclaims.reporting.tables import Table
from cellclaims.runner.page import Provenance, page_html

pytestmark = pytest.mark.browser

ORIGIN = Provenance("2026-11-20", "0.1.0", "ab" * 32)
HOSTILE = "<img src=x onerror=alert(1)><script>alert(1)</script>"

#: A column as it is printed, and as it stands when its heading is pressed once.
SORTED = {
    "minus sign": (["0.19", "−1.13", "–", "−0.67", "2"], ["−1.13", "−0.67", "0.19", "2", "–"]),
    "percent": (["44.4 %", "9 %", "100.0 %", "", "0.2 %"], ["0.2 %", "9 %", "44.4 %", "100.0 %", ""]),
    "interval": (
        ["34.4 to 54.8", "−1.10 to −0.24", "not estimable", "34.4 to 41.0"],
        ["−1.10 to −0.24", "34.4 to 41.0", "34.4 to 54.8", "not estimable"],
    ),
    "thousands": (["202 752", "10 000", "9999", "12\u00a0346"], ["9999", "10 000", "12\u00a0346", "202 752"]),
    "bounds": (["93 %", "over 93 %", "under 93 %", "60 %"], ["60 %", "under 93 %", "93 %", "over 93 %"]),
    "small p": (["p = 0.031", "p < 0.001", "p = 0.44"], ["p < 0.001", "p = 0.031", "p = 0.44"]),
    "counts": (["12/30", "5/8", "100/120"], ["5/8", "12/30", "100/120"]),
    "infinity": (["3", "∞", "−∞", "−3"], ["−∞", "−3", "3", "∞"]),
    "words": (["Zang 2022", "éa", "eb", "–", "zang 2013"], ["éa", "eb", "zang 2013", "Zang 2022", "–"]),
    "dates": (["2026-11-20", "2016-01-02", "2026-02-28"], ["2016-01-02", "2026-02-28", "2026-11-20"]),
    "numbered words": (["a17", "a2", "a100"], ["a2", "a17", "a100"]),
    "12-month words": (["24-month", "6-month", "12-month"], ["6-month", "12-month", "24-month"]),
    "hostile": (["b", HOSTILE, "a"], [HOSTILE, "a", "b"]),
}


@pytest.fixture
def page_of(small_review, tmp_path):
    """Write the page of a notebook that shows tables; returns its address."""

    def write(*tables):
        book = nbformat.read(small_review(), as_version=4)
        for table in tables:
            output = nbformat.v4.new_output("display_data", {"text/html": table._repr_html_(), "text/plain": "x"})
            book.cells.append(nbformat.v4.new_code_cell("show()", outputs=[output]))
        path = tmp_path / "page.html"
        path.write_text(page_html(book, ORIGIN, name="01_double"))
        return path.as_uri()

    return write


@pytest.fixture
def tab(chromium):
    """An empty tab that notes every complaint and dialog."""
    page = chromium.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("dialog", lambda dialog: page.complaints.append(dialog.message) or dialog.dismiss())
    yield page
    assert page.complaints == []
    page.close()


def column(page, number=1):
    """The cells of a column of the shown table, from top to bottom."""
    cells = page.locator(f"table.shown tbody tr td:nth-child({number})").all_text_contents()
    return [cell.replace("\u00a0%", " %") for cell in cells]  # a page joins a number with its sign


def state(page):
    return page.locator("table.shown thead th").first.get_attribute("aria-sort")


def shown(cells, *others, header=("value", "row")):
    rows = tuple((cell, str(number)) for number, cell in enumerate(cells))
    return Table(header, rows + others, "Some values")


@pytest.mark.parametrize("name", SORTED)
def test_a_column_is_sorted_by_what_its_cells_say(page_of, tab, name):
    printed, ascending = SORTED[name]
    tab.goto(page_of(shown(printed)))
    button = tab.locator("table.shown").get_by_role("button", name="value")
    empty = [cell for cell in ascending if cell in ("–", "", "not estimable")]
    filled = [cell for cell in ascending if cell not in empty]
    for order, expected in (
        ("ascending", filled + empty),
        ("descending", filled[::-1] + empty),
        (None, printed),
        ("ascending", filled + empty),
    ):
        button.click()
        assert (state(tab), column(tab)) == (order, expected)
    assert tab.locator("table.shown img, table.shown script").count() == 0


def test_equal_cells_stay_as_they_are_printed_in_both_directions(page_of, tab):
    tab.goto(page_of(shown(["2", "1", "2", "1", "2"])))
    button = tab.get_by_role("button", name="value")
    orders = [(button.click(), column(tab, 2))[1] for _ in range(2)]
    assert orders == [["1", "3", "0", "2", "4"], ["0", "2", "4", "1", "3"]]


def test_headings_are_pressed_by_keyboard_one_column_at_a_time(page_of, tab):
    tab.goto(page_of(shown(["b", "a", "c"])))
    tab.locator("table.shown").get_by_role("button", name="value").focus()
    tab.keyboard.press("Enter")
    assert column(tab) == ["a", "b", "c"]
    tab.keyboard.press("Tab")
    tab.keyboard.press("Space")
    tab.keyboard.press("Space")
    assert (state(tab), column(tab, 2)) == (None, ["2", "1", "0"])
    assert tab.evaluate("document.activeElement.textContent") == "row"
    assert tab.locator("table.shown thead th").nth(1).get_attribute("aria-sort") == "descending"


def test_hostile_words_in_a_heading_stay_words(page_of, tab):
    tab.goto(page_of(shown(["b", "a"], header=(HOSTILE, "row"))))
    button = tab.locator("table.shown button").first
    button.click()
    assert (button.text_content(), column(tab)) == (HOSTILE, ["a", "b"])
    assert tab.locator("table.shown img").count() == 0


def test_without_the_script_a_table_is_as_it_is_printed(page_of, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(page_of(shown(["b", "a"])))
    assert column(page) == ["b", "a"]
    assert page.locator("button").count() == 0
    context.close()


def test_a_table_of_one_row_or_with_joined_cells_has_no_buttons(page_of, tab, tmp_path):
    address = page_of(shown(["1"]), shown(["b", "a"]))
    path = tmp_path / "page.html"
    text, made = re.subn(r"<td[^>]*>a</td>\s*<td[^>]*>1</td>", '<td colspan="2">a</td>', path.read_text())
    assert made == 1
    path.write_text(text)
    tab.goto(address)
    assert tab.locator("table.shown").count() == 2
    assert tab.locator("table.shown button").count() == 0


def test_a_script_that_is_not_the_packages_own_does_not_run(page_of, chromium, tmp_path):
    address = page_of(shown(["b", "a"]))
    path = tmp_path / "page.html"
    path.write_text(path.read_text().replace("<footer>", "<script>document.title = 'run'</script><footer>", 1))
    page = chromium.new_page()
    refused = []
    page.on("console", lambda message: refused.append(message.text))
    page.goto(address)
    assert page.title() == "Does it double?"
    assert "Content Security Policy" in refused[0]
    page.close()


# --- the index of a batch ----------------------------------------------------------------------------------------


def cards(page):
    return page.locator(".card:visible").count()


def said(page):
    return page.locator(".finder output").text_content()


def test_filters_by_mouse_and_keyboard_count_what_they_show(batch_index, tab):
    tab.goto(batch_index.as_uri())
    tab.locator(".all summary").click()
    lines = tab.locator(".line:visible")
    total = cards(tab)
    assert total >= 20
    assert (lines.count(), said(tab)) == (total, f"all {total} reports shown")
    tab.get_by_label("02_hba1c").check()
    hba1c = cards(tab)
    assert 1 < hba1c < total
    assert (lines.count(), said(tab)) == (hba1c, f"{hba1c} of {total} reports shown")
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("document.activeElement.labels[0].textContent.trim()").startswith("03_insulin_independence")
    assert said(tab) == f"{cards(tab)} of {total} reports shown"
    assert 0 < cards(tab) < total - hba1c + 1
    tab.get_by_role("group", name="MONTHS").get_by_label("24").check()
    assert (cards(tab), lines.count()) == (1, 1)
    tab.get_by_role("button", name="Show all").click()
    assert (cards(tab), lines.count(), said(tab)) == (total, total, f"all {total} reports shown")


def test_reports_are_found_by_every_word(batch_index, tab):
    tab.goto(batch_index.as_uri())
    total = cards(tab)
    tab.get_by_label("Find").fill("correlation HBA1c 0.3")
    assert said(tab) == f"1 of {total} reports shown"
    assert tab.locator(".card:visible").get_attribute("id") == "02_hba1c_correlation-0.3"
    tab.get_by_label("Find").fill("nothing is called this")
    assert (cards(tab), said(tab)) == (0, f"0 of {total} reports shown")


def test_the_table_of_all_reports_sorts_and_stays_filtered(batch_index, tab):
    tab.goto(batch_index.as_uri())
    tab.locator(".all summary").click()
    tab.get_by_label("03_insulin_independence").check()
    before = tab.locator(".line:visible").count()
    tab.get_by_role("button", name="patients").click()
    heads = tab.locator(".all th[scope=col]").all_text_contents()
    place = [head.strip() for head in heads].index("patients") + 1
    cells = tab.locator(f".line:visible > :nth-child({place})").all_text_contents()
    patients = [int(cell) for cell in cells]
    assert len(patients) == before
    assert patients == sorted(patients)


def test_filters_need_no_script(batch_index, chromium):
    context = chromium.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(batch_index.as_uri())
    total = cards(page)
    page.get_by_label("02_hba1c").check()
    assert 1 < cards(page) < total
    assert not page.locator(".finder").is_visible()
    context.close()


def test_every_card_leads_to_its_report_and_shows_its_main_figure(batch_index, tab):
    tab.goto(batch_index.as_uri())
    links = tab.eval_on_selector_all(".card h2 a", "links => links.map(one => one.getAttribute('href'))")
    names = tab.locator(".card h2 a").all_text_contents()
    assert all((batch_index.parent / link).is_file() for link in links)
    assert len(set(names)) == len(names) == cards(tab)
    for picture in tab.locator(".card img").all():
        picture.scroll_into_view_if_needed()
    tab.wait_for_load_state("networkidle")  # a function that is waited for would be refused by the page's policy
    assert 0 not in tab.eval_on_selector_all(".card img", "all => all.map(one => one.naturalWidth)")
