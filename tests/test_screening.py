"""Screening: records put together across sources, the list to decide in, and decisions taken over, all or none."""

from __future__ import annotations

import csv
import io
import shutil
from datetime import date
from pathlib import Path

import pytest
from click.testing import CliRunner

from cellclaims import figures, overview, protocol, reporting
from cellclaims.cli import main
from cellclaims.errors import ProposalError
from cellclaims.evidence import check, load
from cellclaims.evidence.screened import conflicts, counts, screened
from cellclaims.harvest.held import read_sheet, sheet_bytes
from cellclaims.registries import Store, pull_folder
from cellclaims.registries.changes import known_registrations
from cellclaims.reporting.registries import registry_news
from cellclaims.screening.decisions import state_in_words, take_over, write_list
from cellclaims.screening.records import merged, records
from cellclaims.screening.worklist import WORK_COLUMNS, nearness, sort_records, worklist
from cellclaims.selection import EvidenceBase

from .made_up_registry import EARLY, LATE, kept, outcome, results, study, two_snapshots

REPOSITORY = Path(__file__).resolve().parent.parent
DAY = date(2026, 12, 1)


def europepmc(*papers):
    """A page of Europe PMC."""
    return "europepmc", {"resultList": {"result": [{"source": "MED"} | paper for paper in papers]}}


def crossref(doi, title, year=2020):
    """A work of Crossref."""
    return "crossref", {"message": {"DOI": doi, "title": [title], "issued": {"date-parts": [[year]]}}}


def pubmed(pmid, title, year=2020):
    """A record of PubMed."""
    return "pubmed", (
        f"<PubmedArticleSet><PubmedArticle><MedlineCitation><PMID>{pmid}</PMID><Article><ArticleTitle>{title}"
        f"</ArticleTitle><Journal><JournalIssue><PubDate><Year>{year}</Year></PubDate></JournalIssue></Journal></Article>"
        "</MedlineCitation></PubmedArticle></PubmedArticleSet>"
    ).encode()


def titled(number, title, **more):
    """A study with another title."""
    made = study(number, **more)
    made["protocolSection"]["identificationModule"]["briefTitle"] = title
    return "ctgov", made


LONG = "Umbilical cord mesenchymal stromal cells in people with type 2 diabetes on insulin"


def found(folder, *bodies):
    """The records of a snapshot of these bodies."""
    store = Store(folder)
    store.add(kept(store, EARLY, *bodies))
    return records(store, store.snapshot())


# --- records put together -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bodies", "ids", "sources"),
    [
        (
            [europepmc({"pmid": "11", "doi": "10.1000/A", "title": "Islets", "pubYear": "2020"}), pubmed(11, "Islets")],
            ("pmid:11", "doi:10.1000/a"),
            ("europepmc", "pubmed"),
        ),
        (
            [europepmc({"pmid": "11", "doi": "10.1000/a", "title": "Islets"}), crossref("10.1000/A", "Islets.")],
            ("pmid:11", "doi:10.1000/a"),
            ("europepmc", "crossref"),
        ),
        (
            [pubmed(11, f"{LONG}."), crossref("10.1000/a", LONG.upper())],
            ("pmid:11", "doi:10.1000/a"),
            ("pubmed", "crossref"),
        ),
    ],
    ids=["by PubMed number", "by DOI in any case", "by title and year"],
)  # fmt: skip
def test_one_publication_of_two_sources_is_one_record(tmp_path, bodies, ids, sources):
    (one,) = found(tmp_path, *bodies)
    assert (one.ids, one.sources) == (ids, sources)


@pytest.mark.parametrize(
    "bodies",
    [
        [pubmed(11, LONG, 2020), crossref("10.1000/a", LONG, 2019)],
        [pubmed(11, f"{LONG}: part 1"), crossref("10.1000/a", f"{LONG}: part 2")],
        [pubmed(11, f"{LONG}: phase II"), crossref("10.1000/a", f"{LONG}: phase III")],
        [crossref("10.1000/a", LONG), crossref("10.1000/b", LONG)],
        [pubmed(11, "Islets in people"), crossref("10.1000/a", "Islets in people")],
        [titled("NCT00000007", LONG), pubmed(11, LONG, 2013)],
        [titled("NCT00000007", LONG), titled("NCT00000008", LONG)],
    ],
    ids=[
        "another year",
        "another number",
        "another phase",
        "two DOIs",
        "a short title",
        "a trial",
        "two registrations",
    ],
)
def test_what_may_be_two_stays_two_records(tmp_path, bodies):
    assert len(found(tmp_path, *bodies)) == 2


