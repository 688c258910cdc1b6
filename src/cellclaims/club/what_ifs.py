"""What a small number of reports and an overlapping cohort do to the answer, each by the package's own pools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from cellclaims import meta, pools
from cellclaims.evidence import Evidence
from cellclaims.pools import Pool
from cellclaims.protocol import Protocol
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import Table, value_words
from cellclaims.reporting.tables import pooled as pooled_table
from cellclaims.selection import Question, report_counts


def subsets(evidence: Evidence, protocol: Protocol, question: Question) -> list[Pool]:
    """The pool of the largest report, of the two largest, and so on to all: what each further report adds.

    The others are left out by the question, as at the controls.
    """
    whole = pools.proportion(evidence, protocol, question, "all_reports", "all")
    order = whole.rows.sort_values("n", ascending=False, kind="stable")
    ids = list(order.study_id)
    others = [study for study in report_counts(evidence, protocol, question).rows.study_id if study not in ids]
    found = []
    for k in range(1, len(ids) + 1):
        asked = pools.without(question, (*ids[k:], *others))
        title = order.label.iloc[0] if k == 1 else f"and {order.label.iloc[k - 1]}"
        found.append(pools.proportion(evidence, protocol, asked, f"largest_{k}", title))
    return found


def subsets_table(found: Sequence[Pool]) -> Table:
    """One line a pool, each with one report more than the line above."""
    return pooled_table(found, "One report more in each line, the largest first")


def by_time(evidence: Evidence, protocol: Protocol, question: Question, title: str) -> dict[str, Pool]:
    """The same outcome counted at any time, at the month asked for, and at the last visit, by estimand."""
    found = {}
    for estimand in ("ever", "at_month", "last_follow_up"):
        asked = replace(question, estimand=estimand).at(protocol)
        when = f"at {asked.months:g} months" if estimand == "at_month" else estimand.replace("_", " ")
        found[estimand] = pools.proportion(evidence, protocol, asked, f"by_time_{estimand}", f"{title}, {when}")
    return found


@dataclass(frozen=True)
class AsIfIndependent:
    """A pool with one report a cohort, and the same question with every report counted as if it had its own patients.

    ``counted_twice`` are the rows left out because they share patients, each with the reason.
    """

    honest: Pool
    naive: Pool
    counted_twice: pd.DataFrame


def as_if_independent(
    evidence: Evidence, protocol: Protocol, question: Question, title: str = "cells"
) -> AsIfIndependent:
    """Pool a share twice: as the review does, and as if no two reports shared patients."""
    honest = pools.proportion(evidence, protocol, question, "one_a_cohort", f"{title}: one report a cohort")
    reports = report_counts(evidence, protocol, question).rows
    counts = reports.events.to_numpy(float), reports.n.to_numpy(float)
    settings = {name: honest.settings[name] for name in ("level", "test", "nodes")}
    fit = meta.glmm(*counts, **settings) if len(reports) else None
    rows = reports.reindex(columns=honest.rows.columns)
    naive = replace(honest, name="as_if_independent", title=f"{title}: every report", rows=rows, fit=fit)
    twice = honest.left_out[honest.left_out.reason.str.startswith("shares patients")]
    return AsIfIndependent(honest, naive, twice.reset_index(drop=True))


def overlap_words(found: AsIfIndependent) -> Sentence:
    """How many reports share patients with another, how many patients they would add, and how the share moves."""
    if found.honest.fit is None or found.counted_twice.empty:
        return say("No two reports of this question share patients.")
    patients = [f"{pool.rows.n.sum():g}" for pool in (found.naive, found.honest)]
    values = [value_words(pool, float(pool.fit.beta)) for pool in (found.naive, found.honest)]
    return say(
        f"{len(found.counted_twice)} reports share patients with another one.",
        f"Counting every report makes {patients[0]} patients of {patients[1]} and a share of {values[0]}",
        f"instead of {values[1]}.",
    )
