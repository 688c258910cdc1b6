"""Reading ``data/``: typed tables from good folders; one clear error, and nothing touched, from bad ones."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellclaims import units
from cellclaims.errors import DataError
from cellclaims.evidence import check, dictionary, read_schema, write_dictionary
from cellclaims.evidence import load as load_evidence
from cellclaims.evidence.dictionary import BEGIN, END
from cellclaims.evidence.read import TABLES

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = REPOSITORY / "data"
MADE_UP = Path(__file__).resolve().parent / "made_up"
BINARY = "published/binary.csv"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the made-up data folder with the real ``datapackage.json``."""
    target = tmp_path / "data"
    shutil.copytree(MADE_UP, target)
    for name in ("datapackage.json", "protocol.yml"):
        shutil.copy(DATA / name, target)
    return target


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refused(folder: Path) -> str:
    """The message of the error with which a folder is refused; the folder must stay as it was."""
    before = contents(folder)
    with pytest.raises(DataError) as error:
        load_evidence(folder)
    text, status = check.report(folder)
    assert status == 1
    assert "Traceback" not in text
    assert contents(folder) == before
    return str(error.value)


def replace(old: str, new: str) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        assert old.encode() in content
        return content.replace(old.encode(), new.encode(), 1)

    return edit


# What a good folder becomes ------------------------------------------------------------------------------------------


def test_load_gives_typed_tables_with_the_line_of_the_file(folder):
    evidence = load_evidence(folder)
    binary = evidence.binary
    assert binary.index.name == "line"
    assert list(binary.index) == list(range(2, 9))
    assert binary.loc[2, "events"] == 6.0
    assert binary.events.dtype == np.float64
    assert np.isnan(binary.loc[7, "events"])
    assert binary.loc[8, "percent_printed"] == ""
    assert binary.loc[3, "percent_printed"] == "40"
    text = [c for c in binary if not pd.api.types.is_numeric_dtype(binary[c])]
    assert not binary[text].isna().any().any()


def test_every_declared_type_is_kept_in_every_table():
    evidence, schema = load_evidence(DATA), read_schema(DATA)
    assert set(schema.tables) == set(TABLES)
    for name, table in schema.tables.items():
        frame = getattr(evidence, name)
        assert list(frame.columns) == table.names
        for column in table.columns:
            numeric = frame[column.name].dtype == np.float64
            assert numeric == column.numeric, f"{name}.{column.name}"
            assert column.numeric or not frame[column.name].isna().any()


def test_a_line_of_the_index_is_that_line_of_the_file():
    evidence, schema = load_evidence(DATA), read_schema(DATA)
    for name, table in schema.tables.items():
        frame = getattr(evidence, name)
        lines = (DATA / table.path).read_text().splitlines()
        assert len(frame) == len(lines) - 1
        first = table.names[0]
        for line in frame.index:
            assert lines[line - 1].lstrip('"').startswith(frame.loc[line, first])


def test_evidence_cannot_be_reassigned_and_knows_its_folder_and_fingerprint(folder):
    evidence = load_evidence(folder)
    with pytest.raises(AttributeError):
        evidence.binary = evidence.binary.head(1)
    assert evidence.folder == folder
    before = evidence.fingerprint
    path = folder / "published" / "studies.csv"
    path.write_bytes(replace("A made-up trial", "A renamed made-up trial")(path.read_bytes()))
    assert load_evidence(folder).fingerprint != before


def test_a_table_without_rows_is_read_as_such(folder):
    path = folder / "published" / "handling.csv"
    path.write_text(path.read_text().splitlines()[0] + "\n")
    handling = load_evidence(folder).handling
    assert len(handling) == 0
    assert handling.months.dtype == np.float64
    assert list(handling.columns) == read_schema(folder).tables["handling"].names


