"""Pages are printed beside themselves, once; what cannot be printed is said."""

from __future__ import annotations

import os
import re

import pytest

from cellclaims.errors import ReviewError
from cellclaims.runner import pdf


@pytest.fixture
def browser(tmp_path, monkeypatch):
    """Put a program of the given text where a Chromium is looked for."""

    def put(text):
        program = tmp_path / "bin" / "chromium"
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\n{text}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")

    return put


@pytest.fixture
def page(tmp_path):
    path = tmp_path / "batch" / "one" / "01_double.html"
    path.parent.mkdir(parents=True)
    path.write_text("<!doctype html><title>T</title><p>Words</p>")
    (tmp_path / "batch" / "index.html").write_text("not a report")
    return path


PRINT = 'for a; do case $a in --print-to-pdf=*) echo "%PDF of $0 $*" > "${a#--print-to-pdf=}";; esac; done'


def test_every_page_but_the_index_is_printed_beside_itself_and_only_once(browser, page, tmp_path):
    browser(PRINT)
    target = page.with_suffix(".pdf")
    assert list(pdf.print_pages(tmp_path / "batch")) == [target]
    assert page.as_uri() in target.read_text()
    assert not (tmp_path / "batch" / "index.pdf").exists()
    target.write_text("as it was printed")
    list(pdf.print_pages(tmp_path / "batch"))
    assert target.read_text() == "as it was printed"
    os.utime(page, (2e9, 2e9))  # the page is younger than its print
    list(pdf.print_pages(tmp_path / "batch"))
    assert target.read_text().startswith("%PDF")


def test_a_page_that_cannot_be_printed_is_named(browser, page, tmp_path):
    browser("echo it is broken >&2; exit 1")
    with pytest.raises(ReviewError, match=r"to print .*01_double\.html, found: it is broken"):
        list(pdf.print_pages(tmp_path / "batch"))
    assert not page.with_suffix(".pdf").exists()


def test_no_browser_and_no_page_are_refused(page, tmp_path, monkeypatch):
    monkeypatch.setattr(pdf, "PROGRAMS", ("no-such-browser",))
    with pytest.raises(ReviewError, match="expected a browser for printing, found none of no-such-browser"):
        list(pdf.print_pages(tmp_path / "batch"))
    with pytest.raises(ReviewError, match="expected pages"):
        list(pdf.print_pages(tmp_path / "batch" / "nothing"))


@pytest.mark.browser
def test_chromium_prints_a_page(page, tmp_path):
    try:
        pdf.chromium()
    except ReviewError as error:
        pytest.skip(str(error))
    (printed,) = pdf.print_pages(tmp_path / "batch")
    assert printed.read_bytes().startswith(b"%PDF-")
    assert len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes())) == 1
