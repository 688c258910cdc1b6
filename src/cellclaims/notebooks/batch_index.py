"""The index of a batch: a card a report with its values, headline and main figure, filters by value, failures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cellclaims.files import write_atomically
from cellclaims.notebooks.batch_plan import Failure, Job, failure_of
from cellclaims.notebooks.index import Card, card, main_drawing
from cellclaims.notebooks.numbers import as_csv, pool_lines, pools_of
from cellclaims.notebooks.parameter_sets import ParameterSets
from cellclaims.notebooks.render import exporter, provenance, shell
from cellclaims.notebooks.review import is_current
from cellclaims.notebooks.run import read

#: A parameter with more values than this is not worth a filter.
MOST_VALUES = 40

INDEX, NUMBERS, MACHINE = "index.html", "results.csv", "batch.json"


@dataclass(frozen=True)
class Facet:
    """A filter: a parameter (or the notebook) with the values that reports have, and how many have each."""

    name: str
    values: Sequence[tuple[str, int]]


@dataclass(frozen=True)
class Entry:
    """One report in the index: whole, failed, or not made yet (neither card nor failure).

    ``numbers`` says which value of each filter is its own; ``pools`` are those that it recorded.
    """

    job: Job
    values: Mapping[str, str]
    numbers: Mapping[str, int]
    card: Card | None
    failure: Failure | None
    pools: Sequence[Mapping[str, Any]]

    @property
    def files(self) -> list[str]:
        """Names of the report's files of numbers."""
        return sorted(path.name for path in self.job.folder.iterdir() if path.suffix in (".csv", ".json"))

    @property
    def which(self) -> str:
        """What sets the report apart from others of its notebook: the values that it was given."""
        return ", ".join(f"{name} {value}" for name, value in self.values.items() if name != "notebook")


def conclude(sets: ParameterSets, jobs: Sequence[Job], into: Path) -> None:
    """Write ``index.html``, ``results.csv`` and ``batch.json`` of a batch from the reports that are whole."""
    shown = {job.name: _values(job) for job in jobs}
    facets = facets_of(shown)
    entries = [_entry(job, shown[job.name], facets) for job in jobs]
    whole = [entry.job for entry in entries if entry.card]
    write_atomically(into / NUMBERS, as_csv(line for job in whole for line in _lines(job, shown[job.name])))
    write_atomically(into / MACHINE, json.dumps(_machine(sets, entries), indent=1, ensure_ascii=False) + "\n")
    template = exporter().environment.get_template("batch.html.j2")
    page = template.render(
        sets=sets,
        facets=facets,
        entries=entries,
        telling=telling(entries),
        origin=provenance(jobs[0].data),
        shell=shell(),
    )
    write_atomically(into / INDEX, page)


def _values(job: Job) -> dict[str, str]:
    """The values of a report as text, the notebook first."""
    return {"notebook": job.notebook.stem} | {name: _words(value) for name, value in job.values.items()}


def _words(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(_words, value)) or "none"
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)


def facets_of(shown: Mapping[str, Mapping[str, str]]) -> list[Facet]:
    """The filters worth having: two values or more, but not another for each report; in order of appearance.

    Examples
    --------
    >>> facets_of({"a": {"MONTHS": "6", "X": "1"}, "b": {"MONTHS": "12", "X": "1"}, "c": {"MONTHS": "6"}})
    [Facet(name='MONTHS', values=[('6', 2), ('12', 1)])]
    """
    names = dict.fromkeys(name for values in shown.values() for name in values)
    counted = {name: [values[name] for values in shown.values() if name in values] for name in names}
    facets = [Facet(n, [(v, found.count(v)) for v in dict.fromkeys(found)]) for n, found in counted.items()]
    return [facet for facet in facets if 2 <= len(facet.values) <= MOST_VALUES and len(facet.values) < len(shown)]


def _entry(job: Job, values: Mapping[str, str], facets: Sequence[Facet]) -> Entry:
    numbers = {
        facet.name: [value for value, _ in facet.values].index(values[facet.name])
        for facet in facets
        if facet.name in values
    }
    failure = failure_of(job)
    shown = _card(job) if failure is None and is_current(job.into, job.name, job.key) else None
    return Entry(job, values, numbers, shown, failure, pools_of(job.folder / job.notebook.name) if shown else [])


def telling(entries: Sequence[Entry]) -> list[tuple[Entry, Mapping[str, Any]]]:
    """Each report with the pool that says most of it: of those that reports of its notebook have, the first whose
    result is not the same in all; the first of all where none differs. Reports without a pool are left out.
    """
    results: dict[tuple[str, str], set[str]] = {}
    for entry in entries:
        for pool in entry.pools:
            own = results.setdefault((entry.job.notebook.stem, pool["pool"]), set())
            own.add(json.dumps(pool["result"], sort_keys=True))
    chosen = []
    for entry in [entry for entry in entries if entry.pools]:
        differing = (pool for pool in entry.pools if len(results[entry.job.notebook.stem, pool["pool"]]) > 1)
        chosen.append((entry, next(differing, entry.pools[0])))
    return chosen


def _card(job: Job) -> Card:
    """The card of a report; its picture is the file of its main figure, so that the index stays small."""
    executed = job.folder / job.notebook.name
    notebook = read(executed)
    drawing = main_drawing(notebook).get("image/svg+xml", "")
    files = (path for path in job.folder.rglob("*.svg") if path.read_text(encoding="utf-8") == drawing)
    file = next(files, None) if drawing else None
    picture = file.relative_to(job.into).as_posix() if file else None
    return card(notebook, job.page, len(pools_of(executed)), picture)


def _lines(job: Job, values: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """The numbers of a report's pools, after its name and values."""
    for line in pool_lines(pools_of(job.folder / job.notebook.name)):
        yield {"report": job.name, **values, **line}


def _machine(sets: ParameterSets, entries: Sequence[Entry]) -> dict[str, Any]:
    """The batch for machines: what ``index.html`` shows."""
    reports = [
        {
            "name": entry.job.name,
            "notebook": entry.job.notebook.stem,
            "values": entry.job.values,
            "made_from": entry.job.key,
            "state": "made" if entry.card else "failed" if entry.failure else "not made",
            "page": entry.job.page if entry.card else None,
            "headline": str(entry.card.headline.striptags()) if entry.card else None,
            "failure": asdict(entry.failure) if entry.failure else None,
        }
        for entry in entries
    ]
    return {"title": sets.title, "about": sets.about, "reports": reports}
