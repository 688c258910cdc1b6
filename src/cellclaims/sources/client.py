"""One polite HTTP client: says who asks, keeps each source's limit, waits where it is told to, and trusts nothing."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote, urljoin, urlsplit

from cellclaims.errors import NetworkError, RefusedAnswer, SourceError
from cellclaims.sources.addresses import WHO, is_loopback, is_private, origin, shown
from cellclaims.sources.receiving import received
from cellclaims.sources.retrying import PASSING_STATUSES, PassingFault, http_date, next_wait, retry_after
from cellclaims.sources.services import base_of, service
from cellclaims.sources.settings import Settings

if TYPE_CHECKING:
    import httpx
    import pyrate_limiter

# Both write to the terminal: of retries (a pull counts them) and of a damaged cache (it does without).
for _name in ("stamina", "hishel"):
    logging.getLogger(_name).addHandler(logging.NullHandler())

NO_CONNECTION = "no connection"
#: How often one answer may send elsewhere on the same host.
REDIRECTS = 3
#: How much may be kept for revalidation; the oldest goes first.
CACHE_BYTES = 300_000_000
#: How far a source's clock may stand from ours before it is told.
SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Fetched:
    """One answer with its bytes; ``parameters`` hold no key and no contact, ``warnings`` what was odd on the way."""

    address: str
    parameters: dict[str, str]
    time: str
    status: int
    body: bytes
    content_type: str
    warnings: tuple[str, ...] = ()


class Client:
    """Asks the public sources, each within its own limit.

    Use it as a context manager, so that its connections are closed. Nothing is opened before the first request.

    Parameters
    ----------
    settings : Settings
        Who asks, how long it waits, how much it takes.

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
        """Ask a source once, and again where the fault may pass.

        Parameters
        ----------
        source : str
            A key of ``services.SERVICES``.
        path : str
            After the source's base address, such as ``/studies/NCT00133809``.
        parameters : mapping of str
            What is asked; keys and contacts are added here and never come back.

        Raises
        ------
        NetworkError
            If no whole answer came after every attempt.
        RefusedAnswer
            If the source refused (with its ``status``), sent elsewhere, or sent more than is taken.
        SourceError
            If the source is unknown or its address is not its own.
        """
        import stamina

        settings, address = self.settings, base_of(source, self.settings.bases) + path
        waits = {"wait_initial": settings.first_wait, "wait_max": settings.longest_wait, "timeout": None}
        waits["wait_jitter"] = min(1.0, settings.first_wait)
        tried: list[str] = []
        # Where one source could not be connected to at all, the next is tried once: there may be no network.
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
        """The answer at an address, or where it sends to on the same host."""
        asked = {**parameters, **self._who(source)}
        for _ in range(REDIRECTS + 1):
            self._limiter(source).try_acquire(source)
            found = self._sent(source, address, asked)
            if isinstance(found, Fetched):
                return found
            address, asked = found, {}
        raise RefusedAnswer(f"{shown(address)}: expected an answer, found more than {REDIRECTS} redirects")

    def _sent(self, source: str, address: str, asked: Mapping[str, str]) -> Fetched | str:
        """One request: its answer, or the address that it sends to."""
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
        if not self.settings.proxy:  # else the other end is the proxy, which may well be of one's own network
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
            # One permit at a time, so that requests are spread evenly; no thread that empties the bucket is needed.
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
    """Refuse a public name that leads to a private address."""
    stream = response.extensions.get("network_stream")
    peer = stream.get_extra_info("server_addr") if stream else None
    if peer and is_private(str(peer[0])) and not is_loopback(address):
        raise RefusedAnswer(f"{shown(address)}: expected a public address, found the private {peer[0]}")


def _length(response: httpx.Response) -> int:
    """How many bytes an answer announces; 0 where it does not."""
    length = response.headers.get("content-length", "")
    return int(length[:18]) if length.isascii() and length.isdigit() else 0


def _fetched(response: httpx.Response, body: bytes, address: str, asked: Mapping[str, str]) -> Fetched:
    """An answer without anything that says who asked; what a redirect asked for stands in its address."""
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
    """Where a redirect leads, if it stays on the host."""
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
    """A path whose parts cannot lead elsewhere.

    Examples
    --------
    >>> path_of("works", "10.1000/a?b#c/../d")
    '/works/10.1000%2Fa%3Fb%23c%2F..%2Fd'
    """
    return "".join(f"/{quote(part, safe='')}" for part in parts)
