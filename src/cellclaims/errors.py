"""Errors that say what was expected, what was found, and where.

Every refusal of the package is a :class:`ReviewError`, so that the command line can show one clear line and a
program can catch one name. A child names the kind of refusal; its message stands alone.
"""

from __future__ import annotations


class ReviewError(Exception):
    """Anything that cellclaims refuses to do, with the reason."""


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
