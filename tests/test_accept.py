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
from cellclaims.harvest.proposals import (
    PROPOSAL_COLUMNS,
    Found,
    ProposalOrigin,
    from_registry,
    proposals,
    write_proposals,
)
from cellclaims.harvest.resolve import COLUMNS as CANDIDATES
from cellclaims.pool import pooled
from cellclaims.question import Analysis, Question
from cellclaims.registries.store import Snapshot, Store, free_name
from cellclaims.selection import EvidenceBase

from .harvest_records import counts, measured, outcome, study

REPOSITORY = Path(__file__).resolve().parent.parent
DAY = date(2026, 1, 2)
ANSWER = ProposalOrigin(
    *("ctgov", "https://clinicaltrials.gov/study/NCT00000001", "20260101T000000Z"),
    *("https://clinicaltrials.gov/api/v2/studies", "2026-01-01T00:00:00Z", 64 * "a", "/studies/0"),
)
#: What a made-up record posts of one arm: HbA1c, and insulin independence.
MEASURE = {"months": "6", "kind": "level", "n": "17", "center": "7.80", "spread": "1.0"}
COUNT = {"months": "6", "n": "18", "events": "5", "words": ""}


def measure(**cells):
    """Posted HbA1c, with other figures where they are given."""
    one = {"title": "cells"} | MEASURE | cells
    title = "Change in HbA1c" if one["kind"] == "change" else "HbA1c"
    more = {"classes": [measured(one["center"], spread=one["spread"])], "denoms": counts(one["n"])}
    return posted_outcome(f"{title} at Month {one['months']}", one, **more)


def count(**cells):
    """Posted insulin independence, with other figures where they are given."""
    one = {"title": "cells"} | COUNT | cells
    title = f"{one['words']}Insulin independence at Month {one['months']}"
    kind = {"paramType": "COUNT_OF_PARTICIPANTS", "unitOfMeasure": "Participants", "dispersionType": None}
    return posted_outcome(title, one, classes=[measured(one["events"])], denoms=counts(one["n"]), **kind)


def posted_outcome(title, one, **more):
    groups = [{"id": "OG000", "title": one["title"]}]
    return outcome(title, timeFrame=f"Month {one['months']}", groups=groups, **more)


def kept(data, outcomes):
    """A store beside the tables with one answer, a page of one made-up study that posts these outcomes."""
    record = study(*outcomes)
    record["protocolSection"]["identificationModule"]["nctId"] = "NCT00000001"
    return store_of(data / "registry", json.dumps({"studies": [record]}).encode())


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


def decided(data, outcomes, **cells):
    """A file of proposals of these posted outcomes, all accepted by A Reader, with other cells where they are given."""
    kept(data, outcomes)
    path, store = data.parent / "proposals.csv", Store(data / "registry")
    made = proposals(from_registry(store, store.snapshot(), []), read_held(data))
    rows = [row | {"decision": "accept", "reviewer": "A Reader"} | cells for row in made]
    path.write_bytes(sheet_bytes(PROPOSAL_COLUMNS, rows))
    return path


