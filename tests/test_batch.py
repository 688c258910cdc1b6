"""A batch makes what is out of date, survives whatever a notebook does, and leaves the same folder however it went."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner

from cellclaims import cli
from cellclaims.errors import ReviewError
from cellclaims.files import fingerprint
from cellclaims.runner import batch, batch_report, kernel_parent, kernels, run, workers
from cellclaims.runner.batch import bar, cores, teller
from cellclaims.runner.batch_report import Failure, Job
from cellclaims.runner.kernels import Limits

from .conftest import OPENING, PARAMETERS, write_notebook

REPOSITORY = Path(__file__).resolve().parent.parent

FIGURE = """\
from pathlib import Path
from IPython.display import display
svg = '<svg xmlns="http://www.w3.org/2000/svg" width="9pt"><desc>A line of %g.</desc></svg>' % DOSE
Path(FIGURES).mkdir(parents=True, exist_ok=True)
Path(FIGURES, "line.svg").write_text(svg)
display({"image/svg+xml": svg, "text/plain": "A line."}, raw=True)"""
POOLS = """\
import json
pool = {"pool": "a", "title": "A, b", "result": {"k": 2, "beta": DOSE}}
Path(REPORTS, "01_double.json").write_text(json.dumps([pool]))
print("twice is", 2 * DOSE)"""
GOOD = ((FIGURE, "figure"), (POOLS, "headline"))

linux_only = pytest.mark.skipif(not kernels.can_fork(), reason="kernels are forked on Linux only")


@pytest.fixture(scope="module", autouse=True)
def warm():
    """One warmed parent for all batches of these tests, in this process and in others."""
    with kernels.nursery(run.ONE_THREAD):
        yield


def snapshot(folder):
    """Every file of a batch with its bytes, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def runs(tmp_path):
    """Write a file of parameter sets: ``runs(grid="DOSE: [1, 2]")`` or whole lines."""

    def write(*lines, grid=""):
        path = tmp_path / "runs" / "some.yml"
        path.parent.mkdir(exist_ok=True)
        lines = lines or ("- notebook: 01_double", f"  grid: {{{grid}}}")
        path.write_text("\n".join(["title: Some <b>&", "about: Words", "sets:", *lines]) + "\n")
        return path

    return write


def call(*arguments):
    return CliRunner().invoke(cli.main, ["batch", *[str(part) for part in arguments]])


def begin(*arguments):
    """Start the command as a process that leads its own group and heeds Ctrl-C.

    Tests that a shell runs in the background ignore it, and what they start would inherit that.
    """
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    return subprocess.Popen(
        [sys.executable, "-c", f"{heed}; from cellclaims.cli import main; main()", "batch", *map(str, arguments)],
        start_new_session=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.02)


def session(pid):
    """Processes of the session that ``pid`` leads, itself too, zombies not counted."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent, _, leader = path.read_text().rpartition(")")[2].split()[:4]
            if int(leader) == pid and state != "Z":
                found.append((int(path.parent.name), int(parent)))
    return found


def kernels_of(folder):
    """Forked kernels whose report is made in a folder: their command line is that of their parent."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if b"kernel_parent" in (path / "cmdline").read_bytes() and (path / "cwd").resolve() == folder:
                found.append(path.name)
    return found


# --- what is made ------------------------------------------------------------------------------------------------


def test_reports_are_made_once_and_listed_with_values_numbers_and_headline(small_review, runs, tmp_path):
    small_review(*GOOD)
    path, into = runs(grid="DOSE: [1, 2.5]"), tmp_path / "into"
    assert batch.run_batch(path, into).made == ["01_double_dose-1", "01_double_dose-2.5"]
    report = into / "01_double_dose-2.5"
    assert {file.name for file in report.rglob("*") if file.is_file()} == {
        "01_double.ipynb", "01_double.html", "01_double.json", "01_double.csv", "line.svg"
    }  # fmt: skip
    assert (report / "01_double.csv").read_text().splitlines()[1].startswith('a,"A, b",,,,2,2.5,')
    assert (into / "results.csv").read_text().splitlines()[0].startswith("report,notebook,DOSE,pool,title,")
    page = (into / "index.html").read_text()
    assert "Some &lt;b&gt;&amp;" in page
    assert "twice is 5.0" in page
    assert 'src="01_double_dose-2.5/figures/line.svg"' in page
    assert page.count("<script") == 1
    machine = json.loads((into / "batch.json").read_text())
    assert [(one["state"], one["headline"]) for one in machine["reports"]] == [
        ("made", "twice is 2.0"),
        ("made", "twice is 5.0"),
    ]

    before = snapshot(into)
    again = batch.run_batch(path, into)
    assert (again.made, again.current) == ([], ["01_double_dose-1", "01_double_dose-2.5"])
    assert snapshot(into) == before


