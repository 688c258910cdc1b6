"""HTML and foreign text inside Markdown: neither may be read as Markdown."""

from __future__ import annotations

import re

#: ASCII punctuation: a backslash in front makes it a plain character in Markdown.
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")


def raw(html: str) -> str:
    """HTML as a block that Markdown leaves alone, fenced by more backquotes than it holds itself.

    Examples
    --------
    >>> print(raw("<p>a</p>"))
    ```{raw} html
    <p>a</p>
    ```
    """
    longest = max(map(len, re.findall(r"`+", html)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{{raw}} html\n{html.strip()}\n{fence}"


def escaped(text: str) -> str:
    """Text from a table as Markdown that shows it as it is, on one line.

    Examples
    --------
    >>> print(escaped("a *b* <c>"))
    a \\*b\\* \\<c\\>
    """
    return PUNCTUATION.sub(r"\\\1", " ".join(text.split()))
