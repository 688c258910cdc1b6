"""The answer of the review as one Markdown table, made from the results: what README shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cellclaims.claims import Entry, ledger
from cellclaims.claims.counterparts import share_of
from cellclaims.errors import ReviewError
from cellclaims.files import markdown_table, write_atomically
from cellclaims.pool import label
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
    return f"(no value is advertised; the review's own question) {capital(entry.name)}"


def _closest(entry: Entry) -> str:
    """The closest published results of an entry in a cell: no number where the outcome is not defined."""
    if entry.rule == "undefined":
        names = " and ".join(study["label"] for study in entry.others)
        return f"No study reports a defined outcome{f'; {names} reports a rate without a definition' if names else ''}"
    if entry.family == "rate":
        studies = "; ".join(map(_short_study, _largest_first(entry.studies)))
        joined = "; not pooled" if len(entry.studies) == 2 else ""
        near = [] if entry.studies else [one for one in entry.nearest if one["value"] is not None]
        none = "No study with at least 5 participants reports it."
        parts = [f"{studies}{joined}" if studies else none, pool_line(entry), *map(nearest_line, near)]
        return " ".join(part for part in parts if part)
    trials = "one randomised trial" if len(entry.studies) == 1 else f"{len(entry.studies)} randomised trials"
    value = pool_line(entry) or "; ".join(map(difference_line, entry.studies))
    blinded = f" Largest blinded trial: {difference_line(entry.largest_blinded)}" if entry.largest_blinded else ""
    return f"{capital(trials)}. {value}{blinded}"


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
    parts, events = [], 0.0
    for definition, name in HARMS.items():
        counts = harm_counts(base, definition)
        events += sum(one["events"] for one in counts)
        each = "; ".join(map(_harm_words, counts))
        parts.append(f"{name} after cells: {each}." if each else f"{name}: no study counts them.")
    said = "Too few participants to exclude rare serious harm"
    if events:
        said = "Serious harm was reported; too few participants to say how often"
    return ("Serious harm (not mentioned in the percentages)", " ".join(parts), said)


def _harm_words(one: Mapping[str, Any]) -> str:
    return f"{one['label']} {one['events']:g} of {one['n']:g} (upper 95% limit {share_words(one['ci_ub'])})"


def harm_counts(base: EvidenceBase, definition: str) -> list[dict[str, Any]]:
    """Participants with a harm after cells in type 2 diabetes, the arms of a study together.

    Parameters
    ----------
    base : EvidenceBase
    definition : str
        A definition of ``binary.csv``.

    Returns
    -------
    list of dict
        ``study_id``, ``label``, events, n, and the percentage with its exact limits; in the order of the table.
    """
    rows = base.rows("binary", (), definition)
    usable = rows[(rows.leave == "") & (rows.gets_cells == "yes") & (rows.diabetes_type == "T2D") & rows.n.notna()]
    classes = base.protocol.classes("infused_cells")
    usable = usable[usable.intervention_class.isin(classes) & usable.events.notna()]
    totals = usable.groupby("study_id", sort=False)[["events", "n"]].sum()
    return [
        {"study_id": study, "label": label(base.evidence, study), **share_of(row.events, row.n)}
        for study, row in totals.iterrows()
    ]


def put_answer(path: Path, text: str) -> None:
    """Replace what stands between the two marks of a Markdown file; refuses a file without them."""
    page = path.read_text(encoding="utf-8")
    if BEGIN not in page or END not in page:
        raise ReviewError(f"{path}: expected the lines {BEGIN!r} and {END!r}, found none")
    before, rest = page.split(BEGIN, 1)
    write_atomically(path, f"{before}{BEGIN}\n{text}\n{END}{rest.split(END, 1)[1]}")
