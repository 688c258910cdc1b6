"""The ledger in words and tables: what is advertised, what was published, what may be said of it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from cellclaims.claims import Entry
from cellclaims.claims.findings import (
    EFFECT_FINDINGS,
    NO_FINDING,
    ONE_AGAINST,
    ONE_FAVOURS,
    ONE_INCONCLUSIVE,
    OUTCOME_ONLY,
)
from cellclaims.claims.ledger import UNCLEAR
from cellclaims.evidence import Evidence
from cellclaims.files import write_atomically
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Link, Links, Table, number, table

#: Fewest participants of a percentage with a decimal.
FINE = 20
#: Direction of a point estimate, in words.
DIRECTIONS = {
    "cells": "favours cells",
    "control": "favours the control",
    "none": "shows or reports no difference",
    "not_stated": "could not be read",
}
#: Kind of evidence, in words: of a study, of a meta-analysis.
STUDY_KINDS = {
    "randomised": "randomised trial",
    "controlled": "controlled study, not randomised",
    "uncontrolled": "uncontrolled study",
    "laboratory": "laboratory study",
}
META_KINDS = {
    "randomised": "meta-analysis of randomised trials",
    "controlled": "meta-analysis of controlled studies",
    "uncontrolled": "meta-analysis of uncontrolled studies",
    "laboratory": "meta-analysis of animal studies",
}
#: Design and blinding of a study of the tables, in words.
DESIGNS = {
    "rct": "randomised",
    "nonrandomised_controlled": "controlled, not randomised",
    "single_arm": "one arm",
    "registry": "registry",
}
BLINDINGS = {"double": "double-blind", "single": "single-blind", "triple": "triple-blind", "open": "open"}
#: Edges of the rules in words.
EDGES = {
    "claim": "a study's limit is within a tenth of the claim",
    "participants": "a study's number of participants is within a tenth of what decides",
    "improbable": "a probability is within a tenth of 5% or of 95%",
    "estimate": "an estimate is within a tenth of the other study's limit",
    "p_value": "a P value is within a tenth of 0.05",
}
#: When an outcome was counted, where it was not at a stated month.
TIMES = {"ever": "at any time", "last_follow_up": "at the last visit", "not_stated": "time not stated"}
#: Findings that rest on controlled results.
CONTROLLED = EFFECT_FINDINGS[:6]
#: What the ledger compares, said before anything else.
COMPARED_WITH = (
    "Every finding compares an advertised statement with published results; none is about the results of a clinic, "
    "which have not been published in a form that we could read."
)


# Words for one study, one value, one claim.


def capital(words: str) -> str:
    """Words with a capital first letter."""
    return words[:1].upper() + words[1:]


def figure_words(entry: Entry) -> str:
    """The advertised percentage with its qualifier: "over 93%"."""
    said = entry.advertised
    if said is None or said["value"] is None:
        return "no value"
    unit = "%" if said["unit"] == "percent" else f" {said['unit']}"
    return f"{said['qualifier']} {said['value']:g}{unit}".strip()


def share_words(value: float, n: float = math.inf) -> str:
    """A percentage with as many digits as it bears: one below 10%, none above or of fewer than 20 participants.

    >>> share_words(4.545, 44), share_words(20.0), share_words(6.25, 16)
    ('4.5%', '20%', '6%')
    """
    is_fine = value < 10 and value != round(value) and n >= FINE
    return f"{number(value, 1 if is_fine else 0)}%"


def interval_words(one: Mapping[str, Any], decimals: int = 1, sign: str = "%") -> str:
    """The 95% CI of a result in words."""
    return f"95% CI {number(one['ci_lb'], decimals)}{sign} to {number(one['ci_ub'], decimals)}{sign}"


def design_words(study: Mapping[str, Any]) -> str:
    """Design and blinding: "randomised, double-blind"."""
    design = DESIGNS.get(study["design"], study["design"])
    blinding = BLINDINGS.get(study["blinding"], "") if study["design"] == "rct" else ""
    return ", ".join(part for part in (design, blinding) if part)


def time_words(study: Mapping[str, Any]) -> str:
    """When the outcome was counted: a month, or in words."""
    if study["time"] in TIMES:
        return TIMES[study["time"]]
    return "time not stated" if study["months"] is None else f"at {study['months']:g} months"


def count_words(one: Mapping[str, Any]) -> str:
    """A count with its percentage: "20% (9 of 45)"."""
    return f"{share_words(one['value'], one['n'])} ({one['events']:g} of {one['n']:g})"


def study_line(study: Mapping[str, Any]) -> str:
    """One study's own result on a counted outcome, with its control arm, its time and its interval."""
    about = [design_words(study), time_words(study)]
    if study["hba1c_at_entry"] is not None:
        about.append(f"HbA1c at entry {number(study['hba1c_at_entry'], 1)}%")
    if study["secondary"]:
        about.append("from a table of a published review")
    control = study["control"]
    against = f" v {count_words(control)} without cells" if control else ", no control arm reported"
    return f"{study['label']} ({'; '.join(about)}): {count_words(study)}, {interval_words(study)}{against}"


