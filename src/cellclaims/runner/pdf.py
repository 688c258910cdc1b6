"""Printing of the HTML pages of a folder to PDF by a headless Chromium."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cellclaims.errors import ReviewError
from cellclaims.files import write_atomically

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")

#: Seconds for one page.
LONGEST = 120

#: Options that stop the browser from looking for updates.
QUIET = (
    *("--disable-gpu", "--disable-quic", "--disable-sync", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update"),
)


def print_pages(folder: Path) -> Iterator[Path]:
    """Print the pages of a folder and its subfolders as ``<page>.pdf`` next to each; newer PDFs are kept.

    Raises
    ------
    ReviewError
        If there is no Chromium, no page, or a page cannot be printed.
    """
    pages = sorted(path for path in Path(folder).rglob("*.html") if path.name != "index.html")
    if not pages:
        raise ReviewError(f"expected pages (.html) in {folder}, found none")
    program = chromium()
    for page in pages:
        target = page.with_suffix(".pdf")
        if not target.exists() or target.stat().st_mtime < page.stat().st_mtime:
            print_page(program, page, target)
        yield target


def chromium() -> str:
    """Return the Chromium of this machine; raises ReviewError if there is none."""
    found = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if found is None:
        raise ReviewError(f"expected a browser for printing, found none of {', '.join(PROGRAMS)}: apt install chromium")
    return found


def print_page(program: str, page: Path, target: Path) -> None:
    """Print one page, with the print styles and page numbers of its style sheet."""
    with tempfile.TemporaryDirectory() as own:
        printed = Path(own, "page.pdf")
        # root cannot use the sandbox, as in a container
        rights = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        options = ["--headless", *QUIET, "--no-pdf-header-footer", f"--user-data-dir={own}/profile", *rights]
        command = [program, *options, f"--print-to-pdf={printed}", page.resolve().as_uri()]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=False).stderr
        except subprocess.TimeoutExpired:
            said = f"no end after {LONGEST} s"
        if not printed.exists():
            raise ReviewError(f"expected {program} to print {page}, found: {said.strip()[-500:]}")
        write_atomically(target, printed.read_bytes())
