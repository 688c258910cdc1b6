"""What the figures of the ledger draw: rows of the main figure, and controlled results by direction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cellclaims.claims import Entry
from cellclaims.claims.findings import CANNOT_BE_ASSESSED
from cellclaims.errors import DataError
from cellclaims.reporting.claims import (
    capital,
    claim_words,
    count_words,
    design_words,
    figure_words,
    finding_words,
    nothing_counts,
)
from cellclaims.reporting.tables import number

# Controlled studies by direction, for the figure of all entries.


def direction_counts(entries: Sequence[Entry]) -> pd.DataFrame:
    """The controlled results that count for each effect, by direction: no vote is drawn from them.

    Parameters
    ----------
    entries : sequence of Entry
        Entries of the ledger.

    Returns
    -------
    DataFrame
        One row per effect or mechanism: ``entry_id``, ``claim``, ``favours`` and ``against`` (results that exclude no
        effect), ``inconclusive``, ``finding``.
    """
    lines = []
    for entry in entries:
        if entry.family not in ("effect", "mechanism"):
            continue
        signs = _signs(entry.studies)
        counted = {name: signs.count(name) for name in ("favours", "inconclusive", "against")}
        lines.append(
            {"entry_id": entry.entry_id, "claim": claim_words(entry), **counted, "finding": finding_words(entry)}
        )
    return pd.DataFrame(lines, columns=["entry_id", "claim", "favours", "inconclusive", "against", "finding"])


def _signs(studies: Sequence[Mapping[str, Any]]) -> list[str]:
    """Which way each controlled result points: a trial once, meta-analyses that may hold the same trials once."""
    found: dict[str, list[str]] = {}
    for study in filter(_is_controlled, studies):
        found.setdefault("together" if study.get("together") else study["study_id"], []).append(_sign_of(study))
    return [signs[0] if len(set(signs)) == 1 else "inconclusive" for signs in found.values()]


def _is_controlled(study: Mapping[str, Any]) -> bool:
    if "row_id" in study:
        close = study["close"].values()
        return (
            study["kind"] in ("randomised", "controlled") and study["direction"] != "not_stated" and "no" not in close
        )
    return "ci_lb" in study and ("events" not in study or study["control"] is not None)


def _sign_of(study: Mapping[str, Any]) -> str:
    """Which way a controlled result points, if its precision excludes no effect."""
    if "row_id" in study:
        return (
            {"cells": "favours", "control": "against"}.get(study["direction"], "inconclusive")
            if study["excludes"]
            else "inconclusive"
        )
    if "events" in study:
        low, high = (study["control"]["difference"][name] for name in ("ci_lb", "ci_ub"))
        return "favours" if low > 0 else "against" if high < 0 else "inconclusive"
    return "favours" if study["ci_ub"] < 0 else "against" if study["ci_lb"] > 0 else "inconclusive"


def directions_alt(counts: pd.DataFrame) -> str:
    """The figure of all entries in words."""
    lines = [
        f"{row.claim}: {row.favours} favour cells, {row.inconclusive} inconclusive, {row.against} favour the control; "
        f"{row.finding}"
        for row in counts.itertuples()
    ]
    return f"Controlled results that count, by entry. {'. '.join(lines)}."


# Rows of the headline figure.


@dataclass(frozen=True)
class StudyMark:
    """One result in the headline figure, in percent: a study, or a pool (``is_pool``)."""

    label: str
    detail: str
    value: float
    ci_lb: float
    ci_ub: float
    is_pool: bool = False
    pi_lb: float = math.nan
    pi_ub: float = math.nan
    control: float = math.nan
    control_words: str = ""

    def __post_init__(self) -> None:
        named = {name: getattr(self, name) for name in ("value", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "control")}
        for name, value in named.items():
            if not (math.isnan(value) or 0 <= value <= 100):
                raise DataError(f"study {self.label!r}: {name} expected 0 to 100, found {value!r}")


@dataclass(frozen=True)
class ClaimRow:
    """One advertised percentage in the headline figure.

    ``advertised`` in percent, with ``printed`` as it is written; NaN in ``compared`` where nothing is compared with it;
    ``finding`` and ``note`` in words; ``marks``, the results that are drawn under it.
    """

    label: str
    advertised: float
    printed: str
    finding: str
    note: str = ""
    is_compared: bool = True
    marks: tuple[StudyMark, ...] = ()


def claim_rows(entries: Sequence[Entry]) -> list[ClaimRow]:
    """Rows of the headline figure: each advertised percentage with each study's own result, or its nearest results.

    Parameters
    ----------
    entries : sequence of Entry
        Rates.

    Returns
    -------
    list of ClaimRow
        A claim that cannot be assessed is compared with nothing; its nearest results are drawn without its value.
    """
    return [_claim_row(entry) for entry in entries if entry.family == "rate"]


def _claim_row(entry: Entry) -> ClaimRow:
    said = {
        "label": capital(entry.name),
        "advertised": float(entry.advertised["value"]),
        "printed": figure_words(entry),
    }
    if entry.finding == CANNOT_BE_ASSESSED:
        marks = tuple(mark for near in entry.nearest if (mark := _near_mark(near)))
        note = nothing_counts(entry) if entry.rule != "undefined" else "The outcome is not defined."
        return ClaimRow(**said, finding=entry.finding, note=note, is_compared=False, marks=marks)
    marks = tuple(_study_mark(study) for study in entry.studies)
    if entry.pool:
        marks = (*marks, _pool_mark(entry.pool, f"{entry.pool['k']} studies pooled"))
    return ClaimRow(**said, finding=entry.finding, marks=marks)


def _study_mark(study: Mapping[str, Any]) -> StudyMark:
    control = study["control"]
    words = "" if control is None else f"without cells {count_words(control)}"
    detail = f"{design_words(study)}; {count_words(study)}"
    if study["hba1c_at_entry"] is not None:
        detail += f"; HbA1c at entry {number(study['hba1c_at_entry'], 1)}%"
    value = math.nan if control is None else control["value"]
    return StudyMark(
        study["label"], detail, study["value"], study["ci_lb"], study["ci_ub"], control=value, control_words=words
    )


def _pool_mark(pool: Mapping[str, Any], label: str, detail: str = "") -> StudyMark:
    limits = {name: math.nan if pool[name] is None else pool[name] for name in ("pi_lb", "pi_ub")}
    return StudyMark(label, detail, pool["value"], pool["ci_lb"], pool["ci_ub"], is_pool=True, **limits)


def _near_mark(near: Mapping[str, Any]) -> StudyMark | None:
    if not near["k"]:
        return None
    counts = f"{near['events']:g} of {near['n']:g} participants"
    if near["value"] is not None:
        return _pool_mark(near, capital(near["name"]), f"{near['k']} studies, {counts}")
    if near["k"] == 1:
        study = near["studies"][0]
        return StudyMark(
            capital(near["name"]), f"{study['label']}, {counts}", study["value"], study["ci_lb"], study["ci_ub"]
        )
    return None


def claim_rows_alt(rows: Sequence[ClaimRow]) -> str:
    """The headline figure in words: every row with what is advertised and each result."""
    lines = []
    for row in rows:
        each = [
            f"{mark.label} {number(mark.value, 0)}% (95% CI {number(mark.ci_lb, 0)}% to {number(mark.ci_ub, 0)}%)"
            for mark in row.marks
        ]
        kind = "results" if row.is_compared else "nearest results, not compared"
        found = f"; {kind}: {', '.join(each)}" if each else ""
        lines.append(f"{row.label}: advertised {row.printed}; {row.finding}{found}")
    return f"Advertised percentages and published results. {'. '.join(lines)}."
