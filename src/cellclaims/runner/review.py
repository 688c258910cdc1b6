"""The review: run and render all notebooks that are out of date with default parameters, and write the index.

A report is *up to date* when it was made from the same notebook, data, package and libraries, and its files are
unchanged. Both are compared by SHA-256, not by time.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import importlib.metadata
import json
import multiprocessing
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from markupsafe import Markup

from cellclaims.errors import NotebookError, ReviewError
from cellclaims.files import fingerprint, fingerprint_of, fingerprint_with_snapshots, sha256, write_atomically
from cellclaims.runner import page
from cellclaims.runner.page import Contents, Provenance, alternative, exporter, question, shell, tagged, title
from cellclaims.runner.run import TAG, Parameter, declared_in, places

if TYPE_CHECKING:
    from nbformat import NotebookNode


PACKAGE = Path(__file__).resolve().parents[1]

#: Folder of the records of reports, one file per report.
RECORDS = ".made"

#: Largest ratio of height to width of a figure on a card.
MOST_HEIGHT = 0.75

#: Number of notebooks from which their kernels are forked from one parent.
WORTH_WARMING = 3


@dataclass(frozen=True)
class Report:
    """One notebook of the review: its file, output folder, and the key of its inputs."""

    source: Path
    into: Path
    key: str
    data: Path
    figures: Path

    @property
    def name(self) -> str:
        """Name of the notebook and of its files."""
        return self.source.stem

    def files(self) -> list[Path]:
        """Return the existing files of the report; the names of its figures start with the notebook's number."""
        own = [self.into / f"{self.name}{ending}" for ending in (".ipynb", ".html", ".json", ".csv", ".R")]
        return [path for path in [*own, *sorted(self.figures.glob(f"{self.name[:3]}*.*"))] if path.is_file()]


def review(notebooks: Path, into: Path, *, workers: int = 2, say: Callable[[str], object] = print) -> list[str]:
    """Update the reports of all notebooks.

    Parameters
    ----------
    notebooks : Path
        Folder of the notebooks ``NN_<name>.ipynb``.
    into : Path
        Folder of the executed notebooks, their pages, ``results.json`` (every pool) and ``index.html``.
    workers : int
        Number of notebooks run in parallel.
    say : callable
        Called with one line per finished report.

    Returns
    -------
    list of str
        Names of the reports made; empty if all were up to date.

    Raises
    ------
    ReviewError
        If there are no notebooks.
    NotebookError
        If a notebook failed, after the others have finished.
    """
    reports = list(found(Path(notebooks), Path(into)))
    stale = [report for report in reports if not is_current(report.into, report.name, report.key)]
    made = list(_make_all(stale, workers, say))
    whole = hashlib.sha256("".join(report.key for report in reports).encode()).hexdigest()
    if made or not is_current(into, "index", whole):
        _conclude(reports, into, whole)
    return made


def found(notebooks: Path, into: Path) -> Iterator[Report]:
    """Yield the reports of a review, in reading order.

    Raises
    ------
    ReviewError
        If the folder contains no notebook named ``NN_<name>.ipynb``.
    """
    sources = sorted(path for path in notebooks.glob("[0-9][0-9]_*.ipynb") if "." not in path.stem)
    if not sources:
        raise ReviewError(f"expected notebooks such as 02_hba1c.ipynb, found none in {notebooks}")
    around = surroundings()
    fingerprints: dict[Path, str] = {}
    for source in sources:
        cells = cells_of(source)
        where = places(parameters_of(cells), {}, source, into)
        data = where.get("DATA", notebooks.resolve().parent / "data")
        if data not in fingerprints:
            fingerprints[data] = fingerprint_with_snapshots(data)
        made_from = json.dumps([around, fingerprints[data], cells])
        key = hashlib.sha256(made_from.encode()).hexdigest()
        yield Report(source, into, key, data, where.get("FIGURES", into / "figures"))