def test_what_is_out_of_date_is_made_and_what_is_asked_no_more_goes(small_review, runs, tmp_path):
    source = small_review(("print(DOSE)", "headline"))
    into = tmp_path / "into"
    batch.run_batch(runs(grid="DOSE: [1, 2, 3]"), into)
    path = runs(grid="DOSE: [1, 2, 4]")
    assert batch.run_batch(path, into).made == ["01_double_dose-4"]
    assert not (into / "01_double_dose-3").exists()
    (into / "01_double_dose-1" / "01_double.html").write_text("changed by hand")
    assert [job.name for job, is_stale in batch.planned(path, into) if is_stale] == ["01_double_dose-1"]
    assert batch.run_batch(path, into).made == ["01_double_dose-1"]
    (tmp_path / "data" / "arms.csv").write_text("arm_id\n")
    assert len([job for job, is_stale in batch.planned(path, into) if is_stale]) == 3
    source.write_text(source.read_text().replace("print(DOSE)", "print(-DOSE)"))
    assert batch.run_batch(path, into, only="*-2").made == ["01_double_dose-2"]
    assert (into / "index.html").read_text().count("Not made yet.") == 2


def test_a_filter_stands_for_each_parameter_with_several_values(small_review, runs, tmp_path):
    small_review(("print(DOSE)",))
    into = tmp_path / "into"
    batch.run_batch(runs(grid="DOSE: [1, 2], LIMIT: [5, null]"), into, only="*dose-1_limit-5")
    page = (into / "index.html").read_text()
    assert re.findall(r"<legend>(\w+)</legend>", page) == ["DOSE", "LIMIT"]
    assert re.findall(r'<article class="card([^"]*)"', page) == [" f0-0 f1-0", " f0-0 f1-1", " f0-1 f1-0", " f0-1 f1-1"]
    assert "body:has(#f1-1:checked) .card:not(.f1-1) { display: none; }" in page


# --- whatever a notebook does ------------------------------------------------------------------------------------

#: Code of a notebook, what the reason says, what the traceback says: the error, and the cell where it happened.
FAULTS = {
    "fails": ("1 / 0", "ZeroDivisionError: division by zero", "failed in cell 3: 1 / 0"),
    "dies": ("import os\nos._exit(1)", "DeadKernelError: ", "failed in cell 3: import os"),
    "killed": ("import os\nos.kill(os.getpid(), 9)", "DeadKernelError: ", "failed in cell 3: import os"),
    "prints": (
        "for _ in range(100): print('x' * 1_000_000)",
        "at most 20 000 000 characters",
        "failed in cell 3: for _",
    ),
    "strays": ("open('../data/arms.csv', 'w')", "PermissionError: a report writes into", "failed in cell 3: open"),
    "removes": ("import os\nos.remove('../data/protocol.yml')", "PermissionError", "failed in cell 3: import os"),
    "eats": ("kept = [bytearray(100_000_000) for _ in range(50)]", "MemoryError", "failed in cell 3: kept = "),
    "numbers": ("open(REPORTS + '/08_numbers.json', 'w').write('[')", "expected pools as JSON in 08_numbers.json", ""),
}


@linux_only
def test_a_report_that_fails_in_any_way_is_listed_and_the_others_are_made(small_review, runs, tmp_path):
    lines = []
    for number, (name, (code, _, _)) in enumerate(FAULTS.items(), start=1):
        small_review((code,), name=f"{number:02d}_{name}")
        lines += [f"- notebook: {number:02d}_{name}", f"  name: {name}"]
    small_review(*GOOD)
    path, into = runs(*lines, "- notebook: 01_double"), tmp_path / "into"
    done = call(path, "--into", into, "--memory", "1000")
    assert done.exit_code == len(FAULTS), done.output
    assert done.stderr.count(f" of {len(FAULTS) + 1}: ") == len(FAULTS), "what went well is not worth a line"
    assert f"1 made, {len(FAULTS)} failed" in done.stdout
    reports = {one["name"]: one for one in json.loads((into / "batch.json").read_text())["reports"]}
    assert reports["01_double"]["state"] == "made"
    page = (into / "index.html").read_text()
    for name, (_, reason, trace) in FAULTS.items():
        failure = reports[name]["failure"]
        assert reason in failure["reason"], name
        assert trace in failure["trace"], name
        assert f"<h2>{name}</h2>" in page
        assert not (into / name).exists()
    assert page.count("<summary>Traceback</summary>") == len([trace for _, _, trace in FAULTS.values() if trace])
    assert list(into.glob(".making*")) == []
    assert list((tmp_path / "data").glob("arms.csv")) == []

    before = snapshot(into)
    resumed = call(path, "--into", into, "--resume")
    assert (resumed.exit_code, resumed.stderr) == (len(FAULTS), "")
    assert snapshot(into) == before
    source = tmp_path / "notebooks" / "01_fails.ipynb"
    source.write_text(source.read_text().replace("1 / 0", "1 / 1"))
    assert call(path, "--into", into, "--only", "fails").exit_code == 0


