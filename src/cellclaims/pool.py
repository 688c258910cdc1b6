"""One question -> the rows, the effects, the fit: a *pool* that anyone can recompute from its own rows.

A pool holds what a forest plot, a table, a verdict and ``results.json`` need, all of it unrounded. One report is
shown and not pooled; two to four are pooled and labelled.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import expit, logit, ndtri

from cellclaims import meta
from cellclaims.anomalies import joined
from cellclaims.effects import each_by_its_side, mean_changes, mean_differences
from cellclaims.errors import PoolingError
from cellclaims.evidence import Evidence
from cellclaims.meta.binomial_fit import clopper_pearson
from cellclaims.question import Analysis, Question
from cellclaims.selection import EvidenceBase, Selected, independent, select_counts

ROW_COLUMNS = (  # in the order of results.json
    "study_id arm_id source_id label year diabetes_type product design randomised blinding months events n "
    "events_control n_control yi vi ci_lb ci_ub weight link detail note table line"
).split()
#: Why a report with only one of two sides is in no difference.
NO_PAIR = "no count for both an arm with cells and an untreated one"
LEFT_OUT_COLUMNS = ["study_id", "arm_id", "months", "table", "line", "reason"]


#: Measure -> the scale on which it is pooled.
SCALES = {"PLO": "logit", "PAS": "arcsine", "PFT": "double arcsine"}


@dataclass(frozen=True)
class Pool:
    """The answer to one question, with every row that it was made from and every row that it left out.

    Attributes
    ----------
    question : Question
        What was asked, with the protocol's month and window filled in.
    analysis : Analysis
        How it was pooled, with the protocol's choices filled in.
    settings : dict
        Model, method, test, level and how the interval was made, as ``results.json`` records them.
    rows : DataFrame
        One row per study (:data:`ROW_COLUMNS`); yi, vi and limits on the analysis scale, weight in percent.
    left_out : DataFrame
        Study, arm, month, table, line and reason of every row that is not used.
    fit : Fit, BinomialFit or StratifiedFit
        None if no study is eligible.
    few : int
        The largest number of studies that counts as few.
    """

    question: Question
    analysis: Analysis
    settings: dict[str, Any]
    rows: pd.DataFrame = field(repr=False)
    left_out: pd.DataFrame = field(repr=False)
    fit: Any
    few: int = 4

    @property
    def name(self) -> str:
        """What the pool is called in files."""
        return self.question.name

    @property
    def title(self) -> str:
        """What the pool is called in figures and tables."""
        return self.question.title

    @property
    def measure(self) -> str:
        """What one study contributes: PLO, MC, MD or RD."""
        return self.analysis.measure

    @property
    def scale(self) -> str:
        """The analysis scale: logit for proportions, identity for differences and changes."""
        return SCALES.get(self.measure, "identity")

    @property
    def estimand(self) -> str:
        """What is estimated, in words."""
        words = {"MC": "mean change from baseline", "MD": "mean difference between arms"}
        return words.get(self.measure, self.question.estimand)

    @property
    def k(self) -> int:
        """Number of studies."""
        return len(self.rows)

    @property
    def is_few(self) -> bool:
        """Whether the pool has studies, but few: their heterogeneity can hardly be estimated."""
        return 0 < self.k <= self.few

    @property
    def patients(self) -> float:
        """Number of participants, those of the control arms included."""
        return float(self.rows.n.sum() + self.rows.n_control.fillna(0).sum())

    @property
    def label(self) -> str:
        """How far the number of studies allows a conclusion, in words (empty for enough)."""
        if self.k == 0:
            return "no report"
        if self.k == 1:
            return "one report: shown, not pooled"
        return "few reports" if self.is_few else ""

    def back(self, value: float) -> float:
        """A value of the analysis scale as a proportion where it is a logit, else unchanged."""
        return float(expit(value)) if self.scale == "logit" else float(value)

    def shown(self, value: float) -> float:
        """A value of the analysis scale on the reader's scale: percent where it is a logit, else unchanged."""
        return 100 * self.back(value) if self.scale == "logit" else float(value)


