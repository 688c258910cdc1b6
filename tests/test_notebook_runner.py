"""One notebook is run strictly: refused before it starts, written whole, byte-equal from run to run."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from cellclaims import cli
from cellclaims.errors import NotebookError, ParameterError, ReviewError
from cellclaims.runner import run
from cellclaims.runner.review import stored
from cellclaims.runner.run import Parameter, checked, declared, declared_in, fits, parsed

REPOSITORY = Path(__file__).resolve().parent.parent

DOUBLE = ("print(f'{DOSE} doubled is {2 * DOSE}, of {PARTS}, at most {LIMIT}')",)
FILES = (
    "from pathlib import Path\n"
    "for folder in (REPORTS, FIGURES):\n"
    "    Path(folder).mkdir(parents=True, exist_ok=True)\n"
    "Path(REPORTS, '01_double.json').write_text(f'[{DOSE}]')\n"
    "Path(FIGURES, '01_double_line.svg').write_text(str(DOSE));",
)


def snapshot(folder):
    """Every file of a folder with its bytes."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


# --- what is declared, and what is given --------------------------------------------------------------------


def test_parameters_are_read_with_type_default_and_help(small_review):
    found = declared(nbformat.read(small_review(), as_version=4))
    assert found[0] == Parameter("DOSE", "float", 2.0, "how much of it")
    assert [(one.name, one.type) for one in found[1:3]] == [("PARTS", "list[str]"), ("LIMIT", "int | None")]


def test_a_type_that_is_not_written_is_that_of_the_default():
    assert [one.type for one in declared_in("A = 1\nB = 'x'\nC = None")] == ["int", "str", "object"]


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("A = 1\nB = 2 * A", "line 2.*B = 2 \\* A"),
        ("import os", "import os"),
        ("A, B = 1, 2", "NAME: type = literal"),
        ("A: float", "NAME: type = literal"),
        ("A: float = 'x'", "declared float, but its default is 'x'"),
        ("A: complex = 1", "cannot be of type 'complex'"),
        ("A: int = ", "line 1"),
    ],
)
def test_a_parameters_cell_holds_assignments_of_literals_and_nothing_else(source, reason):
    with pytest.raises(ParameterError, match=reason):
        declared_in(source)


def test_two_parameters_cells_are_refused(small_review):
    book = nbformat.read(small_review(("X: int = 1", "parameters")), as_version=4)
    with pytest.raises(ParameterError, match="expected one cell tagged 'parameters', found 2"):
        declared(book)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (1, "float", True),
        (True, "float", False),
        (True, "int", False),
        (1.0, "int", False),
        (float("nan"), "float", False),
        (["a", 1], "list[str]", False),
        (["a", 1], "list", True),
        ({"a": 1.5}, "dict[str, float]", True),
        ({"a": "x"}, "dict[str, float]", False),
        (None, "str", False),
        (None, "str | None", True),
        ([None, 1], "list[int | None]", True),
    ],
)
def test_values_fit_types_as_python_writes_them(value, kind, expected):
    assert fits(value, kind) is expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(JSON)
def test_a_value_written_as_json_is_read_as_itself(value):
    assert parsed(json.dumps(value)) == value


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("DOZE", 1, r"unknown parameter 'DOZE' \(did you mean 'DOSE'\?\); declared are: DOSE \(float\), PARTS"),
        ("dose", 1, "did you mean 'DOSE'"),
        ("ELEPHANT", 1, "unknown parameter 'ELEPHANT'; declared are"),
        ("DOSE", "much", r"DOSE: expected float \(default 2.0\), found 'much' \(str\)"),
        ("DOSE", None, "found None"),
        ("PARTS", "whole", r"PARTS: expected list\[str\]"),
        ("LIMIT", 2.5, r"LIMIT: expected int \| None"),
        ("DATA", 5, "DATA: expected str.*as text: '\"5\"'"),
    ],
)
def test_unknown_or_ill_typed_parameters_are_refused_before_anything_starts(
    small_review, tmp_path, monkeypatch, name, value, reason
):
    source = small_review(DOUBLE)
    before = snapshot(tmp_path)
    monkeypatch.setattr(run, "_execute", lambda *_: pytest.fail("the notebook was started"))
    with pytest.raises(ParameterError, match=reason):
        run.run_notebook(source, tmp_path / "reports", {name: value})
    assert snapshot(tmp_path) == before


