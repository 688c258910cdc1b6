"""Text from elsewhere made safe to look at: nothing in it moves a cursor or turns a line round.

The stored answers are never changed; this is for what a terminal or a page shows.
"""

from __future__ import annotations

import re
import unicodedata

#: Format characters that are part of words.
JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """Text on one line, its control, direction and unpaired characters written as their code points.

    Examples
    --------
    >>> visible("cured \\u202e%39\\nby \\x1b[31mcells")
    'cured <U+202E>%39 by <U+001B>[31mcells'
    """
    return "".join(_shown(character) for character in re.sub(r"[\t\r\n ]+", " ", text))


def _shown(character: str) -> str:
    is_hidden = unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") and character not in JOINERS
    return f"<U+{ord(character):04X}>" if is_hidden else character
