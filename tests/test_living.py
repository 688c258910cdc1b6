"""``cellclaims living``: one run for a scheduler, each step against made-up sources on this computer."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from cellclaims import protocol
from cellclaims.cli import main
from cellclaims.evidence import load
from cellclaims.pool import pooled
from cellclaims.question import Analysis, Question
from cellclaims.registries import Store
from cellclaims.registries.changes import known_registrations
from cellclaims.reporting.living import moved, moves_table
from cellclaims.reporting.results import record
from cellclaims.runner import living
from cellclaims.runner.living import BUSY, DONE, FAILED, LivingOrder, affected, locked, read_state, run, without
from cellclaims.selection import EvidenceBase

from . import registry_server
from .conftest import write_notebook
from .registry_server import reply, study

made, only_loopback = registry_server.made, registry_server.only_loopback

REPOSITORY = Path(__file__).resolve().parent.parent
CODE = """\
from cellclaims import Analysis, Question, open_review
review = open_review("01_small", DATA, FIGURES, REPORTS)
asked = Question("insulin_independence", "T1D", "islets", months=12).named("islets", "Free of insulin at 12 months")
review.add(review.pool(asked, Analysis("PLO")))
review.close()
"""
PARAMETERS = 'DATA: str = "../data"  # evidence\nFIGURES: str = ""  # figures\nREPORTS: str = ""  # pools\n'


@pytest.fixture(scope="module")
def base():
    return EvidenceBase(load(REPOSITORY / "data"), protocol.load(REPOSITORY / "data"))


@pytest.fixture
def order(tmp_path):
    """A copy of the evidence with one small notebook."""
    shutil.copytree(REPOSITORY / "data", tmp_path / "data", ignore=shutil.ignore_patterns("registry"))
    cells = ["# How many?\n\n**Question** How many?", (PARAMETERS, "parameters"), (CODE,)]
    write_notebook(tmp_path / "notebooks" / "01_small.ipynb", cells)
    places = {"registry": tmp_path / "data" / "registry", "into": tmp_path / "reports" / "living"}
    folders = {name: tmp_path / name for name in ("data", "notebooks", "reports")}
    return LivingOrder(**folders, **places, workers=1, as_json=True)


@pytest.fixture
def asked(made, monkeypatch):
    """The made-up sources, asked for little."""
    monkeypatch.setattr(import_module("cellclaims.registries.pull"), "wanted", lambda *_: registry_server.wanted())
    yield made
    made.fault = None


@pytest.fixture
def quick(monkeypatch):
    """The check without its second reader, which takes a second each time."""
    monkeypatch.setattr("cellclaims.evidence.check._by_frictionless", lambda folder: [])


def said(capsys):
    """The one line of JSON of a run."""
    (line,) = capsys.readouterr().out.splitlines()
    return json.loads(line)


def test_a_first_run_pulls_lists_checks_reviews_and_writes_a_dated_page(order, asked, quick, capsys):
    assert run(order, asked.settings()) == DONE
    facts = said(capsys)
    assert (facts["status"], facts["failed"], facts["notebooks"]) == (0, {}, ["01_small"])
    assert facts["to_screen"] > 5
    page = Path(facts["page"])
    assert page.name[:4].isdecimal()
    text = page.read_text()
    assert "This is the first run" in text
    assert "Steps of this run" in text
    assert Path(facts["worklist"]).name == f"worklist_{facts['snapshot']}.csv"
    state = read_state(order.into / "last.json")
    assert state["snapshot"] == facts["snapshot"]
    assert [one["pool"] for one in state["pools"]] == ["islets"]


def test_a_second_run_tells_what_changed_since_and_which_pool_moved(order, asked, quick, capsys):
    assert run(order, asked.settings()) == DONE
    first = said(capsys)
    state = read_state(order.into / "last.json")
    state["pools"][0]["result"]["beta"] += 0.25
    (order.into / "last.json").write_text(json.dumps(state))
    asked.fault = lambda request: reply(study(99)) if request.path.endswith("/never") else None
    assert run(order, asked.settings()) == DONE
    facts = said(capsys)
    assert facts["since"] == first["snapshot"]
    assert facts["snapshot"] > first["snapshot"]
    (one,) = facts["moved"]
    assert one["pool"] == "01_small: islets"
    assert one["before"]["beta"] - one["after"]["beta"] == pytest.approx(0.25)
    assert "1 pool has moved" in Path(facts["page"]).read_text()
    assert facts["notebooks"] == ["01_small"], "a new snapshot makes the report out of date"


def test_a_source_that_fails_stops_no_other_step_and_is_told(order, asked, quick, capsys):
    assert run(order, asked.settings()) == DONE
    state = (order.into / "last.json").read_bytes()
    said(capsys)
    asked.fault = lambda request: reply("no", 500) if "/ctgov/" in request.path else None
    assert run(order, asked.settings()) == FAILED
    facts = said(capsys)
    assert list(facts["failed"]) == ["pull"]
    assert "ctgov" in facts["failed"]["pull"]
    assert Path(facts["page"]).exists()
    assert (order.into / "last.json").read_bytes() == state, "the next run compares with the last whole state"


def test_a_fault_of_the_tables_is_told_and_the_rest_is_done(order, asked, quick, capsys):
    for name, row in (
        ("screening", "pmid:1,,pubmed,Islets,2020,exclude,too_dear,A Reader,no,2026-01-02,,20260101T000000Z"),
        ("searches", "20260101T000000Z,pubmed,2026-01-01,1,0,0,0"),
    ):
        with (order.data / "screening" / f"{name}.csv").open("a") as file:
            file.write(f"{row}\n")
    assert run(order, asked.settings()) == FAILED
    facts = said(capsys)
    assert list(facts["failed"]) == ["check"]
    assert "too_dear" in facts["failed"]["check"]
    assert facts["notebooks"] == ["01_small"]


def test_a_second_run_at_the_same_time_is_refused_with_a_status_of_its_own(order, capsys):
    code = (
        "import sys, time; from pathlib import Path; from cellclaims.runner.living import locked\n"
        "with locked(Path(sys.argv[1])) as alone: print(alone, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(order.into / ".lock")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "True\n"
        assert run(order) == BUSY
        assert said(capsys) == {"status": BUSY, "failed": {"start": "another run is at work"}}
        other.stdin.close()
    with locked(order.into / ".lock") as is_alone:
        assert is_alone, "a process that ended holds no lock"


def test_a_retraction_in_the_answers_refits_the_pools_of_that_source(order, base, quick, tmp_path, capsys):
    question = Question("insulin_independence", "T1D", "islets", months=12).named("islets", "Free of insulin")
    mine = pooled(base, question, Analysis("PLO")).rows.study_id
    studies = base.evidence.studies[base.evidence.studies.study_id.isin(mine) & (base.evidence.studies.doi != "")]
    study_id, doi = studies.study_id.iloc[0], studies.doi.iloc[0]
    notice = {"type": "retraction", "DOI": "10.1000/notice", "updated": {"date-parts": [[2026, 1, 2]]}}
    folder = tmp_path / "answers"
    folder.mkdir()
    work = {"DOI": doi, "title": ["A work"], "updated-by": [notice]}
    answer = {"status": "ok", "message-type": "work", "message-version": "1.0.0", "message": work}
    (folder / "work.json").write_text(json.dumps(answer))
    assert run(dataclasses.replace(order, folder=folder)) == DONE
    facts = said(capsys)
    (one,) = facts["without"]
    assert (one["pool"], one["without"]) == ("01_small: islets", f"{study_id} (retraction)")
    assert one["after"]["k"] == one["before"]["k"] - 1
    page = Path(facts["page"]).read_text()
    assert "1 pool was refitted without a retracted or changed source" in page
    assert f"{study_id} (retraction)" in page


def test_the_command_replays_recorded_answers_and_refuses_a_folder_that_is_not_there(order, quick, tmp_path):
    folder = tmp_path / "answers"
    folder.mkdir()
    (folder / "one.json").write_text(json.dumps(study(7)))
    places = ["--data", order.data, "--notebooks", order.notebooks, "--reports", order.reports, "--json"]
    done = CliRunner().invoke(main, ["living", *map(str, places), "--from", str(folder)])
    assert (done.exit_code, json.loads(done.output.splitlines()[-1])["to_screen"]) == (0, 1), done.output
    listed = Path(json.loads(done.output.splitlines()[-1])["worklist"])
    listed.write_text("decisions of a person")
    again = CliRunner().invoke(main, ["living", *map(str, places), "--no-pull"])
    assert (again.exit_code, json.loads(again.output.splitlines()[-1])["changes"]) == (0, 0), again.output
    assert listed.read_text() == "decisions of a person"
    assert CliRunner().invoke(main, ["living", "--data", str(tmp_path / "none")]).exit_code == 2
    assert CliRunner().invoke(main, ["living", "--no-pull", "--from", "x"]).exit_code == 2


# --- which pools move -------------------------------------------------------------------------------------------------


def test_a_pool_is_refitted_without_a_retracted_source_and_says_by_how_much(base):
    question = Question("insulin_independence", "T1D", "islets", months=12).named("islets", "Free of insulin")
    whole = pooled(base, question, Analysis("PLO"))
    gone = whole.rows.study_id.iloc[0]
    records = [record("03_insulin_independence", whole)]
    other: list[str] = []
    (move,) = without(base, records, {gone: "retraction", "no_such_study": "retraction"}, other)
    assert other == []
    less = pooled(base, question.without([gone]), Analysis("PLO"))
    assert move.after["result"]["beta"] == pytest.approx(less.fit.beta)
    assert move.after["result"]["k"] == whole.k - 1
    (row,) = moves_table([move], "Pools").cells
    assert row[1] == f"{gone} (retraction)"
    assert row[4] == f"{less.fit.beta - whole.fit.beta:+.3f} on the logit".replace("-", "−")


def test_a_pool_that_its_question_does_not_reproduce_is_named_and_not_compared(base):
    question = Question("insulin_independence", "T1D", "islets", months=12).named("islets", "Free of insulin")
    own = record("03", pooled(base, question, Analysis("PLO", "normal", "DL", "z")))
    other: list[str] = []
    assert list(without(base, [own], {own["rows"][0]["study_id"]: "retraction"}, other)) == []
    assert other == ["03: islets"]


def test_retracted_sources_and_other_posted_results_lead_to_their_studies(base):
    named = [(number, one) for number, one in known_registrations(base.evidence).items() if len(one.reports) == 1]
    (number, known), (other, _) = next(
        (one, two) for one in named for two in named if not set(one[1].reports) & set(two[1].reports)
    )
    study_id = base.evidence.studies.study_id.iloc[0]
    lines = [
        {"kind": "retraction", "what": f"source of the review: {study_id}, thresholds t1", "number": "doi:10.1/a"},
        {"kind": "retraction", "what": "not a source of the review", "number": "doi:10.1/b"},
        {"kind": "results changed", "what": "HbA1c", "number": number},
        {"kind": "status changed", "what": "status", "number": other},
    ]
    found = affected(base, lines)
    others = [name for name in known.reports if name in set(base.evidence.studies.study_id) - {study_id}]
    assert found == {study_id: "retraction"} | dict.fromkeys(others, "results changed")


def test_pools_that_are_new_or_gone_move_and_the_last_digits_do_not():
    def pool(name, beta):
        result = {"beta": beta, "ci_lb": None, "ci_ub": None, "k": 1}
        named = {"notebook": "n", "pool": name, "title": name, "scale": "identity"}
        return named | {"result": result, "shown": {"value": "x"}}

    before = [pool("same", 1.0), pool("gone", 1.0), pool("moved", 1.0), pool("empty", None)]
    after = [pool("new", 2.0), pool("moved", 1.5), pool("same", 1.0 + 1e-12), pool("empty", None)]
    assert [one.names[1] for one in moved(before, after)] == ["new", "moved", "gone"]
    changes = [row[4] for row in moves_table(moved(before, after), "Pools").cells]
    assert changes == ["new", "+0.500", "gone"]


def test_what_is_damaged_or_missing_is_no_state(tmp_path):
    path = tmp_path / "last.json"
    assert read_state(path) == {}
    for text in ("{", "[]", '{"pools": 1}'):
        path.write_text(text)
        assert read_state(path) == {}
    assert set(living.STEPS) == {"pull", "changes", "screen", "check", "review", "with and without"}
    assert Store(tmp_path).names() == []
