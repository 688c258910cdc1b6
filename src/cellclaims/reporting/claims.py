"""Words and tables that set advertised figures beside published ones."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from cellclaims.claims import Entry, advertised_rates, without_entry
from cellclaims.claims.counterparts import nearest_pools, numbers_of
from cellclaims.claims.ledger import MAP_KINDS
from cellclaims.errors import DataError
from cellclaims.evidence import Evidence
from cellclaims.files import markdown_table, put_between, write_atomically
from cellclaims.pool import Pool
from cellclaims.protocol import Protocol
from cellclaims.reporting.pools import Sentence, reports_of, say
from cellclaims.reporting.tables import (
    Link,
    Links,
    Table,
    number,
    percent,
    result_words,
    study_words,
    table,
    value_words,
)  # fmt: skip
from cellclaims.selection import EvidenceBase

#: What each advertised outcome is called beside a figure.
SHORT = {
    "responder": "treatment effective",
    "insulin_dose_halved": "better control on half the insulin",
    "insulin_independence": "off insulin and oral drugs",
    "hba1c": "better control (HbA1c against no cells)",
}


def claims_headline(entries: Sequence[Entry]) -> Sentence:
    """One sentence a figure: what is advertised, what was published, what follows.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    Sentence
    """
    return say(*(_headline(e) for e in entries))


def _headline(entry: Entry) -> str:
    """The claim, what is advertised, what was published, the verdict."""
    said, found = f"advertised {figure_words(entry)}", f"published {published_words(entry)}"
    return f"{capital(short_words(entry))}: {said}, {found}; {entry.verdict}."


def short_words(entry: Entry) -> str:
    """The claimed outcome in few words."""
    return SHORT.get(entry.outcome, entry.advertised["what"])


def figure_words(entry: Entry) -> str:
    """The advertised figure with its qualifier and unit."""
    said = entry.advertised
    if said["value"] is None:
        return "no figure"
    unit = "%" if said["unit"] == "percent" else said["unit"]
    return f"{said['qualifier']} {said['value']:g} {unit}".strip()


def published_words(entry: Entry) -> str:
    """The published value with its reports and patients."""
    if entry.pooled is None:
        return "no report"
    value = f"{number(entry.pooled, 0)} %" if entry.unit == "percent" else f"{number(entry.pooled)} {entry.unit}"
    return f"{value} in {reports_of(entry.k)} of {entry.patients:g} patients"


def interval_words(entry: Entry) -> str:
    """The confidence interval of the published value."""
    return _limits(entry, "ci")


@dataclass(frozen=True)
class ClaimRow:
    """One advertised figure beside its published counterpart; all values in percent, NaN where there is none.

    ``pooled`` with its limits ``ci_lb``, ``ci_ub`` and the prediction limits ``pi_lb``, ``pi_ub``; ``control``, the
    value in the control arms, with their ``control_n`` patients; ``k`` reports with ``n`` patients; ``note``, what a
    reader must know (for example "no control group"); ``printed``, the advertised figure as it is to be written
    ("> 93 %") where the bare number would not do; ``beside``, true for a row that adds another published counterpart
    to the claim of the row above.
    """

    label: str
    advertised: float
    pooled: float = math.nan
    ci_lb: float = math.nan
    ci_ub: float = math.nan
    pi_lb: float = math.nan
    pi_ub: float = math.nan
    control: float = math.nan
    control_n: float = math.nan
    k: int = 0
    n: float = math.nan
    note: str = ""
    printed: str = ""
    beside: bool = False

    def __post_init__(self) -> None:
        named = ("advertised", "pooled", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "control")
        for name in named:
            value = getattr(self, name)
            if not (math.isnan(value) or 0 <= value <= 100):
                raise DataError(f"claim row {self.label!r}: {name} expected 0 to 100, found {value!r}")


def claim_rows_alt(rows: Sequence[ClaimRow]) -> str:
    """The headline figure in words: every row with what is advertised and what was published."""
    lines = []
    for row in rows:
        printed = row.printed or ("no figure" if math.isnan(row.advertised) else f"{row.advertised:g} %")
        found = "no report" if math.isnan(row.pooled) else f"{number(row.pooled, 0)} %, {reports_of(row.k)}"
        lines.append(f"{row.label}: {'' if row.beside else f'advertised {printed}, '}published {found}")
    return f"Advertised figures beside published ones. {'. '.join(lines)}."


def claim_rows(entries: Sequence[Entry], beside: Mapping[str, Sequence[Pool]] | None = None) -> list[ClaimRow]:
    """Rows of the headline figure: each advertised rate, then the nearest outcomes with more reports behind them.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.
    beside : mapping, optional
        Pools shown with an entry, by claim.

    Returns
    -------
    list of ClaimRow
    """
    rows = []
    for entry in entries:
        rows.append(_row(entry))
        rows += [_row_beside(entry, pool) for pool in (beside or {}).get(entry.claim_id, ()) if pool.k]
    return rows


def _row(entry: Entry) -> ClaimRow:
    control = entry.control or {}
    limits = {name: _nan(getattr(entry, name)) for name in _LIMITS}
    beside = {"control": _nan(control.get("value")), "control_n": _nan(control.get("n"))}
    said = {"advertised": entry.advertised["value"], "printed": _short_figure(entry)}
    said["note"] = f"Verdict: {entry.verdict}"
    value = _nan(said.pop("advertised"))
    return ClaimRow(capital(short_words(entry)), value, k=entry.k, n=entry.patients, **said, **limits, **beside)


def _short_figure(entry: Entry) -> str:
    """The advertised figure as short as a picture needs it: "> 93 %"."""
    above = entry.advertised["qualifier"] in ("over", "more than")
    return f"{'> ' * above}{entry.advertised['value']:g} %"


def _row_beside(entry: Entry, pool: Pool) -> ClaimRow:
    limits = {name: pool.shown(getattr(pool.fit, of, math.nan)) for name, of in _LIMITS.items()}
    numbers = {"k": pool.k, "n": float(pool.rows.n.sum()), "beside": True}
    return ClaimRow(pool.title, _nan(entry.advertised["value"]), **limits, **numbers)


_LIMITS = {"pooled": "beta", "ci_lb": "ci_lb", "ci_ub": "ci_ub", "pi_lb": "pi_lb", "pi_ub": "pi_ub"}


def _nan(value: float | None) -> float:
    return math.nan if value is None else float(value)


def capital(words: str) -> str:
    """Words with a capital first letter."""
    return words[:1].upper() + words[1:]


def claims_alt(entries: Sequence[Entry], beside: Sequence[Pool]) -> str:
    """The headline figure in words.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.
    beside : sequence of Pool
        Pools shown with an entry, by claim.

    Returns
    -------
    str
    """
    lines = [_headline(e).rstrip(".") for e in entries]
    lines += [f"{p.title}: {result_words(p)}" for p in beside if p.k]
    return f"Advertised figures beside published ones. {'. '.join(lines)}."


def claims_table(entries: Sequence[Entry]) -> Table:
    """Every advertised rate with its published counterpart, the probabilities and the verdict.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    Table
    """
    lines = [
        {
            "as of": e.advertised["as_of"],
            "claim": capital(short_words(e)),
            "advertised": figure_words(e),
            "k": float(e.k),
            "patients": e.patients,
            "published": _value(e, e.pooled),
            "95 % interval": _limits(e, "ci"),
            "95 % prediction": _limits(e, "pi"),
            "P(mean ≥ claim)": _chance(e.p_mean_ge),
            "P(new clinic ≥ claim)": _chance(e.p_new_setting_ge),
            "control arms": _control(e),
            "verdict": e.verdict,
            "why": "; ".join(e.reasons),
        }
        for e in entries
    ]
    return table(
        pd.DataFrame(lines), "Advertised figures beside published ones (HbA1c: the review's threshold of 0.5 points)"
    )


def _value(entry: Entry, value: float | None) -> str:
    if value is None:
        return "–"
    return f"{number(value, 1)} %" if entry.unit == "percent" else number(value)


def _limits(entry: Entry, which: str) -> str:
    low, high = getattr(entry, f"{which}_lb"), getattr(entry, f"{which}_ub")
    return "not estimable" if low is None or high is None else f"{_value(entry, low)} to {_value(entry, high)}"


def _chance(p: float | None) -> str:
    if p is None:
        return "not estimable"
    return "under 0.1 %" if p < 0.001 else "over 99.9 %" if p > 0.999 else percent(p)


def _control(entry: Entry) -> str:
    if not entry.control:
        return "none"
    if "events" in entry.control:
        return f"{entry.control['events']:g} of {entry.control['n']:g}"
    return f"{number(entry.control['value'])} (change, n = {entry.control['n']:g})"


def unsaid_table(entries: Sequence[Entry]) -> Table:
    """What each advertised figure leaves out.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    Table
    """
    lines = [
        {
            "as of": e.advertised["as_of"],
            "claim": capital(short_words(e)),
            "not said": "; ".join(e.unsaid) or "nothing",
        }
        for e in entries
    ]
    return table(pd.DataFrame(lines), "What is not said")


def match_table(entries: Sequence[Entry]) -> Table:
    """How well population, product, outcome and time of the published counterpart match the claim.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    Table
    """
    lines = [
        {"claim": capital(short_words(e)), "of": what, "match": grade["grade"], "reason": grade["reason"]}
        for e in entries
        for what, grade in e.match.items()
    ]
    return table(pd.DataFrame(lines), "Match of claim and counterpart")


def clears_thresholds(pool: Pool, protocol: Protocol) -> list[str]:
    """For each threshold of HbA1c: how probable it is that the mean fall is at least as large.

    Parameters
    ----------
    pool : Pool
    protocol : Protocol
        The rules of the review.

    Returns
    -------
    list of str
    """
    if pool.fit is None:
        return ["No controlled report answers this question."]
    known = [protocol["thresholds"]["hba1c_matters"], *protocol["thresholds"]["hba1c_sensitivity"]]
    kind = "one study, by its own interval" if pool.k == 1 else f"{pool.k} studies, t with {pool.k - 1} df"
    lead = f"HbA1c with cells minus without: {value_words(pool, float(pool.fit.beta))} percentage points ({kind})."
    if not pool.is_pooled:
        return [lead]
    return [lead, *(_clears(pool, t) for t in sorted(known, key=lambda t: -t["value"]))]


def _clears(pool: Pool, threshold: Mapping[str, Any]) -> str:
    p = numbers_of(pool, -float(threshold["value"]), None)["p_mean_ge"]
    words = f"Probability of a mean fall of at least {threshold['value']:g} points: {percent(p, 0)}"
    return f"{words} ({threshold['source']})."


def other_pages(evidence: Evidence) -> Sentence | None:
    """One note on the statements that get no entry, those of pages of which no copy exists; None if there are none.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.

    Returns
    -------
    Sentence | None
    """
    rows = without_entry(evidence)
    if rows.empty:
        return None
    wordings = " ".join(rows.wording)
    return say(
        f"Pages of which no copy is kept make {len(rows)} more statements. They get no entry, because nobody can check"
        f" their words here. {wordings}"
    )


# The ledger in words: a paragraph and a line for every claim, its JSON, and the evidence map of the claims.


#: What every match is graded on; an entry without a grade says so.
MATCHED = ("population", "product", "outcome", "time")
#: Direction of a point estimate, in words.
DIRECTIONS = {
    "cells": "favours cells",
    "control": "favours the control",
    "none": "shows no difference",
    "not_stated": "direction not to be read",
}
SIGNS = {frozenset({"cells"}): "+", frozenset({"control"}): "-"}
#: Pages on registries that say what a registration is, by their reference.
RECORDS = ("who_ictrp_faq",)


def paragraph(entry: Entry) -> Sentence:
    """One paragraph on a claim: what is said, what is left out, what was found, what follows.

    Parameters
    ----------
    entry : Entry
        One entry of the ledger.

    Returns
    -------
    Sentence
    """
    found = _found_by_pool(entry) if entry.unit else FOUND.get(entry.kind, _found_by_direction)(entry)
    return say(_said(entry), _left_out(entry), *found, _verdict(entry))


def _said(entry: Entry) -> str:
    """The statement with all its qualifiers; no date of a page is known, so that the year is that of its figures."""
    said = entry.advertised
    of = f" The text has no date; its figures run to the end of {said['as_of']}." if said["as_of"] else ""
    return f"{said['wording']}{of}"


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
        lines.append(
            f"HbA1c changed by {number(entry.control['value'])} points without cells, in the same kind of trial."
        )
    else:
        lines.append("No comparison is reported in the texts read.")
    return lines + _chances(entry)


def _chances(entry: Entry) -> list[str]:
    against = (
        "the advertised figure" if entry.advertised["value"] is not None else "the review's threshold of 0.5 points"
    )
    words = {
        "p_mean_ge": f"that the mean reaches {against}",
        "p_new_setting_ge": "that a new clinic truly does",
        "p_series_ge": f"that a series of {entry.advertised['n_treated']} patients shows it",
    }
    known = [
        f"{w}, {_ledger_chance(getattr(entry, key))}" for key, w in words.items() if getattr(entry, key) is not None
    ]
    return [f"Probability {'; '.join(known)}."] if known else []


def _ledger_chance(p: float) -> str:
    return "under 0.1 %" if p < 0.001 else "over 99.9 %" if p > 0.999 else percent(p)


def _found_by_direction(entry: Entry) -> list[str]:
    """Each result in people that is counted, with direction, precision and design; and what else there is."""
    counted = [f for f in entry.facts if f.get("counted")]
    other = sum(f["kind"] == "animal or laboratory" and f["role"] == "evidence" for f in entry.facts)
    lines = ["No result in people that is close to the claim gives a direction."]
    if counted:
        randomised = sum(f["kind"] == "randomised human" for f in counted)
        each = "; ".join(f"{f['study_id']} {_direction_words(f)}" for f in counted)
        lines = [f"{capital(results_of(len(counted)))} in people, {randomised} randomised: {each}."]
    studies = "study" if other == 1 else "studies"
    return lines + (
        [f"There {'is' if other == 1 else 'are'} also {other} animal or laboratory {studies}."] if other else []
    )


def results_of(k: int) -> str:
    """Number of results in words."""
    return "one result" if k == 1 else f"{k} results"


def _direction_words(fact: dict[str, Any]) -> str:
    """Direction of a point estimate with its precision, where it is known."""
    words = DIRECTIONS[fact["direction"]]
    return words if fact["precision"] == "not stated" else f"{words} ({fact['precision']})"


def _found_by_record(entry: Entry) -> list[str]:
    """What was read about a registration: the paper that cites the number, and what pages on registries say."""
    if entry.outcome != "registration":
        return []
    lines = [f"A published paper cites this number: {entry.studies[0]['label']}."] if entry.studies else []
    own = [study["study_id"] for study in entry.studies]
    about = [f for f in entry.facts if f["study_id"] in (*RECORDS, *own)]
    return [*lines, *(f"{capital(f['result'])} ({f['label']})." for f in about)]


def _nothing(entry: Entry) -> list[str]:
    """Nothing is found on a statement that claims no outcome."""
    return []


def _verdict(entry: Entry) -> str:
    certainty = f" Certainty: {entry.certainty}." if entry.certainty else ""
    return f"Verdict: {entry.verdict} ({'; '.join(entry.reasons)}).{certainty}{_stability(entry)}"


def _stability(entry: Entry) -> str:
    if entry.stability is None:
        return ""
    return f" {percent(entry.stability, 0)} of {entry.specifications} distinct specifications give the same verdict."


#: Kind of a claim -> what is said of the evidence found.
FOUND: dict[str, Callable[[Entry], list[str]]] = {
    "rate": _found_by_pool,
    "fact_of_record": _found_by_record,
    "practice": _nothing,
    "background": _nothing,
    "evidence_claim": _nothing,
    "disclaimer": _nothing,
}


def ledger_table(entries: Sequence[Entry]) -> Table:
    """One line a claim: what is claimed, what answers it, the verdict, certainty, stability, and why.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    Table
    """
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
    """Write ``claims.json`` into a folder, whole or not at all, and say what it holds; nothing without a folder.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.
    folder : str | Path
        Where to write; made if it is not there.

    Returns
    -------
    str
    """
    if not str(folder):
        return ""
    text = json.dumps(ledger_json(entries), indent=1, ensure_ascii=False, allow_nan=False)
    Path(folder).mkdir(parents=True, exist_ok=True)
    write_atomically(Path(folder) / "claims.json", text + "\n")
    return f"{len(entries)} entries recorded in claims.json."


def cards(entries: Sequence[Entry]) -> Table:
    """Every claim with its verdict, its paragraph, and the rows that these rest on, each with a link to its source.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    Table
    """
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
    """Every source that speaks to a claim without a figure, counted or not, with a link to each.

    Parameters
    ----------
    entry : Entry
        One entry of the ledger.

    Returns
    -------
    Table
    """
    lines = [
        {
            "source": Link(f["label"], f["link"]) if f["link"] else f["label"],
            "kind": f["kind"],
            "n": math.nan if f["n"] is None else f["n"],
            "result": f["result"],
            "direction": DIRECTIONS[f["direction"]],
            "precision": f["precision"],
            "counted": "yes" if f["counted"] else "no",
        }
        for f in entry.facts
    ]
    return table(pd.DataFrame(lines), f"{capital(entry.advertised['what'])}: {entry.verdict}")


def claim_map(entries: Sequence[Entry]) -> pd.DataFrame:
    """Claims without a figure by kind of evidence: "+" favours cells, "-" favours the control, "?" both,
    no difference or not to be read, empty for none found.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    DataFrame
    """
    lines = {
        capital(e.advertised["what"]): {kind: _sign(e, kind) for kind in MAP_KINDS} for e in entries if _by_topic(e)
    }
    return pd.DataFrame.from_dict(lines, orient="index", columns=list(MAP_KINDS))


def _by_topic(entry: Entry) -> bool:
    return entry.kind in ("effect_without_figure", "mechanism") and not entry.unit


def _sign(entry: Entry, kind: str) -> str:
    """Which way the counted results of a kind point; animals and laboratories are a kind of their own."""
    facts = [f for f in entry.facts if f["map_kind"] == kind and f["role"] == "evidence"]
    counted = {f["direction"] for f in facts if f["counted"] or f["kind"] == "animal or laboratory"}
    if not counted:
        return "?" if any(f["direction"] == "not_stated" for f in facts) else ""
    return SIGNS.get(frozenset(counted), "?")


def claim_map_alt(frame: pd.DataFrame) -> str:
    """The evidence map in words.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    str
    """
    words = {"+": "favours cells", "-": "favours the control", "?": "both, none or not to be read", "": "none found"}
    lines = [
        f"{claim}: " + ", ".join(f"{kind} {words[sign]}" for kind, sign in row.items())
        for claim, row in frame.iterrows()
    ]
    return f"Claims by kind of evidence and its direction. {'. '.join(lines)}."


# The answer of the review as one Markdown table: what README shows, made from the results.


#: The table stands between these two lines of README.md.
BEGIN, END = "<!-- answer: made by `make notebooks`, do not edit -->", "<!-- end of answer -->"


def answer(base: EvidenceBase) -> str:
    """The latest advertised figures beside published ones, then the nearest outcomes, as a Markdown table."""
    entries = advertised_rates(base)
    latest = max(e.advertised["as_of"] for e in entries)
    rows = [
        (short_words(e), figure_words(e), published_words(e), interval_words(e), e.verdict)
        for e in entries
        if e.advertised["as_of"] in (latest, "")
    ]
    rows += [(f"*nearest:* {p.title}", "", _found(p), _interval(p), "") for p in nearest_pools(base)]
    return markdown_table([("outcome", "advertised", "published", "95 % interval", "verdict"), *rows])


def _found(pool: Pool) -> str:
    value = value_words(pool, float(pool.fit.beta)) if pool.fit is not None else "; ".join(study_words(pool))
    return f"{value}, {reports_of(pool.k)}, {pool.rows.n.sum():g} participants"


def _interval(pool: Pool) -> str:
    if pool.fit is None:
        return ""
    return " to ".join(value_words(pool, float(limit)) for limit in (pool.fit.ci_lb, pool.fit.ci_ub))


def put_answer(path: Path, text: str) -> None:
    """Write the answer into a Markdown file, between its two marks; refuses a file without them."""
    put_between(path, BEGIN, END, text)
