"""``cellclaims accept``: what a person accepted goes into the tables with source and reviewer, or nothing does."""

from __future__ import annotations

import csv
import io
import json
import shutil
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from cellclaims import files, protocol
from cellclaims.cli import main
from cellclaims.errors import ProposalError
from cellclaims.evidence import load as load_evidence
from cellclaims.harvest import accept as planning
from cellclaims.harvest.accept import accept
from cellclaims.harvest.commands import propose
from cellclaims.harvest.held import read_held, read_sheet, sheet_bytes, with_cell, with_rows
from cellclaims.harvest.proposals import PROPOSAL_COLUMNS, Found, Provenance, proposals, write_proposals
from cellclaims.harvest.resolve import COLUMNS as CANDIDATES
from cellclaims.pool import pooled
from cellclaims.question import Analysis, Question
from cellclaims.registries.store import Snapshot, Store
from cellclaims.selection import EvidenceBase

REPOSITORY = Path(__file__).resolve().parent.parent
DAY = date(2026, 1, 2)
ANSWER = Provenance(
    *("ctgov", "https://clinicaltrials.gov/study/NCT00000001", "20260101T000000Z"),
    *("https://clinicaltrials.gov/api/v2/studies", "2026-01-01T00:00:00Z", 64 * "a", "/studies/0"),
)
MEASURE = {
    **{"outcome": "hba1c", "unit": "%", "unit_printed": "percent", "months": "6", "kind": "level", "n": "17"},
    **{
        "center_type": "mean",
        "center": "7.80",
        "dispersion_type": "sd",
        "dispersion_low": "1.0",
        "dispersion_high": "",
    },
    **{"locator": "outcome measure 1", "status": "printed", "note": "time as posted: Month 6"},
}
COUNT = {
    **{"outcome": "insulin_independence", "definition_id": "insulin_independence", "definition": "no insulin, ever"},
    **{"timing": "at_month", "months": "6", "time_origin": "", "events": "5", "n": "18", "percent": ""},
    **{"percent_printed": "", "locator": "outcome measure 2", "status": "printed", "note": ""},
}


@pytest.fixture
def data(tmp_path):
    """A copy of the made-up tables with the real ``datapackage.json``."""
    target = tmp_path / "data"
    shutil.copytree(Path(__file__).resolve().parent / "made_up", target)
    shutil.copy(REPOSITORY / "data" / "datapackage.json", target)
    return target


@pytest.fixture(autouse=True)
def quick(monkeypatch, request):
    """The check without its second reader, which takes a second each time; one test runs the whole of it."""
    if "whole_check" not in request.node.name:
        monkeypatch.setattr("cellclaims.evidence.check._by_frictionless", lambda folder: [])


def found(values, pointer="/resultsSection/1", title="cells", registration="NCT00000001"):
    table = "binary" if "events" in values else "continuous"
    return Found(registration, table, pointer, title, values, ANSWER)


def decided(data, rows, **cells):
    """A file of proposals of these rows, all accepted by A Reader, with other cells where they are given."""
    path = data.parent / "proposals.csv"
    made = [row | {"decision": "accept", "reviewer": "A Reader"} | cells for row in proposals(rows, read_held(data))]
    path.write_bytes(sheet_bytes(PROPOSAL_COLUMNS, made))
    return path


def candidate(data, **cells):
    """A file with one candidate for gamma2022, accepted."""
    path = data.parent / "candidates.csv"
    row = dict.fromkeys(CANDIDATES, "") | {
        **{"decision": "accept", "reviewer": "A Reader", "study_id": "gamma2022", "score": "0.98"},
        **{"doi": "10.9999/ga,mma", "pmid": "33333333", "address": "https://www.ebi.ac.uk/search"},
        **{"time": "2026-01-01T00:00:00Z", "sha256": 64 * "b", "pointer": "/resultList/result/0"},
    }
    path.write_bytes(sheet_bytes(CANDIDATES, [row | cells]))
    return path


def contents(data):
    return {str(path.relative_to(data)): path.read_bytes() for path in data.rglob("*") if path.is_file()}


def refused(data, path):
    """The message with which nothing is written."""
    before = contents(data)
    with pytest.raises(ProposalError) as error:
        accept(path, data, today=DAY)
    assert contents(data) == before
    return str(error.value)


# What is written -----------------------------------------------------------------------------------------------------


