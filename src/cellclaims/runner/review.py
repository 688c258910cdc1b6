"""All notebooks at their defaults: what is out of date is run, rendered and listed; what is not is left alone.

A report is *up to date* when it was made from the same notebook, data, package and libraries, and the files it
made are still those that were made. Both are compared by SHA-256, never by time.
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

#: What a report says about itself is kept here, one file a report.
RECORDS = ".made"

#: A drawing on a card is at most so high, by its width.
MOST_HEIGHT = 0.75

#: Notebooks from which on their kernels are forked from one warmed parent.
WORTH_WARMING = 3


@dataclass(frozen=True)
class Report:
    """One notebook to be reviewed: its file, where its files go, and the key of what it is made from."""

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
        """The files that the report consists of, as far as they exist; its figures have the notebook's number."""
        own = [self.into / f"{self.name}{ending}" for ending in (".ipynb", ".html", ".json", ".csv", ".R")]
        return [path for path in [*own, *sorted(self.figures.glob(f"{self.name[:3]}*.*"))] if path.is_file()]


def review(notebooks: Path, into: Path, *, workers: int = 2, say: Callable[[str], object] = print) -> list[str]:
    """Bring the reports of all notebooks up to date.

    Parameters
    ----------
    notebooks : Path
        Folder of the notebooks ``NN_<name>.ipynb``.
    into : Path
        Folder of the executed notebooks, their pages, ``results.json`` (every pool) and ``index.html``.
    workers : int
        How many notebooks run at the same time.
    say : callable
        Is told one line for each finished report.

    Returns
    -------
    list of str
        Names of the reports that were made; empty if all were up to date.

    Raises
    ------
    ReviewError
        If there are no notebooks.
    NotebookError
        If a notebook failed; the others are finished first.
    """
    reports = list(found(Path(notebooks), Path(into)))
    stale = [report for report in reports if not is_current(report.into, report.name, report.key)]
    made = list(_make_all(stale, workers, say))
    whole = hashlib.sha256("".join(report.key for report in reports).encode()).hexdigest()
    if made or not is_current(into, "index", whole):
        _conclude(reports, into, whole)
    return made


def found(notebooks: Path, into: Path) -> Iterator[Report]:
    """The reports that a review consists of, in reading order.

    Raises
    ------
    ReviewError
        If the folder holds no notebook named ``NN_<name>.ipynb``.
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
    """What a run depends on of a notebook: kind, text and tags of its cells, read without nbformat (a second)."""
    try:
        cells = json.loads(source.read_text(encoding="utf-8"))["cells"]
        return [[cell["cell_type"], "".join(cell["source"]), cell["metadata"].get("tags", [])] for cell in cells]
    except (ValueError, KeyError, TypeError) as error:
        raise ReviewError(f"expected a notebook, found something else at {source}: {error!r}") from error


def parameters_of(cells: list[list]) -> tuple[Parameter, ...]:
    """The parameters declared in what :func:`cells_of` read."""
    return next((declared_in(text) for kind, text, tags in cells if kind == "code" and TAG in tags), ())


def surroundings() -> list[str]:
    """What every report depends on: the package's files, and the versions of Python and of the libraries."""
    files = (path for path in PACKAGE.rglob("*") if "__pycache__" not in path.parts)
    needed = importlib.metadata.requires("cellclaims") or []
    names = sorted({re.split(r"[^\w.-]", line)[0] for line in needed if "extra ==" not in line})
    versions = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return [fingerprint_of(PACKAGE, files), sys.version, *versions]


def is_current(into: Path, name: str, key: str) -> bool:
    """Whether ``name`` was made from the same things, and its files are as they were made."""
    try:
        record = json.loads((into / RECORDS / f"{name}.json").read_text(encoding="utf-8"))
        return record["key"] == key and all(sha256(into / path) == digest for path, digest in record["files"].items())
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def write_record(into: Path, name: str, key: str, files: list[Path]) -> None:
    """Note what ``name`` was made from and the files that it made, for :func:`is_current`."""
    made = {Path(os.path.relpath(path, into)).as_posix(): sha256(path) for path in files}
    text = json.dumps({"key": key, "files": made}, indent=1, sort_keys=True)
    write_atomically(into / RECORDS / f"{name}.json", text + "\n")


def _make_all(reports: list[Report], workers: int, say: Callable[[str], object]) -> Iterator[str]:
    """Make reports, some at the same time; tell of each; at the end raise what failed."""
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
    """Each report with what gives its result, as they finish; one worker is this process.

    The parents of forks are warmed if there are enough notebooks to win back the time. The longest come first, so that
    none is left over at the end when the others are done.
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
    """Bytes of a notebook with what it showed when it was last run: the more it shows, the longer it computes."""
    return report.source.stat().st_size


def make(report: Report) -> float:
    """Run one notebook, write its page, and note what it was made from; the seconds that it took."""
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
    """The pools that a notebook recorded; none if it records nothing."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


