"""Tables for readers: escaped, captioned, the same content as HTML and as plain text.

A *shown table* contains text only; numbers were rounded before. A cell that is a :class:`Link` becomes a link in HTML
and its words in text. Everything else is escaped, whatever its source.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from html import escape
from textwrap import shorten

import numpy as np
import pandas as pd

from cellclaims.overview import kind_of_reason
from cellclaims.pool import Pool
from cellclaims.selection import when_counted

# Round a number once, on its way to a reader: true minus sign, no negative zero, a dash for no number.


#: Text for a missing number.
MISSING = "–"


def number(value: float, decimals: int = 2) -> str:
    """Return a number with ``decimals`` digits after the point, a true minus sign (U+2212) and thousands apart from
    10 000.

    Parameters
    ----------
    value : float
        Any unit; NaN gives a dash, an infinity its sign.
    decimals : int
        Digits after the point.

    Returns
    -------
    str

    Examples
    --------
    >>> number(-0.664, 2), number(-0.001, 2), number(12345.6, 0), number(float("nan"), 1)
    ('−0.66', '0.00', '12 346', '–')
    """
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    text = f"{abs(value):,.{decimals}f}"
    text = text.replace(",", " " if abs(value) >= 10_000 else "")
    negative = value < 0 and any(digit in "123456789" for digit in text)
    return f"−{text}" if negative else text


def percent(p: float, decimals: int = 1) -> str:
    """Return a proportion (0 to 1) as a percentage.

    Examples
    --------
    >>> percent(0.444), percent(0.3, 0)
    ('44.4%', '30%')
    """
    return MISSING if math.isnan(p) else f"{number(100 * p, decimals)}%"


def interval(low: float, high: float, decimals: int = 2) -> str:
    """Two limits joined by "to", which stays clear where a limit is negative.

    Examples
    --------
    >>> interval(-1.131, -0.19)
    '−1.13 to −0.19'
    """
    return f"{number(low, decimals)} to {number(high, decimals)}"


def p_value(p: float) -> str:
    """Return a P value: three digits under 0.1, two above, never "0.000".

    Examples
    --------
    >>> p_value(0.0312), p_value(0.436), p_value(2e-9)
    ('p = 0.031', 'p = 0.44', 'p < 0.001')
    """
    if math.isnan(p):
        return f"p {MISSING}"
    if p < 0.001:
        return "p < 0.001"
    return f"p = {number(p, 3 if p < 0.1 else 2)}"


#: Plain text keeps cells to this width, so that a table fits a page; HTML shows them whole.
TEXT_WIDTH = 60
SAFE_SCHEMES = ("https://", "http://")
#: A table with more rows is folded in HTML: its caption and number of rows show, the rows when asked for.
FOLDED_FROM = 26
#: Class of a column in HTML -> characters of its longest text.
LONG = {"longest": 300, "longer": 120, "long": 40}


@dataclass(frozen=True)
class Link:
    """Words that lead to an address; anything but a web address is shown as words only."""

    words: str
    address: str

    def __str__(self) -> str:
        return self.words

    def html(self) -> str:
        """Return the anchor, both parts escaped."""
        if not self.address.startswith(SAFE_SCHEMES):
            return escape(self.words)
        return f'<a href="{escape(self.address, quote=True)}">{escape(self.words)}</a>'


@dataclass(frozen=True)
class Links:
    """Several links in one cell, one after the other."""

    links: tuple[Link, ...]

    def __str__(self) -> str:
        return "; ".join(map(str, self.links)) or "–"

    def html(self) -> str:
        """Return the anchors, every part escaped."""
        return "; ".join(link.html() for link in self.links) or "–"


@dataclass(frozen=True)
class Table:
    """A table with its caption; Jupyter shows the HTML, a terminal and a diff the text.

    Attributes
    ----------
    header : tuple of str
    cells : tuple of tuple
        Rows of text, :class:`Link` or :class:`Links`.
    caption : str
    right : frozenset of int
        Columns of numbers, which are aligned on the right; words are aligned on the left wherever they are shown.
    folded : bool, optional
        Whether a reader of the HTML has to unfold the rows; by default from FOLDED_FROM rows on.
    """

    header: tuple[str, ...]
    cells: tuple[tuple[object, ...], ...]
    caption: str
    right: frozenset[int] = frozenset()
    folded: bool | None = None

    def _repr_html_(self) -> str:
        is_folded = len(self.cells) >= FOLDED_FROM if self.folded is None else self.folded
        if not is_folded:
            return self._whole_html()
        summary = f"<summary>{escape(self.caption)} ({len(self.cells)} rows)</summary>"
        return f'<details class="folded">{summary}{self._whole_html()}</details>'

    def _whole_html(self) -> str:
        head = "".join(
            f'<th scope="col"{self._long(i)}{self._align(i)}>{escape(h)}</th>' for i, h in enumerate(self.header)
        )
        body = "".join(f"<tr>{self._row(row)}</tr>" for row in self.cells)
        caption = f"<caption>{escape(self.caption)}</caption>"
        return f'<table class="shown">{caption}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'

    def __repr__(self) -> str:
        rows = [self.header, *([shorten(str(c), TEXT_WIDTH, placeholder="...") for c in row] for row in self.cells)]
        widths = [max(len(r[i]) for r in rows) for i in range(len(self.header))]
        lines = [self._line(r, widths) for r in rows]
        rule = "  ".join("-" * w for w in widths)
        return "\n".join([self.caption, "", lines[0], rule, *lines[1:]])

    def _line(self, row: Sequence[str], widths: Sequence[int]) -> str:
        padded = [
            c.rjust(w) if i in self.right else c.ljust(w) for i, (c, w) in enumerate(zip(row, widths, strict=True))
        ]
        return "  ".join(padded).rstrip()

    def _row(self, row: Sequence[object]) -> str:
        shown = [c.html() if isinstance(c, Link | Links) else escape(str(c)) for c in row]
        return "".join(f"<td{self._align(i)}>{cell}</td>" for i, cell in enumerate(shown))

    def _long(self, column: int) -> str:
        """Return the class of a column with long texts, which pages keep wide enough to read in narrow windows."""
        longest = max((len(str(row[column])) for row in self.cells), default=0)
        return next((f' class="{name}"' for name, least in LONG.items() if longest >= least), "")

    def _align(self, column: int) -> str:
        return f' style="text-align:{"right" if column in self.right else "left"}"'


def table(frame: pd.DataFrame, caption: str, columns: Mapping[str, str] | None = None) -> Table:
    """Return a DataFrame as a shown table: ``columns`` maps its columns to headings (default: all, by their names).

    Whole numbers are shown without a point, missing values as a dash; any other number must be rounded to text
    before it comes here.

    Parameters
    ----------
    frame : DataFrame
    caption : str
        Above the table.
    columns : mapping of str, optional
        Column -> heading, in the order of the table; all columns by their names if not given.

    Returns
    -------
    Table

    Examples
    --------
    >>> print(table(pd.DataFrame({"k": [3.0, np.nan]}), "Reports"))
    Reports
    <BLANKLINE>
    k
    -
    3
    –
    """
    columns = {c: c.replace("_", " ") for c in frame.columns} if columns is None else columns
    right = frozenset(i for i, c in enumerate(columns) if pd.api.types.is_numeric_dtype(frame[c]))
    cells = tuple(tuple(_cell(x) for x in row) for row in frame[list(columns)].itertuples(index=False))
    return Table(tuple(columns.values()), cells, caption, right)


def _cell(value: object) -> object:
    if isinstance(value, Link | Links):
        return value
    if value is None or (isinstance(value, float | np.floating) and np.isnan(value)):
        return "–"
    if isinstance(value, float | np.floating):
        return number(value, 0) if float(value).is_integer() else f"{value:g}"
    return str(value)


def estimates_alt(lines: pd.DataFrame, what: str, decimals: int = 0) -> str:
    """Return a figure of single estimates in words: each group with its lines.

    Parameters
    ----------
    lines : DataFrame
        ``group``, ``label``, ``estimate``, ``low`` and ``high`` of each line.
    what : str
        What is shown, as the start of the sentence.
    decimals : int
        Digits after the point.

    Returns
    -------
    str
    """
    parts = []
    for group, rows in lines.groupby("group", sort=False):
        said = [
            f"{row.label} {number(row.estimate, decimals)}"
            + ("" if math.isnan(row.low) else f" ({interval(row.low, row.high, decimals)})")
            for row in rows.itertuples()
        ]
        parts.append(f"{group}: {'; '.join(said)}" if group else "; ".join(said))
    return f"{what}. {'. '.join(parts)}."


def reports(pool: Pool) -> Table:
    """Return the studies of a pool: participants, effect, weight, control group, how the effect was made, every flag.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    Table
        With the event from which months count, treatments given with the cells and secondary sources where there are
        any; for treated arms alone, with the control group of each study and what it showed.
    """
    rows = pool.rows
    frame = pd.DataFrame({"study": [Link(w, a) for w, a in zip(rows.label, rows.link, strict=True)]})
    frame["design"] = rows.design.str.replace("_", " ").to_numpy()
    if pool.measure in WITHIN_ARMS and pool.question.arms == "cells":
        frame["control group"] = control_words(pool)
    if (rows.timing != "").any():
        frame["when"] = [when_counted(r.timing, r.months) for r in rows.itertuples()]
    else:
        frame["month"] = rows.months.to_numpy(float)
    if (rows.time_origin != "").any():
        frame["months count from"] = rows.time_origin.str.replace("_", " ").replace("", "not stated").to_numpy()
    if (rows.co_treatment != "").any():
        frame["given with the cells"] = rows.co_treatment.replace("", MISSING).to_numpy()
    frame["effect"] = [_effect_words(pool, r) for r in rows.itertuples()]
    frame["participants"] = [_patients(r) for r in rows.itertuples()]
    if pool.is_pooled:
        frame["weight"] = [percent(w / 100, 1) for w in rows.weight]
    frame["how and flags"] = [_both(r.detail, SECONDARY * r.secondary, flags_words(r.note)) for r in rows.itertuples()]
    caption = f"{pool.title}: k = {pool.k}" + (f" ({pool.label})" if pool.label else "")
    return table(frame, "; ".join([caption, *caution_words(pool)]))


#: Measures of one group, whose studies may or may not have had a control group.
WITHIN_ARMS = ("PLO", "MC")
#: What is said of a number that was not read in the study's own report.
SECONDARY = "read in a table of a published review"


def control_words(pool: Pool) -> list[str]:
    """For each study of a pool of treated arms: whether it had an untreated control group, and what that showed.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    list of str
    """
    if pool.again is None or not pool.rows.controlled.any():
        return ["yes, not reported" if has else "none" for has in pool.rows.controlled]
    control = pool.again(replace(pool.question, arms="control"), pool.analysis)
    shown = {row.study_id: f"{_effect_words(control, row)}, {_patients(row)}" for row in control.rows.itertuples()}
    return [shown.get(r.study_id, "yes, not reported") if r.controlled else "none" for r in pool.rows.itertuples()]


def flags_words(note: str) -> str:
    """Flags with their codes behind the words and not before them.

    >>> flags_words("a09: brackets read as quartiles; also 15/22 at 12 months")
    'brackets read as quartiles (a09); also 15/22 at 12 months'
    """
    parts = [re.sub(r"^(a\d+): (.*)$", r"\2 (\1)", part) for part in note.split("; ")]
    return "; ".join(dict.fromkeys(part for part in parts if part))


def left_out(pool: Pool, caption: str = "Left out, with the reason") -> Table:
    """Return every row that was considered and not used.

    Parameters
    ----------
    pool : Pool
    caption : str, optional
        Above the table.

    Returns
    -------
    Table
    """
    return table(pool.left_out[["study_id", "arm_id", "months", "reason"]], caption)


def reasons(pool: Pool) -> Table:
    """Return how many rows were left out for each kind of reason.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    Table
    """
    counts = pool.left_out.reason.map(kind_of_reason).value_counts().rename_axis("reason").reset_index(name="rows")
    return table(counts.sort_values(["rows", "reason"], ascending=[False, True]), "Rows left out, by reason")


def pooled(pools: Sequence[Pool], caption: str, decimals: int = 2) -> Table:
    """One line per pool: k, participants, value, intervals, heterogeneity and cautions.

    Two studies have no pooled value; each is listed with its own interval.

    Parameters
    ----------
    pools : sequence of Pool
    caption : str
        Above the table.
    decimals : int, optional
        Digits after the point of means and their differences; a proportion has one.

    Returns
    -------
    Table
    """
    lines = [
        {
            "pool": p.title,
            "k": p.k,
            "participants": p.patients,
            **shown_numbers(p, decimals),
            "I²": "–" if np.isnan(p.I2) else percent(p.I2 / 100, 0),
            "Q": "–" if np.isnan(p.Q) else f"{number(p.Q, 1)} ({p_value(p.Q_p)})",
            "note": "; ".join(w for w in (p.label, *caution_words(p, decimals)) if w),
        }
        for p in pools
    ]
    return table(pd.DataFrame(lines), caption)


#: Heads of the columns of a pooled value, in the order of :func:`shown_numbers`; ``{}`` is the level.
INTERVALS = ("{} CI", "interval by", "{} interval of the mean, Bayesian", "{} prediction interval for a similar centre")


def shown_numbers(pool: Pool, decimals: int = 2) -> dict[str, str]:
    """Return the value of a pool and its intervals as a reader sees them, on the reader's scale.

    Parameters
    ----------
    pool : Pool
    decimals : int
        Digits after the point of a mean or a difference of means.

    Returns
    -------
    dict of str
        The value, its interval and how that was made; the Bayesian interval of the mean and the prediction interval for
        a similar centre. Studies that are not pooled are listed in the value.
    """
    level = pool.level_words
    heads = [head.format(level) for head in INTERVALS]
    if pool.fit is None:
        return {"value": "; ".join(study_words(pool, decimals)) or MISSING} | dict.fromkeys(heads, MISSING)
    limits = [_limits(pool, pool.fit, "ci", decimals), interval_name(pool)]
    if pool.bayes is None:
        limits += [MISSING, MISSING if pool.k < pool.fewest or pool.measure == "RD" else "not estimable"]
    else:
        limits += [_limits(pool, pool.bayes, which, decimals) for which in ("ci", "pi")]
    return {"value": value_words(pool, pool.fit.beta, decimals)} | dict(zip(heads, limits, strict=True))


def study_words(pool: Pool, decimals: int = 2) -> list[str]:
    """Return each study of a pool with its own value and interval, for studies that are not pooled.

    Parameters
    ----------
    pool : Pool
    decimals : int
        Digits after the point of a mean or a difference of means.

    Returns
    -------
    list of str
    """
    return [f"{row.label} {_effect_words(pool, row, decimals)}" for row in pool.rows.itertuples()]


#: Test of a fit -> how its interval is called.
INTERVAL_NAMES = {"z": "normal", "t": "t", "knha": "Hartung-Knapp", "adhoc": "Hartung-Knapp"}


def interval_name(pool: Pool) -> str:
    """How the interval of a pool's value was made: "REML, Hartung-Knapp", "binomial-normal, t", or that of one study.

    Parameters
    ----------
    pool : Pool

    Returns
    -------
    str
        Empty where nothing is pooled.
    """
    if pool.fit is None:
        return ""
    if not pool.is_pooled:
        return f"one study, {pool.settings['interval']}"
    if pool.measure == "RD":
        return "Mantel-Haenszel"
    model, method = (str(pool.settings[name]) for name in ("model", "method"))
    lead = model.replace("_", "-") if model != "normal" else method
    return f"{lead}, {INTERVAL_NAMES.get(str(pool.settings['test']), pool.settings['test'])}"


def caution_words(pool: Pool, decimals: int = 2) -> list[str]:
    """Return the cautions about a pool, in words (:attr:`cellclaims.pool.Pool.cautions`).

    Parameters
    ----------
    pool : Pool
    decimals : int
        Digits after the point of a mean or a difference of means.

    Returns
    -------
    list of str
        One sentence part each; where tables of reviews weigh much, with the result without them.
    """
    made = {
        "one_study": lambda c: f"{c.study} has {number(c.value, 1)}% of the weight",
        "secondary": lambda c: _secondary_words(pool, c.value, decimals),
        "hidden_heterogeneity": lambda c: f"no heterogeneity is estimated, but Q finds some ({p_value(c.value)})",
        "time_origin": lambda c: "months count from the first infusion in some studies and from the last in others",
        "co_intervention": lambda c: f"another treatment was given with the cells: {c.study}",
    }
    return [made[caution.kind](caution) for caution in pool.cautions]


def _secondary_words(pool: Pool, share: float, decimals: int) -> str:
    what = "weight" if pool.is_pooled else "participants"
    words = f"{number(share, 0)}% of the {what} comes from tables of published reviews"
    rest = pool.without_secondary
    return words if rest is None else f"{words}; without them: {result_words(rest, decimals)}"


def result_words(pool: Pool, decimals: int = 2) -> str:
    """Return the result of a pool in a few words: value, interval and k; two studies separately.

    Parameters
    ----------
    pool : Pool
    decimals : int
        Digits after the point of a mean or a difference of means.

    Returns
    -------
    str
    """
    if pool.fit is None:
        return "; ".join(study_words(pool, decimals)) or "no eligible study"
    limits = _limits(pool, pool.fit, "ci", decimals)
    return f"{value_words(pool, pool.fit.beta, decimals)} ({limits}; k = {pool.k})"


@dataclass(frozen=True)
class ScaleWords:
    """How the values of a pool are written.

    Attributes
    ----------
    heading : str
        Head of a column of values.
    sign : str
        What follows a value in a sentence or a table.
    decimals : int
        Digits after the point.
    """

    heading: str
    sign: str
    decimals: int


def scale_words(pool: Pool) -> ScaleWords:
    """Return how the values of a pool are written, in every table and figure: percent, points, ratios."""
    if pool.measure == "RD":
        return ScaleWords("Points", "%", 1)
    ways = {"logit": ScaleWords("Percent", "%", 1), "log": ScaleWords("Ratio", "", 2)}
    return ways.get(pool.scale, ScaleWords("Effect", "", 2))


def value_words(pool: Pool, value: float, decimals: int = 2) -> str:
    """Return a value of the analysis scale in the words of the reader's scale.

    Parameters
    ----------
    pool : Pool
    value : float
        On the analysis scale.
    decimals : int
        Digits after the point of a mean or a difference of means; a proportion has one.

    Returns
    -------
    str
    """
    words, shown = scale_words(pool), pool.shown(value)
    if math.isnan(shown):
        return MISSING
    return f"{number(shown, words.decimals if words.sign else decimals)}{words.sign}"


def _limits(pool: Pool, fit: object, which: str, decimals: int) -> str:
    low, high = (float(getattr(fit, f"{which}_{end}", np.nan)) for end in ("lb", "ub"))
    if np.isnan(low) or np.isnan(high):
        return "not estimable"
    return f"{value_words(pool, low, decimals)} to {value_words(pool, high, decimals)}"


def _effect_words(pool: Pool, row: object, decimals: int = 2) -> str:
    """Return a study's own value with its interval; a proportion by its count, whatever the model."""
    sign = scale_words(pool).sign
    low, high = (f"{number(pool.shown(x), 0 if sign else decimals)}{sign}" for x in (row.ci_lb, row.ci_ub))
    value = percent(row.events / row.n, 0) if pool.scale == "logit" else value_words(pool, row.yi, decimals)
    return f"{value} ({low} to {high})"


def _patients(row: object) -> str:
    if np.isfinite(row.events):
        both = np.isfinite(row.events_control)
        return f"{row.events:g}/{row.n:g}" + (f" v {row.events_control:g}/{row.n_control:g}" if both else "")
    return f"{row.n:g}" + (f" v {row.n_control:g}" if np.isfinite(row.n_control) else "")


def _both(*words: object) -> str:
    return "; ".join(w for w in words if isinstance(w, str) and w)
