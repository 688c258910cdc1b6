"""Risk of bias as readers recorded it: RoB 2, ROBINS-I and the JBI checklist for case series, by domain.

The package judges nothing. It checks that a judgement is in the words of its tool, gathers the domains of a report,
and says who judged. RoB 2: Sterne and others 2019, https://doi.org/10.1136/bmj.l4898. ROBINS-I: Sterne and others
2016, https://doi.org/10.1136/bmj.i4919. JBI: Munn and others 2020, https://doi.org/10.11124/JBISRIR-D-19-00099.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from cellclaims.errors import DataError

OVERALL = "overall"
JBI = "JBI case series checklist"
#: Tool -> its domains, for the JBI checklist its questions.
DOMAINS = {
    "RoB 2": (
        "randomisation process",
        "deviations from intended interventions",
        "missing outcome data",
        "measurement of the outcome",
        "selection of the reported result",
    ),
    "ROBINS-I": (
        "confounding",
        "selection of participants",
        "classification of interventions",
        "deviations from intended interventions",
        "missing data",
        "measurement of outcomes",
        "selection of the reported result",
    ),
    JBI: (
        "inclusion criteria",
        "condition measured",
        "valid identification",
        "consecutive inclusion",
        "complete inclusion",
        "demographics reported",
        "clinical information reported",
        "outcomes reported",
        "site demographics reported",
        "appropriate analysis",
    ),
}
#: Tool -> its words, each with how grave it is: 0 low, 1 in between or unknown, 2 high or serious, 3 critical.
WORDS = {
    "RoB 2": {"low": 0, "some concerns": 1, "high": 2},
    "ROBINS-I": {"low": 0, "no information": 1, "moderate": 1, "serious": 2, "critical": 3},
    JBI: {"yes": 0, "unclear": 1, "no": 2},
}
#: Words of an overall judgement. The JBI checklist has none of its own; readers of this review gave one of these.
OVERALL_WORDS = {**WORDS, JBI: {"low": 0, "moderate": 1, "high": 2}}
HIGH, CRITICAL = 2, 3
#: The maintainers' own readings. Every other reviewer is a person with a name, whose judgement replaces both.
READINGS = ("reading 1", "reading 2")
READ_BY = "two readings by the maintainers with reading software, mostly from abstracts and tables; no outside expert"


@dataclass(frozen=True)
class ReportJudgement:
    """The overall risk of bias of one report: the word, how grave it is, by which tool and whom, and how it was got."""

    study_id: str
    tool: str
    judgement: str
    grave: int
    reviewers: tuple[str, ...]
    how: str


def checked(judgements: pd.DataFrame) -> pd.DataFrame:
    """The same table, after every row was found in the words of its tool.

    Raises
    ------
    DataError
        Naming line, tool, and the domain or word that is not one of that tool.
    """
    _check_words(judgements.itertuples())
    return judgements


def _check_words(rows: Iterable[Any]) -> None:
    """Refuse a judgement that is not in the words of its tool."""
    for row in rows:
        domains = (*DOMAINS[row.tool], OVERALL)
        words = (OVERALL_WORDS if row.domain == OVERALL else WORDS)[row.tool]
        for column, known in (("domain", domains), ("judgement", tuple(words))):
            if (found := getattr(row, column)) not in known:
                expected = f"expected one of {row.tool}: {', '.join(known)}"
                where = f"appraisal/judgements.csv, row {row.Index}, column {column}"
                raise DataError(f"{where}: {expected}; found {found!r}")


def overall(judgements: pd.DataFrame, study_id: str, outcome: str = "", tool: str = "") -> ReportJudgement | None:
    """The risk of bias of a report for an outcome, or None where it was not judged as a whole.

    An overall judgement counts as recorded; without one, the gravest domain does, once every domain of the tool is
    judged (no domain can be better than the whole). The JBI checklist has no such rule: without an overall judgement
    the report is not judged by it. Where reviewers differ the graver judgement counts.

    Parameters
    ----------
    judgements : DataFrame
        judgements.csv.
    study_id : str
        The report.
    outcome : str
        The outcome, by its name in the protocol; only judgements that are valid for every outcome if empty.
    tool : str
        A tool of :data:`DOMAINS`; empty takes the first of them by which the report was judged.

    Returns
    -------
    ReportJudgement or None
    """
    rows = valid_judgements(judgements, study_id, outcome)
    for name in [tool] if tool else DOMAINS:
        mine = [row for row in rows if row.tool == name]
        whole = [row for row in mine if row.domain == OVERALL]
        if whole:
            return _gravest(whole, "overall judgement")
        if name != JBI and {*DOMAINS[name]} <= {row.domain for row in mine}:
            return _gravest(mine, "the gravest of all domains")
    return None


def valid_judgements(judgements: pd.DataFrame, study_id: str, outcome: str = "") -> list[Any]:
    """The judgements of a report that are valid for an outcome.

    A row without an outcome is valid for every outcome, unless the same reviewer judged the same domain by the same
    tool for this outcome. A row by a named person replaces both readings of the maintainers for its domain; their
    overall judgement falls away once named persons judged the report as a whole or in every domain of the tool.

    Parameters
    ----------
    judgements : DataFrame
        judgements.csv.
    study_id, outcome : str
        The report, and the outcome by its name in the protocol.

    Returns
    -------
    list of named tuples
        The rows that remain, in the order of the table; ``Index`` is the line.

    Raises
    ------
    DataError
        Where a row is not in the words of its tool.
    """
    of_study = judgements[(judgements.study_id == study_id).to_numpy(bool)]
    rows = [row for row in of_study.itertuples() if row.outcome in ("", outcome)]
    _check_words(rows)
    named = {(row.reviewer, row.tool, row.domain) for row in rows if row.outcome}
    rows = [row for row in rows if row.outcome or (row.reviewer, row.tool, row.domain) not in named]
    by_name: dict[str, set[str]] = {}
    for row in rows:
        if row.reviewer not in READINGS:
            by_name.setdefault(row.tool, set()).add(row.domain)
    return [row for row in rows if row.reviewer not in READINGS or not _superseded(row, by_name.get(row.tool, set()))]


def _superseded(row: Any, by_name: set[str]) -> bool:
    """Whether named persons judged this domain, or everything that the overall judgement is made of."""
    return row.domain in by_name or (row.domain == OVERALL and {*DOMAINS[row.tool]} <= by_name)


def agreement(judgements: pd.DataFrame) -> pd.DataFrame:
    """How often the two readings agree, by tool: equal judgements and Cohen's kappa.

    A pair is a report, an outcome and a domain that one of the readings names, with a valid judgement of each: its own
    row, or its row for every outcome of the report. A judgement that only one reading has is no pair.

    Parameters
    ----------
    judgements : DataFrame
        judgements.csv.

    Returns
    -------
    DataFrame
        ``tool``, ``level`` (domains or overall), ``pairs``, ``equal`` (proportion, 0 to 1) and ``kappa`` (NaN where
        all judgements of both readings are one word); a line for each tool and level with a pair.
    """
    pairs = _pairs(checked(judgements))
    lines = []
    for (tool, level), found in pairs.groupby(["tool", "level"], sort=False):
        words = sorted({*found.first, *found.second})
        codes = np.array([[words.index(a), words.index(b)] for a, b in zip(found.first, found.second, strict=True)])
        equal = float((codes[:, 0] == codes[:, 1]).mean())
        kappa = _kappa(codes) if len(words) > 1 else np.nan
        lines.append({"tool": tool, "level": level, "pairs": len(found), "equal": equal, "kappa": kappa})
    columns = ["tool", "level", "pairs", "equal", "kappa"]
    order = {tool: place for place, tool in enumerate(DOMAINS)}
    return pd.DataFrame(lines, columns=columns).sort_values(
        ["tool", "level"], key=lambda c: c.map(order) if c.name == "tool" else c, ignore_index=True
    )


def _kappa(codes: np.ndarray) -> float:
    """Cohen's kappa of two columns of codes from 0 on."""
    from statsmodels.stats.inter_rater import cohens_kappa, to_table  # 1 s: only who asks for it pays

    return float(cohens_kappa(to_table(codes, bins=int(codes.max()) + 1)[0], return_results=False))


