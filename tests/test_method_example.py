"""The worked example of docs/method.md: each of its numbers again, from the rows to the ledger."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from scipy import stats

from cellclaims.claims import ledger
from cellclaims.pool import pooled
from cellclaims.question import Analysis, Question

from .made_up_trials import base, real

PAGE = Path(__file__).resolve().parent.parent / "docs" / "method.md"
MINUS = str.maketrans("-", "−")


@pytest.fixture(scope="module")
def section():
    text = PAGE.read_text(encoding="utf-8")
    return " ".join(text.partition("## 6. A worked example")[2].partition("\n## ")[0].split())


def test_the_rows_are_those_of_the_tables(section):
    levels, contrasts = real().continuous, real().contrasts
    cells, placebo, between = levels.loc[260], levels.loc[256], contrasts.loc[28]
    for row in (cells, placebo, between):
        assert row.study_id == "zang2022" and row.outcome == "hba1c" and row.months == 11
    assert (cells.kind, placebo.kind) == ("change", "change")
    assert (cells.center, placebo.center, between.p_value) == (-1.31, -0.63, 0.0081)
    assert "rows 260 and 256" in section and "row 28 of `contrasts.csv`" in section


def test_the_effect_is_the_difference_with_the_error_of_its_p_value(section):
    difference, t = -1.31 + 0.63, stats.t.isf(0.0081 / 2, 45 + 46 - 2)
    error, reach = abs(difference) / t, stats.t.isf(0.025, 89)
    low, high = difference - reach * error, difference + reach * error
    for words in (f"t = {t:.3f}", f"= {error:.3f} and the variance {error**2:.4f}", f"± {reach:.3f} × {error:.3f}",
                  f"that is {low:.2f} to {high:.2f}".translate(MINUS)):  # fmt: skip
        assert words in section, words


def test_pool_certainty_and_finding_are_those_of_the_review(section):
    pool = pooled(base(), Question("hba1c", "T2D", "any_cells", designs="rct"), Analysis("MD"))
    row = pool.rows[pool.rows.study_id == "zang2022"].iloc[0]
    assert (row.yi, math.sqrt(row.vi)) == (pytest.approx(-0.68), pytest.approx(0.251, abs=5e-4))
    fit, bayes = pool.fit, pool.bayes
    for words in (
        f"τ² = {pool.tau2:.3f} and a mean of {fit.beta:.2f} points", f"Zang 2022 has {row.weight:.1f}% of the weight",
        f"interval is {fit.ci_lb:.2f} to {fit.ci_ub:.2f}", f"Q is {pool.Q:.2f} on 3", f"(P = {pool.Q_p:.3f})",
        f"I² is {pool.I2:.0f}%", f"similar centre is {bayes.pi_lb:.2f} to {bayes.pi_ub:.2f}",
    ):  # fmt: skip
        assert words.translate(MINUS) in section, words
    (entry,) = (one for one in ledger(base()) if one.entry_id == "effect.hba1c")
    assert f"*{entry.finding}*" in section and f"The certainty is {entry.certainty}." in section
    assert f"({entry.certainty_steps[0]['reason'].split()[0]})" in section
