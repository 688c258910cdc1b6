"""Runs every notebook with many values of its parameters: none may crash, and all sentences must match the parameters.

``python benchmarks/grid.py`` runs the whole grid of population, product, window, designs and level (``make grid``);
``--part 3`` runs a third of it, drawn at random. The suite runs :func:`pairwise`, in which every two values of any
two parameters meet (tests/test_grid.py).

What is looked at: titles of the recorded pools, the headline, the text of every drawing, and the names of intervals.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import json
import multiprocessing
import random
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from html import unescape
from pathlib import Path

from cellclaims.errors import ReviewError
from cellclaims.runner import kernels
from cellclaims.runner.run import ONE_THREAD, read, run_notebook

ROOT = Path(__file__).resolve().parent.parent
POPULATIONS = ("T2D", "T1D", "T3c", "mixed")
PRODUCTS = (
    "any_cells", "msc", "marrow_cells", "hsct", "other_cells", "islets", "stem_cell_islets", "autologous_islets",
)  # fmt: skip
LEVELS = (0.95, 0.9)
DESIGNS = (["rct"], [], ["single_arm", "cohort"])

#: Notebook -> the values of its parameters that are combined. LEVEL is the protocol's, in a copy of the data.
GRID: Mapping[str, Mapping[str, tuple]] = {
    "02_hba1c": {
        "POPULATION": POPULATIONS,
        "PRODUCT": PRODUCTS,
        "TIME": ({}, {"LONGEST": 60.0}, {"SHORTEST": 6.0, "LONGEST": 6.0}),
        "DESIGNS": DESIGNS,
        "LEVEL": LEVELS,
    },
    "03_insulin_independence": {
        "POPULATION": POPULATIONS,
        "PRODUCT": PRODUCTS,
        "TIME": ({}, {"MONTHS": 7.0}, {"MONTHS": 60.0, "CELL_WINDOW": 12.0}),
        "LEVEL": LEVELS,
    },
    "04_half_the_insulin": {"POPULATION": POPULATIONS, "PRODUCT": PRODUCTS, "LEVEL": LEVELS},
    "06_harms": {"POPULATION": ("T2D", "T1D", "T3c"), "PRODUCT": ("islets", "hsct"), "LEVEL": LEVELS},
    "07_how_sure": {"POPULATION": ("T1D", "T3c"), "PRODUCT": ("msc", "islets"), "LEVEL": LEVELS},
    "08_what_else": {"POPULATION": ("T1D", "mixed"), "PRODUCT": ("msc", "islets"), "LEVEL": LEVELS},
}

#: Words for a type of diabetes or a product.
POPULATION_WORDS = {
    "T1D": r"type 1\b|\bT1D\b",
    "T2D": r"type 2\b|\bT2D\b",
    "T3c": r"pancreatectomy|removal of the pancreas|\bT3c\b",
    "mixed": r"several types",
}
PRODUCT_WORDS = {
    "msc": r"mesenchymal",
    "marrow_cells": r"marrow",
    "hsct": r"immunoablation|haematopoietic",
    "stem_cell_islets": r"stem-cell derived islets|islets made from stem cells",
    "autologous_islets": r"autologous|own islets",
    "islets": r"(?<!derived )(?<!autologous )(?<!own )(?<!no )islets(?! made from stem cells)",
}
#: Full names that contain words of another product; they are removed first if they are the pool's own.
FULL_NAMES = {
    "any_cells": "mesenchymal, marrow and other cells (no islets)",
    "autologous_islets": "autologous islets after pancreatectomy",
}
#: Populations and products that a notebook always shows: (population, product).
BENCHMARKS = {
    "03_insulin_independence": [("T1D", "islets"), ("T1D", "stem_cell_islets")],
    "06_harms": [(population, product) for population in POPULATIONS for product in PRODUCTS],
    "07_how_sure": [("T1D", "islets")],
    "08_what_else": [("T1D", "islets"), ("T2D", "any_cells")],
}
#: Figures of nothing but the question; others may show every pool that the notebook recorded.
OF_THE_QUESTION = (
    "06_harms_studies",
    "03_insulin_cells",
    "04_halved_uncontrolled",
    "04_halved_arms",
    "04_halved_difference",
)
#: Texts quoted from other reviews.
OTHERS = ("02_hba1c_elsewhere", "08_what_else_others", "08_what_else_without", "07_how_sure_missing")
#: Figures with intervals as others reported them, and notebooks whose tables quote sources.
AS_REPORTED, QUOTING = ("08_what_else_without",), ("07_how_sure",)
INTERVAL = re.compile(r"(\d+(?:\.\d+)?)\s*%\s*(?:CI\b|confidence interval|interval|prediction)")


@dataclass(frozen=True)
class Case:
    """One run: a notebook with values of its parameters and a level of intervals."""

    notebook: str
    values: tuple[tuple[str, object], ...]
    level: float

    @property
    def given(self) -> dict[str, object]:
        """Return the values of the notebook's parameters."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in self.values}

    @property
    def name(self) -> str:
        """Return the case in words, for a folder and a message."""
        words = (f"{name}-{value}" for name, value in self.values)
        return re.sub(r"[^\w.-]+", "-", "_".join([self.notebook, *words, f"level-{self.level:g}"]))