def candidate(data, **cells):
    """A file with one candidate for gamma2022, accepted; its answer is kept and says the same."""
    path = data.parent / "candidates.csv"
    row = dict.fromkeys(CANDIDATES, "") | {
        **{"decision": "accept", "reviewer": "A Reader", "study_id": "gamma2022", "score": "0.98"},
        **{"doi": "10.9999/ga,mma", "pmid": "33333333", "address": "https://www.ebi.ac.uk/search"},
        **{"time": "2026-01-01T00:00:00Z", "pointer": "/resultList/result/0"},
    }
    row |= {name: cell for name, cell in cells.items() if name != "answered"}
    paper = {"id": "33333333", "source": "MED", "title": "Islets"} | {name: row[name] for name in ("doi", "pmid")}
    body = json.dumps({"hitCount": 1, "resultList": {"result": [paper | cells.get("answered", {})]}}).encode()
    facts = {"source": "europepmc", "kind": "search", "address": row["address"], "time": row["time"], "status": 200}
    row["sha256"] = cells.get("sha256") or Store(data / "registry").keep(body, parameters={}, **facts).sha256
    path.write_bytes(sheet_bytes(CANDIDATES, [row]))
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
    path = decided(data, [measure(), count()])
    before = contents(data)
    outcome = accept(path, data, today=DAY)
    assert outcome.added == {"sources": 1, "continuous": 1, "binary": 1, "accepted": 2}
    after = contents(data)
    changed = {name for name in after if after[name] != before[name]}
    assert changed == {f"published/{name}.csv" for name in ("sources", "continuous", "binary", "accepted")}
    assert all(after[name].startswith(before[name]) for name in changed)
    evidence = load_evidence(data)
    row = evidence.continuous.iloc[-1]
    assert (row.study_id, row.arm_id, row.unit, row.unit_printed, row.n) == ("alpha2020", "cells", "%", "percent", 17)
    sha256 = Store(data / "registry").snapshot().answers[0].sha256
    place = "/studies/0/resultsSection/outcomeMeasuresModule/outcomeMeasures/0/classes/0/categories/0/measurements/0"
    assert row.locator == f"snapshot 20260101T000000Z, {place}"
    line = f'mean,7.80,sd,1.0,,alpha2020_nct00000001_{sha256[:8]},"snapshot 20260101T000000Z, {place}",printed,'
    assert after["published/continuous.csv"].endswith(f"{line}time as posted: HbA1c at Month 6,no\n".encode())
    source = evidence.sources.iloc[-1]
    assert (source.kind, source.url, source.read_at) == ("registry", ANSWER.page, ANSWER.page)
    assert source.accessed == "2026-01-01"
    assert (row.read_twice, evidence.binary.iloc[-1].read_twice) == ("no", "no")  # a person has not read it
    assert list(evidence.accepted.acceptance_id) == ["h001", "h002", "h003", "h004"]
    assert list(evidence.accepted.iloc[-1][["reviewer", "accepted", "sha256"]]) == ["A Reader", "2026-01-02", sha256]


def test_accepting_twice_changes_nothing(data):
    path = decided(data, [measure(), count()])
    accept(path, data, today=DAY)
    before = contents(data)
    outcome = accept(path, data, today=date(2027, 1, 1))
    assert (outcome.added, outcome.already) == ({}, 2)
    assert contents(data) == before


