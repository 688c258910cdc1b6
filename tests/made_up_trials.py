"""Made-up evidence for the tests: a few invented trials in memory. Nothing that stands here is a real trial.

A test says only what it is about; every other cell is empty, as it is in the tables where a source says nothing.
"""

from __future__ import annotations

import functools
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from cellclaims import protocol
from cellclaims.claims import Entry, ledger
from cellclaims.evidence import Evidence, read
from cellclaims.evidence import load as load_evidence
from cellclaims.pool import Pool
from cellclaims.question import MEASURES, Analysis, Question
from cellclaims.selection import EvidenceBase

DATA = Path(__file__).resolve().parent.parent / "data"


@functools.cache
def real() -> Evidence:
    """The evidence of the repository, read once."""
    return load_evidence(DATA)


@functools.cache
def rules() -> protocol.Protocol:
    """The protocol of the repository, read once."""
    return protocol.load(DATA)


@functools.cache
def base() -> EvidenceBase:
    """The evidence and the protocol of the repository."""
    return EvidenceBase(real(), rules())


@functools.cache
def known_ledger() -> tuple[Entry, ...]:
    """The ledger of the review, made once."""
    return tuple(ledger(base()))


def made_up_pool(
    rows: pd.DataFrame, fit: Any, measure: str = "MD", title: str = "Made-up pool", outcome: str = "hba1c",
    settings: dict[str, Any] | None = None, few: int = 4,
) -> Pool:  # fmt: skip
    """A pool of these rows and this fit, which need not be one, as if a question had been pooled.

    The fit gives the prediction, too.
    """
    known = measure in MEASURES
    missing = {"secondary": False, "time_origin": "", "timing": "", "co_treatment": ""} | dict.fromkeys(
        ("events", "n", "events_control", "n_control"), np.nan
    )
    rows = rows.assign(**{name: value for name, value in missing.items() if name not in rows})
    pool = Pool(
        question=Question(outcome, ("T2D",), "any_cells", name="made_up", title=title),
        analysis=Analysis(measure) if known else SimpleNamespace(measure=measure),
        settings={"level": 0.95, **(settings or {})},
        rows=rows,
        left_out=pd.DataFrame(),
        fit=fit,
        few=few,
    )
    vars(pool)["bayes"] = fit
    return pool


