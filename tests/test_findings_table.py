"""Every number of the summary of findings, recomputed from the rows of its pools by SciPy and own quadrature."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special, stats

from cellclaims import appraisal, reporting
from cellclaims.reporting.results import record
from cellclaims.reporting.tables import interval, number
from cellclaims.selection import Question

from .made_up_trials import base, real
from .test_recompute import binomial_normal, mantel_haenszel, normal

T2D = {"population": "T2D", "product": "any_cells"}
ASKED = {
    "hba1c": Question("hba1c", designs="rct", **T2D),
    "both": Question("insulin_halved_and_hba1c_lt_7", estimand="most_favourable", **T2D),
    "halved": Question("insulin_dose_halved", estimand="most_favourable", **T2D),
    "free": Question("insulin_independence", estimand="most_favourable", **T2D),
    "stopped": Question("all_glucose_lowering_drugs_stopped", estimand="most_favourable", **T2D),
    "serious": Question("serious_adverse_event", estimand="most_favourable", **T2D),
    "death": Question("death", estimand="most_favourable", **T2D),
    "low": Question("severe_hypoglycaemia", estimand="most_favourable", **T2D),
    "without": Question("hba1c", designs="rct", arms="control", **T2D),
    "islets": Question("insulin_independence", "T1D", "islets"),
}


@pytest.fixture(scope="module")
def findings():
    return {name: appraisal.answered(base(), question, name, name) for name, question in ASKED.items()}


def exact(events: float, n: float) -> tuple[float, float]:
    low = 0.0 if events == 0 else stats.beta.ppf(0.025, events, n - events + 1)
    high = 1.0 if events == n else stats.beta.ppf(0.975, events + 1, n - events)
    return low, high


def wilson(events: float, n: float) -> tuple[float, float]:
    z = stats.norm.ppf(0.975)
    p = events / n
    middle, half = (p + z**2 / (2 * n)), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return (middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)


def newcombe(row: object) -> tuple[float, float, float]:
    p, q = row.events / row.n, row.events_control / row.n_control
    (l1, u1), (l2, u2) = wilson(row.events, row.n), wilson(row.events_control, row.n_control)
    low, high = math.sqrt((p - l1) ** 2 + (u2 - q) ** 2), math.sqrt((u1 - p) ** 2 + (q - l2) ** 2)
    return p - q, p - q - low, p - q + high


def reported_interval(study_id: str) -> tuple[float, float]:
    """The interval of a difference of proportions that a study reports, in percent."""
    rows = real().contrasts
    (row,) = rows[(rows.study_id == study_id) & (rows.measure == "risk difference") & rows.ci_low.notna()].itertuples()
    scale = 100 if abs(row.ci_high) <= 1 else 1
    return scale * row.ci_low, scale * row.ci_high


def of_row(pool, row) -> str:
    """One study's own words, from its counts or from its effect and variance."""
    if pool.measure == "PLO":
        low, high = exact(row.events, row.n)
        return f"{number(100 * row.events / row.n, 0)} ({interval(100 * low, 100 * high, 0)})"
    if pool.measure == "RD":
        value, low, high = (100 * x for x in newcombe(row))
        if "interval as reported" in row.note:  # it comes before one that is computed from the counts
            low, high = reported_interval(row.study_id)
        word = "more " if value > 0 else "fewer " if value < 0 else ""
        return f"{number(abs(value), 0)} {word}per 100 ({interval(low, high, 0)})"
    return number(row.yi)


def of_pool(pool) -> str:
    """The pooled value in words, by another route from the rows."""
    made = record("test", pool)
    if pool.measure == "PLO":
        found = binomial_normal(made)
        values = [100 * special.expit(found[name][0]) for name in ("beta", "ci_lb", "ci_ub")]
        return f"{number(values[0], 0)} ({interval(*values[1:], 0)})"
    found = mantel_haenszel(made) if pool.measure == "RD" else normal(made)
    values = [found[name][0] for name in ("beta", "ci_lb", "ci_ub")]
    return f"{number(values[0])} ({interval(*values[1:])})"


@pytest.mark.parametrize("name", ASKED)
def test_every_cell_of_the_summary_follows_from_the_rows(findings, name):
    found = findings[name]
    table = reporting.summary_of_findings([found])
    row = dict(zip(table.header, map(str, table.cells[0]), strict=True))
    people = found.effect.rows
    size = people.n.sum() + people.n_control.fillna(0).sum()
    assert row["participants (studies)"] == f"{size:.0f} ({len(people)})".replace("nan", "0")
    for column, pool in (
        ("without cells", found.without),
        ("with cells", found.with_cells),
        ("difference", found.effect),
    ):
        if pool is None or not pool.k or (column == "difference" and not found.is_comparison):
            continue
        if pool.measure == "PLO" and not pool.rows.events.sum():
            largest = pool.rows.n.max()
            limit = number(100 * exact(0, largest)[1], 0)
            assert row[column].startswith(f"0 of {pool.rows.n.sum():g}; upper limit {limit}")
        elif pool.is_pooled:
            assert of_pool(pool) in row[column]
        else:
            for study in pool.rows.itertuples():
                assert of_row(pool, study) in row[column]


def test_the_participants_that_one_trial_needs_are_those_of_the_noncentral_t(findings):
    """HbA1c: the mean SD that the trials' variances imply, 0.5 points, 80% power, two-sided 5%."""
    pool = findings["hba1c"].effect
    needed = appraisal.certainty.optimal_size(pool, base().protocol)
    n, control, v = (pool.rows[c].to_numpy(float) for c in ("n", "n_control", "vi"))
    sd = math.sqrt(np.average(v * n * control / (n + control), weights=n + control))
    arm, shift = needed / 2, 0.5 / sd * math.sqrt(needed / 4)
    edge = stats.t.ppf(0.975, 2 * arm - 2)
    assert stats.nct.sf(edge, 2 * arm - 2, shift) == pytest.approx(0.8, abs=1e-4)
