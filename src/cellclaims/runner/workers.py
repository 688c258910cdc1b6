"""Local processes of a batch: one process per report, so a hung or killed report does not affect the others.

On Linux these processes and their kernels are forks of two parents that have imported the libraries.
"""

from __future__ import annotations

import contextlib
import importlib
import multiprocessing
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any, Generic, TypeVar

T = TypeVar("T")

#: Seconds for a process to end a report after the limit of its kernel.
GRACE = 30.0

#: Imported before the processes of reports are forked.
WARM = "papermill cellclaims.runner.page cellclaims.runner.batch_report nbconvert.filters.highlight".split()


@dataclass(frozen=True)
class Ended(Generic[T]):
    """A finished piece of work: the reason of a failure, and the duration in seconds."""

    item: T
    reason: str
    seconds: float


@contextlib.contextmanager
def warmed(evidence: Iterable[Path]) -> Iterator[Any]:
    """Yield the context for starting processes, with parents to fork from where possible.

    Parameters
    ----------
    evidence : iterable of Path
        Folders of evidence for the kernels.

    Yields
    ------
    multiprocessing context
        For :func:`each_ended`.
    """
    from cellclaims.runner.kernels import nursery
    from cellclaims.runner.run import ONE_THREAD

    with nursery(ONE_THREAD, evidence) as forked:
        if forked:
            _warm()
        yield multiprocessing.get_context("fork" if forked else "spawn")


def _warm() -> None:
    """Import what each report's process needs, and compile the template of pages once."""
    for name in WARM:
        importlib.import_module(name)
    from cellclaims.runner import page

    page.exporter().template  # noqa: B018 - compiled on first access
    page.code("1")
    page.safe_html("<p></p>")


@dataclass
class _Running(Generic[T]):
    item: T
    process: Any
    start: float
    seconds: float

    @property
    def left(self) -> float:
        return self.start + self.seconds - time.monotonic()


def each_ended(
    work: Callable[[T], object], items: Iterable[T], workers: int, seconds: float, context: Any
) -> Iterator[Ended[T]]:
    """Process every item in a separate process; yield each as it ends.

    Parameters
    ----------
    work : callable
        A function; picklable where processes cannot be forked.
    items : iterable
        Items in the order of starting.
    workers : int
        Number of parallel processes.
    seconds : float
        Time limit for one; ``GRACE`` is added.
    context : multiprocessing context
        Of :func:`warmed`.
    """
    waiting, running = deque(items), {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                one = _start(work, waiting.popleft(), seconds, context)
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


def _start(work: Callable[[T], object], item: T, seconds: float, context: Any) -> _Running[T]:
    process = context.Process(target=_do, args=(work, item, os.getpid()))
    process.start()
    return _Running(item, process, time.monotonic(), seconds + GRACE)


def _do(work: Callable[[T], object], item: T, parent: int) -> None:
    """Do the work in this process, which ends with its parent and ignores Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        from cellclaims.runner.kernel_parent import end_with_parent

        end_with_parent()
        if os.getppid() != parent:
            return
    work(item)


def _ended(one: _Running[T]) -> Ended[T]:
    """Return the result of a process that has ended or exceeded its time."""
    was_late = one.left <= 0
    if was_late:
        one.process.kill()
    one.process.join()
    reason = ""
    if was_late:
        reason = f"no end after {one.seconds:g} s"
    elif one.process.exitcode != 0:
        reason = f"its process ended with {one.process.exitcode}"
    return Ended(one.item, reason, time.monotonic() - one.start)
