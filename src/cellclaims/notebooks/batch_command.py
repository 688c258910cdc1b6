"""The ``batch`` command: what it prints, and its exit status."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from cellclaims.errors import ReviewError
from cellclaims.notebooks.batch import Summary, planned, run_batch
from cellclaims.notebooks.batch_progress import teller
from cellclaims.notebooks.kernels_limits import Limits

#: Exit statuses beside the number of failed reports, as other programs that run many jobs have them.
MORE_FAILED, INTERRUPTED, REFUSED = 101, 130, 255


def list_planned(sets: Path, into: Path, only: str | None, *, resume: bool, as_json: bool) -> None:
    """Print a line for each report: its name, and whether it would be made or is up to date."""
    for job, is_stale in planned(sets, into, only, resume):
        state = "to make" if is_stale else "up to date"
        if as_json:
            print(json.dumps({"report": job.name, "state": state, "values": job.values}, ensure_ascii=False))
        else:
            print(f"{state:<10}  {job.name}")


def make(
    sets: Path,
    into: Path,
    only: str | None,
    *,
    workers: int,
    resume: bool,
    as_json: bool,
    limits: Limits,
    scheduler: str | None,
) -> int:
    """Make a batch, say what became of it, and return the exit status."""
    asked = {"workers": cores(workers), "only": only, "resume": resume, "limits": limits, "scheduler": scheduler}
    try:
        done = run_batch(sets, into, tell=teller(as_json=as_json), **asked)
    except ReviewError as error:
        print(f"cellclaims: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("\ncellclaims: interrupted; what is whole stays, --resume carries on", file=sys.stderr)
        return INTERRUPTED
    _say(done, into, as_json)
    return min(len(done.failed), MORE_FAILED)


def cores(workers: int) -> int:
    """How many reports at the same time: below 0 counts from the number of cores, as joblib's ``n_jobs`` does.

    Examples
    --------
    >>> cores(3), cores(-1) == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else True
    (3, True)
    """
    if workers > 0:
        return workers
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, there + 1 + workers)


def _say(done: Summary, into: Path, as_json: bool) -> None:
    counts = {"made": len(done.made), "up to date": len(done.current), "failed": len(done.failed)}
    if as_json:
        print(json.dumps({"index": (into / "index.html").as_posix(), **counts}))
        return
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    print(f"{into / 'index.html'}: {words}")
