"""Records of the pools of a notebook at full precision, with their rows, for recomputation."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from cellclaims.files import write_atomically
from cellclaims.pool import Pool
from cellclaims.reporting.tables import shown_numbers

ROW_KEYS = (
    "study_id",
    "arm_id",
    "source_id",
    "months",
    "events",
    "n",
    "events_control",
    "n_control",
    "yi",
    "vi",
    "weight",
)
RESULT_KEYS = ("beta", "se", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "tau2", "I2", "Q", "Q_p", "k", "df")
BAYES_KEYS = ("beta", "se", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "tau2")


class Results:
    """The pools of one notebook; ``write`` writes them to ``<folder>/<notebook>.json`` atomically."""

    def __init__(self, notebook: str) -> None:
        self.notebook = notebook
        self.pools: list[Pool] = []

    def add(self, *pools: Pool) -> None:
        """Record pools; each name may occur once per notebook."""
        for pool in pools:
            if pool.name in {p.name for p in self.pools}:
                raise ValueError(f"expected a new name for a pool of {self.notebook}, found {pool.name!r} again")
            self.pools.append(pool)

    def write(self, folder: str | Path) -> str:
        """Write the file if a folder is given, and return a sentence about it; nothing without a pool."""
        records = [record(self.notebook, pool) for pool in self.pools]
        if not records:
            return ""
        if not str(folder):
            return f"{len(records)} pools, not recorded: no folder for reports was given."
        path = Path(folder) / f"{self.notebook}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, json.dumps(records, indent=1, ensure_ascii=False, allow_nan=False) + "\n")
        return f"{len(records)} pools recorded in {path.name}."


def record(notebook: str, pool: Pool) -> dict[str, Any]:
    """Return one pool for ``results.json``: JSON values only, null for undefined numbers.

    ``result`` is what to compute with, by the model of ``settings`` (``pi_lb`` and ``pi_ub`` are its own prediction
    interval); ``bayes`` is what predictions are reported from; ``shown`` is what a reader sees, rounded and on the
    reader's scale.
    """
    rows = pool.rows.reindex(columns=list(ROW_KEYS)).to_dict("records")
    return {
        "notebook": notebook,
        "pool": pool.name,
        "title": pool.title,
        "estimand": pool.estimand,
        "measure": pool.measure,
        "scale": pool.scale,
        "label": pool.label,
        "settings": {key: plain(value) for key, value in pool.settings.items()},
        "question": {key: plain(value) for key, value in vars(pool.question).items() if key not in ("name", "title")},
        "rows": [{key: plain(value) for key, value in row.items()} for row in rows],
        "left_out": pool.left_out[["study_id", "arm_id", "reason"]].to_dict("records"),
        "result": {key: plain(getattr(pool.fit, key, None)) for key in RESULT_KEYS}
        | {"k": pool.k, "flags": _flags(pool)},
        "bayes": _bayes(pool),
        "cautions": [{key: plain(value) for key, value in caution._asdict().items()} for caution in pool.cautions],
        "shown": {"patients": f"{pool.patients:g}", **shown_numbers(pool)},
    }


def _bayes(pool: Pool) -> list[dict[str, Any]]:
    """Return the Bayesian fits by the scale of the prior: the protocol's, and others that the notebook showed."""
    return [
        {"tau_prior": "half-normal", "scale": scale, **{key: plain(float(getattr(fit, key))) for key in BAYES_KEYS}}
        for scale, fit in pool.bayes_fits.items()
    ]


def plain(value: Any) -> Any:
    """Return a value for JSON: NaN and infinity become null, NumPy scalars plain numbers, tuples lists."""
    if isinstance(value, tuple | list):
        return [plain(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _flags(pool: Pool) -> list[str]:
    found: Iterable[str] = getattr(pool.fit, "flags", ())
    return [str(flag) for flag in found]
