"""A notebook that a reader runs by hand writes nothing but its own output file, whatever its parameters."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import papermill
import pytest

from cellclaims.errors import ParameterError, ReviewError
from cellclaims.review import open_review
from cellclaims.runner import kernels
from cellclaims.runner.run import ONE_THREAD

ROOT = Path(__file__).resolve().parent.parent

#: Notebook -> a value that is not the default, where it has such a parameter.
OTHERWISE = {
    "01_evidence": {"POPULATIONS": ["T1D"]},
    "02_hba1c": {"POPULATION": "T1D"},
    "03_insulin_independence": {"MONTHS": 24},
    "04_half_the_insulin": {"POPULATION": "T1D"},
    "05_advertised_and_published": {"CLAIMS": "../data/advertised/claims.csv"},
    "06_harms": {"POPULATION": "T1D", "PRODUCT": "islets"},
    "07_how_sure": {"PRODUCT": "msc"},
    "08_what_else": {"PRODUCT": "msc"},
    "09_whats_new": {},
    "claim": {"CLAIM": "first_course_control"},
    "journal_club": {"OUTCOME": "insulin_dose_halved"},
}


def git(folder, *words):
    done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """The tracked files of the repository as they are now, committed in a repository of their own."""
    folder = tmp_path_factory.mktemp("clone") / "review"
    for name in git(ROOT, "ls-files", "data", "notebooks", "figures", ".gitignore").splitlines():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, folder / name)
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message", "as it is")
    return folder


def test_every_notebook_is_run_otherwise():
    assert sorted(OTHERWISE) == sorted(path.stem for path in (ROOT / "notebooks").glob("*.ipynb"))


def test_notebooks_run_by_papermill_change_no_file_of_a_clone(clone, tmp_path):
    """papermill itself, without the runner; its kernels are forked where they can be, which is quicker."""
    with kernels.nursery(ONE_THREAD, [clone / "data"]):
        for name, given in OTHERWISE.items():
            source = clone / "notebooks" / f"{name}.ipynb"
            papermill.execute_notebook(
                source, tmp_path / source.name, given, cwd=source.parent, progress_bar=False, kernel_name="python3"
            )
    assert sorted(path.stem for path in tmp_path.glob("*.ipynb")) == sorted(OTHERWISE)
    assert git(clone, "status", "--porcelain", "--ignored") == ""


@pytest.mark.parametrize("parameter", ["figures", "reports"])
@pytest.mark.parametrize("folder", ["figures", "reports", "reports/mine", "notebooks", "data/registry", "data"])
def test_a_folder_of_the_review_is_refused_by_name(clone, monkeypatch, parameter, folder):
    monkeypatch.chdir(clone / "notebooks")
    with pytest.raises(ReviewError, match=f"^{parameter.upper()}: expected a folder outside the review, found"):
        open_review("02_hba1c", "../data", **{parameter: f"../{folder}"})


def test_a_folder_of_ones_own_is_written_to(clone, tmp_path):
    review = open_review("02_hba1c", clone / "data", str(tmp_path / "figures"), str(tmp_path / "reports"))
    assert (review.figures, review.reports) == (str(tmp_path / "figures"), str(tmp_path / "reports"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"DESIGNS": ["rtc"]}, "DESIGNS: expected one of rct, .*found 'rtc' .did you mean 'rct'"),
        ({"DESIGNS": "rct"}, r"DESIGNS: expected a list such as \[\.\.\.\], found 'rct'"),
        ({"EXCLUDE": ["nosuch2020"]}, "EXCLUDE: expected one of .* more, found 'nosuch2020'"),
        ({"MONTHS": -5}, "MONTHS: expected a number of months from 0 to 240, found -5"),
        ({"MONTHS": "12"}, "MONTHS: expected a number of months from 0 to 240, found '12'"),
        ({"MONTHS": float("nan")}, "MONTHS: .* found nan"),
        ({"WINDOW": True}, "WINDOW: .* found True"),
        ({"SHORTEST": 12, "LONGEST": 6}, "SHORTEST: expected at most LONGEST, found SHORTEST 12 and LONGEST 6"),
        ({"YEARS": [24, -1]}, "YEARS: expected a number of months from 0 to 240, found -1"),
        ({"CORRELATION": 1.5}, "CORRELATION: expected a number between -1 and 1, found 1.5"),
        ({"CORRELATION": 1}, "CORRELATION: expected a number between -1 and 1, found 1"),
        ({"ALTERNATIVE": ["a999"]}, "ALTERNATIVE: expected one of a01, .*, found 'a999'"),
        ({"ALTERNATIVE": ["a04"]}, "ALTERNATIVE: expected one of a01, .*, found 'a04'"),
        ({"POPULATION": "T4D"}, "POPULATION: expected one of T1D, T2D, T3c, mixed, found 'T4D'"),
        ({"POPULATIONS": []}, "POPULATIONS: expected at least one name, found none"),
        ({"PRODUCT": "cells"}, "PRODUCT: expected one of islets, .* found 'cells'"),
        ({"CLAIM": "none"}, "CLAIM: expected one of .* more, found 'none'"),
        ({"TAU_SCALE": 0}, "TAU_SCALE: expected a number from 0.01 to 10, found 0"),
    ],
)
def test_an_impossible_value_is_refused_by_name(given, said):
    with pytest.raises(ParameterError, match=said):
        open_review("02_hba1c", ROOT / "data", **given)


def test_an_ordinary_value_passes():
    given = {"MONTHS": 60, "DESIGNS": [], "EXCLUDE": ["zang2022"], "ALTERNATIVE": ["a10"], "CORRELATION": -0.5}
    assert open_review("02_hba1c", ROOT / "data", **given, CLAIM="theirs", CLAIMS="other.csv").name == "02_hba1c"
