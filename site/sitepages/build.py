"""Build the site from the repository and the reports of a complete review."""

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

#: Files of Sphinx that readers do not need.
TRACES = (".buildinfo", "_sources", "objects.inv")


def make_site(root: Path, reports: Path, into: Path) -> str:
    """Build the site in a temporary folder, check all links, and move it into place when complete.

    Parameters
    ----------
    root : Path
        The repository.
    reports : Path
        Folder of the review's reports.
    into : Path
        The site; an existing one is replaced.

    Returns
    -------
    str
        A summary in one line.

    Raises
    ------
    SiteError
        If Sphinx warns, or a link, an anchor or an alternative text is missing; the old site is kept.
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
    """Run Sphinx in a separate process; a warning is an error."""
    options = ["-b", "html", "-W", "--keep-going", "-q", "-c", CONFIGURATION, "-d", made.with_name("doctrees")]
    surroundings = {**os.environ, "CELLCLAIMS_SITE_EXTRA": str(extra)}
    if subprocess.run([sys.executable, "-m", "sphinx", *options, source, made], env=surroundings).returncode:
        raise SiteError("Sphinx: expected pages without a warning, found those above")
    for name in TRACES:
        path = made / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def checked(made: Path) -> str:
    """Raise an error for a site with a fault; else write the list of external addresses and return a summary."""
    pages = check_links.read_pages(made)
    if found := check_links.faults(made, pages):
        raise SiteError("\n".join([f"{len(found)} faults:", *found[:50]]))
    addresses = list(check_links.outside(pages))
    listing = "".join(f"{address}\t{', '.join(names)}\n" for address, names in addresses)
    write_atomically(made / "links_outside.txt", listing)
    links = sum(len(page.links) for page in pages.values())
    return f"{len(pages)} pages, {links} links; {len(addresses)} external addresses, checked for their form only"


def replace(made: Path, into: Path) -> None:
    """Replace the old site by the new one."""
    old = made.with_name("old")
    if into.exists():
        into.rename(old)
    made.rename(into)
