"""A researcher's own studies: ``docs/own_studies.md`` to the letter, faults of a file, results, figures of a fit."""

from __future__ import annotations

import csv
import importlib
import json
import re

import numpy as np
import pytest
from click.testing import CliRunner
from matplotlib.patches import Polygon
from matplotlib.text import Text

from cellclaims import figures, meta, own_studies, robustness
from cellclaims.cli import main
from cellclaims.errors import DataError

from .conftest import REPOSITORY

show = importlib.import_module("cellclaims.figures.show")
GUIDE = REPOSITORY / "docs" / "own_studies.md"


def blocks(language):
    """The blocks of the page in one language."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [text for named, text in found if named == language]


def lines_of(path):
    """The lines of a file."""
    return path.read_text(encoding="utf-8").splitlines()


def run(*arguments):
    """The command, with everything that it said."""
    return CliRunner().invoke(main, ["pool", *map(str, arguments)])


def test_the_page_can_be_followed_to_the_letter(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies.csv").write_text(blocks("csv")[0], encoding="utf-8")
    command, shown, faults = blocks("")
    assert command.split()[:2] == ["cellclaims", "pool"]
    done = run(*command.split()[2:])
    assert done.exit_code == 0 and shown in done.output
    written = sorted(path.name for path in (tmp_path / "results").iterdir())
    assert written == [
        f"studies{end}" for end in (".json", "_forest.png", "_forest.svg", "_studies.csv", "_summary.csv")
    ]
    table = (tmp_path / "studies.csv").read_text(encoding="utf-8").splitlines()
    table[2], table[4] = table[2].replace(",0.9,", ",0,"), table[4].replace(",7.5,", ',"7,5",')
    (tmp_path / "studies.csv").write_text("\n".join(table), encoding="utf-8")
    refused = run("studies.csv", "--measure", "MD", "--into", "other")
    assert refused.exit_code == 2 and refused.output == faults and not (tmp_path / "other").exists()


def test_every_name_in_the_page_s_table_exists():
    rows = [line.split("|")[2] for line in GUIDE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    names = {name for row in rows for name in re.findall(r"\b(meta|robustness|figures|fit)\.(\w+)", row)}
    fit = meta.fit([0.1, 0.4, 0.9], [0.1, 0.1, 0.2])
    homes = {"meta": meta, "robustness": robustness, "figures": figures, "fit": fit}
    assert len(rows) > 15 and len(names) > 35
    assert [f"{home}.{name}" for home, name in names if not hasattr(homes[home], name)] == []


STUDIES = "study,yi,vi\nA,0.1,0.02\nB,0.5,0.05\nC,0.9,0.04\n"


@pytest.fixture
def file(tmp_path):
    """Write a file of studies."""

    def write(content, name="own.csv"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_given_effects_are_pooled_as_arrays_are(file):
    fit, read = own_studies.pool(file(STUDIES), method="dl", test="Z", level=0.9)
    right = meta.fit([0.1, 0.5, 0.9], [0.02, 0.05, 0.04], method="DL", test="z", level=0.9)
    assert (fit.beta, fit.ci_lb, fit.method) == (right.beta, right.ci_lb, "DL") and read.labels == ("A", "B", "C")
    by_errors = file("slab,year,yi,sei\nA,2001,0.1,0.2\nB,2002,0.5,0.3\n")
    fit, read = own_studies.pool(by_errors)
    assert fit.effects.vi == pytest.approx([0.04, 0.09]) and read.unused == ("year",)
    assert "Columns not used: year" in own_studies.report(fit, read)
    assert own_studies.read(file("yi,vi\n1,2\n3,4\n")).labels == ("1", "2")


@pytest.mark.parametrize(
    ("measure", "content"),
    [
        ("OR", "study,ai,n1i,ci,n2i\nA,4,20,8,21\nB,6,30,11,29\nC,2,15,6,16\n"),
        ("RR", "study,ai,bi,ci,di\nA,4,16,8,13\nB,6,24,11,18\nC,2,13,6,10\n"),
        ("PLO", "study,xi,ni\nA,4,20\nB,6,30\nC,2,15\n"),
        ("SMCC", "study,m1i,sd1i,m2i,sd2i,ni,ri\nA,7,1,8,1.1,20,0.5\nB,7,1,7.5,1.2,30,0.6\n"),
        ("ZCOR", "study,ri,ni\nA,0.4,20\nB,0.1,30\n"),
    ],
)
def test_measures_are_computed_from_metafor_s_columns(file, measure, content):
    fit, read = own_studies.pool(file(content), measure.lower())
    sizes = meta.escalc(measure, **read.columns)
    assert fit.beta == meta.fit(sizes).beta and fit.measure == measure


def test_a_study_without_an_effect_is_shown_as_such(file, tmp_path):
    path = file("study,ai,n1i,ci,n2i\nA,4,20,8,21\nB,0,30,0,29\nC,2,15,6,16\n")
    fit, read = own_studies.pool(path, "RR", add=0.0)
    text = own_studies.report(fit, read)
    assert "not defined" in text and "are excluded" in text and fit.k == 2
    own_studies.write(fit, read, tmp_path / "out")
    rows = list(csv.DictReader(lines_of(tmp_path / "out" / "own_studies.csv")))
    assert (rows[1]["yi"], rows[1]["kept"]) == ("", "False")


@pytest.mark.parametrize(
    ("content", "measure", "message"),
    [
        ("study;yi;vi\nA;0.1;0.2\n", None, "header: expected columns separated by commas, found semicolons"),
        ("study\tyi\nA\t1\n", None, "header: expected columns separated by commas, found tabs"),
        ("study,yi\nA,0.1\n", None, r"header: expected columns yi, vi or yi, sei; or give a --measure"),
        ("study,ai,n1i\nA,1,2\n", "OR", "header: expected columns ai, n1i, ci, n2i or ai, bi, ci, di, found study, ai"),
        ("yi,yi,vi\n1,2,3\n", None, "header: expected each column once, found twice: 'yi'"),
        ("", None, "expected a header and studies, found an empty file"),
        ("yi,vi\n", None, "expected at least one study below the header, found none"),
        (b"study,yi,vi\nM\xfcller,1,2\n", None, "row 2: expected UTF-8, found byte 0xfc"),
        ('yi,vi\n"1,2\n', None, "expected cells separated by commas"),
        ("yi,vi\n1,2,3\n", None, "row 2: expected 2 cells, found 3"),
        ("yi,vi\n1,-2\n", None, "row 2, column vi: expected a value above zero, found '-2'"),
        ("yi,vi\ninf,2\n", None, "row 2, column yi: expected a finite number, found 'inf'"),
        ("study,yi,vi\nA,1,2\n\nA,1,x\n", None, "row 4, column vi: expected a number, found 'x'"),
        ("study,yi,vi\nA,1,2\n\nA,1,2\n", None, "row 4, column study: expected each label once, found 'A' as in row 2"),
        ("study,yi,vi\n ,1,2\n", None, "row 2, column study: expected a label, found ' '"),
        (
            "study,yi,vi\nA\x1b[2J,1,2\n",
            None,
            r"row 2, column study: expected a label of printable characters, found 'A\\x1b",
        ),
        ("xi,ni\n-1,0\n", "PLO", "row 2, column xi: expected a count, zero or more, found '-1'"),
        ("ri,ni\n1.2,20\n", "COR", "row 2, column ri: expected a correlation from -1 to 1, found '1.2'"),
    ],
)
def test_every_fault_names_row_column_expected_and_found(file, content, measure, message):
    with pytest.raises(DataError, match=message):
        own_studies.read(file(content), measure)


def test_all_faults_are_told_at_once_and_a_missing_file_is_one(file, tmp_path):
    rows = "".join(f"S{i},x,0\n" for i in range(15))
    with pytest.raises(DataError) as caught:
        own_studies.read(file("study,yi,vi\n" + rows))
    text = str(caught.value)
    assert text.count("\n") == 20 and "and 10 more" in text and "row 11, column vi" in text
    with pytest.raises(DataError, match=r"no\.csv: expected a CSV file of studies, found No such file"):
        own_studies.read(tmp_path / "no.csv")


def test_formulas_are_quoted_control_characters_not_shown_and_numbers_have_all_digits(file, tmp_path):
    path = file('study,yi,vi,\x1b[2J\n=1+1,0.1,0.02,\n"@x",0.5,0.05,\n<b>C</b>,-0.123456789012345,0.04,\n')
    fit, read = own_studies.pool(path)
    assert "\x1b" not in own_studies.report(fit, read)
    written = own_studies.write(fit, read, tmp_path / "out")
    rows = list(csv.reader(lines_of(tmp_path / "out" / "own_studies.csv")))
    assert [row[0][:2] for row in rows[1:]] == ["'=", "'@", "<b"] and rows[3][1] == "-0.123456789012345"
    values = json.loads((tmp_path / "out" / "own.json").read_text(encoding="utf-8"))
    assert values["studies"][0]["slab"] == "=1+1" and values["summary"]["beta"] == fit.beta
    assert len(written) == 5 and all(path.is_file() for path in written)
    assert "<b>C" not in (tmp_path / "out" / "own_forest.svg").read_text(encoding="utf-8")


def test_one_study_has_no_spread_in_any_file(file, tmp_path):
    fit, read = own_studies.pool(file("study,yi,vi\nA,0.1,0.02\n"))
    own_studies.write(fit, read, tmp_path)
    row = next(csv.DictReader(lines_of(tmp_path / "own_summary.csv")))
    values = json.loads((tmp_path / "own.json").read_text(encoding="utf-8"))["summary"]
    assert {row[name] for name in ("tau2", "I2", "H2", "Q", "Q_p")} == {""}
    assert {values[name] for name in ("tau2", "I2", "H2", "Q", "Q_p")} == {None}
    assert "single study" in own_studies.report(fit, read)


# Figures of a fit.

LABELS = ["Almond", "Birch", "Cedar <x>", "Dogwood", "$Elder$"]
FIT = meta.fit([-0.5, -0.9, -0.2, -1.1, 0.4], [0.04, 0.09, 0.05, 0.12, 0.03], slab=LABELS)


def words(figure):
    """All text of a figure."""
    return [text.get_text() for text in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


def test_a_forest_plot_of_a_fit_shows_its_studies_by_their_labels():
    drawn = words(figures.forest(FIT).figure)
    assert set(LABELS) <= set(drawn) and "Pooled (k = 5)" in drawn and "Effect" in drawn
    ratios = meta.fit(meta.escalc("OR", ai=[4, 6, 3], n1i=[20, 30, 23], ci=[11, 12, 11], n2i=[19, 30, 22]))
    drawn = words(figures.forest(ratios).figure)
    assert "Odds ratio" in drawn and any(f"{np.exp(ratios.beta):.2f}" in text for text in drawn)
    kept = meta.fit([0.1, 0.2, 0.3], [0.1] * 3, slab=["a", "b", "c"], keep=[True, False, True])
    assert "b" not in words(figures.forest(kept).figure)
    both = words(figures.forest([FIT, kept]).figure)
    assert {"Almond", "c"} <= set(both)
    for wrong in (robustness.leave_one_out(FIT), meta.fit([1, 2, 3.5], [1, 1, 1], mods=[1, 2, 4.0])):
        with pytest.raises(DataError, match="forest: expected one fit of a single mean, found"):
            figures.forest(wrong)


def test_reversed_limits_draw_a_reversed_axis_with_all_its_marks():
    usual, turned = (figures.forest(FIT, limits=limits).figure for limits in ((-1.2, 0.6), (0.6, -1.2)))

    def things(figure):
        return sum(len(a.lines) + len(a.patches) + len(a.get_xticks()) for a in figure.axes)

    assert things(usual) == things(turned)
    plot, back = usual.axes[1], turned.axes[1]
    assert back.xaxis_inverted() and sorted(back.get_xlim()) == sorted(plot.get_xlim())
    heads = [sorted(line.get_marker() for line in axes.lines if line.get_marker() in "<>") for axes in (plot, back)]
    assert heads[0] and heads[0] == sorted({"<": ">", ">": "<"}[head] for head in heads[1])
    ends = {(line.get_marker(), float(line.get_xdata()[0])) for line in back.lines if line.get_marker() in ("<", ">")}
    assert ("<", -1.2) not in ends  # the low end is on the right
    assert len([p for p in back.patches if isinstance(p, Polygon)]) == 1
    for limits in ((1.0, 1.0), (np.nan, 1.0)):
        with pytest.raises(DataError, match="limits: expected two different ends"):
            figures.forest(FIT, limits=limits)


def test_a_funnel_names_studies_outside_and_the_mean_is_in_its_middle():
    drawing = figures.funnel(FIT)
    axes = drawing.axes[0]
    assert axes.yaxis_inverted() and "Standard error" in words(drawing)
    assert any(np.allclose(line.get_xdata(), FIT.beta) for line in axes.lines)
    outside = {LABELS[i] for i in range(5) if abs(FIT.effects.yi[i] - FIT.beta) > 1.959964 * FIT.effects.vi[i] ** 0.5}
    assert outside and outside == {text for text in words(drawing) if text in LABELS}
    with pytest.raises(DataError, match=r"funnel: expected a fit \(meta.fit\), found list"):
        figures.funnel([1, 2])


def test_a_gosh_plot_shows_every_subset_of_two_or_more_and_tells_a_study_apart():
    drawing = figures.gosh(FIT)
    assert sum(len(line.get_xdata()) for line in drawing.axes[0].lines) == 2**5 - 1 - 5
    parted = figures.gosh(robustness.all_subsets(FIT), study="Birch").axes[0]
    assert [len(line.get_xdata()) for line in parted.lines] == [2**4 - 1 - 4, 2**4 - 1]
    with pytest.raises(DataError, match=r"study: expected one of Almond, .*, found 'Oak'"):
        figures.gosh(FIT, study="Oak")
    with pytest.raises(DataError, match="gosh: expected at least 3 studies, found 2"):
        figures.gosh(meta.fit([0.1, 0.2], [0.1, 0.1]))


def test_an_influence_plot_has_a_panel_for_each_diagnostic_and_marks_influential_studies():
    outlying = meta.fit([0.1, 0.2, 0.0, 0.1, 2.0], [0.02, 0.03, 0.02, 0.04, 0.02], slab=LABELS)
    found = robustness.influence(outlying)
    drawing = figures.influence(outlying, found)
    assert len(drawing.axes) == 6 and set(LABELS) <= set(words(drawing))
    marked = [line for line in drawing.axes[0].lines if line.get_marker() == "D"]
    assert marked[0].get_xdata().tolist() == np.flatnonzero(found.influential).tolist() == [4]
    assert np.allclose(drawing.axes[2].lines[0].get_ydata(), found.cook_d)


# A second opinion.


def test_statsmodels_agrees_where_there_is_something_to_compare():
    rng = np.random.default_rng(3)
    for _ in range(5):
        yi, vi = rng.normal(0, 0.8, 8), rng.uniform(0.02, 0.3, 8)
        table = robustness.second_opinion(yi, vi)
        noted = table.note != ""
        assert table.difference[~noted].abs().max() < 1e-7 and table.difference[noted].isna().all()
        assert len(table) == 17 and set(table.columns) == set(robustness.second_opinion(FIT).columns)
    assert (robustness.second_opinion(FIT, level=0.9).here != robustness.second_opinion(FIT).here).any()


def test_a_negative_tau2_of_statsmodels_is_marked():
    table = robustness.second_opinion([0.1, 0.12, 0.11], [0.02, 0.05, 0.04])
    rows = table[table.what.str.startswith("DL")]
    assert rows.note.str.contains("negative tau2").all() and rows.difference.isna().all()
    assert rows[rows.quantity == "tau2"].statsmodels.iloc[0] < 0 == rows[rows.quantity == "tau2"].here.iloc[0]
    assert table[table.what.str.startswith("PM")].difference.abs().max() < 1e-7


def test_limits_of_proportions_agree():
    table = robustness.second_opinion_of_proportions(
        [9, 0, 5], [45, 10, 5], [2, 1, 3], [44, 10, 9], slab=["a", "b", "c"]
    )
    assert len(table) == 18 and table.difference.abs().max() < 1e-12
    assert set(table.what.str.split(": ").str[1]) == {"Clopper-Pearson", "Wilson", "Newcombe"}
    assert len(robustness.second_opinion_of_proportions([9], [45])) == 4


CHINESE = "study,yi,vi\n李 2010,0.1,0.1\n王 2012,0.3,0.2\n"


def test_characters_without_a_font_are_named_in_a_plain_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(show, "FALLBACKS", ())
    (tmp_path / "own.csv").write_text(CHINESE, encoding="utf-8")
    done = run(tmp_path / "own.csv", "--into", tmp_path / "out")
    assert done.exit_code == 0
    assert "cellclaims: no installed font has the characters '李王': the PNG shows boxes" in done.output
    assert "Glyph" not in done.output
    assert "李 2010" in (tmp_path / "out" / "own_forest.svg").read_text(encoding="utf-8")


def test_a_font_that_is_installed_is_used_for_characters_that_the_own_one_lacks(monkeypatch):
    monkeypatch.setattr(show, "FALLBACKS", ("no such font", "DejaVu Serif"))
    fit = meta.fit([0.1, 0.3], [0.1, 0.2], slab=["李 2010", "Smith 2012"])
    fig = figures.forest(fit).figure
    assert show.letters_missing(fig) == "李", "DejaVu Serif lacks it, too"
    families = {text.get_text(): text.get_fontfamily() for text in fig.findobj(Text)}
    assert families["李 2010"] == ["DejaVu Sans", "DejaVu Serif"] != families["Smith 2012"]