def difference_line(study: Mapping[str, Any]) -> str:
    """One trial's own mean difference with its interval."""
    about = f"{design_words(study)}, n = {study['n']:g}"
    value = f"{number(study['value'])} percentage points"
    unclear = f"; {study['detail'].split('; ')[-1]}" if UNCLEAR in study["detail"] else ""
    return f"{study['label']} ({about}): {value} ({interval_words(study, 2, '')}{unclear})"


def fact_line(fact: Mapping[str, Any]) -> str:
    """One result of a topic: what it is, how many participants, which way it points, how precise it is."""
    kind = (META_KINDS if fact["is_pooled"] else STUDY_KINDS)[fact["kind"]]
    blinding = BLINDINGS.get(fact["blinding"], "") if fact["kind"] == "randomised" and not fact["is_pooled"] else ""
    n = "" if fact["n"] is None else f"n = {fact['n']:g}"
    about = ", ".join(part for part in (kind, blinding, n, *fact["doubts"]) if part)
    return f"{fact['label']} ({about}): {_direction(fact)}"


def _direction(fact: Mapping[str, Any]) -> str:
    """Direction of a point estimate with what is known of its precision."""
    words = DIRECTIONS[fact["direction"]]
    if fact["direction"] in ("none", "not_stated"):
        return words
    if fact["ci_lb"] is not None and fact["ci_ub"] is not None:
        value = "" if fact["estimate"] is None else f"{number(fact['estimate'])}, "
        return f"{words} ({value}95% CI {number(fact['ci_lb'])} to {number(fact['ci_ub'])})"
    if fact["p"]:
        sign = "" if fact["p"].startswith(("<", ">")) else "= "
        return f"{words} (P {sign}{fact['p']} between the arms)"
    return f"{words} (precision not reported)"


def result_line(study: Mapping[str, Any]) -> str:
    """One result of an entry, whatever its kind."""
    if "row_id" in study:
        return fact_line(study)
    return study_line(study) if "events" in study else difference_line(study)


def pool_line(entry: Entry) -> str:
    """The pooled value of an entry with its interval and that of a similar centre; empty where nothing is pooled."""
    pool = entry.pool
    if not pool:
        return ""
    is_share = entry.family == "rate"
    decimals, sign = (1, "%") if is_share else (2, "")
    unit = "%" if is_share else " percentage points"
    value = f"{number(pool['value'], decimals)}{unit}"
    limits = f"{interval_words(pool, decimals, sign)}{_prediction(pool, decimals, sign)}"
    return f"Pooled, {pool['k']} studies: {value} ({limits})."


def _prediction(pool: Mapping[str, Any], decimals: int, sign: str) -> str:
    if pool["pi_lb"] is None:
        return ""
    limits = f"{number(pool['pi_lb'], decimals)}{sign} to {number(pool['pi_ub'], decimals)}{sign}"
    return f"; 95% prediction interval for a similar centre {limits}"


def nearest_line(near: Mapping[str, Any]) -> str:
    """A nearest result: k, events of n, and the interval; with the direction of the difference."""
    name = f"{capital(near['name'])}, {near['population']}"
    if not near["k"]:
        return f"{name}: no study with at least 5 participants."
    studies = "one study" if near["k"] == 1 else f"{near['k']} studies"
    found = f"{studies}, {near['events']:g} of {near['n']:g} participants"
    if near["value"] is not None:
        found += f", {number(near['value'], 1)}% ({interval_words(near)}{_prediction(near, 1, '%')})"
        found += _secondary_words(near)
    else:
        found += "; " + "; ".join(f"{s['label']} {count_words(s)}, {interval_words(s)}" for s in near["studies"])
    return f"{name}: {found}. {capital(near['difference'])}."