class MadeUp:
    """Invented studies, arms and figures, as the typed tables that the package works on.

    Every method returns the builder, so that a trial is written as one chain. Numbers of lines count from 2 in the
    order in which rows are added, as in a CSV file.
    """

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {name: [] for name in read.TABLES}

    def add(self, name: str, /, **cells: Any) -> MadeUp:
        """One row of the table of that name."""
        self.rows[name].append(cells)
        return self

    def study(
        self,
        study_id: str,
        population: str = "T1D",
        product: str = "islet_allo",
        design: str = "single_arm",
        source: str = "fulltext",
        cohorts: tuple[str, ...] | None = None,
        **more: Any,
    ) -> MadeUp:
        """A report with one source of that kind, of its own cohort unless others are named."""
        self.add(
            "studies",
            **{
                "study_id": study_id,
                "title": "Made up",
                "first_author": "Invented A",
                "year": 2020.0,
                "diabetes_type": population,
                "intervention_class": product,
                "design": design,
                "randomised": "yes" if design == "rct" else "no",
            }
            | more,
        )
        self.add("sources", source_id=f"s_{study_id}", study_id=study_id, kind=source, url="https://example.org/x")
        for cohort in (study_id,) if cohorts is None else cohorts:
            self.add("cohorts", study_id=study_id, cohort_id=cohort, share="whole")
        return self

    def arm(self, study_id: str, arm_id: str = "all", comparator: str = "", n: float = 20, **more: Any) -> MadeUp:
        """An arm with cells, or one that is compared with them (``gets_cells`` no, unless it is said otherwise)."""
        known = {
            "role": "control" if comparator else "treatment",
            "comparator": comparator,
            "gets_cells": "no" if comparator else "yes",
            "n_enrolled": n,
        }
        return self.add("arms", study_id=study_id, arm_id=arm_id, **known | more)

    def count(
        self, study_id: str, events: float, n: float = np.nan, arm_id: str = "all", months: float = 12, **more: Any
    ) -> MadeUp:
        """Patients free of insulin at a month."""
        known = {
            "outcome": "insulin_independence",
            "definition_id": "insulin_independence",
            "timing": "at_month",
            "source_id": f"s_{study_id}",
            "status": "printed",
        }
        cells = {"study_id": study_id, "arm_id": arm_id, "months": months, "events": events, "n": n}
        return self.add("binary", **cells | known | more)

    def level(self, study_id: str, center: float, arm_id: str = "all", months: float = 12, **more: Any) -> MadeUp:
        """HbA1c of an arm in per cent: a mean with its SD (``dispersion_low``)."""
        known = {
            "outcome": "hba1c",
            "unit": "%",
            "kind": "level",
            "center_type": "mean",
            "dispersion_type": "sd",
            "dispersion_low": 1.0,
            "n": 20.0,
            "source_id": f"s_{study_id}",
            "status": "printed",
        }
        return self.add(
            "continuous", **{"study_id": study_id, "arm_id": arm_id, "center": center, "months": months} | known | more
        )

    def change(self, study_id: str, center: float, arm_id: str = "all", months: float = 12, **more: Any) -> MadeUp:
        """Change of HbA1c of an arm in percentage points."""
        return self.level(study_id, center, arm_id, months, kind="change", **more)

    def contrast(self, study_id: str, treatment: str = "cells", control: str = "sham", **more: Any) -> MadeUp:
        """A difference of HbA1c between two arms as its source reports it."""
        known = {"outcome": "hba1c", "unit": "%", "months": 12.0, "measure": "adjusted mean difference"}
        arms = {"treatment_arm": treatment, "control_arm": control, "source_id": f"s_{study_id}"}
        return self.add("contrasts", study_id=study_id, **arms | known | more)

    def trial(self, study_id: str, comparator: str = "sham", **more: Any) -> MadeUp:
        """A randomised trial of mesenchymal cells in type 2 diabetes: ``cells`` against a control."""
        known = {"population": "T2D", "product": "msc", "design": "rct"}
        return self.study(study_id, **known | more).arm(study_id, "cells").arm(study_id, comparator, comparator)

    def handle(self, anomaly_id: str, action: str, variant: str = "primary", **more: Any) -> MadeUp:
        """A step of ``handling.csv``, by default on ``binary``."""
        known = {"handling_id": f"h{len(self.rows['handling']):03d}", "table": "binary", "reason": f"{action} it"}
        return self.add("handling", anomaly_id=anomaly_id, variant=variant, action=action, **known | more)

    def evidence(self) -> Evidence:
        """The tables, typed as those of the repository."""
        frames = {name: _frame(getattr(real(), name), rows) for name, rows in self.rows.items()}
        return Evidence(**frames, folder=DATA, fingerprint="made up")

    def base(self) -> EvidenceBase:
        """The same with the protocol of the repository."""
        return EvidenceBase(self.evidence(), rules())


def _frame(template: pd.DataFrame, rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Rows as a table of the template's columns and types; a cell that nobody filled is empty."""
    if unknown := {name for row in rows for name in row} - set(template.columns):
        raise KeyError(f"no such columns: {sorted(unknown)}")
    if not rows:
        return template.head(0)
    index = pd.RangeIndex(2, 2 + len(rows), name="line")
    typed = {
        name: pd.Series([row.get(name, np.nan if kind.kind == "f" else "") for row in rows], index=index, dtype=kind)
        for name, kind in template.dtypes.items()
    }
    return pd.DataFrame(typed, index=index)
