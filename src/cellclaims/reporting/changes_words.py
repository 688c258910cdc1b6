"""Words and tables about what is new in the registries and the literature.

Titles and values come from elsewhere: they are shown with every control and direction character spelt out, and
escaped by the tables.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from cellclaims.harvest.held import guard
from cellclaims.registries.answers import visible
from cellclaims.registries.changes import Change, Changes, FirstSight, Known, news_of
from cellclaims.reporting.sentences import Sentence, say
from cellclaims.reporting.tables import Link, Table

if TYPE_CHECKING:
    from cellclaims.registries.changes import PaperState, TrialState

#: The heading of each table of changes, by kind.
HEADINGS = {
    "new trial": "New trials",
    "trial gone": "Trials that the later snapshot does not hold",
    "results posted": "Newly posted results",
    "results withdrawn": "Results that are no longer posted",
    "results changed": "Changed results: every part that differs",
    "status changed": "Changed status",
    "facts changed": "Changed dates, enrolment and primary outcomes",
    "new paper": "New papers that cite a known registration",
    "paper gone": "Papers that the later snapshot does not hold",
}
#: Of these a trial or paper is told in one line with its state; of these with a before and an after.
SINGLE = ("new trial", "trial gone", "new paper", "paper gone")
PAIRS = ("results posted", "results withdrawn", "status changed")
#: Each kind in the sentence, before how many.
COUNTED = {
    "new trial": "new trials",
    "trial gone": "trials no longer there",
    "results posted": "trials with newly posted results",
    "results withdrawn": "trials whose results are no longer posted",
    "results changed": "trials with changed results",
    "status changed": "trials with another status",
    "facts changed": "trials with other dates, enrolment or primary outcome",
    "new paper": "new papers that cite a known registration",
    "paper gone": "papers no longer there",
}
#: Columns of changes as CSV and JSON.
COLUMNS = ("kind", "number", "what", "before", "after", "title", "address")
#: Half a character.
HALF = re.compile(r"[\ud800-\udfff]")
#: Of what cannot be read, so many sentences are shown; the others are counted.
MOST_REFUSED = 20


def changes_sentence(changes: Changes) -> Sentence:
    """What changed, in one paragraph."""
    between = f"From snapshot {changes.since} to {changes.until}"
    if not changes.lines:
        return say(f"{between} nothing changed.", refused_words(changes.refused))
    told = [f"{COUNTED[kind]}: {count}" for kind, count in changes.counts.items()]
    return say(f"{between}: {'; '.join(told)}.", refused_words(changes.refused))


def refused_words(refused: Sequence[str]) -> str:
    """How many answers or records could not be read; empty if all could."""
    count = len(refused)
    return f"{count} {'answer or record' if count == 1 else 'answers or records'} could not be read." if count else ""


def changes_tables(changes: Changes) -> list[Table]:
    """One table a kind of change that occurs, and one of what could not be read."""
    made = [_kind_table(kind, changes.of(kind)) for kind in HEADINGS if changes.of(kind)]
    return made + refused_tables(changes.refused)


def _kind_table(kind: str, lines: Sequence[Change]) -> Table:
    first = "cites" if "paper" in kind else "trial"
    columns = ("published" if "paper" in kind else "state",) if kind in SINGLE else ("before", "after")
    header = (first, "title", *(() if kind in (*SINGLE, *PAIRS) else ("what",)), *columns)
    return Table(header, tuple(tuple(_cells(line)) for line in lines), HEADINGS[kind])


def _cells(line: Change) -> Iterator[object]:
    """Where the line leads, the title, what changed where that is not the kind itself, and before and after."""
    yield shown_link(line.number, line.address)
    yield visible(line.title)
    if line.kind in SINGLE:
        yield visible(line.after or line.before)
        return
    if line.kind not in PAIRS:
        yield visible(line.what)
    yield visible(line.before)
    yield visible(line.after)


def shown_link(words: str, address: str) -> Link:
    """Words that lead to an address; both on one line, and only a web address is a link."""
    return Link(visible(words) or "–", "".join(address.split()))


def refused_tables(refused: Sequence[str]) -> list[Table]:
    """A table of what could not be read; none if all could."""
    if not refused:
        return []
    more = len(refused) - MOST_REFUSED
    rows = [(visible(sentence),) for sentence in refused[:MOST_REFUSED]] + ([(f"and {more} more",)] if more > 0 else [])
    return [Table(("answer and reason",), tuple(rows), "What could not be read")]


def changes_lines(changes: Changes) -> list[dict[str, str]]:
    """The changes for machines: one line each, text as it stands."""
    return [{name: getattr(line, name) for name in COLUMNS} for line in changes.lines]


# --- one snapshot beside what the review knows ------------------------------------------------------------------


def sight_sentence(sight: FirstSight) -> Sentence:
    """What one snapshot says of the known registrations, in one paragraph."""
    known = len(sight.found) + len(sight.missing)
    news = sum(bool(news_of(one, trial)) for one, trial in sight.found)
    return say(
        f"Snapshot {sight.name} is set beside what the review knows: it describes {len(sight.found)} of {known} known "
        f"registrations, {news} of them with news about posted results, and {len(sight.unknown)} trials that the "
        f"review does not know; {len(sight.papers)} papers cite a known registration.",
        refused_words(sight.refused),
    )


def sight_tables(sight: FirstSight) -> list[Table]:
    """Known registrations found and not found, unknown trials, papers; empty tables are left out."""
    made = [
        Table(("trial", "status", "results", "news", "reports"), tuple(map(_found, sight.found)),
              "Known registrations in the snapshot"),
        Table(("trial", "reports", "results when last looked up"), tuple(map(_missing, sight.missing)),
              "Known registrations that the snapshot does not hold"),
        Table(("trial", "title", "state"), tuple(map(_unknown, sight.unknown)),
              "Trials that the review does not know"),
        Table(("cites", "title", "published"), tuple(map(_paper, sight.papers)),
              "Papers that cite a known registration"),
    ]  # fmt: skip
    return [table for table in made if table.cells] + refused_tables(sight.refused)


def _found(pair: tuple[Known, TrialState]) -> tuple[object, ...]:
    one, trial = pair
    facts = trial.facts
    results = {True: facts.get("results posted on", "posted"), False: "none", None: "not said"}[trial.has_results]
    status = visible(facts.get("status", "not said"))
    return shown_link(one.number, trial.address), status, visible(results), news_of(one, trial), "; ".join(one.reports)


def _missing(one: Known) -> tuple[object, ...]:
    return one.number, "; ".join(one.reports) or "–", looked_up(one)


def looked_up(one: Known) -> str:
    """Whether results were posted when a registration was last looked up, with the day."""
    said = {"yes": "posted", "no": "none", "": "not seen"}[one.posted]
    return f"{said} ({one.seen_on})" if one.seen_on else "not looked up"


def _unknown(trial: TrialState) -> tuple[object, ...]:
    from cellclaims.registries.changes import in_short

    return shown_link(trial.number, trial.address), visible(trial.title), visible(in_short(trial))


def _paper(paper: PaperState) -> tuple[object, ...]:
    return shown_link("; ".join(paper.registrations), paper.address), visible(paper.title), visible(paper.date)


def sight_lines(sight: FirstSight) -> list[dict[str, str]]:
    """The same for machines, with the columns of changes: what is new beside what the review knows."""
    known = [
        ("known trial", one.number, "posted results", looked_up(one), news_of(one, trial) or "no news", trial.title,
         trial.address)
        for one, trial in sight.found
    ]  # fmt: skip
    missing = [("known trial not found", one.number, "trial", looked_up(one), "", "", "") for one in sight.missing]
    unknown = [("unknown trial", t.number, "trial", "", t.facts.get("status", ""), t.title, t.address)
               for t in sight.unknown]  # fmt: skip
    papers = [("paper", "; ".join(p.registrations), "paper", "", p.date, p.title, p.address) for p in sight.papers]
    return [dict(zip(COLUMNS, line, strict=True)) for line in (*known, *missing, *unknown, *papers)]


def lines_csv(lines: Sequence[Mapping[str, str]]) -> str:
    """Lines as CSV that no spreadsheet takes for formulas (``harvest.held.unguard`` gives a text back).

    Half a character (an unpaired surrogate), which no file can hold, is written as its code point.
    """
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n", quoting=csv.QUOTE_ALL)  # else a bare carriage return ends a row
    writer.writerow(COLUMNS)
    writer.writerows(
        [HALF.sub(lambda found: visible(found[0]), guard(line[name])) for name in COLUMNS] for line in lines
    )
    return buffer.getvalue()
