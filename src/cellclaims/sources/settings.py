"""How a pull behaves: who asks, how long it waits, how much it takes."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import cellclaims
from cellclaims.errors import SourceError

CONTACT = re.compile(r"[^\s@<>;,()]+@[^\s@<>;,()]+\.[^\s@<>;,()]+|https?://[^\s<>;,()]+")
KEY = re.compile(r"[0-9A-Za-z]{8,64}")


@dataclass(frozen=True)
class Settings:
    """How a pull behaves.

    Attributes
    ----------
    contact : str
        An e-mail or web address by which a source can reach who asks; "" for none.
    api_key : str
        Of NCBI; never stored, never shown.
    bases : mapping of str
        Other addresses in front of a source's paths, on this computer only (tests).
    attempts : int
        How often one request is made before it is given up.
    first_wait, longest_wait : float
        Seconds before the second attempt, doubled each time with jitter, and the most of it.
    longest_asked : float
        The longest wait, in seconds, that a source may ask for (Retry-After); for more it is given up for now.
    silence, whole : float
        Seconds without a byte, and seconds of one answer, after which an attempt has failed.
    most_bytes : int
        The largest answer, as sent and as decompressed.
    per_second : float or None
        Another limit than each source's own (tests).
    cache : Path or None
        Where answers are kept for revalidation; None keeps none.
    """

    contact: str = ""
    api_key: str = field(default="", repr=False)
    bases: Mapping[str, str] = field(default_factory=dict)
    attempts: int = 5
    first_wait: float = 1.0
    longest_wait: float = 30.0
    longest_asked: float = 120.0
    silence: float = 30.0
    whole: float = 600.0
    most_bytes: int = 100_000_000
    per_second: float | None = None
    cache: Path | None = None

    def __post_init__(self) -> None:
        # A line end in a header would start another header.
        if self.contact and not CONTACT.fullmatch(self.contact):
            raise SourceError(f"CELLCLAIMS_CONTACT: expected an e-mail or web address, found {self.contact[:80]!r}")
        if self.api_key and not KEY.fullmatch(self.api_key):
            raise SourceError("NCBI_API_KEY: expected letters and digits only, found something else (not shown)")

    @property
    def user_agent(self) -> str:
        """What every request calls itself.

        Examples
        --------
        >>> Settings(contact="lab@example.org").user_agent  # doctest: +ELLIPSIS
        'cellclaims/... (mailto:lab@example.org)'
        """
        contact = self.contact if self.contact.startswith("http") else f"mailto:{self.contact}"
        return f"cellclaims/{cellclaims.__version__}" + (f" ({contact})" if self.contact else "")


def from_environment(**others: object) -> Settings:
    """Settings with the contact and the key of the environment: CELLCLAIMS_CONTACT, NCBI_API_KEY.

    Raises
    ------
    SourceError
        If one of them cannot be part of a request.
    """
    contact = os.environ.get("CELLCLAIMS_CONTACT", "").strip()
    return Settings(contact=contact, api_key=os.environ.get("NCBI_API_KEY", "").strip(), **others)
