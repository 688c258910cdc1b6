"""Files of any shape and size give the same rows, here, in processes and on a cluster; tables are whole or absent."""

from __future__ import annotations

import csv
import errno
import fcntl
import gzip
import io
import json
import sys
import tracemalloc
from functools import partial
from importlib import import_module

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from cellclaims import cli
from cellclaims.errors import HarvestError
from cellclaims.files import written_aside
from cellclaims.harvest import posted, stream
from cellclaims.harvest.stream import refused_beside, write
from cellclaims.registries.folder import TOO_LARGE, bodies

from .harvest_records import FORMATS, NEEDS_PYARROW, OUTCOMES, counted, measured, outcome, recorded, study


def some_studies(count=12):
    """Made-up studies, all different."""
    made = []
    for number in range(count):
        one = study(
            outcome(classes=[measured(f"{5 + number % 10}.{number % 7}", spread="0.9")]),
            counted("HbA1c <7%, Week 52", "3"),
        )
        one["protocolSection"]["identificationModule"]["nctId"] = f"NCT{number:08d}"
        made.append(one)
    return made


STUDIES = some_studies()
EXPECTED = [row for one in STUDIES for row in posted(one).rows]


STREAM = import_module("cellclaims.harvest.stream")  # the public name of the package is the function
FOLDER = import_module("cellclaims.registries.folder")


def lines(studies):
    return "".join(json.dumps(one) + "\n" for one in studies).encode()


SHAPES = {
    "lines": lines(STUDIES),
    "lines with blank ones and a mark": b"\xef\xbb\xbf" + lines(STUDIES).replace(b"\n", b"\r\n\r\n"),
    "array": json.dumps(STUDIES).encode(),
    "array on many lines": json.dumps(STUDIES, indent=1).encode(),
    "page": json.dumps({"totalCount": 12, "studies": STUDIES, "nextPageToken": "a{b"}).encode(),
    "pages, one a line": lines([{"studies": STUDIES[:5]}, {"studies": STUDIES[5:]}]),
    "gzip": gzip.compress(lines(STUDIES)),
    "gzip in parts": gzip.compress(lines(STUDIES[:4])) + gzip.compress(lines(STUDIES[4:])),
}


def harvested(*paths, **how):
    """Rows and refusals of all portions."""
    portions = list(stream(paths, **how))
    return [row for one in portions for row in one.rows], [refusal for one in portions for refusal in one.refused]


@pytest.fixture
def tiny(monkeypatch):
    """So small limits that made-up files count as large ones."""
    monkeypatch.setattr(FOLDER, "CHUNK", 512)
    monkeypatch.setattr(FOLDER, "WHOLE", 1024)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("limits", ["real", "tiny"])
def test_every_shape_gives_the_same_rows(tmp_path, request, shape, limits):
    if limits == "tiny":
        request.getfixturevalue("tiny")
    path = tmp_path / "studies.json"
    path.write_bytes(SHAPES[shape])
    assert harvested(path) == (EXPECTED, [])


def test_a_folder_is_read_in_the_order_of_its_names(tmp_path):
    for number, one in enumerate(STUDIES):
        place = tmp_path / ("deeper" if number % 2 else "")
        place.mkdir(exist_ok=True)
        (place / f"{number:02d}.json").write_text(json.dumps(one, indent=2))
    (tmp_path / ".hidden.json").write_text("no JSON")
    (tmp_path / "notes.txt").write_text("no record")
    rows, refused = harvested(tmp_path)
    assert refused == [] and sorted(map(str, rows)) == sorted(map(str, EXPECTED))


