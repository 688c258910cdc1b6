"""The ``batch`` command: what it prints, and its exit status."""

from __future__ import annotations

import json
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


def make(sets: Path, into: Path, only: str | None, *, workers: int, resume: bool, as_json: bool, timeout: float) -> int:
    """Make a batch, say what became of it, and return the exit status."""
    limits = Limits(seconds=timeout)
    try:
        done = run_batch(
            sets, into, workers=workers, only=only, resume=resume, limits=limits, tell=teller(as_json=as_json)
        )
    except ReviewError as error:
        print(f"cellclaims: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("\ncellclaims: interrupted; what is whole stays, --resume carries on", file=sys.stderr)
        return INTERRUPTED
    _say(done, into, as_json)
    return min(len(done.failed), MORE_FAILED)


def _say(done: Summary, into: Path, as_json: bool) -> None:
    counts = {"made": len(done.made), "up to date": len(done.current), "failed": len(done.failed)}
    if as_json:
        print(json.dumps({"index": (into / "index.html").as_posix(), **counts}))
        return
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    print(f"{into / 'index.html'}: {words}")
