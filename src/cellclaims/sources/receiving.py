"""Take the bytes of one answer as they arrive: counted as sent and as decompressed, and never for ever."""

from __future__ import annotations

import time
import zlib
from collections.abc import Iterable, Iterator

from cellclaims.errors import RefusedAnswer
from cellclaims.sources.retrying import PassingFault

#: How much one step of decompression may yield, so that a bomb is seen long before it fills the memory.
STEP = 1 << 20


def received(chunks: Iterable[bytes], encoding: str, most: int, whole: float, where: str) -> bytes:
    """The content of an answer, decompressed.

    Parameters
    ----------
    chunks : iterable of bytes
        As they arrive.
    encoding : str
        The Content-Encoding header: "", identity, gzip or deflate.
    most : int
        The largest number of bytes, as sent and as decompressed.
    whole : float
        Seconds after which an answer that still arrives is given up.
    where : str
        The address, for messages.

    Raises
    ------
    RefusedAnswer
        If the answer is too large or in another encoding.
    PassingFault
        If it is broken, ends early or takes too long: the next attempt may be better.

    Examples
    --------
    >>> received([zlib.compress(b"an"), b""], "deflate", 100, 1, "https://host")
    b'an'
    >>> received([b"a" * 101], "", 100, 1, "https://host")
    Traceback (most recent call last):
    cellclaims.errors.RefusedAnswer: https://host: expected at most 100 bytes, found more: not taken
    """
    content = bytearray()
    for part in _decoded(_counted(chunks, most, whole, where), encoding.strip().lower(), where):
        content += part
        if len(content) > most:
            raise RefusedAnswer(f"{where}: expected at most {most:,} bytes after decompression, found more: not taken")
    return bytes(content)


def _counted(chunks: Iterable[bytes], most: int, whole: float, where: str) -> Iterator[bytes]:
    end, count = time.monotonic() + whole, 0
    for chunk in chunks:
        count += len(chunk)
        if count > most:
            raise RefusedAnswer(f"{where}: expected at most {most:,} bytes, found more: not taken")
        if time.monotonic() > end:
            raise PassingFault(f"an answer that still arrived after {whole:g} s")
        yield chunk


def _decoded(chunks: Iterator[bytes], encoding: str, where: str) -> Iterator[bytes]:
    if encoding in ("", "identity"):
        yield from chunks
    elif encoding in ("gzip", "x-gzip", "deflate"):
        yield from _inflated(chunks)
    else:
        raise RefusedAnswer(f"{where}: expected an answer in gzip or none, found the encoding {encoding[:40]!r}")


def _inflated(chunks: Iterator[bytes]) -> Iterator[bytes]:
    machine = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, as the first bytes say
    for chunk in chunks:
        while chunk:
            try:
                yield machine.decompress(chunk, STEP)
            except zlib.error as fault:
                raise PassingFault(f"a broken compression ({fault})") from None
            if machine.unused_data:
                raise PassingFault("bytes after the end of the compression")
            chunk = machine.unconsumed_tail
    yield machine.flush()
    if not machine.eof:
        raise PassingFault("a compression that ends early")