def test_a_dry_run_says_what_would_be_written_and_writes_nothing(data):
    path = decided(data, [count()])
    before = contents(data)
    done = CliRunner().invoke(main, ["accept", str(path), "--data", str(data), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "would be accepted: 1 row of sources.csv, 1 row of binary.csv, 1 row of accepted.csv" in done.output
    assert "published/binary.csv row 9: proposals.csv row 2" in done.output
    assert contents(data) == before


@pytest.mark.parametrize(("decision", "kind"), [("reject", "rejected"), ("", "undecided")])
def test_only_what_is_accepted_is_taken_over(data, decision, kind):
    path = decided(data, [count()], decision=decision)
    before = contents(data)
    outcome = accept(path, data, today=DAY)
    assert (outcome.added, getattr(outcome, kind)) == ({}, 1)
    assert contents(data) == before


def test_digits_that_a_spreadsheet_dropped_come_back_from_the_record(data):
    accept(decided(data, [measure()], center="7.8", dispersion_low="1", months="6.0"), data, today=DAY)
    assert b",6,level,17,mean,7.80,sd,1.0," in (data / "published" / "continuous.csv").read_bytes()


@pytest.mark.parametrize("edit", [
    lambda content: b"\xef\xbb\xbf" + content.replace(b"\n", b"\r\n"),
    lambda content: content.rstrip(b"\n"),
], ids=["CRLF and byte order mark", "no last line end"])  # fmt: skip
def test_a_table_keeps_its_line_ends(data, edit):
    for path in data.rglob("*.csv"):
        path.write_bytes(edit(path.read_bytes()))
    path = decided(data, [count()])
    before = contents(data)
    accept(path, data, today=DAY)
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
        ({"reviewer": " "}, "row 2, column reviewer: expected the name of the reviewer, found nothing"),
        ({"study_id": ""}, "column study_id: expected a report of published/studies.csv, found nothing: add its row "
                           "first (docs/add_a_study.md, steps 1 to 3)"),
        ({"study_id": "beta2021"}, "expected a report that names NCT00000001, found beta2021 with registry_id empty"),
        ({"arm_id": "sham"}, "column arm_id: expected an arm of alpha2020 (cells, cells_high, placebo), found sham: "
                             "add its row to published/arms.csv first (docs/add_a_study.md, step 2)"),
        ({"table": "survival"}, "column table: expected continuous or binary, found 'survival'"),
        ({"events": "6"}, "column events: expected 5 as in the record, found 6: values are not corrected here"),
        ({"timing": "ever"}, "column reason: expected why timing was changed from at_month to ever, found nothing"),
        ({"months": "soon", "reason": "read so"}, "column months: expected a plain number, found 'soon'"),
        ({"as_read": "[1"}, "column as_read: expected what was proposed, found '[1'"),
        ({"as_read": "[1]"}, "column as_read: expected what was proposed, found '[1]'"),
    ],
)  # fmt: skip
def test_a_row_that_cannot_be_taken_over_is_refused_by_its_place(data, cells, words):
    message = refused(data, decided(data, [count()], **cells))
    assert words in message
    assert "proposals.csv" in message


def test_a_label_is_corrected_with_a_reason(data):
    path = decided(data, [count()], timing="last_follow_up", time_origin="first_infusion", reason="follow-up varies")
    accept(path, data, today=DAY)
    row = load_evidence(data).binary.iloc[-1]
    assert (row.timing, row.time_origin) == ("last_follow_up", "first_infusion")
    assert load_evidence(data).accepted.iloc[-1].reason == "follow-up varies"


def test_words_that_a_spreadsheet_would_run_do_not_reach_the_tables(data):
    path = decided(data, [count(words="=cmd|' /C calc'!A0 ")])
    assert "column definition: expected words, found the formula" in refused(data, path)
    reviewer = decided(data, [count()], reviewer="@SUM(A1)")
    assert "column reviewer: expected words, found the formula '@SUM(A1)'" in refused(data, reviewer)


def test_line_ends_and_hidden_signs_in_what_a_person_wrote_are_left_out(data):
    accept(decided(data, [count()], reviewer="A\n Reader\u200b", reason="seen\r\ntwice"), data, today=DAY)
    assert list(load_evidence(data).accepted.iloc[-1][["reviewer", "reason"]]) == ["A Reader", "seen twice"]


def test_one_refused_row_keeps_all_out_and_each_fault_is_named(data):
    rows = [measure(), count(title="nobody"), count(title="nobody", months="9")]
    message = refused(data, decided(data, rows))
    assert "row 3, column arm_id" in message
    assert "row 4, column arm_id" in message


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (count(months="12", events="7"), "published/binary.csv row 2 from alpha_abs (events: held 6, read 7): "
         "it becomes an anomaly of the kind registry_differs_from_paper"),
        (measure(months="12", kind="change", center="-0.99", n="18"),
         "(dispersion: held nothing, read sd 1.0 %): it becomes a second source"),
    ],
)  # fmt: skip
def test_a_figure_that_differs_is_never_written(data, row, words):
    assert words in refused(data, decided(data, [row]))


def test_a_figure_that_differs_from_an_older_record_becomes_a_second_source(data):
    path = data / "published" / "sources.csv"
    path.write_text(path.read_text().replace("alpha_abs,alpha2020,abstract", "alpha_abs,alpha2020,registry"))
    message = refused(data, decided(data, [count(months="12", events="7")]))
    assert "it becomes a second source" in message


