"""One report of a batch: executed notebook, page, figures, results as JSON and CSV."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from cellclaims.errors import ReviewError
from cellclaims.files import fingerprint_with_snapshots, write_atomically
from cellclaims.runner.kernels import Limits
from cellclaims.runner.parameter_sets import ParameterSets, WantedReport
from cellclaims.runner.review import RECORDS, cells_of, is_current, parameters_of, surroundings, write_record
from cellclaims.runner.run import changed, places, target_of

#: Start of a line that names an error, in a traceback or in a message of the kernel's client.
NAMES_AN_ERROR = re.compile(r"[A-Za-z_][\w.]*(Error|Exception|Interrupt|TooMuchOutput|Warning)\b")

# The reports of a batch and their state, each with the key of its inputs.
# The folder of a batch contains one folder per report, ``index.html``, ``results.csv`` (all pools of all reports),
# ``batch.json`` (reports, values, failures) and the state of reports (``.made``). A report is made in
# ``.making`` and moved when complete, so that a killed batch leaves only complete reports.


#: Folder for unfinished reports, inside the folder of the batch.
MAKING = ".making"


@dataclass(frozen=True)
class Job:
    """One report of a batch: notebook, values, folder, and the key of its inputs."""

    name: str
    notebook: Path
    values: Mapping[str, object]
    data: Path
    into: Path
    key: str

    @property
    def folder(self) -> Path:
        """Folder of the complete report."""
        return self.into / self.name

    @property
    def work(self) -> Path:
        """Folder of the unfinished report."""
        return self.into / MAKING / self.name

    @property
    def page(self) -> str:
        """Address of the report's page, relative to the index."""
        return f"{self.name}/{self.notebook.stem}.html"


@dataclass(frozen=True)
class Failure:
    """Failure of a report: the error in one line, and its position with the traceback."""

    reason: str
    trace: str


def jobs_of(sets: ParameterSets, into: Path) -> list[Job]:
    """Return the jobs of a batch, in the order of its file.

    Raises
    ------
    ReviewError
        If ``into`` is the folder of the notebooks, or the data of a report do not exist.
    """
    around = surroundings()
    data: dict[Path, str] = {}
    return [_job(wanted, Path(into), around, data) for wanted in sets.reports]


def _job(wanted: WantedReport, into: Path, around: list[str], data: dict[Path, str]) -> Job:
    cells = cells_of(wanted.notebook)
    own = parameters_of(cells)
    target_of(wanted.notebook, into)
    evidence = places(own, wanted.values, wanted.notebook, into).get("DATA", wanted.notebook.parent.parent / "data")
    if evidence not in data:
        if not evidence.is_dir():
            raise ReviewError(f"line {wanted.line}: {wanted.name}: expected a folder of evidence, found no {evidence}")
        data[evidence] = fingerprint_with_snapshots(evidence)
    made_from = json.dumps([around, data[evidence], cells, wanted.notebook.stem, changed(own, wanted.values)])
    key = hashlib.sha256(made_from.encode()).hexdigest()
    return Job(wanted.name, wanted.notebook, wanted.values, evidence, into, key)


def chosen(jobs: Iterable[Job], pattern: str | None) -> list[Job]:
    """Return the jobs whose name matches a pattern with ``*`` and ``?`` (all without one).

    Raises
    ------
    ReviewError
        If none matches.
    """
    jobs = list(jobs)
    found = [job for job in jobs if pattern is None or fnmatchcase(job.name, pattern)]
    if not found:
        raise ReviewError(f"expected a pattern of report names such as {jobs[0].name}, found {pattern!r}")
    return found


def is_done(job: Job, *, failures_too: bool = False) -> bool:
    """Return whether a report is up to date; with ``failures_too`` also whether it failed with the same key."""
    if failure_of(job) is None:
        return is_current(job.into, job.name, job.key)
    return failures_too


