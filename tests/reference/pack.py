"""Pack the reference values into one file, the same bytes for the same input.

    python tests/reference/pack.py FOLDER

reads every file of ``FOLDER`` and writes ``oracle.tar.xz``. Where they come from stands in ``ORIGIN.md``.
"""

from __future__ import annotations

import io
import sys
import tarfile
from pathlib import Path

PACK = Path(__file__).with_name("oracle.tar.xz")


def pack(folder: Path, target: Path) -> int:
    """Write all files of ``folder`` to ``target``, without times and owners; returns how many."""
    files = sorted(path for path in folder.iterdir() if path.suffix in {".json", ".md"})
    with tarfile.open(target, "w:xz", preset=9, format=tarfile.USTAR_FORMAT) as archive:
        for path in files:
            content = path.read_bytes()
            entry = tarfile.TarInfo(path.name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return len(files)


if __name__ == "__main__":
    print(f"{pack(Path(sys.argv[1]), PACK)} files in {PACK.name}, {PACK.stat().st_size:,} bytes")
