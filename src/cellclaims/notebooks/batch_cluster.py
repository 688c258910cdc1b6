"""The reports of a batch made at the workers of a Dask scheduler, with the same folder as on this machine.

A report travels inside its task with everything that it is made from, notebook and evidence; its files come back as
the outcome and are moved to their place here. The scheduler holds the task until then, and gives it to another worker
when the one that had it is lost. So workers need this package and its libraries, the same as here, and share no folder
with this machine. Dask is an extra, imported when an address is given and not before.
"""

from __future__ import annotations

import contextlib
import functools
import pickle
import selectors
import shutil
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from cellclaims.errors import ClusterError
from cellclaims.files import fingerprint
from cellclaims.meta import cluster
from cellclaims.notebooks.batch_plan import Failure, Job, write_failure
from cellclaims.notebooks.batch_processes import Ended
from cellclaims.notebooks.batch_report import publish
from cellclaims.notebooks.batch_station import DEPTH, Answer, Request, packed_evidence, unpack
from cellclaims.notebooks.kernels_limits import Limits
from cellclaims.notebooks.review import cells_of, parameters_of, surroundings

if TYPE_CHECKING:
    from distributed import Client, Future

#: Seconds between two looks of a worker whether its report is still wanted.
LOOK = 0.5

#: Each thread of a worker has a process beside it.
_own = threading.local()


def each_ended(jobs: Sequence[Job], limits: Limits, address: str) -> Iterator[Ended[Job]]:
    """Make jobs at the workers of a scheduler; tell of each as it ends.

    Parameters
    ----------
    jobs : sequence of Job
    limits : Limits
    address : str
        The scheduler's address, such as ``tcp://127.0.0.1:8786``.

    Raises
    ------
    ClusterError
        If there are no workers, a worker has another package or other libraries, or a notebook expects its evidence at
        a place that a worker cannot have. What is still under way is cancelled.
    """
    evidence, around = functools.cache(evidence_of), tuple(surroundings())
    requests = {job.name: request_of(job, limits, evidence, around) for job in jobs}
    with cluster.connected(address) as client:
        yield from _answered(jobs, requests, client)


def evidence_of(folder: Path) -> tuple[bytes, str]:
    """A folder of evidence, packed, and its fingerprint."""
    return packed_evidence(folder), fingerprint(folder)


def request_of(
    job: Job, limits: Limits, evidence: Callable[[Path], tuple[bytes, str]], around: tuple[str, ...]
) -> Request:
    """What a worker needs to make a job.

    Raises
    ------
    ClusterError
        If the notebook expects its evidence at an absolute place, or far above its own folder.
    """
    own = {one.name: one.default for one in parameters_of(cells_of(job.notebook))}
    place = str(job.values.get("DATA", own.get("DATA", "../data")))
    if PurePosixPath(place).is_absolute() or place.count("..") > len(DEPTH.split("/")):
        raise ClusterError(f"{job.name}: expected evidence beside the notebooks, such as ../data, found {place}")
    content, (data, digest) = job.notebook.read_bytes(), evidence(job.data)
    return Request(job.name, job.notebook.name, content, dict(job.values), limits, data, place, digest, around)


def _answered(jobs: Sequence[Job], requests: dict[str, Request], client: Client) -> Iterator[Ended[Job]]:
    """Send requests as workers get on, and take their answers; cancels what is under way if this is closed."""
    from distributed import as_completed

    waiting = iter(jobs)
    running: dict[Future, Job] = {}
    arriving = as_completed(loop=client.loop)

    def send() -> None:
        for job in waiting:
            future = client.submit(on_worker, requests[job.name], key=f"{job.name}-{uuid.uuid4().hex}")
            running[future] = job
            arriving.add(future)
            return

    try:
        for _ in range(cluster.AHEAD * sum(client.nthreads().values())):
            send()
        while running:
            future = next(arriving)
            ended = _taken(running.pop(future), future)
            send()
            yield ended
    finally:
        client.cancel(list(running))


def _taken(job: Job, future: Future) -> Ended[Job]:
    """Bring the outcome of a task to its place.

    Raises
    ------
    ClusterError
        If the worker refused.
    """
    from distributed import KilledWorker

    try:
        answer: Answer = future.result()
    except KilledWorker as lost:
        return Ended(job, f"its workers were lost: {str(lost).splitlines()[0]}", 0.0)
    except (ImportError, AttributeError) as error:
        raise ClusterError(f"worker: expected this version of cellclaims, found another or none: {error}") from error
    if answer.refusal:
        raise ClusterError(f"worker: {answer.refusal}")
    if answer.failure:
        write_failure(job, answer.failure)
    else:
        shutil.rmtree(job.work, ignore_errors=True)
        unpack(answer.files, job.work)
        publish(job)
    return Ended(job, "", answer.seconds)


# --- at a worker -------------------------------------------------------------------------------------------------


def on_worker(request: Request) -> Answer:
    """Have a report made by the process beside this thread of a worker."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state != "cancelled"

    return asked(request, is_wanted)


def asked(request: Request, is_wanted: Callable[[], bool]) -> Answer:
    """The answer of this thread's station; ends the station, and what it makes, when nobody wants it any more."""
    station, start = _station(), time.monotonic()
    try:
        pickle.dump(request, station.stdin)
        station.stdin.flush()
        with selectors.DefaultSelector() as selector:
            selector.register(station.stdout, selectors.EVENT_READ)
            while not selector.select(LOOK):
                if not is_wanted():
                    _end(station)
                    return Answer(refusal="cancelled")
        return replace(pickle.load(station.stdout), seconds=time.monotonic() - start)
    except (EOFError, OSError):
        reason = f"{request.file} failed: the process that makes reports ended with {_end(station)}"
        return Answer(failure=Failure(reason, ""), seconds=time.monotonic() - start)


def _station() -> subprocess.Popen:
    """The process beside this thread, started if there is none."""
    station = getattr(_own, "station", None)
    if station is None or station.poll() is not None:
        if station:
            _end(station)
        command = [sys.executable, "-P", "-m", "cellclaims.notebooks.batch_station"]
        station = _own.station = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return station


def _end(station: subprocess.Popen) -> int:
    """End a station and close its pipes; its exit status."""
    station.kill()
    for pipe in (station.stdin, station.stdout):
        with contextlib.suppress(BrokenPipeError):  # a request that it did not read
            pipe.close()
    return station.wait()