def test_a_cell_that_hangs_is_ended(small_review, runs, tmp_path):
    small_review(("while True: pass",))
    done = call(runs(grid="DOSE: [1]"), "--into", tmp_path / "into", "--timeout", "1", "--json")
    assert done.exit_code == 1
    (failure,) = [one["failure"] for one in json.loads((tmp_path / "into" / "batch.json").read_text())["reports"]]
    assert "CellTimeoutError" in failure["reason"]
    assert "failed in cell 3: while True: pass" in failure["trace"]


def test_a_process_that_is_late_is_ended(small_review, runs, tmp_path, monkeypatch):
    small_review(("import time",), ("time.sleep(60)",))
    monkeypatch.setattr(workers, "GRACE", 0.0)
    done = batch.run_batch(runs(grid="DOSE: [1]"), tmp_path / "into", limits=Limits(total_seconds=3))
    assert done.failed["01_double_dose-1"].reason == "01_double.ipynb failed: no end after 3 s"
    until(lambda: kernels_of(tmp_path / "notebooks") == [])


# --- killed, interrupted, twice ----------------------------------------------------------------------------------

SLOW = ("import time; time.sleep(0.3); print(DOSE)", "headline")
FOUR = "DOSE: [1, 2, 3, 4]"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """A batch of four slow reports, made without a fault: its file, the folder of its notebook, its content."""
    home = tmp_path_factory.mktemp("undisturbed")
    write_notebook(home / "notebooks" / "01_double.ipynb", [OPENING, (PARAMETERS, "parameters"), SLOW])
    (home / "data").mkdir()
    (home / "data" / "protocol.yml").write_bytes((REPOSITORY / "data" / "protocol.yml").read_bytes())
    path = home / "runs" / "four.yml"
    path.parent.mkdir()
    path.write_text(f"title: Four\nsets:\n- notebook: 01_double\n  grid: {{{FOUR}}}\n")
    assert len(batch.run_batch(path, home / "into").made) == 4
    return path, home / "notebooks", snapshot(home / "into")


@linux_only
def test_a_batch_that_is_killed_is_carried_on_to_the_same_folder(undisturbed, tmp_path):
    path, notebooks, content = undisturbed
    into = tmp_path / "into"
    process = begin(path, "--into", into)
    until(lambda: len(list((into / ".made").glob("*.json"))) >= 1)
    until(lambda: kernels_of(notebooks))
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    until(lambda: session(process.pid) == [] and kernels_of(notebooks) == [], 5)
    assert snapshot(into) != content
    resumed = call(path, "--into", into, "--resume")
    assert resumed.exit_code == 0
    assert "up to date" in resumed.stdout
    assert snapshot(into) == content


@linux_only
def test_a_report_whose_process_is_killed_fails_alone_and_can_be_made_again(undisturbed, tmp_path):
    path, _, content = undisturbed
    into = tmp_path / "into"
    process = begin(path, "--into", into)
    until(lambda: any(parent == process.pid for _, parent in session(process.pid)) and (into / ".making").exists())
    victim = next(pid for pid, parent in session(process.pid) if parent == process.pid)
    os.kill(victim, signal.SIGKILL)
    said, _ = process.communicate()
    assert process.returncode == 1
    assert "failed: its process ended with -9" in said
    assert call(path, "--into", into).exit_code == 0
    assert snapshot(into) == content


