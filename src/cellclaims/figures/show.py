"""Saving figures reproducibly, and showing them with alternative texts."""

from __future__ import annotations

import html
import io
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.font_manager import findfont, fontManager, get_font
from matplotlib.text import Text

from cellclaims.errors import DataError
from cellclaims.figures.style import applied
from cellclaims.files import write_atomically


@dataclass(frozen=True)
class Drawing:
    """A figure with its alternative text.

    Attributes
    ----------
    figure : matplotlib.figure.Figure
        Apart from pyplot.
    alt : str
        What the figure shows, in sentences, for somebody who does not see it.
    """

    figure: Figure
    alt: str


def nothing_to_draw(what: str) -> Drawing:
    """Return a figure that says that no study is eligible, where there is nothing to draw.

    Parameters
    ----------
    what : str
        What would have been drawn.

    Returns
    -------
    Drawing
    """
    fig = Figure(figsize=(7.2, 0.7))
    with applied():
        fig.text(0.02, 0.5, f"{what}: no eligible study", va="center")
    return Drawing(fig, f"{what}: no eligible study.")


#: Metadata with the version of matplotlib or the time, which would differ between runs.
NO_SVG_TRACES = {"Date": None, "Creator": None, "Format": None, "Type": None}
NO_PNG_TRACES = {"Software": None}

#: Fonts with Chinese, Japanese and Korean characters; the first one installed is used where DejaVu Sans has none.
FALLBACKS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK KR", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans", "Microsoft YaHei", "Yu Gothic",
    "Malgun Gothic", "Arial Unicode MS",
)  # fmt: skip

#: Where an identifier is given or used inside an SVG.
IDENTIFIER = re.compile(r'(\bid="|\bhref="#|url\(#)([^")]+)')

PNG_DPI = 200


def svg_text(fig: Figure, *, alt: str, name: str, paths: bool = False) -> str:
    """Return the figure as one ``<svg>`` element that says what it shows, for a page with others.

    Identifiers start with ``name``, so that two figures in one page never take each other's clip paths; the
    XML and DOCTYPE lines are left out, as the same text is used inside HTML. ``alt`` becomes ``<desc>``, its
    first sentence ``<title>``. With ``paths`` its letters are shapes and need no font.

    Examples
    --------
    >>> "<title" in svg_text(Figure(figsize=(1, 1)), alt="A blank square.", name="blank")
    True
    """
    buffer = io.StringIO()
    with applied(), warnings.catch_warnings():
        if letters_missing(fig):
            warnings.filterwarnings("ignore", message="Glyph")  # a viewer has other fonts
        if paths:
            mpl.rcParams["svg.fonttype"] = "path"
        fig.savefig(buffer, format="svg", metadata=NO_SVG_TRACES)
    text = buffer.getvalue()
    text = IDENTIFIER.sub(rf"\g<1>{name}-\g<2>", text[text.index("<svg") :])
    first = alt.partition(". ")[0].rstrip(".")
    words = (
        f'<title id="{name}-title">{html.escape(first)}</title>\n <desc id="{name}-desc">{html.escape(alt)}</desc>\n'
    )
    start = text.replace("<svg ", f'<svg role="img" aria-labelledby="{name}-title {name}-desc" ', 1)
    head, end, rest = start.partition(">\n")
    return head + end + " " + words + rest


class MissingLetters(UserWarning):
    """Characters of a figure that no installed font has: its PNG shows boxes instead."""


def letters_missing(fig: Figure) -> str:
    """Return the characters of a figure that its fonts lack, after adding an installed font of :data:`FALLBACKS`.

    DejaVu Sans has no Chinese, Japanese or Korean characters. An SVG contains text as text, so a viewer uses its own
    fonts; a PNG needs one on this computer.
    """
    own = get_font(findfont("DejaVu Sans")).get_charmap()
    installed = {font.name for font in fontManager.ttflist}
    other = next((name for name in FALLBACKS if name in installed), "")
    known = get_font(findfont(other)).get_charmap() if other else {}
    missing = ""
    for text, letters in _foreign(fig, own):
        if other:
            text.set_fontfamily(["DejaVu Sans", other])
        missing += "".join(one for one in letters if ord(one) not in known and one not in missing)
    return missing


