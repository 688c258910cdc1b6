"""Rendering of an executed notebook as one HTML file that loads nothing from the network.

The page contains its style and script, its figures as SVG and its formulas as MathML. A content security policy allows
only this one script and no other resources, so that text from a registry cannot run scripts.
"""

from __future__ import annotations

import ast
import base64
import functools
import hashlib
import html
import importlib.metadata
import json
import platform
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bleach
from bleach.css_sanitizer import CSSSanitizer
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert.exporters.templateexporter import TemplateExporter
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

import cellclaims
from cellclaims import protocol
from cellclaims.errors import NotebookError
from cellclaims.files import csv_text, fingerprint, write_atomically
from cellclaims.registries.store import NONE, dated, snapshot_of
from cellclaims.reporting.r_script import r_script
from cellclaims.runner.run import INJECTED, PLACES, declared, read

if TYPE_CHECKING:
    import jinja2
    from nbformat import NotebookNode

    from cellclaims.reporting.registries import News


# Figures of a page: SVG inside HTML, and images of it.
# Ids and style sheets of an SVG inside a page would affect other figures. Therefore every id gets a prefix and every
# style rule a scope.


SVG, XLINK = "http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"
HREFS = ("href", f"{{{XLINK}}}href")

#: Removed elements: the description is at the figure, the others would be active content.
UNWANTED = frozenset(f"{{{SVG}}}{name}" for name in ("metadata", "title", "desc", "script", "foreignObject"))


def inline(svg: str, prefix: str) -> str:
    """Return an SVG as an element for a page, hidden from screen readers (its figure has the alternative text).

    Parameters
    ----------
    svg : str
        A complete SVG document.
    prefix : str
        Prefix of every id, unique in the page.

    Raises
    ------
    xml.etree.ElementTree.ParseError
        If ``svg`` is not well-formed.

    Examples
    --------
    >>> inline('<svg xmlns="http://www.w3.org/2000/svg" width="72pt"><g id="a"/></svg>', "f1")
    '<svg xmlns="http://www.w3.org/2000/svg" style="max-width:72pt" id="f1" aria-hidden="true"><g id="f1-a" /></svg>'
    """
    ET.register_namespace("", SVG)
    ET.register_namespace("xlink", XLINK)
    root = ET.fromstring(svg)
    for parent in root.iter():
        for child in [child for child in parent if child.tag in UNWANTED]:
            parent.remove(child)
        _confine(parent, prefix)
    for name in ("role", "aria-labelledby", "aria-label", "height"):
        root.attrib.pop(name, None)
    if width := root.attrib.pop("width", ""):
        root.set("style", f"max-width:{width}")
    root.set("id", prefix)
    root.set("aria-hidden", "true")
    return ET.tostring(root, encoding="unicode")


def _confine(element: ET.Element, prefix: str) -> None:
    """Prefix the ids and references of one element; drop event handlers and links to anywhere else."""
    for name, value in list(element.attrib.items()):
        if name == "id":
            element.set(name, f"{prefix}-{value}")
        elif name in HREFS and value.startswith("#"):
            element.set(name, f"#{prefix}-{value[1:]}")
        elif name.startswith("on") or (name in HREFS and not value.startswith("data:image/")):
            del element.attrib[name]
        else:
            element.set(name, re.sub(r"url\(\s*#", f"url(#{prefix}-", value))
    if element.tag == f"{{{SVG}}}style":
        element.text = re.sub(r"([^{}]+)\{", rf"#{prefix} \1{{", element.text or "")


def words(svg: str) -> str:
    """Return the alternative text of an SVG: its description, else its title, else "".

    Examples
    --------
    >>> words('<svg xmlns="http://www.w3.org/2000/svg"><title>A line</title></svg>')
    'A line'
    """
    root = ET.fromstring(svg)
    found = (root.findtext(f"{{{SVG}}}{name}", default="").strip() for name in ("desc", "title"))
    return next((text for text in found if text), "")


def data_uri(svg: str) -> str:
    """Return an SVG as a data address for an ``<img>``, independent of the page's styles."""
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


# Text of a notebook as HTML: markdown with formulas as MathML, tables unchanged, everything else escaped.
# Outputs of cells may contain text from a registry or an advertisement. Raw HTML in markdown is shown as
# text; HTML of tables is reduced to the tags and attributes that tables need.


