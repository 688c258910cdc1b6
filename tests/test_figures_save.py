"""Equal figures are equal bytes, say what they show in words, and leave no trace of machine, time or version."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import IPython.display
import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from cellclaims import figures
from cellclaims.errors import DataError

ALT = 'A made-up forest & flow. One choice, "r < 0.5", is the primary one.'

SVG = "{http://www.w3.org/2000/svg}"

#: Draws one figure with clip paths, markers and words, in a fresh process.
DRAW = """
import pandas as pd
from cellclaims import figures
table = pd.DataFrame({"choice": ["a", "b"], "estimate": [1.0, 2.0], "ci_lb": [0.5, -90.0], "ci_ub": [1.5, 3.0]})
fig = figures.sensitivity(table, axis_label="made up", claim=2.5).figure
figures.save(fig, alt="Made up.", name="made_up", folder=FOLDER)
"""


def made_up() -> object:
    """A small figure with every kind of ink: words, markers, clipped lines."""
    table = pd.DataFrame({"choice": ["a", "b"], "estimate": [1.0, 2.0], "ci_lb": [0.5, -90.0], "ci_ub": [1.5, 3.0]})
    return figures.sensitivity(table, axis_label="made up", claim=2.5).figure


def saved(folder: Path, name: str = "made_up", alt: str = ALT) -> tuple[bytes, bytes]:
    """Bytes of SVG and PNG."""
    svg, png = figures.save(made_up(), alt=alt, name=name, folder=folder)
    return svg.read_bytes(), png.read_bytes()


def test_two_saves_of_one_figure_and_of_an_equal_one_are_byte_equal(tmp_path):
    fig = made_up()
    first = [path.read_bytes() for path in figures.save(fig, alt=ALT, name="x", folder=tmp_path / "1")]
    again = [path.read_bytes() for path in figures.save(fig, alt=ALT, name="x", folder=tmp_path / "2")]
    equal = [path.read_bytes() for path in figures.save(made_up(), alt=ALT, name="x", folder=tmp_path / "3")]
    assert first == again == equal


def test_another_process_with_another_hash_seed_writes_the_same_bytes(tmp_path):
    results = []
    for seed in ("1", "2"):
        folder = tmp_path / seed
        code = DRAW.replace("FOLDER", repr(str(folder)))
        subprocess.run([sys.executable, "-c", code], env=os.environ | {"PYTHONHASHSEED": seed}, check=True)
        results.append([(folder / f"made_up.{end}").read_bytes() for end in ("svg", "png")])
    assert results[0] == results[1]


def test_settings_of_the_reader_change_nothing_and_are_left_as_they_were(tmp_path):
    before = saved(tmp_path / "1")
    with mpl.rc_context({"font.size": 20, "svg.fonttype": "path", "axes.facecolor": "red", "savefig.dpi": 30}):
        set_by_reader = dict(mpl.rcParams)
        after = saved(tmp_path / "2")
        assert dict(mpl.rcParams) == set_by_reader
    assert before == after


def test_the_svg_says_what_it_shows(tmp_path):
    svg, _ = saved(tmp_path)
    root = ElementTree.fromstring(svg)
    title, desc = root.find(f"{SVG}title"), root.find(f"{SVG}desc")
    assert (root.get("role"), root.get("aria-labelledby")) == ("img", f"{title.get('id')} {desc.get('id')}")
    assert (title.text, desc.text) == ("A made-up forest & flow", ALT)


def test_words_in_the_svg_are_text_that_can_be_searched(tmp_path):
    svg, _ = saved(tmp_path)
    words = [element.text for element in ElementTree.fromstring(svg).iter(f"{SVG}text")]
    assert {"Choice", "made up", "a", "b", "2.00 (−90.00 to 3.00)"} <= set(words)
    fonts = set(re.findall(r"font-family: ([^;\"]+)", svg.decode()))
    assert all(font.startswith("'DejaVu Sans'") and font.endswith("sans-serif") for font in fonts)


def test_identifiers_of_two_figures_never_meet(tmp_path):
    ids = [set(re.findall(r'\bid="([^"]+)"', saved(tmp_path, name)[0].decode())) for name in ("one", "two")]
    assert ids[0]
    assert ids[0].isdisjoint(ids[1])
    assert set(re.findall(r"url\(#([^)]+)\)", saved(tmp_path, "one")[0].decode())) <= ids[0]


def test_no_trace_of_time_version_or_network(tmp_path):
    svg, png = saved(tmp_path)
    assert not re.search(rb"[Mm]atplotlib v|\d{4}-\d\d-\d\dT|<!DOCTYPE|<metadata", svg)
    addresses = set(re.findall(rb"https?://[^\"' <]+", svg))
    assert addresses == {b"http://www.w3.org/2000/svg", b"http://www.w3.org/1999/xlink"}
    with Image.open(tmp_path / "made_up.png") as image:
        assert set(image.info) == {"dpi"}
    assert b"Software" not in png


def test_the_png_can_be_printed_and_is_no_blank_page(tmp_path):
    saved(tmp_path)
    with Image.open(tmp_path / "made_up.png") as image:
        assert image.info["dpi"] == pytest.approx((200, 200), abs=0.01)
        assert np.asarray(image.convert("L")).min() == 0


@pytest.mark.parametrize(
    ("alt", "name"), [("", "x"), ("  \n", "x"), ("Words.", ""), ("Words.", "a b"), ("Words.", "../x")]
)
def test_a_mute_figure_or_a_name_that_is_none_is_refused_and_nothing_written(tmp_path, alt, name):
    with pytest.raises(DataError, match="expected"):
        figures.save(made_up(), alt=alt, name=name, folder=tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_show_displays_the_file_and_the_words_as_one_output(tmp_path, monkeypatch):
    shown = []
    monkeypatch.setattr(IPython.display, "display", lambda data, *, raw: shown.append((data, raw)))
    assert figures.show(made_up(), alt=ALT, name="x", folder=tmp_path) is None
    svg = (tmp_path / "x.svg").read_text(encoding="utf-8")
    assert shown == [({"image/svg+xml": svg, "text/plain": ALT}, True)]


def test_figures_stand_apart_from_pyplot():
    code = DRAW.split("figures.save")[0] + "import sys; assert 'matplotlib.pyplot' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