def test_an_accepted_row_stands_at_the_end_of_its_table_with_source_and_reviewer(data):
    before = contents(data)
    outcome = accept(decided(data, [found(MEASURE), found(COUNT, "/resultsSection/2")]), data, today=DAY)
    assert outcome.added == {"sources": 1, "continuous": 1, "binary": 1, "accepted": 2}
    after = contents(data)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"published/{name}.csv" for name in ("sources", "continuous", "binary", "accepted")}
    assert all(after[name].startswith(before[name]) for name in changed)
    evidence = load_evidence(data)
    row = evidence.continuous.iloc[-1]
    assert (row.study_id, row.arm_id, row.unit, row.unit_printed, row.n) == ("alpha2020", "cells", "%", "percent", 17)
    assert row.locator == "snapshot 20260101T000000Z, /studies/0/resultsSection/1"
    assert after["published/continuous.csv"].endswith(b"mean,7.80,sd,1.0,,alpha2020_nct00000001_aaaaaaaa,"
        b'"snapshot 20260101T000000Z, /studies/0/resultsSection/1",printed,time as posted: Month 6,no\n')  # fmt: skip
    source = evidence.sources.iloc[-1]
    assert (source.kind, source.url, source.read_at) == ("registry", ANSWER.page, ANSWER.page)
    assert source.accessed == "2026-01-01"
    assert (row.read_twice, evidence.binary.iloc[-1].read_twice) == ("no", "no")  # a person has not read it
    assert list(evidence.accepted.acceptance_id) == ["h001", "h002", "h003", "h004"]
    assert list(evidence.accepted.iloc[-1][["reviewer", "accepted", "sha256"]]) == ["A Reader", "2026-01-02", 64 * "a"]


