"""A forest plot as a few kilobytes of SVG, drawn in a millisecond: the same in the panel and on the page."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape

from cellclaims.journal_club.controls import ClaimAnswer
from cellclaims.reporting.pools import reports_of
from cellclaims.reporting.tables import number, scale_words

#: Points of the drawing: its width, where the scale lies, the height of a line and of head and foot.
WIDTH, LEFT, RIGHT, LINE, HEAD, FOOT = 760, 270, 570, 26, 34, 62
INK, QUIET, MARK, POOLED, CLAIM = "#1d2226", "#59636b", "#0a5c66", "#0a5c66", "#9a4a00"
#: A step between ticks is one of these times a power of ten.
STEPS = (1.0, 2.0, 5.0, 10.0)


@dataclass(frozen=True)
class QuickScale:
    """Values from ``low`` to ``high`` on the width between LEFT and RIGHT; what lies beyond stands at the end."""

    low: float
    high: float

    def x(self, value: float) -> float:
        """Place of a value, in points."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return LEFT + share * (RIGHT - LEFT)

    def ticks(self) -> list[float]:
        """About five round values."""
        rough = (self.high - self.low) / 5
        unit = 10 ** math.floor(math.log10(rough))
        step = next(unit * s for s in STEPS if unit * s >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        return [i * step for i in range(first, math.floor(self.high / step + 1e-9) + 1)]


@dataclass(frozen=True)
class QuickLine:
    """One report on the reader's scale (percent, or percentage points); weight in percent."""

    label: str
    count: str
    value: float
    low: float
    high: float
    weight: float


def lines_of(answer: ClaimAnswer) -> list[QuickLine]:
    """The reports of an answer, a share by its count."""
    return [_line(answer, row) for row in answer.pool.rows.itertuples()]


def _line(answer: ClaimAnswer, row: object) -> QuickLine:
    low, high = (answer.pool.shown(limit) for limit in (row.ci_lb, row.ci_ub))
    if answer.asked.is_share:
        return QuickLine(row.label, f"{row.events:g}/{row.n:g}", 100 * row.events / row.n, low, high, row.weight)
    count = f"{row.n:g}" + (f" v {row.n_control:g}" if math.isfinite(row.n_control) else "")
    return QuickLine(row.label, count, float(row.yi), low, high, row.weight)


def scale_of(answer: ClaimAnswer, lines: Sequence[QuickLine]) -> QuickScale:
    """0 to 100 for a share; for a mean what holds every interval, the claim and no change."""
    if answer.asked.is_share:
        return QuickScale(0.0, 100.0)
    known = [0.0, answer.claimed, *(end for line in lines for end in (line.low, line.high))]
    known = [value for value in known if math.isfinite(value)]
    return QuickScale(math.floor(min(known) * 2) / 2 - 0.25, math.ceil(max(known) * 2) / 2 + 0.25)


def forest_svg(answer: ClaimAnswer) -> str:
    """The forest plot of an answer: reports, pooled value, prediction interval, the claim as a dashed line.

    Equal answers give equal text. ``<title>`` and ``<desc>`` say what it shows.
    """
    lines = lines_of(answer)
    scale, bottom = scale_of(answer, lines), HEAD + LINE * (len(lines) + 2)
    size = f'width="{WIDTH}pt" height="{bottom + FOOT}pt" viewBox="0 0 {WIDTH} {bottom + FOOT}"'
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" role="img" {size} font-family="sans-serif" font-size="13">']
    parts += [f"<title>{escape(_title(answer))}</title><desc>{escape(words(answer))}</desc>"]
    parts += [f'<rect width="{WIDTH}" height="{bottom + FOOT}" fill="#ffffff"/>', *_heads(answer)]
    parts += _axis(answer, scale, bottom)
    parts += [part for i, line in enumerate(lines) for part in _report(line, scale, HEAD + LINE * (i + 0.5), answer)]
    parts += _pooled(answer, scale, HEAD + LINE * (len(lines) + 1))
    return "\n".join([*parts, "</svg>"])


def words(answer: ClaimAnswer) -> str:
    """What the drawing shows, for somebody who does not see it."""
    reports = [f"{line.label}: {_number(answer, line.value)}" for line in lines_of(answer)]
    claim = "" if math.isnan(answer.claimed) else f" The dashed line marks {_claim_words(answer)}."
    said = f"{_title(answer)}. {answer.in_words()}{claim}"
    return f"{said} Reports: {'; '.join(reports)}." if reports else said


def _title(answer: ClaimAnswer) -> str:
    return f"Forest plot: {answer.pool.title}, {reports_of(answer.pool.k)}"


def _number(answer: ClaimAnswer, value: float) -> str:
    return f"{_bare(answer, value)}{scale_words(answer.pool).sign}"


def _claim_words(answer: ClaimAnswer) -> str:
    kind = "advertised" if answer.asked.is_share else "matters"
    return f"{kind}: {answer.claimed:g}{scale_words(answer.pool).sign}".replace("-", "−")


def _text(x: float, y: float, words: str, anchor: str = "start", fill: str = INK, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return f'<text x="{x:.1f}" y="{y + 4.5:.1f}" text-anchor="{anchor}" fill="{fill}"{weight}>{escape(words)}</text>'


def _rule(x1: float, y1: float, x2: float, y2: float, colour: str, width: float = 1.0, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-width="{width:g}"{dashed}/>'


def _heads(answer: ClaimAnswer) -> list[str]:
    count = "events / n" if answer.asked.is_share else "patients"
    value = f"{scale_words(answer.pool).heading.lower()} ({answer.pool.level_words} interval)"
    heads = [(8, "report", "start"), (LEFT - 14, count, "end"), (WIDTH - 8, value, "end")]
    return [_text(x, HEAD / 2, words, anchor, QUIET) for x, words, anchor in heads]


def _axis(answer: ClaimAnswer, scale: QuickScale, bottom: float) -> Iterator[str]:
    """The scale with its ticks, the line of no change, the claim."""
    yield _rule(LEFT, bottom, RIGHT, bottom, QUIET)
    for tick in scale.ticks():
        yield _rule(scale.x(tick), bottom, scale.x(tick), bottom + 5, QUIET)
        yield _text(scale.x(tick), bottom + 15, number(tick, 0 if float(tick).is_integer() else 1), "middle", QUIET)
    unit = "% of patients" if answer.asked.is_share else "percentage points of HbA1c"
    yield _text((LEFT + RIGHT) / 2, bottom + 33, unit, "middle", QUIET)
    if not answer.asked.is_share:
        yield _rule(scale.x(0), HEAD, scale.x(0), bottom, QUIET)
    if not math.isnan(answer.claimed):
        x = scale.x(answer.claimed)
        yield _rule(x, HEAD - 4, x, bottom, CLAIM, 1.6, "5 4")
        yield _text(x, bottom + 50, _claim_words(answer), "middle", CLAIM)


def _report(line: QuickLine, scale: QuickScale, y: float, answer: ClaimAnswer) -> list[str]:
    half = 2.5 + 0.055 * (0.0 if math.isnan(line.weight) else min(line.weight, 100.0))
    x = scale.x(line.value)
    square = (
        f'<rect x="{x - half:.1f}" y="{y - half:.1f}" width="{2 * half:.1f}" height="{2 * half:.1f}" fill="{MARK}"/>'
    )
    interval = _rule(scale.x(line.low), y, scale.x(line.high), y, MARK, 1.4)
    value = f"{_bare(answer, line.value)} ({_bare(answer, line.low)} to {_bare(answer, line.high)})"
    texts = [_text(8, y, line.label), _text(LEFT - 14, y, line.count, "end"), _text(WIDTH - 8, y, value, "end")]
    return [interval, square, *texts]


def _bare(answer: ClaimAnswer, value: float) -> str:
    return number(value, scale_words(answer.pool).decimals)


def _pooled(answer: ClaimAnswer, scale: QuickScale, y: float) -> Iterator[str]:
    """The diamond and, below it, the bar of the prediction interval."""
    numbers = answer.numbers
    if answer.pool.fit is None:
        words = answer.pool.label if answer.pool.k else "No study answers this question."
        yield _text(8, y, words[:1].upper() + words[1:], bold=True)
        return
    name = "pooled" if answer.pool.k > 1 else answer.pool.label
    middle, low, high = (numbers.get(key) for key in ("pooled", "ci_lb", "ci_ub"))
    yield _text(8, y, name, bold=True)
    if low is None or high is None or middle is None:
        yield _text(WIDTH - 8, y, "interval not estimable", "end", bold=True)
        return
    corners = [(scale.x(low), y), (scale.x(middle), y - 7), (scale.x(high), y), (scale.x(middle), y + 7)]
    yield f'<polygon points="{" ".join(f"{a:.1f},{b:.1f}" for a, b in corners)}" fill="{POOLED}"/>'
    value = f"{_bare(answer, middle)} ({_bare(answer, low)} to {_bare(answer, high)})"
    yield _text(WIDTH - 8, y, value, "end", bold=True)
    if numbers.get("pi_lb") is not None and numbers.get("pi_ub") is not None:
        yield _rule(scale.x(numbers["pi_lb"]), y + 14, scale.x(numbers["pi_ub"]), y + 14, QUIET, 4)
        yield _text(8, y + 14, "a new clinic", fill=QUIET)
