"""On paper: where a table may be cut, what stands beside it. Columns as high as a page stand for pages: the browser
cuts both by the same rules, and of columns a script can say what stands in which.
"""

from __future__ import annotations

import nbformat
import pytest

from cellclaims.reporting.tables import Table
from cellclaims.runner.page import Provenance, page_html

pytestmark = pytest.mark.browser

#: A page of 250 mm without the script's column of contents; one column a page.
AS_PAGES = (
    "main { columns: 170mm; column-gap: 0; column-fill: auto; height: 250mm; width: 170mm; margin: 0; padding: 0 }"
)

#: For each table: the column of its caption, of its heading, and of each row.
PLACES = """[...document.querySelectorAll("table.shown")].map((table) =>
  [table.caption, table.tHead, ...table.tBodies[0].rows].map((part) =>
    Math.round(part.getBoundingClientRect().left / document.querySelector("main").clientWidth)))"""


@pytest.fixture
def printed(small_review, tmp_path, chromium):
    """The places of tables in a report whose first figure has a height (mm) and whose table follows some words."""

    def make(height, rows, words):
        book = nbformat.read(small_review(name=f"report{height}"), as_version=4)
        filler = f'<svg xmlns="http://www.w3.org/2000/svg" width="10mm" viewBox="0 0 10 {height}"/>'
        table = Table(("name", "words"), tuple((str(n), words) for n in range(rows)), "Some rows")
        for data in ({"image/svg+xml": filler, "text/plain": "A bar."}, {"text/html": table._repr_html_()}):
            if "text/html" in data:
                book.cells.append(nbformat.v4.new_markdown_cell("## A table\n\nIts words."))
            output = nbformat.v4.new_output("display_data", data)
            book.cells.append(nbformat.v4.new_code_cell("show()", outputs=[output]))
        path = tmp_path / f"{height}.html"
        text = page_html(book, Provenance("2026-11-20", "0.1.0", "ab" * 32), name="01_double")
        path.write_text(text.replace("</style>", f".drawing svg {{ height: {height}mm }}</style>", 1))
        page.goto(path.as_uri())
        page.add_style_tag(content=AS_PAGES)
        return page.evaluate(PLACES)[0]

    page = chromium.new_page(viewport={"width": 1280, "height": 1200})
    page.emulate_media(media="print")
    make.page = page
    yield make
    page.close()


HEIGHTS = range(60, 212, 15)


def test_the_heading_of_a_table_stands_with_its_first_rows(printed):
    cut = 0
    for height in HEIGHTS:
        caption, head, *rows = printed(height, 25, "words " * 120)
        assert caption == head == rows[0] == rows[1], height
        cut += rows[0] != rows[-1]
    assert cut == len(HEIGHTS), "the tables are longer than a page"


def test_a_table_that_fits_a_page_is_not_cut(printed):
    moved = set()
    for height in HEIGHTS:
        places = printed(height, 12, "words " * 12)
        assert len(set(places)) == 1, height
        moved.add(places[0])
    assert moved == {0, 1}, "some stay on the page of the figure, some go to the next"


def test_on_paper_no_heading_shows_that_it_can_be_pressed(printed):
    printed(150, 40, "words")
    page = printed.page
    style = page.evaluate(
        "(() => { const button = document.querySelector('table.shown button');"
        " return [getComputedStyle(button).display, getComputedStyle(button, '::after').content] })()"
    )
    # a heading that holds a button's box is not repeated on the next page
    assert style == ["contents", "none"]
    assert page.evaluate("getComputedStyle(document.querySelector('.drawing svg')).filter") == "none"