@pytest.mark.parametrize(
    "edit", [lambda b: b"\xef\xbb\xbf" + b, lambda b: b.replace(b"\n", b"\r\n"), lambda b: b.rstrip(b"\n")],
    ids=["byte order mark", "CRLF", "no last line end"],
)  # fmt: skip
def test_what_spreadsheets_write_is_read_alike_by_both_readers(folder, edit):
    plain = load_evidence(folder)
    for path in folder.rglob("*.csv"):
        path.write_bytes(edit(path.read_bytes()))
    for name in TABLES:
        pd.testing.assert_frame_equal(getattr(load_evidence(folder), name), getattr(plain, name))
    assert check.report(folder)[1] == 0


def test_committed_tables_have_plain_line_ends_and_no_byte_order_mark():
    for path in DATA.rglob("*.csv"):
        content = path.read_bytes()
        assert b"\r" not in content, path
        assert not content.startswith(b"\xef\xbb\xbf"), path
        assert content.endswith(b"\n"), path


#: Processor seconds that reading the real folder may take once pandas is imported. It takes 0.15 on a quiet machine.
LOAD_LIMIT = 0.6


def test_load_is_quick_and_leaves_frictionless_alone():
    code = (
        "import sys, time, pandas\n"
        "from cellclaims import evidence\n"
        "evidence.load(sys.argv[1])\n"  # the first call pays for lazy imports inside pandas
        "times = []\n"
        "for _ in range(5):\n"
        "    start = time.process_time(); evidence.load(sys.argv[1]); times.append(time.process_time() - start)\n"
        "print(min(times), 'frictionless' in sys.modules, 'scipy.stats' in sys.modules)\n"
    )
    out = subprocess.run([sys.executable, "-c", code, str(DATA)], capture_output=True, text=True, check=True).stdout
    seconds, *imported = out.split()
    assert float(seconds) < LOAD_LIMIT
    assert imported == ["False", "False"]


# What is refused -----------------------------------------------------------------------------------------------------

