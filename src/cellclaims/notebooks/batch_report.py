"""One report of a batch, from notebook to folder: executed notebook, page, figures, numbers as JSON and CSV."""

from __future__ import annotations

import shutil

from cellclaims.errors import ReviewError
from cellclaims.notebooks.batch_plan import Failure, Job, write_failure
from cellclaims.notebooks.kernels_limits import Limits
from cellclaims.notebooks.review import RECORDS, write_record


def make(job: Job, limits: Limits) -> None:
    """Make one report; a failure is noted instead of raised, so that the batch goes on."""
    failure = attempt(job, limits)
    if failure:
        write_failure(job, failure)
    else:
        publish(job)
    shutil.rmtree(job.work, ignore_errors=True)


def attempt(job: Job, limits: Limits) -> Failure | None:
    """Make the files of one report in its work folder; why not, if that fails."""
    from cellclaims.notebooks import render
    from cellclaims.notebooks.run import run_notebook

    shutil.rmtree(job.work, ignore_errors=True)
    try:
        executed = run_notebook(job.notebook, job.work, job.values, limits=limits)
        page = executed.with_suffix(".html")
        origin = render.provenance(job.data, str(job.values.get("SNAPSHOT", "")))
        render.write_page(executed, page, origin, index="../index.html")
    except ReviewError as error:
        return as_failure(job, str(error))
    except Exception as error:  # whatever else a page or a file may do, the other reports go on
        return as_failure(job, f"{job.notebook.name} failed after its run: {type(error).__name__}: {error}")
    return None


def as_failure(job: Job, message: str) -> Failure:
    """A message as a failure: its first line is the reason; paths of this run are those of the report."""
    from cellclaims.notebooks.run import KEPT

    text = message.partition(f"  {KEPT}")[0].replace(str(job.work.resolve()), job.name).rstrip()
    reason, _, trace = text.partition("\n")
    return Failure(reason, trace)


def publish(job: Job) -> None:
    """Move a whole report to its place and note what it was made from."""
    (job.into / RECORDS / f"{job.name}.failure.json").unlink(missing_ok=True)
    shutil.rmtree(job.folder, ignore_errors=True)
    job.work.rename(job.folder)
    files = sorted(path for path in job.folder.rglob("*") if path.is_file())
    write_record(job.into, job.name, job.key, files)
