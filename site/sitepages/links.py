"""Links of a Markdown page: their targets in the repository, and the places of these in the site."""

from __future__ import annotations

import re
from collections.abc import Mapping
from posixpath import dirname, join, normpath, relpath

#: The target of an inline link or image, without its anchor: the text between "](" and the next blank, "#" or ")".
TARGET = re.compile(r"(?<=\]\()(?![a-z+]+:|[#/<])[^()\s#]+")


def targets(text: str, source: str) -> set[str]:
    """Return the files that a page links to, as paths from the root of the repository.

    Parameters
    ----------
    text : str
        Markdown.
    source : str
        Path of the page, from which its links are counted.

    Examples
    --------
    >>> sorted(targets("[a](engine.md#laws) ![b](../figures/b.svg) [c](https://x.org/y)", "docs/method.md"))
    ['docs/engine.md', 'figures/b.svg']
    """
    return {normpath(join(dirname(source), found)) for found in TARGET.findall(text)}


def repointed(text: str, source: str, moved: Mapping[str, str]) -> str:
    """Return the page with links to files of ``moved`` changed to their new places.

    Parameters
    ----------
    text : str
        Markdown.
    source : str
        Path of the page in the repository.
    moved : mapping of str to str
        Path in the repository -> path in the site. If ``source`` is in it, links count from its new place.

    Examples
    --------
    >>> repointed("[data](../data/README.md#units)", "docs/method.md", {"data/README.md": "data/dictionary.md"})
    '[data](../data/dictionary.md#units)'
    """
    here = dirname(moved.get(source, source))

    def lead(found: re.Match[str]) -> str:
        path = normpath(join(dirname(source), found[0]))
        return relpath(moved.get(path, path), here or ".")

    return TARGET.sub(lead, text)
