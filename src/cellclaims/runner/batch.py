"""Batches: run the reports of a file of parameter sets that are out of date, in parallel, and write an index.

Reports run in processes on this computer (:mod:`cellclaims.runner.workers`) or on the workers of a Dask
scheduler (:mod:`cellclaims.runner.workers_dask`), with the same output.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from cellclaims.errors import ReviewError
from cellclaims.files import write_atomically
from cellclaims.runner.batch_report import (
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
from cellclaims.runner.kernels import Limits
from cellclaims.runner.page import NUMBER_FILES, as_csv, exporter, pool_lines, pools_of, provenance, shell
from cellclaims.runner.parameter_sets import ParameterSets, read_sets
from cellclaims.runner.review import Card, card_of, is_current, main_drawing
from cellclaims.runner.run import read
from cellclaims.runner.workers import Ended, each_ended, warmed

#: Lock file of a batch at work; it also marks the folder of a batch.
LOCK = ".batch.lock"


@dataclass(frozen=True)
class Done:
    """One finished report: its failure, if any, and its duration in seconds."""

    job: Job
    failure: Failure | None
    seconds: float


@dataclass(frozen=True)
class BatchSummary:
    """Result of a batch: reports made, already up to date, and failed (also in an earlier attempt)."""

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
) -> BatchSummary:
    """Update the reports of a file of parameter sets.

    Parameters
    ----------
    path : Path
        The file of parameter sets.
    into : Path
        Output folder: empty, new, or of an earlier batch.
    workers : int
        Number of reports run in parallel.
    only : str, optional
        Run only reports whose names match this pattern.
    resume : bool
        Continue an interrupted batch: failed reports are not repeated.
    limits : Limits, optional
        Limits on time, output and memory.
    scheduler : str, optional
        Address of a Dask scheduler, such as ``tcp://127.0.0.1:8786``: its workers run the
        reports, one per thread.
    tell : callable
        Called with each finished report, the number finished, and the total.

    Raises
    ------
    ParameterError
        If the file has errors; nothing is started.
    ReviewError
        If another batch is running in the folder, or the folder was not written by a batch.
    ClusterError
        If the scheduler or its workers cannot run these reports.
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
        return BatchSummary([name for name in names if name in good], current, failed)


def planned(path: Path, into: Path, only: str | None = None, resume: bool = False) -> list[tuple[Job, bool]]:
    """Return the reports of a batch, each with whether it would be made."""
    return [(job, not is_done(job, failures_too=resume)) for job in chosen(jobs_of(read_sets(path), into), only)]


@contextlib.contextmanager
def locked(into: Path) -> Iterator[None]:
    """Lock the folder of a batch; the system releases the lock if this process is killed.

    Raises
    ------
    ReviewError
        If another batch has locked it, or it contains files that are not of a batch.
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
    """Run all jobs; no process remains afterwards."""
    if not jobs:
        return
    with _ended_by_a_signal():
        each = _done_here(jobs, workers, limits) if scheduler is None else _done_there(jobs, limits, scheduler)
        with contextlib.closing(each):
            for number, done in enumerate(each, start=1):
                tell(done, number, len(jobs))
                yield done


def _done_here(jobs: Sequence[Job], workers: int, limits: Limits) -> Iterator[Done]:
    """Run jobs in processes on this computer."""
    from cellclaims.runner import batch_report

    work = functools.partial(batch_report.make, limits=limits)
    with warmed(sorted({job.data for job in jobs})) as context:
        for ended in each_ended(work, jobs, workers, limits.total_seconds, context):
            yield _as_done(ended)


def _done_there(jobs: Sequence[Job], limits: Limits, scheduler: str) -> Iterator[Done]:
    """Run jobs on the workers of a Dask scheduler."""
    from cellclaims.runner import workers_dask

    with contextlib.closing(workers_dask.each_ended_on_dask(jobs, limits, scheduler)) as each:
        for ended in each:
            yield _as_done(ended)


def _as_done(ended: Ended[Job]) -> Done:
    """Return the result of a job from the result of its process."""
    if ended.reason:
        write_failure(ended.item, Failure(f"{ended.item.notebook.name} failed: {ended.reason}", ""))
    return Done(ended.item, failure_of(ended.item), ended.seconds)


@contextlib.contextmanager
def _ended_by_a_signal() -> Iterator[None]:
    """Treat a termination signal like Ctrl-C, so that processes are stopped in order.

    Only the main thread of a program can handle signals; in others, nothing changes.
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
    """Write the index and the results of all reports, if they have changed."""

    conclude(sets, jobs, into)


