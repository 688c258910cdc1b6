"""A batch at a Dask scheduler with two workers leaves the folder that it leaves here, also when a worker is killed.

Most of it needs the extra ``cluster`` (``make cluster``); what happens without it is tested always.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import signal
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from cellclaims.errors import ClusterError
from cellclaims.files import fingerprint
from cellclaims.runner import batch, batch_report, kernels, run, workers_dask
from cellclaims.runner.kernels import Limits
from cellclaims.runner.parameter_sets import read_sets
from cellclaims.runner.review import surroundings

from .conftest import OPENING, PARAMETERS, write_notebook
from .test_batch import FIGURE, POOLS, begin, call, snapshot, until
from .test_meta_cluster import two_workers

REPOSITORY = Path(__file__).resolve().parent.parent

#: What each report does: it reads evidence, draws, counts, and takes a while.
READS = (
    "from cellclaims import protocol\nprint(protocol.load(DATA).evidence_date, sorted(__import__('os').listdir(DATA)))"
)
SLOW = "import time; time.sleep(0.5 * SLOWLY)"


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A batch of four reports, made by processes of this machine: its file and its folder."""
    home = tmp_path_factory.mktemp("here")
    declared = PARAMETERS + "SLOWLY: int = 0  # half seconds to wait\n"
    cells = [OPENING, (declared, "parameters"), (READS,), (SLOW,), (FIGURE, "figure"), (POOLS, "headline")]
    write_notebook(home / "notebooks" / "01_double.ipynb", cells)
    (home / "data").mkdir()
    (home / "data" / "protocol.yml").write_bytes((REPOSITORY / "data" / "protocol.yml").read_bytes())
    path = home / "runs" / "four.yml"
    path.parent.mkdir()
    path.write_text("title: Four\nsets:\n- notebook: 01_double\n  grid: {DOSE: [1, 2, 3, 4]}\n")
    with kernels.nursery(run.ONE_THREAD):
        batch.run_batch(path, home / "into")
    return path, home / "into"


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with two_workers(tmp_path_factory.mktemp("dask")) as running:
        yield running


def slow(path, seconds):
    """Another file beside ``path`` whose reports take longer."""
    other = path.with_name("slow.yml")
    other.write_text(
        path.read_text().replace(
            "  grid", f"  name: '01_double_dose-{{DOSE}}'\n  fixed: {{SLOWLY: {2 * seconds}}}\n  grid"
        )
    )
    return other


def stations_of(dask):
    """Processes that make reports beside the workers."""
    workers = {str(process.pid) for name, process in dask.processes.items() if name != "scheduler"}
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            if parent in workers and b"workers_dask" in (path / "cmdline").read_bytes():
                found.append(int(path.name))
    return found