def pooled(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Select the rows that answer a question, make one effect per study, and pool them.

    Parameters
    ----------
    base : EvidenceBase
    question : Question
    analysis : Analysis
        Its measure decides what is pooled: ``PLO`` proportions (binomial-normal model; the normal model on logits if
        ``model`` is "normal"), ``MC`` mean changes within arms, ``MD`` mean differences between arms, ``RD`` risk
        differences (Mantel-Haenszel, no correction for empty cells).

    Returns
    -------
    Pool
        With ``fit`` None if no study is eligible. One study is given with its own interval.

    Raises
    ------
    ProtocolError
        For a name in the question that the protocol does not have.
    PoolingError
        For a measure that cannot be pooled from the tables.
    """
    question, analysis = question.at(base.protocol), analysis.at(base.protocol)
    ways = {"PLO": _proportion, "MC": _change, "MD": _difference, "RD": _risk_difference}
    if analysis.measure not in ways:
        raise PoolingError(f"measure: expected one of {', '.join(ways)}, found {analysis.measure!r}")
    return ways[analysis.measure](base, question, analysis)


def _proportion(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Proportion of patients with the outcome: binomial-normal model, interval by t on the logit."""
    chosen, model = select_counts(base, question), base.protocol["models"]["proportion"]
    rows, fit = chosen.rows, None
    level, test, nodes = analysis.level, analysis.test, analysis.nodes or model["nodes"]
    if analysis.model == "normal":
        level, test, nodes = model["level"], model["test"], model["nodes"]
    if len(rows):
        counts = rows.events.to_numpy(float), rows.n.to_numpy(float)
        fit = meta.glmm(*counts, level=level, test=test, nodes=nodes)
        low, high = clopper_pearson(*counts, level)
        rows = rows.assign(ci_lb=logit(low), ci_ub=logit(high), weight=_information(*counts, fit), **_logits(*counts))
    settings = {**model, "level": level, "test": test, "nodes": nodes}
    settings |= {"interval": _interval_of(fit), "weight": "information at the pooled proportion"}
    if analysis.model == "normal" and len(rows) > 1:
        rows, fit, settings = _on_logits(rows, analysis)
    return _pool(base, question, analysis, settings, rows, chosen.left_out, fit)


def _on_logits(rows: pd.DataFrame, analysis: Analysis) -> tuple[pd.DataFrame, Any, dict[str, Any]]:
    """Proportions fitted as normal effects on the logit: half an event is added where a cell is empty."""
    made = meta.escalc("PLO", xi=rows.events.to_numpy(float), ni=rows.n.to_numpy(float))
    chosen = {"method": analysis.method, "test": analysis.test, "level": analysis.level}
    fit = meta.fit(made.yi, made.vi, **chosen)
    settings = {"model": "normal", **chosen, "interval": analysis.test}
    return rows.assign(weight=np.atleast_1d(fit.weights)), fit, settings


def _change(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Mean change from baseline within an arm (uncontrolled, or the control arms' own change)."""
    made = mean_changes(base, question, analysis.correlation)
    return _normal(base, question, analysis, made, {"correlation": analysis.correlation})


def _difference(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Mean difference between arms with cells and untreated arms."""
    return _normal(base, question, analysis, mean_differences(base, question, analysis.correlation, analysis.forms), {})


def _risk_difference(base: EvidenceBase, question: Question, analysis: Analysis) -> Pool:
    """Difference of two proportions in controlled reports: Mantel-Haenszel, no correction for empty cells."""
    sides = [select_counts(base, replace(question, arms=arms)) for arms in ("cells", "control")]
    rows, level = _with_control(*(side.rows for side in sides)), analysis.level
    counts = [rows[c].to_numpy(float) for c in ("events", "n", "events_control", "n_control")]
    fit = None
    if len(rows):
        cells = dict(zip(("ai", "n1i", "ci", "n2i"), counts, strict=True))
        fit = meta.mantel_haenszel("RD", **cells, level=level)
        rows = _risk_differences(rows, *counts, level)
    settings = {"model": analysis.model, "method": analysis.method, "test": analysis.test, "level": level}
    alone = [side.rows[~side.rows.study_id.isin(rows.study_id)].assign(reason=NO_PAIR) for side in sides]
    left_out = each_by_its_side(base.evidence, *(side.left_out for side in sides), *alone)
    return _pool(base, question, analysis, settings | {"interval": "normal"}, rows, left_out, fit)


def switched(base: EvidenceBase, question: Question, analysis: Analysis) -> dict[str, Pool]:
    """The pool of a proportion again for each alternative handling of an anomaly that changes a row.

    Returns
    -------
    dict of Pool
        By title: the study, what is questioned, and the anomaly's code.
    """
    evidence, primary = base.evidence, pooled(base, question.named(question.name, "primary handling"), analysis)
    steps = evidence.handling[(evidence.handling.variant != "primary") & (evidence.handling.table == "binary")]
    pools = {}
    for anomaly in dict.fromkeys(steps.anomaly_id):
        words = "; ".join(dict.fromkeys(steps[steps.anomaly_id == anomaly].reason))
        study = label(evidence, steps[steps.anomaly_id == anomaly].study_id.iloc[0])
        other = replace(question, alternative=(*question.alternative, anomaly))
        made = pooled(base, other.named(f"{question.name}_{anomaly}", f"{study}: {words} ({anomaly})"), analysis)
        if not _same_rows(made, primary):
            pools[made.title] = made
    return pools


def _same_rows(one: Pool, other: Pool) -> bool:
    columns = ["study_id", "events", "n"]
    return one.rows[columns].equals(other.rows[columns])


def _normal(base: EvidenceBase, question: Question, analysis: Analysis, made: Selected, more: dict[str, Any]) -> Pool:
    chosen = independent(base, question, made.rows)
    rows, fit = chosen.rows, None
    own = base.protocol["models"]["continuous"]
    settings = {**own, "model": analysis.model, "method": analysis.method, "test": analysis.test}
    settings = _for_so_many({**settings, "level": analysis.level, **more}, len(rows))
    if len(rows):
        y, v = rows.yi.to_numpy(float), rows.vi.to_numpy(float)
        fit = meta.fit(y, v, **{key: settings[key] for key in ("method", "test", "level")})
        rows = _with_limits(rows, settings["level"]).assign(weight=np.atleast_1d(fit.weights))
    left_out = [part for part in (made.left_out, chosen.left_out) if len(part)]
    left_out = pd.concat(left_out) if left_out else made.left_out
    return _pool(base, question, analysis, settings, rows, left_out, fit)


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


def _pool(
    base: EvidenceBase,
    question: Question,
    analysis: Analysis,
    settings: dict[str, Any],
    rows: pd.DataFrame,
    left_out: pd.DataFrame,
    fit: Any,
) -> Pool:
    sources = rows.source_id if len(rows) else []
    rows = rows.assign(
        product=rows.get("intervention_class"),
        note=rows.get("flag"),
        label=_labels(base.evidence, rows.study_id),
        link=[link(base.evidence, s, x) for s, x in zip(rows.study_id, sources, strict=True)],
    )
    rows, left_out = rows.reindex(columns=ROW_COLUMNS), left_out.reindex(columns=LEFT_OUT_COLUMNS)
    rows = rows.assign(**{c: rows[c].astype(object).fillna("") for c in ("detail", "note")})
    few = base.protocol["models"]["few_reports"]
    return Pool(
        question=question,
        analysis=analysis,
        settings=settings,
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
    """Address for readers: DOI, PubMed or registry where one is known, else the citable address of the source.

    Empty where neither is known: a copy, a mirror or a page that is not scientific is never a link.
    """
    study = evidence.studies.loc[evidence.studies.study_id == study_id].iloc[0]
    number = re.search(r"NCT\d{8}", study.registry_id)
    known = [study.doi and f"https://doi.org/{study.doi}", study.pmid and f"https://pubmed.ncbi.nlm.nih.gov/{study.pmid}/",
             number and f"https://clinicaltrials.gov/study/{number[0]}"]  # fmt: skip
    read = evidence.sources.loc[evidence.sources.source_id == source_id.split(";")[0], "url"]
    first = re.search(r"https?://[^\s;]+", read.iloc[0]) if len(read) else None
    return next((address for address in known if address), first[0] if first else "")
