"""The tables of ``data/``: read as typed frames (:func:`load`), checked (:mod:`cellclaims.tables.check`).

A *table* is one CSV file below the data folder, declared in ``datapackage.json``; a *row* is one line of it and
keeps its line number; a *fault* is a place where something else was expected.
"""

from __future__ import annotations

from cellclaims.tables.describe import dictionary, write_dictionary
from cellclaims.tables.faults import Fault
from cellclaims.tables.read import Evidence, load
from cellclaims.tables.schema import Column, Schema, Table, read_schema

__all__ = ["Column", "Evidence", "Fault", "Schema", "Table", "dictionary", "load", "read_schema", "write_dictionary"]
