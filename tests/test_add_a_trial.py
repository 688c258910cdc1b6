"""Made-up trials are added to a copy of the data, to the letter of ``docs/add_a_study.md``, and show through.

Commands and rows are read from that page, so that it cannot say what does not work.
"""

from __future__ import annotations

import contextlib
import csv
import json
import re
import shlex
import shutil
import subprocess

import pytest
from click.testing import CliRunner
from scipy import stats

from cellclaims import protocol
from cellclaims.cli import main
from cellclaims.errors import DataError
from cellclaims.evidence import check
from cellclaims.evidence import load as load_evidence
from cellclaims.evidence.read import read_all
from cellclaims.pool import pooled
from cellclaims.question import Analysis
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


def test_the_trial_joins_the_pool_of_randomised_differences(evidence, data, base):
    asked = Question("hba1c", ("T2D",), "any_cells", designs=("rct",))
    pool = pooled(EvidenceBase(evidence, protocol.load(data)), asked.named("hba1c", ""), Analysis("MD"))
    without = pooled(base, asked.named("hba1c", ""), Analysis("MD"))
    assert set(pool.rows.study_id) - set(without.rows.study_id) == {NEW} and pool.k == without.k + 1
    (row,) = pool.rows[pool.rows.study_id == NEW].itertuples()
    assert (row.yi, row.vi) == (pytest.approx(7.9 - 8.3), pytest.approx(1.1**2 / 30 + 1.0**2 / 28))
    assert (row.label, row.n, row.n_control) == ("Invented 2026", 30, 28)
    assert row.link == "https://example.org/invented2026"


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
    assert "zang2022" in set(pool.rows.study_id) and NEW not in set(pool.rows.study_id)
    why = dict(zip(pool.left_out.study_id, pool.left_out.reason, strict=True))[NEW]
    assert why == "shares patients (plagh_uc_msc) with zang2022, which is counted"


# --- the page, followed to the letter ----------------------------------------------------------------------------


def events():
    """What the page asks for, in its order: ("run", command) and ("add", table, rows).

    The last section asks public sources; ``tests/test_resolve.py`` does so with recorded answers.
    """
    page, last = GUIDE.read_text(encoding="utf-8").split("\n## 11. Look up identifiers\n")
    assert "cellclaims resolve" in last
    page = page.split("\n## Table by table\n")[1]  # tests/test_forms.py follows the part on the form
    wanted, collected = None, []
    for line in [*page.splitlines(), ""]:
        if found := re.match(r"(?:## \d+\. .*: |Rows for )`(\w+)\.csv`:?$", line):
            wanted = found[1]
        elif line.startswith("|"):
            collected.append(line)
            continue
        elif line.startswith("    "):
            yield "run", line.strip()
        if collected and wanted:
            yield "add", wanted, rows_of("\n".join(collected))
            wanted = None
        collected = []


class Followed:
    """The page carried out in a copy of the repository: what each command printed, and the folder."""

    def __init__(self, folder):
        self.folder, self.said, self.skipped = folder, [], []
        for name in ("data", "notebooks"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("registry"))

    def run(self, command):
        """A command as the page gives it; ``make`` is left to the person who has a real study."""
        program, *arguments = shlex.split(command)
        if program == "make":
            self.skipped.append(arguments[0])
        elif program == "cp":
            subprocess.run([program, *arguments], cwd=self.folder, check=True)
        else:
            with contextlib.chdir(self.folder):
                done = CliRunner().invoke(main, arguments)
            self.said.append((command, done.exit_code, done.output))


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    done = Followed(tmp_path_factory.mktemp("followed") / "repository")
    for event, *what in events():
        if event == "run":
            done.run(*what)
        else:
            add(done.folder / "my_data", *what)
    return done


def test_every_command_of_the_page_works(followed):
    assert [(command, code) for command, code, _ in followed.said if code] == [], followed.said[-1]
    assert [command.split()[1] for command, *_ in followed.said] == ["check", "run", "check"]
    assert all("0 faults" in text for command, _, text in followed.said if "check" in command)


def test_the_page_works_in_a_copy_and_takes_it_over_at_the_end(followed):
    commands = [command for event, command, *_ in events() if event == "run"]
    assert commands[0] == "cp -R data my_data"
    used = [command for command in commands[1:] if command.startswith("cellclaims")]
    assert all("--data my_data" in command or "-p DATA ../my_data" in command for command in used)
    assert commands[-4] == "cp -R my_data/. data/"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert followed.skipped == ["review", "notebooks", "test"]
    assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in followed.skipped)
    assert NEW in (followed.folder / "data" / "published" / "studies.csv").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def cases(followed):
    """Evidence and protocol with all made-up trials of the page."""
    return EvidenceBase(load_evidence(followed.folder / "my_data"), protocol.load(followed.folder / "my_data"))


@pytest.fixture(scope="module")
def differences(cases):
    """The pool of randomised differences of HbA1c, and its rows by report."""
    asked = Question("hba1c", ("T2D",), "any_cells", designs=("rct",))
    pool = pooled(cases, asked.named("hba1c", ""), Analysis("MD"))
    return pool, {row.study_id: row for row in pool.rows.itertuples()}


def test_medians_are_converted_and_said_to_be(differences):
    row = differences[1]["medians2026"]
    assert row.yi == pytest.approx(7.8 - 8.3, abs=0.05)
    assert "quartiles" in row.detail


