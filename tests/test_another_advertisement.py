"""``docs/another_advertisement.md`` to the letter: from the text of a made-up clinic to a handout."""

from __future__ import annotations

import contextlib
import csv
import re
import shlex
import shutil

import pytest
from click.testing import CliRunner

from cellclaims.cli import main

from .conftest import REPOSITORY
from .filled_forms import fill, opened, saved
from .made_up_trials import DATA

GUIDE = REPOSITORY / "docs" / "another_advertisement.md"


def tables():
    """{table: rows}: the two tables of the page, whose columns are rows."""
    blocks = re.findall(r"^\| column \|.*?\n\n", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    found = {}
    for name, block in zip(("documents", "claims"), blocks, strict=True):
        lines = [[one.strip() for one in line[1:-1].split("|")] for line in block.strip().splitlines()]
        names, *columns = zip(*(line for line in lines[2:]), strict=True)
        found[name] = [dict(zip((one.strip("`") for one in names), column, strict=True)) for column in columns]
    return found


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The page carried out in a copy of the repository: the folder, and what each command said."""
    folder, said = tmp_path_factory.mktemp("advertisement"), {}
    for name in ("data", "notebooks"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns("registry"))
    page = GUIDE.read_text(encoding="utf-8")
    for line in page.splitlines():
        if not line.startswith("    "):
            continue
        program, *arguments = shlex.split(line)
        assert program == "cellclaims"
        with contextlib.chdir(folder):
            done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, (line, done.output)
        said[line.strip()] = done.output
        if arguments[0] == "form":
            saved(fill(opened(folder / "northlight.xlsx"), tables()), folder / "northlight.xlsx")
    return folder, said


def test_the_form_gives_the_rows_of_the_page_and_leaves_the_data_alone(followed):
    folder, _ = followed
    for name, rows in tables().items():
        with (folder / "northlight" / f"{name}.csv").open(encoding="utf-8", newline="") as file:
            found = list(csv.DictReader(file))
        assert [{key: text for key, text in row.items() if text} for row in found] == [
            {key: text for key, text in row.items() if text} for row in rows
        ]
    for path in (DATA / "advertised").iterdir():
        assert (folder / "data" / "advertised" / path.name).read_bytes() == path.read_bytes()


def test_the_ledger_follows_the_file(followed):
    _, said = followed
    (text,) = (output for command, output in said.items() if command.startswith("cellclaims claims"))
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    for row in tables()["claims"]:
        if row["kind"] not in ("disclaimer",):
            assert any(row["claim_id"] in line for line in rows), row["claim_id"]
    (rate,) = (line for line in rows if "off_insulin" in line)
    assert "45%" in rate and "northlight" in rate


def test_every_page_that_the_text_names_is_there_and_shows_the_made_up_claim(followed):
    folder, _ = followed
    page = GUIDE.read_text(encoding="utf-8")
    named = set(re.findall(r"`(reports/\S+\.html)`", page))
    assert len(named) == 4
    for name in named:
        assert "45" in (folder / name).read_text(encoding="utf-8"), name
    index = (folder / "reports" / "northlight_claims" / "index.html").read_text(encoding="utf-8")
    for row in tables()["claims"]:
        assert f'href="{row["claim_id"]}/claim.html"' in index
        report = (folder / "reports" / "northlight_claims" / row["claim_id"] / "claim.html").read_text(encoding="utf-8")
        assert row["wording"] in report or row["what_is_claimed"] in report, row["claim_id"]


def test_the_page_is_labelled_as_made_up():
    page = GUIDE.read_text(encoding="utf-8")
    assert "> **Made up for this page.**" in page
    assert all("made up" in row["note"] for row in tables()["claims"])
    assert "northlight" not in (DATA / "advertised" / "claims.csv").read_text(encoding="utf-8")
