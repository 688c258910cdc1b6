"""The front page: the question, the answer as a table and a figure, and links to all pages."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from cellclaims.reporting.answer import BEGIN, END
from cellclaims.runner.page import Provenance
from cellclaims.runner.review import Card
from sitepages import SiteError
from sitepages.notebook_page import enlargeable
from sitepages.raw import raw

#: Sections of the README that the front page repeats, if they exist; one of them must.
REPEATED = ("Limitations", "What this is not", "What is not known")


def front_page(
    readme: str,
    figure: Mapping[str, str],
    cards: Sequence[Card],
    origin: Provenance,
    contents: Mapping[str, Sequence[str]],
) -> str:
    """Return the front page as Markdown.

    Parameters
    ----------
    readme : str
        The README: its question and the table of the answer.
    figure : mapping
        Address and alternative text (``alternative``) of the figure below the table.
    cards : sequence of Card
        Data of each notebook.
    origin : Provenance
        Origin of the numbers.
    contents : mapping of str to sequence of str
        Heading -> pages, for the menu.
    """
    parts = [
        f"# Advertised and published\n\n{question(readme)}",
        raw(origin_line(origin)),
        "## The answer",
        _before_answer(readme),
        between(readme, BEGIN, END),
        _after_answer(readme),
        raw(enlargeable(figure["address"], figure["alternative"])) if figure["address"] else "",
        raw(_ways()),
        "## The notebooks",
        raw(Markup('<div class="tiles">\n{}\n</div>').format(Markup("\n").join(map(_tile, cards)))),
        *(f"## {title}\n\n{text}" for title, text in _repeated(readme)),
        *(_menu(title, pages) for title, pages in contents.items()),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def question(readme: str) -> str:
    """Return the first bold paragraph."""
    found = re.search(r"^\*\*(.+?)\*\*$", readme, re.MULTILINE | re.DOTALL)
    if not found:
        raise SiteError("README.md: expected the question as a bold paragraph, found none")
    return found[1]


def between(text: str, begin: str, end: str) -> str:
    """Return the text between two marks."""
    _, mark, rest = text.partition(begin)
    inside, last, _ = rest.partition(end)
    if not (mark and last):
        raise SiteError(f"README.md: expected the marks {begin} and {end}, found {'one' if mark else 'none'} of them")
    return inside.strip()


def section(readme: str, title: str) -> str:
    """Return the text below a heading of the second level, up to the next."""
    found = re.search(rf"^## {re.escape(title)}\n+(.+?)\s*(?=^## |\Z)", readme, re.MULTILINE | re.DOTALL)
    if not found:
        raise SiteError(f"README.md: expected a section {title!r}, found none")
    return found[1]


def _repeated(readme: str) -> list[tuple[str, str]]:
    """Return the sections that the front page repeats: title and text."""
    titles = [title for title in REPEATED if f"\n## {title}\n" in readme]
    if not titles:
        raise SiteError(f"README.md: expected one of the sections {', '.join(REPEATED)}, found none")
    return [(title, section(readme, title)) for title in titles]


def _before_answer(readme: str) -> str:
    """Return the text between the question and the table: the answer in words, possibly empty."""
    before, _, _ = readme.partition(BEGIN)
    return before.partition(f"**{question(readme)}**")[2].strip()


def _after_answer(readme: str) -> str:
    """Return the paragraph that explains the words of the table."""
    _, _, rest = readme.partition(END)
    return rest.strip().partition("\n\n")[0]


def origin_line(origin: Provenance) -> Markup:
    """Return evidence date, version and fingerprint, as in every report."""
    frame = Markup(
        '<dl class="origin"><div><dt>Evidence of</dt><dd><time datetime="{0}">{0}</time></dd></div>'
        '<div><dt>Data</dt><dd><span title="SHA-256 {1}">{2}</span></dd></div>'
        "<div><dt>cellclaims</dt><dd>{3}</dd></div>"
        '<div><dt>Cite</dt><dd><a href="download.html#cite-this-version">this version</a></dd></div></dl>'
    )
    return frame.format(origin.evidence_date, origin.fingerprint, origin.fingerprint[:12], origin.version)


#: Links for most readers: address, text.
WAYS = {
    "ledger.html": "Every claim with its finding",
    "download.html": "Download the data",
    "docs/method.html": "The method",
    "docs/add_a_study.html": "Add a study",
}


def _ways() -> Markup:
    links = [Markup('<li><a href="{}">{}</a></li>').format(*way) for way in WAYS.items()]
    return Markup('<ul class="ways">{}</ul>').format(Markup().join(links))


def _tile(card: Card) -> Markup:
    picture = Markup('<a class="picture" href="{}" tabindex="-1" aria-hidden="true"><img src="{}" alt=""></a>')
    frame = Markup(
        '<article class="tile">{}<div class="words"><h3><a href="{}">{}</a></h3>{}'
        '<div class="found">{}</div></div></article>'
    )
    shown = picture.format(card.address, card.picture) if card.picture else Markup()
    return frame.format(shown, card.address, card.title, card.question, card.headline)


def _menu(title: str, pages: Sequence[str]) -> str:
    return "\n".join(["```{toctree}", ":hidden:", f":caption: {title}", "", *pages, "```"])
