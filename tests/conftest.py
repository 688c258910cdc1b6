"""What every test may ask for: the reference values, and the folder of shared material."""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import nbformat
import pytest

from . import made_up_trials

if TYPE_CHECKING:
    from cellclaims.claims import Entry
    from cellclaims.evidence import Evidence
    from cellclaims.protocol import Protocol
    from cellclaims.selection import EvidenceBase

#: The same examples in every run: what is green here is green there. HYPOTHESIS_PROFILE=search looks for new ones.
hypothesis.settings.register_profile("same", derandomize=True, deadline=None)
hypothesis.settings.register_profile("search", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

REPOSITORY = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
ORACLE_PACK = REPOSITORY / "tests" / "reference" / "oracle.tar.xz"


class Oracle(Mapping[str, dict]):
    """The reference files by name without ``.json`` (``oracle["bcg__RR"]``), parsed when first asked for.

    ``analyses()`` are the dataset x measure files, ``ending("escalc")`` those named ``<dataset>__escalc``,
    ``starting("mv_")`` those of three-level models; each yields ``(name, content)``.
    """

    def __init__(self, pack: Path) -> None:
        with tarfile.open(pack) as archive:
            self.raw = {entry.name: archive.extractfile(entry).read() for entry in archive}
        self.parsed: dict[str, dict] = {}

    def __getitem__(self, name: str) -> dict:
        if name not in self.parsed:
            self.parsed[name] = json.loads(self.raw[f"{name}.json"])
        return self.parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(name.removesuffix(".json") for name in self.raw if name.endswith(".json")))

    def __len__(self) -> int:
        return sum(name.endswith(".json") for name in self.raw)

    def starting(self, start: str) -> Iterator[tuple[str, dict]]:
        """Files whose name starts with ``start``."""
        return ((name, self[name]) for name in self if name.startswith(start))

    def ending(self, part: str) -> Iterator[tuple[str, dict]]:
        """Files named ``<dataset>__<part>``."""
        return ((name, self[name]) for name in self if name.endswith(f"__{part}"))

    def analyses(self) -> Iterator[tuple[str, dict]]:
        """Files of one dataset on one measure: those with ``fits``."""
        return ((name, self[name]) for name in self if "__" in name and "fits" in self[name])


@functools.cache
def read_oracle() -> Oracle:
    """The packed reference values, opened once a run."""
    return Oracle(ORACLE_PACK)


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    """Reference values of metafor (``tests/reference/ORIGIN.md``)."""
    return read_oracle()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ``shared`` beside the repository; without it a skip, on CI (where skips pass) a failure."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("the folder 'shared' is expected beside the repository on CI")
        pytest.skip("no folder 'shared' beside the repository: nothing to compare with")
    return folder


@pytest.fixture(scope="session")
def base() -> EvidenceBase:
    """The evidence and the protocol of the repository, with its rows prepared once for all tests."""
    return made_up_trials.base()


@pytest.fixture(scope="session")
def evidence(base: EvidenceBase) -> Evidence:
    """The evidence of the repository."""
    return base.evidence


@pytest.fixture(scope="session")
def rules(base: EvidenceBase) -> Protocol:
    """The protocol of the repository."""
    return base.protocol


@pytest.fixture(scope="session")
def entries() -> list[Entry]:
    """The ledger of the review, made once."""
    return list(made_up_trials.known_ledger())


#: A cell is its text (markdown), or its code with its tags.
Cells = list[str | tuple[str, ...]]

OPENING = "# Does it double?\n\n**Question.** Is twice the dose twice\nthe number?"
PARAMETERS = """\
DOSE: float = 2.0  # how much of it
PARTS: list[str] = ["whole"]  # which parts of it
LIMIT: int | None = None  # at most so many
DATA: str = "../data"  # folder of the evidence
FIGURES: str = ""  # folder of the figures
REPORTS: str = ""  # folder of the pools
"""


