"""The table of docs/appendix_faults.md: the result of a pull for every fault of a source.

    python benchmarks/faults.py            print the table
    python benchmarks/faults.py --write    write it into docs/appendix_faults.md, between its marks

The cases are in tests/registry_faults.py; each is a complete pull from servers on this computer.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests import registry_faults, registry_server  # noqa: E402

from cellclaims.files import write_atomically  # noqa: E402

PAGE = ROOT / "docs" / "appendix_faults.md"
MARKS = "<!-- faults: made by benchmarks/faults.py, do not edit -->", "<!-- end of faults -->"


def main() -> None:
    """Run every case, print or write the table."""
    outcomes = {}
    with registry_server.sources() as made:
        for case in registry_faults.CASES:
            with tempfile.TemporaryDirectory() as folder:
                outcomes[case] = registry_faults.run(case, registry_faults.stored(Path(folder)), made)
    table = registry_faults.table(outcomes)
    if "--write" in sys.argv[1:]:
        start, end = map(re.escape, MARKS)
        page = PAGE.read_text(encoding="utf-8")
        new = f"{MARKS[0]}\n{table}\n{MARKS[1]}"
        write_atomically(PAGE, re.sub(f"{start}.*?{end}", lambda found: new, page, flags=re.S))
    else:
        print(table)


if __name__ == "__main__":
    main()
