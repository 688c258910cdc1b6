"""Reports made by joblib's processes (loky) beside the project's own, with the same forked kernels; one is killed.

    python benchmarks/batch_joblib.py [--reports 6]

Needs the extra ``bench``. Processor seconds are those of every process; wall seconds depend on the rest of the load.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import signal
import tempfile
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter, sleep

import joblib
from batch import ROOT, claims
from joblib.externals.loky import get_reusable_executor
from joblib.externals.loky.process_executor import TerminatedWorkerError

from cellclaims.runner import batch_report, kernels, run
from cellclaims.runner.batch_report import Job, jobs_of
from cellclaims.runner.kernels import Limits
from cellclaims.runner.parameter_sets import read_sets
from cellclaims.runner.workers import each_ended, warmed

DATA = ROOT / "data"


def make(job: Job) -> None:
    """Make one report."""
    batch_report.make(job, Limits())


def by_own(jobs: Iterable[Job]) -> None:
    """A forked process a report."""
    with warmed([DATA]) as context:
        list(each_ended(make, jobs, 2, 3600.0, context))


def by_joblib(jobs: Iterable[Job]) -> None:
    """joblib's processes, which last; their kernels are forked as in the other way."""
    with kernels.nursery(run.ONE_THREAD, [DATA]), contextlib.suppress(TerminatedWorkerError):
        joblib.Parallel(n_jobs=2)(joblib.delayed(make)(job) for job in jobs)
    get_reusable_executor().shutdown()


def kill_one(into: Path) -> None:
    """Kill a process that makes reports as soon as one report is there."""
    while not made(into):
        sleep(0.05)
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    makers = [pid for pid in children if b"kernel_parent" not in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(int(makers[-1]), signal.SIGKILL)


def made(into: Path) -> int:
    """Return how many reports are whole."""
    return len([path for path in (into / ".made").glob("*.json") if ".failure" not in path.name])


def used() -> float:
    """Processor seconds of this process and of those that have ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in both)


def measured(way: Callable[[Iterable[Job]], None], sets: Path, *, is_killed: bool) -> str:
    """Return a line of the table: seconds, processor seconds and reports of one batch."""
    with tempfile.TemporaryDirectory() as folder:
        into, before, start = Path(folder), used(), perf_counter()
        if is_killed:
            threading.Thread(target=kill_one, args=(into,), daemon=True).start()
        jobs = jobs_of(read_sets(sets), into)
        way(jobs)
        seconds, spent = perf_counter() - start, used() - before
        killed = "yes" if is_killed else "no"
        return f"| {way.__name__} | {killed} | {seconds:.1f} | {spent:.1f} | {made(into)} of {len(jobs)} |"


def main() -> None:
    """Measure both ways in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=int, default=6)
    names = claims(parser.parse_args().reports)
    with tempfile.TemporaryDirectory() as folder:
        sets = Path(folder, "claims.yml")
        lines = ["title: Claims", f"notebooks: {ROOT / 'notebooks'}", "sets:", "- notebook: claim"]
        sets.write_text("\n".join([*lines, f"  grid: {{CLAIM: [{', '.join(names)}]}}"]), encoding="utf-8")
        print("| way | one process killed | seconds | processor seconds | reports made |\n|---|---|---|---|---|")
        for is_killed in (False, True):
            for way in (by_own, by_joblib):
                print(measured(way, sets, is_killed=is_killed), flush=True)


if __name__ == "__main__":
    main()