TEXT = st.text(st.characters(codec="utf-8"), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-99, 99) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=80)
@given(
    st.lists(st.dictionaries(TEXT, JSON, max_size=4), min_size=1, max_size=6),
    st.integers(16, 64),
    st.booleans(),
    st.integers(0, 3),
)
def test_a_large_file_is_split_into_its_values(values, chunk, page, indent):
    whole = {"token": ']}{[\\"', "studies": values, "rest": {"studies": [1]}} if page else values
    content = json.dumps(whole, ensure_ascii=False, indent=indent or None).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FOLDER, "CHUNK", chunk)
        patch.setattr(FOLDER, "WHOLE", 0)
        found = list(bodies(io.BufferedReader(io.BytesIO(content)), "values"))
    assert [json.loads(body.content) for body in found if not body.fault] == values


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"<html>503</html>", "expected JSON"),
        (b"{}", "found no protocolSection"),
        (b"[1]", "expected a study, found the number 1"),
        (b'{"protocolSection": NaN}', "NaN is no JSON"),
        (b'{"protocolSection": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        (b'{"protocolSection": ' + b"9" * 5000 + b"}", "expected JSON: Exceeds the limit"),
        (b'{"protocolSection": "\xff"}', "expected JSON"),
        (gzip.compress(lines(STUDIES))[:-40], "cannot be read to its end"),
        (gzip.compress(lines(STUDIES))[:60] + b"no gzip any more" * 9, "cannot be read to its end"),
    ],
)
def test_what_is_no_record_is_refused_with_its_place(tmp_path, content, reason):
    path = tmp_path / "studies.json"
    path.write_bytes(content)
    *_, last = harvested(path)[1]
    assert str(path) in last.title and reason in last.reason


def test_one_bad_line_costs_that_line_alone(tmp_path):
    path = tmp_path / "studies.jsonl"
    path.write_bytes(lines(STUDIES[:3]) + b'{"protocolSection": {\n' + lines(STUDIES[3:]))
    rows, refused = harvested(path)
    assert rows == EXPECTED
    assert [(one.title, one.registration) for one in refused] == [(f"{path}, line 4", "")]


def test_a_large_file_that_breaks_off_keeps_what_came_before(tmp_path, tiny):
    path = tmp_path / "studies.json"
    path.write_bytes(SHAPES["array"][:-200])
    rows, refused = harvested(path)
    assert rows == EXPECTED[: len(rows)] and len(rows) == len(EXPECTED) - 2 * len(posted(STUDIES[0]).rows) // 2
    assert refused[-1].reason == "the file ends inside a record"


@pytest.mark.parametrize("shape", ["lines", "array"])
def test_a_record_that_is_too_large_is_refused_and_the_next_one_read(tmp_path, tiny, monkeypatch, shape):
    monkeypatch.setattr(FOLDER, "LARGEST", 4000)
    big = study(*[outcome("Weight")] * 12)
    path = tmp_path / "studies.json"
    made = [STUDIES[0], big, STUDIES[1]]
    path.write_bytes(lines(made) if shape == "lines" else json.dumps(made).encode())
    rows, refused = harvested(path)
    assert [row.registration for row in rows] == [row.registration for one in STUDIES[:2] for row in posted(one).rows]
    assert [one.reason for one in refused] == [TOO_LARGE]


@pytest.mark.parametrize("paths", [["missing.json"], ["."]])
def test_a_path_without_records_is_an_error(tmp_path, monkeypatch, paths):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HarvestError, match=r"expected a file or folder, found nothing at missing.json|found none"):
        harvested(*paths)


def test_memory_grows_by_no_more_than_a_checksum_a_study(tmp_path, monkeypatch):
    peaks = []
    monkeypatch.setattr(STREAM, "PIECE_BYTES", 50_000)
    monkeypatch.setattr(FOLDER, "CHUNK", 10_000)
    monkeypatch.setattr(FOLDER, "WHOLE", 10_000)
    for times in (2, 8):
        path = tmp_path / f"{times}.jsonl"
        path.write_bytes(lines(some_studies(100 * times)))
        tracemalloc.start()
        assert sum(one.records for one in stream([path])) == 100 * times
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] - peaks[0] < 600 * 400  # a study of these takes 2,000 bytes as a line, and more when it is parsed


@pytest.mark.parametrize(
    ("value", "told"),
    [("5.0", "with the same results"), ("9.9", "with other results: compare the two records")],
)
def test_a_study_that_comes_again_is_told_and_gives_its_rows_once(tmp_path, value, told):
    again = json.loads(json.dumps(STUDIES[0]))
    posted_values = again["resultsSection"]["outcomeMeasuresModule"]["outcomeMeasures"][0]["classes"][0]
    posted_values["categories"][0]["measurements"][0]["value"] = value
    path = tmp_path / "studies.jsonl"
    path.write_bytes(lines([*STUDIES[:2], again]))
    rows, refused = harvested(path)
    assert rows == [row for one in STUDIES[:2] for row in posted(one).rows]
    assert [(one.registration, one.title, one.reason) for one in refused] == [
        (
            "NCT00000000",
            f"{path}, line 3",
            f"the study came before in this harvest, {told}; its rows are those of the first",
        )
    ]
    assert harvested(path, workers=2) == (rows, refused)