ROW = "at_month,12,first_infusion,6,18,33.3,33.3"
#: what is wrong -> (file, how it becomes wrong, what the message must say).
BAD: dict[str, tuple[str, Callable[[bytes], bytes], list[str]]] = {
    "missing column": (
        BINARY,
        lambda b: b"\n".join(b",".join(line.split(b",")[:-1]) for line in b.splitlines()) + b"\n",
        ["published/binary.csv, row 1, column read_twice: expected this column, found no such column"],
    ),
    "extra column": (
        BINARY,
        lambda b: b"\n".join(line + (b",extra" if not i else b",") for i, line in enumerate(b.splitlines())),
        ["published/binary.csv, row 1, column extra: expected only declared columns", "found column 'extra'"],
    ),
    "renamed column": (BINARY, replace(",events,", ",hits,"), ["row 1, column events: expected this column"]),
    "columns in another order": (BINARY, replace("events,n,", "n,events,"), ["row 1: expected the order study_id"]),
    "column twice": (BINARY, replace(",percent_printed,", ",percent,"), ["column percent_printed: expected this"]),
    "wrong type": (
        BINARY,
        replace(ROW, "at_month,a year,first_infusion,6,18,33.3,33.3"),
        [f"{BINARY}, row 2, column months: expected a plain number, found 'a year'"],
    ),
    "a percent in a count column": (
        BINARY,
        replace(ROW, "at_month,12,first_infusion,33.3%,18,33.3,33.3"),
        [f"{BINARY}, row 2, column events: expected a whole number, found '33.3%'"],
    ),
    "a percentage as a count": (
        BINARY,
        replace(ROW, "at_month,12,first_infusion,33,18,33.3,33.3"),
        [f"{BINARY}, row 2, column events: expected at most n = 18, found 33"],
    ),
    "not a number": (BINARY, replace(ROW, "at_month,nan,first_infusion,6,18,33.3,33.3"), ["found 'nan'"]),
    "infinity": (BINARY, replace(ROW, "at_month,inf,first_infusion,6,18,33.3,33.3"), ["found 'inf'"]),
    "decimal comma": (BINARY, replace(",33.3,33.3,", ',"33,3",33.3,'), ["column percent", "found '33,3'"]),
    "a value that is not allowed": (
        BINARY,
        replace(ROW, "sometimes,12,first_infusion,6,18,33.3,33.3"),
        ["row 2, column timing: expected one of at_month, ever, last_follow_up, not_stated, found 'sometimes'"],
    ),
    "a value out of bounds": (BINARY, replace(",33.3,33.3,", ",133.3,33.3,"), ["at most 100, found '133.3'"]),
    "below zero": (BINARY, replace(",6,18,", ",-6,18,"), ["column events: expected at least 0, found '-6'"]),
    "a required cell empty": (BINARY, replace("alpha_abs,abstract", "alpha_abs,"), ["column locator", "found nothing"]),
    "space around a value": (BINARY, replace("at_month,12", "at_month ,12"), ["column timing", "no spaces around"]),
    "hidden character": (BINARY, replace("made up", "made​up"), ["column definition", "hidden characters"]),
    "not a date": (
        "published/sources.csv",
        replace("2026-01-01", "1/1/2026"),
        ["published/sources.csv, row 2, column accessed: expected a date as 2026-11-20, found '1/1/2026'"],
    ),
    "no such day": ("published/sources.csv", replace("2026-01-01", "2026-02-30"), ["found '2026-02-30'"]),
    "unknown study": (
        BINARY,
        replace("\nalpha2020,cells,", "\nalpha2002,cells,"),
        [f"{BINARY}, row 2, column study_id, arm_id", "a row of published/arms.csv", "found alpha2002, cells"],
    ),
    "unknown arm": (BINARY, replace("\nalpha2020,cells,", "\nalpha2020,sells,"), ["found alpha2020, sells"]),
    "unknown source": (BINARY, replace("alpha_abs", "alpha_full"), ["column source_id", "found alpha_full"]),
    "study of no report": (
        "published/arms.csv",
        replace("beta2021,all", "beta2012,all"),
        ["published/arms.csv, row 5, column study_id: expected a row of published/studies.csv"],
    ),
    "negative SD": (
        "published/continuous.csv",
        replace("mean,8.50,sd,1.0", "mean,8.50,sd,-1.0"),
        ["published/continuous.csv, row 2, column dispersion_low: expected an SD above 0, found -1"],
    ),
    "broken UTF-8": (
        BINARY,
        lambda b: b.replace(b"made up", b"made \xff up", 1),
        [f"{BINARY}, row 2: expected UTF-8 text, found byte 0xff"],
    ),
    "another encoding": (BINARY, lambda b: b.decode().encode("utf-16"), ["expected UTF-8 text, found byte 0xff"]),
    "an empty file": (
        BINARY,
        lambda b: b"",
        [f"{BINARY}: expected a header and rows of 17 columns, found an empty file"],
    ),
    "a file of zeros": (BINARY, lambda b: b"\0" * 100, [BINARY]),
    "semicolons": (BINARY, lambda b: b.replace(b",", b";"), ["row 1: expected cells separated by commas, found semi"]),
    "a blank row": (
        BINARY,
        replace("\nalpha2020", "\n\nalpha2020"),
        [f"{BINARY}, row 2: expected 17 cells, found a blank row"],
    ),
    "a short row": (BINARY, replace(",33.3,33.3,", ",33.3,"), [f"{BINARY}, row 2: expected 17 cells, found 16 cells"]),
    "a comma without quotes": (BINARY, replace("made up", "made, up"), ["row 2: expected 17 cells, found 18 cells"]),
    "a quote that never ends": (BINARY, replace("made up", '"made up'), [f"{BINARY}: expected comma-separated values"]),
    "a line break in a cell": (
        BINARY,
        replace("made up", '"made\nup"'),
        ["row 2, column definition: expected one line"],
    ),
    "duplicate key": (
        "published/studies.csv",
        lambda b: b + b.splitlines()[1] + b"\n",
        ["published/studies.csv, row 5, column study_id: expected a key that no other row has", "as in row 2"],
    ),
    "duplicate arm": (
        "published/arms.csv",
        lambda b: b + b.splitlines()[1] + b"\n",
        ["published/arms.csv, row 8, column study_id, arm_id", "found alpha2020, cells, as in row 2"],
    ),
    "identifier of another form": (
        "published/studies.csv",
        replace("10.9999/alpha", "doi:10.9999/alpha"),
        ["column doi: expected the form"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_bad_input_gets_one_clear_error_and_changes_nothing(what, folder):
    file, edit, words = BAD[what]
    path = folder / file
    path.write_bytes(edit(path.read_bytes()))
    message = refused(folder)
    assert len(message.splitlines()) == 1
    assert message.startswith(file)
    for part in words:
        assert part in message


@pytest.mark.parametrize("name", TABLES)
def test_a_missing_file_is_named(name, folder):
    path = folder / read_schema(folder).tables[name].path
    path.unlink()
    message = refused(folder)
    assert message.startswith(f"{path.relative_to(folder)}: expected a file that can be read")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"nowhere: expected a data folder, found no such folder"):
        load_evidence(tmp_path / "nowhere")


def test_several_faults_are_counted_and_the_first_is_told_in_full(folder):
    path = folder / BINARY
    path.write_bytes(path.read_bytes().replace(b"alpha_abs,abstract", b"alpha_abs,"))
    message = refused(folder)
    assert message.startswith(f"{BINARY}, row 2, column locator: expected a value, found nothing (required)")
    assert message.endswith("; and 3 more faults: `cellclaims check` lists all")


def edited(change: Callable[[dict], object]) -> Callable[[bytes], bytes]:
    def edit(content: bytes) -> bytes:
        package = json.loads(content)
        change(package)
        return json.dumps(package).encode()

    return edit


#: how datapackage.json is broken -> what the message must say.
BROKEN: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut off": (lambda b: b[: len(b) // 2], "expected JSON that declares the tables"),
    "empty": (lambda b: b"", "expected JSON that declares the tables"),
    "not UTF-8": (lambda b: b.replace(b"C-peptide", b"C\xffpeptide", 1), "byte 0xff"),
    "a list": (lambda b: b"[]", "expected a Tabular Data Package"),
    "no tables": (edited(lambda p: p.pop("resources")), "no usable 'resources'"),
    "a table left out": (edited(lambda p: p["resources"].pop()), "none named wanted"),
    "no schema": (edited(lambda p: p["resources"][0].pop("schema")), "no usable 'schema'"),
    "unknown type": (
        edited(lambda p: p["resources"][0]["schema"]["fields"][0].update(type="text")),
        "documents.document_id: expected a type of ('string', 'integer', 'number', 'date'), found 'text'",
    ),
    "broken pattern": (
        edited(lambda p: p["resources"][0]["schema"]["fields"][0]["constraints"].update(pattern="[a-")),
        "documents.document_id: expected a pattern",
    ),
    "key to nowhere": (
        edited(lambda p: p["resources"][1]["schema"]["foreignKeys"][0]["reference"].update(resource="papers")),
        "a key of claims: expected declared columns, found papers",
    ),
    "key of no column": (
        edited(lambda p: p["resources"][0]["schema"].update(primaryKey="number")),
        "a key of documents: expected declared columns, found documents: ['number']",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_broken_declarations_are_refused_by_name(how, folder):
    edit, words = BROKEN[how]
    path = folder / "datapackage.json"
    path.write_bytes(edit(path.read_bytes()))
    message = refused(folder)
    assert message.startswith("datapackage.json: ")
    assert len(message.splitlines()) == 1
    assert words in message


CELLS = st.one_of(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12),
    st.sampled_from(
        ["-1", "1e9", "NaN", "33%", "a01", "alpha2020", "at_month", " ", "=1+1", "01", "0x1", "1_000", "٣"]
    ),
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(TABLES)), cell=CELLS, data=st.data())
def test_whatever_stands_in_a_cell_is_read_or_refused_by_name(tmp_path, name, cell, data):
    """Any text in any cell: the tables, or a DataError of one line; never another error."""
    folder = tmp_path / "data"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(MADE_UP, folder)
    shutil.copy(DATA / "datapackage.json", folder)
    table = read_schema(folder).tables[name]
    rows = pd.read_csv(folder / table.path, dtype=str, keep_default_na=False)
    column = data.draw(st.sampled_from(table.names))
    rows.loc[data.draw(st.sampled_from(list(rows.index))), column] = cell
    rows.to_csv(folder / table.path, index=False)
    try:
        evidence = load_evidence(folder)
    except DataError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert len(getattr(evidence, name)) == len(rows)


# What the declarations hold ------------------------------------------------------------------------------------------


def test_every_table_and_column_says_what_it_means():
    for table in read_schema(DATA).tables.values():
        assert len(table.description) > 40, table.name
        for column in table.columns:
            assert column.title, f"{table.name}.{column.name}"
            assert len(column.description) >= 10, f"{table.name}.{column.name}"


def test_every_measured_column_has_a_unit_or_a_unit_column():
    """A number without a unit is an identifier's year, a share of 1, or stands beside a unit column."""
    bare = {"year", "as_of", "p_value", "estimate", "se", "ci_low", "ci_high", "n", "value", "center"}
    for table in read_schema(DATA).tables.values():
        for column in table.columns:
            if column.numeric and not column.unit and "dispersion" not in column.name:
                assert column.name in bare, f"{table.name}.{column.name}"
                assert column.name in ("year", "as_of", "p_value", "n") or {"unit", "measure"} & set(table.names)


#: Text that repeats although it is no category: places in a source, names that a key or a rule checks, who judged and
#: what was read, a list whose words the pattern allows.
FREE_TEXT = set(
    "locator part_of arm_id variant outcome column claim_ids reviewer text_read pooled_from second_note".split()
)


def test_what_looks_like_a_category_has_its_allowed_values():
    """A text column with few distinct values and no list of them would let a misspelling through."""
    evidence, schema = load_evidence(DATA), read_schema(DATA)
    for name, table in schema.tables.items():
        linked = {column for key in table.foreign_keys for column in key.columns}
        for column in table.columns:
            values = getattr(evidence, name)[column.name]
            free = column.name in FREE_TEXT | linked or column.name.endswith("_printed")
            if column.type == "string" and not (column.enum or free) and len(values) >= 30:
                assert values.nunique() > 0.1 * len(values), f"{name}.{column.name}: {sorted(set(values))}"


def test_the_allowed_units_are_those_of_the_units_module():
    schema = read_schema(DATA)
    for name in ("continuous", "contrasts"):
        (unit,) = (column for column in schema.tables[name].columns if column.name == "unit")
        assert set(unit.enum) == set(units.SPELLINGS)


def test_the_dictionary_in_the_readme_is_fresh():
    text = (DATA / "README.md").read_text()
    made = text.partition(BEGIN)[2].partition(END)[0].strip()
    assert made == dictionary(DATA), "run: python -c 'from cellclaims import evidence; evidence.write_dictionary()'"


def test_the_dictionary_names_every_table_and_column():
    text = dictionary(DATA)
    for table in read_schema(DATA).tables.values():
        section = text.partition(f"`{table.path}`\n")[2].partition("\n### ")[0]
        for column in table.columns:
            assert f"| `{column.name}` | {column.type} |" in section


def test_writing_the_dictionary_keeps_the_words_around_it(folder):
    readme = folder / "README.md"
    readme.write_text(f"before\n{BEGIN}\nan outdated line\n{END}\nafter\n")
    write_dictionary(folder)
    text = readme.read_text()
    assert text.startswith(f"before\n{BEGIN}\n\n### Advertisements")
    assert text.endswith(f"{END}\nafter\n")
    assert "outdated" not in text
    readme.write_text("no marks")
    with pytest.raises(DataError, match=r"README.md: expected the marks"):
        write_dictionary(folder)
    assert readme.read_text() == "no marks"
