"""Read cassettes: recorded requests and answers as vcrpy writes them, in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cellclaims.errors import RefusedAnswer
from cellclaims.sources.addresses import WHO
from cellclaims.sources.receiving import received
from cellclaims.sources.retrying import PassingFault, http_date

MOST_BYTES = 100_000_000


@dataclass(frozen=True)
class Interaction:
    """One request of a cassette with its answer; ``time`` is the answer's Date, "" without one."""

    address: str
    parameters: dict[str, str]
    time: str
    status: int
    body: bytes


def is_cassette(body: bytes) -> bool:
    """Whether a file begins like a cassette.

    Examples
    --------
    >>> is_cassette(b"interactions:\\n- request:\\n"), is_cassette(b"{}")
    (True, False)
    """
    return body.startswith(b"interactions:")


def interactions(body: bytes, where: str) -> list[Interaction]:
    """The requests and answers of a cassette.

    Raises
    ------
    RefusedAnswer
        If it is no YAML or one of them lacks an address, a status or a body; names its number.
    """
    import yaml

    try:
        content = yaml.load(body, yaml.CSafeLoader)
        return [_interaction(one, f"{where}#{n}") for n, one in enumerate(content["interactions"], start=1)]
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError, RecursionError) as fault:
        raise RefusedAnswer(f"{where}: expected a cassette of vcrpy, found {fault!r:.200}") from None


def _interaction(one: Mapping[str, Any], where: str) -> Interaction:
    parts = urlsplit(one["request"]["uri"])
    response = one["response"]
    headers = {name.lower(): values[0] for name, values in (response.get("headers") or {}).items()}
    parameters = {name: value for name, value in parse_qsl(parts.query) if name.lower() not in WHO}
    moment = http_date(headers.get("date"))
    time = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}" if moment else ""
    address = f"{parts.scheme}://{parts.hostname}{parts.path}"
    return Interaction(address, parameters, time, int(response["status"]["code"]), _body(response, headers, where))


def _body(response: Mapping[str, Any], headers: Mapping[str, str], where: str) -> bytes:
    body = response["body"]["string"]
    body = body.encode() if isinstance(body, str) else bytes(body)
    try:
        return received([body], headers.get("content-encoding", ""), MOST_BYTES, 60, where)
    except PassingFault as fault:
        # Some cassettes keep the header and the decompressed text.
        if body[:1] in (b"{", b"<", b"["):
            return body
        raise RefusedAnswer(f"{where}: expected an answer, found {fault}") from None
