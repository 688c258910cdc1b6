"""Application of rules that a schema cannot express; adds file, name of the rule and anomaly to each finding.

A rule is a function of :class:`~cellclaims.evidence.schema.Evidence`; its name is the name of the rule and its
docstring the statement. It yields findings, or, if the appraisal uses it, too, a result for every row
(:class:`~cellclaims.evidence.schema.RowResult`). To add one, write it into ``rules_figures``, ``rules_reports`` or
``screened`` and name it in the tuple there.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from cellclaims.errors import Fault
from cellclaims.evidence import rules_figures, rules_reports
from cellclaims.evidence.rules_reports import ACCEPTED_RULES, CHECKED_ONLY, HANDLING_RULES
from cellclaims.evidence.schema import Finding, RowResult, Schema, findings
from cellclaims.evidence.screened import SCREENING_CHECKED_ONLY, SCREENING_RULES

if TYPE_CHECKING:
    from cellclaims.evidence.schema import Evidence

Rule = Callable[["Evidence"], Iterator[Finding | RowResult]]

#: Applied whenever tables are read.
RULES: tuple[Rule, ...] = (
    *rules_figures.COUNT_RULES,
    *rules_figures.MEASURE_RULES,
    *rules_reports.REPORT_RULES,
    *HANDLING_RULES,
    *ACCEPTED_RULES,
    *SCREENING_RULES,
)
#: Applied by ``cellclaims check`` only: they find entries without effect, not errors in values.
CHECKED_ONLY: tuple[Rule, ...] = (*CHECKED_ONLY, *SCREENING_CHECKED_ONLY)

#: Kinds of anomalies that explain a finding. Rules not listed here never find errors of a source.
EXPLAINED_BY = {
    "percent_agrees_with_count": ("percent_arithmetic", "percent_fits_other_n", "denominator_ambiguous"),
    "percent_can_be_a_count": ("percent_arithmetic",),
    "n_at_most_arm": ("conditional_denominator", "denominator_conflict", "denominator_ambiguous"),
    "definition_fits_outcome": ("definition_mislabelled",),
    "median_without_sd": ("dispersion_inconsistent",),
    "spread_around_centre": ("impossible_interval",),
    "spread_is_plausible": ("dispersion_unlabelled", "dispersion_inconsistent"),
    "change_has_sign_of_levels": ("change_differs_from_levels", "sign_convention"),
    "count_agrees_with_median": ("text_contradiction",),
    "change_agrees_with_levels": ("change_differs_from_levels",),
    "limits_around_estimate": ("sign_misprint_in_pooled_result", "impossible_interval"),
    "interval_is_symmetric": ("sign_misprint_in_pooled_result", "impossible_interval"),
}
#: Name in the tables of results of the outcome ``hba1c`` of anomalies.
OUTCOME_WORDS = {"HbA1c (%)": "hba1c", "HbA1c %": "hba1c", "HbA1c": "hba1c"}
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def faults(evidence: Evidence, schema: Schema, rules: Iterable[Rule] = RULES) -> list[Fault]:
    """Return all faults found by the rules, in the order of the rules; known ones with their ``anomaly_id``."""
    recorded = _recorded(evidence)
    return [
        Fault(
            schema.tables[finding.table].path,
            finding.line,
            finding.column,
            rule.__name__,
            finding.expected,
            finding.found,
            _known(evidence, recorded, rule.__name__, finding),
        )
        for rule in rules
        for finding in findings(rule(evidence))
    ]


def _recorded(evidence: Evidence) -> dict[tuple[str, str, str], list[tuple[str, str]]]:
    """Return anomalies by report (or review), outcome and kind: their id and the reported values they quote."""
    recorded: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    columns = ["record_id", "outcome", "kind", "anomaly_id", "printed"]
    for record, outcome, kind, anomaly, printed in evidence.anomalies[columns].itertuples(index=False):
        recorded.setdefault((record, outcome, kind), []).append((anomaly, printed))
    return recorded


def _known(evidence: Evidence, recorded: dict, rule: str, finding: Finding) -> str:
    """Return the anomaly that records a finding as an error of the source; empty if there is none.

    Report (or review), outcome and kind must agree, and the value must be among those quoted by the anomaly, so that an
    anomaly explains only the value that it describes.
    """
    kinds = EXPLAINED_BY.get(rule, ())
    if not kinds:
        return ""
    rows = getattr(evidence, finding.table)
    record = rows.at[finding.line, "study_id" if "study_id" in rows else "review_id"]
    outcome = rows.at[finding.line, "outcome"]
    keys = [(record, OUTCOME_WORDS.get(outcome, outcome), kind) for kind in kinds]
    quoted = (anomaly for key in keys for anomaly in recorded.get(key, ()))
    return next((anomaly_id for anomaly_id, printed in quoted if _quotes(printed, finding.found)), "")


def _quotes(printed: str, found: str) -> bool:
    """Return whether the first number of ``found`` is in ``printed``; true if either contains no number.

    Signs are ignored, because some anomalies concern a missing sign.
    """
    figures, quoted = map(_numbers, (found, printed))
    return not figures or not quoted or figures[0] in quoted


def _numbers(text: str) -> list[float]:
    return [float(number) for number in NUMBER.findall(text)]
