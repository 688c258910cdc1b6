"""``python -m sitepages [REPORTS [SITE]]`` from the root of the repository, with ``site/`` on Python's path."""

from __future__ import annotations

import sys
from pathlib import Path

from cellclaims.errors import ReviewError
from sitepages.build import CONFIGURATION, make_site


def main(given: list[str]) -> None:
    """Build the site and print a summary."""
    root = CONFIGURATION.parent
    reports = Path(given[0]) if given else root / "reports"
    into = Path(given[1]) if given[1:] else reports / "site"
    try:
        print(make_site(root, reports, into))
    except ReviewError as error:
        sys.exit(f"site: {error}")


if __name__ == "__main__":
    main(sys.argv[1:])
