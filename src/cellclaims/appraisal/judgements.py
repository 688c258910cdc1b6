"""Risk of bias as reviewers recorded it: RoB 2 and ROBINS-I, by domain and name.

The package judges nothing. It checks that a judgement is in the words of its tool, gathers the domains of a report, and
says who judged. RoB 2: Sterne and others 2019, https://doi.org/10.1136/bmj.l4898. ROBINS-I: Sterne and others 2016,
https://doi.org/10.1136/bmj.i4919.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

from cellclaims.errors import DataError

OVERALL = "overall"
SHARED = (
    "deviations from the intended treatment",
    "missing outcome data",
    "measurement of the outcome",
    "selection of the reported result",
)
#: Tool -> its domains.
DOMAINS = {
    "RoB 2": ("randomisation", *SHARED),
    "ROBINS-I": ("confounding", "selection of participants", "classification of treatments", *SHARED),
}
#: Tool -> its words, each with how grave it is: 0 low, 1 in between or unknown, 2 high or serious, 3 critical.
WORDS = {
    "RoB 2": {"low": 0, "some concerns": 1, "high": 2},
    "ROBINS-I": {"low": 0, "no information": 1, "moderate": 1, "serious": 2, "critical": 3},
}
HIGH, CRITICAL = 2, 3


@dataclass(frozen=True)
class Judged:
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
    for row in judgements.itertuples():
        where = f"appraisal/judgements.csv, row {row.Index}"
        for column, known in (("domain", (*DOMAINS[row.tool], OVERALL)), ("judgement", tuple(WORDS[row.tool]))):
            if (found := getattr(row, column)) not in known:
                expected = f"expected one of {row.tool}: {', '.join(known)}"
                raise DataError(f"{where}, column {column}: {expected}; found {found!r}")
    return judgements


def overall(judgements: pd.DataFrame, study_id: str, outcome: str = "", tool: str = "") -> Judged | None:
    """The risk of bias of a report for an outcome, or None where it was not judged as a whole.

    An overall judgement counts as recorded; without one, the gravest domain does, once every domain of the tool is
    judged (no domain can be better than the whole). Where reviewers differ the graver judgement counts.

    Parameters
    ----------
    judgements : DataFrame
        judgements.csv.
    study_id, outcome : str
        Judgements without an outcome hold for every outcome.
    tool : str
        "RoB 2" or "ROBINS-I"; empty takes the tool that was used, RoB 2 before ROBINS-I.
    """
    rows = checked(_of_report(judgements, study_id, outcome))
    for name in [tool] if tool else DOMAINS:
        mine = rows[rows.tool == name]
        whole = mine[mine.domain == OVERALL]
        if len(whole):
            return _gravest(whole, name, "overall judgement")
        if set(DOMAINS[name]) <= set(mine.domain):
            return _gravest(mine, name, "the gravest of all domains")
    return None


def _of_report(judgements: pd.DataFrame, study_id: str, outcome: str) -> pd.DataFrame:
    return judgements[(judgements.study_id == study_id) & judgements.outcome.isin(["", outcome])]


def _gravest(rows: pd.DataFrame, tool: str, how: str) -> Judged:
    grave = rows.judgement.map(WORDS[tool])
    word = rows.judgement[grave.idxmax()]
    differ = "; reviewers differ" if rows.groupby("domain").judgement.nunique().max() > 1 else ""
    reviewers = tuple(dict.fromkeys(rows.reviewer))
    return Judged(rows.study_id.iloc[0], tool, word, int(grave.max()), reviewers, how + differ)


def judged_domains(judgements: pd.DataFrame, study_ids: Iterable[str], tool: str, outcome: str = "") -> pd.DataFrame:
    """Judgements of a tool as signs for the traffic light: "+" low, "?" in between or unknown, "-" high, "" none.

    Returns
    -------
    DataFrame
        Index: the reports that were judged with that tool, in the order given; columns: its domains and ``overall``.
    """
    columns = [*DOMAINS[tool], OVERALL]
    table = {}
    for study in dict.fromkeys(study_ids):
        rows = checked(_of_report(judgements, study, outcome))
        rows = rows[rows.tool == tool]
        if len(rows):
            grave = rows.judgement.map(WORDS[tool]).groupby(rows.domain).max()
            table[study] = {domain: _sign(grave.get(domain)) for domain in columns}
            whole = overall(judgements, study, outcome, tool)
            table[study][OVERALL] = _sign(whole.grave if whole else None)
    return pd.DataFrame.from_dict(table, orient="index", columns=columns)


def _sign(grave: int | None) -> str:
    return "" if grave is None else "+?--"[int(grave)]
