"""The snapshot beside the evidence: in every notebook, on every page, in the key of what is up to date; notebook 9."""

from __future__ import annotations

import ast
import shutil
import socket
from pathlib import Path

import pytest

from cellclaims import protocol, reporting
from cellclaims.errors import SourceError
from cellclaims.evidence import load as load_evidence
from cellclaims.files import fingerprint
from cellclaims.registries import Store
from cellclaims.registries.changes import known_registrations
from cellclaims.registries.store import NONE
from cellclaims.reporting.registries import registry_news
from cellclaims.runner import batch_report, page
from cellclaims.runner import review as reviews
from cellclaims.runner.parameter_sets import read_sets
from cellclaims.runner.run import declared, read, run_notebook
from cellclaims.selection import EvidenceBase

from .made_up_registry import EARLY, LATE, kept, outcome, results, study, two_snapshots

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
WHATS_NEW = ROOT / "notebooks" / "09_whats_new.ipynb"


@pytest.fixture(scope="module")
def evidence():
    return load_evidence(ROOT / "data")


@pytest.fixture(scope="module")
def rules():
    return protocol.load(ROOT / "data")


def posting():
    """Two states of one known trial: results appear."""
    later = study("NCT00690066", "COMPLETED", resultsSection=results(outcome()))
    return [("ctgov", study("NCT00690066"))], [("ctgov", later)]


# --- every notebook -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_takes_a_snapshot_and_opens_the_review_with_it(path):
    book = read(path)
    (parameter,) = [one for one in declared(book) if one.name == "SNAPSHOT"]
    assert (parameter.type, parameter.default) == ("str", "")
    assert parameter.help.endswith("the last by default")
    code = "\n".join(cell.source for cell in book.cells if cell.cell_type == "code")
    (opened,) = [
        node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call) and name_of(node) == "open_review"
    ]
    assert "SNAPSHOT" in [one.id for one in ast.walk(opened) if isinstance(one, ast.Name)]
    assert "review.close()" in code


def name_of(call):
    return getattr(call.func, "id", getattr(call.func, "attr", ""))


# --- pages and keys -------------------------------------------------------------------------------------------------


def test_a_page_names_the_snapshot_of_its_run(small_review, tmp_path):
    notebook = read(small_review())
    assert NONE in page.page_html(notebook, page.provenance(tmp_path / "data"), name="01_double")
    two_snapshots(tmp_path / "data" / "registry", *posting())
    origins = {name: page.provenance(tmp_path / "data", name) for name in ("", EARLY)}
    assert f"snapshot {LATE} of 2026-11-20" in page.page_html(notebook, origins[""], name="01_double")
    assert f"snapshot {EARLY} of 2026-05-20" in page.page_html(notebook, origins[EARLY], name="01_double")
    with pytest.raises(SourceError, match=f"one of the snapshots {EARLY}, {LATE}; found 'x'"):
        page.provenance(tmp_path / "data", "x")


def test_a_new_snapshot_makes_reports_stale_and_leaves_the_fingerprint_of_the_evidence(small_review, tmp_path):
    small_review()
    (tmp_path / "runs").mkdir()
    sets = tmp_path / "runs" / "all.yml"
    sets.write_text("title: T\nsets:\n  - notebook: all\n")

    def keys():
        (job,) = batch_report.jobs_of(read_sets(sets), tmp_path / "into")
        (report,) = reviews.found(tmp_path / "notebooks", tmp_path / "reports")
        return job.key, report.key

    before, evidence_before = keys(), fingerprint(tmp_path / "data")
    store = Store(tmp_path / "data" / "registry")
    store.keep(b"{}", source="ctgov", kind="search", address="a", parameters={}, time="t", status=200)
    assert keys() == before, "an answer of a pull under way is in no snapshot"
    store.add(kept(store, EARLY, ("ctgov", study())))
    assert not set(keys()) & set(before)
    assert fingerprint(tmp_path / "data") == evidence_before


