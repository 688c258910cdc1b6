"""Specification curves in words and tables: how often the finding stays, what moves the answer, what was tried."""

from __future__ import annotations

import pandas as pd

from cellclaims.reporting.tables import Table, interval, number, percent, table
from cellclaims.specifications import Curve


def specification_sentence(curve: Curve) -> str:
    """Return how many specifications there are, and how often the finding of the review's own stays.

    Parameters
    ----------
    curve : Curve

    Returns
    -------
    str
    """
    share, counted = curve.stability
    others = [f"{finding} {share_words(s)}" for finding, s in curve.findings.items() if finding != curve.finding]
    rest = f" The others: {', '.join(others)}." if others else ""
    return (
        f"{number(counted, 0)} distinct specifications, from {number(curve.combinations, 0)} combinations of choices: "
        f"{share_words(share)} give the same finding ({curve.finding}).{rest}"
    )


def share_words(share: float) -> str:
    """Return a proportion as a percentage, with one decimal if it would round to zero.

    >>> share_words(0.102), share_words(0.0021), share_words(0.0)
    ('10%', '0.2%', '0%')
    """
    return percent(share, 1 if 0 < share < 0.01 else 0)


def influence_sentence(curve: Curve) -> str:
    """Return which choice moves the estimate most, and which one decides the finding most often."""
    moved = curve.influence.dropna(subset="share")
    if moved.empty or moved.share.max() == 0:
        return "No choice moves the estimate."
    titles = _titles(curve)
    most, deciding = moved.loc[moved.share.idxmax()], moved.loc[moved.finding_changes.idxmax()]
    words = (
        f"{titles[most.choice]} moves the estimate most: {share_words(most.share)} of its spread, with medians from "
        f"{_value(curve, most.low)} ({most.low_option}) to {_value(curve, most.high)} ({most.high_option})."
    )
    if deciding.finding_changes == 0:
        return f"{words} No choice alone changes the finding."
    return (
        f"{words} {titles[deciding.choice]} alone decides the finding in {share_words(deciding.finding_changes)} of "
        "the combinations of the other choices."
    )


def specification_alt(curve: Curve, what: str, claim: str = "") -> str:
    """Return the figure of a specification curve in sentences, for somebody who does not see it.

    ``what`` names the estimates, ``claim`` the line across ("advertised 30%").

    Parameters
    ----------
    curve : Curve
    what : str
        What is shown, as the start of the sentence.
    claim : str, optional
        A row of claims.csv.

    Returns
    -------
    str
    """
    beta = curve.lines.beta[curve.lines.counted].dropna()
    own = curve.lines.loc[curve.primary]
    low, high = (_value(curve, v) for v in (beta.min(), beta.max()))
    across = f" A line stands at the claim: {claim}." if claim else ""
    limits = interval(own.ci_lb, own.ci_ub, _decimals(curve))
    mine = f"the review's own choices give {_value(curve, own.beta)} (95% interval {limits})"
    return (
        f"Specification curve: {what}. Estimates in order from {low} to {high}, {mine}.{across} "
        f"{specification_sentence(curve)} {influence_sentence(curve)}"
    )


def influence_table(curve: Curve) -> Table:
    """Return one line per choice, the most influential first.

    Parameters
    ----------
    curve : Curve

    Returns
    -------
    Table
    """
    titles = _titles(curve)
    rows = curve.influence.sort_values("share", ascending=False, kind="stable")
    lines = pd.DataFrame(
        {
            "choice": [titles[c] for c in rows.choice],
            "share of the spread": [share_words(s) for s in rows.share],
            "lowest median": [_of_option(curve, v, o) for v, o in zip(rows.low, rows.low_option, strict=True)],
            "highest median": [_of_option(curve, v, o) for v, o in zip(rows.high, rows.high_option, strict=True)],
            "alone decides the finding": [share_words(s) for s in rows.finding_changes],
        }
    )
    return table(lines, "Which choices move the answer, over all combinations of the other choices")


def _titles(curve: Curve) -> dict[str, str]:
    return {choice.choice_id: choice.title for choice in curve.choices}


def _decimals(curve: Curve) -> int:
    return 0 if curve.unit == "percent" else 2


def _value(curve: Curve, value: float) -> str:
    words = number(value, _decimals(curve))
    return f"{words}%" if curve.unit == "percent" and value == value else words


def _of_option(curve: Curve, value: float, option: str) -> str:
    return f"{_value(curve, value)} ({option})" if option else "–"