def test_studies_without_results_may_come_again(tmp_path):
    path = tmp_path / "studies.jsonl"
    path.write_bytes(lines([{"protocolSection": {"identificationModule": {"nctId": "NCT00000001"}}}] * 3))
    assert harvested(path) == ([], [])


def test_processes_give_the_same_portions(tmp_path, monkeypatch):
    path = tmp_path / "studies.jsonl"
    path.write_bytes(lines(some_studies(600)))
    assert list(stream([path], workers=2)) == list(stream([path]))


def test_work_can_be_spread_elsewhere_a_window_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(STREAM, "PIECE_VALUES", 1)
    monkeypatch.setattr(STREAM, "WINDOW", 5)
    path = tmp_path / "studies.jsonl"
    path.write_bytes(lines(STUDIES))
    windows = []

    def elsewhere(work, pieces):
        windows.append(len(pieces))
        return [work(piece) for piece in pieces]

    assert harvested(path, spread=elsewhere) == (EXPECTED, [])
    assert windows == [5, 5, 2]


# Tables.


def read(path):
    """Rows of a table as dictionaries of text."""
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    from pyarrow import parquet

    return parquet.read_table(path).to_pylist()


@pytest.fixture
def recorded_lines(shared, tmp_path):
    path = tmp_path / "recorded.jsonl"
    path.write_bytes(lines(recorded(shared).values()))
    return path


@NEEDS_PYARROW
def test_both_formats_hold_the_same_rows_and_refusals(tmp_path, recorded_lines, monkeypatch):
    monkeypatch.setattr(STREAM, "GROUP", 100)
    made = {}
    for kind in ("csv", "parquet"):
        into = tmp_path / "made" / f"posted.{kind}"
        for _ in write(stream([recorded_lines]), into):
            pass
        made[kind] = read(into), read(refused_beside(into))
    rows, refused = made["parquet"]
    assert (len(rows), len(refused)) == tuple(map(len, harvested(recorded_lines)))
    assert made["csv"] == made["parquet"] and len(rows) > 300
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == [
        "posted.csv",
        "posted.parquet",
        "posted.refused.csv",
        "posted.refused.parquet",
    ]


