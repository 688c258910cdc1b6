"""A forest plot as a few kilobytes of SVG, drawn in a millisecond: the same in panel, page and slides."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from cellclaims.journal_club.controls import ClaimAnswer
from cellclaims.journal_club.paper import studies_words
from cellclaims.reporting.tables import number

#: Points of the drawing: its width, where its columns and the scale lie, the height of a line, of head and foot. On a
#: slide of 1,280 pixels a letter is more than 16 pixels tall.
WIDTH, WHEN, COUNT, LEFT, RIGHT, LINE, HEAD, FOOT = 1000, 190, 425, 450, 765, 30, 70, 98
SIZE = 17
INK, QUIET, MARK, CLAIM = "#1d2226", "#4d565d", "#0a5c66", "#9a4a00"
#: A step between ticks is one of these times a power of ten.
STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class QuickScale:
    """Values from ``low`` to ``high`` on the width between LEFT and RIGHT; what lies beyond is drawn at the end."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """Place of a value, in points."""
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return LEFT + part * (RIGHT - LEFT)

    def ticks(self) -> list[float]:
        """About five round values."""
        rough = (self.high - self.low) / 5
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * s for s in STEPS if unit * s >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class QuickLine:
    """One study on the reader's scale (percent, or percentage points); weight in percent, NaN where not pooled."""

    label: str
    when: str
    count: str
    value: float
    low: float
    high: float
    weight: float


def lines_of(answer: ClaimAnswer) -> list[QuickLine]:
    """The studies of an answer; a dagger marks a number from a table of a published review."""
    return [_line(answer, row) for row in answer.rows]


def _line(answer: ClaimAnswer, row: object) -> QuickLine:
    low, high = (answer.pool.shown(limit) for limit in (row.ci_lb, row.ci_ub))
    if answer.asked.is_share:
        count = f"{row.events:g}/{row.n:g}"
    else:
        count = f"{row.n:g}" + (f" v {row.n_control:g}" if math.isfinite(row.n_control) else "")
    label = answer.labels[row.study_id] + (" †" if row.secondary else "")
    return QuickLine(label, answer.when[row.study_id], count, answer.value_of(row), low, high, row.weight)


def scale_of(answer: ClaimAnswer, lines: Sequence[QuickLine]) -> QuickScale:
    """Return 0 to 100 for a proportion; for a mean a span with every interval, the advertised figure and no change."""
    if answer.asked.is_share:
        return QuickScale(0.0, 100.0)
    known = [0.0, answer.claimed, *(end for line in lines for end in (line.low, line.high))]
    known = [value for value in known if math.isfinite(value)]
    return QuickScale(math.floor(min(known) * 2) / 2 - 0.25, math.ceil(max(known) * 2) / 2 + 0.25)


