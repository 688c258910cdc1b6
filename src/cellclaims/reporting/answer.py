"""The answer of the review as one Markdown table, made from the results: what README shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cellclaims.claims import Entry, ledger
from cellclaims.claims.counterparts import INFUSED, share_of
from cellclaims.files import markdown_table, put_between
from cellclaims.harms import harms
from cellclaims.reporting.claims import (
    BLINDINGS,
    capital,
    design_words,
    difference_line,
    figure_words,
    finding_words,
    main_entries,
    nearest_line,
    pool_line,
    share_words,
)
from cellclaims.reporting.tables import number
from cellclaims.selection import EvidenceBase

#: The table stands between these two lines of README.md.
BEGIN, END = "<!-- answer: made by `make notebooks`, do not edit -->", "<!-- end of answer -->"
#: Harms of the last line: the definition, and its name there.
HARMS = {"serious_adverse_event": "Serious adverse events", "death": "Deaths"}


def answer(base: EvidenceBase, entries: Sequence[Entry] | None = None) -> str:
    """The advertised percentages, HbA1c and serious harm, each with the closest published results, in Markdown.

    Parameters
    ----------
    base : EvidenceBase
        The evidence and the protocol.
    entries : sequence of Entry, optional
        The ledger, where it was made before.

    Returns
    -------
    str
    """
    known = ledger(base) if entries is None else entries
    rows = [(_said(e), _closest(e), _what_can_be_said(e)) for e in main_entries(known)]
    own = next(e for e in known if e.entry_id == "effect.hba1c")
    rows += [(_said(own), _closest(own), _what_can_be_said(own)), harm_row(base)]
    return markdown_table([("what is advertised", "closest published results", "what can be said"), *rows])


def _said(entry: Entry) -> str:
    if entry.family == "rate":
        return f"{capital(figure_words(entry))}: {entry.name}"
    return "(no value is advertised; our own question) HbA1c with cells and without"


def _closest(entry: Entry) -> str:
    """The closest published results of an entry in a cell: no number where the outcome is not defined."""
    if entry.rule == "undefined":
        names = " and ".join(study["label"] for study in entry.others)
        return f"No study reports a defined outcome{f'; {names} reports a rate without a definition' if names else ''}"
    if entry.family == "rate":
        studies = "; ".join(map(_short_study, _largest_first(entry.studies)))
        joined = "; not pooled" if len(entry.studies) == 2 else ""
        near = [one for one in entry.nearest if one["value"] is not None]
        none = "No study with at least 5 participants reports it in the texts that we could read."
        lead = "Nearest results. " if studies and near else ""
        first = f"{studies}{joined}." if studies and near else f"{studies}{joined}" if studies else none
        parts = [first, pool_line(entry), *(lead + nearest_line(one) for one in near[:1]), *map(nearest_line, near[1:])]
        return " ".join(part for part in parts if part)
    trials = "one trial" if len(entry.studies) == 1 else f"{len(entry.studies)} trials"
    trials += " described as randomised"
    if not entry.pool:
        return f"{capital(trials)}. {'; '.join(map(difference_line, entry.studies))}"
    blinded = f" Largest blinded trial: {difference_line(entry.largest_blinded)}" if entry.largest_blinded else ""
    return f"{capital(trials)}, n = {entry.pool['n']:g}. {pool_line(entry)}{blinded}"


def _largest_first(studies: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return sorted(studies, key=lambda study: -study["n"])


def _short_study(study: Mapping[str, Any]) -> str:
    """A study in a cell: "Zang 2022 (double-blind, n = 45 v 44; HbA1c at entry 9.0%): 20% v 4.5%"."""
    control = study["control"]
    n = f"n = {study['n']:g}" + (f" v {control['n']:g}" if control else "")
    blinding = BLINDINGS.get(study["blinding"], "") if study["design"] == "rct" else design_words(study)
    entry = "" if study["hba1c_at_entry"] is None else f"; HbA1c at entry {number(study['hba1c_at_entry'], 1)}%"
    against = f" v {share_words(control['value'], control['n'])}" if control else ""
    return f"{study['label']} ({blinding}, {n}{entry}): {share_words(study['value'], study['n'])}{against}"


def _what_can_be_said(entry: Entry) -> str:
    words = capital(finding_words(entry))
    if entry.rule == "undefined":
        return f"{words}: the outcome is not defined"
    if entry.rule == "unreported":
        return f"{words}: no eligible study reports it"
    return f"{words}; certainty: {entry.certainty}" if entry.certainty else words


def harm_row(base: EvidenceBase) -> tuple[str, str, str]:
    """Serious harm in people with type 2 diabetes who got cells: each study's count with its exact upper limit."""
    counted = {harm.outcome: harm.cells for harm in harms(base, "T2D", INFUSED)}
    parts, events = [], 0.0
    for outcome, name in HARMS.items():
        if outcome not in counted:
            parts.append(f"{name}: no study counts them.")
            continue
        rows = counted[outcome].rows
        events += float(rows.events.sum())
        parts.append(f"{name} after cells: {'; '.join(_harm_words(base, row) for row in rows.itertuples())}.")
    said = "Too few participants to exclude rare serious harm"
    if events:
        said = "Serious harm is reported; too few participants to say how often, or whether cells cause it"
    return ("Serious harm (not mentioned by the advertised percentages)", " ".join(parts), said)


def _harm_words(base: EvidenceBase, row: Any) -> str:
    """A study's count with its upper limit; with events also what the report says of them."""
    one = share_of(row.events, row.n)
    said = ""
    if row.events:
        known = base.evidence.binary.note.get(int(str(row.line).split(";")[0]), "")
        said = f"; {known.split(';')[0]}" if known else ""
    return f"{row.label} {row.events:g} of {row.n:g} (upper 95% limit {share_words(one['ci_ub'])}{said})"


def put_answer(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a Markdown file; refuses a file without them."""
    put_between(path, BEGIN, END, text)