def test_a_whole_number_for_a_float_prints_as_one(small_review):
    found = declared(nbformat.read(small_review(), as_version=4))
    assert repr(checked(found, {"DOSE": 3, "LIMIT": 3})) == "{'DOSE': 3.0, 'LIMIT': 3}"


# --- runs ---------------------------------------------------------------------------------------------------


def test_two_runs_are_byte_equal_wherever_they_go_and_the_notebook_stays(small_review, tmp_path):
    source = small_review(DOUBLE, ("DOSE",))
    before = source.read_bytes()
    first = run.run_notebook(source, tmp_path / "reports")
    second = run.run_notebook(source, tmp_path / "else{where}")
    assert first.read_bytes() == second.read_bytes()
    assert source.read_bytes() == before
    assert list(tmp_path.rglob("*.running.ipynb")) == []
    assert not any(trace in first.read_text() for trace in ("papermill", '"execution"', str(tmp_path), sys.version))


def test_a_default_that_is_given_changes_nothing(small_review, tmp_path):
    source = small_review(DOUBLE)
    plain = run.run_notebook(source, tmp_path / "reports")
    given_default = run.run_notebook(source, tmp_path / "other", {"DOSE": 2})
    assert plain.read_bytes() == given_default.read_bytes()


def test_an_executed_notebook_runs_to_itself(small_review, tmp_path):
    """So the executed default run can be committed in the place of its source."""
    executed = run.run_notebook(small_review(DOUBLE), tmp_path / "reports")
    again = run.run_notebook(executed, tmp_path / "again")
    assert executed.read_bytes() == again.read_bytes()


def test_given_values_stand_in_the_executed_notebook_and_places_do_not(small_review, tmp_path):
    source = small_review(DOUBLE, FILES)
    target = run.run_notebook(source, tmp_path / "trial", {"DOSE": 5, "PARTS": ["half"], "LIMIT": 3})
    book = nbformat.read(target, as_version=4)
    injected = book.cells[2]
    assert (injected.id, injected.metadata.tags) == ("injected-parameters", ["injected-parameters"])
    assert injected.source.splitlines()[1:] == ["DOSE = 5.0", 'PARTS = ["half"]', "LIMIT = 3"]
    assert [cell.id for cell in book.cells] == ["own-0", "own-1", "injected-parameters", "own-2", "own-3"]
    assert [cell.execution_count for cell in book.cells[1:]] == [1, 2, 3, 4]
    assert book.cells[3].outputs[0].text == "5.0 doubled is 10.0, of ['half'], at most 3\n"


def test_a_run_keeps_its_files_in_its_own_folder(small_review, tmp_path):
    source = small_review(FILES)
    run.run_notebook(source, tmp_path / "reports")
    figure, pools = Path("figures", "01_double_line.svg"), Path("01_double.json")
    assert [(tmp_path / "reports" / path).read_text() for path in (figure, pools)] == ["2.0", "[2.0]"]
    run.run_notebook(source, tmp_path / "trial", {"DOSE": 7})
    assert [(tmp_path / "trial" / path).read_text() for path in (figure, pools)] == ["7.0", "[7.0]"]
    assert [(tmp_path / "reports" / path).read_text() for path in (figure, pools)] == ["2.0", "[2.0]"]
    assert not (tmp_path / "figures").exists()


