"""The evidence with another advertisement: a CSV in the shape of ``advertised/claims.csv``, checked by its schema."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

from cellclaims.errors import DataError, Fault, ProtocolError, listed
from cellclaims.evidence import Evidence
from cellclaims.evidence import load as load_evidence
from cellclaims.evidence.read import read_all
from cellclaims.evidence.schema import FILE, read_schema
from cellclaims.protocol import load as load_protocol
from cellclaims.selection import EvidenceBase
from cellclaims.yaml_files import one_of

#: Tables that a set of claims brings along: its own file, and a second one in the same folder.
CLAIMS, DOCUMENTS = "advertised/claims.csv", "advertised/documents.csv"
#: The rule that other tables name claims that there are.
NAMES_CLAIMS = "claims_exist"


def load(data: str | Path = "data", claims: str | Path = "") -> Evidence:
    """The tables of ``data``, with the claims of another advertisement in the place of the review's.

    Parameters
    ----------
    data : path
        Folder of the evidence.
    claims : path
        A CSV with the columns of ``advertised/claims.csv``. A ``documents.csv`` in the same folder, in the shape of
        ``advertised/documents.csv``, says what the advertisement is. Empty: the review's own claims.

    Returns
    -------
    Evidence
        Its fingerprint covers the other claims, too.

    Raises
    ------
    DataError
        For the faults of the file, each on a line: file, row, column, expected and found. Nothing is written.
    ProtocolError
        If ``answered_by`` names no counterpart of the protocol.

    Examples
    --------
    >>> len(load("data").claims)
    76
    """
    if not str(claims):
        return load_evidence(data)
    given, data = Path(claims), Path(data)
    if not given.is_file():
        raise DataError(f"{given}: expected a CSV of claims, found no file")
    documents = given.with_name("documents.csv")
    with tempfile.TemporaryDirectory() as folder:
        view = _copied(data, Path(folder))
        shutil.copyfile(given, view / CLAIMS)
        if documents.is_file():
            shutil.copyfile(documents, view / DOCUMENTS)
        evidence = _read(view, given, documents)
    check_counterparts(EvidenceBase(evidence, load_protocol(data)), given)
    return replace(evidence, folder=data)


def _copied(data: Path, view: Path) -> Path:
    """The declared tables of a data folder in another folder, without the answers of registries."""
    for path in (FILE, *(table.path for table in read_schema(data).tables.values())):
        (view / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(data / path, view / path)
    return view


def _read(view: Path, given: Path, documents: Path) -> Evidence:
    """Read the tables. Errors name the file."""
    evidence, faults = read_all(view)
    places = {CLAIMS: str(given), DOCUMENTS: str(documents)}
    # the review's other evidence names the claims of the review, which are not here
    found = [fault for fault in faults if not fault.anomaly_id and fault.rule != NAMES_CLAIMS]
    if found or evidence is None:
        told = [str(replace(fault, file=places.get(fault.file, fault.file))) for fault in found]
        raise DataError("\n".join(told))
    return evidence


def check_counterparts(base: EvidenceBase, given: Path) -> None:
    """Refuse claims that nothing in the protocol answers, each with its line."""
    known = base.protocol["answers"]
    faults = [
        Fault(str(given), line, "answered_by", "counterpart", one_of(list(known), name), repr(name))
        for line, name in base.evidence.claims.answered_by.items()
        if name not in known
    ]
    if faults:
        raise ProtocolError(listed(faults))
