"""Tables and sentences on harms: each study with its exact interval, no event with its upper limit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from cellclaims.evidence import Evidence
from cellclaims.harms import Harm, harm_lines
from cellclaims.reporting.pools import Sentence, say
from cellclaims.reporting.tables import MISSING, Link, Table, interval, number, table, value_words
from cellclaims.selection import EvidenceBase


def share_words(events: float, n: float, low: float, high: float) -> str:
    """A count as a percentage with its exact interval; of no event the upper limit.

    >>> share_words(0, 45, 0.0, 7.87), share_words(2, 12, 2.09, 48.41)
    ('0 of 45: upper limit 7.9%', '2 of 12: 16.7% (2.1 to 48.4)')
    """
    if not events:
        return f"0 of {n:g}: upper limit {number(high, 1)}%"
    return f"{events:g} of {n:g}: {number(100 * events / n, 1)}% ({interval(low, high, 1)})"


def months_words(months: float) -> str:
    """A follow-up in months, to a tenth, or that it is not stated."""
    return "not stated" if math.isnan(months) else f"{months:.3g}"


def harms_table(found: Sequence[Harm], caption: str) -> Table:
    """Each harm with its studies, the treated arm next to the control arm.

    Parameters
    ----------
    found : sequence of Harm
    caption : str

    Returns
    -------
    Table
    """
    lines = []
    every = harm_lines(found)
    for (group, study), rows in every.groupby(["group", "study_id"], sort=False):
        sides = {row.kind: row for row in rows.itertuples()}
        cells = sides["study"]
        control = sides.get("control")
        lines.append({
            "harm": group,
            "study": Link(cells.label, cells.link) if cells.link else cells.label,
            "months": months_words(cells.months),
            "with cells": share_words(cells.events, cells.n, cells.low, cells.high),
            "without cells": share_words(control.events, control.n, control.low, control.high) if control else
            "no control arm counted" if study else MISSING,
            "remark": cells.detail,
        })  # fmt: skip
    columns = ["harm", "study", "months", "with cells", "without cells", "remark"]
    return table(pd.DataFrame(lines, columns=columns), caption)


def harms_by_product(base: EvidenceBase, found: Sequence[Harm], caption: str) -> Table:
    """Each harm of several products in a line: studies, events, range of follow-up and of proportions, pooled or not.

    Parameters
    ----------
    base : EvidenceBase
    found : sequence of Harm
    caption : str

    Returns
    -------
    Table
    """
    lines = []
    for harm in found:
        rows = harm.cells.rows
        part = 100 * rows.events / rows.n
        months = rows.months.dropna()
        types = base.protocol["eligibility"]["populations"]
        lines.append({
            "product": base.protocol.product_name(harm.product),
            "diabetes": " or ".join(types[one] for one in harm.population),
            "harm": harm.name,
            "studies": float(len(rows)),
            "events of participants": f"{rows.events.sum():g} of {rows.n.sum():g}",
            "proportions, lowest to highest": f"{number(part.min(), 0)} to {number(part.max(), 0)}%"
            if len(rows) > 1 else f"{number(part.iloc[0], 0)}%",
            "months": f"{months.min():g} to {months.max():g}" if len(months) > 1 else
            f"{months.iloc[0]:g}" if len(months) else "not stated",
            "pooled": _pooled_words(harm),
        })  # fmt: skip
    columns = [
        *("product", "diabetes", "harm", "studies", "events of participants", "proportions, lowest to highest"),
        *("months", "pooled"),
    ]
    return table(pd.DataFrame(lines, columns=columns), caption)


def _pooled_words(harm: Harm) -> str:
    """The pooled proportion, or why there is none."""
    pool = harm.cells
    if harm.why_alone:
        return f"not pooled: {harm.why_alone}"
    if not pool.is_pooled:
        return pool.label
    values = [value_words(pool, float(getattr(pool.fit, name))) for name in ("beta", "ci_lb", "ci_ub")]
    return f"{values[0]} ({values[1]} to {values[2]})"


def counted_otherwise_table(lines: pd.DataFrame) -> Table:
    """Events that were judged related, or called severe: one row per arm as reported, never pooled.

    Parameters
    ----------
    lines : DataFrame
        As :func:`cellclaims.harms.counted_otherwise` gives them.

    Returns
    -------
    Table
    """
    shown = pd.DataFrame({
        "study": lines.label,
        "arm": ["with cells" if cells == "yes" else "without cells" for cells in lines.gets_cells],
        "what is counted": lines.definition,
        "months": [months_words(months) for months in lines.months],
        "participants with an event": [
            share_words(row.events, row.n, row.low, row.high) for row in lines.itertuples()
        ],
    })  # fmt: skip
    return table(shown, "Counted in other ways: events judged related to the treatment, or called severe")


#: Topics whose rows say how cells harm elsewhere, and what kind of row each design is.
CONTEXT_KINDS = {
    "meta_analysis": "meta-analysis", "review": "warning, outbreak or review", "rct": "randomised trial",
    "controlled": "registry or matched cohort", "single_arm": "single-arm study or case report",
}  # fmt: skip


def harms_elsewhere(evidence: Evidence) -> Table:
    """Warnings, outbreaks, registries, case reports and meta-analyses on harms, with a link to each.

    Parameters
    ----------
    evidence : Evidence

    Returns
    -------
    Table
    """
    rows = evidence.topic_evidence
    both = pd.concat([rows[rows.topic == "harms"], evidence.context[evidence.context.topic == "harms"]])
    both = both[~both.duplicated(["reference", "outcome", "result"])]
    kinds = both.design.map(CONTEXT_KINDS).fillna(both.design)
    order = {kind: place for place, kind in enumerate(["warning, outbreak or review", *CONTEXT_KINDS.values()])}
    both = both.assign(kind=kinds, rank=kinds.map(order)).sort_values(["rank", "year", "row_id"], kind="stable")
    shown = pd.DataFrame({
        "kind": both.kind,
        "source": [_source(row) for row in both.itertuples()],
        "product": both.cell_type,
        "participants": both.n,
        "what is reported": [f"{row.outcome}: {row.result}" for row in both.itertuples()],
        "interval or P": both.p_or_ci,
    })  # fmt: skip
    return table(shown, "Harms reported elsewhere: context, not part of any count above")


def _source(row: object) -> object:
    """Title and year of a source, linked by its DOI."""
    year = "" if math.isnan(row.year) else f" ({row.year:g})"
    words = f"{row.title or row.reference}{year}"
    return Link(words, f"https://doi.org/{row.doi}") if row.doi else words


def harms_headline(found: Sequence[Harm], product: str, population: str) -> Sentence:
    """What the studies report on the first harms of the protocol, and what no study counts.

    Parameters
    ----------
    found : sequence of Harm
    product, population : str
        In words.

    Returns
    -------
    Sentence
    """
    if not found:
        return say(f"No study of {product} in {population} counts participants with one of these harms.")
    known = {harm.outcome: harm for harm in found}
    first = ("serious_adverse_event", "death", "severe_hypoglycaemia")
    parts = [_harm_sentence(known[outcome]) for outcome in first if outcome in known]
    largest = max(float(harm.cells.rows.n.max()) for harm in found)
    unseen = f"Even the largest study that counts one of them (n = {largest:g}) can miss a harm of"
    return say(*parts, f"{unseen} {number(100 * _rule_of_none(largest), 0)} in 100 participants.")


def _rule_of_none(n: float) -> float:
    """The upper 97.5% limit of a proportion of which no event was seen among n (Clopper-Pearson)."""
    return 1 - 0.025 ** (1 / n)


def _harm_sentence(harm: Harm) -> str:
    rows, control = harm.cells.rows, harm.control.rows
    without = f"; without cells {_each(control)}" if len(control) else ""
    studies = "1 study" if len(rows) == 1 else f"{len(rows)} studies"
    lone = "" if len(control) else "; no control arm counts it"
    return f"{capital(harm.name)}: {_each(rows)} participants with cells ({studies}{lone}){without}."


def _each(rows: pd.DataFrame) -> str:
    """Counts study by study, or the range of many: they are not added up, as follow-up differs."""
    if len(rows) <= LISTED:
        return ", ".join(f"{row.events:g} of {row.n:g}" for row in rows.itertuples())
    percent = 100 * rows.events / rows.n
    sizes = f"{number(rows.n.min(), 0)} to {number(rows.n.max(), 0)}"
    return f"{number(percent.min(), 0)}% to {number(percent.max(), 0)}% of {sizes}"


#: So many counts are listed in a sentence; of more the range is given.
LISTED = 5


def capital(words: str) -> str:
    """Words with a capital first letter."""
    return words[:1].upper() + words[1:]


def harm_marks(found: Sequence[Harm], base: EvidenceBase | None = None) -> pd.DataFrame:
    """The lines of a figure: each study and side with its counts and follow-up as text.

    Parameters
    ----------
    found : sequence of Harm
    base : EvidenceBase, optional
        Names the product before each harm, where several products are shown.

    Returns
    -------
    DataFrame
        As :func:`cellclaims.figures.estimates` takes it, with ``counts`` and ``time``.
    """
    lines = harm_lines(found)
    groups = [capital(group) for group in lines.group]
    if base is not None:
        types = base.protocol["eligibility"]["populations"]
        groups = [
            capital(f"{base.protocol.product_name(row.product)}, {' or '.join(types[p] for p in row.population)}: ")
            + row.group
            for row in lines.itertuples()
        ]
    return lines.assign(
        group=groups,
        counts=[f"{row.events:g}/{row.n:g}" for row in lines.itertuples()],
        time=[months_words(months) for months in lines.months],
    )


def harm_note(found: Sequence[Harm]) -> str:
    """What a figure of harms shows: studies, participants, intervals and marks, in a sentence.

    Parameters
    ----------
    found : sequence of Harm

    Returns
    -------
    str
    """
    most: dict[str, float] = {}
    for harm in found:
        for row in harm.cells.rows.itertuples():
            most[row.study_id] = max(most.get(row.study_id, 0.0), float(row.n))
    return (
        f"k = {len(most)} studies, n = {sum(most.values()):g} participants with cells. Exact (Clopper-Pearson) "
        "intervals. Filled squares: with cells; open squares: control arms without cells."
    )
