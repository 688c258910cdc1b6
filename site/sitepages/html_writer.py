"""Sphinx extension: formulas as MathML, boxes that can be scrolled with the keyboard, images that can be enlarged."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.writers.html5 import HTML5Translator

from cellclaims.runner.page import mathml
from sitepages import SiteError


class Translator(HTML5Translator):
    """Sphinx's writer of HTML with the boxes of the reports."""

    def visit_table(self, node: nodes.table) -> None:
        """Put the table into a scrolling box, labelled by its headings."""
        headings = [entry.astext() for row in list(node.findall(nodes.thead))[:1] for entry in row.findall(nodes.entry)]
        label = "Table: " + ", ".join(filter(None, headings)) if any(headings) else "Table"
        self.body.append(
            self.starttag(node, "div", CLASS="scroll", role="region", tabindex="0", **{"aria-label": label})
        )
        node["ids"] = []  # they are at the box
        super().visit_table(node)

    def depart_table(self, node: nodes.table) -> None:
        """Close the table and its box."""
        super().depart_table(node)
        self.body.append("</div>\n")

    def visit_literal_block(self, node: nodes.literal_block) -> None:
        """Make code focusable, so that it can be scrolled with the keyboard."""
        start = len(self.body)
        try:
            super().visit_literal_block(node)
        finally:
            self.body[start:] = [part.replace("<pre>", '<pre tabindex="0">') for part in self.body[start:]]

    def visit_image(self, node: nodes.image) -> None:
        """Link an image to itself, unless it is part of a link."""
        if isinstance(node.parent, nodes.reference):
            super().visit_image(node)
            return
        start = len(self.body)
        super().visit_image(node)
        picture = "".join(self.body[start:])
        address = picture.partition('src="')[2].partition('"')[0]
        cue = '<span class="cue">Open large</span>'
        self.body[start:] = [f'<a class="enlarge" href="{address}">{picture}{cue}</a>']


def shown(formula: str, display: str) -> str:
    """Return a formula as MathML.

    Raises
    ------
    SiteError
        If it cannot be converted.
    """
    made = mathml(formula, display)
    if not made.startswith("<math"):
        raise SiteError(f"formula: expected LaTeX that can be shown, found {formula!r}")
    return made


def visit_math(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line."""
    translator.body.append(f'<span class="math">{shown(node.astext(), "inline")}</span>')
    raise nodes.SkipNode


def visit_math_block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula, in a scrolling box."""
    translator.body.append(f'<div class="scroll formula" tabindex="0">{shown(node.astext(), "block")}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the writer with Sphinx."""
    app.set_translator("html", Translator)
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
