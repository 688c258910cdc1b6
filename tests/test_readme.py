"""README stays true: its table is what the data say today, its links lead somewhere, its commands exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from cellclaims import evidence, protocol
from cellclaims.cli import main
from cellclaims.errors import ReviewError
from cellclaims.reporting.answer import BEGIN, END, answer, put_answer
from cellclaims.selection import EvidenceBase

REPO = Path(__file__).resolve().parent.parent
PAGES = [REPO / "README.md", REPO / "CONTRIBUTING.md", *sorted((REPO / "docs").glob("*.md"))]


def test_the_answer_in_the_readme_is_what_the_data_say_today():
    page = (REPO / "README.md").read_text(encoding="utf-8")
    shown = page.split(BEGIN, 1)[1].split(END, 1)[0].strip()
    assert shown == answer(EvidenceBase(evidence.load(REPO / "data"), protocol.load(REPO / "data"))), (
        "run: make notebooks"
    )


def test_an_answer_is_put_between_its_marks_and_nowhere_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", encoding="utf-8")
    put_answer(page, "| new |")
    assert page.read_text(encoding="utf-8") == f"before\n{BEGIN}\n| new |\n{END}\nafter\n"


def test_a_page_without_marks_is_refused_and_left_as_it_was(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("no marks\n", encoding="utf-8")
    with pytest.raises(ReviewError, match=r"page\.md: expected the lines"):
        put_answer(page, "| new |")
    assert page.read_text(encoding="utf-8") == "no marks\n"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_within_the_repository_lead_to_files(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_commands_and_make_targets_that_the_readme_names_exist():
    page = (REPO / "README.md").read_text(encoding="utf-8")
    commands = set(re.findall(r"^ {4}cellclaims ([a-z]+)", page, re.M))
    assert commands <= set(main.commands)
    targets = set(re.findall(r"`?make ([a-z-]+)", page))
    known = set(re.findall(r"^([a-z-]+):", (REPO / "Makefile").read_text(encoding="utf-8"), re.M))
    assert targets <= known
