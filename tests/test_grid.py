"""Notebooks at values of their parameters in which every two meet: a true report each, and words of nothing else."""

from __future__ import annotations

import importlib.util
import itertools
import json
import sys
from pathlib import Path

import nbformat
import pytest

from cellclaims.runner import kernels

ROOT = Path(__file__).resolve().parent.parent


def load_grid():
    spec = importlib.util.spec_from_file_location("grid", ROOT / "benchmarks" / "grid.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["grid"] = module  # processes of the grid find its records by this name
    spec.loader.exec_module(module)
    return module


grid = load_grid()


def test_every_two_values_of_any_two_parameters_meet_in_at_most_120_runs():
    cases = list(grid.pairwise())
    assert len(cases) == len({case.name for case in cases}) <= 120
    for notebook, values in grid.GRID.items():
        mine = [{**case.given, "LEVEL": case.level} for case in cases if case.notebook == notebook]
        for one, other in itertools.combinations([name for name in values if name != "TIME"], 2):
            met = {(str(case[one]), str(case[other])) for case in mine}
            assert met == {(str(a), str(b)) for a, b in itertools.product(values[one], values[other])}


@pytest.mark.skipif(not kernels.can_fork(), reason="a hundred kernels are quick only where they are forked")
def test_no_run_crashes_and_none_speaks_of_something_else(tmp_path):
    assert grid.run_all(grid.pairwise(), tmp_path) == []


@pytest.mark.parametrize(
    ("text", "population", "product", "found"),
    [
        ("Cells, type 2 diabetes", "T1D", "any_cells", ["type 2"]),
        ("Mesenchymal stem cells, type 1", "T1D", "hsct", ["mesenchymal"]),
        ("Stem-cell derived islets", "T1D", "islets", ["stem-cell derived islets"]),
        ("Islets, type 1 diabetes", "T1D", "msc", ["islets"]),
        ("Mesenchymal, marrow and other cells (no islets), several types", "mixed", "any_cells", []),
        ("Autologous islets after pancreatectomy, type 1", "T1D", "autologous_islets", []),
    ],
)
def test_a_word_of_another_population_or_product_is_found(text, population, product, found):
    assert grid.foreign(text, [(population, product)]) == found


@pytest.fixture
def made(tmp_path):
    """A run as the checker reads it, with nothing wrong: ``made(headline, title, drawing)`` says otherwise."""

    def make(headline="Cells: 20 % (90 % interval 1 to 2)", title="Cells, type 1 diabetes", drawing="(90 % CI)"):
        book = nbformat.v4.new_notebook()
        out = nbformat.v4.new_output("execute_result", {"text/plain": headline})
        book.cells = [nbformat.v4.new_code_cell("", outputs=[out], metadata={"tags": ["headline"]})]
        nbformat.write(book, tmp_path / "04.ipynb")
        pool = {"title": title, "question": {"population": ["T1D"], "product": "any_cells"}}
        (tmp_path / "04.json").write_text(json.dumps([pool]))
        (tmp_path / "figures").mkdir()
        (tmp_path / "figures" / "04_halved_arms.svg").write_text(f"<svg><text>{drawing}</text></svg>")
        case = grid.case_of("04", {"POPULATION": "T1D", "PRODUCT": "any_cells", "LEVEL": 0.9})
        return list(grid.wrong_words(case, tmp_path / "04.ipynb"))

    return make


def test_a_run_with_nothing_wrong_is_let_pass(made):
    assert made() == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"headline": "Cells in type 2 diabetes"},
        {"headline": "20 % (95 % interval 1 to 2)"},
        {"title": "Mesenchymal stem cells, type 1 diabetes"},
        {"drawing": "Cells, type 2"},
        {"drawing": "Estimate (95 % CI)"},
        {"drawing": "advertised 60 %"},
    ],
)
def test_each_kind_of_wrong_word_is_found(made, wrong):
    assert len(made(**wrong)) == 1