def test_a_trial_of_two_registers_is_one_record_by_title_and_year(tmp_path):
    export = (
        f"<Trials_downloaded_from_ICTRP><Trial><TrialID>ChiCTR2000000001</TrialID><Public_title>{LONG}</Public_title>"
        "<Date_enrollement>2013-02-01</Date_enrollement></Trial></Trials_downloaded_from_ICTRP>"
    )
    (one,) = found(tmp_path, titled("NCT00000007", LONG), ("ictrp", export.encode()))
    assert one.ids == ("NCT00000007", "ChiCTR2000000001")
    assert one.sources == ("ctgov", "ictrp")


def test_a_third_description_joins_two_records_that_shared_nothing():
    from cellclaims.screening.records import PAPER, Record

    one = Record(("pmid:1",), PAPER, ("pubmed",), "Islets", "2020")
    other = Record(("doi:10.1/a",), PAPER, ("crossref",), "Islets.", "2020")
    both = Record(("pmid:1", "doi:10.1/a"), PAPER, ("europepmc",), "Islets!", "2020")
    (whole,) = merged([one, other, both])
    assert (whole.title, whole.sources) == ("Islets!", ("europepmc", "pubmed", "crossref"))


# --- the list ---------------------------------------------------------------------------------------------------------


def test_nearness_weighs_rare_words_and_knows_no_plural():
    titles = ["Wharton jelly cells", "Cells in diabetes", "Wharton's jelly cell"]
    scores, nearest = nearness(titles, ["Diet in diabetes", "Jelly of Wharton in diabetes: cells"])
    assert scores[0] > scores[1]
    assert scores[2] > 0.6
    assert list(nearest) == [1, 1, 1]
    assert nearness([], ["a"])[0].size == nearness(["!"], ["a"])[0][0] == 0


@pytest.fixture
def data(tmp_path):
    """A copy of the evidence without decisions, and a store with two snapshots beside it."""
    target = tmp_path / "data"
    shutil.copytree(REPOSITORY / "data", target, ignore=shutil.ignore_patterns("registry"))
    for name in ("screening", "searches"):
        path = target / "screening" / f"{name}.csv"
        path.write_text(path.read_text().splitlines()[0] + "\n")
    known = next(iter(known_registrations(load(target))))
    citing = {"pmid": "12", "title": f"Diet ({known})", "pubYear": "2024"}
    early = [
        titled("NCT99999001", "Diet in people"),
        titled("NCT99999002", LONG, resultsSection=results(outcome())),
        titled(known, "A trial that the review has"),
        europepmc(citing, {"pmid": "13", "title": "=cmd|x", "pubYear": "2024"}),
        pubmed(12, "Diet"),
    ]
    two_snapshots(target / "registry", early, [*early, titled("NCT99999003", "Islets")])
    return target


@pytest.fixture(autouse=True)
def quick(monkeypatch, request):
    """The check without its second reader, which takes a second each time; one test runs the whole of it."""
    if "recorded" not in request.node.name:
        monkeypatch.setattr("cellclaims.evidence.check._by_frictionless", lambda folder: [])


def listed(data, **more):
    """The rows of a list, by identifier."""
    store = Store(data / "registry")
    evidence = load(data)
    rows = worklist(evidence, sort_records(evidence, store, store.snapshot(more.pop("snapshot", ""))), **more)
    return {row["identifier"]: row for row in rows}


def test_the_list_has_what_nobody_decided_nearest_first_and_marks_what_is_worth_a_look(data):
    rows = listed(data)
    assert list(rows) == ["pmid:12", "NCT99999002", "NCT99999003", "NCT99999001", "pmid:13"]
    known = next(iter(known_registrations(load(data))))
    assert rows["pmid:12"]["marks"] == f"names {known}"
    assert rows["NCT99999002"]["marks"] == "results posted"
    assert rows["pmid:12"]["source"] == "europepmc; pubmed"
    assert float(rows["NCT99999002"]["nearness"]) > float(rows["NCT99999001"]["nearness"])
    assert known not in rows