def _foreign(fig: Figure, own: dict[int, int]) -> Iterator[tuple[Text, str]]:
    """Yield the texts of a figure with characters that are not among ``own``, and these characters."""
    for text in fig.findobj(Text):
        if letters := "".join(one for one in text.get_text() if one.isprintable() and ord(one) not in own):
            yield text, letters


def png_bytes(fig: Figure) -> bytes:
    """Return the figure as PNG at print resolution, without software or date.

    Warns
    -----
    MissingLetters
        If no installed font has some of its characters.
    """
    buffer = io.BytesIO()
    with applied(), warnings.catch_warnings():
        if missing := letters_missing(fig):
            warnings.filterwarnings("ignore", message="Glyph")  # matplotlib's, one for each character
        fig.savefig(buffer, format="png", dpi=PNG_DPI, metadata=NO_PNG_TRACES)
    if missing:
        words = f"no installed font has the characters {missing!r}: the PNG shows boxes, the SVG contains the text"
        warnings.warn(MissingLetters(f"{words} (install a font such as Noto Sans CJK)"), stacklevel=2)
    return buffer.getvalue()


def save(fig: Drawing | Figure, *, name: str, folder: Path | str, alt: str = "", png: bool = True) -> tuple[Path, ...]:
    """Write ``<folder>/<name>.svg`` and ``.png``, atomically; equal figures give equal bytes.

    Parameters
    ----------
    fig : Drawing or matplotlib.figure.Figure
    alt : str
        What the figure shows and says, in sentences, for somebody who does not see it; for a drawing by default its
        own words.
    name : str
        File name without ending: notebook number and content, such as "02_hba1c_forest".
    folder : path
        Made if it is not there.
    png : bool
        False writes the SVG only: a PNG takes longer to draw than everything else of a figure.

    Returns
    -------
    tuple of Path
        The SVG and, if requested, the PNG.

    Raises
    ------
    DataError
        No alternative text, or a name that is not made of letters, digits, "_" and "-".
    """
    drawn = drawing_of(fig, alt)
    check_words(drawn.alt, name)
    return _write(drawn.figure, svg_text(drawn.figure, alt=drawn.alt, name=name), name, Path(folder), png)


def _write(figure: Figure, text: str, name: str, folder: Path, png: bool) -> tuple[Path, ...]:
    """Write the text of an SVG, and the figure as PNG on request."""
    folder.mkdir(parents=True, exist_ok=True)
    svg = folder / f"{name}.svg"
    write_atomically(svg, text)
    if not png:
        return (svg,)
    write_atomically(folder / f"{name}.png", png_bytes(figure))
    return svg, folder / f"{name}.png"


def check_words(alt: str, name: str) -> None:
    """Raise an error for a figure without alternative text, or with an invalid name."""
    if not alt.strip():
        raise DataError(f"figure {name!r}: expected alternative text, found none")
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]*", name):
        raise DataError(f"figure name: expected letters, digits, _ and -, found {name!r}")


def drawing_of(fig: Drawing | Figure, alt: str = "") -> Drawing:
    """Return a drawing, or a plain figure with its words; other words for a drawing where they are given."""
    if isinstance(fig, Drawing):
        return Drawing(fig.figure, alt or fig.alt)
    return Drawing(fig, alt)


def show(fig: Drawing | Figure, *, name: str, folder: Path | str = "", alt: str = "", png: bool = True) -> None:
    """Show the figure in the notebook as SVG, with ``alt`` as its plain text, and write it where a folder is given.

    Parameters are those of :func:`save`; a :class:`Drawing` brings its own words, and without a folder nothing is
    written. One output with the types image/svg+xml and text/plain is displayed; file and output are the same drawing.

    Raises
    ------
    DataError
        As :func:`save`.
    """
    from IPython.display import display as display_mimebundle  # a second at import, and only notebooks need it

    drawn = drawing_of(fig, alt)
    check_words(drawn.alt, name)
    text = svg_text(drawn.figure, alt=drawn.alt, name=name)
    if folder:
        _write(drawn.figure, text, name, Path(folder), png)
    display_mimebundle({"image/svg+xml": text, "text/plain": drawn.alt}, raw=True)