# Progress of a batch: a bar and one line per report in a terminal, failures otherwise, or lines of JSON.


#: Width of the bar.
WIDTH = 24


def teller(*, as_json: bool = False, stream: TextIO | None = None) -> Tell:
    """Return a callback for ``run_batch``: JSON lines on standard output, else text on standard error."""
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
    """Write one line per failed report."""

    def tell(done: Done, number: int, of: int) -> None:
        if done.failure:
            print(f"{number} of {of}: {_progress_words(done)}", file=stream, flush=True)

    return tell


def bar(stream: TextIO, clock: Callable[[], float] = time.monotonic) -> Tell:
    """Show a progress bar with the remaining time, and one line per finished report above it."""
    start = clock()

    def tell(done: Done, number: int, of: int) -> None:
        print(f"\r\x1b[K{_progress_words(done)}", file=stream)
        left = (clock() - start) / number * (of - number)
        full = WIDTH * number // of
        end = "\n" if number == of else ""
        drawn = f"[{'#' * full}{'.' * (WIDTH - full)}] {number} of {of}, {left:.0f} s left"
        print(drawn, end=end, file=stream, flush=True)

    return tell


def _progress_words(done: Done) -> str:
    failed = f" failed: {done.failure.reason}" if done.failure else ""
    return f"{done.job.name}, {done.seconds:.1f} s{failed}"


# The ``batch`` command: its output and exit status.


#: Exit statuses other than the number of failed reports.
MORE_FAILED, INTERRUPTED, REFUSED = 101, 130, 255


def list_planned(sets: Path, into: Path, only: str | None, *, resume: bool, as_json: bool) -> None:
    """Print one line per report: its name, and whether it would be made or is up to date."""
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
    """Run a batch, report the result, and return the exit status."""
    asked = {"workers": cores(workers), "only": only, "resume": resume, "limits": limits, "scheduler": scheduler}
    try:
        done = run_batch(sets, into, tell=teller(as_json=as_json), **asked)
    except ReviewError as error:
        print(f"cellclaims: {error}", file=sys.stderr)
        return REFUSED
    except KeyboardInterrupt:
        print("\ncellclaims: interrupted; complete reports are kept, --resume continues", file=sys.stderr)
        return INTERRUPTED
    _say(done, into, as_json)
    return min(len(done.failed), MORE_FAILED)


def cores(workers: int) -> int:
    """Return the number of parallel reports; negative ones count from the number of cores, as in joblib.

    Examples
    --------
    >>> cores(3), cores(-1) == len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else True
    (3, True)
    """
    if workers > 0:
        return workers
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, there + 1 + workers)


def _say(done: BatchSummary, into: Path, as_json: bool) -> None:
    counts = {"made": len(done.made), "up to date": len(done.current), "failed": len(done.failed)}
    if as_json:
        print(json.dumps({"index": (into / "index.html").as_posix(), **counts}))
        return
    words = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    print(f"{into / 'index.html'}: {words}")


# The index of a batch: one card per report with its values, headline and main figure, filters by value, failures.


#: Most values of a parameter with a filter.
MOST_VALUES = 40

INDEX, NUMBERS, MACHINE = "index.html", "results.csv", "batch.json"


@dataclass(frozen=True)
class Facet:
    """A filter: a parameter (or the notebook) with its values and the number of reports for each."""

    name: str
    values: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class IndexEntry:
    """One report in the index: complete, failed, or not made yet (neither card nor failure).

    ``numbers`` are the indices of its values in the filters; ``pools`` are those that it recorded.
    """

    job: Job
    values: Mapping[str, str]
    numbers: Mapping[str, int]
    card: Card | None
    failure: Failure | None
    pools: Sequence[Mapping[str, Any]]

    @property
    def files(self) -> list[str]:
        """Return the names of the report's files of results."""
        return sorted(path.name for path in self.job.folder.iterdir() if path.suffix in NUMBER_FILES)

    @property
    def which(self) -> str:
        """Return the values that distinguish the report from others of its notebook."""
        return ", ".join(f"{name} {value}" for name, value in self.values.items() if name != "notebook")


