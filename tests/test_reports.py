"""Pages are whole in themselves and safe to open; a review makes what is out of date and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import nbformat
import pytest

from cellclaims.errors import NotebookError, ReviewError
from cellclaims.runner import review as reviews
from cellclaims.runner.batch import conclude
from cellclaims.runner.batch_report import Failure, Job, write_failure
from cellclaims.runner.page import (
    COMPUTING,
    TEMPLATES,
    Provenance,
    inline,
    markdown,
    mathml,
    page_html,
    provenance,
    safe_html,
    used,
    write_page,
)
from cellclaims.runner.parameter_sets import ParameterSets
from cellclaims.runner.review import card_of, write_index
from cellclaims.runner.run import run_notebook

ORIGIN = Provenance("2026-11-20", "0.1.0", "ab" * 32)
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"
SVG = """<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="72pt" height="36pt">
<title>A line</title><desc>A line that rises.</desc><metadata>made by a program</metadata>
<style>*{stroke-linejoin: round}</style>
<defs><clipPath id="p1"><rect width="9" height="9"/></clipPath><path id="m1" d="M0 0"/></defs>
<g id="axes_1" clip-path="url(#p1)"><use xlink:href="#m1"/><text>A label</text></g></svg>"""


class Page(HTMLParser):
    """The tags of a page with their attributes, its ids, and its text by the tag that holds it."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.texts, self.open = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.open.append(tag)
        self.ids += [value for name, value in attributes if name == "id"]

    def handle_endtag(self, tag):
        while self.open and self.open.pop() != tag:
            pass

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]

    def text(self, tag):
        return "".join(data for name, data in self.texts if name == tag)


def shows(**data):
    """An output that displays ``data``, mimetypes written with ``__`` for the slash."""
    kinds = {name.replace("__", "/").replace("svg_xml", "svg+xml"): text for name, text in data.items()}
    return nbformat.v4.new_output("display_data", kinds)


@pytest.fixture
def executed(small_review):
    """Make an executed notebook of given markdown texts and outputs, without a kernel."""

    def make(*parts, opening=None):
        book = nbformat.read(small_review(), as_version=4)
        if opening:
            book.cells[0].source = opening
        for part in parts:
            tags, part = part if isinstance(part, tuple) else ((), part)
            if isinstance(part, str):
                book.cells.append(nbformat.v4.new_markdown_cell(part))
            else:
                cell = nbformat.v4.new_code_cell("show()", outputs=[part], metadata={"tags": list(tags)})
                book.cells.append(cell)
        return book

    return make


def paged(book, **more):
    return page_html(book, ORIGIN, name="01_double", **more)


# --- a page is whole in itself -------------------------------------------------------------------------------


def parsed(text):
    """A page without the package's own script, which it must hold once."""
    own = f"<script>{(TEMPLATES / 'script.js').read_text()}</script>"
    assert text.count(own) == 1
    return Page(text.replace(own, ""))


def requests(page):
    """Everything in a page that a browser would fetch or run."""
    found = [tag for tag, _ in page.tags if tag in ("script", "iframe", "object", "embed", "base", "form")]
    for tag, attributes in page.tags:
        addresses = [attributes.get("src"), attributes.get("srcset")]
        addresses += [attributes.get("href"), attributes.get("xlink:href")] if tag not in ("a",) else []
        found += [address for address in addresses if address and not re.match(r"data:|#", address)]
    return found + re.findall(r"@import[^;]*|url\((?!#|data:)[^)]*\)", page.text("style"))


def test_a_page_fetches_nothing_and_forbids_it(executed):
    page = parsed(
        paged(
            executed("Formula $x^2$", shows(image__svg_xml=SVG, text__plain="A line."), shows(image__png="iVBO\nRw=="))
        )
    )
    assert requests(page) == []
    policy = next(one["content"] for one in page.named("meta") if one.get("http-equiv") == "Content-Security-Policy")
    digest = base64.b64encode(hashlib.sha256((TEMPLATES / "script.js").read_bytes()).digest()).decode()
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'; "
        "base-uri 'none'; form-action 'none'"
    )


@pytest.mark.parametrize(
    "hostile", ["<script src='//x/y'></script>", "<img src='https://x/y.png'>", "<style>@import 'x'</style>"]
)
def test_the_search_for_requests_finds_them(hostile):
    assert requests(Page(hostile)) != []