@NEEDS_PYARROW
def test_parquet_is_written_in_row_groups(tmp_path, recorded_lines, monkeypatch):
    from pyarrow import parquet

    monkeypatch.setattr(STREAM, "GROUP", 100)
    list(write(stream([recorded_lines]), tmp_path / "posted.parquet"))
    file = parquet.ParquetFile(tmp_path / "posted.parquet")
    assert file.metadata.num_row_groups == -(-file.metadata.num_rows // 100) > 2


@pytest.mark.parametrize("kind", FORMATS)
def test_a_harvest_that_fails_leaves_the_old_tables(tmp_path, kind):
    into = tmp_path / f"posted.{kind}"
    for path in (into, refused_beside(into)):
        path.write_text("old")

    def breaks():
        yield from stream([tmp_path / "studies.jsonl"])
        raise KeyboardInterrupt

    (tmp_path / "studies.jsonl").write_bytes(lines(STUDIES))
    with pytest.raises(KeyboardInterrupt):
        list(write(breaks(), into))
    assert into.read_text() == refused_beside(into).read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_part_that_a_killed_run_left_is_cleared_and_that_of_a_running_one_is_not(tmp_path):
    (tmp_path / "studies.jsonl").write_bytes(lines(STUDIES))
    into = tmp_path / "posted.csv"
    left = [tmp_path / f".{name}.0123456789ab.part" for name in (into.name, refused_beside(into).name)]
    other = tmp_path / ".other.csv.0123456789ab.part"
    for path in (*left, other):
        path.write_text("half a tab")
    with written_aside(into) as running:
        running.write(b"as long as this runs")
        list(write(stream([tmp_path / "studies.jsonl"]), into))
        assert not any(path.exists() for path in left) and other.exists()
    assert into.read_bytes() == b"as long as this runs"
    assert sorted(path.name for path in tmp_path.glob(".*")) == [other.name]


def test_nothing_is_cleared_where_nobody_can_tell_what_is_running(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    left = tmp_path / ".posted.csv.0123456789ab.part"
    left.touch()
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with written_aside(tmp_path / "posted.csv") as file:
        file.write(b"whole")
    assert left.exists() and (tmp_path / "posted.csv").read_bytes() == b"whole"


@pytest.mark.parametrize("name", ["posted.parquet"])
def test_without_pyarrow_a_parquet_table_is_refused_and_says_what_to_do(tmp_path, monkeypatch, name):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "studies.jsonl").write_bytes(lines(STUDIES))
    with pytest.raises(HarvestError, match=r"--into: expected the package pyarrow .*'cellclaims.parquet.'"):
        list(write(stream([tmp_path / "studies.jsonl"]), tmp_path / name))
    assert [path.name for path in tmp_path.iterdir()] == ["studies.jsonl"]


NASTY = "=cmd|' /C calc'!A0 \u202eevil\x00 <script>\ud800"


@pytest.mark.parametrize("kind", FORMATS)
def test_text_from_outside_is_harmless_in_a_table(tmp_path, kind):
    one = study(
        outcome(groups=[{"id": "OG000", "title": NASTY}, {"id": "OG001", "title": "Placebo"}]),
        outcome(NASTY + "HbA1c", []),
    )
    path = tmp_path / "studies.json"
    path.write_text(json.dumps(one))
    into = tmp_path / f"posted.{kind}"
    list(write(stream([path]), into))
    shown = r"=cmd|' /C calc'!A0 \u202eevil\u0000 <script>\ud800"
    quote = "'" if kind == "csv" else ""
    assert read(into)[0]["arm_title"] == quote + shown
    assert read(refused_beside(into))[0]["title"] == f"{quote}{shown}HbA1c"


def test_a_number_below_zero_is_no_formula(tmp_path):
    path = tmp_path / "studies.json"
    path.write_text(json.dumps(study(outcome("Change in HbA1c, Week 52", [measured("-0.8")]))))
    list(write(stream([path]), tmp_path / "posted.csv"))
    assert read(tmp_path / "posted.csv")[0]["center"] == "-0.8"


# The command.


def run(*arguments, **more):
    return CliRunner().invoke(cli.main, ["harvest", *map(str, arguments)], **more)


def test_the_command_says_rows_and_refusals_as_lines_of_json(tmp_path):
    path = tmp_path / "study.json"
    path.write_text(json.dumps(study(outcome(classes=[measured("7.1", "NA", spread="0.9")]))))
    done = run(path)
    assert done.exit_code == 0
    row, refused = map(json.loads, done.stdout.splitlines())
    assert (row["row"]["center"], row["row"]["n"], "percent" in row["row"]) == ("7.1", "20", False)
    assert refused["refused"]["pointer"] == f"{OUTCOMES}/0/classes/0/categories/0/measurements/1"
    assert done.stderr.startswith("1 records: 1 rows, 1 refusals, 0 of them for what is no record\n")


def test_the_command_reads_standard_input_and_writes_tables(tmp_path):
    done = run("-", "--into", tmp_path / "posted.csv", input=lines(STUDIES))
    assert (done.exit_code, done.stdout) == (0, "")
    assert len(read(tmp_path / "posted.csv")) == len(EXPECTED)
    assert str(tmp_path / "posted.refused.csv") in done.stderr


def test_the_command_ends_with_one_where_a_record_could_not_be_read(tmp_path):
    (tmp_path / "study.json").write_text("<html>")
    assert run(tmp_path).exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json"], "records: expected a file or folder, found nothing at nowhere.json"),
        (["-", "--into", "posted.xlsx"], "--into: expected a name ending in .csv or .parquet, found 'posted.xlsx'"),
        (["-", "--scheduler", "nowhere"], "scheduler: expected an address such as"),
    ],
)
def test_the_command_refuses_what_it_cannot_do(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, input=lines(STUDIES))
    assert done.exit_code == 2 and message in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.cluster
def test_a_cluster_gives_the_portions_of_this_machine(tmp_path, monkeypatch):
    from cellclaims.meta.cluster import on_cluster

    from .test_meta_cluster import two_workers

    monkeypatch.setattr(STREAM, "PIECE_VALUES", 3)
    monkeypatch.setattr(STREAM, "WINDOW", 4)
    path = tmp_path / "studies.jsonl"
    path.write_bytes(lines(some_studies(30)))
    with two_workers(tmp_path) as dask:
        assert list(stream([path], spread=partial(on_cluster, address=dask.address))) == list(stream([path]))
