"""The pages of the site say what the repository holds, foreign text stays text, and a site with a fault is not made."""

from __future__ import annotations

import doctest
import importlib
import io
import json
import re
import sys
import zipfile
from dataclasses import replace
from html import unescape
from pathlib import Path

import nbformat
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from markupsafe import Markup

import cellclaims
from cellclaims import evidence, protocol
from cellclaims.claims import Entry
from cellclaims.errors import DataError
from cellclaims.evidence.schema import read_schema
from cellclaims.runner.page import Provenance, markdown, shell

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "site"))

from sitepages import (  # noqa: E402
    SiteError,
    api_page,
    check_links,
    club_page,
    contents,
    dictionary_page,
    download_page,
    downloads,
    front_page,
    ledger_page,
    links,
    notebook_page,
    raw,
    style,
)

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)> ```\n# *x*"
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" aria-labelledby="01_line-title"><desc>A line that rises.</desc><g/></svg>'
)
ORIGIN = Provenance("2026-11-20", "0.1.0", "ab" * 32)


@pytest.mark.parametrize(
    "name", ["links", "raw", "downloads", "check_links", "dictionary_page", "notebook_page", "ledger_page"]
)
def test_examples_of_the_pages_run(name):
    assert doctest.testmod(importlib.import_module(f"sitepages.{name}")).failed == 0


# --- links ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("link", "found"),
    [
        ("[a](method.md)", {"docs/method.md"}),
        ("![a](../figures/a.svg)", {"figures/a.svg"}),
        ("[a](method.md#step)", {"docs/method.md"}),
        ("[a](#step) [b](https://x.org/y) [c](mailto:a@b.org) [d](/etc)", set()),
    ],
)
def test_links_to_files_are_found_and_others_are_not(link, found):
    assert links.targets(link, "docs/batch.md") == found


def test_a_link_follows_a_file_that_moves_and_a_page_that_moves_takes_its_links_along():
    moved = {"notebooks/01.ipynb": "notebooks/01.md", "data/README.md": "data/dictionary.md", "README.md": "index.md"}
    assert links.repointed("[a](../notebooks/01.ipynb#x)", "docs/m.md", moved) == "[a](../notebooks/01.md#x)"
    assert links.repointed("[a](docs/m.md)", "README.md", moved) == "[a](docs/m.md)"
    assert links.repointed("[a](02.md)", "a/b.md", {"a/b.md": "c.md"}) == "[a](a/02.md)"


# --- foreign text --------------------------------------------------------------------------------------------

#: Markdown joins lines and drops blanks at the ends; everything else must come back as it went in.
LINES = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=["Cc", "Zs"]) | st.just(" "))


@given(LINES)
def test_escaped_text_is_shown_as_it_is(text):
    shown = unescape(re.sub(r"</?p>|\n", "", markdown(raw.escaped(text))))
    assert shown == " ".join(text.split())


@given(st.lists(st.sampled_from(["`", "```", "````", "~~~", "\n", "a", " "])).map("".join))
def test_html_never_ends_its_own_block(text):
    first, *inside, last = raw.raw(text).split("\n")
    assert set(last) == {"`"}
    assert first == f"{last}{{raw}} html"
    assert not any(line.strip().startswith(last) for line in inside)


# --- notebooks -----------------------------------------------------------------------------------------------


def executed(*cells):
    """A small executed notebook: texts, and outputs with the tags of their cell."""
    book = nbformat.v4.new_notebook()
    for cell in ("# Does it double?\n\n**Question** Does it?", *cells):
        if isinstance(cell, str):
            book.cells.append(nbformat.v4.new_markdown_cell(cell))
        else:
            output, *tags = cell
            shown = [nbformat.v4.new_output("display_data", output)] if output else []
            made = nbformat.v4.new_code_cell("show(1)", outputs=shown, metadata={"tags": tags})
            book.cells.append(made)
    return book


def test_text_stays_markdown_and_a_headline_is_marked():
    page = notebook_page.notebook_page(executed("## Next", ({"text/markdown": "It **does**."}, "headline")), "01")
    assert page.markdown.startswith("# Does it double?")
    assert "\n\n## Next\n\n" in page.markdown
    assert '<div class="output headline">\n<p>It <strong>does</strong>.</p>' in page.markdown
    assert '<details class="code"><summary>Code</summary>' in page.markdown
    assert 'href="01.ipynb" download' in page.markdown


