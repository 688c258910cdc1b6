"""Downloads: the data as one file, the tables, the results of the review."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from cellclaims.evidence.schema import FILE

#: A file of a zip has a date; this one says nothing, and is the same on every day and machine.
NO_DATE = (1980, 1, 1, 0, 0, 0)
READABLE = 0o644 << 16

#: Further files in the data package.
BESIDE = ("data/README.md", "data/protocol.yml", f"data/{FILE}", "LICENSE-DATA", "CITATION.cff")

#: Numbers that a review leaves in its folder of reports, and what they are.
NUMBERS = {
    "results.json": "every pool of the review with its rows, at full precision",
    "claims.json": "every entry of the ledger with its finding, reasons and sources",
}


@dataclass(frozen=True)
class Download:
    """A file for download: its path below ``downloads/``, its bytes, and a description."""

    path: str
    content: bytes
    about: str

    @property
    def sha256(self) -> str:
        """Return the SHA-256 of its bytes, in hexadecimal."""
        return sha256(self.content).hexdigest()


def table_files(root: Path) -> list[str]:
    """Return the tables that the data package declares, as paths from the root of the repository."""
    declared = json.loads((root / "data" / FILE).read_text(encoding="utf-8"))
    return [f"data/{resource['path']}" for resource in declared["resources"]]


def package_of(root: Path, date: str) -> Download:
    """The data package as a zip: tables, their description, protocol, licence, citation; equal files give equal bytes.

    Nothing is compressed, so that the bytes do not depend on the version of a compressor.
    """
    folder = f"cellclaims-data-{date}"
    names = sorted([*table_files(root), *BESIDE])
    content = zipped({f"{folder}/{name}": (root / name).read_bytes() for name in names})
    return Download(f"{folder}.zip", content, "all tables with their description, protocol and licence")


def zipped(files: Mapping[str, bytes]) -> bytes:
    """Files as a zip without compression or dates, in the order in which they come: equal files give equal bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, NO_DATE)
            entry.external_attr = READABLE
            entry.create_system = 3  # the same on every system
            archive.writestr(entry, content)
    return buffer.getvalue()


def downloads(root: Path, reports: Path, date: str) -> list[Download]:
    """Return all downloads, the package first.

    Parameters
    ----------
    root : Path
        The repository.
    reports : Path
        Folder of a review; its numbers are offered where they are there.
    date : str
        Day of the evidence, for the package's name.
    """
    numbers = [
        Download(name, (reports / name).read_bytes(), about)
        for name, about in NUMBERS.items()
        if (reports / name).is_file()
    ]
    citation = Download("CITATION.cff", (root / "CITATION.cff").read_bytes(), "how to cite, for reference managers")
    return [package_of(root, date), *numbers, citation, *_singles(root)]


def _singles(root: Path) -> Iterable[Download]:
    """Yield each table, and their description."""
    for name in [*table_files(root), *BESIDE[:3]]:
        yield Download(name, (root / name).read_bytes(), "")


def size_words(count: int) -> str:
    """Return a number of bytes for readers.

    Examples
    --------
    >>> size_words(950), size_words(563200)
    ('950 bytes', '563 kB')
    """
    return (
        f"{count} bytes" if count < 1000 else f"{count / 1000:.0f} kB" if count < 10**6 else f"{count / 10**6:.1f} MB"
    )