def forest_svg(answer: ClaimAnswer) -> str:
    """The forest plot of an answer: studies, mean, prediction interval, the advertised figure as a dashed line.

    Equal answers give equal text. ``<title>`` and ``<desc>`` say what it shows.
    """
    lines = lines_of(answer)
    scale, bottom = scale_of(answer, lines), HEAD + LINE * (len(lines) + (2 if answer.pool.is_pooled else 1))
    height = bottom + FOOT
    # no size of its own: it is as wide as the page, the panel or the slide allows
    size = f'width="100%" viewBox="0 0 {WIDTH} {height:g}" style="max-width:{WIDTH}px"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} font-family="sans-serif" font-size="{SIZE}">']
    parts += [f"<title>{escape(_title(answer))}</title><desc>{escape(words(answer))}</desc>"]
    parts += [f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>', *_heads(answer)]
    parts += _axis(answer, scale, bottom)
    parts += [part for i, line in enumerate(lines) for part in _study(line, scale, HEAD + LINE * (i + 0.5), answer)]
    parts += _mean(answer, scale, HEAD + LINE * (len(lines) + 0.6))
    parts += _foot(answer, lines, bottom)
    return "\n".join([*parts, "</svg>"])


def words(answer: ClaimAnswer) -> str:
    """What the drawing shows, for somebody who does not see it."""
    studies = [f"{line.label}, {line.when}: {answer.shown(line.value)}" for line in lines_of(answer)]
    mark = f" The dashed line marks {answer.advertised.words}." if answer.advertised.is_known else ""
    said = f"{_title(answer)}. {answer.in_words()}{mark}"
    return f"{said} Studies: {'; '.join(studies)}." if studies else said


def _title(answer: ClaimAnswer) -> str:
    studies = studies_words(answer.pool.k)
    people = {("T1D",): "type 1 diabetes", ("T2D",): "type 2 diabetes"}.get(answer.asked.population, "diabetes")
    name = f"{answer.pool.title[:1].upper()}{answer.pool.title[1:]}"
    return f"Forest plot: {name}, {people}, {studies}"


def _heads(answer: ClaimAnswer) -> list[str]:
    count = "with it / treated" if answer.asked.is_share else "participants"
    value = f"{'%' if answer.asked.is_share else 'points'} ({answer.pool.level_words} interval)"
    heads = [(8, "study", "start"), (WHEN, "when", "start"), (COUNT, count, "end"), (WIDTH - 8, value, "end")]
    title = _text(8, 18, _title(answer).removeprefix("Forest plot: "), bold=True)
    return [title, *(_text(x, HEAD - 20, name, anchor, QUIET) for x, name, anchor in heads)]


def _axis(answer: ClaimAnswer, scale: QuickScale, bottom: float) -> Iterator[str]:
    """The scale with its ticks, the line of no change, the advertised figure."""
    yield _rule(LEFT, bottom, RIGHT, bottom, QUIET)
    decimals = 0 if all(float(tick).is_integer() for tick in scale.ticks()) else 1
    for tick in scale.ticks():
        yield _rule(scale.x(tick), bottom, scale.x(tick), bottom + 5, QUIET)
        yield _text(scale.x(tick), bottom + 17, number(tick, decimals), "middle", QUIET)
    unit = "% of treated participants" if answer.asked.is_share else "percentage points of HbA1c"
    yield _text((LEFT + RIGHT) / 2, bottom + 38, unit, "middle", QUIET)
    if not answer.asked.is_share:
        yield _rule(scale.x(0), HEAD, scale.x(0), bottom, QUIET)
    if answer.advertised.is_known:
        x = scale.x(answer.claimed)
        yield _rule(x, HEAD - 6, x, bottom, CLAIM, 2, "6 5")
        yield _text(min(max(x, LEFT + 40), RIGHT), bottom + 60, answer.advertised.words, "middle", CLAIM)


def _foot(answer: ClaimAnswer, lines: Sequence[QuickLine], bottom: float) -> Iterator[str]:
    """What the dagger means, and why there is no advertised figure in the drawing."""
    if any(line.label.endswith("†") for line in lines):
        yield _text(8, bottom + 17, "† from a table of a published review", fill=QUIET)
    if not answer.advertised.is_known:
        yield _text(8, bottom + 76, answer.advertised.words, fill=CLAIM)


def _study(line: QuickLine, scale: QuickScale, y: float, answer: ClaimAnswer) -> list[str]:
    half = 3.5 + 0.07 * (0.0 if math.isnan(line.weight) else min(line.weight, 100.0))
    x = scale.x(line.value)
    square = (
        f'<rect x="{x - half:.1f}" y="{y - half:.1f}" width="{2 * half:.1f}" height="{2 * half:.1f}" fill="{MARK}"/>'
    )
    interval = _rule(scale.x(line.low), y, scale.x(line.high), y, MARK, 1.8)
    value = _three(answer, line.value, line.low, line.high)
    texts = [_text(8, y, line.label), _text(WHEN, y, line.when, fill=QUIET), _text(COUNT, y, line.count, "end")]
    return [interval, square, *texts, _text(WIDTH - 8, y, value, "end")]


def _three(answer: ClaimAnswer, value: float, low: float, high: float) -> str:
    decimals = 1 if answer.asked.is_share else 2
    return f"{number(value, decimals)} ({number(low, decimals)} to {number(high, decimals)})"


def _mean(answer: ClaimAnswer, scale: QuickScale, y: float) -> Iterator[str]:
    """The diamond and, below it, the bar of the prediction interval; the reason where there is no mean."""
    if not answer.pool.is_pooled:
        several = {0: "No study answers this question.", 1: "One study: its own result."}
        yield _text(8, y, several.get(answer.pool.k, "Not pooled: fewer than three studies."), bold=True)
        return
    middle, low, high = (answer.numbers[name] for name in ("pooled", "ci_lb", "ci_ub"))
    yield _text(8, y, "mean", bold=True)
    if None in (low, high, middle):
        yield _text(WIDTH - 8, y, "interval not estimable", "end", bold=True)
        return
    corners = [(scale.x(low), y), (scale.x(middle), y - 9), (scale.x(high), y), (scale.x(middle), y + 9)]
    yield f'<polygon points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in corners)}" fill="{MARK}"/>'
    yield _text(WIDTH - 8, y, _three(answer, middle, low, high), "end", bold=True)
    ends = [answer.numbers[name] for name in ("pi_lb", "pi_ub")]
    if None not in ends:
        below, decimals = y + 0.75 * LINE, 1 if answer.asked.is_share else 2
        yield _rule(scale.x(ends[0]), below, scale.x(ends[1]), below, QUIET, 5)
        yield _text(8, below, "a similar centre (prediction interval)", fill=QUIET)
        yield _text(WIDTH - 8, below, " to ".join(number(end, decimals) for end in ends), "end", QUIET)


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0, dashes: str = "") -> str:
    dashed = f' stroke-dasharray="{dashes}"' if dashes else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def _text(
    x: float, y: float, words: str, anchor: str = "start", fill: str = INK, *, bold: bool = False
) -> str:  # escaped: labels come from the tables
    weight = ' font-weight="600"' if bold else ""
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" dominant-baseline="central"'
    return f'<text {place} fill="{fill}"{weight}>{escape(words)}</text>'