def test_formulas_are_mathml(executed):
    page = paged(executed("The weight $w_i$ is\n\n$$w_i = \\frac{1}{v_i + \\tau^2}$$"))
    assert page.count("<math ") == 2
    assert 'display="block"' in page
    assert "<mfrac>" in page
    assert "$" not in Page(page).text("p")


def test_a_formula_that_cannot_be_read_is_shown_as_written():
    assert mathml("\\frac{1}{", "inline") == "<code>\\frac{1}{</code>"


def test_the_header_says_what_the_page_was_made_from(executed):
    page = Page(paged(executed(), index="index.html"))
    assert page.text("h1") == "Does it double?"
    assert "Question." in page.text("strong")
    assert page.text("time") == "2026-11-20"
    assert "ab" * 6 in page.text("span")
    assert {"href": "index.html"} in page.named("a")


def test_changed_parameters_stand_in_the_header_and_places_do_not(executed):
    book = executed()
    injected = nbformat.v4.new_code_cell('DOSE = 5.0\nPARTS = ["<b>"]', metadata={"tags": ["injected-parameters"]})
    book.cells.insert(2, injected)
    assert [(one.name, one.value, one.is_changed) for one in used(book)[:3]] == [
        ("DOSE", 5.0, True),
        ("PARTS", ["<b>"], True),
        ("LIMIT", None, False),
    ]
    text = paged(book)
    assert text.count('<tr class="changed">') == 2
    assert "2 changed" in text
    assert "REPORTS" not in text
    assert "<b>" not in text


# --- drawings ------------------------------------------------------------------------------------------------


def test_a_drawing_stands_in_a_figure_with_its_words(executed):
    page = Page(paged(executed(shows(image__svg_xml=SVG, text__plain="words of the cell"))))
    figure = page.named("figure")[0]
    assert (figure["role"], figure["aria-label"]) == ("img", "A line that rises.")
    svg = page.named("svg")[0]
    assert (svg["aria-hidden"], svg["style"]) == ("true", "max-width:72pt")
    assert "height" not in svg
    assert page.text("text") == "A label"
    assert page.named("metadata") == []


def test_two_equal_drawings_keep_their_ids_and_styles_to_themselves(executed):
    drawing = shows(image__svg_xml=SVG, text__plain="A line.")
    text = paged(executed(drawing, drawing))
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert [one["clip-path"] for one in page.named("g")] == ["url(#drawing1-p1)", "url(#drawing2-p1)"]
    assert [one["xlink:href"] for one in page.named("use")] == ["#drawing1-m1", "#drawing2-m1"]
    assert {"drawing1-p1", "drawing1-m1", "drawing2-p1", "drawing2-m1"} <= set(page.ids)
    assert "#drawing2 *{stroke-linejoin" in text


def test_active_parts_of_a_drawing_are_left_out():
    active = '<a href="https://x" onclick="x()"><image href="https://x/y.png"/></a><script>x()</script>'
    svg = inline(SVG.replace("<defs>", active + "<defs>"), "d")
    assert not re.search(r"script|onclick|https://x", svg)


# --- text is text --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part",
    [
        f"In markdown: {HOSTILE}",
        shows(text__html=f"<table onload=x()><tr><td>{HOSTILE}<a href='javascript:alert(1)'>x</a></td></tr></table>"),
        shows(text__markdown=f"[x](javascript:alert(1)) {HOSTILE}"),
        shows(text__plain=HOSTILE),
        shows(image__svg_xml=SVG, text__plain=f'">{HOSTILE}'),
        nbformat.v4.new_output("stream", name="stdout", text=HOSTILE),
    ],
    ids=["markdown", "html", "markdown output", "plain", "alternative text", "printed"],
)
def test_hostile_text_reaches_the_reader_as_text_and_no_more(executed, part):
    book = executed(
        (("headline",), part) if not isinstance(part, str) else part, opening=f"# T {HOSTILE}\n\n**Question** {HOSTILE}"
    )
    card = card_of(book, "01.html", 0)
    for page in (parsed(paged(book)), Page(f"{card.question}{card.headline}")):
        assert page.named("script") == []
        assert [one for one in page.named("img") if not one["src"].startswith("data:")] == []
        assert [name for _, attributes in page.tags for name in attributes if name.startswith("on")] == []
        assert [one for one in page.named("a") if one.get("href", "").startswith("javascript:")] == []