def _pairs(judgements: pd.DataFrame) -> pd.DataFrame:
    """The judgements of both readings on the same report, outcome, tool and domain."""
    said = {
        (row.reviewer, row.study_id, row.outcome, row.tool, row.domain): row.judgement
        for row in judgements.itertuples()
        if row.reviewer in READINGS
    }
    asked = dict.fromkeys(key[1:] for key in said)
    lines = []
    for study, outcome, tool, domain in asked:
        first, second = (
            said.get((reader, study, outcome, tool, domain), said.get((reader, study, "", tool, domain)))
            for reader in READINGS
        )
        if first is not None and second is not None:
            level = OVERALL if domain == OVERALL else "domains"
            lines.append({"tool": tool, "level": level, "first": first, "second": second})
    return pd.DataFrame(lines, columns=["tool", "level", "first", "second"])


def _gravity(row: Any) -> int:
    return (OVERALL_WORDS if row.domain == OVERALL else WORDS)[row.tool][row.judgement]


def _gravest(rows: Sequence[Any], how: str) -> ReportJudgement:
    """The gravest of some judgements of one report by one tool, with everybody who judged."""
    worst = max(rows, key=_gravity)
    said: dict[str, set[str]] = {}
    for row in rows:
        said.setdefault(row.domain, set()).add(row.judgement)
    differ = "; reviewers differ" if any(len(words) > 1 for words in said.values()) else ""
    reviewers = tuple(dict.fromkeys(row.reviewer for row in rows))
    return ReportJudgement(worst.study_id, worst.tool, worst.judgement, _gravity(worst), reviewers, how + differ)


