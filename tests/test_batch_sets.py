"""A file of parameter sets is refused with its line before anything runs, or says exactly which reports are meant."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellclaims.errors import ParameterError, ReviewError
from cellclaims.runner import batch, batch_report
from cellclaims.runner.parameter_sets import LONGEST_NAME, NO_NAME, in_name, read_sets

ROOT = Path(__file__).resolve().parent.parent
RUNS = sorted((ROOT / "runs").glob("*.yml"))


@pytest.fixture
def sets(small_review, tmp_path):
    """Read a file with the given lines after its title; a notebook 01_double is there."""
    small_review()

    def read(*lines):
        path = tmp_path / "runs" / "some.yml"
        path.parent.mkdir(exist_ok=True)
        path.write_text("\n".join(["title: Some", "sets:", *lines]) + "\n")
        return read_sets(path).reports

    return read


def test_a_grid_is_a_report_for_each_combination_named_by_its_values(sets):
    reports = sets("- notebook: 01_double", "  fixed: {LIMIT: 3}", "  grid: {DOSE: [1, 2.5], PARTS: [[a], [a, b]]}")
    assert [report.name for report in reports] == [
        "01_double_limit-3_dose-1_parts-a",
        "01_double_limit-3_dose-1_parts-a-b",
        "01_double_limit-3_dose-2.5_parts-a",
        "01_double_limit-3_dose-2.5_parts-a-b",
    ]
    assert dict(reports[1].values) == {"LIMIT": 3, "DOSE": 1.0, "PARTS": ["a", "b"]}


def test_all_stands_for_the_numbered_notebooks(sets, small_review):
    small_review(name="02_more")
    small_review(name="extra")
    assert [report.name for report in sets("- notebook: all")] == ["01_double", "02_more"]


def test_a_set_may_name_its_reports(sets):
    (report,) = sets("- notebook: 01_double", '  name: "{notebook}-of-{DOSE}"', "  fixed: {DOSE: 4}")
    assert report.name == "01_double-of-4"


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        (
            ["- notebook: 01_double", "  grit: {}"],
            4,
            "expected one of notebook, name, fixed, grid (did you mean 'grid'?), found 'grit'",
        ),
        (["- notebook: 01_double", "  grid: {DOSE: []}"], 4, "expected at least 1 in the list (a list of different"),
        (["- notebook: 01_double", "  grid: {DOSE: [1, 1]}"], 4, "expected a list of different values"),
        (
            ["- notebook: 01_double", "  grid:", "    DOSE: 1"],
            5,
            "expected a list of different values, as a list, found 1",
        ),
        (
            ["- fixed: {DOSE: 1}"],
            3,
            "expected the key notebook (the name of a notebook without its ending, or all)",
        ),
        (["- notebook: 01_doubel"], 3, "expected one of all, 01_double (did you mean '01_double'?), found '01_doubel'"),
        (["- notebook: ../../secret"], 3, "the name of a notebook without its ending"),
        (
            ["- notebook: 01_double", "  grid:", "    DOZE: [1]"],
            5,
            "FIGURES, REPORTS (did you mean 'DOSE'?), found 'DOZE'",
        ),
        (
            ["- notebook: 01_double", "  grid:", "    DOSE:", "    - 1", "    - much"],
            7,
            "expected float for DOSE (default 2.0), found 'much' (str)",
        ),
        (["- notebook: 01_double", "  fixed:", "    PARTS: half"], 5, "expected list[str] for PARTS"),
        (["- notebook: 01_double", "  fixed:", "    REPORTS: ../../elsewhere"], 5, "keeps its files in its own folder"),
        (["- notebook: 01_double", "  fixed:", "    FIGURES: /figures"], 5, "keeps its files in its own folder"),
        (["- notebook: 01_double", "  name: ../elsewhere"], 3, "inside the folder of the batch, found '../elsewhere'"),
        (["- notebook: 01_double", "  name: index.html"], 3, "found 'index.html'"),
        (["- notebook: 01_double", "  name: .made"], 3, "inside the folder of the batch, found '.made'"),
        (["- notebook: 01_double", f"  name: {'a' * (LONGEST_NAME + 1)}"], 3, f"a name of at most {LONGEST_NAME}"),
        (
            ["- notebook: 01_double", '  name: "{DOES}"', "  fixed: {DOSE: 1}"],
            4,
            "names among notebook, DOSE in braces",
        ),
        (
            ["- notebook: 01_double", "- notebook: 01_double"],
            4,
            "expected each report once, found report '01_double' in line 3, too",
        ),
        (
            ["- notebook: 01_double", "  name: A", "- notebook: 01_double", "  name: a"],
            5,
            "expected each report once, found report 'a' in line 3, too",
        ),
        (
            ["- notebook: 01_double", "  fixed: {DOSE: 1}", "  grid: {DOSE: [2]}"],
            5,
            "expected each parameter once, found it in fixed, too, in line 4",
        ),
        (["- notebook: 01_double", "  notebook: 01_double"], 4, "expected each key once, found it in line 3, too"),
        (
            ["- notebook: [01_double"],
            3,
            "expected YAML, found what the parser cannot read: did not find expected ',' or ']'",
        ),
        (["- notebook: 01_double", "  fixed: &a {LIMIT: *a}"], 4, "levels"),
        (["- ? [a]", "  : b"], 3, "expected a name as key, found a sequence"),
    ],
    ids=lambda value: re.sub(r"\W+", " ", str(value))[:40] if isinstance(value, str) else "",
)
def test_what_is_wrong_is_said_with_its_line(sets, lines, line, words):
    with pytest.raises(ParameterError, match=rf"some\.yml, line {line}(, key \S+)?: .*{re.escape(words)}"):
        sets(*lines)


def test_all_faults_of_a_file_are_named_at_once(sets):
    lines = ["- notebook: 01_double", "  fixed: {DOZE: 1, PARTS: half}", "  grid:", "    LIMIT: [1, two]"]
    with pytest.raises(ParameterError) as refused:
        sets(*lines)
    first, *rest = str(refused.value).splitlines()
    assert first == "3 faults"
    assert [re.search(r"some.yml, line (\d+), key (\S+):", line).groups() for line in rest] == [
        ("4", "sets[1].fixed.DOZE"),
        ("4", "sets[1].fixed.PARTS"),
        ("6", "sets[1].grid.LIMIT[2]"),
    ]


def test_faults_of_the_shape_are_named_at_once_before_any_value_is_looked_at(sets):
    with pytest.raises(ParameterError) as refused:
        sets("- notbook: 01_double", "  grid: 3", "- notebook: 01_double", "  notebook: 01_double")
    first, *rest = str(refused.value).splitlines()
    assert first == "3 faults"
    assert [line.split(",")[1] for line in rest] == [" line 3", " line 4", " line 6"]


def test_every_line_that_is_indented_with_a_tab_is_named(sets):
    with pytest.raises(ParameterError) as refused:
        sets("- notebook: 01_double", "\tfixed: {DOSE: 1}", "\tgrid: {LIMIT: [1]}")
    told = [f"line {line}: expected spaces at the start of the line, found a tab" for line in (4, 5)]
    assert all(words in str(refused.value) for words in told)


@pytest.mark.parametrize("content", [None, "", "just text", "- a list", "title: One\nsets: []", b"\xff\xfe"])
def test_what_is_no_file_of_parameter_sets_is_refused(tmp_path, content):
    path = tmp_path / "some.yml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ParameterError, match=r"some\.yml"):
        read_sets(path)


def test_a_refused_file_starts_nothing_and_leaves_nothing(sets, tmp_path, monkeypatch):
    monkeypatch.setattr(batch, "_all_done", lambda *_: pytest.fail("a batch was started"))
    with pytest.raises(ParameterError):
        sets("- notebook: 01_double", "  fixed: {DOZE: 1}")
    with pytest.raises(ParameterError):
        batch.run_batch(tmp_path / "runs" / "some.yml", tmp_path / "into")
    assert not (tmp_path / "into").exists()


def test_evidence_that_is_not_there_and_a_folder_of_notebooks_are_refused(sets, tmp_path):
    sets("- notebook: 01_double", "  fixed: {DATA: ../nothing}")
    read = read_sets(tmp_path / "runs" / "some.yml")
    with pytest.raises(ReviewError, match=r"line 3: 01_double_data-\.\.-nothing: expected a folder of evidence"):
        batch_report.jobs_of(read, tmp_path / "into")
    sets("- notebook: 01_double")
    with pytest.raises(ReviewError, match="never writes into the folder of its notebook"):
        batch_report.jobs_of(read_sets(tmp_path / "runs" / "some.yml"), tmp_path / "notebooks")


@given(st.recursive(st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(), st.lists, max_leaves=5))
def test_a_value_in_a_name_is_never_a_path(value):
    assert not NO_NAME.search(in_name(value))
    assert in_name(value)


# --- what is shipped ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", RUNS, ids=lambda path: path.stem)
def test_a_shipped_file_can_be_planned(path, tmp_path):
    jobs = batch_report.jobs_of(read_sets(path), tmp_path)
    assert len({job.key for job in jobs}) == len(jobs), "two reports with the same content"


def test_the_shipped_files_ask_for_what_they_say():
    reports = {path.stem: read_sets(path).reports for path in RUNS}
    assert {"defaults", "by_population", "by_product", "sensitivity", "one_claim_each"} <= set(reports)
    assert len(reports["sensitivity"]) >= 20
    with (ROOT / "data" / "advertised" / "claims.csv").open(encoding="utf-8") as file:
        claims = [row["claim_id"] for row in csv.DictReader(file) if row["quotation_span"]]  # the others get no entry
    assert [report.values["CLAIM"] for report in reports["one_claim_each"]] == claims
    numbered = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb") if "." not in path.stem)
    assert [report.name for report in reports["defaults"]] == numbered


def test_editors_find_the_schema_beside_the_files():
    schema = json.loads((ROOT / "runs" / "schema.json").read_text(encoding="utf-8"))
    assert schema["required"] == ["title", "sets"]
