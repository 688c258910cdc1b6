"""One executed notebook as one page: a single HTML file that asks the network for nothing.

The page carries its own style and script, its drawings as SVG and its formulas as MathML; a content policy in its
head lets a browser load nothing else and run that one script only, so that text from a registry cannot either.
"""

from __future__ import annotations

import ast
import base64
import functools
import hashlib
import importlib.metadata
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup
from nbconvert.exporters.templateexporter import TemplateExporter

import cellclaims
from cellclaims import protocol
from cellclaims.files import fingerprint, write_atomically
from cellclaims.notebooks import drawings, markup
from cellclaims.notebooks.numbers import write_numbers
from cellclaims.notebooks.parameters import PLACES, declared
from cellclaims.notebooks.run import INJECTED, read
from cellclaims.registries.store import NONE, dated, snapshot_of

if TYPE_CHECKING:
    import jinja2
    from nbformat import NotebookNode

TEMPLATES = Path(__file__).with_name("templates")

#: Tags of cells whose code a page leaves out; the parameters stand in the head of the page.
HIDDEN = frozenset({"hide-input", "parameters", INJECTED})

#: Libraries that compute or draw what a page shows; it names their versions.
COMPUTING = ("numpy", "scipy", "pandas", "statsmodels", "matplotlib")

