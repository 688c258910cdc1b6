"""Many reports from one file of parameter sets: what is out of date is made, some at the same time, then listed.

Reports are made by processes of this machine (:mod:`cellclaims.notebooks.batch_processes`) or at the workers of a Dask
scheduler (:mod:`cellclaims.notebooks.batch_cluster`); the folder is the same.
"""

from __future__ import annotations

import contextlib
import functools
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cellclaims.errors import ReviewError
from cellclaims.notebooks.batch_plan import (
    MAKING,
    Failure,
    Job,
    chosen,
    clear_leftovers,
    failure_of,
    is_done,
    jobs_of,
    write_failure,
)
from cellclaims.notebooks.batch_processes import Ended, each_ended, warmed
from cellclaims.notebooks.kernels_limits import Limits
from cellclaims.notebooks.parameter_sets import ParameterSets, read_sets

#: Held while a batch works in its folder; also the mark of such a folder.
LOCK = ".batch.lock"


@dataclass(frozen=True)
class Done:
    """One report that has ended: its failure, if it failed, and the seconds that it took."""

    job: Job
    failure: Failure | None
    seconds: float


@dataclass(frozen=True)
class Summary:
    """What a batch did: reports made, up to date before, failed (also those that failed in an earlier try)."""

    made: list[str]
    current: list[str]
    failed: dict[str, Failure]


Tell = Callable[[Done, int, int], object]


def run_batch(
    path: Path,
    into: Path,
    *,
    workers: int = 2,
    only: str | None = None,
    resume: bool = False,
    limits: Limits | None = None,
    scheduler: str | None = None,
    tell: Tell = lambda *_: None,
) -> Summary:
    """Bring the reports of a file of parameter sets up to date.

    Parameters
    ----------
    path : Path
        The file of parameter sets.
    into : Path
        Folder of the batch: empty, new, or of an earlier batch.
    workers : int
        How many reports are made at the same time.
    only : str, optional
        Make the reports whose names fit this pattern.
    resume : bool
        Carry on where a batch was broken off: reports that failed are not tried again.
    limits : Limits, optional
        How long a cell may take, how much a report may print and take of memory.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://127.0.0.1:8786``: its workers make the reports, as many at the
        same time as they have threads.
    tell : callable
        Is told each report that has ended, how many have, and how many there are.

    Raises
    ------
    ParameterError
        If the file is not as it should be: nothing is started.
    ReviewError
        If another batch works in the folder, or it is the folder of something else.
    ClusterError
        If the scheduler or its workers cannot make these reports.
    """
    sets = read_sets(path)
    jobs = jobs_of(sets, into)
    wanted = chosen(jobs, only)
    with locked(into):
        clear_leftovers(into, jobs)
        stale = [job for job in wanted if not is_done(job, failures_too=resume)]
        made = list(_all_done(stale, workers, limits or Limits(), scheduler, tell))
        shutil.rmtree(into / MAKING, ignore_errors=True)
        _conclude(sets, jobs, into)
        failed = {job.name: failure for job in wanted if (failure := failure_of(job))}
        good = {done.job.name for done in made if done.failure is None}
        names = [job.name for job in wanted]
        current = [name for name in names if name not in {*good, *failed}]
        return Summary([name for name in names if name in good], current, failed)


def planned(path: Path, into: Path, only: str | None = None, resume: bool = False) -> list[tuple[Job, bool]]:
    """The reports of a batch, each with whether it would be made."""
    return [(job, not is_done(job, failures_too=resume)) for job in chosen(jobs_of(read_sets(path), into), only)]


@contextlib.contextmanager
def locked(into: Path) -> Iterator[None]:
    """Hold the folder of a batch; the system lets go of it if this process is killed.

    Raises
    ------
    ReviewError
        If another batch holds it, or it holds something that no batch made.
    """
    into.mkdir(parents=True, exist_ok=True)
    if not (into / LOCK).exists() and any(into.iterdir()):
        raise ReviewError(f"expected a new folder, an empty one or that of a batch, found other files in {into}")
    with (into / LOCK).open("a") as file:
        try:
            _lock(file.fileno())
        except OSError:
            raise ReviewError(f"another batch is at work in {into}") from None
        yield


def _lock(descriptor: int) -> None:
    """Lock an open file or raise OSError at once."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _all_done(jobs: Sequence[Job], workers: int, limits: Limits, scheduler: str | None, tell: Tell) -> Iterator[Done]:
    """Make all jobs; ends with no process left, however it ends."""
    if not jobs:
        return
    with _ended_by_a_signal():
        each = _done_here(jobs, workers, limits) if scheduler is None else _done_there(jobs, limits, scheduler)
        with contextlib.closing(each):
            for number, done in enumerate(each, start=1):
                tell(done, number, len(jobs))
                yield done


def _done_here(jobs: Sequence[Job], workers: int, limits: Limits) -> Iterator[Done]:
    """Make jobs by processes of this machine."""
    from cellclaims.notebooks import batch_report

    work = functools.partial(batch_report.make, limits=limits)
    with warmed(sorted({job.data for job in jobs})) as context:
        for ended in each_ended(work, jobs, workers, limits.total_seconds, context):
            yield _as_done(ended)


def _done_there(jobs: Sequence[Job], limits: Limits, scheduler: str) -> Iterator[Done]:
    """Make jobs at the workers of a Dask scheduler."""
    from cellclaims.notebooks import batch_cluster

    with contextlib.closing(batch_cluster.each_ended(jobs, limits, scheduler)) as each:
        for ended in each:
            yield _as_done(ended)


def _as_done(ended: Ended[Job]) -> Done:
    """What became of a job, from what became of its process."""
    if ended.reason:
        write_failure(ended.item, Failure(f"{ended.item.notebook.name} failed: {ended.reason}", ""))
    return Done(ended.item, failure_of(ended.item), ended.seconds)


@contextlib.contextmanager
def _ended_by_a_signal() -> Iterator[None]:
    """A request to end is an interruption, as Ctrl-C is, so that everything is put in order.

    Only the main thread of a program may ask for signals; in another, they stay as they are.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _conclude(sets: ParameterSets, jobs: Sequence[Job], into: Path) -> None:
    """Write the index and the numbers of all reports, if anything about them changed."""
    from cellclaims.notebooks.batch_index import conclude

    conclude(sets, jobs, into)
