"""``make release``: version, dates and tree must agree before files are built; nothing is invented or uploaded."""

from __future__ import annotations

import doctest
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "site"))

from sitepages import SiteError, release  # noqa: E402

STAND = release.stand_of(ROOT)
#: Version, day of the evidence and day of the release of this repository.
VERSION, DAY, RELEASED = (
    STAND.versions["pyproject.toml"],
    STAND.evidence_dates["CITATION.cff, abstract"],
    STAND.released,
)
FILES = ("pyproject.toml", "src/cellclaims/__init__.py", "CITATION.cff", "CHANGELOG.md", "LICENSE-DATA")


def in_git(root, *command):
    who = ["-c", "user.name=A Reader", "-c", "user.email=reader@example.org"]
    subprocess.run(["git", *who, *command], cwd=root, check=True, capture_output=True)


@pytest.fixture
def root(tmp_path):
    """A repository that is ready to be released."""
    if not shutil.which("git"):
        pytest.skip("git is needed to look at the working tree")
    root = tmp_path / "repository"
    for name in FILES:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, root / name)
    shutil.copytree(ROOT / "data", root / "data", ignore=shutil.ignore_patterns("registry"))
    changelog = f"# Changelog\n\n## Evidence\n\n- one\n\n## {VERSION} ({RELEASED})\n\n- first\n"
    (root / "CHANGELOG.md").write_text(changelog)
    (root / ".zenodo.json").write_text(release.zenodo_text(root))
    (root / ".gitignore").write_text("reports/\ndist/\n")
    for command in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "All")):
        in_git(root, *command)
    site = root / "reports" / "site"
    site.mkdir(parents=True)
    (site / "index.html").write_text("<p>review</p>")
    return root


def change(root, name, old, new):
    path = root / name
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    in_git(root, "commit", "-qam", "Change")


def test_what_agrees_is_built_with_a_citation_that_names_version_and_evidence(root):
    assert list(release.faults(root, VERSION)) == []
    paths = release.build(root, VERSION, root / "reports" / "site", root / "dist")
    folder = root / "dist" / f"cellclaims-{VERSION}"
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in paths)
    words = (folder / "CITATION.txt").read_text()
    assert f"Version {VERSION}, evidence as read on {DAY}." in words
    with zipfile.ZipFile(folder / f"cellclaims-data-{DAY}.zip") as package:
        assert f"cellclaims-data-{DAY}/data/screening/screening.csv" in package.namelist()
    with zipfile.ZipFile(folder / f"cellclaims-site-{VERSION}.zip") as site:
        assert site.namelist() == ["site/index.html"]
    done = subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=folder, capture_output=True)
    assert done.returncode == 0
    before = {path.name: path.read_bytes() for path in paths}
    release.build(root, VERSION, root / "reports" / "site", root / "dist")
    assert before == {path.name: path.read_bytes() for path in paths}, "equal files give equal bytes"


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (
            "pyproject.toml",
            f'version = "{VERSION}"',
            'version = "0.0.1"',
            f"pyproject.toml: expected version {VERSION}",
        ),
        (
            "CITATION.cff",
            f"version: {VERSION}",
            "version: 0.0.1",
            f"CITATION.cff: expected version {VERSION}, found 0.0.1",
        ),
        ("CITATION.cff", f"read on {DAY}", "read in autumn", "CITATION.cff, abstract: expected the day"),
        ("CITATION.cff", f'"{RELEASED}"', '"2020-01-01"', f"CITATION.cff, date-released: expected {RELEASED}"),
        ("data/datapackage.json", f'"version": "{VERSION}"', '"version": "1"', "data/datapackage.json: expected"),
        ("data/datapackage.json", f'"created": "{DAY}', '"created": "2020-01-01', "created: expected the day"),
        (
            "CHANGELOG.md",
            f"## {VERSION} ({RELEASED})",
            "## 0.0.1 (2020-01-01)",
            f"CHANGELOG.md: expected '## {VERSION}",
        ),
        ("CHANGELOG.md", "## Evidence", "## Since 0.0.1", "every change under a release, found '## Since 0.0.1'"),
        (".zenodo.json", VERSION, "0.0.1", ".zenodo.json: expected what CITATION.cff says, found something else"),
    ],
)
def test_what_does_not_agree_is_named_and_nothing_is_built(root, name, old, new, words):
    change(root, name, old, new)
    with pytest.raises(SiteError) as caught:
        release.build(root, VERSION, root / "reports" / "site", root / "dist")
    assert words in str(caught.value)
    assert not (root / "dist").exists()


def test_a_changed_tree_a_tag_a_missing_site_and_another_version_are_refused(root):
    (root / "CHANGELOG.md").write_text("# Changelog\n")
    assert any(
        "expected no change that is not committed, found M CHANGELOG.md" in one for one in release.faults(root, VERSION)
    )
    in_git(root, "checkout", "-q", ".")
    in_git(root, "tag", f"v{VERSION}")
    assert any(f"expected no tag v{VERSION}" in one for one in release.faults(root, VERSION))
    assert any("expected three numbers such as 0.2.0, found nothing" in one for one in release.faults(root, ""))
    shutil.rmtree(root / "reports")
    with pytest.raises(SiteError, match="expected the site, found none: make site"):
        release.build(root, VERSION, root / "reports" / "site", root / "dist")


def test_without_git_the_reason_is_said(tmp_path):
    with pytest.raises(SiteError, match="expected a repository of git"):
        release.git(tmp_path, "status")


def test_the_file_for_zenodo_is_fresh_and_invents_nothing():
    """``make zenodo`` brings it up to date."""
    text = (ROOT / ".zenodo.json").read_text(encoding="utf-8")
    assert text == release.zenodo_text(ROOT)
    content = json.loads(text)
    assert not {"doi", "related_identifiers", "contributors", "grants"} & set(content)
    assert [set(one) for one in content["creators"]] == [{"name"}]
    assert DAY in content["notes"]


def test_its_examples_hold():
    assert doctest.testmod(release).failed == 0