def test_what_is_wanted_is_listed_and_marked_as_it_is_not_used_yet(data):
    evidence = load(data)
    row = evidence.wanted[evidence.wanted.registry_id.isin(set(evidence.wanted.registry_id) - {""})]
    row = row[(row.kind == "registration") & (row.study_id == "")].iloc[0]
    store = Store(data / "registry")
    store.add(kept(store, "20261201T000000Z", titled(row.registry_id, "A trial")))
    shown = listed(data)
    if row.registry_id in known_registrations(evidence):
        pytest.fail(f"{row.registry_id} is a registration of the review: expected one that is only wanted")
    assert shown[row.registry_id]["marks"] == f"wanted: {row.wanted_id}"


def test_a_list_is_never_written_over_and_no_title_is_run(data, tmp_path):
    into = tmp_path / "list.csv"
    words = write_list(into, data, data / "registry")
    assert "5 records to decide on, 1 of them with posted results" in words
    assert "\n'=cmd|x" not in into.read_text("utf-8-sig")
    assert "'=cmd|x" in into.read_text("utf-8-sig")
    write_list(into, data, data / "registry")
    into.write_text(into.read_text() + ",")
    with pytest.raises(ProposalError, match="found one that may contain decisions"):
        write_list(into, data, data / "registry")


# --- decisions --------------------------------------------------------------------------------------------------------


def sheet(data, path, cells, **more):
    """A list with these cells, by identifier, as a spreadsheet would hand it back."""
    rows = listed(data, **more)
    for identifier, filled in cells.items():
        rows[identifier].update(filled)
    path.write_bytes(sheet_bytes(WORK_COLUMNS, rows.values()))
    return path


ALL = {
    "pmid:12": {"decision": "Include", "reviewer": "A Reader"},
    "NCT99999002": {"decision": "include", "reviewer": "A Reader", "study_id": "zang2022"},
    "NCT99999001": {"decision": "exclude", "reviewer": "A Reader", "reason": "no_cells"},
    "pmid:13": {"decision": "unsure", "reviewer": "A Reader", "reason": "not_readable"},
}


def test_decisions_are_taken_over_sorted_with_what_the_answers_say(data, tmp_path):
    taken = take_over(sheet(data, tmp_path / "list.csv", ALL), data, today=DAY)
    assert (taken.added, taken.already, taken.undecided) == ({"include": 2, "exclude": 1, "unsure": 1}, 0, 1)
    rows = list(csv.DictReader(io.StringIO((data / "screening" / "screening.csv").read_text())))
    assert [row["identifier"] for row in rows] == ["NCT99999001", "NCT99999002", "pmid:12", "pmid:13"]
    assert rows[3]["title"] == "'=cmd|x"
    assert {row["decided"] for row in rows} == {"2026-12-01"}
    assert {row["snapshot"] for row in rows} == {LATE}
    assert check.report(data)[1] == 0
    assert list(listed(data)) == ["NCT99999003"], "what was decided is listed no more"


def test_the_counts_of_a_search_add_up(data, tmp_path):
    take_over(sheet(data, tmp_path / "list.csv", ALL), data, today=DAY)
    evidence = load(data)
    assert counts(evidence)._asdict() == {
        "records": 7, "merged": 1, "known": 1, "waiting": 1, "earlier": 0, "screened": 4,
    }  # fmt: skip
    by_source = evidence.searches.set_index("source")
    assert by_source.merged.to_dict() == {"ctgov": 0, "europepmc": 0, "pubmed": 1}
    assert "4 records" not in state_in_words(data)
    assert "7 records, 1 of them given by a second source" in state_in_words(data)


def test_taking_over_twice_changes_nothing(data, tmp_path):
    path = sheet(data, tmp_path / "list.csv", ALL)
    take_over(path, data, today=DAY)
    before = (data / "screening" / "screening.csv").read_bytes(), (data / "screening" / "searches.csv").read_bytes()
    again = take_over(path, data, today=date(2027, 1, 1))
    assert (again.added, again.already) == ({}, 4)
    assert before == tuple((data / "screening" / f"{name}.csv").read_bytes() for name in ("screening", "searches"))


