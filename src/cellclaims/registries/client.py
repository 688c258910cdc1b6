"""HTTP client that identifies itself, respects the request limits of each source, and checks every answer."""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urljoin, urlsplit
from urllib.request import getproxies

import cellclaims
from cellclaims.errors import NetworkError, RefusedAnswer, SourceError

if TYPE_CHECKING:
    import httpx
    import pyrate_limiter


# Addresses: their host, whether it is private, and hiding of keys before they are shown.


#: Parameters that identify the user: never stored or shown.
WHO = frozenset({"api_key", "api-key", "apikey", "email", "mailto", "tool"})
_WHO_IN_TEXT = re.compile(rf"(?i)\b({'|'.join(sorted(WHO))})([\"']?\s*[:=]\s*[\"']?)[^&\s\"']+")


def origin(address: str) -> str:
    """Return scheme, host and port of an address, without user names.

    Examples
    --------
    >>> origin("https://name@Host.org:443/path?q=1")
    'https://host.org'
    >>> origin("http://[::1]:8080/")
    'http://[::1]:8080'
    """
    parts = urlsplit(address)
    host = parts.hostname or ""
    port = parts.port if parts.port != {"https": 443, "http": 80}.get(parts.scheme) else None
    return f"{parts.scheme}://{f'[{host}]' if ':' in host else host}{f':{port}' if port else ''}"


def is_loopback(address: str) -> bool:
    """Return whether an address names this computer by number or as ``localhost``.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:8000/"), is_loopback("https://clinicaltrials.gov/")
    (True, False)
    """
    host = urlsplit(address).hostname or ""
    number = _number(host)
    return host == "localhost" or (number is not None and number.is_loopback)


def is_private(host: str) -> bool:
    """Return whether a host is an IP number outside the public internet, or this computer.

    Examples
    --------
    >>> [is_private(host) for host in ("10.0.0.8", "169.254.169.254", "::1", "localhost", "8.8.8.8", "ebi.ac.uk")]
    [True, True, True, True, False, False]
    """
    number = _number(host)
    return host == "localhost" or (number is not None and not number.is_global)


