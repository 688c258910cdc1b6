"""Rules that a schema cannot say: each reads the typed tables and yields the faults it finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from cellclaims.tables.faults import Fault
from cellclaims.tables.schema import Schema

if TYPE_CHECKING:
    from cellclaims.tables.read import Evidence


def faults(evidence: Evidence, schema: Schema) -> list[Fault]:
    """Every fault that the rules find."""
    return list(events_at_most_n(evidence, schema))


def events_at_most_n(evidence: Evidence, schema: Schema) -> Iterator[Fault]:
    """No more patients have the outcome than were looked at."""
    binary = evidence.binary
    for line, row in binary[binary.events > binary.n].iterrows():
        yield Fault(
            schema.tables["binary"].path,
            line,
            "events",
            "events_at_most_n",
            f"at most n = {row.n:g}",
            f"{row.events:g}",
        )
