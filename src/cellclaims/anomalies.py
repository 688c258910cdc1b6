"""Handling of questionable values: ``handling.csv`` applied to a copy of a table.

An *anomaly* (``anomalies.csv``) is an error in a reported value or label. Its *primary* handling is used by default, an
*alternative* one in a sensitivity analysis: the row is excluded, a value is set, or the row is flagged and used
unchanged. Doubts about a whole report or arm (a step on ``studies`` or ``arms``) apply to each of its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd

from cellclaims.errors import ProtocolError
from cellclaims.evidence import Evidence
from cellclaims.evidence.rules_reports import NOT_SCIENTIFIC, WHOLES, rows_meant

#: Reason for excluding a value from a clinic page, a press release, news or a forum.
NO_SCIENCE = "source is not scientific"


def handled(evidence: Evidence, table: str, alternative: Iterable[str] = ()) -> pd.DataFrame:
    """Return a table with the recorded handling applied: values set, rows flagged or marked as excluded.

    Adds ``flag`` (words) and ``leave`` (the reason for exclusion, empty if the row is kept), first its own, then
    those of its arm and report. Values from non-scientific sources are excluded; with ``not_scientific`` among the
    alternatives they are kept and flagged. The file is not changed, and the flag names the reported value. Raises
    ProtocolError for an alternative that does not exist.
    """
    steps = _active(evidence.handling, set(alternative) - {NOT_SCIENTIFIC})
    rows = _stepped(evidence, table, steps)
    if "source_id" in rows:
        rows = _of_science(rows, evidence.sources, "flag" if NOT_SCIENTIFIC in alternative else "leave")
    for whole, key in WHOLES:
        if whole != table and {*key} <= {*rows.columns} and (steps.table == whole).any():
            rows = _with_whole(rows, _stepped(evidence, whole, steps), key)
    return rows


def _stepped(evidence: Evidence, table: str, steps: pd.DataFrame) -> pd.DataFrame:
    """Apply the steps that concern the table itself."""
    rows = getattr(evidence, table).copy()
    flag, leave = (np.full(len(rows), "", dtype=object) for _ in range(2))
    for step in steps[steps.table == table].to_dict("records"):
        hit = rows_meant(table, rows, step).to_numpy()
        words = f"{step['anomaly_id']}: {step['reason']}"
        if step["action"] == "leave_out":
            leave[hit] = words
        elif step["action"] == "set":
            printed = _set(rows, hit, step)
            flag[hit] = [joined(f, f"{words} (reported: {p})") for f, p in zip(flag[hit], printed, strict=True)]
        else:
            flag[hit] = [joined(f, words) for f in flag[hit]]
    return rows.assign(flag=flag, leave=leave)


def _of_science(rows: pd.DataFrame, sources: pd.DataFrame, column: str) -> pd.DataFrame:
    """Write the words into ``column`` of rows whose source is not scientific."""
    other = set(sources.source_id[sources.kind == NOT_SCIENTIFIC])
    hit = rows.source_id.isin(other)
    if column == "leave":  # one reason is sufficient
        hit &= rows.leave == ""
    words = [joined(said, NO_SCIENCE) if h else said for said, h in zip(rows[column], hit, strict=True)]
    return rows.assign(**{column: np.array(words, dtype=object)})


def _with_whole(rows: pd.DataFrame, whole: pd.DataFrame, key: tuple[str, ...]) -> pd.DataFrame:
    """Add doubts about the report or arm to its rows."""
    names = ("study_id", "arm_id")[: len(key)]
    doubted = {who: said for who, *said in zip(_keys(whole, names), whole.flag, whole.leave, strict=True)}
    found = [doubted.get(who, ("", "")) for who in _keys(rows, key)]
    flag = [joined(own, flag) for own, (flag, _) in zip(rows.flag, found, strict=True)]
    leave = [own or leave for own, (_, leave) in zip(rows.leave, found, strict=True)]
    return rows.assign(flag=np.array(flag, dtype=object), leave=np.array(leave, dtype=object))


def _keys(rows: pd.DataFrame, columns: Iterable[str]) -> Iterator[tuple[str, ...]]:
    return zip(*(rows[column] for column in columns), strict=True)


def _active(handling: pd.DataFrame, alternative: set[str]) -> pd.DataFrame:
    known = set(handling.loc[handling.variant != "primary", "anomaly_id"])
    if unknown := sorted(alternative - known):
        raise ProtocolError(f"expected alternatives among {', '.join(sorted(known))}; found {', '.join(unknown)}")
    switched = handling.anomaly_id.isin(alternative)
    return handling[(handling.variant == "primary") ^ switched]


def _set(rows: pd.DataFrame, hit: np.ndarray, step: Mapping[str, Any]) -> list[str]:
    """Set the recorded value in the selected rows; return the reported values."""
    column = step["column"]
    numeric = pd.api.types.is_numeric_dtype(rows[column])
    printed = [f"{x:g}" if numeric else str(x) for x in rows.loc[hit, column]]
    rows.loc[hit, column] = float(step["value"]) if numeric else step["value"]
    return printed


def joined(*words: str) -> str:
    """Join flags to one text, without empty or repeated ones."""
    return "; ".join(dict.fromkeys(part for text in words if text for part in text.split("; ")))
