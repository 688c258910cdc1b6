"""Counts of one report under every choice within it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import pandas as pd

from cellclaims.protocol import Protocol
from cellclaims.report_rows import answer, by_report
from cellclaims.selection import Question, count_rules, eligible, passing
from cellclaims.specifications.choices import Option
from cellclaims.specifications.report_tables import Collected, Table, as_printed, handled, read_otherwise, timed
from cellclaims.tables import Evidence

#: What choosing among the rows of a report and describing the answer need.
COLUMNS = (
    "study_id arm_id part_of definition_id diabetes_type intervention_class design randomised blinding year timing "
    "months events n n_stands_in status source_id source_rank line flag"
).split()


def count_tables(
    evidence: Evidence, protocol: Protocol, wide: Question, options: Mapping[str, Sequence[Option]], found: Collected
) -> dict[tuple[int, ...], Table]:
    """The table of every combination: axes outcome, timing, figures, effect (one option), handling."""
    tables: dict[tuple[int, ...], Table] = {}
    for (o, outcome), (h, handling) in product(enumerate(options["outcome"]), enumerate(options["handling"])):
        about = replace(wide, outcome=outcome.settings.get("definition", wide.outcome))
        part, asked = handled(evidence, about, handling)
        rows, read = eligible(part, protocol, asked, "binary")[COLUMNS], _Read((o, h), found)
        for (t, timing), (f, figures) in product(enumerate(options["timing"]), enumerate(options["figures"])):
            at = timed(protocol, asked, timing, figures)
            own = read.table(passing(as_printed(rows, figures), count_rules(at)), at)
            tables[o, t, f, 0, h] = own if h == 0 else read_otherwise(tables[o, t, f, 0, 0], handling, own)
    return tables


class _Read:
    """Reads the reports of one outcome under one handling; the same rows are read once."""

    def __init__(self, handling: tuple[int, int], found: Collected) -> None:
        self.handling, self.found = handling, found
        self.known: dict[Any, int] = {}

    def table(self, rows: pd.DataFrame, asked: Question) -> Table:
        """The report figure of every report that has an answer."""
        table = {}
        for study_id, report in by_report(rows).items() if len(rows) else ():
            key = (tuple(row.place for row in report), asked.estimand, asked.months)
            if key not in self.known:
                alike, _ = answer(report, asked.estimand, asked.months)
                places = [row.place for row in alike]
                figure = _summed(rows.loc[places].to_dict("records"))
                self.known[key] = self.found.add((self.handling, tuple(places)), figure)
            table[study_id] = self.known[key]
        return table


def _summed(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Arms that are counted together as one group."""
    totals = {name: sum(row[name] for row in rows) for name in ("events", "n")}
    words = {"arm_id": "+".join(row["arm_id"] for row in rows), "line": ";".join(str(row["line"]) for row in rows)}
    return {**rows[0], **words, **totals, "outcome": rows[0]["definition_id"]}
