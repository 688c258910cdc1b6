"""What is done about a figure that is doubted: ``handling.csv`` applied to a copy of a table.

An *anomaly* (``anomalies.csv``) is a fault of a printed figure or label. Its *primary* handling is used by default, an
*alternative* one in a sensitivity analysis: the row leaves, a figure is set, or the row is flagged and used as it is.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from cellclaims.errors import ProtocolError
from cellclaims.tables import Evidence
from cellclaims.tables.rules_handling import rows_meant


def handled(evidence: Evidence, table: str, alternative: Iterable[str] = ()) -> pd.DataFrame:
    """A table with the recorded handling of its anomalies applied: figures set, rows flagged or marked to leave.

    Adds ``flag`` (words) and ``leave`` (the reason, empty when the row stays). The file is not touched, and the
    printed figure is named in the flag. Raises ProtocolError for an alternative that no anomaly has.
    """
    rows = getattr(evidence, table).copy()
    rows["flag"], rows["leave"] = "", ""
    steps = _active(evidence.handling, set(alternative))
    for _, step in steps[steps.table == table].iterrows():
        hit = rows_meant(table, rows, step)
        words = f"{step.anomaly_id}: {step.reason}"
        if step.action == "leave_out":
            rows.loc[hit, "leave"] = words
        elif step.action == "set":
            rows = _set(rows, hit, step, words)
        else:
            rows.loc[hit, "flag"] = rows.loc[hit, "flag"].map(lambda old, new=words: joined(old, new))
    return rows


def _active(handling: pd.DataFrame, alternative: set[str]) -> pd.DataFrame:
    known = set(handling.loc[handling.variant != "primary", "anomaly_id"])
    if unknown := sorted(alternative - known):
        raise ProtocolError(f"expected alternatives among {', '.join(sorted(known))}; found {', '.join(unknown)}")
    switched = handling.anomaly_id.isin(alternative)
    return handling[(handling.variant == "primary") ^ switched]


def _set(rows: pd.DataFrame, hit: pd.Series, step: pd.Series, words: str) -> pd.DataFrame:
    numeric = pd.api.types.is_numeric_dtype(rows[step.column])
    printed = rows.loc[hit, step.column].map(lambda x: f"{x:g}" if numeric else str(x))
    rows.loc[hit, step.column] = float(step.value) if numeric else step.value
    rows.loc[hit, "flag"] = [
        joined(old, f"{words} (printed: {p})") for old, p in zip(rows.loc[hit, "flag"], printed, strict=True)
    ]
    return rows


def joined(*words: str) -> str:
    """Flags as one text; empty ones drop out, repeated ones stand once."""
    return "; ".join(dict.fromkeys(w for w in words if w))
