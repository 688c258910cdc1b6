"""The figure of the whole review, advertised percentages and each study's own result; and all entries by direction."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.axes import Axes

from cellclaims.errors import DataError
from cellclaims.figures.show import Drawing
from cellclaims.figures.style import (
    BLACK,
    BLUE,
    GREY,
    ORANGE,
    PALE,
    VERMILLION,
    VERMILLION_INK,
    Sheet,
    applied,
    block_height,
    wrapped,
)
from cellclaims.reporting.claim_rows import ClaimRow, StudyMark, claim_rows_alt, directions_alt

# Letters are larger than elsewhere: the figure is read at half its size, in a README and on a card.
HEAD, WORDS, NOTE = 15.0, 13.0, 12.0

#: Inches: margin, width of the words, of the plot and of the sheet.
EDGE, LEFT, PLOT = 0.15, 4.55, 4.6
WIDTH = EDGE + LEFT + PLOT + 0.45
#: Inches: least height of a result, space above a claim.
LINE, GAP = 0.72, 0.2
#: Inches below the results of a claim, for the numbers of its axis.
AXIS = 0.42


@dataclass(frozen=True)
class PlacedMark:
    """A result with its words broken into lines, its height and its top, in inches."""

    mark: StudyMark
    label: str
    detail: str
    height: float
    top: float

    @property
    def middle(self) -> float:
        """Where the mark is drawn."""
        return self.top + self.height / 2


@dataclass(frozen=True)
class PlacedClaim:
    """A claim with its words and its results, in inches from the top."""

    row: ClaimRow
    title: str
    said: str
    top: float
    marks: tuple[PlacedMark, ...]
    bottom: float


def place_claims(rows: Sequence[ClaimRow], top: float) -> list[PlacedClaim]:
    """Break the words of every claim and put the claims below one another."""
    placed = []
    for row in rows:
        title = wrapped(f"{row.label}: advertised {row.printed}", WIDTH - 2 * EDGE, WORDS + 1, "bold")
        said = wrapped(said_words(row), WIDTH - 2 * EDGE, NOTE)
        down = top + GAP + block_height(title, WORDS + 1) + block_height(said, NOTE) + 0.14
        marks = []
        for mark in row.marks:
            label, detail = wrapped(mark.label, LEFT - 0.2, WORDS), wrapped(mark.detail, LEFT - 0.2, NOTE)
            words = block_height(label, WORDS) + (block_height(detail, NOTE) if detail else 0.0)
            height = max(LINE, words + 0.16)
            marks.append(PlacedMark(mark, label, detail, height, down))
            down += height
        placed.append(PlacedClaim(row, title, said, top, tuple(marks), down))
        top = down + (AXIS if marks else 0.0)
    return placed


def said_words(row: ClaimRow) -> str:
    """Return what may be said of a claim, in a line or two."""
    note = f" {row.note}" if row.note else ""
    nearest = " Nearest results, which count another outcome:" if row.marks and not row.is_compared else ""
    return f"{row.finding[:1].upper()}{row.finding[1:]}.{note}{nearest}"


def draw_mark(axes: Axes, mark: StudyMark, y: float, color: str = BLUE) -> None:
    """A study's own result as a circle on its interval; a pool as a diamond, with its prediction interval thin."""
    if not math.isnan(mark.pi_lb + mark.pi_ub):
        axes.plot((mark.pi_lb, mark.pi_ub), (y, y), color=color, lw=1.4, zorder=3, clip_on=False)
        for end in (mark.pi_lb, mark.pi_ub):
            axes.plot((end, end), (y - 0.06, y + 0.06), color=color, lw=1.4, zorder=3, clip_on=False)
    width = 6.0 if mark.is_pool else 3.0
    axes.plot((mark.ci_lb, mark.ci_ub), (y, y), color=color, lw=width, solid_capstyle="butt", zorder=4, clip_on=False)
    shape = "D" if mark.is_pool else "o"
    axes.plot([mark.value], [y], shape, ms=9, mfc=color, mec="white", mew=1.4, zorder=5, clip_on=False)
    if not math.isnan(mark.control):
        axes.plot([mark.control], [y + 0.2], "s", ms=8, mfc="white", mec=BLACK, mew=1.4, zorder=5, clip_on=False)


def draw_claimed(axes: Axes, x: float, top: float, foot: float) -> None:
    """The advertised percentage: a dashed line across the results that are compared with it."""
    axes.plot((x, x), (top, foot), color=VERMILLION, lw=2.4, ls=(0, (4, 2)), zorder=6, clip_on=False)


