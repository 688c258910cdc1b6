"""Text of a notebook as HTML: markdown with formulas as MathML, tables as they are, everything else escaped.

Whatever comes out of a cell may hold text from a registry or an advertisement. Raw HTML in markdown is shown as
the characters it is made of; HTML made by a table is cut down to the tags and attributes that a table needs.
"""

from __future__ import annotations

import functools
import html
import re
from dataclasses import dataclass

import bleach
from bleach.css_sanitizer import CSSSanitizer
from latex2mathml.converter import convert
from markupsafe import Markup
from nbconvert.filters.highlight import Highlight2HTML
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

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
#: These carry no text for a reader; cutting the tags alone would leave their content on the page.
SILENT = re.compile(r"<(style|script)\b.*?</\1\s*>", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class Heading:
    """A heading of the page: its level, its words (HTML) and its anchor."""

    level: int
    words: Markup
    anchor: str


class _Renderer(IPythonRenderer):
    """Markdown to HTML with MathML, anchors at headings, and notebook links that lead to their pages."""

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
    """An id made from the words of a heading, unlike those that are taken."""
    stem = re.sub(r"[^\w]+", "-", Markup(words).striptags().lower()).strip("-") or "section"
    names = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in names if name not in taken)


def markdown(text: str, headings: list[Heading] | None = None) -> Markup:
    """Markdown as HTML; its headings are added to ``headings``.

    Examples
    --------
    >>> print(markdown("A *word* & <script>"))
    <p>A <em>word</em> &amp; &lt;script&gt;</p>
    <BLANKLINE>
    """
    renderer = _Renderer([] if headings is None else headings)
    return Markup(MarkdownWithMath(renderer=renderer).render(text))


def mathml(latex: str, display: str) -> str:
    """A formula as MathML; one that cannot be read is shown as it is written.

    Examples
    --------
    >>> print(mathml("x", "inline"))
    <math xmlns="http://www.w3.org/1998/Math/MathML" display="inline"><mrow><mi>x</mi></mrow></math>
    """
    try:
        return convert(latex.strip(), display=display)
    except Exception:  # the converter raises many kinds, among them IndexError
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
    """HTML cut down to the tags of text and tables; tables can be scrolled in their own box.

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
    return box.format(label, Markup(clean))


def code(source: str) -> Markup:
    """Python source with its words marked for colour; the page's own style says which. Long lines scroll in a box
    that the keyboard reaches.
    """
    marked = Highlight2HTML(pygments_lexer="ipython3")(source)
    return Markup(marked.replace("<div ", '<div tabindex="0" ', 1))


def plain(text: str) -> str:
    """Text without the colour codes of a terminal.

    Examples
    --------
    >>> plain("\\x1b[31mred\\x1b[0m")
    'red'
    """
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
