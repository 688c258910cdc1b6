"""Faults and errors that say what was expected, what was found, and where.

Every refusal of the package is a :class:`ReviewError`, so that the command line can show one clear line and a
program can catch one name. A child names the kind of refusal; its message stands alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ReviewError(Exception):
    """Anything that cellclaims refuses to do, with the reason.

    In a notebook its message is shown without a traceback: it says what to change, and where.
    """

    def _render_traceback_(self) -> list[str]:
        """Lines that IPython shows in place of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class DataError(ReviewError):
    """A table of ``data/`` cannot be used as it is: names the file, row, column, expected and found."""


class ProtocolError(ReviewError):
    """``data/protocol.yml`` or a parameter asks for something that the review does not know."""


class SourceError(ReviewError):
    """A public source or its stored answers cannot be used: names the address or file, expected and found."""


class NetworkError(SourceError):
    """A source could not be reached, or gave no whole answer after every retry."""


class RefusedAnswer(SourceError):
    """An answer that is not taken: too large, of another host, of another shape, or a refusal of the source.

    ``status`` is its HTTP status, 0 where the answer itself is the reason.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ProposalError(ReviewError):
    """A file of proposals, or a decision in it, that cannot be taken over: names file, row, column."""


class FormError(ReviewError):
    """A filled-in form that cannot be added, or written: names file, sheet, row and column, expected and found."""


class PoolingError(ReviewError):
    """Effects and variances that cannot be pooled: wrong shape, missing, zero or negative variance, too few."""


class ClusterError(ReviewError):
    """A Dask cluster that cannot be used: not installed, no answer, no workers, other versions."""


class HarvestError(ReviewError):
    """Registry records that cannot be harvested, or a place that rows cannot be written to."""


class ParameterError(ReviewError):
    """A notebook was given a parameter that it does not declare, or a value of another type."""


class NotebookError(ReviewError):
    """A notebook failed while it ran; carries the cell and the traceback."""


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong in one place.

    Parameters
    ----------
    file : str
        Path of the table below the data folder, as ``published/binary.csv``.
    row : int or None
        Line of the file, the header being line 1; None where the whole file is meant.
    column : str
        Column name; empty where a whole row or file is meant.
    rule : str
        Name of the rule that found it.
    expected, found : str
        In words that stand alone.
    anomaly_id : str
        The row of ``anomalies.csv`` that records it as the source's own fault; empty: it is to be mended.

    Examples
    --------
    >>> print(Fault("published/binary.csv", 7, "events", "events_at_most_n", "at most n = 10", "12"))
    published/binary.csv, row 7, column events: expected at most n = 10, found 12 (events_at_most_n)
    """

    file: str
    row: int | None
    column: str
    rule: str
    expected: str
    found: str
    anomaly_id: str = ""

    @property
    def place(self) -> str:
        """File, row and column in words."""
        row = "" if self.row is None else f", row {self.row}"
        return f"{self.file}{row}" + (f", column {self.column}" if self.column else "")

    def __str__(self) -> str:
        return f"{self.place}: expected {self.expected}, found {self.found} ({self.rule})"


@dataclass(frozen=True)
class KeyFault(Fault):
    """One thing that is wrong in a YAML file: ``row`` is the line, ``column`` the keys that lead to the place.

    Examples
    --------
    >>> print(KeyFault("protocol.yml", 7, "outcomes.hba1c.window", "minimum", "at least 0", "-3"))
    protocol.yml, line 7, key outcomes.hba1c.window: expected at least 0, found -3 (minimum)
    """

    @property
    def place(self) -> str:
        """File, line and key in words."""
        line = "" if self.row is None else f", line {self.row}"
        return f"{self.file}{line}" + (f", key {self.column}" if self.column else "")


@dataclass(frozen=True)
class SheetFault(Fault):
    """One thing that is wrong in a workbook: ``row`` is the row of the sheet, ``column`` its letter and heading.

    Examples
    --------
    >>> print(SheetFault("smith2026.xlsx", 4, "J (Value)", "type", "a plain number", "'7,9'", sheet="Means"))
    smith2026.xlsx, sheet Means, row 4, column J (Value): expected a plain number, found '7,9' (type)
    """

    sheet: str = ""

    @property
    def place(self) -> str:
        """File, sheet, row and column in words."""
        sheet = f", sheet {self.sheet}" if self.sheet else ""
        row = "" if self.row is None else f", row {self.row}"
        return f"{self.file}{sheet}{row}" + (f", column {self.column}" if self.column else "")


def message(faults: list[Fault]) -> str:
    """The first fault in full and how many more there are: one clear error for a person to start with.

    Examples
    --------
    >>> message([Fault("a.csv", 2, "n", "type", "a number", "'x'"), Fault("a.csv", 3, "n", "type", "y", "z")])
    "a.csv, row 2, column n: expected a number, found 'x' (type); and 1 more fault: `cellclaims check` lists all"
    """
    more = len(faults) - 1
    if not more:
        return str(faults[0])
    return f"{faults[0]}; and {more} more fault{'s' if more > 1 else ''}: `cellclaims check` lists all"


def listed(faults: Sequence[Fault]) -> str:
    """Return all faults as the text of an error, one per line.

    Examples
    --------
    >>> print(listed([Fault("a.csv", 2, "n", "type", "a number", "'x'"), Fault("a.csv", 3, "n", "type", "y", "z")]))
    2 faults
    a.csv, row 2, column n: expected a number, found 'x' (type)
    a.csv, row 3, column n: expected y, found z (type)
    """
    lines = [str(fault) for fault in faults]
    return lines[0] if len(lines) == 1 else "\n".join([f"{len(lines)} faults", *lines])
