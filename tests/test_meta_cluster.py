"""Batches at a Dask scheduler with two workers: the numbers of this machine, also when a worker is killed half-way.

Most of it needs the extra ``cluster`` (``make cluster``); what happens without it is tested always.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from calibration_study.simulate import MODELS, Setting, study

from cellclaims import meta, robustness
from cellclaims.errors import ClusterError
from cellclaims.meta import batch, cluster
from cellclaims.meta.inputs import check_effects

#: Seconds until a scheduler and its workers must be there, and until they must have ended.
START, END = 60.0, 20.0

#: A million subsets are 17 pieces: each of two workers has several before and after the other one is killed.
STUDIES = 20

#: The worker to be killed ends when this many pieces have been given to it.
LAST_PIECE = 3

RNG = np.random.default_rng(20260311)
YI, VI = RNG.normal(0.3, 0.5, size=STUDIES), RNG.uniform(0.02, 0.4, size=STUDIES)


#: The simulation of the calibration study lies in benchmarks/, which a worker must find, too.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parent.parent / "benchmarks")}


class Dask:
    """A scheduler on loopback and its workers, each a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, {}
        file = folder / "scheduler.json"
        self.start("scheduler", "--host", "127.0.0.1", "--port", "0", "--scheduler-file", str(file), "--no-dashboard")
        self.wait(lambda: file.exists() and file.stat().st_size > 0, "a scheduler")
        self.address = json.loads(file.read_text())["address"]

    def start(self, name: str, *arguments: str) -> None:
        kind = "scheduler" if name == "scheduler" else "worker"
        with (self.folder / f"{name}.log").open("w") as log:
            command = [sys.executable, "-m", "dask", kind, *arguments]
            self.processes[name] = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, env=ENVIRONMENT)

    def add_worker(self, name: str) -> None:
        own = ("--name", name, "--nthreads", "1", "--no-nanny", "--no-dashboard", "--host", "127.0.0.1")
        self.start(name, self.address, *own, "--local-directory", str(self.folder))

    def wait(self, condition, what: str) -> None:
        until = time.monotonic() + START
        while not condition():
            ended = [name for name, process in self.processes.items() if process.poll() is not None]
            assert not ended, f"expected {what}, but {ended} ended: {(self.folder / f'{ended[0]}.log').read_text()}"
            assert time.monotonic() < until, f"expected {what} within {START:.0f} s"
            time.sleep(0.05)

    def stop(self) -> None:
        for process in reversed(self.processes.values()):  # workers first: they say goodbye to the scheduler
            process.terminate()
            try:
                process.wait(END)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def two_workers(folder: Path) -> Iterator[Dask]:
    """A real ``dask scheduler`` with two real ``dask worker`` processes, which are gone afterwards."""
    from distributed import Client

    running = Dask(folder)
    try:
        for name in ("first", "second"):
            running.add_worker(name)
        with Client(running.address, set_as_default=False) as client:
            running.wait(lambda: len(client.nthreads()) == 2, "two workers")
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with two_workers(tmp_path_factory.mktemp("dask")) as running:
        yield running


def same(found: meta.Fit, expected: meta.Fit) -> None:
    """Every number of both, byte by byte."""
    for one in dataclasses.fields(meta.Fit):
        a, b = getattr(found, one.name), getattr(expected, one.name)
        if isinstance(b, np.ndarray):
            assert (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes()), one.name
        elif one.name != "effects":
            assert a == b, one.name


def kill_when_busy(address: str, name: str) -> None:
    """Have a worker killed by its own hand, the hard way, when it is given its last piece."""
    from distributed import Client, WorkerPlugin

    class Killed(WorkerPlugin):
        begun = 0

        def setup(self, worker) -> None:
            self.mine = worker.name == name

        def transition(self, key, start, finish, **_) -> None:
            self.begun += self.mine and finish == "executing"
            if self.begun == LAST_PIECE:
                os.kill(os.getpid(), signal.SIGKILL)

    with Client(address, set_as_default=False) as client:
        client.register_plugin(Killed())


@pytest.mark.cluster
def test_a_cluster_gives_the_numbers_of_this_machine(dask):
    fitted = meta.fit(YI, VI)
    same(robustness.all_subsets(fitted, scheduler=dask.address).fit, robustness.all_subsets(fitted).fit)
    for kind in ("studies", "parametric"):
        here, there = (
            robustness.bootstrap(fitted, iterations=50_000, kind=kind, scheduler=at) for at in (None, dask.address)
        )
        same(there.fit, here.fit)
        assert (there.beta_lb, there.beta_ub, there.tau2_ub) == (here.beta_lb, here.beta_ub, here.tau2_ub)