def _number(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def shown(text: object, most: int = 300) -> str:
    """Return outside text for a message: one line, no control characters or keys, at most ``most`` characters.

    Examples
    --------
    >>> shown("https://host/x?api_key=secret&term=a")
    'https://host/x?api_key=...&term=a'
    >>> shown("red\\x1b[31m\\nnext")
    'red\\\\x1b[31m\\\\nnext'
    """
    line = _WHO_IN_TEXT.sub(r"\1\2...", str(text))
    line = "".join(char if char.isprintable() else repr(char)[1:-1] for char in line)
    return line if len(line) <= most else line[: most - 3] + "..."


# Temporary faults, and the delay before the next attempt.


#: HTTP statuses of temporary faults: too many requests, and server errors.
PASSING_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


class PassingFault(Exception):
    """A temporary fault; ``wait`` is the delay requested by the source, in seconds."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


def next_wait(fault: Exception) -> bool | float:
    """Tell stamina whether to try again (True: with back-off and jitter), or after how many seconds."""
    if not isinstance(fault, PassingFault):
        return False
    return True if fault.wait is None else fault.wait


def retry_after(header: str | None, now: datetime) -> float | None:
    """Return the seconds of a Retry-After header, given in seconds or as a date; None if it is neither.

    Examples
    --------
    >>> noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    >>> retry_after("7", noon), retry_after("Fri, 20 Nov 2026 12:00:30 GMT", noon), retry_after("soon", noon)
    (7.0, 30.0, None)
    >>> retry_after("Fri, 20 Nov 2026 11:00:00 GMT", noon)
    0.0
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    moment = http_date(text)
    return None if moment is None else max(0.0, (moment - now).total_seconds())


def http_date(header: str | None) -> datetime | None:
    """Return the moment of a Date or Retry-After header in UTC; None for anything else.

    Examples
    --------
    >>> http_date("Fri, 20 Nov 2026 12:00:30 GMT").isoformat(), http_date("yesterday")
    ('2026-11-20T12:00:30+00:00', None)
    """
    try:
        moment = parsedate_to_datetime(header or "")
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


# Receive the bytes of an answer, with limits on size (as sent and decompressed) and time.


#: Bytes per step of decompression, so that a compression bomb is detected before it fills the memory.
STEP = 1 << 20


def received(chunks: Iterable[bytes], encoding: str, most: int, whole: float, where: str) -> bytes:
    """Return the content of an answer, decompressed.

    Parameters
    ----------
    chunks : iterable of bytes
        The bytes as received.
    encoding : str
        The Content-Encoding header: "", identity, gzip or deflate.
    most : int
        The largest number of bytes, as sent and as decompressed.
    whole : float
        Seconds after which an incomplete answer is abandoned.
    where : str
        The address, for messages.

    Raises
    ------
    RefusedAnswer
        If the answer is too large or in another encoding.
    PassingFault
        If it is invalid, incomplete or takes too long; the next attempt may succeed.

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
    machine = zlib.decompressobj(zlib.MAX_WBITS | 32)  # gzip or zlib, according to the first bytes
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


# The public services: address, request limit, and the document that states it.


@dataclass(frozen=True)
class Service:
    """One public service.

    Attributes
    ----------
    name : str
        Its usual name.
    base : str
        Base address.
    per_second : float
        Requests per second; ``with_identity`` is the limit with a key (NCBI) or a contact (Crossref).
    document : str
        Document with the limit.
    caches : bool
        Whether answers may be cached for revalidation; not if a key is part of the address.
    """

    name: str
    base: str
    per_second: float
    with_identity: float
    document: str
    caches: bool = True


#: By source; ictrp has no programming interface, so users download its export.
SERVICES: Mapping[str, Service] = {
    "ctgov": Service(
        "ClinicalTrials.gov",
        "https://clinicaltrials.gov/api/v2",
        1,
        1,
        "clinicaltrials.gov/robots.txt: Crawl-delay 1; the description of the API names no limit",
    ),
    "europepmc": Service(
        "Europe PMC",
        "https://www.ebi.ac.uk/europepmc/webservices/rest",
        3,
        3,
        "no official limit found; other users report 10 per second for one address, a third of it is used",
    ),
    "pubmed": Service(
        "PubMed (NCBI E-utilities)",
        "https://eutils.ncbi.nlm.nih.gov/entrez/eutils",
        3,
        10,
        "support.nlm.nih.gov KA-05317: 3 per second, 10 with an API key",
        caches=False,
    ),
    "crossref": Service(
        "Crossref",
        "https://api.crossref.org",
        5,
        10,
        "crossref.org, access and authentication of the REST API: 5 per second, 10 with a contact",
    ),
}


def source_name(source: str) -> str:
    """What people call a source.

    Examples
    --------
    >>> source_name("ctgov"), source_name("ictrp")
    ('ClinicalTrials.gov', 'WHO ICTRP')
    """
    return SERVICES[source].name if source in SERVICES else "WHO ICTRP"


def service(source: str) -> Service:
    """Return the service of a source; raises SourceError with the known names."""
    if source not in SERVICES:
        raise SourceError(f"expected a source that can be asked, one of {', '.join(SERVICES)}; found {source!r}")
    return SERVICES[source]


def base_of(source: str, bases: Mapping[str, str]) -> str:
    """Return the base address of a source: its own, or one on this computer for tests.

    Raises
    ------
    SourceError
        If another address is neither the source's host nor on loopback.

    Examples
    --------
    >>> base_of("ctgov", {"ctgov": "http://127.0.0.1:8000/v2"})
    'http://127.0.0.1:8000/v2'
    >>> base_of("ctgov", {"ctgov": "https://example.org"})
    Traceback (most recent call last):
    cellclaims.errors.SourceError: expected https://clinicaltrials.gov or an address on this computer, found https://example.org
    """
    own = service(source).base
    base = bases.get(source, own).rstrip("/")
    if origin(base) != origin(own) and not is_loopback(base):
        raise SourceError(f"expected {origin(own)} or an address on this computer, found {base}")
    return base


# Settings of a pull: identification, delays, limits.


CONTACT = re.compile(r"[^\s@<>;,()]+@[^\s@<>;,()]+\.[^\s@<>;,()]+|https?://[^\s<>;,()]+")
KEY = re.compile(r"[0-9A-Za-z]{8,64}")


@dataclass(frozen=True)
class Settings:
    """Settings of a pull.

    Attributes
    ----------
    contact : str
        An e-mail or web address at which a source can contact the user; "" for none.
    api_key : str
        Key of NCBI; never stored or shown.
    bases : mapping of str
        Other base addresses on this computer (for tests).
    attempts : int
        Number of attempts per request.
    first_wait, longest_wait : float
        Seconds before the second attempt, doubled each time with jitter, and their maximum.
    longest_asked : float
        The longest delay in seconds that a source may request (Retry-After); after longer ones the pull of the source
        ends.
    silence, whole : float
        Seconds without a byte, and seconds per answer, after which an attempt fails.
    most_bytes : int
        The largest answer in bytes, as sent and as decompressed.
    per_second : float or None
        Requests per second instead of the source's limit (for tests).
    cache : Path or None
        Folder of answers cached for revalidation; None for no cache.
    proxy : str
        The address of a proxy; "" for none. It may contain a password and is not shown.
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
    proxy: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        # A line break would start another header.
        if self.contact and not CONTACT.fullmatch(self.contact):
            raise SourceError(f"CELLCLAIMS_CONTACT: expected an e-mail or web address, found {self.contact[:80]!r}")
        if self.api_key and not KEY.fullmatch(self.api_key):
            raise SourceError("NCBI_API_KEY: expected letters and digits only, found something else (not shown)")

    @property
    def user_agent(self) -> str:
        """Return the User-Agent of every request.

        Examples
        --------
        >>> Settings(contact="lab@example.org").user_agent  # doctest: +ELLIPSIS
        'cellclaims/... (mailto:lab@example.org)'
        """
        contact = self.contact if self.contact.startswith("http") else f"mailto:{self.contact}"
        return f"cellclaims/{cellclaims.__version__}" + (f" ({contact})" if self.contact else "")


def from_environment(**others: object) -> Settings:
    """Return settings with CELLCLAIMS_CONTACT, NCBI_API_KEY and HTTPS_PROXY from the environment.

    Raises
    ------
    SourceError
        If one of them cannot be part of a request.
    """
    names = {"contact": "CELLCLAIMS_CONTACT", "api_key": "NCBI_API_KEY"}
    found = {field: os.environ.get(name, "").strip() for field, name in names.items()}
    return Settings(proxy=getproxies().get("https", ""), **found, **others)


# Both would write to the terminal, on retries (which a pull counts) and on a damaged cache (which is ignored).
for _name in ("stamina", "hishel"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

NO_CONNECTION = "no connection"
#: Most redirects per request on the same host.
REDIRECTS = 3
#: Largest size of the cache; the oldest answers are deleted first.
CACHE_BYTES = 300_000_000
#: Difference between the clock of a source and ours that gives a warning.
SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Fetched:
    """One answer with its bytes; ``parameters`` without key and contact, ``warnings`` about the request."""

    address: str
    parameters: dict[str, str]
    time: str
    status: int
    body: bytes
    content_type: str
    warnings: tuple[str, ...] = ()


class Client:
    """Client of the public sources, each with its own request limit.

    Use it as a context manager, which closes its connections. The first request opens them.

    Parameters
    ----------
    settings : Settings
        Identification, delays and limits.

    Examples
    --------
    >>> with Client(Settings(bases={"ctgov": "http://127.0.0.1:9"}, attempts=1)) as client:
    ...     client.get("ctgov", "/studies", {})
    Traceback (most recent call last):
    cellclaims.errors.NetworkError: http://127.0.0.1:9/studies: expected an answer, found no connection (...)
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._clients: dict[bool, httpx.Client] = {}
        self._limiters: dict[str, pyrate_limiter.Limiter] = {}
        self._has_network = True

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients.values():
            client.close()
        self._clients.clear()

    def get(self, source: str, path: str, parameters: Mapping[str, str]) -> Fetched:
        """Send a request to a source, and repeat it after temporary faults.

        Parameters
        ----------
        source : str
            A key of ``services.SERVICES``.
        path : str
            Path after the base address, such as ``/studies/NCT00133809``.
        parameters : mapping of str
            Parameters of the request; keys and contacts are added here and not returned.

        Raises
        ------
        NetworkError
            If there was no complete answer after all attempts.
        RefusedAnswer
            If the source refused (with its ``status``), redirected to another host, or sent too much.
        SourceError
            If the source is unknown or its address is not allowed.
        """
        import stamina

        settings, address = self.settings, base_of(source, self.settings.bases) + path
        waits = {"wait_initial": settings.first_wait, "wait_max": settings.longest_wait, "timeout": None}
        waits["wait_jitter"] = min(1.0, settings.first_wait)
        tried: list[str] = []
        # If one source could not be reached at all, the next is tried once, because there may be no network.
        attempts = settings.attempts if self._has_network else 1
        try:
            for attempt in stamina.retry_context(next_wait, attempts=attempts, **waits):
                with attempt:
                    return self._once(source, address, parameters, tried)
        except PassingFault as fault:
            self._has_network = not all(reason.startswith(NO_CONNECTION) for reason in tried)
            times = f", {attempts} times" if attempts > 1 else ""
            raise NetworkError(f"{shown(address)}: expected an answer, found {shown(fault)}{times}") from None
        raise AssertionError("stamina ends with an answer or with the last fault")

    def _once(self, source: str, address: str, parameters: Mapping[str, str], tried: list[str]) -> Fetched:
        try:
            fetched = self._followed(source, address, parameters)
        except PassingFault as fault:
            tried.append(str(fault))
            raise
        self._has_network = True
        retries = (f"answered after retries: {shown(address)}: {shown('; '.join(tried))}",) if tried else ()
        return replace(fetched, warnings=fetched.warnings + retries)

    def _followed(self, source: str, address: str, parameters: Mapping[str, str]) -> Fetched:
        """Return the answer at an address, after redirects on the same host."""
        asked = {**parameters, **self._who(source)}
        for _ in range(REDIRECTS + 1):
            self._limiter(source).try_acquire(source)
            found = self._sent(source, address, asked)
            if isinstance(found, Fetched):
                return found
            address, asked = found, {}
        raise RefusedAnswer(f"{shown(address)}: expected an answer, found more than {REDIRECTS} redirects")

    def _sent(self, source: str, address: str, asked: Mapping[str, str]) -> Fetched | str:
        """Send one request; return its answer, or the address of a redirect."""
        import httpx

        try:
            with self._client(service(source).caches).stream("GET", address, params=asked or None) as response:
                return self._taken(response, address, asked)
        except httpx.TimeoutException:
            raise PassingFault(f"no byte for {self.settings.silence:g} s") from None
        except httpx.ConnectError as fault:
            raise PassingFault(f"{NO_CONNECTION} ({fault})") from None
        except (httpx.HTTPError, httpx.InvalidURL) as fault:
            raise PassingFault(f"a broken answer ({fault})") from None

    def _taken(self, response: httpx.Response, address: str, asked: Mapping[str, str]) -> Fetched | str:
        if not self.settings.proxy:  # otherwise the peer is the proxy, which may be in a private network
            _check_peer(response, address)
        if response.is_redirect:
            return _target(response, address)
        settings, where = self.settings, shown(address)
        if (announced := _length(response)) > settings.most_bytes:
            raise RefusedAnswer(f"{where}: expected at most {settings.most_bytes:,} bytes, found {announced:,}")
        encoding = response.headers.get("content-encoding", "")
        body = received(response.iter_raw(), encoding, settings.most_bytes, settings.whole, where)
        self._check_status(response, body, address)
        return _fetched(response, body, address, asked)

    def _check_status(self, response: httpx.Response, body: bytes, address: str) -> None:
        status = response.status_code
        if status == 200:
            return
        text = body.decode("utf-8", "replace").strip()
        said = shown(text.replace(self.settings.api_key or "\0", "..."), 160) or "no word"
        if status not in PASSING_STATUSES:
            raise RefusedAnswer(f"{shown(address)}: expected an answer, found status {status}: {said}", status=status)
        wait = retry_after(response.headers.get("retry-after"), datetime.now(UTC))
        if wait is not None and wait > self.settings.longest_asked:
            most = self.settings.longest_asked
            raise NetworkError(
                f"{shown(address)}: status {status} asks to wait {wait:,.0f} s, more than {most:,.0f}: pull later"
            )
        raise PassingFault(f"status {status}: {said}", wait)

    def _who(self, source: str) -> dict[str, str]:
        if source != "pubmed":
            return {}
        email = {"email": self.settings.contact} if "@" in self.settings.contact else {}
        return {"tool": "cellclaims", **email, **({"api_key": self.settings.api_key} if self.settings.api_key else {})}

    def _limiter(self, source: str) -> pyrate_limiter.Limiter:
        from pyrate_limiter import InMemoryBucket, Limiter, Rate
        from pyrate_limiter.limiter import SingleBucketFactory

        if source not in self._limiters:
            one, settings = service(source), self.settings
            known = settings.api_key if source == "pubmed" else settings.contact
            rate = settings.per_second or (one.with_identity if known else one.per_second)
            bucket = InMemoryBucket([Rate(1, max(1, round(1000 / rate)))])
            # One permit at a time, so that requests are evenly distributed without a separate thread.
            self._limiters[source] = Limiter(SingleBucketFactory(bucket, schedule_leak=False), buffer_ms=1)
        return self._limiters[source]

    def _client(self, caches: bool) -> httpx.Client:
        import httpx

        caches = caches and self.settings.cache is not None
        if caches not in self._clients:
            headers = {"User-Agent": self.settings.user_agent, "Accept-Encoding": "gzip", "Cache-Control": "no-cache"}
            timeout = httpx.Timeout(self.settings.silence)
            transport = self._transport(caches)
            self._clients[caches] = httpx.Client(transport=transport, headers=headers, timeout=timeout)
        return self._clients[caches]

    def _transport(self, caches: bool) -> httpx.BaseTransport:
        import httpx

        try:
            plain = httpx.HTTPTransport(proxy=self.settings.proxy or None)
        except (ValueError, httpx.InvalidURL, ImportError):
            raise SourceError("HTTPS_PROXY: expected the address of an HTTP proxy, found another (not shown)") from None
        if not caches:
            return plain
        from hishel import CacheOptions, SqliteStorage
        from hishel.httpx import CacheTransport

        self.settings.cache.parent.mkdir(parents=True, exist_ok=True)
        most = self.settings.most_bytes
        storage = SqliteStorage(database_path=self.settings.cache, max_stream_size=most, max_size=CACHE_BYTES)
        return CacheTransport(plain, storage=storage, rfc=CacheOptions(shared=False))


def _check_peer(response: httpx.Response, address: str) -> None:
    """Raise an error for a public name with a private address."""
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream else None
    if peer and is_private(str(peer[0])) and not is_loopback(address):
        raise RefusedAnswer(f"{shown(address)}: expected a public address, found the private {peer[0]}")


def _length(response: httpx.Response) -> int:
    """Return the announced number of bytes of an answer; 0 if unknown."""
    length = response.headers.get("content-length", "")
    return int(length[:18]) if length.isascii() and length.isdigit() else 0


def _fetched(response: httpx.Response, body: bytes, address: str, asked: Mapping[str, str]) -> Fetched:
    """Return an answer without identification of the user; parameters of a redirect are in its address."""
    asked = asked or dict(parse_qsl(urlsplit(address).query))
    now = datetime.now(UTC)
    return Fetched(
        address.partition("?")[0],
        {name: value for name, value in asked.items() if name.lower() not in WHO},
        f"{now:%Y-%m-%dT%H:%M:%SZ}",
        response.status_code,
        body,
        response.headers.get("content-type", ""),
        tuple(_skew(response.headers.get("date"), now, address)),
    )


def _target(response: httpx.Response, address: str) -> str:
    """Return the target of a redirect on the same host."""
    target = response.headers["location"]
    with contextlib.suppress(ValueError):
        target = urljoin(address, target)
        if origin(target) == origin(address):
            return target
        if is_private(urlsplit(target).hostname or ""):
            raise RefusedAnswer(
                f"{shown(address)}: expected an answer, found a redirect to the private {shown(target)}"
            )
    raise RefusedAnswer(f"{shown(address)}: expected a redirect on the same host, found one to {shown(target)}")


def _skew(header: str | None, now: datetime, address: str) -> list[str]:
    moment = http_date(header)
    if moment is None or abs(moment - now) <= SKEW:
        return []
    hours = (moment - now).total_seconds() / 3600
    return [f"clock differs: {shown(origin(address))} says {moment:%Y-%m-%d %H:%M} UTC, {hours:+.1f} h from here"]


def path_of(*parts: str) -> str:
    """Return a path with quoted parts.

    Examples
    --------
    >>> path_of("works", "10.1000/a?b#c/../d")
    '/works/10.1000%2Fa%3Fb%23c%2F..%2Fd'
    """
    return "".join(f"/{quote(part, safe='')}" for part in parts)
