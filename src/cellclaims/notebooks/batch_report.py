"""One report of a batch, from notebook to folder: executed notebook, page, figures, numbers as JSON and CSV."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cellclaims.errors import NotebookError, ReviewError
from cellclaims.files import write_atomically
from cellclaims.notebooks.batch_plan import Failure, Job, write_failure
from cellclaims.notebooks.kernels_limits import Limits
from cellclaims.notebooks.review import RECORDS, write_record

#: Columns of the numbers of a pool, before those of its result.
POOL = ("pool", "title", "estimand", "measure", "scale")
RESULT = ("k", "beta", "se", "ci_lb", "ci_ub", "pi_lb", "pi_ub", "tau2", "I2", "Q", "df")


def make(job: Job, limits: Limits) -> None:
    """Make one report; a failure is noted instead of raised, so that the batch goes on."""
    failure = attempt(job, limits)
    if failure:
        write_failure(job, failure)
    else:
        publish(job)
    shutil.rmtree(job.work, ignore_errors=True)


def attempt(job: Job, limits: Limits) -> Failure | None:
    """Make the files of one report in its work folder; why not, if that fails."""
    from cellclaims.notebooks import render
    from cellclaims.notebooks.run import run_notebook

    shutil.rmtree(job.work, ignore_errors=True)
    try:
        executed = run_notebook(job.notebook, job.work, job.values, limits=limits)
        page = executed.with_suffix(".html")
        render.write_page(executed, page, render.provenance(job.data), index="../index.html")
        _write_numbers(executed)
    except ReviewError as error:
        return as_failure(job, str(error))
    except Exception as error:  # whatever else a page or a file may do, the other reports go on
        return as_failure(job, f"{job.notebook.name} failed after its run: {type(error).__name__}: {error}")
    return None


def as_failure(job: Job, message: str) -> Failure:
    """A message as a failure: its first line is the reason; paths of this run are those of the report."""
    from cellclaims.notebooks.run import KEPT

    text = message.partition(f"  {KEPT}")[0].replace(str(job.work.resolve()), job.name).rstrip()
    reason, _, trace = text.partition("\n")
    return Failure(reason, trace)


def publish(job: Job) -> None:
    """Move a whole report to its place and note what it was made from."""
    (job.into / RECORDS / f"{job.name}.failure.json").unlink(missing_ok=True)
    shutil.rmtree(job.folder, ignore_errors=True)
    job.work.rename(job.folder)
    files = sorted(path for path in job.folder.rglob("*") if path.is_file())
    write_record(job.into, job.name, job.key, files)


def _write_numbers(executed: Path) -> None:
    """Write the pools of a report as CSV beside their JSON."""
    pools = pools_of(executed)
    if pools:
        write_atomically(executed.with_suffix(".csv"), as_csv(pool_lines(pools)))


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
