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
