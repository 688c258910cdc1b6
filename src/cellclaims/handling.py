"""What is done about a figure that is doubted: ``handling.csv`` applied to a copy of a table.

An *anomaly* (``anomalies.csv``) is a fault of a printed figure or label. Its *primary* handling is used by default, an
*alternative* one in a sensitivity analysis: the row leaves, a figure is set, or the row is flagged and used as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
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
    flag, leave = (np.full(len(rows), "", dtype=object) for _ in range(2))
    steps = _active(evidence.handling, set(alternative))
    for step in steps[steps.table == table].to_dict("records"):
        hit = rows_meant(table, rows, step).to_numpy()
        words = f"{step['anomaly_id']}: {step['reason']}"
        if step["action"] == "leave_out":
            leave[hit] = words
        elif step["action"] == "set":
            printed = _set(rows, hit, step)
            flag[hit] = [joined(f, f"{words} (printed: {p})") for f, p in zip(flag[hit], printed, strict=True)]
        else:
            flag[hit] = [joined(f, words) for f in flag[hit]]
    return rows.assign(flag=flag, leave=leave)


def _active(handling: pd.DataFrame, alternative: set[str]) -> pd.DataFrame:
    known = set(handling.loc[handling.variant != "primary", "anomaly_id"])
    if unknown := sorted(alternative - known):
        raise ProtocolError(f"expected alternatives among {', '.join(sorted(known))}; found {', '.join(unknown)}")
    switched = handling.anomaly_id.isin(alternative)
    return handling[(handling.variant == "primary") ^ switched]


def _set(rows: pd.DataFrame, hit: np.ndarray, step: Mapping[str, Any]) -> list[str]:
    """Put the recorded value into the rows that are meant; gives what was printed there."""
    column = step["column"]
    numeric = pd.api.types.is_numeric_dtype(rows[column])
    printed = [f"{x:g}" if numeric else str(x) for x in rows.loc[hit, column]]
    rows.loc[hit, column] = float(step["value"]) if numeric else step["value"]
    return printed


def joined(*words: str) -> str:
    """Flags as one text; empty ones drop out, repeated ones stand once."""
    return "; ".join(dict.fromkeys(w for w in words if w))
