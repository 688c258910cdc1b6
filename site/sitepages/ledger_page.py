"""The page of the ledger of claims: every advertised statement with its finding, reasons and rows.

The entries are those of ``reports/claims.json``, as a review records them; words and rounding are the notebooks'.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from markupsafe import Markup

from cellclaims.claims import Entry
from cellclaims.reporting.claims import claim_words, facts_table, figure_words, rows_behind
from cellclaims.runner import page
from sitepages import SiteError
from sitepages.raw import escaped, raw

INTRODUCTION = """\
# The ledger of claims

Every finding compares an advertised statement with published results only. Statements on the same question share an
entry. An entry lists each eligible study with its result, the finding and its rule, how close the evidence is, and
the rows of the data. [Findings](docs/findings.md) explains the rules, and [the appraisal](docs/appraisal.md) the
ratings of certainty. Click on a heading of the table to sort it.
"""

#: Family of entries -> heading of the page, in this order.
PARTS = {
    "rate": "Advertised percentages",
    "effect": "Effects without a percentage",
    "mechanism": "How the cells are said to work",
    "record": "Registrations and numbers of patients",
    "context": "Statements that claim no outcome",
}


@dataclass(frozen=True)
class Recorded:
    """An entry as it was recorded: the entry itself and its paragraph."""

    entry: Entry
    text: str


def recorded(path: Path) -> list[Recorded]:
    """The entries of ``claims.json``.

    Raises
    ------
    SiteError
        If the file is missing or holds no entries.
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
    parts = [INTRODUCTION, raw(_counts(ledger)), "## Overview", raw(_overview(ledger))]
    for family, title in PARTS.items():
        if entries := [one for one in ledger if one.entry.family == family]:
            parts += [f"## {title}", *map(_card, entries)]
    return "\n\n".join(parts) + "\n"


def title_of(entry: Entry) -> str:
    """Return the claim in a few words, with the advertised percentage."""
    return f"{claim_words(entry)}: {figure_words(entry)}" if entry.family == "rate" else claim_words(entry)


def anchor_of(entry: Entry) -> str:
    """Return the anchor of the entry's card."""
    return "claim-" + re.sub(r"[^a-z0-9]+", "-", entry.entry_id.lower())


def badge(finding: str) -> Markup:
    """Return a finding as a badge; colour is only an aid."""
    return Markup('<span class="finding {}">{}</span>').format(re.sub(r"[^a-z]+", "-", finding), finding)


def _counts(ledger: Iterable[Recorded]) -> Markup:
    counted = Counter(one.entry.finding for one in ledger).most_common()
    marks = [Markup("<li>{} {}</li>").format(number, badge(finding)) for finding, number in counted]
    return Markup('<ul class="counted">{}</ul>').format(Markup().join(marks))


def _overview(ledger: Iterable[Recorded]) -> Markup:
    names = ("claim", "statements", "finding", "certainty")
    head = Markup().join(Markup('<th scope="col">{}</th>').format(name) for name in names)
    rows = Markup("\n").join(_line(one.entry) for one in ledger)
    return scrolled("All entries of the ledger", head, rows)


def _line(entry: Entry) -> Markup:
    row = Markup('<tr><td><a href="#{}">{}</a></td><td>{}</td><td>{}</td><td>{}</td></tr>')
    words = f"{len(entry.statements)}"
    return row.format(anchor_of(entry), title_of(entry), words, badge(entry.finding), entry.certainty or "–")


def scrolled(label: str, head: Markup, rows: Markup) -> Markup:
    """A table in a box that scrolls when the window is narrow."""
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
    parts += [shown for part in (_close, _certainty, _sources) if (shown := part(entry))]
    return Markup('<div class="claim">\n{}\n</div>').format(Markup("\n").join(parts))


def _facts(entry: Entry) -> Iterable[tuple[str, object]]:
    yield "Finding", badge(entry.finding)
    if entry.reasons:
        yield "Rule", "; ".join(entry.reasons)
    if entry.certainty:
        yield "Certainty", entry.certainty
    places = dict.fromkeys(f"{one['title']}, {one['locator']}" for one in entry.statements)
    yield "Statements", "; ".join(places) or "none: an additional question of the review"
    if entry.studies:
        yield "Rests on", Markup(rows_behind(entry).html())


def _close(entry: Entry) -> Markup:
    rows = [(what, one["grade"], one["reason"]) for what, one in entry.close.items()]
    return _folded("How close the evidence is to the claim", ("in", "close", "reason"), rows)


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
    """Return all sources of an entry on a topic, counted or not."""
    if not any("row_id" in fact for fact in [*entry.studies, *entry.others]):
        return Markup()
    table = page.safe_html(facts_table(entry)._repr_html_())
    return Markup('<details class="more"><summary>Every source, counted or not</summary>\n{}\n</details>').format(table)
