"""The numbers of a report: the pools that a run recorded as JSON, and the same as CSV beside it."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cellclaims.errors import NotebookError
from cellclaims.files import write_atomically

#: Columns of the numbers of a pool, before those of its result.
POOL = ("pool", "title", "estimand", "measure", "scale")
RESULT = ("k", "beta", "se", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "tau2", "I2", "Q", "df")


def write_numbers(executed: Path) -> list[str]:
    """Write the pools of a report as CSV beside their JSON; the names of both files, none if there are no pools.

    Raises
    ------
    NotebookError
        If the JSON cannot be read.
    """
    pools = pools_of(executed)
    if not pools:
        return []
    write_atomically(executed.with_suffix(".csv"), as_csv(pool_lines(pools)))
    return [f"{executed.stem}.csv", f"{executed.stem}.json"]


def pools_of(executed: Path) -> list[dict[str, Any]]:
    """The pools that a run recorded beside its executed notebook; none if it records nothing of that kind."""
    path = executed.with_suffix(".json")
    try:
        pools = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    except ValueError as error:
        raise NotebookError(f"expected pools as JSON in {path.name}: {error}") from None
    return [pool for pool in pools if isinstance(pool, dict) and "result" in pool] if isinstance(pools, list) else []


def pool_lines(pools: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """One line a pool, at full precision on the scale of the analysis; empty where a number does not exist."""
    for pool in pools:
        yield {name: pool.get(name) for name in POOL} | {name: pool["result"].get(name) for name in RESULT}


def as_csv(lines: Iterator[Mapping[str, Any]]) -> str:
    """Lines as CSV, the keys of all as its heading.

    Examples
    --------
    >>> as_csv(iter([{"a": 1, "b": None}, {"a": 2, "c": "x, y"}]))
    'a,b,c\\n1,,\\n2,,"x, y"\\n'
    """
    lines = list(lines)
    names = list(dict.fromkeys(name for line in lines for name in line))
    text = io.StringIO()
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()
