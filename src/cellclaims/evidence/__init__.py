"""The tables of ``data/``: read as typed frames (:func:`load`), checked (:mod:`cellclaims.evidence.check`).

A *table* is one CSV file below the data folder, declared in ``datapackage.json``; a *row* is one line of it, with
its line number as index; a *fault* is a place where something else was expected.
"""

from __future__ import annotations

from cellclaims.errors import Fault
from cellclaims.evidence.dictionary import dictionary, write_dictionary
from cellclaims.evidence.read import load
from cellclaims.evidence.schema import Column, Evidence, Schema, TableSchema, read_schema

__all__ = [
    "Column",
    "Evidence",
    "Fault",
    "Schema",
    "TableSchema",
    "dictionary",
    "load",
    "read_schema",
    "write_dictionary",
]