def test_accepting_twice_changes_nothing(data):
    path = decided(data, [found(MEASURE), found(COUNT, "/resultsSection/2")])
    accept(path, data, today=DAY)
    before = contents(data)
    outcome = accept(path, data, today=date(2027, 1, 1))
    assert (outcome.added, outcome.already) == ({}, 2)
    assert contents(data) == before


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(data):
    before = contents(data)
    done = CliRunner().invoke(main, ["accept", str(decided(data, [found(COUNT)])), "--data", str(data), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "would be accepted: 1 row of sources.csv, 1 row of binary.csv, 1 row of accepted.csv" in done.output
    assert "published/binary.csv row 9: proposals.csv row 2" in done.output
    assert contents(data) == before


@pytest.mark.parametrize(("decision", "kind"), [("reject", "rejected"), ("", "undecided")])
def test_only_what_is_accepted_is_taken_over(data, decision, kind):
    before = contents(data)
    outcome = accept(decided(data, [found(COUNT)], decision=decision), data, today=DAY)
    assert (outcome.added, getattr(outcome, kind)) == ({}, 1)
    assert contents(data) == before


def test_digits_that_a_spreadsheet_dropped_come_back_from_the_record(data):
    accept(decided(data, [found(MEASURE)], center="7.8", dispersion_low="1", months="6.0"), data, today=DAY)
    assert b",6,level,17,mean,7.80,sd,1.0," in (data / "published" / "continuous.csv").read_bytes()


@pytest.mark.parametrize("edit", [
    lambda content: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"),
    lambda content: content.rstrip(b"\n"),
], ids=["CRLF and byte order mark", "no last line end"])  # fmt: skip
def test_a_table_keeps_its_line_ends(data, edit):
    for path in data.rglob("*.csv"):
        path.write_bytes(edit(path.read_bytes()))
    before = contents(data)
    accept(decided(data, [found(COUNT)]), data, today=DAY)
    after = contents(data)["published/binary.csv"]
    assert after.startswith(before["published/binary.csv"])
    assert after.count(b"\n") - after.count(b"\r\n") in (0, after.count(b"\n"))
    assert len(load_evidence(data).binary) == 8


def test_a_table_that_quotes_every_cell_goes_on_doing_so():
    assert with_rows(b'"a","b"\r\n', [["x", ""]]) == b'"a","b"\r\n"x",""\r\n'
    assert with_cell(b'"a","b"\r\n"x",""\r\n', 2, 1, "y") == b'"a","b"\r\n"x","y"\r\n'


# What is refused -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"decision": "maybe"}, "row 2, column decision: expected accept, reject or nothing, found 'maybe'"),
        ({"reviewer": " "}, "row 2, column reviewer: expected the name of who accepts, found nothing"),
        ({"study_id": ""}, "column study_id: expected a report of published/studies.csv, found nothing: add its row "
                           "first (docs/add_a_study.md, steps 1 to 3)"),
        ({"study_id": "beta2021"}, "expected a report that names NCT00000001, found beta2021 with registry_id empty"),
        ({"arm_id": "sham"}, "column arm_id: expected an arm of alpha2020 (cells, cells_high, placebo), found sham: "
                             "add its row to published/arms.csv first (docs/add_a_study.md, step 2)"),
        ({"table": "survival"}, "column table: expected continuous or binary, found 'survival'"),
        ({"events": "6"}, "column events: expected 5 as the record has it, found 6: a figure is never corrected here"),
        ({"timing": "ever"}, "column reason: expected why timing was changed from at_month to ever, found nothing"),
        ({"months": "soon", "reason": "read so"}, "column months: expected a plain number, found 'soon'"),
        ({"as_read": "[1"}, "column as_read: expected what was proposed, found '[1'"),
        ({"as_read": "[1]"}, "column as_read: expected what was proposed, found '[1]'"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_taken_over_is_refused_by_its_place(data, cells, words):
    message = refused(data, decided(data, [found(COUNT)], **cells))
    assert words in message
    assert "proposals.csv" in message


def test_a_label_is_corrected_with_a_reason(data):
    path = decided(
        data, [found(COUNT)], timing="last_follow_up", time_origin="first_infusion", reason="follow-up varies"
    )
    accept(path, data, today=DAY)
    row = load_evidence(data).binary.iloc[-1]
    assert (row.timing, row.time_origin) == ("last_follow_up", "first_infusion")
    assert load_evidence(data).accepted.iloc[-1].reason == "follow-up varies"


def test_words_that_a_spreadsheet_would_run_do_not_reach_the_tables(data):
    path = decided(data, [found(COUNT | {"definition": "=cmd|' /C calc'!A0"})])
    assert "column definition: expected words, found the formula" in refused(data, path)
    reviewer = decided(data, [found(COUNT)], reviewer="@SUM(A1)")
    assert "column reviewer: expected words, found the formula '@SUM(A1)'" in refused(data, reviewer)


def test_line_ends_and_hidden_signs_in_what_a_person_wrote_are_left_out(data):
    accept(decided(data, [found(COUNT)], reviewer="A\n Reader\u200b", reason="seen\r\ntwice"), data, today=DAY)
    assert list(load_evidence(data).accepted.iloc[-1][["reviewer", "reason"]]) == ["A Reader", "seen twice"]


def test_one_refused_row_keeps_all_out_and_each_fault_is_named(data):
    rows = [found(MEASURE), found(COUNT, "/2", "nobody"), found(COUNT | {"months": "9"}, "/3", "nobody")]
    message = refused(data, decided(data, rows))
    assert "row 3, column arm_id" in message
    assert "row 4, column arm_id" in message


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (COUNT | {"months": "12", "events": "7"}, "published/binary.csv row 2 from alpha_abs (events: held 6, read 7): "
         "it becomes an anomaly of the kind registry_differs_from_paper"),
        (MEASURE | {"months": "12", "kind": "change", "center": "-0.99", "n": "18"},
         "(dispersion: held nothing, read sd 1.0 %): it becomes a second source"),
    ],
)  # fmt: skip
def test_a_figure_that_differs_is_never_written(data, row, words):
    assert words in refused(data, decided(data, [found(row)]))


def test_a_figure_that_differs_from_an_older_record_becomes_a_second_source(data):
    path = data / "published" / "sources.csv"
    path.write_text(path.read_text().replace("alpha_abs,alpha2020,abstract", "alpha_abs,alpha2020,registry"))
    message = refused(data, decided(data, [found(COUNT | {"months": "12", "events": "7"})]))
    assert "it becomes a second source" in message


def test_what_is_held_from_elsewhere_is_not_entered_again(data):
    before = contents(data)
    outcome = accept(decided(data, [found(COUNT | {"months": "12", "events": "6"})]), data, today=DAY)
    assert (outcome.added, outcome.already) == ({}, 1)
    assert contents(data) == before


def test_two_rows_of_one_file_that_contradict_each_other_are_refused(data):
    rows = [found(COUNT), found(COUNT | {"events": "4"}, "/resultsSection/2")]
    assert "published/binary.csv row 9" in refused(data, decided(data, rows))


def test_one_figure_is_accepted_for_one_arm(data):
    accept(decided(data, [found(COUNT)]), data, today=DAY)
    message = refused(data, decided(data, [found(COUNT)], arm_id="placebo"))
    assert "expected cells of alpha2020, as accepted in h003, found placebo of alpha2020" in message


def test_what_the_check_would_find_is_refused_in_its_own_words(data):
    message = refused(data, decided(data, [found(COUNT | {"n": "40"})]))
    assert (
        "proposals.csv row 2: published/binary.csv, row 9, column n: expected at most the arm's 20 patients" in message
    )


def test_an_answer_without_its_provenance_is_refused_by_the_whole_check(data):
    message = refused(data, decided(data, [found(COUNT)], sha256="", time=""))
    assert "published/accepted.csv, row 4, column sha256: expected a value" in message


def test_tables_with_a_fault_of_their_own_are_refused_first(data):
    path = decided(data, [found(COUNT)])
    study = data / "published" / "studies.csv"
    study.write_text(study.read_text().replace("T2D", "T9D"))
    done = CliRunner().invoke(main, ["accept", str(path), "--data", str(data)])
    assert done.exit_code == 2
    assert "published/studies.csv, row 2, column diabetes_type" in done.output


# What is cut off -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("broken", ["sources", "binary", "accepted"])
def test_a_full_disk_leaves_every_table_as_it_was(data, monkeypatch, broken):
    def write(path, content):
        if path.stem == broken and len(content) > len(before[f"published/{broken}.csv"]):
            raise OSError(28, "No space left on device", str(path))
        files.write_atomically(path, content)

    before = contents(data)
    monkeypatch.setattr(planning, "write_atomically", write)
    assert "nothing was accepted: No space left on device" in refused(data, decided(data, [found(COUNT)]))


def test_an_acceptance_that_was_killed_between_two_files_is_completed(data, monkeypatch):
    """The process dies after the figure was written and before the acceptance was."""

    def write(path, content):
        if path.stem == "accepted":
            raise KeyboardInterrupt
        files.write_atomically(path, content)

    path = decided(data, [found(COUNT)])
    monkeypatch.setattr(planning, "write_atomically", write)
    with pytest.raises(KeyboardInterrupt):
        accept(path, data, today=DAY)
    load_evidence(data)  # without a fault
    monkeypatch.undo()
    outcome = accept(path, data, today=DAY)
    assert outcome.added == {"accepted": 1}
    assert len(load_evidence(data).accepted) == 3


def test_a_table_that_changed_meanwhile_is_not_written_over(data, monkeypatch):
    path = decided(data, [found(COUNT)])
    study = data / "published" / "sources.csv"
    tried = planning.try_out

    def slow(plan, contents):
        tried(plan, contents)
        address = "https://example.org/n"
        study.write_text(study.read_text() + f"s_new,,secondary,{address},{address},made up,2026-01-01,all\n")

    monkeypatch.setattr("cellclaims.harvest.accept.try_out", slow)
    with pytest.raises(ProposalError, match="found it changed meanwhile"):
        accept(path, data, today=DAY)
    assert len(load_evidence(data).binary) == 7


# Identifiers ---------------------------------------------------------------------------------------------------------


def test_an_accepted_candidate_fills_empty_cells_and_no_other_byte(data):
    path = data / "published" / "studies.csv"
    before = path.read_bytes()
    outcome = accept(candidate(data), data, today=DAY)
    assert outcome.added == {"studies": 2, "accepted": 2}
    row = b"gamma2022,A made-up later report of the same series,Gamma,2022,,"
    assert before.count(row + b",,") == 1
    expected = before.replace(row + b",,", row + b'"10.9999/ga,mma",33333333,')
    assert path.read_bytes() == expected
    evidence = load_evidence(data)
    assert list(evidence.accepted.value)[-2:] == ["10.9999/ga,mma", "33333333"]
    again = contents(data)
    assert accept(candidate(data), data, today=DAY).already == 1
    assert contents(data) == again


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"study_id": "beta2021"}, "column doi: expected 10.9999/beta, the doi of beta2021 in published/studies.csv "
                                   "row 3, found 10.9999/ga,mma: a filled identifier is never changed"),
        ({"study_id": "delta"}, "column study_id: expected a report of published/studies.csv, found delta"),
        ({"doi": "", "pmid": ""}, "expected a DOI, PubMed or PubMed Central number, found none"),
        ({"doi": "10.9999/alpha"}, "column doi: expected each once, found the same as row 2: 10.9999/alpha"),
        ({"pmid": "many"}, "column pmid: expected the form [0-9]{1,8}, found 'many'"),
    ],
)  # fmt: skip
def test_an_identifier_that_cannot_be_filled_in_is_refused(data, cells, words):
    message = refused(data, candidate(data, **cells))
    assert words in message
    assert "candidates.csv row 2" in message


