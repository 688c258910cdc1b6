"""Rows of ``topics/evidence.csv`` as results: what kind of evidence they are, which way they point, how close they are.

Directions are those of point estimates. A result that is not significant is not a result against.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from cellclaims.claims.counterparts import BLINDED
from cellclaims.claims.findings import NEITHER, UNREAD, EffectFinding, StudyResult
from cellclaims.evidence import Evidence
from cellclaims.pool import label
from cellclaims.selection import EvidenceBase

#: A P value of a comparison between arms below this excludes no effect; within a tenth of it is a close call.
P_LIMIT, P_NEAR = 0.05, 0.1
#: What the columns close_population, close_product and close_outcome can take a result out of.
ELSEWHERE = ("close_population", "close_product")
#: Kind of evidence by ``controlled``, for people.
KIND_OF = {"randomised": "randomised", "controlled_not_randomised": "controlled"}
#: Rows that are the same trial: their ids stand before these words in ``overlaps_with``.
SAME_TRIAL = re.compile(r"((?:b\d{3}(?:, | to )?)+) ?\((?:same trial|same patients|the same result)")


def rows_of(evidence: Evidence, topic: str) -> pd.DataFrame:
    """The rows of a topic in the order of the table, whatever their role.

    Parameters
    ----------
    evidence : Evidence
    topic : str

    Returns
    -------
    pandas.DataFrame
        With the line of each row as index.
    """
    return evidence.topic_evidence[evidence.topic_evidence.topic == topic]


def counting(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that may answer: evidence, independent of the clinic, and not coded *no* on the outcome."""
    keep = (rows.role == "evidence") & (rows.independent_of_clinic == "yes") & (rows.close_outcome != "no")
    return rows[keep]


def kind_of(row: Any) -> str:
    """Kind of evidence: randomised, controlled, uncontrolled, or laboratory (animals, cells, autopsies)."""
    if row.species != "human" or row.design == "lab":
        return "laboratory"
    return KIND_OF.get(row.controlled, "uncontrolled")


def excludes_no_effect(row: Any) -> tuple[bool | None, bool]:
    """Whether a row's interval, or else its P value, excludes no effect, and whether that P value is a close call.

    Parameters
    ----------
    row : Any
        A row of topics/evidence.csv.

    Returns
    -------
    tuple of (bool or None, bool)
        None where neither an interval nor the P value of a comparison between arms is known.
    """
    if row.precision != "not stated":
        return row.precision == "interval excludes no effect", False
    if row.p_compares != "arms":
        return None, False
    printed = re.fullmatch(r"\s*<\s*(0?\.\d+)", str(row.p_value_printed))
    if printed:
        return (True, False) if float(printed[1]) <= P_LIMIT else (None, False)
    if not math.isfinite(row.p_value):
        return None, False
    return bool(row.p_value < P_LIMIT), abs(row.p_value - P_LIMIT) <= P_NEAR * P_LIMIT


def results_of(rows: pd.DataFrame) -> list[StudyResult]:
    """One result per study of some rows of a topic: the first row of each, as far as its rows agree.

    Parameters
    ----------
    rows : pandas.DataFrame
        Of topics/evidence.csv.

    Returns
    -------
    list of StudyResult
        In the order of the table. A study whose rows differ in direction shows none.
    """
    found = []
    for group in trials_of(rows):
        first = group[0]
        excludes, is_near = excludes_no_effect(first)
        directions = {row.favours for row in group if row.favours != UNREAD}
        direction = first.favours if len(directions) < 2 else NEITHER
        if direction == UNREAD and directions:
            direction = next(iter(directions))
        found.append(
            StudyResult(
                reference=first.reference,
                kind=kind_of(first),
                direction=direction,
                excludes=excludes,
                n=float(first.n),
                year=float(first.year),
                is_pooled=first.design == "meta_analysis",
                is_elsewhere=any(getattr(first, column) == "no" for column in ELSEWHERE),
                is_outside=str(first.overlaps_with).startswith("none"),
                is_near=is_near,
            )
        )
    newest = max((r.year for r in found if r.is_pooled and math.isfinite(r.year)), default=math.inf)
    return [_newer(r, newest) for r in found]


def _newer(result: StudyResult, newest: float) -> StudyResult:
    """A trial that appeared after every meta-analysis of the topic is known to be in none."""
    is_newer = not result.is_pooled and result.year > newest
    return replace(result, is_outside=True) if is_newer else result


