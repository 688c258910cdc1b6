"""The page of the journal club: what a session needs, with links to each other."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

#: Files of ``cellclaims club`` in the folder of reports -> name and description on the page.
FILES = {
    "journal_club.html": ("Page", "the session as one page, with all answers"),
    "slides.html": ("Slides", "to show in the session; use the arrow keys"),
    "worksheet.html": ("Worksheet", "one page per participant, to print"),
    "solutions.html": ("Solutions", "the answers to the worksheet, for whoever leads the session"),
    "journal_club.ipynb": ("Notebook", "for JupyterLab, with live controls (`make club`)"),
}

#: Files to which the page links.
LINKED = ("journal_club.csv", "journal_club.json")

#: Folder of these files in the reports and on the site.
FOLDER = "club"

INTRODUCTION = """\
# Journal club

Everything for one session on an advertised claim: read the [leader's guide](docs/journal_club.md) first. The
[notebook's page](notebooks/journal_club.md) shows the session as committed.
"""


def club_files(reports: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the existing files of ``cellclaims club`` with their paths on the site."""
    for name in (*FILES, *LINKED):
        if (path := reports / FOLDER / name).is_file():
            yield f"{FOLDER}/{name}", path.read_bytes()


def club_page(reports: Path) -> str:
    """Return the page as Markdown; files that have not been made are described by the command that makes them."""
    made = {path.partition("/")[2] for path, _ in club_files(reports)}
    lines = [
        f'- <a href="{FOLDER}/{name}">{title}</a>: {words}'
        if name in made
        else f"- {title}: {words} (`cellclaims club`)"
        for name, (title, words) in FILES.items()
    ]
    return "\n".join([INTRODUCTION, *lines]) + "\n"