def _secondary_words(near: Mapping[str, Any]) -> str:
    """How much of a result is from tables of reviews, and the result without them."""
    if not near["weight_from_secondary"]:
        return ""
    words = f"; {number(near['weight_from_secondary'], 0)}% of the weight from tables of published reviews"
    own = near["without_secondary"]
    if own is None:
        return words
    value = "not pooled" if own["value"] is None else f"{number(own['value'], 1)}%, {interval_words(own)}"
    studies = "one study" if own["k"] == 1 else f"{own['k']} studies"
    return f"{words}, without them {own['events']:g} of {own['n']:g} in {studies} ({value})"


def probability_words(entry: Entry) -> str:
    """The probabilities that a similar centre reaches the claim, under each prior; empty where there are none."""
    if not entry.probabilities:
        return ""
    each = ", ".join(chance(p) for p in entry.probabilities.values())
    priors = ", ".join(entry.probabilities)
    return f"Probability that a similar centre reaches {figure_words(entry)}: {each} (priors of tau {priors})."


def chance(p: float) -> str:
    """A probability as a percentage with one decimal.

    >>> chance(0.0476), chance(0.0002), chance(0.9999)
    ('4.8%', 'under 0.1%', 'over 99.9%')
    """
    return "under 0.1%" if p < 0.001 else "over 99.9%" if p > 0.999 else f"{number(100 * p, 1)}%"


def finding_words(entry: Entry) -> str:
    """The finding with what belongs to it: the design of a single study, the outcome of a mechanism."""
    words = entry.finding
    if entry.finding in (ONE_FAVOURS, ONE_AGAINST, ONE_INCONCLUSIVE) and entry.rule:
        words += f" ({STUDY_KINDS.get(entry.rule, entry.rule)})"
    if entry.outcome_finding:
        words += f"; for the outcome: {entry.outcome_finding['finding']}"
    return words


# Paragraphs.


def paragraph(entry: Entry) -> Sentence:
    """One entry in sentences: what is said, what was found, what may be said.

    Parameters
    ----------
    entry : Entry
        One entry of the ledger.

    Returns
    -------
    Sentence
    """
    return say(*statement_lines(entry), *found_lines(entry), *finding_lines(entry))


def statement_lines(entry: Entry) -> list[str]:
    """The statements with every qualifier; of a text without a copy that nobody can check its words."""
    lines = []
    for one in entry.statements:
        copied = "" if one["copy"] else " (No copy of that page is kept, so that its words cannot be checked.)"
        qualified = f" (Qualifier: {one['qualifier']}.)" if one["qualifier"] else ""
        wording = one["wording"].rstrip(".").replace(" %", "%")
        lines.append(f"{wording}.{qualified}{copied}")
    if not entry.statements:
        lines.append("This is a question of the review's own; no text gives a value.")
    if entry.unsaid:
        lines.append(f"Not stated: {', '.join(entry.unsaid)}.")
    return lines


def found_lines(entry: Entry) -> list[str]:
    """The results that count, each by itself, then the pool, the nearest results and the largest blinded trial."""
    lines = []
    if entry.studies:
        lead = "Results that count" if entry.finding in CONTROLLED or entry.family == "rate" else "Studies"
        lines.append(f"{lead}: {'; '.join(map(result_line, entry.studies))}.")
    elif entry.family in ("rate", "effect", "mechanism"):
        lines.append(nothing_counts(entry))
    lines += [pool_line(entry), probability_words(entry)]
    if entry.outcome_finding and entry.outcome_finding["studies"]:
        lines.append(f"For the outcome: {'; '.join(map(fact_line, entry.outcome_finding['studies']))}.")
    if entry.nearest:
        lines.append(f"Nearest results, not compared with the claim: {' '.join(map(nearest_line, entry.nearest))}")
    lines += [blinded_line(entry), *own_lines(entry)]
    return [line for line in lines if line]


