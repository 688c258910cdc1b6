"""What a release needs: versions and dates that agree, and the files to hand in. Nothing is uploaded.

``python -m sitepages.release VERSION --check`` looks only; without ``--check`` it builds ``dist/cellclaims-VERSION/``
from a site that is made. ``--zenodo`` writes ``.zenodo.json`` from ``CITATION.cff``.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import yaml

from cellclaims.evidence.schema import FILE
from cellclaims.files import write_atomically
from sitepages import SiteError
from sitepages.downloads import package_of, zipped

VERSION = re.compile(r"\d+\.\d+\.\d+")
#: The heading of a release in the changelog, and one of changes that no release has yet.
RELEASED = re.compile(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", re.MULTILINE)
UNRELEASED = re.compile(r"^## Since .*$", re.MULTILINE)
#: What the abstract of the citation says of the evidence.
AS_READ = re.compile(r"Evidence as read on (\d{4}-\d\d-\d\d)")
ZENODO = ".zenodo.json"


@dataclass(frozen=True)
class Stand:
    """What the files of the repository say of version and dates: place -> what it says ("" where it says nothing).

    ``heading`` is the newest release of the changelog with its day, ``unreleased`` a heading of changes that belong to
    no release.
    """

    versions: Mapping[str, str]
    evidence_dates: Mapping[str, str]
    heading: tuple[str, str]
    released: str
    unreleased: str


def stand_of(root: Path) -> Stand:
    """Read version and dates where they are said."""
    citation = citation_of(root)
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    package = re.search(r'^__version__ = "(.*)"$', (root / "src/cellclaims/__init__.py").read_text(), re.MULTILINE)
    data = json.loads((root / "data" / FILE).read_text(encoding="utf-8"))
    protocol = yaml.safe_load((root / "data" / "protocol.yml").read_text(encoding="utf-8"))
    changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    heading, unreleased = RELEASED.search(changelog), UNRELEASED.search(changelog)
    abstract = AS_READ.search(" ".join(str(citation.get("abstract", "")).split()))
    return Stand(
        {
            "pyproject.toml": project["version"],
            "src/cellclaims/__init__.py": package[1] if package else "",
            "CITATION.cff": str(citation.get("version", "")),
            f"data/{FILE}": data["version"],
        },
        {
            "data/protocol.yml, evidence_date": str(protocol["evidence_date"]),
            "CITATION.cff, abstract": abstract[1] if abstract else "",
            f"data/{FILE}, created": data["created"][:10],
        },
        (heading[1], heading[2]) if heading else ("", ""),
        str(citation.get("date-released", "")),
        unreleased[0] if unreleased else "",
    )


def citation_of(root: Path) -> dict:
    """The content of ``CITATION.cff``."""
    return yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))


def faults(root: Path, version: str) -> Iterator[str]:
    """Return everything that prevents a release, with file, expected and found.

    Parameters
    ----------
    root : Path
        The repository.
    version : str
        The version to release, such as 0.2.0.
    """
    if not VERSION.fullmatch(version):
        yield f"VERSION: expected three numbers such as 0.2.0, found {version or 'nothing'}"
    if changed := git(root, "status", "--porcelain"):
        yield f"the working tree: expected no change that is not committed, found {changed.splitlines()[0].strip()}"
    if git(root, "tag", "--list", f"v{version}"):
        yield f"git: expected no tag v{version}, found one: it is released already"
    stand = stand_of(root)
    for place, found in stand.versions.items():
        if found != version:
            yield f"{place}: expected version {version}, found {found or 'none'}"
    day = next(iter(stand.evidence_dates.values()))
    for place, found in stand.evidence_dates.items():
        if found != day:
            yield f"{place}: expected the day of the evidence, {day}, found {found or 'none'}"
    newest, day = stand.heading
    if newest != version:
        yield f"CHANGELOG.md: expected '## {version} (YYYY-MM-DD)' as its newest release, found {newest or 'none'}"
    elif stand.released != day:
        found = stand.released or "none"
        yield f"CITATION.cff, date-released: expected {day}, as in CHANGELOG.md, found {found}"
    if stand.unreleased:
        yield f"CHANGELOG.md: expected every change under a release, found '{stand.unreleased}'"
    kept = (root / ZENODO).read_text(encoding="utf-8") if (root / ZENODO).is_file() else ""
    if kept != zenodo_text(root):
        yield f"{ZENODO}: expected what CITATION.cff says, found {'something else' if kept else 'no file'}: make zenodo"


def git(root: Path, *command: str) -> str:
    """Return the output of git.

    Raises
    ------
    SiteError
        If there is no git, or the folder is no repository.
    """
    try:
        return subprocess.run(["git", *command], cwd=root, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as fault:
        raise SiteError(f"{root}: expected a repository of git, found {fault}") from None


def zenodo_text(root: Path) -> str:
    """The content of ``.zenodo.json``: what ``CITATION.cff`` says, and the day of the evidence; no DOI is invented."""
    citation = citation_of(root)
    day = stand_of(root).evidence_dates["data/protocol.yml, evidence_date"]
    content = {
        "title": citation["title"],
        "description": " ".join(citation["abstract"].split()),
        "upload_type": "software",
        "version": str(citation["version"]),
        "license": str(citation["license"]).lower(),
        "creators": [{"name": named(one)} for one in citation["authors"]],
        "keywords": citation["keywords"],
        "notes": f"Evidence as read on {day}. The tables in data/ are under CC BY 4.0 (LICENSE-DATA).",
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def named(author: Mapping[str, str]) -> str:
    """An author of ``CITATION.cff`` as Zenodo wants the name: "Family, Given", or the name of a group.

    Examples
    --------
    >>> named({"name": "The maintainers"}), named({"family-names": "Reader", "given-names": "A."})
    ('The maintainers', 'Reader, A.')
    """
    return author.get("name") or f"{author['family-names']}, {author['given-names']}"


def citation_words(root: Path) -> str:
    """How to cite the release: it names the version and the day of the evidence."""
    citation, stand = citation_of(root), stand_of(root)
    names = ", ".join(map(named, citation["authors"]))
    day = stand.evidence_dates["data/protocol.yml, evidence_date"]
    return (
        f"{names}. {citation['title']}. Version {citation['version']}, evidence as read on {day}. "
        f"Released {citation['date-released']}.\n"
    )


def site_zip(site: Path) -> bytes:
    """The pages of the site as a zip."""
    pages = sorted(path for path in site.rglob("*") if path.is_file())
    return zipped({f"site/{path.relative_to(site).as_posix()}": path.read_bytes() for path in pages})


def build(root: Path, version: str, site: Path, into: Path) -> list[Path]:
    """Write the files of a release into ``into/cellclaims-VERSION``; the files, the list of checksums last.

    Parameters
    ----------
    root : Path
        The repository.
    version : str
    site : Path
        Folder of the site, as ``make site`` leaves it.
    into : Path
        Folder of releases.

    Raises
    ------
    SiteError
        If something prevents a release (with every fault), or there is no site; nothing is written then.
    """
    found = list(faults(root, version))
    if not (site / "index.html").is_file():
        found.append(f"{site}: expected the site, found none: make site")
    if found:
        raise SiteError("\n".join([f"no release {version}:", *(f"  {one}" for one in found)]))
    day = stand_of(root).evidence_dates["data/protocol.yml, evidence_date"]
    package = package_of(root, day)
    contents = {
        package.path: package.content,
        f"cellclaims-site-{version}.zip": site_zip(site),
        "CITATION.cff": (root / "CITATION.cff").read_bytes(),
        "CITATION.txt": citation_words(root).encode(),
        "zenodo.json": zenodo_text(root).encode(),
        "CHANGELOG.md": (root / "CHANGELOG.md").read_bytes(),
    }
    contents["SHA256SUMS"] = "".join(
        f"{sha256(content).hexdigest()}  {name}\n" for name, content in sorted(contents.items())
    ).encode()
    folder = into / f"cellclaims-{version}"
    for name, content in contents.items():
        write_atomically(folder / name, content)
    return [folder / name for name in contents]


def main(given: list[str]) -> None:
    """Check, build, or write ``.zenodo.json``."""
    root = Path(__file__).resolve().parents[2]
    options = {one for one in given if one.startswith("--")}
    version = next((one for one in given if not one.startswith("--")), "")
    try:
        if options == {"--zenodo"}:
            write_atomically(root / ZENODO, zenodo_text(root))
            print(root / ZENODO)
        elif options == {"--check"}:
            found = list(faults(root, version))
            if found:
                raise SiteError("\n".join([f"no release {version}:", *(f"  {one}" for one in found)]))
            print(f"release {version}: everything agrees")
        elif not options:
            for path in build(root, version, root / "reports" / "site", root / "dist"):
                print(path)
            print("nothing was uploaded and no tag was set")
        else:
            raise SiteError(f"expected --check, --zenodo or no option, found {' '.join(sorted(options))}")
    except SiteError as error:
        sys.exit(f"release: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