def test_two_doses_are_one_group_against_one_control(differences):
    row = differences[1]["doses2026"]
    assert (row.yi, row.n, row.n_control) == (pytest.approx(7.8 - 8.2), 30, 15)


def test_an_exact_p_value_gives_the_standard_error(differences):
    row = differences[1]["exactp2026"]
    assert (row.yi, row.vi) == (pytest.approx(-0.7), pytest.approx((0.7 / stats.t.isf(0.015, 25 + 24 - 2)) ** 2))


def test_a_bound_gives_none_and_the_trial_is_listed_with_that_reason(differences):
    pool, rows = differences
    assert "bound2026" not in rows
    (why,) = set(pool.left_out.reason[pool.left_out.study_id == "bound2026"])
    assert "no exact P value" in why


def test_a_crossover_enters_by_the_difference_within_participants(differences):
    row = differences[1]["crossover2026"]
    assert (row.yi, row.vi, row.detail) == (-0.5, pytest.approx(0.21**2), "mean difference")


@pytest.mark.parametrize(
    ("outcome", "events"), [("insulin_independence", 7), ("all_glucose_lowering_drugs_stopped", 3)]
)
def test_insulin_stopped_and_all_drugs_stopped_are_two_outcomes(cases, outcome, events):
    asked = Question(outcome, ("T2D",), "any_cells", estimand="most_favourable")
    rows = pooled(cases, asked.named("stopped", ""), Analysis("PLO")).rows
    (row,) = rows[rows.study_id == "stopped2026"].itertuples()
    assert (row.events, row.n) == (events, 22)


# --- what the check says of common faults ------------------------------------------------------------------------

CHANGE = {"study_id": NEW, "arm_id": "cells", "outcome": "hba1c", "unit": "%", "unit_printed": "%", "months": "12",
          "kind": "change", "n": "30", "center_type": "mean", "center": "0.9", "dispersion_type": "none",
          "source_id": "invented2026_full", "locator": "table 2", "status": "printed", "read_twice": "no"}  # fmt: skip


def replaced(old, new):
    """An edit of ``continuous.csv``: other text in the rows of the made-up trial."""

    def edit(folder):
        path = folder / "published" / "continuous.csv"
        lines = [line.replace(old, new) if line.startswith(NEW) else line for line in path.read_text().splitlines(True)]
        path.write_text("".join(lines))

    return edit


def renamed(folder):
    """An edit: the same trial once more, under another name."""
    for name in ("studies", "arms", "cohorts"):
        rows = [row | {"study_id": "again2026"} for row in steps()[name]]
        add(folder, name, [row | {"cohort_id": "again"} for row in rows] if name == "cohorts" else rows)


#: What is wrong, in the words of the page -> an edit, the rule, and a part of what is expected or found.
COMMON = {
    "a change has the wrong sign": (lambda folder: add(folder, "continuous", [CHANGE]), "change_has_sign_of_levels",
                                    "expected -0.9 (7.9 minus 8.8), found 0.9"),
    "an SE was entered as SD, or a decimal point slipped": (
        replaced("7.9,sd,1.1,", "7.9,sd,0.11,"), "spread_is_plausible", "in 30 patients, found 0.11"),
    "weeks were entered as months": (replaced(",12,level,", ",52,level,"), "month_within_follow_up",
                                     "expected at most the 12 months of follow-up, found 52"),
    "the trial is already in the tables under another name": (renamed, "trial_entered_once",
                                                              f"found the title and numbers of {NEW}"),
}  # fmt: skip


@pytest.mark.parametrize("what", COMMON)
def test_a_common_fault_is_told(tmp_path, what):
    assert f"| {what} |" in GUIDE.read_text(encoding="utf-8")
    edit, rule, words = COMMON[what]
    folder = copy_with(tmp_path / "data")
    edit(folder)
    found = [str(fault) for fault in read_all(folder)[1] if fault.rule == rule]
    assert found and all(words in one for one in found)


# --- the report --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def report(followed):
    """Step 8: notebook 2 run on the copy, with its page, before the other trials were added."""
    return followed.folder / "reports" / "with_the_new_trial"


def test_the_trial_shows_in_the_recorded_pool(report):
    records = {record["pool"]: record for record in json.loads((report / "02_hba1c.json").read_text())}
    main = records["controlled"]
    assert [row["study_id"] for row in main["rows"]].count(NEW) == 1
    assert main["result"]["k"] == len(main["rows"])


def test_the_trial_shows_in_the_figure(report):
    drawn = (report / "figures" / "02_hba1c_controlled.svg").read_text()
    assert "Invented 2026" in drawn
    assert "Invented 2026" not in (ROOT / "figures" / "02_hba1c_controlled.svg").read_text()


def test_the_trial_shows_in_the_report_with_its_link(report):
    page = (report / "02_hba1c.html").read_text()
    assert re.search(r'<a [^>]*href="https://example\.org/invented2026"[^>]*>Invented 2026</a>', page)


def test_the_run_left_the_committed_files_alone(report):
    assert (report / "figures").is_dir()
    changed = report.parents[1] / "notebooks" / "02_hba1c.ipynb"
    assert changed.read_bytes() == (ROOT / "notebooks" / "02_hba1c.ipynb").read_bytes()
    assert not (report.parents[1] / "figures").exists()
