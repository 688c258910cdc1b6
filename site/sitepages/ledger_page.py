"""The page of the ledger of claims: every advertised statement with its verdict, reasons and rows.

The entries are those of ``reports/claims.json``, as a review records them; words and rounding are the notebooks'.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cellclaims.claims import Entry
from cellclaims.reporting.claims import capital, facts_table, figure_words, published_words, rows_behind
from cellclaims.runner import page
from sitepages import SiteError
from sitepages.raw import escaped, raw

INTRODUCTION = """\
# The ledger of claims

Every statement of the advertisements, with or without a number, has one entry and one verdict, given by the first rule
of the protocol that applies. An entry shows what is advertised, the published evidence, the reasons for the verdict,
and the rows of the data. [The method](docs/method.md) explains the rules, and [the appraisal](docs/appraisal.md) the
ratings of certainty. Click on a heading of the table to sort it.
"""

#: Headings of the page and the kinds of claims below each, in this order.
PARTS = {
    "Figures": ("proportion", "count"),
    "Outcomes without a figure": ("outcome", "cure", "regimen"),
    "How the cells are said to work": ("mechanism",),
    "Registrations and disclaimer": ("registration", "disclaimer"),
}
OTHER = "Other statements"


@dataclass(frozen=True)
class Recorded:
    """A recorded entry and its paragraph."""

    entry: Entry
    text: str


def recorded(path: Path) -> list[Recorded]:
    """Return the entries of ``claims.json``.

    Raises
    ------
    SiteError
        If the file is missing or contains no entries.
    """
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
        return [Recorded(_entry(one), one["text"]) for one in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SiteError(f"{path}: expected the ledger of a review, found {error!r}: make review") from None


def _entry(values: dict[str, Any]) -> Entry:
    return Entry(**{one.name: values[one.name] for one in fields(Entry)})


def ledger_page(ledger: Sequence[Recorded]) -> str:
    """Return the page of the ledger as Markdown: an overview, then a card for each entry."""
    kinds = {kind: title for title, kinds in PARTS.items() for kind in kinds}
    parts = [INTRODUCTION, raw(_counts(ledger)), "## Overview", raw(_overview(ledger))]
    for title in [*PARTS, OTHER]:
        if entries := [one for one in ledger if kinds.get(one.entry.kind, OTHER) == title]:
            parts += [f"## {title}", *map(_card, entries)]
    return "\n\n".join(parts) + "\n"


def title_of(entry: Entry) -> str:
    """Return the claim in words, with the year named in the advertisement."""
    year = f" ({entry.advertised['as_of']})" if entry.advertised["as_of"] else ""
    return capital(entry.advertised["what"]) + year


def anchor_of(entry: Entry) -> str:
    """Return the anchor of the entry's card."""
    return "claim-" + entry.claim_id.replace("_", "-").lower()


def badge(verdict: str) -> Markup:
    """Return a verdict as a badge; colour is only an aid."""
    return Markup('<span class="verdict {}">{}</span>').format(verdict.replace(" ", "-"), verdict)


def _counts(ledger: Iterable[Recorded]) -> Markup:
    counted = Counter(one.entry.verdict for one in ledger).most_common()
    marks = [Markup("<li>{} {}</li>").format(number, badge(verdict)) for verdict, number in counted]
    return Markup('<ul class="counted">{}</ul>').format(Markup().join(marks))


def _overview(ledger: Iterable[Recorded]) -> Markup:
    names = ("claim", "advertised", "published", "verdict", "certainty")
    head = Markup().join(Markup('<th scope="col">{}</th>').format(name) for name in names)
    rows = Markup("\n").join(_line(one.entry) for one in ledger)
    return scrolled("All entries of the ledger", head, rows)


def _line(entry: Entry) -> Markup:
    row = Markup('<tr><td><a href="#{}">{}</a></td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>')
    found = published_words(entry) if entry.unit else f"{entry.k} in people" if entry.k else "–"
    said = figure_words(entry) if entry.unit or entry.advertised["value"] is not None else "–"
    return row.format(anchor_of(entry), title_of(entry), said, found, badge(entry.verdict), entry.certainty or "–")


def scrolled(label: str, head: Markup, rows: Markup) -> Markup:
    """Return a table in a box that scrolls when the window is narrow."""
    frame = Markup(
        '<div class="scroll" role="region" tabindex="0" aria-label="{}"><table><thead><tr>{}</tr></thead>'
        "<tbody>\n{}\n</tbody></table></div>"
    )
    return frame.format(label, head, rows)


def _card(one: Recorded) -> str:
    return f"({anchor_of(one.entry)})=\n\n### {escaped(title_of(one.entry))}\n\n{raw(_body(one))}"


def _body(one: Recorded) -> Markup:
    entry = one.entry
    terms = Markup().join(Markup("<div><dt>{}</dt><dd>{}</dd></div>").format(*pair) for pair in _facts(entry))
    words = one.text.replace(" %", "\u00a0%")  # a figure and its sign stay on one line
    parts = [Markup("<p>{}</p>").format(words), Markup('<dl class="facts">{}</dl>').format(terms)]
    parts += [shown for part in (_match, _certainty, _sources) if (shown := part(entry))]
    return Markup('<div class="claim">\n{}\n</div>').format(Markup("\n").join(parts))


def _facts(entry: Entry) -> Iterable[tuple[str, object]]:
    yield "Verdict", badge(entry.verdict)
    yield "Because", "; ".join(entry.reasons)
    if entry.certainty:
        yield "Certainty", entry.certainty
    yield "Source", f"{entry.advertised['title']}, {entry.advertised['locator']}"
    if entry.studies:
        yield "Rests on", Markup(rows_behind(entry).html())


def _match(entry: Entry) -> Markup:
    graded = [(what, grade) for what, grade in entry.match.items() if grade]
    rows = [(what, grade["grade"], grade["reason"]) for what, grade in graded]
    return _folded("How well the evidence matches", ("of", "match", "reason"), rows)


def _certainty(entry: Entry) -> Markup:
    rows = [
        (step["domain"], f"{step['step']:+d}" if step["step"] else "0", step["reason"], step["judged_by"])
        for step in entry.certainty_steps
    ]
    return _folded("How the certainty was rated", ("domain", "step", "reason", "judged by"), rows)


def _folded(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> Markup:
    """Return a folded table with its title; empty without rows."""
    if not rows:
        return Markup()
    head = Markup().join(Markup('<th scope="col">{}</th>').format(name) for name in names)
    cells = [Markup().join(Markup("<td>{}</td>").format(cell) for cell in row) for row in rows]
    body = Markup("\n").join(Markup("<tr>{}</tr>").format(row) for row in cells)
    return Markup('<details class="more"><summary>{}</summary>\n{}\n</details>').format(
        title, scrolled(title, head, body)
    )


def _sources(entry: Entry) -> Markup:
    """Return all sources on a claim without a number, counted or not."""
    if not entry.facts or "direction" not in entry.facts[0]:
        return Markup()
    table = page.safe_html(facts_table(entry)._repr_html_())
    return Markup('<details class="more"><summary>Every source, counted or not</summary>\n{}\n</details>').format(table)