# What is committed: the executed notebooks and their figures, taken over from reports that are those of the defaults.

#: Notebooks that no review runs, and where their executed files and pages lie inside the reports.
APART = {"claim": "claim", "journal_club": "club"}


def take_over(notebooks: Path, into: Path, figures: Path) -> list[Path]:
    """Replace the committed notebooks and figures by those of the reports.

    Reports that are not those of the defaults, or were changed since they were made, are refused before anything is
    copied. A notebook whose drawings changed is run once more for its PNG files, which reports have no use for.

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
        If a report is not that of the notebook, the data, the package and the defaults: names it.
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
    """Whether the drawings of a report are not those of a folder, or one has no PNG there."""
    kept = [figures / path.name for path in drawn]
    return not all(
        there.is_file() and there.with_suffix(".png").is_file() and there.read_bytes() == path.read_bytes()
        for path, there in zip(drawn, kept, strict=True)
    )


def _replaced(path: Path, folder: Path) -> list[Path]:
    """Put a file into a folder; its place if that changed anything."""
    target, content = folder / path.name, path.read_bytes()
    if target.is_file() and target.read_bytes() == content:
        return []
    write_atomically(target, content)
    return [target]


def _replaced_figures(made: Path, figures: Path, start: str) -> list[Path]:
    """Put the figures of a notebook in the place of those whose names start alike."""
    new = sorted(path for path in made.glob("*") if path.is_file())
    gone = [path for path in sorted(figures.glob(f"{start}*")) if path.name not in {one.name for one in new}]
    for path in gone:
        path.unlink()
    return [*gone, *(target for path in new for target in _replaced(path, figures))]


# The page that leads to all pages: a card for each notebook with its question, its answer and its main figure.


def headline(notebook: NotebookNode) -> Markup:
    """The answer in short: the first output of the cell tagged ``headline``; empty if there is none."""
    outputs = [output for cell in tagged(notebook, "headline") for output in cell.outputs]
    return Contents().output(outputs[0]) if outputs else Markup()


def main_drawing(notebook: NotebookNode) -> Mapping[str, str]:
    """The drawing that stands for the notebook: of a cell tagged ``main-figure``, else the first that a card can show.

    A card is wider than high: in a drawing that is higher than three quarters of its width nothing could be read.
    """
    drawings = _drawings([*tagged(notebook, "main-figure"), *notebook.cells])
    if tagged(notebook, "main-figure") and drawings:
        return drawings[0]
    return next((one for one in drawings if _height_to_width(one) <= MOST_HEIGHT), next(iter(drawings), {}))


def _height_to_width(drawing: Mapping[str, str]) -> float:
    """Height of a drawing by its width, from its view box; 0 if it has none."""
    box = re.search(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"', drawing["image/svg+xml"])
    return float(box[2]) / float(box[1]) if box else 0.0


def _drawings(cells: list[NotebookNode]) -> list[Mapping[str, str]]:
    outputs = (output for cell in cells if cell.cell_type == "code" for output in cell.outputs)
    return [output.data for output in outputs if "image/svg+xml" in output.get("data", {})]


@dataclass(frozen=True)
class Card:
    """What the index says about one page."""

    address: str
    title: str
    question: Markup
    headline: Markup
    picture: str
    alternative: str
    counts: str


def card_of(notebook: NotebookNode, address: str, pools: int, picture: str | None = None) -> Card:
    """The card of a page.

    Parameters
    ----------
    notebook : NotebookNode
        Executed.
    address : str
        Where its page lies, seen from the index.
    pools : int
        How many pools it recorded.
    picture : str, optional
        Address of the main drawing's file; without it the card holds the drawing itself.
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
    """Write the page that leads to all pages and to the numbers of every pool."""
    template = exporter().environment.get_template("index.html.j2")
    text = template.render(cards=cards, origin=origin, pools=pools, shell=shell())
    write_atomically(target, text)


# Texts that are dear to compute, kept beside the reports and printed at once while nothing has changed.


def stored(name: str, data: Path, make: Callable[[], dict[str, str]], into: Path = Path("reports")) -> dict[str, str]:
    """What ``make`` returns, from the last time if nothing that it depends on has changed.

    Parameters
    ----------
    name : str
        Of the texts, for their file.
    data : Path
        Folder of the evidence that they are made from.
    make : callable
        Makes the texts, by name; what it raises is raised, and nothing is kept.
    into : Path
        Folder of the reports; nothing is kept where there is none.
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
    """What was kept; nothing if there is no such file or it is damaged."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        return found if isinstance(found, dict) and isinstance(found.get("texts"), dict) else {}
    except (OSError, ValueError):
        return {}
