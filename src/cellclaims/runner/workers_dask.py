"""The reports of a batch made at the workers of a Dask scheduler, with the same folder as on this machine.

A report travels inside its task with everything that it is made from, notebook and evidence; its files come back as
the outcome and are moved to their place here. The scheduler holds the task until then, and gives it to another worker
when the one that had it is lost. So workers need this package and its libraries, the same as here, and share no folder
with this machine. Dask is an extra, imported when an address is given and not before.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import os
import pickle
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import uuid
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO

from cellclaims.errors import ClusterError
from cellclaims.files import DATA_SUFFIXES, fingerprint
from cellclaims.meta import cluster
from cellclaims.runner import batch_report
from cellclaims.runner.batch_report import Failure, Job, publish, write_failure
from cellclaims.runner.kernels import Limits
from cellclaims.runner.review import cells_of, parameters_of, surroundings
from cellclaims.runner.workers import Ended, each_ended, warmed

if TYPE_CHECKING:
    from distributed import Client, Future


# A process beside a Dask worker that makes reports for it, one after the other.
#
# A Dask worker has threads, and a process with threads cannot be forked. So each of its threads that is given a
# report
# starts one of these (``python -m cellclaims.runner.workers_dask``), which warms up once and lasts as long as
# the
# worker. Notebook and evidence come with the request: a worker needs this package, and no folder that it shares
# with
# anybody. Requests come in and answers go out by pipes, as pickles of bytes and text.


#: Folders above the place of a notebook, so that its way to the evidence does not lead out of the temporary folder.
DEPTH = "a/b/c/d/e/f"

#: The file in a report's work folder that says why it failed.
FAILURE = ".failure"


@dataclass(frozen=True)
class WorkerRequest:
    """A report to be made somewhere else: everything that it is made from.

    Attributes
    ----------
    name : str
        Of the report.
    file, notebook : str, bytes
        Name and content of the notebook.
    values : dict
        By parameter.
    limits : Limits
    evidence : bytes
        The folder of evidence, packed.
    place : str
        Where the notebook expects that folder, seen from its own.
    fingerprint : str
        Of the evidence.
    around : tuple of str
        The package and the versions of Python and the libraries, as :func:`surroundings` says them.
    """

    name: str
    file: str
    notebook: bytes
    values: dict[str, object]
    limits: Limits
    evidence: bytes
    place: str
    fingerprint: str
    around: tuple[str, ...]


@dataclass(frozen=True)
class WorkerAnswer:
    """What became of a request: packed files, or a failure of the report, or words why it cannot be made here."""

    files: bytes = b""
    failure: Failure | None = None
    refusal: str = ""
    seconds: float = 0.0


def packed(folder: Path, paths: Iterable[Path]) -> bytes:
    """Files of a folder as one archive, by their names inside it; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(paths):
            archive.writestr(
                zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes(), zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


def packed_evidence(folder: Path) -> bytes:
    """The data files of a folder of evidence as one archive."""
    return packed(folder, (path for path in folder.rglob("*") if path.suffix in DATA_SUFFIXES and path.is_file()))


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of an archive below a folder; a name that leads out of it is cut to lie inside."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


class Station:
    """Makes the reports that are asked for, in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.around = surroundings()
        self.reports = 0

    def ready(self, request: WorkerRequest) -> Path:
        """The folder of evidence that a request needs, made if it is not there yet.

        Raises
        ------
        ClusterError
            If this package or a library is another than asked for, or the evidence has not arrived whole.
        """
        if different := sorted(set(request.around) ^ set(self.around)):
            raise ClusterError(
                "expected the same package, Python and libraries as where the batch was started, found differences: "
                f"{', '.join(different)}"
            )
        home = self.home(request)
        home.mkdir(parents=True, exist_ok=True)
        folder = (home / request.place).resolve()
        if not folder.is_dir():
            unpack(request.evidence, folder)
        if (found := fingerprint(folder)) != request.fingerprint:
            raise ClusterError(f"expected evidence with the fingerprint {request.fingerprint}, found {found}")
        return folder

    def home(self, request: WorkerRequest) -> Path:
        """The folder of the notebooks that use this evidence at this place."""
        name = hashlib.sha256(f"{request.fingerprint} {request.place}".encode()).hexdigest()[:16]
        return self.root / name / DEPTH / "notebooks"

    def answer(self, request: WorkerRequest, context: Any) -> WorkerAnswer:
        """Make a report by a process of its own."""
        evidence = self.ready(request)
        source = self.home(request) / request.file
        source.write_bytes(request.notebook)
        self.reports += 1
        job = Job(request.name, source, request.values, evidence, self.root / f"reports{self.reports}", "")
        job.into.mkdir()
        (ended,) = each_ended(Attempt(request.limits), [job], 1, request.limits.total_seconds, context)
        answer = self.outcome(job, ended.reason)
        shutil.rmtree(job.into)
        return answer

    def outcome(self, job: Job, reason: str) -> WorkerAnswer:
        """What a report's process left: files, or a failure."""
        if reason:
            return WorkerAnswer(failure=Failure(f"{job.notebook.name} failed: {reason}", ""))
        if (job.into / FAILURE).exists():
            return WorkerAnswer(failure=pickle.loads((job.into / FAILURE).read_bytes()))
        return WorkerAnswer(packed(job.work, (path for path in job.work.rglob("*") if path.is_file())))


@dataclass(frozen=True)
class Attempt:
    """What the process of a report does: the files of the report, or the reason why not in a file."""

    limits: Limits

    def __call__(self, job: Job) -> None:
        """Make the report."""
        failure = batch_report.attempt(job, self.limits)
        if failure:
            (job.into / FAILURE).write_bytes(pickle.dumps(failure))


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answer requests until there are no more."""
    with tempfile.TemporaryDirectory(prefix="station") as folder:
        station = Station(Path(folder).resolve())
        request = _next(requests)
        if request is None:
            return
        try:
            with warmed([station.ready(request)]) as context:
                while request is not None:
                    _send(station.answer(request, context), answers)
                    request = _next(requests)
        except ClusterError as refusal:
            _send(WorkerAnswer(refusal=str(refusal)), answers)


def _send(answer: WorkerAnswer, answers: BinaryIO) -> None:
    pickle.dump(answer, answers)
    answers.flush()


def _next(requests: BinaryIO) -> WorkerRequest | None:
    try:
        return pickle.load(requests)
    except EOFError:
        return None


def main() -> None:
    """Serve the worker that started this process, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker
    if sys.platform == "linux":
        from cellclaims.runner.kernel_parent import end_with_parent

        end_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    serve(sys.stdin.buffer, answers)


#: Seconds between two looks of a worker whether its report is still wanted.
LOOK = 0.5

#: Each thread of a worker has a process beside it.
_own = threading.local()


def each_ended_on_dask(jobs: Sequence[Job], limits: Limits, address: str) -> Iterator[Ended[Job]]:
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
) -> WorkerRequest:
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
    return WorkerRequest(job.name, job.notebook.name, content, dict(job.values), limits, data, place, digest, around)


