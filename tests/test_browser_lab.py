"""JupyterLab itself, as a reader opens it: every notebook, all cells run, leaves the outputs that are committed."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections import deque

import nbformat
import pytest

from cellclaims.runner.run import ONE_THREAD, read, without_run_traces

from .conftest import NOTEBOOKS, REPOSITORY
from .test_freshness import difference, svgs, texts

pytestmark = pytest.mark.browser

#: The journal club shows controls where somebody looks on, not what is committed: test_club_browser moves each of them.
COMPARED = [path for path in NOTEBOOKS if path.stem != "journal_club"]
EACH = pytest.mark.parametrize("path", COMPARED, ids=lambda path: path.stem)

#: Notebooks at work at the same time.
AT_ONCE = 2
#: Milliseconds for a page with its kernel, and for all cells of a notebook.
TO_OPEN, TO_RUN = 120_000, 300_000

KERNEL = "window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel"
MODEL = "window.jupyterapp.shell.currentWidget.content.model"


def copied(folder):
    """The review in another place: data as they are, notebooks without their outputs."""
    shutil.copytree(REPOSITORY / "data", folder / "data")
    (folder / "notebooks").mkdir()
    for path in COMPARED:
        book = read(path)
        for cell in book.cells:
            if cell.cell_type == "code":
                cell.outputs, cell.execution_count = [], None
        nbformat.write(book, folder / "notebooks" / path.name)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A running JupyterLab on a copy of the review, with settings of its own; its address."""
    home = tmp_path_factory.mktemp("lab")
    copied(home / "review")
    port, token = free_port(), "only-for-this-test"
    own = {name: str(home / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "JUPYTER_RUNTIME_DIR")}
    around = {**os.environ, **ONE_THREAD, **own, "IPYTHONDIR": str(home / "ipython")}
    options = ["--no-browser", "--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.allow_root=True"]
    options += [f"--ServerApp.root_dir={home / 'review'}", f"--IdentityProvider.token={token}"]
    options += ["--LabApp.expose_app_in_browser=True", "--LabApp.news_url=''"]
    with (home / "log").open("w") as log:
        command = [sys.executable, "-m", "jupyterlab", *options]
        server = subprocess.Popen(command, env=around, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{address}/api?token={token}", server, home / "log")
        yield f"{address}/lab/tree/notebooks/{{name}}?reset&token={token}"
    finally:
        server.terminate()
        server.wait(30)


def wait_for(address, server, log, seconds=90):
    """Wait until the server answers; its log says why it does not."""
    end = time.monotonic() + seconds
    while True:
        try:
            return urllib.request.urlopen(address, timeout=5).close()
        except OSError:
            assert server.poll() is None and time.monotonic() < end, log.read_text()[-2000:]
            time.sleep(0.2)


def begin(chromium, lab, path):
    """Open a notebook in a tab of its own and start all its cells."""
    tab = chromium.new_context().new_page()
    tab.requested = []
    tab.on("request", lambda request: tab.requested.append(request.url))
    tab.goto(lab.format(name=path.name), timeout=TO_OPEN)
    tab.wait_for_function(f"{KERNEL}?.status === 'idle'", timeout=TO_OPEN)
    tab.evaluate("window.ended = window.jupyterapp.commands.execute('notebook:run-all-cells'); 0")
    return tab


def end(tab):
    """The notebook of a tab when all its cells have run, and what was asked of other machines; the kernel is ended."""
    tab.set_default_timeout(TO_RUN)
    tab.wait_for_function("window.ended.then(() => true)", timeout=TO_RUN)
    book = nbformat.from_dict(tab.evaluate(f"{MODEL}.toJSON()"))
    tab.evaluate("window.jupyterapp.shell.currentWidget.sessionContext.shutdown()")
    outside = [url for url in tab.requested if not url.startswith(("http://127.0.0.1:", "data:", "blob:"))]
    tab.context.close()
    return book, outside


@pytest.fixture(scope="module")
def executed(chromium, lab):
    """Every notebook as JupyterLab leaves it, by name, with the addresses outside this machine that it asked."""
    done, running = {}, deque()
    for path in sorted(COMPARED, key=lambda path: path.stat().st_size):
        running.append((path, begin(chromium, lab, path)))
        if len(running) == AT_ONCE:
            first, tab = running.popleft()
            done[first.name] = end(tab)
    done.update({path.name: end(tab) for path, tab in running})
    return done


@EACH
def test_all_cells_run_in_jupyterlab_to_the_committed_outputs(executed, path):
    book, outside = executed[path.name]
    made, committed = without_run_traces(book, read(path)), read(path)
    assert [cell.source for cell in made.cells] == [cell.source for cell in committed.cells]
    assert [cell.get("execution_count") for cell in made.cells] == [c.get("execution_count") for c in committed.cells]
    # JupyterLab writes the kinds of one output in an order of its own
    assert sorted(unrecorded(made)) == sorted(unrecorded(committed))
    assert len(svgs(made)) == len(svgs(committed))
    assert [difference(a, b) for a, b in zip(svgs(made), svgs(committed), strict=True)] == [None] * len(svgs(made))
    assert outside == []


def unrecorded(book):
    """The texts without how many pools were recorded where: by hand nothing is recorded."""
    pools = r"\d+ pools(, not recorded: no folder for reports was given\.| recorded in \S+\.json\.) ?"
    record = re.compile(rf"{pools}| ?\d+ entr(?:ies are|y is) in claims\.json\.")
    return [(number, kind, record.sub("", text)) for number, kind, text in texts(book)]


def test_there_is_a_notebook_with_tables_and_drawings_to_compare(executed):
    books = [book for book, _ in executed.values()]
    assert len(books) == len(COMPARED) >= 7
    assert all(list(texts(book)) for book in books)
    assert sum(bool(svgs(book)) for book in books) >= 7