def failure_of(job: Job) -> Failure | None:
    """Return the failure of a job in an earlier attempt with the same key; None if there is none."""
    try:
        record = json.loads(_failure_file(job).read_text(encoding="utf-8"))
        return Failure(record["reason"], record["trace"]) if record["key"] == job.key else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_failure(job: Job, failure: Failure) -> None:
    """Record a failure, and delete the files of earlier attempts."""
    forget(job.into, job.name)
    write_atomically(_failure_file(job), json.dumps({"key": job.key, **asdict(failure)}, indent=1) + "\n")


def _failure_file(job: Job) -> Path:
    return job.into / RECORDS / f"{job.name}.failure.json"


def forget(into: Path, name: str) -> None:
    """Delete a report and its record."""
    for ending in (".json", ".failure.json"):
        (into / RECORDS / f"{name}{ending}").unlink(missing_ok=True)
    shutil.rmtree(into / name, ignore_errors=True)


def clear_leftovers(into: Path, jobs: Iterable[Job]) -> None:
    """Delete leftovers of a killed batch, and reports that are no longer in the file."""
    shutil.rmtree(into / MAKING, ignore_errors=True)
    for part in into.glob(".*.part"):
        part.unlink()
    wanted = {job.name for job in jobs} | {"index"}
    for name in _known(into):
        if name not in wanted:
            forget(into, name)
    for folder in [path for path in into.glob("*") if path.is_dir()]:
        if not (into / RECORDS / f"{folder.name}.json").exists() and folder.name in wanted:
            shutil.rmtree(folder)  # moved, but killed before it was recorded


def _known(into: Path) -> Iterator[str]:
    for path in sorted((into / RECORDS).glob("*.json")):
        yield path.name.removesuffix(".json").removesuffix(".failure")
    for part in (into / RECORDS).glob(".*.part"):
        part.unlink()


def make(job: Job, limits: Limits) -> None:
    """Make one report; a failure is recorded instead of raised, so that the batch continues."""
    failure = attempt(job, limits)
    if failure:
        write_failure(job, failure)
    else:
        publish(job)
    shutil.rmtree(job.work, ignore_errors=True)


def attempt(job: Job, limits: Limits) -> Failure | None:
    """Make the files of one report in its work folder; return the failure, if any."""
    from cellclaims.runner.page import provenance, write_page
    from cellclaims.runner.run import run_notebook

    shutil.rmtree(job.work, ignore_errors=True)
    try:
        executed = run_notebook(job.notebook, job.work, job.values, limits=limits)
        page = executed.with_suffix(".html")
        origin = provenance(job.data, str(job.values.get("SNAPSHOT", "")))
        write_page(executed, page, origin, index="../index.html")
    except ReviewError as error:
        return as_failure(job, str(error))
    except Exception as error:  # other errors must not stop the other reports
        return as_failure(job, f"{job.notebook.name} failed after its run: {type(error).__name__}: {error}")
    return None


def as_failure(job: Job, message: str) -> Failure:
    """Convert a message to a failure: the reason is the last line that names an error, else the last line.

    Paths of the run are replaced by those of the report. A message of one line has no trace.
    """
    from cellclaims.runner.run import KEPT

    text = message.partition(f"  {KEPT}")[0].rstrip()
    for work in (str(job.work.resolve()), str(job.work)):
        text = text.replace(work, job.name)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    named = [line for line in lines[1:] if NAMES_AN_ERROR.match(line)]
    return Failure((named or lines)[-1], text if len(lines) > 1 else "")


def publish(job: Job) -> None:
    """Move a complete report into place and record its inputs."""
    (job.into / RECORDS / f"{job.name}.failure.json").unlink(missing_ok=True)
    shutil.rmtree(job.folder, ignore_errors=True)
    job.work.rename(job.folder)
    files = sorted(path for path in job.folder.rglob("*") if path.is_file())
    write_record(job.into, job.name, job.key, files)