def test_what_a_failed_run_wrote_is_not_moved(small_review, tmp_path):
    source = small_review(FILES, ("1 / 0",))
    with pytest.raises(NotebookError):
        run.run_notebook(source, tmp_path / "trial")
    assert [path.name for path in (tmp_path / "trial").iterdir()] == ["01_double.running.ipynb"]


def test_a_path_of_the_temporary_folder_is_not_in_a_message(small_review, tmp_path):
    source = small_review(("open(REPORTS + '/none.txt')",))
    with pytest.raises(NotebookError, match=rf"No such file.*{tmp_path}/trial/none.txt"):
        run.run_notebook(source, tmp_path / "trial")


@pytest.mark.parametrize("into", ["reports", "figures", "figures/trial", "notebooks/trial", "data", "link"])
def test_a_run_by_command_never_goes_into_the_folders_of_the_review(small_review, tmp_path, into):
    source = small_review(FILES)
    (tmp_path / "reports").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "reports")
    before = snapshot(tmp_path)
    done = CliRunner().invoke(cli.main, ["run", str(source), "-p", "DOSE", "7", "--into", str(tmp_path / into)])
    assert done.exit_code == 2
    assert "--into: expected a separate folder such as reports/run/01_double" in done.output
    assert snapshot(tmp_path) == before


def test_a_run_by_command_makes_a_folder_of_its_own(small_review, tmp_path, monkeypatch):
    source = small_review(FILES)
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.main, ["run", str(source), "-p", "DOSE", "7"])
    assert (done.exit_code, done.output.endswith("reports/run/01_double/01_double.ipynb\n")) == (0, True)
    assert Path("reports/run/01_double/01_double.json").read_text() == "[7.0]"


def test_an_impossible_value_is_refused_before_anything_starts(tmp_path):
    source = REPOSITORY / "notebooks" / "02_hba1c.ipynb"
    with pytest.raises(ParameterError, match=r"CORRELATION: expected a number between -1 and 1, found 1\.5"):
        run.run_notebook(source, tmp_path / "trial", {"CORRELATION": 1.5})
    assert not (tmp_path / "trial").exists()


def test_a_copy_to_work_on_finds_its_data_and_keeps_an_earlier_one(small_review, tmp_path):
    source = small_review(FILES)
    target = tmp_path / "reports" / "club" / "live" / source.name
    run.copy_to_work_on(source, target, {"DOSE": 3.0})
    book = nbformat.read(target, as_version=4)
    assert book.cells[2].source.splitlines()[1:] == ["DOSE = 3.0", "DATA = '../../../data'"]
    target.write_text("changed by a reader")
    run.copy_to_work_on(source, target)
    assert target.with_suffix(".earlier.ipynb").read_text() == "changed by a reader"
    with pytest.raises(ReviewError, match="never writes into the folder of its notebook"):
        run.copy_to_work_on(source, source.parent / "copy.ipynb")


@pytest.mark.parametrize("into", ["notebooks", "notebooks/deeper", "reports/../notebooks", "link"])
def test_the_folder_of_the_notebooks_is_never_written_to(small_review, tmp_path, into):
    source = small_review(DOUBLE)
    (tmp_path / "link").symlink_to(tmp_path / "notebooks")
    before = snapshot(tmp_path)
    with pytest.raises(ReviewError, match="never writes into the folder of its notebook"):
        run.run_notebook(source, tmp_path / into)
    assert snapshot(tmp_path) == before


def test_a_failing_cell_is_named_and_the_half_run_notebook_is_kept(small_review, tmp_path):
    source = small_review(("print('so far')",), ("1 / 0",), ("print('never')",))
    target = tmp_path / "reports" / source.name
    target.parent.mkdir()
    target.write_text("an earlier run")
    with pytest.raises(NotebookError, match=r"01_double.ipynb failed in cell 4: 1 / 0\n(.*\n)*.*ZeroDivisionError"):
        run.run_notebook(source, target.parent)
    half = nbformat.read(target.with_suffix(".running.ipynb"), as_version=4)
    assert "so far\n" in [output.get("text") for cell in half.cells for output in cell.get("outputs", [])]
    assert target.read_text() == "an earlier run"