@pytest.mark.cluster
@pytest.mark.parametrize("method", ["DL", "PM", "EE"])
def test_a_regression_on_a_cluster_is_that_of_this_machine(dask, method):
    fitted = meta.fit(YI, VI, mods=RNG.normal(size=(STUDIES, 2)), method=method, test="knha")
    here, there = (robustness.bootstrap(fitted, iterations=20_000, scheduler=at) for at in (None, dask.address))
    same(there.fit, here.fit)


@pytest.mark.cluster
def test_a_simulation_on_a_cluster_is_that_of_this_machine(dask):
    settings = [Setting(model, k, 50.0) for model in MODELS for k in (3, 10)]
    here, there = (study(settings, 60, seed=1, scheduler=at) for at in (None, dask.address))
    for one, other in zip(here, there, strict=True):
        assert list(one) == list(other)
        assert all(np.array_equal(one[m].mean_at, other[m].mean_at, equal_nan=True) for m in one)


@pytest.mark.cluster
def test_a_worker_killed_half_way_loses_nothing(tmp_path):
    fitted = meta.fit(YI, VI)
    with two_workers(tmp_path) as dask:
        kill_when_busy(dask.address, "first")
        found = robustness.all_subsets(fitted, scheduler=dask.address)
        assert dask.processes["first"].wait(END) == -signal.SIGKILL
        assert dask.processes["second"].poll() is None
    same(found.fit, robustness.all_subsets(fitted).fit)


@pytest.mark.cluster
def test_a_worker_of_another_version_is_refused(dask, monkeypatch):
    monkeypatch.setattr(np, "__version__", "0.1")
    with pytest.raises(ClusterError, match=r"worker: expected the versions .*'numpy': '0.1'.*, found "):
        robustness.bootstrap(meta.fit(YI, VI), iterations=100, scheduler=dask.address)


@pytest.mark.cluster
def test_a_scheduler_without_workers_is_refused(tmp_path):
    alone = Dask(tmp_path)
    try:
        with pytest.raises(ClusterError, match=f"expected workers at '{alone.address}', found none"):
            robustness.all_subsets(meta.fit(YI, VI), scheduler=alone.address)
    finally:
        alone.stop()


@pytest.mark.cluster
def test_an_address_that_does_not_answer_is_refused(monkeypatch):
    monkeypatch.setattr(cluster, "PATIENCE", 1.0)
    with socket.socket() as unused:  # bound, so that nobody else listens there; not listening itself
        unused.bind(("127.0.0.1", 0))
        address = "tcp://{}:{}".format(*unused.getsockname())
        with pytest.raises(ClusterError, match=f"expected a Dask scheduler's answer, found none at '{address}'"):
            robustness.bootstrap(meta.fit(YI, VI), scheduler=address)


@pytest.mark.parametrize("address", ["nowhere", "", "http://127.0.0.1:1", "127.0.0.1:no", "tcp://a:1/b"])
def test_what_is_no_address_is_refused(address):
    with pytest.raises(ClusterError, match=f"expected an address such as .*, found '{address}'"):
        robustness.all_subsets(meta.fit(YI[:4], VI[:4]), scheduler=address)


def test_without_dask_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ClusterError, match=r"expected Dask, found none: pip install 'cellclaims\[cluster\]'"):
        robustness.all_subsets(meta.fit(YI[:4], VI[:4]), scheduler="tcp://127.0.0.1:8786")


def test_nothing_of_dask_is_imported_without_an_address():
    code = (
        "import sys, cellclaims; from cellclaims import meta, robustness; from cellclaims.meta import cluster;"
        "robustness.all_subsets(meta.fit([0.1, 0.4], [0.1, 0.2]));"
        "sys.exit(', '.join({'dask', 'distributed'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_pieces_are_whole_chunks_and_together_the_batch():
    keep = RNG.random((100_001, STUDIES)) < 0.5
    effects = check_effects(YI, VI, keep)
    cut = batch._Cut.of(effects)
    pieces = list(cut.pieces())
    assert len(pieces) == 2 and sum(piece.total for piece in pieces) == 100_001
    assert [piece.total % cut.size for piece in pieces[:-1]] == [0] * (len(pieces) - 1)
    assert np.array_equal(np.concatenate([piece.columns[2] for piece in pieces]), keep)
    assert all(piece.columns[0] is cut.columns[0] for piece in pieces)  # what is the same for all fits stays one row