def plot_axes(sheet: Sheet, top: float, bottom: float) -> Axes:
    """Axes from 0 to 100% for the results of one claim, with faint lines to read along."""
    axes = sheet.axes(EDGE + LEFT, top, PLOT, bottom - top)
    axes.set(xlim=(0, 100), ylim=(bottom, top), yticks=[])
    axes.set_xticks(range(0, 101, 20), [f"{tick}%" for tick in range(0, 101, 20)], fontsize=NOTE)
    axes.xaxis.grid(True, color=PALE, lw=0.8)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    axes.patch.set_visible(False)
    return axes


def key_lines(rows: Sequence[ClaimRow]) -> list[tuple[str, str]]:
    """Return what each mark means, of those that are drawn: kind and words."""
    marks = [mark for row in rows for mark in row.marks]
    lines = []
    if any(row.is_compared and row.marks for row in rows):
        lines.append(("claimed", "advertised percentage"))
    if any(not mark.is_pool for mark in marks):
        lines.append(("study", "one study: percentage with 95% CI"))
    if any(not math.isnan(mark.control) for mark in marks):
        lines.append(("control", "its control arm, without cells"))
    if any(mark.is_pool for mark in marks):
        lines.append(("pool", "three or more studies pooled: 95% CI (thick), 95% prediction interval (thin)"))
    return lines


def write_key(sheet: Sheet, lines: Sequence[tuple[str, str]], y: float) -> None:
    """What the marks mean, one below the other."""
    for kind, words in lines:
        axes = sheet.axes(EDGE, y - 0.13, 0.7, 0.26)
        axes.set(xlim=(0, 100), ylim=(0.3, -0.3))
        axes.set_axis_off()
        if kind == "claimed":
            axes.plot((50, 50), (-0.3, 0.3), color=VERMILLION, lw=2.4, ls=(0, (4, 2)))
        elif kind == "control":
            axes.plot([50], [0], "s", ms=8, mfc="white", mec=BLACK, mew=1.4)
        elif kind == "pool":
            draw_mark(axes, StudyMark("", "", 50, 30, 70, is_pool=True, pi_lb=10, pi_ub=90), 0.0)
        else:
            draw_mark(axes, StudyMark("", "", 50, 20, 80), 0.0)
        sheet.text(EDGE + 0.85, y, words, size=NOTE)
        y += 0.28


@applied()
def advertised(rows: Sequence[ClaimRow], *, title: str, note: str = "") -> Drawing:
    """Return each advertised percentage with what may be said of it, and each study's own result on one axis.

    Parameters
    ----------
    rows : sequence of ClaimRow
        In order from the top. A claim that cannot be assessed shows no mark of its own value.
    title, note : str
        Above the figure; below it: population, date of the evidence.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        No row.
    """
    if not rows:
        raise DataError("advertised: expected at least one claim, found none")
    heading, below = wrapped(title, WIDTH - 2 * EDGE, HEAD, "bold"), wrapped(note, WIDTH - 2 * EDGE, NOTE)
    placed = place_claims(rows, EDGE + block_height(heading, HEAD) + 0.1)
    bottom, key = placed[-1].bottom, key_lines(rows)
    foot = bottom + (AXIS if rows[-1].marks else 0.0) + 0.25
    height = foot + 0.28 * len(key) + (block_height(below, NOTE) + 0.16 if note else 0.0)
    sheet = Sheet(WIDTH, height)
    sheet.text(EDGE, EDGE + 0.1, heading, size=HEAD, weight="bold")
    for claim in placed:
        write_claim(sheet, claim)
        if claim.marks:
            draw_claim(plot_axes(sheet, claim.marks[0].top, claim.bottom), claim)
    sheet.rule(foot - 0.25, EDGE, WIDTH - EDGE, color=GREY, lw=0.8)
    write_key(sheet, key, foot)
    sheet.text(EDGE, foot + 0.28 * len(key) + 0.08, below, size=NOTE)
    return Drawing(sheet.figure, claim_rows_alt(rows))