def write_notebook(path: Path, cells: Cells) -> Path:
    """Write a small notebook: text as markdown cells, ``(code, *tags)`` as code cells, with ids that say where."""
    book = nbformat.v4.new_notebook(metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}})
    for number, cell in enumerate(cells):
        made = (
            nbformat.v4.new_markdown_cell(cell)
            if isinstance(cell, str)
            else nbformat.v4.new_code_cell(cell[0], metadata={"tags": list(cell[1:])} if cell[1:] else {})
        )
        made["id"] = f"own-{number}"
        book.cells.append(made)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(book, path)
    return path


@pytest.fixture
def small_review(tmp_path: Path) -> Callable[..., Path]:
    """A made-up review in an empty folder: ``small_review(*cells, name=...)`` adds a notebook and returns it."""
    (tmp_path / "data").mkdir()
    protocol = (REPOSITORY / "data" / "protocol.yml").read_bytes()
    (tmp_path / "data" / "protocol.yml").write_bytes(protocol)

    def add(*cells: str | tuple[str, ...], name: str = "01_double") -> Path:
        start: Cells = [OPENING, (PARAMETERS, "parameters")]
        return write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", [*start, *cells])

    return add


def executed_fresh(folder: Path) -> dict[str, str]:
    """Execute every notebook into a folder by ``python -m papermill``; what went wrong, by notebook."""
    # the committed notebooks are those of a clone without snapshots, whatever this clone has pulled
    shutil.copytree(REPOSITORY / "data", folder / "data", ignore=shutil.ignore_patterns("registry"))
    # the user's start-up files are not part of the review
    surroundings = {**os.environ, "IPYTHONDIR": str(folder / "ipython"), "OMP_NUM_THREADS": "1", "CELLCLAIMS_PNG": "1"}

    def execute(path: Path) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "papermill", path, folder / path.name, "--cwd", path.parent]
        command += ["--no-progress-bar", "-p", "DATA", folder / "data"]
        command += ["-p", "FIGURES", folder / "drawn", "-p", "REPORTS", folder]
        return subprocess.run(command, env=surroundings, capture_output=True, text=True)

    with ThreadPoolExecutor(2) as pool:
        done = zip(NOTEBOOKS, pool.map(execute, NOTEBOOKS), strict=True)
        return {path.name: run.stderr for path, run in done if run.returncode}


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every notebook as papermill executes it, and the figures that they drew.

    Of several processes of pytest the first that needs it makes it; the others wait for its word that it is done.
    """
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "fresh"
    word = folder.with_suffix(".json")
    try:
        folder.mkdir()
    except FileExistsError:
        end = time.monotonic() + 600
        while not word.exists() and time.monotonic() < end:
            time.sleep(0.2)
    else:
        faults = json.dumps(executed_fresh(folder))
        word.with_suffix(".part").write_text(faults)
        word.with_suffix(".part").replace(word)
    assert json.loads(word.read_text()) == {}
    return folder


# --- reports in a browser ----------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> Iterator[object]:
    """A running Chromium; without one the tests are skipped, on CI too (a browser cannot be had everywhere)."""
    from cellclaims.errors import ReviewError
    from cellclaims.runner import pdf

    playwright = pytest.importorskip("playwright.sync_api", reason="no Playwright: make browser installs it")
    try:
        program = pdf.chromium()
    except ReviewError as error:
        pytest.skip(str(error))
    with playwright.sync_playwright() as tool:
        browser = tool.chromium.launch(executable_path=program, args=["--no-sandbox", *pdf.QUIET])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def batch_index(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The index of ``runs/sensitivity.yml``, its reports put together from those of the review: no kernel starts."""
    from cellclaims.runner import batch as index
    from cellclaims.runner.batch_report import jobs_of
    from cellclaims.runner.parameter_sets import read_sets
    from cellclaims.runner.review import write_record

    into = tmp_path_factory.mktemp("batch") / "sensitivity"
    sets = read_sets(REPOSITORY / "runs" / "sensitivity.yml")
    jobs = jobs_of(sets, into)
    for job in jobs:
        shutil.copytree(REPOSITORY / "reports" / "figures", job.folder / "figures")
        for made in (REPOSITORY / "reports").glob(f"{job.notebook.stem}.*"):
            shutil.copy(made, job.folder)
        write_record(into, job.name, job.key, [job.folder / job.notebook.name])
    index.conclude(sets, jobs, into)
    return into / index.INDEX
