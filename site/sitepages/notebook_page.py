"""An executed notebook as a page of the site: its text as Markdown, its outputs as in the reports.

Outputs may contain text from a registry or an advertisement, so they are reduced to the tags of text and tables, as
in the reports (``cellclaims.runner``). Figures become separate files, which can be enlarged. The text of a notebook
remains Markdown, so that search and contents include its headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from markupsafe import Markup
from nbformat import NotebookNode

from cellclaims.runner import page
from cellclaims.runner.run import PLACES
from sitepages import SiteError
from sitepages.raw import raw

#: Active parts of an SVG, which the package never draws.
ACTIVE = re.compile(r"<(script|foreignObject|iframe|a)\b|\son\w+\s*=|href\s*=\s*[\"'](?!#|data:image/)", re.IGNORECASE)

NAME = re.compile(r"aria-labelledby=\"([\w-]+)-title\b")


@dataclass
class Outputs(page.Contents):
    """The outputs of one notebook; its figures are kept by name, to be written as files."""

    notebook: str = ""
    files: dict[str, str] = field(default_factory=dict)

    def drawing(self, data: Mapping[str, str]) -> Markup:
        """Return a figure as an image with a link to its file."""
        self.drawings += 1
        svg = data["image/svg+xml"]
        name = self._kept(svg)
        address = f"../figures/{self.notebook}/{name}.svg"
        return enlargeable(address, page.alternative(data))

    def _kept(self, svg: str) -> str:
        if found := ACTIVE.search(svg):
            raise SiteError(
                f"{self.notebook}.ipynb, drawing {self.drawings}: expected lines and text, found {found[0].strip()!r}"
            )
        named = NAME.search(svg[:2000])
        name = named[1] if named else f"drawing{self.drawings}"
        if self.files.get(name, svg) != svg:
            name = f"{name}-{self.drawings}"
        self.files[name] = svg
        return name


def enlargeable(address: str, words: str) -> Markup:
    """Return an image with its alternative text; a click or the Enter key opens it at the size of the window."""
    frame = Markup(
        '<figure class="drawing"><a class="enlarge" href="{}"><img src="{}" alt="{}">'
        '<span class="cue">Open large</span></a></figure>'
    )
    return frame.format(address, address, words)


@dataclass(frozen=True)
class NotebookPage:
    """The Markdown of a notebook's page, and its figures by file name without extension."""

    markdown: str
    drawings: dict[str, str]


def notebook_page(notebook: NotebookNode, name: str) -> NotebookPage:
    """Return the page of an executed notebook.

    Parameters
    ----------
    notebook : NotebookNode
        An executed notebook; its first cell contains title and question.
    name : str
        Name of the notebook without its ending.

    Raises
    ------
    SiteError
        If a figure contains active parts.
    """
    outputs = Outputs(notebook=name)
    first, *cells = notebook.cells
    sections = [outputs.section(cell) if cell.cell_type == "code" else cell.source for cell in cells]
    parts = [first.source, raw(provenance(notebook, name)), *map(_shown, _joined(sections))]
    return NotebookPage("\n\n".join(parts) + "\n", outputs.files)


def _joined(sections: list[dict | str]) -> Iterator[dict | str]:
    """Return the sections, with the code of cells without output joined to that of the next."""
    as_sections = [one if isinstance(one, dict) else {"kind": "text", "source": one} for one in sections]
    return (one if one["kind"] == "code" else one.get("source", "") for one in page.joined(as_sections))


def _shown(section: dict | str) -> str:
    if isinstance(section, str):
        return section
    boxes = [_box(shown, section["tags"]) for shown in section["outputs"]]
    shown = Markup("\n").join([code_box(section["code"]), *boxes]).strip()
    return raw(shown) if shown else ""


def code_box(code: Markup) -> Markup:
    """Return folded code; empty without code."""
    frame = Markup('<details class="code"><summary>Code</summary>\n{}\n</details>')
    return frame.format(code.replace("<pre>", Markup('<pre tabindex="0">'))) if code else Markup()


def _box(shown: Markup, tags: list[str]) -> Markup:
    return Markup('<div class="output{}">\n{}\n</div>').format(" headline" if "headline" in tags else "", shown)


def provenance(notebook: NotebookNode, name: str) -> Markup:
    """Return the link to the notebook's file, and its parameters with their meaning."""
    rows = [
        Markup('<tr><th scope="row"><code>{}</code></th><td><code>{!r}</code></td><td>{}</td></tr>').format(
            one.name, one.value, one.help
        )
        for one in page.used(notebook)
        if one.name not in PLACES
    ]
    link = Markup('<p class="file">Executed notebook: <a href="{0}.ipynb" download>{0}.ipynb</a></p>').format(name)
    return link + (parameter_table(rows) if rows else Markup())


def parameter_table(rows: list[Markup]) -> Markup:
    """Return the folded table of parameters, one per row."""
    head = Markup('<tr><th scope="col">Parameter</th><th scope="col">Value</th><th scope="col">Meaning</th></tr>')
    frame = Markup(
        '<details class="used"><summary>Parameters</summary><div class="scroll" role="region" tabindex="0" '
        'aria-label="Parameters"><table><thead>{}</thead><tbody>{}</tbody></table></div></details>'
    )
    return frame.format(head, Markup("\n").join(rows))