def test_of_two_candidates_of_a_report_one_can_be_accepted(data):
    path = candidate(data)
    first, *_ = read_sheet(path, CANDIDATES)
    path.write_bytes(sheet_bytes(CANDIDATES, [first, first | {"doi": "10.9999/other", "pmid": ""}]))
    assert "candidates.csv row 3, column doi: expected 10.9999/ga,mma" in refused(data, path)


# From a record to a pool ---------------------------------------------------------------------------------------------


def made_record(number, means, n=(30, 28)):
    """A study in the shape of the registry's API: HbA1c of two groups, by the titles of its classes."""
    groups = [{"id": "OG000", "title": "Cells"}, {"id": "OG001", "title": "Sham infusion"}]
    counts = [{"groupId": group["id"], "value": str(one)} for group, one in zip(groups, n, strict=True)]
    classes = [
        {"title": title, "denoms": [{"units": "Participants", "counts": counts}], "categories": [{"measurements": [
            {"groupId": group["id"], "value": mean, "spread": spread}
            for group, (mean, spread) in zip(groups, row, strict=True)
        ]}]}
        for title, row in means.items()
    ]  # fmt: skip
    outcome = {
        **{"type": "PRIMARY", "title": "HbA1c", "timeFrame": "Baseline, Week 52", "reportingStatus": "POSTED"},
        **{"paramType": "MEAN", "dispersionType": "Standard Deviation", "unitOfMeasure": "percent"},
        **{"groups": groups, "denoms": [{"units": "Participants", "counts": counts}], "classes": classes},
    }
    return {
        "protocolSection": {
            "identificationModule": {"nctId": number, "briefTitle": "A made-up trial"},
            "statusModule": {"overallStatus": "COMPLETED"},
        },
        "resultsSection": {"outcomeMeasuresModule": {"outcomeMeasures": [outcome]}},
        "hasResults": True,
    }


