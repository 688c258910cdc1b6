"""``cellclaims propose``: harvested rows beside what the tables hold, in a file that a spreadsheet can open safely."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cellclaims.cli import main
from cellclaims.errors import ProposalError
from cellclaims.files import guard, is_number, unguard
from cellclaims.harvest.held import (
    arm_of,
    grade,
    one_line,
    read_held,
    read_sheet,
    report_of,
    same_time,
    sheet_bytes,
)
from cellclaims.harvest.measurements import Row
from cellclaims.harvest.proposals import (
    PROPOSAL_COLUMNS,
    Found,
    ProposalOrigin,
    from_file,
    proposals,
    with_answers,
    write_proposals,
)
from cellclaims.harvest.stream import Portion, write
from cellclaims.harvest.study import posted

from .harvest_records import FORMATS

REPOSITORY = Path(__file__).resolve().parent.parent
DAY, TIME = "20260101T000000Z", "2026-01-01T00:00:00Z"
ANSWER = ProposalOrigin("ctgov", "https://x.org/NCT00000001", DAY, "https://x.org/api", TIME, 64 * "a", "/studies/0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The made-up tables with the real ``datapackage.json``; alpha2020 is registered as NCT00000001."""
    target = tmp_path_factory.mktemp("held") / "data"
    shutil.copytree(Path(__file__).resolve().parent / "made_up", target)
    shutil.copy(REPOSITORY / "data" / "datapackage.json", target)
    return target


@pytest.fixture(scope="module")
def held(folder):
    return read_held(folder)


def measure(**cells):
    """The values of a harvested mean: as held for the cells of alpha2020 at month 12, unless told otherwise."""
    values = {
        **{"outcome": "hba1c", "unit": "%", "unit_printed": "%", "months": "12", "kind": "level", "n": "18"},
        **{"center_type": "mean", "center": "7.51", "dispersion_type": "sd", "dispersion_low": "1.1"},
        **{"dispersion_high": "", "locator": "outcome measure 1", "status": "printed", "note": ""},
    }
    return values | cells


def count(**cells):
    """The values of a harvested count: as held for the cells of alpha2020 at month 12, unless told otherwise."""
    values = {
        **{"outcome": "insulin_independence", "definition_id": "insulin_independence", "definition": "no insulin"},
        **{"timing": "at_month", "months": "12", "time_origin": "", "events": "6", "n": "18", "percent": ""},
        **{"percent_printed": "", "locator": "outcome measure 2", "status": "printed", "note": ""},
    }
    return values | cells


def found(values, registration="NCT00000001", title="cells", pointer="/resultsSection/1", answer=ANSWER):
    table = "binary" if "events" in values else "continuous"
    return Found(registration, table, pointer, title, values, answer)


def graded(held, values, arm="cells"):
    """The grade of a row of alpha2020, and its differences in words."""
    table = "binary" if "events" in values else "continuous"
    result = grade(table, values, held.of_arm(table, "alpha2020", arm))
    return result.name, [str(one) for one in result.differences]


# The file ------------------------------------------------------------------------------------------------------------

CELLS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["=cmd|' /C calc'!A0", "+1+1", "-0.67", "@SUM(A1)", "\t=1", "\r=1", "-", "'=1", "＝1", " =1", "+5", "-٣"]
    ),
)


@given(rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=5))
def test_a_file_of_any_cells_reads_back_to_exactly_the_same_values(rows, tmp_path_factory):
    path = tmp_path_factory.getbasetemp() / f"sheet_{hash(str(rows))}.csv"
    wanted = [dict(zip("abc", row, strict=True)) for row in rows]
    path.write_bytes(sheet_bytes("abc", wanted))
    read = [{name: row[name] for name in "abc"} for row in read_sheet(path, "abc")]
    path.unlink()
    assert read == [row for row in wanted if any(row.values())]


@given(cell=CELLS)
def test_no_cell_of_a_file_starts_a_formula(cell):
    shown = guard(cell)
    assert is_number(shown) or shown.lstrip()[:1] not in tuple("=+-@＝＋－＠")
    assert shown[:1] not in tuple("\t\r\n")
    assert unguard(shown) == cell


