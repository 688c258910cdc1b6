"""The page of downloads, each with its SHA-256, and how to cite this version."""

from __future__ import annotations

from collections.abc import Iterable

import yaml
from markupsafe import Markup

from cellclaims.runner.page import Provenance
from sitepages.downloads import Download, size_words
from sitepages.ledger_page import scrolled
from sitepages.raw import raw

OPENING = """\
# Data and citation

The evidence is a [data package](https://specs.frictionlessdata.io/data-package/): CSV tables, and one file that says
what every column means, which values are allowed and which keys lead where. The [dictionary](data/dictionary.md) shows
the same for people.

## Download
"""

LICENCE = """\
Tables are under [CC BY 4.0](LICENSE-DATA), code under the [MIT licence](LICENSE). The licence file of the tables
describes what it covers. The dictionary has a link to each single table.

## Cite this version
"""

CHECK = """\
The evidence date is the day up to which sources were read; it distinguishes versions of a living review. The
fingerprint is one SHA-256 over the names and contents of all data files: two people with the same one used the same
data.

To check a download against its SHA-256:

    sha256sum {name}
"""


def download_page(offered: Iterable[Download], origin: Provenance, citation: str) -> str:
    """Return the page as Markdown.

    Parameters
    ----------
    offered : iterable of Download
        Those without a description are on the page of the dictionary.
    origin : Provenance
        What this version of the review was made from.
    citation : str
        Text of ``CITATION.cff``.
    """
    shown = [one for one in offered if one.about]
    cited = raw(Markup('<p class="cite">{}</p>').format(citation_line(citation, origin)))
    parts = [OPENING, raw(_table(shown)), LICENCE, cited, CHECK.format(name=shown[0].path)]
    return "\n\n".join(parts)


def citation_line(citation: str, origin: Provenance) -> str:
    """Return the citation: authors, title, version of the package, date of the evidence, data."""
    cited = yaml.safe_load(citation)
    authors = ", ".join(one.get("name") or f"{one['family-names']} {one['given-names']}" for one in cited["authors"])
    year = str(cited["date-released"])[:4]
    version = f"Version {origin.version}, evidence of {origin.evidence_date}, data {origin.fingerprint[:12]}"
    return f"{authors} ({year}). {cited['title']}. {version}."


def _table(offered: Iterable[Download]) -> Markup:
    head = Markup().join(
        Markup('<th scope="col">{}</th>').format(name) for name in ("file", "what it is", "size", "SHA-256")
    )
    row = Markup(
        '<tr><td><a href="downloads/{0}" download>{0}</a></td><td>{1}</td><td>{2}</td>'
        '<td><code class="hash">{3}</code></td></tr>'
    )
    rows = [row.format(one.path, one.about, size_words(len(one.content)), one.sha256) for one in offered]
    return scrolled("Downloads", head, Markup("\n").join(rows))
