"""One question -> the rows, the effects, the fit: a *pool* that anyone can recompute from its own rows.

A pool holds what a forest plot, a table, a verdict and ``results.json`` need, all of it unrounded. One report is
shown and not pooled; two to four are pooled and labelled.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from cellclaims import meta
from cellclaims.anomalies import joined
from cellclaims.effects import FORMS, each_by_its_side, mean_changes, mean_differences
from cellclaims.evidence import Evidence
from cellclaims.meta.binomial_fit import clopper_pearson
from cellclaims.protocol import Protocol
from cellclaims.selection import Question, Selected, independent, select_counts

ROW_COLUMNS = (  # in the order of results.json
    "study_id arm_id source_id label year diabetes_type product design randomised blinding months events n "
    "events_control n_control yi vi ci_lb ci_ub weight link detail note table line"
).split()
#: Why a report with only one of two sides is in no difference.
NO_PAIR = "no count for both an arm with cells and an untreated one"
LEFT_OUT_COLUMNS = ["study_id", "arm_id", "months", "table", "line", "reason"]


@dataclass(frozen=True)
class Described:
    """What a pool is called, what it asks and how it is fitted, before it has rows.

    ``settings`` names model, method, test, level and how the interval was made.
    """

    name: str
    title: str
    estimand: str
    measure: str
    scale: str
    settings: dict[str, Any]
    question: Question


@dataclass(frozen=True)
class Pool(Described):
    """The answer to one question, with every row that it was made from and every row that it left out.

    ``rows`` has one line a report (:data:`ROW_COLUMNS`; yi, vi and limits on ``scale``, weight in percent);
    ``left_out`` the study, arm and reason. ``fit`` is None when nothing was found. ``few`` is the largest number of
    reports that counts as few.
    """

    rows: pd.DataFrame = field(repr=False)
    left_out: pd.DataFrame = field(repr=False)
    fit: Any
    few: int = 4

    @property
    def k(self) -> int:
        """Number of reports."""
        return len(self.rows)

    @property
    def label(self) -> str:
        """How much weight the number of reports can bear, in words (empty for enough)."""
        if self.k == 0:
            return "no report"
        if self.k == 1:
            return "one report: shown, not pooled"
        return "few reports" if self.k <= self.few else ""

    def back(self, value: float) -> float:
        """A value of the analysis scale on the scale that readers know: a proportion for logit, else itself."""
        return float(expit(value)) if self.scale == "logit" else float(value)


def proportion(evidence: Evidence, protocol: Protocol, question: Question, name: str, title: str) -> Pool:
    """Proportion of patients with the outcome: binomial-normal model, interval by t on the logit."""
    question = question.at(protocol)
    chosen, model = select_counts(evidence, protocol, question), protocol["models"]["proportion"]
    rows, fit = chosen.rows, None
    if len(rows):
        counts = rows.events.to_numpy(float), rows.n.to_numpy(float)
        fit = meta.glmm(*counts, level=model["level"], test=model["test"], nodes=model["nodes"])
        low, high = clopper_pearson(*counts, model["level"])
        rows = rows.assign(ci_lb=logit(low), ci_ub=logit(high), weight=_information(*counts, fit), **_logits(*counts))
    settings = {**model, "interval": _interval_of(fit), "weight": "information at the pooled proportion"}
    described = Described(name, title, question.estimand, "PLO", "logit", settings, question)
    return _pool(evidence, protocol, described, rows, chosen.left_out, fit)


def change(
    evidence: Evidence,
    protocol: Protocol,
    question: Question,
    name: str,
    title: str,
    correlation: float | None = None,
) -> Pool:
    """Mean change from baseline within an arm (uncontrolled, or the control arms' own change)."""
    question, r = question.at(protocol), _correlation(protocol, correlation)
    made = mean_changes(evidence, protocol, question, r)
    settings = {**protocol["models"]["continuous"], "correlation": r}
    described = Described(name, title, "mean change from baseline", "MC", "identity", settings, question)
    return _normal(evidence, protocol, described, made)


def difference(
    evidence: Evidence,
    protocol: Protocol,
    question: Question,
    name: str,
    title: str,
    correlation: float | None = None,
    forms: Iterable[str] = FORMS,
    **model: Any,
) -> Pool:
    """Mean difference between arms with cells and untreated arms; ``method`` and ``test`` replace the protocol's."""
    question, r = question.at(protocol), _correlation(protocol, correlation)
    made = mean_differences(evidence, protocol, question, r, forms)
    settings = {**protocol["models"]["continuous"], **model}
    described = Described(name, title, "mean difference between arms", "MD", "identity", settings, question)
    return _normal(evidence, protocol, described, made)


def risk_difference(evidence: Evidence, protocol: Protocol, question: Question, name: str, title: str) -> Pool:
    """Difference of two proportions in controlled reports: Mantel-Haenszel, no correction for empty cells."""
    question = question.at(protocol)
    sides = [select_counts(evidence, protocol, replace(question, arms=arms)) for arms in ("cells", "control")]
    rows, level = _with_control(*(side.rows for side in sides)), protocol["models"]["proportion"]["level"]
    counts = [rows[c].to_numpy(float) for c in ("events", "n", "events_control", "n_control")]
    fit = None
    if len(rows):
        cells = dict(zip(("ai", "n1i", "ci", "n2i"), counts, strict=True))
        fit = meta.mantel_haenszel("RD", **cells, level=level)
        rows = _risk_differences(rows, *counts, level)
    settings = {"model": "mantel_haenszel", "method": "MH", "test": "z", "level": level, "interval": "normal"}
    alone = [side.rows[~side.rows.study_id.isin(rows.study_id)].assign(reason=NO_PAIR) for side in sides]
    left_out = each_by_its_side(evidence, *(side.left_out for side in sides), *alone)
    described = Described(name, title, question.estimand, "RD", "identity", settings, question)
    return _pool(evidence, protocol, described, rows, left_out, fit)


def without(question: Question, studies: Iterable[str]) -> Question:
    """The same question without these reports (a claim's own trial never answers for the claim)."""
    return replace(question, exclude=(*question.exclude, *studies))


def switched(evidence: Evidence, protocol: Protocol, question: Question, name: str) -> dict[str, Pool]:
    """The proportion pool again, one anomaly at a time in its alternative handling: those that change a row."""
    primary = proportion(evidence, protocol, question, name, "primary handling")
    steps = evidence.handling[(evidence.handling.variant != "primary") & (evidence.handling.table == "binary")]
    pools = {}
    for anomaly in dict.fromkeys(steps.anomaly_id):
        other = replace(question, alternative=(*question.alternative, anomaly))
        words = "; ".join(dict.fromkeys(steps[steps.anomaly_id == anomaly].reason))
        study = label(evidence, steps[steps.anomaly_id == anomaly].study_id.iloc[0])
        pool = proportion(evidence, protocol, other, f"{name}_{anomaly}", f"{study}: {words} ({anomaly})")
        if not _same_rows(pool, primary):
            pools[pool.title] = pool
    return pools


def _same_rows(one: Pool, other: Pool) -> bool:
    columns = ["study_id", "events", "n"]
    return one.rows[columns].equals(other.rows[columns])


def _normal(evidence: Evidence, protocol: Protocol, described: Described, made: Selected) -> Pool:
    chosen = independent(evidence, protocol, described.question, made.rows)
    rows, fit = chosen.rows, None
    settings = _for_so_many(described.settings, len(rows))
    if len(rows):
        y, v = rows.yi.to_numpy(float), rows.vi.to_numpy(float)
        fit = meta.fit(y, v, **{key: settings[key] for key in ("method", "test", "level")})
        rows = _with_limits(rows, settings["level"]).assign(weight=np.atleast_1d(fit.weights))
    left_out = [part for part in (made.left_out, chosen.left_out) if len(part)]
    left_out = pd.concat(left_out) if left_out else made.left_out
    return _pool(evidence, protocol, replace(described, settings=settings), rows, left_out, fit)


def _for_so_many(settings: dict[str, Any], k: int) -> dict[str, Any]:
    """One report is shown with its own normal interval; more are pooled by the protocol's method and test."""
    if k <= 1:
        return {**settings, "method": "EE", "test": "z", "interval": "normal"}
    t = f"t with {k - 1} df"
    words = {"z": "normal", "t": t, "knha": f"Hartung-Knapp, {t}"}
    return {
        **settings,
        "interval": words.get(settings["test"], f"Hartung-Knapp, never narrower than normal, {t}"),
    }


def _correlation(protocol: Protocol, given: float | None) -> float:
    return float(protocol["models"]["correlation"]["value"] if given is None else given)


def _with_limits(rows: pd.DataFrame, level: float) -> pd.DataFrame:
    reach = ndtri(0.5 + level / 2) * np.sqrt(rows.vi.astype(float))
    return rows.assign(ci_lb=rows.yi - reach, ci_ub=rows.yi + reach)


def _interval_of(fit: Any) -> str:
    """How the interval of a proportion was made: by t, or from the total count where no logit has a spread."""
    if fit is None:
        return "none"
    by_t = fit.k > 1 and 0 < fit.events < fit.n
    return f"t with {fit.k - 1} df on the logit" if by_t else "Clopper-Pearson"


def _logits(events: np.ndarray, n: np.ndarray) -> dict[str, np.ndarray]:
    """Observed logits and their large-sample variances, infinite where nobody or everybody had the event; the
    binomial model does not use them.
    """
    with np.errstate(divide="ignore"):
        return {"yi": logit(events / n), "vi": 1 / events + 1 / (n - events)}


def _information(events: np.ndarray, n: np.ndarray, fit: Any) -> np.ndarray:
    """Weights in percent: the inverse of the variance of each logit at the pooled proportion, tau2 included."""
    p = np.clip(expit(fit.beta), 1e-6, 1 - 1e-6)
    tau2 = 0.0 if np.isnan(fit.tau2) else fit.tau2
    information = 1 / (1 / (n * p * (1 - p)) + tau2)
    return 100 * information / information.sum()


def _with_control(cells: pd.DataFrame, control: pd.DataFrame) -> pd.DataFrame:
    """Reports that count both sides in the same way at the same time; the control's counts beside the cells'."""
    if cells.empty or control.empty:
        return cells.head(0).assign(events_control=np.nan, n_control=np.nan)
    columns = ["events", "n", "arm_id", "source_id", "line", "flag", "timing", "months"]
    both = cells.join(control.set_index("study_id")[columns].add_suffix("_control"), on="study_id", how="inner")
    same_month = (both.months == both.months_control) | (both.months.isna() & both.months_control.isna())
    both = both[(both.timing == both.timing_control) & same_month].reset_index(drop=True)
    return both.assign(
        arm_id=both.arm_id + " v " + both.arm_id_control,
        source_id=[";".join(dict.fromkeys(ids)) for ids in zip(both.source_id, both.source_id_control, strict=True)],
        line=[f"{a};{b}" for a, b in zip(both.line, both.line_control, strict=True)],
        flag=[joined(a, b) for a, b in zip(both.flag, both.flag_control, strict=True)],
    )


def _risk_differences(
    rows: pd.DataFrame, a: np.ndarray, n1: np.ndarray, c: np.ndarray, n2: np.ndarray, level: float
) -> pd.DataFrame:
    """Difference of two proportions in each report, with limits that stay between -1 and 1.

    Newcombe 1998, method 10: the score limits of both proportions combined
    (doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I).
    """
    p1, p2, weight = a / n1, c / n2, n1 * n2 / (n1 + n2)
    (low1, high1), (low2, high2) = _score_limits(a, n1, level), _score_limits(c, n2, level)
    return rows.assign(
        yi=p1 - p2,
        vi=p1 * (1 - p1) / n1 + p2 * (1 - p2) / n2,
        ci_lb=p1 - p2 - np.hypot(p1 - low1, high2 - p2),
        ci_ub=p1 - p2 + np.hypot(high1 - p1, p2 - low2),
        weight=100 * weight / weight.sum(),
        detail="",
    )


def _score_limits(x: np.ndarray, n: np.ndarray, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Wilson's score limits of a proportion (1927, https://doi.org/10.1080/01621459.1927.10502953)."""
    z = ndtri(0.5 + level / 2)
    middle, reach = x + z**2 / 2, z * np.sqrt(x * (n - x) / n + z**2 / 4)
    return (middle - reach) / (n + z**2), (middle + reach) / (n + z**2)


def _pool(evidence, protocol, described: Described, rows: pd.DataFrame, left_out: pd.DataFrame, fit: Any) -> Pool:
    sources = rows.source_id if len(rows) else []
    rows = rows.assign(
        product=rows.get("intervention_class"),
        note=rows.get("flag"),
        label=_labels(evidence, rows.study_id),
        link=[link(evidence, s, x) for s, x in zip(rows.study_id, sources, strict=True)],
    )
    rows, left_out = rows.reindex(columns=ROW_COLUMNS), left_out.reindex(columns=LEFT_OUT_COLUMNS)
    rows = rows.assign(**{c: rows[c].astype(object).fillna("") for c in ("detail", "note")})
    few = protocol["models"]["few_reports"]
    return Pool(
        **vars(described),
        rows=rows.reset_index(drop=True),
        left_out=left_out.reset_index(drop=True),
        fit=fit,
        few=few,
    )


def _labels(evidence: Evidence, study_ids: pd.Series) -> list[str]:
    labels = [label(evidence, s) for s in study_ids]
    return [f"{x} ({s})" if labels.count(x) > 1 else x for x, s in zip(labels, study_ids, strict=True)]


def label(evidence: Evidence, study_id: str) -> str:
    """A report as readers know it: first author and year; without an author, its id in words.

    >>> _id_in_words("gillard2008"), _id_in_words("emory_nct00133809"), _id_in_words("leiden_iak")
    ('Gillard', 'Emory NCT00133809', 'Leiden IAK')
    """
    study = evidence.studies.loc[evidence.studies.study_id == study_id].iloc[0]
    author = re.sub(r"\s+[A-Z]{1,4}$", "", study.first_author) or _id_in_words(study_id)
    return f"{author} {study.year:.0f}" if np.isfinite(study.year) else author


def _id_in_words(study_id: str) -> str:
    parts = re.sub(r"(?<=[a-z])(19|20)\d{2}(?=$|_)", "", study_id).split("_")
    return " ".join(p.upper() if len(p) <= 3 or p.startswith("nct") else p.capitalize() for p in parts)


def link(evidence: Evidence, study_id: str, source_id: str = "") -> str:
    """Address for readers: DOI, PubMed or registry where one is known, else where the text was read."""
    study = evidence.studies.loc[evidence.studies.study_id == study_id].iloc[0]
    number = re.search(r"NCT\d{8}", study.registry_id)
    known = [study.doi and f"https://doi.org/{study.doi}", study.pmid and f"https://pubmed.ncbi.nlm.nih.gov/{study.pmid}/",
             number and f"https://clinicaltrials.gov/study/{number[0]}"]  # fmt: skip
    read = evidence.sources.loc[evidence.sources.source_id == source_id.split(";")[0], "url"]
    first = re.search(r"https?://[^\s;]+", read.iloc[0]) if len(read) else None
    return next((address for address in known if address), first[0] if first else "")