def test_what_is_held_from_elsewhere_is_not_entered_again(data):
    path = decided(data, [count(months="12", events="6")])
    before = contents(data)
    outcome = accept(path, data, today=DAY)
    assert (outcome.added, outcome.already) == ({}, 1)
    assert contents(data) == before


def test_two_rows_of_one_file_that_contradict_each_other_are_refused(data):
    rows = [count(), count(events="4")]
    assert "published/binary.csv row 9" in refused(data, decided(data, rows))


def test_one_figure_is_accepted_for_one_arm(data):
    accept(decided(data, [count()]), data, today=DAY)
    message = refused(data, decided(data, [count()], arm_id="placebo"))
    assert "expected cells of alpha2020, as accepted in h003, found placebo of alpha2020" in message


def test_what_the_check_would_find_is_refused_in_its_own_words(data):
    message = refused(data, decided(data, [count(n="40")]))
    assert (
        "proposals.csv row 2: published/binary.csv, row 9, column n: expected at most the arm's 20 patients" in message
    )


#: What a file says of the answer or of the record, and why it is refused.
MADE_UP = {
    "checksum": (
        {"sha256": 64 * "0"},
        "column sha256: {registry}/answers/00/" + 64 * "0" + ": expected an answer, found",
    ),
    "no checksum": ({"sha256": ""}, "column sha256: {registry}: expected a SHA-256 in hexadecimal, found ''"),
    "snapshot": ({"snapshot": "20250101T000000Z"}, "column snapshot: {registry}: expected one of the snapshots"),
    "no snapshot": ({"snapshot": ""}, "column snapshot: expected one that lists the answer"),
    "address": (
        {"address": "https://example.org"},
        "column address: expected https://clinicaltrials.gov/api/v2/studies,",
    ),
    "time": (
        {"time": "2020-01-01T00:00:00Z"},
        "column time: expected 2026-01-01T00:00:00Z, found 2020-01-01T00:00:00Z",
    ),
    "pointer": (
        {"pointer": "/studies/0/resultsSection"},
        "column pointer: expected a figure that is read at /studies/0",
    ),
    "arm": ({"arm_title": "placebo"}, "column arm_title: expected cells as the kept answer has it, found placebo"),
    "page": ({"page": "https://example.org/"}, "column page: expected https://clinicaltrials.gov/study/NCT00000001"),
}


@pytest.mark.parametrize("what", MADE_UP)
def test_a_figure_that_is_not_the_kept_answers_is_refused(data, what):
    cells, words = MADE_UP[what]
    message = refused(data, decided(data, [count()], **cells))
    assert words.format(registry=data / "registry") in message


def test_a_value_changed_together_with_what_was_read_is_refused(data):
    path = decided(data, [count()])
    path.write_text(path.read_text("utf-8-sig").replace('""events"": ""5""', '""events"": ""6""'), "utf-8-sig")
    (row,) = read_sheet(path, PROPOSAL_COLUMNS)
    path.write_bytes(sheet_bytes(PROPOSAL_COLUMNS, [row | {"events": "6"}]))
    assert "column as_read, events: expected 5 as the kept answer has it, found 6" in refused(data, path)


def test_an_answer_that_was_changed_in_the_store_is_refused(data):
    path = decided(data, [count()])
    store = Store(data / "registry")
    place = store.place(store.snapshot().answers[0].sha256)
    place.write_bytes(place.read_bytes().replace(b'"5"', b'"6"'))
    assert "the file was changed" in refused(data, path)


def test_one_made_up_figure_keeps_the_others_out(data):
    path = decided(data, [measure(), count()])
    first, second = read_sheet(path, PROPOSAL_COLUMNS)
    path.write_bytes(sheet_bytes(PROPOSAL_COLUMNS, [first, second | {"sha256": 64 * "0"}]))
    assert "row 3, column sha256" in refused(data, path)


