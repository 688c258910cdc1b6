"""GRIM, GRIMMER and DEBIT on the rows, where it is known in which steps single values are given.

HbA1c in per cent is taken to be given to 0.1 for each patient, as laboratories mostly report it; in mmol/mol and for
glucose in mg/dL to whole numbers. These steps are assumptions (one report prints a single patient's HbA1c to 0.01), so
that a failure is no proof: it says that the number of patients, the rounding or the step is not what it seems. A mean
of HbA1c printed to 0.1 can never fail, one printed to 0.01 only below ten patients. Insulin doses are averaged over
days, glucose in mmol/L is often converted, and C-peptide is read from assays of unknown resolution: no step is known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from cellclaims.appraisal import granularity
from cellclaims.appraisal.check import (
    ARITHMETIC,
    CONSISTENT,
    INCONSISTENT,
    NOT_APPLICABLE,
    PLAUSIBILITY,
    Check,
    Result,
    printed_text,
)
from cellclaims.tables import Evidence
from cellclaims.tables.rules_measures import RELATIVE

#: Outcome and unit -> the step in which single values are given.
STEPS = {("hba1c", "%"): "0.1", ("hba1c", "mmol/mol"): "1", ("fpg", "mg/dL"): "1"}
#: A row with its printed centre and spread -> what a test says of it.
Tested = Callable[[pd.Series, str, str], tuple[str, str, str]]


def _rows(tested: Tested) -> Callable[[Evidence], Iterator[Result]]:
    def judge(evidence: Evidence) -> Iterator[Result]:
        centres = printed_text(evidence, "continuous", "center")
        spreads = printed_text(evidence, "continuous", "dispersion_low")
        for row in evidence.continuous.itertuples():
            centre, spread = centres[row.Index], spreads.get(row.Index, "")
            verdict, expected, reason = tested(row, centre, spread)
            yield Result("continuous", row.Index, verdict, _words(row, centre, spread), expected, reason)

    return judge


def _words(row: pd.Series, centre: str, spread: str) -> str:
    beside = f" ± {spread}" if row.dispersion_type in ("sd", "se") else ""
    return f"{centre}{beside} {row.unit}, n = {row.n:g}".replace("n = nan", "n not printed")


def _grim(row: pd.Series, centre: str, _: str) -> tuple[str, str, str]:
    if why := _no_mean_in_steps(row):
        return NOT_APPLICABLE, "", why
    n, step = int(row.n), STEPS[row.outcome, row.unit]
    if not granularity.grim_can_fail(centre, n, step):
        return (
            NOT_APPLICABLE,
            "",
            f"cannot fail: means of {n} values in steps of {step} come closer than the printed digits",
        )
    assumed = f"if single values are given in steps of {step}"
    if granularity.grim(centre, n, step):
        return CONSISTENT, "", assumed
    below, above = (f"{float(x):.{len(centre.partition('.')[2]) + 1}f}" for x in
                    granularity.possible_means(centre, n, step))  # fmt: skip
    cut = "; it fits if digits were cut off and not rounded" if granularity.grim_when_cut(centre, n, step) else ""
    return INCONSISTENT, f"{below} or {above} (a mean of {n} values)", assumed + cut


def _grimmer(row: pd.Series, centre: str, spread: str) -> tuple[str, str, str]:
    if why := _no_mean_in_steps(row):
        return NOT_APPLICABLE, "", why
    if row.dispersion_type not in ("sd", "se"):
        return NOT_APPLICABLE, "", "no standard deviation is printed"
    n, step, is_se = int(row.n), STEPS[row.outcome, row.unit], row.dispersion_type == "se"
    if not granularity.grim(centre, n, step):
        return NOT_APPLICABLE, "", "the mean itself does not fit"
    if not granularity.grimmer_can_fail(spread, n, step, is_se=is_se):
        return NOT_APPLICABLE, "", "cannot fail: every standard deviation to the printed digits is possible"
    fits = granularity.grimmer(centre, spread, n, step, is_se=is_se)
    assumed = f"if single values are given in steps of {step}"
    return (CONSISTENT, "", assumed) if fits else (INCONSISTENT, f"a spread that {n} such values can have", assumed)


def _debit(row: pd.Series, centre: str, spread: str) -> tuple[str, str, str]:
    if row.unit != "proportion":
        return NOT_APPLICABLE, "", "measured, not counted"
    if row.dispersion_type != "sd" or np.isnan(row.n):
        return NOT_APPLICABLE, "", "no standard deviation with its number of patients is printed"
    fits = granularity.debit(centre, spread, int(row.n))
    return (CONSISTENT, "", "") if fits else (INCONSISTENT, "the standard deviation that this share has", "")


def _no_mean_in_steps(row: pd.Series) -> str:
    """Why a row is no mean of values in known steps; empty where it is."""
    if row.center_type != "mean":
        return "a median is one of the values or lies between two of them, whatever the number of patients"
    if row.unit in RELATIVE:
        return "a relative change has no step"
    if (row.outcome, row.unit) not in STEPS:
        return f"no step is known in which single values are given in {row.unit or 'no unit'}"
    if np.isnan(row.n):
        return "no number of patients is printed"
    return "" if row.n > 1 else "one patient: the value is no mean"


CHECKS = (
    Check("GRIM: mean against n", PLAUSIBILITY, "some whole number of steps, divided by n, prints as the mean",
          "https://doi.org/10.1177/1948550616673876", _rows(_grim)),
    Check("GRIMMER: spread against n", PLAUSIBILITY, "some whole sum of squares of the right parity gives the standard "
          "deviation", "https://doi.org/10.7287/peerj.preprints.2400v1", _rows(_grimmer)),
    Check("DEBIT: yes or no with a spread", ARITHMETIC, "variance of a share: k (n - k) / (n (n - 1))",
          "https://doi.org/10.17605/OSF.IO/5VB3U", _rows(_debit)),
)  # fmt: skip
