"""Make the site from the repository and the reports of a finished review; ``make site`` asks for both."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from cellclaims.files import write_atomically
from sitepages import SiteError, check_links
from sitepages.stage import gathered, write_stage

#: Folder of Sphinx's configuration and of the theme.
CONFIGURATION = Path(__file__).resolve().parent.parent

#: What Sphinx leaves for itself and no reader needs.
TRACES = (".buildinfo", "_sources", "objects.inv")


def make_site(root: Path, reports: Path, into: Path) -> str:
    """Make the site aside, look at all its links, and put it in its place when it is whole.

    Parameters
    ----------
    root : Path
        The repository.
    reports : Path
        Folder of the review's reports.
    into : Path
        The site; one that is there is replaced.

    Returns
    -------
    str
        What was made, in a line.

    Raises
    ------
    SiteError
        If Sphinx complains, or a link, an anchor or a picture's words are missing; the old site stays.
    """
    material = gathered(root, reports)
    into.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into.parent, prefix=".site-") as scratch:
        source, extra, made = (Path(scratch, name) for name in ("source", "extra", "made"))
        write_stage(material, source, extra)
        run_sphinx(source, extra, made)
        said = checked(made)
        replace(made, into)
    return f"{into / 'index.html'}: {said}"


def run_sphinx(source: Path, extra: Path, made: Path) -> None:
    """Let Sphinx make the pages, in a process of its own; a warning is an error."""
    options = ["-b", "html", "-W", "--keep-going", "-q", "-c", CONFIGURATION, "-d", made.with_name("doctrees")]
    surroundings = {**os.environ, "CELLCLAIMS_SITE_EXTRA": str(extra)}
    if subprocess.run([sys.executable, "-m", "sphinx", *options, source, made], env=surroundings).returncode:
        raise SiteError("Sphinx: expected pages without a warning, found those above")
    for name in TRACES:
        path = made / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def checked(made: Path) -> str:
    """Refuse a site with a fault; else list the addresses outside and say what was looked at."""
    pages = check_links.read_pages(made)
    if found := check_links.faults(made, pages):
        raise SiteError("\n".join([f"{len(found)} faults:", *found[:50]]))
    addresses = list(check_links.outside(pages))
    listing = "".join(f"{address}\t{', '.join(names)}\n" for address, names in addresses)
    write_atomically(made / "links_outside.txt", listing)
    links = sum(len(page.links) for page in pages.values())
    return f"{len(pages)} pages, {links} links; {len(addresses)} addresses outside, looked at for their form only"


def replace(made: Path, into: Path) -> None:
    """Put the new site in the place of the old one."""
    old = made.with_name("old")
    if into.exists():
        into.rename(old)
    made.rename(into)
