"""A made-up trial is added to a copy of the data, step by step as ``docs/add_a_study.md`` tells, and shows through.

The rows are read from the tables of that page, so that the page cannot say what does not work.
"""

from __future__ import annotations

import csv
import json
import re
import shutil

import pytest

from cellclaims import protocol
from cellclaims.errors import DataError
from cellclaims.evidence import check
from cellclaims.evidence import load as load_evidence
from cellclaims.pool import pooled
from cellclaims.question import Analysis
from cellclaims.runner.page import provenance, write_page
from cellclaims.runner.run import run_notebook
from cellclaims.selection import EvidenceBase, Question

from .made_up_trials import DATA

ROOT = DATA.parent
GUIDE = ROOT / "docs" / "add_a_study.md"
NEW = "invented2026"
TABLES = ["studies", "arms", "cohorts", "sources", "continuous", "binary"]


def steps():
    """{table: its rows} as the page shows them, in the order of its steps."""
    page = GUIDE.read_text(encoding="utf-8")
    sections = re.findall(r"^## \d\. .*?: `(\w+)\.csv`$(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)
    return {name: rows_of(text) for name, text in sections}


def rows_of(text):
    """The rows of the table in a section, by the names of their columns."""
    lines = [line.strip()[1:-1].split("|") for line in text.splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in line] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def add(folder, name, rows):
    """Put rows at the end of a table; columns that are not named stay empty."""
    path = folder / "published" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    with path.open("a", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, header, restval="", lineterminator="\n")
        writer.writerows(rows)


def copy_with(folder, left_out=()):
    """A copy of ``data/`` with the made-up trial, but for the tables that are left out."""
    shutil.copytree(DATA, folder)
    for name, rows in steps().items():
        if name not in left_out:
            add(folder, name, rows)
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return copy_with(tmp_path_factory.mktemp("added") / "data")


@pytest.fixture(scope="module")
def evidence(data):
    return load_evidence(data)


def test_the_page_fills_the_six_tables_in_the_order_of_their_keys():
    found = steps()
    assert list(found) == TABLES
    assert {row["study_id"] for rows in found.values() for row in rows} == {NEW}
    assert [len(rows) for rows in found.values()] == [1, 2, 1, 1, 4, 2]


def test_the_made_up_trial_is_not_in_the_evidence():
    for path in DATA.rglob("*.csv"):
        assert NEW not in path.read_text(encoding="utf-8"), path.name


def test_the_check_finds_no_fault_in_the_copy(data):
    text, status = check.report(data)
    assert status == 0, text


@pytest.mark.parametrize(
    ("forgotten", "expected"),
    [("studies", "studies"), ("arms", "arms"), ("cohorts", r"published/cohorts\.csv"), ("sources", "sources")],
)
def test_a_forgotten_step_is_told(tmp_path, forgotten, expected):
    folder = copy_with(tmp_path / "data", left_out=[forgotten])
    with pytest.raises(DataError, match=expected) as refused:
        load_evidence(folder)
    assert NEW in str(refused.value)


def test_the_trial_joins_the_pool_of_randomised_differences(evidence, data):
    asked = Question("hba1c", ("T2D",), "any_cells", designs=("rct",))
    pool = pooled(EvidenceBase(evidence, protocol.load(data)), asked.named("hba1c", ""), Analysis("MD"))
    assert pool.rows.study_id.tolist() == ["zang2022", NEW]
    row = pool.rows.iloc[1]
    assert (row.yi, row.vi) == (pytest.approx(7.9 - 8.3), pytest.approx(1.1**2 / 30 + 1.0**2 / 28))
    assert (row.label, row.n, row.n_control) == ("Invented 2026", 30, 28)
    assert row.link == "https://example.org/invented2026"
    assert pool.label == "few reports"


def test_the_trial_joins_the_counts_and_brings_the_first_control_group(evidence, data):
    asked = Question("insulin_independence", ("T2D",), "any_cells", estimand="most_favourable")
    rules = protocol.load(data)
    pool = pooled(EvidenceBase(evidence, rules), asked.named("cells", ""), Analysis("PLO"))
    assert (pool.k, pool.rows.events.sum(), pool.rows.n.sum()) == (6, 31 + 6, 111 + 30)
    contrast = pooled(EvidenceBase(evidence, rules), asked.named("difference", ""), Analysis("RD"))
    assert (contrast.rows.study_id.tolist(), contrast.fit.beta) == ([NEW], pytest.approx(6 / 30 - 1 / 28))


def test_the_trial_is_in_no_pool_of_another_population_product_or_month(evidence, data):
    rules = protocol.load(data)
    for asked in (
        Question("hba1c", ("T1D",), "any_cells"),
        Question("hba1c", ("T2D",), "islets"),
        Question("hba1c", ("T2D",), "any_cells", months=24.0),
    ):
        pool = pooled(EvidenceBase(evidence, rules), asked.named("other", ""), Analysis("MD"))
        assert NEW not in set(pool.rows.study_id)
        assert NEW in set(pool.left_out.study_id)


def test_a_second_report_of_the_same_patients_is_not_counted_again(tmp_path):
    """Step 3: the cohort's name of another report means one of the two."""
    folder = tmp_path / "data"
    shutil.copytree(DATA, folder)
    for name, rows in steps().items():
        shared = [row | {"cohort_id": "plagh_uc_msc"} for row in rows] if name == "cohorts" else rows
        add(folder, name, shared)
    asked = Question("hba1c", ("T2D",), "any_cells", designs=("rct",))
    pool = pooled(EvidenceBase(load_evidence(folder), protocol.load(folder)), asked.named("hba1c", ""), Analysis("MD"))
    assert pool.rows.study_id.tolist() == ["zang2022"]
    why = dict(zip(pool.left_out.study_id, pool.left_out.reason, strict=True))[NEW]
    assert why == "shares patients (plagh_uc_msc) with zang2022, which is counted"


@pytest.fixture(scope="module")
def report(data, tmp_path_factory):
    """Step 8: notebook 2 run on the copy, with its page."""
    into = tmp_path_factory.mktemp("with_the_new_trial")
    executed = run_notebook(ROOT / "notebooks" / "02_hba1c.ipynb", into, {"DATA": data.as_posix()})
    write_page(executed, into / "02_hba1c.html", provenance(data))
    return into


def test_the_trial_shows_in_the_recorded_pool(report):
    records = {record["pool"]: record for record in json.loads((report / "02_hba1c.json").read_text())}
    main = records["controlled"]
    assert [row["study_id"] for row in main["rows"]] == ["zang2022", NEW]
    assert (main["result"]["k"], main["label"]) == (2, "few reports")


def test_the_trial_shows_in_the_figure(report):
    drawn = (report / "figures" / "02_hba1c_controlled.svg").read_text()
    assert "Invented 2026" in drawn
    assert "Invented 2026" not in (ROOT / "figures" / "02_hba1c_controlled.svg").read_text()


def test_the_trial_shows_in_the_report_with_its_link(report):
    page = (report / "02_hba1c.html").read_text()
    assert re.search(r'<a [^>]*href="https://example\.org/invented2026"[^>]*>Invented 2026</a>', page)
    assert "2 reports" in page


def test_the_run_left_the_committed_files_alone(report):
    assert (report / "figures").is_dir()
    for path in (ROOT / "notebooks" / "02_hba1c.ipynb", *(ROOT / "figures").glob("02_*.svg")):
        assert "Invented 2026" not in path.read_text(encoding="utf-8")
