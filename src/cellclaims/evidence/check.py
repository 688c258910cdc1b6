"""``cellclaims check``: all faults of a data folder, found by the frictionless library and by our own rules.

``load`` stops at the first fault and takes a twentieth of a second. This module lists all faults and takes seconds,
because frictionless reads every file again as an independent check of the declared types, constraints and keys.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from cellclaims import protocol
from cellclaims.errors import DataError, Fault, ProtocolError
from cellclaims.evidence import rules
from cellclaims.evidence.read import read_all
from cellclaims.evidence.rules_reports import FIGURES
from cellclaims.evidence.schema import FILE, Evidence, Schema, read_schema
from cellclaims.evidence.screened import conflicts_in_words

WIDTH = 110


def faults(folder: str | Path) -> list[Fault]:
    """Return all faults of the tables, including known errors of the sources (with ``anomaly_id``).

    Raises
    ------
    DataError
        If ``datapackage.json`` itself cannot be used.
    """
    return _check(Path(folder))[1]


def report(folder: str | Path, *, everything: bool = False) -> tuple[str, int]:
    """Check the tables and the protocol of a data folder.

    Parameters
    ----------
    folder : str or Path
        The data folder.
    everything : bool
        List known errors of the sources and sources without a value, too; otherwise only their number is given.

    Returns
    -------
    str
        The output of ``cellclaims check``.
    int
        Its exit status: 0 if there is no fault to correct, else 1.
    """
    folder = Path(folder)
    try:
        of_protocol = protocol.faults(folder)  # first: frictionless would import jsonschema with all optional libraries
        evidence, found, schema = _check(folder)
    except (DataError, ProtocolError) as error:
        return f"{error}\n", 1
    new = [*(fault for fault in found if not fault.anomaly_id), *of_protocol]
    known = [fault for fault in found if fault.anomaly_id]
    parts = [_block(fault) for fault in new]
    parts += [conflicts_in_words(evidence)] if evidence else []
    if evidence and everything:
        parts += [_known(known, evidence), _unused(evidence)]
    elif evidence:
        parts.append(_left_unsaid(len(known), sum(map(len, unused_sources(evidence).values()))))
    parts.append(_counts(evidence, schema, len(new), len(known)))
    return "\n\n".join(part for part in parts if part) + "\n", int(bool(new))


def _left_unsaid(known: int, unused: int) -> str:
    """Return one line on items that need no correction, and how to list them."""
    parts = [f"{known} known {_plural('fault', known)} of the sources"] if known else []
    parts += [f"{unused} {_plural('source', unused)} without a value"] if unused else []
    return f"Not listed: {' and '.join(parts)} (`cellclaims check --all` lists them)." if parts else ""


def _plural(word: str, number: int) -> str:
    return word if number == 1 else f"{word}s"


#: Order in which wanted reports are listed.
PRIORITIES = ("high", "medium", "low")


def wanted(evidence: Evidence) -> pd.DataFrame:
    """Return known reports and registered trials whose results could not be read, by priority.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    DataFrame
        Text only: ``priority``, ``report``, ``year``, ``found by`` (DOI, PubMed number or registration), ``wanted``,
        ``bears on`` and ``tried``; in the order of the table within a priority.
    """
    rows = evidence.wanted
    rows = rows.iloc[rows.priority.map(PRIORITIES.index).argsort(kind="stable")]
    numbers = [
        "; ".join(part for part in (doi, pmid and f"PMID {pmid}", registered) if part)
        for doi, pmid, registered in zip(rows.doi, rows.pmid, rows.registry_id, strict=True)
    ]
    return pd.DataFrame(
        {
            "priority": rows.priority,
            "report": rows.title,
            "year": [f"{year:.0f}" if year == year else "" for year in rows.year],
            "found by": numbers,
            "wanted": rows.wanted,
            "bears on": rows.bears_on,
            "tried": rows.tried,
        }
    )


def unused_sources(evidence: Evidence) -> dict[str, list[str]]:
    """Return sources without a value in the tables, by file; they are kept and are no fault."""
    used = {source for name in FIGURES for source in getattr(evidence, name).source_id}
    pooled = set(evidence.pooled_elsewhere.read_at)
    rows = evidence.sources
    spare = rows[~rows.source_id.isin(used) & ~rows.read_at.isin(pooled)]
    beyond = evidence.topic_sources
    quoted = {*evidence.topic_evidence.read_at, *evidence.thresholds.url}
    return {
        "published/sources.csv": list(spare.source_id),
        "topics/sources.csv": list(beyond.source_id[~beyond.url.isin(quoted)]),
    }


def _check(folder: Path) -> tuple[Evidence | None, list[Fault], Schema]:
    schema = read_schema(folder)
    evidence, found = read_all(folder)
    second = _not_seen(found, _by_frictionless(folder))
    if evidence:
        second += rules.faults(evidence, schema, rules.CHECKED_ONLY)
    return evidence, found + second, schema


def _not_seen(found: list[Fault], second: Iterable[Fault]) -> list[Fault]:
    """Return the faults that frictionless adds; none for a row or unreadable file with a fault already."""
    rows = {(fault.file, fault.row) for fault in found}
    unreadable = {fault.file for fault in found if fault.row in (None, 1) or fault.rule in ("form", "encoding")}
    return [f for f in second if (f.file, f.row) not in rows and f.file not in unreadable
            and not (unreadable and _follows_from_another(f))]  # fmt: skip


def _follows_from_another(fault: Fault) -> bool:
    """Return whether the fault may follow from an unreadable table to which others refer."""
    return fault.row is None or fault.rule == "frictionless foreign-key"


def _by_frictionless(folder: Path) -> Iterable[Fault]:
    """Return the faults that the frictionless library finds with the same ``datapackage.json``."""
    from frictionless import FrictionlessException, Package  # takes 0.5 s, needed only by a check

    try:
        tasks = Package(str(folder / FILE)).validate().tasks
    except FrictionlessException as error:
        raise DataError(f"{FILE}: expected a Data Package, found {error.error.note}") from None
    for task in tasks:
        for error in task.errors:
            row = getattr(error, "row_number", None)
            column = getattr(error, "field_name", "") or ""
            yield Fault(task.place, row, column, f"frictionless {error.type}", f"what {FILE} declares", error.message)


def _block(fault: Fault) -> str:
    lines = [("expected", fault.expected), ("found", fault.found), ("rule", fault.rule)]
    return "\n".join([fault.place, *(f"    {name:<10}{text}" for name, text in lines)])


def _known(known: list[Fault], evidence: Evidence) -> str:
    """Return known errors of the sources, one per line, with their handling."""
    handling = evidence.anomalies.set_index("anomaly_id").handling
    ordered = sorted(known, key=lambda fault: fault.anomaly_id)
    lines = [
        f"  {f.anomaly_id}  {f.place}: expected {f.expected}, found {f.found}; {handling[f.anomaly_id]}"
        for f in ordered
    ]
    return "\n".join(["Known faults of the sources, recorded in published/anomalies.csv:", *lines]) if lines else ""


def _unused(evidence: Evidence) -> str:
    parts = []
    for file, names in unused_sources(evidence).items():
        if names:
            text = f"Sources of {file} that no figure comes from, {len(names)} (no fault): {', '.join(names)}"
            parts.append(textwrap.fill(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False))
    return "\n".join(parts)


def _counts(evidence: Evidence | None, schema: Schema, new: int, known: int) -> str:
    tables = f"{len(schema.tables)} tables"
    if evidence:
        tables += f", {sum(len(getattr(evidence, name)) for name in schema.tables)} rows"
    count = len(rules.RULES) + len(rules.CHECKED_ONLY)
    by = f"by the schema, frictionless and {count} rules" if evidence else "by the schema; rules were not applied"
    return f"{tables} and the protocol, checked {by}: {new} {_plural('fault', new)}, {known} known of the sources."