def nothing_counts(entry: Entry) -> str:
    """Why no result of an entry counts."""
    if entry.finding == OUTCOME_ONLY:
        return "No study tests this mechanism."
    if entry.family == "rate" and entry.rule == "undefined":
        reported = "; ".join(f"{s['label']}, without a definition" for s in entry.others)
        return f"Effective is not defined.{f' A rate is also reported by {reported}.' if reported else ''}"
    return (
        "No study with at least 5 participants reports this outcome."
        if entry.family == "rate"
        else "No study was found."
    )


def blinded_line(entry: Entry) -> str:
    """The largest randomised blinded trial that reports the outcome, by itself."""
    trial = entry.largest_blinded
    return f"Largest randomised blinded trial: {result_line(trial)}." if trial else ""


def own_lines(entry: Entry) -> list[str]:
    """The clinic's own trial, marked as its own and never counted."""
    lines = []
    for own in entry.own_trial:
        each = [": ".join(part for part in (one["label"], one["result"]) if part) for one in own["results"]]
        words = "; ".join(each) or "no result on this is in the texts that could be read"
        lines.append(f"The clinic's own registered trial (not counted), {own['label']}: {words.rstrip('.')}.")
    return lines


def finding_lines(entry: Entry) -> list[str]:
    """The finding with its rule, edges, certainty and stability."""
    if entry.finding == NO_FINDING:
        known = [f"{fact['label']}: {fact['result'].rstrip('.')}" for fact in entry.others]
        return ["No finding: no outcome is claimed.", *([f"What is known: {'; '.join(known)}."] if known else [])]
    lines = [f"Finding: {finding_words(entry)}.", *_because(entry)]
    if entry.edges:
        lines.append(f"This is a close call: {'; '.join(EDGES[edge] for edge in entry.edges)}.")
    if entry.certainty:
        lines.append(f"Certainty of the evidence: {entry.certainty}.")
    if entry.family == "record" and entry.others:
        lines.append(" ".join(f"{capital(f['result'].rstrip('.'))} ({f['label']})." for f in entry.others))
    return [*lines, stability_words(entry)]


def _because(entry: Entry) -> list[str]:
    """The rule, in the protocol's words."""
    lead = "Reason" if entry.family == "record" else "Rule"
    return [f"{lead}: {'; '.join(entry.reasons)}."] if entry.reasons else []


def stability_words(entry: Entry) -> str:
    """In how many of the distinct specifications the finding is the same; empty where none were made."""
    if not entry.specifications:
        return ""
    made = (
        "one distinct specification" if entry.specifications == 1 else f"{entry.specifications} distinct specifications"
    )
    if entry.stability is None:
        return f"{capital(made)}: too few to say how stable the finding is."
    return f"{share_words(100 * entry.stability)} of {made} give the same finding."


# The headline.


def main_entries(entries: Sequence[Entry]) -> list[Entry]:
    """The rates of texts of which a copy exists; all rates where none has one.

    Parameters
    ----------
    entries : sequence of Entry
        The ledger.

    Returns
    -------
    list of Entry
    """
    rates = [entry for entry in entries if entry.family == "rate"]
    copied = [entry for entry in rates if any(one["copy"] for one in entry.statements)]
    return copied or rates


def claims_headline(entries: Sequence[Entry]) -> Sentence:
    """The answer in sentences: what the ledger compares, then each advertised percentage with its finding.

    Parameters
    ----------
    entries : sequence of Entry
        The ledger.

    Returns
    -------
    Sentence
    """
    rates = main_entries(entries)
    if not rates:
        return say(f"{documents_words(entries)} no percentage of patients.", counts_words(entries))
    each = "; ".join(f"{figure_words(e)}, {e.name}: {e.finding}" for e in rates)
    return say(f"{capital(each)}.", counts_words(entries))


def documents_words(entries: Sequence[Entry]) -> str:
    """How many texts make the statements: "Two texts give"."""
    texts = {one["document"] for entry in entries for one in entry.statements if one["copy"]}
    count = len(texts) or len({one["document"] for entry in entries for one in entry.statements})
    words = {0: "No text gives", 1: "One text gives", 2: "Two texts give", 3: "Three texts give"}
    return words.get(count, f"{count} texts give")


