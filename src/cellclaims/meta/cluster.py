"""Processing of the pieces of a batch by a Dask cluster, with the same result as on one computer.

A piece is some chunks of a batch with their data. It is sent inside its task: the scheduler keeps it until the
result has been fetched, and gives it to another worker if one is lost. (Data placed on the workers
first would be lost with them.) Dask is an extra, imported when an address is given and not before.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import numpy as np

import cellclaims
from cellclaims.errors import ClusterError

if TYPE_CHECKING:
    from distributed import Client

P = TypeVar("P")
T = TypeVar("T")

#: What an address looks like: perhaps a protocol, a host (in brackets if by IPv6), a port.
ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?(\[[0-9a-fA-F:]+\]|[^\s/:\[\]]+):\d{1,5}")

#: Seconds to wait for a scheduler's answer.
PATIENCE = 10.0

#: Pieces on their way for each thread of the workers: none waits for the next, and no more of them are in memory.
AHEAD = 3


def on_cluster(work: Callable[[P], T], pieces: Iterable[P], address: str) -> list[T]:
    """Apply a function to every piece on the workers of a Dask scheduler.

    Parameters
    ----------
    work : callable
        Of one piece; it must be picklable, and is the same on every worker.
    pieces : iterable
        Made one by one as the workers get on.
    address : str
        The scheduler's address, such as ``tcp://127.0.0.1:8786``.

    Returns
    -------
    list
        Outcomes in the order of the pieces.

    Raises
    ------
    ClusterError
        If Dask is not installed, nothing answers at the address or it is none, there are no workers, or one of them
        has another version of cellclaims or NumPy: last digits could then differ.
    """
    done, running = [], deque()
    with connected(address) as client:
        ahead = AHEAD * sum(client.nthreads().values())
        for piece in pieces:
            if len(running) >= ahead:
                done.append(running.popleft().result())
            running.append(client.submit(_on_worker, work, piece, versions(), pure=False))
        return [*done, *(future.result() for future in running)]


def versions() -> dict[str, str]:
    """Return the versions that determine the digits of a result."""
    return {"cellclaims": cellclaims.__version__, "numpy": np.__version__}


def _on_worker(work: Callable[[P], T], piece: P, expected: dict[str, str]) -> T:
    if versions() != expected:
        raise ClusterError(f"worker: expected the versions {expected}, found {versions()}")
    return work(piece)


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Connect to the scheduler at ``address``; close the client at the end.

    Raises
    ------
    ClusterError
        If Dask is not installed, nothing answers at the address or it is none, or there are no workers.
    """
    if not ADDRESS.fullmatch(address):
        raise ClusterError(f"scheduler: expected an address such as tcp://127.0.0.1:8786, found {address!r}")
    try:
        from distributed import Client
    except ImportError as error:
        raise ClusterError("scheduler: expected Dask, found none: pip install 'cellclaims[cluster]'") from error
    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except OSError as error:
        raise ClusterError(f"scheduler: expected a Dask scheduler's answer, found none at {address!r}") from error
    with client:
        if not client.nthreads():
            raise ClusterError(f"scheduler: expected workers at {address!r}, found none: dask worker {address}")
        yield client