def trials_of(rows: pd.DataFrame) -> list[list[Any]]:
    """Rows of one study together, in the order of the table: by reference, or named as the same trial.

    Parameters
    ----------
    rows : pandas.DataFrame

    Returns
    -------
    list of list
        Rows as named tuples; ``Index`` is the line in the file.
    """
    groups: list[list[Any]] = []
    for row in rows.itertuples():
        same = {name for ids in SAME_TRIAL.findall(str(row.overlaps_with)) for name in re.findall(r"b\d{3}", ids)}
        for group in groups:
            if any(row.reference == other.reference or other.row_id in same for other in group):
                group.append(row)
                break
        else:
            groups.append([row])
    return groups


def facts_of(base: EvidenceBase, rows: pd.DataFrame, decided: EffectFinding | None = None) -> list[dict[str, Any]]:
    """Rows of a topic as JSON values: each with its line, kind, direction, interval and link, counted or not.

    Parameters
    ----------
    base : EvidenceBase
    rows : pandas.DataFrame
        Of topics/evidence.csv.
    decided : EffectFinding, optional
        Which of them count, count together, or are listed under a meta-analysis; none without it.

    Returns
    -------
    list of dict
        The best kind first, else in the order of the table.
    """
    decided = decided or EffectFinding("")
    found = [_fact(base, row, decided) for row in rows.itertuples()]
    order = ("randomised", "controlled", "uncontrolled", "laboratory")
    return sorted(found, key=lambda fact: (not fact["counted"], order.index(fact["kind"])))


def _fact(base: EvidenceBase, row: Any, decided: EffectFinding) -> dict[str, Any]:
    study = base.studies.get(row.reference)
    excludes, _ = excludes_no_effect(row)
    return {
        "row_id": row.row_id,
        "line": row.Index,
        "study_id": row.reference,
        "label": name_of(row) if study is None else label(base.evidence, row.reference),
        "title": row.title,
        "link": row.url,
        "kind": kind_of(row),
        "is_pooled": row.design == "meta_analysis",
        "design": row.design,
        "blinding": "" if study is None else study.blinding,
        "n": _known(row.n),
        "outcome": row.outcome,
        "result": row.result,
        "role": row.role,
        "direction": row.favours,
        "excludes": excludes,
        "estimate": _known(row.estimate),
        "ci_lb": _known(row.ci_low),
        "ci_ub": _known(row.ci_high),
        "p": row.p_value_printed if row.p_compares == "arms" else "",
        "measure": row.measure,
        "unit": row.unit,
        "close": {name: getattr(row, f"close_{name}") for name in ("population", "product", "outcome")},
        "tests_mechanism": row.tests_mechanism,
        "counted": row.reference in (*decided.counted, *decided.together) and row.role == "evidence",
        "together": row.reference in decided.together,
        "under": row.reference in decided.under,
        "own": row.independent_of_clinic == "no",
        "doubts": _doubts(base.evidence, row.reference),
        "why": row.why,
        "note": row.note,
    }


def _doubts(evidence: Evidence, study_id: str) -> list[str]:
    """What is questioned about a study as a whole (``anomalies.csv``), in the words of the table."""
    rows = evidence.anomalies
    return list(rows.printed[(rows.record_id == study_id) & (rows.table == "studies")])


def name_of(row: Any) -> str:
    """A study of a topic as readers know it: its reference in words, with the year.

    >>> from types import SimpleNamespace
    >>> name_of(SimpleNamespace(reference="kashbour2025", year=2025.0))
    'Kashbour 2025'
    """
    words = re.sub(r"(?<=[a-z])(19|20)\d{2}[a-z]*(?=$|_)", "", row.reference).replace("_", " ").strip()
    words = words[:1].upper() + words[1:]
    if re.match(r"(?i)nct\d|pmid|pmc\d", words):
        words = words.upper()
    return f"{words} {row.year:.0f}" if math.isfinite(row.year) else words


def _known(value: Any) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def largest_blinded_of(facts: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """Of facts in people with the outcome of the claim, the randomised blinded trial with most participants."""
    close = [
        fact
        for fact in facts
        if fact["role"] == "evidence" and not fact["own"] and "no" not in fact["close"].values()
        and fact["kind"] == "randomised" and not fact["is_pooled"] and fact["blinding"] in BLINDED
        and fact["n"]
    ]  # fmt: skip
    return max(close, key=lambda fact: fact["n"]) if close else None