@pytest.mark.parametrize("kind", ["text/html", "text/markdown", "text/plain"])
def test_hostile_output_is_text(kind):
    page = notebook_page.notebook_page(executed(({kind: HOSTILE},)), "01")
    assert "<script" not in page.markdown
    assert not re.search(r"<[^>]+\sonerror", page.markdown)


def test_hidden_code_is_left_out_and_code_without_output_joins_the_next():
    shown = {"text/plain": "1"}
    hidden = notebook_page.notebook_page(executed((shown, "hide-input")), "01")
    assert "<summary>Code" not in hidden.markdown
    joined = notebook_page.notebook_page(executed((None,), (shown,)), "01")
    assert joined.markdown.count("<summary>Code") == 1
    assert joined.markdown.count('<pre tabindex="0">') == 2


def test_a_drawing_is_a_file_with_words_that_opens_large():
    page = notebook_page.notebook_page(executed(({"image/svg+xml": SVG, "text/plain": "x"},)), "01")
    assert page.drawings == {"01_line": SVG}
    assert '<a class="enlarge" href="../figures/01/01_line.svg"><img src="../figures/01/01_line.svg"' in page.markdown
    assert 'alt="A line that rises."' in page.markdown


def test_two_drawings_of_one_name_are_two_files_and_equal_ones_are_one():
    other = SVG.replace("rises", "falls")
    drawn = [({"image/svg+xml": svg, "text/plain": "x"},) for svg in (SVG, other, SVG)]
    assert notebook_page.notebook_page(executed(*drawn), "01").drawings == {"01_line": SVG, "01_line-2": other}


@pytest.mark.parametrize(
    "active", ["<script>x</script>", '<g onload="x"/>', '<image href="https://x.org/y"/>', "<foreignObject/>"]
)
def test_a_drawing_that_could_act_is_refused(active):
    with pytest.raises(SiteError, match=r"01\.ipynb, drawing 1: expected lines and text, found "):
        notebook_page.notebook_page(
            executed(({"image/svg+xml": SVG.replace("<g/>", active), "text/plain": "x"},)), "01"
        )


def test_no_committed_drawing_is_active():
    drawn = [
        notebook_page.notebook_page(nbformat.read(path, as_version=4), path.stem).drawings
        for path in contents.notebooks(ROOT)
    ]
    assert sum(map(len, drawn)) > 10


# --- the ledger ----------------------------------------------------------------------------------------------


def entry(**more):
    """An entry with nothing but what it must have."""
    statement = {
        "claim_id": "vision",
        "what": "vision improves",
        "document": "ad",
        "title": "A page",
        "locator": "line 1",
    }
    given = {
        "entry_id": "vision",
        "family": "effect",
        "answered_by": "retinopathy",
        "name": "vision improves",
        "statements": [statement],
        "finding": "studies disagree",
        "reasons": ["they differ"],
    }
    return Entry(**given | more)


def fact(label, link):
    """A result on a topic."""
    words = {
        "row_id": "b001",
        "label": label,
        "link": link,
        "kind": "randomised",
        "result": label,
        "direction": "cells",
    }
    numbers = {"n": 10, "estimate": None, "ci_lb": None, "ci_ub": None, "p": ""}
    return words | numbers | {"is_pooled": False, "counted": True, "under": "", "study_id": label}


@pytest.fixture
def ledger(tmp_path):
    """Write entries as a review does, and read them back."""

    def record(*entries):
        path = tmp_path / "claims.json"
        path.write_text(json.dumps([one.as_json() | {"text": "In words."} for one in entries]), encoding="utf-8")
        return ledger_page.recorded(path)

    return record


def test_every_entry_has_a_line_and_a_card_with_finding_rule_and_sources(ledger):
    study = fact("A 2020", "https://doi.org/10.1/a")
    rate = {"value": 60.0, "unit": "percent", "qualifier": "", "n_treated": None}
    other = entry(entry_id="half_dose", family="rate", name="half the dose", advertised=rate)
    page = ledger_page.ledger_page(ledger(entry(studies=[study]), other))
    for anchor, title in (("claim-vision", "Vision improves"), ("claim-half-dose", "Half the dose: 60%")):
        assert f"({anchor})=" in page
        assert f'<a href="#{anchor}">{title}</a>' in page
    assert '<span class="finding studies-disagree">studies disagree</span>' in page
    assert "<dt>Rule</dt>\n<dd>they differ</dd>" in page, "the index of the search needs a space between them"
    assert '<a href="https://doi.org/10.1/a">b001 A 2020</a>' in page
    assert page.index(f"## {ledger_page.PARTS['rate']}") < page.index(f"## {ledger_page.PARTS['effect']}")


