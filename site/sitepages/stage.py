"""The source folder of Sphinx: every page as a file, and the files that pages link to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from cellclaims.files import write_atomically
from cellclaims.runner.page import Provenance, provenance, shell
from cellclaims.runner.review import card_of, main_drawing
from cellclaims.runner.run import read
from sitepages import contents
from sitepages.api_page import PACKAGES, api_page
from sitepages.club_page import club_files, club_page
from sitepages.dictionary_page import dictionary_page
from sitepages.download_page import download_page
from sitepages.downloads import Download, downloads
from sitepages.front_page import front_page
from sitepages.ledger_page import ledger_page, recorded
from sitepages.links import repointed, targets
from sitepages.notebook_page import NotebookPage, notebook_page
from sitepages.style import stylesheet

#: Notebook whose main figure is on the front page.
FRONT_NOTEBOOK = "05_advertised_and_published"


@dataclass(frozen=True)
class Book:
    """A notebook and its page."""

    name: str
    path: Path
    content: NotebookNode
    page: NotebookPage


@dataclass(frozen=True)
class Material:
    """The material of all pages, read once."""

    root: Path
    reports: Path
    origin: Provenance
    books: tuple[Book, ...]
    offered: tuple[Download, ...]


def gathered(root: Path, reports: Path) -> Material:
    """Read the repository and the reports of a complete review."""
    origin = provenance(root / "data")
    offered = downloads(root, reports, origin.evidence_date)
    return Material(root, reports, origin, tuple(map(_book, contents.notebooks(root))), tuple(offered))


def _book(path: Path) -> Book:
    content = read(path)
    return Book(path.stem, path, content, notebook_page(content, path.stem))


def write_stage(material: Material, source: Path, extra: Path) -> None:
    """Write the pages into ``source``, and files that are copied unchanged into ``extra``.

    Raises
    ------
    SiteError
        If the ledger or a part of the README for the front page is missing.
    """
    for name, text in pages(material).items():
        write_atomically(source / name, text)
    for path in linked(material):
        write_atomically(source / path, (material.root / path).read_bytes())
    for name, content in beside(material):
        write_atomically(extra / name, content)
    write_atomically(extra / "_static" / "reports.css", stylesheet())
    write_atomically(extra / "_static" / "reports.js", str(shell().script))


def pages(material: Material) -> dict[str, str]:
    """Return every page by its path in the site."""
    root, places = material.root, contents.moved(material.root)
    found = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in contents.written(root)}
    found |= {f"notebooks/{book.path.name}": book.page.markdown for book in material.books}
    found["data/README.md"] = dictionary_page(root / "data")
    made = {places.get(name, name): repointed(text, name, places) for name, text in found.items()}
    return made | {"index.md": _front(material, places)} | _made(material)


def _front(material: Material, places: Mapping[str, str]) -> str:
    readme = repointed((material.root / "README.md").read_text(encoding="utf-8"), "README.md", places)
    pictures = {book.name: picture_of(book) for book in material.books}
    cards = [card_of(one.content, f"notebooks/{one.name}.html", 0, pictures[one.name]) for one in material.books]
    figure = {"address": pictures.get(FRONT_NOTEBOOK, ""), "alternative": _words_of_front(cards)}
    return front_page(readme, figure, cards, material.origin, contents.menu(material.root))


def _words_of_front(cards: list) -> str:
    return next((one.alternative for one in cards if one.address == f"notebooks/{FRONT_NOTEBOOK}.html"), "")


def picture_of(book: Book) -> str:
    """Return the address of the figure for a notebook, relative to the front page; empty if it has none."""
    shown = main_drawing(book.content).get("image/svg+xml", "")
    name = next((name for name, svg in book.page.drawings.items() if svg == shown), "")
    return f"figures/{book.name}/{name}.svg" if name else ""


def _made(material: Material) -> dict[str, str]:
    citation = (material.root / "CITATION.cff").read_text(encoding="utf-8")
    references = {f"api/{name.partition('.')[2]}.rst": api_page(name, title) for name, title in PACKAGES.items()}
    return references | {
        "ledger.md": ledger_page(recorded(material.reports / "claims.json")),
        "club.md": club_page(material.reports),
        "download.md": download_page(material.offered, material.origin, citation),
    }


def linked(material: Material) -> list[str]:
    """Return files of the repository that pages link to and that are not pages; they are copied unchanged."""
    root, places = material.root, contents.moved(material.root)
    taken = {path.relative_to(root).as_posix() for path in contents.written(root)} | set(places)
    texts = {path.relative_to(root).as_posix(): path.read_text(encoding="utf-8") for path in contents.written(root)}
    texts |= {name: (root / name).read_text(encoding="utf-8") for name in ("README.md", "data/README.md")}
    texts |= {f"notebooks/{book.path.name}": book.page.markdown for book in material.books}
    found = set().union(*(targets(text, name) for name, text in texts.items())) | {"LICENSE", "LICENSE-DATA"}
    return sorted(name for name in found - taken if (root / name).is_file())


def beside(material: Material) -> Iterator[tuple[str, bytes]]:
    """Yield the files of the site other than pages: figures, notebooks, journal club, downloads."""
    for book in material.books:
        yield f"notebooks/{book.path.name}", book.path.read_bytes()
        for name, svg in book.page.drawings.items():
            yield f"figures/{book.name}/{name}.svg", svg.encode()
    yield from club_files(material.reports)
    for one in material.offered:
        yield f"downloads/{one.path}", one.content