@pytest.mark.parametrize(
    ("cells", "column", "words"),
    [
        ({"decision": "maybe", "reviewer": "A"}, "decision", "expected include, exclude, unsure or an empty row"),
        ({"decision": "include"}, "reviewer", "expected the name of who decides, found nothing"),
        ({"decision": "exclude", "reviewer": "A"}, "reason", "expected a reason to exclude"),
        ({"decision": "exclude", "reviewer": "A", "reason": "dear"}, "reason", "expected one of not_diabetes"),
        ({"decision": "exclude", "reviewer": "A", "reason": "not_readable"}, "decision", "expected unsure, as"),
        ({"decision": "unsure", "reviewer": "A", "study_id": "zang2022"}, "study_id", "expected nothing, as"),
        ({"decision": "include", "reviewer": "A", "study_id": "x"}, "study_id", "expected a report of published"),
        ({"decision": "unsure", "reviewer": "A", "final": "perhaps"}, "final", "expected yes, no or nothing"),
        ({"decision": "unsure", "reviewer": "A", "title": "Other"}, "title", "expected 'Diet in people'"),
        ({"decision": "unsure", "reviewer": "A", "identifier": "NCT1"}, "identifier", "expected a record of snapshot"),
        ({"decision": "unsure", "reviewer": "A", "snapshot": "x"}, "snapshot", "STORE: expected one of the snapshots"),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isidentifier() else "",
)  # fmt: skip
def test_a_fault_is_named_with_row_and_column_and_nothing_is_written(data, tmp_path, cells, column, words):
    path = sheet(data, tmp_path / "list.csv", ALL | {"NCT99999001": cells})
    before = (data / "screening" / "screening.csv").read_bytes()
    with pytest.raises(ProposalError) as caught:
        take_over(path, data)
    row = 2 + [one["title"] for one in read_sheet(path, WORK_COLUMNS)].index(cells.get("title", "Diet in people"))
    told = words.replace("STORE", str(data / "registry"))
    assert f"list.csv row {row}, column {column}: {told}" in str(caught.value)
    assert (data / "screening" / "screening.csv").read_bytes() == before


def test_a_dry_run_and_a_failing_check_write_nothing(data, tmp_path, monkeypatch):
    path = sheet(data, tmp_path / "list.csv", ALL)
    assert take_over(path, data, dry_run=True).added["include"] == 2
    assert load(data).screening.empty
    from cellclaims.errors import Fault

    fault = Fault("screening/screening.csv", 2, "year", "rule", "a", "b")
    monkeypatch.setattr("cellclaims.harvest.accept.check.faults", lambda folder: [fault])
    with pytest.raises(ProposalError, match="nothing was written, `cellclaims check` would find"):
        take_over(path, data)
    assert load(data).screening.empty


def test_a_second_reviewer_decides_without_seeing_the_first_and_conflicts_are_listed(data, tmp_path):
    take_over(sheet(data, tmp_path / "one.csv", ALL), data, today=DAY)
    rows = listed(data, reviewer="B Reader")
    assert "NCT99999001" in rows
    assert {row["decision"] for row in rows.values()} == {""}
    assert {row["reviewer"] for row in rows.values()} == {"B Reader"}
    second = {"NCT99999001": {"decision": "include"}, "pmid:12": {"decision": "include"}}
    path = sheet(data, tmp_path / "two.csv", second, reviewer="B Reader")
    take_over(path, data, today=DAY)
    (conflict,) = conflicts(load(data))
    assert conflict.said == ("A Reader: exclude", "B Reader: include")
    for words in (check.report(data)[0], state_in_words(data)):
        assert "NCT99999001, Diet in people: A Reader: exclude; B Reader: include" in words
    assert check.report(data)[1] == 0, "a conflict is work to do, no fault of a table"
    agreed = {"NCT99999001": {"decision": "exclude", "reason": "no_cells", "reviewer": "A and B", "final": "yes"}}
    take_over(sheet(data, tmp_path / "three.csv", agreed, reviewer="C"), data, today=DAY)
    assert conflicts(load(data)) == []
    assert {one.identifier: one.decision for one in screened(load(data))}["NCT99999001"] == "exclude"


def test_another_decision_of_the_same_person_is_refused(data, tmp_path):
    take_over(sheet(data, tmp_path / "one.csv", ALL), data, today=DAY)
    other = {"NCT99999001": {"decision": "include", "reviewer": "A Reader"}}
    path = sheet(data, tmp_path / "two.csv", other, reviewer="B")
    with pytest.raises(ProposalError, match="expected exclude no_cells of A Reader on NCT99999001, as in"):
        take_over(path, data)


def test_the_report_of_an_included_record_is_added_later(data, tmp_path):
    path = sheet(data, tmp_path / "one.csv", ALL)
    take_over(path, data, today=DAY)
    rows = read_sheet(path, WORK_COLUMNS)
    mine = next(row for row in rows if row["identifier"] == "pmid:12")
    mine["study_id"] = "guan2015"
    path.write_bytes(sheet_bytes(WORK_COLUMNS, rows))
    taken = take_over(path, data, today=date(2027, 1, 1))
    assert (taken.added, taken.already, taken.completed) == ({}, 3, 1)
    row = load(data).screening.set_index("identifier").loc["pmid:12"]
    assert (row.study_id, row.decided) == ("guan2015", "2026-12-01")
    mine["study_id"] = "hu2012"
    path.write_bytes(sheet_bytes(WORK_COLUMNS, rows))
    with pytest.raises(ProposalError, match="expected include guan2015 of A Reader on pmid:12"):
        take_over(path, data)


def test_a_record_that_a_later_search_does_not_find_is_counted_as_screened_earlier(data, tmp_path):
    store = Store(data / "registry")
    path = sheet(data, tmp_path / "old.csv", {"pmid:13": ALL["pmid:13"]}, snapshot=EARLY)
    later = "20261201T000000Z"
    store.add(kept(store, later, titled("NCT99999001", "Diet in people")))
    take_over(path, data, today=DAY)
    counted = counts(load(data))
    assert (counted.records, counted.waiting, counted.earlier, counted.screened) == (1, 1, 1, 1)
    assert sorted(set(load(data).searches.snapshot)) == [EARLY, later]
    shutil.rmtree(store.folder)
    store.add(kept(store, EARLY, titled("NCT99999001", "Diet in people")))
    with pytest.raises(ProposalError, match=f"expected snapshot {later}"):
        take_over(path, data)


def test_the_command_lists_takes_over_and_tells_how_far_screening_is(data, tmp_path):
    def run(*words):
        return CliRunner().invoke(main, ["screen", "--data", str(data), *map(str, words)])

    assert "no search was screened yet" in run().output
    assert run("--into", tmp_path / "list.csv").output.endswith(f"cellclaims screen --accept {tmp_path / 'list.csv'}\n")
    path = sheet(data, tmp_path / "decided.csv", ALL)
    assert "would be recorded: 2 include, 1 exclude, 1 unsure" in run("--accept", path, "--dry-run").output
    assert "recorded: 2 include" in run("--accept", path).output
    assert "decided: 2 include, 1 exclude, 1 unsure" in run().output
    for wrong in (("--into", "a", "--accept", "b"), ("--reviewer", "B"), ("--dry-run",)):
        assert run(*wrong).exit_code == 2
    missing = run("--accept", tmp_path / "none.csv")
    assert (missing.exit_code, "expected a list of records to decide on" in missing.output) == (2, True)


# --- the flow of records ----------------------------------------------------------------------------------------------


def base_of(data):
    return EvidenceBase(load(data), protocol.load(data))


def test_without_screening_the_flow_says_so_in_words_and_gives_no_number(data):
    base = base_of(data)
    (stage,) = overview.screening_stages(base)
    (words,) = stage.added
    assert stage.count == len(base.evidence.studies) == stage.added[words]
    assert "found before screening existed" in words
    assert "it was not recorded how many" in words
    assert "No search has been screened yet." in str(reporting.screening_words(base.evidence))
    assert reporting.screening_tables(base) == []


def test_the_flow_in_the_page_on_the_search_is_fresh(tmp_path):
    """``cellclaims screen --flow docs/search.md`` brings it up to date."""
    page = REPOSITORY / "docs" / "search.md"
    shutil.copy(page, tmp_path)
    run = CliRunner().invoke(
        main, ["screen", "--data", str(REPOSITORY / "data"), "--flow", str(tmp_path / "search.md")]
    )
    assert run.exit_code == 0, run.output
    assert (tmp_path / "search.md").read_text() == page.read_text()
    (tmp_path / "search.md").write_text("no marks")
    assert CliRunner().invoke(main, ["screen", "--flow", str(tmp_path / "search.md")]).exit_code == 2


def drawn(base):
    """The flow of the evidence, drawn: numbers that do not add up are refused there."""
    stages, pools = overview.flow(base, [])
    return stages, figures.flow([figures.Step(*stage) for stage in stages], pools=pools, title="Flow")


def test_the_flow_counts_each_record_once_and_adds_up(data, tmp_path, monkeypatch):
    monkeypatch.setattr(overview, "_why_not", lambda studies, pools: {"in no pool": len(studies)})
    take_over(sheet(data, tmp_path / "list.csv", ALL), data, today=DAY)
    stages, drawing = drawn(base_of(data))
    found = {stage.label: stage for stage in stages}
    first = found["Records identified by the last search"]
    assert first.added == {
        "ClinicalTrials.gov, 2026-11-20": 4,
        "Europe PMC, 2026-11-20": 2,
        "PubMed (NCBI E-utilities), 2026-11-20": 1,
    }
    assert sum(first.left_out.values()) == 3
    assert found["Records screened"].left_out == {"no islets or cells were given": 1}
    assert found["Reports sought"].left_out == {"no text or result could be read": 1}
    assert found["Reports assessed"].left_out == {"included, results not entered yet": 1}
    assert found["Records of included reports"].count == 1
    assert found["Reports in the evidence"].count == len(load(data).studies)
    assert "1 no islets or cells were given" in drawing.alt
    searches, excluded = reporting.screening_tables(base_of(data))
    assert len(searches.cells) == 3
    rows = {row[0]: row[2] for row in excluded.cells}
    assert rows["no islets or cells were given"] == "1"


def test_the_recorded_answers_are_screened_from_end_to_end(data, tmp_path, shared, monkeypatch):
    """List, decide, take over, conflict, flow: on answers that the public sources gave."""
    monkeypatch.setattr(overview, "_why_not", lambda studies, pools: {"in no pool": len(studies)})
    shutil.rmtree(data / "registry")
    pull_folder(Store(data / "registry"), shared / "registry")
    into = tmp_path / "list.csv"
    run = CliRunner().invoke(main, ["screen", "--data", str(data), "--into", str(into)])
    assert run.exit_code == 0, run.output
    rows = read_sheet(into, WORK_COLUMNS)
    assert len(rows) > 1000
    scores = [float(row["nearness"]) for row in rows]
    assert scores == sorted(scores, reverse=True), "no recorded publication names a registration of the review"
    assert sum("results posted" in row["marks"] for row in rows) > 40
    for number, row in enumerate(rows[:400]):
        row["reviewer"] = "A Reader"
        about_cells = {"cells", "cell", "islet", "islets"} & set(row["title"].lower().split())
        row["decision"] = "unsure" if number < 3 else "include" if about_cells else "exclude"
        row["reason"] = {"exclude": "no_cells", "unsure": "not_readable", "include": ""}[row["decision"]]
    into.write_bytes(sheet_bytes(WORK_COLUMNS, rows))
    run = CliRunner().invoke(main, ["screen", "--data", str(data), "--accept", str(into)])
    assert run.exit_code == 0, run.output
    stages, drawing = drawn(base_of(data))
    found = {stage.label: stage for stage in stages}
    assert found["Records screened"].count == 400
    assert found["Reports sought"].left_out == {"no text or result could be read": 3}
    assert found["Reports assessed"].left_out["included, results not entered yet"] > 0
    identified = found["Records identified by the last search"]
    assert identified.count - sum(identified.left_out.values()) == 400
    figures.save(drawing, name="flow", folder=tmp_path)
    assert "Records identified by the last search" in (tmp_path / "flow.svg").read_text()


# --- what is new ------------------------------------------------------------------------------------------------------


def test_what_screening_has_decided_is_no_news(data, tmp_path):
    def news(**more):
        return {(line["kind"], line["title"]) for line in registry_news(load(data), **more).lines}

    known = next(iter(known_registrations(load(data))))
    paper, trial = f"Diet ({known})", "Diet in people"
    shutil.rmtree(data / "registry")
    citing = europepmc({"pmid": "12", "title": paper, "pubYear": "2024"})
    both = [titled("NCT99999001", trial), titled("NCT99999003", "Islets"), citing]
    store = two_snapshots(data / "registry", [titled("NCT99999009", "Other")], both)
    new = {("new trial", trial), ("new trial", "Islets"), ("new paper", paper)}
    assert new <= news()
    unsure = {"NCT99999003": {"decision": "unsure", "reviewer": "A"}}
    out = {"pmid:12": ALL["NCT99999001"], "NCT99999001": ALL["NCT99999001"]}
    take_over(sheet(data, tmp_path / "list.csv", out | unsure), data, today=DAY)
    assert new & news() == {("new trial", "Islets")}, "what is unsure is still open"
    assert "2 new records are not listed, because screening has decided on them." in str(
        registry_news(load(data)).sentence
    )
    (store.folder / "snapshots" / f"{EARLY}.json").unlink()
    lines = news()
    assert ("unknown trial", "Islets") in lines
    assert not {title for kind, title in lines if kind in ("unknown trial", "paper")} & {trial, paper}
