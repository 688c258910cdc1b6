"""The worksheet: one printed page to write on, made from the claim and reports of the notebook, without answers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from markupsafe import Markup

from cellclaims import claims, protocol
from cellclaims.claims import Entry
from cellclaims.claims.counterparts import UNSAID, claim_of
from cellclaims.club.asked import asked_of, outcomes, pool_of
from cellclaims.club.by_hand import ByHand, three
from cellclaims.club.claim_file import load
from cellclaims.club.room import GUESSES, VERDICTS
from cellclaims.club.slides import TEMPLATES, filled
from cellclaims.files import write_atomically
from cellclaims.notebooks import render
from cellclaims.reporting.claims import capital, figure_words

#: The sheet's formulas, the numbers left open.
FORMULAS = {
    "logit": r"y_i = \ln\frac{x_i}{n_i - x_i}",
    "variance": r"v_i = \frac{1}{x_i} + \frac{1}{n_i - x_i}",
    "weight": r"w_i = \frac{1}{v_i}",
    "mean": r"\bar y = \frac{\sum w_i y_i}{\sum w_i}",
    "Q": r"Q = \sum w_i (y_i - \bar y)^2",
    "c": r"c = \sum w_i - \frac{\sum w_i^2}{\sum w_i}",
    "tau2": r"\tau^2 = \max\left(0, \frac{Q - 2}{c}\right)",
    "new weight": r"w_i^* = \frac{1}{v_i + \tau^2}",
    "pooled logit": r"\mu = \frac{\sum w_i^* y_i}{\sum w_i^*}",
    "standard error": r"SE = \frac{1}{\sqrt{\sum w_i^*}}",
    "interval": r"\mu \pm 1.96 \, SE",
    "share": r"p = \frac{1}{1 + e^{-\mu}}",
}
#: What step 5 asks, one line each.
MOVES = (
    "Leave out the largest report. What happens to the interval?",
    "Two reports only. Where do the limits lie?",
    "HbA1c without cells changed by ... and with cells by ...; what is left for the cells?",
    "Reports that share patients: how many patients are counted twice?",
    "Off insulin ever, and at twelve months. Which one is advertised?",
)


def write_worksheet(
    target: Path, data: str | Path = "data", claim_id: str = "stop_all_2016", claim_file: str | Path = "", **given: Any
) -> None:
    """Write the worksheet of a claim as one HTML file that prints on one page.

    Parameters
    ----------
    target : Path
        The file.
    data, claim_id, claim_file
        As in the notebook: the evidence, the claim, and the CSV of another advertisement.
    **given
        Other parameters of the notebook by name, such as ``OUTCOME``.

    Raises
    ------
    ReviewError
        For a claim, a file or a parameter that cannot be used, or fewer than three reports to pool by hand.
    """
    evidence, rules = load(data, claim_file), protocol.load(data)
    claim = claim_of(evidence, claim_id)
    asked = asked_of(evidence, rules, claim, **given)
    pool = pool_of(evidence, rules, asked)
    entry = claims.entry_of(evidence, rules, claim)
    text = worksheet(entry, three(pool), outcomes(rules)[asked.outcome], render.provenance(Path(data)))
    write_atomically(target, text)


def worksheet(entry: Entry, sheet: ByHand, outcome: str, origin: render.Provenance) -> str:
    """The worksheet as HTML: the claim, blanks for guesses, the counts of three reports, the formulas, the verdicts."""
    from cellclaims.notebooks.markup import mathml

    return filled(
        "worksheet.html.j2",
        claim=capital(entry.advertised["what"]),
        figure=figure_words(entry),
        said=entry.advertised,
        unsaid=list(UNSAID.values()),
        guesses=[(question, unit) for question, unit, *_ in GUESSES.values()],
        outcome=outcome,
        reports=[(label, f"{x:g}", f"{n:g}") for label, x, n in zip(sheet.labels, sheet.events, sheet.n, strict=True)],
        formulas={name: Markup(mathml(latex, "inline")) for name, latex in FORMULAS.items()},
        moves=MOVES,
        verdicts=VERDICTS,
        origin=origin,
        style=Markup((TEMPLATES / "worksheet.css").read_text(encoding="utf-8")),
    )