def case_of(notebook: str, chosen: Mapping[str, object]) -> Case:
    """Return the case of one combination of a notebook's grid."""
    flat: dict[str, object] = {}
    for name, value in chosen.items():
        flat |= value if name == "TIME" else {name: value}
    level = float(flat.pop("LEVEL"))
    values = tuple((name, tuple(value) if isinstance(value, list) else value) for name, value in flat.items())
    return Case(notebook, values, level)


def whole() -> Iterator[Case]:
    """Yield every combination of every notebook."""
    for notebook, grid in GRID.items():
        for values in itertools.product(*grid.values()):
            yield case_of(notebook, dict(zip(grid, values, strict=True)))


def pairwise(seed: int = 1) -> Iterator[Case]:
    """Return combinations that contain every pair of values of any two parameters at least once."""
    for notebook, grid in GRID.items():
        names, source = list(grid), random.Random(seed)
        every = list(itertools.product(*(range(len(values)) for values in grid.values())))
        source.shuffle(every)
        missing = {pair for row in every for pair in _pairs(row)}
        while missing:
            best = max(every, key=lambda row: len(missing.intersection(_pairs(row))))
            missing -= set(_pairs(best))
            yield case_of(notebook, {name: grid[name][at] for name, at in zip(names, best, strict=True)})


def _pairs(row: tuple[int, ...]) -> list[tuple]:
    return list(itertools.combinations(enumerate(row), 2))


def data_at(level: float, folder: Path) -> Path:
    """Return a copy of the evidence with this level of intervals in the protocol."""
    target = folder / f"data-{level:g}"
    if not target.exists():
        shutil.copytree(ROOT / "data", target, ignore=shutil.ignore_patterns("registry"))
        protocol = target / "protocol.yml"
        text, found = re.subn(r"level: 0\.95", f"level: {level}", protocol.read_text(encoding="utf-8"))
        assert found >= 2, "expected the level of means and of proportions in protocol.yml"
        protocol.write_text(text, encoding="utf-8")
    return target


def faults(case: Case, folder: Path) -> list[str]:
    """Run one case and return its faults: a crash, or words that do not belong to it.

    Parameters
    ----------
    case : Case
    folder : Path
        Contains the copies of the evidence (:func:`data_at`); the run gets a separate folder in it.
    """
    into = folder / case.name
    try:
        given = case.given | {"DATA": data_at(case.level, folder).as_posix()}
        executed = run_notebook(ROOT / "notebooks" / f"{case.notebook}.ipynb", into, given, limits=kernels.Limits())
    except ReviewError as error:
        return [f"{case.name}: {error}"]
    found = [f"{case.name}: {fault}" for fault in wrong_words(case, executed)]
    shutil.rmtree(into)
    return found