def test_words_of_a_pandas_style_sheet_are_not_shown():
    html = safe_html("<style scoped>.dataframe {color: red}</style><table><tr><td>1 &lt; 2</td></tr></table>")
    assert "color" not in html
    assert "1 &lt; 2" in html


def test_a_table_scrolls_in_a_box_named_by_its_caption():
    html = safe_html('<table><caption>Arms "as given" &amp; dose</caption><tr><td>1</td></tr></table>')
    box = Page(html).named("div")[0]
    assert (box["class"], box["tabindex"], box["aria-label"]) == ("scroll", "0", 'Arms "as given" & dose')


def test_a_table_keeps_alignment_and_links_and_loses_other_styles():
    html = safe_html(
        '<table><tr><td style="text-align:right;position:fixed"><a href="https://x.org">x</a></td></tr></table>'
    )
    page = Page(html)
    assert page.named("td")[0]["style"] == "text-align:right;"
    assert page.named("a") == [{"href": "https://x.org"}]


def test_links_between_notebooks_lead_to_their_pages():
    html = markdown("[a](03_next.ipynb#top) [b](../docs/method.md) [c](https://x.org/y.ipynb)")
    assert [one["href"] for one in Page(html).named("a")] == [
        "03_next.html#top",
        "../docs/method.md",
        "https://x.org/y.ipynb",
    ]


def test_headings_have_anchors_of_their_own_and_make_the_contents(executed):
    page = Page(paged(executed("## Pooled\n\n## Pooled", "## What it does *not* show")))
    assert [one for one in page.ids if one.startswith(("pooled", "what"))] == [
        "pooled",
        "pooled-2",
        "what-it-does-not-show",
    ]
    assert {"#pooled", "#pooled-2", "#what-it-does-not-show"} <= {
        one["href"] for one in page.named("a") if "href" in one
    }


def test_code_without_output_joins_the_next_and_parameters_are_left_out(executed):
    book = executed(shows(text__plain="1"))
    book.cells.insert(2, nbformat.v4.new_code_cell("import this"))
    text = paged(book)
    assert text.count('<details class="code">') == 1
    assert "this" in Page(text).text("span")
    assert "how much of it" in Page(text).text("td")
    assert "DOSE" not in Page(text).text("span")


# --- the index -----------------------------------------------------------------------------------------------


def test_a_card_has_question_answer_main_drawing_and_counts(executed, tmp_path):
    other = SVG.replace("A line that rises", "The main one")
    book = executed(
        shows(image__svg_xml=SVG, text__plain="A line."),
        (("headline",), shows(text__markdown="It **does**.", text__plain="<x>")),
        (("main-figure",), shows(image__svg_xml=other, text__plain="x")),
        shows(text__html="<table></table>"),
    )
    card = card_of(book, "01_double.html", 3)
    assert (card.title, card.address, card.alternative) == ("Does it double?", "01_double.html", "The main one.")
    assert "Is twice the dose twice the number?" in card.question
    assert card.headline == "<p>It <strong>does</strong>.</p>\n"
    assert card.counts == "2 figures, 1 table, 3 pools"
    write_index(tmp_path / "index.html", [card], ORIGIN, 3)
    page = parsed((tmp_path / "index.html").read_text())
    assert requests(page) == []
    assert {"results.json", "01_double.html"} <= {one["href"] for one in page.named("a")}
    assert page.named("img")[0]["alt"] == "The main one."


SETS = ParameterSets(f"Some {HOSTILE}", HOSTILE, ())


@pytest.fixture
def batch(executed, tmp_path):
    """Write the index of a batch of reports that are as they are given: ``values`` each, pools, or a failure."""

    def write(*reports):
        jobs = []
        for number, (values, pools, failure) in enumerate(reports):
            name = f"report{number}"
            job = Job(
                name, tmp_path / "notebooks" / "01_double.ipynb", values, tmp_path / "data", tmp_path / "into", "k"
            )
            jobs.append(job)
            if failure:
                write_failure(job, failure)
                continue
            job.folder.mkdir(parents=True)
            nbformat.write(executed(opening=f"# T {HOSTILE}\n\n**Question** {HOSTILE}"), job.folder / "01_double.ipynb")
            (job.folder / "01_double.json").write_text(json.dumps(pools))
            reviews.write_record(job.into, name, job.key, [job.folder / "01_double.ipynb"])
        conclude(SETS, jobs, tmp_path / "into")
        return (tmp_path / "into" / "index.html").read_text()

    return write


