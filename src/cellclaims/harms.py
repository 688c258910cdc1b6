"""Harms: counts of participants with at least one event, study by study, with the control arm where there is one.

A study is listed with its exact interval, no event with its upper limit. Three and more of one definition are pooled
only where their follow-up is comparable (``harms.comparable`` of the protocol).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import pandas as pd
from scipy.special import expit

from cellclaims.meta.binomial_fit import clopper_pearson
from cellclaims.pool import Pool, label, pooled
from cellclaims.question import Analysis, Question
from cellclaims.selection import EvidenceBase

#: A harm counts whatever the time at which a study counts it.
ESTIMAND = "most_favourable"


@dataclass(frozen=True)
class Harm:
    """One harm after one product: the studies that count it, with and without cells.

    Attributes
    ----------
    outcome, name : str
        Its definition_id, and in words.
    product : str
        A product of the protocol.
    population : tuple of str
        Types of diabetes.
    cells, control : Pool
        One row per study; pooled where studies are comparable.
    why_alone : str
        Why three and more studies are not pooled; empty where they are, or are fewer.
    """

    outcome: str
    name: str
    product: str
    population: tuple[str, ...]
    cells: Pool
    control: Pool
    why_alone: str = ""


def harms(
    base: EvidenceBase, population: str | Iterable[str], product: str, exclude: Iterable[str] = (), name: str = "harm"
) -> list[Harm]:
    """Every harm of the protocol that a study of a product counts, in the protocol's order.

    Parameters
    ----------
    base : EvidenceBase
    population : str or iterable of str
        Types of diabetes.
    product : str
        A product of the protocol.
    exclude : iterable of str
        Studies to leave out, by study_id.
    name : str
        What the names of the pools start with.

    Returns
    -------
    list of Harm
        Without a harm that no study counts in a treated arm.
    """
    rules, found = base.protocol["harms"], []
    for outcome, about in rules["outcomes"].items():
        asked = Question(outcome, population, product, estimand=ESTIMAND, exclude=tuple(exclude))
        cells, control = (
            pooled(base, replace(asked, arms=arms).named(f"{name}_{outcome}_{arms}", title), Analysis("PLO"))
            for arms, title in (("cells", about["name"]), ("control", f"{about['name']}, without cells"))
        )
        if cells.k:
            why = why_not_comparable(cells, rules["comparable"])
            sides = (apart(cells), apart(control)) if why else (cells, control)
            found.append(Harm(outcome, about["name"], product, asked.population, *sides, why))
    return found


def products_apart(base: EvidenceBase) -> list[str]:
    """The products of the protocol without those that are made up of other products."""
    classes = {name: set(base.protocol.classes(name)) for name in base.protocol["eligibility"]["products"]}
    return [name for name, own in classes.items() if not any(own > other for other in classes.values())]


def why_not_comparable(pool: Pool, most: float) -> str:
    """Why three and more studies cannot be pooled: follow-up not stated, or too different; empty if they can."""
    if pool.k < pool.fewest:
        return ""
    months = pool.rows.months
    if months.isna().any():
        return f"{int(months.isna().sum())} of {pool.k} studies do not state their follow-up"
    if months.min() <= 0 or months.max() / months.min() > most:
        return f"follow-up of {months.min():g} to {months.max():g} months is not comparable"
    return ""


def apart(pool: Pool) -> Pool:
    """The same studies side by side, not pooled."""
    return replace(pool, fit=None, rows=pool.rows.assign(weight=float("nan"))) if pool.k > 1 else pool


def harm_lines(found: Sequence[Harm]) -> pd.DataFrame:
    """One row per study and side, for a figure or a table.

    Parameters
    ----------
    found : sequence of Harm

    Returns
    -------
    DataFrame
        ``group`` (the harm), ``kind`` ("study" with cells, "control" without), ``label``, ``study_id``, ``link``,
        ``months``, ``events``, ``n``, ``estimate``, ``low``, ``high`` (percent, exact limits), ``detail`` (questioned
        figures), ``product``, ``population`` (types of diabetes).
    """
    lines = []
    for harm in found:
        without = {row.study_id: row for row in harm.control.rows.itertuples()}
        for row in harm.cells.rows.itertuples():
            lines.append(_line(harm, row, "study"))
            if row.study_id in without:
                lines.append(_line(harm, without[row.study_id], "control"))
    columns = "group kind label study_id link months events n estimate low high detail product population".split()
    return pd.DataFrame(lines, columns=columns)


def _line(harm: Harm, row: object, kind: str) -> dict[str, object]:
    low, high = (100 * float(expit(limit)) for limit in (row.ci_lb, row.ci_ub))
    name = row.label if kind == "study" else f"{row.label}, without cells"
    return {
        "group": harm.name, "kind": kind, "label": name, "study_id": row.study_id, "link": row.link,
        "months": row.months, "events": row.events, "n": row.n, "estimate": 100 * row.events / row.n, "low": low,
        "high": high, "detail": row.note, "product": harm.product, "population": harm.population,
    }  # fmt: skip


def counted_otherwise(base: EvidenceBase, population: str | Iterable[str], product: str) -> pd.DataFrame:
    """Harms that studies count in ways that cannot be compared (``harms.listed``), one row per arm as reported.

    Parameters
    ----------
    base : EvidenceBase
    population : str or iterable of str
    product : str

    Returns
    -------
    DataFrame
        ``study_id``, ``label``, ``arm_id``, ``gets_cells``, ``definition``, ``months``, ``events``, ``n``, and exact
        limits ``low`` and ``high`` in percent, at the protocol's level.
    """
    asked = Question("death", population, product)
    rows = base.rows("binary")
    mine = rows[
        rows.definition_id.isin(base.protocol["harms"]["listed"])
        & rows.diabetes_type.isin(asked.population)
        & rows.intervention_class.isin(base.protocol.classes(product))
        & rows.n.notna()
        & rows.events.notna()
    ]
    low, high = clopper_pearson(
        mine.events.to_numpy(float), mine.n.to_numpy(float), base.protocol["models"]["proportion"]["level"]
    )
    columns = ["study_id", "label", "arm_id", "gets_cells", "definition", "months", "events", "n"]
    named = mine.assign(label=[label(base.evidence, study) for study in mine.study_id])
    return named[columns].assign(low=100 * low, high=100 * high).sort_values(["study_id", "arm_id"], kind="stable")
