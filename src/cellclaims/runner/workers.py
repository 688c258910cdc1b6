"""The processes that make reports on this machine: one a report, so that one that hangs or dies takes nothing with it.

On Linux these processes and their kernels are forks of two warmed parents; elsewhere they start from nothing.
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

#: Seconds that a process may take to end a report after its kernel's own limit has passed.
GRACE = 30.0

#: Imported before the processes of reports are forked.
WARM = "papermill cellclaims.runner.page cellclaims.runner.batch_report nbconvert.filters.highlight".split()


@dataclass(frozen=True)
class Ended(Generic[T]):
    """A piece of work whose process has ended: the reason if it did not end well, and the seconds that it took."""

    item: T
    reason: str
    seconds: float


@contextlib.contextmanager
def warmed(evidence: Iterable[Path]) -> Iterator[Any]:
    """The context in which processes are started: with warmed parents where there can be forks.

    Parameters
    ----------
    evidence : iterable of Path
        Folders of evidence that the kernels will load.

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
    """Import here what every report's process needs, and compile the template of pages once."""
    for name in WARM:
        importlib.import_module(name)
    from cellclaims.runner import page

    page.exporter().template  # noqa: B018 - compiled when first asked for
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
    """Do the work on every item in a process of its own; tell of each as it ends.

    Parameters
    ----------
    work : callable
        Picklable where processes cannot be forked.
    items : iterable
        In the order in which they are begun.
    workers : int
        Processes at the same time.
    seconds : float
        Longest time of one; ``GRACE`` is added.
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
    """Work in this process, which ends with its parent and leaves Ctrl-C to it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    if sys.platform == "linux":
        from cellclaims.runner.kernel_parent import end_with_parent

        end_with_parent()
        if os.getppid() != parent:
            return
    work(item)


def _ended(one: _Running[T]) -> Ended[T]:
    """What became of a process that has ended, or is ended because it is late."""
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
