"""Faults and errors, with what was expected, what was found, and where.

Every refusal of the package is a :class:`ReviewError`, so that the command line can show one clear line and a
program can catch one class. Subclasses name the kind of refusal. A message can be understood without the code.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ReviewError(Exception):
    """A refusal of cellclaims, with the reason.

    Notebooks show the message without a traceback.
    """

    def _render_traceback_(self) -> list[str]:
        """Return the lines that IPython shows instead of a traceback."""
        return [f"{type(self).__name__}: {self}"]


class DataError(ReviewError):
    """A table of ``data/`` has an error; the message names file, row, column, expected and found value."""


class ProtocolError(ReviewError):
    """``data/protocol.yml`` or a parameter contains a value that is unknown to the review."""


class SourceError(ReviewError):
    """A public source or its stored answers cannot be used; the message names address or file, expected and found."""


class NetworkError(SourceError):
    """A source could not be reached, or sent no complete answer after all retries."""


class RefusedAnswer(SourceError):
    """An answer that is rejected: too large, from another host, in another format, or a refusal by the source.

    ``status`` is its HTTP status, or 0 if its content is the reason.
    """

    def __init__(self, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.status = status


class ProposalError(ReviewError):
    """A file of proposals, or a decision in it, that cannot be applied; the message names file, row and column."""


class FormError(ReviewError):
    """A filled-in form that cannot be added, or written: names file, sheet, row and column, expected and found."""


class PoolingError(ReviewError):
    """Effects and variances that cannot be pooled: wrong shape, missing, zero or negative variance, too few."""


class ClusterError(ReviewError):
    """A Dask cluster that cannot be used: not installed, no answer, no workers, other versions."""


class HarvestError(ReviewError):
    """Registry records that cannot be harvested, or a file that cannot be written."""


class ParameterError(ReviewError):
    """A notebook was given a parameter that it does not declare, or a value of another type."""


class NotebookError(ReviewError):
    """A notebook failed while it ran; contains the cell and the traceback."""


@dataclass(frozen=True)
class Fault:
    """One error at one place in a table.

    Parameters
    ----------
    file : str
        Path of the table below the data folder, as ``published/binary.csv``.
    row : int or None
        Line of the file, the header being line 1; None for the whole file.
    column : str
        Column name; empty for a whole row or file.
    rule : str
        Name of the rule that found it.
    expected, found : str
        What was expected and found, in words.
    anomaly_id : str
        The row of ``anomalies.csv`` that records it as an error of the source; empty if it has to be corrected.

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
        """Return file, row and column in words."""
        row = "" if self.row is None else f", row {self.row}"
        return f"{self.file}{row}" + (f", column {self.column}" if self.column else "")

    def __str__(self) -> str:
        return f"{self.place}: expected {self.expected}, found {self.found} ({self.rule})"


@dataclass(frozen=True)
class KeyFault(Fault):
    """One error in a YAML file: ``row`` is the line, ``column`` the path of keys.

    Examples
    --------
    >>> print(KeyFault("protocol.yml", 7, "outcomes.hba1c.window", "minimum", "at least 0", "-3"))
    protocol.yml, line 7, key outcomes.hba1c.window: expected at least 0, found -3 (minimum)
    """

    @property
    def place(self) -> str:
        """Return file, line and key in words."""
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
    """Return the first fault in full and the number of others, as one message.

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
