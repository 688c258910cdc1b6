"""A process beside a Dask worker that makes reports for it, one after the other.

A Dask worker has threads, and a process with threads cannot be forked. So each of its threads that is given a report
starts one of these (``python -m cellclaims.notebooks.batch_station``), which warms up once and lasts as long as the
worker. Notebook and evidence come with the request: a worker needs this package, and no folder that it shares with
anybody. Requests come in and answers go out by pipes, as pickles of bytes and text.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import shutil
import signal
import sys
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from cellclaims.errors import ClusterError
from cellclaims.files import DATA_SUFFIXES, fingerprint
from cellclaims.notebooks import batch_report
from cellclaims.notebooks.batch_plan import Failure, Job
from cellclaims.notebooks.batch_processes import each_ended, warmed
from cellclaims.notebooks.kernels_limits import Limits
from cellclaims.notebooks.review import surroundings

#: Folders above the place of a notebook, so that its way to the evidence does not lead out of the temporary folder.
DEPTH = "a/b/c/d/e/f"

#: The file in a report's work folder that says why it failed.
FAILURE = ".failure"


@dataclass(frozen=True)
class Request:
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
class Answer:
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

    def ready(self, request: Request) -> Path:
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

    def home(self, request: Request) -> Path:
        """The folder of the notebooks that use this evidence at this place."""
        name = hashlib.sha256(f"{request.fingerprint} {request.place}".encode()).hexdigest()[:16]
        return self.root / name / DEPTH / "notebooks"

    def answer(self, request: Request, context: Any) -> Answer:
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

    def outcome(self, job: Job, reason: str) -> Answer:
        """What a report's process left: files, or a failure."""
        if reason:
            return Answer(failure=Failure(f"{job.notebook.name} failed: {reason}", ""))
        if (job.into / FAILURE).exists():
            return Answer(failure=pickle.loads((job.into / FAILURE).read_bytes()))
        return Answer(packed(job.work, (path for path in job.work.rglob("*") if path.is_file())))


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
            _send(Answer(refusal=str(refusal)), answers)


def _send(answer: Answer, answers: BinaryIO) -> None:
    pickle.dump(answer, answers)
    answers.flush()


def _next(requests: BinaryIO) -> Request | None:
    try:
        return pickle.load(requests)
    except EOFError:
        return None


def main() -> None:
    """Serve the worker that started this process, and end with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker
    if sys.platform == "linux":
        from cellclaims.notebooks.kernels_nursery import end_with_parent

        end_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    serve(sys.stdin.buffer, answers)


if __name__ == "__main__":
    from cellclaims.notebooks import batch_station  # answers are of the module that the worker knows, not of __main__

    batch_station.main()