def test_certainty_and_closeness_are_given_with_their_reasons(ledger):
    step = {"domain": "imprecision", "step": -1, "reason": "one report", "judged_by": "computed"}
    close = {"population": {"grade": "yes", "reason": "as advertised"}}
    page = ledger_page.ledger_page(ledger(entry(certainty="low", certainty_steps=[step], close=close)))
    assert "<td>imprecision</td>\n<td>-1</td>\n<td>one report</td>\n<td>computed</td>" in page
    assert "<td>population</td>\n<td>yes</td>\n<td>as advertised</td>" in page


def test_hostile_text_of_the_ledger_is_text(ledger):
    study = fact(HOSTILE, "javascript:alert(1)")
    page = ledger_page.ledger_page(ledger(entry(reasons=[HOSTILE], name=HOSTILE, studies=[study], finding=HOSTILE)))
    assert re.search(r"(?<!\\)<(script|img)", page) is None, "a backslash makes it text"
    assert "javascript:" not in page


@pytest.mark.parametrize("text", [None, "[", '[{"claim_id": "x"}]'])
def test_without_a_ledger_the_site_says_how_to_get_one(tmp_path, text):
    path = tmp_path / "claims.json"
    if text:
        path.write_text(text)
    with pytest.raises(SiteError, match=r"claims\.json: expected the ledger of a review, found .*make review"):
        ledger_page.recorded(path)


# --- the dictionary ------------------------------------------------------------------------------------------


def test_every_table_and_column_is_explained_and_every_key_leads_to_one():
    page = dictionary_page.dictionary_page(ROOT / "data")
    schema = read_schema(ROOT / "data")
    places = check_links.Page(page)
    for table in schema.tables.values():
        assert f"({dictionary_page.anchor_of(table.name)})=" in page
        for column in table.columns:
            assert f'<tr id="{table.name}.{column.name}">' in page
            assert f"<td>{Markup.escape(column.description)}</td>" in page
    assert page.count(" refers to <a href=") == sum(len(table.foreign_keys) for table in schema.tables.values()) > 0
    anchors = {*places.ids, *(dictionary_page.anchor_of(name) for name in schema.tables)}
    assert {link[1:] for link in places.links if link.startswith("#")} <= anchors


def test_allowed_values_ranges_and_patterns_are_shown():
    page = dictionary_page.dictionary_page(ROOT / "data")
    row = page.partition('<tr id="studies.diabetes_type">')[2].partition("</tr>")[0]
    assert "<code>T1D</code>, <code>T2D</code>" in row
    assert "from 1980 to 2040" in page.partition('<tr id="studies.year">')[2].partition("</tr>")[0]
    assert "unique" in page.partition('<tr id="studies.study_id">')[2].partition("</tr>")[0]


def test_a_dictionary_without_its_mark_or_description_is_refused(tmp_path):
    (tmp_path / "README.md").write_text("# Data\n")
    with pytest.raises(SiteError, match=r"README\.md: expected the line <!-- data dictionary"):
        dictionary_page.dictionary_page(tmp_path)
    (tmp_path / "README.md").write_bytes((ROOT / "data" / "README.md").read_bytes())
    with pytest.raises(DataError, match=r"datapackage\.json"):
        dictionary_page.dictionary_page(tmp_path)


# --- downloads and citation ----------------------------------------------------------------------------------