@linux_only
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_batch_ends_at_once_and_leaves_no_process(undisturbed, tmp_path, number):
    path, notebooks, content = undisturbed
    into = tmp_path / "into"
    process = begin(path, "--into", into)
    until(lambda: kernels_of(notebooks))
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does it
    else:
        os.kill(process.pid, number)
    said, _ = process.communicate(timeout=10)
    assert process.returncode == 130, said
    assert "Traceback" not in said
    until(lambda: session(process.pid) == [] and kernels_of(notebooks) == [], 5)
    assert call(path, "--into", into, "--resume").exit_code == 0
    assert snapshot(into) == content


def test_a_second_batch_in_one_folder_is_refused(small_review, runs, tmp_path):
    small_review(SLOW)
    path, into = runs(grid=FOUR), tmp_path / "into"
    with batch.locked(into):
        before = snapshot(into)
        done = call(path, "--into", into)
    assert (done.exit_code, done.stdout) == (255, "")
    assert done.stderr == f"cellclaims: another batch is at work in {into}\n"
    assert snapshot(into) == before


def test_a_folder_of_something_else_is_refused(small_review, runs, tmp_path):
    small_review(SLOW)
    with pytest.raises(ReviewError, match="that of a batch, found other files in"):
        batch.run_batch(runs(grid=FOUR), tmp_path / "data")


def test_leftovers_of_a_batch_that_was_killed_between_two_steps_go(small_review, runs, tmp_path):
    small_review(("print(DOSE)",))
    path, into = runs(grid="DOSE: [1]"), tmp_path / "into"
    batch.run_batch(path, into)
    content = snapshot(into)
    (into / ".made" / "01_double_dose-1.json").unlink()  # moved to its place and not yet noted
    (into / ".making" / "01_double_dose-1").mkdir(parents=True)
    (into / ".index.html.abc.part").write_text("half")
    (into / ".made" / ".x.json.abc.part").write_text("half")
    assert batch.run_batch(path, into).made == ["01_double_dose-1"]
    assert snapshot(into) == content


# --- without forks, and what is said -----------------------------------------------------------------------------


def test_where_nothing_can_be_forked_the_same_is_made_by_fresh_processes(small_review, runs, tmp_path, monkeypatch):
    small_review(*GOOD)
    path = runs(grid="DOSE: [1]")
    batch.run_batch(path, tmp_path / "forked")
    monkeypatch.setattr(kernels, "can_fork", lambda: False)
    for name in (kernels.SOCKET, kernels.CHOICE):
        monkeypatch.delenv(name, raising=False)
    batch.run_batch(path, tmp_path / "fresh")
    assert snapshot(tmp_path / "fresh") == snapshot(tmp_path / "forked")


def test_a_dry_run_lists_and_makes_nothing(small_review, runs, tmp_path):
    small_review()
    path, into = runs(grid="DOSE: [1, 2]"), tmp_path / "into"
    done = call(path, "--into", into, "--dry-run")
    assert done.stdout == "to make     01_double_dose-1\nto make     01_double_dose-2\n"
    first = json.loads(call(path, "--into", into, "--dry-run", "--json", "--only", "*-2").stdout)
    assert first == {"report": "01_double_dose-2", "state": "to make", "values": {"DOSE": 2.0}}
    assert not into.exists()
    refused = call(path, "--into", into, "--dry-run", "--only", "nothing")
    assert (refused.exit_code, refused.stderr[:35]) == (2, "cellclaims: expected a pattern of r")


@pytest.fixture
def done(tmp_path):
    """A report that has ended, well or not."""

    def make(failure=None):
        job = Job("one", Path("01_double.ipynb"), {}, tmp_path, tmp_path, "key")
        return batch.Done(job, failure, 1.25)

    return make


class Terminal(list):
    """What is written to a terminal."""

    write = list.append

    def flush(self):
        """Nothing is kept back."""

    def isatty(self):
        return True


def test_a_terminal_shows_one_bar_with_the_time_left_and_keeps_failures(done):
    stream, times = Terminal(), iter([0.0, 10.0, 20.0])
    tell = bar(stream, lambda: next(times))
    tell(done(Failure("it failed", "")), 1, 2)
    tell(done(), 2, 2)
    text = "".join(stream)
    assert "\r\x1b[Kone, 1.2 s failed: it failed\n[############............] 1 of 2, 10 s left\r" in text
    assert text.endswith("[########################] 2 of 2, 0 s left\n")


def test_machines_are_told_in_json(done, capsys):
    teller(as_json=True)(done(Failure("why", "")), 1, 2)
    assert json.loads(capsys.readouterr().out) == {
        "report": "one", "state": "failed", "reason": "why", "seconds": 1.25, "done": 1, "of": 2
    }  # fmt: skip