# --- what is new ----------------------------------------------------------------------------------------------------


def test_what_is_new_is_told_without_a_socket(tmp_path, evidence, monkeypatch):
    def refused(*_):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refused)
    store = two_snapshots(tmp_path, *posting())
    news = registry_news(evidence, registry=store.folder)
    assert [line["kind"] for line in news.lines] == ["results posted", "status changed"]


def test_without_a_snapshot_the_notebook_says_so_and_a_name_is_an_error(evidence):
    if Store(ROOT / "data" / "registry").names():
        pytest.skip("data/registry of this clone holds snapshots")
    news = reporting.news_beside(evidence)
    assert "No registry data have been downloaded yet" in news.sentence
    assert (news.tables, news.lines, news.write("nowhere")) == ((), (), "")
    with pytest.raises(SourceError, match="found none: run `cellclaims pull`"):
        reporting.news_beside(evidence, until=LATE)


def test_the_notebook_asks_no_network():
    """Only `cellclaims pull` changes the store: a notebook that is run by hand writes nothing."""
    assert "PULL" not in {one.name for one in declared(read(WHATS_NEW))}
    assert not any("registries.pull" in cell.source for cell in read(WHATS_NEW).cells)


def test_the_notebook_tells_of_two_snapshots(tmp_path):
    """Run once, with snapshots beside a copy of the evidence."""
    data = tmp_path / "data"
    shutil.copytree(ROOT / "data", data, ignore=shutil.ignore_patterns("registry"))
    two_snapshots(data / "registry", *posting())
    executed = read(run_notebook(WHATS_NEW, tmp_path / "into", {"DATA": str(data)}))
    said = "\n".join(str(output.get("data", {})) for cell in executed.cells for output in cell.get("outputs", []))
    assert "trials with newly posted results: 1; trials with another status: 1." in said
    assert "Newly posted results" in said and "https://clinicaltrials.gov/study/NCT00690066" in said
    assert f"Registries: snapshot {LATE} of 2026-11-20." in said
    assert (tmp_path / "into" / "09_whats_new_changes.csv").read_text().startswith('"kind","number","what"')


# --- what the review knows ------------------------------------------------------------------------------------------


def test_every_known_registration_stands_in_the_table_with_its_reports(evidence, rules):
    table, known = reporting.registrations_table(EvidenceBase(evidence, rules)), known_registrations(evidence)
    assert [str(row[0]) for row in table.cells] == list(known)
    reports = {str(row[0]): str(row[3]) for row in table.cells}
    assert reports["NCT00315133"] == "Couri 2009; Voltarelli 2007"
    assert "–" in {reports[number] for number, one in known.items() if not one.reports}


def test_years_and_products_count_every_report_once(evidence, rules):
    years, products = reporting.registered_by_year(evidence), reporting.registered_table(EvidenceBase(evidence, rules))
    assert years.studies.sum() == evidence.studies.year.notna().sum()
    assert sum(int(row[1]) for row in products.cells) == len(evidence.studies)
    named = sum(int(row[2]) for row in products.cells)
    assert named == (evidence.studies.registry_id != "").sum()
    assert reporting.registered_words(evidence).startswith(f"{named} of {len(evidence.studies)} reports name")
    assert str(years.studies.sum() - years[years["product"] == "without one"].studies.sum()) in (
        reporting.registered_alt(years)
    )


def test_every_query_of_the_protocol_is_shown_as_it_is_sent(evidence, rules):
    shown = "\n".join(" | ".join(map(str, row)) for row in reporting.asked_table(EvidenceBase(evidence, rules)).cells)
    sources = [source for source, queries in rules["pull"].items() if queries]
    assert len(sources) >= 3
    for source in sources:
        for query in rules.queries(source).values():
            assert all(f"{name}: {text}" in shown for name, text in query.items())
    assert shown.count("by number") == 4
