"""The executed notebook as slides: one HTML file that asks the network for nothing and is led by the keyboard.

A heading starts a slide; what follows it, text and outputs, stands on it; code does not. nbconvert's own slides load
reveal.js from a network, so the page brings a few lines of script of its own, the only one that its policy allows.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from cellclaims.files import write_atomically
from cellclaims.notebooks import render
from cellclaims.notebooks.run import read

if TYPE_CHECKING:
    from nbformat import NotebookNode

TEMPLATES = Path(__file__).with_name("templates")
HEADING = re.compile(r"^#{1,3}\s+(.+)$", re.MULTILINE)


@dataclass
class Slide:
    """The words of its heading, and its parts as safe HTML."""

    title: str
    parts: list[Markup] = field(default_factory=list)


def write_slides(executed: Path, target: Path, origin: render.Provenance) -> None:
    """Write the slides of an executed notebook."""
    write_atomically(target, slides(read(executed), origin, name=executed.stem))


def slides(notebook: NotebookNode, origin: render.Provenance, *, name: str) -> str:
    """An executed notebook as a page of slides.

    Parameters
    ----------
    notebook : NotebookNode
        Executed; its first cell holds the title and the question.
    origin : Provenance
        What the numbers were made from.
    name : str
        Name of the notebook without its ending, for the link to its page.
    """
    script = (TEMPLATES / "slides.js").read_text(encoding="utf-8")
    return filled(
        "slides.html.j2",
        slides=list(slides_of(notebook)),
        title=render.title(notebook),
        name=name,
        origin=origin,
        style=render.shell().style + Markup((TEMPLATES / "slides.css").read_text(encoding="utf-8")),
        script=Markup(script),
        digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def filled(template: str, /, **values: object) -> str:
    """One of this package's templates, filled; what is not marked safe is escaped."""
    text = (TEMPLATES / template).read_text(encoding="utf-8")
    return render.exporter().environment.from_string(text).render(**values)


def slides_of(notebook: NotebookNode) -> Iterator[Slide]:
    """The slides in their order; text before the first step that is not the title's is for the leader and left out."""
    contents, slide = render.Contents(), None
    for number, cell in enumerate(notebook.cells):
        section = contents.section(cell)
        found = HEADING.search(cell.source) if section["kind"] == "text" else None
        if found:
            if slide:
                yield slide
            slide = Slide(found[1].strip(), [section["html"]])
        elif slide and number > 1 and (shown := _shown(section)):
            slide.parts += shown
    if slide:
        yield slide


def _shown(section: dict) -> list[Markup]:
    """What of a cell stands on a slide: its text or its outputs, never its code; nothing that pages hide."""
    if section["kind"] == "text":
        return [section["html"]]
    hidden = "hide-input" in section.get("tags", [])
    return [] if hidden else list(section.get("outputs", []))
