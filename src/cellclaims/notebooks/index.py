"""The page that leads to all pages: a card for each notebook with its question, its answer and its main figure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from cellclaims.files import write_atomically
from cellclaims.notebooks import drawings, markup
from cellclaims.notebooks.render import Contents, Provenance, alternative, exporter, question, shell, tagged, title

if TYPE_CHECKING:
    from nbformat import NotebookNode


def headline(notebook: NotebookNode) -> Markup:
    """The answer in short: the first output of the cell tagged ``headline``; empty if there is none."""
    outputs = [output for cell in tagged(notebook, "headline") for output in cell.outputs]
    return Contents().output(outputs[0]) if outputs else Markup()


def main_drawing(notebook: NotebookNode) -> Mapping[str, str]:
    """The drawing that stands for the notebook: of a cell tagged ``main-figure``, else the first."""
    cells = [*tagged(notebook, "main-figure"), *notebook.cells]
    return next(iter(_drawings(cells)), {})


def _drawings(cells: list[NotebookNode]) -> list[Mapping[str, str]]:
    outputs = (output for cell in cells if cell.cell_type == "code" for output in cell.outputs)
    return [output.data for output in outputs if "image/svg+xml" in output.get("data", {})]


@dataclass(frozen=True)
class Card:
    """What the index says about one page."""

    address: str
    title: str
    question: Markup
    headline: Markup
    picture: str
    alternative: str
    counts: str


def card(notebook: NotebookNode, address: str, pools: int, picture: str | None = None) -> Card:
    """The card of a page.

    Parameters
    ----------
    notebook : NotebookNode
        Executed.
    address : str
        Where its page lies, seen from the index.
    pools : int
        How many pools it recorded.
    picture : str, optional
        Address of the main drawing's file; without it the card holds the drawing itself.
    """
    main = main_drawing(notebook)
    figures = len(_drawings(notebook.cells))
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    tables = sum("<table" in output.get("data", {}).get("text/html", "") for output in outputs)
    counts = [(figures, "figure"), (tables, "table"), (pools, "pool")]
    return Card(
        address,
        title(notebook),
        markup.markdown(question(notebook)),
        headline(notebook),
        picture or (drawings.data_uri(main["image/svg+xml"]) if main else ""),
        alternative(main) if main else "",
        ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count),
    )


def write_index(target: Path, cards: list[Card], origin: Provenance, pools: int) -> None:
    """Write the page that leads to all pages and to the numbers of every pool."""
    template = exporter().environment.get_template("index.html.j2")
    text = template.render(cards=cards, origin=origin, pools=pools, shell=shell())
    write_atomically(target, text)
