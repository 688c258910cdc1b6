"""Reports of a batch on the workers of a Dask scheduler, with the same output as on this computer.

A report is sent as a task with its notebook and evidence; its files are returned as the
result and moved into place here. The scheduler keeps the task until then, and gives it to another worker
if one is lost. Workers need the same package and libraries, but no shared folder. Dask is an extra, imported only
if an address is given.
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


# A process that makes reports for a Dask worker, one after the other.
# A Dask worker has threads, and a process with threads cannot be forked. Therefore each of its threads with a report
# starts one of these (``python -m cellclaims.runner.workers_dask``), which imports the libraries once and ends with the
# worker. Notebook and evidence come with the request, so workers need no shared folder. Requests and results are sent
# through pipes, as pickles of bytes and text.


#: Folders above the notebook, so that its relative path to the evidence stays in the temporary folder.
DEPTH = "a/b/c/d/e/f"

#: File in a report's work folder with the reason of a failure.
FAILURE = ".failure"


@dataclass(frozen=True)
class WorkerRequest:
    """A report to be made elsewhere, with all its inputs.

    Attributes
    ----------
    name : str
        Name of the report.
    file, notebook : str, bytes
        Name and content of the notebook.
    values : dict
        By parameter.
    limits : Limits
    evidence : bytes
        Archive of the folder of evidence.
    place : str
        Path of that folder relative to the notebook.
    fingerprint : str
        Of the evidence.
    around : tuple of str
        Versions of the package, Python and the libraries, as returned by :func:`surroundings`.
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
    """Result of a request: packed files, a failure of the report, or the reason why it cannot be made here."""

    files: bytes = b""
    failure: Failure | None = None
    refusal: str = ""
    seconds: float = 0.0


def packed(folder: Path, paths: Iterable[Path]) -> bytes:
    """Return the files of a folder as one archive; equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(paths):
            archive.writestr(
                zipfile.ZipInfo(path.relative_to(folder).as_posix()), path.read_bytes(), zipfile.ZIP_DEFLATED
            )
    return buffer.getvalue()


def packed_evidence(folder: Path) -> bytes:
    """Return the data files of a folder of evidence as one archive."""
    return packed(folder, (path for path in folder.rglob("*") if path.suffix in DATA_SUFFIXES and path.is_file()))


def unpack(content: bytes, folder: Path) -> None:
    """Write the files of an archive below a folder, also files with names that point outside."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(folder)


class Station:
    """Makes the requested reports, in a temporary folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.around = surroundings()
        self.reports = 0

    def ready(self, request: WorkerRequest) -> Path:
        """Return the folder of evidence for a request; created if missing.

        Raises
        ------
        ClusterError
            If the package or a library has another version, or the evidence is incomplete.
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
        """Return the folder of the notebooks that use this evidence at this place."""
        name = hashlib.sha256(f"{request.fingerprint} {request.place}".encode()).hexdigest()[:16]
        return self.root / name / DEPTH / "notebooks"

    def answer(self, request: WorkerRequest, context: Any) -> WorkerAnswer:
        """Make a report in a separate process."""
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
        """Return the files or the failure of a report's process."""
        if reason:
            return WorkerAnswer(failure=Failure(f"{job.notebook.name} failed: {reason}", ""))
        if (job.into / FAILURE).exists():
            return WorkerAnswer(failure=pickle.loads((job.into / FAILURE).read_bytes()))
        return WorkerAnswer(packed(job.work, (path for path in job.work.rglob("*") if path.is_file())))


@dataclass(frozen=True)
class Attempt:
    """Run in the process of a report: write its files, or the reason of a failure."""

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
    os.dup2(2, 1)  # output of libraries must not mix with results
    serve(sys.stdin.buffer, answers)


#: Seconds between two checks whether a report is still wanted.
LOOK = 0.5

#: The process of each thread of a worker.
_own = threading.local()


def each_ended_on_dask(jobs: Sequence[Job], limits: Limits, address: str) -> Iterator[Ended[Job]]:
    """Run jobs on the workers of a scheduler; yield each as it ends.

    Parameters
    ----------
    jobs : sequence of Job
    limits : Limits
    address : str
        The scheduler's address, such as ``tcp://127.0.0.1:8786``.

    Raises
    ------
    ClusterError
        If there are no workers, a worker has another package or other libraries, or a notebook reads its evidence from
        a path that a worker cannot have. Running reports are cancelled.
    """
    evidence, around = functools.cache(evidence_of), tuple(surroundings())
    requests = {job.name: request_of(job, limits, evidence, around) for job in jobs}
    with cluster.connected(address) as client:
        yield from _answered(jobs, requests, client)


def evidence_of(folder: Path) -> tuple[bytes, str]:
    """Return a folder of evidence, packed, and its fingerprint."""
    return packed_evidence(folder), fingerprint(folder)


def request_of(
    job: Job, limits: Limits, evidence: Callable[[Path], tuple[bytes, str]], around: tuple[str, ...]
) -> WorkerRequest:
    """Return the request for a job.

    Raises
    ------
    ClusterError
        If the notebook reads its evidence from an absolute path, or from far above its own folder.
    """
    own = {one.name: one.default for one in parameters_of(cells_of(job.notebook))}
    place = str(job.values.get("DATA", own.get("DATA", "../data")))
    if PurePosixPath(place).is_absolute() or place.count("..") > len(DEPTH.split("/")):
        raise ClusterError(f"{job.name}: expected evidence next to the notebooks, such as ../data, found {place}")
    content, (data, digest) = job.notebook.read_bytes(), evidence(job.data)
    return WorkerRequest(job.name, job.notebook.name, content, dict(job.values), limits, data, place, digest, around)


def _answered(jobs: Sequence[Job], requests: dict[str, WorkerRequest], client: Client) -> Iterator[Ended[Job]]:
    """Send requests when workers are free, and yield their results; cancel running ones when closed."""
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
    """Move the files of a task into place.

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
    """Let the process of this thread of a worker make a report."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def is_wanted() -> bool:
        task = worker.state.tasks.get(key)
        return task is not None and task.state != "cancelled"

    return asked(request, is_wanted)


def asked(request: WorkerRequest, is_wanted: Callable[[], bool]) -> WorkerAnswer:
    """Return the result of this thread's process; stop it when the report is no longer wanted."""
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
    """Return the process of this thread; start it if there is none."""
    station = getattr(_own, "station", None)
    if station is None or station.poll() is not None:
        if station:
            _end(station)
        command = [sys.executable, "-P", "-m", "cellclaims.runner.workers_dask"]
        station = _own.station = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    return station


def _end(station: subprocess.Popen) -> int:
    """Stop a process and close its pipes; return its exit status."""
    station.kill()
    for pipe in (station.stdin, station.stdout):
        with contextlib.suppress(BrokenPipeError):  # an unread request
            pipe.close()
    return station.wait()


if __name__ == "__main__":
    # results must be pickled under the module name that the worker knows, not __main__
    from importlib import import_module

    import_module("cellclaims.runner.workers_dask").main()
