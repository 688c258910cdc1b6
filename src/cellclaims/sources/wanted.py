"""What a pull asks for: the queries of the protocol, and the numbers of the reports that the evidence has."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from cellclaims.errors import SourceError
from cellclaims.protocol import Protocol
from cellclaims.sources.asking import Wanted
from cellclaims.sources.ctgov import NCT
from cellclaims.sources.services import SERVICES

DOI = re.compile(r"10\.\d{4,9}/\S+")


def wanted(rules: Protocol, data: Path) -> dict[str, Wanted]:
    """What each source is asked for.

    Parameters
    ----------
    rules : Protocol
        Its section ``pull`` holds the queries.
    data : Path
        The folder of the evidence; ``published/studies.csv`` holds DOIs and registrations.

    Raises
    ------
    ProtocolError
        If the section is of another shape.
    SourceError
        If the table cannot be read.
    """
    registrations, dois = known_numbers(data / "published" / "studies.csv")
    return {source: Wanted(rules.queries(source), registrations, dois) for source in SERVICES}


def known_numbers(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """NCT numbers and DOIs of the reports, each once, in order; raises SourceError if the table cannot be read."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [(row["registry_id"] or "", (row["doi"] or "").strip()) for row in csv.DictReader(file)]
    except (OSError, KeyError, UnicodeDecodeError, csv.Error) as fault:
        raise SourceError(f"{path}: expected the columns registry_id and doi, found {fault!r}") from None
    registrations = sorted({number for text, _ in rows for number in NCT.findall(text)})
    return tuple(registrations), tuple(sorted({doi for _, doi in rows if DOI.fullmatch(doi)}))
