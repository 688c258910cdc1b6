"""Many reports from one file of parameter sets: what is out of date is made, some at the same time, then listed.

Each report is made by a process of its own, so that one that fails, hangs or dies takes nothing with it. On
Linux these processes and their kernels are forks of two warmed parents; elsewhere they start from nothing.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import shutil
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

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
from cellclaims.notebooks.kernels_limits import Limits
from cellclaims.notebooks.parameter_sets import ParameterSets, read_sets

#: Held while a batch works in its folder; also the mark of such a folder.
LOCK = ".batch.lock"

#: Seconds that a process may take to end a report after its kernel's own limit has passed.
GRACE = 30.0

#: Imported before the processes of reports are forked.
WARM = "papermill cellclaims.notebooks.render cellclaims.notebooks.batch_report nbconvert.filters.highlight".split()


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
        How long a cell may take, and how much a report may print.
    tell : callable
        Is told each report that has ended, how many have, and how many there are.

    Raises
    ------
    ParameterError
        If the file is not as it should be: nothing is started.
    ReviewError
        If another batch works in the folder, or it is the folder of something else.
    """
    sets = read_sets(path)
    jobs = jobs_of(sets, into)
    wanted = chosen(jobs, only)
    with locked(into):
        clear_leftovers(into, jobs)
        stale = [job for job in wanted if not is_done(job, failures_too=resume)]
        made = list(_all_done(stale, workers, limits or Limits(), tell))
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


def _all_done(jobs: Sequence[Job], workers: int, limits: Limits, tell: Tell) -> Iterator[Done]:
    """Make all jobs; ends with no process left, however it ends."""
    from cellclaims.notebooks.kernels import nursery
    from cellclaims.notebooks.run import ONE_THREAD

    if not jobs:
        return
    with _ended_by_a_signal(), nursery(ONE_THREAD) as forked:
        if forked:
            _warm()
        context: Any = multiprocessing.get_context("fork" if forked else "spawn")
        for number, done in enumerate(_each_done(jobs, workers, limits, context), start=1):
            tell(done, number, len(jobs))
            yield done


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


def _warm() -> None:
    """Import here what every report's process needs, and compile the template of pages once."""
    for name in WARM:
        importlib.import_module(name)
    from cellclaims.notebooks import markup, render

    render.exporter().template  # noqa: B018 - compiled when first asked for
    markup.code("1")
    markup.safe_html("<p></p>")


@dataclass
class _Running:
    job: Job
    process: Any
    start: float
    seconds: float

    @property
    def left(self) -> float:
        return self.start + self.seconds - time.monotonic()


def _each_done(jobs: Sequence[Job], workers: int, limits: Limits, context: Any) -> Iterator[Done]:
    """Keep ``workers`` processes at work; a report at a time, as they end."""
    waiting, running = deque(jobs), {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                one = _start(waiting.popleft(), limits, context)
                running[one.process.sentinel] = one
            ready = wait(list(running), timeout=max(0.0, min(one.left for one in running.values())))
            late = [sentinel for sentinel, one in running.items() if one.left <= 0]
            for sentinel in {*ready, *late}:
                yield _ended(running.pop(sentinel))
    finally:
        for one in running.values():
            one.process.kill()
        for one in running.values():
            one.process.join()


def _start(job: Job, limits: Limits, context: Any) -> _Running:
    process = context.Process(target=_report, args=(job, limits, os.getpid()), name=job.name)
    process.start()
    return _Running(job, process, time.monotonic(), limits.total_seconds + GRACE)


def _report(job: Job, limits: Limits, parent: int) -> None:
    """Make a report in this process, which ends with the batch and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        from cellclaims.notebooks.kernels_nursery import end_with_parent

        end_with_parent()
        if os.getppid() != parent:
            return
    from cellclaims.notebooks.batch_report import make

    make(job, limits)


def _ended(one: _Running) -> Done:
    """What became of a report whose process has ended, or is ended because it is late."""
    was_late = one.left <= 0
    if was_late:
        one.process.kill()
    one.process.join()
    if was_late or one.process.exitcode != 0:
        reason = f"no end after {one.seconds:g} s" if was_late else f"its process ended with {one.process.exitcode}"
        write_failure(one.job, Failure(f"{one.job.notebook.name} failed: {reason}", ""))
    return Done(one.job, failure_of(one.job), time.monotonic() - one.start)


def _conclude(sets: ParameterSets, jobs: Sequence[Job], into: Path) -> None:
    """Write the index and the numbers of all reports, if anything about them changed."""
    from cellclaims.notebooks.batch_index import conclude

    conclude(sets, jobs, into)