def counts_words(entries: Sequence[Entry]) -> str:
    """How many statements of how many documents make how many entries.

    >>> counts_words([])
    '0 statements of 0 documents make 0 entries.'
    """
    statements = sum(len(entry.statements) for entry in entries)
    covered = sum(bool(entry.statements) for entry in entries)
    documents = len({one["document"] for entry in entries for one in entry.statements})
    make = "makes" if statements == 1 else "make"
    told = f"{_so_many(statements, 'statement')} of {_so_many(documents, 'document')} {make}"
    return f"{capital(told)} {_so_many(covered, 'entry', 'entries')}."


def _so_many(count: int, one: str, many: str = "") -> str:
    """A number with its noun: "one entry", "4 entries"."""
    return f"one {one}" if count == 1 else f"{count} {many or one + 's'}"


# Tables. Columns of ids keep their names, as in the tables of ``data/``.


def _table(lines: Sequence[Mapping[str, Any]], caption: str) -> Table:
    frame = pd.DataFrame(lines)
    return table(frame, caption, {name: name for name in frame.columns})


def ledger_table(entries: Sequence[Entry]) -> Table:
    """One line per entry: what is claimed, the results that count, the finding, certainty and stability.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    Table
        Its first columns are the entry's id and the claim_ids of its statements.
    """
    lines = [
        {
            "entry_id": e.entry_id,
            "claim_id": "; ".join(e.claim_ids) or "–",
            "claim": claim_words(e),
            "advertised": figure_words(e) if e.family == "rate" else "–",
            "results that count": "; ".join(map(result_line, e.studies)) or "–",
            "finding": finding_words(e),
            "certainty": e.certainty or "–",
            "stability": _stability(e),
        }
        for e in entries
    ]
    statements = sum(len(e.statements) for e in entries)
    return _table(lines, f"The ledger: {len(entries)} entries, {statements} advertised statements")


def claim_words(entry: Entry) -> str:
    """The entry in few words; a mechanism and context say what they are."""
    extra = {"mechanism": " (how it works)", "context": " (no outcome claimed)"}.get(entry.family, "")
    if entry.family == "record":
        return capital(entry.statements[0]["what"])
    return capital(entry.name) + extra


def _stability(entry: Entry) -> str:
    if entry.stability is None:
        return f"too few to say ({entry.specifications})" if entry.specifications else "–"
    return f"{share_words(100 * entry.stability)} of {entry.specifications}"


def studies_table(entries: Sequence[Entry]) -> Table:
    """Every advertised percentage with each study's own result, none of them pooled.

    Parameters
    ----------
    entries : sequence of Entry
        Rates.

    Returns
    -------
    Table
    """
    lines = [
        {
            "claim_id": "; ".join(e.claim_ids),
            "claim": f"{figure_words(e)}, {e.name}",
            "study": Link(one["label"], one["link"]),
            "design": design_words(one),
            "when": time_words(one),
            "cells": count_words(one),
            "95% CI": f"{number(one['ci_lb'], 1)}% to {number(one['ci_ub'], 1)}%",
            "without cells": count_words(one["control"]) if one["control"] else "not reported",
            "HbA1c at entry": "–" if one["hba1c_at_entry"] is None else f"{number(one['hba1c_at_entry'], 1)}%",
        }
        for e in entries
        for one in e.studies
    ]
    return _table(lines, "Each study's own result")


def nearest_table(entries: Sequence[Entry]) -> Table:
    """The nearest results of the entries: listed, never compared with the advertised value."""
    lines = [
        {
            "claim_id": "; ".join(e.claim_ids),
            "nearest result": f"{capital(near['name'])}, {near['population']}",
            "studies": float(near["k"]),
            "participants": f"{near['events']:g} of {near['n']:g}",
            "percentage (95% CI)": _nearest_value(near),
            "95% prediction interval": _nearest_prediction(near),
            "weight from tables of reviews": _nearest_secondary(near),
            "without them": _nearest_value(near["without_secondary"]) if near["without_secondary"] else "–",
            "difference": near["difference"],
        }
        for e in entries
        for near in e.nearest
    ]
    return _table(lines, "Nearest results: published outcomes that lack a component of the claim")


