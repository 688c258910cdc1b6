"""The pages made from files of the repository, and their headings in the menu."""

from __future__ import annotations

from pathlib import Path

#: Files at the top that move, as every notebook does.
MOVED = {
    "README.md": "index.md",
    "data/README.md": "data/dictionary.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
}

#: Heading of the menu -> pages of ``docs/`` below it, in reading order; others come at the end of GUIDES.
METHOD, GUIDES, INSIDE, PROJECT = "The method", "Running it", "How it works", "The project"
NAMED = {
    METHOD: (
        *("README", "method", "findings", "protocol", "search", "screening", "add_a_study", "another_advertisement"),
        *("own_studies", "appraisal", "journal_club"),
    ),
    GUIDES: ("environment", "batch", "site", "living", "pull", "changes", "harvest", "proposals"),
    INSIDE: ("r", "engine", "calibration", "design", "decisions", "appendix_performance", "appendix_faults"),
}

#: Pages of the menu that are not made from a file of ``docs/``.
MADE = {INSIDE: ("api/meta", "api/robustness"), PROJECT: ("tests/RULES", "changelog", "contributing")}


def notebooks(root: Path) -> list[Path]:
    """Return the notebooks: numbered ones in their order, then the others by name."""
    found = (root / "notebooks").glob("*.ipynb")
    return sorted(
        (path for path in found if ".running" not in path.name), key=lambda p: (not p.name[0].isdigit(), p.name)
    )


def moved(root: Path) -> dict[str, str]:
    """Return path in the repository -> path in the site, for pages that are moved."""
    return {**MOVED, **{f"notebooks/{path.name}": f"notebooks/{path.stem}.md" for path in notebooks(root)}}


def written(root: Path) -> list[Path]:
    """Return the written pages: all of ``docs/``, and some of other folders."""
    others = ("CHANGELOG.md", "CONTRIBUTING.md", "tests/RULES.md")
    return [*sorted((root / "docs").glob("*.md")), *(root / name for name in others)]


def menu(root: Path) -> dict[str, list[str]]:
    """Return heading of the menu -> names of its pages."""
    there = {path.stem for path in (root / "docs").glob("*.md")}
    others = sorted(there.difference(*NAMED.values()))
    below = {title: [f"docs/{name}" for name in NAMED.get(title, ()) if name in there] for title in (*NAMED, PROJECT)}
    below[GUIDES] += [f"docs/{name}" for name in others]
    guides = {title: [*pages, *MADE.get(title, ())] for title, pages in below.items()}
    books = [f"notebooks/{path.stem}" for path in notebooks(root)]
    return {"The review": [*books, "ledger", "club"], "The evidence": ["data/dictionary", "download"], **guides}