def _answered(jobs: Sequence[Job], requests: dict[str, WorkerRequest], client: Client) -> Iterator[Ended[Job]]:
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
        answer: WorkerAnswer = future.result()
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


def on_worker(request: WorkerRequest) -> WorkerAnswer:
    """Have a report made by the process beside this thread of a worker."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state != "cancelled"

    return asked(request, is_wanted)


def asked(request: WorkerRequest, is_wanted: Callable[[], bool]) -> WorkerAnswer:
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
                    return WorkerAnswer(refusal="cancelled")
        return replace(pickle.load(station.stdout), seconds=time.monotonic() - start)
    except (EOFError, OSError):
        reason = f"{request.file} failed: the process that makes reports ended with {_end(station)}"
        return WorkerAnswer(failure=Failure(reason, ""), seconds=time.monotonic() - start)


def _station() -> subprocess.Popen:
    """The process beside this thread, started if there is none."""
    station = getattr(_own, "station", None)
    if station is None or station.poll() is not None:
        if station:
            _end(station)
        command = [sys.executable, "-P", "-m", "cellclaims.runner.workers_dask"]
        station = _own.station = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return station


def _end(station: subprocess.Popen) -> int:
    """End a station and close its pipes; its exit status."""
    station.kill()
    for pipe in (station.stdin, station.stdout):
        with contextlib.suppress(BrokenPipeError):  # a request that it did not read
            pipe.close()
    return station.wait()


if __name__ == "__main__":
    # answers are pickled by the name of the module that the worker knows, which is not __main__
    from importlib import import_module

    import_module("cellclaims.runner.workers_dask").main()