def test_a_kernel_that_dies_is_a_failure_of_its_cell(small_review, tmp_path):
    source = small_review(("import os\nos._exit(1)",))
    with pytest.raises(NotebookError, match=r"failed in cell 3: import os\n.*DeadKernelError"):
        run.run_notebook(source, tmp_path / "reports")


def test_start_up_files_of_the_user_are_not_run_and_the_environment_stays(small_review, tmp_path, monkeypatch):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("print('from the user')\nDOSE = 99")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    before = dict(os.environ)
    target = run.run_notebook(small_review(("print('DOSE' in globals(), DOSE)",)), tmp_path / "reports")
    assert nbformat.read(target, as_version=4).cells[2].outputs[0].text == "True 2.0\n"
    assert dict(os.environ) == before


@pytest.mark.parametrize(
    ("content", "reason"), [(None, "found nothing"), (b"{}", "found something else"), (b"\xff\xfe", "found something")]
)
def test_what_is_not_a_notebook_is_refused(tmp_path, content, reason):
    source = tmp_path / "01_none.ipynb"
    if content is not None:
        source.write_bytes(content)
    with pytest.raises(ReviewError, match=reason):
        run.run_notebook(source, tmp_path / "reports")


# --- run traces ---------------------------------------------------------------------------------------------


def stream(text, name="stdout"):
    return nbformat.v4.new_output("stream", name=name, text=text)


def test_text_that_was_printed_in_pieces_is_joined(small_review):
    book = nbformat.read(small_review(("print()",)), as_version=4)
    book.cells[2].outputs = [stream("a"), stream("b"), stream("!", "stderr"), stream("c")]
    outputs = run.without_run_traces(book, book).cells[2].outputs
    assert [(one.name, one.text) for one in outputs] == [("stdout", "ab"), ("stderr", "!"), ("stdout", "c")]


def test_a_notebook_without_ids_gets_its_numbers(small_review):
    book = nbformat.read(small_review(("print()",)), as_version=4)
    source = nbformat.from_dict({**book, "cells": [{k: v for k, v in c.items() if k != "id"} for c in book.cells]})
    assert [cell.id for cell in run.without_run_traces(book, source).cells] == ["cell-00", "cell-01", "cell-02"]


def test_assignments_of_places_over_several_lines_leave_the_injected_cell():
    source = '# Parameters\nDOSE = 5.0\nREPORTS = (\n    "a"\n    "b"\n)\nPARTS = ["x"]'
    assert run._without_assignments(source, {"REPORTS"}) == '# Parameters\nDOSE = 5.0\nPARTS = ["x"]'


# --- the command --------------------------------------------------------------------------------------------


def call(*arguments):
    return CliRunner().invoke(cli.main, [str(part) for part in arguments])


def test_the_command_runs_with_values_as_they_are_typed(small_review, tmp_path):
    source = small_review(DOUBLE)
    done = call("run", source, "-p", "DOSE", "-1e-1", "-p", "PARTS", "[a, b]", "--into", tmp_path / "trial", "--html")
    assert (done.exit_code, done.stderr) == (0, "")
    executed, page = done.stdout.split()
    assert "-0.1 doubled is -0.2, of ['a', 'b'], at most None" in Path(executed).read_text()
    assert "2 changed" in Path(page).read_text()


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["-p", "DOZE", "1"], 2, "cellclaims: unknown parameter 'DOZE' (did you mean 'DOSE'?)"),
        (["-p", "DOSE", "much"], 2, "cellclaims: parameter DOSE: expected float (default 2.0), found 'much' (str)"),
        (["-p", "DOSE", "1", "-p", "DOSE", "2"], 2, "cellclaims: expected each parameter once, found twice: DOSE"),
        (["-p", "DOSE", "[1"], 2, "cellclaims: expected a value such as 12, true, text or [a, b], found '[1'"),
        (["-p", "LIMIT", "0"], 1, "cellclaims: 01_double.ipynb failed in cell 3: 1 / LIMIT"),
    ],
)
def test_the_command_says_what_is_wrong_in_one_message_and_a_status(small_review, tmp_path, arguments, status, words):
    done = call("run", small_review(("1 / LIMIT",)), *arguments, "--into", tmp_path / "trial")
    assert (done.exit_code, done.stdout) == (status, "")
    assert done.stderr.startswith(words)
    assert "Traceback (most recent call last)\n  File" not in done.stderr