def conclude(sets: ParameterSets, jobs: Sequence[Job], into: Path) -> None:
    """Write ``index.html``, ``results.csv`` and ``batch.json`` of a batch from the complete reports."""
    shown = {job.name: _values(job) for job in jobs}
    facets = facets_of(shown)
    entries = [_entry(job, shown[job.name], facets) for job in jobs]
    whole = [entry.job for entry in entries if entry.card]
    write_atomically(into / NUMBERS, as_csv(line for job in whole for line in _lines(job, shown[job.name])))
    write_atomically(into / MACHINE, json.dumps(_machine(sets, entries), indent=1, ensure_ascii=False) + "\n")
    template = exporter().environment.get_template("batch.html.j2")
    page = template.render(
        sets=sets,
        facets=facets,
        entries=entries,
        telling=telling(entries),
        origin=provenance(jobs[0].data),
        shell=shell(),
    )
    write_atomically(into / INDEX, page)


def _values(job: Job) -> dict[str, str]:
    """Return the values of a report as text, the notebook first."""
    return {"notebook": job.notebook.stem} | {name: _words(value) for name, value in job.values.items()}


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def facets_of(shown: Mapping[str, Mapping[str, str]]) -> list[Facet]:
    """Return the useful filters, with at least two values and not a different one for each report.

    Examples
    --------
    >>> facets_of({"a": {"MONTHS": "6", "X": "1"}, "b": {"MONTHS": "12", "X": "1"}, "c": {"MONTHS": "6"}})
    [Facet(name='MONTHS', values=[('6', 2), ('12', 1)])]
    """
    names = dict.fromkeys(name for values in shown.values() for name in values)
    counted = {name: [values[name] for values in shown.values() if name in values] for name in names}
    facets = [Facet(n, [(v, found.count(v)) for v in dict.fromkeys(found)]) for n, found in counted.items()]
    return [facet for facet in facets if 2 <= len(facet.values) <= MOST_VALUES and len(facet.values) < len(shown)]


def _entry(job: Job, values: Mapping[str, str], facets: Sequence[Facet]) -> IndexEntry:
    numbers = {
        facet.name: [value for value, _ in facet.values].index(values[facet.name])
        for facet in facets
        if facet.name in values
    }
    failure = failure_of(job)
    shown = _card(job) if failure is None and is_current(job.into, job.name, job.key) else None
    return IndexEntry(job, values, numbers, shown, failure, pools_of(job.folder / job.notebook.name) if shown else [])


def telling(entries: Sequence[IndexEntry]) -> list[tuple[IndexEntry, Mapping[str, Any]]]:
    """Return each report with one pool: the first whose result differs between reports of its notebook, else the
    first. Reports without a pool are omitted.
    """
    results: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        for pool in entry.pools:
            own = results.setdefault((entry.job.notebook.stem, pool["pool"]), set())
            own.add(json.dumps(pool["result"], sort_keys=True))
    chosen = []
    for entry in [entry for entry in entries if entry.pools]:
        differing = (pool for pool in entry.pools if len(results[entry.job.notebook.stem, pool["pool"]]) > 1)
        chosen.append((entry, next(differing, entry.pools[0])))
    return chosen


def _card(job: Job) -> Card:
    """Return the card of a report; its picture is the file of its main figure, so that the index stays small."""
    executed = job.folder / job.notebook.name
    notebook = read(executed)
    drawing = main_drawing(notebook).get("image/svg+xml", "")
    files = (path for path in job.folder.rglob("*.svg") if path.read_text(encoding="utf-8") == drawing)
    file = next(files, None) if drawing else None
    picture = file.relative_to(job.into).as_posix() if file else None
    return card_of(notebook, job.page, len(pools_of(executed)), picture)


def _lines(job: Job, values: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield the results of a report's pools, after its name and values."""
    for line in pool_lines(pools_of(job.folder / job.notebook.name)):
        yield {"report": job.name, **values, **line}


def _machine(sets: ParameterSets, entries: Sequence[IndexEntry]) -> dict[str, Any]:
    """Return the content of ``index.html`` for programs."""
    reports = [
        {
            "name": entry.job.name,
            "notebook": entry.job.notebook.stem,
            "values": entry.job.values,
            "made_from": entry.job.key,
            "state": "made" if entry.card else "failed" if entry.failure else "not made",
            "page": entry.job.page if entry.card else None,
            "headline": str(entry.card.headline.striptags()) if entry.card else None,
            "failure": asdict(entry.failure) if entry.failure else None,
        }
        for entry in entries
    ]
    return {"title": sets.title, "about": sets.about, "reports": reports}