def pool(name, k=2, title="A pool", **shown):
    return {"pool": name, "title": title, "result": {"k": k}, "shown": {"value": "1 %", "patients": "9", **shown}}


def test_hostile_text_reaches_the_reader_of_an_index_as_text_and_no_more(batch):
    text = batch(
        ({"CLAIM": HOSTILE}, [pool("a", title=HOSTILE, value=HOSTILE)], None),
        ({"CLAIM": "b"}, [pool("a", k=HOSTILE)], None),
        ({"CLAIM": "b"}, [], Failure(HOSTILE, HOSTILE)),
    )
    page = parsed(text)
    assert requests(page) == []
    assert [name for _, attributes in page.tags for name in attributes if name.startswith("on")] == []
    assert text.count("&lt;script&gt;alert(1)") >= 9
    policy = next(one["content"] for one in page.named("meta") if one.get("http-equiv") == "Content-Security-Policy")
    assert "script-src 'sha256-" in policy and "unsafe-eval" not in policy


def test_an_index_lists_of_each_notebook_the_first_pool_that_differs(batch):
    text = batch(
        ({"DOSE": 1}, [pool("same"), pool("other", k=3, title="Of three")], None),
        ({"DOSE": 2}, [pool("same"), pool("other", k=4, title="Of four", patients="12")], None),
        ({"DOSE": 2}, [], None),
    )
    lines = re.findall(r'<tr class="line([^"]*)" data-report="(\w+)">(.*?)</tr>', text, re.DOTALL)
    assert [(name, "Of three" in cells, "Of four" in cells) for _, name, cells in lines] == [
        ("report0", True, False),
        ("report1", False, True),
    ]
    assert [facets for facets, _, _ in lines] == [" f0-0", " f0-1"]
    assert Page(text).text("output") == "3 reports"


# --- numbers beside a page ---------------------------------------------------------------------------------------


def test_numbers_stand_as_csv_beside_a_page_that_leads_to_them(executed, tmp_path):
    place = tmp_path / "01_double.ipynb"
    nbformat.write(executed(), place)
    write_page(place, place.with_suffix(".html"), ORIGIN)
    assert not place.with_suffix(".csv").exists()
    place.with_suffix(".json").write_text(json.dumps([{"pool": "a", "title": "A", "result": {"k": 2, "beta": 0.5}}]))
    write_page(place, place.with_suffix(".html"), ORIGIN)
    assert place.with_suffix(".csv").read_text().splitlines()[1] == "a,A,,,,2,0.5,,,,,,,,,"
    links = {one.get("href") for one in Page(place.with_suffix(".html").read_text()).named("a")}
    assert {"01_double.csv", "01_double.json"} <= links


def test_a_page_names_the_versions_that_computed_it(tmp_path, small_review):
    small_review()
    origin = provenance(tmp_path / "data")
    names = [library.split()[0] for library in origin.libraries]
    assert names == ["Python", *COMPUTING]
    assert all(re.fullmatch(r"\w+ \d+(\.\w+)+", library) for library in origin.libraries)


# --- a review ------------------------------------------------------------------------------------------------

RECORD = (
    "from pathlib import Path\n"
    "Path(REPORTS).mkdir(exist_ok=True)\n"
    "Path(FIGURES).mkdir(exist_ok=True)\n"
    "Path(FIGURES, NAME + '_line.svg').write_text('drawn')\n"
    "Path(REPORTS, NAME + '.json').write_text('[{\"pool\": \"' + NAME + '\"}]');"
)


@pytest.fixture
def review(small_review, tmp_path):
    """Two notebooks and a call that reviews them in this process; returns what was made."""
    for name in ("01_double", "02_half"):
        small_review((f"NAME = {name!r}\n{RECORD}",), name=name)
    said = []
    notebooks, reports = tmp_path / "notebooks", tmp_path / "reports"

    def call(**more):
        said.clear()
        return sorted(reviews.review(notebooks, reports, say=said.append, **{"workers": 1, **more}))

    call.said = said
    return call


