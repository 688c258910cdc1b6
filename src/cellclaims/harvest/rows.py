"""What a harvest hands out: rows in the columns of the published tables, and refusals.

A *pointer* is a JSON pointer (RFC 6901) into the record. Everything in ``values`` is text: a number as it was posted.
"""

from __future__ import annotations

from dataclasses import dataclass, field

#: The columns of ``continuous.csv`` that a record can answer; the others (study, arm, source) are a person's to give.
CONTINUOUS = (
    "outcome unit unit_printed months kind n center_type center dispersion_type dispersion_low dispersion_high "
    "locator status note"
).split()

#: The columns of ``binary.csv`` that a record can answer.
BINARY = (
    "outcome definition_id definition timing months time_origin events n percent percent_printed locator status note"
).split()

#: Table -> its columns.
COLUMNS = {"continuous": CONTINUOUS, "binary": BINARY}


@dataclass(frozen=True)
class Row:
    """One posted measurement as a row of a published table.

    Attributes
    ----------
    registration : str
        ``NCT`` and eight digits.
    table : {"continuous", "binary"}
    pointer : str
        The measurement (or the event group) that the row was read from.
    arm_title : str
        The group's title as posted, untouched.
    values : dict of str to str
        All of :data:`CONTINUOUS` or :data:`BINARY`; empty where the record does not say.
    n_pointer : str
        The denominator that ``n`` was read from.
    """

    registration: str
    table: str
    pointer: str
    arm_title: str
    values: dict[str, str]
    n_pointer: str = ""


@dataclass(frozen=True)
class Refusal:
    """What could not be read: a measurement, or everything below ``pointer``, with its title and the reason."""

    registration: str
    pointer: str
    title: str
    reason: str


@dataclass(frozen=True)
class Harvest:
    """The rows of one record, in its order, and what was refused."""

    rows: list[Row] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