QUESTION = re.compile(r"\*\*Question[.:]?\*\*[.:]?\s*(.+?)\s*(?:\n\s*\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Provenance:
    """What a page was made from: the day of the evidence, the package's version, the data's fingerprint, the snapshot
    of the registries, and the versions of Python and of the libraries that computed its numbers.
    """

    evidence_date: str
    version: str
    fingerprint: str
    snapshot: str = NONE
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Used:
    """A parameter as the run used it."""

    name: str
    value: object
    default: object
    help: str

    @property
    def is_changed(self) -> bool:
        """Whether the run gave another value than the notebook's own."""
        return self.value != self.default


class PageExporter(TemplateExporter):
    """nbconvert's exporter with the templates of this package and none of the machine's."""

    file_extension = ".html"
    output_mimetype = "text/html"

    def _create_environment(self) -> jinja2.Environment:
        environment = super()._create_environment()
        environment.autoescape = True  # what a template prints is text unless it was made safe
        return environment


@functools.cache
def exporter() -> PageExporter:
    """The one exporter of this process; its templates are compiled once."""
    return PageExporter(template_paths=[str(TEMPLATES)], template_file=str(TEMPLATES / "page.html.j2"))


def provenance(data: Path, snapshot: str = "") -> Provenance:
    """What pages made from the folder ``data`` say about their origin; ``snapshot`` is a name, by default the last.

    Raises
    ------
    ProtocolError
        If the folder has no protocol.
    SourceError
        If no snapshot of the registries has the name.
    """
    beside = dated(snapshot_of(data, snapshot))
    libraries = (f"{name} {importlib.metadata.version(name)}" for name in COMPUTING)
    used = (f"Python {platform.python_version()}", *libraries)
    return Provenance(protocol.load(data).evidence_date, cellclaims.__version__, fingerprint(data), beside, used)


def write_page(executed: Path, target: Path, origin: Provenance, *, index: str = "") -> None:
    """Write the page of an executed notebook, and its numbers as CSV beside their JSON.

    Parameters
    ----------
    executed : Path
        The notebook; its numbers, if it recorded any, lie beside it.
    target : Path
        The page, in the same folder.
    origin : Provenance
        What the numbers were made from.
    index : str
        Address of a page to go back to; none by default.

    Raises
    ------
    NotebookError
        If the recorded numbers cannot be read.
    """
    numbers = write_numbers(executed)
    write_atomically(target, page(read(executed), origin, name=executed.stem, index=index, numbers=numbers))


def page(notebook: NotebookNode, origin: Provenance, *, name: str, index: str = "", numbers: Sequence[str] = ()) -> str:
    """An executed notebook as HTML.

    Parameters
    ----------
    notebook : NotebookNode
        Executed; its first cell holds the title and the question.
    origin : Provenance
        What the numbers were made from.
    name : str
        Name of the notebook without its ending, for the link to the file.
    index : str
        Address of a page to go back to; none by default.
    numbers : sequence of str
        Names of the files of numbers beside the page.
    """
    contents = Contents()
    first, *cells = notebook.cells
    resources = {
        "name": name,
        "title": title(notebook),
        "question": question(notebook),
        "opening": contents.text(first.source),
        "sections": joined([contents.section(cell) for cell in cells]),
        "headings": [heading for heading in contents.headings if heading.level == 2],
        "used": [one for one in used(notebook) if one.name not in PLACES or one.is_changed],
        "origin": origin,
        "index": index,
        "numbers": numbers,
        "shell": shell(),
    }
    return exporter().from_notebook_node(notebook, {"page": resources})[0]


@dataclass(frozen=True)
class Shell:
    """What every page and index carries: the style sheet, the script, and the hash that lets this script run."""

    style: Markup
    script: Markup
    script_hash: str


@functools.cache
def shell() -> Shell:
    """The style sheet and the script of pages and indexes."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Shell(Markup(style), Markup(script), f"sha256-{digest}")


@dataclass
class Contents:
    """The parts of one page as they are made: its headings, and how many drawings it has so far."""

    headings: list[markup.Heading] = field(default_factory=list)
    drawings: int = 0

    def text(self, source: str) -> Markup:
        """Markdown as HTML; headings are noted."""
        return markup.markdown(source, self.headings)

    def section(self, cell: NotebookNode) -> dict[str, object]:
        """One cell as the template wants it: its kind and tags, its text or source, and its outputs."""
        tags = cell.metadata.get("tags", [])
        if cell.cell_type == "markdown":
            return {"kind": "text", "tags": tags, "html": self.text(cell.source)}
        if cell.cell_type != "code":
            return {"kind": "nothing"}
        is_hidden = not HIDDEN.isdisjoint(tags)
        outputs = [shown for output in cell.outputs if (shown := self.output(output))]
        return {
            "kind": "code",
            "tags": tags,
            "code": Markup() if is_hidden else markup.code(cell.source),
            "outputs": outputs,
        }

    def output(self, output: NotebookNode) -> Markup:
        """One output in the richest form that a page can show."""
        if output.output_type == "stream":
            return _preformatted(output.text, output.name)
        if output.output_type == "error":
            return _preformatted("\n".join(output.traceback), "stderr")
        data = output.data
        for kind, show in self._forms().items():
            if kind in data:
                return show(data)
        return Markup()

    def _forms(self) -> Mapping[str, object]:
        return {
            "image/svg+xml": self.drawing,
            "text/html": lambda data: markup.safe_html(data["text/html"]),
            "text/markdown": lambda data: self.text(data["text/markdown"]),
            "text/latex": lambda data: Markup(markup.mathml(data["text/latex"].strip("$ \n"), "block")),
            "image/png": _picture,
            "text/plain": lambda data: _preformatted(data["text/plain"], "stdout"),
        }

    def drawing(self, data: Mapping[str, str]) -> Markup:
        """A drawing with its words, its ids apart from those of the page's other drawings."""
        self.drawings += 1
        svg = drawings.inline(data["image/svg+xml"], f"drawing{self.drawings}")
        frame = Markup('<figure class="drawing" role="img" aria-label="{}" tabindex="0">{}</figure>')
        return frame.format(alternative(data), Markup(svg))


def joined(sections: list[dict]) -> list[dict]:
    """The sections, with the code of a cell that shows nothing joined to that of the next code cell."""
    kept: list[dict] = []
    for section in sections:
        last = kept[-1] if kept else {}
        if section["kind"] == last.get("kind") == "code" and not last["outputs"]:
            kept[-1] = {**section, "code": last["code"] + section["code"]}
        else:
            kept.append(section)
    return kept


def alternative(data: Mapping[str, str]) -> str:
    """The words of a figure: those inside the drawing, else its plain text."""
    svg = data.get("image/svg+xml", "")
    return (drawings.words(svg) if svg else "") or data.get("text/plain", "")


def _picture(data: Mapping[str, str]) -> Markup:
    source = "data:image/png;base64," + "".join(data["image/png"].split())
    return Markup('<figure class="drawing"><img alt="{}" src="{}"></figure>').format(alternative(data), source)


def _preformatted(text: str, name: str) -> Markup:
    return Markup('<pre class="scroll {}" tabindex="0">{}</pre>').format(name, markup.plain(text).rstrip("\n"))


def title(notebook: NotebookNode) -> str:
    """The words of the first heading."""
    found = re.search(r"^#\s+(.+)$", notebook.cells[0].source, re.MULTILINE)
    return found[1].strip() if found else "Untitled"


def question(notebook: NotebookNode) -> str:
    """The paragraph after ``**Question**`` in the first cell, on one line; empty if there is none."""
    found = QUESTION.search(notebook.cells[0].source)
    return " ".join(found[1].split()) if found else ""


def used(notebook: NotebookNode) -> list[Used]:
    """The declared parameters with the values of this run, in the order in which they are declared."""
    given = {name: value for cell in tagged(notebook, INJECTED) for name, value in _assigned(cell.source)}
    return [
        Used(parameter.name, given.get(parameter.name, parameter.default), parameter.default, parameter.help)
        for parameter in declared(notebook)
    ]


def _assigned(source: str) -> Iterator[tuple[str, object]]:
    for statement in ast.parse(source).body:
        if isinstance(statement, ast.Assign):
            yield statement.targets[0].id, ast.literal_eval(statement.value)


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    """The cells with a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]
