"""Addresses: which host they name, whether it is a private one, and what is hidden before they are shown."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

#: Parameters that say who asks: never stored and never shown.
WHO = frozenset({"api_key", "api-key", "apikey", "email", "mailto", "tool"})
_WHO_IN_TEXT = re.compile(rf"(?i)\b({'|'.join(sorted(WHO))})([\"']?\s*[:=]\s*[\"']?)[^&\s\"']+")


def origin(address: str) -> str:
    """Scheme, host and port of an address, without user names.

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
    """Whether an address names this computer by number or as ``localhost``.

    Examples
    --------
    >>> is_loopback("http://127.0.0.1:8000/"), is_loopback("https://clinicaltrials.gov/")
    (True, False)
    """
    host = urlsplit(address).hostname or ""
    number = _number(host)
    return host == "localhost" or (number is not None and number.is_loopback)


def is_private(host: str) -> bool:
    """Whether a host is named by a number that is not of the public internet, or as this computer.

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
    """Text of others for a message: one line, nothing that a terminal would obey, no key, at most ``most`` characters.

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