def test_the_package_is_whole_equal_from_build_to_build_and_can_be_loaded(tmp_path):
    first, second = (downloads.package_of(ROOT, "2026-11-20") for _ in range(2))
    assert first.sha256 == second.sha256
    with zipfile.ZipFile(io.BytesIO(first.content)) as archive:
        assert {one.date_time for one in archive.infolist()} == {downloads.NO_DATE}
        assert all(name.startswith("cellclaims-data-2026-11-20/") for name in archive.namelist())
        archive.extractall(tmp_path)
    folder = tmp_path / "cellclaims-data-2026-11-20"
    assert {"LICENSE-DATA", "CITATION.cff", "data"} == {path.name for path in folder.iterdir()}
    assert (
        len(evidence.load(folder / "data").studies)
        == len((ROOT / "data/published/studies.csv").read_text().splitlines()) - 1
    )
    assert protocol.load(folder / "data").evidence_date == protocol.load(ROOT / "data").evidence_date


def test_another_figure_gives_another_number_beside_the_package(tmp_path):
    for name in [*downloads.table_files(ROOT), *downloads.BESIDE]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    same = downloads.package_of(tmp_path, "2026-11-20")
    assert same.sha256 == downloads.package_of(ROOT, "2026-11-20").sha256
    arms = tmp_path / "data" / "published" / "arms.csv"
    arms.write_bytes(arms.read_bytes() + b"x")
    assert downloads.package_of(tmp_path, "2026-11-20").sha256 != same.sha256


def test_numbers_are_offered_where_they_are_there_and_every_table_alone(tmp_path):
    (tmp_path / "results.json").write_text("[]")
    offered = {one.path: one for one in downloads.downloads(ROOT, tmp_path, "2026-11-20")}
    assert offered["results.json"].content == b"[]"
    assert "claims.json" not in offered
    assert {f"data/{table.path}" for table in read_schema(ROOT / "data").tables.values()} <= set(offered)


def test_the_page_of_downloads_shows_each_number_and_how_to_cite():
    offered = [downloads.Download("a.zip", b"abc", "all tables"), downloads.Download("data/a.csv", b"", "")]
    page = download_page.download_page(offered, ORIGIN, (ROOT / "CITATION.cff").read_text())
    assert offered[0].sha256 in page
    assert "sha256sum a.zip" in page
    assert "data/a.csv" not in page
    assert "evidence of 2026-11-20, data abababababab" in page


def test_the_citation_file_agrees_with_package_and_evidence():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert cited["version"] == cellclaims.__version__
    assert protocol.load(ROOT / "data").evidence_date in cited["abstract"]
    assert {"diabetes", "meta-analysis"} <= set(cited["keywords"])
    line = download_page.citation_line((ROOT / "CITATION.cff").read_text(), ORIGIN)
    assert line.startswith("The cellclaims maintainers (2026). cellclaims: advertised success rates")


# --- the front page and the menu -----------------------------------------------------------------------------

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_front_page_has_question_answer_picture_and_menu():
    figure = {"address": "figures/a.svg", "alternative": "Words of the picture."}
    page = front_page.front_page(README, figure, [], ORIGIN, {"The review": ["notebooks/01"]})
    assert front_page.question(README) in page
    assert front_page.between(README, front_page.BEGIN, front_page.END) in page
    assert 'alt="Words of the picture."' in page
    assert any(f"## {title}\n" in page for title in front_page.REPEATED)
    assert ":caption: The review\n\nnotebooks/01\n" in page
    assert "2026-11-20" in page


@pytest.mark.parametrize("missing", ["**", "<!-- answer", "<!-- end of answer", "\n## "])
def test_a_readme_without_a_part_that_the_front_page_shows_is_refused(missing):
    with pytest.raises(SiteError, match=r"README\.md: expected "):
        front_page.front_page(README.replace(missing, "x"), {"address": "a", "alternative": "b"}, [], ORIGIN, {})


def test_every_notebook_and_every_page_of_docs_stands_in_the_menu_once():
    listed = [page for pages in contents.menu(ROOT).values() for page in pages]
    assert len(listed) == len(set(listed))
    assert {f"docs/{path.stem}" for path in (ROOT / "docs").glob("*.md")} <= set(listed)
    assert {f"notebooks/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")} <= set(listed)