def store_of(folder, body, name="20260101T000000Z"):
    """A store with one snapshot of one answer."""
    store = Store(folder)
    facts = {"source": "ctgov", "kind": "search", "address": "https://clinicaltrials.gov/api/v2/studies"}
    answer = store.keep(body, parameters={}, time="2026-01-01T00:00:00Z", status=200, **facts)
    store.add(Snapshot(name, answer.time, answer.time, "pull", (answer,)))
    return answer


def add_report(data, number, study="invented2026", arms=("cells", "sham")):
    """A made-up randomised report with two arms, as docs/add_a_study.md adds one."""
    lines = {
        "studies": f"{study},A made-up trial,Invented A,2026,,,,,{number},T2D,msc,,,,,,,rct,yes,double,,12,made up\n",
        "arms": f"{study},{arms[0]},treatment,,yes,,32,,,\n{study},{arms[1]},control,sham,no,,31,,,\n",
        "cohorts": f"{study},,invented_cohort,whole\n",
    }
    for name, text in lines.items():
        with (data / "published" / f"{name}.csv").open("a", encoding="utf-8", newline="") as file:
            file.write(text)


def person_decides(path, **cells):
    """Open the file as a person does in a spreadsheet, accept every row of HbA1c, and save it."""
    rows = list(csv.DictReader(io.StringIO(path.read_bytes().decode("utf-8-sig"), newline="")))
    for row in rows:
        wanted = row["outcome"] == "hba1c"
        row.update({"decision": "accept" if wanted else "reject", "reviewer": "A Reader"}, **(cells if wanted else {}))
        if not row["arm_id"]:
            row["arm_id"] = {"Investigational": "cells", "Control": "sham"}.get(row["arm_title"], "")
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")
    return rows


