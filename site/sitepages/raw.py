"""HTML and outside text in Markdown that must not be interpreted as Markdown."""

from __future__ import annotations

import re

#: ASCII punctuation: a backslash in front makes it a plain character in Markdown.
PUNCTUATION = re.compile(r"([!-/:-@\[-`{-~])")

#: The end of a cell, an item or a paragraph. Sphinx's index removes tags, which would join words without a space.
END = re.compile(r"(</(?:t[dh]|d[dt]|li|p|h[1-6]|caption|summary|figcaption)>)(?=<)")


def raw(html: str) -> str:
    """Return HTML as a block that Markdown leaves alone, with a line break after each cell, item and paragraph.

    Examples
    --------
    >>> print(raw("<p>a</p>"))
    ```{raw} html
    <p>a</p>
    ```
    >>> print(raw("<tr><td>flags</td><td>Estrada</td></tr>"))
    ```{raw} html
    <tr><td>flags</td>
    <td>Estrada</td>
    </tr>
    ```
    """
    html = END.sub(r"\1" + "\n", str(html))
    longest = max(map(len, re.findall(r"`+", html)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{{raw}} html\n{html.strip()}\n{fence}"


def escaped(text: str) -> str:
    """Return text from a table as Markdown that shows it unchanged, on one line.

    Examples
    --------
    >>> print(escaped("a *b* <c>"))
    a \\*b\\* \\<c\\>
    """
    return PUNCTUATION.sub(r"\\\1", " ".join(text.split()))