@pytest.mark.parametrize("number", ["-0.67", "+1.5", "-1e-3", "0.50", "-.5"])
def test_a_plain_number_stays_a_number(number):
    assert guard(number) == number


def test_hidden_signs_and_line_ends_leave_a_title():
    assert one_line("\u202eislets\r\n=cmd\x00 ") == "islets =cmd"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"decision;reviewer\r\n", "row 1: expected columns separated by ',', found ';'"),
        (b"decision\n", "row 1: expected the column reviewer, found decision"),
        (b"decision,reviewer,reviewer\n", "row 1: expected the column reviewer, found it twice"),
        (b"decision,reviewer\na\n", "row 2: expected 2 cells, found 1"),
        (b"decision,reviewer\n\xff,\n", "expected comma-separated values in UTF-8, found"),
        (b"", "row 1: expected the column decision, found nothing"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused_by_its_place(tmp_path, content, words):
    path = tmp_path / "proposals.csv"
    path.write_bytes(content)
    with pytest.raises(ProposalError) as refused:
        read_sheet(path, ["decision", "reviewer"])
    assert words in str(refused.value)
    assert str(path) in str(refused.value)


# The comparison ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "name", "differences"),
    [
        (measure(), "same", []),
        (measure(center="7.510"), "same", []),
        (measure(center="7.6"), "differs", ["center: held 7.51 %, read 7.6 %"]),
        (measure(center="7.6", n="17"), "differs", ["center: held 7.51 %, read 7.6 %", "n: held 18, read 17"]),
        (measure(unit="mmol/mol", center="58.6", dispersion_low="12.0"), "same", []),
        (measure(unit="mmol/mol", center="58.53", dispersion_low="12.0"), "same", []),  # 7.506 %, held as 7.51
        (measure(unit="mmol/mol", center="60"), "differs", None),
        (measure(months="11.97"), "same", []),
        (measure(months="6"), "new", []),
        (measure(kind="change", center="-0.99", dispersion_type="none", dispersion_low=""), "same", []),
        (measure(dispersion_type="se", dispersion_low="0.26"), "same", []),
        (measure(dispersion_type="se", dispersion_low="0.36"), "differs", None),
        (measure(dispersion_type="none", dispersion_low=""), "same", []),
        (measure(n=""), "same", []),
        (measure(center_type="median", dispersion_type="none", dispersion_low=""), "new", []),
        (measure(outcome="insulin_dose", unit="U/day", kind="change"), "new", []),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_measure_is_compared_in_one_unit_and_to_its_printed_digits(held, values, name, differences):
    result = graded(held, values)
    assert result[0] == name
    assert differences is None or result[1] == differences


@pytest.mark.parametrize(
    ("values", "name", "differences"),
    [
        (count(), "same", []),
        (count(events="7"), "differs", ["events: held 6, read 7"]),
        (count(events="", percent="33.3", percent_printed="33.3"), "same", []),
        (count(events="", percent="33", percent_printed="33"), "same", []),
        (count(events="", percent="34", percent_printed="34"), "differs", ["percent: held 6 of 18, read 34 %"]),
        (count(timing="ever", months=""), "differs", ["events: held 7, read 6"]),
        (count(timing="not_stated"), "new", []),
        (count(time_origin="last_infusion"), "new", []),
        (count(n="20"), "differs", ["n: held 18, read 20"]),
    ],
)
def test_a_count_is_compared_with_its_percentage(held, values, name, differences):
    assert graded(held, values) == (name, differences)


def test_what_the_record_adds_to_a_held_percentage_is_a_difference_where_it_does_not_follow(held):
    """beta2021 holds 80 % of 15 without a count: 12 of 15 follows, 80 % of an unknown number does not give 12."""
    row = {"outcome": "graft_function", "definition_id": "graft_function", "events": "12", "n": "15"}
    rows = held.of_arm("binary", "beta2021", "all")
    assert grade("binary", count(**row), rows).name == "same"
    without = [one | {"n": ""} for one in rows]
    assert [one.column for one in grade("binary", count(**row), without).differences] == ["n"]


@given(months=st.floats(0, 400), off=st.floats(-0.24, 0.24))
def test_times_within_a_quarter_of_a_month_are_one(months, off):
    assert same_time(repr(months), repr(abs(months + off)))
    assert not same_time(repr(months), repr(months + 1))


def test_one_of_several_held_figures_that_agrees_is_enough(held):
    row = {"outcome": "hba1c", "line": "9", "source_id": "other"}
    both = [*held.of_arm("continuous", "alpha2020", "cells"), measure(center="7.9") | row]
    assert grade("continuous", measure(), both).name == "same"
    assert grade("continuous", measure(center="7.9"), both).held[0]["line"] == "9"


# Whose row it is -----------------------------------------------------------------------------------------------------


def test_a_report_is_found_by_one_of_its_registrations(held):
    assert report_of(held, "NCT00000001").name == "alpha2020"
    assert report_of(held, "NCT0000000").name == ""
    assert "docs/add_a_study.md" in report_of(held, "NCT09999999").reason


def test_of_several_reports_the_one_read_from_the_registry_is_suggested_or_none():
    real = read_held(REPOSITORY / "data")
    several = report_of(real, "NCT03920397")
    assert several.name == ""
    assert "araujo2020, dantas2020, dantas2021" in several.reason
    assert report_of(real, "NCT00014911").name == "shapiro2006"
    emory = next(row for row in real.rows["studies"] if row["study_id"] == "emory_nct00133809")
    real.rows["studies"].append(emory | {"study_id": "turgeon2010"})
    assert report_of(real, "NCT00133809").name == "emory_nct00133809"


@pytest.mark.parametrize(
    ("title", "titles", "arm", "reason"),
    [
        ("Cells", {"Cells", "Placebo"}, "cells", "the title is the arm's name"),
        ("Saline placebo", {"Cells", "Saline placebo"}, "placebo", "the only placebo arm"),
        ("Saline placebo", {"Placebo low", "Saline placebo"}, "", "fill in one of cells, cells_high, placebo"),
        ("Group A", {"Group A", "Group B"}, "", "fill in one of"),
        ("Group A", {"Group A"}, "", "fill in one of"),  # the only group, and two arms
        ("made up", {"made up", "x"}, "cells", "the title is the arm's description"),
    ],
)
def test_an_arm_is_suggested_with_its_reason_or_left_open(held, title, titles, arm, reason):
    match = arm_of(held, "alpha2020", title, titles)
    assert match.name == arm
    assert match.reason.startswith(reason)


def test_the_only_group_is_the_only_arm(held):
    assert arm_of(held, "beta2021", "Islets", {"Islets"}).name == "all"
    assert arm_of(held, "beta2021", "Islets", {"Islets", "Controls"}).name == ""
    assert arm_of(held, "", "Islets", {"Islets"}).name == ""


# The proposals -------------------------------------------------------------------------------------------------------


def test_a_proposal_has_every_column_its_grade_and_its_answer(held):
    (row,) = proposals([found(measure(center="7.6"))], held)
    assert tuple(row) == PROPOSAL_COLUMNS
    assert (row["decision"], row["reviewer"], row["grade"]) == ("", "", "differs")
    assert (row["study_id"], row["arm_id"], row["held"]) == (
        "alpha2020",
        "cells",
        "published/continuous.csv row 3 from alpha_abs",
    )
    assert row["pointer"] == "/studies/0/resultsSection/1"
    assert row["sha256"] == 64 * "a"
    assert json.loads(row["as_read"])["center"] == "7.6"


def test_where_the_arm_is_open_the_rows_that_may_be_meant_are_named(held):
    (row,) = proposals([found(count(events="7"), title="Group A")], held)
    assert (row["grade"], row["arm_id"]) == ("new", "")
    assert row["differences"] == "the arm is open: compared with these rows when it is accepted"
    assert row["held"] == "published/binary.csv row 2 from alpha_abs; published/binary.csv row 4 from alpha_abs"


def test_trials_that_the_review_knows_come_first(held):
    rows = proposals([found(count(), "NCT00000000"), found(count())], held)
    assert [(row["registration"], row["grade"]) for row in rows] == [("NCT00000001", "same"), ("NCT00000000", "new")]


def test_a_row_that_the_tables_cannot_take_is_proposed_with_the_reason(held):
    (row,) = proposals([found(count(n="0"))], held)
    assert row["differences"] == "cannot be entered as it is: n: expected at least 1, found '0'"


def test_a_unit_that_nobody_has_added_is_quoted_in_the_note(held):
    (row,) = proposals([found(measure(outcome="insulin_dose", unit="U/day", unit_printed="units"))], held)
    assert (row["unit_printed"], row["note"]) == ("U/day", "unit as posted: 'units'")


def test_a_file_of_proposals_is_never_written_over(held, tmp_path):
    path = tmp_path / "proposals.csv"
    rows = proposals([found(count())], held)
    write_proposals(path, rows)
    before = path.read_bytes()
    write_proposals(path, rows)  # the same again is no change
    decided = before.replace(b"\r\n,,,same", b"\r\naccept,A Reader,,same")
    assert decided != before
    path.write_bytes(decided)
    with pytest.raises(ProposalError, match="expected no file, found one that may contain decisions"):
        write_proposals(path, rows)
    assert path.read_bytes() == decided


def test_what_people_read_from_a_registry_is_the_same_when_it_is_harvested():
    """NCT00133809 as its posted results stand in binary.csv, put back into the shape of the registry's API."""
    independent = dict(zip((1, 3, 6, 9, 12, 18, 24, 36, 48, 60), (6, 6, 6, 6, 5, 5, 5, 3, 2, 2), strict=True))
    group = {"id": "OG000", "title": "Islet Transplant"}
    eight = [{"units": "Participants", "counts": [{"groupId": "OG000", "value": "8"}]}]
    classes = [
        {
            "title": f"{month} months",
            "categories": [{"measurements": [{"groupId": "OG000", "value": str(number)}]}],
        }
        for month, number in independent.items()
    ]
    outcome = {
        **{"type": "SECONDARY", "title": "Insulin Independence", "reportingStatus": "POSTED"},
        **{"timeFrame": "1, 3, 6, 9, 12, 18, 24, 36, 48, 60 months", "paramType": "COUNT_OF_PARTICIPANTS"},
        **{"unitOfMeasure": "Participants", "groups": [group], "denoms": eight, "classes": classes},
    }
    serious = {"id": "EG000", "title": "Islet Transplant", "seriousNumAffected": 2, "seriousNumAtRisk": 8}
    record = {
        "protocolSection": {"identificationModule": {"nctId": "NCT00133809"}},
        "resultsSection": {
            "outcomeMeasuresModule": {"outcomeMeasures": [outcome]},
            "adverseEventsModule": {"timeFrame": "3 years to 5 years 9 months", "eventGroups": [serious]},
        },
    }
    rows = [
        Found(one.registration, one.table, one.pointer, one.arm_title, one.values, ANSWER)
        for one in posted(record).rows
    ]
    made = proposals(rows, read_held(REPOSITORY / "data"))
    assert {(row["study_id"], row["arm_id"]) for row in made} == {("emory_nct00133809", "all")}
    assert [(row["outcome"], row["months"], row["grade"]) for row in made] == [
        *(("insulin_independence", str(month), "same") for month in independent),
        ("serious_adverse_event", "", "same"),
    ]


# Where they come from ------------------------------------------------------------------------------------------------


def as_harvested(path, rows):
    """Rows as ``cellclaims harvest`` writes them: CSV or Parquet, without answers."""
    made = [Row(one.registration, one.table, one.pointer, one.arm_title, dict(one.values)) for one in rows]
    list(write(iter([Portion(rows=made)]), path))
    return path


@pytest.mark.parametrize("kind", FORMATS)
def test_harvested_rows_are_read_from_a_file(tmp_path, kind):
    rows = [found(measure(note="=1+1")), found(count(definition="'tis"), pointer="/resultsSection/2")]
    read = list(from_file(as_harvested(tmp_path / f"rows.{kind}", rows)))
    assert [(one.registration, one.table, one.pointer, one.values) for one in read] == [
        (one.registration, one.table, one.pointer, one.values) for one in rows
    ]
    assert {one.provenance.sha256 for one in read} == {""}


def test_without_pyarrow_a_parquet_file_is_refused_and_says_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "rows.parquet").write_bytes(b"PAR1")
    with pytest.raises(ProposalError, match=r"rows.parquet: expected the package pyarrow .*'cellclaims.parquet.'"):
        list(from_file(tmp_path / "rows.parquet"))


def test_a_row_of_a_file_gets_the_answer_of_the_record_that_says_the_same(tmp_path):
    rows = [found(measure(center="9.9")), found(count(), pointer="/resultsSection/2")]
    read = from_file(as_harvested(tmp_path / "rows.csv", rows))
    known = [found(measure()), found(count(), pointer="/resultsSection/2")]
    assert [one.provenance.sha256[:1] for one in with_answers(read, known)] == ["", "a"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("registration,table\nNCT1,binary\n", "expected the columns registration, table, pointer, arm_title"),
        ("registration,table,pointer,arm_title\nNCT1,survival,/,x\n", "row 2, column table: expected continuous or"),
    ],
)
def test_a_harvest_that_cannot_be_read_is_refused(tmp_path, content, words):
    path = tmp_path / "rows.csv"
    path.write_text(content)
    with pytest.raises(ProposalError, match=words):
        list(from_file(path))
    with pytest.raises(ProposalError, match="expected harvested rows as CSV or Parquet"):
        list(from_file(tmp_path / "missing.csv"))


