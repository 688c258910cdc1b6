"""What is new, as one HTML file that asks the network for nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cellclaims.notebooks import markup
from cellclaims.notebooks.render import Provenance, exporter, shell

if TYPE_CHECKING:
    from cellclaims.reporting.registries import News


def news_page(news: News, origin: Provenance) -> str:
    """The page: the paragraph, then every table, with the pages' own style and content policy.

    Whatever the registries wrote is escaped by the tables and cut down to tags of text by :mod:`markup`.
    """
    shown = [markup.safe_html(table._repr_html_()) for table in news.tables]
    template = exporter().environment.get_template("changes.html.j2")
    return template.render(sentence=news.sentence, tables=shown, origin=origin, style=shell().style) + "\n"
