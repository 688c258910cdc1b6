"""What a batch says while it works: a bar and a line a report on a terminal, failures elsewhere, JSON for machines."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import TextIO

from cellclaims.notebooks.batch import Done, Tell

#: Signs of the bar.
WIDTH = 24


def teller(*, as_json: bool = False, stream: TextIO | None = None) -> Tell:
    """What to tell ``run_batch``: events as JSON lines on standard output, else words on standard error."""
    if as_json:
        return _say_json
    stream = stream or sys.stderr
    return bar(stream) if stream.isatty() else failures(stream)


def _say_json(done: Done, number: int, of: int) -> None:
    event = {
        "report": done.job.name,
        "state": "failed" if done.failure else "made",
        "reason": done.failure.reason if done.failure else None,
        "seconds": round(done.seconds, 2),
        "done": number,
        "of": of,
    }
    print(json.dumps(event, ensure_ascii=False), flush=True)


def failures(stream: TextIO) -> Tell:
    """One line for each report that failed, and nothing else."""

    def tell(done: Done, number: int, of: int) -> None:
        if done.failure:
            print(f"{number} of {of}: {_words(done)}", file=stream, flush=True)

    return tell


def bar(stream: TextIO, clock: Callable[[], float] = time.monotonic) -> Tell:
    """One bar that is drawn over, with the time left; a line for each report that has ended stays above it."""
    start = clock()

    def tell(done: Done, number: int, of: int) -> None:
        print(f"\r\x1b[K{_words(done)}", file=stream)
        left = (clock() - start) / number * (of - number)
        full = WIDTH * number // of
        end = "\n" if number == of else ""
        drawn = f"[{'#' * full}{'.' * (WIDTH - full)}] {number} of {of}, {left:.0f} s left"
        print(drawn, end=end, file=stream, flush=True)

    return tell


def _words(done: Done) -> str:
    failed = f" failed: {done.failure.reason}" if done.failure else ""
    return f"{done.job.name}, {done.seconds:.1f} s{failed}"
