"""One formula as a drawing: its letters and fraction bars are shapes, and look the same on every screen and printer."""

from __future__ import annotations

from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.mathtext import MathTextParser

from cellclaims.figures.show import Drawing, svg_text

#: Points around the formula.
EDGE = 1.5


def formula(latex: str, words: str, size: float = 12.0) -> Drawing:
    """A formula without numbers, as large as it is.

    Parameters
    ----------
    latex : str
        In the mathematics of matplotlib, without dollar signs.
    words : str
        The same, read aloud.
    size : float, optional
        Of its letters, in points.

    Returns
    -------
    Drawing
    """
    font = FontProperties(size=size)
    width, height, depth, *_ = MathTextParser("path").parse(f"${latex}$", dpi=72, prop=font)
    wide, high = width + 2 * EDGE, height + 2 * EDGE
    figure = Figure(figsize=(wide / 72, high / 72))
    figure.patch.set_alpha(0.0)
    place = EDGE / wide, (depth + EDGE) / high
    figure.text(*place, f"${latex}$", fontproperties=font, va="baseline")
    return Drawing(figure, words)


def formula_svg(latex: str, words: str, name: str, size: float = 12.0) -> str:
    """The same as one ``<svg>`` element whose letters are paths; ``name`` keeps its ids apart from those of others.

    Examples
    --------
    >>> "<text" in formula_svg(r"\\frac{1}{v}", "one over v", "weight")
    False
    """
    drawing = formula(latex, words, size)
    return svg_text(drawing.figure, alt=drawing.alt, name=name, paths=True)