TEXT_TAGS = (
    "a abbr b blockquote br code details div em h2 h3 h4 hr i li ol p pre s small span strong sub summary sup ul"
).split()
TABLE_TAGS = "caption col colgroup table tbody td tfoot th thead tr".split()
ATTRIBUTES = {
    "*": ["class", "title", "lang", "dir", "style", "aria-label", "role"],
    "a": ["href"],
    **{name: ["colspan", "rowspan", "scope", "span"] for name in ("td", "th", "col", "colgroup")},
}
STYLES = CSSSanitizer(
    allowed_css_properties=("text-align", "font-weight", "font-style", "width", "white-space", "vertical-align")
)
#: Elements without readable text; removing only their tags would leave their content on the page.
SILENT = re.compile(r"<(style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """A heading of the page: its level, its words (HTML) and its anchor."""

    level: int
    words: Markup
    anchor: str


class _Renderer(IPythonRenderer):
    """Converter of Markdown to HTML with MathML, anchors at headings, and links to notebooks changed to their pages."""

    def __init__(self, headings: list[Heading]) -> None:
        super().__init__(escape=True, allow_harmful_protocols=False, exclude_anchor_links=True)
        self.headings = headings

    def heading(self, text: str, level: int, **_: object) -> str:
        anchor = _anchor(text, {heading.anchor for heading in self.headings})
        self.headings.append(Heading(level, Markup(text), anchor))
        return f'<h{level} id="{anchor}">{text}</h{level}>\n'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, re.sub(r"^([\w-]+)\.ipynb(?=#|$)", r"\1.html", url), title)

    def block_math(self, body: str) -> str:
        return f'<div class="scroll" role="group" tabindex="0" aria-label="Formula">{mathml(body, "block")}</div>\n'

    def inline_math(self, body: str) -> str:
        return mathml(body, "inline")

    def latex_environment(self, name: str, body: str) -> str:
        return self.block_math(rf"\begin{{{name}}}{body}\end{{{name}}}")


def _anchor(words: str, taken: set[str]) -> str:
    """Return a new id made from the words of a heading."""
    stem = re.sub(r"[^\w]+", "-", Markup(words).striptags().lower()).strip("-") or "section"
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def markdown(text: str, headings: list[Heading] | None = None) -> Markup:
    """Convert Markdown to HTML; its headings are added to ``headings``.

    Examples
    --------
    >>> print(markdown("A *word* & <script>"))
    <p>A <em>word</em> &amp; &lt;script&gt;</p>
    <BLANKLINE>
    """
    renderer = _Renderer([] if headings is None else headings)
    return Markup(MarkdownWithMath(renderer=renderer).render(text))


def mathml(latex: str, display: str) -> str:
    """Return a formula as MathML, or as text if it cannot be converted.

    Examples
    --------
    >>> print(mathml("x", "inline"))
    <math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><mrow><mi>x</mi></mrow></math>
    """
    try:
        return convert(latex.strip(), display=display)
    except Exception:  # the converter raises many kinds of errors, among them IndexError
        return f"<code>{html.escape(latex)}</code>"


@functools.cache
def _cleaner() -> bleach.Cleaner:
    return bleach.Cleaner(
        tags={*TEXT_TAGS, *TABLE_TAGS},
        attributes=ATTRIBUTES,
        protocols={"http", "https", "mailto"},
        css_sanitizer=STYLES,
        strip=True,
    )


def safe_html(text: str) -> Markup:
    """Reduce HTML to the tags of text and tables; tables scroll in their own box.

    Examples
    --------
    >>> print(safe_html('<p onclick="x()">a<script>b</script></p>'))
    <p>a</p>
    """
    clean = re.sub(r"(?<=\d) (?=%)", "\u00a0", _cleaner().clean(SILENT.sub("", text)))  # "44.4 %" is one word
    if "<table" not in clean:
        return Markup(clean)
    caption = re.search(r"<caption[^>]*>(.*?)</caption>", clean, re.DOTALL)
    label = Markup(caption[1]).striptags() if caption else "Table"
    box = Markup('<div class="scroll" role="region" tabindex="0" aria-label="{}">{}</div>')
    if "<details" in clean:  # the box is inside the folded part
        start, end = clean.index("<table"), clean.rindex("</table>") + len("</table>")
        return Markup(clean[:start]) + box.format(label, Markup(clean[start:end])) + Markup(clean[end:])
    return box.format(label, Markup(clean))


def code(source: str) -> Markup:
    """Highlight Python source with classes of the style sheet. Long lines scroll in a box that can be focused."""
    marked = Highlight2HTML(pygments_lexer="ipython3")(source)
    return Markup(marked.replace("<div ", '<div tabindex="0" ', 1))


def plain(text: str) -> str:
    """Remove the colour codes of a terminal from a text.

    Examples
    --------
    >>> plain("\\x1b[31mred\\x1b[0m")
    'red'
    """
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


# The results of a report: the pools recorded as JSON, and the same as CSV.


#: Columns of a pool, before those of its result.
POOL = ("pool", "title", "estimand", "measure", "scale")
RESULT = ("k", "beta", "se", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "tau2", "I2", "Q", "df")


#: Files of a report's numbers: CSV, JSON, and R that redoes its pools.
NUMBER_FILES = (".csv", ".json", ".R")


def write_numbers(executed: Path) -> list[str]:
    """Write the pools of a report as CSV and as an R script next to their JSON; return the names of the files, none
    without pools.

    Raises
    ------
    NotebookError
        If the JSON cannot be read.
    """
    pools = pools_of(executed)
    if not pools:
        return []
    write_atomically(executed.with_suffix(".csv"), as_csv(pool_lines(pools)))
    whole = [pool for pool in pools if {"settings", "rows"} <= pool.keys()]
    if whole:
        write_atomically(executed.with_suffix(".R"), r_script(executed.stem, whole))
    return [f"{executed.stem}{ending}" for ending in NUMBER_FILES if whole or ending != ".R"]


def pools_of(executed: Path) -> list[dict[str, Any]]:
    """Return the pools recorded next to an executed notebook; none if there are no such records."""
    path = executed.with_suffix(".json")
    try:
        pools = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    except ValueError as error:
        raise NotebookError(f"expected pools as JSON in {path.name}: {error}") from None
    return [pool for pool in pools if isinstance(pool, dict) and "result" in pool] if isinstance(pools, list) else []


def pool_lines(pools: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Return one line per pool, at full precision on the scale of the analysis; undefined numbers are empty."""
    for pool in pools:
        yield {name: pool.get(name) for name in POOL} | {name: pool["result"].get(name) for name in RESULT}


def as_csv(lines: Iterator[Mapping[str, Any]]) -> str:
    """Return lines as CSV, with all their keys as the header.

    Examples
    --------
    >>> as_csv(iter([{"a": 1, "b": None}, {"a": 2, "c": "x, y"}]))
    'a,b,c\\n1,,\\n2,,"x, y"\\n'
    """
    lines = list(lines)
    names = list(dict.fromkeys(name for line in lines for name in line))
    return csv_text([names, *([line.get(name) for name in names] for line in lines)])


TEMPLATES = Path(__file__).with_name("templates")

#: Tags of cells whose code is omitted; the parameters are in the head of the page.
HIDDEN = frozenset({"hide-input", "parameters", INJECTED})

#: Libraries whose versions a page names.
COMPUTING = ("numpy", "scipy", "pandas", "statsmodels", "matplotlib")

QUESTION = re.compile(r"\*\*Question[.:]?\*\*[.:]?\s*(.+?)\s*(?:\n\s*\n|\Z)", re.DOTALL)


@dataclass(frozen=True)
class Provenance:
    """Origin of a page: date of the evidence, version of the package, fingerprint of the data, snapshot of the
    registries, and versions of Python and of the libraries.
    """

    evidence_date: str
    version: str
    fingerprint: str
    snapshot: str = NONE
    libraries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Used:
    """A parameter with the value of the run."""

    name: str
    value: object
    default: object
    help: str

    @property
    def is_changed(self) -> bool:
        """Whether the value differs from the default of the notebook."""
        return self.value != self.default


class PageExporter(TemplateExporter):
    """nbconvert's exporter with the templates of this package only."""

    file_extension = ".html"
    output_mimetype = "text/html"

    def _create_environment(self) -> jinja2.Environment:
        environment = super()._create_environment()
        environment.autoescape = True  # templates escape all text that is not marked as safe
        return environment


@functools.cache
def exporter() -> PageExporter:
    """Return the exporter of this process; its templates are compiled once."""
    return PageExporter(template_paths=[str(TEMPLATES)], template_file=str(TEMPLATES / "page.html.j2"))


def provenance(data: Path, snapshot: str = "") -> Provenance:
    """Return the origin of pages made from the folder ``data``; ``snapshot`` is a name, by default the last.

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
    """Write the page of an executed notebook, and its results as CSV and as an R script next to their JSON.

    Parameters
    ----------
    executed : Path
        The notebook, with its recorded results, if any, in the same folder.
    target : Path
        The page, in the same folder.
    origin : Provenance
        Origin of the results.
    index : str
        Address of the index for a link; none by default.

    Raises
    ------
    NotebookError
        If the recorded results cannot be read.
    """
    numbers = write_numbers(executed)
    write_atomically(target, page_html(read(executed), origin, name=executed.stem, index=index, numbers=numbers))


def page_html(
    notebook: NotebookNode, origin: Provenance, *, name: str, index: str = "", numbers: Sequence[str] = ()
) -> str:
    """Return an executed notebook as HTML.

    Parameters
    ----------
    notebook : NotebookNode
        An executed notebook; its first cell contains the title and the question.
    origin : Provenance
        Origin of the results.
    name : str
        Name of the notebook without extension, for the link to the file.
    index : str
        Address of the index for a link; none by default.
    numbers : sequence of str
        Names of the files of results in the folder of the page.
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
    """Common parts of all pages and indexes: style sheet, script, and the hash that allows this script."""

    style: Markup
    script: Markup
    script_hash: str


@functools.cache
def shell() -> Shell:
    """Return the style sheet and the script of pages and indexes."""
    style, script = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("style.css", "script.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return Shell(Markup(style), Markup(script), f"sha256-{digest}")


@dataclass
class Contents:
    """State of a page while it is rendered: headings, and number of figures so far."""

    headings: list[Heading] = field(default_factory=list)
    drawings: int = 0

    def text(self, source: str) -> Markup:
        """Convert Markdown to HTML; record headings."""
        return markdown(source, self.headings)

    def section(self, cell: NotebookNode) -> dict[str, object]:
        """Return one cell for the template: its kind and tags, text or source, and outputs."""
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
            "code": Markup() if is_hidden else code(cell.source),
            "outputs": outputs,
        }

    def output(self, output: NotebookNode) -> Markup:
        """Return one output in the richest format that a page can show."""
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
            "text/html": lambda data: safe_html(data["text/html"]),
            "text/markdown": lambda data: self.text(data["text/markdown"]),
            "text/latex": lambda data: Markup(mathml(data["text/latex"].strip("$ \n"), "block")),
            "image/png": _picture,
            "text/plain": lambda data: _preformatted(data["text/plain"], "stdout"),
        }

    def drawing(self, data: Mapping[str, str]) -> Markup:
        """Return a figure with its alternative text and unique ids."""
        self.drawings += 1
        svg = inline(data["image/svg+xml"], f"drawing{self.drawings}")
        frame = Markup('<figure class="drawing" role="img" aria-label="{}" tabindex="0">{}</figure>')
        return frame.format(alternative(data), Markup(svg))