def _nearest_value(near: Mapping[str, Any]) -> str:
    one = near if near["value"] is not None else near["studies"][0] if near.get("studies") and near["k"] == 1 else None
    if one is None:
        return "not pooled" if near["k"] else "–"
    return f"{number(one['value'], 1)}% ({number(one['ci_lb'], 1)}% to {number(one['ci_ub'], 1)}%)"


def _nearest_prediction(near: Mapping[str, Any]) -> str:
    return "–" if near["pi_lb"] is None else f"{number(near['pi_lb'], 1)}% to {number(near['pi_ub'], 1)}%"


def _nearest_secondary(near: Mapping[str, Any]) -> str:
    share = near["weight_from_secondary"]
    return "–" if share is None else f"{number(share, 0)}%"


def unsaid_table(entries: Sequence[Entry]) -> Table:
    """What each advertised percentage leaves out.

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
            "claim_id": "; ".join(e.claim_ids),
            "claim": f"{figure_words(e)}, {e.name}",
            "not stated": "; ".join(e.unsaid) or "nothing",
        }
        for e in entries
    ]
    return _table(lines, "What the advertisement does not report")


def close_table(entries: Sequence[Entry]) -> Table:
    """How close the evidence is to each claim, in outcome, population, product and time, with the reason.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    Table
    """
    lines = [
        {"entry_id": e.entry_id, "claim": claim_words(e), "in": what, "close": one["grade"], "reason": one["reason"]}
        for e in entries
        for what, one in e.close.items()
    ]
    return _table(lines, "How close the evidence is to the claim")


def cards(entries: Sequence[Entry]) -> Table:
    """Every entry with its statements, its finding in words, and the rows that it rests on, each with a link.

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
            "claim": claim_words(e),
            "statements": "; ".join(e.claim_ids) or "the review's own question",
            "finding": finding_words(e),
            "in words": str(paragraph(e)),
            "rows and sources": rows_behind(e),
        }
        for e in entries
    ]
    return _table(lines, "Entry by entry")


def rows_behind(entry: Entry) -> Links:
    """The rows of ``data/`` that the results of an entry come from, each leading to its source."""
    return Links(tuple(Link(_row_words(study), study["link"]) for study in entry.studies))


def _row_words(study: Mapping[str, Any]) -> str:
    """Which row: by its id where the table has ids, else by study, arm and line of the table."""
    if "row_id" in study:
        return f"{study['row_id']} {study['label']}"
    which = f"{'rows' if ';' in study['line'] else 'row'} {study['line'].replace(';', ' and ')}"
    return f"{study['label']}, {study['arm_id']} ({study['table']}.csv, {which})"


def facts_table(entry: Entry) -> Table:
    """Every source of an entry that a topic answers, counted or not, with a link to each.

    Parameters
    ----------
    entry : Entry
        One entry of the ledger.

    Returns
    -------
    Table
    """
    facts = [fact for fact in [*entry.studies, *entry.others] if "row_id" in fact]
    lines = [
        {
            "row_id": f["row_id"],
            "source": Link(f["label"], f["link"]) if f["link"] else f["label"],
            "kind": (META_KINDS if f["is_pooled"] else STUDY_KINDS)[f["kind"]],
            "n": math.nan if f["n"] is None else f["n"],
            "result": f["result"],
            "direction": _direction(f),
            "counted": "yes" if f["counted"] else "listed under a meta-analysis" if f["under"] else "no",
        }
        for f in facts
    ]
    return _table(lines, f"{claim_words(entry)}: {finding_words(entry)}")


def other_pages(evidence: Evidence) -> Sentence | None:
    """One note on the statements of pages of which no copy exists; None if there are none.

    Parameters
    ----------
    evidence : Evidence
        The tables of the data folder.

    Returns
    -------
    Sentence | None
    """
    documents = evidence.documents
    rows = evidence.claims[evidence.claims.document_id.isin(documents.document_id[documents.copy_exists == "no"])]
    if rows.empty:
        return None
    count = "One statement is" if len(rows) == 1 else f"{len(rows)} statements are"
    return say(f"{count} of pages of which no copy is kept, so that nobody can check their words.", *rows.wording)


# Files.


def ledger_json(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The entries as JSON values at full precision, each with its paragraph."""
    return [e.as_json() | {"text": str(paragraph(e))} for e in entries]


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
    return f"{len(entries)} {'entry is' if len(entries) == 1 else 'entries are'} in claims.json."