def write_claim(sheet: Sheet, claim: PlacedClaim) -> None:
    """The words of a claim and of its results."""
    y = claim.top + GAP
    sheet.rule(claim.top, EDGE, WIDTH - EDGE, color=GREY, lw=0.8)
    color = VERMILLION_INK if claim.row.is_compared else BLACK
    sheet.text(EDGE, y, claim.title, size=WORDS + 1, weight="bold", color=color)
    sheet.text(EDGE, y + block_height(claim.title, WORDS + 1), claim.said, size=NOTE)
    for mark in claim.marks:
        sheet.text(EDGE + 0.12, mark.top + 0.16, mark.label, size=WORDS)
        below = mark.top + 0.16 + block_height(mark.label, WORDS)
        sheet.text(EDGE + 0.12, below, mark.detail, size=NOTE, color=GREY)


def draw_claim(axes: Axes, claim: PlacedClaim) -> None:
    """The marks of one claim, with the advertised percentage where it is compared."""
    for mark in claim.marks:
        draw_mark(axes, mark.mark, mark.middle, BLUE if claim.row.is_compared else GREY)
    if claim.row.is_compared and claim.marks and not math.isnan(claim.row.advertised):
        draw_claimed(
            axes, claim.row.advertised, claim.marks[0].top + 0.04, claim.marks[-1].top + claim.marks[-1].height
        )


# All entries: how many controlled results count, by direction, and the finding.

#: Inches: the column of the claims, of a count, of the finding; height of a line.
CLAIM, COUNT, FINDING, ROW = 3.6, 1.2, 4.4, 0.34
#: Column -> heading, colour of its numbers.
COLUMNS = {
    "favours": ("favour\ncells", BLUE),
    "inconclusive": ("incon-\nclusive", GREY),
    "against": ("favour\ncontrol", ORANGE),
}


@applied()
def directions(counts: pd.DataFrame, *, title: str, note: str = "") -> Drawing:
    """For each effect the controlled results that count, by direction, and the finding: a table with filled circles.

    Parameters
    ----------
    counts : DataFrame
        ``claim``, ``favours``, ``inconclusive``, ``against``, ``finding``
        (:func:`cellclaims.reporting.direction_counts`).
    title, note : str
        Above and below.

    Returns
    -------
    Drawing

    Raises
    ------
    DataError
        No row.
    """
    if counts.empty:
        raise DataError("directions: expected at least one entry, found none")
    width = 2 * EDGE + CLAIM + 3 * COUNT + FINDING
    heading, below = wrapped(title, width - 2 * EDGE, HEAD, "bold"), wrapped(note, width - 2 * EDGE, NOTE)
    lines = [
        (wrapped(r.claim, CLAIM - 0.15, NOTE), wrapped(r.finding, FINDING - 0.1, NOTE), r) for r in counts.itertuples()
    ]
    heights = [max(ROW, max(block_height(a, NOTE), block_height(b, NOTE)) + 0.12) for a, b, _ in lines]
    top = EDGE + block_height(heading, HEAD) + 0.68
    sheet = Sheet(width, top + sum(heights) + (block_height(below, NOTE) + 0.2 if note else 0.1))
    sheet.text(EDGE, EDGE + 0.1, heading, size=HEAD, weight="bold")
    for i, (words, _) in enumerate(COLUMNS.values()):
        sheet.text(EDGE + CLAIM + (i + 0.5) * COUNT, top - 0.38, words, size=NOTE, ha="center", weight="bold")
    sheet.text(EDGE + CLAIM + 3 * COUNT + 0.1, top - 0.16, "finding", size=NOTE, weight="bold")
    for (claim, finding, row), height in zip(lines, heights, strict=True):
        sheet.rule(top, EDGE, width - EDGE, color=PALE, lw=0.8)
        sheet.text(EDGE, top + 0.16, claim, size=NOTE)
        sheet.text(EDGE + CLAIM + 3 * COUNT + 0.1, top + 0.16, finding, size=NOTE)
        for i, (name, (_, color)) in enumerate(COLUMNS.items()):
            write_count(sheet, getattr(row, name), EDGE + CLAIM + (i + 0.5) * COUNT, top + 0.17, color)
        top += height
    sheet.text(EDGE, top + 0.18, below, size=NOTE)
    return Drawing(sheet.figure, directions_alt(counts))


def write_count(sheet: Sheet, count: int, x: float, y: float, color: str) -> None:
    """A number of results on a disc, or a small dash for none."""
    if not count:
        sheet.text(x, y, "–", size=NOTE, color=GREY, ha="center")
        return
    sheet.page.plot([x], [y], "o", ms=19, mfc=color, mec="none", zorder=2)
    sheet.text(x, y, f"{count}", size=NOTE, weight="bold", color="white" if color != ORANGE else BLACK, ha="center")
