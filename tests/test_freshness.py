"""The committed notebooks and figures are what the code makes of the data today.

Each notebook is run once, by papermill itself as anybody would run it; what it leaves is compared with what is
committed. Text must be equal. Drawings are compared by what they draw, so that the last digit of another
processor's arithmetic does not count as a change.
"""

from __future__ import annotations

import math
import re
import struct
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from cellclaims.runner import kernels
from cellclaims.runner.kernels import Limits
from cellclaims.runner.run import ONE_THREAD, as_text, read, run_notebook, without_run_traces

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
EACH = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)

#: Points of a drawing (1/72 inch): less than anybody sees, more than rounding moves a line.
TOLERANCE = 0.01
NUMBER = re.compile(r"-?\d+\.\d+")
PLACES = ("DATA", "FIGURES", "REPORTS")


def stripped(path, folder):
    """A notebook that papermill executed, without what its own run left in it."""
    return without_run_traces(read(folder / path.name), read(path), PLACES)


def texts(book):
    """What the outputs of a notebook say, as (cell, mimetype, text); drawings and pixels apart."""
    for number, cell in enumerate(book.cells):
        for output in cell.get("outputs", []):
            said = output.get("data") or {output.get("name"): output.get("text")}
            yield from ((number, kind, text) for kind, text in said.items() if not kind.startswith("image/"))


def svgs(book):
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    return [output.data["image/svg+xml"] for output in outputs if "image/svg+xml" in output.get("data", {})]


def difference(one, other):
    """Where two drawings differ in what they draw, or None: tags, texts and words equal, numbers close.

    Identifiers that matplotlib makes of coordinates are compared by the order in which they appear.
    """
    left, right = (list(ET.fromstring(text).iter()) for text in (one, other))
    if [element.tag for element in left] != [element.tag for element in right]:
        return f"{len(left)} elements, {len(right)} elements"
    names = {}, {}
    for first, second in zip(left, right, strict=True):
        if set(first.attrib) != set(second.attrib):
            return f"{first.tag}: {sorted(first.attrib)}, {sorted(second.attrib)}"
        pairs = [(first.text, second.text), *((value, second.get(name)) for name, value in first.attrib.items())]
        for a, b in pairs:
            a, b = (numbered(text or "", known) for text, known in zip((a, b), names, strict=True))
            if not alike(a, b):
                return f"{first.tag}: {a!r}, {b!r}"
    return None


def numbered(text, known):
    """Text with each generated identifier replaced by its number of appearance."""
    return re.sub(r"[a-z]?[0-9a-f]{10,}", lambda found: f"id-{known.setdefault(found[0], len(known))}-", text)


def alike(one, other):
    """Whether two texts are equal but for numbers that are close."""
    pairs = zip(map(float, NUMBER.findall(one)), map(float, NUMBER.findall(other)), strict=False)
    same_words = NUMBER.sub("#", one) == NUMBER.sub("#", other)
    return same_words and all(math.isclose(a, b, rel_tol=0, abs_tol=TOLERANCE) for a, b in pairs)


def pixels(path):
    """Width and height of a PNG, from its header."""
    return struct.unpack(">II", path.read_bytes()[16:24])


@EACH
def test_a_notebook_runs_under_papermill_itself_to_the_same_sources(path, fresh):
    made, committed = stripped(path, fresh), read(path)
    assert [cell.source for cell in made.cells] == [cell.source for cell in committed.cells]
    assert [cell.id for cell in made.cells] == [cell.id for cell in committed.cells]


@EACH
def test_committed_text_outputs_are_fresh(path, fresh):
    made, committed = (list(texts(book)) for book in (stripped(path, fresh), read(path)))
    assert made == committed, "the notebook says something else today: make notebooks"


@EACH
def test_committed_drawings_are_fresh(path, fresh):
    made, committed = svgs(stripped(path, fresh)), svgs(read(path))
    assert len(made) == len(committed)
    differing = [difference(a, b) for a, b in zip(made, committed, strict=True)]
    assert differing == [None] * len(made), "the notebook draws something else today: make notebooks"


def test_the_figures_folder_holds_what_the_notebooks_draw(fresh):
    made, committed = ({path.name for path in folder.iterdir()} for folder in (fresh / "drawn", ROOT / "figures"))
    assert made == committed
    for name in sorted(made):
        one, other = fresh / "drawn" / name, ROOT / "figures" / name
        if name.endswith(".svg"):
            assert difference(one.read_text(), other.read_text()) is None, name
        else:
            assert pixels(one) == pixels(other), name


@pytest.fixture(scope="module")
def warm():
    """A warmed parent whose forks are the kernels of what runs meanwhile."""
    with kernels.nursery(ONE_THREAD) as are_forked:
        if not are_forked:
            pytest.skip("kernels are forked on Linux only")
        yield


@EACH
def test_a_forked_kernel_leaves_the_bytes_of_a_fresh_one(path, fresh, warm, tmp_path):
    forked = run_notebook(path, tmp_path, {"DATA": str(fresh / "data")}, limits=Limits())
    assert without_places(read(forked), read(path)) == as_text(stripped(path, fresh))
    for figure in sorted(tmp_path.glob("figures/*")):  # two notebooks draw in their cells only
        assert figure.read_bytes() == (fresh / "drawn" / figure.name).read_bytes(), figure.name


def without_places(book, source):
    """The text of an executed notebook without the places that were given to it."""
    return as_text(without_run_traces(book, source, PLACES))


def test_the_runner_leaves_the_committed_notebook(tmp_path, fresh):
    """The shortest notebook, through the project's own runner: the bytes of the file, but for drawings."""
    path = min(NOTEBOOKS, key=lambda path: len(read(path).cells))
    made, committed = read(run_notebook(path, tmp_path, {"DATA": str(fresh / "data")})), read(path)
    made = without_run_traces(made, committed, PLACES)
    assert list(texts(made)) == list(texts(committed))
    for book in (made, committed):
        for cell in book.cells:
            if cell.cell_type == "code":
                cell.outputs = []
    assert as_text(made) == as_text(committed)


# --- the comparison of drawings ----------------------------------------------------------------------------------

DRAWING = (
    '<svg><defs><path id="mabcdef0123456" d="M 1.000 2.5"/></defs><use href="#mabcdef0123456"/><text>k = 3</text></svg>'
)


@pytest.mark.parametrize(
    ("old", "new"),
    [("1.000", "1.0000001"), ("1.000", "1.009"), ("mabcdef0123456", "m999999999999")],
    ids=["the last digit", "less than the tolerance", "another identifier"],
)
def test_drawings_that_draw_the_same_are_alike(old, new):
    assert difference(DRAWING, DRAWING.replace(old, new)) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("1.000", "1.02"),
        ("1.000", "-1.000"),
        ("k = 3", "k = 4"),
        ("<text>k = 3</text>", ""),
        ("M 1.000", "L 1.000"),
        ("M 1.000 2.5", "M 1.000 2.5 3.5"),
        ('href="#mabcdef0123456"', 'href="#mffffffffffff"'),
        ("<use ", '<use fill="red" '),
    ],
)
def test_drawings_that_differ_are_told_apart(old, new):
    assert difference(DRAWING, DRAWING.replace(old, new)) is not None