def test_the_command_lists_the_parameters(small_review):
    done = call("parameters", small_review())
    assert done.stdout.startswith("DOSE: float = 2.0\n    how much of it\nPARTS: list[str] = ['whole']\n")


def test_help_imports_nothing_heavy():
    """What makes ``cellclaims --help`` quick; a clock would measure the machine."""
    heavy = ("numpy", "pandas", "scipy", "matplotlib", "nbformat", "papermill", "nbconvert", "yaml", "frictionless")
    code = f"import sys, cellclaims.cli; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_type_that_is_named_is_known():
    assert all(fits(value, name) for name, value in {"bool": True, "int": 1, "str": "", "list": []}.items())


@pytest.mark.parametrize("status", [0, 1])
def test_check_prints_the_faults_and_ends_with_their_status(monkeypatch, status):
    from cellclaims.evidence import check

    monkeypatch.setattr(check, "report", lambda folder, everything: (f"faults of {folder}, all: {everything}", status))
    done = call("check", "--data", "elsewhere")
    assert (done.exit_code, done.stdout) == (status, "faults of elsewhere, all: False\n")
    assert call("check", "--all").stdout == "faults of data, all: True\n"


def test_claims_are_printed_alike_in_every_format(tmp_path, monkeypatch):
    data = Path(__file__).resolve().parent.parent / "data"
    (tmp_path / "reports").mkdir()
    monkeypatch.chdir(tmp_path)  # where reports are, the ledger is computed once
    done = {kind: call("claims", "--data", data, "--format", kind) for kind in ("md", "csv", "json")}
    assert {kind: one.exit_code for kind, one in done.items()} == dict.fromkeys(done, 0)
    entries = json.loads(done["json"].stdout)
    rows = list(csv.DictReader(done["csv"].stdout.splitlines()))
    assert [row["entry_id"] for row in rows] == [entry["entry_id"] for entry in entries]
    lines = [line for line in done["md"].stdout.splitlines() if line.startswith("|")]
    assert len(lines) == len(rows) + 2 > 2
    assert {line.count(" | ") for line in lines[:1]} == {len(rows[0]) - 1}


def test_what_was_stored_is_printed_until_the_evidence_changes(tmp_path):
    data, into, made = tmp_path / "data", tmp_path / "reports", []

    def make():
        made.append(1)
        return {"md": f"text {len(made)}"}

    data.mkdir()
    (data / "a.csv").write_text("x\n")
    assert stored("ledger", data, make, into)["md"] == "text 1"
    assert not into.exists(), "nothing is kept where no report is"
    into.mkdir()
    assert [stored("ledger", data, make, into)["md"] for _ in range(2)] == ["text 2", "text 2"]
    (data / "a.csv").write_text("y\n")
    assert stored("ledger", data, make, into)["md"] == "text 3"
    (into / ".made" / "ledger.texts.json").write_text('{"key": ')
    assert stored("ledger", data, make, into)["md"] == "text 4"


def test_claims_without_evidence_are_refused_in_one_message(tmp_path):
    done = call("claims", "--data", tmp_path)
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("cellclaims: ")