def kernels_at_stations():
    """Kernels of reports that are made for a worker: they work in the temporary folder of a station."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"kernel_parent" in (path / "cmdline").read_bytes() and "/station" in str((path / "cwd").resolve()):
                found.append(int(path.name))
    return found


@pytest.mark.cluster
def test_a_cluster_leaves_the_folder_of_this_machine(dask, here, tmp_path):
    path, expected = here
    done = call(path, "--into", tmp_path / "there", "--scheduler", dask.address, "--json")
    assert done.exit_code == 0, done.output
    assert snapshot(tmp_path / "there") == snapshot(expected)
    assert '"made": 4' in done.stdout


@pytest.mark.cluster
def test_a_report_that_fails_at_a_worker_is_listed_and_the_others_are_made(dask, small_review, tmp_path):
    small_review(("1 / (DOSE - 2)",))
    path = tmp_path / "runs" / "some.yml"
    path.parent.mkdir()
    path.write_text("title: Two\nsets:\n- notebook: 01_double\n  grid: {DOSE: [1, 2]}\n")
    done = batch.run_batch(path, tmp_path / "into", scheduler=dask.address)
    assert done.made == ["01_double_dose-1"]
    (failure,) = done.failed.values()
    assert failure.reason == "ZeroDivisionError: float division by zero"
    assert "ZeroDivisionError" in failure.trace


@pytest.mark.cluster
def test_a_worker_killed_half_way_loses_nothing_and_leaves_no_process(here, tmp_path):
    path, _ = here
    with two_workers(tmp_path) as dask:
        process = begin(slow(path, 2), "--into", tmp_path / "there", "--scheduler", dask.address)
        until(lambda: len(list((tmp_path / "there" / ".made").glob("*.json"))) >= 1)
        stations = stations_of(dask)
        dask.processes["first"].kill()
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        assert dask.processes["second"].poll() is None
        until(lambda: len(set(stations) & set(stations_of(dask))) == 1)
    batch.run_batch(slow(path, 2), tmp_path / "here")
    assert snapshot(tmp_path / "there") == snapshot(tmp_path / "here")


@pytest.mark.cluster
def test_an_interrupted_batch_is_cancelled_at_the_workers(dask, here, tmp_path):
    path, _ = here
    process = begin(slow(path, 600), "--into", tmp_path / "there", "--scheduler", dask.address)
    until(kernels_at_stations)
    os.killpg(process.pid, signal.SIGINT)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    until(lambda: kernels_at_stations() == [])


@pytest.mark.cluster
def test_a_worker_with_another_package_is_refused(dask, here, tmp_path, monkeypatch):
    monkeypatch.setattr(workers_dask, "surroundings", lambda: ["another package", *surroundings()[1:]])
    done = call(here[0], "--into", tmp_path / "there", "--scheduler", dask.address)
    assert done.exit_code == 255
    assert "cellclaims: worker: expected the same package, Python and libraries as where" in done.stderr
    assert "another package" in done.stderr
    assert not (tmp_path / "there" / "index.html").exists()


# --- without Dask ------------------------------------------------------------------------------------------------


@pytest.fixture
def request_for(here, tmp_path):
    """What a worker is asked for the first report of the batch."""
    path, _ = here
    job = batch_report.jobs_of(read_sets(path), tmp_path)[0]
    return workers_dask.request_of(job, Limits(), workers_dask.evidence_of, tuple(surroundings()))


def answers_to(*requests):
    """What a station answers."""
    asked, answers = io.BytesIO(b"".join(pickle.dumps(request) for request in requests)), io.BytesIO()
    workers_dask.serve(asked, answers)
    answers.seek(0)
    return pickle.load(answers)


def test_evidence_that_did_not_arrive_whole_is_refused(request_for):
    answer = answers_to(replace(request_for, fingerprint="abc"))
    assert answer.refusal.startswith("expected evidence with the fingerprint abc, found ")


def test_other_libraries_are_named(request_for):
    around = tuple("numpy 0.1" if name.startswith("numpy ") else name for name in request_for.around)
    refusal = answers_to(replace(request_for, around=around)).refusal
    assert "found differences: numpy 0.1, numpy " in refusal


def test_packed_evidence_is_the_evidence(here, tmp_path):
    data = here[0].parent.parent / "data"
    workers_dask.unpack(workers_dask.packed_evidence(data), tmp_path / "copy")
    assert fingerprint(tmp_path / "copy") == fingerprint(data)
    assert workers_dask.packed_evidence(data) == workers_dask.packed_evidence(tmp_path / "copy")


@pytest.mark.parametrize("place", ["/evidence", "../../../../../../../evidence"])
def test_evidence_at_a_place_that_a_worker_cannot_have_is_refused(here, tmp_path, place):
    job = replace(batch_report.jobs_of(read_sets(here[0]), tmp_path)[0], values={"DATA": place})
    with pytest.raises(ClusterError, match=f"expected evidence next to the notebooks, such as ../data, found {place}"):
        workers_dask.request_of(job, Limits(), workers_dask.evidence_of, ())


def test_a_station_that_ends_is_a_failure_of_its_report(monkeypatch, request_for):
    monkeypatch.setattr(workers_dask, "_own", SimpleNamespace())
    monkeypatch.setattr(sys, "executable", "/bin/false")
    answer = workers_dask.asked(request_for, lambda: True)
    assert answer.failure.reason == "01_double.ipynb failed: the process that makes reports ended with 1"


def test_a_report_that_nobody_wants_any_more_is_not_waited_for(monkeypatch, request_for):
    monkeypatch.setattr(workers_dask, "_own", SimpleNamespace())
    assert workers_dask.asked(request_for, lambda: False).refusal == "cancelled"
    assert workers_dask._own.station.returncode == -signal.SIGKILL


def test_without_dask_it_says_what_to_install(here, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    done = call(here[0], "--into", tmp_path / "there", "--scheduler", "127.0.0.1:8786")
    assert (done.exit_code, done.stdout) == (255, "")
    assert done.stderr == "cellclaims: scheduler: expected Dask, found none: pip install 'cellclaims[cluster]'\n"