def test_a_review_makes_everything_once_and_then_only_what_is_out_of_date(review, tmp_path):
    reports = tmp_path / "reports"
    assert review() == ["01_double", "02_half"]
    said = [re.sub(r"[\d.]+ s$", "_ s", line) for line in review.said]
    assert said == ["1 of 2: 01_double, _ s", "2 of 2: 02_half, _ s"]
    assert json.loads((reports / "results.json").read_text()) == [{"pool": "01_double"}, {"pool": "02_half"}]
    names = {"01_double.html", "01_double.ipynb", "02_half.html", "index.html", "results.json"}
    assert names <= {path.name for path in reports.iterdir()}
    before = {path: path.stat().st_mtime_ns for path in reports.iterdir()}
    assert (review(), review.said) == ([], [])
    assert {path: path.stat().st_mtime_ns for path in reports.iterdir()} == before

    (reports / "figures" / "02_half_line.svg").unlink()
    assert review() == ["02_half"]
    (reports / "01_double.html").write_text("changed by hand")
    assert review() == ["01_double"]
    (reports / "index.html").unlink()
    assert review() == []
    assert (reports / "index.html").exists()
    source = tmp_path / "notebooks" / "01_double.ipynb"
    source.write_text(source.read_text().replace("Is twice", "Is surely twice"))
    assert review() == ["01_double"]
    assert "Is surely twice" in (reports / "index.html").read_text()
    shutil.copy(reports / "01_double.ipynb", source)
    assert review() == [], "the outputs of a notebook are not what it is made from"
    (tmp_path / "data" / "arms.csv").write_text("arm_id\n")
    assert review() == ["01_double", "02_half"]


def test_the_package_and_the_libraries_are_part_of_what_a_report_is_made_from(review, tmp_path, monkeypatch):
    (tmp_path / "package").mkdir()
    monkeypatch.setattr(reviews, "PACKAGE", tmp_path / "package")
    keys = [next(reviews.found(tmp_path / "notebooks", tmp_path / "reports")).key]
    (tmp_path / "package" / "effects.py").write_text("changed")
    keys.append(next(reviews.found(tmp_path / "notebooks", tmp_path / "reports")).key)
    monkeypatch.setattr(reviews.importlib.metadata, "version", lambda name: "99")
    keys.append(next(reviews.found(tmp_path / "notebooks", tmp_path / "reports")).key)
    assert len(set(keys)) == 3


def test_a_failing_notebook_is_told_and_the_others_are_finished(review, small_review, tmp_path):
    small_review(("1 / 0",), name="00_fails")
    with pytest.raises(NotebookError, match=r"00_fails\.ipynb failed in cell 3: 1 / 0"):
        review(workers=2)
    assert sorted(re.sub(r".*: |[, ].*", "", line) for line in review.said) == ["00_fails", "01_double", "02_half"]
    reports = tmp_path / "reports"
    assert (reports / "02_half.html").exists()
    assert not (reports / "index.html").exists()


def test_the_committed_notebooks_and_figures_are_taken_over_from_the_reports(review, tmp_path):
    home, figures = tmp_path / "notebooks", tmp_path / "figures"
    review()
    taken = reviews.take_over(home, tmp_path / "reports", figures)
    assert {path.name for path in taken} >= {"01_double.ipynb", "02_half.ipynb"}
    assert (home / "02_half.ipynb").read_bytes() == (tmp_path / "reports" / "02_half.ipynb").read_bytes()
    assert review() == [], "the outputs of a notebook are not what it is made from"


def test_reports_of_something_else_are_not_taken_over(review, tmp_path):
    home, reports = tmp_path / "notebooks", tmp_path / "reports"
    review()
    before = {path: path.read_bytes() for path in home.iterdir()}
    run_notebook(home / "02_half.ipynb", reports, {"DOSE": 7})
    with pytest.raises(ReviewError, match=r"found another state of 02_half: made with other parameters, data or code"):
        reviews.take_over(home, reports, tmp_path / "figures")
    assert {path: path.read_bytes() for path in home.iterdir()} == before
    assert not (tmp_path / "figures").exists()
    assert review() == ["02_half"], "a review makes anew what is not of the defaults"


def test_a_folder_without_notebooks_is_refused(tmp_path):
    with pytest.raises(ReviewError, match=r"such as 02_hba1c\.ipynb, found none"):
        reviews.review(tmp_path, tmp_path / "reports")