def test_from_a_record_to_the_pool_it_belongs_to(tmp_path, monkeypatch):
    data = tmp_path / "data"
    shutil.copytree(REPOSITORY / "data", data, ignore=shutil.ignore_patterns("registry"))
    add_report(data, "NCT09999991")
    means = {"Baseline": [("8.8", "1.2"), ("8.7", "1.1")], "Week 52": [("7.90", "1.1"), ("8.3", "1.0")]}
    page = {"studies": [{"protocolSection": {"identificationModule": {"nctId": "NCT09999990"}}, "hasResults": False},
                        made_record("NCT09999991", means)]}  # fmt: skip
    answer = store_of(tmp_path / "registry", json.dumps(page).encode())
    into = tmp_path / "proposals.csv"
    said = propose(into, data, tmp_path / "registry")
    assert "4 proposals: 4 new, 0 differs, 0 same; 0 to be given a report or an arm" in said
    rows = person_decides(into)
    assert {(row["arm_id"], row["arm_why"]) for row in rows} == {
        ("cells", "the title is the arm's name"),
        ("sham", "the only sham arm, and the only title that says so"),
    }
    outcome = accept(into, data, today=DAY)
    assert outcome.added == {"sources": 1, "continuous": 4, "accepted": 4}
    monkeypatch.undo()  # the whole check, with its second reader
    checked = CliRunner().invoke(main, ["check", "--data", str(data)])
    assert checked.exit_code == 0, checked.output

    evidence = load_evidence(data)
    asked = Question("hba1c", ("T2D",), "any_cells", designs=("rct",))
    pool = pooled(EvidenceBase(evidence, protocol.load(data)), asked.named("hba1c", ""), Analysis("MD"))
    assert pool.rows.study_id.tolist() == ["zang2022", "invented2026"]
    assert pool.rows.iloc[1].yi == pytest.approx(7.9 - 8.3)
    assert set(evidence.accepted.sha256) == {answer.sha256}

    said = propose(tmp_path / "again.csv", data, tmp_path / "registry")
    assert "4 proposals: 0 new, 0 differs, 4 same" in said


def test_a_harvest_of_the_same_record_gives_the_same_proposals(tmp_path, data):
    add_report(data, "NCT09999991")
    body = json.dumps(made_record("NCT09999991", {"Baseline": [("8.8", "1.2"), ("8.7", "1.1")]})).encode()
    store_of(tmp_path / "registry", body)
    (tmp_path / "record.json").write_bytes(body)
    rows = tmp_path / "rows.parquet"
    done = CliRunner().invoke(main, ["harvest", str(tmp_path / "record.json"), "--into", str(rows)])
    assert done.exit_code == 0, done.output
    propose(tmp_path / "of_snapshot.csv", data, tmp_path / "registry")
    propose(tmp_path / "of_file.csv", data, tmp_path / "registry", rows)
    assert (tmp_path / "of_file.csv").read_bytes() == (tmp_path / "of_snapshot.csv").read_bytes()
    assert len(read_sheet(tmp_path / "of_file.csv", PROPOSAL_COLUMNS)) == 2


def test_a_recorded_study_goes_from_the_record_into_a_copy_of_the_tables(shared, tmp_path, data):
    """NCT01790594 (pancreas and kidney) is no trial of cells: it stands in for one in the made-up tables only."""
    add_report(data, "NCT01790594")
    body = (shared / "registry" / "ctgov-v2" / "NCT01790594.json").read_bytes()
    store_of(tmp_path / "registry", body)
    into = tmp_path / "recorded.csv"
    propose(into, data, tmp_path / "registry")
    person_decides(into, reason="stands in for a trial")
    outcome = accept(into, data, today=DAY)
    assert outcome.added == {"sources": 1, "continuous": 12, "accepted": 12}
    rows = load_evidence(data).continuous.tail(12)
    at_52 = rows[rows.months == 12].set_index("arm_id")
    assert at_52.center.to_dict() == {"cells": 5.5, "sham": 5.3}
    assert at_52.n.to_dict() == {"cells": 18, "sham": 16}
    assert set(rows.source_id) == {f"invented2026_nct01790594_{load_evidence(data).accepted.sha256.iloc[-1][:8]}"}


def test_the_proposals_of_every_recorded_study_are_written(shared, tmp_path, data):
    held = read_held(data)
    from cellclaims.harvest import posted

    rows = [
        Found(row.registration, row.table, row.pointer, row.arm_title, row.values, ANSWER)
        for path in sorted((shared / "registry" / "ctgov-v2").glob("*.json"))
        for row in posted(json.loads(path.read_bytes())).rows
    ]
    assert len(rows) > 300
    made = proposals(rows, held)
    write_proposals(tmp_path / "all.csv", made)
    assert [row["differences"] for row in made if row["differences"]] == []
