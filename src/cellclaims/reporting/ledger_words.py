"""The ledger in words: a paragraph and a line for every claim, its JSON, and the evidence map of the claims."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cellclaims.claims import Entry
from cellclaims.claims.ledger import MAP_KINDS
from cellclaims.files import write_atomically
from cellclaims.reporting.claim_words import capital, figure_words, interval_words, published_words
from cellclaims.reporting.rounding import number, percent
from cellclaims.reporting.sentences import Sentence, reports_of, say
from cellclaims.reporting.tables import Link, Links, Table, table

#: What every match is graded on; an entry without a grade says so.
MATCHED = ("population", "product", "outcome", "time")
SIGNS = {frozenset({"for"}): "+", frozenset({"against"}): "-"}


def paragraph(entry: Entry) -> Sentence:
    """One paragraph on a claim: what is said, what is left out, what was found, what follows."""
    found = _found_by_pool(entry) if entry.unit else FOUND.get(entry.kind, _found_by_direction)(entry)
    return say(_said(entry), _left_out(entry), *found, _verdict(entry))


def _said(entry: Entry) -> str:
    said = entry.advertised
    when = f" of {said['as_of']}" if said["as_of"] else ""
    figure = f" ({figure_words(entry)})" if said["value"] is not None else ""
    return f"The page{when} says: {said['what']}{figure}."


def _left_out(entry: Entry) -> str:
    return f"It does not say {', '.join(entry.unsaid)}." if entry.unsaid else ""


def _found_by_pool(entry: Entry) -> list[str]:
    """What the pool of a rate or of HbA1c shows."""
    if entry.pooled is None:
        return ["No published report answers it."]
    lines = [f"Published: {published_words(entry)} (95 % interval {interval_words(entry)})."]
    if entry.control and "events" in entry.control:
        lines.append(f"Without cells: {entry.control['events']:g} of {entry.control['n']:g}.")
    elif entry.control:
        lines.append(f"Control arms changed by {number(entry.control['value'])} themselves.")
    else:
        lines.append("No control arm without cells reports it.")
    return lines + _chances(entry)


def _chances(entry: Entry) -> list[str]:
    against = "the advertised figure" if entry.advertised["value"] is not None else "the smallest fall that matters"
    words = {
        "p_mean_ge": f"that the mean reaches {against}",
        "p_new_setting_ge": "that a new clinic truly does",
        "p_series_ge": f"that a series of {entry.advertised['n_treated']} patients shows it",
    }
    known = [f"{w}, {_chance(getattr(entry, key))}" for key, w in words.items() if getattr(entry, key) is not None]
    return [f"Probability {'; '.join(known)}."] if known else []


def _chance(p: float) -> str:
    return "under 0.1 %" if p < 0.001 else "over 99.9 %" if p > 0.999 else percent(p)


def _found_by_direction(entry: Entry) -> list[str]:
    """How many reports in people speak for the claim, against it, or both ways; and what else there is."""
    counted = [f for f in entry.facts if f.get("counted")]
    by = {d: sum(f["direction"] == d for f in counted) for d in ("for", "against", "mixed")}
    randomised = sum(f["kind"] == "randomised human" for f in counted)
    other = sum(f["kind"] == "animal or laboratory" for f in entry.facts)
    if not counted:
        return ["No report in people speaks to it."]
    spoken = ", ".join(f"{n} {_direction_words(d)}" for d, n in by.items() if n)
    lines = [f"{capital(reports_of(len(counted)))} in people: {spoken}; {randomised} randomised."]
    return lines + ([f"Beside them stand {other} from animals or the laboratory."] if other else [])


def _direction_words(direction: str) -> str:
    return {"for": "for it", "against": "against it", "mixed": "both ways"}[direction]


def _found_by_record(entry: Entry) -> list[str]:
    """What the published report of a registration number is."""
    if not entry.studies:
        return ["No published report of this number was found."]
    return [f"The published report of this number is {entry.studies[0]['label']}."]


def _found_by_arithmetic(entry: Entry) -> list[str]:
    """What the shares that stand on a number treated mean as counts, and how much a check of them can say."""
    counts, sums, added = (
        [fact for fact in entry.facts if fact["check"] == check]
        for check in ("possible counts", "shares add up", "patients added since")
    )
    if not entry.facts:
        return []
    as_counts = ", ".join(f"{fact['result']} is {_patients(fact['counts'])}" for fact in counts)
    lines = [f"Rounded to the percent, {as_counts}.", *(f"{capital(fact['result'])}." for fact in sums)]
    if added:
        shown = ", ".join(f"{fact['share']} ({_patients(fact['range'])})" for fact in added)
        lines.append(f"If both states of the page are right, the {added[0]['patients']} showed {shown}.")
    return [*lines, _how_telling([fact["uninformative"] for fact in entry.facts])]


def _how_telling(idle: Sequence[bool]) -> str:
    """How many checks say nothing: they pass, or would often pass, whatever the truth is."""
    if all(idle):
        return "Not one of these checks tells anything of the page."
    if not any(idle):
        return "Each of these checks tells something of the page."
    return f"{sum(idle)} of these {len(idle)} checks tell nothing of the page."


def _patients(counts: dict[str, Sequence[int] | None]) -> str:
    """Fewest and most patients, of percentages rounded to the percent or finer."""
    fitting = counts[max((step for step in counts if float(step) <= 1.0), key=float)]
    return f"{fitting[0]} to {fitting[1]} patients" if fitting else "no number of patients"


def _found_by_harms(entry: Entry) -> list[str]:
    against = sum(f["direction"] == "against" for f in entry.facts)
    return [f"{len(entry.facts)} sources on harms of cell treatments stand beside it, {against} of them alarming."]


def _verdict(entry: Entry) -> str:
    certainty = f" Certainty: {entry.certainty}." if entry.certainty else ""
    return f"Verdict: {entry.verdict} ({'; '.join(entry.reasons)}).{certainty}{_stability(entry)}"


def _stability(entry: Entry) -> str:
    if entry.stability is None:
        return ""
    return f" {percent(entry.stability, 0)} of {entry.specifications} distinct specifications give the same verdict."


#: Kind of a claim -> what is said of the evidence found.
FOUND: dict[str, Callable[[Entry], list[str]]] = {
    "proportion": _found_by_pool,
    "count": _found_by_arithmetic,
    "registration": _found_by_record,
    "disclaimer": _found_by_harms,
}


def ledger_table(entries: Sequence[Entry]) -> Table:
    """One line a claim: what is claimed, what answers it, the verdict, certainty, stability, and why."""
    lines = [
        {
            "claim": capital(e.advertised["what"]),
            "kind": e.kind,
            "as of": e.advertised["as_of"] or "–",
            "advertised": figure_words(e) if e.unit or e.advertised["value"] is not None else "–",
            "published": published_words(e) if e.unit else f"{e.k} in people" if e.k else "–",
            "verdict": e.verdict,
            "certainty": e.certainty or "–",
            "stability": "–" if e.stability is None else percent(e.stability, 0),
            "why": "; ".join(e.reasons),
        }
        for e in entries
    ]
    return table(pd.DataFrame(lines), f"The ledger: {len(entries)} advertised statements")


def ledger_json(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The entries as JSON values at full precision, each with its paragraph and all four grades."""
    return [e.as_json() | {"match": _all_grades(e), "text": str(paragraph(e))} for e in entries]


