"""How stable a finding is: in how many distinct specifications, that a fair reviewer could have chosen, it is the same.

Outcome, estimand and population are those of the claim. What varies is listed in the protocol (``specifications``):
product, design, blinding, values that are questioned, secondary or assumed, treatments given with the cells, and for a
difference the time, the effect, the model and the prior.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from cellclaims.claims import findings
from cellclaims.claims.arithmetic import probabilities_of_sets
from cellclaims.claims.counterparts import RATE
from cellclaims.claims.findings import RateRules, StudyResult, effect_finding, pool_finding, rate_finding
from cellclaims.claims.ledger import Entry, question_of_entry
from cellclaims.meta.quantiles import normal_quantile
from cellclaims.question import Question
from cellclaims.selection import EvidenceBase
from cellclaims.specifications import Curve, RowSets, choices_of, fitted, report_tables, row_sets, without_idle

#: What a row set holds, by its number.
Rows = Callable[[int], pd.DataFrame]


def with_stability(base: EvidenceBase, entries: Sequence[Entry]) -> list[Entry]:
    """The entries with their stability, where a question of counted or measured outcomes was answered.

    Parameters
    ----------
    base : EvidenceBase
    entries : sequence of Entry

    Returns
    -------
    list of Entry
        Entries of one question share what was computed. Under the protocol's number of distinct specifications there
        is a number and no proportion: too few to say.
    """
    known: dict[tuple, list[str]] = {}
    return [_with_stability(base, entry, known) for entry in entries]


def _with_stability(base: EvidenceBase, entry: Entry, known: dict[tuple, list[str]]) -> Entry:
    question = question_of_entry(base, entry) if entry.studies else None
    if question is None or entry.finding == findings.CANNOT_BE_ASSESSED:
        return entry
    claim = entry.advertised["value"] / 100 if entry.family == RATE else None
    if entry.family != RATE and entry.rule != "pool" and "events" in entry.studies[0]:
        return entry
    key = (question.named("", ""), claim)
    if key not in known:
        known[key] = rate_findings(base, question, claim) if entry.family == RATE else measured_findings(base, question)
    found = known[key]
    enough = len(found) >= base.protocol["findings"]["specifications"]
    share = float(np.mean([one == entry.finding for one in found])) if enough else None
    return replace(entry, stability=share, specifications=len(found))


def rate_findings(base: EvidenceBase, question: Question, claim: float) -> list[str]:
    """The finding of each distinct specification of an advertised proportion.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    claim : float
        Between 0 and 1.

    Returns
    -------
    list of str
        One for each distinct choice of counts; from three studies one for each prior.
    """
    rules = RateRules.of(base.protocol["findings"]["rates"])
    better = base.protocol.outcome(question.outcome).better
    sets = sets_of(base, question)
    keep = np.unique(sets.keep, axis=0)
    events, n = (sets.rows[name].to_numpy(float) for name in ("events", "n"))
    has_logit = 0 < claim < 1 and len(n) > 0
    chances = (
        probabilities_of_sets(events, n, keep, claim, rules.priors) if has_logit else np.full((len(keep), 1), np.nan)
    )
    found = []
    for chosen, row in zip(keep, chances, strict=True):
        known = {s: float(p) for s, p in zip(rules.priors, row, strict=False) if np.isfinite(p)}
        priors = list(known) if chosen.sum() >= rules.fewest and known else [None]
        for scale in priors:
            own = {} if scale is None else {scale: known[scale]}
            made = rate_finding(events[chosen], n[chosen], claim, own, better=better, rules=rules)
            found.append(made.finding)
    return found


def sets_of(base: EvidenceBase, question: Question) -> RowSets:
    """Every distinct choice of counts for a question."""
    question = question.at(base.protocol)
    choices = choices_of(base, question, "rate")
    tables = report_tables(base, question, "rate", choices)
    return without_idle(choices, row_sets(base, question, "rate", choices, tables))[1]


def measured_findings(base: EvidenceBase, question: Question) -> list[str]:
    """The finding of each distinct specification of a measured outcome."""
    lines = curve_of(base, question).lines
    return list(lines.finding[lines.counted])


def curve_of(base: EvidenceBase, question: Question) -> Curve:
    """The specification curve of a measured outcome, each line with its finding.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
        Of a difference between arms.

    Returns
    -------
    Curve
    """
    better = base.protocol.outcome(question.outcome).better
    fewest = base.protocol["models"]["fewest_pooled"]

    def decide(lines: pd.DataFrame, rows: Rows) -> list[str]:
        return [
            pool_finding(line.ci_lb, line.ci_ub, better=better)
            if line.k >= fewest
            else effect_finding(_results(rows(line.row_set), better)).finding
            for line in lines.itertuples()
        ]

    return fitted(base, question, "difference").judged(decide)


def curve_of_entry(base: EvidenceBase, entry: Entry) -> Curve | None:
    """The specification curve of an entry that a measured outcome answers; None for another one, or without a study.

    Parameters
    ----------
    base : EvidenceBase
    entry : Entry

    Returns
    -------
    Curve or None
    """
    question = question_of_entry(base, entry) if entry.studies else None
    is_measured_one = question is not None and question.outcome == "hba1c"
    return curve_of(base, question) if is_measured_one else None


def _results(rows: pd.DataFrame, better: str) -> list[StudyResult]:
    """Too few trials to pool: each by its own normal interval."""
    reach = normal_quantile(0.95)
    sign = -1.0 if better == "lower" else 1.0
    return [
        StudyResult(
            reference=row.study_id,
            kind="randomised" if row.design == "rct" else "controlled",
            direction=findings.TOWARDS if sign * row.yi > 0 else findings.AWAY if row.yi else findings.NEITHER,
            excludes=abs(row.yi) > reach * row.vi**0.5,
            n=row.n,
        )
        for row in rows.itertuples()
    ]