def judged_domains(judgements: pd.DataFrame, study_ids: Iterable[str], tool: str, outcome: str = "") -> pd.DataFrame:
    """Judgements of a tool as signs for the traffic light, one for each reader in order.

    Parameters
    ----------
    judgements : DataFrame
        judgements.csv.
    study_ids : iterable of str
    tool : str
        One of :data:`DOMAINS`.
    outcome : str
        By its name in the protocol.

    Returns
    -------
    DataFrame
        Index: the studies that were judged with that tool, in the order given; columns: its domains and ``overall``.
        Values: "+" low, "?" in between or unknown, "-" high or serious, "x" critical; two signs for two readings ("o"
        for one that did not judge), one where a named person judged, none where nobody did. Without an overall
        judgement the gravest of all domains.
    """
    columns = [*DOMAINS[tool], OVERALL]
    table = {}
    for study in dict.fromkeys(study_ids):
        rows = [row for row in valid_judgements(judgements, study, outcome) if row.tool == tool]
        if rows:
            rows = sorted(rows, key=lambda row: row.reviewer)
            table[study] = {domain: _signs([row for row in rows if row.domain == domain]) for domain in columns}
            if not table[study][OVERALL] and (whole := overall(judgements, study, outcome, tool)):
                table[study][OVERALL] = SIGNS[whole.grave]
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)


#: By how grave a judgement is: the sign of the traffic light; and that of a reading that did not judge.
SIGNS, UNJUDGED = "+?-x", "o"


def _signs(rows: Sequence[Any]) -> str:
    """One sign for each judgement of a domain; for one of the two readings that is missing a sign, too."""
    signs = {row.reviewer: SIGNS[_gravity(row)] for row in rows}
    if len(signs) == 1 and set(signs) < set(READINGS):
        return "".join(signs.get(reading, UNJUDGED) for reading in READINGS)
    return "".join(signs.values())


def reviewers_words(names: Iterable[str]) -> str:
    """Who judged, in words: named persons by name, the maintainers' readings as what they are."""
    people = [name for name in dict.fromkeys(names) if name not in READINGS]
    return ", ".join([*people, *([READ_BY] if len(people) < len(set(names)) else [])])
