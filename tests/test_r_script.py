"""The R script beside a report: it has the report's rows, runs in R with metafor, and finds what the report found."""

from __future__ import annotations

import copy
import json
import re
import subprocess
from dataclasses import replace

import pytest
import r_check

from cellclaims.pool import pooled
from cellclaims.question import Analysis, Question
from cellclaims.reporting.r_script import TOLERANCES, r_script
from cellclaims.reporting.results import record
from cellclaims.runner.page import write_numbers

from .conftest import REPOSITORY

#: A question and an analysis for each way in which pools are made here.
ASKED = {
    "differences": (Question("hba1c", ("T1D", "T2D"), "any_cells", months=12.0, window=12.0), Analysis("MD")),
    "changes": (Question("hba1c", ("T1D",), "islets"), Analysis("MC")),
    "equal_effects": (Question("hba1c", ("T1D",), "islets"), Analysis("MC", method="EE", test="z")),
    "proportions": (Question("insulin_independence", ("T1D",), "islets"), Analysis("PLO")),
    "few_proportions": (
        Question("insulin_independence", ("T2D",), "any_cells", estimand="most_favourable"),
        Analysis("PLO"),
    ),
    "on_logits": (Question("insulin_independence", ("T1D",), "islets"), Analysis("PLO", model="normal", method="DL")),
    "differences_of_counts": (Question("death", ("T1D", "T2D"), "any_cells", estimand="ever"), Analysis("RD")),
}


@pytest.fixture(scope="module")
def records(base):
    """One record for each way of pooling, of real studies."""
    found = {}
    for name, (question, analysis) in ASKED.items():
        if question.outcome not in base.protocol["outcomes"]:
            question = replace(question, outcome="insulin_dose_halved", estimand="most_favourable")
        found[name] = record("test", pooled(base, question.named(name, f"Pool {name} ± “quoted”"), analysis))
    return found


@pytest.fixture(scope="module")
def rscript():
    """The program that runs R scripts; a skip where there is none with metafor and lme4."""
    program = r_check.rscript()
    if not program:
        pytest.skip("no Rscript with metafor and lme4")
    return program


def run(program, folder, text):
    """The script in a folder: status, and everything that it printed."""
    (folder / "report.R").write_text(text, encoding="ascii")
    done = subprocess.run([program, "report.R"], cwd=folder, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_script_has_every_row_at_full_precision_in_ascii(records):
    text = r_script("report", records.values())
    assert text.isascii()
    for name, pool in records.items():
        mine = text[text.index(f'pools[["{name}"]]') :]
        mine = mine[: mine.index("ours = ")]
        for column in ("yi", "vi"):
            numbers = re.search(rf"\b{column} = c\((.*?)\)", mine)[1].split(", ") if pool["rows"] else []
            assert [None if one == "NA_real_" else float(one) for one in numbers] == [
                row[column] for row in pool["rows"]
            ]
        assert mine.count(f'"{pool["rows"][0]["study_id"]}"') == 1 if pool["rows"] else True


def test_the_tolerances_of_the_page_are_those_of_the_script(records):
    text = r_script("report", [records["changes"]])
    page = (REPOSITORY / "docs" / "r.md").read_text(encoding="utf-8")
    for kind, value in TOLERANCES.items():
        assert re.search(rf"tolerances <- list\(.*{kind} = {value!r}", text)
        assert f"| {kind} | {value:g} |" in page


def test_a_report_gets_its_script_beside_its_numbers(records, tmp_path):
    executed = tmp_path / "02_some.ipynb"
    executed.with_suffix(".json").write_text(json.dumps([records["changes"]]))
    assert write_numbers(executed) == ["02_some.csv", "02_some.json", "02_some.R"]
    assert 'pools[["changes"]]' in (tmp_path / "02_some.R").read_text(encoding="ascii")


def test_r_finds_what_the_report_found(records, rscript, tmp_path):
    status, said = run(rscript, tmp_path, r_script("report", records.values()))
    assert status == 0, said
    assert "beyond tolerance: 0" in said
    for name, pool in records.items():
        k = len(pool["rows"])
        if k >= 3:
            compared = set(re.findall(rf"^ {name} +(\w+) ", said, re.MULTILINE))
            assert {"beta", "ci_lb", "ci_ub"} <= compared, said
            if pool["bayes"]:
                assert re.search(rf"^ {name} +pi_ub, prior", said, re.MULTILINE), said
    assert sum(len(pool["rows"]) >= 3 for pool in records.values()) >= 5


@pytest.mark.parametrize("part", ["result", "bayes", "rows"])
def test_a_result_that_is_not_that_of_its_rows_is_found(records, rscript, tmp_path, part):
    wrong = copy.deepcopy(records["changes"])
    if part == "result":
        wrong["result"]["beta"] += 0.001
    elif part == "bayes":
        wrong["bayes"][-1]["pi_lb"] += 0.05
    else:
        wrong["rows"][0]["vi"] *= 1.1
    status, said = run(rscript, tmp_path, r_script("report", [wrong]))
    assert status == 1, said
    assert re.search(r"^ changes .* FALSE *$", said, re.MULTILINE)


def test_hostile_text_is_a_string_in_the_script(records, rscript, tmp_path):
    hostile = copy.deepcopy(records["changes"])
    hostile["title"] = hostile["pool"] = '"); file.create("ran"); c("\\'
    hostile["rows"][0]["study_id"] = 'x"\n); file.create("ran"); #\ud800 \U0001f600'
    status, said = run(rscript, tmp_path, r_script('a\nfile.create("ran")', [hostile]))
    assert status == 0, said
    assert not (tmp_path / "ran").exists()


def test_studies_that_are_not_pooled_are_said_to_be(records, rscript, tmp_path):
    two = copy.deepcopy(records["changes"])
    two["rows"], two["result"], two["bayes"] = two["rows"][:2], {"k": 2}, []
    none = {**two, "pool": "none", "rows": []}
    status, said = run(rscript, tmp_path, r_script("report", [two, none]))
    assert status == 0, said
    assert "changes: 2 studies, not pooled by the report" in said
    assert "none: no study" in said


def test_r_check_runs_every_script_and_ends_with_one_if_a_report_differs(records, rscript, tmp_path, capsys):
    good, wrong = records["changes"], copy.deepcopy(records["changes"])
    wrong["result"]["se"] *= 1.01
    for name, pool in (("good", good), ("wrong", wrong)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.json").write_text(json.dumps([pool]))
        write_numbers(tmp_path / name / f"{name}.ipynb")
    assert r_check.main([str(tmp_path)]) == 1
    said = capsys.readouterr().out
    assert "good/good.R: 1 pools" in said and "wrong/wrong.R: " in said
    assert "2 reports redone in R, 1 that differ" in said
    (tmp_path / "wrong" / "wrong.json").unlink()
    assert r_check.main([str(tmp_path)]) == 0


def test_r_check_says_what_is_missing(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(r_check, "rscript", lambda: "")
    assert r_check.main([str(tmp_path)]) == 2
    assert "expected Rscript with metafor and lme4, found none" in capsys.readouterr().err