def test_a_store_elsewhere_is_named_and_without_one_nothing_is_accepted(data, tmp_path):
    path = decided(data, [count()])
    (data / "registry").rename(tmp_path / "elsewhere")
    assert "expected an answer, found No such file" in refused(data, path)
    arguments = ["accept", str(path), "--data", str(data), "--registry", str(tmp_path / "elsewhere")]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    assert len(load_evidence(data).binary) == 8


def test_an_answer_that_two_rows_name_is_read_once(data, monkeypatch):
    path, read = decided(data, [measure(), count()]), []
    content = Store.content
    monkeypatch.setattr(Store, "content", lambda self, *what: read.append(what) or content(self, *what))
    accept(path, data, today=DAY)
    assert len(read) == 1


def test_tables_with_a_fault_of_their_own_are_refused_first(data):
    path = decided(data, [count()])
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
    assert "nothing was accepted: No space left on device" in refused(data, decided(data, [count()]))


def test_an_acceptance_that_was_killed_between_two_files_is_completed(data, monkeypatch):
    """The process dies after the figure was written and before the acceptance was."""

    def write(path, content):
        if path.stem == "accepted":
            raise KeyboardInterrupt
        files.write_atomically(path, content)

    path = decided(data, [count()])
    monkeypatch.setattr(planning, "write_atomically", write)
    with pytest.raises(KeyboardInterrupt):
        accept(path, data, today=DAY)
    load_evidence(data)  # without a fault
    monkeypatch.undo()
    outcome = accept(path, data, today=DAY)
    assert outcome.added == {"accepted": 1}
    assert len(load_evidence(data).accepted) == 3


def test_a_table_that_changed_meanwhile_is_not_written_over(data, monkeypatch):
    path = decided(data, [count()])
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
        ({"answered": {"doi": "10.9999/other"}}, "column doi: expected 10.9999/other as the kept answer has it, found"),
        ({"answered": {"pmid": ""}}, "column pmid: expected nothing as the kept answer has it, found 33333333"),
        ({"pointer": "/resultList/result/1"}, "column pointer: expected a publication at /resultList/result/1 of the"),
        ({"sha256": 64 * "0"}, "column sha256:"),
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
    """A store with one snapshot of one answer, besides those that it has."""
    store = Store(folder)
    facts = {"source": "ctgov", "kind": "search", "address": "https://clinicaltrials.gov/api/v2/studies"}
    answer = store.keep(body, parameters={}, time="2026-01-01T00:00:00Z", status=200, **facts)
    if name not in store.names() or store.snapshot(name).answers != (answer,):
        name = free_name(store, "2026-01-01T00:00:00Z")
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
    outcome = accept(into, data, tmp_path / "registry", today=DAY)
    assert outcome.added == {"sources": 1, "continuous": 4, "accepted": 4}
    monkeypatch.undo()  # the whole check, with its second reader
    checked = CliRunner().invoke(main, ["check", "--data", str(data)])
    assert checked.exit_code == 0, checked.output

    evidence = load_evidence(data)
    asked = Question("hba1c", ("T2D",), "any_cells", designs=("rct",))
    pool = pooled(EvidenceBase(evidence, protocol.load(data)), asked.named("hba1c", ""), Analysis("MD"))
    assert pool.rows.study_id.tolist()[-2:] == ["zang2022", "invented2026"]
    assert pool.rows.iloc[-1].yi == pytest.approx(7.9 - 8.3)
    assert set(evidence.accepted.sha256) == {answer.sha256}

    said = propose(tmp_path / "again.csv", data, tmp_path / "registry")
    assert "4 proposals: 0 new, 0 differs, 4 same" in said


def test_a_harvest_of_the_same_record_gives_the_same_proposals(tmp_path, data):
    add_report(data, "NCT09999991")
    body = json.dumps(made_record("NCT09999991", {"Baseline": [("8.8", "1.2"), ("8.7", "1.1")]})).encode()
    store_of(tmp_path / "registry", body)
    (tmp_path / "record.json").write_bytes(body)
    rows = tmp_path / "rows.csv"
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
    outcome = accept(into, data, tmp_path / "registry", today=DAY)
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
