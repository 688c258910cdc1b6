"""What every test may ask for: the reference values, and the folder of shared material."""

from __future__ import annotations

import functools
import json
import os
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
ORACLE_PACK = REPOSITORY / "tests" / "reference" / "oracle.tar.xz"


class Oracle(Mapping[str, dict]):
    """The reference files by name without ``.json`` (``oracle["bcg__RR"]``), parsed when first asked for.

    ``analyses()`` are the dataset x measure files, ``ending("escalc")`` those named ``<dataset>__escalc``,
    ``starting("mv_")`` those of three-level models; each yields ``(name, content)``.
    """

    def __init__(self, pack: Path) -> None:
        with tarfile.open(pack) as archive:
            self.raw = {entry.name: archive.extractfile(entry).read() for entry in archive}
        self.parsed: dict[str, dict] = {}

    def __getitem__(self, name: str) -> dict:
        if name not in self.parsed:
            self.parsed[name] = json.loads(self.raw[f"{name}.json"])
        return self.parsed[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(name.removesuffix(".json") for name in self.raw if name.endswith(".json")))

    def __len__(self) -> int:
        return sum(name.endswith(".json") for name in self.raw)

    def starting(self, start: str) -> Iterator[tuple[str, dict]]:
        """Files whose name starts with ``start``."""
        return ((name, self[name]) for name in self if name.startswith(start))

    def ending(self, part: str) -> Iterator[tuple[str, dict]]:
        """Files named ``<dataset>__<part>``."""
        return ((name, self[name]) for name in self if name.endswith(f"__{part}"))

    def analyses(self) -> Iterator[tuple[str, dict]]:
        """Files of one dataset on one measure: those with ``fits``."""
        return ((name, self[name]) for name in self if "__" in name and "fits" in self[name])


@functools.cache
def read_oracle() -> Oracle:
    """The packed reference values, opened once a run."""
    return Oracle(ORACLE_PACK)


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    """Reference values of metafor (``tests/reference/ORIGIN.md``)."""
    return read_oracle()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ``shared`` beside the repository; without it a skip, on CI (where skips pass) a failure."""
    folder = REPOSITORY.parent / "shared"
    if not folder.is_dir():
        if os.environ.get("CI") == "true":
            pytest.fail("the folder 'shared' is expected beside the repository on CI")
        pytest.skip("no folder 'shared' beside the repository: nothing to compare with")
    return folder