def cells_of(source: Path) -> list[list]:
    """Return kind, text and tags of the cells, on which a run depends; avoids nbformat, whose import takes a second."""
    try:
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        return [[cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", [])] for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise ReviewError(f"expected a notebook, found something else at {source}: {error!r}") from error


def parameters_of(cells: list[list]) -> tuple[Parameter, ...]:
    """Return the parameters declared in the result of :func:`cells_of`."""
    return next((declared_in(text) for kind, text, tags in cells if kind == "code" and TAG in tags), ())


def surroundings() -> list[str]:
    """Return the common inputs of all reports: files of the package, versions of Python and of the libraries."""
    files = (path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts)
    needed = importlib.metadata.requires("cellclaims") or []
    names = sorted({re.split(r"[^\w.-]", line)[0] for line in needed if "extra ==" not in line})
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return [fingerprint_of(PACKAGE, files), sys.version, *versions]


def is_current(into: Path, name: str, key: str) -> bool:
    """Return whether ``name`` was made from the same inputs, and its files are unchanged."""
    try:
        record = json.loads((into / RECORDS / f"{name}.json").read_text(encoding="utf-8"))
        return record["key"] == key and all(sha256(into / path) == digest for path, digest in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def write_record(into: Path, name: str, key: str, files: list[Path]) -> None:
    """Record the inputs and files of ``name``, for :func:`is_current`."""
    made = {Path(os.path.relpath(path, into)).as_posix(): sha256(path) for path in files}
    text = json.dumps({"key": key, "files": made}, indent=1, sort_keys=True)
    write_atomically(into / RECORDS / f"{name}.json", text + "\n")


def _make_all(reports: list[Report], workers: int, say: Callable[[str], object]) -> Iterator[str]:
    """Make reports in parallel; report each; raise failures at the end."""
    failures = []
    for done, (report, result) in enumerate(_finished(reports, workers), start=1):
        place = f"{done} of {len(reports)}: {report.name}"
        try:
            say(f"{place}, {result():.1f} s")
            yield report.name
        except NotebookError as error:
            say(f"{place} failed")
            failures.append(str(error))
    if failures:
        raise NotebookError("\n".join(failures))


def _finished(reports: list[Report], workers: int) -> Iterator[tuple[Report, Callable[[], float]]]:
    """Yield each report with a function that returns its result, as they finish; a single worker is this process.

    Kernels are forked if there are enough notebooks to save time. The longest notebooks come first, so that
    all finish at a similar time.
    """
    if min(workers, len(reports)) < 2:
        yield from ((report, functools.partial(make, report)) for report in reports)
        return
    from cellclaims.runner.workers import warmed

    is_worth_it = len(reports) >= WORTH_WARMING
    plain = contextlib.nullcontext(multiprocessing.get_context("spawn"))
    with (
        warmed(sorted({report.data for report in reports})) if is_worth_it else plain as context,
        ProcessPoolExecutor(workers, mp_context=context) as pool,
    ):
        running = {pool.submit(make, report): report for report in sorted(reports, key=_length, reverse=True)}
        yield from ((running[future], future.result) for future in as_completed(running))


def _length(report: Report) -> int:
    """Return the size of a notebook with its last outputs, as a measure of its duration."""
    return report.source.stat().st_size


def make(report: Report) -> float:
    """Run one notebook, write its page, and record its inputs; return the duration in seconds."""
    from cellclaims.runner.page import provenance, write_page
    from cellclaims.runner.run import run_notebook

    start = time.perf_counter()
    executed = run_notebook(report.source, report.into)
    page = report.into / f"{report.name}.html"
    write_page(executed, page, provenance(report.data), index="index.html")
    write_record(report.into, report.name, report.key, report.files())
    return time.perf_counter() - start


def _conclude(reports: list[Report], into: Path, key: str) -> None:
    """Merge the pools of all notebooks and write the index."""
    from cellclaims.runner.page import provenance
    from cellclaims.runner.run import read

    pools = {report.name: _pools(into / f"{report.name}.json") for report in reports}
    merged = [pool for own in pools.values() for pool in own]
    results = into / "results.json"
    write_atomically(results, json.dumps(merged, indent=1, ensure_ascii=False) + "\n")
    cards = [
        card_of(read(into / report.source.name), f"{report.name}.html", len(pools[report.name])) for report in reports
    ]
    page = into / "index.html"
    write_index(page, cards, provenance(reports[0].data), len(merged))
    write_record(into, "index", key, [results, page])


def _pools(path: Path) -> list:
    """Return the pools that a notebook recorded; none if it records nothing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


# Committed files: executed notebooks and figures, copied from reports with default parameters.

#: Notebooks that are not part of the review, and the paths of their executed files and pages in the reports.
APART = {"claim": "claim", "journal_club": "club"}


def take_over(notebooks: Path, into: Path, figures: Path) -> list[Path]:
    """Replace the committed notebooks and figures by those of the reports.

    Reports with other parameters, or changed since they were made, are refused before anything is
    copied. A notebook whose figures changed is run once more for its PNG files, which reports do not need.

    Parameters
    ----------
    notebooks : Path
        Folder of the notebooks.
    into : Path
        Folder of the reports of :func:`review`.
    figures : Path
        Folder of the committed figures.

    Returns
    -------
    list of Path
        The files that changed.

    Raises
    ------
    ReviewError
        If a report does not belong to the notebook, the data, the package and the defaults.
    """
    from cellclaims.runner.run import run_notebook

    reports = list(found(Path(notebooks), Path(into)))
    if other := [report.name for report in reports if not is_current(report.into, report.name, report.key)]:
        raise ReviewError(
            f"expected in {into} the reports that the notebooks make at their defaults, found another state of "
            f"{', '.join(other)}: made with other parameters, data or code, or changed since; `make review` makes "
            "them anew"
        )
    taken = []
    for report in reports:
        taken += _replaced(report.into / report.source.name, Path(notebooks))
        drawn = sorted(report.figures.glob(f"{report.name[:3]}*.svg"))
        if _differ(drawn, Path(figures)):
            with tempfile.TemporaryDirectory(prefix="cellclaims-") as own:
                run_notebook(report.source, Path(own), png=True)
                taken += _replaced_figures(Path(own, "figures"), Path(figures), report.name[:3])
    for name, folder in APART.items():
        source = Path(notebooks) / f"{name}.ipynb"
        if source.exists():
            executed = run_notebook(source, Path(into) / folder, png=True)
            taken += _replaced(executed, Path(notebooks))
            taken += _replaced_figures(executed.parent / "figures", Path(figures), f"{folder}_")
    return taken


def _differ(drawn: list[Path], figures: Path) -> bool:
    """Return whether the figures of a report differ from those of a folder, or one has no PNG there."""
    kept = [figures / path.name for path in drawn]
    return not all(
        there.is_file() and there.with_suffix(".png").is_file() and there.read_bytes() == path.read_bytes()
        for path, there in zip(drawn, kept, strict=True)
    )


def _replaced(path: Path, folder: Path) -> list[Path]:
    """Copy a file into a folder; return its path if anything changed."""
    target, content = folder / path.name, path.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return []
    write_atomically(target, content)
    return [target]


def _replaced_figures(made: Path, figures: Path, start: str) -> list[Path]:
    """Replace the figures of a notebook, which have the same start of their names."""
    new = sorted(path for path in made.glob("*") if path.is_file())
    gone = [path for path in sorted(figures.glob(f"{start}*")) if path.name not in {one.name for one in new}]
    for path in gone:
        path.unlink()
    return [*gone, *(target for path in new for target in _replaced(path, figures))]


# The index: a card for each notebook with its question, its answer and its main figure.


def headline(notebook: NotebookNode) -> Markup:
    """Return the answer in short: the first output of the cell tagged ``headline``; empty if there is none."""
    outputs = [output for cell in tagged(notebook, "headline") for output in cell.outputs]
    return Contents().output(outputs[0]) if outputs else Markup()


def main_drawing(notebook: NotebookNode) -> Mapping[str, str]:
    """Return the figure for the card: of a cell tagged ``main-figure``, else the first with a suitable shape.

    Cards are wide, so figures higher than three quarters of their width would be unreadable.
    """
    drawings = _drawings([*tagged(notebook, "main-figure"), *notebook.cells])
    if tagged(notebook, "main-figure") and drawings:
        return drawings[0]
    return next((one for one in drawings if _height_to_width(one) <= MOST_HEIGHT), next(iter(drawings), {}))


def _height_to_width(drawing: Mapping[str, str]) -> float:
    """Return the ratio of height to width of a figure, from its view box; 0 if it has none."""
    box = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', drawing["image/svg+xml"])
    return float(box[2]) / float(box[1]) if box else 0.0


def _drawings(cells: list[NotebookNode]) -> list[Mapping[str, str]]:
    outputs = (output for cell in cells if cell.cell_type == "code" for output in cell.outputs)
    return [output.data for output in outputs if "image/svg+xml" in output.get("data", {})]


@dataclass(frozen=True)
class Card:
    """Data of one page in the index."""

    address: str
    title: str
    question: Markup
    headline: Markup
    picture: str
    alternative: str
    counts: str


def card_of(notebook: NotebookNode, address: str, pools: int, picture: str | None = None) -> Card:
    """Return the card of a page.

    Parameters
    ----------
    notebook : NotebookNode
        Executed.
    address : str
        Address of its page, relative to the index.
    pools : int
        Number of recorded pools.
    picture : str, optional
        Address of the file of the main figure; without it the card contains the figure itself.
    """
    main = main_drawing(notebook)
    figures = len(_drawings(notebook.cells))
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    tables = sum("<table" in output.get("data", {}).get("text/html", "") for output in outputs)
    counts = [(figures, "figure"), (tables, "table"), (pools, "pool")]
    return Card(
        address,
        title(notebook),
        page.markdown(question(notebook)),
        headline(notebook),
        picture or (page.data_uri(main["image/svg+xml"]) if main else ""),
        alternative(main) if main else "",
        ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts if count),
    )


def write_index(target: Path, cards: list[Card], origin: Provenance, pools: int) -> None:
    """Write the index with links to all pages and to the results of every pool."""
    template = exporter().environment.get_template("index.html.j2")
    text = template.render(cards=cards, origin=origin, pools=pools, shell=shell())
    write_atomically(target, text)


# Cached texts that take long to compute.


def stored(name: str, data: Path, make: Callable[[], dict[str, str]], into: Path = Path("reports")) -> dict[str, str]:
    """Return the result of ``make``, from the cache if its inputs have not changed.

    Parameters
    ----------
    name : str
        Name of the cache file.
    data : Path
        Folder of the evidence.
    make : callable
        Returns the texts by name; its exceptions are passed on, and nothing is cached.
    into : Path
        Folder of the reports; nothing is cached if it does not exist.
    """
    if not (into.is_dir() and data.is_dir()):
        return make()
    path = into / RECORDS / f"{name}.texts.json"
    key = hashlib.sha256(json.dumps([surroundings(), fingerprint(data)]).encode()).hexdigest()
    found = _read(path)
    if found.get("key") != key:
        found = {"key": key, "texts": make()}
        write_atomically(path, json.dumps(found, ensure_ascii=False, indent=1) + "\n")
    return found["texts"]


def _read(path: Path) -> dict:
    """Return the cached texts; None if there is no such file or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) and isinstance(found.get("texts"), dict) else {}
    except (OSError, ValueError):
        return {}