def test_the_words_of_a_failure_do_not_name_the_place_where_it_was_made(tmp_path):
    job = Job("one", tmp_path / "01_double.ipynb", {}, tmp_path, tmp_path, "key")
    from cellclaims.runner.batch_report import as_failure

    said = as_failure(job, f"failed\n    in {job.work.resolve()}/a\n  {run.KEPT}{job.work}/x")
    assert said == Failure("in one/a", "failed\n    in one/a")


def test_a_failure_is_forgotten_when_its_report_changes(tmp_path):
    job = Job("one", tmp_path / "01_double.ipynb", {}, tmp_path, tmp_path, "key")
    batch_report.write_failure(job, Failure("why", "trace"))
    assert batch_report.is_done(job, failures_too=True)
    assert not batch_report.is_done(job)
    other = Job("one", tmp_path / "01_double.ipynb", {}, tmp_path, tmp_path, "another key")
    assert not batch_report.is_done(other, failures_too=True)


# --- forked kernels are fresh kernels ----------------------------------------------------------------------------

TELLING = """\
import os, random, signal, sys, warnings
import matplotlib, numpy as np
print(matplotlib.rcParams["backend"], matplotlib.get_backend())
print(sys.argv[0].rpartition("/")[2].removesuffix(".py"), sys.path[0], sys.stdin.__class__.__name__, __name__)
print(os.path.basename(os.getcwd()), sorted(name for name in os.environ if "MPL" in name))
print(signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT) is signal.default_int_handler)
warnings.warn("careful")"""
PLOT = "import matplotlib.pyplot as plt\nplt.plot([1, 2], [3, 4])\nplt.rcParams['figure.dpi']"


def test_a_forked_kernel_tells_the_same_as_a_fresh_one(small_review, tmp_path, monkeypatch):
    source = small_review((TELLING,), (PLOT,), ("%matplotlib --list",), ("get_ipython().config",), ("1 / 1",))
    forked = run.run_notebook(source, tmp_path / "forked").read_text()
    for name in (kernels.SOCKET, kernels.CHOICE):
        monkeypatch.delenv(name, raising=False)
    fresh = run.run_notebook(source, tmp_path / "fresh").read_text()
    hidden = re.compile(r"/run\w+|ipykernel_\d+/\d+|/tmp\w+\.json")  # temporary folder, process, connection
    assert hidden.sub("", forked) == hidden.sub("", fresh)
    outputs = [out for cell in nbformat.reads(forked, 4).cells for out in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs), "the figure vanished"


def test_two_forked_kernels_do_not_share_their_random_numbers(small_review, tmp_path):
    source = small_review(("import random, numpy as np\nprint(random.random(), np.random.random())",))
    runs = [run.run_notebook(source, tmp_path / name) for name in ("one", "other")]
    one, other = (nbformat.read(path, 4).cells[-1].outputs[0].text.split() for path in runs)
    assert one[0] != other[0] and one[1] != other[1]


@linux_only
def test_a_kernel_that_no_parent_answers_for_starts_as_ever(small_review, tmp_path, monkeypatch):
    monkeypatch.setenv(kernels.SOCKET, str(tmp_path / "gone" / "s"))
    executed = run.run_notebook(small_review(("print(DOSE)",)), tmp_path / "into")
    assert "2.0" in executed.read_text()


@pytest.mark.parametrize("change", ["nothing", "another folder", "the evidence"])
def test_evidence_of_the_parent_is_handed_out_once_while_it_is_the_same(tmp_path, change):
    for name in ("data", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text("x\n")
    load = kernel_parent.handed_out(lambda folder: "read", tmp_path / "data", fingerprint(tmp_path / "data"), "kept")
    if change == "the evidence":
        (tmp_path / "data" / "a.csv").write_text("y\n")
    folder = tmp_path / ("other" if change == "another folder" else "data")
    assert [load(folder), load(folder)] == ["kept" if change == "nothing" else "read", "read"]


def test_where_there_is_no_terminal_only_failures_are_told(done):
    stream = io.StringIO()
    tell = teller(stream=stream)
    tell(done(), 1, 2)
    tell(done(Failure("why", "")), 2, 2)
    assert stream.getvalue() == "2 of 2: one, 1.2 s failed: why\n"


def test_workers_below_nought_count_from_the_cores():
    there = cores(-1)
    assert (cores(3), cores(-there), cores(-there - 5)) == (3, 1, 1)
    assert there >= 1
