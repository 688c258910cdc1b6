"""Colours, sizes and letters that all figures share, and the context that applies them."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib as mpl
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

STYLE_FILE = Path(__file__).with_name("cellclaims.mplstyle")

#: Okabe and Ito's palette, told apart with any colour vision; shapes and words carry the meaning as well, so
#: that a greyscale print says the same.
BLACK, GREY, PALE = "#000000", "#595959", "#E3E3E3"
BLUE, SKY, GREEN = "#0072B2", "#56B4E9", "#009E73"
ORANGE, VERMILLION, YELLOW = "#E69F00", "#D55E00", "#F0E442"

#: Vermillion for words: dark enough on white (5 to 1) for small letters.
VERMILLION_INK = "#B84E00"

#: Point sizes: nothing a reader has to read is smaller than 8.
BODY, SMALL, TITLE = 8.5, 8.0, 10.0

#: How much wider than its outlines a line of text can become where letters are drawn on whole pixels.
HINTED = 1.02

#: Height of one line of a figure's table, in inches.
LINE = 0.19


@contextmanager
def applied() -> Iterator[None]:
    """The look of the project, for as long as the block (or the decorated function) runs.

    Examples
    --------
    >>> import matplotlib as mpl
    >>> with applied():
    ...     mpl.rcParams["svg.fonttype"]
    'none'
    """
    with mpl.rc_context(fname=STYLE_FILE):
        yield


@functools.lru_cache(maxsize=4096)
def text_width(text: str, size: float = BODY, weight: str = "normal") -> float:
    """Width in inches of the widest line of ``text``, from the outlines of DejaVu Sans.

    Outlines and not pixels, so that the layout is the same at every resolution; ``HINTED`` leaves room for letters
    that are moved to whole pixels when they are drawn.

    Examples
    --------
    >>> text_width("wide") < text_width("wide", weight="bold") < text_width("much wider")
    True
    """
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    lines = [line for line in text.split("\n") if line]
    widths = (text_to_path.get_text_width_height_descent(line, font, ismath=False)[0] for line in lines)
    return max(widths, default=0.0) * HINTED / 72


def wrapped(text: str, width: float, size: float = BODY, weight: str = "normal") -> str:
    """``text`` broken into lines no wider than ``width`` inches (a single longer word stays whole).

    Examples
    --------
    >>> wrapped("reports found in the registries", 1.2).split("\\n")
    ['reports found in the', 'registries']
    """
    lines: list[str] = []
    for paragraph in text.split("\n"):
        line = ""
        for word in paragraph.split(" "):
            longer = f"{line} {word}" if line else word
            if line and text_width(longer, size, weight) > width:
                lines.append(line)
                longer = word
            line = longer
        lines.append(line)
    return "\n".join(lines)