def test_a_new_guide_and_a_new_notebook_become_pages_by_being_there(tmp_path):
    for name in ("docs/pull.md", "docs/method.md", "notebooks/07_new.ipynb", "notebooks/x.running.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    menu = contents.menu(tmp_path)
    assert menu[contents.GUIDES] == ["docs/pull"]
    assert menu["The review"] == ["notebooks/07_new", "ledger", "club"]
    assert menu[contents.METHOD] == ["docs/method"]


def test_the_club_page_links_to_what_was_made_and_names_the_command_for_the_rest(tmp_path):
    (tmp_path / "club").mkdir()
    (tmp_path / "club" / "slides.html").write_text("slides")
    page = club_page.club_page(tmp_path)
    assert '<a href="club/slides.html">Slides</a>' in page
    assert "Worksheet: one page per participant, to print (`cellclaims club`)" in page
    assert list(club_page.club_files(tmp_path)) == [("club/slides.html", b"slides")]


def test_every_public_name_of_the_engine_has_an_entry():
    for package in api_page.PACKAGES:
        page = api_page.api_page(package, "Title")
        names = re.findall(r"^\.\. auto(?:function|class):: (\w+)$", page, re.MULTILINE)
        assert sorted(names) == sorted(importlib.import_module(package).WHERE)
        assert page.startswith("Title\n=====\n")


def test_a_reader_who_chooses_light_or_dark_gets_the_colours_of_the_reports():
    sheet = style.stylesheet()
    chosen = dict(re.findall(r":root\[data-scheme=(\w+)\] \{\n(.*?)\n\}", sheet, re.DOTALL))
    assert "color-scheme: light;" in chosen["light"]
    assert "color-scheme: dark;" in chosen["dark"]
    assert {name: re.search(r"--paper: (#\w+)", block)[1] for name, block in chosen.items()} == {
        "light": "#fdfcf9",
        "dark": "#14181b",
    }


def test_a_style_without_dark_colours_is_refused(monkeypatch):
    bare = replace(shell(), style=Markup(":root {\n  --paper: #fff;\n}\n"))
    monkeypatch.setattr(style.page, "shell", lambda: bare)
    with pytest.raises(SiteError, match=r"style\.css: expected colours for light and for dark"):
        style.stylesheet()


# --- a site is looked at before it takes its place -----------------------------------------------------------

GOOD = '<h1 id="top">T</h1><a href="#top">a</a><a href="b/other.html#x">b</a><a href="https://doi.org/10.1/a">c</a>'


@pytest.fixture
def site(tmp_path):
    """The folder of a small site, beside a file that is no part of it."""
    folder = tmp_path / "site"
    (folder / "b").mkdir(parents=True)
    (folder / "b" / "other.html").write_text('<p id="x"><a href="../index.html">up</a><img src="../a.svg" alt=""></p>')
    (folder / "a.svg").touch()
    (tmp_path / "outside.html").touch()
    return folder


@pytest.fixture
def small_site(site):
    """What is wrong with a site of two pages; ``small_site(html)`` adds to the first."""

    def look(html=""):
        (site / "index.html").write_text(GOOD + html)
        return check_links.faults(site, check_links.read_pages(site))

    return look


def test_a_site_without_a_fault_is_silent(small_site):
    assert small_site() == []


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ('<a href="none.html">x</a>', "expected a file of the site, found a link to 'none.html'"),
        ('<a href="../outside.html">x</a>', "expected a file of the site, found a link to '../outside.html'"),
        ('<a href="b/other.html#none">x</a>', "expected an anchor of b/other.html"),
        ('<a href="#none">x</a>', "expected an anchor of index.html"),
        ('<a href="https://doi">x</a>', "expected a web address, found 'https://doi'"),
        ('<a href="javascript:x">x</a>', "expected a web address"),
        ('<p id="top">x</p>', "expected each id once, found twice: top"),
        ('<img src="a.svg">', "expected words (alt) for the picture a.svg"),
        ('<img src="none.svg" alt="">', "expected a file of the site, found 'none.svg'"),
        ('<script src="https://x.org/y.js"></script>', "expected nothing from the network"),
        ('<link rel="stylesheet" href="//x.org/y.css">', "expected nothing from the network"),
        ('<img src="https://x.org/y.png" alt="">', "expected nothing from the network"),
    ],
)
def test_a_fault_is_told_with_page_and_place(small_site, html, fault):
    [told] = small_site(html)
    assert told.startswith("index.html: ")
    assert fault in told


def test_addresses_outside_are_listed_with_their_pages(small_site, site):
    small_site()
    pages = check_links.read_pages(site)
    assert list(check_links.outside(pages)) == [("https://doi.org/10.1/a", ["index.html"])]
