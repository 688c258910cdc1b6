"""Every page as a reader opens it: no request, no error, no fault of access; light, dark, large, on a telephone."""

from __future__ import annotations

import pytest

from .conftest import REPOSITORY

pytestmark = pytest.mark.browser

PAGES = sorted((REPOSITORY / "reports").glob("*.html"))
EACH = pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)

WIDTHS = {"desk": 1280, "telephone": 390}
SCHEMES = ("light", "dark")

#: What axe is not asked: the inside of a drawing, which is hidden from it, as from a screen reader.
NOT_ASKED = [[".drawing > svg"]]
#: One row of a table is like another: five of each are asked. A shade at an edge would make axe give up on contrast.
SHORTER = "document.querySelectorAll('tbody > :nth-child(n + 6)').forEach((row) => row.remove())"
NO_SHADE = "div.scroll { background-image: none !important }"

#: How many boxes of a page are scrolled sideways, and those of them that cannot be given the focus.
BOXES = """(() => {
  const wide = [...document.querySelectorAll("body *")].filter((box) => box.scrollWidth > box.clientWidth + 1);
  const boxes = wide.filter((box) => ["auto", "scroll"].includes(getComputedStyle(box).overflowX));
  const unreached = boxes.filter((box) => box.tabIndex !== 0 || (box.focus(), document.activeElement !== box));
  return [boxes.length, unreached.map((box) => box.outerHTML.slice(0, 80))];
})()"""


@pytest.fixture
def opened(chromium):
    """Open a page; what it asked for and complained of stands in ``requested`` and ``complaints`` of the page."""
    pages = []

    def open_page(path, **options):
        page = chromium.new_page(viewport={"width": WIDTHS["desk"], "height": 900}, **options)
        pages.append(page)
        page.requested, page.complaints = [], []
        page.on("request", lambda request: page.requested.append(request.url))
        page.on("console", lambda message: page.complaints.append(message.text))
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        page.on("dialog", lambda dialog: page.complaints.append(dialog.message) or dialog.dismiss())
        page.goto(path.as_uri(), wait_until="load")
        return page

    yield open_page
    for page in pages:
        page.close()


def faults(page):
    """Serious and critical faults that axe finds, with the first element that has each."""
    from axe_playwright_python.sync_playwright import Axe

    found = Axe().run(page, {"exclude": NOT_ASKED}, {"resultTypes": ["violations"], "preload": False})
    return [
        (fault["id"], len(fault["nodes"]), fault["nodes"][0]["html"][:200])
        for fault in found.response["violations"]
        if fault["impact"] in ("serious", "critical")
    ]


def is_too_wide(page):
    """Whether the page itself, not a table in it, would have to be scrolled sideways."""
    return page.evaluate("document.documentElement.scrollWidth > window.innerWidth")


def outside(page, path):
    """Requests for anything but the page and the pictures in its folder."""
    folder = path.parent.as_uri()
    return [url for url in page.requested if not url.startswith(("data:", f"{folder}/"))]


def look_at(page, path):
    """The faults of an open page in light and dark, at the desk and on a telephone."""
    found = [*outside(page, path), *page.complaints]
    page.add_style_tag(content=NO_SHADE)
    page.evaluate(SHORTER)
    for scheme in SCHEMES:
        page.emulate_media(color_scheme=scheme)
        for name, width in WIDTHS.items():
            page.set_viewport_size({"width": width, "height": 900})
            found += [(scheme, name, *fault) for fault in faults(page)]
            found += [(scheme, name, "too wide")] * is_too_wide(page)
    return found


def test_there_are_pages_to_open():
    assert len(PAGES) > 6, "no reports: make review"


@EACH
def test_a_page_can_be_read_by_everybody_and_asks_for_nothing(opened, path):
    page = opened(path)
    assert look_at(page, path) == []


def test_the_index_of_a_batch_can_be_read_by_everybody(opened, batch_index):
    page = opened(batch_index)
    page.locator(".all summary").click()
    assert look_at(page, batch_index) == []


@pytest.mark.parametrize("width", WIDTHS.values(), ids=WIDTHS)
@EACH
def test_text_can_be_twice_as_large(opened, path, width):
    page = opened(path)
    page.set_viewport_size({"width": width, "height": 900})
    before = page.evaluate("parseFloat(getComputedStyle(document.querySelector('p')).fontSize)")
    page.add_style_tag(content=":root { font-size: 200% }")
    assert page.evaluate("parseFloat(getComputedStyle(document.querySelector('p')).fontSize)") >= 1.9 * before
    assert not is_too_wide(page)


@EACH
def test_what_is_wider_than_a_telephone_scrolls_in_a_box_that_the_keyboard_reaches(opened, path):
    page = opened(path)
    page.set_viewport_size({"width": WIDTHS["telephone"], "height": 900})
    page.evaluate("document.querySelectorAll('details').forEach((one) => (one.open = true))")
    boxes, unreached = page.evaluate(BOXES)
    assert unreached == []
    assert boxes > 0 or path.stem == "index"


def test_axe_is_asked_so_that_it_can_find(opened, tmp_path):
    path = tmp_path / "bad.html"
    path.write_text(
        "<!doctype html><html lang=en><title>T</title><main><h1>T</h1><p style='color:#aaa;background:#fff'>Pale words"
        "</p><img src='https://example.org/x.png'><p style='width:2000px'>wide</p><script>y()</script></main>"
    )
    found = look_at(opened(path), path)
    assert {"color-contrast", "image-alt", "too wide"} <= {part for fault in found for part in fault}
    assert "https://example.org/x.png" in found
    assert any("y is not defined" in fault for fault in found if isinstance(fault, str))
