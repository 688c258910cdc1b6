"""``cellclaims resolve``: candidates for reports without an identifier, scored, kept, and handed to a person."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cellclaims.cli import main
from cellclaims.errors import ProposalError, SourceError
from cellclaims.harvest import resolve as finding
from cellclaims.harvest.accept import accept
from cellclaims.harvest.commands import find
from cellclaims.harvest.held import read_held, read_sheet, sheet_bytes
from cellclaims.harvest.resolve import (
    COLUMNS,
    FILE,
    LIKELY,
    Facts,
    Lookups,
    facts_of,
    near_equal,
    ranking,
    read_lookups,
    score,
    unresolved,
)
from cellclaims.registries.client import Client, Settings
from cellclaims.registries.store import Answer, Store

REPOSITORY = Path(__file__).resolve().parent.parent
TITLE = "A made-up later report of the same series"


@pytest.fixture(scope="module")
def real():
    return read_held(REPOSITORY / "data")


@pytest.fixture
def data(tmp_path):
    """The made-up tables with the real ``datapackage.json``; gamma2022 alone has no identifier."""
    target = tmp_path / "data"
    shutil.copytree(Path(__file__).resolve().parent / "made_up", target)
    shutil.copy(REPOSITORY / "data" / "datapackage.json", target)
    return target


def work(doi, title, family="Gamma", year=2022, journal="Made-up Journal of Diabetes"):
    """A work as Crossref sends one."""
    return {
        **{"DOI": doi, "title": [title], "container-title": [journal], "type": "journal-article"},
        **{"author": [{"given": "A", "family": family, "sequence": "first"}], "issued": {"date-parts": [[year, 3]]}},
    }


def paper(pmid, doi, title, last="Gamma", year="2022", **more):
    """A paper as Europe PMC sends one."""
    return {
        **{"id": pmid, "source": "MED", "pmid": pmid, "doi": doi, "title": title, "pubYear": year},
        **{"authorString": f"{last} A.", "authorList": {"author": [{"fullName": f"{last} A", "lastName": last}]}},
        **{"journalInfo": {"journal": {"title": "Made-up journal", "isoabbreviation": "Made-up J"}}},
        **{"pubTypeList": {"pubType": ["Journal Article"]}, "citedByCount": 0},
    } | more


def works(*items):
    content = {"items": list(items), "total-results": len(items), "items-per-page": 10}
    return {"status": "ok", "message-type": "work-list", "message-version": "1.0.0", "message": content}


def papers(*results):
    return {"version": "6.9", "hitCount": len(results), "request": {}, "resultList": {"result": list(results)}}


def settings(httpserver):
    """Both sources on this computer, asked without a pause."""
    bases = {name: httpserver.url_for(f"/{name}") for name in ("crossref", "europepmc")}
    return Settings(bases=bases, attempts=1, per_second=1000)


def serve(httpserver, crossref=None, europepmc=None):
    httpserver.expect_request("/crossref/works").respond_with_json(crossref or works())
    httpserver.expect_request("/europepmc/search").respond_with_json(europepmc or papers())


def asked(httpserver):
    return [request.path for request, _ in httpserver.log]


# Which reports -------------------------------------------------------------------------------------------------------


def test_the_reports_without_an_identifier_are_those_that_have_none(real):
    missing = unresolved(real)
    assert all(not (row["doi"] or row["pmid"] or row["registry_id"]) for row in missing)
    others = [row for row in real.rows["studies"] if row not in missing]
    assert all(row["doi"] or row["pmid"] or row["registry_id"] for row in others)
    assert len(missing) + len(others) == len(real.rows["studies"])


# The score -----------------------------------------------------------------------------------------------------------


def known(held):
    """The reports whose DOI or PubMed number is known: of these it is known which record is the right one."""
    return [row for row in held.rows["studies"] if row["doi"] or row["pmid"]]


def as_recorded(facts):
    """What a register prints of a report: other case, a subtitle, a full first name, the year after, no journal."""
    surname = facts.author.split()[0] if facts.author else "Nobody"
    year = str(int(facts.year) + 1) if facts.year else "2000"
    yield Facts(facts.title.upper(), surname, facts.year)
    yield Facts(f"{facts.title}: a clinical trial", f"{surname} AB", facts.year, ("Some Other Journal",))
    yield Facts(facts.title.replace("islet", "Islets").replace("ation", "atoin", 1), surname, year)


def test_among_all_other_reports_of_the_review_the_right_record_ranks_first(real):
    """The calibration: the titles of the other 168 reports are the distractors, for every report that is known."""
    reports = {row["study_id"]: facts_of(row) for row in real.rows["studies"]}
    margins = []
    for row in known(real):
        name = row["study_id"]
        wrong = max(score(reports[name], other).value for study, other in reports.items() if study != name)
        right = min(score(reports[name], record).value for record in as_recorded(reports[name]))
        margins.append((right - wrong, right, name))
    assert len(margins) > 90
    assert min(margins)[0] > 0, min(margins)
    assert min(right for _, right, _ in margins) > LIKELY + 0.1


FACTS = st.builds(
    *(Facts, st.text(max_size=30), st.text(max_size=10), st.text(max_size=4), st.tuples(st.text(max_size=9)))
)


@given(one=FACTS, other=FACTS)
def test_a_score_lies_between_0_and_1_whatever_is_compared(one, other):
    assert 0 <= score(one, other).value <= 1


def test_what_a_report_does_not_state_has_no_weight():
    record = Facts("Ten-year outcome of islets", "Li", "2010", ("Diabetes",))
    assert score(Facts("Ten-year outcome of islets"), record).value == 1
    assert set(score(Facts("Ten-year outcome of islets"), record).parts) == {"title"}


@pytest.mark.parametrize(
    ("report", "record", "part", "value"),
    [
        (Facts("t", "Hering BJ"), Facts("t", "Hering"), "author", 1),
        (Facts("t", "Zhou Pei"), Facts("t", "Zhou"), "author", 1),
        (Facts("t", "Li"), Facts("t", "Lian"), "author", 0),
        (Facts("t", "Li"), Facts("t", "Wang", others=("Wang", "Li")), "author", 0.5),
        (Facts("t", "Cantu-Rodriguez"), Facts("t", "Cantú-Rodríguez"), "author", 1),
        (Facts("t", year="2010"), Facts("t", year="2011"), "year", 0.5),
        (Facts("t", year="2010"), Facts("t", year="2012"), "year", 0),
        (Facts("t", journals=("Lancet Diabetes Endocrinol",)),
         Facts("t", journals=("The Lancet Diabetes & Endocrinology",)), "journal", 1),
        (Facts("t", journals=("JAMA",)), Facts("t", journals=("Diabetes",)), "journal", 0),
    ],
)  # fmt: skip
def test_each_part_of_a_score(report, record, part, value):
    assert score(report, record).parts[part] == value


# Candidates out of answers -------------------------------------------------------------------------------------------


def answer(source):
    return Answer(source, "search", "https://x.org", {}, "2026-01-01T00:00:00Z", 200, 64 * "a", 2)


def test_a_publication_of_both_sources_is_one_candidate_with_all_its_identifiers():
    one = list(finding.found_in(answer("crossref"), json.dumps(works(work("10.9999/Gamma", TITLE))).encode()))
    two = list(
        finding.found_in(
            answer("europepmc"), json.dumps(papers(paper("7", "10.9999/gamma", TITLE, pmcid="PMC7"))).encode()
        )
    )
    (both,) = finding.merged([*one, *two])
    assert (both.doi, both.pmid, both.pmcid, both.sources) == ("10.9999/gamma", "7", "PMC7", ("crossref", "europepmc"))
    assert both.pointer == "/resultList/result/0"
    assert (
        len(
            finding.merged(
                [*one, *finding.found_in(answer("europepmc"), json.dumps(papers(paper("8", "", TITLE))).encode())]
            )
        )
        == 2
    )


def test_what_has_another_type_or_form_is_not_stated():
    odd = {"DOI": "10.9999/ok", "title": "no list", "author": [3, {"family": 5}], "issued": {"date-parts": [[None]]}}
    bad = {"DOI": "=cmd", "title": ["x"]}
    hostile = work("10.9999/b", "<i>Islets</i>\n\u202e <script>alert(1)</script>")
    body = json.dumps(works(odd, bad, hostile, "text")).encode()
    first, last = finding.found_in(answer("crossref"), body)
    assert (first.facts, first.kind) == (Facts(""), "")
    assert last.facts.title == "Islets alert(1)"
    assert list(finding.found_in(answer("europepmc"), b'{"resultList": {"result": 5}}')) == []


def test_recorded_answers_of_both_sources_give_candidates(shared):
    from cellclaims.registries.folder import interactions

    path = shared / "registry" / "europepmc" / "search_cancer_core.json"
    found = list(finding.found_in(answer("europepmc"), path.read_bytes()))
    assert len(found) == 25
    assert all(one.page and one.facts.title and one.facts.year for one in found)
    assert [one.facts.title for one in found if not one.facts.author] == ["Department of Error."]
    assert sum(bool(one.pmid) for one in found) > 20
    assert found[0].facts.author == "Schoenfeld"
    cassette = (shared / "registry" / "crossref" / "test_works_query.yaml").read_bytes()
    body = interactions(cassette, "cassette")[0].body
    found = list(finding.found_in(answer("crossref"), body))
    assert len(found) == len(json.loads(body)["message"]["items"])
    assert all(one.doi.startswith("10.") and one.page == f"https://doi.org/{one.doi}" for one in found)


def test_a_recorded_paper_is_found_again_among_the_others_of_its_answer(shared):
    body = (shared / "registry" / "europepmc" / "search_cancer_core.json").read_bytes()
    found = list(finding.found_in(answer("europepmc"), body))
    for one in found:
        report = Facts(one.facts.title.upper(), one.facts.author, one.facts.year, one.facts.journals[:1])
        assert ranking(report, found)[0][0].pmid == one.pmid


# The command ---------------------------------------------------------------------------------------------------------


def test_candidates_are_found_scored_and_accepted(data, httpserver, tmp_path):
    distractors = [
        work(f"10.9999/{n}", title, "Other") for n, title in enumerate(["Another made-up report", "A series of islets"])
    ]
    serve(
        httpserver, works(*distractors, work("10.9999/gamma", TITLE + ".")), papers(paper("33", "10.9999/gamma", TITLE))
    )
    into = tmp_path / "candidates.csv"
    said = find(into, data, tmp_path / "registry", settings=settings(httpserver))
    assert (
        "1 of 3 reports have no DOI, PubMed or registry number: 1 candidates for 1 of them, 0 with near-equal" in said
    )
    (row,) = read_sheet(into, COLUMNS)
    assert (row["study_id"], row["rank"], row["score"], row["near_equal"]) == ("gamma2022", "1", "1.00", "")
    assert row["reasons"] == "title 1.00, first author agrees, year agrees; in crossref and europepmc"
    assert (row["decision"], row["reviewer"], row["page"]) == ("", "", "https://doi.org/10.9999/gamma")
    into.write_bytes(sheet_bytes(COLUMNS, [row | {"decision": "accept", "reviewer": "A Reader"}]))
    accept(into, data, tmp_path / "registry")
    study = read_held(data).rows["studies"][2]
    assert (study["doi"], study["pmid"]) == ("10.9999/gamma", "33")
    accepted = read_held(data).rows["accepted"][-1]
    kept = Store(tmp_path / "registry").place(accepted["sha256"])
    assert json.loads(kept.read_bytes())["resultList"]["result"][0]["pmid"] == "33"


def test_near_equal_candidates_are_flagged_and_at_most_five_listed(data, httpserver, tmp_path):
    serve(httpserver, works(*(work(f"10.9999/g{n}", TITLE, year=2022 + n // 2) for n in range(8))))
    into = tmp_path / "candidates.csv"
    said = find(into, data, tmp_path / "registry", settings=settings(httpserver))
    rows = read_sheet(into, COLUMNS)
    assert [row["rank"] for row in rows] == list("12345")
    assert [row["near_equal"] for row in rows] == ["yes, 2 of them", "yes, 2 of them", "", "", ""]
    assert "1 with near-equal ones" in said


def test_without_a_file_candidates_are_printed_and_no_table_is_written(data, httpserver, tmp_path):
    serve(httpserver, works(*(work(f"10.9999/g{n}", TITLE) for n in range(2))))
    said = find(None, data, tmp_path / "registry", settings=settings(httpserver))
    first, why, *_ = said.splitlines()
    assert first.startswith("gamma2022, 1: 1.00  ") and first.endswith("(doi 10.9999/g0)")
    assert why.strip().startswith("title 1.00") and "near equal: yes, 2 of them" in why
    assert "2 candidates for 1 of them" in said and said.endswith("use --into FILE.csv to write a file for decisions")
    assert list(tmp_path.glob("*.csv")) == []


def test_an_identifier_of_another_report_is_said(data, httpserver, tmp_path):
    serve(httpserver, works(work("10.9999/ALPHA", TITLE)))
    into = tmp_path / "candidates.csv"
    find(into, data, tmp_path / "registry", settings=settings(httpserver))
    assert read_sheet(into, COLUMNS)[0]["reasons"].endswith("already the identifier of alpha2020")


def test_where_no_title_holds_every_word_its_beginning_is_asked(data, httpserver, tmp_path):
    def reply(request):
        from werkzeug import Response

        title = request.args["query"]
        found = papers(paper("44", "", TITLE)) if title == "TITLE:(A made up later report of the same)" else papers()
        return Response(json.dumps(found), content_type="application/json")

    httpserver.expect_request("/crossref/works").respond_with_json(works())
    httpserver.expect_request("/europepmc/search").respond_with_handler(reply)
    into = tmp_path / "candidates.csv"
    find(into, data, tmp_path / "registry", settings=settings(httpserver))
    assert read_sheet(into, COLUMNS)[0]["pmid"] == "44"


def test_answers_are_kept_and_asked_for_once_and_offline_asks_nobody(data, httpserver, tmp_path):
    serve(httpserver, works(work("10.9999/gamma", TITLE)), papers(paper("33", "10.9999/gamma", TITLE)))
    registry = tmp_path / "registry"
    into = [tmp_path / f"{n}.csv" for n in range(3)]
    find(into[0], data, registry, settings=settings(httpserver))
    assert asked(httpserver) == ["/crossref/works", "/europepmc/search"]
    find(into[1], data, registry, settings=settings(httpserver))
    assert len(asked(httpserver)) == 2
    lines = (registry / FILE).read_text().replace("2026-", "2001-").replace("2027-", "2001-")
    (registry / FILE).write_text(lines)
    find(into[2], data, registry, offline=True)
    assert len(asked(httpserver)) == 2
    assert into[0].read_bytes() == into[1].read_bytes()
    assert read_sheet(into[2], COLUMNS)[0]["doi"] == "10.9999/gamma"
    find(tmp_path / "old.csv", data, registry, settings=settings(httpserver))
    assert len(asked(httpserver)) == 4  # what is older than a day is asked for again


def test_offline_without_answers_says_which_reports_were_not_looked_up(data, tmp_path):
    command = ["resolve", "--offline", "--registry", tmp_path / "none", "--data", data, "--into", tmp_path / "c.csv"]
    done = CliRunner().invoke(main, list(map(str, command)))
    assert done.exit_code == 0, done.output
    assert "not looked up, no answer is kept: gamma2022" in done.output
    assert read_sheet(tmp_path / "c.csv", COLUMNS) == []


def test_a_source_that_is_down_is_told_and_what_was_answered_is_kept(data, httpserver, tmp_path):
    httpserver.expect_request("/crossref/works").respond_with_json(works(work("10.9999/gamma", TITLE)))
    httpserver.expect_request("/europepmc/search").respond_with_data("busy", status=503)
    with pytest.raises(SourceError, match=r"status 503.*what was answered is kept"):
        find(tmp_path / "c.csv", data, tmp_path / "registry", settings=settings(httpserver))
    assert not (tmp_path / "c.csv").exists()
    assert [source for source, _ in read_lookups(tmp_path / "registry" / FILE)] == ["crossref"]


@pytest.mark.parametrize("body", ["<html>busy</html>", '{"message": []}', "{"])
def test_an_answer_of_another_shape_is_a_warning_and_not_kept(data, httpserver, tmp_path, body):
    httpserver.expect_request("/crossref/works").respond_with_data(body, content_type="application/json")
    httpserver.expect_request("/europepmc/search").respond_with_json(papers(paper("33", "", TITLE)))
    said = find(tmp_path / "c.csv", data, tmp_path / "registry", settings=settings(httpserver))
    assert "gamma2022: " in said
    assert [source for source, _ in read_lookups(tmp_path / "registry" / FILE)] == ["europepmc"]
    assert read_sheet(tmp_path / "c.csv", COLUMNS)[0]["pmid"] == "33"


def test_a_line_that_was_cut_off_is_passed_over_and_the_next_one_starts_afresh(httpserver, tmp_path):
    serve(httpserver, works(work("10.9999/gamma", TITLE)))
    store = Store(tmp_path / "registry")
    with Client(settings(httpserver)) as client:
        Lookups(store, client).ask("crossref", "one")
        with (store.folder / FILE).open("a") as file:
            file.write('{"text": "two", "sou')
        Lookups(store, client).ask("crossref", "three")
    assert [text for _, text in read_lookups(store.folder / FILE)] == ["one", "three"]


def test_a_file_with_decisions_is_not_written_over(data, httpserver, tmp_path):
    serve(httpserver, works(work("10.9999/gamma", TITLE)))
    into = tmp_path / "candidates.csv"
    into.write_text("decision\naccept\n")
    with pytest.raises(ProposalError, match="may contain decisions"):
        find(into, data, tmp_path / "registry", settings=settings(httpserver))
    assert into.read_text() == "decision\naccept\n"


def test_of_equal_candidates_the_one_with_a_pubmed_number_comes_first():
    facts = Facts(TITLE, "Gamma", "2022")
    pair = [finding.Candidate(facts, "", doi, pmid, "", answer("crossref"), "/", ("crossref",))
            for doi, pmid in (("10.9999/a", ""), ("10.9999/b", "5"))]  # fmt: skip
    ranked = ranking(facts, pair)
    assert [one.doi for one, _ in ranked] == ["10.9999/b", "10.9999/a"]
    assert len(near_equal(ranked)) == 2
