"""What a figure says about a pool in words: how many reports, which model, how much they differ, which counts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from cellclaims.figures.style import text_width
from cellclaims.reporting.rounding import interval, number, p_value

if TYPE_CHECKING:
    import pandas as pd

    from cellclaims.pools import Pool

#: How the choices in a pool's settings are called in a figure.
METHODS = {
    "EE": "common effect", "DL": "random effects, DerSimonian-Laird", "PM": "random effects, Paule-Mandel",
    "ML": "random effects, ML", "REML": "random effects, REML", "EB": "random effects, empirical Bayes",
}  # fmt: skip
MODELS = {
    "binomial_normal": "binomial-normal, maximum likelihood", "beta_binomial": "beta-binomial",
    "mantel_haenszel": "Mantel-Haenszel", "peto": "Peto's method", "multilevel": "multilevel, REML",
    "bayes_normal": "Bayesian, normal", "bayes_binomial_normal": "Bayesian, binomial-normal",
}  # fmt: skip
TESTS = {
    "z": "normal interval", "t": "t interval", "knha": "Hartung-Knapp interval",
    "adhoc": "Hartung-Knapp interval, never narrower than the standard one",
}  # fmt: skip

#: Models whose heterogeneity is a spread on the logit and nothing else.
BINOMIAL = ("binomial_normal", "beta_binomial", "bayes_binomial_normal")

#: Choices under which all reports share one true value, so that there is nothing to predict.
COMMON = ("EE", "MH", "PETO")

#: Pools of so few reports are labelled wherever they are shown.
FEW = range(2, 5)

#: Letters of the remarks below a figure.
LETTERS = "abcdefghijklmnopqrstuvwxyz"

#: Inches up to which details stand in a column; longer ones stand below the figure.
DETAIL = 1.3

#: Columns of a pool that hold counts.
COUNTS = ("events", "n", "events_control", "n_control")


def count_words(k: int) -> str:
    """How many reports a pool has, and what that means for it.

    Examples
    --------
    >>> [count_words(k) for k in (0, 1, 3, 16)]
    ['no report qualifies', 'one report: shown, not pooled', 'k = 3, few reports', 'k = 16']
    """
    if k == 0:
        return "no report qualifies"
    if k == 1:
        return "one report: shown, not pooled"
    return f"k = {k}, few reports" if k in FEW else f"k = {k}"


def effect_words(estimate: float, low: float, high: float, decimals: int) -> str:
    """An estimate with its interval; without limits the estimate alone; without anything, nothing."""
    if math.isnan(estimate):
        return ""
    words = number(estimate, decimals)
    return words if math.isnan(low + high) else f"{words} ({interval(low, high, decimals)})"


def settings_words(settings: Mapping[str, object]) -> str:
    """The model of a pool in words.

    Examples
    --------
    >>> settings_words({"model": "normal", "method": "REML", "test": "knha"})
    'random effects, REML; Hartung-Knapp interval'
    """
    model = str(settings.get("model", ""))
    method = str(settings.get("method", ""))
    first = MODELS.get(model) or METHODS.get(method) or model.replace("_", " ")
    test = str(settings.get("test", "") or "")
    return "; ".join(part for part in (first, TESTS.get(test, test)) if part)


def statistic(fit: object, name: str) -> float:
    """One number of a fit, NaN where the model has no such number."""
    value = getattr(fit, name, None)
    return math.nan if value is None else float(np.asarray(value))


def heterogeneity_words(pool: Pool) -> str:
    """How much the reports of a pool differ, in the terms that its model has.

    A normal model has τ², I², Q and its P value. A binomial model has τ² on the logit only: its reports have
    no fixed sampling variance to set τ² against.
    """
    tau2, i2, q, q_p = (statistic(pool.fit, name) for name in ("tau2", "I2", "Q", "Q_p"))
    parts = [f"τ² = {number(tau2, 2)}"] if math.isfinite(tau2) else []
    if pool.settings.get("model") in BINOMIAL:
        return f"Heterogeneity: {parts[0]} on the logit" if parts else ""
    if math.isfinite(i2):
        parts.append(f"I² = {number(i2, 0)} %")
    if math.isfinite(q + q_p):
        parts.append(f"Q = {number(q, 1)} on {len(pool.rows) - 1} df ({p_value(q_p)})")
    # lines break between the statistics, never inside one
    return f"Heterogeneity: {', '.join(part.replace(' ', chr(0xA0)) for part in parts)}" if parts else ""


def prediction_words(pool: Pool) -> str:
    """Why there is no prediction interval; nothing for a model that has none."""
    if str(pool.settings.get("method", "")).upper() in COMMON:
        return ""
    return "Prediction for a new setting: too few reports" if len(pool.rows) < 3 else "No prediction for a new setting"


def model_notes(pools: Sequence[Pool]) -> list[str]:
    """How the pools were made, said once for all that were made alike."""
    made = [settings_words(pool.settings) for pool in pools if pool.fit is not None and len(pool.rows) > 1]
    return [f"Model: {words}." for words in dict.fromkeys(made) if words]


def group_words(events: float, n: float) -> str:
    """Events of patients in one group, patients alone where nothing was counted.

    Examples
    --------
    >>> group_words(4.0, 15.0), group_words(math.nan, 45.0), group_words(math.nan, math.nan)
    ('4/15', '45', '')
    """
    if math.isnan(n):
        return ""
    return number(n, 0) if math.isnan(events) else f"{number(events, 0)}/{number(n, 0)}"


def numbers_words(row: pd.Series) -> str:
    """Counts of a report: "4/15", "45", or with a control group "9/45 v 2/44", "45 v 44"."""
    counts = {name: float(row.get(name, math.nan)) for name in COUNTS}
    groups = (group_words(counts["events"], counts["n"]), group_words(counts["events_control"], counts["n_control"]))
    return " v ".join(words for words in groups if words)


def total_words(rows: pd.DataFrame) -> str:
    """The printed counts of a pool together, in the same form; nothing where one is missing."""
    counts = [name for name in COUNTS if name in rows and rows[name].notna().all()]
    return numbers_words(rows[counts].sum()) if "n" in counts else ""


def text_of(value: object) -> str:
    """A text cell; nothing where the table has no text (empty or NaN)."""
    return value if isinstance(value, str) else ""


def details_fit(frames: Sequence[pd.DataFrame]) -> bool:
    """Whether the details of all rows are short enough for a column of their own."""
    details = [text_of(detail) for rows in frames if "detail" in rows for detail in rows["detail"]]
    return all(text_width(detail) <= DETAIL for detail in details)


def remarks_of(row: pd.Series, in_column: bool) -> list[str]:
    """What stands below the figure about a row: its detail, unless that has a column, and its note."""
    detail = "" if in_column else text_of(row.get("detail"))
    return [words for words in (detail, text_of(row.get("note"))) if words]


def remark_letters(frames: Sequence[pd.DataFrame], in_column: bool) -> dict[str, str]:
    """A letter for every different remark on a row, in order of appearance."""
    remarks = [words for rows in frames for _, row in rows.iterrows() for words in remarks_of(row, in_column)]
    return {words: LETTERS[number % 26] * (number // 26 + 1) for number, words in enumerate(dict.fromkeys(remarks))}