def test_the_command_writes_a_file_that_opens_without_a_formula(folder, tmp_path):
    rows = [found(count(definition="=cmd|' /C calc'!A0"), title="@SUM(A1)")]
    harvest = as_harvested(tmp_path / "rows.csv", rows)
    into = tmp_path / "proposals.csv"
    command = ["propose", "--from", harvest, "--registry", tmp_path / "none", "--data", folder, "--into", into]
    done = CliRunner().invoke(main, list(map(str, command)))
    assert done.exit_code == 0, done.output
    assert "1 proposal: 1 new, 0 differs, 0 same; 1 to be given a report or an arm" in done.output
    assert "1 of them has no answer of a snapshot" in done.output
    cells = list(csv.DictReader(io.StringIO(into.read_bytes().decode("utf-8-sig"))))
    assert (cells[0]["definition"], cells[0]["arm_title"]) == ("'=cmd|' /C calc'!A0", "'@SUM(A1)")
    again = CliRunner().invoke(main, [*map(str, command[:-1]), str(harvest)])
    assert again.exit_code == 2
    assert "found one that may contain decisions" in again.output


def test_every_command_and_option_that_the_guide_names_exists():
    guide = (REPOSITORY / "docs" / "proposals.md").read_text(encoding="utf-8")
    lines = re.findall(r"^    cellclaims (\w+)(.*)$", guide, re.MULTILINE)
    assert {name for name, _ in lines} >= {"propose", "accept", "resolve", "check", "pull"}
    for name, rest in lines:
        known = {option for parameter in main.commands[name].params for option in parameter.opts}
        assert {word for word in rest.split() if word.startswith("--")} <= known


def test_without_a_file_proposals_are_printed_and_nothing_is_written(folder, tmp_path):
    rows = as_harvested(tmp_path / "rows.csv", [found(measure()), found(count(), pointer="/resultsSection/2")])
    before = sorted(tmp_path.rglob("*"))
    arguments = ["propose", "--from", str(rows), "--data", str(folder), "--registry", str(tmp_path / "registry")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert "hba1c" in done.output and "insulin_independence at month" in done.output
    assert "2 proposals: " in done.output
    assert "nothing was written: use --into FILE.csv to write a file for decisions" in done.output
    assert sorted(tmp_path.rglob("*")) == before
