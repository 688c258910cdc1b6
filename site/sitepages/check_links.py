"""Checks of the built pages: targets of links and anchors, no network requests, alternative texts of images.

Addresses outside are looked at for their form only: whether they answer is not asked, as a build needs no network.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes that make a browser ask for something, by tag; links that a reader follows are in ``a`` alone.
FETCHED = {
    "img": "src",
    "script": "src",
    "link": "href",
    "iframe": "src",
    "source": "src",
    "object": "data",
    "embed": "src",
    "video": "src",
    "audio": "src",
    "image": "href",
    "use": "href",
}


@dataclass
class Page(HTMLParser):
    """Ids, links and images of a page."""

    text: str
    ids: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)
    mute: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Record the ids, addresses and images of a tag."""
        given = {name: value or "" for name, value in attrs}
        self.ids += [given["id"]] if "id" in given else []
        if tag == "a" and "href" in given:
            self.links.append(given["href"])
        elif address := given.get(FETCHED.get(tag, ""), ""):
            self.fetched.append(address)
        if tag == "img" and "alt" not in given:
            self.mute.append(given.get("src", ""))


def read_pages(folder: Path) -> dict[str, Page]:
    """Return every page of a site by its path."""
    paths = sorted(folder.rglob("*.html"))
    return {path.relative_to(folder).as_posix(): Page(path.read_text(encoding="utf-8")) for path in paths}


def faults(folder: Path, pages: Mapping[str, Page]) -> list[str]:
    """Return the faults of the pages of a site, one per line.

    Parameters
    ----------
    folder : Path
        The site as it was made.
    pages : mapping of str to Page
        Its pages.
    """
    found = []
    for name, page in pages.items():
        found += [f"{name}: expected each id once, found twice: {one}" for one in _twice(page.ids)]
        found += [f"{name}: expected words (alt) for the picture {one}, found none" for one in page.mute]
        found += [f"{name}: {fault}" for link in page.links if (fault := _link_fault(folder, pages, name, link))]
        found += [f"{name}: {fault}" for one in page.fetched if (fault := _fetch_fault(folder, name, one))]
    return found


def _twice(ids: Iterable[str]) -> list[str]:
    seen: dict[str, int] = defaultdict(int)
    for one in ids:
        seen[one] += 1
    return [one for one, count in seen.items() if count > 1]


def _link_fault(folder: Path, pages: Mapping[str, Page], name: str, link: str) -> str:
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return "" if is_well_formed(link) else f"expected a web address, found {link!r}"
    target, inside = _target(folder, name, unquote(parts.path))
    if not inside or not (folder / target).is_file():
        return f"expected a file of the site, found a link to {link!r}"
    if parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
        return f"expected an anchor of {target}, found a link to {link!r}"
    return ""


def _target(folder: Path, name: str, path: str) -> tuple[str, bool]:
    """Return the target of a relative link, and whether it is inside the site."""
    if not path:
        return name, True
    full = (folder / name).parent.joinpath(path).resolve()
    inside = full.is_relative_to(folder.resolve())
    return (full.relative_to(folder.resolve()).as_posix() if inside else path), inside


def _fetch_fault(folder: Path, name: str, address: str) -> str:
    if address.startswith(("data:", "#")):
        return ""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return f"expected nothing from the network, found {address!r}"
    target, inside = _target(folder, name, unquote(parts.path))
    return "" if inside and (folder / target).is_file() else f"expected a file of the site, found {address!r}"


def is_well_formed(address: str) -> bool:
    """Return whether an external address has a valid form, without requesting it.

    Examples
    --------
    >>> [is_well_formed(one) for one in ("https://doi.org/10.1002/jrsm.1429", "https://doi", "javascript:x")]
    [True, False, False]
    """
    parts = urlsplit(address)
    if parts.scheme == "mailto":
        return "@" in parts.path
    host = parts.hostname or ""
    printable = all(character.isprintable() and not character.isspace() for character in address)
    return parts.scheme in ("http", "https") and printable and "." in host.strip(".") and ".." not in host


def outside(pages: Mapping[str, Page]) -> Iterator[tuple[str, list[str]]]:
    """Return external addresses with the pages that link to them, sorted."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, page in pages.items():
        for link in page.links:
            if urlsplit(link).scheme:
                found[link].add(name)
    return ((address, sorted(found[address])) for address in sorted(found))