def _all_grades(entry: Entry) -> dict[str, Any]:
    return {what: entry.match.get(what) for what in MATCHED}


def write_ledger(entries: Sequence[Entry], folder: str | Path) -> str:
    """Write ``claims.json`` into a folder, whole or not at all, and say what it holds."""
    text = json.dumps(ledger_json(entries), indent=1, ensure_ascii=False, allow_nan=False)
    Path(folder).mkdir(parents=True, exist_ok=True)
    write_atomically(Path(folder) / "claims.json", text + "\n")
    return f"{len(entries)} entries recorded in claims.json"


def cards(entries: Sequence[Entry]) -> Table:
    """Every claim with its verdict, its paragraph, and the rows that these rest on, each with a link to its source."""
    lines = [
        {
            "claim": capital(e.advertised["what"]),
            "verdict": e.verdict,
            "in words": str(paragraph(e)),
            "rows and sources": rows_behind(e),
        }
        for e in entries
    ]
    return table(pd.DataFrame(lines), "Claim by claim")


def rows_behind(entry: Entry) -> Links:
    """The rows of ``data/`` that the numbers of an entry come from, by arm or id, each leading to its source."""
    return Links(tuple(Link(_row_words(study), study["link"]) for study in entry.studies))


def _row_words(study: dict[str, Any]) -> str:
    """Which row: by its id where the table has ids, else by report, arm and line of the table."""
    if "row_id" in study:
        return f"{study['row_id']} {study['study_id']}"
    if "line" not in study:
        return study["label"]
    which = f"{'rows' if ';' in study['line'] else 'row'} {study['line'].replace(';', ' and ')}"
    return f"{study['label']}, {study['arm_id']} ({study['table']}.csv, {which})"


def facts_table(entry: Entry) -> Table:
    """Every source that speaks to a claim without a figure, counted or not, with a link to each."""
    lines = [
        {
            "source": Link(f["label"], f["link"]),
            "kind": f["kind"],
            "n": math.nan if f["n"] is None else f["n"],
            "result": f["result"],
            "direction": f["direction"],
            "counted": "yes" if f["counted"] else "no",
        }
        for f in entry.facts
    ]
    return table(pd.DataFrame(lines), f"{capital(entry.advertised['what'])}: {entry.verdict}")


def claim_map(entries: Sequence[Entry]) -> pd.DataFrame:
    """Claims without a figure by kind of evidence: "+" for, "-" against, "?" both or unclear, empty for none found."""
    lines = {
        capital(e.advertised["what"]): {kind: _sign(e, kind) for kind in MAP_KINDS} for e in entries if _by_topic(e)
    }
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(MAP_KINDS))


def _by_topic(entry: Entry) -> bool:
    return entry.kind not in ("registration", "disclaimer") and any("direction" in f for f in entry.facts)


def _sign(entry: Entry, kind: str) -> str:
    """What the sources of a kind say: those that count, those from animals, and those whose direction is unclear."""
    facts = [f for f in entry.facts if f["map_kind"] == kind]
    told = {f["direction"] for f in facts if f["counted"] or f["kind"] == "animal or laboratory"}
    unclear = any(f["direction"] == "neutral" for f in facts)
    if not told:
        return "?" if unclear else ""
    return SIGNS.get(frozenset(told - {"neutral"}), "?")


def claim_map_alt(frame: pd.DataFrame) -> str:
    """The evidence map in words."""
    words = {"+": "for", "-": "against", "?": "both or unclear", "": "none found"}
    lines = [
        f"{claim}: " + ", ".join(f"{kind} {words[sign]}" for kind, sign in row.items())
        for claim, row in frame.iterrows()
    ]
    return f"Claims by kind of evidence and its direction. {'. '.join(lines)}."
