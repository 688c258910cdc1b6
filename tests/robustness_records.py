"""Records of the reference values, and a ledger of what was compared with them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

#: Closed forms: relative, and in units of the root of the mean variance for numbers that are zero or almost.
RELATIVE, FLOOR = 1e-8, 1e-11
#: tau2: relative to itself or to a hundredth of the mean variance (README of the reference values).
TAU2, TAU2_FLOOR = 1e-8, 1e-2


def number(value: float | str | None) -> float:
    """A number of a record: missing ones are null, infinite ones are words."""
    return np.nan if value is None else float(value)


def effects(analysis: dict) -> tuple[np.ndarray, np.ndarray]:
    """Effects and variances of the rows that metafor used."""
    keep = np.array(analysis["kept"], bool)
    return tuple(np.array(analysis["escalc"][column], float)[keep] for column in ("yi", "vi"))


def patients(analysis: dict) -> np.ndarray | None:
    """Patients of the rows that metafor used, where they are known."""
    if analysis.get("ni") is None:
        return None
    ni, keep = np.array([number(n) for n in analysis["ni"]]), np.array(analysis["kept"], bool)
    return ni if len(ni) == keep.sum() else ni[keep]


def records(oracle, part: str) -> Iterator[tuple[str, str, dict, dict]]:
    """All records of one kind of diagnostics, as (name of the analysis, name of the record, analysis, record)."""
    for name, analysis in oracle.analyses():
        found = analysis["diagnostics"].get(part) or {}
        single = {"": found} if found and not all(isinstance(record, dict) for record in found.values()) else found
        for key, record in single.items():
            yield name, key, analysis, record


class Ledger:
    """Counts what was compared and keeps every disagreement, so that one run shows them all."""

    def __init__(self) -> None:
        self.records, self.quantities, self.wrong = 0, 0, []

    def __call__(self, what: str, found: float, expected: object, rtol: float = RELATIVE, atol: float = 0.0) -> None:
        self.quantities += 1
        expected = number(expected)
        if not np.isclose(found, expected, rtol=rtol, atol=atol, equal_nan=True):
            self.wrong.append(f"{what}: expected {expected!r}, found {float(found)!r}")

    def close(self, title: str, expected_records: int) -> None:
        """All agree, and none of the grid was missing."""
        print(f"{title}: {self.quantities} quantities of {self.records} records compared")
        assert not self.wrong, f"{len(self.wrong)} of {self.quantities}:\n" + "\n".join(self.wrong[:40])
        assert self.records == expected_records