def joined(sections: list[dict]) -> list[dict]:
    """Return the sections, with the code of cells without output joined to that of the next code cell."""
    kept: list[dict] = []
    for section in sections:
        last = kept[-1] if kept else {}
        if section["kind"] == last.get("kind") == "code" and not last["outputs"]:
            kept[-1] = {**section, "code": last["code"] + section["code"]}
        else:
            kept.append(section)
    return kept


def alternative(data: Mapping[str, str]) -> str:
    """Return the alternative text of a figure: from the SVG, else its plain text."""
    svg = data.get("image/svg+xml", "")
    return (words(svg) if svg else "") or data.get("text/plain", "")


def _picture(data: Mapping[str, str]) -> Markup:
    source = "data:image/png;base64," + "".join(data["image/png"].split())
    return Markup('<figure class="drawing"><img alt="{}" src="{}"></figure>').format(alternative(data), source)


def _preformatted(text: str, name: str) -> Markup:
    return Markup('<pre class="scroll {}" tabindex="0">{}</pre>').format(name, plain(text).rstrip("\n"))


def title(notebook: NotebookNode) -> str:
    """Return the words of the first heading."""
    found = re.search(r"^#\s+(.+)$", notebook.cells[0].source, re.MULTILINE)
    return found[1].strip() if found else "Untitled"


def question(notebook: NotebookNode) -> str:
    """Return the paragraph after ``**Question**`` in the first cell, on one line; empty if there is none."""
    found = QUESTION.search(notebook.cells[0].source)
    return " ".join(found[1].split()) if found else ""


def used(notebook: NotebookNode) -> list[Used]:
    """Return the declared parameters with the values of this run, in the order in which they are declared."""
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
    """Return the cells with a tag."""
    return [cell for cell in notebook.cells if tag in cell.metadata.get("tags", [])]


# The list of changes as one HTML file that loads nothing from the network.


def news_page(news: News, origin: Provenance, title: str = "What is new?") -> str:
    """Return the page: its title, the paragraph, then every table, with the style and content security policy of pages.

    The tables escape text from registries, and HTML is reduced to the tags of text and tables.
    """
    shown = [safe_html(table._repr_html_()) for table in news.tables]
    template = exporter().environment.get_template("changes.html.j2")
    return template.render(title=title, sentence=news.sentence, tables=shown, origin=origin, style=shell().style) + "\n"