def wrong_words(case: Case, executed: Path) -> Iterator[str]:
    """Return words of another population, product or level in the titles, headline and figures of a run."""
    pools = json.loads(executed.with_suffix(".json").read_text(encoding="utf-8"))
    recorded = [(name, pool["question"]["product"]) for pool in pools for name in pool["question"]["population"]]
    for pool in pools:
        own = [(name, pool["question"]["product"]) for name in pool["question"]["population"]]
        yield from (f"title {pool['title']!r}: {word!r}" for word in foreign(pool["title"], own))
    asked = [(case.given["POPULATION"], case.given["PRODUCT"])]
    with_benchmarks = asked + BENCHMARKS.get(case.notebook, [])
    texts = list(_texts(executed))
    for kind, text in texts:
        if kind == "headline":
            yield from (f"headline {text!r}: {word!r}" for word in foreign(text, with_benchmarks))
        if kind == "headline" or case.notebook not in QUOTING:
            found = INTERVAL.finditer(text)
            yield from (f"{kind}: {one[0]!r}" for one in found if float(one[1]) != 100 * case.level)
    for path in sorted((executed.parent / "figures").glob("*.svg")):
        text = drawn_text(path.read_text(encoding="utf-8"))
        allowed = asked if path.stem in OF_THE_QUESTION else recorded
        if path.stem not in OTHERS:
            yield from (f"{path.name}: {word!r}" for word in foreign(text, allowed))
        wrong = (found[0] for found in INTERVAL.finditer(text) if float(found[1]) != 100 * case.level)
        yield from (f"{path.name}: {words!r}" for words in wrong if path.stem not in AS_REPORTED)
        if "advertised" in text and case.given["POPULATION"] != "T2D":
            yield f"{path.name}: a figure advertised for type 2 diabetes"


def foreign(text: str, own: Iterable[tuple[str, str]]) -> list[str]:
    """Return words in a text that name another population or product.

    Examples
    --------
    >>> foreign("Cells, type 2 diabetes", [("T1D", "any_cells")])
    ['type 2']
    >>> foreign("Mesenchymal, marrow and other cells (no islets), type 1", [("T1D", "any_cells")])
    []
    """
    own = list(own)
    populations, products = {name for name, _ in own}, {name for _, name in own}
    left = text.lower()
    for product in products:
        left = left.replace(FULL_NAMES.get(product, "\0"), "")
    if "any_cells" in products:  # the same, where a drawing breaks the name
        left = re.sub(r"mesenchymal,|marrow and|\(no islets\)", "", left)
    if "autologous_islets" in products:
        left = left.replace("pancreatectomy", "")  # part of the product's name, which a drawing may break
    rules = [words for name, words in POPULATION_WORDS.items() if name not in populations]
    rules += [words for name, words in PRODUCT_WORDS.items() if name not in products]
    return [found[0] for words in rules for found in [re.search(words, left, re.IGNORECASE)] if found]


def drawn_text(svg: str) -> str:
    """Return the words of a figure, including its description."""
    return " ".join(unescape(re.sub(r"<[^>]+>", "", part)) for part in re.findall(r"<(?:text|desc)\b.*?</", svg, re.S))


def _texts(executed: Path) -> Iterator[tuple[str, str]]:
    """Yield the text of the outputs of a run: ("headline" or "output", text)."""
    for cell in read(executed).cells:
        kind = "headline" if "headline" in cell.metadata.get("tags", []) else "output"
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "image/svg+xml" not in data:
                yield kind, unescape(re.sub(r"<[^>]+>", " ", str(data.get("text/html") or data.get("text/plain", ""))))


def run_all(cases: Iterable[Case], folder: Path, workers: int = 2, say: object = None) -> list[str]:
    """Run cases in forked kernels in parallel; return their faults.

    Parameters
    ----------
    cases : iterable of Case
    folder : Path
        For the copies of the evidence and the runs.
    workers : int
    say : callable, optional
        Called with the number of runs done, the total, and the faults of each.
    """
    cases, found = list(cases), []
    evidence = [data_at(level, folder) for level in sorted({case.level for case in cases})]
    with kernels.nursery(ONE_THREAD, evidence) as are_forked:
        context = multiprocessing.get_context("fork" if are_forked else "spawn")
        with ProcessPoolExecutor(workers, mp_context=context) as pool:
            running = [pool.submit(functools.partial(faults, case, folder)) for case in cases]
            for done, one in enumerate(as_completed(running), start=1):
                found += one.result()
                if say:
                    say(done, len(cases), one.result())
    return found


def main() -> None:
    """Run the grid and print the faults of each run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--part", type=int, default=1, help="one run in this many, drawn at random")
    parser.add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    cases = list(whole())
    chosen = random.Random(13).sample(cases, len(cases) // given.part)
    start = time.monotonic()

    def say(done: int, of: int, wrong: list[str]) -> None:
        for fault in wrong:
            print(fault, flush=True)
        if done % 50 == 0:
            print(f"{done} of {of}, {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)

    with tempfile.TemporaryDirectory() as folder:
        wrong = run_all(chosen, Path(folder), given.workers, say)
    seconds = time.monotonic() - start
    print(f"{len(chosen)} of {len(cases)} runs, {len(wrong)} faults, {seconds:.0f} s")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
