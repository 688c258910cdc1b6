"""A blank sheet measured in inches from its top left corner, for words, lines and axes."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.text import Text

from cellclaims.figures.style import BLACK, BODY

#: From the middle of a line of capitals and digits down to its baseline, as a share of the letter size.
TO_BASELINE = 0.36

#: Distance between two lines of one text, as a multiple of the letter size.
LEADING = 1.3


def block_height(text: str, size: float = BODY) -> float:
    """Height in inches that the lines of ``text`` take.

    Examples
    --------
    >>> block_height("one\\ntwo", size=10.0) == 2 * block_height("one", size=10.0)
    True
    """
    return (text.count("\n") + 1) * size * LEADING / 72


class Sheet:
    """A figure of ``width`` x ``height`` inches; every method places one thing by inches from the top left.

    Examples
    --------
    >>> sheet = Sheet(4.0, 2.0)
    >>> [line.get_text() for line in sheet.text(0.1, 0.2, "two\\nlines")]
    ['two', 'lines']
    """

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        self.figure = Figure(figsize=(width, height))
        self.page = self.figure.add_axes((0, 0, 1, 1))
        self.page.set_axis_off()
        self.page.set(xlim=(0, width), ylim=(height, 0))

    def text(
        self, x: float, y: float, words: str, *, size: float = BODY, weight: str = "normal",
        color: str = BLACK, ha: str = "left",
    ) -> list[Text]:  # fmt: skip
        """Words whose first line has its middle at height ``y``; further lines follow below."""
        style = {
            "size": size,
            "weight": weight,
            "color": color,
            "ha": ha,
            "va": "baseline",
            "parse_math": False,
        }
        first = y + TO_BASELINE * size / 72
        lines = enumerate(words.split("\n"))
        return [self.page.text(x, first + n * LEADING * size / 72, line, **style) for n, line in lines if line]

    def line(self, x: tuple[float, float], y: tuple[float, float], **style: object) -> None:
        """A straight line from ``(x[0], y[0])`` to ``(x[1], y[1])``."""
        self.page.plot(x, y, **({"color": BLACK, "lw": 0.8, "solid_capstyle": "butt"} | style))

    def rule(self, y: float, left: float = 0.0, right: float | None = None, **style: object) -> None:
        """A horizontal line across the sheet or from ``left`` to ``right``."""
        self.line((left, self.width if right is None else right), (y, y), **style)

    def box(self, x: float, y: float, width: float, height: float, *, rounded: float = 0.0, **style: object) -> None:
        """A rectangle with its top left corner at ``(x, y)``, its corners rounded by ``rounded`` inches."""
        if rounded:
            shape = f"round,pad=0,rounding_size={rounded}"
            self.page.add_patch(FancyBboxPatch((x, y), width, height, boxstyle=shape, mutation_aspect=1, **style))
        else:
            self.page.add_patch(Rectangle((x, y), width, height, **style))

    def arrow(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """A straight arrow between two points."""
        style = {"arrowstyle": "-|>,head_width=0.18,head_length=0.36", "shrinkA": 0, "shrinkB": 0, "lw": 0.9,
                 "color": BLACK}  # fmt: skip
        self.page.annotate("", xy=end, xytext=start, arrowprops=style)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        """Axes whose frame stands ``left`` and ``top`` inches from the corner."""
        share = (
            left / self.width,
            1 - (top + height) / self.height,
            width / self.width,
            height / self.height,
        )
        return self.figure.add_axes(share)
