"""Text for other programs: no CSV that is written holds a formula, no Markdown holds HTML."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import pytest

from cellclaims import files
from cellclaims.harvest.held import sheet_bytes
from cellclaims.harvest.stream import CsvRows
from cellclaims.reporting.registries import COLUMNS, lines_csv
from cellclaims.runner.page import as_csv

ROOT = Path(__file__).resolve().parent.parent
FORMULAS = ["=1+1", "+cmd", "-2+3", "@SUM(A1)", "\t=1+1", "\r=1+1", " =1+1", "＝1+1"]


def of_harvest(cell):
    file = io.BytesIO()
    writer = CsvRows(file, ["name"])
    writer.write({"name": cell})
    writer.close()
    return file.getvalue().decode()


#: Every way by which the package writes CSV: a function of one cell.
WRITERS = {
    "ledger and tables": lambda cell: files.csv_text([("name",), (cell,)]),
    "numbers of reports and batches": lambda cell: as_csv(iter([{"name": cell}])),
    "changes of registries": lambda cell: lines_csv([dict.fromkeys(COLUMNS, cell)]),
    "proposals": lambda cell: sheet_bytes(["name"], [{"name": cell}]).decode("utf-8-sig"),
    "harvest": of_harvest,
}


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("cell", FORMULAS, ids=repr)
def test_no_csv_that_is_written_holds_a_formula(writer, cell):
    (read,) = {row[0] for row in list(csv.reader(io.StringIO(WRITERS[writer](cell), newline="")))[1:]}
    assert read.startswith("'")
    assert files.unguard(read) == cell


@pytest.mark.parametrize("writer", WRITERS)
def test_a_number_stays_a_number(writer):
    assert "-0.67" in re.split(r'[,"\r\n]+', WRITERS[writer]("-0.67"))


def test_every_csv_is_written_by_one_function():
    """A second writer would have no guard."""
    writing = re.compile(r"csv\.writer|csv\.DictWriter|\.to_csv\(")
    found = [p for top in ("src", "site", "benchmarks") for p in sorted((ROOT / top).rglob("*.py"))
             if writing.search(p.read_text(encoding="utf-8"))]  # fmt: skip
    assert [path.relative_to(ROOT / "src" / "cellclaims").as_posix() for path in found] == ["files.py"]


def test_markdown_shows_html_as_text_and_keeps_its_cells():
    text = files.markdown_table([("claim", "k"), ("<img src=x onerror=alert(1)> & a | b\nc", None)])
    assert "<img" not in text
    head, rule, row = text.splitlines()
    assert row == r"| &lt;img src=x onerror=alert(1)&gt; &amp; a \| b c | None |"
    assert len(re.findall(r"(?<!\\)\|", row)) == len(re.findall(r"\|", head)) == len(re.findall(r"\|", rule))


def test_no_row_of_a_markdown_table_from_the_evidence_is_put_together_elsewhere():
    """The ledger and the answer in README.md hold words of advertisements; the other tables hold declarations."""
    found = [p for p in sorted((ROOT / "src").rglob("*.py")) if re.search(r'"\| ', p.read_text(encoding="utf-8"))]
    assert {path.name for path in found} == {"dictionary.py", "protocol.py"}
